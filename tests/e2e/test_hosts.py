"""The blueprint in an application that somebody else wrote: ``flaskr`` of Flask's tutorial."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from .person import Tab
from .processes import Server, tutorial_folder

if TYPE_CHECKING:
    from .conftest import Serve, Visit


@pytest.fixture(scope="module")
def flaskr_folder() -> Path:
    """The tutorial, from the source distribution of the installed Flask."""
    return tutorial_folder()


@pytest.fixture(scope="module")
def flaskr(serve: Serve, flaskr_folder: Path) -> Server:
    """The tutorial with the blueprint beside its own login."""
    return serve("tutorial:create_app()", python_path=flaskr_folder, PKCE_TOKEN_DELIVERY="session")


@pytest.fixture(scope="module")
def linked_flaskr(serve: Serve, flaskr_folder: Path) -> Server:
    """The tutorial with a hook that logs its own users in."""
    return serve(
        "tutorial:create_linked_app()", python_path=flaskr_folder, PKCE_TOKEN_DELIVERY="session"
    )


def sign_in(tab: Tab, login: str) -> None:
    """Sign in at the tenant, which remembers nobody, and come back to the blog."""
    tab.page.context.clear_cookies(domain="127.0.0.1")
    tab.press_sign_in("/tenant")
    tab.log_in(login)
    assert tab.path == "/"


def who(tab: Tab) -> str | None:
    """Whom the blueprint takes the person for."""
    return tab.who("/auth/pkce/user")


def logged_in_to_flaskr(tab: Tab) -> str | None:
    """Whom the navigation of flaskr shows."""
    tab.open("/")
    name = tab.page.locator("nav li span")
    return name.inner_text() if name.count() else None


def fill_in(tab: Tab, path: str, button: str) -> None:
    """Send one of flaskr's own two forms."""
    tab.open(path)
    tab.page.get_by_label("Username").fill("grace")
    tab.page.get_by_label("Password").fill("a password of flaskr")
    tab.page.get_by_role("button", name=button).click()


def test_flaskr_keeps_its_login(flaskr: Server, visit: Visit) -> None:
    """Its register, login and logout work, and neither sign-in ends the other."""
    tab = visit(flaskr).tab()
    sign_in(tab, "ada")
    assert (who(tab), logged_in_to_flaskr(tab)) == ("ada@example.org", None)

    fill_in(tab, "/auth/register", "Register")
    fill_in(tab, "/auth/login", "Log In")
    assert (who(tab), logged_in_to_flaskr(tab)) == ("ada@example.org", "grace")

    sign_in(tab, "ada")
    assert (who(tab), logged_in_to_flaskr(tab)) == ("ada@example.org", "grace")

    tab.open("/create")
    tab.page.get_by_label("Title").fill("On two sessions")
    tab.page.get_by_role("button", name="Save").click()
    assert tab.page.get_by_role("heading", name="On two sessions").is_visible()

    tab.open("/auth/logout")
    assert (who(tab), logged_in_to_flaskr(tab)) == ("ada@example.org", None)

    fill_in(tab, "/auth/login", "Log In")
    assert tab.fetch("/auth/pkce/clear", method="POST").status == 204
    assert (who(tab), logged_in_to_flaskr(tab)) == (None, "grace")


def test_flaskr_logs_out_during_a_sign_in(flaskr: Server, visit: Visit) -> None:
    """``session.clear()`` of the host, in the midst of a sign-in, does not end that."""
    person = visit(flaskr)
    tab, other = person.tab(), person.tab()
    tab.press_sign_in("/tenant")
    other.open("/auth/logout")
    tab.log_in("ada")
    assert who(tab) == "ada@example.org"


def test_a_hook_logs_in_to_flaskr(linked_flaskr: Server, visit: Visit) -> None:
    """Who signs in at the tenant is logged in to flaskr, by the hook and flaskr's own session."""
    tab = visit(linked_flaskr).tab()
    sign_in(tab, "ada")
    assert logged_in_to_flaskr(tab) == "ada@example.org"
    tab.open("/auth/logout")
    assert logged_in_to_flaskr(tab) is None
