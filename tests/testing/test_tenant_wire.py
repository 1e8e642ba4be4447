"""The faults of a connection, for a client that is bounded: in process, and on a socket."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
import requests

from flask_pkce.errors import TenantError, TenantSilent, TenantUnreachable
from flask_pkce.tenant.transport import Transport
from flask_pkce.testing import LocalTenant
from flask_pkce.testing.tenant.keys import SigningKeys

SECONDS = 0.3


@pytest.fixture(params=["in process", "on a socket"])
def tenant(request: pytest.FixtureRequest, signing_keys: SigningKeys) -> Iterator[LocalTenant]:
    tenant = LocalTenant()
    tenant._provider.keys._keys = signing_keys._keys
    if request.param == "in process":
        yield tenant
    else:
        with tenant:
            yield tenant


@pytest.fixture
def transport(tenant: LocalTenant) -> Transport:
    transport = Transport(timeout=SECONDS)
    if tenant.issuer.startswith("https:"):
        tenant.mount(transport.session)
    return transport


def ask_for_tokens(transport: Transport, tenant: LocalTenant) -> None:
    transport.post(f"{tenant.issuer}oauth/token", {"grant_type": "authorization_code"})


@pytest.mark.parametrize(
    ("fault", "arrived"),
    [("dropped-before-request", 0), ("dropped-after-request", 1), ("silent", 1)],
)
def test_no_answer(fault: str, arrived: int, tenant: LocalTenant, transport: Transport) -> None:
    """A connection that drops, or stays silent, does not tell whether the request arrived."""
    tenant.faults = {fault}
    with pytest.raises(TenantSilent):
        ask_for_tokens(transport, tenant)
    assert tenant.count("POST", "/oauth/token") == arrived
    tenant.faults.clear()
    ask_for_tokens(transport, tenant)
    assert tenant.count("POST", "/oauth/token") == arrived + 1


def test_nobody_listens(tenant: LocalTenant, transport: Transport) -> None:
    """Nobody listens: in process by the fault, on a socket where the tenant was stopped."""
    tenant.faults = {"unreachable"}
    tenant.stop()
    with pytest.raises(TenantUnreachable):
        ask_for_tokens(transport, tenant)
    assert tenant.requests == ()


@pytest.mark.parametrize("path", ["openid-configuration", "jwks.json"])
@pytest.mark.parametrize(
    ("suffix", "error", "told"),
    [
        ("slow-drip", TenantSilent, "in time"),
        ("cut-off", TenantSilent, "in time"),
        ("endless-body", TenantError, "too large"),
        ("gzip-bomb", TenantError, "compressed"),
    ],
)
def test_answer_without_an_end(
    suffix: str,
    error: type[TenantError],
    told: str,
    path: str,
    tenant: LocalTenant,
    transport: Transport,
) -> None:
    """An answer that is slow, cut off, or too much, ends in time."""
    tenant.faults = {f"{name}-{suffix}" for name in ("metadata", "jwks")}
    begun = time.monotonic()
    with pytest.raises(error, match=told):
        transport.get(f"{tenant.issuer}.well-known/{path}")
    assert time.monotonic() - begun < SECONDS + 2


def test_stopped_while_somebody_waits() -> None:
    """A tenant that is silent stops nevertheless, and its callers hear that it is gone."""
    tenant = LocalTenant(faults=["silent"]).start()
    with pytest.raises(requests.ReadTimeout):
        requests.get(f"{tenant.issuer}userinfo", timeout=0.1)
    begun = time.monotonic()
    tenant.stop()
    assert time.monotonic() - begun < 2


def test_requests_without_a_deadline(signing_keys: SigningKeys) -> None:
    """Who gives no timeout, or one for each of two things, waits as long as it takes."""
    tenant = LocalTenant()
    tenant._provider.keys._keys = signing_keys._keys
    session = tenant.mount(requests.Session())
    for timeout in (None, (5, 5), 5):
        assert session.get(f"{tenant.issuer}userinfo", timeout=timeout).status_code == 401
