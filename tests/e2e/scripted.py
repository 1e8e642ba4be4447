"""A browser without a screen: cookies, redirects and forms, many at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests

from .processes import PATIENCE, Provider, require_loopback

CALLBACK = "/pkce/response/code"


@dataclass
class Form:
    """The first form of a page."""

    action: str = ""
    fields: dict[str, str] = field(default_factory=dict)


class _FormReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.form: Form | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "form" and self.form is None:
            self.form = Form(given.get("action", ""))
        elif tag == "input" and self.form and given.get("name"):
            self.form.fields[given["name"]] = given.get("value", "")


def _read_form(page: requests.Response) -> Form:
    reader = _FormReader()
    reader.feed(page.text)
    assert reader.form, f"no form on this page:\n{page.text}"
    return reader.form


def _credentials(login: str) -> dict[str, str]:
    return {"login": login, "password": Provider.password, "action": "login"}


class ScriptedBrowser:
    """Does what a person does, with the headers and the cookie rules of a browser.

    A cookie goes along with a cross-site request only if that is a GET: all cookies are taken for
    ``SameSite=Lax``.

    :param keep_alive: whether it keeps connections for further requests.
    """

    def __init__(self, *, keep_alive: bool = True) -> None:
        self._session = requests.Session()
        if not keep_alive:
            self._session.headers["Connection"] = "close"
        self._session.trust_env = False
        self._at = ""

    def open(
        self, url: str, data: Mapping[str, str] | None = None, stop_before: str = ""
    ) -> requests.Response:
        """Navigate, by POST if there is ``data``, and follow redirects to the end.

        :param stop_before: do not follow a redirect to an address with this in it.
        """
        method, site = ("GET" if data is None else "POST"), self._site(url)
        while True:
            response = self._navigate(method, url, data, site)
            self._at = url
            location = urljoin(url, response.headers.get("Location", ""))
            if not response.is_redirect or (stop_before and stop_before in location):
                return response
            url, method, data = location, "GET", None
            # A chain that crossed sites once stays cross-site.
            site = "cross-site" if site == "cross-site" else self._site(url)

    def submit(
        self, page: requests.Response, stop_before: str = "", **filled_in: str
    ) -> requests.Response:
        """Send the form of a page, with these fields filled in."""
        form = _read_form(page)
        return self.open(urljoin(page.url, form.action), form.fields | filled_in, stop_before)

    def sign_in(self, page: requests.Response, login: str) -> requests.Response:
        """Sign in on the provider's page, and go on to where that leads."""
        arrived = self.submit(page, **_credentials(login))
        if urlsplit(arrived.url).hostname == "127.0.0.1":  # the page that posts the answer on
            arrived = self.submit(arrived)
        return arrived

    def catch_answer(self, page: requests.Response, login: str) -> dict[str, str]:
        """Sign in on the provider's page, and keep the answer from the application.

        Where the provider still knows who it is, there is no such page.
        """
        arrived = page
        if "Location" not in page.headers and CALLBACK not in _read_form(page).action:
            arrived = self.submit(page, stop_before=CALLBACK, **_credentials(login))
        if "Location" in arrived.headers:
            return dict(parse_qsl(urlsplit(arrived.headers["Location"]).query))
        form = _read_form(arrived)
        assert CALLBACK in form.action
        return form.fields

    def fetch(self, url: str, json: Any = None, **headers: str) -> requests.Response:
        """Call as a script of the application's own page would; POST if there is ``json``."""
        return self._session.request(
            "GET" if json is None else "POST",
            require_loopback(url),
            json=json,
            headers={
                "Accept": "application/json",
                "Sec-Fetch-Site": "same-origin",
                "Sec-Fetch-Mode": "cors",
                **headers,
            },
            timeout=PATIENCE,
        )

    def _site(self, url: str) -> str:
        if not self._at:
            return "none"
        here, there = urlsplit(self._at), urlsplit(url)
        if here.netloc == there.netloc:
            return "same-origin"
        return "same-site" if here.hostname == there.hostname else "cross-site"

    def _navigate(
        self, method: str, url: str, data: Mapping[str, str] | None, site: str
    ) -> requests.Response:
        headers = {
            "Accept": "text/html,application/xhtml+xml,*/*;q=0.8",
            "Sec-Fetch-Site": site,
            "Sec-Fetch-Mode": "navigate",
            "Sec-Fetch-Dest": "document",
        }
        if method == "POST":
            here = urlsplit(self._at or url)
            headers["Origin"] = f"{here.scheme}://{here.netloc}"
        with_cookies = method == "GET" or site != "cross-site"
        sender = self._session if with_cookies else requests.Session()
        sender.trust_env = False
        return sender.request(
            method,
            require_loopback(url),
            data=data,
            headers=headers,
            timeout=PATIENCE,
            allow_redirects=False,
        )
