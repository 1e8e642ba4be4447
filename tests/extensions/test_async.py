"""``async`` views, hooks and functions around requests, as ``flask[async]`` runs them."""

from __future__ import annotations

import asyncio
from typing import Any

from flask import Flask, Response, session

from flask_pkce import PKCEBlueprint
from tests.conftest import MakeApp


def test_sign_in(make_app: MakeApp) -> None:
    """Everything of the host is ``async``: what surrounds a request, its views, and our hooks,
    which have the host's session."""
    app, pkce = Flask("host"), PKCEBlueprint()
    told = []

    @app.before_request
    async def before() -> None:
        await asyncio.sleep(0)

    @app.after_request
    async def after(response: Response) -> Response:
        await asyncio.sleep(0)
        response.headers["X-Host"] = "async"
        return response

    @pkce.before_authorize
    async def hint(authorization_request: Any) -> Any:
        await asyncio.sleep(0)
        return authorization_request.replace(prompt="login")

    @pkce.after_authorize
    async def answered(authorization_response: Any) -> None:
        await asyncio.sleep(0)
        told.append("answered")

    @pkce.before_token
    async def exchanging(token_request: Any) -> None:
        await asyncio.sleep(0)
        told.append("exchanging")

    @pkce.after_token
    async def log_in(token_response: Any) -> None:
        await asyncio.sleep(0)
        session["user"] = token_response.claims["sub"]

    @pkce.on_error
    async def failed(error: Any) -> None:
        await asyncio.sleep(0)
        told.append(error.code)

    @app.get("/account")
    async def account() -> str:
        await asyncio.sleep(0)
        return str(session["user"])

    @app.get("/private")
    @pkce.login_required
    async def private() -> str:
        await asyncio.sleep(0)
        assert pkce.user is not None
        return pkce.user.subject

    host = make_app(app=app, blueprint=pkce, PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    assert browser.client.get("/private").status_code == 401
    sent = browser.submit("/pkce/code", {"return_to": "/account"})
    assert "prompt=login" in sent.headers["Location"]
    arrived = browser.arrive(host.tenant.sign_in(sent.headers["Location"]))
    assert (arrived.headers["Location"], arrived.headers["X-Host"]) == ("/account", "async")
    assert browser.client.get("/account").text == "auth0|alice"
    assert browser.client.get("/private").text == "auth0|alice"
    assert browser.send("PUT", "/pkce/code").status_code == 405
    assert told == ["not-signed-in", "answered", "exchanging", "method-not-allowed"]
