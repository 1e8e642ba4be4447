"""A store in the memory of one process, for tests and for servers of a single process."""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from typing import ClassVar, NamedTuple
from weakref import WeakValueDictionary

from .base import Store, validate_ttl

#: Entries past their time that one write removes at most: more than it adds, so they die out.
PURGE_STEP = 4

#: Expiries noted for entries that are gone, tolerated besides one for each that is there.
STALE_EXPIRIES = 64


class Entry(NamedTuple):
    """A value and the moment of the store's clock at which it is over."""

    value: bytes
    expires_at: float


class MemoryStore(Store):
    """Keeps values in a dictionary, under one lock.

    Another process has other values, and a restart loses them.
    `close` forgets them.

    :param clock: returns the time in seconds.
    """

    shared_by_processes: ClassVar[bool] = False

    def __init__(self, *, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        # A heap.  A replaced or deleted entry leaves its expiry behind, see `_purge`.
        self._expiries: list[tuple[float, str]] = []
        # One condition for each key that somebody waits for.  Only those who wait hold it, so it
        # goes when the last of them does.
        self._changes: WeakValueDictionary[str, threading.Condition] = WeakValueDictionary()

    def close(self) -> None:
        with self._lock:
            self._entries.clear()
            self._expiries.clear()
            for change in self._changes.values():
                change.notify_all()

    def get(self, key: str) -> bytes | None:
        with self._lock:
            return self._value(key)

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        validate_ttl(ttl)
        with self._lock:
            if self._entry(key) is not None:
                return False
            self._put(key, value, ttl)
            return True

    def replace(self, key: str, old: bytes, new: bytes, ttl: float) -> bool:
        validate_ttl(ttl)
        with self._lock:
            if self._value(key) != old:
                return False
            self._put(key, new, ttl)
            return True

    def take(self, key: str) -> bytes | None:
        with self._lock:
            value = self._value(key)
            self._remove(key)
            return value

    def delete(self, key: str) -> bool:
        return self.take(key) is not None

    def wait(self, key: str, seen: bytes | None, timeout: float) -> bytes | None:
        deadline = time.monotonic() + timeout
        with self._lock:
            change = self._changes.setdefault(key, threading.Condition(self._lock))
            while (value := self._value(key)) == seen:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                change.wait(min(left, self._lifetime(key)))
            return value

    # -- with the lock held ---------------------------------------------------

    def _entry(self, key: str) -> Entry | None:
        entry = self._entries.get(key)
        return entry if entry is not None and entry.expires_at > self._clock() else None

    def _value(self, key: str) -> bytes | None:
        entry = self._entry(key)
        return None if entry is None else entry.value

    def _lifetime(self, key: str) -> float:
        """Seconds after which a look is due although nobody changes anything."""
        entry = self._entry(key)
        # Never 0, or a clock that stands still would make `wait` spin.
        return (
            threading.TIMEOUT_MAX if entry is None else max(entry.expires_at - self._clock(), 0.01)
        )

    def _put(self, key: str, value: bytes, ttl: float) -> None:
        now = self._clock()
        self._entries[key] = Entry(value, now + ttl)
        heapq.heappush(self._expiries, (now + ttl, key))
        self._purge(now)
        self._notify(key)

    def _remove(self, key: str) -> None:
        self._entries.pop(key, None)
        self._notify(key)

    def _notify(self, key: str) -> None:
        change = self._changes.get(key)
        if change is not None:
            change.notify_all()

    def _purge(self, now: float) -> None:
        """Remove some of what is past its time."""
        for _ in range(PURGE_STEP):
            if not self._expiries or self._expiries[0][0] > now:
                break
            expires_at, key = heapq.heappop(self._expiries)
            entry = self._entries.get(key)
            if entry is not None and entry.expires_at == expires_at:
                del self._entries[key]
        # A long-lived entry that is replaced often would fill the heap.  Making it anew costs no
        # more than the writes did that made it necessary.
        if len(self._expiries) > 2 * len(self._entries) + STALE_EXPIRIES:
            self._expiries = [(entry.expires_at, key) for key, entry in self._entries.items()]
            heapq.heapify(self._expiries)
