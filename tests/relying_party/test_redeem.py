"""Redeem: a code becomes tokens and a signed-in session, once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from flask_pkce.errors import (
    AccessDenied,
    AuthorizationPending,
    ClientRefused,
    CodeSpent,
    FileDescriptorsExhausted,
    FlowGone,
    GrantError,
    GrantRefused,
    IDTokenInvalid,
    ParameterForeign,
    ParameterInvalid,
    PKCEError,
    RedemptionUnderWay,
    SessionMismatch,
    SessionRenewed,
    SignedOutMeanwhile,
    StoreError,
    TenantError,
    TenantLimit,
    TenantSilent,
    TenantUnreachable,
    VerifierMismatch,
)
from flask_pkce.protocol.authorization import CallbackParameters
from flask_pkce.protocol.token import TokenRequest, TokenResponse
from flask_pkce.relying_party.authorize import Sent
from flask_pkce.relying_party.hooks import Hooks, signed_in
from flask_pkce.relying_party.redeem import Redeemed
from flask_pkce.sessions.flow import Flow, FlowFailed, Status
from flask_pkce.sessions.records import Stored
from flask_pkce.sessions.session import Session
from flask_pkce.testing import TenantUser
from flask_pkce.web.models import TokenizedPKCE
from tests.support import (
    CALLBACK,
    CHALLENGE,
    CLIENT_ID,
    ELSEWHERE,
    ISSUER,
    NOW,
    VERIFIER,
    Bench,
    Failing,
    arrived,
    at_once,
    expected_elsewhere,
    told,
)

SCOPE = ("openid", "profile", "email", "offline_access")


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def bench(hooks: Hooks) -> Bench:
    return Bench(hooks=hooks)


def find(bench: Bench, session: Stored[Session], **asked: Any) -> Stored[Flow]:
    """The flow that a request to redeem names."""
    return bench.relying_party.redemption.flow_to_redeem(session, TokenizedPKCE(**asked))


# -- which flow --------------------------------------------------------------------


def test_newest_bound_flow(bench: Bench) -> None:
    """With neither code nor verifier the newest bound flow is meant, whatever came after it."""
    first = bench.send()
    second = bench.send(first.session)
    third = bench.send(second.session)
    bench.bind(first)
    bound = bench.bind(second)
    assert find(bench, third.session) == bound


def test_no_bound_flow(bench: Bench) -> None:
    """Where none is bound, the newest tells how far it is; where there is none at all, 409."""
    sent = bench.send()
    assert find(bench, sent.session) == sent.flow
    bench.store.delete(sent.flow.key)
    with pytest.raises(AuthorizationPending):
        find(bench, sent.session)


def test_flow_of_a_code(bench: Bench) -> None:
    """A code names its flow, also one that was redeemed."""
    first = bench.send()
    second = bench.send(first.session)
    flows = [bench.bind(first), bench.bind(second)]
    for flow in flows:
        assert find(bench, second.session, code=str(flow.value.code)) == flow
    bench.redeem(second.session, flows[0])
    done = find(bench, second.session, code=str(flows[0].value.code))
    assert done.value.status is Status.DONE


def test_flow_of_a_verifier(bench: Bench) -> None:
    """A verifier names its flow, with its code or without."""
    session, flow = bench.bound()
    verifier = str(flow.value.code_verifier)
    assert find(bench, session, code_verifier=verifier) == flow
    assert find(bench, session, code_verifier=verifier, code=str(flow.value.code)) == flow


def test_code_with_the_verifier_of_another(bench: Bench) -> None:
    """A foreign verifier beside our code is told when it is checked, and not before."""
    session, flow = bench.bound()
    assert find(bench, session, code_verifier=VERIFIER, code=str(flow.value.code)) == flow


@pytest.mark.requirement("N99")
def test_verifier_with_the_code_of_another(bench: Bench) -> None:
    """Our verifier beside a foreign code is no grant (N99)."""
    session, flow = bench.bound()
    with pytest.raises(GrantError) as caught:
        find(bench, session, code_verifier=str(flow.value.code_verifier), code="another")
    assert (caught.value.field, caught.value.error) == ("$.code", "invalid_grant")
    assert bench.now(flow) == flow.value


@pytest.mark.requirement("N99", "T13", "WC-8")
@pytest.mark.parametrize("member", ["code", "code_verifier"])
def test_what_no_flow_has(bench: Bench, member: str) -> None:
    """A code or verifier of no flow is no grant, and nothing is sent (N99)."""
    session, _ = bench.bound()
    with pytest.raises(GrantError) as caught:
        find(bench, session, **{member: "x" * 43})
    assert (type(caught.value), caught.value.field) == (GrantError, f"$.{member}")
    assert bench.token_requests == 0


@pytest.mark.parametrize("member", ["code", "code_verifier"])
def test_what_no_answer_came_for(bench: Bench, member: str) -> None:
    """A session that never had an answer holds somebody else's code."""
    sent = bench.send()
    with pytest.raises(SessionMismatch):
        find(bench, sent.session, **{member: "x" * 43})


