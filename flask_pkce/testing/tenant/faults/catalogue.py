"""The catalogue of the faults, and a set of those that are switched on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, MutableSet
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

Stage = Literal[
    "id_token_claims",  # dict: the claims, before they are signed
    "id_token",  # str: the compact serialization
    "userinfo",  # dict: the claims
    "token_request",  # None: a response made here is sent and nothing is looked at
    "token_response",  # Response: after the code or refresh token was used up
    "metadata",  # Response
    "jwks",  # Response
    "authorization_response",  # dict: the parameters
    "connect",  # PreparedRequest: in process only, before the tenant has it
    "read",  # PreparedRequest: in process only, after the tenant acted on it
]

#: Named by faults that point elsewhere; no such host can exist (RFC 6761 6.5).
ATTACKER = "https://attacker.example/"


@dataclass(frozen=True)
class Scene:
    """What a fault may want to know: the issuer, and Unix seconds."""

    issuer: str
    now: int


@dataclass(frozen=True)
class Fault:
    """A fault: its name, its stage, and what it does there."""

    name: str
    stage: Stage
    spoil: Callable[[Any, Scene], Any]

    @property
    def summary(self) -> str:
        """What the tenant does wrong, in a sentence."""
        return (self.spoil.__doc__ or "").strip()


#: Every fault, by its name.
FAULTS: dict[str, Fault] = {}

F = TypeVar("F", bound=Callable[[Any, Scene], Any])
T = TypeVar("T")


def fault(name: str, stage: Stage) -> Callable[[F], F]:
    """Enter the decorated function in the catalogue."""

    def enter(function: F) -> F:
        FAULTS[name] = Fault(name, stage, function)
        return function

    return enter


class FaultSet(MutableSet[str]):
    """Names of faults; one that does not exist is refused, lest a test prove nothing."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self._names: set[str] = set()
        for name in names:
            self.add(name)

    def add(self, value: str) -> None:
        """Switch a fault on.

        :raises ValueError: if there is no such fault.
        """
        if value not in FAULTS:
            raise ValueError(f"no such fault: {value!r}; there are {', '.join(sorted(FAULTS))}")
        self._names.add(value)

    def discard(self, value: str) -> None:
        """Switch a fault off."""
        self._names.discard(value)

    def __contains__(self, value: object) -> bool:
        return value in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(tuple(self._names))

    def __len__(self) -> int:
        return len(self._names)

    def spoil(self, stage: Stage, value: T, scene: Scene) -> T:
        """Let the faults of a stage work on a value, in the order of the catalogue."""
        for entry in FAULTS.values():
            if entry.stage == stage and entry.name in self:
                value = entry.spoil(value, scene)
        return value
