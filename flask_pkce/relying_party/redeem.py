"""Redeem: the code of a flow becomes tokens and a signed-in session, once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..errors import (
    AuthorizationPending,
    FileDescriptorsExhausted,
    GrantError,
    IDTokenInvalid,
    ParameterForeign,
    ParameterInvalid,
    PKCEError,
    SessionMismatch,
    SignedOutMeanwhile,
    TenantLimit,
    TenantReplaced,
    TenantUnreachable,
    VerifierMismatch,
)
from ..protocol.id_token import Expectation
from ..protocol.metadata import TenantMetadata
from ..protocol.pkce import verifies
from ..protocol.token import TokenRequest, TokenResponse, build_code_request
from ..sessions.flow import Flow, Status
from ..sessions.records import Stored
from ..sessions.repository import Sessions
from ..sessions.revocations import Revocations
from ..sessions.session import Grant, Session
from ..sessions.signing import Pointer
from ..settings.model import Settings
from ..tenant.cache import Tenant
from ..tenant.registry import Tenants
from ..web.models import TokenizedPKCE
from .authorize import SignIn
from .hooks import HookRunner, signed_in
from .tokens import Exchange, with_tokens


@dataclass(frozen=True)
class Redeemed:
    """A flow that ended in a sign-in, and the session's new pointer."""

    flow: Flow
    session: Stored[Session]
    pointer: Pointer | None = field(repr=False)
    tenant: TenantMetadata
    response: TokenResponse
    code: str = field(repr=False)
    code_verifier: str = field(repr=False)
    redirect_uri: str


