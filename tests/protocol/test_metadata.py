"""The tenant's metadata, checked against our registration."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from flask_pkce.errors import TenantMisconfigured
from flask_pkce.protocol.client_key import parse_client_key
from flask_pkce.protocol.metadata import (
    ClientAuth,
    ClientRegistration,
    PushedRequests,
    parse_domain,
    parse_metadata,
)
from tests.support import CLIENT_ID, ISSUER, REGISTRATION, make_tenant, metadata, rsa_key


@pytest.mark.requirement("A0-2", "A0-3")
@pytest.mark.parametrize(
    ("text", "issuer", "is_exact"),
    [
        pytest.param("tenant.example", "https://tenant.example/", True, id="host"),
        pytest.param("tenant.example:8443", "https://tenant.example:8443/", True, id="port"),
        pytest.param("tenant.example/", "https://tenant.example/", True, id="host and slash"),
        pytest.param(
            "tenant.example/authorize", "https://tenant.example/", True, id="host, authorize"
        ),
        pytest.param(
            "https://tenant.example/authorize", "https://tenant.example/", True, id="authorize URL"
        ),
        pytest.param("https://tenant.example/", "https://tenant.example/", True, id="issuer"),
        pytest.param("https://tenant.example", "https://tenant.example", False, id="no slash"),
        pytest.param("TENANT.Example", "https://tenant.example/", True, id="upper case"),
        pytest.param("tenant.example:443", "https://tenant.example/", True, id="default port"),
        pytest.param("xn--tennt-gra.example", "https://xn--tennt-gra.example/", True, id="IDNA"),
        pytest.param("https://a.example/x/", "https://a.example/x/", True, id="issuer with path"),
        pytest.param("https://a.example/x", "https://a.example/x", False, id="path, no slash"),
        pytest.param("http://127.0.0.1:4000/", "http://127.0.0.1:4000/", True, id="loopback"),
    ],
)
def test_domain(text: str, issuer: str, is_exact: bool) -> None:
    """A host is the issuer as Auth0 writes it; a URL is an issuer of any provider."""
    assert parse_domain(text) == (issuer, is_exact)


@pytest.mark.requirement("A0-1")
@pytest.mark.parametrize(
    "host",
    [
        "tenant.us.auth0.com",
        "tenant.eu.auth0.com",
        "tenant.us-3.auth0.com",
        "tenant.eu-2.auth0.com",
        "tenant.jp.auth0.com",
        "travel0.auth0.com",
        "tenant.a-locality-of-later.auth0.com",
        "login.shop.example",
    ],
)
def test_domain_of_auth0(host: str) -> None:
    """A tenant lies wherever the operator says: no locality is known, none is demanded."""
    issuer, is_exact = parse_domain(host)
    registration = ClientRegistration(issuer, is_exact, CLIENT_ID)
    assert (registration.issuer, registration.domain) == (f"https://{host}/", host)
    document = {name: value.replace(ISSUER, issuer) for name, value in metadata().items()}
    assert parse_metadata(document, registration).issuer == issuer


@pytest.mark.requirement("A0-2", "MD-2")
@pytest.mark.parametrize(
    ("text", "fault"),
    [
        pytest.param("http://tenant.example/", "https://", id="plain http"),
        pytest.param("tenant example", "visible ASCII", id="space"),
        pytest.param("tenant.example/path", "write an issuer with a path as a URL", id="path"),
        pytest.param("https://tenant.example/?a=b", "query or a fragment", id="query"),
        pytest.param("https://tenant.example/#a", "query or a fragment", id="fragment"),
        pytest.param("tenant.example?a", "query or a fragment", id="host and query"),
        pytest.param("me@tenant.example", "user information", id="user"),
        pytest.param("https://a:b@tenant.example/", "user information", id="password"),
        pytest.param("tenant.example\\.evil.example", "visible ASCII", id="backslash"),
        pytest.param("tenant%2eexample", "no host name", id="percent"),
        pytest.param("tenant.example\n", "visible ASCII", id="newline"),
        pytest.param("tenant.example\x00", "visible ASCII", id="NUL"),
        pytest.param("tenänt.example", "visible ASCII", id="no ASCII"),
        pytest.param("tenant.example.", "no host name", id="dot at the end"),
        pytest.param("tenant..example", "no host name", id="two dots"),
        pytest.param("*.example", "no host name", id="any host"),
        pytest.param("tenant.example:x", "port", id="letter for a port"),
        pytest.param("tenant.example:65536", "port", id="no such port"),
        pytest.param("tenant.example/u/login", "write an issuer with a path", id="another path"),
        pytest.param("ftp://tenant.example/", "https://", id="another scheme"),
        pytest.param("//tenant.example", "no host name", id="no scheme"),
        pytest.param("", "give the tenant's host", id="nothing"),
    ],
)
def test_bad_domain(text: str, fault: str) -> None:
    """What is neither a host nor an issuer URL is refused with a sentence."""
    with pytest.raises(ValueError, match=fault):
        parse_domain(text)


@pytest.mark.requirement("BC-11", "MD-3")
def test_registration() -> None:
    """A registration tells where the metadata lies, and never its secret."""
    registration = ClientRegistration(ISSUER, True, CLIENT_ID, "top-secret")
    assert registration.discovery_url == f"{ISSUER}.well-known/openid-configuration"
    assert registration.domain == "tenant.example"
    assert "top-secret" not in repr(registration)
    with_path = dataclasses.replace(registration, issuer="https://a.example:8443/x")
    assert with_path.discovery_url == "https://a.example:8443/x/.well-known/openid-configuration"
    assert with_path.domain == "a.example:8443"


@pytest.mark.parametrize(
    "domain",
    [
        "tenant.example",
        "TENANT.example",
        "tenant.example:443",
        "https://tenant.example",
        "https://tenant.example/",
        "https://tenant.example/authorize",
        "tenant.example/authorize",
    ],
)
def test_domain_of_this_tenant(domain: str) -> None:
    """A caller may name the tenant by its host, its origin or its authorize URL."""
    assert REGISTRATION.names(domain)


@pytest.mark.requirement("N80c", "T12", "WC-1")
@pytest.mark.parametrize(
    "domain",
    [
        pytest.param("evil.example", id="another host"),
        pytest.param("tenant.example.evil.example", id="our host as a prefix"),
        pytest.param("tenant.example:8443", id="another port"),
        pytest.param("http://tenant.example", id="another scheme"),
        pytest.param("https://tenant.example/other", id="another path"),
        pytest.param("https://tenant.example/?x", id="query"),
        pytest.param("https://tenant.example/#x", id="fragment"),
        pytest.param("https://evil.example@tenant.example", id="user information"),
        pytest.param("https://evil.example\\@tenant.example", id="backslash"),
        pytest.param("", id="nothing"),
    ],
)
def test_domain_of_no_tenant(domain: str) -> None:
    """Whatever else a caller names is not the tenant (T12)."""
    assert not REGISTRATION.names(domain)


def test_domain_over_http() -> None:
    """A tenant on loopback is named with its scheme and port."""
    local = ClientRegistration("http://127.0.0.1:4000/", True, CLIENT_ID)
    assert local.names("127.0.0.1:4000")
    assert local.names("http://127.0.0.1:4000/authorize")
    assert not local.names("https://127.0.0.1:4000/")
    assert not local.names("127.0.0.1")


@pytest.mark.requirement("A0-7", "BC-11", "MD-6", "MD-9")
def test_metadata() -> None:
    """What the library needs of a tenant's metadata, and nothing that is made up."""
    tenant = make_tenant(
        userinfo_endpoint=None,
        revocation_endpoint=None,
        id_token_signing_alg_values_supported=["RS256", 5],
        unknown="is ignored",
    )
    assert tenant.registration == REGISTRATION
    assert tenant.issuer == ISSUER
    assert tenant.client_id == CLIENT_ID
    assert tenant.token_endpoint == f"{ISSUER}oauth/token"
    assert (tenant.userinfo_endpoint, tenant.revocation_endpoint) == (None, None)
    assert tenant.algorithms == ("RS256",)
    assert tenant.announces_iss is False


