"""Flask-Session: the host's session lies on the server, and stays the host's."""

from __future__ import annotations

from typing import Any

import pytest
from cachelib import SimpleCache
from flask import Flask, session
from flask_session import Session

from flask_pkce import PKCEBlueprint
from tests.conftest import MakeApp
from tests.web.host import Browser, Host

COOKIE = "session"


@pytest.fixture
def records() -> SimpleCache:
    """What the host's sessions are kept in."""
    return SimpleCache()


@pytest.fixture
def app(records: SimpleCache) -> Flask:
    """A shop with its cart in a session on the server."""
    app = Flask("host")
    app.config.update(SESSION_TYPE="cachelib", SESSION_CACHELIB=records)
    Session(app)

    @app.get("/cart/<thing>")
    def put_into_cart(thing: str) -> str:
        session["cart"] = thing
        return thing

    @app.get("/")
    def front() -> dict[str, Any]:
        return dict(session)

    return app


def kept(records: SimpleCache) -> dict[str, bytes]:
    """The records, by their keys."""
    return {key: value for key, (_, value) in records._cache.items()}


def sign_in(browser: Browser) -> None:
    """Sign in as a browser does, and arrive at the front page."""
    url = browser.submit("/pkce/code").headers["Location"]
    assert browser.arrive(browser.host.tenant.sign_in(url)).headers["Location"] == "/"


@pytest.mark.parametrize("response_mode", ["form_post", "query"])
def test_the_callback_leaves_it_alone(
    response_mode: str, app: Flask, records: SimpleCache, make_app: MakeApp
) -> None:
    """A sign-in neither reads, writes nor renews the session of the host."""
    host = make_app(app=app, PKCE_RESPONSE_MODE=response_mode, PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    browser.client.get("/cart/lamp")
    cookie, before = browser.cookies[COOKIE], kept(records)
    sign_in(browser)
    assert (browser.cookies[COOKIE], kept(records)) == (cookie, before)
    assert browser.client.get("/").get_json()["cart"] == "lamp"
    assert browser.clear().status_code == 204
    assert browser.client.get("/").get_json()["cart"] == "lamp"


def test_a_host_that_writes_it_at_every_request(
    app: Flask, records: SimpleCache, make_app: MakeApp
) -> None:
    """The tenant's POST, which comes without its cookie, does not take the place of it."""

    @app.before_request
    def count() -> None:
        session["seen"] = session.get("seen", 0) + 1

    host = make_app(app=app, PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    browser.client.get("/cart/lamp")
    cookie = browser.cookies[COOKIE]
    url = browser.submit("/pkce/code").headers["Location"]
    delivered = browser.deliver(host.tenant.sign_in(url))
    assert "Set-Cookie" not in delivered.headers
    browser.follow(delivered)
    assert browser.cookies[COOKIE] == cookie
    assert browser.client.get("/").get_json() == {"_permanent": True, "cart": "lamp", "seen": 4}


def linked(app: Flask, make_app: MakeApp) -> Host:
    """The shop with a hook that notes who signed in, under a new name of the session."""
    pkce = PKCEBlueprint()

    @pkce.after_token
    def log_in(token_response: Any) -> None:
        app.session_interface.regenerate(session)  # type: ignore[attr-defined]
        session["user"] = token_response.claims["sub"]

    return make_app(app=app, blueprint=pkce, PKCE_TOKEN_DELIVERY="session")


def test_a_hook_logs_in(app: Flask, records: SimpleCache, make_app: MakeApp) -> None:
    """``after_token`` has the session of the browser that signs in, and can give it a new name,
    as it should at a login; the old one is worth nothing then."""
    browser = linked(app, make_app).browser()
    browser.client.get("/cart/lamp")
    old = browser.cookies[COOKIE]
    sign_in(browser)
    assert browser.cookies[COOKIE] != old
    told = browser.client.get("/").get_json()
    assert (told["cart"], told["user"]) == ("lamp", "auth0|alice")
    assert len(kept(records)) == 1
    thief = app.test_client()
    thief.set_cookie(COOKIE, old)
    assert "user" not in thief.get("/").get_json()
