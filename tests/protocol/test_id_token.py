"""Choice of the key, signature and claims of an ID token: each fault under its number."""

from __future__ import annotations

import dataclasses
import hmac
import json
import unicodedata
import warnings
from collections.abc import Sequence
from typing import Any

import pytest
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey

from flask_pkce.errors import IDTokenInvalid
from flask_pkce.protocol.claims import MULTI_FACTOR
from flask_pkce.protocol.id_token import (
    ALGORITHMS,
    MAX_KEYS,
    Expectation,
    UnknownKey,
    VerificationKey,
    parse_key_set,
    verify_id_token,
)
from flask_pkce.protocol.pkce import decode_base64url
from tests.support import (
    CLIENT_ID,
    ISSUER,
    NOW,
    base64url,
    ec_key,
    half_hash,
    id_claims,
    jwk,
    okp_key,
    rsa_key,
    sign,
    sign_parts,
)

ACCESS_TOKEN = "the-access-token"
CODE = "the-code"
NULL = object()
EXPECTED = Expectation(
    issuer=ISSUER,
    client_id=CLIENT_ID,
    algorithms=("RS256",),
    leeway=60,
    nonce="the-nonce",
    code=CODE,
    state="the-state",
)


def key_set(*members: Any) -> tuple[VerificationKey, ...]:
    """The keys of a set with those members; by default the tenant's one."""
    return parse_key_set({"keys": list(members) or [jwk(rsa_key(), kid="first")]})


