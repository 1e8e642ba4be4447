"""Code verifier and code challenge.

:rfc:`7636`
"""

from __future__ import annotations

import binascii
import hashlib
import hmac
import re

#: The only code challenge method there is here; ``plain`` protects nothing.
CODE_CHALLENGE_METHOD = "S256"

#: Bytes of randomness in a code verifier.
VERIFIER_BYTES = 32

#: 43 to 128 unreserved characters.
CODE_VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}")
#: Base64url of 32 bytes: the last character has two bits that no encoder sets.
CODE_CHALLENGE = re.compile(r"[A-Za-z0-9\-_]{42}[AEIMQUYcgkosw048]")


# The module base64 goes through three functions for each value, and a sign-in has thirty.
_TO_URL = bytes.maketrans(b"+/", b"-_")
_FROM_URL = bytes.maketrans(b"-_", b"+/")


def base64url(data: bytes) -> str:
    """Base64url without padding (:rfc:`7636#appendix-A`)."""
    return binascii.b2a_base64(data, newline=False).translate(_TO_URL).rstrip(b"=").decode("ascii")


def decode_base64url(text: str) -> bytes:
    """The bytes of canonical base64url without padding.

    :raises ValueError: for another alphabet, padding, or bits that no encoder would set.
    """
    try:
        padded = text.encode("ascii").translate(_FROM_URL) + b"=" * (-len(text) % 4)
        data = binascii.a2b_base64(padded)
    except ValueError:
        raise ValueError("not base64url") from None
    if base64url(data) != text:
        raise ValueError("not canonical base64url")
    return data


def build_code_verifier(randomness: bytes) -> str:
    """Make a code verifier.

    :param randomness: 32 bytes from the system's generator, used for nothing else.
    :return: 43 characters.
    :raises ValueError: if there are not 32 bytes.

    :rfc:`7636#section-4.1`
    """
    if len(randomness) != VERIFIER_BYTES:
        raise ValueError(f"a code verifier is made of {VERIFIER_BYTES} bytes")
    return base64url(randomness)


def is_code_verifier(text: str) -> bool:
    """Whether this is a code verifier: 43 to 128 unreserved characters.

    :rfc:`7636#section-4.1`
    """
    return CODE_VERIFIER.fullmatch(text) is not None


def is_code_challenge(text: str) -> bool:
    """Whether this is an S256 code challenge: canonical base64url of 32 bytes.

    :rfc:`7636#section-4.2`
    """
    return CODE_CHALLENGE.fullmatch(text) is not None


def code_challenge(code_verifier: str) -> str:
    """Derive the S256 code challenge of a code verifier.

    :param code_verifier: 43 to 128 unreserved characters.
    :return: 43 characters of base64url without padding.
    :raises ValueError: if the verifier is of another length or alphabet.

    :rfc:`7636#section-4.2`
    """
    if not is_code_verifier(code_verifier):
        raise ValueError("not a code verifier")
    return base64url(hashlib.sha256(code_verifier.encode("ascii")).digest())


def verifies(code_verifier: str, challenge: str) -> bool:
    """Whether the verifier hashes to the challenge, told in constant time.

    :raises ValueError: if the verifier is of another length or alphabet.

    :rfc:`7636#section-4.6`
    """
    return hmac.compare_digest(code_challenge(code_verifier), challenge)
