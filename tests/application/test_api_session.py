"""Calling an API as the user: where the token goes, and what a 401 does."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urljoin

import pytest
import requests
import requests_mock

from flask_pkce.application.api_session import APISession
from flask_pkce.errors import TenantError
from flask_pkce.sessions.session import BearerToken

API = "https://api.example.com/v1/"


class Tokens:
    """Gives tokens, another one each time one was refused."""

    def __init__(self) -> None:
        self.refused: list[str] = []
        self.current = "token-0"

    def __call__(self, refused: BearerToken | None) -> str:
        if refused is not None and refused.value == self.current:
            self.refused.append(refused.value)
            self.current = f"token-{len(self.refused)}"
        return self.current


@pytest.fixture
def tokens() -> Tokens:
    return Tokens()


@pytest.fixture
def api(tokens: Tokens) -> APISession:
    return APISession(API, tokens)


def carried(mock: requests_mock.Mocker) -> list[str | None]:
    """The ``Authorization`` of each request."""
    return [request.headers.get("Authorization") for request in mock.request_history]


@pytest.mark.requirement("AZ-20")
@pytest.mark.parametrize("path", ["orders", "/orders", b"orders", f"{API}orders"])
def test_addresses(
    path: str | bytes, api: APISession, requests_mock: requests_mock.Mocker
) -> None:
    """An address is relative to the base, or whole."""
    requests_mock.get(f"{API}orders", json=[1])
    assert api.get(path).json() == [1]
    assert carried(requests_mock) == ["Bearer token-0"]


@pytest.mark.requirement("AZ-20")
@pytest.mark.parametrize(
    "url",
    [
        "https://other.example.com/",
        "http://api.example.com/",
        "https://api.example.com:8443/",
        "https://api.example.com.evil.example/",
    ],
)
def test_no_other_origin(url: str, api: APISession, requests_mock: requests_mock.Mocker) -> None:
    """No other origin gets the token."""
    requests_mock.get(url, status_code=401)
    assert api.get(url).status_code == 401
    assert carried(requests_mock) == [None]


def test_redirect_elsewhere(
    api: APISession, tokens: Tokens, requests_mock: requests_mock.Mocker
) -> None:
    """An API that redirects elsewhere does not take the token along, whatever is there."""
    requests_mock.get(f"{API}a", status_code=302, headers={"Location": "https://evil.example/"})
    requests_mock.get("https://evil.example/", status_code=401)
    assert api.get("a").status_code == 401
    assert carried(requests_mock) == ["Bearer token-0", None]
    assert tokens.refused == []


def test_redirect_within(api: APISession, requests_mock: requests_mock.Mocker) -> None:
    """Within the API it goes along."""
    requests_mock.get(f"{API}a", status_code=302, headers={"Location": "/v1/b"})
    requests_mock.get(f"{API}b", json={})
    api.get("a")
    assert carried(requests_mock) == ["Bearer token-0"] * 2


@pytest.mark.requirement("AZ-21")
@pytest.mark.parametrize("body", [None, "text", b"bytes"])
def test_renewed_once(
    body: str | bytes | None,
    api: APISession,
    tokens: Tokens,
    requests_mock: requests_mock.Mocker,
) -> None:
    """A 401 renews the token, and sends the same once more."""
    requests_mock.post(f"{API}a", [{"status_code": 401}, {"json": {"ok": True}}])
    answer = api.post("a", data=body)
    assert answer.json() == {"ok": True}
    assert carried(requests_mock) == ["Bearer token-0", "Bearer token-1"]
    assert len({request.body for request in requests_mock.request_history}) == 1
    assert [earlier.status_code for earlier in answer.history] == [401]


def test_refused_again(
    api: APISession, tokens: Tokens, requests_mock: requests_mock.Mocker
) -> None:
    """An API that refuses the new token, too, is not asked a third time."""
    requests_mock.get(f"{API}a", status_code=401)
    assert api.get("a").status_code == 401
    assert carried(requests_mock) == ["Bearer token-0", "Bearer token-1"]
    assert tokens.refused == ["token-0"]


def test_redirect_after_a_renewal(api: APISession, requests_mock: requests_mock.Mocker) -> None:
    """Whoever follows no redirects does not after a 401, either; everybody else does."""
    moved = {"status_code": 302, "headers": {"Location": "/v1/b"}}
    requests_mock.get(f"{API}a", [{"status_code": 401}, moved, {"status_code": 401}, moved])
    requests_mock.get(f"{API}b", json={"b": 1})
    assert api.get("a", allow_redirects=False).status_code == 302
    assert api.get("a").json() == {"b": 1}
    # The new token goes along at once.
    assert carried(requests_mock)[-2:] == ["Bearer token-2", "Bearer token-2"]


@pytest.mark.requirement("AZ-20")
def test_redirect_to_another_scheme(tokens: Tokens, requests_mock: requests_mock.Mocker) -> None:
    """The same host by another scheme is another origin."""
    moved = {"Location": "https://localhost/b"}
    requests_mock.get("http://localhost/a", status_code=301, headers=moved)
    requests_mock.get("https://localhost/b", status_code=401)
    APISession("http://localhost", tokens).get("a")
    assert carried(requests_mock) == ["Bearer token-0", None]


def test_redirect_between_strangers(api: APISession, requests_mock: requests_mock.Mocker) -> None:
    """Whatever a caller itself sends elsewhere stays there, too."""
    headers = {"Location": "http://other.example.com/"}
    requests_mock.get("http://some.example.com/", status_code=302, headers=headers)
    requests_mock.get("http://other.example.com/", json={})
    api.get("http://some.example.com/", headers={"Authorization": "Basic dTpw"})
    assert carried(requests_mock) == ["Basic dTpw", None]


@pytest.mark.requirement("AZ-20")
@pytest.mark.parametrize(
    ("to", "expected"), [("/v1/b", "Bearer token-0"), ("https://other.example.com/", None)]
)
def test_netrc(
    to: str,
    expected: str | None,
    api: APISession,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    requests_mock: requests_mock.Mocker,
) -> None:
    """What the machine knows of a host takes no part."""
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password else\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    requests_mock.get(f"{API}a", status_code=307, headers={"Location": to})
    requests_mock.get(urljoin(API, to), json={})
    api.get("a")
    assert carried(requests_mock) == ["Bearer token-0", expected]


@pytest.mark.parametrize(
    "base", ["https://api.example.com:443/v1/", "https://API.example.com/v1/"]
)
def test_one_origin_however_it_is_spelled(
    base: str, tokens: Tokens, requests_mock: requests_mock.Mocker
) -> None:
    """The default port and the case of a host make no other origin."""
    requests_mock.get(f"{base}a", json={})
    APISession(base, tokens).get("a")
    assert carried(requests_mock) == ["Bearer token-0"]


def test_no_address(api: APISession) -> None:
    """What is no address gets no token."""
    with pytest.raises(requests.exceptions.InvalidSchema):
        api.get("mailto:a@example.com")


def test_streams_are_not_repeated(
    api: APISession, tokens: Tokens, requests_mock: requests_mock.Mocker
) -> None:
    """What was read from a stream is gone: the 401 is the caller's."""
    requests_mock.post(f"{API}a", status_code=401)
    assert api.post("a", data=io.BytesIO(b"once")).status_code == 401
    assert tokens.refused == []


