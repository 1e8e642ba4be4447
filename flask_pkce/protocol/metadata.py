"""The tenant: its issuer, its endpoints, and our registration there.

:rfc:`8414`, OpenID Connect Discovery 1.0
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from ..errors import TenantMisconfigured
from .urls import host_of, origin_of, parse_address

if TYPE_CHECKING:
    # joserfc comes with it, and only whoever reads a key needs that.
    from .client_key import ClientKey

_DISCOVERY_PATH = "/.well-known/openid-configuration"


class ClientAuth(StrEnum):
    """How a client authenticates at the tenant, as OpenID Connect Core 9 calls it."""

    #: A public client: it gives its id alone.
    NONE = "none"
    #: The secret in the form.
    CLIENT_SECRET_POST = "client_secret_post"
    #: The secret in a header.
    CLIENT_SECRET_BASIC = "client_secret_basic"
    #: An assertion that the client's private key signs (:rfc:`7523`).
    PRIVATE_KEY_JWT = "private_key_jwt"


class PushedRequests(StrEnum):
    """Whether authorization requests are pushed to the tenant (:rfc:`9126`)."""

    #: Where the tenant demands it.
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


@dataclass(frozen=True)
class ClientRegistration:
    """Our registration at a tenant, as the operator configured it."""

    #: The issuer, or the address it was configured with where ``issuer_is_exact`` is false.
    issuer: str
    #: Whether the metadata must name the issuer to the letter.  An issuer URL that was written
    #: without its trailing slash is taken with or without it.
    issuer_is_exact: bool
    client_id: str
    #: None for a public client.
    client_secret: str | None = field(default=None, repr=False)
    #: The private key of a client that signs assertions.
    client_key: ClientKey | None = field(default=None, repr=False)
    #: How we authenticate; None lets the tenant's metadata decide among what there is.
    client_auth: ClientAuth | None = None
    pushed_requests: PushedRequests = PushedRequests.AUTO
    #: The organization whose users sign in, where the caller names none: an id or a name.
    organization: str | None = None
    #: Further organizations that may sign in.
    allowed_organizations: tuple[str, ...] = ()
    #: Authentication contexts of which each sign-in must have one.
    acr_values: tuple[str, ...] = ()
    #: Hosts on which the tenant's endpoints may lie, besides the issuer's.
    endpoint_hosts: tuple[str, ...] = ()
    #: The algorithms with which ID tokens may be signed.
    algorithms: tuple[str, ...] = ("RS256",)
    #: The API for which access tokens are asked, if there is one.
    audience: str | None = None
    #: The scope that is asked for.
    scope: tuple[str, ...] = ("openid", "profile", "email")
    #: Further audiences and scopes that a caller may ask for.
    allowed_audiences: tuple[str, ...] = ()
    allowed_scopes: tuple[str, ...] = ()
    #: Audiences that an ID token may have besides our ``client_id``.
    trusted_audiences: tuple[str, ...] = ()
    #: Redirect URIs that a caller may ask for, besides our own callback.
    redirect_uris: tuple[str, ...] = ()
    #: How the tenant answers.
    response_mode: str = "form_post"
    #: Calls to the tenant, and waits for one, that one process may have under way at once.
    max_calls: int = 8
    #: What tells it from others, where there are several; empty for that of ``PKCE_DOMAIN``.
    name: str = ""

    @property
    def issuers(self) -> frozenset[str]:
        """The issuers that its metadata may name."""
        if self.issuer_is_exact:
            return frozenset({self.issuer})
        return frozenset({self.issuer, f"{self.issuer}/"})

    @property
    def scopes_allowed(self) -> frozenset[str]:
        """Every scope that a caller may ask for."""
        return frozenset(self.scope + self.allowed_scopes)

    @property
    def audiences_allowed(self) -> frozenset[str]:
        """Every audience that a caller may ask for."""
        own = () if self.audience is None else (self.audience,)
        return frozenset((*own, *self.allowed_audiences))

    @property
    def discovery_url(self) -> str:
        """Where the metadata lies (OpenID Connect Discovery 4)."""
        return self.issuer.removesuffix("/") + _DISCOVERY_PATH

    @property
    def organizations(self) -> tuple[str, ...]:
        """Every organization that may sign in; none where anyone may."""
        if self.organization is None:
            return self.allowed_organizations
        return (self.organization, *self.allowed_organizations)

    @property
    def is_public(self) -> bool:
        """Whether there is nothing by which we could authenticate."""
        return self.client_secret is None and self.client_key is None

    @property
    def domain(self) -> str:
        """The tenant's host, with its port if it has one."""
        return urlsplit(self.issuer).netloc

    def matches(self, issuer: str, client_id: str) -> bool:
        """Whether this is the registration of a client at an issuer.

        :param client_id: empty where it is not known.
        """
        return issuer in self.issuers and client_id in {"", self.client_id}

    def names(self, domain: str) -> bool:
        """Whether a caller's ``domain`` means this tenant.

        :param domain: a host, an origin, or the address of the authorization endpoint.
        """
        try:
            parts = parse_address(domain if "://" in domain else f"https://{domain}")
        except ValueError:
            return False
        if parts.query or parts.fragment or parts.path not in {"", "/", "/authorize"}:
            return False
        ours = urlsplit(self.issuer)
        if "://" in domain:
            return origin_of(parts) == origin_of(ours)
        return parts.netloc == ours.netloc


