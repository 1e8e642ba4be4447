"""The state of a tenant, shared by its pages and its endpoints."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from pathlib import Path
from threading import Lock
from typing import TypeVar
from urllib.parse import urlsplit

from .faults import FaultSet, Scene, Stage
from .keys import SigningKeys
from .memory import AuthorizationCode, Memory
from .models import RecordedRequest, TenantClient, TenantUser

T = TypeVar("T")


class Provider:
    """Clients, users, keys, memory and faults of a tenant.

    :param issuer: its issuer, with a trailing slash.
    :param clock: tells Unix seconds.
    """

    #: Seconds that a code is good for.
    code_lifetime = 600
    #: Seconds that an access token is good for.
    access_token_lifetime = 86400
    #: Seconds that an ID token is good for.
    id_token_lifetime = 36000
    #: Seconds that a refresh token, and a session at the tenant, are good for.
    session_lifetime = 30 * 86400

    def __init__(
        self,
        issuer: str,
        clients: Iterable[TenantClient],
        users: Iterable[TenantUser],
        keys_folder: Path | None,
        clock: Callable[[], float],
        sends_iss: bool,
        requires_par: bool = False,
    ) -> None:
        self.issuer = issuer
        self.clients = {client.client_id: client for client in clients}
        #: The users that the sign-in page lists, with their passwords.
        self.demo_users = tuple(users)
        self.keys = SigningKeys(keys_folder)
        self.memory = Memory(clock)
        self.faults = FaultSet()
        self.sends_iss = sends_iss
        self.requires_par = requires_par
        self.requests: list[RecordedRequest] = []
        self._clock = clock
        self._users = {user.email.lower(): user for user in self.demo_users}
        self._users_lock = Lock()

    @property
    def now(self) -> int:
        """Unix seconds, by the tenant's clock."""
        return int(self._clock())

    @property
    def domain(self) -> str:
        """Host and port of the issuer."""
        return urlsplit(self.issuer).netloc

    @property
    def origin(self) -> str:
        """Scheme, host and port of the issuer."""
        return self.issuer.rstrip("/")

    def spoil(
        self,
        stage: Stage,
        value: T,
        code: AuthorizationCode | None = None,
        client_id: str = "",
    ) -> T:
        """Let the faults that are switched on work on a value.

        :param code: for an ID token: that of which it is made.
        :param client_id: for an ID token: whom it is made for.
        """
        client = self.clients.get(client_id)
        scene = Scene(
            issuer=self.issuer,
            now=self.now,
            keys=self.keys,
            client_secret=client.client_secret if client else None,
            code=code,
        )
        return self.faults.spoil(stage, value, scene)

    def find_user(self, name: str) -> TenantUser | None:
        """The user with that e-mail address, in any case, or that subject."""
        users = list(self._users.values())
        return next((u for u in users if name.lower() == u.email.lower() or name == u.sub), None)

    def sign_up(self, email: str, password: str, name: str) -> TenantUser | None:
        """Enter a new user, or return ``None`` if the address is taken."""
        with self._users_lock:
            if email.lower() in self._users:
                return None
            sub = f"auth0|{secrets.token_hex(12)}"
            user = TenantUser(sub, email, password, name or email, email_verified=False)
            self._users[email.lower()] = user
            return user

    def token_claims(self, user: TenantUser, scope: str) -> dict[str, object]:
        """The claims about a user that a scope asks for.

        OpenID Connect Core 5.4
        """
        claims: dict[str, object] = {"sub": user.sub}
        scopes = scope.split()
        if "profile" in scopes:
            claims |= {"name": user.name, "nickname": user.email.partition("@")[0]}
        if "email" in scopes:
            claims |= {"email": user.email, "email_verified": user.email_verified}
        return claims | dict(user.claims)
