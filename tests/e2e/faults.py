"""A machine where things go wrong, and sign-ins that are taken step by step there."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import requests

from .person import state_of
from .processes import PATIENCE, Server
from .scripted import CALLBACK, ScriptedBrowser

HOUR = 3600
#: Seconds that a worker has for an exchange besides ``PKCE_TIMEOUT``.
MARGIN = 10
#: Seconds for which an old cookie counts as one of a request that is on its way.
RENEWAL_PERIOD = 10
FIRST_KEY = "the first key of the tests of faults"
#: What an error says where workers do not have the same keys.
SHARED_KEY = "do all workers share SECRET_KEY"


class Machine:
    """The application, and the files that tell ``faulty_host`` what goes wrong.

    :param serve: starts it, with these arguments.
    :param preload: whether workers begin as copies of one process, which is much faster.
    """

    def __init__(
        self, folder: Path, serve: Callable[..., Server], *, preload: bool = True, **given: Any
    ) -> None:
        self._folder = folder
        #: Where the store is, if it is a file.
        self.store_file = folder / "pkce.db"
        self.set_clock(0)
        self.set_keys(FIRST_KEY)
        self.server = serve(
            "faulty_host:create_app()",
            options=["--preload"] if preload else [],
            FAULTS_FOLDER=str(folder),
            **given,
        )

    def set_clock(self, ahead: float) -> None:
        """Set the application's clock: how many seconds it is ahead of the tenant's."""
        self._write("clock", str(ahead))

    def set_keys(self, key: str, *fallbacks: str) -> None:
        """Set the keys of the workers that start from now on."""
        self._write("keys", json.dumps([key, *fallbacks]))

    def die(self, moment: str, write: int) -> None:
        """Let a worker die ``before`` or ``after`` one of the next writes to the store.

        :param write: how many writes come first.
        """
        self._write("death", f"{moment} {write}")

    def has_died(self) -> bool:
        """Whether that came true."""
        return not (self._folder / "death").exists()

    def _write(self, name: str, text: str) -> None:
        # At once, for a worker may read it at this moment.
        new = self._folder / f"{name}.new"
        new.write_text(text)
        new.replace(self._folder / name)

    @contextmanager
    def one_worker(self, worker: int) -> Iterator[None]:
        """Let this worker answer everything meanwhile."""
        others = self.server.workers() - {worker}
        for other in others:
            os.kill(other, signal.SIGSTOP)
        try:
            yield
        finally:
            for other in others:
                os.kill(other, signal.SIGCONT)


class SignIn:
    """A sign-in with a page that gets the tokens; each step uses what those before it got.

    :param login: who signs in.
    :param at_tenant: signs in at the tenant otherwise than at the provider's page.
    """

    steps = ("challenge", "code", "deliver", "fetch", "token")

    def __init__(
        self,
        server: Server,
        login: str,
        at_tenant: Callable[[str], Mapping[str, str]] | None = None,
        browser: ScriptedBrowser | None = None,
    ) -> None:
        self.server = server
        self.login = login
        # A real browser repeats what it sent on a connection that was just being closed.
        self.browser = browser or ScriptedBrowser(keep_alive=False)
        self._at_tenant = at_tenant
        self._asked = ""
        self._answer: Mapping[str, str] = {}
        self._location = ""
        self.state = ""

    def challenge(self) -> requests.Response:
        """Start a flow."""
        response = self.browser.fetch(f"{self.server.url}/pkce/challenge")
        if response.ok:
            # With delivery ``session`` the answer does not have it.
            self.state = response.json().get("challenge", {}).get("state", "")
        return response

    def code(self) -> requests.Response:
        """Ask for the authorization URL, or how far the flow is."""
        asked = {"state": self.state} if self.state else {}
        response = self.browser.fetch(f"{self.server.url}/pkce/code", json=asked)
        if response.ok:
            self._asked = response.json()["authorization_url"]
            self.state = state_of(self._asked)
        return response

    def deliver(self) -> requests.Response:
        """Sign in at the tenant, and post its answer to the callback."""
        if not self._answer and self._at_tenant:
            self._answer = self._at_tenant(self._asked)
        elif not self._answer:
            page = self.browser.open(self._asked)
            self._answer = self.browser.catch_answer(page, self.login)
        url = f"{self.server.url}{CALLBACK}"
        response = self.browser.open(url, self._answer, stop_before="ticket=")
        self._location = response.headers.get("Location", self._location)
        return response

    def fetch(self) -> requests.Response:
        """Fetch the answer with its ticket."""
        return self.browser.open(
            f"{self.server.url}{self._location.partition(self.server.url)[2]}"
        )

    def follow(self, page: requests.Response) -> requests.Response:
        """Go where a page goes by itself after a second."""
        url = page.headers["Refresh"].partition("url=")[2]
        return self.browser.open(urljoin(page.url, url))

    def token(self, **body: str) -> requests.Response:
        """Exchange the code."""
        return self.browser.fetch(f"{self.server.url}/pkce/token", json=body)

    def refresh(self) -> requests.Response:
        """Refresh the tokens."""
        return self.token(grant_type="refresh_token")

    def take(self, *steps: str) -> requests.Response:
        """Take some steps, each of which goes well.

        :return: the answer to the last one.
        """
        response = requests.Response()
        for step in steps:
            response = getattr(self, step)()
            assert response.status_code in (200, 303), (step, response.status_code, response.text)
        return response

    def before(self, step: str) -> tuple[str, ...]:
        """The steps before this one."""
        return self.steps[: self.steps.index(step)]

    def after(self, step: str) -> tuple[str, ...]:
        """The steps after this one."""
        return self.steps[self.steps.index(step) + 1 :]

    def again(self) -> SignIn:
        """Start again in the same browser, and sign in."""
        other = SignIn(self.server, self.login, self._at_tenant, self.browser)
        assert other.take("code", "deliver", "fetch", "token").json()["auth0"]["user"]
        return other


@contextmanager
def meanwhile(act: Callable[[], requests.Response]) -> Iterator[Future[requests.Response]]:
    """Act in another thread."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(act)


def problem(response: requests.Response) -> str:
    """The code of an error, as JSON or as a page; else nothing."""
    if response.headers["Content-Type"] == "application/problem+json":
        code: str = response.json()["type"].rpartition("#")[2]
        return code
    return response.text.partition("<code>")[2].partition("</code>")[0]


def dies(act: Callable[[], requests.Response]) -> bool:
    """Whether the connection breaks in place of an answer."""
    try:
        act()
    except requests.ConnectionError:
        return True
    return False


def until(act: Callable[[], requests.Response], code: str) -> requests.Response:
    """Ask again until the answer is this error."""
    deadline = time.monotonic() + PATIENCE
    while problem(response := act()) != code:
        assert time.monotonic() < deadline, (response.status_code, response.text)
        time.sleep(0.2)
    return response
