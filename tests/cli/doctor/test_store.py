"""The checks of the store and of the workers that share it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from flask_pkce import ConfigurationError, MemoryStore
from flask_pkce.cli.doctor import Verdict, explain_refusal
from flask_pkce.errors import FileDescriptorsExhausted, StoreError
from flask_pkce.sessions.key_fingerprints import PERIOD
from tests.conftest import MakeApp
from tests.web.host import Clock, Host

from .examined import DOUBTFUL, RIGHT, SKIPPED, WRONG, check_row, found


class SharedStore(MemoryStore):
    """A store that other processes could use as well."""

    shared_by_processes = True


def test_store(host: Host) -> None:
    """A store that keeps its promises is right, and nothing stays in it."""
    check_row(found(host.app, "store"), RIGHT, "(ObservedStore) answers")
    assert not host.store._entries


class Haunted(MemoryStore):
    """Has something under every key."""

    def get(self, key: str) -> bytes | None:
        return b"boo"


class AddsTwice(MemoryStore):
    """Says to everybody that they were the first."""

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        super().add(key, value, ttl)
        return True


class Forgetful(MemoryStore):
    """Keeps nothing."""

    def get(self, key: str) -> bytes | None:
        return None


class ReplacesTwice(MemoryStore):
    """Does not compare."""

    def replace(self, key: str, old: bytes, new: bytes, ttl: float) -> bool:
        super().replace(key, old, new, ttl)
        return True


class TakesTwice(MemoryStore):
    """Gives a value to everybody."""

    def take(self, key: str) -> bytes | None:
        return self.get(key)


class Unreachable(MemoryStore):
    """Can be opened, and nothing more."""

    def get(self, key: str) -> bytes | None:
        error = StoreError("The server cannot be reached.")
        error.host = "redis.example:6379"
        raise error


class Unnamed(MemoryStore):
    """Does not say which server it is that fails."""

    def get(self, key: str) -> bytes | None:
        raise StoreError()


class Starved(MemoryStore):
    """Has no file descriptors left."""

    def get(self, key: str) -> bytes | None:
        raise FileDescriptorsExhausted()


class Careless(MemoryStore):
    """Raises whatever comes, also when something is to be removed."""

    def get(self, key: str) -> bytes | None:
        raise KeyError("a secret")

    def delete(self, key: str) -> bool:
        raise KeyError("a secret")


@pytest.mark.parametrize(
    ("store", "words"),
    [
        (Haunted(), "`get` returns what nobody put there"),
        (AddsTwice(), "of several `add`"),
        (Forgetful(), "`get` does not return"),
        (ReplacesTwice(), "of several `replace`"),
        (TakesTwice(), "of several `take`"),
        (Unreachable(), "The server cannot be reached. (redis.example:6379)"),
        (Unnamed(), "PKCE_STORE_URL"),
        (Starved(), "raise the limit of open files"),
        (Careless(), "KeyError, which is no StoreError"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_broken_store(store: MemoryStore, words: str, make_app: MakeApp) -> None:
    """A store that breaks a promise, or does not answer, is wrong, and what it is is told."""
    finding = check_row(found(make_app(PKCE_STORE_URL=store).app, "store"), WRONG, words)
    assert "a secret" not in repr(finding)


def test_store_that_others_can_write(make_app: MakeApp, tmp_path: Path) -> None:
    """A file that others may write is wrong, at the start and where it changes later."""
    path = tmp_path / "store.db"
    app = make_app(PKCE_STORE_URL=f"sqlite:///{path}").app
    path.chmod(0o666)
    words = "can be written by other users: run chmod go-w on it."
    check_row(found(app, "store"), WRONG, "The file of the store", words)
    with pytest.raises(ConfigurationError) as caught:
        make_app(PKCE_STORE_URL=f"sqlite:///{path}")
    check_row(explain_refusal(caught.value), WRONG, f"PKCE_STORE_URL: {path}", words)


@pytest.mark.parametrize(
    ("config", "environ", "verdict", "words"),
    [
        ({}, {}, DOUBTFUL, "unless there is one process"),
        ({"DEBUG": True}, {}, RIGHT, "one worker"),
        ({"TESTING": True}, {}, RIGHT, "one worker"),
        ({}, {"WEB_CONCURRENCY": "1"}, RIGHT, "one worker"),
        ({}, {"WEB_CONCURRENCY": "4"}, WRONG, "4 workers"),
        ({}, {"WEB_CONCURRENCY": "many"}, DOUBTFUL, "unless"),
        ({}, {"GUNICORN_CMD_ARGS": "--bind :80 --workers=3"}, WRONG, "3 workers"),
        ({}, {"GUNICORN_CMD_ARGS": "-w 2", "WEB_CONCURRENCY": "1"}, WRONG, "2 workers"),
        ({"PKCE_STORE_URL": SharedStore()}, {"WEB_CONCURRENCY": "4"}, RIGHT, "share the store"),
    ],
)
def test_workers(
    config: dict[str, Any],
    environ: dict[str, str],
    verdict: Verdict,
    words: str,
    make_app: MakeApp,
) -> None:
    """A store in memory serves one worker."""
    app = make_app(**config).app
    check_row(found(app, "workers", environ=environ), verdict, words)


# -- the workers' keys -------------------------------------------------------------

OLD, NEW, FOREIGN = (f"{name} key of the workers, long enough" for name in ("old", "new", "odd"))


@pytest.mark.parametrize(
    ("theirs", "verdict", "words"),
    [
        ([NEW, OLD], RIGHT, "the same key"),
        ([NEW], RIGHT, "the same key"),
        ([OLD, NEW], DOUBTFUL, "Restart all workers"),
        ([OLD], WRONG, "SECRET_KEY_FALLBACKS"),
        ([FOREIGN], WRONG, "another SECRET_KEY"),
    ],
)
def test_shared_key(theirs: list[str], verdict: Verdict, words: str, make_app: MakeApp) -> None:
    """What workers left of their keys is compared with ours; no key is told."""
    store = SharedStore()
    worker = make_app(SECRET_KEY=theirs[0], SECRET_KEY_FALLBACKS=theirs[1:], PKCE_STORE_URL=store)
    worker.browser().challenge()
    ours = make_app(SECRET_KEY=NEW, SECRET_KEY_FALLBACKS=[OLD], PKCE_STORE_URL=store)
    finding = check_row(found(ours.app, "shared-key"), verdict, words)
    assert not any(key in repr(finding) for key in (OLD, NEW, FOREIGN))


def test_shared_key_is_not_left_by_the_doctor(make_app: MakeApp) -> None:
    """Who only looks, perhaps with another key, leaves nothing."""
    app = make_app(PKCE_STORE_URL=SharedStore()).app
    for _ in range(2):
        check_row(found(app, "shared-key"), SKIPPED, "No worker answered")


def test_shared_key_that_was_changed_long_ago(make_app: MakeApp, clock: Clock) -> None:
    """A key that no worker had within the last hour is no matter."""
    store = SharedStore(clock=clock)
    make_app(SECRET_KEY=OLD, PKCE_STORE_URL=store).browser().challenge()
    new = make_app(SECRET_KEY=NEW, PKCE_STORE_URL=store)
    new.browser().challenge()
    assert [finding.verdict for finding in found(new.app, "shared-key")] == [WRONG]
    for _ in range(3600 // PERIOD + 1):
        clock.advance(PERIOD)
        new.browser().challenge()
    check_row(found(new.app, "shared-key"), RIGHT, "the same key")


def test_shared_key_in_memory(host: Host) -> None:
    """A store in memory says nothing of other processes."""
    check_row(found(host.app, "shared-key"), SKIPPED, "cannot be seen")


class Gone(SharedStore, Unnamed):
    """Shared, and gone."""


class Shut(SharedStore, Starved):
    """Shared, and without file descriptors."""


@pytest.mark.parametrize("store", [Gone(), Shut()], ids=lambda value: type(value).__name__)
def test_shared_key_without_a_store(store: SharedStore, make_app: MakeApp) -> None:
    """Nor does one that cannot be reached, which has a row of its own."""
    check_row(found(make_app(PKCE_STORE_URL=store).app, "shared-key"), SKIPPED, "does not say")
