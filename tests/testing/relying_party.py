"""An application of a few lines, to test the local tenant with: none of ours is in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import requests
from joserfc import jwt
from joserfc.jwk import KeySet

from flask_pkce.testing import LocalTenant

# RFC 7636 Appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

CALLBACK = "http://localhost:3000/callback"


class RelyingParty:
    """Asks the tenant as an application does, with parameters that a test may change."""

    def __init__(self, tenant: LocalTenant, session: requests.Session) -> None:
        self.tenant = tenant
        self.session = session

    def url(self, **changes: str | None) -> str:
        """An authorization URL; ``None`` leaves a parameter out."""
        params = {
            "response_type": "code",
            "client_id": "local-client",
            "redirect_uri": CALLBACK,
            "scope": "openid profile email offline_access",
            "state": "the state",
            "nonce": "the-nonce",
            "code_challenge": CHALLENGE,
            "code_challenge_method": "S256",
            "response_mode": "form_post",
        }
        return f"{self.tenant.issuer}authorize?{urlencode(_changed(params, changes))}"

    def code(self, **changes: str | None) -> str:
        """Sign in as the first user, and give the code."""
        return self.tenant.sign_in(self.url(**changes)).params["code"]

    def exchange(self, code: str, **changes: str | None) -> requests.Response:
        """Send a token request with a code."""
        fields = {
            "grant_type": "authorization_code",
            "client_id": "local-client",
            "code": code,
            "code_verifier": VERIFIER,
            "redirect_uri": CALLBACK,
        }
        return self.post("oauth/token", _changed(fields, changes))

    def tokens(self, **changes: str | None) -> dict[str, Any]:
        """Sign in and exchange the code."""
        response = self.exchange(self.code(**changes))
        assert response.status_code == 200, response.text
        members: dict[str, Any] = response.json()
        return members

    def refresh(self, refresh_token: str, **changes: str | None) -> requests.Response:
        """Send a token request with a refresh token."""
        fields = {
            "grant_type": "refresh_token",
            "client_id": "local-client",
            "refresh_token": refresh_token,
        }
        return self.post("oauth/token", _changed(fields, changes))

    def userinfo(self, access_token: str) -> requests.Response:
        """Ask who the user is."""
        return self.get("userinfo", headers={"Authorization": f"Bearer {access_token}"})

    def claims(self, token: str) -> dict[str, Any]:
        """The claims of a token whose signature verifies with the published keys."""
        keys = KeySet.import_key_set(self.get(".well-known/jwks.json").json())
        return dict(jwt.decode(token, keys, ["RS256"]).claims)

    def get(self, path: str, **kwargs: Any) -> requests.Response:
        """Get a path of the tenant."""
        return self.session.get(
            self.tenant.issuer + path, allow_redirects=False, timeout=10, **kwargs
        )

    def post(self, path: str, fields: Mapping[str, str], **kwargs: Any) -> requests.Response:
        """Send a form to a path of the tenant."""
        return self.session.post(
            self.tenant.issuer + path, fields, allow_redirects=False, timeout=10, **kwargs
        )


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


def _changed(values: dict[str, str], changes: Mapping[str, str | None]) -> dict[str, str]:
    return {name: value for name, value in {**values, **changes}.items() if value is not None}
