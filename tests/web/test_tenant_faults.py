"""What callers hear of a tenant that is down, slow, silent, or answers nonsense."""

from __future__ import annotations

import json
import logging
from typing import Any

import pytest
from flask import Response, request
from requests import PreparedRequest
from requests import Response as Received
from requests.adapters import HTTPAdapter

from flask_pkce.tenant.cache import FAILED
from tests.conftest import MakeApp
from tests.web.host import Browser, Host, check_page, check_problem
from tests.web.prepared import Prepared

CLIENT_SECRET = "the-client-secret-of-the-application"


@pytest.fixture
def known(host: Host, browser: Browser) -> Any:
    """A flow that is bound, of which the keys to verify its ID token are had."""
    known = Prepared(host, browser, own_state=False).put("bound")
    host.relying_party.tenants.default.keys()
    return known


def token_endpoint_answers(host: Host, answer: Response | None) -> None:
    """Let the tenant's token endpoint answer this, whatever it is asked."""

    def instead() -> Response | None:
        return answer if request.path == "/oauth/token" else None

    host.tenant.app.before_request_funcs[None].append(instead)


def answer(document: Any, status: int = 200, **headers: str) -> Response:
    """A JSON answer."""
    return Response(json.dumps(document), status, headers, mimetype="application/json")


# -- metadata and keys ---------------------------------------------------------------------


@pytest.mark.requirement("N78", "N80")
@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("unreachable", "tenant-unreachable"),
        ("silent", "tenant-silent"),
        ("metadata-issuer-mismatch", "tenant-misconfigured"),
        ("metadata-foreign-token-endpoint", "tenant-misconfigured"),
    ],
)
def test_metadata(fault: str, code: str, host: Host, browser: Browser) -> None:
    """Without metadata nobody is sent anywhere, and nothing is started."""
    host.tenant.faults.add(fault)
    members = check_problem(browser.code(), code)
    assert "attacker.example" not in json.dumps(members)
    check_page(browser.submit("/pkce/code"), code)
    assert host.store.contents() == {}
    host.tenant.faults.clear()
    host.clock.advance(FAILED)
    assert browser.code().status_code == 200


def test_challenge(host: Host, browser: Browser) -> None:
    """A challenge stores what the tenant owes: nothing is started while that is not known."""
    host.tenant.faults.add("unreachable")
    check_problem(browser.send("GET", "/pkce/challenge"), "tenant-unreachable")
    assert not browser.has_cookie
    assert host.store.contents() == {}
    host.tenant.faults.discard("unreachable")
    host.clock.advance(FAILED)
    browser.challenge()


def test_challenge_that_needs_no_tenant(make_app: MakeApp) -> None:
    """With delivery ``session`` no caller can build the URL, and the tenant is not asked."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    host.tenant.faults.add("unreachable")
    assert host.browser().send("GET", "/pkce/challenge").status_code == 200
    assert host.tenant.requests == ()


def test_metadata_are_kept(host: Host, browser: Browser) -> None:
    """What is known of the tenant serves on while it cannot be reached."""
    browser.code()
    host.tenant.faults.add("unreachable")
    host.clock.advance(3600)
    assert browser.code().status_code == 200


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("jwks-down", "tenant-nonsense"),
        ("unreachable", "tenant-unreachable"),
        ("silent", "tenant-silent"),
    ],
)
def test_keys_are_had_first(fault: str, code: str, host: Host, browser: Browser) -> None:
    """Without keys no code is used up: the flow stays bound, the tenant is not asked."""
    known = Prepared(host, browser, own_state=False).put("bound")
    host.tenant.faults.add(fault)
    check_problem(browser.token(), code)
    assert host.token_requests == 0
    assert host.status_of(browser, known.state) == "bound"
    host.tenant.faults.clear()
    host.clock.advance(FAILED)
    assert browser.token().status_code == 200


@pytest.mark.requirement("N77")
def test_malformed_key(host: Host, browser: Browser) -> None:
    """A malformed key among good ones is left out."""
    host.tenant.faults.add("jwks-garbage-key")
    Prepared(host, browser, own_state=False).put("done")


@pytest.mark.requirement("N74")
def test_rotated_keys(host: Host, browser: Browser) -> None:
    """A new key of the tenant is fetched when it is met."""
    Prepared(host, browser, own_state=False).put("done")
    host.tenant.rotate_keys()
    Prepared(host, browser, own_state=False).put("done")
    assert host.tenant.count("GET", "/.well-known/jwks.json") == 2


# -- the token endpoint ------------------------------------------------------------------------


@pytest.mark.requirement("N61", "N64b")
@pytest.mark.parametrize("status", [400, 401, 403])
@pytest.mark.parametrize(
    ("error", "code", "told"),
    [
        ("invalid_grant", "grant-refused", "invalid_grant"),
        ("invalid_client", "client-refused", "invalid_client"),
        ("unauthorized_client", "client-refused", "unauthorized_client"),
        ("invalid_scope", "scope-invalid", "invalid_scope"),
        ("access_denied", "access-denied", "access_denied"),
        ("mfa_required", "mfa-required", "mfa_required"),
        ("login_required", "login-required", "login_required"),
        ("invalid_request", "tenant-refused", "invalid_request"),
        ("vendor_error", "tenant-refused", "vendor_error"),
        ("too_many_requests", "tenant-limit", "slow_down"),
        ("server_error", "tenant-nonsense", "server_error"),
    ],
)
def test_told_by_error(
    error: str, code: str, told: str, status: int, known: Any, host: Host, browser: Browser
) -> None:
    """The tenant's errors are told by ``error``, whatever the status."""
    token_endpoint_answers(host, answer({"error": error, "mfa_token": "Fe26.secret"}, status))
    response = browser.token()
    check_problem(response, code, error=told)
    assert "Fe26" not in response.text
    expected = "bound" if code == "tenant-limit" else "failed"
    assert host.status_of(browser, known.state) == expected


