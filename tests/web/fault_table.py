"""What comes of each fault of the local tenant, in a sign-in or after it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tests.web.fault_row import Row


def rows() -> Iterator[Row]:
    """Every row of the table."""
    yield from _accepted()
    yield from _id_token()
    yield from _answers_of_the_token_endpoint()
    yield from _refusals()
    yield from _metadata()
    yield from _keys()
    yield from _connection()
    yield from _authorization()
    yield from _refresh()


# -- what must be accepted ---------------------------------------------------

ORGANIZATION = {"organization": "org_alice"}
NAMED_ORGANIZATION = {"organization": "Café"}
SECRET = {"PKCE_CLIENT_SECRET": "the-client-secret-of-the-application"}


def _accepted() -> Iterator[Row]:
    for name in (
        *("valid-aud-as-array", "missing-athash", "valid-chash", "valid-shash"),
        *("aggregated-claims", "distributed-claims", "kid-absent-single-jwks"),
        *("idtoken-foreign-headers", "signing-key-rotation"),
        *("signing-key-rotation-just-before-signing", "jwks-garbage-key", "jwks-garbage-keys"),
        *("jwks-decoys", "metadata-other-types", "token-type-case-insensitivity"),
        *("token-endpoint-response-without-expires_in", "no-scope-in-token-endpoint-response"),
        *("token-expires-in-null", "token-expires-in-digits", "token-unknown-members"),
        # The library never calls it.
        *("metadata-foreign-userinfo-endpoint", "metadata-http-userinfo-endpoint"),
        *("metadata-wrong-type-userinfo-endpoint", "metadata-missing-userinfo-endpoint"),
        *("code-vschar", "token-vschar", "times-float", "metadata-missing-end-session-endpoint"),
        *("userinfo-invalid-sub", "revoke-503", "metadata-missing-revocation-endpoint"),
        # Nothing is pushed here.
        *("par-503", "par-413", "par-refused", "par-no-request-uri", "par-expires-in-zero"),
    ):
        yield Row(name, "nowhere", flow="done")
    for name in ("org-name-other-case", "org-name-decomposed"):
        yield Row(name, "nowhere", flow="done", seed=NAMED_ORGANIZATION)
    trusted = {"PKCE_TRUSTED_AUDIENCES": "another-client"}
    yield Row("invalid-secondary-aud", "nowhere", flow="done", settings=trusted)
    # The published model has them equal.
    yield Row("nonce-is-state", "nowhere", flow="done", delivery="caller")


# -- the ID token ------------------------------------------------------------

#: Each fault, with the claim that is told.
WRONG_CLAIMS = {
    "invalid-iss": "iss",
    "invalid-iss-substring": "iss",
    "invalid-iss-without-slash": "iss",
    "invalid-missing-iss": "iss",
    "missing-sub": "sub",
    "sub-empty": "sub",
    "sub-too-long": "sub",
    "sub-number": "sub",
    "invalid-aud": "aud",
    "missing-aud": "aud",
    "invalid-azp": "azp",
    "missing-iat": "iat",
    "iat-in-future": "iat",
    "iat-is-week-in-past": "iat",
    "expired": "exp",
    "invalid-expired-exp": "exp",
    "invalid-missing-exp": "exp",
    "exp-text": "exp",
    "nbf-in-future": "nbf",
    "nonce-invalid": "nonce",
    "missing-nonce": "nonce",
}

#: Faults of the token itself, with what is told.
UNVERIFIED = {
    "invalid-secondary-aud": "not trusted (aud)",
    "invalid-athash": "at_hash",
    "invalid-chash": "c_hash",
    "invalid-shash": "s_hash",
    "invalid-sig-rs256": "signature",
    "sig-truncated": "signature",
    "sig-empty": "signature",
    "invalid-sig-hs256": "algorithm",
    "invalid-sig-es256": "algorithm",
    "idtoken-sig-none": "algorithm",
    "idtoken-sig-none-mixed-case": "algorithm",
    "invalid-null-alg": "algorithm",
    "invalid-alternate-alg": "algorithm",
    "idtoken-sig-rs384": "algorithm",
    "idtoken-sig-hs256-public-key": "algorithm",
    "idtoken-crit": "critical",
    "idtoken-b64-false": "critical",
    "idtoken-typ-at-jwt": "another type",
    "idtoken-embedded-jwk": "signature",
    "idtoken-jku": "exactly one key",
    "idtoken-x5u": "signature",
    "kid-absent-multiple-jwks": "exactly one key",
    "jwks-unknown-kid-storm": "exactly one key",
    "idtoken-duplicate-claims": "no signed JWT",
    "idtoken-duplicate-headers": "no signed JWT",
    "idtoken-nested": "no signed JWT",
    "idtoken-nan": "no signed JWT",
    "idtoken-not-json": "no signed JWT",
    "encrypted-idtoken": "no signed JWT",
    "idtoken-garbage": "no signed JWT",
    "no-id-token": "no ID token",
    "jwks-garbage-only": "exactly one key",
    "jwks-empty-set": "exactly one key",
    "jwks-ambiguous-kid": "exactly one key",
    "jwks-private-key": "exactly one key",
    "jwks-short-key": "exactly one key",
}

MAX_AGE = {"ADDITIONAL_PARAMETERS": {"max_age": "60"}}
LOGIN = {"prompt": "login"}


def _id_token() -> Iterator[Row]:
    for name, claim in WRONG_CLAIMS.items():
        yield _unverified(name, f"wrong or missing claim: {claim}.")
    for name, detail in UNVERIFIED.items():
        yield _unverified(name, detail)
    secret = "idtoken-sig-hs256-client-secret"
    yield _unverified(secret, "algorithm", settings=SECRET)
    yield _unverified("nonce-is-state", "claim: nonce.", delivery="session")
    for seed in (MAX_AGE, LOGIN):
        yield _unverified("missing-auth-time", "claim: auth_time.", seed=seed)
        yield _unverified("stale-auth-time", "too long ago (auth_time)", seed=seed)
    for name in ("org-id-wrong", "org-id-missing", "org-id-list"):
        yield _unverified(name, "claim: org_id.", seed=ORGANIZATION)
    yield _unverified("org-name-wrong", "claim: org_name.", seed=NAMED_ORGANIZATION)


def _unverified(fault: str, detail: str, **more: Any) -> Row:
    return Row(fault, "token", "id-token-invalid", detail, revoked=1, **more)


# -- the token endpoint ------------------------------------------------------

#: The suffixes of what each endpoint can answer, with what is told.
NO_DOCUMENT = {
    "html": "other than JSON",
    "wrong-media-type": "other than JSON",
    "empty": "not JSON",
    "not-json": "not JSON",
    "not-utf8": "not UTF-8",
    "list": "not a JSON object",
    "null": "not a JSON object",
    "duplicate-member": "a name occurs twice",
    "nan": "not a finite number",
    "infinity": "not a finite number",
    "deeply-nested": "nested too deeply",
    "surrogate": "half of a surrogate pair",
    "oversized": "too large",
    "gzip-bomb": "compressed",
    "endless-body": "too large",
}

UNUSABLE_TOKENS = {
    "token-html-500": "answered 500 with something other than JSON",
    "token-204": "answered 204 with something other than JSON",
    "token-type-missing": "token_type",
    "token-type-mac": "token_type",
    "token-type-dpop": "token_type",
    "token-type-number": "token_type",
    "token-access-token-missing": "no access_token",
    "token-access-token-empty": "access_token",
    "token-access-token-number": "access_token",
    "token-access-token-control": "access_token",
    "token-access-token-oversized": "access_token",
    "token-expires-in-negative": "expires_in",
    "token-expires-in-true": "expires_in",
    "token-expires-in-text": "expires_in",
    "token-expires-in-huge": "expires_in",
    "token-id-token-number": "id_token",
    "token-id-token-empty": "id_token",
    "idtoken-oversized": "id_token",
    "token-refresh-token-list": "refresh_token",
    "token-scope-number": "scope",
}

#: Those of them from which no refresh token can be read, so that none is revoked.
WITHOUT_REFRESH_TOKEN = {"token-html-500", "token-204", "token-refresh-token-list"}


def _answers_of_the_token_endpoint() -> Iterator[Row]:
    for suffix, detail in NO_DOCUMENT.items():
        yield Row(f"token-{suffix}", "token", "tenant-nonsense", detail)
    for name, detail in UNUSABLE_TOKENS.items():
        revoked = int(name not in WITHOUT_REFRESH_TOKEN)
        yield Row(name, "token", "tenant-nonsense", detail, revoked=revoked)
    yield Row("token-500", "token", "tenant-nonsense", "answered 500")
    yield Row("token-redirect-307", "token", "tenant-nonsense", "redirect, which is not followed")
    yield Row("token-cut-off", "token", "tenant-silent")
    yield Row("token-slow-drip", "token", "tenant-silent", seconds=0.2)


def _refusals() -> Iterator[Row]:
    yield Row("token-invalid-grant", "token", "grant-refused")
    yield Row("token-invalid-client", "token", "client-refused")
    unauthorized = "unauthorized_client"
    yield Row("token-unauthorized-client", "token", "client-refused", error=unauthorized)
    yield Row("token-mfa-required", "token", "mfa-required")
    yield Row("token-error-unknown", "token", "tenant-refused", error="vendor_error")
    yield Row("token-error-with-markup", "token", "tenant-nonsense", "without an error code")
    for suffix, seconds in (
        ("", 7),
        ("-reset-past", 1),
        ("-reset-milliseconds", 300),
        ("-reset-garbage", 30),
        ("-retry-after", 7),
        ("-retry-after-date", 30),
        ("-bare", 30),
    ):
        name = f"token-429{suffix}"
        yield Row(name, "token", "tenant-limit", flow="bound", retry_after=seconds)


# -- metadata and keys -------------------------------------------------------

MISCONFIGURED = {
    "metadata-issuer-mismatch": "another issuer",
    "metadata-issuer-http": "another issuer",
    "metadata-issuer-without-slash": "another issuer",
    "metadata-issuer-list": "another issuer",
    "metadata-missing-issuer": "another issuer",
    "metadata-missing-authorization-endpoint": "no authorization_endpoint",
    "metadata-missing-token-endpoint": "no token_endpoint",
    "metadata-missing-jwks-uri": "no jwks_uri",
    "metadata-endpoint-with-user": "token_endpoint",
    "metadata-other-algorithms": "ALGORITHMS",
}


def _metadata() -> Iterator[Row]:
    for name, detail in MISCONFIGURED.items():
        yield _no_metadata(name, "tenant-misconfigured", detail)
    for prefix, detail in (
        ("foreign", "another host"),
        ("http", "https://"),
        ("wrong-type", "no string"),
    ):
        for name in ("authorization", "token", "revocation", "end-session"):
            told = f"{name.replace('-', '_')}_endpoint in the tenant's metadata"
            yield _no_metadata(f"metadata-{prefix}-{name}-endpoint", "tenant-misconfigured", told)
        yield _no_metadata(f"metadata-{prefix}-jwks-uri", "tenant-misconfigured", detail)
    for suffix, detail in NO_DOCUMENT.items():
        yield _no_metadata(f"metadata-{suffix}", "tenant-nonsense", detail)
    yield _no_metadata("metadata-huge-member", "tenant-nonsense", "too large")
    yield _no_metadata("metadata-redirect", "tenant-nonsense", "redirect, which is not followed")
    for suffix, status in (("500", 500), ("html-500", 500), ("204", 204)):
        yield _no_metadata(f"metadata-{suffix}", "tenant-nonsense", f"answered {status}")
    yield _no_metadata("metadata-429", "tenant-limit", retry_after=7)
    yield _no_metadata("metadata-cut-off", "tenant-silent")
    yield _no_metadata("metadata-slow-drip", "tenant-silent", seconds=0.2)


def _no_metadata(fault: str, code: str, detail: str = "", **more: Any) -> Row:
    return Row(fault, "code", code, detail, asked=0, **more)


def _keys() -> Iterator[Row]:
    for suffix, detail in NO_DOCUMENT.items():
        yield _no_keys(f"jwks-{suffix}", "tenant-nonsense", detail)
    for name in ("jwks-no-keys", "jwks-keys-no-list"):
        yield _no_keys(name, "tenant-nonsense", "no list of keys")
    yield _no_keys("jwks-redirect", "tenant-nonsense", "redirect, which is not followed")
    for suffix, status in (("down", 500), ("html-500", 500), ("204", 204)):
        yield _no_keys(f"jwks-{suffix}", "tenant-nonsense", f"answered {status}")
    yield _no_keys("jwks-429", "tenant-limit", retry_after=7)
    yield _no_keys("jwks-cut-off", "tenant-silent")
    yield _no_keys("jwks-slow-drip", "tenant-silent", seconds=0.2)


def _no_keys(fault: str, code: str, detail: str = "", **more: Any) -> Row:
    """Without keys no code is used up: the flow stays bound, and the tenant is not asked."""
    return Row(fault, "token", code, detail, flow="bound", asked=0, **more)


# -- the connection ----------------------------------------------------------


def _connection() -> Iterator[Row]:
    yield _no_metadata("unreachable", "tenant-unreachable")
    for name in ("dropped-before-request", "dropped-after-request", "silent"):
        yield _no_metadata(name, "tenant-silent")
    unreachable = Row(
        "unreachable", "token", "tenant-unreachable", flow="bound", asked=0, later=True
    )
    yield unreachable
    yield Row("dropped-before-request", "token", "tenant-silent", asked=0, later=True)
    yield Row("dropped-after-request", "token", "tenant-silent", later=True)
    yield Row("silent", "token", "tenant-silent", later=True)


# -- the authorization response ----------------------------------------------


def _authorization() -> Iterator[Row]:
    for name, word in (
        ("iss-response-wrong", "mismatch"),
        ("remove-authorization-response-iss", "missing"),
    ):
        yield Row(name, "callback", f"answer-issuer-{word}", flow="sent", asked=0)
    state = "ensure-authorization-response-with-invalid-state-fails"
    yield Row(state, "callback", "state-unknown", flow="sent", asked=0)
    missing = "ensure-authorization-response-with-invalid-missing-state-fails"
    yield Row(missing, "callback", "state-missing", flow="sent", asked=0)
    yield Row("form-post-error", "callback", "login-required", asked=0)


# -- refresh -----------------------------------------------------------------


def _refresh() -> Iterator[Row]:
    for name, claim in (("issuer", "iss"), ("sub", "sub"), ("aud", "aud"), ("nonce", "nonce")):
        detail = f"claim: {claim}."
        yield Row(
            f"refresh-token-invalid-{name}",
            "refresh",
            "id-token-invalid",
            detail,
            asked=2,
            revoked=1,
        )
    invalid_grant = "token-invalid-grant"
    yield Row(invalid_grant, "refresh", "grant-refused", asked=2, later=True)
