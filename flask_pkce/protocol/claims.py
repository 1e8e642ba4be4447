"""Claims of ID tokens and logout tokens: times, the organization, how the user authenticated."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Mapping
from typing import Any

#: What Auth0 calls a second factor in ``acr_values``; in the ID token it is ``mfa`` in ``amr``.
MULTI_FACTOR = "http://schemas.openid.net/pape/policies/2007/06/multi-factor"

#: Characters of what ``acr`` may be asked to be.
MAX_CONTEXT_LENGTH = 500


def numeric_date(value: Any) -> float | None:
    """Return a NumericDate claim as Unix seconds, which may have a fraction.

    :return: None if the value is no number from 0 up to 2**53.

    :rfc:`7519#section-2`
    """
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return None
    return value


def has_audience(claims: Mapping[str, Any], client_id: str) -> bool:
    """Return whether ``aud`` has our client id, once, as a string or in a list.

    OpenID Connect Core 2
    """
    audience = claims.get("aud")
    if isinstance(audience, list):
        return audience.count(client_id) == 1
    return bool(audience == client_id)


def further_audiences(claims: Mapping[str, Any], client_id: str) -> list[Any]:
    """Return the members of ``aud`` besides our client id."""
    audience = claims.get("aud")
    return [each for each in audience if each != client_id] if isinstance(audience, list) else []


def organization_claim(organization: str) -> str:
    """The claim that names an organization: by its id (``org_…``), or by its name."""
    return "org_id" if organization.startswith("org_") else "org_name"


def is_of_organization(claims: Mapping[str, Any], organization: str) -> bool:
    """Whether the user signed in to an organization: an id exactly, a name as people read it.

    Auth0, Work with Tokens and Organizations
    """
    claim = organization_claim(organization)
    value = claims.get(claim)
    if not isinstance(value, str):
        return False
    return value == organization if claim == "org_id" else _fold(value) == _fold(organization)


def has_context(claims: Mapping[str, Any], acr_values: Collection[str]) -> bool:
    """Whether the user authenticated in one of these contexts.

    OpenID Connect Core 2 and 3.1.3.7, 12
    """
    acr, methods = claims.get("acr"), claims.get("amr")
    if isinstance(acr, str) and acr in acr_values:
        return True
    return MULTI_FACTOR in acr_values and isinstance(methods, list) and "mfa" in methods


def _fold(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()
