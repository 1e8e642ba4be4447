"""Which tenant a sign-in goes to, and where it went."""

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

#: Tenants of the host's own that one process knows; it looks the others up again.
MAX_LOADED = 1000


def tenant_callback_url(callback_url: str, name: str) -> str:
    """Return the address of a tenant's callback: each named tenant has its own.

    So no answer can pass for that of another tenant, whatever the metadata of either says.

    :param callback_url: the common one.
    :param name: the tenant's; empty for that of ``PKCE_DOMAIN``, which has the common one.

    :rfc:`9700#section-4.4.2.2`
    """
    return f"{callback_url}/{name}" if name else callback_url


class Tenants:
    """The tenants of one blueprint in one application.

    A sign-in goes to one of them, and from then on to no other: what a flow and a grant keep names
    the tenant.

    :param load: the host's ``tenant_loader``, if there is one.
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
        #: Whether an answer could be another tenant's.
        self.are_several = bool(settings.tenants) or load is not None

    @property
    def default(self) -> Tenant:
        """The tenant where nobody says which.

        :raises TenantUnknown: if there is none.
        """
        for known in self._configured.values():
            return known
        raise TenantUnknown()

    def is_default(self, known: Tenant) -> bool:
        """Whether this is the default tenant."""
        return known is next(iter(self._configured.values()), None)

    def issuers(self) -> tuple[str, ...]:
        """The issuers of the tenants that are configured, each once.

        :raises PKCEError: if the metadata of one is needed for that, and cannot be had.
        """
        return tuple(dict.fromkeys(known.issuer for known in self._configured.values()))

    # -- a sign-in that starts -------------------------------------------------

    def select(self, domain: str | None = None, client_id: str | None = None) -> Tenant:
        """The tenant of a sign-in that starts: that which the host says, if it does.

        :param domain: what a caller sent; it must name that tenant, or a configured one where the
            host says nothing, and nothing it says makes the server contact another host.
        :param client_id: tells registrations at one domain apart.
        :raises ParameterForeign: if the domain names none.
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
        """The tenant of a name, that the settings or the ``tenant_loader`` gave it.

        :raises TenantUnknown: if there is none.
        """
        known = self._configured.get(name) or self._load_named(name)
        if known is None:
            raise TenantUnknown()
        return known

    def _chosen(self) -> Tenant | None:
        """The tenant that the host says."""
        loaded = None if self._load is None else self._load(None)
        if not isinstance(loaded, str):
            return None if loaded is None else self._keep(loaded)
        if loaded not in self._configured:
            raise TenantUnknown()
        return self._configured[loaded]

    def _keep(self, loaded: object) -> Tenant:
        """What is known of a tenant that the host made; the least used give way to others."""
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
        """The tenant at which somebody signed in; None if it is not configured any more."""
        return self._find(grant.tenant, grant.issuer, grant.client_id)

    def usable_metadata(self, grant: Grant) -> TenantMetadata | None:
        """The tenant of a sign-in, if it is the same as ever and its metadata can be had."""
        try:
            known = self.of_grant(grant)
            tenant = None if known is None else known.get()
        except PKCEError:
            return None
        return tenant if tenant is not None and tenant.issuer == grant.issuer else None

    def find_by_token(self, issuer: str, client_ids: frozenset[str]) -> Tenant | None:
        """The tenant that a token names as its own, among those that are known here."""
        with self._lock:
            loaded = [known for _, known in self._loaded.values()]
        for known in (*self._configured.values(), *loaded):
            if any(known.registration.matches(issuer, each) for each in client_ids if each):
                return known
        return None

    def _find(self, name: str, issuer: str, client_id: str) -> Tenant | None:
        """A tenant by its name; if that was changed, by what it is.

        Whoever gave the name: another that is at the same address may demand other things.

        :param client_id: empty where that is not known.
        """
        named = self._configured.get(name) or self._load_named(name)
        for known in (named, *self._configured.values()):
            if known is not None and known.registration.matches(issuer, client_id):
                return known
        return None

    def _load_named(self, name: str) -> Tenant | None:
        """A tenant that the host makes anew."""
        if self._load is None or not name:
            return None
        loaded = self._load(name)
        if not isinstance(loaded, TenantSettings) or loaded.name != name:
            return None
        return self._keep(loaded)
