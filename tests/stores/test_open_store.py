"""The URL of a store."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from flask_pkce.stores import MemoryStore, SQLiteStore, open_store


@pytest.mark.parametrize("url", ["memory://", "MEMORY://"])
def test_memory(url: str) -> None:
    """``memory://`` is a store in memory."""
    assert isinstance(open_store(url), MemoryStore)


@pytest.mark.parametrize(
    ("url", "path"),
    [
        ("sqlite:///store.db", "store.db"),
        ("SQLite:///store.db", "store.db"),
        ("sqlite:///folder/store.db", "folder/store.db"),
        ("sqlite:///a%20b%3F%23%25.db", "a b?#%.db"),
        ("sqlite:///caf%C3%A9.db", "café.db"),
        ("sqlite:///a b+c.db", "a b+c.db"),
    ],
)
@pytest.mark.parametrize("convert", [str, Path])
def test_relative_path(
    tmp_path: Path, url: str, path: str, convert: type[str] | type[Path]
) -> None:
    """Three slashes: the path is relative to the folder, and percent-decoded."""
    store = open_store(url, default_folder=convert(tmp_path))
    assert isinstance(store, SQLiteStore)
    assert store.path == os.path.realpath(tmp_path / path)


@pytest.mark.parametrize("slash", ["/", "%2F"])
def test_absolute_path(tmp_path: Path, slash: str) -> None:
    """Four slashes: the path is absolute, and no folder is needed."""
    store = open_store(f"sqlite:///{slash}{str(tmp_path)[1:]}/store.db", default_folder="other")
    assert isinstance(store, SQLiteStore)
    assert store.path == os.path.realpath(tmp_path / "store.db")


def test_nothing_is_touched(tmp_path: Path) -> None:
    """Naming a store creates nothing; opening it does."""
    store = open_store("sqlite:///folder/store.db", default_folder=tmp_path)
    assert list(tmp_path.iterdir()) == []
    store.open()
    assert (tmp_path / "folder" / "store.db").is_file()


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("", "no URL of a store: supported are memory://, sqlite:///file"),
        ("store.db", "no URL of a store"),
        ("memory:", "no URL of a store"),
        ("memory://name", "takes nothing behind it"),
        ("sqlite://", "needs the path of a file"),
        ("sqlite:///", "needs the path of a file"),
        ("sqlite:////", "needs the path of a file"),
        ("sqlite:///folder/", "needs the path of a file"),
        ("sqlite:///a%00b", "needs the path of a file"),
        ("sqlite:///%FF.db", "must be UTF-8"),
        ("sqlite://store.db", "has no host: write three slashes"),
        ("sqlite://folder/store.db", "has no host: write three slashes"),
        ("sqlite:///store.db?mode=ro", "takes a path alone"),
        ("sqlite:///store.db#x", "takes a path alone"),
        ("sqlite:///:memory:", "write memory://"),
        ("postgresql://host/db", "postgresql:// is not a kind of store: supported are memory://"),
    ],
)
def test_odd_urls(tmp_path: Path, url: str, reason: str) -> None:
    """What names no store is refused, with a sentence that helps."""
    with pytest.raises(ValueError, match=reason):
        open_store(url, default_folder=tmp_path)


def test_relative_path_without_folder() -> None:
    """A relative path is never taken as relative to wherever the program was started."""
    with pytest.raises(ValueError, match="needs a folder; write an absolute path"):
        open_store("sqlite:///store.db")


@pytest.mark.parametrize(
    "url",
    [
        "redis://:hunter2@localhost:port/0",
        "rediss://:hunter2@[localhost/0",
        "redis://:hunter2@localhost/0?socket_timeout=soon",
        "redis://:hunter2@localhost/0?no_such_option=1",
    ],
)
def test_odd_urls_of_redis(url: str) -> None:
    """What redis-py does not understand is refused, without the password."""
    with pytest.raises(ValueError, match=r"rediss?:// is not followed by the address") as caught:
        open_store(url)
    assert "hunter2" not in str(caught.value)


def test_redis_without_its_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where redis-py is missing it is said how to install it."""
    monkeypatch.setitem(sys.modules, "flask_pkce.stores.redis", None)
    with pytest.raises(ValueError, match=r"pip install 'flask-pkce\[redis\]'"):
        open_store("redis://localhost/0")
