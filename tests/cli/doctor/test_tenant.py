"""The checks of the tenant and of what it makes of our callback."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

import pytest
import requests_mock

from flask_pkce import PKCEBlueprint
from flask_pkce.cli.doctor import Verdict
from tests.conftest import MakeApp
from tests.support import ec_key, jwk, metadata, rsa_key
from tests.web.host import Host

from .examined import DOUBTFUL, RIGHT, SKIPPED, WRONG, check_row, found, public

DISCOVERY = "https://tenant.example/.well-known/openid-configuration"
JWKS = "https://tenant.example/.well-known/jwks.json"
AUTHORIZE = "https://tenant.example/authorize"
JSON = {"Content-Type": "application/json"}

Mock = Callable[[Host], requests_mock.Mocker]


@pytest.fixture
def mock() -> Iterator[Mock]:
    """Lets a test answer for the tenant; what it does not answer the local tenant does."""
    mockers = []

    def make(host: Host) -> requests_mock.Mocker:
        mocker = requests_mock.Mocker(session=host.relying_party.transport.session, real_http=True)
        mocker.start()
        mockers.append(mocker)
        return mocker

    yield make
    for mocker in mockers:
        mocker.stop()


def told(host: Host, mock: Mock, **changes: Any) -> None:
    """Let the tenant's metadata be that of `metadata` with changes."""
    announced = {
        "code_challenge_methods_supported": ["S256"],
        "response_modes_supported": ["query", "form_post"],
        "id_token_signing_alg_values_supported": ["RS256"],
    }
    document = metadata(**{**announced, **changes})
    mock(host).get(DISCOVERY, json=document, headers=JSON)


CHECKS = ("discovery", "issuer", "jwks", "algorithms", "s256", "response-mode")


@pytest.mark.parametrize("check", CHECKS)
def test_in_order(check: str, host: Host) -> None:
    """A tenant that is as it should be is right in everything."""
    check_row(found(host.app, check), RIGHT)


# -- metadata ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "words"), [("unreachable", "cannot be reached"), ("silent", "did not answer")]
)
def test_out_of_reach(fault: str, words: str, host: Host) -> None:
    """A tenant that cannot be reached is told once, with its host and the setting."""
    host.tenant.faults = [fault]
    check_row(found(host.app, "discovery"), WRONG, words, "tenant.example", "PKCE_DOMAIN")
    for check in ("issuer", "jwks", "algorithms", "s256", "response-mode", "clock", "callback"):
        check_row(found(host.app, check), SKIPPED)


def test_no_metadata(host: Host, mock: Mock) -> None:
    """A host without metadata is no tenant, and neither is one with a page there."""
    mock(host).get(DISCOVERY, status_code=404)
    check_row(found(host.app, "discovery"), WRONG, "answered 404")
    mock(host).get(DISCOVERY, text="<html>")
    check_row(found(host.app, "discovery"), WRONG, "other than JSON")


def test_another_issuer(host: Host, mock: Mock) -> None:
    """Metadata of another issuer is wrong, and neither keys nor callback are looked at."""
    told(host, mock, issuer="https://other.example/")
    check_row(found(host.app, "issuer"), WRONG, "another issuer", "PKCE_DOMAIN")
    check_row(found(host.app, "jwks"), SKIPPED)
    check_row(found(host.app, "callback"), SKIPPED)
    check_row(found(host.app, "algorithms"), RIGHT)


def test_prefix(make_app: MakeApp) -> None:
    """What is to be set has the name that it has in this application."""
    staff = PKCEBlueprint("staff", config_prefix="STAFF_")
    host = make_app(blueprint=staff)
    host.tenant.faults = ["unreachable"]
    check_row(found(host.app, "discovery"), WRONG, "STAFF_DOMAIN")


@pytest.mark.parametrize(
    ("allowed", "announced", "verdict", "words"),
    [
        ("RS256", ["RS256", "HS256"], RIGHT, "RS256"),
        ("RS256", ["HS256"], WRONG, "PKCE_ALGORITHMS"),
        ("RS256", [], WRONG, "PKCE_ALGORITHMS"),
        ("RS256,ES256", ["RS256"], DOUBTFUL, "ES256"),
        ("RS256", None, DOUBTFUL, "does not announce"),
        ("RS256", "RS256", DOUBTFUL, "does not announce"),
        ("RS256", [7], WRONG, "none of RS256"),
    ],
)
def test_algorithms(
    allowed: str, announced: Any, verdict: Verdict, words: str, make_app: MakeApp, mock: Mock
) -> None:
    """What is allowed and what the tenant announces."""
    host = make_app(PKCE_ALGORITHMS=allowed)
    told(host, mock, id_token_signing_alg_values_supported=announced)
    check_row(found(host.app, "algorithms"), verdict, words)
    check_row(found(host.app, "issuer"), RIGHT)


@pytest.mark.parametrize(
    ("announced", "verdict"), [(["S256"], RIGHT), (None, DOUBTFUL), (["plain"], WRONG)]
)
def test_s256(announced: Any, verdict: Verdict, host: Host, mock: Mock) -> None:
    """PKCE with S256 is announced, is not, or there is only another method."""
    told(host, mock, code_challenge_methods_supported=announced)
    check_row(found(host.app, "s256"), verdict)


@pytest.mark.parametrize(
    ("mode", "announced", "verdict", "words"),
    [
        ("form_post", ["form_post"], RIGHT, "form_post"),
        ("query", None, RIGHT, "query"),
        ("form_post", None, WRONG, "PKCE_RESPONSE_MODE to query"),
        ("query", ["form_post"], WRONG, "PKCE_RESPONSE_MODE to form_post"),
    ],
)
def test_response_mode(
    mode: str, announced: Any, verdict: Verdict, words: str, make_app: MakeApp, mock: Mock
) -> None:
    """The tenant answers in the way that it is asked to."""
    host = make_app(PKCE_RESPONSE_MODE=mode)
    told(host, mock, response_modes_supported=announced)
    check_row(found(host.app, "response-mode"), verdict, words)


