"""The models of the wire: any JSON is read, or refused with the member's name."""

from __future__ import annotations

import json
from functools import partial
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_pkce.errors import PKCEError
from flask_pkce.protocol.strict_json import StrictJSONError, loads_object
from flask_pkce.web.models import PUBLISHED_SCOPES, read_schema, read_seed, read_token_body
from tests.conftest import MakeApp
from tests.properties.documents import ANY_TEXT, INTEGERS, JSON, TEXT, attempt
from tests.support import CHALLENGE, VERIFIER
from tests.web.bad_models import FORGED
from tests.web.host import Host

SCHEMAS = st.fixed_dictionaries(
    {}, optional={"migration": INTEGERS | JSON, "semantic": TEXT | JSON, "more": JSON}
)
ADDITIONAL = st.dictionaries(
    st.sampled_from(["display", "max_age", "login_hint", "connection", "ext-a", "foreign"]),
    st.sampled_from(["popup", "offline", "300", "UNKNOWN", ""]) | INTEGERS | TEXT | JSON,
    max_size=4,
)  # fmt: skip
WORDS = st.sampled_from(
    [
        "code", "S256", "form_post", "query", "refresh_token", "authorization_code", "openid",
        "openid profile", "UNKNOWN", "", "tenant.example", "local-client", "login", "none",
        "signup", "https://tenant.example/userinfo", CHALLENGE, VERIFIER, FORGED,
    ]
)  # fmt: skip
SCOPES = st.lists(
    st.sampled_from(["openid", "profile", "email", "offline_access", "", "UNKNOWN"]) | JSON,
    max_size=5,
)
SEED_NAMES = (
    "response_type", "client_id", "redirect_uri", "domain", "audience", "state", "nonce",
    "code_challenge", "code_challenge_method", "response_mode", "screen_hint", "prompt",
    "organization", "invitation", "unknown",
)  # fmt: skip
TOKEN_NAMES = (
    "client_id", "code", "code_verifier", "grant_type", "redirect_uri", "audience",
    "refresh_token",
)  # fmt: skip
SEEDS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(SEED_NAMES, WORDS | TEXT | JSON),
        "scope": SCOPES | WORDS | JSON,
        "ADDITIONAL_PARAMETERS": ADDITIONAL | JSON,
        "schema": SCHEMAS | JSON,
    },
)
#: Seeds with little in them, of which more is accepted.
HARMLESS_SEEDS = st.fixed_dictionaries(
    {},
    optional={
        "scope": st.lists(st.sampled_from(sorted(PUBLISHED_SCOPES)), max_size=4),
        "prompt": st.sampled_from(["login", "none", "consent", "login consent"]),
        "organization": st.text(st.characters(codec="utf-8"), min_size=1, max_size=10),
        "ADDITIONAL_PARAMETERS": ADDITIONAL,
        "schema": SCHEMAS,
        "domain": WORDS,
        "nonce": st.text("aZ~!", min_size=1, max_size=9),
    },
)
TOKENS = st.fixed_dictionaries(
    {}, optional={**dict.fromkeys(TOKEN_NAMES, WORDS | TEXT | JSON), "schema": SCHEMAS | JSON}
)


@given(SEEDS | HARMLESS_SEEDS | TOKENS)
def test_read_or_named(body: dict[str, Any]) -> None:
    """Any JSON is read, or refused with an error that names the member at fault."""
    for read in (read_seed, read_token_body):
        refused = attempt(partial(read, body), PKCEError)
        if isinstance(refused, PKCEError):
            assert 400 <= refused.status < 500
            assert str(refused).startswith("$")


@given(ANY_TEXT | SCHEMAS.map(json.dumps) | SCHEMAS.map(repr) | JSON.map(json.dumps))
def test_schema_of_a_form(text: str) -> None:
    """The schema of a form is never a reason to refuse it, and what is echoed can be written."""
    schema = read_schema(text)
    if schema is not msgspec.UNSET:
        given_schema = json.loads(text)
        assert json.loads(msgspec.json.encode(schema)) == {
            name: given_schema[name] for name in ("migration", "semantic")
        }


@pytest.fixture
def tight_host(make_app: MakeApp) -> Host:
    """A host, once for all examples."""
    return make_app(PKCE_LOCAL_SESSION=True)


def _check_answer(host: Host, path: str, body: dict[str, Any]) -> dict[str, Any] | None:
    """Post JSON as a program does, and look at the answer; what it says, if it is no error."""
    data = json.dumps(body).encode()
    program = host.program()
    program.clear()
    response = program.send("POST", path, data=data, content_type="application/json")
    assert response.status_code < 500, response.text
    answer: dict[str, Any] = response.get_json()
    if response.status_code == 200:
        return answer
    if response.status_code == 400 and answer["type"].rpartition("#")[2] != "session-over":
        assert answer["detail"].startswith("$"), answer
    return None


@given(SEEDS | HARMLESS_SEEDS)
def test_echoed_seed_decodes(tight_host: Host, body: dict[str, Any]) -> None:
    """What a seed leads to can be read by every published client, and says what was sent."""
    answer = _check_answer(tight_host, "/pkce/code", body)
    if answer is None:
        return
    seed = answer["seed"]
    for name in ("client_id", "state", "nonce", "code_challenge", "domain", "redirect_uri"):
        assert isinstance(seed[name], str)
        assert seed[name]
    assert set(seed["scope"]) <= PUBLISHED_SCOPES
    assert seed.get("prompt") in {None, "login", "none"}
    assert all(isinstance(value, str) for value in seed.get("ADDITIONAL_PARAMETERS", {}).values())
    schema = body.get("schema") or {}
    if "schema" in seed:
        assert seed["schema"] == {name: schema[name] for name in ("migration", "semantic")}
    else:
        assert schema.get("migration") is None or schema.get("semantic") is None
    assert msgspec.json.decode(msgspec.json.encode(answer)) == answer


@given(TOKENS)
def test_any_token_body(tight_host: Host, body: dict[str, Any]) -> None:
    """Whatever is sent to the token route without a sign-in, the tenant is never asked."""
    asked = tight_host.token_requests
    assert _check_token_answer(tight_host, body) in {400, 403, 409}
    assert tight_host.token_requests == asked


def _check_token_answer(host: Host, body: dict[str, Any]) -> int:
    program = host.program()
    program.begin()
    response = program.post("/pkce/token", data=json.dumps(body), content_type="application/json")
    program.clear()
    return int(response.status_code)


@given(st.binary(max_size=60) | JSON.map(lambda value: json.dumps(value).encode()))
def test_objects_alone(data: bytes) -> None:
    """A body is a JSON object, or it is refused before any model is looked at."""
    try:
        value = loads_object(data, max_depth=8)
    except StrictJSONError:
        return
    assert value == json.loads(data)
