"""A store in a file, for the workers of one machine; it survives restarts.

SQLite's locks do not work across machines, nor on most network file systems.
After a power cut the changes of the last moments may be undone (``synchronous = NORMAL``); a crash
of the program loses nothing.
"""

from __future__ import annotations

import itertools
import os
import sqlite3
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from typing import Any

from ...errors import FileDescriptorsExhausted, StoreError
from ..base import Store, validate_ttl
from ..descriptors import are_exhausted
from .pool import BUSY_TIMEOUT, Pool, Unfit, primary_code

#: One `SQLiteStore.add` in this many also purges: the first one of a process, then every 32nd.
PURGE_EVERY = 32

#: Rows that a purge removes at most.  More than come in between two of them, so they die out.
PURGE_ROWS = 128

_GET = "SELECT value FROM entries WHERE key = :key AND expires_at > :now"
_ADD = """
    INSERT INTO entries (key, value, expires_at) VALUES (:key, :value, :expires_at)
    ON CONFLICT (key) DO UPDATE SET value = excluded.value, expires_at = excluded.expires_at
    WHERE entries.expires_at <= :now
"""
_REPLACE = """
    UPDATE entries SET value = :value, expires_at = :expires_at
    WHERE key = :key AND value = :old AND expires_at > :now
"""
# What is past its time goes too, and does not count.
_TAKE = "DELETE FROM entries WHERE key = :key RETURNING value, expires_at > :now"
_PURGE = """
    DELETE FROM entries WHERE key IN (
        SELECT key FROM entries WHERE expires_at <= :now ORDER BY expires_at LIMIT :rows
    )
"""

#: What is wrong, by SQLite's primary result code.
_PROBLEMS = {
    sqlite3.SQLITE_BUSY: f"has been locked for more than {BUSY_TIMEOUT:g} seconds",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_FULL: "cannot grow: the disk is full",
    sqlite3.SQLITE_IOERR: "cannot be read or written: the disk reports an error",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database",
    sqlite3.SQLITE_READONLY: "cannot be written: it, or its folder, is read-only",
}


class SQLiteStore(Store):
    """Keeps values in a file, for any number of processes on one machine.

    The file is created with mode 0600, a missing folder with 0700.
    Outside of Windows, a file that another user of the machine could write, or that lies where
    every user could replace it, and a symbolic link are refused each time they are opened.
    If the file is deleted under a running process, the next verb creates an empty one: delete its
    ``-wal`` and ``-shm`` files with it.

    :param path: the file; a relative path is fixed now, a later change of directory is no matter.
    :param clock: returns Unix seconds, which all processes must agree on.
    """

    def __init__(
        self, path: str | os.PathLike[str], *, clock: Callable[[], float] = time.time
    ) -> None:
        folder, name = os.path.split(path)
        # Links above the file are followed once, here; one in its place is refused.
        self.path = os.path.join(os.path.realpath(folder), name)
        self._clock = clock
        self._adds = itertools.count()
        self._pool = Pool(self.path)

    def open(self) -> None:
        with self._reported(self.path):
            # RETURNING; Python itself is content with less.
            if sqlite3.sqlite_version_info < (3, 35):
                raise Unfit(f"needs SQLite 3.35 or later, not {sqlite3.sqlite_version}")
            with self._pool.lend() as connection:
                # A write, or a file that is read-only would be found out by the first user.
                self._purge(connection)
            self._pool.close()

    def close(self) -> None:
        self._pool.close()

    def get(self, key: str) -> bytes | None:
        rows, _ = self._execute(_GET, key=key, now=self._clock())
        return rows[0][0] if rows else None

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        validate_ttl(ttl)
        now = self._clock()
        _, added = self._execute(_ADD, key=key, value=value, expires_at=now + ttl, now=now)
        if next(self._adds) % PURGE_EVERY == 0:
            # Whatever comes of this, the add is done; the next purge tries again.
            with suppress(sqlite3.Error, OSError, Unfit), self._pool.lend() as connection:
                self._purge(connection)
        return added == 1

    def replace(self, key: str, old: bytes, new: bytes, ttl: float) -> bool:
        validate_ttl(ttl)
        now = self._clock()
        _, replaced = self._execute(
            _REPLACE, key=key, old=old, value=new, expires_at=now + ttl, now=now
        )
        return replaced == 1

    def take(self, key: str) -> bytes | None:
        rows, _ = self._execute(_TAKE, key=key, now=self._clock())
        return rows[0][0] if rows and rows[0][1] else None

    def delete(self, key: str) -> bool:
        return self.take(key) is not None

    def _execute(self, statement: str, **parameters: object) -> tuple[list[Any], int]:
        """Run one statement; return its rows, and how many it changed."""
        with self._reported("The file of the store"), self._pool.lend() as connection:
            cursor = connection.execute(statement, parameters)
            # To the end, which is where a statement is committed.
            return cursor.fetchall(), cursor.rowcount

    def _purge(self, connection: sqlite3.Connection) -> None:
        connection.execute(_PURGE, {"now": self._clock(), "rows": PURGE_ROWS})

    @contextmanager
    def _reported(self, subject: str) -> Generator[None, None, None]:
        """Raise a `StoreError` for what goes wrong; its path is in a note, for the log alone."""
        try:
            yield
        except (sqlite3.Error, OSError, Unfit) as error:
            if _is_of_opening(error) and are_exhausted(error):
                raise FileDescriptorsExhausted() from error
            failure = StoreError(f"{subject} {self._problem(error)}.")
            failure.add_note(f"The file of the store is {self.path}")
            raise failure from error

    def _problem(self, error: Exception) -> str:
        if isinstance(error, Unfit):
            return str(error)
        if isinstance(error, OSError):
            return f"cannot be reached: {error.strerror}"
        if os.path.isdir(self.path):
            return "is a directory"
        return _PROBLEMS.get(primary_code(error), f"cannot be used: {error}")


def _is_of_opening(error: Exception) -> bool:
    """Return whether SQLite may have failed to open a file; it gives no further cause."""
    codes = {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR}
    return isinstance(error, OSError) or primary_code(error) in codes
