"""The tables of the security page are complete, and say the same as the tests."""

from __future__ import annotations

import ast
import csv
from collections.abc import Iterator, Mapping

import pytest

from .conftest import DOCS, ROOT

TABLES = DOCS / "requirements"
COLUMNS = ["Row", "Requirement", "What we do", "Tests"]
#: How a row begins that no test of ours can show: decided otherwise, no such thing here, or left
#: to the host application.
WITHOUT_TEST = ("Otherwise: ", "Not here: ", "Yours: ")


def numbered(prefix: str, last: int) -> list[str]:
    """The names of rows from 1 to the last."""
    return [f"{prefix}-{number}" for number in range(1, last + 1)]


#: Every row that there must be, by its table.
ROWS: Mapping[str, list[str]] = {
    "pkce": numbered("PK", 10),
    "oauth": numbered("AZ", 22),
    "best-practice": numbered("BC", 21),
    "native-apps": numbered("NA", 7),
    "issuer": numbered("IS", 5),
    "metadata": numbered("MD", 9),
    "id-token": numbered("ID", 24),
    "form-post": numbered("FP", 9),
    "sign-out": [*numbered("RV", 5), *numbered("LO", 3), *numbered("BL", 4)],
    "profiles": ["V1-1", *numbered("BB", 8), *numbered("F2", 2), *numbered("AV", 3)],
    "cookies": numbered("CK", 15),
    "callers": [*numbered("FM", 3), *numbered("HO", 4)],
    "headers": numbered("HX", 9),
    "http": numbered("UP", 13),
    "inputs": [*numbered("IN", 3), *numbered("ST", 6), *numbered("LG", 5)],
    "wire": numbered("WC", 10),
    "auth0": numbered("A0", 27),
    "auth0-parameters": [
        "response_type",
        "client_id",
        "response_mode",
        "audience",
        "resource",
        "organization",
        "invitation",
        "connection",
        "prompt",
        "screen_hint",
        "login_hint",
        "ext-*",
        "dpop_jkt",
        "request",
        "correlation_id",
        "limits",
    ],
    "auth0-errors": [
        "login_required",
        "account_selection_required",
        "access_denied",
        "unauthorized",
        "mfa_required",
        "invalid_request",
        "unauthorized_client",
        "no redirect",
    ],
    "threats": [f"T{number}" for number in range(1, 35)],
}


def read(table: str) -> list[dict[str, str]]:
    """The rows of a table."""
    with (TABLES / f"{table}.csv").open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        assert reader.fieldnames == COLUMNS
        return list(reader)


def marked() -> Iterator[tuple[str, str]]:
    """The row and the test of every ``requirement`` mark."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for function in ast.walk(tree):
            if not isinstance(function, ast.FunctionDef):
                continue
            test = f"{path.relative_to(ROOT).as_posix()}::{function.name}"
            for decorator in function.decorator_list:
                for row in rows_of(decorator):
                    yield row, test


def rows_of(decorator: ast.expr) -> Iterator[str]:
    """The rows that a decorator names, itself or in the marks of its parameters."""
    for node in ast.walk(decorator):
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        if node.func.attr == "requirement":
            yield from (ast.literal_eval(argument) for argument in node.args)


def test_no_table_is_left_out() -> None:
    """Every table is checked here, and stands on the page."""
    page = (DOCS / "security.rst").read_text(encoding="utf-8")
    assert {path.stem for path in TABLES.iterdir()} == set(ROWS)
    for table in ROWS:
        assert f":file: requirements/{table}.csv\n" in page


@pytest.mark.parametrize("table", ROWS)
def test_table_is_complete(table: str) -> None:
    """Every row is there, and says what is required and what we do; what has no test, why."""
    rows = read(table)
    assert [row["Row"] for row in rows] == ROWS[table]
    for row in rows:
        assert set(row) == set(COLUMNS), row
        assert all(isinstance(value, str) for value in row.values()), row
        assert row["Requirement"].strip(), row
        assert row["What we do"].strip(), row
        is_shown = bool(row["Tests"].split())
        assert is_shown != row["What we do"].startswith(WITHOUT_TEST), row


def test_tables_and_tests_agree() -> None:
    """The tests that a row names exist and name the row, and there are no others."""
    rows = [row for table in ROWS for row in read(table)]
    named = {(row["Row"], test) for row in rows for test in row["Tests"].split()}
    assert named == set(marked())
