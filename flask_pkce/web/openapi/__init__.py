"""``GET /pkce/openapi.json``: an OpenAPI 3.1 document of the routes, where the host wants one.

It describes what :mod:`flask_pkce.web` does, so it lies above that; the blueprint registers its
route, so it lies below the blueprint.
"""

from __future__ import annotations

from flask import Response

from ..context import RequestContext, Route
from ..responses import json_response
from .document import build_document


def openapi(context: RequestContext) -> Response:
    """``GET /pkce/openapi.json``: tell how the routes are called."""
    return json_response(
        build_document(
            context.settings,
            address=context.site.root(context.request) + context.site.prefix,
            cookie_name=context.site.cookie_name(context.request),
        )
    )


#: Only with ``PKCE_OPENAPI``.
OPENAPI_ROUTE = Route("/pkce/openapi.json", "openapi", ("GET",), openapi)
