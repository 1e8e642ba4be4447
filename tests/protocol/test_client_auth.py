"""How we authenticate at the tenant."""

from __future__ import annotations

import dataclasses
import json
from base64 import b64decode, urlsafe_b64decode
from typing import Any
from urllib.parse import unquote_plus

import pytest
from joserfc import jwt
from joserfc.jwk import Key
from joserfc.jws import JWSRegistry

from flask_pkce.protocol.client_auth import ASSERTION_TYPE, Credentials, build_credentials
from flask_pkce.protocol.client_key import parse_client_key
from flask_pkce.protocol.metadata import ClientAuth, TenantMetadata
from tests.support import CLIENT_ID, ISSUER, NOW, REGISTRATION, ec_key, make_tenant, okp_key
from tests.support import rsa_key as make_rsa_key


def build(tenant: TenantMetadata, *, randomness: bytes = bytes(24)) -> Credentials:
    return build_credentials(tenant, now=NOW + 0.9, randomness=randomness)


def decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "==")


def tenant_with(*, secret: str | None = None, **changes: Any) -> TenantMetadata:
    registration = dataclasses.replace(REGISTRATION, client_secret=secret, **changes)
    return make_tenant(registration)


@pytest.mark.requirement("A0-10", "AZ-12")
def test_public_client() -> None:
    """A public client gives its id alone."""
    assert build(make_tenant()) == Credentials({"client_id": "local-client"})


@pytest.mark.requirement("A0-10", "AZ-12")
def test_secret_in_the_form() -> None:
    """A confidential client gives its secret in the form, by one method."""
    tenant = tenant_with(secret="top secret&", client_auth=ClientAuth.CLIENT_SECRET_POST)
    assert build(tenant) == Credentials(
        {"client_id": "local-client", "client_secret": "top secret&"}
    )


@pytest.mark.requirement("AZ-12", "AZ-13")
@pytest.mark.parametrize("client_id", ["local-client", "a:b@c"])
@pytest.mark.parametrize("secret", ["plain-_.~", "a:b", "100%", "é ü", "a+b&c=d/"])
def test_secret_in_a_header(client_id: str, secret: str) -> None:
    """Or in a header, each part encoded as in a form (RFC 6749 2.3.1); the form has neither."""
    tenant = tenant_with(
        secret=secret, client_id=client_id, client_auth=ClientAuth.CLIENT_SECRET_BASIC
    )
    credentials = build(tenant)
    assert credentials.fields == {}
    scheme, _, encoded = credentials.headers["Authorization"].partition(" ")
    assert scheme == "Basic"
    parts = b64decode(encoded, validate=True).decode("ascii").split(":")
    assert [unquote_plus(part) for part in parts] == [client_id, secret]
    assert credentials.secrets == (encoded, secret)


def test_secret_of_the_usual_letters() -> None:
    """A secret such as Auth0 makes is the same for those who decode it and who do not."""
    tenant = tenant_with(secret="aB3_-~.x", client_auth=ClientAuth.CLIENT_SECRET_BASIC)
    encoded = build(tenant).headers["Authorization"].removeprefix("Basic ")
    assert b64decode(encoded) == b"local-client:aB3_-~.x"


@pytest.mark.requirement("BC-10", "BC-18", "CA-1", "CA-2", "T5")
@pytest.mark.parametrize(
    ("key", "alg"),
    [
        (make_rsa_key(), "RS256"),
        (ec_key(), "ES256"),
        (ec_key("P-384"), "ES384"),
        (ec_key("P-521"), "ES512"),
        (okp_key(), "EdDSA"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_assertion(key: Key, alg: str) -> None:
    """A client with a key signs an assertion for this issuer alone, which is good for a minute."""
    client_key = parse_client_key(key.as_dict(private=True)).named(kid="mine")
    credentials = build(tenant_with(client_key=client_key))
    assert credentials.headers == {}
    assert credentials.fields.keys() == {"client_id", "client_assertion_type", "client_assertion"}
    assert credentials.fields["client_id"] == CLIENT_ID
    assert credentials.fields["client_assertion_type"] == ASSERTION_TYPE
    assertion = credentials.fields["client_assertion"]
    signed, _, signature = assertion.rpartition(".")
    assert JWSRegistry.algorithms[alg].verify(signed.encode(), decoded(signature), key)
    header, claims = (json.loads(decoded(part)) for part in signed.split("."))
    assert header == {"alg": alg, "typ": "JWT", "kid": "mine"}
    assert claims == {
        "iss": CLIENT_ID,
        "sub": CLIENT_ID,
        "aud": ISSUER,
        "jti": "A" * 32,
        "iat": NOW,
        "exp": NOW + 60,
    }


@pytest.mark.requirement("CA-2")
def test_assertion_that_auth0_takes() -> None:
    """With the longest key, and an id such as Auth0's, it has no more than 2048 bytes."""
    key = parse_client_key(make_rsa_key("long", 4096).as_dict(private=True)).named(kid="k" * 43)
    tenant = dataclasses.replace(
        tenant_with(client_key=key, client_id="c" * 64), issuer=f"https://{'t' * 200}/"
    )
    assert len(build(tenant).fields["client_assertion"]) <= 2048


@pytest.mark.requirement("CA-1")
def test_assertion_without_kid() -> None:
    """A key without an id is not given one; other randomness makes another assertion."""
    key = parse_client_key(ec_key().as_dict(private=True))
    tenant = tenant_with(client_key=key)
    first = build(tenant).fields["client_assertion"]
    assert "kid" not in jwt.decode(first, ec_key()).header
    other = build(tenant, randomness=b"x" * 24).fields["client_assertion"]
    ids = {json.dumps(jwt.decode(each, ec_key()).claims["jti"]) for each in (first, other)}
    assert len(ids) == 2


def test_method_without_its_credential() -> None:
    """A method whose credential is missing sends the id alone, and nothing in its place."""
    for method in ClientAuth:
        assert build(tenant_with(client_auth=method)).fields == {"client_id": CLIENT_ID}


@pytest.mark.requirement("LG-1")
def test_credentials_hide_themselves() -> None:
    """Credentials in a log show neither the secret nor what was made of it."""
    for method in (ClientAuth.CLIENT_SECRET_BASIC, ClientAuth.CLIENT_SECRET_POST):
        shown = repr(build(tenant_with(secret="top-secret", client_auth=method)))
        assert shown == "Credentials()"
