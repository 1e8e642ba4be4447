"""Flask's tutorial application with the blueprint beside its own login, both under ``/auth``."""

from __future__ import annotations

import os
from importlib import import_module
from pathlib import Path
from typing import Any

from flask import Flask, session

from flask_pkce import PKCEBlueprint

BUTTON = """<!DOCTYPE html>
<html lang="en"><title>Sign in at the tenant</title>
<form method="post" action="/auth/pkce/code">
  <input type="hidden" name="return_to" value="/"><button>Sign in</button>
</form>
"""


def create_app(pkce: PKCEBlueprint | None = None) -> Flask:
    """Create the tutorial as it is, with a page that has our login button."""
    folder = Path(os.environ["INSTANCE_PATH"])
    folder.mkdir(parents=True, exist_ok=True)
    app: Flask = import_module("flaskr").create_app({"DATABASE": str(folder / "flaskr.sqlite")})
    app.config["PKCE_STORE_URL"] = f"sqlite:///{folder / 'pkce.sqlite'}"
    app.config.from_prefixed_env()
    with app.app_context():
        import_module("flaskr.db").init_db()
    (pkce or PKCEBlueprint()).init_app(app, url_prefix="/auth")

    @app.get("/tenant")
    def tenant() -> str:
        return BUTTON

    return app


def create_linked_app() -> Flask:
    """Create the tutorial so that who signs in at the tenant is logged in as a user of its own."""
    pkce = PKCEBlueprint()

    @pkce.after_token
    def log_in(token_response: Any) -> None:
        database = import_module("flaskr.db").get_db()
        name = token_response.claims["email"]
        find = "SELECT id FROM user WHERE username = ?"
        if database.execute(find, (name,)).fetchone() is None:
            database.execute("INSERT INTO user (username, password) VALUES (?, '!')", (name,))
            database.commit()
        session["user_id"] = database.execute(find, (name,)).fetchone()["id"]

    return create_app(pkce)
