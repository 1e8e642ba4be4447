"""Faults whose tokens would be refused for another reason too, were they made badly."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from joserfc.jwk import RSAKey

from flask_pkce.testing import LocalTenant
from flask_pkce.testing.tenant import FAULTS
from flask_pkce.testing.tenant.faults.catalogue import fault
from flask_pkce.testing.tenant.keys import SigningKeys
from tests.testing.relying_party import CALLBACK, RelyingParty

SECRET = "the-client-secret"


@pytest.fixture
def party(signing_keys: SigningKeys) -> RelyingParty:
    tenant = LocalTenant()
    tenant._provider.keys._keys = signing_keys._keys
    tenant.register(redirect_uris=[CALLBACK])
    return RelyingParty(tenant, tenant.mount(requests.Session()))


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "==")


def check_rs256(key: RSAKey, signature: bytes, signed: bytes) -> None:
    public: Any = key.public_key
    public.verify(signature, signed, padding.PKCS1v15(), SHA256())


def check_rs384(key: RSAKey, signature: bytes, signed: bytes) -> None:
    public: Any = key.public_key
    public.verify(signature, signed, padding.PKCS1v15(), SHA384())


def check_ps256(key: RSAKey, signature: bytes, signed: bytes) -> None:
    public: Any = key.public_key
    public.verify(signature, signed, padding.PSS(padding.MGF1(SHA256()), 32), SHA256())


def check_public_key(key: RSAKey, signature: bytes, signed: bytes) -> None:
    assert signature == hmac.digest(key.as_pem(private=False), signed, "sha256")


def check_client_secret(key: RSAKey, signature: bytes, signed: bytes) -> None:
    assert signature == hmac.digest(SECRET.encode(), signed, "sha256")


@pytest.mark.parametrize(
    ("name", "header", "check"),
    [
        ("invalid-null-alg", {"alg": None}, check_rs256),
        ("invalid-alternate-alg", {"alg": "PS256"}, check_ps256),
        ("idtoken-sig-rs384", {"alg": "RS384"}, check_rs384),
        ("idtoken-sig-hs256-public-key", {"alg": "HS256"}, check_public_key),
        ("idtoken-sig-hs256-client-secret", {"alg": "HS256"}, check_client_secret),
        ("idtoken-crit", {"crit": ["urn:example:unknown"]}, check_rs256),
        ("idtoken-b64-false", {"b64": False}, check_rs256),
        ("idtoken-typ-at-jwt", {"typ": "at+jwt"}, check_rs256),
        ("idtoken-foreign-headers", {"alg": "RS256"}, check_rs256),
        ("kid-absent-single-jwks", {"alg": "RS256"}, check_rs256),
        ("kid-absent-multiple-jwks", {"alg": "RS256"}, check_rs256),
        ("idtoken-duplicate-claims", {"alg": "RS256"}, check_rs256),
        ("idtoken-duplicate-headers", {"alg": "RS256"}, check_rs256),
        ("idtoken-nested", {"alg": "RS256"}, check_rs256),
        ("idtoken-nan", {"alg": "RS256"}, check_rs256),
        ("idtoken-not-json", {"alg": "RS256"}, check_rs256),
        ("idtoken-oversized", {"alg": "RS256"}, check_rs256),
    ],
)
def test_signed_well(
    name: str,
    header: dict[str, Any],
    check: Callable[[RSAKey, bytes, bytes], None],
    party: RelyingParty,
) -> None:
    """The signature is right for the header, so that nothing but the fault is wrong."""
    party.tenant.register(client_secret=SECRET if "secret" in name else None)
    party.tenant.faults = {name}
    secret = SECRET if "secret" in name else None
    tokens = party.exchange(party.code(), client_secret=secret).json()
    signed, _, signature = tokens["id_token"].rpartition(".")
    members = json.loads(decoded(signed.split(".")[0]))
    assert members.items() >= header.items()
    assert ("kid" in members) is not name.startswith("kid-absent")
    check(party.tenant._provider.keys.current, decoded(signature), signed.encode())


@pytest.mark.parametrize("name", ["idtoken-embedded-jwk", "idtoken-jku", "idtoken-x5u"])
def test_signed_with_another_key(name: str, party: RelyingParty) -> None:
    """The signature is that of a key that no key set of the tenant has."""
    party.tenant.faults = {name}
    signed, _, signature = party.tokens()["id_token"].rpartition(".")
    members = json.loads(decoded(signed.split(".")[0]))
    assert name.removeprefix("idtoken-").removeprefix("embedded-") in members
    if "jwk" in members:
        check_rs256(RSAKey.import_key(members["jwk"]), decoded(signature), signed.encode())


@pytest.mark.parametrize("name", ["refresh-token-invalid-sub", "refresh-token-invalid-nonce"])
def test_only_at_a_refresh(name: str, party: RelyingParty) -> None:
    """A fault of the refreshed ID token leaves the one of the sign-in as it is."""
    party.tenant.faults = {name}
    tokens = party.tokens()
    claims = party.claims(tokens["id_token"])
    assert (claims["sub"], claims["nonce"]) == ("auth0|alice", "the-nonce")
    refreshed = party.claims(party.refresh(tokens["refresh_token"]).json()["id_token"])
    changed = name.rpartition("-")[2]
    assert refreshed[changed] != claims[changed]


def test_name_that_is_taken() -> None:
    """Two faults of one name and stage would be one."""
    with pytest.raises(AssertionError, match="two faults are named expired"):
        fault("expired", "id_token_claims", "Another one.")(lambda claims, scene: claims)
    assert FAULTS["expired"].summary == "The ID token expired an hour ago."
