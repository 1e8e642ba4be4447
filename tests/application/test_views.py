"""What views of the host are told, and how they are guarded."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import requests_mock
from flask import Flask, Response

from flask_pkce import (
    MULTI_FACTOR,
    AccessTokenMissing,
    NotSignedIn,
    PKCEBlueprint,
    PKCEError,
    User,
)
from flask_pkce.errors import StoreError
from tests.conftest import MakeApp
from tests.web.host import (
    FETCH,
    NAVIGATION,
    Browser,
    Host,
    arrives_with,
    check_page,
    check_problem,
)

API = "https://api.example.com/"


@pytest.fixture
def pkce() -> PKCEBlueprint:
    return PKCEBlueprint()


@pytest.fixture
def app(pkce: PKCEBlueprint) -> Flask:
    """An application with views that ask."""
    app = Flask("host")

    @app.get("/")
    def front() -> str:
        return pkce.user["sub"] if pkce.user else "nobody"

    @app.route("/account", methods=["GET", "POST", "OPTIONS"])
    @pkce.login_required
    def account() -> str:
        """The account."""
        return pkce.user.subject if pkce.user else "nobody"

    @app.get("/grüße")
    @pkce.login_required
    async def greetings() -> str:
        assert pkce.user is not None
        return pkce.user.subject

    @app.get("/recent")
    @pkce.login_required(max_age=300)
    def recent() -> str:
        return "recent"

    @app.get("/now")
    @pkce.login_required(max_age=0)
    def now() -> str:
        return "now"

    @app.get("/strong")
    @pkce.login_required(acr=MULTI_FACTOR)
    def strong() -> str:
        return "strong"

    @app.get("/token")
    def token() -> str:
        return pkce.access_token()

    @app.get("/tokens")
    def tokens() -> dict[str, Any]:
        return {
            "first": pkce.access_token(audience=API),
            "again": pkce.access_token(audience=API, scope="openid"),
            "narrow": pkce.access_token(audience=API, scope=["openid", "profile"]),
        }

    @app.get("/more")
    def more() -> str:
        return pkce.access_token(scope="delete:everything")

    @app.get("/foreign-audience")
    def foreign() -> str:
        return pkce.access_token(audience="https://other.example/")

    @app.post("/leave")
    def leave() -> Response:
        response = pkce.logout(return_to="/bye", everywhere=True, at_tenant=False)
        assert pkce.user is None
        return response

    @app.get("/link")
    def link() -> str:
        return pkce.login_url(return_to="/account?a=b")

    return app


@pytest.fixture
def keeping(app: Flask, pkce: PKCEBlueprint, make_app: MakeApp) -> Host:
    """A host that keeps tokens on the server."""
    return make_app(
        app=app,
        blueprint=pkce,
        PKCE_TOKEN_DELIVERY="session",
        PKCE_SCOPE="openid profile offline_access",
        PKCE_ALLOWED_AUDIENCES=[API],
    )


@pytest.fixture
def browser(keeping: Host) -> Browser:
    return keeping.browser()


def go(browser: Browser, path: str, **options: Any) -> Any:
    """Go to a page of the host."""
    method = options.pop("method", "GET")
    headers = {**NAVIGATION, "Sec-Fetch-Site": "same-origin", **options.pop("headers", {})}
    return browser.client.open(
        path, method=method, headers=headers, base_url=browser.host.address, **options
    )


def sign_in(browser: Browser, at: str = "/pkce/login", user: str = "alice") -> Any:
    """Sign in where the address leads."""
    sent = browser.open(at)
    return browser.arrive(browser.host.tenant.sign_in(sent.headers["Location"], user))


# -- login_required ------------------------------------------------------------------


def test_to_sign_in_and_back(browser: Browser) -> None:
    """A browser signs in, and comes back to the page that it wanted, with its query."""
    refused = go(browser, "/account?a=1&b=%C3%BC")
    assert refused.status_code == 303
    done = sign_in(browser, refused.headers["Location"])
    assert done.headers["Location"] == "/account?a=1&b=%C3%BC"
    assert go(browser, done.headers["Location"]).text == "auth0|alice"


def test_async(browser: Browser) -> None:
    """An ``async`` view can be guarded, whatever its path is written in."""
    done = sign_in(browser, go(browser, "/gr%C3%BC%C3%9Fe").headers["Location"])
    assert done.headers["Location"] == "/gr%C3%BC%C3%9Fe"
    assert go(browser, "/gr%C3%BC%C3%9Fe").text == "auth0|alice"


def test_what_was_posted(browser: Browser) -> None:
    """A form is not posted again: the browser comes to where sign-ins end."""
    refused = go(browser, "/account", method="POST")
    assert refused.headers["Location"] == "/pkce/login"


def test_a_path_that_is_none(browser: Browser) -> None:
    """An address that leads elsewhere is not come back to."""
    refused = go(browser, "//account", headers={})
    assert refused.status_code in {303, 308, 404}
    assert "evil" not in refused.headers.get("Location", "")


def test_a_path_that_cannot_be_returned_to(app: Flask, pkce: PKCEBlueprint, keeping: Host) -> None:
    """Where the path is none to return to, the sign-in ends where sign-ins do."""
    with app.test_request_context("/a//b", headers=NAVIGATION):
        response: Any = pkce.login_required(lambda: "")()
        assert response.headers["Location"] == "/pkce/login"


def test_no_loop(app: Flask, pkce: PKCEBlueprint, make_app: MakeApp) -> None:
    """A page that takes no old sign-in at all is seen by whoever signed in for it just now."""
    app.get("/now")(pkce.login_required(max_age=0)(lambda: "now"))
    host = make_app(app=app, blueprint=pkce, PKCE_TOKEN_DELIVERY="session", PKCE_LEEWAY=0)
    browser = host.browser()
    sign_in(browser, go(browser, "/now").headers["Location"])
    host.clock.advance(5)
    assert go(browser, "/now").text == "now"
    host.clock.advance(60)
    assert "max_age=0" in go(browser, "/now").headers["Location"]


def test_json(browser: Browser) -> None:
    """Whoever asks for JSON gets 401 and is not redirected."""
    response = browser.client.get("/account", headers=FETCH)
    check_problem(response, "not-signed-in")
    assert response.headers["WWW-Authenticate"] == "Session"
    assert "Cookie" in response.headers["Vary"]


def test_preflight(browser: Browser) -> None:
    """A browser asks without cookies whether another origin may call: the view does not run."""
    answer = browser.client.options("/account")
    assert (answer.status_code, answer.text) == (200, "")
    assert "POST" in answer.headers["Allow"]


def test_it_is_still_the_view(app: Flask) -> None:
    """A view keeps its name and what it says of itself."""
    view = app.view_functions["account"]
    assert (view.__name__, view.__doc__) == ("account", "The account.")


def test_varies(browser: Browser) -> None:
    """No cache gives one user's page to another."""
    assert "Cookie" in go(browser, "/").headers["Vary"]


