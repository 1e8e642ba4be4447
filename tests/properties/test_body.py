"""Forms and queries, read as Werkzeug reads them where they are harmless, or refused."""

from __future__ import annotations

from contextlib import suppress
from urllib.parse import quote, urlencode

from flask import Request
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from flask_pkce.errors import (
    BodyMalformed,
    BodyTooLarge,
    MediaTypeUnsupported,
    ParameterInvalid,
)
from flask_pkce.web.body import MAX_BODY, read_form, read_json, read_query
from tests.properties.documents import TEXT

FORM = "application/x-www-form-urlencoded"

QUERIES = (
    st.lists(
        st.sampled_from(
            [
                "a", "b", "state", "=", "&", "+", "%", "%41", "%c3%a9", "%ff", "%zz", "%0a", ";",
                "é", " ",
            ]
        ),
        max_size=16,
    ).map("".join)
    | st.binary(max_size=60).map(lambda data: data.decode("latin-1"))
    | st.binary(max_size=40).map(quote)
)  # fmt: skip


def _request(query: str = "", body: bytes = b"", content_type: str = FORM) -> Request:
    environ = EnvironBuilder(method="POST", data=body, content_type=content_type).get_environ()
    return Request({**environ, "QUERY_STRING": query})


@given(st.dictionaries(TEXT, TEXT, max_size=10))
def test_harmless_fields(fields: dict[str, str]) -> None:
    """Fields that are spelled as they should be are read, in the query and in the body."""
    encoded = urlencode(fields)
    request = _request(encoded, encoded.encode())
    assert read_query(request) == fields == request.args.to_dict()
    assert read_form(request) == fields
    assert _request(body=encoded.encode()).form.to_dict() == fields


@given(QUERIES)
def test_any_fields(text: str) -> None:
    """Whatever comes is read as Werkzeug reads it, each name once, or refused."""
    for request, read in (
        (_request(text), read_query),
        (_request(body=text.encode("latin-1")), read_form),
    ):
        try:
            fields = read(request)
        except (BodyMalformed, ParameterInvalid, BodyTooLarge):
            continue
        parsed = _request(text).args
        assert fields == parsed.to_dict()
        assert len(list(parsed.items(multi=True))) == len(fields)


@given(
    st.binary(max_size=80),
    st.sampled_from([FORM, "application/json", "application/json; charset=x", "text/plain", ""]),
    st.sampled_from([None, "-1", "0", "1", "99999999999999999999", "x", "+5", "１"]),
)  # fmt: skip
def test_any_body(body: bytes, content_type: str, length: str | None) -> None:
    """Whatever a request says of its body, reading it ends with what is documented."""
    for read in (read_form, read_json):
        request = _request(body=body, content_type=content_type)
        if length is not None:
            request.environ["CONTENT_LENGTH"] = length
        with suppress(BodyMalformed, BodyTooLarge, MediaTypeUnsupported, ParameterInvalid):
            read(Request(request.environ))


@given(st.integers(-2, 2))
def test_the_bound(more: int) -> None:
    """A form of up to 16 KiB is read, and not one byte more."""
    body = b"a=" + b"x" * (MAX_BODY - 2 + more)
    for request, read in (
        (_request(body.decode()), read_query),
        (_request(body=body), read_form),
    ):
        try:
            read(request)
            is_read = True
        except BodyTooLarge:
            is_read = False
        assert is_read is (more <= 0)
