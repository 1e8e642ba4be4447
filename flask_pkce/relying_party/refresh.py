"""Refresh: new tokens for a sign-in of the session."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable
from dataclasses import dataclass

from ..errors import (
    AccessTokenMissing,
    GrantRefused,
    IDTokenInvalid,
    RefreshTokenReused,
    RefreshTokenUnknown,
    RefreshUnderWay,
    ScopeInvalid,
    SignedOutMeanwhile,
    TenantError,
    TenantUnreachable,
)
from ..protocol.id_token import Expectation
from ..protocol.metadata import TenantMetadata
from ..protocol.token import TokenResponse, build_refresh_request
from ..sessions.records import Stored
from ..sessions.repository import Sessions
from ..sessions.revocations import Revocations
from ..sessions.session import BearerToken, Grant, Renewal, Session
from ..settings.model import Settings
from ..tenant.cache import Tenant
from ..tenant.registry import Tenants
from ..web.models import TokenizedPKCE
from .hooks import HookRunner, token_refreshed
from .tokens import Exchange, with_tokens


@dataclass(frozen=True)
class Refreshed:
    """New tokens of a session."""

    session: Stored[Session]
    tenant: TenantMetadata
    response: TokenResponse


@dataclass
class _Patience:
    """How long one request waits for the refreshes of other requests."""

    #: Monotonic seconds.
    until: float
    #: The sign-in as it was when the request began to wait.
    first_seen: Grant | None = None


class _Outrun(Exception):
    """Another request changed the sign-in meanwhile."""


class Refresh:
    """Refreshes tokens, for one blueprint in one application.

    :param clock: returns Unix seconds.
    """

    def __init__(
        self,
        settings: Settings,
        sessions: Sessions,
        tenants: Tenants,
        exchange: Exchange,
        revocations: Revocations,
        hooks: HookRunner,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._tenants = tenants
        self._exchange = exchange
        self._marks = revocations
        self._hooks = hooks
        self._clock = clock

    def grant(self, session: Session, asked: TokenizedPKCE) -> Grant:
        """The sign-in that a caller means, by its refresh token.

        :param asked: what the caller sent.  Another session's refresh token is not taken.  The
            published model, which has no member for it, carries one as ``code``; anything else
            there is a dummy and ignored.
        :raises RefreshTokenUnknown: if the session has no such refresh token, or the user was
            signed out from outside.
        """
        grant = self._named_grant(session, asked)
        if grant is None or grant.refresh_token is None or self._marks.is_over(grant):
            is_named = asked.refresh_token is not None
            raise RefreshTokenUnknown(field="$.refresh_token" if is_named else None)
        return grant

    def _named_grant(self, session: Session, asked: TokenizedPKCE) -> Grant | None:
        now, token = self._clock(), asked.refresh_token
        named = token if token is not None else asked.code
        grant = session.grant_of(named, now=now) if named is not None else None
        if grant is None and token is None:
            return session.grant(now=now)
        return grant

    def access_token(
        self,
        held: Stored[Session],
        grant: Grant,
        *,
        audience: str | None = None,
        scope: tuple[str, ...] = (),
        refused: BearerToken | None = None,
    ) -> str:
        """The access token of a sign-in for an API, refreshed where that is needed.

        :param audience: another API than that of the sign-in.
        :param scope: what it must grant.
        :param refused: an access token that the API did not take: another one is needed.
        :raises AccessTokenMissing: if there is none, and no refresh token or none that is good.
        :raises TenantError: if the tenant cannot be asked for one.
        """
        kept = grant.access_token(audience=audience, scope=scope, now=self._clock())
        if kept is not None and not kept.is_same(refused):
            return kept.token
        if grant.refresh_token is None:
            raise AccessTokenMissing()
        try:
            refreshed = self.refresh(held, grant, audience=audience, scope=scope or None)
        except ScopeInvalid as exc:
            raise AccessTokenMissing("The tenant does not grant this scope.") from exc
        except (GrantRefused, RefreshTokenUnknown, SignedOutMeanwhile) as exc:
            raise AccessTokenMissing(f"The sign-in is over: {exc.detail}") from exc
        if not set(scope) <= set(refreshed.response.scope):
            raise AccessTokenMissing("The tenant does not grant this scope.")
        return refreshed.response.access_token

    def refresh(
        self,
        held: Stored[Session],
        grant: Grant,
        *,
        audience: str | None = None,
        scope: tuple[str, ...] | None = None,
        asked: TokenizedPKCE | None = None,
    ) -> Refreshed:
        """Ask for new tokens, once for all that ask at the same time.

        The new refresh token is saved before anybody gets the tokens.  With rotation, a refresh
        token that comes twice ends every token of the sign-in (:rfc:`9700#section-4.14.2`).

        :param audience: another API than that of the sign-in.
        :param scope: another scope than that of the sign-in.
        :param asked: what the caller sent, with its refresh token if it named one.
        :raises RefreshUnderWay: if the refresh of another request came to nothing, or others were
            faster again and again.
        :raises RefreshTokenReused: if the tenant took the refresh token back after an answer of
            it was lost; the sign-in is over.
        :raises GrantRefused: if it took it back for another reason; the sign-in is over.
        :raises SignedOutMeanwhile: if the session was cleared; the new tokens are revoked.
        :raises TenantBusy: if too many requests call the tenant, or wait for it.

        :rfc:`6749#section-6`, OpenID Connect Core 12
        """
        known = self._tenants.of_grant(grant)
        tenant = self._exchange.prepare(known) if known is not None else None
        if known is None or tenant is None or grant.issuer != tenant.issuer:
            raise RefreshTokenUnknown("The sign-in was at another tenant.")
        if asked is not None and _names_another(asked, grant):
            # A refresh that has just ended used this token up: share its result.
            if grant.renewal is None or not _brought(grant.renewal, audience, scope):
                raise RefreshTokenUnknown(field="$.refresh_token")
            return Refreshed(held, tenant, self._shared(grant, grant.renewal))
        is_abandoned = self._was_abandoned(grant)
        patience = _Patience(time.monotonic() + self._exchange.deadline() - self._clock())
        while (begun := self._begin(held, grant, is_abandoned=is_abandoned)) is None:
            with known.waiting():
                held, current, is_abandoned = self._wait(held, grant, patience)
            renewal = current.renewal
            is_new = renewal is not None and renewal != grant.renewal
            if renewal is not None and is_new and _brought(renewal, audience, scope):
                return Refreshed(held, tenant, self._shared(current, renewal))
            if renewal == grant.renewal and not is_abandoned:
                raise RefreshUnderWay()
            grant = current
        return self._refresh(*begun, known, tenant, audience, scope)

    def _begin(
        self, held: Stored[Session], grant: Grant, *, is_abandoned: bool
    ) -> tuple[Stored[Session], Grant] | None:
        """Take a sign-in to refresh it, as nobody else can then until a deadline.

        :param is_abandoned: whether the worker died that has it.
        :return: the sign-in as taken; None if another request has it, or had it meanwhile.
        """
        if grant.refreshing_until is not None and not is_abandoned:
            return None
        begun = dataclasses.replace(
            grant,
            refreshing_until=self._exchange.deadline(),
            is_uncertain=grant.is_uncertain or is_abandoned,
        )

        def take(session: Session) -> Session:
            if session.same_grant(grant) != grant:
                raise _Outrun
            return session.with_grant(grant, begun)

        try:
            saved = self._sessions.update(held, take)
        except _Outrun:
            return None
        if saved is None:
            raise SignedOutMeanwhile()
        return saved, begun

    def _wait(
        self, held: Stored[Session], grant: Grant, patience: _Patience
    ) -> tuple[Stored[Session], Grant, bool]:
        """Wait until the refresh of another request ended, or must have, or patience does.

        :return: the session and the sign-in as they are then, and whether the other's worker died.
        :raises GrantRefused: if the sign-in is over.
        :raises SignedOutMeanwhile: if the session was cleared.
        """
        now_held = self._sessions.reload(held)
        while now_held is not None:
            current = now_held.value.same_grant(grant)
            if current is None:
                raise GrantRefused()
            patience.first_seen = patience.first_seen or current
            # The clock may have been set back since the deadline was noted; this one never is.
            real_left = patience.until - time.monotonic()
            left = min((current.refreshing_until or 0) - self._clock(), real_left)
            if current.renewal != grant.renewal or left <= 0:
                has_waited = real_left <= 0 and current == patience.first_seen
                is_taken = current.refreshing_until is not None
                is_abandoned = is_taken and (has_waited or self._was_abandoned(current))
                return now_held, current, is_abandoned
            now_held = self._sessions.wait_for_change(now_held, seconds=left)
        raise SignedOutMeanwhile()

    def _was_abandoned(self, grant: Grant) -> bool:
        """Whether a refresh was begun and nobody can be at it any more: its worker died."""
        return grant.refreshing_until is not None and grant.refreshing_until <= self._clock()

    def _refresh(
        self,
        held: Stored[Session],
        grant: Grant,
        known: Tenant,
        tenant: TenantMetadata,
        audience: str | None,
        scope: tuple[str, ...] | None,
    ) -> Refreshed:
        request = build_refresh_request(
            grant.refresh_token or "", audience=audience, scope=scope or ()
        )
        expected = Expectation(
            issuer=grant.issuer,
            client_id=tenant.client_id,
            trusted_audiences=tenant.registration.trusted_audiences,
            algorithms=tenant.algorithms,
            leeway=self._settings.leeway,
            nonce=grant.nonce,
            subject=grant.subject,
            organization_id=grant.organization_id,
        )
        try:
            response = self._exchange.obtain(
                known, request, expected, scope=scope or grant.scope, grant=grant
            )
        except BaseException as exc:
            self._give_back(held, grant, exc)
            if isinstance(exc, GrantRefused) and grant.is_uncertain:
                raise RefreshTokenReused() from exc
            raise
        now = self._clock()
        renewed = dataclasses.replace(
            grant,
            claims=grant.refreshed_claims(response.claims),
            refresh_token=response.refresh_token or grant.refresh_token,
            refreshing_until=None,
            is_uncertain=False,
            renewal=Renewal(
                at=now,
                access_token=response.access_token,
                expires_at=None if response.expires_in is None else now + response.expires_in,
                scope=response.scope,
                audience=audience,
                asked_scope=scope,
                id_token=response.id_token,
                spent=grant.refresh_token,
            ),
        )
        if self._settings.delivers_to_session:
            renewed = with_tokens(renewed, response, audience=audience, now=now)
        left = None if self._marks.is_over(renewed) else renewed
        saved = self._sessions.update(held, lambda session: session.with_grant(grant, left))
        current = saved.value.same_grant(grant) if saved is not None else None
        if saved is None or current is None:
            self._exchange.revoke(tenant, renewed.refresh_token)
            raise SignedOutMeanwhile()
        if current != renewed:
            # This took longer than its deadline, and another is at it, or was.
            raise RefreshUnderWay()
        self._hooks.tell(token_refreshed, response=response)
        return Refreshed(saved, tenant, response)

    def _give_back(self, held: Stored[Session], grant: Grant, exc: BaseException) -> None:
        """Let others refresh a sign-in again, or end it if the tenant did."""
        left = None
        if not isinstance(exc, GrantRefused | IDTokenInvalid):
            left = dataclasses.replace(
                grant,
                refreshing_until=None,
                is_uncertain=grant.is_uncertain or _may_have_arrived(exc),
            )
        self._sessions.update(held, lambda session: session.with_grant(grant, left))

    def _shared(self, grant: Grant, renewal: Renewal) -> TokenResponse:
        """What the refresh of another request brought."""
        expires_at = renewal.expires_at
        return TokenResponse(
            access_token=renewal.access_token,
            expires_in=None if expires_at is None else max(int(expires_at - self._clock()), 0),
            scope=renewal.scope,
            refresh_token=grant.refresh_token,
            id_token=renewal.id_token,
            claims=grant.claims,
        )


def _names_another(asked: TokenizedPKCE, grant: Grant) -> bool:
    """Whether the caller named a refresh token that is not the sign-in's any more."""
    token = asked.refresh_token
    return token is not None and not grant.has_refresh_token(token)


def _brought(renewal: Renewal, audience: str | None, scope: tuple[str, ...] | None) -> bool:
    """Whether a refresh asked for the same."""
    return (renewal.audience, renewal.asked_scope) == (audience, scope)


def _may_have_arrived(exc: BaseException) -> bool:
    """Whether the tenant may have used a refresh token up without our hearing of the new one."""
    return isinstance(exc, TenantError) and not isinstance(exc, TenantUnreachable)
