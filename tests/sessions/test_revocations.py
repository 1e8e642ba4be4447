"""Marks: who was signed out from outside."""

from __future__ import annotations

import pytest

from flask_pkce.relying_party.relying_party import CODECS
from flask_pkce.sessions.encryption import Sealing
from flask_pkce.sessions.records import Records
from flask_pkce.sessions.revocations import Marks
from flask_pkce.sessions.session import Grant
from tests.support import ISSUER, SECRET_KEY, Clock, MeddledStore


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> MeddledStore:
    return MeddledStore(clock)


@pytest.fixture
def marks(clock: Clock, store: MeddledStore) -> Marks:
    records = Records(store, Sealing([SECRET_KEY]), CODECS, clock=clock)
    return Marks(records, namespace="pkce", lifetime=1000, clock=clock)


def grant(clock: Clock, **claims: object) -> Grant:
    """A sign-in of this moment."""
    return Grant(
        id="a",
        issuer=ISSUER,
        claims={"sub": "auth0|alice", **claims},
        scope=("openid",),
        signed_in_at=clock(),
    )


def test_user(marks: Marks, clock: Clock) -> None:
    """What was signed in until now is over, what comes later is not."""
    before = marks.admit(grant(clock))
    assert before is not None
    assert not marks.is_over(before)
    marks.end_user(ISSUER, "auth0|alice")
    assert marks.is_over(before)
    after = marks.admit(grant(clock))
    assert after is not None
    assert not marks.is_over(after)
    marks.end_user(ISSUER, "auth0|alice")
    assert marks.is_over(after)
    assert marks.is_over(before)


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
    bound_at: float | None, is_over: bool, marks: Marks, clock: Clock
) -> None:
    """A sign-in is over as it begins if its user was signed out while the code was exchanged."""
    marks.end_user(ISSUER, "auth0|alice")
    at = None if bound_at is None else clock() + bound_at
    clock.now += 1
    assert (marks.admit(grant(clock), bound_at=at) is None) is is_over


def test_mark_of_a_clock_that_is_ahead(marks: Marks, clock: Clock) -> None:
    """A mark from the future keeps nobody from signing in again."""
    clock.now += 3600
    marks.end_user(ISSUER, "auth0|alice")
    clock.now -= 3600
    admitted = marks.admit(grant(clock), bound_at=clock() - 1)
    assert admitted is not None
    assert not marks.is_over(admitted)


def test_others(marks: Marks, clock: Clock) -> None:
    """Other users, and those of other tenants, are signed in as before."""
    marks.end_user("https://other.example/", "auth0|alice")
    marks.end_user(ISSUER, "auth0|bob")
    assert not marks.is_over(grant(clock))


def test_session(marks: Marks, clock: Clock) -> None:
    """A session at the tenant that ended is over for good."""
    marks.end_session(ISSUER, "s1")
    clock.now += 10
    assert marks.is_over(grant(clock, sid="s1"))
    assert marks.admit(grant(clock, sid="s1")) is None
    assert not marks.is_over(grant(clock, sid="s2"))
    assert not marks.is_over(grant(clock, sid=5))


def test_as_long_as_sessions_live(marks: Marks, clock: Clock, store: MeddledStore) -> None:
    """A mark lives as long as anything that it ends, and then it is gone."""
    marks.end_user(ISSUER, "auth0|alice")
    clock.now += 1001
    assert [key for key in store._entries if store.get(key)] == []


def test_tokens(marks: Marks, clock: Clock) -> None:
    """A token is known once it was noted, for its issuer alone."""
    assert not marks.has_seen(ISSUER, "j")
    marks.note(ISSUER, "j", expires_at=clock() + 5)
    assert marks.has_seen(ISSUER, "j")
    assert not marks.has_seen("https://other.example/", "j")


def test_a_mark_that_expires_at_this_moment(
    marks: Marks, clock: Clock, store: MeddledStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mark that is gone between two looks is set anew."""
    marks.end_user(ISSUER, "auth0|alice")
    get = store.get

    def gone(key: str) -> bytes | None:
        monkeypatch.setattr(store, "get", get)
        store.delete(key)
        return None

    monkeypatch.setattr(store, "get", gone)
    marks.end_user(ISSUER, "auth0|alice")
    assert marks.is_over(grant(clock))
