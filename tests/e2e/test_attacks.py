"""What an attacker tries, and does not get."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from .browsers import BROWSERS
from .person import Person, Tab, state_of
from .scripted import CALLBACK, ScriptedBrowser

if TYPE_CHECKING:
    from .conftest import Serve, Visit
    from .processes import Provider, Server

MODES = ("form_post", "query")

pytestmark = pytest.mark.parametrize("browser_name", BROWSERS)


@pytest.fixture(scope="module", params=MODES)
def caller_app(request: pytest.FixtureRequest, serve: Serve) -> Server:
    """An application that gives the tokens to its callers."""
    return serve(PKCE_RESPONSE_MODE=request.param)


@pytest.fixture(scope="module", params=MODES)
def session_app(request: pytest.FixtureRequest, serve: Serve) -> Server:
    """An application that keeps the tokens on the server."""
    return serve(PKCE_RESPONSE_MODE=request.param, PKCE_TOKEN_DELIVERY="session")


@pytest.fixture
def attacker(caller_app: Server, visit: Visit) -> Tab:
    """A page of the attacker's, in the attacker's own browser."""
    tab = visit(caller_app).tab()
    tab.open("/")
    return tab


@pytest.fixture
def lure(attacker: Tab) -> tuple[str, dict[str, str]]:
    """A sign-in that the attacker started: its address, and the challenge with its verifier."""
    challenge = attacker.fetch("/pkce/challenge").json["challenge"]
    return attacker.fetch("/pkce/code", {}).json["authorization_url"], challenge


def fall_for(url: str, victim: Person) -> Tab:
    """Let the victim, lured to this address, log in there."""
    tab = victim.tab()
    tab.open(url)
    tab.log_in("victim")
    return tab


def test_who_started_the_flow_gets_nothing_of_the_victim(
    caller_app: Server,
    visit: Visit,
    provider: Provider,
    attacker: Tab,
    lure: tuple[str, dict[str, str]],
) -> None:
    """The victim sees why it ended; no route gives the starter anything (RFC 9700 4.7)."""
    url, challenge = lure
    mark = provider.mark()
    victim = visit(caller_app)
    tab = fall_for(url, victim)
    assert victim.callbacks("GET")[-1].status == 403
    assert tab.page.locator("h1").inner_text()

    state = {"state": state_of(url)}
    polled = attacker.fetch("/pkce/code", state)
    assert (polled.status, "result" in polled.json) == (200, False)

    before = time.monotonic()
    waited = attacker.fetch("/pkce/code", state, headers={"Prefer": "wait=20"})
    assert (waited.status, "result" in waited.json) == (200, False)
    assert time.monotonic() - before < 10

    for body in ({}, {"code_verifier": challenge["verifier"]}):
        refused = attacker.fetch("/pkce/token", body)
        assert (refused.status, refused.json["error"]) == (409, "authorization_pending")

    given = provider.codes(since=mark)
    pending_callbacks = [r.url for r in victim.callbacks("GET") if "ticket=" in r.url]
    for address in [CALLBACK, f"{CALLBACK}?ticket={'A' * 43}", *pending_callbacks]:
        answer = attacker.open(address)
        assert answer.status in (400, 403)
        assert given
        assert not [code for code in given if code in answer.text()]
    attacker.open("/")
    assert "result" not in attacker.fetch("/pkce/code", state).json
    assert provider.count("token", since=mark) == 0


def test_the_flow_of_the_attacker_is_untouched(
    caller_app: Server, visit: Visit, attacker: Tab, lure: tuple[str, dict[str, str]]
) -> None:
    """What was not bound changes nothing: whoever started the flow can still finish it."""
    url, _ = lure
    fall_for(url, visit(caller_app))
    login = Tab(attacker.page.context.new_page(), caller_app)
    login.open(url)
    login.log_in("mallory")
    answer = attacker.fetch("/pkce/token", {})
    assert answer.json["auth0"]["user"]["email"] == "mallory@example.org"


def answer_for_the_attacker(app: Server) -> dict[str, str]:
    """Sign in as the attacker, and catch the answer before it is delivered."""
    browser = ScriptedBrowser()
    page = browser.submit(browser.open(f"{app.url}/"))
    answer = browser.catch_answer(page, "mallory")
    assert answer["code"]
    return answer


@pytest.mark.parametrize("how", ["link", "form"])
def test_nobody_is_signed_in_as_the_attacker(session_app: Server, visit: Visit, how: str) -> None:
    """An answer that the attacker sends on, as a link or by a form, signs nobody in."""
    answer = answer_for_the_attacker(session_app)
    victim = visit(session_app)
    tab = victim.tab()
    tab.press_sign_in()  # the victim has a sign-in of its own under way
    if how == "link":
        tab.open(f"{CALLBACK}?{urlencode(answer)}")
    else:
        tab.page.evaluate(
            """([action, fields]) => {
                const form = document.createElement("form");
                Object.assign(form, {method: "post", action});
                for (const [name, value] of Object.entries(fields)) {
                    const input = document.createElement("input");
                    Object.assign(input, {type: "hidden", name, value});
                    form.append(input);
                }
                document.body.append(form);
                form.submit();
            }""",
            [session_app.url + CALLBACK, answer],
        )
        tab.arrive()
    assert victim.callbacks("GET")[-1].status == 403
    assert tab.who() is None
    tab.press_sign_in()
    tab.log_in("victim")
    assert tab.who() == "victim@example.org"


def test_a_form_post_leaves_no_code_in_an_address(
    serve: Serve, visit: Visit, provider: Provider
) -> None:
    """Neither in what the browser asks for, nor in where it is sent, nor in the server's log."""
    app = serve(PKCE_RESPONSE_MODE="form_post", PKCE_TOKEN_DELIVERY="session")
    mark = provider.mark()
    person = visit(app)
    tab = person.tab()
    tab.press_sign_in()
    tab.log_in("ada")
    (code,) = provider.codes(since=mark)
    addresses = [request.url for request in person.requests]
    referrers = [request.headers.get("referer", "") for request in person.requests]
    locations = [response.headers.get("location", "") for response in person.responses]
    assert not [text for text in addresses + referrers + locations if code in text]
    assert code not in app.log()


def test_a_query_leaves_a_clean_address(serve: Serve, visit: Visit) -> None:
    """In query mode the tenant puts the code into one address; the page at the end has none."""
    app = serve(PKCE_RESPONSE_MODE="query")
    person = visit(app)
    page, login = person.tab(), person.tab()
    page.open("/")
    login.open(page.fetch("/pkce/code", {}).json["authorization_url"])
    login.log_in("ada")
    assert "code=" not in login.path
    assert "state=" not in login.path


def test_the_callback_leaves_the_cookies_of_the_host_alone(
    session_app: Server, visit: Visit
) -> None:
    """The host's session is as it was, and the POST of the tenant sets no cookie at all."""
    person = visit(session_app)
    tab = person.tab()
    tab.open("/cart/pear")
    before = person.cookie("session")
    tab.press_sign_in()
    tab.log_in("ada")
    assert person.cookie("session") == before
    assert "pear" in tab.page.content()
    for response in person.callbacks("POST"):
        assert "set-cookie" not in response.all_headers()
    for response in person.callbacks("GET"):
        assert "session=" not in response.all_headers().get("set-cookie", "")
