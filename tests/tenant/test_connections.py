"""The adapter below requests: how a response is read, what is none, and how connections are made.

What it does for whoever calls the tenant is in `test_transport`.
"""

from __future__ import annotations

import socket
import time
import traceback

import pytest

from flask_pkce.errors import TenantError, TenantSilent, TenantUnreachable
from flask_pkce.tenant.connections import MAX_HEADER
from flask_pkce.tenant.transport import Transport
from tests.support import RawServer, answering, http


@pytest.fixture
def transport() -> Transport:
    return Transport(timeout=5)


@pytest.mark.parametrize(
    "line", ["HTTP/2 200 OK", "HTTP/1.1 20 OK", "HTTP/1.1 600 OK", "HTTP/1.1 200OK", "", "200 OK"]
)
def test_odd_status_line(line: str, transport: Transport) -> None:
    """What does not begin as an answer of HTTP/1 is none."""
    answer = f"{line}\r\nContent-Length: 2\r\n\r\n{{}}".encode()
    with RawServer(answering(answer)) as server, pytest.raises(TenantSilent):
        transport.get(server.address)


@pytest.mark.requirement("UP-4", "UP-6")
@pytest.mark.parametrize(
    "header",
    [
        "Content-Length: 2, 3",
        "Content-Length: +2",
        "Content-Length: \u00b2",
        "Content-Length: 2\r\nContent-Length: 3",
        "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked ",
        "Transfer-Encoding: chunked\t",
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        " Folded: 1",
        "Space : 1",
        "Nul: \0",
        ": none",
        "\r\n".join(f"X-{number}: 1" for number in range(101)),
        "X-Long: " + "x" * 65536,
    ],
    ids=lambda header: repr(header)[:50],
)
def test_odd_header(header: str) -> None:
    """A header that two programs could read in two ways makes the answer nonsense."""
    answer = b"HTTP/1.1 200 OK\r\n" + header.encode("latin-1") + b"\r\n\r\n{}"
    with RawServer(answering(answer)) as server, pytest.raises(TenantError, match="header"):
        Transport(timeout=5).get(server.address)


@pytest.mark.requirement("UP-4")
@pytest.mark.parametrize("size", ["", "2 2", "x", "-2", "-" + "9" * 30, "1" * 70_000])
def test_odd_chunk(size: str) -> None:
    """What is no size of a chunk makes the answer nonsense."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = head + size.encode() + b"\r\n{}\r\n0\r\n\r\n"
    with RawServer(answering(answer)) as server, pytest.raises(TenantError, match="chunk"):
        Transport(timeout=5).get(server.address)


@pytest.mark.requirement("UP-4")
@pytest.mark.parametrize("size", ["-1", "3", "100000002"])
def test_chunk_without_an_end(size: str) -> None:
    """A chunk that does not end, be it ``-1`` bytes long, ends with the deadline."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = head + size.encode() + b"\r\n{}"
    with RawServer(answering(answer)) as server, pytest.raises(TenantSilent):
        Transport(timeout=0.2).get(server.address)


HEAD = b"HTTP/1.1 200 OK\r\n"
FITS = MAX_HEADER - 200
END = b"\r\nContent-Length: 2\r\n\r\n{}"


