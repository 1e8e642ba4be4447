"""What each of three endpoints can answer: the one for tokens, the metadata, the key set."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from functools import cache

from flask import Response

from .catalogue import Scene, Stage, fault

JSON = "application/json"

#: Seconds between two bytes of an answer that drips.
DRIP_SECONDS = 0.02

#: The endpoints, by the names they have in the names of faults.
ENDPOINTS: dict[str, tuple[Stage, str]] = {
    "token": ("token_response", "token endpoint"),
    "metadata": ("metadata", "metadata endpoint"),
    "jwks": ("jwks", "key set's endpoint"),
}

Make = Callable[[Response, Scene], Response]


def _enter(
    name: str, summary: str, make: Make, endpoints: tuple[str, ...] = (*ENDPOINTS,)
) -> None:
    """Enter a fault for each endpoint.

    :param summary: what follows the name of the endpoint.
    :param make: makes the answer, given the good one.
    """
    for endpoint in endpoints:
        stage, title = ENDPOINTS[endpoint]

        fault(f"{endpoint}-{name}", stage, f"The {title} {summary}")(make)


def _before(response: Response, member: bytes) -> Response:
    """The answer with one more member, the first."""
    response.set_data(response.get_data().replace(b"{", b"{" + member + b", ", 1))
    return response


def _first_member(response: Response) -> bytes:
    name = next(iter(json.loads(response.get_data())))
    return b'"%s": "twice"' % name.encode()


@cache
def _bomb() -> bytes:
    return gzip.compress(bytes(16 * 1024 * 1024))


def _endless() -> Iterator[bytes]:
    while True:
        yield b" " * 65536


def _drip() -> Iterator[bytes]:
    while True:
        yield b" "
        time.sleep(DRIP_SECONDS)


def _cut_off(response: Response) -> Response:
    cut_off = Response(iter([response.get_data()]), mimetype=JSON)
    cut_off.content_length = len(response.get_data()) + 10
    return cut_off


# -- something other than JSON -----------------------------------------------

_enter(
    "html",
    "answers with a page and 200, as a captive portal would.",
    lambda response, scene: Response("<!doctype html><title>Welcome</title>"),
)
_enter(
    "html-500",
    "fails with a page that says more than it should.",
    lambda response, scene: Response(f"<pre>{response.get_data(as_text=True)}</pre>", 500),
)
_enter(
    "wrong-media-type",
    "answers with JSON, and says that it is a page.",
    lambda response, scene: Response(response.get_data(), mimetype="text/html"),
)
_enter(
    "empty",
    "answers with nothing, and says that it is JSON.",
    lambda response, scene: Response("", mimetype=JSON),
)
_enter("204", "answers that there is nothing.", lambda response, scene: Response("", 204))

# -- JSON that is no good ----------------------------------------------------

_enter(
    "not-json",
    "answers with JSON that is cut off.",
    lambda response, scene: Response('{"access_token": "', mimetype=JSON),
)
_enter(
    "not-utf8",
    "answers with JSON that is no UTF-8.",
    lambda response, scene: _before(response, b'"a": "\xff"'),
)
_enter(
    "list",
    "answers with a list.",
    lambda response, scene: Response(f"[{response.get_data(as_text=True)}]", mimetype=JSON),
)
_enter(
    "null",
    "answers with null.",
    lambda response, scene: Response("null", mimetype=JSON),
)
_enter(
    "duplicate-member",
    "answers with a member twice.",
    lambda response, scene: _before(response, _first_member(response)),
)
_enter(
    "nan",
    "answers with a member that is no number.",
    lambda response, scene: _before(response, b'"a": NaN'),
)
_enter(
    "infinity",
    "answers with a number that no float can hold.",
    lambda response, scene: _before(response, b'"a": 1e999'),
)
_enter(
    "deeply-nested",
    "answers with a member that is nested a hundred thousand deep.",
    lambda response, scene: _before(response, b'"a": ' + b"[" * 100_000 + b"]" * 100_000),
)
_enter(
    "surrogate",
    "answers with half of a character.",
    lambda response, scene: _before(response, rb'"a": "\ud800"'),
)

# -- too much, too slow, elsewhere -------------------------------------------

_enter(
    "oversized",
    "answers with more than a mebibyte.",
    lambda response, scene: _before(response, b'"a": "' + b"a" * 1024 * 1024 + b'"'),
)
_enter(
    "gzip-bomb",
    "answers compressed, unasked: a few kilobytes become sixteen mebibytes.",
    lambda response, scene: Response(_bomb(), headers={"Content-Encoding": "gzip"}, mimetype=JSON),
)
_enter(
    "endless-body",
    "answers without an end.",
    lambda response, scene: Response(_endless(), mimetype=JSON),
)
_enter(
    "slow-drip",
    "answers with a byte now and then, without an end.",
    lambda response, scene: Response(_drip(), mimetype=JSON),
)
_enter(
    "cut-off",
    "drops the connection in the middle of its answer.",
    lambda response, scene: _cut_off(response),
)
_enter(
    "redirect",
    "redirects to ``/elsewhere``.",
    lambda response, scene: Response("", 301, {"Location": f"{scene.issuer}elsewhere"}),
    ("metadata", "jwks"),
)
_enter(
    "500",
    "fails.",
    lambda response, scene: Response("Internal Server Error", 500, mimetype="text/plain"),
    ("metadata",),
)
_enter(
    "429",
    "asks to slow down.",
    lambda response, scene: Response("{}", 429, {"Retry-After": "7"}, mimetype=JSON),
    ("metadata", "jwks"),
)
