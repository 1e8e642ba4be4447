"""How many calls to a tenant, and waits for one, there are at once."""

from __future__ import annotations

import dataclasses
from contextlib import ExitStack

import pytest

from flask_pkce.errors import TenantBusy
from flask_pkce.tenant.places import Places, Use
from tests.support import REGISTRATION

ACME = dataclasses.replace(REGISTRATION, name="acme", max_calls=3)
GLOBEX = dataclasses.replace(ACME, name="globex")


@pytest.mark.requirement("UP-13")
def test_places_of_a_tenant() -> None:
    """There are as many places as the setting says, and one that is given back is free again."""
    places = Places()
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(places.take(ACME, Use.CALL))
        with pytest.raises(TenantBusy) as caught, places.take(ACME, Use.CALL):
            pass
    exc = caught.value
    assert (exc.status, exc.retry_after, exc.host) == (503, 1, ACME.domain)
    assert exc.setting == "PKCE_MAX_CALLS"
    for _ in range(4):
        with places.take(ACME, Use.CALL):
            pass


@pytest.mark.requirement("UP-13")
def test_places_of_another_tenant() -> None:
    """A tenant whose places are all taken takes none of another's."""
    places = Places()
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(places.take(ACME, Use.CALL))
        held.enter_context(places.take(GLOBEX, Use.CALL))


def test_new_settings_of_a_tenant() -> None:
    """Settings that a tenant_loader makes anew free no places."""
    places = Places()
    with ExitStack() as held:
        for _ in range(3):
            held.enter_context(places.take(ACME, Use.CALL))
        changed = dataclasses.replace(ACME, audience="another")
        with pytest.raises(TenantBusy), places.take(changed, Use.CALL):
            pass


@pytest.mark.requirement("UP-13")
@pytest.mark.parametrize(("use", "most"), [(Use.CALL, 8), (Use.WAIT, 7), (Use.REVOCATION, 4)])
def test_share_of_each_use(use: Use, most: int) -> None:
    """Waits leave a place to the call that they wait for, and revocations half to sign-ins."""
    places, wide = Places(), dataclasses.replace(ACME, max_calls=8)
    with ExitStack() as held:
        for _ in range(most):
            held.enter_context(places.take(wide, use))
        with pytest.raises(TenantBusy), places.take(wide, use):
            pass
        for _ in range(8 - most):
            held.enter_context(places.take(wide, Use.CALL))
        for each in Use:
            with pytest.raises(TenantBusy), places.take(wide, each):
                pass
