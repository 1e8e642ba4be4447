"""The suite that every store passes, ours and a host's own.

Derive from `StoreSuite` in a test module and say how a store is made:

.. code-block:: python

    from functools import partial

    class TestCouchStore(StoreSuite):
        @pytest.fixture
        def make_store(self):
            return partial(CouchStore, "http://127.0.0.1:5984/test")

Each store that ``make_store`` returns must have the same content.
The races run in threads, and in processes as well unless the store says that it is not
`~flask_pkce.stores.Store.shared_by_processes`.
"""

from __future__ import annotations

import math
import multiprocessing
import threading
import time
import uuid
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from multiprocessing.context import BaseContext
from typing import TypeVar

import pytest

from ..stores import Store

#: Makes a store; it must survive pickling if processes share the store.
StoreFactory = Callable[[], Store]

#: How many threads, or processes, race each other.
CROWD_SIZE = 4

#: Seconds to live of what is not meant to expire during a test.
LONG = 600.0

#: Seconds to live of what is; the store must answer a few calls meanwhile.
SHORT = 0.5

#: Seconds after which something that should have happened is given up.
PATIENCE = 30.0

R = TypeVar("R")

KEYS = (
    " ",
    "key",
    "KEY",
    " key ",
    "key\n",
    "key\0",
    "key\0more",
    "a:b:{c}*?[d]",
    "%",
    "_",
    "../../etc/passwd",
    "';--",
    "42",
    "042",
    "é",
    "e\N{COMBINING ACUTE ACCENT}",
    "日本語",
    "\N{SNAKE}",
    "k" * 512,
    "k" * 511 + "l",
)

VALUES = (
    b"",
    b"\0",
    b"text",
    b"42",
    b"null",
    "é".encode(),
    b"\xff\xfe\x80 no UTF-8",
    bytes(range(256)),
    bytes(range(256)) * 256,
)


class MovableClock:
    """The real time, plus what a test adds; for a store whose clock can be given.

    Stores in other processes, which have the real time, agree with it until the test moves it.
    """

    def __init__(self) -> None:
        self._ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self._ahead

    def advance(self, seconds: float) -> None:
        """Let seconds pass."""
        self._ahead += seconds


@dataclass(frozen=True)
class Crowd:
    """Threads or processes that do the same at the same moment."""

    kind: str
    executor: Executor
    barrier: threading.Barrier
    enter: Callable[[], AbstractContextManager[Store]]

    def run(self, task: Callable[..., R], *args: object) -> list[R]:
        """Return what the task, which is given a store and the arguments, returned to each."""
        futures = [
            self.executor.submit(_attend, self.enter, self.barrier, task, args)
            for _ in range(self.barrier.parties)
        ]
        return [future.result(2 * PATIENCE) for future in futures]


def fresh_processes() -> BaseContext:
    """Make processes that have nothing of this one; where there can be, from a common ancestor."""
    has_server = "forkserver" in multiprocessing.get_all_start_methods()
    context = multiprocessing.get_context("forkserver" if has_server else "spawn")
    if has_server:  # pragma: no branch - Windows has none
        # Imported once, and not by each of them.
        context.set_forkserver_preload([__name__])
    return context


