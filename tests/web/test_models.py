"""The JSON of the five routes, by the published models' names."""

from __future__ import annotations

import json
from typing import Any

import pytest
from msgspec import UNSET

from flask_pkce.errors import (
    GrantTypeUnsupported,
    ParameterInvalid,
    RequestError,
    ResponseTypeUnsupported,
)
from flask_pkce.web.models import (
    PKCE,
    Auth0,
    Challenge,
    OAuth,
    OAuthToken,
    PartialSchema,
    Redirects,
    Schema,
    Seed,
    SeededPKCE,
    TokenizedPKCE,
    encode,
    optional,
    published,
    read_schema,
    read_seed,
    read_token_body,
    schema_of,
    user_of,
)
from tests.support import CHALLENGE, VERIFIER, VSCHAR

# -- POST /pkce/code ---------------------------------------------------------------


@pytest.mark.requirement("WC-6")
@pytest.mark.parametrize(
    "body",
    [
        {},
        {"unknown": 5, "authorization_url": "https://evil.example/"},
        {"state": "", "scope": [], "client_id": None},
        {"prompt": "UNKNOWN", "response_mode": "UNKNOWN", "response_type": "UNKNOWN"},
        {"screen_hint": "UNKNOWN", "code_challenge_method": "UNKNOWN"},
        {"scope": ["UNKNOWN", ""]},
        {"scope": ""},
        {"ADDITIONAL_PARAMETERS": {}},
        {"ADDITIONAL_PARAMETERS": {"display": "UNKNOWN", "max_age": None, "login_hint": ""}},
    ],
    ids=str,
)
def test_what_is_absent(body: dict[str, Any]) -> None:
    """Empty, null, UNKNOWN and unknown members are as if they were not there."""
    assert read_seed(body) == SeededPKCE()


def test_whole_seed() -> None:
    """Every member of the model is read."""
    body = {
        "response_type": "code",
        "client_id": "c",
        "redirect_uri": "https://app.example/done",
        "domain": "tenant.example",
        "audience": "a",
        "scope": ["openid", "email"],
        "state": "s",
        "nonce": "n",
        "code_challenge": CHALLENGE,
        "code_challenge_method": "S256",
        "response_mode": "query",
        "screen_hint": "signup",
        "prompt": "login",
        "organization": "org_1",
        "invitation": "i",
        "ADDITIONAL_PARAMETERS": {"login_hint": "alice", "max_age": 300},
        "schema": {"migration": 1, "semantic": "MAJOR_0_MINOR_0_PATCH_1"},
    }
    seed = read_seed(body)
    for name, value in body.items():
        if name not in {"ADDITIONAL_PARAMETERS", "schema"}:
            assert getattr(seed, name) == value
    assert seed.additional == {"login_hint": "alice", "max_age": 300}
    assert seed.schema == PartialSchema(1, "MAJOR_0_MINOR_0_PATCH_1")


@pytest.mark.requirement("IN-3")
def test_scope_as_a_text() -> None:
    """A scope may be a text too, as OAuth has it."""
    assert read_seed({"scope": "openid  email"}).scope == ["openid", "email"]


@pytest.mark.parametrize("prompt", ["none", "login", "consent", "select_account", "login consent"])
def test_prompt(prompt: str) -> None:
    """Prompts are those of OpenID Connect, one or several."""
    assert read_seed({"prompt": prompt}).prompt == prompt


