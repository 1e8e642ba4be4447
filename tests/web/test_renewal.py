"""The cookie is renewed where an answer is bound: whoever had the old one gets nothing."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from flask_pkce.relying_party.authorize import Sent
from flask_pkce.sessions.flow import Status
from flask_pkce.tenant.cache import FAILED
from tests.conftest import MakeApp
from tests.support import arrived
from tests.web.host import CALLBACK, Browser, Host, check_page, check_problem

RESPONSE_MODES = ["form_post", "query"]


def copy(browser: Browser) -> Browser:
    """Another browser with the same cookie: planted, stolen, or a request on its way."""
    other = browser.host.browser()
    other.client.set_cookie("pkce-80", browser.cookie)
    return other


def refresh_of(page: TestResponse) -> str:
    """Return the address of a page that reloads itself in a second."""
    assert (page.status_code, page.headers["Refresh"]) == (200, "1")
    assert "Set-Cookie" not in page.headers
    return page.request.full_path


@pytest.mark.requirement("CK-7", "CK-11", "T1", "T8")
@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
def test_planted_cookie(response_mode: str, make_app: MakeApp) -> None:
    """Whoever planted the cookie, and with it the flow, does not get at the answer."""
    host = make_app(PKCE_RESPONSE_MODE=response_mode)
    attacker = host.browser()
    state, url = attacker.begin()
    victim = copy(attacker)
    assert "Signed in" in victim.arrive(host.tenant.sign_in(url)).text
    check_problem(attacker.token(), "cookie-renewed")
    host.clock.advance(10)
    check_problem(attacker.token(), "cookie-outdated")
    check_problem(attacker.code(state=state), "cookie-missing")
    assert host.token_requests == 0
    assert victim.token().status_code == 200


def test_clock_that_was_set_back(host: Host) -> None:
    """A cookie that was renewed an hour from now is an old one, and keeps nobody from starting."""
    late = host.browser()
    _, url = late.begin()
    copy(late).arrive(host.tenant.sign_in(url))
    host.clock.advance(-3600)
    check_problem(late.token(), "cookie-outdated")
    assert late.code().status_code == 200


def test_planted_cookie_of_a_script(host: Host) -> None:
    """Nor where a script of a page passes the answer on."""
    attacker = host.browser()
    state, url = attacker.begin()
    victim = copy(attacker)
    response = victim.respond(**host.tenant.sign_in(url).params)
    assert response.get_json()["result"]["state"] == state
    check_problem(attacker.token(), "cookie-renewed")
    assert host.token_requests == 0
    assert victim.token().status_code == 200


@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
def test_two_tabs_at_once(response_mode: str, make_app: MakeApp) -> None:
    """A second tab that is on its way with the old cookie goes again with the new one."""
    host = make_app(PKCE_RESPONSE_MODE=response_mode)
    browser = host.browser()
    flows = [browser.begin() for _ in range(2)]
    first, second = (host.tenant.sign_in(url) for _, url in flows)
    late = copy(browser)
    browser.arrive(first)
    page = late.arrive(second)
    assert host.status_of(browser, flows[1][0]) == "sent"
    late.client.set_cookie("pkce-80", browser.cookie)
    assert "Signed in" in late.open(refresh_of(page), site="same-origin").text
    assert host.status_of(late, flows[1][0]) == "bound"


def test_old_cookie_consumes_no_ticket(host: Host, browser: Browser) -> None:
    """The old cookie waits, however often it comes, and the ticket stays for the new one."""
    flows = [browser.begin() for _ in range(2)]
    first, second = (host.tenant.sign_in(url) for _, url in flows)
    late = copy(browser)
    browser.arrive(first)
    before = host.store.contents()
    again = refresh_of(late.arrive(second))
    waiting = host.store.contents()
    for _ in range(3):
        assert refresh_of(late.open(again, site="same-origin"))
        check_problem(late.send("GET", again), "cookie-renewed")
    assert host.store.contents() == waiting
    assert len(waiting) == len(before) + 1
    late.client.set_cookie("pkce-80", browser.cookie)
    assert "Signed in" in late.open(again, site="same-origin").text
    assert host.status_of(late, flows[1][0]) == "bound"


def test_old_cookie_that_is_worth_nothing(host: Host, browser: Browser) -> None:
    """Once the old cookie is worth nothing, it is refused, and the pending callback destroyed."""
    flows = [browser.begin() for _ in range(2)]
    first, second = (host.tenant.sign_in(url) for _, url in flows)
    late = copy(browser)
    browser.arrive(first)
    again = refresh_of(late.arrive(second))
    host.clock.advance(10)
    check_page(late.open(again, site="same-origin"), "cookie-outdated")
    check_page(late.open(again, site="same-origin"), "ticket-spent")
    assert host.status_of(browser, flows[1][0]) == "sent"


@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
@pytest.mark.parametrize("is_same_browser", [True, False])
def test_at_the_same_moment(
    is_same_browser: bool,
    response_mode: str,
    make_app: MakeApp,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of two that bind with one cookie at the same moment one goes on; the other binds nothing
    before it came with the new cookie, which only the same browser has."""
    host = make_app(PKCE_RESPONSE_MODE=response_mode)
    victim = host.browser()
    flows = [victim.begin() for _ in range(2)]
    mine, theirs = (host.tenant.sign_in(url) for _, url in flows)
    rival = copy(victim)
    renew = host.relying_party.sessions.renew

    def overtaken(*args: Any) -> Any:
        monkeypatch.setattr(host.relying_party.sessions, "renew", renew)
        rival.arrive(theirs)
        if is_same_browser:
            victim.client.set_cookie("pkce-80", rival.cookie)
        return renew(*args)

    monkeypatch.setattr(host.relying_party.sessions, "renew", overtaken)
    response = victim.deliver(mine)
    while response.status_code == 303:
        assert host.status_of(rival, flows[0][0]) == "sent"
        response = victim.follow(response)
    if is_same_browser:
        assert "Signed in" in response.text
        assert host.status_of(rival, flows[0][0]) == "bound"
    else:
        again = refresh_of(response)
        host.clock.advance(10)
        check_page(victim.open(again, site="same-origin"), "cookie-outdated")
        assert host.status_of(rival, flows[0][0]) == "sent"


