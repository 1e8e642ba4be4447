"""The parts of one blueprint in one application, put together."""

from __future__ import annotations

import time

import pytest

from flask_pkce.errors import RecordUnreadable, StateForged
from flask_pkce.protocol.authorization import Answer
from flask_pkce.relying_party.authorize import Owner
from flask_pkce.relying_party.hooks import HookRunner, Hooks
from flask_pkce.relying_party.relying_party import build_engine
from flask_pkce.settings.loading import read_settings
from flask_pkce.stores import MemoryStore
from tests.support import CLIENT_ID, SECRET_KEY, Bench, Clock, MeddledStore

OTHER_KEY = b"another key that is long enough!"


def test_parts_share_settings_store_and_clock() -> None:
    """The settings reach the part that they are for."""
    bench = Bench(TIMEOUT=7, FLOW_LIFETIME=60, CLIENT_SECRET="x")
    engine = bench.engine
    assert engine.transport.timeout == 7
    assert engine.tenants.default.registration.client_secret == "x"
    assert engine.store is bench.store
    assert engine.clock is bench.clock
    flow = bench.send().flow.value
    assert flow.expires_at == bench.clock.now + 60
    assert not any("secret" in repr(part) for part in (engine.settings, engine.tenants))


def test_real_clocks() -> None:
    """By default the clocks are those of the machine."""
    settings = read_settings({"PKCE_DOMAIN": "tenant.example", "PKCE_CLIENT_ID": CLIENT_ID})
    hooks = HookRunner(Hooks(), ensure_sync=lambda hook: hook, sender=None)
    before = time.time()
    engine = build_engine(
        settings, MemoryStore(), hooks, secret_keys=[SECRET_KEY], namespace="pkce"
    )
    assert before <= engine.clock() <= time.time()


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_two_workers(clock: Clock) -> None:
    """What one worker begins, another one ends."""
    store = MeddledStore(clock)
    first = Bench(store=store, clock=clock)
    second = Bench(store=store, clock=clock)
    second.tenant.mount(first.engine.transport.session)
    second.tenant.mount(second.engine.transport.session)
    sent = first.send()
    flow = second.engine.sign_in.bind(sent.flow, second.answer(sent))
    redeemed = first.redeem(sent.session, flow)
    assert redeemed.pointer is not None
    value = first.engine.signing.sign_pointer(redeemed.pointer)
    pointer = second.engine.signing.read_pointer(value)
    assert second.sessions.load(pointer) == redeemed.session


def test_rotation_of_the_key(clock: Clock) -> None:
    """A sign-in that is under way survives a rotation of the key."""
    store = MeddledStore(clock)
    old = Bench(store=store, clock=clock, secret_keys=(OTHER_KEY,))
    new = Bench(store=store, clock=clock, secret_keys=(SECRET_KEY, OTHER_KEY))
    old.tenant.mount(new.engine.transport.session)
    sent = old.send()
    _, flow = new.engine.sign_in.find([Owner(sent.session)], Answer(state=sent.flow.value.state))
    bound = new.engine.sign_in.bind(flow, old.answer(sent))
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
