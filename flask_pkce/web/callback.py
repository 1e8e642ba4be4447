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
from ..protocol.authorization import Answer, parse_answer
from ..relying_party.authorize import Owner, passed_on
from ..sessions.flow import Failure, Flow, FlowFailed, Status
from ..sessions.pending_callbacks import ANSWER_LIFETIME, Ticket
from ..sessions.records import Held
from ..sessions.session import Session
from ..settings.values import is_tenant_name
from .body import read_form, read_query
from .callers import Caller, local_owner
from .confirmation import ask_about_sign_in
from .context import Call
from .missing import explain_loss
from .models import Schema, read_schema
from .responses import HiddenText, json_response, page, see_other


def response_code(call: Call) -> Response:
    """``/pkce/response/code``: the redirect URI."""
    if call.callback_name and not is_tenant_name(call.callback_name):
        raise TenantUnknown()
    if not call.callback_name and not call.settings.domain:
        raise TenantUnknown(
            hint="For the operator: each tenant has a callback of its own, which ends in its name;"
            " register that one at the tenant."
        )
    try:
        if call.request.method == "GET":
            return _callback_get(call)
        return _callback_post(call)
    except FlowError as exc:
        raise explain_loss(exc, call.request, call.engine) from exc.__cause__


def _callback_post(call: Call) -> Response:
    query = read_query(call.request)
    for name in ("code", "state", "error", "iss", "ticket"):
        if name in query:
            raise ParameterInvalid("must be in the form, not in the address", field=name)
    answer, schema = _posted_answer(call)
    if call.html:
        call.engine.sign_in.check_state(answer.state)
        return _keep(call, answer)
    # Not a navigation, so no other site may have made it.
    call.check_origin()
    if call.settings.delivers_to_session:
        raise DeliveryRefused(field="code")
    caller = call.caller()
    if not caller.owner.names:
        caller.known_session  # noqa: B018 (raises the reason why there is none)
    session, flow = call.engine.sign_in.find([caller.owner], answer)
    answer = passed_on(answer, flow.value)
    _renew(call, session, flow, answer)
    bound = call.engine.sign_in.bind(flow, answer)
    return json_response(call.answers.result(bound.value, schema))


def _posted_answer(call: Call) -> tuple[Answer, Schema | UnsetType]:
    """Read the answer in a form, and the version of the published model that it has."""
    form = read_form(call.request)
    answer = dataclasses.replace(parse_answer(form), callback_url=call.reached_url)
    return answer, read_schema(form.get("schema", ""))


def _read_address(call: Call) -> Answer | Ticket:
    """Read the answer in an address, or else the ticket."""
    query = read_query(call.request)
    if "ticket" in query:
        return Ticket(query["ticket"])
    if not query.keys() & {"code", "error", "state"}:
        raise AnswerMissing()
    return dataclasses.replace(parse_answer(query), callback_url=call.reached_url)


def _keep(call: Call, answer: Answer, *, failure: Failure | None = None) -> Response:
    """Keep an answer under a ticket, and send the browser to fetch it.

    The cross-site POST came without ``Lax`` cookies: no flow, session or cookie is touched.
    """
    ticket = call.engine.tickets.keep(answer, failure=failure)
    location = _location(call, ticket)
    if call.has_strict_cookies:
        # Strict cookies come along only where a page of ours begins the navigation.
        return page("continue.html", refresh="0", location=location)
    return see_other(str(location))


def _location(call: Call, ticket: Ticket) -> HiddenText:
    """Where a browser fetches the answer of a ticket."""
    return HiddenText(f"{call.callback_route}?{urlencode({'ticket': ticket.value})}")


def _callback_get(call: Call) -> Response:
    asked = _read_address(call)
    if isinstance(asked, Ticket):
        return _fetch(call, asked)
    answer, caller = asked, call.caller()
    if call.has_strict_cookies or caller.is_outrun:
        call.engine.sign_in.check_state(answer.state)
        return _keep(call, answer)
    session, flow = _find(call, caller, answer)
    try:
        flow.value.check_not_failed()
        session, flow = _bind(call, session, flow, answer)
    except SessionRenewed:
        return _keep(call, answer)
    except PKCEError as exc:
        if call.engine.sign_in.reloaded(flow).value.failure is None:
            raise
        return _tell_elsewhere(call, answer, exc)
    try:
        onwards = _go_on(call, session, flow)
    except PKCEError as exc:
        return _tell_elsewhere(call, answer, exc)
    # A page is shown at the clean address.
    return onwards if "Location" in onwards.headers else _keep(call, Answer(state=answer.state))


def _tell_elsewhere(call: Call, answer: Answer, exc: PKCEError) -> Response:
    """Send the browser to the clean address, where it is told of an error once."""
    call.report(exc)
    return _keep(call, Answer(state=answer.state), failure=Failure.of(exc))


