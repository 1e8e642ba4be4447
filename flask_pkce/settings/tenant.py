"""What a ``tenant_loader`` makes; a module of its own, for the package imports it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, init=False)
class TenantSettings:
    """The settings of one tenant, as a ``tenant_loader`` makes them.

    .. code-block:: python

        TenantSettings("acme", domain="acme.eu.auth0.com", client_id="...")

    :param name: a unique name; do not change or reuse it while users are signed in there.
    :param settings: what an entry of ``PKCE_TENANTS`` may have.
    """

    name: str
    settings: Mapping[str, Any] = field(repr=False)

    def __init__(self, name: str, **settings: Any) -> None:
        object.__setattr__(self, "name", name)
        object.__setattr__(self, "settings", settings)
