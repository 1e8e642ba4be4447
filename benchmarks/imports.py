"""CPU that importing the package adds to importing flask and requests."""

from __future__ import annotations

import subprocess
import sys

from .measure import Spread

_CHILD = """
import time, flask, requests
before = time.process_time()
import flask_pkce
print(time.process_time() - before)
"""


def import_time(times: int) -> Spread:
    """Import it in fresh interpreters; CPU seconds."""
    _import_once()  # writes the byte code
    return Spread.of([_import_once() for _ in range(times)])


def _import_once() -> float:
    child = subprocess.run(
        [sys.executable, "-c", _CHILD], check=True, capture_output=True, text=True
    )
    return float(child.stdout)


def slowest_imports(number: int) -> list[tuple[str, int]]:
    """The modules that importing it adds, with their own microseconds, the slowest first."""
    child = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import flask, requests; import flask_pkce"],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [line.removeprefix("import time:").split("|") for line in child.stderr.splitlines()]
    names = [line[2].strip() for line in lines]
    after = names.index("requests") + 1
    added = [(name, int(line[0])) for name, line in zip(names[after:], lines[after:], strict=True)]
    return sorted(added, key=lambda module: -module[1])[:number]
