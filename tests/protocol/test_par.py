"""Pushed authorization requests."""

from __future__ import annotations

from typing import Any

import pytest

from flask_pkce.errors import ParameterInvalid, TenantError
from flask_pkce.protocol.authorization import AuthorizationRequest
from flask_pkce.protocol.client_auth import Credentials
from flask_pkce.protocol.par import (
    PushedRequest,
    build_pushed_form,
    build_pushed_url,
    parse_pushed_response,
)
from tests.support import CALLBACK, CHALLENGE, CLIENT_ID, ISSUER, make_tenant

URI = "urn:ietf:params:oauth:request_uri:6esc_11ACC5bwc014ltc14eY22c"  # RFC 9126 2.2
REQUEST = AuthorizationRequest(
    client_id=CLIENT_ID,
    redirect_uri=CALLBACK,
    scope=("openid",),
    state="the-state",
    nonce="the-nonce",
    code_challenge=CHALLENGE,
)
CREDENTIALS = Credentials({"client_id": CLIENT_ID, "client_secret": "top-secret"})


@pytest.mark.requirement("PA-1")
def test_form() -> None:
    """The form is the request, with our credentials, which nothing of it overrides."""
    request = REQUEST.replace(additional={"client_secret": "evil", "ext-a": "b"})
    assert build_pushed_form(request, CREDENTIALS) == {
        **REQUEST.parameters(),
        "ext-a": "b",
        "client_secret": "top-secret",
    }
    assert build_pushed_form(REQUEST, Credentials({}))["client_id"] == CLIENT_ID


@pytest.mark.requirement("PA-7", "N88b")
def test_too_large() -> None:
    """What Auth0 would not take, or would drop, is not sent; the limit is told (N88b)."""
    ten = {f"ext-{number}": "x" for number in range(10)}
    assert build_pushed_form(REQUEST.replace(additional=ten), CREDENTIALS)
    with pytest.raises(ParameterInvalid, match="at most 10 ext-"):
        build_pushed_form(REQUEST.replace(additional={**ten, "ext-more": "x"}), CREDENTIALS)
    with pytest.raises(ParameterInvalid, match="over 10000 bytes"):
        build_pushed_form(REQUEST.replace(additional={"ext-a": "é" * 1700}), CREDENTIALS)


@pytest.mark.requirement("PA-2")
@pytest.mark.parametrize(
    ("given", "told"), [(1, 1), (30, 30), (90, 90), (600, 600), (601, 600), (10**9, 600)]
)
def test_answer(given: int, told: int) -> None:
    """The answer names the request, and the seconds it is good for, ten minutes at most."""
    document = {"request_uri": URI, "expires_in": given, "more": "x"}
    assert parse_pushed_response(document) == PushedRequest(URI, told)
    uri = "https://t.example/r"
    assert parse_pushed_response({"request_uri": uri, "expires_in": 5}).request_uri == uri


@pytest.mark.requirement("PA-2", "N86", "N87")
@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"request_uri": None}, id="N86 none"),
        pytest.param({"request_uri": ""}, id="N86 empty"),
        pytest.param({"request_uri": 5}, id="N86 number"),
        pytest.param({"request_uri": "http://t.example/r"}, id="N86 plain http"),
        pytest.param({"request_uri": "javascript:alert(1)"}, id="N86 scheme"),
        pytest.param({"request_uri": f"{URI} x"}, id="N86 space"),
        pytest.param({"request_uri": f"urn:{'x' * 2048}"}, id="N86 long"),
        pytest.param({"expires_in": 0}, id="N87 zero"),
        pytest.param({"expires_in": -1}, id="N87 negative"),
        pytest.param({"expires_in": None}, id="N87 none"),
        pytest.param({"expires_in": True}, id="N87 boolean"),
        pytest.param({"expires_in": 1.5}, id="N87 fraction"),
        pytest.param({"expires_in": "60"}, id="N87 text"),
    ],
)
def test_answer_that_cannot_be_used(changes: dict[str, Any]) -> None:
    """An answer without a name, or one that is over at once, is nonsense, and not quoted."""
    with pytest.raises(TenantError) as caught:
        parse_pushed_response({"request_uri": URI, "expires_in": 60, **changes})
    assert type(caught.value) is TenantError
    assert "urn:" not in str(caught.value)


@pytest.mark.requirement("PA-4")
@pytest.mark.parametrize(
    ("endpoint", "begin"),
    [(f"{ISSUER}authorize", "authorize?"), (f"{ISSUER}authorize?a=b", "authorize?a=b&")],
)
def test_url(endpoint: str, begin: str) -> None:
    """The browser brings two parameters, and the endpoint's own query."""
    tenant = make_tenant(authorization_endpoint=endpoint)
    assert build_pushed_url(tenant, PushedRequest("urn:a:b&c", 60)) == (
        f"{ISSUER}{begin}client_id={CLIENT_ID}&request_uri=urn%3Aa%3Ab%26c"
    )


@pytest.mark.requirement("LG-1")
def test_name_hides_itself() -> None:
    """The name of a request is not shown."""
    assert "urn:" not in repr(PushedRequest(URI, 60))
