"""The notebook with Flask-Login: two ways in, one way out, and a dozen lines between."""

from __future__ import annotations

from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from examples.notebook import app as example
from flask_pkce.testing import LocalTenant, login_as
from tests.examples.conftest import CreateApp, SignIn
from tests.examples.pages import Page
from tests.web.host import NAVIGATION

HEADERS = {**NAVIGATION, "Sec-Fetch-Site": "same-origin"}
PASSWORD = {"email": "ada@example.com", "password": "ada-password"}
MARK = "  # PKCE"


@pytest.fixture
def app(create_app: CreateApp) -> Flask:
    return create_app(example)


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return app.test_client()


def log_in_with_pkce(browser: FlaskClient, sign_in: SignIn) -> None:
    """Press the second button of the login page."""
    page = Page(browser.get("/login", headers=HEADERS).text)
    assert page.all("form")[1] == {"method": "post", "action": "/pkce/code"}
    fields = {field["name"]: field["value"] for field in page.all("input") if field.get("value")}
    sent = browser.post("/pkce/code", data=fields, headers=HEADERS)
    assert sign_in(browser, sent.location).location == "/account"


def test_a_dozen_lines() -> None:
    """The blueprint was added in a dozen lines, and nothing else in the file names it."""
    lines = Path(example.__file__).read_text().splitlines()
    assert sum(line.endswith(MARK) for line in lines) == 12
    code = lines[lines.index("from __future__ import annotations") :]
    assert [line for line in code if "pkce" in line and not line.endswith(MARK)] == [
        "        # 307 keeps the method: the browser posts to /pkce/clear, and is out of both"
        " sessions.",
        '        return redirect(url_for("pkce.clear"), code=307)',
    ]


def test_without_the_dozen_lines(create_app: CreateApp, tmp_path: Path) -> None:
    """Without them it is the application that it was: passwords and pages work."""
    create_app(example)  # Sets the environment.
    source = Path(example.__file__).read_text().splitlines()
    before = "\n".join(line for line in source if not line.endswith(MARK))
    names = {"__name__": example.__name__, "__file__": example.__file__}
    exec(compile(before, example.__file__, "exec"), names)
    names["HERE"] = tmp_path  # type: ignore[assignment]
    app: Flask = names["create_app"]()  # type: ignore[operator]
    assert "pkce" not in app.extensions
    browser = app.test_client()
    assert browser.post("/login", data=PASSWORD).location == "/account"
    assert "Notes of Ada Example" in browser.get("/account").text


def test_log_in_with_pkce(browser: FlaskClient, sign_in: SignIn, tenant: LocalTenant) -> None:
    """Who signed in at the tenant is a user of this application, by issuer and subject."""
    assert browser.get("/account").location == "/login?next=%2Faccount"
    log_in_with_pkce(browser, sign_in)
    account = browser.get("/account").text
    Page(account)
    assert "Notes of Alice Example" in account
    assert f"{tenant.issuer}#auth0|alice" in account
    assert "Hello, Alice Example" in browser.get("/").text


def test_log_out_of_both(browser: FlaskClient) -> None:
    """One button ends the session of the application and that of the blueprint."""
    login_as(browser, name="Alice Example")
    assert browser.get("/pkce/user", headers=HEADERS).status_code == 200
    out = browser.post("/logout", headers=HEADERS)
    assert (out.status_code, out.location) == (307, "/pkce/clear")
    assert browser.post(out.location, headers=HEADERS).location == "/"
    assert browser.get("/account").status_code == 302
    assert browser.get("/pkce/user", headers=HEADERS).status_code == 401


@pytest.mark.parametrize("how", ["clear", "everywhere", "lost cookie", "another user"])
def test_session_ends_with_ours(how: str, browser: FlaskClient, tenant: LocalTenant) -> None:
    """Flask-Login knows the user for as long as the sign-in is good, and no other user."""
    login_as(browser, name="Alice Example")
    assert "Notes of Alice Example" in browser.get("/account").text
    relying_party = browser.application.extensions["pkce"]["pkce"].relying_party
    if how == "clear":
        browser.post("/pkce/clear", headers=HEADERS)
    elif how == "everywhere":
        relying_party.sign_out.everywhere(tenant.issuer, "auth0|alice")
    elif how == "lost cookie":
        browser.delete_cookie("pkce-80")
    else:
        with browser.session_transaction() as session:
            session["_user_id"] = f"{tenant.issuer}#auth0|bob"
    assert browser.get("/account").location == "/login?next=%2Faccount"


def test_log_in_with_a_password(browser: FlaskClient) -> None:
    """The password works as before, and so does logging out."""
    assert browser.post("/login", data=PASSWORD).location == "/account"
    assert "Notes of Ada Example" in browser.get("/account").text
    out = browser.post("/logout", headers=HEADERS, follow_redirects=True)
    assert (out.status_code, out.request.path) == (200, "/")
    assert browser.get("/account").status_code == 302


@pytest.mark.parametrize(
    "fields",
    [
        {"email": "ada@example.com", "password": "wrong"},
        {"email": "nobody@example.com", "password": "ada-password"},
        {"email": "https://tenant.example/#auth0|alice", "password": ""},
    ],
)
def test_log_in_refused(browser: FlaskClient, fields: dict[str, str]) -> None:
    """A wrong password is none, and who signs in at the tenant has none at all."""
    login_as(browser, name="Alice Example")
    browser.post("/logout")
    page = browser.post("/login", data=fields)
    Page(page.text)
    assert "Wrong e-mail address or password." in page.text
    assert browser.get("/account").status_code == 302


def test_same_name_is_not_the_same_user(browser: FlaskClient) -> None:
    """Signing in twice enters one user; a user with a password stays another."""
    login_as(browser, name="Alice Example")
    browser.post("/logout")
    login_as(browser, name="Alice Example")
    with browser.application.app_context(), example.database() as db:
        ids = [row[0] for row in db.execute("SELECT id FROM users ORDER BY id")]
    assert ids == ["ada@example.com", "https://tenant.example/#auth0|alice"]
