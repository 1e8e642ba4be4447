"""Who is calling: a browser with our cookie, a caller of the local session, or nobody yet."""

from __future__ import annotations

import logging
from dataclasses import dataclass

from flask import Request

from ..engine import Engine
from ..errors import CookieForged, CookieMissing, FlowError, SessionMismatch
from ..protocol.addresses import is_loopback_host
from ..records import Held
from ..session import Session
from ..sign_in import Owner
from .cookies import read_cookies
from .site import Site

_logger = logging.getLogger("flask_pkce.callers")

_FORWARDING = ("Forwarded", "X-Real-IP", "Via")
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True)
class Caller:
    """Who is calling."""

    owner: Owner
    #: Whether a cookie of ours came along, good or not.
    has_cookie: bool
    #: Whether none of those that came was signed with our key.
    is_forged: bool

    @property
    def known_session(self) -> Held[Session]:
        """The session, where there must be one.

        :raises CookieForged: if its cookie was not signed with our key.
        :raises FlowError: if its session is over, or was cleared: it is not revived.
        :raises SessionMismatch: if the pointer was renewed since.
        :raises CookieMissing: if there was no cookie.
        """
        if self.owner.session is not None:
            return self.owner.session
        if self.is_forged:
            raise CookieForged()
        if self.owner.gone is not None:
            raise FlowError("The session of this sign-in is over, or was cleared.")
        raise SessionMismatch() if self.has_cookie else CookieMissing()


def identify(request: Request, engine: Engine, site: Site) -> Caller:
    """Tell who is calling."""
    name = site.cookie_name(request)
    values = read_cookies(request, name)
    has_cookie = name in request.cookies
    if not has_cookie and engine.settings.local_session and _is_local_program(request):
        return Caller(Owner(engine.sessions.load_local(), is_local=True), False, False)
    session, gone = None, None
    forged = 0
    for value in values:
        try:
            pointer = engine.signing.read_pointer(value)
        except CookieForged as exc:
            forged += 1
            _logger.warning("%s: %s", exc.code, exc.hint)
            continue
        held = engine.sessions.load(pointer)
        session = session or held
        if held is None and engine.sessions.is_gone(pointer):
            gone = pointer.session_id
    is_forged = bool(values) and forged == len(values)
    return Caller(Owner(session, gone=gone), has_cookie, is_forged)


def local_owner(request: Request, engine: Engine) -> Owner | None:
    """The local session, where this request may finish its flows: any browser on loopback."""
    if not engine.settings.local_session or not _is_on_loopback(request):
        return None
    return Owner(engine.sessions.load_local(), is_local=True)


def _is_local_program(request: Request) -> bool:
    return "Sec-Fetch-Site" not in request.headers and _is_on_loopback(request)


def _is_on_loopback(request: Request) -> bool:
    """Whether the peer is on this machine, and no proxy is between."""
    if any(name in request.headers for name in _FORWARDING):
        return False
    if any(name.lower().startswith("x-forwarded-") for name, _ in request.headers):
        return False
    # ProxyFix keeps what the socket said.
    original = request.environ.get("werkzeug.proxy_fix.orig", request.environ)
    peer = original.get("REMOTE_ADDR") or ""
    host = request.environ.get("HTTP_HOST", "").lower()
    name = host if host.endswith("]") else host.rpartition(":")[0] or host
    return is_loopback_host(peer) and peer != "localhost" and name in _LOCAL_NAMES
