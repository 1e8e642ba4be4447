"""What a caller asks for becomes an authorization request, within the settings."""

from __future__ import annotations

from typing import Any

import pytest

from flask_pkce.errors import (
    DeliveryRefused,
    FlowConflict,
    ParameterForeign,
    ParameterInvalid,
    RequestError,
    ScopeInvalid,
)
from flask_pkce.protocol.authorization import AuthorizationRequest, build_authorization_url
from flask_pkce.protocol.metadata import TenantMetadata
from flask_pkce.relying_party.authorization_request import (
    build_request,
    changed_by_hooks,
    check_same,
    check_seed,
)
from flask_pkce.sessions.flow import Flow, start_flow
from flask_pkce.settings.loading import read_settings
from flask_pkce.settings.model import Settings
from flask_pkce.web.models import SeededPKCE
from tests.support import (
    CALLBACK,
    CHALLENGE,
    CLIENT_ID,
    ELSEWHERE,
    EXPECTED,
    ISSUER,
    NOW,
    make_tenant,
)

TENANT = make_tenant()
FLOW = start_flow(state="s", nonce="n", randomness=bytes(32), now=NOW, lifetime=600)


def settings(**changes: Any) -> Settings:
    redirect_uris = None if "TOKEN_DELIVERY" in changes else ELSEWHERE
    config = {"DOMAIN": "tenant.example", "CLIENT_ID": CLIENT_ID, "REDIRECT_URIS": redirect_uris}
    return read_settings({f"PKCE_{k}": v for k, v in {**config, **changes}.items()})


def seed(additional: dict[str, str | int] | None = None, **members: Any) -> SeededPKCE:
    return SeededPKCE(additional=additional or {}, **members)


def check(asked: SeededPKCE, **changes: Any) -> None:
    read = settings(**changes)
    tenant = make_tenant(read.registrations[0])
    check_seed(asked, settings=read, tenant=tenant, callback_url=CALLBACK)


def build(asked: SeededPKCE, **changes: Any) -> AuthorizationRequest:
    check(asked, **changes)
    read = settings(**changes)
    tenant = make_tenant(read.registrations[0])
    return build_request(asked, FLOW, settings=read, tenant=tenant, callback_url=CALLBACK)


def tenant_of(**changes: Any) -> TenantMetadata:
    return make_tenant(settings(DOMAIN=ISSUER, **changes).registrations[0])


def build_for(asked: SeededPKCE, **changes: Any) -> AuthorizationRequest:
    """The request, at a tenant with settings of its own."""
    given, tenant = settings(), tenant_of(**changes)
    check_seed(asked, settings=given, tenant=tenant, callback_url=CALLBACK)
    return build_request(asked, FLOW, settings=given, tenant=tenant, callback_url=CALLBACK)


@pytest.mark.requirement("organization", "A0-21")
@pytest.mark.parametrize(
    ("changes", "asked", "sent"),
    [
        ({}, None, None),
        ({}, "org_9", "org_9"),
        ({"ORGANIZATION": "org_1"}, None, "org_1"),
        ({"ORGANIZATION": "org_1"}, "org_1", "org_1"),
        ({"ORGANIZATION": "org_1", "ALLOWED_ORGANIZATIONS": "acme"}, "acme", "acme"),
        ({"ALLOWED_ORGANIZATIONS": "org_1"}, None, None),
        ({"ALLOWED_ORGANIZATIONS": "org_1"}, "org_1", "org_1"),
    ],
)
def test_organization(changes: dict[str, str], asked: str | None, sent: str | None) -> None:
    """The organization is that of the caller, within the settings, else that of the settings."""
    assert build_for(seed(organization=asked), **changes).organization == sent


@pytest.mark.requirement("organization", "A0-21")
@pytest.mark.parametrize("name", ["ORGANIZATION", "ALLOWED_ORGANIZATIONS"])
@pytest.mark.parametrize("asked", ["org_2", "ORG_1", "other"])
def test_organization_that_is_not_allowed(name: str, asked: str) -> None:
    """Where organizations are configured, no other can be asked for."""
    with pytest.raises(ParameterForeign) as caught:
        build_for(seed(organization=asked), **{name: "org_1"})
    assert caught.value.field == "$.organization"


