"""The calls to the tenant: what is sent, and what each answer means."""

from __future__ import annotations

import dataclasses
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from typing import Any
from urllib.parse import parse_qs

import pytest
import requests
import requests_mock
from joserfc import jwt

from flask_pkce.errors import (
    BodyTooLarge,
    ClientRefused,
    GrantRefused,
    PKCEError,
    ScopeInvalid,
    TenantBusy,
    TenantError,
    TenantLimit,
    TenantMisconfigured,
    TenantRefused,
)
from flask_pkce.protocol.authorization import AuthorizationRequest
from flask_pkce.protocol.client_key import parse_client_key
from flask_pkce.protocol.metadata import ClientAuth, TenantMetadata
from flask_pkce.protocol.par import PushedRequest
from flask_pkce.protocol.token import TokenRequest, build_refresh_request
from flask_pkce.tenant.api import TenantAPI
from flask_pkce.tenant.transport import Transport
from tests.support import (
    CALLBACK,
    CHALLENGE,
    NOW,
    REGISTRATION,
    Clock,
    jwk,
    make_tenant,
    metadata,
    rsa_key,
)

JSON = {"Content-Type": "application/json"}
TENANT = make_tenant()
REQUEST = TokenRequest(grant_type="authorization_code", code="the-code")
TRANSPORT = Transport(timeout=7)
API = TenantAPI(TRANSPORT, clock=Clock())


@pytest.fixture
def mocked() -> Iterator[requests_mock.Mocker]:
    with requests_mock.Mocker(session=TRANSPORT.session) as mocker:
        yield mocker


def test_timeout() -> None:
    """A call takes as long as the transport lets it."""
    assert API.timeout == 7


# -- metadata and keys -------------------------------------------------------------


@pytest.mark.requirement("A0-7", "BC-11")
def test_discover(mocked: requests_mock.Mocker) -> None:
    """The metadata is fetched from its well-known place, and checked."""
    mocked.get(REGISTRATION.discovery_url, json=metadata(), headers=JSON)
    assert API.discover(REGISTRATION) == TENANT


@pytest.mark.requirement("MD-1", "N78")
def test_discover_another_issuer(mocked: requests_mock.Mocker) -> None:
    """Metadata of another issuer is the operator's mistake, and nothing is sent there (N78)."""
    mocked.get(
        REGISTRATION.discovery_url, json=metadata(issuer="https://evil.example/"), headers=JSON
    )
    with pytest.raises(TenantMisconfigured) as caught:
        API.discover(REGISTRATION)
    assert (caught.value.status, caught.value.error) == (500, "configuration_error")
    assert mocked.call_count == 1


def test_fetch_keys(mocked: requests_mock.Mocker) -> None:
    """The keys are fetched and parsed."""
    mocked.get(TENANT.jwks_uri, json={"keys": [jwk(rsa_key(), kid="first")]}, headers=JSON)
    assert [key.kid for key in API.fetch_keys(TENANT)] == ["first"]


def test_fetch_keys_that_are_none(mocked: requests_mock.Mocker) -> None:
    """A document that is no key set is nonsense."""
    mocked.get(TENANT.jwks_uri, json={"error": "x"}, headers=JSON)
    with pytest.raises(TenantError, match="no list of keys"):
        API.fetch_keys(TENANT)


@pytest.mark.parametrize("status", [204, 404, 500, 503])
def test_document_that_is_not_there(mocked: requests_mock.Mocker, status: int) -> None:
    """A document comes with 200, and nothing else does (N77)."""
    mocked.get(TENANT.jwks_uri, json={"keys": []}, headers=JSON, status_code=status)
    with pytest.raises(TenantError, match=f"answered {status}"):
        API.fetch_keys(TENANT)


@pytest.mark.requirement("MD-7", "N82", "T12")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_document_that_is_elsewhere(mocked: requests_mock.Mocker, status: int) -> None:
    """Neither metadata nor keys are fetched from where a redirect leads (N82)."""
    elsewhere = mocked.get("https://evil.example/", json=metadata(), headers=JSON)
    for url in (REGISTRATION.discovery_url, TENANT.jwks_uri):
        mocked.get(url, status_code=status, headers={"Location": "https://evil.example/"})
    for fetch in (lambda: API.discover(REGISTRATION), lambda: API.fetch_keys(TENANT)):
        with pytest.raises(TenantError, match="redirect"):
            fetch()
    assert elsewhere.call_count == 0


