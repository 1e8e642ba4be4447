"""Change the code in every small way, and report each change that no test notices.

mutmut does it, as ``[tool.mutmut]`` in pyproject.toml says; ``tests/mutants.toml`` says of every
survivor why it may live, and ``tests/mutants.rst`` is the result.
With ``--report`` the last run is reported again, and nothing is run.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MUTMUT = Path(sys.executable).with_name("mutmut")
VERDICTS = ROOT / "tests" / "mutants.toml"
REPORT = ROOT / "tests" / "mutants.rst"
#: Of the mutants that behave otherwise than the code does, in each module.
MIN_KILLED = 0.9
#: A mutant that never ends is noticed, too.
KILLED = {"killed", "timeout"}
STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
#: What makes a string a message: tests look for some words of it at most.
WORDS = re.compile(r"[A-Za-z`]{2,},? [A-Za-z`]")

PREFACE = """\
Mutants
=======

``make mutants`` makes every small change to the code that mutmut {mutmut} knows, one at a time.
It then runs the tests that reach the changed function.
A change that no test notices has *survived*.
Each survivor was looked at, and is one of these:

wording
    Only the words of a message differ, and tests look for some words of it at most.
    Programs tell errors by their code.
equivalent
    The changed code does the same, as far as anything outside can tell.
left
    The changed code does something else; the reason says why no test looks for it.

The *score* is what was killed of all that is neither wording nor equivalent.
``make mutants`` fails where it is below {minimum:.0%} in a module.
So it does for a survivor that nobody has looked at: ``tests/mutants.toml`` has the reasons.

mutmut changes nothing outside functions: no constant, pattern, table or default of a field.
Properties and calls of ``len`` and ``isinstance`` are left as they are, too.

``tools/mutants.py`` made this page.
"""


@dataclass(frozen=True)
class Mutant:
    """One change, and what came of it."""

    #: The dotted name of the function, less the package's.
    function: str
    #: ``killed``, or what was looked at: ``wording``, ``equivalent``, ``left``; or ``new``.
    fate: str
    change: str = ""
    why: str = ""

    @property
    def module(self) -> str:
        """The name of its module."""
        return re.sub(r"\.[^.]+$", "", re.sub(r"\.[A-Z]\w*\.", ".", self.function))


def main() -> int:
    """Run mutmut from the beginning, and write the report.

    :return: 0 if enough was killed, and every survivor was looked at.
    """
    if "--report" not in sys.argv[1:]:
        shutil.rmtree(ROOT / "mutants", ignore_errors=True)
        mutmut("run", "--max-children", str(os.cpu_count() or 1), show=True)
    verdicts = {
        (entry["function"], entry["change"].strip()): entry
        for entry in tomllib.loads(VERDICTS.read_text(encoding="utf-8"))["survivor"]
    }
    mutants = list(judged(verdicts))
    REPORT.write_text("\n".join(report(mutants)), encoding="utf-8")
    complaints = list(complain(mutants))
    print("\n".join(complaints) or f"All is well; see {REPORT.relative_to(ROOT)}.")
    return 1 if complaints else 0


def mutmut(*arguments: str, show: bool = False) -> str:
    """Run a command of mutmut's, and return what it wrote."""
    stdout = None if show else subprocess.PIPE
    run = subprocess.run([MUTMUT, *arguments], cwd=ROOT, check=True, text=True, stdout=stdout)
    return run.stdout or ""


def judged(verdicts: Mapping[tuple[str, str], Mapping[str, str]]) -> Iterator[Mutant]:
    """Every mutant of the last run."""
    for line in mutmut("results", "--all", "true").splitlines():
        name, _, status = line.strip().partition(": ")
        function = re.sub(r"__mutmut_\d+$", "", name.removeprefix("flask_pkce."))
        function = re.sub(r"\.x_|\.xǁ|ǁ", ".", function)
        if status in KILLED:
            yield Mutant(function, "killed")
            continue
        if status not in {"survived", "no tests"}:
            sys.exit(f"{name}: {status}")
        change = change_of(name)
        verdict = verdicts.get((function, change), {})
        fate = "wording" if is_wording(change) else verdict.get("verdict", "new")
        yield Mutant(function, fate, change, verdict.get("why", ""))


def change_of(name: str) -> str:
    """The lines that a mutant takes away and adds, without their indentation."""
    lines = mutmut("show", name).splitlines()
    changed = [line for line in lines if re.match(r"[-+](?!--|\+\+)", line)]
    return "\n".join(f"{line[0]} {line[1:].strip()}" for line in changed)


def is_wording(change: str) -> bool:
    """Whether nothing but the words of a message differ."""

    def without_words(string: re.Match[str]) -> str:
        return '""' if WORDS.search(string[0]) else string[0]

    before, _, after = STRING.sub(without_words, change).partition("\n+ ")
    return before.removeprefix("- ") == after


def report(mutants: list[Mutant]) -> Iterator[str]:
    """The page, line by line."""
    yield PREFACE.format(mutmut=version("mutmut"), minimum=MIN_KILLED)
    columns = ("killed", "wording", "equivalent", "left", "new")
    yield ".. list-table::\n   :header-rows: 1\n"
    yield "\n     - ".join(["   * - Module", "Mutants", *map(str.capitalize, columns), "Score"])
    modules = sorted({mutant.module for mutant in mutants})
    for module in [*modules, ""]:
        fates = Counter(m.fate for m in mutants if m.module == module or not module)
        cells = [f"``{module}``" if module else "all", fates.total()]
        cells += [fates[column] for column in columns]
        yield "\n     - ".join([f"   * - {cells[0]}", *map(str, cells[1:]), f"{score(fates):.1%}"])
    for module in modules:
        survivors = Counter(m for m in mutants if m.module == module and m.why)
        if survivors:
            yield f"\n{module}\n{'-' * len(module)}\n"
        for mutant, times in survivors.items():
            often = f" ({times} times)" if times > 1 else ""
            yield f"``{mutant.function}``{often}, {mutant.fate}: {mutant.why}\n"
            yield ".. code-block:: diff\n"
            yield "".join(f"   {line}\n" for line in mutant.change.splitlines())


def score(fates: Counter[str]) -> float:
    """What was killed of the mutants that behave otherwise."""
    counted = fates.total() - fates["wording"] - fates["equivalent"]
    return fates["killed"] / counted if counted else 1.0


def complain(mutants: list[Mutant]) -> Iterator[str]:
    """What must not be so."""
    for module in sorted({mutant.module for mutant in mutants}):
        fates = Counter(mutant.fate for mutant in mutants if mutant.module == module)
        if score(fates) < MIN_KILLED:
            yield f"{module}: only {score(fates):.1%} were killed."
    for mutant in mutants:
        if mutant.fate == "new":
            yield f"{mutant.function} survived, and nobody has looked at it:\n{mutant.change}"


if __name__ == "__main__":
    sys.exit(main())
