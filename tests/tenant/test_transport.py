"""Bounded HTTP to the tenant.  Sockets, on loopback, only where nothing else would show it."""

from __future__ import annotations

import datetime
import gc
import ipaddress
import os
import resource
import select
import socket
import ssl
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Barrier, Event, Thread
from threading import enumerate as enumerate_threads
from types import SimpleNamespace
from typing import Any

import pytest
import requests
import requests_mock
import responses
import urllib3
import urllib3.connection
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from urllib3.exceptions import (
    ConnectTimeoutError,
    MaxRetryError,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ReadTimeoutError,
    SSLError,
)

from flask_pkce.errors import (
    FileDescriptorsExhausted,
    TenantError,
    TenantSilent,
    TenantUnreachable,
)
from flask_pkce.tenant.adapter import MAX_IDLE
from flask_pkce.tenant.connections import MAX_BODY, Connection
from flask_pkce.tenant.transport import TenantResponse, Transport
from tests.support import Clock, Failing, RawServer, answering, at_once, http

URL = "https://tenant.example/oauth/token"
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def transport() -> Transport:
    return Transport(timeout=5)


@pytest.fixture
def mocked(transport: Transport) -> Any:
    with requests_mock.Mocker(session=transport.session) as mocker:
        yield mocker


# -- requests and answers ----------------------------------------------------------


@pytest.mark.requirement("UP-4")
def test_get(transport: Transport, mocked: requests_mock.Mocker) -> None:
    """A document is asked for as JSON, uncompressed."""
    mocked.get(URL, json={"a": 1}, headers={**JSON, "X-Some": "value"})
    answer = transport.get(URL)
    assert (answer.status, answer.json(), answer.headers["x-some"]) == (200, {"a": 1}, "value")
    (request,) = mocked.request_history
    assert request.headers["Accept"] == "application/json"
    assert request.headers["Accept-Encoding"] == "identity"


@pytest.mark.requirement("A0-10", "AZ-11", "V1-1")
def test_post(transport: Transport, mocked: requests_mock.Mocker) -> None:
    """A form is sent encoded; an error's answer is one too."""
    mocked.post(URL, json={"error": "x"}, status_code=403, headers=JSON)
    answer = transport.post(URL, {"code": "a&b c", "name": "é"})
    assert (answer.status, answer.json()) == (403, {"error": "x"})
    (request,) = mocked.request_history
    assert request.text == "code=a%26b+c&name=%C3%A9"
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    assert request.headers["Accept"] == "application/json"


def test_calls_to_one_address(transport: Transport, mocked: requests_mock.Mocker) -> None:
    """Requests to one address are prepared once, and nothing of one is in the next."""
    mocked.post(URL, json={}, headers=JSON)
    mocked.get(URL, json={}, headers=JSON)
    transport.post(URL, {"code": "a long one"})
    transport.post(URL, {"code": "b"})
    transport.get(URL)
    first, second, document = mocked.request_history
    first.headers["X-Changed"] = "by who intercepted it"
    assert (first.text, first.headers["Content-Length"]) == ("code=a+long+one", "15")
    assert (second.text, second.headers["Content-Length"]) == ("code=b", "6")
    assert document.text is None
    assert not {"Content-Length", "Content-Type"} & set(document.headers)
    assert "X-Changed" not in second.headers


@pytest.mark.requirement("A0-18", "A0-19")
def test_what_a_call_tells(transport: Transport) -> None:
    """A call has no header but those that HTTP needs: nothing of the host or of who calls it."""
    with RawServer(answering(http())) as server:
        transport.get(server.address)
        transport.post(server.address, {"code": "c"})
    for request in server.requests:
        lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
        names = {line.partition(":")[0].lower() for line in lines}
        assert names - {"content-type", "content-length"} == {
            "host", "user-agent", "accept", "accept-encoding", "connection"
        }  # fmt: skip


@pytest.mark.requirement("UP-3")
def test_times(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """All is over with the timeout, also where another adapter sends."""
    given = []
    send = transport.session.send

    def note(*args: Any, **options: Any) -> Any:
        given.append(options["timeout"])
        return send(*args, **options)

    monkeypatch.setattr(transport.session, "send", note)
    with RawServer(answering(http())) as server:
        transport.post(server.address, {})
    assert given == [5]


def test_calls_can_be_intercepted_by_responses(transport: Transport) -> None:
    """The other library that hosts use for their tests intercepts too."""
    with responses.RequestsMock() as mocker:
        mocker.get(URL, json={"a": 1})
        assert transport.get(URL).json() == {"a": 1}


@pytest.mark.requirement("UP-1", "MD-7", "N62", "BB-5", "T12", "T24")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(
    transport: Transport, mocked: requests_mock.Mocker, status: int, method: str
) -> None:
    """A redirect is not followed: it would repeat code and secret elsewhere (N62), and documents
    come from the tenant itself (N82)."""
    headers = {"Location": "https://evil.example/"}
    mocked.register_uri(requests_mock.ANY, URL, status_code=status, headers=headers)
    mocked.register_uri(requests_mock.ANY, "https://evil.example/")
    calls = {"GET": lambda: transport.get(URL), "POST": lambda: transport.post(URL, {"a": "b"})}
    with pytest.raises(TenantError, match="redirect"):
        calls[method]()
    assert [request.url for request in mocked.request_history] == [URL]


@pytest.mark.requirement("UP-1", "LG-1")
@pytest.mark.parametrize(
    "location",
    [b"http://[hunter2", b"http://hunter2]/", b"\xff", b"http://\xef\xbc\x8f/"],
    ids=repr,
)
def test_redirect_to_nowhere(transport: Transport, location: bytes) -> None:
    """Where a redirect leads is not read, be it no URL; nothing of it is quoted."""
    head = b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + location
    with RawServer(answering(head + b"\r\n\r\n")) as server:
        assert transport.visit(server.address).status == 302
        with pytest.raises(TenantError, match="redirect") as caught:
            transport.get(server.address)
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.requirement("UP-4", "N65b", "T24")
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "identity, gzip"])
def test_compressed_answer(
    transport: Transport, mocked: requests_mock.Mocker, encoding: str
) -> None:
    """An answer that is compressed, unasked, is not read (N65b)."""
    mocked.get(URL, content=b"\x1f\x8b", headers={"Content-Encoding": encoding})
    with pytest.raises(TenantError, match="compressed"):
        transport.get(URL)


