"""Marks: who was signed out from outside."""

from __future__ import annotations

import pytest

from flask_pkce.relying_party.relying_party import CODECS
from flask_pkce.sessions.encryption import Encryption
from flask_pkce.sessions.records import Records
from flask_pkce.sessions.revocations import Revocations
from flask_pkce.sessions.session import Grant
from tests.support import ISSUER, SECRET_KEY, Clock, MeddledStore


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MeddledStore:
    return MeddledStore(clock)


@pytest.fixture
def revocations(clock: Clock, store: MeddledStore) -> Revocations:
    records = Records(store, Encryption([SECRET_KEY]), CODECS, clock=clock)
    return Revocations(records, namespace="pkce", lifetime=1000, clock=clock)


def grant(clock: Clock, **claims: object) -> Grant:
    """A sign-in of this moment."""
    return Grant(
        id="a",
        issuer=ISSUER,
        claims={"sub": "auth0|alice", **claims},
        scope=("openid",),
        signed_in_at=clock(),
    )


def test_user(revocations: Revocations, clock: Clock) -> None:
    """What was signed in until now is over, what comes later is not."""
    before = revocations.admit(grant(clock))
    assert before is not None
    assert not revocations.is_over(before)
    revocations.revoke_user(ISSUER, "auth0|alice")
    assert revocations.is_over(before)
    after = revocations.admit(grant(clock))
    assert after is not None
    assert not revocations.is_over(after)
    revocations.revoke_user(ISSUER, "auth0|alice")
    assert revocations.is_over(after)
    assert revocations.is_over(before)


@pytest.mark.parametrize(
    ("bound_at", "is_over"),
    [
        pytest.param(-1, True, id="bound before the mark"),
        pytest.param(0, True, id="at the same moment"),
        pytest.param(0.5, False, id="bound after the mark"),
        pytest.param(None, False, id="no exchange"),
    ],
)
def test_user_during_an_exchange(
    bound_at: float | None, is_over: bool, revocations: Revocations, clock: Clock
) -> None:
    """A sign-in is over as it begins if its user was signed out while the code was exchanged."""
    revocations.revoke_user(ISSUER, "auth0|alice")
    at = None if bound_at is None else clock() + bound_at
    clock.now += 1
    assert (revocations.admit(grant(clock), bound_at=at) is None) is is_over


def test_mark_of_a_clock_that_is_ahead(revocations: Revocations, clock: Clock) -> None:
    """A mark from the future keeps nobody from signing in again."""
    clock.now += 3600
    revocations.revoke_user(ISSUER, "auth0|alice")
    clock.now -= 3600
    admitted = revocations.admit(grant(clock), bound_at=clock() - 1)
    assert admitted is not None
    assert not revocations.is_over(admitted)


def test_others(revocations: Revocations, clock: Clock) -> None:
    """Other users, and those of other tenants, are signed in as before."""
    revocations.revoke_user("https://other.example/", "auth0|alice")
    revocations.revoke_user(ISSUER, "auth0|bob")
    assert not revocations.is_over(grant(clock))


def test_session(revocations: Revocations, clock: Clock) -> None:
    """A session at the tenant that ended is over for good."""
    revocations.end_session(ISSUER, "s1")
    clock.now += 10
    assert revocations.is_over(grant(clock, sid="s1"))
    assert revocations.admit(grant(clock, sid="s1")) is None
    assert not revocations.is_over(grant(clock, sid="s2"))
    assert not revocations.is_over(grant(clock, sid=5))


def test_as_long_as_sessions_live(
    revocations: Revocations, clock: Clock, store: MeddledStore
) -> None:
    """A mark lives as long as anything that it ends, and then it is gone."""
    revocations.revoke_user(ISSUER, "auth0|alice")
    clock.now += 1001
    assert [key for key in store._entries if store.get(key)] == []


def test_tokens(revocations: Revocations, clock: Clock) -> None:
    """A token is known once it was noted, for its issuer alone."""
    assert not revocations.is_replayed(ISSUER, "j")
    revocations.remember_jti(ISSUER, "j", expires_at=clock() + 5)
    assert revocations.is_replayed(ISSUER, "j")
    assert not revocations.is_replayed("https://other.example/", "j")


def test_a_mark_that_expires_at_this_moment(
    revocations: Revocations, clock: Clock, store: MeddledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark that is gone between two looks is set anew."""
    revocations.revoke_user(ISSUER, "auth0|alice")
    get = store.get

    def gone(key: str) -> bytes | None:
        monkeypatch.setattr(store, "get", get)
        store.delete(key)
        return None

    monkeypatch.setattr(store, "get", gone)
    revocations.revoke_user(ISSUER, "auth0|alice")
    assert revocations.is_over(grant(clock))
