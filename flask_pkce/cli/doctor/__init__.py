"""What is right, doubtful and wrong with an application's sign-in, and what to do about it."""

from .examination import CHECKS, UnknownBlueprint, examine, explain_refusal
from .findings import Finding, Verdict
from .report import as_json, as_table

__all__ = [
    "CHECKS",
    "Finding",
    "UnknownBlueprint",
    "Verdict",
    "as_json",
    "as_table",
    "examine",
    "explain_refusal",
]
