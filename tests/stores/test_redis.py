"""The store in Redis, against a real server."""

from __future__ import annotations

import errno
import os
import re
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from threading import Timer

import pytest
from redis import Redis

from flask_pkce.errors import FileDescriptorsExhausted, StoreError
from flask_pkce.stores import open_store
from flask_pkce.stores.redis import RedisStore, connect
from flask_pkce.testing.store_suite import StoreFactory, StoreSuite

from .redis_server import RedisServer

PASSWORD = "hunter2-hunter2-hunter2"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """A server that stays."""
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., RedisServer]]:
    """Starts servers for one test alone, with options."""
    servers: list[RedisServer] = []

    def start(*options: str) -> RedisServer:
        servers.append(RedisServer(tmp_path, *options))
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
def store(server: RedisServer) -> Iterator[RedisStore]:
    """A store on the server that stays."""
    store = connect(server.url)
    store.open()
    yield store
    store.close()


class TestRedisStore(StoreSuite):
    """What holds for every store holds for this one."""

    @pytest.fixture
    def make_store(self, server: RedisServer) -> StoreFactory:
        return partial(connect, server.url)


@pytest.mark.parametrize("prefix", ["flask_pkce:", "shop:", "{one-slot}"])
def test_prefix(server: RedisServer, prefix: str) -> None:
    """Every key begins with the prefix, and another prefix is another store."""
    with server.client() as client:
        client.flushdb()
        store, other = connect(server.url, prefix=prefix), connect(server.url, prefix="another:")
        store.open()
        store.add("key", b"value", 60)
        assert client.keys("*") == [f"{prefix}key".encode()]
        assert other.get("key") is None
        assert 59_000 < client.pttl(f"{prefix}key") <= 60_000
        store.take("key")
        assert client.keys("*") == []
    store.close()
    other.close()


def test_short_life(store: RedisStore) -> None:
    """A life of less than a millisecond is one, and not none."""
    assert store.add("short", b"value", 1e-9)
    time.sleep(0.01)
    assert store.get("short") is None


def test_waiting_costs_little(server: RedisServer, store: RedisStore) -> None:
    """Who waits is told of the change: he does not ask again and again meanwhile."""
    store.add("awaited", b"old", 60)
    with server.client() as client:
        before = client.info("commandstats")["cmdstat_get"]["calls"]
        Timer(0.5, partial(store.replace, "awaited", b"old", b"new", 60)).start()
        started = time.monotonic()
        assert store.wait("awaited", b"old", 20) == b"new"
        assert 0.4 < time.monotonic() - started < 5
        assert client.info("commandstats")["cmdstat_get"]["calls"] - before <= 4
        store.take("awaited")
        assert not client.pubsub_channels()


@pytest.mark.parametrize("scheme", ["redis", "REDIS", "valkey"])
def test_url(server: RedisServer, scheme: str) -> None:
    """A URL names the server; Valkey speaks the same protocol."""
    store = open_store(f"{scheme}://127.0.0.1:{server.port}/3", prefix="shop:")
    store.open()
    store.add("by-url", b"value", 60)
    with Redis(port=server.port, db=3) as client:
        assert client.get("shop:by-url") == b"value"
    store.delete("by-url")
    store.close()


def test_unix_socket(server: RedisServer) -> None:
    """So does one of a socket of this machine."""
    store = open_store(f"unix://{server.socket}")
    store.open()
    assert store.get("anything") is None
    store.close()


def test_client_of_the_host(server: RedisServer) -> None:
    """A client that the host made can be used, and goes on after the store was closed."""
    with server.client() as client:
        store = RedisStore(client, prefix="mine:")
        store.open()
        store.add("key", b"value", 60)
        store.close()
        assert client.get("mine:key") == b"value"
        assert store.delete("key")


def test_client_that_decodes(server: RedisServer) -> None:
    """One that decodes answers is refused: values are bytes."""
    with pytest.raises(ValueError, match="must not decode_responses"):
        RedisStore(Redis(port=server.port, decode_responses=True))


# -- what goes wrong ---------------------------------------------------------------


def refused(store: RedisStore, problem: str) -> None:
    """Check that the store does not answer, and why."""
    verbs: tuple[Callable[[], object], ...] = (
        lambda: store.get("key"),
        lambda: store.add("key", b"", 60),
        lambda: store.replace("key", b"", b"", 60),
        lambda: store.take("key"),
        lambda: store.delete("key"),
        lambda: store.wait("key", b"", 5),
        lambda: store.wait("key", None, 5),
    )
    for verb in verbs:
        with pytest.raises(StoreError, match=problem) as caught:
            verb()
        assert caught.value.status == 503
        assert caught.value.retry_after


def test_down_and_up_again(start: Callable[..., RedisServer]) -> None:
    """While the server is down every verb says so; when it is back the store works, as it is."""
    server = start()
    store = connect(server.url)
    store.open()
    store.add("key", b"value", 60)
    server.kill()
    refused(store, "cannot be reached")
    with pytest.raises(StoreError, match="cannot be reached"):
        store.open()
    server.start()
    assert store.get("key") is None
    assert store.add("key", b"value", 60)
    assert store.replace("key", b"value", b"new", 60)
    assert store.wait("key", b"value", 5) == b"new"
    assert store.take("key") == b"new"
    store.close()


def test_killed_while_somebody_waits(start: Callable[..., RedisServer]) -> None:
    """Who waits learns that the server went."""
    server = start()
    store = connect(server.url)
    store.add("key", b"value", 60)
    Timer(0.3, server.kill).start()
    with pytest.raises(StoreError, match="cannot be reached"):
        store.wait("key", b"value", 20)
    store.close()