def _owners(call: Call, caller: Caller) -> list[Owner]:
    """Whose flows this browser may finish: its own, and those of the local session."""
    local = local_owner(call.request, call.engine)
    return [caller.owner, *([local] if local is not None else [])]


def _find(call: Call, caller: Caller, answer: Answer) -> tuple[Held[Session], Held[Flow]]:
    """Find the flow that an answer is for, in the browser that brought it.

    From here on the page of an error leads to where this sign-in was to lead.
    """
    try:
        session, flow = call.engine.sign_in.find(_owners(call, caller), answer)
    except SessionMismatch:
        if caller.owner.session is None:
            raise caller.reason from None
        raise
    call.return_to = flow.value.return_to
    return session, flow


def _bind(
    call: Call, session: Held[Session], flow: Held[Flow], answer: Answer
) -> tuple[Held[Session], Held[Flow]]:
    """Renew the cookie of a browser, and bind the answer that it brought.

    :raises IssuerMismatch: if the flow expects another answer; nothing is changed.
    :raises SessionRenewed: if another renewed it at this moment; nothing is bound.
    """
    renewed = _renew(call, session, flow, answer)
    if renewed is None:
        return session, flow
    return renewed, call.engine.sign_in.bind(flow, answer)


def _renew(
    call: Call, session: Held[Session], flow: Held[Flow], answer: Answer
) -> Held[Session] | None:
    """Renew the cookie before the answer of a flow is bound; None if it has one already.

    Whoever had planted the old one, and with it the flow, does not get at the answer: it is
    renewed first, so that of two at the same moment only one goes on.

    :raises IssuerMismatch: if the flow expects another answer: that changes nothing.
    :raises SessionRenewed: if that was another.
    """
    if flow.value.is_answered or flow.value.failure is not None:
        if call.engine.sessions.was_renewed(session):
            # By the same answer, at this moment: the old cookie would sign nobody in.
            raise SessionRenewed()
        return None
    call.engine.sign_in.check(flow.value, answer)
    renewed, call.pointer = call.engine.sessions.renew(session)
    return renewed


def _fetch(call: Call, ticket: Ticket) -> Response:
    """Bind the response of a ticket, which one request consumes.

    A request with a cookie that is being renewed consumes none.

    :raises SessionRenewed: if that is so.
    """
    caller = call.caller()
    if caller.is_outrun:
        raise SessionRenewed()
    kept = call.engine.tickets.take(ticket)
    if kept is None:
        return _spent(call, caller)
    answer = kept.answer
    session, flow = _find(call, caller, answer)
    if kept.failure is not None:
        return call.problem(FlowFailed.at_first(kept.failure))
    try:
        flow.value.check_not_failed()
        session, flow = _bind(call, session, flow, answer)
        return _go_on(call, session, flow)
    except SessionRenewed:
        # Somebody was faster.  If it was this browser, it has the new cookie by now.
        return _keep(call, answer)


def _spent(call: Call, caller: Caller) -> Response:
    """A ticket that is no more: reloading and going back are harmless."""
    now = call.engine.clock()
    owners = _owners(call, caller)
    sessions = [owner.session for owner in owners if owner.session is not None]
    for session in sessions:
        recent = [
            flow
            for flow in call.engine.sessions.flows(session)
            if flow.value.is_unconfirmed or (flow.value.bound_at or 0) > now - ANSWER_LIFETIME
        ]
        if recent:
            newest = max(recent, key=lambda flow: flow.value.bound_at or 0)
            newest.value.check_not_failed()
            return _go_on(call, session, newest)
    if any(session.value.grant(now=now) for session in sessions):
        return call.on(None)
    flows = (flow for session in sessions for flow in call.engine.sessions.flows(session))
    call.return_to = next((flow.value.return_to for flow in flows), None)
    raise TicketSpent()


def _go_on(call: Call, session: Held[Session], flow: Held[Flow]) -> Response:
    """What follows an answer that is bound; with delivery ``session`` its exchange."""
    if flow.value.status is Status.REDEEMING:
        return page("redeeming.html", refresh="1")
    if flow.value.status is Status.DONE or not call.settings.delivers_to_session:
        return call.on(flow.value)
    question = ask_about_sign_in(call, session, flow.value)
    if question is not None:
        return question
    try:
        redeemed = call.engine.redemption.redeem(session, flow)
    except RedemptionUnderWay:
        return page("redeeming.html", refresh="1")
    except (CodeSpent, SessionRenewed):
        # Another tab of this browser was faster, and signed the same session in.
        return call.on(flow.value)
    call.pointer = redeemed.pointer
    return call.on(redeemed.flow)
