"""The published clients, unchanged, against the standalone server."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from .person import Person, parameters_of
from .processes import HERE, ROOT, Provider, Server, clean_environment, stop
from .scripted import ScriptedBrowser

if TYPE_CHECKING:
    from .conftest import Serve, Visit

VERSIONS = ("3.2.1", "4.4.1", "5.0.1")
SCHEMA = {"migration": 0, "semantic": "MAJOR_0_MINOR_0_PATCH_1"}
AUDIENCE = "https://api.example/"


class Client:
    """A published client in its own environment and process."""

    def __init__(self, python: Path, server: Server) -> None:
        self.server = server
        self._process = subprocess.Popen(
            [str(python), "client_driver.py", server.url],
            cwd=HERE,
            env=clean_environment(),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def call(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call one of its methods.

        :return: ``status`` and ``raw``; ``decoded``, or the ``error`` that it raised.
        """
        assert self._process.stdin
        assert self._process.stdout
        line = json.dumps({"method": method, "arguments": arguments})
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        answer: dict[str, Any] = json.loads(self._process.stdout.readline())
        return answer

    def decoded(self, method: str, **arguments: Any) -> dict[str, Any]:
        """Call a method that has to succeed.

        :return: what the client's own models make of the answer.
        """
        answer = self.call(method, **arguments)
        assert answer["status"] == 200, answer
        decoded: dict[str, Any] = answer["decoded"]
        return decoded

    def close(self) -> None:
        """End it."""
        stop(self._process)


@pytest.fixture(scope="module")
def standalone(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """The standalone server, started as its documentation says."""
    program = str(ROOT / "examples" / "standalone" / "app.py")
    return serve(
        command=[sys.executable, "-m", "flask", "--app", program, "run", "--port", "{port}"],
        PKCE_AUDIENCE=AUDIENCE,
        PKCE_STORE_URL=f"sqlite:///{tmp_path_factory.mktemp('standalone')}/pkce.db",
    )


@pytest.fixture(params=VERSIONS)
def client(
    request: pytest.FixtureRequest,
    standalone: Server,
    client_environment: Callable[[str], Path],
) -> Iterator[Client]:
    """Each of the clients in turn, with a local session that is empty."""
    running = Client(client_environment(request.param), standalone)
    assert running.call("clear_pkce")["status"] == 204
    yield running
    running.close()


def sign_in(person: Person, authorization_url: str) -> None:
    """Sign in, in a browser that never was at the application."""
    tab = person.tab()
    tab.open(authorization_url)
    tab.log_in("ada")
    assert person.callbacks("GET")[-1].status < 400


def full_seed(client: Client, provider: Provider, challenge: dict[str, str]) -> dict[str, Any]:
    """A model with every member that it has."""
    return {
        "schema": SCHEMA,
        "response_type": "code",
        "state": challenge["state"],
        "nonce": challenge["nonce"],
        "redirect_uri": f"{client.server.url}/pkce/response/code",
        "code_challenge": challenge["challenge"],
        "code_challenge_method": challenge["method"],
        "domain": f"{provider.issuer}authorize",
        "audience": AUDIENCE,
        "screen_hint": "signup",
        "prompt": "login",
        "organization": "org_1",
        "invitation": "an-invitation",
        "scope": ["openid", "profile", "email", "offline_access"],
        "client_id": "public",
        "ADDITIONAL_PARAMETERS": {"access_type": "offline", "display": "popup"},
        "response_mode": "form_post",
    }


def test_without_models(client: Client, visit: Visit) -> None:
    """The local session knows everything: no model is needed."""
    client.decoded("get_challenge")
    sent = json.loads(client.call("generate_code")["raw"])
    sign_in(visit(client.server), sent["authorization_url"])

    auth0 = client.decoded("generate_token")["auth0"]
    assert auth0["user"]["email"] == "ada@example.org"
    assert auth0["oAuth"]["token"]["access_token"]

    assert client.call("clear_pkce")["status"] == 204
    after = client.call("generate_token")
    assert (after["status"], json.loads(after["raw"])["error"]) == (409, "authorization_pending")


def test_with_full_models(client: Client, visit: Visit, provider: Provider) -> None:
    """Every member arrives, at the tenant and in the models of the answers."""
    challenge = client.decoded("get_challenge")["challenge"]
    seed = full_seed(client, provider, challenge)
    sent = client.call("generate_code", seeded_pkce=seed)
    assert sent["status"] == 200, sent
    echoed = seed.keys() - {"domain"}
    assert {name: sent["decoded"]["seed"][name] for name in echoed} == {
        name: seed[name] for name in echoed
    }
    url = json.loads(sent["raw"])["authorization_url"]
    asked = parameters_of(url)
    passed_on = ("state", "nonce", "audience", "screen_hint", "organization", "invitation")
    assert {name: asked[name] for name in passed_on} == {name: seed[name] for name in passed_on}
    assert asked["scope"] == "openid profile email offline_access"
    assert (asked["access_type"], asked["display"]) == ("offline", "popup")
    sign_in(visit(client.server), url)

    result = client.decoded("generate_code", seeded_pkce=seed)["result"]
    assert result["state"] == seed["state"]
    request = {
        "schema": SCHEMA,
        "grant_type": "authorization_code",
        "client_id": "public",
        "code": result["code"],
        "redirect_uri": seed["redirect_uri"],
        "code_verifier": challenge["verifier"],
        "audience": AUDIENCE,
    }
    answer = client.decoded("generate_token", tokenized_pkce=request)
    assert {name: answer["token"][name] for name in request} == request
    assert answer["auth0"]["user"]["email"] == "ada@example.org"
    token = answer["auth0"]["oAuth"]["token"]
    assert token["token_type"] == "Bearer"

    again = client.call("generate_token", tokenized_pkce=request)
    assert (again["status"], json.loads(again["raw"])["error"]) == (400, "invalid_grant")

    dummies = {"grant_type": "refresh_token", "code": token["refresh_token"]}
    refreshed = client.decoded("generate_token", tokenized_pkce=request | dummies)
    fresh = refreshed["auth0"]["oAuth"]["token"]
    assert fresh["access_token"] != token["access_token"]
    assert fresh["refresh_token"] != token["refresh_token"]
    assert client.call("clear_pkce")["status"] == 204


@pytest.mark.parametrize("schema", [{}, {"var_schema": SCHEMA}], ids=["minimal", "full"])
def test_a_client_hands_the_answer_over(client: Client, schema: dict[str, Any]) -> None:
    """A program that caught the tenant's answer by itself passes it on with its fifth method."""
    sent = json.loads(client.call("generate_code")["raw"])
    browser = ScriptedBrowser()
    answer = browser.catch_answer(browser.open(sent["authorization_url"]), "ada")
    given = {"code": answer["code"], "state": answer["state"]}

    handed_over = client.decoded("respond_with_code", **given, **schema)
    assert handed_over["result"]["code"] == answer["code"]
    assert handed_over["result"]["state"] == answer["state"]
    assert client.decoded("respond_with_code", **given)["result"]["code"] == answer["code"]
    other = client.call("respond_with_code", code="another-code", state=answer["state"])
    assert (other["status"], json.loads(other["raw"])["error"]) == (409, "flow_conflict")

    user = client.decoded("generate_token")["auth0"]["user"]
    assert user["email"] == "ada@example.org"
    assert client.call("clear_pkce")["status"] == 204
