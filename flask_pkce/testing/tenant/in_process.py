"""Calls the tenant from a ``requests`` session, without a socket."""

from __future__ import annotations

from http.client import HTTPResponse as WireResponse
from io import BytesIO
from math import inf
from typing import TYPE_CHECKING, Any, cast

from requests import ConnectionError as RequestsConnectionError
from requests import PreparedRequest, ReadTimeout, RequestException, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPHeaderDict, HTTPResponse, Timeout
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    MaxRetryError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
)
from werkzeug.test import EnvironBuilder, run_wsgi_app
from werkzeug.wsgi import ClosingIterator

from .provider import Provider
from .wire import Received

if TYPE_CHECKING:
    from socket import socket
    from wsgiref.types import WSGIApplication


class InProcessAdapter(HTTPAdapter):
    """Hands requests to a WSGI application, and its answers back as bytes of HTTP.

    The bytes are parsed by ``http.client`` and wrapped by ``urllib3``, as those of a connection
    are, so that streaming, headers and cookies work as they do there.

    :param app: the tenant's application.
    :param provider: the tenant.
    """

    def __init__(self, app: WSGIApplication, provider: Provider) -> None:
        super().__init__()
        self._app = app
        self._provider = provider

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Answer a request; what is said of certificates and proxies means nothing here."""
        try:
            received = self._call(request, _seconds(kwargs.get("timeout")))
        except OSError as error:
            raise _as_raised_by_requests(error, request) from error
        answer = WireResponse(cast("socket", received), method=request.method)
        answer.begin()
        return self.build_response(
            request,
            HTTPResponse(
                body=answer,
                headers=HTTPHeaderDict(answer.msg.items()),
                status=answer.status,
                version=answer.version,
                reason=answer.reason,
                preload_content=False,
                decode_content=False,
                original_response=answer,
                request_method=request.method,
                request_url=request.url,
            ),
        )

    def _call(self, request: PreparedRequest, seconds: float) -> Received:
        # Forms and JSON are a string; a stream is nothing that an endpoint here would take.
        body: Any = request.body or b""
        headers: Any = request.headers
        builder = EnvironBuilder(
            path=request.path_url,
            base_url=self._provider.issuer,
            method=request.method or "GET",
            headers=list(headers.items()),
            input_stream=BytesIO(body.encode() if isinstance(body, str) else body),
        )
        content, status, answered = run_wsgi_app(self._app, builder.get_environ())
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in answered)]
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return Received(head, ClosingIterator(content), seconds)


def _seconds(timeout: Any) -> float:
    """The seconds that a whole answer may take, of what ``requests`` takes as a timeout."""
    total = timeout.total if isinstance(timeout, Timeout) else timeout
    return total if isinstance(total, int | float) else inf


def _as_raised_by_requests(error: OSError, request: PreparedRequest) -> RequestException:
    """What ``requests`` makes of an error of a connection."""
    pool = HTTPConnectionPool("tenant.example")
    if isinstance(error, TimeoutError):
        silent = ReadTimeoutError(pool, str(request.url), "Read timed out.")
        return ReadTimeout(silent, request=request)
    if isinstance(error, ConnectionRefusedError):
        refused = NewConnectionError(HTTPConnection("tenant.example"), "connection refused")
        reason = MaxRetryError(pool, str(request.url), refused)
        return RequestsConnectionError(reason, request=request)
    aborted = ProtocolError("Connection aborted.", error)
    return RequestsConnectionError(aborted, request=request)