def test_what_no_flow_has_after_a_failure(bench: Bench) -> None:
    """A session whose flow failed, or that signed in, is told of the grant."""
    sent = bench.send()
    bench.relying_party.sign_in.fail(sent.flow, AccessDenied())
    with pytest.raises(GrantError):
        find(bench, sent.session, code="x")
    redeemed = bench.sign_in()
    bench.clock.now += 600
    later = bench.send(redeemed.session)
    with pytest.raises(GrantError):
        find(bench, later.session, code="x")


@pytest.mark.requirement("AZ-3")
@pytest.mark.parametrize("redirect_uri", [f"{CALLBACK}/", ELSEWHERE, "https://evil.example/"])
def test_redirect_uri_of_another_flow(bench: Bench, redirect_uri: str) -> None:
    """The redirect URI is the flow's, to the byte."""
    session, flow = bench.bound()
    assert find(bench, session, redirect_uri=CALLBACK) == flow
    with pytest.raises(ParameterForeign) as caught:
        find(bench, session, redirect_uri=redirect_uri)
    assert caught.value.field == "$.redirect_uri"


@pytest.mark.parametrize("with_verifier", [True, False])
def test_code_that_went_elsewhere(bench: Bench, with_verifier: bool) -> None:
    """A code that went to another allowed redirect URI comes in the body, and is bound there."""
    sent = bench.send(redirect_uri=ELSEWHERE)
    code = str(bench.answer(sent).code)
    asked = {"code": code, "redirect_uri": ELSEWHERE}
    if with_verifier:
        asked["code_verifier"] = str(sent.flow.value.code_verifier)
    flow = find(bench, sent.session, **asked)
    assert (flow.value.status, flow.value.code) == (Status.BOUND, code)
    redeemed = bench.redeem(sent.session, flow)
    assert redeemed.redirect_uri == ELSEWHERE


def test_code_for_our_callback_in_the_body(bench: Bench) -> None:
    """A code that should come to our callback is not bound by a body: it stays pending."""
    sent = bench.send()
    verifier = str(sent.flow.value.code_verifier)
    flow = find(bench, sent.session, code="brought along", code_verifier=verifier)
    assert flow == sent.flow
    with pytest.raises(AuthorizationPending):
        bench.redeem(sent.session, flow)


def test_code_of_a_flow_that_was_not_sent(bench: Bench) -> None:
    """A flow whose caller built the URL itself, for our callback, waits for its answer."""
    begun = bench.start()
    verifier = str(begun.flow.value.code_verifier)
    flow = find(bench, begun.session, code="c", code_verifier=verifier, redirect_uri=CALLBACK)
    assert flow == begun.flow


# -- redeem ------------------------------------------------------------------------


@pytest.mark.requirement("ID-14")
def test_redeem(bench: Bench, hooks: Hooks) -> None:
    """A code is exchanged, the ID token verified, the session signed in under a new pointer."""
    requests: list[TokenRequest] = []
    hooks.before_token.append(requests.append)
    sent = bench.send()
    flow = bench.bind(sent)
    with told(signed_in) as heard:
        redeemed = bench.redeem(sent.session, flow)
    assert requests == [
        TokenRequest(
            grant_type="authorization_code",
            code=flow.value.code,
            redirect_uri=CALLBACK,
            code_verifier=flow.value.code_verifier,
        )
    ]
    assert heard == [{"response": redeemed.response}]
    assert redeemed.response.claims["email"] == bench.tenant.users[0].email
    assert redeemed.response.scope == SCOPE
    assert (redeemed.code, redeemed.code_verifier) == (flow.value.code, flow.value.code_verifier)
    assert (redeemed.redirect_uri, redeemed.tenant.issuer) == (CALLBACK, ISSUER)
    assert redeemed.pointer is not None
    assert sent.pointer is not None
    assert bench.sessions.load(redeemed.pointer) == redeemed.session
    assert bench.sessions.load(sent.pointer) is None
    assert bench.now(flow).status is Status.DONE
    grant = redeemed.session.value.grant(now=NOW)
    assert grant is not None
    assert grant.subject == bench.tenant.users[0].sub
    assert (grant.issuer, grant.scope) == (ISSUER, SCOPE)
    assert grant.refresh_token == redeemed.response.refresh_token
    assert redeemed.session.value.signed_in_until == NOW + 86400


