"""``GET /pkce/openapi.json``: an OpenAPI 3.1 document of the routes, where the host wants one.

It describes what :mod:`flask_pkce.web` does, so it lies above that; the blueprint registers its
route, so it lies below the blueprint.
"""

from __future__ import annotations

from flask import Response

from ..context import Call, Route
from ..responses import json_response
from .document import build_document


def openapi(call: Call) -> Response:
    """``GET /pkce/openapi.json``: tell how the routes are called."""
    return json_response(
        build_document(
            call.settings,
            address=call.site.root(call.request) + call.site.prefix,
            cookie_name=call.site.cookie_name(call.request),
        )
    )


#: Only with ``PKCE_OPENAPI``.
OPENAPI_ROUTE = Route("/pkce/openapi.json", "openapi", ("GET",), openapi)
