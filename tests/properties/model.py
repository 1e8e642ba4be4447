"""What every route must answer, said once more: by the tables of the states, and not by our code.

Nothing here knows the library.  A method of :class:`Model` is one request of one caller: it
changes the model as that request must change the application, and tells what must be answered.
"""

from __future__ import annotations

from collections.abc import Iterator

from tests.properties.records import (
    ANSWER_LIFETIME,
    EARLY,
    FAULTS,
    FLOW_LIFETIME,
    GRANT_ENDS,
    LEEWAY,
    LOCAL,
    MAX_FLOWS,
    PROGRAM,
    PUT_BACK,
    RENEWAL_PERIOD,
    SESSION_LIFETIME,
    Answer,
    Code,
    Cookie,
    Expected,
    Flow,
    Looked,
    Refused,
    RefusedAfterRenewal,
    Session,
    Ticket,
)


class Model:
    """The application, its callers, and the tenant as far as it answers them."""

    def __init__(self, *, has_local_session: bool, delivers_to_session: bool, mode: str) -> None:
        self.has_local_session = has_local_session
        self.delivers_to_session = delivers_to_session
        self.mode = mode
        self.now = 0
        self.cookies: dict[str, Cookie] = {}
        self.sessions: list[Session] = []
        self.tickets: list[Ticket] = []
        #: Our own states: for whom each was made, and when.
        self.signed: dict[str, tuple[str, int]] = {}
        #: How often each code may have reached the token endpoint.
        self.arrivals: dict[str, int] = {}

    # -- time --------------------------------------------------------------------

    def jump(self, seconds: int) -> None:
        """Let the clock jump; what is over then never comes back."""
        self.now += seconds
        for ticket in self.tickets:
            ticket.is_expired |= ticket.kept_at + ANSWER_LIFETIME <= self.now
        for session in self.live_sessions():
            if session.expires_at <= self.now:
                session.is_gone = True
            session.flows = [flow for flow in session.flows if flow.expires_at > self.now]
            for flow in session.flows:
                if flow.status == "redeeming" and flow.redeeming_until <= self.now:
                    flow.fail("redemption-abandoned")

    # -- who calls ---------------------------------------------------------------

    def live_sessions(self) -> Iterator[Session]:
        """Those that are not over."""
        return (session for session in self.sessions if not session.is_gone)

    def look(self, who: str) -> Looked:
        """Who calls."""
        cookie = self.cookies.get(who)
        if cookie is None:
            if who == PROGRAM and self.has_local_session:
                return Looked(self._local, "authorization-pending", (LOCAL,))
            return Looked(None, "cookie-missing")
        session = cookie.session
        if session.is_gone:
            return Looked(None, "session-over", (session.name,))
        if cookie.pointer == session.pointer:
            return Looked(session, "", (session.name,))
        is_new = abs(self.now - session.renewed_at) < RENEWAL_PERIOD
        if is_new or any(flow.status == "redeeming" for flow in session.flows):
            return Looked(None, "cookie-renewed")
        return Looked(None, "cookie-outdated")

    @property
    def _local(self) -> Session | None:
        return next((session for session in self.live_sessions() if session.is_local), None)

    def _is_outrun(self, looked: Looked) -> bool:
        return looked.fault == "cookie-renewed"

    def _look_to_start(self, who: str) -> Looked:
        looked = self.look(who)
        if self._is_outrun(looked):
            raise Refused("cookie-renewed")
        return looked

    def _check_state(self, state: str) -> None:
        """Refuse a state that no flow can have."""
        if state in self.signed:
            if self.signed[state][1] + FLOW_LIFETIME <= self.now:
                raise Refused("state-expired")
        elif self.delivers_to_session:
            raise Refused("state-unknown")

    def _missing(self, names: tuple[str, ...], state: str) -> Refused:
        """Why none of these has a flow of that state."""
        owner, created_at = self.signed.get(state, (None, 0))
        if not names or (owner is not None and owner not in names):
            return Refused("session-mismatch")
        if owner is None:
            return Refused("state-unknown")
        if created_at + FLOW_LIFETIME <= self.now:
            return Refused("state-expired")
        for session in self.live_sessions():
            if session.name == owner and (
                session.created_at < created_at
                or (session.created_at == created_at and len(session.flows) >= MAX_FLOWS)
            ):
                return Refused("state-evicted")
        return Refused("state-cleared")

    # -- challenge and code --------------------------------------------------------

    def start(self, who: str, state: str | None = None) -> tuple[Flow, bool]:
        """A new flow, and whether it has a new session with a cookie."""
        session = self._look_to_start(who).session
        is_new = session is None
        if session is None:
            is_local = who == PROGRAM and self.has_local_session
            session = Session(LOCAL if is_local else f"session {len(self.sessions)}")
            session.created_at = session.signed_in_until = self.now
            self.sessions.append(session)
            if not is_local:
                self.cookies[who] = Cookie(session, 0)
        elif len(session.flows) >= MAX_FLOWS:
            self._evict(session)
        flow = Flow(state or "", "", self.now)
        session.flows.append(flow)
        session.saved(self.now)
        return flow, is_new and not session.is_local

    def _evict(self, session: Session) -> None:
        for statuses in ({"done", "failed"}, {"started"}, {"sent"}):
            for flow in session.flows:
                if flow.status in statuses:
                    session.flows.remove(flow)
                    return
        raise Refused("too-many-flows")

    def code(self, who: str, state: str | None) -> tuple[Flow, bool]:
        """The flow that is sent, or told of."""
        looked = self._look_to_start(who)
        if state is not None and state not in self.signed and self.delivers_to_session:
            raise Refused("delivery-refused")
        flows = looked.session.flows if looked.session is not None else []
        if state is None:
            unsent = [flow for flow in flows if flow.status == "started"]
            flow, is_new = (unsent[-1], False) if unsent else self.start(who)
        elif found := next((flow for flow in flows if flow.state == state), None):
            flow, is_new = found, False
        elif state not in self.signed:
            flow, is_new = self.start(who, state)
        elif not looked.names:
            raise Refused("cookie-missing")
        else:
            raise self._missing(looked.names, state)
        flow.check_not_failed()
        if flow.status == "started":
            flow.status = "sent"
        return flow, is_new

    # -- the answer ----------------------------------------------------------------

    def post(self, answer: Answer) -> Expected:
        """Come with an answer in a form, without a cookie."""
        self._check_state(answer.state)
        return Expected("ticket", 303)

    def fetch(self, who: str, ticket: Ticket) -> Expected:
        """Follow a ticket."""
        looked = self.look(who)
        if self._is_outrun(looked):
            return Expected("refresh", 200)
        if ticket.is_spent or ticket.is_expired:
            return self._spent(who, looked)
        ticket.is_spent = True
        session, flow = self._find(looked, ticket.answer.state)
        if ticket.failure is not None:
            raise ticket.failure
        flow.check_not_failed()
        is_renewed = self._bind_in_browser(who, session, flow, ticket.answer)
        return self._go_on(who, session, flow, is_renewed)

    def arrive(self, who: str, answer: Answer) -> Expected:
        """Come back with the answer in the address."""
        looked = self.look(who)
        if self._is_outrun(looked):
            self._check_state(answer.state)
            return Expected("ticket", 303)
        session, flow = self._find(looked, answer.state)
        if flow.status == "failed":
            return Expected("told-by-ticket", 303, failure=Refused(flow.failure, 400))
        try:
            is_renewed = self._bind_in_browser(who, session, flow, answer)
            onwards = self._go_on(who, session, flow, is_renewed)
        except RefusedAfterRenewal as refused:
            failure = Refused(refused.code, refused.status)
            return Expected("told-by-ticket", 303, refused.is_renewed, failure)
        # A page is shown at the clean address.
        what = "on" if onwards.status == 303 else "told-by-ticket"
        return Expected(what, 303, onwards.sets_cookie)

    def pass_on(self, who: str, answer: Answer) -> Expected:
        """Pass an answer on, as a program does."""
        if self.delivers_to_session:
            return Expected("delivery-refused", 400)
        looked = self.look(who)
        if not looked.names:
            raise Refused(looked.fault)
        flow = looked.session.flow(answer.state) if looked.session is not None else None
        if looked.session is None or flow is None:
            raise self._missing(looked.names, answer.state)
        is_unanswered = flow.status in {"started", "sent"}
        is_renewed = is_unanswered and self._renew(who, looked.session)
        try:
            self._bind(flow, answer)
        except Refused as refused:
            raise RefusedAfterRenewal(refused, is_renewed) from None
        return Expected("result" if flow.status == "bound" else "told", 200, is_renewed)

    def _find(self, looked: Looked, state: str) -> tuple[Session, Flow]:
        names = looked.names
        sessions = [looked.session]
        if self.has_local_session:
            sessions.append(self._local)
            names = (*names, LOCAL)
        for session in sessions:
            flow = session.flow(state) if session is not None else None
            if session is not None and flow is not None:
                return session, flow
        missing = self._missing(names, state)
        if missing.code == "session-mismatch" and looked.session is None:
            # Without a cookie there is nothing else to be said.
            raise Refused("cookies-blocked" if looked.fault == "cookie-missing" else looked.fault)
        raise missing

    def _bind_in_browser(self, who: str, session: Session, flow: Flow, answer: Answer) -> bool:
        """Bind, and issue a new pointer first; whether that was done."""
        if flow.status not in {"started", "sent"}:
            return False
        is_renewed = self._renew(who, session)
        try:
            self._bind(flow, answer)
        except Refused as refused:
            raise RefusedAfterRenewal(refused, is_renewed) from None
        return is_renewed

    def _renew(self, who: str, session: Session) -> bool:
        session.saved(self.now)
        if session.is_local:
            return False
        session.pointer += 1
        session.renewed_at = self.now
        self.cookies[who] = Cookie(session, session.pointer)
        return True

    def _bind(self, flow: Flow, answer: Answer) -> None:
        """The first answer wins."""
        if flow.status not in {"started", "sent"}:
            flow.check_not_failed()
            if answer.code is None or answer.code is not flow.code:
                raise Refused("flow-code-differs")
            return
        flow.bound_at = self.now
        if answer.code is None:
            flow.fail("access-denied" if answer.is_error else "tenant-refused")
            raise Refused(flow.failure, 400)
        flow.status, flow.code = "bound", answer.code

    def _spent(self, who: str, looked: Looked) -> Expected:
        local = self._local if self.has_local_session else None
        sessions = [session for session in (looked.session, local) if session is not None]
        for session in sessions:
            recent = [f for f in session.flows if f.bound_at > self.now - ANSWER_LIFETIME]
            if recent:
                flow = max(reversed(recent), key=lambda flow: flow.bound_at)
                flow.check_not_failed()
                return self._go_on(who, session, flow, False)
        if any(session.grants and self.now < session.signed_in_until for session in sessions):
            return Expected("on", 303 if self.delivers_to_session else 200)
        raise Refused("ticket-spent")

    def _go_on(self, who: str, session: Session, flow: Flow, is_renewed: bool) -> Expected:
        if flow.status == "redeeming":
            return Expected("refresh", 200, is_renewed)
        if not self.delivers_to_session:
            return Expected("on", 200, is_renewed)
        if flow.status == "bound":
            try:
                is_renewed |= self._redeem(who, session, flow, None)
            except Refused as refused:
                raise RefusedAfterRenewal(refused, is_renewed) from None
        return Expected("on", 303, is_renewed)

    # -- tokens --------------------------------------------------------------------

    def _known_session(self, who: str, *, named: bool, refreshes: bool = False) -> Session:
        looked = self.look(who)
        if looked.session is not None:
            return looked.session
        if LOCAL in looked.names and refreshes:
            raise Refused("refresh-token-unknown")
        if LOCAL in looked.names and named:
            raise Refused("session-over")
        raise Refused(looked.fault)

    def flow_to_redeem(self, who: str, verifier: str | None) -> tuple[Session, Flow]:
        """The flow that a verifier names; without one, the newest bound one."""
        session = self._known_session(who, named=verifier is not None)
        if verifier is not None:
            for flow in session.flows:
                if flow.verifier == verifier:
                    break
            else:
                answered = {"bound", "redeeming", "done", "failed"}
                if session.grants or any(flow.status in answered for flow in session.flows):
                    raise Refused("grant-unknown")
                raise Refused("session-mismatch")
        elif not session.flows:
            raise Refused("authorization-pending")
        else:
            bound = [flow for flow in session.flows if flow.status == "bound"]
            flow = (bound or session.flows)[-1]
        flow.check_redeemable()
        return session, flow

    def token(self, who: str, verifier: str | None, fault: str | None) -> Expected:
        """Exchange a code."""
        session, flow = self.flow_to_redeem(who, verifier)
        return Expected("tokens", 200, self._redeem(who, session, flow, fault))

    def _redeem(self, who: str, session: Session, flow: Flow, fault: str | None) -> bool:
        failure = self.exchange(flow, fault)
        if failure in PUT_BACK:
            raise Refused(failure)
        if failure:
            flow.fail(failure)
            raise Refused(failure)
        self.sign_in(session, flow)
        return self._renew(who, session)

    def exchange(self, flow: Flow, fault: str | None) -> str:
        """What the tenant makes of the code of a flow; the error, if it is one."""
        code = flow.code
        assert code is not None
        if fault != "unreachable":
            self.arrivals[code.value] = self.arrivals.get(code.value, 0) + 1
        if fault in EARLY:
            return FAULTS[fault]
        code.is_revoked |= code.is_spent
        is_good = code.flow is flow and not code.is_spent
        code.is_spent |= is_good
        if fault in {"silent", "token-html"} or (fault is not None and is_good):
            code.is_revoked |= is_good
            return FAULTS[fault]
        if is_good and self._is_from_the_future(code):
            code.is_revoked = True
            return "id-token-invalid"
        return "" if is_good else "grant-refused"

    def _is_from_the_future(self, code: Code) -> bool:
        """Whether the clock was set back by so much that the ID token does not verify."""
        return code.authenticated_at > self.now + LEEWAY

    def sign_in(self, session: Session, flow: Flow) -> None:
        """Put the tokens of a flow into its session."""
        assert flow.code is not None
        flow.status = "done"
        session.grants.append(flow.code)
        session.signed_in_until = self.now + SESSION_LIFETIME

    def signed_in_user(self, who: str, *, refreshes: bool) -> Expected:
        """Ask who signed in, where the server keeps the tokens."""
        session = self._known_session(who, named=False, refreshes=refreshes)
        if session.grants and self.now < session.signed_in_until:
            return Expected("user", 200)
        if session.flows and session.flows[-1].status != "bound":
            session.flows[-1].check_redeemable()
        raise Refused("authorization-pending")

    def refresh(self, who: str, fault: str | None) -> Expected:
        """Ask for new tokens."""
        session = self._known_session(who, named=False, refreshes=True)
        if not session.grants or self.now >= session.signed_in_until:
            raise Refused("refresh-token-unknown")
        code = session.grants[-1]
        failure = FAULTS[fault] if fault is not None else ""
        if fault not in EARLY:
            if code.is_revoked and fault not in {"silent", "token-html"}:
                failure = "grant-refused"
            elif fault == "no-id-token":
                # A refresh need not bring one.
                failure = ""
            elif fault is not None:
                # Rotated there, and not known here.
                code.is_revoked = True
            elif self._is_from_the_future(code):
                failure, code.is_revoked = "id-token-invalid", True
        if failure == "grant-refused" and code.is_uncertain:
            failure = "refresh-token-reused"
        code.is_uncertain = failure != "" and (code.is_uncertain or failure not in PUT_BACK)
        if failure in GRANT_ENDS:
            session.grants.remove(code)
        if failure == "" or failure in GRANT_ENDS:
            session.saved(self.now)
        if failure:
            raise Refused(failure)
        return Expected("refreshed", 200)

    def clear(self, who: str) -> Expected:
        """End the session, which a cookie can do that was renewed a moment ago."""
        looked, cookie = self.look(who), self.cookies.pop(who, None)
        session = looked.session
        if cookie is not None and self._is_outrun(looked):
            session = cookie.session
        if session is not None:
            session.is_gone = True
        return Expected("cleared", 204, cookie is not None)
