"""How an ID token is signed and written."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from joserfc.jwk import RSAKey

from .catalogue import Scene, fault
from .spoiling import base64url

#: Signs octets.
Signer = Callable[[bytes], bytes]


# -- the signature -----------------------------------------------------------


@fault("invalid-sig-rs256", "id_token")
def _invalid_sig_rs256(id_token: str, scene: Scene) -> str:
    """The signature of the ID token is wrong in one bit."""
    signed, _, signature = id_token.rpartition(".")
    octets = bytearray(base64.urlsafe_b64decode(signature + "=="))
    octets[-1] ^= 1
    return f"{signed}.{base64url(bytes(octets))}"


@fault("sig-truncated", "id_token")
def _sig_truncated(id_token: str, scene: Scene) -> str:
    """The signature of the ID token is cut off."""
    return id_token[:-8]


@fault("sig-empty", "id_token")
def _sig_empty(id_token: str, scene: Scene) -> str:
    """The signature of the ID token is missing, and its algorithm stands as ever."""
    return id_token.rpartition(".")[0] + "."


@fault("invalid-sig-hs256", "id_token")
def _invalid_sig_hs256(id_token: str, scene: Scene) -> str:
    """The ID token is signed with HS256, and wrongly."""
    return _signed(id_token, lambda octets: bytes(32), alg="HS256")


@fault("invalid-sig-es256", "id_token")
def _invalid_sig_es256(id_token: str, scene: Scene) -> str:
    """The ID token is signed with ES256, and wrongly."""
    return _signed(id_token, lambda octets: bytes(64), alg="ES256")


# -- the algorithm -----------------------------------------------------------


@fault("idtoken-sig-none", "id_token")
def _idtoken_sig_none(id_token: str, scene: Scene) -> str:
    """The ID token is not signed."""
    return _signed(id_token, lambda octets: b"", alg="none", kid=None)


@fault("idtoken-sig-none-mixed-case", "id_token")
def _idtoken_sig_none_mixed_case(id_token: str, scene: Scene) -> str:
    """The ID token is not signed, and its algorithm is ``nOnE``."""
    return _signed(id_token, lambda octets: b"", alg="nOnE", kid=None)


@fault("invalid-null-alg", "id_token")
def _invalid_null_alg(id_token: str, scene: Scene) -> str:
    """The ID token is signed well, and its header names no algorithm."""
    return _signed(id_token, _rs256(scene.keys.current), alg=None)


@fault("invalid-alternate-alg", "id_token")
def _invalid_alternate_alg(id_token: str, scene: Scene) -> str:
    """The ID token is signed well with PS256, which is not allowed."""
    key: Any = scene.keys.current.private_key
    pss = padding.PSS(padding.MGF1(SHA256()), SHA256().digest_size)
    return _signed(id_token, lambda octets: bytes(key.sign(octets, pss, SHA256())), alg="PS256")


@fault("idtoken-sig-rs384", "id_token")
def _idtoken_sig_rs384(id_token: str, scene: Scene) -> str:
    """The ID token is signed well with RS384, which is not allowed."""
    key: Any = scene.keys.current.private_key
    signer = lambda octets: bytes(key.sign(octets, padding.PKCS1v15(), SHA384()))  # noqa: E731
    return _signed(id_token, signer, alg="RS384")


@fault("idtoken-sig-hs256-public-key", "id_token")
def _idtoken_sig_hs256_public_key(id_token: str, scene: Scene) -> str:
    """The ID token is signed with HS256, and with the public key for a secret."""
    return _signed(id_token, _hs256(scene.keys.current.as_pem(private=False)), alg="HS256")


@fault("idtoken-sig-hs256-client-secret", "id_token")
def _idtoken_sig_hs256_client_secret(id_token: str, scene: Scene) -> str:
    """The ID token is signed with HS256 and the client secret, though RS256 was registered."""
    return _signed(id_token, _hs256((scene.client_secret or "").encode()), alg="HS256")


# -- the header --------------------------------------------------------------


@fault("idtoken-crit", "id_token")
def _idtoken_crit(id_token: str, scene: Scene) -> str:
    """The ID token has a critical header parameter that nobody knows."""
    return _resigned(id_token, scene, crit=["urn:example:unknown"], **{"urn:example:unknown": 1})


@fault("idtoken-b64-false", "id_token")
def _idtoken_b64_false(id_token: str, scene: Scene) -> str:
    """The ID token says that its payload is not encoded."""
    return _resigned(id_token, scene, b64=False)


@fault("idtoken-typ-at-jwt", "id_token")
def _idtoken_typ_at_jwt(id_token: str, scene: Scene) -> str:
    """The ID token says that it is an access token."""
    return _resigned(id_token, scene, typ="at+jwt")


@fault("idtoken-embedded-jwk", "id_token")
def _idtoken_embedded_jwk(id_token: str, scene: Scene) -> str:
    """The ID token is signed with another key, which it brings along."""
    jwk = _attackers_key().as_dict(private=False)
    return _signed(id_token, _rs256(_attackers_key()), jwk=jwk)


@fault("idtoken-jku", "id_token")
def _idtoken_jku(id_token: str, scene: Scene) -> str:
    """The ID token is signed with a key that is said to lie at ``/elsewhere``."""
    signer = _rs256(_attackers_key())
    return _signed(id_token, signer, jku=f"{scene.issuer}elsewhere", kid="attacker")


@fault("idtoken-x5u", "id_token")
def _idtoken_x5u(id_token: str, scene: Scene) -> str:
    """The ID token is signed with a certificate that is said to lie at ``/elsewhere``."""
    return _signed(id_token, _rs256(_attackers_key()), x5u=f"{scene.issuer}elsewhere")


@fault("idtoken-foreign-headers", "id_token")
def _idtoken_foreign_headers(id_token: str, scene: Scene) -> str:
    """The ID token is signed well, and brings jwk and jku along; these are to be ignored."""
    jwk = _attackers_key().as_dict(private=False)
    return _resigned(id_token, scene, jwk=jwk, jku=f"{scene.issuer}elsewhere")


# -- the kid -----------------------------------------------------------------


@fault("kid-absent-single-jwks", "id_token")
def _kid_absent_single_jwks(id_token: str, scene: Scene) -> str:
    """The ID token names no key, and there is one; to be accepted."""
    return _resigned(id_token, scene, kid=None)


@fault("kid-absent-multiple-jwks", "id_token")
def _kid_absent_multiple_jwks(id_token: str, scene: Scene) -> str:
    """The ID token names no key, and several could have signed it."""
    return _resigned(id_token, scene, kid=None)


@fault("jwks-unknown-kid-storm", "id_token")
def _jwks_unknown_kid_storm(id_token: str, scene: Scene) -> str:
    """Every ID token is signed with another key that is in no key set."""
    return _signed(
        id_token, _rs256(_attackers_key()), kid=hashlib.sha256(id_token.encode()).hexdigest()
    )


# -- the writing -------------------------------------------------------------


@fault("idtoken-duplicate-claims", "id_token")
def _idtoken_duplicate_claims(id_token: str, scene: Scene) -> str:
    """The ID token has two subjects, the second of which is the user's."""
    payload = _payload(id_token).replace(b"{", b'{"sub": "auth0|mallory", ', 1)
    return _resigned(id_token, scene, payload)


