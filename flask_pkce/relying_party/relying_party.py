"""The parts of one blueprint in one application, put together."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ..sessions.encryption import Encryption
from ..sessions.flow import Flow
from ..sessions.key_fingerprints import KeyFingerprints
from ..sessions.pending_callbacks import PendingCallback, PendingCallbacks
from ..sessions.records import Records, build_codecs
from ..sessions.repository import Sessions
from ..sessions.revocations import Revocation, Revocations
from ..sessions.session import Session
from ..sessions.signing import Signing
from ..settings.model import MAX_SESSION_LIFETIME, Settings
from ..stores import Store
from ..tenant.api import TenantAPI
from ..tenant.registry import Tenants
from ..tenant.transport import Transport
from .authorization_urls import AuthorizationURLs
from .authorize import SignIn
from .current_sign_in import Presence
from .hooks import HookRunner
from .redeem import Redemption
from .refresh import Refresh
from .sign_out import SignOut
from .tokens import Exchange

#: Of everything that is kept in the store.
CODECS = build_codecs(Session, Flow, PendingCallback, Revocation)


@dataclass(frozen=True)
class RelyingParty:
    """Everything that the routes call.  It knows no Flask."""

    settings: Settings
    clock: Callable[[], float]
    store: Store
    signing: Signing
    sessions: Sessions
    pending_callbacks: PendingCallbacks
    transport: Transport
    tenants: Tenants
    hooks: HookRunner
    sign_in: SignIn
    redemption: Redemption
    refresh: Refresh
    sign_out: SignOut
    presence: Presence
    revocations: Revocations
    key_fingerprints: KeyFingerprints


def build_relying_party(
    settings: Settings,
    store: Store,
    hooks: HookRunner,
    *,
    secret_keys: Sequence[bytes],
    namespace: str,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> RelyingParty:
    """Put the parts together.

    :param secret_keys: ``SECRET_KEY``, then the ``SECRET_KEY_FALLBACKS``.
    :param namespace: the blueprint's name.
    :param clock: returns Unix seconds.
    :param monotonic: returns seconds that never go back.
    :raises OSError: if the certificate authorities of the settings cannot be read.
    """
    signing = Signing(secret_keys, namespace=namespace)
    records = Records(store, Encryption(secret_keys), CODECS, clock=clock)
    revocations = Revocations(
        records, namespace=namespace, lifetime=MAX_SESSION_LIFETIME, clock=clock
    )
    sessions = Sessions(
        records,
        signing,
        namespace=namespace,
        clock=clock,
        flow_lifetime=settings.flow_lifetime,
    )
    transport = Transport(
        timeout=settings.timeout,
        proxies=settings.proxies,
        ca_bundle=settings.ca_bundle,
        clock=monotonic,
    )
    api = TenantAPI(transport, clock=clock, monotonic=monotonic, observe=hooks.tell_of_call)
    tenants = Tenants(
        settings,
        api,
        load=hooks.tenant_loader,
        clock=monotonic,
    )
    exchange = Exchange(api, tenants, hooks, clock=clock)
    urls = AuthorizationURLs(api, hooks, clock=clock)
    sign_in = SignIn(settings, sessions, tenants, urls, hooks, clock=clock)
    sign_out = SignOut(settings, sessions, tenants, exchange, revocations, hooks, clock=clock)
    return RelyingParty(
        settings=settings,
        clock=clock,
        store=store,
        signing=signing,
        sessions=sessions,
        pending_callbacks=PendingCallbacks(records, namespace=namespace, clock=clock),
        transport=transport,
        tenants=tenants,
        hooks=hooks,
        sign_in=sign_in,
        redemption=Redemption(
            settings, sessions, tenants, sign_in, exchange, revocations, hooks, clock=clock
        ),
        refresh=Refresh(settings, sessions, tenants, exchange, revocations, hooks, clock=clock),
        sign_out=sign_out,
        presence=Presence(settings, sessions, tenants, revocations, sign_out, clock=clock),
        revocations=revocations,
        key_fingerprints=KeyFingerprints(
            store,
            signing.fingerprints,
            namespace=namespace,
            clock=clock,
            monotonic=monotonic,
        ),
    )
