"""Answers under tickets: kept for a minute, and taken once."""

from __future__ import annotations

import pytest

from flask_pkce import MemoryStore
from flask_pkce.engine import CODECS
from flask_pkce.errors import CodeSpent
from flask_pkce.flow import Failure
from flask_pkce.protocol.authorization import Answer
from flask_pkce.records import Records
from flask_pkce.sealing import Sealing
from flask_pkce.tickets import KeptAnswer, Tickets
from tests.support import ISSUER, SECRET_KEY, Clock, at_once

ANSWER = Answer(state="s", code="the-code", iss=ISSUER)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock=clock)


@pytest.fixture
def tickets(store: MemoryStore, clock: Clock) -> Tickets:
    records = Records(store, Sealing([SECRET_KEY]), CODECS, clock=clock)
    return Tickets(records, namespace="pkce", clock=clock)


@pytest.mark.parametrize("failure", [None, Failure.of(CodeSpent())], ids=["none", "failure"])
def test_answer(failure: Failure | None, tickets: Tickets, store: MemoryStore) -> None:
    """An answer is kept under a ticket, with what came of it, and taken once."""
    ticket = tickets.keep(ANSWER, failure=failure)
    assert len(ticket) == 43
    assert ticket not in repr(store._entries)
    kept = KeptAnswer(answer=ANSWER, failure=failure)
    assert tickets.peek(ticket) == tickets.take(ticket) == kept
    assert tickets.peek(ticket) is tickets.take(ticket) is None


def test_answer_that_nobody_fetched(tickets: Tickets, clock: Clock) -> None:
    """An answer waits a minute."""
    ticket, late = tickets.keep(ANSWER), tickets.keep(ANSWER)
    clock.now += 59
    assert tickets.take(ticket) == KeptAnswer(answer=ANSWER)
    clock.now += 1
    assert tickets.take(late) is None


@pytest.mark.requirement("ST-4")
def test_answer_is_taken_by_one(tickets: Tickets) -> None:
    """However many bring the ticket, one gets the answer."""
    ticket = tickets.keep(ANSWER)
    taken = at_once(lambda _: tickets.take(ticket), 8)
    assert len([answer for answer in taken if answer is not None]) == 1


@pytest.mark.parametrize("ticket", ["", "x", "é", "A" * 43])
def test_unknown_ticket(ticket: str, tickets: Tickets) -> None:
    """A ticket that was made up gets nothing."""
    tickets.keep(ANSWER)
    assert tickets.take(ticket) is None
