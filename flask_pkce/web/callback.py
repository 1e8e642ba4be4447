"""The redirect URI: an answer of the tenant is kept, fetched with its ticket, and bound."""

from __future__ import annotations

import dataclasses
from urllib.parse import urlencode

from flask import Response
from msgspec import UnsetType

from ..errors import (
    AnswerMissing,
    CodeSpent,
    DeliveryRefused,
    FlowError,
    ParameterInvalid,
    PKCEError,
    RedemptionUnderWay,
    SessionMismatch,
    SessionRenewed,
    TenantUnknown,
    TicketSpent,
)
from ..protocol.authorization import CallbackParameters, parse_callback
from ..relying_party.authorize import SessionOwner, passed_on
from ..sessions.flow import Failure, Flow, FlowFailed, Status
from ..sessions.pending_callbacks import ANSWER_LIFETIME, Ticket
from ..sessions.records import Stored
from ..sessions.session import Session
from ..settings.values import is_tenant_name
from .body import read_form, read_query
from .callers import Caller, local_owner
from .confirmation import ask_about_sign_in
from .context import RequestContext
from .missing import explain_loss
from .models import Schema, read_schema
from .responses import HiddenText, json_response, page, see_other


def response_code(context: RequestContext) -> Response:
    """``/pkce/response/code``: the redirect URI."""
    if context.callback_name and not is_tenant_name(context.callback_name):
        raise TenantUnknown()
    if not context.callback_name and not context.settings.domain:
        raise TenantUnknown(
            hint="For the operator: each tenant has a callback of its own, which ends in its name;"
            " register that one at the tenant."
        )
    try:
        if context.request.method == "GET":
            return _callback_get(context)
        return _callback_post(context)
    except FlowError as exc:
        raise explain_loss(exc, context.request, context.relying_party) from exc.__cause__


def _callback_post(context: RequestContext) -> Response:
    query = read_query(context.request)
    for name in ("code", "state", "error", "iss", "ticket"):
        if name in query:
            raise ParameterInvalid("must be in the form, not in the address", field=name)
    answer, schema = _posted_answer(context)
    if context.html:
        context.relying_party.sign_in.check_state(answer.state)
        return _keep(context, answer)
    # Not a navigation, so no other site may have made it.
    context.check_origin()
    if context.settings.delivers_to_session:
        raise DeliveryRefused(field="code")
    caller = context.caller()
    if not caller.owner.names:
        caller.known_session  # noqa: B018 (raises the reason why there is none)
    session, flow = context.relying_party.sign_in.find([caller.owner], answer)
    answer = passed_on(answer, flow.value)
    _renew(context, session, flow, answer)
    bound = context.relying_party.sign_in.bind(flow, answer)
    return json_response(context.answers.result(bound.value, schema))


def _posted_answer(context: RequestContext) -> tuple[CallbackParameters, Schema | UnsetType]:
    """Read the answer in a form, and the version of the published model that it has."""
    form = read_form(context.request)
    answer = dataclasses.replace(parse_callback(form), callback_url=context.reached_url)
    return answer, read_schema(form.get("schema", ""))


def _read_address(context: RequestContext) -> CallbackParameters | Ticket:
    """Read the answer in an address, or else the ticket."""
    query = read_query(context.request)
    if "ticket" in query:
        return Ticket(query["ticket"])
    if not query.keys() & {"code", "error", "state"}:
        raise AnswerMissing()
    return dataclasses.replace(parse_callback(query), callback_url=context.reached_url)


def _keep(
    context: RequestContext, answer: CallbackParameters, *, failure: Failure | None = None
) -> Response:
    """Keep an answer under a ticket, and send the browser to fetch it.

    The cross-site POST came without ``Lax`` cookies: no flow, session or cookie is touched.
    """
    ticket = context.relying_party.pending_callbacks.keep(answer, failure=failure)
    location = _location(context, ticket)
    if context.has_strict_cookies:
        # Strict cookies come along only where a page of ours begins the navigation.
        return page("continue.html", refresh="0", location=location)
    return see_other(str(location))


def _location(context: RequestContext, ticket: Ticket) -> HiddenText:
    """Where a browser fetches the answer of a ticket."""
    return HiddenText(f"{context.callback_route}?{urlencode({'ticket': ticket.value})}")


def _callback_get(context: RequestContext) -> Response:
    asked = _read_address(context)
    if isinstance(asked, Ticket):
        return _fetch(context, asked)
    answer, caller = asked, context.caller()
    if context.has_strict_cookies or caller.is_outrun:
        context.relying_party.sign_in.check_state(answer.state)
        return _keep(context, answer)
    session, flow = _find(context, caller, answer)
    try:
        flow.value.check_not_failed()
        session, flow = _bind(context, session, flow, answer)
    except SessionRenewed:
        return _keep(context, answer)
    except PKCEError as exc:
        if context.relying_party.sign_in.reloaded(flow).value.failure is None:
            raise
        return _tell_elsewhere(context, answer, exc)
    try:
        onwards = _go_on(context, session, flow)
    except PKCEError as exc:
        return _tell_elsewhere(context, answer, exc)
    # A page is shown at the clean address.
    return (
        onwards
        if "Location" in onwards.headers
        else _keep(context, CallbackParameters(state=answer.state))
    )


