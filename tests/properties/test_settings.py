"""Any value of any setting is taken, or refused with the setting's name."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flask_pkce.errors import ConfigurationError
from flask_pkce.settings.loading import read_settings
from flask_pkce.settings.model import Settings
from flask_pkce.settings.secret_keys import read_secret_keys
from tests.properties.documents import ANY_TEXT, INTEGERS, JSON, attempt

NAMES = tuple(f"PKCE_{setting.metadata['name']}" for setting in fields(Settings))
USUAL = {"PKCE_DOMAIN": "tenant.example", "PKCE_CLIENT_ID": "local-client"}

WORDS = st.sampled_from(
    [
        "true", "FALSE", "1", "0", " 1 ", "query", "session", "caller", "RS256", "RS256, ES256",
        "none", "openid", "openid profile", "https://app.example", "https://app.example/a/",
        "http://localhost:3000", "http://app.example", "https://u@app.example", "app.example",
        "https://app.example:99999", "com.example:/done", "/account", "//evil.example", "/\\a",
        "https://[::1", "https://a?b#c", "memory://", "redis://x", "socks5://p:1", "state", "ext",
        "60", "1e5", "9" * 5000, "-5", "\u0663", "²", "\0", "/", str(Path(__file__)), "a,,b", ",",
    ]
)  # fmt: skip
VALUES = (
    WORDS
    | ANY_TEXT
    | INTEGERS
    | st.just(10**5000)
    | st.floats()
    | st.binary(max_size=8)
    | st.lists(WORDS | ANY_TEXT | INTEGERS | st.floats(), max_size=3)
    | st.lists(WORDS, max_size=3).map(tuple)
    | st.sets(WORDS, max_size=3)
    | st.dictionaries(st.sampled_from(["http", "https", "ftp"]), WORDS | JSON, max_size=2)
    | JSON
    | st.builds(object)
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, min_size=1, max_size=2))
def test_any_value(values: dict[str, Any]) -> None:
    """Settings come of it, or an error whose every line begins with a setting's name."""
    settings = attempt(lambda: read_settings({**USUAL, **values}), ConfigurationError)
    if isinstance(settings, ConfigurationError):
        assert settings.faults
        for fault in settings.faults:
            # A fault of a tenant names its member: `PKCE_TENANTS['acme'].domain`.
            assert fault.split()[0].partition("[")[0] in values
            assert "\n" not in fault
        return
    assert settings.registrations[0].issuer.startswith(("https://", "http://"))
    assert settings.registrations[0].discovery_url
    assert "openid" in settings.registrations[0].scopes_allowed
    assert isinstance(settings.flow_lifetime, int)


@given(
    st.text(max_size=30) | st.sampled_from(["a.example", "localhost:5000", "x:y:z", "[::1]:80"]),
    st.sampled_from(["http", "https", "ftp", ""]),
)
def test_any_server_name(server_name: str, scheme: str) -> None:
    """What Flask knows of our address is taken where it is one, else the setting is named."""
    settings = attempt(
        lambda: read_settings(USUAL, server_name=server_name, scheme=scheme), ConfigurationError
    )
    if isinstance(settings, ConfigurationError):
        assert all(fault.startswith("PKCE_PUBLIC_URL ") for fault in settings.faults)
        return
    assert settings.public_url is None or settings.public_url.startswith(f"{scheme}://")


@given(VALUES, st.just(()) | VALUES, st.booleans())
def test_any_secret_key(secret_key: Any, fallbacks: Any, lenient: bool) -> None:
    """A key is bytes in the end, or the setting is named; nothing of it is told."""
    config = {"SECRET_KEY": secret_key, "SECRET_KEY_FALLBACKS": fallbacks}
    read = attempt(lambda: read_secret_keys(config, lenient=lenient), ConfigurationError)
    if isinstance(read, ConfigurationError):
        assert str(read).startswith("SECRET_KEY")
        return
    keys, is_weak = read
    assert keys
    assert all(map(len, keys))
    assert lenient or not is_weak
