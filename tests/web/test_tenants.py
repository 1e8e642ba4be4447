"""Several tenants in one application: each sign-in keeps to its own, and no answer is mixed up."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit

import pytest
from flask import Flask, request

from flask_pkce import PKCEBlueprint, TenantSettings
from flask_pkce.cli.doctor import Finding, Verdict, examine
from flask_pkce.testing import LocalTenant
from flask_pkce.testing.tenant.keys import SigningKeys
from tests.conftest import MakeApp
from tests.support import ec_key, sign
from tests.web.host import CALLBACK, NAVIGATION, Browser, Clock, Host, check_page, check_problem

#: Two tenants that are not the one of the other tests, which is the default.
ACME, GLOBEX = "https://acme.example/", "https://globex.example/"

MakeTenant = Callable[..., LocalTenant]


class World:
    """A host with three tenants."""

    def __init__(self, host: Host, acme: LocalTenant, globex: LocalTenant) -> None:
        self.host = host
        self.acme = acme
        self.globex = globex

    @property
    def default(self) -> LocalTenant:
        """The tenant of PKCE_DOMAIN."""
        return self.host.tenant

    def asked(self) -> list[int]:
        """How many token requests each tenant had."""
        return [
            tenant.count("POST", "/oauth/token")
            for tenant in (self.default, self.acme, self.globex)
        ]


@pytest.fixture
def make_tenant(clock: Clock, signing_keys: SigningKeys) -> MakeTenant:
    """Make a tenant with an issuer of its own."""

    def make(issuer: str, **options: Any) -> LocalTenant:
        tenant = LocalTenant(issuer=issuer, clock=clock, **options)
        tenant._provider.keys._keys = signing_keys._keys
        return tenant

    return make


def settings_of(*names: str) -> dict[str, dict[str, str]]:
    """The tenants of the settings."""
    known = {
        "acme": {"domain": "acme.example", "client_id": "local-client"},
        "globex": {"domain": GLOBEX, "client_id": "local-client", "audience": "globex-api"},
    }
    return {name: known[name] for name in names}


def connect(host: Host, *tenants: LocalTenant) -> None:
    """Let a host reach tenants, and be known there by its callbacks."""
    for tenant in tenants:
        tenant.mount(host.relying_party.transport.session)
        name = tenant.domain.partition(".")[0]
        common = host.callback_url
        tenant.register(redirect_uris=[f"{common}/{name}"])


MakeWorld = Callable[..., World]


@pytest.fixture
def make_world(make_app: MakeApp, make_tenant: MakeTenant) -> MakeWorld:
    """Make a host with three tenants, of which globex alone announces ``iss``."""

    def make(**settings: Any) -> World:
        settings.setdefault("PKCE_TENANTS", settings_of("acme", "globex"))
        settings.setdefault("PKCE_SCOPE", "openid profile email offline_access")
        host = make_app(**settings)
        world = World(host, make_tenant(ACME), make_tenant(GLOBEX, sends_iss=True))
        connect(host, world.acme, world.globex)
        return world

    return make


@pytest.fixture
def world(make_world: MakeWorld) -> World:
    return make_world()


def redirect_uri(url: str) -> str:
    """The redirect URI of an authorization URL."""
    return parse_qs(urlsplit(url).query)["redirect_uri"][0]


def deliver(
    browser: Browser, answer: Any, *, path: str | None = None, **changes: str | None
) -> Any:
    """Bring a tenant's answer to where it says, or elsewhere, perhaps changed; and follow."""
    params = {name: value for name, value in {**answer.params, **changes}.items() if value}
    where = path or urlsplit(answer.url).path
    posted = browser.open(where, site="cross-site", method="POST", data=params)
    return browser.follow(posted)


def sign_in(world: World, browser: Browser, tenant: LocalTenant, user: str = "alice") -> Any:
    """Sign in with a tenant; what the token route answers."""
    _, url = browser.begin(domain=tenant.domain)
    assert "Signed in" in deliver(browser, tenant.sign_in(url, user)).text
    answer = browser.token()
    assert answer.status_code == 200, answer.text
    return answer.get_json()


# -- which one ---------------------------------------------------------------------


def test_domain_selects(world: World) -> None:
    """A caller names one of the configured tenants; without a name it is the default one."""
    for seed, tenant in (
        ({}, world.default),
        ({"domain": "tenant.example"}, world.default),
        ({"domain": "acme.example"}, world.acme),
        ({"domain": "https://globex.example/authorize"}, world.globex),
    ):
        answer = world.host.browser().code(**seed).get_json()
        assert answer["authorization_url"].startswith(f"{tenant.issuer}authorize?")
        assert answer["seed"]["domain"] == answer["auth0"]["domain"] == tenant.domain


@pytest.mark.requirement("N80c", "T12")
def test_domain_of_nobody(world: World) -> None:
    """Any other is refused, and nobody is asked at all."""
    answer = world.host.browser().code(domain="evil.example")
    check_problem(answer, "parameter-foreign", field="$.domain")
    assert not world.default.requests
    assert not world.acme.requests


def test_settings_of_each(world: World) -> None:
    """What is asked for is what the tenant's own settings say."""
    url = world.host.browser().code(domain="globex.example").get_json()["authorization_url"]
    assert parse_qs(urlsplit(url).query)["audience"] == ["globex-api"]
    asked = world.host.browser().code(domain="acme.example", audience="globex-api")
    check_problem(asked, "parameter-foreign", field="$.audience")


def test_two_registrations_at_one_tenant(make_world: MakeWorld) -> None:
    """Two clients of one tenant are told apart by their ids, also when tokens are refreshed."""
    tenants = {**settings_of("acme"), "staff": {"domain": "acme.example", "client_id": "staff"}}
    world = make_world(PKCE_TENANTS=tenants)
    common = world.host.callback_url
    world.acme.register("staff", redirect_uris=[f"{common}/staff"], client_secret=None)
    browser = world.host.browser()
    _, url = browser.begin(domain="acme.example", client_id="staff")
    assert parse_qs(urlsplit(url).query)["client_id"] == ["staff"]
    deliver(browser, world.acme.sign_in(url))
    assert browser.token().get_json()["auth0"]["client"] == "staff"
    sign_in(world, browser, world.acme, "bob")
    grants = world.host.session_of(browser).value.grants
    assert [(grant.tenant, grant.client_id) for grant in grants] == [
        ("staff", "staff"),
        ("acme", "local-client"),
    ]
    for grant in grants:
        # The tenant takes a refresh token from the client alone that it was issued to.
        answer = browser.token(grant_type="refresh_token", refresh_token=grant.refresh_token)
        assert answer.get_json()["auth0"]["client"] == grant.client_id
    check_problem(browser.code(domain="acme.example", client_id="x"), "parameter-foreign")


