"""The settings of a registration: what each takes, and what does not go together."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from unittest.mock import ANY

import pytest
from flask import Flask

from flask_pkce.errors import ConfigurationError
from flask_pkce.protocol.metadata import ClientAuth, PushedRequests
from flask_pkce.settings.loading import read_settings
from flask_pkce.settings.model import Settings
from tests.support import CLIENT_ID, ec_key, rsa_key

NEEDED = {"PKCE_DOMAIN": "tenant.example", "PKCE_CLIENT_ID": CLIENT_ID}
PEM = rsa_key().as_pem(private=True).decode()
JWK = {**ec_key().as_dict(private=True), "kid": "mine"}
MULTI_FACTOR = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"


def read(prefix: str = "PKCE_", **changes: Any) -> Settings:
    """Settings with those changes, by their names without the prefix."""
    needed = {name.replace("PKCE_", prefix): value for name, value in NEEDED.items()}
    changed = {f"{prefix}{name}": value for name, value in changes.items()}
    return read_settings({**needed, **changed}, prefix=prefix)


def faults(**changes: Any) -> tuple[str, ...]:
    """What is wrong with settings."""
    with pytest.raises(ConfigurationError) as caught:
        read(**changes)
    return caught.value.faults


@pytest.mark.parametrize(
    ("name", "given", "value"),
    [
        ("ORGANIZATION", "org_1", "org_1"),
        ("ORGANIZATION", 12345, "12345"),
        ("ALLOWED_ORGANIZATIONS", "org_1, acme", ("org_1", "acme")),
        ("ALLOWED_ORGANIZATIONS", ["org_1"], ("org_1",)),
        ("ACR_VALUES", MULTI_FACTOR, (MULTI_FACTOR,)),
        ("ACR_VALUES", "a b,c", ("a", "b", "c")),
        ("ACR_VALUES", ["a"], ("a",)),
        ("CLIENT_KEY", PEM, ANY),
        ("CLIENT_KEY_ID", "abc", "abc"),
        ("CLIENT_KEY_ALGORITHM", "PS256", "PS256"),
        ("CLIENT_AUTH", "private_key_jwt", ClientAuth.PRIVATE_KEY_JWT),
        ("CLIENT_AUTH", ClientAuth.PRIVATE_KEY_JWT, ClientAuth.PRIVATE_KEY_JWT),
        ("PAR", "never", PushedRequests.NEVER),
        ("PAR", PushedRequests.AUTO, PushedRequests.AUTO),
    ],
)
def test_good_value(name: str, given: Any, value: Any) -> None:
    """Each setting takes what it should, as Python or as a text of the environment."""
    settings = read(**{"CLIENT_KEY": PEM, name: given})
    assert getattr(settings, name.lower()) == value


@pytest.mark.parametrize(
    ("name", "given", "fault"),
    [
        ("CLIENT_AUTH", "tls_client_auth", "is none of `none`, `client_secret_post`"),
        ("CLIENT_AUTH", True, "is none of"),
        ("CLIENT_AUTH", ["none"], "is none of"),
        ("PAR", "sometimes", "is none of `auto`"),
        ("PAR", True, "is none of `auto`"),
        ("PAR", {}, "is none of `auto`"),
        ("CLIENT_KEY", 5, "is neither a PEM"),
        ("CLIENT_KEY", ["x"], "is neither a PEM"),
        ("CLIENT_KEY", "no-such-file.pem", "names no file"),
        ("CLIENT_KEY", "/", "names no file"),
        ("CLIENT_KEY", "x" * 2049, "too long"),
        ("CLIENT_KEY", "a\nsecret", "not printable"),
        ("CLIENT_KEY", "-----BEGIN PRIVATE KEY-----\nsecret", "is no private key"),
        ("CLIENT_KEY", '{"kty": "secret"}', "is no private key"),
        ("CLIENT_KEY", {"kty": "secret"}, "is no private key"),
        ("CLIENT_KEY", {**JWK, "d": None}, "is no private key"),
        ("CLIENT_KEY_ID", "a b", "visible ASCII"),
        ("CLIENT_KEY_ID", "k" * 129, "visible ASCII"),
        ("CLIENT_KEY_ALGORITHM", "HS256", "is none of RS256"),
        ("CLIENT_KEY_ALGORITHM", "none", "is none of RS256"),
        ("CLIENT_KEY_ALGORITHM", ["RS256"], "is none of RS256"),
        ("ORGANIZATION", "x" * 129, "longer than 128"),
        ("ORGANIZATION", "a\nb", "not printable"),
        ("ALLOWED_ORGANIZATIONS", ["x" * 129], "longer than 128"),
        ("ALLOWED_ORGANIZATIONS", 5, "neither a list"),
        ("ACR_VALUES", 5, "neither a list"),
        ("ACR_VALUES", ["a b"], "1 to 500 visible"),
        ("ACR_VALUES", ["x" * 501], "1 to 500 visible"),
    ],
)
def test_bad_value(name: str, given: Any, fault: str) -> None:
    """What cannot be meant stops the start; the setting is named, and no key quoted."""
    told = faults(**{name: given})
    assert any(each.startswith(f"PKCE_{name} ") and fault in each for each in told), told
    assert not any("secret" in each.replace("client_secret", "") for each in told)


@pytest.mark.requirement("BC-10")
@pytest.mark.parametrize(
    "spell",
    [
        pytest.param(lambda folder: PEM, id="PEM"),
        pytest.param(lambda folder: PEM.encode(), id="bytes"),
        pytest.param(lambda folder: f"  {PEM}  ", id="spaces"),
        pytest.param(lambda folder: PEM.replace("\n", "\\n"), id="one line"),
        pytest.param(lambda folder: write(folder, PEM), id="path"),
        pytest.param(lambda folder: str(write(folder, PEM)), id="text of a path"),
        pytest.param(lambda folder: rsa_key().as_dict(private=True), id="JWK"),
        pytest.param(lambda folder: json.dumps(rsa_key().as_dict(private=True)), id="JSON"),
        pytest.param(
            lambda folder: write(folder, json.dumps(rsa_key().as_dict(private=True))), id="file"
        ),
    ],
)
def test_key(spell: Any, tmp_path: Path) -> None:
    """A key is text, a mapping, or a file with the one or the other."""
    key = read(CLIENT_KEY=spell(tmp_path)).registrations[0].client_key
    assert key is not None
    assert key.key.as_dict(private=False)["n"] == rsa_key().as_dict(private=False)["n"]


def write(folder: Path, text: str) -> Path:
    path = folder / "key"
    path.write_text(text)
    return path


def test_file_without_a_key(tmp_path: Path) -> None:
    """A file that has something else in it is named by its setting."""
    (tmp_path / "key").write_bytes(b"\xff\xfe")
    assert "neither a PEM nor a JWK" in faults(CLIENT_KEY=tmp_path / "key")[0]
    (tmp_path / "key").write_text(rsa_key().as_pem(private=False).decode())
    assert "is public" in faults(CLIENT_KEY=tmp_path / "key")[0]


def test_key_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Flask makes a mapping of a JWK in the environment, and a text of a PEM."""
    app = Flask("host")
    for key in (PEM, json.dumps(JWK)):
        monkeypatch.setenv("FLASK_PKCE_CLIENT_KEY", key)
        app.config.from_prefixed_env()
        assert read(CLIENT_KEY=app.config["PKCE_CLIENT_KEY"]).client_key is not None