def test_no_token(requests_mock: requests_mock.Mocker) -> None:
    """Where there is no token nothing is sent."""

    def none(_: BearerToken | None) -> str:
        raise LookupError

    with pytest.raises(LookupError):
        APISession(API, none).get("a")
    assert not requests_mock.called


@pytest.mark.requirement("AZ-20")
def test_token_with_a_blank(requests_mock: requests_mock.Mocker) -> None:
    """No header can carry a token with a blank, the first one or a renewed one."""
    requests_mock.get(f"{API}a", status_code=401)
    with pytest.raises(TenantError, match="has a blank"):
        APISession(API, lambda _: "a b").get("a")
    assert not requests_mock.called
    with pytest.raises(TenantError, match="has a blank"):
        APISession(API, lambda refused: "a" if refused is None else "b ").get("a")
    assert carried(requests_mock) == ["Bearer a"]


@pytest.mark.parametrize("base_url", ["api.example.com", "ftp://api.example.com", "https://", ""])
def test_base(base_url: str, tokens: Callable[[BearerToken | None], str]) -> None:
    """The base must be an address."""
    with pytest.raises(ValueError, match="base_url"):
        APISession(base_url, tokens)


def test_other_hooks_run(api: APISession, requests_mock: requests_mock.Mocker) -> None:
    """Hooks of the caller's see the answer that counts."""
    requests_mock.get(f"{API}a", [{"status_code": 401}, {"json": {}}])
    seen: list[int] = []

    def see(response: requests.Response, **_: object) -> None:
        seen.append(response.status_code)

    api.get("a", hooks={"response": see})
    assert seen == [200]
