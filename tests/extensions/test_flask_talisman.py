"""Flask-Talisman: https, its policies and its cookie settings, with the routes among them."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, session
from flask_talisman import Talisman

from tests.conftest import MakeApp
from tests.web.host import CALLBACK, NAVIGATION, Browser, Host

ORDERS = ("before", "after")
ADDRESS = "https://app.example"


def harden(make_app: MakeApp, order: str, **options: Any) -> Host:
    """An application with a session of its own, Flask-Talisman in it before us or after."""
    app = Flask("host")
    if order == "before":
        Talisman(app, **options)
    host = make_app(app=app, PKCE_PUBLIC_URL=ADDRESS, PKCE_TOKEN_DELIVERY="session")
    if order == "after":
        Talisman(app, **options)

    @app.get("/")
    def front() -> str:
        session["visits"] = session.get("visits", 0) + 1
        return str(session["visits"])

    return host


def sign_in(browser: Browser) -> None:
    """Sign in as a browser does, and arrive at the front page."""
    url = browser.submit("/pkce/code").headers["Location"]
    assert browser.arrive(browser.host.tenant.sign_in(url)).headers["Location"] == "/"
    assert browser.send("GET", "/pkce/user").get_json()["sub"] == "auth0|alice"


@pytest.mark.parametrize("order", ORDERS)
def test_sign_in(order: str, make_app: MakeApp) -> None:
    """Over https everything works as ever, and Talisman's headers are where they were."""
    host = harden(make_app, order)
    browser = host.browser()
    page = browser.client.get("/", base_url=ADDRESS)
    assert "default-src 'self'" in page.headers["Content-Security-Policy"]
    assert page.headers["X-Frame-Options"] == "SAMEORIGIN"
    sign_in(browser)
    again = browser.client.get("/", base_url=ADDRESS)
    assert again.text == "2"
    cookie = again.headers["Set-Cookie"]
    assert {"Secure", "HttpOnly", "SameSite=Lax"} <= set(cookie.split("; "))


@pytest.mark.requirement("HX-2", "HX-4")
@pytest.mark.parametrize("order", ORDERS)
def test_our_policy_is_kept(order: str, make_app: MakeApp) -> None:
    """Our pages keep the headers that they need, and get those that they do not have."""
    policy = "default-src 'self'; form-action 'self'; style-src 'none'"
    host = harden(make_app, order, content_security_policy=policy, referrer_policy="unsafe-url")
    page = host.browser().open("/pkce/challenge")
    csp = page.headers["Content-Security-Policy"]
    nonce = csp.partition("'nonce-")[2].partition("'")[0]
    assert f'nonce="{nonce}"' in page.text
    assert "form-action 'self' https:" in csp
    for name in ("X-Frame-Options", "Referrer-Policy", "Content-Security-Policy"):
        assert len(page.headers.getlist(name)) == 1
    assert page.headers["Referrer-Policy"] == "no-referrer"
    assert page.headers["Strict-Transport-Security"].startswith("max-age=")
    assert page.headers["Permissions-Policy"] == "browsing-topics=()"
    own = host.app.test_client().get("/", base_url=ADDRESS)
    assert own.headers["Content-Security-Policy"] == policy
    assert own.headers["Referrer-Policy"] == "unsafe-url"


@pytest.mark.parametrize("order", ORDERS)
def test_forced_https(order: str, make_app: MakeApp) -> None:
    """Plain http is sent to https, our routes too; behind a proxy that speaks https for us,
    and says so, the answer of the tenant arrives."""
    host = harden(make_app, order)
    client = host.app.test_client()
    for path in ("/", "/pkce/challenge"):
        redirect = client.get(path, base_url="http://app.example")
        assert (redirect.status_code, redirect.headers["Location"]) == (302, ADDRESS + path)

    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    answer = host.tenant.sign_in(url)
    headers = {**NAVIGATION, "Sec-Fetch-Site": "cross-site", "X-Forwarded-Proto": "https"}
    plain: Any = {"base_url": "http://app.example", "headers": headers}
    kept = client.post(CALLBACK, data=answer.params, **plain)
    assert kept.status_code == 303
    assert "Set-Cookie" not in kept.headers
    path = kept.headers["Location"].removeprefix(ADDRESS)
    assert browser.client.get(path, **plain).headers["Location"] == "/"


@pytest.mark.parametrize("order", ORDERS)
def test_strict_cookies(order: str, make_app: MakeApp) -> None:
    """``session_cookie_samesite="Strict"`` is seen, whichever was there first: a page of ours
    brings such cookies along."""
    host = harden(make_app, order, session_cookie_samesite="Strict")
    browser = host.browser()
    browser.client.get("/", base_url=ADDRESS)
    url = browser.submit("/pkce/code").headers["Location"]
    kept = browser.deliver(host.tenant.sign_in(url))
    assert (kept.status_code, "Set-Cookie" in kept.headers) == (200, False)
    path = kept.headers["Refresh"].removeprefix("0; url=").removeprefix(ADDRESS)
    assert browser.open(path, site="same-origin").headers["Location"] == "/"
    assert browser.client.get("/", base_url=ADDRESS).text == "2"
