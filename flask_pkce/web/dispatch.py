"""From a request to an answer: the guard, the view, and the form of every error."""

from __future__ import annotations

from typing import cast

from flask import Request, Response, after_this_request
from flask import request as current_request
from werkzeug.local import LocalProxy

from ..errors import PKCEError, SessionRenewed
from .context import Extension, RequestContext, Route
from .guard import (
    check_acceptable,
    check_callback,
    check_method,
    check_prefetch,
)
from .responses import no_content, page, without_cookies


def answer(route: Route, extension: Extension) -> Response:
    """Answer the current request to one of our paths."""
    # The request itself: each look through the proxy costs.
    request = cast("LocalProxy[Request]", current_request)._get_current_object()
    context = RequestContext(request, extension)
    try:
        response = _answer(route, context)
    except BaseException:
        # A hook or a template of the host's broke, and the host answers.  The cookie was renewed
        # all the same.
        after_this_request(context.finish)
        raise
    if route.is_callback and context.pointer is None and _lacks_cookies_of_the_host(context):
        # A session that the host saves now would take the place of the user's real one.
        return without_cookies(response)
    return context.finish(response)


def _lacks_cookies_of_the_host(context: RequestContext) -> bool:
    """Whether a navigation to the callback came without the cookies that the host has set."""
    if not context.html:
        return False
    is_cross_site = context.request.headers.get("Sec-Fetch-Site") == "cross-site"
    return context.request.method == "POST" or (context.has_strict_cookies and is_cross_site)


def _answer(route: Route, context: RequestContext) -> Response:
    """The view's answer, or that to its error."""
    try:
        response = _guarded(route, context)
        context.relying_party.key_fingerprints.leave()
        return response
    except PKCEError as exc:
        if isinstance(exc, SessionRenewed) and context.html and context.request.method == "GET":
            # Reloaded until the browser has the new cookie, or the old one is worth nothing.
            return page("redeeming.html", refresh="1")
        context.report(exc)
        return context.problem(exc)


def _guarded(route: Route, context: RequestContext) -> Response:
    """The view's answer, if the request may have one.

    The order matters: nothing is read of a request that was meant for another host, and nothing
    happens on one that was refused.
    """
    request = context.request
    context.site.host(request)
    if request.method == "OPTIONS":
        return no_content(allowed=route.methods)
    check_method(request, route.methods)
    check_prefetch(request)
    if route.is_callback:
        check_callback(request)
    else:
        route.guard(context)
    if route.has_content:
        check_acceptable(request)
    return route.view(context)
