"""Every route in every state, for everybody who may call: each cell is a test."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest
from werkzeug.test import TestResponse

from flask_pkce.errors import catalogue
from flask_pkce.protocol.authorization import CallbackParameters
from flask_pkce.sessions.pending_callbacks import Ticket
from tests.conftest import MakeApp
from tests.web.host import (
    CALLBACK,
    NAVIGATION,
    Browser,
    Caller,
    Host,
    check_page,
    check_problem,
)
from tests.web.prepared import Known, Prepared
from tests.web.state_tables import CALLERS, ROUTES, STATES, TABLES, read_row

pytestmark = pytest.mark.table


@dataclass(frozen=True)
class Cell:
    """One cell of the tables."""

    flow_of: str
    route: str
    caller: str
    state: str
    outcome: str

    @property
    def is_page(self) -> bool:
        """Whether a person looks at the answer."""
        return self.route.startswith("GET callback") or self.route.endswith("navigation")

    def check(self, response: TestResponse, known: Known) -> None:
        """Check the answer."""
        if self.outcome in {cls.code for cls in catalogue()}:
            check = check_page if self.is_page else check_problem
            check(response, self.outcome)
            retry_after = response.headers.get("Retry-After")
            assert retry_after == ("1" if self.outcome == "flow-redeeming" else None)
            return
        getattr(self, f"_is_{self.outcome}")(response, known)

    def _is_new(self, response: TestResponse, known: Known) -> None:
        assert _state_in(response) != known.state
        assert "Set-Cookie" not in response.headers

    def _is_session(self, response: TestResponse, known: Known) -> None:
        assert _state_in(response) != known.state
        assert len(response.headers.getlist("Set-Cookie")) == 1

    def _is_sent(self, response: TestResponse, known: Known) -> None:
        assert _state_in(response) == known.state
        assert "result" not in response.get_json()
        assert "Set-Cookie" not in response.headers

    def _is_told(self, response: TestResponse, known: Known) -> None:
        if self.route.startswith("POST callback"):
            assert response.status_code == 200
            assert response.get_json() == {}
        else:
            self._is_sent(response, known)

    def _is_anew(self, response: TestResponse, known: Known) -> None:
        assert _state_in(response) == known.state
        assert "result" not in response.get_json()
        is_first = self.caller == "nobody" or (
            (self.flow_of, self.caller) == ("browser", "owner")
            and self.state in {"expired", "cleared"}
        )
        assert ("Set-Cookie" in response.headers) is is_first

    def _is_result(self, response: TestResponse, known: Known) -> None:
        assert response.status_code == 200
        code = "another-code" if self.route.endswith("another code") else known.code
        assert response.get_json()["result"] == {"state": known.state, "code": code}

    def _is_ticket(self, response: TestResponse, known: Known) -> None:
        assert response.status_code == 303
        location = urlsplit(response.headers["Location"])
        assert location.path == CALLBACK
        assert list(parse_qs(location.query)) == ["ticket"]
        assert "Set-Cookie" not in response.headers

    def _is_on(self, response: TestResponse, known: Known) -> None:
        assert response.status_code == 200
        assert "<h1>Signed in</h1>" in response.text
        assert "Set-Cookie" not in response.headers

    def _is_bound(self, response: TestResponse, known: Known) -> None:
        assert response.status_code == 200
        assert "<h1>Signed in</h1>" in response.text
        # Renewed where the answer was bound, which at an address with a code is before the last.
        is_renewed = self.flow_of == "browser" and self.route.endswith("ticket")
        assert ("Set-Cookie" in response.headers) is is_renewed

    def _is_refresh(self, response: TestResponse, known: Known) -> None:
        assert response.status_code == 200
        assert response.headers["Refresh"] == "1"

    def _is_tokens(self, response: TestResponse, known: Known) -> None:
        assert response.status_code == 200
        assert response.get_json()["token"]["code"] == known.code
        assert response.get_json()["auth0"]["oAuth"]["token"]["token_type"] == "Bearer"

    def _is_gone(self, response: TestResponse, known: Known) -> None:
        assert response.status_code == 204
        assert not response.data
        had_cookie = self.flow_of == "browser"
        assert ("Set-Cookie" in response.headers) is had_cookie

    def _is_cleared(self, response: TestResponse, known: Known) -> None:
        assert response.status_code == 204

    def _is_nothing(self, response: TestResponse, known: Known) -> None:
        assert response.status_code == 204
        assert "Set-Cookie" not in response.headers


def _state_in(response: TestResponse) -> str:
    """The state that a challenge or an authorization URL tells."""
    assert response.status_code == 200, response.text
    answer = response.get_json()
    if "challenge" in answer:
        return str(answer["challenge"]["state"])
    (state,) = parse_qs(urlsplit(str(answer["authorization_url"])).query)["state"]
    return state


CELLS = [
    Cell(flow_of, route, caller, state, outcome)
    for flow_of, table in TABLES.items()
    for route, rows in table.items()
    for caller, row in rows.items()
    if caller in CALLERS[flow_of]
    for state, outcome in read_row(row)
]


def _id(cell: Cell) -> str:
    return f"{cell.flow_of} | {cell.route} | {cell.state} | {cell.caller}"


def test_no_cell_is_missing() -> None:
    """Every route has an outcome in every state, for everybody who may call."""
    cells = [(cell.flow_of, cell.route, cell.state, cell.caller) for cell in CELLS]
    expected = {
        (flow_of, *cell)
        for flow_of, callers in CALLERS.items()
        for cell in itertools.product(ROUTES, STATES, callers)
    }
    assert len(cells) == len(set(cells))
    assert set(cells) == expected


# -- what each caller does ------------------------------------------------------------


def _as_page(caller: Caller, query: dict[str, str]) -> TestResponse:
    site = {"Sec-Fetch-Site": "cross-site"} if isinstance(caller, Browser) else {}
    headers = {**NAVIGATION, **site} if site else {"Accept": "text/html"}
    path = f"{CALLBACK}?{urlencode(query)}" if query else CALLBACK
    return caller.send("GET", path, headers=headers)


def _to_the_end(caller: Caller, response: TestResponse) -> TestResponse:
    """Follow to the clean address, where there is one."""
    if response.status_code != 303:
        return response
    location = urlsplit(response.headers["Location"])
    query = parse_qs(location.query)
    assert list(query) == ["ticket"]
    return _as_page(caller, {"ticket": query["ticket"][0]})


def _kept(host: Host, state: str, code: str) -> Ticket:
    """Keep a response that was posted, perhaps before its flow expired."""
    return host.relying_party.pending_callbacks.keep(
        CallbackParameters(state=state, code=code, callback_url=host.callback_url)
    )


def _post_navigation(caller: Caller, known: Known) -> TestResponse:
    # With cookies, which browsers leave out: nothing depends on them.
    headers = {**NAVIGATION, "Sec-Fetch-Site": "cross-site", "Origin": "https://tenant.example"}
    form = {"state": known.state, "code": "some-code"}
    return caller.send("POST", CALLBACK, headers=headers, data=form)


def _get_ticket(caller: Caller, known: Known) -> TestResponse:
    return _as_page(caller, {"ticket": _kept(caller.host, known.state, known.code).value})


def _get_spent(caller: Caller, known: Known) -> TestResponse:
    ticket = _kept(caller.host, known.state, known.code)
    assert caller.host.relying_party.pending_callbacks.take(ticket) is not None
    return _as_page(caller, {"ticket": ticket.value})


ACTS: dict[str, Callable[[Caller, Known], TestResponse]] = {
    "GET challenge": lambda caller, known: caller.send("GET", "/pkce/challenge"),
    "POST code": lambda caller, known: caller.code(),
    "POST code, signed state": lambda caller, known: caller.code(state=known.state),
    "POST code, own state": lambda caller, known: caller.code(state=known.state),
    "POST callback, navigation": _post_navigation,
    "GET callback, ticket": _get_ticket,
    "GET callback, spent ticket": _get_spent,
    "GET callback, code": lambda caller, known: _to_the_end(
        caller, _as_page(caller, {"state": known.state, "code": known.code})
    ),
    "GET callback, error": lambda caller, known: _to_the_end(
        caller, _as_page(caller, {"state": known.state, "error": "access_denied"})
    ),
    "GET callback, nothing": lambda caller, known: _as_page(caller, {}),
    "POST callback, JSON, its code": lambda caller, known: caller.respond(
        state=known.state, code=known.code
    ),
    "POST callback, JSON, another code": lambda caller, known: caller.respond(
        state=known.state, code="another-code"
    ),
    "POST callback, JSON, error": lambda caller, known: caller.respond(
        state=known.state, error="access_denied"
    ),
    "POST callback, JSON, forged state": lambda caller, known: caller.respond(
        state=f"pkce1.{'A' * 39}.{'A' * 43}", code=known.code
    ),
    "POST token": lambda caller, known: caller.token(),
    "POST token, named": lambda caller, known: (
        caller.token(code=known.code, code_verifier=known.verifier)
        if known.code != "the-code"
        else caller.token(code_verifier=known.verifier)
    ),
    "POST clear": lambda caller, known: caller.clear(),
}

#: What a flow is afterwards, where the outcome is one of these.
MOVES = {
    ("POST code", "sent"): "sent",
    ("POST code, signed state", "sent"): "sent",
    ("POST code, own state", "sent"): "sent",
    ("GET callback, ticket", "bound"): "bound",
    ("GET callback, code", "bound"): "bound",
    ("POST callback, JSON, its code", "result"): "bound",
    ("POST callback, JSON, another code", "result"): "bound",
    ("POST token", "tokens"): "done",
    ("POST token, named", "tokens"): "done",
}


def _caller(cell: Cell, host: Host, owner: Caller) -> Caller:
    if cell.caller == "owner":
        return owner
    if cell.caller == "nobody":
        return host.browser() if cell.flow_of == "local" else host.program()
    caller: Caller = host.program() if cell.caller == "program" else host.browser()
    # It has a session, in which a sign-in is under way.
    caller.begin()
    return caller


@pytest.mark.requirement(
    "BC-17", "N36", "N38", "N39", "N58", "AZ-17", "RV-5", "T1", "T7", "T20", "T21", "T29", "WC-10"
)
@pytest.mark.parametrize("cell", CELLS, ids=_id)
def test_cell(cell: Cell, make_app: MakeApp) -> None:
    """Each cell answers as the table says; the tenant is asked, and others' flows are touched,
    only where it says so."""
    is_local = cell.flow_of == "local"
    host = make_app(
        PKCE_SCOPE="openid profile email offline_access",
        PKCE_LOCAL_SESSION=is_local or cell.caller == "program",
    )
    owner: Caller = host.program() if is_local else host.browser()
    known = Prepared(host, owner, own_state=cell.route.endswith("own state")).put(cell.state)
    caller = _caller(cell, host, owner)
    before, asked = host.store.contents(), host.token_requests

    response = ACTS[cell.route](caller, known)

    cell.check(response, known)
    assert host.token_requests - asked == (cell.outcome == "tokens")
    after = host.store.contents()
    if cell.outcome == "gone":
        assert after == {}
        assert not owner.has_cookie
    elif cell.outcome == "nothing":
        assert after == before
    elif cell.caller != "owner" and (not is_local or "callback" not in cell.route):
        # Whoever else calls changes nothing of the owner's.
        assert before.items() - after.items() == (
            _own_records(host, caller, before) if cell.caller != "nobody" else set()
        )
    if cell.outcome in {"session-mismatch", "cookie-missing", "cookies-blocked"}:
        assert after == before
    moved = MOVES.get((cell.route, cell.outcome))
    if moved is not None:
        assert host.status_of(owner, known.state) == moved


def _own_records(host: Host, caller: Caller, before: dict[str, bytes]) -> set[tuple[str, bytes]]:
    """The records of a caller that were changed or removed, of those that it had."""
    after = host.store.contents()
    changed = {key for key in before if after.get(key) != before[key]}
    if not changed:
        return set()
    # Its session, whose list of flows grew, or which was cleared with its one flow.
    assert len(changed) <= 2
    return {(key, before[key]) for key in changed}
