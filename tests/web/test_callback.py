"""``/pkce/response/code``: an answer is kept under a ticket, and bound in its owner's browser."""

from __future__ import annotations

import dataclasses
import logging
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from flask import Flask, session
from werkzeug.test import TestResponse

from flask_pkce import PKCEBlueprint
from flask_pkce.errors import PKCEError
from flask_pkce.sessions.pending_callbacks import Ticket
from flask_pkce.tenant.cache import FAILED
from flask_pkce.testing import LocalTenant
from tests.conftest import MakeApp
from tests.support import arrived, at_once
from tests.web.host import CALLBACK, NAVIGATION, Browser, Host, check_page, check_problem

RESPONSE_MODES = ["form_post", "query"]


def ticket_of(response: TestResponse) -> str:
    """The ticket to which a 303 sends the browser."""
    assert response.status_code == 303, response.text
    return dict(parse_qsl(urlsplit(response.headers["Location"]).query))["ticket"]


def fetch(browser: Browser, ticket: str) -> TestResponse:
    """Go to the callback with a ticket."""
    response: TestResponse = browser.open(f"{CALLBACK}?ticket={ticket}", site="cross-site")
    return response


# -- form_post ---------------------------------------------------------------------------


def test_post_touches_nothing(host: Host, browser: Browser) -> None:
    """The cross-site POST keeps the answer and changes nothing else."""
    state, url = browser.begin()
    before = host.store.contents()
    response = browser.deliver(host.tenant.sign_in(url))
    after = host.store.contents()
    assert len(after) == len(before) + 1
    assert before.items() < after.items()
    assert "Set-Cookie" not in response.headers
    assert host.status_of(browser, state) == "sent"


@pytest.mark.requirement("BC-13", "T19")
def test_code_is_never_in_a_url(host: Host, browser: Browser) -> None:
    """The browser is sent on with the ticket alone, on the same path."""
    _, url = browser.begin()
    answer = host.tenant.sign_in(url)
    location = urlsplit(browser.deliver(answer).headers["Location"])
    assert (location.scheme, location.netloc, location.path) == ("", "", CALLBACK)
    assert list(dict(parse_qsl(location.query))) == ["ticket"]
    assert answer.params["code"] not in location.query
    assert answer.params["state"] not in location.query


@pytest.mark.requirement("ST-3", "T28")
def test_store_keeps_no_ticket(host: Host, browser: Browser) -> None:
    """Of the ticket only a hash is stored."""
    _, url = browser.begin()
    ticket = ticket_of(browser.deliver(host.tenant.sign_in(url)))
    assert len(ticket) == 43
    for key, value in host.store.contents().items():
        assert ticket not in key
        assert ticket.encode() not in value


@pytest.mark.requirement("FP-1", "FP-6")
def test_bound_with_ticket(host: Host, browser: Browser) -> None:
    """The ticket and the session together bind the answer; the page says that it is done."""
    state, url = browser.begin()
    answer = host.tenant.sign_in(url)
    response = browser.arrive(answer)
    assert "<h1>Signed in</h1>" in response.text
    flow = host.flow_of(browser, state).value
    assert flow.status == "bound"
    assert flow.code == answer.params["code"]


@pytest.mark.requirement("N53", "T34")
@pytest.mark.parametrize("delivery", ["caller", "session"])
@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
def test_pages_tell_no_secret(response_mode: str, delivery: str, make_app: MakeApp) -> None:
    """Neither page nor header of a sign-in that succeeds has a code, state, verifier or token."""
    host = make_app(
        PKCE_RESPONSE_MODE=response_mode,
        PKCE_TOKEN_DELIVERY=delivery,
        PKCE_SCOPE="openid profile email offline_access",
    )
    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    answer = host.tenant.sign_in(url)
    (flow,) = [held.value for held in host.relying_party.sessions.flows(host.session_of(browser))]
    pages = [kept := browser.deliver(answer)]

    def come_again() -> TestResponse:
        has_ticket = "ticket=" in kept.headers["Location"]
        return browser.follow(kept) if has_ticket else browser.deliver(answer)

    pages += [come_again(), come_again()]
    if delivery == "caller":
        pages.append(browser.open("/pkce/token", method="POST", site="same-origin"))
    pages.append(come_again())
    secrets = [answer.params["code"], flow.state, flow.nonce, flow.code_verifier or ""]
    secrets += [grant.refresh_token or "" for grant in host.session_of(browser).value.grants]
    assert all(secrets)
    assert len(secrets) == 5
    for page in pages:
        assert not [secret for secret in secrets if secret in f"{page.headers}{page.text}"]


@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
def test_goes_on_to_the_host(response_mode: str, make_app: MakeApp) -> None:
    """A browser ends at ``redirects.authenticated`` where there is one."""
    host = make_app(PKCE_AUTHENTICATED_URL="/welcome", PKCE_RESPONSE_MODE=response_mode)
    browser = host.browser()
    _, url = browser.begin()
    response = browser.arrive(host.tenant.sign_in(url))
    assert (response.status_code, response.headers["Location"]) == (303, "/welcome")


