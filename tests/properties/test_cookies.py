"""Cookies that somebody planted: never an error of ours, never another's session."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.web.host import CALLBACK, Browser, Host

ROUTES = (
    ("GET", "/pkce/challenge"),
    ("POST", "/pkce/code"),
    ("GET", f"{CALLBACK}?ticket=x"),
    ("GET", f"{CALLBACK}?code=x&state=x"),
    ("POST", "/pkce/token"),
    ("POST", "/pkce/clear"),
)


@dataclass(frozen=True)
class Victim:
    """A browser whose answer is bound, and which did not fetch its tokens yet."""

    browser: Browser
    state: str
    cookie: str

    @property
    def status(self) -> str:
        """How far its flow is."""
        return self.browser.host.status_of(self.browser, self.state)


def _victim(host: Host) -> Victim:
    browser = host.browser()
    state, url = browser.begin()
    browser.arrive(host.tenant.sign_in(url))
    return Victim(browser, state, browser.cookie)


#: A sign-in for each example takes its time.
FEWER = settings(max_examples=settings().max_examples // 4)

#: Bytes of a ``Cookie`` header, in which a name of ours and spellings of a value may occur.
PIECES = st.sampled_from(
    [b"pkce-80=", b"pkce-80", b"; ", b";", b"=", b",", b'"', b"\\101", b"\\377", b"\\", b".", b" "]
) | st.binary(max_size=12)  # fmt: skip


@st.composite
def _mutated(draw: st.DrawFn, cookie: bytes) -> bytes:
    """A good cookie in which some bytes are others; none with which it is still good."""
    start = draw(st.integers(0, len(cookie) - 1))
    end = draw(st.integers(start, min(start + 3, len(cookie))))
    mutated = cookie[:start] + draw(st.binary(max_size=3)) + cookie[end:]
    # Spaces around a value, and what follows its end, are none of it.
    return b"" if cookie in mutated else b"pkce-80=" + mutated


@FEWER
@given(st.data())
def test_planted(host: Host, data: st.DataObject) -> None:
    """Whatever bytes a cookie has, it opens no session but that of its signature."""
    victim = _victim(host)
    mutated = _mutated(victim.cookie.encode())
    header = b"".join(data.draw(st.lists(PIECES | mutated, max_size=6)))
    method, path = data.draw(st.sampled_from(ROUTES))
    stranger = host.program()
    response = stranger.send(method, path, headers={"Cookie": _header(header)})
    assert response.status_code < 500, response.text
    assert response.status_code != 200 or path in {"/pkce/challenge", "/pkce/code"}
    assert victim.status == "bound"
    assert victim.state not in response.text


@FEWER
@given(st.lists(PIECES.filter(lambda piece: b"pkce-80" not in piece), max_size=6).map(b"".join))
def test_planted_beside_the_real_one(host: Host, planted: bytes) -> None:
    """A value that is not ours, planted beside the one that is, does not lock its owner out."""
    victim = _victim(host)
    value = bytes(byte for byte in planted if chr(byte) not in ';"')
    for header in (
        b"pkce-80=" + value + b"; pkce-80=" + victim.cookie.encode(),
        b"pkce-80=" + victim.cookie.encode() + b"; pkce-80=" + value,
    ):
        program = host.program()
        headers = {"Cookie": _header(header)}
        response = program.send(
            "POST", "/pkce/code", json={"state": victim.state}, headers=headers
        )
        assert response.status_code == 200, response.text
        assert response.get_json()["result"]["state"] == victim.state


def _header(value: bytes) -> str:
    """A header as WSGI has it, without what no server lets through."""
    return value.translate(None, b"\r\n\0").decode("latin-1")
