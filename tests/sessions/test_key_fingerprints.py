"""The fingerprints that workers leave."""

from __future__ import annotations

import json

import pytest

from flask_pkce.errors import FileDescriptorsExhausted, StoreError
from flask_pkce.sessions.key_fingerprints import PERIOD, REMEMBERED, KeyFingerprints, KeySet
from flask_pkce.stores import MemoryStore
from tests.support import NOW, Clock, MeddledStore


def worker(store: MemoryStore, *fingerprints: str, clock: Clock | None = None) -> KeyFingerprints:
    """A worker with these keys."""
    clock = clock or Clock()
    return KeyFingerprints(store, fingerprints, namespace="pkce", clock=clock, monotonic=clock)


def test_leave() -> None:
    """What each left is seen by all, the newest first."""
    clock = Clock()
    store = MemoryStore(clock=clock)
    one, other = worker(store, "a", clock=clock), worker(store, "b", "a", clock=clock)
    assert one.seen() == ()
    one.leave()
    clock.now += 1
    other.leave()
    expected = (KeySet(("b", "a"), NOW + 1), KeySet(("a",), NOW))
    assert one.seen() == other.seen() == expected


def test_leave_now_and_then() -> None:
    """A worker writes once in ten minutes, however many requests it answers."""
    clock = Clock()
    store = MemoryStore(clock=clock)
    subject = worker(store, "a", clock=clock)
    subject.leave()
    clock.now += PERIOD - 1
    subject.leave()
    assert subject.seen() == (KeySet(("a",), NOW),)
    clock.now += 1
    subject.leave()
    assert subject.seen() == (KeySet(("a",), NOW + PERIOD),)


def test_too_old() -> None:
    """What nobody left anew is forgotten after an hour, also beside what others leave."""
    clock = Clock()
    store = MemoryStore(clock=clock)
    worker(store, "a", clock=clock).leave()
    clock.now += REMEMBERED
    assert worker(store, "a", clock=clock).seen() == ()
    worker(store, "b", clock=clock).leave()
    clock.now += 1
    worker(store, "c", clock=clock).leave()
    assert [each.fingerprints for each in worker(store, "c", clock=clock).seen()] == [
        ("c",),
        ("b",),
    ]


def test_at_the_same_moment() -> None:
    """Of two that write at once neither is lost."""
    store = MeddledStore(Clock())
    one, other = worker(store, "a"), worker(store, "b")
    store.before_add = other.leave
    one.leave()
    assert {each.fingerprints for each in one.seen()} == {("a",), ("b",)}
    third = worker(store, "c")
    store.before_replace = worker(store, "d").leave
    third.leave()
    assert {each.fingerprints for each in one.seen()} == {("a",), ("b",), ("c",), ("d",)}


class Contended(MemoryStore):
    """Somebody else is always faster."""

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        return False


class Gone(MemoryStore):
    """Cannot be reached."""

    def get(self, key: str) -> bytes | None:
        raise StoreError()


class Starved(MemoryStore):
    """Cannot be reached for want of a file descriptor."""

    def get(self, key: str) -> bytes | None:
        raise FileDescriptorsExhausted()


@pytest.mark.parametrize(
    "store", [Contended(), Gone(), Starved()], ids=lambda store: type(store).__name__
)
def test_in_vain(store: MemoryStore) -> None:
    """A request does not fail because of it, and does not try for ever."""
    worker(store, "a").leave()


def test_how_many() -> None:
    """At most sixteen sets of keys are kept, the newest."""
    clock = Clock()
    store = MemoryStore(clock=clock)
    for number in range(20):
        clock.now += 1
        worker(store, f"key-{number}", clock=clock).leave()
    seen = worker(store, "a", clock=clock).seen()
    assert [each.fingerprints[0] for each in seen] == [f"key-{19 - age}" for age in range(16)]


@pytest.mark.parametrize(
    "record",
    [
        b"nonsense",
        b"[]",
        json.dumps({"version": 2, "sets": {"a": NOW}}).encode(),
        json.dumps({"version": 1, "sets": ["a"]}).encode(),
        json.dumps({"version": 1, "sets": {"a": "now"}}).encode(),
    ],
)
def test_unreadable(record: bytes) -> None:
    """A record that another release wrote, or nobody, says nothing and is written anew."""
    store = MemoryStore(clock=Clock())
    store.add("pkce:k", record, 60)
    subject = worker(store, "b")
    assert subject.seen() == ()
    subject.leave()
    assert subject.seen() == (KeySet(("b",), NOW),)