@pytest.mark.parametrize("encoding", ["", "identity", "IDENTITY"])
def test_answer_that_is_not_compressed(
    transport: Transport, mocked: requests_mock.Mocker, encoding: str
) -> None:
    """Saying that nothing is encoded is allowed."""
    mocked.get(URL, json={}, headers={**JSON, "Content-Encoding": encoding})
    assert transport.get(URL).json() == {}


@pytest.mark.requirement("UP-4", "N65b", "N81")
@pytest.mark.parametrize(("extra", "fits"), [(0, True), (1, False)])
def test_largest_answer(
    transport: Transport, mocked: requests_mock.Mocker, extra: int, fits: bool
) -> None:
    """An answer has at most a mebibyte."""
    mocked.get(URL, content=b" " * (MAX_BODY - 2 + extra) + b"{}")
    if fits:
        assert len(transport.get(URL).body) == MAX_BODY
    else:
        with pytest.raises(TenantError, match="too large"):
            transport.get(URL)


@pytest.mark.requirement("A0-9")
def test_cookies(transport: Transport) -> None:
    """Cookies of the tenant are neither kept nor sent back."""
    answer = http(b"{}", "Set-Cookie: did=1; Path=/", "Set-Cookie: auth0=2; Max-Age=99")
    with RawServer(answering(answer)) as server:
        transport.get(server.address)
        transport.post(server.address, {})
    assert list(transport.session.cookies) == []
    assert all(b"cookie" not in request.lower() for request in server.requests)


# -- the JSON of an answer ---------------------------------------------------------


@pytest.mark.parametrize(
    "media_type",
    [
        "application/json",
        "application/json; charset=utf-8",
        "APPLICATION/JSON",
        "application/jwk-set+json",
    ],
)
def test_json(media_type: str) -> None:
    """JSON is what says so."""
    assert TenantResponse(200, {"Content-Type": media_type}, b"{}").json() == {}


@pytest.mark.requirement("UP-6")
@pytest.mark.parametrize("media_type", ["text/html", "", "text/json", "application/jsonp", "json"])
def test_something_other_than_json(media_type: str) -> None:
    """A page is told by its type, and not quoted (N65d)."""
    answer = TenantResponse(502, {"Content-Type": media_type}, b'{"page": "secret"}')
    with pytest.raises(TenantError, match="answered 502 with something other than JSON") as caught:
        answer.json()
    assert "secret" not in str(caught.value)


@pytest.mark.requirement("UP-6")
def test_no_media_type() -> None:
    """An answer without a type is not guessed at."""
    with pytest.raises(TenantError, match="other than JSON"):
        TenantResponse(200, {}, b"{}").json()


@pytest.mark.requirement("UP-5", "T24")
@pytest.mark.parametrize(
    ("body", "fault"),
    [
        (b"", "not JSON"),
        (b"[]", "not a JSON object"),
        (b'{"secret": ', "not JSON"),
        (b'{"a": 1, "a": 2}', "occurs twice"),
        (b'{"a": NaN}', "finite"),
        (b"[" * 10_000, "too deeply"),
        (b'{"a":' + b"[" * 32 + b"]" * 32 + b"}", "too deeply"),
    ],
    ids=["nothing", "list", "cut off", "duplicate", "NaN", "very deep", "deep"],
)
def test_unusable_json(body: bytes, fault: str) -> None:
    """JSON that could be read in two ways, or not at all, is refused and not quoted (N65c)."""
    with pytest.raises(TenantError, match=fault) as caught:
        TenantResponse(200, {"Content-Type": "application/json"}, body).json()
    assert "secret" not in str(caught.value)


def test_answer_hides_what_is_in_it() -> None:
    """Neither headers nor body of an answer show in a log."""
    assert repr(TenantResponse(200, {"X": "secret"}, b"secret")) == "TenantResponse(status=200)"


# -- sent or not sent --------------------------------------------------------------


POOL = urllib3.HTTPConnectionPool("tenant.example")
CONNECTION = urllib3.connection.HTTPConnection("tenant.example")


