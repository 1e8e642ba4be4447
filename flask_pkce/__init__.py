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
from .errors import AccessDenied, AccessTokenMissing, ConfigurationError, NotSignedIn, PKCEError
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
from .user import MULTI_FACTOR, User

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
