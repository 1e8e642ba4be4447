"""The store in memory."""

from __future__ import annotations

import gc
import threading
from collections.abc import Iterator

import pytest

from flask_pkce.stores import MemoryStore
from flask_pkce.stores.memory import PURGE_STEP, STALE_EXPIRIES
from flask_pkce.testing.store_suite import StoreFactory, StoreSuite


@pytest.mark.requirement("ST-4")
class TestMemoryStore(StoreSuite):
    """What holds for every store holds for this one."""

    @pytest.fixture
    def make_store(self) -> StoreFactory:
        return MemoryStore


class Clock:
    """A clock that stands still until it is set."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> Iterator[MemoryStore]:
    store = MemoryStore(clock=clock)
    yield store
    store.close()


def test_life_ends_on_the_second(store: MemoryStore, clock: Clock) -> None:
    """At the very moment at which its time is over a value is absent."""
    store.add("key", b"value", 10)
    clock.now += 9.999
    assert store.get("key") == b"value"
    clock.now = 1010
    assert store.get("key") is None


def test_life_too_short_for_the_clock(store: MemoryStore) -> None:
    """A time to live that the clock cannot tell from none is over at once."""
    assert store.add("key", b"value", 1e-20) is True
    assert store.get("key") is None
    assert not store._entries


def test_writes_purge_what_is_past_its_time(store: MemoryStore, clock: Clock) -> None:
    """Values that nobody asks for again die out, a few with each write."""
    for number in range(100):
        store.add(f"old-{number}", b"value", 10)
    clock.now += 11
    for number in range(3):
        before = len(store._entries)
        store.add(f"new-{number}", b"value", 10)
        assert len(store._entries) == before + 1 - PURGE_STEP
    for number in range(100):
        store.add(f"newer-{number}", b"value", 10)
    assert len(store._entries) == 103
    assert all(store.get(f"newer-{number}") == b"value" for number in range(100))


def test_purge_spares_what_was_renewed(store: MemoryStore, clock: Clock) -> None:
    """A value that was replaced or added again outlives the time of the one before."""
    store.add("replaced", b"value", 10)
    store.replace("replaced", b"value", b"value", 100)
    store.add("again", b"value", 10)
    store.delete("again")
    store.add("again", b"value", 100)
    store.add("expired", b"value", 10)
    clock.now += 11
    store.add("new", b"value", 10)
    assert sorted(store._entries) == ["again", "new", "replaced"]


def test_memory_is_bounded_by_what_is_kept(store: MemoryStore) -> None:
    """A value that is replaced for ever, or added and deleted, leaves nothing behind."""
    store.add("key", b"value", 10_000)
    for number in range(1000):
        store.replace("key", b"value", b"value", 10_000)
        store.add(f"other-{number}", b"value", 10_000)
        store.take(f"other-{number}")
    assert len(store._entries) == 1
    assert len(store._expiries) <= 2 * 2 + STALE_EXPIRIES
    assert store.get("key") == b"value"


def test_waiting_leaves_nothing_behind(store: MemoryStore) -> None:
    """The note that somebody waits goes with the one who waits."""
    store.wait("key", None, 0.01)
    gc.collect()
    assert not store._changes


def test_wait_by_a_clock_that_stands(store: MemoryStore, clock: Clock) -> None:
    """The timeout is real time, however near the value's end is by the store's clock."""
    store.add("key", b"value", 1e-6)
    assert store.wait("key", b"value", 0.05) == b"value"
    clock.now += 1
    assert store.wait("key", b"value", 0.05) is None


def test_close_forgets_and_wakes(store: MemoryStore) -> None:
    """Closing forgets all values, tells those who wait, and may be repeated."""
    store.add("key", b"value", 10)
    timer = threading.Timer(0.05, store.close)
    timer.start()
    assert store.wait("key", b"value", 5) is None
    timer.join()
    store.close()
    assert store.add("key", b"value", 10) is True


def test_it_is_known_to_be_private() -> None:
    """It says that another process has other values."""
    assert MemoryStore.shared_by_processes is False
