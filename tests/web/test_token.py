"""``POST /pkce/token``: a code becomes tokens, once; a refresh token becomes new ones."""

from __future__ import annotations

from typing import Any

import pytest

from flask_pkce import PKCEBlueprint, TokenRequest, TokenResponse
from flask_pkce.testing import LocalTenant
from tests.conftest import MakeApp
from tests.web.host import PAGE, Browser, Caller, Host, check_page, check_problem
from tests.web.prepared import Prepared
from tests.web.test_code import CHALLENGE, ELSEWHERE, VERIFIER


def bound(host: Host, caller: Caller) -> tuple[str, str, str]:
    """A flow whose answer is bound: its state, verifier and code."""
    known = Prepared(host, caller, own_state=False).put("bound")
    return known.state, known.verifier, known.code


# -- a code ---------------------------------------------------------------------------------


@pytest.mark.parametrize("is_local", [False, True])
def test_answer(is_local: bool, make_app: MakeApp) -> None:
    """The answer has the request, the tokens, and the user from the verified ID token."""
    host = make_app(PKCE_SCOPE="openid profile email offline_access", PKCE_LOCAL_SESSION=is_local)
    caller: Caller = host.program() if is_local else host.browser()
    _, verifier, code = bound(host, caller)
    response = caller.token()
    answer = response.get_json()
    assert set(answer) == {"token", "auth0"}
    assert answer["token"] == {
        "grant_type": "authorization_code",
        "client_id": "local-client",
        "code": code,
        "code_verifier": verifier,
        "redirect_uri": "http://localhost/pkce/response/code",
    }
    tokens = answer["auth0"]["oAuth"]["token"]
    assert set(tokens) == {
        "access_token",
        "token_type",
        "expires_in",
        "scope",
        "refresh_token",
        "id_token",
    }
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 86400
    assert tokens["scope"] == "openid profile email offline_access"
    assert answer["auth0"]["user"] == {
        "user_id": "auth0|alice",
        "name": "Alice Example",
        "nickname": "alice",
        "email": "alice@example.com",
        "email_verified": True,
    }


@pytest.mark.requirement("A0-11")
def test_lifetime_that_the_tenant_does_not_tell(make_app: MakeApp) -> None:
    """An ``expires_in`` that is missing is told as 0, as the published clients need a number."""
    pkce = PKCEBlueprint()

    @pkce.token
    def token(request: TokenRequest) -> dict[str, Any]:
        form = {**request.parameters(), "client_id": "local-client"}
        answer = host.relying_party.transport.post(f"{host.tenant.issuer}oauth/token", form).json()
        return {name: value for name, value in answer.items() if name != "expires_in"}

    host = make_app(blueprint=pkce)
    browser = host.browser()
    bound(host, browser)
    assert browser.token().get_json()["auth0"]["oAuth"]["token"]["expires_in"] == 0


def test_full_body(make_app: MakeApp) -> None:
    """A full model is taken, and echoed with what it brought."""
    host = make_app(PKCE_ALLOWED_AUDIENCES=["https://api.example/"])
    browser = host.browser()
    _, verifier, code = bound(host, browser)
    schema = {"migration": 0, "semantic": "MAJOR_0_MINOR_0_PATCH_1"}
    asked = {
        "grant_type": "authorization_code",
        "client_id": "local-client",
        "code": code,
        "code_verifier": verifier,
        "redirect_uri": host.callback_url,
        "audience": "https://api.example/",
        "schema": schema,
    }
    assert browser.token(**asked).get_json()["token"] == asked


@pytest.mark.requirement("CK-8", "CK-11", "T8")
def test_pointer_is_renewed(host: Host, browser: Browser) -> None:
    """At sign-in a new pointer is issued and the old one dies at once; other flows stay."""
    other, _ = browser.begin()
    bound(host, browser)
    old = browser.cookie
    response = browser.token()
    assert len(response.headers.getlist("Set-Cookie")) == 1
    assert browser.cookie != old
    assert host.status_of(browser, other) == "sent"
    thief = host.browser()
    thief.client.set_cookie("pkce-80", old)
    check_problem(thief.token(), "cookie-renewed")
    host.clock.advance(10)
    check_problem(thief.token(), "cookie-outdated")
    check_problem(thief.code(state=other), "cookie-missing")


def test_local_session_stays_without_cookie(make_app: MakeApp) -> None:
    """The local session gets no cookie at sign-in either."""
    host = make_app(PKCE_LOCAL_SESSION=True)
    program = host.program()
    bound(host, program)
    assert "Set-Cookie" not in program.token().headers


