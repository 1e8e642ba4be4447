"""The local tenant as an application meets it: codes, tokens, revocation, metadata."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path
from threading import Barrier, Thread

import pytest
import requests

from flask_pkce.testing import LocalTenant, TenantClient
from tests.testing.relying_party import CALLBACK, CHALLENGE, VERIFIER, Clock, RelyingParty


@pytest.fixture(scope="module")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys are made once, for making them is slow."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tenant(keys_folder: Path, clock: Clock) -> LocalTenant:
    clients = (
        TenantClient("local-client", None, (CALLBACK,)),
        TenantClient("secret-client", "a secret: with %", (CALLBACK,)),
    )
    return LocalTenant(clients=clients, keys_folder=keys_folder, clock=clock)


@pytest.fixture
def party(tenant: LocalTenant) -> RelyingParty:
    return RelyingParty(tenant, tenant.mount(requests.Session()))


@pytest.mark.parametrize(("mode", "method"), [("form_post", "POST"), ("query", "GET")])
def test_sign_in_in_process(party: RelyingParty, mode: str, method: str) -> None:
    """A sign-in ends at the redirect URI with a code, in the mode asked for."""
    answer = party.tenant.sign_in(party.url(response_mode=mode), "bob@example.com")
    assert (answer.url, answer.method) == (CALLBACK, method)
    assert answer.params.keys() == {"code", "state"}
    assert answer.params["state"] == "the state"
    response = party.exchange(answer.params["code"])
    tokens = response.json()
    assert response.headers["Cache-Control"] == "no-store"
    assert tokens["token_type"] == "Bearer"
    assert tokens["expires_in"] == 86400
    assert tokens["scope"] == "openid profile email offline_access"
    assert party.claims(tokens["id_token"])["sub"] == "auth0|bob"


@pytest.mark.parametrize("mode", ["form_post", "query"])
def test_sign_in_over_a_socket(keys_folder: Path, mode: str) -> None:
    """The same over a real connection on loopback."""
    with LocalTenant(keys_folder=keys_folder) as tenant, requests.Session() as session:
        tenant.register(redirect_uris=[CALLBACK])
        assert tenant.issuer == f"http://{tenant.domain}/"
        assert tenant.domain.startswith("127.0.0.1:")
        party = RelyingParty(tenant, session)
        form = session.get(party.url(response_mode=mode), timeout=10)
        assert "Sign in" in form.text
        alice = tenant.users[0]
        filled = {"email": alice.email, "password": alice.password, "action": "login"}
        page = session.post(form.url, filled, allow_redirects=False, timeout=10)
        # The cookie of the tenant is enough now.
        answer = session.get(party.url(response_mode=mode), allow_redirects=False, timeout=10)
        assert page.status_code == answer.status_code == {"form_post": 200, "query": 302}[mode]
        code = party.code(response_mode=mode)
        assert party.exchange(code).status_code == 200


def test_id_token(party: RelyingParty, clock: Clock) -> None:
    """The ID token has the claims that OpenID Connect Core 2 names, and a known key."""
    tokens = party.tokens()
    claims = party.claims(tokens["id_token"])
    digest = hashlib.sha256(tokens["access_token"].encode()).digest()
    assert claims.pop("sid")
    assert claims == {
        "iss": "https://tenant.example/",
        "aud": "local-client",
        "sub": "auth0|alice",
        "iat": int(clock.now),
        "exp": int(clock.now) + 36000,
        "auth_time": int(clock.now),
        "nonce": "the-nonce",
        "at_hash": base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode(),
        "name": "Alice Example",
        "nickname": "alice",
        "email": "alice@example.com",
        "email_verified": True,
    }


def test_scope_decides(party: RelyingParty) -> None:
    """Without openid there is no ID token, without offline_access no refresh token."""
    assert party.tokens(scope="profile", nonce=None).keys().isdisjoint({"id_token"})
    tokens = party.tokens(scope="openid", nonce=None)
    assert "refresh_token" not in tokens
    claims = party.claims(tokens["id_token"])
    assert claims.keys().isdisjoint({"name", "email", "nonce"})
    assert "id_token" not in party.tokens(scope=None)


def test_access_token_for_an_audience(party: RelyingParty) -> None:
    """With an audience the access token is a JWT for it, else it is opaque."""
    claims = party.claims(party.tokens(audience="https://api.example/")["access_token"])
    assert claims["aud"] == ["https://api.example/", "https://tenant.example/userinfo"]
    assert claims["azp"] == "local-client"
    assert "." not in party.tokens()["access_token"]


@pytest.mark.parametrize(
    ("organization", "expected"),
    [
        ("org_1", {"org_id": "org_1"}),
        ("Acme", {"org_id": "org_61636d65", "org_name": "acme"}),
    ],
)
def test_organization(party: RelyingParty, organization: str, expected: dict[str, str]) -> None:
    """An organization is claimed by its identifier, and by its name if that was asked for."""
    claims = party.claims(party.tokens(organization=organization)["id_token"])
    assert {name: claims[name] for name in claims if name.startswith("org_")} == expected


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        ({"code_verifier": VERIFIER[:-1] + "l"}, 403, "invalid_grant"),
        ({"code_verifier": CHALLENGE}, 403, "invalid_grant"),
        ({"code_verifier": None}, 400, "invalid_request"),
        ({"code_verifier": "short"}, 400, "invalid_request"),
        ({"redirect_uri": f"{CALLBACK}/"}, 403, "invalid_grant"),
        ({"code": "another"}, 403, "invalid_grant"),
        ({"client_id": "unknown"}, 401, "invalid_client"),
        ({"client_id": "secret-client"}, 401, "invalid_client"),
        ({"client_id": "secret-client", "client_secret": "wrong"}, 401, "invalid_client"),
        (
            {"client_id": "secret-client", "client_secret": "a secret: with %"},
            403,
            "invalid_grant",
        ),
        ({"client_secret": "of a public client"}, 401, "invalid_client"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    ],
)
def test_token_request_refused(
    party: RelyingParty, changes: dict[str, str | None], status: int, error: str
) -> None:
    """What does not fit is refused with Auth0's status, and does not use the code up."""
    code = party.code()
    response = party.exchange(**{"code": code, **changes})  # type: ignore[arg-type]
    assert (response.status_code, response.json()["error"]) == (status, error)
    assert party.exchange(code).status_code == 200