def verify(
    token: str,
    expected: Expectation = EXPECTED,
    *,
    keys: Sequence[VerificationKey] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """Verify a token with the tenant's key, at the moment at which it was made."""
    return verify_id_token(
        token,
        dataclasses.replace(expected, **changes),
        keys=key_set() if keys is None else keys,
        access_token=ACCESS_TOKEN,
        now=NOW,
    )


def refused(token: str, what: str, expected: Expectation = EXPECTED, **kwargs: Any) -> None:
    """Check that a token is refused for that reason, and that its values are not told."""
    with pytest.raises(IDTokenInvalid, match=what) as caught:
        verify(token, expected, **kwargs)
    for secret in ("auth0|alice", "the-nonce", ACCESS_TOKEN):
        assert secret not in str(caught.value)


def refused_claims(claim: str, claims: dict[str, Any], **kwargs: Any) -> None:
    """Check that claims are refused for that claim, though the signature verifies."""
    refused(sign(claims), rf"wrong or missing claim: {claim}\.", **kwargs)


# -- what is in order ------------------------------------------------------------


@pytest.mark.requirement("ID-15")
def test_valid() -> None:
    """A token that is in order gives its claims, all of them."""
    claims = id_claims(at_hash=half_hash(ACCESS_TOKEN), email="alice@example.com")
    assert verify(sign(claims)) == claims


@pytest.mark.requirement("ID-17")
@pytest.mark.parametrize("typ", [None, "JWT", "jwt", "application/jwt"])
def test_type(typ: str | None) -> None:
    """A token says that it is a JWT, in any case, or says nothing."""
    assert verify(sign(id_claims(), typ=typ))["sub"] == "auth0|alice"


def _keys_for(alg: str) -> Key:
    kty = ALGORITHMS[alg][0]
    if kty == "RSA":
        return rsa_key()
    if kty == "OKP":
        return okp_key()
    return ec_key({"ES256": "P-256", "ES384": "P-384", "ES512": "P-521"}[alg])


@pytest.mark.requirement("ID-15")
@pytest.mark.parametrize("alg", ALGORITHMS)
@pytest.mark.filterwarnings("ignore::joserfc.errors.SecurityWarning")
def test_every_algorithm(alg: str) -> None:
    """Each algorithm verifies with a key of its kind, and hashes with its own hash."""
    key = _keys_for(alg)
    keys = key_set(jwk(key, kid="first", alg=alg))
    hash_name = "sha512" if alg == "EdDSA" else f"sha{alg[2:]}"
    hashed = half_hash(ACCESS_TOKEN, hash_name=hash_name)
    claims = id_claims(at_hash=hashed)
    assert verify(sign(claims, key, alg=alg), algorithms=(alg,), keys=keys) == claims
    other = id_claims(at_hash=half_hash(ACCESS_TOKEN, hash_name="sha1"))
    refused(sign(other, key, alg=alg), "at_hash", algorithms=(alg,), keys=keys)


# -- issuer, audience, authorized party ------------------------------------------


@pytest.mark.requirement("A0-3", "A0-4", "ID-2", "N50b", "N68", "N68b")
@pytest.mark.parametrize(
    "iss",
    [
        pytest.param("https://evil.example/", id="N68 another"),
        pytest.param("https://tenant.example", id="N68b without its slash"),
        pytest.param("https://tenant.example/x", id="N68 longer"),
        pytest.param("tenant", id="N68 substring"),
        pytest.param("", id="empty"),
        pytest.param(None, id="missing"),
        pytest.param(["https://tenant.example/"], id="list"),
        pytest.param(5, id="number"),
    ],
)
def test_issuer(iss: Any) -> None:
    """The issuer is the tenant's to the byte (CVE-2024-53861)."""
    refused_claims("iss", id_claims(iss=iss))


@pytest.mark.requirement("ID-3")
@pytest.mark.parametrize("aud", [CLIENT_ID, [CLIENT_ID]])
def test_audience(aud: Any) -> None:
    """We are the audience, alone or in a list of one."""
    assert verify(sign(id_claims(aud=aud)))["aud"] == aud


@pytest.mark.requirement("ID-3", "ID-4", "N69", "AV-3")
@pytest.mark.parametrize(
    "aud",
    [
        pytest.param("another-client", id="N69 another"),
        pytest.param(None, id="N69 missing"),
        pytest.param([CLIENT_ID, CLIENT_ID], id="twice"),
        pytest.param(["another-client"], id="another in a list"),
        pytest.param([], id="empty list"),
        pytest.param(f"{CLIENT_ID} ", id="with a space"),
        pytest.param({CLIENT_ID: True}, id="object"),
        pytest.param([[CLIENT_ID]], id="list in a list"),
        pytest.param(5, id="number"),
    ],
)
def test_bad_audience(aud: Any) -> None:
    """A token that is not for us is refused."""
    refused_claims("aud", id_claims(aud=aud))
    refused_claims("aud", id_claims(aud=aud, azp=CLIENT_ID), trusted_audiences=("another-client",))


@pytest.mark.requirement("ID-3", "N69", "AV-3")
@pytest.mark.parametrize("further", [["another"], ["project", "another"], [None], [["project"]]])
def test_untrusted_audience(further: list[Any]) -> None:
    """A token that is for us and for a stranger is refused, and the log names the setting."""
    token = sign(id_claims(aud=[CLIENT_ID, *further], azp=CLIENT_ID))
    for trusted in ((), ("project",)):
        refused(token, r"not trusted \(aud\)", trusted_audiences=trusted)
    with pytest.raises(IDTokenInvalid) as caught:
        verify(token)
    assert caught.value.setting == "PKCE_TRUSTED_AUDIENCES"


@pytest.mark.requirement("ID-3", "ID-4")
def test_trusted_audiences() -> None:
    """A token may be for audiences that are trusted, too, if it says that it was issued to us."""
    trusted = ("project", "other")
    for aud in ([CLIENT_ID, "project"], ["other", CLIENT_ID, "project"]):
        assert verify(sign(id_claims(aud=aud, azp=CLIENT_ID)), trusted_audiences=trusted)
        refused_claims("azp", id_claims(aud=aud), trusted_audiences=trusted)
        refused_claims("azp", id_claims(aud=aud, azp="project"), trusted_audiences=trusted)
    refused_claims("aud", id_claims(aud=["project"], azp=CLIENT_ID), trusted_audiences=trusted)
    refused_claims("aud", id_claims(aud="project", azp=CLIENT_ID), trusted_audiences=trusted)
    assert verify(sign(id_claims()), trusted_audiences=trusted)


@pytest.mark.requirement("ID-4", "N69b")
def test_authorized_party() -> None:
    """An ``azp``, where there is one, is us (N69b)."""
    assert verify(sign(id_claims(azp=CLIENT_ID)))
    refused_claims("azp", id_claims(azp="another-client"))
    refused_claims("azp", id_claims(azp=[CLIENT_ID]))


# -- times -----------------------------------------------------------------------


@pytest.mark.requirement("ID-9", "ST-5")
@pytest.mark.parametrize("exp", [NOW - 59, NOW - 59.5, NOW + 1, NOW + 0.25, NOW + 10**9])
def test_expiry(exp: float) -> None:
    """A token is good until it expires, and the leeway longer."""
    assert verify(sign(id_claims(exp=exp)))["exp"] == exp


@pytest.mark.requirement("ID-9", "N70b")
@pytest.mark.parametrize(
    "exp",
    [
        pytest.param(NOW - 60, id="N70b past"),
        pytest.param(None, id="N70b missing"),
        pytest.param(NOW - 60.25, id="past, with a fraction"),
        pytest.param(False, id="false"),
        pytest.param(-0.5, id="negative fraction"),
        pytest.param(1e300, id="huge float"),
        pytest.param(f"{NOW + 3600}", id="N70b text"),
        pytest.param(True, id="boolean"),
        pytest.param(-1, id="negative"),
        pytest.param(2**53, id="huge"),
        pytest.param([NOW + 3600], id="list"),
    ],
)
def test_bad_expiry(exp: Any) -> None:
    """A token that expired, or whose expiry is no number of seconds, is refused."""
    refused_claims("exp", id_claims(exp=exp))


@pytest.mark.requirement("ID-10")
@pytest.mark.parametrize("iat", [NOW + 60, NOW, NOW + 0.5, NOW - 660])
def test_time_of_issue(iat: float) -> None:
    """A token was issued at most ten minutes ago, give or take the leeway."""
    assert verify(sign(id_claims(iat=iat)))["iat"] == iat


@pytest.mark.requirement("ID-10", "N70c")
@pytest.mark.parametrize(
    "iat",
    [
        pytest.param(None, id="N70c missing"),
        pytest.param(NOW + 61, id="N70c future"),
        pytest.param(NOW - 661, id="N70c too old"),
        pytest.param(NOW - 7 * 86400, id="N70c a week old"),
        pytest.param(NOW + 60.5, id="future, with a fraction"),
        pytest.param(True, id="boolean"),
        pytest.param(str(NOW), id="text"),
    ],
)
def test_bad_time_of_issue(iat: Any) -> None:
    """A token that is old, or from the future, is refused."""
    refused_claims("iat", id_claims(iat=iat))


@pytest.mark.requirement("ID-10", "N70c")
def test_not_before() -> None:
    """``nbf`` is honoured where there is one (N70c)."""
    for nbf in (0, NOW + 60, NOW - 0.5):
        assert verify(sign(id_claims(nbf=nbf)))
    refused_claims("nbf", id_claims(nbf=NOW + 61))
    refused_claims("nbf", id_claims(nbf="soon"))
    token = sign(json.dumps({**id_claims(), "nbf": None}).encode())
    refused(token, "claim: nbf")


@pytest.mark.requirement("ID-9", "ST-5")
def test_no_leeway() -> None:
    """Without a leeway the second counts."""
    assert verify(sign(id_claims(exp=NOW + 1)), leeway=0)
    refused_claims("exp", id_claims(exp=NOW), leeway=0)
    refused_claims("iat", id_claims(iat=NOW + 1), leeway=0)


@pytest.mark.requirement("ID-13")
@pytest.mark.parametrize("auth_time", [NOW - 360, NOW, NOW - 0.5])
def test_time_of_authentication(auth_time: float) -> None:
    """With ``max_age`` or ``prompt=login`` the user authenticated since."""
    token = sign(id_claims(auth_time=auth_time))
    assert verify(token, authenticated_since=NOW - 300)


@pytest.mark.requirement("ID-13", "N70d", "N70e", "T31")
@pytest.mark.parametrize("auth_time", [NOW - 361, NOW - 86400])
def test_authentication_too_long_ago(auth_time: int) -> None:
    """An authentication of before is refused, though the URL was changed (N70d, N70e)."""
    token = sign(id_claims(auth_time=auth_time))
    refused(token, "too long ago", authenticated_since=NOW - 300)
    assert verify(token)


@pytest.mark.requirement("ID-13", "N70d", "N70e")
@pytest.mark.parametrize("auth_time", [None, str(NOW), True, False])
def test_no_time_of_authentication(auth_time: Any) -> None:
    """Where it was asked for, the time of authentication must be there (N70d)."""
    refused_claims("auth_time", id_claims(auth_time=auth_time), authenticated_since=NOW - 300)


@pytest.mark.requirement("ID-13")
def test_authentication_that_is_yet_to_come() -> None:
    """Nobody authenticated in the future, whether or not it was asked when."""
    assert verify(sign(id_claims(auth_time=NOW + 60)))
    assert verify(sign(id_claims(auth_time=None)))
    for since in (None, NOW - 300):
        refused_claims("auth_time", id_claims(auth_time=NOW + 61), authenticated_since=since)


# -- nonce, subject, access token, organization ----------------------------------


@pytest.mark.requirement("BC-2", "ID-11", "N70", "N70a", "AV-2", "AV-3", "T3", "T6")
@pytest.mark.parametrize(
    "nonce",
    [
        pytest.param("another", id="N70 another"),
        pytest.param(None, id="N70a missing"),
        pytest.param("", id="empty"),
        pytest.param("the-nonce ", id="with a space"),
        pytest.param("THE-NONCE", id="another case"),
        pytest.param("die-nonçe", id="beyond ASCII"),
        pytest.param(["the-nonce"], id="list"),
        pytest.param(5, id="number"),
    ],
)
def test_nonce(nonce: Any) -> None:
    """The nonce is the one that was sent."""
    refused_claims("nonce", id_claims(nonce=nonce))


@pytest.mark.requirement("ID-21")
def test_nonce_at_a_refresh() -> None:
    """A refreshed ID token has no nonce, or that of the sign-in (OpenID Connect Core 12.2)."""
    for nonce in (None, "the-nonce"):
        assert verify(sign(id_claims(nonce=nonce)), subject="auth0|alice")
    for other in ("another", "", 5):
        refused_claims("nonce", id_claims(nonce=other), subject="auth0|alice")


def test_refresh_of_a_sign_in_whose_nonce_was_not_kept() -> None:
    """Where the nonce of the sign-in is not known, none is looked for."""
    assert verify(sign(id_claims()), nonce=None, subject="auth0|alice")


@pytest.mark.requirement("ID-14")
@pytest.mark.parametrize("sub", ["a", "x" * 255, "auth0|5f7c8ec7c33c6c004bbafe82", "ad|Jane Doe"])
def test_subject(sub: str) -> None:
    """A subject has 1 to 255 ASCII characters."""
    assert verify(sign(id_claims(sub=sub)))["sub"] == sub


@pytest.mark.requirement("ID-14", "N70f", "AV-3")
@pytest.mark.parametrize(
    "sub",
    [
        pytest.param(None, id="N70f missing"),
        pytest.param("", id="N70f empty"),
        pytest.param("x" * 256, id="N70f too long"),
        pytest.param(5, id="N70f number"),
        pytest.param(["auth0|alice"], id="list"),
        pytest.param("jürgen", id="beyond ASCII"),
        pytest.param("auth0|alice\n", id="control character"),
    ],
)
def test_bad_subject(sub: Any) -> None:
    """Without a proper subject nobody signed in."""
    refused_claims("sub", id_claims(sub=sub))


@pytest.mark.requirement("ID-14", "ID-21", "N85")
def test_subject_of_the_sign_in() -> None:
    """A refreshed ID token keeps the subject, its case included."""
    assert verify(sign(id_claims()), subject="auth0|alice")
    refused_claims("sub", id_claims(), subject="auth0|bob")
    refused_claims("sub", id_claims(sub="AUTH0|alice"), subject="auth0|alice")


@pytest.mark.requirement("ID-15", "N70g")
@pytest.mark.parametrize(
    "value",
    [
        pytest.param("A" * 22, id="N70g another"),
        pytest.param(half_hash("another-token"), id="N70g of another token"),
        pytest.param(half_hash(ACCESS_TOKEN) + "=", id="padding"),
        pytest.param(half_hash(ACCESS_TOKEN)[:-1], id="shorter"),
        pytest.param("", id="empty"),
        pytest.param("ä" * 22, id="beyond ASCII"),
        pytest.param(5, id="number"),
        pytest.param([half_hash(ACCESS_TOKEN)], id="list"),
        pytest.param(NULL, id="null"),
    ],
)
def test_hash_of_another_access_token(value: Any) -> None:
    """An ``at_hash``, where there is one, is that of the access token that came along."""
    refused(sign(id_claims() | {"at_hash": None if value is NULL else value}), "at_hash")


@pytest.mark.requirement("ID-16", "N70h")
@pytest.mark.parametrize(
    "value", ["A" * 22, half_hash("another-code"), half_hash(ACCESS_TOKEN), 5]
)
def test_c_hash(value: Any) -> None:
    """A ``c_hash``, where there is one, is that of the code that was exchanged (N70h)."""
    claims = id_claims(c_hash=half_hash(CODE))
    assert verify(sign(claims)) == claims
    refused(sign(id_claims(c_hash=value)), "c_hash")
    # Without a code, at a refresh, it says nothing.
    assert verify(sign(id_claims(c_hash=value)), code=None)


@pytest.mark.requirement("ID-16")
@pytest.mark.parametrize("value", ["A" * 22, half_hash("another-state"), half_hash(CODE), 5])
def test_s_hash(value: Any) -> None:
    """An ``s_hash``, where there is one, is that of the state that was sent (ID-16)."""
    claims = id_claims(s_hash=half_hash("the-state"))
    assert verify(sign(claims)) == claims
    refused(sign(id_claims(s_hash=value)), "s_hash")
    # At a refresh it says nothing.
    assert verify(sign(id_claims(s_hash=value)), state=None)


@pytest.mark.requirement("A0-27")
@pytest.mark.parametrize("updated_at", [1_700_000_000, "2026-11-22T20:00:00.000Z", None, True])
def test_kind_of_updated_at(updated_at: Any) -> None:
    """Auth0 tells ``updated_at`` as a text or a number, by the profile of the tenant."""
    assert verify(sign(id_claims(updated_at=updated_at))).get("updated_at") == updated_at


@pytest.mark.requirement("organization", "A0-20", "N70k")
@pytest.mark.parametrize(
    ("asked", "claims"),
    [
        pytest.param("org_1", {"org_id": "org_1"}, id="id"),
        pytest.param("acme", {"org_name": "acme"}, id="name"),
        pytest.param("Acme", {"org_name": "aCME"}, id="N70k case of a name"),
        pytest.param(
            "café", {"org_name": unicodedata.normalize("NFD", "CAFÉ")}, id="N70k decomposed name"
        ),
    ],
)
def test_organization(asked: str, claims: dict[str, Any]) -> None:
    """The organization is the one that was asked for: an id exactly, a name as people read it."""
    assert verify(sign(id_claims(**claims)), organization=asked)


@pytest.mark.requirement("organization", "A0-20", "N70i", "N70j", "T26", "T31")
@pytest.mark.parametrize(
    ("asked", "claim", "claims"),
    [
        pytest.param("org_1", "org_id", {"org_id": "org_2"}, id="N70i another id"),
        pytest.param("org_1", "org_id", {}, id="N70i missing"),
        pytest.param("org_1", "org_id", {"org_id": ["org_1"]}, id="N70i list"),
        pytest.param("org_1", "org_id", {"org_id": "ORG_1"}, id="N70i case of an id"),
        pytest.param("org_1", "org_id", {"org_name": "org_1"}, id="a name for an id"),
        pytest.param("acme", "org_name", {"org_name": "other"}, id="N70j another name"),
        pytest.param("acme", "org_name", {"org_id": "org_1"}, id="N70j missing name"),
        pytest.param("acme", "org_name", {"org_name": 5}, id="N70j number"),
    ],
)
def test_other_organization(asked: str, claim: str, claims: dict[str, Any]) -> None:
    """A sign-in to another organization, or to none, is refused."""
    refused_claims(claim, id_claims(**claims), organization=asked)


@pytest.mark.requirement("A0-21", "N70l", "T26")
@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({}, id="none"),
        pytest.param({"org_id": "org_1"}, id="id"),
        pytest.param({"org_id": "org_9", "org_name": "ACME"}, id="name"),
    ],
)
def test_organization_that_is_allowed(claims: dict[str, Any]) -> None:
    """Where none was asked for, an allowed one may sign in, and somebody of none."""
    assert verify(sign(id_claims(**claims)), organizations=("org_1", "acme"))


