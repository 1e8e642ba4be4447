"""Flask-WTF's ``CSRFProtect``, where the host has it.

It wants a token with every POST, which neither the tenant nor a program has.
Our routes protect themselves, by `guard` and by tickets, so they are taken out of it.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from flask import Flask

from ..log_events import CSRF_EXEMPTED


class CSRFExemption:
    """Takes the routes of one blueprint out of the protection that an application has.

    Flask-WTF is not imported: what an application has of it is found among its extensions.

    :param blueprint: the blueprint's full name.
    :param routes: the names of its routes.
    """

    def __init__(self, blueprint: str, routes: Collection[str]) -> None:
        self._blueprint = blueprint
        self._endpoints = tuple(f"{blueprint}.{name}" for name in routes)
        self._seen: Any = None

    def apply(self, app: Flask) -> None:
        """Exempt the routes, if there is a protection that was not told yet."""
        csrf = app.extensions.get("csrf")
        if csrf is self._seen:
            return
        exempt = getattr(csrf, "exempt", None)
        if callable(exempt):
            # Each view, and not the blueprint: what else a host adds to that stays protected.
            for endpoint in self._endpoints:
                exempt(app.view_functions[endpoint])
            CSRF_EXEMPTED.log(
                f"{type(csrf).__name__} leaves the routes of {self._blueprint} to their own"
                " protection",
                blueprint=self._blueprint,
            )
        # Last, for until then another thread must not believe that it is done.
        self._seen = csrf
