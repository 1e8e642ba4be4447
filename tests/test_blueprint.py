"""The blueprint in its hosts: registration, settings, hooks, and what hosts do around it."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import flask
import pytest
from flask import Blueprint, Flask, Response, g, request, session
from flask.json.provider import DefaultJSONProvider
from flask.sansio.app import App

from flask_pkce import (
    ConfigurationError,
    MemoryStore,
    PKCEBlueprint,
    SQLiteStore,
)
from flask_pkce.testing import LocalTenant
from tests.conftest import SECRET_KEY, MakeApp
from tests.support import rsa_key
from tests.web.host import CALLBACK, Browser, Caller, Host, check_page, check_problem
from tests.web.prepared import Prepared


def sign_in(host: Host, caller: Caller) -> Any:
    """Sign somebody in; the answer of ``/token``."""
    Prepared(host, caller, own_state=False).put("bound")
    return caller.token()


# -- registration ---------------------------------------------------------------------------


def test_application_factory(make_app: MakeApp) -> None:
    """One blueprint object serves several applications in one process, each with its own
    settings and state."""
    pkce = PKCEBlueprint()
    hosts = [make_app(blueprint=pkce, PKCE_SCOPE=scope) for scope in ("openid", "openid email")]
    assert hosts[0].relying_party is not hosts[1].relying_party
    browsers = [host.browser() for host in hosts]
    for host, browser in zip(hosts, browsers, strict=True):
        assert sign_in(host, browser).status_code == 200
    scopes = [browser.code().get_json()["seed"]["scope"] for browser in browsers]
    assert scopes == [["openid"], ["openid", "email"]]


def test_register_blueprint(tenant: LocalTenant) -> None:
    """``app.register_blueprint`` does the same as ``init_app``."""
    app = Flask("host")
    app.config.update(config(tenant))
    pkce = PKCEBlueprint()
    app.register_blueprint(pkce, url_prefix="/auth")
    tenant.mount(pkce.relying_party(app).transport.session)
    assert app.test_client().get("/auth/pkce/challenge").status_code == 200


def config(tenant: LocalTenant, prefix: str = "PKCE_", **settings: Any) -> dict[str, Any]:
    """The settings that there must be."""
    return {
        "SECRET_KEY": SECRET_KEY,
        f"{prefix}DOMAIN": tenant.issuer,
        f"{prefix}CLIENT_ID": tenant.client.client_id,
        f"{prefix}STORE_URL": "memory://",
        **settings,
    }


@pytest.mark.parametrize("url_prefix", ["/auth", "/auth/", "/a/b"])
def test_url_prefix(url_prefix: str, make_app: MakeApp) -> None:
    """Below a prefix the five routes, the redirect URI and the pages' links lie there."""
    host = make_app(url_prefix=url_prefix.rstrip("/"))
    browser = host.browser()
    url = browser.submit("/pkce/code").headers["Location"]
    answer = host.tenant.sign_in(url)
    assert answer.url == f"http://localhost{url_prefix.rstrip('/')}{CALLBACK}"
    response = browser.deliver(answer)
    assert response.headers["Location"].startswith(f"{url_prefix.rstrip('/')}{CALLBACK}?ticket=")
    assert browser.follow(response).status_code == 200
    action = f'action="{url_prefix.rstrip("/")}/pkce/code"'
    assert action in browser.open("/pkce/challenge").text


def test_prefix_of_the_blueprint_itself(tenant: LocalTenant) -> None:
    """The prefix can be given to the blueprint."""
    app = Flask("host")
    app.config.update(config(tenant))
    pkce = PKCEBlueprint(url_prefix="/auth")
    pkce.init_app(app)
    tenant.mount(pkce.relying_party(app).transport.session)
    assert app.test_client().get("/auth/pkce/challenge").status_code == 200


@pytest.mark.parametrize("prefix", ["PKCE_", "STAFF_PKCE_"])
def test_unusable_certificate_authorities(prefix: str, tenant: LocalTenant) -> None:
    """A file without a certificate stops the start, and the setting is named."""
    app = Flask("host")
    app.config.update(config(tenant, prefix, **{f"{prefix}CA_BUNDLE": __file__}))
    with pytest.raises(ConfigurationError, match=f"^{prefix}CA_BUNDLE cannot be read"):
        PKCEBlueprint(config_prefix=prefix).init_app(app)


