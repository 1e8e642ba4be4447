"""A stranger's text, whatever it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from flask_pkce.protocol.text import has_control_characters, one_line


@given(st.text(st.characters(codec=None, exclude_categories=())))
def test_one_line_is_one(text: str) -> None:
    """Whatever comes, no control is left, and it can be encoded."""
    line = one_line(text)
    assert len(line) <= 256
    assert not has_control_characters(line)
    assert line.encode().decode() == line
    assert len(line.splitlines()) <= 1