@pytest.mark.requirement("IS-2", "MD-9")
@pytest.mark.parametrize(("said", "announced"), [(True, True), (False, False), ("true", False)])
def test_announcement_of_iss(said: Any, announced: bool) -> None:
    """Only the boolean announces that answers carry ``iss``."""
    tenant = make_tenant(authorization_response_iss_parameter_supported=said)
    assert tenant.announces_iss is announced


@pytest.mark.requirement("A0-3", "MD-1", "N78", "AV-3")
@pytest.mark.parametrize(
    "issuer",
    [
        pytest.param(None, id="missing"),
        pytest.param("https://tenant.example", id="N78 without its slash"),
        pytest.param("https://tenant.example//", id="N78 one slash more"),
        pytest.param("http://tenant.example/", id="N78 plain http"),
        pytest.param("https://evil.example/", id="N78 another one"),
        pytest.param("https://tenant.example/x", id="with a path"),
        pytest.param(["https://tenant.example/"], id="a list"),
    ],
)
def test_issuer_to_the_letter(issuer: Any) -> None:
    """The metadata names exactly the issuer of the settings (RFC 8414 3.3)."""
    with pytest.raises(TenantMisconfigured, match="another issuer than PKCE_DOMAIN"):
        make_tenant(issuer=issuer)


