"""The texts that the models of the routes are made of: how long, and of which characters."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from ..protocol.pkce import CODE_CHALLENGE, CODE_VERIFIER
from ..protocol.text import PRINTABLE_ASCII, SCOPE_TOKEN, VISIBLE_ASCII
from ..protocol.token import AUTHORIZATION_CODE, REFRESH_TOKEN


def _told(max_length: int, pattern: str) -> Meta:
    """What a schema tells of a text, and msgspec checks of it: its length.

    What reads the models checks the rest, for its errors say more.
    """
    return Meta(max_length=max_length, extra_json_schema={"pattern": f"^(?:{pattern})$"})


#: No control characters: they would end in addresses, headers and logs.
_PRINTABLE = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]*"

Text = Annotated[str, _told(2048, _PRINTABLE)]
ShortText = Annotated[str, _told(128, _PRINTABLE)]
Visible = Annotated[str, _told(512, VISIBLE_ASCII.pattern)]
Opaque = Annotated[str, _told(4096, PRINTABLE_ASCII.pattern)]
RefreshToken = Annotated[str, _told(65536, PRINTABLE_ASCII.pattern)]
CodeChallenge = Annotated[str, _told(2048, CODE_CHALLENGE.pattern)]
CodeVerifier = Annotated[str, _told(2048, CODE_VERIFIER.pattern)]
Prompt = Annotated[
    str, _told(128, r"none|(?:login|consent|select_account)(?: (?:login|consent|select_account))*")
]
ResponseType = Annotated[str, _told(2048, "code")]
GrantType = Annotated[str, _told(2048, f"{AUTHORIZATION_CODE}|{REFRESH_TOKEN}")]
Scope = Annotated[
    list[Annotated[str, _told(128, SCOPE_TOKEN.pattern)]],
    Meta(max_length=64, extra_json_schema={"contains": {"const": "openid"}}),
]
