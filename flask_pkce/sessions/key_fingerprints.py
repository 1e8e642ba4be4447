"""Which keys the workers use: each leaves the fingerprint of its own in the store.

A worker with another ``SECRET_KEY`` is the most frequent cause of sign-ins that fail now and then.
Nobody sees it from inside one process, so the doctor compares what all of them left.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..errors import FileDescriptorsExhausted, StoreError
from ..protocol.strict_json import StrictJSONError, loads_object
from ..stores import Store

#: Seconds after which a worker that answers requests leaves its fingerprint again.
PERIOD = 600
#: Seconds for which it is remembered: longer, and a key that was taken out would count as used.
REMEMBERED = 3600

#: Key sets that are remembered at most.
_MAX_SETS = 16
#: How often a record that others change at the same moment is tried.
_ATTEMPTS = 5


@dataclass(frozen=True)
class KeySet:
    """The keys of some worker, by their fingerprints."""

    #: First that of the key it signs with, then those of the fallbacks.
    fingerprints: tuple[str, ...]
    #: When one that has them answered a request last, in Unix seconds.
    seen_at: int


class KeyFingerprints:
    """What the workers of one blueprint in one application left.

    :param fingerprints: those of our own keys, first of the one that signs.
    :param namespace: the blueprint's name.
    :param clock: returns Unix seconds.
    :param monotonic: returns seconds that never go back.
    """

    def __init__(
        self,
        store: Store,
        fingerprints: Sequence[str],
        *,
        namespace: str,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self._store = store
        self._own = " ".join(fingerprints)
        self._key = f"{namespace}:k"
        self._clock = clock
        self._monotonic = monotonic
        self._due_at = -math.inf

    def leave(self) -> None:
        """Leave our own, unless that was done a short while ago.

        Where the store fails, nothing is raised: the next sign-in reports it.
        """
        now = self._monotonic()
        if now < self._due_at:
            return
        self._due_at = now + PERIOD
        try:
            for _ in range(_ATTEMPTS):
                if self._add():
                    return
        except (StoreError, FileDescriptorsExhausted):
            return

    def _add(self) -> bool:
        old = self._store.get(self._key)
        kept = sorted(self._read(old).items(), key=lambda item: item[1])[1 - _MAX_SETS :]
        sets = {**dict(kept), self._own: int(self._clock())}
        new = json.dumps({"version": 1, "sets": sets}).encode()
        if old is None:
            return self._store.add(self._key, new, REMEMBERED)
        return self._store.replace(self._key, old, new, REMEMBERED)

    def seen(self) -> tuple[KeySet, ...]:
        """What workers left within the last hour, the newest first.

        :raises StoreError: if the store cannot answer.
        """
        sets = self._read(self._store.get(self._key)).items()
        newest = sorted(sets, key=lambda item: -item[1])
        return tuple(KeySet(tuple(names.split(" ")), seen_at) for names, seen_at in newest)

    def _read(self, record: bytes | None) -> dict[str, int]:
        """The sets that are not too old; a record of another release counts as none."""
        try:
            document = loads_object(record or b"{}", max_depth=3)
        except StrictJSONError:
            return {}
        sets = document.get("sets") if document.get("version") == 1 else None
        if not isinstance(sets, dict):
            return {}
        oldest = self._clock() - REMEMBERED
        return {
            names: seen_at
            for names, seen_at in sets.items()
            if isinstance(seen_at, int) and seen_at >= oldest
        }
