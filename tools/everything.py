"""Run every check of the project once; tell what ran, and what did not.

The checks are the environments of tox.ini.
One that needs a Python or a browser which is not here is listed as NOT RUN; under ``CI`` that is
a failure, save for the Pythons that are tested only where they are present.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOX = (sys.executable, "-m", "tox")
WHERE_PRESENT = {"3.14"}
CHROMIUM = ("chromium", "chromium-browser", "google-chrome")


def main() -> int:
    """Run it all.

    :return: 0 if everything that could run passed, and in CI everything could.
    """
    in_ci = os.environ.get("CI", "").lower() in {"1", "true"}
    environment = dict(os.environ)
    environments = listed_environments()
    not_run: dict[str, str] = {}
    missing: list[str] = []

    for version in sorted({v for name in environments if (v := python_of(name))}):
        if (interpreter := find_python(version)) is not None:
            environment["PATH"] = f"{interpreter.parent}{os.pathsep}{environment['PATH']}"
            continue
        not_run |= {
            n: f"no Python {version} here" for n in environments if python_of(n) == version
        }
        if version not in WHERE_PRESENT:
            missing.append(f"Python {version}")
    selected = [name for name in environments if name not in not_run]

    if not any(map(shutil.which, CHROMIUM)):
        environment["E2E_SELECTION"] = '-m "not browser"'
        not_run["e2e in a browser"] = "no Chromium here"
        missing.append("Chromium")

    if in_ci and missing:
        print(f"Missing, and CI runs everything: {', '.join(missing)}.", file=sys.stderr)
        return 1

    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.json"
        command = [*TOX, "run", "-e", ",".join(selected), "--result-json", str(report)]
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        results = json.loads(report.read_text())["testenvs"] if report.exists() else {}

    print()
    for line in table(selected, results, not_run):
        print(line)
    return status


def listed_environments() -> list[str]:
    """The environments of tox.ini, in its order."""
    command = [*TOX, "list", "--no-desc", "-q"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return listing.stdout.split()


def python_of(environment: str) -> str | None:
    """The version of Python that an environment's name asks for, if it does."""
    found = re.match(r"py3(\d+)\b", environment)
    return f"3.{found[1]}" if found else None


def find_python(version: str) -> Path | None:
    """An interpreter of that version, from ``PATH`` or from pyenv.

    :param version: such as ``3.12``.
    """
    for candidate in candidates(version):
        # A shim of pyenv is there for versions, too, that it then refuses to start.
        check = f"import sys; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
        started = subprocess.run([candidate, "-c", check], check=False, capture_output=True)
        if started.returncode == 0:
            return candidate
    return None


def candidates(version: str) -> Iterator[Path]:
    """Where an interpreter of that version may be."""
    name = f"python{version}"
    if (found := shutil.which(name)) is not None:
        yield Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/{name}"), reverse=True)


def table(
    selected: list[str], results: Mapping[str, dict[str, object]], not_run: Mapping[str, str]
) -> Iterator[str]:
    """One line for each check."""
    width = max(map(len, [*selected, *not_run]))
    for name in selected:
        result = results.get(name, {})
        outcome = result.get("result")
        passed = isinstance(outcome, dict) and outcome.get("success")
        word = "passed" if passed else "FAILED"
        yield f"{word:8} {name:{width}}  {closing_line(result)}".rstrip()
    for name, reason in not_run.items():
        yield f"{'NOT RUN':8} {name:{width}}  {reason}"


def closing_line(result: Mapping[str, object]) -> str:
    """How pytest summed up its run, if there was one."""
    commands = result.get("test")
    if not isinstance(commands, list) or not commands:
        return ""
    found = re.findall(r"^=+ (.* in [\d.]+s.*?) =+$", commands[-1]["output"], re.MULTILINE)
    return found[-1] if found else ""


if __name__ == "__main__":
    sys.exit(main())