def retried(reason: Exception) -> MaxRetryError:
    return MaxRetryError(POOL, URL, reason)


@pytest.mark.parametrize(
    "error",
    [
        requests.ConnectTimeout(retried(ConnectTimeoutError())),
        requests.exceptions.ProxyError(retried(NewConnectionError(CONNECTION, "refused"))),
        requests.ConnectionError(retried(NewConnectionError(CONNECTION, "refused"))),
        requests.ConnectionError(
            retried(NameResolutionError("tenant.example", CONNECTION, socket.gaierror()))
        ),
    ],
    ids=["timeout", "proxy", "refused", "name"],
)
def test_surely_not_sent(transport: Transport, error: Exception) -> None:
    """Where no connection came about, the request was surely not received."""
    transport.session.mount("https://", Failing(error))
    with pytest.raises(TenantUnreachable) as caught:
        transport.post(URL, {"code": "c"})
    assert (caught.value.status, caught.value.__cause__) == (502, error)


@pytest.mark.parametrize(
    "error",
    [
        requests.ReadTimeout(ReadTimeoutError(POOL, URL, "timed out")),
        requests.ConnectionError(ProtocolError("aborted", ConnectionResetError())),
        requests.ConnectionError(retried(ReadTimeoutError(POOL, URL, "timed out"))),
        requests.exceptions.SSLError(retried(SSLError("record layer failure"))),
        requests.exceptions.SSLError(retried(SSLError(ssl.SSLEOFError("EOF")))),
        requests.exceptions.ChunkedEncodingError(ProtocolError("broken")),
        requests.ConnectionError(),
        requests.RequestException("who knows"),
        ProtocolError("broken while it was read"),
        TimeoutError("the deadline is over"),
        ConnectionResetError(),
    ],
    ids=lambda error: f"{type(error).__name__}-{str(error)[:30]}",
)
def test_perhaps_sent(transport: Transport, error: Exception) -> None:
    """In every other case it may have been received, and is told so."""
    transport.session.mount("https://", Failing(error))
    with pytest.raises(TenantSilent) as caught:
        transport.post(URL, {"code": "c"})
    assert (caught.value.status, caught.value.__cause__) == (504, error)


