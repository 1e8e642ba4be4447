"""Marks: who was signed out from outside, looked at when a session is used.

Nobody knows which sessions a user has, and no store has to be scanned for them: a mark says that
what was signed in before it does not count any more.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass

from .protocol.pkce import base64url
from .records import Records
from .session import Grant


@dataclass(frozen=True)
class Mark:
    """What was signed in until this moment is over."""

    #: Unix seconds.
    not_before: float


class Marks:
    """The marks of one blueprint in one application.

    :param namespace: the blueprint's name; it begins every key.
    :param lifetime: seconds that the longest session lives.
    :param clock: returns Unix seconds.
    """

    def __init__(
        self, records: Records, *, namespace: str, lifetime: float, clock: Callable[[], float]
    ) -> None:
        self._records = records
        self._namespace = namespace
        self._lifetime = lifetime
        self._clock = clock

    def end_user(self, issuer: str, subject: str) -> None:
        """End every sign-in of a user until now."""
        self._set("sub", issuer, subject)

    def end_session(self, issuer: str, sid: str) -> None:
        """End every sign-in from one session at the tenant."""
        self._set("sid", issuer, sid)

    def is_over(self, grant: Grant) -> bool:
        """Whether a sign-in was ended from outside."""
        mark = self._records.get(self._key("sub", grant.issuer, grant.subject), Mark)
        if mark is not None and grant.signed_in_at <= mark.value.not_before:
            return True
        # A session at the tenant that ended does not begin again.
        return grant.sid is not None and (
            self._records.get(self._key("sid", grant.issuer, grant.sid), Mark) is not None
        )

    def has_seen(self, issuer: str, token_id: str) -> bool:
        """Whether a token with that ``jti`` was noted."""
        return self._records.get(self._key("jti", issuer, token_id), Mark) is not None

    def note(self, issuer: str, token_id: str, *, expires_at: float) -> None:
        """Note a token by its ``jti``.

        :param expires_at: Unix seconds after which nobody takes it any more.
        """
        key = self._key("jti", issuer, token_id)
        self._records.add(key, Mark(self._clock()), expires_at=expires_at)

    def _set(self, kind: str, issuer: str, name: str) -> None:
        key = self._key(kind, issuer, name)
        mark = Mark(self._clock())
        expires_at = self._clock() + self._lifetime
        while self._records.add(key, mark, expires_at=expires_at) is None:
            held = self._records.get(key, Mark)
            if held is not None:
                # Whoever is faster at this moment says the same.
                self._records.replace(held, mark, expires_at=expires_at)
                return

    def _key(self, kind: str, issuer: str, name: str) -> str:
        digest = hashlib.sha256(f"{issuer} {name}".encode()).digest()
        return f"{self._namespace}:{kind}:{base64url(digest)}"
