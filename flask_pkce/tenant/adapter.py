"""The adapter below ``requests``: routes, idle connections, and the TLS context of all of them."""

from __future__ import annotations

import http.client
import io
import math
import os
import ssl
import time
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from threading import Lock
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import requests
import urllib3
import urllib3.exceptions
from requests.adapters import HTTPAdapter
from requests.utils import DEFAULT_CA_BUNDLE_PATH, select_proxy

from ..errors import FileDescriptorsExhausted
from ..stores.descriptors import are_exhausted
from .connections import Connection, NotConnected, Origin, Response

#: Seconds in which a connection must stand, name resolution and TLS included.
CONNECT_TIMEOUT = 3.0
#: Seconds after which an idle connection carries no further request: the tenant may be closing it
#: at that moment, and a code is not sent a second time.
MAX_IDLE = 4.0

#: URLs whose route is remembered.
_ROUTES = 64


@dataclass
class _Idle:
    """The idle connections of one process, and the lock that guards them."""

    lock: Lock = field(default_factory=Lock)
    #: The one that was used last is the last.
    connections: list[Connection] = field(default_factory=list)


class _Pool:
    """The connections that are idle, wherever they lead, and the one TLS context.

    :param ca_bundle: a file or folder of certificate authorities in place of the usual ones.
    :param clock: monotonic seconds.
    :raises OSError: see :func:`_make_tls_context`.
    """

    def __init__(self, ca_bundle: str | None, clock: Callable[[], float]) -> None:
        self._clock = clock
        if ca_bundle is not None:
            # For its exception alone: see below.
            _make_tls_context(ca_bundle)
        self._ca_bundle = ca_bundle or DEFAULT_CA_BUNDLE_PATH
        #: It is made with the first connection: the usual bundle is large, and after a fork gevent
        #: may replace the class.
        self._tls: ssl.SSLContext | None = None
        #: By the id of the process: after a fork, those of the parent are there too.
        self._idle_of: dict[int, _Idle] = {}
        weakref.finalize(self, _close_of_all, self._idle_of)

    @property
    def _idle(self) -> _Idle:
        """What is idle in this process."""
        pid = os.getpid()
        idle = self._idle_of.get(pid)
        if idle is None:
            idle = self._idle_of.setdefault(pid, _Idle())
            # The parent shares the sockets of its connections, and a thread of it may hold the
            # lock.  No thread of this process takes one of them while they are closed.
            for other in [each for each in tuple(self._idle_of) if each != pid]:
                _close_all(self._idle_of.pop(other, _Idle()).connections)
        return idle

    def take(self, origin: Origin, deadline: float) -> Connection:
        """Take a connection, an idle one or a new one.

        :param deadline: monotonic seconds.
        :raises NotConnected: if there is none.
        :raises FileDescriptorsExhausted: if there is none for want of those.
        :raises urllib3.exceptions.ProxyError: if there is none through the proxy.
        :raises urllib3.exceptions.SSLError: if the certificate cannot be trusted.
        """
        while connection := self._pop(origin):
            if not connection.has_input:
                return connection
            connection.close()
        return self._connect(origin, deadline)

    def keep(self, connection: Connection) -> None:
        """Keep a connection for the next request."""
        idle = self._idle
        with idle.lock:
            self._close_stale(idle.connections)
            connection.used_at = self._clock()
            idle.connections.append(connection)

    def close(self) -> None:
        """Close the connections that are idle."""
        idle = self._idle
        with idle.lock:
            _close_all(idle.connections)

    def _pop(self, origin: Origin) -> Connection | None:
        idle = self._idle
        with idle.lock:
            self._close_stale(idle.connections)
            for index in reversed(range(len(idle.connections))):
                if idle.connections[index].origin == origin:
                    return idle.connections.pop(index)
        return None

    def _close_stale(self, connections: list[Connection]) -> None:
        oldest = self._clock() - MAX_IDLE
        while connections and connections[0].used_at < oldest:
            connections.pop(0).close()

    def _connect(self, origin: Origin, deadline: float) -> Connection:
        until = min(time.monotonic() + CONNECT_TIMEOUT, deadline)
        try:
            return origin.connect(self._tls_context() if origin.is_tls else None, until)
        except ssl.SSLCertVerificationError as exc:
            raise urllib3.exceptions.SSLError(exc) from exc
        except Exception as exc:
            # Nothing was sent, whatever it is: a name that cannot be encoded is a ValueError, a
            # thread that cannot be started a RuntimeError, and a proxy may answer anything.
            if are_exhausted(exc):
                raise FileDescriptorsExhausted() from exc
            if origin.proxy:
                raise urllib3.exceptions.ProxyError("no way through the proxy", exc) from exc
            raise NotConnected(exc) from exc

    def _tls_context(self) -> ssl.SSLContext:
        """The one context: loading the trust store costs more than all the rest of a sign-in."""
        with self._idle.lock:
            if self._tls is None:
                self._tls = _make_tls_context(self._ca_bundle)
            return self._tls


