"""One token request: in which order it goes, and how it is undone."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from flask_pkce.errors import FileDescriptorsExhausted
from flask_pkce.protocol.token import TokenRequest, TokenResponse
from flask_pkce.relying_party.hooks import HookRunner, Hooks
from flask_pkce.relying_party.tokens import Exchange
from flask_pkce.tenant.api import TenantAPI
from tests.support import ISSUER, NOW, Bench, Failing, make_tenant


@pytest.fixture
def bench() -> Bench:
    return Bench()


@pytest.fixture
def exchange(bench: Bench) -> Exchange:
    """An exchange with the tenant of the bench, and no hooks."""
    return Exchange(
        TenantAPI(bench.relying_party.transport, clock=bench.clock),
        bench.relying_party.tenants,
        HookRunner(Hooks(), ensure_sync=lambda hook: hook, sender=None),
        clock=bench.clock,
    )


@pytest.mark.requirement("BC-7")
def test_order() -> None:
    """The hook before, the call, the verification, the hook after; then it is stored."""
    hooks = Hooks()
    bench = Bench(hooks=hooks)
    session, flow = bench.bound()
    steps: list[tuple[str, int, int]] = []

    def remember_jti(step: str, value: TokenRequest | TokenResponse) -> None:
        current = bench.sessions.reload(session)
        stored = 0 if current is None else len(current.value.grants)
        steps.append((step, bench.token_requests, stored))

    hooks.before_token.append(lambda request: remember_jti("before", request))
    hooks.after_token.append(lambda response: remember_jti("after", response))
    bench.redeem(session, flow)
    assert steps == [("before", 0, 0), ("after", 1, 0)]


def test_prepare(bench: Bench, exchange: Exchange) -> None:
    """Metadata and keys are had before anything is used up."""
    known = bench.relying_party.tenants.default
    assert exchange.prepare(known) == known.get()
    assert bench.tenant.count("GET", "/.well-known/jwks.json") == 1
    assert exchange.deadline() == NOW + bench.relying_party.settings.timeout + 10


def test_revoke_nothing(exchange: Exchange) -> None:
    """Where there is no token, nothing is left to revoke."""
    assert exchange.revoke(make_tenant(), None) is True


@pytest.mark.requirement("N89", "RV-2")
@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        pytest.param({"revocation_endpoint": None}, None, id="no endpoint"),
        pytest.param({}, "unreachable", id="unreachable"),
        pytest.param({"revocation_endpoint": "https://tenant.example/gone"}, None, id="404"),
    ],
)
def test_revoke_in_vain(
    bench: Bench,
    exchange: Exchange,
    caplog: pytest.LogCaptureFixture,
    changes: dict[str, Any],
    fault: str | None,
) -> None:
    """A revocation that fails is logged, without the token, and stops nobody."""
    if fault:
        bench.tenant.faults.add(fault)
    with caplog.at_level(logging.WARNING, "flask_pkce.exchange"):
        assert exchange.revoke(make_tenant(**changes), "the-secret-token") is False
    assert [record.message.split(":")[0] for record in caplog.records] == ["revocation-failed"]
    assert "the-secret-token" not in caplog.text


def test_revoke_without_file_descriptors(bench: Bench, exchange: Exchange) -> None:
    """A server without file descriptors cannot revoke, and still signs out."""
    transport = bench.relying_party.transport.session
    transport.mount(f"{ISSUER}oauth/revoke", Failing(FileDescriptorsExhausted()))
    assert exchange.revoke(make_tenant(), "the-token") is False
