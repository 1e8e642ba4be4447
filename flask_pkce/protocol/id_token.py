"""Choice of the key, signature and claims of an ID token.

joserfc checks the signature, with one key and one algorithm that were chosen here; it would take
the first of two keys with one ``kid``, and refuse a whole set for one malformed member.

OpenID Connect Core 3.1.3.7, :rfc:`7515`, :rfc:`8725`
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from ..errors import IDTokenInvalid, UserChanged
from .claims import (
    further_audiences,
    has_audience,
    has_context,
    is_of_organization,
    numeric_date,
    organization_claim,
)
from .pkce import base64url, decode_base64url
from .strict_json import StrictJSONError, loads_object
from .text import is_printable_ascii

#: Key type and hash of each algorithm that can be allowed: all asymmetric.
ALGORITHMS: Mapping[str, tuple[str, str]] = {
    "RS256": ("RSA", "sha256"),
    "RS384": ("RSA", "sha384"),
    "RS512": ("RSA", "sha512"),
    "PS256": ("RSA", "sha256"),
    "PS384": ("RSA", "sha384"),
    "PS512": ("RSA", "sha512"),
    "ES256": ("EC", "sha256"),
    "ES384": ("EC", "sha384"),
    "ES512": ("EC", "sha512"),
    "EdDSA": ("OKP", "sha512"),
}
_CURVES = {"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}
_MIN_RSA_BITS = 2048
#: Members that a key set may have; tenants have fewer than ten.
MAX_KEYS = 100
_MAX_HEADER_LENGTH = 4096
_KEY_TYPES: Mapping[str, type[RSAKey | ECKey | OKPKey]] = {
    "RSA": RSAKey,
    "EC": ECKey,
    "OKP": OKPKey,
}
_TYPES = frozenset({"jwt", "application/jwt"})
#: Seconds that an ID token of a sign-in may be old.
MAX_AGE_AT_SIGN_IN = 600


@dataclass(frozen=True)
class VerificationKey:
    """A public key of the tenant, parsed once."""

    kid: str | None
    kty: str
    alg: str | None
    curve: str | None
    key: Key = field(repr=False)

    def fits(self, alg: str) -> bool:
        """Whether this key can have made a signature with that algorithm."""
        return (
            self.kty == ALGORITHMS[alg][0]
            and self.alg in {None, alg}
            and (alg not in _CURVES or self.curve == _CURVES[alg])
        )


@lru_cache(maxsize=len(ALGORITHMS))
def _model(alg: str) -> Any:
    """What verifies the signatures of one algorithm."""
    return jws.JWSRegistry(algorithms=[alg]).get_alg(alg)


class UnknownKey(IDTokenInvalid):
    """The ID token is signed with a key that the tenant's key set does not have."""


def parse_key_set(document: Mapping[str, Any]) -> tuple[VerificationKey, ...]:
    """Read the keys of a JWK Set that can verify signatures.

    Members that are malformed, private, symmetric, too short or for encryption are left out.

    :raises ValueError: if there is no list of keys at all, or one of more than 100 members: each
        key takes time to read, and to leave some out could leave out the one that signs.

    :rfc:`7517#section-5`
    """
    members = document.get("keys")
    if not isinstance(members, list):
        raise ValueError("the key set has no list of keys")
    if len(members) > MAX_KEYS:
        raise ValueError(f"the key set has more than {MAX_KEYS} keys")
    return tuple(key for key in map(_parse_key, members) if key is not None)


def _parse_key(member: Any) -> VerificationKey | None:
    if not isinstance(member, dict) or member.get("use", "sig") != "sig" or "d" in member:
        return None
    kty, kid, alg = member.get("kty"), member.get("kid"), member.get("alg")
    operations = member.get("key_ops", ["verify"])
    if not isinstance(operations, list) or "verify" not in operations:
        return None
    if not all(value is None or isinstance(value, str) for value in (kid, alg)):
        return None
    if not isinstance(kty, str) or kty not in _KEY_TYPES:
        return None
    names = ("kty", "n", "e", "crv", "x", "y")
    try:
        key = _KEY_TYPES[kty].import_key({name: member[name] for name in names if name in member})
        public = key.raw_value
    except Exception:  # joserfc and cryptography raise whatever a malformed number leads to
        return None
    if isinstance(public, RSAPublicKey) and public.key_size < _MIN_RSA_BITS:
        return None
    return VerificationKey(kid=kid, kty=kty, alg=alg, curve=member.get("crv"), key=key)


