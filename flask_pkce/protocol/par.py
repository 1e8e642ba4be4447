"""Pushed authorization requests: the tenant keeps the request, the browser brings its name.

:rfc:`9126`
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from ..errors import ParameterInvalid, TenantError
from .authorization import AuthorizationRequest
from .client_auth import Credentials
from .metadata import TenantMetadata
from .text import is_visible_ascii

#: Bytes of a request that is pushed; Auth0 takes no more.
MAX_PUSHED_LENGTH = 10_000
#: Parameters of the tenant's own pages; Auth0 silently drops those beyond.
MAX_EXTENSIONS = 10
#: Characters of a ``request_uri``.
MAX_REQUEST_URI_LENGTH = 2048
#: Seconds for which a request that was pushed counts as known, whatever the tenant says.
MAX_EXPIRES_IN = 600


@dataclass(frozen=True)
class PushedRequest:
    """An authorization request that the tenant has taken, for one browser and some seconds."""

    request_uri: str = field(repr=False)
    #: Seconds.
    expires_in: int


def build_pushed_form(request: AuthorizationRequest, credentials: Credentials) -> dict[str, str]:
    """The form that pushes a request, with our credentials.

    :raises ParameterInvalid: if it is more than Auth0 takes.

    :rfc:`9126#section-2.1`
    """
    form = {**request.parameters(), **credentials.fields}
    if sum(name.startswith("ext-") for name in form) > MAX_EXTENSIONS:
        raise ParameterInvalid(
            f"the tenant takes at most {MAX_EXTENSIONS} ext- parameters in a pushed request"
        )
    if len(urlencode(form)) > MAX_PUSHED_LENGTH:
        raise ParameterInvalid(
            f"the parameters make a pushed request of over {MAX_PUSHED_LENGTH} bytes"
        )
    return form


def parse_pushed_response(document: Mapping[str, Any]) -> PushedRequest:
    """Read a successful answer of the endpoint for pushed requests.

    :raises TenantError: if a member is missing or of another kind than it must be.

    :rfc:`9126#section-2.2`
    """
    uri, expires_in = document.get("request_uri"), document.get("expires_in")
    if not isinstance(uri, str) or not uri.startswith(("urn:", "https:")):
        raise TenantError("The answer to a pushed request has no request_uri.")
    if not is_visible_ascii(uri, MAX_REQUEST_URI_LENGTH):
        raise TenantError("The answer to a pushed request has an unusable request_uri.")
    if isinstance(expires_in, bool) or not isinstance(expires_in, int) or expires_in < 1:
        raise TenantError("The answer to a pushed request has an unusable expires_in.")
    return PushedRequest(uri, min(expires_in, MAX_EXPIRES_IN))


def build_pushed_url(tenant: TenantMetadata, pushed: PushedRequest) -> str:
    """The address the browser is sent to: it has two parameters, and none that it could change.

    :rfc:`9126#section-4`
    """
    endpoint = tenant.authorization_endpoint
    separator = "&" if "?" in endpoint else "?"
    query = urlencode({"client_id": tenant.client_id, "request_uri": pushed.request_uri})
    return f"{endpoint}{separator}{query}"
