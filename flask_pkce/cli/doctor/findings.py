"""What a check finds, and what it looks at.

A check is a function that takes a `Patient` and returns findings; none of them has a secret in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

from flask import Flask, Request
from werkzeug.test import EnvironBuilder

from ...relying_party.relying_party import RelyingParty
from ...settings.model import Settings
from ...web.context import Extension


class Verdict(StrEnum):
    """What a finding means for whoever runs the application."""

    RIGHT = "right"
    #: Perhaps meant, perhaps not.
    DOUBTFUL = "doubtful"
    #: Sign-ins fail, or are less safe than they should be.
    WRONG = "wrong"
    #: It could not be looked at, because of something that is told elsewhere.
    SKIPPED = "skipped"


@dataclass(frozen=True)
class Finding:
    """One row of the table."""

    #: Stable; each has a section in the documentation.
    check: str
    verdict: Verdict
    #: What was found.
    text: str
    #: What to do about it; nothing where all is well.
    advice: str = ""
    #: The blueprint's name; None for what concerns the application.
    blueprint: str | None = None


@dataclass(frozen=True)
class Patient:
    """One blueprint in one application.

    :param name: the blueprint's full name.
    :param prefix: what the names of its settings begin with.
    :param other_prefixes: those of the application's other blueprints.
    :param address: where users reach the application, if no setting says so.
    :param environ: the environment of the process.
    """

    app: Flask
    extension: Extension
    name: str
    prefix: str
    other_prefixes: tuple[str, ...]
    address: str
    environ: dict[str, str]

    @property
    def relying_party(self) -> RelyingParty:
        """What works behind the routes."""
        return self.extension.relying_party

    @property
    def settings(self) -> Settings:
        """The settings, checked."""
        return self.extension.relying_party.settings

    @property
    def public_url(self) -> str | None:
        """The address that the settings give."""
        return self.extension.site.public_url

    @property
    def is_https(self) -> bool:
        """Whether users reach the application over https."""
        return (self.public_url or self.address).startswith("https://")

    @cached_property
    def request(self) -> Request:
        """A request of a user for the front page; no view gets it."""
        builder = EnvironBuilder(base_url=self.public_url or self.address)
        return self.app.request_class(builder.get_environ())

    def key(self, name: str) -> str:
        """The whole name of a setting."""
        return self.prefix + name


Check = Callable[[Patient], Iterable[Finding]]


def right(check: str, text: str) -> Finding:
    """All is well."""
    return Finding(check, Verdict.RIGHT, text)


def doubtful(check: str, text: str, advice: str) -> Finding:
    """Perhaps it is not meant like that."""
    return Finding(check, Verdict.DOUBTFUL, text, advice)


def wrong(check: str, text: str, advice: str) -> Finding:
    """It cannot stay like that."""
    return Finding(check, Verdict.WRONG, text, advice)


def skipped(check: str, text: str) -> Finding:
    """It could not be looked at."""
    return Finding(check, Verdict.SKIPPED, text)
