"""What the tenant remembers: codes, tokens, sessions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from threading import RLock
from typing import Generic, TypeVar

from .models import TenantUser

T = TypeVar("T")


@dataclass(frozen=True)
class TenantSession:
    """A browser in which a user signed in at the tenant.

    :param auth_time: Unix seconds of the last time that the password was given.
    """

    sid: str
    user: TenantUser
    auth_time: int


@dataclass(frozen=True)
class Grant:
    """What a user allowed a client in one sign-in; codes and tokens belong to it."""

    id: str
    client_id: str
    user: TenantUser
    scope: str
    audience: str | None
    organization: str | None
    sid: str
    auth_time: int


@dataclass(frozen=True)
class AuthorizationCode:
    """A code, with the methods that Authlib asks it."""

    code: str
    grant: Grant
    redirect_uri: str
    code_challenge: str
    code_challenge_method: str
    nonce: str | None
    state: str | None

    def get_redirect_uri(self) -> str:
        """The redirect URI of the authorization request."""
        return self.redirect_uri

    def get_scope(self) -> str:
        """The scope that was granted."""
        return self.grant.scope


@dataclass(frozen=True)
class IssuedToken:
    """An access or refresh token, with the methods that Authlib asks it."""

    value: str
    grant: Grant
    scope: str

    def check_client(self, client: object) -> bool:
        """Tell whether the token was issued to that client."""
        return bool(self.grant.client_id == getattr(client, "client_id", None))

    def get_scope(self) -> str:
        """The scope of the token."""
        return self.scope


class Shelf(Generic[T]):
    """Values under a key, each for some seconds.

    :param clock: tells Unix seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = RLock()
        self._items: dict[str, tuple[float, T]] = {}

    def put(self, key: str, value: T, lifetime: float) -> None:
        """Keep a value for that many seconds, and drop what is too old."""
        with self._lock:
            now = self._clock()
            self._items = {k: item for k, item in self._items.items() if item[0] > now}
            self._items[key] = (now + lifetime, value)

    def get(self, key: str) -> T | None:
        """The value, or ``None`` if there is none or it is too old."""
        with self._lock:
            expires_at, value = self._items.get(key, (0.0, None))
            return value if expires_at > self._clock() else None

    def take(self, key: str) -> T | None:
        """The value, for one caller only."""
        with self._lock:
            value = self.get(key)
            self._items.pop(key, None)
            return value


class Memory:
    """Everything the tenant remembers, in this process.

    :param clock: tells Unix seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        #: Held while tokens are issued: looking at a code and spending it is one step.
        self.lock = RLock()
        self.codes: Shelf[AuthorizationCode] = Shelf(clock)
        self.spent_codes: Shelf[Grant] = Shelf(clock)
        self.access_tokens: Shelf[IssuedToken] = Shelf(clock)
        self.refresh_tokens: Shelf[IssuedToken] = Shelf(clock)
        self.spent_refresh_tokens: Shelf[Grant] = Shelf(clock)
        #: Authorization requests that were pushed, under their ``request_uri``.
        self.pushed: Shelf[dict[str, str]] = Shelf(clock)
        #: Client assertions that were used.
        self.assertions: Shelf[bool] = Shelf(clock)
        self.sessions: Shelf[TenantSession] = Shelf(clock)
        #: Asked for consent: the session identifier, under the secret of the page.
        self.questions: Shelf[str] = Shelf(clock)
        self._revoked: set[str] = set()

    def revoke(self, grant: Grant) -> None:
        """End every token of a grant."""
        self._revoked.add(grant.id)

    def is_revoked(self, grant: Grant) -> bool:
        """Tell whether the tokens of a grant were ended."""
        return grant.id in self._revoked
