"""`tickgate doctor`: says in plain words what is in order and what is not."""

import json
import sys
from collections.abc import Callable

import httpx
import psycopg
import redis
from rich.console import Console
from rich.markup import escape

from cli.environment import RUNNING
from cli.settings import PREFIX, OperatorSettings

console = Console(highlight=False)
Check = Callable[[OperatorSettings], str]


class Ailing(Exception):
    """Something is not in order; the message says what, and what to do."""


def doctor(settings: OperatorSettings) -> bool:
    """Print a line for each check; whether all are in order."""
    healthy = True
    for check in (_python, _platform, _gateway, _database, _redis):
        try:
            console.print(f"[green]ok[/]    {escape(check(settings))}", soft_wrap=True)
        except Ailing as error:
            healthy = False
            console.print(f"[red]wrong[/] {escape(str(error))}", soft_wrap=True)
    return healthy


def _python(_settings: OperatorSettings) -> str:
    return f"Python {sys.version.split()[0]}"


def _environment(settings: OperatorSettings) -> dict[str, str]:
    if settings.database_url:
        return {f"{PREFIX}DATABASE_URL": settings.database_url, f"{PREFIX}REDIS_URL": settings.redis_url}
    file = settings.home / RUNNING
    if not file.exists():
        raise Ailing(f"no platform runs with its home in {settings.home.resolve()}: start it with `make run`")
    environment: dict[str, str] = json.loads(file.read_text())["environment"]
    return environment


def _platform(settings: OperatorSettings) -> str:
    _environment(settings)
    return f"settings found, home {settings.home.resolve()}"


def _gateway(settings: OperatorSettings) -> str:
    url = f"http://{settings.host}:{settings.port}/readyz"
    try:
        answer = httpx.get(url, timeout=5)
    except httpx.HTTPError as error:
        raise Ailing(
            f"the gateway does not answer at {url} ({error}): is it running, is TICKGATE_PORT right?"
        ) from None
    if answer.status_code != 200:
        raise Ailing(f"the gateway is not ready: {answer.text}")
    return f"the gateway serves at {url.removesuffix('/readyz')}"


def _database(settings: OperatorSettings) -> str:
    url = _environment(settings)[f"{PREFIX}DATABASE_URL"]
    try:
        with psycopg.connect(url, connect_timeout=3) as connection:
            version = connection.info.server_version // 10000
    except psycopg.OperationalError as error:
        reason = " ".join(str(error).split())
        raise Ailing(f"PostgreSQL does not answer ({reason}): check TICKGATE_DATABASE_URL") from None
    if version < 15:
        raise Ailing(f"PostgreSQL {version} is too old: 15 or newer is needed")
    return f"PostgreSQL {version} answers"


def _redis(settings: OperatorSettings) -> str:
    url = _environment(settings)[f"{PREFIX}REDIS_URL"]
    try:
        redis.Redis.from_url(url, socket_timeout=3, socket_connect_timeout=3).ping()
    except redis.RedisError as error:
        raise Ailing(f"Redis does not answer ({error}): check TICKGATE_REDIS_URL") from None
    return "Redis answers"
