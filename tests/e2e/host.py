"""The application of the tests: a session of its own, a login button, and the blueprint."""

from __future__ import annotations

import os

from flask import Flask, redirect, session, url_for
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.wrappers import Response

from flask_pkce import PKCEBlueprint

FRONT = """<!DOCTYPE html>
<html lang="en"><title>Front page</title>
<form method="post" action="/pkce/code">
  <input type="hidden" name="return_to" value="/account">
  <button>Sign in</button>
</form>
"""

INSIDE = """<!DOCTYPE html>
<html lang="en"><title>Inside</title>
<form method="post" action="/pkce/logout"><button>Sign out</button></form>
"""


def create_app(pkce: PKCEBlueprint | None = None, **settings: object) -> Flask:
    """Create the application, with the settings of the environment, and these laid over them."""
    app = Flask(__name__, instance_path=os.environ["INSTANCE_PATH"])
    app.config.from_prefixed_env()
    app.config.update(settings)
    (pkce or PKCEBlueprint()).init_app(app)

    @app.get("/")
    def front() -> str:
        return FRONT

    @app.get("/cart/<thing>")
    def put_into_cart(thing: str) -> Response:
        session["cart"] = thing
        return redirect("/")

    @app.get("/account")
    def account() -> str:
        return f"<!DOCTYPE html><title>Account</title><p>Your cart: {session.get('cart')}</p>"

    return app


def create_counting_app() -> Flask:
    """Create one that reads and writes a lasting session of its own before every request."""
    app = create_app()

    @app.before_request
    def count() -> None:
        session.permanent = True
        session["seen"] = session.get("seen", 0) + 1

    return app


def create_guarded_app() -> Flask:
    """Create one with pages for who is signed in, who did so lately, and a button to sign out."""
    pkce = PKCEBlueprint()
    app = create_app(pkce)

    @app.get("/inside")
    @pkce.login_required
    def inside() -> str:
        return INSIDE

    @app.get("/payments")
    @pkce.login_required(max_age=2)
    def payments() -> str:
        return "<!DOCTYPE html><title>Payments</title>"

    return app


def create_proxied_app() -> Flask:
    """Create one that knows from its proxy under which path it lies."""
    app = create_app()
    app.wsgi_app = ProxyFix(app.wsgi_app, x_proto=1, x_prefix=1)  # type: ignore[method-assign]

    @app.get("/where")
    def where() -> str:
        return url_for("account", _external=True)

    return app
