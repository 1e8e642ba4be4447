"""The front page of the standalone server, with the tenant that it brings along."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING

import pytest

from .browsers import BROWSERS
from .processes import PATIENCE, ROOT, free_port

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from .conftest import Serve, Visit
    from .processes import Server

STEPS = ("challenge", "code", "tenant", "answer", "token")


@pytest.fixture(scope="module")
def demo(serve: Serve) -> Server:
    """The server as ``make demo`` starts it, on ports of its own."""
    program = str(ROOT / "examples" / "standalone" / "app.py")
    return serve(
        command=[sys.executable, "-m", "flask", "--app", program, "run", "--port", "{port}"],
        PKCE_DOMAIN="",
        PKCE_PUBLIC_URL="",
        TENANT_PORT=str(free_port()),
    )


def check_finished(page: Page) -> None:
    """Check that every step was shown, and no secret in full."""
    page.locator("#you").wait_for(timeout=PATIENCE * 1000)
    assert page.locator("#you").inner_text().startswith("You are Alice")
    assert page.locator("#you").evaluate("element => element === document.activeElement")
    for step in STEPS:
        item = page.locator(f'[data-step="{step}"]')
        assert "done" in (item.get_attribute("class") or "").split()
        assert item.locator(".exchange").count()
    shown = page.locator("#main").evaluate("element => element.textContent")
    for name in ("verifier", "code", "access_token", "refresh_token"):
        assert re.search(rf'"{name}": "[\w.~-]{{8}}… \(\d+\)"', shown), name
    assert not re.findall(r"[\w-]{43,}", shown)


@pytest.mark.parametrize("browser_name", BROWSERS)
def test_one_press_runs_every_step(demo: Server, visit: Visit) -> None:
    """It goes to the tenant and comes back by itself, and ends with who somebody is."""
    page = visit(demo).tab().page
    page.goto(demo.url)
    page.locator("#run").click()
    page.get_by_role("button", name="Sign in as Alice").click()
    check_finished(page)


def test_keys_are_enough(demo: Server, visit: Visit) -> None:
    """Tab and Enter lead through a whole run, and the focus is where the next step is."""
    page = visit(demo).tab().page
    page.goto(demo.url)
    for _ in range(3):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == "run":
            break
    page.keyboard.press("Enter")
    alice = page.get_by_role("button", name="Sign in as Alice")
    alice.wait_for(timeout=PATIENCE * 1000)
    for _ in range(10):
        if alice.evaluate("element => element === document.activeElement"):
            break
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    check_finished(page)


@pytest.mark.parametrize(("scheme", "is_dark"), [("light", False), ("dark", True)])
def test_it_is_light_or_dark(demo: Server, visit: Visit, scheme: str, is_dark: bool) -> None:
    """It follows what the person chose for the whole machine."""
    page = visit(demo).tab().page
    page.emulate_media(color_scheme="dark" if is_dark else "light")
    page.goto(demo.url)
    colours = page.evaluate(
        "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
    )
    ground, text = (sum(map(int, re.findall(r"\d+", colour)[:3])) for colour in colours)
    assert (ground < text) == is_dark
