"""How many threads of one process a tenant may hold."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from enum import Enum

from ..errors import TenantBusy
from ..protocol.metadata import ClientRegistration


class Use(Enum):
    """What a thread holds a place of a tenant for."""

    #: A call, which may have every place.
    CALL = "call"
    #: To wait for a call that another thread makes, for which one place stays free.
    WAIT = "wait"
    #: A revocation: half of the places, so that users who sign out keep no others from signing in.
    REVOCATION = "revocation"

    def limit(self, places: int) -> int:
        """How many of a tenant's places this may have."""
        return {Use.CALL: places, Use.WAIT: places - 1, Use.REVOCATION: places // 2}[self]


class Places:
    """The places of every tenant: each call to a tenant takes one, and each wait for such a call.

    A tenant that hangs holds no more threads than it has places, and none of another tenant's.
    Places are counted by the name of the tenant, so that new settings for it free none.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken: dict[str, Counter[Use]] = {}

    @contextmanager
    def take(self, registration: ClientRegistration, use: Use) -> Iterator[None]:
        """Hold a place of a tenant while the block runs.

        :raises TenantBusy: at once, if there are no more.
        """
        name, places = registration.name, registration.max_calls
        with self._lock:
            taken = self._taken.setdefault(name, Counter())
            if taken.total() >= places or taken[use] >= use.limit(places):
                raise TenantBusy(host=registration.domain)
            taken[use] += 1
        try:
            yield
        finally:
            with self._lock:
                taken[use] -= 1
                if not taken.total():
                    del self._taken[name]
