"""Every way in which an answer of the tenant finds no flow, each through the routes.

Each has an error code of its own, a page that says what happened, and a log event with the code.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import TestResponse

from flask_pkce import errors
from flask_pkce.errors import catalogue
from flask_pkce.testing import LocalTenant
from flask_pkce.web.openapi.errors import errors_of
from tests.conftest import MakeApp
from tests.support import expected_elsewhere
from tests.web.host import (
    CALLBACK,
    NAVIGATION,
    Browser,
    CrossSitePost,
    Host,
    check_page,
    check_problem,
)
from tests.web.test_renewal import copy, refresh_of

OTHER_KEY = "the key of another worker, which is another"
HTML = {"Accept": "text/html"}
FROM_TENANT = {**NAVIGATION, "Sec-Fetch-Site": "cross-site"}

#: What brings an answer that finds no flow.
Way = Callable[[MakeApp], TestResponse]
WAYS: dict[str, tuple[str, Way]] = {}


def way(code: str) -> Callable[[Way], Way]:
    """Enter a way, with the code that it is told by."""

    def enter(function: Way) -> Way:
        WAYS[function.__name__.replace("_", " ")] = (code, function)
        return function

    return enter


def sent(host: Host) -> tuple[Browser, dict[str, str]]:
    """A browser that started a sign-in, and the answer of the tenant to it."""
    browser = host.browser()
    _, url = browser.begin()
    return browser, dict(host.tenant.sign_in(url).params)


def arrive(caller: Any, answer: dict[str, str], **options: Any) -> TestResponse:
    """Come with an answer in the address, as any caller."""
    headers = options.pop("headers", FROM_TENANT)
    where = f"{CALLBACK}?{urlencode(answer)}"
    response: TestResponse = caller.send("GET", where, headers=headers, **options)
    return response


# -- the cookie ------------------------------------------------------------------------


@way("cookies-blocked")
def cookies_are_blocked(make_app: MakeApp) -> TestResponse:
    _, answer = sent(host := make_app())
    return host.browser().arrive(answer)


@way("cookie-lost")
def another_cookie_alone(make_app: MakeApp) -> TestResponse:
    _, answer = sent(host := make_app())
    other = host.browser()
    other.client.set_cookie("theme", "dark")
    return other.arrive(answer)


@way("cookie-lost")
def second_tab_signed_out(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    browser.client.set_cookie("theme", "dark")
    browser.clear()
    return browser.arrive(answer)


@way("opened-elsewhere")
def link_opened_in_another_browser(make_app: MakeApp) -> TestResponse:
    _, answer = sent(host := make_app())
    return arrive(host.browser(), answer, headers={**NAVIGATION, "Sec-Fetch-Site": "none"})


@way("cookie-missing")
def script_without_credentials(make_app: MakeApp) -> TestResponse:
    _, answer = sent(host := make_app())
    return host.browser().respond(**answer)


@way("cookie-missing")
def program_without_cookies(make_app: MakeApp) -> TestResponse:
    _, answer = sent(host := make_app())
    return host.program().respond(**answer)


@way("cookie-of-other-port")
def started_at_another_port(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app(PKCE_PUBLIC_URL="http://localhost:5000"))
    other = make_app(PKCE_PUBLIC_URL="http://localhost:5001").browser()
    other.client.set_cookie("pkce-5000", browser.cookie)
    return other.arrive(answer)


@way("cookie-over-http")
def https_address_over_http(make_app: MakeApp) -> TestResponse:
    host = make_app(PKCE_PUBLIC_URL="https://app.example")
    _, answer = sent(host)
    return arrive(host.browser(), answer, base_url="http://app.example", headers=_old(HTML))


@way("cookie-over-http")
def proxy_says_http(make_app: MakeApp) -> TestResponse:
    host = make_app(PKCE_PUBLIC_URL="https://app.example")
    _, answer = sent(host)
    headers = {"X-Forwarded-Proto": "HTTP, https"}
    return host.program().send("POST", CALLBACK, data=answer, headers=headers)


def _old(headers: dict[str, str]) -> dict[str, str]:
    """As a browser sends them that tells nothing of where a request comes from."""
    return {**dict.fromkeys(("Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"), ""), **headers}


@way("cookie-forged")
def cookie_of_another_key(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    elsewhere, _ = sent(make_app(SECRET_KEY=OTHER_KEY))
    browser.client.set_cookie("pkce-80", elsewhere.cookie)
    return browser.arrive(answer)


@way("cookie-renewed")
def cookie_renewed_a_moment_ago(make_app: MakeApp) -> TestResponse:
    browser, first = sent(host := make_app())
    _, url = browser.begin()
    late = copy(browser)
    browser.arrive(first)
    again = refresh_of(late.arrive(host.tenant.sign_in(url)))
    return late.send("GET", again)


@way("cookie-outdated")
def cookie_renewed_long_ago(make_app: MakeApp) -> TestResponse:
    browser, first = sent(host := make_app())
    _, url = browser.begin()
    late = copy(browser)
    browser.arrive(first)
    host.clock.advance(10)
    return late.arrive(host.tenant.sign_in(url))


def _with_cookies(values: list[str]) -> dict[str, str]:
    return {**FROM_TENANT, "Cookie": "; ".join(f"pkce-80={value}" for value in values)}


@way("cookie-ambiguous")
def two_planted_cookies(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(host := make_app())
    attacker, _ = sent(host)
    headers = _with_cookies([attacker.cookie, browser.cookie])
    return arrive(host.program(), answer, headers=headers)


@way("cookie-ambiguous")
def flood_of_cookies(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(host := make_app())
    return arrive(host.program(), answer, headers=_with_cookies([browser.cookie] * 5))


# -- the session and the state -----------------------------------------------------------


@way("session-mismatch")
def another_browser_with_a_sign_in(make_app: MakeApp) -> TestResponse:
    _, answer = sent(host := make_app())
    other, _ = sent(host)
    return other.arrive(answer)


@way("session-mismatch")
def second_tab_signed_out_and_began_anew(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    browser.clear()
    browser.begin()
    return browser.arrive(answer)


@way("session-mismatch")
def answer_of_somebody_else_in_a_link(make_app: MakeApp) -> TestResponse:
    _, answer = sent(host := make_app(PKCE_RESPONSE_MODE="query"))
    victim, _ = sent(host)
    return arrive(victim, answer)


@way("session-over")
def session_is_over_and_the_answer_anothers(make_app: MakeApp) -> TestResponse:
    browser, _ = sent(host := make_app())
    host.clock.advance(601)
    _, answer = sent(host)
    return browser.arrive(answer)


@way("state-missing")
def started_at_the_tenant(make_app: MakeApp) -> TestResponse:
    return make_app().browser().deliver({"code": "c"})


@way("state-unknown")
def state_that_nobody_made(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    return browser.arrive({**answer, "state": "made-up"})


@way("state-forged")
def state_of_another_key(make_app: MakeApp) -> TestResponse:
    browser, _ = sent(make_app())
    _, answer = sent(make_app(SECRET_KEY=OTHER_KEY))
    return browser.arrive(answer)


@way("state-expired")
def page_left_open(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(host := make_app())
    host.clock.advance(601)
    return browser.arrive(answer)


@way("state-evicted")
def twenty_newer_sign_ins(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    for _ in range(20):
        browser.begin()
    return browser.arrive(answer)


@way("state-evicted")
def twenty_newer_sign_ins_of_an_older_session(make_app: MakeApp) -> TestResponse:
    browser, _ = sent(host := make_app())
    host.clock.advance(300)
    _, url = browser.begin()
    for _ in range(20):
        browser.begin()
    host.clock.advance(599)
    # Those from before are over, so that its list is not full any more.
    return browser.arrive(host.tenant.sign_in(url))


@way("state-cleared")
def cleared_while_the_cookie_was_on_its_way(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    late = copy(browser)
    browser.clear()
    return late.arrive(answer)


@way("state-cleared")
def restarted_store(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(host := make_app())
    for key in host.store.contents():
        host.store.delete(key)
    return browser.arrive(answer)


@way("state-cleared")
def store_that_dropped_the_flow_alone(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(host := make_app())
    host.store.delete(host.flow_of(browser, answer["state"]).key)
    return browser.arrive(answer)


@way("store-not-shared")
def session_in_the_memory_of_another_process(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    browser.host = elsewhere = make_app()
    browser.client.application = elsewhere.app
    return arrive(browser, answer, environ_overrides={"wsgi.multiprocess": True})


@way("store-not-shared")
def ticket_in_the_memory_of_another_process(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    kept = make_app().browser().deliver(answer)
    where = kept.headers["Location"]
    many = {"wsgi.multiprocess": True}
    response: TestResponse = browser.open(where, site="cross-site", environ_overrides=many)
    return response


@way("state-of-other-tenant")
def tenant_was_changed_meanwhile(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(host := make_app())
    held = host.flow_of(browser, answer["state"])
    changed = expected_elsewhere(held.value, "https://former.example/")
    assert host.relying_party.sessions.save(held, changed) is not None
    return browser.arrive(answer)


@way("signed-out-meanwhile")
def cleared_while_the_answer_was_bound(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(host := make_app())
    find = host.relying_party.sessions.flow

    def found_too_late(*args: Any) -> Any:
        found = find(*args)
        host.relying_party.sessions.take(args[0])
        return found

    host.relying_party.sessions.flow = found_too_late  # type: ignore[assignment, method-assign]
    return browser.arrive(answer)


# -- what arrives --------------------------------------------------------------------------


@way("answer-missing")
def callback_opened_by_hand(make_app: MakeApp) -> TestResponse:
    response: TestResponse = make_app().browser().open(CALLBACK)
    return response


@way("parameter-repeated")
def query_added_twice(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    query = urlencode([*answer.items()] * 2)
    response: TestResponse = browser.open(f"{CALLBACK}?{query}", site="cross-site")
    return response


@way("answer-issuer-mismatch")
def answer_of_another_tenant(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    return browser.arrive({**answer, "iss": "https://attacker.example/"})


@way("answer-issuer-missing")
def answer_without_the_issuer_that_is_announced(make_app: MakeApp) -> TestResponse:
    host = make_app()
    host.tenant._provider.sends_iss = True
    browser, answer = sent(host)
    del answer["iss"]
    return browser.arrive(answer)


@way("flow-code-differs")
def answer_with_another_code(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    browser.respond(**answer)
    return browser.respond(**{**answer, "code": "another"})


@way("ticket-spent")
def ticket_used_by_another_browser(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    kept = browser.deliver(answer)
    browser.host.browser().follow(kept)
    return browser.follow(kept)


@way("ticket-spent")
def ticket_too_old(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(host := make_app())
    kept = browser.deliver(answer)
    host.clock.advance(60)
    return browser.follow(kept)


@way("navigation-framed")
def callback_in_a_frame(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    return arrive(browser, answer, headers={**FROM_TENANT, "Sec-Fetch-Dest": "iframe"})


@way("navigation-required")
def callback_by_a_script_of_another_site(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    return arrive(browser, answer, headers={"Sec-Fetch-Site": "cross-site"})


@way("prefetch-refused")
def callback_prefetched(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    return arrive(browser, answer, headers={**FROM_TENANT, "Sec-Purpose": "prefetch"})


@way("method-not-allowed")
def callback_by_put(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app())
    return browser.send("PUT", CALLBACK, data=answer)


@way("host-unknown")
def host_that_is_not_ours(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app(PKCE_PUBLIC_URL="https://app.example"))
    return arrive(browser, answer, base_url="https://internal:8000")


@way("host-other-name")
def number_in_place_of_the_name(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(make_app(PKCE_PUBLIC_URL="http://localhost:5000"))
    return arrive(browser, answer, base_url="http://127.0.0.1:5000")


# -- the server ------------------------------------------------------------------------------


@way("record-of-other-key")
def ticket_kept_by_a_worker_with_another_key(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(host := make_app())
    worker = make_app(SECRET_KEY=OTHER_KEY, PKCE_STORE_URL=host.store)
    kept = browser.deliver(answer)
    return worker.browser().follow(kept)


def _spoiled(browser: Browser, answer: dict[str, str], spoil: Callable[[bytes], bytes]) -> Any:
    """What comes of a ticket whose record somebody changed."""
    store = browser.host.store
    kept = browser.deliver(answer)
    (key,) = (key for key in store.contents() if ":a:" in key)
    value = store.contents()[key]
    assert store.replace(key, value, spoil(value), 60)
    return browser.follow(kept)


@way("record-of-other-release")
def ticket_kept_by_another_release(make_app: MakeApp) -> TestResponse:
    response: TestResponse = _spoiled(*sent(make_app()), lambda value: b"\x02" + value[1:])
    return response


@way("record-unreadable")
def ticket_changed_in_the_store(make_app: MakeApp) -> TestResponse:
    response: TestResponse = _spoiled(
        *sent(make_app()), lambda value: value[:-1] + bytes([value[-1] ^ 1])
    )
    return response


@way("store-unavailable")
def store_is_down(make_app: MakeApp) -> TestResponse:
    browser, answer = sent(host := make_app())

    def down(*args: object) -> None:
        raise errors.StoreError()

    host.store.add = down  # type: ignore[assignment, method-assign]
    return browser.deliver(answer)


# -- what is said -------------------------------------------------------------------------------


@pytest.mark.parametrize(("code", "bring"), WAYS.values(), ids=WAYS)
def test_way(code: str, bring: Way, make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """Each is told by its own code, on the page and in the log, with what to do about it."""
    cls = next(cls for cls in catalogue() if cls.code == code)
    with caplog.at_level(logging.INFO, "flask_pkce"):
        response = bring(make_app)
    logged = [record for record in caplog.records if record.name == "flask_pkce"]
    failed = [record for record in logged if vars(record)["pkce_event"] == "request-failed"]
    assert vars(failed[-1])["pkce_error"] == code
    assert failed[-1].message.startswith(f"{code}: ")
    if response.content_type != "text/html; charset=utf-8":
        check_problem(response, code)
        return
    page = check_page(response, code)
    assert f"<h1>{cls.title}</h1>" in page.replace("&#39;", "'").replace("``", "`")
    assert ("Start again</button>" in page) is cls.restart


def test_every_way_has_a_code_of_its_own() -> None:
    """What the callback says of an answer that finds no flow is brought about above."""
    told = {
        cls
        for method in ("GET", "POST")
        for cls in errors_of("response_code", method, delivers_to_session=False)
    }
    ours = (errors.FlowError, errors.SessionMismatch, errors.NavigationRequired)
    further = {errors.AnswerMissing, errors.ParameterRepeated, errors.AnswerConflict}
    expected = {cls.code for cls in told if issubclass(cls, ours) or cls in further}
    assert expected <= {code for code, _ in WAYS.values()}
    assert len(expected) >= 29


@pytest.mark.parametrize(
    ("settings", "came", "leads_to"),
    [
        (
            {"PKCE_PUBLIC_URL": "http://localhost:5000"},
            "http://127.0.0.1:5000",
            "http://localhost",
        ),
        ({"PKCE_PUBLIC_URL": "https://app.example"}, "http://app.example", "https://app.example"),
    ],
)
def test_page_leads_to_where_it_works(
    settings: dict[str, str], came: str, leads_to: str, make_app: MakeApp
) -> None:
    """Where this address cannot work, the page leads to the one that does."""
    _, answer = sent(host := make_app(**settings))
    page = arrive(host.browser(), answer, base_url=came, headers=_old(HTML)).text
    assert f'<a href="{leads_to}' in page
    assert "<form" not in page


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"X-Forwarded-Proto": "https"}, "cookies-blocked"),
        ({"X-Forwarded-For": "203.0.113.9"}, "cookies-blocked"),
        ({**FROM_TENANT, "X-Forwarded-Proto": "http"}, "cookies-blocked"),
        ({"X-Forwarded-Proto": "http"}, "cookie-over-http"),
        ({}, "cookie-over-http"),
    ],
)
def test_scheme_is_not_guessed(headers: dict[str, str], code: str, make_app: MakeApp) -> None:
    """That a browser came over http is said only where nothing speaks against it."""
    _, answer = sent(host := make_app(PKCE_PUBLIC_URL="https://app.example"))
    response = arrive(
        host.browser(), answer, base_url="http://app.example", headers=_old({**HTML, **headers})
    )
    check_page(response, code)


def test_program_behind_a_proxy_that_says_nothing(make_app: MakeApp) -> None:
    """A program without cookies is not told that it came over http, unless a proxy says so."""
    _, answer = sent(host := make_app(PKCE_PUBLIC_URL="https://app.example"))
    response = host.program().send("POST", CALLBACK, data=answer, base_url="http://app.example")
    check_problem(response, "cookie-missing")


@pytest.mark.parametrize("code", ["ticket-spent", "store-not-shared"])
def test_spent_ticket_keeps_where_one_was_going(code: str, make_app: MakeApp) -> None:
    """Starting again leads where the newest sign-in of this browser was to lead."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    browser.submit("/pkce/code", {"return_to": "/account"})
    many = {"wsgi.multiprocess": code == "store-not-shared"}
    response = browser.open(f"{CALLBACK}?ticket=x", site="cross-site", environ_overrides=many)
    assert '<input type="hidden" name="return_to" value="/account">' in check_page(response, code)