def test_goes_on_elsewhere(make_app: MakeApp) -> None:
    """Where the browser ends may be another address that the operator set."""
    host = make_app(PKCE_AUTHENTICATED_URL="https://spa.example/done")
    browser = host.browser()
    _, url = browser.begin()
    response = browser.arrive(host.tenant.sign_in(url))
    assert response.headers["Location"] == "https://spa.example/done"


@pytest.mark.requirement("HO-2")
def test_goes_on_below_the_prefix(make_app: MakeApp) -> None:
    """A path of this application gets the prefix under which users reach it."""
    host = make_app(PKCE_PUBLIC_URL="https://app.example/shop", PKCE_AUTHENTICATED_URL="/welcome")
    browser = host.browser()
    url = browser.code().get_json()["authorization_url"]
    assert "app.example%2Fshop%2Fpkce" in url
    answer = host.tenant.sign_in(url)
    kept = browser.send(
        "POST",
        CALLBACK,
        base_url="https://app.example",
        headers={**NAVIGATION, "Sec-Fetch-Site": "cross-site"},
        data=answer.params,
    )
    location = kept.headers["Location"]
    assert location.startswith("https://app.example/shop/pkce/response/code?ticket=")
    query = urlsplit(location).query
    response = browser.open(f"{CALLBACK}?{query}", base_url="https://app.example")
    assert response.headers["Location"] == "/shop/welcome"


@pytest.mark.requirement("FP-5")
def test_nothing_is_cached(host: Host, browser: Browser) -> None:
    """Whatever the callback answers, nobody may keep it."""
    state, url = browser.begin()
    kept = browser.deliver(host.tenant.sign_in(url))
    for response in (
        kept,
        browser.follow(kept),
        browser.deliver({"state": "s"}),
        browser.open(CALLBACK),
        browser.respond(state=state, code=host.flow_of(browser, state).value.code or ""),
        browser.respond(state="s"),
    ):
        assert response.headers["Cache-Control"] == "no-store, private"


@pytest.mark.requirement("BC-12")
def test_pages_load_nothing(keeping: Host, make_app: MakeApp) -> None:
    """The pages of the callback name no other site, and tell none where they were
    (RFC 9700 4.2.4)."""
    app = Flask("host")
    app.config["SESSION_COOKIE_SAMESITE"] = "Strict"
    strict = make_app(app=app).browser()
    browser = (host := make_app()).browser()
    waits = keeping.browser()
    answer = keeping.tenant.sign_in(waits.submit("/pkce/code").headers["Location"])
    kept = waits.deliver(answer)
    keeping.relying_party.sign_in.bind(
        keeping.flow_of(waits, answer.params["state"]), arrived(answer)
    )
    keeping.begin_redeeming(waits, answer.params["state"])
    for response, shown in (
        (browser.arrive(host.tenant.sign_in(browser.begin()[1])), "<h1>Signed in</h1>"),
        (strict.deliver({"state": "s", "code": "c"}), "Continue</a>"),
        (waits.follow(kept), "Reload now</a>"),
        (fetch(strict, "spent"), "Start again</button>"),
    ):
        assert shown in response.text
        assert "//" not in response.text
        assert not re.search(r"<(script|img|link|iframe|object)\b|\bsrc=|url\(", response.text)
        assert response.headers["Referrer-Policy"] == "no-referrer"


@pytest.mark.requirement("CK-8", "N36")
def test_ticket_is_good_once(host: Host, browser: Browser) -> None:
    """A ticket is taken once; reloading its page is harmless."""
    _, url = browser.begin()
    kept = browser.deliver(host.tenant.sign_in(url))
    pages = [browser.follow(kept).text for _ in range(3)]
    assert all("<h1>Signed in</h1>" in page for page in pages)
    assert host.relying_party.pending_callbacks.take(Ticket(ticket_of(kept))) is None


@pytest.mark.requirement(
    "BC-2", "BC-20", "N38", "N52", "AZ-19", "PK-8", "AV-2", "AV-3", "T1", "T2", "T32"
)
def test_ticket_of_another_browser(host: Host) -> None:
    """Whoever started the flow cannot fetch an answer that somebody else's browser delivered:
    the ticket is in that browser alone, and destroyed when it is used there."""
    attacker, victim = host.browser(), host.browser()
    state, url = attacker.begin()
    kept = victim.deliver(host.tenant.sign_in(url))
    check_page(victim.follow(kept), "cookies-blocked")
    check_page(attacker.follow(kept), "ticket-spent")
    assert host.status_of(attacker, state) == "sent"
    check_problem(attacker.token(), "authorization-pending")


@pytest.mark.requirement("CK-8")
def test_ticket_lives_a_minute(host: Host, browser: Browser) -> None:
    """After 60 seconds a ticket is no more; the flow can still be finished."""
    state, url = browser.begin()
    kept = browser.deliver(host.tenant.sign_in(url))
    host.clock.advance(60)
    page = check_page(browser.follow(kept), "ticket-spent")
    assert '<form method="post" action="/pkce/code">' in page
    assert host.status_of(browser, state) == "sent"
    assert "Signed in" in browser.arrive(host.tenant.sign_in(url)).text


