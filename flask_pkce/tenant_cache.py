"""What we know of a tenant: its metadata and keys, cached, one fetch at a time."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Generic, TypeVar

from .errors import PKCEError
from .events import TENANT_REFRESH_FAILED
from .protocol.id_token import Expectation, UnknownKey, VerificationKey, verify_id_token
from .protocol.metadata import Registration, Tenant
from .tenant_api import TenantAPI

#: Seconds for which metadata and keys count as fresh.
FRESH = 600
#: Seconds for which they still serve while the tenant cannot be reached.
STALE = 86400
#: Seconds between two fetches that failed, or that an unknown key asked for.
COOLDOWN = 30

T = TypeVar("T")


class Cached(Generic[T]):
    """A document of the tenant: fetched by one thread at a time, and kept while fetching fails.

    :param fetch: gets it, or raises :class:`~flask_pkce.errors.PKCEError`.
    :param clock: monotonic seconds.
    """

    def __init__(self, fetch: Callable[[], T], *, clock: Callable[[], float]) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._value: T | None = None
        self._fetched_at = 0.0
        self._failure: PKCEError | None = None
        self._failures = 0
        self._failed_at = 0.0
        self._renewed_at: float | None = None

    def get(self) -> T:
        """The document, fetched again if it is older than ten minutes.

        :raises PKCEError: what fetching raises, once there is nothing that is at most a day old.
        """
        age = self._clock() - self._fetched_at
        if self._value is not None and age < FRESH:
            return self._value
        if self._value is not None and age < STALE:
            return self._refreshed(self._value)
        failures = self._failures
        with self._lock:
            if self._value is not None and self._clock() - self._fetched_at < FRESH:
                return self._value
            if self._failures != failures and self._failure is not None:
                # Fetched in vain while we waited: the next one tries again.
                raise self._failure
            return self._fetch_now()

    def _refreshed(self, value: T) -> T:
        """What can be fetched, else ``value``; while one thread fetches, the others go on."""
        if self._clock() - self._failed_at < COOLDOWN and self._failures:
            return value
        if not self._lock.acquire(blocking=False):
            return value
        try:
            return self._fetch_now()
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
        except PKCEError as exc:
            self._failure = exc
            self._failures += 1
            self._failed_at = self._clock()
            raise
        self._value = value
        self._fetched_at = self._clock()
        return value

    def renew(self, seen: T) -> T | None:
        """The document, fetched again because ``seen`` does not do.

        :return: None if that was tried less than half a minute ago already.
        :raises PKCEError: what fetching raises.
        """
        with self._lock:
            if self._value is not None and self._value is not seen:
                return self._value
            now = self._clock()
            if self._renewed_at is not None and now - self._renewed_at < COOLDOWN:
                return None
            self._renewed_at = now
            return self._fetch_now()


class KnownTenant:
    """One tenant, and what is known of it.

    :param clock: monotonic seconds.
    """

    def __init__(
        self,
        registration: Registration,
        api: TenantAPI,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.registration = registration
        self._metadata = Cached(lambda: api.discover(registration), clock=clock)
        self._keys: Cached[tuple[VerificationKey, ...]] = Cached(
            lambda: api.fetch_keys(self._metadata.get()), clock=clock
        )

    @property
    def issuer(self) -> str:
        """Its issuer; of one that was configured without its last slash, as the metadata has it.

        :raises PKCEError: if there is no metadata, and it is needed for that.
        """
        registration = self.registration
        return registration.issuer if registration.issuer_is_exact else self.get().issuer

    def get(self) -> Tenant:
        """The tenant, with its metadata.

        :raises TenantMisconfigured: if the metadata does not fit the settings.
        :raises TenantError: if there is no metadata.
        """
        return self._metadata.get()

    def keys(self) -> tuple[VerificationKey, ...]:
        """The keys that the tenant signs ID tokens with.

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

    def with_keys(self, check: Callable[[tuple[VerificationKey, ...]], T]) -> T:
        """Check a signature with the tenant's keys, fetched once more for an unknown one.

        :raises IDTokenInvalid: what the check raises.
        :raises TenantError: if the keys cannot be had.
        """
        keys = self.keys()
        try:
            return check(keys)
        except UnknownKey:
            renewed = self._keys.renew(keys)
            if renewed is None:
                raise
            return check(renewed)
