"""Sign in with Auth0, and any OpenID Provider, through five PKCE routes in a Flask application.

.. code-block:: python

    from flask_pkce import PKCEBlueprint

    pkce = PKCEBlueprint()

    def create_app():
        app = Flask(__name__)
        app.config.from_prefixed_env()
        pkce.init_app(app)
        return app
"""

from .blueprint import PKCEBlueprint
from .errors import AccessDenied, ConfigurationError, PKCEError
from .hooks import (
    TenantCall,
    authorization_answered,
    authorization_requested,
    failed,
    signed_in,
    signed_out,
    tenant_called,
    token_refreshed,
)
from .protocol.authorization import AuthorizationRequest, AuthorizationResponse
from .protocol.token import TokenRequest, TokenResponse
from .stores import MemoryStore, SQLiteStore, Store

__all__ = [
    "AccessDenied",
    "AuthorizationRequest",
    "AuthorizationResponse",
    "ConfigurationError",
    "MemoryStore",
    "PKCEBlueprint",
    "PKCEError",
    "SQLiteStore",
    "Store",
    "TenantCall",
    "TokenRequest",
    "TokenResponse",
    "authorization_answered",
    "authorization_requested",
    "failed",
    "signed_in",
    "signed_out",
    "tenant_called",
    "token_refreshed",
]
