"""``Prefer: wait``: how long a caller of the local session may wait, and how many at once.

:rfc:`7240#section-4.3`
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from flask import Request

#: Seconds that one request may wait.
MAX_WAIT = 25

#: Held by the one request of this process that waits: the server may have only two threads.
_waiting = threading.Lock()


def wished_wait(request: Request) -> int:
    """Return the seconds that the caller wishes to wait, at most 25.

    :return: 0 if the caller has no such wish, or a malformed one.
    """
    for preference in request.headers.get("Prefer", "").split(","):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() == "wait":
            seconds = value.strip().strip('"')
            is_number = seconds.isascii() and seconds.isdigit() and len(seconds) <= 9
            return min(int(seconds), MAX_WAIT) if is_number else 0
    return 0


@contextmanager
def place_to_wait(request: Request) -> Iterator[bool]:
    """Hold the place of the one waiting request; False if the answer has to come at once.

    A server of one thread has no such place: no other request could bring what this one waits for.
    """
    granted = bool(request.environ.get("wsgi.multithread")) and _waiting.acquire(blocking=False)
    try:
        yield granted
    finally:
        if granted:
            _waiting.release()
