"""What is kept for one caller: its flows, its user and its refresh tokens."""

from __future__ import annotations

import dataclasses
import hmac
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

#: Flows of one session that can be under way at once.
MAX_FLOWS = 20
#: Sign-ins whose refresh tokens one session keeps.
MAX_GRANTS = 20

#: Seconds for which what a refresh brought is shared with those that come too late for it.
RENEWAL_SHARED = 30

#: Access tokens that one sign-in keeps.
MAX_ACCESS_TOKENS = 8
#: Seconds before its end in which an access token is not used any more: it is on its way then.
EXPIRY_MARGIN = 30

#: Claims of the sign-in, and not of the user.
_OF_THE_SIGN_IN = ("auth_time", "acr", "amr", "sid", "session_expiry", "org_id", "org_name")

#: What stands for the owner in the states of the local session, whose record comes and goes.
LOCAL_OWNER = "local"


@dataclass(frozen=True)
class FlowEntry:
    """A flow of the session, oldest first: where it is stored, and until when."""

    key: str
    expires_at: float


@dataclass(frozen=True)
class BearerToken:
    """An access token on its way, which no ``repr`` shows."""

    value: str = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class AccessToken:
    """An access token that is kept for the host's views."""

    token: str = field(repr=False)
    #: The API it is for; None for that of the sign-in.
    audience: str | None
    scope: tuple[str, ...]
    #: Unix seconds; None where the tenant does not say.
    expires_at: float | None

    def is_same(self, refused: BearerToken | None) -> bool:
        """Return whether this is the access token that an API refused."""
        return refused is not None and _is_same(self.token, refused.value)


@dataclass(frozen=True, kw_only=True)
class Renewal:
    """What the last refresh of a sign-in brought, for those that asked for it at the same time.

    Times are Unix seconds.
    """

    at: float
    access_token: str = field(repr=False)
    #: None where the tenant does not say.
    expires_at: float | None
    scope: tuple[str, ...]
    #: What the refresh asked for in place of the audience of the sign-in.
    audience: str | None
    #: What it asked for in place of the scope of the sign-in.
    asked_scope: tuple[str, ...] | None = None
    id_token: str | None = field(default=None, repr=False)
    #: The refresh token that it used up.
    spent: str | None = field(default=None, repr=False)


@dataclass(frozen=True, kw_only=True)
class Grant:
    """A sign-in of the session: who signed in, and what refreshes its tokens."""

    #: Tells the sign-ins of a session apart, whatever becomes of their tokens.
    id: str
    issuer: str
    #: The name of the tenant, where there are several.
    tenant: str = ""
    #: Our ``client_id`` there; empty in what older releases kept.
    client_id: str = ""
    claims: Mapping[str, Any] = field(repr=False)
    scope: tuple[str, ...]
    audience: str | None = None
    refresh_token: str | None = field(default=None, repr=False)
    #: The nonce of the sign-in, which refreshed ID tokens may repeat.
    nonce: str | None = field(default=None, repr=False)
    #: Until when a refresh that is under way can still end.
    refreshing_until: float | None = None
    #: Whether the tenant may have used up the refresh token, and we never heard of the new one.
    is_uncertain: bool = False
    renewal: Renewal | None = None
    #: Unix seconds.
    signed_in_at: float = 0.0
    #: The id of its user's revocation when it began, see :mod:`flask_pkce.sessions.revocations`;
    #: empty if there was none.
    revocation_id: str = ""
    #: The ``acr_values`` for which the sign-in was asked, before any hook.
    asked_acr: str | None = None
    #: The ``max_age`` for which the sign-in was asked, before any hook.
    asked_max_age: int | None = None
    #: With delivery ``session`` alone: the newest ID token, and an access token for each API.
    id_token: str | None = field(default=None, repr=False)
    access_tokens: tuple[AccessToken, ...] = field(default=(), repr=False)

    @property
    def subject(self) -> str:
        """The user, unique together with the issuer."""
        return str(self.claims["sub"])

    @property
    def user(self) -> tuple[str, str, str]:
        """Who signed in, and to which application of the tenant."""
        return (self.issuer, self.client_id, self.subject)

    @property
    def sid(self) -> str | None:
        """The session at the tenant, where the ID token names it."""
        sid = self.claims.get("sid")
        return sid if isinstance(sid, str) else None

    def access_token(
        self, *, audience: str | None, scope: tuple[str, ...], now: float
    ) -> AccessToken | None:
        """The access token for an API that grants a scope, unless it expired or is about to."""
        for kept in self.access_tokens:
            if kept.audience == audience and set(scope) <= set(kept.scope):
                is_good = kept.expires_at is None or now < kept.expires_at - EXPIRY_MARGIN
                return kept if is_good else None
        return None

    def with_access_token(self, new: AccessToken) -> Grant:
        """A copy that keeps a new access token in place of those that it makes superfluous."""
        kept = tuple(
            old
            for old in self.access_tokens
            if old.audience != new.audience or not set(old.scope) <= set(new.scope)
        )
        return dataclasses.replace(self, access_tokens=(new, *kept)[:MAX_ACCESS_TOKENS])

    @property
    def organization_id(self) -> str | None:
        """The organization that the user signed in to."""
        organization = self.claims.get("org_id")
        return organization if isinstance(organization, str) else None

    def refreshed_claims(self, claims: Mapping[str, Any]) -> dict[str, Any]:
        """The claims after a refresh: the user's are new, those of the sign-in stay.

        What a refreshed ID token says of them, or leaves out, makes no sign-in fresher, stronger,
        longer or another's (OpenID Connect Core 12.2).
        """
        kept = {name: self.claims[name] for name in _OF_THE_SIGN_IN if name in self.claims}
        changed = {name: value for name, value in claims.items() if name not in _OF_THE_SIGN_IN}
        ends = [
            end
            for end in (self.claims.get("session_expiry"), claims.get("session_expiry"))
            if isinstance(end, int | float) and not isinstance(end, bool)
        ]
        return {**changed, **kept, **({"session_expiry": min(ends)} if ends else {})}

    def has_refresh_token(self, token: str) -> bool:
        """Whether this is its refresh token."""
        return _is_same(self.refresh_token, token)

    def has_spent(self, token: str, *, now: float) -> bool:
        """Whether this is the refresh token that its last refresh used up, a moment ago."""
        if self.renewal is None or abs(now - self.renewal.at) >= RENEWAL_SHARED:
            return False
        return _is_same(self.renewal.spent, token)

    def is_over(self, *, now: float) -> bool:
        """Whether the tenant said that its own session ends by now, in ``session_expiry``.

        OpenID Connect, IPSIE SL1 profile
        """
        end = self.claims.get("session_expiry")
        return isinstance(end, int | float) and not isinstance(end, bool) and end <= now


