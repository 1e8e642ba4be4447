"""A host application in process, the local tenant behind it, and who calls it."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from flask import Flask, Response, request
from werkzeug.test import TestResponse

from flask_pkce import MemoryStore, PKCEBlueprint
from flask_pkce.errors import catalogue
from flask_pkce.relying_party.relying_party import RelyingParty
from flask_pkce.sessions.flow import Flow
from flask_pkce.sessions.records import Stored
from flask_pkce.sessions.session import Session
from flask_pkce.testing import AuthorizationAnswer, LocalTenant
from tests.canaries import Canaries
from tests.web.documented import Documented

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse

CALLBACK = "/pkce/response/code"

#: PROTOCOL 3.16: what stands on every answer.
HEADERS = {
    "Cache-Control": "no-store, private",
    "Pragma": "no-cache",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}

PAGE = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}
NAVIGATION = {**PAGE, "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
FETCH = {
    "Accept": "application/json",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-Mode": "cors",
    "Sec-Fetch-Dest": "empty",
}


class Clock:
    """Seconds that stand still until a test lets them pass."""

    def __init__(self) -> None:
        self.now = 1_900_000_000.0

    def __call__(self) -> float:
        return self.now

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.now += seconds


class ObservedStore(MemoryStore):
    """A store in memory that shows what it keeps, and who waits."""

    def __init__(self, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        #: The seconds that each caller wished to wait.
        self.waits: list[float] = []
        self.somebody_waits = Event()
        #: Seconds that each of them waits in fact; by default what it wished.
        self.patience: float | None = None

    def contents(self) -> dict[str, bytes]:
        """Everything that it keeps, save what workers leave of their keys."""
        return {
            key: value
            for key in list(self._entries)
            if not key.endswith(":k") and (value := self.get(key)) is not None
        }

    def wait(self, key: str, seen: bytes | None, timeout: float) -> bytes | None:
        self.waits.append(timeout)
        self.somebody_waits.set()
        return super().wait(key, seen, timeout if self.patience is None else self.patience)


@dataclass
class Host:
    """An application with the blueprint, and what is behind it."""

    app: Flask
    pkce: PKCEBlueprint
    tenant: LocalTenant
    clock: Clock
    store: ObservedStore
    address: str = "http://localhost"
    prefix: str = ""
    canaries: Canaries = field(default_factory=Canaries)
    #: Whether the application sends CORS headers with every answer, ours among them.
    sends_cors: bool = False

    @functools.cached_property
    def documented(self) -> Documented:
        """What the document of its routes tells."""
        return Documented(self)

    @property
    def relying_party(self) -> RelyingParty:
        """What works behind the routes."""
        return self.pkce.relying_party(self.app)

    @property
    def callback_url(self) -> str:
        """Our own redirect URI."""
        return self.address + self.prefix + CALLBACK

    @property
    def token_requests(self) -> int:
        """How many token requests reached the tenant."""
        return self.tenant.count("POST", "/oauth/token")

    @property
    def revocations(self) -> int:
        """How many revocations reached the tenant."""
        return self.tenant.count("POST", "/oauth/revoke")

    def browser(self) -> Browser:
        """A browser that keeps cookies and tells where its requests come from."""
        return Browser(self)

    def program(self) -> Program:
        """A program on this machine that keeps no cookies, as the published clients."""
        return Program(self)

    # -- looking behind the routes ---------------------------------------------

    def session_of(self, caller: Caller) -> Stored[Session]:
        """The session that a caller has."""
        if isinstance(caller, Program):
            held = self.relying_party.sessions.load_local()
        else:
            held = self.relying_party.sessions.at(
                self.relying_party.signing.read_pointer(caller.cookie)
            )
        assert held is not None
        return held

    def flow_of(self, caller: Caller, state: str) -> Stored[Flow]:
        """A flow that a caller has."""
        held = self.relying_party.sessions.flow(self.session_of(caller), state)
        assert held is not None
        return held

    def status_of(self, caller: Caller, state: str) -> str:
        """How far a flow is."""
        return self.flow_of(caller, state).value.status.value

    def while_tokens_are_made(self, act: Callable[[], object]) -> None:
        """Do something after the next token request arrived, and before it is answered."""
        acts = [act]

        def meanwhile(response: Response) -> Response:
            if acts and request.path == "/oauth/token":
                acts.pop()()
            return response

        self.tenant.app.after_request_funcs[None].append(meanwhile)

    def begin_redeeming(self, caller: Caller, state: str, *, seconds: float = 20) -> None:
        """Take a flow as the worker does that exchanges its code at this moment."""
        held = self.flow_of(caller, state)
        until = self.clock() + seconds
        assert self.relying_party.sessions.save(held, held.value.redeem(until=until)) is not None


class Caller:
    """Somebody who calls the routes; every answer's headers are looked at."""

    #: What each of its requests carries.
    headers: Mapping[str, str] = {}
    keeps_cookies = True

    def __init__(self, host: Host) -> None:
        self.host = host
        self.client = host.app.test_client(use_cookies=self.keeps_cookies)

    def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> TestResponse:
        """Send a request; ``None`` in place of a header leaves it out."""
        sent = {**self.headers, **(headers or {})}
        options.setdefault("base_url", self.host.address)
        response = self.client.open(
            path if path.startswith("http") else self.host.prefix + path,
            method=method,
            headers={name: value for name, value in sent.items() if value},
            **options,
        )
        check_headers(response, sends_cors=self.host.sends_cors)
        self._check_secrets(response)
        self.host.documented.check(response)
        return response

    def _check_secrets(self, response: TestResponse) -> None:
        """No address tells a secret but a ticket and what the tenant must have, no error any."""
        location = response.headers.get("Location", "")
        found_in = self.host.canaries.found_in
        # OpenID Connect RP-Initiated Logout 2
        hint = ("ID token",) if "id_token_hint=" in location else ()
        assert not found_in([location], except_for=("state", "nonce", "ticket", *hint))
        if response.status_code >= 400:
            assert not found_in([response.text])

    # -- the five routes, as a program or a script calls them --------------------

    def challenge(self) -> dict[str, Any]:
        """``GET /pkce/challenge``."""
        response = self.send("GET", "/pkce/challenge")
        assert response.status_code == 200, response.text
        challenge: dict[str, Any] = response.get_json()["challenge"]
        return challenge

    def post(self, path: str, body: Mapping[str, Any] | None = None, **options: Any) -> Any:
        """Post JSON, or nothing."""
        return self.send("POST", path, **({"json": body} if body else {}), **options)

    def code(self, **seed: Any) -> TestResponse:
        """``POST /pkce/code``."""
        response: TestResponse = self.post("/pkce/code", seed)
        return response

    def respond(self, **fields: str) -> TestResponse:
        """``POST /pkce/response/code``, as the published clients call it."""
        return self.send("POST", CALLBACK, data=fields)

    def token(self, **body: Any) -> TestResponse:
        """``POST /pkce/token``."""
        response: TestResponse = self.post("/pkce/token", body)
        return response

    def clear(self) -> TestResponse:
        """``POST /pkce/clear``."""
        return self.send("POST", "/pkce/clear")

    # -- more at once ------------------------------------------------------------

    def begin(self, **seed: Any) -> tuple[str, str]:
        """Start a flow and send it: its state, and the authorization URL."""
        seed.setdefault("state", self.challenge()["state"] if "state" not in seed else None)
        response = self.code(**seed)
        assert response.status_code == 200, response.text
        return seed["state"], response.get_json()["authorization_url"]

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that it has, by their names."""
        return {cookie.key: cookie.value for cookie in (self.client._cookies or {}).values()}

    @property
    def cookie(self) -> str:
        """The value of our cookie, of which there is one."""
        (value,) = (value for name, value in self.cookies.items() if "pkce" in name)
        return value

    @property
    def has_cookie(self) -> bool:
        """Whether there is a cookie of ours."""
        return any("pkce" in name for name in self.cookies)


class Browser(Caller):
    """A browser: scripts and forms of our pages, links, and where the tenant sends it."""

    headers = FETCH

    def open(self, path: str, *, site: str = "none", method: str = "GET", **options: Any) -> Any:
        """Go to a page."""
        headers = {**NAVIGATION, "Sec-Fetch-Site": site, **options.pop("headers", {})}
        return self.send(method, path, headers=headers, **options)

    def submit(self, path: str, fields: Mapping[str, str] | None = None) -> TestResponse:
        """Press the button of a form on one of our pages."""
        origin = {"Origin": self.host.address}
        response: TestResponse = self.open(
            path, site="same-origin", method="POST", data=fields or {}, headers=origin
        )
        return response

    def deliver(self, answer: AuthorizationAnswer | Mapping[str, str]) -> TestResponse:
        """What the tenant has a browser do: the POST without cookies, or the GET."""
        params = answer if isinstance(answer, Mapping) else answer.params
        if isinstance(answer, AuthorizationAnswer) and answer.method == "GET":
            response: TestResponse = self.open(
                f"{CALLBACK}?{urlencode(params)}", site="cross-site"
            )
            return response
        # Lax cookies do not come along.
        return CrossSitePost(self.host).send("POST", CALLBACK, data=params)

    def follow(self, response: TestResponse) -> TestResponse:
        """Go where a 303 says, still as part of the same navigation."""
        assert response.status_code == 303, response.text
        location = response.headers["Location"].removeprefix(self.host.address)
        path = location.removeprefix(self.host.prefix)
        followed: TestResponse = self.open(path, site="cross-site")
        return followed

    def arrive(self, answer: AuthorizationAnswer | Mapping[str, str]) -> TestResponse:
        """Bring the tenant's answer, and follow to where it is bound, if that is elsewhere."""
        kept = self.deliver(answer)
        return self.follow(kept) if "ticket=" in kept.headers.get("Location", "") else kept


