"""Sessions, flows and answers in the store: who wins when several come at once."""

from __future__ import annotations

import dataclasses
import itertools
import os
from threading import Timer
from typing import Any

import pytest

from flask_pkce.errors import (
    AccessDenied,
    FlowError,
    FlowExpired,
    FlowGone,
    RecordUnreadable,
    SessionMismatch,
    SessionRenewed,
    SignedOutMeanwhile,
    StateForged,
    TooManyFlows,
)
from flask_pkce.protocol.authorization import AuthorizationResponse
from flask_pkce.protocol.pkce import decode_base64url, verifies
from flask_pkce.relying_party.relying_party import CODECS
from flask_pkce.sessions.encryption import Encryption
from flask_pkce.sessions.flow import Flow, Status
from flask_pkce.sessions.records import Records, Stored
from flask_pkce.sessions.repository import Sessions
from flask_pkce.sessions.session import MAX_FLOWS, Grant, Session
from flask_pkce.sessions.signing import Pointer, Signing
from tests.support import ISSUER, NOW, SECRET_KEY, Clock, MeddledStore, at_once

LIFETIME = 600
OTHER_KEY = b"another key that is long enough!"
GRANT = Grant(id="grant", issuer=ISSUER, claims={"sub": "alice"}, scope=("openid",))


class Desk:
    """Sessions on a store, all by one clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MeddledStore(self.clock)
        self.sessions = self.worker()

    def worker(self, *keys: bytes, namespace: str = "pkce") -> Sessions:
        """The sessions of another worker on the same store."""
        secret_keys = keys or (SECRET_KEY,)
        return Sessions(
            Records(self.store, Encryption(secret_keys), CODECS, clock=self.clock),
            Signing(secret_keys, namespace=namespace),
            namespace=namespace,
            clock=self.clock,
            flow_lifetime=LIFETIME,
        )

    def new(self, **options: Any) -> tuple[Stored[Session], Stored[Flow]]:
        """A new session, with a flow in it."""
        held, flow, _ = self.sessions.start(None, **options)
        return held, flow

    def another(
        self, held: Stored[Session], **options: Any
    ) -> tuple[Stored[Session], Stored[Flow]]:
        """The session with one more flow."""
        held, flow, pointer = self.sessions.start(held, **options)
        assert pointer is None
        return held, flow

    def advance(self, flow: Stored[Flow], to: Status) -> Stored[Flow]:
        """Bring a flow that was started to another state."""
        if to is Status.STARTED:
            return flow
        value = flow.value
        if to is Status.FAILED:
            value = value.fail(AccessDenied())
        elif to is Status.SENT:
            value = dataclasses.replace(value, status=Status.SENT)
        else:
            response = AuthorizationResponse(code="c", state=value.state, issuer=ISSUER)
            value = value.bind(response, now=self.clock())
            if to is not Status.BOUND:
                value = value.redeem(until=self.clock() + 20)
            if to is Status.DONE:
                value = value.finish()
        saved = self.sessions.save(flow, value)
        assert saved is not None
        return saved

    def full(self, statuses: list[Status]) -> tuple[Stored[Session], list[Stored[Flow]]]:
        """A session with as many flows as it may have, in those states, oldest first."""
        assert len(statuses) == MAX_FLOWS
        held, first = self.new()
        flows = [self.advance(first, statuses[0])]
        for status in statuses[1:]:
            held, flow = self.another(held)
            flows.append(self.advance(flow, status))
        return held, flows

    @property
    def keys(self) -> set[str]:
        """What is in the store."""
        return set(self.store._entries)


@pytest.fixture
def desk() -> Desk:
    return Desk()


# -- start -------------------------------------------------------------------------


def test_first_contact(desk: Desk) -> None:
    """A first contact makes a session and its flow, and a pointer that opens the session."""
    held, flow, pointer = desk.sessions.start(None)
    assert pointer is not None
    assert desk.sessions.load(pointer) == held
    assert [entry.key for entry in held.value.flows] == [flow.key]
    assert desk.sessions.flow(held, flow.value.state) == flow
    assert flow.value.nonce == flow.value.state
    assert flow.value.code_verifier is not None
    assert verifies(flow.value.code_verifier, flow.value.code_challenge)
    assert flow.value.expires_at == held.value.expires_at == NOW + LIFETIME


@pytest.mark.requirement("AZ-19", "PK-7")
def test_random_values(desk: Desk) -> None:
    """State, nonce, verifier, pointer and ids are new each time, and none is made of another."""
    seen = set()
    for _ in range(3):
        held, flow, pointer = desk.sessions.start(None, own_nonce=True)
        assert pointer is not None
        values = [held.value.id, pointer.secret, flow.value.state, flow.value.nonce]
        seen.update([*values, flow.value.code_verifier, flow.value.code_challenge])
    assert len(seen) == 18


@pytest.mark.requirement("PK-2")
def test_randomness_of_a_verifier(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A verifier is 32 bytes of the system's generator, of which nothing else is made
    (RFC 7636 7.1)."""
    drawn: list[bytes] = []
    generator = os.urandom

    def urandom(size: int) -> bytes:
        drawn.append(generator(size))
        return drawn[-1]

    monkeypatch.setattr("os.urandom", urandom)
    _, flow = desk.new(own_nonce=True)
    verifier = decode_base64url(flow.value.code_verifier or "")
    assert len(verifier) == 32
    assert b"".join(drawn).count(verifier) == 1
    assert decode_base64url(flow.value.nonce) != verifier
    state = decode_base64url(flow.value.state.split(".")[1])
    assert not any(verifier[at : at + 8] in state for at in range(25))


