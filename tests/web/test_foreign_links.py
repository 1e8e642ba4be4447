"""Links from other origins to ``/pkce/login``: what they start, and when the user is asked."""

from __future__ import annotations

import html
import re
from typing import Any
from urllib.parse import urlsplit

import pytest
from flask import request
from werkzeug.test import TestResponse

from flask_pkce import PKCEBlueprint
from flask_pkce.sessions.session import MAX_FLOWS
from flask_pkce.testing import LocalTenant
from flask_pkce.testing.tenant.keys import SigningKeys
from tests.conftest import MakeApp
from tests.web.host import CALLBACK, Browser, Clock, Host, check_page, check_problem
from tests.web.test_login import asked
from tests.web.test_tenants import deliver

LOGIN = "/pkce/login"
#: What browsers send with links of other origins.
ELSEWHERE = ("cross-site", "same-site")


@pytest.fixture(params=["form_post", "query"])
def mode(request: pytest.FixtureRequest) -> str:
    """How the tenant answers."""
    return str(request.param)


@pytest.fixture
def keeping(make_app: MakeApp) -> Host:
    """A host that keeps tokens on the server, with refresh tokens."""
    return make_app(
        PKCE_TOKEN_DELIVERY="session", PKCE_SCOPE="openid profile email offline_access"
    )


@pytest.fixture
def browser(keeping: Host) -> Browser:
    return keeping.browser()


@pytest.fixture
def acme(clock: Clock, signing_keys: SigningKeys) -> LocalTenant:
    """A second tenant."""
    tenant = LocalTenant(issuer="https://acme.example/", clock=clock)
    tenant._provider.keys._keys = signing_keys._keys
    return tenant


def with_acme(make_app: MakeApp, acme: LocalTenant, **options: Any) -> Host:
    """A host that has the second tenant besides its default one."""
    tenants = {"acme": {"domain": "acme.example", "client_id": "local-client"}}
    host = make_app(PKCE_TENANTS=tenants, PKCE_TOKEN_DELIVERY="session", **options)
    acme.mount(host.relying_party.transport.session)
    acme.register(redirect_uris=[host.callback_url, f"{host.callback_url}/acme"])
    return host


def fields_of(page: TestResponse) -> dict[str, str]:
    """The hidden fields of a page's form."""
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page.text)
    return {name: html.unescape(value) for name, value in found}


def press(browser: Browser, page: TestResponse, **button: str) -> TestResponse:
    """Press a button of a page's form."""
    (action,) = re.findall(r'<form method="post" action="([^"]+)">', page.text)
    response: TestResponse = browser.open(
        html.unescape(action),
        site="same-origin",
        method="POST",
        data={**fields_of(page), **button},
        content_type="application/x-www-form-urlencoded",
    )
    return response


def check_question(page: TestResponse, *told: str) -> None:
    """Check that a page asks, in words that the user needs."""
    assert (page.status_code, page.mimetype) == (200, "text/html"), page.text
    assert page.text.count("<h1>") == 1
    assert "<script" not in page.text
    for text in told:
        assert text in page.text


def sign_in(browser: Browser, user: str = "auth0|alice") -> None:
    """Sign in by the application's own button."""
    url = browser.submit("/pkce/code").headers["Location"]
    browser.arrive(browser.host.tenant.sign_in(url, user))
    assert who(browser) == user


def who(browser: Browser) -> str | None:
    """The subject of the user who is signed in."""
    answer = browser.send("GET", "/pkce/user")
    return answer.get_json()["sub"] if answer.status_code == 200 else None


# -- before a sign-in starts -----------------------------------------------------------


