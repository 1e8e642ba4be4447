"""Signing in, as a person does it: with both response modes, and both deliveries."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .browsers import BROWSERS
from .conftest import CLIENT_SECRET
from .person import parameters_of, state_of

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


# -- delivery: caller --------------------------------------------------------


def test_a_page_uses_the_five_routes(caller_app: Server, visit: Visit) -> None:
    """Challenge, code, sign-in, code with its result, token, clear: each answers as published."""
    person = visit(caller_app)
    page = person.tab()
    page.open("/")

    challenge = page.fetch("/pkce/challenge").json["challenge"]
    sent = page.fetch("/pkce/code", {})
    asked = parameters_of(sent.json["authorization_url"])
    assert sent.status == 200
    assert "result" not in sent.json
    assert asked["state"] == asked["nonce"] == challenge["state"] == challenge["nonce"]
    assert asked["code_challenge"] == challenge["challenge"]
    assert asked["redirect_uri"] == f"{caller_app.url}/pkce/response/code"

    early = page.fetch("/pkce/token", {})
    assert (early.status, early.json["error"]) == (409, "authorization_pending")

    login = person.tab()
    login.open(sent.json["authorization_url"])
    login.log_in("ada")
    assert login.path.startswith("/pkce/response/code")

    bound = page.fetch("/pkce/code", {"state": challenge["state"]})
    assert bound.json["result"]["state"] == challenge["state"]

    request = {
        "grant_type": "authorization_code",
        "client_id": "public",
        "code": bound.json["result"]["code"],
        "code_verifier": challenge["verifier"],
        "redirect_uri": asked["redirect_uri"],
    }
    answer = page.fetch("/pkce/token", request)
    assert answer.status == 200
    assert answer.json["token"] == request
    tokens = answer.json["auth0"]["oAuth"]["token"]
    assert tokens["token_type"] == "Bearer"
    assert tokens["refresh_token"]
    assert answer.json["auth0"]["user"]["email"] == "ada@example.org"

    again = page.fetch("/pkce/token", request)
    assert (again.status, again.json["error"]) == (400, "invalid_grant")

    assert page.fetch("/pkce/clear", method="POST").status == 204
    assert person.our_cookie is None
    assert page.fetch("/pkce/token", request).status == 403


def test_a_page_may_leave_everything_out(caller_app: Server, visit: Visit) -> None:
    """Empty bodies are enough: the session knows the rest."""
    person = visit(caller_app)
    page = person.tab()
    page.open("/")
    login = person.tab()
    login.open(page.fetch("/pkce/code", method="POST").json["authorization_url"])
    login.log_in("ada")
    answer = page.fetch("/pkce/token", method="POST")
    assert answer.json["auth0"]["user"]["email"] == "ada@example.org"


def test_a_page_refreshes_its_tokens(caller_app: Server, visit: Visit, provider: Provider) -> None:
    """Refresh tokens rotate; the last one is taken back when the session is cleared."""
    person = visit(caller_app)
    page, login = person.tab(), person.tab()
    page.open("/")
    login.open(page.fetch("/pkce/code", {}).json["authorization_url"])
    login.log_in("ada")
    first = page.fetch("/pkce/token", {}).json["auth0"]["oAuth"]["token"]

    asked = {"grant_type": "refresh_token", "refresh_token": first["refresh_token"]}
    second = page.fetch("/pkce/token", asked).json["auth0"]["oAuth"]["token"]
    assert second["access_token"] != first["access_token"]
    assert second["refresh_token"] != first["refresh_token"]
    third = page.fetch("/pkce/token", {"grant_type": "refresh_token"})
    assert third.json["auth0"]["user"]["email"] == "ada@example.org"

    mark = provider.mark()
    assert page.fetch("/pkce/clear", method="POST").status == 204
    assert provider.count("revoked", since=mark) == 1


def test_two_tabs_each_get_their_own_answer(caller_app: Server, visit: Visit) -> None:
    """Sign-ins side by side do not mix, though the second one is finished first."""
    person = visit(caller_app)
    page = person.tab()
    page.open("/")
    urls = [page.fetch("/pkce/code", {}).json["authorization_url"] for _ in range(2)]
    tabs = [person.tab() for _ in urls]
    for tab, url in zip(tabs, urls, strict=True):
        tab.open(url)
    for tab in reversed(tabs):
        tab.log_in("ada")
    codes = {}
    for url in urls:
        result = page.fetch("/pkce/code", {"state": state_of(url)}).json["result"]
        assert result["state"] == state_of(url)
        codes[result["code"]] = page.fetch("/pkce/token", {"code": result["code"]}).status
    assert list(codes.values()) == [200, 200]


def test_the_last_page_may_be_reloaded(caller_app: Server, visit: Visit) -> None:
    """Reloading the page of the callback, and going back to it, changes nothing."""
    person = visit(caller_app)
    page, login = person.tab(), person.tab()
    page.open("/")
    login.open(page.fetch("/pkce/code", {}).json["authorization_url"])
    login.log_in("ada")
    assert [login.reload().status, login.reload().status] == [200, 200]
    login.open("/")
    assert login.go_back().status == 200
    assert page.fetch("/pkce/token", {}).status == 200
    assert login.reload().status == 200


def test_a_cancelled_sign_in_tells_so(caller_app: Server, visit: Visit) -> None:
    """Who cancels at the tenant sees why it ended; the caller hears ``access_denied``."""
    person = visit(caller_app)
    page, login = person.tab(), person.tab()
    page.open("/")
    url = page.fetch("/pkce/code", {}).json["authorization_url"]
    login.open(url)
    login.cancel()
    assert person.callbacks("GET")[-1].status == 400
    for answer in (
        page.fetch("/pkce/code", {"state": state_of(url)}),
        page.fetch("/pkce/token", {"code_verifier": "a" * 43}),
        page.fetch("/pkce/token", {}),
    ):
        assert answer.status in (400, 409)
        assert "result" not in answer.json
    told = page.fetch("/pkce/code", {"state": state_of(url)})
    assert (told.status, told.json["error"]) == (400, "access_denied")


# -- delivery: session -------------------------------------------------------


def test_a_button_signs_in(session_app: Server, visit: Visit, provider: Provider) -> None:
    """A plain form signs in and leads back, with no script; the host's session is as it was."""
    mark = provider.mark()
    person = visit(session_app)
    tab = person.tab()
    tab.open("/cart/pear")
    assert tab.who() is None
    tab.press_sign_in()
    before = person.our_cookie
    tab.log_in("ada")
    assert tab.path == "/account"
    assert "pear" in tab.page.content()
    assert tab.who() == "ada@example.org"
    assert person.our_cookie not in (None, before)
    assert provider.count("token", since=mark) == 1


