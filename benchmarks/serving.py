"""Sign-ins under gunicorn: how many, how long they take, and what the workers' CPU is."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from .browser import Browser, to_server
from .contestants import Provider
from .processes import Server, counts, gunicorn


@dataclass(frozen=True)
class Load:
    """What came of some users who signed in again and again."""

    name: str
    workers: int
    threads: int
    users: int
    #: Seconds that the tenant takes to answer.
    latency: float
    #: Seconds of each sign-in.
    times: tuple[float, ...]
    #: Seconds that all took together.
    duration: float
    #: CPU seconds of the workers.
    cpu: float
    #: Connections to the tenant that were opened.
    connections: int

    @property
    def per_second(self) -> float:
        """Sign-ins each second."""
        return len(self.times) / self.duration

    @property
    def per_cpu_second(self) -> float:
        """Sign-ins in a second of the workers' CPU."""
        return len(self.times) / self.cpu

    def percentile(self, share: float) -> float:
        """Seconds within which this share of the sign-ins was done."""
        ordered = sorted(self.times)
        return ordered[min(int(len(ordered) * share), len(ordered) - 1)]


@dataclass(frozen=True)
class Setting:
    """What is served, and to how many."""

    name: str
    #: An application for gunicorn.
    application: str
    sign_in: Callable[[Browser], object]
    workers: int
    threads: int
    users: int


def serve(setting: Setting, provider: Provider, *, latency: float, seconds: float) -> Load:
    """Serve, and let the users sign in for some seconds.

    :param latency: that of the provider, for the record.
    """
    with gunicorn(setting.application, workers=setting.workers, threads=setting.threads) as server:
        _sign_in_for(1, server, setting)
        connections = counts(provider)["connections"]
        cpu, started = server.cpu_seconds(), time.perf_counter()
        times = _sign_in_for(seconds, server, setting)
        duration = time.perf_counter() - started
        return Load(
            name=setting.name,
            workers=setting.workers,
            threads=setting.threads,
            users=setting.users,
            latency=latency,
            times=times,
            duration=duration,
            cpu=server.cpu_seconds() - cpu,
            connections=counts(provider)["connections"] - connections,
        )


def _sign_in_for(seconds: float, server: Server, setting: Setting) -> tuple[float, ...]:
    """The seconds of each sign-in that began within the time."""
    together = threading.Barrier(setting.users)

    def user() -> list[float]:
        wire = to_server(server.port)
        times = []
        together.wait()
        deadline = time.perf_counter() + seconds
        while (began := time.perf_counter()) < deadline:
            setting.sign_in(Browser(wire))
            times.append(time.perf_counter() - began)
        return times

    with ThreadPoolExecutor(setting.users) as pool:
        users = [pool.submit(user) for _ in range(setting.users)]
        return tuple(seconds for done in users for seconds in done.result())
