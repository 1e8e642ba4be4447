"""What stands on every answer: each route, each status, as JSON and as a page."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest
from flask import Response, template_rendered
from werkzeug.test import TestResponse

from flask_pkce import errors, web
from flask_pkce.web.responses import see_other
from tests.conftest import MakeApp
from tests.support import arrived
from tests.web.host import CALLBACK, HEADERS, PAGE, Browser, CrossSitePost, Host
from tests.web.prepared import Prepared

CHALLENGE, CODE, TOKEN = (
    ("GET", "/pkce/challenge"),
    ("POST", "/pkce/code"),
    ("POST", "/pkce/token"),
)
DELIVERED, FETCHED = ("POST", CALLBACK), ("GET", CALLBACK)
CLEAR, USER = ("POST", "/pkce/clear"), ("GET", "/pkce/user")
LOGIN = ("GET", "/pkce/login")
ROUTES = (CHALLENGE, CODE, DELIVERED, FETCHED, TOKEN, CLEAR, USER)

#: The statuses that each route answers with, as JSON and as a page.
STATUSES: Mapping[tuple[str, str], tuple[str, str]] = {
    CHALLENGE: (
        "200 204 400 403 405 406 429 500 502 503 504",
        "200 204 400 403 405 406 429 500 502 503 504",
    ),
    CODE: (
        "200 204 400 403 405 406 409 413 415 429 500 502 503 504",
        "204 303 400 403 405 406 409 413 415 429 500 502 503 504",
    ),
    DELIVERED: (
        "200 204 400 403 405 406 409 413 415 503",
        "204 303 400 403 405 406 413 415 503",
    ),
    FETCHED: (
        "204 400 403 405 406 413 429 500 502 503 504",
        "200 204 303 400 403 405 406 413 429 500 502 503 504",
    ),
    TOKEN: (
        "200 204 400 403 405 406 409 413 415 429 500 502 503 504",
        "200 204 303 400 403 405 406 409 413 415 429 500 502 503 504",
    ),
    CLEAR: ("204 400 403 405 503", "200 204 303 400 403 405 503"),
    USER: ("200 204 400 401 403 405 406 503", "200 204 400 401 403 405 406 503"),
    # For pages alone, and of those what no other route has.
    LOGIN: ("", "200 303"),
}


@dataclass(frozen=True)
class Situation:
    """How one route comes to answer with one status."""

    route: tuple[str, str]
    status: int
    is_page: bool
    act: Callable[[Host, bool], TestResponse]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def __str__(self) -> str:
        form = "page" if self.is_page else "json"
        act = self.act.__name__.strip("_")
        return f"{' '.join(self.route)} {self.status} {form} {act}"

    def happen(self, make_app: MakeApp) -> TestResponse:
        """Let it happen in a host of its own."""
        return self.act(make_app(**{**_KEEPING, **self.settings}), self.is_page)


_KEEPING = {"PKCE_SCOPE": "openid profile email offline_access", "PKCE_TOKEN_DELIVERY": "caller"}
_SESSION = {"PKCE_TOKEN_DELIVERY": "session"}
SITUATIONS: list[Situation] = []

Act = Callable[[Host, bool], TestResponse]
A = Callable[[Host, tuple[str, str], bool], TestResponse]


def ask(
    host: Host,
    route: tuple[str, str],
    is_page: bool,
    *,
    browser: Browser | None = None,
    query: str = "",
    headers: Mapping[str, str] | None = None,
    **options: Any,
) -> TestResponse:
    """Call a route as a script of ours does, or go there as to a page."""
    browser = browser or host.browser()
    method, path = route
    if is_page:
        site = "cross-site" if path == CALLBACK else "same-origin"
        response: TestResponse = browser.open(
            path + query, method=method, site=site, headers=headers or {}, **options
        )
        return response
    return browser.send(method, path + query, headers=headers, **options)


def situation(
    status: int, *routes: tuple[str, str], form: str = "json page", **settings: Any
) -> Callable[[A], A]:
    """Enter a situation for those routes, and for JSON and pages."""

    def enter(act: A) -> A:
        for route in routes:
            for is_page in (False, True):
                if ("page" if is_page else "json") in form:
                    SITUATIONS.append(Situation(route, status, is_page, _at(act, route), settings))
        return act

    return enter


def _at(act: A, route: tuple[str, str]) -> Act:
    def at(host: Host, is_page: bool) -> TestResponse:
        return act(host, route, is_page)

    at.__name__ = getattr(act, "__name__", "act")
    return at


# -- what every route refuses, and answers to -------------------------------------------


@situation(204, *ROUTES, **_SESSION)
def _options(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return ask(host, ("OPTIONS", route[1]), is_page)


@situation(400, *ROUTES, **_SESSION)
def _foreign_host(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return ask(host, route, is_page, environ_overrides={"HTTP_HOST": "evil.example"})


@situation(400, *ROUTES, **_SESSION)
def _prefetch(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return ask(host, route, is_page, headers={"Sec-Purpose": "prefetch"})


@situation(403, *ROUTES, **_SESSION)
def _other_site(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    headers = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Dest": "iframe"}
    return ask(host, route, is_page, headers=headers)


@situation(405, *ROUTES, **_SESSION)
def _method(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return ask(host, ("PUT", route[1]), is_page)


@situation(405, *ROUTES, form="json", **_SESSION)
def _head(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return ask(host, ("HEAD", route[1]), is_page)


@situation(406, CHALLENGE, CODE, DELIVERED, FETCHED, TOKEN, USER, **_SESSION)
def _accept(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return ask(host, route, is_page, headers={"Accept": "image/png"})


@situation(413, CODE, DELIVERED, TOKEN)
def _too_large(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return ask(host, route, is_page, data=b"x" * 16_385, content_type=_type_of(route))


@situation(413, FETCHED)
def _query_too_large(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return ask(host, route, is_page, query=f"?state={'x' * 16_385}")


@situation(415, CODE, DELIVERED, TOKEN)
def _media_type(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return ask(host, route, is_page, data=b"x", content_type="text/plain")


def _type_of(route: tuple[str, str]) -> str:
    return "application/x-www-form-urlencoded" if route == DELIVERED else "application/json"


@situation(503, CHALLENGE, CODE, DELIVERED, FETCHED, TOKEN, CLEAR)
@situation(503, USER, **_SESSION)
def _store_down(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    browser = host.browser()
    browser.code()

    def fail(*_: Any) -> Any:
        raise errors.StoreError()

    for verb in ("get", "add", "replace", "take"):
        setattr(host.store, verb, fail)
    form = {"state": "s", "error": "access_denied"} if route == DELIVERED else None
    query = "?ticket=x" if route == FETCHED else ""
    return ask(host, route, is_page, browser=browser, data=form, query=query)


# -- what each does ---------------------------------------------------------------------


@situation(200, CHALLENGE)
@situation(200, CODE, form="json")
@situation(303, CODE, form="page")
def _start(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return ask(host, route, is_page)


@situation(400, CODE)
def _bad_prompt(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return ask(host, route, is_page, json={"prompt": "maybe"})


@situation(403, CODE, TOKEN)
def _without_cookie(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    state = host.browser().challenge()["state"]
    return ask(host, route, is_page, json={"state": state})


@situation(409, CODE)
def _other_parameters(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    state, _ = (browser := host.browser()).begin()
    return ask(host, route, is_page, browser=browser, json={"state": state, "prompt": "login"})


@situation(429, CHALLENGE, CODE)
def _busy(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    browser = host.browser()
    for _ in range(20):
        Prepared(host, browser, own_state=False).put("bound")
    return ask(host, route, is_page, browser=browser)


@situation(303, DELIVERED, form="page")
def _delivery(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return CrossSitePost(host).send("POST", CALLBACK, data={"state": "s", "code": "c"})


@situation(200, DELIVERED, form="json")
def _passed_on(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    state, _ = (browser := host.browser()).begin()
    return browser.respond(state=state, code="c")


@situation(400, DELIVERED, FETCHED)
def _no_code(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    fields = {"state": "s"}
    if route == FETCHED:
        return ask(host, route, is_page, query=f"?{urlencode(fields)}")
    return ask(host, route, is_page, data=fields)


@situation(409, DELIVERED, form="json")
def _another_code(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    state, _ = (browser := host.browser()).begin()
    browser.respond(state=state, code="c")
    return browser.respond(state=state, code="another")


@situation(200, FETCHED, form="page")
@situation(303, FETCHED, form="page", PKCE_AUTHENTICATED_URL="/in")
def _bound(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    _, url = (browser := host.browser()).begin()
    return browser.arrive(host.tenant.sign_in(url))


@situation(200, FETCHED, form="page", SESSION_COOKIE_SAMESITE="Strict")
def _strict(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    _, url = (browser := host.browser()).begin()
    query = f"?{urlencode(host.tenant.sign_in(url).params)}"
    return ask(host, route, is_page, browser=browser, query=query)


@situation(200, FETCHED, form="page", **_SESSION)
def _redeeming(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    url = (browser := host.browser()).submit("/pkce/code").headers["Location"]
    answer = host.tenant.sign_in(url)
    held = host.flow_of(browser, answer.params["state"])
    host.relying_party.sign_in.bind(held, arrived(answer))
    host.begin_redeeming(browser, answer.params["state"])
    return browser.arrive(answer)


@situation(403, FETCHED)
def _other_browser(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    _, url = host.browser().begin()
    kept = host.browser().deliver(host.tenant.sign_in(url))
    query = f"?{urlsplit(kept.headers['Location']).query}"
    return ask(host, route, is_page, query=query)


@situation(429, FETCHED, **_SESSION)
def _limit_at_the_callback(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    url = (browser := host.browser()).submit("/pkce/code").headers["Location"]
    kept = browser.deliver(host.tenant.sign_in(url))
    host.tenant.faults.add("token-429")
    query = f"?{urlsplit(kept.headers['Location']).query}"
    return ask(host, route, is_page, browser=browser, query=query)


@situation(200, TOKEN)
@situation(303, TOKEN, form="page", PKCE_AUTHENTICATED_URL="/in")
def _redeemed(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    Prepared(host, browser := host.browser(), own_state=False).put("bound")
    return ask(host, route, is_page, browser=browser)


@situation(400, TOKEN)
def _other_grant(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return ask(host, route, is_page, json={"grant_type": "password"})


@situation(409, TOKEN)
def _pending(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    (browser := host.browser()).begin()
    return ask(host, route, is_page, browser=browser)


@situation(429, TOKEN)
def _limit(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    Prepared(host, browser := host.browser(), own_state=False).put("bound")
    host.tenant.faults.add("token-429")
    return ask(host, route, is_page, browser=browser)


def _faulty(host: Host, route: tuple[str, str], is_page: bool, fault: str) -> TestResponse:
    """Ask for what needs the tenant's metadata, which this process does not have yet."""
    browser, query = host.browser(), ""
    if route == FETCHED:
        url = browser.submit("/pkce/code").headers["Location"]
        kept = browser.deliver(host.tenant.sign_in(url))
        query = f"?{urlsplit(kept.headers['Location']).query}"
    elif route == TOKEN:
        Prepared(host, browser, own_state=False).put("bound")
    # As in a worker that has just started.
    host.relying_party.tenants.default._metadata._value = None
    host.tenant.faults.add(fault)
    return ask(host, route, is_page, browser=browser, query=query)


