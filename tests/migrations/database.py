"""A database of a test's own, seen as each of its roles."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from alembic.config import Config
from sqlalchemy import Connection, create_engine, text

from cli.settings import OperatorSettings
from shared.database import driver_url
from tests.conftest import ROOT

PASSWORD = "only-for-tests"


@dataclass(frozen=True)
class Empty:
    """Where a database is, and who may enter it."""

    settings: OperatorSettings

    @contextmanager
    def connected(self, url: str = "") -> Iterator[Connection]:
        """A connection with a transaction, as the administrator unless a URL says otherwise."""
        engine = create_engine(driver_url(url or self.settings.database_url))
        try:
            with engine.begin() as connection:
                yield connection
        finally:
            engine.dispose()

    @contextmanager
    def trying(self, url: str = "", role: str = "") -> Iterator[Connection]:
        """The same, of which nothing is kept; as another role, if one is named."""
        with self.connected(url) as connection:
            if role:
                connection.execute(text(f'set local role "{role}"'))
            yield connection
            connection.rollback()

    def owner(self, schema: str) -> str:
        """The name of a schema's owner role."""
        return f"{self.settings.database_url.rpartition('/')[2]}_{schema}_owner"

    def shape(self) -> dict[str, list[Any]]:
        """Everything that migrating makes: schemas, tables, columns, constraints, triggers, functions, privileges."""
        return {name: self._rows(query) for name, query in SHAPE.items()}

    def _rows(self, query: str) -> list[Any]:
        with self.connected() as connection:
            return [tuple(row) for row in connection.execute(text(query.replace("OURS", OURS)))]


def alembic(schema: str, connection: Connection) -> Config:
    """What `alembic -n <schema>` works with."""
    config = Config(ROOT / "alembic.ini", ini_section=schema)
    config.set_main_option("script_location", str(ROOT / "migrations"))
    config.set_main_option("version_locations", str(ROOT / "migrations" / schema))
    config.attributes["connection"] = connection
    return config


OURS = "name in ('gateway', 'catalog', 'entitlements', 'pricing')"
SHAPE = {
    "schemas": "select nspname, nspacl::text, pg_get_userbyid(nspowner) from pg_namespace where nspOURS order by 1",
    "relations": """select c.oid::regclass::text, relkind, relacl::text, pg_get_userbyid(relowner)
        from pg_class c join pg_namespace n on n.oid = relnamespace where nspOURS order by 1""",
    "columns": """select attrelid::regclass::text, attname, format_type(atttypid, atttypmod), attnotnull
        from pg_attribute join pg_class c on c.oid = attrelid join pg_namespace n on n.oid = relnamespace
        where nspOURS and attnum > 0 and not attisdropped order by 1, 2""",
    "indexes": "select indexname, indexdef from pg_indexes where schemaOURS order by 1, 2",
    "constraints": """select conrelid::regclass::text, conname, pg_get_constraintdef(o.oid)
        from pg_constraint o join pg_namespace n on n.oid = connamespace where nspOURS order by 1, 2""",
    "triggers": """select tgrelid::regclass::text, pg_get_triggerdef(t.oid) from pg_trigger t
        join pg_class c on c.oid = tgrelid join pg_namespace n on n.oid = relnamespace
        where nspOURS and not tgisinternal order by 1, 2""",
    "functions": """select p.oid::regprocedure::text, prosrc from pg_proc p
        join pg_namespace n on n.oid = pronamespace where nspOURS order by 1""",
    "roles": """select rolname, rolcanlogin, rolsuper, rolconfig::text from pg_roles
        where starts_with(rolname, current_database()) order by 1""",
}
