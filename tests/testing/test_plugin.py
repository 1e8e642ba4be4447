"""The fixtures that pytest has wherever the package is installed."""

from __future__ import annotations

import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest
import requests
from flask import Flask

import flask_pkce
from flask_pkce import PKCEBlueprint
from flask_pkce.testing import LocalTenant

#: A test module of somebody who installed the package.
MODULE = """
import pytest
from flask import Flask
from flask_pkce import PKCEBlueprint
from flask_pkce.testing import login_as

pkce = PKCEBlueprint()

@pytest.fixture
def client(local_tenant):
    app = Flask(__name__)
    app.config.update(local_tenant.config, SECRET_KEY="a key of 32 characters or more, as it must")
    app.config["PKCE_TOKEN_DELIVERY"] = "session"
    pkce.init_app(app)
    return app.test_client()

def test_one_line(client):
    login_as(client, org="org_1")
    assert client.get("/pkce/user").json["org_id"] == "org_1"

def test_redirects(client, local_tenant):
    local_tenant.sign_in_client(client, "bob", return_to="/pkce/user")
    assert client.get("/pkce/user").json["email"] == "bob@example.com"

def test_shared(shared_local_tenant):
    assert shared_local_tenant.issuer.startswith("http://127.0.0.1:")
"""


def test_installed(tmp_path: Path) -> None:
    """Whoever installed the package has the fixtures, with nothing to configure."""
    (tmp_path / "test_theirs.py").write_text(MODULE)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout


def test_entry_point() -> None:
    """The plugin goes by the name of the package."""
    (found,) = entry_points(group="pytest11", name="flask_pkce")
    assert found.value == "flask_pkce.testing.plugin"


@pytest.mark.usefixtures("shared_local_tenant")
def test_local_tenant(local_tenant: LocalTenant) -> None:
    """A provider that serves: an application in another place can sign in there."""
    found = requests.get(f"{local_tenant.issuer}.well-known/openid-configuration", timeout=10)
    assert found.json()["issuer"] == local_tenant.issuer
    pkce, app = PKCEBlueprint(), Flask("host")
    app.config.update(local_tenant.config, SECRET_KEY="a key of the tests, long enough for it")
    pkce.init_app(app)
    page = local_tenant.sign_in_client(app.test_client())
    assert "<h1>Signed in</h1>" in page.text


def test_shared_tenant_has_other_faults(
    local_tenant: LocalTenant, shared_local_tenant: LocalTenant
) -> None:
    """Each test has a tenant of its own, and one that it shares."""
    local_tenant.faults.add("token-500")
    assert not shared_local_tenant.faults
    assert local_tenant.issuer != shared_local_tenant.issuer


def test_public_names() -> None:
    """What the package has is there when it is asked for, and listed before."""
    assert set(flask_pkce.__all__) <= set(dir(flask_pkce))
    for name in flask_pkce.__all__:
        assert getattr(flask_pkce, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'PKCE'"):
        flask_pkce.PKCE  # type: ignore[attr-defined]  # noqa: B018