@situation(500, CHALLENGE, CODE, TOKEN)
@situation(500, FETCHED, **_SESSION)
def _misconfigured(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return _faulty(host, route, is_page, "metadata-issuer-mismatch")


@situation(502, CHALLENGE, CODE, TOKEN)
@situation(502, FETCHED, **_SESSION)
def _unreachable(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return _faulty(host, route, is_page, "unreachable")


@situation(504, CHALLENGE, CODE, TOKEN)
@situation(504, FETCHED, **_SESSION)
def _silent(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return _faulty(host, route, is_page, "silent")


@situation(204, CLEAR, form="json")
@situation(200, CLEAR, form="page")
@situation(303, CLEAR, form="page", PKCE_UNAUTHENTICATED_URL="/out")
def _cleared(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    (browser := host.browser()).code()
    return ask(host, route, is_page, browser=browser)


@situation(200, USER, **_SESSION)
def _signed_in(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    url = (browser := host.browser()).submit("/pkce/code").headers["Location"]
    browser.arrive(host.tenant.sign_in(url))
    return ask(host, route, is_page, browser=browser)


@situation(200, LOGIN, form="page", PKCE_LOGIN_LINKS="ask", **_SESSION)
@situation(303, LOGIN, form="page", **_SESSION)
def _linked(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    response: TestResponse = host.browser().open(route[1], site="cross-site")
    return response


@situation(200, FETCHED, form="page", **_SESSION)
def _linked_before(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    linked = (browser := host.browser()).open(LOGIN[1], site="cross-site").headers["Location"]
    url = browser.submit("/pkce/code").headers["Location"]
    browser.arrive(host.tenant.sign_in(url))
    return browser.arrive(host.tenant.sign_in(linked))


@situation(401, USER, **_SESSION)
def _nobody(host: Host, route: tuple[str, str], is_page: bool) -> TestResponse:
    return ask(host, route, is_page)


# -- what stands on each ------------------------------------------------------------------


def directives(response: TestResponse) -> dict[str, list[str]]:
    """The Content-Security-Policy, of which there is one, with each directive once."""
    (policy,) = response.headers.getlist("Content-Security-Policy")
    parts = [part.split() for part in policy.split(";")]
    assert len({name for name, *_ in parts}) == len(parts)
    return {name: sources for name, *sources in parts}


def content_type_of(it: Situation) -> str | None:
    """The one media type that an answer may have."""
    if it.status == 204:
        return None
    if it.is_page:
        return "text/html; charset=utf-8"
    return "application/json" if it.status == 200 else "application/problem+json"


def test_no_situation_is_missing() -> None:
    """Every route is asked for every status that it answers with, in both forms."""
    met: dict[tuple[str, str], tuple[set[int], set[int]]] = {}
    for each in SITUATIONS:
        met.setdefault(each.route, (set(), set()))[each.is_page].add(each.status)
    expected = {
        route: tuple({int(status) for status in form.split()} for form in forms)
        for route, forms in STATUSES.items()
    }
    assert met == expected
    everywhere = set().union(*(forms[0] | forms[1] for forms in met.values()))
    assert everywhere == {cls.status for cls in errors.catalogue()} | {200, 204, 303}


@pytest.mark.requirement(
    "HX-1", "HX-2", "HX-3", "HX-4", "HX-5", "HX-6", "HX-7", "HX-8", "HX-9", "WC-10"
)
@pytest.mark.parametrize("it", SITUATIONS, ids=str)
def test_every_answer(it: Situation, make_app: MakeApp) -> None:
    """Nothing keeps, frames, sniffs, refers to or leaks an answer, whatever it says."""
    response = it.happen(make_app)
    assert response.status_code == it.status, response.text
    for name, value in HEADERS.items():
        assert response.headers.getlist(name) == [value], name
    policy = directives(response)
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert response.headers.get("Content-Type") == content_type_of(it)
    varies = response.headers["Vary"].split(", ")
    assert {"Cookie", "Origin", "Accept", "Prefer"} <= set(varies)
    assert "Clear-Site-Data" not in response.headers
    is_shown = it.is_page and it.status not in {204, 303}
    if is_shown:
        check_page_policy(response, policy)
    else:
        assert set(policy) == {"default-src", "frame-ancestors", "base-uri", "form-action"}
        assert policy["form-action"] == ["'none'"]
    if it.status in {204, 303}:
        assert response.data == b""


# -- pages --------------------------------------------------------------------------------


class Elements(HTMLParser):
    """The elements of a page, with their attributes."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep an element."""
        self.found.append((tag, {name: value or "" for name, value in attrs}))

    def __iter__(self) -> Iterator[tuple[str, dict[str, str]]]:
        return iter(self.found)


def check_page_policy(response: TestResponse, policy: Mapping[str, list[str]]) -> None:
    """No script runs, no style but the page's own counts, and nothing is loaded."""
    assert set(policy) == {
        "default-src", "style-src", "form-action", "base-uri", "frame-ancestors"
    }  # fmt: skip
    (source,) = policy["style-src"]
    nonce = re.fullmatch(r"'nonce-([A-Za-z0-9_-]{22})'", source)
    assert nonce is not None
    styles = 0
    for tag, attributes in Elements(response.text):
        assert tag not in {"script", "iframe", "object", "embed", "img", "link", "base"}
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert not {"src", "srcset", "background", "formaction"} & set(attributes)
        if tag == "style":
            styles += 1
            assert attributes == {"nonce": nonce[1]}
        for name in ("href", "action"):
            assert not attributes.get(name, "").lower().startswith(("javascript:", "data:"))
    assert styles == 1
    assert response.text.count(nonce[1]) == 1


@pytest.mark.requirement("HX-3")
def test_every_page_is_met(make_app: MakeApp) -> None:
    """The situations show every page that there is, so that each was looked at."""
    folder = Path(web.__file__).parent / "templates" / "pkce"
    shown = set()

    def remember_jti(sender: object, template: Any, **_: Any) -> None:
        if template.name.startswith("pkce/"):
            shown.add(template.name)

    with template_rendered.connected_to(remember_jti):
        for each in SITUATIONS:
            if each.is_page and each.status in {200, 403}:
                each.happen(make_app)
    extended = {"pkce/base.html"}
    assert shown == {f"pkce/{path.name}" for path in folder.iterdir()} - extended


@pytest.mark.requirement("HX-3")
def test_nonce_is_new(host: Host, browser: Browser) -> None:
    """A nonce is good for one answer."""
    pages = [browser.open("/pkce/challenge") for _ in range(2)]
    first, second = (directives(page)["style-src"] for page in pages)
    assert first != second


@pytest.mark.requirement("HX-7")
@pytest.mark.parametrize("headers", [{}, PAGE], ids=["json", "page"])
def test_text_of_the_tenant_is_text(headers: dict[str, str], host: Host, browser: Browser) -> None:
    """What a tenant says of its error is never markup: JSON as such, and escaped on a page."""
    state, _ = browser.begin()
    text = "<img src=x onerror=alert(1)><script>alert(1)</script>"
    answer = {"state": state, "error": "access_denied", "error_description": text}
    browser.arrive(answer)
    response = browser.post("/pkce/code", {"state": state}, headers=headers)
    assert response.status_code == 400
    assert "alert(1)" in response.text
    if headers:
        assert not {"img", "script"} & {tag for tag, _ in Elements(response.text)}
    else:
        assert response.content_type == "application/problem+json"


def as_it_is(response: Response) -> None:
    """Change nothing."""


def change_status(response: Response) -> None:
    response.status_code = 204


def change_location(response: Response) -> None:
    response.location = "/é?<a>"


def add_content_location(response: Response) -> None:
    response.content_location = "/é"


def lose_length(response: Response) -> None:
    del response.headers["Content-Length"]


@pytest.mark.parametrize(
    "change", [as_it_is, change_status, change_location, add_content_location, lose_length]
)
@pytest.mark.parametrize("location", ["/a?b=%20c#d", "https://a.example:1/(b)", '/"a"|{b}^<c>'])
def test_headers_as_werkzeug_sends_them(location: str, change: Callable[[Response], None]) -> None:
    """Headers leave as Werkzeug would send them, also where a host changed the answer."""
    ours = see_other(location)
    usual = Response(ours.get_data(), ours.status, ours.headers.to_wsgi_list())
    usual.autocorrect_location_header = False
    for response in (ours, usual):
        change(response)
    sent, expected = (response.get_wsgi_headers({}) for response in (ours, usual))
    assert sorted(sent) == sorted(expected)