def test_state_that_was_sent_elsewhere(world: World) -> None:
    """A flow keeps its tenant, whatever its state is sent with later."""
    browser = world.host.browser()
    state, url = browser.begin(domain="acme.example")
    assert browser.code(state=state).get_json()["authorization_url"] == url
    assert browser.code(state=state, domain=ACME).get_json()["authorization_url"] == url
    other = browser.code(state=state, domain="globex.example")
    check_problem(other, "flow-parameters-differ", field="$.domain")
    nobody = browser.code(state=state, domain="evil.example")
    check_problem(nobody, "parameter-foreign", field="$.domain")


# -- mix-up --------------------------------------------------------------------------


@pytest.mark.requirement("BC-4", "BC-19", "N50", "T4")
def test_callbacks(world: World) -> None:
    """Each named tenant has a callback of its own, whether it announces iss or not."""
    browser, common = world.host.browser(), world.host.callback_url
    for tenant, expected in (
        (world.default, common),
        (world.acme, f"{common}/acme"),
        (world.globex, f"{common}/globex"),
    ):
        _, url = browser.begin(domain=tenant.domain)
        assert redirect_uri(url) == expected
    refused = browser.code(domain="acme.example", redirect_uri=common)
    check_problem(refused, "parameter-foreign", field="$.redirect_uri")
    own = browser.code(domain="acme.example", redirect_uri=f"{common}/acme")
    assert own.get_json()["seed"]["redirect_uri"] == f"{common}/acme"


@pytest.mark.requirement("BC-4", "BC-5", "BC-19", "N50", "T4")
@pytest.mark.parametrize("mode", ["form_post", "query"])
@pytest.mark.parametrize("where", [CALLBACK, f"{CALLBACK}/globex", f"{CALLBACK}/unknown"])
def test_answer_at_the_wrong_callback(world: World, mode: str, where: str) -> None:
    """An answer that comes to another callback is refused, and no tenant gets its code."""
    browser = world.host.browser()
    state, url = browser.begin(domain="acme.example", response_mode=mode)
    answer = world.acme.sign_in(url)
    if mode == "query":
        query = "&".join(f"{name}={value}" for name, value in answer.params.items())
        refused = browser.open(f"{where}?{query}", site="cross-site")
    else:
        refused = deliver(browser, answer, path=where)
    check_page(refused, "answer-issuer-mismatch")
    assert world.host.status_of(browser, state) == "sent"
    assert world.asked() == [0, 0, 0]
    # The right one binds it still.
    assert "Signed in" in deliver(browser, answer).text


@pytest.mark.requirement("BC-4", "N48", "N50", "T4")
def test_mix_up_at_a_tenant_with_its_own_callback(world: World) -> None:
    """An evil tenant sends the browser on to an honest one, to get at its code: it gets nothing.

    The honest one sends its answer to an address that is registered there, and the flow was sent
    to another.
    """
    browser = world.host.browser()
    state, evil_url = browser.begin(domain="acme.example")
    query = urlsplit(evil_url).query
    honest = f"{world.default.issuer}authorize?{query}"
    # The address of the evil tenant is not registered at the honest one.
    forwarded = honest.replace("%2Facme&", "&")
    answer = world.default.sign_in(forwarded)
    check_page(deliver(browser, answer), "answer-issuer-mismatch")
    assert world.host.status_of(browser, state) == "sent"
    assert world.asked() == [0, 0, 0]


@pytest.mark.requirement("BC-4", "N48", "N49", "T4")
@pytest.mark.parametrize("iss", [None, "https://tenant.example/", ACME])
def test_mix_up_at_a_tenant_that_announces_iss(world: World, iss: str | None) -> None:
    """Without iss, or with another's, no answer is taken for one of a tenant that announces it."""
    browser = world.host.browser()
    state, url = browser.begin(domain="globex.example")
    honest = f"{world.default.issuer}authorize?{urlsplit(url).query}"
    # As if the evil tenant had a part in the registration there, too.
    world.default.register(redirect_uris=[f"{world.host.callback_url}/globex"])
    answer = world.default.sign_in(honest)
    code = "answer-issuer-missing" if iss is None else "answer-issuer-mismatch"
    check_page(deliver(browser, answer, iss=iss), code)
    assert world.host.status_of(browser, state) == "sent"
    assert world.asked() == [0, 0, 0]


# -- metadata that change while a flow is under way ------------------------------------


def two_workers(make_world: MakeWorld, store: str, **settings: Any) -> tuple[World, World]:
    """Two workers over one store; in the metadata that the second has, globex withdrew iss."""
    first = make_world(PKCE_STORE_URL=store, **settings)
    second = make_world(PKCE_STORE_URL=store, **settings)
    second.globex._provider.sends_iss = False
    return first, second


def refreshed(make_world: MakeWorld, store: str, **settings: Any) -> tuple[World, World]:
    """One worker, whose tenant globex withdraws iss once its flow is sent."""
    world = make_world(PKCE_STORE_URL=store, **settings)
    return world, world


MakeWorkers = Callable[..., tuple[World, World]]


@pytest.fixture(params=[two_workers, refreshed], ids=["two workers", "a refresh"])
def make_workers(
    request: pytest.FixtureRequest, make_world: MakeWorld, tmp_path: Path
) -> MakeWorkers:
    """Make the worker that sends a flow, and the one that its answer reaches."""

    def make(**settings: Any) -> tuple[World, World]:
        workers: tuple[World, World] = request.param(
            make_world, f"sqlite:///{tmp_path}/pkce.db", **settings
        )
        return workers

    return make


def move(browser: Browser, sent_by: World, reached: World) -> None:
    """Let globex withdraw iss, and another worker answer the browser."""
    sent_by.globex._provider.sends_iss = False
    sent_by.host.clock.advance(601)
    reached.host.relying_party.tenants.select("globex.example").get()
    browser.client.application = reached.host.app