@pytest.mark.parametrize("named_by", ["code", "verifier", "both", "neither"])
def test_which_flow(named_by: str, host: Host, browser: Browser) -> None:
    """It is the flow that code or verifier names; with neither, the newest bound one."""
    older, newer = bound(host, browser), bound(host, browser)
    browser.begin()
    _, verifier, code = older
    body = {
        "code": {"code": code},
        "verifier": {"code_verifier": verifier},
        "both": {"code": code, "code_verifier": verifier},
        "neither": {},
    }[named_by]
    redeemed = browser.token(**body).get_json()["token"]["code"]
    assert redeemed == (newer if named_by == "neither" else older)[2]


@pytest.mark.requirement("N60")
def test_wrong_verifier(host: Host, browser: Browser) -> None:
    """A verifier that does not fit is told before the tenant is asked, and uses nothing up."""
    _, verifier, code = bound(host, browser)
    before = host.store.contents()
    check_problem(
        browser.token(code=code, code_verifier=VERIFIER),
        "verifier-mismatch",
        field="$.code_verifier",
    )
    assert host.token_requests == 0
    assert host.store.contents() == before
    assert browser.token(code=code, code_verifier=verifier).status_code == 200


@pytest.mark.requirement("N99", "WC-8")
def test_wrong_code(host: Host, browser: Browser) -> None:
    """With our own callback the code must be the bound one."""
    _, verifier, _ = bound(host, browser)
    for body in ({"code": "another"}, {"code": "another", "code_verifier": verifier}):
        check_problem(browser.token(**body), "grant-unknown", field="$.code")
    check_problem(browser.token(code_verifier=VERIFIER), "grant-unknown", field="$.code_verifier")
    assert host.token_requests == 0


@pytest.mark.requirement("N99", "T13")
def test_code_that_was_not_bound(host: Host, browser: Browser) -> None:
    """A code in the body is not redeemed where our callback should have brought it."""
    challenge = browser.challenge()
    url = browser.code(state=challenge["state"]).get_json()["authorization_url"]
    code = host.tenant.sign_in(url).params["code"]
    response = browser.token(code=code, code_verifier=challenge["verifier"])
    check_problem(response, "authorization-pending")
    assert host.token_requests == 0


@pytest.mark.requirement("CK-8", "N37", "AZ-9", "BB-7")
def test_once(host: Host, browser: Browser) -> None:
    """A code is redeemed once, however many try at once; tokens are never told again."""
    bound(host, browser)
    rival = host.browser()
    rival.client.set_cookie("pkce-80", browser.cookie)
    heard = []
    host.while_tokens_are_made(lambda: heard.append(rival.token()))
    assert browser.token().status_code == 200
    check_problem(heard[0], "flow-redeeming")
    assert heard[0].headers["Retry-After"] == "1"
    check_problem(browser.token(), "code-spent")
    assert host.token_requests == 1


@pytest.mark.parametrize("change", ["redeeming", "cleared"])
def test_overtaken(change: str, host: Host, browser: Browser) -> None:
    """Who loses the race for a flow hears what became of it, and asks the tenant nothing."""
    state, _, _ = bound(host, browser)
    other = host.browser()
    other.client.set_cookie("pkce-80", browser.cookie)
    keys = host.relying_party.tenants.default.keys

    def overtaken() -> Any:
        if change == "redeeming":
            host.begin_redeeming(browser, state)
        else:
            other.clear()
        return keys()

    host.relying_party.tenants.default.keys = overtaken  # type: ignore[method-assign]
    code = {"redeeming": "flow-redeeming", "cleared": "signed-out-meanwhile"}[change]
    check_problem(browser.token(), code)
    assert host.token_requests == 0


def test_foreign_values(host: Host, browser: Browser) -> None:
    """What is not configured is refused by name, and uses nothing up."""
    bound(host, browser)
    before = host.store.contents()
    for name, value in (
        ("client_id", "another-client"),
        ("audience", "https://attacker.example/"),
        ("redirect_uri", "https://attacker.example/"),
    ):
        response = browser.token(**{name: value})
        check_problem(response, "parameter-foreign", field=f"$.{name}")
    assert host.store.contents() == before
    assert host.token_requests == 0


def test_userinfo_endpoint_as_audience(host: Host, browser: Browser) -> None:
    """The audience that answers tell where none is configured can be sent back."""
    bound(host, browser)
    response = browser.token(audience="https://tenant.example/userinfo")
    assert response.status_code == 200


