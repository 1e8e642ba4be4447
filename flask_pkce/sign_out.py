"""Clear: what is kept here first, then the refresh tokens at the tenant."""

from __future__ import annotations

from .exchange import Exchange
from .hooks import HookRunner, signed_out
from .records import Held
from .session import Session
from .sessions import Sessions


class SignOut:
    """Ends sessions, for one blueprint in one application."""

    def __init__(self, sessions: Sessions, exchange: Exchange, hooks: HookRunner) -> None:
        self._sessions = sessions
        self._exchange = exchange
        self._hooks = hooks

    def clear(self, held: Held[Session]) -> None:
        """End a session: its flows, answers and tokens; then revoke, as far as that goes.

        An exchange that is under way finds nothing to store its tokens in, and revokes them.

        :rfc:`7009`
        """
        session = self._sessions.take(held)
        if session is None:
            return
        tokens = [(grant.issuer, grant.refresh_token) for grant in session.grants]
        revoked = all(self._revoke(issuer, token) for issuer, token in tokens if token)
        self._hooks.tell(signed_out, revoked=revoked)

    def _revoke(self, issuer: str, refresh_token: str) -> bool:
        """Revoke one token; the first that fails is the last that is tried: nobody waits long."""
        tenant = self._exchange.tenant()
        if tenant is None or tenant.issuer != issuer:
            return False
        return self._exchange.revoke(tenant, refresh_token)