class StoreSuite:
    """What holds for every store.

    A subclass must have the fixture ``make_store``, which returns a `StoreFactory`.
    It may have `store`, to give one with a `MovableClock`, together with `advance`.
    """

    @pytest.fixture
    def store(self, make_store: StoreFactory) -> Iterator[Store]:
        """The store that is tested, opened and empty of the keys that the tests use."""
        with _visit(make_store) as store:
            yield store

    @pytest.fixture
    def advance(self) -> Callable[[float], None]:
        """Lets seconds pass for the store; by sleeping, unless a subclass can do better."""
        return time.sleep

    @pytest.fixture
    def key(self) -> str:
        """A key that no other test uses."""
        return f"store-suite:{uuid.uuid4()}"

    @pytest.fixture
    def keys(self, key: str) -> list[str]:
        """Many keys for one race after another, so that close calls do happen."""
        return sorted(f"{key}:{number}" for number in range(40))

    @pytest.fixture
    def neighbour(self, store: Store, make_store: StoreFactory) -> Iterator[Store]:
        """Another store of the same content, if there can be one."""
        with _visit(make_store) if store.shared_by_processes else nullcontext(store) as other:
            yield other

    @pytest.fixture
    def crowds(
        self, store: Store, make_store: StoreFactory, request: pytest.FixtureRequest
    ) -> Iterator[list[Crowd]]:
        """Threads on the store, and processes where they can share it."""
        barrier = threading.Barrier(CROWD_SIZE)
        with ThreadPoolExecutor(CROWD_SIZE) as threads:
            crowds = [Crowd("threads", threads, barrier, lambda: nullcontext(store))]
            if store.shared_by_processes:
                enter = partial(_visit, make_store)
                processes, shared_barrier = request.getfixturevalue("store_suite_processes")
                crowds.append(Crowd("processes", processes, shared_barrier, enter))
            yield crowds

    @pytest.fixture(scope="class")
    @classmethod
    def store_suite_processes(cls) -> Iterator[tuple[Executor, threading.Barrier]]:
        """Processes that have no store yet, as the workers of a server when they start."""
        context = fresh_processes()
        with (
            context.Manager() as manager,
            ProcessPoolExecutor(CROWD_SIZE, mp_context=context) as executor,
        ):
            yield executor, manager.Barrier(CROWD_SIZE)

    # -- each verb in each state ------------------------------------------------

    def test_absent(self, store: Store, key: str) -> None:
        """Of a key that has no value there is nothing to get, replace, take or delete."""
        assert store.get(key) is None
        assert store.replace(key, b"", b"new", LONG) is False
        assert store.take(key) is None
        assert store.delete(key) is False
        assert store.get(key) is None

    def test_add(self, store: Store, key: str) -> None:
        """What is added can be got, as often as one likes."""
        assert store.add(key, b"value", LONG) is True
        assert store.get(key) == b"value"
        assert store.get(key) == b"value"

    def test_add_present(self, store: Store, key: str) -> None:
        """A value is not overwritten by adding, not even by itself."""
        store.add(key, b"first", LONG)
        assert store.add(key, b"second", LONG) is False
        assert store.add(key, b"first", LONG) is False
        assert store.get(key) == b"first"

    def test_replace(self, store: Store, key: str) -> None:
        """Who knows the value can replace it, by itself too."""
        store.add(key, b"old", LONG)
        assert store.replace(key, b"old", b"new", LONG) is True
        assert store.get(key) == b"new"
        assert store.replace(key, b"new", b"new", LONG) is True
        assert store.get(key) == b"new"

    @pytest.mark.parametrize("stale", [b"", b"ol", b"older", b"OLD", b"old\0", b"first"])
    def test_replace_stale(self, store: Store, key: str, stale: bytes) -> None:
        """Who knows other bytes, be they almost equal or outdated, replaces nothing."""
        store.add(key, b"first", LONG)
        store.replace(key, b"first", b"old", LONG)
        assert store.replace(key, stale, b"new", LONG) is False
        assert store.get(key) == b"old"

    def test_take(self, store: Store, key: str) -> None:
        """A value is taken once, and then the key is free."""
        store.add(key, b"value", LONG)
        assert store.take(key) == b"value"
        assert store.take(key) is None
        assert store.get(key) is None
        assert store.replace(key, b"value", b"new", LONG) is False
        assert store.add(key, b"another", LONG) is True
        assert store.get(key) == b"another"

    def test_delete(self, store: Store, key: str) -> None:
        """A value is deleted once; again does nothing, and then the key is free."""
        store.add(key, b"value", LONG)
        assert store.delete(key) is True
        assert store.delete(key) is False
        assert store.take(key) is None
        assert store.add(key, b"another", LONG) is True
        assert store.get(key) == b"another"

    # -- keys and values --------------------------------------------------------

    @pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{value[:8]!r}-{len(value)}")
    def test_bytes_are_kept(self, store: Store, key: str, value: bytes) -> None:
        """What comes back are the very bytes, also none, also 64 KiB; nothing is converted."""
        store.add(key, value, LONG)
        got = store.get(key)
        assert type(got) is bytes
        assert got == value
        assert store.replace(key, value, value + b"!", LONG) is True
        assert store.replace(key, value + b"!", value, LONG) is True
        taken = store.take(key)
        assert type(taken) is bytes
        assert taken == value

    def test_keys_are_told_apart(self, store: Store) -> None:
        """Keys are the same only if all their characters are: case, spaces, NUL, accents."""
        for name in KEYS:
            store.delete(name)  # may be left over, if the store outlives the test
        added = {name: b"%d" % number for number, name in enumerate(KEYS)}
        for name, value in added.items():
            assert store.add(name, value, LONG) is True, name
        assert {name: store.get(name) for name in KEYS} == added
        assert {name: store.take(name) for name in KEYS} == added

    def test_keys_do_not_touch_each_other(self, store: Store, keys: Sequence[str]) -> None:
        """A verb on one key leaves the values of others, equal ones too, as they are."""
        for name in keys:
            store.add(name, b"value", LONG)
        replaced, taken, deleted, *rest = keys
        store.replace(replaced, b"value", b"new", LONG)
        store.take(taken)
        store.delete(deleted)
        assert [store.get(name) for name in (replaced, taken, deleted)] == [b"new", None, None]
        assert {store.get(name) for name in rest} == {b"value"}

    def test_another_handle_sees_the_same(self, store: Store, neighbour: Store, key: str) -> None:
        """What one handle of the store changes, another sees at once."""
        store.add(key, b"one", LONG)
        assert neighbour.add(key, b"two", LONG) is False
        assert neighbour.replace(key, b"one", b"two", LONG) is True
        assert store.get(key) == b"two"
        assert store.take(key) == b"two"
        assert neighbour.get(key) is None

    # -- time -------------------------------------------------------------------

    def test_expiry(
        self, store: Store, keys: Sequence[str], advance: Callable[[float], None]
    ) -> None:
        """A value past its time is absent for every verb."""
        got, replaced, taken, deleted, added, waited, *_ = keys
        for name in (got, replaced, taken, deleted, added, waited):
            store.add(name, b"value", SHORT)
            assert store.get(name) == b"value"
        advance(SHORT * 1.1)
        assert store.get(got) is None
        assert store.replace(replaced, b"value", b"new", LONG) is False
        assert store.get(replaced) is None
        assert store.take(taken) is None
        assert store.delete(deleted) is False
        assert store.wait(waited, b"value", PATIENCE) is None
        assert store.add(added, b"another", LONG) is True
        assert store.get(added) == b"another"
        assert store.add(added, b"third", LONG) is False

    def test_replace_counts_anew(
        self, store: Store, keys: Sequence[str], advance: Callable[[float], None]
    ) -> None:
        """Replacing sets the time to live from that moment, to more or to less."""
        longer, shorter, *_ = keys
        store.add(longer, b"old", SHORT)
        store.add(shorter, b"old", LONG)
        assert store.replace(longer, b"old", b"new", LONG) is True
        assert store.replace(shorter, b"old", b"new", SHORT) is True
        advance(SHORT * 1.1)
        assert store.get(longer) == b"new"
        assert store.get(shorter) is None

    def test_refused_verbs_leave_the_time(
        self, store: Store, key: str, advance: Callable[[float], None]
    ) -> None:
        """An `add` or `replace` that fails, and a `get`, do not prolong the value's life."""
        store.add(key, b"value", SHORT)
        assert store.add(key, b"value", LONG) is False
        assert store.replace(key, b"other", b"new", LONG) is False
        assert store.get(key) == b"value"
        advance(SHORT * 1.1)
        assert store.get(key) is None

    @pytest.mark.parametrize("ttl", [0, 0.0, -1, -0.5, math.nan, math.inf, -math.inf])
    def test_ttl_out_of_range(self, store: Store, key: str, ttl: float) -> None:
        """No time to live, or one without end, is a `ValueError`, and changes nothing."""
        with pytest.raises(ValueError):
            store.add(key, b"value", ttl)
        assert store.get(key) is None
        store.add(key, b"value", LONG)
        with pytest.raises(ValueError):
            store.replace(key, b"value", b"new", ttl)
        assert store.get(key) == b"value"

    # -- waiting ----------------------------------------------------------------

    @pytest.mark.parametrize("timeout", [PATIENCE, 0, -1])
    def test_wait_for_what_is_there(self, store: Store, key: str, timeout: float) -> None:
        """A value that differs already is returned at once, whatever the timeout."""
        assert store.wait(key, b"seen", timeout) is None
        store.add(key, b"value", LONG)
        started = time.monotonic()
        assert store.wait(key, None, timeout) == b"value"
        assert store.wait(key, b"seen", timeout) == b"value"
        assert time.monotonic() - started < PATIENCE / 2

    def test_wait_for_addition(self, store: Store, neighbour: Store, key: str) -> None:
        """Who waits for a value gets it when it is added."""
        with _meanwhile(partial(neighbour.add, key, b"value", LONG)):
            assert _wait_in_time(store, key, None) == b"value"

    def test_wait_for_replacement(self, store: Store, neighbour: Store, key: str) -> None:
        """Who waits for another value gets it when it replaces the old one."""
        store.add(key, b"old", LONG)
        with _meanwhile(partial(neighbour.replace, key, b"old", b"new", LONG)):
            assert _wait_in_time(store, key, b"old") == b"new"

    @pytest.mark.parametrize("verb", ["take", "delete"])
    def test_wait_for_removal(self, store: Store, neighbour: Store, key: str, verb: str) -> None:
        """Who waits for another value is told when there is none any more."""
        store.add(key, b"value", LONG)
        with _meanwhile(partial(getattr(neighbour, verb), key)):
            assert _wait_in_time(store, key, b"value") is None

    def test_wait_for_expiry(self, store: Store, key: str) -> None:
        """Who waits for another value is told when the one that was seen is past its time."""
        store.add(key, b"value", 0.2)
        assert _wait_in_time(store, key, b"value") is None

    def test_wait_is_not_woken_by_other_keys(
        self, store: Store, neighbour: Store, keys: Sequence[str]
    ) -> None:
        """A change of another key ends no wait."""
        waited, other, *_ = keys
        with _meanwhile(partial(neighbour.add, other, b"value", LONG), delay=0.05):
            started = time.monotonic()
            assert store.wait(waited, None, 0.3) is None
            assert time.monotonic() - started >= 0.3

    @pytest.mark.parametrize("seen", [None, b"value"])
    def test_wait_gives_up(self, store: Store, key: str, seen: bytes | None) -> None:
        """After the timeout, not before and not long after, the value is returned as it is."""
        if seen is not None:
            store.add(key, seen, LONG)
        started = time.monotonic()
        assert store.wait(key, seen, 0.2) == seen
        assert 0.2 <= time.monotonic() - started < PATIENCE / 2

    def test_wait_of_many(self, store: Store, neighbour: Store, key: str) -> None:
        """All who wait for a key are told."""
        with ThreadPoolExecutor(CROWD_SIZE) as threads:
            waiting = [threads.submit(_wait_in_time, store, key, None) for _ in range(CROWD_SIZE)]
            time.sleep(0.1)
            neighbour.add(key, b"value", LONG)
            assert [wait.result(PATIENCE) for wait in waiting] == [b"value"] * CROWD_SIZE

    # -- races ------------------------------------------------------------------

    def test_many_open_it(
        self, store: Store, make_store: StoreFactory, crowds: list[Crowd], key: str
    ) -> None:
        """Many can open a store at the same moment; those who share it have one content."""
        for crowd in crowds:
            added = crowd.run(_add_in_another, make_store, key)
            assert sum(added) == (1 if store.shared_by_processes else CROWD_SIZE), crowd.kind
            store.delete(key)

    def test_one_adds(self, store: Store, crowds: list[Crowd], keys: list[str]) -> None:
        """Of many that add a key at once, one succeeds, and its value is kept."""
        for crowd in crowds:
            won = _only_once(crowd.run(_add_each, keys), keys)
            assert {name: store.take(name) for name in keys} == won, crowd.kind

    def test_one_adds_in_place_of_the_expired(
        self, store: Store, crowds: list[Crowd], keys: list[str]
    ) -> None:
        """The same holds where a value past its time lies under the key."""
        for crowd in crowds:
            for name in keys:
                store.add(name, b"old", 0.01)
            time.sleep(0.05)
            won = _only_once(crowd.run(_add_each, keys), keys)
            assert {name: store.take(name) for name in keys} == won, crowd.kind

    def test_one_replaces(self, store: Store, crowds: list[Crowd], keys: list[str]) -> None:
        """Of many that replace the same value at once, one succeeds, and its value is kept."""
        for crowd in crowds:
            for name in keys:
                store.add(name, b"old", LONG)
            won = _only_once(crowd.run(_replace_each, keys, b"old"), keys)
            assert {name: store.take(name) for name in keys} == won, crowd.kind

    def test_one_takes(self, store: Store, crowds: list[Crowd], keys: list[str]) -> None:
        """Of many that take a value at once, one gets it."""
        for crowd in crowds:
            for name in keys:
                store.add(name, name.encode(), LONG)
            won = _only_once(crowd.run(_take_each, keys), keys)
            assert won == {name: name.encode() for name in keys}, crowd.kind

    def test_one_deletes(self, store: Store, crowds: list[Crowd], keys: list[str]) -> None:
        """Of many that delete a value at once, one is told that it did."""
        for crowd in crowds:
            for name in keys:
                store.add(name, b"value", LONG)
            _only_once(crowd.run(_delete_each, keys), keys)
            assert {store.get(name) for name in keys} == {None}, crowd.kind

    def test_no_increment_is_lost(self, store: Store, crowds: list[Crowd], key: str) -> None:
        """A counter that many increment by `replace` comes out right."""
        for crowd in crowds:
            store.add(key, b"0", LONG)
            crowd.run(_count, key, 50)
            assert store.take(key) == b"%d" % (50 * CROWD_SIZE), crowd.kind


