"""What views of the host use: who is signed in, tokens for APIs, and the ways in and out."""

from __future__ import annotations

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar, cast, overload

from flask import Response, current_app, has_request_context, request

from ..errors import PKCEError
from ..protocol.claims import MAX_CONTEXT_LENGTH
from ..protocol.text import is_visible_ascii
from ..sessions.session import BearerToken
from .api_session import APISession
from .user import User

if TYPE_CHECKING:
    from ..web.context import Extension
    from .current import CurrentRequest

V = TypeVar("V", bound=Callable[..., Any])

#: The greatest ``max_age`` in seconds: nine digits.
_MAX_AGE = 999_999_999


class HostViews(ABC):
    """What a blueprint offers to the application's own views."""

    @abstractmethod
    def extension(self) -> Extension:
        """Return the blueprint's part of the current application.

        :raises LookupError: if it is not registered there.
        """

    @contextmanager
    def _visitor(self, what: str) -> Iterator[CurrentRequest]:
        """Yield the current request; the blueprint answers errors that the view does not catch."""
        if not has_request_context():
            raise RuntimeError(
                f"{what} was used outside of a request: it speaks of whoever sends one."
                "  Use it in a view, and hand on what it gives."
            )
        # It is there since the blueprint was registered, as all that answers requests.
        from .current import CurrentRequest, claim

        extension = self.extension()
        try:
            yield CurrentRequest(extension)
        except PKCEError as exc:
            claim(exc, extension)
            raise

    @property
    def user(self) -> User | None:
        """The signed-in user of the current request, or None.

        :raises StoreError: if the store cannot be reached.  If your view does not catch this
            exception, the extension turns it into a response.
        :raises RuntimeError: outside of a request.
        """
        with self._visitor("user") as visitor:
            return visitor.user

    @overload
    def login_required(self, view: V) -> V: ...

    @overload
    def login_required(
        self, *, max_age: int | None = None, acr: str | None = None
    ) -> Callable[[V], V]: ...

    def login_required(
        self, view: V | None = None, *, max_age: int | None = None, acr: str | None = None
    ) -> V | Callable[[V], V]:
        """Require a signed-in user.

        Browsers are redirected to the tenant and return to the page afterwards; callers that ask
        for JSON get 401.  Put the decorator below ``route``, with or without arguments:

        .. code-block:: python

            @app.get("/orders")
            @pkce.login_required
            def orders(): ...

        :param max_age: seconds since the user last authenticated at the tenant, 0 to 999999999;
            :confval:`PKCE_LEEWAY` is added.  Users who authenticated earlier must authenticate
            again.  A sign-in requested with this ``max_age`` (or a smaller one) is accepted for up
            to 60 seconds, so that the redirect back does not trigger another one.
        :param acr: how the user must have authenticated: a value of the ID token's ``acr``, or
            :data:`~flask_pkce.MULTI_FACTOR`; 1 to 500 visible ASCII characters.  Other users are
            sent to the tenant with this value as ``acr_values``.  If the tenant then authenticates
            them otherwise, the response is 403.
        :raises ValueError: if an argument is out of its range.

        OpenID Connect Core 3.1.2.1, :rfc:`9470`
        """
        if max_age is not None and not _is_age(max_age):
            raise ValueError(f"max_age is not 0 to {_MAX_AGE} whole seconds")
        if acr is not None and not is_visible_ascii(acr, MAX_CONTEXT_LENGTH):
            raise ValueError(f"acr is not 1 to {MAX_CONTEXT_LENGTH} visible ASCII characters")
        if view is None:
            return functools.partial(self._guard, max_age=max_age, acr=acr)
        return self._guard(view, max_age=max_age, acr=acr)

    def _guard(self, view: V, *, max_age: int | None, acr: str | None) -> V:
        @functools.wraps(view)
        def guarded(*args: Any, **values: Any) -> Any:
            if request.method == "OPTIONS":
                # A browser asks without cookies whether another origin may call.
                return current_app.make_default_options_response()
            with self._visitor("login_required") as visitor:
                refused = visitor.admit(max_age=max_age, acr=acr)
            if refused is not None:
                return refused
            return current_app.ensure_sync(view)(*args, **values)

        return cast("V", guarded)

    def access_token(self, *, audience: str | None = None, scope: str | Iterable[str] = ()) -> str:
        """Return an access token of the signed-in user, refreshed if it is about to expire.

        :param audience: the API; by default :confval:`PKCE_AUDIENCE`.  Others must be in
            :confval:`PKCE_ALLOWED_AUDIENCES`, and need a refresh token that the tenant accepts for
            several APIs.
        :param scope: the scope that the token must have; by default any.
        :raises NotSignedIn: if no user is signed in.  If your view does not catch this exception
            or one of those below, the extension turns it into a response: a redirect to the
            tenant for a browser, 401 for any other caller.
        :raises AccessTokenMissing: if the token has expired and cannot be refreshed.
        :raises TenantError: if the tenant does not issue another one.
        :raises ValueError: if the audience is not configured.
        :raises RuntimeError: outside of a request, and with delivery ``caller``.

        :rfc:`6749#section-6`
        """
        with self._visitor("access_token") as visitor:
            return visitor.access_token(audience=audience, scope=_scope(scope))

    def api(
        self, base_url: str, *, audience: str | None = None, scope: str | Iterable[str] = ()
    ) -> APISession:
        """Return a ``requests`` session that calls an API on behalf of the signed-in user.

        The token is sent to the origin of ``base_url`` and to no other.  If the API answers 401,
        the token is refreshed and the request sent once more.  An access token that contains a
        space cannot be sent as a bearer token and raises :exc:`~flask_pkce.errors.TenantError`.

        .. code-block:: python

            with pkce.api("https://api.example.com/v1/") as api:
                orders = api.get("orders").json()

        :param base_url: the URL to which relative ones are appended.
        :param audience: as for :meth:`access_token`, which also lists the exceptions.
        :param scope: as for :meth:`access_token`.

        :rfc:`6750#section-2.1`
        """
        asked = _scope(scope)

        def token(refused: BearerToken | None) -> str:
            with self._visitor("api") as visitor:
                return visitor.access_token(audience=audience, scope=asked, refused=refused)

        return APISession(base_url, token)

    def login_url(self, *, return_to: str | None = None) -> str:
        """Return the address of a link that signs the user in.

        :param return_to: the path of this application to which the browser returns; by default
            :confval:`PKCE_AUTHENTICATED_URL`.
        :raises ValueError: if ``return_to`` is not a path of this application.
        :raises RuntimeError: outside of a request, and with delivery ``caller``.
        """
        with self._visitor("login_url") as visitor:
            return visitor.login_url(return_to)

    def logout(
        self, *, return_to: str | None = None, everywhere: bool = False, at_tenant: bool = True
    ) -> Response:
        """End the session of the current request.

        The library revokes its tokens, and the response sends the browser to the tenant, which
        ends its session too.  Call this in a view that other sites cannot call, and return the
        response.

        :param return_to: the path of this application to which the browser goes at the end; by
            default :confval:`PKCE_UNAUTHENTICATED_URL`.  The tenant must list its address among
            the allowed logout URLs.
        :param everywhere: whether the user's sessions in all other browsers end too.  This ends
            sessions of the blueprint; a session of the application's own ends with them only if
            the application asks :attr:`user` at each request.
        :param at_tenant: whether the session at the tenant ends too.
        :raises ValueError: if ``return_to`` is not a path of this application.
        :raises RuntimeError: outside of a request.

        OpenID Connect RP-Initiated Logout 2, :rfc:`7009`
        """
        with self._visitor("logout") as visitor:
            return visitor.logout(return_to=return_to, everywhere=everywhere, at_tenant=at_tenant)


def _scope(scope: str | Iterable[str]) -> tuple[str, ...]:
    return tuple(scope.split() if isinstance(scope, str) else scope)


def _is_age(value: object) -> bool:
    """Return whether a value is a number of whole seconds within the allowed range."""
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= _MAX_AGE
