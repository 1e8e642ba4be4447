"""``POST /pkce/token``: a code becomes tokens, once; a refresh token becomes new ones."""

from __future__ import annotations

from typing import Any

import pytest

from flask_pkce.testing import LocalTenant
from tests.conftest import MakeApp
from tests.web.host import PAGE, Browser, Caller, Host, check_page, check_problem
from tests.web.prepared import Prepared
from tests.web.test_code import CHALLENGE, ELSEWHERE, VERIFIER


def sign_in(host: Host, caller: Caller, user: str = "alice", **seed: Any) -> dict[str, Any]:
    """Sign somebody in; what ``/token`` answered."""
    url = caller.code(**seed).get_json()["authorization_url"]
    answer = host.tenant.sign_in(url, user)
    if isinstance(caller, Browser):
        caller.arrive(answer)
    else:
        caller.respond(**answer.params)
    response = caller.token()
    assert response.status_code == 200, response.text
    tokens: dict[str, Any] = response.get_json()
    return tokens


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
    check_problem(thief.token(), "session-mismatch")
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


def test_wrong_code(host: Host, browser: Browser) -> None:
    """With our own callback the code must be the bound one."""
    _, verifier, _ = bound(host, browser)
    for body in ({"code": "another"}, {"code": "another", "code_verifier": verifier}):
        check_problem(browser.token(**body), "grant-unknown", field="$.code")
    check_problem(browser.token(code_verifier=VERIFIER), "grant-unknown", field="$.code_verifier")
    assert host.token_requests == 0


def test_code_that_was_not_bound(host: Host, browser: Browser) -> None:
    """A code in the body is not redeemed where our callback should have brought it."""
    challenge = browser.challenge()
    url = browser.code(state=challenge["state"]).get_json()["authorization_url"]
    code = host.tenant.sign_in(url).params["code"]
    response = browser.token(code=code, code_verifier=challenge["verifier"])
    check_problem(response, "authorization-pending")
    assert host.token_requests == 0


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
    keys = host.engine.tenants.keys

    def overtaken() -> Any:
        if change == "redeeming":
            host.begin_redeeming(browser, state)
        else:
            other.clear()
        return keys()

    host.engine.tenants.keys = overtaken  # type: ignore[method-assign]
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


def test_other_redirect_uri_than_sent(elsewhere: Host) -> None:
    """The redirect URI is the flow's: another that is allowed is refused too."""
    browser = elsewhere.browser()
    _, verifier, code = go_elsewhere(elsewhere, browser)
    response = browser.token(
        code=code, code_verifier=verifier, redirect_uri=elsewhere.callback_url
    )
    check_problem(response, "parameter-foreign", field="$.redirect_uri")
    assert elsewhere.token_requests == 0


def test_code_of_another_session(elsewhere: Host) -> None:
    """A code that arrived elsewhere is redeemed only with a verifier of the caller's session."""
    owner, other = elsewhere.browser(), elsewhere.browser()
    _, verifier, code = go_elsewhere(elsewhere, owner)
    other.begin()
    response = other.token(code=code, code_verifier=verifier)
    check_problem(response, "session-mismatch")
    assert elsewhere.token_requests == 0
    assert owner.token(code=code, code_verifier=verifier).status_code == 200


# -- refresh --------------------------------------------------------------------------------------


def test_refresh(host: Host, browser: Browser) -> None:
    """A refresh token becomes new tokens; the answer has no ``token``, which is for codes."""
    old = sign_in(host, browser)["auth0"]["oAuth"]["token"]
    answer = browser.token(
        grant_type="refresh_token", refresh_token=old["refresh_token"]
    ).get_json()
    assert set(answer) == {"auth0"}
    new = answer["auth0"]["oAuth"]["token"]
    assert new["access_token"] != old["access_token"]
    assert new["refresh_token"] != old["refresh_token"]
    assert answer["auth0"]["user"]["user_id"] == "auth0|alice"
    assert host.tenant.requests[-1].fields == ("client_id", "grant_type", "refresh_token")


