"""When the keys change."""

from __future__ import annotations

from typing import Any

from flask import Response

from .catalogue import Scene, fault
from .spoiling import edited

Claims = dict[str, Any]


@fault("signing-key-rotation", "id_token_claims")
def _signing_key_rotation(claims: Claims, scene: Scene) -> Claims:
    """Each ID token is signed with a new key, and the ones before are gone; to be accepted."""
    scene.keys.rotate()
    return claims


@fault("signing-key-rotation", "jwks")
def _only_the_newest(response: Response, scene: Scene) -> Response:
    return edited(response, lambda members: {"keys": members["keys"][:1]})


@fault("signing-key-rotation-just-before-signing", "id_token_claims")
def _signing_key_rotation_just_before_signing(claims: Claims, scene: Scene) -> Claims:
    """Each ID token is signed with a new key, beside the ones before; to be accepted."""
    scene.keys.rotate()
    return claims