def test_password(start: Callable[..., RedisServer]) -> None:
    """A wrong password stops the start; neither it nor the right one is in what is said."""
    server = start("--requirepass", PASSWORD)
    right = connect(f"redis://:{PASSWORD}@127.0.0.1:{server.port}/0")
    right.open()
    right.close()
    for url in (server.url, f"redis://:{PASSWORD}x@127.0.0.1:{server.port}/0"):
        store = connect(url)
        with pytest.raises(StoreError, match="refuses the user or password") as caught:
            store.open()
        assert "hunter2" not in str(caught.value)
        store.close()


def test_rights(server: RedisServer) -> None:
    """The rights that the page on stores names are enough; with fewer it is said that they are
    missing."""
    page = (Path(__file__).parents[2] / "docs" / "stores.rst").read_text(encoding="utf-8")
    (rights,) = re.findall(r"needs ``(~[^`]+)``", page)
    with server.client() as client:
        for name, granted in (("enough", rights), ("few", rights.replace("&flask_pkce:*", ""))):
            client.execute_command("ACL", "SETUSER", name, "on", ">password", *granted.split())
    store = connect(f"redis://enough:password@127.0.0.1:{server.port}/0")
    store.open()
    store.add("key", b"old", 60)
    assert store.wait("key", b"another", 5) == b"old"
    assert store.wait("key", b"old", 0.1) == b"old"
    assert store.replace("key", b"old", b"new", 60)
    assert store.delete("key")
    store.close()
    store = connect(f"redis://few:password@127.0.0.1:{server.port}/0")
    with pytest.raises(StoreError, match="does not permit"):
        store.open()
    store.close()


def test_full(start: Callable[..., RedisServer]) -> None:
    """A server that is full says so, and forgets nothing that it was given."""
    server = start("--maxmemory", "2mb", "--maxmemory-policy", "noeviction")
    store = connect(server.url)
    store.add("key", b"value", 60)

    def fill() -> None:
        for number in range(100):
            store.add(f"key-{number}", b"x" * 100_000, 60)

    with pytest.raises(StoreError, match="no memory left"):
        fill()
    assert store.get("key") == b"value"
    store.close()


def test_replica(server: RedisServer, start: Callable[..., RedisServer]) -> None:
    """A replica cannot be written, which stops the start."""
    replica = start("--replicaof", "127.0.0.1", str(server.port))
    store = connect(replica.url)
    with pytest.raises(StoreError, match="is a replica"):
        store.open()
    store.close()


def test_silent(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that does not answer is not waited for without end."""
    monkeypatch.setattr("flask_pkce.stores.redis.TIMEOUT", 0.2)
    store = connect(server.url)
    store.open()
    with server.client() as client:
        client.client_pause(1000)
        started = time.monotonic()
        with pytest.raises(StoreError, match="did not answer in time"):
            store.get("key")
        assert time.monotonic() - started < 0.9
        client.client_unpause()
    store.close()


def test_other_errors(server: RedisServer) -> None:
    """Anything else is told in general, with its cause chained."""
    store = connect(server.url)
    with server.client() as client:
        client.rpush("flask_pkce:list", "a value of another kind")
        with pytest.raises(StoreError, match="answered with an error") as caught:
            store.get("list")
        assert "WRONGTYPE" in str(caught.value.__cause__)
        client.delete("flask_pkce:list")
    store.close()


def test_nothing_is_kept(server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that drops what it is given stops the start."""
    store = connect(server.url)
    monkeypatch.setattr(store, "take", lambda key: None)
    with pytest.raises(StoreError, match="does not keep"):
        store.open()
    store.close()


def test_no_command_is_repeated(server: RedisServer) -> None:
    """A command whose answer was lost may have been carried out: none is sent again by itself."""
    store = connect(server.url)
    retry = store._client.get_retry()
    assert retry is not None
    assert retry._retries == 0
    store.close()


def test_name_in_a_certificate() -> None:
    """Over TLS the server has to be the one that was named, whatever redis-py does by itself."""
    for url, is_checked in (
        ("rediss://redis.example/0", True),
        ("rediss://redis.example/0?ssl_check_hostname=False", False),
    ):
        options = connect(url)._client.connection_pool.connection_kwargs
        assert options["ssl_check_hostname"] is is_checked


@pytest.mark.parametrize(
    ("url", "host"),
    [
        (f"redis://user:{PASSWORD}@127.0.0.1:1/0", "127.0.0.1:1"),
        (f"unix://user:{PASSWORD}@/no/such.sock", "/no/such.sock"),
        ("redis:///0", None),
    ],
)
def test_where_it_is(url: str, host: str | None) -> None:
    """An error knows which server it was, without user and password; its text does not tell."""
    store = connect(url)
    assert store._address == host
    if host is not None:
        with pytest.raises(StoreError) as caught:
            store.get("key")
        assert (caught.value.host, caught.value.setting) == (host, "PKCE_STORE_URL")
        assert host not in str(caught.value)


def test_default_port() -> None:
    """A URL without a port means the usual one."""
    assert connect("redis://redis.example")._address == "redis.example:6379"


def test_no_descriptors_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no descriptor can be opened, that is what is said, and not where the server is."""

    def refuse(*_: object) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(FileDescriptorsExhausted) as caught:
        connect("redis://127.0.0.1:1/0").get("key")
    assert caught.value.host is None
