"""The pages that ask before a link of another origin changes who is signed in.

Both post to ``/pkce/login``, which takes a POST from this application's own pages alone.  With
delivery ``caller`` there is no such route, so no flow is another origin's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode

from flask import Response

from ..errors import AccessDenied, NavigationRequired, TicketSpent
from ..protocol.authorization import CallbackParameters
from ..sessions.flow import Flow
from ..sessions.records import Stored
from ..sessions.session import Grant, Session
from ..settings.values import LoginLinks
from ..tenant.cache import Tenant
from ..tenant.registry import tenant_callback_url
from .context import RequestContext
from .models import SeededPKCE
from .responses import HiddenText, page, see_other
from .urls import CALLBACK_PATH

#: The path of the link, and of the forms on both pages.
LOGIN_PATH = "/pkce/login"
#: The form field with a flow's one-time value.
CONFIRMATION = "confirmation"
#: The form field of the button that keeps the present sign-in.
DECLINE = "decline"

#: What a user recognizes an account by, the best first; ``sub`` where a tenant tells none.
_ACCOUNT_CLAIMS = ("email", "preferred_username", "nickname", "name", "sub")


@dataclass(frozen=True, kw_only=True)
class Link:
    """What a link to ``/pkce/login`` asks for; an invitation in it is a secret."""

    #: All parameters, as they came.
    given: Mapping[str, str] = field(repr=False)
    #: Those that ``/pkce/login`` reads.
    fields: Mapping[str, str] = field(repr=False)
    seed: SeededPKCE
    return_to: str | None
    #: Whether a page of another origin leads here.
    is_foreign: bool
    #: Whether the link can choose the tenant.  If it cannot, the sign-in goes to the tenant that
    #: the application chooses for all links, such as by the host.
    names_tenant: bool


@dataclass(frozen=True)
class UserAnswer:
    """The user's answer to :func:`ask_about_sign_in`."""

    confirmation: str = field(repr=False)
    is_declined: bool


def ask_about_link(
    context: RequestContext, link: Link, session: Stored[Session] | None
) -> Response | None:
    """Return the page that asks before a link of another origin starts a sign-in.

    :return: None if the link may start the sign-in without a question.
    :raises NavigationRequired: if the caller cannot show a page.
    :raises ParameterForeign: if the link names no configured tenant.
    """
    tenants = context.relying_party.tenants
    known = tenants.select(link.seed.domain, link.seed.client_id)
    present = context.relying_party.presence.peek(session) if session is not None else None
    asks_always = context.settings.login_links is LoginLinks.ASK
    is_usual = not link.names_tenant or tenants.is_default(known)
    if present is None and is_usual and not asks_always:
        return None
    if not context.html:
        raise NavigationRequired()
    # The query stays in the address: a `tenant_loader` may read it.
    login = context.site.route(LOGIN_PATH, context.request)
    return page(
        "confirm_link.html",
        login_url=HiddenText(f"{login}?{context.request.query_string.decode('latin-1')}"),
        fields=[(name, HiddenText(value)) for name, value in link.fields.items()],
        **_told(context, known, present),
    )


def ask_about_sign_in(
    context: RequestContext, session: Stored[Session], flow: Flow
) -> Response | None:
    """Return the page that asks before a sign-in takes the place of the present one.

    :param flow: a flow that is bound.
    :return: None if this application started the flow, the user has confirmed it, or no user is
        signed in.
    """
    if not flow.is_unconfirmed:
        return None
    present = context.relying_party.presence.peek(session)
    if present is None:
        return None
    return page(
        "confirm_sign_in.html",
        login_url=context.site.route(LOGIN_PATH, context.request),
        confirmation=HiddenText(flow.confirmation or ""),
        **_told(context, context.relying_party.tenants.of_flow(flow), present),
    )


def take_answer(context: RequestContext, answer: UserAnswer) -> Response:
    """Take the user's answer to :func:`ask_about_sign_in`.

    The callback goes on with a flow that the user confirms.  A flow that the user declines fails,
    and the present sign-in stays.  The same answer again changes nothing.

    :raises TicketSpent: if no flow of the session has the one-time value.
    """
    relying_party = context.relying_party
    session = context.caller().known_session
    flows = relying_party.sessions.flows(session)
    flow = next((each for each in flows if each.value.has_confirmation(answer.confirmation)), None)
    if flow is None:
        raise TicketSpent()
    if answer.is_declined:
        if flow.value.is_unconfirmed:
            relying_party.sign_in.fail(flow, AccessDenied("The user kept the present sign-in."))
        return context.on(None)
    if flow.value.is_unconfirmed:
        relying_party.sessions.save(flow, flow.value.confirm())
    ticket = relying_party.pending_callbacks.keep(CallbackParameters(state=flow.value.state))
    tenant = "" if flow.value.expected is None else flow.value.expected.tenant
    callback = tenant_callback_url(context.site.route(CALLBACK_PATH, context.request), tenant)
    return see_other(f"{callback}?{urlencode({'ticket': ticket.value})}")


def _told(context: RequestContext, known: Tenant, present: Grant | None) -> dict[str, Any]:
    """What both pages say: the tenant, the account that is signed in, and the way back."""
    home = context.settings.authenticated_url or "/"
    return {
        "tenant": known.registration.domain,
        "account": None if present is None else _account(present),
        "home_url": context.site.destination(home, context.request),
    }


def _account(grant: Grant) -> str:
    """What a user recognizes the signed-in account by."""
    claims = (grant.claims.get(name) for name in _ACCOUNT_CLAIMS)
    return next(claim for claim in claims if isinstance(claim, str) and claim)
