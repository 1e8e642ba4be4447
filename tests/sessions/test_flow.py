"""One run of the grant: its legal steps, and no other."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import pytest

from flask_pkce.errors import (
    AccessDenied,
    AnswerConflict,
    AuthorizationPending,
    CodeSpent,
    PKCEError,
    RedemptionAbandoned,
    RedemptionUnderWay,
)
from flask_pkce.protocol.authorization import AuthorizationRequest, AuthorizationResponse
from flask_pkce.protocol.pkce import verifies
from flask_pkce.sessions.flow import Flow, FlowFailed, Status, start_flow
from tests.support import CALLBACK, CHALLENGE, CLIENT_ID, EXPECTED, ISSUER, NOW, VERIFIER

STARTED = start_flow(
    state="the-state", nonce="the-nonce", randomness=bytes(range(32)), now=NOW, lifetime=600
)
REQUEST = AuthorizationRequest(
    client_id=CLIENT_ID,
    redirect_uri=CALLBACK,
    scope=("openid",),
    state="the-state",
    nonce="the-nonce",
    code_challenge=STARTED.code_challenge,
)
RESPONSE = AuthorizationResponse(code="the-code", state="the-state", issuer=ISSUER)


def send(flow: Flow, request: AuthorizationRequest = REQUEST) -> Flow:
    return flow.send(
        request,
        expected=EXPECTED,
        requested={"prompt": "login", "session_transfer_token": "the-transfer"},
        return_to="/account",
        schema=None,
    )


SENT = send(STARTED)
BOUND = SENT.bind(RESPONSE, now=NOW + 5)
REDEEMING = BOUND.redeem(until=NOW + 25)
DONE = REDEEMING.finish()
FAILED = BOUND.fail(AccessDenied("No."))

FLOWS = {flow.status: flow for flow in (STARTED, SENT, BOUND, REDEEMING, DONE, FAILED)}


def test_start() -> None:
    """A flow begins with a verifier of its own and ends at a fixed moment."""
    assert STARTED.status is Status.STARTED
    assert (STARTED.created_at, STARTED.expires_at) == (NOW, NOW + 600)
    assert STARTED.code_verifier is not None
    assert verifies(STARTED.code_verifier, STARTED.code_challenge)


def test_send() -> None:
    """Sending keeps the request, where it went, and how the browser returns."""
    assert SENT.status is Status.SENT
    assert (SENT.request, SENT.expected, SENT.return_to) == (REQUEST, EXPECTED, "/account")
    assert SENT.requested["prompt"] == "login"
    assert SENT.code_verifier == STARTED.code_verifier


def test_confirmation() -> None:
    """A flow that another origin started awaits its one-time value from when it is bound."""
    foreign = dataclasses.replace(SENT, confirmation="the-value")
    assert (SENT.is_foreign, foreign.is_foreign) == (False, True)
    bound = foreign.bind(RESPONSE, now=NOW + 5)
    assert [flow.is_unconfirmed for flow in (foreign, bound, BOUND)] == [False, True, False]
    assert bound.has_confirmation("the-value")
    assert not bound.has_confirmation("an\u00f6ther")
    assert not BOUND.has_confirmation("")
    confirmed = bound.confirm()
    assert (confirmed.status, confirmed.is_unconfirmed) == (Status.BOUND, False)
    assert "the-value" not in repr(confirmed)


def test_send_with_the_callers_own_challenge() -> None:
    """With a challenge of the caller's own, only the caller knows the verifier."""
    request = REQUEST.replace(code_challenge=CHALLENGE, nonce="own-nonce")
    flow = send(STARTED, request)
    assert (flow.code_challenge, flow.nonce) == (CHALLENGE, "own-nonce")
    assert flow.code_verifier is None
    assert verifies(VERIFIER, flow.code_challenge)


@pytest.mark.parametrize("flow", [STARTED.expect(EXPECTED), SENT], ids=lambda flow: flow.status)
def test_bind(flow: Flow) -> None:
    """An answer is bound to a flow that was sent, or whose caller built the URL itself."""
    bound = flow.bind(RESPONSE, now=NOW + 5)
    assert (bound.status, bound.code, bound.bound_at) == (Status.BOUND, "the-code", NOW + 5)
    assert bound.response == RESPONSE
    assert bound.has_code("the-code")
    assert not bound.has_code("another")
    assert not flow.has_code("the-code")


@pytest.mark.parametrize("status", [Status.BOUND, Status.REDEEMING, Status.DONE, Status.FAILED])
def test_bind_twice(status: Status) -> None:
    """The first answer wins."""
    with pytest.raises(AnswerConflict):
        FLOWS[status].bind(RESPONSE, now=NOW)


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (Status.STARTED, AuthorizationPending),
        (Status.SENT, AuthorizationPending),
        (Status.REDEEMING, RedemptionUnderWay),
        (Status.DONE, CodeSpent),
        (Status.FAILED, FlowFailed),
    ],
)
def test_redeem_what_is_not_bound(status: Status, error: type[PKCEError]) -> None:
    """Only a bound flow is redeemed; each other state says why not."""
    with pytest.raises(error):
        FLOWS[status].redeem(until=NOW + 1)
    with pytest.raises(error):
        FLOWS[status].check_redeemable()


