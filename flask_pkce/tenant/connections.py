"""One connection to the tenant: how it is made, and how a request goes over it.

Python's :mod:`http.client` speaks HTTP.  This module adds a deadline for the whole call and limits
on what the tenant sends.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import ssl
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Thread
from typing import Any, cast

import urllib3.exceptions
import urllib3.util
from requests.structures import CaseInsensitiveDict

from ..errors import TenantError

#: Bytes of a response body.
MAX_BODY = 1024 * 1024
#: Bytes of a response header, those of interim responses included.  Python parses headers in
#: quadratic time at worst: 64 KiB cost two seconds, 16 KiB a tenth of one.
MAX_HEADER = 16 * 1024

#: Bytes that chunks may need beside the body.
_MAX_FRAMING = 64 * 1024

#: As ``socket.getaddrinfo`` returns them.
_Address = tuple[Any, ...]


class NotConnected(OSError):
    """No connection was made, so nothing was sent."""


# -- what is received ------------------------------------------------------------


class _BoundedSocket:
    """What :mod:`http.client` needs of a socket, with a deadline and a limit.

    The timeout of a socket starts anew with every byte; the deadline does not.
    """

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        #: Monotonic seconds.
        self.deadline = math.inf
        #: Whether the other side sends nothing more.
        self.has_ended = False
        #: Whether bytes arrived behind the last response.
        self.has_rest = False
        self._allowance = 0
        self._part = ""

    def allow(self, count: int, part: str) -> None:
        """Set how many more bytes may be received.

        :param part: what they are, for the error that one more raises.
        """
        self._allowance = count
        self._part = part

    def sendall(self, data: bytes) -> None:
        _set_timeout(self.sock, self.deadline)
        self.sock.sendall(data)

    def receive_into(self, buffer: memoryview) -> int:
        """Receive what there is, as ``socket.recv_into`` does.

        :raises TimeoutError: if the deadline is over.
        :raises TenantError: if there are more bytes than are allowed.
        """
        if self._allowance <= 0:
            raise TenantError(f"The {self._part} of the tenant's answer is too large.")
        _set_timeout(self.sock, self.deadline)
        count = self.sock.recv_into(buffer[: self._allowance])
        self._allowance -= count
        self.has_ended = count == 0
        return count

    def makefile(self, _mode: str) -> io.BufferedReader:
        return _Buffer(self)

    def close(self) -> None:
        """Nothing: ``http.client`` closes a connection before it reads a body that ends with it.

        Its :class:`Connection` closes the socket.
        """


def _set_timeout(sock: socket.socket, deadline: float) -> None:
    """Let the next step on a socket end with the deadline.

    :param deadline: monotonic seconds.
    :raises TimeoutError: if it is over.
    """
    if deadline == math.inf:
        sock.settimeout(None)
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline is over")
    sock.settimeout(left)


class _Reader(io.RawIOBase):
    """The bytes of one response."""

    def __init__(self, source: _BoundedSocket) -> None:
        self._source = source
        self.is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        return None if self.is_over else self._source.receive_into(memoryview(buffer))


class _Buffer(io.BufferedReader):
    """Reads ahead, and knows at the end of the response whether it read too far."""

    def __init__(self, source: _BoundedSocket) -> None:
        self._reader = _Reader(source)
        super().__init__(self._reader)
        self._source = source

    def close(self) -> None:
        # To look at what is there would receive more where nothing is.
        self._reader.is_over = True
        self._source.has_rest = bool(self.peek())
        super().close()


class Response(http.client.HTTPResponse):
    """A response whose header can be read in one way only."""

    headers: Any
    #: The headers; those of one name are joined by commas.
    fields: CaseInsensitiveDict[str]

    def begin(self) -> None:
        """Read the header, after those of interim responses such as Early Hints.

        :raises TenantError: if a header is malformed, or does not tell where the body ends.

        :rfc:`9110#section-15.2`, :rfc:`9112#section-6.3`
        """
        super().begin()
        while self.status < 200:
            self.headers = None
            super().begin()
        if self.status >= 600:
            raise http.client.BadStatusLine("")
        self.fields = _join(self.headers.items())
        coding, length = (self.fields.get(n) for n in ("Transfer-Encoding", "Content-Length"))
        if (
            # What Python takes for a body behind the header are lines that are no header.
            self.headers.defects
            or self.headers.get_payload()
            or any(character in value for value in self.fields.values() for character in "\r\n\0")
            # Python reads no chunks behind a value with a blank at its end.
            or (coding is not None and not (self.chunked and coding.lower() == "chunked"))
            or (length is not None and not _is_length(length))
        ):
            raise TenantError("The tenant's answer has a malformed header.")
        if coding is not None and length is not None:
            self.will_close = True
        if self.status in {204, 304}:
            self.chunked = False


def _join(headers: Iterable[tuple[str, str]]) -> CaseInsensitiveDict[str]:
    fields: CaseInsensitiveDict[str] = CaseInsensitiveDict()
    for name, value in headers:
        value = value.strip(" \t")
        fields[name] = f"{fields[name]}, {value}" if name in fields else value
    return fields


def _is_length(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 20


# -- one connection --------------------------------------------------------------


class Connection:
    """A connection that stands.

    :param sock: is connected.
    """

    def __init__(self, sock: socket.socket) -> None:
        #: When it was last used, in monotonic seconds.
        self.used_at = 0.0
        #: Where it leads.
        self.origin: Origin | None = None
        self._bounded = _BoundedSocket(sock)
        # Its host is in no use: every request has a Host header of its own.
        self._http = http.client.HTTPConnection("")
        self._http.sock = cast(Any, self._bounded)
        self._http.response_class = Response
        # It never connects by itself, which would have no deadline.
        self._http.auto_open = 0

    @property
    def has_input(self) -> bool:
        """Whether the other side closed it, or sent what nothing asked for.

        It may have arrived together with the response, and wait decrypted.
        """
        sock = self._bounded.sock
        return (
            self._bounded.has_rest
            or (isinstance(sock, ssl.SSLSocket) and sock.pending() > 0)
            or urllib3.util.wait_for_read(sock, timeout=0)
        )

    def exchange(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str],
        body: str | None = None,
        *,
        deadline: float,
    ) -> tuple[Response, bytes]:
        """Send a request, once, and read the response and its body.

        :param headers: with ``Host``.
        :param deadline: monotonic seconds.
        :raises TenantError: if the response is malformed or too large; nothing of it is quoted.
        :raises urllib3.exceptions.ProtocolError: if it is none of HTTP/1, or ends too early.
        :raises OSError: if the connection fails, or the deadline is over.
        """
        self._bounded.deadline = deadline
        self._http.request(method, target, body, headers)
        self._bounded.allow(MAX_HEADER, "header")
        response = self._read_header()
        if method == "CONNECT":
            return response, b""
        self._bounded.allow(MAX_BODY + _MAX_FRAMING, "body")
        return response, self._read_body(response)

    def _read_header(self) -> Response:
        try:
            return cast(Response, self._http.getresponse())
        except (http.client.BadStatusLine, http.client.UnknownProtocol):
            raise urllib3.exceptions.ProtocolError("no response of HTTP/1") from None
        except (OSError, TenantError):
            raise
        except Exception:
            # Python's `email` package parses the header.  A malformed one may raise anything, with
            # a message that quotes it.
            raise TenantError("The tenant's answer has a malformed header.") from None

    def _read_body(self, response: Response) -> bytes:
        try:
            body = response.read(MAX_BODY + 1)
        except (OSError, TenantError):
            raise
        except Exception:
            # The size of a chunk may be negative for Python, or larger than it can count.
            if not self._bounded.has_ended:
                raise TenantError("The tenant's answer has a malformed chunk.") from None
            raise urllib3.exceptions.ProtocolError("the body is cut off") from None
        if response.length and len(body) <= MAX_BODY:
            raise urllib3.exceptions.ProtocolError("the body is cut off")
        return body

    def close(self) -> None:
        self._bounded.sock.close()


# -- how it is made ---------------------------------------------------------------


@dataclass(frozen=True)
class Origin:
    """A server, and the proxy before it."""

    is_tls: bool
    host: str
    port: int
    proxy: tuple[str, int] | None
    #: For the proxy, where it makes a tunnel.
    tunnel_headers: tuple[tuple[str, str], ...] = field(repr=False)

    def connect(self, tls: ssl.SSLContext | None, deadline: float) -> Connection:
        """Connect.

        :param deadline: monotonic seconds.
        :raises NotConnected: if a proxy makes no tunnel.
        :raises ssl.SSLCertVerificationError: if the certificate cannot be trusted.
        :raises OSError: if anything else fails.
        """
        sock = _open_socket(*(self.proxy or (self.host, self.port)), deadline)
        try:
            if tls is not None:
                if self.proxy:
                    self._make_tunnel(sock, deadline)
                _set_timeout(sock, deadline)
                sock = tls.wrap_socket(sock, server_hostname=self.host)
            connection = Connection(sock)
        except BaseException:
            sock.close()
            raise
        connection.origin = self
        return connection

    def _make_tunnel(self, sock: socket.socket, deadline: float) -> None:
        """Have the proxy connect.

        :rfc:`9110#section-9.3.6`
        """
        host = f"[{self.host}]" if ":" in self.host else self.host
        authority = f"{host}:{self.port}"
        headers = {"Host": authority, **dict(self.tunnel_headers)}
        response, _ = Connection(sock).exchange("CONNECT", authority, headers, deadline=deadline)
        if not 200 <= response.status < 300:
            raise NotConnected(f"the proxy answered {response.status}")


def _open_socket(host: str, port: int, deadline: float) -> socket.socket:
    """Connect to the first address of a name that answers.

    :param deadline: monotonic seconds, for the resolution of the name and all addresses.
    :raises OSError: if none does.
    """
    failure: OSError = NotConnected("the name has no address")
    found = _resolve(host, port, deadline)
    for number, (family, kind, protocol, _, address) in enumerate(found, 1):
        sock = socket.socket(family, kind, protocol)
        try:
            left = deadline - time.monotonic()
            # Half of the time, or an address that swallows packets would let no other be tried.
            _set_timeout(sock, deadline if number == len(found) else deadline - left / 2)
            sock.connect(address)
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as exc:
            sock.close()
            failure = exc
        else:
            return sock
    raise failure


def _resolve(host: str, port: int, deadline: float) -> list[_Address]:
    """Resolve a name, in a thread of its own: no timeout ends ``getaddrinfo``.

    :param deadline: monotonic seconds.
    :raises OSError: if the name has no address, or a resolver does not answer in time.
    """
    found: Future[list[_Address]] = Future()

    def resolve() -> None:
        try:
            found.set_result(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except Exception as exc:
            found.set_exception(exc)

    Thread(target=resolve, name="flask_pkce-resolve", daemon=True).start()
    return found.result(deadline - time.monotonic())