@pytest.mark.parametrize("response_mode", ["form_post", "query"])
def test_other_issuer_keeps_where_one_was_going(
    response_mode: str, tenant: LocalTenant, make_app: MakeApp
) -> None:
    """So does one whose answer does not count, for all that it says."""
    host = make_app(PKCE_TOKEN_DELIVERY="session", PKCE_RESPONSE_MODE=response_mode)
    browser = host.browser()
    url = browser.submit("/pkce/code", {"return_to": "/account"}).headers["Location"]
    answer = {**tenant.sign_in(url).params, "iss": "https://attacker.example/"}
    response = arrive(browser, answer) if response_mode == "query" else browser.arrive(answer)
    page = check_page(response, "answer-issuer-mismatch")
    assert '<input type="hidden" name="return_to" value="/account">' in page


def test_nobody_learns_of_the_flows_of_others(make_app: MakeApp) -> None:
    """What another session hears of a flow is the same whether that exists, was evicted or was
    cleared.  How old a state is stands in it, and is told to everybody."""
    host = make_app()
    owner, answer = sent(host)
    other, _ = sent(host)
    heard = [other.arrive(answer).text]
    for _ in range(20):
        owner.begin()
    heard.append(other.arrive(answer).text)
    owner.clear()
    heard.append(other.arrive(answer).text)
    host.clock.advance(599)
    other.begin()
    host.clock.advance(10)
    check_page(other.arrive(answer), "state-expired")
    assert len({page.partition("</style>")[2] for page in heard}) == 1
    check_page(CrossSitePost(host).send("GET", f"{CALLBACK}?ticket=x"), "ticket-spent")
