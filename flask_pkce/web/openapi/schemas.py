"""The schemas of a document, made of the models that the routes read and answer."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.json import schema_components

from ...protocol.authorization import MAX_CODE_LENGTH, MAX_STATE_LENGTH
from ...protocol.pkce import CODE_CHALLENGE_METHOD
from ...protocol.text import ERROR_CODE, PRINTABLE_ASCII, VISIBLE_ASCII
from ...protocol.token import REFRESH_TOKEN
from ...relying_party.authorization_request import ADDITIONAL, EXTENSION
from ...settings.model import Settings
from ..body import MAX_FIELDS
from ..login import LINK_PARAMETERS
from ..models import PKCE, USER_CLAIMS, SeededPKCE, TokenizedPKCE
from ..problems import Problem
from .errors import markdown

_PREFIX = "#/components/schemas/"
#: A field of a form that nobody reads; any is given once.
FIELD = {"type": "string"}

_JSON_TYPES = {str: "string", bool: "boolean"}

#: What the published API calls the models that have another name here.
_PUBLISHED = {
    "Challenge": "ChallengedPKCE",
    "OAuth": "OAuthGroup",
    "PartialSchema": "EmbeddedModelSchema",
    "Redirects": "Auth0Redirects",
    "Result": "ResultedPKCE",
    "Schema": "EmbeddedModelSchema",
    # Published as SeededPKCE and TokenizedPKCE, which come in with less, and are checked.
    "Seed": "SentSeededPKCE",
    "TokenAsked": "SentTokenizedPKCE",
}

#: What stays on the server with delivery ``session``, and what may not be sent to it.
_KEPT = {
    "PKCE": ("challenge", "result", "seed", "token"),
    "OAuthGroup": ("token",),
    "SeededPKCE": ("code_challenge", "code_challenge_method", "nonce", "redirect_uri"),
    "TokenizedPKCE": ("code", "code_verifier", "refresh_token"),
}

#: Members that go with another alone, and what that must be.
_NEEDED: Mapping[str, Mapping[str, tuple[str, dict[str, Any]]]] = {
    "SeededPKCE": {
        "code_challenge": ("code_challenge_method", {"const": CODE_CHALLENGE_METHOD}),
        "invitation": ("organization", {"type": "string", "minLength": 1}),
    },
    "TokenizedPKCE": {"refresh_token": ("grant_type", {"const": REFRESH_TOKEN})},
}


def ref(name: str) -> dict[str, Any]:
    """A reference to a schema."""
    return {"$ref": _PREFIX + name}


def build_schemas(settings: Settings) -> dict[str, Any]:
    """Every schema, by its published name."""
    # The whole model stands for what may come incomplete, and has its name.
    schemas = {
        _PUBLISHED.get(name, name): _cleaned(value)
        for name, value in _models().items()
        if name != "PartialSchema"
    }
    for name, schema in schemas.items():
        schema["title"] = name
    schemas["SeededPKCE"]["properties"]["ADDITIONAL_PARAMETERS"] = _additional(settings)
    schemas["Auth0"]["properties"]["user"] = ref("Auth0User")
    schemas["Auth0User"] = _user()
    schemas["RespondedPKCE"] = _responded()
    if settings.delivers_to_session:
        for name, members in _KEPT.items():
            for member in members:
                del schemas[name]["properties"][member]
        schemas["Claims"] = _claims()
    for name, needed in _NEEDED.items():
        members = schemas[name]["properties"]
        conditions = [_goes_with(each, *needed[each]) for each in needed if each in members]
        schemas[name].update({"allOf": conditions} if conditions else {})
    return schemas


def _goes_with(member: str, needed: str, schema: dict[str, Any]) -> dict[str, Any]:
    """Where a member has a value, the needed one must be as the schema says."""
    given = {"type": "string", "minLength": 1}
    return {
        "if": {"required": [member], "properties": {member: given}},
        "then": {"required": [needed], "properties": {needed: schema}},
    }


@functools.cache
def _models() -> Mapping[str, Any]:
    models = [SeededPKCE, TokenizedPKCE, PKCE, Problem]
    return schema_components(models, ref_template=_PREFIX + "{name}")[1]


def _cleaned(value: Any) -> Any:
    """A schema of msgspec's, with the published names, and without defaults that say nothing."""
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    cleaned = {
        name: _cleaned(item)
        for name, item in value.items()
        if name != "default" and (name, item) != ("required", [])
    }
    if isinstance(target := cleaned.get("$ref"), str):
        name = target.removeprefix(_PREFIX)
        cleaned["$ref"] = _PREFIX + _PUBLISHED.get(name, name)
    if isinstance(cleaned.get("description"), str):
        cleaned["description"] = markdown(cleaned["description"])
    return cleaned


