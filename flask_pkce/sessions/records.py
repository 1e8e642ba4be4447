"""Values in a store: versioned JSON, sealed, and saved only if nobody saved another meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import MISSING, Field, dataclass, field, fields, is_dataclass
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

import msgspec

from ..errors import RecordOfOtherRelease
from ..stores import Store
from .encryption import Encryption

#: What the values of this release begin with.  A member that is at its default is left out, so
#: that a release which changes a default needs another version.
_VERSION = b"1"

T = TypeVar("T")


@dataclass(frozen=True)
class Stored(Generic[T]):
    """A value as it was read from the store."""

    key: str
    value: T
    raw: bytes = field(repr=False)


@dataclass(frozen=True)
class Codec:
    """Writes and reads the values of one class."""

    lean: type[msgspec.Struct]
    decoder: msgspec.json.Decoder[Any]

    def encode(self, value: object) -> bytes:
        """The JSON of a value, without what is at its default."""
        return msgspec.json.encode(msgspec.convert(value, self.lean, from_attributes=True))


Codecs = Mapping[type, Codec]


def build_codecs(*kinds: type) -> Codecs:
    """What writes and reads values of some classes, to be made while a module is imported.

    msgspec works a class out at its first use, and crashes where several threads are at that.
    """
    return {kind: Codec(_build_lean(kind), msgspec.json.Decoder(kind)) for kind in kinds}


def _build_lean(kind: Any) -> type[msgspec.Struct]:
    """A struct of the members of a dataclass: structs can leave out what is at its default."""
    hints = get_type_hints(kind)
    lean = msgspec.defstruct(
        kind.__name__,
        [(member.name, _lean(hints[member.name]), _default(member)) for member in fields(kind)],
        kw_only=True,
        omit_defaults=True,
    )
    msgspec.json.Decoder(lean)
    return lean


def _lean(hint: Any) -> Any:
    """What stands for a type: the struct of a dataclass, by itself, in a tuple or beside None."""
    if is_dataclass(hint):
        return _build_lean(hint)
    inner = [_build_lean(kind) for kind in get_args(hint) if is_dataclass(kind)]
    if not inner:
        return Any
    (lean,) = inner
    return tuple[lean, ...] if get_origin(hint) is tuple else lean | None  # type: ignore[valid-type]


def _default(member: Field[Any]) -> Any:
    if member.default_factory is not MISSING:
        return msgspec.field(default_factory=member.default_factory)
    return msgspec.NODEFAULT if member.default is MISSING else member.default


class Records:
    """Dataclasses in a store.

    :param codecs: of every class that is kept.
    :param clock: returns Unix seconds.
    """

    def __init__(
        self, store: Store, sealing: Encryption, codecs: Codecs, *, clock: Callable[[], float]
    ) -> None:
        self._store = store
        self._codecs = codecs
        self._sealing = sealing
        self._clock = clock

    def get(self, key: str, kind: type[T]) -> Stored[T] | None:
        """The value under a key, if there is one.

        :raises RecordUnreadable: if it was sealed with another key, or by another release.
        """
        raw = self._store.get(key)
        return None if raw is None else Stored(key, self._open(key, raw, kind), raw)

    def add(self, key: str, value: T, *, expires_at: float) -> Stored[T] | None:
        """Save a value where there is none; None if there is one.

        :param expires_at: Unix seconds.
        """
        raw = self._seal(key, value)
        added = self._store.add(key, raw, self._seconds_until(expires_at))
        return Stored(key, value, raw) if added else None

    def replace(self, held: Stored[T], value: T, *, expires_at: float) -> Stored[T] | None:
        """Save a value in place of the one that was read; None if that is not there any more.

        :param expires_at: Unix seconds.
        """
        raw = self._seal(held.key, value)
        ttl = self._seconds_until(expires_at)
        replaced = self._store.replace(held.key, held.raw, raw, ttl)
        return Stored(held.key, value, raw) if replaced else None

    def take(self, key: str, kind: type[T]) -> T | None:
        """Remove a value and return it, to one caller only.

        :raises RecordUnreadable: as :meth:`get`.
        """
        raw = self._store.take(key)
        return None if raw is None else self._open(key, raw, kind)

    def delete(self, key: str) -> None:
        """Remove the value under a key, if there is one."""
        self._store.delete(key)

    def wait(self, held: Stored[T], *, seconds: float) -> Stored[T] | None:
        """The value once it is another than the one that was read, or when the time is over.

        :return: None if it is gone.
        """
        raw = self._store.wait(held.key, held.raw, seconds)
        if raw is None:
            return None
        if raw == held.raw:
            return held
        return Stored(held.key, self._open(held.key, raw, type(held.value)), raw)

    def _seconds_until(self, expires_at: float) -> float:
        return max(expires_at - self._clock(), 1)

    def _seal(self, key: str, value: object) -> bytes:
        return self._sealing.seal(_VERSION + self._codecs[type(value)].encode(value), key=key)

    def _open(self, key: str, raw: bytes, kind: type[T]) -> T:
        data = self._sealing.unseal(raw, key=key)
        try:
            if data[:1] != _VERSION:
                raise RecordOfOtherRelease()
            value: T = self._codecs[kind].decoder.decode(data[1:])
            return value
        except msgspec.MsgspecError:
            raise RecordOfOtherRelease() from None
