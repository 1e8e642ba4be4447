"""Sign in with Auth0, and any OpenID Provider, through five PKCE routes in a Flask application.

.. code-block:: python

    from flask_pkce import PKCEBlueprint

    pkce = PKCEBlueprint()

    def create_app():
        app = Flask(__name__)
        app.config.from_prefixed_env()
        pkce.init_app(app)
        return app

Nothing is imported before it is asked for: pytest loads the plugin that lies in this package
wherever it is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .application.user import User
    from .blueprint import PKCEBlueprint
    from .errors import (
        AccessDenied,
        AccessTokenMissing,
        ConfigurationError,
        NotSignedIn,
        PKCEError,
    )
    from .protocol.authorization import AuthorizationRequest, AuthorizationResponse
    from .protocol.claims import MULTI_FACTOR
    from .protocol.token import TokenRequest, TokenResponse
    from .relying_party.hooks import (
        TenantCall,
        authorization_answered,
        authorization_requested,
        failed,
        signed_in,
        signed_out,
        tenant_called,
        token_refreshed,
    )
    from .settings.tenant import TenantSettings
    from .stores import MemoryStore, SQLiteStore, Store

__all__ = [
    "MULTI_FACTOR",
    "AccessDenied",
    "AccessTokenMissing",
    "AuthorizationRequest",
    "AuthorizationResponse",
    "ConfigurationError",
    "MemoryStore",
    "NotSignedIn",
    "PKCEBlueprint",
    "PKCEError",
    "SQLiteStore",
    "Store",
    "TenantCall",
    "TenantSettings",
    "TokenRequest",
    "TokenResponse",
    "User",
    "authorization_answered",
    "authorization_requested",
    "failed",
    "signed_in",
    "signed_out",
    "tenant_called",
    "token_refreshed",
]

#: Where the public names lie.
_HOMES = {
    "blueprint": ("PKCEBlueprint",),
    "errors": (
        "AccessDenied",
        "AccessTokenMissing",
        "ConfigurationError",
        "NotSignedIn",
        "PKCEError",
    ),
    "relying_party.hooks": (
        "TenantCall",
        "authorization_answered",
        "authorization_requested",
        "failed",
        "signed_in",
        "signed_out",
        "tenant_called",
        "token_refreshed",
    ),
    "protocol.authorization": ("AuthorizationRequest", "AuthorizationResponse"),
    "protocol.token": ("TokenRequest", "TokenResponse"),
    "stores": ("MemoryStore", "SQLiteStore", "Store"),
    "settings.tenant": ("TenantSettings",),
    "protocol.claims": ("MULTI_FACTOR",),
    "application.user": ("User",),
}

if not TYPE_CHECKING:  # pragma: no branch
    # Or a type checker would take every name for one of ours.

    def __getattr__(name: str) -> object:
        for home, names in _HOMES.items():
            if name in names:
                value = globals()[name] = getattr(import_module(f".{home}", __name__), name)
                return value
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
