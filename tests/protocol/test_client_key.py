"""The private key of a confidential client."""

from __future__ import annotations

import json
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from flask_pkce.protocol.client_key import ClientKey, parse_client_key
from tests.support import ec_key, okp_key, rsa_key

RSA_ALGORITHMS = ("RS256", "PS256", "RS384", "PS384", "RS512", "PS512")
KEYS = [
    pytest.param(rsa_key(), RSA_ALGORITHMS, id="RSA"),
    pytest.param(ec_key(), ("ES256",), id="P-256"),
    pytest.param(ec_key("P-384"), ("ES384",), id="P-384"),
    pytest.param(ec_key("P-521"), ("ES512",), id="P-521"),
    pytest.param(okp_key(), ("EdDSA", "Ed25519"), id="Ed25519"),
]


def pem(private: Any, *, password: bytes | None = None) -> str:
    """A private key in PKCS #8."""
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    encoded: bytes = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    return encoded.decode()


def members(key: Key, **changes: Any) -> dict[str, Any]:
    """A private JWK; ``None`` leaves a member out."""
    jwk = {**key.as_dict(private=True), **changes}
    return {name: value for name, value in jwk.items() if value is not None}


def same(key: ClientKey, other: Key) -> bool:
    """Whether two keys have the same public numbers."""
    mine, theirs = key.key.as_dict(private=False), other.as_dict(private=False)
    return all(mine.get(name) == theirs.get(name) for name in ("kty", "n", "e", "x", "y"))


@pytest.mark.parametrize(("key", "algorithms"), KEYS)
def test_pem(key: RSAKey | ECKey | OKPKey, algorithms: tuple[str, ...]) -> None:
    """A PEM is read, whatever stands around it."""
    read = parse_client_key(f"\n {key.as_pem(private=True).decode()}\n\n")
    assert same(read, key)
    assert (read.algorithms, read.kid) == (algorithms, None)


@pytest.mark.parametrize(("key", "algorithms"), KEYS)
@pytest.mark.parametrize("spell", [dict, json.dumps])
def test_jwk(key: Key, algorithms: tuple[str, ...], spell: Any) -> None:
    """So is a JWK, as JSON or as the mapping that Flask makes of JSON in the environment."""
    read = parse_client_key(spell(members(key, use="sig")))
    assert same(read, key)
    assert (read.algorithms, read.kid) == (algorithms, None)


def test_what_a_jwk_says() -> None:
    """The ``kid`` and the ``alg`` of a JWK count."""
    read = parse_client_key(members(rsa_key(), kid="mine", alg="PS256"))
    assert (read.algorithms, read.kid) == (("PS256",), "mine")
    few = {name: value for name, value in members(rsa_key()).items() if name in "kty n e d"}
    assert same(parse_client_key(few), rsa_key())


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        pytest.param("", "no private key", id="empty"),
        pytest.param("secret", "no private key", id="text"),
        pytest.param('{"kty": ', "no private key", id="half a JSON"),
        pytest.param("[]", "no private key", id="list"),
        pytest.param("\ud800", "no private key", id="surrogate"),
        pytest.param({}, "no private key", id="no kty"),
        pytest.param({"kty": ["RSA"]}, "no private key", id="kty of another kind"),
        pytest.param({"kty": "oct", "k": "secret"}, "no private key", id="symmetric"),
        pytest.param(members(ec_key(), crv="P-192"), "no private key", id="no such curve"),
        pytest.param(members(ec_key(), d="secret"), "no private key", id="other d"),
        pytest.param(members(ec_key(), x=5), "no private key", id="number"),
        pytest.param(members(rsa_key(), d="AQAB"), "no private key", id="other RSA d"),
        pytest.param(members(rsa_key(), n=None), "no private key", id="no n"),
        pytest.param(members(rsa_key(), d=None), "is public", id="public JWK"),
        pytest.param(members(rsa_key(), use="enc"), "something else", id="encryption"),
        pytest.param(members(rsa_key(), alg="ES256"), "cannot sign with", id="alg of another"),
        pytest.param(members(ec_key(), alg="none"), "cannot sign with", id="alg none"),
        pytest.param(members(rsa_key(), kid=5), "has a kid", id="kid that is a number"),
        pytest.param(members(rsa_key(), kid="a b"), "has a kid", id="kid with a space"),
        pytest.param(members(rsa_key(), kid="k" * 129), "has a kid", id="long kid"),
        pytest.param(members(rsa_key(), n="AQAB"), "2048 to 4096 bits", id="short JWK"),
        pytest.param(rsa_key().as_pem(private=False).decode(), "is public", id="public PEM"),
        pytest.param("-----BEGIN CERTIFICATE-----\nAA", "is public", id="certificate"),
        pytest.param("-----BEGIN PRIVATE KEY-----\nAA", "no private key", id="cut off"),
        pytest.param(
            pem(ec.generate_private_key(ec.SECP256K1())), "no private key", id="secp256k1"
        ),
        pytest.param(pem(ed448.Ed448PrivateKey.generate()), "no private key", id="Ed448"),
        pytest.param(
            pem(rsa.generate_private_key(65537, 1024)), "2048 to 4096 bits", id="short PEM"
        ),
        pytest.param(
            pem(ec.generate_private_key(ec.SECP256R1()), password=b"x" * 8),
            "without a passphrase",
            id="encrypted",
        ),
    ],
)
def test_no_key(value: Any, fault: str) -> None:
    """What is no private key, or of another kind or size, is refused, and nothing of it quoted."""
    with pytest.raises(ValueError, match=fault) as caught:
        parse_client_key(value)
    assert "secret" not in str(caught.value)


def test_size() -> None:
    """An RSA key may have as many bits as an assertion for Auth0 has room for."""
    with pytest.raises(ValueError, match="2048 to 4096"):
        parse_client_key(members(rsa_key(), n="_" * 700))


def test_named() -> None:
    """A key takes another id, and an algorithm that it can sign with."""
    key = parse_client_key(members(rsa_key(), kid="first"))
    assert (key.named().kid, key.named().algorithms) == (key.kid, key.algorithms)
    assert key.named(kid="other").kid == "other"
    named = key.named(algorithm="PS256")
    assert (named.kid, named.algorithms) == ("first", ("PS256",))
    with pytest.raises(ValueError, match="cannot sign"):
        key.named(algorithm="ES256")


@pytest.mark.requirement("LG-1")
def test_key_hides_itself() -> None:
    """A key in a log shows none of its numbers."""
    shown = repr(parse_client_key(members(ec_key(), kid="mine")))
    assert shown == "ClientKey(algorithms=('ES256',), kid='mine')"