def _close_of_all(idle_of: dict[int, _Idle]) -> None:
    for idle in idle_of.values():
        _close_all(idle.connections)


def _close_all(connections: list[Connection]) -> None:
    while connections:
        connections.pop().close()


def _make_tls_context(ca_bundle: str) -> ssl.SSLContext:
    """Make a context that checks certificates and speaks TLS 1.2 or later.

    :param ca_bundle: a file or folder of certificate authorities.
    :raises OSError: if it is a file that cannot be read, or has no certificate in it.
    """
    if os.path.isdir(ca_bundle):
        context = ssl.create_default_context(capath=ca_bundle)
    else:
        context = ssl.create_default_context(cafile=ca_bundle)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


@dataclass(frozen=True)
class _Route:
    """How requests to one URL go.  ``HTTPAdapter.send`` takes it for a pool of urllib3."""

    pool: _Pool
    origin: Origin
    target: str
    headers: Mapping[str, str] = field(repr=False)

    def urlopen(
        self,
        *,
        method: str,
        body: str | None,
        headers: Mapping[str, str],
        timeout: urllib3.Timeout,
        **_: Any,
    ) -> tuple[Response, bytes]:
        """Send a request, once, and read the response and its body.

        :raises Exception: see :meth:`_Pool.take` and :meth:`Connection.exchange`.
        """
        seconds = timeout.read_timeout
        deadline = math.inf if seconds is None else time.monotonic() + seconds
        headers = {**self.headers, **headers}
        connection = self.pool.take(self.origin, deadline)
        is_kept = False
        try:
            response, content = connection.exchange(
                method, self.target, headers, body, deadline=deadline
            )
            is_kept = response.isclosed() and not response.will_close
        finally:
            if is_kept:
                self.pool.keep(connection)
            else:
                connection.close()
        return response, content


class Adapter(HTTPAdapter):
    """Sends a request whose body is text, and reads its response up to the largest size.

    It replaces what lies below ``HTTPAdapter.send``, which the library `responses` intercepts.
    Certificates are checked by its own ``ca_bundle``, whatever ``verify`` says.

    :param ca_bundle: a file or folder of certificate authorities in place of the usual ones.
    :param clock: monotonic seconds.
    :raises OSError: see :func:`_make_tls_context`.
    """

    def __init__(self, ca_bundle: str | None, clock: Callable[[], float]) -> None:
        self._pool = _Pool(ca_bundle, clock)
        self._route = lru_cache(maxsize=_ROUTES)(self._find_route)
        super().__init__()

    def get_connection_with_tls_context(
        self, request: requests.PreparedRequest, verify: Any, proxies: Any = None, cert: Any = None
    ) -> Any:
        """The route of a request."""
        url = request.url or ""
        return self._route(url, select_proxy(url, proxies) if proxies else None)

    def _find_route(self, url: str, proxy_url: str | None) -> _Route:
        parts = urlsplit(url)
        is_tls = parts.scheme == "https"
        headers = {"Host": parts.netloc}
        port = parts.port or (http.client.HTTPS_PORT if is_tls else http.client.HTTP_PORT)
        target = urlunsplit(("", "", parts.path or "/", parts.query, ""))
        proxy, credentials = None, {}
        if proxy_url is not None:
            at = urlsplit(proxy_url)
            proxy = (at.hostname or "", at.port or http.client.HTTP_PORT)
            credentials = self.proxy_headers(proxy_url)
            if not is_tls:
                target = url
                headers.update(credentials)
                credentials = {}
        origin = Origin(is_tls, parts.hostname or "", port, proxy, (*credentials.items(),))
        return _Route(self._pool, origin, target, headers)

    def cert_verify(self, conn: Any, url: Any, verify: Any, cert: Any) -> None:
        """Nothing: the TLS context checks certificates."""

    def request_url(self, request: Any, proxies: Any) -> str:
        """Nothing: the route knows the target."""
        return ""

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """The response, of which the body is read; `responses` brings one of urllib3's own."""
        if not isinstance(resp, tuple):
            return super().build_response(req, resp)
        received, body = resp
        response = requests.Response()
        response.status_code = received.status
        response.headers = received.fields
        response.raw = io.BytesIO(body)
        response.url = req.url or ""
        response.request = req
        return response

    def close(self) -> None:
        """Close the connections that are idle."""
        super().close()
        self._pool.close()
