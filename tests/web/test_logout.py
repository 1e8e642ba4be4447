"""``POST /pkce/logout`` and ``/pkce/logout/backchannel``."""

from __future__ import annotations

import dataclasses
import json
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from requests import ConnectionError
from urllib3.connection import HTTPConnection
from urllib3.exceptions import NewConnectionError

from flask_pkce import PKCEBlueprint
from flask_pkce.errors import StoreError
from flask_pkce.sessions.revocations import Revocations
from flask_pkce.tenant.cache import COOLDOWN
from tests.conftest import MakeApp
from tests.support import Failing, sign_parts
from tests.web.host import Browser, Host, check_page, check_problem

EVENT = "http://schemas.openid.net/event/backchannel-logout"
BACK_CHANNEL = "/pkce/logout/backchannel"


@pytest.fixture
def keeping(make_app: MakeApp) -> Host:
    """A host that keeps tokens on the server, and hears of sign-outs."""
    return make_app(
        PKCE_TOKEN_DELIVERY="session",
        PKCE_SCOPE="openid offline_access",
        PKCE_SESSION_LIFETIME=7 * 86400,
        PKCE_BACKCHANNEL_LOGOUT=True,
    )


def sign_in(host: Host, user: str = "alice") -> Browser:
    """A browser in which somebody signed in."""
    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    browser.arrive(host.tenant.sign_in(url, user))
    return browser


def put_out_of_reach(host: Host) -> None:
    """Let no connection to the tenant come about."""
    refused = NewConnectionError(HTTPConnection("tenant.example"), "refused")
    host.relying_party.transport.session.mount(
        host.tenant.issuer, Failing(ConnectionError(refused))
    )


def is_signed_in(browser: Browser) -> bool:
    """Whether the browser is signed in."""
    response = browser.send("GET", "/pkce/user")
    if response.status_code == 200:
        return True
    check_problem(response, "not-signed-in")
    return False


# -- from here ---------------------------------------------------------------------


@pytest.mark.requirement("A0-25", "LO-1")
def test_logout(keeping: Host) -> None:
    """The session ends here, its token is revoked, and the browser goes to the tenant."""
    browser = sign_in(keeping)
    id_token = keeping.session_of(browser).value.grants[-1].id_token
    response = browser.submit("/pkce/logout")
    assert response.status_code == 303
    assert not browser.has_cookie
    assert keeping.revocations == 1
    address = urlsplit(response.headers["Location"])
    assert address.path == "/oidc/logout"
    assert parse_qs(address.query) == {
        "client_id": [keeping.tenant.client.client_id],
        "post_logout_redirect_uri": ["http://localhost/"],
        "id_token_hint": [id_token],
    }


@pytest.mark.requirement("LO-2", "LO-3")
def test_back_again(keeping: Host) -> None:
    """The tenant takes the hint, and sends the browser back to the address that it knows."""
    keeping.tenant.register(post_logout_redirect_uris=["http://localhost/"])
    location = sign_in(keeping).submit("/pkce/logout").headers["Location"]
    assert "state" not in parse_qs(urlsplit(location).query)
    left = keeping.tenant.app.test_client().get(location)
    assert left.headers["Location"] == "http://localhost/"


def test_where_to(make_app: MakeApp) -> None:
    """``PKCE_UNAUTHENTICATED_URL`` is where the browser ends."""
    host = make_app(
        PKCE_TOKEN_DELIVERY="session",
        PKCE_PUBLIC_URL="https://shop.example/app",
        PKCE_UNAUTHENTICATED_URL="/bye",
    )
    location = sign_in(host).submit("/pkce/logout").headers["Location"]
    query = parse_qs(urlsplit(location).query)
    assert query["post_logout_redirect_uri"] == ["https://shop.example/app/bye"]


def test_tenant_without_such_an_endpoint(keeping: Host) -> None:
    """Where the metadata has no endpoint for it, Auth0's own is taken."""
    keeping.tenant.faults = {"metadata-missing-end-session-endpoint"}
    location = sign_in(keeping).submit("/pkce/logout").headers["Location"]
    query = {"client_id": keeping.tenant.client.client_id, "returnTo": "http://localhost/"}
    assert location == f"{keeping.tenant.issuer}v2/logout?{urlencode(query)}"


