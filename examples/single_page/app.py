"""A single-page app with its server as backend for frontend: no token is ever in the browser.

.. code-block:: console

    $ flask --app examples/single_page/app.py run --port 3000

Then open http://localhost:3000.  The page is ``static/``: it fetches JSON from this server, and
goes to ``/pkce/login`` where that answers 401.  The settings are those of the environment:
``FLASK_PKCE_DOMAIN``, ``FLASK_PKCE_CLIENT_ID``, ``FLASK_SECRET_KEY`` and so on; with no domain a
local tenant comes along.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, request

from examples.local_tenant import use_local_tenant
from flask_pkce import PKCEBlueprint

HERE = Path(__file__).parent

pkce = PKCEBlueprint()


def create_app() -> Flask:
    """Create the application, with the settings of the environment."""
    app = Flask(__name__, instance_path=str(HERE / "instance"))
    app.config.from_mapping(PKCE_TOKEN_DELIVERY="session", PKCE_SESSION_IDLE_LIFETIME=3600)
    app.config.from_prefixed_env()
    use_local_tenant(app)
    pkce.init_app(app)
    #: Tasks by the user who wrote them.
    tasks: dict[tuple[str, str], list[str]] = {}

    @app.get("/")
    def page() -> Response:
        return app.send_static_file("index.html")

    @app.get("/api/tasks")
    @pkce.login_required
    def list_tasks() -> dict[str, Any]:
        user = pkce.user
        assert user is not None
        return {
            "name": user.get("name", user.subject),
            "tasks": tasks.get((user.issuer, user.subject), []),
        }

    @app.post("/api/tasks")
    @pkce.login_required
    def add_task() -> tuple[dict[str, Any], int]:
        # A page of another site cannot send this type without asking first, and is not allowed to.
        if not request.is_json:
            abort(415)
        user = pkce.user
        assert user is not None
        tasks.setdefault((user.issuer, user.subject), []).append(str(request.json["task"]))
        return list_tasks(), 201

    return app
