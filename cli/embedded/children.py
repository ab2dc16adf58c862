"""Child processes that end with us, however we end."""

import ctypes
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cli.embedded import watch
from cli.embedded.account import Account, EmbeddedServerError

PR_SET_PDEATHSIG = 1
PORT_ATTEMPTS = 5
START_SECONDS = 60.0


@dataclass(frozen=True)
class Child:
    """A running command in a session of its own: a terminal's Ctrl-C reaches only us, and we stop it in order."""

    process: subprocess.Popen[bytes]
    log: Path | None
    log_start: int

    @classmethod
    def spawn(
        cls,
        command: Sequence[str | Path],
        *,
        env: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        log: Path | None = None,
        account: Account | None = None,
        death_signal: signal.Signals = signal.SIGTERM,
        inherit: Sequence[int] = (),
        watcher: bool | None = None,
    ) -> "Child":
        """Start `command` so that it gets `death_signal` when we die, even of SIGKILL.

        Output is appended to `log` (0600), else goes where ours goes. `account` is dropped to, for which we must be
        root. `inherit` are open file descriptors to hand down. `watcher` forces or forbids the watching process that
        stands in for Linux's death signal elsewhere, and in threads: Linux means the thread, not the process.
        Raises OSError if the command cannot be run.
        """
        if watcher is None:
            watcher = sys.platform != "linux" or threading.current_thread() is not threading.main_thread()
        arguments = [str(part) for part in command]
        if watcher:
            arguments = [*_watch_command(death_signal, account), *arguments]
        drop = None if watcher else account
        output = None if log is None else os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            start = 0 if output is None else os.fstat(output).st_size
            process = subprocess.Popen(
                arguments,
                env=_environment(env, account),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
                pass_fds=inherit,
                user=None if drop is None else drop.uid,
                group=None if drop is None else drop.gid,
                extra_groups=None if drop is None else [drop.gid],
                preexec_fn=None if watcher else _bind_to_parent(death_signal),  # noqa: PLW1509
            )
        finally:
            if output is not None:
                os.close(output)
        return cls(process=process, log=log, log_start=start)

    @property
    def pid(self) -> int:
        """Process id: the watcher's, where there is one."""
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self.process.poll() is None

    @property
    def returncode(self) -> int | None:
        """Exit status once it has ended; -n if signal n ended it."""
        return self.process.poll()

    def wait(self, timeout: float) -> int | None:
        """Wait up to `timeout` seconds for the end; None if it still runs."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            return None

    def stop(self, stop_signal: signal.Signals = signal.SIGTERM, *, timeout: float = 10.0) -> None:
        """Ask it to end by `stop_signal`; after `timeout` seconds, or when we are interrupted, kill its group."""
        stop_together([self], stop_signal, timeout=timeout)

    def tail(self, lines: int = 20) -> str:
        """The last lines it logged since this start."""
        if self.log is None:
            return ""
        with self.log.open("rb") as file:
            file.seek(self.log_start)
            return "\n".join(file.read().decode(errors="replace").splitlines()[-lines:])


def stop_together(
    children: Sequence[Child], stop_signal: signal.Signals = signal.SIGTERM, *, timeout: float = 10.0
) -> None:
    """Ask all that still run to end by `stop_signal`, then wait; those that take too long are killed, as in `stop`."""
    children = [child for child in children if child.running]
    deadline = time.monotonic() + timeout
    for child in children:
        child.process.send_signal(stop_signal)
    try:
        for child in children:
            child.wait(max(deadline - time.monotonic(), 0))
    finally:
        for child in children:
            if child.running:
                os.killpg(child.pid, signal.SIGKILL)
                child.process.wait()


@contextmanager
def serving(
    name: str,
    *,
    spawn: Callable[[int], Child],
    answers: Callable[[int], bool],
    stop_signal: signal.Signals,
) -> Iterator[int]:
    """Run a server on a free loopback port and yield the port once `answers` says so; stop it at the end.

    Raises EmbeddedServerError with the log's tail if it ends or stays silent for a minute.
    """
    for _ in range(PORT_ATTEMPTS):
        port = free_port()
        child = spawn(port)
        try:
            if _await_answer(child, lambda port=port: answers(port)):  # type: ignore[misc]
                yield port
                return
        finally:
            child.stop(stop_signal, timeout=30.0)
        if "Address already in use" not in child.tail():
            break
    raise EmbeddedServerError(f"{name} did not start. Its log, {child.log}, ends with:\n{child.tail()}")


def is_running(pid: int) -> bool:
    """Whether a process has this id, be it ours or another user's."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def free_port() -> int:
    """A loopback port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _await_answer(child: Child, answers: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + START_SECONDS
    while child.running and time.monotonic() < deadline:
        if answers():
            return True
        time.sleep(0.02)
    return False


def _watch_command(death_signal: signal.Signals, account: Account | None) -> list[str]:
    user = [] if account is None else ["--user", f"{account.uid}:{account.gid}"]
    return [sys.executable, "-I", watch.__file__, "--signal", str(int(death_signal)), *user, str(os.getpid()), "--"]


def _environment(env: Mapping[str, str] | None, account: Account | None) -> dict[str, str]:
    result = dict(os.environ if env is None else env)
    if account is not None:
        result["HOME"] = account.home
    return result


def _bind_to_parent(death_signal: signal.Signals) -> Callable[[], None]:
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def bind() -> None:
        # Popen runs this after it has changed the user, which would clear the setting.
        if prctl(PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0) != 0:
            raise OSError("prctl(PR_SET_PDEATHSIG) failed")
        if os.getppid() != parent:  # it died before the setting took effect
            os._exit(1)

    return bind
