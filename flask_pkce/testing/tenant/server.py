"""Authlib's authorization server, given the tenant's memory.

Authlib checks the requests, and above all the code verifier: it knows nothing of the library that
is tested against it.
"""

from __future__ import annotations

import secrets
from typing import Any, cast

from authlib.integrations.flask_oauth2 import AuthorizationServer
from authlib.integrations.flask_oauth2.requests import FlaskOAuth2Payload, FlaskOAuth2Request
from authlib.oauth2 import OAuth2Error, OAuth2Request
from authlib.oauth2.rfc6749 import (
    ClientMixin,
    InvalidClientError,
    InvalidRequestError,
    grants,
)
from authlib.oauth2.rfc7009 import RevocationEndpoint
from authlib.oauth2.rfc7636 import CodeChallenge
from flask import Flask, Response
from flask import request as flask_request
from werkzeug.datastructures import CombinedMultiDict

from ..organizations import organization_claims
from .client_assertions import ClientAssertions
from .id_tokens import IDTokens, sign
from .memory import AuthorizationCode, Grant, IssuedToken, TenantSession
from .models import PRIVATE_KEY_JWT, TenantClient
from .provider import Provider
from .pushed import asked

#: What Auth0 answers where RFC 6749 5.2 says 400.
AUTH0_STATUS = {"invalid_grant": 403, "invalid_client": 401}


class RegisteredClient(ClientMixin):
    """A client, with the methods that Authlib asks it."""

    def __init__(self, client: TenantClient) -> None:
        self._client = client
        self.client_id = client.client_id

    def get_allowed_scope(self, scope: Any) -> str:
        return scope or ""

    def check_redirect_uri(self, redirect_uri: str) -> bool:
        return self._client.may_redirect_to(redirect_uri)

    def check_client_secret(self, client_secret: str) -> bool:
        known = self._client.client_secret or ""
        return bool(known) and secrets.compare_digest(known.encode(), client_secret.encode())

    def check_endpoint_auth_method(self, method: str, endpoint: str) -> bool:
        known = self._client.method
        return method.startswith("client_secret_") if known is None else method == known

    def check_response_type(self, response_type: str) -> bool:
        return response_type == "code"

    def check_grant_type(self, grant_type: str) -> bool:
        return True


class S256Only(CodeChallenge):
    """A code challenge is demanded of every client, and ``plain`` is refused."""

    SUPPORTED_CODE_CHALLENGE_METHOD = ["S256"]

    def validate_code_challenge(self, grant: Any, redirect_uri: str) -> None:
        """Refuse a request that Authlib would take for one without PKCE, or for ``plain``."""
        data = grant.request.payload.data
        if not data.get("code_challenge") or not data.get("code_challenge_method"):
            raise InvalidRequestError("A code_challenge with method S256 is required")
        super().validate_code_challenge(grant, redirect_uri)


class CodeGrant(grants.AuthorizationCodeGrant):
    """The authorization code grant.

    :rfc:`6749#section-4.1`
    """

    TOKEN_ENDPOINT_AUTH_METHODS = [
        "none",
        "client_secret_post",
        "client_secret_basic",
        PRIVATE_KEY_JWT,
    ]
    server: TenantServer

    def generate_authorization_code(self) -> str:
        """Return a new code."""
        return self.server.provider.spoil("code", secrets.token_urlsafe(36))

    def save_authorization_code(self, code: str, request: OAuth2Request) -> None:
        provider = self.server.provider
        data = request.payload.data  # type: ignore[union-attr]
        grant: Grant = request.user  # type: ignore[assignment]
        record = AuthorizationCode(
            code=code,
            grant=grant,
            redirect_uri=data["redirect_uri"],
            code_challenge=data["code_challenge"],
            code_challenge_method=data["code_challenge_method"],
            nonce=data.get("nonce"),
            state=data.get("state"),
        )
        provider.memory.codes.put(code, record, provider.code_lifetime)

    def query_authorization_code(self, code: str, client: Any) -> AuthorizationCode | None:
        """Find a code; one that comes a second time ends what it was exchanged for.

        :rfc:`6749#section-4.1.2`
        """
        memory = self.server.provider.memory
        spent = memory.spent_codes.get(code)
        if spent:
            memory.revoke(spent)
        record = memory.codes.get(code)
        return record if record and record.grant.client_id == client.client_id else None

    def authenticate_user(self, authorization_code: AuthorizationCode) -> Grant:
        return authorization_code.grant

    def delete_authorization_code(self, authorization_code: AuthorizationCode) -> None:
        provider = self.server.provider
        code = authorization_code.code
        provider.memory.codes.take(code)
        provider.memory.spent_codes.put(code, authorization_code.grant, provider.session_lifetime)


