"""Hooks and signals at the routes: what they change, refuse, replace and are told."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask, request, session

from flask_pkce import (
    AccessDenied,
    AuthorizationRequest,
    AuthorizationResponse,
    PKCEBlueprint,
    PKCEError,
    TokenRequest,
    TokenResponse,
    authorization_answered,
    authorization_requested,
    failed,
    signed_in,
    signed_out,
    token_refreshed,
)
from tests.conftest import MakeApp
from tests.web.host import CALLBACK, Caller, Host, check_page, check_problem
from tests.web.prepared import Prepared


def sign_in(host: Host, caller: Caller) -> Any:
    """Sign somebody in; the answer of ``/token``."""
    Prepared(host, caller, own_state=False).put("bound")
    return caller.token()


HOOKS = (
    "before_authorize",
    "after_authorize",
    "before_token",
    "after_token",
    "on_error",
    "authorize",
    "token",
)


@pytest.mark.parametrize("name", HOOKS)
def test_hooks_after_registration(name: str, make_app: MakeApp) -> None:
    """A hook that comes after the registration is refused, with Flask's own message."""
    pkce = PKCEBlueprint()
    getattr(pkce, name)(lambda value: None)
    make_app(blueprint=pkce)
    with pytest.raises(AssertionError, match=name):
        getattr(pkce, name)(lambda value: None)


@pytest.mark.parametrize("name", HOOKS)
def test_decorators_return_the_function(name: str) -> None:
    """Each decorator returns the function that it was given."""

    def hook(value: object) -> None:
        """Do nothing."""

    assert getattr(PKCEBlueprint(), name)(hook) is hook


@pytest.mark.parametrize("is_async", [False, True])
def test_before_authorize(is_async: bool, make_app: MakeApp) -> None:
    """A hook changes the authorization URL; posting the state again is no conflict."""
    pkce = PKCEBlueprint()

    def invite(authorization_request: AuthorizationRequest) -> AuthorizationRequest:
        additional = {**authorization_request.additional, "company": "example"}
        return authorization_request.replace(screen_hint="signup", additional=additional)

    async def invite_later(authorization_request: AuthorizationRequest) -> Any:
        return invite(authorization_request)

    pkce.before_authorize(invite_later if is_async else invite)
    host = make_app(blueprint=pkce)
    browser = host.browser()
    response = browser.code(state="mine", screen_hint="login")
    url = response.get_json()["authorization_url"]
    assert "screen_hint=signup" in url
    assert "company=example" in url
    assert browser.code(state="mine", screen_hint="login").get_json() == response.get_json()
    check_problem(browser.code(state="mine", prompt="login"), "flow-parameters-differ")


def test_before_authorize_refuses(make_app: MakeApp) -> None:
    """A hook that raises our error refuses: nobody is sent, and the flow is not."""
    pkce = PKCEBlueprint()

    @pkce.before_authorize
    def refuse(authorization_request: AuthorizationRequest) -> None:
        raise AccessDenied("Not today.")

    host = make_app(blueprint=pkce)
    browser = host.browser()
    state = browser.challenge()["state"]
    members = check_problem(browser.code(state=state), "access-denied")
    assert members["detail"] == "Not today."
    assert "Not today." in check_page(browser.submit("/pkce/code"), "access-denied")
    assert host.status_of(browser, state) == "started"


def test_after_authorize(make_app: MakeApp) -> None:
    """A hook is told when the answer is bound, inside the request, once."""
    pkce = PKCEBlueprint()
    told = []

    @pkce.after_authorize
    def tell(authorization_response: AuthorizationResponse) -> None:
        told.append((authorization_response.state, request.endpoint))

    host = make_app(blueprint=pkce)
    browser = host.browser()
    state, url = browser.begin()
    kept = browser.deliver(host.tenant.sign_in(url))
    assert told == []
    for _ in range(2):
        browser.follow(kept)
    assert told == [(state, "pkce.response_code")]


@pytest.mark.parametrize("response_mode", ["form_post", "query"])
def test_after_authorize_refuses(response_mode: str, make_app: MakeApp) -> None:
    """A hook that refuses an answer fails the flow: its code is not exchanged."""
    pkce = PKCEBlueprint()

    @pkce.after_authorize
    def refuse(authorization_response: AuthorizationResponse) -> None:
        raise AccessDenied("Not you.")

    host = make_app(blueprint=pkce, PKCE_RESPONSE_MODE=response_mode)
    browser = host.browser()
    state, url = browser.begin()
    assert "Not you." in check_page(browser.arrive(host.tenant.sign_in(url)), "access-denied")
    assert host.status_of(browser, state) == "failed"
    check_problem(browser.token(), "access-denied")
    assert host.token_requests == 0


