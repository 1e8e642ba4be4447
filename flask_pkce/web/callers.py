"""Who is calling: a browser with our cookie, a caller of the local session, or nobody yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from flask import Request

from ..errors import (
    CookieAmbiguous,
    CookieForged,
    CookieOutdated,
    PKCEError,
    RecordUnreadable,
    SessionOver,
    SessionRenewed,
)
from ..log_events import COOKIE_UNUSABLE
from ..protocol.urls import is_loopback_host, read_host
from ..relying_party.authorize import SessionOwner
from ..relying_party.relying_party import RelyingParty
from ..sessions.flow import Status
from ..sessions.records import Stored
from ..sessions.session import Session
from .cookies import MAX_COOKIES, read_cookies
from .missing import missing_cookie
from .urls import PublicURLs

#: Seconds for which a request may be on its way with the cookie that another one renewed.
_RENEWAL_PERIOD = 10

_FORWARDING = (
    *("Forwarded", "X-Real-IP", "Via", "X-Client-IP", "X-Cluster-Client-IP"),
    *("CF-Connecting-IP", "True-Client-IP", "Fastly-Client-IP"),
)
_LOCAL_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})


@dataclass(frozen=True)
class Caller:
    """Who is calling."""

    owner: SessionOwner
    #: Whether a cookie of ours came along, good or not.
    has_cookie: bool
    #: Why no cookie came, where none did: looked into only when somebody asks.
    missing: Callable[[], PKCEError]
    #: Why its session cannot be used, where a cookie came and it cannot.
    fault: PKCEError | None = None
    #: The session whose cookie another request of this browser renewed a moment ago.  This one
    #: may end it, and nothing else.
    outrun_session: Stored[Session] | None = None

    @property
    def reason(self) -> PKCEError:
        """Why there is no session."""
        return self.fault or self.missing()

    @property
    def known_session(self) -> Stored[Session]:
        """The session, where there must be one.

        :raises PKCEError: why there is none: its cookie is missing, forged, ambiguous or was
            renewed, or the session is over, cleared or unreadable.
        """
        if self.owner.session is not None:
            return self.owner.session
        raise self.reason

    @property
    def owner_to_start(self) -> SessionOwner:
        """Who starts a flow, in a new session if there is none.

        :raises SessionRenewed: if this browser's cookie was renewed a moment ago: a new session
            would take the place of the one that is signed in.
        """
        if self.is_outrun:
            raise SessionRenewed()
        return self.owner

    @property
    def is_outrun(self) -> bool:
        """Whether another request of this browser renewed its cookie a moment ago."""
        return self.owner.session is None and self.outrun_session is not None


def identify(request: Request, relying_party: RelyingParty, site: PublicURLs) -> Caller:
    """Tell who is calling.

    :raises HostUnknown: if the request names a host that is not ours.
    """
    host = site.host(request)
    cookies = read_cookies(request, site.cookie_name(request))
    has_cookie = bool(cookies)
    missing = partial(missing_cookie, request, site)
    if not has_cookie and relying_party.settings.local_session and _is_local_program(request):
        return Caller(
            SessionOwner(relying_party.sessions.load_local(), is_local=True), False, missing
        )
    sessions: dict[str, Stored[Session]] = {}
    gone: str | None = None
    fault: PKCEError | None = None
    outrun: Stored[Session] | None = None
    for cookie in cookies if len(cookies) <= MAX_COOKIES else ():
        try:
            pointer = relying_party.signing.read_pointer(cookie.value)
            held = relying_party.sessions.at(pointer)
        except (CookieForged, RecordUnreadable) as exc:
            COOKIE_UNUSABLE.log(exc.hint, code=exc.code, error=exc.code)
            fault = fault or exc
            continue
        if held is None or held.value.host != host:
            gone = pointer.session_id
            fault = SessionOver()
        elif pointer.opens(held.value.secret_hash):
            sessions[held.key] = held
        elif _is_being_renewed(held, relying_party):
            fault, outrun = SessionRenewed(), held
        else:
            fault = fault or CookieOutdated()
    # Two cookies that open two sessions: somebody planted one, and who knows which.
    session = next(iter(sessions.values())) if len(sessions) == 1 else None
    if len(sessions) > 1 or (has_cookie and session is None and fault is None):
        fault = CookieAmbiguous()
    return Caller(SessionOwner(session, gone=gone, host=host), has_cookie, missing, fault, outrun)


def _is_being_renewed(held: Stored[Session], relying_party: RelyingParty) -> bool:
    """Whether the new cookie of a session may not have reached its browser yet.

    The response that carries it comes after the exchange of the code.  After that it may be on its
    way for some seconds.
    """
    # Not for an hour, where the clock was set back by that.
    if abs(relying_party.clock() - held.value.renewed_at) < _RENEWAL_PERIOD:
        return True
    return any(
        flow.value.status is Status.REDEEMING for flow in relying_party.sessions.flows(held)
    )


def local_owner(request: Request, relying_party: RelyingParty) -> SessionOwner | None:
    """The local session, where this request may finish its flows: any browser on loopback."""
    if not relying_party.settings.local_session or not _is_on_loopback(request):
        return None
    return SessionOwner(relying_party.sessions.load_local(), is_local=True)


def _is_local_program(request: Request) -> bool:
    return "Sec-Fetch-Site" not in request.headers and _is_on_loopback(request)


def _is_on_loopback(request: Request) -> bool:
    """Whether the peer is on this machine, and no proxy is between."""
    if any(name in request.headers for name in _FORWARDING):
        return False
    if any(name.lower().startswith("x-forwarded-") for name, _ in request.headers):
        return False
    # No browser and no published client speaks HTTP/1.0, but older releases of nginx do where
    # nothing is set; they add no header then, and call us by the name that they know us by.
    if request.environ.get("SERVER_PROTOCOL") == "HTTP/1.0":
        return False
    # ProxyFix keeps what the socket said.
    original = request.environ.get("werkzeug.proxy_fix.orig", request.environ)
    peer = original.get("REMOTE_ADDR") or ""
    host, _ = read_host(request.environ.get("HTTP_HOST", ""))
    return is_loopback_host(peer) and peer != "localhost" and host in _LOCAL_NAMES
