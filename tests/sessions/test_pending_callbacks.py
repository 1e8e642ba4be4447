"""Answers under tickets: kept for a minute, and taken once."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from flask_pkce import MemoryStore
from flask_pkce.errors import CodeSpent
from flask_pkce.protocol.authorization import CallbackParameters
from flask_pkce.relying_party.relying_party import CODECS
from flask_pkce.sessions.encryption import Encryption
from flask_pkce.sessions.flow import Failure
from flask_pkce.sessions.pending_callbacks import PendingCallback, PendingCallbacks, Ticket
from flask_pkce.sessions.records import Records
from tests.support import ISSUER, SECRET_KEY, Clock, at_once

ANSWER = CallbackParameters(state="s", code="the-code", iss=ISSUER)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MemoryStore:
    return MemoryStore(clock=clock)


MakeTickets = Callable[..., PendingCallbacks]


@pytest.fixture
def make_tickets(store: MemoryStore, clock: Clock) -> MakeTickets:
    """Make the tickets of one process; all of them have the same store."""

    def make(**limits: int) -> PendingCallbacks:
        records = Records(store, Encryption([SECRET_KEY]), CODECS, clock=clock)
        return PendingCallbacks(records, namespace="pkce", clock=clock, **limits)

    return make


@pytest.fixture
def pending_callbacks(make_tickets: MakeTickets) -> PendingCallbacks:
    return make_tickets()


@pytest.mark.parametrize("failure", [None, Failure.of(CodeSpent())], ids=["none", "failure"])
def test_answer(
    failure: Failure | None, pending_callbacks: PendingCallbacks, store: MemoryStore
) -> None:
    """An answer is kept under a ticket, with what came of it, and taken once."""
    ticket = pending_callbacks.keep(ANSWER, failure=failure)
    assert len(ticket.value) == 43
    assert ticket.value not in repr(store._entries)
    kept = PendingCallback(answer=ANSWER, failure=failure)
    assert pending_callbacks.take(ticket) == kept
    assert pending_callbacks.take(ticket) is None


def test_answer_that_nobody_fetched(pending_callbacks: PendingCallbacks, clock: Clock) -> None:
    """An answer waits a minute."""
    ticket, late = pending_callbacks.keep(ANSWER), pending_callbacks.keep(ANSWER)
    clock.now += 59
    assert pending_callbacks.take(ticket) == PendingCallback(answer=ANSWER)
    clock.now += 1
    assert pending_callbacks.take(late) is None


@pytest.mark.requirement("ST-4")
def test_answer_is_taken_by_one(pending_callbacks: PendingCallbacks) -> None:
    """However many bring the ticket, one gets the answer."""
    ticket = pending_callbacks.keep(ANSWER)
    taken = at_once(lambda _: pending_callbacks.take(ticket), 8)
    assert len([answer for answer in taken if answer is not None]) == 1


@pytest.mark.parametrize("ticket", ["", "x", "é", "A" * 43])
def test_unknown_ticket(ticket: str, pending_callbacks: PendingCallbacks) -> None:
    """A ticket that was made up gets nothing."""
    pending_callbacks.keep(ANSWER)
    assert pending_callbacks.take(Ticket(ticket)) is None


# -- a flood -----------------------------------------------------------------------


@pytest.mark.requirement("ST-2", "T9")
def test_oldest_gives_way(make_tickets: MakeTickets, store: MemoryStore) -> None:
    """At the limit the newest is kept, and the oldest is deleted from the store."""
    pending_callbacks = make_tickets(limit=3)
    kept = [pending_callbacks.keep(ANSWER) for _ in range(5)]
    assert len(store._entries) == 3
    found = [pending_callbacks.take(ticket) is not None for ticket in kept]
    assert found == [False, False, True, True, True]


@pytest.mark.requirement("ST-2", "T9")
def test_oldest_gives_way_to_bytes(make_tickets: MakeTickets, store: MemoryStore) -> None:
    """So it is where the answers take too many bytes; a single one is always kept."""
    large = CallbackParameters(state="s", code="c" * 4000)
    pending_callbacks = make_tickets(byte_limit=9000)
    small = [pending_callbacks.keep(ANSWER) for _ in range(10)]
    first, second, third = (pending_callbacks.keep(large) for _ in range(3))
    assert sum(len(entry.value) for entry in store._entries.values()) <= 9000
    assert not any(pending_callbacks.take(ticket) for ticket in [*small, first])
    assert pending_callbacks.take(second)
    assert pending_callbacks.take(third)
    tiny = make_tickets(byte_limit=1)
    assert tiny.take(tiny.keep(large))


def test_what_is_taken_or_expired_is_not_counted(
    make_tickets: MakeTickets, store: MemoryStore, clock: Clock
) -> None:
    """Answers that were taken, or are too old, do not push out others."""
    pending_callbacks = make_tickets(limit=2)
    waits = pending_callbacks.keep(ANSWER)
    for _ in range(5):
        assert pending_callbacks.take(pending_callbacks.keep(ANSWER))
    clock.now += 59
    late = pending_callbacks.keep(ANSWER)
    assert pending_callbacks.take(waits)
    old = pending_callbacks.keep(ANSWER)
    clock.now += 60
    new = [pending_callbacks.keep(ANSWER), pending_callbacks.keep(ANSWER)]
    assert not pending_callbacks.take(late)
    assert not pending_callbacks.take(old)
    assert all(map(pending_callbacks.take, new))


def test_what_another_process_has_taken(make_tickets: MakeTickets) -> None:
    """It is the first to leave the count at the limit, and nothing is lost by that."""
    pending_callbacks, other = make_tickets(limit=2), make_tickets(limit=2)
    assert other.take(pending_callbacks.keep(ANSWER))
    waits = pending_callbacks.keep(ANSWER)
    newest = pending_callbacks.keep(ANSWER)
    assert pending_callbacks.take(waits)
    assert other.take(newest)


@pytest.mark.requirement("T9")
def test_flood_in_threads(make_tickets: MakeTickets, store: MemoryStore) -> None:
    """The limit holds for threads that keep and take at once."""
    pending_callbacks = make_tickets(limit=10)

    def flood(_: int) -> Ticket:
        for _ in range(50):
            pending_callbacks.take(pending_callbacks.keep(ANSWER))
            pending_callbacks.keep(ANSWER)
        return pending_callbacks.keep(ANSWER)

    kept = at_once(flood, 8)
    assert len(store._entries) == 10
    assert any(isinstance(ticket, Ticket) and pending_callbacks.take(ticket) for ticket in kept)