@pytest.mark.requirement("A0-21", "N70l", "T26")
@pytest.mark.parametrize(
    "claims",
    [
        pytest.param({"org_id": "org_2"}, id="N70l another id"),
        pytest.param({"org_name": "other"}, id="N70l another name"),
        pytest.param({"org_id": 5}, id="number"),
        pytest.param({"org_name": "org_1"}, id="a name for an id"),
        pytest.param({"org_id": "acme"}, id="an id for a name"),
    ],
)
def test_organization_that_is_not_allowed(claims: dict[str, Any]) -> None:
    """Any other is refused, though nobody asked for one (N70l)."""
    with pytest.raises(IDTokenInvalid, match="not allowed"):
        verify(sign(id_claims(**claims)), organizations=("org_1", "acme"))


@pytest.mark.requirement("T26")
def test_organization_at_a_refresh() -> None:
    """A refreshed ID token keeps the organization, or says nothing of it."""
    for claims in ({}, {"org_id": "org_1"}):
        assert verify(sign(id_claims(**claims)), organization_id="org_1")
    refused_claims("org_id", id_claims(org_id="org_2"), organization_id="org_1")


@pytest.mark.requirement("ID-12", "T31")
@pytest.mark.parametrize(
    ("demanded", "claims"),
    [
        (("a",), {"acr": "a"}),
        (("a", "b"), {"acr": "b"}),
        ((MULTI_FACTOR,), {"acr": MULTI_FACTOR}),
        ((MULTI_FACTOR,), {"amr": ["pwd", "mfa"]}),
        ((), {"acr": "whatever"}),
    ],
)
def test_context(demanded: tuple[str, ...], claims: dict[str, Any]) -> None:
    """The user authenticated as was demanded; of a second factor ``amr`` may tell."""
    assert verify(sign(id_claims(**claims)), acr_values=demanded)


