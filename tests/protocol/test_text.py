"""What the specifications allow in a string."""

from __future__ import annotations

from urllib.parse import urlencode

import pytest

from flask_pkce.protocol.text import (
    form_encode,
    has_control_characters,
    is_error_code,
    is_scope_token,
    is_visible_ascii,
    one_line,
)


@pytest.mark.parametrize("text", ["openid", "read:users", "https://api/x", "!#[]~"])
def test_scope_token(text: str) -> None:
    """Visible ASCII is a scope."""
    assert is_scope_token(text)


@pytest.mark.requirement("IN-3", "N06g")
@pytest.mark.parametrize("text", ["", "a b", 'a"b', "a\\b", "a\tb", "a\x7f", "openid\n", "é"])
def test_no_scope_token(text: str) -> None:
    """A space, a quote, a backslash, a control or nothing at all is no scope (N06g)."""
    assert not is_scope_token(text)


@pytest.mark.parametrize("text", ["!", "~", "aZ09-._~", "x" * 10])
def test_visible_ascii(text: str) -> None:
    """From the exclamation mark to the tilde, as long as allowed."""
    assert is_visible_ascii(text, 10)


@pytest.mark.parametrize("text", ["", "x" * 11, "a b", "a\x7f", "a\n", "\x1f", "é"])
def test_not_visible_ascii(text: str) -> None:
    """Nothing, too much, a space, a control, or beyond ASCII."""
    assert not is_visible_ascii(text, 10)


@pytest.mark.parametrize("text", ["access_denied", "no spaces here? yes", "x" * 64])
def test_error_code(text: str) -> None:
    """Printable ASCII, spaces too, is an error code."""
    assert is_error_code(text)


@pytest.mark.parametrize("text", ["", "x" * 65, 'a"b', "a\\b", "<é>", "a\n", "\x1f", "\x7f"])
def test_no_error_code(text: str) -> None:
    """A quote, a backslash, a control, or more than 64 characters."""
    assert not is_error_code(text)


@pytest.mark.requirement("UP-10", "N06b")
@pytest.mark.parametrize(
    "text",
    [
        pytest.param("\n", id="line feed"),
        pytest.param("a\x00", id="null"),
        pytest.param("\x7f", id="delete"),
        pytest.param("\x85", id="next line"),
        pytest.param("a\u2028b", id="line separator"),
        pytest.param("a\u2029b", id="paragraph separator"),
        pytest.param("a\ud800", id="half a surrogate pair"),
    ],
)
def test_control_characters(text: str) -> None:
    """Controls, separators and halves of pairs are found (N06b)."""
    assert has_control_characters(text)


@pytest.mark.parametrize("text", ["", "plain", "Jürgen", "Ἀθήνα", "👍", "a\u200db"])
def test_no_control_characters(text: str) -> None:
    """Letters of any script are none."""
    assert not has_control_characters(text)


@pytest.mark.requirement("LG-2", "N31", "T18")
@pytest.mark.parametrize(
    ("text", "line"),
    [
        pytest.param("a\r\nb\x1b[31mc", "a b [31mc", id="line breaks and escapes"),
        pytest.param("  a \t b  ", "a b", id="spaces"),
        pytest.param("x" * 300, "x" * 256, id="too long"),
        pytest.param("ü" * 2000, "ü" * 256, id="much too long"),
        pytest.param(" " * 1023 + "x", "x", id="within what is read"),
        pytest.param(" " * 1024 + "x", "", id="beyond what is read"),
        pytest.param("a\ud800b", "a b", id="half a surrogate pair"),
        pytest.param("a\u202eb\u200bc", "a b c", id="direction and width"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_one_line(text: str, line: str) -> None:
    """A stranger's text becomes one line of at most 256 characters (N31)."""
    assert one_line(text) == line


@pytest.mark.parametrize(
    "text", ["", "plain-._~0Z", "a b", "a+b", "a&b=c", "%41", "é", "/:?", "a\n", "*"]
)
def test_form_encode(text: str) -> None:
    """A form is spelled as `urlencode` spells it, names and values."""
    assert form_encode({"name": text, text: "value"}) == urlencode({"name": text, text: "value"})
