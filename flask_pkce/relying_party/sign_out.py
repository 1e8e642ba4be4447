"""Sign out: what is kept here first, then at the tenant; and when the tenant says so."""

from __future__ import annotations

from collections.abc import Callable

from ..errors import IDTokenInvalid, LogoutTokenInvalid, PKCEError
from ..protocol.logout import build_logout_url, read_origin, verify_logout_token
from ..protocol.metadata import TenantMetadata
from ..sessions.records import Stored
from ..sessions.repository import Sessions
from ..sessions.revocations import Revocations
from ..sessions.session import Grant, Session
from ..settings.model import Settings
from ..tenant.cache import Tenant
from ..tenant.registry import Tenants
from .hooks import HookRunner, signed_out
from .tokens import Exchange

#: Seconds for which a logout token is remembered at most, however long it is valid.
MAX_REMEMBERED = 24 * 3600


class SignOut:
    """Ends sessions, for one blueprint in one application.

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

    def clear(self, held: Stored[Session]) -> None:
        """End a session: its flows, answers and tokens; then revoke, as far as that goes.

        An exchange that is under way finds nothing to store its tokens in, and revokes them.

        :rfc:`7009`
        """
        session = self._sessions.take(held)
        if session is None:
            return
        self._hooks.tell(signed_out, revoked=self._exchange.revoke_all(session.grants))

    def _tenant_of(self, grant: Grant | None) -> TenantMetadata | None:
        """The tenant of a sign-in, if its metadata can be had; without one, the default."""
        if grant is not None:
            return self._tenants.usable_metadata(grant)
        try:
            return self._tenants.select().get()
        except PKCEError:
            return None

    def everywhere(self, issuer: str, subject: str) -> None:
        """End every sign-in of a user; the sessions are cleared when they are used again."""
        self._marks.revoke_user(issuer, subject)

    def logout_url(
        self, grant: Grant | None, *, return_to: str, names_user: bool = True
    ) -> str | None:
        """Where the browser ends its session at the tenant.

        :param grant: the sign-in that ends here.
        :param return_to: the address to which the tenant sends it then.
        :param names_user: whether the address may contain the ID token or the ``sid``; without
            them the tenant asks the user.
        :return: None if the tenant's metadata cannot be had.

        OpenID Connect RP-Initiated Logout 2
        """
        tenant = self._tenant_of(grant)
        if tenant is None:
            return None
        return build_logout_url(
            tenant,
            return_to=return_to,
            id_token=grant.id_token if grant is not None and names_user else None,
            sid=grant.sid if grant is not None and names_user else None,
        )

    def by_tenant(self, logout_token: str) -> None:
        """End what a logout token names: a session at the tenant, or all sessions of a user.

        The ``jti`` is remembered until the token expires, for :data:`MAX_REMEMBERED` seconds at
        most, so that the token counts once.

        :raises LogoutTokenInvalid: if the tenant did not issue it for us, or it came before.
        :raises TenantBusy: if another thread fetches the tenant's metadata or keys.
        :raises TenantError: if they cannot be had.

        OpenID Connect Back-Channel Logout 2.7
        """
        now = self._clock()
        known = self._named_in(logout_token)
        tenant = known.get(is_unverified=True)
        try:
            token = known.with_keys(
                lambda keys: verify_logout_token(
                    logout_token, tenant, keys=keys, leeway=self._settings.leeway, now=now
                ),
                is_unverified=True,
            )
        except IDTokenInvalid:
            raise LogoutTokenInvalid("No key of the tenant has signed the logout token.") from None
        remembered_until = min(token.expires_at + self._settings.leeway, now + MAX_REMEMBERED)
        if self._marks.is_replayed(token.issuer, token.jti):
            raise LogoutTokenInvalid("The logout token came before.")
        # Noted after that: if the store fails here, the tenant may try again.
        if token.sid is not None:
            self._marks.end_session(token.issuer, token.sid)
        else:
            self._marks.revoke_user(token.issuer, token.subject or "")
        self._marks.remember_jti(token.issuer, token.jti, expires_at=remembered_until)

    def _named_in(self, logout_token: str) -> Tenant:
        """The tenant whose keys must have signed a logout token."""
        if not self._tenants.are_several:
            return self._tenants.default
        known = self._tenants.find_by_token(*read_origin(logout_token))
        if known is None:
            raise LogoutTokenInvalid("The logout token names no tenant that is configured.")
        return known