class Redemption:
    """Exchanges codes, for one blueprint in one application.

    :param clock: returns Unix seconds.
    """

    def __init__(
        self,
        settings: Settings,
        sessions: Sessions,
        tenants: Tenants,
        sign_in: SignIn,
        exchange: Exchange,
        revocations: Revocations,
        hooks: HookRunner,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._tenants = tenants
        self._sign_in = sign_in
        self._exchange = exchange
        self._marks = revocations
        self._hooks = hooks
        self._clock = clock

    def flow_to_redeem(
        self,
        session: Stored[Session],
        asked: TokenizedPKCE,
        *,
        check: Callable[[Tenant], None] = lambda known: None,
    ) -> Stored[Flow]:
        """The flow that a code or a verifier names; with neither, the newest bound one.

        A code that went to another allowed redirect URI is bound here: its caller brings it.

        :param asked: what the caller sent.
        :param check: raises where the caller asks for what its tenant does not have.
        :raises GrantError: if they fit no flow of the session.
        :raises SessionMismatch: if the session never had an answer that they could fit.
        :raises ParameterForeign: if the redirect URI is another than the flow's.
        :raises AuthorizationPending: if the session has no flow at all, or none that can be
            redeemed without its code.
        """
        held = self._named_flow(session, asked)
        if held.value.expected is None:
            # Started and not sent: to redeem it says so.
            return held
        check(self._tenants.of_flow(held.value))
        if asked.redirect_uri not in {None, held.value.redirect_uri}:
            raise ParameterForeign(
                "is not the redirect URI of this sign-in", field="$.redirect_uri"
            )
        is_elsewhere = held.value.is_sent_elsewhere
        if asked.code is None and is_elsewhere and held.value.status is Status.BOUND:
            # Its code is known to whoever brought it, and no cookie was renewed for that: others
            # who have the cookie, and the verifier, wait in vain.
            raise AuthorizationPending()
        if asked.code is None or held.value.has_code(asked.code):
            return held
        if held.value.status is Status.BOUND:
            raise GrantError(field="$.code")
        if not _awaits_code_elsewhere(held.value):
            return held
        return self._sign_in.bind_code(held, asked.code)

    def _named_flow(self, session: Stored[Session], asked: TokenizedPKCE) -> Stored[Flow]:
        # No store is asked any more where code and verifier are variables of their own.
        flows = list(self._sessions.flows(session))
        code, code_verifier = asked.code, asked.code_verifier
        if code is None and code_verifier is None:
            if not flows:
                raise AuthorizationPending()
            bound = (flow for flow in flows if flow.value.status is Status.BOUND)
            return next(bound, flows[0])
        for flow in flows:
            if code is not None and flow.value.has_code(code):
                return flow
        for flow in flows:
            if code_verifier is not None and verifies(code_verifier, flow.value.code_challenge):
                return flow
            if code_verifier is None and _awaits_code_elsewhere(flow.value):
                return flow
        if not session.value.grants and not any(
            flow.value.is_answered or flow.value.failure for flow in flows
        ):
            # No code ever came to this session: it holds somebody else's.
            raise SessionMismatch()
        raise GrantError(field="$.code" if code is not None else "$.code_verifier")

    def redeem(
        self,
        session: Stored[Session],
        held: Stored[Flow],
        *,
        asked: TokenizedPKCE | None = None,
    ) -> Redeemed:
        """Exchange the code of a flow, once, and sign the session in.

        :param asked: what the caller sent, with its own verifier where only the caller knows it.
        :raises VerifierMismatch: if it does not hash to the flow's challenge; nothing is used up.
        :raises AuthorizationPending: if there is no answer yet, and so on: see
            :meth:`~flask_pkce.sessions.flow.Flow.redeem`.
        :raises PKCEError: what the tenant, the verification or a hook says.
        """
        held.value.check_redeemable()
        request = self._build_request(held.value, asked)
        known = self._tenants.of_flow(held.value)
        tenant = self._exchange.prepare(known)
        if held.value.response.issuer != tenant.issuer:
            raise TenantReplaced()
        until = self._exchange.deadline()
        redeeming = self._sessions.save(held, held.value.redeem(until=until))
        if redeeming is None:
            self._sign_in.reloaded(held).value.check_redeemable()
            raise GrantError()
        return self._exchange_code(session, redeeming, known, tenant, request)

    def _exchange_code(
        self,
        session: Stored[Session],
        held: Stored[Flow],
        known: Tenant,
        tenant: TenantMetadata,
        request: TokenRequest,
    ) -> Redeemed:
        flow = held.value
        scope = flow.request.scope if flow.request else tenant.registration.scope
        try:
            response = self._exchange.obtain(
                known, request, self._expectation(flow, tenant), scope=scope
            )
        except (TenantUnreachable, TenantLimit, FileDescriptorsExhausted):
            self._sessions.save(held, flow.put_back())
            raise
        except BaseException as exc:
            self._sign_in.fail(held, exc)
            raise
        grant = self._grant(flow, tenant, response)
        try:
            grant = self._admitted(held, grant)
            if self._sessions.save(held, flow.finish()) is None:
                raise SignedOutMeanwhile()
            saved, pointer = self.sign_session_in(session, grant, response)
        except BaseException:
            self._exchange.revoke(tenant, response.refresh_token)
            raise
        self._exchange.revoke_all(saved.value.ousted_from(session.value))
        self._hooks.tell(signed_in, response=response)
        return Redeemed(
            flow=flow,
            session=saved,
            pointer=pointer,
            tenant=tenant,
            response=response,
            code=request.code or "",
            code_verifier=request.code_verifier or "",
            redirect_uri=request.redirect_uri or "",
        )

    def _build_request(self, flow: Flow, asked: TokenizedPKCE | None) -> TokenRequest:
        """Build the token request of a flow.

        :raises VerifierMismatch: if the verifier does not hash to the flow's challenge.
        :raises ParameterInvalid: if there is no verifier.
        """
        verifier = (asked.code_verifier if asked is not None else None) or flow.code_verifier
        if verifier is None:
            raise ParameterInvalid(
                "is missing: only the caller knows the verifier of this sign-in",
                field="$.code_verifier",
            )
        if not verifies(verifier, flow.code_challenge):
            raise VerifierMismatch(field="$.code_verifier")
        return build_code_request(
            flow.response,
            redirect_uri=flow.redirect_uri,
            code_verifier=verifier,
        )

    def _admitted(self, held: Stored[Flow], grant: Grant) -> Grant:
        """Return a sign-in that begins, or fail its flow if it is over already.

        :raises IDTokenInvalid: if the tenant says that its session ended before.
        :raises SignedOutMeanwhile: if the user, or that session, was signed out meanwhile.
        """
        exc: PKCEError = SignedOutMeanwhile()
        if grant.is_over(now=self._clock()):
            exc = IDTokenInvalid("The session at the tenant is over already (session_expiry).")
        else:
            admitted = self._marks.admit(grant, bound_at=grant.signed_in_at)
            if admitted is not None:
                return admitted
        self._sign_in.fail(held, exc)
        raise exc

    def _expectation(self, flow: Flow, tenant: TenantMetadata) -> Expectation:
        """What the ID token of a flow must say, whatever the user changed in the URL."""
        request = flow.request
        since = []
        if request is not None and "max_age" in request.additional:
            max_age = int(request.additional["max_age"])
            since.append(self._clock() - max_age if max_age else flow.created_at)
        if request is not None and "login" in (request.prompt or "").split():
            since.append(flow.created_at)
        return Expectation(
            issuer=tenant.issuer,
            client_id=tenant.client_id,
            trusted_audiences=tenant.registration.trusted_audiences,
            algorithms=tenant.algorithms,
            leeway=self._settings.leeway,
            nonce=flow.nonce,
            code=flow.code,
            state=flow.state,
            authenticated_since=max(since, default=None),
            organization=(tenant.registration if request is None else request).organization,
            organizations=tenant.registration.organizations,
            acr_values=(tenant.registration if request is None else request).acr_values,
            user=flow.user,
        )

    def _grant(self, flow: Flow, tenant: TenantMetadata, response: TokenResponse) -> Grant:
        """The sign-in that a flow ended in."""
        request = flow.request
        asked = {} if request is None else {**request.parameters(), **flow.requested}
        return Grant(
            id=flow.code_hash or "",
            issuer=tenant.issuer,
            tenant=tenant.name,
            client_id=tenant.client_id,
            claims=response.claims,
            scope=response.scope,
            audience=tenant.registration.audience if request is None else request.audience,
            refresh_token=response.refresh_token,
            nonce=flow.nonce,
            # Whoever is signed out everywhere while the code is exchanged is signed out, too.
            signed_in_at=flow.bound_at or self._clock(),
            asked_acr=asked.get("acr_values"),
            asked_max_age=int(asked["max_age"]) if "max_age" in asked else None,
        )

    def sign_session_in(
        self,
        session: Stored[Session],
        grant: Grant,
        response: TokenResponse,
        *,
        audience: str | None = None,
    ) -> tuple[Stored[Session], Pointer | None]:
        """Put a sign-in into its session, under a new pointer.

        :param audience: the API of the access token, if it is another than that of the sign-in.
        :raises SessionRenewed: if another sign-in of the session was first.
        :raises SignedOutMeanwhile: if the session was cleared.
        """
        now = self._clock()
        if self._settings.delivers_to_session:
            grant = with_tokens(grant, response, audience=audience, now=now)
        until, idle = now + self._settings.session_lifetime, self._settings.session_idle_lifetime
        idle_until = None if idle is None else now + idle
        return self._sessions.renew(
            session,
            lambda s: s.signed_in(
                grant,
                until=until,
                idle_until=idle_until,
                alone=self._settings.delivers_to_session,
            ),
        )


def _awaits_code_elsewhere(flow: Flow) -> bool:
    """Whether the code goes to a redirect URI that is not our callback, and is due."""
    return flow.status is Status.SENT and flow.is_sent_elsewhere
