"""Each fault of the local tenant does what it says, and only while it is switched on."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import requests
from joserfc import jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import KeySet
from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError

from flask_pkce.testing import LocalTenant
from flask_pkce.testing.tenant import FAULTS
from tests.testing.relying_party import CALLBACK, Clock, RelyingParty


@pytest.fixture(scope="module")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys are made once, for making them is slow."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def party(keys_folder: Path, clock: Clock) -> RelyingParty:
    tenant = LocalTenant(keys_folder=keys_folder, clock=clock)
    tenant.register(redirect_uris=[CALLBACK])
    return RelyingParty(tenant, tenant.mount(requests.Session()))


Claims = dict[str, Any]


@pytest.mark.parametrize(
    ("fault", "is_spoilt"),
    [
        ("invalid-iss", lambda claims: claims["iss"] == "https://attacker.example/"),
        ("missing-sub", lambda claims: "sub" not in claims),
        ("invalid-aud", lambda claims: claims["aud"] == "another-client"),
        ("missing-iat", lambda claims: "iat" not in claims),
        ("nonce-invalid", lambda claims: claims["nonce"] == "another-nonce"),
        ("missing-nonce", lambda claims: "nonce" not in claims),
        ("expired", lambda claims: claims["exp"] == 1_800_000_000 - 3600),
        ("invalid-athash", lambda claims: claims["at_hash"] == "A" * 22),
    ],
)
def test_claims(party: RelyingParty, fault: str, is_spoilt: Callable[[Claims], bool]) -> None:
    """A claim is wrong or missing, in a token that is signed well."""
    good = party.claims(party.tokens()["id_token"])
    party.tenant.faults.add(fault)
    spoilt = party.claims(party.tokens()["id_token"])
    assert is_spoilt(spoilt)
    assert not is_spoilt(good)
    party.tenant.faults.clear()
    assert not is_spoilt(party.claims(party.tokens()["id_token"]))


def test_wrong_signature(party: RelyingParty) -> None:
    """invalid-sig-rs256: the signature does not verify, the rest is as it should be."""
    party.tenant.faults = {"invalid-sig-rs256"}
    id_token = party.tokens()["id_token"]
    with pytest.raises(BadSignatureError):
        party.claims(id_token)


def test_no_signature(party: RelyingParty) -> None:
    """idtoken-sig-none: the algorithm is none and the signature is empty."""
    party.tenant.faults = {"idtoken-sig-none"}
    header, _, signature = party.tokens()["id_token"].split(".")
    assert json.loads(base64.urlsafe_b64decode(header + "=="))["alg"] == "none"
    assert signature == ""


@pytest.mark.parametrize(
    ("fault", "status", "error", "spends_code"),
    [
        ("token-html", 200, None, True),
        ("token-not-json", 200, None, True),
        ("token-500", 500, None, False),
        ("token-429", 429, "too_many_requests", False),
        ("token-redirect-307", 307, None, False),
        ("token-invalid-grant", 403, "invalid_grant", False),
        ("token-invalid-client", 401, "invalid_client", False),
    ],
)
def test_token_endpoint(
    party: RelyingParty, fault: str, status: int, error: str | None, spends_code: bool
) -> None:
    """The token endpoint answers wrongly, before or after it used the code up."""
    code = party.code()
    party.tenant.faults = {fault}
    response = party.exchange(code)
    assert response.status_code == status
    if error:
        assert response.json()["error"] == error
    else:
        with pytest.raises(requests.JSONDecodeError):
            response.json()
    party.tenant.faults.discard(fault)
    assert party.exchange(code).status_code == (403 if spends_code else 200)


def test_no_id_token(party: RelyingParty) -> None:
    """no-id-token: the token response lacks it; an error is left as it is."""
    party.tenant.faults = {"no-id-token"}
    tokens = party.tokens()
    assert "access_token" in tokens
    assert "id_token" not in tokens
    assert party.exchange("unknown").json()["error"] == "invalid_grant"


def test_headers_of_faults(party: RelyingParty, clock: Clock) -> None:
    """429 tells when by Auth0's header alone; 307 leads to a path that counts who follows."""
    party.tenant.faults = {"token-429"}
    limited = party.exchange("x")
    assert limited.headers["x-ratelimit-reset"] == str(int(clock.now) + 7)
    assert "Retry-After" not in limited.headers
    party.tenant.faults = {"token-redirect-307"}
    moved = party.exchange("x")
    party.session.send(moved.next, timeout=10)  # type: ignore[arg-type]
    assert party.tenant.count("POST", "/elsewhere") == 1
    party.tenant.faults = {"token-html"}
    assert party.exchange("x").headers["Content-Type"].startswith("text/html")


