"""The checks of the application around the blueprint."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from flask import Flask
from flask_wtf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from flask_pkce.cli.doctor import Verdict
from tests.conftest import MakeApp

from .examined import DOUBTFUL, RIGHT, WRONG, check_row, found, judged, public


def behind_proxy(app: Flask, **options: int) -> Flask:
    """The application with a ProxyFix, and something else around it."""
    fix = ProxyFix(app.wsgi_app, **options)
    app.wsgi_app = SimpleNamespace(wsgi_app=fix)  # type: ignore[assignment]
    return app


@pytest.mark.parametrize(
    ("settings", "options", "verdict", "words"),
    [
        ({}, {}, DOUBTFUL, "Set PKCE_PUBLIC_URL"),
        (public(), {}, RIGHT, "PKCE_PUBLIC_URL says"),
        (public(), {"x_proto": 0}, DOUBTFUL, "x_proto=1"),
    ],
)
def test_proxy(
    settings: dict[str, Any],
    options: dict[str, int],
    verdict: Verdict,
    words: str,
    make_app: MakeApp,
) -> None:
    """A ProxyFix goes with an address that users see, and reads the scheme."""
    app = behind_proxy(make_app(**settings).app, **options)
    check_row(found(app, "proxy"), verdict, words)


def test_no_proxy(make_app: MakeApp) -> None:
    """Without a ProxyFix all is well: nothing is taken from forwarded headers."""
    check_row(found(make_app().app, "proxy"), RIGHT, "No ProxyFix")


def test_wrapped_around_itself(make_app: MakeApp) -> None:
    """The search for a ProxyFix ends."""
    app = make_app().app
    layer = SimpleNamespace()
    layer.app = layer
    app.wsgi_app = layer  # type: ignore[assignment,method-assign]
    check_row(found(app, "proxy"), RIGHT, "No ProxyFix")


def test_local_session(make_app: MakeApp) -> None:
    """The local session does not go with a proxy."""
    check_row(found(make_app().app, "local-session"), RIGHT, "no local session")
    app = make_app(PKCE_LOCAL_SESSION=True).app
    check_row(found(app, "local-session"), RIGHT, "share one session")
    check_row(found(behind_proxy(app), "local-session"), DOUBTFUL, "never local")


@pytest.mark.parametrize(
    ("settings", "verdict", "words"),
    [
        ({}, RIGHT, "by form_post"),
        ({"PKCE_RESPONSE_MODE": "query"}, RIGHT, "by query"),
        (public(), RIGHT, "by form_post"),
        (public(SESSION_COOKIE_SAMESITE="Strict"), RIGHT, "through a page in between"),
        ({"SESSION_COOKIE_SAMESITE": "None"}, WRONG, "without Secure"),
        (public(SESSION_COOKIE_SAMESITE="None"), DOUBTFUL, "other sites"),
        (public(SESSION_COOKIE_SAMESITE=None), DOUBTFUL, "is not set"),
        (public(SESSION_COOKIE_SECURE=False), DOUBTFUL, "SESSION_COOKIE_SECURE is off"),
        (public(SESSION_COOKIE_NAME="__Host-pkce"), WRONG, "SESSION_COOKIE_NAME"),
    ],
)
def test_cookies(
    settings: dict[str, Any], verdict: Verdict, words: str, make_app: MakeApp
) -> None:
    """The host's own cookie meets the answer, travels over https alone, and is not ours."""
    check_row(found(make_app(**settings).app, "cookies"), verdict, words)


def test_cookies_that_are_as_flask_has_them(make_app: MakeApp) -> None:
    """Each attribute that is not set is a row."""
    findings = found(make_app(PKCE_PUBLIC_URL="https://app.example").app, "cookies")
    assert [verdict for verdict, _ in judged(findings)] == [DOUBTFUL, DOUBTFUL]


# -- protection against CSRF -----------------------------------------------------


def protected(make_app: MakeApp, **settings: Any) -> Flask:
    """An application whose protection stands before the routes."""
    app = make_app(**settings).app
    CSRFProtect(app)
    return app


def test_no_protection(make_app: MakeApp) -> None:
    """Without the extension there is nothing to see to."""
    check_row(found(make_app().app, "csrf"), RIGHT, "No protection")


def test_protection_that_lets_pass(make_app: MakeApp) -> None:
    """The routes take themselves out of Flask-WTF's protection, before any request, too."""
    app = protected(make_app)
    check_row(found(app, "csrf"), RIGHT, "own protection")
    assert app.test_client().post("/pkce/code").status_code == 200


@pytest.mark.parametrize("name", ["WTF_CSRF_ENABLED", "WTF_CSRF_CHECK_DEFAULT"])
def test_protection_that_is_off(name: str, make_app: MakeApp) -> None:
    """A protection that looks at no request refuses none."""
    app = protected(make_app, **{name: False})
    check_row(found(app, "csrf"), RIGHT, "by itself")


def test_unknown_protection(make_app: MakeApp) -> None:
    """Of a protection that is not known nothing is claimed."""
    app = make_app().app
    app.extensions["csrf"] = object()
    check_row(found(app, "csrf"), DOUBTFUL, "does not know")
