"""Plays the person at the browser, for tests."""

from __future__ import annotations

from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urljoin, urlsplit

import requests

from .models import AuthorizationAnswer, TenantUser
from .provider import Provider


class SignInRefused(Exception):
    """The tenant shows an error in place of a page to sign in."""


@dataclass
class Form:
    """A form of a page: where it goes, and the fields that a person does not fill in."""

    action: str
    hidden: dict[str, str] = field(default_factory=dict)
    named: set[str] = field(default_factory=set)
    actions: list[str] = field(default_factory=list)


class Browser:
    """A browser with its cookies; a second sign-in in the same one is single sign-on.

    :param provider: the tenant.
    :param session: carries the requests, to sockets or in process.
    """

    def __init__(self, provider: Provider, session: requests.Session) -> None:
        self._provider = provider
        self._session = session

    def sign_in(
        self, authorization_url: str, user: TenantUser | str | None = None, cancel: bool = False
    ) -> AuthorizationAnswer:
        """Open an authorization URL and do what its pages ask.

        :param user: who signs in: a user, an e-mail address or a subject; by default the first.
            On a page to sign up, a user whom the tenant does not know yet.
        :param cancel: press Cancel on the first page that has it.
        :return: where the tenant sends the browser.
        :raises SignInRefused: if it shows an error, or does not take the password.
        """
        person = self._person(user)
        response = self._open("GET", authorization_url)
        while (answer := self._answer(response)) is None:
            form = parse_forms(response.text)[0]
            filled = form.hidden | self._fill(form, person, cancel)
            response = self._open("POST", urljoin(authorization_url, form.action), filled)
        return answer

    def get(self, url: str) -> requests.Response:
        """Open a page of the tenant, and follow nothing."""
        return self._open("GET", url)

    def _person(self, user: TenantUser | str | None) -> TenantUser:
        if isinstance(user, TenantUser):
            return user
        if user is None:
            return self._provider.demo_users[0]
        known = self._provider.find_user(user) or self._provider.find_user(f"{user}@example.com")
        if known is None:
            raise LookupError(f"the tenant has no user {user!r}")
        return known

    def _open(
        self, method: str, url: str, fields: dict[str, str] | None = None
    ) -> requests.Response:
        if not url.startswith(self._provider.issuer):
            raise ValueError(f"{url} is no address of the tenant {self._provider.issuer}")
        headers = {"Origin": self._provider.origin} if method == "POST" else {}
        return self._session.request(
            method, url, data=fields, headers=headers, allow_redirects=False, timeout=10
        )

    def _answer(self, response: requests.Response) -> AuthorizationAnswer | None:
        if response.status_code == 302:
            location = response.headers["Location"]
            # A request that was pushed does not say it.
            asked = dict(_query(str(response.url)))
            redirect_uri = asked.get("redirect_uri", location.partition("?")[0])
            # The redirect URI may have a query of its own, which stays where it is.
            own = len(_query(redirect_uri))
            params = dict(_query(location)[own:])
            return AuthorizationAnswer(redirect_uri, params, "GET")
        forms = parse_forms(response.text)
        if response.status_code != 200 or not forms:
            raise SignInRefused(f"{response.status_code}: {parse_text(response.text)}")
        if urlsplit(forms[0].action).netloc:
            return AuthorizationAnswer(forms[0].action, forms[0].hidden, "POST")
        return None

    def _fill(self, form: Form, person: TenantUser, cancel: bool) -> dict[str, str]:
        if cancel:
            return {"action": "cancel"}
        typed = {"email": person.email, "password": person.password, "name": person.name}
        filled = {name: value for name, value in typed.items() if name in form.named}
        return filled | {"action": form.actions[0]}


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.words: list[str] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in ("style", "script", "head"):
            self._unseen += 1
        elif tag == "form":
            self.forms.append(Form(values.get("action", "")))
        elif tag == "input" and values.get("type") == "hidden":
            self.forms[-1].hidden[values["name"]] = values.get("value", "")
        elif tag == "input":
            self.forms[-1].named.add(values["name"])
        elif tag == "button" and values.get("name") == "action":
            self.forms[-1].actions.append(values["value"])

    def handle_endtag(self, tag: str) -> None:
        if tag in ("style", "script", "head"):
            self._unseen -= 1

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.words += data.split()


def parse_forms(page: str) -> list[Form]:
    """The forms of a page, in order."""
    return _read(page).forms


def parse_text(page: str) -> str:
    """The words that a person sees."""
    return " ".join(_read(page).words)


def _query(url: str) -> list[tuple[str, str]]:
    return parse_qsl(urlsplit(url).query, keep_blank_values=True)


def _read(page: str) -> _Page:
    reader = _Page()
    reader.feed(page)
    reader.close()
    return reader
