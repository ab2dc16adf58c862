"""What pricing reports arrives once, however often and in whatever order it is said."""

from typing import Any

import pytest

from services.entitlements.cards.schemas import OpsRequestCard
from services.entitlements.cards.service import CardService
from services.entitlements.usage.repository import UsageRepository
from services.entitlements.usage.schemas import Report
from shared.principal import Principal
from tests.services.entitlements.conftest import Http
from tests.services.entitlements.desk import Desk
from tests.services.entitlements.fakes import DAY, OPS, OTHER, QUANT, T0, SetClock, person

PRICING = Principal(role="service", name="pricing")


def reading(rows: int, *, frequency: str = "1d", days: int = 0, who: Principal = QUANT) -> dict[str, Any]:
    """A count as pricing tells it, of so many days ago."""
    at = T0 - days * DAY
    cell = {"account": str(who.account), "dataset": "BTC", "frequency": frequency, "day": at.date().isoformat()}
    return {**cell, "rows": rows, "last_read_at": at.isoformat()}


def tell(desk: Desk, *readings: dict[str, Any]) -> None:
    """Report."""
    UsageRepository(desk.session).raise_to(Report.model_validate({"data": readings}).data)


def test_the_card_tells_what_is_read_of_what_is_held(desk: Desk, clock: SetClock) -> None:
    desk.give("1d", "1h")
    desk.give("1mo", to=OTHER)
    asked = desk.ask("1mo")
    tell(desk, reading(5), reading(6, days=3), reading(1000, days=31), reading(7, frequency="1mo"))
    tell(desk, reading(90, who=OTHER))
    card = CardService(desk.session, clock).find(asked.id, OPS)
    assert isinstance(card, OpsRequestCard)
    told = [(read.dataset, read.frequency, read.rows, read.last_read_at) for read in card.card.reads]
    assert told == [("BTC", "1d", 11, T0), ("BTC", "1h", 0, None)]
    assert [item.trace is not None for item in card.items] == [True]


def test_a_report_again_or_an_older_one_later_changes_nothing(desk: Desk, clock: SetClock) -> None:
    desk.give("1d")
    for rows in (5, 9, 9, 5):
        tell(desk, reading(rows), reading(rows), reading(rows - 4))
    [read] = UsageRepository(desk.session).of_what_is_held(QUANT.account_id, clock.at)
    assert read["rows"] == 9


def test_pricing_reports_over_http(http: Http) -> None:
    assert http("POST", "/internal/usage", by=PRICING, json={"data": [reading(5)]}).status_code == 204
    assert http("POST", "/internal/usage", by=PRICING, json={"data": []}).status_code == 204
    assert http("POST", "/internal/usage", by=PRICING, json={"data": [reading(-1)]}).status_code == 422


@pytest.mark.parametrize("by", [None, person(), person("admin")])
def test_nobody_else_does(http: Http, by: Principal | None) -> None:
    assert http("POST", "/internal/usage", by=by, json={"data": []}).status_code == 401
