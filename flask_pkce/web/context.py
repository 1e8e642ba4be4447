"""One request to one of the routes, and the blueprint's parts that answer it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from flask import Blueprint, Request, Response, current_app

from ..errors import PKCEError
from ..relying_party.hooks import failed
from ..relying_party.relying_party import RelyingParty
from ..sessions.flow import Flow
from ..sessions.signing import Pointer
from ..tenant.registry import tenant_callback_url
from .callers import Caller, identify
from .cookies import delete_cookie, set_cookie
from .csrf import CSRFExemption
from .guard import check_origin, is_foreign, wants_html
from .problems import log, problem
from .responses import page, see_other
from .serializing import Answers
from .urls import CALLBACK_PATH, PublicURLs


@dataclass(frozen=True)
class Extension:
    """One blueprint in one application."""

    blueprint: Blueprint
    relying_party: RelyingParty
    site: PublicURLs
    csrf: CSRFExemption


def has_strict_cookies(config: Mapping[str, Any]) -> bool:
    """Whether an application's own cookies are ``SameSite=Strict``."""
    return str(config.get("SESSION_COOKIE_SAMESITE")).lower() == "strict"


class RequestContext:
    """One request to one of the routes, and what its answer will carry."""

    def __init__(self, request: Request, extension: Extension) -> None:
        self.request = request
        self.extension = extension
        self.relying_party = extension.relying_party
        self.settings = extension.relying_party.settings
        self.site = extension.site
        self.html = wants_html(request)
        self.answers = Answers(self.settings, self.site, request)
        #: A new pointer, which the answer sets as the cookie.
        self.pointer: Pointer | None = None
        #: Where the sign-in of this request leads, so that starting again leads there too.
        self.return_to: str | None = None

    def caller(self) -> Caller:
        """Who is calling."""
        return identify(self.request, self.relying_party, self.site)

    def check_origin(self) -> None:
        """Check that a page of ours, or no page at all, makes this request.

        :raises OriginRefused: otherwise.
        """
        check_origin(
            self.request,
            origin=self.site.origin(self.request),
            allowed_origins=self.settings.allowed_origins,
        )

    @property
    def is_foreign(self) -> bool:
        """Whether a page of another origin, which the application does not allow, calls."""
        return is_foreign(
            self.request,
            origin=self.site.origin(self.request),
            allowed_origins=self.settings.allowed_origins,
        )

    @property
    def has_strict_cookies(self) -> bool:
        """Whether the host's own cookies are ``SameSite=Strict``."""
        # Looked up each time: an extension that came after us may have set it.
        return has_strict_cookies(current_app.config)

    @property
    def callback_name(self) -> str:
        """The tenant to whose own callback this request came; empty for any other route."""
        return str((self.request.view_args or {}).get("tenant", ""))

    @property
    def callback_route(self) -> str:
        """The path that the answer reached, for a page of ours."""
        return tenant_callback_url(
            self.site.route(CALLBACK_PATH, self.request), self.callback_name
        )

    @property
    def callback_url(self) -> str:
        """The redirect URI that is ours: that of the default tenant."""
        return self.site.callback_url(self.request)

    @property
    def reached_url(self) -> str:
        """The callback that an answer reached, as an exact address."""
        return tenant_callback_url(self.callback_url, self.callback_name)

    def report(self, exc: PKCEError) -> None:
        """Tell the log and the host of an error, which forgets what was in its frames."""
        exc.forget_frames()
        log(exc, route=str(self.request.endpoint))
        self.relying_party.hooks.on_error(exc)
        self.relying_party.hooks.tell(failed, error=exc)

    def problem(self, exc: PKCEError) -> Response:
        """Build the response to an error; a page leads back to where the sign-in was to lead."""
        return problem(
            exc,
            html=self.html,
            start_url=self.site.route("/pkce/code", self.request),
            return_to=self.return_to,
        )

    def finish(self, response: Response) -> Response:
        """The answer, error or not, with the cookie where there is a new pointer."""
        if self.pointer is not None:
            set_cookie(
                response,
                self.site.cookie_name(self.request),
                self.relying_party.signing.sign_pointer(self.pointer),
                secure=self.site.is_secure(self.request),
            )
        return response

    def delete_cookie(self, response: Response) -> None:
        """Let the browser forget its cookie."""
        delete_cookie(
            response,
            self.site.cookie_name(self.request),
            secure=self.site.is_secure(self.request),
        )

    def on(self, flow: Flow | None) -> Response:
        """Send a browser on after a sign-in."""
        destination = self.settings.authenticated_url
        if self.settings.delivers_to_session:
            destination = (flow.return_to if flow is not None else None) or destination or "/"
        if destination is None:
            return page("done.html")
        return see_other(self.site.destination(destination, self.request))


@dataclass(frozen=True)
class Route:
    """One of our paths."""

    path: str
    endpoint: str
    methods: tuple[str, ...]
    view: Callable[[RequestContext], Response]
    #: Whether other sites send browsers here with the tenant's answer.
    is_callback: bool = False
    #: Checks who may ask: by default a page of ours, or no page at all.
    guard: Callable[[RequestContext], None] = RequestContext.check_origin
    #: Whether its answer has a body, whose type is negotiated.
    has_content: bool = True