@pytest.mark.requirement("ID-12", "T31")
@pytest.mark.parametrize(
    ("demanded", "claims"),
    [
        (("a",), {}),
        (("a",), {"acr": "b"}),
        (("a",), {"acr": ["a"]}),
        (("a",), {"amr": ["mfa"]}),
        ((MULTI_FACTOR,), {"amr": ["pwd"]}),
        ((MULTI_FACTOR,), {"amr": "mfa"}),
    ],
)
def test_other_context(demanded: tuple[str, ...], claims: dict[str, Any]) -> None:
    """One who authenticated otherwise, or of whom that is not said, is refused."""
    with pytest.raises(IDTokenInvalid, match="acr"):
        verify(sign(id_claims(**claims)), acr_values=demanded)


# -- signature and algorithm -----------------------------------------------------


def _flipped(token: str) -> str:
    head, _, signature = token.rpartition(".")
    return f"{head}.{'B' if signature[0] == 'A' else 'A'}{signature[1:]}"


@pytest.mark.requirement("ID-5", "N71")
@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(_flipped, id="N71 changed"),
        pytest.param(lambda token: token[:-8], id="N71 cut off"),
        pytest.param(lambda token: token.rpartition(".")[0] + ".", id="N71 empty"),
        pytest.param(lambda token: token + "=", id="padding"),
        pytest.param(lambda token: token.rpartition(".")[0] + ".*", id="no base64url"),
        pytest.param(
            lambda token: token.replace(
                token.split(".")[1], base64url(json.dumps(id_claims(sub="bob")).encode())
            ),
            id="other claims under the signature",
        ),
    ],
)
def test_signature(spoil: Any) -> None:
    """A signature that does not verify is refused, whatever the claims say."""
    refused(spoil(sign(id_claims())), "signature of the ID token does not verify")


