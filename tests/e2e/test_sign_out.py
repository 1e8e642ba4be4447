"""Signing out at a provider that was certified: from here, and from there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import pytest

from .browsers import BROWSERS
from .processes import Node, Provider, free_port

if TYPE_CHECKING:
    from .conftest import Serve, Visit
    from .person import Tab
    from .processes import Server

pytestmark = pytest.mark.parametrize("browser_name", BROWSERS)


def client(client_id: str, port: int, *, with_sid: bool) -> Mapping[str, Any]:
    """The registration of the application at this port, which is told of sign-outs."""
    here = f"http://localhost:{port}"
    return {
        "client_id": client_id,
        "token_endpoint_auth_method": "none",
        "application_type": "native",
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [f"{here}/pkce/response/code"],
        "post_logout_redirect_uris": [f"{here}/"],
        "backchannel_logout_uri": f"{here}/pkce/logout/backchannel",
        "backchannel_logout_session_required": with_sid,
    }


@pytest.fixture(scope="module")
def ports() -> tuple[int, int]:
    """Where the two applications will be, which the tenant has to know before."""
    return free_port(), free_port()


@pytest.fixture(scope="module")
def provider(
    node: Node, ports: tuple[int, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Provider]:
    """A tenant with two applications: its logout tokens name the session to one, not the other."""
    clients = [
        client("told-the-session", ports[0], with_sid=True),
        client("told-the-user", ports[1], with_sid=False),
    ]
    provider = Provider(node, tmp_path_factory.mktemp("provider") / "log", clients=clients)
    yield provider
    provider.close()


@pytest.fixture(scope="module")
def apps(serve: Serve, ports: tuple[int, int]) -> list[Server]:
    """The two applications, each with two workers."""
    return [
        serve(
            "host:create_guarded_app()",
            workers=2,
            port=port,
            PKCE_CLIENT_ID=client_id,
            PKCE_TOKEN_DELIVERY="session",
            PKCE_BACKCHANNEL_LOGOUT="true",
        )
        for client_id, port in zip(("told-the-session", "told-the-user"), ports, strict=True)
    ]


def signed_in(visit: Visit, app: Server, login: str) -> Tab:
    """Somebody who opened a page that wants a sign-in, and signed in."""
    tab = visit(app).tab()
    tab.open("/inside")
    tab.page.wait_for_url("http://127.0.0.1:*/interaction/*")
    tab.log_in(login)
    assert tab.path == "/inside"
    return tab


def sign_out_at_tenant(tab: Tab, provider: Provider) -> None:
    """Sign out on the tenant's own page, which the application did not lead to."""
    tab.open(f"{provider.issuer}oidc/logout")
    tab.page.get_by_role("button", name="Sign out").click()
    tab.page.wait_for_url("**/oidc/logout/success")


def test_here(apps: list[Server], visit: Visit, provider: Provider) -> None:
    """The button ends the session here and there, has the token revoked, and leads back."""
    tab = signed_in(visit, apps[0], "ada")
    mark = provider.mark()
    tab.page.get_by_role("button", name="Sign out").click()
    tab.page.wait_for_url(f"{provider.issuer}**")
    tab.page.get_by_role("button", name="Sign out").click()
    tab.arrive()
    assert tab.path == "/"
    assert tab.who() is None
    assert provider.count("revoked", since=mark) == 1
    # The tenant asks for the password again.
    tab.press_sign_in()
    tab.log_in("bob")
    assert tab.who() == "bob@example.org"


def test_there(apps: list[Server], visit: Visit, provider: Provider) -> None:
    """Who signs out at the tenant is out here, in that browser and in no other."""
    one, other, somebody = (signed_in(visit, apps[0], name) for name in ("eve", "eve", "kim"))
    mark = provider.mark()
    sign_out_at_tenant(one, provider)
    provider.wait_for("told_to_sign_out", since=mark)
    assert one.who() is None
    assert other.who() == "eve@example.org"
    assert somebody.who() == "kim@example.org"


def test_there_by_user(apps: list[Server], visit: Visit, provider: Provider) -> None:
    """Where the tenant names the user alone, the user is out in every browser."""
    one, other, somebody = (signed_in(visit, apps[1], name) for name in ("sam", "sam", "pat"))
    mark = provider.mark()
    sign_out_at_tenant(one, provider)
    provider.wait_for("told_to_sign_out", since=mark)
    assert one.who() is None
    assert other.who() is None
    assert somebody.who() == "pat@example.org"
    # It is over with that sign-in only: the next one lasts.
    assert signed_in(visit, apps[1], "sam").who() == "sam@example.org"
