"""All checks, of one blueprint after the other."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from flask import Flask

from ...errors import ConfigurationError, PKCEError
from ...protocol.metadata import ClientRegistration
from ...web.context import Extension
from .callback import callback
from .findings import Check, Finding, Patient, skipped, wrong
from .host import cookies, csrf, local_session, proxy
from .settings import client_secret, of_faults, public_url, secret_key, settings
from .store import shared_key, store, workers
from .tenant import read_tenant

_OF_BLUEPRINT: tuple[Check, ...] = (
    settings,
    client_secret,
    public_url,
    proxy,
    local_session,
    cookies,
    csrf,
    store,
    workers,
    shared_key,
)

#: Every check, in the order of the table.
CHECKS = (
    "secret-key",
    "settings",
    "client-secret",
    "public-url",
    "proxy",
    "local-session",
    "cookies",
    "csrf",
    "store",
    "workers",
    "shared-key",
    "discovery",
    "issuer",
    "jwks",
    "algorithms",
    "s256",
    "response-mode",
    "clock",
    "callback",
)


class UnknownBlueprint(LookupError):
    """The application has no blueprint of that name."""


def explain_refusal(error: ConfigurationError) -> tuple[Finding, ...]:
    """What kept an application from starting."""
    return tuple(of_faults(error))


def examine(
    app: Flask,
    *,
    blueprint: str | None = None,
    tenants: Iterable[str] = (),
    address: str = "http://localhost:5000",
    environ: Mapping[str, str] = {},
) -> tuple[Finding, ...]:
    """Look at an application: its settings, its tenants, its stores.

    :param blueprint: the full name of the only blueprint to look at.
    :param tenants: the names of the only tenants to look at; by default all of the settings.
    :param address: where users reach the application, if no setting says so.
    :param environ: the environment of the process.
    :raises UnknownBlueprint: if there is none of that name.
    """
    everything: dict[str, Extension] = app.extensions.get("pkce", {})
    if not everything:
        advice = "Call init_app of a PKCEBlueprint with this application."
        return (wrong("settings", "No PKCEBlueprint is registered here.", advice),)
    if blueprint is not None and blueprint not in everything:
        raise UnknownBlueprint(f"there is no {blueprint!r}: there are {', '.join(everything)}")
    prefixes = {name: _prefix(extension) for name, extension in everything.items()}
    patients = [
        Patient(
            app=app,
            extension=extension,
            name=name,
            prefix=prefixes[name],
            other_prefixes=tuple(set(prefixes.values()) - {prefixes[name]}),
            address=address,
            environ=dict(environ),
        )
        for name, extension in everything.items()
        if blueprint in (None, name)
    ]
    with app.app_context():
        findings = list(secret_key(patients[0]))
        for patient in patients:
            found = _look_at(patient, tuple(tenants))
            findings += (replace(each, blueprint=patient.name) for each in found)
    return tuple(findings)


def _prefix(extension: Extension) -> str:
    return str(getattr(extension.blueprint, "config_prefix", "PKCE_"))


def _look_at(patient: Patient, tenants: tuple[str, ...]) -> Iterator[Finding]:
    for check in _OF_BLUEPRINT:
        yield from check(patient)
    registrations = list(patient.settings.registrations)
    if tenants:
        refused: list[Finding] = []
        registrations = list(_named(patient, tenants, refused))
        yield from refused
    elif patient.relying_party.hooks.tenant_loader is not None:
        yield skipped("discovery", "Tenants of the tenant_loader: name each with --tenant.")
    for registration in registrations:
        found: list[Finding] = []
        tenant = read_tenant(patient, registration, found)
        found.append(callback(patient, tenant))
        # Of several tenants each row says which.
        label = f"{registration.name or registration.domain}: " if len(registrations) > 1 else ""
        yield from (replace(each, text=label + each.text) for each in found)


def _named(
    patient: Patient, tenants: tuple[str, ...], findings: list[Finding]
) -> Iterator[ClientRegistration]:
    """Our registrations at the tenants of those names.

    :param findings: takes what is wrong with the others.
    """
    for name in tenants:
        try:
            yield patient.relying_party.tenants.named(name).registration
        except PKCEError as exc:
            findings.append(wrong("discovery", f"{name}: {exc}", exc.hint))
        except Exception as exc:
            # The host's own function, which may think that there is a request.
            findings.append(
                wrong(
                    "discovery",
                    f"{name}: the tenant_loader raised {type(exc).__name__}.",
                    "Let it look at the request only where it is called without a name.",
                )
            )
