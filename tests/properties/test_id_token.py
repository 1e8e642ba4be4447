"""ID tokens that are not to the letter what the tenant signed, or say anything else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from flask_pkce.errors import IDTokenInvalid
from flask_pkce.protocol.id_token import (
    MAX_AGE_AT_SIGN_IN,
    Expectation,
    parse_key_set,
    validate_claims,
    verify_id_token,
)
from tests.properties.documents import INTEGERS, JSON, TEXT, attempt
from tests.support import (
    CLIENT_ID,
    ISSUER,
    NOW,
    base64url,
    ec_key,
    half_hash,
    id_claims,
    jwk,
    okp_key,
    rsa_key,
    sign,
    sign_parts,
)

ACCESS_TOKEN = "the-access-token"
LEEWAY = 60
EXPECTED = Expectation(
    issuer=ISSUER,
    client_id=CLIENT_ID,
    algorithms=("RS256", "ES256", "EdDSA"),
    leeway=LEEWAY,
    nonce="the-nonce",
)
KEYS = parse_key_set(
    {
        "keys": [
            jwk(rsa_key(), kid="first"),
            jwk(ec_key(), kid="second"),
            jwk(okp_key(), kid="third"),
        ]
    }
)
CLAIMS = id_claims(at_hash=half_hash(ACCESS_TOKEN))
TOKENS = (
    sign(CLAIMS),
    sign(CLAIMS, ec_key(), alg="ES256", kid="second"),
)


def _verifies(token: str) -> bool:
    """Whether a token verifies; nothing but the documented error may be raised."""
    verified = attempt(
        lambda: verify_id_token(token, EXPECTED, keys=KEYS, access_token=ACCESS_TOKEN, now=NOW),
        IDTokenInvalid,
    )
    return isinstance(verified, dict)


@given(st.sampled_from(TOKENS), st.data())
def test_one_character(token: str, data: st.DataObject) -> None:
    """A token in which one character is another, is missing or is too many does not verify."""
    assert _verifies(token)
    at = data.draw(st.integers(0, len(token) - 1) | st.integers(-4, -1))
    at %= len(token)
    char = data.draw(st.sampled_from("AQgwBRhx09-_.=+/ \n\0é") | st.just(""))
    changed = token[:at] + char + token[at + data.draw(st.sampled_from([0, 1])) :]
    assume(changed != token)
    assert not _verifies(changed)


@given(
    TEXT | st.lists(st.binary(max_size=30).map(base64url), min_size=3, max_size=3).map(".".join)
)
def test_no_token(text: str) -> None:
    """What is no token is refused."""
    assert not _verifies(text)


HEADERS = st.fixed_dictionaries(
    {},
    optional={
        "alg": st.sampled_from(["RS256", "none", "HS256", "ES256", "EdDSA", "RS512"]) | JSON,
        "kid": st.sampled_from(["first", "second", "third", ""]) | JSON,
        "typ": st.sampled_from(["JWT", "at+jwt", "application/jwt"]) | JSON,
        "crit": JSON,
        "b64": JSON,
        "jwk": st.just(jwk(rsa_key("attacker"))) | JSON,
        "jku": TEXT | JSON,
        "x5c": JSON,
        "zip": st.sampled_from(["DEF"]) | JSON,
        "enc": JSON,
    },
)  # fmt: skip


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@given(HEADERS | JSON, st.sampled_from(["unsigned", "attacker", "other", "empty"]))
def test_any_header(header: Any, signed_by: str) -> None:
    """Whatever a header says, a token that our tenant's key did not sign does not verify."""
    payload = json.dumps(CLAIMS).encode()
    data = json.dumps(header).encode()
    if signed_by == "attacker":
        token = sign_parts(data, payload, rsa_key("attacker"), alg="RS256")
    elif signed_by == "other":
        token = sign_parts(data, payload, ec_key("P-384"), alg="ES384")
    else:
        signature = b"" if signed_by == "empty" else b"x" * 256
        token = ".".join(map(base64url, (data, payload, signature)))
    assert not _verifies(token)


@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
@given(HEADERS)
def test_signed_header(header: dict[str, Any]) -> None:
    """Whatever a header says that our tenant's key signed, nothing else is raised; what verifies
    names the algorithm and key that it was signed with."""
    token = sign_parts(json.dumps(header).encode(), json.dumps(CLAIMS).encode(), alg="RS256")
    if _verifies(token):
        assert header["alg"] == "RS256"
        assert header.get("kid", "first") in {"first", None}
        assert "crit" not in header


NAMES = ("iss", "sub", "aud", "azp", "exp", "iat", "nbf", "nonce", "at_hash", "auth_time")
TIMES = st.integers(NOW - 800, NOW + 800) | st.floats(NOW - 800, NOW + 800) | INTEGERS
CHANGES = st.dictionaries(
    st.sampled_from(NAMES),
    TIMES
    | st.sampled_from([ISSUER, CLIENT_ID, [CLIENT_ID], [CLIENT_ID, "x"], "the-nonce", "auth0|al"])
    | JSON,
    min_size=1,
    max_size=3,
)  # fmt: skip


def _is_time(value: Any) -> bool:
    return type(value) in {int, float} and value >= 0


def _may_pass(claims: dict[str, Any]) -> bool:
    """The rules once more (OpenID Connect Core 3.1.3.7), from the claims' side."""
    sub = claims.get("sub")
    return (
        claims.get("iss") == ISSUER
        and isinstance(sub, str)
        and 0 < len(sub) <= 255
        and claims.get("aud") in (CLIENT_ID, [CLIENT_ID])
        and claims.get("azp", CLIENT_ID) == CLIENT_ID
        and claims.get("nonce") == "the-nonce"
        and _is_time(claims.get("exp"))
        and claims["exp"] > NOW - LEEWAY
        and _is_time(claims.get("iat"))
        and NOW - MAX_AGE_AT_SIGN_IN - LEEWAY <= claims["iat"] <= NOW + LEEWAY
        and ("nbf" not in claims or (_is_time(claims["nbf"]) and claims["nbf"] <= NOW + LEEWAY))
    )


@given(CHANGES, st.sets(st.sampled_from(NAMES), max_size=1))
@example({"exp": True}, set())
@example({"iat": NOW + 0.5}, set())
@example({"iat": float("nan")}, set())
def test_claims(changes: dict[str, Any], missing: set[str]) -> None:
    """Claims that break one of the rules are refused, with the documented error alone."""
    claims = {name: value for name, value in {**CLAIMS, **changes}.items() if name not in missing}
    refused = attempt(lambda: validate_claims(claims, EXPECTED, now=NOW), IDTokenInvalid)
    if refused is None:
        assert _may_pass(claims)
    else:
        assert any(name in str(refused) for name in (*changes, *missing))


@given(CHANGES)
def test_signed_claims(changes: dict[str, Any]) -> None:
    """So are those that the tenant's key signed, a hash of another access token among them."""
    claims = {**CLAIMS, **changes}
    if _verifies(sign(claims)):
        assert _may_pass(claims)
        assert claims["at_hash"] in {None, half_hash(ACCESS_TOKEN)}
