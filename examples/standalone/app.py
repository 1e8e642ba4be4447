"""The five PKCE routes as a server of their own, and a page that shows them at work.

.. code-block:: console

    $ flask --app examples/standalone/app.py run --port 3000

Then open http://localhost:3000.  The settings are those of the environment: ``FLASK_PKCE_DOMAIN``,
``FLASK_PKCE_CLIENT_ID``, ``FLASK_SECRET_KEY`` and so on; with no domain a local tenant comes
along.
"""

from __future__ import annotations

from pathlib import Path

from flask import Flask, Response, render_template

from examples.local_tenant import use_local_tenant
from flask_pkce import PKCEBlueprint

HERE = Path(__file__).parent

HEADERS = {
    # The form of a login button goes on to the tenant, and from there to wherever that signs
    # people in; browsers apply form-action to the whole way.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self';"
        " connect-src 'self'; form-action 'self' https: http://localhost:* http://127.0.0.1:*;"
        " base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def create_app() -> Flask:
    """Create the server, with the settings of the environment."""
    app = Flask(__name__, instance_path=str(HERE / "instance"))
    app.config.from_mapping(
        PKCE_LOCAL_SESSION=True,
        PKCE_SCOPE="openid profile email offline_access",
        PKCE_AUTHENTICATED_URL="/",
        PKCE_UNAUTHENTICATED_URL="/",
    )
    app.config.from_prefixed_env()
    tenant = use_local_tenant(app)
    pkce = PKCEBlueprint()
    pkce.init_app(app)
    settings = pkce.relying_party(app).settings

    @app.get("/")
    def front() -> str:
        return render_template("front.html", settings=settings, tenant=tenant)

    @app.after_request
    def add_headers(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    return app
