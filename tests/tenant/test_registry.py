"""Which tenant a sign-in goes to, and where it went."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
import requests_mock

from flask_pkce.errors import ParameterForeign, TenantMisconfigured, TenantReplaced, TenantUnknown
from flask_pkce.sessions.flow import start_flow
from flask_pkce.sessions.session import Grant
from flask_pkce.settings.loading import read_settings
from flask_pkce.settings.tenant import TenantSettings
from flask_pkce.tenant.api import TenantAPI
from flask_pkce.tenant.registry import MAX_LOADED, Tenants, tenant_callback_url
from flask_pkce.tenant.transport import Transport
from tests.support import CALLBACK, CLIENT_ID, EXPECTED, ISSUER, NOW, metadata

ACME = {"domain": "acme.example", "client_id": "a"}
GRANT = Grant(id="1", issuer=ISSUER, claims={"sub": "alice"}, scope=("openid",))


def tenants(load: Any = None, **settings: Any) -> Tenants:
    """Tenants with those settings, by their names without the prefix."""
    config = {"DOMAIN": "tenant.example", "CLIENT_ID": CLIENT_ID, **settings}
    read = read_settings(
        {f"PKCE_{name}": value for name, value in config.items()}, has_loader=load is not None
    )
    return Tenants(read, TenantAPI(Transport(timeout=5)), load=load)


# -- a sign-in that starts -------------------------------------------------------------


@pytest.mark.parametrize("domain", [None, "tenant.example", "https://tenant.example/authorize"])
def test_tenant_that_a_caller_names(domain: str | None) -> None:
    """A caller may name the configured tenant."""
    one = tenants()
    assert one.select(domain) is one.default


@pytest.mark.requirement("UP-9", "N80c", "T12")
@pytest.mark.parametrize("domain", ["evil.example", "http://169.254.169.254/", ""])
def test_tenant_that_is_not_configured(domain: str) -> None:
    """Nothing that a caller names makes the server contact another host (T12)."""
    for these in (tenants(), tenants(TENANTS={"acme": ACME})):
        with requests_mock.Mocker() as mocker, pytest.raises(ParameterForeign) as caught:
            these.select(domain)
        assert caught.value.field == "$.domain"
        assert mocker.call_count == 0


def test_client_id_tells_apart() -> None:
    """Of two registrations at one domain it is the first, unless the client id says another."""
    these = tenants(TENANTS={"acme": ACME, "staff": {**ACME, "client_id": "s"}})
    for client_id, name in ((None, "acme"), ("a", "acme"), ("s", "staff"), ("x", "acme")):
        assert these.select("acme.example", client_id).registration.name == name
    # Without a domain it is the default, which the client id then has to fit.
    assert these.select(None, "s") is these.default


def test_no_tenant_at_all() -> None:
    """Where the host says none, and none is configured, there is none."""
    none = tenants(lambda name: None, DOMAIN=None, CLIENT_ID=None)
    with pytest.raises(TenantUnknown):
        none.select()
    with pytest.raises(TenantUnknown):
        _ = none.default


# -- callbacks -------------------------------------------------------------------------


@pytest.mark.requirement("BC-4", "T4")
def test_callbacks() -> None:
    """Each tenant that has a name has a callback of its own, and that is all it depends on."""
    assert tenant_callback_url(CALLBACK, "acme") == f"{CALLBACK}/acme"
    assert tenant_callback_url(CALLBACK, "") == CALLBACK


# -- a sign-in that goes on --------------------------------------------------------------


def test_of_a_flow() -> None:
    """A flow is at the tenant that it stores, by issuer and client id, or nowhere."""
    these = tenants(TENANTS={"acme": ACME})
    flow = start_flow(state="s", nonce="n", randomness=bytes(32), now=NOW, lifetime=600)
    with pytest.raises(TenantReplaced):
        these.of_flow(flow)
    assert these.of_flow(flow.expect(EXPECTED)) is these.default
    at_acme = dataclasses.replace(
        EXPECTED, tenant="acme", issuer="https://acme.example/", client_id="a"
    )
    assert these.of_flow(flow.expect(at_acme)).registration.name == "acme"
    renamed = dataclasses.replace(at_acme, tenant="its old name")
    assert these.of_flow(flow.expect(renamed)).registration.name == "acme"
    for gone in (
        dataclasses.replace(at_acme, client_id="b"),
        dataclasses.replace(at_acme, issuer=ISSUER),
    ):
        with pytest.raises(TenantReplaced):
            these.of_flow(flow.expect(gone))
    with pytest.raises(TenantReplaced):
        tenants().of_flow(flow.expect(at_acme))


@pytest.mark.requirement("T26")
def test_of_a_grant() -> None:
    """A grant is at the tenant of its name, if issuer and client are those; or of these alone."""
    staff = {"domain": "tenant.example", "client_id": "s"}
    these = tenants(TENANTS={"acme": ACME, "staff": staff})
    acme = dataclasses.replace(GRANT, issuer="https://acme.example/")
    for grant, name in (
        (GRANT, ""),
        (dataclasses.replace(GRANT, client_id="s"), "staff"),
        (dataclasses.replace(GRANT, client_id="s", tenant="staff"), "staff"),
        (dataclasses.replace(GRANT, client_id=CLIENT_ID, tenant="staff"), ""),
        (dataclasses.replace(acme, client_id="a", tenant="acme"), "acme"),
        (dataclasses.replace(acme, client_id="a", tenant="its old name"), "acme"),
    ):
        known = these.of_grant(grant)
        assert known is not None
        assert known.registration.name == name
    for gone in (
        dataclasses.replace(acme, client_id="x", tenant="acme"),
        dataclasses.replace(GRANT, issuer="https://other.example/"),
        dataclasses.replace(GRANT, issuer="https://tenant.example"),
    ):
        assert these.of_grant(gone) is None


# -- tenants of the host's own -------------------------------------------------------------


class Shelf:
    """Makes any tenant that it is asked for."""

    def __init__(self) -> None:
        self.next = "first"
        self.secret = "top-secret"
        self.answer: Any = None

    def __call__(self, name: str | None) -> Any:
        if self.answer is not None:
            return self.answer
        name = name or self.next
        return TenantSettings(
            name, domain=f"{name}.example", client_id="c", client_secret=self.secret
        )


@pytest.fixture
def shelf() -> Shelf:
    return Shelf()


def test_loaded_tenants_are_kept(shelf: Shelf) -> None:
    """What is known of a tenant stays known, as long as its settings are the same."""
    these = tenants(shelf)
    known = these.select()
    assert these.select() is known
    grant = dataclasses.replace(
        GRANT, issuer="https://first.example/", tenant="first", client_id="c"
    )
    assert these.of_grant(grant) is known
    shelf.secret = "another-secret"
    changed = these.of_grant(grant)
    assert changed is not None
    assert changed is not known
    assert changed.registration.client_secret == "another-secret"


def test_loaded_tenants_that_give_way(shelf: Shelf) -> None:
    """A thousand are known at once; the one that was used least lately gives way."""
    these = tenants(shelf)
    first = these.select()
    for number in range(MAX_LOADED - 1):
        shelf.next = f"t{number}"
        these.select()
    shelf.next = "first"
    assert these.select() is first
    shelf.next = "one-more"
    these.select()
    assert len(these._loaded) == MAX_LOADED
    assert "t0" not in these._loaded
    assert these._loaded["first"][1] is first


def test_loaded_metadata_is_fetched_once(shelf: Shelf) -> None:
    """Each tenant has metadata of its own, fetched once."""
    these = tenants(shelf)
    with requests_mock.Mocker() as mocker:
        for name in ("first", "second"):
            issuer = f"https://{name}.example/"
            endpoints = {
                member: value.replace(ISSUER, issuer) for member, value in metadata().items()
            }
            mocker.get(
                f"{issuer}.well-known/openid-configuration",
                json=endpoints,
                headers={"Content-Type": "application/json"},
            )
            shelf.next = name
            for _ in range(3):
                assert these.select().get().issuer == issuer
        assert mocker.call_count == 2


@pytest.mark.parametrize("answer", [5, {"domain": "acme.example"}, b"acme"])
def test_loader_that_returns_something_else(shelf: Shelf, answer: Any) -> None:
    """Anything else is a fault of the host's code."""
    shelf.answer = answer
    with pytest.raises(TypeError, match="a name, TenantSettings or None"):
        tenants(shelf).select()