@pytest.mark.requirement("ID-11")
def test_nonce_of_its_own(desk: Desk) -> None:
    """With delivery to the session the nonce of each flow is not its state, and 32 bytes."""
    held, flow = desk.new(own_nonce=True)
    _, second = desk.another(held, own_nonce=True)
    assert flow.value.nonce != flow.value.state
    assert second.value.nonce != second.value.state
    assert len(flow.value.nonce) == len(second.value.nonce) == 43


def test_further_flow(desk: Desk) -> None:
    """A further flow joins its session; the newest comes first."""
    held, first = desk.new()
    held, second = desk.another(held)
    assert list(desk.sessions.flows(held)) == [second, first]


def test_flow_that_is_on_the_list_alone(desk: Desk) -> None:
    """A flow that the store has lost is left out."""
    held, first = desk.new()
    held, second = desk.another(held)
    desk.store.delete(second.key)
    assert list(desk.sessions.flows(held)) == [first]


@pytest.mark.requirement("ST-3", "AZ-19", "T28")
def test_store_holds_no_secrets(desk: Desk) -> None:
    """Neither a value nor a key of the store shows state, verifier or pointer."""
    held, flow, pointer = desk.sessions.start(None)
    assert pointer is not None
    shown = repr(desk.store._entries)
    secrets = (flow.value.state, flow.value.code_verifier, held.value.secret_hash)
    assert not any(str(secret) in shown for secret in secrets)


@pytest.mark.requirement("BC-19", "T26")
def test_two_blueprints(desk: Desk) -> None:
    """Two blueprints on one store have nothing in common."""
    _, flow, pointer = desk.sessions.start(None)
    other = desk.worker(namespace="staff")
    assert pointer is not None
    assert other.load(pointer) is None
    with pytest.raises(StateForged):
        other.is_ours(flow.value.state)


def test_own_state_of_two_sessions(desk: Desk) -> None:
    """Equal states of two sessions never meet."""
    first, flow = desk.new(state="own")
    second, other = desk.new(state="own")
    assert flow.key != other.key
    assert desk.sessions.flow(first, "own") == flow
    assert desk.sessions.flow(second, "own") == other