@pytest.mark.requirement("ID-22", "ID-23", "N06", "N09", "N11", "PK-4")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"state": 5}, "$.state"),
        ({"client_id": True}, "$.client_id"),
        ({"client_id": "x" * 2049}, "$.client_id"),
        ({"scope": 5}, "$.scope"),
        ({"scope": ["openid", 5]}, "$.scope[1]"),
        ({"scope": ["x" * 129]}, "$.scope[0]"),
        ({"scope": ["openid"] * 65}, "$.scope"),
        ({"scope": ["openid", "a b"]}, "$.scope[1]"),
        ({"scope": ['"']}, "$.scope[0]"),
        ({"scope": {"openid": True}}, "$.scope"),
        ({"state": "a b"}, "$.state"),
        ({"state": "s" * 513}, "$.state"),
        ({"nonce": "é"}, "$.nonce"),
        ({"code_challenge": CHALLENGE[:-1], "code_challenge_method": "S256"}, "$.code_challenge"),
        ({"code_challenge": CHALLENGE + "=", "code_challenge_method": "S256"}, "$.code_challenge"),
        ({"code_challenge": CHALLENGE}, "$.code_challenge_method"),
        (
            {"code_challenge": CHALLENGE, "code_challenge_method": "UNKNOWN"},
            "$.code_challenge_method",
        ),
        ({"code_challenge_method": "plain"}, "$.code_challenge_method"),
        ({"code_challenge_method": "s256"}, "$.code_challenge_method"),
        ({"response_mode": "fragment"}, "$.response_mode"),
        ({"response_mode": "web_message"}, "$.response_mode"),
        ({"screen_hint": "other"}, "$.screen_hint"),
        ({"prompt": "none login"}, "$.prompt"),
        ({"prompt": "login login"}, "$.prompt"),
        ({"prompt": "sign-in"}, "$.prompt"),
        ({"prompt": "login  consent"}, "$.prompt"),
        ({"invitation": "i"}, "$.invitation"),
        ({"organization": "a\u2028b"}, "$.organization"),
        ({"audience": "a\r\nb"}, "$.audience"),
        ({"redirect_uri": "a\x00"}, "$.redirect_uri"),
        ({"ADDITIONAL_PARAMETERS": 5}, "$.ADDITIONAL_PARAMETERS"),
        ({"ADDITIONAL_PARAMETERS": {"max_age": 1.5}}, "$.ADDITIONAL_PARAMETERS"),
        ({"ADDITIONAL_PARAMETERS": {"max_age": True}}, "$.ADDITIONAL_PARAMETERS"),
        ({"ADDITIONAL_PARAMETERS": {"x": {"y": 1}}}, "$.ADDITIONAL_PARAMETERS"),
        ({"ADDITIONAL_PARAMETERS": {"login_hint": "x" * 501}}, "$.ADDITIONAL_PARAMETERS"),
        ({"ADDITIONAL_PARAMETERS": {"login_hint": "a\tb"}}, "$.ADDITIONAL_PARAMETERS"),
        ({"ADDITIONAL_PARAMETERS": {"a\nb": "x"}}, "$.ADDITIONAL_PARAMETERS"),
        ({"schema": {"migration": "1"}}, "$.schema.migration"),
        ({"schema": "1"}, "$.schema"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value)[:60],
)
def test_bad_seed(body: dict[str, Any], field: str) -> None:
    """A member that is not what it must be is named, and its value never told (N06, N09-N11)."""
    with pytest.raises(ParameterInvalid) as caught:
        read_seed(body)
    assert caught.value.field == field
    assert CHALLENGE[:20] not in str(caught.value)


def test_message_of_a_wrong_type() -> None:
    """The fault is a sentence that goes on after the field."""
    with pytest.raises(ParameterInvalid) as caught:
        read_seed({"state": 5})
    assert str(caught.value) == "$.state: expected `str | null`, got `int`"


@pytest.mark.requirement("response_type", "BC-8", "N08", "V1-1", "WC-6")
@pytest.mark.parametrize("response_type", ["token", "id_token", "code id_token", "CODE"])
def test_implicit_grant(response_type: str) -> None:
    """No response type but ``code`` (N08)."""
    with pytest.raises(ResponseTypeUnsupported) as caught:
        read_seed({"response_type": response_type})
    assert (caught.value.error, caught.value.field) == (
        "unsupported_response_type",
        "$.response_type",
    )


