"""Confidential clients at a provider that was certified: by a header, by a key, and pushed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

import pytest

from .conftest import CLIENT_SECRET, ODD_SECRET
from .scripted import ScriptedBrowser

if TYPE_CHECKING:
    from .conftest import Serve
    from .processes import Provider, Server


def signed_in(server: Server, **seed: str) -> dict[str, Any]:
    """Sign in, refresh and clear; the user, and the parameters that the browser brought."""
    browser = ScriptedBrowser()
    seed["prompt"] = "consent"  # without it this provider gives no refresh token
    sent = browser.fetch(f"{server.url}/pkce/code", seed)
    assert sent.status_code == 200, sent.text
    url = sent.json()["authorization_url"]
    arrived = browser.sign_in(browser.open(url), "ada")
    assert urlsplit(arrived.url).path == "/pkce/response/code"
    tokens = browser.fetch(f"{server.url}/pkce/token", {})
    assert tokens.status_code == 200, tokens.text
    refreshed = browser.fetch(f"{server.url}/pkce/token", {"grant_type": "refresh_token"})
    assert refreshed.status_code == 200, refreshed.text
    assert browser.fetch(f"{server.url}/pkce/clear", {}).status_code == 204
    user: dict[str, Any] = tokens.json()["auth0"]["user"]
    return {"asked": parse_qs(urlsplit(url).query), **user}


@pytest.mark.parametrize("par", ["auto", "always"])
def test_secret_in_a_header(serve: Serve, provider: Provider, par: str) -> None:
    """Any secret and any client id arrive in the header, as both sides encode it."""
    server = serve(
        PKCE_CLIENT_ID="with/a:header",
        PKCE_CLIENT_SECRET=ODD_SECRET,
        PKCE_CLIENT_AUTH="client_secret_basic",
        PKCE_PAR=par,
    )
    mark = provider.mark()
    user = signed_in(server)
    assert user["email"] == "ada@example.org"
    assert (user["asked"].keys() == {"client_id", "request_uri"}) is (par == "always")
    assert provider.count("revoked", since=mark) == 1
    assert "secret:" not in server.log()


@pytest.mark.parametrize("name", ["RS256", "ES256", "Ed25519"])
def test_key(serve: Serve, provider: Provider, client_keys: Mapping[str, Path], name: str) -> None:
    """A client signs assertions for push, exchange, refresh and revocation."""
    server = serve(
        PKCE_CLIENT_ID=f"signing-{name}",
        PKCE_CLIENT_KEY=str(client_keys[name]),
        PKCE_CLIENT_KEY_ID=name,
        PKCE_PAR="always" if name == "RS256" else "auto",
    )
    mark = provider.mark()
    user = signed_in(server)
    assert user["user_id"] == "auth0|ada"
    assert (user["asked"].keys() == {"client_id", "request_uri"}) is (name == "RS256")
    assert provider.count("revoked", since=mark) == 1


def test_pushed_request_of_a_secret(serve: Serve) -> None:
    """Nothing of a request that was pushed is in the browser, and all of it counts."""
    server = serve(
        PKCE_CLIENT_ID="confidential",
        PKCE_CLIENT_SECRET=CLIENT_SECRET,
        PKCE_CLIENT_AUTH="client_secret_post",
        PKCE_PAR="always",
        PKCE_ORGANIZATION="org_1",
    )
    user = signed_in(server, response_mode="query")
    assert user["asked"].keys() == {"client_id", "request_uri"}


def test_wrong_key(serve: Serve, client_keys: Mapping[str, Path]) -> None:
    """A key that the provider does not know is told as what it is, before anybody leaves."""
    server = serve(
        PKCE_CLIENT_ID="signing-RS256",
        PKCE_CLIENT_KEY=str(client_keys["ES256"]),
        PKCE_PAR="always",
    )
    browser = ScriptedBrowser()
    state = browser.fetch(f"{server.url}/pkce/challenge").json()["challenge"]["state"]
    refused = browser.fetch(f"{server.url}/pkce/code", {"state": state})
    assert (refused.status_code, refused.json()["error"]) == (502, "invalid_client")
    assert "PKCE_CLIENT_KEY" in refused.json()["hint"]
