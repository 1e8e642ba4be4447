"""Answers of a tenant that are malformed, or of a state that is not the caller's."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import MakeApp
from tests.web.host import (
    CALLBACK,
    Browser,
    Caller,
    CrossSitePost,
    Host,
    check_page,
    check_problem,
    check_refused,
)

FORM = "application/x-www-form-urlencoded"
FORGED = f"pkce1.{'A' * 39}.{'A' * 43}"

#: A form, the code of its error, and the field that is named.
ANSWERS: dict[str, tuple[str, str, str]] = {
    "no state": ("code=c", "state-missing", "state"),
    "an empty state": ("code=c&state=", "state-missing", "state"),
    "no code": ("state=s", "parameter-invalid", "code"),
    "an empty code": ("state=s&code=", "parameter-invalid", "code"),
    "state with a space": ("code=c&state=a+b", "parameter-invalid", "state"),
    "state with a control": ("code=c&state=a%00b", "parameter-invalid", "state"),
    "state too long": (f"code=c&state={'s' * 513}", "parameter-invalid", "state"),
    "code with a delete": ("state=s&code=a%7F", "parameter-invalid", "code"),
    "code of other letters": ("state=s&code=%C3%A9", "parameter-invalid", "code"),
    "code with a newline": ("state=s&code=a%0Ab", "parameter-invalid", "code"),
    "code too long": (f"state=s&code={'c' * 4097}", "parameter-invalid", "code"),
    "error as a script": ("state=s&error=%3Cscript%3E%22", "parameter-invalid", "error"),
    "error with a quote": ("state=s&error=%22", "parameter-invalid", "error"),
    "error with a newline": ("state=s&error=a%0Ab", "parameter-invalid", "error"),
    "error too long": (f"state=s&error={'e' * 65}", "parameter-invalid", "error"),
    "iss with a space": ("state=s&code=c&iss=a+b", "parameter-invalid", "iss"),
    "a JWT": ("state=s&code=c&response=eyJ", "parameter-invalid", "response"),
    "state twice": ("state=s&state=s&code=c", "parameter-repeated", "state"),
    "code twice": ("state=s&code=a&code=b", "parameter-repeated", "code"),
    "error twice": ("state=s&error=a&error=b", "parameter-repeated", "error"),
    "iss twice": ("state=s&code=c&iss=a&iss=a", "parameter-repeated", "iss"),
    "anything twice": ("state=s&code=c&x=1&x=2", "parameter-repeated", "x"),
    "33 fields": (
        "state=s&code=c&" + "&".join(f"f{number}=x" for number in range(31)),
        "body-malformed",
        "",
    ),
    "no UTF-8": ("state=s&code=%FF", "body-malformed", ""),
    "an overlong slash": ("state=s&code=%C0%AF", "body-malformed", ""),
    "half a surrogate pair": ("state=s&code=%ED%A0%80", "body-malformed", ""),
    "percent without digits": ("state=s&code=%zz", "body-malformed", ""),
    "percent at the end": ("state=s&code=a%", "body-malformed", ""),
    "percent with one digit": ("state=s&code=%4", "body-malformed", ""),
}


@pytest.mark.requirement(
    "UP-10",
    "IN-2",
    "IS-5",
    "N06d",
    "N20",
    "N21",
    "N22",
    "N23",
    "N24",
    "N25",
    "N26",
    "N28",
    "AZ-4",
    "T17",
)
@pytest.mark.parametrize(("form", "code", "field"), ANSWERS.values(), ids=ANSWERS.keys())
def test_answer(form: str, code: str, field: str, caller: Caller) -> None:
    """A malformed answer is refused by name, from a program, from a page, and in a query."""
    check_refused(
        caller,
        lambda: caller.send("POST", CALLBACK, data=form, content_type=FORM),
        code,
        field=field or None,
    )
    host = caller.host
    before = host.store.contents()
    posted = CrossSitePost(host).send("POST", CALLBACK, data=form, content_type=FORM)
    check_page(posted, code)
    environ = {"QUERY_STRING": form}
    check_page(Browser(host).open(CALLBACK, environ_overrides=environ), code)
    assert host.store.contents() == before


@pytest.mark.requirement("N21")
@pytest.mark.parametrize("spoilt", [{}, {"code": "a\tb"}, {"error": '"'}], ids=repr)
def test_malformed_answer_of_a_flow_under_way(
    spoilt: dict[str, str], host: Host, browser: Browser
) -> None:
    """A malformed answer with a good state leaves the flow as it is: the real one can come."""
    state, url = browser.begin()
    before = host.store.contents()
    check_problem(browser.respond(state=state, **spoilt), "parameter-invalid")
    check_page(browser.deliver({"state": state, **spoilt}), "parameter-invalid")
    assert host.store.contents() == before
    assert "Signed in" in browser.arrive(host.tenant.sign_in(url)).text


@pytest.mark.requirement("IN-2")
def test_raw_bytes_in_a_form(caller: Caller) -> None:
    """A form is ASCII, percent-encoded."""
    body = "state=s&code=é".encode()
    check_refused(
        caller,
        lambda: caller.send("POST", CALLBACK, data=body, content_type=FORM),
        "body-malformed",
    )


def test_raw_bytes_in_a_query(host: Host, browser: Browser) -> None:
    """So is a query."""
    environ = {"QUERY_STRING": "state=s&code=\xe9"}
    check_page(browser.open(CALLBACK, environ_overrides=environ), "body-malformed")


def test_query_too_large(host: Host, browser: Browser) -> None:
    """A query of more than 16 KiB is refused like a body."""
    environ = {"QUERY_STRING": f"state=s&x={'x' * 16 * 1024}"}
    check_page(browser.open(CALLBACK, environ_overrides=environ), "body-too-large", status=413)


@pytest.mark.requirement("FP-3", "IN-2", "N16")
@pytest.mark.parametrize("name", ["code", "state", "error", "iss", "ticket"])
def test_query_beside_a_form(name: str, caller: Caller) -> None:
    """A query that stands beside the form shadows nothing: it is refused."""
    form = {"state": "s", "code": "c"}
    check_refused(
        caller,
        lambda: caller.send("POST", f"{CALLBACK}?{name}=x", data=form),
        "parameter-invalid",
        field=name,
    )


def test_empty_form(caller: Caller) -> None:
    """An empty form is no answer."""
    check_refused(
        caller,
        lambda: caller.send("POST", CALLBACK, data="", content_type=FORM),
        "state-missing",
        field="state",
    )


STATES = {
    "unknown": ("no-such-state", "state-unknown"),
    "forged": (FORGED, "state-forged"),
    "cut off": ("pkce1.", "state-forged"),
    "of another form": ("pkce1.x.y", "state-forged"),
    "of a later release": ("pkce2.x.y", "state-unknown"),
}


@pytest.mark.requirement("BC-2", "N32", "N35")
@pytest.mark.parametrize("answered", [{"code": "c"}, {"error": "access_denied"}], ids=repr)
@pytest.mark.parametrize(("state", "code"), STATES.values(), ids=STATES.keys())
def test_state(state: str, code: str, answered: dict[str, str], caller: Caller) -> None:
    """A state that is unknown, and one that nobody signed, are told apart; an error that comes
    with either fails no flow."""
    check_refused(caller, lambda: caller.respond(state=state, **answered), code)


@pytest.mark.parametrize("position", [0, 20, 50, 88])
def test_state_with_another_letter(position: int, caller: Caller) -> None:
    """One other letter anywhere makes a state unknown or forged."""
    state = caller.challenge()["state"]
    letter = "B" if state[position] == "A" else "A"
    tampered = state[:position] + letter + state[position + 1 :]
    code = "state-unknown" if position == 0 else "state-forged"
    check_refused(caller, lambda: caller.respond(state=tampered, code="c"), code)


def test_state_of_another_key(caller: Caller, make_app: MakeApp) -> None:
    """A state of another worker's key is forged to us; the hint says what may be the matter."""
    elsewhere = make_app(SECRET_KEY="the key of another worker, which is another")
    state = elsewhere.browser().challenge()["state"]
    members = check_refused(caller, lambda: caller.respond(state=state, code="c"), "state-forged")
    assert "SECRET_KEY" in members["hint"]


@pytest.mark.requirement("BC-2", "N54", "AZ-19", "T32")
def test_state_of_another_session(caller: Caller) -> None:
    """A state of another session is refused, at every route, in no other words than for one
    that does not exist any more."""
    other = caller.host.browser()
    state = other.challenge()["state"]

    def heard() -> list[dict[str, Any]]:
        return [
            check_refused(caller, lambda: caller.code(state=state), "session-mismatch"),
            check_refused(
                caller, lambda: caller.respond(state=state, code="c"), "session-mismatch"
            ),
        ]

    while_it_exists = heard()
    other.clear()
    assert heard() == while_it_exists
