"""Calls the tenant from a ``requests`` session, without a socket."""

from __future__ import annotations

from http.client import HTTPResponse as WireResponse
from io import BytesIO
from typing import TYPE_CHECKING, Any, cast

from requests import PreparedRequest, Response
from requests.adapters import HTTPAdapter
from urllib3 import HTTPHeaderDict, HTTPResponse
from werkzeug.test import EnvironBuilder, run_wsgi_app

from .provider import Provider

if TYPE_CHECKING:
    from socket import socket
    from wsgiref.types import WSGIApplication


class InProcessAdapter(HTTPAdapter):
    """Hands requests to a WSGI application, and its answers back as bytes of HTTP.

    The bytes are parsed by ``http.client`` and wrapped by ``urllib3``, as those of a connection
    are, so that streaming, headers and cookies work as they do there.

    :param app: the tenant's application.
    :param provider: the tenant.
    :param with_faults: whether faults of the transport hit requests that go through here.
    """

    def __init__(
        self, app: WSGIApplication, provider: Provider, *, with_faults: bool = True
    ) -> None:
        super().__init__()
        self._app = app
        self._provider = provider
        self._with_faults = with_faults

    def send(self, request: PreparedRequest, *args: Any, **kwargs: Any) -> Response:
        """Answer a request; what is said of time, certificates and proxies means nothing here."""
        if self._with_faults:
            self._provider.spoil("connect", request)
        wire = self._call(request)
        if self._with_faults:
            self._provider.spoil("read", request)
        answer = WireResponse(cast("socket", _Received(wire)), method=request.method)
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

    def _call(self, request: PreparedRequest) -> bytes:
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
        content, status, answered = run_wsgi_app(self._app, builder.get_environ(), buffered=True)
        lines = [f"HTTP/1.1 {status}", *(f"{name}: {value}" for name, value in answered)]
        return "\r\n".join([*lines, "", ""]).encode("latin-1") + b"".join(content)


class _Received:
    """What ``http.client`` asks of a socket."""

    def __init__(self, wire: bytes) -> None:
        self._wire = wire

    def makefile(self, mode: str) -> BytesIO:
        return BytesIO(self._wire)