def test_refresh_token_in_code(host: Host, browser: Browser) -> None:
    """The published model has no member for a refresh token: it may come in ``code``; the
    dummies that clients must send are ignored then."""
    old = sign_in(host, browser)["auth0"]["oAuth"]["token"]["refresh_token"]
    response = browser.token(
        grant_type="refresh_token",
        code=old,
        code_verifier="-",
        redirect_uri="https://dummy.example",
        client_id="local-client",
    )
    assert response.status_code == 200
    assert response.get_json()["auth0"]["oAuth"]["token"]["refresh_token"] != old


@pytest.mark.parametrize("dummies", [{}, {"code": "-"}, {"code": "x y", "code_verifier": "é"}])
def test_refresh_token_of_the_session(
    dummies: dict[str, str], host: Host, browser: Browser
) -> None:
    """Without one it is the session's own."""
    sign_in(host, browser)
    assert browser.token(grant_type="refresh_token", **dummies).status_code == 200


def test_newest_sign_in_is_refreshed(host: Host, browser: Browser) -> None:
    """Of several sign-ins the newest is refreshed, unless the token names another."""
    first = sign_in(host, browser, "alice")["auth0"]["oAuth"]["token"]["refresh_token"]
    sign_in(host, browser, "bob")

    def user(**body: str) -> str:
        answer = browser.token(grant_type="refresh_token", **body).get_json()
        return str(answer["auth0"]["user"]["user_id"])

    assert user() == "auth0|bob"
    assert user(refresh_token=first) == "auth0|alice"
    assert user() == "auth0|bob"


def test_refresh_token_of_another_session(host: Host) -> None:
    """Another session's refresh token is not taken, in neither member."""
    owner, other = host.browser(), host.browser()
    stolen = sign_in(host, owner)["auth0"]["oAuth"]["token"]["refresh_token"]
    mine = sign_in(host, other, "bob")
    asked = host.token_requests
    response = other.token(grant_type="refresh_token", refresh_token=stolen)
    check_problem(response, "refresh-token-unknown", field="$.refresh_token")
    assert host.token_requests == asked
    # In `code` it is a dummy as any other: it is the session's own that is refreshed.
    answer = other.token(grant_type="refresh_token", code=stolen).get_json()
    assert answer["auth0"]["user"] == mine["auth0"]["user"]


def test_empty_body_never_refreshes(host: Host, browser: Browser) -> None:
    """Only who says ``refresh_token`` gets a refresh."""
    sign_in(host, browser)
    asked = host.token_requests
    check_problem(browser.token(), "code-spent")
    assert host.token_requests == asked


def test_rotation_is_stored(host: Host, browser: Browser) -> None:
    """The new refresh token takes the place of the old one, again and again."""
    tokens = [sign_in(host, browser)["auth0"]["oAuth"]["token"]["refresh_token"]]
    for _ in range(3):
        answer = browser.token(grant_type="refresh_token").get_json()
        tokens.append(answer["auth0"]["oAuth"]["token"]["refresh_token"])
    assert len(set(tokens)) == 4
    (grant,) = host.session_of(browser).value.grants
    assert grant.refresh_token == tokens[-1]
    response = browser.token(grant_type="refresh_token", refresh_token=tokens[0])
    check_problem(response, "refresh-token-unknown")


def test_refused_refresh_ends_the_sign_in(host: Host, browser: Browser) -> None:
    """A refresh token that the tenant takes back is ``invalid_grant``, and the sign-in is over."""
    sign_in(host, browser)
    host.tenant.faults.add("token-invalid-grant")
    check_problem(browser.token(grant_type="refresh_token"), "grant-refused")
    assert host.session_of(browser).value.grants == ()
    host.tenant.faults.clear()
    check_problem(browser.token(grant_type="refresh_token"), "refresh-token-unknown")


