"""A Redis server for the tests."""

from __future__ import annotations

import shutil
import socket
import subprocess
import time
from pathlib import Path

from redis import AuthenticationError, Redis, RedisError

from tests.not_run import not_run

#: Seconds until a server that does not answer counts as broken.
PATIENCE = 20


def find_server() -> str | None:
    """The program of the server, if it is there."""
    return shutil.which("redis-server") or shutil.which("valkey-server")


def needed_server() -> str:
    """The program of the server; without it the test is left out."""
    return find_server() or not_run("No redis-server here; apt-get install redis-server.")


class RedisServer:
    """A server on the loopback interface that keeps nothing on disk.

    :param options: further options of the program.
    """

    def __init__(self, folder: Path, *options: str) -> None:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            self.port: int = listener.getsockname()[1]
        self.socket = folder / f"redis-{self.port}.sock"
        self._command = [
            needed_server(),
            *("--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)),
            *("--unixsocket", str(self.socket), "--save", "", "--appendonly", "no"),
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    @property
    def url(self) -> str:
        """Where it is."""
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> Redis:
        """A client of it, for looking behind the store."""
        return Redis(port=self.port)

    def start(self) -> None:
        """Start, and wait until it answers."""
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL)
        deadline = time.monotonic() + PATIENCE
        with self.client() as client:
            while True:
                try:
                    client.ping()
                    return
                except AuthenticationError:
                    return
                except RedisError:
                    if time.monotonic() > deadline or self._process.poll() is not None:
                        raise
                    time.sleep(0.02)

    def kill(self) -> None:
        """End at once, as by a power cut."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
