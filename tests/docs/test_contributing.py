"""The pages for those who change the library."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
ARCHITECTURE = (ROOT / "docs" / "contributing" / "architecture.rst").read_text(encoding="utf-8")
PLACES = sorted(
    set(re.findall(r"``((?:flask_pkce|tests|web|relying_party)/[\w./]+)``", ARCHITECTURE))
)


@pytest.mark.parametrize("place", PLACES)
def test_places_exist(place: str) -> None:
    """Every file that the page on the architecture names is there."""
    assert (ROOT / place).exists() or (ROOT / "flask_pkce" / place).exists()


def test_every_part_is_described() -> None:
    """The page lists what lies at the top of the package, in the order of the layers."""
    described = re.findall(r"^     (\w+)(?:\.py|/) ", ARCHITECTURE, re.MULTILINE)
    package = (path for path in (ROOT / "flask_pkce").iterdir() if path.name != "__pycache__")
    assert sorted(described) == sorted(path.stem for path in package if path.name != "py.typed")
