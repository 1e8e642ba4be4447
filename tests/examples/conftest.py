"""The examples in process, each with an instance folder of its own, and the local tenant."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from flask_pkce.testing import LocalTenant
from tests.web.host import CALLBACK, NAVIGATION

CreateApp = Callable[[ModuleType], Flask]
SignIn = Callable[[FlaskClient, str], TestResponse]


@pytest.fixture
def tenant(tenant_keys: Path) -> LocalTenant:
    """The local tenant, by the clock on the wall, as the examples are."""
    tenant = LocalTenant(keys_folder=tenant_keys)
    tenant.register(redirect_uris=[f"http://localhost{CALLBACK}"])
    return tenant


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without settings of Flask."""
    for name in os.environ:
        if name.startswith("FLASK_"):
            monkeypatch.delenv(name)
    return monkeypatch


@pytest.fixture
def create_app(environment: pytest.MonkeyPatch, tenant: LocalTenant, tmp_path: Path) -> CreateApp:
    """Create the application of an example, which signs in at the mounted tenant."""

    def create(example: ModuleType) -> Flask:
        environment.setattr(example, "HERE", tmp_path)
        environment.setenv("FLASK_SECRET_KEY", "the secret key of the tests of the examples")
        environment.setenv("FLASK_PKCE_DOMAIN", tenant.issuer)
        environment.setenv("FLASK_PKCE_CLIENT_ID", tenant.client.client_id)
        app: Flask = example.create_app()
        app.testing = True
        tenant.mount(app.extensions["pkce"]["pkce"].relying_party.transport.session)
        return app

    return create


@pytest.fixture
def sign_in(tenant: LocalTenant) -> SignIn:
    """Sign in at the tenant, and let the browser bring the answer back.

    :return: the last answer, which sends the browser on.
    """

    def sign(browser: FlaskClient, authorization_url: str) -> TestResponse:
        answer = tenant.sign_in(authorization_url)
        assert answer.method == "POST"
        headers = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}
        carried = browser.post(CALLBACK, data=answer.params, headers=headers)
        assert "ticket=" in carried.location
        return browser.get(carried.location, headers=headers)

    return sign
