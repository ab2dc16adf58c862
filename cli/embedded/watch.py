"""Runs a command that must not outlive its parent, where the kernel offers no death signal (macOS).

Usage: python -m cli.embedded.watch [--signal N] [--user UID:GID] PARENT_PID -- COMMAND...
It imports the standard library only: it is also run by path, from any folder.
"""

import argparse
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from types import FrameType

FORWARDED = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)
POLL_SECONDS = 0.1
PATIENCE_SECONDS = 10.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command until it ends or the parent is gone; returns its exit status, 128 + n if signal n ended it."""
    options = _parse(arguments)
    received: list[int] = []

    def remember(number: int, _frame: FrameType | None) -> None:
        received.append(number)

    for number in FORWARDED:
        signal.signal(number, remember)
    process = _start(options.command, options.user)
    while process.poll() is None:
        while received:
            process.send_signal(received.pop(0))
        if os.getppid() != options.parent:
            _stop(process, options.signal)
        _pause(process, POLL_SECONDS)
    return process.returncode if process.returncode >= 0 else 128 - process.returncode


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run a command that ends with its parent.")
    parser.add_argument("--signal", type=int, default=signal.SIGTERM, help="sent when the parent is gone")
    parser.add_argument("--user", help="UID:GID to run the command as")
    parser.add_argument("parent", type=int, help="our parent's process id")
    parser.add_argument("command", nargs="+")
    return parser.parse_args(arguments)


def _start(command: Sequence[str], user: str | None) -> subprocess.Popen[bytes]:
    if user is None:
        return subprocess.Popen(command, close_fds=False)
    uid, gid = (int(part) for part in user.split(":"))
    return subprocess.Popen(command, close_fds=False, user=uid, group=gid, extra_groups=[gid])


def _stop(process: subprocess.Popen[bytes], number: int) -> None:
    process.send_signal(number)
    deadline = time.monotonic() + PATIENCE_SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        _pause(process, POLL_SECONDS)
    process.kill()


def _pause(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        return


if __name__ == "__main__":
    sys.exit(main())