@pytest.mark.requirement("ID-5", "T22")
def test_signature_of_another_key() -> None:
    """A key of somebody else is not taken, though it is called like ours (T22)."""
    refused(sign(id_claims(), rsa_key("another")), "does not verify")


@pytest.mark.requirement("ID-8", "N72", "T22")
@pytest.mark.parametrize("alg", ["none", "nOnE", "NONE", ""])
@pytest.mark.parametrize("allowed", [("RS256",), ("none", "nOnE", "NONE", "")])
def test_no_signature(alg: str, allowed: tuple[str, ...]) -> None:
    """A token without a signature is refused, even if somebody allowed it (N72)."""
    head, payload = ({"alg": alg}, id_claims())
    token = ".".join(base64url(json.dumps(part).encode()) for part in (head, payload)) + "."
    refused(token, "algorithm that is not allowed", algorithms=allowed)


@pytest.mark.requirement("ID-7", "N72b", "N72c", "T22")
@pytest.mark.parametrize(
    "secret",
    [
        pytest.param(rsa_key().as_pem(private=False), id="N72b the public key"),
        pytest.param(rsa_key().as_der(private=False), id="N72b the public key in DER"),
        pytest.param(b"the client secret, long enough to use", id="N72c the client secret"),
    ],
)
@pytest.mark.parametrize("allowed", [("RS256",), ("HS256",)])
def test_symmetric_signature(secret: bytes, allowed: tuple[str, ...]) -> None:
    """A MAC with whatever a stranger may know is refused, even if somebody allowed it."""
    # By hand, for joserfc would not do this.
    parts = ({"alg": "HS256", "kid": "first"}, id_claims())
    signed = ".".join(base64url(json.dumps(part).encode()) for part in parts)
    token = f"{signed}.{base64url(hmac.digest(secret, signed.encode(), 'sha256'))}"
    refused(token, "algorithm that is not allowed", algorithms=allowed)


