"""What an import of the package brings, what registration brings, and that requests bring nothing.

Each in an interpreter of its own, to which nobody imported anything yet.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest

#: What answers requests, and is slow to import; an APISession of the host is one of `requests`.
HEAVY = {
    "cryptography",
    "joserfc",
    "msgspec",
    "flask_pkce.relying_party.relying_party",
    "flask_pkce.web",
}
#: What only some need.
RARE = {"flask_pkce.web.openapi", "flask_pkce.testing", "authlib", "pytest", "redis"}

REGISTERED = """
from flask import Flask
from flask_pkce import PKCEBlueprint
pkce = PKCEBlueprint()
app = Flask("host")
app.config.update(
    SECRET_KEY="a secret key that is long enough",
    PKCE_DOMAIN="tenant.example",
    PKCE_CLIENT_ID="local-client",
    PKCE_STORE_URL="memory://",
    PKCE_OPENAPI={openapi},
)
pkce.init_app(app)
"""

SIGNED_IN = """
from urllib.parse import urlsplit
from flask_pkce.testing import LocalTenant

tenant = LocalTenant()
app.config["PKCE_DOMAIN"] = tenant.issuer
app.config["PKCE_CLIENT_ID"] = tenant.client.client_id
tenant.register(redirect_uris=["http://localhost/auth/pkce/response/code"])
pkce.init_app(app, url_prefix="/auth", name="auth")
for mounted in app.extensions["pkce"].values():
    tenant.mount(mounted.relying_party.transport.session)
before = set(sys.modules)

client = app.test_client()
browser = {"Accept": "text/html"}
sent = client.post("/auth/pkce/code", headers=browser)
answer = tenant.sign_in(sent.location)
bound = client.post(urlsplit(answer.url).path, data=answer.params, headers=browser)
fetched = client.get(bound.location, headers=browser)
tokens = client.post("/auth/pkce/token", json={})
assert tokens.status_code == 200, (fetched.text, tokens.text)
assert client.post("/auth/pkce/clear").status_code == 204
"""


def modules(script: str, found: str = "sorted(sys.modules)") -> set[str]:
    """The modules that are there once a script has run, in an interpreter of its own."""
    code = f"import json, sys\n{script}\nprint(json.dumps({found}))"
    child = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert child.returncode == 0, child.stderr
    names: list[Any] = json.loads(child.stdout)
    return set(names)


def test_import_is_cheap() -> None:
    """Whoever imports the blueprint gets nothing of what answers requests."""
    found = modules("from flask_pkce import PKCEBlueprint")
    assert "flask_pkce.blueprint" in found
    assert not found & (HEAVY | RARE)


@pytest.mark.parametrize("openapi", [False, True])
def test_registration_imports_the_rest(openapi: bool) -> None:
    """Once an application is built all that answers requests is there, and nothing else is."""
    found = modules(REGISTERED.format(openapi=openapi))
    assert found >= HEAVY
    assert found & RARE == ({"flask_pkce.web.openapi"} if openapi else set())


def test_requests_import_nothing() -> None:
    """No user waits for an import: the first sign-in of a process finds everything there."""
    new = modules(
        REGISTERED.format(openapi=False) + SIGNED_IN, "sorted(set(sys.modules) - before)"
    )
    ours = ("flask_pkce.", "joserfc", "cryptography", "msgspec", "requests", "urllib3")
    assert not {
        name for name in new if name.startswith(ours) and not name.startswith("flask_pkce.testing")
    }