def test_reuse_at_the_tenant(host: Host, browser: Browser) -> None:
    """Used elsewhere, the refresh token is refused by the tenant, and the sign-in is over."""
    token = sign_in(host, browser)["auth0"]["oAuth"]["token"]["refresh_token"]
    form = {"grant_type": "refresh_token", "client_id": "local-client", "refresh_token": token}
    assert host.engine.transport.post(f"{host.tenant.issuer}oauth/token", form).status == 200
    check_problem(browser.token(grant_type="refresh_token"), "grant-refused")
    assert host.session_of(browser).value.grants == ()


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        ("unreachable", "tenant-unreachable"),
        ("silent", "tenant-silent"),
        ("token-html", "tenant-nonsense"),
        ("token-429", "tenant-limit"),
    ],
)
def test_refresh_that_fails(fault: str, code: str, host: Host, browser: Browser) -> None:
    """A tenant that only fails takes nothing back: the sign-in stays."""
    sign_in(host, browser)
    before = host.store.contents()
    host.tenant.faults.add(fault)
    check_problem(browser.token(grant_type="refresh_token"), code)
    assert host.store.contents() == before


@pytest.mark.parametrize("fault", ["invalid-iss", "missing-sub", "invalid-sig-rs256"])
def test_refreshed_id_token_is_verified(fault: str, host: Host, browser: Browser) -> None:
    """A refreshed ID token keeps ``iss`` and ``sub``; where it does not the sign-in is over."""
    sign_in(host, browser)
    host.tenant.faults.add(fault)
    check_problem(browser.token(grant_type="refresh_token"), "id-token-invalid")
    assert host.session_of(browser).value.grants == ()
    assert host.revocations == 1


def test_refresh_without_id_token(host: Host, browser: Browser) -> None:
    """A refresh that brings no ID token leaves the user as it was."""
    user = sign_in(host, browser)["auth0"]["user"]
    host.tenant.faults.add("no-id-token")
    answer = browser.token(grant_type="refresh_token").get_json()
    assert answer["auth0"]["user"] == user
    assert "id_token" not in answer["auth0"]["oAuth"]["token"]


def test_refresh_for_another_api(make_app: MakeApp) -> None:
    """An allowed audience is passed on; the userinfo endpoint is none."""
    host = make_app(
        PKCE_SCOPE="openid offline_access", PKCE_ALLOWED_AUDIENCES=["https://api.example/"]
    )
    browser = host.browser()
    sign_in(host, browser)
    for audience, is_sent in (
        ("https://api.example/", True),
        ("https://tenant.example/userinfo", False),
    ):
        assert browser.token(grant_type="refresh_token", audience=audience).status_code == 200
        assert ("audience" in host.tenant.requests[-1].fields) is is_sent


def test_without_refresh_token(make_app: MakeApp) -> None:
    """Without ``offline_access`` there is nothing to refresh; the hint says so."""
    host = make_app()
    browser = host.browser()
    sign_in(host, browser)
    members = check_problem(browser.token(grant_type="refresh_token"), "refresh-token-unknown")
    assert "offline_access" in members["hint"]


def test_cleared_while_refreshing(host: Host, browser: Browser) -> None:
    """A refresh that a clear overtook stores nothing: its new token is revoked as well."""
    sign_in(host, browser)
    other = host.browser()
    other.client.set_cookie("pkce-80", browser.cookie)
    host.while_tokens_are_made(other.clear)
    check_problem(browser.token(grant_type="refresh_token"), "signed-out-meanwhile")
    assert host.revocations == 2
    assert host.store.contents() == {}


def test_nothing_to_refresh(make_app: MakeApp) -> None:
    """The local session without a sign-in has no refresh token either."""
    host = make_app(PKCE_LOCAL_SESSION=True)
    for _ in range(2):
        response = host.program().token(grant_type="refresh_token", code="-", code_verifier="-")
        check_problem(response, "refresh-token-unknown")
        host.program().begin()


# -- delivery session ---------------------------------------------------------------------------


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
