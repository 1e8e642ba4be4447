"""What the doctor finds, by check."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from flask import Flask

from flask_pkce.cli.doctor import Finding, Verdict, examine

RIGHT, DOUBTFUL, WRONG, SKIPPED = Verdict


def found(app: Flask, check: str, **options: Any) -> list[Finding]:
    """The findings of one check."""
    return [finding for finding in examine(app, **options) if finding.check == check]


def judged(findings: Iterable[Finding]) -> list[tuple[Verdict, str]]:
    """Their verdicts and texts; whatever is not right comes with something to do."""
    listed = list(findings)
    for finding in listed:
        assert bool(finding.advice) is (finding.verdict in {DOUBTFUL, WRONG}), finding
        assert finding.text.endswith((".", "!")) or finding.verdict in {WRONG, SKIPPED}, finding
    return [(finding.verdict, finding.text) for finding in listed]


def check_row(findings: Iterable[Finding], verdict: Verdict, *words: str) -> Finding:
    """Check that there is one finding, with that verdict and these words in it."""
    (finding,) = findings
    judged([finding])
    assert finding.verdict is verdict, finding
    told = f"{finding.text} {finding.advice}"
    assert all(word in told for word in words), told
    return finding


def public(**settings: Any) -> Mapping[str, Any]:
    """The settings of an application on the internet, whose own cookie is in order."""
    return {
        "PKCE_PUBLIC_URL": "https://app.example",
        "SESSION_COOKIE_SECURE": True,
        "SESSION_COOKIE_SAMESITE": "Lax",
        **settings,
    }