@pytest.mark.requirement("T1")
@pytest.mark.parametrize("site", ELSEWHERE)
def test_link_while_signed_in(site: str, keeping: Host, browser: Browser) -> None:
    """While a user is signed in, a foreign link starts nothing until the user confirms."""
    sign_in(browser)
    before = keeping.store.contents()
    page = browser.open(f"{LOGIN}?return_to=/account&login_hint=bob%40x&foo=1", site=site)
    check_question(page, "You are signed in as alice@example.com", keeping.tenant.domain)
    assert keeping.store.contents() == before
    assert fields_of(page) == {"return_to": "/account", "login_hint": "bob@x"}
    sent = press(browser, page)
    assert asked(sent.headers["Location"])["login_hint"] == "bob@x"
    done = browser.arrive(keeping.tenant.sign_in(sent.headers["Location"], "auth0|bob"))
    assert done.headers["Location"] == "/account"
    assert who(browser) == "auth0|bob"


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_own_link_while_signed_in(site: str, browser: Browser) -> None:
    """A link of the application's own, or an address that the user types, asks nothing."""
    sign_in(browser)
    assert browser.open(LOGIN, site=site).status_code == 303


@pytest.mark.parametrize("site", ELSEWHERE)
def test_link_while_signed_out(site: str, browser: Browser) -> None:
    """An invitation to the default tenant asks a signed-out visitor nothing."""
    page = browser.open(f"{LOGIN}?organization=org_1&invitation=i1", site=site)
    assert asked(page.headers["Location"])["invitation"] == "i1"


def test_link_to_another_tenant(make_app: MakeApp, acme: LocalTenant) -> None:
    """A foreign link that names another tenant than the default one asks every visitor."""
    host = with_acme(make_app, acme)
    browser = host.browser()
    page = browser.open(f"{LOGIN}?domain=acme.example&return_to=/a", site="cross-site")
    check_question(page, "Sign in at acme.example?")
    assert not browser.has_cookie
    assert fields_of(page) == {"domain": "acme.example", "return_to": "/a"}
    sent = press(browser, page)
    assert sent.headers["Location"].startswith("https://acme.example/authorize?")
    own = browser.open(f"{LOGIN}?domain=acme.example", site="same-origin")
    assert own.status_code == 303


def test_tenant_that_the_application_chooses(make_app: MakeApp, acme: LocalTenant) -> None:
    """A ``tenant_loader`` reads the same address when the user has confirmed."""
    pkce = PKCEBlueprint()
    pkce.tenant_loader(lambda name: request.args.get("tenant"))
    browser = with_acme(make_app, acme, blueprint=pkce).browser()
    page = browser.open(f"{LOGIN}?tenant=acme&return_to=/a", site="cross-site")
    check_question(page, "Sign in at acme.example?")
    sent = press(browser, page)
    assert sent.headers["Location"].startswith("https://acme.example/authorize?")


def test_tenant_of_the_host(make_app: MakeApp, acme: LocalTenant) -> None:
    """Where the application chooses the tenant by the host, only a link that may name one asks."""
    pkce = PKCEBlueprint()
    pkce.tenant_loader(lambda name: "acme" if request.host == "acme.app.example" else None)
    host = with_acme(
        make_app,
        acme,
        blueprint=pkce,
        PKCE_PUBLIC_URL="https://app.example",
        PKCE_FURTHER_PUBLIC_URLS=["https://acme.app.example"],
    )
    host.address = "https://acme.app.example"
    invitation = "return_to=/a&organization=org_1&invitation=i1&login_hint=bob%40x&foreign="
    for query in ("", "return_to=/a", invitation):
        sent = host.browser().open(f"{LOGIN}?{query}", site="cross-site")
        assert sent.headers["Location"].startswith("https://acme.example/authorize?")
    for query in ("domain=acme.example", "client_id=local-client", "tenant=acme", "return_to=&x"):
        browser = host.browser()
        page = browser.open(f"{LOGIN}?{query}", site="cross-site")
        check_question(page, "Sign in at acme.example?")
        assert not browser.has_cookie


def test_ask_about_every_link(make_app: MakeApp) -> None:
    """With ``ask`` every foreign link asks, and no link of the application's own does."""
    host = make_app(PKCE_TOKEN_DELIVERY="session", PKCE_LOGIN_LINKS="ask")
    browser = host.browser()
    page = browser.open(f"{LOGIN}?return_to=/a", site="cross-site")
    check_question(page, "Sign in at", host.tenant.domain)
    assert not browser.has_cookie
    assert press(browser, page).status_code == 303
    for site in ("same-origin", "none"):
        assert host.browser().open(LOGIN, site=site).status_code == 303


