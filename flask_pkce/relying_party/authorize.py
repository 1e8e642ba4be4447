"""Start, authorize, answer, bind: the steps of a sign-in, on flows that are saved."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

from ..errors import (
    AnswerConflict,
    AuthorizationPending,
    CookieMissing,
    DeliveryRefused,
    FlowConflict,
    FlowError,
    HookFailed,
    IssuerMismatch,
    PKCEError,
    SignedOutMeanwhile,
    TenantRefused,
)
from ..protocol.authorization import (
    AuthorizationRequest,
    AuthorizationResponse,
    CallbackParameters,
    check_issuer,
    validate_answer,
)
from ..protocol.metadata import TenantMetadata
from ..protocol.pkce import base64url
from ..sessions.flow import ExpectedResponse, Flow, Status
from ..sessions.records import Stored
from ..sessions.repository import Sessions
from ..sessions.session import LOCAL_OWNER, Session
from ..sessions.signing import Pointer
from ..settings.model import Settings
from ..tenant.registry import Tenants, tenant_callback_url
from ..web.models import Schema, SeededPKCE
from .authorization_request import build_request, changed_by_hooks, check_same, check_seed
from .authorization_urls import AuthorizationURL, AuthorizationURLs
from .hooks import HookRunner, authorization_answered, authorization_requested

#: Bytes of the one-time value with which a user confirms a flow.
_CONFIRMATION_BYTES = 32


@dataclass(frozen=True)
class SessionOwner:
    """Who calls: the session of the caller, if there is one."""

    session: Stored[Session] | None
    #: Whether it is a caller of the local session, which may not exist yet.
    is_local: bool = False
    #: The session that the caller had, where nothing is left of it.
    gone: str | None = None
    #: The host that the request names, to which a new session belongs; None for the local session.
    host: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """What states of this caller are tied to."""
        if self.session is not None:
            return (self.session.value.owner,)
        if self.is_local:
            return (LOCAL_OWNER,)
        return () if self.gone is None else (self.gone,)


@dataclass(frozen=True)
class Begun:
    """A flow, its session, and the pointer to set where the session is new."""

    session: Stored[Session]
    flow: Stored[Flow]
    pointer: Pointer | None = field(repr=False)


@dataclass(frozen=True)
class Sent(Begun):
    """A flow whose browser can be sent to the tenant."""

    tenant: TenantMetadata
    address: AuthorizationURL

    @property
    def authorization_url(self) -> str:
        """Where its browser goes; empty where there is nothing left to ask."""
        return self.address.url


@dataclass(frozen=True)
class _Asked:
    """What a caller asked for, checked."""

    seed: SeededPKCE
    tenant: TenantMetadata
    callback_url: str
    return_to: str | None
    user: tuple[str, str] | None
    is_foreign: bool


def passed_on(answer: CallbackParameters, flow: Flow) -> CallbackParameters:
    """Return an answer that a program passes on, and did not deliver as a browser does.

    The published API has no member for ``iss``, so one that is missing is not missed.
    """
    issuer = None if flow.expected is None else flow.expected.issuer
    return dataclasses.replace(answer, iss=answer.iss or issuer)


class SignIn:
    """The steps of a sign-in, for one blueprint in one application.

    :param clock: returns Unix seconds.
    """

    def __init__(
        self,
        settings: Settings,
        sessions: Sessions,
        tenants: Tenants,
        urls: AuthorizationURLs,
        hooks: HookRunner,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._settings = settings
        self._sessions = sessions
        self._tenants = tenants
        self._urls = urls
        self._hooks = hooks
        self._clock = clock

    # -- start and authorize ---------------------------------------------------

    def start(
        self,
        owner: SessionOwner,
        *,
        seed: SeededPKCE | None = None,
        step: Callable[[Flow], Flow] = lambda flow: flow,
    ) -> Begun:
        """Start a flow, in a new session if the caller has none.

        :param seed: what the caller sent, with a state of its own perhaps.
        :param step: what the flow goes through before it is saved for the first time.
        :raises TooManyFlows: if none of the session's flows can give way.
        """
        session, flow, pointer = self._sessions.start(
            owner.session,
            host=owner.host,
            local=owner.is_local,
            state=None if seed is None else seed.state,
            own_nonce=self._settings.delivers_to_session,
            step=step,
        )
        return Begun(session, flow, pointer)

    def start_for_caller(self, owner: SessionOwner, *, callback_url: str) -> Begun:
        """Start a flow whose caller may build the authorization URL itself.

        The flow stores what the tenant of ``PKCE_DOMAIN`` owes.  With delivery ``session``, or
        without that tenant, no caller can build the URL: then the flow stores nothing, and no
        response is bound to it before ``POST /pkce/code`` has sent it.

        :param callback_url: our own callback, that of the default tenant.
        :raises PKCEError: if the tenant's metadata cannot be had; nothing is started.
        :raises TooManyFlows: as :meth:`start`.
        """
        if not self._settings.domain or self._settings.delivers_to_session:
            return self.start(owner)
        tenant = self._tenants.default.get()
        expected = ExpectedResponse.of(tenant, callback_url=callback_url)
        return self.start(owner, step=lambda flow: flow.expect(expected))

    def authorize(
        self,
        owner: SessionOwner,
        seed: SeededPKCE,
        *,
        callback_url: str,
        return_to: str | None = None,
        user: tuple[str, str] | None = None,
        is_foreign: bool = False,
    ) -> Sent:
        """Make the authorization request of a flow, or tell of one that was made.

        :param callback_url: our own callback, that of the default tenant.
        :param return_to: where the browser goes in the end, checked.
        :param user: the issuer and the subject of the user who is asked to authenticate again.
        :param is_foreign: whether another origin starts the flow.
        :raises RequestError: if the seed asks for anything that is not configured, or, with
            delivery ``session``, for what only the server may choose.
        :raises FlowConflict: if the flow was sent with other parameters.
        :raises FlowFailed: if the flow failed.
        :raises PKCEError: what the tenant says to a request that is pushed; the flow is as it was.
        """
        begun = self._flow_of(owner, seed)
        tenant = self._tenant_of(begun, seed)
        callback_url = tenant_callback_url(callback_url, tenant.name)
        check_seed(seed, settings=self._settings, tenant=tenant, callback_url=callback_url)
        asked = _Asked(seed, tenant, callback_url, return_to, user, is_foreign)
        return self._start_sent(owner, asked) if begun is None else self._go_on(begun, asked)

    def _tenant_of(self, begun: Begun | None, seed: SeededPKCE) -> TenantMetadata:
        """The tenant to which a flow was sent, or is to be sent."""
        flow = None if begun is None else begun.flow.value
        if flow is None or (flow.request is None and not flow.is_answered):
            return self._tenants.select(seed.domain, seed.client_id).get()
        known = self._tenants.of_flow(flow)
        if seed.domain is not None and not known.registration.names(seed.domain):
            self._tenants.select(seed.domain)
            raise FlowConflict(field="$.domain")
        return known.get()

    def _flow_of(self, owner: SessionOwner, seed: SeededPKCE) -> Begun | None:
        """The flow that a caller means: by its state, else the newest unsent; None for a new one.

        :raises DeliveryRefused: if the state is the caller's own, with delivery ``session``: the
            callback would refuse it.
        :raises FlowError: if the state is one of ours, and there is no such flow.
        """
        session = owner.session
        if seed.state is None:
            if session is not None:
                for flow in self._sessions.flows(session):
                    if flow.value.status is Status.STARTED:
                        return Begun(session, flow, None)
            return None
        is_ours = self._sessions.is_ours(seed.state)
        if not is_ours and self._settings.delivers_to_session:
            raise DeliveryRefused(field="$.state")
        found = None if session is None else self._sessions.flow(session, seed.state)
        if session is not None and found is not None:
            return Begun(session, found, None)
        if not is_ours:
            return None
        if not owner.names:
            raise CookieMissing()
        raise self._missing([owner], seed.state)

    def _missing(self, owners: Sequence[SessionOwner], state: str) -> PKCEError:
        """Why none of them has a flow of that state."""
        asked = [owner.session.value for owner in owners if owner.session is not None]
        names = [name for owner in owners for name in owner.names]
        return self._sessions.missing(names, state, asked=asked)

    def _start_sent(self, owner: SessionOwner, asked: _Asked) -> Sent:
        """Start a flow and send it: it is saved once, as sent."""
        made: list[tuple[Flow, AuthorizationURL]] = []

        def send(flow: Flow) -> Flow:
            made.append(self._sent(flow, asked))
            return made[-1][0]

        begun = self.start(owner, seed=asked.seed, step=send)
        flow, url = made[-1]
        if begun.flow.value is not flow:
            # The caller's own state, twice at once.
            return self._go_on(begun, asked)
        self._hooks.tell(authorization_requested, request=flow.request)
        return Sent(begun.session, begun.flow, begun.pointer, asked.tenant, url)

    def _go_on(self, begun: Begun, asked: _Asked) -> Sent:
        """Send a flow that was started before, or tell of one that was sent."""
        flow, tenant = begun.flow, asked.tenant
        if flow.value.status is Status.STARTED:
            changed, url = self._sent(flow.value, asked)
            saved = self._sessions.save(flow, changed)
            if saved is not None:
                self._hooks.tell(authorization_requested, request=changed.request)
                return Sent(begun.session, saved, begun.pointer, tenant, url)
            if asked.seed.state is None:
                # Two tabs found the same unsent flow: each gets its own.
                return self._start_sent(SessionOwner(begun.session), asked)
            flow = self.reloaded(flow)
            if flow.value.request is None and flow.value.failure is None:
                # Answered at that moment, though it was never sent from here.
                raise AnswerConflict()
        flow.value.check_not_failed()
        check_same(asked.seed, flow.value, tenant=tenant)
        request = flow.value.request or self._own_request(flow, asked)
        at = flow.value.expected
        if at is None or (at.issuer, at.client_id) != (tenant.issuer, tenant.client_id):
            # Sent to another tenant at that moment.
            raise FlowConflict(field="$.domain")
        address = self._urls.make(tenant, request, is_answered=flow.value.is_answered)
        return Sent(begun.session, flow, begun.pointer, tenant, address)

    def _own_request(self, flow: Stored[Flow], asked: _Asked) -> AuthorizationRequest:
        """The request of a flow whose caller built the URL itself."""
        return build_request(
            SeededPKCE(),
            flow.value,
            settings=self._settings,
            tenant=asked.tenant,
            callback_url=asked.callback_url,
        )

    def _sent(self, flow: Flow, asked: _Asked) -> tuple[Flow, AuthorizationURL]:
        """A flow as it is once it is sent, and the address to go to."""
        seed, tenant = asked.seed, asked.tenant
        original = build_request(
            seed, flow, settings=self._settings, tenant=tenant, callback_url=asked.callback_url
        )
        request = self._hooks.before_authorize(original)
        # Before anything is saved: where the tenant refuses it, it can be sent again.
        url = self._urls.make(tenant, request)
        is_ours = request.redirect_uri == asked.callback_url
        schema = seed.schema.complete() if seed.schema is not None else None
        sent = flow.send(
            request,
            expected=ExpectedResponse.of(
                tenant, callback_url=asked.callback_url if is_ours else None
            ),
            requested=changed_by_hooks(original, request),
            return_to=asked.return_to,
            user=asked.user,
            confirmation=base64url(os.urandom(_CONFIRMATION_BYTES)) if asked.is_foreign else None,
            schema=msgspec.to_builtins(schema) if isinstance(schema, Schema) else None,
        )
        return sent, url

    def wait(self, flow: Stored[Flow], *, seconds: float) -> Stored[Flow]:
        """Wait until a flow is answered.

        :raises FlowError: if it was cleared meanwhile.
        """
        waited = self._sessions.wait(flow, seconds=seconds)
        if waited is None:
            raise SignedOutMeanwhile("The session was cleared while it waited.")
        waited.value.check_not_failed()
        return waited

    # -- answer and bind -------------------------------------------------------

    def check_state(self, state: str) -> None:
        """Refuse a state that no flow can have, before anything is stored for it.

        Flows of callers that keep their own tokens may have a state of any form.

        :raises StateForged: if it claims to be ours and is not.
        :raises FlowExpired: if its flow is over.
        :raises FlowError: with delivery ``session``, if it is of another form than ours.
        """
        is_ours = self._sessions.check_state(state)
        if not is_ours and self._settings.delivers_to_session:
            raise FlowError()

    def find(
        self, owners: Sequence[SessionOwner], answer: CallbackParameters
    ) -> tuple[Stored[Session], Stored[Flow]]:
        """The flow that an answer is for, among the sessions of its browser.

        :raises SessionMismatch: if it is another session's, whether that exists or not.
        :raises FlowError: if it is gone, or the state is forged.
        """
        for owner in owners:
            if owner.session is not None:
                flow = self._sessions.flow(owner.session, answer.state)
                if flow is not None:
                    return owner.session, flow
        raise self._missing(owners, answer.state)

    def check(self, flow: Flow, answer: CallbackParameters) -> ExpectedResponse:
        """Check that an answer reached the callback, and came from the issuer, that it must.

        This depends on nothing but what the flow stores.

        :return: what the flow expects.
        :raises IssuerMismatch: if the answer is another.

        :rfc:`9700#section-4.4.2.2`
        """
        expected = flow.expected
        if expected is None or answer.callback_url != expected.callback_url:
            raise IssuerMismatch("The answer reached another address than its request named.")
        check_issuer(answer, issuer=expected.issuer, owes_iss=expected.owes_iss)
        return expected

    def bind(self, held: Stored[Flow], answer: CallbackParameters) -> Stored[Flow]:
        """Bind an answer to its flow; the first one wins, success or error.

        :raises IssuerMismatch: as :meth:`check`; the flow is untouched.
        :raises TenantReplaced: if the tenant is not configured any more; likewise.
        :raises TenantRefused: if it is an error; the flow failed.
        :raises AnswerConflict: if the flow has another answer.
        """
        return self._bind(held, self.check(held.value, answer), answer)

    def bind_code(self, held: Stored[Flow], code: str) -> Stored[Flow]:
        """Bind a code that went to another redirect URI, from where a caller brings it.

        The published API has no member for ``iss``, so none is owed here.

        :raises AuthorizationPending: if the code of this flow comes to our callback, or to none.
        :raises PKCEError: as :meth:`bind`.
        """
        expected = held.value.expected
        if expected is None or expected.callback_url is not None:
            raise AuthorizationPending()
        answer = CallbackParameters(state=held.value.state, code=code, iss=expected.issuer)
        # In no frame in which the application's code runs.
        del code
        return self._bind(held, expected, answer)

    def _bind(
        self, held: Stored[Flow], expected: ExpectedResponse, answer: CallbackParameters
    ) -> Stored[Flow]:
        # No code is kept that could not be redeemed.
        self._tenants.of_flow(held.value)
        if held.value.status not in {Status.STARTED, Status.SENT}:
            return self._same_answer(held, answer)
        try:
            response = validate_answer(
                answer,
                state=held.value.state,
                issuer=expected.issuer,
                owes_iss=expected.owes_iss,
            )
        except TenantRefused as exc:
            failed = held.value.fail(exc, answered_at=self._clock())
            if self._sessions.save(held, failed) is None:
                return self._same_answer(self.reloaded(held), answer)
            raise
        bound = self._sessions.save(held, held.value.bind(response, now=self._clock()))
        if bound is None:
            return self._same_answer(self.reloaded(held), answer)
        self._after_authorize(bound, response)
        return bound

    def _same_answer(self, held: Stored[Flow], answer: CallbackParameters) -> Stored[Flow]:
        held.value.check_not_failed()
        if answer.code is None or not held.value.has_code(answer.code):
            raise AnswerConflict()
        return held

    def reloaded(self, held: Stored[Flow]) -> Stored[Flow]:
        """A flow as it is now.

        :raises SignedOutMeanwhile: if it is gone.
        """
        current = self._sessions.reload_flow(held)
        if current is None:
            raise SignedOutMeanwhile("The session was cleared meanwhile.")
        return current

    def _after_authorize(self, bound: Stored[Flow], response: AuthorizationResponse) -> None:
        try:
            self._hooks.after_authorize(response)
        except BaseException as exc:
            self.fail(bound, exc)
            raise
        self._hooks.tell(authorization_answered, response=response)

    def fail(self, held: Stored[Flow], exc: BaseException) -> None:
        """Mark a flow as failed, unless somebody else changed it meanwhile."""
        failure = exc if isinstance(exc, PKCEError) else HookFailed()
        self._sessions.save(held, held.value.fail(failure))
