"""The README: short, true, and its example runs."""

from __future__ import annotations

import re
from typing import Any

import pytest

from docs._ext.examples import SETTINGS, Person

from .conftest import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")


def block(language: str, number: int = 0) -> str:
    """One of the code blocks."""
    blocks: list[str] = re.findall(
        rf"^```{language}\n(.*?)^```$", README, re.MULTILINE | re.DOTALL
    )
    return blocks[number]


def test_length() -> None:
    """It has at most 80 lines."""
    assert README.count("\n") <= 80


def test_commands() -> None:
    """The commands that it names are targets of the Makefile."""
    named = set(re.findall(r"\bmake ([a-z]+)\b", README))
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert {"demo", "test"} <= named <= targets


def test_extras() -> None:
    """The extras that it names exist."""
    named = set(re.findall(r"flask-pkce\[(\w+)\]", README))
    extras = (ROOT / "pyproject.toml").read_text().partition("[project.optional-dependencies]")[2]
    assert named == {"demo", "redis", "testing"}
    assert all(f"\n{extra} = " in extras for extra in named)


def test_links() -> None:
    """Its links lead to files of the repository."""
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert links
    assert all((ROOT / link).exists() for link in links)


def test_example(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lines that a host writes show a button, and log in whoever presses it."""
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    names: dict[str, Any] = {"__name__": "example"}
    exec(block("python"), names)
    person = Person(names["create_app"](), names["pkce"])
    assert "Sign in" in person.get("/").text
    assert person.sign_in().get_json() == {"user": "auth0|alice"}


def test_front_page_has_the_same_example(sources: dict[str, str]) -> None:
    """README and documentation show the same lines."""
    shown = "".join(f"   {line}\n" if line else "\n" for line in block("python").splitlines())
    assert f".. testcode::\n\n{shown}" in sources["index.rst"]
