"""What we know of the tenant: cached, one fetch at a time, and kept while fetching fails."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Barrier, Event
from typing import Any

import pytest
import requests_mock

from flask_pkce.errors import (
    IDTokenInvalid,
    PKCEError,
    TenantBusy,
    TenantError,
    TenantLimit,
    TenantMisconfigured,
    TenantUnreachable,
)
from flask_pkce.protocol.id_token import Expectation, UnknownKey
from flask_pkce.tenant import cache as tenant_cache
from flask_pkce.tenant.api import TenantAPI
from flask_pkce.tenant.cache import COOLDOWN, FAILED, FRESH, STALE, Cached, Tenant
from flask_pkce.tenant.transport import Transport
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
        self.cached: Cached[str] = Cached(
            self.fetch, waiting=self.waiting, host="tenant.example", clock=self.clock
        )
        self.meanwhile: Callable[[], object] = lambda: None
        #: How many threads waited for another's fetch.
        self.waits = 0
        #: Set once as many threads wait as ``expected`` says.
        self.all_wait = Event()
        self.expected = 0

    def fetch(self) -> str:
        self.fetches += 1
        number = self.fetches
        self.meanwhile()
        if self.error is not None:
            raise self.error
        return f"document {number}"

    @contextmanager
    def waiting(self) -> Iterator[None]:
        self.waits += 1
        if self.waits == self.expected:
            self.all_wait.set()
        yield

    def fetch_while_others_wait(self, others: int) -> None:
        """Let a fetch last until so many other threads wait for it."""
        self.expected = others
        self.meanwhile = lambda: self.all_wait.wait(10)


@pytest.fixture
def source() -> Source:
    return Source()


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


@pytest.mark.requirement("T23")
def test_failure_without_a_document(source: Source) -> None:
    """While there is nothing to serve, a failure is remembered for a moment, then one tries."""
    source.error = TenantUnreachable()
    for _ in range(3):
        with pytest.raises(TenantUnreachable):
            source.cached.get()
    assert source.fetches == 1
    source.clock.now += FAILED - 0.1
    with pytest.raises(TenantUnreachable):
        source.cached.get()
    assert source.fetches == 1
    source.clock.now += 0.1
    source.error = None
    assert source.cached.get() == "document 2"


def test_failure_is_each_callers_own(source: Source) -> None:
    """Of one failure each caller raises an error of its own, which says the same."""
    source.error = TenantLimit(
        "Too many.", hint="Wait.", retry_after=7, host="a.example", setting="PKCE_X"
    )
    caught = []
    for number in range(3):
        with pytest.raises(TenantLimit) as raised:
            source.cached.get()
        caught.append(raised.value)
        # As a hook of the host may do.
        raised.value.add_note(f"request {number}")
    assert len({id(error) for error in caught}) == 3
    for number, error in enumerate(caught):
        assert vars(error) == {
            "detail": "Too many.",
            "field": None,
            "hint": "Wait.",
            "retry_after": 7,
            "host": "a.example",
            "setting": "PKCE_X",
            "__notes__": [f"request {number}"],
        }
        assert str(error) == "Too many."


@pytest.mark.requirement("UP-13")
def test_busy_is_no_failure(source: Source, caplog: pytest.LogCaptureFixture) -> None:
    """Where the tenant was not asked, the next caller may ask at once, and nothing is logged."""
    source.error = TenantBusy()
    with pytest.raises(TenantBusy):
        source.cached.get()
    source.error = None
    assert source.cached.get() == "document 2"
    source.clock.now += FRESH
    source.error = TenantBusy()
    assert source.cached.get() == "document 2"
    seen = source.cached.get()
    with pytest.raises(TenantBusy):
        source.cached.renew(seen)
    source.error = None
    assert source.cached.renew(seen) == "document 6"
    assert not caplog.records


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
    source.fetch_while_others_wait(count - 1)
    assert at_once(lambda _: source.cached.get(), count) == ["document 1"] * count
    assert source.fetches == 1
    assert source.waits == count - 1


def test_one_failure_for_those_who_wait(source: Source) -> None:
    """Threads that waited for a fetch that failed raise its error, and do not try in turn."""
    count = 6
    source.error = TenantUnreachable()
    source.fetch_while_others_wait(count - 1)
    errors = at_once(lambda _: source.cached.get(), count)
    assert {type(error) for error in errors} == {TenantUnreachable}
    assert len({id(error) for error in errors}) == count
    assert source.fetches == 1


@pytest.mark.requirement("UP-13")
@pytest.mark.parametrize("asks_for", ["get", "renew"])
def test_wait_is_bounded(asks_for: str, source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thread waits a moment for another's fetch, and not until that ends."""
    monkeypatch.setattr(tenant_cache, "MAX_WAIT", 0.05)
    fetching, refused = Event(), Event()

    def meanwhile() -> None:
        fetching.set()
        assert refused.wait(10)

    source.meanwhile = meanwhile

    def run(number: int) -> str | None:
        if number == 0:
            return source.cached.get()
        fetching.wait(10)
        try:
            return source.cached.get() if asks_for == "get" else source.cached.renew("old")
        finally:
            refused.set()

    first, second = at_once(run, 2)
    assert first == "document 1"
    assert isinstance(second, TenantBusy)
    assert (second.status, second.retry_after, second.host) == (503, 1, "tenant.example")
    assert source.cached.get() == "document 1"


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


@pytest.mark.requirement("N73", "T23")
def test_renew_for_an_unverified_token(source: Source) -> None:
    """A token that anybody may have made uses up no renewal but those of its kind."""
    first = source.cached.get()
    second = source.cached.renew(first, is_unverified=True)
    assert second == "document 2"
    assert source.cached.renew(second, is_unverified=True) is None
    third = source.cached.renew(second)
    assert third == "document 3"
    assert source.cached.renew(third) is None
    assert source.cached.renew(third, is_unverified=True) is None
    source.clock.now += COOLDOWN
    assert source.cached.renew(third, is_unverified=True) == "document 4"


@pytest.mark.requirement("UP-13", "T23")
@pytest.mark.parametrize("is_first", [True, False])
def test_unverified_token_does_not_wait(is_first: bool, source: Source) -> None:
    """While another thread fetches, a token that anybody may have made is refused at once."""
    seen = "" if is_first else source.cached.get()
    refused = []

    def ask() -> str | None:
        if is_first:
            return source.cached.get(is_unverified=True)
        return source.cached.renew(seen, is_unverified=True)

    def meanwhile() -> None:
        with pytest.raises(TenantBusy) as caught:
            ask()
        refused.append(caught.value)

    source.meanwhile = meanwhile
    assert source.cached.renew(seen) == f"document {source.fetches}"
    assert [(exc.status, exc.retry_after) for exc in refused] == [(503, 1)]
    assert source.waits == 0


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
        self.tenant = Tenant(REGISTRATION, TenantAPI(transport), clock=self.clock)
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