@pytest.mark.requirement("ID-6", "N72d", "T22")
@pytest.mark.parametrize("alg", ["RS384", "PS256"])
def test_algorithm_that_is_not_allowed(alg: str) -> None:
    """A good algorithm that the operator does not allow is refused (N72d)."""
    refused(sign(id_claims(), alg=alg), "algorithm that is not allowed")


@pytest.mark.requirement("ID-6")
@pytest.mark.parametrize("alg", [None, 5, ["RS256"]])
def test_algorithm_of_another_kind(alg: Any) -> None:
    """A header without an algorithm is refused."""
    header = json.dumps({"alg": alg, "kid": "first"}).encode()
    token = sign_parts(header, json.dumps(id_claims()).encode(), alg="RS256")
    refused(token, "algorithm that is not allowed")


@pytest.mark.requirement("ID-17", "T22")
@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"crit": ["exp"], "exp": 1}, id="N74b crit"),
        pytest.param({"crit": []}, id="N74b empty crit"),
        pytest.param({"crit": ["b64"], "b64": False}, id="unencoded payload"),
        pytest.param({"b64": False}, id="unencoded payload without crit"),
        pytest.param({"b64": 1}, id="b64 of another kind"),
    ],
)
def test_critical_header(header: dict[str, Any]) -> None:
    """A header that asks for something we do not do is refused (CVE-2025-59420)."""
    refused(sign(id_claims(), **header), "critical header")


@pytest.mark.requirement("ID-17", "T22")
@pytest.mark.parametrize("typ", ["at+jwt", "application/at+jwt", "logout+jwt", "", 5, ["JWT"]])
def test_token_of_another_type(typ: Any) -> None:
    """An access or logout token of the same tenant is no ID token (N74c)."""
    refused(sign(id_claims(), typ=typ), "token of another type")


@pytest.mark.requirement("ID-17")
@pytest.mark.parametrize(
    "header",
    [
        pytest.param({"unheard-of": [1, {"a": None}]}, id="unknown"),
        pytest.param({"nonce": "x"}, id="of a vendor"),
        pytest.param({"x5t": "x", "x5c": ["MIIB" * 500]}, id="certificates"),
    ],
)
def test_header_that_is_ignored(header: dict[str, Any]) -> None:
    """Header parameters that are not understood are ignored (RFC 7515 4)."""
    assert verify(sign(id_claims(), **header))


@pytest.mark.requirement("ID-17")
def test_longest_token() -> None:
    """Auth0 permits 100 kB of claims of a host's own."""
    assert verify(sign(id_claims(roles="x" * 95_000)))


@pytest.mark.requirement("ID-17", "T12", "T22")
def test_keys_in_the_header() -> None:
    """Keys that a token brings along are not looked at (N75)."""
    mine = rsa_key("another")
    token = sign(id_claims(), mine, jwk=jwk(mine), jku="https://evil.example/keys", x5c=["MIIB"])
    refused(token, "does not verify")


# -- form ------------------------------------------------------------------------


@pytest.mark.requirement("ID-17")
@pytest.mark.parametrize(
    "token",
    [
        pytest.param("", id="nothing"),
        pytest.param("e30.e30", id="two parts"),
        pytest.param("e30.e30.e30.e30.e30", id="encrypted"),
        pytest.param("*.e30.x", id="no base64url"),
        pytest.param("e30=.e30.x", id="padding"),
        pytest.param(f"{base64url(b'[]')}.e30.x", id="header is a list"),
        pytest.param(f"e30.{base64url(b'5')}.x", id="payload is a number"),
        pytest.param(f"e30.{base64url(b'{')}.x", id="payload is cut off"),
        pytest.param(f"e30.{base64url(bytes([0xFF]))}.x", id="payload is not UTF-8"),
    ],
)
def test_no_token(token: str) -> None:
    """What is no compact JWS with two JSON objects is no ID token."""
    refused(token, "is no signed JWT")


