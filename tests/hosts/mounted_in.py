"""A plugin for the test-suite of another application: runs it with the blueprint mounted there.

It is loaded by ``pytest -p mounted_in``; ``MOUNTED_IN`` names the application.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from flask import Flask

from flask_pkce import PKCEBlueprint

SETTINGS = {
    "SECRET_KEY": "a key of the tests, long enough for anybody",
    "PKCE_DOMAIN": "tenant.example",
    "PKCE_CLIENT_ID": "a-client",
    "PKCE_STORE_URL": "memory://",
    "PKCE_TOKEN_DELIVERY": "session",
}
extension: list[Flask] = []


def mount(app: Flask) -> Flask:
    """Mount the blueprint where the application itself has routes, too."""
    app.config.update(SETTINGS)
    PKCEBlueprint().init_app(app, url_prefix="/auth")
    extension.append(app)
    return app


def mount_in_httpbin() -> None:
    """It is one object."""
    mount(import_module("httpbin").app)


def mount_in_flaskr() -> None:
    """It has a factory."""
    flaskr: Any = import_module("flaskr")
    create_app = flaskr.create_app
    flaskr.create_app = lambda *args, **options: mount(create_app(*args, **options))


def pytest_configure() -> None:
    """Mount it before any test is read."""
    {"httpbin": mount_in_httpbin, "flaskr": mount_in_flaskr}[os.environ["MOUNTED_IN"]]()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Tell that the routes were there all the time."""
    answers = {app.test_client().get("/auth/pkce/challenge").status_code for app in extension}
    terminalreporter.line(f"the routes answered {answers}")