@pytest.mark.requirement("ID-13", "N70d")
def test_recent(keeping: Host, browser: Browser) -> None:
    """Who entered the password long ago must do so again; the tenant is asked for that."""
    refused = go(browser, "/recent").headers["Location"]
    assert "max_age=300" in refused
    sign_in(browser, refused)
    assert go(browser, "/recent").text == "recent"
    keeping.clock.advance(361)
    refused = go(browser, "/recent").headers["Location"]
    sent = browser.open(refused).headers["Location"]
    assert parse_qs(urlsplit(sent).query)["max_age"] == ["300"]
    assert parse_qs(urlsplit(refused).query)["return_to"] == ["/recent"]


@pytest.mark.requirement("ID-12", "T31")
def test_strong(keeping: Host, browser: Browser) -> None:
    """A second factor is asked for; where the tenant leaves it out, there is no loop but 403."""
    sign_in(browser)
    refused = go(browser, "/strong").headers["Location"]
    sign_in(browser, refused)
    check_page(go(browser, "/strong"), "authentication-too-weak")
    check_problem(browser.client.get("/strong", headers=FETCH), "authentication-too-weak")
    keeping.clock.advance(61)
    assert "acr_values" in go(browser, "/strong").headers["Location"]


@pytest.mark.parametrize(
    ("claims", "is_strong"),
    [
        ({"amr": ["mfa"]}, True),
        ({"amr": ["pwd"]}, False),
        ({"amr": "mfa"}, False),
        ({"acr": MULTI_FACTOR}, True),
        ({}, False),
    ],
)
def test_what_is_strong(
    claims: dict[str, Any], is_strong: bool, app: Flask, pkce: PKCEBlueprint, keeping: Host
) -> None:
    """The ID token's ``acr`` says it, or Auth0's ``amr``."""

    @keeping.pkce._hooks.after_token.append
    def add(response: Any) -> Any:
        return response.replace(claims={**response.claims, **claims})

    browser = keeping.browser()
    sign_in(browser)
    assert (go(browser, "/strong").status_code == 200) == is_strong


