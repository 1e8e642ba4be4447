"""Secrets are noted where they are made, and looked for wherever a test leaves traces."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Callable, Iterable
from typing import Any

import pytest

from flask_pkce import log_events as events
from flask_pkce.protocol.client_auth import Credentials
from flask_pkce.protocol.metadata import ClientRegistration
from flask_pkce.protocol.par import PushedRequest
from flask_pkce.relying_party.hooks import HookRunner
from flask_pkce.relying_party.tokens import Exchange
from flask_pkce.sessions.pending_callbacks import PendingCallbacks, Ticket
from flask_pkce.sessions.repository import Sessions
from flask_pkce.sessions.signing import Pointer, Signing
from flask_pkce.tenant.api import TenantAPI

#: Shorter values are what tests write down themselves.
MIN_LENGTH = 20
#: What every record of a log has.
_USUAL = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}
#: The loggers, and the fields besides ``pkce_event``, of each event.
_EVENTS = {
    event.name: (event.logger.name, {events.PREFIX + name for name in event.fields})
    for event in events.catalogue()
}


def fields_of(record: logging.LogRecord) -> dict[str, Any]:
    """What a record has besides."""
    return {name: value for name, value in vars(record).items() if name not in _USUAL}


def is_documented(record: logging.LogRecord) -> bool:
    """Whether a line of the library is an event of the catalogue, with its fields alone."""
    fields = fields_of(record)
    logger, names = _EVENTS.get(fields.pop("pkce_event", ""), ("", set[str]()))
    return logger == record.name and fields.keys() <= names


class Canaries(logging.Handler):
    """The secrets of one test, and every line that was logged meanwhile, at all levels."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        #: What each secret is, by its value.
        self.secrets: dict[str, str] = {}
        self.lines: list[str] = []
        #: Lines of the library that are no event of the catalogue.
        self.undocumented: list[str] = []

    def note(self, what: str, *values: str | None) -> None:
        """Remember secrets."""
        for value in values:
            if value is not None and len(value) >= MIN_LENGTH:
                self.secrets[value] = what

    def emit(self, record: logging.LogRecord) -> None:
        """Keep what is logged, as text and in all its parts."""
        # The tenant of the tests tells Authlib's logger what it does.
        if not record.name.startswith("authlib"):
            line = logging.Formatter("%(name)s %(message)s").format(record)
            self.lines.append(f"{line} {record.args!r} {fields_of(record)!r}")
        if record.name.partition(".")[0] == "flask_pkce" and not is_documented(record):
            self.undocumented.append(f"{record.name}: {record.getMessage()}")

    def found_in(self, texts: Iterable[str], *, except_for: Iterable[str] = ()) -> set[str]:
        """What secrets there are in these texts."""
        text = "\n".join(texts)
        return {
            what
            # A copy: other threads of the test make secrets meanwhile.
            for secret, what in self.secrets.copy().items()
            if what not in except_for and secret in text
        }

    def watch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Note secrets where they are made, and every error with its causes."""

        def after(owner: type, name: str, note: Callable[..., None]) -> None:
            original = getattr(owner, name)

            def noted(*args: Any, **kwargs: Any) -> Any:
                result = original(*args, **kwargs)
                note(result, *args)
                return result

            monkeypatch.setattr(owner, name, noted)

        def flow(held: Any, *_: Any) -> None:
            if held is not None:
                self.note("nonce", held.value.nonce)
                self.note("state", held.value.state)
                self.note("verifier", held.value.code_verifier)
                self.note("confirmation", held.value.confirmation)

        def answer(ticket: Ticket, _: Sessions, kept: Any) -> None:
            self.note("ticket", ticket.value)
            self.note("code", kept.code)

        def tokens(response: Any, *_: Any) -> None:
            self.note("access token", response.access_token)
            self.note("refresh token", response.refresh_token)
            self.note("ID token", response.id_token)

        def cookie(value: str, _: Signing, pointer: Pointer) -> None:
            self.note("cookie", value)

        def registration(_: None, made: ClientRegistration, *__: Any) -> None:
            self.note("client secret", made.client_secret)

        def credentials(made: Credentials, *_: Any) -> None:
            self.note("client credentials", *made.secrets, made.fields.get("client_assertion"))

        def pushed(made: PushedRequest, *_: Any) -> None:
            self.note("request_uri", made.request_uri)

        def error(_: None, __: HookRunner, exc: BaseException) -> None:
            self.lines.extend((*traceback.format_exception(exc), repr(exc)))

        after(Sessions, "_new_flow", flow)
        after(PendingCallbacks, "keep", answer)
        after(Exchange, "obtain", tokens)
        after(Signing, "sign_pointer", cookie)
        after(ClientRegistration, "__init__", registration)
        after(TenantAPI, "_credentials", credentials)
        after(TenantAPI, "push", pushed)
        after(HookRunner, "on_error", error)
