"""What the pages say of settings, errors, signals, log events and faults, told from the code.

A setting, a signal or an event is described by the ``#:`` comment beside it, an error or a fault
by its own docstring.  Nothing of it is written a second time.
"""

from __future__ import annotations

import inspect
import logging
import re
import sys
from collections.abc import Iterator
from dataclasses import MISSING, Field, fields
from itertools import groupby
from typing import Any

from blinker import Signal
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.pycode import ModuleAnalyzer
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

import flask_pkce
from flask_pkce import errors
from flask_pkce import log_events as events
from flask_pkce.relying_party import hooks
from flask_pkce.settings import model as settings_module
from flask_pkce.settings.model import Settings
from flask_pkce.testing.tenant import FAULTS
from flask_pkce.web.openapi.errors import FAILURES, errors_of

#: What the annotation of a field means to somebody who writes a configuration.
_KINDS = {
    "str": "text",
    "str | None": "text",
    "int": "whole number",
    "int | None": "whole number",
    "bool": "true or false",
    "tuple[str, ...]": "list, or comma-separated text",
    "tuple[ClientRegistration, ...]": "mapping of names to settings",
    "TokenDelivery": "``caller`` or ``session``",
    "LoginLinks": "``auto`` or ``ask``",
    "ClientAuth | None": "the name of a method",
    "ClientKey | None": "PEM, JWK, or the path of a file with one",
    "PushedRequests": "``auto``, ``always`` or ``never``",
    "Mapping[str, str] | None": "address, or mapping of ``http`` and ``https`` to one",
    "Any": "URL, or a store object",
}
_GROUP = re.compile(r"^# -- (.+?) -+$", re.MULTILINE)


# -- settings ------------------------------------------------------------------


def settings() -> Iterator[tuple[str, Field[Any]]]:
    """Each setting's key, with the default prefix, and its field."""
    for setting in fields(Settings):
        yield f"PKCE_{setting.metadata['name']}", setting


def _describe_settings() -> Iterator[str]:
    comments = _comments(Settings.__module__)
    for name, setting in settings():
        yield f".. confval:: {name}"
        yield f"   :type: {_kind(setting)}"
        yield f"   :default: {_default(setting)}"
        yield from _indented(comments[Settings.__name__, setting.name])


def _kind(setting: Field[Any]) -> str:
    kind = _KINDS[str(setting.type)]
    limits = inspect.getclosurevars(setting.metadata["read"]).nonlocals
    if "low" not in limits:
        return kind
    return f"{limits['unit'].strip() or kind}, {limits['low']} to {limits['high']}"


def _default(setting: Field[Any]) -> str:
    default = setting.default
    if default is MISSING:
        return "none: it must be set"
    if default is None or default == ():
        return "none"
    return f"``{list(default) if isinstance(default, tuple) else default!s}``"


# -- errors --------------------------------------------------------------------


def grouped_errors() -> Iterator[tuple[str, list[type[errors.PKCEError]]]]:
    """The classes of the catalogue, by the headings of their module."""
    source = inspect.getsource(errors)
    lines = [source.count("\n", 0, match.start()) + 1 for match in _GROUP.finditer(source)]
    titles = ["in general", *_GROUP.findall(source)]
    classes = [(inspect.getsourcelines(cls)[1], cls) for cls in errors.catalogue()]
    ends = [*lines, source.count("\n") + 1]
    for title, start, end in zip(titles, [0, *lines], ends, strict=True):
        yield title, [cls for line, cls in classes if start < line <= end]


def errors_of_the_callback() -> list[type[errors.PKCEError]]:
    """What the callback can answer with: each has a section on the page of troubles."""
    told = {
        cls
        for delivers_to_session in (False, True)
        for method in ("GET", "POST")
        for cls in errors_of("response_code", method, delivers_to_session=delivers_to_session)
    }
    return [cls for cls in errors.catalogue() if cls in told or cls in FAILURES]


