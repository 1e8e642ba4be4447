"""Start, authorize, answer and bind, with a tenant in process."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from threading import Timer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from flask_pkce.errors import (
    AccessDenied,
    AnswerConflict,
    AuthorizationPending,
    CookieMissing,
    FlowConflict,
    FlowError,
    FlowExpired,
    FlowGone,
    IssuerMismatch,
    ParameterForeign,
    PKCEError,
    SessionMismatch,
    SignedOutMeanwhile,
    StateForged,
    TenantUnreachable,
    TooManyFlows,
)
from flask_pkce.protocol.authorization import (
    AuthorizationRequest,
    AuthorizationResponse,
    CallbackParameters,
)
from flask_pkce.relying_party.authorize import Sent, SessionOwner, passed_on
from flask_pkce.relying_party.hooks import Hooks, authorization_answered, authorization_requested
from flask_pkce.sessions.flow import Flow, FlowFailed, Status
from flask_pkce.sessions.records import Stored
from flask_pkce.sessions.session import MAX_FLOWS
from flask_pkce.stores.base import DEFAULT_PREFIX
from flask_pkce.web.models import PartialSchema, SeededPKCE
from tests.support import (
    CALLBACK,
    CHALLENGE,
    CLIENT_ID,
    ELSEWHERE,
    EXPECTED,
    ISSUER,
    NOW,
    Bench,
    at_once,
    expected_elsewhere,
    told,
)


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def bench(hooks: Hooks) -> Bench:
    return Bench(hooks=hooks)


def parameters(sent: Sent) -> dict[str, str]:
    """What the authorization URL asks for."""
    return dict(parse_qsl(urlsplit(sent.authorization_url).query, strict_parsing=True))


def refuse(*_: object) -> None:
    raise AccessDenied("Not you.")


def fall_over(*_: object) -> None:
    raise RuntimeError("a mistake of the host")


# -- who calls ---------------------------------------------------------------------


def test_names_of_an_owner(bench: Bench) -> None:
    """A caller's states are tied to its session, to the local one, or to what it had."""
    session = bench.send().session
    assert SessionOwner(session).names == (session.value.id,)
    assert SessionOwner(None, is_local=True).names == ("local",)
    assert SessionOwner(None, gone="id").names == ("id",)
    assert SessionOwner(None).names == ()


# -- authorize without a state -----------------------------------------------------


def test_first_contact(bench: Bench) -> None:
    """A first contact gets a session, a flow, and the address to go to."""
    sent = bench.send()
    assert sent.pointer is not None
    assert bench.sessions.load(sent.pointer) == sent.session
    flow = sent.flow.value
    assert (flow.status, flow.expected, sent.tenant.issuer) == (Status.SENT, EXPECTED, ISSUER)
    assert sent.authorization_url.startswith(f"{ISSUER}authorize?")
    assert parameters(sent) == {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": CALLBACK,
        "scope": "openid profile email offline_access",
        "state": flow.state,
        "nonce": flow.nonce,
        "code_challenge": flow.code_challenge,
        "code_challenge_method": "S256",
        "response_mode": "form_post",
    }
    assert flow.state not in repr(sent)


def test_flow_is_saved_once(bench: Bench, hooks: Hooks) -> None:
    """A flow that is made to be sent is saved as sent, and a hook that refuses leaves nothing."""
    hooks.before_authorize.append(refuse)
    with pytest.raises(AccessDenied):
        bench.send()
    assert not bench.store._entries
    hooks.before_authorize.clear()
    bench.store.before_replace = lambda: pytest.fail("it was saved before")
    assert bench.now(bench.send().flow).status is Status.SENT


def test_newest_unsent_flow(bench: Bench) -> None:
    """Without a state the newest flow that was not sent is sent; when there is none, a new one."""
    begun = bench.relying_party.sign_in.start(SessionOwner(None))
    newer = bench.relying_party.sign_in.start(SessionOwner(begun.session))
    first = bench.send(newer.session)
    assert first.flow.key == newer.flow.key
    second = bench.send(first.session)
    assert second.flow.key == begun.flow.key
    third = bench.send(second.session)
    assert third.flow.key not in {begun.flow.key, newer.flow.key}
    assert third.pointer is None


