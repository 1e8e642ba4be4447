"""Run the checks of one label of tox.ini; say what ran, and what did not.

An environment whose Python is missing is listed as NOT RUN, and so are tests that were left
out because a browser or nginx is missing.  Under ``CI`` both are failures, except for the Pythons
that are tested only where they are present.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
TOX = (sys.executable, "-m", "tox")
WHERE_PRESENT = {"3.14"}
# What pytest says of tests that were left out, and of its run.
SKIPPED = re.compile(r"^SKIPPED \[(\d+)\] \S+: (.*)$", re.MULTILINE)
CLOSING = re.compile(r"^=+ (.* in [\d.]+s.*?) =+$", re.MULTILINE)


def main(label: str) -> int:
    """Run every environment of a label.

    :return: 0 if everything that could run passed, and in CI everything could.
    """
    in_ci = os.environ.get("CI", "").lower() in {"1", "true"}
    environment = dict(os.environ)
    environments = listed_environments(label)
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

    if in_ci and missing:
        print(f"Missing, and CI runs everything: {', '.join(missing)}.", file=sys.stderr)
        return 1

    with tempfile.TemporaryDirectory() as directory:
        report = Path(directory) / "report.json"
        command = [*TOX, "run", "-e", ",".join(selected), "--result-json", str(report)]
        status = subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode
        results = json.loads(report.read_text())["testenvs"] if report.exists() else {}

    skipped = False
    print()
    for name in selected:
        result = results.get(name, {})
        output = "".join(command["output"] for command in result.get("test", ()))
        passed = result.get("result", {}).get("success", False)
        closing = CLOSING.findall(output)[-1:]
        print("passed " if passed else "FAILED ", name, *closing, sep="  ")
        for number, reason in SKIPPED.findall(output):
            skipped = True
            print("NOT RUN", name, f"{number} of its tests: {reason}", sep="  ")
    for name, reason in not_run.items():
        print("NOT RUN", name, reason, sep="  ")
    return status or int(in_ci and skipped)


def listed_environments(label: str) -> list[str]:
    """The environments of tox.ini that have a label, in its order."""
    command = [*TOX, "list", "--no-desc", "-q", "-m", label]
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


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