def test_own_state_twice(desk: Desk) -> None:
    """A caller's own state that comes twice at once is one flow."""
    held, _ = desk.new()
    held, flow = desk.another(held, state="own")
    again, same, pointer = desk.sessions.start(held, state="own")
    assert (again, same, pointer) == (held, flow, None)


def test_own_state_that_is_gone_meanwhile(desk: Desk) -> None:
    """A flow that was there and is gone a moment later is told as gone."""
    held, _ = desk.new()
    held, flow = desk.another(held, state="own")
    add = desk.store.add

    def add_and_clear(key: str, value: bytes, ttl: float) -> bool:
        added = add(key, value, ttl)
        desk.store.delete(flow.key)
        return added

    desk.store.add = add_and_clear  # type: ignore[method-assign]
    with pytest.raises(FlowGone):
        desk.sessions.start(held, state="own")


def test_start_in_a_session_that_is_cleared(desk: Desk) -> None:
    """A flow of a session that was cleared at that moment leaves nothing behind."""
    held, _ = desk.new()
    desk.store.before_replace = lambda: desk.sessions.take(held)
    with pytest.raises(FlowGone):
        desk.sessions.start(held)
    assert desk.keys == set()


def test_start_at_once(desk: Desk) -> None:
    """Flows that several tabs start at once are all on the list, and newest first at the end."""
    held, first = desk.new()
    results = at_once(lambda _: desk.sessions.start(held), 8)
    current = desk.sessions.reload(held)
    assert current is not None
    listed = {entry.key for entry in current.value.flows}
    started = {result[1].key for result in results if isinstance(result, tuple)}
    assert len(started) == 8
    assert listed == started | {first.key}


# -- pointers ----------------------------------------------------------------------


@pytest.mark.requirement("CK-7")
def test_pointer_of_another(desk: Desk) -> None:
    """The right id with another secret opens nothing, and an unknown id neither."""
    held, _ = desk.new()
    assert desk.sessions.load(Pointer(held.value.id, bytes(16))) is None
    assert desk.sessions.load(Pointer("AAAAAAAAAAA", bytes(16))) is None


def test_what_a_pointer_is_to(desk: Desk) -> None:
    """The session of a pointer that opens it no more can be told from none at all."""
    held, _, pointer = desk.sessions.start(None)
    assert pointer is not None
    assert desk.sessions.at(pointer) == held
    assert desk.sessions.at(Pointer(held.value.id, bytes(16))) == held
    desk.sessions.take(held)
    assert desk.sessions.at(pointer) is None


@pytest.mark.requirement("CK-11", "T8")
def test_renewal(desk: Desk) -> None:
    """A new pointer opens the session from the moment on at which the old one dies."""
    held, flow, old = desk.sessions.start(None)
    desk.clock.now += 5
    saved, new = desk.sessions.renew(held, sign_in)
    assert old is not None
    assert new is not None
    assert desk.sessions.load(new) == saved
    assert desk.sessions.load(old) is None
    assert (saved.value.grants, saved.value.renewed_at) == ((GRANT,), NOW + 5)
    assert desk.sessions.flow(saved, flow.value.state) == flow


def test_renewal_alone(desk: Desk) -> None:
    """A pointer can be renewed and the session stay as it is."""
    held, _ = desk.new()
    saved, pointer = desk.sessions.renew(held)
    assert pointer is not None
    assert saved.value.flows == held.value.flows


def test_whether_it_was_renewed(desk: Desk) -> None:
    """Whether a session was renewed since it was read can be told, unless it was cleared."""
    held, _ = desk.new()
    desk.another(held)
    assert not desk.sessions.was_renewed(held)
    saved, _ = desk.sessions.renew(held)
    assert desk.sessions.was_renewed(held)
    assert not desk.sessions.was_renewed(saved)
    desk.sessions.take(saved)
    with pytest.raises(SignedOutMeanwhile):
        desk.sessions.was_renewed(held)