@pytest.mark.requirement("AV-1")
def test_page(make_app: MakeApp) -> None:
    """A browser that prefers HTML goes on, and sees no token."""
    host = make_app(PKCE_AUTHENTICATED_URL="/in")
    browser = host.browser()
    bound(host, browser)
    response = browser.post("/pkce/token", headers=PAGE)
    assert (response.status_code, response.headers["Location"]) == (303, "/in")
    assert "Set-Cookie" in response.headers
    check_page(browser.post("/pkce/token", headers=PAGE), "code-spent", status=400)


# -- a redirect URI elsewhere ------------------------------------------------------------------


@pytest.fixture
def elsewhere(make_app: MakeApp) -> Host:
    """A host whose callers may read the answer themselves."""
    return make_app(PKCE_REDIRECT_URIS=[ELSEWHERE], PKCE_SCOPE="openid offline_access")


def go_elsewhere(host: Host, caller: Caller, **seed: str) -> tuple[str, str, str]:
    """Sign in with another redirect URI: state, verifier, and the code that arrives there."""
    challenge = caller.challenge()
    seed = {"state": challenge["state"], "redirect_uri": ELSEWHERE, **seed}
    answer = host.tenant.sign_in(caller.code(**seed).get_json()["authorization_url"])
    assert answer.url == ELSEWHERE
    return challenge["state"], challenge["verifier"], answer.params["code"]


def test_code_comes_in_the_body(elsewhere: Host) -> None:
    """With another redirect URI the code comes in the body, and the verifier names its flow."""
    browser = elsewhere.browser()
    state, verifier, code = go_elsewhere(elsewhere, browser)
    check_problem(browser.token(), "authorization-pending")
    response = browser.token(code=code, code_verifier=verifier, redirect_uri=ELSEWHERE)
    assert response.get_json()["token"]["redirect_uri"] == ELSEWHERE
    assert elsewhere.status_of(browser, state) == "done"


def test_code_that_came_elsewhere_is_not_told(elsewhere: Host) -> None:
    """Where the code does not come to our callback, nobody else is told it."""
    browser = elsewhere.browser()
    state, verifier, code = go_elsewhere(elsewhere, browser)
    elsewhere.relying_party.tenants.default.keys()
    elsewhere.tenant.faults.add("unreachable")
    browser.token(code=code, code_verifier=verifier, redirect_uri=ELSEWHERE)
    assert elsewhere.status_of(browser, state) == "bound"
    answer = browser.code(state=state)
    assert answer.status_code == 200
    assert "result" not in answer.get_json()


def test_own_challenge_elsewhere(elsewhere: Host) -> None:
    """A program that makes everything itself: challenge, redirect URI, and the exchange."""
    browser = elsewhere.browser()
    _, _, code = go_elsewhere(
        elsewhere, browser, code_challenge=CHALLENGE, code_challenge_method="S256"
    )
    assert browser.token(code=code, code_verifier=VERIFIER).status_code == 200


def test_tenant_that_announces_iss(elsewhere: Host, tenant: LocalTenant) -> None:
    """The API has no member for ``iss``: it is not missed in a code that a caller brings."""
    tenant._provider.sends_iss = True
    browser = elsewhere.browser()
    _, verifier, code = go_elsewhere(elsewhere, browser)
    assert browser.token(code=code, code_verifier=verifier).status_code == 200


@pytest.mark.requirement("N03b", "WC-3")
def test_other_redirect_uri_than_sent(elsewhere: Host) -> None:
    """The redirect URI is the flow's: another that is allowed is refused too."""
    browser = elsewhere.browser()
    _, verifier, code = go_elsewhere(elsewhere, browser)
    response = browser.token(
        code=code, code_verifier=verifier, redirect_uri=elsewhere.callback_url
    )
    check_problem(response, "parameter-foreign", field="$.redirect_uri")
    assert elsewhere.token_requests == 0


@pytest.mark.requirement("WC-8")
def test_code_of_another_session(elsewhere: Host) -> None:
    """A code that arrived elsewhere is redeemed only with a verifier of the caller's session."""
    owner, other = elsewhere.browser(), elsewhere.browser()
    _, verifier, code = go_elsewhere(elsewhere, owner)
    other.begin()
    response = other.token(code=code, code_verifier=verifier)
    check_problem(response, "session-mismatch")
    assert elsewhere.token_requests == 0
    assert owner.token(code=code, code_verifier=verifier).status_code == 200


