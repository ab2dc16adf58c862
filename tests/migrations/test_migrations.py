"""Every schema goes up, down and up again, and is then what the models say."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import CheckConstraint, MetaData, text
from sqlalchemy.orm import Session

from cli.migrate import LOCK, MigrationFailed, migrate
from cli.settings import SCHEMAS
from gateway.keys.module import module as gateway
from services.catalog.module import module as catalog
from services.entitlements.module import module as entitlements
from services.entitlements.webhooks.policy import still_valid
from services.pricing.market_caps.schemas import Days
from services.pricing.market_caps.service import MarketCapService
from services.pricing.module import module as pricing
from services.pricing.prices.schemas import Edition
from shared.clock import DatabaseClock
from tests.migrations.database import Empty, alembic

LONG_AGO = datetime(2026, 1, 1, tzinfo=UTC)
OLD_SECRET = """
    insert into entitlements.webhooks (id, account, hears_ops, url, secret, created_at, old_secret, old_secret_until)
    values (gen_random_uuid(), gen_random_uuid(), false, 'https://example.com', 'new', '2026-01-31 20:00Z',
            'sealed', '2026-02-01 20:00:00.123456Z')
"""
CLOSED = """
    with told as (
        insert into entitlements.webhooks (id, account, hears_ops, url, secret, created_at)
        select gen_random_uuid(), gen_random_uuid(), false, url, 'secret', now()
        from unnest(array['blocked', 'closed', 'nobody']) as url
        returning account, url
    )
    insert into entitlements.accounts (id, name, role, standing)
    select account, 'Ada', 'quant', url from told where url <> 'nobody'