def test_renewal_of_the_local_session(desk: Desk) -> None:
    """The local session has no pointer to renew."""
    held, _ = desk.new(local=True)
    saved, pointer = desk.sessions.renew(held, sign_in)
    assert pointer is None
    assert desk.sessions.load_local() == saved
    assert saved.value.grants == (GRANT,)


def test_renewal_at_once(desk: Desk) -> None:
    """Of several who renew a session one succeeds: the others' pointers would open nothing."""
    held, _ = desk.new()
    results = at_once(lambda _: desk.sessions.renew(held, sign_in), 8)
    ((saved, pointer),) = [result for result in results if isinstance(result, tuple)]
    assert pointer is not None
    assert desk.sessions.load(pointer) == saved
    assert [type(each) for each in results].count(SessionRenewed) == 7


def test_renewal_of_what_changed_meanwhile(desk: Desk) -> None:
    """A flow that is started at that moment is not lost."""
    held, _ = desk.new()
    desk.store.before_replace = lambda: desk.another(held)
    saved, _ = desk.sessions.renew(held, sign_in)
    assert len(saved.value.flows) == 2


def test_renewal_of_what_was_cleared(desk: Desk) -> None:
    """A session that was cleared is not revived."""
    held, _ = desk.new()
    desk.sessions.take(held)
    with pytest.raises(SignedOutMeanwhile):
        desk.sessions.renew(held, sign_in)
    assert desk.keys == set()


def test_end_of_a_session(desk: Desk) -> None:
    """A session ends with what it lives for, and is never revived."""
    held, flow, pointer = desk.sessions.start(None)
    assert pointer is not None
    desk.clock.now = NOW + LIFETIME - 0.1
    assert desk.sessions.load(pointer) == held
    desk.clock.now = NOW + LIFETIME
    assert desk.sessions.load(pointer) is None
    assert desk.sessions.flow(held, flow.value.state) is None
    with pytest.raises(FlowGone):
        desk.sessions.start(held)


# -- the local session -------------------------------------------------------------


def test_local_session(desk: Desk) -> None:
    """The local session has no pointer, and is there for every local caller."""
    assert desk.sessions.load_local() is None
    held, flow, pointer = desk.sessions.start(None, local=True)
    assert pointer is None
    assert desk.sessions.load_local() == held
    assert desk.worker().load_local() == held
    assert flow.value.state


def test_local_session_cannot_be_pointed_at(desk: Desk) -> None:
    """A pointer never opens the local session, whatever its secret."""
    held, _ = desk.new(local=True)
    assert desk.sessions.load(Pointer(held.value.id, b"")) is None


def test_local_session_of_two_at_once(desk: Desk) -> None:
    """Two first contacts of local callers at once get one session, with both flows."""
    created = []

    def first() -> None:
        # The flow is added first: meddle before its session.
        desk.store.before_add = lambda: created.append(desk.sessions.start(None, local=True))

    desk.store.before_add = first
    held, flow, pointer = desk.sessions.start(None, local=True, state="own", own_nonce=True)
    assert pointer is None
    assert flow.value.state == "own"
    assert flow.value.nonce != "own"
    ((other, other_flow, _),) = created
    assert held.key == other.key
    assert list(desk.sessions.flows(held)) == [flow, other_flow]
    assert desk.keys == {held.key, flow.key, other_flow.key}


def test_local_sessions_of_many_at_once(desk: Desk) -> None:
    """Any number of first contacts at once get one session, with every flow on its list."""
    results = at_once(lambda _: desk.sessions.start(None, local=True), 8)
    started = {result[1].key for result in results if isinstance(result, tuple)}
    held = desk.sessions.load_local()
    assert held is not None
    assert len(started) == 8
    assert {entry.key for entry in held.value.flows} == started