def test_prefix_with_a_variable(tenant: LocalTenant) -> None:
    """A prefix with a variable would make no redirect URI: it stops the start."""
    app = Flask("host")
    app.config.update(config(tenant))
    with pytest.raises(ConfigurationError, match="url_prefix"):
        PKCEBlueprint().init_app(app, url_prefix="/<lang>")


def test_nesting(tenant: LocalTenant) -> None:
    """In a parent blueprint it lies below the parent's prefix, under its full name."""
    app = Flask("host")
    app.config.update(config(tenant))
    parent = Blueprint("shop", __name__, url_prefix="/shop")
    pkce = PKCEBlueprint()
    parent.register_blueprint(pkce, url_prefix="/auth")
    app.register_blueprint(parent)
    assert list(app.extensions["pkce"]) == ["shop.pkce"]
    tenant.mount(pkce.relying_party(app).transport.session)
    response = app.test_client().post("/shop/auth/pkce/code")
    redirect_uri = response.get_json()["seed"]["redirect_uri"]
    assert redirect_uri == "http://localhost/shop/auth/pkce/response/code"
    assert response.headers["Set-Cookie"].startswith("pkce-shop-pkce-80=")
    with app.test_request_context():
        assert flask.url_for("shop.pkce.challenge") == "/shop/auth/pkce/challenge"


@pytest.mark.requirement("BC-4", "BC-19", "CK-6", "N50", "T4")
def test_several_blueprints(make_app: MakeApp, tenant: LocalTenant) -> None:
    """Several blueprints in one application have settings, cookies and sessions of their own."""
    users, staff = PKCEBlueprint(), PKCEBlueprint("staff", config_prefix="STAFF_PKCE_")
    app = Flask("host")
    host = make_app(app=app, blueprint=users)
    crew = make_app(
        app=app,
        blueprint=staff,
        url_prefix="/staff",
        STAFF_PKCE_SCOPE="openid email",
        STAFF_PKCE_STORE_URL=host.store,
    )
    browser, same = host.browser(), crew.browser()
    same.client = browser.client
    one = browser.code()
    other = same.code()
    assert one.headers["Set-Cookie"].startswith("pkce-80=")
    assert other.headers["Set-Cookie"].startswith("pkce-staff-80=")
    assert other.get_json()["seed"]["scope"] == ["openid", "email"]
    # A state of one is none to the other, although they share key and store.
    for caller, state in (
        (same, one.get_json()["seed"]["state"]),
        (browser, other.get_json()["seed"]["state"]),
    ):
        check_problem(caller.code(state=state), "state-forged")
        check_problem(caller.respond(state=state, code="c"), "state-forged")
    # Nor is a cookie.
    cookie = next(value for name, value in browser.cookies.items() if name == "pkce-80")
    headers = {"Cookie": f"pkce-staff-80={cookie}"}
    check_problem(crew.program().send("POST", "/pkce/token", headers=headers), "cookie-forged")
    # Either signs in, and clearing one leaves the other.
    answer = tenant.sign_in(one.get_json()["authorization_url"])
    assert "Signed in" in browser.arrive(answer).text
    answer = tenant.sign_in(other.get_json()["authorization_url"], "bob")
    assert "Signed in" in same.arrive(answer).text
    assert same.clear().status_code == 204
    assert browser.token().get_json()["auth0"]["user"]["user_id"] == "auth0|alice"


def test_same_blueprint_twice(tenant: LocalTenant) -> None:
    """One blueprint object can be registered twice in one application, under two names."""
    app = Flask("host")
    app.config.update(config(tenant))
    pkce = PKCEBlueprint()
    pkce.init_app(app, url_prefix="/one")
    pkce.init_app(app, url_prefix="/two", name="other")
    assert list(app.extensions["pkce"]) == ["pkce", "other"]
    for extension in app.extensions["pkce"].values():
        tenant.mount(extension.relying_party.transport.session)
    cookies = [
        app.test_client().get(f"/{path}/pkce/challenge").headers["Set-Cookie"].partition("=")[0]
        for path in ("one", "two")
    ]
    assert cookies == ["pkce-80", "pkce-other-80"]


