"""The one cookie: a signed pointer to a session on the server.

:rfc:`6265`
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from urllib.parse import urlsplit

from flask import Request, Response

#: Cookies of our name in one request.  With more, another site planted some, and the library reads
#: none of them.
MAX_COOKIES = 4


@lru_cache(maxsize=64)
def cookie_name(blueprint: str, root: str) -> str:
    """Return the session cookie's name: ``__Host-pkce``, or ``pkce-<port>`` over http on loopback.

    Browsers do not keep the cookies of two ports apart (RFC 6265bis 8.5), hence the port.

    :param blueprint: the blueprint's full name.
    :param root: the address of the application's root.
    """
    base = _base_name(blueprint)
    parts = urlsplit(root)
    return f"__Host-{base}" if parts.scheme == "https" else f"{base}-{parts.port or 80}"


def is_session_cookie(blueprint: str, name: str) -> bool:
    """Return whether a name is that of a blueprint's session cookie, at any scheme and port."""
    base = _base_name(blueprint)
    port = name.removeprefix(f"{base}-")
    return name == f"__Host-{base}" or (port != name and port.isascii() and port.isdigit())


def _base_name(blueprint: str) -> str:
    return blueprint if blueprint == "pkce" else f"pkce-{blueprint.replace('.', '-')}"


@dataclass(frozen=True)
class Cookie:
    """The value of a cookie, which no ``repr`` shows."""

    value: str = field(repr=False)


def read_cookies(request: Request, name: str) -> list[Cookie]:
    """Return all cookies of a name: another subdomain may have planted some."""
    return [Cookie(value) for found, value in _pairs(request) if found == name]


def cookie_names(request: Request) -> set[str]:
    """Return the names of the cookies that came with a request."""
    return {name for name, _ in _pairs(request)}


def _pairs(request: Request) -> Iterator[tuple[str, str]]:
    """Yield the name and value of each cookie, as the browser sent them.

    ``request.cookies`` is not used: some releases of Werkzeug take ``\\xa0__Host-pkce``, which any
    sibling domain may set, for ``__Host-pkce``; and an application may replace its type.

    :rfc:`6265#section-5.4`
    """
    for pair in request.environ.get("HTTP_COOKIE", "").split(";"):
        name, equals, value = pair.partition("=")
        if equals:
            yield name.strip(" \t"), value.strip(" \t")


def set_cookie(response: Response, name: str, value: str, *, secure: bool) -> None:
    """Set the cookie, for as long as the browser runs."""
    response.set_cookie(name, value, path="/", secure=secure, httponly=True, samesite="Lax")


def delete_cookie(response: Response, name: str, *, secure: bool) -> None:
    """Delete the cookie, with the attributes that it was set with."""
    response.delete_cookie(name, path="/", secure=secure, httponly=True, samesite="Lax")
