"""Every setting: what it takes, what it refuses, and what is said then."""

from __future__ import annotations

import inspect
import json
import re
from dataclasses import MISSING, fields
from typing import Any

import pytest
from flask import Config

from flask_pkce.errors import ConfigurationError
from flask_pkce.settings import model as settings_module
from flask_pkce.settings.loading import find_misspelt, read_settings, read_tenant
from flask_pkce.settings.model import Settings
from flask_pkce.settings.secret_keys import read_secret_keys
from flask_pkce.settings.tenant import TenantSettings
from flask_pkce.settings.values import LoginLinks, TokenDelivery
from flask_pkce.stores import MemoryStore
from tests.settings import test_client
from tests.support import CLIENT_ID

NEEDED = {"PKCE_DOMAIN": "tenant.example", "PKCE_CLIENT_ID": CLIENT_ID}
STORE = MemoryStore()


def read(**changes: Any) -> Settings:
    """Settings with those changes, by their names without the prefix."""
    return read_settings({**NEEDED, **{f"PKCE_{name}": value for name, value in changes.items()}})


@pytest.mark.requirement("BC-12", "BC-21", "ST-1")
def test_defaults() -> None:
    """Two settings are enough, and the rest is as the documentation says."""
    settings = read()
    for setting in fields(Settings):
        if setting.default is not MISSING:
            assert getattr(settings, setting.name) == setting.default
    assert (settings.domain, settings.client_id) == ("tenant.example", CLIENT_ID)
    assert settings.scope == ("openid", "profile", "email")
    assert settings.store_url == "sqlite:///pkce.db"
    assert (settings.flow_lifetime, settings.response_mode) == (600, "form_post")
    assert not settings.delivers_to_session


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("DOMAIN", "tenant.example:8443", "tenant.example:8443"),
        ("DOMAIN", "https://tenant.example/x", "https://tenant.example/x"),
        ("DOMAIN", "http://127.0.0.1:4000/", "http://127.0.0.1:4000/"),
        ("CLIENT_ID", "abc", "abc"),
        ("CLIENT_ID", 123456789, "123456789"),
        ("CLIENT_SECRET", "top secret", "top secret"),
        ("AUDIENCE", "https://api.example/", "https://api.example/"),
        ("SCOPE", "openid offline_access", ("openid", "offline_access")),
        ("SCOPE", "openid,email", ("openid", "email")),
        ("SCOPE", ["openid", "openid", "read:users"], ("openid", "read:users")),
        ("ALLOWED_AUDIENCES", "a, b ,", ("a", "b")),
        ("ALLOWED_AUDIENCES", ("a",), ("a",)),
        ("ALLOWED_AUDIENCES", {"a"}, ("a",)),
        ("TRUSTED_AUDIENCES", "275", ("275",)),
        ("ALLOWED_SCOPES", "read:users write:users", ("read:users", "write:users")),
        ("ALLOWED_SCOPES", [], ()),
        (
            "ALLOWED_ORIGINS",
            "https://App.example:443/, http://localhost:5173",
            ("https://app.example", "http://localhost:5173"),
        ),
        ("PUBLIC_URL", "https://App.example/prefix/", "https://app.example/prefix"),
        ("PUBLIC_URL", "https://app.example", "https://app.example"),
        ("PUBLIC_URL", "http://localhost:3000/", "http://localhost:3000"),
        (
            "REDIRECT_URIS",
            "https://app.example/done?a=b,com.example.app:/done",
            ("https://app.example/done?a=b", "com.example.app:/done"),
        ),
        ("REDIRECT_URIS", ["http://127.0.0.1/done"], ("http://127.0.0.1/done",)),
        ("RESPONSE_MODE", "query", "query"),
        ("STORE_URL", "memory://", "memory://"),
        ("STORE_PREFIX", "shop:", "shop:"),
        ("STORE_URL", STORE, STORE),
        ("FLOW_LIFETIME", 10, 10),
        ("FLOW_LIFETIME", " 3600 ", 3600),
        ("SESSION_LIFETIME", 90 * 86400, 90 * 86400),
        ("SESSION_IDLE_LIFETIME", "1800", 1800),
        ("BACKCHANNEL_LOGOUT", "1", True),
        ("TOKEN_DELIVERY", "session", TokenDelivery.SESSION),
        ("TOKEN_DELIVERY", TokenDelivery.CALLER, TokenDelivery.CALLER),
        ("LOGIN_LINKS", "ask", LoginLinks.ASK),
        ("LOGIN_LINKS", "auto", LoginLinks.AUTO),
        ("LOCAL_SESSION", True, True),
        ("LOCAL_SESSION", "True", True),
        ("LOCAL_SESSION", " TRUE ", True),
        ("LOCAL_SESSION", 1, True),
        ("LOCAL_SESSION", "1", True),
        ("LOCAL_SESSION", False, False),
        ("LOCAL_SESSION", "false", False),
        ("LOCAL_SESSION", 0, False),
        ("OPENAPI", "true", True),
        ("OPENAPI", 0, False),
        ("AUTHENTICATED_URL", "/account?tab=1", "/account?tab=1"),
        ("AUTHENTICATED_URL", "https://other.example/x", "https://other.example/x"),
        ("UNAUTHENTICATED_URL", "/", "/"),
        ("ADDITIONAL_PARAMETERS", "theme,locale", ("theme", "locale")),
        ("ENDPOINT_HOSTS", "Keys.example, [::1]", ("keys.example", "[::1]")),
        (
            "PROXIES",
            "http://proxy:3128",
            {"https": "http://proxy:3128", "http": "http://proxy:3128"},
        ),
        ("PROXIES", {"https": "http://proxy:3128"}, {"https": "http://proxy:3128"}),
        ("CA_BUNDLE", __file__, __file__),
        ("TIMEOUT", 60, 60),
        ("TIMEOUT", "1", 1),
        ("MAX_CALLS", 2, 2),
        ("MAX_CALLS", " 1000 ", 1000),
        ("LEEWAY", 0, 0),
        ("ALGORITHMS", "RS256,ES256", ("RS256", "ES256")),
        ("ALGORITHMS", ["EdDSA"], ("EdDSA",)),
        ("TENANTS", {}, ()),
        ("FURTHER_PUBLIC_URLS", [], ()),
    ],
)
def test_good_value(name: str, given: Any, value: Any) -> None:
    """Each setting takes what it should, as Python or as a text of the environment."""
    assert getattr(read(**{name: given}), name.lower()) == value


