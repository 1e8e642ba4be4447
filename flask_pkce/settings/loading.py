"""From a mapping of ``PKCE_*`` to frozen :class:`Settings`, or to every fault at once."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import Field, fields
from difflib import get_close_matches
from typing import Any

from ..errors import ConfigurationError
from ..protocol.metadata import ClientRegistration
from .client import check_client
from .fields import (
    find_ambiguous_tenants,
    is_given,
    is_tenant_specific,
    missing,
    read_fields,
    read_tenant_fields,
)
from .model import Settings, is_loopback
from .tenant import TenantSettings
from .values import TENANT_NAME, Fault, TokenDelivery, is_tenant_name, read_public_url

#: How alike, from 0 to 1, a name without our prefix is to the setting that is meant.
_VERY_ALIKE = 0.85


def read_settings(
    config: Mapping[str, Any],
    *,
    prefix: str = "PKCE_",
    server_name: str | None = None,
    scheme: str = "http",
    has_loader: bool = False,
) -> Settings:
    """Read the settings of a mapping such as ``app.config``.

    :param prefix: what the names begin with.
    :param server_name: Flask's ``SERVER_NAME``, which stands for ``PKCE_PUBLIC_URL``.
    :param scheme: Flask's ``PREFERRED_URL_SCHEME``.
    :param has_loader: whether tenants come from a ``tenant_loader`` too.
    :raises ConfigurationError: with every fault at once, each beginning with its setting's name.
    """
    faults: list[str] = []

    def label(setting: Field[Any]) -> str:
        return f"{prefix}{setting.metadata['name']}"

    every = fields(Settings)
    given = {setting.name: config.get(label(setting)) for setting in every}
    is_elsewhere = has_loader or bool(given["tenants"])
    needs_domain = not is_elsewhere or any(
        is_given(given[s.name]) for s in every if is_tenant_specific(s)
    )
    if needs_domain:
        faults += missing(every, given, label)
    values = read_fields(every, given, label, faults)
    faults += check_client(values, given, label=lambda name: f"{prefix}{name}")
    if not needs_domain:
        values |= {"domain": "", "client_id": ""}
    tenants: Mapping[str, Mapping[str, Any]] = values.pop("tenants", {})
    if server_name and "public_url" not in values:
        try:
            values["public_url"] = read_public_url(f"{scheme}://{server_name}")
        except Fault as exc:
            faults.append(f"{prefix}PUBLIC_URL is missing, and made of SERVER_NAME it {exc}")
    further = values.get("further_public_urls", ())
    if values.get("local_session") and not all(
        map(is_loopback, (values.get("public_url"), *further))
    ):
        faults.append(
            f"{prefix}LOCAL_SESSION is on while {prefix}PUBLIC_URL is not a loopback address:"
            " everybody could use the one session"
        )
    if further and "public_url" not in values:
        faults.append(f"{prefix}FURTHER_PUBLIC_URLS is set while {prefix}PUBLIC_URL is missing")
    if values.get("redirect_uris") and values.get("token_delivery") is TokenDelivery.SESSION:
        faults.append(
            f"{prefix}REDIRECT_URIS is set while {prefix}TOKEN_DELIVERY is `session`:"
            " the code must come to this server"
        )
    read = {
        name: read_tenant_fields(every, raw, f"{prefix}TENANTS['{name}']", faults)
        for name, raw in tenants.items()
    }
    if values.get("token_delivery") is TokenDelivery.SESSION:
        faults += (
            f"{prefix}TENANTS['{name}'].redirect_uris is set while {prefix}TOKEN_DELIVERY is"
            " `session`: the code must come to this server"
            for name, each in read.items()
            if each.get("redirect_uris")
        )
    if faults:
        raise ConfigurationError(faults)
    settings = Settings(**values)
    registrations = [_build_tenant(settings, name, each) for name, each in read.items()]
    settings = dataclasses.replace(settings, tenants=tuple(registrations))
    faults += find_ambiguous_tenants(settings.registrations, prefix)
    if faults:
        raise ConfigurationError(faults)
    return settings


def read_tenant(settings: Settings, tenant: TenantSettings) -> ClientRegistration:
    """Read what a ``tenant_loader`` made.

    :param settings: those of all tenants.
    :raises ConfigurationError: with every fault at once.
    """
    label = f"tenant_loader: {tenant.name!r}"
    faults: list[str] = []
    if not is_tenant_name(tenant.name):
        raise ConfigurationError(f"{label} is no name of a tenant: {TENANT_NAME}")
    values = read_tenant_fields(fields(Settings), tenant.settings, label, faults)
    if values.get("redirect_uris"):
        # Nobody could tell that no other tenant has them.
        faults.append(f"{label}.redirect_uris stands in PKCE_TENANTS alone")
    if faults:
        raise ConfigurationError(faults)
    return _build_tenant(settings, tenant.name, values)


def _build_tenant(settings: Settings, name: str, values: Mapping[str, Any]) -> ClientRegistration:
    """Our registration at one of several tenants, which inherits what is no tenant's own."""
    own = {
        setting.name: setting.default
        for setting in fields(settings)
        if is_tenant_specific(setting)
    }
    return dataclasses.replace(settings, **{**own, **values}).registration(name)


def find_misspelt(
    config: Mapping[str, Any], *, prefix: str = "PKCE_", other_prefixes: Iterable[str] = ()
) -> tuple[tuple[str, str | None], ...]:
    """Find the names of a mapping that look like settings and are none.

    :param prefix: what the names of settings begin with.
    :param other_prefixes: those of other blueprints.
    :return: each name with the setting that may be meant; None if there is none that is alike.
    """
    names = [setting.metadata["name"] for setting in fields(Settings)]
    known = tuple(prefix + name for name in names)
    # Such a prefix may begin with this one.
    others = tuple(other for other in other_prefixes if other != prefix)
    found: list[tuple[str, str | None]] = []
    for name in map(str, config):
        if name in known or name.startswith(others):
            continue
        if name.startswith(prefix):
            alike = get_close_matches(name.removeprefix(prefix), names, 1)
            found.append((name, prefix + alike[0] if alike else None))
        elif not name.endswith(known):
            # The prefix itself may be misspelt.
            found += ((name, each) for each in get_close_matches(name, known, 1, _VERY_ALIKE))
    return tuple(found)
