"""A person at a browser."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from .processes import PATIENCE, Provider, Server, require_loopback

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page, Request, Response

FETCH = """async ([url, init]) => {
    const response = await fetch(url, init);
    const text = await response.text();
    return {
        status: response.status,
        headers: Object.fromEntries(response.headers),
        json: text ? JSON.parse(text) : null,
    };
}"""


@dataclass(frozen=True)
class Answer:
    """What a script of the page gets."""

    status: int
    headers: dict[str, str]
    json: Any


class Tab:
    """One tab of a person's browser."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self._server = server

    def open(self, path: str) -> Response:
        """Go to a path of the application, or to another address on this machine."""
        url = path if "://" in path else self._server.url + path
        response = self.page.goto(require_loopback(url))
        assert response
        return response

    def reload(self) -> Response:
        """Press the reload button."""
        response = self.page.reload()
        assert response
        return response

    def go_back(self) -> Response:
        """Press the back button."""
        response = self.page.go_back()
        assert response
        return response

    def fetch(self, path: str, body: Any = None, **init: Any) -> Answer:
        """Call the application from a script of its own page; POST if there is a body."""
        if body is not None:
            init = {"method": "POST", "body": json.dumps(body), **init}
            init["headers"] = {"Content-Type": "application/json", **init.get("headers", {})}
        return Answer(**self.page.evaluate(FETCH, [self._server.url + path, init]))

    def who(self, path: str = "/pkce/user") -> str | None:
        """Whom the application takes the person for, asked in a tab of its own."""
        other = Tab(self.page.context.new_page(), self._server)
        other.open("/")
        answer = other.fetch(path)
        other.page.close()
        return answer.json["email"] if answer.status == 200 else None

    def press_sign_in(self, path: str = "/") -> None:
        """Press the button of the front page, or another, and arrive at the tenant."""
        self.open(path)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("http://127.0.0.1:*/interaction/*")

    def log_in(self, login: str) -> None:
        """Log in on the tenant's page, and arrive at the application."""
        self.page.get_by_label("User name").fill(login)
        self.page.get_by_label("Password").fill(Provider.password)
        self._leave("Log in")

    def cancel(self) -> None:
        """Press Cancel on the tenant's page, and arrive at the application."""
        self._leave("Cancel")

    def _leave(self, button: str) -> None:
        self.page.get_by_role("button", name=button).click()
        self.arrive()

    def arrive(self) -> None:
        """Wait until the answer of the tenant was delivered, and its ticket is gone again."""
        self.page.wait_for_url(
            lambda url: url.startswith(self._server.url), timeout=PATIENCE * 1000
        )
        self.page.wait_for_load_state()

    @property
    def path(self) -> str:
        """Where it is, without scheme and host."""
        url = urlsplit(self.page.url)
        return url.path + (f"?{url.query}" if url.query else "")


class Person:
    """A browser, its tabs, and everything that went over the wire from it."""

    def __init__(self, context: BrowserContext, server: Server) -> None:
        self.context = context
        self.server = server
        self.requests: list[Request] = []
        self.responses: list[Response] = []
        # Playwright sets an attribute on what it calls, which a bound `append` has no room for.
        context.on("request", lambda request: self.requests.append(request))
        context.on("response", lambda response: self.responses.append(response))

    def tab(self) -> Tab:
        """Open another tab."""
        return Tab(self.context.new_page(), self.server)

    def cookie(self, name: str) -> str | None:
        """The value of a cookie of the application."""
        cookies = self.context.cookies(self.server.url)
        return {c.get("name"): c.get("value") for c in cookies}.get(name)

    @property
    def jar(self) -> list[str]:
        """Every cookie of the application, with all that belongs to it."""
        host = urlsplit(self.server.url).hostname
        return sorted(repr(c) for c in self.context.cookies() if c.get("domain") == host)

    @property
    def our_cookie(self) -> str | None:
        """The cookie of the blueprint."""
        return self.cookie(f"pkce-{self.server.port}")

    def callbacks(self, method: str) -> list[Response]:
        """The answers of the callback to this method."""
        return [
            response
            for response in self.responses
            if response.request.method == method
            and response.url.startswith(self.server.url)
            and urlsplit(response.url).path.endswith("/pkce/response/code")
        ]


def state_of(authorization_url: str) -> str:
    """The state of an authorization request."""
    return parameters_of(authorization_url)["state"]


def parameters_of(authorization_url: str) -> Mapping[str, str]:
    """The parameters of an authorization request, each of which it has once."""
    found = parse_qs(urlsplit(authorization_url).query, strict_parsing=True)
    assert all(len(values) == 1 for values in found.values())
    return {name: values[0] for name, values in found.items()}
