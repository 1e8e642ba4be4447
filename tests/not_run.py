"""Where a test needs a program that is not here."""

from __future__ import annotations

import os
from importlib import import_module
from types import ModuleType
from typing import NoReturn

import pytest


def is_in_ci() -> bool:
    """Whether everything has to run."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


def not_run(reason: str) -> NoReturn:
    """Leave the test out: the one place where that happens, and never under ``CI``."""
    if is_in_ci():
        pytest.fail(f"{reason} Under CI this is a failure.")
    pytest.skip(reason)


def installed(application: str) -> ModuleType:
    """Import an application that somebody else wrote, if it is here."""
    try:
        return import_module(application)
    except ModuleNotFoundError:
        not_run(f"No {application} here; `tox run -e py311-hosts` brings it.")
