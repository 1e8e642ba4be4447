"""The claims of an organization, as Auth0 makes them."""

from __future__ import annotations


def organization_claims(organization: str | None) -> dict[str, str]:
    """The claims of an organization that was asked for, by identifier or by name."""
    if not organization:
        return {}
    if organization.startswith("org_"):
        return {"org_id": organization}
    name = organization.lower()
    return {"org_id": f"org_{name.encode().hex()[:16]}", "org_name": name}