def test_nobody(keeping: Host) -> None:
    """Who is not signed in here may be so at the tenant, and goes there, too."""
    location = keeping.browser().submit("/pkce/logout").headers["Location"]
    assert "id_token_hint" not in location
    assert "/oidc/logout?" in location


@pytest.mark.requirement("RV-4")
def test_tenant_out_of_reach(keeping: Host) -> None:
    """What ends here ends, even if the tenant cannot be had."""
    browser = sign_in(keeping)
    put_out_of_reach(keeping)
    keeping.clock.advance(86400)
    response = browser.submit("/pkce/logout")
    assert response.headers["Location"] == "/"
    assert not is_signed_in(browser)


@pytest.mark.requirement("RV-4")
def test_nobody_while_out_of_reach(keeping: Host) -> None:
    """Who is not signed in here stays here, if the tenant cannot be had."""
    put_out_of_reach(keeping)
    assert keeping.browser().submit("/pkce/logout").headers["Location"] == "/"


@pytest.mark.requirement("N57")
def test_not_by_others(keeping: Host) -> None:
    """Another site signs nobody out."""
    browser = sign_in(keeping)
    response = browser.open("/pkce/logout", method="POST", site="cross-site")
    check_page(response, "origin-refused")
    check_problem(browser.send("GET", "/pkce/logout"), "method-not-allowed")
    assert is_signed_in(browser)


# -- from the tenant -----------------------------------------------------------------


def logout_token(host: Host, **changes: Any) -> str:
    """A logout token of the tenant; None leaves a claim out."""
    now = int(host.clock())
    claims = {
        "iss": host.tenant.issuer,
        "aud": host.tenant.client.client_id,
        "iat": now,
        "exp": now + 120,
        "jti": "one",
        "events": {EVENT: {}},
        "sub": "auth0|alice",
    }
    header = {"typ": "logout+jwt", **changes.pop("header", {})}
    given = {k: v for k, v in {**claims, **changes}.items() if v is not None}
    key = host.tenant._provider.keys.current
    header = {"alg": "RS256", "kid": key.kid, **header}
    if header["typ"] is None:
        del header["typ"]
    parts = (json.dumps(header).encode(), json.dumps(given).encode())
    return sign_parts(*parts, None if header["alg"] == "none" else key, alg=header["alg"])


def post(host: Host, token: str) -> Any:
    """What the tenant does: it is no browser and has no cookie."""
    return host.program().send("POST", BACK_CHANNEL, data={"logout_token": token})


def post_forged(host: Host) -> None:
    """Post a logout token whose header names a key that no tenant has."""
    forged = logout_token(host, header={"kid": "made up"})
    check_problem(post(host, forged), "logout-token-invalid")


@pytest.mark.requirement("MD-8", "T23")
def test_forged_token_uses_up_no_renewal(keeping: Host) -> None:
    """Forged logout tokens keep no user from signing in after the tenant rotated its keys."""
    sign_in(keeping)
    post_forged(keeping)
    keeping.tenant.rotate_keys()
    post_forged(keeping)
    assert is_signed_in(sign_in(keeping))


@pytest.mark.requirement("T23")
@pytest.mark.parametrize("is_rotated_first", [True, False])
def test_rotation_after_a_forged_token(is_rotated_first: bool, keeping: Host) -> None:
    """A logout token of a new key is taken: at once, or when its kind may renew the keys again."""
    browser = sign_in(keeping)
    if is_rotated_first:
        keeping.tenant.rotate_keys()
        post_forged(keeping)
    else:
        post_forged(keeping)
        keeping.tenant.rotate_keys()
        keeping.clock.advance(COOLDOWN)
    assert post(keeping, logout_token(keeping)).status_code == 200
    assert not is_signed_in(browser)


@pytest.mark.requirement("BL-1", "BL-2", "T29")
@pytest.mark.parametrize("typ", ["logout+jwt", "JWT", None])
def test_by_user(typ: str | None, keeping: Host) -> None:
    """Every session of the user is over, and others' are not; a new sign-in counts."""
    browsers = [sign_in(keeping), sign_in(keeping)]
    bob = sign_in(keeping, "bob")
    assert post(keeping, logout_token(keeping, header={"typ": typ})).status_code == 200
    assert [is_signed_in(browser) for browser in (*browsers, bob)] == [False, False, True]
    keeping.clock.advance(0.001)
    assert is_signed_in(sign_in(keeping))


