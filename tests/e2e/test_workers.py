"""Many people at once, and several processes that serve them."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from .processes import Provider, Server
from .scripted import ScriptedBrowser

if TYPE_CHECKING:
    from .conftest import Serve

PEOPLE = 200
THREADS = 8


def sign_in(server: Server, login: str) -> Iterator[str]:
    """Sign one person in, and pause between the steps."""
    browser = ScriptedBrowser()
    front = browser.open(f"{server.url}/")
    yield "at the front page"
    page = browser.submit(front)
    yield "at the tenant"
    arrived = browser.sign_in(page, login)
    assert arrived.status_code == 200, (login, arrived.status_code, arrived.text)
    yield "back with an answer"
    answer = browser.fetch(f"{server.url}/pkce/token", json={})
    assert answer.status_code == 200, (login, answer.status_code, answer.text)
    assert answer.json()["auth0"]["user"]["email"] == f"{login}@example.org"
    yield "with tokens"
    again = browser.fetch(f"{server.url}/pkce/token", json={})
    assert again.status_code in (400, 409), (login, again.status_code, again.text)
    yield "refused a second time"
    cleared = browser.fetch(f"{server.url}/pkce/clear", json={})
    assert cleared.status_code == 204, (login, cleared.status_code, cleared.text)


def interleave(runs: list[Iterator[str]], threads: int) -> None:
    """Take the steps of all runs in a random order, several at a time."""
    order = random.Random(7636)
    lock = threading.Lock()

    def work() -> None:
        while True:
            with lock:
                if not runs:
                    return
                run = runs.pop(order.randrange(len(runs)))
            if next(run, None) is not None:
                with lock:
                    runs.append(run)

    with ThreadPoolExecutor(threads) as pool:
        for done in [pool.submit(work) for _ in range(threads)]:
            done.result()


def test_four_workers_serve_two_hundred_people(serve: Serve, provider: Provider) -> None:
    """No sign-in fails or goes to another person, whichever worker gets which request."""
    server = serve(workers=4)
    mark = provider.mark()
    interleave([sign_in(server, f"person{number}") for number in range(PEOPLE)], THREADS)
    assert provider.count("token", since=mark) == PEOPLE
    assert provider.count("token_refused", since=mark) == 0
    assert "Traceback" not in server.log()
