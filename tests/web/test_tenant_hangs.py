"""A tenant that hangs, behind a server with many threads, beside a tenant that works."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor, as_completed, wait
from dataclasses import dataclass
from itertools import islice
from socket import socket
from threading import Event, Thread

import pytest
import requests
from flask import Flask
from werkzeug.serving import make_server

from flask_pkce import PKCEBlueprint
from flask_pkce.tenant import cache as tenant_cache
from flask_pkce.testing import LocalTenant
from tests.conftest import SECRET_KEY
from tests.support import RawServer, sign

PEOPLE = 64
MAX_CALLS = 8


@dataclass
class World:
    """An application on loopback, a tenant that never answers, and one that does."""

    app: Flask
    url: str
    works: LocalTenant
    hangs: RawServer
    #: Set as soon as the tenant that hangs was called.
    is_called: Event

    def login(self) -> requests.Response:
        """Follow a link that signs in at the tenant that hangs."""
        return requests.get(
            f"{self.url}/pkce/login",
            params={"domain": self.hangs.address},
            headers={"Accept": "application/json"},
            allow_redirects=False,
            timeout=20,
        )

    def forge_logout(self) -> requests.Response:
        """Post a logout token that pretends to be of the tenant that hangs."""
        token = sign({"iss": f"{self.hangs.address}/", "aud": "x"})
        return requests.post(
            f"{self.url}/pkce/logout/backchannel", data={"logout_token": token}, timeout=20
        )

    def sign_in(self) -> str:
        """Sign in at the tenant that works; return the user's subject."""
        client = self.app.test_client()
        self.works.sign_in_client(client)
        return str(client.get("/pkce/user").get_json()["sub"])


@pytest.fixture
def world() -> Iterator[World]:
    is_called = Event()

    def hang(server: RawServer, connection: socket) -> None:
        server.receive(connection)
        is_called.set()
        server.over.wait(20)

    app = Flask("host")
    with LocalTenant() as works, RawServer(hang) as hangs:
        app.config.update(
            works.config,
            SECRET_KEY=SECRET_KEY,
            PKCE_TENANTS={"hangs": {"domain": hangs.address, "client_id": "x"}},
            PKCE_TOKEN_DELIVERY="session",
            PKCE_MAX_CALLS=MAX_CALLS,
            PKCE_BACKCHANNEL_LOGOUT=True,
        )
        server = make_server("127.0.0.1", 0, app, threaded=True)
        url = f"http://127.0.0.1:{server.server_port}"
        PKCEBlueprint().init_app(app)
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield World(app, url, works, hangs, is_called)
        finally:
            server.shutdown()
            thread.join()
            server.server_close()


def is_busy(response: requests.Response) -> bool:
    """Whether a request was told that too many wait for the tenant."""
    is_told = response.json()["type"].endswith("#tenant-busy")
    return is_told and response.status_code == 503 and response.headers["Retry-After"] == "1"


@pytest.mark.requirement("UP-13")
def test_threads_that_a_tenant_holds(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tenant that hangs holds as many requests as it may, refuses others, and delays no other.

    Here they would wait for ever: what is answered was answered without waiting.
    """
    monkeypatch.setattr(tenant_cache, "MAX_WAIT", 20)
    with ThreadPoolExecutor(PEOPLE) as pool:
        asked: set[Future[requests.Response]] = {pool.submit(world.login) for _ in range(PEOPLE)}
        answered = set(islice(as_completed(asked, 20), PEOPLE - MAX_CALLS))
        assert all(is_busy(each.result()) for each in answered)
        assert world.sign_in() == "auth0|alice"
        held = asked - answered
        assert not any(each.done() for each in held)
        world.hangs.over.set()
        told = {each.result().json()["type"].rpartition("#")[2] for each in held}
    assert told == {"tenant-silent"}
    assert world.hangs.connections == 1


@pytest.mark.requirement("UP-13")
def test_wait_for_a_tenant(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request that waits for the metadata waits for a moment, however long the tenant hangs."""
    monkeypatch.setattr(tenant_cache, "MAX_WAIT", 0.2)
    with ThreadPoolExecutor(MAX_CALLS) as pool:
        first = pool.submit(world.login)
        assert world.is_called.wait(10)
        waiting = [pool.submit(world.login) for _ in range(MAX_CALLS - 1)]
        assert all(is_busy(each.result()) for each in waiting)
        assert not first.done()
        world.hangs.over.set()
        assert first.result().status_code == 504
    # Its failure is known now: the next request is told, and calls nothing.
    assert world.login().status_code == 504
    assert world.hangs.connections == 1


@pytest.mark.requirement("UP-13", "T23")
def test_forged_logout_tokens(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Logout tokens that anybody may have made wait for no metadata: sign-ins have the places."""
    monkeypatch.setattr(tenant_cache, "MAX_WAIT", 20)
    with ThreadPoolExecutor(2 * MAX_CALLS) as pool:
        logins = [pool.submit(world.login)]
        assert world.is_called.wait(10)
        forged = [pool.submit(world.forge_logout) for _ in range(MAX_CALLS)]
        assert all(is_busy(each.result(10)) for each in forged)
        logins += [pool.submit(world.login) for _ in range(MAX_CALLS - 1)]
        assert not wait(logins, 0.2).done
        world.hangs.over.set()
        assert {each.result().status_code for each in logins} == {504}