@pytest.mark.requirement("N81")
def test_document_that_is_a_page(mocked: requests_mock.Mocker) -> None:
    """A captive portal's page is not the metadata."""
    mocked.get(REGISTRATION.discovery_url, text="<html>", headers={"Content-Type": "text/html"})
    with pytest.raises(TenantError, match="other than JSON"):
        API.discover(REGISTRATION)


# -- tokens ------------------------------------------------------------------------


@pytest.mark.requirement("A0-10", "BC-5", "AZ-11")
def test_request_token(mocked: requests_mock.Mocker) -> None:
    """The form goes to the token endpoint, once, and the answer comes back as it is."""
    mocked.post(TENANT.token_endpoint, json={"access_token": "x"}, headers=JSON)
    assert API.request_token(TENANT, REQUEST) == {"access_token": "x"}
    (request,) = mocked.request_history
    assert parse_qs(request.text) == {
        "grant_type": ["authorization_code"],
        "code": ["the-code"],
        "client_id": ["local-client"],
    }


@pytest.mark.requirement("A0-12", "UP-8", "AZ-16")
@pytest.mark.parametrize(
    ("status", "document", "cls"),
    [
        (403, {"error": "invalid_grant"}, GrantRefused),
        (401, {"error": "invalid_client"}, ClientRefused),
        (400, {}, TenantError),
        (500, {"error": "x"}, TenantError),
        (201, {"access_token": "x"}, TenantError),
    ],
)
def test_request_token_in_vain(
    mocked: requests_mock.Mocker, status: int, document: dict[str, Any], cls: type[PKCEError]
) -> None:
    """An error is told by its code, and the request is not repeated (N61)."""
    mocked.post(TENANT.token_endpoint, json=document, headers=JSON, status_code=status)
    with pytest.raises(cls) as caught:
        API.request_token(TENANT, REQUEST)
    assert type(caught.value) is cls
    assert mocked.call_count == 1


@pytest.mark.requirement("UP-6", "N65d")
@pytest.mark.parametrize(
    ("status", "media_type"), [(200, "text/html"), (500, "text/html"), (502, "")]
)
def test_page_in_place_of_tokens(
    mocked: requests_mock.Mocker, status: int, media_type: str
) -> None:
    """A page, with whatever status, is nonsense and not quoted (N65d)."""
    mocked.post(
        TENANT.token_endpoint,
        text="<p>secret</p>",
        headers={"Content-Type": media_type},
        status_code=status,
    )
    with pytest.raises(TenantError) as caught:
        API.request_token(TENANT, REQUEST)
    assert "secret" not in str(caught.value)


# -- too many requests -------------------------------------------------------------


@pytest.mark.requirement("A0-14", "N63")
@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        pytest.param({"Retry-After": "7"}, 7, id="Retry-After"),
        pytest.param({"Retry-After": "0"}, 1, id="at least a second"),
        pytest.param({"Retry-After": "86400"}, 300, id="at most five minutes"),
        pytest.param({"Retry-After": "9" * 5000}, 300, id="huge"),
        pytest.param({"Retry-After": "Fri, 15 Jan 2027 08:00:00 GMT"}, 30, id="date"),
        pytest.param({"Retry-After": "-5"}, 30, id="negative"),
        pytest.param({"Retry-After": "5.5"}, 30, id="fraction"),
        pytest.param({"x-ratelimit-reset": str(NOW + 9)}, 9, id="reset"),
        pytest.param({"x-ratelimit-reset": str(NOW - 9)}, 1, id="reset in the past"),
        pytest.param({"x-ratelimit-reset": str(NOW * 1000)}, 300, id="reset in milliseconds"),
        pytest.param({"x-ratelimit-reset": "9" * 5000}, 300, id="huge reset"),
        pytest.param({"x-ratelimit-reset": "soon"}, 30, id="no reset"),
        pytest.param({"Retry-After": "4", "x-ratelimit-reset": str(NOW + 9)}, 4, id="both"),
        pytest.param({}, 30, id="nothing"),
    ],
)
def test_too_many_requests(
    mocked: requests_mock.Mocker, headers: dict[str, str], seconds: int
) -> None:
    """How long to wait, from the header or from Auth0's, between 1 and 300 seconds (N63)."""
    for url in (TENANT.token_endpoint, TENANT.jwks_uri):
        mocked.register_uri(requests_mock.ANY, url, text="slow", status_code=429, headers=headers)
    for call in (lambda: API.request_token(TENANT, REQUEST), lambda: API.fetch_keys(TENANT)):
        with pytest.raises(TenantLimit) as caught:
            call()
        assert (caught.value.retry_after, caught.value.status) == (seconds, 429)


