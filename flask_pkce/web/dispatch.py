"""From a request to an answer: the guard, the view, and the form of every error."""

from __future__ import annotations

from typing import cast

from flask import Request, Response, after_this_request
from flask import request as current_request
from werkzeug.local import LocalProxy

from ..errors import PKCEError, SessionRenewed
from .context import Call, Mounted, Route
from .guard import (
    check_acceptable,
    check_callback,
    check_method,
    check_prefetch,
)
from .responses import no_content, page, without_cookies


def answer(route: Route, mounted: Mounted) -> Response:
    """Answer the current request to one of our paths."""
    # The request itself: each look through the proxy costs.
    request = cast("LocalProxy[Request]", current_request)._get_current_object()
    call = Call(request, mounted)
    try:
        response = _answer(route, call)
    except BaseException:
        # A hook or a template of the host's broke, and the host answers.  The cookie was renewed
        # all the same.
        after_this_request(call.finish)
        raise
    if route.is_callback and call.pointer is None and _lacks_cookies_of_the_host(call):
        # A session that the host saves now would take the place of the user's real one.
        return without_cookies(response)
    return call.finish(response)


def _lacks_cookies_of_the_host(call: Call) -> bool:
    """Whether a navigation to the callback came without the cookies that the host has set."""
    if not call.html:
        return False
    is_cross_site = call.request.headers.get("Sec-Fetch-Site") == "cross-site"
    return call.request.method == "POST" or (call.has_strict_cookies and is_cross_site)


def _answer(route: Route, call: Call) -> Response:
    """The view's answer, or that to its error."""
    try:
        response = _guarded(route, call)
        call.engine.worker_keys.leave()
        return response
    except PKCEError as exc:
        if isinstance(exc, SessionRenewed) and call.html and call.request.method == "GET":
            # Reloaded until the browser has the new cookie, or the old one is worth nothing.
            return page("redeeming.html", refresh="1")
        call.report(exc)
        return call.problem(exc)


def _guarded(route: Route, call: Call) -> Response:
    """The view's answer, if the request may have one.

    The order matters: nothing is read of a request that was meant for another host, and nothing
    happens on one that was refused.
    """
    request = call.request
    call.site.host(request)
    if request.method == "OPTIONS":
        return no_content(allowed=route.methods)
    check_method(request, route.methods)
    check_prefetch(request)
    if route.is_callback:
        check_callback(request)
    else:
        route.guard(call)
    if route.has_content:
        check_acceptable(request)
    return route.view(call)
