"""``GET /pkce/login``: a link that signs in."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.conftest import MakeApp
from tests.web.host import Browser, Host, check_page, check_problem


@pytest.fixture
def keeping(make_app: MakeApp) -> Host:
    """A host that keeps tokens on the server."""
    return make_app(PKCE_TOKEN_DELIVERY="session")


@pytest.fixture
def browser(keeping: Host) -> Browser:
    return keeping.browser()


def asked(location: str) -> dict[str, str]:
    """What the tenant is asked for."""
    return {name: value[0] for name, value in parse_qs(urlsplit(location).query).items()}


@pytest.mark.parametrize("site", ["none", "same-origin", "cross-site"])
def test_link(site: str, keeping: Host, browser: Browser) -> None:
    """Wherever the link stood, the browser signs in and comes to ``return_to``."""
    sent = browser.open("/pkce/login?return_to=/account%3Fa%3Db", site=site)
    assert sent.status_code == 303
    done = browser.arrive(keeping.tenant.sign_in(sent.headers["Location"]))
    assert done.headers["Location"] == "/account?a=b"
    assert browser.send("GET", "/pkce/user").get_json()["sub"] == "auth0|alice"


@pytest.mark.requirement("N42", "N43", "N44", "N45", "N46", "N47", "BC-1")
@pytest.mark.parametrize(
    "return_to", ["//evil", "/%5Cevil", "https:evil", "/a/..//evil", "/%2f%2fevil", "account"]
)
def test_elsewhere(return_to: str, browser: Browser) -> None:
    """Only a path of this application is a place to return to."""
    response = browser.open(f"/pkce/login?return_to={return_to}", site="cross-site")
    check_page(response, "return-address-refused")
    assert not browser.has_cookie


def test_what_a_link_asks_for(browser: Browser) -> None:
    """An invitation, and the rest of what Auth0 puts into such links, reaches the tenant."""
    parameters = (
        "organization=org_1&invitation=i1&screen_hint=signup&max_age=60&acr_values=mfa"
        "&login_hint=a%40example.com&connection=google-oauth2&ui_locales=de&organization_name=acme"
    )
    sent = asked(browser.open(f"/pkce/login?{parameters}").headers["Location"])
    assert sent["organization"] == "org_1"
    assert sent["invitation"] == "i1"
    assert sent["screen_hint"] == "signup"
    assert sent["max_age"] == "60"
    assert sent["acr_values"] == "mfa"
    assert sent["login_hint"] == "a@example.com"
    assert sent["connection"] == "google-oauth2"
    assert sent["ui_locales"] == "de"
    assert "organization_name" not in sent


@pytest.mark.parametrize("query", ["max_age=-1", "screen_hint=nonsense", "max_age=1&max_age=2"])
def test_malformed(query: str, browser: Browser) -> None:
    """What it cannot ask for is refused, and starts nothing."""
    code = "parameter-repeated" if query.count("max_age") == 2 else "parameter-invalid"
    check_problem(browser.send("GET", f"/pkce/login?{query}"), code)
    assert not browser.has_cookie


def test_neither_frames_nor_scripts_of_others(browser: Browser) -> None:
    """Another site's frame, image or script starts no sign-in, and neither does a prefetch."""
    framed = {"Sec-Fetch-Dest": "iframe"}
    check_page(
        browser.open("/pkce/login", site="cross-site", headers=framed), "navigation-required"
    )
    image = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    check_problem(browser.send("GET", "/pkce/login", headers=image), "navigation-required")
    prefetch = {"Sec-Purpose": "prefetch"}
    check_page(browser.open("/pkce/login", headers=prefetch), "prefetch-refused")
    assert not browser.has_cookie


def test_delivery_caller(host: Host, browser: Browser) -> None:
    """With delivery ``caller`` the path is the host's."""
    assert host.browser().client.get("/pkce/login").mimetype == "text/html"