@pytest.mark.requirement("BL-5")
def test_answer(keeping: Host) -> None:
    """A success is 200 without a body, a refusal is 400 in JSON, and nothing may be stored.

    Java's HTTP client, with which some tenants call, prefers HTML by default.
    """
    client = keeping.browser().client
    java = {"Accept": "text/html, image/gif, image/jpeg, */*; q=.2"}
    form = {"logout_token": logout_token(keeping)}
    ended = client.post(BACK_CHANNEL, data=form, headers=java)
    assert (ended.status_code, ended.data, ended.headers.get("Content-Type")) == (200, b"", None)
    refused = client.post(BACK_CHANNEL, data=form, headers=java)
    assert refused.content_type == "application/problem+json"
    check_problem(refused, "logout-token-invalid")
    for response in (ended, refused):
        assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.requirement("BL-4")
def test_by_session(keeping: Host) -> None:
    """Only what came of the one session at the tenant is over."""
    one, other = sign_in(keeping), sign_in(keeping)
    sid = keeping.session_of(one).value.grants[-1].sid
    assert sid is not None
    assert post(keeping, logout_token(keeping, sid=sid)).status_code == 200
    assert [is_signed_in(one), is_signed_in(other)] == [False, True]


@pytest.mark.requirement("BL-3")
def test_replayed(keeping: Host) -> None:
    """A token that came before is refused: it would end what was signed in since."""
    token = logout_token(keeping)
    assert post(keeping, token).status_code == 200
    keeping.clock.advance(1)
    browser = sign_in(keeping)
    check_problem(post(keeping, token), "logout-token-invalid")
    assert is_signed_in(browser)


@pytest.mark.requirement("BL-1")
@pytest.mark.parametrize(("age", "is_good"), [(600 + 60, True), (600 + 61, False)])
def test_age(age: int, is_good: bool, keeping: Host) -> None:
    """A token was issued in the last ten minutes, PKCE_LEEWAY aside, however long it is valid."""
    now = int(keeping.clock())
    token = logout_token(keeping, iat=now - age, exp=now + 30 * 86400)
    response = post(keeping, token)
    if is_good:
        assert response.status_code == 200
    else:
        check_problem(response, "logout-token-invalid")


@pytest.mark.requirement("BL-1")
def test_fractions(keeping: Host) -> None:
    """The times of a token may have fractions of a second (RFC 7519 2)."""
    token = logout_token(keeping, iat=keeping.clock() - 0.5, exp=keeping.clock() + 60.5)
    assert post(keeping, token).status_code == 200


@pytest.mark.requirement("BL-3")
@pytest.mark.parametrize(
    ("valid", "remembered"), [(120, 120 + 60), (86400, 86400), (2**52, 86400)]
)
def test_remembered(valid: int, remembered: int, keeping: Host) -> None:
    """A token is remembered until it expires, PKCE_LEEWAY included, for 24 hours at most."""
    issuer, now = keeping.tenant.issuer, int(keeping.clock())
    assert post(keeping, logout_token(keeping, exp=now + valid)).status_code == 200
    marks = keeping.relying_party.revocations
    keeping.clock.advance(remembered - 1)
    assert marks.is_replayed(issuer, "one")
    keeping.clock.advance(1)
    assert not marks.is_replayed(issuer, "one")


@pytest.mark.requirement("BL-1")
@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "https://other.example/"},
        {"aud": "another"},
        {"aud": ["another"]},
        {"aud": ["another", "local-client"]},
        {"iat": None},
        {"iat": True},
        {"exp": True},
        {"exp": None},
        {"exp": 1},
        {"iat": 1},
        {"jti": None},
        {"jti": "\n"},
        {"events": None},
        {"events": {"http://schemas.openid.net/event/other": {}}},
        {"events": {EVENT: "x"}},
        {"nonce": "n"},
        {"sub": None},
        {"sub": 5},
        {"header": {"typ": "at+jwt"}},
        {"header": {"alg": "none"}},
        {"header": {"kid": "unknown"}},
    ],
)
def test_refused(changes: dict[str, Any], keeping: Host) -> None:
    """A token that is not exactly what it must be ends nothing."""
    browser = sign_in(keeping)
    check_problem(post(keeping, logout_token(keeping, **changes)), "logout-token-invalid")
    assert is_signed_in(browser)


