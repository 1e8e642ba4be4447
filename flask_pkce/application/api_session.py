"""A ``requests`` session for an API, which carries the user's access token.

:rfc:`6750`
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.auth

from ..errors import TenantError
from ..protocol.urls import origin_of, parse_address
from ..sessions.session import BearerToken


class APISession(requests.Session):
    """A ``requests`` session that carries the user's access token to one origin.

    Addresses may be relative to its base.  Where the API answers 401, the token is renewed and the
    request sent again, once.  A token that has a blank is not sent:
    :exc:`~flask_pkce.errors.TenantError`.

    :param base_url: the API's address.
    :param token: gets an access token, and another than the one that was refused.

    :rfc:`6750#section-2.1`
    """

    def __init__(self, base_url: str, token: Callable[[BearerToken | None], str]) -> None:
        super().__init__()
        try:
            parts = parse_address(base_url)
        except ValueError as exc:
            raise ValueError(f"base_url {exc}") from None
        self._base_url = base_url.rstrip("/")
        self.auth = _Bearer(origin_of(parts), token, self)

    def request(self, method: str | bytes, url: str | bytes, *args: Any, **options: Any) -> Any:
        """Send a request; see :meth:`requests.Session.request`."""
        address = url.decode() if isinstance(url, bytes) else url
        if not urlsplit(address).scheme:
            address = f"{self._base_url}/{address.lstrip('/')}"
        return super().request(method, address, *args, **options)

    def rebuild_auth(
        self, prepared_request: requests.PreparedRequest, response: requests.Response
    ) -> None:
        """Let a redirect take along what the request before it had, within one origin.

        In place of what requests does: that takes it from ``http`` to ``https``, and puts in what
        a ``.netrc`` has for the host.
        """
        headers, before = prepared_request.headers, response.request
        headers.pop("Authorization", None)
        carried, origin = before.headers.get("Authorization"), _origin(before.url)
        if carried is not None and origin is not None and origin == _origin(prepared_request.url):
            headers["Authorization"] = carried


class _Bearer(requests.auth.AuthBase):
    """Puts the token into requests to one origin, and another one after a 401."""

    def __init__(
        self, origin: str, token: Callable[[BearerToken | None], str], session: requests.Session
    ) -> None:
        self._origin = origin
        self._token = token
        self._session = session

    def __call__(self, prepared: requests.PreparedRequest) -> requests.PreparedRequest:
        if _origin(prepared.url) == self._origin:
            token = BearerToken(_sendable(self._token(None)))
            prepared.headers["Authorization"] = f"Bearer {token.value}"
            prepared.register_hook(  # type: ignore[no-untyped-call]
                "response", partial(self._renew, token)
            )
        return prepared

    def _renew(
        self, token: BearerToken, response: requests.Response, **options: Any
    ) -> requests.Response:
        again = response.request.copy()
        is_ours = again.headers.get("Authorization") == f"Bearer {token.value}"
        is_repeatable = again.body is None or isinstance(again.body, str | bytes)
        if response.status_code != 401 or not is_ours or not is_repeatable:
            return response
        again.headers["Authorization"] = f"Bearer {_sendable(self._token(token))}"
        again.hooks = {**again.hooks, "response": []}
        response.content  # noqa: B018 (read, so that the connection is free)
        response.close()
        # Whoever asked for that follows redirects from here on.
        answer = self._session.send(again, allow_redirects=False, **options)
        answer.history.append(response)
        return answer


def _sendable(token: str) -> str:
    """Return an access token that an ``Authorization`` header can carry.

    :raises TenantError: if it has a blank, at which the API would take it apart.

    :rfc:`6750#section-2.1`
    """
    if " " not in token:
        return token
    # The traceback reaches the application.
    del token
    raise TenantError("The access token has a blank, which a bearer token must not have.")


def _origin(url: str | None) -> str | None:
    """The origin of an address, spelled in one way; None for what is no address of an API."""
    try:
        return origin_of(parse_address(url or ""))
    except ValueError:
        return None