def _describe_errors() -> Iterator[str]:
    troubles = errors_of_the_callback()
    for group, classes in grouped_errors():
        yield from _heading(group[:1].upper() + group[1:], "-")
        for cls in classes:
            # The last part of a problem's `type` is this anchor.
            yield from _heading(cls.code, "~")
            is_public = cls.__name__ in flask_pkce.__all__
            module = flask_pkce if is_public else errors
            yield f".. py:exception:: {module.__name__}.{cls.__name__}"
            yield "   :no-contents-entry:"
            # The API page has these.
            yield from ["   :no-index:"] if is_public else []
            trouble = [f":At the callback: :ref:`cause and cure <trouble-{cls.code}>`"]
            yield from _indented([*_error(cls), *(trouble if cls in troubles else [])])


def _error(cls: type[errors.PKCEError]) -> list[str]:
    title, _, explanation = inspect.cleandoc(cls.__doc__ or "").partition("\n")
    # What a constructor takes is for the library's own code.
    explanation = explanation.partition("\n:param")[0].strip()
    return [
        title,
        "",
        *explanation.splitlines(),
        "",
        f":Status: {cls.status}",
        f":Error: ``{cls.error}``",
        *([f":Retry-After: {cls.retry_after}"] if cls.retry_after is not None else []),
        *([f":Hint: {cls.hint}"] if cls.hint else []),
    ]


# -- signals, events and faults --------------------------------------------------


def signals() -> list[str]:
    """The public names of the signals."""
    return [name for name, value in vars(hooks).items() if isinstance(value, Signal)]


def _describe_signals() -> Iterator[str]:
    comments = _comments(hooks.__name__)
    for name in signals():
        yield f".. py:data:: flask_pkce.{name}"
        yield from _indented(comments["", name])


def _describe_events() -> Iterator[str]:
    comments = _comments(events.__name__)
    for name, event in vars(events).items():
        if isinstance(event, events.LogEvent):
            yield f".. describe:: {event.name}"
            yield from _indented(comments["", name])
            fields = ", ".join(f"``{events.PREFIX}{field}``" for field in event.fields)
            yield f"   :Level: {logging.getLevelName(event.level)}"
            yield f"   :Logger: ``{event.logger.name}``"
            yield f"   :Fields: {fields}"
            yield ""


def _describe_faults() -> Iterator[str]:
    # They are entered module by module.
    for module, faults in groupby(FAULTS.values(), key=lambda fault: fault.module):
        yield f".. rubric:: {inspect.cleandoc(sys.modules[module].__doc__ or '').rstrip('.')}"
        yield ""
        for fault in faults:
            yield f"``{fault.name}``"
            yield f"   {' '.join(fault.summary.split())}"
            yield ""


# -- Sphinx ----------------------------------------------------------------------


def _comments(module: str) -> dict[tuple[str, str], list[str]]:
    return ModuleAnalyzer.for_module(module).find_attr_docs()


def _heading(text: str, underline: str) -> list[str]:
    return [text, underline * len(text), ""]


def _indented(lines: list[str]) -> Iterator[str]:
    yield ""
    yield from (f"   {line}".rstrip() for line in lines)
    yield ""


class Catalogue(SphinxDirective):
    """One catalogue; the name of the directive says which."""

    _DESCRIPTIONS = {
        "pkce-settings": _describe_settings,
        "pkce-errors": _describe_errors,
        "pkce-signals": _describe_signals,
        "pkce-events": _describe_events,
        "pkce-faults": _describe_faults,
    }

    def run(self) -> list[nodes.Node]:
        """Read what the description says as if it stood on the page."""
        stages = [sys.modules[name] for name in {fault.module for fault in FAULTS.values()}]
        for source in (errors, events, hooks, settings_module, *stages):
            self.env.note_dependency(inspect.getfile(source))
        text = "\n".join(self._DESCRIPTIONS[self.name]())
        return self.parse_text_to_nodes(text, allow_section_headings=True)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Add the directives."""
    for name in Catalogue._DESCRIPTIONS:
        app.add_directive(name, Catalogue)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
