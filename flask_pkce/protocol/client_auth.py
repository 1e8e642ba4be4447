"""How we authenticate at the tenant.

:rfc:`6749#section-2.3`
"""

from __future__ import annotations

from .metadata import Registration


def client_fields(registration: Registration) -> dict[str, str]:
    """The form fields that tell the tenant who asks.

    A public client gives its ``client_id``, a confidential one its secret too
    (``client_secret_post``); never more than one method, and nothing in an address.

    :rfc:`6749#section-2.3.1`
    """
    if registration.client_secret is None:
        return {"client_id": registration.client_id}
    return {
        "client_id": registration.client_id,
        "client_secret": registration.client_secret,
    }