@pytest.mark.requirement(
    "dpop_jkt",
    "request",
    "BC-1",
    "UP-7",
    "UP-10",
    "ID-1",
    "ID-7",
    "ID-8",
    "ID-9",
    "ST-1",
    "NA-4",
    "N03",
    "N07",
    "AZ-3",
    "T10",
    "WC-9",
)
@pytest.mark.parametrize(
    ("name", "given", "fault"),
    [
        ("DOMAIN", "http://tenant.example", "plain http only for a loopback host"),
        ("DOMAIN", "tenant.example/path", "as a URL"),
        ("DOMAIN", True, "no text"),
        ("CLIENT_ID", "a b", "visible ASCII"),
        ("CLIENT_ID", "x" * 257, "visible ASCII"),
        ("CLIENT_ID", 1e21, "no text: quote it"),
        ("CLIENT_ID", 12.0, "no text: quote it"),
        ("CLIENT_ID", True, "no text: quote it"),
        pytest.param("CLIENT_ID", 10**5000, "too long", id="integer without end"),
        ("CLIENT_SECRET", ["x"], "no text"),
        ("CLIENT_SECRET", "a\nb", "not printable"),
        ("AUDIENCE", "x" * 2049, "too long"),
        ("AUDIENCE", 1.5, "no text: quote it"),
        ("SCOPE", "profile email", "does not contain `openid`"),
        ("SCOPE", 'openid "x"', "no scope may have"),
        ("SCOPE", [], "does not contain `openid`"),
        ("SCOPE", 5, "neither a list"),
        ("ALLOWED_AUDIENCES", {"a": 1}, "neither a list"),
        ("TRUSTED_AUDIENCES", [27.5], "no text"),
        ("ALLOWED_AUDIENCES", [1.5], "no text"),
        ("ALLOWED_AUDIENCES", [""], "is empty"),
        ("ALLOWED_SCOPES", ["a b"], "no scope may have"),
        ("ALLOWED_ORIGINS", "*", "has an origin that"),
        ("ALLOWED_ORIGINS", "null", "has an origin that"),
        ("ALLOWED_ORIGINS", "http://app.example", "has an origin that"),
        ("ALLOWED_ORIGINS", "https://app.example/x", "origin with a path"),
        ("ALLOWED_ORIGINS", "https://app.example?x", "origin with a path"),
        ("ALLOWED_ORIGINS", "https://app.example#x", "origin with a path"),
        ("PUBLIC_URL", "http://app.example", "https://"),
        ("PUBLIC_URL", "app.example", "https://"),
        ("PUBLIC_URL", "https://app.example/?x", "must be scheme, host"),
        ("PUBLIC_URL", "https://app.example/#x", "must be scheme, host"),
        ("PUBLIC_URL", "https://app.example//x", "must be scheme, host"),
        ("PUBLIC_URL", "https://app.example/../x", "must be scheme, host"),
        ("REDIRECT_URIS", "http://app.example/cb", "plain http only"),
        ("REDIRECT_URIS", "https://app.example/cb#x", "fragment"),
        ("REDIRECT_URIS", "com.example.app:/cb#x", "fragment"),
        ("REDIRECT_URIS", "myapp:/cb", "https://"),
        ("REDIRECT_URIS", "javascript:alert(1)", "https://"),
        ("REDIRECT_URIS", "/cb", "https://"),
        ("REDIRECT_URIS", "com.example.app:/c b", "visible ASCII"),
        ("REDIRECT_URIS", "https://[::1", "no host name"),
        ("REDIRECT_URIS", 5, "neither a list"),
        ("RESPONSE_MODE", "fragment", "neither `form_post` nor `query`"),
        ("RESPONSE_MODE", ["query"], "neither `form_post` nor `query`"),
        ("STORE_URL", True, "no text"),
        ("STORE_PREFIX", "a\nb", "not printable"),
        ("FLOW_LIFETIME", 9, "between 10 and 3600"),
        ("FLOW_LIFETIME", 3601, "between 10 and 3600"),
        ("FLOW_LIFETIME", 600.0, "whole number of seconds"),
        ("FLOW_LIFETIME", True, "whole number of seconds"),
        ("FLOW_LIFETIME", "ten", "whole number of seconds"),
        ("FLOW_LIFETIME", "-10", "whole number of seconds"),
        ("FLOW_LIFETIME", "²", "whole number of seconds"),
        pytest.param("FLOW_LIFETIME", "9" * 5000, "whole number", id="seconds without end"),
        ("SESSION_LIFETIME", 59, "between 60 and"),
        ("SESSION_IDLE_LIFETIME", 90 * 86400 + 1, "between 60 and"),
        ("BACKCHANNEL_LOGOUT", "yes", "neither true nor false"),
        ("TOKEN_DELIVERY", "cookie", "neither `caller` nor `session`"),
        ("TOKEN_DELIVERY", ["caller"], "neither `caller` nor `session`"),
        ("LOGIN_LINKS", "never", "neither `auto` nor `ask`"),
        ("LOGIN_LINKS", False, "neither `auto` nor `ask`"),
        ("LOCAL_SESSION", "yes", "neither true nor false"),
        ("LOCAL_SESSION", 2, "neither true nor false"),
        pytest.param("LOCAL_SESSION", 10**5000, "neither true", id="boolean without end"),
        ("LOCAL_SESSION", 1.0, "neither true nor false"),
        ("OPENAPI", "on", "neither true nor false"),
        ("AUTHENTICATED_URL", "//evil.example", "neither a path"),
        ("AUTHENTICATED_URL", "javascript:alert(1)", "neither a path"),
        ("AUTHENTICATED_URL", "http://other.example/", "neither a path"),
        ("UNAUTHENTICATED_URL", "goodbye", "neither a path"),
        ("ADDITIONAL_PARAMETERS", 5, "neither a list"),
        ("ADDITIONAL_PARAMETERS", "theme,state", "parameter of the protocol"),
        ("ADDITIONAL_PARAMETERS", "request_uri", "parameter of the protocol"),
        ("ADDITIONAL_PARAMETERS", "dpop_jkt", "parameter of the protocol"),
        ("ADDITIONAL_PARAMETERS", ["a b"], "no name at all"),
        ("ENDPOINT_HOSTS", "https://keys.example", "hosts alone"),
        ("ENDPOINT_HOSTS", "keys.example/x", "hosts alone"),
        ("ENDPOINT_HOSTS", "keys.example:8443", "hosts alone"),
        ("ENDPOINT_HOSTS", "*.example", "has a host that"),
        ("PROXIES", {"ftp": "x"}, "neither an address nor a mapping"),
        ("PROXIES", ["http://proxy"], "neither an address nor a mapping"),
        ("PROXIES", {"https": 1.5}, "no text"),
        ("PROXIES", "proxy:3128", "no http:// address"),
        ("PROXIES", {"https": "ftp://proxy"}, "no http:// address"),
        ("PROXIES", "https://proxy", "no http:// address"),
        ("PROXIES", "socks5://proxy", "no http:// address"),
        ("PROXIES", "http://proxy:99999", "no http:// address"),
        ("PROXIES", "http://:3128", "no http:// address"),
        ("CA_BUNDLE", False, "no text"),
        ("CA_BUNDLE", "/nowhere/ca.pem", "no file and no folder"),
        ("TIMEOUT", 0, "between 1 and 60"),
        ("TIMEOUT", 61, "between 1 and 60"),
        ("MAX_CALLS", 1, "between 2 and 1000"),
        ("MAX_CALLS", 1001, "between 2 and 1000"),
        ("MAX_CALLS", "many", "is not a whole number"),
        ("LEEWAY", -1, "between 0 and 300"),
        ("LEEWAY", 301, "between 0 and 300"),
        ("ALGORITHMS", "none", "not one of RS256"),
        ("ALGORITHMS", "HS256", "not one of RS256"),
        ("ALGORITHMS", ["RS256", "rs256"], "not one of RS256"),
        ("ALGORITHMS", [], "not one of RS256"),
        ("FURTHER_PUBLIC_URLS", "shop.acme.example", "must begin with https://"),
        ("FURTHER_PUBLIC_URLS", "https://a.example,https://A.example/x", "two addresses of one"),
        ("FURTHER_PUBLIC_URLS", 5, "neither a list"),
        ("TENANTS", "acme", "no mapping of names"),
        ("TENANTS", {"acme": "acme.example"}, "no mapping of names"),
        ("TENANTS", {"a/b": {}}, "has a name that is none"),
        ("TENANTS", {"": {}}, "has a name that is none"),
        ("TENANTS", {1: {}}, "has a name that is none"),
        ("TENANTS", {"a" * 65: {}}, "has a name that is none"),
    ],
)
def test_bad_value(name: str, given: Any, fault: str) -> None:
    """Whatever else is refused, with the name of the setting and what is wrong."""
    with pytest.raises(ConfigurationError) as caught:
        read(**{name: given})
    (only,) = caught.value.faults
    assert only.startswith(f"PKCE_{name} ")
    assert fault in only


