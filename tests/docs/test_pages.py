"""What the built pages have, and that they say everything."""

from __future__ import annotations

import logging
import re
from posixpath import dirname, join, normpath
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from blinker import Signal

import flask_pkce
from docs._ext.catalogue import errors_of_the_callback, grouped_errors, settings
from flask_pkce import PKCEBlueprint, errors
from flask_pkce import log_events as events
from flask_pkce.application.views import HostViews
from flask_pkce.cli.commands import pkce as commands
from flask_pkce.cli.doctor import CHECKS
from flask_pkce.relying_party import hooks
from flask_pkce.relying_party.hooks import Hooks
from flask_pkce.sessions.flow import Failure, FlowFailed
from flask_pkce.testing.tenant import FAULTS
from flask_pkce.web.problems import DOCUMENTATION, problem_type

if TYPE_CHECKING:
    from .conftest import Page

CATALOGUE = tuple(errors.catalogue())


def test_links_resolve(pages: dict[str, Page]) -> None:
    """Every link inside the documentation leads to a page, and to a place on it."""
    checked = 0
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = normpath(join(dirname(path), parts.path)) if parts.path else path
            assert target in pages, f"{path} links to {link}"
            fragment = unquote(parts.fragment)
            assert not fragment or fragment in pages[target].ids, f"{path} links to {link}"
            checked += 1
    assert checked > 500


def test_nothing_is_loaded_from_elsewhere(pages: dict[str, Page]) -> None:
    """A page is complete without the internet."""
    for path, page in pages.items():
        assert page.loaded, path
        assert not [each for each in page.loaded if urlsplit(each).netloc], path


@pytest.mark.parametrize("name", [name for name, _ in settings()])
def test_settings(name: str, pages: dict[str, Page]) -> None:
    """Every setting has a place on its page."""
    assert f"confval-{name}" in pages["settings.html"].ids


def test_settings_are_told_from_the_fields(pages: dict[str, Page]) -> None:
    """Type, limits, default and comment of a setting are those of its field."""
    text = " ".join(pages["settings.html"].text.split())
    told = text.partition("PKCE_FLOW_LIFETIME¶")[2]
    assert told.startswith(" Type: seconds, 10 to 3600 Default: 600 Seconds that a sign-in may")
    assert "PKCE_MAX_CALLS¶ Type: whole number, 2 to 1000 Default: 8 Calls to one tenant" in text
    assert "PKCE_DOMAIN¶ Type: text Default: none: it must be set The tenant: its host" in text
    assert "Default: ['openid', 'profile', 'email'] The scope that sign-ins request" in text


@pytest.mark.parametrize("cls", CATALOGUE, ids=lambda cls: cls.code)
def test_errors(cls: type[errors.PKCEError], pages: dict[str, Page]) -> None:
    """The address in a problem's `type` leads to a section that tells title, status and hint."""
    page, _, anchor = f"{DOCUMENTATION.rpartition('/')[2]}#{cls.code}".partition("#")
    assert anchor in pages[page].ids
    text = " ".join(pages[page].text.split())
    section = text.partition(f" {cls.code}¶ ")[2]
    assert section.startswith(f"exception flask_pkce.{'' if _is_public(cls) else 'errors.'}")
    assert cls.title.replace("`", "") in section
    assert f"Status: {cls.status} Error: {cls.error}" in section
    assert cls.hint.replace("`", "") in section


@pytest.mark.parametrize("cls", errors_of_the_callback(), ids=lambda cls: cls.code)
def test_troubles(
    cls: type[errors.PKCEError], pages: dict[str, Page], sources: dict[str, str]
) -> None:
    """What the callback can answer with has a section with symptom, cause and cure, to which the
    address in a problem's `type` leads in one step."""
    section = sources["troubleshooting.rst"].partition(f"\n.. _trouble-{cls.code}:\n")[2]
    heading = f"{cls.code}\n{'~' * len(cls.code)}"
    assert section.lstrip().startswith(heading)
    for told in (":Symptom:", ":Cause:", ":Cure:"):
        assert told in section.partition("\n.. _")[0], told
    assert cls.code in pages["troubleshooting.html"].ids
    assert f"troubleshooting.html#trouble-{cls.code}" in pages["errors.html"].links


def test_troubles_exist(sources: dict[str, str]) -> None:
    """No section is of a code that the callback does not answer with."""
    told = re.findall(r"^\.\. _trouble-(.+):$", sources["troubleshooting.rst"], re.MULTILINE)
    assert len(told) == len(set(told))
    assert set(told) == {cls.code for cls in errors_of_the_callback()}


@pytest.mark.parametrize(
    "words",
    [
        "mismatching_state",
        "CSRF Warning! State not equal in request and response",
        "MismatchingStateError",
        "invalid_state",
        "missing cookie",
        "Callback URL mismatch",
        "The CSRF token is missing",
    ],
)
def test_words_that_people_search_for(words: str, pages: dict[str, Page]) -> None:
    """Whoever searches for what another library says finds the page."""
    assert words in pages["troubleshooting.html"].text


def _is_public(cls: type[errors.PKCEError]) -> bool:
    return cls.__name__ in flask_pkce.__all__


def test_problem_types_have_the_code_last() -> None:
    """What is looked up is what is sent."""
    sent = problem_type(errors.FlowExpired())
    assert sent == f"{DOCUMENTATION}#state-expired"
    assert DOCUMENTATION.endswith("/errors.html")


def test_errors_have_codes_of_the_catalogue() -> None:
    """No class elsewhere answers with a code that the page does not have."""
    codes = {cls.code for cls in CATALOGUE}
    others = set(_subclasses(errors.PKCEError)) - set(CATALOGUE)
    assert {cls for cls in others if cls.code not in codes} == {FlowFailed}
    kept = FlowFailed(Failure.of(errors.FlowExpired()))
    assert kept.code == "state-expired"


