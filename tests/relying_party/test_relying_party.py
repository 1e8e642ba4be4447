"""The parts of one blueprint in one application, put together."""

from __future__ import annotations

import time

import pytest

from flask_pkce.errors import RecordUnreadable, StateForged
from flask_pkce.protocol.authorization import CallbackParameters
from flask_pkce.relying_party.authorize import SessionOwner
from flask_pkce.relying_party.hooks import HookRunner, Hooks
from flask_pkce.relying_party.relying_party import build_relying_party
from flask_pkce.settings.loading import read_settings
from flask_pkce.stores import MemoryStore
from tests.support import CLIENT_ID, SECRET_KEY, Bench, Clock, MeddledStore

OTHER_KEY = b"another key that is long enough!"


def test_parts_share_settings_store_and_clock() -> None:
    """The settings reach the part that they are for."""
    bench = Bench(TIMEOUT=7, FLOW_LIFETIME=60, CLIENT_SECRET="x")
    relying_party = bench.relying_party
    assert relying_party.transport.timeout == 7
    assert relying_party.tenants.default.registration.client_secret == "x"
    assert relying_party.store is bench.store
    assert relying_party.clock is bench.clock
    flow = bench.send().flow.value
    assert flow.expires_at == bench.clock.now + 60
    assert not any(
        "secret" in repr(part) for part in (relying_party.settings, relying_party.tenants)
    )


def test_real_clocks() -> None:
    """By default the clocks are those of the machine."""
    settings = read_settings({"PKCE_DOMAIN": "tenant.example", "PKCE_CLIENT_ID": CLIENT_ID})
    hooks = HookRunner(Hooks(), ensure_sync=lambda hook: hook, sender=None)
    before = time.time()
    relying_party = build_relying_party(
        settings, MemoryStore(), hooks, secret_keys=[SECRET_KEY], namespace="pkce"
    )
    assert before <= relying_party.clock() <= time.time()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_two_workers(clock: Clock) -> None:
    """What one worker begins, another one ends."""
    store = MeddledStore(clock)
    first = Bench(store=store, clock=clock)
    second = Bench(store=store, clock=clock)
    second.tenant.mount(first.relying_party.transport.session)
    second.tenant.mount(second.relying_party.transport.session)
    sent = first.send()
    flow = second.relying_party.sign_in.bind(sent.flow, second.answer(sent))
    redeemed = first.redeem(sent.session, flow)
    assert redeemed.pointer is not None
    value = first.relying_party.signing.sign_pointer(redeemed.pointer)
    pointer = second.relying_party.signing.read_pointer(value)
    assert second.sessions.load(pointer) == redeemed.session


def test_rotation_of_the_key(clock: Clock) -> None:
    """A sign-in that is under way survives a rotation of the key."""
    store = MeddledStore(clock)
    old = Bench(store=store, clock=clock, secret_keys=(OTHER_KEY,))
    new = Bench(store=store, clock=clock, secret_keys=(SECRET_KEY, OTHER_KEY))
    old.tenant.mount(new.relying_party.transport.session)
    sent = old.send()
    _, flow = new.relying_party.sign_in.find(
        [SessionOwner(sent.session)], CallbackParameters(state=sent.flow.value.state)
    )
    bound = new.relying_party.sign_in.bind(flow, old.answer(sent))
    assert new.redeem(sent.session, bound).response.claims


def test_workers_without_a_common_key(clock: Clock) -> None:
    """Workers with different keys say so, and do not take a record for none."""
    store = MeddledStore(clock)
    first = Bench(store=store, clock=clock)
    second = Bench(store=store, clock=clock, secret_keys=(OTHER_KEY,))
    sent = first.send()
    with pytest.raises(StateForged):
        second.send(state=sent.flow.value.state)
    with pytest.raises(RecordUnreadable) as caught:
        second.sessions.reload_flow(sent.flow)
    assert "do all workers share SECRET_KEY" in caught.value.hint
