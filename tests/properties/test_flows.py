"""Browsers, programs, an attacker, a clock that jumps and servers that start again, all at once.

Every answer must be the one that :mod:`tests.properties.model` tells.
"""

from __future__ import annotations

from typing import TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    precondition,
    rule,
    run_state_machine_as_test,
)
from werkzeug.test import TestResponse

from flask_pkce.testing.tenant.keys import SigningKeys
from tests.properties.observed import Observed, params_of
from tests.properties.records import (
    FAULTS,
    PROGRAM,
    STATUSES,
    Answer,
    Code,
    Expected,
    Flow,
    Refused,
    Ticket,
)
from tests.properties.world import BROWSERS, CALLERS
from tests.web.host import CALLBACK

T = TypeVar("T")

_callers = st.sampled_from(CALLERS)
_browsers = st.sampled_from(BROWSERS)
_faults = st.none() | st.sampled_from([None, *sorted(FAULTS)])
_rarely = st.sampled_from([False, False, False, True])
#: States that callers make themselves; one of them is never sent.
_own_states = st.sampled_from(["own-1", "own-2", "never-sent"])
_jumps = st.sampled_from(
    [1, 9, 10, 11, 20, 59, 60, 61, 300, 599, 600, 601, 86399, 86400, -1, -15, -60, -600, -9000]
)


def _newest(items: list[T]) -> st.SearchStrategy[T]:
    """One of them, and often one of the last."""
    return st.sampled_from(items[-2:]) | st.sampled_from(items)


