"""A tenant that is away, or hangs up, while a code is exchanged."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import pytest

from flask_pkce.tenant.cache import FAILED
from flask_pkce.testing import LocalTenant, TenantClient

from .faults import Machine, SignIn, problem
from .scripted import CALLBACK

if TYPE_CHECKING:
    from .conftest import StartMachine

TOKEN = ("POST", "/oauth/token")
#: Closes a connection with a reset, whatever was not read.
RESET = struct.pack("ii", 1, 0)


@pytest.fixture(scope="module")
def tenant(tenant_keys: Path) -> Iterator[LocalTenant]:
    """A tenant on a socket."""
    client = TenantClient("public", redirect_uris=(f"http://localhost{CALLBACK}",), is_native=True)
    with LocalTenant(clients=[client], keys_folder=tenant_keys) as tenant:
        yield tenant


@pytest.fixture(scope="module")
def machine(start_machine: StartMachine, tenant: LocalTenant) -> Machine:
    """The application, with one worker."""
    return start_machine(PKCE_DOMAIN=tenant.issuer)


def begin(machine: Machine, tenant: LocalTenant) -> SignIn:
    """Take a sign-in up to the exchange, at a worker that knows the tenant's keys."""
    other, person = (
        SignIn(machine.server, name, lambda url: tenant.sign_in(url).params)
        for name in ("bob", "alice")
    )
    other.take(*other.steps)
    person.take(*person.before("token"))
    return person


@contextmanager
def hanging_up(address: tuple[str, int]) -> Iterator[list[None]]:
    """Accept connections, and reset each before anything is read of the request that came.

    :return: as many members as there were connections.
    """
    dropped: list[None] = []

    def serve(listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                connection.recv(1, socket.MSG_PEEK)
                dropped.append(None)
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                connection.close()

    with socket.create_server(address) as listener:
        thread = threading.Thread(target=serve, args=[listener])
        thread.start()
        try:
            yield dropped
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            thread.join()


def check_failed(person: SignIn, tenant: LocalTenant) -> None:
    """Check that a code that may have arrived fails its flow, and is never sent again."""
    asked = tenant.count(*TOKEN)
    for _ in range(2):
        response = person.token()
        assert (response.status_code, problem(response)) == (400, "tenant-silent")
        assert problem(person.code()) == "tenant-silent"
    assert tenant.count(*TOKEN) == asked
    person.again()
    assert tenant.count(*TOKEN) == asked + 1


def test_tenant_is_away(machine: Machine, tenant: LocalTenant) -> None:
    """No connection, no request: the code is still good, and is exchanged when the tenant is back,
    by another worker too."""
    person = begin(machine, tenant)
    asked = tenant.count(*TOKEN)
    tenant.stop()
    for _ in range(2):
        response = person.token()
        assert (response.status_code, problem(response)) == (502, "tenant-unreachable")
    assert "result" in person.take("code").json()
    # A worker that was never told the tenant's metadata cannot even begin.
    machine.server.kill_workers()
    response = person.token()
    assert (response.status_code, problem(response)) == (502, "tenant-unreachable")
    tenant.start()
    # That worker remembers the failure for a moment.
    time.sleep(FAILED)
    assert "result" in person.take("code").json()
    person.take("token")
    assert tenant.count(*TOKEN) == asked + 1


def test_tenant_hangs_up_unread(machine: Machine, tenant: LocalTenant) -> None:
    """A connection that stood and broke may have carried the code, for all that we can know."""
    person = begin(machine, tenant)
    where = urlsplit(tenant.issuer)
    tenant.stop()
    with hanging_up((where.hostname or "", where.port or 0)) as dropped:
        response = person.token()
        assert (response.status_code, problem(response)) == (504, "tenant-silent")
        assert len(dropped) == 1
    tenant.start()
    check_failed(person, tenant)


@pytest.mark.parametrize("fault", ["dropped-before-request", "dropped-after-request"])
def test_tenant_hangs_up(machine: Machine, tenant: LocalTenant, fault: str) -> None:
    """Nor is a code sent again that the tenant received, whether it acted on it or not."""
    person = begin(machine, tenant)
    tenant.faults.add(fault)
    response = person.token()
    assert (response.status_code, problem(response)) == (504, "tenant-silent")
    tenant.faults.clear()
    check_failed(person, tenant)
