"""Why an answer of the tenant finds no flow, as far as the request alone tells it.

Nothing of this is trusted, and nothing depends on it but the words of an error.
"""

from __future__ import annotations

from flask import Request

from ..errors import (
    CookieLost,
    CookieMissing,
    CookieOfOtherPort,
    CookieOverHTTP,
    CookiesBlocked,
    FlowError,
    FlowGone,
    OpenedElsewhere,
    SessionOver,
    StoreNotShared,
    TicketSpent,
)
from ..relying_party.relying_party import RelyingParty
from ..stores import MemoryStore
from .cookies import cookie_names, is_session_cookie
from .guard import wants_html
from .urls import PublicURLs

#: What a store that is not shared looks like: something was kept, and is not there.
_LOSSES = (FlowGone, SessionOver, TicketSpent)


def missing_cookie(request: Request, site: PublicURLs) -> CookieMissing:
    """Why no cookie of ours came with a request."""
    names = cookie_names(request)
    if any(is_session_cookie(site.name, name) for name in names):
        return CookieOfOtherPort()
    if site.public_url is not None and site.is_secure(request) and _came_over_http(request):
        return CookieOverHTTP(site.public_url)
    if not wants_html(request):
        return CookieMissing()
    if request.headers.get("Sec-Fetch-Site") == "none":
        return OpenedElsewhere()
    return CookieLost() if names else CookiesBlocked()


def _came_over_http(request: Request) -> bool:
    """Whether a browser came over http, for all that it and a proxy say."""
    if "Sec-Fetch-Site" in request.headers:
        # Browsers send it over https, and to this machine itself, alone.
        return False
    told = request.headers.get("X-Forwarded-Proto")
    if told is not None:
        return told.partition(",")[0].strip().lower() == "http"
    # A proxy that says nothing of the scheme may have been reached over https.
    is_direct = not any(
        name in request.headers for name in ("X-Forwarded-For", "Forwarded", "Via")
    )
    return is_direct and request.scheme == "http" and wants_html(request)


def explain_loss(error: FlowError, request: Request, relying_party: RelyingParty) -> FlowError:
    """What is lost because each of several processes has a store of its own."""
    is_loss = type(error) in _LOSSES
    if (
        not is_loss
        or not request.is_multiprocess
        or not isinstance(relying_party.store, MemoryStore)
    ):
        return error
    return StoreNotShared()
