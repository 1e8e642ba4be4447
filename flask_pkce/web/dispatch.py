"""From a request to an answer: the guard, the view, and the form of every error."""

from __future__ import annotations

from flask import Response, request

from ..errors import PKCEError, RouteAbsent
from ..hooks import failed
from .calls import Call, Mounted, Route
from .guard import (
    check_acceptable,
    check_callback,
    check_method,
    check_prefetch,
    wants_html,
)
from .problems import log, problem
from .responses import no_content


def answer(route: Route, mounted: Mounted) -> Response:
    """Answer the current request to one of our paths."""
    try:
        if route.is_for_session_delivery and not mounted.engine.settings.delivers_to_session:
            raise RouteAbsent()
        return _guarded(route, mounted)
    except PKCEError as exc:
        log(exc)
        hooks = mounted.engine.hooks
        hooks.on_error(exc)
        hooks.tell(failed, error=exc)
        return problem(
            exc, html=wants_html(request), start_url=mounted.site.route("/pkce/code", request)
        )


def _guarded(route: Route, mounted: Mounted) -> Response:
    """The view's answer, if the request may have one.

    The order matters: nothing is read of a request that was meant for another host, and nothing
    happens on one that was refused.
    """
    mounted.site.check_host(request)
    if request.method == "OPTIONS":
        return no_content(allowed=route.methods)
    check_method(request, route.methods)
    check_prefetch(request)
    call = Call(request, mounted)
    if route.is_callback:
        check_callback(request)
    else:
        call.check_origin()
    if route.has_content:
        check_acceptable(request)
    return route.view(call)
