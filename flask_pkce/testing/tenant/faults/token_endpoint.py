"""What the token endpoint answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response

from .catalogue import Scene, fault
from .spoiling import all_vschar, edited, refusal, without

Members = dict[str, Any]


def _enter(name: str, summary: str, change: Callable[[Members], Members]) -> None:
    """Enter a fault that changes some members of a response with tokens."""

    @fault(name, "token_response", summary)
    def spoil(response: Response, scene: Scene) -> Response:
        return edited(response, lambda members: members | change(members))


def _enter_missing(name: str, member: str, summary: str) -> None:
    """Enter a fault that leaves a member out."""

    @fault(name, "token_response", summary)
    def spoil(response: Response, scene: Scene) -> Response:
        return edited(response, lambda members: without(members, member))


def _enter_refusal(
    name: str, summary: str, status: int, error: str, description: str, **further: object
) -> None:
    """Enter a fault that refuses the request, and uses nothing up."""

    @fault(name, "token_request", summary)
    def spoil(nothing: None, scene: Scene) -> Response:
        return refusal(status, error, description, **further)


def _enter_limit(name: str, summary: str, headers: Callable[[Scene], dict[str, str]]) -> None:
    """Enter a fault that asks to slow down, with these headers."""

    @fault(name, "token_request", summary)
    def spoil(nothing: None, scene: Scene) -> Response:
        limited = refusal(429, "too_many_requests", "Global limit has been reached")
        limited.headers.update(headers(scene))
        return limited


# -- it refuses --------------------------------------------------------------


@fault("token-500", "token_request")
def _token_500(nothing: None, scene: Scene) -> Response:
    """The token endpoint fails."""
    return Response("Internal Server Error", 500, mimetype="text/plain")


@fault("token-redirect-307", "token_request")
def _token_redirect_307(nothing: None, scene: Scene) -> Response:
    """The token endpoint redirects; who follows repeats code and secret to ``/elsewhere``."""
    return Response("", 307, {"Location": f"{scene.issuer}elsewhere"})


_enter_refusal(
    "token-invalid-grant",
    "The tenant refuses the code or refresh token.",
    *(403, "invalid_grant", "Invalid authorization code"),
)
_enter_refusal(
    "token-invalid-client",
    "The tenant refuses the client's credentials.",
    *(401, "invalid_client", "Unauthorized"),
)
_enter_refusal(
    "token-unauthorized-client",
    "The tenant does not allow this client that grant.",
    *(403, "unauthorized_client", "Grant type not allowed for the client."),
)
_enter_refusal(
    "token-mfa-required",
    "The tenant wants a second factor, and gives a credential for that.",
    *(403, "mfa_required", "Multifactor authentication required"),
    mfa_token="Fe26.2*mfa-token",
)
_enter_refusal(
    "token-error-unknown",
    "The tenant refuses, with an error that nobody knows.",
    *(400, "vendor_error", "Something of the vendor's own"),
)
_enter_refusal(
    "token-error-with-markup",
    "The tenant refuses, with an error that is no error code.",
    *(400, '<script>alert("error")</script>', "<b>error</b>"),
)

# -- it asks to slow down ----------------------------------------------------

_enter_limit(
    "token-429",
    "The tenant asks to slow down, in Auth0's way: with a time, and no Retry-After.",
    lambda scene: {
        "x-ratelimit-limit": "10",
        "x-ratelimit-remaining": "0",
        "x-ratelimit-reset": str(scene.now + 7),
    },
)
_enter_limit(
    "token-429-reset-past",
    "The tenant asks to slow down until a time that is over.",
    lambda scene: {"x-ratelimit-reset": str(scene.now - 7)},
)
_enter_limit(
    "token-429-reset-milliseconds",
    "The tenant asks to slow down until a time in milliseconds.",
    lambda scene: {"x-ratelimit-reset": f"{scene.now + 7}000"},
)
_enter_limit(
    "token-429-reset-garbage",
    "The tenant asks to slow down until a time that is none.",
    lambda scene: {"x-ratelimit-reset": "soon"},
)
_enter_limit(
    "token-429-retry-after",
    "The tenant asks to slow down for some seconds.",
    lambda scene: {"Retry-After": "7"},
)
_enter_limit(
    "token-429-retry-after-date",
    "The tenant asks to slow down until a date.",
    lambda scene: {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"},
)
_enter_limit(
    "token-429-bare",
    "The tenant asks to slow down, and does not say until when.",
    lambda scene: {},
)

# -- its tokens --------------------------------------------------------------

_enter_missing(
    "no-id-token",
    "id_token",
    "The token response has no ID token, though ``openid`` was granted.",
)
_enter("token-id-token-number", "The ID token is a number.", lambda members: {"id_token": 5})
_enter("token-id-token-empty", "The ID token is empty.", lambda members: {"id_token": ""})
_enter_missing(
    "token-access-token-missing", "access_token", "The token response has no access token."
)
_enter(
    "token-access-token-empty", "The access token is empty.", lambda members: {"access_token": ""}
)
_enter(
    "token-access-token-number",
    "The access token is a number.",
    lambda members: {"access_token": 5},
)
_enter(
    "token-access-token-control",
    "The access token has a line feed in it.",
    lambda members: {"access_token": "a\nb"},
)
_enter(
    "token-access-token-oversized",
    "The access token is longer than 64 KiB.",
    lambda members: {"access_token": "a" * 65537},
)
_enter(
    "token-refresh-token-list",
    "The refresh token is a list.",
    lambda members: {"refresh_token": ["a"]},
)


@fault("token-vschar", "opaque_token")
def _token_vschar(token: str, scene: Scene) -> str:
    """Tokens have blanks and other characters that forms encode; to be accepted."""
    return all_vschar(token)


# -- what it says of them ----------------------------------------------------

_enter_missing("token-type-missing", "token_type", "The token response has no ``token_type``.")
_enter(
    "token-type-mac",
    "The access token is of a type that nobody knows.",
    lambda members: {"token_type": "mac"},
)
_enter(
    "token-type-dpop",
    "The access token is bound to a key, though none was sent.",
    lambda members: {"token_type": "DPoP"},
)
_enter("token-type-number", "The ``token_type`` is a number.", lambda members: {"token_type": 5})
_enter(
    "token-type-case-insensitivity",
    "The ``token_type`` is ``bEARER``; to be accepted.",
    lambda members: {"token_type": "bEARER"},
)
_enter(
    "token-expires-in-negative",
    "The access token expired before it was issued.",
    lambda members: {"expires_in": -1},
)
_enter("token-expires-in-true", "``expires_in`` is true.", lambda members: {"expires_in": True})
_enter("token-expires-in-text", "``expires_in`` is a word.", lambda members: {"expires_in": "abc"})
_enter("token-expires-in-huge", "``expires_in`` is 1e30.", lambda members: {"expires_in": 1e30})
_enter(
    "token-expires-in-null",
    "``expires_in`` is null; to be taken for absent.",
    lambda members: {"expires_in": None},
)
_enter(
    "token-expires-in-digits",
    "``expires_in`` is a number in text; to be accepted.",
    lambda members: {"expires_in": "3600"},
)
_enter_missing(
    "token-endpoint-response-without-expires_in",
    "expires_in",
    "The token response does not tell when the access token expires; to be accepted.",
)
_enter_missing(
    "no-scope-in-token-endpoint-response",
    "scope",
    "The token response does not tell the scope; to be taken for the one asked for.",
)
_enter("token-scope-number", "The scope is a number.", lambda members: {"scope": 5})
_enter(
    "token-unknown-members",
    "The token response has members that nobody knows; to be ignored.",
    lambda members: {"not_before_policy": 0, "session_state": {"a": [None]}},
)
