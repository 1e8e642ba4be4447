"""Where a browser goes that is sent to an address: the URL parser of the WHATWG, in short.

https://url.spec.whatwg.org/#concept-basic-url-parser, for a base that is http or https; what
happens to hosts, ports and percent-encoding afterwards decides nothing here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

_SPECIAL = frozenset({"http", "https", "ws", "wss", "ftp", "file"})
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*):")
_ONE_DOT = re.compile(r"\.|%2e", re.IGNORECASE)
_TWO_DOTS = re.compile(r"(?:\.|%2e){2}", re.IGNORECASE)
#: C0 controls and space.
_STRIPPED = "".join(map(chr, range(0x21)))


@dataclass(frozen=True)
class Destination:
    """Where it goes: host and port are one text; empty for a scheme that has none."""

    scheme: str
    host: str
    path: str


def resolve(reference: str, base: Destination) -> Destination:
    """Where a browser on a page at ``base`` goes."""
    text = re.sub(r"[\t\n\r]", "", reference.strip(_STRIPPED))
    scheme = base.scheme
    if match := _SCHEME.match(text):
        scheme, text = match[1].lower(), text[match.end() :]
        if scheme not in _SPECIAL:
            return Destination(scheme, "", text)
        if scheme != base.scheme or re.match(r"[/\\]{2}", text):
            # An authority, after however many slashes.
            return _with_authority(scheme, text.lstrip("/\\"))
    elif re.match(r"[/\\]{2}", text):
        return _with_authority(scheme, text.lstrip("/\\"))
    if re.match(r"[/\\]", text):
        return Destination(scheme, base.host, _path(text[1:], []))
    if text[:1] in {"", "?", "#"}:
        return Destination(scheme, base.host, base.path)
    return Destination(scheme, base.host, _path(text, base.path.split("/")[1:-1]))


def _with_authority(scheme: str, text: str) -> Destination:
    authority = re.split(r"[/\\?#]", text, maxsplit=1)[0]
    rest = text[len(authority) :]
    host = authority.rpartition("@")[2].lower()
    return Destination(scheme, host, _path(rest[1:] if rest[:1] in {"/", "\\"} else rest, []))


def _path(text: str, segments: list[str]) -> str:
    parts = re.split(r"[/\\]", re.split(r"[?#]", text, maxsplit=1)[0])
    for number, part in enumerate(parts):
        is_last = number == len(parts) - 1
        if _TWO_DOTS.fullmatch(part):
            segments = segments[:-1] + ([""] if is_last else [])
        elif _ONE_DOT.fullmatch(part):
            segments = segments + ([""] if is_last else [])
        else:
            segments = [*segments, part]
    return "/" + "/".join(segments)
