"""The blueprint: its routes, its hooks, and its place in each application."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from flask import Blueprint, Flask, Response, current_app, request
from flask.sansio.blueprints import BlueprintSetupState
from flask.sansio.scaffold import setupmethod

from .engine import Engine, build_engine
from .errors import ConfigurationError, PKCEError, StoreError
from .events import SETTING_WEAK
from .hooks import Hook, HookRunner, Hooks
from .host import HostViews, answer_error
from .openapi import OPENAPI_ROUTE
from .settings import Settings, read_secret_keys, read_settings
from .stores import Store, open_store
from .web.calls import Mounted, Route
from .web.dispatch import answer
from .web.site import Site
from .web.views import ROUTES, further_routes

#: Every method, so that a wrong one is answered by us.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")

H = TypeVar("H", bound=Hook)


def _view(route: Route) -> Callable[[], Response]:
    def view() -> Response:
        mounted: Mounted = current_app.extensions["pkce"][request.blueprint]
        return answer(route, mounted)

    return view


def _add_route(route: Route, state: BlueprintSetupState) -> None:
    state.add_url_rule(
        route.path,
        route.endpoint,
        _view(route),
        methods=_METHODS,
        provide_automatic_options=False,
    )


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
        for route in ROUTES:
            self.record(partial(_add_route, route))
        self.record(self._mount)

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

    # -- an application --------------------------------------------------------

    def engine(self, app: Flask) -> Engine:
        """What works behind the routes in an application."""
        return self._mounted_in(app).engine

    def mounted(self) -> Mounted:
        return self._mounted_in(current_app)

    def _mounted_in(self, app: Flask) -> Mounted:
        for mounted in app.extensions.get("pkce", {}).values():
            if mounted.blueprint is self:
                found: Mounted = mounted
                return found
        raise LookupError("the blueprint is not registered in this application")

    def _mount(self, state: BlueprintSetupState) -> None:
        app = state.app
        if not isinstance(app, Flask):
            raise TypeError("PKCEBlueprint needs a Flask application")
        name = f"{state.name_prefix}.{state.name}".lstrip(".")
        settings, secret_keys = self._read_config(app)
        prefix = state.url_prefix or ""
        if "<" in prefix:
            raise ConfigurationError("url_prefix must not contain a variable")
        hooks = HookRunner(self._hooks, ensure_sync=app.ensure_sync, sender=app)
        mounted = Mounted(
            blueprint=self,
            engine=build_engine(
                settings,
                self._open_store(settings, app),
                hooks,
                secret_keys=secret_keys,
                namespace=name,
            ),
            site=Site(name=name, public_url=settings.public_url, prefix=prefix.rstrip("/")),
            has_strict_cookies=str(app.config.get("SESSION_COOKIE_SAMESITE")).lower() == "strict",
        )
        app.extensions.setdefault("pkce", {})[name] = mounted
        app.register_error_handler(PKCEError, answer_error)
        for route in further_routes(settings):
            _add_route(route, state)
        if settings.openapi:
            _add_route(OPENAPI_ROUTE, state)

    def _read_config(self, app: Flask) -> tuple[Settings, tuple[bytes, ...]]:
        faults: list[str] = []
        settings: Settings | None = None
        secret_keys: tuple[bytes, ...] = ()
        is_weak = False
        try:
            settings = read_settings(
                app.config,
                prefix=self.config_prefix,
                server_name=app.config.get("SERVER_NAME"),
                scheme=app.config["PREFERRED_URL_SCHEME"],
            )
        except ConfigurationError as exc:
            faults.extend(exc.faults)
        try:
            secret_keys, is_weak = read_secret_keys(app.config, lenient=app.debug or app.testing)
        except ConfigurationError as exc:
            faults.extend(exc.faults)
        if faults or settings is None:
            raise ConfigurationError(faults)
        if is_weak:
            SETTING_WEAK.log(
                "SECRET_KEY is weak: good enough for tests alone", setting="SECRET_KEY"
            )
        if settings.lacks_client_secret:
            name = f"{self.config_prefix}CLIENT_SECRET"
            SETTING_WEAK.log(
                f"{name} is missing: a server that keeps the tokens is a confidential client"
                " (RFC 10017 6.1.3.1)",
                setting=name,
            )
        return settings, secret_keys

    def _open_store(self, settings: Settings, app: Flask) -> Store:
        name = f"{self.config_prefix}STORE_URL"
        store = settings.store_url
        try:
            if not isinstance(store, Store):
                store = open_store(
                    str(store), default_folder=app.instance_path, prefix=settings.store_prefix
                )
            store.open()
        except (ValueError, StoreError) as exc:
            raise ConfigurationError(f"{name}: {exc}") from exc
        return store
