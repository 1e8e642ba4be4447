"""Workers of gevent, which serve many requests in one thread."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

from tests.stores.redis_server import RedisServer

from .processes import Provider, Server
from .scripted import ScriptedBrowser
from .test_workers import interleave, sign_in

if TYPE_CHECKING:
    from .conftest import Serve

PEOPLE = 20
THREADS = 4
AT_ONCE = 8


@pytest.fixture(scope="module")
def redis(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A Redis server."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(scope="module", params=["sqlite", "redis"])
def make_server(request: pytest.FixtureRequest, serve: Serve) -> Serve:
    """Start workers of gevent with either store."""
    settings = {}
    if request.param == "redis":
        settings["PKCE_STORE_URL"] = request.getfixturevalue("redis").url

    def start(**further: object) -> Server:
        return serve(options=("--worker-class", "gevent"), **settings, **further)

    return start


def bring_answer(server: Server, login: str) -> ScriptedBrowser:
    """Sign somebody in as far as the answer, which is not exchanged yet."""
    browser = ScriptedBrowser()
    page = browser.submit(browser.open(f"{server.url}/"))
    assert browser.sign_in(page, login).status_code == 200
    return browser


def test_two_workers_serve_many_people(make_server: Serve, provider: Provider) -> None:
    """No sign-in fails or goes to another person, whichever worker gets which request."""
    server = make_server(workers=2)
    mark = provider.mark()
    interleave([sign_in(server, f"person{number}") for number in range(PEOPLE)], THREADS)
    assert provider.count("token", since=mark) == PEOPLE
    assert provider.count("token_refused", since=mark) == 0
    assert "Traceback" not in server.log()
    assert "MonkeyPatchWarning" not in server.log()


def test_one_worker_waits_for_many(make_server: Serve, provider: Provider) -> None:
    """While the tenant is slow, or a caller waits, the others are served."""
    server = make_server(PKCE_LOCAL_SESSION="true")
    people = [bring_answer(server, f"person{number}") for number in range(AT_ONCE)]
    sent = requests.post(f"{server.url}/pkce/code", timeout=10).json()
    state = parse_qs(urlsplit(sent["authorization_url"]).query)["state"][0]

    def exchange(browser: ScriptedBrowser) -> int:
        return browser.fetch(f"{server.url}/pkce/token", json={}).status_code

    def wait() -> str:
        answer = requests.post(
            f"{server.url}/pkce/code",
            json={"state": state},
            headers={"Prefer": "wait=3"},
            timeout=10,
        )
        return answer.headers["Preference-Applied"]

    with provider.slow(1.0), ThreadPoolExecutor(AT_ONCE + 1) as pool:
        begun = time.monotonic()
        waits = pool.submit(wait)
        assert list(pool.map(exchange, people)) == [200] * AT_ONCE
        took = time.monotonic() - begun
        assert waits.result() == "wait=3"
    # One after the other they would need a second each.
    assert 1 <= took < AT_ONCE