def test_redeem() -> None:
    """A bound flow is redeemed, until a deadline."""
    BOUND.check_redeemable()
    assert (REDEEMING.status, REDEEMING.redeeming_until) == (Status.REDEEMING, NOW + 25)


def test_put_back() -> None:
    """A request that never arrived leaves the flow as it was bound."""
    assert REDEEMING.put_back() == BOUND


def test_finish() -> None:
    """A redeemed flow is done; nobody is at it any more, and its secrets are gone."""
    done = REDEEMING.finish()
    assert done.status is Status.DONE
    assert (done.code, done.code_verifier, done.redeeming_until) == (None, None, None)


@pytest.mark.requirement("PK-7")
@pytest.mark.parametrize("flow", [DONE, FAILED], ids=lambda flow: flow.status)
def test_tombstone(flow: Flow) -> None:
    """What is left of a flow has no secrets, and still knows its code."""
    assert (flow.code, flow.code_verifier, flow.redeeming_until) == (None, None, None)
    assert flow.has_code("the-code")
    assert flow.expires_at == STARTED.expires_at


def test_failure_is_told_to_everybody() -> None:
    """Whoever asks for a failed flow hears why it failed."""
    with pytest.raises(FlowFailed, match=r"No\.") as caught:
        FAILED.check_not_failed()
    assert (caught.value.code, caught.value.error) == ("access-denied", "access_denied")
    assert (caught.value.status, caught.value.restart) == (400, True)
    assert caught.value.hint == AccessDenied.hint


@pytest.mark.parametrize("flow", FLOWS.values(), ids=lambda flow: flow.status)
def test_fail_from_anywhere(flow: Flow) -> None:
    """Every flow can fail; it loses its secrets and keeps the last reason."""
    failed = flow.fail(RedemptionAbandoned())
    assert failed.status is Status.FAILED
    assert (failed.code, failed.code_verifier, failed.redeeming_until) == (None, None, None)
    with pytest.raises(FlowFailed) as caught:
        failed.check_not_failed()
    assert caught.value.code == "redemption-abandoned"


@pytest.mark.parametrize(
    ("now", "status"),
    [(NOW + 24.9, Status.REDEEMING), (NOW + 25, Status.FAILED), (NOW + 500, Status.FAILED)],
)
def test_worker_that_died(now: float, status: Status) -> None:
    """An exchange whose deadline is over failed, as interrupted (N37)."""
    settled = REDEEMING.settled(now=now)
    assert settled.status is status
    assert (settled is REDEEMING) is (status is Status.REDEEMING)


@pytest.mark.parametrize(
    "flow", [STARTED, SENT, BOUND, DONE, FAILED], ids=lambda flow: flow.status
)
def test_nothing_to_settle(flow: Flow) -> None:
    """No other flow is settled by time."""
    assert flow.settled(now=NOW + 10**6) is flow


@pytest.mark.parametrize(
    ("flow", "answered"),
    [
        (STARTED, False),
        (SENT, False),
        (BOUND, True),
        (REDEEMING, True),
        (DONE, True),
        (FAILED, False),
    ],
    ids=lambda value: getattr(value, "status", str(value)),
)
def test_answered(flow: Flow, answered: bool) -> None:
    """A flow is answered from the moment on at which its answer was bound, unless it failed."""
    assert flow.is_answered is answered


STEPS: dict[str, Callable[[], object]] = {
    "send": lambda: send(STARTED),
    "bind": lambda: SENT.bind(RESPONSE, now=NOW),
    "redeem": lambda: BOUND.redeem(until=NOW),
    "fail": lambda: SENT.fail(AccessDenied()),
}


@pytest.mark.parametrize("step", STEPS)
def test_steps_return_new_values(step: str) -> None:
    """A step changes nothing that is there: the end of a flow never moves."""
    before = dict(FLOWS)
    flow = STEPS[step]()
    assert isinstance(flow, Flow)
    assert flow.expires_at == STARTED.expires_at
    assert before == FLOWS
    with pytest.raises(dataclasses.FrozenInstanceError):
        flow.status = Status.DONE  # type: ignore[misc]


@pytest.mark.requirement("correlation_id")
@pytest.mark.parametrize("flow", FLOWS.values(), ids=lambda flow: flow.status)
def test_flow_hides_its_secrets(flow: Flow) -> None:
    """A flow in a log tells no state, nonce, challenge, verifier, code or what was asked for."""
    shown = repr(flow)
    secrets = ["the-state", "the-nonce", "the-code", "the-transfer", STARTED.code_challenge]
    assert not any(secret in shown for secret in [*secrets, str(STARTED.code_verifier)])
