"""Stores that are killed, or deleted, under running workers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tests.stores.redis_server import RedisServer

from .faults import Machine, SignIn, meanwhile, problem
from .processes import Provider

if TYPE_CHECKING:
    from .conftest import StartMachine

#: What is told of a sign-in of which nothing is left, by step.
GONE = {"code": "state-cleared", "fetch": "ticket-spent", "token": "session-over"}


def reach(machine: Machine, login: str, *steps: str) -> SignIn:
    """Begin a sign-in."""
    person = SignIn(machine.server, login)
    person.take(*steps)
    return person


def every_route(person: SignIn) -> list[requests.Response]:
    """Call each route in the middle of a sign-in."""
    url = f"{person.server.url}/pkce/clear"
    steps = (person.challenge, person.code, person.deliver, person.fetch, person.token)
    return [
        *(step() for step in steps),
        person.refresh(),
        person.browser.fetch(url, json={}),
    ]


def at_each_step(machine: Machine) -> list[SignIn]:
    """People at each step of a sign-in, and one who is signed in."""
    steps = SignIn.steps
    return [reach(machine, f"person{n}", *steps[:n]) for n in range(1, len(steps) + 1)]


def check_gone(people: list[SignIn]) -> None:
    """Check that each hears that the sign-in is gone, and can start again."""
    for person, step in zip(people, (*SignIn.steps[1:], "refresh"), strict=True):
        if step == "deliver":
            # The callback does not tell whether there is such a flow; the next step does.
            person.take("deliver")
            step, expected = "fetch", "state-cleared"
        else:
            expected = GONE.get(step, "session-over")
        response = getattr(person, step)()
        assert (response.status_code, problem(response)) == (400, expected), step
        assert "start again" in response.text.lower(), step
        person.again()


def test_redis_killed(start_machine: StartMachine, redis: RedisServer, provider: Provider) -> None:
    """While Redis is down each route answers 503 and when to come again; once it is back, the
    same workers go on with every sign-in."""
    machine = start_machine(workers=2, PKCE_STORE_URL=redis.url)
    mark = provider.mark()
    people = at_each_step(machine)
    lost = reach(machine, "lost", "challenge", "code", "deliver")
    workers = machine.server.workers()
    redis.kill()
    for response in every_route(lost) * 2:
        assert (response.status_code, problem(response)) == (503, "store-unavailable")
        assert int(response.headers["Retry-After"]) > 0
    assert provider.count("token_asked", since=mark) == 1
    redis.start()
    for number, person in enumerate(people, 1):
        person.take(*(SignIn.steps[number:] or ("refresh",)))
    assert machine.server.workers() == workers
    assert "Traceback" not in machine.server.log()


def test_redis_killed_during_the_exchange(
    start_machine: StartMachine, redis: RedisServer, provider: Provider
) -> None:
    """Tokens that cannot be kept are taken back, and the person can start again."""
    machine = start_machine(PKCE_STORE_URL=redis.url, PKCE_TIMEOUT="60")
    person = reach(machine, "ada", "challenge", "code", "deliver", "fetch")
    mark = provider.mark()
    with provider.slow(5), meanwhile(person.token) as asked:
        provider.wait_for("token_asked", since=mark)
        redis.kill()
        assert (asked.result().status_code, problem(asked.result())) == (
            503,
            "store-unavailable",
        )
    provider.wait_for("revoked", since=mark)
    redis.start()
    assert problem(person.token()) == "flow-redeeming"
    person.again()
    assert provider.count("token_refused", since=mark) == 0


def test_redis_empty(start_machine: StartMachine, tmp_path: Path) -> None:
    """Where Redis forgot everything, each person hears so, and can start again."""
    redis = RedisServer(tmp_path)
    try:
        machine = start_machine(workers=2, PKCE_STORE_URL=redis.url)
        people = at_each_step(machine)
        redis.kill()
        redis.start()
        check_gone(people)
    finally:
        redis.kill()


@pytest.mark.parametrize("alone", [False, True])
def test_file_deleted(start_machine: StartMachine, alone: bool) -> None:
    """Where the file was deleted, each person hears that the sign-in is gone; where the file was
    deleted alone, everybody hears what to delete as well."""
    machine = start_machine(workers=2)
    people = at_each_step(machine)
    lost = reach(machine, "lost", "challenge", "code", "deliver")
    file = machine.store_file
    others = [file.with_name(file.name + end) for end in ("-wal", "-shm")]
    assert all(other.exists() for other in others)
    file.unlink()
    if alone:
        for response in every_route(lost):
            assert (response.status_code, problem(response)) == (503, "store-unavailable")
        assert "-wal" in lost.challenge().json()["detail"]
    for other in others:
        other.unlink()
    check_gone(people)