@pytest.mark.parametrize("auth_time", [None, True])
def test_without_auth_time(keeping: Host, browser: Browser, auth_time: object) -> None:
    """An ID token that does not tell when the user authenticated is not recent."""

    @keeping.pkce._hooks.after_token.append
    def drop(response: Any) -> Any:
        return response.replace(claims={**response.claims, "auth_time": auth_time})

    sign_in(browser)
    assert "max_age=300" in go(browser, "/recent").headers["Location"]


@pytest.mark.requirement("ID-13", "N70d")
@pytest.mark.parametrize(
    ("before", "is_recent"), [(61, True), (60.75, True), (61.25, False), (62, False)]
)
def test_way_back_that_takes_time(
    keeping: Host, browser: Browser, before: float, is_recent: bool
) -> None:
    """Who authenticated for this page may have done so a minute ago, whatever was asked when."""

    @keeping.pkce._hooks.after_token.append
    def long_ago(response: Any) -> Any:
        auth_time = response.claims["auth_time"] - before
        return response.replace(claims={**response.claims, "auth_time": auth_time})

    sign_in(browser, go(browser, "/now").headers["Location"])
    keeping.clock.advance(59)
    response = go(browser, "/now")
    if is_recent:
        assert response.text == "now"
    else:
        check_page(response, "authentication-too-weak")


@pytest.mark.parametrize("path", ["/recent", "/strong"])
def test_hook_that_asks_for_something_else(keeping: Host, browser: Browser, path: str) -> None:
    """Where a hook keeps the tenant from being asked, there is no loop but 403."""

    @keeping.pkce._hooks.before_authorize.append
    def ask(authorization: Any) -> Any:
        return authorization.replace(additional={"acr_values": "another"})

    @keeping.pkce._hooks.after_token.append
    def drop(response: Any) -> Any:
        claims = {k: v for k, v in response.claims.items() if k != "auth_time"}
        return response.replace(claims=claims)

    sign_in(browser)
    sign_in(browser, go(browser, path).headers["Location"])
    check_page(go(browser, path), "authentication-too-weak")


def test_clock_that_was_set_back(keeping: Host, browser: Browser) -> None:
    """A sign-in of the future is neither new nor recent."""
    sign_in(browser, go(browser, "/recent").headers["Location"])
    keeping.clock.advance(-3600)
    assert "max_age=300" in go(browser, "/recent").headers["Location"]


