"""The pytest plugin: fixtures with a local tenant.

pytest loads it wherever the package is installed, so that it imports nothing by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from flask_pkce import testing

if TYPE_CHECKING:
    from . import LocalTenant


@pytest.fixture(scope="session")
def _local_tenant_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where local tenants keep their keys, which are made once, for making them is slow."""
    return tmp_path_factory.mktemp("local-tenant-keys")


@pytest.fixture
def local_tenant(_local_tenant_keys: Path) -> Iterator[LocalTenant]:
    """A local tenant that serves on loopback while the test runs; its settings are ``config``."""
    with testing.LocalTenant(keys_folder=_local_tenant_keys) as tenant:
        yield tenant


@pytest.fixture(scope="session")
def shared_local_tenant(_local_tenant_keys: Path) -> Iterator[LocalTenant]:
    """One for all tests, where the application is made once for all of them.

    What a test changes in it, such as faults, is there in the next.
    """
    with testing.LocalTenant(keys_folder=_local_tenant_keys) as tenant:
        yield tenant
