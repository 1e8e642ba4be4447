"""What the page for those who come from other libraries says of these is so."""

from __future__ import annotations

import importlib
import inspect
from pathlib import Path

import pytest

#: What the page names, and where it is.
NAMES = {
    "OAuth(": "authlib.integrations.flask_client:OAuth",
    "oauth.register(": "authlib.integrations.flask_client:OAuth.register",
    "authorize_redirect(": (
        "authlib.integrations.flask_client.apps:FlaskOAuth2App.authorize_redirect"
    ),
    "authorize_access_token(": (
        "authlib.integrations.flask_client.apps:FlaskOAuth2App.authorize_access_token"
    ),
    "parse_id_token(": "authlib.integrations.flask_client.apps:FlaskOAuth2App.parse_id_token",
    "userinfo(": "authlib.integrations.flask_client.apps:FlaskOAuth2App.userinfo",
    "fetch_access_token(": (
        "authlib.integrations.flask_client.apps:FlaskOAuth2App.fetch_access_token"
    ),
    "oauth.auth0.token": "authlib.integrations.flask_client.apps:FlaskOAuth2App.token",
    "oauth.auth0.get(": "authlib.integrations.flask_client.apps:FlaskOAuth2App.get",
    "logout_redirect(": "authlib.integrations.flask_client.apps:FlaskOAuth2App.logout_redirect",
    "register_compliance_hook(": "authlib.oauth2.client:OAuth2Client.register_compliance_hook",
    "OAuthError": "authlib.integrations.flask_client:OAuthError",
    "MismatchingStateError": "authlib.integrations.base_client:MismatchingStateError",
    "OAuth2ConsumerBlueprint(": "flask_dance.consumer:OAuth2ConsumerBlueprint",
    "auth0.session.authorized": "flask_dance.consumer.requests:OAuth2Session.authorized",
    "auth0.session.authorization_required": (
        "flask_dance.consumer.requests:OAuth2Session.authorization_required"
    ),
    "auth0.session.access_token": "flask_dance.consumer.requests:OAuth2Session.access_token",
    "auth0.token": "flask_dance.consumer:OAuth2ConsumerBlueprint.token",
    "auth0.authorized": "flask_dance.consumer:OAuth2ConsumerBlueprint.authorized",
    "oauth_authorized": "flask_dance.consumer:oauth_authorized",
    "oauth_before_login": "flask_dance.consumer:oauth_before_login",
    "oauth_error": "flask_dance.consumer:oauth_error",
    "SessionStorage": "flask_dance.consumer.storage.session:SessionStorage",
    "MemoryStorage": "flask_dance.consumer.storage:MemoryStorage",
    "NullStorage": "flask_dance.consumer.storage:NullStorage",
    "OpenIDConnect(": "flask_oidc:OpenIDConnect",
    "oidc.require_login": "flask_oidc:OpenIDConnect.require_login",
    "oidc.user_loggedin": "flask_oidc:OpenIDConnect.user_loggedin",
    "oidc.user_getfield(": "flask_oidc:OpenIDConnect.user_getfield",
    "oidc.user_getinfo(": "flask_oidc:OpenIDConnect.user_getinfo",
    "oidc.get_access_token(": "flask_oidc:OpenIDConnect.get_access_token",
    "oidc.get_refresh_token(": "flask_oidc:OpenIDConnect.get_refresh_token",
    "oidc.redirect_to_auth_server(": "flask_oidc:OpenIDConnect.redirect_to_auth_server",
    "oidc.logout(": "flask_oidc:OpenIDConnect.logout",
    "oidc.accept_token(": "flask_oidc:OpenIDConnect.accept_token",
    "before_authorize": "flask_oidc.signals:before_authorize",
    "after_authorize": "flask_oidc.signals:after_authorize",
}
#: What the page names that is a parameter or a key, and whose source has it.
WORDS = {
    "authlib.integrations.base_client.sync_app": (
        *("authorize_params", "client_kwargs", "server_metadata_url", "compliance_fix"),
        "code_challenge_method",
    ),
    "authlib.integrations.flask_client": ("fetch_token", "update_token"),
    "flask_dance.consumer.oauth2": (
        *("authorization_url", "token_url", "base_url", "use_pkce", "redirect_url"),
        *("redirect_to", "token_url_params", "auto_refresh_url"),
    ),
    "flask_oidc": (
        *("OIDC_CLIENT_SECRETS", "OIDC_SERVER_METADATA_URL", "OIDC_SCOPES", "OIDC_CLOCK_SKEW"),
        *("OIDC_OVERWRITE_REDIRECT_URI", "OIDC_CALLBACK_ROUTE", "OIDC_USER_CLASS", "oidc_user"),
        *("OIDC_ENABLED", "OIDC_TESTING_PROFILE", "oidc_auth_profile"),
    ),
}


@pytest.mark.parametrize("name", NAMES)
def test_names(name: str, sources: dict[str, str]) -> None:
    """What is on the left exists in the library that it is said to be of."""
    assert name in sources["migrating.rst"]
    module, _, path = NAMES[name].partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)


@pytest.mark.parametrize("module", WORDS)
def test_words(module: str, sources: dict[str, str]) -> None:
    """So do the parameters and settings."""
    source = Path(inspect.getfile(importlib.import_module(module))).read_text(encoding="utf-8")
    for word in WORDS[module]:
        assert word in source, word
        assert word in sources["migrating.rst"], word
