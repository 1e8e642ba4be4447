"""How we authenticate at the tenant."""

from __future__ import annotations

import dataclasses

import pytest

from flask_pkce.protocol.client_auth import client_fields
from tests.support import REGISTRATION


@pytest.mark.requirement("A0-10", "AZ-12")
def test_public_client() -> None:
    """A public client gives its id alone."""
    assert client_fields(REGISTRATION) == {"client_id": "local-client"}


@pytest.mark.requirement("A0-10", "AZ-12")
def test_confidential_client() -> None:
    """A confidential client gives its secret in the form, by one method."""
    registration = dataclasses.replace(REGISTRATION, client_secret="top secret&")
    assert client_fields(registration) == {
        "client_id": "local-client",
        "client_secret": "top secret&",
    }