@pytest.mark.requirement("AZ-3")
def test_redirect_uri_to_the_byte(hooks: Hooks) -> None:
    """Both endpoints get the redirect URI in the spelling of the settings (RFC 6749 4.1.3)."""
    odd = "http://127.0.0.1:5173/d%6fne?to=%2Fa+b&empty="
    bench = Bench(hooks=hooks, REDIRECT_URIS=odd)
    bench.tenant.register(redirect_uris=[odd])
    requests: list[TokenRequest] = []
    hooks.before_token.append(requests.append)
    sent = bench.send(redirect_uri=odd)
    assert parse_qs(urlsplit(sent.authorization_url).query)["redirect_uri"] == [odd]
    bound = bench.relying_party.sign_in.bind_code(sent.flow, bench.answer(sent).code or "")
    assert bench.redeem(sent.session, bound).redirect_uri == odd
    assert [request.redirect_uri for request in requests] == [odd]


def test_redeemed_hides_its_secrets(bench: Bench) -> None:
    """What comes of an exchange shows neither code, verifier, tokens nor pointer."""
    redeemed = bench.sign_in()
    shown = repr(redeemed)
    response = redeemed.response
    secrets = [redeemed.code, redeemed.code_verifier, response.access_token, response.id_token]
    assert not any(str(secret) in shown for secret in [*secrets, response.refresh_token])
    assert "Pointer" not in shown


def test_redeem_in_the_local_session(bench: Bench) -> None:
    """The local session signs in without a pointer."""
    sent = bench.send(is_local=True)
    redeemed = bench.redeem(sent.session, bench.bind(sent))
    assert redeemed.pointer is None
    assert bench.sessions.load_local() == redeemed.session


@pytest.mark.requirement("AZ-12", "BB-1")
def test_redeem_for_a_confidential_client() -> None:
    """A confidential client gives its secret."""
    bench = Bench(CLIENT_SECRET="top-secret")
    bench.tenant.register(client_secret="top-secret")
    assert bench.sign_in().response.claims["aud"] == CLIENT_ID
    posted = [each for each in bench.tenant.requests if each.path == "/oauth/token"]
    assert "client_secret" in posted[0].fields


def test_redeem_what_was_not_sent(bench: Bench) -> None:
    """A flow whose caller built the URL itself is redeemed with our settings."""
    begun = bench.start()
    answer = bench.tenant.sign_in(url_of(begun.flow.value))
    bound = bench.relying_party.sign_in.bind(begun.flow, arrived(answer))
    redeemed = bench.redeem(begun.session, bound)
    assert redeemed.redirect_uri == CALLBACK
    assert redeemed.response.scope == ("openid",)


# -- the verifier ------------------------------------------------------------------


@pytest.mark.requirement("N60", "PK-10")
def test_verifier_that_does_not_fit(bench: Bench) -> None:
    """A wrong verifier is caught before the tenant is asked, and uses nothing up (N60)."""
    session, flow = bench.bound()
    for _ in range(3):
        with pytest.raises(VerifierMismatch) as caught:
            bench.redeem(session, flow, code_verifier=VERIFIER)
        assert caught.value.error == "invalid_grant"
    assert bench.token_requests == 0
    assert bench.now(flow) == flow.value
    verifier = flow.value.code_verifier
    assert bench.redeem(session, flow, code_verifier=verifier).code_verifier == verifier


@pytest.mark.requirement("PK-10")
def test_verifier_that_only_the_caller_knows(bench: Bench) -> None:
    """With the caller's own challenge, the caller brings the verifier."""
    session, flow = bench.bound(code_challenge=CHALLENGE, code_challenge_method="S256")
    with pytest.raises(ParameterInvalid) as caught:
        bench.redeem(session, flow)
    assert caught.value.field == "$.code_verifier"
    with pytest.raises(VerifierMismatch):
        bench.redeem(session, flow, code_verifier="x" * 43)
    assert bench.token_requests == 0
    assert bench.redeem(session, flow, code_verifier=VERIFIER).code_verifier == VERIFIER


# -- once --------------------------------------------------------------------------


@pytest.mark.requirement("N36", "AZ-9", "T7")
def test_redeem_twice(bench: Bench) -> None:
    """Tokens are never answered a second time (N36)."""
    session, flow = bench.bound()
    bench.redeem(session, flow)
    done = bench.sessions.reload_flow(flow)
    assert done is not None
    with pytest.raises(CodeSpent):
        bench.redeem(session, done)
    with pytest.raises(CodeSpent):
        bench.redeem(session, flow)
    assert bench.token_requests == 1


@pytest.mark.requirement("ST-4", "N37", "AZ-9", "T7")
def test_redeem_at_once(bench: Bench) -> None:
    """However many redeem a code at once, one does; the tenant is asked once (N37)."""
    session, flow = bench.bound()
    results = at_once(lambda _: bench.redeem(session, flow), 8)
    losers = [each for each in results if not isinstance(each, Redeemed)]
    assert len(losers) == 7
    assert {type(each) for each in losers} <= {RedemptionUnderWay, CodeSpent}
    assert bench.token_requests == 1