@dataclass(frozen=True, kw_only=True)
class Session:
    """What is kept for one caller.

    Times are Unix seconds.
    """

    id: str
    #: SHA-256 of the secret in the cookie; empty for the local session, which has none.
    secret_hash: str = field(repr=False)
    #: The host on which it was started, in its canonical form; a request with another ``Host`` is
    #: anonymous.  None for the local session, which is not tied to one.
    host: str | None = None
    created_at: float
    #: Until when the sign-in of the session is good; ``created_at`` before there is one.
    signed_in_until: float
    #: Until when the sign-in is good if nobody uses it; None where that does not matter.
    idle_until: float | None = None
    #: When its pointer was renewed.
    renewed_at: float = 0.0
    flows: tuple[FlowEntry, ...] = ()
    grants: tuple[Grant, ...] = field(default=(), repr=False)

    @property
    def is_local(self) -> bool:
        """Whether this is the session that all local callers without a cookie share."""
        return not self.secret_hash

    @property
    def owner(self) -> str:
        """What its states are tied to."""
        return LOCAL_OWNER if self.is_local else self.id

    @property
    def expires_at(self) -> float:
        """When nothing of it is left."""
        return max(self._good_until, *(flow.expires_at for flow in self.flows), 0)

    @property
    def _good_until(self) -> float:
        if self.idle_until is None:
            return self.signed_in_until
        return min(self.signed_in_until, self.idle_until)

    def grant(self, *, now: float) -> Grant | None:
        """The newest sign-in, as long as it is good."""
        if not self.grants or now >= self._good_until or self.grants[-1].is_over(now=now):
            return None
        return self.grants[-1]

    def grant_of(self, refresh_token: str, *, now: float) -> Grant | None:
        """The sign-in to which a refresh token was issued, as long as it is good.

        The one that the last refresh used up counts for half a minute: whoever found the access
        token expired at the same moment comes with it.
        """
        if now >= self._good_until:
            return None
        for grant in self.grants:
            if grant.has_refresh_token(refresh_token) or grant.has_spent(refresh_token, now=now):
                return None if grant.is_over(now=now) else grant
        return None

    def same_grant(self, grant: Grant) -> Grant | None:
        """A sign-in as it is now; None if it is over."""
        return next((current for current in self.grants if current.id == grant.id), None)

    def with_flow(self, entry: FlowEntry, *, now: float) -> Session:
        """A copy with one more flow, and without those that ended."""
        kept = tuple(flow for flow in self.flows if flow.expires_at > now)
        return dataclasses.replace(self, flows=(*kept, entry))

    def without_flow(self, key: str) -> Session:
        """A copy without a flow."""
        return dataclasses.replace(
            self, flows=tuple(flow for flow in self.flows if flow.key != key)
        )

    def renewed(self, *, secret_hash: str, now: float) -> Session:
        """A copy that only a new pointer opens."""
        return dataclasses.replace(self, secret_hash=secret_hash, renewed_at=now)

    def signed_in(
        self, grant: Grant, *, until: float, idle_until: float | None = None, alone: bool = False
    ) -> Session:
        """A copy with one more sign-in.

        :param alone: whether it takes the place of all others: who signed in before must not come
            back when this one is over.
        """
        return dataclasses.replace(
            self,
            grants=(*(() if alone else self.grants), grant)[-MAX_GRANTS:],
            signed_in_until=until,
            idle_until=idle_until,
        )

    def ousted_from(self, before: Session) -> Iterator[Grant]:
        """The sign-ins of other users that were there before, and are not any more.

        Those of the same user are left out: a tenant may revoke with one refresh token all that
        it issued to that user for that application, the newest too.
        """
        users = {grant.user for grant in self.grants}
        return (grant for grant in before.grants if grant.user not in users)

    def used(self, *, idle_until: float) -> Session:
        """A copy that somebody used, and that may idle anew."""
        return dataclasses.replace(self, idle_until=idle_until)

    def with_grant(self, old: Grant, new: Grant | None) -> Session:
        """A copy in which a sign-in was refreshed, or is over; as it is, if the sign-in is not."""
        changed = (new if grant == old else grant for grant in self.grants)
        return dataclasses.replace(
            self, grants=tuple(grant for grant in changed if grant is not None)
        )


def _is_same(held: str | None, token: str) -> bool:
    """Whether two tokens are one, told in constant time."""
    return held is not None and hmac.compare_digest(held.encode(), token.encode())