def test_two_tabs_at_once(bench: Bench) -> None:
    """Two tabs that find the same unsent flow are each sent with a flow of their own."""
    begun = bench.relying_party.sign_in.start(SessionOwner(None))
    results = at_once(lambda _: bench.send(begun.session), 4)
    sent = [result for result in results if isinstance(result, Sent)]
    assert len({each.flow.value.state for each in sent}) == 4


def test_another_tab_was_first(bench: Bench) -> None:
    """Where the flow is sent at that moment, another is started; each has its parameters."""
    begun = bench.relying_party.sign_in.start(SessionOwner(None))
    others: list[Sent] = []
    bench.store.before_replace = lambda: others.append(
        bench.send(begun.session, screen_hint="signup")
    )
    sent = bench.relying_party.sign_in.authorize(
        SessionOwner(begun.session),
        SeededPKCE(prompt="login"),
        callback_url=CALLBACK,
        return_to="/account",
    )
    assert others[0].flow.key == begun.flow.key
    assert sent.flow.key != begun.flow.key
    assert "screen_hint" not in parameters(sent)
    assert parameters(sent)["prompt"] == "login"
    assert parameters(sent)["redirect_uri"] == CALLBACK
    assert sent.flow.value.return_to == "/account"


def test_delivery_to_the_session() -> None:
    """Where the server keeps the secrets, the nonce is not the state."""
    bench = Bench(TOKEN_DELIVERY="session", REDIRECT_URIS=None)
    sent = bench.send()
    assert parameters(sent)["nonce"] != parameters(sent)["state"]


# -- what is asked for -------------------------------------------------------------


def test_what_the_flow_keeps(bench: Bench) -> None:
    """A flow keeps the request, where to return, and a schema that is complete."""
    sent = bench.relying_party.sign_in.authorize(
        SessionOwner(None),
        SeededPKCE(prompt="login", schema=PartialSchema(1, "X")),
        callback_url=CALLBACK,
        return_to="/account",
    )
    flow = bench.now(sent.flow)
    assert flow.request is not None
    assert (flow.request.prompt, flow.return_to) == ("login", "/account")
    assert flow.schema == {"migration": 1, "semantic": "X"}
    assert bench.send(schema=PartialSchema(1)).flow.value.schema is None


@pytest.mark.parametrize("delivery", ["caller", "session"])
def test_size_of_a_pending_flow(delivery: str) -> None:
    """A flow that waits for its answer takes at most 1200 bytes in any store, with its key.

    Identifiers are as long as Auth0's, and the key is that of a server that others use too.
    """
    bench = Bench(
        CLIENT_ID="k" * 32,
        AUDIENCE="https://api.our-shop.example/version-1/",
        TOKEN_DELIVERY=delivery,
        REDIRECT_URIS=None,
    )
    sent = bench.send()
    record = bench.store.get(sent.flow.key)
    assert record is not None
    assert len(DEFAULT_PREFIX) + len(sent.flow.key) + len(record) <= 1200


@pytest.mark.parametrize("redirect_uri", [CALLBACK, ELSEWHERE])
def test_redirect_uri(bench: Bench, redirect_uri: str) -> None:
    """Our own callback may be asked for, and so may the addresses that are configured."""
    assert parameters(bench.send(redirect_uri=redirect_uri))["redirect_uri"] == redirect_uri


@pytest.mark.parametrize(
    "seed",
    [
        {"domain": "evil.example"},
        {"client_id": "other"},
        {"redirect_uri": "https://evil.example/"},
        {"scope": ["openid", "admin"]},
        {"audience": "other"},
        {"additional": {"request_uri": "x"}},
    ],
    ids=lambda seed: next(iter(seed)),
)
def test_refused_before_anything_changes(bench: Bench, seed: dict[str, Any]) -> None:
    """A request for what is not configured leaves nothing behind."""
    with pytest.raises(ParameterForeign):
        bench.send(**seed)
    assert not bench.store._entries


