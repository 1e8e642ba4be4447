"""Code verifiers and code challenges, whatever they are made of."""

from __future__ import annotations

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
