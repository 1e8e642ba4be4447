"""What the userinfo endpoint answers."""

from __future__ import annotations

from typing import Any

from .catalogue import Scene, fault

Claims = dict[str, Any]


@fault("userinfo-invalid-sub", "userinfo")
def _userinfo_invalid_sub(claims: Claims, scene: Scene) -> Claims:
    """The userinfo endpoint tells about somebody else."""
    return claims | {"sub": "auth0|mallory"}
