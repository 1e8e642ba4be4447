"""The keys that sign and seal: Flask's own ``SECRET_KEY`` and its fallbacks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..errors import ConfigurationError

#: Bytes of a ``SECRET_KEY``, below which it counts as weak.
MIN_SECRET_KEY_LENGTH = 16


def read_secret_keys(
    config: Mapping[str, Any], *, lenient: bool
) -> tuple[tuple[bytes, ...], bool]:
    """Read ``SECRET_KEY`` and ``SECRET_KEY_FALLBACKS``.

    :param lenient: whether a weak key is let through, as in debugging and tests.
    :return: the keys, the one that signs first, and whether it is weak.
    :raises ConfigurationError: if there is no key, or a weak one.
    """
    secret_key = config.get("SECRET_KEY")
    if not secret_key:
        raise ConfigurationError(
            "SECRET_KEY is missing: set it to a long random value, the same for all workers"
        )
    fallbacks = config.get("SECRET_KEY_FALLBACKS") or ()
    if not isinstance(fallbacks, list | tuple):
        # Each character of a text would be a key of its own, for everybody to guess.
        raise ConfigurationError(
            "SECRET_KEY_FALLBACKS is no list of keys; in the environment it is JSON"
        )
    keys = [secret_key, *fallbacks]
    if not all(isinstance(key, str | bytes) and key for key in keys):
        raise ConfigurationError(
            "SECRET_KEY, or one of SECRET_KEY_FALLBACKS, is no text and no bytes: in the"
            " environment one of digits alone is a number"
        )
    encoded = tuple(key.encode() if isinstance(key, str) else key for key in keys)
    names = ["SECRET_KEY", *(f"SECRET_KEY_FALLBACKS[{n}]" for n in range(len(fallbacks)))]
    weak = [
        name for name, key in zip(names, encoded, strict=True) if len(key) < MIN_SECRET_KEY_LENGTH
    ]
    if weak and not lenient:
        raise ConfigurationError(
            [
                f"{name} is weak: use {MIN_SECRET_KEY_LENGTH} random characters or more"
                for name in weak
            ]
        )
    return encoded, bool(weak)
