"""What a tenant can do wrong, each under the name of its conformance test.

A fault is a small function at a named stage of the tenant's work: it gets what is about to be
used there, and returns it spoilt.  The names are those of the OpenID Foundation's suite where it
has one.  Another fault is another function here.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, MutableSet
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar

from flask import Response
from requests import ConnectionError as RequestsConnectionError
from requests import PreparedRequest, ReadTimeout
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError

Stage = Literal[
    "id_token_claims",  # dict: the claims, before they are signed
    "id_token",  # str: the compact serialization
    "userinfo",  # dict: the claims
    "token_request",  # None: a response made here is sent and nothing is looked at
    "token_response",  # Response: after the code or refresh token was used up
    "metadata",  # Response
    "jwks",  # Response
    "authorization_response",  # dict: the parameters
    "connect",  # PreparedRequest: in process only, before the tenant has it
    "read",  # PreparedRequest: in process only, after the tenant acted on it
]

#: Named by faults that point elsewhere; no such host can exist (RFC 6761 6.5).
ATTACKER = "https://attacker.example/"


@dataclass(frozen=True)
class Scene:
    """What a fault may want to know: the issuer, and Unix seconds."""

    issuer: str
    now: int


@dataclass(frozen=True)
class Fault:
    """A fault: its name, its stage, and what it does there."""

    name: str
    stage: Stage
    spoil: Callable[[Any, Scene], Any]

    @property
    def summary(self) -> str:
        """What the tenant does wrong, in a sentence."""
        return (self.spoil.__doc__ or "").strip()


#: Every fault, by its name.
FAULTS: dict[str, Fault] = {}

F = TypeVar("F", bound=Callable[[Any, Scene], Any])
T = TypeVar("T")


def fault(name: str, stage: Stage) -> Callable[[F], F]:
    """Enter the decorated function in the catalogue."""

    def enter(function: F) -> F:
        FAULTS[name] = Fault(name, stage, function)
        return function

    return enter


class FaultSet(MutableSet[str]):
    """Names of faults; one that does not exist is refused, lest a test prove nothing."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        for name in names:
            self.add(name)

    def add(self, value: str) -> None:
        """Switch a fault on.

        :raises ValueError: if there is no such fault.
        """
        if value not in FAULTS:
            raise ValueError(f"no such fault: {value!r}; there are {', '.join(sorted(FAULTS))}")
        self._names.add(value)

    def discard(self, value: str) -> None:
        """Switch a fault off."""
        self._names.discard(value)

    def __contains__(self, value: object) -> bool:
        return value in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._names))

    def __len__(self) -> int:
        return len(self._names)

    def spoil(self, stage: Stage, value: T, scene: Scene) -> T:
        """Let the faults of a stage work on a value, in the order of the catalogue."""
        for entry in FAULTS.values():
            if entry.stage == stage and entry.name in self:
                value = entry.spoil(value, scene)
        return value


# -- ID token ----------------------------------------------------------------

Claims = dict[str, Any]


@fault("invalid-iss", "id_token_claims")
def _invalid_iss(claims: Claims, scene: Scene) -> Claims:
    """The ID token names another issuer."""
    return claims | {"iss": ATTACKER}


@fault("missing-sub", "id_token_claims")
def _missing_sub(claims: Claims, scene: Scene) -> Claims:
    """The ID token has no subject."""
    return _without(claims, "sub")


@fault("invalid-aud", "id_token_claims")
def _invalid_aud(claims: Claims, scene: Scene) -> Claims:
    """The ID token is meant for another client."""
    return claims | {"aud": "another-client"}


@fault("missing-iat", "id_token_claims")
def _missing_iat(claims: Claims, scene: Scene) -> Claims:
    """The ID token does not tell when it was issued."""
    return _without(claims, "iat")


@fault("nonce-invalid", "id_token_claims")
def _nonce_invalid(claims: Claims, scene: Scene) -> Claims:
    """The ID token has the nonce of another request."""
    return claims | {"nonce": "another-nonce"}


@fault("missing-nonce", "id_token_claims")
def _missing_nonce(claims: Claims, scene: Scene) -> Claims:
    """The ID token has no nonce, though one was sent."""
    return _without(claims, "nonce")


@fault("expired", "id_token_claims")
def _expired(claims: Claims, scene: Scene) -> Claims:
    """The ID token expired an hour ago."""
    return claims | {"iat": scene.now - 7200, "exp": scene.now - 3600}


