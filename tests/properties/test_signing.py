"""What is signed or sealed, in any one place changed, or read with anything else."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from flask_pkce.errors import CookieForged, RecordUnreadable, StateForged
from flask_pkce.protocol.pkce import base64url
from flask_pkce.sessions.encryption import Encryption
from flask_pkce.sessions.signing import ID_BYTES, SECRET_BYTES, STATE_BYTES, Pointer, Signing
from tests.properties.documents import ANY_TEXT, TEXT

KEYS = (b"the first key of the tests", b"the second key of the tests")
SIGNING = Signing(KEYS, namespace="pkce")
SEALING = Encryption(KEYS)

POINTERS = st.builds(
    Pointer,
    st.binary(min_size=ID_BYTES, max_size=ID_BYTES).map(base64url),
    st.binary(min_size=SECRET_BYTES, max_size=SECRET_BYTES),
)
STATES = st.builds(
    lambda randomness, now: SIGNING.sign_state(owner="owner", randomness=randomness, now=now),
    st.binary(min_size=STATE_BYTES, max_size=STATE_BYTES),
    st.integers(0, 2**40 - 1),
)
CHARACTERS = st.sampled_from("AQgwz09-_.=+/ ~\n\0é\u2028") | st.characters(codec="utf-8")


@st.composite
def changed(draw: st.DrawFn, texts: st.SearchStrategy[str]) -> str:
    """A text in which one character is another, or too many, or missing."""
    text = draw(texts)
    at = draw(st.integers(0, len(text) - 1))
    char = draw(CHARACTERS | st.just(""))
    end = at + draw(st.sampled_from([0, 1, 1]))
    result = text[:at] + char + text[end:]
    assume(result != text)
    return result


def _pointer_is_refused(signing: Signing, value: str) -> bool:
    try:
        signing.read_pointer(value)
    except CookieForged:
        return True
    return False


def _state_is_refused(signing: Signing, value: str) -> bool:
    try:
        return signing.read_state(value) is None
    except StateForged:
        return True


@given(POINTERS)
def test_a_pointer_there_and_back(pointer: Pointer) -> None:
    """What was signed is read, with the first key or any that follows."""
    value = SIGNING.sign_pointer(pointer)
    assert len(value) == 76
    for keys in (KEYS, (b"a newer key of the tests", *KEYS)):
        assert Signing(keys, namespace="pkce").read_pointer(value) == pointer


@given(changed(POINTERS.map(SIGNING.sign_pointer)) | ANY_TEXT)
def test_a_changed_pointer_is_refused(value: str) -> None:
    """Whatever is not to the character what was signed is refused."""
    assert _pointer_is_refused(SIGNING, value)


@given(changed(STATES) | ANY_TEXT.map(lambda text: f"pkce1.{text}") | ANY_TEXT)
def test_a_changed_state_is_refused(value: str) -> None:
    """Whatever is not to the character what was signed is refused, or not taken for ours."""
    assert _state_is_refused(SIGNING, value)


@given(POINTERS, STATES, st.binary(min_size=1, max_size=40), st.text(max_size=8))
def test_of_another_key_or_place(pointer: Pointer, state: str, key: bytes, namespace: str) -> None:
    """Another key, another blueprint or another purpose reads nothing of it."""
    assume(key not in KEYS and namespace != "pkce")
    value = SIGNING.sign_pointer(pointer)
    for other in (Signing([key], namespace="pkce"), Signing(KEYS, namespace=namespace)):
        assert _pointer_is_refused(other, value)
        assert _state_is_refused(other, state)
    assert _pointer_is_refused(SIGNING, state)
    assert _state_is_refused(SIGNING, value)


@given(STATES, st.text(max_size=12))
def test_a_state_is_of_its_owner_alone(state: str, owner: str) -> None:
    """A state tells nobody else that it is his."""
    signed = SIGNING.read_state(state)
    assert signed is not None
    assert signed.is_of("owner")
    assert signed.is_of(owner) is (owner == "owner")


@given(st.binary(max_size=80), TEXT)
def test_sealed_there_and_back(value: bytes, key: str) -> None:
    """What was sealed is opened, with the first key or any that follows, and shows nothing."""
    sealed = SEALING.seal(value, key=key)
    assert len(value) < 8 or value not in sealed
    for keys in (KEYS, (b"a newer key of the tests", *KEYS)):
        assert Encryption(keys).unseal(sealed, key=key) == value


@given(st.binary(max_size=40), st.data())
def test_a_flipped_bit_is_refused(value: bytes, data: st.DataObject) -> None:
    """One bit that is another, one byte too few, another place: it cannot be read, and says so."""
    sealed = SEALING.seal(value, key="a:b")
    bit = data.draw(st.integers(0, len(sealed) * 8 - 1))
    flipped = bytearray(sealed)
    flipped[bit // 8] ^= 1 << bit % 8
    cut = sealed[: data.draw(st.integers(0, len(sealed) - 1))]
    longer = sealed + data.draw(st.binary(min_size=1, max_size=4))
    place = data.draw(
        st.text(st.characters(codec="utf-8"), max_size=6).filter(lambda s: s != "a:b")
    )
    for record, key in ((bytes(flipped), "a:b"), (cut, "a:b"), (longer, "a:b"), (sealed, place)):
        with pytest.raises(RecordUnreadable):
            SEALING.unseal(record, key=key)


@given(st.binary(max_size=80))
def test_any_bytes_are_refused(data: bytes) -> None:
    """A record of anybody else's is refused, and with nothing but the documented error."""
    with pytest.raises(RecordUnreadable):
        SEALING.unseal(data, key="a:b")
