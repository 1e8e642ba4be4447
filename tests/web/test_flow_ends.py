"""What becomes of a flow: by its tenant's faults, by a clear, and for newer ones."""

from __future__ import annotations

from dataclasses import dataclass
from threading import Thread

import pytest

from tests.conftest import MakeApp
from tests.web.host import Browser, Caller, Host, check_page, check_problem
from tests.web.prepared import Prepared

# -- POST token: what the tenant does -------------------------------------------------


@dataclass(frozen=True)
class Told:
    """What a caller hears of a tenant's fault, and what becomes of the flow."""

    fault: str
    code: str
    status: str
    arrived: int = 1
    revoked: int = 0


TENANT = (
    Told("unreachable", "tenant-unreachable", "bound", arrived=0),
    Told("silent", "tenant-silent", "failed"),
    Told("token-html", "tenant-nonsense", "failed"),
    Told("token-not-json", "tenant-nonsense", "failed"),
    Told("token-500", "tenant-nonsense", "failed"),
    Told("token-redirect-307", "tenant-nonsense", "failed"),
    Told("invalid-sig-rs256", "id-token-invalid", "failed", revoked=1),
    Told("idtoken-sig-none", "id-token-invalid", "failed", revoked=1),
    Told("nonce-invalid", "id-token-invalid", "failed", revoked=1),
    Told("no-id-token", "id-token-invalid", "failed", revoked=1),
    Told("token-invalid-grant", "grant-refused", "failed"),
    Told("token-invalid-client", "client-refused", "failed"),
    Told("token-429", "tenant-limit", "bound"),
)


@pytest.mark.requirement("A0-11", "A0-14", "UP-1", "UP-8", "N61", "N65e", "N67", "N70", "N72")
@pytest.mark.parametrize("flow_of", ["browser", "local"])
@pytest.mark.parametrize("told", TENANT, ids=lambda told: told.fault)
def test_tenant(told: Told, flow_of: str, make_app: MakeApp) -> None:
    """A code is asked for once; the flow is bound again only where the tenant surely never
    took it, and failed for everybody who asks later where it may have."""
    host = make_app(
        PKCE_SCOPE="openid profile email offline_access", PKCE_LOCAL_SESSION=flow_of == "local"
    )
    owner: Caller = host.program() if flow_of == "local" else host.browser()
    known = Prepared(host, owner, own_state=False).put("bound")
    host.relying_party.tenants.default.keys()
    host.tenant.faults.add(told.fault)

    members = check_problem(owner.token(), told.code)

    assert host.token_requests == told.arrived
    assert host.revocations == told.revoked
    assert host.status_of(owner, known.state) == told.status
    assert host.session_of(owner).value.grants == ()
    host.tenant.faults.discard(told.fault)
    again = owner.token()
    if told.status == "bound":
        assert again.status_code == 200
        return
    assert again.status_code == 400
    assert again.get_json()["error"] == members["error"]
    assert again.get_json()["detail"] == members["detail"]
    assert host.token_requests == told.arrived


@pytest.mark.requirement("ST-1")
def test_bound_again_keeps_its_expiry(host: Host, browser: Browser) -> None:
    """A flow that is bound again ends when it would have ended."""
    known = Prepared(host, browser, own_state=False).put("bound")
    host.relying_party.tenants.default.keys()
    host.clock.advance(590)
    host.tenant.faults.add("unreachable")
    check_problem(browser.token(), "tenant-unreachable")
    host.tenant.faults.clear()
    host.clock.advance(10)
    assert host.store.contents() == {}
    check_problem(browser.code(state=known.state), "state-expired")


@pytest.mark.requirement("no redirect")
def test_nobody_comes_back(host: Host, browser: Browser) -> None:
    """Where the tenant shows a page of its own and sends nobody back the flow expires, of which
    nothing is left, and its caller is told so; another sign-in works."""
    state, _ = browser.begin()
    check_problem(browser.token(), "authorization-pending")
    host.clock.advance(600)
    assert host.store.contents() == {}
    check_problem(browser.code(state=state), "state-expired")
    _, url = browser.begin()
    assert "Signed in" in browser.arrive(host.tenant.sign_in(url)).text


@pytest.mark.requirement("ST-5")
@pytest.mark.parametrize("jump", [-3600, -30, 30])
def test_clock_that_jumps(jump: int, host: Host, browser: Browser) -> None:
    """A clock that is set back or ahead in the midst of a sign-in does not end it; it ends no
    later than its lifetime by the clock as it was."""
    known = Prepared(host, browser, own_state=False).put("sent")
    ends = host.flow_of(browser, known.state).value.expires_at
    url = browser.code(state=known.state).get_json()["authorization_url"]
    host.clock.advance(jump)
    browser.arrive(host.tenant.sign_in(url))
    assert host.flow_of(browser, known.state).value.expires_at == ends
    assert browser.token().status_code == 200
    late = Prepared(host, browser, own_state=False).put("sent")
    host.clock.advance(600)
    check_problem(browser.code(state=late.state), "state-expired")