@pytest.mark.requirement("A0-3", "MD-1")
@pytest.mark.parametrize("issuer", ["https://tenant.example", "https://tenant.example/"])
def test_issuer_without_its_slash(issuer: str) -> None:
    """A URL that was written without its slash is met with or without it, and kept as met."""
    registration = ClientRegistration("https://tenant.example", False, CLIENT_ID)
    assert make_tenant(registration, issuer=issuer).issuer == issuer
    with pytest.raises(TenantMisconfigured):
        make_tenant(registration, issuer="https://tenant.example//")


@pytest.mark.requirement("A0-7", "MD-4", "N81")
@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint", "jwks_uri"])
def test_missing_member(name: str) -> None:
    """Without these members there is no sign-in."""
    document = metadata()
    del document[name]
    with pytest.raises(TenantMisconfigured, match=f"has no {name}"):
        parse_metadata(document, REGISTRATION)


@pytest.mark.requirement("A0-4", "UP-9", "MD-4", "N80", "N81", "AZ-1", "BB-5", "T12")
@pytest.mark.parametrize(
    "name",
    [
        "authorization_endpoint",
        "token_endpoint",
        "jwks_uri",
        "revocation_endpoint",
        "end_session_endpoint",
        "pushed_authorization_request_endpoint",
    ],
)
@pytest.mark.parametrize(
    ("value", "fault"),
    [
        pytest.param(5, "is no string", id="number"),
        pytest.param("https://evil.example/x", "PKCE_ENDPOINT_HOSTS", id="N80 foreign host"),
        pytest.param("http://tenant.example/x", "https://", id="N80 plain http"),
        pytest.param("http://127.0.0.1/x", "must begin with https://", id="loopback, plain http"),
        pytest.param("http://169.254.169.254/x", "https://", id="N80 link-local"),
        pytest.param("https://tenant.example/x#y", "has a fragment", id="fragment"),
        pytest.param("https://tenant.example/x#", "has a fragment", id="empty fragment"),
        pytest.param("file:///etc/passwd", "https://", id="file"),
        pytest.param("https://me@tenant.example/", "user information", id="user"),
        pytest.param("/oauth/token", "https://", id="relative"),
    ],
)
def test_endpoint_where_it_must_not_be(name: str, value: Any, fault: str) -> None:
    """Every endpoint that is used lies on the issuer's host, over https, without a fragment."""
    registration = dataclasses.replace(WITH_SECRET, pushed_requests=PushedRequests.ALWAYS)
    with pytest.raises(TenantMisconfigured, match=f"{name} in the tenant's metadata.*{fault}"):
        make_tenant(registration, **{**PAR, name: value})


@pytest.mark.requirement("MD-4")
@pytest.mark.parametrize("value", [5, "https://evil.example/par", "/par"])
def test_endpoint_that_is_not_used(value: Any) -> None:
    """Where no request is pushed, the endpoint for that may lie anywhere."""
    name = "pushed_authorization_request_endpoint"
    for registration in (
        REGISTRATION,
        dataclasses.replace(WITH_SECRET, pushed_requests=PushedRequests.NEVER),
    ):
        assert make_tenant(registration, **{name: value}).par_endpoint is None


@pytest.mark.requirement("MD-4", "T12")
@pytest.mark.parametrize(
    ("value", "shown"),
    [
        pytest.param("https://graph.microsoft.com/oidc/userinfo", True, id="Microsoft Entra ID"),
        pytest.param(f"{ISSUER}userinfo", True, id="on the issuer's host"),
        pytest.param("http://127.0.0.1/x", False, id="plain http"),
        pytest.param("http://evil.example/x", False, id="plain http, another host"),
        pytest.param("javascript:alert(1)", False, id="a script"),
        pytest.param("https://me@tenant.example/", False, id="user"),
        pytest.param("/userinfo", False, id="relative"),
        pytest.param("https://a.example/ x", False, id="a blank"),
        pytest.param("https://a.example/#x", False, id="a fragment"),
        pytest.param(5, False, id="number"),
        pytest.param(None, False, id="missing"),
    ],
)
def test_userinfo_endpoint(value: Any, shown: bool) -> None:
    """The userinfo endpoint is never called: it may lie on any host, over https."""
    assert make_tenant(userinfo_endpoint=value).userinfo_endpoint == (value if shown else None)


