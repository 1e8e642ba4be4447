"""Check that what is installed are the lowest versions that pyproject.toml allows.

Another dependency may ask for more, and then the bound that we state is one that nobody tested.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.metadata import requires, version

from packaging.requirements import Requirement
from packaging.version import Version

# The tests pin it.
PINNED = {"pytest"}


def untested_bounds() -> Iterator[str]:
    """Say of each lower bound that is not installed what is."""
    for line in requires("flask-pkce") or ():
        requirement = Requirement(line)
        if requirement.name in PINNED:
            continue
        installed = Version(version(requirement.name))
        for specifier in requirement.specifier:
            if specifier.operator == ">=" and Version(specifier.version) < installed:
                yield f"{requirement} is not tested: {installed} is installed"


if __name__ == "__main__":
    sys.exit("\n".join(untested_bounds()) or None)