@pytest.mark.requirement("UP-4", "LG-1")
@pytest.mark.parametrize(
    "answer",
    [
        HEAD + b"X:" + b" " * FITS + b"\0" + END,
        HEAD + b"X:" + b" " * 800 + b"\0" + END,
        HEAD + b"X: hunter2" + b"\r" * FITS + END,
        HEAD + b"X:" + b":\r" * (FITS // 2) + END,
        HEAD + b"X: 1\r\n" + b" folded\r\n" * 90 + END,
        # Quadratic in Python's `email` package, which reads the parameters of these.
        HEAD + b'Content-Type: multipart/x;"' + b";" * FITS + END,
        HEAD + b"Content-Type: multipart/x;" + b'\\";' * (FITS // 3) + END,
        HEAD + b'Content-Type: multipart/x;"' + b";" * 65_000 + END,
        # Raises ValueError there.
        HEAD + b"Content-Type: multipart/x; boundary*" + b"1" * 5000 + b"*=hunter2" + END,
        HEAD + b"Content-Type: multipart/x; boundary*=a\0b'en'hunter2" + END,
        b"HTTP/1.1 100 Continue\r\n\r\n" * 100_000,
        b"HTTP/1.1 103 Early Hints\r\nLink: </hunter2>\r\n\r\n" * 100_000,
        HEAD + b"X: 1\r\n" * 100_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + b"1\r\nx\r\n" * 400_000,
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"X: hunter2\r\n" * 200_000,
    ],
    ids=[
        *("blanks", "800 blanks", "carriage returns", "colons", "folds", "parameters", "quotes"),
        *("64 KiB", "a long number", "a NUL", "continue", "hints", "headers", "chunks"),
        "trailers",
    ],
)
def test_hostile_answer(answer: bytes) -> None:
    """The worst that a tenant can send costs well under a second, and is not quoted."""
    with RawServer(answering(answer)) as server:
        transport = Transport(timeout=5)
        begun = time.thread_time()
        with pytest.raises(TenantError, match=r"malformed|too large") as caught:
            transport.get(server.address)
        assert time.thread_time() - begun < 0.8
    assert "hunter2" not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize(("size", "fits"), [(MAX_HEADER, True), (MAX_HEADER + 1, False)])
def test_largest_header(size: int, fits: bool, transport: Transport) -> None:
    """A header has at most 16 KiB."""
    rest = b"Content-Length: 2\r\n\r\n"
    answer = HEAD + b"X: " + b"x" * (size - len(HEAD + rest) - 5) + b"\r\n" + rest + b"{}"
    assert answer.index(b"{}") == size
    with RawServer(answering(answer)) as server:
        if fits:
            assert transport.get(server.address).body == b"{}"
        else:
            with pytest.raises(TenantError, match="header of the tenant's answer is too large"):
                transport.get(server.address)


@pytest.mark.parametrize(
    ("answer", "body", "connections"),
    [
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}", 1),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: Chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", b"{}", 1),
        (
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n"
            b"2\r\n{}\r\n0\r\nTrailer: 1\r\n\r\n",
            b"{}",
            2,
        ),
        (b"HTTP/1.1 204 No Content\r\n\r\n", b"", 1),
        (b"HTTP/1.1 204\r\nTransfer-Encoding: chunked\r\n\r\n", b"", 1),
        (b"HTTP/1.1 200 OK\nContent-Length:2\n\n{}", b"{}", 1),
        (b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 2\r\n\r\n{}", b"{}", 2),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"{}", 2),
        (
            b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n"
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
            b"{}",
            1,
        ),
    ],
    ids=[
        *("length", "chunks", "both", "nothing", "nothing in chunks", "bare newlines", "close"),
        *("old", "hints"),
    ],
)
def test_framing(answer: bytes, body: bytes, connections: int, transport: Transport) -> None:
    """Where a body ends is told by its header, and so is whether the connection goes on."""
    with RawServer(answering(answer)) as server:
        assert [transport.get(server.address).body for _ in range(2)] == [body] * 2
        assert server.connections == connections


def test_body_until_the_end(transport: Transport) -> None:
    """A body that is not told to be shorter ends with its connection."""

    def script(server: RawServer, connection: socket.socket) -> None:
        server.receive(connection)
        connection.sendall(b"HTTP/1.1 200 OK\r\n\r\n{}")

    with RawServer(script) as server:
        assert [transport.get(server.address).body for _ in range(2)] == [b"{}"] * 2
        assert server.connections == 2


def test_headers_of_one_name(transport: Transport) -> None:
    """Headers of one name are one, whatever their case."""
    with RawServer(answering(http(b"{}", "X-A: 1", "x-a:  2 "))) as server:
        assert transport.get(server.address).headers["X-a"] == "1, 2"


# -- proxies ---------------------------------------------------------------------


@pytest.mark.requirement("UP-2")
def test_proxy_with_a_password() -> None:
    """What a proxy asks for is told to the proxy."""
    with RawServer(answering(http(b"{}"))) as proxy:
        address = proxy.address.replace("//", "//user:secret@")
        transport = Transport(timeout=5, proxies={"http": address, "https": address})
        transport.get("http://tenant.example/keys")
        with pytest.raises(TenantUnreachable):
            # It answers as a server, and then speaks no TLS.
            transport.get("https://tenant.example/keys")
    plain, tunnel = proxy.requests[:2]
    assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n" in plain
    assert b"Proxy-Authorization: Basic dXNlcjpzZWNyZXQ=\r\n" in tunnel
    assert tunnel.startswith(b"CONNECT tenant.example:443 ")
