"""Whatever is wrong with a request: the right 4xx, which names the field, and nothing changed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from tests.conftest import MakeApp
from tests.web.bad_models import SEEDS, TOKENS
from tests.web.host import (
    CALLBACK,
    Browser,
    Caller,
    Host,
    check_page,
    check_problem,
    check_refused,
)
from tests.web.test_code import VERIFIER

pytestmark = pytest.mark.table

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"


ROUTES = {
    "/pkce/challenge": ("GET",),
    "/pkce/code": ("POST",),
    CALLBACK: ("GET", "POST"),
    "/pkce/token": ("POST",),
    "/pkce/clear": ("POST",),
    "/pkce/user": ("GET",),
}


def shortened(names: Iterable[str]) -> list[str]:
    """Ids of tests that fit on a line."""
    return [name[:70] for name in names]


# -- SeededPKCE ------------------------------------------------------------------------------


@pytest.mark.requirement(
    "response_type",
    "response_mode",
    "audience",
    "resource",
    "invitation",
    "prompt",
    "screen_hint",
    "login_hint",
    "dpop_jkt",
    "request",
    "correlation_id",
    "A0-2",
    "BC-8",
    "UP-10",
    "ID-22",
    "IN-1",
    "IN-3",
    "NA-3",
    "N03b",
    "N06",
    "N06b",
    "N06g",
    "N06h",
    "N07",
    "N07b",
    "N08",
    "N09",
    "N10",
    "N11",
    "N80c",
    "N88b",
    "PK-4",
    "PK-5",
    "T11",
    "T12",
    "T18",
    "WC-1",
    "WC-2",
    "WC-3",
    "WC-4",
    "WC-5",
    "WC-6",
    "WC-9",
)
@pytest.mark.parametrize(("body", "code", "field"), SEEDS.values(), ids=shortened(SEEDS))
def test_seed(body: dict[str, Any], code: str, field: str, caller: Caller) -> None:
    """A member of ``SeededPKCE`` that is not what it must be is named, and nothing is started."""
    check_refused(caller, lambda: caller.code(**body), code, field=field or None)


@pytest.mark.requirement("limits", "N88b")
def test_too_much_for_a_url(caller: Caller) -> None:
    """What would make an address that servers refuse is refused here."""
    extra = {f"ext-{number}": "x" * 450 for number in range(9)}
    check_refused(caller, lambda: caller.code(ADDITIONAL_PARAMETERS=extra), "parameter-invalid")


@pytest.mark.requirement("UP-9", "N80c", "BB-5", "T12", "WC-1")
def test_foreign_domain_contacts_nobody(host: Host, browser: Browser) -> None:
    """Nothing that a caller sends makes the server contact another host, or any at all."""
    check_problem(browser.code(domain="attacker.example"), "parameter-foreign")
    assert host.tenant.requests == ()


@pytest.mark.requirement("N06h", "WC-2")
def test_foreign_client_id_is_not_told_ours(caller: Caller) -> None:
    """The refusal does not tell what is configured."""
    response = caller.code(client_id="another-client")
    assert "local-client" not in response.text


# -- TokenizedPKCE ---------------------------------------------------------------------------


@pytest.mark.requirement(
    "BC-9",
    "UP-10",
    "IN-1",
    "N03b",
    "N06",
    "N06b",
    "N06h",
    "N12",
    "N13",
    "N14",
    "N56",
    "N99",
    "PK-1",
    "T18",
    "WC-2",
    "WC-3",
)
@pytest.mark.parametrize(("body", "code", "field"), TOKENS.values(), ids=shortened(TOKENS))
def test_tokenized(body: dict[str, Any], code: str, field: str, caller: Caller) -> None:
    """A member of ``TokenizedPKCE`` that is not what it must be is named; the tenant is not
    asked, and the code stays good."""
    check_refused(caller, lambda: caller.token(**body), code, field=field or None)
    assert caller.token().status_code == 200


@pytest.mark.requirement("N60")
def test_wrong_verifier(caller: Caller) -> None:
    """A wrong verifier for the right code is told before the tenant is asked."""
    (flow,) = caller.host.relying_party.sessions.flows(caller.host.session_of(caller))
    body = {"code": flow.value.code, "code_verifier": VERIFIER}
    check_refused(
        caller, lambda: caller.token(**body), "verifier-mismatch", field="$.code_verifier"
    )
    assert caller.token().status_code == 200


# -- methods, prefetches, types that are accepted --------------------------------------------


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT")


@pytest.mark.requirement("FP-9")
@pytest.mark.parametrize(
    ("method", "path"),
    [(method, path) for path in ROUTES for method in METHODS if method not in ROUTES[path]],
)
def test_method(method: str, path: str, make_app: MakeApp) -> None:
    """Every path answers every method itself: another one with 405 and ``Allow``."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    response = host.browser().send(method, path)
    assert response.status_code == 405
    assert response.headers["Allow"] == ", ".join(ROUTES[path])
    if method != "HEAD":
        check_problem(response, "method-not-allowed")
    assert host.store.contents() == {}


