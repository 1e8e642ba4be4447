"""The blueprint: its routes, its hooks, and its place in each application."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

from flask import Blueprint, Flask, current_app, request
from flask.sansio.blueprints import BlueprintSetupState
from flask.sansio.scaffold import setupmethod

from .application.views import HostViews
from .relying_party.hooks import Hook, Hooks

if TYPE_CHECKING:
    from .relying_party.relying_party import RelyingParty
    from .web.context import Extension

H = TypeVar("H", bound=Hook)


def _exempt_from_csrf(endpoint: str | None, values: dict[str, Any] | None) -> None:
    """Do so before any ``before_request`` of the application, whichever was there first."""
    extension: Extension | None = current_app.extensions["pkce"].get(request.blueprint)
    if extension is not None:
        extension.csrf.apply(current_app)


class PKCEBlueprint(HostViews, Blueprint):
    """Sign in with Auth0, and any OpenID Provider, through five PKCE routes.

    .. code-block:: python

        pkce = PKCEBlueprint()
        pkce.init_app(app, url_prefix="/auth")

    It can be registered in several applications, and several times in one, under other names.

    :param name: the blueprint's name; it is part of the cookie's name and of the store's keys.
    :param config_prefix: what the names of its settings begin with.
    :param options: as :class:`flask.Blueprint` takes them.
    """

    def __init__(
        self, name: str = "pkce", *, config_prefix: str = "PKCE_", **options: Any
    ) -> None:
        options.setdefault("template_folder", "web/templates")
        super().__init__(name, __name__, **options)
        self.config_prefix = config_prefix
        self._hooks = Hooks()
        self.record(self._mount)
        self.url_value_preprocessor(_exempt_from_csrf)

    def init_app(self, app: Flask, **options: Any) -> None:
        """Register the blueprint in an application.

        :param options: as :meth:`flask.Flask.register_blueprint` takes them, such as
            ``url_prefix``.
        :raises ConfigurationError: if a setting is missing or wrong; every one is named.
        """
        app.register_blueprint(self, **options)

    # -- hooks -----------------------------------------------------------------

    @setupmethod
    def before_authorize(self, hook: H) -> H:
        """Register a function that may change or refuse an authorization request.

        It gets the :class:`AuthorizationRequest` before the browser is sent to the tenant.
        """
        self._hooks.before_authorize.append(hook)
        return hook

    @setupmethod
    def after_authorize(self, hook: H) -> H:
        """Register a function that is told when an answer was bound to its browser.

        It gets the :class:`AuthorizationResponse`, and may raise to refuse it.
        """
        self._hooks.after_authorize.append(hook)
        return hook

    @setupmethod
    def before_token(self, hook: H) -> H:
        """Register a function that may change or refuse a token request.

        It gets the :class:`TokenRequest` before it is sent to the tenant.
        """
        self._hooks.before_token.append(hook)
        return hook

    @setupmethod
    def after_token(self, hook: H) -> H:
        """Register a function that uses, changes or refuses a token response.

        It gets the :class:`TokenResponse` after its ID token was verified and before anything is
        stored.  If it raises, nothing is stored and the refresh token is revoked.
        """
        self._hooks.after_token.append(hook)
        return hook

    @setupmethod
    def on_error(self, hook: H) -> H:
        """Register a function that is told of every error that a route answers with.

        It gets the :class:`PKCEError`.
        """
        self._hooks.on_error.append(hook)
        return hook

    @setupmethod
    def authorize(self, hook: H) -> H:
        """Replace how the authorization URL is made, by a function of the host.

        It gets the :class:`AuthorizationRequest` and returns the address to send the browser to.
        """
        self._hooks.authorize = hook
        return hook

    @setupmethod
    def token(self, hook: H) -> H:
        """Replace the call to the token endpoint, by a function of the host.

        It gets the :class:`TokenRequest` and returns the JSON object that the tenant answered;
        its ID token is verified as any other.
        """
        self._hooks.token = hook
        return hook

    @setupmethod
    def tenant_loader(self, hook: H) -> H:
        """Register the function that tells to which tenant a sign-in goes.

        It gets None where a sign-in starts, and returns the name of a configured tenant, or
        :class:`TenantSettings`, or None for the default tenant.  For a sign-in that goes on it
        gets the name of a tenant that it made, and makes that again.
        """
        self._hooks.tenant_loader = hook
        return hook

    # -- an application --------------------------------------------------------

    def relying_party(self, app: Flask) -> RelyingParty:
        """What works behind the routes in an application."""
        return self._mounted_in(app).relying_party

    def extension(self) -> Extension:
        return self._mounted_in(current_app)

    def _mounted_in(self, app: Flask) -> Extension:
        for extension in app.extensions.get("pkce", {}).values():
            if extension.blueprint is self:
                found: Extension = extension
                return found
        raise LookupError("the blueprint is not registered in this application")

    def _mount(self, state: BlueprintSetupState) -> None:
        # Whoever imports the package for a signal or an error does not pay for the relying party.
        from .mounting import mount

        mount(self, self._hooks, state, config_prefix=self.config_prefix)
