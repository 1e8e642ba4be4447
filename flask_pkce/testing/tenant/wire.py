"""The tenant behind a connection, with the faults of one."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable
from threading import Event
from typing import TYPE_CHECKING, Any

from werkzeug.serving import WSGIRequestHandler
from werkzeug.wsgi import ClosingIterator

from .provider import Provider

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment


class Wire:
    """A WSGI application behind a connection that fails as the faults say.

    Of a connection that fails, that is raised which the operating system would say.

    :param app: the tenant's application.
    :param provider: the tenant.
    """

    def __init__(self, app: WSGIApplication, provider: Provider) -> None:
        self._app = app
        self._provider = provider

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        self._provider.spoil("connect", None)
        answer = self._app(environ, start_response)
        self._provider.spoil("read", None)
        return answer


class ServedWire(Wire):
    """The same, on a socket: who is to hear nothing hears nothing, until the tenant stops."""

    def __init__(self, app: WSGIApplication, provider: Provider) -> None:
        super().__init__(app, provider)
        self.stopped = Event()

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        try:
            return super().__call__(environ, start_response)
        except TimeoutError:
            self.stopped.wait()
            raise


class Handler(WSGIRequestHandler):
    """Serves a connection: quietly, and hangs up where the application says that it is gone."""

    def log(self, type: str, message: str, *args: Any) -> None:
        """Stay quiet: request lines hold states and codes."""

    def connection_dropped(
        self, error: BaseException, environ: WSGIEnvironment | None = None
    ) -> None:
        """Send nothing more."""
        self.close_connection = True


class Received(io.RawIOBase):
    """The bytes of an answer, as they come, in process.

    :param head: status and headers.
    :param body: the rest; it may come slowly, and without an end.
    :param seconds: how long the whole may take.
    """

    def __init__(self, head: bytes, body: ClosingIterator, seconds: float) -> None:
        self._pending = head
        self._body = body
        self._deadline = time.monotonic() + seconds

    def makefile(self, mode: str) -> io.BufferedReader:
        """What ``http.client`` asks of a socket."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if time.monotonic() > self._deadline:
            raise TimeoutError("timed out")
        chunk = self._pending or next(filter(None, self._body), b"")
        count = min(len(buffer), len(chunk))
        buffer[:count] = chunk[:count]
        self._pending = chunk[count:]
        return count

    def close(self) -> None:
        self._body.close()
        super().close()