def test_tenant_that_cannot_be_reached(bench: Bench) -> None:
    """Without the tenant's metadata nothing is begun."""
    bench.tenant.faults.add("unreachable")
    with pytest.raises(TenantUnreachable):
        bench.send()
    assert not bench.store._entries


def test_too_many_flows(bench: Bench) -> None:
    """A session whose flows are all bound gets no other."""
    session = None
    for _ in range(MAX_FLOWS):
        sent = bench.send(session)
        bind(bench, sent)
        session = sent.session
    with pytest.raises(TooManyFlows):
        bench.send(session)


# -- authorize with a state of ours ------------------------------------------------


def bind(bench: Bench, sent: Sent, code: str = "the-code") -> Stored[Flow]:
    """Bind an answer with that code, whoever made it."""
    return bench.relying_party.sign_in.bind(
        sent.flow,
        CallbackParameters(state=sent.flow.value.state, code=code, callback_url=CALLBACK),
    )


def test_state_again(bench: Bench) -> None:
    """The same state again starts nothing new, and gives the same address."""
    sent = bench.send(prompt="login")
    state = sent.flow.value.state
    for prompt in (None, "login"):
        again = bench.send(sent.session, state=state, prompt=prompt)
        assert again.authorization_url == sent.authorization_url
        assert (again.session, again.flow) == (sent.session, sent.flow)
    assert len(bench.store._entries) == 2


def test_own_state_twice_at_once(bench: Bench) -> None:
    """A caller that sends its own state twice at once gets one flow, and one address."""
    session = bench.send().session
    others: list[Sent] = []
    bench.store.before_add = lambda: others.append(bench.send(session, state="own"))
    sent = bench.send(session, state="own")
    assert sent.flow == others[0].flow
    assert sent.authorization_url == others[0].authorization_url


def test_state_again_with_other_parameters(bench: Bench) -> None:
    """The same state with other parameters is a conflict, and changes nothing."""
    sent = bench.send(prompt="login")
    with pytest.raises(FlowConflict) as caught:
        bench.send(sent.session, state=sent.flow.value.state, prompt="consent")
    assert caught.value.field == "$.prompt"
    assert bench.now(sent.flow) == sent.flow.value


def test_state_of_a_flow_that_was_not_sent(bench: Bench) -> None:
    """The state of a flow that was started is sent."""
    begun = bench.relying_party.sign_in.start(SessionOwner(None))
    sent = bench.send(begun.session, state=begun.flow.value.state, prompt="login")
    assert sent.flow.key == begun.flow.key
    assert sent.flow.value.status is Status.SENT


def test_state_of_a_bound_flow(bench: Bench) -> None:
    """The state of a flow that is answered tells how far it is."""
    sent = bench.send()
    bound = bind(bench, sent)
    again = bench.send(sent.session, state=sent.flow.value.state)
    assert again.flow == bound
    assert again.authorization_url == sent.authorization_url


def test_state_of_a_flow_whose_caller_built_the_url(bench: Bench) -> None:
    """A flow that was bound without being sent gives the address that we would have made."""
    begun = bench.start()
    state = begun.flow.value.state
    bench.relying_party.sign_in.bind(
        begun.flow, CallbackParameters(state=state, code="c", callback_url=CALLBACK)
    )
    sent = bench.send(begun.session, state=state)
    assert parameters(sent)["code_challenge"] == begun.flow.value.code_challenge
    assert parameters(sent)["redirect_uri"] == CALLBACK
    assert sent.flow.value.status is Status.BOUND


def test_state_of_a_failed_flow(bench: Bench) -> None:
    """The state of a flow that failed says why, each time."""
    sent = bench.send()
    with pytest.raises(AccessDenied):
        bench.relying_party.sign_in.bind(sent.flow, bench.answer(sent, cancel=True))
    for _ in range(2):
        with pytest.raises(FlowFailed) as caught:
            bench.send(sent.session, state=sent.flow.value.state)
        assert (caught.value.error, caught.value.code) == ("access_denied", "access-denied")