def test_before_token(make_app: MakeApp) -> None:
    """A hook adds a parameter to the token request."""
    pkce = PKCEBlueprint()

    @pkce.before_token
    async def add(token_request: TokenRequest) -> TokenRequest:
        return token_request.replace(additional={"trace": "1"})

    host = make_app(blueprint=pkce)
    assert sign_in(host, host.browser()).status_code == 200
    assert "trace" in host.tenant.requests[-1].fields


def test_before_token_refuses(make_app: MakeApp) -> None:
    """A hook that refuses a token request fails the flow, and the tenant is not asked."""
    pkce = PKCEBlueprint()

    @pkce.before_token
    def refuse(token_request: TokenRequest) -> None:
        raise AccessDenied()

    host = make_app(blueprint=pkce)
    browser = host.browser()
    check_problem(sign_in(host, browser), "access-denied")
    assert host.token_requests == 0


def test_after_token(make_app: MakeApp) -> None:
    """A hook changes what is told of the user, after the ID token was verified; it runs inside
    the request, where the host's own session is written."""
    pkce = PKCEBlueprint()

    @pkce.after_token
    def log_in(token_response: TokenResponse) -> TokenResponse:
        session["user"] = token_response.claims["sub"]
        return token_response.replace(claims={**token_response.claims, "name": "Al"})

    host = make_app(blueprint=pkce)
    browser = host.browser()
    response = sign_in(host, browser)
    assert response.get_json()["auth0"]["user"]["name"] == "Al"
    assert len(response.headers.getlist("Set-Cookie")) == 2
    assert set(browser.cookies) == {"session", "pkce-80"}


@pytest.mark.requirement("A0-21")
@pytest.mark.parametrize("known", ["org_1", "org_2"])
def test_organization_that_nobody_asked_for(known: str, make_app: MakeApp) -> None:
    """Where none was asked for, a hook sees by which one the user came in, and decides."""
    pkce = PKCEBlueprint()

    @pkce.after_token
    def check(response: TokenResponse) -> None:
        if response.claims["org_id"] != known:
            raise AccessDenied("This organization is not one of ours.")

    host = make_app(blueprint=pkce, PKCE_SCOPE="openid offline_access")
    browser = host.browser()
    _, url = browser.begin()
    browser.arrive(host.tenant.sign_in(f"{url}&organization=org_1"))
    response = browser.token()
    if known == "org_1":
        assert response.status_code == 200
    else:
        check_problem(response, "access-denied")
        assert host.revocations == 1


@pytest.mark.parametrize("is_async", [False, True])
def test_after_token_refuses(is_async: bool, make_app: MakeApp) -> None:
    """A hook that refuses a user: nothing is stored, and the refresh token is revoked."""
    pkce = PKCEBlueprint()

    def refuse(token_response: TokenResponse) -> None:
        raise AccessDenied("Ask for an account first.")

    async def refuse_later(token_response: TokenResponse) -> None:
        refuse(token_response)

    pkce.after_token(refuse_later if is_async else refuse)
    host = make_app(blueprint=pkce, PKCE_SCOPE="openid offline_access")
    browser = host.browser()
    members = check_problem(sign_in(host, browser), "access-denied")
    assert members["detail"] == "Ask for an account first."
    assert host.revocations == 1
    assert host.session_of(browser).value.grants == ()
    check_problem(browser.token(), "access-denied")
    assert host.token_requests == 1


