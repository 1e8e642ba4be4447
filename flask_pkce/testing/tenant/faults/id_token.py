"""How an ID token is signed and written."""

from __future__ import annotations

import base64

from .catalogue import Scene, fault
from .spoiling import base64url


@fault("invalid-sig-rs256", "id_token")
def _invalid_sig_rs256(id_token: str, scene: Scene) -> str:
    """The signature of the ID token is wrong in one bit."""
    signed, _, signature = id_token.rpartition(".")
    octets = bytearray(base64.urlsafe_b64decode(signature + "=="))
    octets[-1] ^= 1
    return f"{signed}.{base64url(bytes(octets))}"


@fault("idtoken-sig-none", "id_token")
def _idtoken_sig_none(id_token: str, scene: Scene) -> str:
    """The ID token is not signed."""
    header = base64url(b'{"alg":"none","typ":"JWT"}')
    return f"{header}.{id_token.split('.')[1]}."
