"""A command-line program that signs in through the system's browser.

.. code-block:: console

    $ python -m examples.command_line.program

While somebody signs in, the program serves the five routes on a port of the loopback interface
(RFC 8252 7.3), and speaks to them as any caller does.  The settings are those of the environment:
``FLASK_PKCE_DOMAIN`` and ``FLASK_PKCE_CLIENT_ID``, of a *native* application; with no domain a
local tenant comes along.
"""

from __future__ import annotations

import secrets
import sys
import threading
import webbrowser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests
from flask import Flask
from werkzeug.serving import WSGIRequestHandler, make_server

from examples.local_tenant import use_local_tenant
from flask_pkce import PKCEBlueprint

HERE = Path(__file__).parent

#: Seconds that somebody has for the sign-in.
PATIENCE = 300


def create_app() -> Flask:
    """Create the application that serves the sign-in, with the settings of the environment."""
    app = Flask(__name__, instance_path=str(HERE / "instance"))
    # It ends with the program: nothing has to outlive that.
    app.config.from_mapping(SECRET_KEY=secrets.token_hex(), PKCE_STORE_URL="memory://")
    app.config.from_prefixed_env()
    use_local_tenant(app)
    app.config.from_mapping(PKCE_LOCAL_SESSION=True, PKCE_FLOW_LIFETIME=PATIENCE)
    PKCEBlueprint().init_app(app)
    return app


class Quiet(WSGIRequestHandler):
    """Serves a program that has better things to say than who asked it."""

    def log(self, type: str, message: str, *args: Any) -> None:
        """Log nothing: an address has a ticket in it."""


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serve an application on a free port, and tell its address."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def sign_in(app: Flask) -> dict[str, Any]:
    """Sign somebody in, in the system's browser.

    :return: the user and the tokens, as ``POST /pkce/token`` tells them.
    :raises requests.HTTPError: if the sign-in fails, or nobody signs in in time.
    """
    with serving(app) as server:
        challenge = _call("GET", f"{server}/pkce/challenge")["challenge"]
        seed = {"state": challenge["state"]}
        sent = _call("POST", f"{server}/pkce/code", json=seed)
        print("Sign in in your browser; if none opened, go to", sent["authorization_url"])
        webbrowser.open(sent["authorization_url"])
        while "result" not in sent:
            wait = {"Prefer": "wait=20"}
            sent = _call("POST", f"{server}/pkce/code", json=seed, headers=wait)
        auth0: dict[str, Any] = _call("POST", f"{server}/pkce/token")["auth0"]
        return auth0


def _call(method: str, url: str, **options: Any) -> Any:
    response = requests.request(method, url, timeout=30, **options)
    if not response.ok:
        print(response.json()["detail"], file=sys.stderr)
    response.raise_for_status()
    return response.json()


def main() -> None:
    """Sign in, and say who it was."""
    user = sign_in(create_app())["user"]
    print(f"You are {user.get('name') or user['id']}.")


if __name__ == "__main__":
    main()
