"""The cookie by which the tenant knows a browser, as Auth0 does for single sign-on."""

from __future__ import annotations

import secrets

from flask import Response, request

from .memory import TenantSession
from .models import TenantUser
from .provider import Provider


def current_session(provider: Provider) -> TenantSession | None:
    """The session of the browser that makes this request."""
    return provider.memory.sessions.get(request.cookies.get(_cookie_name(provider), ""))


def new_session(provider: Provider, user: TenantUser) -> TenantSession:
    """Begin a session, now; its browser gets the cookie with :func:`remember`."""
    session = TenantSession(secrets.token_urlsafe(24), user, provider.now)
    provider.memory.sessions.put(session.sid, session, provider.session_lifetime)
    return session


def remember(provider: Provider, session: TenantSession, response: Response) -> Response:
    """Hand the browser its cookie."""
    response.set_cookie(
        _cookie_name(provider),
        session.sid,
        httponly=True,
        samesite="Lax",
        secure=provider.issuer.startswith("https:"),
    )
    return response


def end_session(provider: Provider, response: Response) -> Response:
    """Sign the browser out of the tenant."""
    provider.memory.sessions.take(request.cookies.get(_cookie_name(provider), ""))
    response.delete_cookie(_cookie_name(provider))
    return response


def _cookie_name(provider: Provider) -> str:
    # Cookies do not know ports: two tenants on one machine would overwrite each other's.
    return f"tenant-{provider.domain.rpartition(':')[2]}"
