"""Signs what travels: states, and the pointers in cookies.

A signature is no protection by itself.  It lets an error say that another key made a value: "do
all workers share SECRET_KEY?".
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass, field

from itsdangerous import BadSignature, Signer

from ..errors import CookieForged, StateForged
from ..protocol.pkce import base64url, decode_base64url

#: Bytes of randomness in a state, and in a pointer's secret.
STATE_BYTES = 16
SECRET_BYTES = 16
#: Bytes of the id of a session.
ID_BYTES = 8

_OWNER_BYTES = 8
_TIME_BYTES = 5
_STATE_PREFIX = "pkce1."


@dataclass(frozen=True)
class Pointer:
    """What the cookie says: which session, and the secret that opens it."""

    session_id: str
    secret: bytes = field(repr=False)

    @property
    def secret_hash(self) -> str:
        """What the session's record keeps of the secret."""
        return base64url(hashlib.sha256(self.secret).digest())

    def opens(self, secret_hash: str) -> bool:
        """Whether this is the session's pointer, told in constant time."""
        return hmac.compare_digest(self.secret_hash, secret_hash)


@dataclass(frozen=True)
class SignedState:
    """What a state of ours says: when it was made, and for whom."""

    created_at: int
    _randomness: bytes = field(repr=False)
    _owner: bytes = field(repr=False)

    def is_of(self, owner: str) -> bool:
        """Whether it was made for that session."""
        return hmac.compare_digest(self._owner, _owner_tag(owner, self._randomness))


class Signing:
    """Signs with the first key, and checks with any.

    :param secret_keys: ``SECRET_KEY``, then the ``SECRET_KEY_FALLBACKS``.
    :param namespace: the blueprint's name, so that one does not take the other's values.
    """

    def __init__(self, secret_keys: Sequence[bytes], *, namespace: str) -> None:
        # itsdangerous signs with the last key.
        keys = list(reversed(secret_keys))
        self._state = _signer(keys, f"flask_pkce.state.{namespace}")
        self._pointer = _signer(keys, f"flask_pkce.pointer.{namespace}")
        #: Names the keys without telling them, first the one that signs.
        self.fingerprints = tuple(
            base64url(hmac.digest(key, b"flask_pkce fingerprint", "sha256")[:6])
            for key in secret_keys
        )

    def sign_state(self, *, owner: str, randomness: bytes, now: float) -> str:
        """Make a state.

        :param owner: the session's :attr:`~flask_pkce.sessions.session.Session.owner`.
        :param randomness: 16 bytes.
        :return: 89 characters.
        """
        made_at = int(now).to_bytes(_TIME_BYTES, "big")
        payload = randomness + made_at + _owner_tag(owner, randomness)
        return self._state.sign(_STATE_PREFIX + base64url(payload)).decode("ascii")

    def read_state(self, state: str) -> SignedState | None:
        """Read a state; None if it is of a form that we do not make.

        :raises StateForged: if it has our form and was not signed with our key.
        """
        if not state.startswith(_STATE_PREFIX):
            return None
        payload = _unsign(self._state, state)
        if payload is None:
            raise StateForged()
        data = decode_base64url(payload.removeprefix(_STATE_PREFIX))
        time_end = STATE_BYTES + _TIME_BYTES
        return SignedState(
            created_at=int.from_bytes(data[STATE_BYTES:time_end], "big"),
            _randomness=data[:STATE_BYTES],
            _owner=data[time_end:],
        )

    def sign_pointer(self, pointer: Pointer) -> str:
        """Make the cookie's value: 76 characters."""
        payload = base64url(decode_base64url(pointer.session_id) + pointer.secret)
        return self._pointer.sign(payload).decode("ascii")

    def read_pointer(self, value: str) -> Pointer:
        """Read a cookie's value.

        :raises CookieForged: if it was not signed with our key.
        """
        payload = _unsign(self._pointer, value)
        if payload is None:
            raise CookieForged()
        data = decode_base64url(payload)
        return Pointer(base64url(data[:ID_BYTES]), data[ID_BYTES:])


def _signer(keys: list[bytes], salt: str) -> Signer:
    # What itsdangerous would derive anew for each value (its `key_derivation="hmac"`).
    derived = [hmac.digest(key, salt.encode(), "sha256") for key in keys]
    return Signer(derived, salt=salt, key_derivation="none", digest_method=hashlib.sha256)


def _unsign(signer: Signer, value: str) -> str | None:
    """The payload, if the signature is ours and spelled the one way we spell it."""
    try:
        payload = signer.unsign(value).decode("ascii")
        decode_base64url(value.rpartition(".")[2])
    except (BadSignature, ValueError):
        return None
    return payload


def _owner_tag(owner: str, randomness: bytes) -> bytes:
    return hashlib.sha256(randomness + owner.encode()).digest()[:_OWNER_BYTES]