def test_link_of_an_allowed_origin(make_app: MakeApp) -> None:
    """An origin that the application allows by name is not foreign."""
    spa = "https://spa.example"
    host = make_app(PKCE_TOKEN_DELIVERY="session", PKCE_ALLOWED_ORIGINS=spa)
    browser = host.browser()
    sign_in(browser)
    allowed = browser.open(LOGIN, site="cross-site", headers={"Origin": spa})
    assert allowed.status_code == 303
    other = browser.open(LOGIN, site="cross-site", headers={"Referer": spa})
    check_question(other)


@pytest.mark.parametrize(
    ("origin", "is_foreign"),
    [(None, False), ("http://localhost", False), ("https://evil.example", True), ("null", True)],
)
def test_browser_without_fetch_metadata(
    origin: str | None, is_foreign: bool, browser: Browser
) -> None:
    """Without ``Sec-Fetch-Site`` only an ``Origin`` makes a link foreign."""
    sign_in(browser)
    sent_by_others = dict.fromkeys(("Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"), "")
    old = {"Accept": "text/html", **sent_by_others, "Origin": origin or ""}
    page = browser.send("GET", LOGIN, headers=old)
    assert page.status_code == (200 if is_foreign else 303)
    if is_foreign:
        program = browser.send("GET", LOGIN, headers={**old, "Accept": "*/*"})
        check_problem(program, "navigation-required")


@pytest.mark.requirement("T1")
def test_confirmation_of_another_site(browser: Browser) -> None:
    """Only a page of the application itself can confirm."""
    sign_in(browser)
    for site in (*ELSEWHERE, "none"):
        refused = browser.open(LOGIN, site=site, method="POST", data={"return_to": "/"})
        check_page(refused, "origin-refused")
    assert who(browser) == "auth0|alice"


def test_confirmation_is_validated(browser: Browser) -> None:
    """The fields of the form are checked as the parameters of a link are."""
    for fields, code in (
        ({"return_to": "//evil"}, "return-address-refused"),
        ({"domain": "evil.example"}, "parameter-foreign"),
        ({"max_age": "-1"}, "parameter-invalid"),
        ({"confirmation": "made-up"}, "cookies-blocked"),
    ):
        response = browser.submit(LOGIN, fields)
        assert f"<code>{code}</code>" in response.text, response.text
    check_problem(browser.post(LOGIN, {"return_to": "/"}), "media-type-unsupported")
    assert not browser.has_cookie


def test_parameters_are_escaped(browser: Browser) -> None:
    """What a link says is text on the page."""
    sign_in(browser)
    page = browser.open(f'{LOGIN}?login_hint="><script>&x="><script>', site="cross-site")
    check_question(page)
    assert fields_of(page) == {"login_hint": '"><script>'}


def test_account_without_an_address(make_app: MakeApp, tenant: LocalTenant) -> None:
    """Where the tenant tells nothing but the subject, the page names that."""
    host = make_app(PKCE_TOKEN_DELIVERY="session", PKCE_SCOPE="openid")
    browser = host.browser()
    sign_in(browser)
    assert "email" not in browser.send("GET", "/pkce/user").get_json()
    page = browser.open(LOGIN, site="cross-site")
    check_question(page, "You are signed in as auth0|alice")


def test_session_that_was_signed_out_from_outside(keeping: Host, browser: Browser) -> None:
    """A sign-in that was ended from outside is no reason to ask, and the link works."""
    sign_in(browser)
    keeping.clock.advance(1)
    keeping.relying_party.sign_out.everywhere(keeping.tenant.issuer, "auth0|alice")
    keeping.clock.advance(1)
    sent = browser.open(LOGIN, site="cross-site")
    assert sent.status_code == 303
    browser.arrive(keeping.tenant.sign_in(sent.headers["Location"], "auth0|bob"))
    assert who(browser) == "auth0|bob"


