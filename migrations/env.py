"""Runs the migrations of the schema that alembic's `-n` names, as the schema's owner role."""

import importlib
import os
from typing import Literal

from alembic import context
from sqlalchemy import Connection, create_engine, text
from sqlmodel import AutoString

from shared.database import UtcDateTime, driver_url

config = context.config
schema = config.config_ini_section
metadata = importlib.import_module(config.get_main_option("module") or "").module.metadata


def of_this_schema(name: str | None, kind: str, _parents: object) -> bool:
    """Autogenerate and checks look at this schema only."""
    return kind != "schema" or name == schema


def plain_types(kind: str, item: object, _context: object) -> str | Literal[False]:
    """Write our column types as the plain ones they are in the database."""
    if kind == "type" and isinstance(item, UtcDateTime):
        return "sa.DateTime(timezone=True)"
    if kind == "type" and isinstance(item, AutoString):
        return "sa.String()"
    return False


def migrate(connection: Connection) -> None:
    """Bring the schema to the wanted revision in one transaction."""
    owner = connection.execute(
        text("select rolname from pg_namespace join pg_roles r on r.oid = nspowner where nspname = :schema"),
        {"schema": schema},
    ).scalar()
    if owner is not None:
        connection.execute(text(f'set local role "{owner}"'))
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table="migrations",
        version_table_schema=schema,
        include_schemas=True,
        include_name=of_this_schema,
        render_item=plain_types,
        compare_server_default=True,
    )
    context.run_migrations()


given: Connection | None = config.attributes.get("connection")
if given is not None:
    migrate(given)
else:
    with create_engine(driver_url(os.environ["TICKGATE_DATABASE_URL"])).begin() as own:
        migrate(own)
