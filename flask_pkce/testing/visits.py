"""A test client at one blueprint of its application: where that is, and what a browser says."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.http import parse_cookie
from werkzeug.test import TestResponse

from ..tenant.registry import tenant_callback_url
from ..web.context import Extension
from ..web.urls import CALLBACK_PATH

if TYPE_CHECKING:
    from .tenant.models import AuthorizationAnswer

#: What a browser says when it goes to a page from a page of ours.
NAVIGATION = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
}
#: The same, from a page of the tenant.
FROM_TENANT = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}

#: A page that goes on at once; one that waits for something else does not.
_REFRESH = re.compile(r"0; url=(.+)")
#: Redirects after which a browser gives up.
_MAX_REDIRECTS = 20


@dataclass(frozen=True)
class Visit:
    """A test client at one blueprint of its application.

    :param base_url: the application's root, where the requests go to.
    :param other_hosts: where else the cookies are put: a test that names no address of its own
        asks for pages there.
    """

    client: FlaskClient
    extension: Extension
    base_url: str
    other_hosts: frozenset[str]

    @classmethod
    def of(
        cls, client: FlaskClient, blueprint: str | None = None, base_url: str | None = None
    ) -> Visit:
        """Visit the application of a test client.

        :param blueprint: the blueprint's full name, where there are several.
        :param base_url: the application's root; by default ``PKCE_PUBLIC_URL``, else what the
            client takes by itself.
        :raises LookupError: if there is no such blueprint, or none, or more than one.
        """
        extension = _find(client.application, blueprint)
        usual = client.application.test_request_context().request.root_url
        root = base_url or extension.site.public_url or usual
        hosts = {_host(usual)} if base_url is None else set()
        return cls(client, extension, root, frozenset(hosts - {_host(root)}))

    def callback_url(self, tenant: str) -> str:
        """Return the blueprint's redirect URI for a tenant.

        :param tenant: its name; empty for that of ``PKCE_DOMAIN``.
        """
        context = self.client.application.test_request_context(base_url=self.base_url)
        return tenant_callback_url(self.extension.site.callback_url(context.request), tenant)

    def open(self, method: str, path: str, **options: Any) -> TestResponse:
        """Call one of the blueprint's routes, and keep the cookies."""
        response = self.client.open(
            self.extension.site.prefix + path, method=method, base_url=self.base_url, **options
        )
        self._spread(response)
        return response

    def _spread(self, response: TestResponse) -> None:
        for header in response.headers.getlist("Set-Cookie"):
            for name, value in parse_cookie(header.partition(";")[0]).items():
                for host in self.other_hosts:
                    if value:
                        self.client.set_cookie(name, value, domain=host)
                    else:
                        self.client.delete_cookie(name, domain=host)

    def sign_in(
        self, answer_of: Callable[[str], AuthorizationAnswer], return_to: str | None
    ) -> TestResponse:
        """Press the button, sign in, and come back, as a browser does.

        :param answer_of: signs in at an authorization URL.
        :param return_to: the path to come back to.
        :return: the page where the browser ends.
        """
        fields = {"return_to": return_to} if return_to is not None else {}
        sent = self.open("POST", "/pkce/code", data=fields, headers=NAVIGATION)
        if sent.status_code != 303:
            return sent
        answer = answer_of(sent.headers["Location"])
        # A named tenant has a callback of its own.
        path = CALLBACK_PATH + answer.url.partition(CALLBACK_PATH)[2]
        if answer.method == "GET":
            return self._arrive(
                self.open("GET", path, query_string=answer.params, headers=FROM_TENANT)
            )
        # Another site's form: cookies that are `SameSite=Lax` stay away.
        client = self.client.application.test_client(use_cookies=False)
        stranger = Visit(client, self.extension, self.base_url, frozenset())
        return self._arrive(stranger.open("POST", path, data=answer.params, headers=FROM_TENANT))

    def _arrive(self, response: TestResponse) -> TestResponse:
        """Go where a response sends a browser, as long as that is in the application."""
        origin = self.base_url.removesuffix(urlsplit(self.base_url).path)
        for _ in range(_MAX_REDIRECTS):
            refresh = _REFRESH.fullmatch(response.headers.get("Refresh", ""))
            location = refresh[1] if refresh else response.headers.get("Location")
            address = urljoin(self.base_url, location) if location else ""
            if not address.startswith(f"{origin}/"):
                break
            root = self.base_url.rstrip("/")
            base = root if address.startswith(f"{root}/") else origin
            response = self.client.get(
                address.removeprefix(base), base_url=base, headers=FROM_TENANT
            )
            self._spread(response)
        return response


def _find(app: Flask, name: str | None) -> Extension:
    found: dict[str, Extension] = app.extensions.get("pkce", {})
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if not found:
        raise LookupError("the application has no PKCEBlueprint: call its init_app first")
    if name is None or name not in found:
        known = ", ".join(sorted(found))
        raise LookupError(f"say which blueprint is meant; the application has: {known}")
    return found[name]


def _host(root: str) -> str:
    return urlsplit(root).hostname or ""