def parse_domain(text: str) -> tuple[str, bool]:
    """Read ``PKCE_DOMAIN``: the host of a tenant, or an issuer URL.

    :return: the issuer, and whether it must be met to the letter.
    :raises ValueError: with a sentence that says what is wrong.
    """
    is_url = "://" in text
    try:
        parts = parse_address(text if is_url else f"https://{text}")
    except ValueError as exc:
        raise ValueError(f"{exc}: give the tenant's host or its issuer URL") from None
    if parts.query or parts.fragment:
        raise ValueError("must not contain a query or a fragment")
    if parts.path == "/authorize" or not is_url:
        if parts.path not in {"", "/", "/authorize"}:
            raise ValueError("has a path: write an issuer with a path as a URL")
        return f"{origin_of(parts)}/", True
    return f"{origin_of(parts)}{parts.path}", parts.path.endswith("/")


@dataclass(frozen=True)
class TenantMetadata:
    """A tenant whose metadata was checked: the only way to its endpoints."""

    registration: ClientRegistration
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    #: Shown to callers, never called: it may lie on any host.
    userinfo_endpoint: str | None
    revocation_endpoint: str | None
    end_session_endpoint: str | None
    #: Whether every authorization response carries ``iss`` (:rfc:`9207#section-3`).
    announces_iss: bool
    #: The algorithms with which ID tokens may be signed, and are.
    algorithms: tuple[str, ...]
    #: How we authenticate here.
    client_auth: ClientAuth
    #: What our assertions are signed with, where that is how.
    assertion_algorithm: str | None
    #: Where authorization requests are pushed; None where they are not.
    par_endpoint: str | None

    @property
    def name(self) -> str:
        """What tells it from others, where there are several."""
        return self.registration.name

    @property
    def client_id(self) -> str:
        """Our ``client_id`` at this tenant."""
        return self.registration.client_id


def parse_metadata(
    document: Mapping[str, Any], registration: ClientRegistration
) -> TenantMetadata:
    """Check a tenant's metadata against our registration.

    Endpoints that the library calls, or sends browsers to, must lie on the issuer's host or on one
    of ``PKCE_ENDPOINT_HOSTS``, even if they are optional: a foreign ``revocation_endpoint`` that
    counted as absent would leave refresh tokens alive.  The endpoint for pushed requests counts
    only where requests are pushed.  The library never calls the ``userinfo_endpoint``, so that may
    lie on any host, as at Microsoft Entra ID.

    :raises TenantMisconfigured: if the issuer is another one (:rfc:`8414#section-3.3`), a member
        that is needed is missing, an endpoint lies where it must not, ID tokens are signed
        with algorithms that are not allowed, or the tenant wants another client authentication
        or pushed requests than the settings have.
    """
    issuer = document.get("issuer")
    expected = registration.issuer
    if not isinstance(issuer, str) or issuer not in registration.issuers:
        raise TenantMisconfigured("the tenant's metadata names another issuer than PKCE_DOMAIN")
    hosts = {host_of(urlsplit(expected)), *registration.endpoint_hosts}
    plain_http = expected.startswith("http://")

    def endpoint(name: str) -> str | None:
        value = document.get(name)
        if value is None:
            return None
        return _check_endpoint(name, value, hosts=hosts, plain_http=plain_http)

    def needed(name: str) -> str:
        value = endpoint(name)
        if value is None:
            raise TenantMisconfigured(f"the tenant's metadata has no {name}")
        return value

    client_auth = _client_auth(document, registration)
    return TenantMetadata(
        registration=registration,
        issuer=issuer,
        authorization_endpoint=needed("authorization_endpoint"),
        token_endpoint=needed("token_endpoint"),
        jwks_uri=needed("jwks_uri"),
        userinfo_endpoint=_shown_address(document.get("userinfo_endpoint"), plain_http),
        revocation_endpoint=endpoint("revocation_endpoint"),
        end_session_endpoint=endpoint("end_session_endpoint"),
        announces_iss=document.get("authorization_response_iss_parameter_supported") is True,
        algorithms=_common_algorithms(document, registration),
        client_auth=client_auth,
        assertion_algorithm=_assertion_algorithm(document, registration, client_auth),
        par_endpoint=_par_endpoint(document, registration, client_auth, endpoint),
    )


