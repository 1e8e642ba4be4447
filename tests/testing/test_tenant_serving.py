"""How the local tenant is started, reached and kept."""

from __future__ import annotations

import json
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from urllib3.exceptions import IncompleteRead

from flask_pkce import testing
from flask_pkce.testing import LocalTenant, TenantClient
from flask_pkce.testing.tenant.keys import FILE_NAME, PUBLISHED
from tests.testing.relying_party import CALLBACK, RelyingParty

KEYS = ".well-known/jwks.json"


def published(tenant: LocalTenant) -> list[str]:
    """The identifiers of the keys that the tenant publishes, the current one first."""
    party = RelyingParty(tenant, tenant.mount(requests.Session()))
    return [key["kid"] for key in party.get(KEYS).json()["keys"]]


def test_importing_the_package_is_light() -> None:
    """Authlib and Flask are imported when the tenant is asked for."""
    program = (
        "import sys, flask_pkce.testing as t; print('authlib' in sys.modules);"
        " t.LocalTenant; print('authlib' in sys.modules)"
    )
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert result.stdout.split() == ["False", "True"], result.stderr


def test_unknown_name_of_the_package() -> None:
    """A name that does not exist is told as any module would."""
    with pytest.raises(AttributeError, match="has no attribute 'RemoteTenant'"):
        testing.RemoteTenant  # noqa: B018


def test_start_and_stop() -> None:
    """It serves between start and stop, on loopback, and keeps its address."""
    tenant = LocalTenant(host="localhost")
    assert tenant.issuer == "https://tenant.example/"
    tenant.stop()
    assert tenant.start() is tenant
    issuer = tenant.issuer
    assert issuer == f"http://localhost:{tenant.domain.split(':')[1]}/"
    with pytest.raises(RuntimeError, match="serves already"):
        tenant.start()
    address = ("127.0.0.1", int(tenant.domain.split(":")[1]))
    with socket.create_connection(address, 10) as connection:
        connection.sendall(f"GET /userinfo HTTP/1.0\r\nHost: {tenant.domain}\r\n\r\n".encode())
        assert b" 401 " in connection.recv(100)
    tenant.stop()
    assert tenant.issuer == issuer
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address, 10)
    with tenant:
        assert tenant.issuer == issuer


def test_port_taken(capfd: pytest.CaptureFixture[str]) -> None:
    """A port that is taken is an error to catch, not the end of the process."""
    with LocalTenant() as tenant:
        port = int(tenant.domain.split(":")[1])
        second = LocalTenant(port=port)
        assert second.issuer == tenant.issuer
        with pytest.raises(OSError, match="in use"):
            second.start()
    with second:
        assert requests.get(second.issuer + KEYS, timeout=10).status_code == 200
    assert capfd.readouterr().err == ""


def test_issuer_of_its_own() -> None:
    """An issuer that is given stays, and is what requests must name."""
    tenant = LocalTenant(port=5555, issuer="https://login.example/")
    assert (tenant.issuer, tenant.domain) == ("https://login.example/", "login.example")
    assert published(tenant)


def test_mounted_before_it_has_an_address() -> None:
    """Who mounted a tenant keeps reaching it, so that its issuer must not change any more."""
    tenant = LocalTenant()
    tenant.mount(requests.Session())
    with pytest.raises(RuntimeError, match="start the tenant before"):
        tenant.start()


@pytest.mark.parametrize(
    ("host", "issuer", "message"),
    [
        ("0.0.0.0", None, "host must be one of"),
        ("127.0.0.1", "https://login.example", "must end with a slash"),
    ],
)
def test_wrong_arguments(host: str, issuer: str | None, message: str) -> None:
    """Nothing but loopback, and no issuer that Auth0 would not have."""
    with pytest.raises(ValueError, match=message):
        LocalTenant(host=host, issuer=issuer)


def test_register() -> None:
    """Registering adds addresses to a client, or another client."""
    tenant = LocalTenant()
    tenant.register(redirect_uris=["http://localhost/a"])
    client = tenant.register(redirect_uris=[CALLBACK], client_secret="top-secret")
    assert client == TenantClient("local-client", "top-secret", ("http://localhost/a", CALLBACK))
    assert tenant.client == client
    assert tenant.register() == client
    other = tenant.register("other", post_logout_redirect_uris=[CALLBACK])
    assert other == TenantClient("other", None, (), (CALLBACK,))
    assert tenant.client == client
    assert "top-secret" not in repr(client)


