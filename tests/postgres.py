"""A PostgreSQL of a test's own, to be taken away and given back."""

import os
import signal
from contextlib import ExitStack
from pathlib import Path

from sqlalchemy import make_url

from cli.embedded.account import prepare_home, prepare_place
from cli.embedded.postgres import postgres_server
from tests.conftest import PASSWORD
from tests.faults.queueing import Line


class Postgres:
    """A PostgreSQL that keeps what it acknowledged, at an address that outlives it."""

    def __init__(self, home: Path) -> None:
        self._place, self._log = prepare_place(prepare_home(home)), home / "postgres.log"
        self._running = ExitStack()
        self._line = Line()
        self.url = f"postgresql://tickgate:{PASSWORD}@127.0.0.1:{self._line.port}/tickgate"

    def start(self) -> None:
        """Start it on what it kept; what was not yet in its tables it finds in its log."""
        server = postgres_server(self._place, password=PASSWORD, log=self._log)
        self._line.to = make_url(self._running.enter_context(server)).port or 0

    def kill(self) -> None:
        """End it without a checkpoint, and whatever it was doing for anybody."""
        pid_file = self._place.folder / "postgres" / "postmaster.pid"
        os.kill(int(pid_file.read_text().partition("\n")[0]), signal.SIGQUIT)
        self._running.close()

    def close(self) -> None:
        """End it for good."""
        self._line.close()
        self._running.close()
