"""Code verifier and code challenge, the vectors of the RFC first."""

from __future__ import annotations

import pytest

from flask_pkce.protocol.pkce import (
    CODE_CHALLENGE_METHOD,
    base64url,
    build_code_verifier,
    code_challenge,
    decode_base64url,
    is_code_challenge,
    is_code_verifier,
    verifies,
)
from tests.support import CHALLENGE, VERIFIER

#: RFC 7636 Appendix B
OCTETS = bytes.fromhex("7418dfb49799e0254ffa607dd8adbbba16d4254d69d6bff05b58055853848d79")


@pytest.mark.requirement("PK-3")
def test_appendix_b() -> None:
    """The octets of the appendix give its verifier, and that gives its challenge."""
    assert build_code_verifier(OCTETS) == VERIFIER
    assert code_challenge(VERIFIER) == CHALLENGE
    assert verifies(VERIFIER, CHALLENGE)
    assert CODE_CHALLENGE_METHOD == "S256"


@pytest.mark.requirement("PK-3")
def test_appendix_a() -> None:
    """Base64url as in the appendix: no padding, and the two letters that differ."""
    assert base64url(bytes([3, 236, 255, 224, 193])) == "A-z_4ME"
    assert decode_base64url("A-z_4ME") == bytes([3, 236, 255, 224, 193])
    assert base64url(bytes([0, 0, 23])) == "AAAX"


@pytest.mark.requirement("PK-2")
@pytest.mark.parametrize("length", [0, 31, 33])
def test_randomness_of_another_length(length: int) -> None:
    """A verifier is made of exactly 32 bytes."""
    with pytest.raises(ValueError, match="32 bytes"):
        build_code_verifier(bytes(length))


@pytest.mark.requirement("PK-5")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("A-z_4ME=", id="padding"),
        pytest.param("A+z/4ME", id="alphabet of base64"),
        pytest.param("A-z_4MF", id="bits that no encoder sets"),
        pytest.param("A-z_4", id="a length that no encoder makes"),
        pytest.param("A-z_\n4ME", id="line break"),
        pytest.param("A-z_4Mé", id="beyond ASCII"),
    ],
)
def test_not_base64url(text: str) -> None:
    """Only the one spelling that an encoder makes is read."""
    with pytest.raises(ValueError, match="base64url"):
        decode_base64url(text)


@pytest.mark.requirement("PK-1")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("a" * 43, id="shortest"),
        pytest.param("a" * 128, id="longest"),
        pytest.param("AZaz09-._~" * 5, id="whole alphabet"),
    ],
)
def test_code_verifier(text: str) -> None:
    """43 to 128 unreserved characters are a verifier."""
    assert is_code_verifier(text)
    assert len(code_challenge(text)) == 43


@pytest.mark.requirement("N12", "N13", "N14", "PK-1")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("", id="empty"),
        pytest.param("a" * 42, id="too short"),
        pytest.param("a" * 129, id="too long"),
        pytest.param("a" * 42 + "+", id="reserved"),
        pytest.param("a" * 42 + " ", id="space"),
        pytest.param("a" * 43 + "\n", id="line break at the end"),
        pytest.param("é" * 43, id="beyond ASCII"),
        pytest.param("٣" * 43, id="digits of another script"),
    ],
)
def test_not_a_code_verifier(text: str) -> None:
    """Another length or alphabet is no verifier, and no challenge is derived of it."""
    assert not is_code_verifier(text)
    with pytest.raises(ValueError, match="not a code verifier"):
        code_challenge(text)
    with pytest.raises(ValueError, match="not a code verifier"):
        verifies(text, CHALLENGE)


@pytest.mark.requirement("N10", "PK-5")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param(CHALLENGE[:-1], id="42 characters"),
        pytest.param(CHALLENGE + "A", id="44 characters"),
        pytest.param(CHALLENGE + "=", id="padding"),
        pytest.param(CHALLENGE[:-1] + "=", id="padding within"),
        pytest.param(CHALLENGE.replace("-", "+"), id="alphabet of base64"),
        pytest.param(CHALLENGE[:-1] + "N", id="bits that no encoder sets"),
        pytest.param(CHALLENGE + "\n", id="line break at the end"),
    ],
)
def test_not_a_code_challenge(text: str) -> None:
    """A challenge is canonical base64url of 32 bytes."""
    assert is_code_challenge(CHALLENGE)
    assert not is_code_challenge(text)


@pytest.mark.requirement("PK-10")
def test_verifier_of_another_challenge() -> None:
    """A verifier fits its own challenge alone."""
    assert not verifies("a" * 43, CHALLENGE)
    assert not verifies(VERIFIER, VERIFIER)
