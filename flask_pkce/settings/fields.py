"""Where the fields of the settings come from: for all tenants, or for one of several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field
from typing import Any

from ..protocol.metadata import ClientRegistration
from .client import check_client
from .values import Fault

Fields = Iterable[Field[Any]]
#: What a fault calls a field.
Label = Callable[[Field[Any]], str]


def from_setting(name: str, read: Callable[[Any], Any]) -> dict[str, Any]:
    """Where a field comes from: the setting ``PKCE_`` and this name, and how it is read."""
    return {"name": name, "read": read}


def of_tenant(name: str, read: Callable[[Any], Any], *, inherited: bool = True) -> dict[str, Any]:
    """The same, of a setting that each of several tenants may have for itself.

    :param inherited: whether a tenant that leaves it out has that of all.
    """
    return {**from_setting(name, read), "inherited": inherited}


def is_own(setting: Field[Any]) -> bool:
    """Whether the setting belongs to one tenant, and no other inherits it."""
    return setting.metadata.get("inherited") is False


def is_given(value: Any) -> bool:
    """Whether a setting has a value: from the environment an empty one comes as a text."""
    return value is not None and value != ""


def read_fields(
    settings: Fields, given: Mapping[str, Any], label: Label, faults: list[str]
) -> dict[str, Any]:
    """The values that are given and good, by the names of their fields.

    :param faults: gets a sentence for each that is not good.
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
    """A sentence for each field that must have a value, and has none."""
    for setting in settings:
        if setting.default is MISSING and not is_given(given.get(setting.name)):
            yield f"{label(setting)} is missing"


def read_tenant_fields(
    settings: Fields, raw: Mapping[str, Any], name: str, faults: list[str]
) -> dict[str, Any]:
    """The values of one of several tenants.

    :param raw: by the names of the fields, in any case.
    :param name: what a fault begins with.
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


def confusable(registrations: tuple[ClientRegistration, ...], prefix: str) -> Iterator[str]:
    """What of a tenant could be taken for another's."""
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
