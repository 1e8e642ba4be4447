"""CPU that the package adds to importing flask and requests: imported alone, and registered."""

from __future__ import annotations

import subprocess
import sys

from .measure import Spread

_BEFORE = "import time, flask, requests"
_IMPORT = "from flask_pkce import PKCEBlueprint"
_REGISTER = """
import flask_pkce
app = flask.Flask("host")
app.config.update(
    SECRET_KEY="a key of the benchmarks, long enough for anybody",
    PKCE_DOMAIN="tenant.example",
    PKCE_CLIENT_ID="benchmark",
    PKCE_STORE_URL="memory://",
)
flask_pkce.PKCEBlueprint().init_app(app)
"""


def import_time(times: int) -> Spread:
    """Import it in fresh interpreters; CPU seconds."""
    return _measure(_IMPORT, times)


def start_time(times: int) -> Spread:
    """Import it and register the blueprint, which imports the rest; CPU seconds."""
    return _measure(_REGISTER, times)


def _measure(script: str, times: int) -> Spread:
    _run_once(script)  # writes the byte code
    return Spread.of([_run_once(script) for _ in range(times)])


def _run_once(script: str) -> float:
    timed = (
        f"{_BEFORE}\nbefore = time.process_time()\n{script}\nprint(time.process_time() - before)"
    )
    child = subprocess.run(
        [sys.executable, "-c", timed], check=True, capture_output=True, text=True
    )
    return float(child.stdout)


def slowest_imports(number: int) -> list[tuple[str, int]]:
    """The modules that both add, with their own microseconds, the slowest first."""
    child = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", f"{_BEFORE}\n{_REGISTER}"],
        check=True,
        capture_output=True,
        text=True,
    )
    lines = [line.removeprefix("import time:").split("|") for line in child.stderr.splitlines()]
    names = [line[2].strip() for line in lines]
    after = names.index("requests") + 1
    added = [(name, int(line[0])) for name, line in zip(names[after:], lines[after:], strict=True)]
    return sorted(added, key=lambda module: -module[1])[:number]
