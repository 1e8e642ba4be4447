"""Clear: what is kept here first, then the refresh tokens at the tenant."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Response, request

from flask_pkce.relying_party.hooks import signed_out
from flask_pkce.sessions.records import Stored
from flask_pkce.sessions.session import Grant, Session
from tests.support import ISSUER, NOW, Bench, Clock, told


@pytest.fixture
def bench() -> Bench:
    return Bench()


def clear(bench: Bench, session: Stored[Session]) -> list[dict[str, Any]]:
    """Clear a session; what observers were told."""
    with told(signed_out) as heard:
        bench.relying_party.sign_out.clear(session)
    assert not bench.store._entries
    return heard


@pytest.mark.requirement("RV-3")
def test_clear(bench: Bench) -> None:
    """Nothing of the session is left, and its refresh token is revoked at the tenant."""
    signed_in = bench.sign_in()
    token = signed_in.response.refresh_token
    assert clear(bench, signed_in.session) == [{"revoked": True}]
    fields = {"grant_type": "refresh_token", "refresh_token": token, "client_id": "local-client"}
    answer = bench.relying_party.transport.session.post(f"{ISSUER}oauth/token", fields, timeout=5)
    assert answer.json()["error"] == "invalid_grant"


@pytest.mark.requirement("N58", "RV-5")
def test_clear_all_flows(bench: Bench) -> None:
    """Flows and answers under way go too; those of others stay."""
    other = bench.send()
    session, flow = bench.bound()
    sent = bench.send(session)
    bench.relying_party.sign_out.clear(sent.session)
    for gone in (flow, sent.flow):
        assert bench.sessions.reload_flow(gone) is None
    assert bench.now(other.flow) == other.flow.value


def test_clear_all_sign_ins(bench: Bench) -> None:
    """Every refresh token that the session holds is revoked."""
    first = bench.sign_in()
    sent = bench.send(first.session)
    second = bench.redeem(sent.session, bench.bind(sent))
    assert clear(bench, second.session) == [{"revoked": True}]
    assert bench.revocations == 2


@pytest.mark.requirement("RV-4")
def test_clear_twice(bench: Bench) -> None:
    """Who clears what is cleared already does nothing, and nobody is told again."""
    signed_in = bench.sign_in()
    clear(bench, signed_in.session)
    assert clear(bench, signed_in.session) == []
    assert bench.revocations == 1


def test_clear_what_holds_no_token(bench: Bench) -> None:
    """Where nobody signed in, the tenant is not asked."""
    session = bench.send().session
    asked = len(bench.tenant.requests)
    assert clear(bench, session) == [{"revoked": True}]
    assert len(bench.tenant.requests) == asked


@pytest.mark.requirement("RV-3")
def test_clear_a_sign_in_without_refresh_token() -> None:
    """Without a refresh token there is nothing to revoke."""
    bench = Bench(SCOPE="openid")
    assert clear(bench, bench.sign_in().session) == [{"revoked": True}]
    assert bench.revocations == 0


@pytest.mark.requirement("N89", "RV-4")
@pytest.mark.parametrize("fault", ["unreachable", "silent"])
def test_clear_while_the_tenant_is_down(
    bench: Bench, fault: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The session ends here in any case; that the tenant was not told is logged, and no secret."""
    signed_in = bench.sign_in()
    bench.tenant.faults.add(fault)
    assert clear(bench, signed_in.session) == [{"revoked": False}]
    warnings = [record.message for record in caplog.records if record.levelno >= logging.WARNING]
    assert warnings == [f"revocation-failed: tenant-{fault}"]


@pytest.mark.requirement("RV-2")
@pytest.mark.parametrize("status", [400, 503])
def test_clear_while_the_tenant_does_not_revoke(bench: Bench, status: int) -> None:
    """A token that the tenant may still know is told to observers (RFC 7009 2.2.1)."""

    def refuse() -> Response | None:
        revokes = request.path == "/oauth/revoke"
        return Response("", status, {"Retry-After": "5"}) if revokes else None

    bench.tenant.app.before_request_funcs[None].append(refuse)
    signed_in = bench.sign_in()
    assert clear(bench, signed_in.session) == [{"revoked": False}]


def test_first_failure_is_the_last_attempt(bench: Bench) -> None:
    """With many tokens and a tenant that is down, nobody waits for each of them."""
    first = bench.sign_in()
    sent = bench.send(first.session)
    second = bench.redeem(sent.session, bench.bind(sent))
    bench.tenant.faults.add("silent")
    clear(bench, second.session)
    assert bench.revocations == 1


@pytest.mark.requirement("RV-4")
def test_clear_while_the_metadata_cannot_be_had(bench: Bench) -> None:
    """Without the tenant's metadata nothing is revoked, and the session ends."""
    signed_in = bench.sign_in()
    bench.monotonic.now += 86400
    bench.tenant.faults.add("unreachable")
    assert clear(bench, signed_in.session) == [{"revoked": False}]


@pytest.mark.requirement("A0-5")
def test_clear_a_sign_in_at_another_tenant(bench: Bench) -> None:
    """The refresh token of another tenant is not shown to this one."""
    session = bench.send().session
    grant = Grant(
        id="old",
        issuer="https://old.example/",
        claims={"sub": "x"},
        scope=("openid",),
        refresh_token="t",
    )
    saved = bench.sessions.update(session, lambda s: s.signed_in(grant, until=NOW + 60))
    assert saved is not None
    assert clear(bench, saved) == [{"revoked": False}]
    assert bench.revocations == 0


# -- from another machine ------------------------------------------------------------


@pytest.mark.requirement("ST-5")
@pytest.mark.parametrize("ahead", [-3600, -5, 0, 5, 3600])
def test_everywhere_with_clocks_that_differ(ahead: int) -> None:
    """A user who is signed out on one machine is so on another, and can sign in again at once,
    whichever clock is ahead."""
    here = Bench()
    there = Bench(store=here.store, clock=Clock(here.clock() + ahead))
    for one, other in ((here, there), (there, here)):
        former = None
        for _ in range(3):
            for bench in (here, there):
                bench.clock.now += 0.001
            session = one.sign_in().session
            assert one.relying_party.presence.grant(session) is not None
            assert other.relying_party.presence.grant(session) is not None
            assert former is None or one.relying_party.presence.grant(former) is None
            other.relying_party.sign_out.everywhere(ISSUER, "auth0|alice")
            former = session
        assert former is not None
        assert other.relying_party.presence.grant(former) is None


def test_refreshed_after_a_sign_out_everywhere(bench: Bench) -> None:
    """A sign-in that came after a mark stays good when it is refreshed, until the next mark."""
    bench.relying_party.sign_out.everywhere(ISSUER, "auth0|alice")
    bench.clock.now += 0.001
    session = bench.sign_in().session
    for _ in range(2):
        grant = bench.relying_party.presence.grant(session)
        assert grant is not None
        session = bench.relying_party.refresh.refresh(session, grant).session
    bench.relying_party.sign_out.everywhere(ISSUER, "auth0|alice")
    assert bench.relying_party.presence.grant(session) is None