@pytest.mark.requirement("no redirect", "ST-1")
def test_state_that_expired(bench: Bench) -> None:
    """A state whose flow is over is expired for its own caller."""
    sent = bench.send()
    bench.clock.now += 600
    with pytest.raises(FlowExpired):
        bench.relying_party.sign_in.authorize(
            SessionOwner(None, gone=sent.session.value.id),
            SeededPKCE(state=sent.flow.value.state),
            callback_url=CALLBACK,
        )


def test_state_that_was_cleared(bench: Bench) -> None:
    """A state whose flow gave way is gone for its own caller."""
    sent = bench.send()
    bench.store.delete(sent.flow.key)
    with pytest.raises(FlowGone):
        bench.send(sent.session, state=sent.flow.value.state)


@pytest.mark.requirement("T32")
def test_state_of_another_session(bench: Bench) -> None:
    """Another session's state is refused, whether its flow exists or not."""
    sent, other = bench.send(), bench.send()
    with pytest.raises(SessionMismatch):
        bench.send(other.session, state=sent.flow.value.state)
    assert bench.now(sent.flow) == sent.flow.value


@pytest.mark.requirement("T32")
def test_state_without_a_cookie(bench: Bench) -> None:
    """Our state without its cookie names the setting for programs without cookies."""
    sent = bench.send()
    with pytest.raises(CookieMissing) as caught:
        bench.send(state=sent.flow.value.state)
    assert "PKCE_LOCAL_SESSION" in caught.value.hint


def test_forged_state(bench: Bench) -> None:
    """A state that looks like ours starts nothing."""
    with pytest.raises(StateForged):
        bench.send(state="pkce1.AAAA.AAAA")
    assert not bench.store._entries


# -- authorize with the caller's own state -----------------------------------------


def test_own_state(bench: Bench) -> None:
    """A caller's own state and nonce are honoured, in a session of its own or a new one."""
    sent = bench.send(state="own-state", nonce="own-nonce")
    assert parameters(sent)["state"] == "own-state"
    assert parameters(sent)["nonce"] == "own-nonce"
    again = bench.send(sent.session, state="own-state")
    assert again.flow == sent.flow
    second = bench.send(sent.session, state="another")
    assert second.flow.key != sent.flow.key
    other = bench.send(state="own-state")
    assert other.flow.key != sent.flow.key


@pytest.mark.requirement("WC-5")
def test_own_challenge(bench: Bench) -> None:
    """With a challenge of the caller's own, the server knows no verifier."""
    sent = bench.send(code_challenge=CHALLENGE, code_challenge_method="S256")
    assert parameters(sent)["code_challenge"] == CHALLENGE
    assert bench.now(sent.flow).code_verifier is None


@pytest.mark.parametrize(
    ("other", "ends"),
    [
        pytest.param({"prompt": "login"}, None, id="same"),
        pytest.param({"prompt": "consent"}, FlowConflict, id="different"),
    ],
)
def test_sent_by_another_at_that_moment(
    bench: Bench, other: dict[str, Any], ends: type[PKCEError] | None
) -> None:
    """One state that is sent twice at once is as if one had been first."""
    begun = bench.relying_party.sign_in.start(SessionOwner(None))
    state = begun.flow.value.state
    bench.store.before_replace = lambda: bench.send(begun.session, state=state, **other)
    if ends is None:
        sent = bench.send(begun.session, state=state, prompt="login")
        assert parameters(sent)["prompt"] == "login"
        assert sent.flow.value == bench.now(begun.flow)
    else:
        with pytest.raises(ends):
            bench.send(begun.session, state=state, prompt="login")