def test_too_many_requests_without_the_status(mocked: requests_mock.Mocker) -> None:
    """The error's word is enough."""
    mocked.post(
        TENANT.token_endpoint,
        json={"error": "too_many_requests"},
        headers=JSON,
        status_code=400,
    )
    with pytest.raises(TenantLimit) as caught:
        API.request_token(TENANT, build_refresh_request("t"))
    assert caught.value.retry_after == 30


# -- revocation --------------------------------------------------------------------


@pytest.mark.requirement("N89", "RV-1", "RV-2")
@pytest.mark.parametrize("said", ["", "OK", '{"error": "x"}'])
@pytest.mark.parametrize(("status", "revoked"), [(200, True), (400, False), (503, False)])
def test_revoke(mocked: requests_mock.Mocker, status: int, revoked: bool, said: str) -> None:
    """A refresh token is revoked where the tenant says 200, with whatever else (RFC 7009 2.2)."""
    mocked.post(str(TENANT.revocation_endpoint), status_code=status, text=said)
    assert API.revoke(TENANT, "the-token") is revoked
    (request,) = mocked.request_history
    assert parse_qs(request.text)["token"] == ["the-token"]


@pytest.mark.requirement("MD-9")
def test_revoke_where_that_is_not_possible(mocked: requests_mock.Mocker) -> None:
    """A tenant without revocation endpoint is not asked."""
    assert API.revoke(make_tenant(revocation_endpoint=None), "the-token") is False
    assert mocked.call_count == 0


# -- client authentication and pushed requests -------------------------------------

URL = "https://tenant.example/oauth/par"
URI = "urn:ietf:params:oauth:request_uri:x"
ASKED = AuthorizationRequest(
    client_id="local-client",
    redirect_uri=CALLBACK,
    scope=("openid",),
    state="the-state",
    nonce="the-nonce",
    code_challenge=CHALLENGE,
)
BASIC = make_tenant(
    dataclasses.replace(
        REGISTRATION,
        client_secret="top: secret",
        client_auth=ClientAuth.CLIENT_SECRET_BASIC,
    )
)
SIGNING = make_tenant(
    dataclasses.replace(REGISTRATION, client_key=parse_client_key(rsa_key().as_dict(private=True)))
)
CALLS: dict[str, Callable[[TenantAPI, TenantMetadata], object]] = {
    TENANT.token_endpoint: lambda api, tenant: api.request_token(tenant, REQUEST),
    str(TENANT.revocation_endpoint): lambda api, tenant: api.revoke(tenant, "the-token"),
    URL: lambda api, tenant: api.push(tenant, URL, ASKED),
}


@pytest.mark.requirement("AZ-12", "AZ-13", "PA-1")
@pytest.mark.parametrize("url", CALLS)
def test_basic(mocked: requests_mock.Mocker, url: str) -> None:
    """By a header alone: the form has no secret, and the next request there has no header."""
    mocked.post(url, json={"request_uri": URI, "expires_in": 5}, headers=JSON)
    CALLS[url](API, BASIC)
    CALLS[url](API, TENANT)
    first, second = mocked.request_history
    encoded = first.headers["Authorization"].removeprefix("Basic ")
    assert b64decode(encoded) == b"local-client:top%3A%20secret"
    assert "client_secret" not in first.text
    assert "Authorization" not in second.headers
    assert "secret" not in first.url