@pytest.mark.parametrize("value", [None, ""])
@pytest.mark.parametrize("setting", fields(Settings), ids=lambda setting: setting.name)
def test_nothing_is_absent(setting: Any, value: Any) -> None:
    """None and an empty text are no value: the default, or a fault where there is none."""
    name = setting.metadata["name"]
    if setting.default is MISSING:
        with pytest.raises(ConfigurationError, match=f"^PKCE_{name} is missing$"):
            read(**{name: value})
    else:
        assert getattr(read(**{name: value}), setting.name) == setting.default


def test_every_setting_is_tested() -> None:
    """The two tables have each setting, good and bad."""
    names = {setting.metadata["name"] for setting in fields(Settings)}
    for tests in (
        (test_good_value, test_client.test_good_value),
        (test_bad_value, test_client.test_bad_value),
    ):
        tables = [
            mark.args[1]
            for test in tests
            for mark in test.__dict__["pytestmark"]
            if mark.name == "parametrize"
        ]
        assert {getattr(case, "values", case)[0] for table in tables for case in table} == names


def test_every_fault_at_once() -> None:
    """All faults are told together, so that one start shows them all."""
    with pytest.raises(ConfigurationError) as caught:
        read_settings(
            {
                "PKCE_CLIENT_ID": 1.5,
                "PKCE_SCOPE": "email",
                "PKCE_PUBLIC_URL": "https://app.example",
                "PKCE_LOCAL_SESSION": True,
            }
        )
    names = [fault.split()[0] for fault in caught.value.faults]
    assert names == ["PKCE_DOMAIN", "PKCE_CLIENT_ID", "PKCE_SCOPE", "PKCE_LOCAL_SESSION"]


