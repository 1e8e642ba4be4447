"""What we know of a tenant: its metadata and keys, cached, one fetch at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import Generic, TypeVar

from ..errors import PKCEError, TenantBusy
from ..log_events import TENANT_REFRESH_FAILED
from ..protocol.id_token import Expectation, UnknownKey, VerificationKey, verify_id_token
from ..protocol.metadata import ClientRegistration, TenantMetadata
from .api import TenantAPI

#: Seconds for which metadata and keys count as fresh.
FRESH = 600
#: Seconds for which they still serve while the tenant cannot be reached.
STALE = 86400
#: Seconds between two fetches that failed, or that an unknown key asked for.
COOLDOWN = 30
#: Seconds for which a failed fetch answers every request, where there is nothing to serve.
FAILED = 3
#: Seconds for which a request waits for the fetch of another one.
MAX_WAIT = 2

T = TypeVar("T")


#: Makes what a thread holds while it waits for another thread's fetch; raises
#: :class:`~flask_pkce.errors.TenantBusy` if too many wait already.
Waiting = Callable[[], AbstractContextManager[None]]


class Cached(Generic[T]):
    """A document of the tenant: fetched by one thread at a time, and kept while fetching fails.

    Other threads wait at most two seconds for that thread.

    :param fetch: gets it, or raises :class:`~flask_pkce.errors.PKCEError`.
    :param waiting: what a thread holds while it waits.
    :param host: the tenant's, for the log.
    :param clock: monotonic seconds.
    """

    def __init__(
        self,
        fetch: Callable[[], T],
        *,
        waiting: Waiting,
        host: str,
        clock: Callable[[], float],
    ) -> None:
        self._fetch = fetch
        self._waiting = waiting
        self._host = host
        self._clock = clock
        self._lock = threading.Lock()
        self._value: T | None = None
        self._fetched_at = 0.0
        #: Why the last fetch failed; never raised itself, since each request raises its own.
        self._failure: PKCEError | None = None
        self._failed_at = 0.0
        #: When a verified token, and when a token that anybody may have made, had it renewed.
        self._renewed_at: dict[bool, float] = {}

    def get(self, *, is_unverified: bool = False) -> T:
        """Return the document, fetched again if it is older than ten minutes.

        :param is_unverified: whether anybody may have made the token that needs it: it waits for
            no other thread.
        :raises PKCEError: what fetching raises, once there is nothing that is at most a day old.
            The error of a failed fetch is raised for three seconds without another try.
        :raises TenantBusy: if another thread fetches it, and takes too long; at once for a token
            that is unverified.
        """
        age = self._clock() - self._fetched_at
        if self._value is not None and age < FRESH:
            return self._value
        if self._value is not None and age < STALE:
            return self._refreshed(self._value)
        self._check_failure()
        with self._turn(is_unverified=is_unverified):
            if self._value is not None and self._clock() - self._fetched_at < FRESH:
                return self._value
            # Another thread may have fetched in vain while this one waited.
            self._check_failure()
            return self._fetch_now()

    def _check_failure(self) -> None:
        """Raise the error of the last fetch if that failed a moment ago."""
        if self._failure is not None and self._clock() - self._failed_at < FAILED:
            raise self._failure.fresh()

    @contextmanager
    def _turn(self, *, is_unverified: bool) -> Iterator[None]:
        """Be the one thread that fetches.

        :param is_unverified: whether anybody may have made the token that asks for it.  Such
            tokens do not wait: they would hold the threads and the places of sign-ins.
        :raises TenantBusy: if another thread fetches for two seconds, or too many wait for it; at
            once for a token that is unverified.
        """
        if not self._lock.acquire(blocking=False):
            if is_unverified:
                raise TenantBusy(host=self._host)
            with self._waiting():
                if not self._lock.acquire(timeout=MAX_WAIT):
                    raise TenantBusy(host=self._host)
        try:
            yield
        finally:
            self._lock.release()

    def _refreshed(self, value: T) -> T:
        """Return what can be fetched, else ``value``; other threads go on with that."""
        if self._failure is not None and self._clock() - self._failed_at < COOLDOWN:
            return value
        if not self._lock.acquire(blocking=False):
            return value
        try:
            return self._fetch_now()
        except TenantBusy:
            return value
        except PKCEError as exc:
            TENANT_REFRESH_FAILED.log(
                f"{exc.code}, going on with what there is",
                error=exc.code,
                host=exc.host,
                setting=exc.setting,
            )
            return value
        finally:
            self._lock.release()

    def _fetch_now(self) -> T:
        try:
            value = self._fetch()
        except TenantBusy:
            # The tenant was not asked: there is nothing to remember.
            raise
        except PKCEError as exc:
            self._failure = exc.fresh()
            self._failed_at = self._clock()
            raise
        self._value = value
        self._failure = None
        self._fetched_at = self._clock()
        return value

    def renew(self, seen: T, *, is_unverified: bool = False) -> T | None:
        """Fetch the document again because ``seen`` does not do.

        :param is_unverified: whether anybody may have made the token that asks for it.  Such
            tokens have a cooldown of their own, so that they use up no other's, and wait for no
            other thread.
        :return: None if that was tried less than half a minute ago already.
        :raises PKCEError: what fetching raises.
        :raises TenantBusy: if another thread fetches it, and takes too long; at once for a token
            that is unverified.
        """
        with self._turn(is_unverified=is_unverified):
            if self._value is not None and self._value is not seen:
                return self._value
            now, renewed_at = self._clock(), self._renewed_at.get(is_unverified)
            if renewed_at is not None and now - renewed_at < COOLDOWN:
                return None
            self._renewed_at[is_unverified] = now
            try:
                return self._fetch_now()
            except TenantBusy:
                # The tenant was not asked: the next caller may try.
                del self._renewed_at[is_unverified]
                raise


class Tenant:
    """One tenant, and what is known of it.

    :param clock: monotonic seconds.
    """

    def __init__(
        self,
        registration: ClientRegistration,
        api: TenantAPI,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registration = registration
        #: Makes what a thread holds while it waits for another thread's call to the tenant.
        self.waiting: Waiting = partial(api.waiting, registration)
        self._metadata = Cached(
            lambda: api.discover(registration),
            waiting=self.waiting,
            host=registration.domain,
            clock=clock,
        )
        # Callers have the metadata already, so that the inner `get` waits for no other thread.
        self._keys: Cached[tuple[VerificationKey, ...]] = Cached(
            lambda: api.fetch_keys(self._metadata.get()),
            waiting=self.waiting,
            host=registration.domain,
            clock=clock,
        )

    @property
    def issuer(self) -> str:
        """Its issuer; of one that was configured without its last slash, as the metadata has it.

        :raises PKCEError: if there is no metadata, and it is needed for that.
        """
        registration = self.registration
        return registration.issuer if registration.issuer_is_exact else self.get().issuer

    def get(self, *, is_unverified: bool = False) -> TenantMetadata:
        """Return the tenant, with its metadata.

        :param is_unverified: see :meth:`Cached.get`.
        :raises TenantMisconfigured: if the metadata does not fit the settings.
        :raises TenantError: if there is no metadata.
        """
        return self._metadata.get(is_unverified=is_unverified)

    def keys(self) -> tuple[VerificationKey, ...]:
        """Return the keys that the tenant signs ID tokens with.

        :raises TenantError: if they cannot be had.
        """
        return self._keys.get()

    def verify(
        self, id_token: str, expected: Expectation, *, access_token: str, now: float
    ) -> dict[str, object]:
        """Verify an ID token with the tenant's keys, fetched once more for an unknown one.

        :raises IDTokenInvalid: if it does not verify.
        :raises TenantError: if the keys cannot be had.
        """
        return self.with_keys(
            lambda keys: verify_id_token(
                id_token, expected, keys=keys, access_token=access_token, now=now
            )
        )

    def with_keys(
        self,
        check: Callable[[tuple[VerificationKey, ...]], T],
        *,
        is_unverified: bool = False,
    ) -> T:
        """Check a signature with the tenant's keys, fetched once more for an unknown one.

        :param is_unverified: whether anybody may have made the token: what it has fetched again
            delays no sign-in, and it waits for no other thread.
        :raises IDTokenInvalid: what the check raises.
        :raises TenantError: if the keys cannot be had.
        """
        keys = self._keys.get(is_unverified=is_unverified)
        try:
            return check(keys)
        except UnknownKey:
            renewed = self._keys.renew(keys, is_unverified=is_unverified)
            if renewed is None:
                raise
            return check(renewed)
