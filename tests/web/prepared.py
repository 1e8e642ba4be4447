"""Flows in each of their states."""

from __future__ import annotations

from dataclasses import dataclass

from flask_pkce.relying_party.authorize import SessionOwner
from flask_pkce.web.models import SeededPKCE
from tests.web.host import Browser, Caller, Host


@dataclass(frozen=True)
class Known:
    """What the owner of a flow knows of it."""

    state: str
    verifier: str
    code: str = "the-code"


def _answer(owner: Caller, known: Known, **answer: str) -> None:
    """Bring the tenant's answer, as this owner does."""
    if isinstance(owner, Browser):
        owner.arrive({"state": known.state, **answer})
    else:
        owner.respond(state=known.state, **answer)


class Prepared:
    """A flow of an owner, and how it comes into each state."""

    def __init__(self, host: Host, owner: Caller, *, own_state: bool) -> None:
        self.host = host
        self.owner = owner
        self.own_state = own_state

    def put(self, state: str) -> Known:
        """Put a flow into a state, through the routes as far as they lead there."""
        known: Known = getattr(self, f"_{state.replace('-', '_')}")()
        return known

    def _started(self) -> Known:
        if not self.own_state:
            challenge = self.owner.challenge()
            return Known(challenge["state"], challenge["verifier"])
        # The routes leave a flow of the caller's state unsent only where a hook raises.
        self.owner.begin()
        owner = SessionOwner(self.host.session_of(self.owner))
        flow = self.host.relying_party.sign_in.start(
            owner, seed=SeededPKCE(state="my-own-state")
        ).flow.value
        return Known(flow.state, flow.code_verifier or "")

    def _sent(self) -> Known:
        if not self.own_state:
            known = self._started()
            assert self.owner.code(state=known.state).status_code == 200
            return known
        assert self.owner.code(state="my-own-state").status_code == 200
        flow = self.host.flow_of(self.owner, "my-own-state").value
        return Known(flow.state, flow.code_verifier or "")

    def _bound(self) -> Known:
        known = self._sent()
        url = self.owner.code(state=known.state).get_json()["authorization_url"]
        code = self.host.tenant.sign_in(url).params["code"]
        _answer(self.owner, known, code=code)
        assert self.host.status_of(self.owner, known.state) == "bound"
        return Known(known.state, known.verifier, code)

    def _redeeming(self) -> Known:
        known = self._bound()
        self.host.begin_redeeming(self.owner, known.state)
        return known

    def _done(self) -> Known:
        known = self._bound()
        assert self.owner.token().status_code == 200
        return known

    def _failed(self) -> Known:
        known = self._sent()
        _answer(self.owner, known, error="access_denied")
        assert self.host.status_of(self.owner, known.state) == "failed"
        return known

    def _abandoned(self) -> Known:
        known = self._redeeming()
        self.host.clock.advance(21)
        return known

    def _expired(self) -> Known:
        known = self._sent()
        self.host.clock.advance(601)
        assert self.host.store.contents() == {}
        return known

    def _expired_signed_in(self) -> Known:
        before = Prepared(self.host, self.owner, own_state=False)._done()
        known = self._sent()
        assert known.state != before.state
        self.host.clock.advance(601)
        return known

    def _evicted(self) -> Known:
        known = self._done()
        for _ in range(20):
            self.owner.challenge()
        assert (
            self.host.relying_party.sessions.flow(self.host.session_of(self.owner), known.state)
            is None
        )
        return known

    def _cleared(self) -> Known:
        known = self._sent()
        cookies = self.owner.cookies
        assert self.owner.clear().status_code == 204
        # Another request of the same browser may have been under way with its cookie.
        for name, value in cookies.items():
            self.owner.client.set_cookie(name, value)
        return known
