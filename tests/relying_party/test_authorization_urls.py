"""Where a browser is sent, and the push that comes before."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from flask_pkce.errors import (
    AccessDenied,
    BodyTooLarge,
    ClientRefused,
    ParameterInvalid,
    PKCEError,
    TenantError,
    TenantMisconfigured,
    TenantRefused,
    TenantSilent,
    TenantUnreachable,
)
from flask_pkce.protocol.authorization import (
    AuthorizationRequest,
    build_authorization_url,
)
from flask_pkce.protocol.par import PushedRequest
from flask_pkce.relying_party.authorization_urls import AuthorizationURL
from flask_pkce.relying_party.authorize import Sent
from flask_pkce.relying_party.hooks import Hooks, authorization_requested, tenant_called
from flask_pkce.sessions.flow import Status
from flask_pkce.testing import SignInRefused
from tests.support import CALLBACK, CLIENT_ID, ISSUER, NOW, Bench, arrived, at_once, rsa_key, told

SECRET = "a secret of this client"
KEY = {**rsa_key("client").as_dict(private=True), "kid": "mine"}
PUBLIC_KEY = {**rsa_key("client").as_dict(private=False), "kid": "mine"}


@pytest.fixture
def hooks() -> Hooks:
    return Hooks()


@pytest.fixture
def bench(hooks: Hooks) -> Bench:
    """A relying party that pushes its requests."""
    bench = Bench(hooks=hooks, requires_par=True, CLIENT_SECRET=SECRET)
    bench.tenant.register(client_secret=SECRET)
    return bench


def pushes(bench: Bench) -> int:
    return bench.tenant.count("POST", "/oauth/par")


def parameters(sent: Sent) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(sent.authorization_url).query, strict_parsing=True))


@pytest.mark.requirement("PA-1", "PA-4")
@pytest.mark.parametrize(
    ("settings", "registered", "fields"),
    [
        pytest.param(
            {"CLIENT_SECRET": SECRET},
            {"client_secret": SECRET, "auth_method": "client_secret_post"},
            {"client_id", "client_secret"},
            id="client_secret_post",
        ),
        pytest.param(
            {"CLIENT_SECRET": SECRET, "CLIENT_AUTH": "client_secret_basic"},
            {"client_secret": SECRET, "auth_method": "client_secret_basic"},
            set(),
            id="client_secret_basic",
        ),
        pytest.param(
            {"CLIENT_KEY": KEY},
            {"jwks": [PUBLIC_KEY]},
            {"client_id", "client_assertion", "client_assertion_type"},
            id="private_key_jwt",
        ),
    ],
)
def test_every_request_is_authenticated(
    settings: dict[str, Any], registered: dict[str, Any], fields: set[str]
) -> None:
    """Push, exchange, refresh and revocation authenticate in the same one way."""
    bench = Bench(requires_par=True, **settings)
    bench.tenant.register(**registered)
    signed_in = bench.sign_in()
    grant = signed_in.session.value.grants[-1]
    refreshed = bench.relying_party.refresh.refresh(signed_in.session, grant)
    bench.relying_party.sign_out.clear(refreshed.session)
    posted = [each for each in bench.tenant.requests if each.path.startswith("/oauth/")]
    assert [each.path.rpartition("/")[2] for each in posted] == ["par", "token", "token", "revoke"]
    known = {"client_id", "client_secret", "client_assertion", "client_assertion_type"}
    for each in posted[1:]:
        assert set(each.fields) & known == fields, each
    assert set(posted[0].fields) & known == fields | {"client_id"}
    assert bench.tenant._provider.memory.is_revoked(
        next(iter(bench.tenant._provider.memory.spent_codes._items.values()))[1]
    )


@pytest.mark.requirement("PA-4", "T31")
def test_address(bench: Bench) -> None:
    """The browser has the client and the name of the request, and nothing that it could change."""
    sent = bench.send(prompt="login", organization="org_1")
    assert parameters(sent).keys() == {"client_id", "request_uri"}
    assert parameters(sent)["client_id"] == CLIENT_ID
    assert sent.authorization_url.startswith(f"{ISSUER}authorize?")
    assert (sent.flow.value.status, sent.address.expires_at) == (Status.SENT, NOW + 60)
    assert parameters(sent)["request_uri"] not in repr(sent)
    redeemed = bench.redeem(sent.session, bench.bind(sent))
    assert redeemed.response.claims["org_id"] == "org_1"


@pytest.mark.requirement("PA-3")
def test_pushed_anew(bench: Bench) -> None:
    """The same state is pushed again, since a request that was pushed is good once."""
    sent = bench.send()
    again = bench.send(sent.session, state=sent.flow.value.state)
    assert again.flow.value == sent.flow.value
    assert parameters(again)["request_uri"] != parameters(sent)["request_uri"]
    assert pushes(bench) == 2
    bench.answer(again)
    with pytest.raises(SignInRefused, match="expired or was used"):
        bench.answer(again)


def test_not_pushed_once_it_is_answered(bench: Bench) -> None:
    """A flow whose answer came has nothing left to ask: there is no address."""
    sent = bench.send()
    bench.bind(sent)
    again = bench.send(sent.session, state=sent.flow.value.state)
    assert (again.authorization_url, pushes(bench)) == ("", 1)
    assert again.flow.value.status is Status.BOUND


def test_answered_at_that_moment(bench: Bench) -> None:
    """Where another request sent the flow and its answer came, this one has no address either."""
    begun = bench.start()
    state = begun.flow.value.state
    bench.store.before_replace = lambda: bench.bind(bench.send(begun.session, state=state))
    sent = bench.send(begun.session, state=state)
    assert (sent.authorization_url, sent.flow.value.status) == ("", Status.BOUND)


def test_sent_by_another_at_that_moment(bench: Bench) -> None:
    """Where another request sent the flow at that moment, it is pushed for this one too."""
    begun = bench.start()
    state = begun.flow.value.state
    results = at_once(lambda _: bench.send(begun.session, state=state), 3)
    sent = [result for result in results if isinstance(result, Sent)]
    assert len({parameters(each)["request_uri"] for each in sent}) == 3


@pytest.mark.requirement("PA-5", "PA-2", "N86", "N87", "N88")
@pytest.mark.parametrize(
    ("fault", "cls", "status"),
    [
        ("unreachable", TenantUnreachable, 502),
        ("silent", TenantSilent, 504),
        ("par-503", TenantError, 502),
        ("par-413", BodyTooLarge, 413),
        ("par-refused", TenantRefused, 400),
        ("par-no-request-uri", TenantError, 502),
        ("par-expires-in-zero", TenantError, 502),
    ],
)
def test_push_in_vain(bench: Bench, fault: str, cls: type[PKCEError], status: int) -> None:
    """A push that fails leaves the flow as it was, to be sent again; it is tried once."""
    begun = bench.start()
    state = begun.flow.value.state
    bench.relying_party.tenants.default.get()
    bench.tenant.faults = [fault]
    with told(authorization_requested) as heard, pytest.raises(cls) as caught:
        bench.send(begun.session, state=state)
    assert type(caught.value) is cls
    assert caught.value.status == status
    assert not heard
    assert bench.now(begun.flow) == begun.flow.value
    assert pushes(bench) <= 1
    bench.tenant.faults = []
    sent = bench.send(begun.session, state=state)
    assert (sent.flow.key, sent.flow.value.status) == (begun.flow.key, Status.SENT)
    bench.tenant.faults = [fault]
    with pytest.raises(cls):
        bench.send(begun.session, state=state)
    assert bench.now(sent.flow) == sent.flow.value
    bench.tenant.faults = []
    assert bench.redeem(sent.session, bench.bind(sent)).response.claims["sub"]


def test_wrong_secret(bench: Bench) -> None:
    """Where the tenant does not take our credentials, the operator hears before anybody left."""
    bench.tenant.register(client_secret="another one")
    with pytest.raises(ClientRefused) as caught:
        bench.send()
    assert (caught.value.status, caught.value.error) == (502, "invalid_client")
    assert "PKCE_CLIENT_AUTH" in caught.value.hint
    assert SECRET not in str(caught.value)


def test_public_client() -> None:
    """A tenant that demands pushed requests needs a confidential client; nothing is sent."""
    bench = Bench(requires_par=True)
    with pytest.raises(TenantMisconfigured, match="set PKCE_CLIENT_SECRET or PKCE_CLIENT_KEY"):
        bench.send()
    assert (pushes(bench), len(bench.store._entries)) == (0, 0)


@pytest.mark.parametrize(("par", "count"), [("auto", 0), ("always", 1), ("never", 0)])
def test_setting(par: str, count: int) -> None:
    """Where the tenant only takes pushed requests, the host decides."""
    bench = Bench(CLIENT_SECRET=SECRET, PAR=par)
    bench.tenant.register(client_secret=SECRET)
    assert bench.sign_in().response.claims["sub"]
    assert pushes(bench) == count


def test_hooks_run_before(bench: Bench, hooks: Hooks) -> None:
    """What is pushed is what the hooks made of it, and a hook that refuses has nothing pushed."""
    hooks.before_authorize.append(lambda request: request.replace(organization="org_7"))
    sent = bench.send()
    assert sent.flow.value.request is not None
    assert sent.flow.value.request.organization == "org_7"
    assert bench.redeem(sent.session, bench.bind(sent)).response.claims["org_id"] == "org_7"

    def refuse(_: AuthorizationRequest) -> None:
        raise AccessDenied()

    hooks.before_authorize.append(refuse)
    with pytest.raises(AccessDenied):
        bench.send()
    assert pushes(bench) == 1


def test_longer_than_an_address(bench: Bench, hooks: Hooks) -> None:
    """A request may be longer than an address; what Auth0 would not take is not sent."""
    long = {"ext-a": "x" * 5000}
    hooks.before_authorize.append(lambda request: request.replace(additional=long))
    assert bench.send().authorization_url
    long["ext-a"] *= 2
    with pytest.raises(ParameterInvalid, match="10000 bytes"):
        bench.send()
    assert pushes(bench) == 1


def test_authorize_replaced(bench: Bench, hooks: Hooks) -> None:
    """The host's own function has nothing pushed: it may do that itself."""
    hooks.authorize = lambda request: f"https://proxy.example/go?state={request.state}"
    sent = bench.send()
    assert (pushes(bench), sent.address.expires_at) == (0, None)


