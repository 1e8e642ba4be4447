"""Workers that are killed, between any two steps of a sign-in and in the middle of one."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from .faults import MARGIN, RENEWAL_PERIOD, Machine, SignIn, dies, meanwhile, problem, until
from .processes import Provider

if TYPE_CHECKING:
    from .conftest import StartMachine

#: The longest that a call to the tenant may take, where nothing waits for the deadline after it.
LONG = 60
#: The same, where something waits; the tenant of a busy machine answers within it.
SHORT = 5


def test_killed_between_two_steps(
    start_machine: StartMachine, provider: Provider, store_url: str
) -> None:
    """Between two steps nothing is lost: other workers go on."""
    machine = start_machine(workers=2, PKCE_STORE_URL=store_url)
    mark = provider.mark()
    person = SignIn(machine.server, "ada")
    for step in person.steps:
        person.take(step)
        machine.server.kill_workers()
    again = person.token()
    assert (again.status_code, problem(again)) == (400, "code-spent")
    machine.server.kill_workers()
    assert person.take("refresh").json()["auth0"]["oAuth"]["token"]["access_token"]
    assert provider.count("token_asked", since=mark) == provider.count("token", since=mark) == 2


@dataclass(frozen=True)
class Death:
    """A worker dies in a step, at one of its writes to the store.

    :param hears: what who repeats the step hears, if it does not just go on.
    :param asked: how often the tenant was asked for tokens until then.
    """

    step: str
    moment: str
    write: int
    hears: str = ""
    asked: int = 0


DEATHS = (
    Death("challenge", "before", 0),
    Death("challenge", "after", 0),
    Death("challenge", "after", 1),
    Death("code", "before", 0),
    Death("code", "after", 0),
    Death("deliver", "before", 0),
    Death("deliver", "after", 0),
    Death("fetch", "before", 0),
    # The answer is gone with the ticket, and from now on the cookie is the old one.
    Death("fetch", "after", 0, "ticket-spent"),
    Death("fetch", "after", 1, "ticket-spent"),
    Death("fetch", "after", 2, "ticket-spent"),
    Death("token", "before", 0),
    Death("token", "after", 0, "flow-redeeming"),
    Death("token", "before", 1, "flow-redeeming", asked=1),
    Death("token", "after", 1, "code-spent", asked=1),
    Death("token", "after", 2, "cookie-renewed", asked=1),
)


#: With delivery ``session`` the callback does all that follows.
DEATHS_IN_CALLBACK = (
    Death("fetch", "before", 0),
    Death("fetch", "after", 0, "ticket-spent"),
    Death("fetch", "after", 1, "ticket-spent"),
    Death("fetch", "after", 2, "ticket-spent"),
    Death("fetch", "after", 3, "ticket-spent"),
    Death("fetch", "before", 4, "ticket-spent", asked=1),
    Death("fetch", "after", 4, "ticket-spent", asked=1),
    Death("fetch", "after", 5, "ticket-spent", asked=1),
)


def check_death(machine: Machine, provider: Provider, death: Death) -> None:
    """Check that a person goes on or hears why not, and that no code is redeemed twice."""
    mark = provider.mark()
    machine.set_clock(0)
    person = SignIn(machine.server, "ada")
    person.take(*person.before(death.step))
    machine.die(death.moment, death.write)
    assert dies(getattr(person, death.step))
    assert machine.has_died()

    response = getattr(person, death.step)()
    while "Refresh" in response.headers:
        response = person.follow(response)
    assert problem(response) == death.hears, response.text
    if not death.hears:
        person.take(*person.after(death.step))
    elif death.hears == "flow-redeeming":
        assert response.headers["Retry-After"]
        machine.set_clock(LONG + MARGIN)
        for ask in (person.token, person.code):
            assert problem(ask()) == "redemption-abandoned"
        machine.set_clock(0)
    else:
        machine.set_clock(RENEWAL_PERIOD)
    asked = death.asked if death.hears else 1
    assert provider.count("token_asked", since=mark) == asked
    person.again()
    assert provider.count("token_asked", since=mark) == asked + 1
    assert provider.count("token_refused", since=mark) == 0


def test_killed_in_a_step(start_machine: StartMachine, provider: Provider, store_url: str) -> None:
    """Wherever a worker dies, the person goes on or is told why not, and can start again; no code
    is ever redeemed twice."""
    machine = start_machine(PKCE_STORE_URL=store_url, PKCE_TIMEOUT=str(LONG))
    for death in DEATHS:
        print(death)
        check_death(machine, provider, death)


def test_killed_in_the_callback(start_machine: StartMachine, provider: Provider) -> None:
    """Nor where the callback exchanges the code itself."""
    machine = start_machine(PKCE_TOKEN_DELIVERY="session", PKCE_TIMEOUT=str(LONG))
    for death in DEATHS_IN_CALLBACK:
        print(death)
        check_death(machine, provider, death)


def test_leases_of_dead_workers(start_machine: StartMachine, provider: Provider) -> None:
    """What a worker was at when it died is free once nobody can be at it any more, not before.

    A code that was perhaps redeemed is not redeemed again.  A refresh is taken over by who waits
    for it, and fails by name if the tenant had given out the next token.
    """
    machine = start_machine(workers=2, PKCE_TIMEOUT=str(SHORT))
    redeems, unasked, asked = (SignIn(machine.server, name) for name in ("ada", "bob", "grace"))
    redeems.take(*redeems.before("token"))
    unasked.take(*unasked.steps)
    asked.take(*asked.steps)
    mark = provider.mark()
    began = time.monotonic()
    with provider.slow(20), meanwhile(redeems.token) as broken:
        provider.wait_for("token_asked", since=mark)
        machine.server.kill_workers()
        assert broken.exception()
    machine.die("after", 0)
    assert dies(unasked.refresh)
    assert provider.count("token_asked", since=mark) == 1
    machine.die("before", 1)
    assert dies(asked.refresh)
    assert provider.count("token_asked", since=mark) == 2

    with meanwhile(unasked.refresh) as taken_over, meanwhile(asked.refresh) as refused:
        response = redeems.token()
        assert (response.status_code, problem(response)) == (409, "flow-redeeming")
        assert response.headers["Retry-After"] == "1"
        assert until(redeems.token, "redemption-abandoned").status_code == 400
        assert time.monotonic() - began > SHORT + MARGIN
        assert taken_over.result().json()["auth0"]["oAuth"]["token"]["refresh_token"]
        assert problem(refused.result()) == "refresh-token-reused"
        assert time.monotonic() - began > SHORT + MARGIN
    assert provider.count("token_asked", since=mark) == 4
    assert provider.count("token_refused", since=mark) == 1
    assert unasked.take("refresh")
    assert problem(redeems.token()) == "redemption-abandoned"
    for person in (redeems, asked):
        person.again()
    # Nothing of this is left for the tests that follow.
    provider.wait_for("token_done", since=mark, times=provider.count("token_asked", since=mark))
