"""An answer of HTTP/1, read from a socket within a deadline.

:rfc:`9112`
"""

from __future__ import annotations

import http.client
import io
import math
import re
import socket
import time
from typing import Any

from requests.structures import CaseInsensitiveDict

from .errors import TenantError

#: Bytes of an answer's body.
MAX_BODY = 1024 * 1024

_MAX_LINE = 64 * 1024
_MAX_HEADERS = 100
_STATUS_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9]{2})(?: [^\r\n]*)?\r?\n")
_CHUNK = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?\r?\n")
_HEADER = re.compile(r"([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([^\r\n\0]*?)[ \t]*\r?\n")


class _DeadlineReader(io.RawIOBase):
    """Reads from a socket until a time is over.

    The timeout of a socket starts anew with every byte; this one does not.

    :param deadline: monotonic seconds.
    """

    def __init__(self, sock: socket.socket, deadline: float) -> None:
        self._sock = sock
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        set_timeout(self._sock, self._deadline)
        return self._sock.recv_into(buffer)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """What :class:`http.client.HTTPResponse` asks its socket for."""
        return io.BufferedReader(self)


def set_timeout(sock: socket.socket, deadline: float) -> None:
    """Let the next step on a socket end with the deadline.

    :raises TimeoutError: if it is over.
    """
    if deadline == math.inf:
        sock.settimeout(None)
        return
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("the deadline is over")
    sock.settimeout(left)


class Answer(http.client.HTTPResponse):
    """An answer whose header is read strictly, and not by the parser of mail."""

    #: Those of one name are joined by commas.
    fields: CaseInsensitiveDict[str]
    #: Whether it is of HTTP/1.0, where connections end by themselves.
    is_old: bool

    def begin(self) -> None:
        """Read the header.

        :raises TenantError: if it has a line that is no header, which is not quoted: it may
            repeat what was sent.
        """
        self.status = 100
        # What comes before the answer itself, such as Early Hints.
        while self.status < 200:
            match = _STATUS_LINE.fullmatch(self.fp.readline(_MAX_LINE))
            if match is None:
                raise http.client.BadStatusLine("no status line of HTTP/1.1")
            self.is_old, self.status = match[1] == b"0", int(match[2])
            self.fields = self._read_fields()
        self._read_framing()

    def _read_fields(self) -> CaseInsensitiveDict[str]:
        fields: CaseInsensitiveDict[str] = CaseInsensitiveDict()
        for _ in range(_MAX_HEADERS):
            line = self.fp.readline(_MAX_LINE).decode("latin-1")
            if line in {"\r\n", "\n"}:
                return fields
            match = _HEADER.fullmatch(line)
            if match is None:
                raise TenantError("The tenant's answer has a malformed header.")
            name, value = match.groups()
            fields[name] = f"{fields[name]}, {value}" if name in fields else value
        raise TenantError("The tenant's answer has too many headers.")

    def _read_next_chunk_size(self) -> int:
        """How large the next chunk is; Python's own reads ``-1`` and ``0x2``, too.

        :rfc:`9112#section-7.1`
        """
        match = _CHUNK.fullmatch(self.fp.readline(_MAX_LINE))
        if match is None:
            raise TenantError("The tenant's answer has a malformed chunk.")
        return int(match[1], 16)

    def _read_framing(self) -> None:
        """Where the body ends, and whether the connection does.

        :rfc:`9112#section-6.3`
        """
        coding, length = (self.fields.get(n) for n in ("Transfer-Encoding", "Content-Length"))
        self.chunked = coding is not None
        self.chunk_left = None
        self.length = None
        if coding is not None and coding.lower() != "chunked":
            raise TenantError("The tenant's answer has a malformed header.")
        if self.status in {204, 304}:
            self.chunked, self.length = False, 0
        elif coding is None and length is not None:
            if not (length.isascii() and length.isdigit() and len(length) < 20):
                raise TenantError("The tenant's answer has a malformed header.")
            self.length = int(length)
        has_end = self.length is not None or (self.chunked and length is None)
        connection = self.fields.get("Connection", "").lower()
        self.will_close = self.is_old or "close" in connection or not has_end


def receive(sock: socket.socket, deadline: float) -> tuple[Answer, bytes]:
    """An answer and its body, of which not much more is read than is allowed.

    :param deadline: monotonic seconds.
    :raises TimeoutError: if it is over.
    :raises TenantError: if the header is malformed.
    :raises http.client.HTTPException: if anything else is.
    """
    reader: Any = _DeadlineReader(sock, deadline)
    answer = Answer(reader)
    answer.begin()
    body = answer.read(MAX_BODY + 1)
    if answer.length and len(body) <= MAX_BODY:
        raise http.client.IncompleteRead(b"", answer.length)
    return answer, body