@pytest.mark.requirement("N37")
@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
def test_same_answer_at_the_same_moment(
    response_mode: str, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whose cookie was renewed while the answer was bound comes again with the new one before
    the code is exchanged: with the old one nobody could be signed in."""
    host = make_app(PKCE_RESPONSE_MODE=response_mode, PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    answer = host.tenant.sign_in(url)
    find = host.relying_party.sign_in.find

    def overtaken(*args: Any) -> Any:
        monkeypatch.setattr(host.relying_party.sign_in, "find", find)
        session, flow = find(*args)
        _, pointer = host.relying_party.sessions.renew(session)
        assert pointer is not None
        browser.client.set_cookie("pkce-80", host.relying_party.signing.sign_pointer(pointer))
        return session, host.relying_party.sign_in.bind(flow, arrived(answer))

    monkeypatch.setattr(host.relying_party.sign_in, "find", overtaken)
    response = browser.deliver(answer)
    while "ticket" in response.headers["Location"]:
        assert host.token_requests == 0
        response = browser.follow(response)
    assert browser.send("GET", "/pkce/user").get_json()["sub"] == "auth0|alice"
    assert host.token_requests == 1


def test_refused_answer_of_a_flow_that_failed(host: Host, browser: Browser) -> None:
    """Where nothing is bound any more the cookie stays as it is."""
    state, url = browser.begin()
    browser.arrive(host.tenant.sign_in(url, cancel=True))
    cookie = browser.cookie
    check_page(browser.arrive({"state": state, "code": "c"}), "access-denied")
    assert browser.cookie == cookie


def test_clear_with_the_old_cookie(make_app: MakeApp) -> None:
    """Who signs out while the code is exchanged is signed out, though the new cookie is not in
    the browser yet; the tokens are taken back.  Later the old cookie is worth nothing."""
    host = make_app(
        PKCE_TOKEN_DELIVERY="session", PKCE_SCOPE="openid profile email offline_access"
    )
    browser = host.browser()
    url = browser.code().get_json()["authorization_url"]
    other = copy(browser)
    host.while_tokens_are_made(lambda: other.clear())
    check_page(browser.arrive(host.tenant.sign_in(url)), "signed-out-meanwhile")
    assert host.revocations == 1
    assert not host.store.contents()
    check_problem(browser.send("GET", "/pkce/user"), "not-signed-in")

    url = browser.code().get_json()["authorization_url"]
    late = copy(browser)
    browser.arrive(host.tenant.sign_in(url))
    host.clock.advance(10)
    assert late.clear().status_code == 204
    assert browser.send("GET", "/pkce/user").status_code == 200


def test_every_request_with_the_old_cookie(make_app: MakeApp) -> None:
    """Whatever comes with the old cookie is asked for a moment, and changes nothing."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    late = copy(browser)
    browser.arrive(host.tenant.sign_in(url))
    before = host.store.contents()
    for path in ("/pkce/challenge", "/pkce/user", "/pkce/login", f"{CALLBACK}?ticket=any"):
        told = late.send("GET", path)
        check_problem(told, "cookie-renewed", status=409, error="session_renewed")
        assert told.headers["Retry-After"] == "1"
        assert refresh_of(late.open(path, site="same-origin"))
    for path in ("/pkce/code", "/pkce/token"):
        check_problem(late.post(path), "cookie-renewed", status=409)
        check_page(late.submit(path), "cookie-renewed", status=409)
    assert host.store.contents() == before


@pytest.mark.requirement("CK-11", "T8")
def test_logout_with_the_old_cookie(make_app: MakeApp) -> None:
    """The old cookie, which may be planted or stolen, ends the session and learns no more."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    thief = host.browser()
    url = thief.submit("/pkce/code").headers["Location"]
    victim = copy(thief)
    victim.arrive(host.tenant.sign_in(url))
    left = thief.submit("/pkce/logout").headers["Location"]
    assert set(parse_qs(urlsplit(left).query)) == {"client_id", "post_logout_redirect_uri"}
    check_problem(victim.send("GET", "/pkce/user"), "not-signed-in")


def test_clear_during_a_slow_exchange(make_app: MakeApp) -> None:
    """As long as the code is exchanged, the old cookie ends the session and starts no other."""
    host = make_app(
        PKCE_TOKEN_DELIVERY="session", PKCE_SCOPE="openid profile email offline_access"
    )
    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    late = copy(browser)

    linked: list[TestResponse] = []

    def sign_out_late() -> None:
        host.clock.advance(11)
        linked.append(late.open("/pkce/login"))
        late.clear()

    host.while_tokens_are_made(sign_out_late)
    check_page(browser.arrive(host.tenant.sign_in(url)), "signed-out-meanwhile")
    assert linked[0].headers["Refresh"] == "1"
    assert host.revocations == 1
    check_problem(browser.send("GET", "/pkce/user"), "not-signed-in")


def test_link_with_the_old_cookie(make_app: MakeApp) -> None:
    """A link waits until the new cookie is there, or must have been lost."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    late = copy(browser)
    browser.arrive(host.tenant.sign_in(url))
    waiting = late.open("/pkce/login?return_to=/account")
    assert (waiting.status_code, waiting.headers["Refresh"]) == (200, "1")
    assert "Set-Cookie" not in waiting.headers
    check_problem(late.send("GET", "/pkce/login"), "cookie-renewed")
    assert browser.open("/pkce/login").status_code == 303
    host.clock.advance(10)
    begun = late.open("/pkce/login?return_to=/account")
    assert begun.headers["Location"].startswith(host.tenant.issuer)
    assert begun.headers["Set-Cookie"]


def test_start_with_the_old_cookie(host: Host, browser: Browser) -> None:
    """A tab that starts another sign-in with the old cookie gets no new session: that would take
    the place of the one which is signed in."""
    _, url = browser.begin()
    late = copy(browser)
    browser.arrive(host.tenant.sign_in(url))
    for path, method in (("/pkce/challenge", "GET"), ("/pkce/code", "POST")):
        response = late.send(method, path)
        check_problem(response, "cookie-renewed")
        assert "Set-Cookie" not in response.headers
    host.clock.advance(10)
    assert late.send("GET", "/pkce/challenge").headers["Set-Cookie"]


@pytest.mark.requirement("ST-5", "T29")
def test_old_cookie_while_the_clock_is_behind(host: Host) -> None:
    """A clock that steps back does not make a renewal that is long past a recent one."""
    browser, thief = host.browser(), host.browser()
    _, url = browser.begin()
    thief.client.set_cookie("pkce-80", browser.cookie)
    browser.arrive(host.tenant.sign_in(url))
    assert browser.token().status_code == 200
    host.clock.advance(-3600)
    assert thief.clear().status_code == 204
    assert host.revocations == 0
    assert host.session_of(browser).value.grants


ELSEWHERE = "http://127.0.0.1:5173/done"


@pytest.mark.requirement("T8", "CK-11")
def test_code_that_went_elsewhere_needs_its_code(make_app: MakeApp) -> None:
    """Whoever planted the cookie does not get the tokens of a code that it does not know."""
    host = make_app(PKCE_REDIRECT_URIS=ELSEWHERE)
    thief, victim = host.browser(), host.browser()
    _, url = thief.begin(redirect_uri=ELSEWHERE)
    verifier = host.flow_of(thief, parse_qs(urlsplit(url).query)["state"][0]).value.code_verifier
    victim.client.set_cookie("pkce-80", thief.cookie)
    code = host.tenant.sign_in(url).params["code"]
    host.tenant.faults.add("unreachable")
    check_problem(victim.token(code=code), "tenant-unreachable")
    host.tenant.faults.clear()
    host.clock.advance(FAILED)
    check_problem(thief.token(), "authorization-pending")
    check_problem(thief.token(code_verifier=verifier), "authorization-pending")
    assert victim.token(code=code).status_code == 200


@pytest.mark.requirement("N52", "T8")
@pytest.mark.parametrize("is_cleared", [False, True])
def test_old_cookie_at_the_same_moment(
    is_cleared: bool, make_app: MakeApp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A request with the old cookie is told no code that is bound while it is answered."""
    host = make_app()
    thief, victim = host.browser(), host.browser()
    state, url = thief.begin()
    victim.client.set_cookie("pkce-80", thief.cookie)
    answer = host.tenant.sign_in(url)
    authorize = host.relying_party.sign_in.authorize

    def bind_and_authorize(*args: Any, **options: Any) -> Sent:
        monkeypatch.undo()
        victim.arrive(answer)
        sent = authorize(*args, **options)
        assert sent.flow.value.status is Status.BOUND
        assert not is_cleared or victim.clear().status_code == 204
        return sent

    monkeypatch.setattr(host.relying_party.sign_in, "authorize", bind_and_authorize)
    told = thief.code(state=state)
    if is_cleared:
        check_problem(told, "signed-out-meanwhile")
    else:
        assert "result" not in told.get_json()