class CrossSitePost(Caller):
    """A form that another site's page submits: ``SameSite=Lax`` cookies stay away."""

    headers = {
        **NAVIGATION,
        "Sec-Fetch-Site": "cross-site",
        "Origin": "https://tenant.example",
    }
    keeps_cookies = False


class Program(Caller):
    """A program without cookies: no browser, so no ``Sec-Fetch-Site``."""

    headers = {"Accept": "application/json"}
    keeps_cookies = False


class Curl(Caller):
    """A program that keeps cookies."""

    headers = {"Accept": "*/*"}


def arrives_with(host: Host, **changes: str | None) -> None:
    """Have every request arrive with this in its environment, where None leaves a thing out.

    Older test clients cannot send what no client should.
    """
    wsgi_app = host.app.wsgi_app

    def changed(environ: dict[str, Any], start_response: StartResponse) -> Iterable[bytes]:
        merged = {**environ, **changes}
        return wsgi_app(
            {name: value for name, value in merged.items() if value is not None}, start_response
        )

    host.app.wsgi_app = changed  # type: ignore[method-assign]


def check_headers(response: TestResponse, *, sends_cors: bool = False) -> None:
    """PROTOCOL 3.16 on every answer; nothing set and nothing allowed by a refusal."""
    for name, value in HEADERS.items():
        assert response.headers.get(name) == value, (response.status, name)
    csp = response.headers["Content-Security-Policy"]
    assert "default-src 'none'" in csp
    assert "frame-ancestors 'none'" in csp
    assert "unsafe" not in csp
    assert "Cookie" in response.headers["Vary"]
    has_cors = any(name.startswith("Access-Control-") for name, _ in response.headers)
    assert has_cors <= sends_cors
    # An answer that was bound renewed the cookie, whatever came of its exchange.
    is_bound = CALLBACK in response.request.path
    if response.status_code >= 400 and not is_bound:
        assert "Set-Cookie" not in response.headers