def test_answers_are_those_of_a_connection() -> None:
    """In process, an answer can be streamed in pieces, as from a connection."""
    tenant = LocalTenant()
    session = tenant.mount(requests.Session())
    with session.get(tenant.issuer + KEYS, stream=True, timeout=10) as response:
        assert response.raw.version == 11
        assert response.headers["Content-Type"] == "application/json"
        first = response.raw.read(8)
        rest = b"".join(response.iter_content(16))
    assert first == b'{"keys":'
    assert json.loads(first + rest)["keys"]
    posted = session.post(f"{tenant.issuer}oauth/token", data=b"a=1&b=2", timeout=10)
    assert posted.status_code == 400


def test_cut_off_answer() -> None:
    """A body that is shorter than its Content-Length is noticed, as from a connection."""
    tenant = LocalTenant()

    @tenant.app.after_request
    def promise_more(response: object) -> object:
        response.headers["Content-Length"] = "999999"  # type: ignore[attr-defined]
        return response

    session = tenant.mount(requests.Session())
    with (
        session.get(tenant.issuer + KEYS, stream=True, timeout=10) as response,
        pytest.raises(requests.exceptions.ChunkedEncodingError) as raised,
    ):
        list(response.iter_content(64))
    assert isinstance(raised.value.args[0].args[1], IncompleteRead)


def test_cookies_in_process() -> None:
    """Cookies come and go as over a connection, and are out of reach of scripts."""
    tenant = LocalTenant()
    tenant.register(redirect_uris=[CALLBACK])
    party = RelyingParty(tenant, tenant.mount(requests.Session()))
    fields = {"action": "login", "email": "bob@example.com", "password": "bob-password"}
    page = party.session.post(party.url(), fields, timeout=10)
    cookie = page.headers["Set-Cookie"]
    assert all(word in cookie for word in ("HttpOnly", "Secure", "SameSite=Lax", "Path=/"))
    again = party.session.get(party.url(prompt="none"), timeout=10)
    assert 'name="code"' in again.text


# -- keys --------------------------------------------------------------------


def test_keys_rotate() -> None:
    """After a rotation a new key signs; older ones stay published for a while."""
    tenant = LocalTenant()
    first = published(tenant)
    tenant.rotate_keys()
    second = published(tenant)
    assert second[1:] == first
    for _ in range(PUBLISHED):
        tenant.rotate_keys()
    assert len(published(tenant)) == PUBLISHED
    assert first[0] not in published(tenant)


def test_keys_are_kept(tmp_path: Path) -> None:
    """Keys in a folder survive a restart, and only their owner can read them."""
    folder = tmp_path / "instance" / "tenant"
    kids = published(LocalTenant(keys_folder=folder))
    assert published(LocalTenant(keys_folder=str(folder))) == kids
    assert [path.name for path in folder.iterdir()] == [FILE_NAME]
    assert stat.S_IMODE((folder / FILE_NAME).stat().st_mode) == 0o600
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_keys_are_not_shared() -> None:
    """Two tenants have different keys, and publish no private part of theirs."""
    tenant, other = LocalTenant(), LocalTenant()
    assert published(tenant) != published(other)
    party = RelyingParty(tenant, tenant.mount(requests.Session()))
    (key,) = party.get(KEYS).json()["keys"]
    assert key.keys() == {"kty", "n", "e", "kid", "use", "alg"}


@pytest.mark.parametrize(
    "content", ["", "{}", "[]", '{"keys": [{"kty": "RSA"}]}', '{"keys": [1]}']
)
def test_unreadable_keys(tmp_path: Path, content: str) -> None:
    """A file that holds no keys is reported, never replaced."""
    file = tmp_path / FILE_NAME
    file.write_text(content)
    with pytest.raises(ValueError, match="holds no signing keys: delete it"):
        LocalTenant(keys_folder=tmp_path)
    assert file.read_text() == content