def test_secrets_in_a_fault() -> None:
    """A fault never shows the value: it may be a secret that stands in the wrong place."""
    with pytest.raises(ConfigurationError) as caught:
        read(
            CLIENT_ID="the secret", SCOPE='the "secret', PUBLIC_URL="secret://x", DOMAIN="se cret"
        )
    assert "secret" not in str(caught.value)


def test_settings_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flask reads JSON from the environment: numbers, booleans, lists and mappings arrive."""
    environment = {
        "FLASK_PKCE_DOMAIN": "tenant.example",
        "FLASK_PKCE_CLIENT_ID": "1234567890",
        "FLASK_PKCE_SCOPE": '["openid", "email"]',
        "FLASK_PKCE_LOCAL_SESSION": "True",
        "FLASK_PKCE_TIMEOUT": "5",
        "FLASK_PKCE_PROXIES": '{"https": "http://proxy:3128"}',
        "FLASK_PKCE_SERVE_PORT": "3000",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    config = Config(".")
    config.from_prefixed_env()
    settings = read_settings(config)
    assert settings.client_id == "1234567890"
    assert settings.scope == ("openid", "email")
    assert (settings.local_session, settings.timeout) == (True, 5)
    assert settings.proxies == {"https": "http://proxy:3128"}


@pytest.mark.parametrize("value", ["1e400", "12345678901234567890.0", "true"])
def test_client_id_that_json_reads_as_something_else(
    value: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A value that lost its form on the way is refused, and the way out is told."""
    monkeypatch.setenv("FLASK_PKCE_CLIENT_ID", value)
    config = Config(".", NEEDED)
    config.from_prefixed_env()
    with pytest.raises(ConfigurationError, match="PKCE_CLIENT_ID is no text: quote it"):
        read_settings(config)


def test_prefix() -> None:
    """Another blueprint has settings of its own."""
    config = {**NEEDED, "STAFF_PKCE_DOMAIN": "staff.example", "STAFF_PKCE_CLIENT_ID": "staff"}
    assert read_settings(config, prefix="STAFF_PKCE_").domain == "staff.example"
    with pytest.raises(ConfigurationError, match=r"^GUEST_PKCE_DOMAIN is missing"):
        read_settings(config, prefix="GUEST_PKCE_")


