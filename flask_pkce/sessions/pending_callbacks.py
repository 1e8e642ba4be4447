"""Answers that wait for the browser which brought them, each under a ticket that is used once."""

from __future__ import annotations

import hashlib
import os
import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

from ..protocol.authorization import CallbackParameters
from ..protocol.pkce import base64url
from .flow import Failure
from .records import Records

#: Seconds that an answer waits for its browser to fetch it.
ANSWER_LIFETIME = 60
#: Answers that one process keeps at most, and the bytes that they take in the store.
MAX_ANSWERS = 20_000
MAX_ANSWER_BYTES = 16 * 1024 * 1024
#: Bytes of a ticket.
_TICKET_BYTES = 32


@dataclass(frozen=True)
class Ticket:
    """What fetches an answer, once."""

    value: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class PendingCallback:
    """An answer on its way to the clean address, and its failure, if that is yet to be told."""

    answer: CallbackParameters
    failure: Failure | None = None


@dataclass(frozen=True)
class _Kept:
    """What this process knows of an answer that it has stored."""

    size: int
    expires_at: float


class PendingCallbacks:
    """The answers that wait, for one blueprint in one application.

    Any site can post answers to the callback, so each process bounds the number and the bytes of
    those that it has stored.  At the limit the oldest gives way to the new one: a browser fetches
    its answer at once, while those of a flood wait in vain.  An answer leaves the count when this
    process takes it, or when it expires.  One that another process has taken leaves the count
    when it expires, or as the oldest at the limit; the store has nothing left of it then, so that
    nothing is lost.

    :param namespace: the blueprint's name; it begins every key.
    :param clock: returns Unix seconds.
    :param limit: answers that this process keeps at most.
    :param byte_limit: the bytes that they take in the store at most; a single answer is always
        kept.
    """

    def __init__(
        self,
        records: Records,
        *,
        namespace: str,
        clock: Callable[[], float],
        limit: int = MAX_ANSWERS,
        byte_limit: int = MAX_ANSWER_BYTES,
    ) -> None:
        self._records = records
        self._namespace = namespace
        self._clock = clock
        self._limit = limit
        self._byte_limit = byte_limit
        self._lock = threading.Lock()
        #: By their keys in the store, oldest first.
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self._bytes = 0

    def keep(self, answer: CallbackParameters, *, failure: Failure | None = None) -> Ticket:
        """Keep an answer for the browser that brought it.

        :param failure: what came of the answer, if its browser is still to be told.
        :return: its ticket, of which only the hash is kept.
        """
        ticket = Ticket(base64url(os.urandom(_TICKET_BYTES)))
        key, expires_at = self._key(ticket), self._clock() + ANSWER_LIFETIME
        held = self._records.add(
            key, PendingCallback(answer=answer, failure=failure), expires_at=expires_at
        )
        size = 0 if held is None else len(held.raw)
        for oldest in self._count(key, _Kept(size, expires_at)):
            self._records.delete(oldest)
        return ticket

    def take(self, ticket: Ticket) -> PendingCallback | None:
        """The answer of a ticket, to one caller only; None if it was taken or is too old."""
        key = self._key(ticket)
        kept = self._records.take(key, PendingCallback)
        with self._lock:
            self._forget(key)
        return kept

    def _count(self, key: str, new: _Kept) -> list[str]:
        """Count an answer that was stored; return the keys of those that give way to it."""
        give_way = []
        with self._lock:
            self._kept[key] = new
            self._bytes += new.size
            while (oldest := next(iter(self._kept))) != key:
                is_over = self._kept[oldest].expires_at <= self._clock()
                if not is_over:
                    if len(self._kept) <= self._limit and self._bytes <= self._byte_limit:
                        break
                    give_way.append(oldest)
                self._forget(oldest)
        return give_way

    def _forget(self, key: str) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= kept.size

    def _key(self, ticket: Ticket) -> str:
        digest = hashlib.sha256(ticket.value.encode()).digest()
        return f"{self._namespace}:a:{base64url(digest)}"
