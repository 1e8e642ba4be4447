"""The private key by which a confidential client proves who it is.

:rfc:`7523#section-2.2`, :rfc:`7517`
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from .pkce import decode_base64url
from .strict_json import StrictJSONError, loads_object
from .text import is_visible_ascii

#: What RSA keys can sign with, the most usual one first.
_RSA_ALGORITHMS = ("RS256", "PS256", "RS384", "PS384", "RS512", "PS512")
#: What a key on a curve signs with; Ed25519 by its old name, or by that of :rfc:`9864`.
_CURVES = {
    "P-256": ("ES256",),
    "P-384": ("ES384",),
    "P-521": ("ES512",),
    "Ed25519": ("EdDSA", "Ed25519"),
}
#: Curves as cryptography calls them.
_CURVE_NAMES = {"secp256r1": "P-256", "secp384r1": "P-384", "secp521r1": "P-521"}
#: Every algorithm that a key can be told to sign with.
CLIENT_KEY_ALGORITHMS = (*_RSA_ALGORITHMS, *(alg for algs in _CURVES.values() for alg in algs))
#: Bits of an RSA key; with more, an assertion is longer than the 2048 bytes that Auth0 takes.
_MIN_RSA_BITS, _MAX_RSA_BITS = 2048, 4096
#: Characters of a key's id.
MAX_KEY_ID_LENGTH = 128

_MALFORMED = "is no private key, or one of a kind that cannot be used"


@dataclass(frozen=True, eq=False)
class ClientKey:
    """A private key, parsed once."""

    key: Key = field(repr=False)
    #: What it can sign with, in the order in which they are tried on the tenant.
    algorithms: tuple[str, ...]
    #: By which the tenant finds the public key among ours.
    kid: str | None = None

    def sign(self, data: bytes, algorithm: str) -> bytes:
        """The signature of some bytes.

        :param algorithm: one of :attr:`algorithms`.
        """
        # joserfc's own function would warn of EdDSA, which RFC 9864 gave another name.
        return JWSRegistry.algorithms[algorithm].sign(data, self.key)

    def named(self, *, kid: str | None = None, algorithm: str | None = None) -> ClientKey:
        """The same key with another id or one algorithm alone; None leaves either as it is.

        :raises ValueError: if the key cannot sign with that algorithm.
        """
        if algorithm is not None and algorithm not in self.algorithms:
            raise ValueError("cannot sign with that algorithm")
        return dataclasses.replace(
            self,
            kid=kid or self.kid,
            algorithms=(algorithm,) if algorithm is not None else self.algorithms,
        )


def parse_client_key(value: str | Mapping[str, Any]) -> ClientKey:
    """Read a private key: a PEM, or a JWK as JSON or as a mapping.

    The ``kid`` and the ``alg`` of a JWK count.

    :raises ValueError: with what is wrong, and nothing of the key.

    :rfc:`7468#section-10`, :rfc:`7517#section-4`
    """
    if isinstance(value, Mapping):
        return _parse_jwk(value)
    text = value.strip()
    if text.startswith("-----BEGIN"):
        return _parse_pem(text)
    try:
        return _parse_jwk(loads_object(text.encode(), max_depth=4))
    except (StrictJSONError, UnicodeEncodeError):
        raise ValueError(_MALFORMED) from None


def _parse_pem(text: str) -> ClientKey:
    label = text.partition("\n")[0]
    if "PUBLIC" in label or "CERTIFICATE" in label:
        raise ValueError("is public: the private key is needed")
    try:
        private = load_pem_private_key(text.encode(), password=None)
    except TypeError:
        raise ValueError("is encrypted: give it without a passphrase") from None
    except Exception:  # cryptography raises whatever a malformed key leads to
        raise ValueError(_MALFORMED) from None
    match private:
        case RSAPrivateKey():
            _check_rsa(private.key_size)
            return ClientKey(RSAKey.import_key(private), _RSA_ALGORITHMS)
        case EllipticCurvePrivateKey() if private.curve.name in _CURVE_NAMES:
            curve = _CURVE_NAMES[private.curve.name]
            return ClientKey(ECKey.import_key(private), _CURVES[curve])
        case Ed25519PrivateKey():
            return ClientKey(OKPKey.import_key(private), _CURVES["Ed25519"])
    raise ValueError(_MALFORMED)


def _parse_jwk(members: Mapping[str, Any]) -> ClientKey:
    kty, curve = members.get("kty"), members.get("crv")
    kid, alg = members.get("kid"), members.get("alg")
    if kty not in ("RSA", "EC", "OKP") or (kty != "RSA" and curve not in _CURVES):
        raise ValueError(_MALFORMED)
    if members.get("use", "sig") != "sig":
        raise ValueError("is a key for something else than signatures")
    if "d" not in members:
        raise ValueError("is public: the private key is needed")
    if kid is not None and not (isinstance(kid, str) and is_visible_ascii(kid, MAX_KEY_ID_LENGTH)):
        raise ValueError(f"has a kid that is not 1 to {MAX_KEY_ID_LENGTH} visible characters")
    names = ("kty", "n", "e", "d", "p", "q", "dp", "dq", "qi", "crv", "x", "y")
    plain = {name: members[name] for name in names if name in members}
    try:
        if kty == "RSA":
            bits = int.from_bytes(decode_base64url(plain["n"])).bit_length()
            _check_rsa(bits)
            key: Key = RSAKey.import_key(plain)
        else:
            key = (ECKey if kty == "EC" else OKPKey).import_key(plain)
    except _RSASize:
        raise
    except Exception:  # joserfc and cryptography raise whatever a malformed number leads to
        raise ValueError(_MALFORMED) from None
    algorithms = _RSA_ALGORITHMS if kty == "RSA" else _CURVES[str(curve)]
    if alg is not None and alg not in algorithms:
        raise ValueError("has an alg that it cannot sign with")
    return ClientKey(key, algorithms if alg is None else (alg,), kid)


class _RSASize(ValueError):
    """An RSA key is too short, or too long."""


def _check_rsa(bits: int) -> None:
    if not _MIN_RSA_BITS <= bits <= _MAX_RSA_BITS:
        raise _RSASize(f"is an RSA key of other than {_MIN_RSA_BITS} to {_MAX_RSA_BITS} bits")
