"""What the claims of an ID token say of a user."""

from __future__ import annotations

from typing import Any

import pytest

from flask_pkce.protocol.claims import (
    MULTI_FACTOR,
    has_context,
    is_of_organization,
    organization_claim,
)


@pytest.mark.parametrize(
    ("claims", "organization", "is_of"),
    [
        ({"org_id": "org_1"}, "org_1", True),
        ({"org_id": "org_1", "org_name": "acme"}, "Acme", True),
        ({"org_name": "caf\u00e9"}, "CAFE\u0301", True),
        ({"org_id": "org_2"}, "org_1", False),
        ({"org_id": "ORG_1"}, "org_1", False),
        ({"org_name": "org_1"}, "org_1", False),
        ({"org_id": "acme"}, "acme", False),
        ({"org_id": ["org_1"]}, "org_1", False),
        ({}, "acme", False),
    ],
)
def test_organization(claims: dict[str, Any], organization: str, is_of: bool) -> None:
    """An id is met exactly, a name in any case and form."""
    assert is_of_organization(claims, organization) is is_of
    assert organization_claim(organization) in {"org_id", "org_name"}


@pytest.mark.parametrize(
    ("claims", "demanded", "has"),
    [
        ({"acr": "a"}, ["a"], True),
        ({"acr": "b"}, ("a", "b"), True),
        ({"amr": ["pwd", "mfa"]}, {MULTI_FACTOR}, True),
        ({"acr": "c"}, ["a"], False),
        ({"acr": ["a"]}, {"a"}, False),
        ({"amr": ["mfa"]}, ["a"], False),
        ({"amr": "mfa"}, [MULTI_FACTOR], False),
        ({}, [MULTI_FACTOR], False),
        ({"acr": None}, [], False),
    ],
)
def test_context(claims: dict[str, Any], demanded: Any, has: bool) -> None:
    """One of the contexts will do; Auth0 tells of a second factor in ``amr``."""
    assert has_context(claims, demanded) is has
