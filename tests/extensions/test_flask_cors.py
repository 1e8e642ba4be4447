"""Flask-CORS: headers are the host's to send, and open none of the routes."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask
from flask_cors import CORS

from tests.conftest import MakeApp
from tests.web.host import Browser, Host, check_refused

FOREIGN = "https://evil.example"
NAMED = "https://spa.example"
ROUTES = (
    ("GET", "/pkce/challenge"),
    ("POST", "/pkce/code"),
    ("POST", "/pkce/response/code"),
    ("POST", "/pkce/token"),
    ("POST", "/pkce/clear"),
)


def open_wide(make_app: MakeApp, **settings: Any) -> Host:
    """An application that lets every origin call it, with cookies."""
    app = Flask("host")
    CORS(app, supports_credentials=True, expose_headers=["Preference-Applied"])

    @app.get("/news")
    def news() -> str:
        return "news"

    host = make_app(app=app, **settings)
    host.sends_cors = True
    return host


def signed_in(host: Host) -> Browser:
    """A browser with a session."""
    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    assert "Signed in" in browser.arrive(host.tenant.sign_in(url)).text
    assert browser.token().status_code == 200
    return browser


def from_elsewhere(site: str | None, origin: str) -> dict[str, str]:
    """The headers of a script on a page of another origin, cookies and all."""
    return {"Origin": origin, "Sec-Fetch-Site": site or ""}


@pytest.mark.parametrize("site", ["cross-site", "same-site", None])
@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_a_foreign_origin(method: str, path: str, site: str | None, make_app: MakeApp) -> None:
    """A page of another origin, which ``CORS(app)`` lets read every answer, reads a refusal."""
    host = open_wide(make_app)
    browser = signed_in(host)
    headers = from_elsewhere(site, FOREIGN)
    code = "navigation-required" if site and path.endswith("response/code") else "origin-refused"
    data = {"code": "c", "state": "s"} if path.endswith("response/code") else None
    check_refused(
        browser,
        lambda: browser.send(method, path, headers=headers, data=data),
        code,
        status=403,
    )
    news = browser.client.get("/news", headers=headers)
    assert news.headers["Access-Control-Allow-Origin"] == FOREIGN


def test_a_preflight(make_app: MakeApp) -> None:
    """What the host promises in the answer to a preflight, the routes do not keep."""
    host = open_wide(make_app)
    browser = signed_in(host)
    before = host.store.contents()
    headers = {
        **from_elsewhere("cross-site", FOREIGN),
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "content-type",
    }
    response = browser.send("OPTIONS", "/pkce/token", headers=headers)
    assert response.status_code == 204
    assert "Set-Cookie" not in response.headers
    assert host.store.contents() == before


def test_an_origin_that_is_named(make_app: MakeApp) -> None:
    """A page that ``PKCE_ALLOWED_ORIGINS`` names works by the headers that Flask-CORS sends."""
    host = open_wide(make_app, PKCE_ALLOWED_ORIGINS=[NAMED])
    browser = host.browser()
    headers = from_elsewhere("same-site", NAMED)
    response = browser.send("POST", "/pkce/code", headers=headers)
    assert response.status_code == 200
    assert response.headers["Access-Control-Allow-Origin"] == NAMED
    assert response.headers["Access-Control-Allow-Credentials"] == "true"
    assert "Origin" in response.headers["Vary"]


def test_without_it(make_app: MakeApp) -> None:
    """None of these headers is ours, for a named origin either."""
    host = make_app(PKCE_ALLOWED_ORIGINS=[NAMED])
    headers = from_elsewhere("same-site", NAMED)
    assert host.browser().send("POST", "/pkce/code", headers=headers).status_code == 200
