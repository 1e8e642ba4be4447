"""What an ID token says, signed well."""

from __future__ import annotations

from typing import Any

from .catalogue import ATTACKER, Scene, fault
from .spoiling import without

Claims = dict[str, Any]


@fault("invalid-iss", "id_token_claims")
def _invalid_iss(claims: Claims, scene: Scene) -> Claims:
    """The ID token names another issuer."""
    return claims | {"iss": ATTACKER}


@fault("missing-sub", "id_token_claims")
def _missing_sub(claims: Claims, scene: Scene) -> Claims:
    """The ID token has no subject."""
    return without(claims, "sub")


@fault("invalid-aud", "id_token_claims")
def _invalid_aud(claims: Claims, scene: Scene) -> Claims:
    """The ID token is meant for another client."""
    return claims | {"aud": "another-client"}


@fault("missing-iat", "id_token_claims")
def _missing_iat(claims: Claims, scene: Scene) -> Claims:
    """The ID token does not tell when it was issued."""
    return without(claims, "iat")


@fault("nonce-invalid", "id_token_claims")
def _nonce_invalid(claims: Claims, scene: Scene) -> Claims:
    """The ID token has the nonce of another request."""
    return claims | {"nonce": "another-nonce"}


@fault("missing-nonce", "id_token_claims")
def _missing_nonce(claims: Claims, scene: Scene) -> Claims:
    """The ID token has no nonce, though one was sent."""
    return without(claims, "nonce")


@fault("expired", "id_token_claims")
def _expired(claims: Claims, scene: Scene) -> Claims:
    """The ID token expired an hour ago."""
    return claims | {"iat": scene.now - 7200, "exp": scene.now - 3600}


@fault("invalid-athash", "id_token_claims")
def _invalid_athash(claims: Claims, scene: Scene) -> Claims:
    """The ID token belongs to another access token."""
    return claims | {"at_hash": "A" * 22}
