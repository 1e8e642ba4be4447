"""The application in process, with the people and programs that come to it."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from contextlib import contextmanager
from unittest.mock import patch

from flask import Flask, request

from flask_pkce import PKCEBlueprint
from flask_pkce.relying_party.relying_party import build_relying_party
from flask_pkce.testing import LocalTenant, TenantUser
from flask_pkce.testing.tenant.keys import SigningKeys
from tests.properties.records import PROGRAM
from tests.web.host import CALLBACK, Caller, Clock, Curl, Host, ObservedStore

#: Alice and Bob have nothing to do with each other; Mallory would like to.
BROWSERS = ("alice", "bob", "mallory")
CALLERS = (*BROWSERS, PROGRAM)
#: Longer than any run: what a tenant forgets is no part of the model.
_FOREVER = 10**9


class Store(ObservedStore):
    """Forgets for good what is over, as a store does whose clock never goes back."""

    def sweep(self) -> None:
        """Forget it."""
        for key in self._entries.keys() - self.contents().keys():
            del self._entries[key]


class World:
    """The application, which can be started again, its tenant, and who calls.

    :param keys: the tenant's, which take long to make.
    """

    def __init__(
        self, keys: SigningKeys, *, has_local_session: bool, delivery: str, mode: str
    ) -> None:
        self.clock = Clock()
        self._monotonic = Clock()
        self.tenant = LocalTenant(
            clock=self.clock,
            users=[
                TenantUser(f"auth0|{name}", f"{name}@example.com", "password") for name in CALLERS
            ],
        )
        provider = self.tenant._provider
        provider.keys._keys = keys._keys
        provider.code_lifetime = provider.session_lifetime = _FOREVER
        self.tenant.register(redirect_uris=[f"http://localhost{CALLBACK}"])
        #: How often each code reached the token endpoint.
        self.arrivals: dict[str, int] = {}
        self.tenant.app.before_request(self._count_code)
        self.store = Store(clock=self.clock)
        self._secret_keys = ["a key of the tests, number 0, long enough"]
        self._settings = {
            "PKCE_DOMAIN": self.tenant.issuer,
            "PKCE_CLIENT_ID": self.tenant.client.client_id,
            "PKCE_STORE_URL": self.store,
            "PKCE_SCOPE": "openid profile email offline_access",
            "PKCE_LOCAL_SESSION": has_local_session,
            "PKCE_TOKEN_DELIVERY": delivery,
            "PKCE_RESPONSE_MODE": mode,
        }
        self.host = self._start()
        self.browsers = {name: self.host.browser() for name in BROWSERS}
        program = self.host.program() if has_local_session else Curl(self.host)
        self.callers: dict[str, Caller] = {**self.browsers, PROGRAM: program}

    def _count_code(self) -> None:
        if request.path == "/oauth/token" and "code" in request.form:
            code = request.form["code"]
            self.arrivals[code] = self.arrivals.get(code, 0) + 1

    def _start(self) -> Host:
        app, pkce = Flask("host"), PKCEBlueprint()
        first, *fallbacks = self._secret_keys
        keys = {"SECRET_KEY": first, "SECRET_KEY_FALLBACKS": fallbacks}
        app.config.update({**self._settings, **keys})
        timed = functools.partial(build_relying_party, clock=self.clock, monotonic=self._monotonic)
        with patch("flask_pkce.mounting.build_relying_party", timed):
            pkce.init_app(app)
        relying_party = pkce.relying_party(app)
        self.tenant.mount(relying_party.transport.session)
        # Had before anything goes wrong.
        relying_party.tenants.default.get()
        relying_party.tenants.default.keys()
        return Host(app, pkce, self.tenant, self.clock, self.store)

    def restart(self, *, rotates: bool) -> None:
        """Begin anew on the same store, perhaps with another key before those that there were."""
        if rotates:
            number = len(self._secret_keys)
            self._secret_keys.insert(0, f"a key of the tests, number {number}, long enough")
        self.host = self._start()
        for caller in self.callers.values():
            caller.host = self.host
            caller.client.application = self.host.app

    def jump(self, seconds: int) -> None:
        """Let the clock jump, to either side, while a second passes."""
        self.clock.advance(seconds)
        self._monotonic.advance(1)
        self.store.sweep()

    @contextmanager
    def fault(self, name: str | None) -> Iterator[None]:
        """Let the tenant do something wrong."""
        self.tenant.faults = {name} if name is not None else set()
        try:
            yield
        finally:
            self.tenant.faults = set()