def test_unregistered() -> None:
    """The relying party of an application in which it is not registered does not exist."""
    with pytest.raises(LookupError, match="not registered"):
        PKCEBlueprint().relying_party(Flask("host"))


def test_engine_of_each(make_app: MakeApp) -> None:
    """Each blueprint finds its own relying party."""
    users, staff = PKCEBlueprint(), PKCEBlueprint("staff")
    app = Flask("host")
    make_app(app=app, blueprint=users)
    make_app(app=app, blueprint=staff, url_prefix="/staff")
    assert users.relying_party(app) is not staff.relying_party(app)


def test_no_flask_application() -> None:
    """What is no Flask application, such as a Quart one, is refused in words."""
    app = SansIOApp("host")
    with pytest.raises(TypeError, match="needs a Flask application"):
        app.register_blueprint(PKCEBlueprint())


class SansIOApp(App):
    """An application without Flask's own input and output."""

    default_config = Flask.default_config

    def add_url_rule(self, *args: Any, **kwargs: Any) -> None:
        """Do without routes."""


@pytest.mark.requirement("CK-15", "N02", "N03")
@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"PKCE_DOMAIN": ""}, ["PKCE_DOMAIN"]),
        ({"PKCE_CLIENT_ID": None, "PKCE_SCOPE": "profile"}, ["PKCE_CLIENT_ID", "PKCE_SCOPE"]),
        ({"SECRET_KEY": None, "PKCE_TIMEOUT": "soon"}, ["SECRET_KEY", "PKCE_TIMEOUT"]),
        ({"SECRET_KEY": "dev"}, ["SECRET_KEY"]),
        ({"PKCE_STORE_URL": "redis://127.0.0.1:1"}, ["PKCE_STORE_URL"]),
        ({"PKCE_STORE_PREFIX": "\n"}, ["PKCE_STORE_PREFIX"]),
        ({"PKCE_STORE_URL": "nonsense"}, ["PKCE_STORE_URL"]),
        ({"PKCE_PUBLIC_URL": "http://app.example"}, ["PKCE_PUBLIC_URL"]),
        (
            {"PKCE_LOCAL_SESSION": "true", "PKCE_PUBLIC_URL": "https://app.example"},
            ["PKCE_LOCAL_SESSION", "PKCE_PUBLIC_URL"],
        ),
    ],
)
def test_bad_settings(settings: dict[str, Any], named: list[str], tenant: LocalTenant) -> None:
    """A bad setting stops the start; every one is named at once."""
    app = Flask("host")
    app.config.update({**config(tenant), **settings})
    with pytest.raises(ConfigurationError) as caught:
        PKCEBlueprint().init_app(app)
    for name in named:
        assert name in str(caught.value)
    assert "pkce" not in app.extensions


def test_store_that_cannot_be_opened(tenant: LocalTenant, tmp_path: Path) -> None:
    """A store that cannot be opened stops the start; nothing falls back silently."""
    app = Flask("host")
    url = f"sqlite:///{tmp_path}/file/in/no/folder.db"
    (tmp_path / "file").write_text("")
    app.config.update(config(tenant, PKCE_STORE_URL=url))
    with pytest.raises(ConfigurationError, match="PKCE_STORE_URL"):
        PKCEBlueprint().init_app(app)


def test_store_that_others_can_write(tenant: LocalTenant, tmp_path: Path) -> None:
    """A file to which another user could write stops the start, and it is said what to do."""
    app = Flask("host")
    path = tmp_path / "store.db"
    path.touch()
    path.chmod(0o666)
    app.config.update(config(tenant, PKCE_STORE_URL=f"sqlite:///{path}"))
    with pytest.raises(ConfigurationError) as caught:
        PKCEBlueprint().init_app(app)
    assert caught.value.faults == (
        f"PKCE_STORE_URL: {path} can be written by other users: run chmod go-w on it.",
    )


@pytest.mark.requirement("CK-15")
@pytest.mark.parametrize("flag", ["debug", "testing"])
def test_weak_key(flag: str, tenant: LocalTenant, caplog: pytest.LogCaptureFixture) -> None:
    """Under ``debug`` and ``testing`` a weak key only warns."""
    app = Flask("host")
    setattr(app, flag, True)
    app.config.update(config(tenant, SECRET_KEY="dev"))
    with caplog.at_level(logging.WARNING, "flask_pkce"):
        PKCEBlueprint().init_app(app)
    assert "SECRET_KEY is weak" in caplog.text


