"""What pages of others make a browser do, on another site and on another port of ours."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from .browsers import BROWSERS
from .foreign import SITES
from .scripted import CALLBACK

if TYPE_CHECKING:
    from .conftest import Serve, Visit
    from .foreign import ForeignPages
    from .person import Person, Tab
    from .processes import Server

pytestmark = [
    pytest.mark.parametrize("browser_name", BROWSERS),
    pytest.mark.parametrize("site", SITES),
]

# Everything that needs no click.  Each of them ends, well or not, before the page says so.
LOADER = """<body><script>
const app = "%s";
const answer = "code=a-code&state=a-state";
const given = {mode: "no-cors", credentials: "include"};
const form = new URLSearchParams(answer);
const ended = (element) => new Promise((resolve) => {
  element.onload = element.onerror = resolve;
  document.body.append(element);
});
const made = (tag, attributes) => ended(Object.assign(document.createElement(tag), attributes));
const framed = (name, path, fields) => {
  const frame = Object.assign(document.createElement("iframe"), {name});
  const sent = Object.assign(document.createElement("form"), {
    method: "post", action: app + path, target: name,
  });
  for (const [field, value] of new URLSearchParams(fields)) {
    sent.append(Object.assign(document.createElement("input"), {name: field, value}));
  }
  document.body.append(frame, sent);
  const end = new Promise((resolve) => { frame.onload = resolve; });
  sent.submit();
  return end;
};
const patience = new Promise((resolve) => setTimeout(resolve, 3000));
Promise.race([patience, Promise.allSettled([
  fetch(app + "/pkce/challenge?by=fetch", given),
  fetch(app + "/pkce/user?by=fetch", given),
  fetch(app + "/pkce/code?by=fetch", {...given, method: "POST"}),
  fetch(app + "/pkce/token?by=fetch", {...given, method: "POST"}),
  fetch(app + "/pkce/clear?by=fetch", {...given, method: "POST"}),
  fetch(app + "/pkce/response/code?by=fetch", {...given, method: "POST", body: form}),
  fetch(app + "/pkce/response/code?by=fetch&" + answer, given),
  fetch(app + "/pkce/clear?by=cors", {method: "POST", credentials: "include"}),
  made("img", {src: app + "/pkce/challenge?by=img"}),
  made("script", {src: app + "/pkce/challenge?by=script"}),
  made("iframe", {src: app + "/pkce/challenge?by=iframe"}),
  made("iframe", {src: app + "/pkce/response/code?by=iframe&" + answer}),
  made("link", {rel: "prefetch", href: app + "/pkce/challenge?by=prefetch"}),
  framed("code", "/pkce/code?by=form", ""),
  framed("clear", "/pkce/clear?by=form", ""),
  framed("answer", "/pkce/response/code?by=form", answer),
])]).then(() => { document.title = "Loaded"; });
</script>"""

BUTTON = """<form method="post" action="{url}{path}"><button>Win a prize</button></form>"""


@pytest.fixture(scope="module")
def app(serve: Serve) -> Server:
    """An application that keeps the tokens on the server."""
    return serve(PKCE_TOKEN_DELIVERY="session")


@pytest.fixture
def person(app: Server, visit: Visit) -> Person:
    """A person who never was at the application."""
    return visit(app)


@pytest.fixture
def signed_in(person: Person) -> Tab:
    """The same, signed in."""
    tab = person.tab()
    tab.press_sign_in()
    tab.log_in("ada")
    return tab


def load(person: Person, foreign: ForeignPages, site: str) -> dict[str, int]:
    """Let a foreign page do what it can.

    :return: the status of each request that arrived at the application.
    """
    page, before = person.tab().page, len(person.server.log())
    page.goto(foreign.add(site, LOADER % person.server.url))
    page.wait_for_function("document.title === 'Loaded'")
    arrived = re.findall(r"^(.*\?by=(\w+).*) (\d{3})$", person.server.log()[before:], re.MULTILINE)
    assert {kind for _, kind, _ in arrived} >= {"fetch", "cors", "img", "script", "iframe", "form"}
    return {request: int(status) for request, _, status in arrived}


def test_a_page_starts_nothing_for_a_stranger(
    person: Person, foreign: ForeignPages, site: str
) -> None:
    """Nobody gets a session, and with it a cookie, because a foreign page wants so."""
    statuses = load(person, foreign, site)
    assert set(statuses.values()) <= {303, 400, 403}, statuses
    assert person.jar == []


def test_a_page_changes_nothing_for_a_user(
    person: Person, signed_in: Tab, foreign: ForeignPages, site: str
) -> None:
    """Whoever is signed in stays so, with the same cookies."""
    before = person.jar
    statuses = load(person, foreign, site)
    assert set(statuses.values()) <= {303, 400, 403}, statuses
    assert person.jar == before
    assert signed_in.who() == "ada@example.org"


def test_a_button_does_nothing(
    person: Person, signed_in: Tab, foreign: ForeignPages, site: str
) -> None:
    """A foreign login button and a foreign logout button, pressed, are refused."""
    before = person.jar
    for path in ("/pkce/code", "/pkce/clear", "/pkce/token"):
        tab = person.tab()
        tab.page.goto(foreign.add(site, BUTTON.format(url=person.server.url, path=path)))
        with tab.page.expect_navigation() as arrived:
            tab.page.get_by_role("button").click()
        assert arrived.value.status == 403
        assert tab.path == path
    assert person.jar == before
    assert signed_in.who() == "ada@example.org"


def test_an_answer_from_a_page_signs_nobody_in(
    person: Person, foreign: ForeignPages, site: str
) -> None:
    """Made-up answers, before the real one and while it is under way, neither help nor harm."""
    tab = person.tab()
    tab.press_sign_in()
    before = person.jar
    made_up = f"{CALLBACK}?code=a-code&state=a-state&iss=http://127.0.0.1/"
    refused = f"{CALLBACK}?error=access_denied&state=a-state"
    for junk in (made_up, refused, f"{CALLBACK}?code=a-code", CALLBACK, f"{CALLBACK}?ticket=x"):
        other = person.tab()
        other.page.goto(foreign.add(site, f'<a href="{person.server.url}{junk}">A prize</a>'))
        with other.page.expect_navigation() as arrived:
            other.page.get_by_role("link").click()
        assert arrived.value.status in (400, 403)
    assert person.jar == before
    assert tab.who() is None
    tab.log_in("ada")
    assert tab.path == "/account"
    assert tab.who() == "ada@example.org"


def follow_link(person: Person, foreign: ForeignPages, site: str, path: str) -> Tab:
    """Follow a link that stands on a foreign page."""
    tab = person.tab()
    tab.page.goto(foreign.add(site, f'<a href="{person.server.url}{path}">A prize</a>'))
    with tab.page.expect_navigation():
        tab.page.get_by_role("link").click()
    tab.page.wait_for_load_state()
    return tab


def test_a_link_asks_a_signed_in_user(
    person: Person, signed_in: Tab, foreign: ForeignPages, site: str
) -> None:
    """A foreign link starts nothing while a user is signed in, until the user confirms."""
    before = person.jar
    tab = follow_link(person, foreign, site, "/pkce/login?return_to=/account%3Flinked")
    for _ in range(2):
        assert tab.page.get_by_role("heading").inner_text() == (
            "You are signed in as ada@example.org"
        )
        tab.reload()
    assert person.jar == before
    tab.page.get_by_role("button", name="Continue").click()
    # The tenant knows the user still.
    tab.page.wait_for_url(f"{person.server.url}/account?linked")
    assert signed_in.who() == "ada@example.org"
    other = follow_link(person, foreign, site, "/pkce/login")
    other.page.get_by_role("link", name="Stay signed in").click()
    other.page.wait_for_url(f"{person.server.url}/")
    assert signed_in.who() == "ada@example.org"


@pytest.mark.parametrize("answer", ["Continue", "Stay"])
def test_a_link_from_before_the_sign_in_asks(
    person: Person, foreign: ForeignPages, site: str, answer: str
) -> None:
    """A foreign link that is answered after the user signed in asks before it replaces that."""
    linked = follow_link(person, foreign, site, "/pkce/login?return_to=/account%3Flinked")
    linked.page.wait_for_url("http://127.0.0.1:*/interaction/*")
    tab = person.tab()
    tab.press_sign_in()
    tab.log_in("ada")
    linked.log_in("eve")
    for _ in range(2):
        assert linked.page.get_by_role("heading").inner_text() == (
            "You are signed in as ada@example.org"
        )
        linked.reload()
    assert tab.who() == "ada@example.org"
    linked.page.get_by_role("button", name=answer).click()
    if answer == "Continue":
        linked.page.wait_for_url(f"{person.server.url}/account?linked")
        assert tab.who() == "eve@example.org"
    else:
        linked.page.wait_for_url(f"{person.server.url}/")
        assert tab.who() == "ada@example.org"
