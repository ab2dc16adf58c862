"""Children end with their parent, by the kernel's signal or by the watcher."""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cli.embedded.account import Account, EmbeddedServerError, server_account
from cli.embedded.children import Child, free_port, is_running, serving, stop_together
from tests.cli.embedded.conftest import within

PARENT = """
import sys, time
from pathlib import Path
from cli.embedded.children import Child
child = Child.spawn(["sh", "-c", "echo $$ > pid; exec sleep 60"], cwd=Path(sys.argv[1]), watcher=sys.argv[2] == "True")
time.sleep(60)
"""
# not a shell's trap: dash loses a signal that comes while it starts a command
OBEDIENT = """
import signal, sys
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
print("ready", flush=True)
signal.sigwait({signal.SIGINT})
print("bye", flush=True)
sys.exit(3)
"""
STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.1; done"


@pytest.mark.parametrize("watcher", [False, True])
def test_a_child_ends_when_its_parent_is_killed(tmp_path: Path, watcher: bool) -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT, tmp_path, str(watcher)]) as parent:
        assert within(20, lambda: _read_pid(tmp_path / "pid") is not None)
        pid = _read_pid(tmp_path / "pid")
        assert pid is not None
        assert is_running(pid)
        parent.kill()
    assert within(20, lambda: not is_running(pid))


def test_without_either_a_child_would_outlive_its_parent(tmp_path: Path) -> None:
    script = PARENT.replace("Child.spawn(", "__import__('subprocess').Popen(").replace(
        ', watcher=sys.argv[2] == "True"', ""
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path]) as parent:
        assert within(20, lambda: _read_pid(tmp_path / "pid") is not None)
        parent.kill()
    pid = _read_pid(tmp_path / "pid")
    assert pid is not None
    try:
        assert not within(0.5, lambda: not is_running(pid))
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("watcher", [False, True])
def test_stop_sends_the_signal_and_output_goes_to_the_log(tmp_path: Path, watcher: bool) -> None:
    child = Child.spawn([sys.executable, "-c", OBEDIENT], log=tmp_path / "log", watcher=watcher)
    assert within(20, lambda: "ready" in child.tail())
    assert child.running
    child.stop(signal.SIGINT)
    assert child.returncode == 3
    assert child.tail() == "ready\nbye"
    assert (tmp_path / "log").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("watcher", [False, True])
def test_a_child_that_ignores_the_signal_is_killed(tmp_path: Path, watcher: bool) -> None:
    child = Child.spawn(["sh", "-c", STUBBORN], log=tmp_path / "log", watcher=watcher)
    assert within(20, lambda: "ready" in child.tail())
    child.stop(timeout=0.3)
    assert child.returncode == -signal.SIGKILL


def test_several_that_ignore_the_signal_take_no_longer_than_one(tmp_path: Path) -> None:
    children = [Child.spawn(["sh", "-c", STUBBORN], log=tmp_path / str(number)) for number in range(4)]
    assert within(20, lambda: all("ready" in child.tail() for child in children))
    asked = time.monotonic()
    stop_together(children, timeout=1)
    assert time.monotonic() - asked < 2
    assert [child.returncode for child in children] == [-signal.SIGKILL] * 4


def test_a_watcher_reports_how_the_command_ended() -> None:
    child = Child.spawn(["sh", "-c", "kill -9 $$"], watcher=True)
    assert child.wait(5) == 128 + signal.SIGKILL


def test_a_child_started_in_a_thread_outlives_the_thread(tmp_path: Path) -> None:
    children: list[Child] = []
    thread = threading.Thread(target=lambda: children.append(Child.spawn(["sleep", "60"])))
    thread.start()
    thread.join()
    assert not within(0.3, lambda: not children[0].running)
    children[0].stop()


def test_a_child_has_a_session_of_its_own() -> None:
    child = Child.spawn(["sleep", "60"])
    assert os.getsid(child.pid) == child.pid != os.getsid(0)
    child.stop()


def test_a_missing_command_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        Child.spawn(["/no/such/command"])


@pytest.mark.parametrize("watcher", [False, True])
def test_an_account_is_dropped_to(tmp_path: Path, watcher: bool) -> None:
    account = _account()
    log = tmp_path / "log"
    child = Child.spawn(
        ["sh", "-c", "id -u; id -G; echo $HOME"], cwd=Path("/"), log=log, account=account, watcher=watcher
    )
    assert child.wait(5) == 0
    home = account.home
    assert child.tail().splitlines() == [str(account.uid), str(account.gid), home]


def test_a_taken_port_is_tried_again_with_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ports = [taken.getsockname()[1]]

        def spawn(port: int) -> Child:
            chosen = ports.pop() if ports else port
            return Child.spawn(
                [sys.executable, "-m", "http.server", str(chosen), "-b", "127.0.0.1"], log=tmp_path / "log"
            )

        with serving("A server", spawn=spawn, answers=_listens, stop_signal=signal.SIGTERM) as port:
            assert port != taken.getsockname()[1]
            assert _listens(port)
    assert not _listens(port)


def test_a_server_that_ends_shows_its_log(tmp_path: Path) -> None:
    def spawn(port: int) -> Child:
        return Child.spawn(["sh", "-c", "echo no disk; exit 1"], log=tmp_path / "log")

    serve = serving("A server", spawn=spawn, answers=_listens, stop_signal=signal.SIGTERM)
    with pytest.raises(EmbeddedServerError, match=r"(?s)A server did not start.*no disk"), serve:
        pass


def test_a_free_port_can_be_bound() -> None:
    with socket.create_server(("127.0.0.1", free_port())):
        pass


def _account() -> Account:
    account = server_account()
    if account is None:
        pytest.skip("only root can drop to another account")
    return account


def _read_pid(path: Path) -> int | None:
    text = path.read_text().strip() if path.exists() else ""
    return int(text) if text else None


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
