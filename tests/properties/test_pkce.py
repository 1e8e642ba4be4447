"""Code verifiers and code challenges, whatever they are made of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_pkce.protocol.pkce import (
    base64url,
    build_code_verifier,
    code_challenge,
    decode_base64url,
    is_code_challenge,
    is_code_verifier,
    verifies,
)


@pytest.mark.requirement("PK-1")
@given(st.binary(min_size=32, max_size=32))
def test_every_verifier_is_one(randomness: bytes) -> None:
    """Whatever the randomness, verifier and challenge are well-formed and belong together."""
    verifier = build_code_verifier(randomness)
    assert len(verifier) == 43
    assert is_code_verifier(verifier)
    assert is_code_challenge(code_challenge(verifier))
    assert verifies(verifier, code_challenge(verifier))


@given(st.binary(max_size=100))
def test_base64url_there_and_back(data: bytes) -> None:
    """What is encoded decodes to the same bytes."""
    assert decode_base64url(base64url(data)) == data


@given(st.text("AZaz09-_~.=+/ \n\u00e9", max_size=50) | st.binary(max_size=40).map(base64url))
def test_base64url_is_canonical(text: str) -> None:
    """A text either is what its bytes encode to, or is refused with the documented error."""
    try:
        data = decode_base64url(text)
    except ValueError:
        return
    assert base64url(data) == text


@given(st.text(st.sampled_from("Aa0-_~.=+\u00e9\u0660\n"), min_size=42, max_size=130))
def test_alphabet_of_a_verifier(text: str) -> None:
    """A verifier is 43 to 128 unreserved characters; anything else is refused everywhere."""
    is_one = 43 <= len(text) <= 128 and set(text) <= set("Aa0-_~.")
    assert is_code_verifier(text) is is_one
    if is_one:
        assert is_code_challenge(code_challenge(text))
    else:
        with pytest.raises(ValueError):
            code_challenge(text)


@given(st.binary(min_size=32, max_size=32), st.integers(0, 42), st.sampled_from("AQgw_-~. é="))
def test_another_challenge_is_another(digest: bytes, at: int, char: str) -> None:
    """A challenge with one other character is none, or that of other bytes."""
    challenge = base64url(digest)
    changed = challenge[:at] + char + challenge[at + 1 :]
    if changed != challenge and is_code_challenge(changed):
        assert decode_base64url(changed) != digest