def test_loader_that_makes_what_is_configured(shelf: Shelf) -> None:
    """A name means one tenant: of the settings, or of the host."""
    shelf.next = "acme"
    with pytest.raises(TenantMisconfigured, match="'acme' is in PKCE_TENANTS too"):
        tenants(shelf, TENANTS={"acme": ACME}).select()


def test_loader_that_makes_another(shelf: Shelf) -> None:
    """A sign-in goes on at its own tenant, and not at that which the host makes in its place."""
    these = tenants(shelf)
    grant = dataclasses.replace(
        GRANT, issuer="https://gone.example/", tenant="gone", client_id="c"
    )
    assert these.of_grant(grant) is not None
    for answer in (TenantSettings("other", domain="gone.example", client_id="c"), "gone"):
        shelf.answer = answer
        assert these.of_grant(grant) is None
    shelf.answer = TenantSettings("gone", domain="other.example", client_id="c")
    assert these.of_grant(grant) is None


# -- tokens that name a tenant ---------------------------------------------------------------


def test_tenant_that_a_token_names(shelf: Shelf) -> None:
    """A token is by the tenant whose issuer and client it names, if that is known here."""
    these = tenants(shelf, TENANTS={"acme": ACME})
    shelf.next = "loaded"
    loaded = these.select()
    acme = these.find_by_token("https://acme.example/", frozenset({"x", "a"}))
    assert acme is not None
    assert acme.registration.name == "acme"
    assert these.find_by_token("https://loaded.example/", frozenset({"c"})) is loaded
    assert these.find_by_token("https://acme.example/", frozenset({CLIENT_ID, ""})) is None
    assert these.find_by_token("https://other.example/", frozenset({"a"})) is None
