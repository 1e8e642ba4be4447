"""The JSON of the five routes, in and out, by the published models' own names.

What clients leave out they may also send as ``UNKNOWN`` in an enumeration, as an empty string, an
empty list or null; members the API does not know are ignored and never forwarded.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from ..errors import GrantTypeUnsupported, ParameterInvalid, ResponseTypeUnsupported
from ..protocol.authorization import MAX_CODE_LENGTH
from ..protocol.pkce import is_code_challenge, is_code_verifier
from ..protocol.strict_json import StrictJSONError, loads_object
from ..protocol.text import (
    has_control_characters,
    is_printable_ascii,
    is_scope_token,
    is_visible_ascii,
)
from ..protocol.token import AUTHORIZATION_CODE, REFRESH_TOKEN
from .model_texts import (
    CodeChallenge,
    CodeVerifier,
    GrantType,
    Opaque,
    Prompt,
    RefreshToken,
    ResponseType,
    Scope,
    ShortText,
    Text,
    Visible,
)

#: The scopes that the published models know; others make a client refuse the whole answer.
PUBLISHED_SCOPES = frozenset({"openid", "profile", "email", "offline_access"})

_UNKNOWN = "UNKNOWN"
_PROMPTS = frozenset({"none", "login", "consent", "select_account"})


class Schema(Struct, frozen=True):
    """``EmbeddedModelSchema``: the version of a model, echoed to whoever sent it."""

    migration: int
    semantic: ShortText


class PartialSchema(Struct, frozen=True):
    """``EmbeddedModelSchema`` as it may come: incomplete, and then not echoed."""

    migration: int | UnsetType = UNSET
    semantic: ShortText | UnsetType = UNSET

    def complete(self) -> Schema | UnsetType:
        """The schema, if it has both members."""
        if isinstance(self.migration, int) and isinstance(self.semantic, str):
            return Schema(self.migration, self.semantic)
        return UNSET


# -- in ------------------------------------------------------------------------


class Model(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A model of the published API.  Most of what they hold is secret: a ``repr`` shows none."""

    def __repr__(self) -> str:
        return f"{type(self).__name__}(...)"


class SeededPKCE(Model, frozen=True, kw_only=True, omit_defaults=True):
    """The body of ``POST /pkce/code``."""

    response_type: ResponseType | None = None
    client_id: Text | None = None
    redirect_uri: Text | None = None
    domain: Text | None = None
    audience: Text | None = None
    scope: Scope | None = None
    state: Visible | None = None
    nonce: Visible | None = None
    code_challenge: CodeChallenge | None = None
    code_challenge_method: Literal["S256"] | None = None
    response_mode: Literal["form_post", "query"] | None = None
    screen_hint: Literal["signup", "login"] | None = None
    prompt: Prompt | None = None
    organization: ShortText | None = None
    invitation: ShortText | None = None
    additional: dict[ShortText, Annotated[str, Meta(max_length=500)] | int] = msgspec.field(
        default_factory=dict, name="ADDITIONAL_PARAMETERS"
    )
    schema: PartialSchema | None = None


class TokenizedPKCE(Model, frozen=True, kw_only=True, omit_defaults=True):
    """The body of ``POST /pkce/token``."""

    client_id: Text | None = None
    code: Opaque | None = None
    code_verifier: CodeVerifier | None = None
    grant_type: GrantType | None = None
    redirect_uri: Text | None = None
    audience: Text | None = None
    refresh_token: RefreshToken | None = None
    schema: PartialSchema | None = None


# msgspec works a class out at its first use, and crashes where several threads are at that.
for _model in (Schema, PartialSchema, SeededPKCE, TokenizedPKCE):
    msgspec.json.Decoder(_model)