@pytest.mark.requirement("BC-4", "N48", "N50", "T4")
@pytest.mark.parametrize("mode", ["form_post", "query"])
@pytest.mark.parametrize(
    ("delivery", "elsewhere"),
    [("caller", None), ("session", None), ("caller", "https://other.example/done")],
)
def test_tenant_that_withdraws_iss(
    make_workers: MakeWorkers, mode: str, elsewhere: str | None, delivery: str
) -> None:
    """What a flow expects is fixed when it is sent: no other tenant's code goes to its tenant.

    An evil tenant announces iss, sends the browser on to an honest one, and withdraws iss before
    the answer of that arrives.  So it is for a flow that was sent to another redirect URI, too.
    """
    tenants = settings_of("acme", "globex")
    if elsewhere is not None:
        tenants["globex"]["redirect_uris"] = elsewhere
    sent_by, reached = make_workers(
        PKCE_TENANTS=tenants, PKCE_TOKEN_DELIVERY=delivery, PKCE_FLOW_LIFETIME=3600
    )
    browser = sent_by.host.browser()
    asked = {"domain": "globex.example", "response_mode": mode}
    if elsewhere is not None:
        asked["redirect_uri"] = elsewhere
    evil_url = browser.code(**asked).get_json()["authorization_url"]
    query = dict(parse_qsl(urlsplit(evil_url).query))
    # The honest tenant knows the common callback alone.
    forwarded = urlencode({**query, "redirect_uri": sent_by.host.callback_url})
    answer = sent_by.default.sign_in(f"{sent_by.default.issuer}authorize?{forwarded}")
    move(browser, sent_by, reached)
    for path in (CALLBACK, f"{CALLBACK}/acme", f"{CALLBACK}/globex"):
        if mode == "query":
            refused = browser.open(f"{path}?{urlencode(answer.params)}", site="cross-site")
        else:
            refused = deliver(browser, answer, path=path)
        code = "answer-issuer-mismatch"
        if path == f"{CALLBACK}/globex" and elsewhere is None:
            # Where it was owed, it is owed still.
            code = "answer-issuer-missing"
        check_page(refused, code)
    assert reached.host.status_of(browser, query["state"]) == "sent"
    assert [sum(each) for each in zip(sent_by.asked(), reached.asked(), strict=True)] == [0, 0, 0]


@pytest.mark.requirement("BC-4", "T4")
def test_tenant_that_withdraws_iss_in_good_faith(make_workers: MakeWorkers) -> None:
    """An iss that is owed no more is compared all the same; later sign-ins owe none."""
    sent_by, reached = make_workers(PKCE_FLOW_LIFETIME=3600)
    browser = sent_by.host.browser()
    _, url = browser.begin(domain="globex.example")
    answer = sent_by.globex.sign_in(url)
    move(browser, sent_by, reached)
    check_page(deliver(browser, answer, iss=ACME), "answer-issuer-mismatch")
    assert "Signed in" in deliver(browser, answer).text
    _, url = browser.begin(domain="globex.example")
    wrong = reached.globex.sign_in(url)
    check_page(deliver(browser, wrong, iss=ACME), "answer-issuer-mismatch")
    assert "Signed in" in deliver(browser, wrong).text


@pytest.mark.requirement("BC-4", "T4")
def test_refused_answer_changes_nothing(world: World) -> None:
    """An answer that is not bound renews no cookie, so that the tab of the sign-in goes on."""
    browser = world.host.browser()
    _, url = browser.begin(domain="acme.example")
    answer = world.acme.sign_in(url)
    before = browser.cookie
    refused = deliver(browser, answer, path=CALLBACK)
    check_page(refused, "answer-issuer-mismatch")
    assert "Set-Cookie" not in refused.headers
    assert browser.cookie == before
    assert "Signed in" in deliver(browser, answer).text
    assert browser.cookie != before


@pytest.mark.requirement("N51", "T4")
def test_error_at_the_wrong_callback(world: World) -> None:
    """Nor does an error that comes to another callback end the sign-in."""
    browser = world.host.browser()
    state, url = browser.begin(domain="acme.example")
    answer = world.acme.sign_in(url, cancel=True)
    check_page(deliver(browser, answer, path=CALLBACK), "answer-issuer-mismatch")
    assert world.host.status_of(browser, state) == "sent"


def test_program_that_passes_on(world: World, make_world: MakeWorld) -> None:
    """A program of the local session, too, brings an answer to where it was sent."""
    world = make_world(PKCE_LOCAL_SESSION=True)
    program = world.host.program()
    state, url = program.begin(domain="acme.example")
    params = world.acme.sign_in(url).params
    check_problem(program.respond(**params), "answer-issuer-mismatch")
    bound = program.send("POST", f"{CALLBACK}/acme", data=params)
    assert bound.get_json()["result"]["state"] == state
    assert program.code(state=state).get_json()["result"]["code"] == params["code"]
    assert program.token(redirect_uri=f"{world.host.callback_url}/acme").status_code == 200
    assert world.asked() == [0, 1, 0]


@pytest.mark.parametrize("name", ["a.b", "a" * 65, "%20"])
def test_callback_of_no_name(world: World, name: str) -> None:
    """A callback of what cannot be a tenant's name does not exist."""
    refused = world.host.browser().open(f"{CALLBACK}/{name}?code=c&state=s", site="cross-site")
    check_page(refused, "tenant-unknown")


def test_with_one_tenant_there_is_one_callback(host: Host, browser: Browser) -> None:
    """With one tenant no other callback exists: the path is the host's."""
    answer = browser.client.get(f"{CALLBACK}/acme?code=c&state=s")
    assert answer.status_code == 404
    _, url = browser.begin()
    assert redirect_uri(url) == host.callback_url


def test_url_that_the_caller_builds(world: World) -> None:
    """Who builds the URL itself is at the default tenant, and its answer comes from there."""
    browser = world.host.browser()
    challenge = browser.challenge()
    url = (
        f"{world.default.issuer}authorize?response_type=code&client_id=local-client"
        f"&redirect_uri={world.host.callback_url}&scope=openid&response_mode=form_post"
        f"&state={challenge['state']}&nonce={challenge['nonce']}"
        f"&code_challenge={challenge['challenge']}&code_challenge_method=S256"
    )
    answer = world.default.sign_in(url)
    check_page(deliver(browser, answer, path=f"{CALLBACK}/acme"), "answer-issuer-mismatch")
    assert "Signed in" in deliver(browser, answer).text
    assert browser.token().status_code == 200
    assert world.asked() == [1, 0, 0]