def test_link_while_the_cookie_is_renewed(keeping: Host, browser: Browser) -> None:
    """A page that tries again by itself does not make a foreign link one of ours."""
    sign_in(browser)
    held = keeping.session_of(browser)
    _, pointer = keeping.relying_party.sessions.renew(held)
    waiting = browser.open(f"{LOGIN}?return_to=/a%26b", site="cross-site")
    seconds, _, again = waiting.headers["Refresh"].partition("; url=")
    assert seconds == "1"
    assert pointer is not None
    browser.client.set_cookie("pkce-80", keeping.relying_party.signing.sign_pointer(pointer))
    page = browser.open(again, site="same-origin")
    check_question(page, "You are signed in as alice@example.com")
    assert fields_of(page) == {"return_to": "/a&b"}


# -- before a sign-in takes the place of another ---------------------------------------


def follow_link_and_sign_in(browser: Browser, host: Host) -> TestResponse:
    """Follow a foreign link while signed out, sign in as alice, and bring bob's response."""
    sent = browser.open(f"{LOGIN}?return_to=/from-the-link", site="cross-site")
    sign_in(browser)
    answer = host.tenant.sign_in(sent.headers["Location"], "auth0|bob")
    page = browser.arrive(answer)
    return browser.follow(page) if page.status_code == 303 else page


@pytest.fixture
def answering(make_app: MakeApp, mode: str) -> Host:
    """A host that keeps tokens on the server, for each response mode."""
    return make_app(PKCE_TOKEN_DELIVERY="session", PKCE_RESPONSE_MODE=mode)


@pytest.mark.requirement("T1")
def test_response_while_signed_in(answering: Host) -> None:
    """A foreign flow that is answered after the user signed in asks before it is redeemed."""
    browser = answering.browser()
    page = follow_link_and_sign_in(browser, answering)
    check_question(
        page, "You are signed in as alice@example.com", "Continue with the new sign-in?"
    )
    assert answering.token_requests == 1
    assert who(browser) == "auth0|alice"
    sent = press(browser, page)
    assert urlsplit(sent.headers["Location"]).path == CALLBACK
    done = browser.open(sent.headers["Location"], site="same-origin")
    assert done.headers["Location"] == "/from-the-link"
    assert who(browser) == "auth0|bob"
    assert answering.token_requests == 2


def test_question_again(answering: Host) -> None:
    """Reloading the page asks again, however late; a second press of the button does no harm."""
    browser = answering.browser()
    page = follow_link_and_sign_in(browser, answering)
    answering.clock.advance(120)
    again = browser.open(f"{CALLBACK}?ticket=spent", site="same-origin")
    check_question(again, "Continue with the new sign-in?")
    assert fields_of(again) == fields_of(page)
    for _ in range(2):
        sent = press(browser, page)
        done = browser.open(sent.headers["Location"], site="same-origin")
        assert done.headers["Location"] == "/from-the-link"
    press(browser, page, decline="1")
    assert who(browser) == "auth0|bob"
    assert answering.token_requests == 2


def test_declined(answering: Host) -> None:
    """The present sign-in stays if the user declines, and the flow cannot be redeemed."""
    browser = answering.browser()
    page = follow_link_and_sign_in(browser, answering)
    declined = press(browser, page, decline="1")
    assert declined.headers["Location"] == "/"
    sent = press(browser, page)
    check_page(browser.open(sent.headers["Location"], site="same-origin"), "access-denied")
    assert who(browser) == "auth0|alice"
    assert answering.token_requests == 1


def test_question_needs_the_value(answering: Host) -> None:
    """Without the one-time value of this session's flow nothing goes on."""
    browser = answering.browser()
    page = follow_link_and_sign_in(browser, answering)
    for value in ("", "made-up", "ä"):
        check_page(browser.submit(LOGIN, {"confirmation": value}), "ticket-spent")
    other = answering.browser()
    sign_in(other)
    check_page(press(other, page), "ticket-spent")
    assert (who(browser), who(other)) == ("auth0|alice", "auth0|alice")