def read_seed(body: Mapping[str, Any]) -> SeededPKCE:
    """Read the body of ``POST /pkce/code``.

    :raises ResponseTypeUnsupported: if it asks for anything but a code.
    :raises ParameterInvalid: if a member is not what it must be; the field is named.
    """
    members = _present(
        body, {"prompt", "response_mode", "response_type", "screen_hint", "code_challenge_method"}
    )
    if isinstance(scope := members.get("scope"), str):
        members["scope"] = scope.split()
    elif isinstance(scope, list):
        members["scope"] = [item for item in scope if item != _UNKNOWN and item != ""]
    if isinstance(extra := members.get("ADDITIONAL_PARAMETERS"), dict):
        members["ADDITIONAL_PARAMETERS"] = _present(extra, set(extra))
    seed = _convert({name: v for name, v in members.items() if v != []}, SeededPKCE)
    _check_strings(seed)
    if seed.response_type not in {None, "code"}:
        raise ResponseTypeUnsupported(field="$.response_type")
    for name in ("state", "nonce"):
        value = getattr(seed, name)
        if value is not None and not is_visible_ascii(value, 512):
            raise ParameterInvalid("is not 1 to 512 visible ASCII characters", field=f"$.{name}")
    if seed.code_challenge is not None:
        if not is_code_challenge(seed.code_challenge):
            raise ParameterInvalid(
                "is not canonical base64url of 32 bytes", field="$.code_challenge"
            )
        if seed.code_challenge_method is None:
            raise ParameterInvalid(
                "must be S256 where there is a code_challenge", field="$.code_challenge_method"
            )
    for index, item in enumerate(seed.scope or ()):
        if not is_scope_token(item):
            raise ParameterInvalid("is no scope", field=f"$.scope[{index}]")
    _check_prompt(seed.prompt)
    if seed.invitation is not None and seed.organization is None:
        raise ParameterInvalid("needs an organization", field="$.invitation")
    return seed


def _check_prompt(prompt: str | None) -> None:
    values = (prompt or "login").split(" ")
    if not set(values) <= _PROMPTS or len(set(values)) != len(values):
        raise ParameterInvalid("is no prompt", field="$.prompt")
    if "none" in values and len(values) > 1:
        raise ParameterInvalid("must not combine `none` with others", field="$.prompt")


def read_token_body(body: Mapping[str, Any]) -> TokenizedPKCE:
    """Read the body of ``POST /pkce/token``.

    :raises GrantTypeUnsupported: if it asks for another grant.
    :raises ParameterInvalid: if a member is not what it must be; the field is named.
    """
    read = _convert(_present(body, {"grant_type"}), TokenizedPKCE)
    _check_strings(read)
    if read.grant_type not in {None, AUTHORIZATION_CODE, REFRESH_TOKEN}:
        raise GrantTypeUnsupported(field="$.grant_type")
    is_code_grant = read.grant_type != REFRESH_TOKEN
    if is_code_grant and read.code_verifier and not is_code_verifier(read.code_verifier):
        raise ParameterInvalid("is not 43 to 128 unreserved characters", field="$.code_verifier")
    if is_code_grant and read.refresh_token:
        raise ParameterInvalid(
            "goes with grant_type `refresh_token` alone", field="$.refresh_token"
        )
    if is_code_grant and read.code and not is_printable_ascii(read.code, MAX_CODE_LENGTH):
        raise ParameterInvalid("is not printable ASCII characters", field="$.code")
    return read


def read_schema(text: str) -> Schema | UnsetType:
    """The ``schema`` of a form, where clients send a Python ``repr`` too: then there is none."""
    try:
        members = loads_object(text.encode(), max_depth=1)
        return msgspec.convert(members, PartialSchema).complete()
    except (StrictJSONError, UnicodeEncodeError, msgspec.ValidationError):
        return UNSET


def _present(members: Mapping[str, Any], enumerations: set[str]) -> dict[str, Any]:
    return {
        name: value
        for name, value in members.items()
        if value is not None
        and value not in ("", [])
        and not (value == _UNKNOWN and name in enumerations)
    }


B = TypeVar("B", SeededPKCE, TokenizedPKCE)


def _convert(members: dict[str, Any], kind: type[B]) -> B:
    try:
        return msgspec.convert(members, kind)
    except msgspec.ValidationError as exc:
        # msgspec: "Expected `str`, got `int` - at `$.state`"
        what, _, where = str(exc).partition(" - at ")
        if what.startswith("Invalid enum value"):
            # It goes on with the value, which may be a secret in the wrong place.
            what = "is none of the values that it may have"
        where = where.strip("`").replace("[...]", "") or "$"
        raise ParameterInvalid(f"{what[:1].lower()}{what[1:]}", field=where) from None


def _check_strings(body: Struct, path: str = "$") -> None:
    """Refuse control characters anywhere: they would end in addresses, headers and logs."""
    for name in body.__struct_fields__:
        value = getattr(body, name)
        if isinstance(value, Struct):
            _check_strings(value, f"{path}.{name}")
        texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
        if isinstance(value, dict):
            name = "ADDITIONAL_PARAMETERS"
            texts = [text for pair in value.items() for text in pair if isinstance(text, str)]
        if any(has_control_characters(text) for text in texts):
            raise ParameterInvalid("has a control character", field=f"{path}.{name}")


# -- out -----------------------------------------------------------------------


class Challenge(Model, frozen=True, kw_only=True, omit_defaults=True):
    """``ChallengedPKCE``: a flow that was started."""

    state: str
    nonce: str
    challenge: str
    verifier: str
    method: str | UnsetType = UNSET


