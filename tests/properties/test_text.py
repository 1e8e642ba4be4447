"""A stranger's text, whatever it is."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flask_pkce.protocol.text import (
    has_control_characters,
    is_error_code,
    is_scope_token,
    is_visible_ascii,
    one_line,
)

TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=400)


@pytest.mark.requirement("LG-2", "N31")
@given(TEXT)
def test_one_line_is_one(text: str) -> None:
    """Whatever comes, no control is left, and it can be encoded."""
    line = one_line(text)
    assert len(line) <= 256
    assert not has_control_characters(line)
    assert not {"Cc", "Cs", "Zl", "Zp"}.intersection(map(unicodedata.category, line))
    assert line.encode().decode() == line
    assert len(line.splitlines()) <= 1
    assert one_line(line) == line.strip()


@given(st.text(st.characters(max_codepoint=0x100), max_size=20))
def test_alphabets(text: str) -> None:
    """What passes for a scope, an error code or a state has no character that ends a header."""
    for is_one in (is_scope_token, is_error_code, lambda text: is_visible_ascii(text, 20)):
        if is_one(text):
            assert text.isascii()
            assert text.isprintable()
            assert is_one is is_error_code or " " not in text
