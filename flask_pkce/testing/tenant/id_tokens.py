"""ID tokens, and what else the tenant signs."""

from __future__ import annotations

from typing import Any

from authlib.oauth2 import OAuth2Request
from authlib.oauth2.rfc6749 import BaseGrant, InvalidRequestError
from authlib.oidc.core import OpenIDCode
from authlib.oidc.core.grants.util import validate_request_prompt
from authlib.oidc.core.util import create_half_hash
from joserfc import jwt

from ..organizations import organization_claims
from .memory import Grant
from .provider import Provider

RESPONSE_MODES = ("query", "form_post")


class IDTokens(OpenIDCode):
    """ID tokens, and what OpenID Connect adds to an authorization request."""

    def __init__(self, provider: Provider) -> None:
        super().__init__()
        self._provider = provider

    def __call__(self, grant: BaseGrant) -> None:
        grant.register_hook("after_create_token_response", self.add_id_token)
        grant.register_hook("after_validate_authorization_request_payload", self.validate_request)
        # Auth0 heeds ``prompt`` with or without ``openid``; Authlib only with it.
        grant.register_hook("after_validate_consent_request", validate_request_prompt)

    def add_id_token(self, grant: BaseGrant, response: Any) -> None:
        """Put an ID token into a token response, if ``openid`` was granted."""
        self.process_token(grant, response)

    def validate_request(self, grant: BaseGrant, redirect_uri: str) -> None:
        """Check what Authlib does not.

        OpenID Connect Core 3.1.2.1
        """
        data = grant.request.payload.data  # type: ignore[union-attr]
        if data.get("response_mode", "query") not in RESPONSE_MODES:
            raise InvalidRequestError("Unsupported response_mode")
        if not data.get("max_age", "0").isdecimal():
            raise InvalidRequestError("max_age must be a number of seconds")
        if data.get("invitation") and not data.get("organization"):
            raise InvalidRequestError("An invitation needs an organization")

    def encode_id_token(self, token: dict[str, Any], request: OAuth2Request) -> str:
        """Build and sign an ID token.

        OpenID Connect Core 2 and 3.1.3.6
        """
        provider = self._provider
        grant: Grant = request.user  # type: ignore[assignment]
        half_hash = create_half_hash(token["access_token"], "RS256") or b""
        claims = provider.token_claims(grant.user, token["scope"]) | {
            "iss": provider.issuer,
            "aud": grant.client_id,
            "iat": provider.now,
            "exp": provider.now + provider.id_token_lifetime,
            "auth_time": grant.auth_time,
            "sid": grant.sid,
            "at_hash": half_hash.decode(),
        }
        code = request.authorization_code
        if code and code.nonce:
            claims["nonce"] = code.nonce
        claims |= organization_claims(grant.organization)
        claims = provider.spoil("id_token_claims", claims, code, grant.client_id)
        return provider.spoil("id_token", sign(provider, claims), code, grant.client_id)


def sign(provider: Provider, claims: dict[str, Any]) -> str:
    """Sign claims with the tenant's current key."""
    key = provider.keys.current
    header = {"alg": "RS256", "typ": "JWT", "kid": key.kid}
    return jwt.encode(header, claims, key)
