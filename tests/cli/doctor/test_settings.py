"""The checks of what is configured."""

from __future__ import annotations

from typing import Any

import pytest
from flask import Flask

from flask_pkce import ConfigurationError, PKCEBlueprint
from flask_pkce.cli.doctor import Verdict, explain_refusal
from tests.conftest import MakeApp

from .examined import DOUBTFUL, RIGHT, WRONG, check_row, found, judged, public


def test_settings_in_order(make_app: MakeApp) -> None:
    """Known settings with good values are right."""
    check_row(found(make_app().app, "settings"), RIGHT, "Every setting is known")


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("PKCE_PUBLIK_URL", "Is PKCE_PUBLIC_URL meant?"),
        ("PKCE_REDIRECT_URI", "Is PKCE_REDIRECT_URIS meant?"),
        ("PCKE_CLIENT_SECRET", "Is PKCE_CLIENT_SECRET meant?"),
        ("PKCE_CLIENTSECRET", "Is PKCE_CLIENT_SECRET meant?"),
        ("PKCE_WXYZ", "Take it out"),
    ],
)
def test_misspelt(name: str, advice: str, make_app: MakeApp) -> None:
    """A name that looks like a setting and is none is doubtful, with the nearest that there is.

    Its value is not told.
    """
    finding = check_row(
        found(make_app(**{name: "a-value"}).app, "settings"), DOUBTFUL, name, advice
    )
    assert "a-value" not in repr(finding)


def test_settings_of_others(make_app: MakeApp) -> None:
    """Settings of the host, and of a blueprint with a longer prefix, are none of ours."""
    app = Flask("host")
    host = make_app(app=app, MAIL_SERVER="localhost", SHOP_PKCE_ADDITIONAL_PARAMETERS="x")
    staff = PKCEBlueprint("staff", config_prefix="PKCE_STAFF_")
    make_app(app=app, blueprint=staff, url_prefix="/staff")
    findings = found(host.app, "settings")
    assert [finding.blueprint for finding in findings] == ["pkce", "staff"]
    assert {finding.verdict for finding in findings} == {RIGHT}


def test_refusal() -> None:
    """Each fault that stops the start is a row, and so is each name that is none."""
    app = Flask("host")
    app.config.update(PKCE_DOMIAN="tenant.example", PKCE_TIMEOUT="soon", SECRET_KEY="x" * 32)
    with pytest.raises(ConfigurationError) as caught:
        PKCEBlueprint().init_app(app)
    assert judged(explain_refusal(caught.value)) == [
        (WRONG, "PKCE_DOMAIN is missing"),
        (WRONG, "PKCE_CLIENT_ID is missing"),
        (WRONG, "PKCE_TIMEOUT is not a whole number of seconds"),
        (DOUBTFUL, "PKCE_DOMIAN is no setting, and ignored."),
    ]


def test_refusal_of_the_store() -> None:
    """A store that cannot be reached stops the start, and the row names its host alone."""
    pytest.importorskip("redis")
    app = Flask("host")
    app.config.update(
        SECRET_KEY="x" * 32,
        PKCE_DOMAIN="tenant.example",
        PKCE_CLIENT_ID="client",
        PKCE_STORE_URL="redis://user:a-password@127.0.0.1:1/0",
    )
    with pytest.raises(ConfigurationError) as caught:
        PKCEBlueprint().init_app(app)
    finding = check_row(explain_refusal(caught.value), WRONG, "PKCE_STORE_URL", "127.0.0.1:1")
    assert "a-password" not in repr(finding)


RANDOM = "4c1f7d2a9b3e8f60517d"
OTHER = "d0c85a7e94b1f2633a9e"


@pytest.mark.parametrize(
    ("config", "verdict", "words"),
    [
        ({}, RIGHT, "strong key."),
        ({"SECRET_KEY_FALLBACKS": [OTHER]}, RIGHT, "with 1 to fall back on"),
        ({"SECRET_KEY": "dev", "TESTING": True}, DOUBTFUL, "weak"),
        ({"SECRET_KEY_FALLBACKS": ["dev"], "TESTING": True}, DOUBTFUL, "weak"),
        ({"SECRET_KEY_FALLBACKS": [RANDOM]}, DOUBTFUL, "twice"),
        ({"SECRET_KEY": "abc" * 20}, WRONG, "the same few characters"),
    ],
)
def test_secret_key(
    config: dict[str, Any], verdict: Verdict, words: str, make_app: MakeApp
) -> None:
    """The key is strong, weak, or of few characters; no part of it is told."""
    host = make_app(**{"SECRET_KEY": RANDOM, **config})
    finding = check_row(found(host.app, "secret-key"), verdict, words)
    assert RANDOM not in repr(finding)
    assert finding.blueprint is None


@pytest.mark.parametrize(
    ("settings", "verdict"),
    [
        ({}, RIGHT),
        ({"PKCE_TOKEN_DELIVERY": "session"}, DOUBTFUL),
        ({"PKCE_TOKEN_DELIVERY": "session", "PKCE_CLIENT_SECRET": "s" * 32}, RIGHT),
    ],
)
def test_client_secret(settings: dict[str, Any], verdict: Verdict, make_app: MakeApp) -> None:
    """A server on the internet that keeps the tokens should have a secret."""
    finding = check_row(found(make_app(**public(**settings)).app, "client-secret"), verdict)
    assert "ssss" not in repr(finding)


@pytest.mark.parametrize(
    ("settings", "verdict", "words"),
    [
        ({}, DOUBTFUL, "Only requests to localhost"),
        ({"PKCE_PUBLIC_URL": "http://localhost:5000"}, DOUBTFUL, "Only requests to localhost"),
        ({"DEBUG": True}, RIGHT, "on this machine alone"),
        ({"PKCE_LOCAL_SESSION": True}, RIGHT, "on this machine alone"),
        (public(), RIGHT, "at https://app.example."),
        (
            public(SERVER_NAME="App.example", PREFERRED_URL_SCHEME="https"),
            RIGHT,
            "at https://app.example.",
        ),
        (
            {"SERVER_NAME": "app.example:8443", "PREFERRED_URL_SCHEME": "https"},
            RIGHT,
            "at https://app.example:8443.",
        ),
        (
            public(SERVER_NAME="internal", PREFERRED_URL_SCHEME="https"),
            DOUBTFUL,
            "SERVER_NAME is internal",
        ),
        (public(SERVER_NAME="app.example"), DOUBTFUL, "PREFERRED_URL_SCHEME is http"),
    ],
)
def test_public_url(
    settings: dict[str, Any], verdict: Verdict, words: str, make_app: MakeApp
) -> None:
    """What users see and what Flask makes addresses of agree."""
    check_row(found(make_app(**settings).app, "public-url"), verdict, words)


def test_public_url_twice_wrong(make_app: MakeApp) -> None:
    """Each disagreement is a row."""
    findings = found(make_app(**public(SERVER_NAME="internal")).app, "public-url")
    assert [verdict for verdict, _ in judged(findings)] == [DOUBTFUL, DOUBTFUL]
