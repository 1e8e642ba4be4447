"""What the tests below Flask share: clocks, a tenant, ID tokens, a relying party."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
import socket
import ssl
from base64 import urlsafe_b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from threading import Barrier, Event, Thread
from typing import Any, TypeVar

import urllib3
import urllib3.connection
from blinker import Signal
from joserfc.jwk import ECKey, Key, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from requests import ConnectionError, Response
from requests.adapters import BaseAdapter
from urllib3.exceptions import NewConnectionError

from flask_pkce.protocol.authorization import CallbackParameters, parse_callback
from flask_pkce.protocol.metadata import ClientRegistration, TenantMetadata, parse_metadata
from flask_pkce.relying_party.authorize import Begun, Sent, SessionOwner
from flask_pkce.relying_party.hooks import HookRunner, Hooks
from flask_pkce.relying_party.redeem import Redeemed
from flask_pkce.relying_party.relying_party import build_relying_party
from flask_pkce.sessions.flow import ExpectedResponse, Flow
from flask_pkce.sessions.records import Stored
from flask_pkce.sessions.repository import Sessions
from flask_pkce.sessions.session import Session
from flask_pkce.settings.loading import read_settings
from flask_pkce.stores import MemoryStore
from flask_pkce.testing import AuthorizationAnswer, LocalTenant
from flask_pkce.testing.tenant.keys import SigningKeys
from flask_pkce.web.models import SeededPKCE, TokenizedPKCE

#: The moment at which the tests play, in Unix seconds.
NOW = 1_800_000_000

# RFC 7636 Appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

SECRET_KEY = b"a secret key that is long enough"
CALLBACK = "https://app.example/pkce/response/code"
#: Another redirect URI that is allowed, of a program that reads the answer itself.
ELSEWHERE = "http://127.0.0.1:5173/done"
CLIENT_ID = "local-client"
ISSUER = "https://tenant.example/"

#: What an authorization response to the tests' tenant must bring.
EXPECTED = ExpectedResponse(
    issuer=ISSUER, client_id=CLIENT_ID, owes_iss=False, callback_url=CALLBACK
)

T = TypeVar("T")


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now

    def __call__(self) -> float:
        return self.now


# -- the tenant's metadata -------------------------------------------------------

REGISTRATION = ClientRegistration(ISSUER, True, CLIENT_ID)


def metadata(**changes: Any) -> dict[str, Any]:
    """The tenant's metadata; ``None`` leaves a member out."""
    document = {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}authorize",
        "token_endpoint": f"{ISSUER}oauth/token",
        "jwks_uri": f"{ISSUER}.well-known/jwks.json",
        "userinfo_endpoint": f"{ISSUER}userinfo",
        "revocation_endpoint": f"{ISSUER}oauth/revoke",
        **changes,
    }
    return {name: value for name, value in document.items() if value is not None}


def make_tenant(registration: ClientRegistration = REGISTRATION, **changes: Any) -> TenantMetadata:
    """A tenant with that metadata."""
    return parse_metadata(metadata(**changes), registration)


# -- keys and ID tokens ----------------------------------------------------------


@cache
def rsa_key(name: str = "first", size: int = 2048) -> RSAKey:
    """A private key of the tenant, the same one whenever it is asked for by that name."""
    return RSAKey.generate_key(size)


@cache
def ec_key(curve: str = "P-256") -> ECKey:
    """A private key on an elliptic curve."""
    return ECKey.generate_key(curve)


@cache
def okp_key() -> OKPKey:
    """A private key for EdDSA."""
    return OKPKey.generate_key("Ed25519")


def jwk(key: Key, **members: Any) -> dict[str, Any]:
    """The public key as a member of a key set; ``None`` leaves a member out."""
    public = {**key.as_dict(private=False), "use": "sig", **members}
    return {name: value for name, value in public.items() if value is not None}


def base64url(data: bytes) -> str:
    """Base64url without padding, not by the code under test."""
    return urlsafe_b64encode(data).decode().rstrip("=")


