"""Pages that want somebody who is signed in, and who did so lately."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from .browsers import BROWSERS

if TYPE_CHECKING:
    from .conftest import Serve, Visit
    from .processes import Server

TENANT = "http://127.0.0.1:*/interaction/*"

pytestmark = pytest.mark.parametrize("browser_name", BROWSERS)


@pytest.fixture(scope="module", params=["form_post", "query"])
def app(request: pytest.FixtureRequest, serve: Serve) -> Server:
    """An application with such pages."""
    return serve(
        "host:create_guarded_app()",
        PKCE_RESPONSE_MODE=request.param,
        PKCE_TOKEN_DELIVERY="session",
        PKCE_LEEWAY="0",
    )


def test_there_and_back(app: Server, visit: Visit) -> None:
    """A page sends to the tenant, and is where one arrives, with its query."""
    tab = visit(app).tab()
    tab.open("/inside?tab=2&q=%C3%A9")
    tab.page.wait_for_url(TENANT)
    tab.log_in("ada")
    assert tab.path == "/inside?tab=2&q=%C3%A9"
    assert tab.page.title() == "Inside"


def test_a_script_is_told(app: Server, visit: Visit) -> None:
    """What a script fetches answers 401, and says where to sign in."""
    tab = visit(app).tab()
    tab.open("/")
    answer = tab.fetch("/inside", headers={"Accept": "application/json"})
    assert answer.status == 401
    assert answer.headers["content-type"] == "application/problem+json"


def test_stepping_up(app: Server, visit: Visit) -> None:
    """Who signed in a while ago gives the password again, once; the session stays meanwhile."""
    tab = visit(app).tab()
    tab.open("/inside")
    tab.page.wait_for_url(TENANT)
    tab.log_in("ada")
    time.sleep(3.5)
    tab.open("/payments")
    tab.page.wait_for_url(TENANT)
    assert tab.who() == "ada@example.org"
    tab.log_in("ada")
    assert tab.page.title() == "Payments"
    tab.open("/inside")
    tab.open("/payments")
    assert tab.path == "/payments"


def test_whoever_is_sent_back_gives_up(app: Server, visit: Visit) -> None:
    """Who cancels is told so by a page, and is not sent to the tenant again by itself."""
    tab = visit(app).tab()
    tab.open("/inside")
    tab.page.wait_for_url(TENANT)
    tab.cancel()
    assert tab.who() is None
    assert tab.path.startswith("/pkce/response/code")
    tab.page.get_by_role("button").first.click()
    tab.page.wait_for_url(TENANT)
    tab.log_in("ada")
    assert tab.path == "/inside"