# -- what a member of a crowd does ---------------------------------------------


def _attend(
    enter: Callable[[], AbstractContextManager[Store]],
    barrier: threading.Barrier,
    task: Callable[..., R],
    args: tuple[object, ...],
) -> R:
    with enter() as store:
        barrier.wait(PATIENCE)
        return task(store, *args)


@contextmanager
def _visit(make_store: StoreFactory) -> Generator[Store, None, None]:
    store = make_store()
    store.open()
    try:
        yield store
    finally:
        store.close()


def _add_in_another(store: Store, make_store: StoreFactory, key: str) -> bool:
    with _visit(make_store) as another:
        return another.add(key, b"value", LONG)


def _add_each(store: Store, keys: Sequence[str]) -> dict[str, bytes]:
    mine = uuid.uuid4().bytes
    return {key: mine for key in keys if store.add(key, mine, LONG)}


def _replace_each(store: Store, keys: Sequence[str], old: bytes) -> dict[str, bytes]:
    mine = uuid.uuid4().bytes
    return {key: mine for key in keys if store.replace(key, old, mine, LONG)}


def _take_each(store: Store, keys: Sequence[str]) -> dict[str, bytes]:
    return {key: value for key in keys if (value := store.take(key)) is not None}


def _delete_each(store: Store, keys: Sequence[str]) -> dict[str, bytes]:
    return {key: b"" for key in keys if store.delete(key)}


def _count(store: Store, key: str, times: int) -> None:
    for _ in range(times):
        done = False
        while not done:
            value = store.get(key)
            assert value is not None
            done = store.replace(key, value, b"%d" % (int(value) + 1), LONG)


def _only_once(results: Sequence[dict[str, bytes]], keys: Sequence[str]) -> dict[str, bytes]:
    """Every key was won, and by one member; return what the winners have."""
    assert sorted(key for result in results for key in result) == list(keys)
    return {key: value for result in results for key, value in result.items()}


# -- waiting -------------------------------------------------------------------


@contextmanager
def _meanwhile(change: Callable[[], object], *, delay: float = 0.1) -> Generator[None, None, None]:
    """Change something while the block runs."""
    timer = threading.Timer(delay, change)
    timer.start()
    try:
        yield
    finally:
        timer.join(PATIENCE)


def _wait_in_time(store: Store, key: str, seen: bytes | None) -> bytes | None:
    """What `Store.wait` returns, which must be well before its timeout."""
    started = time.monotonic()
    value = store.wait(key, seen, PATIENCE)
    assert time.monotonic() - started < PATIENCE / 2
    return value
