"""What we know of the tenant: cached, one fetch at a time, and kept while fetching fails."""

from __future__ import annotations

import logging
from collections.abc import Callable
from threading import Barrier, Event, Lock
from typing import Any

import pytest
import requests_mock

from flask_pkce.errors import (
    IDTokenInvalid,
    PKCEError,
    TenantError,
    TenantLimit,
    TenantMisconfigured,
    TenantUnreachable,
)
from flask_pkce.protocol.id_token import Expectation, UnknownKey
from flask_pkce.tenant_api import TenantAPI
from flask_pkce.tenant_cache import COOLDOWN, FRESH, STALE, Cached, KnownTenant
from flask_pkce.transport import Transport
from tests.support import (
    CLIENT_ID,
    ISSUER,
    NOW,
    REGISTRATION,
    Clock,
    at_once,
    id_claims,
    jwk,
    make_tenant,
    metadata,
    rsa_key,
    sign,
)


class Source:
    """A document that is fetched: each time another one, unless fetching fails."""

    def __init__(self) -> None:
        self.clock = Clock(1000)
        self.fetches = 0
        self.error: PKCEError | None = None
        self.cached: Cached[str] = Cached(self.fetch, clock=self.clock)
        self.meanwhile: Callable[[], object] = lambda: None

    def fetch(self) -> str:
        self.fetches += 1
        number = self.fetches
        self.meanwhile()
        if self.error is not None:
            raise self.error
        return f"document {number}"


@pytest.fixture
def source() -> Source:
    return Source()


class Arrivals:
    """Stands before the lock of a cache, and counts who came to it."""

    def __init__(self, cached: Cached[str], count: int) -> None:
        self._lock: Any = cached._lock
        self._counting = Lock()
        self._left = count
        self._all = Event()
        cached._lock = self  # type: ignore[assignment]

    def __enter__(self) -> None:
        with self._counting:
            self._left -= 1
            if self._left == 0:
                self._all.set()
        self._lock.acquire()

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def wait_for_all(self) -> None:
        """Wait until everybody has the lock or waits for it."""
        assert self._all.wait(10)


# -- one document ------------------------------------------------------------------


@pytest.mark.requirement("MD-5")
def test_fresh(source: Source) -> None:
    """A document is fetched once, and is fresh for ten minutes."""
    assert source.cached.get() == "document 1"
    source.clock.now += FRESH - 0.1
    assert source.cached.get() == "document 1"
    assert source.fetches == 1


@pytest.mark.requirement("MD-5")
def test_refreshed(source: Source) -> None:
    """After ten minutes it is fetched again, and fresh again."""
    source.cached.get()
    source.clock.now += FRESH
    assert source.cached.get() == "document 2"
    source.clock.now += FRESH - 0.1
    assert source.cached.get() == "document 2"


@pytest.mark.requirement("MD-5", "N77")
@pytest.mark.parametrize(
    "error", [TenantUnreachable(), TenantError(), TenantLimit(), TenantMisconfigured("x")]
)
def test_stale_while_fetching_fails(
    source: Source, error: PKCEError, caplog: pytest.LogCaptureFixture
) -> None:
    """While it cannot be fetched, what there is serves for a day (N77)."""
    source.cached.get()
    source.error = error
    source.clock.now += FRESH
    with caplog.at_level(logging.WARNING, "flask_pkce.tenants"):
        assert source.cached.get() == "document 1"
    assert [record.message for record in caplog.records] == [
        f"tenant-refresh-failed: {error.code}, going on with what there is"
    ]
    source.clock.now = 1000 + STALE - 0.1
    assert source.cached.get() == "document 1"
    source.clock.now = 1000 + STALE
    with pytest.raises(type(error)):
        source.cached.get()


@pytest.mark.requirement("MD-5", "T23")
def test_cooldown_after_a_failure(source: Source) -> None:
    """A tenant that fails is asked every half minute, not by every caller."""
    source.cached.get()
    source.error = TenantUnreachable()
    source.clock.now += FRESH
    for _ in range(10):
        source.cached.get()
    assert source.fetches == 2
    source.clock.now += COOLDOWN - 0.1
    source.cached.get()
    assert source.fetches == 2
    source.clock.now += 0.1
    source.error = None
    assert source.cached.get() == "document 3"


def test_no_cooldown_without_a_document(source: Source) -> None:
    """While there is nothing to serve, each caller tries."""
    source.error = TenantUnreachable()
    for _ in range(3):
        with pytest.raises(TenantUnreachable):
            source.cached.get()
    assert source.fetches == 3
    source.error = None
    assert source.cached.get() == "document 4"


def test_clock_that_began_at_zero() -> None:
    """A machine that was just started has an empty cache too."""
    source = Source()
    source.clock.now = 0.0
    assert source.cached.get() == "document 1"
    assert source.cached.get() == "document 1"


# -- many at once ------------------------------------------------------------------


@pytest.mark.requirement("MD-5")
def test_one_fetch_for_many(source: Source) -> None:
    """However many ask at first, one fetches, and all who waited get it."""
    count = 6
    source.meanwhile = Arrivals(source.cached, count).wait_for_all
    assert at_once(lambda _: source.cached.get(), count) == ["document 1"] * count
    assert source.fetches == 1


def test_one_failure_for_those_who_wait(source: Source) -> None:
    """Who waited for a fetch that failed hears of it, and does not try in turn."""
    count = 6
    source.error = TenantUnreachable()
    source.meanwhile = Arrivals(source.cached, count).wait_for_all
    assert at_once(lambda _: source.cached.get(), count) == [source.error] * count
    assert source.fetches == 1