@pytest.mark.requirement("ID-12", "login_hint")
@pytest.mark.parametrize(
    ("demanded", "asked", "essential", "wished"),
    [
        (None, None, (), None),
        (None, "x y", (), "x y"),
        ("a b", None, ("a", "b"), None),
        ("a b", "b", ("b",), None),
        ("a b", " b  a ", ("b", "a"), None),
        ("a b", " ", ("a", "b"), None),
    ],
)
def test_contexts(
    demanded: str | None, asked: str | None, essential: tuple[str, ...], wished: str | None
) -> None:
    """A caller may choose among the contexts that are demanded; without those it may wish."""
    additional: dict[str, str | int] = {} if asked is None else {"acr_values": asked}
    request = build_for(seed(additional), ACR_VALUES=demanded)
    assert (request.acr_values, request.additional.get("acr_values")) == (essential, wished)
    if demanded is not None:
        assert request.parameters()["acr_values"] == " ".join(essential)


@pytest.mark.requirement("ID-12")
def test_contexts_that_are_not_demanded() -> None:
    """It may not choose another in their place."""
    with pytest.raises(ParameterForeign) as caught:
        build_for(seed({"acr_values": "a x"}), ACR_VALUES="a b")
    assert caught.value.field == "$.ADDITIONAL_PARAMETERS.acr_values"


def test_nothing_asked_for() -> None:
    """What a caller leaves out comes from the flow, then from the settings."""
    assert build(SeededPKCE(), AUDIENCE="api") == AuthorizationRequest(
        client_id=CLIENT_ID,
        redirect_uri=CALLBACK,
        scope=("openid", "profile", "email"),
        state="s",
        nonce="n",
        code_challenge=FLOW.code_challenge,
        response_mode="form_post",
        audience="api",
    )


def test_everything_asked_for() -> None:
    """What a caller asks for is honoured, within the settings."""
    asked = seed(
        {"login_hint": "alice", "max_age": 300, "ext-tenant": "x", "theme": "dark"},
        client_id=CLIENT_ID,
        redirect_uri=ELSEWHERE,
        scope=["openid", "read:users", "openid"],
        nonce="own",
        code_challenge=CHALLENGE,
        response_mode="query",
        audience="other",
        organization="org_1",
        invitation="i",
        prompt="login",
        screen_hint="signup",
    )
    allowed = {
        "ALLOWED_SCOPES": "read:users",
        "ALLOWED_AUDIENCES": "other",
        "ADDITIONAL_PARAMETERS": "theme",
    }
    assert build(asked, **allowed) == AuthorizationRequest(
        client_id=CLIENT_ID,
        redirect_uri=ELSEWHERE,
        scope=("openid", "read:users"),
        state="s",
        nonce="own",
        code_challenge=CHALLENGE,
        response_mode="query",
        audience="other",
        organization="org_1",
        invitation="i",
        prompt="login",
        screen_hint="signup",
        additional={
            "login_hint": "alice",
            "max_age": "300",
            "ext-tenant": "x",
            "theme": "dark",
        },
    )


def test_our_own_callback_is_always_allowed() -> None:
    """Our callback needs no place on the list."""
    assert build(seed(redirect_uri=CALLBACK)).redirect_uri == CALLBACK


def test_userinfo_endpoint_for_an_audience() -> None:
    """With no audience answers tell the userinfo endpoint; a client that sends it back asks for
    nothing."""
    assert build(seed(audience=f"{ISSUER}userinfo")).audience is None
    assert build(seed(audience=f"{ISSUER}userinfo"), AUDIENCE="api").audience == "api"


