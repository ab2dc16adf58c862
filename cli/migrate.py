"""Makes the database what this version needs: roles, schemas, tables, privileges. Running it again changes nothing."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from psycopg import sql
from sqlalchemy import Connection, create_engine, make_url, text

from cli.settings import SCHEMAS, OperatorSettings
from shared.database import driver_url

INI = Path(__file__).parent.parent / "alembic.ini"
LOCK = 7_205_759
APPEND_ONLY = ("audit_events", "audit_seals", "request_messages", "rules", "standings")
PUBLIC = ("revoke connect, temporary on database {database} from public", "revoke all on schema public from public")
OWNER = (
    "grant {owner} to current_user",
    "create schema if not exists {schema} authorization {owner}",
)
APP = (
    "alter role {app} login password {password}",
    "alter role {app} set statement_timeout = '1200ms'",  # after half a second for a connection, 0.3 s are left of 2
    "alter role {app} set lock_timeout = '1s'",
    "alter role {app} set synchronous_commit = 'on'",  # a change that was acknowledged is never lost
    "alter role {app} set idle_in_transaction_session_timeout = '60s'",
    "grant connect on database {database} to {app}",
    "grant usage on schema {schema} to {app}",
    "grant select, insert, update, delete on all tables in schema {schema} to {app}",
    "revoke insert, update, delete on {schema}.migrations from {app}",
)


class MigrationFailed(Exception):
    """The database cannot be brought to this version; the message says what to do."""


def migrate(settings: OperatorSettings) -> None:
    """Migrate all schemas under one advisory lock; raises MigrationFailed."""
    engine = create_engine(driver_url(settings.database_url))
    try:
        with engine.connect() as connection:
            connection.execute(text("select pg_advisory_lock(:lock)"), {"lock": LOCK})
            connection.commit()
            for schema in SCHEMAS:
                _migrate_schema(connection, schema, settings.app_url(schema))
    finally:
        engine.dispose()


def _migrate_schema(connection: Connection, schema: str, app_url: str) -> None:
    with connection.begin():
        url = make_url(app_url)
        names = {
            "schema": sql.Identifier(schema),
            "database": sql.Identifier(str(connection.engine.url.database)),
            "owner": sql.Identifier(_owner(connection, schema)),
            "app": sql.Identifier(str(url.username)),
            "password": sql.Literal(str(url.password)),
        }
        _create_role(connection, names["owner"])
        _create_role(connection, names["app"])
        _run(connection, (*PUBLIC, *OWNER), names)
        _upgrade(connection, schema)
        connection.execute(text("reset role"))
        _run(connection, APP, names)
        _protect(connection, schema, names)
        _begin_epoch(connection, schema, names)


def _owner(connection: Connection, schema: str) -> str:
    """The schema's owner; a new schema's is named after the database, so that two databases do not share it."""
    owner = connection.execute(
        text("select rolname from pg_namespace join pg_roles r on r.oid = nspowner where nspname = :schema"),
        {"schema": schema},
    ).scalar()
    return str(owner or f"{connection.engine.url.database}_{schema}_owner")


def needed_revision(schema: str) -> str:
    """The revision that this version wants a schema to be at."""
    return str(ScriptDirectory.from_config(_config(schema)).get_current_head())


def _config(schema: str) -> Config:
    config = Config(INI, ini_section=schema)
    config.set_main_option("script_location", str(INI.parent / "migrations"))
    config.set_main_option("version_locations", str(INI.parent / "migrations" / schema))
    return config


def _upgrade(connection: Connection, schema: str) -> None:
    config = _config(schema)
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        raise MigrationFailed(
            f"the schema {schema} is at a revision this version does not know ({error}); start the newer version"
        ) from error


def _protect(connection: Connection, schema: str, names: dict[str, sql.Composable]) -> None:
    """Append-only tables: the app role may read and insert, nothing else."""
    for table in APPEND_ONLY:
        if connection.execute(text("select to_regclass(:name)"), {"name": f"{schema}.{table}"}).scalar():
            names["table"] = sql.Identifier(table)
            _run(connection, ("revoke update, delete, truncate on {schema}.{table} from {app}",), names)


def _begin_epoch(connection: Connection, schema: str, names: dict[str, sql.Composable]) -> None:
    """A new epoch after every migrate, so after a restore and a failover too: whoever remembers answers drops them."""
    if connection.execute(text("select to_regclass(:name)"), {"name": f"{schema}.coherence"}).scalar():
        _run(connection, ("update {schema}.coherence set epoch = gen_random_uuid()",), names)


def _create_role(connection: Connection, role: sql.Composable) -> None:
    name = role.as_string().strip('"')
    if not connection.execute(text("select 1 from pg_roles where rolname = :name"), {"name": name}).first():
        _run(connection, ("create role {role} nologin",), {"role": role})


def _run(connection: Connection, statements: tuple[str, ...], names: dict[str, sql.Composable]) -> None:
    for statement in statements:
        written = sql.SQL(statement).format(**names).as_string()
        connection.exec_driver_sql(
            written.replace("%", "%%")
        )  # the driver takes % for a placeholder, in a password too