def check_problem(
    response: TestResponse,
    code: str,
    *,
    status: int | None = None,
    error: str | None = None,
    field: str | None = None,
) -> dict[str, Any]:
    """Check a whole problem document (RFC 9457), and give its members.

    :param code: ours; status and error are those of the catalogue by default.
    :param field: what its ``detail`` begins with.
    """
    cls = next((cls for cls in catalogue() if cls.code == code), None)
    assert cls is not None, f"the catalogue has no {code}"
    assert response.content_type == "application/problem+json", response.text
    members: dict[str, Any] = response.get_json()
    assert members["type"].rpartition("#")[2] == code, members
    assert response.status_code == members["status"] == (status or cls.status)
    assert members["error"] == (error or cls.error)
    assert members["detail"] == members["error_description"]
    assert all(members[name] for name in ("title", "detail", "hint"))
    assert set(members) == {
        "type", "title", "status", "detail", "error", "error_description", "hint"
    }  # fmt: skip
    if field is not None:
        assert members["detail"].startswith(f"{field}: "), members["detail"]
    return members


def check_page(response: TestResponse, code: str, *, status: int | None = None) -> str:
    """Check the page of an error: what happened, what to do, and its code."""
    cls = next((cls for cls in catalogue() if cls.code == code), None)
    assert cls is not None, f"the catalogue has no {code}"
    assert response.content_type == "text/html; charset=utf-8"
    assert response.status_code == (status or cls.status), response.text
    assert f"<code>{code}</code>" in response.text
    assert "<h1>" in response.text
    return response.text


def check_refused(
    caller: Caller, act: Callable[[], TestResponse], code: str, **expected: Any
) -> dict[str, Any]:
    """Check that an act is refused, that nothing is changed, and that the tenant is not asked."""
    host = caller.host
    before, asked = host.store.contents(), host.token_requests
    members = check_problem(act(), code, **expected)
    assert host.store.contents() == before
    assert host.token_requests == asked
    return members