def test_observed(bench: Bench) -> None:
    """Observers hear of the call, under a name of its own."""
    with told(tenant_called) as heard:
        bench.send()
    calls = [each["call"] for each in heard]
    assert [call.endpoint for call in calls] == ["discovery", "par"]
    assert (calls[1].issuer, calls[1].status, calls[1].error) == (ISSUER, 201, None)


def test_caller_that_built_the_address(bench: Bench) -> None:
    """A flow that its caller sent is answered, and has no address of ours."""
    begun = bench.start()
    flow = begun.flow.value
    tenant = bench.relying_party.tenants.default.get()
    bench.tenant._provider.requires_par = False
    request = AuthorizationRequest(
        client_id=CLIENT_ID,
        redirect_uri=CALLBACK,
        scope=("openid",),
        state=flow.state,
        nonce=flow.nonce,
        code_challenge=flow.code_challenge,
    )
    url = build_authorization_url(tenant, request)
    bench.relying_party.sign_in.bind(begun.flow, arrived(bench.tenant.sign_in(url)))
    assert bench.send(begun.session, state=flow.state).authorization_url == ""


@pytest.mark.requirement("PA-8")
def test_seconds_left() -> None:
    """Whole seconds until the tenant forgets, and none below zero."""
    assert AuthorizationURL("x").seconds_left(now=NOW) is None
    address = AuthorizationURL("x", NOW + 30.5)
    assert [address.seconds_left(now=NOW + s) for s in (0, 29, 30, 31)] == [30, 1, 0, 0]
    assert "x" not in repr(PushedRequest("x", 1)).replace("expires", "")
