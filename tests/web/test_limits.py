"""``Prefer: wait``: an answer that is held until there is one."""

from __future__ import annotations

import asyncio
import time
from threading import Thread
from typing import Any

import pytest
from asgiref.testing import ApplicationCommunicator
from asgiref.wsgi import WsgiToAsgi
from werkzeug.test import TestResponse

from tests.conftest import MakeApp
from tests.web.host import Caller, Host, Program, check_problem


@pytest.fixture
def local(make_app: MakeApp) -> Host:
    """A host with the local session, whose callers may wait."""
    return make_app(PKCE_LOCAL_SESSION=True)


@pytest.fixture
def program(local: Host) -> Program:
    """A caller of the local session."""
    return local.program()


def wait(
    caller: Caller, state: str, prefer: str = "wait=20", *, threads: bool = True
) -> TestResponse:
    """Ask for the result, and wait for it."""
    response: TestResponse = caller.post(
        "/pkce/code",
        {"state": state},
        headers={"Prefer": prefer},
        environ_overrides={"wsgi.multithread": threads},
    )
    return response


def test_wait_until_bound(local: Host, program: Program) -> None:
    """The answer is held until the flow is bound, and says that it was."""
    state, url = program.begin()
    answer = local.tenant.sign_in(url)

    def sign_in() -> None:
        assert local.store.somebody_waits.wait(10)
        local.browser().arrive(answer)

    person = Thread(target=sign_in)
    person.start()
    response = wait(program, state)
    person.join()
    assert response.headers["Preference-Applied"] == "wait=20"
    assert response.get_json()["result"]["code"] == answer.params["code"]
    assert local.store.waits == [20]


def test_wait_hears_of_a_refusal(local: Host, program: Program) -> None:
    """A caller that waits hears at once that the user cancelled."""
    state, url = program.begin()

    def cancel() -> None:
        assert local.store.somebody_waits.wait(10)
        local.browser().arrive(local.tenant.sign_in(url, cancel=True))

    person = Thread(target=cancel)
    person.start()
    response = wait(program, state)
    person.join()
    check_problem(response, "access-denied")


@pytest.mark.requirement("T30")
@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=1", 1),
        ("wait=25", 25),
        ("wait=26", 25),
        ("respond-async, WAIT=3", 3),
        ("respond-async;x=1,\twait=2", 2),
        ('wait="4"; foo', 4),
        ("wait = 5 ;x=1, wait=6", 5),
        ("wait=999999999", 25),
    ],
)
def test_how_long(prefer: str, seconds: int, local: Host, program: Program) -> None:
    """A caller waits as long as it wishes, and 25 seconds at most; then the answer comes."""
    local.store.patience = 0
    state, _ = program.begin()
    response = wait(program, state, prefer)
    assert "result" not in response.get_json()
    assert local.store.waits == [seconds]
    assert response.headers["Preference-Applied"] == f"wait={seconds}"


@pytest.mark.parametrize(
    "prefer",
    [
        *("", "wait", "wait=", "wait=0", "wait=-1", "wait=x", "await=9", "wait=9999999999"),
        *("wait=\xb2", "foo; wait=9", "wait=x, wait=9"),
    ],
)
def test_no_wish_to_wait(prefer: str, local: Host, program: Program) -> None:
    """Without a wish, or with one that is malformed, the answer comes at once."""
    state, _ = program.begin()
    response = wait(program, state, prefer)
    assert response.status_code == 200
    assert "Preference-Applied" not in response.headers
    assert local.store.waits == []


def test_one_thread_does_not_wait(local: Host, program: Program) -> None:
    """A server of one thread answers at once: nobody else could bring the answer."""
    state, _ = program.begin()
    response = wait(program, state, threads=False)
    assert "Preference-Applied" not in response.headers
    assert local.store.waits == []


def test_bound_does_not_wait(local: Host, program: Program) -> None:
    """What is there already is told at once."""
    state, url = program.begin()
    local.browser().arrive(local.tenant.sign_in(url))
    response = wait(program, state)
    assert "result" in response.get_json()
    assert local.store.waits == []


@pytest.mark.requirement("T30")
def test_one_waits(local: Host, program: Program) -> None:
    """While one request waits, the others are answered at once: the server needs a thread."""
    state, url = program.begin()
    at_once: list[TestResponse] = []

    def second() -> None:
        assert local.store.somebody_waits.wait(10)
        at_once.append(wait(local.program(), state))
        local.browser().arrive(local.tenant.sign_in(url))

    person = Thread(target=second)
    person.start()
    assert wait(program, state).headers["Preference-Applied"]
    person.join()
    assert "Preference-Applied" not in at_once[0].headers
    # The place is free again.
    local.store.patience = 0
    state, _ = program.begin()
    assert wait(program, state).headers["Preference-Applied"]


@pytest.mark.requirement("T30")
@pytest.mark.parametrize("is_on", [False, True], ids=["local session off", "local session on"])
def test_strangers_do_not_wait(is_on: bool, make_app: MakeApp) -> None:
    """The header of any caller but those of the local session is ignored."""
    host = make_app(PKCE_LOCAL_SESSION=is_on)
    browser = host.browser()
    state, _ = browser.begin()
    stranger = host.program()
    stranger.headers = {**stranger.headers, "X-Forwarded-For": "203.0.113.1"}
    for response in (wait(browser, state), wait(stranger, "a-state-of-its-own")):
        assert response.status_code == 200
        assert "Preference-Applied" not in response.headers
    assert host.store.waits == []


@pytest.mark.requirement("T30")
def test_strangers_hold_no_server(host: Host) -> None:
    """asgiref serves one request at a time, and says that it has threads: a stranger's request
    does not stop it."""

    # Neither class is typed.
    wsgi_to_asgi: Any = WsgiToAsgi
    communicator: Any = ApplicationCommunicator

    async def request(method: str, path: str, prefer: str) -> int:
        app = communicator(
            wsgi_to_asgi(host.app),
            {
                "type": "http",
                "http_version": "1.1",
                "method": method,
                "path": path,
                "query_string": b"",
                "headers": [(b"host", b"localhost"), (b"prefer", prefer.encode())],
            },
        )
        await app.send_input({"type": "http.request", "body": b""})
        status: int = (await app.receive_output(timeout=10))["status"]
        await app.wait()
        return status

    async def at_once() -> tuple[int, int]:
        return await asyncio.gather(
            request("POST", "/pkce/code", "wait=2"), request("GET", "/pkce/challenge", "")
        )

    started = time.monotonic()
    assert list(asyncio.run(at_once())) == [200, 200]
    assert time.monotonic() - started < 2
    assert host.store.waits == []
