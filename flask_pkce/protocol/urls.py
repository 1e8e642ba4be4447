"""Origins, hosts and the addresses that may be used."""

from __future__ import annotations

import ipaddress
import re
import string
from urllib.parse import SplitResult, urlsplit

from .text import is_visible_ascii

_LABEL = r"[a-z0-9](?:[a-z0-9\-]{0,61}[a-z0-9])?"
_HOST_AND_PORT = re.compile(rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[0-9a-f:.]+\])(?::[0-9]*)?")
_ENCODED_CONTROL = re.compile(r"%(?:[01][0-9a-f]|7f)")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_NAME_CHARACTERS = string.ascii_lowercase + string.digits + ".-"
_IPV6_CHARACTERS = string.hexdigits + ":."


def is_loopback_host(host: str) -> bool:
    """Whether the host is ``localhost`` or a literal loopback address, with brackets or without.

    :rfc:`8252#section-8.3`
    """
    host = host.strip("[]").lower()
    if host == "localhost":
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # A socket of both families tells IPv4 peers so; only newer Pythons look into it themselves.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def parse_address(text: str) -> SplitResult:
    """Read an absolute ``http`` or ``https`` address whose host is spelled one way only.

    :return: the parts; host and scheme in lower case.
    :raises ValueError: with a sentence that says what is wrong: another scheme, plain ``http`` to
        a host that is not loopback, user information, odd characters, a port out of range.
    """
    if not is_visible_ascii(text, 2048) or "\\" in text:
        raise ValueError("is not an address of visible ASCII characters")
    try:
        parts = urlsplit(text)
    except ValueError:
        raise ValueError("has a host that is no host name") from None
    if parts.scheme not in _DEFAULT_PORTS:
        raise ValueError("must begin with https://")
    if "@" in parts.netloc:
        raise ValueError("must not contain user information")
    try:
        port = parts.port
    except ValueError:
        raise ValueError("has a port that is no port") from None
    # Not `parts.hostname`: urlsplit takes `x[::1]y` for `::1`, and others do not.
    if _HOST_AND_PORT.fullmatch(parts.netloc.lower()) is None:
        raise ValueError("has a host that is no host name")
    host = host_of(parts)
    if parts.scheme == "http" and not is_loopback_host(host):
        raise ValueError("must begin with https:// (plain http only for a loopback host)")
    if port == _DEFAULT_PORTS[parts.scheme]:
        port = None
    return parts._replace(netloc=host if port is None else f"{host}:{port}")


def read_host(header: str) -> tuple[str, int | None]:
    """Return the host that a ``Host`` header names, in its canonical form, and the port.

    The canonical form is in lower case and has no dot at the end; an IPv6 address is in brackets.
    All hosts of requests are compared in this form.

    :return: an empty host if the header is malformed; no port if the header has none.

    :rfc:`9110#section-7.2`
    """
    host, port = header.lower(), None
    colon = host.find(":", host.find("]") + 1)
    if colon >= 0:
        digits = host[colon + 1 :]
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 5):
            return "", None
        host, port = host[:colon], int(digits)
        if not 0 < port < 65536:
            return "", None
    if host.startswith("[") and host.endswith("]"):
        return ("", None) if host[1:-1].strip(_IPV6_CHARACTERS) else (host, port)
    host = host.removesuffix(".")
    return ("", None) if host.strip(_NAME_CHARACTERS) else (host, port)


def host_of(parts: SplitResult) -> str:
    """The host of an address, with the brackets of an IPv6 literal."""
    host = parts.hostname or ""
    return f"[{host}]" if ":" in host else host


def origin_of(parts: SplitResult) -> str:
    """The origin of an address that :func:`parse_address` read.

    :rfc:`6454`
    """
    return f"{parts.scheme}://{parts.netloc}"


def is_local_path(text: str) -> bool:
    """Whether a browser that is sent there stays on this origin.

    One leading slash, and no second one however browsers and servers normalise it: backslashes,
    controls (which browsers drop), dot segments and percent-encoded slashes are refused where
    they could make one, and encoded controls everywhere in the path.
    """
    if len(text) > 2048 or not text.isascii() or not text.isprintable() or " " in text:
        return False
    if not text.startswith("/") or "\\" in text:
        return False
    path = text.partition("?")[0].partition("#")[0].lower()
    if _ENCODED_CONTROL.search(path):
        return False
    decoded = path.replace("%2f", "/").replace("%5c", "/").replace("%2e", ".")
    return "//" not in decoded and not {".", ".."}.intersection(decoded.split("/"))
