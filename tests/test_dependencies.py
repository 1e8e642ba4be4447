"""Everything that the package imports is declared, and everything declared is imported."""

from __future__ import annotations

import ast
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import flask_pkce

PACKAGE = Path(flask_pkce.__file__).parent
#: The extra that a module may import from, by the begin of its path; the rest may from none.
EXTRAS = {"stores/redis.py": "redis", "testing/": "testing"}

PROJECT: dict[str, Any] = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))[
    "project"
]
DISTRIBUTIONS = packages_distributions()


def distributions(requirements: list[str]) -> set[str]:
    """The names in a list of requirements."""
    return {canonicalize_name(Requirement(each).name) for each in requirements}


def imported_by(tree: ast.AST) -> Iterator[str]:
    """Yield each top-level module that is imported anywhere, save for the type checker alone."""
    if isinstance(tree, ast.Import):
        yield from (alias.name.partition(".")[0] for alias in tree.names)
    elif isinstance(tree, ast.ImportFrom) and tree.level == 0:
        yield str(tree.module).partition(".")[0]
    parts = ast.iter_child_nodes(tree)
    if isinstance(tree, ast.If) and ast.unparse(tree.test) == "TYPE_CHECKING":
        parts = iter(tree.orelse)
    for each in parts:
        yield from imported_by(each)


def foreign(path: Path) -> set[str]:
    """The distributions from which a module imports."""
    names = set(imported_by(ast.parse(path.read_text("utf-8"))))
    names -= {*sys.stdlib_module_names, PACKAGE.name}
    return {canonicalize_name(each) for name in names for each in DISTRIBUTIONS[name]}


MODULES = {path.relative_to(PACKAGE).as_posix(): path for path in PACKAGE.rglob("*.py")}


@pytest.mark.parametrize("name", MODULES)
def test_every_import_is_declared(name: str) -> None:
    """What only another dependency brings may be gone, or of another release, tomorrow."""
    declared = distributions(PROJECT["dependencies"])
    for begin, extra in EXTRAS.items():
        if name.startswith(begin):
            declared |= distributions(PROJECT["optional-dependencies"][extra])
    assert foreign(MODULES[name]) <= declared


def test_every_dependency_is_imported() -> None:
    """No one installs what nothing here imports."""
    imported = {each for path in MODULES.values() for each in foreign(path)}
    assert distributions(PROJECT["dependencies"]) <= imported


def test_what_counts_as_an_import() -> None:
    """Imports within functions count, those of the package and of the type checker do not."""
    source = """
from __future__ import annotations
import a.b, c as d
from .e import f
from g.h import i
if TYPE_CHECKING:
    import j
else:
    import k
def function():
    try:
        from l import m
    except ImportError:
        import n
"""
    found = list(imported_by(ast.parse(source)))
    assert found == ["__future__", "a", "c", "g", "k", "l", "n"]
