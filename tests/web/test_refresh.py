"""``POST /pkce/token`` with a refresh token: new tokens for a sign-in of the session."""

from __future__ import annotations

from threading import Thread
from typing import Any

import pytest
from werkzeug.test import TestResponse

from tests.conftest import MakeApp
from tests.support import VSCHAR
from tests.web.host import Browser, Caller, Host, check_problem


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


@pytest.mark.requirement("AZ-10", "UP-12")
@pytest.mark.parametrize("member", ["refresh_token", "code"])
@pytest.mark.parametrize("is_local", [True, False], ids=["program", "browser"])
def test_every_character(member: str, is_local: bool, make_app: MakeApp) -> None:
    """Codes and tokens pass through every route with each VSCHAR, a blank at either end too."""
    host = make_app(PKCE_LOCAL_SESSION=is_local, PKCE_SCOPE="openid offline_access")
    caller: Caller = host.program() if is_local else host.browser()
    host.tenant.faults = {"code-vschar", "token-vschar"}
    url = caller.code().get_json()["authorization_url"]
    answer = host.tenant.sign_in(url)
    code = answer.params["code"]
    assert VSCHAR[:-1] in code
    assert (code[0], code[-1]) == (" ", " ")
    if isinstance(caller, Browser):
        caller.arrive(answer)
    else:
        caller.respond(**answer.params)
    signed_in = caller.token(code=code).get_json()
    assert signed_in["token"]["code"] == code
    old = signed_in["auth0"]["oAuth"]["token"]
    refreshed = caller.token(grant_type="refresh_token", **{member: old["refresh_token"]})
    assert refreshed.status_code == 200, refreshed.text
    new = refreshed.get_json()["auth0"]["oAuth"]["token"]
    for token in (old["access_token"], new["access_token"], new["refresh_token"]):
        assert VSCHAR[:-1] in token
        assert (token[0], token[-1]) == (" ", " ")


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


@pytest.mark.requirement("BB-7")
def test_scope_of_its_own_sign_in(host: Host, browser: Browser) -> None:
    """A refresh never gives the scope of another sign-in of the session: no token is kept here
    that could have more than was asked for."""
    narrow = sign_in(host, browser, scope=["openid", "offline_access"])
    wide = sign_in(host, browser)
    for answer, scope in ((narrow, "openid offline_access"), (wide, "openid profile email")):
        token = answer["auth0"]["oAuth"]["token"]
        assert token["scope"].startswith(scope)
        body = {"grant_type": "refresh_token", "refresh_token": token["refresh_token"]}
        asked = host.token_requests
        again = browser.token(**body).get_json()["auth0"]["oAuth"]["token"]
        assert again["scope"] == token["scope"]
        assert host.token_requests == asked + 1


@pytest.mark.requirement("N56", "T13", "T25", "WC-8")
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


@pytest.mark.requirement("A0-15", "BC-16", "AZ-18", "V1-1", "T25")
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


@pytest.mark.requirement("A0-15", "BC-16", "N64", "BB-6", "T25")
def test_refused_refresh_ends_the_sign_in(host: Host, browser: Browser) -> None:
    """A refresh token that the tenant takes back is ``invalid_grant``, and the sign-in is over."""
    sign_in(host, browser)
    host.tenant.faults.add("token-invalid-grant")
    check_problem(browser.token(grant_type="refresh_token"), "grant-refused")
    assert host.session_of(browser).value.grants == ()
    host.tenant.faults.clear()
    check_problem(browser.token(grant_type="refresh_token"), "refresh-token-unknown")


@pytest.mark.requirement("BC-16", "N64", "BB-6", "T25")
def test_reuse_at_the_tenant(host: Host, browser: Browser) -> None:
    """Used elsewhere, the refresh token is refused by the tenant, and the sign-in is over."""
    token = sign_in(host, browser)["auth0"]["oAuth"]["token"]["refresh_token"]
    form = {"grant_type": "refresh_token", "client_id": "local-client", "refresh_token": token}
    assert (
        host.relying_party.transport.post(f"{host.tenant.issuer}oauth/token", form).status == 200
    )
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
    (before,) = host.session_of(browser).value.grants
    host.tenant.faults.add(fault)
    check_problem(browser.token(grant_type="refresh_token"), code)
    (grant,) = host.session_of(browser).value.grants
    assert grant.refresh_token == before.refresh_token
    assert grant.refreshing_until is None


@pytest.mark.requirement("ID-21", "N84", "N85")
@pytest.mark.parametrize("fault", ["invalid-iss", "missing-sub", "invalid-sig-rs256"])
def test_refreshed_id_token_is_verified(fault: str, host: Host, browser: Browser) -> None:
    """A refreshed ID token keeps ``iss`` and ``sub``; where it does not the sign-in is over."""
    sign_in(host, browser)
    host.tenant.faults.add(fault)
    check_problem(browser.token(grant_type="refresh_token"), "id-token-invalid")
    assert host.session_of(browser).value.grants == ()
    assert host.revocations == 1


@pytest.mark.requirement("ID-3", "ID-21")
def test_audiences_of_a_refreshed_id_token(make_app: MakeApp) -> None:
    """A refreshed ID token may have the same audiences as that of the sign-in, and no other."""
    host = make_app(PKCE_SCOPE="openid offline_access", PKCE_TRUSTED_AUDIENCES="another-client")
    browser = host.browser()
    host.tenant.faults = {"invalid-secondary-aud"}
    sign_in(host, browser)
    assert browser.token(grant_type="refresh_token").status_code == 200
    host.tenant.faults.add("invalid-azp")
    check_problem(browser.token(grant_type="refresh_token"), "id-token-invalid")


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


@pytest.mark.requirement("A0-15", "T25")
def test_two_at_once(host: Host, browser: Browser) -> None:
    """A second request while the first is under way gets what the first brings: the tenant never
    sees a refresh token twice."""
    sign_in(host, browser)
    rival = host.browser()
    rival.client.set_cookie("pkce-80", browser.cookie)
    heard: list[TestResponse] = []
    thread = Thread(target=lambda: heard.append(rival.token(grant_type="refresh_token")))

    def meanwhile() -> None:
        thread.start()
        assert host.store.somebody_waits.wait(20)

    host.while_tokens_are_made(meanwhile)
    asked = host.token_requests
    first = browser.token(grant_type="refresh_token")
    thread.join(20)
    assert first.status_code == 200
    assert heard[0].get_json() == first.get_json()
    assert host.token_requests == asked + 1


def test_nothing_to_refresh(make_app: MakeApp) -> None:
    """The local session without a sign-in has no refresh token either."""
    host = make_app(PKCE_LOCAL_SESSION=True)
    for _ in range(2):
        response = host.program().token(grant_type="refresh_token", code="-", code_verifier="-")
        check_problem(response, "refresh-token-unknown")
        host.program().begin()