def _shown_address(value: Any, plain_http: bool) -> str | None:
    """Return an endpoint that is only shown, or None if the library could not call it."""
    if not isinstance(value, str) or "#" in value:
        return None
    try:
        parts = parse_address(value)
    except ValueError:
        return None
    return value if plain_http or parts.scheme == "https" else None


def _check_endpoint(name: str, value: Any, *, hosts: Collection[str], plain_http: bool) -> str:
    if not isinstance(value, str):
        raise TenantMisconfigured(f"{name} in the tenant's metadata is no string")
    try:
        parts = parse_address(value)
    except ValueError as exc:
        raise TenantMisconfigured(f"{name} in the tenant's metadata {exc}") from None
    if parts.scheme == "http" and not plain_http:
        raise TenantMisconfigured(f"{name} in the tenant's metadata must begin with https://")
    if "#" in value:
        raise TenantMisconfigured(f"{name} in the tenant's metadata has a fragment")
    if host_of(parts) not in hosts:
        raise TenantMisconfigured(
            f"{name} in the tenant's metadata lies on another host than the issuer;"
            " if that is meant, name the host in PKCE_ENDPOINT_HOSTS"
        )
    return value


def _common_algorithms(
    document: Mapping[str, Any], registration: ClientRegistration
) -> tuple[str, ...]:
    """The allowed algorithms that the tenant uses; all of them where it does not say."""
    announced = document.get("id_token_signing_alg_values_supported")
    if not isinstance(announced, list):
        return registration.algorithms
    common = tuple(alg for alg in registration.algorithms if alg in announced)
    if not common:
        raise TenantMisconfigured(
            "id_token_signing_alg_values_supported in the tenant's metadata has none of"
            " PKCE_ALGORITHMS"
        )
    return common


def _client_auth(document: Mapping[str, Any], registration: ClientRegistration) -> ClientAuth:
    """How we authenticate: as it is configured, else as the tenant announces it.

    :rfc:`8414#section-2`
    """
    if registration.client_auth is not None:
        return registration.client_auth
    if registration.is_public:
        return ClientAuth.NONE
    announced = document.get("token_endpoint_auth_methods_supported")
    if not isinstance(announced, list):
        # What a tenant is taken to support that does not say.
        announced = [ClientAuth.CLIENT_SECRET_BASIC, ClientAuth.PRIVATE_KEY_JWT]
    possible = (
        (ClientAuth.CLIENT_SECRET_POST, ClientAuth.CLIENT_SECRET_BASIC)
        if registration.client_key is None
        else (ClientAuth.PRIVATE_KEY_JWT,)
    )
    for method in possible:
        if method in announced:
            return method
    raise TenantMisconfigured(
        "token_endpoint_auth_methods_supported in the tenant's metadata has no"
        f" {' and no '.join(possible)}; if the tenant takes one of them nevertheless, name it in"
        " PKCE_CLIENT_AUTH"
    )


def _assertion_algorithm(
    document: Mapping[str, Any], registration: ClientRegistration, client_auth: ClientAuth
) -> str | None:
    """The first algorithm of our key that the tenant takes; its first where it does not say."""
    if client_auth is not ClientAuth.PRIVATE_KEY_JWT or registration.client_key is None:
        return None
    algorithms = registration.client_key.algorithms
    announced = document.get("token_endpoint_auth_signing_alg_values_supported")
    if not isinstance(announced, list):
        return algorithms[0]
    for algorithm in algorithms:
        if algorithm in announced:
            return algorithm
    raise TenantMisconfigured(
        "token_endpoint_auth_signing_alg_values_supported in the tenant's metadata has no"
        " algorithm that PKCE_CLIENT_KEY signs with"
    )


def _par_endpoint(
    document: Mapping[str, Any],
    registration: ClientRegistration,
    client_auth: ClientAuth,
    endpoint: Callable[[str], str | None],
) -> str | None:
    """Return where requests are pushed, or None if they are not.

    :param endpoint: checks the endpoint of a name; called only where requests are pushed.

    :rfc:`9126#section-5`
    """
    is_demanded = document.get("require_pushed_authorization_requests") is True
    wanted = registration.pushed_requests
    if wanted is PushedRequests.NEVER and is_demanded:
        raise TenantMisconfigured(
            "the tenant demands pushed authorization requests, and PKCE_PAR is `never`"
        )
    if wanted is PushedRequests.NEVER or (wanted is PushedRequests.AUTO and not is_demanded):
        return None
    url = endpoint("pushed_authorization_request_endpoint")
    if url is None:
        raise TenantMisconfigured(
            "the tenant's metadata has no pushed_authorization_request_endpoint;"
            " PKCE_PAR `always` needs one"
        )
    if client_auth is ClientAuth.NONE:
        raise TenantMisconfigured(
            "the tenant demands pushed authorization requests, which confidential clients make:"
            " set PKCE_CLIENT_SECRET or PKCE_CLIENT_KEY"
        )
    return url
