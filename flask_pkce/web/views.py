"""The five routes, and the user's: each reads, asks the engine, and answers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from flask import Blueprint, Request, Response

from ..engine import Engine
from ..errors import (
    AuthorizationPending,
    CookieForged,
    DeliveryRefused,
    IssuerMismatch,
    NotSignedIn,
    ParameterForeign,
    ParameterInvalid,
    PKCEError,
    RedemptionUnderWay,
    RequestError,
    ReturnAddressRefused,
    SessionMismatch,
    TicketSpent,
)
from ..flow import Flow, Status
from ..protocol.addresses import is_local_path
from ..protocol.authorization import Answer, parse_answer
from ..protocol.token import REFRESH_TOKEN
from ..session import Session
from ..sessions import ANSWER_LIFETIME, Held
from ..sign_in import Owner
from ..signing import Pointer
from ..wire import (
    SeededPKCE,
    TokenizedPKCE,
    read_schema,
    read_seed,
    read_token_body,
    user_of,
)
from .answers import Answers
from .body import is_form, read_form, read_json, read_query
from .callers import Caller, identify, local_owner
from .cookies import delete_cookie, set_cookie
from .guard import check_origin, wants_html
from .responses import json_response, no_content, page, see_other
from .site import CALLBACK_PATH, Site
from .tickets import AnswerLimit
from .waiting import Waiters, wished_wait

#: Claims of the ID token that are the protocol's, and not the user's.
_PROTOCOL_CLAIMS = frozenset({"nonce", "at_hash", "c_hash", "s_hash"})


@dataclass(frozen=True)
class Mounted:
    """One blueprint in one application."""

    blueprint: Blueprint
    engine: Engine
    site: Site
    #: Whether the host's own cookies are ``SameSite=Strict``.
    has_strict_cookies: bool
    answer_limit: AnswerLimit = field(default_factory=AnswerLimit)
    waiters: Waiters = field(default_factory=Waiters)


class Call:
    """One request to one of the routes, after it passed the guard."""

    def __init__(self, request: Request, mounted: Mounted) -> None:
        self.request = request
        self.mounted = mounted
        self.engine = mounted.engine
        self.settings = mounted.engine.settings
        self.site = mounted.site
        self.html = wants_html(request)
        self.answers = Answers(self.settings, self.site, request)

    def caller(self) -> Caller:
        """Who is calling."""
        return identify(self.request, self.engine, self.site)

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
    def callback_url(self) -> str:
        """The redirect URI that is ours."""
        return self.site.callback_url(self.request)

    def with_pointer(self, response: Response, pointer: Pointer | None) -> Response:
        """An answer that sets the cookie, where there is a new pointer."""
        if pointer is not None:
            set_cookie(
                response,
                self.site.cookie_name(self.request),
                self.engine.signing.sign_pointer(pointer),
                secure=self.site.is_secure(self.request),
            )
        return response

    def on(self, flow: Flow | None) -> Response:
        """Send a browser on after a sign-in."""
        destination = self.settings.authenticated_url
        if self.settings.delivers_to_session:
            destination = (flow.return_to if flow is not None else None) or destination or "/"
        if destination is None:
            return page("done.html")
        return see_other(self.site.destination(destination, self.request))


def challenge(call: Call) -> Response:
    """``GET /pkce/challenge``: start a flow."""
    begun = call.engine.sign_in.start(call.caller().owner)
    if call.html:
        response = page("start.html", start_url=call.site.route("/pkce/code", call.request))
    else:
        response = json_response(call.answers.challenge(begun.flow.value))
    return call.with_pointer(response, begun.pointer)


def code(call: Call) -> Response:
    """``POST /pkce/code``: send the caller to the tenant."""
    seed, return_to = SeededPKCE(), None
    if call.html and is_form(call.request):
        return_to = _return_to(read_form(call.request))
    else:
        seed = read_seed(read_json(call.request))
    owner = call.caller().owner
    sent = call.engine.sign_in.authorize(
        owner, seed, callback_url=call.callback_url, return_to=return_to
    )
    if call.html:
        return call.with_pointer(see_other(sent.authorization_url), sent.pointer)
    flow, waited = sent.flow, 0
    wished = wished_wait(call.request)
    if wished and flow.value.status is Status.SENT:
        with call.mounted.waiters.place(sent.session.key, call.request) as granted:
            if granted:
                flow, waited = call.engine.sign_in.wait(flow, seconds=wished), wished
    response = json_response(call.answers.code(sent, flow.value))
    if waited:
        response.headers["Preference-Applied"] = f"wait={waited}"
    return call.with_pointer(response, sent.pointer)


def _return_to(form: Mapping[str, str]) -> str | None:
    return_to = form.get("return_to") or None
    if return_to is not None and not is_local_path(return_to):
        raise ReturnAddressRefused(field="return_to")
    return return_to


# -- the callback ----------------------------------------------------------------


def response_code(call: Call) -> Response:
    """``/pkce/response/code``: the redirect URI."""
    if call.request.method == "GET":
        return _callback_get(call)
    return _callback_post(call)


def _callback_post(call: Call) -> Response:
    for name in ("code", "state", "error", "iss", "ticket"):
        if name in call.request.args:
            raise ParameterInvalid("must be in the form, not in the address", field=name)
    form = read_form(call.request)
    answer = parse_answer(form)
    if call.html:
        return _keep(call, answer)
    # Not a navigation, so no other site may have made it.
    call.check_origin()
    if call.settings.delivers_to_session:
        raise DeliveryRefused(field="code")
    caller = call.caller()
    if not caller.owner.is_local:
        caller.known_session  # noqa: B018 (raises the reason why there is none)
    _, flow = call.engine.sign_in.find([caller.owner], answer.state)
    bound = call.engine.sign_in.bind(flow, answer)
    return json_response(call.answers.result(bound.value, read_schema(form.get("schema", ""))))


def _keep(call: Call, answer: Answer) -> Response:
    """Keep an answer under a ticket, and send the browser to fetch it.

    The cross-site POST came without ``Lax`` cookies: no flow, session or cookie is touched.
    """
    call.mounted.answer_limit.count()
    ticket = call.engine.sessions.keep(answer)
    location = f"{call.site.route(CALLBACK_PATH, call.request)}?ticket={ticket}"
    if call.mounted.has_strict_cookies:
        # Strict cookies come along only where a page of ours begins the navigation.
        return page("continue.html", refresh=f"0; url={location}", location=location)
    return see_other(location)


def _callback_get(call: Call) -> Response:
    query = read_query(call.request)
    if "ticket" in query:
        return _fetch(call, query["ticket"])
    if not query.keys() & {"code", "error", "state"}:
        raise RequestError("There is no answer of the tenant in this address.")
    answer = parse_answer(query)
    if call.mounted.has_strict_cookies:
        return _keep(call, answer)
    _, flow = _find(call, answer.state)
    try:
        if not flow.value.is_answered:
            call.engine.sign_in.bind(flow, answer)
    except IssuerMismatch:
        raise
    except PKCEError:
        # Told at the clean address, from the flow that failed.
        call.engine.sign_in.reloaded(flow)
    return _keep(call, Answer(state=answer.state))


def _owners(call: Call, caller: Caller) -> list[Owner]:
    """Whose flows this browser may finish: its own, and those of the local session."""
    local = local_owner(call.request, call.engine)
    return [caller.owner, *([local] if local is not None else [])]


def _find(call: Call, state: str) -> tuple[Held[Session], Held[Flow]]:
    """The flow that an answer is for, in the browser that brought it."""
    caller = call.caller()
    try:
        return call.engine.sign_in.find(_owners(call, caller), state)
    except SessionMismatch:
        if caller.is_forged:
            raise CookieForged() from None
        raise


def _fetch(call: Call, ticket: str) -> Response:
    answer = call.engine.sessions.take_answer(ticket)
    if answer is None:
        return _spent(call)
    session, flow = _find(call, answer.state)
    flow.value.check_not_failed()
    if not flow.value.is_answered:
        flow = call.engine.sign_in.bind(flow, answer)
    return _go_on(call, session, flow)


def _spent(call: Call) -> Response:
    """A ticket that is no more: reloading and going back are harmless."""
    now = call.engine.clock()
    owners = _owners(call, call.caller())
    sessions = [owner.session for owner in owners if owner.session is not None]
    for session in sessions:
        recent = [
            flow
            for flow in call.engine.sessions.flows(session)
            if (flow.value.bound_at or 0) > now - ANSWER_LIFETIME
        ]
        if recent:
            newest = max(recent, key=lambda flow: flow.value.bound_at or 0)
            newest.value.check_not_failed()
            return _go_on(call, session, newest)
    if any(session.value.grant(now=now) for session in sessions):
        return call.on(None)
    raise TicketSpent()


def _go_on(call: Call, session: Held[Session], flow: Held[Flow]) -> Response:
    """What follows an answer that is bound; with delivery ``session`` its exchange."""
    if flow.value.status is Status.REDEEMING:
        return page("redeeming.html", refresh="1")
    if flow.value.status is Status.DONE or not call.settings.delivers_to_session:
        return call.on(flow.value)
    try:
        redeemed = call.engine.redemption.redeem(session, flow, callback_url=call.callback_url)
    except RedemptionUnderWay:
        return page("redeeming.html", refresh="1")
    return call.with_pointer(call.on(redeemed.flow), redeemed.pointer)


# -- tokens ----------------------------------------------------------------------


def token(call: Call) -> Response:
    """``POST /pkce/token``: exchange a code, or refresh."""
    asked = read_token_body(read_json(call.request))
    caller = call.caller()
    if caller.owner.is_local and caller.owner.session is None:
        raise AuthorizationPending()
    session = caller.known_session
    _check_asked(call, asked)
    if call.settings.delivers_to_session:
        return _signed_in_user(call, session, asked)
    if asked.grant_type == REFRESH_TOKEN:
        return _refresh(call, session, asked)
    flow = call.engine.redemption.flow_to_redeem(
        session,
        code=asked.code,
        code_verifier=asked.code_verifier,
        redirect_uri=asked.redirect_uri,
        callback_url=call.callback_url,
    )
    redeemed = call.engine.redemption.redeem(
        session, flow, callback_url=call.callback_url, code_verifier=asked.code_verifier
    )
    if call.html:
        return call.with_pointer(call.on(redeemed.flow), redeemed.pointer)
    response = json_response(call.answers.redeemed(redeemed, asked))
    return call.with_pointer(response, redeemed.pointer)


def _check_asked(call: Call, asked: TokenizedPKCE) -> None:
    settings = call.settings
    if asked.client_id not in {None, settings.client_id}:
        raise ParameterForeign("is not the client of this tenant", field="$.client_id")
    if asked.audience is not None and asked.audience not in settings.audiences_allowed:
        tenant = call.engine.tenants.get()
        if asked.audience != tenant.userinfo_endpoint:
            raise ParameterForeign("is not an allowed audience", field="$.audience")
    if asked.grant_type != REFRESH_TOKEN and asked.redirect_uri not in {
        None,
        call.callback_url,
        *settings.redirect_uris,
    }:
        raise ParameterForeign("is not an allowed redirect URI", field="$.redirect_uri")


def _refresh(call: Call, session: Held[Session], asked: TokenizedPKCE) -> Response:
    grant = call.engine.refresh.grant(
        session.value, refresh_token=asked.refresh_token, code=asked.code
    )
    is_api = asked.audience in call.settings.audiences_allowed
    refreshed = call.engine.refresh.refresh(
        session, grant, audience=asked.audience if is_api else None
    )
    return json_response(call.answers.tokens(refreshed.tenant, refreshed.response))


def _signed_in_user(call: Call, session: Held[Session], asked: TokenizedPKCE) -> Response:
    """With delivery ``session`` nothing is exchanged here: the callback does that."""
    for name in ("code", "code_verifier", "refresh_token"):
        if getattr(asked, name) is not None:
            raise DeliveryRefused(field=f"$.{name}")
    grant = session.value.grant(now=call.engine.clock())
    if grant is not None:
        return json_response(call.answers.user(call.engine.tenants.get(), dict(grant.claims)))
    newest = next(call.engine.sessions.flows(session), None)
    if newest is not None and newest.value.status is not Status.BOUND:
        newest.value.check_redeemable()
    raise AuthorizationPending()


def clear(call: Call) -> Response:
    """``POST /pkce/clear``: end the session."""
    caller = call.caller()
    if caller.owner.session is not None:
        call.engine.sign_out.clear(caller.owner.session)
    destination = call.settings.unauthenticated_url
    if not call.html:
        response = no_content()
    elif destination is not None:
        response = see_other(call.site.destination(destination, call.request))
    else:
        response = page("signed_out.html", start_url=call.site.route("/pkce/code", call.request))
    if caller.has_cookie:
        delete_cookie(
            response,
            call.site.cookie_name(call.request),
            secure=call.site.is_secure(call.request),
        )
    return response


def user(call: Call) -> Response:
    """``GET /pkce/user``: who signed in, from the verified ID token."""
    session = call.caller().owner.session
    grant = session.value.grant(now=call.engine.clock()) if session is not None else None
    if grant is None:
        raise NotSignedIn()
    claims = {name: value for name, value in grant.claims.items() if name not in _PROTOCOL_CLAIMS}
    if call.html:
        return page(
            "user.html",
            user=user_of(claims),
            clear_url=call.site.route("/pkce/clear", call.request),
        )
    return json_response(claims)


@dataclass(frozen=True)
class Route:
    """One of our paths."""

    path: str
    endpoint: str
    methods: tuple[str, ...]
    view: Callable[[Call], Response]
    #: Whether other sites send browsers here.
    is_callback: bool = False
    #: Whether its answer has a body, whose type is negotiated.
    has_content: bool = True
    is_for_session_delivery: bool = False


ROUTES = (
    Route("/pkce/challenge", "challenge", ("GET",), challenge),
    Route("/pkce/code", "code", ("POST",), code),
    Route(CALLBACK_PATH, "response_code", ("GET", "POST"), response_code, is_callback=True),
    Route("/pkce/token", "token", ("POST",), token),
    Route("/pkce/clear", "clear", ("POST",), clear, has_content=False),
    Route("/pkce/user", "user", ("GET",), user, is_for_session_delivery=True),
)