@pytest.mark.parametrize("where", ["query", "twice"])
def test_token_request_malformed(party: RelyingParty, where: str) -> None:
    """Parameters of a token request are in its body, each once."""
    if where == "query":
        response = party.post("oauth/token?client_id=local-client", {"grant_type": "x"})
    else:
        response = party.session.post(
            f"{party.tenant.issuer}oauth/token", [("code", "1"), ("code", "2")], timeout=10
        )
    assert (response.status_code, response.json()["error"]) == (400, "invalid_request")


@pytest.mark.parametrize("method", ["client_secret_post", "client_secret_basic"])
def test_confidential_client(party: RelyingParty, method: str) -> None:
    """A client with a secret gives it in the body or by Basic, and needs the verifier too."""
    fields = {
        "grant_type": "authorization_code",
        "code": party.code(client_id="secret-client"),
        "redirect_uri": CALLBACK,
    }
    auth = None
    if method == "client_secret_post":
        fields |= {"client_id": "secret-client", "client_secret": "a secret: with %"}
    else:
        # RFC 6749 2.3.1 has both parts encoded as in a form.
        auth = ("secret-client", "a%20secret%3A%20with%20%25")
    without = party.post("oauth/token", fields, auth=auth)
    assert (without.status_code, without.json()["error"]) == (400, "invalid_request")
    fields["code_verifier"] = VERIFIER
    assert party.post("oauth/token", fields, auth=auth).status_code == 200


def test_code_expires(party: RelyingParty, clock: Clock) -> None:
    """A code is good for ten minutes."""
    code = party.code()
    clock.now += 600
    assert party.exchange(code).json()["error"] == "invalid_grant"


def test_replayed_code_ends_its_tokens(party: RelyingParty) -> None:
    """A code that comes twice ends what it was exchanged for (RFC 6749 4.1.2)."""
    code = party.code()
    tokens = party.exchange(code).json()
    assert party.userinfo(tokens["access_token"]).status_code == 200
    replay = party.exchange(code)
    assert (replay.status_code, replay.json()["error"]) == (403, "invalid_grant")
    assert party.userinfo(tokens["access_token"]).status_code == 401
    assert party.refresh(tokens["refresh_token"]).json()["error"] == "invalid_grant"