@pytest.mark.requirement("A0-14")
def test_limit_says_when_to_ask_again(host: Host, browser: Browser) -> None:
    """The tenant's ``x-ratelimit-reset`` becomes a Retry-After in seconds."""
    Prepared(host, browser, own_state=False).put("bound")
    host.tenant.faults.add("token-429")
    assert browser.token().headers["Retry-After"] == "7"


@pytest.mark.requirement("A0-16")
def test_cleared_while_redeeming(host: Host, browser: Browser) -> None:
    """An exchange that a clear overtook stores nothing, and its tokens are revoked."""
    Prepared(host, browser, own_state=False).put("bound")
    other = host.browser()
    other.client.set_cookie("pkce-80", browser.cookie)
    host.while_tokens_are_made(other.clear)
    check_problem(browser.token(), "signed-out-meanwhile")
    assert host.revocations == 1
    assert host.store.contents() == {}


# -- GET challenge: the cap -----------------------------------------------------------


@pytest.mark.requirement("ST-2", "T9")
@pytest.mark.parametrize("busy", ["bound", "redeeming"])
def test_cap_of_busy_flows(busy: str, host: Host, browser: Browser) -> None:
    """A session whose twenty flows are all bound or being redeemed starts no more."""
    for _ in range(20):
        Prepared(host, browser, own_state=False).put(busy)
    before = host.store.contents()
    for response in (
        browser.send("GET", "/pkce/challenge"),
        browser.code(),
        browser.code(state="x"),
    ):
        check_problem(response, "too-many-flows")
        assert 1 <= int(response.headers["Retry-After"]) <= 5
    assert host.store.contents() == before


@pytest.mark.requirement("ST-2")
@pytest.mark.parametrize(
    ("first", "second"),
    [("done", "started"), ("failed", "started"), ("started", "sent"), ("sent", "bound")],
)
def test_who_gives_way(first: str, second: str, host: Host, browser: Browser) -> None:
    """Finished flows give way first, then unsent ones, then the oldest sent; never a bound one."""
    stays = Prepared(host, browser, own_state=False).put(second)
    goes = Prepared(host, browser, own_state=False).put(first)
    for _ in range(18):
        Prepared(host, browser, own_state=False).put("bound")
    assert browser.send("GET", "/pkce/challenge").status_code == 200
    session = host.session_of(browser)
    assert host.relying_party.sessions.flow(session, goes.state) is None
    assert host.status_of(browser, stays.state) == second


@pytest.mark.requirement("ST-2", "N93")
def test_oldest_sent_gives_way(host: Host, browser: Browser) -> None:
    """Of twenty sent flows the oldest gives way."""
    states = [Prepared(host, browser, own_state=False).put("sent").state for _ in range(20)]
    browser.challenge()
    session = host.session_of(browser)
    kept = [
        state for state in states if host.relying_party.sessions.flow(session, state) is not None
    ]
    assert kept == states[1:]


@pytest.mark.requirement("N93", "T9")
def test_two_hundred_sign_ins(host: Host, browser: Browser) -> None:
    """Two hundred sign-ins that nobody finished leave one small cookie, and the newest works."""
    urls = [browser.submit("/pkce/code").headers["Location"] for _ in range(200)]
    assert list(browser.cookies) == ["pkce-80"]
    assert len(f"pkce-80={browser.cookie}") <= 130
    assert len(host.session_of(browser).value.flows) == 20
    # The flows and their session.
    assert len(host.store.contents()) == 21
    check_page(browser.arrive(host.tenant.sign_in(urls[0])), "state-evicted")
    assert "Signed in" in browser.arrive(host.tenant.sign_in(urls[-1])).text
    assert browser.token().status_code == 200


# -- POST clear: waiters --------------------------------------------------------------


def test_waiter_hears_of_a_clear(make_app: MakeApp) -> None:
    """Who waits for an answer hears at once that the session was cleared."""
    host = make_app(PKCE_LOCAL_SESSION=True)
    waiter = host.program()
    state, _ = waiter.begin()

    def clear() -> None:
        assert host.store.somebody_waits.wait(10)
        host.program().clear()

    clearing = Thread(target=clear)
    clearing.start()
    response = waiter.post(
        "/pkce/code",
        {"state": state},
        headers={"Prefer": "wait=25"},
        environ_overrides={"wsgi.multithread": True},
    )
    clearing.join()
    check_problem(response, "signed-out-meanwhile")


@pytest.mark.requirement("ST-5")
def test_saved_in_its_last_second(host: Host, browser: Browser) -> None:
    """A flow is over at its end, though the store keeps what was saved a moment before."""
    state, url = browser.begin()
    browser.arrive(host.tenant.sign_in(url))
    assert browser.token().status_code == 200
    state, url = browser.begin()
    browser.arrive(host.tenant.sign_in(url))
    host.clock.now = host.flow_of(browser, state).value.expires_at - 0.5
    host.tenant.faults.add("unreachable")
    check_problem(browser.token(), "tenant-unreachable")
    host.tenant.faults.clear()
    host.clock.advance(0.7)
    assert browser.token().status_code == 409
    assert host.token_requests == 1