def test_stale_while_somebody_fetches(source: Source) -> None:
    """While one thread fetches anew, the others go on with what there is."""
    source.cached.get()
    source.clock.now += FRESH
    fetching, served = Barrier(2), Event()

    def meanwhile() -> None:
        fetching.wait(10)
        assert served.wait(10)

    source.meanwhile = meanwhile

    def ask(number: int) -> str:
        if number == 0:
            return source.cached.get()
        fetching.wait(10)
        try:
            return source.cached.get()
        finally:
            served.set()

    assert at_once(ask, 2) == ["document 2", "document 1"]


# -- fetched again because it does not do ------------------------------------------


def test_renew(source: Source) -> None:
    """A document that does not do is fetched again, once in half a minute."""
    second = source.cached.renew(source.cached.get())
    assert second == "document 2"
    assert source.cached.renew(second) is None
    source.clock.now += COOLDOWN - 0.1
    assert source.cached.renew(second) is None
    source.clock.now += 0.1
    assert source.cached.renew(second) == "document 3"


def test_renew_what_somebody_renewed(source: Source) -> None:
    """Who saw the old document gets the new one, without another fetch."""
    first = source.cached.get()
    source.cached.renew(first)
    assert source.cached.renew(first) == "document 2"
    assert source.fetches == 2


@pytest.mark.requirement("N73", "T23")
def test_renew_at_once(source: Source) -> None:
    """However many find a document wanting, one fetches, and all get it (N73)."""
    first = source.cached.get()
    assert at_once(lambda _: source.cached.renew(first), 8) == ["document 2"] * 8
    assert source.fetches == 2


def test_renew_in_vain(source: Source) -> None:
    """A fetch that failed counts as tried."""
    first = source.cached.get()
    source.error = TenantUnreachable()
    with pytest.raises(TenantUnreachable):
        source.cached.renew(first)
    assert source.cached.renew(first) is None
    assert source.fetches == 2
    assert source.cached.get() == "document 1"


def test_renew_before_anything_was_fetched(source: Source) -> None:
    """Where there is nothing, it is fetched."""
    assert source.cached.renew("something else") == "document 1"


# -- the tenant --------------------------------------------------------------------

JSON = {"Content-Type": "application/json"}
EXPECTED = Expectation(
    issuer=ISSUER, client_id=CLIENT_ID, algorithms=("RS256",), leeway=60, nonce="the-nonce"
)
FIRST = jwk(rsa_key(), kid="first")
SECOND = jwk(rsa_key("second"), kid="second")


class World:
    """A tenant that answers by requests-mock."""

    def __init__(self, mocker: requests_mock.Mocker, transport: Transport) -> None:
        self.clock = Clock(1000)
        self.mocker = mocker
        self.tenant = KnownTenant(REGISTRATION, TenantAPI(transport), clock=self.clock)
        mocker.get(REGISTRATION.discovery_url, json=metadata(), headers=JSON)
        self.publish(FIRST)

    def publish(self, *keys: dict[str, Any]) -> None:
        """Let the tenant publish these keys."""
        self.keys = self.mocker.get(
            make_tenant().jwks_uri, json={"keys": list(keys)}, headers=JSON
        )

    def verify(self, token: str) -> dict[str, object]:
        """Verify an ID token with the tenant's keys."""
        return self.tenant.verify(token, EXPECTED, access_token="x", now=NOW)


@pytest.fixture
def world() -> Any:
    transport = Transport(timeout=5)
    with requests_mock.Mocker(session=transport.session) as mocker:
        yield World(mocker, transport)


def test_tenant(world: World) -> None:
    """The tenant is known after one fetch of its metadata, and of its keys."""
    for _ in range(3):
        assert world.tenant.get() == make_tenant()
        (key,) = world.tenant.keys()
        assert key.kid == "first"
    assert world.mocker.call_count == 2


def test_verify(world: World) -> None:
    """An ID token is verified with the keys that are known."""
    assert world.verify(sign(id_claims()))["sub"] == "auth0|alice"
    world.verify(sign(id_claims()))
    assert world.keys.call_count == 1


@pytest.mark.requirement("MD-8", "N74")
def test_key_that_is_new(world: World) -> None:
    """A token of a key that is new is verified after one more fetch (N74)."""
    world.verify(sign(id_claims()))
    world.publish(FIRST, SECOND)
    token = sign(id_claims(), rsa_key("second"), kid="second")
    assert world.verify(token)["sub"] == "auth0|alice"
    world.verify(token)
    assert world.keys.call_count == 1


@pytest.mark.requirement("MD-8", "N73", "T23")
def test_storm_of_unknown_keys(world: World) -> None:
    """Tokens with made-up keys make us ask once in half a minute (N73)."""
    world.verify(sign(id_claims()))
    before = world.keys.call_count
    for number in range(50):
        with pytest.raises(UnknownKey):
            world.verify(sign(id_claims(), kid=f"made up {number}"))
    assert world.keys.call_count == before + 1
    world.clock.now += COOLDOWN
    with pytest.raises(UnknownKey):
        world.verify(sign(id_claims(), kid="made up"))
    assert world.keys.call_count == before + 2


def test_token_that_does_not_verify(world: World) -> None:
    """A token of a known key that does not verify asks for nothing."""
    with pytest.raises(IDTokenInvalid):
        world.verify(sign(id_claims(), rsa_key("second")))
    assert world.keys.call_count == 1


@pytest.mark.requirement("N77", "T23")
def test_keys_that_cannot_be_had(world: World) -> None:
    """Known keys serve while the tenant's are down; without any, that is the error (N77)."""
    world.verify(sign(id_claims()))
    world.mocker.get(make_tenant().jwks_uri, status_code=500)
    world.clock.now += FRESH
    assert world.verify(sign(id_claims()))
    world.clock.now += STALE
    with pytest.raises(TenantError, match="answered 500"):
        world.verify(sign(id_claims()))
