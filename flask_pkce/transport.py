"""Bounded HTTP to the tenant: a deadline for the whole call, caps, no redirects, no environment.

Calls go through :meth:`requests.Session.send`, so that requests-mock and responses intercept them.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import ssl
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache, partial
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import urlencode, urlsplit

import requests
import urllib3
import urllib3.connection
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from urllib3.util.response import assert_header_parsing

from .errors import TenantBusy, TenantError, TenantSilent, TenantUnreachable
from .strict_json import StrictJSONError, loads_object

#: Bytes of an answer's body.
MAX_BODY = 1024 * 1024
#: Seconds in which a connection must stand.
CONNECT_TIMEOUT = 3.0
#: Seconds after which a connection that nobody used carries no further request: the tenant may be
#: closing it at that moment, and a code is not sent a second time.
MAX_IDLE = 4.0

#: Calls of one process that may be under way: a tenant that is silent holds no more threads.
MAX_CALLS = 32

_CHUNK = 64 * 1024
_MAX_DEPTH = 32
_POOL_SIZE = 64


@dataclass(frozen=True)
class HTTPAnswer:
    """What the tenant answered, read whole."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)

    def json(self) -> dict[str, Any]:
        """The JSON object in the body.

        :raises TenantError: if it is something else; nothing of it is quoted.
        """
        media_type = self.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if media_type != "application/json" and not media_type.endswith("+json"):
            raise TenantError(f"The tenant answered {self.status} with something other than JSON.")
        try:
            return loads_object(self.body, max_depth=_MAX_DEPTH)
        except StrictJSONError as exc:
            raise TenantError(f"The tenant's JSON is unusable: {exc}.") from None