# -- where users reach the application -------------------------------------------


def test_server_name() -> None:
    """SERVER_NAME stands for the public URL, where there is none."""
    settings = read_settings(NEEDED, server_name="app.example:8443", scheme="https")
    assert settings.public_url == "https://app.example:8443"
    config = {**NEEDED, "PKCE_PUBLIC_URL": "https://other.example"}
    settings = read_settings(config, server_name="app.example", scheme="https")
    assert settings.public_url == "https://other.example"


@pytest.mark.requirement("N03")
def test_server_name_over_http() -> None:
    """A SERVER_NAME that users reach over plain http stops the start."""
    with pytest.raises(ConfigurationError, match="PKCE_PUBLIC_URL is missing, and made of"):
        read_settings(NEEDED, server_name="app.example")
    assert read_settings(NEEDED, server_name="localhost").public_url == "http://localhost"


@pytest.mark.parametrize(
    "public_url", [None, "http://localhost:3000", "https://127.0.0.1", "http://[::1]:5000/x"]
)
def test_local_session_on_loopback(public_url: str | None) -> None:
    """The local session is for a server on the loopback interface."""
    assert read(LOCAL_SESSION=True, PUBLIC_URL=public_url).local_session


@pytest.mark.requirement("BC-20", "T2")
@pytest.mark.parametrize("name", ["app.example", "localhost.app.example", "10.0.0.1"])
def test_local_session_on_a_public_address(name: str) -> None:
    """On a public server it would be everybody's session, and stops the start."""
    with pytest.raises(ConfigurationError, match="PKCE_LOCAL_SESSION is on while PKCE_PUBLIC_URL"):
        read(LOCAL_SESSION=True, PUBLIC_URL=f"https://{name}")
    with pytest.raises(ConfigurationError, match="PKCE_LOCAL_SESSION"):
        read_settings({**NEEDED, "PKCE_LOCAL_SESSION": "1"}, server_name=name, scheme="https")


def test_redirect_uris_with_delivery_to_the_session() -> None:
    """Where the server keeps the tokens, the code must come to it."""
    uris = "https://other.example/done"
    with pytest.raises(ConfigurationError, match="PKCE_REDIRECT_URIS is set while"):
        read(REDIRECT_URIS=uris, TOKEN_DELIVERY="session")
    assert read(REDIRECT_URIS=uris, TOKEN_DELIVERY="caller").redirect_uris == (uris,)


def test_further_public_urls() -> None:
    """There may be several addresses, one of which is the first of all."""
    further = ["https://Shop.acme.example/", "https://globex.example/shop"]
    settings = read(PUBLIC_URL="https://app.example", FURTHER_PUBLIC_URLS=further)
    assert settings.further_public_urls == (
        "https://shop.acme.example",
        "https://globex.example/shop",
    )
    with pytest.raises(ConfigurationError, match="set while PKCE_PUBLIC_URL is missing"):
        read(FURTHER_PUBLIC_URLS=further)
    with pytest.raises(ConfigurationError, match="LOCAL_SESSION is on"):
        read(PUBLIC_URL="http://localhost", LOCAL_SESSION=True, FURTHER_PUBLIC_URLS=further)


# -- several tenants ---------------------------------------------------------------

ACME = {"domain": "acme.example", "client_id": "a"}
GLOBEX = {"domain": "https://globex.example/x", "client_id": "g", "client_secret": "top-secret"}


def test_tenants() -> None:
    """Beside that of PKCE_DOMAIN, which is the default, there are others, by their names."""
    settings = read(TENANTS={"acme": ACME, "globex": GLOBEX})
    assert [each.name for each in settings.registrations] == ["", "acme", "globex"]
    assert settings.registrations[0].issuer == "https://tenant.example/"
    acme, globex = settings.tenants
    assert (acme.issuer, acme.client_id, acme.client_secret) == (
        "https://acme.example/",
        "a",
        None,
    )
    assert (globex.issuer, globex.client_secret) == ("https://globex.example/x", "top-secret")
    assert "top-secret" not in repr(settings)


def test_tenants_in_place_of_one() -> None:
    """Without PKCE_DOMAIN the first of them is the default."""
    settings = read(DOMAIN=None, CLIENT_ID="", TENANTS={"acme": ACME, "globex": GLOBEX})
    assert settings.registrations == settings.tenants
    assert settings.registrations[0].name == "acme"


