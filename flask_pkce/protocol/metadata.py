"""The tenant: its issuer, its endpoints, and our registration there.

:rfc:`8414`, OpenID Connect Discovery 1.0
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

from ..errors import TenantMisconfigured
from .addresses import host_of, origin_of, parse_address

_DISCOVERY_PATH = "/.well-known/openid-configuration"


@dataclass(frozen=True)
class Registration:
    """Our registration at a tenant, as the operator configured it."""

    #: The issuer, or the address it was configured with where ``issuer_is_exact`` is false.
    issuer: str
    #: Whether the metadata must name the issuer to the letter.  An issuer URL that was written
    #: without its trailing slash is taken with or without it.
    issuer_is_exact: bool
    client_id: str
    #: None for a public client.
    client_secret: str | None = field(default=None, repr=False)
    #: Hosts on which the tenant's endpoints may lie, besides the issuer's.
    endpoint_hosts: tuple[str, ...] = ()
    #: The algorithms with which ID tokens may be signed.
    algorithms: tuple[str, ...] = ("RS256",)

    @property
    def discovery_url(self) -> str:
        """Where the metadata lies (OpenID Connect Discovery 4)."""
        return self.issuer.removesuffix("/") + _DISCOVERY_PATH

    @property
    def domain(self) -> str:
        """The tenant's host, with its port if it has one."""
        return urlsplit(self.issuer).netloc

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
class Tenant:
    """A tenant whose metadata was checked: the only way to its endpoints."""

    registration: Registration
    issuer: str
    authorization_endpoint: str
    token_endpoint: str
    jwks_uri: str
    userinfo_endpoint: str | None
    revocation_endpoint: str | None
    end_session_endpoint: str | None
    #: Whether every authorization response carries ``iss`` (:rfc:`9207#section-3`).
    announces_iss: bool
    #: The algorithms with which ID tokens may be signed, and are.
    algorithms: tuple[str, ...]

    @property
    def client_id(self) -> str:
        """Our ``client_id`` at this tenant."""
        return self.registration.client_id


def parse_metadata(document: Mapping[str, Any], registration: Registration) -> Tenant:
    """Check a tenant's metadata against our registration.

    :raises TenantMisconfigured: if the issuer is another one (:rfc:`8414#section-3.3`), a member
        that is needed is missing, an endpoint lies where it must not, or ID tokens are signed
        with algorithms that are not allowed.
    """
    issuer = document.get("issuer")
    expected = registration.issuer
    accepted = {expected} if registration.issuer_is_exact else {expected, f"{expected}/"}
    if not isinstance(issuer, str) or issuer not in accepted:
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

    return Tenant(
        registration=registration,
        issuer=issuer,
        authorization_endpoint=needed("authorization_endpoint"),
        token_endpoint=needed("token_endpoint"),
        jwks_uri=needed("jwks_uri"),
        userinfo_endpoint=endpoint("userinfo_endpoint"),
        revocation_endpoint=endpoint("revocation_endpoint"),
        end_session_endpoint=endpoint("end_session_endpoint"),
        announces_iss=document.get("authorization_response_iss_parameter_supported") is True,
        algorithms=_common_algorithms(document, registration),
    )


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


def _common_algorithms(document: Mapping[str, Any], registration: Registration) -> tuple[str, ...]:
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
