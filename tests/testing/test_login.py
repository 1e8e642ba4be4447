"""Signing in by one line: without a provider, and through the redirects of a local tenant."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Blueprint, Flask, g, redirect, request, session, url_for
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response as BaseResponse

from flask_pkce import (
    AccessDenied,
    PKCEBlueprint,
    TenantSettings,
    TokenResponse,
    signed_in,
    testing,
)
from flask_pkce.errors import TenantUnknown
from flask_pkce.testing import LocalTenant, SignInRefused, TenantClient, login_as, logout
from flask_pkce.testing.visits import Visit
from tests.support import told

SECRET_KEY = "a key of the tests of tests, long enough"
#: Nobody answers there, and no socket may be opened to ask.
NOWHERE = "https://nowhere.example/"

Build = Callable[..., Flask]


@pytest.fixture
def pkce() -> PKCEBlueprint:
    """The blueprint of the application under test."""
    return PKCEBlueprint()


@pytest.fixture
def build(pkce: PKCEBlueprint, monkeypatch: pytest.MonkeyPatch) -> Build:
    """Build an application whose tenant cannot be reached."""

    def fail(*args: Any, **kwargs: Any) -> Any:
        raise AssertionError("a socket is opened")

    monkeypatch.setattr(socket.socket, "connect", fail)

    def build(*blueprints: PKCEBlueprint, url_prefix: str = "", **settings: Any) -> Flask:
        app = Flask("host")
        app.testing = True
        for each in blueprints or (pkce,):
            usual = {
                "DOMAIN": NOWHERE,
                "CLIENT_ID": "client",
                "STORE_URL": "memory://",
                "TOKEN_DELIVERY": "session",
            }
            app.config.update({each.config_prefix + name: usual[name] for name in usual})
            app.config.update(SECRET_KEY=SECRET_KEY, **settings)
            each.init_app(app, url_prefix=url_prefix if not blueprints else f"/{each.name}")

        @app.get("/account")
        def account() -> str | BaseResponse:
            return f"You are {session['user']}." if "user" in session else redirect("/")

        app.add_url_rule("/cookies", view_func=lambda: sorted(request.cookies))
        return app

    return build


# -- login_as ----------------------------------------------------------------------------


def test_user(build: Build) -> None:
    """The routes of the blueprint know who is signed in, and nobody asked the tenant."""
    client = build().test_client()
    assert client.get("/pkce/user").status_code == 401
    made = login_as(client, "auth0|carol", email="carol@example.com")
    assert made.claims["sub"] == "auth0|carol"
    told = client.get("/pkce/user").get_json()
    assert told == made.claims
    assert (told["iss"], told["aud"]) == (NOWHERE, "client")
    assert told["email"] == "carol@example.com"
    assert told["iat"] == told["auth_time"] < told["exp"]


def test_protected_page(pkce: PKCEBlueprint, build: Build) -> None:
    """What the host does after a sign-in is done: it logs in its own user."""

    @pkce.after_token
    def log_in(response: TokenResponse) -> TokenResponse:
        session["user"] = response.claims["name"]
        return response.replace(claims={**response.claims, "role": "admin"})

    client = build(url_prefix="/auth").test_client()
    assert client.get("/account").location == "/"
    assert login_as(client, name="Carol").claims["role"] == "admin"
    assert client.get("/account").text == "You are Carol."
    assert client.get("/auth/pkce/user").get_json()["role"] == "admin"


def test_nobody_else_is_signed_in(pkce: PKCEBlueprint, build: Build) -> None:
    """Whoever comes to the callback at that moment is answered as ever."""
    answers: list[TestResponse] = []

    @pkce.after_token
    def meanwhile(response: TokenResponse) -> None:
        stranger = app.test_client()
        answers.append(stranger.get("/pkce/response/code"))
        answers.append(stranger.get("/pkce/user"))

    app = build()
    login_as(app.test_client())
    assert [answer.status_code for answer in answers] == [400, 401]


def test_without_hooks(pkce: PKCEBlueprint, build: Build) -> None:
    """A test can leave out what the host does after a sign-in."""

    @pkce.after_token
    def log_in(response: TokenResponse) -> None:
        raise AssertionError("a hook runs")

    client = build().test_client()
    login_as(client, runs_hooks=False)
    assert client.get("/pkce/user").status_code == 200
    assert client.get("/account").location == "/"


@pytest.mark.parametrize(
    ("org", "claims"),
    [
        ("org_1", {"org_id": "org_1"}),
        ("Acme", {"org_id": f"org_{b'acme'.hex()}", "org_name": "acme"}),
        (None, {}),
    ],
)
def test_organization(org: str | None, claims: dict[str, str], build: Build) -> None:
    """An organization becomes the claims that Auth0 makes of it."""
    made = login_as(build().test_client(), org=org).claims
    assert {name: made[name] for name in made if name.startswith("org_")} == claims


def test_tokens(build: Build) -> None:
    """The hooks and signals get the access token that the test names, or a made-up one."""
    app = build(PKCE_SCOPE="openid email")
    with told(signed_in) as heard:
        login_as(
            app.test_client(),
            access_token="the token",
            scope="openid read:things",
            audience="https://api.example/",
            expires_in=60,
        )
    response = heard[0]["response"]
    assert (response.access_token, response.expires_in) == ("the token", 60)
    assert response.scope == ("openid", "read:things")
    assert response.refresh_token is None
    usual = login_as(app.test_client())
    assert usual.scope == ("openid", "email")
    assert usual.access_token != login_as(app.test_client()).access_token


def test_views_of_the_host(pkce: PKCEBlueprint, build: Build) -> None:
    """What the host's views ask the blueprint for is there: the user, and access tokens."""
    api = "https://api.example/"
    app = build(PKCE_ALLOWED_AUDIENCES=[api], PKCE_SESSION_IDLE_LIFETIME=600)

    @app.get("/orders")
    @pkce.login_required(max_age=60)
    def orders() -> dict[str, object]:
        assert pkce.user is not None
        audience = request.args.get("audience")
        return {"user": pkce.user.subject, "token": pkce.access_token(audience=audience)}

    headers = {"Accept": "application/json"}
    client = app.test_client()
    assert client.get("/orders", headers=headers).status_code == 401
    login_as(client, "auth0|carol", access_token="the token")
    assert client.get("/orders").get_json() == {"user": "auth0|carol", "token": "the token"}
    login_as(client, access_token="another", audience=api)
    assert client.get(f"/orders?audience={api}").get_json()["token"] == "another"
    assert client.get("/orders", headers=headers).status_code == 401
    login_as(client, auth_time=0)
    assert client.get("/orders", headers=headers).status_code == 403
    login_as(client, expires_in=0)
    assert client.get("/orders", headers=headers).status_code == 401
    held = pkce.relying_party(app).sessions.at(
        pkce.relying_party(app).signing.read_pointer(client.get_cookie("pkce-80").value)  # type: ignore[union-attr]
    )
    assert held is not None
    assert not held.value.flows


