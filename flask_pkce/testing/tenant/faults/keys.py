"""What the key set holds."""

from __future__ import annotations

from flask import Response

from .catalogue import Scene, fault
from .spoiling import edited


@fault("jwks-down", "jwks")
def _jwks_down(response: Response, scene: Scene) -> Response:
    """The keys cannot be had."""
    return Response("Internal Server Error", 500, mimetype="text/plain")


@fault("jwks-garbage-key", "jwks")
def _jwks_garbage_key(response: Response, scene: Scene) -> Response:
    """One key of the set, the first, is malformed."""
    garbage = {"kty": "RSA", "kid": "garbage", "use": "sig", "alg": "RS256", "n": "!", "e": 65537}
    return edited(response, lambda members: {"keys": [garbage, *members["keys"]]})
