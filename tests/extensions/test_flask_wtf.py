"""Flask-WTF's ``CSRFProtect``: the routes are exempt by themselves, nothing else is."""

from __future__ import annotations

import logging
from typing import Any

import pytest
from flask import Blueprint, Flask, render_template_string
from flask_wtf import CSRFProtect

from flask_pkce import PKCEBlueprint
from tests.canaries import fields_of
from tests.conftest import MakeApp
from tests.web.host import Browser, Host, check_page, check_problem

ORDERS = ("before", "after")


def protect(make_app: MakeApp, app: Flask, order: str, **options: Any) -> Host:
    """A protected application with a form of its own, the extension in it before us or after."""
    csrf = CSRFProtect()
    if order == "before":
        csrf.init_app(app)
    host = make_app(app=app, **options)
    if order == "after":
        csrf.init_app(app)

    @app.get("/form")
    def form() -> str:
        return render_template_string("{{ csrf_token() }}")

    @app.post("/form")
    def sent() -> str:
        return "sent"

    return host


def sign_in(browser: Browser) -> None:
    """Go through all five routes."""
    browser.challenge()
    url = browser.submit("/pkce/code").headers["Location"]
    assert "Signed in" in browser.arrive(browser.host.tenant.sign_in(url)).text
    assert browser.token().status_code == 200
    assert browser.clear().status_code == 204


def check_protection(browser: Browser) -> None:
    """The form of the application needs its token, which works."""
    assert browser.client.post("/form").status_code == 400
    token = browser.client.get("/form").text
    assert browser.client.post("/form", data={"csrf_token": token}).text == "sent"


@pytest.mark.requirement("FP-8")
@pytest.mark.parametrize("order", ORDERS)
def test_sign_in(order: str, make_app: MakeApp) -> None:
    """All five routes work without a word of the host, whichever of the two was there first;
    the host's own forms stay protected, and so do ours, in our way."""
    host = protect(make_app, Flask("host"), order, url_prefix="/auth")
    browser = host.browser()
    sign_in(browser)
    check_protection(browser)
    response = browser.open("/pkce/code", site="cross-site", method="POST")
    assert response.status_code == 403


@pytest.mark.parametrize("delivery", ["caller", "session"])
@pytest.mark.parametrize("order", ORDERS)
def test_the_first_request(order: str, delivery: str, make_app: MakeApp) -> None:
    """A POST that is the first request of the process is not refused either."""
    host = protect(make_app, Flask("host"), order, PKCE_TOKEN_DELIVERY=delivery)
    assert host.program().code().status_code == 200


@pytest.mark.parametrize("order", ORDERS)
def test_said_once(order: str, make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """The log says it once for each blueprint, as early as it is known."""
    with caplog.at_level(logging.INFO, "flask_pkce"):
        app, staff = Flask("host"), PKCEBlueprint("staff")
        csrf = CSRFProtect()
        if order == "before":
            csrf.init_app(app)
        make_app(app=app)
        make_app(app=app, blueprint=staff, url_prefix="/staff")
        if order == "after":
            csrf.init_app(app)
        assert bool(caplog.records) is (order == "before")
        for _ in range(2):
            for path in ("/pkce/code", "/staff/pkce/code"):
                assert app.test_client().post(path).status_code == 200
    lines = [record for record in caplog.records if hasattr(record, "pkce_event")]
    assert [fields_of(line)["pkce_event"] for line in lines] == ["csrf-exempted"] * 2
    assert lines[0].getMessage() == (
        "csrf-exempted: CSRFProtect leaves the routes of pkce to their own protection"
    )
    assert [fields_of(line)["pkce_blueprint"] for line in lines] == ["pkce", "staff"]


@pytest.mark.parametrize("order", ORDERS)
def test_nested_and_renamed(order: str, make_app: MakeApp) -> None:
    """In another blueprint, or under another name, it is exempt too."""
    app = Flask("host")
    pkce, parent = PKCEBlueprint(), Blueprint("shop", __name__, url_prefix="/shop")
    parent.register_blueprint(pkce, name="renamed")
    protect(make_app, app, order)
    app.register_blueprint(parent)
    pkce.relying_party(app)
    client = app.test_client()
    problem = client.post("/shop/pkce/token").get_json()
    assert problem["error"] != "unsupported_grant_type"
    assert problem["type"].endswith("#cookie-missing")
    assert client.post("/form").status_code == 400


@pytest.mark.parametrize("order", ORDERS)
def test_what_a_host_adds_stays_protected(order: str, make_app: MakeApp) -> None:
    """A route that the host adds to the blueprint, or below it, is protected as its own are."""
    pkce, child = PKCEBlueprint(), Blueprint("child", __name__, url_prefix="/child")

    @pkce.post("/added")
    def added() -> str:
        return "added"

    @child.post("/added")
    def below() -> str:
        return "below"

    pkce.register_blueprint(child)
    host = protect(make_app, Flask("host"), order, blueprint=pkce)
    client = host.app.test_client()
    assert client.post("/child/added").status_code == 400
    assert client.post("/added").status_code == 400
    sign_in(host.browser())
    assert client.post("/added").status_code == 400


def test_the_host_exempts_it_too(make_app: MakeApp) -> None:
    """A host that says ``csrf.exempt(pkce)``, as was needed before, breaks nothing."""
    app = Flask("host")
    csrf, pkce = CSRFProtect(app), PKCEBlueprint()
    csrf.exempt(pkce)
    sign_in(make_app(app=app, blueprint=pkce).browser())


def test_something_else_under_that_name(make_app: MakeApp) -> None:
    """Another extension of that name, which exempts nothing, is left alone."""
    app = Flask("host")
    app.extensions["csrf"] = object()
    sign_in(make_app(app=app).browser())


def test_a_refusal_is_ours(make_app: MakeApp) -> None:
    """An answer that is not for this browser is refused by us, in our form."""
    host = protect(make_app, Flask("host"), "after")
    browser, other = host.browser(), host.browser()
    _, url = browser.begin()
    other.challenge()
    check_problem(other.respond(code="c", state="forged"), "state-unknown")
    check_page(other.arrive(host.tenant.sign_in(url)), "session-mismatch")