class RotatingRefreshGrant(grants.RefreshTokenGrant):
    """Refresh tokens that are good once; a second use ends the whole family.

    :rfc:`9700#section-4.14.2`
    """

    TOKEN_ENDPOINT_AUTH_METHODS = CodeGrant.TOKEN_ENDPOINT_AUTH_METHODS
    INCLUDE_NEW_REFRESH_TOKEN = True
    server: TenantServer

    def authenticate_refresh_token(self, refresh_token: str) -> Any:
        memory = self.server.provider.memory
        spent = memory.spent_refresh_tokens.get(refresh_token)
        if spent:
            memory.revoke(spent)
        token = memory.refresh_tokens.get(refresh_token)
        return None if token is None or memory.is_revoked(token.grant) else token

    def authenticate_user(self, refresh_token: IssuedToken) -> Grant:
        return refresh_token.grant

    def revoke_old_credential(self, refresh_token: Any) -> None:
        provider = self.server.provider
        memory = provider.memory
        memory.refresh_tokens.take(refresh_token.value)
        memory.spent_refresh_tokens.put(
            refresh_token.value, refresh_token.grant, provider.session_lifetime
        )


class Revocation(RevocationEndpoint):
    """Ends the family of a refresh token, or of an access token.

    :rfc:`7009`
    """

    CLIENT_AUTH_METHODS = CodeGrant.TOKEN_ENDPOINT_AUTH_METHODS
    server: TenantServer

    def query_token(self, token_string: str, token_type_hint: str | None) -> IssuedToken | None:
        memory = self.server.provider.memory
        return memory.refresh_tokens.get(token_string) or memory.access_tokens.get(token_string)

    def revoke_token(self, token: IssuedToken, request: OAuth2Request) -> None:
        self.server.provider.memory.revoke(token.grant)


class AskedPayload(FlaskOAuth2Payload):
    """The parameters of a request, which may have been pushed before."""

    @property
    def data(self) -> Any:
        """Those of the authorization request, and of the form."""
        return CombinedMultiDict([asked(), flask_request.form])


