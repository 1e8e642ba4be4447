"""The single-page app: its server signs in, keeps the tokens, and answers its page's script."""

from __future__ import annotations

from examples.single_page import app as example
from tests.examples.conftest import CreateApp, SignIn
from tests.examples.pages import Page
from tests.web.host import FETCH, NAVIGATION

HEADERS = {**NAVIGATION, "Sec-Fetch-Site": "same-origin"}


def test_sign_in(create_app: CreateApp, sign_in: SignIn) -> None:
    """The script is told to sign in; then it reads and writes as the user."""
    app = create_app(example)
    browser = app.test_client()
    with browser.get("/", headers=HEADERS) as answer:
        page = Page(answer.get_data(as_text=True))
    assert page.all("script") == [{"type": "module", "src": "/static/page.js"}]
    with browser.get("/static/page.js") as script:
        assert script.mimetype == "text/javascript"
    assert browser.get("/api/tasks", headers=FETCH).status_code == 401
    sent = browser.get("/pkce/login?return_to=/", headers=HEADERS)
    assert sign_in(browser, sent.location).location == "/"
    assert browser.get("/api/tasks", headers=FETCH).get_json() == {
        "name": "Alice Example",
        "tasks": [],
    }
    added = browser.post("/api/tasks", json={"task": "read"}, headers=FETCH)
    assert (added.status_code, added.get_json()["tasks"]) == (201, ["read"])


def test_forms_of_others(create_app: CreateApp, sign_in: SignIn) -> None:
    """What a form of another site can send is not taken."""
    browser = create_app(example).test_client()
    sent = browser.get("/pkce/login", headers=HEADERS)
    sign_in(browser, sent.location)
    posted = browser.post("/api/tasks", data={"task": "read"}, headers=FETCH)
    assert posted.status_code == 415


def test_sign_out(create_app: CreateApp, sign_in: SignIn) -> None:
    """The button ends the session, here and at the tenant."""
    browser = create_app(example).test_client()
    sign_in(browser, browser.get("/pkce/login", headers=HEADERS).location)
    assert "/oidc/logout" in browser.post("/pkce/logout", headers=HEADERS).location
    assert browser.get("/api/tasks", headers=FETCH).status_code == 401