# -- keys --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        ({"json": {"keys": [jwk(rsa_key(), kid="one")]}}, RIGHT, "1 of the tenant's keys"),
        ({"json": {"keys": [jwk(rsa_key(), kid=None)]}}, RIGHT, "1 of the tenant's keys"),
        (
            {"json": {"keys": [jwk(rsa_key(), kid="one"), jwk(rsa_key("second"), kid=None)]}},
            DOUBTFUL,
            "(kid)",
        ),
        ({"json": {"keys": []}}, WRONG, "None of the tenant's 0 keys"),
        ({"json": {"keys": [jwk(ec_key(), kid="one")]}}, WRONG, "PKCE_ALGORITHMS"),
        ({"json": {}}, WRONG, "no list of keys"),
        ({"text": "<html>", "status_code": 503}, WRONG, "answered 503"),
    ],
)
def test_jwks(
    answer: dict[str, Any], verdict: Verdict, words: str, host: Host, mock: Mock
) -> None:
    """There are keys that fit what is allowed, and they can be told apart."""
    mock(host).get(JWKS, headers=JSON, **answer)
    check_row(found(host.app, "jwks"), verdict, words)


# -- clock -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("skew", "verdict", "words"),
    [
        (0, RIGHT, "agrees"),
        (30, RIGHT, "agrees"),
        (-45, DOUBTFUL, "45 seconds slow"),
        (60, DOUBTFUL, "60 seconds fast"),
        (61, WRONG, "NTP"),
    ],
)
def test_clock(skew: int, verdict: Verdict, words: str, host: Host, mock: Mock) -> None:
    """Half of the leeway is no matter, and more than all of it refuses ID tokens."""
    date = format_datetime(datetime.fromtimestamp(host.clock() - skew, UTC), usegmt=True)
    mock(host).get(DISCOVERY, json=metadata(), headers={**JSON, "Date": date})
    check_row(found(host.app, "clock"), verdict, words)


@pytest.mark.parametrize("headers", [{}, {"Date": "yesterday"}])
def test_no_clock(headers: dict[str, str], host: Host, mock: Mock) -> None:
    """A tenant that does not tell its time is not compared."""
    mock(host).get(DISCOVERY, json=metadata(), headers={**JSON, **headers})
    check_row(found(host.app, "clock"), SKIPPED)


# -- callback ----------------------------------------------------------------------


def test_callback_that_is_known(make_app: MakeApp) -> None:
    """A tenant that sends a browser back with `login_required` knows the callback."""
    host = make_app(**public(), url_prefix="/auth")
    url = "https://app.example/auth/pkce/response/code"
    check_row(found(host.app, "callback"), RIGHT, url)
    assert host.tenant.count("GET", "/authorize") == 1
    assert not host.store.contents()


def test_callback_that_is_not_known(host: Host) -> None:
    """A tenant that answers with a page does not, and the row says what to register."""
    url = "http://localhost:4000/pkce/response/code"
    check_row(
        found(host.app, "callback", address="http://localhost:4000"),
        WRONG,
        "answers 403 with a page",
        f"Register {url} at the tenant, or say with --url",
    )


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        ("?error=consent_required", RIGHT, "knows the callback"),
        ("?code=a-code-that-nobody-asked-for", RIGHT, "knows the callback"),
        ("?error=access_denied&error_description=no%20API", WRONG, "access_denied no API"),
        ("?error=invalid_scope", WRONG, "invalid_scope"),
        ("", WRONG, "none"),
    ],
)
def test_callback_with_an_answer(
    answer: str, verdict: Verdict, words: str, make_app: MakeApp, mock: Mock
) -> None:
    """What comes back says whether the request is to the tenant's liking; a code is not told."""
    host = make_app(**public())
    url = f"https://app.example/pkce/response/code{answer}"
    mock(host).get(AUTHORIZE, status_code=302, headers={"Location": url})
    finding = check_row(found(host.app, "callback"), verdict, words)
    assert "a-code" not in repr(finding)


@pytest.mark.parametrize(
    ("answer", "verdict", "words"),
    [
        ({"status_code": 400}, WRONG, "answers 400 with a page"),
        ({"text": "sign in"}, DOUBTFUL, "answers 200 with a page"),
        (
            {"status_code": 302, "headers": {"Location": "/login?state=s"}},
            DOUBTFUL,
            "tenant.example/login,",
        ),
        (
            {"status_code": 302, "headers": {"Location": "https://e.example/x?error=y"}},
            WRONG,
            "e.example/x,",
        ),
        ({"status_code": 503}, SKIPPED, "503"),
        ({"status_code": 429}, SKIPPED, "429"),
    ],
)
def test_callback_without_an_answer(
    answer: dict[str, Any], verdict: Verdict, words: str, make_app: MakeApp, mock: Mock
) -> None:
    """A page, or a redirect to anywhere else, is no answer to us."""
    host = make_app(**public())
    mock(host).get(AUTHORIZE, **answer)
    finding = check_row(found(host.app, "callback"), verdict, words)
    assert "--url" not in finding.advice


def test_callback_that_cannot_be_asked_for(make_app: MakeApp) -> None:
    """A request that would be too long is not made."""
    host = make_app(
        PKCE_AUDIENCE="https://api.example/" + "a" * 2000, PKCE_SCOPE="openid " + "s" * 1990
    )
    check_row(found(host.app, "callback"), SKIPPED, "over 4000 characters")