@pytest.mark.parametrize(
    ("meanwhile", "ends"),
    [
        pytest.param(
            lambda bench, begun: bench.relying_party.sign_in.bind(
                begun.flow,
                CallbackParameters(state=begun.flow.value.state, code="c", callback_url=CALLBACK),
            ),
            AnswerConflict,
            id="answered",
        ),
        pytest.param(
            lambda bench, begun: bench.relying_party.sign_in.fail(begun.flow, AccessDenied()),
            FlowFailed,
            id="failed",
        ),
        pytest.param(
            lambda bench, begun: bench.sessions.take(begun.session),
            SignedOutMeanwhile,
            id="cleared",
        ),
    ],
)
def test_ended_by_another_at_that_moment(
    bench: Bench, meanwhile: Callable[[Bench, Any], object], ends: type[PKCEError]
) -> None:
    """A flow that is answered, fails or is cleared while it is sent is not sent."""
    begun = bench.start()
    bench.store.before_replace = lambda: meanwhile(bench, begun)
    with pytest.raises(ends):
        bench.send(begun.session, state=begun.flow.value.state)


# -- hooks around authorize --------------------------------------------------------


def test_before_authorize(bench: Bench, hooks: Hooks) -> None:
    """A hook changes what is sent; the caller who asks again as before does not notice."""
    hooks.before_authorize.append(lambda request: request.replace(prompt="consent"))
    sent = bench.send(prompt="login")
    assert parameters(sent)["prompt"] == "consent"
    again = bench.send(sent.session, state=sent.flow.value.state, prompt="login")
    assert again.authorization_url == sent.authorization_url


@pytest.mark.parametrize(("hook", "error"), [(refuse, AccessDenied), (fall_over, RuntimeError)])
def test_before_authorize_refuses(
    bench: Bench, hooks: Hooks, hook: Any, error: type[Exception]
) -> None:
    """A hook that raises leaves the flow unsent, and nobody is told that it was."""
    hooks.before_authorize.append(hook)
    begun = bench.relying_party.sign_in.start(SessionOwner(None))
    with told(authorization_requested) as heard, pytest.raises(error):
        bench.send(begun.session)
    assert bench.now(begun.flow).status is Status.STARTED
    assert heard == []


def test_authorization_requested(bench: Bench) -> None:
    """Observers are told what a browser is sent with, once."""
    with told(authorization_requested) as heard:
        sent = bench.send()
        bench.send(sent.session, state=sent.flow.value.state)
    assert heard == [{"request": sent.flow.value.request}]


def test_authorize_replaced(bench: Bench, hooks: Hooks) -> None:
    """The host's own function makes the address; the flow keeps the request."""

    def authorize(request: AuthorizationRequest) -> str:
        return f"https://proxy.example/go?state={request.state}"

    hooks.authorize = authorize
    sent = bench.send()
    assert sent.authorization_url == f"https://proxy.example/go?state={sent.flow.value.state}"
    assert sent.flow.value.request is not None


@pytest.mark.parametrize(
    "address", ["javascript:alert(1)", "http://evil.example/", "/relative", "", "https://a b/"]
)
def test_authorize_replaced_by_no_address(bench: Bench, hooks: Hooks, address: str) -> None:
    """An address of the host's function that no browser should get is a mistake, and told."""
    hooks.authorize = lambda request: address
    begun = bench.relying_party.sign_in.start(SessionOwner(None))
    with pytest.raises(ValueError, match="authorize function returned an address that"):
        bench.send(begun.session)
    assert bench.now(begun.flow).status is Status.STARTED


# -- wait --------------------------------------------------------------------------


def test_wait(bench: Bench) -> None:
    """Whoever waits gets the flow as soon as it is answered."""
    sent = bench.send()
    timer = Timer(0.01, lambda: bind(bench, sent))
    timer.start()
    assert bench.relying_party.sign_in.wait(sent.flow, seconds=10).value.status is Status.BOUND
    timer.join()


def test_wait_for_a_failure(bench: Bench) -> None:
    """Whoever waits hears of the failure."""
    sent = bench.send()
    bench.relying_party.sign_in.fail(sent.flow, AccessDenied())
    with pytest.raises(FlowFailed):
        bench.relying_party.sign_in.wait(sent.flow, seconds=10)