def test_no_url_that_the_caller_builds(make_world: MakeWorld) -> None:
    """Without PKCE_DOMAIN no caller can build a URL: no answer binds to a flow that was started.

    The first named tenant is the default of new flows, and keeps its own callback; the common one
    is no redirect URI of any request.
    """
    world = make_world(PKCE_DOMAIN=None, PKCE_CLIENT_ID=None)
    browser, common = world.host.browser(), world.host.callback_url
    challenge = browser.challenge()
    assert not world.acme.requests
    url = (
        f"{world.acme.issuer}authorize?response_type=code&client_id=local-client"
        f"&redirect_uri={common}/acme&scope=openid&response_mode=form_post"
        f"&state={challenge['state']}&nonce={challenge['nonce']}"
        f"&code_challenge={challenge['challenge']}&code_challenge_method=S256"
    )
    answer = world.acme.sign_in(url)
    check_page(deliver(browser, answer), "answer-issuer-mismatch")
    posted = browser.open(CALLBACK, site="cross-site", method="POST", data=answer.params)
    check_page(posted, "tenant-unknown")
    check_page(browser.open(f"{CALLBACK}?code=c&state=s", site="cross-site"), "tenant-unknown")
    assert world.host.status_of(browser, challenge["state"]) == "started"
    check_problem(browser.token(code="c"), "session-mismatch")
    check_problem(browser.token(code_verifier=challenge["verifier"]), "authorization-pending")
    _, url = browser.begin()
    assert redirect_uri(url) == f"{common}/acme"
    assert "Signed in" in deliver(browser, world.acme.sign_in(url)).text
    assert browser.token().get_json()["auth0"]["domain"] == "acme.example"
    assert world.asked() == [0, 1, 0]


# -- two at once ---------------------------------------------------------------------


@pytest.mark.requirement("BC-5", "T4")
@pytest.mark.parametrize("first", ["acme", "globex"])
def test_two_tenants_in_two_tabs(world: World, first: str) -> None:
    """Two tabs sign in with two tenants at once; each code goes to its own."""
    browser = world.host.browser()
    flows = {
        name: browser.begin(domain=tenant.domain)
        for name, tenant in (("acme", world.acme), ("globex", world.globex))
    }
    order = [first, *(flows.keys() - {first})]
    for name in order:
        tenant: LocalTenant = getattr(world, name)
        assert "Signed in" in deliver(browser, tenant.sign_in(flows[name][1])).text
    assert world.asked() == [0, 0, 0]
    domains = [browser.token().get_json()["auth0"]["domain"] for _ in order]
    # The newest flow first.
    assert domains == ["globex.example", "acme.example"]
    assert world.asked() == [0, 1, 1]


def test_two_tenants_at_one_moment(make_app: MakeApp, make_tenant: MakeTenant) -> None:
    """A flow that another request sends to another tenant at this moment stays there."""
    pkce = PKCEBlueprint()
    host = make_app(blueprint=pkce, PKCE_TENANTS=settings_of("acme", "globex"))
    connect(host, make_tenant(ACME), make_tenant(GLOBEX, sends_iss=True))
    browser = host.browser()
    state = browser.challenge()["state"]
    others = [lambda: browser.code(state=state, domain="globex.example")]

    def meanwhile(_: object) -> None:
        if others:
            assert others.pop()().status_code == 200

    pkce._hooks.before_authorize.append(meanwhile)
    answer = browser.code(state=state, domain="acme.example")
    check_problem(answer, "flow-parameters-differ", field="$.domain")


def test_doctor(world: World) -> None:
    """The doctor looks at each tenant, and asks each for the callback that is its own."""
    rows = [
        finding
        for finding in examine(world.host.app, address="http://localhost")
        if finding.check == "callback"
    ]
    assert [(row.verdict, row.text.partition(":")[0]) for row in rows] == [
        (Verdict.RIGHT, world.default.domain),
        (Verdict.RIGHT, "acme"),
        (Verdict.RIGHT, "globex"),
    ], rows
    assert "/pkce/response/code/acme" in rows[1].text
    assert "/pkce/response/code/globex" in rows[2].text


@pytest.mark.requirement("BC-5", "T26")
def test_two_tenants_in_one_session(world: World) -> None:
    """A session holds sign-ins of two tenants; the older one is refreshed at its own."""
    browser = world.host.browser()
    older = sign_in(world, browser, world.acme)["auth0"]["oAuth"]["token"]["refresh_token"]
    newer = sign_in(world, browser, world.globex, "bob")["auth0"]
    assert (newer["domain"], newer["audience"]) == ("globex.example", "globex-api")
    answer = browser.token(grant_type="refresh_token", refresh_token=older).get_json()
    assert answer["auth0"]["domain"] == "acme.example"
    assert answer["auth0"]["audience"] == f"{ACME}userinfo"
    assert answer["auth0"]["user"]["user_id"] == "auth0|alice"
    assert world.asked() == [0, 2, 1]
    answer = browser.token(grant_type="refresh_token").get_json()
    assert answer["auth0"]["user"]["user_id"] == "auth0|bob"
    assert world.asked() == [0, 2, 2]


def test_step_up_at_the_same_tenant(make_world: MakeWorld) -> None:
    """Who must authenticate again does so where the sign-in was, and by that client."""
    blueprint = PKCEBlueprint()
    world = make_world(blueprint=blueprint, PKCE_TOKEN_DELIVERY="session")
    host = world.host
    host.app.add_url_rule("/now", view_func=blueprint.login_required(max_age=5)(lambda: "now"))
    for tenant in (world.acme, world.default):
        browser = host.browser()
        sent = browser.code(domain=tenant.domain).get_json()
        deliver(browser, tenant.sign_in(sent["authorization_url"]))
        host.clock.advance(100)
        refused = browser.client.get("/now", base_url=host.address, headers=NAVIGATION)
        link = refused.headers["Location"]
        assert ("domain=acme.example" in link) == (tenant is world.acme)
        again = browser.open(link).headers["Location"]
        assert again.startswith(tenant.issuer)
        deliver(browser, tenant.sign_in(again))
        assert browser.client.get("/now", base_url=host.address).text == "now"
        user = browser.client.get("/pkce/user", base_url=host.address)
        assert user.get_json()["iss"] == tenant.issuer