def test_tokens_stay_on_the_server(session_app: Server, visit: Visit) -> None:
    """No answer holds a verifier, a code or a token."""
    tab = visit(session_app).tab()
    tab.open("/")
    challenge = tab.fetch("/pkce/challenge").json
    tab.press_sign_in()
    tab.log_in("ada")
    answer = tab.fetch("/pkce/token", {})
    assert answer.json["auth0"]["user"]["email"] == "ada@example.org"
    secrets = ("verifier", "code_verifier", "access_token", "refresh_token", "id_token", "nonce")
    assert not [name for name in secrets if f'"{name}"' in repr(challenge).replace("'", '"')]
    assert not [name for name in secrets if f'"{name}"' in repr(answer.json).replace("'", '"')]


def test_a_cancelled_sign_in_can_be_started_again(session_app: Server, visit: Visit) -> None:
    """The page that says so has a way on, which works."""
    person = visit(session_app)
    tab = person.tab()
    tab.press_sign_in()
    tab.cancel()
    assert person.callbacks("GET")[-1].status == 400
    assert tab.who() is None
    tab.page.get_by_role("button").first.click()
    tab.page.wait_for_url("http://127.0.0.1:*/interaction/*")
    tab.log_in("ada")
    assert tab.who() == "ada@example.org"