def test_cookies_of_the_application_that_are_strict(make_app: MakeApp, mode: str) -> None:
    """Both questions work where the application's own cookies are ``SameSite=Strict``."""
    strict = {"SESSION_COOKIE_SAMESITE": "Strict", "PKCE_RESPONSE_MODE": mode}
    host = make_app(PKCE_TOKEN_DELIVERY="session", **strict)
    browser = host.browser()

    def bring(url: str, user: str) -> TestResponse:
        kept = browser.arrive(host.tenant.sign_in(url, user))
        response: TestResponse = browser.open(
            kept.headers["Refresh"].partition("; url=")[2], site="same-origin"
        )
        return response

    linked = browser.open(LOGIN, site="cross-site").headers["Location"]
    bring(browser.submit("/pkce/code").headers["Location"], "auth0|alice")
    page = bring(linked, "auth0|bob")
    check_question(page, "Continue with the new sign-in?")
    assert who(browser) == "auth0|alice"
    browser.open(press(browser, page).headers["Location"], site="same-origin")
    assert who(browser) == "auth0|bob"
    question = browser.open(LOGIN, site="cross-site")
    check_question(question, "You are signed in as bob@example.com")
    bring(press(browser, question).headers["Location"], "auth0|alice")
    assert who(browser) == "auth0|alice"


def test_response_while_signed_out(answering: Host) -> None:
    """A foreign flow of a visitor who is signed out asks nothing."""
    browser = answering.browser()
    sent = browser.open(f"{LOGIN}?return_to=/a", site="cross-site")
    done = browser.arrive(answering.tenant.sign_in(sent.headers["Location"]))
    assert done.headers["Location"] == "/a"


def test_own_flow_while_signed_in(answering: Host) -> None:
    """Flows that the application started replace each other without a question."""
    browser = answering.browser()
    sent = browser.open(LOGIN, site="same-origin")
    sign_in(browser)
    browser.arrive(answering.tenant.sign_in(sent.headers["Location"], "auth0|bob"))
    assert who(browser) == "auth0|bob"


def test_flow_that_a_foreign_link_takes_over(keeping: Host, browser: Browser) -> None:
    """A flow that the application started counts as foreign once a foreign link sends it."""
    assert browser.send("GET", "/pkce/challenge").status_code == 200
    page = follow_link_and_sign_in(browser, keeping)
    check_question(page, "Continue with the new sign-in?")


def test_default_tenant_with_its_own_callback(
    make_app: MakeApp, clock: Clock, signing_keys: SigningKeys
) -> None:
    """The browser goes on at the callback of the flow's tenant."""
    acme = LocalTenant(issuer="https://acme.example/", clock=clock, sends_iss=False)
    acme._provider.keys._keys = signing_keys._keys
    host = with_acme(make_app, acme, PKCE_DOMAIN=None, PKCE_CLIENT_ID=None)
    browser = host.browser()
    sent = browser.open(LOGIN, site="cross-site").headers["Location"]
    deliver(browser, acme.sign_in(browser.submit("/pkce/code").headers["Location"]))
    page = deliver(browser, acme.sign_in(sent, "auth0|bob"))
    check_question(page, "You are signed in as alice@example.com", "acme.example")
    confirmed = press(browser, page)
    assert urlsplit(confirmed.headers["Location"]).path == f"{CALLBACK}/acme"
    browser.open(confirmed.headers["Location"], site="same-origin")
    assert who(browser) == "auth0|bob"


def test_foreign_flows_give_way_first(keeping: Host, browser: Browser) -> None:
    """However many flows foreign links start, the application's own sign-in goes on."""
    own = browser.open(LOGIN, site="same-origin").headers["Location"]
    for _ in range(2 * MAX_FLOWS):
        browser.open(LOGIN, site="cross-site")
    browser.arrive(keeping.tenant.sign_in(own))
    assert who(browser) == "auth0|alice"


# -- another user than the one who is asked to authenticate again ----------------------


