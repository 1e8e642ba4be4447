"""Bodies that are not what their type says: refused by name, with nothing changed."""

from __future__ import annotations

import gzip
import io
import json
from typing import Any

import pytest

from tests.web.host import (
    CALLBACK,
    Browser,
    Caller,
    CrossSitePost,
    Host,
    check_page,
    check_problem,
    check_refused,
)

JSON = "application/json"
FORM = "application/x-www-form-urlencoded"

JSON_ROUTES = ["/pkce/code", "/pkce/token"]

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


@pytest.mark.requirement("IN-1", "N06c", "N06d", "N06e", "N06f")
@pytest.mark.parametrize("path", JSON_ROUTES)
@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED.keys())
def test_malformed_json(body: bytes, path: str, caller: Caller) -> None:
    """What is not one JSON object, spelled as it must be, is refused."""
    members = check_refused(
        caller,
        lambda: caller.send("POST", path, data=body, content_type=JSON),
        "body-malformed",
        field="$",
    )
    assert len(members["detail"]) < 100


@pytest.mark.requirement("IN-1")
@pytest.mark.parametrize("path", JSON_ROUTES)
def test_eight_deep(path: str, caller: Caller) -> None:
    """What the API does not know may lie eight deep, and is ignored."""
    body = b'{"a":' * 8 + b"1" + b"}" * 8
    assert caller.send("POST", path, data=body, content_type=JSON).status_code == 200


@pytest.mark.requirement("IN-1", "IN-2", "N06c", "N06f")
@pytest.mark.parametrize("path", [*JSON_ROUTES, CALLBACK])
def test_too_large(path: str, caller: Caller) -> None:
    """A body of more than 16 KiB is refused by its length, before it is read."""
    content_type = FORM if path == CALLBACK else JSON
    environ = {"wsgi.input": Unread(), "CONTENT_LENGTH": str(16 * 1024 + 1)}
    check_refused(
        caller,
        lambda: caller.send("POST", path, content_type=content_type, environ_overrides=environ),
        "body-too-large",
    )


@pytest.mark.parametrize("path", [*JSON_ROUTES, CALLBACK])
def test_cut_off(path: str, caller: Caller) -> None:
    """A body that ends before its length is refused: half a code is not bound."""
    content_type = FORM if path == CALLBACK else JSON
    environ = {"wsgi.input": io.BytesIO(b"state=a&code=b"), "CONTENT_LENGTH": "15"}
    check_refused(
        caller,
        lambda: caller.send("POST", path, content_type=content_type, environ_overrides=environ),
        "body-malformed",
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


@pytest.mark.requirement("IN-1", "IN-2", "N06f")
@pytest.mark.parametrize("path", [*JSON_ROUTES, CALLBACK])
def test_too_large_chunked(path: str, caller: Caller) -> None:
    """A chunked body without a length is read up to the limit, and no further."""
    content_type = FORM if path == CALLBACK else JSON
    environ = {"wsgi.input": Endless(), "wsgi.input_terminated": True, **CHUNKED}
    check_refused(
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


@pytest.mark.requirement("IN-1", "N59", "BB-4", "T15")
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
    check_refused(
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


@pytest.mark.requirement("N06f")
@pytest.mark.parametrize("content_type", [JSON, FORM, "text/plain", None])
def test_empty_body_has_no_type(content_type: str | None, host: Host, browser: Browser) -> None:
    """An empty body is no body, whatever its type."""
    response = browser.send("POST", "/pkce/code", data=b"", content_type=content_type)
    assert response.status_code == 200


@pytest.mark.requirement("FP-1", "N15")
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


@pytest.mark.requirement("IN-1", "N06f")
@pytest.mark.parametrize("path", [*JSON_ROUTES, CALLBACK])
@pytest.mark.parametrize("encoding", ["gzip", "deflate", "br", "GZIP", "identity, gzip", "x"])
def test_compressed(encoding: str, path: str, caller: Caller) -> None:
    """A compressed body, which could grow when it is read, is not read."""
    content_type = FORM if path == CALLBACK else JSON
    check_refused(
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
