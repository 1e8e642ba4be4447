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
        tokens = [grant.refresh_token for grant in session.grants if grant.refresh_token]
        tenant = self._exchange.tenant() if tokens else None
        taken_back = 0
        if tenant is not None:
            taken_back = sum(self._exchange.revoke(tenant, token) for token in tokens)
        self._hooks.tell(signed_out, revoked=taken_back == len(tokens))
