"""What the userinfo and the revocation endpoint answer."""

from __future__ import annotations

from typing import Any

from flask import Response

from .catalogue import Scene, fault


@fault("userinfo-invalid-sub", "userinfo")
def _userinfo_invalid_sub(claims: dict[str, Any], scene: Scene) -> dict[str, Any]:
    """The userinfo endpoint tells about somebody else."""
    return claims | {"sub": "auth0|mallory"}


@fault("revoke-503", "revocation_request")
def _revoke_503(nothing: None, scene: Scene) -> Response:
    """Nothing can be revoked at the moment."""
    return Response("Service Unavailable", 503, mimetype="text/plain")
