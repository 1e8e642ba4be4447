"""Browsers that cost little: one that calls an application, and one that speaks to a server.

Both keep cookies and send what a browser sends; neither is part of what is compared.
"""

from __future__ import annotations

import http.client
import io
import json
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import urlencode

HOST = "localhost:8000"

_NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Dest": "document",
}
#: Where a navigation comes from.
SAME_ORIGIN, CROSS_SITE = "same-origin", "cross-site"


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def location(self) -> str:
        """Where the browser is sent."""
        return self.headers["location"]

    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


class Wire(Protocol):
    """What carries one request."""

    def __call__(
        self, method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        """Status, headers and body of the answer."""
        ...


class Browser:
    """A browser, with its cookies.

    :param wire: carries its requests.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._cookies: dict[str, str] = {}
        #: Bytes of the longest ``Set-Cookie`` that came.
        self.longest_cookie = 0

    def get(self, target: str, *, site: str = SAME_ORIGIN) -> Answer:
        """Go to a page."""
        return self._send("GET", target, {**_NAVIGATION, "Sec-Fetch-Site": site}, b"")

    def post(
        self, target: str, form: Mapping[str, str] | None = None, *, site: str = SAME_ORIGIN
    ) -> Answer:
        """Submit a form; one that comes from another site brings no cookies."""
        headers = {
            **_NAVIGATION,
            "Sec-Fetch-Site": site,
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return self._send("POST", target, headers, urlencode(form or {}).encode())

    def fetch(self, method: str, target: str, document: Any = None) -> Answer:
        """Call a route as a script of a page does, with JSON in and out."""
        headers = {"Sec-Fetch-Site": SAME_ORIGIN, "Sec-Fetch-Mode": "cors"}
        return self._call(method, target, document, headers)

    def call(self, method: str, target: str, document: Any = None) -> Answer:
        """Call a route as a program does."""
        return self._call(method, target, document, {})

    def _call(self, method: str, target: str, document: Any, headers: dict[str, str]) -> Answer:
        headers["Accept"] = "application/json"
        body = b""
        if document is not None:
            headers["Content-Type"] = "application/json"
            body = json.dumps(document).encode()
        return self._send(method, target, headers, body)

    def send_form(self, target: str, form: Mapping[str, str]) -> Answer:
        """Send a form as a program does."""
        headers = {
            "Accept": "application/json",
            "Content-Type": "application/x-www-form-urlencoded",
        }
        return self._send("POST", target, headers, urlencode(form).encode())

    def _send(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Answer:
        # Lax cookies: a POST that comes from another site brings none.
        brings_cookies = method == "GET" or headers.get("Sec-Fetch-Site") != CROSS_SITE
        if self._cookies and brings_cookies:
            headers["Cookie"] = "; ".join(f"{n}={v}" for n, v in self._cookies.items())
        path = target.removeprefix(f"http://{HOST}")
        status, received, content = self._wire(method, path, headers, body)
        for name, value in received:
            if name.lower() == "set-cookie":
                self.longest_cookie = max(self.longest_cookie, len(value))
                cookie, _, content_of_cookie = value.partition(";")[0].partition("=")
                self._cookies[cookie] = content_of_cookie
        return Answer(status, {name.lower(): value for name, value in received}, content)


@dataclass(frozen=True)
class Cost:
    """What the application needed for one request, in seconds."""

    route: str
    cpu: float
    wall: float


def in_process(application: Callable[..., Iterable[bytes]], costs: list[Cost]) -> Wire:
    """Carry requests to a WSGI application of this process, and note what it needed for each."""

    def carry(
        method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        path, _, query = target.partition("?")
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "SCRIPT_NAME": "",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "SERVER_NAME": "localhost",
            "SERVER_PORT": "8000",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "HTTP_HOST": HOST,
            "wsgi.version": (1, 0),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
            "wsgi.errors": io.StringIO(),
            "wsgi.multithread": True,
            "wsgi.multiprocess": True,
            "wsgi.run_once": False,
        }
        for name, value in headers.items():
            environ["HTTP_" + name.upper().replace("-", "_")] = value
        if body or method == "POST":
            environ["CONTENT_LENGTH"] = str(len(body))
            environ["CONTENT_TYPE"] = environ.pop("HTTP_CONTENT_TYPE", "")
        started: list[Any] = []

        def start_response(status: str, headers: list[tuple[str, str]], exc: Any = None) -> None:
            started.extend((status, headers))

        wall, cpu = time.perf_counter(), time.process_time()
        chunks = application(environ, start_response)
        content = b"".join(chunks)
        close = getattr(chunks, "close", None)
        if close is not None:
            close()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
        costs.append(Cost(f"{method} {path}", cpu, wall))
        return int(started[0][:3]), started[1], content

    return carry


def to_server(port: int) -> Wire:
    """Carry requests to a server on this machine, on one connection."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

    def carry(
        method: str, target: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, list[tuple[str, str]], bytes]:
        sent = {"Host": HOST, **headers}
        try:
            connection.request(method, target, body or None, sent)
            response = connection.getresponse()
        except (http.client.RemoteDisconnected, ConnectionError):
            # A server may close a connection that was idle.
            connection.close()
            connection.request(method, target, body or None, sent)
            response = connection.getresponse()
        return response.status, response.getheaders(), response.read()

    return carry
