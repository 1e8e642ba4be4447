"""What is kept for one caller."""

from __future__ import annotations

import pytest

from flask_pkce.sessions.session import LOCAL_OWNER, MAX_GRANTS, FlowEntry, Grant, Renewal, Session
from tests.support import ISSUER, NOW


def grant(name: str, **changes: object) -> Grant:
    """A sign-in of that user, with a refresh token called after them."""
    values: dict[str, object] = {
        "claims": {"sub": name},
        "refresh_token": f"refresh-{name}",
        **changes,
    }
    return Grant(id=name[::-1], issuer=ISSUER, scope=("openid",), **values)  # type: ignore[arg-type]


ALICE, BOB = grant("alice"), grant("bob")
EMPTY = Session(id="id", secret_hash="hash", created_at=NOW, signed_in_until=NOW)


def test_session_without_anything() -> None:
    """A new session has nobody signed in, and nothing to live for."""
    assert EMPTY.expires_at == NOW
    assert EMPTY.grant(now=NOW) is None
    assert EMPTY.owner == "id"
    assert not EMPTY.is_local


def test_local_session() -> None:
    """The local session has no secret, and one owner however often it is made."""
    local = Session(id="local-x", secret_hash="", created_at=NOW, signed_in_until=NOW)
    assert local.is_local
    assert local.owner == LOCAL_OWNER


def test_flows() -> None:
    """Flows are listed oldest first; those that ended leave the list with the next."""
    session = EMPTY.with_flow(FlowEntry("a", NOW + 10), now=NOW)
    session = session.with_flow(FlowEntry("b", NOW + 20), now=NOW + 5)
    assert [flow.key for flow in session.flows] == ["a", "b"]
    assert session.expires_at == NOW + 20
    session = session.with_flow(FlowEntry("c", NOW + 30), now=NOW + 10)
    assert [flow.key for flow in session.flows] == ["b", "c"]
    assert [flow.key for flow in session.without_flow("b").flows] == ["c"]
    assert session.without_flow("unknown") == session


def test_sign_in() -> None:
    """A sign-in leaves pointer and flows, and the session lives as long as both."""
    session = EMPTY.with_flow(FlowEntry("a", NOW + 600), now=NOW)
    signed_in = session.signed_in(ALICE, until=NOW + 300)
    assert (signed_in.secret_hash, signed_in.id) == ("hash", "id")
    assert signed_in.flows == session.flows
    assert signed_in.expires_at == NOW + 600
    assert signed_in.grant(now=NOW + 299) == ALICE
    assert signed_in.grant(now=NOW + 300) is None


def test_renewal() -> None:
    """A renewed session opens with another pointer, and is the same for the rest."""
    session = EMPTY.signed_in(ALICE, until=NOW + 300)
    renewed = session.renewed(secret_hash="new", now=NOW + 5)
    assert (renewed.secret_hash, renewed.renewed_at) == ("new", NOW + 5)
    assert (renewed.id, renewed.owner, renewed.grants) == ("id", "id", (ALICE,))


def test_newest_sign_in() -> None:
    """Of several sign-ins the newest says who is signed in."""
    session = EMPTY.signed_in(ALICE, until=NOW + 1)
    session = session.signed_in(BOB, until=NOW + 2)
    current = session.grant(now=NOW)
    assert current is not None
    assert current.subject == "bob"


@pytest.mark.requirement("A0-24")
@pytest.mark.parametrize(
    ("claims", "is_over"),
    [
        ({"session_expiry": NOW}, True),
        ({"session_expiry": NOW - 0.5}, True),
        ({"session_expiry": NOW + 1}, False),
        ({"session_expiry": NOW + 0.5}, False),
        ({"session_expiry": str(NOW)}, False),
        ({"session_expiry": True}, False),
        ({"session_expiry": None}, False),
        ({}, False),
    ],
)
def test_end_that_the_tenant_said(claims: dict[str, object], is_over: bool) -> None:
    """A sign-in ends when the tenant's own session does, if its ID token says when."""
    alice = grant("alice", claims={"sub": "alice", **claims})
    session = EMPTY.signed_in(alice, until=NOW + 60)
    assert session.grant(now=NOW) == (None if is_over else alice)
    assert session.grant_of("refresh-alice", now=NOW) == (None if is_over else alice)


