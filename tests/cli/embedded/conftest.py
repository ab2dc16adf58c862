"""Homes for embedded servers, and a way to see which processes are theirs."""

import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]
import pytest

from cli.embedded.account import outside_folder, remove_outside
from tests.conftest import new_folder


def server_pids(home: Path) -> list[int]:
    """The processes whose working folder is one of the servers' data folders."""
    folders = (str(home), str(outside_folder(home)))
    return [
        process.pid
        for process in psutil.process_iter(["cwd", "status"])
        if process.info["status"] != psutil.STATUS_ZOMBIE and (process.info["cwd"] or "").startswith(folders)
    ]


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    """Whether `condition` comes true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return condition()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that every account may enter, as pytest's own tmp_path is not."""
    path = new_folder()
    path.chmod(0o755)
    yield path
    shutil.rmtree(path)


@pytest.fixture
def home(folder: Path) -> Iterator[Path]:
    """A home not made yet; after the test no server of it is left, nor anything in /var/lib."""
    path = folder / "home"
    yield path
    left = server_pids(path)
    remove_outside(path)
    assert left == []
    assert not outside_folder(path).exists()