def test_wait_for_what_is_cleared(bench: Bench) -> None:
    """Whoever waits hears that the session was cleared: 400."""
    sent = bench.send()
    bench.sessions.take(sent.session)
    with pytest.raises(SignedOutMeanwhile, match="cleared while it waited") as caught:
        bench.relying_party.sign_in.wait(sent.flow, seconds=10)
    assert caught.value.status == 400


# -- whose answer it is ------------------------------------------------------------


def answer_to(sent: Sent) -> CallbackParameters:
    """What has the state of a flow."""
    return CallbackParameters(state=sent.flow.value.state)


def test_find(bench: Bench) -> None:
    """An answer's flow is found in any of its browser's sessions."""
    sent, other = bench.send(), bench.send()
    local = bench.send(is_local=True)
    find = bench.relying_party.sign_in.find
    assert find([SessionOwner(sent.session)], answer_to(sent)) == (sent.session, sent.flow)
    owners = [SessionOwner(other.session), SessionOwner(local.session)]
    assert find(owners, answer_to(local)) == (local.session, local.flow)
    assert find(owners, answer_to(other)) == (other.session, other.flow)


@pytest.mark.requirement("N38", "AV-2", "T1")
@pytest.mark.parametrize("cleared", [True, False])
def test_find_what_is_another_sessions(bench: Bench, cleared: bool) -> None:
    """Another session's answer is refused, and its flow stays usable (N38)."""
    sent, other = bench.send(), bench.send()
    if cleared:
        bench.sessions.take(sent.session)
    for owners in ([SessionOwner(other.session)], [SessionOwner(None)], []):
        with pytest.raises(SessionMismatch):
            bench.relying_party.sign_in.find(owners, answer_to(sent))
    if not cleared:
        assert bench.now(sent.flow) == sent.flow.value


@pytest.mark.requirement("N39")
def test_find_what_is_gone(bench: Bench) -> None:
    """A flow of this browser that is over says so (N39)."""
    sent = bench.send()
    bench.clock.now += 600
    with pytest.raises(FlowExpired):
        bench.relying_party.sign_in.find([SessionOwner(sent.session)], answer_to(sent))
    with pytest.raises(FlowError):
        bench.relying_party.sign_in.find(
            [SessionOwner(sent.session)], CallbackParameters(state="unknown")
        )


# -- bind --------------------------------------------------------------------------


def test_bind(bench: Bench, hooks: Hooks) -> None:
    """An answer is bound, hooks and observers hear of it, once."""
    seen: list[AuthorizationResponse] = []
    hooks.after_authorize.append(seen.append)
    sent = bench.send()
    answer = bench.answer(sent)
    with told(authorization_answered) as heard:
        bound = bench.relying_party.sign_in.bind(sent.flow, answer)
        assert bench.relying_party.sign_in.bind(bound, answer) == bound
    assert (bound.value.status, bound.value.bound_at) == (Status.BOUND, NOW)
    assert seen == [bound.value.response]
    assert heard == [{"response": bound.value.response}]


@pytest.mark.requirement("BC-3")
def test_bind_another_answer(bench: Bench) -> None:
    """The first answer wins: another code, or an error, comes too late."""
    sent = bench.send()
    bound = bind(bench, sent)
    for late in (
        CallbackParameters(state=sent.flow.value.state, code="another", callback_url=CALLBACK),
        CallbackParameters(
            state=sent.flow.value.state, error="access_denied", callback_url=CALLBACK
        ),
    ):
        with pytest.raises(AnswerConflict):
            bench.relying_party.sign_in.bind(bound, late)
    assert bench.now(sent.flow) == bound.value


@pytest.mark.requirement("BC-3")
def test_bind_an_error(bench: Bench) -> None:
    """An error of the tenant ends the flow; whatever comes later hears of it."""
    sent = bench.send()
    bench.clock.now += 5
    answer = bench.answer(sent, cancel=True)
    with pytest.raises(AccessDenied):
        bench.relying_party.sign_in.bind(sent.flow, answer)
    failed = bench.now(sent.flow)
    assert (failed.status, failed.bound_at) == (Status.FAILED, NOW + 5)
    held = bench.sessions.reload_flow(sent.flow)
    assert held is not None
    for late in (
        answer,
        CallbackParameters(state=sent.flow.value.state, code="c", callback_url=CALLBACK),
    ):
        with pytest.raises(FlowFailed):
            bench.relying_party.sign_in.bind(held, late)


