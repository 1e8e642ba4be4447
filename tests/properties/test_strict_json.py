"""JSON as it must be, whatever it says."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_pkce.protocol.strict_json import StrictJSONError, loads
from tests.properties.documents import JSON, TEXT


@given(JSON, st.booleans())
def test_reads_what_json_reads(document: Any, ascii_only: bool) -> None:
    """Plain JSON is read as the standard library reads it, escaped or not."""
    data = json.dumps(document, ensure_ascii=ascii_only).encode()
    assert loads(data, max_depth=32) == json.loads(data) == document


#: Pieces of JSON, and what looks like them.
PIECES = st.lists(
    st.sampled_from(
        [
            "{", "}", "[", "]", ",", ":", '"', '"a"', '"b"', "1", "-0", "1.5", "1e9", "1e999", "-",
            "NaN", "Infinity", "true", "null", "\\ud800", "\\ud83d\\ude00", '"\\udc00"', " ", "\n",
            "\ufeff", "\x00", "é", "9223372036854775807", "9223372036854775808",
            "-9223372036854775809", "[[[[[", "]]]]]",
        ]
    ),
    max_size=12,
).map("".join)  # fmt: skip


@given(
    st.binary(max_size=64) | PIECES.map(str.encode) | JSON.map(lambda d: json.dumps(d).encode())
)
def test_refuses_all_the_rest(data: bytes) -> None:
    """Whatever the bytes, they are plain JSON and read as such, or refused with the one error."""
    try:
        value = loads(data, max_depth=4)
    except StrictJSONError:
        assert not _is_plain(data, max_depth=4)
    else:
        assert _is_plain(data, max_depth=4)
        assert value == json.loads(data)


@given(st.dictionaries(TEXT, st.none(), min_size=1, max_size=5), st.data())
def test_a_name_once(members: dict[str, None], data: st.DataObject) -> None:
    """Two members of one name are refused, wherever they are and however they are spelled."""
    name = data.draw(st.sampled_from(sorted(members)))
    spelled = json.dumps(name, ensure_ascii=data.draw(st.booleans()))
    text = f"[{json.dumps(members)[:-1]}, {spelled}: 1}}]"
    with pytest.raises(StrictJSONError, match="twice"):
        loads(text.encode(), max_depth=4)


def _is_plain(data: bytes, *, max_depth: int) -> bool:
    """The rules once more, checked on what the standard library reads and writes."""
    try:
        text = data.decode()
        pairs = json.loads(text, object_pairs_hook=_Pairs)
    except (ValueError, RecursionError):
        return False
    return _depth(pairs) <= max_depth and all(map(_is_plain_scalar, _scalars(pairs)))


class _Pairs(list[tuple[str, Any]]):
    """An object, with every member that it was written with."""


def _depth(value: Any) -> int:
    if isinstance(value, _Pairs):
        return 1 + max((_depth(member) for _, member in value), default=0)
    return 1 + max(map(_depth, value), default=0) if isinstance(value, list) else 0


def _scalars(value: Any) -> Iterator[Any]:
    if isinstance(value, _Pairs):
        names = [name for name, _ in value]
        # An object with a name twice counts as one that has something in it that is not plain.
        yield from names if len(names) == len(set(names)) else [math.nan]
        value = [member for _, member in value]
    for item in value if isinstance(value, list) else ():
        yield from _scalars(item)
    if not isinstance(value, list):
        yield value


def _is_plain_scalar(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return not (isinstance(value, str) and any("\ud800" <= char <= "\udfff" for char in value))
