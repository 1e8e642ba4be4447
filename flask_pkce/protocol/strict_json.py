"""JSON as it must be: one value a name, finite numbers, real characters, a bounded depth.

:func:`json.loads` takes the last of two members with one name, reads ``NaN`` and ``1e999``, lets
lone surrogates through and answers deep nesting with :exc:`RecursionError`.
"""

from __future__ import annotations

import json
import math
from typing import Any, NoReturn


class StrictJSONError(ValueError):
    """The text is not JSON as this library reads it.  The message quotes nothing of the text."""


def loads(data: bytes, *, max_depth: int) -> Any:
    """Read JSON strictly.

    :param data: UTF-8; the caller bounds its length.
    :param max_depth: how many arrays and objects may lie within each other, 1 or more.
    :raises StrictJSONError: for everything that is not plain JSON within the bounds.

    :rfc:`8259`
    """
    try:
        text = data.decode()
        value = json.loads(
            text,
            object_pairs_hook=_object,
            parse_constant=_refuse_constant,
            parse_float=_finite_float,
        )
    except StrictJSONError:
        raise
    except RecursionError:
        raise StrictJSONError("nested too deeply") from None
    except UnicodeDecodeError:
        raise StrictJSONError("not UTF-8") from None
    except ValueError:
        raise StrictJSONError("not JSON") from None
    _check_depth(value, max_depth)
    if "\\u" in text:
        _check_surrogates(value)
    return value


def loads_object(data: bytes, *, max_depth: int) -> dict[str, Any]:
    """Read a JSON object strictly.

    :raises StrictJSONError: as :func:`loads`, and where the value is no object.
    """
    value = loads(data, max_depth=max_depth)
    if not isinstance(value, dict):
        raise StrictJSONError("not a JSON object")
    return value


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise StrictJSONError("a name occurs twice in one object")
    return members


def _refuse_constant(_: str) -> NoReturn:
    raise StrictJSONError("not a finite number")


def _finite_float(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise StrictJSONError("not a finite number")
    return number


def _check_depth(value: Any, max_depth: int) -> None:
    level = [value]
    for _ in range(max_depth):
        level = [
            child
            for parent in level
            if isinstance(parent, dict | list)
            for child in (parent.values() if isinstance(parent, dict) else parent)
        ]
        if not level:
            return
    if any(isinstance(item, dict | list) for item in level):
        raise StrictJSONError("nested too deeply")


def _check_surrogates(value: Any) -> None:
    pending = [value]
    while pending:
        item = pending.pop()
        if isinstance(item, str):
            if not item.isascii():
                try:
                    item.encode()
                except UnicodeEncodeError:
                    raise StrictJSONError("half of a surrogate pair") from None
        elif isinstance(item, dict):
            pending.extend(item)
            pending.extend(item.values())
        elif isinstance(item, list):
            pending.extend(item)