def _tell_elsewhere(
    context: RequestContext, answer: CallbackParameters, exc: PKCEError
) -> Response:
    """Send the browser to the clean address, where it is told of an error once."""
    context.report(exc)
    return _keep(context, CallbackParameters(state=answer.state), failure=Failure.of(exc))


def _owners(context: RequestContext, caller: Caller) -> list[SessionOwner]:
    """Whose flows this browser may finish: its own, and those of the local session."""
    local = local_owner(context.request, context.relying_party)
    return [caller.owner, *([local] if local is not None else [])]


def _find(
    context: RequestContext, caller: Caller, answer: CallbackParameters
) -> tuple[Stored[Session], Stored[Flow]]:
    """Find the flow that an answer is for, in the browser that brought it.

    From here on the page of an error leads to where this sign-in was to lead.
    """
    try:
        session, flow = context.relying_party.sign_in.find(_owners(context, caller), answer)
    except SessionMismatch:
        if caller.owner.session is None:
            raise caller.reason from None
        raise
    context.return_to = flow.value.return_to
    return session, flow


def _bind(
    context: RequestContext,
    session: Stored[Session],
    flow: Stored[Flow],
    answer: CallbackParameters,
) -> tuple[Stored[Session], Stored[Flow]]:
    """Renew the cookie of a browser, and bind the answer that it brought.

    :raises IssuerMismatch: if the flow expects another answer; nothing is changed.
    :raises SessionRenewed: if another renewed it at this moment; nothing is bound.
    """
    renewed = _renew(context, session, flow, answer)
    if renewed is None:
        return session, flow
    return renewed, context.relying_party.sign_in.bind(flow, answer)


def _renew(
    context: RequestContext,
    session: Stored[Session],
    flow: Stored[Flow],
    answer: CallbackParameters,
) -> Stored[Session] | None:
    """Renew the cookie before the answer of a flow is bound; None if it has one already.

    Whoever had planted the old one, and with it the flow, does not get at the answer: it is
    renewed first, so that of two at the same moment only one goes on.

    :raises IssuerMismatch: if the flow expects another answer: that changes nothing.
    :raises SessionRenewed: if that was another.
    """
    if flow.value.is_answered or flow.value.failure is not None:
        if context.relying_party.sessions.was_renewed(session):
            # By the same answer, at this moment: the old cookie would sign nobody in.
            raise SessionRenewed()
        return None
    context.relying_party.sign_in.check(flow.value, answer)
    renewed, context.pointer = context.relying_party.sessions.renew(session)
    return renewed


def _fetch(context: RequestContext, ticket: Ticket) -> Response:
    """Bind the response of a ticket, which one request consumes.

    A request with a cookie that is being renewed consumes none.

    :raises SessionRenewed: if that is so.
    """
    caller = context.caller()
    if caller.is_outrun:
        raise SessionRenewed()
    kept = context.relying_party.pending_callbacks.take(ticket)
    if kept is None:
        return _spent(context, caller)
    answer = kept.answer
    session, flow = _find(context, caller, answer)
    if kept.failure is not None:
        return context.problem(FlowFailed.at_first(kept.failure))
    try:
        flow.value.check_not_failed()
        session, flow = _bind(context, session, flow, answer)
        return _go_on(context, session, flow)
    except SessionRenewed:
        # Somebody was faster.  If it was this browser, it has the new cookie by now.
        return _keep(context, answer)


def _spent(context: RequestContext, caller: Caller) -> Response:
    """A ticket that is no more: reloading and going back are harmless."""
    now = context.relying_party.clock()
    owners = _owners(context, caller)
    sessions = [owner.session for owner in owners if owner.session is not None]
    for session in sessions:
        recent = [
            flow
            for flow in context.relying_party.sessions.flows(session)
            if flow.value.is_unconfirmed or (flow.value.bound_at or 0) > now - ANSWER_LIFETIME
        ]
        if recent:
            newest = max(recent, key=lambda flow: flow.value.bound_at or 0)
            newest.value.check_not_failed()
            return _go_on(context, session, newest)
    if any(session.value.grant(now=now) for session in sessions):
        return context.on(None)
    flows = (
        flow for session in sessions for flow in context.relying_party.sessions.flows(session)
    )
    context.return_to = next((flow.value.return_to for flow in flows), None)
    raise TicketSpent()


def _go_on(context: RequestContext, session: Stored[Session], flow: Stored[Flow]) -> Response:
    """What follows an answer that is bound; with delivery ``session`` its exchange."""
    if flow.value.status is Status.REDEEMING:
        return page("redeeming.html", refresh="1")
    if flow.value.status is Status.DONE or not context.settings.delivers_to_session:
        return context.on(flow.value)
    question = ask_about_sign_in(context, session, flow.value)
    if question is not None:
        return question
    try:
        redeemed = context.relying_party.redemption.redeem(session, flow)
    except RedemptionUnderWay:
        return page("redeeming.html", refresh="1")
    except (CodeSpent, SessionRenewed):
        # Another tab of this browser was faster, and signed the same session in.
        return context.on(flow.value)
    context.pointer = redeemed.pointer
    return context.on(redeemed.flow)