@pytest.mark.requirement("BB-1")
@pytest.mark.parametrize(
    ("settings", "warns"),
    [
        ({}, True),
        ({"PKCE_CLIENT_SECRET": "the secret"}, False),
        ({"PKCE_CLIENT_KEY": rsa_key().as_dict(private=True)}, False),
        ({"PKCE_PUBLIC_URL": "http://localhost:5000"}, False),
        ({"PKCE_PUBLIC_URL": None}, False),
        ({"PKCE_TOKEN_DELIVERY": "caller"}, False),
    ],
)
def test_backend_without_client_secret(
    settings: dict[str, Any], warns: bool, tenant: LocalTenant, caplog: pytest.LogCaptureFixture
) -> None:
    """A server on the internet that keeps the tokens is told that it needs a client secret."""
    app = Flask("host")
    backend = {"PKCE_TOKEN_DELIVERY": "session", "PKCE_PUBLIC_URL": "https://app.example"}
    app.config.update({**config(tenant), **backend, **settings})
    with caplog.at_level(logging.WARNING, "flask_pkce"):
        PKCEBlueprint().init_app(app)
    assert ("PKCE_CLIENT_SECRET is missing" in caplog.text) is warns


def test_prefixed_environment(tenant: LocalTenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings come from ``FLASK_PKCE_*`` as ``from_prefixed_env`` parses them."""
    for name, value in config(tenant, PKCE_CLIENT_ID="12345", PKCE_LOCAL_SESSION="True").items():
        monkeypatch.setenv(f"FLASK_{name}", value)
    app = Flask("host")
    app.config.from_prefixed_env()
    pkce = PKCEBlueprint()
    pkce.init_app(app)
    settings = pkce.relying_party(app).settings
    assert (settings.client_id, settings.local_session) == ("12345", True)


def test_default_store(tenant: LocalTenant, tmp_path: Path) -> None:
    """By default sign-ins are kept in SQLite, in the instance folder, and survive a restart."""
    cookies: dict[str, str] = {}
    for _ in range(2):
        app = Flask("host", instance_path=str(tmp_path))
        settings = config(tenant)
        del settings["PKCE_STORE_URL"]
        app.config.update(settings)
        pkce = PKCEBlueprint()
        pkce.init_app(app)
        tenant.mount(pkce.relying_party(app).transport.session)
        store = pkce.relying_party(app).store
        assert isinstance(store, SQLiteStore)
        assert (tmp_path / "pkce.db").exists()
        client = app.test_client()
        for name, value in cookies.items():
            client.set_cookie(name, value)
        response = client.get("/pkce/challenge")
        assert ("Set-Cookie" in response.headers) is not bool(cookies)
        cookies = {cookie.key: cookie.value for cookie in (client._cookies or {}).values()}
        store.close()


def test_store_object(tenant: LocalTenant) -> None:
    """A store object of the host's own is taken as it is."""
    app = Flask("host")
    store = MemoryStore()
    app.config.update(config(tenant, PKCE_STORE_URL=store))
    pkce = PKCEBlueprint()
    pkce.init_app(app)
    assert pkce.relying_party(app).store is store


# -- what hosts do around it -------------------------------------------------------------------


def test_error_handlers_of_the_host(make_app: MakeApp) -> None:
    """A host that handles every exception does not get ours."""
    app = Flask("host")

    @app.errorhandler(Exception)
    def handle(error: Exception) -> tuple[str, int]:
        return "the host's", 418

    @app.errorhandler(404)
    @app.errorhandler(405)
    def handle_http(error: Exception) -> tuple[str, int]:
        return "the host's", 419

    host = make_app(app=app)
    browser = host.browser()
    check_problem(browser.code(prompt="maybe"), "parameter-invalid")
    check_problem(browser.send("PUT", "/pkce/code"), "method-not-allowed")
    check_page(browser.open(CALLBACK), "answer-missing")
    url = browser.submit("/pkce/code").headers["Location"]
    assert "Signed in" in browser.arrive(host.tenant.sign_in(url)).text


def test_replaced_json(make_app: MakeApp) -> None:
    """A host that replaced ``app.json`` changes neither what we read nor what we answer."""

    class Odd(DefaultJSONProvider):
        def dumps(self, obj: Any, **kwargs: Any) -> str:
            return super().dumps({"envelope": obj}, **kwargs)

        def loads(self, s: str | bytes, **kwargs: Any) -> Any:
            raise AssertionError("our bodies are read by ourselves")

    app = Flask("host")
    app.json = Odd(app)
    host = make_app(app=app)
    body = b'{"state": "mine"}'
    browser = host.browser()
    response = browser.send("POST", "/pkce/code", data=body, content_type="application/json")
    url = json.loads(response.data)["authorization_url"]
    assert "state=mine" in url
    assert "Signed in" in browser.arrive(host.tenant.sign_in(url)).text
    assert json.loads(browser.token().data)["auth0"]["user"]["user_id"] == "auth0|alice"


@pytest.mark.requirement("IN-2")
@pytest.mark.parametrize("reads", ["form", "data", "json", "values"])
def test_host_that_reads_the_body_first(reads: str, make_app: MakeApp) -> None:
    """A host whose ``before_request`` reads the body leaves us what there was in it."""
    app = Flask("host")

    @app.before_request
    def read() -> None:
        if reads == "form":
            g.form = request.form
        elif reads == "values":
            g.form = request.values
        elif reads == "json":
            g.json = request.get_json(silent=True)
        else:
            g.data = request.get_data()

    host = make_app(app=app)
    browser = host.browser()
    assert browser.code(state="mine").get_json()["seed"]["state"] == "mine"
    url = browser.submit("/pkce/code", {"return_to": "/account"}).headers["Location"]
    assert "Signed in" in browser.arrive(host.tenant.sign_in(url)).text
    state, _ = browser.begin()
    data = f"state={state}&code=a&code=b"
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    refused = browser.send("POST", CALLBACK, data=data, headers=form)
    check_problem(refused, "parameter-repeated", field="code")


def test_limits_of_the_host(make_app: MakeApp) -> None:
    """A limit of the host's own that is lower than ours is told as ours are."""
    app = Flask("host")
    app.config["MAX_CONTENT_LENGTH"] = 100
    host = make_app(app=app)
    response = host.browser().code(padding="x" * 100)
    check_problem(response, "body-too-large")


def test_before_request_of_the_blueprint(make_app: MakeApp) -> None:
    """The blueprint's own ``before_request`` works as on any blueprint."""
    pkce = PKCEBlueprint()

    @pkce.before_request
    def refuse() -> Response:
        return Response("closed", 503)

    host = make_app(blueprint=pkce)
    assert host.app.test_client().get("/pkce/challenge").text == "closed"


def test_template_of_the_host(make_app: MakeApp, tmp_path: Path) -> None:
    """A page can be replaced by a template of that name in the host."""
    (tmp_path / "pkce").mkdir()
    (tmp_path / "pkce" / "done.html").write_text("Welcome to the shop")
    app = Flask("host", template_folder=str(tmp_path))
    host = make_app(app=app)
    browser = host.browser()
    _, url = browser.begin()
    assert browser.arrive(host.tenant.sign_in(url)).text == "Welcome to the shop"


@pytest.mark.requirement("CK-13", "N95", "T33")
def test_session_of_the_host_written_at_the_callback(make_app: MakeApp) -> None:
    """A host that writes its session at every request does not lose the user's real one: the
    callback's POST, which came without it, sets no cookie."""
    app = Flask("host")

    @app.before_request
    def count() -> None:
        session["visits"] = session.get("visits", 0) + 1

    @app.get("/visits")
    def visits() -> str:
        return str(session["visits"])

    host = make_app(app=app)
    browser: Browser = host.browser()
    state, url = browser.begin()
    before = int(browser.client.get("/visits").text)
    kept = browser.deliver(host.tenant.sign_in(url))
    assert "Set-Cookie" not in kept.headers
    browser.follow(kept)
    assert int(browser.client.get("/visits").text) == before + 2
    refused = browser.deliver({"state": state, "code": ""})
    assert "Set-Cookie" not in refused.headers
