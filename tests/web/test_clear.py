"""``POST /pkce/clear``: the session ends, here first and then at the tenant."""

from __future__ import annotations

import pytest

from tests.conftest import MakeApp
from tests.web.host import Browser, Host, check_problem
from tests.web.prepared import Prepared


def sign_in(host: Host, browser: Browser) -> None:
    """Sign a browser in."""
    Prepared(host, browser, own_state=False).put("done")


@pytest.mark.requirement("CK-9")
def test_clear(host: Host, browser: Browser) -> None:
    """Nothing is left, the refresh token is revoked, the cookie deleted as it was set."""
    sign_in(host, browser)
    browser.begin()
    response = browser.clear()
    assert (response.status_code, response.data) == (204, b"")
    assert "Content-Type" not in response.headers
    (line,) = response.headers.getlist("Set-Cookie")
    assert line.startswith("pkce-80=;")
    for attribute in ("Max-Age=0", "HttpOnly", "Path=/", "SameSite=Lax"):
        assert attribute in line
    assert host.store.contents() == {}
    assert host.revocations == 1


@pytest.mark.requirement("CK-9")
def test_secure_cookie_is_deleted_as_such(make_app: MakeApp) -> None:
    """Over https the deletion is Secure, without which ``__Host-`` is refused."""
    host = make_app(PKCE_PUBLIC_URL="https://app.example")
    browser = host.browser()
    browser.challenge()
    (line,) = browser.clear().headers.getlist("Set-Cookie")
    assert line.startswith("__Host-pkce=;")
    assert "Secure" in line
    assert "Path=/" in line


@pytest.mark.requirement("RV-4")
def test_without_a_session(host: Host, browser: Browser) -> None:
    """With no session it does nothing, and deletes no cookie that did not come."""
    response = browser.clear()
    assert response.status_code == 204
    assert "Set-Cookie" not in response.headers


@pytest.mark.requirement("RV-4")
def test_twice(host: Host, browser: Browser) -> None:
    """It is idempotent: who still has the cookie gets it deleted, and nothing else happens."""
    sign_in(host, browser)
    cookie = browser.cookie
    browser.clear()
    browser.client.set_cookie("pkce-80", cookie)
    response = browser.clear()
    assert response.status_code == 204
    assert "Set-Cookie" in response.headers
    assert host.revocations == 1


def test_forged_cookie_is_deleted(host: Host, browser: Browser) -> None:
    """A cookie that nobody signed ends no session, and is deleted."""
    browser.client.set_cookie("pkce-80", f"{'A' * 32}.{'A' * 43}")
    response = browser.clear()
    assert response.status_code == 204
    assert "Set-Cookie" in response.headers


def test_local_session(make_app: MakeApp) -> None:
    """The local session ends for all its callers."""
    host = make_app(PKCE_LOCAL_SESSION=True)
    program = host.program()
    state, _ = program.begin()
    assert host.program().clear().status_code == 204
    check_problem(program.code(state=state), "state-cleared")
    assert program.clear().status_code == 204


@pytest.mark.requirement("N89", "RV-4")
@pytest.mark.parametrize("fault", ["unreachable", "silent"])
def test_tenant_that_does_not_revoke(fault: str, host: Host, browser: Browser) -> None:
    """Revoking is best effort: the session is gone, whatever the tenant does."""
    sign_in(host, browser)
    host.tenant.faults.add(fault)
    assert browser.clear().status_code == 204
    assert host.store.contents() == {}


@pytest.mark.requirement("A0-16")
def test_every_grant_is_revoked(host: Host, browser: Browser) -> None:
    """Each sign-in of the session had a refresh token, and each is revoked."""
    sign_in(host, browser)
    sign_in(host, browser)
    browser.clear()
    assert host.revocations == 2


@pytest.mark.requirement("N58")
def test_body_does_not_matter(host: Host, browser: Browser) -> None:
    """Whatever is in the body, the session ends."""
    browser.challenge()
    response = browser.send("POST", "/pkce/clear", data=b"\xff" * 20, content_type="image/png")
    assert response.status_code == 204


def test_page(host: Host, browser: Browser) -> None:
    """A browser that presses a button gets a page with a way on."""
    sign_in(host, browser)
    response = browser.submit("/pkce/clear")
    assert response.status_code == 200
    assert "<h1>Signed out</h1>" in response.text
    assert '<form method="post" action="/pkce/code">' in response.text
    assert not browser.has_cookie


@pytest.mark.requirement("BC-14")
def test_where_a_browser_goes(make_app: MakeApp) -> None:
    """With ``redirects.unauthenticated`` a browser goes there; a program gets its 204."""
    host = make_app(PKCE_UNAUTHENTICATED_URL="/bye")
    browser = host.browser()
    browser.challenge()
    response = browser.submit("/pkce/clear")
    assert (response.status_code, response.headers["Location"]) == (303, "/bye")
    assert not browser.has_cookie
    assert browser.clear().status_code == 204


def test_accept_that_nothing_fits(host: Host, browser: Browser) -> None:
    """There is no body, so that nobody can be unhappy about its type."""
    response = browser.send("POST", "/pkce/clear", headers={"Accept": "image/png"})
    assert response.status_code == 204