@pytest.mark.requirement("BC-4", "IS-1", "IS-4", "N48", "N51")
@pytest.mark.parametrize("error", [None, "access_denied"])
def test_bind_the_answer_of_another_issuer(bench: Bench, error: str | None) -> None:
    """An answer of another issuer leaves the flow untouched (N48, N51)."""
    sent = bench.send()
    answer = CallbackParameters(
        state=sent.flow.value.state, code="c", error=error, iss="https://evil.example/"
    )
    with pytest.raises(IssuerMismatch):
        bench.relying_party.sign_in.bind(sent.flow, answer)
    assert bench.now(sent.flow) == sent.flow.value


@pytest.mark.requirement("A0-5", "BC-4", "T4", "T26")
@pytest.mark.parametrize("status", [Status.SENT, Status.BOUND])
def test_bind_after_the_tenant_changed(bench: Bench, status: Status) -> None:
    """A flow that was sent to another tenant gets no answer of this one."""
    sent = bench.send()
    flow = sent.flow if status is Status.SENT else bind(bench, sent)
    old = bench.sessions.save(flow, expected_elsewhere(flow.value, "https://old.example/"))
    assert old is not None
    with pytest.raises(FlowGone, match="another tenant"):
        bench.relying_party.sign_in.bind(
            old, CallbackParameters(state=flow.value.state, code="the-code", callback_url=CALLBACK)
        )


@pytest.mark.parametrize(
    ("code", "error", "ends"),
    [
        pytest.param("the-code", None, None, id="same code"),
        pytest.param("another", None, AnswerConflict, id="another code"),
        pytest.param(None, "access_denied", AnswerConflict, id="error"),
    ],
)
def test_bind_what_another_binds_at_that_moment(
    bench: Bench, code: str | None, error: str | None, ends: type[PKCEError] | None
) -> None:
    """Of two answers at once the first wins; the same code twice is one answer."""
    sent = bench.send()
    answer = CallbackParameters(
        state=sent.flow.value.state, code=code, error=error, callback_url=CALLBACK
    )
    bench.store.before_replace = lambda: bind(bench, sent)
    if ends is None:
        assert bench.relying_party.sign_in.bind(sent.flow, answer).value.status is Status.BOUND
    else:
        with pytest.raises(ends):
            bench.relying_party.sign_in.bind(sent.flow, answer)
    assert bench.now(sent.flow).has_code("the-code")


@pytest.mark.parametrize("error", [None, "access_denied"])
def test_bind_what_is_cleared_at_that_moment(bench: Bench, error: str | None) -> None:
    """An answer to a flow that is cleared at that moment is kept nowhere."""
    sent = bench.send()
    bench.store.before_replace = lambda: bench.sessions.take(sent.session)
    with pytest.raises(SignedOutMeanwhile, match="cleared meanwhile"):
        bench.relying_party.sign_in.bind(
            sent.flow,
            CallbackParameters(
                state=sent.flow.value.state, code="c", error=error, callback_url=CALLBACK
            ),
        )
    assert not bench.store._entries


@pytest.mark.parametrize(
    ("hook", "error", "code"),
    [(refuse, AccessDenied, "access-denied"), (fall_over, RuntimeError, "hook-failed")],
)
def test_after_authorize_refuses(
    bench: Bench, hooks: Hooks, hook: Any, error: type[Exception], code: str
) -> None:
    """A hook that raises fails the flow; a mistake of the host is told as one."""
    hooks.after_authorize.append(hook)
    sent = bench.send()
    with told(authorization_answered) as heard, pytest.raises(error):
        bind(bench, sent)
    failure = bench.now(sent.flow).failure
    assert failure is not None
    assert failure.code == code
    assert "a mistake of the host" not in failure.detail
    assert heard == []


