"""JSON that says anything, and texts that break things."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from hypothesis import strategies as st

T = TypeVar("T")
E = TypeVar("E", bound=Exception)

#: Every character, halves of surrogate pairs among them.
ANY_TEXT = st.text(st.characters(codec=None, exclude_categories=()), max_size=40)

#: Integers, and those at which some readers and writers end.
INTEGERS = st.integers() | st.builds(
    lambda sign, bits, step: sign * 2**bits + step,
    st.sampled_from([1, -1]),
    st.sampled_from([31, 53, 63, 64, 200]),
    st.sampled_from([-1, 0]),
)

#: What JSON can say: no halves of surrogate pairs, nothing infinite.
TEXT = st.text(st.characters(codec="utf-8"), max_size=40)
SCALARS = (
    st.none() | st.booleans() | INTEGERS | st.floats(allow_nan=False, allow_infinity=False) | TEXT
)
JSON = st.recursive(
    SCALARS,
    lambda children: st.lists(children, max_size=4) | st.dictionaries(TEXT, children, max_size=4),
    max_leaves=12,
)


def attempt(act: Callable[[], T], *errors: type[E]) -> T | E:
    """What an act returns, or the error that it raises, if it is one of the documented ones."""
    try:
        return act()
    except errors as exc:
        return exc
