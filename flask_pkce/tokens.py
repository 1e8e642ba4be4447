"""Refresh: new tokens for a sign-in of the session."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from .errors import GrantRefused, IDTokenInvalid, RefreshTokenUnknown, SignedOutMeanwhile
from .exchange import Exchange
from .hooks import HookRunner, token_refreshed
from .protocol.id_token import Expectation
from .protocol.metadata import Tenant
from .protocol.token import TokenResponse, build_refresh_request
from .records import Held
from .session import Grant, Session
from .sessions import Sessions
from .settings import Settings


@dataclass(frozen=True)
class Refreshed:
    """New tokens of a session."""

    session: Held[Session]
    tenant: Tenant
    response: TokenResponse


class Refresh:
    """Refreshes tokens, for one blueprint in one application.

    :param clock: returns Unix seconds.
    """

    def __init__(
        self,
        settings: Settings,
        sessions: Sessions,
        exchange: Exchange,
        hooks: HookRunner,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._exchange = exchange
        self._hooks = hooks
        self._clock = clock

    def grant(self, session: Session, *, refresh_token: str | None, code: str | None) -> Grant:
        """The sign-in that a caller means, by its refresh token.

        :param refresh_token: as the caller sent it; another session's is not taken.
        :param code: where the published model, which has no member for it, carries one; anything
            else in it is a dummy and ignored.
        :raises RefreshTokenUnknown: if the session has no such refresh token.
        """
        if refresh_token is not None:
            grant = session.grant_of(refresh_token, now=self._clock())
            if grant is None:
                raise RefreshTokenUnknown(field="$.refresh_token")
            return grant
        grant = session.grant_of(code, now=self._clock()) if code is not None else None
        grant = grant or session.grant(now=self._clock())
        if grant is None or grant.refresh_token is None:
            raise RefreshTokenUnknown()
        return grant

    def refresh(
        self, held: Held[Session], grant: Grant, *, audience: str | None = None
    ) -> Refreshed:
        """Ask for new tokens; the new refresh token is saved before anybody gets them.

        :param audience: another API than that of the sign-in.
        :raises GrantRefused: if the tenant took the refresh token back; the sign-in is over.
        :raises SignedOutMeanwhile: if the session was cleared; the new tokens are revoked.

        :rfc:`6749#section-6`, OpenID Connect Core 12
        """
        tenant = self._exchange.prepare()
        if grant.issuer != tenant.issuer:
            raise RefreshTokenUnknown("The sign-in was at another tenant.")
        request = build_refresh_request(grant.refresh_token or "", audience=audience)
        expected = Expectation(
            issuer=grant.issuer,
            client_id=tenant.client_id,
            algorithms=tenant.algorithms,
            leeway=self._settings.leeway,
            subject=grant.subject,
            original_nonce=grant.claims.get("nonce"),
        )
        try:
            response = self._exchange.obtain(
                tenant, request, expected, scope=grant.scope, claims=grant.claims
            )
        except (GrantRefused, IDTokenInvalid):
            self._sessions.update(held, lambda session: session.with_grant(grant, None))
            raise
        renewed = dataclasses.replace(
            grant,
            claims=response.claims,
            refresh_token=response.refresh_token or grant.refresh_token,
        )
        saved = self._sessions.update(held, lambda session: session.with_grant(grant, renewed))
        if saved is None:
            self._exchange.revoke(tenant, renewed.refresh_token)
            raise SignedOutMeanwhile()
        self._hooks.tell(token_refreshed, response=response)
        return Refreshed(saved, tenant, response)
