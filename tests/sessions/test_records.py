"""Values in a store: versioned, sealed, compared before they are replaced."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from flask_pkce.errors import CodeSpent, RecordUnreadable
from flask_pkce.protocol.authorization import AuthorizationRequest, CallbackParameters
from flask_pkce.relying_party.relying_party import CODECS
from flask_pkce.sessions.encryption import Encryption
from flask_pkce.sessions.flow import Failure, start_flow
from flask_pkce.sessions.pending_callbacks import PendingCallback
from flask_pkce.sessions.records import Records, Stored, build_codecs
from flask_pkce.sessions.session import FlowEntry, Grant, Renewal, Session
from flask_pkce.stores import MemoryStore
from tests.support import CHALLENGE, EXPECTED, NOW, SECRET_KEY, Clock, at_once


@dataclass(frozen=True)
class Mark:
    """What a value has inside."""

    colour: str = "red"
    words: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Note:
    """Some value."""

    text: str
    number: int = 0
    mark: Mark | None = None
    marks: tuple[Mark, ...] = ()


class Desk:
    """Records on a store, all by one clock."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.store = MemoryStore(clock=self.clock)
        self.sealing = Encryption([SECRET_KEY])
        self.records = Records(self.store, self.sealing, build_codecs(Note), clock=self.clock)

    def add(self, text: str = "note") -> Stored[Note]:
        held = self.records.add("key", Note(text), expires_at=NOW + 60)
        assert held is not None
        return held


@pytest.fixture
def desk() -> Desk:
    return Desk()


def test_there_and_back(desk: Desk) -> None:
    """A value comes back as it was saved, and nothing of it shows."""
    held = desk.add("a secret")
    assert desk.records.get("key", Note) == held
    assert b"secret" not in (desk.store.get("key") or b"")
    assert str(held.raw) not in repr(held)
    assert desk.records.get("other", Note) is None


def test_add_where_there_is_one(desk: Desk) -> None:
    """Adding never replaces."""
    desk.add("first")
    assert desk.records.add("key", Note("second"), expires_at=NOW + 60) is None
    assert desk.records.take("key", Note) == Note("first")


def test_replace(desk: Desk) -> None:
    """A value is replaced if it is as it was read, and not otherwise."""
    held = desk.add("first")
    second = desk.records.replace(held, Note("second"), expires_at=NOW + 60)
    assert second is not None
    assert desk.records.replace(held, Note("third"), expires_at=NOW + 60) is None
    assert desk.records.get("key", Note) == second


@pytest.mark.requirement("ST-4")
def test_replace_at_once(desk: Desk) -> None:
    """Of many who replace the same value one succeeds."""
    held = desk.add()

    def change(number: int) -> Stored[Note] | None:
        return desk.records.replace(held, Note("changed", number), expires_at=NOW + 60)

    saved = [result for result in at_once(change, 8) if result is not None]
    assert saved == [desk.records.get("key", Note)]


def test_take(desk: Desk) -> None:
    """A value is taken once."""
    desk.add()
    assert desk.records.take("key", Note) == Note("note")
    assert desk.records.take("key", Note) is None


def test_delete(desk: Desk) -> None:
    """A value that was deleted is gone; deleting nothing is nothing."""
    desk.add()
    desk.records.delete("key")
    desk.records.delete("key")
    assert desk.records.get("key", Note) is None


def test_end_of_life(desk: Desk) -> None:
    """A value lives until the moment that was given."""
    held = desk.add()
    desk.clock.now = NOW + 59.9
    assert desk.records.get("key", Note) == held
    desk.clock.now = NOW + 60
    assert desk.records.get("key", Note) is None


def test_end_of_life_that_is_past(desk: Desk) -> None:
    """A value whose time is over already is kept for a second, and never refused by a store."""
    assert desk.records.add("key", Note("late"), expires_at=NOW - 5) is not None
    desk.clock.now = NOW + 1
    assert desk.records.get("key", Note) is None


def test_wait_for_nothing(desk: Desk) -> None:
    """When the time is over, the value is as it was."""
    held = desk.add()
    assert desk.records.wait(held, seconds=0) is held


def test_wait_for_a_change(desk: Desk) -> None:
    """A value that was changed is read anew."""
    held = desk.add("first")
    changed = desk.records.replace(held, Note("second"), expires_at=NOW + 60)
    assert desk.records.wait(held, seconds=10) == changed


def test_wait_for_the_end(desk: Desk) -> None:
    """A value that is gone is told at once."""
    held = desk.add()
    desk.records.delete("key")
    assert desk.records.wait(held, seconds=10) is None


