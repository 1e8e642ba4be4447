"""The routes but the callback: each reads, asks the relying party, and answers."""

from __future__ import annotations

from functools import partial

from flask import Response

from ..errors import (
    AuthorizationPending,
    DeliveryRefused,
    NotSignedIn,
    ParameterForeign,
    PKCEError,
    RefreshTokenUnknown,
    SessionOver,
)
from ..protocol.token import REFRESH_TOKEN
from ..sessions.flow import Flow, Status
from ..sessions.records import Stored
from ..sessions.session import Session
from ..settings.model import Settings
from ..tenant.cache import Tenant
from ..tenant.registry import tenant_callback_url
from .body import is_form, read_form, read_json
from .callback import response_code
from .confirmation import LOGIN_PATH
from .context import RequestContext, Route
from .limits import place_to_wait, wished_wait
from .login import anybody, back_channel_logout, link, login, logout, return_address, user_claims
from .models import SeededPKCE, TokenizedPKCE, read_seed, read_token_body, user_of
from .responses import json_response, no_content, page, see_other
from .urls import CALLBACK_PATH


def challenge(context: RequestContext) -> Response:
    """``GET /pkce/challenge``: start a flow."""
    begun = context.relying_party.sign_in.start_for_caller(
        context.caller().owner_to_start, callback_url=context.callback_url
    )
    context.pointer = begun.pointer
    if context.html:
        return page("start.html", start_url=context.site.route("/pkce/code", context.request))
    return json_response(context.answers.challenge(begun.flow.value))


def code(context: RequestContext) -> Response:
    """``POST /pkce/code``: send the caller to the tenant."""
    seed, return_to = SeededPKCE(), None
    if context.html and is_form(context.request):
        return_to = return_address(read_form(context.request))
    else:
        seed = read_seed(read_json(context.request))
    owner = context.caller().owner_to_start
    user = (
        context.relying_party.presence.asked_again(owner.session, seed) if owner.session else None
    )
    sent = context.relying_party.sign_in.authorize(
        owner, seed, callback_url=context.callback_url, return_to=return_to, user=user
    )
    context.pointer = sent.pointer
    if context.html:
        return see_other(sent.authorization_url)
    flow, waited = sent.flow, 0
    # Strangers do not wait: each of them would hold a thread, or all of a server of one.
    wished = wished_wait(context.request) if owner.is_local else 0
    if wished and flow.value.status is Status.SENT:
        with place_to_wait(context.request) as granted:
            if granted:
                flow, waited = context.relying_party.sign_in.wait(flow, seconds=wished), wished
    tells_result = _may_know_the_code(context, sent.session, flow.value)
    answer = context.answers.code(
        sent, flow.value, now=context.relying_party.clock(), tells_result=tells_result
    )
    response = json_response(answer)
    if waited:
        response.headers["Preference-Applied"] = f"wait={waited}"
    return response


def _may_know_the_code(context: RequestContext, session: Stored[Session], flow: Flow) -> bool:
    """Whether a caller is told the code that was bound.

    One whose cookie was renewed since it asked may be somebody else, who had planted or stolen the
    old one; it asks again with the new one.  A code that does not come to our callback is known to
    whoever brought it, and to nobody else.

    :raises SignedOutMeanwhile: if the session was cleared since, perhaps by the old cookie.
    """
    return not flow.is_sent_elsewhere and not context.relying_party.sessions.was_renewed(session)


def token(context: RequestContext) -> Response:
    """``POST /pkce/token``: exchange a code, or refresh."""
    asked = read_token_body(read_json(context.request))
    caller = context.caller()
    if caller.owner.is_local and caller.owner.session is None:
        raise _without_local_session(asked)
    session = caller.known_session
    if context.settings.delivers_to_session:
        return _signed_in_user(context, session, asked)
    if asked.grant_type == REFRESH_TOKEN:
        return _refresh(context, session, asked)
    flow = context.relying_party.redemption.flow_to_redeem(
        session, asked, check=partial(_check_asked, asked)
    )
    redeemed = context.relying_party.redemption.redeem(session, flow, asked=asked)
    context.pointer = redeemed.pointer
    if context.html:
        return context.on(redeemed.flow)
    return json_response(context.answers.redeemed(redeemed, asked))


def _without_local_session(asked: TokenizedPKCE) -> PKCEError:
    """Why a caller of the local session gets no tokens where there is no such session."""
    if asked.grant_type == REFRESH_TOKEN:
        return RefreshTokenUnknown()
    if asked.code is not None or asked.code_verifier is not None:
        return SessionOver()
    return AuthorizationPending()