@pytest.mark.parametrize("status", [Status.SENT, Status.REDEEMING])
def test_redeem_what_is_not_bound(bench: Bench, status: Status) -> None:
    """What is not bound is not redeemed."""
    sent = bench.send()
    error: type[PKCEError] = AuthorizationPending
    flow = sent.flow
    if status is Status.REDEEMING:
        bound = bench.bind(sent)
        saved = bench.sessions.save(bound, bound.value.redeem(until=NOW + 9))
        assert saved is not None
        flow, error = saved, RedemptionUnderWay
    with pytest.raises(error):
        bench.redeem(sent.session, flow)


@pytest.mark.requirement("AZ-9")
@pytest.mark.parametrize(
    ("meanwhile", "ends"),
    [
        pytest.param(
            lambda bench, session, flow: bench.redeem(session, flow), CodeSpent, id="redeemed"
        ),
        pytest.param(
            lambda bench, session, flow: bench.sessions.take(session),
            SignedOutMeanwhile,
            id="cleared",
        ),
        pytest.param(
            lambda bench, session, flow: bench.relying_party.sign_in.fail(flow, AccessDenied()),
            FlowFailed,
            id="failed",
        ),
        pytest.param(
            lambda bench, session, flow: bench.sessions.save(flow, flow.value),
            GrantError,
            id="redeemed and put back",
        ),
    ],
)
def test_another_was_first(
    bench: Bench, meanwhile: Callable[..., object], ends: type[PKCEError]
) -> None:
    """Where somebody else took the flow at that moment, the tenant is not asked again."""
    session, flow = bench.bound()
    bench.relying_party.tenants.default.keys()
    bench.store.before_replace = lambda: meanwhile(bench, session, flow)
    with pytest.raises(ends):
        bench.redeem(session, flow)
    assert bench.token_requests <= 1


# -- what the tenant answers -------------------------------------------------------


def fail(
    bench: Bench, fault: str, error: type[PKCEError]
) -> tuple[Stored[Session], Stored[Flow], PKCEError]:
    """Redeem while the tenant has a fault."""
    session, flow = bench.bound()
    bench.relying_party.tenants.default.keys()
    bench.tenant.faults.add(fault)
    with pytest.raises(error) as caught:
        bench.redeem(session, flow)
    assert type(caught.value) is error
    bench.tenant.faults.clear()
    return session, flow, caught.value


@pytest.mark.parametrize(
    ("fault", "error"), [("unreachable", TenantUnreachable), ("token-429", TenantLimit)]
)
def test_put_back(bench: Bench, fault: str, error: type[PKCEError]) -> None:
    """Where the code was surely not used, the flow is bound again, with its old end."""
    session, flow, _ = fail(bench, fault, error)
    now = bench.now(flow)
    assert now == flow.value
    assert now.expires_at == flow.value.expires_at
    held = bench.sessions.reload_flow(flow)
    assert held is not None
    assert bench.redeem(session, held).response.claims


def test_put_back_without_file_descriptors(bench: Bench) -> None:
    """Without a file descriptor nothing was sent: the flow is bound again."""
    session, flow = bench.bound()
    url = f"{ISSUER}oauth/token"
    transport = bench.relying_party.transport.session
    transport.mount(url, Failing(FileDescriptorsExhausted()))
    with pytest.raises(FileDescriptorsExhausted):
        bench.redeem(session, flow)
    assert bench.now(flow) == flow.value


def test_put_back_after_the_session_was_cleared(bench: Bench, hooks: Hooks) -> None:
    """A flow that was cleared meanwhile is not put back."""
    session, flow = bench.bound()
    bench.relying_party.tenants.default.keys()
    hooks.before_token.append(lambda request: bench.sessions.take(session) and None)
    bench.tenant.faults.add("unreachable")
    with pytest.raises(TenantUnreachable):
        bench.redeem(session, flow)
    assert not bench.store._entries


@pytest.mark.requirement("N61", "PK-9")
@pytest.mark.parametrize(
    ("fault", "error", "code"),
    [
        ("silent", TenantSilent, "tenant-silent"),
        ("token-invalid-grant", GrantRefused, "grant-refused"),
        ("token-invalid-client", ClientRefused, "client-refused"),
        ("token-500", TenantError, "tenant-nonsense"),
        ("token-html", TenantError, "tenant-nonsense"),
        ("token-not-json", TenantError, "tenant-nonsense"),
        ("token-redirect-307", TenantError, "tenant-nonsense"),
    ],
)
def test_failed(bench: Bench, fault: str, error: type[PKCEError], code: str) -> None:
    """Where the code may have been used, the flow failed, and says why from then on (N61-N65e)."""
    session, flow, _ = fail(bench, fault, error)
    failed = bench.now(flow)
    assert failed.failure is not None
    assert (failed.failure.code, failed.code) == (code, None)
    before = bench.token_requests
    held = bench.sessions.reload_flow(flow)
    assert held is not None
    with pytest.raises(FlowFailed):
        bench.redeem(session, held)
    assert bench.token_requests == before <= 1


