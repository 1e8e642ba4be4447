"""What a request brought: JSON or a form, read with a bound of our own."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import IO, Any
from urllib.parse import parse_qsl

from flask import Request
from werkzeug.exceptions import ClientDisconnected, RequestEntityTooLarge

from ..errors import BodyMalformed, BodyTooLarge, MediaTypeUnsupported, ParameterRepeated
from ..protocol.strict_json import StrictJSONError, loads_object
from ..protocol.text import one_line

#: Bytes of a body.
MAX_BODY = 16 * 1024

#: Fields of a form or a query.
MAX_FIELDS = 32

_MAX_DEPTH = 8
_JSON = "application/json"
_FORM = "application/x-www-form-urlencoded"
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


def _read(request: Request) -> bytes:
    """The body, of which no more is read than is allowed.

    :raises BodyTooLarge: if it is larger.
    :raises BodyMalformed: if it ends before its length.
    """
    if (request.content_length or 0) > MAX_BODY:
        raise BodyTooLarge()
    if request.content_length is None and not request.environ.get("wsgi.input_terminated"):
        return b""
    try:
        # Where the host read it before us, the stream is at its end, and Werkzeug has the body.
        data = _read_stream(request.stream) or request.get_data()
    except RequestEntityTooLarge:
        # The host's own limit is lower than ours.
        raise BodyTooLarge() from None
    except ClientDisconnected:
        raise BodyMalformed("The body ends before its Content-Length.") from None
    if len(data) > MAX_BODY:
        raise BodyTooLarge()
    return data


def _read_stream(stream: IO[bytes]) -> bytes:
    """A byte more than is allowed, or all: one read may give less than there is."""
    data = b""
    while len(data) <= MAX_BODY and (chunk := stream.read(MAX_BODY + 1 - len(data))):
        data += chunk
    return data


def _check_encoding(request: Request) -> None:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise MediaTypeUnsupported("The body is compressed, which this route does not read.")


def read_json(request: Request) -> Mapping[str, Any]:
    """The JSON object in the body; an empty body is an empty object, whatever its type.

    :raises MediaTypeUnsupported: if the body is of another type.
    :raises BodyTooLarge: if it has more than 16 KiB.
    :raises BodyMalformed: if it is no JSON object, or nested or spelled as none should be.
    """
    _check_encoding(request)
    data = _read(request)
    if not data:
        return {}
    if request.mimetype != _JSON:
        raise MediaTypeUnsupported()
    try:
        return loads_object(data, max_depth=_MAX_DEPTH)
    except StrictJSONError as exc:
        raise BodyMalformed(f"is {exc}" if "not" in str(exc) else str(exc), field="$") from None


def is_form(request: Request) -> bool:
    """Whether the body says that it is a form."""
    return request.mimetype == _FORM


def read_form(request: Request) -> dict[str, str]:
    """The fields of the form in the body, each once.

    :raises MediaTypeUnsupported: if the body is no form.
    :raises BodyTooLarge: if it has more than 16 KiB.
    :raises BodyMalformed: if it is malformed, or not UTF-8, or has too many fields.
    :raises ParameterRepeated: if a field is repeated (RFC 6749 3.1).
    """
    _check_encoding(request)
    if not is_form(request):
        raise MediaTypeUnsupported()
    if "form" in request.__dict__:
        # The host parsed it before us, and the stream is at its end.
        return _once(request.form.items(multi=True))
    return _once(_parse(_read(request).decode("latin-1")))


def read_query(request: Request) -> dict[str, str]:
    """The parameters of the query, each once.

    :raises BodyTooLarge: if it has more than 16 KiB.
    :raises BodyMalformed: as :func:`read_form`.
    :raises ParameterRepeated: as :func:`read_form`.
    """
    query = request.query_string.decode("latin-1")
    if len(query) > MAX_BODY:
        raise BodyTooLarge("The query is larger than any that this route needs.")
    return _once(_parse(query))


def _parse(text: str) -> list[tuple[str, str]]:
    try:
        if not text.isascii() or _BAD_PERCENT.search(text):
            raise ValueError
        return parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError:
        raise BodyMalformed("The form is malformed, not UTF-8, or has too many fields.") from None


def _once(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in pairs:
        if name in fields:
            raise ParameterRepeated("is given more than once", field=one_line(name)[:64])
        fields[name] = value
    return fields
