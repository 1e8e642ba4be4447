"""What is looked at after each step of the flows, and how."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
)
from werkzeug.test import TestResponse

from flask_pkce.sessions.session import Session as KeptSession
from flask_pkce.testing.tenant.keys import SigningKeys
from tests.properties.model import Model
from tests.properties.records import (
    FLOW_LIFETIME,
    MAX_FLOWS,
    Answer,
    Code,
    Expected,
    Flow,
    Refused,
    RefusedAfterRenewal,
    Session,
    Ticket,
)
from tests.properties.world import World
from tests.web.host import CALLBACK


class Observed(RuleBasedStateMachine):
    """Compares every answer, and what is kept, with the model."""

    #: Set by the test: the tenant's keys.
    keys: SigningKeys

    @initialize(
        has_local_session=st.booleans(),
        delivery=st.sampled_from(["caller", "caller", "session"]),
        mode=st.sampled_from(["form_post", "query"]),
    )
    def begin(self, has_local_session: bool, delivery: str, mode: str) -> None:
        """An application, with nobody in it."""
        self.world = World(
            self.keys, has_local_session=has_local_session, delivery=delivery, mode=mode
        )
        self.model = Model(
            has_local_session=has_local_session,
            delivers_to_session=delivery == "session",
            mode=mode,
        )
        #: Where the sessions of the model lie in the store.
        self.keys_of: dict[str, str] = {}
        #: Every flow that was sent, whether it is still there or not.
        self.sent: list[Flow] = []
        self.answers: list[Answer] = []
        #: Who brought each code.
        self.brought: set[tuple[str, str]] = set()
        #: States, verifiers, codes and tokens: only their own session is told of them.
        self.secrets: set[str] = set()
        #: The tokens that each session was told.
        self.told: dict[str, set[str]] = {}

    # -- what always holds ----------------------------------------------------------

    @invariant()
    def flows_are_where_the_model_has_them(self) -> None:
        """Each session has its flows, in their states, at most twenty and none beyond its time."""
        sessions, now = self.world.host.relying_party.sessions, self.world.clock()
        for session in self.model.live_sessions():
            held = sessions._records.get(self.keys_of[session.name], KeptSession)
            assert held is not None, session
            flows = [flow.value for flow in sessions.flows(held)][::-1]
            assert [(flow.state, flow.status.value) for flow in flows] == [
                (flow.state, flow.status) for flow in session.flows
            ]
            assert len(flows) <= MAX_FLOWS
            assert all(now < flow.expires_at == flow.created_at + FLOW_LIFETIME for flow in flows)

    @invariant()
    def codes_are_spent_once(self) -> None:
        """A code reached the token endpoint no more often than the model lets it."""
        assert self.world.arrivals == self.model.arrivals

    # -- how answers are checked -----------------------------------------------------

    def _send(self, who: str, method: str, path: str, **options: Any) -> TestResponse:
        return self.world.callers[who].send(method, path, **options)

    def _expect(self, act: Callable[[], Expected]) -> Expected:
        """What the model says."""
        try:
            return act()
        except RefusedAfterRenewal as refused:
            return Expected(refused.code, refused.status, refused.is_renewed)
        except Refused as refused:
            return Expected(refused.code, refused.status)

    def _check(self, who: str, response: TestResponse, expected: Expected, *sent: str) -> None:
        """Check the answer, who gets a cookie, and that nothing is told of other sessions.

        :param sent: what the caller said himself.
        """
        what = expected.what if expected.status >= 400 else None
        assert (response.status_code, _error_in(response)) == (expected.status, what), expected
        assert ("Set-Cookie" in response.headers) is expected.sets_cookie, expected
        assert ("Refresh" in response.headers) is (expected.what == "refresh")
        if (expected.what, expected.status) == ("on", 303):
            assert response.headers["Location"] == "/"
        session = self.model.look(who).session
        own = {*sent, *(self.told.get(session.name, ()) if session is not None else ())}
        for flow in session.flows if session is not None else ():
            own |= {flow.state, flow.verifier, flow.code.value if flow.code else ""}
        text = f"{response.text} {response.headers}"
        assert not [secret for secret in self.secrets - own if secret in text]

    def _learn(self, who: str, flow: Flow) -> None:
        """Learn of a new flow, from behind the routes, how it is called."""
        session = self.model.look(who).session
        assert session is not None
        held = self.world.host.session_of(self.world.callers[who])
        self.keys_of[session.name] = held.key
        newest = next(self.world.host.relying_party.sessions.flows(held)).value
        flow.verifier = newest.code_verifier or ""
        self.secrets.add(flow.verifier)
        if not flow.state:
            flow.state = newest.state
            self.secrets.add(flow.state)
            self.model.signed[flow.state] = (session.name, self.model.now)

    def _check_sent(self, who: str, response: TestResponse, state: str | None) -> Flow | None:
        try:
            flow, is_new = self.model.code(who, state)
        except Refused as refused:
            self._check(who, response, Expected(refused.code, refused.status), state or "")
            return None
        if not flow.verifier:
            self._learn(who, flow)
        is_page = response.status_code == 303
        answer = {} if is_page else response.get_json()
        flow.url = response.headers["Location"] if is_page else answer["authorization_url"]
        assert parse_qs(urlsplit(flow.url).query)["state"] == [flow.state]
        if flow not in self.sent:
            self.sent.append(flow)
        is_told = flow.status == "bound" and not self.model.delivers_to_session
        assert ("result" in answer) is (is_told and not is_page)
        self._check(who, response, Expected("sent", 303 if is_page else 200, is_new))
        return flow

    def _keep(
        self, response: TestResponse, answer: Answer, failure: Refused | None = None
    ) -> None:
        """Keep the ticket that an answer was kept under."""
        ticket = urlsplit(response.headers["Location"])
        assert list(parse_qs(ticket.query)) == ["ticket"]
        address = f"{CALLBACK}?{ticket.query}"
        self.model.tickets.append(Ticket(address, answer, self.model.now, failure))

    def _bring(self, who: str, answer: Answer) -> None:
        if answer.code is not None:
            self.brought.add((who, answer.code.value))

    def _flow_named(self, who: str, verifier: str | None) -> tuple[Session, Flow] | None:
        try:
            return self.model.flow_to_redeem(who, verifier)
        except Refused:
            return None

    def _check_user(self, who: str, response: TestResponse, *, refreshes: bool = False) -> None:
        """Check who is told to be signed in, where the tokens stay on the server."""
        expected = self._expect(lambda: self.model.signed_in_user(who, refreshes=refreshes))
        self._check(who, response, expected)
        session = self.model.look(who).session
        if session is not None and expected.what == "user":
            self._check_signed_in(who, session, session.grants[-1], response)

    def _check_signed_in(
        self, who: str, session: Session, code: Code | None, response: TestResponse
    ) -> None:
        """Check who signed in: somebody who did it here, or the attacker, who gave himself away.

        All programs, and browsers for them, are one where there is a local session.
        """
        assert code is not None
        auth0 = response.get_json()["auth0"]
        assert auth0["user"]["user_id"] == f"auth0|{code.user}"
        assert session.is_local or code.user == "mallory" or (who, code.value) in self.brought
        tokens = auth0["oAuth"].get("token", {})
        told = {tokens[name] for name in ("access_token", "refresh_token") if tokens}
        self.secrets |= told
        self.told.setdefault(session.name, set()).update(told)


def params_of(answer: Answer) -> dict[str, str]:
    """The parameters of an answer, as the tenant sends them."""
    if answer.code is not None:
        return {"state": answer.state, "code": answer.code.value}
    return {"state": answer.state, "error": "access_denied"}


def _error_in(response: TestResponse) -> str | None:
    """The code of the error in a problem document or on a page."""
    if response.content_type == "application/problem+json":
        return str(response.get_json()["type"]).rpartition("#")[2]
    error = re.search(r"<code>([a-z-]+)</code>", response.text)
    return error[1] if error is not None else None