def test_code_is_good_for_one_of_many(party: RelyingParty) -> None:
    """Of exchanges at the same moment, one succeeds."""
    code = party.code()
    barrier = Barrier(4)
    statuses: list[int] = []

    def exchange() -> None:
        session = party.tenant.mount(requests.Session())
        barrier.wait()
        statuses.append(RelyingParty(party.tenant, session).exchange(code).status_code)

    threads = [Thread(target=exchange) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(statuses) == [200, 403, 403, 403]


def test_refresh_rotates(party: RelyingParty, clock: Clock) -> None:
    """A refresh gives new tokens; the ID token keeps subject, sid and auth_time."""
    first = party.tokens()
    clock.now += 60
    second = party.refresh(first["refresh_token"]).json()
    assert second["refresh_token"] != first["refresh_token"]
    assert second["access_token"] != first["access_token"]
    old, new = (party.claims(tokens["id_token"]) for tokens in (first, second))
    assert all(old[name] == new[name] for name in ("iss", "sub", "aud", "sid", "auth_time"))
    assert new["iat"] == old["iat"] + 60
    assert "nonce" not in new


def test_refresh_narrows_the_scope_once(party: RelyingParty) -> None:
    """A narrower scope is for that access token; a wider one is refused."""
    refresh_token = party.tokens()["refresh_token"]
    assert party.refresh(refresh_token, scope="admin").json()["error"] == "invalid_scope"
    narrow = party.refresh(refresh_token, scope="openid").json()
    assert narrow["scope"] == "openid"
    wide = party.refresh(narrow["refresh_token"]).json()
    assert wide["scope"] == "openid profile email offline_access"


def test_refresh_token_reuse_ends_the_family(party: RelyingParty) -> None:
    """A refresh token that comes twice ends every token of its sign-in (RFC 9700 4.14.2)."""
    first = party.tokens()
    second = party.refresh(first["refresh_token"]).json()
    reuse = party.refresh(first["refresh_token"])
    assert (reuse.status_code, reuse.json()["error"]) == (403, "invalid_grant")
    assert party.refresh(second["refresh_token"]).status_code == 403
    assert party.userinfo(second["access_token"]).status_code == 401


def test_revocation(party: RelyingParty) -> None:
    """A revoked refresh token ends its family; an unknown one is no error (RFC 7009 2.2)."""
    tokens = party.tokens()
    fields = {"client_id": "local-client", "token": tokens["refresh_token"]}
    assert party.post("oauth/revoke", fields).status_code == 200
    assert party.refresh(tokens["refresh_token"]).status_code == 403
    assert party.userinfo(tokens["access_token"]).status_code == 401
    assert party.post("oauth/revoke", fields | {"token": "unknown"}).status_code == 200


def test_revocation_by_another_client(party: RelyingParty) -> None:
    """A client cannot end the tokens of another."""
    tokens = party.tokens()
    fields = {"token": tokens["access_token"]}
    auth = ("secret-client", "a%20secret%3A%20with%20%25")
    assert party.post("oauth/revoke", fields, auth=auth).status_code == 403
    assert party.post("oauth/revoke", fields).status_code == 401
    assert party.userinfo(tokens["access_token"]).status_code == 200


def test_userinfo(party: RelyingParty) -> None:
    """The userinfo endpoint wants a bearer token in the header, with openid."""
    tokens = party.tokens(scope="openid email")
    assert party.userinfo(tokens["access_token"]).json() == {
        "sub": "auth0|alice",
        "email": "alice@example.com",
        "email_verified": True,
    }
    refused = party.get("userinfo")
    assert refused.status_code == 401
    assert refused.headers["WWW-Authenticate"] == 'Bearer error="invalid_token"'
    without = party.tokens(scope="email", nonce=None)["access_token"]
    assert party.userinfo(without).json()["error"] == "insufficient_scope"


@pytest.mark.parametrize("name", ["openid-configuration", "oauth-authorization-server"])
def test_metadata(party: RelyingParty, name: str) -> None:
    """The metadata names the issuer with its slash, Auth0's paths, and S256 alone."""
    members = party.get(f".well-known/{name}").json()
    assert members["issuer"] == "https://tenant.example/"
    assert members["token_endpoint"] == "https://tenant.example/oauth/token"
    assert members["code_challenge_methods_supported"] == ["S256"]
    assert members["authorization_response_iss_parameter_supported"] is False


def test_iss_of_the_response(keys_folder: Path) -> None:
    """With RFC 9207 switched on, metadata and every response tell the issuer."""
    tenant = LocalTenant(keys_folder=keys_folder, sends_iss=True, issuer="https://t.example/")
    tenant.register(redirect_uris=[CALLBACK])
    party = RelyingParty(tenant, tenant.mount(requests.Session()))
    metadata = party.get(".well-known/openid-configuration").json()
    assert metadata["authorization_response_iss_parameter_supported"] is True
    for cancel in (False, True):
        answer = tenant.sign_in(party.url(), cancel=cancel)
        assert answer.params["iss"] == "https://t.example/"


def test_log_has_names_and_no_values(party: RelyingParty) -> None:
    """Every request is recorded, by its names alone."""
    party.tokens()
    tenant = party.tenant
    assert tenant.count("POST", "/oauth/token") == 1
    assert tenant.count("GET", "/oauth/token") == 0
    token_request = tenant.requests[-1]
    assert token_request.fields == (
        "client_id",
        "code",
        "code_verifier",
        "grant_type",
        "redirect_uri",
    )
    assert VERIFIER not in repr(tenant.requests)


def test_another_host_is_refused(party: RelyingParty) -> None:
    """A request that names another host gets nothing."""
    response = party.get(".well-known/jwks.json", headers={"Host": "attacker.example"})
    assert response.status_code == 400
    assert "keys" not in response.text
