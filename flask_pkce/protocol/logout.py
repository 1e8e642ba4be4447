"""Logout addresses and logout tokens.

OpenID Connect RP-Initiated Logout 1.0, OpenID Connect Back-Channel Logout 1.0
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from ..errors import IDTokenInvalid, LogoutTokenInvalid
from .authorization import MAX_URL_LENGTH
from .claims import further_audiences, has_audience, numeric_date
from .id_token import UnknownKey, VerificationKey, open_jwt
from .metadata import TenantMetadata
from .pkce import decode_base64url
from .strict_json import loads_object
from .text import is_printable_ascii
from .urls import origin_of, parse_address

_EVENT = "http://schemas.openid.net/event/backchannel-logout"
#: Auth0 writes ``JWT``; an ID token, which may too, has no ``events``.
_TYPES = frozenset({"logout+jwt", "application/logout+jwt", "jwt", "application/jwt"})
#: Seconds that a logout token may be old when it arrives, however long it is valid.
MAX_AGE = 600


def build_logout_url(
    tenant: TenantMetadata, *, return_to: str, id_token: str | None = None, sid: str | None = None
) -> str:
    """The address at which the browser ends its session at the tenant.

    :param return_to: where the tenant sends it then; registered there, to the letter.
    :param id_token: of the sign-in that ends; the tenant asks the user where it is missing.
    :param sid: what names the session where the ID token would make the address too long.

    OpenID Connect RP-Initiated Logout 2.  Where the tenant has no such endpoint, Auth0's own.
    """
    if tenant.end_session_endpoint is None:
        query = urlencode({"client_id": tenant.client_id, "returnTo": return_to})
        return f"{origin_of(parse_address(tenant.issuer))}/v2/logout?{query}"
    parameters = {"client_id": tenant.client_id, "post_logout_redirect_uri": return_to}
    hints = (("id_token_hint", id_token), ("logout_hint", sid))
    for name, value in hints:
        if value is not None and len(value) < MAX_URL_LENGTH // 2:
            parameters[name] = value
            break
    separator = "&" if "?" in tenant.end_session_endpoint else "?"
    return f"{tenant.end_session_endpoint}{separator}{urlencode(parameters)}"


@dataclass(frozen=True, kw_only=True)
class LogoutToken:
    """A logout token that was verified: who is signed out, or which session."""

    issuer: str
    subject: str | None
    sid: str | None
    #: Unique among the logout tokens of the issuer.
    jti: str = field(repr=False)
    #: Unix seconds.
    expires_at: float


def verify_logout_token(
    token: str,
    tenant: TenantMetadata,
    *,
    keys: Iterable[VerificationKey],
    leeway: int,
    now: float,
) -> LogoutToken:
    """Verify a logout token; the caller checks whether it came before.

    It must be at most :data:`MAX_AGE` seconds old; it may be valid for longer.

    :param leeway: seconds by which our clock and the tenant's may differ.
    :param now: Unix seconds.
    :raises UnknownKey: if no key of the set fits; fetching the set again may help.
    :raises LogoutTokenInvalid: for anything else.

    OpenID Connect Back-Channel Logout 2.6
    """
    try:
        _, claims = open_jwt(token, keys=keys, algorithms=tenant.algorithms, types=_TYPES)
    except UnknownKey:
        raise
    except IDTokenInvalid:
        raise LogoutTokenInvalid("The logout token is not signed as it must be.") from None
    _check_claims(claims, tenant)
    expires_at = _check_times(claims, leeway=leeway, now=now)
    subject, sid = (_text(claims, name) for name in ("sub", "sid"))
    if subject is None and sid is None:
        raise LogoutTokenInvalid("The logout token names neither a user nor a session.")
    jti = _text(claims, "jti")
    if jti is None:
        raise _wrong("jti")
    return LogoutToken(
        issuer=tenant.issuer, subject=subject, sid=sid, jti=jti, expires_at=expires_at
    )


def read_origin(token: str) -> tuple[str, frozenset[str]]:
    """Whom a logout token claims to be of, and for: nothing is verified yet.

    :return: the issuer, and the client ids.
    :raises LogoutTokenInvalid: if it cannot be read.
    """
    try:
        claims = loads_object(decode_base64url(token.split(".")[1]), max_depth=32)
    except (IndexError, ValueError):
        raise LogoutTokenInvalid("The logout token is not signed as it must be.") from None
    audience = claims.get("aud")
    audiences = audience if isinstance(audience, list) else [audience]
    return str(claims.get("iss")), frozenset(each for each in audiences if isinstance(each, str))


def _wrong(claim: str) -> LogoutTokenInvalid:
    return LogoutTokenInvalid(f"The logout token has a wrong or missing claim: {claim}.")


def _check_claims(claims: Mapping[str, Any], tenant: TenantMetadata) -> None:
    if claims.get("iss") != tenant.issuer:
        raise _wrong("iss")
    # As in an ID token (Back-Channel Logout 2.6), but for `azp`, which no logout token has.
    trusted = tenant.registration.trusted_audiences
    further = further_audiences(claims, tenant.client_id)
    if not has_audience(claims, tenant.client_id) or not all(each in trusted for each in further):
        raise _wrong("aud")
    events = claims.get("events")
    if not isinstance(events, dict) or not isinstance(events.get(_EVENT), dict):
        raise _wrong("events")
    if "nonce" in claims:
        raise LogoutTokenInvalid("The logout token has a nonce, as ID tokens have.")


def _check_times(claims: Mapping[str, Any], *, leeway: int, now: float) -> float:
    """Check ``iat`` and ``exp``, and return the latter."""
    times = {}
    for name in ("iat", "exp"):
        time = numeric_date(claims.get(name))
        if time is None:
            raise _wrong(name)
        times[name] = time
    if not now - MAX_AGE - leeway <= times["iat"] <= now + leeway:
        raise _wrong("iat")
    if times["exp"] <= now - leeway:
        raise _wrong("exp")
    return times["exp"]


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is None:
        return None
    if not isinstance(value, str) or not is_printable_ascii(value, 512):
        raise _wrong(name)
    return value