def test_client_of_another_tenant(world: World) -> None:
    """What a token request says is compared to the tenant of its flow."""
    browser = world.host.browser()
    _, url = browser.begin(domain="acme.example")
    deliver(browser, world.acme.sign_in(url))
    for body in ({"client_id": "x"}, {"audience": "globex-api"}):
        check_problem(browser.token(**body), "parameter-foreign", field=f"$.{next(iter(body))}")
    other = f"{world.host.callback_url}/globex"
    check_problem(browser.token(redirect_uri=other), "parameter-foreign", field="$.redirect_uri")
    common = browser.token(redirect_uri=world.host.callback_url)
    check_problem(common, "parameter-foreign", field="$.redirect_uri")
    assert browser.token(client_id="local-client").status_code == 200


@pytest.mark.requirement("RV-3")
def test_clear(world: World) -> None:
    """Each refresh token is revoked at the tenant that issued it."""
    browser = world.host.browser()
    sign_in(world, browser, world.acme)
    sign_in(world, browser, world.globex)
    assert browser.clear().status_code == 204
    counts = [t.count("POST", "/oauth/revoke") for t in (world.default, world.acme, world.globex)]
    assert counts == [0, 1, 1]


def test_tenant_that_is_down(make_world: MakeWorld) -> None:
    """While one tenant is down the others work; its answers wait until it is back."""
    world = make_world(PKCE_TOKEN_DELIVERY="session")
    browser = world.host.browser()
    url = browser.code(domain="acme.example").get_json()["authorization_url"]
    answer = world.acme.sign_in(url)
    posted = browser.open(
        urlsplit(answer.url).path, site="cross-site", method="POST", data=answer.params
    )
    world.host.clock.advance(59)
    # As in a worker that has not asked for the metadata yet.
    world.host.relying_party.tenants.select("acme.example")._metadata._value = None
    world.acme.faults.add("unreachable")
    # The answer is bound, by what its flow stores; its code cannot be redeemed yet.
    check_page(browser.follow(posted), "tenant-unreachable")
    assert world.host.status_of(browser, answer.params["state"]) == "bound"
    assert "tenant.example" in browser.code().get_json()["authorization_url"]
    world.acme.faults.discard("unreachable")
    world.host.clock.advance(59)
    assert browser.follow(posted).headers["Location"] == "/"
    assert world.host.status_of(browser, answer.params["state"]) == "done"


def test_tickets_that_lead_nowhere(world: World) -> None:
    """A ticket that is no more, or another browser's, is answered as with one tenant."""
    browser = world.host.browser()
    check_page(browser.open(f"{CALLBACK}/acme?ticket=x", site="cross-site"), "ticket-spent")
    _, url = browser.begin(domain="acme.example")
    answer = world.acme.sign_in(url)
    check_page(deliver(world.host.browser(), answer), "cookies-blocked")


# -- a tenant that is removed ----------------------------------------------------------


def without(make_world: MakeWorld, before: World, *names: str, **settings: Any) -> World:
    """The same host, started anew with other tenants."""
    after = make_world(PKCE_TENANTS=settings_of(*names), **settings)
    after.host.store._entries = before.host.store._entries
    return after


@pytest.mark.requirement("T26")
def test_removed_with_a_flow_under_way(world: World, make_world: MakeWorld) -> None:
    """An answer of a tenant that was removed is refused, and its code goes nowhere."""
    browser = world.host.browser()
    state, url = browser.begin(domain="acme.example")
    answer = world.acme.sign_in(url)
    after = without(make_world, world, "globex")
    same = after.host.browser()
    same.client = browser.client
    same.client.application = after.host.app
    check_page(deliver(same, answer), "state-of-other-tenant")
    check_problem(same.code(state=state), "state-of-other-tenant")
    assert after.asked() == [0, 0, 0]


@pytest.mark.requirement("T26")
def test_removed_with_somebody_signed_in(world: World, make_world: MakeWorld) -> None:
    """Tokens of a tenant that was removed are neither refreshed nor sent to another."""
    browser = world.host.browser()
    token = sign_in(world, browser, world.acme)["auth0"]["oAuth"]["token"]["refresh_token"]
    after = without(make_world, world, "globex")
    browser.client.application = after.host.app
    refused = browser.token(grant_type="refresh_token", refresh_token=token)
    check_problem(refused, "refresh-token-unknown")
    assert browser.clear().status_code == 204
    assert after.asked() == [0, 0, 0]
    assert after.default.count("POST", "/oauth/revoke") == 0


def test_removed_with_delivery_to_the_session(make_world: MakeWorld) -> None:
    """Who signed in at a tenant that was removed is not signed in any more."""
    world = make_world(PKCE_TOKEN_DELIVERY="session")
    browser = world.host.browser()
    sent = browser.code(domain="acme.example").get_json()
    answer = world.acme.sign_in(sent["authorization_url"])
    assert deliver(browser, answer).headers["Location"] == "/"
    assert browser.send("GET", "/pkce/user").get_json()["iss"] == ACME
    assert browser.token().get_json()["auth0"]["domain"] == "acme.example"
    check_problem(browser.token(client_id="x"), "parameter-foreign", field="$.client_id")
    after = without(make_world, world, "globex", PKCE_TOKEN_DELIVERY="session")
    browser.client.application = after.host.app
    check_problem(browser.send("GET", "/pkce/user"), "not-signed-in")
    check_problem(browser.token(), "code-spent")


def test_renamed(world: World, make_world: MakeWorld) -> None:
    """A tenant that got another name is the same: domain and client id say so."""
    browser = world.host.browser()
    token = sign_in(world, browser, world.acme)["auth0"]["oAuth"]["token"]["refresh_token"]
    tenants = {"road-runner": settings_of("acme")["acme"]}
    after = make_world(PKCE_TENANTS=tenants)
    after.host.store._entries = world.host.store._entries
    world.acme.mount(after.host.relying_party.transport.session)
    browser.client.application = after.host.app
    answer = browser.token(grant_type="refresh_token", refresh_token=token)
    assert answer.get_json()["auth0"]["domain"] == "acme.example"


# -- how each authenticates ----------------------------------------------------------