def test_nobody_listens(transport: Transport) -> None:
    """A connection that is refused is surely no request that was received."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    with pytest.raises(TenantUnreachable):
        transport.post(f"http://127.0.0.1:{port}/", {"code": "c"})


def hang_up(server: RawServer, connection: socket.socket) -> None:
    server.receive(connection)


def hang_up_in_the_body(server: RawServer, connection: socket.socket) -> None:
    server.receive(connection)
    connection.sendall(http(b'{"access_token": "x"}')[:-8])


def hang_up_in_a_chunk(server: RawServer, connection: socket.socket) -> None:
    server.receive(connection)
    connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")


def say_nonsense(server: RawServer, connection: socket.socket) -> None:
    server.receive(connection)
    connection.sendall(b"SSH-2.0-OpenSSH_9.6\r\n")


@pytest.mark.requirement("UP-8", "N65e", "T25")
@pytest.mark.parametrize(
    "script", [hang_up, hang_up_in_the_body, hang_up_in_a_chunk, say_nonsense]
)
def test_connection_that_drops(
    transport: Transport, script: Callable[[RawServer, socket.socket], None]
) -> None:
    """A connection that drops after the request is no reason to send it again (N65e)."""
    with RawServer(script) as server:
        with pytest.raises(TenantSilent):
            transport.post(server.address, {"code": "the-code"})
        assert len(server.requests) == 1
        assert server.requests[0].endswith(b"\r\n\r\ncode=the-code")


# -- the deadline ------------------------------------------------------------------


def drip(first: bytes, drops: bytes) -> Callable[[RawServer, socket.socket], None]:
    """A script that sends the beginning at once, and then a byte now and then."""

    def script(server: RawServer, connection: socket.socket) -> None:
        server.receive(connection)
        connection.sendall(first)
        for index in range(10_000):
            if server.over.wait(0.02):
                return
            connection.sendall(drops[index % len(drops)].to_bytes())

    return script


def say_nothing(server: RawServer, connection: socket.socket) -> None:
    server.receive(connection)
    server.over.wait(10)


SLOW: dict[str, Callable[[RawServer, socket.socket], None]] = {
    "nothing": say_nothing,
    "headers": drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x"),
    "body": drip(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n", b" "),
    "chunks": drip(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "body without an end": drip(b"HTTP/1.0 200 OK\r\n\r\n", b" "),
}


@pytest.mark.requirement("UP-3", "N65", "T24")
@pytest.mark.parametrize("name", SLOW)
def test_deadline(name: str) -> None:
    """The whole answer has to arrive in time: a byte now and then does not help (N65)."""
    transport = Transport(timeout=0.3)
    with RawServer(SLOW[name]) as server:
        begun = time.monotonic()
        with pytest.raises(TenantSilent):
            transport.get(server.address)
        assert 0.2 < time.monotonic() - begun < 0.3 + 0.5


@pytest.mark.requirement("UP-3")
def test_deadline_between_two_reads(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """What arrives after the deadline is not read, though it is there."""
    with RawServer(answering(http())) as server:
        transport.get(server.address)
        # When it begins, when it sends, and when it reads.
        ticks = iter([0, 1, transport.timeout + 1])
        clock = SimpleNamespace(monotonic=lambda: next(ticks))
        for module in ("adapter", "connections"):
            monkeypatch.setattr(f"flask_pkce.tenant.{module}.time", clock)
        with pytest.raises(TenantSilent):
            transport.get(server.address)
        assert next(ticks, None) is None


@pytest.mark.requirement("UP-3")
@pytest.mark.parametrize("name", ["localhost", "127.0.0.1"])
def test_slow_resolver(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The deadline holds while a name is resolved, and nothing is sent afterwards."""
    transport, real, resolved = Transport(timeout=0.3), socket.getaddrinfo, Event()

    def resolve(*args: Any, **kwargs: Any) -> Any:
        resolved.wait(10)
        return real(*args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with RawServer(answering(http())) as server:
        url = server.address.replace("127.0.0.1", name)
        begun = time.monotonic()
        with pytest.raises(TenantUnreachable):
            transport.post(url, {"code": "c"})
        assert 0.2 < time.monotonic() - begun < 0.3 + 0.5
        resolved.set()
        resolving = [each for each in enumerate_threads() if each.name == "flask_pkce-resolve"]
        for thread in resolving:
            thread.join(5)
        assert (server.connections, server.requests) == (0, [])


@pytest.mark.requirement("UP-4", "N65b", "T24")
def test_endless_answer(transport: Transport) -> None:
    """An answer without an end is cut off at the largest that is read (N65b)."""

    def pour(server: RawServer, connection: socket.socket) -> None:
        server.receive(connection)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n")
        while not server.over.is_set():
            connection.sendall(b" " * 65536)

    with RawServer(pour) as server, pytest.raises(TenantError, match="too large"):
        transport.get(server.address)


def test_socket_without_a_timeout(transport: Transport) -> None:
    """Who uses the session on its own, without a timeout, has no deadline."""
    with RawServer(answering(http(b'{"a": 1}'))) as server:
        assert transport.session.get(server.address).json() == {"a": 1}


# -- connections -------------------------------------------------------------------


@pytest.mark.requirement("UP-8")
@pytest.mark.parametrize(("idle", "connections"), [(0, 1), (MAX_IDLE, 1), (MAX_IDLE + 0.1, 2)])
@pytest.mark.parametrize("through_proxy", [False, True])
def test_stale_connection(idle: float, connections: int, through_proxy: bool) -> None:
    """A connection that idled carries no form: the tenant may be closing it at that moment."""
    clock = Clock()
    with RawServer(answering(http())) as server:
        proxies = {"http": server.address} if through_proxy else None
        transport = Transport(timeout=5, proxies=proxies, clock=clock)
        url = "http://tenant.example/x" if through_proxy else server.address
        transport.get(url)
        clock.now += idle
        transport.post(url, {})
        assert server.connections == connections
        transport.post(url, {})
        assert server.connections == connections


@pytest.mark.requirement("UP-8")
def test_stale_connection_beside_a_busy_one() -> None:
    """Each connection idles for itself, however busy others are."""
    clock, together = Clock(), Barrier(2)

    def script(server: RawServer, connection: socket.socket) -> None:
        while server.receive(connection):
            if b" /both " in server.requests[-1]:
                together.wait(10)
            connection.sendall(http())

    with RawServer(script) as server:
        transport = Transport(timeout=5, clock=clock)
        at_once(lambda number: transport.get(f"{server.address}/both"), 2)
        assert server.connections == 2
        for _ in range(3):
            clock.now += MAX_IDLE - 1
            transport.get(server.address)
        assert server.connections == 2
        at_once(lambda number: transport.get(f"{server.address}/both"), 2)
        assert server.connections == 3


@pytest.mark.requirement("UP-8")
@pytest.mark.parametrize("further", [b"", http(b'{"a": 2}')], ids=["closed", "unasked"])
def test_idle_connection_with_input(further: bytes, transport: Transport) -> None:
    """A connection that the tenant closed, or on which it sent more, carries no request."""
    done = Event()

    def script(server: RawServer, connection: socket.socket) -> None:
        server.receive(connection)
        connection.sendall(http(b'{"a": 1}'))
        if further:
            time.sleep(0.05)
            connection.sendall(further)
        else:
            connection.shutdown(socket.SHUT_WR)
        done.set()
        server.receive(connection)

    with RawServer(script) as server:
        for _ in range(2):
            assert transport.post(server.address, {"code": "c"}).json() == {"a": 1}
            assert done.wait(5)
            time.sleep(0.02)
            done.clear()
        assert (server.connections, len(server.requests)) == (2, 2)


#: Bytes for which `http.client` reads at once: where TLS has more, it waits decrypted.
READ_AHEAD = 8192


@pytest.mark.requirement("UP-8")
@pytest.mark.parametrize("is_tls", [False, True])
@pytest.mark.parametrize("size", [None, READ_AHEAD, 2 * READ_AHEAD])
def test_input_with_the_response(
    is_tls: bool, size: int | None, certificate: Path, context: ssl.SSLContext
) -> None:
    """A connection on which more than a response arrives at once carries no further request: the
    next one would get what nothing asked for."""

    def script(server: RawServer, connection: socket.socket) -> None:
        while server.receive(connection):
            answer = http(b'{"a": 1}')
            connection.sendall(answer.ljust(size or len(answer)) + http(b'{"a": 2}'))

    transport = Transport(timeout=5, ca_bundle=str(certificate))
    with RawServer(script, context if is_tls else None) as server:
        for _ in range(2):
            assert transport.post(server.address, {"code": "c"}).json() == {"a": 1}
        assert (server.connections, len(server.requests)) == (2, 2)


def test_connections_of_many_threads() -> None:
    """There are no more connections than threads, and all get their answers."""
    threads = 64

    with RawServer(answering(http())) as server:
        transport = Transport(timeout=10)

        def task(number: int) -> list[int]:
            return [transport.get(server.address).status for _ in range(5)]

        assert at_once(task, threads) == [[200] * 5] * threads
        assert server.connections <= threads


@pytest.mark.parametrize("how", ["collected", "closed"])
def test_connections_are_closed(how: str) -> None:
    """A session that is closed or forgotten leaves no connection open."""
    ended = Event()

    def script(server: RawServer, connection: socket.socket) -> None:
        while server.receive(connection):
            connection.sendall(http())
        ended.set()

    with RawServer(script) as server:
        transport = Transport(timeout=5)
        transport.get(server.address)
        assert not ended.is_set()
        if how == "closed":
            transport.session.close()
        else:
            del transport
            gc.collect()
        assert ended.wait(5)


def test_after_a_fork(transport: Transport) -> None:
    """A process that was forked leaves the connections of its parent alone."""
    with RawServer(answering(http(b'{"a": 1}'))) as server:
        transport.get(server.address)
        with warnings.catch_warnings():
            # Of the threads that there are.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            status = 1
            with suppress(BaseException):
                status = transport.get(server.address).json() != {"a": 1}
            os._exit(status)
        assert os.waitpid(child, 0)[1] == 0
        assert server.connections == 2
        transport.get(server.address)
        assert server.connections == 2


def test_in_another_process(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same, as this process sees it."""
    with RawServer(answering(http())) as server:
        transport.get(server.address)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        for _ in range(2):
            transport.get(server.address)
        assert server.connections == 2


def test_threads_of_another_process(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """While one thread closes the connections of the parent, another takes none of them."""
    together, is_closing, is_served = Barrier(2), Event(), Event()
    of_parent: set[socket.socket] = set()
    reused: list[bytes] = []

    def script(server: RawServer, connection: socket.socket) -> None:
        while server.receive(connection):
            if b" /both " in server.requests[-1]:
                of_parent.add(connection)
                together.wait(10)
            elif connection in of_parent:
                reused.append(server.requests[-1])
            connection.sendall(http())

    close = Connection.close

    def close_slowly(connection: Connection) -> None:
        is_closing.set()
        is_served.wait(10)
        close(connection)

    def task(number: int) -> None:
        if number:
            is_closing.wait(10)
        transport.get(server.address)
        is_served.set()

    with RawServer(script) as server:
        at_once(lambda number: transport.get(f"{server.address}/both"), 2)
        monkeypatch.setattr(os, "getpid", lambda: -1)
        monkeypatch.setattr(Connection, "close", close_slowly)
        at_once(task, 2)
        assert not reused
        assert server.connections == 3


@pytest.mark.requirement("LG-1")
def test_malformed_header(caplog: pytest.LogCaptureFixture) -> None:
    """A line that is no header makes the answer nonsense, and is not logged: it may repeat us."""
    answer = http().replace(b"\r\n\r\n", b"\r\nno header: \r\nneither\r\nEcho: hunter2\r\n\r\n", 1)
    with (
        RawServer(answering(answer)) as server,
        pytest.raises(TenantError, match="malformed header"),
    ):
        Transport(timeout=5).post(server.address, {"code": "hunter2"})
    assert "hunter2" not in caplog.text


def test_many_at_once() -> None:
    """Threads that post at once after a pause all get their answers."""
    clock = Clock()
    with RawServer(answering(http(b'{"a": 1}'))) as server:
        transport = Transport(timeout=5, clock=clock)
        transport.get(server.address)
        clock.now += 60
        results = at_once(lambda number: transport.post(server.address, {}).json(), 8)
        assert results == [{"a": 1}] * 8


# -- the environment ---------------------------------------------------------------


@pytest.mark.requirement("UP-2")
def test_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Neither proxies, CA bundles nor ``.netrc`` of the environment are used."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with RawServer(answering(http())) as server:
        # What `requests` does by itself, lest this test prove nothing.
        with pytest.raises(requests.RequestException):
            requests.get(server.address, timeout=5)
        Transport(timeout=5).post(server.address, {"code": "c"})
        (request,) = server.requests
    assert b"Authorization" not in request


@pytest.mark.requirement("UP-2")
def test_proxy(transport: Transport) -> None:
    """A proxy of the operator is used."""
    with RawServer(answering(http(b'{"a": 1}'))) as proxy:
        transport = Transport(timeout=5, proxies={"http": proxy.address})
        assert transport.get("http://tenant.example/keys").json() == {"a": 1}
        assert proxy.requests[0].startswith(b"GET http://tenant.example/keys HTTP/1.1\r\n")


def test_proxy_that_is_down() -> None:
    """Behind a proxy that is down nobody was reached."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    transport = Transport(timeout=5, proxies={"https": f"http://127.0.0.1:{port}"})
    with pytest.raises(TenantUnreachable):
        transport.post(URL, {})


def test_proxy_that_refuses() -> None:
    """A proxy that makes no tunnel sent nothing on."""
    with RawServer(answering(http(status="403 Forbidden"))) as proxy:
        transport = Transport(timeout=5, proxies={"https": proxy.address})
        with pytest.raises(TenantUnreachable):
            transport.post(URL, {})
        with pytest.raises(TenantUnreachable):
            transport.get("https://[::1]:8443/keys")
        assert proxy.requests[0].startswith(b"CONNECT tenant.example:443 ")
        assert proxy.requests[1].startswith(b"CONNECT [::1]:8443 ")


# -- certificates ------------------------------------------------------------------


def make_certificate(folder: Path, *, days: int) -> Path:
    """A certificate for 127.0.0.1, signed by itself, with its key.

    :param days: how many are left of it.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=9))
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "certificate.pem"
    path.write_bytes(
        made.public_bytes(serialization.Encoding.PEM)
        + key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return path


def serving(certificate: Path) -> ssl.SSLContext:
    """How a server shows a certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_certificate(tmp_path_factory.mktemp("certificate"), days=1)


@pytest.fixture
def context(certificate: Path) -> ssl.SSLContext:
    return serving(certificate)


@pytest.mark.requirement("UP-7", "MD-2", "N79")
def test_certificate_that_nobody_vouches_for(
    transport: Transport, context: ssl.SSLContext
) -> None:
    """A certificate that cannot be trusted is refused before anything is sent (N79)."""
    with RawServer(answering(http()), context) as server:
        with pytest.raises(TenantUnreachable, match="certificate"):
            transport.post(server.address, {"code": "c"})
        assert server.requests == []


def old_tls(context: ssl.SSLContext) -> ssl.SSLContext:
    """Have it speak nothing newer than TLS 1.1."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    context.set_ciphers("ALL:@SECLEVEL=0")
    return context


@pytest.mark.requirement("UP-7")
def test_old_tls(certificate: Path, context: ssl.SSLContext) -> None:
    """TLS before 1.2 is not spoken: nothing is sent."""
    transport = Transport(timeout=5, ca_bundle=str(certificate))
    lenient = old_tls(ssl.create_default_context(cafile=str(certificate)))
    with RawServer(answering(http()), old_tls(context)) as server:
        # What an old client does, lest this test prove nothing.
        address = ("127.0.0.1", int(server.address.rpartition(":")[2]))
        with (
            socket.create_connection(address) as raw,
            lenient.wrap_socket(raw, server_hostname="127.0.0.1") as old,
        ):
            assert old.version() == "TLSv1.1"
        with pytest.raises(TenantError):
            transport.post(server.address, {"code": "c"})
        assert server.requests == []


@pytest.mark.requirement("UP-7", "MD-2", "N79")
def test_certificate_of_another_host(certificate: Path, context: ssl.SSLContext) -> None:
    """A certificate for another host is refused (N79)."""
    transport = Transport(timeout=5, ca_bundle=str(certificate))
    with RawServer(answering(http()), context) as server:
        with pytest.raises(TenantUnreachable, match="certificate"):
            transport.post(server.address.replace("127.0.0.1", "localhost"), {"code": "c"})
        assert server.requests == []


@pytest.mark.requirement("N79")
def test_certificate_that_expired(tmp_path: Path) -> None:
    """A certificate whose time is over is refused, whoever vouched for it (N79)."""
    expired = make_certificate(tmp_path, days=-1)
    transport = Transport(timeout=5, ca_bundle=str(expired))
    with RawServer(answering(http()), serving(expired)) as server:
        with pytest.raises(TenantUnreachable, match="certificate"):
            transport.post(server.address, {"code": "c"})
        assert server.requests == []


@pytest.mark.requirement("UP-7")
def test_own_certificate_authority(certificate: Path, context: ssl.SSLContext) -> None:
    """A certificate of the operator's own authority is trusted."""
    transport = Transport(timeout=5, ca_bundle=str(certificate))
    with RawServer(answering(http(b'{"a": 1}')), context) as server:
        assert transport.post(server.address, {"code": "c"}).json() == {"a": 1}


def test_folder_of_authorities(tmp_path: Path, context: ssl.SSLContext) -> None:
    """The operator's authorities may lie in a folder; in this one there are none."""
    transport = Transport(timeout=5, ca_bundle=str(tmp_path))
    with (
        RawServer(answering(http()), context) as server,
        pytest.raises(TenantUnreachable, match="certificate"),
    ):
        transport.get(server.address)


def test_trust_store_is_loaded_once(
    certificate: Path, context: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many connections are made, the certificate authorities are loaded once."""
    monkeypatch.setattr("flask_pkce.tenant.adapter.DEFAULT_CA_BUNDLE_PATH", str(certificate))
    made: list[ssl.SSLContext] = []
    real = ssl.create_default_context

    def make(*args: Any, **kwargs: Any) -> ssl.SSLContext:
        made.append(real(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(ssl, "create_default_context", make)
    clock = Clock()
    transport = Transport(timeout=5, clock=clock)
    with RawServer(answering(http()), context) as server:
        assert made == []
        for _ in range(2):
            results = at_once(lambda number: transport.get(server.address).status, 4)
            assert results == [200] * 4
            clock.now += MAX_IDLE + 1
        assert server.connections > 1
    assert len(made) == 1


def relay(target: str) -> Callable[[RawServer, socket.socket], None]:
    """A proxy that makes a tunnel, always to the same server."""
    port = int(target.rpartition(":")[2])

    def script(server: RawServer, connection: socket.socket) -> None:
        server.receive(connection)
        connection.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        with socket.create_connection(("127.0.0.1", port)) as onward:
            other = {connection: onward, onward: connection}
            while True:
                for each in select.select([connection, onward], [], [])[0]:
                    if not (received := each.recv(65536)):
                        return
                    other[each].sendall(received)

    return script


@pytest.mark.requirement("UP-2")
def test_tunnel_through_a_proxy(certificate: Path, context: ssl.SSLContext) -> None:
    """Through a proxy the tenant is asked within TLS, whose certificate is the tenant's."""
    with (
        RawServer(answering(http(b'{"a": 1}')), context) as server,
        RawServer(relay(server.address)) as proxy,
    ):
        transport = Transport(
            timeout=5, ca_bundle=str(certificate), proxies={"https": proxy.address}
        )
        for _ in range(2):
            assert transport.post(server.address, {"code": "c"}).json() == {"a": 1}
        host = server.address.removeprefix("https://")
        assert len(proxy.requests) == 1
        assert proxy.requests[0].startswith(f"CONNECT {host} HTTP/1.1\r\n".encode())
        assert f"\r\nHost: {host}\r\n".encode() in proxy.requests[0]
        assert [request.split()[0] for request in server.requests] == [b"POST"] * 2
        with pytest.raises(TenantUnreachable, match="certificate"):
            transport.get(server.address.replace("127.0.0.1", "localhost"))


@pytest.mark.requirement("UP-3")
def test_proxy_that_is_slow() -> None:
    """The deadline holds while a proxy makes a tunnel."""
    with RawServer(drip(b"HTTP/1.1 200 OK\r\nX-Slow: ", b"x")) as proxy:
        transport = Transport(timeout=0.3, proxies={"https": proxy.address})
        begun = time.monotonic()
        with pytest.raises(TenantUnreachable) as caught:
            transport.get(URL)
        assert time.monotonic() - begun < 0.3 + 0.5
    assert caught.value.setting == "PKCE_PROXIES"


@pytest.mark.requirement("UP-3")
def test_deadline_over_tls(certificate: Path, context: ssl.SSLContext) -> None:
    """The deadline holds within TLS too."""
    transport = Transport(timeout=0.4, ca_bundle=str(certificate))
    with RawServer(SLOW["body"], context) as server:
        begun = time.monotonic()
        with pytest.raises(TenantSilent):
            transport.get(server.address)
        assert time.monotonic() - begun < 0.4 + 0.5


# -- names of many addresses -------------------------------------------------------


@pytest.mark.requirement("UP-3")
@pytest.mark.parametrize(
    ("error", "seconds", "timeouts"),
    [
        pytest.param(TimeoutError, 3.0, [1.5, 0.75, 0.375, 0.375], id="all swallow packets"),
        pytest.param(TimeoutError, 1.0, [1.5, 1.0, 0.5, 0.5], id="all swallow for a while"),
        pytest.param(ConnectionRefusedError, 0.0, [1.5, 1.5, 1.5, 3.0], id="all refuse at once"),
    ],
)
def test_many_addresses(
    error: type[OSError], seconds: float, timeouts: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many addresses a name has, connecting takes no longer than it may, and the first
    ones leave time for the others."""
    clock = Clock(1000)
    for module in ("adapter", "connections"):
        monkeypatch.setattr(f"flask_pkce.tenant.{module}.time", SimpleNamespace(monotonic=clock))
    found = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"192.0.2.{n}", 443)) for n in range(4)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
    given: list[float] = []

    def connect(sock: socket.socket, address: tuple[str, int]) -> None:
        timeout = sock.gettimeout()
        assert timeout is not None
        given.append(timeout)
        clock.now += min(seconds, timeout)
        raise error

    monkeypatch.setattr(socket.socket, "connect", connect)
    with pytest.raises(TenantUnreachable):
        Transport(timeout=10, clock=clock).get(URL)
    assert given == pytest.approx(timeouts)
    assert clock.now <= 1003


def test_address_behind_one_that_swallows_packets(monkeypatch: pytest.MonkeyPatch) -> None:
    """A route that is broken for one address, as IPv6 often is, does not hide the next one."""
    real_connect = socket.socket.connect

    def connect(sock: socket.socket, address: tuple[str, int]) -> None:
        if address[0] == "192.0.2.1":
            time.sleep(sock.gettimeout() or 0)
            raise TimeoutError
        real_connect(sock, address)

    with RawServer(answering(http())) as server:
        port = int(server.address.rpartition(":")[2])
        found = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
            for address in ("192.0.2.1", "127.0.0.1")
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: found)
        monkeypatch.setattr(socket.socket, "connect", connect)
        monkeypatch.setattr("flask_pkce.tenant.adapter.CONNECT_TIMEOUT", 0.4)
        assert Transport(timeout=5).get(f"http://tenant.example:{port}/").status == 200


def test_second_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody listens at the first address of a name, the next one is tried."""
    with RawServer(answering(http())) as server:
        port = int(server.address.rpartition(":")[2])
        found = [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in ((socket.AF_INET6, "::1"), (socket.AF_INET, "127.0.0.1"))
        ]
        real = socket.getaddrinfo

        def getaddrinfo(host: str, *args: Any, **kwargs: Any) -> Any:
            return found if host == "localhost" else real(host, *args, **kwargs)

        monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
        assert Transport(timeout=5).get(f"http://localhost:{port}/").status == 200


def test_name_without_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that has no address, or does not exist, is a tenant that cannot be reached."""
    monkeypatch.setattr(socket, "getaddrinfo", lambda *args, **kwargs: [])
    with pytest.raises(TenantUnreachable):
        Transport(timeout=5).get(URL)

    for error in (socket.gaierror(), TimeoutError(), UnicodeError()):

        def fail(*args: Any, error: Exception = error, **kwargs: Any) -> None:
            raise error

        monkeypatch.setattr(socket, "getaddrinfo", fail)
        with pytest.raises(TenantUnreachable):
            Transport(timeout=5).get(URL)


# -- what the process runs out of ----------------------------------------------------


@contextmanager
def no_file_descriptors() -> Iterator[None]:
    """Let no file and no socket be opened."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest = os.dup(0)
    os.close(lowest)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "tenant.example"])
def test_no_file_descriptor_is_left(transport: Transport, host: str) -> None:
    """An error says what is missing, and does not blame the tenant; nothing was sent."""
    with RawServer(answering(http())) as server:
        url = server.address.replace("127.0.0.1", host)
        with no_file_descriptors(), pytest.raises(FileDescriptorsExhausted) as caught:
            transport.post(url, {"code": "c"})
        assert server.requests == []
    assert (caught.value.host, caught.value.setting) == (None, None)
    assert (caught.value.status, caught.value.retry_after) == (503, 5)


def test_resolver_without_file_descriptors(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A resolver that cannot open its files says that the name is unknown, or to try again."""

    def resolve(*args: Any, **kwargs: Any) -> None:
        raise socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with no_file_descriptors(), pytest.raises(FileDescriptorsExhausted):
        transport.get("http://tenant.example/keys")
    with pytest.raises(TenantUnreachable):
        transport.get("http://tenant.example/keys")


def test_trust_store_without_file_descriptors(transport: Transport) -> None:
    """Where the trust store cannot be opened for want of a file descriptor, it can be later."""
    for _ in range(2):
        with no_file_descriptors(), pytest.raises(FileDescriptorsExhausted):
            transport.get(URL)


def test_no_thread_can_be_started(transport: Transport, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a thread that connects, nothing was sent."""

    def start(thread: Thread) -> None:
        raise RuntimeError("can't start new thread")

    with RawServer(answering(http())) as server:
        monkeypatch.setattr(Thread, "start", start)
        with pytest.raises(TenantUnreachable):
            transport.post(server.address, {"code": "c"})
        monkeypatch.undo()


# -- what the doctor and the log need ------------------------------------------------


def test_visit(transport: Transport, mocked: requests_mock.Mocker) -> None:
    """A page is opened as a browser does it, and where a redirect leads is told, not fetched."""
    elsewhere = mocked.get("https://app.example/done", text="done")
    mocked.get(
        URL,
        status_code=302,
        headers={"Location": "https://app.example/done", "Set-Cookie": "a=b"},
    )
    for _ in range(2):
        answer = transport.visit(URL)
        assert (answer.status, answer.headers["Location"]) == (302, "https://app.example/done")
    assert elsewhere.call_count == 0
    for request in mocked.request_history:
        assert request.headers["Accept"] == "text/html"
        assert "Cookie" not in request.headers
    mocked.get(URL, text="{}")
    transport.get(URL)
    assert mocked.request_history[-1].headers["Accept"] == "application/json"


@pytest.mark.parametrize(
    ("answer", "setting"),
    [
        ({"exc": requests.ConnectTimeout}, "PKCE_DOMAIN"),
        ({"exc": requests.ReadTimeout}, "PKCE_DOMAIN"),
        ({"exc": requests.exceptions.ProxyError}, "PKCE_PROXIES"),
        ({"status_code": 302}, "PKCE_DOMAIN"),
    ],
)
def test_where_it_failed(
    answer: dict[str, Any], setting: str, transport: Transport, mocked: requests_mock.Mocker
) -> None:
    """An error knows which host was called and which setting to look at, for the log alone."""
    mocked.get("https://tenant.example:8443/keys?secret=1", **answer)
    with pytest.raises(TenantError) as caught:
        transport.get("https://tenant.example:8443/keys?secret=1")
    assert (caught.value.host, caught.value.setting) == ("tenant.example:8443", setting)
    assert "tenant.example" not in str(caught.value)
