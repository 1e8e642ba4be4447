"""A host that has no file descriptors left while it answers a request with ``X-Starve``.

Run as a program with the store's URL and the folder of the host's templates, it prints its port.
"""

from __future__ import annotations

import os
import resource
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from flask import Flask
from werkzeug.serving import make_server

from flask_pkce import PKCEBlueprint

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment

LIMIT = 64


class Starving:
    """Takes every descriptor that is left, for the time of one request."""

    def __init__(self, app: WSGIApplication) -> None:
        self._app = app

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        taken: list[int] = []
        try:
            while "HTTP_X_STARVE" in environ:
                taken.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            pass
        try:
            return list(self._app(environ, start_response))
        finally:
            for descriptor in taken:
                os.close(descriptor)


def main(store_url: str, templates: str) -> None:
    """Serve until the process is ended."""
    app = Flask("host", template_folder=templates)
    app.config.update(
        SECRET_KEY="a key of the tests, long enough for anybody",
        PKCE_DOMAIN="tenant.example",
        PKCE_CLIENT_ID="client",
        PKCE_STORE_URL=store_url,
        # Then a challenge needs the store, and no tenant.
        PKCE_TOKEN_DELIVERY="session",
    )
    pkce = PKCEBlueprint()
    pkce.init_app(app)
    # A connection that stands needs no further descriptor.
    pkce.relying_party(app).store.close()
    app.wsgi_app = Starving(app.wsgi_app)  # type: ignore[method-assign]
    server = make_server("127.0.0.1", 0, app, threaded=True)
    resource.setrlimit(resource.RLIMIT_NOFILE, (LIMIT, LIMIT))
    print(server.port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main(*sys.argv[1:])
