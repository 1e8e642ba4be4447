"""Checks of what the tenant says of itself: one look at its metadata, one at its keys."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime
from typing import Any

from ...errors import PKCEError, TenantMisconfigured
from ...protocol.id_token import parse_key_set
from ...protocol.metadata import ClientRegistration, TenantMetadata, parse_metadata
from ...protocol.pkce import CODE_CHALLENGE_METHOD
from ...tenant.transport import TenantResponse
from .findings import Finding, Patient, doubtful, right, skipped, wrong

_ALGORITHMS = "id_token_signing_alg_values_supported"

#: What is looked at in the metadata, and cannot be without it.
_OF_METADATA = ("issuer", "jwks", "algorithms", "s256", "response-mode", "clock")


def read_tenant(
    patient: Patient, registration: ClientRegistration, findings: list[Finding]
) -> TenantMetadata | None:
    """Look at a tenant.

    :param registration: the application's there.
    :param findings: takes what is found.
    :return: the tenant, if its metadata can be used.
    """
    domain = patient.key("DOMAIN" if not registration.name else f"TENANTS['{registration.name}']")
    try:
        answer = patient.relying_party.transport.get(registration.discovery_url)
        if answer.status != 200:
            raise PKCEError(f"The tenant answered {answer.status} where its metadata should be.")
        document = answer.json()
    except PKCEError as exc:
        host = f"{registration.domain}: " if registration.domain not in str(exc) else ""
        advice = f"Is {domain} right, and may this machine open connections to that host?"
        findings.append(wrong("discovery", f"{host}{exc}", advice))
        findings += [skipped(check, "There is no metadata.") for check in _OF_METADATA]
        return None
    findings.append(right("discovery", f"The metadata is at {registration.discovery_url}."))
    tenant: TenantMetadata | None = None
    try:
        # The algorithms have a row of their own.
        tenant = parse_metadata({**document, _ALGORITHMS: None}, registration)
    except TenantMisconfigured as exc:
        findings.append(wrong("issuer", f"{exc}.", exc.hint.replace("PKCE_DOMAIN", domain)))
        findings.append(skipped("jwks", "The metadata cannot be used."))
    else:
        findings.append(right("issuer", f"The issuer is {tenant.issuer}."))
        findings.append(_keys(patient, tenant, document))
    findings += _algorithms(patient, document)
    findings.append(_s256(document))
    findings.append(_response_mode(patient, document))
    findings.append(_clock(patient, answer))
    return tenant


def _keys(patient: Patient, tenant: TenantMetadata, document: Mapping[str, Any]) -> Finding:
    allowed = _common(patient, document) or patient.settings.algorithms
    try:
        answer = patient.relying_party.transport.get(tenant.jwks_uri)
        if answer.status != 200:
            raise PKCEError(f"The tenant answered {answer.status} where its keys should be.")
        keys = parse_key_set(answer.json())
    except (PKCEError, ValueError) as exc:
        return wrong("jwks", str(exc), "No ID token can be verified: ask whoever runs the tenant.")
    usable = [key for key in keys if any(key.fits(algorithm) for algorithm in allowed)]
    if not usable:
        return wrong(
            "jwks",
            f"None of the tenant's {len(keys)} keys fits {', '.join(allowed)}.",
            f"Compare {patient.key('ALGORITHMS')} with how the tenant signs.",
        )
    if len(usable) > 1 and any(key.kid is None for key in usable):
        return doubtful(
            "jwks",
            "The tenant has several keys, and one of them has no name (kid).",
            "ID tokens that name none cannot be verified: ask whoever runs the tenant.",
        )
    return right("jwks", f"{len(usable)} of the tenant's keys can be used.")


def _announced(document: Mapping[str, Any], name: str) -> list[str] | None:
    """The texts of a list in the metadata; None if there is none."""
    value = document.get(name)
    if not isinstance(value, list):
        return None
    return [item for item in value if isinstance(item, str)]


def _common(patient: Patient, document: Mapping[str, Any]) -> tuple[str, ...]:
    announced = _announced(document, _ALGORITHMS) or ()
    return tuple(name for name in patient.settings.algorithms if name in announced)


def _algorithms(patient: Patient, document: Mapping[str, Any]) -> Iterator[Finding]:
    key, allowed = patient.key("ALGORITHMS"), patient.settings.algorithms
    announced = _announced(document, _ALGORITHMS)
    common = _common(patient, document)
    if announced is None:
        yield doubtful(
            "algorithms",
            "The tenant does not announce how it signs ID tokens.",
            f"See that it signs with {' or '.join(allowed)}.",
        )
    elif not common:
        yield wrong(
            "algorithms",
            f"The tenant signs with none of {', '.join(allowed)}.",
            f"Set {key} to what it signs with, or change that at the tenant.",
        )
    elif len(common) < len(allowed):
        others = ", ".join(name for name in allowed if name not in common)
        yield doubtful(
            "algorithms",
            f"{key} allows {others}, which the tenant does not announce.",
            "Allow no more than is needed.",
        )
    else:
        yield right("algorithms", f"The tenant signs with {' or '.join(common)}.")


def _s256(document: Mapping[str, Any]) -> Finding:
    announced = _announced(document, "code_challenge_methods_supported")
    if announced is None:
        return doubtful(
            "s256",
            "The tenant does not announce PKCE.",
            "Sign-ins send it all the same; see that the tenant checks it.",
        )
    if CODE_CHALLENGE_METHOD not in announced:
        return wrong(
            "s256",
            f"The tenant does not know the challenge method {CODE_CHALLENGE_METHOD}.",
            "There is no other: switch it on at the tenant.",
        )
    return right("s256", f"The tenant announces PKCE with {CODE_CHALLENGE_METHOD}.")


def _response_mode(patient: Patient, document: Mapping[str, Any]) -> Finding:
    mode = patient.settings.response_mode
    # What a tenant that announces nothing has (RFC 8414 2).
    announced = _announced(document, "response_modes_supported") or ["query", "fragment"]
    if mode in announced:
        return right("response-mode", f"The tenant answers by {mode}.")
    other = "query" if "query" in announced else "form_post"
    return wrong(
        "response-mode",
        f"The tenant does not announce the response mode {mode}.",
        f"Set {patient.key('RESPONSE_MODE')} to {other}.",
    )


def _clock(patient: Patient, answer: TenantResponse) -> Finding:
    try:
        theirs = parsedate_to_datetime(answer.headers["Date"]).timestamp()
    except (KeyError, ValueError):
        return skipped("clock", "The tenant does not tell its time.")
    skew, leeway = round(patient.relying_party.clock() - theirs), patient.settings.leeway
    if abs(skew) <= max(leeway // 2, 2):
        return right("clock", "This machine's clock agrees with the tenant's.")
    text = f"This machine's clock is {abs(skew)} seconds {'fast' if skew > 0 else 'slow'}."
    advice = "Let NTP set it."
    return (doubtful if abs(skew) <= leeway else wrong)("clock", text, advice)