def test_each_has_its_own_authentication(make_world: MakeWorld) -> None:
    """One pushes, with a secret; one signs, with a key; the default is public: none inherits."""
    key, secret = ec_key(), "a secret of acme's"
    tenants: dict[str, dict[str, Any]] = {**settings_of("acme", "globex")}
    tenants["acme"] |= {"client_secret": secret, "par": "always"}
    tenants["globex"] |= {"client_key": {**key.as_dict(private=True), "kid": "ours"}}
    world = make_world(PKCE_TENANTS=tenants)
    world.acme.register(client_secret=secret)
    world.acme._provider.requires_par = True
    public_key = {**key.as_dict(private=False), "kid": "ours"}
    world.globex.register(jwks=[public_key], auth_method="private_key_jwt")
    for tenant in (world.default, world.acme, world.globex):
        sign_in(world, world.host.browser(), tenant)
    sent = [
        {field for each in tenant.requests for field in each.fields if field.startswith("client_")}
        for tenant in (world.default, world.acme, world.globex)
    ]
    assert sent == [
        {"client_id"},
        {"client_id", "client_secret"},
        {"client_id", "client_assertion", "client_assertion_type"},
    ]
    assert [t.count("POST", "/oauth/par") for t in (world.default, world.acme, world.globex)] == [
        0,
        1,
        0,
    ]


# -- tenants of the host's own -------------------------------------------------------


class Directory:
    """A host that keeps its tenants itself, and tells them by the query of a request."""

    def __init__(self) -> None:
        self.blueprint = PKCEBlueprint()
        self.rows: dict[str, dict[str, Any]] = {
            "acme": {"domain": "acme.example", "client_id": "local-client"},
            "globex": {"domain": GLOBEX, "client_id": "local-client"},
        }
        self.asked: list[str | None] = []
        self.blueprint.tenant_loader(self.load)

    def load(self, name: str | None) -> TenantSettings | str | None:
        self.asked.append(name)
        name = name or request.args.get("tenant")
        if name is None or name not in self.rows:
            return name
        return TenantSettings(name, **self.rows[name])


@pytest.fixture
def directory() -> Directory:
    return Directory()


@pytest.fixture
def loaded(make_world: MakeWorld, directory: Directory) -> World:
    """The host with the tenants of the directory, and none but these."""
    return make_world(
        PKCE_DOMAIN=None, PKCE_CLIENT_ID=None, PKCE_TENANTS=None, blueprint=directory.blueprint
    )


def begin_at(browser: Browser, name: str) -> str:
    """Begin a sign-in where the host is told the tenant."""
    answer = browser.post(f"/pkce/code?tenant={name}")
    assert answer.status_code == 200, answer.text
    url: str = answer.get_json()["authorization_url"]
    return url


def test_loaded(loaded: World, directory: Directory) -> None:
    """The host makes a tenant when a sign-in starts, and again for each step that it needs."""
    browser = loaded.host.browser()
    url = begin_at(browser, "acme")
    assert redirect_uri(url) == f"{loaded.host.callback_url}/acme"
    assert "Signed in" in deliver(browser, loaded.acme.sign_in(url)).text
    assert browser.token().get_json()["auth0"]["domain"] == "acme.example"
    assert browser.token(grant_type="refresh_token").status_code == 200
    assert directory.asked[0] is None
    assert set(directory.asked[1:]) == {"acme"}
    assert loaded.acme.count("GET", "/.well-known/openid-configuration") == 1


@pytest.mark.requirement("BC-4", "T4")
@pytest.mark.parametrize("has_default", [True, False])
def test_loaded_tenant_that_withdraws_iss(
    make_world: MakeWorld, directory: Directory, has_default: bool
) -> None:
    """So it is for tenants that the host makes, whichever it says when the answer arrives."""
    default = {} if has_default else {"PKCE_DOMAIN": None, "PKCE_CLIENT_ID": None}
    world = make_world(
        PKCE_TENANTS=None, PKCE_FLOW_LIFETIME=3600, blueprint=directory.blueprint, **default
    )
    browser = world.host.browser()
    evil_url = begin_at(browser, "globex")
    assert redirect_uri(evil_url) == f"{world.host.callback_url}/globex"
    query = dict(parse_qsl(urlsplit(evil_url).query))
    forwarded = urlencode({**query, "redirect_uri": f"{world.host.callback_url}/acme"})
    answer = world.acme.sign_in(f"{ACME}authorize?{forwarded}")
    world.globex._provider.sends_iss = False
    world.host.clock.advance(601)
    begin_at(world.host.browser(), "globex")
    for path, code in (
        (f"{CALLBACK}/acme", "answer-issuer-mismatch"),
        (f"{CALLBACK}/acme?tenant=globex", "answer-issuer-mismatch"),
        (f"{CALLBACK}/globex", "answer-issuer-missing"),
    ):
        check_page(deliver(browser, answer, path=path), code)
    assert world.asked() == [0, 0, 0]


@pytest.mark.requirement("BC-4", "T4")
def test_default_tenant_is_fixed_when_a_flow_is_started(
    make_world: MakeWorld, directory: Directory
) -> None:
    """A flow whose caller builds the URL is at PKCE_DOMAIN, whichever the host says later."""
    world = make_world(PKCE_TENANTS=None, blueprint=directory.blueprint)
    browser = world.host.browser()
    challenge = browser.send("GET", "/pkce/challenge?tenant=globex").get_json()["challenge"]
    assert not world.globex.requests
    url = (
        f"{world.default.issuer}authorize?response_type=code&client_id=local-client"
        f"&redirect_uri={world.host.callback_url}&scope=openid&response_mode=form_post"
        f"&state={challenge['state']}&nonce={challenge['nonce']}"
        f"&code_challenge={challenge['challenge']}&code_challenge_method=S256"
    )
    answer = world.default.sign_in(url)
    bound = deliver(browser, answer, path=f"{CALLBACK}?tenant=globex")
    assert "Signed in" in bound.text
    assert browser.post("/pkce/token?tenant=globex").status_code == 200
    assert world.asked() == [1, 0, 0]


def test_step_up_where_the_host_says_no_tenant(
    make_world: MakeWorld, directory: Directory
) -> None:
    """The link is as for anybody else: only the host could say where it leads."""
    world = make_world(
        PKCE_DOMAIN=None,
        PKCE_CLIENT_ID=None,
        PKCE_TENANTS=None,
        PKCE_TOKEN_DELIVERY="session",
        blueprint=directory.blueprint,
    )
    guard = directory.blueprint.login_required(max_age=5)
    world.host.app.add_url_rule("/now", view_func=guard(lambda: "now"))
    browser = world.host.browser()
    url = browser.submit("/pkce/code?tenant=acme").headers["Location"]
    deliver(browser, world.acme.sign_in(url))
    world.host.clock.advance(100)
    refused = browser.client.get("/now", base_url=world.host.address, headers=NAVIGATION)
    assert refused.headers["Location"] == "/pkce/login?return_to=%2Fnow&max_age=5"