def test_tenants_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """They come as JSON, or one setting after the other; their names in any case."""
    monkeypatch.setenv("FLASK_PKCE_TENANTS", json.dumps({"acme": {**ACME, "SCOPE": "openid"}}))
    monkeypatch.setenv("FLASK_PKCE_TENANTS__globex__DOMAIN", "globex.example")
    monkeypatch.setenv("FLASK_PKCE_TENANTS__globex__client_id", "12345")
    config = Config(".")
    config.from_prefixed_env()
    acme, globex = read_settings(config).tenants
    assert (acme.client_id, acme.scope) == ("a", ("openid",))
    assert (globex.issuer, globex.client_id) == ("https://globex.example/", "12345")


def test_what_tenants_inherit() -> None:
    """What is the same everywhere is set once; what belongs to one tenant goes to no other."""
    shared = {
        "AUDIENCE": "api",
        "SCOPE": "openid email",
        "ALLOWED_AUDIENCES": "more",
        "ALLOWED_SCOPES": "read",
        "TRUSTED_AUDIENCES": "project",
        "ALGORITHMS": "ES256",
        "RESPONSE_MODE": "query",
        "MAX_CALLS": 4,
    }
    own = {
        "CLIENT_SECRET": "top-secret",
        "ENDPOINT_HOSTS": "keys.example",
        "REDIRECT_URIS": "https://other.example/done",
    }
    for name in shared:
        other = {"acme": ACME, "globex": {**GLOBEX, name.lower(): "openid"}}
        others = {"ALGORITHMS": "RS256", "RESPONSE_MODE": "form_post", "MAX_CALLS": "5"}
        if name in others:
            other["globex"][name.lower()] = others[name]
        default, acme, globex = read(**shared, TENANTS=other).registrations
        assert getattr(acme, name.lower()) == getattr(default, name.lower())
        assert getattr(globex, name.lower()) != getattr(default, name.lower())
    default, acme = read(**own, TENANTS={"acme": ACME}).registrations
    for name in own:
        assert getattr(default, name.lower())
        assert not getattr(acme, name.lower())


@pytest.mark.parametrize(
    ("tenants", "faults"),
    [
        pytest.param(
            {"acme": {"domain": "http://acme.example", "scope": "email", "colour": "red"}},
            [
                "PKCE_TENANTS['acme'].colour is no setting of a tenant",
                "PKCE_TENANTS['acme'].client_id is missing",
                "PKCE_TENANTS['acme'].domain must begin with https://",
                "PKCE_TENANTS['acme'].scope does not contain `openid`",
            ],
            id="each by its key",
        ),
        pytest.param(
            {"acme": {**ACME, "flow_lifetime": 60}},
            ["PKCE_TENANTS['acme'].flow_lifetime is no setting of a tenant"],
            id="a setting of all",
        ),
        pytest.param(
            {"acme": ACME, "other": {**ACME, "domain": "https://acme.example"}},
            ["PKCE_TENANTS['other'] has domain and client_id of another tenant"],
            id="the same twice",
        ),
        pytest.param(
            {"other": {"domain": "tenant.example", "client_id": CLIENT_ID}},
            ["PKCE_TENANTS['other'] has domain and client_id of another tenant"],
            id="that of PKCE_DOMAIN",
        ),
        pytest.param(
            {
                "acme": {**ACME, "redirect_uris": "https://other.example/done"},
                "globex": {**GLOBEX, "redirect_uris": "https://other.example/done"},
            },
            ["PKCE_TENANTS['globex'].redirect_uris has an address of another tenant"],
            id="the same address",
        ),
    ],
)
def test_bad_tenants(tenants: dict[str, Any], faults: list[str]) -> None:
    """Every fault of a tenant is named with its key, all at once."""
    with pytest.raises(ConfigurationError) as caught:
        read(TENANTS=tenants)
    assert len(caught.value.faults) == len(faults)
    for fault, told in zip(caught.value.faults, faults, strict=True):
        assert fault.startswith(told)


def test_redirect_uris_of_a_tenant_with_delivery_to_the_session() -> None:
    """Where the server keeps the tokens, the codes of every tenant must come to it."""
    tenants = {"acme": {**ACME, "redirect_uris": "https://other.example/done"}, "globex": GLOBEX}
    with pytest.raises(ConfigurationError, match=r"^PKCE_TENANTS\['acme'\].redirect_uris is set"):
        read(TENANTS=tenants, TOKEN_DELIVERY="session")
    assert read(TENANTS=tenants).tenants[0].redirect_uris == ("https://other.example/done",)


@pytest.mark.parametrize("name", ["CLIENT_ID", "CLIENT_SECRET", "ENDPOINT_HOSTS", "REDIRECT_URIS"])
def test_settings_of_one_tenant_without_its_domain(name: str) -> None:
    """What belongs to the tenant of PKCE_DOMAIN is not set without it."""
    value = "https://other.example/done" if name == "REDIRECT_URIS" else "x"
    config = {"PKCE_TENANTS": {"acme": ACME}, f"PKCE_{name}": value}
    with pytest.raises(ConfigurationError, match="PKCE_DOMAIN is missing"):
        read_settings(config)