@pytest.mark.parametrize(
    "asked",
    [
        {"max_age": -1},
        {"max_age": 10**9},
        {"max_age": 1.5},
        {"max_age": True},
        {"acr": ""},
        {"acr": "a b"},
        {"acr": "a" * 501},
    ],
    ids=repr,
)
def test_what_no_tenant_can_be_asked(pkce: PKCEBlueprint, asked: dict[str, Any]) -> None:
    """A slip is said where it was made."""
    with pytest.raises(ValueError, match=next(iter(asked))):
        pkce.login_required(**asked)
    pkce.login_required(max_age=10**9 - 1, acr="a" * 500)


# -- user ------------------------------------------------------------------------------


def test_user(keeping: Host, browser: Browser, app: Flask, pkce: PKCEBlueprint) -> None:
    """Nobody, and then whoever signed in, with the claims of the ID token."""
    assert go(browser, "/").text == "nobody"
    sign_in(browser)
    assert go(browser, "/").text == "auth0|alice"
    with app.test_request_context(headers={"Cookie": f"pkce-80={browser.cookie}"}):
        user = pkce.user
        assert user is not None
        assert user.issuer == keeping.tenant.issuer
        assert user["name"] == "Alice Example"
        assert set(user) >= {"sub", "name"}
        assert len(user) == len(dict(user))
        assert "nonce" not in user
        assert "Alice" not in repr(user)


@pytest.mark.parametrize("name", ["", "[::::]", "localhost:99999", "evil.example", "a b"])
def test_host_that_is_not_ours(name: str, keeping: Host, browser: Browser) -> None:
    """On an unknown host the application's views see no user, and refuse where they need one."""
    sign_in(browser)
    arrives_with(keeping, HTTP_HOST=name, HTTP_COOKIE=f"pkce-80={browser.cookie}")
    assert go(browser, "/").text == "nobody"
    for path in ("/account", "/token"):
        check_page(go(browser, path), "host-unknown")
        check_problem(go(browser, path, headers=FETCH), "host-unknown")
    check_page(go(browser, "/leave", method="POST"), "host-unknown")


def test_prefix_that_is_no_path(keeping: Host, browser: Browser) -> None:
    """No view leads to where a header says that the application is mounted."""
    arrives_with(keeping, SCRIPT_NAME="//evil.example")
    assert "evil" not in check_page(go(browser, "/account"), "host-unknown")
    assert go(browser, "/link").text.startswith("/pkce/login")


