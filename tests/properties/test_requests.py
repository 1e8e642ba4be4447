"""Anything at all, at any route."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.conftest import MakeApp
from tests.web.bad_models import FORGED
from tests.web.host import Host
from tests.web.test_bad_input import FORM, JSON, ROUTES

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4)
    ),
    max_leaves=12,
)
_members = st.sampled_from(
    [
        "response_type", "client_id", "redirect_uri", "domain", "audience", "scope", "state",
        "nonce", "code_challenge", "code_challenge_method", "response_mode", "screen_hint",
        "prompt", "organization", "invitation", "ADDITIONAL_PARAMETERS", "schema", "code",
        "code_verifier", "grant_type", "refresh_token", "error", "error_description", "iss",
        "ticket", "return_to",
    ]
)  # fmt: skip
_words = st.sampled_from(
    [
        "code",
        "S256",
        "form_post",
        "refresh_token",
        "openid",
        "UNKNOWN",
        "",
        "tenant.example",
        FORGED,
    ]
)
_bodies = st.one_of(
    st.binary(max_size=200),
    st.dictionaries(_members, _words | _json, max_size=6).map(
        lambda members: json.dumps(members).encode()
    ),
    st.dictionaries(_members, _words | st.text(), max_size=6).map(
        lambda members: urlencode(members, errors="replace").encode()
    ),
)
_headers = st.dictionaries(
    st.sampled_from(
        [
            "Accept", "Content-Encoding", "Cookie", "Origin", "Prefer", "Sec-Fetch-Dest",
            "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Purpose", "X-Forwarded-For",
        ]
    ),
    st.sampled_from(
        [
            "*/*", "text/html", "application/json;q=x", "gzip", "null", "http://localhost",
            "wait=x", "navigate", "same-origin", "none", "document", "prefetch", "pkce-80=x.y",
        ]
    )
    | st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
    max_size=4,
)  # fmt: skip


@pytest.fixture
def hosts(make_app: MakeApp) -> dict[str, Host]:
    """Hosts of both deliveries, with the local session on."""
    return {
        delivery: make_app(PKCE_LOCAL_SESSION=True, PKCE_TOKEN_DELIVERY=delivery)
        for delivery in ("caller", "session")
    }


@pytest.mark.requirement("AZ-17")
@given(
    delivery=st.sampled_from(["caller", "session"]),
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS"]),
    path=st.sampled_from(sorted(ROUTES)),
    query=_bodies.map(lambda body: body.decode("latin-1")),
    body=_bodies,
    content_type=st.sampled_from([JSON, FORM, "text/plain", "multipart/form-data", ""]),
    headers=_headers,
)
def test_anything(
    hosts: dict[str, Host],
    delivery: str,
    method: str,
    path: str,
    query: str,
    body: bytes,
    content_type: str,
    headers: dict[str, str],
) -> None:
    """Whatever comes, at whatever route, is answered, and never with a 5xx."""
    host = hosts["session" if path == "/pkce/user" else delivery]
    for caller in (host.browser(), host.program()):
        caller.headers = {}
        response = caller.send(
            method,
            path,
            data=body,
            content_type=content_type,
            headers={name: value.encode().decode("latin-1") for name, value in headers.items()},
            environ_overrides={"QUERY_STRING": query},
        )
        assert response.status_code < 500, response.text