class TenantServer(AuthorizationServer):
    """Authlib's server with the tenant's clients, tokens and statuses."""

    def __init__(self, app: Flask, provider: Provider) -> None:
        self.provider = provider
        super().__init__(app, self._find_client, self._save_token)
        self.register_token_generator("default", self._new_tokens)  # type: ignore[arg-type]
        id_tokens = IDTokens(provider)
        self.register_client_auth_method(PRIVATE_KEY_JWT, ClientAssertions(provider))
        self.register_grant(CodeGrant, [S256Only(), id_tokens])
        self.register_grant(RotatingRefreshGrant, [id_tokens])
        self.register_endpoint(Revocation)

    def consent_grant(self, session: TenantSession | None) -> CodeGrant:
        """Check the authorization request that is being handled.

        :param session: who is signed in at the tenant, if anybody.
        :raises OAuth2Error: what to answer.
        """
        grant: CodeGrant = self.get_consent_grant(end_user=session)  # type: ignore[no-untyped-call]
        return grant

    def create_oauth2_request(self, request: object) -> FlaskOAuth2Request:
        """What Authlib looks at in place of Flask's request."""
        made = FlaskOAuth2Request(flask_request)
        made.payload = AskedPayload(flask_request)
        return made

    def refuse_pushed_request(self) -> Response | None:
        """Check the request that is being pushed; the answer if it is refused.

        As at Auth0 only a confidential client may push one.

        :rfc:`9126#section-2.1`
        """
        pushed = self.create_oauth2_request(None)
        try:
            client: Any = self.authenticate_client(
                pushed, CodeGrant.TOKEN_ENDPOINT_AUTH_METHODS, "par"
            )
            if pushed.auth_method == "none":
                raise InvalidClientError(description="A public client cannot push requests")
            data = flask_request.form
            if data.get("client_id") != client.client_id or "request_uri" in data:
                raise InvalidRequestError("client_id is missing, or request_uri is given")
            grant: Any = self.get_authorization_grant(pushed)
            grant.validate_authorization_request()
        except OAuth2Error as error:
            # Nobody is sent anywhere.
            error.redirect_uri = None
            return self.handle_error_response(pushed, error)
        return None

    def answer_token_request(self) -> Response:
        """Answer the token request that is being handled."""
        with self.provider.memory.lock:
            response: Any = self.create_token_response()
        return cast(Response, response)

    def answer_revocation_request(self) -> Response:
        """Answer the revocation request that is being handled."""
        response: Response = self.create_endpoint_response("revocation")  # type: ignore[no-untyped-call]
        return response

    def handle_error_response(self, request: OAuth2Request, error: OAuth2Error) -> Response:
        """Answer an error with Auth0's status."""
        error.status_code = AUTH0_STATUS.get(str(error.error), error.status_code)
        response: Response = super().handle_error_response(request, error)  # type: ignore[assignment]
        return response

    def _find_client(self, client_id: str) -> RegisteredClient | None:
        client = self.provider.clients.get(client_id)
        return RegisteredClient(client) if client else None

    def _new_tokens(
        self, grant_type: str, user: Grant, scope: str, **unused: object
    ) -> dict[str, str | int]:
        provider = self.provider
        tokens: dict[str, str | int] = {
            "access_token": self._new_access_token(user, scope),
            "token_type": "Bearer",
            "expires_in": provider.access_token_lifetime,
            "scope": scope,
        }
        if "offline_access" in scope.split() or grant_type == "refresh_token":
            tokens["refresh_token"] = self._new_opaque_token()
        return tokens

    def _new_access_token(self, grant: Grant, scope: str) -> str:
        provider = self.provider
        if grant.audience is None:
            return self._new_opaque_token()
        claims: dict[str, Any] = {
            "iss": provider.issuer,
            "sub": grant.user.sub,
            "aud": [grant.audience, f"{provider.issuer}userinfo"],
            "azp": grant.client_id,
            "scope": scope,
            "iat": provider.now,
            "exp": provider.now + provider.access_token_lifetime,
            "jti": secrets.token_urlsafe(16),
        }
        return sign(provider, claims | organization_claims(grant.organization))

    def _new_opaque_token(self) -> str:
        return self.provider.spoil("opaque_token", secrets.token_urlsafe(32))

    def _save_token(self, token: dict[str, Any], request: OAuth2Request) -> None:
        provider = self.provider
        grant: Grant = request.user  # type: ignore[assignment]
        access_token = IssuedToken(token["access_token"], grant, token["scope"])
        provider.memory.access_tokens.put(
            access_token.value, access_token, provider.access_token_lifetime
        )
        if "refresh_token" in token:
            # A narrower scope is for this access token only (RFC 6749 6).
            refresh_token = IssuedToken(token["refresh_token"], grant, grant.scope)
            provider.memory.refresh_tokens.put(
                refresh_token.value, refresh_token, provider.session_lifetime
            )
