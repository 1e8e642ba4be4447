"""Whoever sends a request to a view of the host: who is signed in, tokens, the ways in and out."""

from __future__ import annotations

import weakref
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from flask import Response, after_this_request, request

from ..errors import AuthenticationTooWeak, HostUnknown, NotSignedIn, PKCEError
from ..protocol.claims import has_context, numeric_date
from ..protocol.urls import is_local_path
from ..sessions.records import Stored
from ..sessions.session import BearerToken, Grant, Session
from ..web.context import Extension, RequestContext
from ..web.login import end_session, user_claims
from ..web.responses import see_other
from .user import User

#: Seconds for which a sign-in counts as the answer to the page that asked for it.
_JUST_NOW = 60
#: Where the environment of a request keeps the last error that a method of a blueprint raised.
_CLAIM = "flask_pkce.claim"


def claim(exc: PKCEError, extension: Extension) -> None:
    """Note that a blueprint raised an error, and answers it if the view lets it pass."""
    # Weakly, since the traceback of the error leads back to the environment.
    request.environ[_CLAIM] = weakref.ref(exc), extension


def claimed_by(exc: PKCEError) -> Extension | None:
    """Return the blueprint that raised an error in this request; None if the host did."""
    reference, extension = request.environ.get(_CLAIM, (None, None))
    return extension if reference is not None and reference() is exc else None


@dataclass(frozen=True)
class _Present:
    """The session of this request, and its sign-in."""

    session: Stored[Session]
    grant: Grant


