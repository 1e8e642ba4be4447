"""Who calls with something wrong."""

from __future__ import annotations

import pytest

from tests.conftest import MakeApp
from tests.web.host import Browser, Caller


@pytest.fixture(params=["browser", "program"])
def caller(request: pytest.FixtureRequest, make_app: MakeApp) -> Caller:
    """A browser, or a program of the local session, in which a sign-in is bound."""
    is_local = request.param == "program"
    host = make_app(PKCE_LOCAL_SESSION=is_local)
    caller: Caller = host.program() if is_local else host.browser()
    state, url = caller.begin()
    params = host.tenant.sign_in(url).params
    if isinstance(caller, Browser):
        caller.arrive(params)
    else:
        caller.respond(**params)
    assert host.status_of(caller, state) == "bound"
    return caller
