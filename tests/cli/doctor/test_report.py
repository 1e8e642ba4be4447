"""Findings as a table and as JSON."""

from __future__ import annotations

import json
from dataclasses import replace
from inspect import cleandoc

from flask_pkce.cli.doctor import Finding, Verdict, as_json, as_table

FINDINGS = [
    Finding("secret-key", Verdict.RIGHT, "There is a strong key."),
    Finding(
        "proxy", Verdict.DOUBTFUL, "It is odd.", "Look at it again, and then once more.", "pkce"
    ),
    Finding(
        "callback",
        Verdict.WRONG,
        "The tenant does not know https://app.example/a/very/long/address/of/a/callback at all.",
        "Register it.",
        "pkce",
    ),
]


def test_table() -> None:
    """What was found is wrapped, an address never, and what to do stands below it."""
    told = as_table(FINDINGS, width=20)
    assert [line.rstrip() for line in told.splitlines()] == cleandoc(
        """
        right     secret-key  There is a strong key.
        doubtful  proxy       It is odd.
                              -> Look at it again, and then once
                                 more.
        wrong     callback    The tenant does not know
                              https://app.example/a/very/long/address/of/a/callback
                              at all.
                              -> Register it.

        1 right, 1 doubtful, 1 wrong, 0 skipped
        """
    ).splitlines()


def test_table_of_several_blueprints() -> None:
    """The blueprint has a column where there are several."""
    both = [FINDINGS[0], *(replace(FINDINGS[1], blueprint=name) for name in ("pkce", "staff"))]
    rows = [line[:30].split() for line in as_table(both).splitlines()]
    assert rows[0][:2] == ["right", "secret-key"]
    assert [row[:3] for row in rows if row[:1] == ["doubtful"]] == [
        ["doubtful", "pkce", "proxy"],
        ["doubtful", "staff", "proxy"],
    ]


def test_json() -> None:
    """A program gets the counts, and each finding whole."""
    document = json.loads(as_json(FINDINGS))
    assert document["counts"] == {"right": 1, "doubtful": 1, "wrong": 1, "skipped": 0}
    assert document["findings"][1] == {
        "blueprint": "pkce",
        "check": "proxy",
        "verdict": "doubtful",
        "text": "It is odd.",
        "advice": "Look at it again, and then once more.",
    }
