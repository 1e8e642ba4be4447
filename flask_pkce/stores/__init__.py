"""Stores: bytes under a key for some seconds."""

from __future__ import annotations

import os
from urllib.parse import unquote

from .base import DEFAULT_PREFIX, Store
from .memory import MemoryStore
from .sqlite import SQLiteStore

__all__ = ["MemoryStore", "SQLiteStore", "Store", "open_store"]

_SUPPORTED = (
    "supported are memory://, sqlite:///file, sqlite:////absolute/path,"
    " redis://host:6379/0, rediss:// and unix:///socket"
)


def open_store(
    url: str,
    *,
    default_folder: str | os.PathLike[str] | None = None,
    prefix: str = DEFAULT_PREFIX,
) -> Store:
    """Make the store that a URL names.

    ========================== =====================================================
    ``memory://``              the memory of this process
    ``sqlite:///name.db``      a file in ``default_folder``
    ``sqlite:////path/to.db``  a file of this absolute path
    ``redis://host:6379/0``    a Redis or Valkey server, for many machines
    ``rediss://host:6379/0``   the same over TLS
    ``unix:///path/to.sock``   the same over a socket of this machine
    ========================== =====================================================

    A path is percent-decoded.
    Nothing is touched yet: `Store.open` connects and checks.

    :param default_folder: what a path is relative to; Flask's instance folder.
    :param prefix: what the keys begin with on a server that others use too.
    :raises ValueError: if the URL names no store.  The message holds no more of the URL than its
        scheme, since there may be a password in it.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        raise ValueError(f"this is no URL of a store: {_SUPPORTED}")
    match scheme.lower():
        case "memory":
            if rest:
                raise ValueError("memory:// takes nothing behind it")
            return MemoryStore()
        case "sqlite":
            return SQLiteStore(_sqlite_path(rest, default_folder))
        case "redis" | "rediss" | "unix" | "valkey" | "valkeys" as kind:
            return _redis_store(f"{kind.replace('valkey', 'redis')}://{rest}", prefix)
        case _:
            raise ValueError(f"{scheme}:// is not a kind of store: {_SUPPORTED}")


def _redis_store(url: str, prefix: str) -> Store:
    try:
        from .redis import connect
    except ImportError:
        raise ValueError("needs redis-py: pip install 'flask-pkce[redis]'") from None
    return connect(url, prefix=prefix)


def _sqlite_path(rest: str, default_folder: str | os.PathLike[str] | None) -> str:
    """The path of what follows ``sqlite://``."""
    if any(mark in rest for mark in "?#"):
        raise ValueError("sqlite:/// takes a path alone; write ? as %3F and # as %23 within it")
    host, _, encoded = rest.partition("/")
    if host:
        raise ValueError("sqlite:// has no host: write three slashes before a name, four before /")
    try:
        path = unquote(encoded, errors="strict")
    except UnicodeDecodeError:
        raise ValueError("the path after sqlite:/// must be UTF-8, percent-encoded") from None
    if not path.strip("/") or path.endswith("/") or "\0" in path:
        raise ValueError("sqlite:/// needs the path of a file")
    if path == ":memory:":
        raise ValueError("write memory:// for a store in memory")
    if os.path.isabs(path):
        return path
    if default_folder is None:
        raise ValueError("sqlite:/// with a relative path needs a folder; write an absolute path")
    return os.path.join(default_folder, path)
