"""How every answer is made: by ourselves, whatever the host did to its JSON and error handling."""

from __future__ import annotations

import re
import secrets
from collections.abc import Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from flask import Response, render_template
from jinja2 import DictLoader, Environment
from werkzeug.datastructures import Headers

from ..stores.descriptors import are_exhausted

_HEADERS = (
    ("Cache-Control", "no-store, private"),
    ("Pragma", "no-cache"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
    ("X-Frame-Options", "DENY"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Vary", "Cookie, Origin, Accept, Prefer, Sec-Fetch-Mode"),
)
_CSP = "default-src 'none'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"


def _build_environment() -> Environment:
    """Read and compile the templates of the package, which later costs no file descriptor.

    The first compilation of a process opens modules of Jinja's and of Python's, too.
    """
    folder = Path(__file__).parent / "templates" / "pkce"
    sources = {f"pkce/{each.name}": each.read_text("utf-8") for each in folder.glob("*.html")}
    environment = Environment(loader=DictLoader(sources), autoescape=True)
    for name in sources:
        environment.get_template(name)
    return environment


#: The pages as the package has them, ready before there is a request.
#: The application's own environment is left alone until then: loading a page there would fix its
#: options, and compile the host's layout before the host has registered its filters.
_BUILT_IN = _build_environment()

#: A location that Werkzeug would send as it is.
_PLAIN_LOCATION = re.compile(r"[A-Za-z0-9\-._~%!#$&'()*+,/:;=?@]*")


#: What every answer keeps, by the names as they are compared; ``Vary`` may grow.
_KEPT = {name.lower(): (name, value) for name, value in _HEADERS if name != "Vary"}
_KEPT_HEADERS = list(_KEPT.values())


class _Response(Response):
    """An answer that is whole when it is made.

    It keeps its headers, whatever an ``after_request`` of the host sets on every answer.  Its
    policy for content is the exception: a host that has pages of its own may need another.
    """

    # Werkzeug would make a relative location absolute by the Host of the request.
    autocorrect_location_header = False

    def get_wsgi_headers(self, environ: Any) -> Headers:
        """The headers as they are, where there is nothing to add or to spell anew.

        Werkzeug looks for that in a copy, which costs as much as the rest of an answer.
        """
        if [each for each in self.headers if each[0].lower() in _KEPT] != _KEPT_HEADERS:
            for name, value in _KEPT_HEADERS:
                self.headers.set(name, value)
        is_whole = "Content-Length" in self.headers and self.status_code in {200, 303}
        if not is_whole or "Content-Location" in self.headers:
            return super().get_wsgi_headers(environ)
        if _PLAIN_LOCATION.fullmatch(self.headers.get("Location", "")) is None:
            return super().get_wsgi_headers(environ)
        return self.headers


class _CookielessResponse(_Response):
    """Sets no cookie, whoever asks for one: Flask saves the host's session at the very end."""

    def set_cookie(self, *args: Any, **kwargs: Any) -> None:
        """Set nothing; deleting a cookie sets it too."""


def without_cookies(response: Response) -> Response:
    """The same answer, to which nobody can add a cookie."""
    return _CookielessResponse(response.get_data(), response.status, response.headers)


def _finish(response: Response, csp: str = _CSP) -> Response:
    # It has none of these yet, so none has to be looked for.
    response.headers.extend(_HEADERS)
    response.headers.add("Content-Security-Policy", csp)
    return response


def json_response(
    value: Any, *, status: int = 200, media_type: str = "application/json"
) -> Response:
    """An answer in JSON.

    :param value: what msgspec can encode.
    """
    return _finish(_Response(msgspec.json.encode(value), status, content_type=media_type))


def no_content(*, allowed: Collection[str] = ()) -> Response:
    """204, with the methods of the path where those were asked for."""
    response = _Response(status=204)
    del response.headers["Content-Type"]
    if allowed:
        response.headers["Allow"] = ", ".join(sorted(allowed))
    return _finish(response)


def empty() -> Response:
    """Return a 200 without a body."""
    response = _Response(b"", 200)
    del response.headers["Content-Type"]
    return _finish(response)


def see_other(location: str) -> Response:
    """303: the browser goes on by GET, and no body is sent again."""
    response = _Response(b"", 303, content_type="text/html; charset=utf-8")
    response.headers["Location"] = location
    return _finish(response)


def _render(template: str, **context: Any) -> str:
    """Render a template, by that of the host if it has one of this name.

    Where it cannot be read because no file descriptors are left, the built-in one is shown.
    """
    try:
        return render_template(template, **context)
    except Exception as exc:
        if not are_exhausted(exc):
            raise
    return _BUILT_IN.get_template(template).render(context)


@dataclass(frozen=True)
class HiddenText:
    """A text with a secret in it, which a template writes and no ``repr`` shows."""

    text: str = field(repr=False)

    def __str__(self) -> str:
        return self.text


def page(
    template: str,
    *,
    status: int = 200,
    refresh: str | None = None,
    location: HiddenText | None = None,
    **context: Any,
) -> Response:
    """Render a small page, which a host can override by a template of that name.

    :param template: below ``pkce/``.
    :param refresh: the seconds after which the browser goes on by itself.  A header says it, and
        no ``meta``, so that it is not in the host's hands.
    :param location: where it goes on to; by default to the same address.
    """
    nonce = secrets.token_urlsafe(16)
    html = _render(f"pkce/{template}", csp_nonce=nonce, location=location, **context)
    # A sign-in goes on to the tenant, and from there to anybody who signs users in for it;
    # Chromium applies form-action to the whole chain of redirects.
    csp = (
        f"default-src 'none'; style-src 'nonce-{nonce}'; form-action 'self' https:"
        " http://localhost:* http://127.0.0.1:*; base-uri 'none'; frame-ancestors 'none'"
    )
    response = _Response(html, status, content_type="text/html; charset=utf-8")
    if refresh is not None:
        where = "" if location is None else f"; url={location}"
        response.headers["Refresh"] = refresh + where
    return _finish(response, csp)
