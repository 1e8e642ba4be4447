"""What a test of a host needs: a line that signs in, a local tenant, and the suite of stores.

Nothing is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .login import login_as, logout
    from .tenant import (
        AuthorizationAnswer,
        LocalTenant,
        SignInRefused,
        TenantClient,
        TenantUser,
    )

__all__ = [
    "AuthorizationAnswer",
    "LocalTenant",
    "SignInRefused",
    "TenantClient",
    "TenantUser",
    "login_as",
    "logout",
]


def __getattr__(name: str) -> object:
    if name in __all__:
        # Only the tenant needs what the extra brings.
        home = "login" if name in {"login_as", "logout"} else "tenant"
        try:
            return getattr(import_module(f"{__name__}.{home}"), name)
        except ModuleNotFoundError as exc:
            exc.add_note("pip install 'flask-pkce[testing]' brings it.")
            raise
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
