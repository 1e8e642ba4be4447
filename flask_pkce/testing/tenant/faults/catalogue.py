"""The catalogue of the faults, and a set of those that are switched on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, MutableSet
from dataclasses import dataclass, replace
from difflib import get_close_matches
from inspect import cleandoc
from typing import Any, Literal, TypeVar

from ..keys import SigningKeys
from ..memory import AuthorizationCode

Stage = Literal[
    "id_token_claims",  # dict: the claims, before they are signed
    "id_token",  # str: the compact serialization
    "userinfo",  # dict: the claims
    "token_request",  # None: a response made here is sent and nothing is looked at
    "token_response",  # Response: after the code or refresh token was used up
    "metadata",  # Response
    "jwks",  # Response
    "authorization_response",  # dict: the parameters
    "code",  # str: a new authorization code
    "opaque_token",  # str: a new refresh token, or access token that is no JWT
    "revocation_request",  # None: as with "token_request"
    "par_request",  # None: as with "token_request"
    "par_response",  # Response: after the request was taken
    "connect",  # None: before the tenant looks at a request; the connection's error is raised
    "read",  # None: after it acted on one
]

#: Named by faults that point elsewhere; no such host can exist (RFC 6761 6.5).
ATTACKER = "https://attacker.example/"


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What a fault may want to know.

    :param now: Unix seconds.
    :param client_secret: that of the client whose ID token is made.
    :param code: that of which an ID token is made; none at a refresh.
    """

    issuer: str
    now: int
    keys: SigningKeys
    client_secret: str | None = None
    code: AuthorizationCode | None = None


Spoil = Callable[[Any, Scene], Any]


@dataclass(frozen=True)
class Fault:
    """A fault: its name, what the tenant does wrong, and what that is at which stages.

    :param summary: a sentence.
    """

    name: str
    summary: str
    spoils: Mapping[Stage, Spoil]

    @property
    def module(self) -> str:
        """The module in which it is made."""
        return next(iter(self.spoils.values())).__module__


#: Every fault, by its name.
FAULTS: dict[str, Fault] = {}

F = TypeVar("F", bound=Spoil)
T = TypeVar("T")


def fault(name: str, stage: Stage, summary: str | None = None) -> Callable[[F], F]:
    """Enter the decorated function in the catalogue.

    A fault that takes more than one stage has a function for each; the first one describes it.

    :param summary: what the tenant does wrong, where the docstring does not say it.
    """

    def enter(function: F) -> F:
        known = FAULTS.get(name) or Fault(name, summary or cleandoc(function.__doc__ or ""), {})
        assert stage not in known.spoils, f"two faults are named {name}"
        FAULTS[name] = replace(known, spoils={**known.spoils, stage: function})
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
            alike = get_close_matches(value, FAULTS, cutoff=0)
            raise ValueError(f"no such fault: {value!r}; there are {', '.join(alike)}, and others")
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
            if stage in entry.spoils and entry.name in self:
                value = entry.spoils[stage](value, scene)
        return value
