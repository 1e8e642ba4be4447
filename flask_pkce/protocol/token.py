"""Token request, token response and revocation.

:rfc:`6749#section-4.1.3`, :rfc:`6749#section-5`, :rfc:`6749#section-6`, :rfc:`7009`
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import quote_plus

from ..errors import (
    ClientRefused,
    GrantRefused,
    PKCEError,
    ScopeInvalid,
    TenantError,
    TenantLimit,
)
from .authorization import AuthorizationResponse, refusal
from .client_auth import Credentials
from .text import is_error_code, is_printable_ascii, is_scope_token, is_visible_ascii, one_line

#: What is secret in a form that is sent to the token endpoint.
_SECRET_MEMBERS = (
    "code",
    "code_verifier",
    "client_secret",
    "client_assertion",
    "refresh_token",
    "state",
    "nonce",
    "invitation",
)

AUTHORIZATION_CODE = "authorization_code"
REFRESH_TOKEN = "refresh_token"

#: Characters of an access or refresh token.
MAX_TOKEN_LENGTH = 64 * 1024
#: Characters of an ID token; Auth0 permits 100 kB of custom claims.
MAX_ID_TOKEN_LENGTH = 128 * 1024
#: Seconds that an access token may live: ten years.
MAX_EXPIRES_IN = 10 * 365 * 24 * 3600


@dataclass(frozen=True, kw_only=True)
class TokenRequest:
    """What is sent to the token endpoint, less our own credentials.

    :rfc:`6749#section-4.1.3`, :rfc:`6749#section-6`, :rfc:`7636#section-4.5`
    """

    grant_type: str
    code: str | None = field(default=None, repr=False)
    redirect_uri: str | None = None
    code_verifier: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    audience: str | None = None
    #: At a refresh: what is asked for in place of the scope of the sign-in.
    scope: tuple[str, ...] = ()
    #: Further parameters by name, from a hook.
    additional: Mapping[str, str] = field(default_factory=dict, repr=False)

    def replace(self, **changes: Any) -> Self:
        """A changed copy, for ``before_token`` hooks."""
        return dataclasses.replace(self, **changes)

    def parameters(self) -> dict[str, str]:
        """The parameters by name, without those that have no value."""
        named = {
            "grant_type": self.grant_type,
            "code": self.code,
            "redirect_uri": self.redirect_uri,
            "code_verifier": self.code_verifier,
            "refresh_token": self.refresh_token,
            "audience": self.audience,
            "scope": " ".join(self.scope),
        }
        return {name: value for name, value in {**self.additional, **named}.items() if value}


def build_code_request(
    response: AuthorizationResponse, *, redirect_uri: str, code_verifier: str
) -> TokenRequest:
    """Exchange the code of an authorization response that was validated.

    :rfc:`6749#section-4.1.3`
    """
    return TokenRequest(
        grant_type=AUTHORIZATION_CODE,
        code=response.code,
        redirect_uri=redirect_uri,
        code_verifier=code_verifier,
    )


def build_refresh_request(
    refresh_token: str, *, audience: str | None = None, scope: tuple[str, ...] = ()
) -> TokenRequest:
    """Ask for new tokens.

    :rfc:`6749#section-6`
    """
    return TokenRequest(
        grant_type=REFRESH_TOKEN, refresh_token=refresh_token, audience=audience, scope=scope
    )


def validate_changed_token_request(
    changed: TokenRequest | None, original: TokenRequest
) -> TokenRequest:
    """Check what a hook made of a token request.

    :param changed: what the hook returned; None leaves it as it is.
    :raises TypeError: if it is something else.
    :raises ValueError: if anything but ``audience`` and additional parameters was changed.
    """
    if changed is None:
        return original
    if not isinstance(changed, TokenRequest):
        # It may hold tokens, and error trackers show the variables of this frame.
        del changed
        raise TypeError("a before_token hook returns a TokenRequest or None")
    allowed = {"audience": original.audience, "additional": original.additional}
    if changed.replace(**allowed) != original:
        raise ValueError("a before_token hook changes `audience` and `additional` only")
    reserved = {field.name for field in dataclasses.fields(TokenRequest)}
    for name in changed.additional:
        if name in reserved or name.startswith("client_"):
            raise ValueError(f"a before_token hook must not add {name}")
    return changed


def build_token_form(request: TokenRequest, credentials: Credentials) -> dict[str, str]:
    """The form of a token request, with our credentials.

    :rfc:`6749#section-4.1.3`
    """
    return {**request.parameters(), **credentials.fields}


def build_revocation_form(refresh_token: str, credentials: Credentials) -> dict[str, str]:
    """The form that revokes a refresh token.  Auth0 revokes no access tokens.

    :rfc:`7009#section-2.1`
    """
    return {
        "token": refresh_token,
        "token_type_hint": "refresh_token",
        **credentials.fields,
    }


@dataclass(frozen=True, kw_only=True)
class Tokens:
    """What the token endpoint answered: well-formed, its ID token not verified yet."""

    access_token: str = field(repr=False)
    #: Seconds; None where the tenant does not say.
    expires_in: int | None
    #: The granted scope; the requested one where the tenant does not say.
    scope: tuple[str, ...]
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class TokenResponse:
    """Tokens whose ID token was verified."""

    access_token: str = field(repr=False)
    #: Seconds; None where the tenant does not say.
    expires_in: int | None
    scope: tuple[str, ...]
    refresh_token: str | None = field(default=None, repr=False)
    id_token: str | None = field(default=None, repr=False)
    #: The claims of the verified ID token; at a refresh without one, those of the sign-in.
    claims: Mapping[str, Any] = field(repr=False)

    def replace(self, **changes: Any) -> Self:
        """A changed copy, for ``after_token`` hooks."""
        return dataclasses.replace(self, **changes)


def validate_changed_token_response(
    changed: TokenResponse | None, original: TokenResponse
) -> TokenResponse:
    """Check what a hook made of a token response.

    :param changed: what the hook returned; None leaves it as it is.
    :raises TypeError: if it is something else.
    :raises ValueError: if it says that somebody else signed in.
    """
    if changed is None:
        return original
    if not isinstance(changed, TokenResponse):
        # It may hold tokens, and error trackers show the variables of this frame.
        del changed
        raise TypeError("an after_token hook returns a TokenResponse or None")
    for name in ("iss", "sub"):
        if changed.claims.get(name) != original.claims.get(name):
            raise ValueError(f"an after_token hook must not change the claim {name}")
    return changed


def parse_token_response(
    document: Mapping[str, Any], *, requested_scope: tuple[str, ...]
) -> Tokens:
    """Read a successful answer of the token endpoint.

    :param requested_scope: what was asked for, which is what a missing ``scope`` means.
    :raises TenantError: if a member is missing or of another kind than it must be.

    :rfc:`6749#section-5.1`
    """
    token_type = document.get("token_type")
    if not isinstance(token_type, str) or token_type.lower() != "bearer":
        raise TenantError("The token response has a token_type other than Bearer.")
    access_token = _token(document, "access_token", is_printable_ascii, MAX_TOKEN_LENGTH)
    if access_token is None:
        raise TenantError("The token response has no access_token.")
    return Tokens(
        access_token=access_token,
        expires_in=_expires_in(document.get("expires_in")),
        scope=_scope(document.get("scope"), requested_scope),
        refresh_token=_token(document, "refresh_token", is_printable_ascii, MAX_TOKEN_LENGTH),
        id_token=_token(document, "id_token", is_visible_ascii, MAX_ID_TOKEN_LENGTH),
    )


def read_refresh_token(document: Mapping[str, Any]) -> str | None:
    """Return the refresh token of a token response, whatever else is in it.

    :return: None if there is none, or it is not well-formed.
    """
    try:
        return _token(document, "refresh_token", is_printable_ascii, MAX_TOKEN_LENGTH)
    except TenantError:
        return None


def _token(
    document: Mapping[str, Any],
    name: str,
    is_usable: Callable[[str, int], bool],
    max_length: int,
) -> str | None:
    value = document.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not is_usable(value, max_length):
        raise TenantError(f"The token response has an unusable {name}.")
    return value


def _expires_in(value: Any) -> int | None:
    if value is None:
        return None
    is_in_digits = isinstance(value, str) and value.isascii() and value.isdigit()
    if (is_in_digits and len(value) < 12) or (isinstance(value, float) and value.is_integer()):
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= MAX_EXPIRES_IN:
        raise TenantError("The token response has an unusable expires_in.")
    return value


def _scope(value: Any, requested: tuple[str, ...]) -> tuple[str, ...]:
    if value is None:
        return requested
    if not isinstance(value, str) or len(value) > 8192:
        raise TenantError("The token response has an unusable scope.")
    scopes = tuple(value.split())
    if not all(is_scope_token(scope) for scope in scopes):
        raise TenantError("The token response has an unusable scope.")
    return scopes


def parse_token_error(
    document: Mapping[str, Any],
    *,
    status: int,
    sent: Mapping[str, str],
    secrets: Iterable[str] = (),
) -> PKCEError:
    """The error class of an unsuccessful answer of the token endpoint, or of one like it.

    Told by ``error``, never by status: Auth0 answers ``invalid_grant`` with 400, 401 and 403.
    An ``mfa_token`` is a credential and is dropped here.

    :param status: the HTTP status, 400 or above.
    :param sent: the form that was sent.  A description that repeats a secret of it is dropped.
    :param secrets: what was sent elsewhere, and is not repeated either.

    :rfc:`6749#section-5.2`
    """
    error = document.get("error")
    if not isinstance(error, str) or not is_error_code(error):
        return TenantError(f"The tenant answered {status} without an error code.")
    description = document.get("error_description")
    said = ""
    if isinstance(description, str) and not _repeats_secret(description, sent, secrets):
        said = one_line(description)
    if error == "invalid_grant":
        return GrantRefused()
    if error in {"invalid_client", "unauthorized_client"}:
        return ClientRefused(error=error)
    if error == "invalid_scope":
        return ScopeInvalid("The tenant does not grant this scope.")
    if error == "too_many_requests":
        return TenantLimit()
    if status >= 500 or error == "server_error":
        return TenantError(f"The tenant answered {status}.")
    return refusal(error, said)


def _repeats_secret(text: str, form: Mapping[str, str], others: Iterable[str]) -> bool:
    """Whether a text has a secret in it, spelled as it is or as forms spell it."""
    secrets = (value for name in _SECRET_MEMBERS if (value := form.get(name)))
    return any(secret in text or quote_plus(secret) in text for secret in (*secrets, *others))
