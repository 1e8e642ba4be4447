"""What a local tenant is made of: its clients, its users, and what it saw."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

PRIVATE_KEY_JWT = "private_key_jwt"

_LOOPBACK = re.compile(r"(http://(?:localhost|127\.0\.0\.1|\[::1\])):[0-9]{1,5}(/.*)")


@dataclass(frozen=True)
class TenantClient:
    """An application that is registered at the tenant.

    :param client_id: its identifier.
    :param client_secret: its secret; without one it is a public client.
    :param redirect_uris: where the browser may be sent with an answer, compared byte for byte.
    :param post_logout_redirect_uris: where the browser may be sent after signing out.
    :param is_native: whether addresses on a loopback host that are registered without a port are
        good with every port (RFC 8252 7.3).
    :param auth_method: the one method by which it authenticates, as OpenID Connect calls it; by
        default ``private_key_jwt`` where it has keys, and where it has a secret that in the form
        or in a header.
    :param jwks: its public keys, each as a JWK.
    """

    client_id: str
    client_secret: str | None = field(default=None, repr=False)
    redirect_uris: tuple[str, ...] = ()
    post_logout_redirect_uris: tuple[str, ...] = ()
    is_native: bool = False
    auth_method: str | None = None
    jwks: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)

    @property
    def method(self) -> str | None:
        """How it authenticates; None for either way of giving a secret."""
        if self.auth_method is not None:
            return self.auth_method
        if self.jwks:
            return PRIVATE_KEY_JWT
        return "none" if self.client_secret is None else None

    def may_redirect_to(self, redirect_uri: str) -> bool:
        """Whether an answer may be sent there."""
        return self._is_among(redirect_uri, self.redirect_uris)

    def may_leave_to(self, uri: str) -> bool:
        """Whether somebody who signed out may be sent there."""
        return self._is_among(uri, self.post_logout_redirect_uris)

    def _is_among(self, uri: str, registered: tuple[str, ...]) -> bool:
        if uri in registered:
            return True
        loopback = _LOOPBACK.fullmatch(uri) if self.is_native else None
        return loopback is not None and "".join(loopback.groups()) in registered


@dataclass(frozen=True)
class TenantUser:
    """Somebody who can sign in at the tenant.

    :param sub: the subject, unique at this tenant.
    :param email: what is typed to sign in, in any case.
    :param password: shown on the sign-in page, for it protects nothing.
    :param name: the full name.
    :param claims: further claims of the ID token and of the userinfo endpoint.
    """

    sub: str
    email: str
    password: str = field(repr=False)
    name: str = ""
    email_verified: bool = True
    claims: tuple[tuple[str, object], ...] = ()


@dataclass(frozen=True)
class RecordedRequest:
    """A request that the tenant received, without any value.

    :param fields: the names of the form fields, sorted.
    :param query: the names of the query parameters, sorted.
    """

    method: str
    path: str
    fields: tuple[str, ...] = ()
    query: tuple[str, ...] = ()


@dataclass(frozen=True)
class AuthorizationAnswer:
    """Where the tenant sends the browser at the end of a sign-in.

    :param url: the redirect URI, without the answer's parameters.
    :param params: the parameters of the authorization response.
    :param method: ``POST`` for ``response_mode=form_post``, ``GET`` for ``query``.
    """

    url: str
    params: dict[str, str] = field(repr=False)
    method: Literal["GET", "POST"]


LOCAL_CLIENT = TenantClient("local-client")
ALICE = TenantUser("auth0|alice", "alice@example.com", "alice-password", "Alice Example")
BOB = TenantUser("auth0|bob", "bob@example.com", "bob-password", "Bob Example")