@pytest.mark.requirement("FP-9")
@pytest.mark.parametrize("path", ROUTES)
def test_options(path: str, make_app: MakeApp) -> None:
    """OPTIONS tells the methods, has no effect, and is no CORS preflight of ours."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    response = host.program().send("OPTIONS", path, headers=headers)
    assert response.status_code == 204
    assert response.headers["Allow"] == ", ".join(ROUTES[path])
    assert host.store.contents() == {}


@pytest.mark.requirement("N18", "T9")
@pytest.mark.parametrize(("path", "methods"), ROUTES.items())
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("Sec-Purpose", "prefetch"),
        ("Sec-Purpose", "prefetch;prerender"),
        ("Sec-Purpose", "prefetch;anonymous-client-ip"),
        ("Purpose", "prefetch"),
        ("X-Purpose", "preview"),
        ("X-Moz", "prefetch"),
        ("Purpose", "Prerender"),
    ],
)
def test_prefetch(
    name: str, value: str, path: str, methods: tuple[str, ...], make_app: MakeApp
) -> None:
    """What a browser only guesses starts, binds and tells nothing."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    for method in methods:
        response = host.browser().send(method, path, headers={name: value})
        check_problem(response, "prefetch-refused")
        page = host.browser().open(path, method=method, site="same-origin", headers={name: value})
        check_page(page, "prefetch-refused")
    assert host.store.contents() == {}


@pytest.mark.parametrize("path", ["/pkce/challenge", "/pkce/code", CALLBACK, "/pkce/token"])
@pytest.mark.parametrize(
    "accept",
    [
        "image/png",
        "application/xml",
        "text/plain",
        "application/json;q=0, text/html;q=0",
        "*/*;q=0",
        "application/json;q=0, application/problem+json;q=0, text/html;q=0, */*",
    ],
)
def test_not_acceptable(accept: str, path: str, caller: Caller) -> None:
    """Where neither JSON nor HTML will do nothing happens; the problem is told in JSON."""
    method = ROUTES[path][-1]
    check_refused(
        caller,
        lambda: caller.send(method, path, headers={"Accept": accept}),
        "not-acceptable",
    )


@pytest.mark.parametrize("accept", ["application/problem+json", "application/*", "*/*", "text/*"])
def test_acceptable(accept: str, host: Host, browser: Browser) -> None:
    """A range that has JSON or HTML in it will do."""
    response = browser.send("GET", "/pkce/challenge", headers={"Accept": accept})
    assert response.status_code == 200


def test_unknown_paths_are_the_hosts(host: Host) -> None:
    """What is not one of our paths belongs to the host."""
    for path in ("/pkce", "/pkce/", "/pkce/challenge/", "/pkce/nothing", "/pkce/response"):
        assert host.app.test_client().get(path).content_type.startswith("text/html")


@pytest.mark.requirement("BC-1", "UP-10", "N42", "N43", "N44", "N45", "N46", "N47", "T10", "T18")
@pytest.mark.parametrize(
    "return_to",
    [
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "/\n/evil.example",
        "https://evil.example",
        "https:evil.example",
        "https:///evil.example",
        "javascript:alert(1)",
        "/..//evil.example",
        "/%2f%2fevil.example",
        "/%2F/evil.example",
        "/a/../..//evil.example",
        "/%2e%2e//evil.example",
        "/./a",
        "https://localhost@evil.example",
        "account",
        "?a",
        "#a",
        "/é",
        "/ a",
        "/" + "a" * 2048,
    ],
)
def test_return_to(return_to: str, make_app: MakeApp) -> None:
    """A browser is sent back only to a path of this application."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    response = host.browser().submit("/pkce/code", {"return_to": return_to})
    check_page(response, "return-address-refused")
    assert host.store.contents() == {}


def test_repeated_field_of_a_login_form(host: Host, browser: Browser) -> None:
    """A repeated field is refused there as well."""
    page = browser.open(
        "/pkce/code",
        method="POST",
        site="same-origin",
        data="return_to=/a&return_to=/b",
        content_type=FORM,
    )
    check_page(page, "parameter-repeated")


def test_repeated_field_is_named_on_one_line(host: Host) -> None:
    """The name of a field that nobody knows is told without its control characters."""
    form: dict[str, Any] = {"data": "%0A%12x%00=1&%0A%12x%00=2", "content_type": FORM}
    check_problem(host.program().send("POST", CALLBACK, **form), "parameter-repeated", field="x")


@pytest.mark.requirement("N40")
@pytest.mark.parametrize("value", ["", "x", "é", "a" * 5000, "a.b.c", "\x7f", '"quoted"'])
def test_cookie(value: str, host: Host) -> None:
    """A cookie that makes no sense is a cookie that nobody signed."""
    headers = {"Cookie": f"pkce-80={value}"}
    check_problem(host.program().send("POST", "/pkce/token", headers=headers), "cookie-forged")


def test_errors_tell_no_more_than_they_must(caller: Caller) -> None:
    """An error does not quote what was sent."""
    for body in ({"state": "s3cret value"}, {"client_id": "s3cret"}, {"prompt": "s3cret"}):
        response = caller.code(**body)
        assert response.status_code == 400
        assert "s3cret" not in response.text