@fault("idtoken-duplicate-headers", "id_token")
def _idtoken_duplicate_headers(id_token: str, scene: Scene) -> str:
    """The ID token names two algorithms, the second of which signed it."""
    header = _decoded(id_token.split(".")[0]).replace(b"{", b'{"alg": "none", ', 1)
    signed = f"{base64url(header)}.{id_token.split('.')[1]}"
    return f"{signed}.{base64url(_rs256(scene.keys.current)(signed.encode()))}"


@fault("idtoken-nested", "id_token")
def _idtoken_nested(id_token: str, scene: Scene) -> str:
    """A claim of the ID token is nested five thousand deep."""
    deep = b"[" * 5000 + b"]" * 5000
    return _resigned(id_token, scene, _payload(id_token).replace(b"{", b'{"a": ' + deep + b",", 1))


@fault("idtoken-nan", "id_token")
def _idtoken_nan(id_token: str, scene: Scene) -> str:
    """A claim of the ID token is no number."""
    return _resigned(id_token, scene, _payload(id_token).replace(b"{", b'{"a": NaN, ', 1))


@fault("idtoken-not-json", "id_token")
def _idtoken_not_json(id_token: str, scene: Scene) -> str:
    """The ID token is signed well, and is no JSON."""
    return _resigned(id_token, scene, b"<html>")


@fault("idtoken-oversized", "id_token")
def _idtoken_oversized(id_token: str, scene: Scene) -> str:
    """The ID token has a claim of 128 KiB."""
    claim = b'{"a": "' + b"a" * 131072 + b'", '
    return _resigned(id_token, scene, _payload(id_token).replace(b"{", claim, 1))


@fault("encrypted-idtoken", "id_token")
def _encrypted_idtoken(id_token: str, scene: Scene) -> str:
    """The ID token is encrypted, in five parts, which was not asked for."""
    header = base64url(b'{"alg":"RSA-OAEP","enc":"A256GCM"}')
    return ".".join([header, *(base64url(bytes(length)) for length in (256, 12, 99, 16))])


@fault("idtoken-garbage", "id_token")
def _idtoken_garbage(id_token: str, scene: Scene) -> str:
    """The ID token is no token at all."""
    return "garbage"


# -- signing -----------------------------------------------------------------


@cache
def _attackers_key() -> RSAKey:
    return RSAKey.generate_key(2048)


def _rs256(rsa: RSAKey) -> Signer:
    key: Any = rsa.private_key
    return lambda octets: bytes(key.sign(octets, padding.PKCS1v15(), SHA256()))


def _hs256(secret: bytes) -> Signer:
    return lambda octets: hmac.digest(secret, octets, "sha256")


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "==")


def _payload(id_token: str) -> bytes:
    return _decoded(id_token.split(".")[1])


def _resigned(
    id_token: str, scene: Scene, payload: bytes | None = None, /, **header: object
) -> str:
    """The token with other members of its header, signed with the tenant's key."""
    return _signed(id_token, _rs256(scene.keys.current), payload, **header)


def _signed(
    id_token: str, signer: Signer, payload: bytes | None = None, /, **header: object
) -> str:
    """The token with other members of its header, None for none, signed by somebody."""
    members = json.loads(_decoded(id_token.split(".")[0])) | header
    kept = {name: value for name, value in members.items() if value is not None or name == "alg"}
    parts = [json.dumps(kept).encode(), _payload(id_token) if payload is None else payload]
    signed = ".".join(map(base64url, parts))
    return f"{signed}.{base64url(signer(signed.encode()))}"
