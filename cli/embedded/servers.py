"""PostgreSQL and Valkey together, for as long as a block runs."""

import fcntl
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.embedded.account import EmbeddedServerError, prepare_home, prepare_place, write_private
from cli.embedded.children import is_running
from cli.embedded.postgres import postgres_server
from cli.embedded.valkey import valkey_server

__all__ = ["EmbeddedServerError", "Servers", "embedded_servers"]

ENDING_SECONDS = 10.0


@dataclass(frozen=True)
class Servers:
    """Where the two servers are reached, passwords included."""

    database_url: str  # postgresql://tickgate:<password>@127.0.0.1:<port>/tickgate
    redis_url: str  # redis://:<password>@127.0.0.1:<port>/0


@contextmanager
def embedded_servers(home: Path, *, fast: bool = False) -> Iterator[Servers]:
    """Run both servers with their state in `home`; both stop at the end of the block, and when this process dies.

    `fast` gives up durability: for tests. Raises EmbeddedServerError if they cannot start, or run already.
    """
    with ExitStack() as stack:
        try:
            servers = _start(stack, home, fast=fast)
        except OSError as error:
            raise EmbeddedServerError(
                f"The embedded servers cannot start in {home}: {error}. Correct this, or choose another TICKGATE_HOME."
            ) from error
        yield servers


def _start(stack: ExitStack, home: Path, *, fast: bool) -> Servers:
    home = prepare_home(home)
    # The servers inherit the lock: it is free only when they are gone too, even after our own kill -9.
    lock = (stack.enter_context(_locked(home)),)
    place = prepare_place(home)
    database_password, redis_password = _secret(home / "postgres.password"), _secret(home / "valkey.password")
    postgres = postgres_server(place, password=database_password, log=home / "postgres.log", fast=fast, inherit=lock)
    database_url = stack.enter_context(postgres)
    valkey = valkey_server(place, password=redis_password, log=home / "valkey.log", fast=fast, inherit=lock)
    return Servers(database_url=database_url, redis_url=stack.enter_context(valkey))


@contextmanager
def _locked(home: Path) -> Iterator[int]:
    descriptor = os.open(home / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(descriptor, home)
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, str(os.getpid()).encode(), 0)
        yield descriptor
        fcntl.flock(descriptor, fcntl.LOCK_UN)
    finally:
        os.close(descriptor)


def _acquire(descriptor: int, home: Path) -> None:
    """Take the lock; servers whose parent is gone get a moment to end."""
    deadline = time.monotonic() + ENDING_SECONDS
    while True:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            pid = os.pread(descriptor, 20, 0).decode()
            if (pid.isdigit() and is_running(int(pid))) or time.monotonic() > deadline:
                raise EmbeddedServerError(
                    f"Tickgate in {home} is already running (pid {pid}): "
                    f"stop that process, or choose another TICKGATE_HOME."
                ) from error
            time.sleep(0.05)
        else:
            return


def _secret(path: Path) -> str:
    """The password in `path`, made at the first call."""
    if not path.exists():
        write_private(path, secrets.token_urlsafe(32))
    return path.read_text()
