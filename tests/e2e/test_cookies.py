"""Cookies that somebody else planted, and those of the host."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .browsers import BROWSERS
from .person import state_of

if TYPE_CHECKING:
    from .conftest import Serve, Visit
    from .foreign import ForeignPages
    from .person import Answer, Person, Tab
    from .processes import Server

pytestmark = pytest.mark.parametrize("browser_name", BROWSERS)


@pytest.fixture(scope="module")
def session_app(serve: Serve) -> Server:
    """An application that keeps the tokens on the server."""
    return serve(PKCE_TOKEN_DELIVERY="session")


@pytest.fixture(scope="module")
def caller_app(serve: Serve) -> Server:
    """An application that gives the tokens to its callers."""
    return serve()


def plant(person: Person, foreign: ForeignPages, how: str, value: str, path: str = "/") -> None:
    """Set a cookie by our name, from a page on another port of the application's host."""
    cookie = f"pkce-{person.server.port}={value}; Path={path}"
    if how == "header":
        address = foreign.add("localhost", Set_Cookie=cookie)
    else:
        address = foreign.add("localhost", f"<script>document.cookie = '{cookie}'</script>")
    before = person.jar
    tab = person.tab()
    tab.page.goto(address)
    tab.page.close()
    assert person.jar != before


@pytest.mark.parametrize(("how", "path"), [("header", "/"), ("script", "/pkce")])
def test_a_planted_cookie_does_not_hinder(
    session_app: Server, visit: Visit, foreign: ForeignPages, how: str, path: str
) -> None:
    """Whoever comes with a worthless cookie of our name can sign in all the same."""
    person = visit(session_app)
    plant(person, foreign, how, "worthless", path)
    tab = person.tab()
    tab.press_sign_in()
    tab.log_in("ada")
    assert tab.path == "/account"
    assert tab.who() == "ada@example.org"


def test_a_script_cannot_replace_the_cookie(
    session_app: Server, visit: Visit, foreign: ForeignPages
) -> None:
    """It is ``HttpOnly``: no script of the same host can read it, or write over it."""
    person = visit(session_app)
    tab = person.tab()
    tab.press_sign_in()
    tab.log_in("ada")
    before = person.jar
    name = f"pkce-{session_app.port}"
    other = person.tab()
    other.page.goto(
        foreign.add("localhost", f"<script>document.cookie = '{name}=worthless; Path=/'</script>")
    )
    assert person.our_cookie
    assert person.our_cookie not in other.page.evaluate("document.cookie")
    assert person.jar == before
    assert tab.who() == "ada@example.org"


def assert_renewed(answer: Answer) -> None:
    """Assert that a request with the old cookie was asked to come again, and told nothing."""
    assert (answer.status, answer.json["error"]) == (409, "session_renewed")
    assert "result" not in answer.json


@pytest.mark.parametrize(("how", "path"), [("header", "/"), ("script", "/pkce")])
def test_a_planted_session_is_worth_nothing_after_the_sign_in(
    session_app: Server, visit: Visit, foreign: ForeignPages, how: str, path: str
) -> None:
    """The victim signs in with the attacker's cookie; the attacker's old one opens nothing.

    For some seconds it gets the answer of a browser that does not have its new cookie yet.
    """
    attacker, victim = visit(session_app), visit(session_app)
    page = attacker.tab()
    page.press_sign_in()
    planted = attacker.our_cookie
    assert planted
    plant(victim, foreign, how, planted, path)

    tab = victim.tab()
    tab.press_sign_in()
    tab.log_in("victim")
    assert page.who() is None
    page.open("/")
    assert_renewed(page.fetch("/pkce/token", {}))
    assert attacker.our_cookie == planted
    assert tab.who() in ("victim@example.org", None)
    if path == "/":
        assert tab.who() == "victim@example.org"
        assert victim.our_cookie not in (None, planted)


def test_a_planted_session_gives_no_tokens(
    caller_app: Server, visit: Visit, foreign: ForeignPages
) -> None:
    """A page that asks for tokens itself gets none: the first response renews the cookie."""
    attacker, victim = visit(caller_app), visit(caller_app)
    page = attacker.tab()
    page.open("/")
    challenge = page.fetch("/pkce/challenge").json["challenge"]
    url = page.fetch("/pkce/code", {}).json["authorization_url"]
    planted = attacker.our_cookie
    assert planted
    plant(victim, foreign, "script", planted)

    login = victim.tab()
    login.open(url)
    login.log_in("victim")
    assert_renewed(page.fetch("/pkce/code", {"state": state_of(url)}))
    for body in ({}, {"code_verifier": challenge["verifier"]}):
        assert_renewed(page.fetch("/pkce/token", body))
    assert victim.our_cookie not in (None, planted)


def test_nobody_becomes_the_attacker_by_a_cookie(
    session_app: Server, visit: Visit, foreign: ForeignPages
) -> None:
    """Of two cookies that open two sessions neither is believed, and none of them is the other."""
    attacker, victim = visit(session_app), visit(session_app)
    signed_in: list[Tab] = []
    for person, login in ((attacker, "mallory"), (victim, "victim")):
        signed_in.append(person.tab())
        signed_in[-1].press_sign_in()
        signed_in[-1].log_in(login)
    planted = attacker.our_cookie
    assert planted
    plant(victim, foreign, "header", planted, "/pkce")
    assert [tab.who() for tab in signed_in] == ["mallory@example.org", None]


def test_many_challenges_leave_one_small_cookie(caller_app: Server, visit: Visit) -> None:
    """However many sign-ins are begun, the newest can be finished; the cookie stays small."""
    person = visit(caller_app)
    tab, login = person.tab(), person.tab()
    tab.open("/")
    newest = tab.page.evaluate(
        """async () => {
            let challenge;
            for (let i = 0; i < 200; i += 1) {
                const answer = await fetch("/pkce/challenge");
                if (answer.status !== 200) throw new Error(`${i}: ${answer.status}`);
                ({challenge} = await answer.json());
            }
            return challenge;
        }"""
    )
    cookies = person.context.cookies(caller_app.url)
    assert [cookie.get("name") for cookie in cookies] == [f"pkce-{caller_app.port}"]
    assert len(person.our_cookie or "") < 200
    url = tab.fetch("/pkce/code", {}).json["authorization_url"]
    assert state_of(url) == newest["state"]
    login.open(url)
    login.log_in("ada")
    answer = tab.fetch("/pkce/token", {"code_verifier": newest["verifier"]})
    assert answer.json["auth0"]["user"]["email"] == "ada@example.org"


@pytest.mark.parametrize("mode", ["form_post", "query"])
def test_a_lasting_session_of_the_host_stays(serve: Serve, visit: Visit, mode: str) -> None:
    """A host that reads and writes its session before every request, and renews it each time.

    Without the host's cookie, which does not come with the tenant's POST, it would begin anew.
    """
    app = serve(
        "host:create_counting_app()",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_REFRESH_EACH_REQUEST="true",
        PKCE_RESPONSE_MODE=mode,
        PKCE_TOKEN_DELIVERY="session",
    )
    person = visit(app)
    tab = person.tab()
    tab.open("/cart/pear")
    tab.press_sign_in()
    tab.log_in("ada")
    assert "pear" in tab.page.content()
    assert tab.who() == "ada@example.org"
    assert len(person.callbacks("POST")) == (mode == "form_post")
    for response in person.callbacks("POST"):
        assert "set-cookie" not in response.all_headers()