class Flows(Observed):
    """Everybody does what they like, in any order."""

    # -- what callers do -----------------------------------------------------------

    @rule(who=_callers)
    def challenge(self, who: str) -> None:
        """Ask for a challenge."""
        response = self._send(who, "GET", "/pkce/challenge")
        try:
            flow, is_new = self.model.start(who)
        except Refused as refused:
            return self._check(who, response, Expected(refused.code, refused.status))
        self._learn(who, flow)
        self._check(who, response, Expected("challenge", 200, is_new))
        told = response.get_json().get("challenge", {})
        if self.model.delivers_to_session:
            assert told == {}
        else:
            assert (told["state"], told["verifier"]) == (flow.state, flow.verifier)
        return None

    @rule(who=_callers, data=st.data())
    def code(self, who: str, data: st.DataObject) -> None:
        """Ask where to go: for the newest flow, one of anybody's, or one of an own state."""
        states = st.sampled_from([None, None, *self.model.signed])
        state = data.draw(states | _own_states, label="state")
        body = {} if state is None else {"state": state}
        response = self._send(who, "POST", "/pkce/code", json=body)
        self._check_sent(who, response, state)

    @rule(who=_browsers)
    def press(self, who: str) -> None:
        """Press the button of a page."""
        response = self.world.browsers[who].submit("/pkce/code")
        self._check_sent(who, response, None)

    @precondition(lambda self: self.sent)
    @rule(data=st.data(), user=_callers, cancels=_rarely)
    def sign_in(self, data: st.DataObject, user: str, cancels: bool) -> None:
        """Open somebody's address at the tenant, and sign in there or cancel."""
        self._sign_in(data.draw(_newest(self.sent), label="flow"), user, cancels)

    def _sign_in(self, flow: Flow, user: str, cancels: bool) -> None:
        params = self.world.tenant.sign_in(flow.url, user, cancels).params
        assert params["state"] == flow.state
        code = None if cancels else Code(params["code"], flow, user, self.model.now)
        self.secrets |= {params["code"]} if not cancels else set()
        self.answers.append(Answer(flow.state, code, is_error=cancels))

    @rule(
        who=_browsers, how_far=st.integers(1, 5), fault=_faults, cancels=_rarely, by_script=_rarely
    )
    def go_through(
        self, who: str, how_far: int, fault: str | None, cancels: bool, by_script: bool
    ) -> None:
        """Sign in as one should, as far as it goes."""
        response = self.world.browsers[who].submit("/pkce/code")
        flow = self._check_sent(who, response, None)
        if flow is None:
            return
        self._sign_in(flow, who, cancels)
        if how_far > 1 and by_script:
            self._pass_on(who, self.answers[-1])
        elif how_far > 1:
            self._deliver(who, self.answers[-1])
        if (
            how_far > 2
            and self.model.tickets
            and self.model.tickets[-1].answer.state == flow.state
        ):
            self._follow(who, self.model.tickets[-1])
        for _ in range(how_far - 3):
            self._token(who, None, fault)

    @rule(user=_callers, is_passed_on=st.booleans(), fault=_faults)
    def run_a_program(self, user: str, is_passed_on: bool, fault: str | None) -> None:
        """Let a program send a browser, which brings the answer, or pass it on itself."""
        response = self._send(PROGRAM, "POST", "/pkce/code")
        flow = self._check_sent(PROGRAM, response, None)
        if flow is None:
            return
        self._sign_in(flow, user, cancels=False)
        if is_passed_on or user == PROGRAM:
            self._pass_on(PROGRAM, self.answers[-1])
        else:
            self._deliver(user, self.answers[-1])
            if self.model.tickets:
                self._follow(user, self.model.tickets[-1])
        self._token(PROGRAM, None, fault)

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), has_junk=st.booleans())
    def make_up(self, data: st.DataObject, has_junk: bool) -> None:
        """Put an answer together: a made-up code, or one that was meant for another flow."""
        states = [answer.state for answer in self.answers] + ["never-sent"]
        state = data.draw(st.sampled_from(states), label="state")
        code = Code(f"junk-{len(self.answers)}", None, "nobody")
        if not has_junk:
            stolen = data.draw(st.sampled_from(self.answers), label="stolen").code
            code = stolen or code
        self.answers.append(Answer(state, code))

    @precondition(lambda self: self.answers)
    @rule(who=_browsers, data=st.data())
    def deliver(self, who: str, data: st.DataObject) -> None:
        """Let a browser come with an answer, anybody's."""
        self._deliver(who, data.draw(_newest(self.answers), label="answer"))

    def _deliver(self, who: str, answer: Answer) -> None:
        browser = self.world.browsers[who]
        if self.model.mode == "form_post":
            response = browser.deliver(params_of(answer))
            expected = self._expect(lambda: self.model.post(answer))
            if expected.what == "ticket":
                self._keep(response, answer)
            self._check(who, response, expected, *params_of(answer).values())
            return
        query = "&".join(f"{name}={value}" for name, value in params_of(answer).items())
        response = browser.open(f"{CALLBACK}?{query}", site="cross-site")
        expected = self._expect(lambda: self.model.arrive(who, answer))
        self._bring(who, answer)
        if expected.what == "ticket":
            self._keep(response, answer)
        elif expected.what == "told-by-ticket":
            self._keep(response, Answer(answer.state), expected.failure)
        self._check(who, response, expected, *params_of(answer).values())

    @precondition(lambda self: self.model.tickets)
    @rule(who=_browsers, data=st.data())
    def follow(self, who: str, data: st.DataObject) -> None:
        """Follow a ticket in any browser."""
        self._follow(who, data.draw(_newest(self.model.tickets), label="ticket"))

    def _follow(self, who: str, ticket: Ticket) -> None:
        response = self.world.browsers[who].open(ticket.address, site="cross-site")
        expected = self._expect(lambda: self.model.fetch(who, ticket))
        if ticket.is_spent:
            self._bring(who, ticket.answer)
        self._check(who, response, expected, *params_of(ticket.answer).values())

    @precondition(lambda self: self.answers)
    @rule(who=_callers, data=st.data())
    def pass_on(self, who: str, data: st.DataObject) -> None:
        """Pass an answer on, as the published clients do."""
        self._pass_on(who, data.draw(_newest(self.answers), label="answer"))

    def _pass_on(self, who: str, answer: Answer) -> None:
        response = self._send(who, "POST", CALLBACK, data=params_of(answer))
        expected = self._expect(lambda: self.model.pass_on(who, answer))
        self._bring(who, answer)
        self._check(who, response, expected, *params_of(answer).values())
        if expected.what == "result":
            assert answer.code is not None
            assert response.get_json()["result"]["code"] == answer.code.value

    @rule(who=_callers, fault=_faults, data=st.data())
    def token(self, who: str, fault: str | None, data: st.DataObject) -> None:
        """Ask for tokens, with a verifier or with nothing, of a tenant that may be ill."""
        flows = [flow for session in self.model.live_sessions() for flow in session.flows]
        known = list(dict.fromkeys(flow.verifier for flow in flows if flow.verifier))
        self._token(who, data.draw(st.none() | _newest([None, *known]), label="verifier"), fault)

    def _token(self, who: str, verifier: str | None, fault: str | None) -> None:
        if self.model.delivers_to_session:
            return self._check_user(who, self._send(who, "POST", "/pkce/token"))
        body = {} if verifier is None else {"code_verifier": verifier}
        with self.world.fault(fault):
            response = self._send(who, "POST", "/pkce/token", json=body)
        named = self._flow_named(who, verifier)
        expected = self._expect(lambda: self.model.token(who, verifier, fault))
        self._check(who, response, expected, verifier or "")
        if expected.what == "tokens":
            assert named is not None
            self._check_signed_in(who, named[0], named[1].code, response)
        return None

    @precondition(lambda self: not self.model.delivers_to_session)
    @rule(who=_callers, clears=st.booleans())
    def token_meanwhile(self, who: str, clears: bool) -> None:
        """Ask for tokens, and for them once more, or to clear, while the tenant is at it."""
        named = self._flow_named(who, None)
        if named is None:
            return
        session, flow = named
        if [each.status for each in session.flows].count("bound") > 1:
            # The second request would be for another flow.
            return
        meanwhile: list[TestResponse] = []
        path = "/pkce/clear" if clears else "/pkce/token"
        self.world.host.while_tokens_are_made(
            lambda: meanwhile.append(self._send(who, "POST", path))
        )
        response = self._send(who, "POST", "/pkce/token")
        (between,) = meanwhile
        if not clears:
            flow.status = "redeeming"
            self._check(who, between, self._expect(lambda: self.model.token(who, None, None)))
            flow.status = "bound"
            expected = self._expect(lambda: self.model.token(who, None, None))
            self._check(who, response, expected)
            if expected.what == "tokens":
                self._check_signed_in(who, session, flow.code, response)
            return
        failure = self.model.exchange(flow, None)
        self._check(who, between, self.model.clear(who))
        what = failure or "signed-out-meanwhile"
        self._check(who, response, Expected(what, STATUSES[what]))

    @rule(who=_callers, fault=_faults)
    def refresh(self, who: str, fault: str | None) -> None:
        """Ask for new tokens, of a tenant that may be ill."""
        with self.world.fault(fault):
            body = {"grant_type": "refresh_token"}
            response = self._send(who, "POST", "/pkce/token", json=body)
        if self.model.delivers_to_session:
            return self._check_user(who, response, refreshes=True)
        expected = self._expect(lambda: self.model.refresh(who, fault))
        self._check(who, response, expected)
        if expected.what == "refreshed":
            session = self.model.look(who).session
            assert session is not None
            self._check_signed_in(who, session, session.grants[-1], response)
        return None

    @rule(who=_callers)
    def clear(self, who: str) -> None:
        """End the session."""
        response = self._send(who, "POST", "/pkce/clear")
        self._check(who, response, self.model.clear(who))

    # -- what happens to them -------------------------------------------------------

    @rule(seconds=_jumps)
    def jump(self, seconds: int) -> None:
        """Let the clock jump, forwards or backwards."""
        self.world.jump(seconds)
        self.model.jump(seconds)

    @rule(rotates=st.booleans())
    def restart(self, rotates: bool) -> None:
        """Start the server again, perhaps with a new key."""
        self.world.restart(rotates=rotates)

    @precondition(lambda self: "mallory" in self.model.cookies)
    @rule(victim=st.sampled_from(["alice", "bob"]))
    def plant(self, victim: str) -> None:
        """Plant the attacker's cookie in somebody's browser."""
        cookie = self.world.browsers["mallory"].cookie
        self.world.browsers[victim].client.set_cookie("pkce-80", cookie)
        self.model.cookies[victim] = self.model.cookies["mallory"]

    @rule(who=_callers)
    def die(self, who: str) -> None:
        """Let a worker die while it exchanges a code."""
        looked = self.model.look(who)
        bound = [f for f in looked.session.flows if f.status == "bound"] if looked.session else []
        if bound:
            self.world.host.begin_redeeming(self.world.callers[who], bound[-1].state, seconds=20)
            bound[-1].status, bound[-1].redeeming_until = "redeeming", self.model.now + 20


def test_flows(signing_keys: SigningKeys) -> None:
    """Whatever they do, in whatever order, everybody is answered as the contract says."""

    class FlowsOfThisTenant(Flows):
        keys = signing_keys

    run_state_machine_as_test(
        FlowsOfThisTenant, settings=settings(max_examples=settings().max_examples // 2)
    )