@pytest.mark.parametrize("seconds", [0, 59])
def test_back_within_a_minute(seconds: int, host: Host, browser: Browser) -> None:
    """Reloading and going back are harmless within the minute after."""
    _, url = browser.begin()
    kept = browser.deliver(host.tenant.sign_in(url))
    browser.follow(kept)
    host.clock.advance(seconds)
    assert "Signed in" in browser.follow(kept).text


def test_back_after_a_minute(host: Host, browser: Browser) -> None:
    """Later the page tells the reason, unless the session is signed in."""
    _, url = browser.begin()
    kept = browser.deliver(host.tenant.sign_in(url))
    browser.follow(kept)
    host.clock.advance(61)
    check_page(browser.follow(kept), "ticket-spent")
    browser.token()
    assert "Signed in" in browser.follow(kept).text
    host.clock.advance(86400)
    check_page(browser.follow(kept), "ticket-spent")


def test_two_tabs(host: Host, browser: Browser) -> None:
    """Two sign-ins of one browser at once are finished in either order."""
    flows = [browser.begin() for _ in range(2)]
    answers = [host.tenant.sign_in(url) for _, url in flows]
    for number in (1, 0):
        assert "Signed in" in browser.arrive(answers[number]).text
    assert [host.status_of(browser, state) for state, _ in flows] == ["bound", "bound"]


def test_newest_of_two_in_the_last_minute(make_app: MakeApp) -> None:
    """A spent ticket leads on as the answer did that was bound last."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    for path in ("/one", "/two"):
        url = browser.submit("/pkce/code", {"return_to": path}).headers["Location"]
        kept = browser.deliver(host.tenant.sign_in(url))
        browser.follow(kept)
        host.clock.advance(1)
    assert browser.follow(kept).headers["Location"] == "/two"


@pytest.mark.parametrize("ticket", ["", "x", "A" * 43, "%00", "%C3%A9"])
def test_unknown_ticket(ticket: str, host: Host, browser: Browser) -> None:
    """A ticket that never was is a page with the reason."""
    check_page(fetch(browser, ticket), "ticket-spent")


@pytest.mark.requirement("ST-2", "T9")
def test_flood_of_answers(host: Host) -> None:
    """Posts of others push out the oldest answers that wait, and lock no browser out."""
    host.relying_party.pending_callbacks._limit = 3
    flood, browser = {"state": "some", "code": "some"}, host.browser()
    _, url = browser.begin()
    answer = host.tenant.sign_in(url)
    for _ in range(10):
        assert host.browser().deliver(flood).status_code == 303
    posted = browser.deliver(answer)
    for _ in range(2):
        host.browser().deliver(flood)
    assert "Signed in" in browser.follow(posted).text
    posted = browser.deliver(answer)
    for _ in range(3):
        host.browser().deliver(flood)
    # The fourth pushed it out: the browser is signed in all the same.
    assert "Signed in" in browser.follow(posted).text
    waiting = [key for key in host.store.contents() if ":a:" in key]
    assert len(waiting) == 3


@pytest.mark.requirement("ST-2", "T9")
@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize(
    ("delivery", "kind", "code"),
    [
        ("caller", "forged", "state-forged"),
        ("caller", "expired", "state-expired"),
        ("caller", "foreign", None),
        ("session", "forged", "state-forged"),
        ("session", "expired", "state-expired"),
        ("session", "foreign", "state-unknown"),
    ],
)
def test_state_that_no_flow_can_have(
    make_app: MakeApp, method: str, delivery: str, kind: str, code: str | None
) -> None:
    """It is refused before anything is stored; a caller may have a state of its own making."""
    host = make_app(PKCE_TOKEN_DELIVERY=delivery, SESSION_COOKIE_SAMESITE="Strict")
    browser = host.browser()
    sent = browser.code().get_json()["authorization_url"]
    state = dict(parse_qsl(urlsplit(sent).query))["state"]
    if kind == "expired":
        host.clock.advance(600)
    elif kind == "forged":
        state = f"{state[:-5]}AAAAA"
    elif kind == "foreign":
        state = "my-own"
    before = host.store.contents()
    if method == "POST":
        answer = browser.deliver({"state": state, "code": "c"})
    else:
        query = urlencode({"state": state, "code": "c"})
        answer = browser.open(f"{CALLBACK}?{query}", site="cross-site")
    if code is None:
        assert "continue" in answer.text.lower()
        assert len(host.store.contents()) == len(before) + 1
    else:
        check_page(answer, code)
        assert host.store.contents() == before
        assert "Set-Cookie" not in answer.headers


# -- the host's own session ----------------------------------------------------------------


@pytest.mark.requirement("CK-13", "N95", "T33")
@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
def test_host_session_is_untouched(response_mode: str, make_app: MakeApp) -> None:
    """``flask.session`` is neither read nor written, and its cookie not set by the callback."""
    app = Flask("host")

    @app.get("/visit")
    def visit() -> str:
        session["visits"] = session.get("visits", 0) + 1
        return str(session["visits"])

    host = make_app(app=app, PKCE_RESPONSE_MODE=response_mode)
    browser = host.browser()
    browser.client.get("/visit")
    cookie = browser.cookies["session"]
    _, url = browser.begin()
    delivered = browser.deliver(host.tenant.sign_in(url))
    fetched = browser.follow(delivered)
    for response in (delivered, fetched, browser.token(), browser.clear()):
        lines = response.headers.getlist("Set-Cookie")
        assert not any(line.startswith("session=") for line in lines)
    assert browser.cookies["session"] == cookie
    assert browser.client.get("/visit").text == "2"


@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
def test_strict_cookies(response_mode: str, make_app: MakeApp) -> None:
    """Where the host's cookies are Strict a page of ours goes on in place of the 303."""
    app = Flask("host")
    app.config["SESSION_COOKIE_SAMESITE"] = "Strict"
    host = make_app(app=app, PKCE_RESPONSE_MODE=response_mode, PKCE_AUTHENTICATED_URL="/in")
    browser = host.browser()
    state, url = browser.begin()
    page = browser.deliver(host.tenant.sign_in(url))
    assert page.status_code == 200
    assert "Location" not in page.headers
    seconds, _, location = page.headers["Refresh"].partition("; url=")
    assert seconds == "0"
    assert location.startswith(f"{CALLBACK}?ticket=")
    assert f'<a href="{location}">' in page.text
    assert host.status_of(browser, state) == "sent"
    response = browser.open(location, site="same-origin")
    assert (response.status_code, response.headers["Location"]) == (303, "/in")
    assert host.status_of(browser, state) == "bound"