@dataclass(frozen=True, kw_only=True)
class Expectation:
    """What an ID token must say."""

    issuer: str
    client_id: str
    #: Audiences that it may have besides ``client_id``.
    trusted_audiences: tuple[str, ...] = ()
    algorithms: tuple[str, ...]
    #: Seconds by which our clock and the tenant's may differ, 0 to 300.
    leeway: int
    #: The nonce that was sent; a refreshed ID token may go without it.
    nonce: str | None = field(default=None, repr=False)
    #: The code that was exchanged; None at a refresh.
    code: str | None = field(default=None, repr=False)
    #: The state of the authorization request; None at a refresh.
    state: str | None = field(default=None, repr=False)
    #: Unix seconds since when the user must have authenticated, if that was asked for.
    authenticated_since: float | None = None
    #: The organization that was asked for: an id (``org_…``) or a name.
    organization: str | None = None
    #: Where none was asked for, those that may sign in; none where anyone may.
    organizations: tuple[str, ...] = ()
    #: The ``org_id`` of the sign-in, at a refresh.
    organization_id: str | None = None
    #: Authentication contexts of which it must have one.
    acr_values: tuple[str, ...] = ()
    #: The subject of the sign-in, at a refresh.
    subject: str | None = None
    #: The issuer and the subject of the user who was asked to authenticate again.
    user: tuple[str, str] | None = None


def verify_id_token(
    token: str,
    expected: Expectation,
    *,
    keys: Iterable[VerificationKey],
    access_token: str,
    now: float,
) -> dict[str, Any]:
    """Verify an ID token: its signature first, then every claim.

    :param now: Unix seconds.
    :return: its claims.
    :raises UnknownKey: if no key of the set fits; fetching the set again may help.
    :raises IDTokenInvalid: for anything else, with the claim and never its value.
    :raises UserChanged: if the token is good, and another user's than was expected.

    OpenID Connect Core 3.1.3.7
    """
    alg, payload = open_jwt(token, keys=keys, algorithms=expected.algorithms, types=_TYPES)
    validate_claims(payload, expected, now=now)
    hashes = {"at_hash": access_token, "c_hash": expected.code, "s_hash": expected.state}
    for claim, hashed in hashes.items():
        if claim in payload and hashed is not None:
            _check_hash(payload, claim, hashed, alg)
    if expected.user not in {None, (payload["iss"], payload["sub"])}:
        raise UserChanged()
    return payload


def open_jwt(
    token: str,
    *,
    keys: Iterable[VerificationKey],
    algorithms: tuple[str, ...],
    types: Collection[str],
) -> tuple[str, dict[str, Any]]:
    """Verify the signature of a token of the tenant.

    :param types: what its ``typ`` may be, in lower case.
    :return: the algorithm and the claims, which are not checked.
    :raises UnknownKey: if no key of the set fits.
    :raises IDTokenInvalid: if it is no token that one of the keys signed.

    :rfc:`7515#section-5.2`, :rfc:`8725`
    """
    header, payload = _parse(token)
    alg = _algorithm(header, algorithms, types)
    _check_signature(token, choose_key(keys, header.get("kid"), alg), alg)
    return alg, payload


