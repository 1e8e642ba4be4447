"""Flask-Login: who signed in at the tenant is its user, by a hook of two lines."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask, redirect, request
from flask_login import (
    LoginManager,
    UserMixin,
    current_user,
    login_required,
    login_user,
    logout_user,
)
from werkzeug.wrappers import Response

from flask_pkce import PKCEBlueprint
from flask_pkce.cli.commands import pkce as commands
from tests.conftest import MakeApp
from tests.web.host import Browser, Host

# Flask-Login 0.6 sets its cookie by it.
pytestmark = pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")


class User(UserMixin):  # type: ignore[misc]
    """Somebody whose name is a subject of the tenant."""

    def __init__(self, user_id: str) -> None:
        self.id = user_id


@pytest.fixture
def host(make_app: MakeApp) -> Host:
    """An application in which each view wants a login, as strictly as Flask-Login knows how."""
    app, pkce = Flask("host"), PKCEBlueprint()
    app.config.update(REMEMBER_COOKIE_REFRESH_EACH_REQUEST=True)
    manager = LoginManager(app)
    manager.login_view = "login"  # pyright: ignore[reportAttributeAccessIssue]
    manager.session_protection = "strong"

    @manager.user_loader  # type: ignore[untyped-decorator]
    def load_user(user_id: str) -> User | None:
        is_signed_in = pkce.user is not None and pkce.user.subject == user_id
        return User(user_id) if is_signed_in else None

    @pkce.after_token
    def log_in(token_response: Any) -> None:
        login_user(User(token_response.claims["sub"]), remember=True)

    @app.before_request
    def require_login() -> Any:
        if request.endpoint != "login" and request.blueprint != "pkce":
            return login_required(lambda: None)()
        return None

    @app.get("/login")
    def login() -> str:
        return "a page with the button"

    @app.get("/account")
    def account() -> str:
        return str(current_user.id)

    @app.post("/logout")
    def logout() -> Response:
        logout_user()
        return redirect("/login")

    return make_app(app=app, blueprint=pkce, url_prefix="/auth", PKCE_TOKEN_DELIVERY="session")


def sign_in(browser: Browser, return_to: str, name: str = "alice") -> Any:
    """Press the button, and come back."""
    url = browser.submit("/pkce/code", {"return_to": return_to}).headers["Location"]
    return browser.arrive(browser.host.tenant.sign_in(url, name))


def test_sign_in(host: Host) -> None:
    """Whoever is sent to log in comes back to the page that asked, logged in; the answer of the
    tenant, which comes without Flask-Login's cookies, changes none of them."""
    browser = host.browser()
    asked = browser.client.get("/account?tab=2")
    asked_for = parse_qs(urlsplit(asked.headers["Location"]).query)["next"][0]
    arrived = sign_in(browser, asked_for)
    assert arrived.headers["Location"] == "/account?tab=2"
    assert browser.client.get("/account").text == "auth0|alice"

    url = browser.submit("/pkce/code").headers["Location"]
    cookies = browser.cookies
    assert "Set-Cookie" not in browser.deliver(host.tenant.sign_in(url, "bob")).headers
    assert browser.cookies == cookies
    assert browser.client.get("/account").text == "auth0|alice"


def test_remember_me(host: Host) -> None:
    """Its cookie logs in again as long as our own sign-in is good, and not without it."""
    browser = host.browser()
    sign_in(browser, "/account")
    for is_signed_in in (True, False):
        remembered = host.app.test_client()
        remembered.set_cookie("remember_token", browser.cookies["remember_token"])
        if is_signed_in:
            remembered.set_cookie("pkce-80", browser.cookies["pkce-80"])
        answer = remembered.get("/account")
        assert (answer.status_code, answer.text == "auth0|alice") == (
            (200, True) if is_signed_in else (302, False)
        )


def test_session_protection(host: Host) -> None:
    """A stolen session, seen from another program, is worth nothing."""
    browser = host.browser()
    sign_in(browser, "/account")
    thief = host.app.test_client()
    thief.set_cookie("session", browser.cookies["session"])
    stolen = thief.get("/account", headers={"User-Agent": "another"})
    assert stolen.headers["Location"].startswith("/login")


def test_the_two_sign_outs(host: Host) -> None:
    """``logout_user()`` ends Flask-Login's session, ``/pkce/clear`` both."""
    browser = host.browser()
    sign_in(browser, "/account")
    assert browser.client.post("/logout").status_code == 302
    assert browser.client.get("/account").headers["Location"].startswith("/login")
    assert browser.send("GET", "/pkce/user").get_json()["sub"] == "auth0|alice"
    sign_in(browser, "/account", "bob")
    assert browser.clear().status_code == 204
    assert browser.client.get("/account").headers["Location"].startswith("/login")


def test_forget(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """``flask pkce forget`` ends Flask-Login's session too, its "remember me" included."""
    monkeypatch.setattr(type(host.store), "shared_by_processes", True)
    alice, bob = host.browser(), host.browser()
    sign_in(alice, "/account")
    sign_in(bob, "/account", "bob")
    done = host.app.test_cli_runner().invoke(commands, ["forget", "--sub", "auth0|alice"])
    assert done.exit_code == 0
    assert "ends only where it asks `pkce.user`" in " ".join(done.output.split())
    assert alice.client.get("/account").headers["Location"].startswith("/login")
    assert bob.client.get("/account").text == "auth0|bob"


def test_end_of_the_session(host: Host) -> None:
    """Flask-Login's session, which has no end of its own here, lives no longer than ours."""
    browser = host.browser()
    sign_in(browser, "/account")
    host.clock.advance(host.relying_party.settings.session_lifetime - 1)
    assert browser.client.get("/account").text == "auth0|alice"
    host.clock.advance(1)
    assert browser.client.get("/account").headers["Location"].startswith("/login")


def test_another_user(host: Host) -> None:
    """Flask-Login's session of one user is worth nothing beside ours of another."""
    browser = host.browser()
    sign_in(browser, "/account")
    browser.client.delete_cookie("remember_token")
    with browser.client.session_transaction() as session:
        session["_user_id"] = "auth0|bob"
    assert browser.client.get("/account").headers["Location"].startswith("/login")