@pytest.mark.requirement("ST-6")
@pytest.mark.parametrize(
    "value",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b'2{"text": "x"}', id="version of a later release"),
        pytest.param(b"1{", id="cut off"),
        pytest.param(b'1{"number": 5}', id="member missing"),
        pytest.param(b'1{"text": 5}', id="member of another kind"),
        pytest.param(b"1[]", id="no object"),
    ],
)
def test_value_of_another_release(desk: Desk, value: bytes) -> None:
    """A value that this release cannot read is reported, never taken for none."""
    desk.store.add("key", desk.sealing.seal(value, key="key"), 60)
    with pytest.raises(RecordUnreadable, match="another release") as caught:
        desk.records.get("key", Note)
    assert caught.value.__cause__ is None
    with pytest.raises(RecordUnreadable):
        desk.records.take("key", Note)


@pytest.mark.requirement("ST-6")
def test_member_of_a_later_release(desk: Desk) -> None:
    """A member that a later release added is ignored."""
    value = b'1{"text": "x", "colour": "red"}'
    desk.store.add("key", desk.sealing.seal(value, key="key"), 60)
    assert desk.records.take("key", Note) == Note("x")


@pytest.mark.parametrize(
    ("note", "written"),
    [
        (Note("x"), b'1{"text":"x"}'),
        (Note("", number=5), b'1{"text":"","number":5}'),
        (Note("x", mark=Mark()), b'1{"text":"x","mark":{}}'),
        (
            Note("x", mark=Mark("blue", {"a": ""})),
            b'1{"text":"x","mark":{"colour":"blue","words":{"a":""}}}',
        ),
        (Note("x", marks=(Mark(), Mark("blue"))), b'1{"text":"x","marks":[{},{"colour":"blue"}]}'),
    ],
)
def test_default_is_left_out(desk: Desk, note: Note, written: bytes) -> None:
    """What a member has by default is not written, at any depth, and read all the same."""
    held = desk.records.add("key", note, expires_at=NOW + 60)
    assert held is not None
    assert desk.sealing.unseal(held.raw, key="key") == written
    assert desk.records.take("key", Note) == note


_REQUEST = AuthorizationRequest(
    client_id="local-client",
    redirect_uri="https://app.example/pkce/response/code",
    scope=("openid",),
    state="state",
    nonce="nonce",
    code_challenge=CHALLENGE,
)
_FLOW = start_flow(state="state", nonce="nonce", randomness=bytes(32), now=NOW, lifetime=60)
_SENT = _FLOW.send(
    _REQUEST.replace(prompt="login", additional={"ext-a": "1"}),
    expected=EXPECTED,
    requested={"prompt": "none"},
    return_to="/",
    schema={"migration": 1},
)
_GRANT = Grant(
    id="grant", issuer="https://tenant.example/", claims={"sub": "a", "x": None}, scope=()
)
_RENEWAL = Renewal(at=NOW, access_token="token", expires_at=None, scope=("a",), audience=None)
_SESSION = Session(
    id="id", secret_hash="", created_at=NOW, signed_in_until=NOW, flows=(FlowEntry("f", NOW),)
)


@pytest.mark.requirement("ST-6")
@pytest.mark.parametrize(
    "value",
    [
        _FLOW,
        _FLOW.send(_REQUEST, expected=EXPECTED, requested={}, return_to=None, schema=None),
        _SENT,
        _SENT.fail(CodeSpent(), answered_at=NOW),
        _SESSION,
        _SESSION.signed_in(_GRANT, until=NOW + 60),
        _SESSION.signed_in(dataclasses.replace(_GRANT, renewal=_RENEWAL), until=NOW + 60),
        PendingCallback(answer=CallbackParameters(state="state")),
        PendingCallback(
            answer=CallbackParameters(state="state", code="code", iss="https://tenant.example/")
        ),
        PendingCallback(answer=CallbackParameters(state="state"), failure=Failure.of(CodeSpent())),
    ],
)
def test_record_of_a_former_release(value: Any) -> None:
    """What is kept comes back as it was, also from records that have every member.

    Nor does a former release, which fills in the same defaults, take ours for another value.
    """
    records = Records(MemoryStore(), Encryption([SECRET_KEY]), CODECS, clock=lambda: NOW)
    saved = records.add("lean", value, expires_at=NOW + 60)
    assert saved is not None
    assert records.get("lean", type(value)) == saved
    full = Encryption([SECRET_KEY]).seal(b"1" + msgspec.json.encode(value), key="full")
    assert len(saved.raw) < len(full)
    records._store.add("full", full, 60)
    assert records.take("full", type(value)) == value
