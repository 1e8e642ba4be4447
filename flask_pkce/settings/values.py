"""A value of ``app.config`` in, the checked value of a setting out.

``from_prefixed_env`` parses JSON: an all-digit client id arrives as an int, ``1e400`` as infinity,
and ``True`` as a text.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Any
from urllib.parse import urlsplit

from ..protocol.id_token import ALGORITHMS
from ..protocol.metadata import parse_domain
from ..protocol.text import is_scope_token, is_visible_ascii
from ..protocol.urls import host_of, is_local_path, origin_of, parse_address

#: A private-use scheme is a reversed domain name (:rfc:`8252#section-7.1`).
_PRIVATE_USE = re.compile(r"[a-z][a-z0-9+\-]*(\.[a-z0-9+\-]+)+:/", re.IGNORECASE)
_WHOLE_NUMBER = re.compile(r"[0-9]{1,9}")
#: It is part of an address.
_TENANT_NAME = re.compile(r"[A-Za-z0-9_\-]{1,64}")
TENANT_NAME = "1 to 64 letters, digits, hyphens and underscores"
_PROXY = re.compile(r"http://[^/\s]+", re.IGNORECASE)

#: What a caller never sets by ``ADDITIONAL_PARAMETERS``.
_PROTOCOL_PARAMETERS = frozenset(
    {
        "audience",
        "client_id",
        "client_secret",
        "code_challenge",
        "code_challenge_method",
        "code_verifier",
        "dpop_jkt",
        "invitation",
        "nonce",
        "organization",
        "prompt",
        "redirect_uri",
        "request",
        "request_uri",
        "resource",
        "response_mode",
        "response_type",
        "scope",
        "screen_hint",
        "state",
    }
)


class TokenDelivery(StrEnum):
    """Who gets the tokens."""

    #: The caller, as the published API says.
    CALLER = "caller"
    #: Nobody outside the server (backend for frontend).
    SESSION = "session"


class LoginLinks(StrEnum):
    """Which links from other origins to ``/pkce/login`` ask before they start a sign-in."""

    #: Those that name a tenant other than the default one, and all while a user is signed in.
    AUTO = "auto"
    #: All.
    ASK = "ask"


class Fault(ValueError):
    """What is wrong with one setting."""


def read_text(value: Any) -> str:
    if isinstance(value, bool | float) or not isinstance(value, str | int):
        raise Fault("is no text: quote it (in the environment twice, as '\"12e45\"')")
    try:
        text = str(value)
    except ValueError:
        # Python does not write an integer of thousands of digits.
        text = ""
    if not text or len(text) > 2048 or not text.isprintable():
        raise Fault("is empty, too long or not printable")
    return text


def read_client_id(value: Any) -> str:
    text = read_text(value)
    if not is_visible_ascii(text, 256):
        raise Fault("is not 1 to 256 visible ASCII characters")
    return text


def read_boolean(value: Any) -> bool:
    known = {"true": True, "1": True, "false": False, "0": False}
    if isinstance(value, bool):
        return value
    try:
        return known[str(value).strip().lower()]
    except (KeyError, ValueError):
        raise Fault("is neither true nor false") from None


def read_seconds(low: int, high: int) -> Callable[[Any], int]:
    return _read_whole(low, high, " of seconds", " seconds")


def read_count(low: int, high: int) -> Callable[[Any], int]:
    return _read_whole(low, high, "", "")


def _read_whole(low: int, high: int, of_unit: str, unit: str) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if isinstance(value, str) and _WHOLE_NUMBER.fullmatch(value.strip()):
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise Fault(f"is not a whole number{of_unit}")
        if not low <= value <= high:
            raise Fault(f"is not between {low} and {high}{unit}")
        return value

    return read


def read_listed(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = [part.strip() for part in value.split(",") if part.strip()]
    if not isinstance(value, list | tuple | set | frozenset):
        raise Fault("is neither a list nor a comma-separated text")
    return tuple(read_text(item) for item in value)


def read_scopes(value: Any) -> tuple[str, ...]:
    if isinstance(value, str):
        value = value.replace(",", " ").split()
    scopes = read_listed(value)
    for scope in scopes:
        if not is_scope_token(scope):
            raise Fault("has a scope with a character that no scope may have")
    return tuple(dict.fromkeys(scopes))


def read_openid_scopes(value: Any) -> tuple[str, ...]:
    scopes = read_scopes(value)
    if "openid" not in scopes:
        raise Fault("does not contain `openid`, without which nobody is signed in")
    return scopes


def read_origins(value: Any) -> tuple[str, ...]:
    origins = []
    for text in read_listed(value):
        try:
            parts = parse_address(text)
        except ValueError as exc:
            raise Fault(f"has an origin that {exc}") from None
        if parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise Fault("has an origin with a path: give scheme, host and port alone")
        origins.append(origin_of(parts))
    return tuple(origins)


def read_public_url(value: Any) -> str:
    text = read_text(value)
    try:
        parts = parse_address(text)
    except ValueError as exc:
        raise Fault(str(exc)) from None
    if parts.query or parts.fragment or not is_local_path(parts.path or "/"):
        raise Fault("must be scheme, host and, where the application has one, its prefix")
    return origin_of(parts) + parts.path.rstrip("/")


def read_public_urls(value: Any) -> tuple[str, ...]:
    urls = tuple(read_public_url(text) for text in read_listed(value))
    if len({urlsplit(url).hostname for url in urls}) < len(urls):
        raise Fault("has two addresses of one host")
    return urls


def read_redirect_uris(value: Any) -> tuple[str, ...]:
    for text in (uris := read_listed(value)):
        if "#" in text:
            raise Fault("has an address with a fragment")
        if _PRIVATE_USE.match(text) and is_visible_ascii(text, 2048):
            continue
        try:
            parse_address(text)
        except ValueError as exc:
            raise Fault(f"has an address that {exc}") from None
    return uris


def read_hosts(value: Any) -> tuple[str, ...]:
    hosts = []
    for text in read_listed(value):
        try:
            parts = parse_address(f"https://{text}")
        except ValueError as exc:
            raise Fault(f"has a host that {exc}") from None
        if host_of(parts) != text.lower():
            raise Fault("must be hosts alone, without scheme, port or path")
        hosts.append(host_of(parts))
    return tuple(hosts)


def read_destination(value: Any) -> str:
    text = read_text(value)
    if is_local_path(text):
        return text
    try:
        parse_address(text)
    except ValueError:
        raise Fault("is neither a path of this application nor an https address") from None
    return text


def read_response_mode(value: Any) -> str:
    if value not in ("form_post", "query"):
        raise Fault("is neither `form_post` nor `query`")
    return str(value)


def read_delivery(value: Any) -> TokenDelivery:
    try:
        return TokenDelivery(value)
    except ValueError:
        raise Fault("is neither `caller` nor `session`") from None


def read_login_links(value: Any) -> LoginLinks:
    try:
        return LoginLinks(value)
    except ValueError:
        raise Fault("is neither `auto` nor `ask`") from None


def read_algorithms(value: Any) -> tuple[str, ...]:
    algorithms = read_listed(value)
    if not algorithms or not set(algorithms) <= set(ALGORITHMS):
        raise Fault(f"has an algorithm that is not one of {', '.join(ALGORITHMS)}")
    return algorithms


def read_domain(value: Any) -> str:
    text = read_text(value)
    try:
        parse_domain(text)
    except ValueError as exc:
        raise Fault(str(exc)) from None
    return text


def read_proxies(value: Any) -> Mapping[str, str]:
    if isinstance(value, str):
        value = {"https": value, "http": value}
    if not isinstance(value, Mapping) or not set(value) <= {"http", "https"}:
        raise Fault("is neither an address nor a mapping of `http` and `https` to one")
    proxies = {str(scheme): read_text(address) for scheme, address in value.items()}
    for address in proxies.values():
        if _PROXY.match(address) is None or not _has_host(address):
            raise Fault("has a proxy that is no http:// address")
    return proxies


def _has_host(address: str) -> bool:
    try:
        parts = urlsplit(address)
        return bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def read_ca_bundle(value: Any) -> str:
    path = read_text(value)
    if not os.path.exists(path):
        raise Fault("names no file and no folder")
    return path


def is_tenant_name(value: Any) -> bool:
    return isinstance(value, str) and _TENANT_NAME.fullmatch(value) is not None


def read_tenants(value: Any) -> Mapping[str, Mapping[str, Any]]:
    if not isinstance(value, Mapping) or not all(isinstance(v, Mapping) for v in value.values()):
        raise Fault("is no mapping of names to the settings of a tenant")
    if not all(is_tenant_name(name) for name in value):
        raise Fault(f"has a name that is none: {TENANT_NAME}")
    return value


def read_parameter_names(value: Any) -> tuple[str, ...]:
    names = read_listed(value)
    for name in names:
        if name in _PROTOCOL_PARAMETERS or not is_visible_ascii(name, 128):
            raise Fault("has the name of a parameter of the protocol, or no name at all")
    return names


def read_store(value: Any) -> Any:
    return read_text(value) if isinstance(value, str | int) else value
