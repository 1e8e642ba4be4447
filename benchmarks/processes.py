"""The programs around a measurement: the stub provider, Redis, gunicorn."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import certifi
import requests
import trustme

from .contestants import Provider

ROOT = Path(__file__).resolve().parent.parent

#: Seconds until a program that does not answer counts as broken.
_PATIENCE = 30
#: What would send the calls of the measured clients elsewhere, or give them another trust store.
_FOREIGN = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR")


def clean_environment() -> None:
    """Take out of this process's environment what changes how clients connect."""
    for name in list(os.environ):
        if name in _FOREIGN or name.lower().endswith("_proxy"):
            del os.environ[name]
    # Flask-Dance asks for https on both sides, and here neither leaves the machine.
    os.environ["OAUTHLIB_INSECURE_TRANSPORT"] = "1"


@dataclass(frozen=True)
class Certificates:
    """A certificate of 127.0.0.1, and two trust stores that it can be checked with."""

    certificate: Path
    #: The one root that signed it.
    one_root: Path
    #: The same among those that certifi brings.
    usual_bundle: Path


def make_certificates(folder: Path) -> Certificates:
    """Make them, in a folder that is there."""
    authority = trustme.CA()
    made = Certificates(folder / "server.pem", folder / "root.pem", folder / "bundle.pem")
    authority.issue_cert("127.0.0.1").private_key_and_cert_chain_pem.write_to_path(
        str(made.certificate)
    )
    root = authority.cert_pem.bytes()
    made.one_root.write_bytes(root)
    made.usual_bundle.write_bytes(Path(certifi.where()).read_bytes() + root)
    return made


@contextmanager
def stub(certificates: Certificates | None = None, *, latency: float = 0) -> Iterator[Provider]:
    """Start the provider, over https where there are certificates.

    :param latency: seconds that a token request takes.
    """
    command = [sys.executable, "-m", "benchmarks.stub", "--latency", str(latency)]
    bundle = None
    if certificates is not None:
        command += ["--certificate", str(certificates.certificate)]
        bundle = str(certificates.one_root)
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield Provider(process.stdout.readline().strip(), bundle)
        finally:
            process.stdin.close()


def counts(provider: Provider) -> dict[str, int]:
    """What the provider counted so far, by path, and ``connections`` that asked for tokens."""
    answer = requests.get(f"{provider.issuer}counts", verify=provider.ca_bundle or True)
    counted: dict[str, int] = answer.json()
    return counted


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _await_port(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@contextmanager
def redis_server(folder: Path) -> Iterator[str | None]:
    """Start a Redis server that keeps nothing on disk; yields its URL, None if there is none."""
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        yield None
        return
    port = _free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--dir", str(folder), "--save", "")
    process = subprocess.Popen([program, *options], stdout=subprocess.DEVNULL)
    try:
        _await_port(port, process)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        process.terminate()
        process.wait()


@dataclass(frozen=True)
class Server:
    """A gunicorn that runs."""

    port: int
    _process: subprocess.Popen[bytes]

    def cpu_seconds(self) -> float:
        """CPU of its workers so far."""
        ticks = 0
        for worker in self._workers():
            fields = Path(f"/proc/{worker}/stat").read_text().rpartition(")")[2].split()
            ticks += int(fields[11]) + int(fields[12])
        return ticks / os.sysconf("SC_CLK_TCK")

    def memory(self) -> int:
        """Bytes of memory that its workers hold."""
        page = os.sysconf("SC_PAGE_SIZE")
        fields = (Path(f"/proc/{worker}/statm").read_text().split() for worker in self._workers())
        return page * sum(int(resident) for _, resident, *_ in fields)

    def _workers(self) -> list[str]:
        master = self._process.pid
        return Path(f"/proc/{master}/task/{master}/children").read_text().split()


@contextmanager
def gunicorn(application: str, *, workers: int, threads: int) -> Iterator[Server]:
    """Start gunicorn.

    :param application: a module and an expression that makes the application.
    """
    port = _free_port()
    options = (f"--workers={workers}", f"--threads={threads}", f"--bind=127.0.0.1:{port}")
    command = [sys.executable, "-m", "gunicorn", *options, "--log-level=warning", application]
    process = subprocess.Popen(command, cwd=ROOT)
    try:
        _await_port(port, process)
        yield Server(port, process)
    finally:
        process.terminate()
        process.wait()
