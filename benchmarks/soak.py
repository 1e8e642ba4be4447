"""Many people at once, whose sign-ins are interleaved: nobody is lost, doubled or mixed up.

``make soak`` lets ten thousand sign in over four processes and Redis.  Every one of them must be
signed in as the person who signed in, by one token request, and be a session of its own; a
minute after the lifetime of flows none of those may be left.
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from flask import Flask
from redis import Redis

from .browser import CROSS_SITE, Browser, Wire, to_server
from .contestants import CALLBACK, Provider, authorize, our_app
from .processes import Server, clean_environment, counts, gunicorn, redis_server, stub
from .stub import TOKEN_PATH

#: Seconds that a flow lives here.
FLOW_LIFETIME = 30
#: Seconds after their lifetime by which the store must have let flows go.
GRACE = 60
#: Sign-ins that each connection has under way at the same time.
OPEN = 20


@dataclass(frozen=True)
class Plan:
    """Who signs in, and who serves them."""

    people: int
    connections: int
    workers: int
    threads: int
    store: str


def application(issuer: str, store: str) -> Flask:
    """The application for gunicorn."""
    return our_app(
        Provider(issuer, None), store=store, delivery="session", PKCE_FLOW_LIFETIME=FLOW_LIFETIME
    )


def sign_in(wire: Wire, subject: str) -> Iterator[None]:
    """Sign one person in, and pause between the requests.

    :raises AssertionError: if any request is answered otherwise than it should be.
    """
    browser = Browser(wire)
    sent = browser.post("/pkce/code")
    assert sent.status == 303, sent
    yield
    kept = browser.post(CALLBACK, authorize(sent.location, subject), site=CROSS_SITE)
    assert kept.status == 303, kept
    yield
    done = browser.get(kept.location, site=CROSS_SITE)
    assert done.status == 303, done
    yield
    user = browser.fetch("GET", "/pkce/user")
    assert user.status == 200, user
    assert user.json()["sub"] == subject, (subject, user)


def play(port: int, subjects: list[str], seed: int) -> list[str]:
    """Sign these people in on one connection, many at a time; what went wrong."""
    wire, order = to_server(port), random.Random(seed)
    waiting, under_way = iter(subjects), list[Iterator[None]]()
    failures: list[str] = []
    while True:
        while len(under_way) < OPEN and (subject := next(waiting, None)) is not None:
            under_way.append(sign_in(wire, subject))
        if not under_way:
            return failures
        chosen = order.randrange(len(under_way))
        try:
            next(under_way[chosen])
        except StopIteration:
            del under_way[chosen]
        except AssertionError as exc:
            failures.append(str(exc))
            del under_way[chosen]


def everybody(server: Server, subjects: list[str], connections: int) -> list[str]:
    """Sign all of them in; what went wrong."""
    with ThreadPoolExecutor(connections) as pool:
        played = [
            pool.submit(play, server.port, subjects[first::connections], first)
            for first in range(connections)
        ]
        return [failure for done in played for failure in done.result()]


def kinds(client: Redis) -> Counter[str]:
    """How many records of each kind the store has: ``s`` sessions, ``f`` flows, ``a`` answers."""
    return Counter(key.decode().split(":")[2] for key in client.scan_iter(count=1000))


def run(plan: Plan, provider: Provider) -> list[str]:
    """Let everybody sign in, say what was seen, and return what must not be so."""
    people = [f"auth0|{number}" for number in range(plan.people)]
    arguments = (provider.issuer, plan.store)
    with gunicorn(
        f"benchmarks.soak:application{arguments!r}", workers=plan.workers, threads=plan.threads
    ) as server:
        # What is made once is made by others.
        everybody(server, people[: plan.connections], plan.connections)
        memory, asked = server.memory(), counts(provider)[TOKEN_PATH]
        began = time.monotonic()
        complaints = everybody(server, people, plan.connections)
        took = time.monotonic() - began
        asked = counts(provider)[TOKEN_PATH] - asked
        print(f"{plan.people} sign-ins in {took:.0f} s, {len(complaints)} failed", flush=True)
        if asked != plan.people:
            complaints.append(f"{asked} token requests for {plan.people} sign-ins")
        if plan.store.startswith("redis"):
            complaints += check_store(Redis.from_url(plan.store), plan)
        grown = server.memory() - memory
        print(f"the workers hold {grown / 1024:.0f} KB more than at the beginning", flush=True)
    return complaints


def check_store(client: Redis, plan: Plan) -> Iterator[str]:
    """What the store must not have, at the end and a minute after the lifetime of flows."""
    sessions = kinds(client)["s"] - plan.connections
    print(f"{sessions} sessions", flush=True)
    if sessions != plan.people:
        yield f"{sessions} sessions of {plan.people} people"
    time.sleep(FLOW_LIFETIME + GRACE)
    left = kinds(client)
    print(f"after {FLOW_LIFETIME + GRACE} s: {left['f']} flows, {left['a']} answers", flush=True)
    if left["f"] or left["a"]:
        yield f"{left['f']} flows and {left['a']} answers are left"


def main() -> None:
    """Run it as the command line says; the status is 1 if anything was not as it must be."""
    parser = argparse.ArgumentParser(prog="benchmarks.soak", description=__doc__)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--store", help="PKCE_STORE_URL; by default a Redis of its own")
    options = parser.parse_args()
    clean_environment()
    with tempfile.TemporaryDirectory() as folder, redis_server(Path(folder)) as redis_url:
        store = options.store or redis_url
        if store is None:
            sys.exit("There is neither redis-server nor valkey-server here: give a --store.")
        plan = Plan(options.people, options.connections, options.workers, options.threads, store)
        with stub() as provider:
            complaints = run(plan, provider)
    for complaint in complaints[:20]:
        print(complaint, file=sys.stderr)
    sys.exit(1 if complaints else 0)


if __name__ == "__main__":
    main()
