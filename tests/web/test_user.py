"""``GET /pkce/user``: who is signed in, where the tokens stay on the server."""

from __future__ import annotations

import pytest

from flask_pkce.testing import login_as
from tests.conftest import MakeApp
from tests.web.host import Browser, Host, check_page, check_problem


@pytest.fixture
def keeping(make_app: MakeApp) -> Host:
    """A host that keeps tokens on the server."""
    return make_app(PKCE_TOKEN_DELIVERY="session")


@pytest.fixture
def signed_in(keeping: Host) -> Browser:
    """A browser in which somebody signed in."""
    browser = keeping.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    browser.arrive(keeping.tenant.sign_in(url))
    return browser


@pytest.mark.requirement("BB-8")
def test_user(keeping: Host, signed_in: Browser) -> None:
    """The claims of the verified ID token, without those that are the protocol's."""
    claims = signed_in.send("GET", "/pkce/user").get_json()
    assert claims["sub"] == "auth0|alice"
    assert claims["email"] == "alice@example.com"
    assert claims["iss"] == keeping.tenant.issuer
    assert not {"nonce", "at_hash", "c_hash", "s_hash"} & set(claims)


def test_page(keeping: Host, signed_in: Browser) -> None:
    """A browser sees a page, with a way to sign out."""
    response = signed_in.open("/pkce/user")
    assert "<h1>You are signed in</h1>" in response.text
    assert "alice@example.com" in response.text
    assert '<form method="post" action="/pkce/clear">' in response.text


@pytest.mark.requirement("AZ-22", "BB-8")
def test_nobody(keeping: Host) -> None:
    """Where nobody is signed in it is 401, with a scheme that opens no dialog."""
    browser = keeping.browser()
    response = browser.send("GET", "/pkce/user")
    check_problem(response, "not-signed-in")
    assert response.headers["WWW-Authenticate"] == "Session"
    check_page(browser.open("/pkce/user"), "not-signed-in")
    assert browser.code().status_code == 200
    check_problem(browser.send("GET", "/pkce/user"), "not-signed-in")


def test_for_as_long_as_the_session_lives(keeping: Host, signed_in: Browser) -> None:
    """The sign-in ends with ``PKCE_SESSION_LIFETIME``."""
    keeping.clock.advance(86399)
    assert signed_in.send("GET", "/pkce/user").status_code == 200
    keeping.clock.advance(1)
    check_problem(signed_in.send("GET", "/pkce/user"), "not-signed-in")


@pytest.mark.requirement("A0-24")
def test_no_longer_than_at_the_tenant(keeping: Host) -> None:
    """Where the tenant says when its own session ends, the sign-in ends then at the latest."""
    browser = keeping.browser()
    end = int(keeping.clock()) + 3600
    login_as(browser.client, session_expiry=end)
    keeping.clock.advance(3599)
    assert browser.send("GET", "/pkce/user").get_json()["session_expiry"] == end
    keeping.clock.advance(1)
    check_problem(browser.send("GET", "/pkce/user"), "not-signed-in")


def test_after_a_clear(keeping: Host, signed_in: Browser) -> None:
    """A clear signs out."""
    signed_in.clear()
    check_problem(signed_in.send("GET", "/pkce/user"), "not-signed-in")


def test_second_user(keeping: Host, signed_in: Browser) -> None:
    """The newest sign-in is the session's user."""
    url = signed_in.submit("/pkce/code").headers["Location"]
    signed_in.arrive(keeping.tenant.sign_in(url, "bob"))
    assert signed_in.send("GET", "/pkce/user").get_json()["sub"] == "auth0|bob"


def test_delivery_caller(host: Host, browser: Browser) -> None:
    """With delivery ``caller`` there is no such route: the path is the host's."""
    response = browser.client.get("/pkce/user")
    assert (response.status_code, response.mimetype) == (404, "text/html")


def test_local_session(make_app: MakeApp) -> None:
    """Who is signed in in the local session is told to its callers."""
    host = make_app(PKCE_TOKEN_DELIVERY="session", PKCE_LOCAL_SESSION=True)
    program = host.program()
    check_problem(program.send("GET", "/pkce/user"), "not-signed-in")
    url = program.code().get_json()["authorization_url"]
    response = host.browser().arrive(host.tenant.sign_in(url))
    assert response.status_code == 303
    assert "Set-Cookie" not in response.headers
    assert program.send("GET", "/pkce/user").get_json()["sub"] == "auth0|alice"
