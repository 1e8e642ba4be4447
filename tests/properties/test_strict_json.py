"""JSON as it must be, whatever it says."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from flask_pkce.strict_json import StrictJSONError, loads

#: Whatever JSON can say; no halves of surrogate pairs, nothing infinite.
DOCUMENTS = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8")),
    lambda children: (
        st.lists(children) | st.dictionaries(st.text(st.characters(codec="utf-8")), children)
    ),
    max_leaves=20,
)


@given(DOCUMENTS, st.booleans())
def test_reads_what_json_reads(document: Any, ascii_only: bool) -> None:
    """Plain JSON is read as the standard library reads it, escaped or not."""
    data = json.dumps(document, ensure_ascii=ascii_only).encode()
    assert loads(data, max_depth=32) == json.loads(data)


@given(
    st.binary(max_size=64) | st.text('{}[]",:0123456789.eE+-\\u dDa', max_size=40).map(str.encode)
)
def test_never_anything_but_its_error(data: bytes) -> None:
    """Whatever the bytes, they are JSON, or refused with the one error."""
    try:
        value = loads(data, max_depth=4)
    except StrictJSONError:
        return
    assert value == json.loads(data)
