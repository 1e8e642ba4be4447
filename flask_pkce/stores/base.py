"""What a store is, and how to write one.

A store keeps bytes under a key for some seconds.
It knows nothing of what the bytes mean, so a database, a cache or a service of the host's own can
be one: derive from `Store`, write the five verbs, and run the suite of
`flask_pkce.testing.store_suite` on it.

Three promises carry the library:

Each verb is atomic
    Of any number of callers at once, in threads, processes or machines that share the store, one
    `add` of a key succeeds, one `take` gets the value, and of several `replace` with the same
    ``old`` one succeeds.  A verb that reads first and writes afterwards breaks this.

A value past its time is absent
    For every verb, from the moment on, whether or not the store removed it already.

Nothing fails silently
    What stops a store from answering is a `~flask_pkce.errors.StoreError`, with the exception of
    the driver chained to it; where the process has no file descriptors left, it may be a
    `~flask_pkce.errors.FileDescriptorsExhausted`.  A value that is absent is never a guess.

A key is text that UTF-8 can encode, of 1 to 512 bytes; two keys are one only if all their
characters are.
A value is any bytes, the empty ones too; those that come back are those that were given.
A store is used by many threads at once.
"""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from typing import ClassVar

#: The default prefix of keys on a server that other applications may use too.
DEFAULT_PREFIX = "flask_pkce:"

#: Seconds between the first two looks of a `Store.wait` that polls.
FIRST_PAUSE = 0.02

#: Seconds between two looks at most: what a waiting caller may learn too late.
LONGEST_PAUSE = 0.5


class Store(ABC):
    """Bytes under a key for some seconds."""

    #: Whether other processes on this machine see what this one keeps.
    #: A store that lives in the memory of one process says ``False``.
    shared_by_processes: ClassVar[bool] = True

    def open(self) -> None:  # noqa: B027 - a store may have nothing to open
        """Make sure that the store can be used; called once, when the extension is registered.

        That is before a server forks its workers, so nothing may stay open that two processes
        must not share: connect, check, and disconnect again.

        :raises StoreError: if the store cannot be read and written, saying why.
        """

    def close(self) -> None:  # noqa: B027 - a store may have nothing to close
        """Give back what the store holds in this process, such as connections.

        A second call does nothing.
        """

    @abstractmethod
    def get(self, key: str) -> bytes | None:
        """Return the value, or ``None`` if there is none.

        :raises StoreError: if the store cannot answer.
        """

    @abstractmethod
    def add(self, key: str, value: bytes, ttl: float) -> bool:
        """Keep a value if the key has none.

        :param ttl: seconds to live, more than 0.
        :return: whether this call is the one that added.
        :raises ValueError: if ``ttl`` is out of range; see `validate_ttl`.
        :raises StoreError: if the store cannot answer.
        """

    @abstractmethod
    def replace(self, key: str, old: bytes, new: bytes, ttl: float) -> bool:
        """Put a new value in place of an old one, if it is still there unchanged.

        This is compare-and-set: read with `get`, work out the new value, and begin again
        if ``False`` comes back.

        :param old: what `get` returned, compared byte for byte.
        :param ttl: seconds that the new value lives, more than 0, counted from now.
        :return: whether the value was replaced.
        :raises ValueError: if ``ttl`` is out of range; see `validate_ttl`.
        :raises StoreError: if the store cannot answer.
        """

    @abstractmethod
    def take(self, key: str) -> bytes | None:
        """Remove the value and return it, to one caller only; ``None`` if there is none.

        :raises StoreError: if the store cannot answer.
        """

    @abstractmethod
    def delete(self, key: str) -> bool:
        """Remove the value.

        :return: whether this call is the one that removed it.
        :raises StoreError: if the store cannot answer.
        """

    def wait(self, key: str, seen: bytes | None, timeout: float) -> bytes | None:
        """Return the value as soon as it differs from ``seen``, or after ``timeout`` seconds.

        A value that is added, replaced, removed or past its time differs.
        This one looks again and again, at growing intervals; a store that is told of changes
        does better.

        :param seen: the value that the caller knows, ``None`` if there was none.
        :param timeout: seconds of real time to wait at most; with 0 or less this is `get`.
        :return: the value at the end, which is ``seen`` if nothing happened.
        :raises StoreError: if the store cannot answer.
        """
        deadline = time.monotonic() + timeout
        pause = FIRST_PAUSE
        while (value := self.get(key)) == seen and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(pause, left))
            pause = min(pause * 1.5, LONGEST_PAUSE)
        return value


def validate_ttl(ttl: float) -> None:
    """Refuse a time to live that is none, for a store to call first in `add` and `replace`.

    :param ttl: seconds to live.
    :raises ValueError: if it is not more than 0, or not finite.
    """
    if not 0 < ttl < math.inf:
        raise ValueError(f"ttl must be a number of seconds above 0, not {ttl!r}")
