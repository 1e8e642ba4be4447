"""How the fields of the settings are read, for one tenant or for each of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field
from typing import Any

from ..protocol.metadata import ClientRegistration
from .client import check_client
from .values import Fault

Fields = Iterable[Field[Any]]
#: Returns the name by which a message calls a field.
Label = Callable[[Field[Any]], str]


def from_setting(name: str, read: Callable[[Any], Any]) -> dict[str, Any]:
    """Return the metadata of a field: the setting's name without its prefix, and its reader."""
    return {"name": name, "read": read}


def of_tenant(name: str, read: Callable[[Any], Any], *, inherited: bool = True) -> dict[str, Any]:
    """Return the metadata of a setting that each tenant may have for itself.

    :param inherited: whether a tenant that leaves it out takes the common value.
    """
    return {**from_setting(name, read), "inherited": inherited}


def is_tenant_specific(setting: Field[Any]) -> bool:
    """Return whether a setting belongs to one tenant and is not inherited by others."""
    return setting.metadata.get("inherited") is False


def is_given(value: Any) -> bool:
    """Return whether a setting has a value; an empty environment variable counts as none."""
    return value is not None and value != ""


def read_fields(
    settings: Fields, given: Mapping[str, Any], label: Label, faults: list[str]
) -> dict[str, Any]:
    """Return the valid values by the names of their fields.

    :param faults: receives a sentence for each invalid value.
    """
    values: dict[str, Any] = {}
    for setting in settings:
        value = given.get(setting.name)
        if not is_given(value):
            continue
        try:
            values[setting.name] = setting.metadata["read"](value)
        except Fault as exc:
            faults.append(f"{label(setting)} {exc}")
    return values


def missing(settings: Fields, given: Mapping[str, Any], label: Label) -> Iterator[str]:
    """Yield a sentence for each required field that has no value."""
    for setting in settings:
        if setting.default is MISSING and not is_given(given.get(setting.name)):
            yield f"{label(setting)} is missing"


def read_tenant_fields(
    settings: Fields, raw: Mapping[str, Any], name: str, faults: list[str]
) -> dict[str, Any]:
    """Return the values of one of several tenants.

    :param raw: the values by the names of the fields, in upper or lower case.
    :param name: what each message begins with.
    """

    def label(setting: Field[Any]) -> str:
        return f"{name}.{setting.name}"

    own = {each.name: each for each in settings if "inherited" in each.metadata}
    given = {str(key).lower(): value for key, value in raw.items()}
    faults += (f"{name}.{key} is no setting of a tenant" for key in given if key not in own)
    faults += missing(own.values(), given, label)
    values = read_fields(own.values(), given, label, faults)
    faults += check_client(values, given, label=lambda setting: f"{name}.{setting.lower()}")
    return values


def find_ambiguous_tenants(
    registrations: tuple[ClientRegistration, ...], prefix: str
) -> Iterator[str]:
    """Yield a sentence for each client or redirect URI that two tenants share."""
    clients: set[tuple[str, str]] = set()
    redirect_uris: set[str] = set()
    for each in registrations:
        label = f"{prefix}TENANTS['{each.name}']"
        client = (each.issuer.removesuffix("/"), each.client_id)
        if client in clients:
            yield f"{label} has domain and client_id of another tenant"
        if not redirect_uris.isdisjoint(each.redirect_uris):
            yield f"{label}.redirect_uris has an address of another tenant: its answers go there"
        clients.add(client)
        redirect_uris.update(each.redirect_uris)
