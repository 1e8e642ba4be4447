"""``GET /pkce/challenge``: a flow is started, in a session that is known by one cookie."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from http.cookies import SimpleCookie

import pytest
from werkzeug.test import TestResponse

from tests.conftest import SECRET_KEY, MakeApp
from tests.web.host import Browser, Curl, Host, check_page, check_problem


def set_cookies(response: TestResponse) -> SimpleCookie:
    """The cookies that an answer sets."""
    cookies: SimpleCookie = SimpleCookie()
    for line in response.headers.getlist("Set-Cookie"):
        cookies.load(line)
    return cookies


@pytest.mark.requirement("PK-3", "WC-7")
def test_members(host: Host, browser: Browser) -> None:
    """The answer is the published model: its challenge is the verifier's SHA-256."""
    response = browser.send("GET", "/pkce/challenge")
    assert response.content_type == "application/json"
    assert list(response.get_json()) == ["challenge"]
    challenge = response.get_json()["challenge"]
    assert set(challenge) == {"state", "nonce", "challenge", "method", "verifier"}
    assert challenge["nonce"] == challenge["state"]
    assert challenge["method"] == "S256"
    assert re.fullmatch(r"[A-Za-z0-9_-]{43}", challenge["verifier"])
    digest = hashlib.sha256(challenge["verifier"].encode()).digest()
    assert challenge["challenge"] == base64.urlsafe_b64encode(digest).decode().rstrip("=")


@pytest.mark.requirement("CK-4", "CK-6")
def test_first_contact_sets_one_cookie(host: Host) -> None:
    """Over http on loopback the cookie names the port, and is not Secure."""
    response = host.browser().send("GET", "/pkce/challenge", base_url="http://127.0.0.1:5000")
    cookies = set_cookies(response)
    assert list(cookies) == ["pkce-5000"]
    cookie = cookies["pkce-5000"]
    assert cookie["httponly"]
    assert not cookie["secure"]
    assert cookie["path"] == "/"
    assert cookie["samesite"] == "Lax"
    assert not any(cookie[name] for name in ("domain", "expires", "max-age"))
    assert len(f"pkce-5000={cookie.value}") <= 130


@pytest.mark.requirement("CK-1", "BB-2", "T16")
def test_cookie_over_https(make_app: MakeApp) -> None:
    """Over https it is a ``__Host-`` cookie, of at most 130 bytes."""
    host = make_app(PKCE_PUBLIC_URL="https://app.example")
    response = host.browser().send("GET", "/pkce/challenge")
    cookies = set_cookies(response)
    assert list(cookies) == ["__Host-pkce"]
    cookie = cookies["__Host-pkce"]
    assert cookie["secure"]
    assert cookie["httponly"]
    assert cookie["path"] == "/"
    assert cookie["samesite"] == "Lax"
    assert not cookie["domain"]
    assert len(f"__Host-pkce={cookie.value}") <= 130


@pytest.mark.requirement("N04")
def test_cookie_is_not_the_hosts(make_app: MakeApp) -> None:
    """What the host sets for its own session cookie changes nothing of ours."""
    host = make_app(
        PKCE_PUBLIC_URL="https://app.example",
        SESSION_COOKIE_NAME="pkce",
        SESSION_COOKIE_DOMAIN="example",
        SESSION_COOKIE_PATH="/elsewhere",
        SESSION_COOKIE_SAMESITE="None",
        SESSION_COOKIE_SECURE=False,
        SESSION_COOKIE_HTTPONLY=False,
        SESSION_COOKIE_PARTITIONED=True,
    )
    (line,) = host.browser().send("GET", "/pkce/challenge").headers.getlist("Set-Cookie")
    named, *attributes = line.split("; ")
    assert named.startswith("__Host-pkce=")
    assert sorted(attributes) == ["HttpOnly", "Path=/", "SameSite=Lax", "Secure"]


@pytest.mark.requirement("BC-15", "HO-2")
def test_cookie_behind_a_proxy_that_ends_tls(make_app: MakeApp) -> None:
    """The public URL decides, not the scheme in which the proxy speaks to us."""
    host = make_app(PKCE_PUBLIC_URL="https://app.example")
    response = host.browser().send("GET", "/pkce/challenge", base_url="http://app.example")
    assert list(set_cookies(response)) == ["__Host-pkce"]


