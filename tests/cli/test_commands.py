"""``flask pkce``, through Flask's runner."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points
from typing import Any

import pytest
from click.testing import CliRunner, Result
from flask import Flask
from flask.cli import ScriptInfo

from flask_pkce import ConfigurationError, PKCEBlueprint
from flask_pkce.cli.commands import pkce
from flask_pkce.cli.doctor import CHECKS
from tests.cli.doctor.examined import public
from tests.conftest import SECRET_KEY, MakeApp
from tests.web.host import Host


def run(app: Flask, *args: str) -> Result:
    """Run ``flask pkce`` with these arguments."""
    return app.test_cli_runner().invoke(pkce, list(args))


def test_entry_point() -> None:
    """It is a command of ``flask`` for every application, started or not."""
    (entry,) = entry_points(group="flask.commands", name="pkce")
    assert entry.load() is pkce


def test_nothing_is_imported_for_other_commands() -> None:
    """Whoever runs another command does not wait for the doctor."""
    code = (
        "import sys, flask_pkce.cli.commands; print([m for m in sys.modules if 'cli.doctor' in m])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout == "[]\n"


@pytest.fixture
def sound(make_app: MakeApp) -> Host:
    """An application in which nothing is wrong or doubtful."""
    return make_app(TESTING=True, **public())


@pytest.fixture
def doubtful(make_app: MakeApp) -> Host:
    """An application in which something is doubtful."""
    return make_app(TESTING=True, PKCE_WXYZ="x", **public())


@pytest.fixture
def ill(make_app: MakeApp) -> Host:
    """An application in which something is wrong."""
    host = make_app(TESTING=True, **public())
    host.tenant.faults = ["unreachable"]
    return host


def status_of(host: Host, *args: str) -> int:
    """The exit status, and that it comes with a report."""
    result = run(host.app, "doctor", *args)
    assert result.output.rstrip().splitlines()[-1].endswith(("skipped", "}")), result.output
    return result.exit_code


def test_status_if_something_is_doubtful(doubtful: Host) -> None:
    """What is doubtful fails nothing, unless ``--strict`` says so."""
    assert (status_of(doubtful), status_of(doubtful, "--strict")) == (0, 1)


def test_status_if_something_is_wrong(ill: Host) -> None:
    """The exit status is 1, whatever is printed."""
    assert (status_of(ill), status_of(ill, "--json")) == (1, 1)


def test_status_if_all_is_well(sound: Host) -> None:
    """What could not be looked at does not count."""
    assert status_of(sound, "--strict") == 0
    assert "0 doubtful, 0 wrong, 2 skipped" in run(sound.app, "doctor").output


def test_json(sound: Host) -> None:
    """``--json`` prints one document, and nothing else."""
    result = run(sound.app, "doctor", "--json")
    assert {each["check"] for each in json.loads(result.stdout)["findings"]} == set(CHECKS)


def test_url(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """``--url`` says where users are, where no setting does; else it is Flask's own server."""
    assert "http://localhost:5000/pkce/response/code" in unwrapped(run(host.app, "doctor"))
    monkeypatch.setenv("FLASK_RUN_PORT", "3000")
    assert "http://localhost:3000/pkce/response/code" in unwrapped(run(host.app, "doctor"))
    result = run(host.app, "doctor", "--url", "http://localhost:8000/")
    assert "http://localhost:8000/pkce/response/code" in unwrapped(result)
    result = run(host.app, "doctor", "--url", "localhost")
    assert (result.exit_code, "must begin with http" in result.output) == (2, True)


def unwrapped(result: Result) -> str:
    """What was printed, as one line."""
    return " ".join(result.output.split())


def test_blueprint(make_app: MakeApp) -> None:
    """``--blueprint`` looks at one of several; a name that there is not is told."""
    app = Flask("host")
    make_app(app=app, **public())
    staff = PKCEBlueprint("staff", config_prefix="STAFF_")
    make_app(app=app, blueprint=staff, url_prefix="/staff")
    table = run(app, "doctor").output
    assert " pkce " in table
    assert " staff " in table
    rows = json.loads(run(app, "doctor", "--json", "--blueprint", "staff").stdout)["findings"]
    assert {each["blueprint"] for each in rows} == {None, "staff"}
    result = run(app, "doctor", "--blueprint", "crew")
    assert (result.exit_code, "there are pkce, staff" in unwrapped(result)) == (2, True)


def test_tenant(sound: Host) -> None:
    """``--tenant`` looks at those that are named, and tells which of them there is not."""
    assert status_of(sound, "--tenant", "") == 0
    result = run(sound.app, "doctor", "--tenant", "crew")
    assert (result.exit_code, "crew: " in unwrapped(result)) == (1, True)


# -- an application that does not start --------------------------------------------


def refused(create_app: Any) -> Result:
    """What the doctor says of a factory that raises."""
    info = ScriptInfo(create_app=create_app)
    return Flask("runner").test_cli_runner().invoke(pkce, ["doctor"], obj=info)


def create_app() -> Flask:
    """An application whose settings are wrong."""
    app = Flask("host")
    app.config.update(SECRET_KEY=SECRET_KEY, PKCE_CLIENTID="id", PKCE_DOMAIN="tenant.example")
    PKCEBlueprint().init_app(app)
    return app


def create_app_that_says_it_another_way() -> Flask:
    """The same, with an exception of the host's own."""
    try:
        return create_app()
    except ConfigurationError as exc:
        raise RuntimeError("the shop cannot be opened") from exc


@pytest.mark.parametrize("factory", [create_app, create_app_that_says_it_another_way])
def test_settings_that_stop_the_start(factory: Any) -> None:
    """They are rows of the table, and the exit status is 1."""
    result = refused(factory)
    assert result.exit_code == 1
    assert "PKCE_CLIENT_ID is missing" in result.output
    assert "Is PKCE_CLIENT_ID meant?" in unwrapped(result)
    assert result.output.endswith("0 right, 1 doubtful, 1 wrong, 0 skipped\n")


def test_another_fault_at_the_start() -> None:
    """A fault of the host's own is not for the doctor."""

    def create_broken_app() -> Flask:
        raise RuntimeError("a mistake of the host")

    assert isinstance(refused(create_broken_app).exception, RuntimeError)


def test_no_application() -> None:
    """Without an application ``flask`` says what it always says."""
    result = CliRunner().invoke(pkce, ["doctor"], obj=ScriptInfo("no_such_module"))
    assert result.exit_code == 2
    assert "Could not import 'no_such_module'" in result.output
