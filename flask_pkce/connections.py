"""The adapter below ``requests``: one request on one connection, within one deadline.

urllib3 makes the connections, through proxies and with TLS, and keeps those that are free.  What a
single call needs besides is done here: urllib3's and requests' ways through retries, redirects,
cookies and the parser of mail cost more than all the rest of a sign-in.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any
from urllib.parse import urlsplit

import requests
import urllib3
import urllib3.connection
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.utils import select_proxy

from .http_answers import Answer, receive, set_timeout

#: Seconds in which a connection must stand.
CONNECT_TIMEOUT = 3.0
#: Seconds after which a connection that nobody used carries no further request: the tenant may be
#: closing it at that moment, and a code is not sent a second time.
MAX_IDLE = 4.0

_POOL_SIZE = 64
#: Addresses whose pools are known, and pools that urllib3 keeps: one that it dropped would be
#: closed to those who know it.
_KNOWN_WAYS, _POOLS = 16, 1024


class NotConnected(OSError):
    """No connection came about, so nothing was sent."""


# -- connections -----------------------------------------------------------------


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


class _HTTPSConnection(_Connecting, urllib3.connection.HTTPSConnection):
    """The same over TLS."""


class _Pool(urllib3.HTTPConnectionPool):
    """Sends nothing on a connection that idled for too long: it connects again."""

    ConnectionCls = _Connecting  # pyright: ignore[reportAssignmentType]

    def __init__(self, *args: Any, clock: Callable[[], float], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._clock = clock

    def take(self) -> Any:
        """A connection that is free, or a new one that does not stand yet."""
        connection: Any = self._get_conn()
        if self._clock() - connection.used_at > MAX_IDLE:
            connection.close()
        return connection

    def give_back(self, connection: Any) -> None:
        """Keep a connection for the next request."""
        connection.used_at = self._clock()
        self._put_conn(connection)


class _HTTPSPool(_Pool, urllib3.HTTPSConnectionPool):
    ConnectionCls = _HTTPSConnection  # pyright: ignore[reportAssignmentType]


@dataclass(frozen=True)
class _Way:
    """How requests to one address go."""

    pool: _Pool
    #: Whether a proxy has to make a tunnel first.
    needs_tunnel: bool
    #: What begins every request: its line, and the headers that are the way's own.
    head: str

    def urlopen(
        self,
        *,
        body: str | None,
        headers: Mapping[str, str],
        timeout: urllib3.Timeout,
        **_: Any,
    ) -> tuple[Answer, bytes]:
        """Send a request, once, and read its answer; called as that of urllib3 is.

        :raises NotConnected: if it was surely not sent.
        :raises urllib3.exceptions.HTTPError: for a certificate that cannot be trusted, and for an
            answer that is none.
        :raises OSError: if anything else went wrong.
        """
        seconds = timeout.read_timeout
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        message = f"{self.head}{fields}\r\n{body or ''}".encode("latin-1")
        connection: Any = self.pool.take()
        is_kept = False
        try:
            sock = connection.sock or self._connect(connection, seconds)
            set_timeout(sock, deadline)
            sock.sendall(message)
            answer, content = receive(sock, deadline)
            is_kept = answer.isclosed() and not answer.will_close
        except http.client.HTTPException as exc:
            raise urllib3.exceptions.ProtocolError(exc) from exc
        finally:
            if not is_kept:
                connection.close()
            self.pool.give_back(connection)
        return answer, content

    def _connect(self, connection: Any, seconds: float | None) -> Any:
        """Connect, to the tenant or through a proxy, and give the socket."""
        connection.timeout = min(CONNECT_TIMEOUT, math.inf if seconds is None else seconds)
        try:
            if self.needs_tunnel:
                self.pool._prepare_proxy(connection)
            else:
                connection.connect()
        except ssl.SSLCertVerificationError as exc:
            raise urllib3.exceptions.SSLError(exc) from exc
        except (
            OSError,
            ValueError,
            http.client.HTTPException,
            urllib3.exceptions.HTTPError,
        ) as exc:
            raise NotConnected(exc) from exc
        return connection.sock


# -- the adapter -----------------------------------------------------------------


class Adapter(HTTPAdapter):
    """Sends a request whose body is text, and reads its answer up to its largest size.

    What is replaced lies below ``HTTPAdapter.send``, which the library `responses` intercepts.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._way = lru_cache(maxsize=_KNOWN_WAYS)(self._find_way)
        super().__init__(pool_connections=_POOLS, pool_maxsize=_POOL_SIZE)

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """The way of a request, looked for once."""
        proxy = select_proxy(request.url or "", proxies) if proxies else None
        return self._way(request.method, request.url, verify, proxy)

    def _find_way(self, method: str, url: str, verify: bool | str, proxy: str | None) -> _Way:
        parts = urlsplit(url)
        proxies = {parts.scheme: proxy} if proxy is not None else {}
        request = requests.PreparedRequest()
        request.method, request.url = method, url
        pool: Any = super().get_connection_with_tls_context(request, verify, proxies=proxies)
        super().cert_verify(pool, url, verify, None)  # type: ignore[no-untyped-call]
        needs_tunnel = pool.proxy is not None and parts.scheme == "https"
        headers = {"Host": parts.netloc, **({} if needs_tunnel else pool.proxy_headers or {})}
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        line = f"{method} {super().request_url(request, proxies)} HTTP/1.1\r\n"
        return _Way(pool, needs_tunnel, line + fields)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: that is part of the way."""

    def request_url(self, request: Any, proxies: Any) -> str:
        """Nothing, as well."""
        return ""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """The response, of which the body is read; `responses` brings one of urllib3's own."""
        if not isinstance(resp, tuple):
            return super().build_response(req, resp)
        answer, body = resp
        response = requests.Response()
        response.status_code = answer.status
        response.headers = answer.fields
        response.raw = io.BytesIO(body)
        response.url = req.url or ""
        response.request = req
        return response

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self._use_our_pools(self.poolmanager)

    def proxy_manager_for(self, *args: Any, **kwargs: Any) -> Any:
        return self._use_our_pools(super().proxy_manager_for(*args, **kwargs))

    def _use_our_pools(self, manager: Any) -> Any:
        manager.pool_classes_by_scheme = {
            "http": partial(_Pool, clock=self._clock),
            "https": partial(_HTTPSPool, clock=self._clock),
        }
        return manager
