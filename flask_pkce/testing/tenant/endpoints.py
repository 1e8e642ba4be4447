"""What applications call: tokens, pushed requests, revocation, userinfo, metadata, keys."""

from __future__ import annotations

import json
from typing import Any

from flask import Response, request

from .client_assertions import ALGORITHMS
from .id_tokens import RESPONSE_MODES
from .models import PRIVATE_KEY_JWT
from .provider import Provider
from .pushed import LIFETIME, keep_pushed
from .server import TenantServer

#: Fields of which a request has one at most, or the header (:rfc:`6749#section-2.3`).
_CREDENTIALS = ("client_secret", "client_assertion")


class Endpoints:
    """The endpoints that answer with JSON."""

    def __init__(self, provider: Provider, server: TenantServer) -> None:
        self._provider = provider
        self._server = server

    def token(self) -> Response:
        """Exchange a code or a refresh token.

        :rfc:`6749#section-3.2`
        """
        refused: Response | None = self._provider.spoil("token_request", None)
        if refused is not None:
            return refused
        malformed = self._malformed()
        if malformed is not None:
            return malformed
        return self._provider.spoil("token_response", self._server.answer_token_request())

    def push(self) -> Response:
        """Take an authorization request, which its client vouches for.

        :rfc:`9126#section-2`
        """
        refused: Response | None = self._provider.spoil("par_request", None)
        refused = self._malformed() if refused is None else refused
        refused = self._server.refuse_pushed_request() if refused is None else refused
        if refused is not None:
            return refused
        credentials = {"client_secret", "client_assertion", "client_assertion_type"}
        asked = {name: value for name, value in request.form.items() if name not in credentials}
        members = {"request_uri": keep_pushed(self._provider, asked), "expires_in": LIFETIME}
        response = _json(members)
        response.status_code = 201
        return self._provider.spoil("par_response", response)

    def revoke(self) -> Response:
        """End a refresh token and all that came of the same sign-in.

        :rfc:`7009#section-2`
        """
        refused: Response | None = self._provider.spoil("revocation_request", None)
        refused = self._malformed() if refused is None else refused
        return self._server.answer_revocation_request() if refused is None else refused

    def userinfo(self) -> Response:
        """Tell about the user of an access token.

        OpenID Connect Core 5.3
        """
        scheme, _, value = request.headers.get("Authorization", "").partition(" ")
        memory = self._provider.memory
        token = memory.access_tokens.get(value) if scheme.lower() == "bearer" else None
        if token is None or memory.is_revoked(token.grant):
            return _error(401, "invalid_token", "Unauthorized")
        if "openid" not in token.scope.split():
            return _error(403, "insufficient_scope", "The scope openid is needed")
        claims = self._provider.token_claims(token.grant.user, token.scope)
        return _json(self._provider.spoil("userinfo", claims))

    def metadata(self) -> Response:
        """The discovery document.

        OpenID Connect Discovery 3; :rfc:`8414#section-2`
        """
        issuer = self._provider.issuer
        members: dict[str, Any] = {
            "issuer": issuer,
            "authorization_endpoint": f"{issuer}authorize",
            "token_endpoint": f"{issuer}oauth/token",
            "revocation_endpoint": f"{issuer}oauth/revoke",
            "userinfo_endpoint": f"{issuer}userinfo",
            "end_session_endpoint": f"{issuer}oidc/logout",
            "jwks_uri": f"{issuer}.well-known/jwks.json",
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "response_types_supported": ["code"],
            "response_modes_supported": list(RESPONSE_MODES),
            "grant_types_supported": ["authorization_code", "refresh_token"],
            "code_challenge_methods_supported": ["S256"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "token_endpoint_auth_methods_supported": [
                "client_secret_basic",
                "client_secret_post",
                PRIVATE_KEY_JWT,
                "none",
            ],
            "token_endpoint_auth_signing_alg_values_supported": list(ALGORITHMS),
            "pushed_authorization_request_endpoint": f"{issuer}oauth/par",
            "require_pushed_authorization_requests": self._provider.requires_par,
            "authorization_response_iss_parameter_supported": self._provider.sends_iss,
        }
        return self._provider.spoil("metadata", _json(members))

    def keys(self) -> Response:
        """The keys that ID tokens are verified with.

        :rfc:`7517#section-5`
        """
        return self._provider.spoil("jwks", _json(self._provider.keys.public_set()))

    def _malformed(self) -> Response | None:
        # Authlib reads the query as if it were the body, and the first of two values.
        if request.args or any(len(values) > 1 for _, values in request.form.lists()):
            return _error(400, "invalid_request", "Parameters belong in the body, each once")
        given = [name for name in _CREDENTIALS if name in request.form]
        if len(given) + ("Authorization" in request.headers) > 1:
            return _error(400, "invalid_request", "A client authenticates in one way (2.3)")
        return None


def _json(members: dict[str, Any]) -> Response:
    return Response(json.dumps(members), mimetype="application/json")


def _error(status: int, error: str, description: str) -> Response:
    response = _json({"error": error, "error_description": description})
    response.status_code = status
    if status == 401:
        response.headers["WWW-Authenticate"] = f'Bearer error="{error}"'
    return response
