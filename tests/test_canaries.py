"""The search for secrets finds them."""

from __future__ import annotations

import logging

import pytest

from flask_pkce.errors import PKCEError
from tests.canaries import Canaries
from tests.web.host import Host
from tests.web.prepared import Known, Prepared


@pytest.fixture
def known(host: Host) -> Known:
    """A sign-in that went all the way, and was refreshed."""
    browser = host.browser()
    known = Prepared(host, browser, own_state=False).put("done")
    browser.token(grant_type="refresh_token")
    return known


def test_secrets_are_known(known: Known, canaries: Canaries) -> None:
    """Each kind of secret of a sign-in is noted, with its value."""
    assert set(canaries.secrets.values()) == {
        *("secret key", "state", "verifier", "cookie", "code", "ticket"),
        *("access token", "refresh token", "ID token"),
    }
    assert canaries.secrets[known.verifier] == "verifier"
    assert canaries.secrets[known.code] == "code"


def test_secrets_are_found(host: Host, known: Known, canaries: Canaries) -> None:
    """A secret is found in a log line, its arguments and fields, and in the cause of an error."""
    logging.getLogger("somebody").debug("The code is %s", known.code)
    assert canaries.found_in(canaries.lines) == {"code"}
    canaries.lines.clear()
    logging.getLogger("somebody").debug("The argument is a %.1s", known.verifier)
    assert canaries.found_in(canaries.lines) == {"verifier"}
    canaries.lines.clear()
    logging.getLogger("somebody").debug("It has a field", extra={"ticket": known.code})
    assert canaries.found_in(canaries.lines) == {"code"}
    canaries.lines.clear()
    error = PKCEError("Something went wrong.")
    error.__cause__ = ValueError(known.state)
    host.relying_party.hooks.on_error(error)
    assert canaries.found_in(canaries.lines) == {"state"}
    assert not canaries.found_in(canaries.lines, except_for=["state"])
    canaries.lines.clear()


@pytest.mark.parametrize(
    ("logger", "extra"),
    [
        ("flask_pkce", {}),
        ("flask_pkce", {"pkce_event": "unheard-of"}),
        ("flask_pkce.hooks", {"pkce_event": "request-failed"}),
        ("flask_pkce", {"pkce_event": "request-failed", "pkce_signal": "failed"}),
    ],
)
def test_lines_that_are_no_event_are_found(
    logger: str, extra: dict[str, str], canaries: Canaries
) -> None:
    """A line of the library is one of its events, of that logger, with the fields of that."""
    logging.getLogger(logger).debug("Something happened", extra=extra)
    assert canaries.undocumented == [f"{logger}: Something happened"]
    canaries.undocumented.clear()
