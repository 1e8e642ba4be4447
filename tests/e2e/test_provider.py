"""The tenant of these tests is strict: otherwise they would prove nothing."""

from __future__ import annotations

import base64
import json
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
import requests

from .processes import PATIENCE, Provider
from .scripted import ScriptedBrowser

VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"  # RFC 7636, Appendix B
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
NOWHERE = "http://localhost:9/pkce/response/code"


def authorization_url(provider: Provider, **changed: str) -> str:
    parameters = {
        "response_type": "code",
        "client_id": "public",
        "redirect_uri": NOWHERE,
        "scope": "openid profile email offline_access",
        "state": "a-state",
        "nonce": "a-nonce",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        **changed,
    }
    return f"{provider.issuer}authorize?{urlencode(parameters)}"


def signed_in_code(provider: Provider) -> str:
    """Sign in with form_post, and stop before the page is posted on."""
    browser = ScriptedBrowser()
    login = browser.open(authorization_url(provider, response_mode="form_post"))
    answer = browser.submit(login, login="ada", password=Provider.password, action="login")
    assert f'action="{NOWHERE}"' in answer.text
    return answer.text.partition('name="code" value="')[2].partition('"')[0]


def exchange(provider: Provider, code: str, verifier: str) -> requests.Response:
    form = {
        "grant_type": "authorization_code",
        "client_id": "public",
        "code": code,
        "code_verifier": verifier,
        "redirect_uri": NOWHERE,
    }
    return requests.post(f"{provider.issuer}oauth/token", data=form, timeout=PATIENCE)


def test_it_has_the_paths_of_auth0(provider: Provider) -> None:
    """Issuer with a trailing slash, and the paths that Auth0's documentation gives."""
    address = f"{provider.issuer}.well-known/openid-configuration"
    metadata = requests.get(address, timeout=PATIENCE).json()
    assert metadata["issuer"] == provider.issuer
    assert provider.issuer.endswith("/")
    assert metadata["authorization_endpoint"] == f"{provider.issuer}authorize"
    assert metadata["token_endpoint"] == f"{provider.issuer}oauth/token"
    assert metadata["revocation_endpoint"] == f"{provider.issuer}oauth/revoke"
    assert metadata["userinfo_endpoint"] == f"{provider.issuer}userinfo"
    assert metadata["jwks_uri"] == f"{provider.issuer}.well-known/jwks.json"


def test_it_refuses_a_wrong_verifier(provider: Provider) -> None:
    """Only the verifier of the challenge redeems the code; then the ID token says who it is."""
    code = signed_in_code(provider)
    refused = exchange(provider, code, VERIFIER[::-1])
    assert (refused.status_code, refused.json()["error"]) == (400, "invalid_grant")
    tokens = exchange(provider, code, VERIFIER).json()
    payload = tokens["id_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))
    assert (claims["sub"], claims["email"]) == ("auth0|ada", "ada@example.org")
    assert tokens["refresh_token"]


def test_it_refuses_a_code_twice(provider: Provider) -> None:
    """A replayed code is refused."""
    code = signed_in_code(provider)
    assert exchange(provider, code, VERIFIER).status_code == 200
    assert exchange(provider, code, VERIFIER).json()["error"] == "invalid_grant"


@pytest.mark.parametrize("left_out", ["code_challenge", "code_challenge_method"])
def test_it_wants_pkce(provider: Provider, left_out: str) -> None:
    """There is no sign-in without an S256 challenge."""
    url = authorization_url(provider, **{left_out: ""})
    answer = requests.get(url, timeout=PATIENCE, allow_redirects=False)
    query = parse_qs(urlsplit(answer.headers["Location"]).query)
    assert query["error"] == ["invalid_request"]