@pytest.mark.requirement(
    "client_id",
    "ext-*",
    "BC-21",
    "ID-23",
    "NA-3",
    "N03b",
    "N06h",
    "N07",
    "N07b",
    "AZ-2",
    "V1-1",
    "BB-7",
    "AV-3",
    "WC-2",
    "WC-3",
    "WC-9",
)
@pytest.mark.parametrize(
    ("asked", "field"),
    [
        pytest.param(seed(client_id="other"), "$.client_id", id="N06h client"),
        pytest.param(seed(redirect_uri=f"{CALLBACK}/"), "$.redirect_uri", id="N03b slash"),
        pytest.param(seed(redirect_uri=f"{CALLBACK}?a=b"), "$.redirect_uri", id="N03b query"),
        pytest.param(seed(redirect_uri=f"{CALLBACK}#a"), "$.redirect_uri", id="N03b fragment"),
        pytest.param(seed(redirect_uri=CALLBACK.upper()), "$.redirect_uri", id="N03b case"),
        pytest.param(
            seed(redirect_uri=ELSEWHERE.replace("5173", "5174")), "$.redirect_uri", id="N03b port"
        ),
        pytest.param(seed(redirect_uri="https://evil.example/"), "$.redirect_uri", id="host"),
        pytest.param(seed(scope=["openid", "admin"]), "$.scope", id="scope"),
        pytest.param(seed(audience="other"), "$.audience", id="audience"),
        pytest.param(seed({"theme": "x"}), "$.ADDITIONAL_PARAMETERS.theme", id="unknown"),
        pytest.param(seed({"state": "x"}), "$.ADDITIONAL_PARAMETERS.state", id="N07 state"),
        pytest.param(
            seed({"redirect_uri": "x"}), "$.ADDITIONAL_PARAMETERS.redirect_uri", id="N07 address"
        ),
        pytest.param(
            seed({"request_uri": "x"}), "$.ADDITIONAL_PARAMETERS.request_uri", id="N07b request"
        ),
        pytest.param(seed({"ext-": "x"}), "$.ADDITIONAL_PARAMETERS.ext-", id="bare extension"),
        pytest.param(
            seed({"ext-a b": "x"}), "$.ADDITIONAL_PARAMETERS.ext-a b", id="odd extension"
        ),
    ],
)
def test_foreign(asked: SeededPKCE, field: str) -> None:
    """What is not configured here is refused, by its field; the settings are not told."""
    with pytest.raises(ParameterForeign) as caught:
        check(asked)
    assert caught.value.field == field
    assert CLIENT_ID not in str(caught.value)


@pytest.mark.requirement("ID-1")
def test_scope_without_openid() -> None:
    """A scope without ``openid`` signs nobody in."""
    with pytest.raises(ScopeInvalid) as caught:
        check(seed(scope=["email"]))
    assert caught.value.error == "invalid_scope"


@pytest.mark.requirement("connection", "login_hint", "ID-23", "WC-9")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("access_type", "offline"),
        ("display", "popup"),
        ("connection", "google-oauth2"),
        ("login_hint", "älice@example.com"),
        ("ui_locales", "de fr-CA"),
        ("max_age", 0),
        ("max_age", "300"),
        ("acr_values", "http://schemas.openid.net/pape/policies/2007/06/multi-factor"),
        ("ext-Any_thing-1", "x"),
    ],
)
def test_additional_parameter(name: str, value: str | int) -> None:
    """The parameters on the closed list pass, with values that they may have."""
    assert build(seed({name: value})).additional == {name: str(value)}


@pytest.mark.requirement("connection", "login_hint", "ID-23", "N06", "WC-9")
@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("access_type", "always"),
        ("display", "hologram"),
        ("connection", "x" * 129),
        ("ui_locales", "de_DE"),
        ("max_age", "-1"),
        ("max_age", -1),
        ("max_age", "1.5"),
        ("max_age", "1" * 10),
        ("max_age", "٣"),
        ("acr_values", "é"),
    ],
)
def test_value_of_an_additional_parameter(name: str, value: str | int) -> None:
    """A value that a parameter may not have is refused (N06)."""
    with pytest.raises(ParameterInvalid) as caught:
        check(seed({name: value}))
    assert caught.value.field == f"$.ADDITIONAL_PARAMETERS.{name}"


@pytest.mark.requirement("correlation_id")
@pytest.mark.parametrize(
    "name", ["correlation_id", "session_transfer_token", "authorization_details"]
)
def test_parameter_that_the_host_lets_through(name: str) -> None:
    """What only some tenants know passes where the host names it, and not by itself."""
    with pytest.raises(ParameterForeign):
        check(seed({name: "x"}))
    built = build(seed({name: "x"}), ADDITIONAL_PARAMETERS=name)
    assert built.parameters()[name] == "x"


