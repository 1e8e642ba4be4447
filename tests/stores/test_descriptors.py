"""Whether a failure comes from a lack of file descriptors."""

from __future__ import annotations

import errno
import os
import socket

import pytest
from redis import ConnectionError as RedisConnectionError

from flask_pkce.stores.descriptors import are_exhausted


def _refuse(*_: object) -> int:
    raise OSError(errno.EMFILE, "Too many open files")


@pytest.mark.parametrize("number", [errno.EMFILE, errno.ENFILE])
def test_said_by_the_error(number: int) -> None:
    """The limit of the process and that of the machine are both told by the system."""
    assert are_exhausted(OSError(number, "Too many open files"))


def test_said_by_what_it_came_from() -> None:
    """A driver's own exception has the system's chained to it, on purpose or not."""
    error, driver = RuntimeError(), RedisConnectionError("Error 24 connecting")
    error.__cause__ = driver
    assert not are_exhausted(error)
    driver.__context__ = OSError(errno.EMFILE, "Too many open files")
    assert are_exhausted(error)


def test_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    """What hides it is found out by opening one."""
    hiding = socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution")
    assert not are_exhausted(hiding)
    monkeypatch.setattr(os, "open", _refuse)
    assert are_exhausted(hiding)


def test_another_failure_to_open(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where none can be opened for another reason, it is that other reason."""

    def refuse(*_: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "open", refuse)
    assert not are_exhausted(OSError(errno.ECONNREFUSED, "Connection refused"))