@pytest.mark.requirement("MD-4", "BB-5")
def test_endpoint_on_an_allowed_host() -> None:
    """The operator can name further hosts; the address stays to the byte."""
    registration = dataclasses.replace(REGISTRATION, endpoint_hosts=("keys.example",))
    tenant = make_tenant(registration, jwks_uri="https://keys.example/a%2Fb?c=d")
    assert tenant.jwks_uri == "https://keys.example/a%2Fb?c=d"


def test_tenant_on_loopback() -> None:
    """A tenant on loopback over plain http has its endpoints there."""
    issuer = "http://127.0.0.1:4000/"
    document = {name: value.replace(ISSUER, issuer) for name, value in metadata().items()}
    tenant = parse_metadata(document, ClientRegistration(issuer, True, CLIENT_ID))
    assert tenant.token_endpoint == "http://127.0.0.1:4000/oauth/token"
    assert tenant.userinfo_endpoint == "http://127.0.0.1:4000/userinfo"


@pytest.mark.requirement("ID-6")
@pytest.mark.parametrize("value", ["PS256", None, {"PS256": True}])
def test_algorithms_that_are_no_list(value: Any) -> None:
    """A member that is no list says nothing, and every allowed algorithm may be used."""
    registration = ClientRegistration(ISSUER, True, CLIENT_ID, algorithms=("RS256", "ES256"))
    tenant = make_tenant(registration, id_token_signing_alg_values_supported=value)
    assert tenant.algorithms == ("RS256", "ES256")


@pytest.mark.requirement("ID-6")
@pytest.mark.parametrize(
    ("announced", "common"),
    [
        (["HS256", "ES256"], ("ES256",)),
        (["ES256", "RS256", "none"], ("RS256", "ES256")),
        (["HS256", "none", 5], None),
        ([], None),
    ],
)
def test_algorithms(announced: list[Any], common: tuple[str, ...] | None) -> None:
    """Only what is allowed and announced may sign an ID token; with nothing in common it says
    so before any code is used up."""
    registration = ClientRegistration(ISSUER, True, CLIENT_ID, algorithms=("RS256", "ES256"))
    changes = {"id_token_signing_alg_values_supported": announced}
    if common is None:
        with pytest.raises(TenantMisconfigured, match="has none of PKCE_ALGORITHMS"):
            make_tenant(registration, **changes)
    else:
        assert make_tenant(registration, **changes).algorithms == common


# -- client authentication and pushed requests -----------------------------------

POST, BASIC = ClientAuth.CLIENT_SECRET_POST, ClientAuth.CLIENT_SECRET_BASIC
JWT, NONE = ClientAuth.PRIVATE_KEY_JWT, ClientAuth.NONE
KEY = parse_client_key(rsa_key().as_dict(private=True))
WITH_SECRET = dataclasses.replace(REGISTRATION, client_secret="top-secret")
WITH_KEY = dataclasses.replace(REGISTRATION, client_key=KEY)
WITH_BOTH = dataclasses.replace(WITH_SECRET, client_key=KEY)


@pytest.mark.requirement("MD-9", "AZ-12", "BC-10")
@pytest.mark.parametrize(
    ("registration", "announced", "method"),
    [
        (REGISTRATION, [BASIC, POST], NONE),
        (REGISTRATION, None, NONE),
        (WITH_SECRET, [BASIC, POST], POST),
        (WITH_SECRET, [POST], POST),
        (WITH_SECRET, [BASIC, JWT], BASIC),
        (WITH_SECRET, None, BASIC),
        (WITH_SECRET, "client_secret_post", BASIC),
        (WITH_KEY, [BASIC, JWT], JWT),
        (WITH_KEY, None, JWT),
        (WITH_BOTH, [BASIC, POST, JWT], JWT),
    ],
)
def test_client_auth(registration: ClientRegistration, announced: Any, method: ClientAuth) -> None:
    """With a key we sign; a secret goes as the tenant announces, by a header if it does not."""
    tenant = make_tenant(registration, token_endpoint_auth_methods_supported=announced)
    assert tenant.client_auth is method


@pytest.mark.requirement("MD-9")
@pytest.mark.parametrize("method", [POST, BASIC, JWT])
def test_client_auth_as_configured(method: ClientAuth) -> None:
    """What is configured counts, whatever the metadata say."""
    registration = dataclasses.replace(WITH_BOTH, client_auth=method)
    tenant = make_tenant(registration, token_endpoint_auth_methods_supported=["x"])
    assert tenant.client_auth is method