@pytest.mark.requirement("CA-1", "BC-18", "PA-1")
@pytest.mark.parametrize("url", CALLS)
def test_assertion_for_each_attempt(mocked: requests_mock.Mocker, url: str) -> None:
    """Each request, one that is repeated too, has an assertion of its own."""
    mocked.post(url, json={"request_uri": URI, "expires_in": 5}, headers=JSON)
    asked: list[int] = []

    def randomness(count: int) -> bytes:
        asked.append(count)
        return bytes([len(asked)]) * count

    api = TenantAPI(TRANSPORT, clock=Clock(), randomness=randomness)
    for _ in range(2):
        CALLS[url](api, SIGNING)
    assertions = [parse_qs(each.text)["client_assertion"][0] for each in mocked.request_history]
    claims = [jwt.decode(each, rsa_key()).claims for each in assertions]
    assert claims[0]["jti"] != claims[1]["jti"]
    assert [each["aud"] for each in claims] == [TENANT.issuer] * 2
    assert asked == [24, 24]
    # Nobody else pays for it.
    CALLS[url](api, TENANT)
    assert asked == [24, 24]


@pytest.mark.requirement("LG-1")
@pytest.mark.parametrize("said", ["top: secret", "top%3A%20secret", "the header"])
def test_error_that_repeats_a_header(mocked: requests_mock.Mocker, said: str) -> None:
    """A description that repeats what the header had is not passed on."""
    encoded = b64encode(b"local-client:top%3A%20secret").decode()
    said = encoded if said == "the header" else said.replace("%20", "+")
    document = {"error": "invalid_request", "error_description": f"no {said}, please"}
    mocked.post(TENANT.token_endpoint, json=document, headers=JSON, status_code=400)
    with pytest.raises(PKCEError) as caught:
        API.request_token(BASIC, REQUEST)
    assert "please" not in str(caught.value)


@pytest.mark.requirement("PA-2")
@pytest.mark.parametrize("status", [201, 200])
def test_push(mocked: requests_mock.Mocker, status: int) -> None:
    """A request is pushed once, as a form, and answered with its name."""
    mocked.post(URL, json={"request_uri": URI, "expires_in": 90}, headers=JSON, status_code=status)
    assert API.push(TENANT, URL, ASKED) == PushedRequest(URI, 90)
    (request,) = mocked.request_history
    assert {name: values[0] for name, values in parse_qs(request.text).items()} == {
        **ASKED.parameters()
    }


@pytest.mark.requirement("PA-5", "N88")
@pytest.mark.parametrize(
    ("status", "document", "cls", "answered"),
    [
        (400, {"error": "invalid_request"}, TenantRefused, 400),
        (400, {"error": "invalid_scope"}, ScopeInvalid, 400),
        (401, {"error": "invalid_client"}, ClientRefused, 502),
        (403, {"error": "unauthorized_client"}, ClientRefused, 502),
        (405, {"error": 5}, TenantError, 502),
        (413, {}, BodyTooLarge, 413),
        (429, {}, TenantLimit, 429),
        (500, {"error": "server_error"}, TenantError, 502),
        (202, {"request_uri": URI, "expires_in": 5}, TenantError, 502),
        (201, {"request_uri": URI}, TenantError, 502),
    ],
)
def test_push_in_vain(
    mocked: requests_mock.Mocker,
    status: int,
    document: dict[str, Any],
    cls: type[PKCEError],
    answered: int,
) -> None:
    """Errors are told as those of the token endpoint; of one that is too large by its status."""
    mocked.post(URL, json=document, headers=JSON, status_code=status)
    with pytest.raises(cls) as caught:
        API.push(TENANT, URL, ASKED)
    assert type(caught.value) is cls
    assert caught.value.status == answered
    assert mocked.call_count == 1


# -- how many at once --------------------------------------------------------------

NARROW = dataclasses.replace(REGISTRATION, max_calls=4)
NARROW_TENANT = make_tenant(NARROW)
EVERY_CALL: dict[str, Callable[[TenantAPI], object]] = {
    "discovery": lambda api: api.discover(NARROW),
    "keys": lambda api: api.fetch_keys(NARROW_TENANT),
    "token": lambda api: api.request_token(NARROW_TENANT, REQUEST),
    "par": lambda api: api.push(NARROW_TENANT, URL, ASKED),
    "revocation": lambda api: api.revoke(NARROW_TENANT, "the-refresh-token"),
}
ANSWER = {**metadata(), "keys": [], "request_uri": "urn:x", "expires_in": 5}


