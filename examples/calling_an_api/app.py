"""An application that calls an API as whoever is signed in.

.. code-block:: console

    $ flask --app examples/calling_an_api/app.py run --port 3000

Then open http://localhost:3000.  The API is that of ``FLASK_API_URL``; by default the tenant's own
``/userinfo``, which every access token without an audience is for.  The settings are those of the
environment: ``FLASK_PKCE_DOMAIN``, ``FLASK_PKCE_CLIENT_ID``, ``FLASK_SECRET_KEY`` and so on; with
no domain a local tenant comes along.
"""

from __future__ import annotations

from pathlib import Path

from flask import Flask, render_template_string

from examples.local_tenant import use_local_tenant
from flask_pkce import PKCEBlueprint

HERE = Path(__file__).parent

pkce = PKCEBlueprint()

PAGE = """<!doctype html>
<title>What the API says</title>
<h1>What the API says</h1>
<dl>{% for name, value in said.items() %}<dt>{{ name }}</dt><dd>{{ value }}</dd>{% endfor %}</dl>
<form method="post" action="{{ url_for('pkce.logout') }}"><button>Sign out</button></form>
"""


def create_app() -> Flask:
    """Create the application, with the settings of the environment."""
    app = Flask(__name__, instance_path=str(HERE / "instance"))
    app.config.from_mapping(
        PKCE_TOKEN_DELIVERY="session", PKCE_SCOPE="openid profile email offline_access"
    )
    app.config.from_prefixed_env()
    use_local_tenant(app)
    pkce.init_app(app)
    tenant = str(app.config["PKCE_DOMAIN"])
    app.config.setdefault("API_URL", tenant if "://" in tenant else f"https://{tenant}")

    @app.get("/")
    @pkce.login_required
    def page() -> str:
        # A token that expired is renewed; one that the API refuses too, once.
        with pkce.api(app.config["API_URL"]) as api:
            said = api.get("userinfo", timeout=10)
            said.raise_for_status()
        return render_template_string(PAGE, said=said.json())

    return app
