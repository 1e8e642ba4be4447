"""Whatever is wrong with a request: the right 4xx, which names the field, and nothing changed."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from tests.conftest import MakeApp
from tests.web.host import (
    CALLBACK,
    Browser,
    Caller,
    CrossSitePost,
    Host,
    check_page,
    check_problem,
)
from tests.web.test_code import CHALLENGE, VERIFIER

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"
FORGED = f"pkce1.{'A' * 39}.{'A' * 43}"

JSON_ROUTES = ["/pkce/code", "/pkce/token"]
ROUTES = {
    "/pkce/challenge": ("GET",),
    "/pkce/code": ("POST",),
    CALLBACK: ("GET", "POST"),
    "/pkce/token": ("POST",),
    "/pkce/clear": ("POST",),
    "/pkce/user": ("GET",),
}


@pytest.fixture(params=["browser", "program"])
def caller(request: pytest.FixtureRequest, make_app: MakeApp) -> Caller:
    """A browser, or a program of the local session, in which a sign-in is bound."""
    is_local = request.param == "program"
    host = make_app(PKCE_LOCAL_SESSION=is_local)
    caller: Caller = host.program() if is_local else host.browser()
    state, url = caller.begin()
    params = host.tenant.sign_in(url).params
    if isinstance(caller, Browser):
        caller.arrive(params)
    else:
        caller.respond(**params)
    assert host.status_of(caller, state) == "bound"
    return caller


def refused(caller: Caller, act: Callable[[], TestResponse], code: str, **expected: Any) -> Any:
    """Check that an act is refused, that nothing is changed, and that the tenant is not asked."""
    host = caller.host
    before, asked = host.store.contents(), host.token_requests
    members = check_problem(act(), code, **expected)
    assert host.store.contents() == before
    assert host.token_requests == asked
    return members


# -- JSON ------------------------------------------------------------------------------------

MALFORMED = {
    "cut off": b'{"state": "a',
    "no JSON": b"state=a",
    "single quotes": b"{'state': 'a'}",
    "a comment": b'{"state": "a" /* b */}',
    "a trailing comma": b'{"state": "a",}',
    "two documents": b"{}{}",
    "an array": b"[]",
    "an array of an object": b'[{"state": "a"}]',
    "null": b"null",
    "a string": b'"state"',
    "a number": b"1",
    "a boolean": b"true",
    "white space": b"  \n ",
    "a name twice": b'{"state": "a", "state": "b"}',
    "a name twice, deeper": b'{"schema": {"migration": 1, "migration": 2}}',
    "NaN": b'{"max_age": NaN}',
    "Infinity": b'{"max_age": -Infinity}',
    "a number without end": b'{"max_age": 1e999}',
    "a number too long": b'{"max_age": 1' + b"0" * 5000 + b"}",
    "half a surrogate pair": b'{"state": "\\ud800"}',
    "half a surrogate pair in a name": b'{"\\udfff": "a"}',
    "no UTF-8": b'{"state": "\xff"}',
    "an overlong slash": b'{"state": "\xc0\xaf"}',
    "UTF-16": '{"state": "a"}'.encode("utf-16"),
    "a byte order mark": b'\xef\xbb\xbf{"state": "a"}',
    "a raw control character": b'{"state": "\x00"}',
    "a raw newline": b'{"state": "\n"}',
    "nine objects deep": b'{"a":' * 9 + b"1" + b"}" * 9,
    "nine arrays deep": b'{"a":' + b"[" * 9 + b"]" * 9 + b"}",
    "arrays beyond recursion": b"[" * 16000,
    "objects beyond recursion": b'{"a":' * 3000,
}


@pytest.mark.parametrize("path", JSON_ROUTES)
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_json(body: bytes, path: str, caller: Caller) -> None:
    """What is not one JSON object, spelled as it must be, is refused."""
    members = refused(
        caller,
        lambda: caller.send("POST", path, data=body, content_type=JSON),
        "body-malformed",
        field="$",
    )
    assert len(members["detail"]) < 100


@pytest.mark.parametrize("path", JSON_ROUTES)
def test_eight_deep(path: str, caller: Caller) -> None:
    """What the API does not know may lie eight deep, and is ignored."""
    body = b'{"a":' * 8 + b"1" + b"}" * 8
    assert caller.send("POST", path, data=body, content_type=JSON).status_code == 200


@pytest.mark.parametrize("path", [*JSON_ROUTES, CALLBACK])
def test_too_large(path: str, caller: Caller) -> None:
    """A body of more than 16 KiB is refused by its length, before it is read."""
    content_type = FORM if path == CALLBACK else JSON
    environ = {"wsgi.input": Unread(), "CONTENT_LENGTH": str(16 * 1024 + 1)}
    refused(
        caller,
        lambda: caller.send("POST", path, content_type=content_type, environ_overrides=environ),
        "body-too-large",
    )


CHUNKED = {"HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": ""}


class Unread(io.BytesIO):
    """A body that nobody may read."""

    def read(self, *_: Any) -> bytes:
        """Fail the test."""
        raise AssertionError("the body was read")


class Endless(io.BytesIO):
    """A body without end, of which no more may be read than is needed to know that."""

    taken = 0

    def read(self, size: int | None = -1, /) -> bytes:
        """Give what is asked for."""
        assert size is not None
        assert size >= 0
        self.taken += size
        assert self.taken < 64 * 1024
        return b" " * size


@pytest.mark.parametrize("path", [*JSON_ROUTES, CALLBACK])
def test_too_large_chunked(path: str, caller: Caller) -> None:
    """A chunked body without a length is read up to the limit, and no further."""
    content_type = FORM if path == CALLBACK else JSON
    environ = {"wsgi.input": Endless(), "wsgi.input_terminated": True, **CHUNKED}
    refused(
        caller,
        lambda: caller.send("POST", path, content_type=content_type, environ_overrides=environ),
        "body-too-large",
    )


def test_chunked(host: Host, browser: Browser) -> None:
    """A chunked body is read like any other, where the server says that it ends."""
    for is_terminated, expected in ((True, "mine"), (False, None)):
        environ = {
            "wsgi.input": io.BytesIO(b'{"state": "mine"}'),
            "wsgi.input_terminated": is_terminated,
            **CHUNKED,
        }
        response = browser.send("POST", "/pkce/code", content_type=JSON, environ_overrides=environ)
        assert (response.get_json()["seed"]["state"] == "mine") is (expected == "mine")


def test_as_large_as_allowed(host: Host, browser: Browser) -> None:
    """16 KiB are read."""
    body = json.dumps({"padding": "x" * (16 * 1024 - 15)}).encode()
    assert len(body) == 16 * 1024
    response = browser.send("POST", "/pkce/code", data=body, content_type=JSON)
    assert response.status_code == 200


# -- media types -----------------------------------------------------------------------------


@pytest.mark.parametrize("path", JSON_ROUTES)
@pytest.mark.parametrize(
    "content_type",
    [
        "text/plain",
        FORM,
        "multipart/form-data; boundary=x",
        "text/html",
        "application/problem+json",
        "application/jsonp",
        "text/json",
        "nonsense",
        "",
    ],
)
def test_wrong_media_type(content_type: str, path: str, caller: Caller) -> None:
    """JSON is ``application/json``; anything else could come from a form of another site."""
    refused(
        caller,
        lambda: caller.send("POST", path, data=b"{}", content_type=content_type),
        "media-type-unsupported",
    )


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "APPLICATION/JSON", 'application/json; charset="x"'],
)
def test_json_media_type(content_type: str, host: Host, browser: Browser) -> None:
    """Parameters and case of the type do not matter."""
    response = browser.send("POST", "/pkce/code", data=b"{}", content_type=content_type)
    assert response.status_code == 200


@pytest.mark.parametrize("content_type", [JSON, FORM, "text/plain", None])
def test_empty_body_has_no_type(content_type: str | None, host: Host, browser: Browser) -> None:
    """An empty body is no body, whatever its type."""
    response = browser.send("POST", "/pkce/code", data=b"", content_type=content_type)
    assert response.status_code == 200


@pytest.mark.parametrize(
    "content_type",
    [JSON, "text/plain", "multipart/form-data; boundary=x", "application/octet-stream", ""],
)
def test_callback_media_type(content_type: str, caller: Caller) -> None:
    """The callback takes a form alone, from a page and from a program."""
    body = b'{"code": "c", "state": "s"}'
    for who, check in ((caller, check_problem), (CrossSitePost(caller.host), check_page)):
        before = caller.host.store.contents()
        response = who.send("POST", CALLBACK, data=body, content_type=content_type)
        check(response, "media-type-unsupported")
        assert caller.host.store.contents() == before


@pytest.mark.parametrize("path", [*JSON_ROUTES, CALLBACK])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP", "identity, gzip", "x"])
def test_compressed(encoding: str, path: str, caller: Caller) -> None:
    """A compressed body, which could grow when it is read, is not read."""
    content_type = FORM if path == CALLBACK else JSON
    refused(
        caller,
        lambda: caller.send(
            "POST",
            path,
            data=gzip.compress(b"{}"),
            content_type=content_type,
            headers={"Content-Encoding": encoding},
        ),
        "media-type-unsupported",
    )


# -- SeededPKCE ------------------------------------------------------------------------------

ODD_TEXTS = {
    "a newline": "a\nb",
    "a carriage return": "a\r\nSet-Cookie: x=y",
    "NUL": "a\0b",
    "DEL": "a\x7fb",
    "a C1 control": "a\x85b",
    "a line separator": "a\u2028b",
}

#: A body, the code of its error, and the field that is named.
SEEDS: dict[str, tuple[dict[str, Any], str, str]] = {
    **{
        f"response_type {value}": (
            {"response_type": value},
            "response-type-unsupported",
            "$.response_type",
        )
        for value in ("token", "id_token", "code token", "none", "CODE")
    },
    **{
        f"{name} {value!r}": ({name: value}, "parameter-invalid", f"$.{name}")
        for name, values in {
            "code_challenge_method": ("plain", "s256", "S512", 1),
            "response_mode": ("fragment", "web_message", "form_post.jwt", "FORM_POST", ["query"]),
            "screen_hint": ("sign-up", "SIGNUP", 0),
            "prompt": ("maybe", "none login", "login login", "LOGIN", " login", True),
            "state": ("with space", "é", "x" * 513, 1, ["a"], {"a": "b"}, "a\tb"),
            "nonce": ("with space", "é", "x" * 513, 1.5),
            "scope": (5, {"openid": True}, ["openid"] * 65),
            "client_id": (5, ["a"], "x" * 2049),
            "redirect_uri": (5, False),
            "domain": (5, ["tenant.example"]),
            "audience": (5, {}),
            "organization": (5, "x" * 129),
            "invitation": ("without-organization", 5),
            "ADDITIONAL_PARAMETERS": ("access_type=offline", ["a"], 1),
            "schema": (1, "x", ["a"]),
        }.items()
        for value in values
    },
    **{
        f"code_challenge {value!r}": (
            {"code_challenge": value, "code_challenge_method": "S256"},
            "parameter-invalid",
            "$.code_challenge",
        )
        for value in (
            CHALLENGE[:-1],
            CHALLENGE + "A",
            CHALLENGE + "=",
            "+" + CHALLENGE[1:],
            "/" + CHALLENGE[1:],
            # Bits that no encoder would set.
            CHALLENGE[:-1] + "N",
            CHALLENGE + "\n",
        )
    },
    "code_challenge without its method": (
        {"code_challenge": CHALLENGE},
        "parameter-invalid",
        "$.code_challenge_method",
    ),
    "code_challenge with method UNKNOWN": (
        {"code_challenge": CHALLENGE, "code_challenge_method": "UNKNOWN"},
        "parameter-invalid",
        "$.code_challenge_method",
    ),
    **{
        f"scope {value!r}": ({"scope": value}, code, field)
        for value, code, field in (
            (["openid", "profile email"], "parameter-invalid", "$.scope[1]"),
            (["openid", 'a"b'], "parameter-invalid", "$.scope[1]"),
            (["openid\\admin"], "parameter-invalid", "$.scope[0]"),
            (["openid", 5], "parameter-invalid", "$.scope[1]"),
            (["openid\tadmin"], "parameter-invalid", "$.scope"),
            (["openid", "admin"], "parameter-foreign", "$.scope"),
            ("openid admin", "parameter-foreign", "$.scope"),
            (["profile"], "scope-invalid", "$.scope"),
        )
    },
    **{
        f"{name} {value}": ({name: value}, "parameter-foreign", f"$.{name}")
        for name, values in {
            "client_id": ("another-client", "LOCAL-CLIENT", "local-client "),
            "audience": ("https://api.example/", "https://tenant.example/userinfo/"),
            "redirect_uri": (
                "http://localhost/pkce/response/code/",
                "http://localhost:80/pkce/response/code",
                "http://LOCALHOST/pkce/response/code",
                "https://localhost/pkce/response/code",
                "http://localhost/pkce/response/code?a=b",
                "http://localhost/pkce/response/code#a",
                "http://127.0.0.1/pkce/response/code",
                "https://attacker.example/",
                "javascript:alert(1)",
            ),
            "domain": (
                "attacker.example",
                "tenant.example@attacker.example",
                "tenant.example\\.attacker.example",
                "tenant.example.",
                "http://tenant.example",
                "tenant.example:8443",
                "https://tenant.example/authorize/x",
                "https://tenant.example/?a",
                "//tenant.example",
                "169.254.169.254",
            ),
        }.items()
        for value in values
    },
    **{
        f"ADDITIONAL_PARAMETERS {name}={value!r}": (
            {"ADDITIONAL_PARAMETERS": {name: value}},
            code,
            f"$.ADDITIONAL_PARAMETERS.{name}",
        )
        for name, value, code in (
            ("access_type", "sometimes", "parameter-invalid"),
            ("display", "hologram", "parameter-invalid"),
            ("connection", "x" * 129, "parameter-invalid"),
            ("ui_locales", "en;fr", "parameter-invalid"),
            ("max_age", "-1", "parameter-invalid"),
            ("max_age", -1, "parameter-invalid"),
            ("max_age", "1.5", "parameter-invalid"),
            ("max_age", "9" * 10, "parameter-invalid"),
            ("acr_values", "é", "parameter-invalid"),
            ("state", "x", "parameter-foreign"),
            ("client_id", "x", "parameter-foreign"),
            ("redirect_uri", "x", "parameter-foreign"),
            ("response_type", "x", "parameter-foreign"),
            ("code_challenge", "x", "parameter-foreign"),
            ("nonce", "x", "parameter-foreign"),
            ("request_uri", "https://attacker.example/", "parameter-foreign"),
            ("request", "eyJ", "parameter-foreign"),
            ("ext-", "x", "parameter-foreign"),
            ("ext-a.b", "x", "parameter-foreign"),
            ("Access_Type", "offline", "parameter-foreign"),
        )
    },
    **{
        f"ADDITIONAL_PARAMETERS of {value!r}": (
            {"ADDITIONAL_PARAMETERS": {"max_age": value}},
            "parameter-invalid",
            "$.ADDITIONAL_PARAMETERS",
        )
        for value in (True, 1.5, ["1"], {"a": 1})
    },
    "login_hint of 10 kB": (
        {"ADDITIONAL_PARAMETERS": {"login_hint": "x" * 10_000}},
        "parameter-invalid",
        "$.ADDITIONAL_PARAMETERS",
    ),
    "eleven ext- parameters": (
        {"ADDITIONAL_PARAMETERS": {f"ext-{number}": "x" for number in range(11)}},
        "parameter-invalid",
        "$.ADDITIONAL_PARAMETERS",
    ),
    **{
        f"schema {value!r}": ({"schema": value}, "parameter-invalid", field)
        for value, field in (
            ({"migration": "0"}, "$.schema.migration"),
            ({"migration": 1.5}, "$.schema.migration"),
            ({"migration": 0, "semantic": 1}, "$.schema.semantic"),
        )
    },
    **{
        f"{name} with {what}": ({name: text}, code, f"$.{name}")
        for what, text in ODD_TEXTS.items()
        for name, code in (
            ("client_id", "parameter-invalid"),
            ("redirect_uri", "parameter-invalid"),
            ("domain", "parameter-invalid"),
            ("audience", "parameter-invalid"),
            ("organization", "parameter-invalid"),
            ("state", "parameter-invalid"),
            ("nonce", "parameter-invalid"),
            ("prompt", "parameter-invalid"),
        )
    },
    **{
        f"login_hint with {what}": (
            {"ADDITIONAL_PARAMETERS": {"login_hint": text}},
            "parameter-invalid",
            "$.ADDITIONAL_PARAMETERS",
        )
        for what, text in ODD_TEXTS.items()
    },
    "state forged": ({"state": FORGED}, "state-forged", ""),
}


@pytest.mark.parametrize(("body", "code", "field"), SEEDS.values(), ids=SEEDS.keys())
def test_seed(body: dict[str, Any], code: str, field: str, caller: Caller) -> None:
    """A member of ``SeededPKCE`` that is not what it must be is named, and nothing is started."""
    refused(caller, lambda: caller.code(**body), code, field=field or None)


def test_too_much_for_a_url(caller: Caller) -> None:
    """What would make an address that servers refuse is refused here."""
    extra = {f"ext-{number}": "x" * 450 for number in range(9)}
    refused(caller, lambda: caller.code(ADDITIONAL_PARAMETERS=extra), "parameter-invalid")


def test_foreign_domain_contacts_nobody(host: Host, browser: Browser) -> None:
    """Nothing that a caller sends makes the server contact another host, or any at all."""
    check_problem(browser.code(domain="attacker.example"), "parameter-foreign")
    assert host.tenant.requests == ()


def test_foreign_client_id_is_not_told_ours(caller: Caller) -> None:
    """The refusal does not tell what is configured."""
    response = caller.code(client_id="another-client")
    assert "local-client" not in response.text


# -- TokenizedPKCE ---------------------------------------------------------------------------

TOKENS: dict[str, tuple[dict[str, Any], str, str]] = {
    **{
        f"grant_type {value!r}": (
            {"grant_type": value},
            "grant-type-unsupported",
            "$.grant_type",
        )
        for value in (
            "password",
            "client_credentials",
            "implicit",
            "urn:ietf:params:oauth:grant-type:token-exchange",
            "AUTHORIZATION_CODE",
            "refresh-token",
        )
    },
    **{
        f"{name} {value!r}": ({name: value}, "parameter-invalid", f"$.{name}")
        for name, values in {
            "grant_type": (1, ["refresh_token"]),
            "client_id": (1, {}),
            "redirect_uri": (1, "a\nb", "x" * 2049),
            "audience": (1, "a\0b"),
            "code": (1, "with space", "é", "a\nb", "x" * 4097),
            "code_verifier": (
                1,
                VERIFIER[:-1],
                "x" * 129,
                VERIFIER[:-1] + "\n",
                VERIFIER[:-1] + "+",
                VERIFIER[:-1] + "é",
            ),
            "refresh_token": (1, "goes-with-another-grant"),
            "schema": ("x", 1),
        }.items()
        for value in values
    },
    **{
        f"{name} {value}": ({name: value}, "parameter-foreign", f"$.{name}")
        for name, value in (
            ("client_id", "another-client"),
            ("audience", "https://api.example/"),
            ("redirect_uri", "https://attacker.example/"),
            ("redirect_uri", "http://localhost/pkce/response/code/"),
        )
    },
    "code of nobody": ({"code": "a-code"}, "grant-unknown", "$.code"),
    "verifier of nobody": ({"code_verifier": VERIFIER}, "grant-unknown", "$.code_verifier"),
    "refresh token of nobody": (
        {"grant_type": "refresh_token", "refresh_token": "a-token"},
        "refresh-token-unknown",
        "$.refresh_token",
    ),
    "refresh token too long": (
        {"grant_type": "refresh_token", "refresh_token": "é" * 8000},
        "body-too-large",
        "",
    ),
}


@pytest.mark.parametrize(("body", "code", "field"), TOKENS.values(), ids=TOKENS.keys())
def test_tokenized(body: dict[str, Any], code: str, field: str, caller: Caller) -> None:
    """A member of ``TokenizedPKCE`` that is not what it must be is named; the tenant is not
    asked, and the code stays good."""
    refused(caller, lambda: caller.token(**body), code, field=field or None)
    assert caller.token().status_code == 200


def test_wrong_verifier(caller: Caller) -> None:
    """A wrong verifier for the right code is told before the tenant is asked."""
    (flow,) = caller.host.engine.sessions.flows(caller.host.session_of(caller))
    body = {"code": flow.value.code, "code_verifier": VERIFIER}
    refused(caller, lambda: caller.token(**body), "verifier-mismatch", field="$.code_verifier")
    assert caller.token().status_code == 200


# -- the answer of the tenant ----------------------------------------------------------------

#: A form, the code of its error, and the field that is named.
ANSWERS: dict[str, tuple[str, str, str]] = {
    "no state": ("code=c", "state-unknown", "state"),
    "an empty state": ("code=c&state=", "state-unknown", "state"),
    "no code": ("state=s", "parameter-invalid", "code"),
    "an empty code": ("state=s&code=", "parameter-invalid", "code"),
    "state with a space": ("code=c&state=a+b", "parameter-invalid", "state"),
    "state with a control": ("code=c&state=a%00b", "parameter-invalid", "state"),
    "state too long": (f"code=c&state={'s' * 513}", "parameter-invalid", "state"),
    "code with a space": ("state=s&code=a%20b", "parameter-invalid", "code"),
    "code of other letters": ("state=s&code=%C3%A9", "parameter-invalid", "code"),
    "code with a newline": ("state=s&code=a%0Ab", "parameter-invalid", "code"),
    "code too long": (f"state=s&code={'c' * 4097}", "parameter-invalid", "code"),
    "error as a script": ("state=s&error=%3Cscript%3E%22", "parameter-invalid", "error"),
    "error with a quote": ("state=s&error=%22", "parameter-invalid", "error"),
    "error with a newline": ("state=s&error=a%0Ab", "parameter-invalid", "error"),
    "error too long": (f"state=s&error={'e' * 65}", "parameter-invalid", "error"),
    "iss with a space": ("state=s&code=c&iss=a+b", "parameter-invalid", "iss"),
    "a JWT": ("state=s&code=c&response=eyJ", "parameter-invalid", "response"),
    "state twice": ("state=s&state=s&code=c", "parameter-invalid", "state"),
    "code twice": ("state=s&code=a&code=b", "parameter-invalid", "code"),
    "error twice": ("state=s&error=a&error=b", "parameter-invalid", "error"),
    "iss twice": ("state=s&code=c&iss=a&iss=a", "parameter-invalid", "iss"),
    "anything twice": ("state=s&code=c&x=1&x=2", "parameter-invalid", "x"),
    "33 fields": (
        "state=s&code=c&" + "&".join(f"f{number}=x" for number in range(31)),
        "body-malformed",
        "",
    ),
    "no UTF-8": ("state=s&code=%FF", "body-malformed", ""),
    "an overlong slash": ("state=s&code=%C0%AF", "body-malformed", ""),
    "half a surrogate pair": ("state=s&code=%ED%A0%80", "body-malformed", ""),
    "percent without digits": ("state=s&code=%zz", "body-malformed", ""),
    "percent at the end": ("state=s&code=a%", "body-malformed", ""),
    "percent with one digit": ("state=s&code=%4", "body-malformed", ""),
}


@pytest.mark.parametrize(("form", "code", "field"), ANSWERS.values(), ids=ANSWERS.keys())
def test_answer(form: str, code: str, field: str, caller: Caller) -> None:
    """A malformed answer is refused by name, from a program, from a page, and in a query."""
    refused(
        caller,
        lambda: caller.send("POST", CALLBACK, data=form, content_type=FORM),
        code,
        field=field or None,
    )
    host = caller.host
    before = host.store.contents()
    posted = CrossSitePost(host).send("POST", CALLBACK, data=form, content_type=FORM)
    check_page(posted, code)
    environ = {"QUERY_STRING": form}
    check_page(Browser(host).open(CALLBACK, environ_overrides=environ), code)
    assert host.store.contents() == before


def test_raw_bytes_in_a_form(caller: Caller) -> None:
    """A form is ASCII, percent-encoded."""
    body = "state=s&code=é".encode()
    refused(
        caller,
        lambda: caller.send("POST", CALLBACK, data=body, content_type=FORM),
        "body-malformed",
    )


def test_raw_bytes_in_a_query(host: Host, browser: Browser) -> None:
    """So is a query."""
    environ = {"QUERY_STRING": "state=s&code=\xe9"}
    check_page(browser.open(CALLBACK, environ_overrides=environ), "body-malformed")


def test_query_too_large(host: Host, browser: Browser) -> None:
    """A query of more than 16 KiB is refused like a body."""
    environ = {"QUERY_STRING": f"state=s&x={'x' * 16 * 1024}"}
    check_page(browser.open(CALLBACK, environ_overrides=environ), "body-too-large", status=413)


@pytest.mark.parametrize("name", ["code", "state", "error", "iss", "ticket"])
def test_query_beside_a_form(name: str, caller: Caller) -> None:
    """A query that stands beside the form shadows nothing: it is refused."""
    form = {"state": "s", "code": "c"}
    refused(
        caller,
        lambda: caller.send("POST", f"{CALLBACK}?{name}=x", data=form),
        "parameter-invalid",
        field=name,
    )


def test_empty_form(caller: Caller) -> None:
    """An empty form is no answer."""
    refused(
        caller,
        lambda: caller.send("POST", CALLBACK, data="", content_type=FORM),
        "state-unknown",
        field="state",
    )


STATES = {
    "unknown": ("no-such-state", "state-unknown"),
    "forged": (FORGED, "state-forged"),
    "cut off": ("pkce1.", "state-forged"),
    "of another form": ("pkce1.x.y", "state-forged"),
    "of a later release": ("pkce2.x.y", "state-unknown"),
}


@pytest.mark.parametrize(("state", "code"), STATES.values(), ids=STATES.keys())
def test_state(state: str, code: str, caller: Caller) -> None:
    """A state that is unknown, and one that nobody signed, are told apart."""
    refused(caller, lambda: caller.respond(state=state, code="c"), code)


@pytest.mark.parametrize("position", [0, 20, 50, 88])
def test_state_with_another_letter(position: int, caller: Caller) -> None:
    """One other letter anywhere makes a state unknown or forged."""
    state = caller.challenge()["state"]
    letter = "B" if state[position] == "A" else "A"
    tampered = state[:position] + letter + state[position + 1 :]
    code = "state-unknown" if position == 0 else "state-forged"
    refused(caller, lambda: caller.respond(state=tampered, code="c"), code)


def test_state_of_another_key(caller: Caller, make_app: MakeApp) -> None:
    """A state of another worker's key is forged to us; the hint says what may be the matter."""
    elsewhere = make_app(SECRET_KEY="the key of another worker, which is another")
    state = elsewhere.browser().challenge()["state"]
    members = refused(caller, lambda: caller.respond(state=state, code="c"), "state-forged")
    assert "SECRET_KEY" in members["hint"]