def test_tenants_of_a_loader_alone() -> None:
    """Where a function tells the tenant, none needs to be set."""
    assert read_settings({}, has_loader=True).registrations == ()
    assert len(read_settings(NEEDED, has_loader=True).registrations) == 1
    with pytest.raises(ConfigurationError, match="PKCE_DOMAIN is missing"):
        read_settings({})


def test_tenant_of_a_loader() -> None:
    """What a function makes is read as an entry of PKCE_TENANTS is."""
    made = TenantSettings("acme", **ACME, client_secret="top-secret", endpoint_hosts=["k.example"])
    registration = read_tenant(read(SCOPE="openid"), made)
    assert (registration.name, registration.issuer) == ("acme", "https://acme.example/")
    assert (registration.scope, registration.client_secret) == (("openid",), "top-secret")
    assert registration.endpoint_hosts == ("k.example",)
    assert "top-secret" not in f"{made!r} {registration!r}"


@pytest.mark.parametrize(
    ("made", "fault"),
    [
        (TenantSettings("acme", domain="acme.example"), "'acme'.client_id is missing"),
        (TenantSettings("acme", **ACME, color="red"), "'acme'.color is no setting of a tenant"),
        (TenantSettings("a/b", **ACME), "'a/b' is no name of a tenant: 1 to 64"),
        (TenantSettings("", **ACME), "'' is no name of a tenant"),
        (
            TenantSettings("acme", **ACME, redirect_uris="https://other.example/"),
            "'acme'.redirect_uris stands in PKCE_TENANTS alone",
        ),
    ],
)
def test_bad_tenant_of_a_loader(made: TenantSettings, fault: str) -> None:
    """Its faults are told the same way."""
    with pytest.raises(ConfigurationError, match=f"^tenant_loader: {fault}"):
        read_tenant(read(), made)


def test_tenants_without_a_client_secret() -> None:
    """One tenant without a secret is enough for the warning."""
    kept = {"TOKEN_DELIVERY": "session", "PUBLIC_URL": "https://app.example"}
    config = {"CLIENT_SECRET": "x", **kept}
    assert read(**config, TENANTS={"acme": ACME}).lacks_client_secret
    assert not read(**config, TENANTS={"globex": GLOBEX}).lacks_client_secret


# -- what is made of them --------------------------------------------------------


def test_registration() -> None:
    """Our registration at the tenant."""
    settings = read(CLIENT_SECRET="top-secret", ENDPOINT_HOSTS="keys.example")
    registration = settings.registrations[0]
    assert (registration.issuer, registration.issuer_is_exact) == ("https://tenant.example/", True)
    assert (registration.client_id, registration.client_secret) == (CLIENT_ID, "top-secret")
    assert registration.endpoint_hosts == ("keys.example",)
    assert not read(DOMAIN="https://tenant.example").registrations[0].issuer_is_exact


@pytest.mark.requirement("BC-21")
def test_what_callers_may_ask_for() -> None:
    """What is asked for by default is allowed, and what is named besides."""
    settings = read(ALLOWED_SCOPES="read:users", ALLOWED_AUDIENCES="b")
    assert settings.registrations[0].scopes_allowed == {"openid", "profile", "email", "read:users"}
    assert settings.registrations[0].audiences_allowed == {"b"}
    both = read(AUDIENCE="a", ALLOWED_AUDIENCES="b").registrations[0]
    assert both.audiences_allowed == {"a", "b"}
    assert read().registrations[0].audiences_allowed == frozenset()


def test_delivery_to_the_session() -> None:
    """With this delivery tokens stay on the server."""
    assert read(TOKEN_DELIVERY="session").delivers_to_session


# -- documentation and secrets ---------------------------------------------------


def test_every_setting_is_documented() -> None:
    """The comment of each field is its documentation: none goes without."""
    lines = inspect.getsource(settings_module.Settings).splitlines()
    for setting in fields(Settings):
        index = next(i for i, line in enumerate(lines) if line.startswith(f"    {setting.name}:"))
        comment = re.fullmatch(r"    #: (.+)", lines[index - 1])
        assert comment is not None, setting.name
        assert comment[1].endswith("."), setting.name


def test_settings_hide_their_secrets() -> None:
    """Settings in a log show neither the client secret nor a proxy's or a store's password."""
    settings = read(
        CLIENT_SECRET="top-secret",
        PROXIES="http://me:hidden@proxy:3128",
        STORE_URL="redis://:hunter2@redis.example/0",
    )
    shown = repr(settings)
    for secret in ("top-secret", "hidden", "hunter2"):
        assert secret not in shown
    assert CLIENT_ID in shown


# -- SECRET_KEY ------------------------------------------------------------------

LONG = "a long enough key of the host"


