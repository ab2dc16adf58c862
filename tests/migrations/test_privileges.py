"""Each service's role does what it must in its own schema, and nothing anywhere else."""

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, ProgrammingError

from cli.settings import SCHEMAS
from tests.migrations.database import Empty

INSERT = "insert into {}.audit_events (actor, action, subject, data) values ('a', 'b', 'c', '{{}}')"
SEALED = "insert into {} values (1, now(), 1, '{{1}}', '{{}}', '', '')"
AUDITED = ("gateway", "catalog", "entitlements")
OTHERS = [(schema, other) for schema in SCHEMAS for other in SCHEMAS if schema != other]


def refused(database: Empty, schema: str, statement: str) -> str:
    """What the app role of this schema is told."""
    with database.trying(database.settings.app_url(schema)) as connection:
        with pytest.raises(ProgrammingError) as error:
            connection.execute(text(statement))
        return str(error.value.orig)


@pytest.mark.parametrize(("schema", "other"), OTHERS)
def test_i4_a_role_cannot_read_another_schema(schema: str, other: str, migrated: Empty) -> None:
    assert f"permission denied for schema {other}" in refused(migrated, schema, f"table {other}.migrations")


@pytest.mark.parametrize("schema", SCHEMAS)
@pytest.mark.parametrize(
    "statement",
    [
        "create table {}.mine (id int)",
        "create table public.mine (id int)",
        "create temporary table mine (id int)",
        "create schema mine",
        "alter table {}.migrations add column mine int",
        "drop table {}.migrations",
        "create index mine on {}.migrations (version_num)",
        "insert into {}.migrations values ('9999')",
        "update {}.migrations set version_num = '9999'",
        "delete from {}.migrations",
        "truncate {}.migrations",
        "create role mine",
        'set role "{}_owner"',
    ],
)
def test_i4_a_role_runs_no_ddl_and_does_not_touch_the_history(schema: str, statement: str, migrated: Empty) -> None:
    owner = migrated.owner(schema).removesuffix("_owner")
    told = refused(migrated, schema, statement.format(owner if "set role" in statement else schema))

    assert "permission denied" in told or "must be owner" in told


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_role_may_read_the_history_and_its_statements_are_cut_off_in_time(schema: str, migrated: Empty) -> None:
    with migrated.trying(migrated.settings.app_url(schema)) as connection:
        assert connection.execute(text(f"select count(*) from {schema}.migrations")).scalar_one() == 1  # noqa: S608
        assert connection.execute(text("show statement_timeout")).scalar_one() == "1200ms"
        assert connection.execute(text("show lock_timeout")).scalar_one() == "1s"


@pytest.mark.parametrize("schema", SCHEMAS)
def test_what_a_role_was_told_is_committed_is_on_the_disk_whatever_the_database_makes_of_it(
    schema: str, migrated: Empty
) -> None:
    """Else a crash could take back a revoke that was answered, and the count of changes with it."""
    settings, ask = migrated.settings, text("show synchronous_commit")
    name = settings.database_url.rpartition("/")[2]
    with migrated.connected() as connection:
        connection.execute(text(f'alter database "{name}" set synchronous_commit = off'))
    with migrated.trying() as owner, migrated.trying(settings.app_url(schema)) as app:
        assert (owner.execute(ask).scalar_one(), app.execute(ask).scalar_one()) == ("off", "on")


@pytest.mark.parametrize("schema", SCHEMAS)
def test_a_role_may_write_every_table_of_its_own_but_the_history(schema: str, migrated: Empty) -> None:
    rights = "select relname, has_table_privilege(oid, 'select, insert'), has_table_privilege(oid, 'update, delete')"
    tables = f"{rights} from pg_class where relnamespace = to_regnamespace('{schema}') and relkind = 'r'"
    with migrated.trying(migrated.settings.app_url(schema)) as connection:
        found = {name: (added, changed) for name, added, changed in connection.execute(text(tables))}

    kept = {name for name, (_, changed) in found.items() if not changed}
    assert kept >= {"migrations"}
    assert kept <= {"migrations", "audit_events", "audit_seals", "request_messages", "rules", "standings"}


@pytest.mark.parametrize("schema", AUDITED)
@pytest.mark.parametrize(
    "change", ["update {}.audit_events set actor = 'x'", "delete from {}.audit_events", "truncate {}.audit_events"]
)
def test_i4_audit_rows_are_added_and_read_but_never_changed(schema: str, change: str, migrated: Empty) -> None:
    with migrated.trying(migrated.settings.app_url(schema)) as connection:
        connection.execute(text(INSERT.format(schema)))
        assert connection.execute(text(f"select count(*) from {schema}.audit_events")).scalar_one() == 1  # noqa: S608
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text(change.format(schema)))


@pytest.mark.parametrize("schema", AUDITED)
@pytest.mark.parametrize(
    "change", ["update {}.audit_events set actor = 'x'", "delete from {}.audit_events", "truncate {}.audit_events"]
)
def test_i4_even_the_owner_cannot_change_audit_rows(schema: str, change: str, migrated: Empty) -> None:
    with migrated.trying(role=migrated.owner(schema)) as connection:
        connection.execute(text(INSERT.format(schema)))
        with pytest.raises(DBAPIError, match="audit_events is append-only"):
            connection.execute(text(change.format(schema)))


@pytest.mark.parametrize("schema", AUDITED)
@pytest.mark.parametrize("change", ["update {} set last_id = 1", "delete from {}", "truncate {}"])
def test_seals_are_added_and_read_but_never_changed(schema: str, change: str, migrated: Empty) -> None:
    seals = f"{schema}.audit_seals"
    sealed = SEALED.format(seals)
    with migrated.trying(migrated.settings.app_url(schema)) as connection:
        connection.execute(text(sealed))
        with pytest.raises(ProgrammingError, match="permission denied"):
            connection.execute(text(change.format(seals)))
    with migrated.trying(role=migrated.owner(schema)) as connection:
        connection.execute(text(sealed))
        with pytest.raises(DBAPIError, match="audit_seals is append-only"):
            connection.execute(text(change.format(seals)))


def test_nobody_else_may_enter_the_database(migrated: Empty) -> None:
    with migrated.trying() as connection:
        name = connection.engine.url.database
        allowed = "select has_database_privilege('pg_monitor', :name, 'connect')"
        assert connection.execute(text(allowed), {"name": name}).scalar_one() is False
