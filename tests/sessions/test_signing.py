"""States and pointers, signed."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from itsdangerous import Signer

from flask_pkce.errors import CookieForged, StateForged
from flask_pkce.protocol.pkce import base64url, decode_base64url
from flask_pkce.protocol.text import is_visible_ascii
from flask_pkce.sessions.signing import Pointer, Signing
from tests.support import NOW

KEY, OLD_KEY, OTHER_KEY = b"the key" * 5, b"the old key" * 5, b"another key" * 5
RANDOMNESS = bytes(range(16))
POINTER = Pointer(base64url(bytes(8)), bytes(range(16)))


@pytest.fixture
def signing() -> Signing:
    return Signing([KEY], namespace="pkce")


def sign_state(signing: Signing, owner: str = "owner") -> str:
    """A state of now."""
    return signing.sign_state(owner=owner, randomness=RANDOMNESS, now=NOW + 0.9)


def _change(value: str, position: int) -> str:
    changed = "A" if value[position] != "A" else "B"
    return value[:position] + changed + value[position:][1:]


def _last_bits(value: str) -> str:
    """The same signature, spelled with other bits that decoders drop."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    return value[:-1] + alphabet[alphabet.index(value[-1]) + 1]


def test_keys_are_derived_as_itsdangerous_does(signing: Signing) -> None:
    """Deriving them once makes the same signatures as deriving them for each value."""
    for value, salt in (
        (sign_state(signing), "flask_pkce.state.pkce"),
        (signing.sign_pointer(POINTER), "flask_pkce.pointer.pkce"),
    ):
        signer = Signer(KEY, salt=salt, key_derivation="hmac", digest_method=hashlib.sha256)
        assert signer.sign(value.rpartition(".")[0]).decode() == value


# -- states ------------------------------------------------------------------------


def test_state(signing: Signing) -> None:
    """A state says when it was made, and for whom, and nothing that is secret."""
    state = sign_state(signing)
    assert len(state) == 89
    assert is_visible_ascii(state, 89)
    assert "owner" not in state
    read = signing.read_state(state)
    assert read is not None
    assert read.created_at == NOW
    assert read.is_of("owner")
    assert not read.is_of("another")
    assert not read.is_of("")
    assert repr(read) == f"SignedState(created_at={NOW})"


def test_states_of_one_owner_do_not_show_it(signing: Signing) -> None:
    """Two states of one session have nothing in common that tells so."""
    first = sign_state(signing)
    second = signing.sign_state(owner="owner", randomness=bytes(16), now=NOW)
    tags = [decode_base64url(state.split(".")[1])[-8:] for state in (first, second)]
    assert tags[0] != tags[1]


@pytest.mark.parametrize("state", ["", "x", "xyz.abc.def", "pkce2.abc.def", "PKCE1.a.b"])
def test_state_of_another_form(signing: Signing, state: str) -> None:
    """A state that we do not make is a caller's own."""
    assert signing.read_state(state) is None


@pytest.mark.requirement("AZ-19")
@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda state: _change(state, 10), id="payload changed"),
        pytest.param(lambda state: _change(state, -2), id="signature changed"),
        pytest.param(_last_bits, id="signature not canonical"),
        pytest.param(lambda state: state[:-1], id="signature cut off"),
        pytest.param(lambda state: state + "=", id="padding"),
        pytest.param(lambda state: state.rpartition(".")[0], id="no signature"),
        pytest.param(lambda state: state.rpartition(".")[0] + ".", id="empty signature"),
        pytest.param(lambda state: state + ".x", id="something behind it"),
        pytest.param(lambda state: "pkce1." + state, id="something before it"),
        pytest.param(lambda state: "pkce1.é", id="beyond ASCII"),
        pytest.param(lambda _: "pkce1.", id="nothing"),
    ],
)
def test_forged_state(signing: Signing, forge: Callable[[str], str]) -> None:
    """What looks like ours and is not signed by us is forged, in any spelling."""
    with pytest.raises(StateForged):
        signing.read_state(forge(sign_state(signing)))