def _check_asked(asked: TokenizedPKCE, known: Tenant) -> None:
    """Check that the tenant has the client and the API that a caller names.

    :param known: the tenant of the sign-in.
    :raises ParameterForeign: if it has not.
    """
    registration = known.registration
    if asked.client_id not in {None, registration.client_id}:
        raise ParameterForeign("is not the client of this tenant", field="$.client_id")
    is_known = asked.audience is None or asked.audience in registration.audiences_allowed
    if not is_known and asked.audience != known.get().userinfo_endpoint:
        raise ParameterForeign("is not an allowed audience", field="$.audience")


def _refresh(context: RequestContext, session: Stored[Session], asked: TokenizedPKCE) -> Response:
    grant = context.relying_party.refresh.grant(session.value, asked)
    known = context.relying_party.tenants.of_grant(grant)
    if known is None:
        raise RefreshTokenUnknown("The sign-in was at another tenant.")
    _check_asked(asked, known)
    is_api = asked.audience in known.registration.audiences_allowed
    refreshed = context.relying_party.refresh.refresh(
        session,
        grant,
        audience=asked.audience if is_api else None,
        asked=asked,
    )
    return json_response(context.answers.tokens(refreshed.tenant, refreshed.response))


def _signed_in_user(
    context: RequestContext, session: Stored[Session], asked: TokenizedPKCE
) -> Response:
    """Return who signed in: with delivery ``session`` the callback exchanges the code."""
    grant = context.relying_party.presence.grant(session)
    known = context.relying_party.tenants.of_grant(grant) if grant is not None else None
    tenant = known or context.relying_party.tenants.select()
    _check_asked(asked, tenant)
    ours = tenant_callback_url(context.callback_url, tenant.registration.name)
    if asked.grant_type != REFRESH_TOKEN and asked.redirect_uri not in {None, ours}:
        raise ParameterForeign("is not the redirect URI of this tenant", field="$.redirect_uri")
    for name in ("code", "code_verifier", "refresh_token"):
        if getattr(asked, name) is not None:
            raise DeliveryRefused(field=f"$.{name}")
    if grant is not None and known is not None:
        return json_response(context.answers.user(known.get(), dict(grant.claims)))
    newest = next(context.relying_party.sessions.flows(session), None)
    if newest is not None and newest.value.status is not Status.BOUND:
        newest.value.check_redeemable()
    raise AuthorizationPending()


def clear(context: RequestContext) -> Response:
    """``POST /pkce/clear``: end the session."""
    caller = context.caller()
    # While the callback exchanges a code, the renewed cookie is not in the browser yet.
    session = caller.owner.session or caller.outrun_session
    if session is not None:
        context.relying_party.sign_out.clear(session)
    destination = context.settings.unauthenticated_url
    if not context.html:
        response = no_content()
    elif destination is not None:
        response = see_other(context.site.destination(destination, context.request))
    else:
        response = page(
            "signed_out.html", start_url=context.site.route("/pkce/code", context.request)
        )
    if caller.has_cookie:
        context.delete_cookie(response)
    return response


def user(context: RequestContext) -> Response:
    """``GET /pkce/user``: who signed in, from the verified ID token."""
    # A cookie that is being renewed says neither that the user is signed in nor the contrary.
    session = context.caller().owner_to_start.session
    grant = context.relying_party.presence.grant(session) if session is not None else None
    if grant is None:
        raise NotSignedIn()
    claims = user_claims(grant)
    if context.html:
        return page(
            "user.html",
            user=user_of(claims),
            clear_url=context.site.route("/pkce/clear", context.request),
        )
    return json_response(claims)


#: The five of the published API.
ROUTES = (
    Route("/pkce/challenge", "challenge", ("GET",), challenge),
    Route("/pkce/code", "code", ("POST",), code),
    Route(CALLBACK_PATH, "response_code", ("GET", "POST"), response_code, is_callback=True),
    Route("/pkce/token", "token", ("POST",), token),
    Route("/pkce/clear", "clear", ("POST",), clear, has_content=False),
)
#: Of each named tenant.
TENANT_CALLBACK_ROUTE = Route(
    f"{CALLBACK_PATH}/<tenant>",
    "tenant_response_code",
    ("GET", "POST"),
    response_code,
    is_callback=True,
)
_SESSION_ROUTES = (
    Route("/pkce/user", "user", ("GET",), user),
    Route(LOGIN_PATH, "login", ("GET", "POST"), login, guard=link, has_content=False),
    Route("/pkce/logout", "logout", ("POST",), logout, has_content=False),
)
_BACK_CHANNEL_ROUTE = Route(
    "/pkce/logout/backchannel",
    "back_channel_logout",
    ("POST",),
    back_channel_logout,
    guard=anybody,
    has_content=False,
)


def optional_routes(settings: Settings) -> tuple[Route, ...]:
    """The routes beside the five that the settings switch on."""
    return (
        *(_SESSION_ROUTES if settings.delivers_to_session else ()),
        *((_BACK_CHANNEL_ROUTE,) if settings.backchannel_logout else ()),
    )
