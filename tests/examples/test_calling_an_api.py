"""The application that calls an API as its user."""

from __future__ import annotations

import pytest
import requests_mock

from examples.calling_an_api import app as example
from tests.examples.conftest import CreateApp, SignIn
from tests.web.host import NAVIGATION

HEADERS = {**NAVIGATION, "Sec-Fetch-Site": "same-origin"}


def test_call(create_app: CreateApp, sign_in: SignIn, monkeypatch: pytest.MonkeyPatch) -> None:
    """The page signs in, and shows what the API says to the user's token."""
    monkeypatch.setenv("FLASK_API_URL", "https://api.example.com")
    app = create_app(example)
    browser = app.test_client()
    sent = browser.get(browser.get("/", headers=HEADERS).location, headers=HEADERS)
    assert sign_in(browser, sent.location).location == "/"
    with requests_mock.Mocker() as mock:
        mock.get("https://api.example.com/userinfo", json={"nickname": "<Al>"})
        page = browser.get("/", headers=HEADERS)
    assert "<dt>nickname</dt><dd>&lt;Al&gt;</dd>" in page.text
    assert mock.request_history[0].headers["Authorization"].startswith("Bearer ")


def test_default_api(create_app: CreateApp) -> None:
    """By default the API is the tenant's own."""
    app = create_app(example)
    assert app.config["API_URL"] == app.config["PKCE_DOMAIN"]
