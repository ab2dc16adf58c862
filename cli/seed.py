"""What a fresh platform starts with: two datasets, and a key for each role."""

import json
from collections.abc import Collection
from contextlib import closing
from pathlib import Path

from cli.embedded.account import write_private
from gateway.keys.schemas import Role
from gateway.keys.secrets import KeySecrets
from gateway.keys.service import KeyService
from gateway.settings import KeysSettings
from services.catalog.datasets.errors import DatasetExists
from services.catalog.datasets.schemas import NewDataset
from services.catalog.datasets.service import DatasetService
from services.catalog.settings import CatalogSettings
from shared.clock import DatabaseClock
from shared.database import Database
from shared.principal import Principal

OPERATOR = Principal(role="admin", name="tickgate")
DATASETS = (
    {"symbol": "BTC", "name": "Bitcoin", "frequencies": ["1h", "1d", "1mo"], "sources": {"coincap": "bitcoin"}},
    {"symbol": "ETH", "name": "Ethereum", "frequencies": ["1d"], "sources": {"coincap": "ethereum"}},
)
ACCOUNTS: tuple[tuple[Role, str], ...] = (("admin", "Admin"), ("ops", "Ops"), ("quant", "Quant"))


def seed_datasets(settings: CatalogSettings) -> list[str]:
    """Offer the first datasets and name those that are new; those that exist are left as they are."""
    made = []
    with closing(Database(settings.database, pool_size=1)) as database:
        for dataset in DATASETS:
            try:
                with database.transaction() as session:
                    DatasetService(session, DatabaseClock()).add(NewDataset.model_validate(dataset), OPERATOR)
            except DatasetExists:
                continue
            made.append(str(dataset["symbol"]))
    return made


def seed_keys(settings: KeysSettings, file: Path, roles: Collection[str] | None = None) -> list[str]:
    """Make a key for each role, or for `roles` only, write them to `file` and name their roles.

    Where keys exist, nothing happens.
    """
    with closing(Database(settings.database, pool_size=1)) as database, database.transaction() as session:
        keys = KeyService(session, DatabaseClock(), KeySecrets.under(settings))
        if keys.count() > 0:
            return []
        wanted = [(role, name) for role, name in ACCOUNTS if roles is None or role in roles]
        made = {role: keys.create(name=name, role=role, by=OPERATOR).key for role, name in wanted}
        write_private(file, json.dumps(made, indent=2) + "\n")
    return list(made)