def _subclasses(cls: type[errors.PKCEError]) -> list[type[errors.PKCEError]]:
    return [each for direct in cls.__subclasses__() for each in [direct, *_subclasses(direct)]]


def test_errors_are_in_their_groups() -> None:
    """Every class of the catalogue is told once, below the heading of its module."""
    groups = dict(grouped_errors())
    told = [cls for classes in groups.values() for cls in classes]
    assert sorted(told, key=CATALOGUE.index) == list(CATALOGUE)
    assert len(set(told)) == len(told)
    assert errors.FlowExpired in groups["the flow"]
    assert errors.TenantSilent in groups["the tenant"]
    assert groups["in general"] == [errors.PKCEError]


@pytest.mark.parametrize("name", [field for field in vars(Hooks()) if field != "self"])
def test_hooks(name: str, pages: dict[str, Page], sources: dict[str, str]) -> None:
    """Every hook has a section with its moment, arguments, result, and an example that runs."""
    section = sources["hooks.rst"].partition(f"\n``{name}``\n---")[2].partition("\n.. _")[0]
    for told in (":Moment:", ":Gets:", ":Returns:", ":Raises:"):
        assert told in section, told
    assert f"@pkce.{name}\n" in section
    assert f".. testcode:: {name}\n   :hide:\n" in section
    assert f"flask_pkce.PKCEBlueprint.{name}" in pages["api.html"].ids


@pytest.mark.parametrize(
    "name", [name for name, value in vars(hooks).items() if isinstance(value, Signal)]
)
def test_signals(name: str, pages: dict[str, Page]) -> None:
    """Every signal can be imported and has a place on the page of hooks."""
    assert isinstance(getattr(flask_pkce, name), Signal)
    assert f"flask_pkce.{name}" in pages["hooks.html"].ids
    assert "Sent when" in pages["hooks.html"].text.partition(f"flask_pkce.{name}¶")[2][:20]


@pytest.mark.parametrize("event", events.catalogue(), ids=lambda event: event.name)
def test_events(event: events.LogEvent, pages: dict[str, Page], sources: dict[str, str]) -> None:
    """Every log event is told with its level, logger and fields; a table has each field."""
    text = " ".join(pages["deployment.html"].text.split())
    section = text.partition(f" {event.name} ")[2]
    fields = [f"pkce_{name}" for name in event.fields]
    told = f"Level: {logging.getLevelName(event.level)} Logger: {event.logger.name} Fields: "
    assert section.partition(told)[2].startswith(", ".join(fields)), section[:300]
    for name in ["pkce_event", *fields]:
        assert re.search(rf"^``{name}`` +\w", sources["deployment.rst"], re.MULTILINE), name


@pytest.mark.parametrize("name", flask_pkce.__all__)
def test_public_names(name: str, pages: dict[str, Page]) -> None:
    """Whatever can be imported from the package is described."""
    described = pages["api.html"].ids | pages["hooks.html"].ids
    assert f"flask_pkce.{name}" in described


def test_public_methods(pages: dict[str, Page]) -> None:
    """So is every public method of the blueprint that is ours."""
    ours = {
        name
        for cls in (PKCEBlueprint, HostViews)
        for name in vars(cls)
        if not name.startswith("_") and name != "extension"
    }
    assert {f"flask_pkce.PKCEBlueprint.{name}" for name in ours} <= pages["api.html"].ids


@pytest.mark.parametrize("name", FAULTS)
def test_faults(name: str, pages: dict[str, Page]) -> None:
    """Every fault of the local tenant is described."""
    text = " ".join(pages["testing.html"].text.split())
    assert name in text
    assert " ".join(FAULTS[name].summary.replace("`", "").split()) in text


@pytest.mark.parametrize("check", CHECKS)
def test_checks(check: str, pages: dict[str, Page], sources: dict[str, str]) -> None:
    """Every check of the doctor is described, below an anchor of its own."""
    assert f"doctor-{check}" in pages["doctor.html"].ids
    section = sources["doctor.rst"].partition(f"\n.. _doctor-{check}:\n\n``{check}``\n")[2]
    assert re.search(r"\b(Doubtful|Wrong)\b", section.partition("\n.. _")[0])


@pytest.mark.parametrize("name", commands.commands)
def test_commands(name: str, sources: dict[str, str]) -> None:
    """Every command is on a page, with all of its options."""
    shown = re.compile(rf"^   \$ flask (--app shop )?pkce {name}\b", re.MULTILINE)
    (page,) = [text for text in sources.values() if shown.search(text)]
    for parameter in commands.commands[name].params:
        assert f"\n``{parameter.opts[0]}" in page, parameter.opts


def test_mentioned_settings_exist(prose: dict[str, str]) -> None:
    """What the pages call a setting is one."""
    known = {name for name, _ in settings()}
    for page, text in prose.items():
        mentioned = set(re.findall(r"(?<![A-Z_])(?:FLASK_)?(PKCE_[A-Z_]+)(?![a-z])", text))
        assert mentioned <= known, page


def test_one_sentence_per_line(prose: dict[str, str]) -> None:
    """A change of a sentence is a change of a line."""
    block = re.compile(
        r"^(\.\. (code-block|testcode|testoutput)::|.*::$).*\n\n(   .*\n|\n)+", re.MULTILINE
    )
    for page, text in prose.items():
        for line in block.sub("", text).splitlines():
            assert not re.search(r"[a-z`)][.!?] [A-Z`]", line), f"{page}: {line}"
