"""Refresh: new tokens for a sign-in of the session."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

from .errors import (
    GrantRefused,
    IDTokenInvalid,
    RefreshTokenUnknown,
    RefreshUnderWay,
    SignedOutMeanwhile,
)
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
        :raises RefreshUnderWay: if another request is at it: with rotation, a refresh token that
            comes twice ends every token of the sign-in (:rfc:`9700#section-4.14.2`).
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
            nonce=grant.nonce,
            subject=grant.subject,
        )
        held, begun = self._begin(held, grant)
        idle = dataclasses.replace(grant, refreshing_until=None)
        try:
            response = self._exchange.obtain(
                tenant, request, expected, scope=grant.scope, claims=grant.claims
            )
        except BaseException as exc:
            left = None if isinstance(exc, GrantRefused | IDTokenInvalid) else idle
            self._sessions.update(held, lambda session: session.with_grant(begun, left))
            raise
        renewed = dataclasses.replace(
            idle,
            claims=response.claims,
            refresh_token=response.refresh_token or grant.refresh_token,
        )
        saved = self._sessions.update(held, lambda session: session.with_grant(begun, renewed))
        if saved is None:
            self._exchange.revoke(tenant, renewed.refresh_token)
            raise SignedOutMeanwhile()
        self._hooks.tell(token_refreshed, response=response)
        return Refreshed(saved, tenant, response)

    def _begin(self, held: Held[Session], grant: Grant) -> tuple[Held[Session], Grant]:
        """Take a sign-in to refresh it, as nobody else can then until a deadline."""
        begun = dataclasses.replace(grant, refreshing_until=self._exchange.deadline())

        def take(session: Session) -> Session:
            is_taken = (grant.refreshing_until or 0) > self._clock()
            if is_taken or grant not in session.grants:
                raise RefreshUnderWay()
            return session.with_grant(grant, begun)

        saved = self._sessions.update(held, take)
        if saved is None:
            raise SignedOutMeanwhile()
        return saved, begun
