"""What the userinfo and the revocation endpoint answer, and that for pushed requests."""

from __future__ import annotations

import json
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


@fault("par-503", "par_request")
def _par_503(nothing: None, scene: Scene) -> Response:
    """No authorization request can be pushed at the moment."""
    return Response("Service Unavailable", 503, mimetype="text/plain")


@fault("par-413", "par_request")
def _par_413(nothing: None, scene: Scene) -> Response:
    """The authorization request that is pushed is too large."""
    return Response("Payload Too Large", 413, mimetype="text/plain")


@fault("par-refused", "par_request")
def _par_refused(nothing: None, scene: Scene) -> Response:
    """The authorization request that is pushed is refused."""
    body = {"error": "invalid_request", "error_description": "The parameter x is not allowed"}
    return Response(json.dumps(body), 400, mimetype="application/json")


@fault("par-no-request-uri", "par_response")
def _par_no_request_uri(response: Response, scene: Scene) -> Response:
    """The answer to a pushed request has no ``request_uri``."""
    return _changed(response, request_uri=None)


@fault("par-expires-in-zero", "par_response")
def _par_expires_in_zero(response: Response, scene: Scene) -> Response:
    """A pushed request is over at once."""
    return _changed(response, expires_in=0)


def _changed(response: Response, **changes: object) -> Response:
    response.set_data(json.dumps({**json.loads(response.get_data()), **changes}))
    return response
