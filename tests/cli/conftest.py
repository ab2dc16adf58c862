"""Folders for homes, and the command as a process of its own."""

import contextlib
import multiprocessing
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from cli.embedded.account import outside_folder, remove_outside
from cli.embedded.children import free_port
from cli.main import main
from tests.conftest import new_folder

ROOT = Path(__file__).parent.parent.parent

_imported = multiprocessing.get_context("forkserver")
_imported.set_forkserver_preload(["pytest", __name__])


def clean(**settings: str) -> dict[str, str]:
    """The environment without any settings but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("TICKGATE_")}
    return {**kept, **{f"TICKGATE_{name}": value for name, value in settings.items()}}


def tickgate(*arguments: str, env: Mapping[str, str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run `tickgate` to its end."""
    command = [sys.executable, "-m", "cli", *arguments]
    return subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False)


def chore(*arguments: str, env: Mapping[str, str], timeout: float = 60) -> subprocess.CompletedProcess[str]:
    """Run `tickgate` to its end, in a fork of a process that has imported it, which else takes it two seconds."""
    with tempfile.TemporaryDirectory() as folder:
        shown = [Path(folder, name) for name in ("stdout", "stderr")]
        process = _imported.Process(target=_command, args=(arguments, dict(env), shown))
        process.start()
        process.join(timeout)
        if process.exitcode is None:
            process.kill()
            raise subprocess.TimeoutExpired(arguments, timeout)
        return subprocess.CompletedProcess(arguments, process.exitcode, *(file.read_text() for file in shown))


def _command(arguments: tuple[str, ...], env: dict[str, str], shown: list[Path]) -> None:
    """What `python -m cli` does, with its output in files."""
    for number, file in enumerate(shown, 1):
        os.dup2(os.open(file, os.O_WRONLY | os.O_CREAT), number)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(ROOT)
    sys.argv = ["tickgate", *arguments]
    main()


def on_a_terminal(*arguments: str, env: Mapping[str, str]) -> tuple[int, str]:
    """Run `tickgate` where a person looks: its status, and all that the terminal was sent."""
    ours, theirs = pty.openpty()
    command, shown = [sys.executable, "-m", "cli", *arguments], b""
    terminal = {**env, "TERM": "xterm", "COLUMNS": "100"}
    with subprocess.Popen(command, env=terminal, cwd=ROOT, stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        with contextlib.suppress(OSError):  # which is how a terminal ends
            while piece := os.read(ours, 65_536):
                shown += piece
    os.close(ours)
    return process.returncode, shown.decode()


def left_of(home: Path) -> list[str]:
    """The living processes that were told of this home, work in it or serve its data."""
    places = (str(home), str(outside_folder(home)))
    return [found for process in psutil.process_iter() if (found := _mention(process, places))]


def _mention(process: psutil.Process, places: tuple[str, str]) -> str:
    try:
        if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
            return ""
        told = [process.cwd(), process.environ().get("TICKGATE_HOME", ""), *process.cmdline()]
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""
    return f"{process.pid} {' '.join(told[2:])}" if any(one.startswith(places) for one in told) else ""


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether `condition` comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.05)
    return condition()


@dataclass
class Up:
    """A running `tickgate up`."""

    home: Path
    port: int
    process: subprocess.Popen[bytes]
    log: Path

    @classmethod
    def start(cls, home: Path, **settings: str) -> "Up":
        """Start it on a free port and wait until it says that it serves."""
        port, log = free_port(), home.with_name("up.log")
        env = clean(HOME=str(home), PORT=str(port), **settings)
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", "cli", "up"], env=env, cwd=ROOT, stdout=output, stderr=output
            )
        up = cls(home=home, port=port, process=process, log=log)
        if not within(60, lambda: up.serves or process.poll() is not None) or process.poll() is not None:
            up.end()
            raise AssertionError(log.read_text())
        return up

    @property
    def serves(self) -> bool:
        """Whether it has said all that it says at its start."""
        return "Ctrl-C" in self.log.read_text()

    @property
    def lines(self) -> list[str]:
        """What it has said."""
        return self.log.read_text().splitlines()

    @property
    def url(self) -> str:
        """Where the gateway is."""
        return f"http://127.0.0.1:{self.port}"

    def end(self) -> None:
        """Whatever has happened: nothing of it runs on."""
        self.process.kill()
        self.process.wait()
        within(10, lambda: not left_of(self.home))


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A folder that every account may enter, as pytest's own tmp_path is not."""
    path = new_folder()
    path.chmod(0o755)
    yield path
    remove_outside(path / "home")
    shutil.rmtree(path)
