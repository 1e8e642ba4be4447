"""A host application, in process: its tenant, its clock, and the browsers that visit it."""

from __future__ import annotations

import functools
import logging
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from hypothesis import HealthCheck, settings
from jinja2.bccache import Bucket, BytecodeCache

from flask_pkce import PKCEBlueprint
from flask_pkce import log_events as events
from flask_pkce.relying_party.relying_party import build_relying_party
from flask_pkce.testing import LocalTenant
from flask_pkce.testing.tenant.keys import SigningKeys
from tests.canaries import Canaries
from tests.not_run import is_in_ci
from tests.stores.redis_server import find_server
from tests.support import tenant_signing_keys
from tests.web.host import CALLBACK, Browser, Clock, Host, ObservedStore

#: Ours; what pyproject.toml leaves out is loaded here.
pytest_plugins = ["flask_pkce.testing.plugin"]

MakeApp = Callable[..., Host]

#: What Hypothesis measures in seconds would fail on a machine that has other things to do; and
#: whatever a fixture makes once for all examples here is not changed by any of them.
_UNCHECKED = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture)

settings.register_profile(
    "default",
    max_examples=40,
    stateful_step_count=25,
    derandomize=True,
    database=None,
    deadline=None,
    suppress_health_check=_UNCHECKED,
)
#: ``make fuzz``: other examples at each run, fifty times as many.
settings.register_profile(
    "fuzz",
    max_examples=2000,
    stateful_step_count=50,
    deadline=None,
    print_blob=True,
    suppress_health_check=_UNCHECKED,
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))

SECRET_KEY = "a key of the tests, long enough for anybody"


class CompiledTemplates(BytecodeCache):
    """Compiles each template once, and not for each application that a test makes."""

    def __init__(self) -> None:
        self._code: dict[str, bytes] = {}

    def load_bytecode(self, bucket: Bucket) -> None:
        if (code := self._code.get(bucket.key)) is not None:
            bucket.bytecode_from_string(code)

    def dump_bytecode(self, bucket: Bucket) -> None:
        self._code[bucket.key] = bucket.bytecode_to_string()


def pytest_configure(config: pytest.Config) -> None:
    """Every line is reached only where every test runs."""
    Flask.jinja_options = {**Flask.jinja_options, "bytecode_cache": CompiledTemplates()}
    if find_server() is None and not is_in_ci():
        config.option.cov_fail_under = 0


@pytest.fixture(autouse=True)
def canaries(monkeypatch: pytest.MonkeyPatch) -> Iterator[Canaries]:
    """Every test logs at DEBUG: no secret of it is in a log line or an error.

    Whatever the library logs is an event of its catalogue.
    """
    canaries, root = Canaries(), logging.getLogger()
    canaries.note("secret key", SECRET_KEY)
    canaries.watch(monkeypatch)
    level = root.level
    root.addHandler(canaries)
    root.setLevel(logging.DEBUG)
    yield canaries
    root.setLevel(level)
    root.removeHandler(canaries)
    assert not canaries.found_in(canaries.lines)
    assert not canaries.undocumented


@pytest.fixture(autouse=True)
def lines_are_not_left_out() -> None:
    """No line of a test is left out of the log because another test had one of its kind."""
    for event in events.catalogue():
        if event.limit is not None:
            event.limit.clear()


@pytest.fixture(scope="session")
def tenant_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the tenants keep their keys, which are made once, for making them is slow."""
    return tmp_path_factory.mktemp("tenant-keys")


@pytest.fixture
def clock() -> Clock:
    """The time, of the application and of its tenant."""
    return Clock()


@pytest.fixture(scope="session")
def signing_keys() -> SigningKeys:
    """The keys that the tenants sign with, made once, for making them is slow.

    They are not those of the common folder, which other tests rotate.
    """
    return tenant_signing_keys()


@pytest.fixture
def tenant(clock: Clock, signing_keys: SigningKeys) -> LocalTenant:
    """The local tenant, to be mounted in process; a key that it rotates to is its own."""
    tenant = LocalTenant(clock=clock)
    tenant._provider.keys._keys = signing_keys._keys
    return tenant


@pytest.fixture
def make_app(
    clock: Clock, tenant: LocalTenant, monkeypatch: pytest.MonkeyPatch, canaries: Canaries
) -> Iterator[MakeApp]:
    """Make a host application with the blueprint in it.

    Takes the settings, and, where a test has its own: a ``blueprint`` with hooks, an ``app`` with
    other things in it, and a ``url_prefix``.
    """
    timed = functools.partial(build_relying_party, clock=clock, monotonic=clock)
    monkeypatch.setattr("flask_pkce.mounting.build_relying_party", timed)
    hosts: list[Host] = []

    def make(
        *,
        blueprint: PKCEBlueprint | None = None,
        url_prefix: str = "",
        app: Flask | None = None,
        **settings: Any,
    ) -> Host:
        app = app or Flask("host")
        pkce = blueprint or PKCEBlueprint()
        store = ObservedStore(clock=clock)
        prefix = pkce.config_prefix
        usual = {
            "SECRET_KEY": SECRET_KEY,
            f"{prefix}DOMAIN": tenant.issuer,
            f"{prefix}CLIENT_ID": tenant.client.client_id,
            f"{prefix}STORE_URL": store,
        }
        app.config.update({**usual, **settings})
        pkce.init_app(app, url_prefix=url_prefix)
        relying_party = pkce.relying_party(app)
        tenant.mount(relying_party.transport.session)
        address = relying_party.settings.public_url or "http://localhost"
        redirect_uris = [f"{address}{url_prefix}{CALLBACK}", *relying_party.settings.redirect_uris]
        tenant.register(redirect_uris=redirect_uris)
        hosts.append(Host(app, pkce, tenant, clock, store, address, url_prefix, canaries))
        return hosts[-1]

    yield make
    for host in hosts:
        kept = (f"{key} {entry.value!r}" for key, entry in host.store._entries.items())
        assert not canaries.found_in(kept)


@pytest.fixture
def host(make_app: MakeApp) -> Host:
    """A host with the settings that most tests have: refresh tokens, nothing else."""
    return make_app(PKCE_SCOPE="openid profile email offline_access")


@pytest.fixture
def browser(host: Host) -> Browser:
    """A browser that visits it."""
    return host.browser()
