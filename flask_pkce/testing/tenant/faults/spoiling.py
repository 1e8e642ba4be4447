"""What several faults need to spoil something."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

from flask import Response


def without(members: dict[str, Any], name: str) -> dict[str, Any]:
    """The members but one."""
    return {key: value for key, value in members.items() if key != name}


def edited(response: Response, edit: Callable[[dict[str, Any]], dict[str, Any]]) -> Response:
    """The response with other members, unless it is an error."""
    if response.status_code == 200:
        response.set_data(json.dumps(edit(json.loads(response.get_data()))))
    return response


def refusal(status: int, error: str, description: str, **further: object) -> Response:
    """An error of the token endpoint."""
    body = json.dumps({"error": error, "error_description": description, **further})
    return Response(body, status, mimetype="application/json")


def all_vschar(text: str) -> str:
    """The text and every character that a code or a token may have, a blank at either end.

    :rfc:`6749#appendix-A`
    """
    return "".join(map(chr, range(0x20, 0x7F))) + text + " "


def base64url(octets: bytes) -> str:
    """The octets without padding."""
    return base64.urlsafe_b64encode(octets).rstrip(b"=").decode()