def test_state_of_another_session(caller: Caller) -> None:
    """A state of another session is refused, at every route, in no other words than for one
    that does not exist any more."""
    state = caller.host.browser().challenge()["state"]
    for act in (
        lambda: caller.code(state=state),
        lambda: caller.respond(state=state, code="c"),
    ):
        refused(caller, act, "session-mismatch")
    caller.host.store.close()
    if isinstance(caller, Browser):
        # Its own session is gone as well, which changes nothing.
        assert caller.code(state=state).status_code == 403


# -- methods, prefetches, types that are accepted --------------------------------------------


METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT")


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


@pytest.mark.parametrize("path", ROUTES)
def test_options(path: str, make_app: MakeApp) -> None:
    """OPTIONS tells the methods, has no effect, and is no CORS preflight of ours."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    headers = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    response = host.program().send("OPTIONS", path, headers=headers)
    assert response.status_code == 204
    assert response.headers["Allow"] == ", ".join(ROUTES[path])
    assert host.store.contents() == {}


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
    refused(
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
    check_page(page, "parameter-invalid")


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


# -- anything at all -------------------------------------------------------------------------

_json = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda children: (
        st.lists(children, max_size=4) | st.dictionaries(st.text(), children, max_size=4)
    ),
    max_leaves=12,
)
_members = st.sampled_from(
    [
        "response_type", "client_id", "redirect_uri", "domain", "audience", "scope", "state",
        "nonce", "code_challenge", "code_challenge_method", "response_mode", "screen_hint",
        "prompt", "organization", "invitation", "ADDITIONAL_PARAMETERS", "schema", "code",
        "code_verifier", "grant_type", "refresh_token", "error", "error_description", "iss",
        "ticket", "return_to",
    ]
)  # fmt: skip
_words = st.sampled_from(
    [
        "code",
        "S256",
        "form_post",
        "refresh_token",
        "openid",
        "UNKNOWN",
        "",
        "tenant.example",
        FORGED,
    ]
)
_bodies = st.one_of(
    st.binary(max_size=200),
    st.dictionaries(_members, _words | _json, max_size=6).map(
        lambda members: json.dumps(members).encode()
    ),
    st.dictionaries(_members, _words | st.text(), max_size=6).map(
        lambda members: urlencode(members, errors="replace").encode()
    ),
)
_headers = st.dictionaries(
    st.sampled_from(
        [
            "Accept", "Content-Encoding", "Cookie", "Origin", "Prefer", "Sec-Fetch-Dest",
            "Sec-Fetch-Mode", "Sec-Fetch-Site", "Sec-Purpose", "X-Forwarded-For",
        ]
    ),
    st.sampled_from(
        [
            "*/*", "text/html", "application/json;q=x", "gzip", "null", "http://localhost",
            "wait=x", "navigate", "same-origin", "none", "document", "prefetch", "pkce-80=x.y",
        ]
    )
    | st.text(st.characters(min_codepoint=32, max_codepoint=255), max_size=30),
    max_size=4,
)  # fmt: skip


@pytest.fixture
def hosts(make_app: MakeApp) -> dict[str, Host]:
    """Hosts of both deliveries, with the local session on."""
    return {
        delivery: make_app(PKCE_LOCAL_SESSION=True, PKCE_TOKEN_DELIVERY=delivery)
        for delivery in ("caller", "session")
    }


@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    delivery=st.sampled_from(["caller", "session"]),
    method=st.sampled_from(["GET", "POST", "PUT", "HEAD", "OPTIONS"]),
    path=st.sampled_from(sorted(ROUTES)),
    query=_bodies.map(lambda body: body.decode("latin-1")),
    body=_bodies,
    content_type=st.sampled_from([JSON, FORM, "text/plain", "multipart/form-data", ""]),
    headers=_headers,
)
def test_anything(
    hosts: dict[str, Host],
    delivery: str,
    method: str,
    path: str,
    query: str,
    body: bytes,
    content_type: str,
    headers: dict[str, str],
) -> None:
    """Whatever comes, at whatever route, is answered, and never with a 5xx."""
    host = hosts["session" if path == "/pkce/user" else delivery]
    for caller in (host.browser(), host.program()):
        caller.headers = {}
        response = caller.send(
            method,
            path,
            data=body,
            content_type=content_type,
            headers={name: value.encode().decode("latin-1") for name, value in headers.items()},
            environ_overrides={"QUERY_STRING": query},
        )
        assert response.status_code < 500, response.text
