"""Keys that are rotated in the middle of a sign-in, and workers that do not have the same ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import requests

from .faults import FIRST_KEY, SHARED_KEY, SignIn, problem
from .processes import Provider

if TYPE_CHECKING:
    from .conftest import StartMachine

SECOND_KEY = "the second key of the tests of faults"


def check_key_named(response: requests.Response, status: int, code: str) -> None:
    """Check that an error says that keys differ."""
    assert (response.status_code, problem(response)) == (status, code), response.text
    assert SHARED_KEY in response.text


def test_rotated_with_fallbacks(start_machine: StartMachine, provider: Provider) -> None:
    """Wherever the key is rotated, sign-ins that were begun with the old one are completed."""
    machine = start_machine(preload=False)
    mark = provider.mark()
    steps = SignIn.steps
    people = [SignIn(machine.server, f"person{number}") for number in range(len(steps) + 1)]
    for number, person in enumerate(people):
        person.take(*steps[:number])
    machine.set_keys(SECOND_KEY, FIRST_KEY)
    machine.server.kill_workers()
    for number, person in enumerate(people):
        person.take(*steps[number:], "refresh")
    assert provider.count("token_asked", since=mark) == len(people) * 2
    assert provider.count("token_refused", since=mark) == 0


def test_rotated_without_fallbacks(start_machine: StartMachine) -> None:
    """Who began with a key that is gone hears so, and can start again at once."""
    machine = start_machine(preload=False)
    steps = SignIn.steps
    people = {step: SignIn(machine.server, f"of-{step}") for step in (*steps[1:], "refresh")}
    for step, person in people.items():
        person.take(*(steps if step == "refresh" else person.before(step)))
    machine.set_keys(SECOND_KEY)
    machine.server.kill_workers()
    check_key_named(people["code"].code(), 400, "state-forged")
    check_key_named(people["deliver"].deliver(), 400, "state-forged")
    check_key_named(people["fetch"].fetch(), 503, "record-of-other-key")
    check_key_named(people["token"].token(), 403, "cookie-forged")
    check_key_named(people["refresh"].refresh(), 403, "cookie-forged")
    for person in people.values():
        person.again()


def test_workers_with_different_keys(start_machine: StartMachine, provider: Provider) -> None:
    """The error and the log name the cause, no code is used up, and the first worker goes on."""
    machine = start_machine(preload=False)
    (first,) = machine.server.workers()
    machine.set_keys(SECOND_KEY)
    second = machine.server.add_worker()
    mark = provider.mark()
    person = SignIn(machine.server, "ada")
    with machine.one_worker(first):
        person.take("challenge", "code")
    with machine.one_worker(second):
        check_key_named(person.code(), 400, "state-forged")
        check_key_named(person.token(), 403, "cookie-forged")
        check_key_named(person.deliver(), 400, "state-forged")
    with machine.one_worker(first):
        person.take("deliver")
    with machine.one_worker(second):
        check_key_named(person.fetch(), 503, "record-of-other-key")
    assert SHARED_KEY in machine.server.log()
    assert provider.count("token_asked", since=mark) == 0
    with machine.one_worker(first):
        person.take("code", "deliver", "fetch", "token")
    with machine.one_worker(second):
        person.again()