# -- delivery session ---------------------------------------------------------------------------


@pytest.mark.requirement("T34")
def test_delivery_session(make_app: MakeApp) -> None:
    """With delivery ``session`` nothing is exchanged here; the answer is who signed in."""
    host = make_app(
        PKCE_TOKEN_DELIVERY="session", PKCE_SCOPE="openid profile email offline_access"
    )
    browser = host.browser()
    url = browser.code().get_json()["authorization_url"]
    check_problem(browser.token(), "authorization-pending")
    browser.arrive(host.tenant.sign_in(url))
    answer = browser.token().get_json()
    assert set(answer) == {"auth0"}
    assert answer["auth0"]["oAuth"] == {}
    assert answer["auth0"]["user"]["user_id"] == "auth0|alice"
    assert host.token_requests == 1
    assert browser.token(grant_type="refresh_token").get_json() == answer
    assert host.token_requests == 1


def test_delivery_session_with_foreign_values(make_app: MakeApp) -> None:
    """With delivery ``session``, too, what is not configured is refused by name."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    browser.arrive(host.tenant.sign_in(browser.code().get_json()["authorization_url"]))
    for name in ("client_id", "audience", "redirect_uri"):
        response = browser.token(**{name: "https://attacker.example/"})
        check_problem(response, "parameter-foreign", field=f"$.{name}")
    assert browser.token(redirect_uri=host.callback_url).status_code == 200


@pytest.mark.requirement("AV-1")
def test_delivery_session_tells_no_secret(make_app: MakeApp) -> None:
    """No answer of a whole sign-in has a token, the code or the verifier in it."""
    pkce = PKCEBlueprint()
    responses: list[TokenResponse] = []
    requests: list[TokenRequest] = []
    pkce.after_token(responses.append)
    pkce.before_token(requests.append)
    host = make_app(
        blueprint=pkce,
        PKCE_TOKEN_DELIVERY="session",
        PKCE_SCOPE="openid profile email offline_access",
    )
    browser = host.browser()
    answers = [browser.send("GET", "/pkce/challenge"), browser.code()]
    answer = host.tenant.sign_in(answers[-1].get_json()["authorization_url"])
    answers.append(browser.deliver(answer))
    answers += [browser.follow(answers[-1]), browser.token()]
    answers += [browser.token(grant_type="refresh_token"), browser.send("GET", "/pkce/user")]
    answers += [browser.open("/pkce/user"), browser.open("/pkce/challenge"), browser.clear()]
    (response,), (request,) = responses, requests
    secrets = [response.access_token, response.refresh_token, response.id_token]
    secrets += [request.code, request.code_verifier]
    told = "".join(f"{answer.headers}{answer.text}" for answer in answers)
    assert len(answers) == 10
    for secret in secrets:
        assert secret
        assert secret not in told


@pytest.mark.requirement("AV-1")
@pytest.mark.parametrize(
    "secret",
    [
        {"code": "a-code"},
        {"code_verifier": VERIFIER},
        {"refresh_token": "a-token", "grant_type": "refresh_token"},
    ],
)
def test_delivery_session_refuses_secrets(secret: dict[str, str], make_app: MakeApp) -> None:
    """A caller's own code, verifier or refresh token is refused."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    browser.code()
    field = f"$.{next(iter(secret))}"
    check_problem(browser.token(**secret), "delivery-refused", field=field)


@pytest.mark.parametrize(
    ("state", "code"),
    [
        ("none", "authorization-pending"),
        ("bound", "authorization-pending"),
        ("redeeming", "flow-redeeming"),
        ("failed", "access-denied"),
    ],
)
def test_delivery_session_before_the_sign_in(state: str, code: str, make_app: MakeApp) -> None:
    """Before anybody signed in it says how far the newest flow is."""
    host = make_app(PKCE_TOKEN_DELIVERY="session", PKCE_LOCAL_SESSION=True)
    program = host.program()
    if state != "none":
        url = program.code().get_json()["authorization_url"]
        answer = host.tenant.sign_in(url, cancel=state == "failed")
        if state == "failed":
            check_page(host.browser().arrive(answer), "access-denied")
        else:
            host.tenant.faults.add("unreachable")
            check_page(host.browser().arrive(answer), "tenant-unreachable")
        if state == "redeeming":
            host.begin_redeeming(program, answer.params["state"])
    check_problem(program.token(), code)
