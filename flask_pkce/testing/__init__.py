"""What a test of a host needs: a local tenant, and the suite that proves a store.

Nothing is imported before it is asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .tenant import (
        AuthorizationAnswer,
        LocalTenant,
        SignInRefused,
        TenantClient,
        TenantUser,
    )

__all__ = ["AuthorizationAnswer", "LocalTenant", "SignInRefused", "TenantClient", "TenantUser"]


def __getattr__(name: str) -> object:
    if name in __all__:
        return getattr(import_module(f"{__name__}.tenant"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