# -- POST /pkce/token --------------------------------------------------------------


@pytest.mark.parametrize(
    "body", [{}, {"grant_type": "UNKNOWN"}, {"code": "", "code_verifier": None}, {"x": 1}], ids=str
)
def test_token_body_without_anything(body: dict[str, Any]) -> None:
    """Everything may be left out."""
    assert read_token_body(body) == TokenizedPKCE()


def test_whole_token_body() -> None:
    """Every member of the model is read."""
    body: dict[str, Any] = {
        "client_id": "c",
        "code": "the-code",
        "code_verifier": VERIFIER,
        "grant_type": "authorization_code",
        "redirect_uri": "https://app.example/done",
        "audience": "a",
    }
    assert read_token_body(body) == TokenizedPKCE(**body)


@pytest.mark.requirement("N23")
@pytest.mark.parametrize("grant_type", ["authorization_code", "refresh_token"])
def test_every_character(grant_type: str) -> None:
    """A code or refresh token in a body may have every VSCHAR, a blank at either end too."""
    name = "code" if grant_type == "authorization_code" else "refresh_token"
    body: dict[str, Any] = {"grant_type": grant_type, name: VSCHAR}
    assert read_token_body(body) == TokenizedPKCE(**body)


def test_dummies_of_a_refresh() -> None:
    """At a refresh the members that clients must send may hold anything."""
    body: dict[str, Any] = {
        "grant_type": "refresh_token",
        "code": "a code with spaces",
        "code_verifier": "short",
        "refresh_token": "the token",
    }
    assert read_token_body(body) == TokenizedPKCE(**body)


@pytest.mark.requirement("N12", "N13", "N14")
@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"code": 5}, "$.code"),
        ({"code": "c" * 4097}, "$.code"),
        ({"code": "a\x7f"}, "$.code"),
        ({"code": "é"}, "$.code"),
        ({"code": "a\x00"}, "$.code"),
        ({"code_verifier": "v" * 42}, "$.code_verifier"),
        ({"code_verifier": "v" * 129}, "$.code_verifier"),
        ({"code_verifier": "v" * 42 + "+"}, "$.code_verifier"),
        ({"code_verifier": VERIFIER + "\n"}, "$.code_verifier"),
        ({"refresh_token": "t"}, "$.refresh_token"),
        ({"grant_type": "authorization_code", "refresh_token": "t"}, "$.refresh_token"),
        ({"grant_type": "refresh_token", "refresh_token": "t" * 65537}, "$.refresh_token"),
        ({"grant_type": "refresh_token", "code": "a\x00"}, "$.code"),
        ({"grant_type": 5}, "$.grant_type"),
    ],
    ids=lambda value: value if isinstance(value, str) else str(value)[:60],
)
def test_bad_token_body(body: dict[str, Any], field: str) -> None:
    """A member that is not what it must be is named (N12-N14)."""
    with pytest.raises(ParameterInvalid) as caught:
        read_token_body(body)
    assert caught.value.field == field


@pytest.mark.requirement("BC-9", "N56", "V1-1", "T13", "WC-8")
@pytest.mark.parametrize("grant_type", ["password", "client_credentials", "urn:x", "CODE"])
def test_other_grant(grant_type: str) -> None:
    """No other grant: we do not lend our credentials (N56)."""
    with pytest.raises(GrantTypeUnsupported) as caught:
        read_token_body({"grant_type": grant_type})
    assert caught.value.error == "unsupported_grant_type"
    assert isinstance(caught.value, RequestError)


# -- schema ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "schema"),
    [
        ('{"migration": 0, "semantic": "X"}', Schema(0, "X")),
        ('{"migration": 0}', UNSET),
        ('{"semantic": "X"}', UNSET),
        ("{}", UNSET),
        ("", UNSET),
        ("{'migration': 0, 'semantic': <X.Y: 'X'>}", UNSET),
        ("EmbeddedModelSchema(migration=0, semantic='X')", UNSET),
        ('{"migration": "0", "semantic": "X"}', UNSET),
        ("\ud800", UNSET),
    ],
)
def test_schema_of_a_form(text: str, schema: Any) -> None:
    """A schema is echoed if it is complete; a ``repr`` of Python is no fault, and no schema."""
    assert read_schema(text) == schema


