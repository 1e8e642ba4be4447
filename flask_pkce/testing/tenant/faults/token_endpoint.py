"""What the token endpoint answers."""

from __future__ import annotations

from flask import Response

from .catalogue import Scene, fault
from .spoiling import edited, refusal, without


@fault("no-id-token", "token_response")
def _no_id_token(response: Response, scene: Scene) -> Response:
    """The token response has no ID token, though ``openid`` was granted."""
    return edited(response, lambda members: without(members, "id_token"))


@fault("token-html", "token_response")
def _token_html(response: Response, scene: Scene) -> Response:
    """The token endpoint answers with a page and 200, as a captive portal would."""
    return Response("<!doctype html><title>Welcome</title>", mimetype="text/html")


@fault("token-not-json", "token_response")
def _token_not_json(response: Response, scene: Scene) -> Response:
    """The token response says it is JSON, and is cut off."""
    return Response('{"access_token": "', mimetype="application/json")


@fault("token-500", "token_request")
def _token_500(response: None, scene: Scene) -> Response:
    """The token endpoint fails."""
    return Response("Internal Server Error", 500, mimetype="text/plain")


@fault("token-429", "token_request")
def _token_429(response: None, scene: Scene) -> Response:
    """The tenant asks to slow down, in Auth0's way: with a time, and no Retry-After."""
    limited = refusal(429, "too_many_requests", "Global limit has been reached")
    limited.headers["x-ratelimit-limit"] = "10"
    limited.headers["x-ratelimit-remaining"] = "0"
    limited.headers["x-ratelimit-reset"] = str(scene.now + 7)
    return limited


@fault("token-redirect-307", "token_request")
def _token_redirect_307(response: None, scene: Scene) -> Response:
    """The token endpoint redirects; who follows repeats code and secret to ``/elsewhere``."""
    return Response("", 307, {"Location": f"{scene.issuer}elsewhere"})


@fault("token-invalid-grant", "token_request")
def _token_invalid_grant(response: None, scene: Scene) -> Response:
    """The tenant refuses the code or refresh token."""
    return refusal(403, "invalid_grant", "Invalid authorization code")


@fault("token-invalid-client", "token_request")
def _token_invalid_client(response: None, scene: Scene) -> Response:
    """The tenant refuses the client's credentials."""
    return refusal(401, "invalid_client", "Unauthorized")
