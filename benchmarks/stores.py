"""What the verbs of a store cost with many pending flows in it, and how large a flow is."""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from redis import Redis

from flask_pkce import MemoryStore, Store
from flask_pkce.stores import open_store

from .browser import Browser, in_process
from .contestants import Provider, our_app

#: Seconds that what is filled in lives: longer than a measurement.
_LIFETIME = 3600
_BATCHES = 21
_BATCH = 50


@dataclass(frozen=True)
class Sample:
    """The two records of one pending sign-in, sealed."""

    flow_key: str
    flow: bytes
    session_key: str
    session: bytes

    @property
    def size(self) -> int:
        """Bytes of both, with their keys."""
        return sum(map(len, (self.flow_key, self.flow, self.session_key, self.session)))


@dataclass(frozen=True)
class StoreCost:
    """One store with some flows in it."""

    name: str
    flows: int
    #: CPU seconds of each verb in this process.
    verbs: dict[str, float]
    #: Bytes that the store grew by for each flow and its session.
    bytes_per_flow: float


class _Recording(MemoryStore):
    """Remembers what it was given last."""

    def __init__(self) -> None:
        super().__init__()
        self.kept: dict[str, bytes] = {}

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        self.kept[key] = value
        return super().add(key, value, ttl)

    def replace(self, key: str, old: bytes, new: bytes, ttl: float) -> bool:
        self.kept[key] = new
        return super().replace(key, old, new, ttl)


def sample_flow(provider: Provider) -> Sample:
    """What a person leaves in the store who was sent to the tenant."""
    store = _Recording()
    app = our_app(provider, store=store, delivery="session")
    Browser(in_process(app, [])).post("/pkce/code")
    kinds = {key.split(":")[1]: key for key in store.kept}
    flow_key, session_key = kinds["f"], kinds["s"]
    return Sample(flow_key, store.kept[flow_key], session_key, store.kept[session_key])


@contextmanager
def _opened(url: str) -> Iterator[Store]:
    store = open_store(url, default_folder=".", prefix="bench:")
    store.open()
    try:
        yield store
    finally:
        store.close()


def _footprint(url: str) -> Callable[[], int]:
    """What tells the bytes that a store takes up."""
    if url.startswith("sqlite"):
        path = Path(url.removeprefix("sqlite:///"))
        files = [Path(f"{path}{end}") for end in ("", "-wal")]
        return lambda: sum(file.stat().st_size for file in files if file.exists())
    if url.startswith("redis"):
        client = Redis.from_url(url)
        return lambda: int(client.info("memory")["used_memory"])
    page = os.sysconf("SC_PAGE_SIZE")
    return lambda: int(Path("/proc/self/statm").read_text().split()[1]) * page


def measure_store(name: str, url: str, sample: Sample, sizes: tuple[int, ...]) -> list[StoreCost]:
    """Fill a store step by step, and measure at each step.

    :param sizes: pending flows, ascending.
    """
    costs = []
    with _opened(url) as store:
        footprint = _footprint(url)
        empty, filled = footprint(), 0
        keys: list[str] = []
        for size in sizes:
            for _ in range(size - filled):
                number = secrets.token_urlsafe(32)
                keys.append(f"{sample.flow_key[:7]}{number}")
                store.add(keys[-1], sample.flow, _LIFETIME)
                store.add(f"{sample.session_key[:7]}{number[:11]}", sample.session, _LIFETIME)
            filled = size
            grown = (footprint() - empty) / size
            costs.append(StoreCost(name, size, _verbs(store, sample, keys), grown))
    return costs


def _verbs(store: Store, sample: Sample, keys: list[str]) -> dict[str, float]:
    """CPU of each verb, the middle of some batches."""
    other = sample.flow[:-1] + b"\0"
    steps = len(keys) // _BATCH or 1
    added = [f"{sample.flow_key[:7]}new{number}" for number in range(_BATCH)]
    verbs: dict[str, Callable[[str], object]] = {
        "get": store.get,
        "add": lambda key: store.add(key, sample.flow, _LIFETIME),
        "replace": lambda key: store.replace(key, sample.flow, other, _LIFETIME),
        "take": store.take,
    }
    taken: dict[str, list[float]] = {name: [] for name in verbs}
    for batch in range(_BATCHES):
        for name, verb in verbs.items():
            chosen = keys[batch % steps :: steps][:_BATCH] if name == "get" else added
            began = time.process_time()
            for key in chosen:
                verb(key)
            taken[name].append((time.process_time() - began) / len(chosen))
    return {name: sorted(times)[len(times) // 2] for name, times in taken.items()}


def longest_purge(make: Callable[[Callable[[], float]], Store], flow: bytes, past: int) -> float:
    """CPU seconds of the longest `add` while many values are past their time.

    :param make: makes a store with a clock.
    :param past: how many; all ended at the same moment, the worst case.
    """
    now = 0.0
    store = make(lambda: now)
    store.open()
    for number in range(past):
        store.add(f"past:{number}", flow, 1)
    now, longest = 2.0, 0.0
    for number in range(past):
        began = time.thread_time()
        store.add(f"next:{number}", flow, 1)
        longest = max(longest, time.thread_time() - began)
    store.close()
    return longest
