"""Checks of the store: whether it keeps its promises, and who else uses it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import TypeVar

from ...errors import FileDescriptorsExhausted, StoreError
from ...stores import Store
from .findings import Finding, Patient, doubtful, right, skipped, wrong

#: How many try the same at the same moment.
_CROWD = 4
#: Seconds that a value of ours lives, should nobody be left to remove it.
_TTL = 30.0
#: Seconds after which a thread that did not come is given up.
_PATIENCE = 20.0

_WORKERS = re.compile(r"(?:^|\s)(?:-w|--workers)[\s=]*(\d+)")

T = TypeVar("T")


def store(patient: Patient) -> Iterable[Finding]:
    """Whether it is there, keeps what it is given, and lets one caller win (short)."""
    advice = f"See that {patient.key('STORE_URL')} is right, and that what it names runs."
    subject = patient.relying_party.store
    try:
        broken = _try(patient, subject)
    except FileDescriptorsExhausted as exc:
        yield wrong("store", str(exc), exc.hint)
    except StoreError as exc:
        host = f" ({exc.host})" if exc.host else ""
        yield wrong("store", f"{exc}{host}", advice)
    except Exception as exc:  # A store of the host's own raises whatever it does.
        text = f"The store raises {type(exc).__name__}, which is no StoreError."
        yield wrong("store", text, "Prove it with flask_pkce.testing.store_suite.")
    else:
        if broken:
            text = f"The store does not keep its promise: {broken}."
            yield wrong("store", text, "Prove it with flask_pkce.testing.store_suite.")
        else:
            name = type(subject).__name__
            yield right("store", f"The store ({name}) answers, and each verb is atomic.")


def _try(patient: Patient, subject: Store) -> str | None:
    """What does not hold; None if all does."""
    key = f"{patient.name}:doctor:{secrets.token_urlsafe(12)}"

    def at_once(task: Callable[[], T]) -> list[T]:
        barrier = Barrier(_CROWD)

        def attend() -> T:
            with patient.app.app_context():
                barrier.wait(_PATIENCE)
                return task()

        with ThreadPoolExecutor(_CROWD) as executor:
            return [each.result() for each in [executor.submit(attend) for _ in range(_CROWD)]]

    try:
        if subject.get(key) is not None:
            return "`get` returns what nobody put there"
        if at_once(lambda: subject.add(key, b"one", _TTL)).count(True) != 1:
            return "of several `add`, not one succeeds"
        if subject.get(key) != b"one":
            return "`get` does not return what `add` put there"
        if at_once(lambda: subject.replace(key, b"one", b"two", _TTL)).count(True) != 1:
            return "of several `replace`, not one succeeds"
        if sorted(at_once(lambda: subject.take(key) or b"")) != [b""] * (_CROWD - 1) + [b"two"]:
            return "of several `take`, not one gets the value"
    finally:
        with suppress(Exception):
            subject.delete(key)
    return None


def workers(patient: Patient) -> Iterable[Finding]:
    """A store in the memory of one process serves one process."""
    key, count = patient.key("STORE_URL"), _count_workers(patient)
    if patient.relying_party.store.shared_by_processes:
        yield right("workers", "All workers share the store.")
    elif count is not None and count > 1:
        yield wrong(
            "workers",
            f"There are {count} workers, and each knows its own sign-ins alone.",
            f"Set {key} to sqlite:///pkce.db, or to a Redis server for many machines.",
        )
    elif patient.app.debug or patient.app.testing or count == 1:
        yield right("workers", "The store is in memory, which does for one worker.")
    else:
        yield doubtful(
            "workers",
            "The store is in memory: a second worker would know its own sign-ins alone.",
            f"Set {key} to sqlite:///pkce.db, unless there is one process for ever.",
        )


def _count_workers(patient: Patient) -> int | None:
    """How many workers gunicorn is told to run; None if the environment does not say."""
    told = _WORKERS.findall(patient.environ.get("GUNICORN_CMD_ARGS", ""))
    count = told[-1] if told else patient.environ.get("WEB_CONCURRENCY", "")
    return int(count) if count.isascii() and count.isdigit() else None


def shared_key(patient: Patient) -> Iterable[Finding]:
    """Compare our keys with those that workers left in the store."""
    relying_party = patient.relying_party
    if not relying_party.store.shared_by_processes:
        yield skipped("shared-key", "What other workers have cannot be seen in this store.")
        return
    try:
        seen = relying_party.key_fingerprints.seen()
    except (StoreError, FileDescriptorsExhausted):
        yield skipped("shared-key", "The store does not say.")
        return
    own = relying_party.signing.fingerprints
    now = relying_party.clock()
    judged = [_compare(own, each.fingerprints, now - each.seen_at) for each in seen]
    findings = [finding for finding in judged if finding is not None]
    yield from findings
    if not seen:
        yield skipped("shared-key", "No worker answered a request within the last hour.")
    elif not findings:
        yield right(
            "shared-key", "The workers of the last hour have the same key as this process."
        )


def _compare(own: tuple[str, ...], theirs: tuple[str, ...], age: float) -> Finding | None:
    minutes = max(round(age / 60), 1)
    if theirs[0] == own[0]:
        return None
    if theirs[0] in own and own[0] in theirs:
        return doubtful(
            "shared-key",
            f"A worker signed with a former key, at most {minutes} minutes ago.",
            "Restart all workers, if the key was changed and that is not done yet.",
        )
    return wrong(
        "shared-key",
        f"A worker has another SECRET_KEY than this process ({theirs[0]}, here {own[0]}),"
        f" at most {minutes} minutes ago.",
        "Give all of them the same, and the former one in SECRET_KEY_FALLBACKS.",
    )
