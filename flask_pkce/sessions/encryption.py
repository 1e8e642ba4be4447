"""Encrypts what a store keeps, so that whoever reads the store learns nothing.

A sealed value is one byte for the version of this format, four for the key, a nonce of twelve,
and the ciphertext of AES-256-GCM, bound to the key in the store under which it lies.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from ..errors import RecordOfOtherKey, RecordOfOtherRelease, RecordUnreadable

_VERSION = b"\x01"
_NONCE_BYTES = 12
_KEY_ID_BYTES = 4
_HEADER_BYTES = len(_VERSION) + _KEY_ID_BYTES + _NONCE_BYTES


class Encryption:
    """Seals with the first key, and opens with any.

    :param secret_keys: ``SECRET_KEY``, then the ``SECRET_KEY_FALLBACKS``.
    """

    def __init__(self, secret_keys: Sequence[bytes]) -> None:
        derived = [_derive(secret_key) for secret_key in secret_keys]
        self._ciphers = {_key_id(key): AESGCM(key) for key in reversed(derived)}
        self._first = _key_id(derived[0])

    def seal(self, value: bytes, *, key: str) -> bytes:
        """Encrypt a value for one place of the store.

        :param key: the key under which it will lie.
        """
        nonce = os.urandom(_NONCE_BYTES)
        ciphertext = self._ciphers[self._first].encrypt(nonce, value, key.encode())
        return b"".join((_VERSION, self._first, nonce, ciphertext))

    def unseal(self, sealed: bytes, *, key: str) -> bytes:
        """Decrypt what :meth:`seal` made.

        :raises RecordUnreadable: if it was made with a key or by a release that we do not have,
            or for another place, or was changed.
        """
        if sealed[:1] != _VERSION or len(sealed) <= _HEADER_BYTES:
            raise RecordOfOtherRelease()
        cipher = self._ciphers.get(sealed[1 : 1 + _KEY_ID_BYTES])
        if cipher is None:
            raise RecordOfOtherKey()
        nonce = sealed[1 + _KEY_ID_BYTES : _HEADER_BYTES]
        try:
            return cipher.decrypt(nonce, sealed[_HEADER_BYTES:], key.encode())
        except InvalidTag:
            raise RecordUnreadable("A record was changed in the store.") from None


def _derive(secret_key: bytes) -> bytes:
    """A key for this purpose alone (:rfc:`5869`)."""
    return HKDF(SHA256(), length=32, salt=None, info=b"flask_pkce sealing v1").derive(secret_key)


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"id" + key).digest()[:_KEY_ID_BYTES]