def test_answer_that_a_program_passes_on() -> None:
    """A program has no member for ``iss``: a missing one is not missed, a wrong one is."""
    bench = Bench(sends_iss=True)
    sent = bench.send()
    sign_in = bench.relying_party.sign_in
    answer = CallbackParameters(state=sent.flow.value.state, code="c", callback_url=CALLBACK)
    with pytest.raises(IssuerMismatch, match="does not say"):
        sign_in.bind(sent.flow, answer)
    wrong = dataclasses.replace(answer, iss="https://evil.example/")
    with pytest.raises(IssuerMismatch):
        sign_in.bind(sent.flow, passed_on(wrong, sent.flow.value))
    bound = sign_in.bind(sent.flow, passed_on(answer, sent.flow.value))
    assert bound.value.status is Status.BOUND


# -- what an answer must bring -----------------------------------------------------


@pytest.mark.requirement("BC-4", "T4")
@pytest.mark.parametrize("callback_url", [CALLBACK, f"{CALLBACK}/", ELSEWHERE, ""])
def test_answer_to_a_flow_that_was_sent_elsewhere(callback_url: str) -> None:
    """Nothing that reaches a callback binds to it; its code comes from a caller, without iss."""
    bench = Bench(sends_iss=True)
    sent = bench.send(redirect_uri=ELSEWHERE)
    state = sent.flow.value.state
    answer = CallbackParameters(state=state, code="c", iss=ISSUER, callback_url=callback_url)
    with pytest.raises(IssuerMismatch, match="another address"):
        bench.relying_party.sign_in.bind(sent.flow, answer)
    assert bench.now(sent.flow) == sent.flow.value
    bound = bench.relying_party.sign_in.bind_code(sent.flow, "c")
    assert bound.value.has_code("c")


@pytest.mark.requirement("BC-4", "T4")
def test_answer_to_a_flow_without_what_it_owes(bench: Bench) -> None:
    """Nothing binds to a flow that does not say what its answer must bring."""
    begun = bench.relying_party.sign_in.start(SessionOwner(None))
    sent = bench.send()
    old = bench.sessions.save(sent.flow, dataclasses.replace(sent.flow.value, expected=None))
    assert old is not None
    for held in (begun.flow, old):
        answer = CallbackParameters(state=held.value.state, code="c", callback_url=CALLBACK)
        for each in (answer, passed_on(answer, held.value)):
            with pytest.raises(IssuerMismatch):
                bench.relying_party.sign_in.bind(held, each)
        with pytest.raises(AuthorizationPending):
            bench.relying_party.sign_in.bind_code(held, "c")
        assert bench.now(held) == held.value
    with pytest.raises(AuthorizationPending):
        bench.relying_party.sign_in.bind_code(bench.send().flow, "c")


@pytest.mark.requirement("BC-4", "T4")
def test_flow_for_a_caller_that_builds_the_url(bench: Bench) -> None:
    """It stores what the default tenant owes, and nothing where no caller can build one."""
    assert bench.start().flow.value.expected == EXPECTED
    keeping = Bench(TOKEN_DELIVERY="session", REDIRECT_URIS=None)
    assert keeping.start().flow.value.expected is None
    acme = {"acme": {"domain": "tenant.example", "client_id": CLIENT_ID}}
    named = Bench(DOMAIN=None, CLIENT_ID=None, REDIRECT_URIS=None, TENANTS=acme)
    assert named.start().flow.value.expected is None
    assert named.send().flow.value.expected == dataclasses.replace(
        EXPECTED, tenant="acme", callback_url=f"{CALLBACK}/acme"
    )


def test_flow_for_a_caller_while_the_tenant_is_down(bench: Bench) -> None:
    """Nothing is started while it cannot be said what the answer must bring."""
    bench.tenant.faults.add("unreachable")
    with pytest.raises(TenantUnreachable):
        bench.start()
    assert not bench.store._entries
