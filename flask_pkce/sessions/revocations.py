"""Users and tenant sessions that were signed out from outside, read when a session is used.

A store cannot list the sessions of a user, so signing a user out stores a revocation.  Each has a
random id, and each sign-in keeps the id of its user's revocation at the time when it began.  The
sign-in is over once its user has another revocation.  No clock decides that, so the clocks of
several machines may differ.
"""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass

from ..protocol.pkce import base64url
from .records import Records
from .session import Grant

#: Bytes of the id of a revocation.
_ID_BYTES = 16


@dataclass(frozen=True)
class Revocation:
    """A user, a session at the tenant or a logout token that is over."""

    #: Differs for each revocation.
    id: str
    #: When it was set, in Unix seconds of the machine that set it.
    set_at: float


class Revocations:
    """The revocations of one blueprint in one application.

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

    def revoke_user(self, issuer: str, subject: str) -> None:
        """End every sign-in of a user until now."""
        self._set("sub", issuer, subject)

    def end_session(self, issuer: str, sid: str) -> None:
        """End every sign-in from one session at the tenant."""
        self._set("sid", issuer, sid)

    def admit(self, grant: Grant, *, bound_at: float | None = None) -> Grant | None:
        """Return a sign-in that begins now with its user's revocation, or None if it is over.

        It is over if its session at the tenant ended, or if its user was signed out while the
        code was exchanged.  Only the latter compares clocks.  A revocation from the future comes
        from a machine whose clock is ahead, and does not count: the user could not sign in again
        until this machine's clock reaches it.

        :param bound_at: Unix seconds when the code arrived; None if none was exchanged.
        """
        revocation = self._user_revocation(grant)
        if (
            revocation is not None
            and bound_at is not None
            and bound_at <= revocation.set_at <= self._clock()
        ):
            return None
        if self._has_session_ended(grant):
            return None
        if revocation is None:
            return grant
        return dataclasses.replace(grant, revocation_id=revocation.id)

    def is_over(self, grant: Grant) -> bool:
        """Return whether the user of a sign-in, or its session at the tenant, was signed out."""
        revocation = self._user_revocation(grant)
        if revocation is not None and revocation.id != grant.revocation_id:
            return True
        return self._has_session_ended(grant)

    def _user_revocation(self, grant: Grant) -> Revocation | None:
        held = self._records.get(self._key("sub", grant.issuer, grant.subject), Revocation)
        return None if held is None else held.value

    def _has_session_ended(self, grant: Grant) -> bool:
        # A session at the tenant that ended does not begin again, so any revocation counts.
        return grant.sid is not None and (
            self._records.get(self._key("sid", grant.issuer, grant.sid), Revocation) is not None
        )

    def is_replayed(self, issuer: str, token_id: str) -> bool:
        """Return whether a token with that ``jti`` came before."""
        return self._records.get(self._key("jti", issuer, token_id), Revocation) is not None

    def remember_jti(self, issuer: str, token_id: str, *, expires_at: float) -> None:
        """Remember a token by its ``jti``.

        :param expires_at: Unix seconds after which the token is refused anyway.
        """
        key = self._key("jti", issuer, token_id)
        self._records.add(key, self._new_revocation(), expires_at=expires_at)

    def _set(self, kind: str, issuer: str, name: str) -> None:
        key = self._key(kind, issuer, name)
        revocation = self._new_revocation()
        expires_at = self._clock() + self._lifetime
        while self._records.add(key, revocation, expires_at=expires_at) is None:
            held = self._records.get(key, Revocation)
            if held is not None:
                # If another request is faster, it ends the same sign-ins.
                self._records.replace(held, revocation, expires_at=expires_at)
                return

    def _new_revocation(self) -> Revocation:
        return Revocation(id=base64url(os.urandom(_ID_BYTES)), set_at=self._clock())

    def _key(self, kind: str, issuer: str, name: str) -> str:
        digest = hashlib.sha256(f"{issuer} {name}".encode()).digest()
        return f"{self._namespace}:{kind}:{base64url(digest)}"