@pytest.mark.requirement("CK-2", "N93", "T9")
def test_cookie_stays_small(host: Host, browser: Browser) -> None:
    """The cookie is the same, and of one size, whatever the number of tabs."""
    browser.challenge()
    first = browser.cookie
    states = {browser.challenge()["state"] for _ in range(10)}
    assert len(states) == 10
    assert browser.cookie == first


def test_second_contact_sets_none(host: Host, browser: Browser) -> None:
    """Who has a session gets no second cookie, and a flow of its own."""
    first = browser.challenge()
    response = browser.send("GET", "/pkce/challenge")
    assert "Set-Cookie" not in response.headers
    second = response.get_json()["challenge"]
    assert not set(first.values()) & (set(second.values()) - {"S256"})


@pytest.mark.requirement("BB-8")
def test_tells_nothing_of_the_session(make_app: MakeApp) -> None:
    """Who is signed in gets what a stranger gets: another route tells who that is."""
    for delivery in ("caller", "session"):
        host = make_app(PKCE_TOKEN_DELIVERY=delivery)
        browser = host.browser()
        stranger = browser.send("GET", "/pkce/challenge")
        url = browser.code().get_json()["authorization_url"]
        browser.arrive(host.tenant.sign_in(url))
        if delivery == "caller":
            browser.token()
        known = browser.send("GET", "/pkce/challenge")
        assert known.status_code == stranger.status_code == 200
        assert known.get_json().keys() == stranger.get_json().keys()
        pages = [who.open("/pkce/challenge").text for who in (browser, host.browser())]
        assert len({re.sub('nonce="[^"]*', "", page) for page in pages}) == 1


def test_program_with_a_cookie_jar(host: Host) -> None:
    """Anything that keeps cookies is a browser to us."""
    curl = Curl(host)
    state, url = curl.begin()
    answer = host.tenant.sign_in(url)
    assert curl.respond(**answer.params).status_code == 200
    assert curl.token(state=state).status_code == 200


def test_local_session_gets_no_cookie(make_app: MakeApp) -> None:
    """All callers of the local session are one session, and get no cookie."""
    host = make_app(PKCE_LOCAL_SESSION=True)
    one, other = host.program(), host.program()
    response = one.send("GET", "/pkce/challenge")
    assert "Set-Cookie" not in response.headers
    state = response.get_json()["challenge"]["state"]
    assert other.code(state=state).status_code == 200


def test_browser_beside_the_local_session(make_app: MakeApp) -> None:
    """A browser has a session of its own, also where the local session is on."""
    host = make_app(PKCE_LOCAL_SESSION=True)
    host.program().challenge()
    browser = host.browser()
    browser.challenge()
    assert browser.has_cookie
    assert len(host.session_of(browser).value.flows) == 1


def test_page(host: Host, browser: Browser) -> None:
    """A browser that comes here sees a button, which sends the flow that was started."""
    response = browser.open("/pkce/challenge")
    assert response.status_code == 200
    assert response.content_type == "text/html; charset=utf-8"
    assert '<form method="post" action="/pkce/code">' in response.text
    (entry,) = host.session_of(browser).value.flows
    assert browser.submit("/pkce/code").status_code == 303
    assert [entry] == list(host.session_of(browser).value.flows)


