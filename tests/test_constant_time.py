"""Secrets are compared in constant time."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import flask_pkce

PACKAGE = Path(flask_pkce.__file__).parent
#: What the names of secrets end with.
SECRETS = (
    "code",
    "code_challenge",
    "code_verifier",
    "hash",
    "nonce",
    "owner",
    "pointer",
    "secret",
    "signature",
    "state",
    "ticket",
    "token",
    "verifier",
)
#: Comparisons that tell nobody anything: ours with ours, or with a constant.
ALLOWED = {
    # Both from the store.
    ("sessions/repository.py", "session.secret_hash != held.value.secret_hash"),
    ("sessions/repository.py", "now_held.value.secret_hash != held.value.secret_hash"),
    # Whether the request brings a challenge of the caller's own: it was just made of it.
    ("sessions/flow.py", "request.code_challenge != self.code_challenge"),
    # The flow was found by this state.
    ("protocol/authorization.py", "answer.state != state"),
}


def comparisons(source: str) -> list[str]:
    """The comparisons of a secret for equality with anything that is no constant."""
    return [
        ast.unparse(node)
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Compare)
        and isinstance(node.ops[0], ast.Eq | ast.NotEq)
        and any(_is_secret(side) for side in (node.left, *node.comparators))
        and not any(_is_constant(side) for side in (node.left, *node.comparators))
    ]


def _name(node: ast.expr) -> str:
    return str(getattr(node, "attr", getattr(node, "id", "")))


def _is_secret(node: ast.expr) -> bool:
    name = _name(node)
    return any(name == secret or name.endswith(f"_{secret}") for secret in SECRETS)


def _is_constant(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) or _name(node).isupper()


@pytest.mark.requirement("LG-5")
def test_secrets_are_compared_in_constant_time() -> None:
    """Nowhere is a secret compared by ``==``, whose time tells how much of it was right."""
    found = {
        (path.relative_to(PACKAGE).as_posix(), comparison)
        for path in PACKAGE.rglob("*.py")
        if "testing" not in path.parts
        for comparison in comparisons(path.read_text(encoding="utf-8"))
    }
    assert found == ALLOWED


@pytest.mark.parametrize(
    ("source", "is_found"),
    [
        ("given == flow.code_verifier", True),
        ("self.nonce != nonce", True),
        ("ticket == 'x'", False),
        ("status_code == 200", False),
        ("hmac.compare_digest(a, token)", False),
        ("grant_type == REFRESH_TOKEN", False),
    ],
)
def test_search(source: str, is_found: bool) -> None:
    """The search finds what it should, lest it prove nothing."""
    assert bool(comparisons(source)) is is_found
