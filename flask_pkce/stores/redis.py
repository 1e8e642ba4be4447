"""A store in Redis or Valkey, for the workers of many machines.

Each verb is one round trip; those that Redis has no command for are scripts, which it runs
without anything in between.  This module needs redis-py: ``pip install 'flask-pkce[redis]'``.
"""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from redis import Redis, RedisCluster, exceptions
from redis.backoff import NoBackoff
from redis.retry import Retry

from ..errors import FileDescriptorsExhausted, StoreError
from .base import DEFAULT_PREFIX, Store, validate_ttl
from .descriptors import are_exhausted

#: Seconds until a connection to the server must stand, and until it must have answered.
TIMEOUT = 5.0

_REPLACE = """
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[3])
redis.call('PUBLISH', KEYS[1], '')
return 1
"""
_TAKE = """
local value = redis.call('GET', KEYS[1])
if value then
    redis.call('DEL', KEYS[1])
    redis.call('PUBLISH', KEYS[1], '')
end
return value
"""

#: What is wrong, by redis-py's exception; the first that fits.
_PROBLEMS = (
    (exceptions.AuthenticationError, "refuses the user or password"),
    (exceptions.NoPermissionError, "does not permit the user what the store needs"),
    (exceptions.ReadOnlyError, "is a replica, which cannot be written"),
    (exceptions.OutOfMemoryError, "has no memory left"),
    (exceptions.BusyLoadingError, "is still reading its data"),
    (exceptions.TimeoutError, "did not answer in time"),
    (exceptions.ConnectionError, "cannot be reached"),
    (Exception, "answered with an error"),
)


class RedisStore(Store):
    """Keeps values in Redis 5 or later, or Valkey, for any number of processes and machines.

    Who waits for a change is told of it by the server.

    :param client: a client of redis-py: of one server, of Sentinel's ``master_for``, or of a
        cluster.  It should not repeat commands by itself: the answer to a `take` that was lost
        cannot be had again.
    :param prefix: what every key begins with.
    :raises ValueError: if the client decodes answers, for values are bytes.
    """

    def __init__(self, client: Redis | RedisCluster, *, prefix: str = DEFAULT_PREFIX) -> None:
        self._client: Any = client
        if self._client.get_encoder().decode_responses:
            raise ValueError("the client of a RedisStore must not decode_responses")
        self._prefix = prefix
        self._address = _address(client)
        self._replace = self._client.register_script(_REPLACE)
        self._take = self._client.register_script(_TAKE)

    def open(self) -> None:
        key = f"open:{secrets.token_urlsafe(8)}"
        # A write, or a replica that is read-only would be found out by the first user.
        if not self.add(key, b"", TIMEOUT) or self.take(key) is None:
            raise StoreError("The Redis server does not keep what it is given.")

    def close(self) -> None:
        self._client.close()

    def get(self, key: str) -> bytes | None:
        with self._reported():
            value: bytes | None = self._client.get(self._prefix + key)
            return value

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        milliseconds = _milliseconds(ttl)
        with self._reported():
            return bool(self._client.set(self._prefix + key, value, nx=True, px=milliseconds))

    def replace(self, key: str, old: bytes, new: bytes, ttl: float) -> bool:
        milliseconds = _milliseconds(ttl)
        with self._reported():
            return bool(self._replace([self._prefix + key], [old, new, milliseconds]))

    def take(self, key: str) -> bytes | None:
        with self._reported():
            value: bytes | None = self._take([self._prefix + key])
            return value

    def delete(self, key: str) -> bool:
        return self.take(key) is not None

    def wait(self, key: str, seen: bytes | None, timeout: float) -> bytes | None:
        if seen is None or timeout <= 0:
            # An addition is not published: what is waited for is there already, and changes.
            return super().wait(key, seen, timeout)
        deadline = time.monotonic() + timeout
        with self._reported(), self._client.pubsub() as subscription:
            subscription.subscribe(self._prefix + key)
            while (value := self.get(key)) == seen and (left := deadline - time.monotonic()) > 0:
                subscription.get_message(timeout=min(left, self._seconds_left(key)))
            return value

    def _seconds_left(self, key: str) -> float:
        """Seconds after which a look is due although nobody changes anything."""
        milliseconds: int = self._client.pttl(self._prefix + key)
        return max(milliseconds, 0) / 1000 + 0.001

    @contextmanager
    def _reported(self) -> Generator[None, None, None]:
        """Raise a `StoreError` for what goes wrong; its host is for the log alone."""
        try:
            yield
        except (exceptions.RedisError, OSError) as error:
            is_of_connecting = isinstance(error, (exceptions.ConnectionError, OSError))
            if is_of_connecting and are_exhausted(error):
                raise FileDescriptorsExhausted() from error
            raise StoreError(f"The Redis server {_problem(error)}.", host=self._address) from error


def connect(url: str, *, prefix: str = DEFAULT_PREFIX) -> RedisStore:
    """Make the store that a URL names, as redis-py reads it.

    Nothing is touched yet: `Store.open` connects and checks.

    :param url: ``redis://host:6379/0``, ``rediss://…`` over TLS, ``unix:///path/to.sock``.
    :raises ValueError: if redis-py does not understand it.  The message holds no more of the URL
        than its scheme, since there may be a password in it.
    """
    # Not every redis-py that we take does so by itself; the URL can say otherwise.
    tls = {"ssl_check_hostname": True} if url.startswith("rediss://") else {}
    try:
        client = Redis.from_url(
            url,
            **tls,
            socket_timeout=TIMEOUT,
            socket_connect_timeout=TIMEOUT,
            # A command whose answer was lost may have been carried out.
            retry=Retry(NoBackoff(), 0),
        )
        # An option that there is not would be found out by the first connection.
        pool = client.connection_pool
        pool.connection_class(**pool.connection_kwargs)
    except (exceptions.RedisError, ValueError, TypeError):
        scheme = url.partition("://")[0]
        raise ValueError(f"{scheme}:// is not followed by the address of a server") from None
    return RedisStore(client, prefix=prefix)


def _milliseconds(ttl: float) -> int:
    validate_ttl(ttl)
    return math.ceil(ttl * 1000)


def _address(client: Any) -> str | None:
    """Where a client finds its server, without user and password; None if that varies."""
    pool = getattr(client, "connection_pool", None)
    options = getattr(pool, "connection_kwargs", {})
    if "path" in options:
        return str(options["path"])
    return f"{options['host']}:{options.get('port', 6379)}" if options.get("host") else None


def _problem(error: Exception) -> str:
    if any(words in str(error) for words in ("ACL failure", "user executing the script")):
        # Within a script a right that is missing has no exception of its own.
        error = exceptions.NoPermissionError()
    return next(text for kind, text in _PROBLEMS if isinstance(error, kind))
