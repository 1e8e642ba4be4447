"""Checks of what is configured, without asking anybody."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from urllib.parse import urlsplit

from ...errors import ConfigurationError
from ...protocol.urls import is_loopback_host
from ...settings.loading import find_misspelt
from ...settings.secret_keys import read_secret_keys
from .findings import Finding, Patient, doubtful, right, wrong

#: Different bytes that a random key of 16 characters has at least, but for one in many millions.
_MIN_VARIETY = 8


def of_faults(error: ConfigurationError) -> Iterator[Finding]:
    """What kept an application from starting."""
    for fault in error.faults:
        yield wrong("settings", fault, "Correct it: the application does not start.")
    yield from _of_misspelt(error.misspelt)


def settings(patient: Patient) -> Iterator[Finding]:
    """Names that look like settings and are none are ignored at the start."""
    found = find_misspelt(
        patient.app.config, prefix=patient.prefix, other_prefixes=patient.other_prefixes
    )
    yield from _of_misspelt(found)
    if not found:
        yield right("settings", "Every setting is known, and has a value that it may have.")


def _of_misspelt(found: Sequence[tuple[str, str | None]]) -> Iterator[Finding]:
    for name, meant in found:
        advice = f"Is {meant} meant?" if meant else "Take it out, or look for its right name."
        yield doubtful("settings", f"{name} is no setting, and ignored.", advice)


def secret_key(patient: Patient) -> Iterable[Finding]:
    """The key that signs cookies and states, and from which that of the store is made."""
    keys, is_weak = read_secret_keys(patient.app.config, lenient=True)
    advice = "Use a long random one: python -c 'import secrets; print(secrets.token_hex())'"
    if is_weak:
        yield doubtful(
            "secret-key", "A key is weak: outside of debugging the start would fail.", advice
        )
    elif any(len(set(key)) < _MIN_VARIETY for key in keys):
        yield wrong("secret-key", "A key is long, but the same few characters.", advice)
    elif len(set(keys)) < len(keys):
        yield doubtful(
            "secret-key",
            "SECRET_KEY_FALLBACKS has a key twice, or the one that signs.",
            "Keep only former keys there, or the next one.",
        )
    else:
        fallbacks = f", with {len(keys) - 1} to fall back on" if len(keys) > 1 else ""
        yield right("secret-key", f"There is a strong key{fallbacks}.")


def client_secret(patient: Patient) -> Iterable[Finding]:
    """A server that keeps the tokens should be a confidential client (RFC 10017 6.1.3.1)."""
    if patient.settings.lacks_client_secret:
        yield doubtful(
            "client-secret",
            "This server keeps the tokens, and proves itself to the tenant by nothing.",
            f"Register it as a regular web application, and set {patient.key('CLIENT_SECRET')}.",
        )
    else:
        yield right("client-secret", "The kind of client fits where the tokens are kept.")


def public_url(patient: Patient) -> Iterable[Finding]:
    """Scheme and host that users see."""
    key, url = patient.key("PUBLIC_URL"), patient.public_url
    if url is None or is_loopback_host(urlsplit(url).hostname or ""):
        if patient.app.debug or patient.settings.local_session:
            yield right("public-url", "Users are on this machine alone.")
        else:
            yield doubtful(
                "public-url",
                "Only requests to localhost are answered.",
                f"Set {key} to the https address that users see, once there are others.",
            )
        return
    faults = list(_against_flask(patient, url))
    yield from faults
    if not faults:
        yield right("public-url", f"Users reach the application at {url}.")


def _against_flask(patient: Patient, url: str) -> Iterator[Finding]:
    """What Flask makes addresses of outside of requests, beside what we do."""
    config, parts = patient.app.config, urlsplit(url)
    server_name = config.get("SERVER_NAME")
    if server_name is None:
        return
    if server_name.lower() != parts.netloc:
        yield doubtful(
            "public-url",
            f"SERVER_NAME is {server_name}, and users reach the application at {parts.netloc}.",
            "Make them the same, or leave SERVER_NAME out.",
        )
    if config["PREFERRED_URL_SCHEME"] != parts.scheme:
        yield doubtful(
            "public-url",
            f"PREFERRED_URL_SCHEME is {config['PREFERRED_URL_SCHEME']}: addresses that you make"
            " outside of requests begin with it.",
            f"Set it to {parts.scheme}.",
        )