@pytest.mark.parametrize("asks", ["max_age=0", "acr_values=mfa"])
@pytest.mark.parametrize("site", ["same-origin", "cross-site"])
def test_another_user_authenticates(site: str, asks: str, make_app: MakeApp) -> None:
    """Where alice is asked again and bob authenticates, bob's tokens are revoked, unseen."""
    seen: list[str] = []
    pkce = PKCEBlueprint()
    pkce.after_token(lambda response: seen.append(response.claims["sub"]))
    scope = "openid profile email offline_access"
    host = make_app(blueprint=pkce, PKCE_TOKEN_DELIVERY="session", PKCE_SCOPE=scope)
    browser = host.browser()
    sign_in(browser)
    sent = browser.open(f"{LOGIN}?{asks}", site=site)
    sent = press(browser, sent) if site == "cross-site" else sent
    page = browser.arrive(host.tenant.sign_in(sent.headers["Location"], "auth0|bob"))
    check_page(page, "user-changed")
    assert (who(browser), seen, host.revocations) == ("auth0|alice", ["auth0|alice"], 1)
    again = browser.open(f"{LOGIN}?{asks}", site="same-origin")
    browser.arrive(host.tenant.sign_in(again.headers["Location"], "auth0|alice"))
    assert (who(browser), seen) == ("auth0|alice", ["auth0|alice"] * 2)


def test_other_flows_may_change_the_user(keeping: Host, browser: Browser) -> None:
    """A sign-in that asks for no fresh authentication changes the user, as the user wants."""
    sign_in(browser)
    sent = browser.open(f"{LOGIN}?login_hint=bob", site="same-origin")
    browser.arrive(keeping.tenant.sign_in(sent.headers["Location"], "auth0|bob"))
    assert who(browser) == "auth0|bob"


def test_first_sign_in_may_be_fresh(keeping: Host, browser: Browser) -> None:
    """Where no user is signed in, any user may answer a request for a fresh sign-in."""
    sent = browser.open(f"{LOGIN}?max_age=0", site="same-origin")
    browser.arrive(keeping.tenant.sign_in(sent.headers["Location"], "auth0|bob"))
    assert who(browser) == "auth0|bob"


def test_another_user_at_another_tenant(make_app: MakeApp, acme: LocalTenant) -> None:
    """The same subject at another issuer is another user."""
    host = with_acme(make_app, acme)
    browser = host.browser()
    sign_in(browser)
    sent = browser.open(f"{LOGIN}?domain=acme.example&max_age=0", site="same-origin")
    page = deliver(browser, acme.sign_in(sent.headers["Location"], "auth0|alice"))
    check_page(page, "user-changed")
    assert browser.send("GET", "/pkce/user").get_json()["iss"] == host.tenant.issuer


def test_delivery_caller(host: Host) -> None:
    """With delivery ``caller`` the same holds for ``POST /pkce/code`` and ``/pkce/token``."""
    browser = host.browser()
    _, url = browser.begin()
    browser.arrive(host.tenant.sign_in(url, "auth0|alice"))
    assert browser.token().status_code == 200
    _, url = browser.begin(ADDITIONAL_PARAMETERS={"max_age": "0"})
    browser.arrive(host.tenant.sign_in(url, "auth0|bob"))
    for _ in range(2):
        check_problem(browser.token(), "user-changed", error="user_changed")
    assert host.revocations == 1
    grant = host.session_of(browser).value.grant(now=host.clock())
    assert grant is not None
    assert grant.subject == "auth0|alice"


def test_user_who_is_signed_out_from_outside(keeping: Host, browser: Browser) -> None:
    """A sign-in that was ended from outside binds no later one to its user."""
    sign_in(browser)
    keeping.clock.advance(1)
    keeping.relying_party.sign_out.everywhere(keeping.tenant.issuer, "auth0|alice")
    keeping.clock.advance(1)
    sent = browser.open(f"{LOGIN}?max_age=0", site="same-origin")
    browser.arrive(keeping.tenant.sign_in(sent.headers["Location"], "auth0|bob"))
    assert who(browser) == "auth0|bob"
