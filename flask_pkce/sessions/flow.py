"""One run of the authorization code grant, and the steps it may take.

``started`` → ``sent`` → ``bound`` → ``redeeming`` → ``done``, or ``failed``.  Each step returns
a new value; whoever saves it does so only if the stored one is unchanged.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ..errors import (
    AnswerConflict,
    AuthorizationPending,
    CodeSpent,
    PKCEError,
    RedemptionAbandoned,
    RedemptionUnderWay,
)
from ..protocol.authorization import AuthorizationRequest, AuthorizationResponse
from ..protocol.metadata import TenantMetadata
from ..protocol.pkce import base64url, build_code_verifier, code_challenge


class Status(StrEnum):
    """How far a flow is."""

    STARTED = "started"
    SENT = "sent"
    BOUND = "bound"
    REDEEMING = "redeeming"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True)
class Failure:
    """What went wrong with a flow, for everybody who asks later."""

    code: str
    error: str
    detail: str
    hint: str
    status: int = 400
    #: Seconds.
    retry_after: int | None = None

    @classmethod
    def of(cls, exc: PKCEError) -> Failure:
        """What to keep of an error."""
        return cls(
            code=exc.code,
            error=exc.error,
            detail=exc.detail,
            hint=exc.hint,
            status=exc.status,
            retry_after=exc.retry_after,
        )


class FlowFailed(PKCEError):
    """The sign-in failed."""

    title = "The sign-in failed."
    code = "flow-failed"
    status = 400
    restart = True

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.detail, hint=failure.hint)
        self.code = failure.code
        self.error = failure.error

    @classmethod
    def at_first(cls, failure: Failure) -> FlowFailed:
        """The error as the first one to ask is told it, with its own status."""
        exc = cls(failure)
        exc.status, exc.retry_after = failure.status, failure.retry_after
        return exc


@dataclass(frozen=True, kw_only=True)
class ExpectedResponse:
    """What the authorization response of a flow must bring.

    The flow stores this before its browser goes to the tenant.  Metadata and settings that change
    later change nothing here, or a tenant could have the code of another one sent to itself.

    :rfc:`9700#section-4.4.2`
    """

    #: The tenant's name; empty for that of ``PKCE_DOMAIN``.
    tenant: str = ""
    issuer: str
    client_id: str
    #: Whether the response must have an ``iss`` (RFC 9207).
    owes_iss: bool
    #: The callback that the response must reach, by its exact address.  None where the request
    #: named another redirect URI: then nothing that reaches a callback of ours is bound.
    callback_url: str | None

    @classmethod
    def of(cls, tenant: TenantMetadata, *, callback_url: str | None) -> ExpectedResponse:
        """Return what a tenant owes, by its metadata at this moment."""
        return cls(
            tenant=tenant.name,
            issuer=tenant.issuer,
            client_id=tenant.client_id,
            owes_iss=tenant.announces_iss,
            callback_url=callback_url,
        )


@dataclass(frozen=True, kw_only=True)
class Flow:
    """One run of the grant, as the store keeps it.

    Times are Unix seconds.
    """

    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_challenge: str = field(repr=False)
    #: None where only the caller knows it.
    code_verifier: str | None = field(repr=False)
    created_at: float
    #: Whatever happens to the flow, it ends here.
    expires_at: float
    status: Status = Status.STARTED
    #: What its authorization response must bring; None where the flow was started and can only be
    #: sent by ``POST /pkce/code``.  Without it no response is bound.
    expected: ExpectedResponse | None = None
    #: The authorization request as it was sent.
    request: AuthorizationRequest | None = None
    #: The parameters that a hook changed, as the caller had asked for them.
    requested: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: Where the browser goes in the end: a path of this application.
    return_to: str | None = None
    #: The issuer and the subject of the signed-in user whom the flow asks to authenticate again.
    user: tuple[str, str] | None = None
    #: The one-time value with which the user confirms a flow that another origin started; None
    #: if this application started it.
    confirmation: str | None = field(default=None, repr=False)
    #: Whether the user has confirmed it.
    is_confirmed: bool = False
    #: The ``schema`` of the request that sent it.
    schema: Mapping[str, int | str] | None = None
    code: str | None = field(default=None, repr=False)
    #: SHA-256 of the code, by which a tombstone still knows it.
    code_hash: str | None = field(default=None, repr=False)
    bound_at: float | None = None
    #: Until when an exchange that is under way can still end.
    redeeming_until: float | None = None
    failure: Failure | None = None

    def send(
        self,
        request: AuthorizationRequest,
        *,
        expected: ExpectedResponse,
        requested: Mapping[str, str],
        return_to: str | None,
        schema: Mapping[str, int | str] | None,
        user: tuple[str, str] | None = None,
        confirmation: str | None = None,
    ) -> Flow:
        """``started`` → ``sent``, with a request that may bring the caller's own challenge.

        :param user: the issuer and the subject of the user who is asked to authenticate again.
        :param confirmation: a one-time value, if another origin started the flow.
        """
        own_challenge = request.code_challenge != self.code_challenge
        return self._to(
            Status.SENT,
            nonce=request.nonce,
            code_challenge=request.code_challenge,
            code_verifier=None if own_challenge else self.code_verifier,
            expected=expected,
            request=request,
            requested=requested,
            return_to=return_to,
            schema=schema,
            user=user,
            confirmation=confirmation,
        )

    def expect(self, expected: ExpectedResponse) -> Flow:
        """Stay ``started``, and store what the response to its caller's own request must bring."""
        return self._to(Status.STARTED, expected=expected)

    def bind(self, response: AuthorizationResponse, *, now: float) -> Flow:
        """``sent`` → ``bound``, also from ``started`` where the caller built the URL itself.

        :raises AnswerConflict: if another answer was bound first.
        """
        if self.status not in {Status.STARTED, Status.SENT}:
            raise AnswerConflict()
        return self._to(
            Status.BOUND,
            code=response.code,
            code_hash=_hash(response.code),
            bound_at=now,
        )

    def confirm(self) -> Flow:
        """A copy of a bound flow that the user has confirmed."""
        return self._to(self.status, is_confirmed=True)

    def redeem(self, *, until: float) -> Flow:
        """``bound`` → ``redeeming``.

        :raises AuthorizationPending: if there is no answer yet.
        :raises RedemptionUnderWay: if somebody else is at it.
        :raises CodeSpent: if it was redeemed already.
        :raises FlowFailed: if it failed.
        """
        self.check_redeemable()
        return self._to(Status.REDEEMING, redeeming_until=until)

    def check_redeemable(self) -> None:
        """Raise what :meth:`redeem` raises."""
        if self.status in {Status.STARTED, Status.SENT}:
            raise AuthorizationPending()
        if self.status is Status.REDEEMING:
            raise RedemptionUnderWay()
        if self.status is Status.DONE:
            raise CodeSpent()
        self.check_not_failed()

    def check_not_failed(self) -> None:
        """Raise the error of a flow that failed.

        :raises FlowFailed: with what was kept of the error.
        """
        if self.failure is not None:
            raise FlowFailed(self.failure)

    def put_back(self) -> Flow:
        """``redeeming`` → ``bound``: the request surely never arrived, the code is still good."""
        return self._to(Status.BOUND, redeeming_until=None)

    def finish(self) -> Flow:
        """``redeeming`` → ``done``: what is left is a tombstone without secrets."""
        return self._to(Status.DONE, redeeming_until=None, code=None, code_verifier=None)

    def fail(self, exc: PKCEError, *, answered_at: float | None = None) -> Flow:
        """To ``failed``, from anywhere.

        :param answered_at: when an answer said so.
        """
        return self._to(
            Status.FAILED,
            bound_at=answered_at or self.bound_at,
            redeeming_until=None,
            code=None,
            code_verifier=None,
            failure=Failure.of(exc),
        )

    def settled(self, *, now: float) -> Flow:
        """This flow, or its failure if an exchange was begun and nobody can be at it any more."""
        if self.redeeming_until is not None and self.redeeming_until <= now:
            return self.fail(RedemptionAbandoned())
        return self

    @property
    def response(self) -> AuthorizationResponse:
        """The authorization response that was validated and bound."""
        issuer = "" if self.expected is None else self.expected.issuer
        return AuthorizationResponse(code=self.code or "", state=self.state, issuer=issuer)

    @property
    def is_sent_elsewhere(self) -> bool:
        """Whether its request named a redirect URI that is none of our callbacks."""
        return self.expected is not None and self.expected.callback_url is None

    @property
    def redirect_uri(self) -> str:
        """The redirect URI of its request, to the byte; empty where none is known.

        :rfc:`6749#section-4.1.3`
        """
        if self.request is not None:
            return self.request.redirect_uri
        return (self.expected and self.expected.callback_url) or ""

    def has_code(self, code: str) -> bool:
        """Whether this is the code that was bound, told in constant time."""
        return self.code_hash is not None and hmac.compare_digest(self.code_hash, _hash(code))

    @property
    def is_foreign(self) -> bool:
        """Whether another origin started the flow."""
        return self.confirmation is not None

    @property
    def is_unconfirmed(self) -> bool:
        """Whether the flow is bound, another origin started it, and the user has not confirmed."""
        return self.status is Status.BOUND and self.is_foreign and not self.is_confirmed

    def has_confirmation(self, value: str) -> bool:
        """Whether this is the flow's one-time value, compared in constant time."""
        return self.confirmation is not None and hmac.compare_digest(
            self.confirmation.encode(), value.encode()
        )

    @property
    def is_answered(self) -> bool:
        """Whether its answer was bound, and it did not fail since."""
        return self.status in {Status.BOUND, Status.REDEEMING, Status.DONE}

    def _to(self, status: Status, **changes: object) -> Flow:
        # dataclasses.replace asks each field, which costs more than to write the record.
        flow = object.__new__(Flow)
        vars(flow).update(vars(self), status=status, **changes)
        return flow


def start_flow(*, state: str, nonce: str, randomness: bytes, now: float, lifetime: float) -> Flow:
    """Begin a flow.

    :param randomness: 32 bytes for the code verifier, used for nothing else.
    :param now: Unix seconds.
    :param lifetime: seconds until the flow ends, whatever happens to it.
    """
    verifier = build_code_verifier(randomness)
    return Flow(
        state=state,
        nonce=nonce,
        code_challenge=code_challenge(verifier),
        code_verifier=verifier,
        created_at=now,
        expires_at=now + lifetime,
    )


def _hash(code: str) -> str:
    return base64url(hashlib.sha256(code.encode()).digest())