def test_state_of_another_key(signing: Signing) -> None:
    """A state of a worker with another key is forged, and the hint asks about it."""
    state = sign_state(Signing([OTHER_KEY], namespace="pkce"))
    with pytest.raises(StateForged) as caught:
        signing.read_state(state)
    assert "do all workers share SECRET_KEY?" in caught.value.hint


@pytest.mark.requirement("BC-19", "CK-14", "N50")
def test_state_of_another_blueprint(signing: Signing) -> None:
    """One blueprint does not take the other's states."""
    with pytest.raises(StateForged):
        signing.read_state(sign_state(Signing([KEY], namespace="staff")))


@pytest.mark.requirement("CK-14")
def test_pointer_for_a_state(signing: Signing) -> None:
    """A signature for one purpose is none for the other."""
    signer = Signer(
        [KEY],
        salt="flask_pkce.pointer.pkce",
        key_derivation="hmac",
        digest_method=hashlib.sha256,
    )
    payload = sign_state(signing).rpartition(".")[0]
    with pytest.raises(StateForged):
        signing.read_state(signer.sign(payload).decode())
    with pytest.raises(CookieForged):
        signing.read_pointer(sign_state(signing))


# -- pointers ----------------------------------------------------------------------


def test_pointer(signing: Signing) -> None:
    """A pointer comes back as it was signed."""
    value = signing.sign_pointer(POINTER)
    assert len(value) == 76
    assert is_visible_ascii(value, 76)
    assert signing.read_pointer(value) == POINTER
    assert "\\x01" not in repr(POINTER)


def test_pointer_opens_its_session() -> None:
    """Only the secret that belongs to the hash opens."""
    assert POINTER.opens(POINTER.secret_hash)
    assert not Pointer(POINTER.session_id, bytes(16)).opens(POINTER.secret_hash)
    assert not POINTER.opens("")
    assert len(POINTER.secret_hash) == 43


@pytest.mark.requirement("CK-7", "N40")
@pytest.mark.parametrize(
    "forge",
    [
        pytest.param(lambda value: _change(value, 0), id="N40 id changed"),
        pytest.param(lambda value: _change(value, 20), id="N40 secret changed"),
        pytest.param(lambda value: _change(value, -2), id="N40 signature changed"),
        pytest.param(_last_bits, id="signature not canonical"),
        pytest.param(lambda value: value.partition(".")[0], id="no signature"),
        pytest.param(lambda _: "", id="nothing"),
        pytest.param(lambda _: ".", id="dot"),
        pytest.param(lambda _: "é.é", id="beyond ASCII"),
    ],
)
def test_forged_pointer(signing: Signing, forge: Callable[[str], str]) -> None:
    """A cookie that was changed, or made by somebody else, is forged."""
    with pytest.raises(CookieForged):
        signing.read_pointer(forge(signing.sign_pointer(POINTER)))


@pytest.mark.requirement("CK-14", "N40b")
def test_rotation_of_the_key() -> None:
    """Values of a fallback key are taken; new ones are signed with the first (N40b)."""
    old = Signing([OLD_KEY], namespace="pkce")
    rotated = Signing([KEY, OLD_KEY], namespace="pkce")
    new = Signing([KEY], namespace="pkce")
    assert rotated.read_pointer(old.sign_pointer(POINTER)) == POINTER
    assert rotated.read_state(sign_state(old)) is not None
    assert new.read_pointer(rotated.sign_pointer(POINTER)) == POINTER
    with pytest.raises(CookieForged):
        new.read_pointer(old.sign_pointer(POINTER))
    with pytest.raises(StateForged):
        new.read_state(sign_state(old))


def test_fingerprints() -> None:
    """Keys are named without telling them, in their order."""
    rotated = Signing([KEY, OLD_KEY], namespace="pkce")
    old = Signing([OLD_KEY], namespace="other")
    assert len(set(rotated.fingerprints)) == 2
    assert rotated.fingerprints[1] == old.fingerprints[0]
    assert all(len(name) == 8 for name in rotated.fingerprints)