def test_loaded_by_a_button(loaded: World) -> None:
    """A login button needs nothing but the address that it posts to."""
    sent = loaded.host.browser().submit("/pkce/code?tenant=globex")
    assert sent.headers["Location"].startswith(f"{GLOBEX}authorize?")


def test_doctor_and_the_loader(loaded: World, directory: Directory) -> None:
    """Tenants of the host's own are looked at by name; those that cannot be made are told."""

    def look(*tenants: str) -> list[Finding]:
        findings = examine(loaded.host.app, tenants=tenants, address="http://localhost")
        return [each for each in findings if each.check in {"discovery", "callback"}]

    unnamed = look()
    assert [(row.check, row.verdict) for row in unnamed] == [("discovery", Verdict.SKIPPED)]
    assert "--tenant" in unnamed[0].text
    assert [row.verdict for row in look("acme")] == [Verdict.RIGHT, Verdict.RIGHT]
    directory.rows["globex"].pop("client_id")
    rows = look("globex", "nobody", "acme")
    assert [(row.verdict, row.text.partition(":")[0]) for row in rows] == [
        (Verdict.WRONG, "globex"),
        (Verdict.WRONG, "nobody"),
        (Verdict.RIGHT, f"The metadata is at {loaded.acme.issuer.partition(':')[0]}"),
        (Verdict.RIGHT, rows[-1].text.partition(":")[0]),
    ], rows
    assert "client_id is missing" in rows[0].text


def test_doctor_and_a_loader_that_wants_a_request(make_world: MakeWorld) -> None:
    """What the host's own function raises is a row of the table."""
    blueprint = PKCEBlueprint()
    blueprint.tenant_loader(lambda name: request.args.get("tenant"))
    app = make_world(blueprint=blueprint).host.app
    (row,) = (each for each in examine(app, tenants=["nobody"]) if each.check == "discovery")
    assert (row.verdict, row.text) == (
        Verdict.WRONG,
        "nobody: the tenant_loader raised RuntimeError.",
    )


def test_domain_where_the_host_says_the_tenant(loaded: World) -> None:
    """A caller's domain must name the tenant that the host says."""
    browser = loaded.host.browser()
    good = browser.post("/pkce/code?tenant=acme", {"domain": "acme.example"})
    assert good.status_code == 200
    other = browser.post("/pkce/code?tenant=acme", {"domain": "globex.example"})
    check_problem(other, "parameter-foreign", field="$.domain")


def test_nobody_says_the_tenant(loaded: World) -> None:
    """Where there is no tenant, nobody can sign in."""
    browser = loaded.host.browser()
    check_problem(browser.code(), "tenant-unknown")
    check_problem(browser.post("/pkce/code?tenant=unknown"), "tenant-unknown")
    check_problem(browser.code(domain="acme.example"), "parameter-foreign", field="$.domain")


def test_name_of_a_configured_tenant(make_world: MakeWorld, directory: Directory) -> None:
    """The host names one of the settings, or says nothing, and it is the default one."""
    directory.rows = {}
    world = make_world(blueprint=directory.blueprint)
    browser = world.host.browser()
    assert begin_at(browser, "globex").startswith(GLOBEX)
    assert browser.code().get_json()["auth0"]["domain"] == "tenant.example"
    assert browser.code(domain="acme.example").get_json()["auth0"]["domain"] == "acme.example"


def test_loaded_tenant_that_is_gone(loaded: World, directory: Directory) -> None:
    """Where the host makes the tenant of a sign-in no more, that is over."""
    browser = loaded.host.browser()
    answer = loaded.acme.sign_in(begin_at(browser, "acme"))
    row = directory.rows.pop("acme")
    check_page(deliver(browser, answer), "state-of-other-tenant")
    directory.rows["acme"] = {**row, "client_id": "another"}
    check_page(deliver(browser, answer), "state-of-other-tenant")
    directory.rows["acme"] = row
    assert "Signed in" in deliver(browser, answer).text
    assert loaded.asked() == [0, 0, 0]


@pytest.mark.requirement("BC-5", "T26")
@pytest.mark.parametrize("is_configured", [True, False])
def test_loaded_beside_a_configured_one(
    make_world: MakeWorld, directory: Directory, is_configured: bool
) -> None:
    """What the host demands of a tenant counts, though another is at the same address."""
    directory.rows["acme"] |= {
        "allowed_organizations": ["org_acme"],
        "client_secret": "a secret of acme alone",
    }
    default = {"PKCE_DOMAIN": "acme.example", "PKCE_CLIENT_ID": "local-client"}
    world = make_world(
        **(default if is_configured else dict.fromkeys(default)),
        PKCE_TENANTS=None,
        PKCE_TOKEN_DELIVERY="session",
        blueprint=directory.blueprint,
    )
    world.acme.register(
        redirect_uris=[f"{world.host.callback_url}/acme"],
        client_secret="a secret of acme alone",
    )
    browser = world.host.browser()
    url = browser.submit("/pkce/code?tenant=acme").headers["Location"]
    answer = world.acme.sign_in(f"{url}&organization=org_evil")
    check_page(deliver(browser, answer), "id-token-invalid")
    (token_request,) = (each for each in world.acme.requests if each.path == "/oauth/token")
    assert "client_secret" in token_request.fields
    check_problem(browser.send("GET", "/pkce/user"), "not-signed-in")


def test_loaded_tenant_that_is_changed(loaded: World, directory: Directory) -> None:
    """A change of its settings is seen by the next sign-in."""
    browser = loaded.host.browser()
    begin_at(browser, "acme")
    directory.rows["acme"]["scope"] = "openid"
    url = begin_at(browser, "acme")
    assert parse_qs(urlsplit(url).query)["scope"] == ["openid"]


def test_loader_that_is_wrong(loaded: World, directory: Directory) -> None:
    """Settings that are no good are the operator's fault, and the answer says so."""
    directory.rows["acme"].pop("client_id")
    refused = loaded.host.browser().post("/pkce/code?tenant=acme")
    members = check_problem(refused, "tenant-misconfigured")
    assert members["detail"] == "tenant_loader: 'acme'.client_id is missing"


