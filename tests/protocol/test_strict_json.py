"""JSON as it must be."""

from __future__ import annotations

import json
import math

import pytest

from flask_pkce.protocol.strict_json import StrictJSONError, loads, loads_object


@pytest.mark.requirement("UP-5", "N06d", "N06e")
@pytest.mark.parametrize(
    ("data", "fault"),
    [
        pytest.param(b"", "not JSON", id="nothing"),
        pytest.param(b"{", "not JSON", id="cut off"),
        pytest.param(b"{'a': 1}", "not JSON", id="quotes of Python"),
        pytest.param(b"[1,]", "not JSON", id="comma at the end"),
        pytest.param(b"1 2", "not JSON", id="two values"),
        pytest.param(b"<html>", "not JSON", id="page"),
        pytest.param(b'"a\nb"', "not JSON", id="control in a text"),
        pytest.param(b"1" * 5000, "not JSON", id="integer too long to convert"),
        pytest.param(b"\xff", "not UTF-8", id="no UTF-8"),
        pytest.param('"a"'.encode("utf-16"), "not UTF-8", id="UTF-16"),
        pytest.param(b"\xef\xbb\xbf{}", "not JSON", id="byte order mark"),
        pytest.param(b'{"a": 1, "a": 1}', "occurs twice", id="duplicate"),
        pytest.param(b'[{"x": {"a": 1, "\\u0061": 2}}]', "occurs twice", id="duplicate, escaped"),
        pytest.param(b"NaN", "finite", id="NaN"),
        pytest.param(b"[Infinity]", "finite", id="infinity"),
        pytest.param(b'{"a": -Infinity}', "finite", id="minus infinity"),
        pytest.param(b"1e999", "finite", id="too large a float"),
        pytest.param(b"-1e999", "finite", id="too small a float"),
        pytest.param(b'"\\ud800"', "surrogate", id="high surrogate"),
        pytest.param(b'["\\udc00x"]', "surrogate", id="low surrogate"),
        pytest.param(b'{"\\ud800": 1}', "surrogate", id="surrogate in a name"),
        pytest.param(b'{"a": [{"b": "x\\ud800\\ud800"}]}', "surrogate", id="surrogate far within"),
        pytest.param(b"[" * 200_000, "nested too deeply", id="200 000 brackets"),
        pytest.param(b'{"a":' * 100_000, "nested too deeply", id="100 000 objects"),
    ],
)
def test_refused(data: bytes, fault: str) -> None:
    """Each kind of JSON that people and programs could read in two ways is refused."""
    with pytest.raises(StrictJSONError, match=fault) as caught:
        loads(data, max_depth=32)
    assert len(str(caught.value)) < 60


@pytest.mark.parametrize("data", [b'"\\ud83d\\udc4d"', '"👍 \\u00e9"'.encode()])
def test_whole_surrogate_pairs(data: bytes) -> None:
    """A pair of escapes is a character, and so is any that is written out."""
    assert loads(data, max_depth=1).startswith("👍")


@pytest.mark.parametrize(
    ("text", "depth"),
    [("1", 0), ("[]", 1), ("{}", 1), ("[[]]", 2), ('{"a": {}}', 2), ('[1, {"a": [2]}]', 3)],
)
def test_depth(text: str, depth: int) -> None:
    """Arrays and objects within each other are counted, and bounded."""
    assert loads(text.encode(), max_depth=max(depth, 1)) == json.loads(text)
    if depth > 1:
        with pytest.raises(StrictJSONError, match="too deeply"):
            loads(text.encode(), max_depth=depth - 1)


def test_numbers() -> None:
    """Numbers keep their kind."""
    assert loads(b"[1, 1.0, 1e2, -0.0]", max_depth=1) == [1, 1.0, 100.0, 0.0]
    assert isinstance(loads(b"1", max_depth=1), int)
    assert math.copysign(1, loads(b"-0.0", max_depth=1)) == -1


def test_object() -> None:
    """Where an object is expected, an object it is."""
    assert loads_object(b'{"a": 1}', max_depth=1) == {"a": 1}


@pytest.mark.requirement("UP-5", "N06f")
@pytest.mark.parametrize("data", [b"[]", b"null", b'"a"', b"5", b"true"])
def test_no_object(data: bytes) -> None:
    """Any other value is refused there (N06f)."""
    with pytest.raises(StrictJSONError, match="not a JSON object"):
        loads_object(data, max_depth=1)
