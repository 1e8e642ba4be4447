"""Clocks that are set in the middle of a sign-in, by an hour."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from .faults import HOUR, MARGIN, RENEWAL_PERIOD, Machine, SignIn, dies, meanwhile, problem
from .processes import Provider

if TYPE_CHECKING:
    from .conftest import StartMachine

#: The default of ``PKCE_FLOW_LIFETIME``.
LIFETIME = 600
#: What is waited for is over after this and some; the tenant of a busy machine answers within it.
TIMEOUT = 5


@pytest.fixture(scope="module")
def one_machine(start_machine: StartMachine) -> Machine:
    """A machine for all of these tests."""
    return start_machine(PKCE_TIMEOUT=str(TIMEOUT))


@pytest.fixture
def machine(one_machine: Machine) -> Machine:
    """The machine, whose clock is right."""
    one_machine.set_clock(0)
    return one_machine


def test_clock_set_back(start_machine: StartMachine, provider: Provider, store_url: str) -> None:
    """A sign-in goes on, wherever the clock is found to be an hour fast and is set right."""
    machine = start_machine(PKCE_STORE_URL=store_url)
    for number, step in enumerate(SignIn.steps):
        machine.set_clock(HOUR)
        person = SignIn(machine.server, f"person{number}")
        person.take(*person.before(step))
        if step == "token":
            mark = provider.mark()
            with provider.slow(3), meanwhile(person.token) as asked:
                provider.wait_for("token_asked", since=mark)
                machine.set_clock(0)
                assert asked.result().status_code == 200
        else:
            machine.set_clock(0)
            person.take(step, *person.after(step))
        person.take("refresh")


def test_clock_set_forward(machine: Machine) -> None:
    """A sign-in that is suddenly an hour old is over by name, and the person can start again."""
    hears = {
        "code": "state-expired",
        "deliver": "state-expired",
        "fetch": "ticket-spent",
        "token": "session-over",
    }
    for number, step in enumerate(hears):
        machine.set_clock(-HOUR)
        person = SignIn(machine.server, f"person{number}")
        person.take(*person.before(step))
        machine.set_clock(0)
        response = getattr(person, step)()
        assert (response.status_code, problem(response)) == (400, hears[step]), step
        assert "start again" in response.text.lower()
        person.again()


def test_flow_of_a_clock_that_was_set_back(machine: Machine) -> None:
    """A flow does not live for ever: no longer than its lifetime, and what the clock was set back
    by."""
    machine.set_clock(HOUR)
    people = [SignIn(machine.server, name) for name in ("ada", "grace")]
    for person in people:
        person.take("challenge", "code")
    machine.set_clock(0)
    assert people[0].code().status_code == 200
    machine.set_clock(HOUR + LIFETIME + 1)
    for person in people:
        response = person.code()
        assert (response.status_code, problem(response)) == (400, "state-expired")
    machine.set_clock(0)
    people[0].again()


def test_redemption_of_a_clock_that_was_set_back(machine: Machine, provider: Provider) -> None:
    """What a dead worker was redeeming ends, too, and hinders nobody who starts again."""
    person = SignIn(machine.server, "ada")
    machine.set_clock(HOUR)
    person.take(*person.before("token"))
    machine.die("after", 0)
    assert dies(person.token)
    machine.set_clock(0)
    assert problem(person.token()) == "flow-redeeming"
    mark = provider.mark()
    person.again()
    machine.set_clock(HOUR + TIMEOUT + MARGIN)
    assert problem(person.code()) == "redemption-abandoned"
    machine.set_clock(HOUR + LIFETIME + 1)
    assert problem(person.code()) == "state-expired"
    assert provider.count("token_asked", since=mark) == 1


def test_cookie_of_a_clock_that_was_set_back(machine: Machine) -> None:
    """A cookie whose renewal got lost keeps nobody from starting again."""
    person = SignIn(machine.server, "ada")
    machine.set_clock(HOUR)
    person.take(*person.before("fetch"))
    machine.die("after", 1)
    assert dies(person.fetch)
    assert problem(person.token()) == "cookie-renewed"
    machine.set_clock(RENEWAL_PERIOD)
    assert problem(person.token()) == "cookie-outdated"
    person.again()


def test_refresh_of_a_clock_that_was_set_back(machine: Machine, provider: Provider) -> None:
    """A refresh whose worker died is taken over by who waited as long as it may take."""
    person = SignIn(machine.server, "ada")
    person.take(*person.steps)
    machine.set_clock(HOUR)
    machine.die("after", 0)
    assert dies(person.refresh)
    machine.set_clock(0)
    mark = provider.mark()
    person.take("refresh", "refresh")
    assert provider.count("token", since=mark) == 2


def test_wrong_clock(machine: Machine, provider: Provider) -> None:
    """A clock that goes wrong before the exchange fails that one sign-in, and no other."""
    for number, ahead in enumerate((-HOUR, 2 * HOUR)):
        person = SignIn(machine.server, f"person{number}")
        person.take(*person.before("fetch"))
        if ahead < 0:
            person.take("fetch")
            machine.set_clock(ahead)
            response = person.token()
            assert (response.status_code, problem(response)) == (502, "id-token-invalid")
        else:
            machine.set_clock(ahead)
            assert problem(person.fetch()) == "ticket-spent"
        machine.set_clock(0)
        person.again()
