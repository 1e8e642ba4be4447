"""The standalone server: its settings, its five routes, and its front page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from examples.standalone import app as standalone
from flask_pkce import ConfigurationError
from flask_pkce.settings.model import Settings
from flask_pkce.testing import LocalTenant
from tests.examples.conftest import CreateApp, SignIn
from tests.examples.pages import Page
from tests.web.host import CALLBACK, FETCH, NAVIGATION

STATIC = Path(standalone.__file__).parent / "static"
STEPS = ["challenge", "code", "tenant", "answer", "token", "refresh", "clear"]

#: An address that would leave this machine; the namespace of SVG is a name and never fetched.
FOREIGN = re.compile(
    r"""(?:https?:|["'(=])//(?!localhost\b|127\.0\.0\.1\b|www\.w3\.org/2000/svg\b)\w[\w.-]+"""
)


@pytest.fixture
def app(create_app: CreateApp) -> Flask:
    return create_app(standalone)


@pytest.fixture
def browser(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def page(browser: FlaskClient) -> Page:
    return Page(browser.get("/").text)


def settings_of(app: Flask) -> Settings:
    settings: Settings = app.extensions["pkce"]["pkce"].relying_party.settings
    return settings


# -- settings ------------------------------------------------------------------


def test_settings(app: Flask, tenant: LocalTenant) -> None:
    """The local session is on, refresh tokens are asked for, and the front page is the end."""
    settings = settings_of(app)
    assert settings.domain == tenant.issuer
    assert settings.local_session
    assert settings.scope == ("openid", "profile", "email", "offline_access")
    assert settings.authenticated_url == "/"


def test_settings_of_the_environment(
    create_app: CreateApp, environment: pytest.MonkeyPatch
) -> None:
    """What the environment says counts more."""
    environment.setenv("FLASK_PKCE_LOCAL_SESSION", "false")
    environment.setenv("FLASK_PKCE_SCOPE", "openid")
    environment.setenv("FLASK_PKCE_PUBLIC_URL", "https://app.example")
    settings = settings_of(create_app(standalone))
    assert not settings.local_session
    assert settings.scope == ("openid",)


def test_local_session_is_for_loopback(
    create_app: CreateApp, environment: pytest.MonkeyPatch
) -> None:
    """A public address stops the start, until the local session is switched off."""
    environment.setenv("FLASK_PKCE_PUBLIC_URL", "https://app.example")
    with pytest.raises(ConfigurationError, match="PKCE_LOCAL_SESSION"):
        create_app(standalone)


# -- signing in ------------------------------------------------------------------


def test_sign_in_as_the_page_does(browser: FlaskClient, sign_in: SignIn) -> None:
    """The five calls of the page, with the bodies that it sends."""
    challenge = browser.get("/pkce/challenge", headers=FETCH).json["challenge"]  # type: ignore[index]
    asked = {
        "response_type": "code",
        "state": challenge["state"],
        "code_challenge": challenge["challenge"],
        "code_challenge_method": challenge["method"],
    }
    sent = browser.post("/pkce/code", json=asked, headers=FETCH).json
    assert sent
    assert sign_in(browser, sent["authorization_url"]).location == "/"
    answer = browser.post("/pkce/code", json={"state": challenge["state"]}, headers=FETCH).json
    assert answer
    body = {
        "grant_type": "authorization_code",
        "client_id": answer["seed"]["client_id"],
        "redirect_uri": answer["seed"]["redirect_uri"],
        "code": answer["result"]["code"],
        "code_verifier": challenge["verifier"],
    }
    tokens = browser.post("/pkce/token", json=body, headers=FETCH).json
    assert tokens
    assert tokens["auth0"]["user"]["name"] == "Alice Example"
    again = browser.post("/pkce/token", json={"grant_type": "refresh_token"}, headers=FETCH).json
    assert again
    assert again["auth0"]["oAuth"]["token"]["id_token"]
    assert browser.post("/pkce/clear", headers=FETCH).status_code == 204


def test_sign_in_from_the_terminal(app: Flask, sign_in: SignIn) -> None:
    """The commands of the page need neither cookies nor bodies, and any browser may finish."""
    program = app.test_client(use_cookies=False)
    assert program.get("/pkce/challenge").json
    sent = program.post("/pkce/code").json
    assert sent
    assert sign_in(app.test_client(), sent["authorization_url"]).location == "/"
    tokens = program.post("/pkce/token").json
    assert tokens
    assert tokens["auth0"]["user"]["email"] == "alice@example.com"
    assert program.post("/pkce/clear").status_code == 204


def test_sign_in_without_scripts(browser: FlaskClient, page: Page, sign_in: SignIn) -> None:
    """The login button is a plain form, and so is the one that signs out."""
    actions = [form["action"] for form in page.all("form")]
    assert actions == ["/pkce/code", "/pkce/clear"]
    headers = {**NAVIGATION, "Sec-Fetch-Site": "same-origin"}
    assert sign_in(browser, browser.post(actions[0], headers=headers).location).location == "/"
    assert browser.post(actions[1], headers=headers).location == "/"


def test_cancelled(browser: FlaskClient, tenant: LocalTenant) -> None:
    """Who cancels gets a page that leads back to the steps, which tell why."""
    sent = browser.post("/pkce/code", headers=FETCH).json
    assert sent
    answer = tenant.sign_in(sent["authorization_url"], cancel=True)
    headers = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}
    carried = browser.post(CALLBACK, data=answer.params, headers=headers)
    refused = browser.get(carried.location, headers=headers)
    assert refused.status_code == 400
    assert [link["href"] for link in Page(refused.text).all("a")] == ["/"]
    assert "access-denied" in refused.text
    state = {"state": answer.params["state"]}
    problem = browser.post("/pkce/code", json=state, headers=FETCH).json
    assert problem
    assert problem["type"].endswith("#access-denied")
    assert problem["title"]
    assert problem["hint"]


# -- the front page --------------------------------------------------------------


def test_page_is_whole(page: Page) -> None:
    """It says its language, fits a phone, and its labels and links lead somewhere."""
    assert page.all("html") == [{"lang": "en"}]
    names = [meta.get("name") for meta in page.all("meta")]
    assert "viewport" in names
    ids = page.values("id")
    assert "steps" in ids
    assert set(page.values("aria-labelledby")) <= set(ids)
    assert [link["href"] for link in page.all("a")] == ["#steps"]
    assert all("alt" in image for image in page.all("img"))
    assert page.values("role") == ["status"]


def test_page_has_every_step(browser: FlaskClient, page: Page) -> None:
    """Each step stands in its order, with the route that it calls, and is in the diagram."""
    steps = [each for each in page.all("li") if "data-step" in each]
    assert [each["data-step"] for each in steps] == STEPS
    for step in steps:
        assert step["data-title"]
        assert step["data-caption"]
        if step["data-step"] != "tenant":
            assert browser.options(step["data-url"]).status_code == 204
    drawn = {name for names in page.values("data-steps") for name in names.split()}
    assert drawn == set(STEPS)


def test_steps_of_the_page_and_of_the_script() -> None:
    """The script has a method for each step."""
    script = (STATIC / "run.js").read_text()
    for step in STEPS:
        assert re.search(rf"^  (?:async )?{step}\((?:url)?\) {{$", script, re.MULTILINE), step


def test_nothing_comes_from_the_internet(
    browser: FlaskClient, page: Page, tenant: LocalTenant
) -> None:
    """Scripts, styles and images are our own files, and no file names a host but the tenant's."""
    sources = page.values("src") + [link["href"] for link in page.all("link")]
    assert sources
    for source in sources:
        assert source.startswith("/static/")
        with browser.get(source) as file:
            assert file.status_code == 200
            assert file.headers["X-Content-Type-Options"] == "nosniff"
    for name in STATIC.iterdir():
        assert FOREIGN.findall(name.read_text()) == []
    assert set(FOREIGN.findall(browser.get("/").text)) == {tenant.issuer.rstrip("/")}


def test_content_security_policy(browser: FlaskClient, page: Page) -> None:
    """Nothing but our own files runs; there is no inline script, style or handler to allow."""
    headers = browser.get("/").headers
    policy = dict(
        directive.split(" ", 1) for directive in headers["Content-Security-Policy"].split("; ")
    )
    assert policy.pop("form-action") == "'self' https: http://localhost:* http://127.0.0.1:*"
    assert policy == {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self'",
        "connect-src": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
        "require-trusted-types-for": "'script'",
    }
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert all("src" in script for script in page.all("script"))
    assert page.all("style") == []
    attributes = {name for _, found in page.elements for name in found}
    assert not {name for name in attributes if name.startswith("on") or name == "style"}


def test_script_makes_no_markup() -> None:
    """What came from a server is only ever text, also where trusted types are not known."""
    for file in STATIC.glob("*.js"):
        assert not re.search(
            r"innerHTML|outerHTML|insertAdjacent|eval\(|document\.write", file.read_text()
        )


def test_answers_keep_their_own_headers(browser: FlaskClient) -> None:
    """The headers of the page do not replace those of the routes."""
    answer = browser.get("/pkce/challenge", headers=FETCH)
    assert answer.headers.getlist("Content-Security-Policy") == [
        "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
    ]


def test_domain_is_told(browser: FlaskClient, tenant: LocalTenant) -> None:
    """Who is sent to a tenant on the internet reads its name first."""
    text = browser.get("/").text
    assert f'<strong class="long">{tenant.issuer}</strong>' in text
    assert "on this machine, as" not in text


def test_code_in_the_query(create_app: CreateApp, environment: pytest.MonkeyPatch) -> None:
    """With the code in the address, the page does not say that it is not."""
    environment.setenv("FLASK_PKCE_RESPONSE_MODE", "query")
    text = create_app(standalone).test_client().get("/").text
    assert "in no address" not in text
    assert "GET /pkce/response/code" in text


def test_delivery_session(create_app: CreateApp, environment: pytest.MonkeyPatch) -> None:
    """Where nothing leaves the server, the page shows nothing but the way in and the user."""
    environment.setenv("FLASK_PKCE_TOKEN_DELIVERY", "session")
    page = Page(create_app(standalone).test_client().get("/").text)
    assert page.all("script") == []
    assert "/pkce/user" in page.values("href")
    assert [form["action"] for form in page.all("form")] == ["/pkce/code", "/pkce/clear"]