def _additional(settings: Settings) -> dict[str, Any]:
    """Further parameters that may be passed on; others are refused."""
    text = {"type": "string", "maxLength": 500}
    return {
        "type": "object",
        "properties": {
            **{name: {**text, **_matches(value.pattern)} for name, value in ADDITIONAL.items()},
            **dict.fromkeys(settings.additional_parameters, text),
        },
        "patternProperties": {f"^{EXTENSION.pattern}$": text},
        "additionalProperties": False,
    }


def link_parameters() -> dict[str, dict[str, Any]]:
    """The parameters of a link that signs in."""
    text: dict[str, Any] = {"type": "string"}
    members = _cleaned(_models()["SeededPKCE"])["properties"]
    schemas: dict[str, dict[str, Any]] = {}
    for name in LINK_PARAMETERS:
        if name in ADDITIONAL:
            schemas[name] = {**text, **_matches(ADDITIONAL[name].pattern)}
        else:
            # An address cannot say null.
            schemas[name] = members[name]["anyOf"][0] if name in members else text
    return schemas


def _matches(pattern: str) -> dict[str, Any]:
    return {"pattern": f"^(?:{pattern})$"}


def _user() -> dict[str, Any]:
    claims = {name: {"type": _JSON_TYPES[kind]} for name, kind in USER_CLAIMS.items()}
    return {
        "title": "Auth0User",
        "description": "Who signed in, by the verified ID token.",
        "type": "object",
        "properties": {"user_id": {"type": "string"}, **claims},
        "required": ["user_id"],
    }


def _claims() -> dict[str, Any]:
    return {
        "title": "Claims",
        "description": "The claims of the verified ID token, without the protocol's own.",
        "type": "object",
        "properties": {"iss": {"type": "string"}, "sub": {"type": "string"}},
        "required": ["iss", "sub"],
    }


def _responded() -> dict[str, Any]:
    """The form that the tenant has a browser post, and that the published clients send."""
    return {
        "title": "RespondedPKCE",
        "description": "An authorization response (RFC 6749 4.1.2): a code, or an error.",
        "type": "object",
        "properties": {
            **answer_parameters(),
            "schema": {
                "type": "string",
                "description": "JSON of an `EmbeddedModelSchema`; anything else is ignored.",
            },
        },
        "additionalProperties": FIELD,
        "maxProperties": MAX_FIELDS,
        "required": ["state"],
        "anyOf": [{"required": ["code"]}, {"required": ["error"]}],
    }


def answer_parameters() -> dict[str, dict[str, Any]]:
    """The parameters of an authorization response, in a form or in a query."""
    visible = {"type": "string", **_matches(VISIBLE_ASCII.pattern)}
    printable = {"type": "string", **_matches(PRINTABLE_ASCII.pattern)}
    return {
        "code": {**printable, "maxLength": MAX_CODE_LENGTH},
        "state": {**visible, "maxLength": MAX_STATE_LENGTH},
        "error": {"type": "string", **_matches(ERROR_CODE.pattern)},
        "error_description": {"type": "string"},
        "iss": {**visible, "maxLength": 2048},
    }


def names_in(value: Any) -> Iterator[str]:
    """The names of the schemas that a part of a document refers to."""
    if isinstance(value, Mapping):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"].removeprefix(_PREFIX)
        for item in value.values():
            yield from names_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from names_in(item)
