"""Pages of somebody else, on another port of this machine.

A port makes another origin, and no other site: the same server is a foreign site by the name
``127.0.0.1``, and by the name ``localhost`` a neighbour of the application's.
"""

from __future__ import annotations

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

SITES = ("127.0.0.1", "localhost")


class ForeignPages:
    """A server of pages, which are shown as they are given."""

    def __init__(self) -> None:
        self._pages: list[tuple[str, dict[str, str]]] = []
        pages = self._pages

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                number = self.path.lstrip("/")
                known = number.isdecimal() and int(number) < len(pages)
                body, headers = pages[int(number)] if known else ("", {})
                self.send_response(200 if known else 404)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                for name, value in headers.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, format: str, *args: object) -> None:
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def add(self, site: str, body: str = "", **headers: str) -> str:
        """Add a page.

        :param site: the name in its address, one of :data:`SITES`.
        :param headers: such as ``Set_Cookie``.
        :return: its address.
        """
        given = {name.replace("_", "-"): value for name, value in headers.items()}
        self._pages.append((f"<!DOCTYPE html><title>Foreign</title>{body}", given))
        return f"http://{site}:{self._server.server_port}/{len(self._pages) - 1}"

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