@pytest.mark.requirement(
    "A0-4",
    "A0-16",
    "BC-6",
    "BC-7",
    "ID-1",
    "ID-5",
    "ID-11",
    "N50b",
    "N67",
    "N68",
    "N69",
    "N70",
    "N70a",
    "N70b",
    "N70f",
    "N70g",
    "N71",
    "T3",
    "T6",
    "WC-4",
)
@pytest.mark.parametrize(
    "fault",
    [
        "invalid-iss",
        "missing-sub",
        "invalid-aud",
        "missing-iat",
        "nonce-invalid",
        "missing-nonce",
        "expired",
        "invalid-athash",
        "invalid-sig-rs256",
        "idtoken-sig-none",
        "no-id-token",
    ],
)
def test_id_token_that_does_not_verify(bench: Bench, hooks: Hooks, fault: str) -> None:
    """Nothing is stored, no hook runs, and the refresh token is revoked (N67-N72)."""
    seen: list[TokenResponse] = []
    hooks.after_token.append(seen.append)
    with told(signed_in) as heard:
        session, flow, error = fail(bench, fault, IDTokenInvalid)
    assert (error.status, error.code) == (502, "id-token-invalid")
    assert bench.now(flow).status is Status.FAILED
    assert (seen, heard, bench.revocations) == ([], [], 1)
    current = bench.sessions.reload(session)
    assert current is not None
    assert current.value.grants == ()


def test_limit_of_the_tenant(bench: Bench) -> None:
    """How long to wait comes from Auth0's header (N63)."""
    _, _, error = fail(bench, "token-429", TenantLimit)
    assert error.retry_after == 7


def test_key_of_the_token_is_new(bench: Bench) -> None:
    """A key that the tenant begins to use at that moment is fetched (N74)."""
    session, flow = bench.bound()
    bench.relying_party.tenants.default.keys()
    bench.tenant.rotate_keys()
    assert bench.redeem(session, flow).response.claims


def test_keys_that_cannot_be_had_afterwards(bench: Bench) -> None:
    """Once the tokens are issued the code is used: keys that cannot be had fail the flow."""
    session, flow = bench.bound()
    bench.relying_party.tenants.default.keys()
    bench.tenant.rotate_keys()
    bench.refuse_keys()
    with pytest.raises(TenantError, match="could not be checked") as caught:
        bench.redeem(session, flow)
    assert isinstance(caught.value.__cause__, TenantUnreachable)
    assert bench.now(flow).status is Status.FAILED
    assert (bench.token_requests, bench.revocations) == (1, 1)


def test_keys_that_cannot_be_had_before(bench: Bench) -> None:
    """Without keys to verify with, the code is not used up."""
    session, flow = bench.bound()
    bench.refuse_keys()
    with pytest.raises(TenantUnreachable):
        bench.redeem(session, flow)
    assert bench.now(flow) == flow.value
    assert bench.token_requests == 0


def test_malformed_key_among_the_tenants(bench: Bench) -> None:
    """One malformed key of the tenant's disturbs nobody (N77)."""
    bench.tenant.faults.add("jwks-garbage-key")
    assert bench.sign_in().response.claims


@pytest.mark.requirement("A0-5", "BC-5", "T4")
def test_tenant_that_changed(bench: Bench) -> None:
    """The code of another tenant does not go to this one."""
    session, flow = bench.bound()
    old = bench.sessions.save(flow, expected_elsewhere(flow.value, "https://old.example/"))
    assert old is not None
    with pytest.raises(FlowGone, match="another tenant"):
        bench.redeem(session, old)
    assert bench.token_requests == 0


def test_tenant_that_spells_its_issuer_otherwise() -> None:
    """An issuer is compared to the byte, also where the settings leave its slash open."""
    bench = Bench(DOMAIN=ISSUER.rstrip("/"))
    session, flow = bench.bound()
    old = bench.sessions.save(flow, expected_elsewhere(flow.value, ISSUER.rstrip("/")))
    assert old is not None
    with pytest.raises(FlowGone, match="another tenant"):
        bench.redeem(session, old)
    assert bench.token_requests == 0


