"""What strangers send is read in time that grows no faster than its length."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from flask_pkce.errors import PKCEError
from flask_pkce.protocol import pkce, text
from flask_pkce.protocol.strict_json import loads
from flask_pkce.protocol.urls import is_local_path, is_loopback_host, parse_address, read_host
from flask_pkce.relying_party.authorization_request import ADDITIONAL, EXTENSION
from flask_pkce.sessions.signing import Signing
from flask_pkce.settings.values import is_tenant_name
from flask_pkce.web.body import is_form, read_query
from flask_pkce.web.cookies import cookie_names, read_cookies
from flask_pkce.web.guard import check_prefetch, wants_html
from flask_pkce.web.limits import wished_wait
from flask_pkce.web.models import read_schema

#: Characters: more than most servers let a header have.
LENGTH = 65536
#: Our own bounds, where there are any: what is longer is not looked at.
BOUNDED = {"query": 16384, "path": 2048, "address": 2048}
#: Seconds of CPU time for one call.  Quadratic time would be many times as long.
BOUND = 0.5

UNITS = (
    *("a", "A", "1", "-", ".", ":", "/", "\\", "?", "#", "@", "%", "&", "=", ";", ",", '"', "'"),
    *(
        " ",
        "\t",
        "\xa0",
        "\xe9",
        "(",
        ")",
        "[",
        "]",
        "{",
        "[:",
        "a.",
        "a-",
        "a:",
        "1.",
        "::",
        "//",
    ),
    *(
        "/.",
        "/..",
        "%2",
        "%41",
        "%2e",
        "%2f",
        "a=",
        "=;",
        "a=;",
        "a=&",
        " ;",
        "a b",
        "a, ",
        "x;y ",
    ),
    *("*/*,", "a/b;", "text/html;q=0.1,", 'a/b;c="', "a/b;c=\\", "wait", "wait=", "wait=1;,"),
    *("pkce-80=;", "pkce1.", "ext-", "a.b.", '{"a":', "[1,", '"\\u00e9', "1e", "http://a."),
)


def _request(**environ: str) -> Request:
    return Request(EnvironBuilder(environ_overrides=environ).get_environ())


SIGNING = Signing([b"a secret of 32 characters or more"], namespace="pkce")
READERS: dict[str, Callable[[str], object]] = {
    "Host": read_host,
    "names of cookies": lambda sent: cookie_names(_request(HTTP_COOKIE=sent)),
    "values of cookies": lambda sent: read_cookies(_request(HTTP_COOKIE=sent), "pkce-80"),
    "pointer": SIGNING.read_pointer,
    "state": SIGNING.read_state,
    "Prefer": lambda sent: wished_wait(_request(HTTP_PREFER=sent)),
    "Accept": lambda sent: wants_html(_request(HTTP_ACCEPT=sent)),
    "Content-Type": lambda sent: is_form(_request(CONTENT_TYPE=sent)),
    "Purpose": lambda sent: check_prefetch(_request(HTTP_PURPOSE=sent)),
    "query": lambda sent: read_query(_request(QUERY_STRING=sent)),
    "JSON": lambda sent: loads(sent.encode(), max_depth=8),
    "schema": read_schema,
    "path": is_local_path,
    "address": parse_address,
    "peer": is_loopback_host,
    "tenant": is_tenant_name,
    "scope": text.is_scope_token,
    "visible ASCII": lambda sent: text.is_visible_ascii(sent, len(sent)),
    "printable ASCII": lambda sent: text.is_printable_ascii(sent, len(sent)),
    "error": text.is_error_code,
    "controls": text.has_control_characters,
    "one line": text.one_line,
    "verifier": pkce.CODE_VERIFIER.fullmatch,
    "challenge": pkce.CODE_CHALLENGE.fullmatch,
    "name of an extension": EXTENSION.fullmatch,
    **{name: pattern.fullmatch for name, pattern in ADDITIONAL.items()},
}


@pytest.mark.parametrize("name", READERS)
def test_time_is_linear(name: str) -> None:
    """The worst that a request can say costs a fraction of a second, well formed or not."""
    read, length = READERS[name], BOUNDED.get(name, LENGTH) - 2
    for unit in UNITS:
        long = unit * (length // len(unit))
        for sent in (long, f"/{long}\n", f"x{long}!"):
            started = time.process_time()
            with suppress(PKCEError, ValueError):
                read(sent)
            assert time.process_time() - started < BOUND, unit