@pytest.mark.parametrize(
    ("registration", "announced", "told"),
    [
        (WITH_SECRET, ["none", JWT], "no client_secret_post and no client_secret_basic"),
        (WITH_SECRET, [], "no client_secret_post and no client_secret_basic"),
        (WITH_KEY, [BASIC, POST], "no private_key_jwt"),
        (WITH_BOTH, [BASIC, POST], "no private_key_jwt"),
    ],
)
def test_client_auth_that_is_not_possible(
    registration: ClientRegistration, announced: list[str], told: str
) -> None:
    """A weaker method is not taken in place of one; the setting that could is named."""
    with pytest.raises(TenantMisconfigured, match=f"{told};.*PKCE_CLIENT_AUTH"):
        make_tenant(registration, token_endpoint_auth_methods_supported=announced)


@pytest.mark.parametrize(
    ("registration", "announced", "algorithm"),
    [
        (WITH_KEY, None, "RS256"),
        (WITH_KEY, ["ES256", "RS256", "PS256"], "RS256"),
        (WITH_KEY, ["ES256", "RS384", "PS256"], "PS256"),
        (REGISTRATION, ["ES256"], None),
        (dataclasses.replace(WITH_BOTH, client_auth=POST), ["ES256"], None),
        (dataclasses.replace(REGISTRATION, client_auth=JWT), ["ES256"], None),
    ],
)
def test_assertion_algorithm(
    registration: ClientRegistration, announced: Any, algorithm: str | None
) -> None:
    """Of the algorithms of our key the first is used that the tenant takes."""
    tenant = make_tenant(registration, token_endpoint_auth_signing_alg_values_supported=announced)
    assert tenant.assertion_algorithm == algorithm


def test_assertion_algorithm_that_is_not_possible() -> None:
    """A key that the tenant cannot use is the operator's mistake."""
    with pytest.raises(TenantMisconfigured, match="PKCE_CLIENT_KEY"):
        make_tenant(WITH_KEY, token_endpoint_auth_signing_alg_values_supported=["ES256"])


PAR = {"pushed_authorization_request_endpoint": f"{ISSUER}oauth/par"}
DEMANDED = {**PAR, "require_pushed_authorization_requests": True}


@pytest.mark.requirement("PA-6", "MD-9")
@pytest.mark.parametrize(
    ("wanted", "document", "is_pushed"),
    [
        ("auto", {}, False),
        ("auto", PAR, False),
        ("auto", {**PAR, "require_pushed_authorization_requests": "true"}, False),
        ("auto", DEMANDED, True),
        ("always", PAR, True),
        ("always", DEMANDED, True),
        ("never", {}, False),
        ("never", PAR, False),
    ],
)
def test_pushed_requests(wanted: str, document: dict[str, Any], is_pushed: bool) -> None:
    """Requests are pushed where the tenant demands it, or where the host says so."""
    registration = dataclasses.replace(WITH_SECRET, pushed_requests=PushedRequests(wanted))
    tenant = make_tenant(registration, **document)
    assert tenant.par_endpoint == (f"{ISSUER}oauth/par" if is_pushed else None)


@pytest.mark.requirement("PA-6")
@pytest.mark.parametrize(
    ("registration", "wanted", "document", "told"),
    [
        (WITH_SECRET, "never", DEMANDED, "PKCE_PAR is `never`"),
        (WITH_SECRET, "always", {}, "no pushed_authorization_request_endpoint"),
        (
            WITH_SECRET,
            "auto",
            {**DEMANDED, "pushed_authorization_request_endpoint": None},
            "no pushed_authorization_request_endpoint",
        ),
        (REGISTRATION, "auto", DEMANDED, "set PKCE_CLIENT_SECRET or PKCE_CLIENT_KEY"),
        (
            WITH_SECRET,
            "always",
            {"pushed_authorization_request_endpoint": "https://evil.example/par"},
            "another host",
        ),
    ],
)
def test_pushed_requests_that_are_not_possible(
    registration: ClientRegistration, wanted: str, document: dict[str, Any], told: str
) -> None:
    """Where the settings and the tenant disagree, the operator is told which."""
    registration = dataclasses.replace(registration, pushed_requests=PushedRequests(wanted))
    with pytest.raises(TenantMisconfigured, match=told):
        make_tenant(registration, **document)


def test_organizations() -> None:
    """Those that may sign in are the one that is asked for and those that are allowed."""
    registration = dataclasses.replace(REGISTRATION, allowed_organizations=("b", "c"))
    assert REGISTRATION.organizations == ()
    assert registration.organizations == ("b", "c")
    assert dataclasses.replace(registration, organization="a").organizations == ("a", "b", "c")


def test_registration_hides_its_key() -> None:
    """Nor does a registration show its key."""
    assert "key" not in repr(WITH_KEY).replace("keys", "")