@pytest.mark.requirement("ID-6")
@pytest.mark.parametrize("name", ["redeem", "refresh"])
def test_algorithm_that_the_tenant_does_not_announce(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """An algorithm that the settings allow and the metadata does not name signs no ID token."""
    tenant = dataclasses.replace(bench.relying_party.tenants.default.get(), algorithms=("ES256",))
    session, flow = bench.bound()
    if name == "redeem":
        monkeypatch.setattr(bench.relying_party.tenants.default, "get", lambda: tenant)
        with pytest.raises(IDTokenInvalid, match="algorithm that is not allowed"):
            bench.redeem(session, flow)
    else:
        held = bench.redeem(session, flow).session
        grant = held.value.grants[0]
        monkeypatch.setattr(bench.relying_party.tenants.default, "get", lambda: tenant)
        with pytest.raises(IDTokenInvalid, match="algorithm that is not allowed"):
            bench.relying_party.refresh.refresh(held, grant)


# -- what was asked for must hold --------------------------------------------------


@pytest.mark.requirement("prompt", "login_hint", "ID-13", "N70d", "N70e", "T31")
@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"prompt": "login"}, id="N70e prompt=login"),
        pytest.param({"prompt": "login consent"}, id="prompt=login consent"),
        pytest.param({"additional": {"max_age": 300}}, id="N70d max_age"),
        pytest.param({"additional": {"max_age": 0}}, id="max_age=0"),
    ],
)
@pytest.mark.parametrize("tampered", [True, False])
def test_fresh_authentication(bench: Bench, asked: dict[str, Any], tampered: bool) -> None:
    """A user who takes the wish for a fresh sign-in out of the URL is not signed in."""
    browser = bench.tenant.browser()
    browser.sign_in(bench.send().authorization_url)
    bench.clock.now += 3600
    sent = bench.send(**asked)
    url = sent.authorization_url
    if tampered:
        url = url.replace("prompt=login", "x=y").replace("max_age", "x")
    answer = arrived(browser.sign_in(url))
    flow = bench.relying_party.sign_in.bind(sent.flow, answer)
    if tampered:
        with pytest.raises(IDTokenInvalid, match="too long ago"):
            bench.redeem(sent.session, flow)
    else:
        assert bench.redeem(sent.session, flow).response.claims["auth_time"] == bench.clock.now


@pytest.mark.requirement("organization", "A0-20", "N70i", "N70k", "T26", "T31")
@pytest.mark.parametrize(
    ("asked", "got"), [("org_1", "org_1"), ("org_1", "org_2"), ("Acme", "acme")]
)
def test_organization(bench: Bench, asked: str, got: str) -> None:
    """A user who changes the organization in the URL is not signed in (N70i)."""
    sent = bench.send(organization=asked)
    url = sent.authorization_url.replace(f"organization={asked}", f"organization={got}")
    flow = bench.relying_party.sign_in.bind(sent.flow, arrived(bench.tenant.sign_in(url)))
    if asked.lower() == got:
        assert bench.redeem(sent.session, flow).response.claims["org_id"]
    else:
        with pytest.raises(IDTokenInvalid, match="org_id"):
            bench.redeem(sent.session, flow)


@pytest.mark.requirement("organization", "A0-20", "A0-21", "N70l", "T26", "T31")
@pytest.mark.parametrize(
    ("settings", "got", "is_good"),
    [
        ({"ORGANIZATION": "org_1"}, "org_1", True),
        ({"ORGANIZATION": "org_1"}, "org_2", False),
        ({"ORGANIZATION": "org_1", "ALLOWED_ORGANIZATIONS": "org_2"}, "org_2", False),
        ({"ALLOWED_ORGANIZATIONS": "org_1"}, None, True),
        ({"ALLOWED_ORGANIZATIONS": "org_1"}, "org_1", True),
        ({"ALLOWED_ORGANIZATIONS": "org_1"}, "org_2", False),
    ],
)
@pytest.mark.parametrize("was_sent", [True, False])
def test_organization_of_the_settings(
    settings: dict[str, Any], got: str | None, is_good: bool, was_sent: bool
) -> None:
    """The user is of the organization that the settings ask for, or of one that they allow,
    whatever became of the URL and whoever built it (N70l)."""
    bench = Bench(**settings)
    begun = bench.start()
    sent = bench.send(begun.session, state=begun.flow.value.state)
    url = sent.authorization_url.replace("&organization=org_1", "")
    if not was_sent:
        begun = bench.start()
        url = url_of(begun.flow.value)
    url += f"&organization={got}" if got else ""
    held = sent.flow if was_sent else begun.flow
    flow = bench.relying_party.sign_in.bind(held, arrived(bench.tenant.sign_in(url)))
    session = sent.session if was_sent else begun.session
    if is_good:
        assert bench.redeem(session, flow).response.claims.get("org_id") == got
    else:
        with pytest.raises(IDTokenInvalid, match="org_id"):
            bench.redeem(session, flow)


