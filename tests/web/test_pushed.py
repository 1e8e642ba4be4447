"""``POST /pkce/code`` where the authorization request is pushed."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from tests.conftest import MakeApp
from tests.web.host import Host, check_problem

SECRET = "a secret of this client"


@pytest.fixture
def pushing(make_app: MakeApp) -> Host:
    """A host whose tenant demands that requests are pushed."""
    return make_pushing(make_app)


def make_pushing(make_app: MakeApp, **settings: Any) -> Host:
    """Make a host whose tenant demands that requests are pushed."""
    host = make_app(PKCE_CLIENT_SECRET=SECRET, PKCE_PAR="always", **settings)
    host.tenant._provider.requires_par = True
    host.tenant.register(client_secret=SECRET)
    return host


def pushes(host: Host) -> int:
    return host.tenant.count("POST", "/oauth/par")


@pytest.mark.requirement("PA-4", "PA-8")
def test_answer(pushing: Host) -> None:
    """The address has two parameters; the answer tells for how long it is good."""
    response = pushing.browser().code(prompt="login")
    answer = response.get_json()
    assert set(answer) == {"seed", "auth0", "authorization_url", "request_uri_expires_in"}
    assert answer["request_uri_expires_in"] == 60
    query = dict(parse_qsl(urlsplit(answer["authorization_url"]).query))
    assert query.keys() == {"client_id", "request_uri"}
    assert answer["seed"]["prompt"] == "login"


def test_sign_in(pushing: Host) -> None:
    """A page signs in as ever."""
    browser = pushing.browser()
    _, url = browser.begin()
    browser.arrive(pushing.tenant.sign_in(url))
    assert browser.token().get_json()["auth0"]["user"]["user_id"] == "auth0|alice"


@pytest.mark.parametrize("mode", ["form_post", "query"])
def test_login_button(make_app: MakeApp, mode: str) -> None:
    """A button pushes at the click, each time; the callback exchanges."""
    host = make_app(
        PKCE_CLIENT_SECRET=SECRET,
        PKCE_PAR="always",
        PKCE_TOKEN_DELIVERY="session",
        PKCE_RESPONSE_MODE=mode,
    )
    host.tenant.register(client_secret=SECRET)
    browser = host.browser()
    urls = [browser.submit("/pkce/code").headers["Location"] for _ in range(2)]
    assert (len(set(urls)), pushes(host)) == (2, 2)
    answer = host.tenant.sign_in(urls[1])
    assert browser.arrive(answer).status_code == 303
    user = browser.send("GET", "/pkce/user")
    assert user.get_json()["sub"] == "auth0|alice"


@pytest.mark.requirement("PA-3")
def test_the_same_state_again(pushing: Host) -> None:
    """The same state is pushed anew until its answer came; then there is no address any more."""
    browser = pushing.browser()
    state, url = browser.begin()
    again = browser.code(state=state).get_json()
    assert again["authorization_url"] != url
    browser.arrive(pushing.tenant.sign_in(again["authorization_url"]))
    bound = browser.code(state=state).get_json()
    assert bound["result"]["state"] == state
    assert bound.keys().isdisjoint({"authorization_url", "request_uri_expires_in"})
    assert pushes(pushing) == 2


@pytest.mark.requirement("PA-8")
def test_expired_while_it_waited(make_app: MakeApp) -> None:
    """An address that the tenant has forgotten meanwhile is not handed out."""
    pushing = make_pushing(make_app, PKCE_LOCAL_SESSION=True)
    program = pushing.program()
    state, _ = program.begin()
    pushing.store.patience = 0
    wait, store = pushing.store.wait, pushing.store

    def wait_a_minute(key: str, seen: bytes | None, timeout: float) -> bytes | None:
        found = wait(key, seen, timeout)
        pushing.clock.advance(60)
        return found

    store.wait = wait_a_minute  # type: ignore[method-assign]
    response = program.post(
        "/pkce/code",
        {"state": state},
        headers={"Prefer": "wait=20"},
        environ_overrides={"wsgi.multithread": True},
    )
    assert response.headers["Preference-Applied"] == "wait=20"
    assert response.get_json().keys().isdisjoint({"authorization_url", "request_uri_expires_in"})


@pytest.mark.requirement("PA-5", "N86", "N87", "N88")
@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ("unreachable", "tenant-unreachable", 502),
        ("silent", "tenant-silent", 504),
        ("par-503", "tenant-nonsense", 502),
        ("par-413", "body-too-large", 413),
        ("par-refused", "tenant-refused", 400),
        ("par-no-request-uri", "tenant-nonsense", 502),
        ("par-expires-in-zero", "tenant-nonsense", 502),
    ],
)
@pytest.mark.parametrize("is_page", [True, False])
def test_push_in_vain(pushing: Host, fault: str, code: str, status: int, is_page: bool) -> None:
    """A push that fails is told as what it is; the flow is there, and the next one succeeds."""
    browser = pushing.browser()
    state = browser.challenge()["state"]
    pushing.relying_party.tenants.default.get()
    pushing.tenant.faults = [fault]
    if is_page:
        response = browser.submit("/pkce/code")
        assert response.status_code == status
        assert "text/html" in response.headers["Content-Type"]
    else:
        error = "invalid_request" if fault == "par-refused" else None
        check_problem(browser.code(state=state), code, error=error)
    assert pushing.status_of(browser, state) == "started"
    pushing.tenant.faults = []
    assert browser.code(state=state).status_code == 200


def test_tenant_that_is_not_ready_for_it(make_app: MakeApp) -> None:
    """Where the settings and the tenant disagree, nothing is started, and the operator is told."""
    host = make_app(PKCE_CLIENT_SECRET=SECRET, PKCE_PAR="never")
    host.tenant._provider.requires_par = True
    check_problem(host.browser().code(), "tenant-misconfigured")
    assert host.store.contents() == {}


@pytest.mark.requirement("PA-5")
def test_wrong_secret(pushing: Host) -> None:
    """Where the tenant does not take our credentials, the caller hears it before it leaves."""
    pushing.tenant.register(client_secret="another secret")
    members = check_problem(pushing.browser().code(), "client-refused")
    assert "PKCE_CLIENT_SECRET" in members["hint"]
