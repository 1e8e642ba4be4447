"""The command-line program: a browser does the rest."""

from __future__ import annotations

import webbrowser
from pathlib import Path

import pytest
import requests

from examples.command_line import program
from examples.local_tenant import CLIENT
from flask_pkce.testing import LocalTenant
from tests.examples.conftest import CreateApp
from tests.web.host import NAVIGATION


@pytest.fixture(autouse=True)
def quiet(caplog: pytest.LogCaptureFixture) -> None:
    """The browser of these tests is a library that logs where it goes."""
    caplog.set_level("INFO", "urllib3")


@pytest.fixture
def tenant(tenant_keys: Path) -> LocalTenant:
    """A tenant with a native client: its loopback redirect may have any port (RFC 8252 7.3)."""
    return LocalTenant(clients=[CLIENT], keys_folder=tenant_keys)


def test_sign_in(
    create_app: CreateApp,
    tenant: LocalTenant,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """It opens the browser, waits for the answer, and says who signed in."""

    def open_browser(url: str) -> bool:
        answer = tenant.sign_in(url)
        headers = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}
        page = requests.post(answer.url, data=answer.params, headers=headers, timeout=10)
        return page.ok

    app = create_app(program)
    monkeypatch.setattr(webbrowser, "open", open_browser)
    monkeypatch.setattr(program, "create_app", lambda: app)
    program.main()
    out = capsys.readouterr().out
    assert out.startswith("Sign in in your browser")
    assert out.endswith("You are Alice Example.\n")


def test_refused(
    create_app: CreateApp,
    tenant: LocalTenant,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Whoever cancels is told so, and the program ends."""

    def open_browser(url: str) -> bool:
        answer = tenant.sign_in(url, cancel=True)
        headers = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}
        requests.post(answer.url, data=answer.params, headers=headers, timeout=10)
        return True

    monkeypatch.setattr(webbrowser, "open", open_browser)
    with pytest.raises(requests.HTTPError):
        program.sign_in(create_app(program))
    assert capsys.readouterr().err.startswith("The sign-in was refused.")
