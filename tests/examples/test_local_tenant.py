"""What the examples bring along where there are no settings; here sockets of loopback are used."""

from __future__ import annotations

import logging
import socket
import stat
from collections.abc import Iterator
from pathlib import Path
from threading import Thread

import pytest
from flask import Flask

from examples import local_tenant
from examples.standalone import app as standalone
from flask_pkce import PKCEBlueprint
from flask_pkce.testing import LocalTenant
from tests.examples.pages import Page

Served = tuple[Flask, LocalTenant]


@pytest.fixture
def port() -> int:
    """A port that is free."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found: int = listener.getsockname()[1]
    return found


@pytest.fixture
def app(tmp_path: Path, port: int) -> Flask:
    """An application without settings."""
    app = Flask("host", instance_path=str(tmp_path / "instance"))
    app.config["TENANT_PORT"] = port
    return app


@pytest.fixture
def tenant(app: Flask) -> Iterator[LocalTenant]:
    """The tenant that came along."""
    tenant = local_tenant.use_local_tenant(app)
    assert tenant is not None
    yield tenant
    tenant.stop()


@pytest.mark.parametrize("host", ["localhost:3000", "127.0.0.1:5000", "[::1]:8080", "localhost"])
def test_sign_in_on_any_port(app: Flask, tenant: LocalTenant, host: str) -> None:
    """The tenant answers the application wherever on loopback that is reached."""
    app.config.update(PKCE_LOCAL_SESSION=True, PKCE_STORE_URL="memory://")
    PKCEBlueprint().init_app(app)
    program = app.test_client(use_cookies=False)
    headers = {"Host": host}
    sent = program.post("/pkce/code", headers=headers).json
    assert sent
    answer = tenant.sign_in(sent["authorization_url"])
    assert answer.url == f"http://{host}/pkce/response/code"
    assert program.post("/pkce/response/code", data=answer.params, headers=headers).json
    tokens = program.post("/pkce/token", headers=headers).json
    assert tokens
    assert tokens["auth0"]["user"]["name"] == "Alice Example"


def test_secret_key(app: Flask, tenant: LocalTenant) -> None:
    """A key is made once, is its owner's alone, and is the same after a restart."""
    key = app.config["SECRET_KEY"]
    assert len(key) == 43
    kept = [file for file in Path(app.instance_path).iterdir() if file.read_text() == key]
    assert [stat.S_IMODE(file.stat().st_mode) for file in kept] == [0o600]
    app.config.update(PKCE_DOMAIN=None, SECRET_KEY=None)
    local_tenant.use_local_tenant(app)
    assert app.config["SECRET_KEY"] == key


def test_secret_key_that_is_set(app: Flask) -> None:
    """A key that is set stays, and no other is kept."""
    app.config["SECRET_KEY"] = "the operator's own"
    tenant = local_tenant.use_local_tenant(app)
    assert tenant is not None
    tenant.stop()
    assert app.config["SECRET_KEY"] == "the operator's own"
    assert list(Path(app.instance_path).iterdir()) == []


def test_second_process(app: Flask, tenant: LocalTenant, tmp_path: Path) -> None:
    """Who comes second uses the tenant that is served."""
    second = Flask("second", instance_path=str(tmp_path / "instance"))
    second.config["TENANT_PORT"] = app.config["TENANT_PORT"]
    assert local_tenant.use_local_tenant(second) is not None
    for name in ("PKCE_DOMAIN", "PKCE_CLIENT_ID", "SECRET_KEY"):
        assert second.config[name] == app.config[name]


@pytest.mark.parametrize(
    "answer", [b"", b"HTTP/1.0 200 OK\r\n\r\n[]", b"HTTP/1.0 200 OK\r\n\r\n<html>"]
)
def test_port_is_taken(app: Flask, answer: bytes) -> None:
    """Something else on the port stops the start, and the setting is named."""
    with socket.create_server(("127.0.0.1", app.config["TENANT_PORT"])) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(answer)

        thread = Thread(target=serve)
        thread.start()
        with pytest.raises(RuntimeError, match="FLASK_TENANT_PORT"):
            local_tenant.use_local_tenant(app)
        thread.join()


def test_port_that_may_not_be_used(app: Flask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another fault of the port is not taken for a tenant that is there."""

    def refuse(self: LocalTenant) -> None:
        raise PermissionError("not for you")

    monkeypatch.setattr(LocalTenant, "start", refuse)
    with pytest.raises(PermissionError):
        local_tenant.use_local_tenant(app)


def test_real_tenant(app: Flask) -> None:
    """Where a tenant is set nothing comes along, no secret key either."""
    app.config["PKCE_DOMAIN"] = "example.eu.auth0.com"
    assert local_tenant.use_local_tenant(app) is None
    assert app.config["SECRET_KEY"] is None
    assert not Path(app.instance_path).exists()


def test_standalone_server(
    environment: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, tmp_path: Path, port: int
) -> None:
    """With no settings at all the standalone server starts, and says where one signs in."""
    environment.setattr(standalone, "HERE", tmp_path)
    environment.setenv("FLASK_TENANT_PORT", str(port))
    with LocalTenant(port=port, keys_folder=tmp_path), caplog.at_level(logging.WARNING):
        app = standalone.create_app()
    assert f"local tenant http://127.0.0.1:{port}/" in caplog.text
    text = app.test_client().get("/").text
    Page(text)
    assert "on this machine, as\n      Alice or Bob" in text
