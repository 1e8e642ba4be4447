"""The file of the store, and the connections of this process to it."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
import weakref
from collections.abc import Generator
from contextlib import contextmanager, suppress
from pathlib import Path

from .permissions import find_fault

#: Seconds that a statement waits for its turn to write.
BUSY_TIMEOUT = 5.0

#: Connections that a process has at most; further threads wait for one.
POOL_SIZE = 8

#: Marks the file as ours, in its header: "PKCE".
APPLICATION_ID = 0x504B4345

#: Raised with each change of the table.
SCHEMA_VERSION = 1

_CREATE = f"""
    BEGIN IMMEDIATE;
    CREATE TABLE IF NOT EXISTS entries (
        key TEXT NOT NULL PRIMARY KEY,
        value BLOB NOT NULL,
        expires_at REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS entries_expires_at ON entries (expires_at);
    PRAGMA application_id = {APPLICATION_ID};
    PRAGMA user_version = {SCHEMA_VERSION};
    COMMIT;
"""


class Unfit(Exception):
    """The file cannot be the store; the message goes on from the file's name."""


class Connection(sqlite3.Connection):
    """A connection that knows which file it has open, whatever its path leads to by now."""

    file: tuple[int, int] | None = None


class Pool:
    """The connections of this process to one file."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._permits = threading.Semaphore(POOL_SIZE)
        # The last one used is the first to be used again.  Never another list: the finalizer
        # closes what is in this one, when the pool goes or the process ends.
        self.idle: list[Connection] = []
        weakref.finalize(self, _close_all, self.idle)
        with _forking:
            _pools.add(self)

    @contextmanager
    def lend(self) -> Generator[Connection, None, None]:
        """Lend a connection; one that failed is not used again."""
        with self._permits:
            connection = self._borrow()
            try:
                yield connection
            except BaseException:
                connection.close()
                raise
            self.idle.append(connection)

    def _borrow(self) -> Connection:
        file = _identity(self._path)
        with suppress(IndexError):  # no idle one is left
            while True:
                connection = self.idle.pop()
                if connection.file == file:
                    return connection
                # The path leads elsewhere by now.  SQLite sees that too, and leaves the -wal file,
                # which is the new one's, alone.
                connection.close()
        return self._connect()

    def _connect(self) -> Connection:
        with _creating:
            _create(self._path)
        _check_permissions(self._path)
        connection = sqlite3.connect(
            f"{Path(self._path).as_uri()}?mode=rw",  # only `_create` creates, with the right mode
            uri=True,
            timeout=BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
            factory=Connection,
        )
        try:
            _prepare(connection)
            # Again, now that SQLite has opened all of them: one may have been replaced since.
            _check_permissions(self._path)
            connection.file = _identity(self._path)
        except BaseException:
            connection.close()
            raise
        return connection

    def close(self) -> None:
        """Close all, as soon as nobody uses them."""
        with _forking:
            self.halt()
            self.resume()

    def halt(self) -> None:
        """Wait until no connection is in use, close all, and lend none until `resume`."""
        for _ in range(POOL_SIZE):
            self._permits.acquire()
        _close_all(self.idle)

    def resume(self) -> None:
        self._permits.release(POOL_SIZE)

    def begin_again(self) -> None:
        """Start in a new process, where the threads that held something are gone."""
        _inherited.extend(self.idle)
        self.idle.clear()
        self._permits = threading.Semaphore(POOL_SIZE)


def _identity(path: str) -> tuple[int, int] | None:
    """Return the device and inode of a path; ``None`` if nothing is there.

    Of a symbolic link they are its own, which no connection has: `_connect` refuses it.
    """
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


def _check_permissions(path: str) -> None:
    """Refuse a file to which another user of the machine could write.

    :raises Unfit: if it is one.
    """
    fault = find_fault(path)
    if fault is not None:
        raise Unfit(fault)


def _create(path: str) -> None:
    """Create the file if it is missing, with mode 0600; -wal and -shm get the mode that it has.

    One that exists is not opened here: closing it again would drop every lock that other
    connections of this process hold on it.
    """
    # In this order: another process may be creating the three at this moment.
    orphans = [end for end in ("-wal", "-shm") if os.path.lexists(path + end)]
    if os.path.lexists(path):
        return
    if orphans:
        # Other processes may have them open still, together with the file that was deleted.
        raise Unfit(f"was deleted without its {orphans[0]} file: delete that too")
    with suppress(FileExistsError):
        os.makedirs(os.path.dirname(path), mode=0o700)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))


def _prepare(connection: sqlite3.Connection) -> None:
    """Make a new connection ready, and a new file a store."""
    deadline = time.monotonic() + BUSY_TIMEOUT
    while True:
        try:
            return _set_up(connection)
        except sqlite3.OperationalError as error:
            # Where several processes set up one new file, SQLite may refuse the change to WAL at
            # once, in spite of the timeout.
            busy = primary_code(error) == sqlite3.SQLITE_BUSY
            if not busy or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


def _set_up(connection: sqlite3.Connection) -> None:
    connection.execute("PRAGMA synchronous = NORMAL")
    # The marks last: another process sets them together with the table, perhaps between two of
    # these lines.
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    if application == APPLICATION_ID:
        if version == SCHEMA_VERSION:
            return
        if version > SCHEMA_VERSION:
            raise Unfit(
                f"was written by a later release: its schema is {version},"
                f" and this release knows {SCHEMA_VERSION}"
            )
    elif application or version or tables:
        raise Unfit("is the database of another program")
    connection.execute("PRAGMA journal_mode = WAL")
    connection.executescript(_CREATE)


def primary_code(error: Exception) -> int:
    """SQLite's primary result code; 0 where the module raised by itself."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF


def _close_all(connections: list[Connection]) -> None:
    while connections:
        connections.pop().close()


# A connection must not cross a fork: the child would share its file offsets but not its locks, and
# SQLite's own notes on the locks of this process would be wrong in it even for new connections.
# So all are closed first.  Both processes connect again when they need to.

#: Every pool of this process.
_pools: weakref.WeakSet[Pool] = weakref.WeakSet()

#: Those that wait for the end of a fork.
_halted: list[Pool] = []

#: Held while all connections are closed: two who wait for each other's would wait for ever.
_forking = threading.Lock()

#: Held while a file is created; see `_create`.
_creating = threading.Lock()

#: Connections of a parent that forked past the hooks below, as C code can: kept, so that nobody
#: closes them.
_inherited: list[Connection] = []


def _before_fork() -> None:
    _forking.acquire()
    _halted.extend(_pools)
    for pool in _halted:
        pool.halt()


def _after_fork_in_parent() -> None:
    for pool in _halted:
        pool.resume()
    _halted.clear()
    _forking.release()


def _after_fork_in_child() -> None:
    global _creating, _forking
    _creating, _forking = threading.Lock(), threading.Lock()
    _halted.clear()
    for pool in list(_pools):
        pool.begin_again()


if hasattr(os, "register_at_fork"):  # pragma: no branch - Windows has no fork
    os.register_at_fork(
        before=_before_fork,
        after_in_parent=_after_fork_in_parent,
        after_in_child=_after_fork_in_child,
    )