def test_schema_of_a_flow() -> None:
    """What a flow keeps of the schema is echoed."""
    assert schema_of({"migration": 0, "semantic": "X"}) == Schema(0, "X")
    assert schema_of(None) is UNSET


# -- out ---------------------------------------------------------------------------


def test_user() -> None:
    """A user is made of the claims that the model has, each of its kind."""
    claims = {
        "sub": "auth0|alice",
        "name": "Alice",
        "email": "alice@example.com",
        "email_verified": True,
        "picture": 5,
        "nickname": None,
        "role": "admin",
        "iss": "x",
    }
    assert user_of(claims) == {
        "user_id": "auth0|alice",
        "name": "Alice",
        "email": "alice@example.com",
        "email_verified": True,
    }
    assert user_of({"sub": "x", "email_verified": "true"}) == {"user_id": "x"}


def test_members_without_a_value() -> None:
    """Only members with a value are sent, and enumerations only with values that clients know."""
    assert optional(None) is UNSET
    assert optional("") is UNSET
    assert optional("x") == "x"
    assert published("signup", "signup") == "signup"
    assert published("login", "signup") is UNSET
    assert published(None, "signup") is UNSET


def test_models_hide_their_secrets() -> None:
    """A model in a log shows nothing of what it holds, in or out."""
    models = [
        SeededPKCE(state="secret"),
        TokenizedPKCE(code="secret"),
        PKCE(authorization_url="secret"),
        OAuthToken(access_token="secret", expires_in=0, token_type="Bearer"),
    ]
    assert [repr(model) for model in models] == [
        "SeededPKCE(...)",
        "TokenizedPKCE(...)",
        "PKCE(...)",
        "OAuthToken(...)",
    ]


def test_encoding() -> None:
    """An answer has the published names, and no member that is empty."""
    assert encode(PKCE()) == b"{}"
    answer = PKCE(
        challenge=Challenge(state="s", nonce="n", challenge="c", verifier="v", method="S256"),
        auth0=Auth0(
            domain="d",
            client="c",
            audience="a",
            redirects=Redirects(),
            oauth=OAuth(token=OAuthToken(access_token="t", expires_in=0, token_type="Bearer")),
        ),
        authorization_url="https://tenant.example/authorize",
    )
    assert json.loads(encode(answer)) == {
        "challenge": {
            "state": "s",
            "nonce": "n",
            "challenge": "c",
            "verifier": "v",
            "method": "S256",
        },
        "auth0": {
            "domain": "d",
            "client": "c",
            "audience": "a",
            "redirects": {},
            "oAuth": {"token": {"access_token": "t", "expires_in": 0, "token_type": "Bearer"}},
        },
        "authorization_url": "https://tenant.example/authorize",
    }
    seed = Seed(
        client_id="c",
        state="s",
        nonce="n",
        code_challenge="x",
        scope=["openid"],
        additional={"login_hint": "alice"},
    )
    sent = json.loads(encode(PKCE(seed=seed)))["seed"]
    assert sent["ADDITIONAL_PARAMETERS"] == {"login_hint": "alice"}
    assert "redirect_uri" not in sent


@pytest.mark.parametrize("name", ["code_challenge_method", "response_mode", "screen_hint"])
def test_enumeration_that_is_none(name: str) -> None:
    """A value that is none of an enumeration is not told: it may be a secret in a wrong place."""
    with pytest.raises(ParameterInvalid, match="none of the values") as caught:
        read_seed({name: "a-secret"})
    assert caught.value.field == f"$.{name}"
    assert "a-secret" not in str(caught.value)