"""
MODULES = {"gateway": gateway, "catalog": catalog, "entitlements": entitlements, "pricing": pricing}


def test_every_schema_has_a_module() -> None:
    assert set(MODULES) == set(SCHEMAS)
    assert all(module.metadata.schema == schema for schema, module in MODULES.items())


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_module_names_the_newest_revision_of_its_schema(schema: str, migrated: Empty) -> None:
    with migrated.connected() as connection:
        assert ScriptDirectory.from_config(alembic(schema, connection)).get_heads() == [MODULES[schema].revision]
        found = connection.execute(text(f"select version_num from {schema}.migrations")).scalars().all()  # noqa: S608

    assert found == [MODULES[schema].revision]


def test_up_down_and_up_again_makes_the_same(empty: Empty) -> None:
    migrate(empty.settings)
    first = empty.shape()
    for schema in SCHEMAS:
        with empty.connected() as connection:
            command.downgrade(alembic(schema, connection), "base")
    left = empty.shape()
    migrate(empty.settings)

    assert {name.split(".")[1] for name, *_ in left["relations"]} == {"migrations", "migrations_pkc"}
    assert left["functions"] == []
    assert empty.shape() == first


def test_a_webhook_keeps_its_old_secret_whichever_way_it_goes(migrated: Empty) -> None:
    kept = "select encode(old_secret, 'escape'), old_secret_until from entitlements.webhooks"
    with migrated.connected() as connection:
        config = alembic("entitlements", connection)
        command.downgrade(config, "0008")
        connection.execute(text(OLD_SECRET))
        before = connection.execute(text(kept)).all()
        command.upgrade(config, "0009")
        [old] = connection.execute(text("select old_secrets from entitlements.webhooks")).scalars().one()
        assert (bytes.fromhex(old["sealed"]), still_valid([old], LONG_AGO)) == (b"sealed", [old])
        assert datetime.fromisoformat(old["until"]) == before[0][1]
        command.downgrade(config, "0008")
        assert connection.execute(text(kept)).all() == before
        connection.rollback()


def test_webhooks_of_accounts_that_are_closed_end(migrated: Empty) -> None:
    with migrated.connected() as connection:
        config = alembic("entitlements", connection)
        command.downgrade(config, "0010")
        connection.execute(text(CLOSED))
        command.upgrade(config, "0011")
        found = connection.execute(text("select url, disabled_at is null, disabled_reason from entitlements.webhooks"))
        assert sorted(tuple(row) for row in found) == [
            ("blocked", True, None),
            ("closed", False, "closed"),
            ("nobody", True, None),
        ]
        connection.rollback()


def test_migrating_twice_changes_nothing(empty: Empty) -> None:
    migrate(empty.settings)
    first = empty.shape()
    migrate(empty.settings)

    assert empty.shape() == first
    assert len(first["relations"]) > 10


@pytest.mark.parametrize("schema", ["gateway", "entitlements"])
def test_every_migrate_begins_a_new_epoch(schema: str, empty: Empty) -> None:
    epochs = []
    for _ in range(3):
        migrate(empty.settings)
        with empty.connected() as connection:
            epochs.append(connection.execute(text(f"select epoch from {schema}.coherence")).scalar_one())  # noqa: S608
    assert len(set(epochs)) == 3


def test_market_caps_of_before_they_had_versions_are_a_series_of_one(empty: Empty) -> None:
    migrate(empty.settings)
    with empty.connected() as connection:
        command.downgrade(alembic("pricing", connection), "0004")
    with empty.connected() as connection:
        connection.execute(
            text(
                """insert into pricing.market_caps values
                    ('BTC', '2026-01-01', 2.50, '2026-01-01 20:00Z', 'observed', '2026-01-01 20:00Z'),
                    ('ETH', '2026-01-01', 1.50, '2026-01-01 20:00Z', 'sample', '2026-01-02 20:00Z')"""
            )
        )
    migrate(empty.settings)
    with empty.connected() as connection:
        kept = text("select dataset, source, version, first_version, updated_at::text from pricing.series order by 1")
        series = [tuple(row) for row in connection.execute(kept)]
        assert series == [
            ("BTC", "coincap", 1, 1, "2026-01-01 20:00:00+00"),
            ("ETH", "sample", 1, 1, "2026-01-02 20:00:00+00"),
        ]
        told = MarketCapService(Session(connection), DatabaseClock()).read(
            Days("BTC", date(2026, 1, 1), date(2026, 1, 2), edition=Edition(1, None)), limit=None
        )
        assert [str(row.market_cap_usd) for row in told.rows] == ["2.50"]


def test_what_was_replaced_before_anybody_noted_when_is_so_since_its_first_rows_were_stored(empty: Empty) -> None:
    migrate(empty.settings)
    with empty.connected() as connection:
        command.downgrade(alembic("pricing", connection), "0006")
    with empty.connected() as connection:
        connection.execute(
            text(
                """insert into pricing.series (dataset, frequency, source, version, first_version, updated_at) values
                    ('BTC', '1d', 'coincap', 3, 2, now()), ('BTC', 'cap', 'coincap', 2, 2, now()),
                    ('ETH', '1d', 'coincap', 1, 1, now())"""
            )
        )
        connection.execute(
            text(
                """insert into pricing.prices (dataset, frequency, timestamp, price_usd, recorded_at, version) values
                    ('BTC', '1d', '2026-01-01', 2, '2026-01-02 21:00Z', 3),
                    ('ETH', '1d', '2026-01-01', 2, '2026-01-02 21:00Z', 1)"""
            )
        )
        connection.execute(
            text("""insert into pricing.price_revisions values
                ('BTC', '1d', '2026-01-01', '2026-01-02 21:00Z', 1, '2026-01-02 20:00Z', 2, 2)""")
        )
        connection.execute(
            text("""insert into pricing.market_caps values
                ('BTC', '2026-01-01', 2.50, '2026-01-01 20:00Z', 'observed', '2026-01-01 20:00Z', 2)""")
        )
    migrate(empty.settings)
    with empty.connected() as connection:
        since = text("select dataset, frequency, replaced_at::text from pricing.series order by 1, 2")
        assert [tuple(row) for row in connection.execute(since)] == [
            ("BTC", "1d", "2026-01-02 20:15:00+00"),
            ("BTC", "cap", "2026-01-01 20:15:00+00"),
            ("ETH", "1d", None),
        ]


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_database_is_what_the_models_say(schema: str, migrated: Empty) -> None:
    metadata = MODULES[schema].metadata

    def ours(name: str | None, kind: str, _parents: Any) -> bool:
        return kind != "schema" or name == schema

    options = {
        "version_table": "migrations",
        "version_table_schema": schema,
        "include_schemas": True,
        "include_name": ours,
        "compare_type": True,
        "compare_server_default": True,
    }
    with migrated.connected() as connection:
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, metadata) == []


@pytest.mark.parametrize("schema", SCHEMAS)
def test_the_database_checks_what_the_models_say(schema: str, migrated: Empty) -> None:
    """Alembic compares no check constraints, so their names are compared here."""
    with migrated.connected() as connection:
        found = connection.execute(
            text("select conname from pg_constraint where contype = 'c' and connamespace = to_regnamespace(:schema)"),
            {"schema": schema},
        )
        assert set(found.scalars()) == _checks(MODULES[schema].metadata)


def _checks(metadata: MetaData) -> set[str]:
    constraints = (c for table in metadata.tables.values() for c in table.constraints)
    return {str(c.name) for c in constraints if isinstance(c, CheckConstraint)}


def test_a_revision_from_the_future_is_refused_in_one_clear_line_and_nothing_changes(empty: Empty) -> None:
    migrate(empty.settings)
    with empty.connected() as connection:
        connection.execute(text("update entitlements.migrations set version_num = '9999'"))
    before = empty.shape()

    with pytest.raises(MigrationFailed) as refused:
        migrate(empty.settings)

    message = str(refused.value)
    assert "\n" not in message
    assert "entitlements" in message
    assert "9999" in message
    assert empty.shape() == before
    with empty.connected() as connection:
        connection.execute(text("set lock_timeout = '5s'"))
        connection.execute(text(f"select pg_advisory_lock({LOCK})"))  # nobody holds it any more


def test_a_password_may_hold_any_character(empty: Empty) -> None:
    url = empty.settings.catalog_database_url.replace("only-for-tests", "p%25s%40%27%22%5C%7Bx%7D")
    settings = empty.settings.model_copy(update={"catalog_database_url": url})
    migrate(settings)

    with empty.connected(url) as connection:
        assert connection.execute(text("select 1")).scalar_one() == 1
