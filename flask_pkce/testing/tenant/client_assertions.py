"""Clients that sign an assertion, checked as strictly as Auth0 does.

:rfc:`7523#section-3`
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from authlib.oauth2.rfc6749 import InvalidClientError, OAuth2Request
from joserfc import jws, jwt
from joserfc.errors import JoseError
from joserfc.jwk import KeySet

from .models import PRIVATE_KEY_JWT
from .provider import Provider

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: Auth0 takes the first three.
ALGORITHMS = ("RS256", "RS384", "PS256", "ES256")
#: Bytes of an assertion, and characters of its ``iss``, ``sub`` and ``jti``.
MAX_LENGTH, MAX_CLAIM_LENGTH = 2048, 64
#: Seconds that an assertion may live, and that clocks may differ by.
MAX_LIFETIME, SKEW = 300, 10


class ClientAssertions:
    """The authentication method ``private_key_jwt``, as Authlib's server takes one up."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider

    def __call__(self, query_client: Callable[[str], Any], request: OAuth2Request) -> Any:
        """The client whose assertion came with a request; None if there is none."""
        form = request.form
        assertion = form.get("client_assertion", "")
        if form.get("client_assertion_type") != ASSERTION_TYPE or not assertion:
            return None
        if len(assertion) > MAX_LENGTH:
            raise InvalidClientError(description="The assertion is too long")
        client = self._provider.clients.get(form.get("client_id", ""))
        if client is None or client.method != PRIVATE_KEY_JWT:
            raise InvalidClientError(description="This client signs no assertions")
        keys = KeySet.import_key_set({"keys": [dict(key) for key in client.jwks]})
        registry = jws.JWSRegistry(algorithms=list(ALGORITHMS))
        try:
            token = jwt.decode(assertion, keys, registry=registry)
        except (JoseError, ValueError):
            raise InvalidClientError(description="The assertion does not verify") from None
        self._check(token.claims, client.client_id)
        return query_client(client.client_id)

    def _check(self, claims: dict[str, Any], client_id: str) -> None:
        now = self._provider.now
        jti, exp, iat = claims.get("jti"), claims.get("exp"), claims.get("iat", now)
        is_good = (
            claims.get("iss") == claims.get("sub") == client_id
            and len(client_id) <= MAX_CLAIM_LENGTH
            # A list could name another server, which could use the assertion here.
            and claims.get("aud") == self._provider.issuer
            and isinstance(jti, str)
            and 0 < len(jti) <= MAX_CLAIM_LENGTH
            and isinstance(exp, int)
            and now - SKEW < exp <= now + MAX_LIFETIME + SKEW
            and isinstance(iat, int)
            and iat <= now + SKEW
        )
        if not is_good:
            raise InvalidClientError(description="The assertion has a wrong claim")
        memory = self._provider.memory
        with memory.lock:
            if memory.assertions.get(f"{client_id} {jti}"):
                raise InvalidClientError(description="The assertion was used before")
            memory.assertions.put(f"{client_id} {jti}", True, MAX_LIFETIME + 2 * SKEW)