@pytest.mark.requirement("N63")
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "3"}, 3),
        ({"Retry-After": "0"}, 1),
        ({"Retry-After": "100000"}, 300),
        ({"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}, 30),
        ({"X-RateLimit-Reset": "1900000009"}, 9),
        ({"X-RateLimit-Reset": "1"}, 1),
        ({"X-RateLimit-Reset": "1900000009000"}, 300),
        ({"X-RateLimit-Reset": "soon"}, 30),
        ({}, 30),
    ],
)
def test_limit(
    headers: dict[str, str], seconds: int, known: Any, host: Host, browser: Browser
) -> None:
    """When to ask again is the tenant's word, in 1 to 300 seconds."""
    token_endpoint_answers(host, answer({"error": "too_many_requests"}, 429, **headers))
    response = browser.token()
    check_problem(response, "tenant-limit")
    assert response.headers["Retry-After"] == str(seconds)
    assert host.status_of(browser, known.state) == "bound"


GOOD = {"access_token": "a", "token_type": "Bearer"}


@pytest.mark.requirement("N65b", "N65d", "N66", "N66c", "N66d", "T24")
@pytest.mark.parametrize(
    "nonsense",
    [
        Response("<html>", mimetype="text/html"),
        Response("", mimetype="application/json"),
        Response("{", mimetype="application/json"),
        Response('{"access_token": "a", "access_token": "b"}', mimetype="application/json"),
        Response(b"\xff", mimetype="application/json"),
        Response("[" * 5000, mimetype="application/json"),
        Response("x" * (1024 * 1024 + 1), mimetype="application/json"),
        Response("{}", headers={"Content-Encoding": "gzip"}, mimetype="application/json"),
        Response("", 302, {"Location": "https://attacker.example/"}),
        Response("", 204),
        answer([]),
        answer(None),
        answer({}),
        answer({"error": 5}, 400),
        answer({"error": "a\nb"}, 400),
        answer({"error": "x" * 65}, 400),
        answer({}, 500),
        answer({**GOOD, "token_type": "mac"}),
        answer({**GOOD, "token_type": 5}),
        answer({"access_token": "a"}),
        answer({**GOOD, "access_token": ""}),
        answer({**GOOD, "access_token": 5}),
        answer({**GOOD, "access_token": "with\ttab"}),
        answer({**GOOD, "expires_in": -1}),
        answer({**GOOD, "expires_in": True}),
        answer({**GOOD, "expires_in": "soon"}),
        answer({**GOOD, "expires_in": 1e30}),
        answer({**GOOD, "scope": 5}),
        answer({**GOOD, "scope": 'a"b'}),
        answer({**GOOD, "refresh_token": ["r"]}),
        answer({**GOOD, "id_token": 5}),
    ],
    ids=lambda response: f"{response.status[:3]} {response.get_data()[:60]!r}",
)
def test_nonsense(nonsense: Response, known: Any, host: Host, browser: Browser) -> None:
    """Nonsense is 502, quotes nothing of what came, and the code is not tried again."""
    token_endpoint_answers(host, nonsense)
    response = browser.token()
    check_problem(response, "tenant-nonsense")
    assert "attacker" not in response.text
    assert host.status_of(browser, known.state) == "failed"
    assert browser.token().status_code == 400
    assert host.token_requests == 1


