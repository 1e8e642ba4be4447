"""The whole document."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

from ...settings.model import Settings
from ..problems import DOCUMENTATION
from ..urls import CALLBACK_PATH
from ..views import ROUTES, optional_routes
from .operations import Operations
from .schemas import build_schemas, names_in

_DESCRIPTION = """\
Signs users in with the authorization code flow and PKCE.

Every path answers OPTIONS with 204, and every other method that is not described with 405.
Callers that rank `text/html` above JSON get pages in place of JSON.
Requests of other sites are refused, by `Sec-Fetch-Site` and `Origin`.
Errors are problem documents (RFC 9457); those that the application's own hooks raise may have
types and statuses of their own."""


def build_document(settings: Settings, *, address: str, cookie_name: str) -> dict[str, Any]:
    """Describe the routes by OpenAPI 3.1, the same for the same settings.

    :param address: where the routes lie.
    :param cookie_name: the name of our cookie there.
    """
    operations = Operations(settings)
    routes = (*ROUTES, *optional_routes(settings))
    paths = {
        route.path: {method.lower(): operations.of(route, method) for method in route.methods}
        for route in routes
    }
    if settings.tenants:
        paths[f"{CALLBACK_PATH}/{{tenant}}"] = _of_tenant(paths[CALLBACK_PATH])
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "PKCE API",
            "version": version("flask-pkce"),
            "description": _DESCRIPTION,
        },
        "externalDocs": {"url": DOCUMENTATION.rpartition("/")[0] + "/callers.html"},
        "servers": [{"url": address}],
        "tags": [{"name": "PKCE"}],
        "paths": paths,
        "components": {
            "schemas": _used(build_schemas(settings), paths),
            "securitySchemes": {
                "session": {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": cookie_name,
                    "description": "A signed pointer to a session on the server.",
                }
            },
        },
    }


def _of_tenant(callback: dict[str, Any]) -> dict[str, Any]:
    """The callback of one tenant's own, from the common one."""
    name = {
        "name": "tenant",
        "in": "path",
        "required": True,
        "description": "The tenant, by its name in the settings.",
        "schema": {"type": "string"},
    }
    operations = {
        method: {**operation, "operationId": f"{operation['operationId']}_of_tenant"}
        for method, operation in callback.items()
    }
    return {"parameters": [name], **operations}


def _used(schemas: dict[str, Any], paths: dict[str, Any]) -> dict[str, Any]:
    """The schemas that are referred to, in the order of their names."""
    used: set[str] = set()
    found = set(names_in(paths))
    while found:
        used |= found
        found = {name for each in found for name in names_in(schemas[each])} - used
    return {name: schemas[name] for name in sorted(used)}