@pytest.mark.requirement("ext-*", "N88b", "WC-9")
def test_number_of_extensions() -> None:
    """At most ten extensions."""
    assert len(build(seed({f"ext-{number}": "x" for number in range(10)})).additional) == 10
    with pytest.raises(ParameterInvalid, match="more than 10"):
        check(seed({f"ext-{number}": "x" for number in range(11)}))


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (seed(code_challenge=CHALLENGE), "$.code_challenge"),
        (seed(nonce="own"), "$.nonce"),
        (seed(redirect_uri=CALLBACK), "$.redirect_uri"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_delivery_to_the_session(asked: SeededPKCE, field: str) -> None:
    """Where the server keeps the secrets, a caller brings none."""
    with pytest.raises(DeliveryRefused) as caught:
        check(asked, TOKEN_DELIVERY="session")
    assert caught.value.field == field
    check(SeededPKCE(), TOKEN_DELIVERY="session")


@pytest.mark.requirement("limits", "N88b")
@pytest.mark.parametrize(
    ("members", "fits"),
    [
        pytest.param({"organization": "x" * 2000, "audience": "x" * 500}, True, id="just"),
        pytest.param({"organization": "x" * 2000, "audience": "x" * 501}, False, id="one more"),
        pytest.param({"organization": "é" * 417}, False, id="counted as encoded"),
        pytest.param({"scope": ["openid", *["x" * 100] * 25]}, False, id="scopes"),
        pytest.param({"additional": {"ext-a": "x" * 2500}}, False, id="additional"),
    ],
)
def test_room_in_the_address(members: dict[str, Any], fits: bool) -> None:
    """What a caller asks for has to fit in the address, before a flow is begun for nothing."""
    allowed = {"ALLOWED_AUDIENCES": ["x" * 500, "x" * 501], "ALLOWED_SCOPES": ["x" * 100]}
    asked = SeededPKCE(**members)
    if fits:
        url = build_authorization_url(TENANT, build(asked, **allowed))
        assert len(url) < 4000
    else:
        with pytest.raises(ParameterInvalid, match="more than 2500 characters"):
            check(asked, **allowed)


# -- the same state again ----------------------------------------------------------


def sent(asked: SeededPKCE, **requested: str) -> Flow:
    return FLOW.send(
        build(asked), expected=EXPECTED, requested=requested, return_to=None, schema=None
    )


ASKED = seed({"login_hint": "alice", "max_age": 300}, scope=["openid", "email"], prompt="login")


def test_same_again() -> None:
    """Asking for the same, or for less, is no conflict."""
    flow = sent(ASKED)
    check_same(ASKED, flow, tenant=TENANT)
    check_same(SeededPKCE(), flow, tenant=TENANT)
    check_same(seed(scope=["openid", "email", "openid"]), flow, tenant=TENANT)
    check_same(seed(client_id=CLIENT_ID, redirect_uri=CALLBACK), flow, tenant=TENANT)
    check_same(seed(audience=f"{ISSUER}userinfo"), flow, tenant=TENANT)
    check_same(seed({"max_age": "300"}), flow, tenant=TENANT)


def test_flow_that_was_never_sent() -> None:
    """A flow whose caller built the URL itself has no parameters to compare."""
    check_same(ASKED, FLOW, tenant=TENANT)


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (seed(redirect_uri=ELSEWHERE), "$.redirect_uri"),
        (seed(scope=["openid"]), "$.scope"),
        (seed(nonce="other"), "$.nonce"),
        (seed(code_challenge=CHALLENGE), "$.code_challenge"),
        (seed(response_mode="query"), "$.response_mode"),
        (seed(audience="other"), "$.audience"),
        (seed(organization="org_1"), "$.organization"),
        (seed(invitation="i"), "$.invitation"),
        (seed(prompt="consent"), "$.prompt"),
        (seed(screen_hint="signup"), "$.screen_hint"),
        (seed({"login_hint": "bob"}), "$.ADDITIONAL_PARAMETERS.login_hint"),
        (seed({"connection": "x"}), "$.ADDITIONAL_PARAMETERS.connection"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_something_else_again(asked: SeededPKCE, field: str) -> None:
    """Asking for something else is a conflict, and names the field."""
    with pytest.raises(FlowConflict) as caught:
        check_same(asked, sent(ASKED), tenant=TENANT)
    assert caught.value.field == field


def test_what_a_hook_changed_is_no_conflict() -> None:
    """A caller who asks as before does not notice that a hook changed it."""
    original = build(ASKED)
    changed = original.replace(prompt="consent", audience="api", additional={"login_hint": "bob"})
    requested = changed_by_hooks(original, changed)
    assert requested == {"prompt": "login", "login_hint": "alice", "max_age": "300"}
    flow = FLOW.send(changed, expected=EXPECTED, requested=requested, return_to=None, schema=None)
    check_same(ASKED, flow, tenant=TENANT)
    with pytest.raises(FlowConflict):
        check_same(seed(prompt="consent"), flow, tenant=TENANT)


def test_nothing_changed_by_hooks() -> None:
    """Where no hook changed anything, nothing is kept."""
    assert changed_by_hooks(build(ASKED), build(ASKED)) == {}


def test_faults_are_the_callers() -> None:
    """All of these are errors of the request: 400."""
    for cls in (ParameterForeign, ParameterInvalid, DeliveryRefused, ScopeInvalid):
        assert issubclass(cls, RequestError)
        assert cls.status == 400
