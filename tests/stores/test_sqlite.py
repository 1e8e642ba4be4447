"""The store in a file."""

from __future__ import annotations

import errno
import gc
import os
import shutil
import sqlite3
import stat
import tempfile
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from flask_pkce.errors import FileDescriptorsExhausted, StoreError
from flask_pkce.stores import MemoryStore, SQLiteStore, sqlite
from flask_pkce.stores.sqlite import pool
from flask_pkce.testing.store_suite import (
    Crowd,
    MovableClock,
    StoreFactory,
    StoreSuite,
    _add_in_another,
    _visit,
    fresh_processes,
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "store.db"


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def store(path: Path, clock: MovableClock) -> Iterator[SQLiteStore]:
    store = SQLiteStore(path, clock=clock)
    store.open()
    yield store
    store.close()


@pytest.mark.requirement("ST-4")
class TestSQLiteStore(StoreSuite):
    """What holds for every store holds for this one."""

    @pytest.fixture
    def make_store(self, path: Path) -> StoreFactory:
        return partial(SQLiteStore, path)

    @pytest.fixture
    def store(self, store: SQLiteStore) -> SQLiteStore:
        return store

    @pytest.fixture
    def advance(self, clock: MovableClock) -> Callable[[float], None]:
        return clock.advance


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """Files that a test makes itself are its own, whatever the developer's umask."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def rows(path: Path) -> int:
    """How many rows lie in the file, those past their time too."""
    with closing(sqlite3.connect(path)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM entries").fetchone()
        assert isinstance(count, int)
        return count


def in_child(action: Callable[[], object], *, user: int | None = None) -> str:
    """Fork, do something there, and return what came of it: the result or the error, as text."""
    reader, writer = os.pipe()
    with warnings.catch_warnings():
        # Threads of other fixtures are idle; Python 3.12 warns of them all the same.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        try:
            if user is not None and os.geteuid() == 0:
                os.setgid(user)
                os.setuid(user)
            outcome = repr(action())
        except BaseException as error:
            outcome = f"{type(error).__name__}: {error}"
        os.write(writer, outcome.encode())
        os._exit(0)
    os.close(writer)
    with open(reader, "rb") as pipe:
        outcome = pipe.read().decode()
    assert os.waitpid(pid, 0) == (pid, 0)
    return outcome


# -- the file ------------------------------------------------------------------


def test_values_survive_a_restart(path: Path) -> None:
    """What one process added, the next one on the same file still has."""
    first = SQLiteStore(path)
    first.open()
    first.add("key", b"value", 60)
    first.close()
    second = SQLiteStore(path)
    second.open()
    assert second.get("key") == b"value"
    second.close()


def test_only_the_owner_can_read(tmp_path: Path) -> None:
    """Whatever the umask, the three files and the folder are for nobody else."""
    folder = tmp_path / "instance"
    before = os.umask(0)
    try:
        store = SQLiteStore(folder / "store.db")
        store.open()
        store.add("key", b"value", 60)
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()}
        store.close()
    finally:
        os.umask(before)
    assert modes == {"store.db": 0o600, "store.db-wal": 0o600, "store.db-shm": 0o600}
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_mode_of_an_existing_file_is_kept(path: Path) -> None:
    """An operator who lets a group read the file has decided so."""
    path.touch()
    path.chmod(0o640)
    SQLiteStore(path).open()
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_open_leaves_nothing_open(path: Path) -> None:
    """After opening there is one file, and no connection that a fork could carry along."""
    store = SQLiteStore(path)
    store.open()
    assert [file.name for file in path.parent.iterdir()] == ["store.db"]
    assert store._pool.idle == []


def test_how_the_file_is_used(store: SQLiteStore) -> None:
    """Readers and the writer do not block each other, and a commit needs no fsync."""
    store.get("key")
    (connection,) = store._pool.idle
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (1,)
    assert connection.execute("PRAGMA busy_timeout").fetchone() == (5000,)
    assert connection.in_transaction is False


def test_a_change_of_directory_is_no_matter(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A relative path is one file, from the beginning."""
    monkeypatch.chdir(tmp_path)
    store = SQLiteStore("store.db")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    store.open()
    assert (tmp_path / "store.db").is_file()


def test_odd_file_names(tmp_path: Path) -> None:
    """A name is a name, whatever it means in a URI."""
    for name in ("a b.db", "100%25.db", "what?mode=memory", "a#b", "é.db"):
        SQLiteStore(tmp_path / name).open()
        assert (tmp_path / name).stat().st_size > 0


def test_eight_processes_create_the_file(tmp_path: Path) -> None:
    """Workers that start at the same moment on a new file all succeed."""
    context = fresh_processes()
    with (
        context.Manager() as manager,
        ProcessPoolExecutor(8, mp_context=context) as processes,
    ):
        crowd = Crowd("processes", processes, manager.Barrier(8), partial(_visit, MemoryStore))
        for number in range(20):
            path = tmp_path / f"folder-{number}" / "store.db"
            added = crowd.run(_add_in_another, partial(SQLiteStore, path), "key")
            assert sorted(added) == [False] * 7 + [True]
            assert rows(path) == 1


def test_deleted_under_a_running_process(store: SQLiteStore, path: Path) -> None:
    """Who deletes the files empties the store, for all processes; it works on."""
    neighbour = SQLiteStore(path)
    store.add("key", b"value", 60)
    assert neighbour.get("key") == b"value"
    (old,) = store._pool.idle
    for file in list(path.parent.iterdir()):
        file.unlink()
    assert store.get("key") is None
    assert store.add("key", b"new", 60) is True
    assert neighbour.get("key") == b"new"
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        old.execute("SELECT 1")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    store.close()
    neighbour.close()
    assert SQLiteStore(path).get("key") == b"new"


def test_deleted_with_its_folder(path: Path) -> None:
    """The folder is made again too."""
    store = SQLiteStore(path.parent / "folder" / "store.db")
    store.add("key", b"value", 60)
    shutil.rmtree(path.parent / "folder")
    assert store.get("key") is None
    assert store.add("key", b"new", 60) is True


def test_deleted_in_part(store: SQLiteStore, path: Path) -> None:
    """A log without its database is never mixed up with a new database."""
    store.add("key", b"value", 60)
    path.unlink()
    with pytest.raises(StoreError, match=r"was deleted without its -wal file: delete that too"):
        store.get("key")
    assert not path.exists()
    (path.parent / "store.db-wal").unlink()
    (path.parent / "store.db-shm").unlink()
    assert store.get("key") is None


# -- what may be wrong with it ---------------------------------------------------


def failure(action: Callable[[], object]) -> StoreError:
    """The error that an action ends with, which has its cause and tells the log the path."""
    with pytest.raises(StoreError) as caught:
        action()
    assert caught.value.__cause__ is not None
    assert caught.value.__notes__[0].startswith("The file of the store is /")
    return caught.value


def test_directory_in_its_place(path: Path) -> None:
    """A directory is called one."""
    path.mkdir()
    assert failure(SQLiteStore(path).open).detail == f"{path} is a directory."


def test_file_in_place_of_the_folder(path: Path) -> None:
    """A folder that cannot be made is reported with the system's reason."""
    path.touch()
    detail = failure(SQLiteStore(path / "store.db").open).detail
    assert detail == f"{path}/store.db cannot be reached: {os.strerror(errno.ENOTDIR)}."
    detail = failure(partial(SQLiteStore(path / "folder" / "store.db").get, "key")).detail
    assert detail == f"The file of the store cannot be reached: {os.strerror(errno.ENOTDIR)}."


def test_no_database(path: Path) -> None:
    """A file of something else is refused, and left as it is."""
    path.write_bytes(b"no database at all" * 100)
    assert failure(SQLiteStore(path).open).detail == f"{path} is not an SQLite database."
    assert path.read_bytes() == b"no database at all" * 100


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE users (name)", "PRAGMA user_version = 1", "PRAGMA application_id = 7"],
)
def test_database_of_another_program(path: Path, statement: str) -> None:
    """The application's own database is refused, and its journal mode left as it is."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(statement)
        before = path.read_bytes()
    assert failure(SQLiteStore(path).open).detail == f"{path} is the database of another program."
    assert path.read_bytes() == before


def test_later_schema(path: Path) -> None:
    """A file that a later release wrote is refused, naming both schemas."""
    SQLiteStore(path).open()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 7")
    assert failure(SQLiteStore(path).open).detail == (
        f"{path} was written by a later release: its schema is 7, and this release knows 1."
    )


def test_old_sqlite(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An SQLite without RETURNING is refused at once, not by the first `take`."""
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 34, 1))
    assert "needs SQLite 3.35 or later" in failure(SQLiteStore(path).open).detail


