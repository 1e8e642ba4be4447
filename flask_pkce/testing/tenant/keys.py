"""The keys that the tenant signs with."""

from __future__ import annotations

import json
import os
import secrets
from pathlib import Path
from threading import RLock
from typing import Any

from joserfc.errors import JoseError
from joserfc.jwk import RSAKey

FILE_NAME = "signing-keys.json"

#: How many keys are published: the current one and those before it.
PUBLISHED = 3


class SigningKeys:
    """RSA keys, the current one first.

    Making a key takes a moment, so that the first one is made when it is needed.

    :param folder: where they are kept, readable by their owner only; by default in memory.
    :raises ValueError: if the file in the folder holds no keys.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._file = folder / FILE_NAME if folder else None
        self._lock = RLock()
        self._keys = self._load()

    @property
    def current(self) -> RSAKey:
        """The key that signs."""
        with self._lock:
            if not self._keys:
                self.rotate()
            return self._keys[0]

    @property
    def published(self) -> tuple[RSAKey, ...]:
        """Every key that a token may still be signed with."""
        with self._lock:
            return (self.current, *self._keys[1:])

    def public_set(self) -> dict[str, Any]:
        """The JSON Web Key Set, without private members.

        :rfc:`7517#section-5`
        """
        return {"keys": [key.as_dict(private=False) for key in self.published]}

    def rotate(self) -> None:
        """Sign with a new key; the ones before stay published."""
        kid = secrets.token_urlsafe(16)
        key = RSAKey.generate_key(2048, {"use": "sig", "alg": "RS256", "kid": kid})
        with self._lock:
            self._keys = (key, *self._keys)[:PUBLISHED]
            self._save()

    def _load(self) -> tuple[RSAKey, ...]:
        if self._file is None or not self._file.exists():
            return ()
        try:
            members = json.loads(self._file.read_bytes())["keys"]
            return tuple(RSAKey.import_key(member) for member in members)
        except (ValueError, KeyError, TypeError, JoseError) as error:
            raise ValueError(f"{self._file} holds no signing keys: delete it") from error

    def _save(self) -> None:
        if self._file is None:
            return
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        document = json.dumps({"keys": [key.as_dict(private=True) for key in self._keys]})
        draft = self._file.with_name(f"{FILE_NAME}.{secrets.token_hex(8)}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(descriptor, "w", encoding="ascii") as file:
            file.write(document)
        # A reader sees the old file or the new one, and never half of one.
        draft.replace(self._file)
