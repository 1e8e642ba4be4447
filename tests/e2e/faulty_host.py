"""The application of the tests, on a machine where things go wrong.

What goes wrong is said in the files of a folder, since the workers are other processes: how far
the clock is ahead, which keys a worker starts with, and at which write to the store it dies.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from pathlib import Path

from flask import Flask

from flask_pkce import mounting
from flask_pkce.relying_party.relying_party import build_relying_party
from flask_pkce.stores import SQLiteStore, Store, open_store


class MortalStore(Store):
    """A store at one of whose writes the worker dies, if the file ``death`` says so.

    It has a word and a number: ``before`` or ``after``, and how many writes come first.
    """

    def __init__(self, store: Store, death: Path) -> None:
        self._store = store
        self._death = death
        self._lock = threading.Lock()

    def open(self) -> None:
        self._store.open()

    def close(self) -> None:
        self._store.close()

    def get(self, key: str) -> bytes | None:
        return self._store.get(key)

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        with self._writing():
            return self._store.add(key, value, ttl)

    def replace(self, key: str, old: bytes, new: bytes, ttl: float) -> bool:
        with self._writing():
            return self._store.replace(key, old, new, ttl)

    def take(self, key: str) -> bytes | None:
        with self._writing():
            return self._store.take(key)

    def delete(self, key: str) -> bool:
        with self._writing():
            return self._store.delete(key)

    def wait(self, key: str, seen: bytes | None, timeout: float) -> bytes | None:
        return self._store.wait(key, seen, timeout)

    @contextmanager
    def _writing(self) -> Iterator[None]:
        moment = self._moment()
        if moment == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        yield
        if moment == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    def _moment(self) -> str:
        """Count a write, and tell at which end of it the worker dies; mostly at neither."""
        with self._lock:
            if not self._death.exists():
                return ""
            moment, left = self._death.read_text().split()
            if int(left):
                self._death.write_text(f"{moment} {int(left) - 1}")
                return ""
            self._death.unlink()
            return moment


def create_app() -> Flask:
    """Create the application of :mod:`host` on this machine."""
    folder = Path(os.environ["FLASK_FAULTS_FOLDER"])

    def clock() -> float:
        return time.time() + float((folder / "clock").read_text())

    mounting.__dict__["build_relying_party"] = partial(build_relying_party, clock=clock)
    url = os.environ.get("FLASK_PKCE_STORE_URL", "")
    store = (
        open_store(url)
        if url.startswith("redis:")
        else SQLiteStore(folder / "pkce.db", clock=clock)
    )
    first, *others = json.loads((folder / "keys").read_text())
    app: Flask = import_module("host").create_app(
        SECRET_KEY=first,
        SECRET_KEY_FALLBACKS=others,
        PKCE_STORE_URL=MortalStore(store, folder / "death"),
    )
    return app