def test_claims_can_be_any(build: Build) -> None:
    """A claim that the test names takes the place of the usual one."""
    claims: dict[str, Any] = {"https://shop.example/roles": ["admin"], "iss": "https://other/"}
    made = login_as(build().test_client(), **claims)
    assert made.claims.items() >= claims.items()


def test_another_user(build: Build) -> None:
    """Signing in again is a second sign-in of the same browser, the newest is the user."""
    client = build().test_client()
    login_as(client, "auth0|alice")
    login_as(client, "auth0|bob")
    assert client.get("/pkce/user").get_json()["sub"] == "auth0|bob"
    other = client.application.test_client()
    assert other.get("/pkce/user").status_code == 401


def test_again_after_a_sign_out_everywhere(pkce: PKCEBlueprint, build: Build) -> None:
    """A user who was signed out everywhere is signed in again, and that counts."""
    client = build().test_client()
    claims = login_as(client, "auth0|alice").claims
    pkce.relying_party(client.application).sign_out.everywhere(NOWHERE, "auth0|alice")
    assert client.get("/pkce/user").status_code == 401
    login_as(client, "auth0|alice")
    assert client.get("/pkce/user").status_code == 200
    pkce.relying_party(client.application).revocations.end_session(NOWHERE, claims["sid"])
    login_as(client, "auth0|alice", sid=claims["sid"])
    assert client.get("/pkce/user").status_code == 401


TENANTS = {"acme": {"domain": "https://acme.example/", "client_id": "shop", "scope": "openid"}}