def test_going_back_after_success_is_harmless(
    session_app: Server, visit: Visit, provider: Provider
) -> None:
    """Every page on the way back can be shown; nobody is signed out, no code is sent again."""
    person = visit(session_app)
    tab = person.tab()
    tab.press_sign_in()
    tab.log_in("ada")
    mark = provider.mark()
    seen = len(person.responses)
    while tab.path != "/":
        tab.go_back()
    assert tab.who() == "ada@example.org"
    ours = [r for r in person.responses[seen:] if r.url.startswith(session_app.url)]
    assert [r for r in ours if r.status >= 400] == []
    assert provider.count("token", since=mark) == 0
    assert provider.count("token_refused", since=mark) == 0


def test_the_callback_can_be_opened_again(
    session_app: Server, visit: Visit, provider: Provider
) -> None:
    """The addresses of a finished sign-in lead a signed-in person on, and exchange nothing."""
    person = visit(session_app)
    tab = person.tab()
    tab.press_sign_in()
    tab.log_in("ada")
    mark = provider.mark()
    for address in [response.url for response in person.callbacks("GET")]:
        assert tab.open(address).status == 200
        assert tab.who() == "ada@example.org"
    assert provider.count("token", since=mark) == 0


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=["in order", "in reverse"])
def test_two_tabs_can_be_finished(
    session_app: Server, visit: Visit, order: tuple[int, int]
) -> None:
    """Two tabs at once, finished in either order, both arrive."""
    person = visit(session_app)
    tabs = [person.tab(), person.tab()]
    for tab in tabs:
        tab.press_sign_in()
    for number in order:
        tabs[number].log_in("ada")
        assert tabs[number].path == "/account"
        assert tabs[number].who() == "ada@example.org"


def test_the_button_can_be_pressed_twice(session_app: Server, visit: Visit) -> None:
    """An impatient second press, and one after going back, start sign-ins that can be finished."""
    tab = visit(session_app).tab()
    tab.open("/")
    tab.page.evaluate("document.forms[0].submit(); document.forms[0].submit()")
    tab.page.wait_for_url("http://127.0.0.1:*/interaction/*")
    tab.press_sign_in()
    tab.log_in("ada")
    assert tab.who() == "ada@example.org"


# -- further tenants and hosts -----------------------------------------------


def test_a_confidential_client_signs_in(serve: Serve, visit: Visit) -> None:
    """An application with a client secret authenticates itself at the token endpoint."""
    app = serve(
        PKCE_CLIENT_ID="confidential",
        PKCE_CLIENT_SECRET=CLIENT_SECRET,
        PKCE_TOKEN_DELIVERY="session",
    )
    tab = visit(app).tab()
    tab.press_sign_in()
    tab.log_in("ada")
    assert tab.who() == "ada@example.org"
    assert CLIENT_SECRET not in app.log()


def test_a_tenant_need_not_send_iss(
    serve: Serve, visit: Visit, provider_without_iss: Provider
) -> None:
    """Where the tenant does not announce ``iss``, none is asked of it."""
    app = serve(PKCE_DOMAIN=provider_without_iss.issuer, PKCE_TOKEN_DELIVERY="session")
    tab = visit(app).tab()
    tab.press_sign_in()
    tab.log_in("ada")
    assert tab.who() == "ada@example.org"


@pytest.mark.parametrize("mode", MODES)
def test_a_host_with_strict_cookies_keeps_them(serve: Serve, visit: Visit, mode: str) -> None:
    """``Strict`` cookies of the host arrive at the page where the person ends."""
    app = serve(
        SESSION_COOKIE_SAMESITE="Strict",
        PKCE_RESPONSE_MODE=mode,
        PKCE_TOKEN_DELIVERY="session",
    )
    tab = visit(app).tab()
    tab.open("/cart/pear")
    tab.press_sign_in()
    tab.log_in("ada")
    tab.page.wait_for_url(f"{app.url}/account")
    assert "pear" in tab.page.content()
    assert tab.who() == "ada@example.org"
