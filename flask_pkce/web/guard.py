"""Whether a request may be answered at all: method, prefetch, origin, acceptable types."""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from typing import NamedTuple

from flask import Request
from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

from ..errors import (
    MethodNotAllowed,
    NavigationFramed,
    NavigationRequired,
    NotAcceptable,
    OriginRefused,
    PrefetchRefused,
)

_HTML = "text/html"
#: `Sec-Purpose` and its forerunners, as the environ has them.
_PURPOSES = ("HTTP_SEC_PURPOSE", "HTTP_PURPOSE", "HTTP_X_PURPOSE", "HTTP_X_MOZ")
_JSON = ("application/json", "application/problem+json")
#: Characters of an ``Accept`` that is read; those of browsers have about 200.  Werkzeug's parser
#: takes seconds for 64 KiB of white space.
_MAX_ACCEPT = 1024


def check_method(request: Request, allowed: Collection[str]) -> None:
    """Check the method.

    :raises MethodNotAllowed: with those that are.
    """
    if request.method not in allowed:
        raise MethodNotAllowed(sorted(allowed))


def check_prefetch(request: Request) -> None:
    """Check that somebody meant this request.

    :raises PrefetchRefused: if a browser only guesses that it will be needed.
    """
    purposes = " ".join([request.environ.get(name, "") for name in _PURPOSES]).lower()
    if "prefetch" in purposes or "prerender" in purposes or "preview" in purposes:
        raise PrefetchRefused()


def is_foreign(request: Request, *, origin: str, allowed_origins: Collection[str]) -> bool:
    """Whether a page of another origin, which the application does not allow, makes a request.

    ``Sec-Fetch-Site`` decides; ``Origin`` only where that is absent.  A request with neither
    comes from a program or from an old browser, and is not foreign.  ``Referer`` is never read.

    :param origin: our own.
    :param allowed_origins: those that the application allows by name.
    """
    claimed = request.headers.get("Origin")
    if claimed in allowed_origins:
        return False
    site = request.headers.get("Sec-Fetch-Site")
    if site is None:
        return claimed not in {None, origin}
    return site not in {"same-origin", "none"}


def check_origin(request: Request, *, origin: str, allowed_origins: Collection[str]) -> None:
    """Check that no page of another origin makes this request.

    No user can type a POST: ``Sec-Fetch-Site: none`` allows a GET alone.

    :param origin: our own.
    :param allowed_origins: those that the application allows by name.
    :raises OriginRefused: otherwise.
    """
    if request.headers.get("Origin") in allowed_origins:
        return
    is_typed = request.headers.get("Sec-Fetch-Site") == "none"
    if is_typed and request.method != "GET":
        raise OriginRefused()
    if is_foreign(request, origin=origin, allowed_origins=allowed_origins):
        raise OriginRefused()


def check_callback(request: Request) -> None:
    """Check how an answer of the tenant arrives: as a page, or by a script of ours.

    Other sites send the browser here, so ``Origin`` says nothing; over https to http it is
    ``null``.

    :raises NavigationFramed: if it arrives in a frame.
    :raises NavigationRequired: if it arrives by a foreign script.
    """
    site = request.headers.get("Sec-Fetch-Site")
    if site is None:
        return
    if request.headers.get("Sec-Fetch-Mode") == "navigate":
        if request.headers.get("Sec-Fetch-Dest", "document") != "document":
            raise NavigationFramed()
    elif site != "same-origin":
        raise NavigationRequired()


def check_link(request: Request) -> None:
    """Check that a browser follows a link, wherever it stood, or that a program asks.

    :raises NavigationRequired: if a frame or a foreign script asks.
    """
    if request.headers.get("Sec-Fetch-Site") in {None, "same-origin", "none"}:
        return
    is_page = request.headers.get("Sec-Fetch-Dest", "document") == "document"
    if not is_navigation(request) or not is_page:
        raise NavigationRequired()


def is_navigation(request: Request) -> bool:
    """Whether a browser goes here as to a page."""
    return request.headers.get("Sec-Fetch-Mode") == "navigate"


class _Accepted(NamedTuple):
    """What an ``Accept`` says of the two types that we have."""

    html_above_json: bool
    either: bool


# Those of browsers and programs are few, and parsing one costs as much as a bare request.
@lru_cache(maxsize=64)
def _read_accept(header: str) -> _Accepted:
    accept = parse_accept_header(header, MIMEAccept)
    is_named = any(name.lower() == _HTML for name, _ in accept)
    return _Accepted(
        html_above_json=is_named and accept[_HTML] > max(accept[name] for name in _JSON),
        either=not accept or any(accept[name] > 0 for name in (*_JSON, _HTML)),
    )


def _accepted(request: Request) -> _Accepted:
    """Return what the ``Accept`` of a request says; one that is too long says nothing."""
    header = request.headers.get("Accept", "")
    return _read_accept(header if len(header) <= _MAX_ACCEPT else "")


def wants_html(request: Request) -> bool:
    """Whether the caller is to get HTML: a navigation, or one that ranks it above JSON."""
    return is_navigation(request) or _accepted(request).html_above_json


def check_acceptable(request: Request) -> None:
    """Check that the caller takes something that we have.

    :raises NotAcceptable: if neither JSON nor HTML will do.
    """
    if not _accepted(request).either:
        raise NotAcceptable()