def test_one_of_several_tenants(pkce: PKCEBlueprint, build: Build) -> None:
    """The test names a tenant; else it is that to which a sign-in of such a request goes."""
    app = build(PKCE_TENANTS=TENANTS)
    client = app.test_client()
    assert login_as(client).claims["iss"] == NOWHERE
    made = login_as(client, tenant="acme")
    assert made.scope == ("openid",)
    assert (made.claims["iss"], made.claims["aud"]) == ("https://acme.example/", "shop")
    assert client.get("/pkce/user").get_json() == made.claims
    with pytest.raises(TenantUnknown):
        login_as(client, tenant="Acme")


def test_tenants_of_the_host_alone(pkce: PKCEBlueprint, build: Build) -> None:
    """Where no tenant is configured, the loader says which it is, by name and by request."""

    @pkce.tenant_loader
    def load(name: str | None) -> TenantSettings | None:
        name = name or request.host.partition(".")[0]
        return TenantSettings(name, **TENANTS["acme"]) if name in {"acme", "other"} else None

    app = build(
        PKCE_DOMAIN=None,
        PKCE_CLIENT_ID=None,
        PKCE_PUBLIC_URL="https://www.example.com",
        PKCE_FURTHER_PUBLIC_URLS=["https://acme.example.com"],
    )
    client = app.test_client()
    assert login_as(client, tenant="acme").claims["iss"] == "https://acme.example/"
    assert client.get("/pkce/user", base_url="https://www.example.com").status_code == 200
    made = login_as(app.test_client(), base_url="https://acme.example.com/")
    assert made.claims["aud"] == "shop"
    for options in ({"tenant": "nobody"}, {}):
        with pytest.raises(TenantUnknown):
            login_as(app.test_client(), **options)  # type: ignore[arg-type]


def test_public_url(build: Build) -> None:
    """Over https the cookie has its name there; the host's pages are asked for anywhere."""
    app = build(PKCE_PUBLIC_URL="https://app.example/shop", url_prefix="/auth")
    client = app.test_client()
    login_as(client)
    assert client.get_cookie("__Host-pkce", domain="app.example") is not None
    there = client.get("/auth/pkce/user", base_url="https://app.example/shop")
    assert there.status_code == 200
    assert client.get("/cookies").get_json() == ["__Host-pkce"]
    logout(client)
    assert client.get("/cookies").get_json() == []


def test_base_url(build: Build) -> None:
    """A test that goes to a port of its own says so, and finds the cookie there alone."""
    client = build().test_client()
    login_as(client, base_url="http://127.0.0.1:5000")
    assert client.get_cookie("pkce-5000", domain="127.0.0.1") is not None
    assert client.get("/pkce/user", base_url="http://127.0.0.1:5000").status_code == 200
    assert client.get("/pkce/user").status_code == 401


def test_several_blueprints(build: Build) -> None:
    """Where there are several the test names one, by its full name."""
    staff = PKCEBlueprint("staff", config_prefix="STAFF_PKCE_")
    app = build(PKCEBlueprint(), staff)
    client = app.test_client()
    with pytest.raises(LookupError, match="the application has: pkce, staff"):
        login_as(client)
    with pytest.raises(LookupError, match="which blueprint"):
        login_as(client, blueprint="guests")
    login_as(client, blueprint="staff")
    assert client.get("/staff/pkce/user").status_code == 200
    assert client.get("/pkce/pkce/user").status_code == 401
    logout(client, blueprint="staff")
    assert client.get("/staff/pkce/user").status_code == 401
    with pytest.raises(LookupError, match="call its init_app first"):
        login_as(Flask("without").test_client())


def test_nested_blueprint() -> None:
    """A blueprint inside another has a cookie by its full name."""
    outer, inner = Blueprint("shop", __name__), PKCEBlueprint("in")
    outer.register_blueprint(inner)
    app = Flask("host")
    app.config.update(
        SECRET_KEY=SECRET_KEY,
        PKCE_DOMAIN=NOWHERE,
        PKCE_CLIENT_ID="client",
        PKCE_STORE_URL="memory://",
        PKCE_TOKEN_DELIVERY="session",
    )
    app.register_blueprint(outer, url_prefix="/shop")
    client = app.test_client()
    login_as(client)
    assert client.get_cookie("pkce-shop-in-80") is not None
    with app.test_request_context():
        assert client.get(url_for("shop.in.user")).status_code == 200


