"""The tenant that tests and the demo sign in at."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from os import PathLike
from pathlib import Path
from threading import Thread
from types import TracebackType
from typing import Any, Self

import requests
from flask.testing import FlaskClient
from werkzeug.serving import BaseWSGIServer, make_server
from werkzeug.test import TestResponse

from ...protocol.metadata import ClientRegistration
from ..visits import Visit
from .app import build_app
from .browser import Browser
from .faults import FaultSet
from .in_process import InProcessAdapter
from .models import (
    ALICE,
    BOB,
    LOCAL_CLIENT,
    AuthorizationAnswer,
    RecordedRequest,
    TenantClient,
    TenantUser,
)
from .provider import Provider
from .wire import Handler, ServedWire, Wire

LOOPBACK = ("127.0.0.1", "localhost")

#: The issuer of a tenant that has no address of its own; no such host can exist (RFC 6761 6.5).
MADE_UP_ISSUER = "https://tenant.example/"

#: Seconds until a server notices that it is to stop.
_POLL_SECONDS = 0.02


class LocalTenant:
    """A small OpenID Provider with Auth0's paths and manners, not for production.

    It serves on the loopback interface, in a thread of its own, between :meth:`start` and
    :meth:`stop`; a ``requests`` session reaches it without any socket after :meth:`mount`.

    :param host: ``127.0.0.1`` or ``localhost``.
    :param port: where to listen; 0 lets the system choose.
    :param issuer: the issuer, with a trailing slash, where it is not the address of the socket.
        A tenant that was never started, and has no port, is ``https://tenant.example/``.
    :param clients: the applications; the first is the one that :meth:`register` means.
    :param users: who can sign in; the sign-in page lists them with their passwords.
    :param keys_folder: where the signing keys are kept, so that they survive a restart.
    :param clock: tells Unix seconds.
    :param sends_iss: whether authorization responses carry ``iss`` (RFC 9207); Auth0's do not.
    :param requires_par: whether authorization requests must be pushed (RFC 9126); they may be.
    :param faults: the names of faults, see :mod:`flask_pkce.testing.tenant.faults`.
    :raises ValueError: for a host that is not loopback, an issuer without a trailing slash, an
        unknown fault, or keys that cannot be read.
    """

    def __init__(
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        issuer: str | None = None,
        clients: Iterable[TenantClient] = (LOCAL_CLIENT,),
        users: Iterable[TenantUser] = (ALICE, BOB),
        keys_folder: str | PathLike[str] | None = None,
        clock: Callable[[], float] = time.time,
        sends_iss: bool = False,
        requires_par: bool = False,
        faults: Iterable[str] = (),
    ) -> None:
        if host not in LOOPBACK:
            raise ValueError(f"host must be one of {', '.join(LOOPBACK)}: this is no real tenant")
        if issuer is not None and not issuer.endswith("/"):
            raise ValueError("issuer must end with a slash, as Auth0's do")
        self._host = host
        self._port = port
        self._takes_issuer_from_port = issuer is None and port == 0
        self._is_mounted = False
        folder = Path(keys_folder) if keys_folder is not None else None
        address = issuer or (f"http://{host}:{port}/" if port else MADE_UP_ISSUER)
        self._provider = Provider(address, clients, users, folder, clock, sends_iss, requires_par)
        self._provider.faults = FaultSet(faults)
        self._server: BaseWSGIServer | None = None
        self._thread: Thread | None = None
        self._wire: ServedWire | None = None
        #: The tenant as a WSGI application.
        self.app = build_app(self._provider)

    # -- who it is -----------------------------------------------------------

    @property
    def issuer(self) -> str:
        """The issuer, with a trailing slash."""
        return self._provider.issuer

    @property
    def domain(self) -> str:
        """Host and port of the issuer."""
        return self._provider.domain

    @property
    def client(self) -> TenantClient:
        """The first of its clients."""
        return next(iter(self._provider.clients.values()))

    @property
    def users(self) -> tuple[TenantUser, ...]:
        """The users that it was made with."""
        return self._provider.demo_users

    @property
    def config(self) -> dict[str, str]:
        """The settings of an application that signs in here, with a store in memory."""
        return self.config_for("PKCE_")

    def config_for(self, prefix: str) -> dict[str, str]:
        """The same, for a blueprint whose ``config_prefix`` is another."""
        client = self.client
        config = {"DOMAIN": self.issuer, "CLIENT_ID": client.client_id, "STORE_URL": "memory://"}
        if client.client_secret is not None:
            config["CLIENT_SECRET"] = client.client_secret
        return {f"{prefix}{name}": value for name, value in config.items()}

    def register(
        self,
        client_id: str | None = None,
        *,
        client_secret: str | None = None,
        redirect_uris: Iterable[str] = (),
        post_logout_redirect_uris: Iterable[str] = (),
        auth_method: str | None = None,
        jwks: Iterable[Mapping[str, Any]] = (),
    ) -> TenantClient:
        """Register a client, or further addresses of one.

        :param client_id: by default the first client's.
        :param client_secret: a new secret; without one, a known client keeps its own.
        :param auth_method: the one method by which it authenticates from now on.
        :param jwks: further public keys, each as a JWK.
        :return: the client as it is now.
        """
        known = (
            self._provider.clients.get(client_id, TenantClient(client_id))
            if client_id
            else (self.client)
        )
        client = replace(
            known,
            client_secret=client_secret or known.client_secret,
            redirect_uris=(*known.redirect_uris, *redirect_uris),
            post_logout_redirect_uris=(
                *known.post_logout_redirect_uris,
                *post_logout_redirect_uris,
            ),
            auth_method=auth_method or known.auth_method,
            jwks=(*known.jwks, *jwks),
        )
        self._provider.clients[client.client_id] = client
        return client

    # -- serving -------------------------------------------------------------

    def start(self) -> Self:
        """Listen, and serve in a thread until :meth:`stop`.

        :raises OSError: if the port is taken.
        :raises RuntimeError: if it serves already, or was mounted before it had an address.
        """
        if self._server is not None:
            raise RuntimeError("the tenant serves already")
        if self._takes_issuer_from_port and self._is_mounted:
            raise RuntimeError("start the tenant before it is mounted: its issuer would change")
        with socket.create_server((self._host, self._port)) as listener:
            self._port = listener.getsockname()[1]
            if self._takes_issuer_from_port:
                self._provider.issuer = f"http://{self._host}:{self._port}/"
                self._takes_issuer_from_port = False
            wire = ServedWire(self.app, self._provider)
            # Given a port that is taken, werkzeug would end the process.
            self._server = make_server(
                self._host,
                self._port,
                wire,
                threaded=True,
                request_handler=Handler,
                fd=listener.fileno(),
            )
        self._wire = wire
        self._thread = Thread(
            target=self._server.serve_forever, args=(_POLL_SECONDS,), name="tenant", daemon=True
        )
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop serving; its memory and its address stay."""
        if self._server is None or self._thread is None or self._wire is None:
            return
        self._wire.stopped.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = self._thread = self._wire = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def mount(self, session: requests.Session) -> requests.Session:
        """Let a session reach the tenant in process, with the faults of the transport.

        :return: the same session.
        """
        self._is_mounted = True
        wire = Wire(self.app, self._provider)
        session.mount(self._provider.origin, InProcessAdapter(wire, self._provider))
        return session

    # -- for tests -----------------------------------------------------------

    @property
    def faults(self) -> FaultSet:
        """The faults that are switched on: add, discard, or assign a set of names."""
        return self._provider.faults

    @faults.setter
    def faults(self, names: Iterable[str]) -> None:
        self._provider.faults = FaultSet(names)

    @property
    def requests(self) -> tuple[RecordedRequest, ...]:
        """Every request that arrived, the oldest first, without any value."""
        return tuple(self._provider.requests)

    def count(self, method: str, path: str) -> int:
        """How many requests of that method and path arrived."""
        return sum((each.method, each.path) == (method, path) for each in self.requests)

    def rotate_keys(self) -> None:
        """Sign with a new key; the ones before stay published."""
        self._provider.keys.rotate()

    def browser(self) -> Browser:
        """A new browser, in process, that faults of the transport leave alone."""
        session = requests.Session()
        session.trust_env = False
        adapter = InProcessAdapter(self.app, self._provider)
        session.mount(self._provider.origin, adapter)
        return Browser(self._provider, session)

    def sign_in(
        self,
        authorization_url: str,
        user: TenantUser | str | None = None,
        cancel: bool = False,
    ) -> AuthorizationAnswer:
        """Sign in with a new browser, see :meth:`Browser.sign_in`."""
        return self.browser().sign_in(authorization_url, user, cancel)

    def sign_in_client(
        self,
        client: FlaskClient,
        user: TenantUser | str | None = None,
        *,
        return_to: str | None = None,
        cancel: bool = False,
        blueprint: str | None = None,
        base_url: str | None = None,
    ) -> TestResponse:
        """Sign in with a test client of an application, through the real redirects.

        The address of the application's callback is registered here if it is not yet.  A tenant
        that does not serve is mounted in the application first: then no socket is opened.

        :param user: who signs in, as in :meth:`Browser.sign_in`.
        :param return_to: a path of the application, where the browser comes back to.
        :param cancel: press Cancel on the first page that has it.
        :param blueprint: the blueprint's full name, where the application has several.
        :param base_url: the address of the application's root; by default ``PKCE_PUBLIC_URL``,
            else what the client asks for by itself.
        :return: the page where the browser ends, whether it is signed in or not.
        :raises LookupError: if it is not clear which blueprint is meant.
        :raises SignInRefused: if the tenant shows an error.
        """
        visit = Visit.of(client, blueprint, base_url)
        relying_party = visit.extension.relying_party
        for registration in relying_party.settings.registrations:
            self._admit(registration, visit)
        if self._server is None:
            self.mount(relying_party.transport.session)
        return visit.sign_in(lambda url: self.sign_in(url, user, cancel), return_to)

    def _admit(self, registration: ClientRegistration, visit: Visit) -> None:
        """Register the callback of an application, and its root, where sign-outs end."""
        known = self._provider.clients.get(registration.client_id)
        callback_url = visit.callback_url(registration.name)
        if known is not None and not known.may_redirect_to(callback_url):
            self.register(
                registration.client_id,
                redirect_uris=[callback_url],
                post_logout_redirect_uris=[f"{visit.base_url.rstrip('/')}/"],
            )