@pytest.mark.parametrize(
    ("path", "method"), [("/", "GET"), ("/account", "GET"), ("/token", "GET"), ("/leave", "POST")]
)
def test_store_that_is_down(
    path: str, method: str, keeping: Host, browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every view that asks who is signed in tells that, and when to come again."""
    sign_in(browser)

    def get(key: str) -> bytes | None:
        raise StoreError()

    monkeypatch.setattr(keeping.store, "get", get)
    response = go(browser, path, method=method)
    check_page(response, "store-unavailable")
    assert response.headers["Retry-After"]
    monkeypatch.undo()
    assert go(browser, path, method=method).status_code in {200, 303}


def test_identity() -> None:
    """Issuer and subject, and nothing else, tell users apart."""
    alice = User("https://a/", "1", {"email": "x@example.com"})
    assert alice == User("https://a/", "1", {"email": "y@example.com"})
    assert alice != User("https://b/", "1", {"email": "x@example.com"})
    assert alice != "1"
    assert len({alice, User("https://a/", "1", {}), User("https://a/", "2", {})}) == 2


def test_several_requests_in_one_context(browser: Browser, app: Flask) -> None:
    """A test that keeps an application context open sees nobody else's user."""
    sign_in(browser)
    with app.app_context():
        assert go(browser, "/").text == "auth0|alice"
        assert app.test_client().get("/").text == "nobody"


@pytest.mark.parametrize("name", ["user", "login_url", "logout", "access_token"])
def test_outside_of_a_request(name: str, keeping: Host, pkce: PKCEBlueprint) -> None:
    """It is said what is wrong, and what to do."""
    use: dict[str, Callable[[], object]] = {
        "user": lambda: pkce.user,
        "login_url": pkce.login_url,
        "logout": pkce.logout,
        "access_token": pkce.access_token,
    }
    with keeping.app.app_context(), pytest.raises(RuntimeError, match=f"{name} was used outside"):
        use[name]()


def test_not_registered(keeping: Host) -> None:
    """A blueprint that this application does not have tells so."""
    with keeping.app.test_request_context(), pytest.raises(LookupError, match="not registered"):
        PKCEBlueprint().user  # noqa: B018


# -- idle --------------------------------------------------------------------------------


def test_idle(app: Flask, pkce: PKCEBlueprint, make_app: MakeApp) -> None:
    """A session that nobody uses ends; one that is used lives until its absolute end."""
    host = make_app(
        app=app,
        blueprint=pkce,
        PKCE_TOKEN_DELIVERY="session",
        PKCE_SESSION_IDLE_LIFETIME=600,
        PKCE_SESSION_LIFETIME=1500,
    )
    browser = host.browser()
    sign_in(browser)
    saved = host.session_of(browser).raw
    host.clock.advance(59)
    go(browser, "/")
    assert host.session_of(browser).raw == saved
    for seconds in (540, 599):
        host.clock.advance(seconds)
        assert go(browser, "/").text == "auth0|alice"
        assert host.session_of(browser).raw != saved
    host.clock.advance(299)
    assert go(browser, "/").text == "auth0|alice"
    host.clock.advance(4)
    assert go(browser, "/").text == "nobody"
    other = host.browser()
    sign_in(other)
    host.clock.advance(601)
    assert go(other, "/").text == "nobody"


# -- tokens ------------------------------------------------------------------------------


def test_token(keeping: Host, browser: Browser) -> None:
    """The sign-in's token as long as it is good, and then another, without a sign-in."""
    sign_in(browser)
    token = go(browser, "/token").text
    assert go(browser, "/token").text == token
    assert keeping.token_requests == 1
    expires_at = keeping.session_of(browser).value.grants[-1].access_tokens[0].expires_at
    assert expires_at is not None
    keeping.clock.now = expires_at - 30
    renewed = go(browser, "/token").text
    assert renewed != token
    assert go(browser, "/token").text == renewed
    assert keeping.token_requests == 2


def test_token_of_nobody(browser: Browser) -> None:
    """A view that lets it pass sends a browser to sign in, and tells others."""
    refused = go(browser, "/token")
    assert refused.headers["Location"] == "/pkce/login?return_to=/token".replace(
        "/token", "%2Ftoken"
    )
    check_problem(browser.client.get("/token", headers=FETCH), "not-signed-in")


def test_each_audience(keeping: Host, browser: Browser) -> None:
    """Each API has its token, kept for as long as it is good."""
    sign_in(browser)
    tokens = browser.client.get("/tokens", headers=FETCH).get_json()
    assert len(set(tokens.values())) == 1
    assert go(browser, "/token").text not in tokens.values()
    assert browser.client.get("/tokens", headers=FETCH).get_json() == tokens
    assert keeping.token_requests == 2


def test_scope_that_is_not_granted(keeping: Host, browser: Browser) -> None:
    """A scope that the tenant does not grant is told, and no sign-in is begun in vain."""
    sign_in(browser)
    check_page(go(browser, "/more"), "access-token-missing")
    keeping.clock.advance(61)
    assert "/pkce/login" in go(browser, "/more").headers["Location"]
    check_problem(browser.client.get("/more", headers=FETCH), "access-token-missing")


def test_scope_that_is_left_out(keeping: Host, browser: Browser) -> None:
    """A tenant that grants less without a word gives no token that would do."""

    sign_in(browser)
    keeping.pkce._hooks.token = lambda _: {
        "access_token": "a",
        "token_type": "Bearer",
        "scope": "openid",
    }
    check_problem(browser.client.get("/more", headers=FETCH), "access-token-missing")


def test_foreign_audience(browser: Browser, keeping: Host) -> None:
    """An audience that is not configured is a mistake of the host's."""
    sign_in(browser)
    keeping.app.testing = True
    with pytest.raises(ValueError, match="PKCE_ALLOWED_AUDIENCES"):
        go(browser, "/foreign-audience")


def test_withdrawn(keeping: Host, browser: Browser) -> None:
    """Where the tenant took the refresh token back, the sign-in is over."""
    sign_in(browser)
    grant = keeping.session_of(browser).value.grants[-1]
    assert grant.refresh_token is not None
    fields = {"token": grant.refresh_token, "client_id": keeping.tenant.client.client_id}
    session = keeping.relying_party.transport.session
    session.post(f"{keeping.tenant.issuer}oauth/revoke", fields, timeout=5)
    keeping.clock.advance(86400 - 10)
    check_problem(browser.client.get("/token", headers=FETCH), "access-token-missing")
    assert go(browser, "/").text == "nobody"


def test_who_signed_in_before(keeping: Host, browser: Browser) -> None:
    """Where the sign-in is over nobody is signed in, whoever was before."""
    sign_in(browser)
    sign_in(browser, user="bob")
    grants = keeping.session_of(browser).value.grants
    assert [grant.subject for grant in grants] == ["auth0|bob"]
    fields = {
        "token": grants[0].refresh_token,
        "client_id": keeping.tenant.client.client_id,
    }
    session = keeping.relying_party.transport.session
    session.post(f"{keeping.tenant.issuer}oauth/revoke", fields, timeout=5)
    keeping.clock.advance(86400 - 10)
    check_problem(browser.client.get("/token", headers=FETCH), "access-token-missing")
    assert go(browser, "/").text == "nobody"


def test_no_refresh_token(app: Flask, pkce: PKCEBlueprint, make_app: MakeApp) -> None:
    """Without ``offline_access`` an expired token means signing in again."""
    host = make_app(
        app=app, blueprint=pkce, PKCE_TOKEN_DELIVERY="session", PKCE_SESSION_LIFETIME=90 * 86400
    )
    browser = host.browser()
    sign_in(browser)
    host.clock.advance(86400)
    assert go(browser, "/").text == "auth0|alice"
    check_problem(browser.client.get("/token", headers=FETCH), "access-token-missing")
    assert "/pkce/login" in go(browser, "/token").headers["Location"]


def test_tenant_out_of_reach(keeping: Host, browser: Browser) -> None:
    """A tenant that fails is told as on our own routes, and the sign-in stays."""
    sign_in(browser)
    keeping.clock.advance(86400 - 10)
    keeping.tenant.faults = {"token-500"}
    check_page(go(browser, "/token"), "tenant-nonsense")
    keeping.tenant.faults = set()
    assert go(browser, "/token").status_code == 200


def test_delivery_caller(app: Flask, pkce: PKCEBlueprint, make_app: MakeApp) -> None:
    """Where the tokens were handed out, views have none, and it is said what to set."""
    host = make_app(app=app, blueprint=pkce)
    app.testing = True
    browser = host.browser()
    for path in ("/token", "/link", "/account"):
        with pytest.raises(RuntimeError, match="PKCE_TOKEN_DELIVERY"):
            go(browser, path)


def test_errors_of_the_host(app: Flask, pkce: PKCEBlueprint, keeping: Host) -> None:
    """An error that the host raises itself is its own."""

    @app.get("/own")
    def own() -> str:
        raise PKCEError("mine")

    app.testing = True
    with pytest.raises(PKCEError, match="mine"):
        keeping.browser().client.get("/own")
    assert AccessTokenMissing.status == 401


def test_error_of_another_request(app: Flask, pkce: PKCEBlueprint, keeping: Host) -> None:
    """An error of the blueprint that a view keeps and raises in another request is the view's."""
    kept: list[PKCEError] = []

    @app.get("/keep")
    def keep() -> str:
        try:
            return pkce.access_token()
        except PKCEError as exc:
            kept.append(exc)
            return "kept"

    @app.get("/raise")
    def raise_kept() -> str:
        raise kept[0]

    app.testing = True
    client = keeping.browser().client
    assert client.get("/keep").text == "kept"
    with pytest.raises(NotSignedIn, match=str(kept[0])):
        client.get("/raise")


def test_api(keeping: Host, browser: Browser) -> None:
    """A session for an API carries the user's token, and another one after a 401."""
    url = "https://orders.example/v1/orders"

    @keeping.app.get("/orders")
    def orders() -> Any:
        with keeping.pkce.api("https://orders.example/v1") as api:
            return api.get("orders").json()

    sign_in(browser)
    with requests_mock.Mocker(real_http=True) as mock:
        mock.get(url, [{"status_code": 401}, {"json": ["a book"]}])
        assert browser.client.get("/orders", headers=FETCH).get_json() == ["a book"]
    calls = [call for call in mock.request_history if call.url == url]
    first, second = (call.headers["Authorization"] for call in calls)
    assert first != second
    assert go(browser, "/token").text == second.removeprefix("Bearer ")


# -- the ways in and out -------------------------------------------------------------------


def test_login_url(keeping: Host) -> None:
    """A link that signs in and comes back."""
    assert keeping.app.test_client().get("/link").text == (
        "/pkce/login?return_to=%2Faccount%3Fa%3Db"
    )


def test_login_url_elsewhere(keeping: Host, pkce: PKCEBlueprint) -> None:
    """A place of another application is none to return to."""
    with keeping.app.test_request_context():
        assert pkce.login_url() == "/pkce/login"
        for call in (pkce.login_url, pkce.logout):
            with pytest.raises(ValueError, match="return_to"):
                call(return_to="//evil")


def test_logout_everywhere(keeping: Host, browser: Browser) -> None:
    """The user is signed out of every browser; others stay."""
    other, bob = keeping.browser(), keeping.browser()
    sign_in(browser)
    sign_in(other)
    sign_in(bob, user="bob")
    left = go(browser, "/leave", method="POST")
    assert left.headers["Location"] == "/bye"
    assert "pkce-80=;" in left.headers["Set-Cookie"]
    assert [go(each, "/").text for each in (browser, other, bob)] == [
        "nobody",
        "nobody",
        "auth0|bob",
    ]
    assert keeping.revocations == 2


def test_logout_where_to(browser: Browser, app: Flask, pkce: PKCEBlueprint) -> None:
    """A view that names no place leaves that to the settings."""
    app.post("/go")(lambda: pkce.logout())
    sign_in(browser)
    left = parse_qs(urlsplit(go(browser, "/go", method="POST").headers["Location"]).query)
    assert left["post_logout_redirect_uri"] == ["http://localhost/"]


@pytest.fixture
def prefixed(pkce: PKCEBlueprint, app: Flask, make_app: MakeApp) -> Host:
    """The application below a prefix, the blueprint below another."""
    return make_app(
        app=app,
        blueprint=pkce,
        url_prefix="/auth",
        PKCE_TOKEN_DELIVERY="session",
        PKCE_PUBLIC_URL="https://shop.example/app",
    )


def test_prefix(prefixed: Host) -> None:
    """Behind a proxy with a prefix the browser comes back to the page that it wanted."""
    browser = prefixed.browser()
    options = {"base_url": "https://shop.example/app"}
    refused = browser.client.get("/account", headers=NAVIGATION, **options)
    assert refused.headers["Location"] == (
        "https://shop.example/app/auth/pkce/login?return_to=%2Faccount"
    )