def test_local_session(build: Build) -> None:
    """Beside the local session it is the client's own, which programs do not get at."""
    client = build(PKCE_LOCAL_SESSION=True).test_client()
    login_as(client)
    assert client.get("/pkce/user").status_code == 200
    program = client.application.test_client(use_cookies=False)
    assert program.get("/pkce/user").status_code == 401


def test_delivery_caller(build: Build) -> None:
    """With the other delivery there is nothing to sign in to."""
    app = build(PKCE_TOKEN_DELIVERY="caller")
    with pytest.raises(RuntimeError, match="PKCE_TOKEN_DELIVERY `session`"):
        login_as(app.test_client())


@pytest.mark.parametrize("kind", [AccessDenied, ValueError])
def test_hook_refuses(kind: type[Exception], pkce: PKCEBlueprint, build: Build) -> None:
    """What a hook raises is raised in the test, whatever the host would make of it."""

    @pkce.after_token
    def refuse(response: TokenResponse) -> None:
        raise kind("Only staff.")

    app = build()
    app.register_error_handler(Exception, lambda error: ("sorry", 500))
    client = app.test_client()
    with pytest.raises(kind, match="Only staff"):
        login_as(client)
    assert client.get("/pkce/user").status_code == 401
    # The real view is back.
    assert client.get("/pkce/response/code").status_code == 400


def test_host_is_in_the_way(build: Build) -> None:
    """A host that lets nobody through to the callback is named as what it is."""
    app = build()
    app.before_request(lambda: ("log in first", 403))
    with pytest.raises(RuntimeError, match="the application itself answered 403"):
        login_as(app.test_client())


def test_what_the_host_does_around_it(build: Build) -> None:
    """The request is one of the host's, with what it does before and after."""
    app = build()

    @app.before_request
    def before() -> None:
        g.seen = True

    @app.after_request
    def after(response: Any) -> Any:
        assert g.seen
        response.set_cookie("theirs", "yes")
        return response

    client = app.test_client()
    login_as(client)
    assert client.get_cookie("theirs") is not None


def test_logout(pkce: PKCEBlueprint, build: Build) -> None:
    """Signing out ends the session and takes the cookie away."""
    client = build().test_client()
    login_as(client)
    logout(client)
    assert client.get_cookie("pkce-80") is None
    assert client.get("/pkce/user").status_code == 401


# -- through the redirects ----------------------------------------------------------------


@pytest.fixture
def provider(tenant_keys: Path) -> LocalTenant:
    """A tenant that does not serve, with a confidential client."""
    client = TenantClient("shop", "a secret of the shop")
    return LocalTenant(clients=[client], keys_folder=tenant_keys)


@pytest.fixture
def shop(provider: LocalTenant, pkce: PKCEBlueprint, build: Build) -> Build:
    """Build an application that signs in there."""

    @pkce.after_token
    def log_in(response: TokenResponse) -> None:
        session["user"] = response.claims["name"]

    return lambda **settings: build(**{**provider.config, **settings})


@pytest.mark.parametrize("response_mode", ["form_post", "query"])
@pytest.mark.parametrize("samesite", ["Lax", "Strict"])
@pytest.mark.parametrize("public_url", [None, "https://app.example", "https://app.example/shop"])
def test_redirects(
    response_mode: str,
    samesite: str,
    public_url: str | None,
    provider: LocalTenant,
    shop: Build,
) -> None:
    """A test client goes the whole way, and ends at the page it wanted."""
    client = shop(
        PKCE_RESPONSE_MODE=response_mode,
        SESSION_COOKIE_SAMESITE=samesite,
        PKCE_PUBLIC_URL=public_url,
        url_prefix="/auth",
    ).test_client()
    for name in ("bob", "alice"):
        page = provider.sign_in_client(client, name, return_to="/account")
        assert page.text == f"You are {name.title()} Example."
    assert client.get("/account").text == "You are Alice Example."
    assert provider.count("POST", "/oauth/token") == 2
    assert len(provider.client.redirect_uris) == 1