@pytest.fixture
def public_folder() -> Iterator[Path]:
    """A folder that any user may enter, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as name:
        os.chmod(name, 0o755)
        yield Path(name)
        os.chmod(name, 0o755)


NOBODY = 65534


def test_read_only_file(public_folder: Path) -> None:
    """A file that may only be read is found out when it is opened."""
    path = public_folder / "store.db"
    SQLiteStore(path).open()
    path.chmod(0o444)
    public_folder.chmod(0o555)
    outcome = in_child(SQLiteStore(path).open, user=NOBODY)
    assert outcome == f"StoreError: {path} cannot be written: it, or its folder, is read-only."


def test_folder_without_access(public_folder: Path) -> None:
    """A folder in which the file may not be created is reported with the system's reason."""
    public_folder.chmod(0o555)
    path = public_folder / "store.db"
    outcome = in_child(SQLiteStore(path).open, user=NOBODY)
    assert outcome == f"StoreError: {path} cannot be reached: {os.strerror(errno.EACCES)}."


def test_file_without_access(public_folder: Path) -> None:
    """A file of another user is reported."""
    path = public_folder / "store.db"
    SQLiteStore(path).open()
    path.chmod(0)
    outcome = in_child(SQLiteStore(path).open, user=NOBODY)
    assert outcome == f"StoreError: {path} cannot be opened."


