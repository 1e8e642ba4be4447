"""Signs a person in by one line of a test: no provider, no network, no redirects."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, cast

from flask import Response, request
from flask.testing import FlaskClient

from ..protocol.metadata import ClientRegistration
from ..protocol.token import TokenResponse
from ..relying_party.hooks import signed_in
from ..sessions.session import BearerToken, Grant
from ..sessions.signing import Pointer
from ..web.context import RequestContext
from ..web.responses import no_content
from ..web.urls import CALLBACK_PATH
from .organizations import organization_claims
from .visits import FROM_TENANT, NAVIGATION, Visit

if TYPE_CHECKING:
    from flask import Request
    from werkzeug.local import LocalProxy

#: Where a request says which sign-in it is for.
_MARK = "flask_pkce.testing.login"
#: Seconds that the made-up ID token is good for, as at Auth0.
_ID_TOKEN_LIFETIME = 36000


def login_as(
    client: FlaskClient,
    sub: str = "auth0|alice",
    *,
    org: str | None = None,
    access_token: str | None = None,
    scope: str | None = None,
    audience: str | None = None,
    expires_in: int = 86400,
    runs_hooks: bool = True,
    tenant: str | None = None,
    blueprint: str | None = None,
    base_url: str | None = None,
    **claims: Any,
) -> TokenResponse:
    """Sign somebody in, in a test client of an application with delivery ``session``.

    The session lies in the application's store, and its cookie in the client, as after a real
    sign-in; the tenant is not asked, and need not exist.  The functions that the application
    registered with ``after_token`` run, within a request of that client, so that an application
    logs in its own user there; signals are sent.

    :param sub: the subject, who is a user together with the issuer.
    :param org: an organization, by its identifier, which begins with ``org_``, or by its name.
    :param access_token: by default a made-up one.
    :param scope: the scope that was granted, with spaces; by default ``PKCE_SCOPE``.
    :param audience: the API of the access token; by default ``PKCE_AUDIENCE``.
    :param expires_in: seconds that the access token is good for.
    :param runs_hooks: whether functions of ``after_token`` run.
    :param tenant: the name of one of several tenants; by default the one to which a sign-in goes
        that starts in such a request.
    :param blueprint: the blueprint's full name, where the application has several.
    :param base_url: the address of the application's root in the requests of the test; by default
        ``PKCE_PUBLIC_URL`` and what the client asks for by itself.
    :param claims: further claims of the ID token, such as ``email``; they may replace others.
    :return: the tokens, with the claims, as the hooks left them.
    :raises LookupError: if it is not clear which blueprint is meant.
    :raises flask_pkce.errors.TenantUnknown: if there is no such tenant.
    :raises RuntimeError: if the delivery is another, or the application answers in its place.
    """
    visit = Visit.of(client, blueprint, base_url)
    relying_party = visit.extension.relying_party
    if not relying_party.settings.delivers_to_session:
        raise RuntimeError("login_as needs PKCE_TOKEN_DELIVERY `session`")
    # In no variable of the view, which runs the application's hooks.
    token = BearerToken(access_token or secrets.token_urlsafe(32))
    done: list[TokenResponse] = []

    def view() -> Response:
        call = RequestContext(
            cast("LocalProxy[Request]", request)._get_current_object(),
            visit.extension,
        )
        known = (
            relying_party.tenants.select()
            if tenant is None
            else relying_party.tenants.named(tenant)
        )
        made = TokenResponse(
            access_token=token.value,
            expires_in=expires_in,
            scope=known.registration.scope if scope is None else tuple(scope.split()),
            claims=_claims(known.registration, int(relying_party.clock()), sub, org, claims),
        )
        response = relying_party.hooks.after_token(made) if runs_hooks else made
        call.pointer = _sign_session_in(call, known.registration, response, audience)
        relying_party.hooks.tell(signed_in, response=response)
        done.append(response)
        return call.finish(no_content())

    _in_place_of_the_callback(visit, view)
    return done[0]


def logout(
    client: FlaskClient, *, blueprint: str | None = None, base_url: str | None = None
) -> None:
    """Sign out again, by ``POST /pkce/clear``, which asks the tenant for nothing.

    :param blueprint: as in :func:`login_as`.
    :param base_url: as there.
    """
    visit = Visit.of(client, blueprint, base_url)
    visit.open("POST", "/pkce/clear", headers=NAVIGATION)


def _claims(
    registration: ClientRegistration,
    now: int,
    sub: str,
    org: str | None,
    further: Mapping[str, Any],
) -> dict[str, Any]:
    return {
        "iss": registration.issuer,
        "sub": sub,
        "aud": registration.client_id,
        "iat": now,
        "exp": now + _ID_TOKEN_LIFETIME,
        "auth_time": now,
        "sid": secrets.token_urlsafe(16),
        **organization_claims(org),
        **further,
    }


def _sign_session_in(
    call: RequestContext,
    registration: ClientRegistration,
    response: TokenResponse,
    audience: str | None,
) -> Pointer | None:
    """Put a sign-in into the caller's session, or into a new one, under a new pointer."""
    relying_party = call.relying_party
    usual = registration.audience
    audience = audience or usual
    grant = Grant(
        id=secrets.token_urlsafe(16),
        issuer=response.claims["iss"],
        tenant=registration.name,
        client_id=registration.client_id,
        claims=response.claims,
        scope=response.scope,
        audience=usual,
        signed_in_at=relying_party.clock(),
    )
    grant = relying_party.revocations.admit(grant) or grant
    # A session begins with a flow, which is over here.
    owner = call.caller().owner
    held, flow, _ = relying_party.sessions.start(owner.session, host=owner.host)
    saved, pointer = relying_party.redemption.sign_session_in(
        held,
        relying_party.revocations.admit(grant) or grant,
        response,
        audience=None if audience == usual else audience,
    )
    relying_party.sessions.update(saved, lambda session: session.without_flow(flow.key))
    return pointer


def _in_place_of_the_callback(visit: Visit, view: Callable[[], Response]) -> None:
    """Run a view in a request to the callback, with everything that the host does around it."""
    functions = visit.client.application.view_functions
    endpoint = f"{visit.extension.site.name}.response_code"
    outcome: list[Response | BaseException] = []
    mark = object()

    def observed() -> Response:
        if request.environ.get(_MARK) is not mark:
            # Of somebody else, at this moment.
            return cast("Response", real())
        try:
            outcome.append(view())
        except BaseException as exc:
            outcome.append(exc)
            raise
        return cast("Response", outcome[0])

    real, functions[endpoint] = functions[endpoint], observed
    try:
        response = visit.open(
            "GET", CALLBACK_PATH, headers=FROM_TENANT, environ_overrides={_MARK: mark}
        )
    finally:
        functions[endpoint] = real
    if not outcome:
        raise RuntimeError(f"the application itself answered {response.status} at the callback")
    if isinstance(outcome[0], BaseException):
        # An error handler of the host's swallowed it.
        raise outcome[0]