# -- domains of the host's own -----------------------------------------------------------


@pytest.mark.requirement("T26")
def test_tenant_by_the_host(make_world: MakeWorld) -> None:
    """Each domain of the application has its tenant, redirect URI and cookie."""
    hosts = {"shop.acme.example": "acme", "globex.example": "globex"}
    blueprint = PKCEBlueprint()

    @blueprint.tenant_loader
    def by_host(name: str | None) -> str | None:
        return hosts.get(request.host)

    world = make_world(
        blueprint=blueprint,
        PKCE_PUBLIC_URL="https://app.example",
        PKCE_FURTHER_PUBLIC_URLS=["https://shop.acme.example", "https://globex.example/shop"],
    )
    world.acme.register(redirect_uris=[f"https://shop.acme.example{CALLBACK}/acme"])
    expected = {
        "https://app.example": (world.default, f"https://app.example{CALLBACK}"),
        "https://shop.acme.example": (world.acme, f"https://shop.acme.example{CALLBACK}/acme"),
        "https://globex.example": (world.globex, f"https://globex.example/shop{CALLBACK}/globex"),
    }
    for address, (tenant, uri) in expected.items():
        world.host.address = address
        answer = world.host.browser().code().get_json()
        assert answer["authorization_url"].startswith(tenant.issuer)
        assert redirect_uri(answer["authorization_url"]) == uri
    world.host.address = "https://shop.acme.example"
    browser = world.host.browser()
    _, url = browser.begin()
    answer = world.acme.sign_in(url)
    posted = browser.open(
        urlsplit(answer.url).path, site="cross-site", method="POST", data=answer.params
    )
    assert posted.headers["Location"].startswith(f"https://shop.acme.example{CALLBACK}/acme?")
    assert "Signed in" in browser.follow(posted).text
    for address in ("https://evil.example", "https://app.example.evil.example"):
        world.host.address = address
        check_problem(world.host.browser().code(), "host-unknown")


@pytest.mark.requirement("T26")
def test_cookie_carried_to_another_host(make_world: MakeWorld) -> None:
    """Who signed in at one tenant's domain shows that cookie at another's in vain."""
    blueprint = PKCEBlueprint()
    hosts = {"acme.app.example": "acme", "globex.app.example": "globex"}
    blueprint.tenant_loader(lambda name: hosts.get(request.host))
    world = make_world(
        blueprint=blueprint,
        PKCE_TOKEN_DELIVERY="session",
        PKCE_PUBLIC_URL="https://globex.app.example",
        PKCE_FURTHER_PUBLIC_URLS=["https://acme.app.example", "https://app.example"],
    )
    for (name, tenant), other in (
        (("acme", world.acme), "globex"),
        (("globex", world.globex), "acme"),
    ):
        world.host.address = f"https://{name}.app.example"
        tenant.register(redirect_uris=[f"{world.host.address}{CALLBACK}/{name}"])
        browser = world.host.browser()
        deliver(browser, tenant.sign_in(browser.submit("/pkce/code").headers["Location"]))
        signed_in = browser.client.get("/pkce/user", base_url=world.host.address)
        assert signed_in.get_json()["iss"] == tenant.issuer
        cookie = f"__Host-pkce={browser.cookie}"
        stranger = world.host.app.test_client(use_cookies=False)
        for host in (f"{other}.app.example", "app.example"):
            refused = stranger.get(
                "/pkce/user", base_url=f"https://{host}", headers={"Cookie": cookie}
            )
            check_problem(refused, "not-signed-in")


# -- signed out by the tenant -------------------------------------------------------------


def test_back_channel_logout(make_world: MakeWorld) -> None:
    """A logout token ends what it names, by the keys of the tenant that it names as its own."""
    world = make_world(PKCE_TOKEN_DELIVERY="session", PKCE_BACKCHANNEL_LOGOUT=True)
    browser = world.host.browser()
    sent = browser.code(domain="acme.example").get_json()
    deliver(browser, world.acme.sign_in(sent["authorization_url"]))
    assert browser.send("GET", "/pkce/user").status_code == 200
    for token in ("x", "x.e30", "x.e30.x"):
        refused = browser.client.post("/pkce/logout/backchannel", data={"logout_token": token})
        assert refused.status_code == 400, token
    claims = {
        "iss": ACME,
        "aud": ["local-client"],
        "sub": "auth0|alice",
        "jti": "1",
        "iat": int(world.host.clock()),
        "exp": int(world.host.clock()) + 60,
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}},
    }
    key = world.acme._provider.keys._keys[-1]
    token = sign(claims, key, kid=key.kid, typ="logout+jwt")
    ended = browser.client.post("/pkce/logout/backchannel", data={"logout_token": token})
    assert ended.status_code == 200, ended.text
    assert browser.send("GET", "/pkce/user").status_code == 401


# -- several blueprints ----------------------------------------------------------------


@pytest.mark.requirement("BC-19", "T4")
def test_two_blueprints_with_different_tenants(make_app: MakeApp, make_tenant: MakeTenant) -> None:
    """Two blueprints of one application have a tenant each, and a session each."""
    app = Flask("host")
    staff = PKCEBlueprint("staff", config_prefix="STAFF_PKCE_")
    host = make_app(app=app)
    crew = make_app(
        app=app,
        blueprint=staff,
        url_prefix="/staff",
        STAFF_PKCE_DOMAIN=ACME,
        STAFF_PKCE_STORE_URL=host.store,
    )
    acme = make_tenant(ACME)
    acme.mount(crew.relying_party.transport.session)
    acme.register(redirect_uris=[crew.callback_url])
    browser, same = host.browser(), crew.browser()
    same.client = browser.client
    _, url = browser.begin()
    _, other_url = same.begin()
    assert other_url.startswith(ACME)
    assert "Signed in" in same.arrive(acme.sign_in(other_url, "bob")).text
    assert "Signed in" in browser.arrive(host.tenant.sign_in(url)).text
    assert same.token().get_json()["auth0"]["user"]["user_id"] == "auth0|bob"
    assert browser.token().get_json()["auth0"]["user"]["user_id"] == "auth0|alice"
    assert (host.token_requests, acme.count("POST", "/oauth/token")) == (1, 1)
    check_problem(browser.code(domain="acme.example"), "parameter-foreign", field="$.domain")
