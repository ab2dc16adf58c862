"""What a platform keeps anywhere, and where among that a key is."""

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

import psycopg
from psycopg import sql
from redis import Redis

KEY = re.compile(r"tg_[a-z]+_[0-9A-Za-z]{10}_[0-9A-Za-z_-]{30,}")
KEY_BYTES = re.compile(KEY.pattern.encode())


def _stored(url: str) -> Iterator[tuple[str, str]]:
    """Every row of every table, as text."""
    tables = (
        "select n.nspname, c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace "
        "where c.relkind in ('r', 'm', 'p') and n.nspname not in ('pg_catalog', 'information_schema', 'pg_toast')"
    )
    with closing(psycopg.connect(url, autocommit=True)) as connection:
        for schema, table in connection.execute(tables).fetchall():
            query = sql.SQL("select t::text from {} t").format(sql.Identifier(schema, table))
            for (row,) in connection.execute(query):
                yield f"{schema}.{table}", row


def _remembered(url: str) -> Iterator[tuple[str, str]]:
    """Every key of Redis and what it holds, as Redis itself would save it."""
    with closing(Redis.from_url(url)) as redis:
        for name in redis.scan_iter():
            yield f"redis {name!r}", f"{name!r} {_value(redis, name)!r}"


def _value(redis: Redis, name: bytes) -> object:
    kind = redis.type(name)
    readers: dict[bytes | str, Callable[[], object]] = {
        b"string": lambda: redis.get(name),
        b"list": lambda: redis.lrange(name, 0, -1),
        b"set": lambda: redis.smembers(name),
        b"zset": lambda: redis.zrange(name, 0, -1),
        b"hash": lambda: redis.hgetall(name),
        b"stream": lambda: redis.xrange(name),
    }
    return readers[kind]()


def _logged(logs: Path) -> Iterator[tuple[str, str]]:
    for file in logs.rglob("*"):
        if file.is_file():
            yield str(file), file.read_text(errors="replace")


def everything(env: Mapping[str, str], logs: Path) -> Iterator[tuple[str, str]]:
    """Wherever a platform keeps something, and what."""
    yield from _stored(env["TICKGATE_DATABASE_URL"])
    yield from _remembered(env["TICKGATE_REDIS_URL"])
    yield from _logged(logs)


def in_files(folder: Path, *, without: str = "") -> list[str]:
    """The files in which something looks like a key, byte by byte: logs, tables and what is written ahead of them."""
    found = [file for file in folder.rglob("*") if file.is_file() and file.name != without]
    return [str(file) for file in found if KEY_BYTES.search(file.read_bytes())]


def holding(kept: Iterable[tuple[str, str]], keys: Collection[str]) -> list[str]:
    """The places of what looks like a key, or holds the secret of one of these."""
    secrets = [key.split("_")[3] for key in keys]
    return [place for place, text in kept if KEY.search(text) or any(secret in text for secret in secrets)]
