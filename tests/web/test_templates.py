"""Pages of the host's own: its layout, its language, and what becomes of its mistakes."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path

import pytest
from flask import Flask, Response
from jinja2 import DictLoader, FunctionLoader

from flask_pkce import PKCEBlueprint, TokenResponse, errors, web
from flask_pkce.web.responses import page
from tests.conftest import MakeApp
from tests.web.host import CALLBACK, Browser, Host
from tests.web.test_responses import SITUATIONS, directives

TEMPLATES = Path(web.__file__).parent / "templates" / "pkce"
PAGES = sorted(path.name for path in TEMPLATES.iterdir() if path.name != "base.html")

SITE = """<!doctype html>
<html lang="de">
<head>
<title>{% block title %}{% endblock %} - Shop</title>
<link rel="stylesheet" href="/static/shop.css" nonce="{{ csp_nonce }}">
</head>
<body><nav>The shop's menu</nav>{% block content %}{% endblock %}</body>
</html>
"""
LAYOUT = {"site.html": SITE, "pkce/base.html": '{% extends "site.html" %}'}


def app_with(templates: dict[str, str]) -> Flask:
    """A host that has templates of its own."""
    app = Flask("host")
    app.jinja_loader = DictLoader(templates)  # pyright: ignore[reportAttributeAccessIssue]
    return app


@pytest.mark.parametrize("name", PAGES)
def test_one_layout_for_all(name: str, make_app: MakeApp) -> None:
    """One template of the host's gives every page its layout, and nothing of ours is left."""
    host = make_app(app=app_with(LAYOUT))
    template = host.app.jinja_env.get_template(f"pkce/{name}")
    error = errors.FlowExpired()
    html = template.render(error=error, title=error.title, user={}, csp_nonce="the-nonce")
    assert "<nav>The shop's menu</nav>" in html
    assert "<title> - Shop</title>" not in html
    assert html.count("<title>") == html.count("<h1>") == 1
    assert "<style" not in html
    assert 'nonce="the-nonce"' in html


def test_the_way_on_is_not_in_the_layout(make_app: MakeApp) -> None:
    """Whatever the layout, the browser goes on by itself."""
    settings = {"SESSION_COOKIE_SAMESITE": "Strict", "PKCE_TOKEN_DELIVERY": "session"}
    host = make_app(app=app_with(LAYOUT), **settings)
    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    page = browser.deliver(host.tenant.sign_in(url))
    assert "The shop's menu" in page.text
    assert page.headers["Refresh"].startswith(f"0; url={CALLBACK}?ticket=")


def test_only_pages_that_wait_refresh(make_app: MakeApp) -> None:
    """No other page goes anywhere."""
    for each in SITUATIONS:
        if each.is_page and each.act.__name__ in {"_start", "_foreign_host", "_cleared"}:
            assert "Refresh" not in each.happen(make_app).headers


def test_nonce(make_app: MakeApp) -> None:
    """A style sheet of the host's has the nonce of the answer, and so is let in."""
    page = make_app(app=app_with(LAYOUT)).browser().open("/pkce/challenge")
    (source,) = directives(page)["style-src"]
    nonce = re.search(r'href="/static/shop.css" nonce="([^"]+)"', page.text)
    assert nonce is not None
    assert source == f"'nonce-{nonce[1]}'"


@pytest.mark.parametrize("name", PAGES)
def test_no_descriptors_left(name: str, make_app: MakeApp) -> None:
    """A page that cannot be read any more is there as the package has it."""
    app = app_with({})

    def fail(_: str) -> str:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    app.jinja_loader = FunctionLoader(fail)  # pyright: ignore[reportAttributeAccessIssue]
    host = make_app(app=app)
    error = errors.FlowExpired()
    with host.app.test_request_context():
        answer = page(name, error=error, title=error.title, user={}, start_url="/")
    assert answer.get_data(as_text=True).startswith("<!doctype html>")


