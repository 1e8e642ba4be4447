"""The settings of a registration: who we are at the tenant, and who may come from there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..protocol.claims import MAX_CONTEXT_LENGTH
from ..protocol.client_key import (
    CLIENT_KEY_ALGORITHMS,
    MAX_KEY_ID_LENGTH,
    ClientKey,
    parse_client_key,
)
from ..protocol.metadata import ClientAuth, PushedRequests
from ..protocol.text import is_visible_ascii
from .values import Fault, read_listed, read_text

#: Bytes of a file with a key.
_MAX_KEY_FILE = 64 * 1024
_METHODS = ", ".join(f"`{method}`" for method in ClientAuth)


def read_client_auth(value: Any) -> ClientAuth:
    try:
        return ClientAuth(value)
    except ValueError:
        raise Fault(f"is none of {_METHODS}") from None


def read_pushed_requests(value: Any) -> PushedRequests:
    try:
        return PushedRequests(value)
    except ValueError:
        raise Fault("is none of `auto`, `always`, `never`") from None


def read_client_key(value: Any) -> ClientKey:
    """A PEM or a JWK, or the path of a file that has one; nothing of it is in a message."""
    if isinstance(value, str | Mapping):
        given: str | Mapping[str, Any] = value
    elif isinstance(value, bytes | os.PathLike):
        given = os.fsdecode(value)
    else:
        raise Fault("is neither a PEM, nor a JWK, nor the path of a file with one")
    if isinstance(given, str):
        given = given.strip()
        if not given.startswith(("-----BEGIN", "{")):
            given = _read_file(read_text(given))
        elif given.startswith("-"):
            # Files of environment variables write a PEM in one line.
            given = given.replace("\\n", "\n")
    try:
        return parse_client_key(given)
    except ValueError as exc:
        raise Fault(str(exc)) from None


def _read_file(path: str) -> str:
    try:
        with Path(path).open("rb") as file:
            return file.read(_MAX_KEY_FILE).decode()
    except OSError:
        raise Fault(
            "names no file that can be read; a key itself begins with -----BEGIN"
        ) from None
    except UnicodeDecodeError:
        raise Fault("names a file that has neither a PEM nor a JWK in it") from None


def read_key_id(value: Any) -> str:
    text = read_text(value)
    if not is_visible_ascii(text, MAX_KEY_ID_LENGTH):
        raise Fault(f"is not 1 to {MAX_KEY_ID_LENGTH} visible ASCII characters")
    return text


def read_key_algorithm(value: Any) -> str:
    if value not in CLIENT_KEY_ALGORITHMS:
        raise Fault(f"is none of {', '.join(CLIENT_KEY_ALGORITHMS)}")
    return str(value)


def read_organization(value: Any) -> str:
    text = read_text(value)
    if len(text) > 128:
        raise Fault("is longer than 128 characters")
    return text


def read_organizations(value: Any) -> tuple[str, ...]:
    return tuple(read_organization(item) for item in read_listed(value))


def read_contexts(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    contexts = read_listed(value)
    if not all(is_visible_ascii(context, MAX_CONTEXT_LENGTH) for context in contexts):
        raise Fault(
            f"has a context that is not 1 to {MAX_CONTEXT_LENGTH} visible ASCII characters"
        )
    return contexts


def check_client(
    values: Mapping[str, Any], given: Mapping[str, Any], *, label: Callable[[str], str]
) -> Iterator[str]:
    """What does not go together in a registration, a sentence each.

    :param values: the settings that are good by themselves, by their fields.
    :param given: all of them as they were given; an empty one counts as none.
    :param label: what a fault calls a setting, by its name without the prefix.
    """
    auth = values.get("client_auth")
    has_secret, has_key = (
        given.get(name) not in (None, "") for name in ("client_secret", "client_key")
    )
    by_secret = auth in {ClientAuth.CLIENT_SECRET_POST, ClientAuth.CLIENT_SECRET_BASIC}
    if by_secret and not has_secret:
        yield f"{label('CLIENT_SECRET')} is missing, which {label('CLIENT_AUTH')} `{auth}` needs"
    if auth is ClientAuth.PRIVATE_KEY_JWT and not has_key:
        yield f"{label('CLIENT_KEY')} is missing, which {label('CLIENT_AUTH')} `{auth}` needs"
    if auth is ClientAuth.NONE and (has_secret or has_key):
        name = "CLIENT_SECRET" if has_secret else "CLIENT_KEY"
        yield f"{label('CLIENT_AUTH')} is `none` while {label(name)} is set"
    for name in ("client_key_id", "client_key_algorithm"):
        if name in values and not has_key:
            yield f"{label(name.upper())} is set while {label('CLIENT_KEY')} is missing"
    if "client_key" in values and "client_key_algorithm" in values:
        try:
            values["client_key"].named(algorithm=values["client_key_algorithm"])
        except ValueError as exc:
            yield f"{label('CLIENT_KEY')} {exc}: see {label('CLIENT_KEY_ALGORITHM')}"
    is_public = auth is ClientAuth.NONE or not (has_secret or has_key)
    if values.get("par") is PushedRequests.ALWAYS and is_public:
        yield (
            f"{label('PAR')} is `always` while neither {label('CLIENT_SECRET')} nor"
            f" {label('CLIENT_KEY')} is used: only confidential clients push their requests"
        )
