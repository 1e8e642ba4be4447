"""The settings of one blueprint in one application: what there is, and what it means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..protocol.client_key import ClientKey
from ..protocol.metadata import ClientAuth, ClientRegistration, PushedRequests, parse_domain
from ..protocol.urls import is_loopback_host
from ..stores.base import DEFAULT_PREFIX
from .client import (
    read_client_auth,
    read_client_key,
    read_contexts,
    read_key_algorithm,
    read_key_id,
    read_organization,
    read_organizations,
    read_pushed_requests,
)
from .fields import from_setting as _from
from .fields import of_tenant as _of_tenant
from .values import (
    LoginLinks,
    TokenDelivery,
    read_algorithms,
    read_boolean,
    read_ca_bundle,
    read_client_id,
    read_count,
    read_delivery,
    read_destination,
    read_domain,
    read_hosts,
    read_listed,
    read_login_links,
    read_openid_scopes,
    read_origins,
    read_parameter_names,
    read_proxies,
    read_public_url,
    read_public_urls,
    read_redirect_uris,
    read_response_mode,
    read_scopes,
    read_seconds,
    read_store,
    read_tenants,
    read_text,
)

#: Seconds that a signed-in session may live: 90 days.
MAX_SESSION_LIFETIME = 90 * 86400


@dataclass(frozen=True, kw_only=True)
class Settings:
    """The settings of one blueprint in one application, checked.

    The comment of a field is its documentation.
    """

    #: The tenant: its host (``example.eu.auth0.com``), or an issuer URL.
    #: Plain ``http:`` only for a loopback host.
    domain: str = field(metadata=_of_tenant("DOMAIN", read_domain, inherited=False))
    #: The ``client_id`` of the application at the tenant.
    client_id: str = field(metadata=_of_tenant("CLIENT_ID", read_client_id, inherited=False))
    #: The client secret of a confidential application; none for a public one.
    #: A server on the internet that keeps the tokens (``PKCE_TOKEN_DELIVERY`` ``session``) should
    #: have one, or a ``PKCE_CLIENT_KEY``: without either the start logs a warning.
    client_secret: str | None = field(
        default=None, repr=False, metadata=_of_tenant("CLIENT_SECRET", read_text, inherited=False)
    )
    #: The private key with which a confidential application signs its client assertions
    #: (``private_key_jwt``): a PEM, a JWK, or the path of a file with either.
    #: RSA of 2048 to 4096 bits, P-256, P-384, P-521 or Ed25519, without a passphrase.
    client_key: ClientKey | None = field(
        default=None,
        repr=False,
        metadata=_of_tenant("CLIENT_KEY", read_client_key, inherited=False),
    )
    #: The ``kid`` by which the tenant finds the public key; not needed if the JWK has one.
    client_key_id: str | None = field(
        default=None, metadata=_of_tenant("CLIENT_KEY_ID", read_key_id, inherited=False)
    )
    #: The JWS algorithm of client assertions, such as ``PS256``, if the tenant requires another
    #: than the key's default; not needed if the JWK has an ``alg``.
    client_key_algorithm: str | None = field(
        default=None,
        metadata=_of_tenant("CLIENT_KEY_ALGORITHM", read_key_algorithm, inherited=False),
    )
    #: How this server authenticates at the tenant: ``client_secret_post``,
    #: ``client_secret_basic``, ``private_key_jwt`` or ``none``.
    #: By default with the key if there is one, otherwise with the secret, by a method that the
    #: tenant's metadata lists.
    client_auth: ClientAuth | None = field(
        default=None, metadata=_of_tenant("CLIENT_AUTH", read_client_auth, inherited=False)
    )
    #: Whether authorization requests are pushed to the tenant before the browser goes there:
    #: ``always``, ``never``, or ``auto``, which pushes them if the tenant requires it.
    par: PushedRequests = field(
        default=PushedRequests.AUTO,
        metadata=_of_tenant("PAR", read_pushed_requests, inherited=False),
    )
    #: The organization whose users sign in, unless a caller names another: its id, ``org_…``, or
    #: its name.
    #: The ID token must confirm that the user signed in there.
    organization: str | None = field(
        default=None, metadata=_of_tenant("ORGANIZATION", read_organization, inherited=False)
    )
    #: Further organizations that a caller may ask for.
    #: Without ``PKCE_ORGANIZATION``, no organization is requested by default, and a user may come
    #: from one of these or from none.
    allowed_organizations: tuple[str, ...] = field(
        default=(),
        metadata=_of_tenant("ALLOWED_ORGANIZATIONS", read_organizations, inherited=False),
    )
    #: Authentication contexts that every sign-in requests; the ID token must have one of them in
    #: ``acr``.
    #: A caller, and a view by ``login_required(acr=…)``, may ask for one of them.
    #: For Auth0's ``http://schemas.openid.net/pape/policies/2007/06/multi-factor`` an ``amr``
    #: with ``mfa`` will do.
    acr_values: tuple[str, ...] = field(
        default=(), metadata=_of_tenant("ACR_VALUES", read_contexts, inherited=False)
    )
    #: The API that access tokens are for, if there is one.
    audience: str | None = field(default=None, metadata=_of_tenant("AUDIENCE", read_text))
    #: The scope that sign-ins request, by default ``openid profile email``.
    #: Add ``offline_access`` for refresh tokens.
    scope: tuple[str, ...] = field(
        default=("openid", "profile", "email"), metadata=_of_tenant("SCOPE", read_openid_scopes)
    )
    #: Further audiences that a caller may ask for.
    allowed_audiences: tuple[str, ...] = field(
        default=(), metadata=_of_tenant("ALLOWED_AUDIENCES", read_listed)
    )
    #: Audiences that an ID token may have besides our ``client_id``, which it always must have.
    #: Its ``azp`` must be our ``client_id`` then.  ZITADEL adds the id of its project.
    trusted_audiences: tuple[str, ...] = field(
        default=(), metadata=_of_tenant("TRUSTED_AUDIENCES", read_listed)
    )
    #: Further scopes that a caller may ask for.
    allowed_scopes: tuple[str, ...] = field(
        default=(), metadata=_of_tenant("ALLOWED_SCOPES", read_scopes)
    )
    #: Further origins whose pages may call the routes, such as a single-page app of your own.
    #: The library sends no CORS headers; use Flask-CORS.
    allowed_origins: tuple[str, ...] = field(
        default=(), metadata=_from("ALLOWED_ORIGINS", read_origins)
    )
    #: The address of the application's root as users see it, any prefix included.
    #: Required unless the application is used on a loopback host only.
    public_url: str | None = field(default=None, metadata=_from("PUBLIC_URL", read_public_url))
    #: Further addresses of that root, such as the domains of your customers; each request is
    #: answered at the address whose host it names.
    further_public_urls: tuple[str, ...] = field(
        default=(), metadata=_from("FURTHER_PUBLIC_URLS", read_public_urls)
    )
    #: Redirect URIs that a caller may ask for, besides our own callback.
    redirect_uris: tuple[str, ...] = field(
        default=(), metadata=_of_tenant("REDIRECT_URIS", read_redirect_uris, inherited=False)
    )
    #: How the tenant returns the authorization response: ``form_post``, which keeps the code out
    #: of URLs, or ``query``.
    response_mode: str = field(
        default="form_post", metadata=_of_tenant("RESPONSE_MODE", read_response_mode)
    )
    #: Where sign-ins are kept: ``sqlite:///pkce.db`` (relative to the instance folder, serves
    #: all workers of one machine), ``redis://host:6379/0`` (many machines), ``memory://`` (one
    #: process), or a store object.
    store_url: Any = field(
        default="sqlite:///pkce.db", repr=False, metadata=_from("STORE_URL", read_store)
    )
    #: The prefix of all keys on a Redis server, which other applications may use too.
    store_prefix: str = field(default=DEFAULT_PREFIX, metadata=_from("STORE_PREFIX", read_text))
    #: Seconds that a sign-in may take from start to end.
    flow_lifetime: int = field(
        default=600, metadata=_from("FLOW_LIFETIME", read_seconds(10, 3600))
    )
    #: Lifetime of a signed-in session in seconds, even if it is in use.
    session_lifetime: int = field(
        default=86400, metadata=_from("SESSION_LIFETIME", read_seconds(60, MAX_SESSION_LIFETIME))
    )
    #: Idle timeout of a signed-in session in seconds, with delivery ``session``; by default only
    #: ``PKCE_SESSION_LIFETIME`` ends a session.
    session_idle_lifetime: int | None = field(
        default=None,
        metadata=_from("SESSION_IDLE_LIFETIME", read_seconds(60, MAX_SESSION_LIFETIME)),
    )
    #: Whether ``POST /pkce/logout/backchannel`` accepts the tenant's logout tokens.
    backchannel_logout: bool = field(
        default=False, metadata=_from("BACKCHANNEL_LOGOUT", read_boolean)
    )
    #: Where tokens go: ``caller`` returns them to the caller, as the published API says;
    #: ``session`` keeps them on the server.
    token_delivery: TokenDelivery = field(
        default=TokenDelivery.CALLER, metadata=_from("TOKEN_DELIVERY", read_delivery)
    )
    #: Which links from other sites to ``/pkce/login`` show a page that asks before the sign-in
    #: starts: ``auto``, those that name a tenant other than the default one and all links while
    #: a user is signed in; ``ask``, every link.
    login_links: LoginLinks = field(
        default=LoginLinks.AUTO, metadata=_from("LOGIN_LINKS", read_login_links)
    )
    #: Whether programs without cookies on this machine share one session.
    #: For a single-user server on the loopback interface alone.
    local_session: bool = field(default=False, metadata=_from("LOCAL_SESSION", read_boolean))
    #: Where the browser goes after a sign-in; by default to a page that says the sign-in is done
    #: or, with delivery ``session``, to the application's root.
    authenticated_url: str | None = field(
        default=None, metadata=_from("AUTHENTICATED_URL", read_destination)
    )
    #: Where the browser goes after it has cleared its session.
    unauthenticated_url: str | None = field(
        default=None, metadata=_from("UNAUTHENTICATED_URL", read_destination)
    )
    #: Names of ``ADDITIONAL_PARAMETERS`` that a caller may send, besides the usual ones.
    additional_parameters: tuple[str, ...] = field(
        default=(), metadata=_from("ADDITIONAL_PARAMETERS", read_parameter_names)
    )
    #: Hosts on which the tenant's endpoints may lie, besides the issuer's.
    endpoint_hosts: tuple[str, ...] = field(
        default=(), metadata=_of_tenant("ENDPOINT_HOSTS", read_hosts, inherited=False)
    )
    #: The ``http://`` proxy for calls to the tenant, or one by scheme; those of the environment
    #: are not used.
    proxies: Mapping[str, str] | None = field(
        default=None, repr=False, metadata=_from("PROXIES", read_proxies)
    )
    #: A file or folder of certificate authorities; those of the environment are not used.
    ca_bundle: str | None = field(default=None, metadata=_from("CA_BUNDLE", read_ca_bundle))
    #: Seconds that a whole call to the tenant may take.
    timeout: int = field(default=10, metadata=_from("TIMEOUT", read_seconds(1, 60)))
    #: Calls to one tenant, and requests that wait for such a call, that one process may have
    #: under way at once.
    #: A tenant that does not answer holds no more threads than that; keep it below the number of
    #: threads of a worker.
    max_calls: int = field(default=8, metadata=_of_tenant("MAX_CALLS", read_count(2, 1000)))
    #: Seconds by which our clock and the tenant's may differ.
    leeway: int = field(default=60, metadata=_from("LEEWAY", read_seconds(0, 300)))
    #: Whether ``GET /pkce/openapi.json`` describes the routes.
    openapi: bool = field(default=False, metadata=_from("OPENAPI", read_boolean))
    #: Algorithms with which ID tokens may be signed.
    algorithms: tuple[str, ...] = field(
        default=("RS256",), metadata=_of_tenant("ALGORITHMS", read_algorithms)
    )

    #: Several tenants: a mapping of a name for each to its settings, see :doc:`tenants`.
    tenants: tuple[ClientRegistration, ...] = field(
        default=(), metadata=_from("TENANTS", read_tenants)
    )

    @property
    def registrations(self) -> tuple[ClientRegistration, ...]:
        """Our registration at each tenant, the default one first."""
        return (self.registration(""), *self.tenants) if self.domain else self.tenants

    def registration(self, name: str) -> ClientRegistration:
        """Our registration at a tenant that has these settings."""
        issuer, is_exact = parse_domain(self.domain)
        key = self.client_key
        if key is not None:
            key = key.named(kid=self.client_key_id, algorithm=self.client_key_algorithm)
        return ClientRegistration(
            issuer=issuer,
            issuer_is_exact=is_exact,
            client_id=self.client_id,
            client_secret=self.client_secret,
            client_key=key,
            client_auth=self.client_auth,
            pushed_requests=self.par,
            organization=self.organization,
            allowed_organizations=self.allowed_organizations,
            acr_values=self.acr_values,
            endpoint_hosts=self.endpoint_hosts,
            algorithms=self.algorithms,
            audience=self.audience,
            scope=self.scope,
            allowed_audiences=self.allowed_audiences,
            trusted_audiences=self.trusted_audiences,
            allowed_scopes=self.allowed_scopes,
            redirect_uris=self.redirect_uris,
            response_mode=self.response_mode,
            max_calls=self.max_calls,
            name=name,
        )

    @property
    def delivers_to_session(self) -> bool:
        """Whether codes, verifiers and tokens stay on the server."""
        return self.token_delivery is TokenDelivery.SESSION

    @property
    def lacks_client_secret(self) -> bool:
        """Whether tokens stay on a server on the internet that is no confidential client.

        :rfc:`10017#section-6.1.3.1`
        """
        return (
            self.delivers_to_session
            and any(each.is_public for each in self.registrations)
            and not is_loopback(self.public_url)
        )


def is_loopback(public_url: str | None) -> bool:
    """Whether users reach the application on a loopback host alone."""
    return public_url is None or is_loopback_host(urlsplit(public_url).hostname or "")
