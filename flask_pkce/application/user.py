"""Who is signed in, as the views of the host see it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, eq=False)
class User(Mapping[str, Any]):
    """Who is signed in: a mapping of the claims of the verified ID token.

    Two are the same user if issuer and subject are the same; nothing else identifies anybody
    (OpenID Connect Core 5.7).
    """

    #: The tenant that says so.
    issuer: str
    #: Its name for the user, which never changes.
    subject: str
    claims: Mapping[str, Any] = field(repr=False)

    def __getitem__(self, claim: str) -> Any:
        return self.claims[claim]

    def __iter__(self) -> Iterator[str]:
        return iter(self.claims)

    def __len__(self) -> int:
        return len(self.claims)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, User):
            return NotImplemented
        return (self.issuer, self.subject) == (other.issuer, other.subject)

    def __hash__(self) -> int:
        return hash((self.issuer, self.subject))
