"""Values in a store: versioned JSON, sealed, and saved only if nobody saved another meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from .errors import RecordUnreadable
from .sealing import Sealing
from .stores import Store

#: What the values of this release begin with.
_VERSION = b"1"

T = TypeVar("T")


@dataclass(frozen=True)
class Held(Generic[T]):
    """A value as it was read from the store."""

    key: str
    value: T
    raw: bytes = field(repr=False)


Decoders = Mapping[type, msgspec.json.Decoder[Any]]


def build_decoders(*kinds: type) -> Decoders:
    """What reads values of some classes, to be made while a module is imported.

    msgspec works a class out at its first use, and crashes where several threads are at that.
    """
    return {kind: msgspec.json.Decoder(kind) for kind in kinds}


class Records:
    """Dataclasses in a store.

    :param decoders: of every class that is kept.
    :param clock: returns Unix seconds.
    """

    def __init__(
        self, store: Store, sealing: Sealing, decoders: Decoders, *, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._decoders = decoders
        self._sealing = sealing
        self._clock = clock

    def get(self, key: str, kind: type[T]) -> Held[T] | None:
        """The value under a key, if there is one.

        :raises RecordUnreadable: if it was sealed with another key, or by another release.
        """
        raw = self._store.get(key)
        return None if raw is None else Held(key, self._open(key, raw, kind), raw)

    def add(self, key: str, value: T, *, expires_at: float) -> Held[T] | None:
        """Save a value where there is none; None if there is one.

        :param expires_at: Unix seconds.
        """
        raw = self._seal(key, value)
        added = self._store.add(key, raw, self._seconds_until(expires_at))
        return Held(key, value, raw) if added else None

    def replace(self, held: Held[T], value: T, *, expires_at: float) -> Held[T] | None:
        """Save a value in place of the one that was read; None if that is not there any more.

        :param expires_at: Unix seconds.
        """
        raw = self._seal(held.key, value)
        ttl = self._seconds_until(expires_at)
        replaced = self._store.replace(held.key, held.raw, raw, ttl)
        return Held(held.key, value, raw) if replaced else None

    def take(self, key: str, kind: type[T]) -> T | None:
        """Remove a value and return it, to one caller only.

        :raises RecordUnreadable: as :meth:`get`.
        """
        raw = self._store.take(key)
        return None if raw is None else self._open(key, raw, kind)

    def delete(self, key: str) -> None:
        """Remove the value under a key, if there is one."""
        self._store.delete(key)

    def wait(self, held: Held[T], *, seconds: float) -> Held[T] | None:
        """The value once it is another than the one that was read, or when the time is over.

        :return: None if it is gone.
        """
        raw = self._store.wait(held.key, held.raw, seconds)
        if raw is None:
            return None
        if raw == held.raw:
            return held
        return Held(held.key, self._open(held.key, raw, type(held.value)), raw)

    def _seconds_until(self, expires_at: float) -> float:
        return max(expires_at - self._clock(), 1)

    def _seal(self, key: str, value: object) -> bytes:
        return self._sealing.seal(_VERSION + msgspec.json.encode(value), key=key)

    def _open(self, key: str, raw: bytes, kind: type[T]) -> T:
        data = self._sealing.unseal(raw, key=key)
        try:
            if data[:1] != _VERSION:
                raise RecordUnreadable("A record was written by another release.")
            value: T = self._decoders[kind].decode(data[1:])
            return value
        except msgspec.MsgspecError:
            raise RecordUnreadable("A record was written by another release.") from None
