"""How clients authenticate at the local tenant, and push their requests."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
import requests
from joserfc import jws, jwt

from flask_pkce.testing import LocalTenant, SignInRefused, TenantClient
from flask_pkce.testing.tenant.client_assertions import ASSERTION_TYPE
from flask_pkce.testing.tenant.keys import SigningKeys
from tests.support import ec_key, rsa_key
from tests.testing.relying_party import CALLBACK, VERIFIER, Clock, RelyingParty

SECRET = "the secret"
KEY = rsa_key("client")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def party(signing_keys: SigningKeys, clock: Clock) -> RelyingParty:
    clients = (
        TenantClient("local-client", None, (CALLBACK,)),
        TenantClient("secret-client", SECRET, (CALLBACK,)),
        TenantClient("basic-client", SECRET, (CALLBACK,), auth_method="client_secret_basic"),
        TenantClient(
            "key-client", None, (CALLBACK,), jwks=({**KEY.as_dict(private=False), "kid": "1"},)
        ),
    )
    tenant = LocalTenant(clients=clients, clock=clock)
    tenant._provider.keys._keys = signing_keys._keys
    return RelyingParty(tenant, tenant.mount(requests.Session()))


def assertion(party: RelyingParty, clock: Clock, *, alg: str = "RS256", **changes: Any) -> str:
    """A client assertion; ``None`` leaves a claim out."""
    claims = {
        "iss": "key-client",
        "sub": "key-client",
        "aud": party.tenant.issuer,
        "jti": "one",
        "iat": int(clock.now),
        "exp": int(clock.now) + 60,
        **changes,
    }
    present = {name: value for name, value in claims.items() if value is not None}
    registry = jws.JWSRegistry(algorithms=[alg])
    key = ec_key() if alg == "ES256" else KEY
    return jwt.encode({"alg": alg, "kid": "1"}, present, key, registry=registry)


def exchange(party: RelyingParty, code: str, **fields: str) -> requests.Response:
    return party.post(
        "oauth/token",
        {
            "grant_type": "authorization_code",
            "code": code,
            "code_verifier": VERIFIER,
            "redirect_uri": CALLBACK,
            **fields,
        },
    )


def signed(party: RelyingParty, code: str, made: str, **fields: str) -> requests.Response:
    given = {
        "client_id": "key-client",
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": made,
        **fields,
    }
    return exchange(party, code, **given)


@pytest.mark.parametrize("alg", ["RS256", "RS384", "PS256"])
def test_assertion(party: RelyingParty, clock: Clock, alg: str) -> None:
    """A client with a key signs an assertion, which is good once."""
    made = assertion(party, clock, alg=alg)
    tokens = signed(party, party.code(client_id="key-client"), made)
    assert tokens.status_code == 200, tokens.text
    again = signed(party, party.code(client_id="key-client"), made)
    assert (again.status_code, again.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"alg": "ES256"}, id="another key"),
        pytest.param({"alg": "RS512"}, id="algorithm"),
        pytest.param({"aud": "https://evil.example/"}, id="audience"),
        pytest.param({"aud": "https://tenant.example/oauth/token"}, id="endpoint"),
        pytest.param({"aud": ["https://tenant.example/"]}, id="list"),
        pytest.param({"iss": "other"}, id="issuer"),
        pytest.param({"sub": "other"}, id="subject"),
        pytest.param({"jti": None}, id="no jti"),
        pytest.param({"jti": "x" * 65}, id="long jti"),
        pytest.param({"exp": 1_800_000_000 - 10}, id="expired"),
        pytest.param({"exp": 1_800_000_000 + 311}, id="long life"),
        pytest.param({"exp": None}, id="no expiry"),
        pytest.param({"iat": 1_800_000_000 + 11}, id="of the future"),
        pytest.param({"more": "x" * 2048}, id="too long"),
    ],
)
def test_bad_assertion(party: RelyingParty, clock: Clock, changes: dict[str, Any]) -> None:
    """Any other is refused, as Auth0 does."""
    code = party.code(client_id="key-client")
    refused = signed(party, code, assertion(party, clock, **changes))
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")


@pytest.mark.parametrize("client_id", ["secret-client", "nobody"])
def test_assertion_of_another_client(party: RelyingParty, clock: Clock, client_id: str) -> None:
    """A client without a key signs nothing."""
    made = assertion(party, clock, iss=client_id, sub=client_id)
    refused = signed(party, "a-code", made, client_id=client_id)
    assert refused.json()["error"] == "invalid_client"


def test_one_method_of_a_client(party: RelyingParty) -> None:
    """A client uses the method that it is registered with, and one alone."""
    code = party.code(client_id="basic-client")
    fields = {"client_id": "basic-client", "client_secret": SECRET}
    assert exchange(party, code, **fields).json()["error"] == "invalid_client"
    assert exchange(party, code, client_id="key-client").json()["error"] == "invalid_client"
    both = party.post("oauth/token", fields, auth=("basic-client", SECRET))
    assert (both.status_code, both.json()["error"]) == (400, "invalid_request")
    revoked = party.post("oauth/revoke", fields, auth=("basic-client", SECRET))
    assert revoked.json()["error"] == "invalid_request"


def test_register(party: RelyingParty) -> None:
    """What is registered later adds to what there is."""
    jwk = KEY.as_dict(private=False)
    client = party.tenant.register("local-client", auth_method="private_key_jwt", jwks=[jwk])
    assert (client.method, client.jwks) == ("private_key_jwt", (jwk,))
    assert party.tenant.register("local-client").jwks == (jwk,)
    assert party.tenant.register("secret-client").method is None
    assert "n" not in repr(client).partition("jwks")[2]


def test_metadata(party: RelyingParty) -> None:
    """The metadata tell how clients authenticate, and where requests are pushed."""
    members = party.get(".well-known/openid-configuration").json()
    assert "private_key_jwt" in members["token_endpoint_auth_methods_supported"]
    assert members["token_endpoint_auth_signing_alg_values_supported"][0] == "RS256"
    assert members["pushed_authorization_request_endpoint"] == (f"{party.tenant.issuer}oauth/par")
    assert members["require_pushed_authorization_requests"] is False


# -- pushed requests -------------------------------------------------------------


def pushed_form(party: RelyingParty, **changes: str | None) -> dict[str, str]:
    url = party.url(**{"client_id": "secret-client", "client_secret": SECRET, **changes})
    return dict(parse_qsl(urlsplit(url).query))


def push(party: RelyingParty, **changes: str | None) -> requests.Response:
    return party.post("oauth/par", pushed_form(party, **changes))


def url_of(party: RelyingParty, request_uri: str, client_id: str = "secret-client") -> str:
    query = urlencode({"client_id": client_id, "request_uri": request_uri})
    return f"{party.tenant.issuer}authorize?{query}"


@pytest.mark.parametrize("mode", ["form_post", "query"])
def test_pushed_request(party: RelyingParty, mode: str) -> None:
    """A request is pushed, taken up by a browser, and good once."""
    party.tenant._provider.requires_par = True
    response = push(party, response_mode=mode, organization="org_1")
    assert (response.status_code, response.json()["expires_in"]) == (201, 60)
    url = url_of(party, response.json()["request_uri"])
    answer = party.tenant.sign_in(url)
    assert (answer.url, answer.params["state"]) == (CALLBACK, "the state")
    tokens = exchange(
        party, answer.params["code"], client_id="secret-client", client_secret=SECRET
    ).json()
    assert party.claims(tokens["id_token"])["org_id"] == "org_1"
    with pytest.raises(SignInRefused, match="expired or was used"):
        party.tenant.sign_in(url)


def test_pages_of_a_pushed_request(party: RelyingParty) -> None:
    """The page to sign up has the address of the request, and cancelling is an answer too."""
    request_uri = push(party, screen_hint="signup", invitation="i", organization="o").json()
    browser = party.tenant.browser()
    page = browser.get(url_of(party, request_uri["request_uri"]))
    assert "Sign up" in page.text
    assert "request_uri=" in page.text
    assert "screen_hint=login" in page.text
    other = browser.get(f"{url_of(party, request_uri['request_uri'])}&screen_hint=login")
    assert "<h1>Sign in</h1>" in other.text
    answer = party.tenant.sign_in(url_of(party, request_uri["request_uri"]), cancel=True)
    assert answer.params["error"] == "access_denied"


def test_pushed_request_expires(party: RelyingParty, clock: Clock) -> None:
    """A browser has a minute to come, and ten once it is there."""
    first, second = (push(party).json()["request_uri"] for _ in range(2))
    assert party.tenant.browser().get(url_of(party, first)).status_code == 200
    clock.now += 60
    assert party.tenant.sign_in(url_of(party, first)).params["code"]
    with pytest.raises(SignInRefused, match="expired"):
        party.tenant.sign_in(url_of(party, second))


def test_pushed_request_of_another_client(party: RelyingParty) -> None:
    """A request is good for its client, and gone when another comes with it."""
    request_uri = push(party).json()["request_uri"]
    for client_id in ("local-client", "secret-client"):
        with pytest.raises(SignInRefused, match="Unknown request"):
            party.tenant.sign_in(url_of(party, request_uri, client_id))


def test_not_pushed(party: RelyingParty) -> None:
    """Where requests must be pushed, no other is taken."""
    party.tenant._provider.requires_par = True
    with pytest.raises(SignInRefused, match="was not pushed"):
        party.code()


@pytest.mark.parametrize(
    ("changes", "status", "error"),
    [
        pytest.param({"client_secret": "wrong"}, 401, "invalid_client", id="wrong secret"),
        pytest.param({"client_secret": None}, 401, "invalid_client", id="no secret"),
        pytest.param(
            {"client_id": "local-client", "client_secret": None},
            401,
            "invalid_client",
            id="public client",
        ),
        pytest.param({"request_uri": "urn:x"}, 400, "invalid_request", id="request_uri"),
        pytest.param({"code_challenge": None}, 400, "invalid_request", id="no challenge"),
        pytest.param({"response_mode": "fragment"}, 400, "invalid_request", id="mode"),
        pytest.param({"redirect_uri": "https://evil.example/"}, 400, "invalid_request", id="uri"),
        pytest.param({"response_type": "token"}, 400, "unsupported_response_type", id="type"),
    ],
)
def test_pushed_in_vain(
    party: RelyingParty, changes: dict[str, str | None], status: int, error: str
) -> None:
    """A request that would be refused is refused when it is pushed."""
    response = push(party, **changes)
    assert (response.status_code, response.json()["error"]) == (status, error)


def test_basic_needs_the_client(party: RelyingParty) -> None:
    """The client is a parameter of the request, whoever authenticates (RFC 9126 2.1)."""
    form = pushed_form(party, client_id="basic-client", client_secret=None)
    auth = ("basic-client", SECRET.replace(" ", "%20"))
    assert party.post("oauth/par", form, auth=auth).status_code == 201
    del form["client_id"]
    assert party.post("oauth/par", form, auth=auth).status_code == 400
