"""``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``, as a configuration brings them."""

from __future__ import annotations

from typing import Any

import pytest

from flask_pkce.errors import ConfigurationError
from flask_pkce.settings.secret_keys import read_secret_keys

KEY = "a key of sixteen characters or more"
OLD_KEY = "the key that was there before"


def test_fallbacks_follow_the_key() -> None:
    """The key signs, and the fallbacks stand behind it in their order."""
    config = {"SECRET_KEY": KEY, "SECRET_KEY_FALLBACKS": [OLD_KEY, b"bytes are good too"]}
    keys, is_weak = read_secret_keys(config, lenient=False)
    assert keys == (KEY.encode(), OLD_KEY.encode(), b"bytes are good too")
    assert not is_weak


@pytest.mark.parametrize("fallbacks", [OLD_KEY, OLD_KEY.encode(), 12345678901234567890])
def test_fallbacks_that_are_no_list(fallbacks: Any) -> None:
    """One text in place of a list is refused: it would make a key of each of its characters."""
    config = {"SECRET_KEY": KEY, "SECRET_KEY_FALLBACKS": fallbacks}
    with pytest.raises(ConfigurationError, match=r"SECRET_KEY_FALLBACKS is no list") as caught:
        read_secret_keys(config, lenient=True)
    assert OLD_KEY not in str(caught.value)


@pytest.mark.parametrize(
    "config",
    [{"SECRET_KEY": "short"}, {"SECRET_KEY": KEY, "SECRET_KEY_FALLBACKS": ["short"]}],
    ids=["key", "fallback"],
)
def test_a_weak_key_is_let_through_in_tests_alone(config: dict[str, Any]) -> None:
    """A fallback that can be guessed signs for everybody, as a key does."""
    with pytest.raises(ConfigurationError, match="weak"):
        read_secret_keys(config, lenient=False)
    assert read_secret_keys(config, lenient=True)[1]
