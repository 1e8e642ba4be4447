"""What the specifications allow in a string."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import quote_plus

#: A space-separated list's member (:rfc:`6749#section-3.3`).
SCOPE_TOKEN = re.compile(r"[\x21\x23-\x5b\x5d-\x7e]+")
#: Visible ASCII: VSCHAR without the space.
VISIBLE_ASCII = re.compile(r"[\x21-\x7e]+")
#: Codes, access tokens and refresh tokens (VSCHAR, :rfc:`6749#appendix-A`).
PRINTABLE_ASCII = re.compile(r"[\x20-\x7e]+")
#: An error code (:rfc:`6749#section-4.1.2.1`); the bound on its length is ours.
ERROR_CODE = re.compile(r"[\x20-\x21\x23-\x5b\x5d-\x7e]{1,64}")

_DESCRIPTION_LENGTH = 256
#: What is spelled in a form as it is.
_UNRESERVED = re.compile(r"[A-Za-z0-9\-._~]*")


def is_scope_token(text: str) -> bool:
    """Whether this can be one scope.

    :rfc:`6749#section-3.3`
    """
    return SCOPE_TOKEN.fullmatch(text) is not None


def is_printable_ascii(text: str, max_length: int) -> bool:
    """Whether this is 1 to ``max_length`` characters of VSCHAR: visible ASCII and spaces.

    :rfc:`6749#appendix-A`
    """
    return 1 <= len(text) <= max_length and text.isascii() and text.isprintable()


def is_visible_ascii(text: str, max_length: int) -> bool:
    """Whether this is 1 to ``max_length`` visible ASCII characters, no space among them."""
    return len(text) <= max_length and VISIBLE_ASCII.fullmatch(text) is not None


def is_error_code(text: str) -> bool:
    """Whether this can be the ``error`` of an answer.

    :rfc:`6749#section-4.1.2.1`
    """
    return ERROR_CODE.fullmatch(text) is not None


def has_control_characters(text: str) -> bool:
    """Whether there is a control, a line or paragraph separator or half a surrogate pair."""
    if text.isascii() and text.isprintable():
        return False
    return any(unicodedata.category(char) in {"Cc", "Zl", "Zp", "Cs"} for char in text)


def _is_hidden(char: str) -> bool:
    """Whether this is a control, or a mark that turns the direction of what follows."""
    return has_control_characters(char) or unicodedata.category(char) == "Cf"


def one_line(text: str) -> str:
    """A stranger's text for a log or a page: one line, at most 256 characters, no controls."""
    visible = "".join(" " if _is_hidden(char) else char for char in text[:1024])
    return " ".join(visible.split())[:_DESCRIPTION_LENGTH]


def form_encode(parameters: Mapping[str, str]) -> str:
    """A form, or the query of an address.

    As :func:`urllib.parse.urlencode`, which quotes what needs no quoting too.

    :rfc:`6749#appendix-B`
    """
    return "&".join(f"{_quoted(name)}={_quoted(value)}" for name, value in parameters.items())


def _quoted(text: str) -> str:
    return text if _UNRESERVED.fullmatch(text) is not None else quote_plus(text)