# -- query -----------------------------------------------------------------------------------


@pytest.mark.requirement("BC-13", "FP-9", "T19")
def test_query_ends_at_a_clean_url(make_app: MakeApp) -> None:
    """A GET with ``code`` binds at once, and the browser goes on to an address without it."""
    host = make_app(PKCE_RESPONSE_MODE="query")
    browser = host.browser()
    state, url = browser.begin()
    answer = host.tenant.sign_in(url)
    assert answer.method == "GET"
    response = browser.deliver(answer)
    assert host.status_of(browser, state) == "bound"
    assert list(dict(parse_qsl(urlsplit(response.headers["Location"]).query))) == ["ticket"]
    assert "Signed in" in browser.follow(response).text


@pytest.mark.parametrize(
    ("settings", "end"),
    [
        pytest.param({"PKCE_TOKEN_DELIVERY": "session"}, "/", id="session"),
        pytest.param({"PKCE_AUTHENTICATED_URL": "/welcome"}, "/welcome", id="caller"),
    ],
)
def test_query_goes_on_at_once(settings: dict[str, str], end: str, make_app: MakeApp) -> None:
    """Where no page of ours is to be shown, that address is the end of the sign-in already."""
    host = make_app(PKCE_RESPONSE_MODE="query", **settings)
    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    answer = host.tenant.sign_in(url)
    assert [browser.deliver(answer).headers["Location"] for _ in range(2)] == [end, end]
    assert host.token_requests == (end == "/")


