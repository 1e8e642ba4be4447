"""``Prefer: wait``: how long a request may wait, and how many at once.

:rfc:`7240#section-4.3`
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Request

#: Seconds that one request may wait.
MAX_WAIT = 25
#: Requests that may wait at once in one process: it may have no more than two threads.
MAX_WAITERS = 1

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?([0-9]{1,9})\"?\s*(?:$|[,;])", re.IGNORECASE)


def wished_wait(request: Request) -> int:
    """Seconds that the caller wishes to wait, at most 25; 0 for none, or what is malformed."""
    match = _WAIT.search(request.headers.get("Prefer", ""))
    return min(int(match[1]), MAX_WAIT) if match else 0


class Waiters:
    """The requests of one process that wait."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._sessions: set[str] = set()

    @contextmanager
    def place(self, session_key: str, request: Request) -> Iterator[bool]:
        """A place to wait in, or False: then the answer comes at once."""
        with self._lock:
            granted = (
                bool(request.environ.get("wsgi.multithread"))
                and len(self._sessions) < MAX_WAITERS
                and session_key not in self._sessions
            )
            if granted:
                self._sessions.add(session_key)
        try:
            yield granted
        finally:
            if granted:
                with self._lock:
                    self._sessions.discard(session_key)