def test_local_session_that_is_cleared_at_that_moment(desk: Desk) -> None:
    """Where the other's session is cleared again in between, the caller is told so."""

    def first() -> None:
        def create_and_clear() -> None:
            held, _ = desk.new(local=True)
            reads = itertools.count()
            get = desk.store.get

            def clear_then_get(key: str) -> bytes | None:
                if key == held.key and next(reads) == 0:
                    desk.store.take(key)
                return get(key)

            desk.store.get = clear_then_get  # type: ignore[method-assign]

        desk.store.before_add = create_and_clear

    desk.store.before_add = first
    with pytest.raises(FlowGone):
        desk.sessions.start(None, local=True)


def test_id_that_was_drawn_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """A session whose id is taken already is not opened: the caller starts again."""
    held, _ = desk.new()
    local, _ = desk.new(local=True)
    pointer = Pointer(held.value.id, bytes(16))
    monkeypatch.setattr("flask_pkce.sessions.repository._random_pointer", lambda: pointer)
    desk.clock.now += 1
    with pytest.raises(FlowGone):
        desk.sessions.start(None)
    assert desk.sessions.reload(held) == held
    assert desk.sessions.reload(local) == local


def test_state_that_was_drawn_twice(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """The flow of a new session is never one that is there already."""
    _, _, pointer = desk.sessions.start(None, state="own")
    monkeypatch.setattr("flask_pkce.sessions.repository._random_pointer", lambda: pointer)
    with pytest.raises(FlowGone):
        desk.sessions.start(None, state="own")


def test_local_session_after_the_key_was_rotated(desk: Desk) -> None:
    """The local session outlives a rotation of the key, while the old one is a fallback."""
    held, flow = desk.new(local=True)
    rotated = desk.worker(OTHER_KEY, SECRET_KEY)
    assert rotated.load_local() == held
    assert rotated.flow(held, flow.value.state) == flow
    assert desk.worker(OTHER_KEY).load_local() is None


# -- change ------------------------------------------------------------------------


def sign_in(session: Session) -> Session:
    return session.signed_in(GRANT, until=NOW + 9999)


def test_update(desk: Desk) -> None:
    """A change is saved, and lives as long as the session then does."""
    held, _ = desk.new()
    saved = desk.sessions.update(held, sign_in)
    assert saved is not None
    desk.clock.now = NOW + 9998
    assert desk.sessions.reload(held) == saved


def test_update_of_what_changed_meanwhile(desk: Desk) -> None:
    """A change is made anew on what somebody else saved in between: nothing is lost."""
    held, _ = desk.new()
    desk.store.before_replace = lambda: desk.another(held)
    saved = desk.sessions.update(held, sign_in)
    assert saved is not None
    assert len(saved.value.flows) == 2
    assert saved.value.grants == (GRANT,)


def test_update_at_once(desk: Desk) -> None:
    """Of many changes at once none is lost."""
    held, _ = desk.new()
    at_once(lambda _: desk.sessions.update(held, sign_in), 8)
    current = desk.sessions.reload(held)
    assert current is not None
    assert len(current.value.grants) == 8


def test_update_of_what_was_cleared(desk: Desk) -> None:
    """A session that was cleared is not revived by a change."""
    held, _ = desk.new()
    desk.sessions.take(held)
    assert desk.sessions.update(held, sign_in) is None
    assert desk.keys == set()


def test_another_session_of_the_same_key(desk: Desk) -> None:
    """A local session that was cleared and begun anew is not taken for the one before."""
    held, _ = desk.new(local=True)
    desk.sessions.take(held)
    desk.clock.now += 1
    new, _ = desk.new(local=True)
    assert new.key == held.key
    assert desk.sessions.reload(held) is None
    assert desk.sessions.update(held, sign_in) is None
    assert desk.sessions.reload(new) == new


# -- take --------------------------------------------------------------------------


def test_take(desk: Desk) -> None:
    """Taking a session removes its flows too, and tells what it was at the end."""
    held, _ = desk.new()
    newer, _ = desk.another(held)
    other, other_flow = desk.new()
    assert desk.sessions.take(held) == newer.value
    assert desk.keys == {other.key, other_flow.key}
    assert desk.sessions.take(held) is None


def test_take_at_once(desk: Desk) -> None:
    """A session is taken by one caller only."""
    held, _ = desk.new()
    taken = at_once(lambda _: desk.sessions.take(held), 8)
    assert [session for session in taken if session is not None] == [held.value]


# -- the cap -----------------------------------------------------------------------

S, T, B, R, D, F = (
    Status.STARTED,
    Status.SENT,
    Status.BOUND,
    Status.REDEEMING,
    Status.DONE,
    Status.FAILED,
)


@pytest.mark.parametrize(
    ("beginning", "rest", "goes"),
    [
        pytest.param([B, T, S, D], S, 3, id="finished before all others"),
        pytest.param([B, T, S, F], S, 3, id="failed counts as finished"),
        pytest.param([T, F, D, S], B, 1, id="the oldest of the finished"),
        pytest.param([T, B, S, S], T, 2, id="then the oldest unsent"),
        pytest.param([B, R, T, T], T, 2, id="then the oldest sent"),
        pytest.param([B, R, B, B, T], R, 4, id="the only one that can be spared"),
    ],
)
def test_which_flow_gives_way(
    desk: Desk, beginning: list[Status], rest: Status, goes: int
) -> None:
    """At the cap the flow that can best be spared gives way to the new one."""
    statuses = [*beginning, *[rest] * (MAX_FLOWS - len(beginning))]
    held, flows = desk.full(statuses)
    held, flow = desk.another(held)
    left = [entry.key for entry in held.value.flows]
    expected = [each.key for index, each in enumerate(flows) if index != goes]
    assert left == [*expected, flow.key]
    assert desk.keys == {held.key, *left}


def test_foreign_flows_give_way_before_others(desk: Desk) -> None:
    """A sent flow that another origin started goes before older ones, and after unsent ones."""
    held, flows = desk.full([T, B, T, S] + [T] * (MAX_FLOWS - 4))
    foreign = dataclasses.replace(flows[2].value, confirmation="the-value")
    assert desk.sessions.save(flows[2], foreign) is not None
    bound = dataclasses.replace(flows[1].value, confirmation="the-value")
    assert desk.sessions.save(flows[1], bound) is not None
    gone = []
    for _ in range(3):
        held, flow = desk.another(held)
        desk.advance(flow, T)
        left = {entry.key for entry in held.value.flows}
        gone += [i for i, each in enumerate(flows) if each.key not in left and i not in gone]
    assert gone == [3, 2, 0]


def test_nothing_can_give_way(desk: Desk) -> None:
    """What is bound or being redeemed never gives way: the new flow is refused."""
    held, flows = desk.full([B, R] * (MAX_FLOWS // 2))
    with pytest.raises(TooManyFlows) as caught:
        desk.sessions.start(held)
    assert (caught.value.status, caught.value.retry_after) == (429, 5)
    assert desk.keys == {held.key, *(flow.key for flow in flows)}


def test_flow_that_is_gone_gives_way(desk: Desk) -> None:
    """A flow that is on the list and not in the store is the first to leave it."""
    held, flows = desk.full([S] * MAX_FLOWS)
    desk.store.delete(flows[7].key)
    held, flow = desk.another(held)
    keys = [entry.key for entry in held.value.flows]
    assert flows[7].key not in keys
    assert keys[0] == flows[0].key
    assert keys[-1] == flow.key


def test_flow_that_is_bound_at_that_moment(desk: Desk) -> None:
    """A flow that is bound while it is to give way stays, and the next one goes."""
    held, flows = desk.full([S] * MAX_FLOWS)
    fresh = held
    # The list is saved after the eviction, so the first write is the eviction's.
    desk.store.before_replace = lambda: desk.advance(flows[0], Status.BOUND)
    held, _ = desk.another(fresh)
    keys = [entry.key for entry in held.value.flows]
    assert flows[0].key in keys
    assert flows[1].key not in keys
    bound = desk.sessions.reload_flow(flows[0])
    assert bound is not None
    assert bound.value.status is Status.BOUND


def test_flows_that_ended_need_no_eviction(desk: Desk) -> None:
    """Flows whose time is over make room by themselves."""
    held, _ = desk.full([B] * MAX_FLOWS)
    saved = desk.sessions.update(held, sign_in)
    assert saved is not None
    desk.clock.now += LIFETIME
    held, flow = desk.another(saved)
    assert [entry.key for entry in held.value.flows] == [flow.key]


@pytest.mark.requirement("ST-2")
def test_cap_holds_at_once(desk: Desk) -> None:
    """However many start at once, the cap holds, and the list is what the store has."""
    held, _ = desk.full([S] * MAX_FLOWS)
    at_once(lambda _: desk.sessions.start(held), 8)
    current = desk.sessions.reload(held)
    assert current is not None
    listed = {entry.key for entry in current.value.flows}
    assert len(listed) == MAX_FLOWS
    assert listed <= desk.keys


# -- flows -------------------------------------------------------------------------


@pytest.mark.requirement("ST-4", "N37")
def test_save_once(desk: Desk) -> None:
    """Of many who take the same step one succeeds (N37)."""
    _, flow = desk.new()
    bound = desk.advance(flow, Status.BOUND)
    results = at_once(lambda _: desk.sessions.save(bound, bound.value.redeem(until=NOW + 9)), 8)
    assert len([result for result in results if result is not None]) == 1


def test_save_of_a_flow_that_is_gone(desk: Desk) -> None:
    """A flow of a session that was cleared is not revived."""
    held, flow = desk.new()
    desk.sessions.take(held)
    assert desk.sessions.save(flow, flow.value) is None
    assert desk.sessions.reload_flow(flow) is None


@pytest.mark.requirement("ST-1")
def test_nothing_extends_a_flow(desk: Desk) -> None:
    """Whatever happens to a flow, it ends when it was to end."""
    _, flow = desk.new()
    desk.clock.now = NOW + LIFETIME - 1
    bound = desk.advance(flow, Status.BOUND)
    desk.clock.now = NOW + LIFETIME
    assert desk.sessions.reload_flow(bound) is None


def test_abandoned_redemption(desk: Desk) -> None:
    """A flow whose worker died while redeeming is failed, for everybody and for good."""
    held, flow = desk.new()
    desk.advance(flow, Status.REDEEMING)
    desk.clock.now += 20
    settled = desk.sessions.flow(held, flow.value.state)
    assert settled is not None
    assert settled.value.failure is not None
    assert settled.value.failure.code == "redemption-abandoned"
    assert desk.sessions.reload_flow(flow) == settled
    assert list(desk.sessions.flows(held)) == [settled]


def test_redemption_that_ends_while_it_is_settled(desk: Desk) -> None:
    """An exchange that ends at the last moment wins over the one who settles."""
    _, flow = desk.new()
    redeeming = desk.advance(flow, Status.REDEEMING)
    desk.clock.now += 20
    desk.store.before_replace = lambda: desk.sessions.save(redeeming, redeeming.value.finish())
    settled = desk.sessions.reload_flow(flow)
    assert settled is not None
    assert settled.value.status is Status.DONE


# -- wait --------------------------------------------------------------------------


def test_wait_for_nothing(desk: Desk) -> None:
    """When the time is over, the flow is as it was read."""
    _, flow = desk.new()
    assert desk.sessions.wait(flow, seconds=0) == flow


def test_wait_for_an_answer(desk: Desk) -> None:
    """Whoever waits hears of the answer as soon as it is bound."""
    _, flow = desk.new()
    timer = Timer(0.01, lambda: desk.advance(flow, Status.BOUND))
    timer.start()
    waited = desk.sessions.wait(flow, seconds=10)
    timer.join()
    assert waited is not None
    assert waited.value.status is Status.BOUND


def test_wait_for_a_flow_that_is_cleared(desk: Desk) -> None:
    """Whoever waits hears that the session was cleared."""
    held, flow = desk.new()
    timer = Timer(0.01, lambda: desk.sessions.take(held))
    timer.start()
    assert desk.sessions.wait(flow, seconds=10) is None
    timer.join()


def test_wait_for_an_abandoned_redemption(desk: Desk) -> None:
    """What has changed by time alone is seen at the end of the wait."""
    _, flow = desk.new()
    redeeming = desk.advance(flow, Status.REDEEMING)
    desk.clock.now += 20
    waited = desk.sessions.wait(redeeming, seconds=0)
    assert waited is not None
    assert waited.value.status is Status.FAILED


# -- why there is no such flow -----------------------------------------------------


def test_missing_flow_of_this_caller(desk: Desk) -> None:
    """A state of this caller says whether its flow expired or is gone."""
    held, flow = desk.new()
    desk.sessions.take(held)
    owners = [held.value.owner]
    assert type(desk.sessions.missing(owners, flow.value.state)) is FlowGone
    desk.clock.now = NOW + LIFETIME - 0.1
    assert type(desk.sessions.missing(owners, flow.value.state)) is FlowGone
    desk.clock.now = NOW + LIFETIME
    assert type(desk.sessions.missing(owners, flow.value.state)) is FlowExpired
    assert type(desk.sessions.missing(["other", *owners], flow.value.state)) is FlowExpired


@pytest.mark.requirement("N54")
@pytest.mark.parametrize("cleared", [True, False])
def test_missing_flow_of_another_caller(desk: Desk, cleared: bool) -> None:
    """Nobody learns whether another session has a flow."""
    held, flow = desk.new()
    if cleared:
        desk.sessions.take(held)
    desk.clock.now = NOW + LIFETIME * cleared
    for owners in (["other"], []):
        assert type(desk.sessions.missing(owners, flow.value.state)) is SessionMismatch


def test_missing_flow_of_the_local_session(desk: Desk) -> None:
    """The local session's states stay its own, however often it was begun anew."""
    held, flow = desk.new(local=True)
    desk.sessions.take(held)
    assert type(desk.sessions.missing(["local"], flow.value.state)) is FlowGone


@pytest.mark.requirement("N35")
def test_unknown_state(desk: Desk) -> None:
    """A state that we did not make is unknown to a session, and says nothing without one."""
    assert type(desk.sessions.missing(["owner"], "x" * 43)) is FlowError
    assert type(desk.sessions.missing([], "x" * 43)) is SessionMismatch


def test_forged_state(desk: Desk) -> None:
    """A state that looks like ours and is not is forged, whoever asks."""
    for owners in (["owner"], []):
        with pytest.raises(StateForged):
            desk.sessions.missing(owners, "pkce1.AAAA.AAAA")


def test_whose_state(desk: Desk) -> None:
    """Whether we made a state, for whomever."""
    _, flow = desk.new()
    assert desk.sessions.is_ours(flow.value.state)
    assert not desk.sessions.is_ours("own")
    with pytest.raises(StateForged):
        desk.sessions.is_ours("pkce1.AAAA.AAAA")


# -- records that cannot be read ---------------------------------------------------


@pytest.mark.requirement("ST-6")
def test_record_of_another_key(desk: Desk) -> None:
    """A session of a worker with another key is reported, never taken for none."""
    held, _, pointer = desk.sessions.start(None)
    assert pointer is not None
    stranger = desk.worker(OTHER_KEY)
    with pytest.raises(RecordUnreadable, match="sealed with another key"):
        stranger.load(pointer)
    with pytest.raises(RecordUnreadable):
        stranger.reload(held)


def test_record_that_was_moved(desk: Desk) -> None:
    """A session's record under another session's key is refused."""
    held, _ = desk.new()
    other, _, pointer = desk.sessions.start(None)
    assert pointer is not None
    desk.store.replace(other.key, other.raw, held.raw, 60)
    with pytest.raises(RecordUnreadable, match="changed in the store"):
        desk.sessions.load(pointer)