def test_number_of_sign_ins() -> None:
    """A session keeps a bounded number of sign-ins, the newest."""
    session = EMPTY
    for number in range(MAX_GRANTS + 5):
        session = session.signed_in(grant(str(number)), until=NOW + 1)
    assert len(session.grants) == MAX_GRANTS
    assert session.grants[0].subject == "5"


@pytest.mark.parametrize(
    ("token", "found"),
    [
        ("refresh-alice", ALICE),
        ("refresh-bob", BOB),
        ("refresh-carol", None),
        ("", None),
        ("bärtig", None),
    ],
)
def test_sign_in_of_a_refresh_token(token: str, found: Grant | None) -> None:
    """A refresh token names its sign-in, and nothing else does."""
    without = grant("dave", refresh_token=None)
    session = EMPTY
    for each in (without, ALICE, BOB):
        session = session.signed_in(each, until=NOW + 1)
    assert session.grant_of(token, now=NOW) == found
    assert session.grant_of(token, now=NOW + 1) is None


@pytest.mark.requirement("AZ-18")
def test_refreshed_sign_in() -> None:
    """A refreshed sign-in takes the place of the one before; one that is over goes."""
    session = EMPTY
    for each in (ALICE, BOB):
        session = session.signed_in(each, until=NOW + 1)
    renewed = grant("alice", refresh_token="newer")
    assert session.with_grant(ALICE, renewed).grants == (renewed, BOB)
    assert session.with_grant(ALICE, None).grants == (BOB,)
    assert session.with_grant(grant("carol"), None).grants == (ALICE, BOB)


def test_refresh_of_a_sign_in_that_changed() -> None:
    """What came of a refresh does not bring a sign-in back that is over, nor takes the place of
    what another refresh brought."""
    renewed = grant("alice", refresh_token="newer")
    session = EMPTY.signed_in(BOB, until=NOW + 1)
    assert session.with_grant(ALICE, renewed) == session
    other = session.signed_in(grant("alice", refresh_token="of another"), until=NOW + 1)
    assert other.with_grant(ALICE, renewed) == other
    assert other.with_grant(ALICE, None) == other


def test_refresh_token_that_was_used_up() -> None:
    """The refresh token that the last refresh used up still names its sign-in for half a minute,
    whichever way the clock goes."""
    renewal = Renewal(
        at=NOW, access_token="x", expires_at=None, scope=(), audience=None, spent="the-old-one"
    )
    renewed = grant("alice", refresh_token="the-new-one", renewal=renewal)
    session = EMPTY.signed_in(renewed, until=NOW + 1000)
    for token in ("the-old-one", "the-new-one"):
        for moment in (NOW - 29, NOW, NOW + 29):
            assert session.grant_of(token, now=moment) == renewed
    for moment in (NOW - 30, NOW + 30):
        assert session.grant_of("the-old-one", now=moment) is None
    assert "the-old-one" not in repr(renewal)


def test_session_hides_its_secrets() -> None:
    """A session in a log tells neither who signed in nor any token."""
    session = EMPTY.signed_in(ALICE, until=NOW).renewed(secret_hash="the-hash", now=NOW)
    assert not any(word in repr(session) for word in ("alice", "the-hash"))
    assert "alice" not in repr(ALICE)


def test_refreshed_claims() -> None:
    """A refresh tells news of the user, and makes the sign-in no fresher, stronger or longer."""
    before = {"sub": "a", "name": "A", "sid": "s", "auth_time": 1, "session_expiry": 50}
    told = {"sub": "a", "name": "B", "auth_time": 9, "amr": ["mfa"], "session_expiry": 90}
    signed_in = grant("a", claims=before)
    assert signed_in.refreshed_claims(told) == {**before, "name": "B"}
    assert signed_in.refreshed_claims({**before, "session_expiry": 40})["session_expiry"] == 40
    assert grant("a").refreshed_claims({"sub": "a", "org_id": "org_1"}) == {"sub": "a"}