class Seed(Model, frozen=True, kw_only=True, omit_defaults=True):
    """``SeededPKCE`` as it was sent on."""

    response_type: str | UnsetType = UNSET
    client_id: str
    state: str
    nonce: str
    code_challenge: str
    code_challenge_method: str | UnsetType = UNSET
    scope: list[str]
    redirect_uri: str | UnsetType = UNSET
    response_mode: str | UnsetType = UNSET
    domain: str | UnsetType = UNSET
    audience: str | UnsetType = UNSET
    screen_hint: str | UnsetType = UNSET
    prompt: str | UnsetType = UNSET
    organization: str | UnsetType = UNSET
    invitation: str | UnsetType = UNSET
    additional: dict[str, str] | UnsetType = msgspec.field(
        default=UNSET, name="ADDITIONAL_PARAMETERS"
    )
    schema: Schema | UnsetType = UNSET


class Result(Model, frozen=True, kw_only=True, omit_defaults=True):
    """``ResultedPKCE``: the tenant's answer, bound."""

    code: str
    state: str
    schema: Schema | UnsetType = UNSET


class TokenAsked(Model, frozen=True, kw_only=True, omit_defaults=True):
    """``TokenizedPKCE`` as it was sent on."""

    grant_type: str | UnsetType = UNSET
    client_id: str
    code: str
    code_verifier: str
    redirect_uri: str
    audience: str | UnsetType = UNSET
    schema: Schema | UnsetType = UNSET


class OAuthToken(Model, frozen=True, kw_only=True, omit_defaults=True):
    """``OAuthToken``: the tokens."""

    access_token: str
    #: Seconds; 0 where the tenant gives none.
    expires_in: int
    #: The one spelling that the published clients decode.  No default: it is always sent.
    token_type: Literal["Bearer"]
    scope: str | UnsetType = UNSET
    refresh_token: str | UnsetType = UNSET
    id_token: str | UnsetType = UNSET


class OAuth(Model, frozen=True, kw_only=True, omit_defaults=True):
    """``OAuthGroup``: what the tenant issued."""

    token: OAuthToken | UnsetType = UNSET


class Redirects(Model, frozen=True, kw_only=True, omit_defaults=True):
    """``Auth0Redirects``: where a browser ends."""

    authenticated: str | UnsetType = UNSET
    unauthenticated: str | UnsetType = UNSET


class Auth0(Model, frozen=True, kw_only=True, omit_defaults=True):
    """``Auth0``: the tenant, and who signed in there."""

    domain: str
    client: str
    audience: str
    redirects: Redirects
    oauth: OAuth = msgspec.field(name="oAuth")
    user: dict[str, Any] | UnsetType = UNSET


class PKCE(Model, frozen=True, kw_only=True, omit_defaults=True):
    """The answer of every route but the last.  An object that would be incomplete is left out."""

    challenge: Challenge | UnsetType = UNSET
    seed: Seed | UnsetType = UNSET
    auth0: Auth0 | UnsetType = UNSET
    result: Result | UnsetType = UNSET
    token: TokenAsked | UnsetType = UNSET
    #: Where the browser goes; the published model does not have it, and its clients drop it.
    authorization_url: str | UnsetType = UNSET
    #: For how many seconds that is good, where the request was pushed; neither does it have this.
    request_uri_expires_in: int | UnsetType = UNSET


#: The members of ``Auth0User`` that come from claims, with the kind each must be.
USER_CLAIMS: Mapping[str, type] = {
    "name": str,
    "given_name": str,
    "family_name": str,
    "nickname": str,
    "username": str,
    "picture": str,
    "locale": str,
    "email": str,
    "email_verified": bool,
}


def user_of(claims: Mapping[str, Any]) -> dict[str, Any]:
    """``Auth0User`` from verified claims; one of another kind than the model's is left out."""
    user = {
        name: claims[name]
        for name, kind in USER_CLAIMS.items()
        if isinstance(claims.get(name), kind)
    }
    return {"user_id": claims["sub"], **user}


def optional(value: str | None) -> str | UnsetType:
    """A member that is left out where there is no value."""
    return value or UNSET


def published(value: str | None, *known: str) -> str | UnsetType:
    """A member of an enumeration, left out where the published models do not know the value."""
    return value if value in known else UNSET


def schema_of(members: Mapping[str, int | str] | None) -> Schema | UnsetType:
    """The ``schema`` that a flow keeps."""
    return UNSET if members is None else msgspec.convert(members, Schema)


def encode(answer: PKCE) -> bytes:
    """The JSON of an answer."""
    return msgspec.json.encode(answer)
