"""What the examples need and a reader does not see: a tenant, a person at a browser, a server."""

from __future__ import annotations

import os
import re
import sys
import tempfile
import textwrap
import threading
import webbrowser
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock
from urllib.parse import urlsplit

import requests
from flask import Flask, url_for
from werkzeug.serving import WSGIRequestHandler, make_server
from werkzeug.test import TestResponse

from flask_pkce import PKCEBlueprint
from flask_pkce.testing import AuthorizationAnswer, LocalTenant, TenantUser
from flask_pkce.testing.tenant.models import ALICE

__all__ = ["Person", "TenantUser", "module", "person_at_loopback", "prepare", "serving"]

DOCS = Path(__file__).resolve().parent.parent

#: What a browser says of a page that it goes to, from a page of ours and from the tenant's.
_NAVIGATION = {
    "Accept": "text/html",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
}
_FROM_TENANT = {**_NAVIGATION, "Sec-Fetch-Site": "cross-site"}

#: The settings of every example; a page that shows others sets them itself.
SETTINGS = {
    "FLASK_SECRET_KEY": "a secret of 32 characters or more",
    "FLASK_PKCE_DOMAIN": "tenant.example",
    "FLASK_PKCE_CLIENT_ID": "local-client",
    "FLASK_PKCE_STORE_URL": "memory://",
}


@cache
def prepare() -> tempfile.TemporaryDirectory[str]:
    """Put the settings in place, and a folder in which nothing is overwritten."""
    os.environ.update(SETTINGS)
    folder = tempfile.TemporaryDirectory()
    os.chdir(folder.name)
    return folder


class Person:
    """Somebody at a browser, who has an account at the tenant.

    :param app: the application; its blueprint is connected with a tenant in process.
    :param pkce: the blueprint.
    :param users: who has an account at the tenant; the first one signs in.
    """

    def __init__(
        self, app: Flask, pkce: PKCEBlueprint, users: Sequence[TenantUser] = (ALICE,)
    ) -> None:
        self.app = app
        self.client = app.test_client()
        with app.test_request_context():
            self.callback = url_for(f"{pkce.name}.response_code")
            self.button = url_for(f"{pkce.name}.code")
        self.tenant = LocalTenant(users=users)
        self.tenant.mount(pkce.relying_party(app).transport.session)
        self.tenant.register(redirect_uris=[f"http://localhost{self.callback}"])

    def get(self, path: str) -> TestResponse:
        """Open a page of the application."""
        return self.client.get(path, headers=_NAVIGATION)

    def press(self, path: str | None = None, **form: str) -> TestResponse:
        """Press a button of the application, by default the one that signs in."""
        return self.client.post(path or self.button, data=form, headers=_NAVIGATION)

    def answer(self, sent: TestResponse, user: TenantUser | None = None) -> TestResponse:
        """Sign in, or up, at the tenant to which one was sent, and come back."""
        answer = self.tenant.sign_in(sent.headers["Location"], user)
        return self.come_back(answer)

    def come_back(self, answer: AuthorizationAnswer) -> TestResponse:
        """Bring an answer of the tenant, and follow where the application leads."""
        path = urlsplit(answer.url).path
        if answer.method == "GET":
            return self.client.get(
                path, query_string=answer.params, headers=_FROM_TENANT, follow_redirects=True
            )
        return self.client.post(
            path, data=answer.params, headers=_FROM_TENANT, follow_redirects=True
        )

    def sign_in(self, **form: str) -> TestResponse:
        """All of it."""
        return self.answer(self.press(**form))

    def user(self) -> dict[str, object]:
        """Whom the application takes the person for, with delivery ``session``."""
        claims: dict[str, object] = self.client.get("/pkce/user").get_json()
        return claims


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: object) -> None:
        """Say nothing."""


@contextmanager
def serving(app: Flask) -> Iterator[str]:
    """Serve an application on loopback, in threads; its address, without a slash."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://localhost:{server.port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def person_at_loopback(app: Flask, pkce: PKCEBlueprint, server: str) -> Iterator[LocalTenant]:
    """Somebody whose browser opens what a program on the same machine asks it to."""
    person = Person(app, pkce)
    person.tenant.register(redirect_uris=[f"{server}{person.callback}"])

    def open_browser(url: str) -> bool:
        answer = person.tenant.sign_in(url)
        page = requests.post(answer.url, data=answer.params, headers=_FROM_TENANT, timeout=10)
        page.raise_for_status()
        return True

    with mock.patch.object(webbrowser, "open", open_browser):
        yield person.tenant


_BLOCK = re.compile(r"^( *)\.\. testcode::.*\n(?:\1   :.*\n)*\n((?:\1   .*\n|\n)+)", re.MULTILINE)


def module(page: str, number: int, name: str) -> dict[str, Any]:
    """Run an example as a module that others can import.

    :param number: which one of the page, from 0.
    :return: the names that it defines.
    """
    _, block = _BLOCK.findall((DOCS / page).read_text(encoding="utf-8"))[number]
    made = ModuleType(name)
    sys.modules[name] = made
    exec(compile(textwrap.dedent(block), f"{page}[{number}]", "exec"), made.__dict__)
    return made.__dict__
