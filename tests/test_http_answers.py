"""How an answer is read: what ends it, and what is none.  It comes from sockets on loopback."""

from __future__ import annotations

import socket

import pytest

from flask_pkce.errors import TenantError, TenantSilent
from flask_pkce.transport import Transport
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
@pytest.mark.parametrize("size", ["-1", "-2", "+2", "0x2", "0_2", "", "2 2", "100000002"])
def test_odd_chunk(size: str) -> None:
    """The size of a chunk is hexadecimal digits and nothing else: ``-1`` has no end."""
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    answer = head + size.encode() + b"\r\n{}\r\n0\r\n\r\n"
    with RawServer(answering(answer)) as server, pytest.raises(TenantError, match="chunk"):
        Transport(timeout=5).get(server.address)


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
