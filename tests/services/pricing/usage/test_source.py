"""What pricing counts is what entitlements takes: told by the one, to the other as it runs."""

import asyncio
from contextlib import closing
from uuid import UUID

from sqlalchemy import text

from services.entitlements.module import module
from services.entitlements.settings import EntitlementsSettings
from services.pricing.market_caps.controller import USED_AS
from services.pricing.settings import PricingSettings
from services.pricing.usage.providers import pass_on, write_down
from services.pricing.usage.repository import UsageRepository
from services.pricing.usage.uses import Uses
from shared.application import create_app
from shared.database import Database
from shared.identity import Signer
from shared.upstream import Neighbour
from tests.conftest import Stores

FAKES = "asgi://tests.services.entitlements.fakes"


def report(settings: PricingSettings, stores: Stores, database: Database) -> list[tuple[str, int]]:
    """Pass on what was counted; what entitlements then knows."""
    theirs = EntitlementsSettings(
        entitlements_database_url=stores.app_url("entitlements"),
        catalog_url=FAKES,
        keys_url=FAKES,
        identity_private_key=settings.identity_private_key,
        identity_public_keys=settings.identity_public_keys,
        cursor_secret=settings.cursor_secret,
    )
    app, signer = create_app(module, theirs), Signer(settings.identity_private_key, issuer="pricing")

    async def run() -> None:
        async with app.router.lifespan_context(app):
            await pass_on(database, Neighbour(app, name="entitlements", signer=signer, caller="pricing"))

    asyncio.run(run())
    with closing(Database(theirs.database)) as known, known.transaction() as session:
        rows = session.execute(text("select frequency, rows from entitlements.usage order by 1"))
        return [(row[0], row[1]) for row in rows]


def test_entitlements_takes_whatever_pricing_counts(
    settings: PricingSettings, stores: Stores, database: Database
) -> None:
    uses = Uses()
    for number, used_as in enumerate(("1m", "1h", "1d", "1mo", USED_AS), 1):
        uses.add(UUID(int=1), "Ada", "BTC", used_as, number)
    write_down(uses, database)
    told = report(settings, stores, database)
    assert told == [("1d", 3), ("1h", 2), ("1m", 1), ("1mo", 4), ("market-caps", 5)]
    with database.transaction() as session:
        assert UsageRepository(session).unreported(9) == []