def test_policy_is_the_hosts_to_widen(make_app: MakeApp) -> None:
    """A host that shows pictures on the pages says so, and nothing else of the policy changes."""
    pkce = PKCEBlueprint()

    @pkce.after_request
    def show_pictures(response: Response) -> Response:
        response.content_security_policy.img_src = "'self'"
        return response

    page = make_app(blueprint=pkce).browser().open("/pkce/challenge")
    policy = directives(page)
    assert policy.pop("img-src") == ["'self'"]
    assert policy["default-src"] == ["'none'"]


TRANSLATED = """{% extends "pkce/base.html" %}
{% set texts = {"access-denied": "Die Anmeldung wurde abgebrochen."} %}
{% block lang %}de{% endblock %}
{% block title %}Keine Anmeldung{% endblock %}
{% block content %}
<h1>{{ self.title() }}</h1>
<p>{{ texts.get(error.code, "Es ging nicht.") }}</p>
<p>{{ error.detail }}</p>
{% endblock %}
"""


def denied(browser: Browser, description: str) -> str:
    """The page that says that the tenant refused, for a reason."""
    state, _ = browser.begin()
    answer = {"state": state, "error": "access_denied", "error_description": description}
    page = browser.arrive(answer)
    assert page.status_code == 400
    return page.text


def test_language(make_app: MakeApp) -> None:
    """A host tells errors by their code, in its own words."""
    browser = make_app(app=app_with({"pkce/error.html": TRANSLATED})).browser()
    text = denied(browser, "because")
    assert '<html lang="de">' in text
    assert "<title>Keine Anmeldung</title>" in text
    assert "<p>Die Anmeldung wurde abgebrochen.</p>" in text
    assert (
        "Es ging nicht." in browser.open("/pkce/challenge", headers={"Purpose": "prefetch"}).text
    )


def test_texts_of_others_are_escaped(make_app: MakeApp) -> None:
    """What the tenant says is text in the host's templates, too."""
    browser = make_app(app=app_with({"pkce/error.html": TRANSLATED})).browser()
    text = denied(browser, "<script>alert(1)</script>")
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_title_is_said_once(host: Host, browser: Browser) -> None:
    """The page of an error does not repeat its title before what the tenant said."""
    text = denied(browser, "because")
    title = errors.AccessDenied.title
    assert f"<h1>{title}</h1>" in text
    assert "<p>The tenant says: because</p>" in text
    assert text.count(title) == 2  # the heading, and what a tab shows
    plain = browser.open("/pkce/challenge", headers={"Purpose": "prefetch"}).text
    assert plain.count(errors.PrefetchRefused.title) == 2


@pytest.mark.parametrize("name", ["start.html", "error.html"])
def test_mistake_of_the_host(name: str, make_app: MakeApp) -> None:
    """A template that breaks is the host's error, and answered as the host answers its own."""
    broken = {f"pkce/{name}": "{{ error.no.such.thing }}{{ nothing.at.all }}"}
    app = app_with(broken)
    app.register_error_handler(500, lambda error: ("the host is sorry", 500))
    browser = make_app(app=app, PROPAGATE_EXCEPTIONS=False).browser()
    headers = {"Purpose": "prefetch"} if name == "error.html" else {}
    page = browser.client.get("/pkce/challenge", headers={"Accept": "text/html", **headers})
    assert (page.status_code, page.text) == (500, "the host is sorry")


def test_mistake_after_the_cookie_was_renewed(make_app: MakeApp) -> None:
    """Where the page of an error breaks at the callback, the browser keeps its session."""
    pkce = PKCEBlueprint()

    @pkce.after_token
    def refuse(response: TokenResponse) -> None:
        raise errors.AccessDenied("Only staff.")

    app = app_with({"pkce/error.html": "{{ nothing.at.all }}"})
    app.register_error_handler(500, lambda error: ("the host is sorry", 500))
    host = make_app(
        app=app, blueprint=pkce, PKCE_TOKEN_DELIVERY="session", PROPAGATE_EXCEPTIONS=False
    )
    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    kept = browser.deliver(host.tenant.sign_in(url))
    before = browser.cookie
    page = browser.client.get(kept.headers["Location"], headers={"Accept": "text/html"})
    assert (page.status_code, page.text) == (500, "the host is sorry")
    assert browser.cookie != before
    host.session_of(browser)
