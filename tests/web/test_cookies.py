"""The one cookie: what it says, what stands beside it, and what a planted one does."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from flask import Flask, Request
from werkzeug.test import TestResponse

from tests.conftest import MakeApp
from tests.web.host import Browser, Host, check_problem
from tests.web.prepared import Prepared
from tests.web.test_challenge import set_cookies

HTTPS = {"PKCE_PUBLIC_URL": "https://app.example"}
SESSION = {"PKCE_TOKEN_DELIVERY": "session"}


def life_of(host: Host, browser: Browser) -> Iterator[TestResponse]:
    """Every answer that sets the cookie, from the first contact to its end."""
    yield browser.send("GET", "/pkce/challenge")
    url = browser.code().get_json()["authorization_url"]
    yield browser.follow(browser.deliver(host.tenant.sign_in(url)))
    if not host.relying_party.settings.delivers_to_session:
        yield browser.token()
    yield browser.clear()
    yield browser.submit("/pkce/code")
    yield browser.submit("/pkce/clear")


@pytest.mark.requirement("A0-9", "CK-1", "CK-4", "CK-9", "CK-12", "BB-2")
@pytest.mark.parametrize("settings", [{}, SESSION], ids=["caller", "session"])
@pytest.mark.parametrize("address", [{}, HTTPS], ids=["http", "https"])
def test_every_cookie(
    address: dict[str, str], settings: dict[str, str], make_app: MakeApp
) -> None:
    """Wherever it is set or deleted it has the same attributes, and no cache keeps the answer."""
    app = Flask("host")
    app.config.update(
        SESSION_COOKIE_DOMAIN="example", SESSION_COOKIE_PATH="/x", SESSION_COOKIE_SAMESITE="None"
    )
    host = make_app(app=app, **address, **settings)
    answers = list(life_of(host, host.browser()))
    for response in answers:
        (line,) = response.headers.getlist("Set-Cookie")
        pair, *attributes = line.split("; ")
        name, _, value = pair.partition("=")
        assert name == ("__Host-pkce" if address else "pkce-80")
        expected = {"HttpOnly", "Path=/", "SameSite=Lax", *(["Secure"] if address else [])}
        if not value:
            expected |= {"Expires=Thu, 01 Jan 1970 00:00:00 GMT", "Max-Age=0"}
        assert set(attributes) == expected
        assert response.headers["Cache-Control"] == "no-store, private"
        assert "Cookie" in response.headers["Vary"]
    assert sum("Max-Age=0" in response.headers["Set-Cookie"] for response in answers) == 2


@pytest.mark.requirement("CK-2")
def test_two_hundred_unfinished_sign_ins(host: Host, browser: Browser) -> None:
    """However many sign-ins are begun, one cookie of constant size stands for all of them, and
    the newest can be finished (N93)."""
    urls = []
    for _ in range(200):
        urls.append(browser.begin()[1])
        assert list(browser.cookies) == ["pkce-80"]
        assert len(f"pkce-80={browser.cookie}") <= 128
    assert len(host.session_of(browser).value.flows) == 20
    assert "Signed in" in browser.arrive(host.tenant.sign_in(urls[-1])).text


@pytest.mark.requirement("CK-14", "BB-3")
def test_cookie_is_a_pointer_alone(host: Host, browser: Browser) -> None:
    """It holds random bytes and a signature: nothing of a flow, a user or a token."""
    _, url = browser.begin()
    browser.arrive(host.tenant.sign_in(url))
    assert browser.token().status_code == 200
    pointer = host.relying_party.signing.read_pointer(browser.cookie)
    assert (len(pointer.session_id), len(pointer.secret)) == (11, 16)
    # Eight and sixteen bytes, and a signature of SHA-256, in base64url.
    payload, _, signature = browser.cookie.partition(".")
    assert (len(payload), len(signature)) == (32, 43)


@pytest.mark.requirement("CK-6")
def test_two_applications_on_one_machine(make_app: MakeApp) -> None:
    """Cookies do not know ports: two applications on one host keep each its own."""
    hosts = [make_app(PKCE_PUBLIC_URL=f"http://localhost:{port}") for port in (5000, 5001)]
    one, other = (host.browser() for host in hosts)
    one.begin()
    before = one.cookies
    for name, value in before.items():
        other.client.set_cookie(name, value)
    other.begin()
    assert set(other.cookies) == {"pkce-5000", "pkce-5001"}
    assert before.items() <= other.cookies.items()


@pytest.mark.requirement("CK-7", "CK-10")
@pytest.mark.parametrize("is_first", [True, False])
def test_two_good_cookies(is_first: bool, host: Host) -> None:
    """Two cookies that open two sessions open neither: one was planted, and who knows which."""
    victim, attacker = host.browser(), host.browser()
    known = Prepared(host, victim, own_state=False).put("bound")
    attacker.begin()
    values = [attacker.cookie, victim.cookie]
    both = "; ".join(f"pkce-80={value}" for value in (values if is_first else values[::-1]))
    program = host.program()
    before = host.store.contents()
    for path in ("/pkce/token", "/pkce/clear"):
        response = program.send("POST", path, headers={"Cookie": both})
        if path == "/pkce/token":
            check_problem(response, "cookie-ambiguous")
    assert host.store.contents() == before
    assert host.status_of(victim, known.state) == "bound"


@pytest.mark.requirement("CK-7")
def test_content_is_not_trusted(host: Host, browser: Browser) -> None:
    """A cookie that is signed well opens nothing where the server has no record of it."""
    browser.begin()
    cookie = browser.cookie
    host.clock.advance(601)
    assert host.store.contents() == {}
    headers = {"Cookie": f"pkce-80={cookie}"}
    check_problem(host.program().send("POST", "/pkce/token", headers=headers), "session-over")


@pytest.mark.requirement("A0-9")
def test_cookies_of_the_tenant_go_nowhere(make_app: MakeApp) -> None:
    """What the tenant sets reaches neither a browser through us nor the tenant again."""
    host = make_app()
    sent = []

    def set_cookie(response: Any) -> Any:
        response.set_cookie("did", "of-the-tenant")
        return response

    host.tenant.app.after_request_funcs[None].append(set_cookie)
    send = host.relying_party.transport.session.send

    def remember_jti(request: Any, **options: Any) -> Any:
        sent.append(request)
        return send(request, **options)

    host.relying_party.transport.session.send = remember_jti  # type: ignore[method-assign]
    for response in life_of(host, host.browser()):
        assert "did" not in set_cookies(response)
    assert len(sent) >= 3
    assert not [request for request in sent if "Cookie" in request.headers]


@pytest.mark.requirement("CK-7")
@pytest.mark.parametrize(
    "name",
    ["\xa0__Host-pkce", "__Host-pkce\xa0", "\x85__Host-pkce", "\x0b__Host-pkce", "__host-pkce"],
    ids=ascii,
)
def test_name_that_only_looks_like_ours(name: str, make_app: MakeApp) -> None:
    """Names are compared byte for byte: browsers let a sibling domain set those that only some
    parsers take for ``__Host-pkce``."""
    host = make_app(**HTTPS)
    attacker, victim = host.browser(), host.browser()
    for browser in (attacker, victim):
        browser.begin()
    program = host.program()
    planted = f"{name}={attacker.cookie}"
    alone = program.send("POST", "/pkce/token", environ_overrides={"HTTP_COOKIE": planted})
    check_problem(alone, "cookie-missing")
    both = {"HTTP_COOKIE": f"{planted}; \t__Host-pkce \t= {victim.cookie} "}
    assert program.send("POST", "/pkce/clear", environ_overrides=both).status_code == 204
    assert attacker.code().status_code == 200
    check_problem(victim.token(), "session-over")


def test_cookies_of_another_type(make_app: MakeApp) -> None:
    """An application may replace the type of ``request.cookies``."""

    class PlainRequest(Request):
        cookies: Any = {}

    app = Flask("host")
    app.request_class = PlainRequest
    host = make_app(app=app)
    browser = host.browser()
    _, url = browser.begin()
    assert "Signed in" in browser.arrive(host.tenant.sign_in(url)).text
    assert browser.token().status_code == 200
