"""Customers and staff: two buttons, each of which leads to its own tenant and back."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from examples.local_tenant import CLIENT, STAFF, use_local_tenant
from examples.tenants import app as example
from flask_pkce.testing import LocalTenant
from tests.examples.conftest import CreateApp
from tests.examples.pages import Page
from tests.web.host import CALLBACK, NAVIGATION

HEADERS = {**NAVIGATION, "Sec-Fetch-Site": "same-origin"}
FROM_TENANT = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}


@pytest.fixture
def staff_tenant() -> LocalTenant:
    """The tenant of the staff."""
    tenant = LocalTenant(issuer="https://staff.example/")
    tenant.register(redirect_uris=[f"http://localhost{CALLBACK}/staff"])
    return tenant


@pytest.fixture
def app(
    create_app: CreateApp, environment: pytest.MonkeyPatch, staff_tenant: LocalTenant
) -> Flask:
    tenants = {"staff": {"domain": "staff.example", "client_id": staff_tenant.client.client_id}}
    environment.setenv("FLASK_PKCE_TENANTS", json.dumps(tenants))
    app = create_app(example)
    staff_tenant.mount(app.extensions["pkce"]["pkce"].relying_party.transport.session)
    return app


def sign_in(browser: FlaskClient, tenant: LocalTenant, action: str) -> Page:
    """Press a button, sign in, and come back; the front page then."""
    sent = browser.post(action, headers=HEADERS)
    assert sent.location.startswith(tenant.issuer)
    answer = tenant.sign_in(sent.location)
    path = urlsplit(answer.url).path
    carried = browser.post(path, data=answer.params, headers=FROM_TENANT)
    bound = browser.get(carried.location, headers=FROM_TENANT)
    assert bound.location == "/"
    return Page(browser.get("/").text)


def test_both_sign_in(app: Flask, tenant: LocalTenant, staff_tenant: LocalTenant) -> None:
    """Each button leads to its tenant; who signed in last is who is signed in."""
    browser = app.test_client()
    actions = [form["action"] for form in Page(browser.get("/").text).all("form")]
    assert actions == ["/pkce/code", "/pkce/code?tenant=staff"]
    sign_in(browser, tenant, actions[0])
    assert tenant.issuer in browser.get("/").text
    sign_in(browser, staff_tenant, actions[1])
    assert staff_tenant.issuer in browser.get("/").text
    assert browser.post("/pkce/clear", headers=HEADERS).location == "/"
    assert staff_tenant.issuer not in browser.get("/").text


def test_local_tenant_has_both(
    environment: pytest.MonkeyPatch, monkeypatch: pytest.MonkeyPatch, app: Flask
) -> None:
    """With no settings at all there is a local tenant at which both have an application."""
    environment.delenv("FLASK_PKCE_DOMAIN")
    environment.delenv("FLASK_PKCE_TENANTS")
    environment.setenv("FLASK_TENANT_PORT", "0")
    local = use_local_tenant_of_the_example(monkeypatch)
    application = example.create_app()
    tenants = [
        known.registration
        for known in application.extensions["pkce"][
            "pkce"
        ].relying_party.tenants._configured.values()
    ]
    assert [(each.name, each.client_id) for each in tenants] == [
        ("", CLIENT.client_id),
        ("staff", STAFF.client_id),
    ]
    (started,) = local
    started.stop()


def use_local_tenant_of_the_example(monkeypatch: pytest.MonkeyPatch) -> list[LocalTenant]:
    """Note the tenant that the example starts."""
    started: list[LocalTenant] = []

    def use(app: Flask) -> LocalTenant | None:
        tenant = use_local_tenant(app)
        assert tenant is not None
        started.append(tenant)
        return tenant

    monkeypatch.setattr(example, "use_local_tenant", use)
    return started