def test_after_token_refuses_with_delivery_session(make_app: MakeApp) -> None:
    """With delivery ``session`` the browser sees it on the callback's page."""
    pkce = PKCEBlueprint()

    @pkce.after_token
    def refuse(token_response: TokenResponse) -> None:
        raise AccessDenied("Ask for an account first.")

    host = make_app(blueprint=pkce, PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    page = check_page(browser.arrive(host.tenant.sign_in(url)), "access-denied")
    assert "Ask for an account first." in page
    check_problem(browser.send("GET", "/pkce/user"), "not-signed-in")


@pytest.mark.parametrize("name", ["after_authorize", "before_token", "after_token"])
def test_hook_that_breaks(name: str, make_app: MakeApp) -> None:
    """What is broken in a hook is the host's to handle; the flow failed, and says no more."""
    pkce = PKCEBlueprint()
    getattr(pkce, name)(lambda value: 1 / 0)
    app = Flask("host")

    @app.errorhandler(ZeroDivisionError)
    def handle(error: ZeroDivisionError) -> tuple[str, int]:
        return "ours", 500

    host = make_app(app=app, blueprint=pkce, PKCE_SCOPE="openid offline_access")
    browser = host.browser()
    state, url = browser.begin()
    code = host.tenant.sign_in(url).params["code"]
    form = {"state": state, "code": code}
    headers = {"Accept": "application/json"}
    answers = [browser.client.post(CALLBACK, data=form, headers=headers)]
    answers += [browser.client.post("/pkce/token") for _ in range(2)]
    assert "ours" in [answer.text for answer in answers]
    check_problem(answers[-1], "hook-failed", error="server_error", status=400)
    assert host.status_of(browser, state) == "failed"
    assert host.revocations == (name == "after_token")


def test_on_error(make_app: MakeApp) -> None:
    """A hook is told of every error that a route answers with; what it returns is ignored."""
    pkce = PKCEBlueprint()
    told = []

    @pkce.on_error
    def tell(error: PKCEError) -> str:
        told.append((error.code, request.path))
        return "ignored"

    host = make_app(blueprint=pkce)
    browser = host.browser()
    check_problem(browser.code(prompt="maybe"), "parameter-invalid")
    check_page(browser.open(CALLBACK), "answer-missing")
    browser.challenge()
    assert told == [("parameter-invalid", "/pkce/code"), ("answer-missing", CALLBACK)]


def test_one_error_for_several_requests(make_app: MakeApp) -> None:
    """A hook may raise the same error again and again: no page shows another request's address."""
    pkce = PKCEBlueprint()
    denied = AccessDenied("Not today.")
    before = dict(vars(denied))

    @pkce.after_authorize
    def refuse(_: AuthorizationResponse) -> None:
        raise denied

    host = make_app(blueprint=pkce, PKCE_TOKEN_DELIVERY="session")
    alice, bob = host.browser(), host.browser()
    url = alice.submit("/pkce/code", {"return_to": "/alices-account"}).headers["Location"]
    page = check_page(alice.arrive(host.tenant.sign_in(url)), "access-denied")
    assert 'name="return_to" value="/alices-account"' in page
    url = bob.submit("/pkce/code").headers["Location"]
    page = check_page(bob.arrive(host.tenant.sign_in(url)), "access-denied")
    assert "return_to" not in page
    assert vars(denied) == before


def test_replaced_authorize(make_app: MakeApp) -> None:
    """The host's own function makes the authorization URL."""
    pkce = PKCEBlueprint()

    @pkce.authorize
    def through_a_proxy(authorization_request: AuthorizationRequest) -> str:
        return f"https://proxy.example/authorize?state={authorization_request.state}"

    host = make_app(blueprint=pkce)
    browser = host.browser()
    response = browser.submit("/pkce/code")
    assert response.headers["Location"].startswith("https://proxy.example/authorize?state=pkce1.")
    url = browser.code(state="mine").get_json()["authorization_url"]
    assert url == browser.code(state="mine").get_json()["authorization_url"]
    assert url == "https://proxy.example/authorize?state=mine"


@pytest.mark.parametrize("address", ["javascript:alert(1)", "//evil.example", "http://a.example"])
def test_replaced_authorize_that_makes_no_address(address: str, make_app: MakeApp) -> None:
    """What it returns is checked: a browser is sent to a good address only."""
    pkce = PKCEBlueprint()
    pkce.authorize(lambda authorization_request: address)
    host = make_app(blueprint=pkce)
    host.app.testing = True
    with pytest.raises(ValueError, match="authorize function"):
        host.browser().client.post("/pkce/code")


def test_replaced_token(make_app: MakeApp) -> None:
    """The host's own function calls the token endpoint; the ID token is verified all the same."""
    pkce = PKCEBlueprint()
    asked = []

    @pkce.token
    def through_a_proxy(token_request: TokenRequest) -> dict[str, Any]:
        asked.append(token_request)
        form = {**token_request.parameters(), "client_id": "local-client"}
        url = f"{host.tenant.issuer}oauth/token"
        document: dict[str, Any] = host.relying_party.transport.post(url, form).json()
        return document

    host = make_app(blueprint=pkce)
    assert sign_in(host, host.browser()).status_code == 200
    assert len(asked) == 1
    host.tenant.faults.add("invalid-sig-rs256")
    check_problem(sign_in(host, host.browser()), "id-token-invalid")
    host.tenant.faults = {"token-html"}
    check_problem(sign_in(host, host.browser()), "tenant-nonsense")


def test_signals(make_app: MakeApp) -> None:
    """Observers are told by signals, which come from the application."""
    host = make_app(PKCE_SCOPE="openid offline_access")
    told: list[tuple[str, list[str]]] = []
    signals = {
        "requested": authorization_requested,
        "answered": authorization_answered,
        "signed in": signed_in,
        "refreshed": token_refreshed,
        "failed": failed,
        "signed out": signed_out,
    }
    receivers = []
    for name, signal in signals.items():

        def receive(_: Any, name: str = name, **values: Any) -> None:
            told.append((name, sorted(values)))

        receivers.append(receive)
        signal.connect(receive, sender=host.app)
    browser = host.browser()
    sign_in(host, browser)
    browser.token(grant_type="refresh_token")
    browser.token()
    browser.clear()
    assert told == [
        ("requested", ["request"]),
        ("answered", ["response"]),
        ("signed in", ["response"]),
        ("refreshed", ["response"]),
        ("failed", ["error"]),
        ("signed out", ["revoked"]),
    ]
