"""Authorization requests that clients push, and browsers take up.

:rfc:`9126`
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from flask import g, request
from werkzeug.datastructures import ImmutableMultiDict, MultiDict

from .provider import Provider

#: What names a request that was pushed (:rfc:`9126#section-2.2`).
PREFIX = "urn:ietf:params:oauth:request_uri:"
#: Seconds within which a browser must come, and those that a person then has.
LIFETIME, INTERACTION = 60, 600


def keep_pushed(provider: Provider, parameters: Mapping[str, str]) -> str:
    """Keep a request that a client pushed; its ``request_uri``."""
    request_uri = PREFIX + secrets.token_urlsafe(32)
    provider.memory.pushed.put(request_uri, dict(parameters), LIFETIME)
    return request_uri


def take_up(provider: Provider) -> bool:
    """Find out what the browser asks for, in its address or pushed.

    :return: whether there is such a request, of that client, in time and for the first time.
    """
    request_uri = request.args.get("request_uri")
    g.asked = request.args
    if request_uri is None:
        return not provider.requires_par
    shelf = provider.memory.pushed
    pushed = shelf.take(request_uri)
    if pushed is None or pushed["client_id"] != request.args.get("client_id"):
        return False
    # The pages that follow have the same address.
    shelf.put(request_uri, pushed, INTERACTION)
    g.asked = ImmutableMultiDict(pushed)
    return True


def spend(provider: Provider) -> None:
    """Let nobody come with the same request again."""
    provider.memory.pushed.take(request.args.get("request_uri", ""))


def asked() -> MultiDict[str, str]:
    """The authorization request that is being handled, wherever it came from."""
    parameters: MultiDict[str, str] = g.get("asked", request.args)
    return parameters