@pytest.mark.requirement("UP-13")
@pytest.mark.parametrize("endpoint", EVERY_CALL)
def test_every_call_takes_a_place(endpoint: str, mocked: requests_mock.Mocker) -> None:
    """While waits and a call have all places of a tenant, nothing more is sent to it."""
    api = TenantAPI(TRANSPORT, clock=Clock())
    busy: list[TenantBusy] = []

    def meanwhile(request: object) -> bool:
        with pytest.raises(TenantBusy) as caught:
            EVERY_CALL[endpoint](api)
        busy.append(caught.value)
        return True

    mocked.register_uri(
        requests_mock.ANY,
        requests_mock.ANY,
        json=ANSWER,
        headers=JSON,
        additional_matcher=meanwhile,
    )
    with api.waiting(NARROW), api.waiting(NARROW), api.waiting(NARROW):
        # The last place is for the call that they wait for.
        with pytest.raises(TenantBusy), api.waiting(NARROW):
            pass
        api.discover(NARROW)
    assert [(exc.status, exc.host) for exc in busy] == [(503, NARROW.domain)]
    assert mocked.call_count == 1


@pytest.mark.requirement("UP-13")
def test_revocations_make_room(mocked: requests_mock.Mocker) -> None:
    """Revocations have half of the places, and leave the others to sign-ins."""
    api = TenantAPI(TRANSPORT, clock=Clock())
    revoking: list[str] = []

    def meanwhile(request: Any) -> bool:
        if request.url != NARROW_TENANT.revocation_endpoint:
            return True
        revoking.append(request.url)
        if len(revoking) == 1:
            return api.revoke(NARROW_TENANT, "the-refresh-token")
        with pytest.raises(TenantBusy):
            api.revoke(NARROW_TENANT, "the-refresh-token")
        return api.discover(NARROW).issuer == NARROW.issuer

    mocked.register_uri(
        requests_mock.ANY,
        requests_mock.ANY,
        json=ANSWER,
        headers=JSON,
        additional_matcher=meanwhile,
    )
    assert api.revoke(NARROW_TENANT, "the-refresh-token")
    assert (len(revoking), mocked.call_count) == (2, 3)


# -- observers ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "endpoint"),
    [
        (lambda api: api.discover(REGISTRATION), "discovery"),
        (lambda api: api.fetch_keys(TENANT), "keys"),
        (lambda api: api.request_token(TENANT, REQUEST), "token"),
        (lambda api: api.push(TENANT, URL, ASKED), "par"),
        (lambda api: api.revoke(TENANT, "the-refresh-token"), "revocation"),
    ],
)
@pytest.mark.parametrize(
    ("answer", "status", "error"),
    [
        (
            {
                "json": {**metadata(), "keys": [], "request_uri": "urn:x", "expires_in": 5},
                "headers": JSON,
            },
            200,
            None,
        ),
        ({"text": "<html>", "status_code": 502}, 502, "tenant-nonsense"),
        ({"exc": requests.ConnectTimeout}, None, "tenant-unreachable"),
    ],
)
def test_observed(
    mocked: requests_mock.Mocker,
    call: Callable[[TenantAPI], object],
    endpoint: str,
    answer: dict[str, Any],
    status: int | None,
    error: str | None,
) -> None:
    """Whoever observes is told of each call how long it took and how it ended."""
    heard: list[tuple[object, ...]] = []
    clock = Clock()

    def observe(*told: object) -> None:
        heard.append(told)

    def take_time(request: object) -> bool:
        clock.now += 3
        return True

    mocked.register_uri(
        requests_mock.ANY, requests_mock.ANY, additional_matcher=take_time, **answer
    )
    api = TenantAPI(TRANSPORT, monotonic=clock, observe=observe)
    with nullcontext() if error is None else suppress(PKCEError):
        call(api)
    if endpoint == "revocation" and status is not None:
        error = None
    assert heard == [(endpoint, TENANT.issuer, 3, status, error)]
