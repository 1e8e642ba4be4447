"""The examples in a browser, as they are started, with the tenant that they bring along."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .browsers import BROWSERS
from .processes import PATIENCE, ROOT, clean_environment, free_port, require_loopback

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from .conftest import Serve, Visit
    from .processes import Server

pytestmark = pytest.mark.parametrize("browser_name", BROWSERS)

Start = Callable[[str], "Server"]


@pytest.fixture(scope="module")
def start(serve: Serve) -> Start:
    """Start an example as its first lines say, once."""

    @cache
    def started(name: str) -> Server:
        program = str(ROOT / "examples" / name / "app.py")
        return serve(
            command=[sys.executable, "-m", "flask", "--app", program, "run", "--port", "{port}"],
            PKCE_DOMAIN="",
            PKCE_PUBLIC_URL="",
            TENANT_PORT=str(free_port()),
        )

    return started


def sign_in_as(page: Page, name: str) -> None:
    """Choose somebody on the page of the local tenant, which leads back."""
    page.get_by_role("button", name=f"Sign in as {name}").click()


def test_single_page(start: Start, visit: Visit, browser_name: str) -> None:
    """Its script leads to the sign-in and back, works as the user, and has no token to lose."""
    page = visit(start("single_page")).tab().page
    page.goto(start("single_page").url)
    sign_in_as(page, "Alice")
    page.get_by_text("You are Alice Example.").wait_for()
    page.get_by_label("What is to be done?").fill(f"try {browser_name}")
    page.get_by_role("button", name="Add").click()
    page.locator("li", has_text=browser_name).wait_for()
    page.reload()
    page.locator("li", has_text=browser_name).wait_for()
    kept = page.evaluate("[document.cookie, localStorage.length, sessionStorage.length]")
    assert kept == ["", 0, 0]
    # Out at the tenant, too: it asks again, and somebody else may come.
    page.get_by_role("button", name="Sign out").click()
    sign_in_as(page, "Bob")
    page.get_by_text("You are Bob Example.").wait_for()
    assert page.locator("li").count() == 0


def test_calling_an_api(start: Start, visit: Visit) -> None:
    """Its page shows what the API says of the user; the button signs out."""
    page = visit(start("calling_an_api")).tab().page
    page.goto(start("calling_an_api").url)
    sign_in_as(page, "Alice")
    page.get_by_role("heading", name="What the API says").wait_for()
    page.get_by_text("alice@example.com").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in as Bob").wait_for()


def test_tenants(start: Start, visit: Visit) -> None:
    """Each button leads to its own application at the tenant, and back."""
    page = visit(start("tenants")).tab().page
    page.goto(start("tenants").url)
    page.get_by_role("button", name="Sign in as customer").click()
    sign_in_as(page, "Alice")
    page.get_by_text("says so to its client demo").wait_for()
    page.get_by_role("button", name="Sign in as staff").click()
    page.get_by_text("says so to its client staff").wait_for()
    page.get_by_role("button", name="Sign out").click()
    page.get_by_role("button", name="Sign in as staff").wait_for()
    assert "says so" not in page.content()


def test_notebook(start: Start, visit: Visit) -> None:
    """Flask-Login has the user whom the tenant knows, beside the one with a password here."""
    page = visit(start("notebook")).tab().page
    page.goto(start("notebook").url + "/login")
    page.locator("form[action='/pkce/code'] button").click()
    sign_in_as(page, "Alice")
    page.get_by_text("Alice Example").first.wait_for()
    page.get_by_role("button", name="Log out").click()
    page.get_by_role("link", name="Log in").first.wait_for()
    assert "Alice" not in page.content()


def test_command_line(visit: Visit, start: Start, tmp_path: Path) -> None:
    """It opens the system's browser, and says who signed in there."""
    opened = tmp_path / "opened"
    browser = tmp_path / "browser"
    # What the system starts as its browser, which leaves the rest to the test.
    browser.write_text(
        f"#!/bin/sh\nprintf %s \"$1\" > '{opened}.new'\nmv '{opened}.new' '{opened}'\n"
    )
    browser.chmod(0o700)
    program = subprocess.Popen(
        [sys.executable, "-m", "examples.command_line.program"],
        cwd=ROOT,
        env=clean_environment(BROWSER=str(browser), FLASK_TENANT_PORT=str(free_port())),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + PATIENCE
        while not opened.exists():
            assert program.poll() is None
            assert time.monotonic() < deadline, "it opened no browser"
            time.sleep(0.05)
        page = visit(start("single_page")).tab().page
        page.goto(require_loopback(opened.read_text()))
        sign_in_as(page, "Alice")
        said, _ = program.communicate(timeout=PATIENCE)
    finally:
        program.kill()
    assert said.endswith("You are Alice Example.\n")
    assert program.returncode == 0