class CurrentRequest:
    """Whoever sends the current request, as one blueprint knows it."""

    def __init__(self, extension: Extension) -> None:
        self._call = RequestContext(request, extension)
        self._relying_party = extension.relying_party
        #: In the request and not in `g`, which several requests of a test may share.
        self._place = f"flask_pkce.{extension.site.name}.{id(extension)}"

    @property
    def present(self) -> _Present | None:
        """The session and its sign-in; None if nobody is signed in."""
        # The environment is in no variable: the cookies are in it.
        if self._place not in request.environ:
            after_this_request(_vary_by_cookie)
            session = self._session
            grant = self._relying_party.presence.grant(session) if session is not None else None
            request.environ[self._place] = (
                _Present(session, grant) if session is not None and grant is not None else None
            )
        present: _Present | None = request.environ[self._place]
        return present

    @property
    def _session(self) -> Stored[Session] | None:
        try:
            return self._call.caller().owner.session
        except HostUnknown:
            # The session belongs to another host: the application's views see no user.
            return None

    @property
    def user(self) -> User | None:
        """Who is signed in."""
        present = self.present
        if present is None:
            return None
        grant = present.grant
        return User(grant.issuer, grant.subject, user_claims(grant))

    def access_token(
        self, *, audience: str | None, scope: tuple[str, ...], refused: BearerToken | None = None
    ) -> str:
        """An access token of whoever is signed in.  See :meth:`HostViews.access_token`."""
        settings = self._relying_party.settings
        if not settings.delivers_to_session:
            raise RuntimeError(
                "The tokens were handed to the caller: set PKCE_TOKEN_DELIVERY to `session`."
            )
        present = self.present
        if present is None:
            raise NotSignedIn()
        tenants = self._relying_party.tenants
        registration = (tenants.of_grant(present.grant) or tenants.select()).registration
        if audience == registration.audience:
            audience = None
        if audience is not None and audience not in registration.audiences_allowed:
            raise ValueError("the audience is neither PKCE_AUDIENCE nor in PKCE_ALLOWED_AUDIENCES")
        token = self._relying_party.refresh.access_token(
            present.session, present.grant, audience=audience, scope=scope, refused=refused
        )
        if token not in {kept.token for kept in present.grant.access_tokens}:
            # The session was saved anew.
            request.environ.pop(self._place, None)
        return token

    def login_url(self, return_to: str | None, **asked: str) -> str:
        """Where a sign-in starts that comes back to a path."""
        if not self._relying_party.settings.delivers_to_session:
            raise RuntimeError("There is no login route: set PKCE_TOKEN_DELIVERY to `session`.")
        if return_to is not None:
            _check_local(return_to)
            asked = {"return_to": return_to, **asked}
        path = self._call.site.route("/pkce/login", request)
        return f"{path}?{urlencode(asked)}" if asked else path

    def ask_to_sign_in(self, exc: PKCEError, **asked: str) -> Response:
        """Send a browser to sign in and then back to this page; answer others with the error.

        A request with an unknown ``Host`` is answered with that error instead: a sign-in would
        begin and end at another host, and this page would ask for it for ever.
        """
        try:
            self._call.site.host(request)
        except HostUnknown as unknown:
            return self.tell(unknown)
        if not self._call.html:
            return self.tell(exc)
        # What was posted is lost: such a form is opened again.
        here = _address() if request.method in {"GET", "HEAD"} else ""
        return see_other(self.login_url(here if is_local_path(here) else None, **asked))

    def answer(self, exc: PKCEError) -> Response:
        """The answer to an error that the view let pass."""
        if not isinstance(exc, NotSignedIn):
            return self.tell(exc)
        present = self.present
        if present is None:
            return self.ask_to_sign_in(exc)
        if self._is_new(present.grant):
            # Whoever signed in just now gets no other token by signing in again.
            return self.tell(exc)
        return self.ask_to_sign_in(exc, **self._same_tenant(present.grant))

    def _is_new(self, grant: Grant) -> bool:
        return abs(self._relying_party.clock() - grant.signed_in_at) < _JUST_NOW

    def tell(self, exc: PKCEError) -> Response:
        """The answer to an error, as our own routes make it."""
        self._call.report(exc)
        return self._call.problem(exc)

    def logout(self, *, return_to: str | None, everywhere: bool, at_tenant: bool) -> Response:
        """End the session.  See :meth:`HostViews.logout`."""
        if return_to is not None:
            _check_local(return_to)
        request.environ[self._place] = None
        return end_session(
            self._call, return_to=return_to, everywhere=everywhere, at_tenant=at_tenant
        )

    def admit(self, *, max_age: int | None, acr: str | None) -> Response | None:
        """None if the visitor may see a page; else what it is answered."""
        present = self.present
        if present is None:
            return self.ask_to_sign_in(NotSignedIn(), **_asked(max_age, acr))
        is_strong = acr is None or has_context(present.grant.claims, [acr])
        if self._is_recent(present.grant, max_age) and is_strong:
            return None
        grant = present.grant
        is_asked = max_age in {None, grant.asked_max_age} and acr in {None, grant.asked_acr}
        if is_asked and self._is_new(grant):
            # That was asked for just now, and came out otherwise: asking again would never end.
            return self.tell(AuthenticationTooWeak())
        exc = AuthenticationTooWeak("The user must authenticate again for this page.")
        return self.ask_to_sign_in(exc, **self._same_tenant(grant), **_asked(max_age, acr))

    def _same_tenant(self, grant: Grant) -> dict[str, str]:
        """What a link says to lead to the tenant of a sign-in, where it would lead elsewhere.

        Where the host says which tenant it is, the host knows why.
        """
        tenants = self._relying_party.tenants
        known = tenants.of_grant(grant) if tenants.are_several else None
        if known is None:
            return {}
        at = known.registration
        named = {"domain": at.domain, "client_id": at.client_id}
        try:
            is_usual, leads = tenants.select() is known, tenants.select(**named) is known
        except PKCEError:
            return {}
        return named if leads and not is_usual else {}

    def _is_recent(self, grant: Grant, max_age: int | None) -> bool:
        if max_age is None:
            return True
        auth_time = numeric_date(grant.claims.get("auth_time"))
        if auth_time is None:
            return False
        asked, leeway = grant.asked_max_age, self._relying_party.settings.leeway
        if asked is not None and asked <= max_age and self._is_new(grant):
            # The way back from the tenant takes its time, too.
            max_age = max(max_age, _JUST_NOW)
        return -leeway <= self._relying_party.clock() - auth_time <= max_age + leeway


def _asked(max_age: int | None, acr: str | None) -> dict[str, str]:
    """What a page asks the tenant for."""
    asked = {"max_age": max_age, "acr_values": acr}
    return {name: str(value) for name, value in asked.items() if value is not None}


def _address() -> str:
    """The path and query of the current request."""
    query = request.query_string.decode("latin-1")
    return quote(request.path, safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else "")


def _check_local(return_to: str) -> None:
    if not is_local_path(return_to):
        raise ValueError("return_to is no path of this application")


def _vary_by_cookie(response: Response) -> Response:
    response.vary.add("Cookie")
    return response
