"""What a tenant says, whatever that is: read, or refused as the tenant's fault."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_pkce.errors import (
    FlowError,
    PKCEError,
    RequestError,
    TenantError,
    TenantLimit,
    TenantMisconfigured,
)
from flask_pkce.protocol.authorization import parse_callback
from flask_pkce.protocol.id_token import ALGORITHMS, parse_key_set
from flask_pkce.protocol.metadata import parse_metadata
from flask_pkce.protocol.text import one_line
from flask_pkce.protocol.token import TokenRequest, parse_token_error, parse_token_response
from flask_pkce.tenant.api import MAX_RETRY_AFTER, MIN_RETRY_AFTER, TenantAPI
from flask_pkce.tenant.transport import TenantResponse, Transport
from tests.properties.documents import ANY_TEXT, INTEGERS, JSON, TEXT, attempt
from tests.support import (
    ISSUER,
    NOW,
    REGISTRATION,
    ec_key,
    jwk,
    make_tenant,
    metadata,
    okp_key,
    rsa_key,
)

# -- authorization response ------------------------------------------------------


@given(
    st.dictionaries(
        st.sampled_from(["code", "state", "error", "error_description", "iss", "response", "x"]),
        st.sampled_from(["", "a", "access_denied", "x" * 4097]) | ANY_TEXT,
    )
)
def test_answers(parameters: dict[str, str]) -> None:
    """An answer has a state and either a code or an error, of printable characters, or is none."""
    answer = attempt(lambda: parse_callback(parameters), RequestError, FlowError)
    if isinstance(answer, PKCEError):
        assert answer.field in {"code", "state", "error", "iss", "response"}
        return
    assert answer.state == parameters["state"]
    assert (answer.code is None) is (answer.error is not None)
    assert answer.code is None or answer.code == parameters["code"]
    for text in (answer.state, answer.code, answer.error, answer.iss):
        assert text is None or (text.isascii() and text.isprintable() and text)
    assert answer.error_description is None or one_line(answer.error_description)


# -- metadata --------------------------------------------------------------------

ENDPOINTS = (
    "authorization_endpoint",
    "token_endpoint",
    "jwks_uri",
    "userinfo_endpoint",
    "revocation_endpoint",
    "end_session_endpoint",
)
ADDRESSES = st.lists(
    st.sampled_from(
        [
            "https:", "http:", "//", "/", "tenant.example", "evil.example", "@", ":", "443",
            "8443", "#", "?", "\\", "[::1]", ".", "%2e", " ", "\t", "a", "é",
        ]
    ),
    max_size=8,
).map("".join)  # fmt: skip


@given(
    st.dictionaries(
        st.sampled_from(
            [
                *ENDPOINTS,
                "issuer",
                "authorization_response_iss_parameter_supported",
                "id_token_signing_alg_values_supported",
            ]
        ),
        ADDRESSES | ADDRESSES.map(lambda rest: f"https://tenant.example{rest}") | JSON,
        max_size=3,
    )
)
def test_metadata(changes: dict[str, Any]) -> None:
    """The endpoints that are used lie at the issuer, over https; anything else is refused."""
    document = {**metadata(), **changes}
    tenant = attempt(lambda: parse_metadata(document, REGISTRATION), TenantMisconfigured)
    if isinstance(tenant, TenantMisconfigured):
        assert any(name in str(tenant) for name in changes)
        return
    assert tenant.issuer == ISSUER
    for name in ENDPOINTS:
        address = getattr(tenant, name)
        if address is not None:
            parts = urlsplit(address)
            assert parts.scheme == "https"
            # Nobody calls this one.
            assert parts.hostname == "tenant.example" or name == "userinfo_endpoint"
            assert not parts.fragment
    assert tenant.algorithms == REGISTRATION.algorithms


# -- keys ------------------------------------------------------------------------

KEY_MEMBERS = ("kty", "n", "e", "crv", "x", "y", "kid", "alg", "use", "key_ops", "d")
KEYS = (jwk(rsa_key()), jwk(ec_key()), jwk(okp_key()))


@given(
    st.lists(
        st.builds(
            lambda key, changes: {**key, **changes},
            st.sampled_from(KEYS),
            st.dictionaries(
                st.sampled_from(KEY_MEMBERS),
                st.sampled_from(["", "AQAB", "RSA", "EC", "OKP", "P-256", "Ed25519", "AA"])
                | TEXT
                | JSON,
                max_size=2,
            ),
        )
        | JSON,
        max_size=3,
    )
)  # fmt: skip
def test_key_sets(members: list[Any]) -> None:
    """Whatever is in a key set, what is left can verify signatures; one does not spoil all."""
    good = jwk(rsa_key("good"), kid="good")
    keys = parse_key_set({"keys": [*members, good]})
    assert any(key.kid == "good" for key in keys)
    assert len(keys) <= len(members) + 1
    for key in keys:
        assert not key.key.is_private
        assert isinstance(key.kid, str | None)
        # Without an algorithm or a curve of its own, a key fits those of its type.
        is_bound = key.alg is not None or key.curve is not None
        assert is_bound or [alg for alg in ALGORITHMS if key.fits(alg)]


@given(JSON)
def test_no_key_set(document: Any) -> None:
    """What has no list of keys is refused with the documented error."""
    if isinstance(document, list):
        assert isinstance(parse_key_set({"keys": document}), tuple)
    else:
        with pytest.raises(ValueError):
            parse_key_set({"keys": document})


# -- token endpoint --------------------------------------------------------------


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "access_token": TEXT | JSON,
            "token_type": st.sampled_from(["Bearer", "bearer", "DPoP"]) | JSON,
            "expires_in": INTEGERS | st.sampled_from(["300", "٣", "1e3", "-1", ""]) | JSON,
            "scope": TEXT | JSON,
            "refresh_token": TEXT | JSON,
            "id_token": TEXT | JSON,
        },
    )
    | st.fixed_dictionaries(
        {"access_token": st.just("a"), "token_type": st.just("bearer")},
        optional={"expires_in": INTEGERS, "scope": TEXT, "refresh_token": TEXT},
    )
)
def test_token_responses(document: dict[str, Any]) -> None:
    """Tokens are printable ASCII and times are whole seconds, or the tenant is at fault."""
    tokens = attempt(
        lambda: parse_token_response(document, requested_scope=("openid",)), TenantError
    )
    if isinstance(tokens, TenantError):
        assert tokens.status == 502
        return
    assert tokens.access_token == document["access_token"]
    for token in (tokens.access_token, tokens.refresh_token, tokens.id_token):
        assert token is None or (token.isascii() and token.isprintable())
    assert " " not in (tokens.id_token or "")
    assert tokens.expires_in is None or 0 <= tokens.expires_in < 2**31
    assert tokens.scope == tuple((document.get("scope") or "openid").split()) or not document.get(
        "scope"
    )


@given(
    st.fixed_dictionaries(
        {},
        optional={
            "error": st.sampled_from(["invalid_grant", "invalid_client", "mfa_required"])
            | ANY_TEXT
            | JSON,
            "error_description": ANY_TEXT | JSON,
            "mfa_token": st.just("a-secret-mfa-token"),
        },
    ),
    st.sampled_from([400, 401, 403, 404, 418, 500, 503]),
)  # fmt: skip
def test_token_errors(document: dict[str, Any], status: int) -> None:
    """Whatever the tenant says of an error becomes an error of ours, in a line without secrets."""
    exc = parse_token_error(document, status=status, sent={})
    assert isinstance(exc, PKCEError)
    assert 400 <= exc.status < 600
    assert exc.error.isascii()
    assert exc.error.isprintable()
    assert one_line(exc.detail) == exc.detail[:256].strip()
    assert "a-secret-mfa-token" not in str(exc)


class _Limited:
    """A tenant that asks to slow down."""

    timeout = 1.0

    def __init__(self, headers: dict[str, str]) -> None:
        self._headers = headers

    def post(
        self, url: str, form: dict[str, str], headers: dict[str, str] | None = None
    ) -> TenantResponse:
        return TenantResponse(429, self._headers, b"")


@given(
    st.dictionaries(
        st.sampled_from(["Retry-After", "x-ratelimit-reset"]),
        st.integers(-5, 400).map(str)
        | st.integers(NOW - 400, NOW + 400).map(str)
        | st.integers(0, 10**30).map(str)
        | st.sampled_from(["", "²", "٣", "+5", "1.5", "0x5", "Wed, 21 Oct 2015 07:28:00 GMT"])
        | ANY_TEXT,
    )
)  # fmt: skip
def test_retry_after(headers: dict[str, str]) -> None:
    """Whatever a tenant says of the time to wait, it is 1 to 300 whole seconds."""
    api = TenantAPI(cast(Transport, _Limited(headers)), clock=lambda: NOW)
    with pytest.raises(TenantLimit) as caught:
        api.request_token(make_tenant(), TokenRequest(grant_type="authorization_code"))
    wait = caught.value.retry_after
    assert isinstance(wait, int)
    assert MIN_RETRY_AFTER <= wait <= MAX_RETRY_AFTER
    said = headers.get("Retry-After", "")
    if said.isascii() and said.isdigit() and MIN_RETRY_AFTER <= int(said) <= MAX_RETRY_AFTER:
        assert wait == int(said)