def test_what_a_key_is_called() -> None:
    """Id and algorithm are those of the settings, else those of the JWK."""
    key = read(CLIENT_KEY=JWK).registrations[0].client_key
    assert key is not None
    assert (key.kid, key.algorithms) == ("mine", ("ES256",))
    key = (
        read(CLIENT_KEY=PEM, CLIENT_KEY_ID="other", CLIENT_KEY_ALGORITHM="PS256")
        .registrations[0]
        .client_key
    )
    assert key is not None
    assert (key.kid, key.algorithms) == ("other", ("PS256",))


def test_registration() -> None:
    """All of it is part of our registration at the tenant."""
    registration = read(
        CLIENT_SECRET="x",
        CLIENT_AUTH="client_secret_basic",
        PAR="always",
        ORGANIZATION="org_1",
        ALLOWED_ORGANIZATIONS="org_2",
        ACR_VALUES="a",
    ).registrations[0]
    assert registration.client_auth is ClientAuth.CLIENT_SECRET_BASIC
    assert registration.pushed_requests is PushedRequests.ALWAYS
    assert registration.organizations == ("org_1", "org_2")
    assert registration.acr_values == ("a",)
    assert not registration.is_public
    assert read().registrations[0].is_public


@pytest.mark.requirement("AZ-12", "BC-10")
@pytest.mark.parametrize(
    "settings",
    [
        {"CLIENT_SECRET": "x"},
        {"CLIENT_KEY": PEM},
        {"CLIENT_SECRET": "x", "CLIENT_KEY": PEM},
        {"CLIENT_AUTH": "none"},
        {"CLIENT_AUTH": "client_secret_post", "CLIENT_SECRET": "x"},
        {"CLIENT_AUTH": "client_secret_basic", "CLIENT_SECRET": "x", "CLIENT_KEY": PEM},
        {"CLIENT_AUTH": "private_key_jwt", "CLIENT_SECRET": "x", "CLIENT_KEY": PEM},
        {"CLIENT_SECRET": "x", "PAR": "always"},
        {"CLIENT_KEY": PEM, "PAR": "always"},
        {"PAR": "never"},
    ],
)
def test_what_goes_together(settings: dict[str, Any]) -> None:
    """A method has its credential; others may be there for another day."""
    assert read(**settings).client_id == CLIENT_ID


