"""What the key set holds."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from flask import Response
from joserfc.jwk import ECKey, RSAKey

from .catalogue import Scene, fault
from .spoiling import base64url, edited

Keys = list[dict[str, Any]]

#: What cannot be read as a key, each for a reason of its own.
GARBAGE: tuple[Any, ...] = (
    {"kty": "RSA", "kid": "garbage", "use": "sig", "alg": "RS256", "n": "!", "e": 65537},
    {"kty": "RSA", "kid": "no numbers"},
    {"kty": "EC", "kid": "no point of the curve", "crv": "P-256", "x": "AQ", "y": "AQ"},
    {"kty": "of the future", "kid": "unknown"},
    {"kty": ["RSA"], "kid": 5},
    {"kty": "oct", "kid": "a secret", "k": "c2VjcmV0"},
    "a text",
    None,
)


@fault("jwks-down", "jwks")
def _jwks_down(response: Response, scene: Scene) -> Response:
    """The keys cannot be had."""
    return Response("Internal Server Error", 500, mimetype="text/plain")


@fault("jwks-garbage-key", "jwks")
def _jwks_garbage_key(response: Response, scene: Scene) -> Response:
    """One key of the set, the first, is malformed."""
    return _with_keys(response, lambda keys: [GARBAGE[0], *keys])


@fault("jwks-garbage-keys", "jwks")
def _jwks_garbage_keys(response: Response, scene: Scene) -> Response:
    """Around the good keys lies everything that cannot be read as one; to be left out."""
    return _with_keys(response, lambda keys: [*GARBAGE, *keys, *GARBAGE])


@fault("jwks-garbage-only", "jwks")
def _jwks_garbage_only(response: Response, scene: Scene) -> Response:
    """No key of the set can be read."""
    return _with_keys(response, lambda keys: list(GARBAGE))


@fault("jwks-empty-set", "jwks")
def _jwks_empty_set(response: Response, scene: Scene) -> Response:
    """The key set is empty."""
    return _with_keys(response, lambda keys: [])


@fault("jwks-no-keys", "jwks")
def _jwks_no_keys(response: Response, scene: Scene) -> Response:
    """The key set has no list of keys."""
    return edited(response, lambda members: {})


@fault("jwks-keys-no-list", "jwks")
def _jwks_keys_no_list(response: Response, scene: Scene) -> Response:
    """The keys of the set are one key, and no list."""
    return edited(response, lambda members: {"keys": members["keys"][0]})


@fault("jwks-decoys", "jwks")
def _jwks_decoys(response: Response, scene: Scene) -> Response:
    """Before the good key lie others of the same ``kid``, of another use or kind."""
    kid = scene.keys.current.kid
    rsa = _other_rsa_key().as_dict(private=False) | {"kid": kid}
    decoys = [
        rsa | {"use": "enc"},
        rsa | {"use": "sig", "alg": "RS512"},
        rsa | {"key_ops": ["encrypt"]},
        _ec_key().as_dict(private=False) | {"kid": kid, "use": "sig", "alg": "ES256"},
    ]
    return _with_keys(response, lambda keys: [*decoys, *keys])


@fault("jwks-ambiguous-kid", "jwks")
def _jwks_ambiguous_kid(response: Response, scene: Scene) -> Response:
    """Two keys of one ``kid`` could both have signed."""
    twin = _other_rsa_key().as_dict(private=False) | {"kid": scene.keys.current.kid}
    return _with_keys(response, lambda keys: [*keys, twin])


@fault("jwks-private-key", "jwks")
def _jwks_private_key(response: Response, scene: Scene) -> Response:
    """The tenant publishes its private key, which everybody can sign with now."""
    return _with_keys(response, lambda keys: [scene.keys.current.as_dict(private=True)])


@fault("jwks-short-key", "jwks")
def _jwks_short_key(response: Response, scene: Scene) -> Response:
    """The one key has 1024 bits, which is too few."""
    return _with_keys(response, lambda keys: [keys[0] | {"n": _short_modulus()}])


@fault("kid-absent-single-jwks", "jwks")
def _kid_absent_single_jwks(response: Response, scene: Scene) -> Response:
    return _with_keys(response, lambda keys: keys[:1])


@fault("kid-absent-multiple-jwks", "jwks")
def _kid_absent_multiple_jwks(response: Response, scene: Scene) -> Response:
    other = _other_rsa_key().as_dict(private=False) | {"kid": "another", "alg": "RS256"}
    return _with_keys(response, lambda keys: [*keys, other])


def _with_keys(response: Response, edit: Callable[[Keys], list[Any]]) -> Response:
    return edited(response, lambda members: {"keys": edit(members["keys"])})


@cache
def _other_rsa_key() -> RSAKey:
    return RSAKey.generate_key(2048)


@cache
def _ec_key() -> ECKey:
    return ECKey.generate_key("P-256")


@cache
def _short_modulus() -> str:
    modulus = generate_private_key(65537, 1024).public_key().public_numbers().n
    return base64url(modulus.to_bytes(128, "big"))
