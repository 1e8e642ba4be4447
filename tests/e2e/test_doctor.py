"""``flask pkce doctor`` as an operator runs it, in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from flask import Flask

from flask_pkce import PKCEBlueprint
from flask_pkce.testing import LocalTenant

from .processes import PATIENCE, clean_environment

APPLICATION = """
from flask import Flask
from flask_pkce import PKCEBlueprint

app = Flask(__name__)
app.config.from_prefixed_env()
PKCEBlueprint().init_app(app)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with an application whose settings come from the environment."""
    (tmp_path / "shop.py").write_text(APPLICATION)
    return tmp_path


def doctor(folder: Path, *args: str, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run the doctor on the application."""
    return subprocess.run(
        [sys.executable, "-m", "flask", "--app", "shop", "pkce", "doctor", *args],
        cwd=folder,
        env=clean_environment(**{f"FLASK_{name}": value for name, value in settings.items()}),
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )


def test_application_that_does_not_start(folder: Path) -> None:
    """Every fault of the settings is a row, and there is no traceback."""
    told = doctor(folder, PKCE_DOMIAN="tenant.example", SECRET_KEY="short-secret")
    assert told.returncode == 1
    for words in (
        "PKCE_DOMAIN is missing",
        "PKCE_CLIENT_ID is missing",
        "SECRET_KEY is weak",
        "Is PKCE_DOMAIN meant?",
        "0 right, 1 doubtful, 3 wrong, 0 skipped",
    ):
        assert words in told.stdout
    assert "Traceback" not in told.stdout + told.stderr
    assert "short-secret" not in told.stdout + told.stderr


def test_application_that_works(folder: Path) -> None:
    """A tenant on loopback is asked, and a worker with another key is found out."""
    tenant = LocalTenant()
    tenant.register(redirect_uris=["http://localhost:5000/pkce/response/code"])
    with tenant:
        settings = {
            "SECRET_KEY": "f2b09c4d71e8a6350b9d",
            "PKCE_DOMAIN": tenant.issuer,
            "PKCE_CLIENT_ID": tenant.client.client_id,
            "PKCE_STORE_URL": f"sqlite:///{folder}/pkce.db",
        }
        told = doctor(folder, **settings)
        assert told.returncode == 0, told.stdout
        assert "0 wrong, 1 skipped" in told.stdout
        worker = Flask("worker")
        worker.config.update(settings, SECRET_KEY="another key, which is long enough")
        PKCEBlueprint().init_app(worker)
        assert worker.test_client().get("/pkce/challenge").status_code == 200
        told = doctor(folder, "--json", **settings)
    assert told.returncode == 1
    rows = json.loads(told.stdout)["findings"]
    assert [row["check"] for row in rows if row["verdict"] == "wrong"] == ["shared-key"]
    assert not [row["check"] for row in rows if row["verdict"] == "skipped"]