# -- who else could write to it --------------------------------------------------


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
@pytest.mark.parametrize("end", ["", "-wal", "-shm", "-journal"])
def test_file_that_others_may_write(path: Path, end: str, mode: int) -> None:
    """An old row that another user puts back would sign a session in again."""
    path.touch(0o600)
    file = Path(f"{path}{end}")
    file.touch()
    file.chmod(mode)
    detail = failure(SQLiteStore(path).open).detail
    named = f"{path} has a {end} file that" if end else str(path)
    assert detail == f"{named} can be written by other users: run chmod go-w on it."
    assert path.read_bytes() == b""


ROOT, OURS, FOREIGN = 0, 1000, 1001


@pytest.mark.parametrize(
    ("user", "folder", "file", "wal", "is_refused"),
    [
        (OURS, OURS, OURS, OURS, False),
        (OURS, ROOT, ROOT, ROOT, False),
        (OURS, OURS, FOREIGN, OURS, True),
        (OURS, OURS, OURS, FOREIGN, True),
        (OURS, FOREIGN, FOREIGN, FOREIGN, True),
        # A server that changes from root to the folder's owner; the doctor in its container.
        (ROOT, OURS, OURS, OURS, False),
        (ROOT, ROOT, OURS, OURS, True),
        (ROOT, OURS, FOREIGN, OURS, True),
    ],
)
def test_owner(
    user: int,
    folder: int,
    file: int,
    wal: int,
    is_refused: bool,
    path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The owner may write whatever the mode says: this process's user or root, and no other."""
    owners = {path.parent: folder, path: file, Path(f"{path}-wal"): wal}
    path.touch(0o600)
    Path(f"{path}-wal").touch(0o600)

    def as_owned(look: Callable[..., os.stat_result]) -> Callable[..., os.stat_result]:
        def looked(name: Any, **options: Any) -> os.stat_result:
            status = look(name, **options)
            owner = owners.get(Path(name), status.st_uid) if isinstance(name, str) else None
            return status if owner is None else os.stat_result((*status[:4], owner, *status[5:]))

        return looked

    monkeypatch.setattr(os, "stat", as_owned(os.stat))
    monkeypatch.setattr(os, "lstat", as_owned(os.lstat))
    monkeypatch.setattr(os, "geteuid", lambda: user)
    if is_refused:
        assert "belongs to another user: run this" in failure(SQLiteStore(path).open).detail
    else:
        SQLiteStore(path).open()


@pytest.mark.parametrize("leads_to", ["elsewhere.db", "missing.db"])
def test_symbolic_link(path: Path, leads_to: str) -> None:
    """A link that another user put there would have us write to a file of that user's choice."""
    (path.parent / "elsewhere.db").touch(0o600)
    path.symlink_to(leads_to)
    detail = failure(SQLiteStore(path).open).detail
    assert detail == f"{path} is a symbolic link: give the path of the file itself."
    assert not (path.parent / "missing.db").exists()


def test_symbolic_link_above(tmp_path: Path) -> None:
    """A link above the file is the operator's: it is followed once, when the store is made."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    (tmp_path / "data").symlink_to("one")
    store = SQLiteStore(tmp_path / "data" / "store.db")
    (tmp_path / "data").unlink()
    (tmp_path / "data").symlink_to("two")
    store.open()
    assert (tmp_path / "one" / "store.db").is_file()
    assert not (tmp_path / "two" / "store.db").exists()


def test_folder_that_everybody_may_write(path: Path) -> None:
    """Everybody could put another file there; in /tmp, which is sticky, they cannot."""
    path.parent.chmod(0o777)
    detail = failure(SQLiteStore(path).open).detail
    assert "in a folder in which every user of this machine can replace it: run chmod" in detail
    path.parent.chmod(0o1777)
    SQLiteStore(path).open()


def test_replaced_while_it_is_opened(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that changes between the check and SQLite's opening it is found out by the second."""
    connect = sqlite3.connect

    def connect_late(*args: Any, **options: Any) -> Any:
        path.chmod(0o666)
        return connect(*args, **options)

    monkeypatch.setattr(sqlite3, "connect", connect_late)
    store = SQLiteStore(path)
    assert "can be written by other users" in failure(store.open).detail
    assert store._pool.idle == []


def test_replaced_under_a_running_process(store: SQLiteStore, path: Path) -> None:
    """A file that takes the place of ours is checked as ours was; the answer names no path."""
    store.add("key", b"value", 60)
    for file in list(path.parent.iterdir()):
        file.unlink()
    path.touch()
    path.chmod(0o666)
    detail = failure(partial(store.get, "key")).detail
    assert detail == "The file of the store can be written by other users: run chmod go-w on it."


def test_windows(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On Windows a mode says nothing about other users, and nothing is refused for it."""
    monkeypatch.delattr(os, "geteuid")
    path.touch()
    path.chmod(0o666)
    SQLiteStore(path).open()


def test_no_descriptors_left(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """SQLite says that it cannot open the file; what is missing is something else."""
    store = SQLiteStore(path)
    store.open()

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    connect, missing = sqlite3.connect, f"file:{path}/missing"
    monkeypatch.setattr(os, "open", refuse)
    monkeypatch.setattr(sqlite3, "connect", lambda _, **options: connect(missing, **options))
    with pytest.raises(FileDescriptorsExhausted) as caught:
        store.get("key")
    assert isinstance(caught.value.__cause__, sqlite3.OperationalError)


def test_full_disk(store: SQLiteStore) -> None:
    """A write that finds no room is reported, without the path, and what is there can be read."""
    store.add("key", b"value", 60)
    (connection,) = store._pool.idle
    connection.execute("PRAGMA max_page_count = 4")
    error = failure(partial(store.add, "large", bytes(100_000), 60))
    assert error.detail == "The file of the store cannot grow: the disk is full."
    assert store.get("large") is None
    assert store.get("key") == b"value"


def test_damaged(store: SQLiteStore, path: Path) -> None:
    """A file that was written over is reported."""
    for number in range(200):
        store.add(f"key-{number}", bytes(100), 60)
    store.close()
    with open(path, "r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))
    assert failure(partial(store.get, "key-7")).detail == "The file of the store is damaged."


def test_no_table(store: SQLiteStore, path: Path) -> None:
    """Whatever else SQLite complains of is passed on in its words."""
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE entries")
    assert failure(partial(store.get, "key")).detail == (
        "The file of the store cannot be used: no such table: entries."
    )


def test_locked(store: SQLiteStore, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who cannot write for too long says so; readers go on."""
    monkeypatch.setattr(pool, "BUSY_TIMEOUT", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        assert failure(partial(store.add, "key", b"value", 60)).detail == (
            "The file of the store has been locked for more than 5 seconds."
        )
        assert store.get("key") is None
    assert store.add("key", b"value", 60) is True


@pytest.fixture
def reader(path: Path) -> Iterator[sqlite3.Connection]:
    """Another process that reads the file at the moment at which it is to be set up."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    connection.execute(f"PRAGMA application_id = {pool.APPLICATION_ID}")
    connection.execute("BEGIN")
    connection.execute("SELECT * FROM sqlite_master").fetchall()
    yield connection
    connection.close()


def test_setting_up_waits(
    path: Path, reader: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change to WAL is tried again where SQLite refuses it at once, without the timeout."""
    connect = sqlite3.connect
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: connect(*a, **{**k, "timeout": 0}))
    timer = threading.Timer(0.2, reader.execute, ["COMMIT"])
    timer.start()
    SQLiteStore(path).open()
    timer.join()
    assert rows(path) == 0


def test_setting_up_gives_up(
    path: Path, reader: sqlite3.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is not tried for ever."""
    monkeypatch.setattr(pool, "BUSY_TIMEOUT", 0.1)
    assert "has been locked" in failure(SQLiteStore(path).open).detail


def test_key_that_is_no_text(store: SQLiteStore) -> None:
    """A key with half a surrogate pair is the caller's fault, and does no harm."""
    with pytest.raises(UnicodeEncodeError):
        store.add("\ud800", b"value", 60)
    assert store.add("key", b"value", 60) is True


# -- the pool --------------------------------------------------------------------


@pytest.fixture
def connections(monkeypatch: pytest.MonkeyPatch) -> list[sqlite3.Connection]:
    """Every connection that is made."""
    made: list[sqlite3.Connection] = []
    connect = sqlite3.connect

    def note(*args: Any, **kwargs: Any) -> sqlite3.Connection:
        made.append(connect(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(sqlite3, "connect", note)
    return made


def test_one_thread_needs_one_connection(
    store: SQLiteStore, connections: list[sqlite3.Connection]
) -> None:
    """The connection that was used last is used again."""
    for number in range(100):
        store.add(str(number), b"value", 60)
        store.get(str(number))
    assert len(connections) == 1


def test_the_last_is_the_first(store: SQLiteStore) -> None:
    """Of several idle connections the warmest is used."""
    with store._pool.lend() as first, store._pool.lend() as second:
        assert first is not second
    with store._pool.lend() as again:
        assert again is first


def test_the_pool_is_bounded(store: SQLiteStore, connections: list[sqlite3.Connection]) -> None:
    """However many threads there are, only so many connections are made, and none is lost."""

    def work(number: int) -> None:
        for turn in range(10):
            key = f"{number}-{turn}"
            assert store.add(key, b"value", 60) is True
            assert store.take(key) == b"value"

    with ThreadPoolExecutor(32) as threads:
        for done in [threads.submit(work, number) for number in range(32)]:
            done.result(60)
    assert len(connections) <= pool.POOL_SIZE
    assert len(store._pool.idle) == len(connections)


def test_a_connection_that_failed_is_not_used_again(
    store: SQLiteStore, connections: list[sqlite3.Connection]
) -> None:
    """What goes wrong in the midst of a statement, of whatever kind, leaves nothing behind."""
    store.get("key")
    with pytest.raises(KeyboardInterrupt), store._pool.lend():
        raise KeyboardInterrupt
    assert store._pool.idle == []
    assert store.get("key") is None
    assert len(connections) == 2


def test_close_waits_and_may_be_repeated(store: SQLiteStore, path: Path) -> None:
    """After closing, SQLite's two other files are gone; a later verb connects again."""
    store.add("key", b"value", 60)
    store.close()
    store.close()
    assert [file.name for file in path.parent.iterdir()] == ["store.db"]
    assert store.get("key") == b"value"


def test_a_forgotten_store_closes_itself(path: Path) -> None:
    """A store that is dropped leaves no connection open."""
    store = SQLiteStore(path)
    store.get("key")
    (connection,) = store._pool.idle
    del store
    gc.collect()
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        connection.execute("SELECT 1")


# -- forks -----------------------------------------------------------------------


def test_both_sides_of_a_fork(store: SQLiteStore, connections: list[sqlite3.Connection]) -> None:
    """No connection crosses a fork, and both processes go on as if there had been none."""
    store.add("key", b"parent", 60)

    def child() -> list[object]:
        inherited = list(store._pool.idle)
        replaced = store.replace("key", b"parent", b"child", 60)
        return [inherited, replaced, store.get("key"), len(connections)]

    assert in_child(child) == "[[], True, b'child', 2]"
    assert store._pool.idle == []
    assert store.take("key") == b"child"
    assert len(connections) == 2


def test_children_leave_each_other_alone(store: SQLiteStore) -> None:
    """What a child closes or leaves open when it ends does not loosen the locks of others."""
    store.add("key", b"0", 60)
    with store._pool.lend() as connection:
        connection.execute("SELECT 1")
    for number in range(3):
        assert in_child(partial(_increment, store, number)) == "True"
        assert _increment(store, number) is True
    assert store.get("key") == b"6"


def _increment(store: SQLiteStore, number: int) -> bool:
    value = store.get("key")
    assert value is not None
    done = store.replace("key", value, b"%d" % (int(value) + 1), 60)
    if number:
        store.close()
    return done


def test_fork_while_others_work(store: SQLiteStore) -> None:
    """A fork waits for the verbs that are under way in other threads; the child is not stuck."""
    store.add("key", b"value", 60)
    borrowed, events = threading.Event(), list[str]()

    def work() -> None:
        with store._pool.lend() as connection:
            borrowed.set()
            time.sleep(0.2)
            connection.execute("SELECT 1")
            events.append("worked")

    thread = threading.Thread(target=work)
    thread.start()
    borrowed.wait(10)
    assert in_child(lambda: [events, len(store._pool.idle), store.take("key")]) == (
        "[['worked'], 0, b'value']"
    )
    thread.join()
    assert store.get("key") is None


def test_two_threads_fork_at_once(store: SQLiteStore) -> None:
    """Two forks at the same moment do not wait for each other's connections for ever."""
    store.add("key", b"value", 60)
    with ThreadPoolExecutor(2) as threads:
        forks = [threads.submit(in_child, partial(store.get, "key")) for _ in range(2)]
        assert [fork.result(30) for fork in forks] == ["b'value'"] * 2


def test_fork_past_the_hooks(store: SQLiteStore) -> None:
    """Connections of a parent that C code forked are neither used nor closed."""
    store.add("key", b"value", 60)
    (inherited,) = store._pool.idle
    pool._after_fork_in_child()
    assert store.get("key") == b"value"
    assert inherited not in store._pool.idle
    assert pool._inherited == [inherited]
    assert inherited.execute("SELECT 1").fetchone() == (1,)
    pool._inherited.clear()
    inherited.close()


# -- the cost ---------------------------------------------------------------------


def steps(store: SQLiteStore, action: Callable[[], object]) -> int:
    """How many instructions SQLite's virtual machine runs for an action."""
    count = 0

    def step() -> int:
        nonlocal count
        count += 1
        return 0

    store.get("warm")
    (connection,) = store._pool.idle
    connection.set_progress_handler(step, 1)
    action()
    connection.set_progress_handler(None, 0)
    return count


def fill(path: Path, count: int, expires_at: float) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executemany(
            "INSERT INTO entries VALUES (?, ?, ?)",
            ((f"{expires_at}-{number}", b"value", expires_at) for number in range(count)),
        )


@pytest.mark.parametrize(
    "verb",
    [
        lambda store: store.get("key"),
        lambda store: store.add("key", b"value", 60),
        lambda store: store.add("other", b"value", 60),
        lambda store: store.replace("key", b"value", b"new", 60),
        lambda store: store.take("key"),
        lambda store: store.delete("key"),
    ],
    ids=["get", "add-present", "add", "replace", "take", "delete"],
)
def test_cost_of_a_verb(
    store: SQLiteStore, path: Path, verb: Callable[[SQLiteStore], object]
) -> None:
    """A verb does the same work among ten thousand values as alone."""
    store.add("key", b"value", 60)  # the first one purges
    few = steps(store, partial(verb, store))
    fill(path, 10_000, time.time() + 60)
    store.delete("other")
    store.delete("key")
    store.add("key", b"value", 60)
    assert steps(store, partial(verb, store)) == few > 0


def test_purge_is_bounded(store: SQLiteStore, path: Path) -> None:
    """Opening, and one `add` in so many, removes so many rows; the rest waits its turn."""
    fill(path, 1000, time.time() - 1)
    fill(path, 1000, time.time() + 60)
    store.open()
    left = 2000 - sqlite.PURGE_ROWS
    assert rows(path) == left
    for number in range(sqlite.PURGE_EVERY + 1):
        store.add(str(number), b"value", 60)
    assert rows(path) == left - 2 * sqlite.PURGE_ROWS + sqlite.PURGE_EVERY + 1


def test_cost_of_a_purge(store: SQLiteStore, path: Path) -> None:
    """A purge does the same work whether hundreds or thousands of rows are past their time."""

    def purge() -> None:
        with store._pool.lend() as connection:
            store._purge(connection)

    fill(path, 1000, time.time() - 1)
    few = steps(store, purge)
    fill(path, 10_000, time.time() - 2)
    fill(path, 10_000, time.time() + 60)
    assert abs(steps(store, purge) - few) < few / 10


def test_everything_past_its_time_goes(
    store: SQLiteStore, path: Path, clock: MovableClock
) -> None:
    """Values that nobody asks for again die out faster than new ones come."""
    fill(path, 500, time.time() - 1)
    for number in range(10 * sqlite.PURGE_EVERY):
        store.add(f"{number}", b"value", 60)
    assert rows(path) == 10 * sqlite.PURGE_EVERY
    clock.advance(61)
    for number in range(10 * sqlite.PURGE_EVERY):
        store.add(f"new-{number}", b"value", 60)
    assert rows(path) == 10 * sqlite.PURGE_EVERY


def test_a_purge_that_fails_spoils_nothing(store: SQLiteStore, path: Path) -> None:
    """Who added a value is not told of a failure of something else."""
    fill(path, 1, time.time() - 1)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TRIGGER keep BEFORE DELETE ON entries BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
    assert store.add("key", b"value", 60) is True
    assert store.get("key") == b"value"
    assert rows(path) == 2


def test_what_is_past_its_time_is_removed_when_touched(
    store: SQLiteStore, path: Path, clock: MovableClock
) -> None:
    """`delete` and `take` remove an expired value from the file too."""
    store.add("key", b"value", 10)
    clock.advance(11)
    assert store.delete("key") is False
    assert rows(path) == 0