class Transport:
    """One pooled ``requests`` session for one application.

    :param timeout: seconds that a whole call may take.
    :param proxies: proxies by scheme; those of the environment are not used.
    :param ca_bundle: a file or folder of certificate authorities in place of certifi's.
    :param max_calls: how many calls may be under way at once.
    :param clock: monotonic seconds.
    """

    def __init__(
        self,
        *,
        timeout: float,
        proxies: Mapping[str, str] | None = None,
        ca_bundle: str | None = None,
        max_calls: int = MAX_CALLS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.timeout = timeout
        self.session = requests.Session()
        #: Neither ``.netrc`` (it overrides Authorization) nor proxies or CA bundles that the
        #: operator did not set.
        self.session.trust_env = False
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
        for scheme in ("https://", "http://"):
            self.session.mount(scheme, _Adapter(clock, pool_maxsize=_POOL_SIZE))
        self._proxies = dict(proxies or {})
        self._verify = ca_bundle or True
        self._free = threading.BoundedSemaphore(max_calls)
        #: The few addresses are those of the tenant's metadata.
        self._prepared = lru_cache(maxsize=16)(self._prepare)

    def get(self, url: str) -> HTTPAnswer:
        """Fetch a document.  See :meth:`_send` for what is raised."""
        return self._send(self._prepared("GET", url).copy())

    def post(self, url: str, form: Mapping[str, str]) -> HTTPAnswer:
        """Post a form, once.  See :meth:`_send` for what is raised."""
        request = self._prepared("POST", url).copy()
        body = urlencode(form)
        request.body = body
        request.headers["Content-Length"] = str(len(body))
        return self._send(request)

    def visit(self, url: str) -> HTTPAnswer:
        """Open a page as a new browser does; a redirect is an answer then, and not followed."""
        return self._send(self._prepare("GET", url, "text/html"), may_redirect=True)

    def _prepare(
        self, method: str, url: str, accept: str = "application/json"
    ) -> requests.PreparedRequest:
        """A request without a body, from which all to this address are copied.

        Preparing one costs more than sending it.
        """
        headers = {
            "Accept": accept,
            # What is not compressed cannot grow when it is read.
            "Accept-Encoding": "identity",
        }
        if method == "POST":
            headers["Content-Type"] = "application/x-www-form-urlencoded"
        return self.session.prepare_request(requests.Request(method, url, headers=headers))

    def _send(self, request: requests.PreparedRequest, may_redirect: bool = False) -> HTTPAnswer:
        """Send a request and read its answer; an error knows which host was called.

        :param may_redirect: whether a redirect is an answer.

        :raises TenantUnreachable: if the request surely did not reach the tenant;
            :class:`~flask_pkce.errors.TenantBusy` if it was not tried.
        :raises TenantSilent: if it may have, and no whole answer came in time.
        :raises TenantError: if the answer is a redirect, encoded, or too large.
        """
        try:
            answer = self._exchange(request)
            if 300 <= answer.status < 400 and not may_redirect:
                raise TenantError("The tenant answered with a redirect, which is not followed.")
        except TenantError as exc:
            exc.host = urlsplit(request.url or "").netloc
            raise
        return answer

    def _exchange(self, request: requests.PreparedRequest) -> HTTPAnswer:
        if not self._free.acquire(blocking=False):
            raise TenantBusy()
        try:
            response = self.session.send(
                request,
                allow_redirects=False,
                stream=True,
                timeout=urllib3.Timeout(  # type: ignore[arg-type]
                    total=self.timeout, connect=CONNECT_TIMEOUT
                ),
                verify=self._verify,
                proxies=self._proxies,
            )
            try:
                body = _read(response)
            finally:
                response.close()
        except requests.RequestException as exc:
            raise _classify(exc) from exc
        except (urllib3.exceptions.HTTPError, OSError) as exc:
            raise TenantSilent() from exc
        finally:
            self._free.release()
        return HTTPAnswer(response.status_code, response.headers, body)


def _read(response: requests.Response) -> bytes:
    if response.headers.get("Content-Encoding", "identity").lower() not in {"", "identity"}:
        raise TenantError("The tenant's answer is compressed, which was not asked for.")
    body = bytearray()
    while chunk := response.raw.read(_CHUNK):
        body += chunk
        if len(body) > MAX_BODY:
            raise TenantError("The tenant's answer is too large.")
    return bytes(body)


# -- the deadline: a socket's timeout starts anew with every byte, ours does not ---


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until the time is over that it had at the beginning."""

    def __init__(self, raw: io.RawIOBase, sock: socket.socket) -> None:
        self._raw = raw
        self._sock = sock
        timeout = sock.gettimeout()
        self._deadline = None if timeout is None else time.monotonic() + timeout

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        if self._deadline is not None:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("the deadline is over")
            self._sock.settimeout(left)
        return self._raw.readinto(buffer)

    def close(self) -> None:
        self._raw.close()
        super().close()


class _DeadlineResponse(http.client.HTTPResponse):
    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        raw = self.fp.detach()
        self.fp = io.BufferedReader(_DeadlineReader(raw, sock))

    def begin(self) -> None:
        super().begin()
        try:
            assert_header_parsing(self.msg)
        except urllib3.exceptions.HeaderParsingError:
            # urllib3 would log the lines, which may repeat what was sent.
            raise TenantError("The tenant's answer has a malformed header.") from None


class _Connecting(urllib3.connection.HTTPConnection):
    """Connects within its timeout, however many addresses a name has."""

    #: When it was last used, in monotonic seconds.
    used_at = math.inf

    def _new_conn(self) -> socket.socket:
        host, timeout = self._dns_host, self.timeout
        try:
            found = socket.getaddrinfo(host, self.port, type=socket.SOCK_STREAM)
        except socket.gaierror:
            # urllib3 says it in its own words.
            return super()._new_conn()
        deadline = time.monotonic() + (CONNECT_TIMEOUT if timeout is None else timeout)
        failure: Exception | None = None
        try:
            for address in dict.fromkeys(str(info[4][0]) for info in found):
                left = deadline - time.monotonic()
                if failure is not None and left <= 0:
                    break
                self._dns_host, self.timeout = address, max(left, 0.001)
                try:
                    return super()._new_conn()
                except (
                    urllib3.exceptions.NewConnectionError,
                    urllib3.exceptions.ConnectTimeoutError,
                ) as exc:
                    failure = exc
        finally:
            self._dns_host, self.timeout = host, timeout
        raise failure or urllib3.exceptions.NewConnectionError(self, "the name has no address")


class _HTTPConnection(_Connecting):
    response_class = _DeadlineResponse


class _HTTPSConnection(_Connecting, urllib3.connection.HTTPSConnection):
    response_class = _DeadlineResponse


class _Pool(urllib3.HTTPConnectionPool):
    """Sends nothing on a connection that idled for too long: it connects again."""

    def __init__(self, *args: Any, clock: Callable[[], float], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clock = clock

    def _get_conn(self, timeout: float | None = None) -> Any:
        connection: Any = super()._get_conn(timeout)
        if self._clock() - connection.used_at > MAX_IDLE:
            connection.close()
        return connection

    def _put_conn(self, conn: Any) -> None:
        if conn is not None:
            conn.used_at = self._clock()
        super()._put_conn(conn)


class _HTTPPool(_Pool):
    ConnectionCls = _HTTPConnection  # pyright: ignore[reportAssignmentType]


class _HTTPSPool(_Pool, urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection  # pyright: ignore[reportAssignmentType]


class _Adapter(HTTPAdapter):
    """The usual adapter, on connections that keep to a deadline and are not stale.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float], **options: Any) -> None:
        self._clock = clock
        super().__init__(**options)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._use_our_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return self._use_our_pools(super().proxy_manager_for(*args, **kwargs))

    def _use_our_pools(self, manager: Any) -> Any:
        manager.pool_classes_by_scheme = {
            "http": partial(_HTTPPool, clock=self._clock),
            "https": partial(_HTTPSPool, clock=self._clock),
        }
        return manager


_NOT_SENT = (
    urllib3.exceptions.NewConnectionError,
    urllib3.exceptions.ConnectTimeoutError,
    urllib3.exceptions.NameResolutionError,
    urllib3.exceptions.ProxyError,
)


def _classify(exc: requests.RequestException) -> TenantError:
    """Whether a request that failed was surely not sent."""
    if isinstance(exc, requests.exceptions.ProxyError):
        error = TenantUnreachable()
        error.setting = "PKCE_PROXIES"
        return error
    reason = exc.args[0] if exc.args else None
    reason = getattr(reason, "reason", reason)
    if isinstance(reason, urllib3.exceptions.SSLError) and isinstance(
        reason.args[0], ssl.SSLCertVerificationError
    ):
        return TenantUnreachable("The tenant's certificate cannot be trusted.")
    was_not_sent = isinstance(exc, requests.ConnectTimeout) or isinstance(reason, _NOT_SENT)
    return TenantUnreachable() if was_not_sent else TenantSilent()