@pytest.mark.requirement("N62")
def test_redirect_is_not_followed(known: Any, host: Host, browser: Browser) -> None:
    """A redirect would repeat code and secret elsewhere: nobody hears of them there."""
    host.tenant.faults.add("token-redirect-307")
    check_problem(browser.token(), "tenant-nonsense")
    assert host.tenant.count("POST", "/elsewhere") == 0


class CutOff(HTTPAdapter):
    """Lets the answer of the token endpoint begin, and never end."""

    def __init__(self, adapter: Any) -> None:
        super().__init__()
        self._adapter = adapter

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Received:
        """Answer a request, and fail while the body is read."""
        response: Received = self._adapter.send(request, *args, **kwargs)
        if request.path_url == "/oauth/token":
            response.raw.read = self._fail  # type: ignore[method-assign]
            response.raw.read1 = self._fail  # type: ignore[method-assign]
        return response

    def _fail(self, *_: Any) -> bytes:
        raise TimeoutError("timed out")


@pytest.mark.requirement("N65")
def test_cut_off(known: Any, host: Host, browser: Browser) -> None:
    """An answer that began and did not end in time may have used the code up: 504."""
    session = host.relying_party.transport.session
    url = host.tenant.issuer
    session.mount(url, CutOff(session.get_adapter(url)))
    check_problem(browser.token(), "tenant-silent")
    assert host.status_of(browser, known.state) == "failed"


def test_page_of_an_error(known: Any, host: Host, browser: Browser) -> None:
    """A browser sees a page: what happened, what to do, and a way to start again."""
    host.tenant.faults.add("token-html")
    page = check_page(
        browser.open("/pkce/token", method="POST", site="same-origin"), "tenant-nonsense"
    )
    assert "Start again" in page
    assert '<form method="post" action="/pkce/code">' in page
    assert "Welcome" not in page


@pytest.mark.requirement("N65d")
@pytest.mark.parametrize("status", [200, 400, 500])
@pytest.mark.parametrize("mimetype", ["text/html", "application/json", "text/plain"])
def test_no_secret_is_shown(
    mimetype: str, status: int, make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    """A tenant that sends back what it got gets nothing of it shown or logged."""
    host = make_app(PKCE_CLIENT_SECRET=CLIENT_SECRET)
    browser = host.browser()
    known = Prepared(host, browser, own_state=False).put("bound")

    def echo() -> Response | None:
        if request.path != "/oauth/token":
            return None
        return Response(request.get_data(), status, mimetype=mimetype)

    host.tenant.app.before_request_funcs[None].append(echo)
    with caplog.at_level(logging.DEBUG, "flask_pkce"):
        response = browser.token()
    assert response.status_code == 502
    for secret in (CLIENT_SECRET, known.code, known.verifier, known.state):
        assert secret not in response.text
        assert secret not in caplog.text


def test_logged_for_the_operator(
    known: Any, host: Host, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    """Wrong client settings are the operator's: an error in the log, with the hint."""
    host.tenant.faults.add("token-invalid-client")
    with caplog.at_level(logging.INFO, "flask_pkce"):
        members = check_problem(browser.token(), "client-refused")
    assert "PKCE_CLIENT_SECRET" in members["hint"]
    (record,) = [record for record in caplog.records if record.levelno >= logging.ERROR]
    assert record.message.startswith("client-refused")


def test_confidential_client(make_app: MakeApp) -> None:
    """With a client secret the code is exchanged by a confidential client."""
    host = make_app(PKCE_CLIENT_SECRET=CLIENT_SECRET)
    host.tenant.register(client_secret=CLIENT_SECRET)
    Prepared(host, host.browser(), own_state=False).put("done")
    assert "client_secret" in host.tenant.requests[-1].fields
