"""All checks together."""

from __future__ import annotations

import pytest
from flask import Flask

from flask_pkce import PKCEBlueprint
from flask_pkce.cli.doctor import CHECKS, UnknownBlueprint, examine
from tests.conftest import SECRET_KEY, MakeApp
from tests.web.host import Host

from .examined import WRONG, check_row


def test_every_check(host: Host) -> None:
    """Each check has a row, in the order of the catalogue."""
    checks = [finding.check for finding in examine(host.app)]
    assert list(dict.fromkeys(checks)) == list(CHECKS)


def test_nothing_secret(make_app: MakeApp) -> None:
    """No secret of the settings is in any row."""
    secrets = {
        "PKCE_CLIENT_SECRET": "a client secret that nobody sees",
        "PKCE_PROXIES": {"https": "http://user:proxy-password@proxy.example"},
        "SECRET_KEY_FALLBACKS": ["a former key that nobody sees either"],
    }
    told = repr(examine(make_app(**secrets).app))
    for secret in (SECRET_KEY, "nobody sees", "proxy-password"):
        assert secret not in told


def test_several_blueprints(make_app: MakeApp) -> None:
    """Each blueprint has its rows; what concerns the application is told once."""
    app = Flask("host")
    make_app(app=app)
    make_app(
        app=app,
        blueprint=PKCEBlueprint("staff", config_prefix="STAFF_"),
        url_prefix="/staff",
    )
    names = [finding.blueprint for finding in examine(app)]
    assert set(names) == {None, "pkce", "staff"}
    assert names.count(None) == 1
    assert {finding.blueprint for finding in examine(app, blueprint="staff")} == {None, "staff"}


def test_unknown_blueprint(host: Host) -> None:
    """A name that no blueprint has is answered with those that there are."""
    with pytest.raises(UnknownBlueprint, match="there is no 'staff': there are pkce"):
        examine(host.app, blueprint="staff")


def test_no_blueprint() -> None:
    """An application without the blueprint is told so."""
    check_row(examine(Flask("host")), WRONG, "No PKCEBlueprint", "init_app")
