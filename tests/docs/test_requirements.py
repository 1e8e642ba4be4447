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


#: The named negative cases, each number with the letters of its variants: of configuration and
#: inputs, of the callback, of the other routes, and of ID tokens, metadata and lifetimes.
NEGATIVE = """
    01 01b 02 03 03b 04 06 06b 06c 06d 06e 06f 06g 06h 06i 07 07b 07c 08 09 10 11 12 13 14
    15 16 18 18b
    20 21 22 23 24 25 26 28 29 30 31 32 33 35 36 37 38 39 40 40b 42 43 44 45 46 47 48 49 50
    50b 51 52 53 54 55
    56 57 58 59 59b 59c 59d 60 61 62 63 64 64b 65 65b 65d 65e 66 66b 66c 66d 67 99
    68 68b 69 69b 70 70a 70b 70c 70d 70e 70f 70g 70h 70i 70j 70k 70l 71 72 72b 72c 72d 73 74
    77 78 79 80 80b 80c 80d 81 82 83 84 85 86 87 88 88b 89 90 93 95 96 98
"""

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
    "sign-out": [*numbered("RV", 5), *numbered("LO", 3), *numbered("BL", 5)],
    "profiles": ["V1-1", *numbered("BB", 8), *numbered("F2", 2), *numbered("AV", 3)],
    "client-auth": numbered("CA", 4),
    "pushed-requests": numbered("PA", 8),
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
    "negative": [f"N{number}" for number in NEGATIVE.split()],
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
        if ".cache" in path.parts:
            continue
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for test in ast.walk(tree):
            if not isinstance(test, ast.FunctionDef | ast.ClassDef):
                continue
            name = f"{path.relative_to(ROOT).as_posix()}::{test.name}"
            for decorator in test.decorator_list:
                for row in rows_of(decorator):
                    yield row, name


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
