"""What a store keeps can be read by us alone, and only where we put it."""

from __future__ import annotations

import pytest

from flask_pkce.errors import RecordUnreadable
from flask_pkce.sessions.encryption import Encryption

KEY, OLD_KEY, OTHER_KEY = b"the key" * 5, b"the old key" * 5, b"another key" * 5


@pytest.fixture
def sealing() -> Encryption:
    return Encryption([KEY])


@pytest.mark.parametrize("value", [b"", b"value", bytes(range(256)), b"x" * 100_000])
def test_there_and_back(sealing: Encryption, value: bytes) -> None:
    """What is sealed for a place opens at that place."""
    sealed = sealing.seal(value, key="place")
    assert sealing.unseal(sealed, key="place") == value
    assert Encryption([KEY]).unseal(sealed, key="place") == value


@pytest.mark.requirement("ST-3", "T28")
def test_nothing_shows(sealing: Encryption) -> None:
    """The store sees nothing of a value, and never the same bytes twice."""
    sealed = sealing.seal(b"a secret value", key="place")
    assert b"secret" not in sealed
    assert len(sealed) == 1 + 4 + 12 + len(b"a secret value") + 16
    assert sealed != sealing.seal(b"a secret value", key="place")
    assert KEY not in sealed


@pytest.mark.requirement("ST-3")
def test_bound_to_its_place(sealing: Encryption) -> None:
    """A value that is moved to another key of the store is refused."""
    sealed = sealing.seal(b"value", key="pkce:f:one")
    with pytest.raises(RecordUnreadable, match="changed in the store"):
        sealing.unseal(sealed, key="pkce:f:two")


@pytest.mark.parametrize("position", [5, 16, 17, -1], ids=["nonce", "end of nonce", "text", "tag"])
def test_tampering(sealing: Encryption, position: int) -> None:
    """One bit that was changed is noticed."""
    sealed = bytearray(sealing.seal(b"value", key="place"))
    sealed[position] ^= 1
    with pytest.raises(RecordUnreadable, match="changed in the store"):
        sealing.unseal(bytes(sealed), key="place")


@pytest.mark.parametrize("length", [18, 20, 33], ids=["one byte", "three bytes", "short tag"])
def test_cut_off(sealing: Encryption, length: int) -> None:
    """A value that was cut off is noticed."""
    sealed = sealing.seal(b"value", key="place")
    with pytest.raises(RecordUnreadable):
        sealing.unseal(sealed[:length], key="place")


@pytest.mark.requirement("ST-6")
@pytest.mark.parametrize(
    "sealed",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"{}", id="plain JSON"),
        pytest.param(b"\x01", id="version alone"),
        pytest.param(b"\x01" * 17, id="header alone"),
        pytest.param(b"\x02" + b"x" * 100, id="another version"),
    ],
)
def test_another_release(sealing: Encryption, sealed: bytes) -> None:
    """What has not our form was written by another release, and is said to be."""
    with pytest.raises(RecordUnreadable, match="another release"):
        sealing.unseal(sealed, key="place")


def test_rotation_of_the_key() -> None:
    """Old values open with a fallback; new ones are sealed with the first key."""
    old = Encryption([OLD_KEY])
    rotated = Encryption([KEY, OLD_KEY])
    assert rotated.unseal(old.seal(b"value", key="place"), key="place") == b"value"
    assert Encryption([KEY]).unseal(rotated.seal(b"value", key="place"), key="place") == b"value"
    with pytest.raises(RecordUnreadable, match="sealed with another key"):
        old.unseal(rotated.seal(b"value", key="place"), key="place")


def test_key_that_was_rotated_out(sealing: Encryption) -> None:
    """A value of a key that is no fallback any more says so."""
    sealed = Encryption([OTHER_KEY]).seal(b"value", key="place")
    with pytest.raises(RecordUnreadable, match="sealed with another key") as caught:
        sealing.unseal(sealed, key="place")
    assert "do all workers share SECRET_KEY" in caught.value.hint
    assert caught.value.status == 503


def test_key_that_is_its_own_fallback() -> None:
    """The same key twice is one key."""
    sealing = Encryption([KEY, KEY])
    assert sealing.unseal(sealing.seal(b"value", key="place"), key="place") == b"value"
