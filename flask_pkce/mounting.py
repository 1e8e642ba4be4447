"""A blueprint's place in an application: settings, store, relying party and routes.

The blueprint imports this, and with it all that answers requests, when it is registered: before
there is a request, and not where the package is only imported.
"""

from __future__ import annotations

from collections.abc import Callable

from flask import Blueprint, Flask, Response, current_app, request
from flask.sansio.blueprints import BlueprintSetupState

from .application.current import CurrentRequest, claimed_by
from .errors import ConfigurationError, PKCEError, StoreError
from .log_events import SETTING_WEAK
from .relying_party.hooks import HookRunner, Hooks
from .relying_party.relying_party import build_relying_party
from .settings.loading import find_misspelt, read_settings
from .settings.model import Settings
from .settings.secret_keys import read_secret_keys
from .stores import Store, open_store
from .web.context import Extension, Route
from .web.csrf import CSRFExemption
from .web.dispatch import answer
from .web.urls import PublicURLs
from .web.views import ROUTES, TENANT_CALLBACK_ROUTE, optional_routes

#: Every method, so that a wrong one is answered by us.
_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT")


def _view(route: Route) -> Callable[..., Response]:
    def view(**_: str) -> Response:
        extension: Extension = current_app.extensions["pkce"][request.blueprint]
        return answer(route, extension)

    # What Flask-Talisman looks for: our pages have a policy of their own, with their own nonce.
    vars(view)["talisman_view_options"] = {"content_security_policy": None}
    return view


def _add_route(route: Route, state: BlueprintSetupState) -> None:
    state.add_url_rule(
        route.path,
        route.endpoint,
        _view(route),
        methods=_METHODS,
        provide_automatic_options=False,
    )


def mount(
    blueprint: Blueprint, hooks: Hooks, state: BlueprintSetupState, *, config_prefix: str
) -> None:
    """Mount a blueprint in the application in which it is registered.

    :param config_prefix: what the names of its settings begin with.
    :raises ConfigurationError: if a setting is missing or wrong; every one is named.
    :raises FileDescriptorsExhausted: if the store cannot be opened for want of one.
    """
    app = state.app
    if not isinstance(app, Flask):
        raise TypeError("PKCEBlueprint needs a Flask application")
    name = f"{state.name_prefix}.{state.name}".lstrip(".")
    settings, secret_keys = _read_config(
        app, config_prefix, has_loader=hooks.tenant_loader is not None
    )
    prefix = state.url_prefix or ""
    if "<" in prefix:
        raise ConfigurationError("url_prefix must not contain a variable")
    runner = HookRunner(hooks, ensure_sync=app.ensure_sync, sender=app)
    store = _open_store(settings, app, config_prefix)
    try:
        relying_party = build_relying_party(
            settings, store, runner, secret_keys=secret_keys, namespace=name
        )
    except OSError as exc:
        fault = f"{config_prefix}CA_BUNDLE cannot be read, or has no certificate in it"
        raise ConfigurationError(fault) from exc
    routes = [*ROUTES, *optional_routes(settings)]
    if relying_party.tenants.are_several:
        routes.append(TENANT_CALLBACK_ROUTE)
    if settings.openapi:
        # It is large, and few want it.
        from .web.openapi import OPENAPI_ROUTE

        routes.append(OPENAPI_ROUTE)
    extension = Extension(
        blueprint=blueprint,
        relying_party=relying_party,
        site=PublicURLs(
            name=name,
            public_url=settings.public_url,
            prefix=prefix.rstrip("/"),
            further_public_urls=settings.further_public_urls,
        ),
        csrf=CSRFExemption(name, [route.endpoint for route in routes]),
    )
    app.extensions.setdefault("pkce", {})[name] = extension
    app.register_error_handler(PKCEError, _answer_error)
    for route in routes:
        _add_route(route, state)
    extension.csrf.apply(app)


def _answer_error(exc: PKCEError) -> Response:
    """Answer an error that a view of the host let pass."""
    extension = claimed_by(exc)
    if extension is None:
        # The host raised it, and sees it as any exception.
        raise exc
    return CurrentRequest(extension).answer(exc)


def _read_config(
    app: Flask, prefix: str, *, has_loader: bool
) -> tuple[Settings, tuple[bytes, ...]]:
    faults: list[str] = []
    settings: Settings | None = None
    secret_keys: tuple[bytes, ...] = ()
    is_weak = False
    try:
        settings = read_settings(
            app.config,
            prefix=prefix,
            server_name=app.config.get("SERVER_NAME"),
            scheme=app.config["PREFERRED_URL_SCHEME"],
            has_loader=has_loader,
        )
    except ConfigurationError as exc:
        faults.extend(exc.faults)
    try:
        secret_keys, is_weak = read_secret_keys(app.config, lenient=app.debug or app.testing)
    except ConfigurationError as exc:
        faults.extend(exc.faults)
    if faults or settings is None:
        raise ConfigurationError(faults, misspelt=find_misspelt(app.config, prefix=prefix))
    if is_weak:
        SETTING_WEAK.log("SECRET_KEY is weak: good enough for tests alone", setting="SECRET_KEY")
    if settings.lacks_client_secret:
        name = f"{prefix}CLIENT_SECRET"
        SETTING_WEAK.log(
            f"{name} is missing: a server that keeps the tokens is a confidential client"
            " (RFC 10017 6.1.3.1)",
            setting=name,
        )
    return settings, secret_keys


def _open_store(settings: Settings, app: Flask, prefix: str) -> Store:
    name = f"{prefix}STORE_URL"
    store = settings.store_url
    try:
        if not isinstance(store, Store):
            store = open_store(
                str(store), default_folder=app.instance_path, prefix=settings.store_prefix
            )
        store.open()
    except (ValueError, StoreError) as exc:
        host = getattr(exc, "host", None)
        where = f" ({host})" if host else ""
        raise ConfigurationError(f"{name}: {exc}{where}") from exc
    return store