def test_store_fails(keeping: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A token that could not be heeded counts when the tenant tries again."""
    browser, token = sign_in(keeping), logout_token(keeping)
    revoke_user = Revocations.revoke_user

    def fail(*_: object) -> None:
        monkeypatch.setattr(Revocations, "revoke_user", revoke_user)
        raise StoreError("The store is down.")

    monkeypatch.setattr(Revocations, "revoke_user", fail)
    assert post(keeping, token).status_code == 503
    assert post(keeping, token).status_code == 200
    assert not is_signed_in(browser)


@pytest.mark.requirement("BL-1")
@pytest.mark.parametrize("changes", [{}, {"sub": None, "sid": "session 1"}], ids=["sub", "sid"])
def test_names_with_a_space(changes: dict[str, Any], keeping: Host) -> None:
    """Who could sign in by such a name can be signed out by it."""
    browser = sign_in(keeping)
    held = keeping.session_of(browser)
    (grant,) = held.value.grants
    claims = {**grant.claims, "sub": "ad|contoso|Jane Doe", "sid": "session 1"}
    named = dataclasses.replace(grant, claims=claims)
    keeping.relying_party.sessions.update(held, lambda session: session.with_grant(grant, named))
    assert is_signed_in(browser)
    token = logout_token(keeping, **{"sub": "ad|contoso|Jane Doe", "jti": "number 1", **changes})
    assert post(keeping, token).status_code == 200
    assert not is_signed_in(browser)


@pytest.mark.requirement("BL-3")
def test_while_a_token_is_refreshed(make_app: MakeApp) -> None:
    """Who is signed out meanwhile gets no new token, and those that came are revoked."""
    pkce = PKCEBlueprint()
    host = make_app(
        blueprint=pkce,
        PKCE_TOKEN_DELIVERY="session",
        PKCE_SCOPE="openid offline_access",
        PKCE_BACKCHANNEL_LOGOUT=True,
    )
    host.app.add_url_rule("/token", view_func=pkce.access_token)
    browser = sign_in(host)
    host.clock.advance(86400 - 10)
    host.while_tokens_are_made(lambda: post(host, logout_token(host)))
    refused = browser.client.get(
        "/token", base_url=host.address, headers={"Accept": "application/json"}
    )
    check_problem(refused, "access-token-missing")
    assert (host.token_requests, host.revocations) == (2, 1)
    assert not is_signed_in(browser)


def test_while_a_code_is_exchanged(keeping: Host) -> None:
    """Whoever is signed out while a code is exchanged is signed out, too."""
    browser = keeping.browser()
    url = browser.submit("/pkce/code").headers["Location"]

    def end() -> None:
        keeping.clock.advance(1)
        keeping.relying_party.sign_out.everywhere(keeping.tenant.issuer, "auth0|alice")
        keeping.clock.advance(1)

    keeping.while_tokens_are_made(end)
    browser.arrive(keeping.tenant.sign_in(url))
    assert not is_signed_in(browser)


@pytest.mark.requirement("BL-1")
def test_several_audiences(make_app: MakeApp) -> None:
    """It may be for others too, if they are trusted as in an ID token; it has no ``azp``."""
    host = make_app(PKCE_BACKCHANNEL_LOGOUT=True, PKCE_TRUSTED_AUDIENCES=["project"])
    ours = host.tenant.client.client_id
    assert post(host, logout_token(host, aud=["project", ours])).status_code == 200
    for aud in (["another", ours], ["project"]):
        refused = post(host, logout_token(host, aud=aud, jti="two"))
        check_problem(refused, "logout-token-invalid")


def test_none(keeping: Host) -> None:
    """Where there is no token it is said."""
    response = keeping.program().send("POST", BACK_CHANNEL, data={"a": "b"})
    check_problem(response, "logout-token-invalid")


def test_only_where_switched_on(host: Host) -> None:
    """Without the setting the path is the host's."""
    assert host.browser().client.post(BACK_CHANNEL).mimetype == "text/html"


def test_refresh_after_it(make_app: MakeApp) -> None:
    """With delivery ``caller`` the refresh token of an ended sign-in is none any more."""
    host = make_app(PKCE_SCOPE="openid offline_access", PKCE_BACKCHANNEL_LOGOUT=True)
    browser = host.browser()
    _, url = browser.begin()
    browser.arrive(host.tenant.sign_in(url))
    assert browser.token().status_code == 200
    assert post(host, logout_token(host)).status_code == 200
    check_problem(browser.token(grant_type="refresh_token"), "refresh-token-unknown")
