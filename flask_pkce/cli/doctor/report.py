"""Findings as a table for a person, and as JSON for a program."""

from __future__ import annotations

import json
from collections.abc import Sequence
from textwrap import wrap

from .findings import Finding, Verdict

_MIN_WIDTH = 60


def as_json(findings: Sequence[Finding]) -> str:
    """An object: how many findings there are of each verdict, and all of them."""
    document = {
        "counts": {verdict.value: _count(findings, verdict) for verdict in Verdict},
        "findings": [
            {
                "blueprint": finding.blueprint,
                "check": finding.check,
                "verdict": finding.verdict.value,
                "text": finding.text,
                "advice": finding.advice,
            }
            for finding in findings
        ],
    }
    return json.dumps(document, indent=2)


def as_table(findings: Sequence[Finding], *, width: int = 100) -> str:
    """One table: verdict, blueprint where there are several, check, and what was found.

    What to do about it stands below what was found.

    :param width: columns of the terminal.
    """
    names = {finding.blueprint for finding in findings} - {None}
    rows = [
        (
            finding.verdict.value,
            *((finding.blueprint or "",) if len(names) > 1 else ()),
            finding.check,
        )
        for finding in findings
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    margin = sum(widths) + 2 * len(widths)
    lines = []
    for row, finding in zip(rows, findings, strict=True):
        head = "".join(cell.ljust(size + 2) for cell, size in zip(row, widths, strict=True))
        told = _told(finding, max(width, _MIN_WIDTH) - margin)
        lines += [f"{head}{told[0]}", *(f"{'':{margin}}{line}" for line in told[1:])]
    counts = ", ".join(f"{_count(findings, verdict)} {verdict.value}" for verdict in Verdict)
    return "\n".join([*lines, "", counts])


def _told(finding: Finding, width: int) -> list[str]:
    text = wrap(finding.text, width, break_long_words=False, break_on_hyphens=False)
    advice = wrap(
        finding.advice,
        width,
        initial_indent="-> ",
        subsequent_indent="   ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return text + advice


def _count(findings: Sequence[Finding], verdict: Verdict) -> int:
    return sum(finding.verdict is verdict for finding in findings)
