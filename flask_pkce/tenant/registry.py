"""The tenants of an application: which one a sign-in goes to, and which one it went to."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from ..errors import (
    ConfigurationError,
    ParameterForeign,
    PKCEError,
    TenantMisconfigured,
    TenantReplaced,
    TenantUnknown,
)
from ..protocol.metadata import TenantMetadata
from ..sessions.flow import Flow
from ..sessions.session import Grant
from ..settings.loading import read_tenant
from ..settings.model import Settings
from ..settings.tenant import TenantSettings
from .api import TenantAPI
from .cache import Tenant

#: Tenants from the ``tenant_loader`` that one process keeps; it loads the others again.
MAX_LOADED = 1000


def tenant_callback_url(callback_url: str, name: str) -> str:
    """Return the address of a tenant's callback: each named tenant has its own.

    No response can therefore pass for that of another tenant, whatever their metadata says.

    :param callback_url: the address of the common callback.
    :param name: the tenant's name; empty for the tenant of ``PKCE_DOMAIN``, which has the common
        callback.

    :rfc:`9700#section-4.4.2.2`
    """
    return f"{callback_url}/{name}" if name else callback_url


class Tenants:
    """The tenants of one blueprint in one application.

    A sign-in goes to one of them and stays there: the flow and the sign-in store which one.

    :param load: the application's ``tenant_loader``, if there is one.
    :param clock: monotonic seconds.
    """

    def __init__(
        self,
        settings: Settings,
        api: TenantAPI,
        *,
        load: Callable[[str | None], object] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._settings = settings
        self._api = api
        self._load = load
        self._clock = clock
        self._loaded: OrderedDict[str, tuple[TenantSettings, Tenant]] = OrderedDict()
        self._lock = threading.Lock()
        self._configured = {
            registration.name: Tenant(registration, api, clock=clock)
            for registration in settings.registrations
        }
        #: Whether there can be more than one tenant.
        self.are_several = bool(settings.tenants) or load is not None

    @property
    def default(self) -> Tenant:
        """The tenant of ``PKCE_DOMAIN``, or the first of ``PKCE_TENANTS``.

        :raises TenantUnknown: if neither is configured.
        """
        for known in self._configured.values():
            return known
        raise TenantUnknown()

    def is_default(self, known: Tenant) -> bool:
        """Whether this is the default tenant."""
        return known is next(iter(self._configured.values()), None)

    def issuers(self) -> tuple[str, ...]:
        """Return the issuer of each configured tenant, without duplicates.

        :raises PKCEError: if a tenant's metadata is needed to know its issuer, and cannot be
            fetched.
        """
        return tuple(dict.fromkeys(known.issuer for known in self._configured.values()))

    # -- a sign-in that starts -------------------------------------------------

    def select(self, domain: str | None = None, client_id: str | None = None) -> Tenant:
        """Return the tenant of a sign-in that starts.

        If the application's ``tenant_loader`` chooses a tenant, it is that one.

        :param domain: as the caller sent it.  It must name the chosen tenant or, without a choice,
            a configured one; no value makes the server contact another host.
        :param client_id: distinguishes registrations at one domain.
        :raises ParameterForeign: if the domain names no such tenant.
        :raises TenantUnknown: if there is no tenant.
        """
        chosen = self._chosen()
        if domain is None:
            return chosen or self.default
        known_ones = self._configured.values() if chosen is None else [chosen]
        named = [each for each in known_ones if each.registration.names(domain)]
        if not named:
            raise ParameterForeign("names no configured tenant", field="$.domain")
        for known in named:
            if known.registration.client_id == client_id:
                return known
        return named[0]

    def named(self, name: str) -> Tenant:
        """Return the tenant of that name, from the settings or the ``tenant_loader``.

        :raises TenantUnknown: if there is none.
        """
        known = self._configured.get(name) or self._load_named(name)
        if known is None:
            raise TenantUnknown()
        return known

    def _chosen(self) -> Tenant | None:
        """Return the tenant that the application chooses for the current request, if it does."""
        loaded = None if self._load is None else self._load(None)
        if not isinstance(loaded, str):
            return None if loaded is None else self._keep(loaded)
        if loaded not in self._configured:
            raise TenantUnknown()
        return self._configured[loaded]

    def _keep(self, loaded: object) -> Tenant:
        """Return the tenant of these settings, and keep it in place of the least recently used."""
        if not isinstance(loaded, TenantSettings):
            raise TypeError("a tenant_loader returns a name, TenantSettings or None")
        if loaded.name in self._configured:
            raise TenantMisconfigured(f"tenant_loader: {loaded.name!r} is in PKCE_TENANTS too")
        with self._lock:
            settings, known = self._loaded.get(loaded.name, (None, None))
            if known is None or settings != loaded:
                try:
                    registration = read_tenant(self._settings, loaded)
                except ConfigurationError as exc:
                    raise TenantMisconfigured(exc.faults) from exc
                known = Tenant(registration, self._api, clock=self._clock)
                self._loaded[loaded.name] = (loaded, known)
            self._loaded.move_to_end(loaded.name)
            if len(self._loaded) > MAX_LOADED:
                self._loaded.popitem(last=False)
        return known

    # -- a sign-in that goes on ------------------------------------------------

    def of_flow(self, flow: Flow) -> Tenant:
        """Return the tenant that a flow expects its response from, by what the flow stores.

        :raises TenantReplaced: if the flow stores none, or it is not configured any more.
        """
        at = flow.expected
        known = None if at is None else self._find(at.tenant, at.issuer, at.client_id)
        if known is None:
            raise TenantReplaced()
        return known

    def of_grant(self, grant: Grant) -> Tenant | None:
        """Return the tenant of a sign-in, or None if it is not configured any more."""
        return self._find(grant.tenant, grant.issuer, grant.client_id)

    def usable_metadata(self, grant: Grant) -> TenantMetadata | None:
        """Return the metadata of a sign-in's tenant, or None if unavailable or changed."""
        try:
            known = self.of_grant(grant)
            tenant = None if known is None else known.get()
        except PKCEError:
            return None
        return tenant if tenant is not None and tenant.issuer == grant.issuer else None

    def find_by_token(self, issuer: str, client_ids: frozenset[str]) -> Tenant | None:
        """Return the tenant that issued a token, among those that this process knows.

        :param client_ids: the audiences of the token.
        """
        with self._lock:
            loaded = [known for _, known in self._loaded.values()]
        for known in (*self._configured.values(), *loaded):
            if any(known.registration.matches(issuer, each) for each in client_ids if each):
                return known
        return None

    def _find(self, name: str, issuer: str, client_id: str) -> Tenant | None:
        """Return a tenant by its name or, if the name was changed, by its issuer and client id.

        The name comes first, because another tenant at the same issuer may have other settings.

        :param client_id: empty if it is unknown.
        """
        named = self._configured.get(name) or self._load_named(name)
        for known in (named, *self._configured.values()):
            if known is not None and known.registration.matches(issuer, client_id):
                return known
        return None

    def _load_named(self, name: str) -> Tenant | None:
        """Return the tenant that the ``tenant_loader`` gives for a name, if it gives one."""
        if self._load is None or not name:
            return None
        loaded = self._load(name)
        if not isinstance(loaded, TenantSettings) or loaded.name != name:
            return None
        return self._keep(loaded)
