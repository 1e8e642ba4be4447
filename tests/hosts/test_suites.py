"""The test-suites of other people's applications, without the blueprint and with it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.e2e.processes import clean_environment, source_of
from tests.not_run import installed

PLUGIN = Path(__file__).parent / "mounted_in.py"


def run(folder: Path, *options: str, **environment: str) -> tuple[str, str]:
    """Run a suite: how many tests passed, and everything it said."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "tests"]
    done = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(**environment),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = re.search(r"^(\d+ passed)", done.stdout, re.MULTILINE)
    assert passed, done.stdout
    return passed[1], done.stdout


@pytest.mark.parametrize(
    ("application", "distribution", "folder"),
    [("flaskr", "flask", "examples/tutorial"), ("httpbin", "httpbin", ".")],
)
def test_nothing_of_theirs_changes(application: str, distribution: str, folder: str) -> None:
    """Every test of theirs passes as before, with our routes beside their own."""
    installed(distribution)
    place = source_of(distribution) / folder
    before, _ = run(place)
    after, told = run(
        place, "-p", PLUGIN.stem, PYTHONPATH=str(PLUGIN.parent), MOUNTED_IN=application
    )
    assert after == before
    assert "the routes answered {200}" in told