def half_hash(text: str, *, hash_name: str = "sha256") -> str:
    """The ``at_hash`` of an access token, or the ``c_hash`` of a code.

    OpenID Connect Core 3.1.3.6 and 3.3.2.11
    """
    digest = hashlib.new(hash_name, text.encode()).digest()
    return base64url(digest[: len(digest) // 2])


def id_claims(**changes: Any) -> dict[str, Any]:
    """Claims that are in order; ``None`` leaves one out."""
    claims = {
        "iss": ISSUER,
        "sub": "auth0|alice",
        "aud": CLIENT_ID,
        "exp": NOW + 3600,
        "iat": NOW,
        "nonce": "the-nonce",
        **changes,
    }
    return {name: value for name, value in claims.items() if value is not None}


def sign(
    payload: Mapping[str, Any] | bytes,
    key: Key | None = None,
    *,
    alg: str = "RS256",
    **header: Any,
) -> str:
    """A compact JWS with any header and any payload; ``None`` leaves a parameter out."""
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    members = {"alg": alg, "kid": "first", **header}
    protected = {name: value for name, value in members.items() if value is not None}
    return sign_parts(json.dumps(protected).encode(), data, key, alg=alg)


def sign_parts(header: bytes, payload: bytes, key: Key | None = None, *, alg: str) -> str:
    """A compact JWS of bytes; joserfc makes the signature alone, for it would refuse some."""
    signing_input = f"{base64url(header)}.{base64url(payload)}"
    signature = JWSRegistry.algorithms[alg].sign(signing_input.encode(), key or rsa_key())
    return f"{signing_input}.{base64url(signature)}"


#: Every character of a code or token, a blank at either end (VSCHAR, RFC 6749 appendix A).
VSCHAR = "".join(map(chr, range(0x20, 0x7F))) + " "


# -- things that go wrong ---------------------------------------------------------


class MeddledStore(MemoryStore):
    """A store in which something happens just before one write."""

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.before_add: Callable[[], object] | None = None
        self.before_replace: Callable[[], object] | None = None

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        meddle, self.before_add = self.before_add, None
        if meddle is not None:
            meddle()
        return super().add(key, value, ttl)

    def replace(self, key: str, old: bytes, new: bytes, ttl: float) -> bool:
        meddle, self.before_replace = self.before_replace, None
        if meddle is not None:
            meddle()
        return super().replace(key, old, new, ttl)


class Failing(BaseAdapter):
    """Raises in place of sending."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def send(self, *args: Any, **kwargs: Any) -> Response:
        raise self.error

    def close(self) -> None:
        """Nothing is open."""


# -- a relying party with its tenant ---------------------------------------------------


@cache
def tenant_signing_keys() -> SigningKeys:
    """The keys that tenants sign with, made once, for making and reading them is slow."""
    keys = SigningKeys()
    assert len(keys.published) == 1
    return keys


class Bench:
    """A relying party, with a local tenant in process and one clock for all of them.

    :param secret_keys: ``SECRET_KEY``, then its fallbacks.
    :param settings: settings that differ, by their names without the prefix.
    """

    def __init__(
        self,
        *,
        hooks: Hooks | None = None,
        secret_keys: tuple[bytes, ...] = (SECRET_KEY,),
        store: MeddledStore | None = None,
        clock: Clock | None = None,
        sends_iss: bool = False,
        requires_par: bool = False,
        **settings: Any,
    ) -> None:
        self.clock = clock or Clock()
        self.monotonic = Clock(1000)
        self.tenant = LocalTenant(clock=self.clock, sends_iss=sends_iss, requires_par=requires_par)
        self.tenant._provider.keys._keys = tenant_signing_keys()._keys
        self.tenant.register(redirect_uris=[CALLBACK, ELSEWHERE])
        self.store = store or MeddledStore(self.clock)
        config = {
            "DOMAIN": ISSUER,
            "CLIENT_ID": CLIENT_ID,
            "REDIRECT_URIS": ELSEWHERE,
            "SCOPE": "openid profile email offline_access",
            **settings,
        }
        self.relying_party = build_relying_party(
            read_settings({f"PKCE_{name}": value for name, value in config.items()}),
            self.store,
            HookRunner(hooks or Hooks(), ensure_sync=lambda hook: hook, sender=self),
            secret_keys=secret_keys,
            namespace="pkce",
            clock=self.clock,
            monotonic=self.monotonic,
        )
        self.tenant.mount(self.relying_party.transport.session)

    @property
    def sessions(self) -> Sessions:
        """The relying party's sessions."""
        return self.relying_party.sessions

    @property
    def token_requests(self) -> int:
        """How often the tenant was asked for tokens."""
        return self.tenant.count("POST", "/oauth/token")

    @property
    def revocations(self) -> int:
        """How often the tenant was asked to revoke."""
        return self.tenant.count("POST", "/oauth/revoke")

    # -- the steps of a sign-in --------------------------------------------------

    def send(
        self, session: Stored[Session] | None = None, *, is_local: bool = False, **seed: Any
    ) -> Sent:
        """Send a browser to the tenant, in a new session if none is given."""
        return self.relying_party.sign_in.authorize(
            SessionOwner(session, is_local), SeededPKCE(**seed), callback_url=CALLBACK
        )

    def start(self, session: Stored[Session] | None = None) -> Begun:
        """Start a flow whose caller may build the authorization URL itself."""
        return self.relying_party.sign_in.start_for_caller(
            SessionOwner(session), callback_url=CALLBACK
        )

    def answer(self, sent: Sent, *, cancel: bool = False) -> CallbackParameters:
        """What the tenant answers once a person signed in."""
        return arrived(self.tenant.sign_in(sent.authorization_url, cancel=cancel))

    def bind(self, sent: Sent) -> Stored[Flow]:
        """The flow, with the answer that the tenant gives."""
        return self.relying_party.sign_in.bind(sent.flow, self.answer(sent))

    def redeem(
        self, session: Stored[Session], flow: Stored[Flow], code_verifier: str | None = None
    ) -> Redeemed:
        """Exchange the code of a flow."""
        asked = TokenizedPKCE(code_verifier=code_verifier)
        return self.relying_party.redemption.redeem(session, flow, asked=asked)

    def bound(self, **seed: Any) -> tuple[Stored[Session], Stored[Flow]]:
        """A session and its flow, whose answer is bound and not redeemed yet."""
        sent = self.send(**seed)
        return sent.session, self.bind(sent)

    def sign_in(self, **seed: Any) -> Redeemed:
        """Everything at once."""
        return self.redeem(*self.bound(**seed))

    def refuse_keys(self, error: Exception | None = None) -> None:
        """Let the tenant's keys be unreachable from now on."""
        connection = urllib3.connection.HTTPConnection("tenant.example")
        refused = NewConnectionError(connection, "refused")
        self.relying_party.transport.session.mount(
            f"{ISSUER}.well-known/jwks.json", Failing(error or ConnectionError(refused))
        )

    def now(self, flow: Stored[Flow]) -> Flow:
        """A flow as the store has it now."""
        current = self.sessions.reload_flow(flow)
        assert current is not None
        return current.value


def arrived(answer: AuthorizationAnswer) -> CallbackParameters:
    """What a tenant answers, as it reaches the callback that its request named."""
    return dataclasses.replace(parse_callback(answer.params), callback_url=answer.url)


def expected_elsewhere(flow: Flow, issuer: str) -> Flow:
    """A flow that was sent to another issuer."""
    assert flow.expected is not None
    return dataclasses.replace(flow, expected=dataclasses.replace(flow.expected, issuer=issuer))


@contextmanager
def told(signal: Signal) -> Iterator[list[dict[str, Any]]]:
    """What a signal tells while the block runs."""
    heard: list[dict[str, Any]] = []

    def hear(sender: object, **values: Any) -> None:
        heard.append(values)

    with signal.connected_to(hear):
        yield heard


def at_once(task: Callable[[int], T], count: int) -> list[T | Exception]:
    """Run a task in several threads that begin together; what each returned or raised."""
    barrier = Barrier(count)
    results: list[T | Exception] = [AssertionError("did not run")] * count

    def run(number: int) -> None:
        barrier.wait(10)
        try:
            results[number] = task(number)
        except Exception as exc:
            results[number] = exc

    threads = [Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


# -- a tenant of sockets ---------------------------------------------------------


class RawServer:
    """Answers each connection on loopback by a script, in a thread of its own.

    :param script: gets the server and the connection; when it returns, the connection ends.
    :param context: for TLS.
    """

    def __init__(
        self,
        script: Callable[[RawServer, socket.socket], None],
        context: ssl.SSLContext | None = None,
    ) -> None:
        self._script = script
        self._context = context
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._threads: list[Thread] = []
        self._open: list[socket.socket] = []
        #: Set when the test is over, for scripts that would never end.
        self.over = Event()
        #: Connections that were opened.
        self.connections = 0
        #: The requests that arrived, whole.
        self.requests: list[bytes] = []

    @property
    def address(self) -> str:
        """Where it listens, without a path."""
        scheme = "http" if self._context is None else "https"
        return f"{scheme}://127.0.0.1:{self._listener.getsockname()[1]}"

    def receive(self, connection: socket.socket) -> bool:
        """Read one request; returns whether there was one."""
        received = b""
        while b"\r\n\r\n" not in received:
            if not (chunk := connection.recv(65536)):
                return False
            received += chunk
        head, _, body = received.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)content-length: (\d+)", head)
        while length and len(body) < int(length[1]):
            body += connection.recv(65536)
        self.requests.append(head + b"\r\n\r\n" + body)
        return True

    def __enter__(self) -> RawServer:
        self._start(self._accept)
        return self

    def __exit__(self, *_: object) -> None:
        self.over.set()
        # Closing alone would not wake the threads that accept and receive.
        for each in (self._listener, *self._open):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(10)

    def _start(self, target: Callable[..., None], *args: object) -> None:
        thread = Thread(target=target, args=args, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while not self.over.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        # The other side may be gone at any moment: that is what many of the tests are about.
        with suppress(OSError):
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
            with connection:
                self._open.append(connection)
                self._script(self, connection)


def http(body: bytes = b"{}", *headers: str, status: str = "200 OK") -> bytes:
    """An answer of HTTP, whole."""
    head = (f"HTTP/1.1 {status}", "Content-Type: application/json", *headers)
    length = f"Content-Length: {len(body)}"
    return "\r\n".join((*head, length, "", "")).encode() + body


def answering(answer: bytes) -> Callable[[RawServer, socket.socket], None]:
    """A script that gives the same answer to each request, on one connection."""

    def script(server: RawServer, connection: socket.socket) -> None:
        while server.receive(connection):
            connection.sendall(answer)

    return script