@pytest.mark.requirement("ID-12", "T31")
@pytest.mark.parametrize(("acr", "is_good"), [("gold", True), ("bronze", False), (None, False)])
@pytest.mark.parametrize("was_sent", [True, False])
def test_context_that_is_demanded(acr: str | None, is_good: bool, was_sent: bool) -> None:
    """Who did not authenticate as the settings demand is not signed in."""
    bench = Bench(ACR_VALUES="gold silver")
    claims = () if acr is None else (("acr", acr),)
    user = TenantUser("auth0|carol", "carol@example.com", "carol-password", claims=claims)
    bench.tenant._provider._users[user.email] = user
    sent = bench.send() if was_sent else bench.start()
    url = sent.authorization_url if isinstance(sent, Sent) else url_of(sent.flow.value)
    assert ("acr_values=gold+silver" in url) is was_sent
    flow = bench.relying_party.sign_in.bind(sent.flow, arrived(bench.tenant.sign_in(url, user)))
    if is_good:
        assert bench.redeem(sent.session, flow).response.claims["acr"] == acr
    else:
        with pytest.raises(IDTokenInvalid, match="acr"):
            bench.redeem(sent.session, flow)


def url_of(flow: Flow) -> str:
    """The address of a flow whose caller builds it itself."""
    query = {
        "response_type": "code",
        "client_id": CLIENT_ID,
        "redirect_uri": CALLBACK,
        "scope": "openid",
        "state": flow.state,
        "nonce": flow.nonce,
        "code_challenge": flow.code_challenge,
        "code_challenge_method": "S256",
    }
    return f"{ISSUER}authorize?{urlencode(query)}"


@pytest.mark.requirement("BC-2", "BC-6", "PK-9", "AV-2", "T3")
def test_code_of_another_sign_in(bench: Bench) -> None:
    """A code that was injected into another flow does not fit its verifier (N61, T3)."""
    stolen = bench.answer(bench.send()).code
    sent = bench.send()
    flow = bench.relying_party.sign_in.bind(
        sent.flow,
        CallbackParameters(state=sent.flow.value.state, code=stolen, callback_url=CALLBACK),
    )
    with pytest.raises(GrantRefused):
        bench.redeem(sent.session, flow)


# -- hooks around the exchange -----------------------------------------------------


def test_after_token(bench: Bench, hooks: Hooks) -> None:
    """A hook's change is what is stored and answered."""
    hooks.after_token.append(
        lambda response: response.replace(claims={**response.claims, "role": "admin"})
    )
    redeemed = bench.sign_in()
    assert redeemed.response.claims["role"] == "admin"
    assert redeemed.session.value.grants[-1].claims["role"] == "admin"


