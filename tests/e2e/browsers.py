"""Chromium and Firefox as Debian ships them, both driven by Playwright.

Playwright's own builds are not needed: it speaks the DevTools protocol with any Chromium, and
WebDriver BiDi with any Firefox, by the channel ``moz-firefox``.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Playwright

CHROMIUM, FIREFOX = BROWSERS = ("chromium", "firefox")

PACKAGES = {CHROMIUM: "chromium", FIREFOX: "firefox-esr"}
"""What Debian calls them."""

_EXECUTABLES = {
    CHROMIUM: ("chromium", "chromium-browser", "google-chrome"),
    FIREFOX: ("firefox-esr", "firefox"),
}

_NO_OTHER_HOST = "MAP * ~NOTFOUND , EXCLUDE localhost , EXCLUDE 127.0.0.1"

_FIREFOX_PREFERENCES: dict[str, str | float | bool] = {
    # Firefox never asks a proxy for loopback; nobody listens on this one.
    "network.proxy.type": 1,
    "network.proxy.http": "127.0.0.1",
    "network.proxy.http_port": 9,
    "network.proxy.ssl": "127.0.0.1",
    "network.proxy.ssl_port": 9,
    # Going back loads the page again, as in the Chromium that Playwright starts.
    "browser.sessionhistory.max_total_viewers": 0,
}


def find_browser(name: str) -> str | None:
    """Find the program of a browser."""
    return next(filter(None, map(shutil.which, _EXECUTABLES[name])), None)


def start_browser(playwright: Playwright, name: str, executable: str) -> Browser:
    """Start a browser without a screen, that knows no host but this machine."""
    if name == FIREFOX:
        return playwright.firefox.launch(
            executable_path=executable,
            channel="moz-firefox",
            firefox_user_prefs=_FIREFOX_PREFERENCES,
        )
    return playwright.chromium.launch(
        executable_path=executable,
        args=[
            "--no-sandbox",
            "--disable-gpu",
            "--disable-background-networking",
            "--no-first-run",
            f"--host-resolver-rules={_NO_OTHER_HOST}",
        ],
    )
