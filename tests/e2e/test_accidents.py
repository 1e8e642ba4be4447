"""What happens at the wrong moment."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from .browsers import BROWSERS
from .person import state_of
from .processes import Provider
from .scripted import CALLBACK

if TYPE_CHECKING:
    from .conftest import Serve, Visit

pytestmark = pytest.mark.parametrize("browser_name", BROWSERS)


def test_clearing_during_an_exchange_ends_it(
    serve: Serve, visit: Visit, provider: Provider
) -> None:
    """Who signs out while the tenant still thinks is signed out; the tokens are taken back."""
    person = visit(serve(PKCE_TOKEN_DELIVERY="session"))
    tab, other = person.tab(), person.tab()
    tab.press_sign_in()
    other.open("/")
    mark = provider.mark()
    with provider.slow(3):
        tab.page.get_by_label("User name").fill("ada")
        tab.page.get_by_label("Password").fill(Provider.password)
        tab.page.get_by_role("button", name="Log in").click(no_wait_after=True)
        provider.wait_for("token_asked", since=mark)
        assert other.fetch("/pkce/clear", method="POST").status == 204
        provider.wait_for("revoked", since=mark)
    tab.arrive()
    assert tab.page.locator("h1").inner_text()
    assert person.callbacks("GET")[-1].status == 400
    assert tab.who() is None
    assert provider.count("token", since=mark) == 1


def test_clearing_during_an_exchange_of_a_page_ends_it(
    serve: Serve, visit: Visit, provider: Provider
) -> None:
    """The page that asked for the tokens hears 400, and they are taken back."""
    person = visit(serve())
    tab, other = person.tab(), person.tab()
    tab.open("/")
    other.open(tab.fetch("/pkce/code", {}).json["authorization_url"])
    other.log_in("ada")
    other.open("/")
    mark = provider.mark()
    with provider.slow(3):
        tab.page.evaluate(
            """() => {
                const asked = fetch("/pkce/token", {method: "POST"});
                window.asked = asked.then(response => response.status);
            }"""
        )
        provider.wait_for("token_asked", since=mark)
        assert other.fetch("/pkce/clear", method="POST").status == 204
        assert tab.page.evaluate("window.asked") == 400
        provider.wait_for("revoked", since=mark)
    assert person.jar == []


@pytest.mark.parametrize("iss", ["http://127.0.0.1/", "https://other.example/"])
def test_an_answer_of_another_issuer_uses_nothing_up(serve: Serve, visit: Visit, iss: str) -> None:
    """Even with the right state, in the right browser: it is refused, and the real one counts."""
    app = serve(PKCE_RESPONSE_MODE="query")
    person = visit(app)
    page, login = person.tab(), person.tab()
    page.open("/")
    url = page.fetch("/pkce/code", {}).json["authorization_url"]
    junk = urlencode({"code": "a-code", "state": state_of(url), "iss": iss})
    assert login.open(f"{CALLBACK}?{junk}").status >= 400
    assert "result" not in page.fetch("/pkce/code", {"state": state_of(url)}).json
    login.open(url)
    login.log_in("ada")
    answer = page.fetch("/pkce/token", {})
    assert answer.json["auth0"]["user"]["email"] == "ada@example.org"
