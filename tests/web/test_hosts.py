"""The host that a session belongs to, however a request spells its own."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest
from flask import Flask
from flask.testing import FlaskClient

from flask_pkce import PKCEBlueprint
from flask_pkce.testing import login_as
from tests.conftest import MakeApp
from tests.web.host import Host, check_problem

MAIN = "https://app.example"
CUSTOMER = "https://shop.acme.example"


@pytest.fixture
def pkce() -> PKCEBlueprint:
    """The blueprint that the views of the application use."""
    return PKCEBlueprint()


@pytest.fixture
def app(pkce: PKCEBlueprint) -> Flask:
    """An application with a view for everybody, and one for users."""
    app = Flask("host")

    @app.get("/")
    def front() -> str:
        return pkce.user.subject if pkce.user else "nobody"

    @app.get("/account")
    @pkce.login_required
    def account() -> str:
        return "account"

    @app.get("/token")
    def token() -> str:
        return pkce.access_token()

    return app


@pytest.fixture
def host(app: Flask, pkce: PKCEBlueprint, make_app: MakeApp) -> Host:
    """The application at its main domain and at that of a customer."""
    return make_app(
        app=app,
        blueprint=pkce,
        PKCE_TOKEN_DELIVERY="session",
        PKCE_PUBLIC_URL=MAIN,
        PKCE_FURTHER_PUBLIC_URLS=[CUSTOMER],
    )


def user_at(client: FlaskClient, name: str, cookie: str) -> tuple[str, int]:
    """The user that a view sees, and what our own route answers, to a cookie at some host."""
    environ = {"HTTP_HOST": name, "HTTP_COOKIE": cookie}
    front = client.get("/", environ_overrides=environ)
    return front.text, client.get("/pkce/user", environ_overrides=environ).status_code


SPELLINGS = ["{}", "{}.", "{}:443", "{}:8443", "{}.:8443"]


@pytest.mark.requirement("T26")
@pytest.mark.parametrize("change", [str, str.upper], ids=["as it is", "upper case"])
@pytest.mark.parametrize("spelling", SPELLINGS)
def test_cookie_of_another_domain(spelling: str, change: type[str], host: Host) -> None:
    """A session is good at its own host in every spelling, and at no other in any."""
    names = [address.removeprefix("https://") for address in (MAIN, CUSTOMER)]
    stranger = host.app.test_client(use_cookies=False)
    for own, other in (names, names[::-1]):
        signed_in = host.app.test_client()
        login_as(signed_in, base_url=f"https://{own}")
        cookie = signed_in.get_cookie("__Host-pkce", domain=own)
        assert cookie is not None
        header = f"__Host-pkce={cookie.value}"
        spelled_own, spelled_other = (change(spelling.format(name)) for name in (own, other))
        assert user_at(stranger, spelled_own, header) == ("auth0|alice", 200)
        assert user_at(stranger, spelled_other, header) == ("nobody", 401)
        environ = {"HTTP_HOST": spelled_other, "HTTP_COOKIE": header}
        for path in ("/account", "/token"):
            refused = stranger.get(path, environ_overrides=environ)
            check_problem(refused, "not-signed-in")


@pytest.mark.parametrize("name", ["evil.example", "app.example.evil.example", "app.example:x", ""])
def test_unknown_host(name: str, host: Host) -> None:
    """On an unknown host nobody is signed in, and no page sends a browser round in circles."""
    signed_in = host.app.test_client()
    login_as(signed_in, base_url=MAIN)
    cookie = signed_in.get_cookie("__Host-pkce", domain="app.example")
    assert cookie is not None
    header = f"__Host-pkce={cookie.value}"
    stranger = host.app.test_client(use_cookies=False)
    assert user_at(stranger, name, header) == ("nobody", 400)
    environ = {"HTTP_HOST": name, "HTTP_COOKIE": header}
    for path in ("/account", "/token"):
        check_problem(stranger.get(path, environ_overrides=environ), "host-unknown")


@pytest.mark.requirement("T26")
def test_cookie_of_another_domain_changes_nothing(host: Host) -> None:
    """At another host the session can neither be ended nor take part in a sign-in."""
    signed_in = host.app.test_client()
    login_as(signed_in, base_url=MAIN)
    cookie = signed_in.get_cookie("__Host-pkce", domain="app.example")
    assert cookie is not None
    before = host.store.contents()
    host.address = CUSTOMER
    program = host.program()
    program.headers = {"Accept": "application/json", "Cookie": f"__Host-pkce={cookie.value}"}
    assert program.clear().status_code == 204
    check_problem(program.token(), "session-over")
    assert host.store.contents() == before
    # The routes that start a sign-in start a session of this host.
    assert "__Host-pkce=" in program.send("GET", "/pkce/challenge").headers["Set-Cookie"]
    assert host.store.contents().items() > before.items()


def test_names_of_this_machine(app: Flask, pkce: PKCEBlueprint, make_app: MakeApp) -> None:
    """Without a public URL, each name of the loopback interface has sessions of its own."""
    make_app(app=app, blueprint=pkce, PKCE_TOKEN_DELIVERY="session")
    names = ["localhost", "127.0.0.1", "[::1]"]
    stranger = app.test_client(use_cookies=False)
    for own in names:
        signed_in = app.test_client()
        login_as(signed_in, base_url=f"http://{own}")
        (cookie,) = (signed_in._cookies or {}).values()
        for name in names:
            expected = ("auth0|alice", 200) if name == own else ("nobody", 401)
            assert user_at(stranger, name, f"pkce-80={cookie.value}") == expected


def test_local_session_has_no_host(make_app: MakeApp) -> None:
    """The local session is that of this machine, by whichever of its names it is called."""
    host = make_app(PKCE_LOCAL_SESSION=True)
    program = host.program()
    state = program.challenge()["state"]
    assert host.session_of(program).value.host is None
    for name in ("127.0.0.1:80", "[::1]:80", "LOCALHOST:80"):
        found = program.send(
            "POST", "/pkce/code", json={"state": state}, environ_overrides={"HTTP_HOST": name}
        )
        assert found.status_code == 200


@pytest.mark.parametrize("name", ["127.0.0.1", "[::1]"])
def test_redirect_uri_of_the_local_session(name: str, make_app: MakeApp) -> None:
    """A program may name the flow's redirect URI, by whichever name it calls this machine."""
    host = make_app(PKCE_LOCAL_SESSION=True)
    program = host.program()
    state = program.challenge()["state"]
    sent = program.code(state=state).get_json()
    host.browser().arrive(host.tenant.sign_in(sent["authorization_url"]))
    environ = {"HTTP_HOST": f"{name}:80"}
    for redirect_uri, status in (
        (f"http://{name}/pkce/response/code", 400),
        (sent["seed"]["redirect_uri"], 200),
    ):
        response = program.send(
            "POST",
            "/pkce/token",
            json={"redirect_uri": redirect_uri},
            environ_overrides=environ,
        )
        assert response.status_code == status


@pytest.mark.parametrize("name", ["localhost.", "LocalHost", "localhost.:80"])
def test_addresses_are_canonical(name: str, make_app: MakeApp) -> None:
    """However a request spells the host, the redirect URI has its canonical form."""
    host = make_app()
    sent = host.browser().send("POST", "/pkce/code", environ_overrides={"HTTP_HOST": name})
    assert sent.get_json()["seed"]["redirect_uri"] == "http://localhost/pkce/response/code"


def test_public_url_and_a_dot(host: Host) -> None:
    """A dot at the end of the host is no reason to refuse it; addresses have none."""
    environ = {"HTTP_HOST": "APP.example."}
    sent = host.browser().send("POST", "/pkce/code", environ_overrides=environ).get_json()
    query = parse_qs(urlsplit(sent["authorization_url"]).query)
    assert query["redirect_uri"] == [f"{MAIN}/pkce/response/code"]