@pytest.mark.requirement("N18b", "PK-6", "T34", "WC-7")
def test_delivery_session(make_app: MakeApp) -> None:
    """With delivery ``session`` verifier and nonce stay on the server: the answer is empty."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    response = browser.send("GET", "/pkce/challenge")
    assert response.get_json() == {}
    assert browser.has_cookie
    (flow,) = host.relying_party.sessions.flows(host.session_of(browser))
    assert flow.value.nonce != flow.value.state


# -- cookies that are not what they should be ------------------------------------------


def test_forged_cookie(host: Host, browser: Browser, caplog: pytest.LogCaptureFixture) -> None:
    """A cookie with a bad signature begins a new session, and the log tells of it."""
    forged = f"{'A' * 32}.{'A' * 43}"
    browser.client.set_cookie("pkce-80", forged)
    with caplog.at_level(logging.WARNING, "flask_pkce"):
        browser.challenge()
    assert browser.cookie != forged
    assert [record.message.partition(":")[0] for record in caplog.records] == ["cookie-forged"]
    assert "SECRET_KEY" in caplog.text
    assert forged not in caplog.text


@pytest.mark.requirement("CK-8")
def test_pointer_of_a_session_that_is_gone(host: Host, browser: Browser) -> None:
    """A pointer whose record is gone is never revived: another session gets another pointer."""
    browser.challenge()
    old = browser.cookie
    host.clock.advance(601)
    assert "Set-Cookie" in browser.send("GET", "/pkce/challenge").headers
    assert browser.cookie != old
    session_id = host.relying_party.signing.read_pointer(browser.cookie).session_id
    assert session_id != host.relying_party.signing.read_pointer(old).session_id


@pytest.mark.requirement("CK-10", "T16")
@pytest.mark.parametrize("planted", ["", "nonsense", f"{'A' * 32}.{'A' * 43}"])
def test_planted_cookie(planted: str, host: Host, browser: Browser) -> None:
    """A second cookie of our name, which another subdomain may plant, does not matter."""
    browser.challenge()
    good = browser.cookie
    for pair in ([planted, good], [good, planted]):
        cookies = {"Cookie": "; ".join(f"pkce-80={value}" for value in pair)}
        response = host.program().send("GET", "/pkce/challenge", headers=cookies)
        assert "Set-Cookie" not in response.headers


@pytest.mark.requirement("T16")
def test_two_good_cookies(host: Host) -> None:
    """Of two cookies that open two sessions one was planted: neither is used."""
    victim, attacker = host.browser(), host.browser()
    states = [caller.begin()[0] for caller in (victim, attacker)]
    before = host.store.contents()
    for pair in ([victim.cookie, attacker.cookie], [attacker.cookie, victim.cookie]):
        headers = {"Cookie": "; ".join(f"pkce-80={value}" for value in pair)}
        program = host.program()
        for state in states:
            body = {"state": state}
            check_problem(program.post("/pkce/code", body, headers=headers), "cookie-missing")
        check_problem(program.post("/pkce/token", headers=headers), "cookie-ambiguous")
    assert host.store.contents() == before


@pytest.mark.requirement("CK-10", "T16")
def test_flood_of_cookies(host: Host, browser: Browser) -> None:
    """Of more than four cookies of our name none is looked at."""
    browser.challenge()
    cookies = "; ".join([f"pkce-80={browser.cookie}"] * 5)
    response = host.program().send("GET", "/pkce/challenge", headers={"Cookie": cookies})
    assert "Set-Cookie" in response.headers


@pytest.mark.requirement("CK-14", "N40b")
def test_key_rotation(host: Host, browser: Browser, make_app: MakeApp) -> None:
    """A session lives on when its key became a fallback."""
    state = browser.challenge()["state"]
    rotated = make_app(
        SECRET_KEY="another key, at least as long as the first",
        SECRET_KEY_FALLBACKS=[SECRET_KEY],
        PKCE_STORE_URL=host.store,
    )
    cookie = {"Cookie": f"pkce-80={browser.cookie}"}
    response = rotated.program().post("/pkce/code", {"state": state}, headers=cookie)
    assert response.status_code == 200


@pytest.mark.requirement("N40b")
def test_key_that_was_rotated_out(host: Host, browser: Browser, make_app: MakeApp) -> None:
    """Cookie and state of a key that is no fallback any more are nobody's; the flow stays as it
    is."""
    _, url = browser.begin()
    rotated = make_app(
        SECRET_KEY="another key, at least as long as the first", PKCE_STORE_URL=host.store
    )
    late = rotated.browser()
    late.client.set_cookie("pkce-80", browser.cookie)
    check_problem(late.token(), "cookie-forged")
    before = host.store.contents()
    check_page(late.arrive(host.tenant.sign_in(url)), "state-forged")
    assert host.store.contents() == before


def test_no_cors(host: Host, browser: Browser) -> None:
    """No CORS header is ours, whoever asks."""
    headers = {"Origin": "http://localhost"}
    response = browser.send("GET", "/pkce/challenge", headers=headers)
    assert not [name for name, _ in response.headers if name.startswith("Access-Control")]