def _parse(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    parts = token.split(".")
    if len(parts) != 3 or len(parts[0]) > _MAX_HEADER_LENGTH:
        raise IDTokenInvalid("The ID token is no signed JWT.")
    try:
        header = loads_object(decode_base64url(parts[0]), max_depth=4)
        payload = loads_object(decode_base64url(parts[1]), max_depth=32)
    except (StrictJSONError, ValueError):
        raise IDTokenInvalid("The ID token is no signed JWT.") from None
    return header, payload


def _algorithm(header: Mapping[str, Any], allowed: tuple[str, ...], types: Collection[str]) -> str:
    alg = header.get("alg")
    if not isinstance(alg, str) or alg not in allowed or alg not in ALGORITHMS:
        raise IDTokenInvalid("The ID token is signed with an algorithm that is not allowed.")
    if "crit" in header or header.get("b64", True) is not True:
        raise IDTokenInvalid("The ID token has a critical header that is not understood.")
    typ = header.get("typ", "JWT")
    if not isinstance(typ, str) or typ.lower() not in types:
        raise IDTokenInvalid("The ID token is a token of another type.")
    return alg


def choose_key(keys: Iterable[VerificationKey], kid: Any, alg: str) -> VerificationKey:
    """The one key that must have made the signature.

    :raises UnknownKey: if none fits, or several do where the token names no ``kid``.

    OpenID Connect Core 10.1
    """
    fitting = [key for key in keys if key.fits(alg) and (kid is None or key.kid == kid)]
    if len(fitting) != 1:
        raise UnknownKey("The tenant's key set has not exactly one key that fits the ID token.")
    return fitting[0]


def _check_signature(token: str, key: VerificationKey, alg: str) -> None:
    # Not by `jws.deserialize_compact`, which reads header and payload once more.
    signed, _, signature = token.rpartition(".")
    try:
        model = _model(alg)
        model.check_key(key.key)
        is_good = model.verify(signed.encode("ascii"), decode_base64url(signature), key.key)
    except (JoseError, ValueError):
        is_good = False
    if not is_good:
        raise IDTokenInvalid("The signature of the ID token does not verify.")


def _check_hash(claims: Mapping[str, Any], claim: str, hashed: str, alg: str) -> None:
    """Check that an ID token was issued with this access token, or for this code or state.

    OpenID Connect Core 3.1.3.8 and 3.3.2.11
    """
    digest = hashlib.new(ALGORITHMS[alg][1], hashed.encode("ascii")).digest()
    expected = base64url(digest[: len(digest) // 2])
    value = claims[claim]
    if not isinstance(value, str) or not hmac.compare_digest(value.encode(), expected.encode()):
        raise _wrong(claim)


def validate_claims(claims: Mapping[str, Any], expected: Expectation, *, now: float) -> None:
    """Check the claims of an ID token whose signature verified.

    :raises IDTokenInvalid: with the claim and never its value.

    OpenID Connect Core 3.1.3.7 and 12.2
    """
    if claims.get("iss") != expected.issuer:
        raise _wrong("iss")
    _check_subject(claims.get("sub"), expected.subject)
    _check_audience(claims, expected)
    _check_times(claims, expected, now=now)
    _check_nonce(claims, expected)
    _check_organization(claims, expected)
    if expected.acr_values and not has_context(claims, expected.acr_values):
        raise IDTokenInvalid("The user did not authenticate as was demanded (acr).")


def _wrong(claim: str) -> IDTokenInvalid:
    return IDTokenInvalid(f"The ID token has a wrong or missing claim: {claim}.")


def _check_subject(sub: Any, expected: str | None) -> None:
    if not isinstance(sub, str) or not is_printable_ascii(sub, 255):
        raise _wrong("sub")
    if expected is not None and sub != expected:
        raise _wrong("sub")


def _check_nonce(claims: Mapping[str, Any], expected: Expectation) -> None:
    is_refresh = expected.subject is not None
    if expected.nonce is None or (is_refresh and "nonce" not in claims):
        return
    nonce = claims.get("nonce")
    if not isinstance(nonce, str) or not hmac.compare_digest(
        nonce.encode(), expected.nonce.encode()
    ):
        raise _wrong("nonce")


def _check_audience(claims: Mapping[str, Any], expected: Expectation) -> None:
    """Check that an ID token is for us, and for others only if we trust them.

    OpenID Connect Core 3.1.3.7, 3 to 5
    """
    if not has_audience(claims, expected.client_id):
        raise _wrong("aud")
    further = further_audiences(claims, expected.client_id)
    if not all(each in expected.trusted_audiences for each in further):
        raise IDTokenInvalid(
            "The ID token has a further audience that is not trusted (aud).",
            setting="PKCE_TRUSTED_AUDIENCES",
        )
    is_named = "azp" in claims or bool(further)
    if is_named and claims.get("azp") != expected.client_id:
        raise _wrong("azp")


def _check_times(claims: Mapping[str, Any], expected: Expectation, *, now: float) -> None:
    leeway = expected.leeway
    if _time(claims, "exp") <= now - leeway:
        raise _wrong("exp")
    issued_at = _time(claims, "iat")
    if issued_at > now + leeway or issued_at < now - MAX_AGE_AT_SIGN_IN - leeway:
        raise _wrong("iat")
    if "nbf" in claims and _time(claims, "nbf") > now + leeway:
        raise _wrong("nbf")
    if claims.get("auth_time") is not None and _time(claims, "auth_time") > now + leeway:
        raise _wrong("auth_time")
    since = expected.authenticated_since
    if since is not None and _time(claims, "auth_time") < since - leeway:
        raise IDTokenInvalid("The user authenticated at the tenant too long ago (auth_time).")


def _time(claims: Mapping[str, Any], name: str) -> float:
    time = numeric_date(claims.get(name))
    if time is None:
        raise _wrong(name)
    return time


def _check_organization(claims: Mapping[str, Any], expected: Expectation) -> None:
    asked, allowed = expected.organization, expected.organizations
    if asked is not None and not is_of_organization(claims, asked):
        raise _wrong(organization_claim(asked))
    has_one = "org_id" in claims or "org_name" in claims
    is_allowed = not allowed or any(is_of_organization(claims, each) for each in allowed)
    if asked is None and has_one and not is_allowed:
        raise IDTokenInvalid("The ID token has an organization that is not allowed (org_id).")
    before = expected.organization_id
    if before is not None and claims.get("org_id", before) != before:
        raise _wrong("org_id")