@pytest.mark.parametrize(
    ("error", "raised", "code"),
    [
        (AccessDenied("Not you."), AccessDenied, "access-denied"),
        (RuntimeError("a mistake"), RuntimeError, "hook-failed"),
        (TenantUnreachable(), TenantError, "tenant-nonsense"),
        (TenantLimit(), TenantError, "tenant-nonsense"),
        (FileDescriptorsExhausted(), TenantError, "tenant-nonsense"),
        (KeyboardInterrupt(), KeyboardInterrupt, "hook-failed"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_after_token_refuses(
    bench: Bench, hooks: Hooks, error: BaseException, raised: type[BaseException], code: str
) -> None:
    """A hook that raises, whatever, stores nothing: the refresh token is revoked."""

    def refuse(response: TokenResponse) -> None:
        raise error

    hooks.after_token.append(refuse)
    session, flow = bench.bound()
    with pytest.raises(raised):
        bench.redeem(session, flow)
    failure = bench.now(flow).failure
    assert failure is not None
    assert failure.code == code
    assert bench.revocations == 1
    assert bench.sessions.reload(session) == session


def test_before_token_refuses(bench: Bench, hooks: Hooks) -> None:
    """A hook that refuses before the exchange fails the flow, and nothing is sent."""

    def refuse(request: TokenRequest) -> None:
        raise AccessDenied()

    hooks.before_token.append(refuse)
    session, flow = bench.bound()
    with pytest.raises(AccessDenied):
        bench.redeem(session, flow)
    assert bench.now(flow).status is Status.FAILED
    assert (bench.token_requests, bench.revocations) == (0, 0)


@pytest.mark.parametrize("forged", [True, False])
def test_token_replaced(bench: Bench, hooks: Hooks, forged: bool) -> None:
    """The host's own function asks for the tokens; the ID token is verified as ever."""

    def token(request: TokenRequest) -> dict[str, Any]:
        fields = {**request.parameters(), "client_id": CLIENT_ID}
        url = f"{ISSUER}oauth/token"
        document = bench.relying_party.transport.session.post(url, fields, timeout=5).json()
        return {**document, "id_token": document["id_token"] + "x" * forged}

    hooks.token = token
    session, flow = bench.bound()
    if forged:
        with pytest.raises(IDTokenInvalid):
            bench.redeem(session, flow)
    else:
        assert bench.redeem(session, flow).response.claims


# -- the end of the exchange -------------------------------------------------------


@pytest.mark.parametrize(
    ("meanwhile", "error"),
    [
        pytest.param(
            lambda bench, session: bench.sessions.take(session), SignedOutMeanwhile, id="cleared"
        ),
        pytest.param(
            lambda bench, session: bench.store.take(session.key),
            SignedOutMeanwhile,
            id="session alone is gone",
        ),
        pytest.param(
            lambda bench, session: bench.sessions.renew(session), SessionRenewed, id="renewed"
        ),
    ],
)
def test_session_that_changed_meanwhile(
    bench: Bench, hooks: Hooks, meanwhile: Callable[..., object], error: type[PKCEError]
) -> None:
    """Tokens for a session that was cleared or renewed meanwhile are stored nowhere."""
    session, flow = bench.bound()

    def change(request: TokenRequest) -> None:
        meanwhile(bench, session)

    hooks.before_token.append(change)
    with told(signed_in) as heard, pytest.raises(error):
        bench.redeem(session, flow)
    assert (bench.token_requests, bench.revocations, heard) == (1, 1, [])
    current = bench.sessions.reload(session)
    assert current is None or current.value.grants == ()


@pytest.mark.parametrize(("user", "revocations"), [("bob", 1), ("alice", 0)])
def test_refresh_token_of_who_signed_in_before(user: str, revocations: int) -> None:
    """It is taken back from another user; one of the same may be of the new token's grant."""
    bench = Bench(SCOPE="openid offline_access", TOKEN_DELIVERY="session", REDIRECT_URIS=None)
    first = bench.sign_in()
    assert first.response.refresh_token
    sent = bench.send(first.session)
    answer = arrived(bench.tenant.sign_in(sent.authorization_url, user))
    second = bench.redeem(sent.session, bench.relying_party.sign_in.bind(sent.flow, answer))
    assert [grant.subject for grant in second.session.value.grants] == [f"auth0|{user}"]
    assert bench.revocations == revocations


def test_session_at_the_tenant_that_is_over(bench: Bench, hooks: Hooks) -> None:
    """A sign-in that is over as it begins is an error, not the way into another one."""

    def end(response: TokenResponse) -> TokenResponse:
        return response.replace(claims={**response.claims, "session_expiry": NOW})

    hooks.after_token.append(end)
    session, flow = bench.bound()
    with told(signed_in) as heard, pytest.raises(IDTokenInvalid, match="session_expiry"):
        bench.redeem(session, flow)
    assert (bench.revocations, heard) == (1, [])
    held = bench.sessions.reload_flow(flow)
    assert held is not None
    assert (held.value.status, held.value.failure is None) == (Status.FAILED, False)


@pytest.mark.parametrize("who", ["user", "session at the tenant"])
def test_signed_out_from_outside_meanwhile(bench: Bench, hooks: Hooks, who: str) -> None:
    """Whoever was signed out everywhere, or at the tenant, is told so."""

    def sign_out(response: TokenResponse) -> TokenResponse:
        claims = {**response.claims, "sid": "ended"}
        if who == "user":
            bench.relying_party.sign_out.everywhere(ISSUER, claims["sub"])
        else:
            bench.relying_party.revocations.end_session(ISSUER, "ended")
        return response.replace(claims=claims)

    hooks.after_token.append(sign_out)
    session, flow = bench.bound()
    with pytest.raises(SignedOutMeanwhile):
        bench.redeem(session, flow)
    assert bench.revocations == 1


def test_store_that_fails_at_the_end(bench: Bench, hooks: Hooks) -> None:
    """Tokens that cannot be stored are revoked."""

    def break_down() -> None:
        raise StoreError()

    def soon(response: TokenResponse) -> None:
        bench.store.before_replace = break_down

    hooks.after_token.append(soon)
    session, flow = bench.bound()
    with pytest.raises(StoreError):
        bench.redeem(session, flow)
    assert bench.revocations == 1


def test_worker_that_died(bench: Bench) -> None:
    """An exchange whose worker died is failed once its deadline is over."""
    session, flow = bench.bound()
    until = NOW + bench.relying_party.settings.timeout + 10
    assert bench.sessions.save(flow, flow.value.redeem(until=until))
    bench.clock.now = until - 0.1
    held = bench.sessions.reload_flow(flow)
    assert held is not None
    with pytest.raises(RedemptionUnderWay):
        bench.redeem(session, held)
    bench.clock.now = until
    held = bench.sessions.reload_flow(flow)
    assert held is not None
    with pytest.raises(FlowFailed) as caught:
        bench.redeem(session, held)
    assert caught.value.code == "redemption-abandoned"


def test_deadline_of_an_exchange(bench: Bench, hooks: Hooks) -> None:
    """While a worker exchanges, the flow says until when it may."""
    seen: list[float | None] = []
    session, flow = bench.bound()
    hooks.before_token.append(lambda request: seen.append(bench.now(flow).redeeming_until))
    bench.redeem(session, flow)
    assert seen == [NOW + bench.relying_party.settings.timeout + 10]