@pytest.mark.requirement("ID-17")
def test_header_that_is_too_long() -> None:
    """A header has at most 4096 characters, however well it is signed."""
    room = 4096 * 3 // 4 - len(decode_base64url(sign(id_claims(), x="").split(".")[0]))
    longest = sign(id_claims(), x="x" * room)
    assert len(longest.split(".")[0]) == 4096
    assert verify(longest)
    refused(sign(id_claims(), x="x" * (room + 1)), "is no signed JWT")


@pytest.mark.requirement("ID-18", "T22")
@pytest.mark.parametrize(
    "payload",
    [
        pytest.param(
            json.dumps(id_claims())[:-1] + ', "sub": "auth0|bob"}', id="N75b a claim twice"
        ),
        pytest.param(json.dumps(id_claims(x=[[]]))[:-1] + ', "y": NaN}', id="NaN"),
        pytest.param(json.dumps(id_claims())[:-1] + ', "exp2": 1e999}', id="infinity"),
        pytest.param(
            json.dumps(id_claims())[:-1] + f', "x": {"[" * 33}{"]" * 33}}}', id="too deep"
        ),
        pytest.param(json.dumps(id_claims())[:-1] + ', "x": "\\ud800"}', id="half a character"),
    ],
)
def test_signed_nonsense(payload: str) -> None:
    """JSON that could be read in two ways is refused, though it is signed."""
    refused(sign(payload.encode()), "is no signed JWT")


@pytest.mark.parametrize(
    ("in_header", "in_claims", "taken"), [(4, 32, True), (5, 32, False), (4, 33, False)]
)
def test_depth(in_header: int, in_claims: int, taken: bool) -> None:
    """A header is at most 4 objects and lists deep, and claims are at most 32."""

    def lists(depth: int) -> Any:
        return [] if depth == 1 else [lists(depth - 1)]

    token = sign(id_claims(x=lists(in_claims - 1)), x=lists(in_header - 1))
    if taken:
        assert verify(token)
    else:
        refused(token, "is no signed JWT")


@pytest.mark.requirement("ID-18", "T22")
def test_duplicate_header() -> None:
    """A header parameter must not occur twice (N75b)."""
    header = b'{"alg":"none","alg":"RS256","kid":"first"}'
    token = sign_parts(header, json.dumps(id_claims()).encode(), alg="RS256")
    refused(token, "is no signed JWT")


# -- choice of the key -----------------------------------------------------------


def test_unknown_key() -> None:
    """A token of a key that the set does not have may be one of a new key (N74)."""
    with pytest.raises(UnknownKey):
        verify(sign(id_claims(), kid="second"))
    with pytest.raises(UnknownKey):
        verify(sign(id_claims()), keys=())


def test_token_without_a_key_id() -> None:
    """Without ``kid`` the one key that fits is taken; among several none (Core 10.1)."""
    token = sign(id_claims(), kid=None)
    assert verify(token)
    two = key_set(jwk(rsa_key(), kid="first"), jwk(rsa_key("another"), kid="second"))
    with pytest.raises(UnknownKey, match="exactly one key"):
        verify(token, keys=two)
    one_fits = key_set(jwk(rsa_key(), kid="first"), jwk(ec_key(), kid="second"))
    assert verify(token, keys=one_fits)


def test_key_without_an_id() -> None:
    """A key without ``kid`` serves tokens without one."""
    keys = key_set(jwk(rsa_key(), kid=None))
    assert verify(sign(id_claims(), kid=None), keys=keys)
    with pytest.raises(UnknownKey):
        verify(sign(id_claims()), keys=keys)


@pytest.mark.parametrize("members", [{}, {"key_ops": ["verify"]}, {"alg": "RS256"}])
def test_key_that_does_not_say_its_use(members: dict[str, Any]) -> None:
    """A key without ``use`` serves, unless something else of it says that it does not."""
    keys = key_set(jwk(rsa_key(), kid="first", use=None, **members))
    assert verify(sign(id_claims()), keys=keys)


@pytest.mark.requirement("MD-8", "F2-2", "T22")
def test_decoys() -> None:
    """Keys with the same ``kid`` and another kind or algorithm do not confuse (N76)."""
    decoys = [
        jwk(ec_key(), kid="first"),
        jwk(okp_key(), kid="first"),
        jwk(rsa_key("another"), kid="first", alg="RS384"),
        jwk(rsa_key("another"), kid="first", use="enc"),
        jwk(rsa_key("another"), kid="first", key_ops=["encrypt"], use=None),
        jwk(rsa_key("another"), kid="second"),
    ]
    keys = key_set(*decoys, jwk(rsa_key(), kid="first", alg="RS256"))
    assert verify(sign(id_claims()), keys=keys)


