"""`tickgate doctor`: says in plain words what is in order and what is not."""

import sys
from collections.abc import Callable
from functools import partial

import httpx
import psycopg
import redis
from psycopg import sql
from rich.console import Console
from rich.markup import escape

from cli.environment import Running, running
from cli.migrate import needed_revision
from cli.settings import PREFIX, SCHEMAS, OperatorSettings

DATABASE = f"{PREFIX}DATABASE_URL"
REDIS = f"{PREFIX}REDIS_URL"
console = Console(highlight=False)


class Ailing(Exception):
    """Something is not in order; the message says what, and what to do."""


def doctor(settings: OperatorSettings) -> bool:
    """Print a line for each check, as far as there is something to look at; whether all are in order."""
    place = _place(settings)
    fine = [_told(_python), _told(partial(_found, settings, place))]
    if place is None:
        return False
    fine.append(_told(partial(_gateway, settings, place.ready.get("gateway"))))
    fine.append(_told(partial(_database, place.environment[DATABASE])))
    if fine[-1]:
        fine.append(_told(partial(_schemas, place.environment[DATABASE])))
    fine.append(_told(partial(_redis, place.environment[REDIS])))
    others = {name: url for name, url in place.ready.items() if name != "gateway"}
    fine.extend(_told(partial(_ready, settings, name, url)) for name, url in others.items())
    return all(fine)


def _told(check: Callable[[], str]) -> bool:
    """Whether this is in order, and the line that says so or what is not."""
    try:
        console.print(f"[green]ok[/]    {escape(check())}", soft_wrap=True)
    except Ailing as error:
        console.print(f"[red]wrong[/] {escape(str(error))}", soft_wrap=True)
        return False
    return True


def _python() -> str:
    return f"Python {sys.version.split()[0]}"


def _place(settings: OperatorSettings) -> Running | None:
    """What to look at: the platform that runs with this home, or the stores that the settings name."""
    beside = running(settings.home)
    if settings.database_url and (beside is None or beside.environment.get(DATABASE) != settings.database_url):
        return Running(0, {DATABASE: settings.database_url, REDIS: settings.redis_url}, {})
    return beside


def _found(settings: OperatorSettings, place: Running | None) -> str:
    if place is None:
        raise Ailing(f"no platform runs with its home in {settings.home.resolve()}: start it with `make run`")
    if not place.pid:
        return (
            "settings given; worker, relay, announcer and scheduler are not looked at: `tickgate up` did not start them"
        )
    return f"a platform runs with its home in {settings.home.resolve()}, as process {place.pid}"


def _gateway(settings: OperatorSettings, announced: str | None) -> str:
    url = announced or f"http://{settings.host}:{settings.port}/readyz"
    try:
        answer = httpx.get(url, timeout=5)
    except httpx.HTTPError as error:
        hint = _see_log(settings, "gateway") if announced else "is it running, is TICKGATE_PORT right?"
        raise Ailing(f"the gateway does not answer at {url} ({error}): {hint}") from None
    if answer.status_code != 200:
        raise Ailing(f"the gateway is not ready: {answer.text}")
    return f"the gateway serves at {url.removesuffix('/readyz')}"


def _database(url: str) -> str:
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            version = connection.info.server_version // 10000
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise Ailing(f"PostgreSQL does not answer ({reason}): check TICKGATE_DATABASE_URL") from None
    if version < 15:
        raise Ailing(f"PostgreSQL {version} is too old: 15 or newer is needed")
    return f"PostgreSQL {version} answers"


def _schemas(url: str) -> str:
    needed = {schema: needed_revision(schema) for schema in SCHEMAS}
    with psycopg.connect(url, connect_timeout=3, autocommit=True) as connection:
        found = {schema: _revision(connection, schema) for schema in SCHEMAS}
    wrong = [
        f"{schema} is at {found[schema] or 'no revision'}, not at {needed[schema]}"
        for schema in SCHEMAS
        if found[schema] != needed[schema]
    ]
    if wrong:
        raise Ailing(f"the database is not what this version needs ({'; '.join(wrong)}): run `tickgate migrate`")
    return f"the database is what this version needs ({', '.join(f'{s} at {needed[s]}' for s in SCHEMAS)})"


def _revision(connection: psycopg.Connection, schema: str) -> str | None:
    """The revision that a schema is at; none where it is not there, or may not be seen."""
    try:
        row = connection.execute(
            sql.SQL("select version_num from {}.migrations").format(sql.Identifier(schema))
        ).fetchone()
    except psycopg.ProgrammingError:
        return None
    return None if row is None else str(row[0])


def _redis(url: str) -> str:
    try:
        redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3).ping()
    except redis.RedisError as error:
        raise Ailing(f"Redis does not answer ({error}): check TICKGATE_REDIS_URL") from None
    return "Redis answers"


def _ready(settings: OperatorSettings, name: str, url: str) -> str:
    try:
        answer = httpx.get(url, timeout=5)
    except httpx.HTTPError as error:
        raise Ailing(f"the {name} does not answer at {url} ({error}): {_see_log(settings, name)}") from None
    if answer.status_code != 200:
        raise Ailing(f"the {name} is not ready ({answer.text}): {_see_log(settings, name)}")
    return f"the {name} is ready"


def _see_log(settings: OperatorSettings, name: str) -> str:
    return f"its log is {settings.home.resolve() / 'logs' / name}.log"
