"""``flask pkce forget``: a user is signed out of every browser."""

from __future__ import annotations

import pytest
from click.testing import CliRunner
from flask import Flask
from flask.cli import ScriptInfo

from flask_pkce import PKCEBlueprint
from flask_pkce.cli.commands import pkce
from flask_pkce.errors import StoreError
from flask_pkce.sessions.revocations import Revocations
from flask_pkce.tenant.cache import FAILED
from flask_pkce.testing import LocalTenant
from tests.conftest import MakeApp
from tests.web.host import Browser, Host, ObservedStore, check_problem


@pytest.fixture
def keeping(make_app: MakeApp, monkeypatch: pytest.MonkeyPatch) -> Host:
    """A host that keeps tokens on the server; all processes share its store."""
    host = make_app(PKCE_TOKEN_DELIVERY="session", PKCE_SCOPE="openid offline_access")
    monkeypatch.setattr(ObservedStore, "shared_by_processes", True)
    return host


def sign_in(host: Host, user: str) -> Browser:
    """A browser in which somebody signed in."""
    browser = host.browser()
    browser.arrive(host.tenant.sign_in(browser.submit("/pkce/code").headers["Location"], user))
    return browser


def run(app: Flask, *arguments: str) -> tuple[int, str]:
    """Run the command: its status and what it prints."""
    result = app.test_cli_runner().invoke(pkce, ["forget", *arguments])
    return result.exit_code, result.output


@pytest.mark.parametrize("issuer", [None, "https://tenant.example/", "https://tenant.example"])
def test_forget(issuer: str | None, keeping: Host) -> None:
    """Every browser of that user is signed out, and its token is revoked; others stay."""
    alice, bob = sign_in(keeping, "alice"), sign_in(keeping, "bob")
    named = ["--issuer", issuer] if issuer else []
    status, said = run(keeping.app, "--sub", "auth0|alice", *named)
    assert (status, said[:5]) == (0, "Done:")
    check_problem(alice.send("GET", "/pkce/user"), "not-signed-in")
    assert bob.send("GET", "/pkce/user").status_code == 200
    assert keeping.revocations == 1


def test_issuer_of_nobody(keeping: Host) -> None:
    """A slip is told, for it would sign nobody out."""
    alice = sign_in(keeping, "alice")
    status, said = run(keeping.app, "--sub", "auth0|alice", "--issuer", "https://wrong.example/")
    assert status == 2
    assert "no tenant has it; there are: https://tenant.example/" in " ".join(said.split())
    assert alice.send("GET", "/pkce/user").status_code == 200


@pytest.mark.parametrize("is_ours", [True, False])
def test_application_that_does_not_start(is_ours: bool) -> None:
    """A wrong setting is said, without a traceback; what else breaks is the application's."""

    def create_app() -> Flask:
        if not is_ours:
            raise LookupError("something else")
        app = Flask("host")
        app.config["SECRET_KEY"] = "a key that is long enough"
        app.config["PKCE_DOMAN"] = "tenant.example"
        PKCEBlueprint().init_app(app)
        return app

    info = ScriptInfo(create_app=create_app)
    result = CliRunner().invoke(pkce, ["forget", "--sub", "alice"], obj=info)
    assert result.exit_code == 1
    if is_ours:
        assert "PKCE_DOMAN is no setting: is PKCE_DOMAIN meant?" in result.output
        assert "No session was ended: correct this and try again." in result.output
    else:
        assert isinstance(result.exception, LookupError)


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The users that are forgotten, with their issuers; every store counts as shared."""
    monkeypatch.setattr(ObservedStore, "shared_by_processes", True)
    users: list[tuple[str, ...]] = []
    monkeypatch.setattr(Revocations, "revoke_user", lambda _, *user: users.append(user))
    return users


def test_several_tenants(make_app: MakeApp, ended: list[tuple[str, ...]]) -> None:
    """The user is forgotten at every tenant of the settings, or at none while one is in doubt."""
    acme = LocalTenant(issuer="https://acme.example/")
    tenants = {
        # Its metadata tells whether its issuer ends with a slash.
        "acme": {"domain": "https://acme.example", "client_id": "a"},
        "staff": {"domain": "tenant.example", "client_id": "s"},
    }
    host = make_app(PKCE_TENANTS=tenants)
    acme.mount(host.relying_party.transport.session)
    acme.faults = ["unreachable"]
    assert run(host.app, "--sub", "alice")[0] == 1
    assert ended == []
    acme.faults = []
    host.clock.advance(FAILED)
    assert run(host.app, "--sub", "alice")[0] == 0
    assert ended == [("https://tenant.example/", "alice"), ("https://acme.example/", "alice")]


def test_tenants_of_a_loader(make_app: MakeApp, ended: list[tuple[str, ...]]) -> None:
    """Of tenants that the host makes, each is named."""
    blueprint = PKCEBlueprint()
    blueprint.tenant_loader(lambda name: None)
    host = make_app(blueprint=blueprint, PKCE_DOMAIN=None, PKCE_CLIENT_ID=None)
    status, said = run(host.app, "--sub", "alice")
    assert (status, ended) == (1, [])
    assert "name one with --issuer" in said
    assert run(host.app, "--sub", "alice", "--issuer", "https://acme.example/")[0] == 0
    assert ended == [("https://acme.example/", "alice")]


def test_memory(make_app: MakeApp) -> None:
    """Where each process has a store of its own, it says what helps."""
    status, said = run(make_app().app, "--sub", "auth0|alice")
    assert status == 1
    assert "restart the application" in said


def test_no_blueprint() -> None:
    """An application without the blueprint is told so."""
    status, said = run(Flask("host"), "--sub", "auth0|alice")
    assert (status, said) == (1, "Error: No PKCEBlueprint is registered in this application.\n")


def test_store_down(keeping: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A store that fails is said, without a traceback."""

    def fail(*_: object) -> None:
        raise StoreError("The Redis server cannot be reached.")

    monkeypatch.setattr(Revocations, "revoke_user", fail)
    status, said = run(keeping.app, "--sub", "auth0|alice")
    assert status == 1
    assert said.startswith("Error: The Redis server cannot be reached.")


def test_who() -> None:
    """It forgets nobody in particular only by mistake."""
    assert run(Flask("host"))[0] == 2
