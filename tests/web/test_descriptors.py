"""A server process that reaches its limit of open files, and goes on when others are closed."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import requests

from tests.stores.redis_server import RedisServer

from . import starved_host

ROOT = Path(__file__).parents[2]
STARVE = {"X-Starve": "1"}
CODE = "file-descriptors-exhausted"
LAYOUT = "<h1>The shop</h1>{% block content %}{% endblock %}"

Visit = Callable[..., requests.Response]


@pytest.fixture
def templates(tmp_path: Path) -> Path:
    """The folder of the host's templates, with a layout of its own."""
    folder = tmp_path / "templates"
    (folder / "pkce").mkdir(parents=True)
    (folder / "pkce" / "base.html").write_text(LAYOUT)
    return folder


@contextmanager
def serving(store_url: str, templates: Path, log: Path) -> Iterator[Visit]:
    """Run the host, and yield what sends it a request for a page."""
    command = [sys.executable, starved_host.__file__, store_url, str(templates)]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with (
        log.open("w") as errors,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, text=True, env=environ
        ) as process,
    ):
        assert process.stdout is not None
        port = process.stdout.readline().strip()

        def visit(path: str = "/pkce/challenge", **headers: str) -> requests.Response:
            address = f"http://127.0.0.1:{port}{path}"
            return requests.get(address, headers={"Accept": "text/html", **headers}, timeout=20)

        try:
            yield visit
        finally:
            process.terminate()


def check(answer: requests.Response, log: Path) -> None:
    """Check that an answer, and the log, name what is missing, and not the store."""
    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert "The server has no file descriptors left." in answer.text
    assert f"<code>{CODE}</code>" in answer.text
    (line,) = [line for line in log.read_text().splitlines() if line.startswith(CODE)]
    assert "PKCE_" not in line
    assert "Traceback" not in log.read_text()


def test_file(tmp_path: Path, templates: Path) -> None:
    """The first error of a process is shown as a page, although no template was read before."""
    log = tmp_path / "log"
    with serving(f"sqlite:///{tmp_path}/store.db", templates, log) as visit:
        check(answer := visit(**STARVE), log)
        assert "The shop" not in answer.text
        assert answer.text.startswith("<!doctype html>")
        assert visit().status_code == 200


def test_layout_of_the_host(tmp_path: Path, templates: Path) -> None:
    """Where the host's template was read before, the page has its layout."""
    log = tmp_path / "log"
    with serving(f"sqlite:///{tmp_path}/store.db", templates, log) as visit:
        assert "The shop" in visit("/pkce/response/code").text
        check(answer := visit(**STARVE), log)
        assert "The shop" in answer.text


def test_redis(tmp_path: Path, templates: Path) -> None:
    """Redis is not blamed for a connection that this process cannot open."""
    log, server = tmp_path / "log", RedisServer(tmp_path)
    try:
        with serving(server.url, templates, log) as visit:
            check(visit(**STARVE), log)
            assert visit().status_code == 200
    finally:
        server.kill()


def test_another_page(tmp_path: Path, templates: Path) -> None:
    """What needs no further descriptor succeeds, and its page is there, too."""
    log = tmp_path / "log"
    with serving("memory://", templates, log) as visit:
        answer = visit(**STARVE)
        assert answer.status_code == 200
        assert answer.text.startswith("<!doctype html>")
        assert "The shop" in visit().text
