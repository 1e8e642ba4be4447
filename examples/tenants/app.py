"""Customers and staff in one application, who sign in with a tenant each.

.. code-block:: console

    $ flask --app examples/tenants/app.py run --port 3000

Then open http://localhost:3000.  Customers are those of ``FLASK_PKCE_DOMAIN``; the staff is in
``FLASK_PKCE_TENANTS``: ``{"staff": {"domain": "staff.eu.auth0.com", "client_id": "..."}}``.
With no domain a local tenant comes along, where both have an application.
"""

from __future__ import annotations

from pathlib import Path

from flask import Flask, current_app, render_template, request

from examples.local_tenant import STAFF, use_local_tenant
from flask_pkce import PKCEBlueprint

HERE = Path(__file__).parent

pkce = PKCEBlueprint()


@pkce.tenant_loader
def choose(name: str | None) -> str | None:
    """The tenant of the button that was pressed; None is that of ``PKCE_DOMAIN``."""
    return request.args.get("tenant")


def create_app() -> Flask:
    """Create the application, with the settings of the environment."""
    app = Flask(__name__, instance_path=str(HERE / "instance"))
    app.config.update(PKCE_TOKEN_DELIVERY="session", PKCE_UNAUTHENTICATED_URL="/")
    app.config.from_prefixed_env()
    local_tenant = use_local_tenant(app)
    if local_tenant is not None:
        staff = {"domain": local_tenant.issuer, "client_id": STAFF.client_id}
        app.config["PKCE_TENANTS"] = {"staff": staff}
    pkce.init_app(app)

    @app.get("/")
    def front() -> str:
        names = [None, *current_app.config["PKCE_TENANTS"]]
        return render_template("front.html", names=names, user=pkce.user)

    return app