@fault("invalid-athash", "id_token_claims")
def _invalid_athash(claims: Claims, scene: Scene) -> Claims:
    """The ID token belongs to another access token."""
    return claims | {"at_hash": "A" * 22}


@fault("invalid-sig-rs256", "id_token")
def _invalid_sig_rs256(id_token: str, scene: Scene) -> str:
    """The signature of the ID token is wrong in one bit."""
    signed, _, signature = id_token.rpartition(".")
    octets = bytearray(base64.urlsafe_b64decode(signature + "=="))
    octets[-1] ^= 1
    return f"{signed}.{_base64url(bytes(octets))}"


@fault("idtoken-sig-none", "id_token")
def _idtoken_sig_none(id_token: str, scene: Scene) -> str:
    """The ID token is not signed."""
    header = _base64url(b'{"alg":"none","typ":"JWT"}')
    return f"{header}.{id_token.split('.')[1]}."


# -- token endpoint ----------------------------------------------------------


@fault("no-id-token", "token_response")
def _no_id_token(response: Response, scene: Scene) -> Response:
    """The token response has no ID token, though ``openid`` was granted."""
    return _edited(response, lambda members: _without(members, "id_token"))


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
    limited = _refusal(429, "too_many_requests", "Global limit has been reached")
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
    return _refusal(403, "invalid_grant", "Invalid authorization code")


@fault("token-invalid-client", "token_request")
def _token_invalid_client(response: None, scene: Scene) -> Response:
    """The tenant refuses the client's credentials."""
    return _refusal(401, "invalid_client", "Unauthorized")


# -- userinfo endpoint -------------------------------------------------------


@fault("userinfo-invalid-sub", "userinfo")
def _userinfo_invalid_sub(claims: Claims, scene: Scene) -> Claims:
    """The userinfo endpoint tells about somebody else."""
    return claims | {"sub": "auth0|mallory"}


# -- metadata and keys -------------------------------------------------------


@fault("metadata-issuer-mismatch", "metadata")
def _metadata_issuer_mismatch(response: Response, scene: Scene) -> Response:
    """The metadata names another issuer."""
    return _edited(response, lambda members: members | {"issuer": ATTACKER})


@fault("metadata-foreign-token-endpoint", "metadata")
def _metadata_foreign_token_endpoint(response: Response, scene: Scene) -> Response:
    """The token endpoint lies on another host."""
    endpoint = f"{ATTACKER}oauth/token"
    return _edited(response, lambda members: members | {"token_endpoint": endpoint})


@fault("jwks-down", "jwks")
def _jwks_down(response: Response, scene: Scene) -> Response:
    """The keys cannot be had."""
    return Response("Internal Server Error", 500, mimetype="text/plain")


@fault("jwks-garbage-key", "jwks")
def _jwks_garbage_key(response: Response, scene: Scene) -> Response:
    """One key of the set, the first, is malformed."""
    garbage = {"kty": "RSA", "kid": "garbage", "use": "sig", "alg": "RS256", "n": "!", "e": 65537}
    return _edited(response, lambda members: {"keys": [garbage, *members["keys"]]})


# -- authorization response --------------------------------------------------


@fault("iss-response-wrong", "authorization_response")
def _iss_response_wrong(params: dict[str, str], scene: Scene) -> dict[str, str]:
    """The authorization response names another issuer."""
    return params | {"iss": ATTACKER}


# -- transport, in process only ----------------------------------------------


@fault("unreachable", "connect")
def _unreachable(request: PreparedRequest, scene: Scene) -> NoReturn:
    """Nobody listens: the request surely did not arrive."""
    pool = HTTPConnectionPool("tenant.example")
    reason = NewConnectionError(HTTPConnection("tenant.example"), "connection refused")
    raise RequestsConnectionError(MaxRetryError(pool, str(request.url), reason), request=request)


@fault("silent", "read")
def _silent(request: PreparedRequest, scene: Scene) -> NoReturn:
    """The tenant acted on the request, and its answer never came."""
    pool = HTTPConnectionPool("tenant.example")
    reason = ReadTimeoutError(pool, str(request.url), "Read timed out.")
    raise ReadTimeout(reason, request=request)


# -- helpers -----------------------------------------------------------------


def _without(members: dict[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in members.items() if key != name}


def _edited(response: Response, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
    """The response with other members, unless it is an error."""
    if response.status_code == 200:
        response.set_data(json.dumps(edit(json.loads(response.get_data()))))
    return response


def _refusal(status: int, error: str, description: str) -> Response:
    body = json.dumps({"error": error, "error_description": description})
    return Response(body, status, mimetype="application/json")


def _base64url(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
