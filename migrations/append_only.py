"""Makes a table append-only for everyone, its owner included, by triggers."""

from alembic import op


def make_append_only(schema: str, table: str) -> None:
    """Refuse UPDATE, DELETE and TRUNCATE on the table."""
    op.execute(f"""
        create function {schema}.refuse_change() returns trigger language plpgsql as $$
        begin
            raise exception '% is append-only', tg_table_name using errcode = 'insufficient_privilege';
        end $$;
    """)
    add_append_only(schema, table)


def add_append_only(schema: str, table: str) -> None:
    """The same for one more table of a schema that has such a one."""
    op.execute(f"""
        create trigger append_only before update or delete on {schema}.{table}
            for each row execute function {schema}.refuse_change();
        create trigger append_only_truncate before truncate on {schema}.{table}
            for each statement execute function {schema}.refuse_change();
    """)


def drop_append_only(schema: str) -> None:
    """Drop what `make_append_only` made, when its table is gone."""
    op.execute(f"drop function {schema}.refuse_change()")
