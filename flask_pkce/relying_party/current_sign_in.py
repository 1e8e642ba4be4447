"""The user who is signed in now, for the application's views and for our own routes."""

from __future__ import annotations

from collections.abc import Callable

from ..sessions.records import Stored
from ..sessions.repository import Sessions
from ..sessions.revocations import Revocations
from ..sessions.session import Grant, Session
from ..settings.model import Settings
from ..tenant.registry import Tenants
from ..web.models import SeededPKCE
from .sign_out import SignOut

#: How often a session is saved only because somebody uses it: parts of the time it may idle.
_SAVED_PER_IDLE = 10

#: The parameters by which a signed-in user is asked to authenticate again.
_AGAIN = frozenset({"max_age", "acr_values"})


class Presence:
    """Tells who is signed in, for one blueprint in one application.

    :param clock: returns Unix seconds.
    """

    def __init__(
        self,
        settings: Settings,
        sessions: Sessions,
        tenants: Tenants,
        revocations: Revocations,
        sign_out: SignOut,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._tenants = tenants
        self._marks = revocations
        self._sign_out = sign_out
        self._clock = clock

    def grant(self, held: Stored[Session]) -> Grant | None:
        """The newest sign-in of a session that is used now, as long as it is good.

        A session that was signed out from outside is cleared.  One that signed in at a tenant
        which is not configured any more is not signed in.
        """
        grant = self._configured(held.value)
        if grant is None:
            return None
        if self._marks.is_over(grant):
            self._sign_out.clear(held)
            return None
        self._note_use(held)
        return grant

    def peek(self, held: Stored[Session]) -> Grant | None:
        """Return what :meth:`grant` does, and change nothing: neither clear nor note a use."""
        grant = self._configured(held.value)
        return None if grant is None or self._marks.is_over(grant) else grant

    def asked_again(self, held: Stored[Session], seed: SeededPKCE) -> tuple[str, str] | None:
        """Return the issuer and the subject of the user whom a sign-in asks to authenticate again.

        A request for ``max_age`` or ``acr_values`` does, where a user is signed in.
        """
        if not seed.additional.keys() & _AGAIN:
            return None
        grant = self.peek(held)
        return None if grant is None else (grant.issuer, grant.subject)

    def _configured(self, session: Session) -> Grant | None:
        """The newest sign-in of a session, if it is at a tenant that is configured now."""
        grant = session.grant(now=self._clock())
        return None if grant is None or self._tenants.of_grant(grant) is None else grant

    def _note_use(self, held: Stored[Session]) -> None:
        idle = self._settings.session_idle_lifetime
        if idle is None:
            return
        until = self._clock() + idle
        if until - (held.value.idle_until or 0) > idle / _SAVED_PER_IDLE:
            self._sessions.update(held, lambda session: session.used(idle_until=until))
