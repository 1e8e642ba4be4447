"""The blueprint in Canaille, an OpenID Provider: CSRFProtect, Talisman, handlers of its own."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from importlib import import_module
from typing import Any

import pytest
from flask import Flask
from joserfc.jwk import RSAKey
from werkzeug.test import TestResponse

from tests.conftest import SECRET_KEY, MakeApp
from tests.not_run import installed
from tests.web.host import Browser, check_problem

ADDRESS = "https://id.example"
PASSWORD = "a password of Canaille"
#: What is another at each request or in each application.
VARIES = re.compile(r'<input[^>]* name="csrf_token"[^>]*>|[0-9a-f]{8}-[0-9a-f-]{27}')
KEY = RSAKey.generate_key(2048, parameters={"kid": "the-key"})
#: What anybody may ask for, and what somebody may who has logged in.
PAGES = (
    "/",
    "/about",
    "/login",
    "/users",
    "/profile/ada",
    "/profile/ada/auth",
    "/consent/",
    "/groups/",
    "/nowhere",
    "/oauth/authorize",
    "/oauth/authorize?client_id=nobody&response_type=code",
    "/oauth/jwks.json",
    "/oauth/userinfo",
    "/.well-known/openid-configuration",
    "/.well-known/oauth-authorization-server",
)


@pytest.fixture(autouse=True)
def _logging() -> Iterator[None]:
    """Canaille leaves its filters and handlers behind."""
    loggers = (logging.getLogger(), logging.getLogger("canaille"))
    before = [(list(logger.filters), list(logger.handlers)) for logger in loggers]
    yield
    for logger, (filters, handlers) in zip(loggers, before, strict=True):
        logger.filters, logger.handlers = filters, handlers


def create_app() -> Flask:
    """A Canaille with one user."""
    config = {
        "TESTING": True,
        "SECRET_KEY": SECRET_KEY,
        "SERVER_NAME": "id.example",
        "CANAILLE": {"DATABASE": "memory"},
        "CANAILLE_OIDC": {"ACTIVE_JWKS": [KEY.as_dict(private=True)]},
    }
    app: Flask = installed("canaille").create_app(config)
    models = import_module("canaille.app.models")
    with app.app_context():
        backend = app.backend  # type: ignore[attr-defined]
        user = models.User(
            user_name="ada",
            formatted_name="Ada Example",
            family_name="Example",
            emails=["ada@example.org"],
            password=PASSWORD,
        )
        backend.save(user)
    return app


class Visitor:
    """Somebody who uses Canaille itself."""

    def __init__(self, client: Any) -> None:
        self._client = client
        self.answers: list[tuple[str, int, list[tuple[str, str]], str]] = []

    def ask(self, path: str, data: dict[str, str] | None = None) -> TestResponse:
        """Ask, and note the answer."""
        method = "GET" if data is None else "POST"
        headers = {"Referer": f"{ADDRESS}/"}
        response: TestResponse = self._client.open(
            path, method=method, data=data, base_url=ADDRESS, headers=headers
        )
        told = [
            (name, value.partition("=")[0] if name == "Set-Cookie" else value)
            for name, value in response.headers
            if name != "Content-Length"
        ]
        self.answers.append((path, response.status_code, told, VARIES.sub("…", response.text)))
        return response

    def log_in(self) -> str:
        """Log in by Canaille's own forms; the page that follows."""
        token = self._token(self.ask("/login"))
        named = self.ask("/login", {"login": "ada", "csrf_token": token})
        path = named.headers["Location"]
        token = self._token(self.ask(path))
        assert self.ask(path, {"password": PASSWORD, "csrf_token": token}).status_code == 302
        return self.ask("/profile/ada").text

    def use_it(self) -> None:
        """Use it as a stranger and as a user, and forget a token."""
        for path in PAGES:
            self.ask(path)
        assert "Ada Example" in self.log_in()
        for path in PAGES:
            self.ask(path)
        assert self.ask("/login", {"login": "ada"}).status_code == 400
        assert self.ask("/oauth/token", {"grant_type": "password"}).status_code >= 400
        self.ask("/logout")
        self.ask("/profile/ada")

    def _token(self, page: TestResponse) -> str:
        found = re.search(r'name="csrf_token" value="([^"]+)"', page.text)
        assert found
        return found[1]


def sign_in(browser: Browser, return_to: str) -> str:
    """Sign in at the tenant; where that leads."""
    url = browser.submit("/pkce/code", {"return_to": return_to}).headers["Location"]
    location: str = browser.arrive(browser.host.tenant.sign_in(url)).headers["Location"]
    return location


def test_nothing_of_its_changes(make_app: MakeApp) -> None:
    """Whoever uses Canaille gets the same answers with the blueprint in it, headers and all,
    and CSRFProtect still wants its token for Canaille's own forms."""
    before = Visitor(create_app().test_client())
    before.use_it()
    host = make_app(
        app=create_app(),
        url_prefix="/partner",
        PKCE_TOKEN_DELIVERY="session",
    )
    after = Visitor(host.app.test_client())
    after.use_it()
    for one, other in zip(before.answers, after.answers, strict=True):
        assert one == other
    assert len(before.answers) > 2 * len(PAGES)


def test_sign_in(make_app: MakeApp) -> None:
    """People sign in at our tenant, before and after they log in to Canaille, and neither ends
    the other; our errors are ours, although Canaille handles errors."""
    host = make_app(
        app=create_app(),
        url_prefix="/partner",
        PKCE_TOKEN_DELIVERY="session",
    )
    browser = host.browser()
    assert sign_in(browser, "/about") == "/about"
    visitor = Visitor(browser.client)
    assert "Ada Example" in visitor.log_in()
    assert sign_in(browser, "/profile/ada") == "/profile/ada"
    assert visitor.ask("/profile/ada").status_code == 200
    check_problem(browser.send("PUT", "/pkce/token"), "method-not-allowed")
    assert browser.clear().status_code == 204
    assert visitor.ask("/profile/ada").status_code == 200
    visitor.ask("/logout")
    assert sign_in(browser, "/about") == "/about"
    assert browser.send("GET", "/pkce/user").get_json()["sub"] == "auth0|alice"
