"""The blueprint in ``httpbin``, which has no secret key, and lets every origin call it."""

from __future__ import annotations

import sys

import pytest
from flask import Flask

from flask_pkce import ConfigurationError, PKCEBlueprint
from flask_pkce.testing import LocalTenant
from tests.conftest import MakeApp
from tests.not_run import installed
from tests.web.host import check_problem


@pytest.fixture
def app(monkeypatch: pytest.MonkeyPatch) -> Flask:
    """A new httpbin."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "httpbin"]:
        monkeypatch.delitem(sys.modules, name)
    app = installed("httpbin").app
    assert isinstance(app, Flask)
    return app


def test_it_has_no_secret_key(app: Flask, tenant: LocalTenant) -> None:
    """As it comes it does not start with the blueprint in it, and is told what to set."""
    app.config.update(PKCE_DOMAIN=tenant.issuer, PKCE_CLIENT_ID="a", PKCE_STORE_URL="memory://")
    with pytest.raises(ConfigurationError, match="SECRET_KEY"):
        PKCEBlueprint().init_app(app)


def test_sign_in(app: Flask, make_app: MakeApp) -> None:
    """People sign in, and another site does not, although httpbin gives it all CORS headers."""
    host = make_app(app=app, url_prefix="/auth", PKCE_TOKEN_DELIVERY="session")
    host.sends_cors = True
    browser = host.browser()
    url = browser.submit("/pkce/code", {"return_to": "/uuid"}).headers["Location"]
    assert browser.arrive(host.tenant.sign_in(url)).headers["Location"] == "/uuid"
    assert "uuid" in browser.client.get("/uuid").get_json()
    headers = {"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    refused = browser.send("GET", "/pkce/user", headers=headers)
    assert refused.headers["Access-Control-Allow-Origin"] == "https://evil.example"
    check_problem(refused, "origin-refused")
    assert browser.send("GET", "/pkce/user").get_json()["sub"] == "auth0|alice"
