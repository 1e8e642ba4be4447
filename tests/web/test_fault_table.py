"""Every fault of the local tenant, in both response modes and both deliveries.

Whatever goes wrong, nobody is signed in, nothing is kept, no hook sees tokens, and no code is
sent a second time; what the standards have us accept, is accepted.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import pytest
from werkzeug.test import TestResponse

from flask_pkce import PKCEBlueprint
from flask_pkce.protocol.token import TokenResponse
from flask_pkce.tenant.cache import FAILED
from flask_pkce.testing.tenant import FAULTS
from tests.conftest import MakeApp
from tests.web.fault_row import Row
from tests.web.fault_table import rows
from tests.web.host import Browser, Host, check_page, check_problem

pytestmark = pytest.mark.table

ROWS = tuple(rows())
PAIRS = (
    ("form_post", "caller"),
    ("query", "session"),
    ("form_post", "session"),
    ("query", "caller"),
)
#: With which pairs each row meets both response modes and both deliveries, as far as it differs.
PAIRS_OF = {"callback": PAIRS, "token": PAIRS[:3]}


def test_every_fault_has_a_row() -> None:
    """The table tells of each fault, and of no other."""
    assert {row.fault for row in ROWS} == set(FAULTS)


@dataclass
class SignIn:
    """A sign-in at a tenant that does something wrong."""

    row: Row
    host: Host
    delivers_to_session: bool
    #: What the ``after_token`` hook was given.
    seen: list[TokenResponse]

    def __post_init__(self) -> None:
        self.browser: Browser = self.host.browser()
        self.state = ""
        self.kept: TestResponse | None = None

    def begin_fault(self) -> None:
        """Switch the fault on."""
        self.host.tenant.faults.add(self.row.fault)
        self.host.relying_party.transport.timeout = self.row.seconds or 10

    def end_fault(self) -> None:
        """Let the tenant do right again, after the moment for which a failure is remembered."""
        self.host.tenant.faults.clear()
        self.host.relying_party.transport.timeout = 10
        self.host.clock.advance(FAILED)

    # -- its steps -------------------------------------------------------------

    def code(self) -> TestResponse:
        """Ask for an authorization URL."""
        response = self.browser.code(**self.row.seed)
        if response.status_code == 200:
            self.url = response.get_json()["authorization_url"]
            (self.state,) = parse_qs(urlsplit(self.url).query)["state"]
        return response

    def arrive(self) -> TestResponse:
        """Sign in at the tenant, and come back."""
        response = self.browser.deliver(self.host.tenant.sign_in(self.url))
        if "ticket=" not in response.headers.get("Location", ""):
            return response
        self.kept = response
        return self.browser.follow(response)

    def token(self) -> TestResponse:
        """Exchange the code; with delivery ``session`` the way back does that."""
        return self.again() if self.delivers_to_session else self.browser.token()

    def again(self) -> TestResponse:
        """Come back once more, as who reloads the page."""
        assert self.kept is not None
        return self.browser.follow(self.kept)

    # -- what is true then -------------------------------------------------------

    def check_told(self, response: TestResponse, *, page: bool) -> None:
        """The caller hears what the row says, and nothing of what the tenant sent."""
        row = self.row
        if page:
            text = html.unescape(check_page(response, row.code))
            assert row.detail in text
        else:
            members = check_problem(response, row.code, error=row.error)
            assert row.detail in members["detail"]
        retry_after = response.headers.get("Retry-After")
        assert row.retry_after is None or retry_after == str(row.retry_after)
        for word in ("attacker", "mallory", "Fe26", "script>alert"):
            assert word not in response.text

    def check_nothing_is_kept(self) -> None:
        """Nobody is signed in, no hook saw tokens, and the tenant was asked as told."""
        assert self.host.session_of(self.browser).value.grants == ()
        assert self.seen == []
        assert self.host.token_requests == self.row.asked
        assert self.host.revocations == self.row.revoked
        assert self.host.status_of(self.browser, self.state) == self.row.flow

    def check_signed_in(self) -> None:
        """Alice is signed in, and the application knows."""
        (grant,) = self.host.session_of(self.browser).value.grants
        assert grant.claims["sub"] == "auth0|alice"
        assert [response.claims["sub"] for response in self.seen] == ["auth0|alice"]
        assert self.host.status_of(self.browser, self.state) == "done"


def _sign_in(row: Row, pair: tuple[str, str], make_app: MakeApp) -> SignIn:
    pkce = PKCEBlueprint()
    seen: list[TokenResponse] = []
    pkce.after_token(seen.append)
    response_mode, delivery = pair
    host = make_app(
        blueprint=pkce,
        PKCE_SCOPE="openid profile email offline_access",
        PKCE_RESPONSE_MODE=response_mode,
        PKCE_TOKEN_DELIVERY=delivery,
        **row.settings,
    )
    host.tenant.register(client_secret=row.settings.get("PKCE_CLIENT_SECRET"))
    return SignIn(row, host, delivery == "session", seen)


def _of(*steps: str) -> pytest.MarkDecorator:
    """The rows of some steps, with the pairs that each of them meets."""
    cases = [
        pytest.param(row, pair, id="-".join((row.fault, *pair)))
        for row in ROWS
        if row.step in steps
        for pair in PAIRS_OF.get(row.step, PAIRS[:2])
        if row.delivery in {None, pair[1]}
    ]
    return pytest.mark.parametrize(("row", "pair"), cases)


@_of("nowhere")
def test_accepted(row: Row, pair: tuple[str, str], make_app: MakeApp) -> None:
    """What is odd and allowed is accepted, and nobody fetches what a token names."""
    sign_in = _sign_in(row, pair, make_app)
    sign_in.begin_fault()
    assert sign_in.code().status_code == 200
    response = sign_in.arrive()
    if not sign_in.delivers_to_session:
        response = sign_in.browser.token()
    assert response.status_code in {200, 303}, response.text
    sign_in.check_signed_in()
    assert sign_in.host.token_requests == 1
    assert not [each for each in sign_in.host.tenant.requests if each.path == "/elsewhere"]


@_of("code")
def test_no_metadata(row: Row, pair: tuple[str, str], make_app: MakeApp) -> None:
    """Without metadata that fit nobody is sent anywhere, and nothing is started."""
    sign_in = _sign_in(row, pair, make_app)
    sign_in.begin_fault()
    sign_in.check_told(sign_in.code(), page=False)
    assert sign_in.host.store.contents() == {}
    assert {each.path for each in sign_in.host.tenant.requests} <= {
        "/.well-known/openid-configuration"
    }
    sign_in.end_fault()
    assert sign_in.code().status_code == 200


@_of("callback")
def test_bad_answer(row: Row, pair: tuple[str, str], make_app: MakeApp) -> None:
    """An answer that is none of ours is told so; only an error from the tenant ends the flow."""
    sign_in = _sign_in(row, pair, make_app)
    sign_in.begin_fault()
    assert sign_in.code().status_code == 200
    sign_in.check_told(sign_in.arrive(), page=True)
    sign_in.check_nothing_is_kept()


@_of("token")
def test_no_tokens(row: Row, pair: tuple[str, str], make_app: MakeApp) -> None:
    """A code is asked for once; only where it surely was not used up, it is good again."""
    sign_in = _sign_in(row, pair, make_app)
    host = sign_in.host
    if not row.later:
        sign_in.begin_fault()
    assert sign_in.code().status_code == 200
    if row.later:
        host.relying_party.tenants.default.keys()
        sign_in.begin_fault()
    response = sign_in.arrive()
    if not sign_in.delivers_to_session:
        assert response.status_code == 200
        response = sign_in.browser.token()
    sign_in.check_told(response, page=sign_in.delivers_to_session)
    sign_in.check_nothing_is_kept()
    assert not [each for each in host.tenant.requests if each.path == "/elsewhere"]

    sign_in.end_fault()
    again = sign_in.token()
    if row.flow == "bound":
        assert again.status_code in {200, 303}, again.text
        sign_in.check_signed_in()
    else:
        assert again.status_code == 400
        sign_in.check_nothing_is_kept()


@_of("refresh")
def test_no_refresh(row: Row, pair: tuple[str, str], make_app: MakeApp) -> None:
    """A refresh that goes wrong ends the sign-in, and is not tried again."""
    sign_in = _sign_in(row, (pair[0], "caller"), make_app)
    browser, host = sign_in.browser, sign_in.host
    if not row.later:
        sign_in.begin_fault()
    assert sign_in.code().status_code == 200
    sign_in.arrive()
    assert browser.token().status_code == 200
    sign_in.check_signed_in()
    sign_in.begin_fault()
    sign_in.check_told(browser.token(grant_type="refresh_token"), page=False)
    assert host.session_of(browser).value.grants == ()
    assert len(sign_in.seen) == 1
    assert host.revocations == row.revoked
    sign_in.end_fault()
    check_problem(browser.token(grant_type="refresh_token"), "refresh-token-unknown")
    assert host.token_requests == row.asked


def test_storm_of_unknown_keys(host: Host) -> None:
    """However many tokens name unknown keys: the key set is fetched again once in a while."""
    host.tenant.faults.add("jwks-unknown-kid-storm")
    for _ in range(5):
        browser = host.browser()
        browser.arrive(host.tenant.sign_in(browser.begin()[1]))
        check_problem(browser.token(), "id-token-invalid")
    assert host.tenant.count("GET", "/.well-known/jwks.json") == 2
    host.clock.advance(31)
    browser = host.browser()
    browser.arrive(host.tenant.sign_in(browser.begin()[1]))
    check_problem(browser.token(), "id-token-invalid")
    assert host.tenant.count("GET", "/.well-known/jwks.json") == 3


def test_nothing_can_be_revoked(host: Host, caplog: pytest.LogCaptureFixture) -> None:
    """Who signs out is signed out here, and the operator reads what was left at the tenant."""
    browser = host.browser()
    browser.arrive(host.tenant.sign_in(browser.begin()[1]))
    assert browser.token().status_code == 200
    host.tenant.faults.add("revoke-503")
    assert browser.clear().status_code == 204
    assert host.revocations == 1
    assert host.store.contents() == {}
    assert "revocation-failed" in caplog.text