def test_userinfo(party: RelyingParty) -> None:
    """userinfo-invalid-sub: the userinfo endpoint tells about somebody else."""
    access_token = party.tokens()["access_token"]
    party.tenant.faults = {"userinfo-invalid-sub"}
    assert party.userinfo(access_token).json()["sub"] == "auth0|mallory"


@pytest.mark.parametrize(
    ("fault", "member", "value"),
    [
        ("metadata-issuer-mismatch", "issuer", "https://attacker.example/"),
        (
            "metadata-foreign-token-endpoint",
            "token_endpoint",
            "https://attacker.example/oauth/token",
        ),
    ],
)
def test_metadata(party: RelyingParty, fault: str, member: str, value: str) -> None:
    """One member of the metadata points elsewhere."""
    path = ".well-known/openid-configuration"
    good = party.get(path).json()
    party.tenant.faults = {fault}
    assert party.get(path).json() == good | {member: value}
    assert good[member] != value


def test_keys_down(party: RelyingParty) -> None:
    """jwks-down: the keys cannot be had."""
    party.tenant.faults = {"jwks-down"}
    assert party.get(".well-known/jwks.json").status_code == 500


def test_garbage_among_the_keys(party: RelyingParty) -> None:
    """jwks-garbage-key: one key cannot be read, and the good ones are there too."""
    id_token = party.tokens()["id_token"]
    party.tenant.faults = {"jwks-garbage-key"}
    document = party.get(".well-known/jwks.json").json()
    with pytest.raises((JoseError, ValueError, TypeError)):
        KeySet.import_key_set(document)
    good = KeySet.import_key_set({"keys": document["keys"][1:]})
    assert jwt.decode(id_token, good, ["RS256"]).claims["sub"] == "auth0|alice"


@pytest.mark.parametrize("cancel", [False, True])
def test_iss_of_the_response(party: RelyingParty, cancel: bool) -> None:
    """iss-response-wrong: the authorization response names another issuer."""
    party.tenant.faults = {"iss-response-wrong"}
    answer = party.tenant.sign_in(party.url(), cancel=cancel)
    assert answer.params["iss"] == "https://attacker.example/"


def test_unreachable(party: RelyingParty) -> None:
    """unreachable: the request never arrives; the error is that of a refused connection."""
    party.tenant.faults = {"unreachable"}
    code = party.code()
    with pytest.raises(requests.ConnectionError) as raised:
        party.exchange(code)
    reason = raised.value.args[0]
    assert isinstance(reason, MaxRetryError)
    assert isinstance(reason.reason, NewConnectionError)
    assert party.tenant.count("POST", "/oauth/token") == 0
    party.tenant.faults = set()
    assert party.exchange(code).status_code == 200


def test_silent(party: RelyingParty) -> None:
    """silent: the tenant acts on the request, and its answer is lost."""
    code = party.code()
    party.tenant.faults = {"silent"}
    with pytest.raises(requests.ReadTimeout) as raised:
        party.exchange(code)
    assert isinstance(raised.value.args[0], ReadTimeoutError)
    assert party.tenant.count("POST", "/oauth/token") == 1
    party.tenant.faults = set()
    assert party.exchange(code).json()["error"] == "invalid_grant"


def test_every_fault_is_described() -> None:
    """The catalogue tells of each fault, in a sentence, what goes wrong."""
    assert FAULTS.keys() >= {"invalid-iss", "token-429", "silent"}
    for name, fault in FAULTS.items():
        assert fault.name == name
        assert fault.summary.endswith("."), name
        # The page on testing has them by module.
        assert fault.module.startswith("flask_pkce.testing.tenant.faults."), name


def test_unknown_fault_is_refused(party: RelyingParty) -> None:
    """A fault that does not exist would make a test prove nothing."""
    with pytest.raises(ValueError, match="no such fault: 'invalid-issuer'; there are invalid-iss"):
        party.tenant.faults.add("invalid-issuer")
    with pytest.raises(ValueError, match="no such fault"):
        party.tenant.faults = {"nonsense"}
    with pytest.raises(ValueError, match="no such fault"):
        LocalTenant(faults=["nonsense"])
    assert not party.tenant.faults


def test_faults_are_a_set() -> None:
    """Faults can be added, counted and taken away, like the names of any set."""
    tenant = LocalTenant(faults=["silent", "expired"])
    assert len(tenant.faults) == 2
    assert set(tenant.faults) == {"silent", "expired"}
    tenant.faults -= {"silent"}
    assert "silent" not in tenant.faults
    assert "expired" in tenant.faults
