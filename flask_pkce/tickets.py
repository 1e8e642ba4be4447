"""Answers that wait for the browser which brought them, each under a ticket that is used once."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from .flow import Failure
from .protocol.authorization import Answer
from .protocol.pkce import base64url
from .records import Records

#: Seconds that an answer waits for its browser to fetch it.
ANSWER_LIFETIME = 60
#: Bytes of a ticket.
_TICKET_BYTES = 32


@dataclass(frozen=True, kw_only=True)
class KeptAnswer:
    """An answer on its way to the clean address, and its failure, if that is yet to be told."""

    answer: Answer
    failure: Failure | None = None


class Tickets:
    """The answers that wait, for one blueprint in one application.

    :param namespace: the blueprint's name; it begins every key.
    :param clock: returns Unix seconds.
    """

    def __init__(self, records: Records, *, namespace: str, clock: Callable[[], float]) -> None:
        self._records = records
        self._namespace = namespace
        self._clock = clock

    def keep(self, answer: Answer, *, failure: Failure | None = None) -> str:
        """Keep an answer for the browser that brought it.

        :param failure: what came of the answer, if its browser is still to be told.
        :return: its ticket, of which only the hash is kept.
        """
        ticket = base64url(os.urandom(_TICKET_BYTES))
        self._records.add(
            self._key(ticket),
            KeptAnswer(answer=answer, failure=failure),
            expires_at=self._clock() + ANSWER_LIFETIME,
        )
        return ticket

    def peek(self, ticket: str) -> KeptAnswer | None:
        """The answer of a ticket, which stays."""
        held = self._records.get(self._key(ticket), KeptAnswer)
        return None if held is None else held.value

    def take(self, ticket: str) -> KeptAnswer | None:
        """The answer of a ticket, to one caller only; None if it was taken or is too old."""
        return self._records.take(self._key(ticket), KeptAnswer)

    def _key(self, ticket: str) -> str:
        digest = hashlib.sha256(ticket.encode()).digest()
        return f"{self._namespace}:a:{base64url(digest)}"