@pytest.mark.parametrize("response_mode", ["form_post", "query"])
def test_named_tenant(response_mode: str, provider: LocalTenant, shop: Build) -> None:
    """A test client comes back to the callback of a named tenant, which is its own."""
    names = ("domain", "client_id", "client_secret")
    named = {name: provider.config[f"PKCE_{name.upper()}"] for name in names}
    app = shop(
        PKCE_DOMAIN=None,
        PKCE_CLIENT_ID=None,
        PKCE_CLIENT_SECRET=None,
        PKCE_TENANTS={"acme": named},
        PKCE_RESPONSE_MODE=response_mode,
        url_prefix="/auth",
    )
    page = provider.sign_in_client(app.test_client(), return_to="/account")
    assert page.text == "You are Alice Example."
    (callback,) = provider.client.redirect_uris
    assert callback.endswith("/auth/pkce/response/code/acme")


def test_cancel(provider: LocalTenant, shop: Build) -> None:
    """Who cancels ends at the page that says so."""
    page = provider.sign_in_client(shop().test_client(), cancel=True)
    assert page.status_code == 400
    assert "access-denied" in page.text


def test_away(provider: LocalTenant, shop: Build) -> None:
    """Where the application sends the browser to another one, the client stays."""
    app = shop(PKCE_AUTHENTICATED_URL="https://elsewhere.example/welcome")
    page = provider.sign_in_client(app.test_client())
    assert (page.status_code, page.location) == (303, "https://elsewhere.example/welcome")


def test_no_way_to_the_tenant(provider: LocalTenant, shop: Build) -> None:
    """Where the sign-in does not even start, its error is what the browser sees."""
    provider.faults.add("metadata-issuer-mismatch")
    page = provider.sign_in_client(shop().test_client())
    assert page.status_code == 500
    assert "tenant-misconfigured" in page.text


def test_unknown_client(provider: LocalTenant, shop: Build) -> None:
    """A client that the tenant does not know is the tenant's page."""
    client = shop(PKCE_CLIENT_ID="somebody-else").test_client()
    with pytest.raises(SignInRefused, match="No application has this client_id"):
        provider.sign_in_client(client)


def test_endless_redirects(provider: LocalTenant, shop: Build) -> None:
    """An application that redirects for ever is left in the end."""
    app = shop()
    app.add_url_rule("/again", "again", view_func=lambda: redirect("/again"))
    page = provider.sign_in_client(app.test_client(), return_to="/again")
    assert (page.status_code, page.location) == (302, "/again")


def test_config_for(provider: LocalTenant) -> None:
    """The settings carry the prefix of the blueprint; a public client has no secret."""
    assert provider.config_for("STAFF_") == {
        "STAFF_DOMAIN": "https://tenant.example/",
        "STAFF_CLIENT_ID": "shop",
        "STAFF_CLIENT_SECRET": "a secret of the shop",
        "STAFF_STORE_URL": "memory://",
    }
    assert LocalTenant().config.keys() == {"PKCE_DOMAIN", "PKCE_CLIENT_ID", "PKCE_STORE_URL"}


def test_usual_address(build: Build) -> None:
    """Without an address the client's own is taken, which `SERVER_NAME` changes."""
    client = build(SERVER_NAME="localhost:5000").test_client()
    assert Visit.of(client).base_url.rstrip("/") == "http://localhost:5000"


# -- what is imported ---------------------------------------------------------------------

IMPORTS = """
import json, sys
{}
print(json.dumps(sorted(name.partition(".")[0] for name in sys.modules)))
"""


def imported_by(code: str) -> set[str]:
    """The packages that a new process has after that code."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS.format(code)], check=True, capture_output=True, text=True
    )
    return set(json.loads(done.stdout))


def test_nothing_heavy_is_imported() -> None:
    """The plugin, which every run of pytest loads, imports nothing but pytest; see `login_as`."""
    heavy = {"flask", "werkzeug", "requests", "cryptography", "joserfc", "msgspec", "authlib"}
    assert not heavy & imported_by("import flask_pkce.testing.plugin")
    assert not {"authlib", "pytest"} & imported_by("from flask_pkce.testing import login_as")
    assert "authlib" in imported_by("from flask_pkce.testing import LocalTenant")


def test_without_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever installed the library alone is told what the tenant needs."""
    monkeypatch.delitem(sys.modules, "flask_pkce.testing.tenant")
    monkeypatch.setitem(sys.modules, "authlib", None)
    for name in [
        each for each in sys.modules if each.startswith(("authlib.", "flask_pkce.testing.tenant."))
    ]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(ModuleNotFoundError) as told:
        testing.LocalTenant  # noqa: B018
    assert told.value.__notes__ == ["pip install 'flask-pkce[testing]' brings it."]