@pytest.mark.requirement("MD-8", "F2-2")
def test_two_keys_that_fit() -> None:
    """Of two keys with the same ``kid`` that fit, neither is guessed."""
    two = key_set(jwk(rsa_key(), kid="first"), jwk(rsa_key("another"), kid="first"))
    with pytest.raises(UnknownKey, match="exactly one key"):
        verify(sign(id_claims()), keys=two)


def test_key_id_of_another_kind() -> None:
    """A ``kid`` that is no text is no key's."""
    with pytest.raises(UnknownKey):
        verify(sign(id_claims(), kid=5))


@pytest.mark.requirement("ID-6")
def test_curve_of_the_algorithm() -> None:
    """An algorithm on a curve takes a key on that curve alone."""
    keys = key_set(jwk(ec_key("P-384"), kid="first"))
    token = sign(id_claims(), ec_key("P-256"), alg="ES256")
    with pytest.raises(UnknownKey):
        verify(token, algorithms=("ES256",), keys=keys)


GOOD = jwk(rsa_key(), kid="first")


@pytest.mark.requirement("MD-8", "N77")
@pytest.mark.parametrize(
    "member",
    [
        pytest.param(5, id="number"),
        pytest.param({}, id="empty"),
        pytest.param({**GOOD, "n": "!"}, id="N77 modulus is no number"),
        pytest.param({**GOOD, "n": 5}, id="N77 modulus of another kind"),
        pytest.param({**GOOD, "e": "AQ"}, id="exponent of one"),
        pytest.param({name: GOOD[name] for name in ("kty", "kid", "e")}, id="N77 no modulus"),
        pytest.param({**GOOD, "kty": 5}, id="kind of key is a number"),
        pytest.param({**GOOD, "kty": ["RSA"]}, id="kind of key is a list"),
        pytest.param({**GOOD, "kty": "unheard-of"}, id="unknown kind of key"),
        pytest.param({**GOOD, "use": "enc"}, id="for encryption"),
        pytest.param({**GOOD, "key_ops": ["sign"]}, id="for signing"),
        pytest.param({**GOOD, "key_ops": "verify"}, id="key_ops is no list"),
        pytest.param({**GOOD, "kid": 5}, id="kid is a number"),
        pytest.param({**GOOD, "alg": ["RS256"]}, id="alg is a list"),
        pytest.param(rsa_key().as_dict(private=True), id="private"),
        pytest.param({"kty": "oct", "k": "c2VjcmV0", "kid": "first"}, id="symmetric"),
        pytest.param({**jwk(ec_key()), "crv": "P-999"}, id="unknown curve"),
        pytest.param({**jwk(ec_key()), "x": "AAAA"}, id="not on the curve"),
    ],
)
def test_member_that_is_no_key(member: Any) -> None:
    """One bad member is left out; the others serve (CVE-2026-102274)."""
    assert key_set(member) == ()
    keys = key_set(member, GOOD)
    assert [key.kid for key in keys] == ["first"]
    assert verify(sign(id_claims()), keys=keys)


class Unread(dict[str, Any]):
    """A member of a key set that must not be looked at."""

    def get(self, *_: object) -> Any:
        raise AssertionError("a member was read")


@pytest.mark.requirement("MD-8")
def test_more_keys_than_there_may_be() -> None:
    """A set of 100 members is read; of one with more not even the first is."""
    decoys = [{"kty": "unheard-of"}] * (MAX_KEYS - 1)
    assert [key.kid for key in key_set(*decoys, GOOD)] == ["first"]
    with pytest.raises(ValueError, match="more than 100 keys"):
        key_set(*([Unread(GOOD)] * (MAX_KEYS + 1)))


@pytest.mark.requirement("MD-8")
@pytest.mark.parametrize(("size", "taken"), [(1024, 0), (2040, 0), (2048, 1)])
def test_size_of_an_rsa_key(size: int, taken: int) -> None:
    """An RSA key of fewer than 2048 bits is left out."""
    with warnings.catch_warnings(action="ignore", category=SecurityWarning):
        assert len(key_set(jwk(rsa_key("small", size)))) == taken


@pytest.mark.parametrize("document", [{}, {"keys": None}, {"keys": {}}, {"keys": "x"}])
def test_no_key_set(document: dict[str, Any]) -> None:
    """A document without a list of keys is no key set."""
    with pytest.raises(ValueError, match="no list of keys"):
        parse_key_set(document)


def test_empty_key_set() -> None:
    """A key set may be empty; then nothing verifies."""
    assert parse_key_set({"keys": []}) == ()


def test_keys_are_not_shown() -> None:
    """A key in a log tells which it is, and the expectation not its nonce."""
    assert "the-nonce" not in repr(EXPECTED)
    assert [key.kty for key in key_set(GOOD, jwk(ec_key()), jwk(okp_key()))] == [
        RSAKey.key_type,
        ECKey.key_type,
        OKPKey.key_type,
    ]
