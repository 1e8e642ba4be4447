"""What strangers send is read in time that grows no faster than its length."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from flask_pkce.protocol.addresses import read_host
from flask_pkce.web.cookies import cookie_names, read_cookies
from flask_pkce.web.waiting import wished_wait

#: Characters: what servers let a header have, at most.
LENGTH = 65536
#: Seconds of CPU time.  Quadratic time would take many times as long at that length.
BOUND = 0.5


def _request(**environ: str) -> Request:
    return Request(EnvironBuilder(environ_overrides=environ).get_environ())


def _cookie_names(header: str) -> object:
    return cookie_names(_request(HTTP_COOKIE=header))


def _cookie_values(header: str) -> object:
    return read_cookies(_request(HTTP_COOKIE=header), "pkce-80")


def _prefer(header: str) -> object:
    return wished_wait(_request(HTTP_PREFER=header))


READERS: tuple[tuple[Callable[[str], object], tuple[str, ...]], ...] = (
    (read_host, ("a.", "a", "[", "]", ":", "1", "[:", "a:")),
    (_prefer, (",", ";", " ", "=", '"', "wait=", "wait =\t", "x,", "1", "wait=1;,")),
    (_cookie_names, (";", "=", " ", "=;", "a=;", " ;", "pkce-80=;", '"', "\\")),
    (_cookie_values, (";", "=", " ", "=;", "a=;", " ;", "pkce-80=;", '"', "\\")),
)


@pytest.mark.parametrize(
    ("read", "unit"), [(read, unit) for read, units in READERS for unit in units]
)
def test_time_is_linear(read: Callable[[str], object], unit: str) -> None:
    """64 KiB of the worst input cost a fraction of a second, well formed or not."""
    text = unit * (LENGTH // len(unit))
    started = time.process_time()
    for sent in (text, f"x{text}", f"{text}\n", f"{text}x"):
        read(sent)
    assert time.process_time() - started < BOUND