@pytest.mark.parametrize("key", [LONG, LONG.encode(), "ü" * 8])
def test_secret_key(key: str | bytes) -> None:
    """A key of 16 bytes or more is taken, as text or bytes."""
    keys, is_weak = read_secret_keys({"SECRET_KEY": key}, lenient=False)
    assert keys == (key.encode() if isinstance(key, str) else key,)
    assert not is_weak


@pytest.mark.parametrize(
    "fallbacks",
    [
        ["the old one, long enough", b"the older, long enough"],
        ("the old one, long enough", b"the older, long enough"),
    ],
)
def test_fallbacks(fallbacks: Any) -> None:
    """Fallbacks come after the key that signs."""
    config = {"SECRET_KEY": LONG, "SECRET_KEY_FALLBACKS": fallbacks}
    keys, _ = read_secret_keys(config, lenient=False)
    assert keys == (LONG.encode(), b"the old one, long enough", b"the older, long enough")


@pytest.mark.parametrize("fallbacks", [None, [], ()])
def test_no_fallbacks(fallbacks: Any) -> None:
    """No fallbacks are no fallbacks."""
    config = {"SECRET_KEY": LONG, "SECRET_KEY_FALLBACKS": fallbacks}
    assert len(read_secret_keys(config, lenient=False)[0]) == 1


@pytest.mark.requirement("CK-15", "N02")
@pytest.mark.parametrize("lenient", [True, False])
@pytest.mark.parametrize("key", [None, "", b""])
def test_no_secret_key(key: Any, lenient: bool) -> None:
    """Without a key nothing starts, not even a test (N02)."""
    with pytest.raises(ConfigurationError, match=r"^SECRET_KEY is missing"):
        read_secret_keys({"SECRET_KEY": key}, lenient=lenient)
    with pytest.raises(ConfigurationError, match=r"^SECRET_KEY is missing"):
        read_secret_keys({}, lenient=lenient)


@pytest.mark.requirement("CK-15", "N02")
@pytest.mark.parametrize("key", ["dev", "x" * 15, b"\xff" * 15, "changeme", "your-secret-key"])
def test_weak_secret_key(key: Any) -> None:
    """A short or well-known key stops the start, and only warns while debugging (N02)."""
    with pytest.raises(ConfigurationError, match=r"^SECRET_KEY is weak"):
        read_secret_keys({"SECRET_KEY": key}, lenient=False)
    keys, is_weak = read_secret_keys({"SECRET_KEY": key}, lenient=True)
    assert is_weak
    assert len(keys) == 1
    with pytest.raises(ConfigurationError, match=r"^SECRET_KEY_FALLBACKS\[0\] is weak"):
        read_secret_keys({"SECRET_KEY": LONG, "SECRET_KEY_FALLBACKS": [key]}, lenient=False)


@pytest.mark.parametrize(
    "config",
    [
        {"SECRET_KEY": 12345678901234567890},
        {"SECRET_KEY": LONG, "SECRET_KEY_FALLBACKS": [None]},
        {"SECRET_KEY": LONG, "SECRET_KEY_FALLBACKS": [""]},
        {"SECRET_KEY": LONG, "SECRET_KEY_FALLBACKS": [5]},
    ],
)
def test_secret_key_of_another_kind(config: dict[str, Any]) -> None:
    """A key is text or bytes, and so is each fallback."""
    with pytest.raises(ConfigurationError, match="no text and no bytes"):
        read_secret_keys(config, lenient=True)


def test_fallbacks_that_are_a_text() -> None:
    """A text is no list of keys: each of its characters would be one."""
    config = {"SECRET_KEY": LONG, "SECRET_KEY_FALLBACKS": LONG}
    with pytest.raises(ConfigurationError, match="no list of keys"):
        read_secret_keys(config, lenient=False)


# -- names that are none ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("PKCE_DOMAIN", ()),
        ("PKCE_DOMIAN", (("PKCE_DOMIAN", "PKCE_DOMAIN"),)),
        ("PKCE_WXYZ", (("PKCE_WXYZ", None),)),
        ("PCKE_DOMAIN", (("PCKE_DOMAIN", "PKCE_DOMAIN"),)),
        ("PKCE_STAFF_DOMAIN", ()),
        ("STAFF_PKCE_ADDITIONAL_PARAMETERS", ()),
        ("SERVER_NAME", ()),
    ],
)
def test_misspelt(name: str, found: tuple[tuple[str, str | None], ...]) -> None:
    """Names that look like settings and are none are found, with what may be meant."""
    prefixes = ("PKCE_", "PKCE_STAFF_")
    assert find_misspelt({name: "value"}, other_prefixes=prefixes) == found


def test_every_setting_is_spelt_right() -> None:
    """No setting is taken for a misspelt one."""
    names = {f"AUTH_{setting.metadata['name']}": "" for setting in fields(Settings)}
    assert find_misspelt(names, prefix="AUTH_") == ()
