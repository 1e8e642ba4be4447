"""An error as a problem document, or as a page for a person.

:rfc:`9457`
"""

from __future__ import annotations

import logging
from typing import Annotated

from flask import Response
from msgspec import UNSET, Meta, Struct, UnsetType

from ..errors import MethodNotAllowed, PKCEError
from ..log_events import REQUEST_FAILED
from .responses import json_response, page

#: Where each error has a section of its own.
DOCUMENTATION = "https://flask-pkce.readthedocs.io/en/latest/errors.html"


class Problem(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A problem document (RFC 9457)."""

    type: Annotated[
        str,
        Meta(
            description="The address of the error's section; its last part is a stable code.",
            extra_json_schema={"format": "uri"},
        ),
    ]
    title: str
    status: int
    detail: Annotated[str, Meta(description="What happened, for a person.")]
    error: Annotated[str, Meta(description="The word of OAuth, or of the published API.")]
    error_description: Annotated[str, Meta(description="The same as `detail`.")]
    hint: Annotated[str, Meta(description="What to do about it.")] | UnsetType = UNSET


def problem_type(exc: PKCEError | type[PKCEError]) -> str:
    """The address of the error's section; its last part is the error's stable code."""
    return f"{DOCUMENTATION}#{exc.code}"


def log(exc: PKCEError, *, route: str) -> None:
    """Log an error in one line, by its code; 5xx as errors, the rest as information.

    :param route: the endpoint that answers with it.
    """
    cause = type(exc.__cause__).__name__ if exc.__cause__ is not None else None
    where = "; ".join(part for part in (cause, exc.host, exc.setting) if part)
    REQUEST_FAILED.log(
        f"{exc} ({where})" if where else str(exc),
        code=exc.code,
        level=_level(exc),
        route=route,
        status=exc.status,
        error=exc.code,
        cause=cause,
        host=exc.host,
        setting=exc.setting,
    )


def _level(exc: PKCEError) -> int:
    if exc.status >= 500:
        return logging.ERROR
    return logging.WARNING if exc.is_for_operators else logging.INFO


def problem(
    exc: PKCEError, *, html: bool, start_url: str, return_to: str | None = None
) -> Response:
    """Build the response to an error.

    :param html: whether the caller wants a page.
    :param start_url: where a sign-in starts.
    :param return_to: where the browser goes after the sign-in that the page offers to start.
    """
    if html:
        response = page(
            "error.html",
            status=exc.status,
            error=exc,
            title=exc.title,
            explanation=_explanation(exc),
            start_url=start_url,
            return_to=return_to,
        )
    else:
        response = json_response(
            _document(exc), status=exc.status, media_type="application/problem+json"
        )
    if exc.retry_after is not None:
        response.headers["Retry-After"] = str(exc.retry_after)
    if isinstance(exc, MethodNotAllowed):
        response.headers["Allow"] = ", ".join(exc.allowed)
    if exc.status == 401:
        response.headers["WWW-Authenticate"] = "Session"
    return response


def _explanation(exc: PKCEError) -> str:
    """What happened, for a page that says the title already."""
    more = exc.detail.removeprefix(exc.title).strip()
    return more[1:-1] if more.startswith("(") and more.endswith(")") else more


def _document(exc: PKCEError) -> Problem:
    detail = str(exc)
    return Problem(
        type=problem_type(exc),
        title=exc.title,
        status=exc.status,
        detail=detail,
        error=exc.error,
        error_description=detail,
        hint=exc.hint or UNSET,
    )