def test_query_shows_no_page_beside_the_code(make_app: MakeApp) -> None:
    """A tenant that cannot be reached is told at the clean address; reloading that tries again."""
    host = make_app(PKCE_RESPONSE_MODE="query", PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    url = browser.submit("/pkce/code", {"return_to": "/account"}).headers["Location"]
    answer = host.tenant.sign_in(url)
    host.tenant.faults.add("unreachable")
    kept = browser.deliver(answer)
    assert list(dict(parse_qsl(urlsplit(kept.headers["Location"]).query))) == ["ticket"]
    check_page(browser.follow(kept), "tenant-unreachable")
    host.tenant.faults.clear()
    host.clock.advance(FAILED)
    assert browser.follow(kept).headers["Location"] == "/account"
    assert host.token_requests == 1


@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
@pytest.mark.parametrize("delivery", ["caller", "session"])
def test_failed_flow_stays_failed(response_mode: str, delivery: str, make_app: MakeApp) -> None:
    """Whoever cancelled and comes again, or makes up a code, is not sent on as if signed in."""
    host = make_app(
        PKCE_RESPONSE_MODE=response_mode,
        PKCE_TOKEN_DELIVERY=delivery,
        PKCE_AUTHENTICATED_URL="/welcome",
    )
    browser = host.browser()
    answer = host.tenant.sign_in(browser.submit("/pkce/code").headers["Location"], cancel=True)
    for params in (answer.params, answer.params, {**answer.params, "code": "a-code"}):
        page = browser.arrive(dataclasses.replace(answer, params=params))
        check_page(page, "access-denied", status=page.status_code)
        assert page.status_code in {400, 403}


def test_query_tells_once(make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """What went wrong is told with its own status; the tenant is not asked again for that."""
    pkce = PKCEBlueprint()
    seen: list[PKCEError] = []
    pkce.on_error(seen.append)
    host = make_app(blueprint=pkce, PKCE_RESPONSE_MODE="query", PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    url = browser.submit("/pkce/code", {"return_to": "/account"}).headers["Location"]
    host.tenant.faults.add("token-429")
    response = browser.follow(browser.deliver(host.tenant.sign_in(url)))
    assert 'value="/account"' in check_page(response, "tenant-limit", status=429)
    assert response.headers["Retry-After"] == "7"
    assert host.token_requests == 1
    assert [exc.code for exc in seen] == ["tenant-limit"]
    assert len([each for each in caplog.records if each.name == "flask_pkce"]) == 1


def test_query_while_redeeming(make_app: MakeApp) -> None:
    """The page that waits for another request refreshes itself at the clean address."""
    host = make_app(PKCE_RESPONSE_MODE="query", PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    answer = host.tenant.sign_in(url)
    held = host.flow_of(browser, answer.params["state"])
    host.relying_party.sign_in.bind(held, arrived(answer))
    host.begin_redeeming(browser, answer.params["state"])
    kept = browser.deliver(answer)
    assert list(dict(parse_qsl(urlsplit(kept.headers["Location"]).query))) == ["ticket"]
    assert browser.follow(kept).headers["Refresh"] == "1"
    assert host.token_requests == 0


def test_tenant_that_ignores_form_post(host: Host, browser: Browser) -> None:
    """An answer in the query is taken also where form_post was asked for."""
    state, url = browser.begin()
    answer = host.tenant.sign_in(url)
    query = urlencode(answer.params)
    browser.follow(browser.open(f"{CALLBACK}?{query}", site="cross-site"))
    assert host.status_of(browser, state) == "bound"


@pytest.mark.requirement("N36")
def test_query_again(make_app: MakeApp) -> None:
    """Going back to the address with the code is harmless."""
    host = make_app(PKCE_RESPONSE_MODE="query")
    browser = host.browser()
    _, url = browser.begin()
    answer = host.tenant.sign_in(url)
    for _ in range(2):
        assert "Signed in" in browser.arrive(answer).text
    browser.token()
    assert "Signed in" in browser.arrive(answer).text


# -- errors of the tenant ----------------------------------------------------------------------


@pytest.mark.requirement("access_denied", "FP-4")
@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
def test_cancel(response_mode: str, make_app: MakeApp) -> None:
    """The tenant's error is the answer: told on a page, at a clean address, and by the API."""
    host = make_app(PKCE_RESPONSE_MODE=response_mode)
    browser = host.browser()
    state, url = browser.begin()
    page = check_page(browser.arrive(host.tenant.sign_in(url, cancel=True)), "access-denied")
    assert "Start again" in page
    assert host.status_of(browser, state) == "failed"
    check_problem(browser.code(state=state), "access-denied")
    check_problem(browser.token(), "access-denied")


@pytest.mark.requirement(
    "login_required",
    "account_selection_required",
    "access_denied",
    "mfa_required",
    "FP-4",
    "NA-7",
    "N29",
    "AZ-6",
)
@pytest.mark.parametrize(
    ("error", "code"),
    [
        ("access_denied", "access-denied"),
        ("login_required", "login-required"),
        ("consent_required", "consent-required"),
        ("interaction_required", "interaction-required"),
        ("account_selection_required", "account-selection-required"),
        ("mfa_required", "mfa-required"),
    ],
)
def test_errors_of_their_own(error: str, code: str, host: Host, browser: Browser) -> None:
    """Errors that a person would treat differently are told apart."""
    state, _ = browser.begin()
    check_problem(browser.respond(state=state, error=error), code)


@pytest.mark.requirement("unauthorized", "invalid_request", "unauthorized_client")
@pytest.mark.parametrize(
    "error",
    [
        pytest.param("unauthorized", marks=pytest.mark.requirement("unauthorized")),
        pytest.param("invalid_request", marks=pytest.mark.requirement("invalid_request")),
        *(
            pytest.param(error, marks=pytest.mark.requirement("unauthorized_client"))
            for error in (
                "unauthorized_client",
                "unsupported_response_type",
                "invalid_scope",
                "server_error",
                "temporarily_unavailable",
            )
        ),
    ],
)
@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
def test_errors_of_auth0(error: str, response_mode: str, make_app: MakeApp) -> None:
    """An error that a person cannot treat differently keeps the tenant's word, ends the flow, and
    is shown on a page with a way on."""
    host = make_app(PKCE_RESPONSE_MODE=response_mode)
    browser = host.browser()
    state, _ = browser.begin()
    answer = {"state": state, "error": error, "error_description": "user is blocked"}
    if response_mode == "query":
        response = browser.open(f"{CALLBACK}?{urlencode(answer)}", site="cross-site")
        page = check_page(browser.follow(response), "tenant-refused", status=400)
    else:
        page = check_page(browser.arrive(answer), "tenant-refused", status=400)
    assert "user is blocked" in page
    assert "Start again" in page
    for heard in (browser.code(state=state), browser.token()):
        check_problem(heard, "tenant-refused", error=error, status=400)
    assert host.status_of(browser, state) == "failed"
    assert host.token_requests == 0


@pytest.mark.requirement("N29")
@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
def test_login_required(response_mode: str, make_app: MakeApp) -> None:
    """Where ``prompt=none`` needs somebody to sign in, the flow failed and says so."""
    host = make_app(PKCE_RESPONSE_MODE=response_mode)
    browser = host.browser()
    state, url = browser.begin(prompt="none")
    answer = host.tenant.sign_in(url)
    assert answer.params["error"] == "login_required"
    check_page(browser.arrive(answer), "login-required")
    assert host.status_of(browser, state) == "failed"
    check_problem(browser.token(), "login-required", status=400)
    assert host.token_requests == 0


@pytest.mark.requirement("N33", "AZ-6")
def test_other_error(host: Host, browser: Browser) -> None:
    """Any other error of the tenant is told by the tenant's own word."""
    state, _ = browser.begin()
    response = browser.respond(state=state, error="my_error", error_description="so\nit is")
    members = check_problem(response, "tenant-refused", error="my_error")
    assert "(The tenant says: so it is)" in members["detail"]


@pytest.mark.requirement("access_denied", "HX-7", "N28", "AZ-6", "T17")
def test_description_is_escaped(host: Host, browser: Browser) -> None:
    """What a stranger wrote is text on our page, never HTML."""
    state, _ = browser.begin()
    text = "<script>alert(1)</script>"
    answer = {"state": state, "error": "access_denied", "error_description": text}
    page = check_page(browser.arrive(answer), "access-denied")
    assert "<script>" not in page
    assert "&lt;script&gt;" in page


@pytest.mark.requirement("LG-2", "N31", "T18")
def test_description_in_the_log(
    host: Host, browser: Browser, caplog: pytest.LogCaptureFixture
) -> None:
    """In the log it is part of one short line, without controls."""
    state, _ = browser.begin()
    text = "so\r\nERROR:root:forged \x1b[31m" + "x" * 4096
    answer = {"state": state, "error": "access_denied", "error_description": text}
    with caplog.at_level(logging.INFO, "flask_pkce"):
        browser.arrive(answer)
    (line,) = [record.message for record in caplog.records if "access-denied" in record.message]
    assert "so ERROR:root:forged [31mxxx" in line
    assert line.isprintable()
    assert len(line) <= len("access-denied: ") + 256


@pytest.mark.requirement("N30", "AZ-7")
def test_code_and_error(host: Host, browser: Browser) -> None:
    """An answer with both a code and an error is an error; the code goes nowhere."""
    state, url = browser.begin()
    code = host.tenant.sign_in(url).params["code"]
    response = browser.respond(state=state, code=code, error="access_denied")
    check_problem(response, "access-denied")
    assert host.status_of(browser, state) == "failed"
    check_problem(browser.token(), "access-denied")
    assert host.token_requests == 0


# -- iss (RFC 9207) ----------------------------------------------------------------------------


@pytest.fixture
def announcing(tenant: LocalTenant) -> LocalTenant:
    """A tenant that says in each answer which issuer it is."""
    tenant._provider.sends_iss = True
    return tenant


@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
def test_iss_fits(response_mode: str, announcing: LocalTenant, make_app: MakeApp) -> None:
    """An answer with the right ``iss`` is bound."""
    host = make_app(PKCE_RESPONSE_MODE=response_mode)
    browser = host.browser()
    _, url = browser.begin()
    answer = host.tenant.sign_in(url)
    assert answer.params["iss"] == host.tenant.issuer
    assert "Signed in" in browser.arrive(answer).text


@pytest.mark.requirement("IS-1", "IS-2", "IS-4", "N48", "N49", "N51", "AV-3", "T4")
@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
@pytest.mark.parametrize("answered", [{"code": "a-code"}, {"error": "access_denied"}])
@pytest.mark.parametrize("iss", ["https://attacker.example/", "https://tenant.example", None])
def test_iss_does_not_fit(
    iss: str | None,
    answered: dict[str, str],
    response_mode: str,
    announcing: LocalTenant,
    make_app: MakeApp,
) -> None:
    """Another issuer, or none where one is announced, changes nothing, on errors too."""
    host = make_app(PKCE_RESPONSE_MODE=response_mode)
    browser = host.browser()
    state, _ = browser.begin()
    params = {"state": state, **answered, **({"iss": iss} if iss else {})}
    if response_mode == "query":
        response = browser.open(f"{CALLBACK}?{urlencode(params)}", site="cross-site")
    else:
        response = browser.arrive(params)
    check_page(response, f"answer-issuer-{'mismatch' if iss else 'missing'}")
    assert host.status_of(browser, state) == "sent"


@pytest.mark.requirement("IS-3", "N48")
def test_iss_of_a_tenant_that_announces_none(host: Host, browser: Browser) -> None:
    """An ``iss`` that nobody announced must fit all the same."""
    state, _ = browser.begin()
    answer = {"state": state, "code": "a-code"}
    check_page(
        browser.arrive({**answer, "iss": "https://attacker.example/"}), "answer-issuer-mismatch"
    )
    assert "Signed in" in browser.arrive({**answer, "iss": host.tenant.issuer}).text


@pytest.mark.requirement("IS-2")
def test_program_passes_on_without_iss(announcing: LocalTenant, make_app: MakeApp) -> None:
    """The published API has no member for ``iss``: a program's answer need not have it, and one
    that it has must fit."""
    host = make_app(PKCE_LOCAL_SESSION=True)
    program = host.program()
    state, _ = program.begin()
    response = program.respond(state=state, code="a-code", iss="https://attacker.example/")
    check_problem(response, "answer-issuer-mismatch")
    assert program.respond(state=state, code="a-code").status_code == 200


# -- JSON callers --------------------------------------------------------------------------------


@pytest.mark.requirement("FP-6")
@pytest.mark.parametrize("is_local", [False, True])
def test_json_caller(is_local: bool, make_app: MakeApp) -> None:
    """A JSON caller is bound directly, and gets the model."""
    host = make_app(PKCE_LOCAL_SESSION=is_local)
    caller = host.program() if is_local else host.browser()
    state, url = caller.begin()
    code = host.tenant.sign_in(url).params["code"]
    response = caller.respond(state=state, code=code)
    assert response.get_json() == {"result": {"code": code, "state": state}}
    assert response.content_type == "application/json"


@pytest.mark.parametrize(
    ("sent", "echoed"),
    [
        (
            '{"migration": 0, "semantic": "MAJOR_0"}',
            {"migration": 0, "semantic": "MAJOR_0"},
        ),
        # What the published clients send.
        ("migration=0 semantic=<EmbeddedModelSchemaSemanticVersionEnum.MAJOR_0>", None),
        ("{'migration': 0, 'semantic': 'MAJOR_0'}", None),
        ("", None),
        ("nonsense \x7f", None),
        ('{"migration": 0}', None),
        ("[1]", None),
    ],
)
def test_schema(sent: str, echoed: Any, host: Host, browser: Browser) -> None:
    """A schema is echoed if it is one; what clients send in its place is never refused."""
    state, _ = browser.begin()
    response = browser.respond(state=state, code="c", schema=sent)
    assert response.get_json()["result"].get("schema") == echoed


def test_schema_of_the_flow(host: Host, browser: Browser) -> None:
    """Without one in the form it is the schema of the request that sent the flow."""
    schema = {"migration": 3, "semantic": "MAJOR_0"}
    state, _ = browser.begin(schema=schema)
    response = browser.respond(state=state, code="c")
    assert response.get_json()["result"]["schema"] == schema


@pytest.mark.requirement("BC-3")
def test_first_bound_answer_wins(host: Host, browser: Browser) -> None:
    """The first bound answer wins, also against an error that comes later."""
    state, _ = browser.begin()
    browser.respond(state=state, code="first")
    check_problem(browser.respond(state=state, code="second"), "flow-code-differs")
    check_problem(browser.respond(state=state, error="access_denied"), "flow-code-differs")
    assert host.flow_of(browser, state).value.code == "first"


def test_delivery_session_takes_no_codes(make_app: MakeApp) -> None:
    """With delivery ``session`` a code comes only with the browser that brings it."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    url = browser.code().get_json()["authorization_url"]
    answer = host.tenant.sign_in(url)
    check_problem(browser.respond(**answer.params), "delivery-refused", field="code")


@pytest.mark.requirement("N40")
def test_forged_cookie(host: Host, browser: Browser) -> None:
    """A cookie of another key is told as such: do all workers share SECRET_KEY?"""
    state, url = browser.begin()
    answer = host.tenant.sign_in(url)
    browser.client.set_cookie("pkce-80", f"{'A' * 32}.{'A' * 43}")
    page = check_page(browser.arrive(answer), "cookie-forged")
    assert "SECRET_KEY" in page
    members = check_problem(browser.respond(state=state, code="c"), "cookie-forged")
    assert "SECRET_KEY" in members["hint"]


# -- delivery session ---------------------------------------------------------------------------


@pytest.fixture
def keeping(make_app: MakeApp) -> Host:
    """A host that keeps tokens on the server."""
    return make_app(
        PKCE_TOKEN_DELIVERY="session", PKCE_SCOPE="openid profile email offline_access"
    )


@pytest.mark.requirement("BC-14", "CK-11")
@pytest.mark.parametrize("response_mode", RESPONSE_MODES)
def test_exchange_by_the_callback(response_mode: str, make_app: MakeApp) -> None:
    """The callback's GET exchanges the code itself, renews the pointer, and goes on."""
    host = make_app(PKCE_TOKEN_DELIVERY="session", PKCE_RESPONSE_MODE=response_mode)
    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    old = browser.cookie
    response = browser.arrive(host.tenant.sign_in(url))
    assert (response.status_code, response.headers["Location"]) == (303, "/")
    assert host.token_requests == 1
    assert browser.cookie != old
    assert browser.send("GET", "/pkce/user").get_json()["sub"] == "auth0|alice"


@pytest.mark.requirement("N36", "AZ-9", "T7")
def test_exchange_once(keeping: Host) -> None:
    """Reloading the callback exchanges nothing again, and ends where the first did."""
    browser = keeping.browser()
    url = browser.submit("/pkce/code", {"return_to": "/account"}).headers["Location"]
    kept = browser.deliver(keeping.tenant.sign_in(url))
    pages = [browser.follow(kept) for _ in range(3)]
    assert [page.headers["Location"] for page in pages] == ["/account"] * 3
    assert keeping.token_requests == 1


@pytest.mark.requirement("N37", "T7")
def test_hundred_at_once(keeping: Host) -> None:
    """However often an answer comes at the same moment, its code is exchanged once."""
    browser = keeping.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    answer = keeping.tenant.sign_in(url)
    keeping.relying_party.tenants.default.keys()
    cookie = browser.cookie
    copies = [keeping.browser() for _ in range(100)]
    for copy in copies:
        copy.client.set_cookie("pkce-80", cookie)
    responses = at_once(lambda number: copies[number].arrive(answer), len(copies))
    assert not [response for response in responses if isinstance(response, Exception)]
    assert keeping.token_requests == 1
    (winner,) = (copy for copy in copies if copy.cookie != cookie)
    assert winner.send("GET", "/pkce/user").get_json()["sub"] == "auth0|alice"


@pytest.mark.requirement("N70a")
def test_nonce_that_the_user_changed(keeping: Host) -> None:
    """With a nonce of its own the server takes no ID token that has the state for one."""
    browser = keeping.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    sent = dict(parse_qsl(urlsplit(url).query))
    assert sent["nonce"] != sent["state"]
    changed = url.replace(urlencode({"nonce": sent["nonce"]}), f"nonce={sent['state']}")
    check_page(browser.arrive(keeping.tenant.sign_in(changed)), "id-token-invalid")
    check_problem(browser.send("GET", "/pkce/user"), "not-signed-in")
    assert (keeping.token_requests, keeping.revocations) == (1, 1)


def test_unreachable_tenant(keeping: Host) -> None:
    """A tenant that cannot be reached is told on a page; reloading it tries again."""
    browser = keeping.browser()
    url = browser.submit("/pkce/code", {"return_to": "/account"}).headers["Location"]
    kept = browser.deliver(keeping.tenant.sign_in(url))
    keeping.tenant.faults.add("unreachable")
    check_page(browser.follow(kept), "tenant-unreachable")
    keeping.tenant.faults.clear()
    keeping.clock.advance(FAILED)
    assert browser.follow(kept).headers["Location"] == "/account"
    assert keeping.token_requests == 1


def test_failure_page_starts_again_where_one_was_going(keeping: Host) -> None:
    """Starting again from the page of an error leads where the first sign-in was to lead."""
    browser = keeping.browser()
    url = browser.submit("/pkce/code", {"return_to": "/account"}).headers["Location"]
    page = check_page(browser.arrive(keeping.tenant.sign_in(url, cancel=True)), "access-denied")
    assert '<input type="hidden" name="return_to" value="/account">' in page


@pytest.mark.parametrize("signs_in", [True, False])
def test_overtaken_by_another_tab(signs_in: bool, keeping: Host) -> None:
    """Two tabs that redeem at the same moment: the second goes on, and stores no tokens."""
    browser = keeping.browser()
    urls = [browser.submit("/pkce/code").headers["Location"] for _ in range(2)]
    answers = [keeping.tenant.sign_in(url) for url in urls]
    kept = [browser.deliver(answer) for answer in answers]

    def meanwhile() -> None:
        # The other tab comes with the cookie that the first one's answer will set.
        session = keeping.relying_party.sessions.at(
            keeping.relying_party.signing.read_pointer(browser.cookie)
        )
        assert session is not None
        _, pointer = keeping.relying_party.sessions.renew(session)
        assert pointer is not None
        browser.client.set_cookie("pkce-80", keeping.relying_party.signing.sign_pointer(pointer))
        if signs_in:
            assert browser.follow(kept[1]).status_code == 303

    keeping.while_tokens_are_made(meanwhile)
    assert browser.follow(kept[0]).headers["Location"] == "/"
    assert keeping.revocations == 1
    grants = keeping.session_of(browser).value.grants
    assert len(grants) == signs_in


@pytest.mark.parametrize("when", ["before", "meanwhile"])
def test_callback_while_redeeming(when: str, keeping: Host) -> None:
    """While another request redeems the code the page refreshes itself: no second exchange."""
    browser = keeping.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    answer = keeping.tenant.sign_in(url)
    state = answer.params["state"]
    kept = browser.deliver(answer)
    if when == "before":
        held = keeping.flow_of(browser, state)
        keeping.relying_party.sign_in.bind(held, arrived(answer))
        keeping.begin_redeeming(browser, state)
    else:
        prepare = keeping.relying_party.tenants.default.keys

        def overtaken() -> Any:
            keeping.begin_redeeming(browser, state)
            return prepare()

        keeping.relying_party.tenants.default.keys = overtaken  # type: ignore[method-assign]
    response = browser.follow(kept)
    assert response.headers["Refresh"] == "1"
    assert keeping.token_requests == 0


@pytest.mark.requirement("N95", "CK-13")
def test_strict_session_of_the_host_by_query(make_app: MakeApp) -> None:
    """A GET that came without the host's Strict cookies does not overwrite its session."""
    app = Flask("host")
    app.config["SESSION_COOKIE_SAMESITE"] = "Strict"

    @app.before_request
    def touch() -> None:
        session.setdefault("cart", "empty")

    host = make_app(app=app, PKCE_RESPONSE_MODE="query")
    browser = host.browser()
    _, url = browser.begin()
    browser.client.delete_cookie("session")
    response = browser.deliver(host.tenant.sign_in(url))
    assert "Set-Cookie" not in response.headers