#: Settings of a registration, and what is said of them after the name of the tenant or the prefix.
UNFIT = [
    ({"CLIENT_AUTH": "client_secret_post"}, "CLIENT_SECRET is missing"),
    ({"CLIENT_AUTH": "client_secret_basic", "CLIENT_KEY": PEM}, "CLIENT_SECRET is missing"),
    ({"CLIENT_AUTH": "private_key_jwt", "CLIENT_SECRET": "x"}, "CLIENT_KEY is missing"),
    ({"CLIENT_AUTH": "none", "CLIENT_SECRET": "x"}, "CLIENT_AUTH is `none` while"),
    ({"CLIENT_AUTH": "none", "CLIENT_KEY": PEM}, "CLIENT_AUTH is `none` while"),
    ({"CLIENT_KEY_ID": "x"}, "CLIENT_KEY_ID is set while"),
    ({"CLIENT_KEY_ALGORITHM": "RS256"}, "CLIENT_KEY_ALGORITHM is set while"),
    ({"CLIENT_KEY": PEM, "CLIENT_KEY_ALGORITHM": "ES256"}, "CLIENT_KEY cannot sign"),
    ({"CLIENT_KEY": JWK, "CLIENT_KEY_ALGORITHM": "RS256"}, "CLIENT_KEY cannot sign"),
    ({"PAR": "always"}, "PAR is `always` while"),
    ({"PAR": "always", "CLIENT_AUTH": "none"}, "PAR is `always` while"),
    # The one fault is enough.
    ({"CLIENT_AUTH": "private_key_jwt", "CLIENT_KEY": "{}"}, "CLIENT_KEY is no private"),
    (
        {"CLIENT_KEY": "{}", "CLIENT_KEY_ALGORITHM": "RS256", "PAR": "always"},
        "CLIENT_KEY is no private",
    ),
]


@pytest.mark.requirement("AZ-12", "BC-10", "PA-6")
@pytest.mark.parametrize(("settings", "told"), UNFIT)
def test_what_does_not_go_together(settings: dict[str, Any], told: str) -> None:
    """A method without its credential stops the start, and so does one that is not used."""
    found = faults(**settings)
    assert len(found) == 1
    assert found[0].startswith(f"PKCE_{told}"), found


@pytest.mark.parametrize(("settings", "told"), UNFIT)
def test_what_does_not_go_together_at_one_of_several(settings: dict[str, Any], told: str) -> None:
    """Each tenant is told alike, by its name, and those beside it do not help."""
    acme = {"domain": "acme.example", "client_id": "a", **settings}
    found = faults(TENANTS={"acme": acme}, CLIENT_SECRET="x", CLIENT_KEY=PEM)
    assert len(found) == 1
    name, _, fault = told.partition(" ")
    assert found[0].startswith(f"PKCE_TENANTS['acme'].{name.lower()} {fault[:10]}"), found


def test_prefix() -> None:
    """The settings that are named are those of the blueprint."""
    with pytest.raises(
        ConfigurationError, match="STAFF_CLIENT_KEY is missing, which STAFF_CLIENT_"
    ):
        read("STAFF_", CLIENT_AUTH="private_key_jwt")


@pytest.mark.requirement("LG-1")
def test_settings_hide_the_key() -> None:
    """Settings in a log show nothing of the key."""
    settings = read(CLIENT_KEY=JWK)
    shown = repr(settings) + repr(settings.registrations[0])
    assert str(JWK["d"]) not in shown
    assert "ClientKey" not in shown
