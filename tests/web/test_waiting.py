"""``Prefer: wait``: an answer that is held until there is one."""

from __future__ import annotations

from threading import Thread

import pytest
from werkzeug.test import TestResponse

from flask_pkce.web.waiting import MAX_WAITERS
from tests.conftest import MakeApp
from tests.web.host import Browser, Caller, Host, check_problem


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


@pytest.mark.parametrize("is_local", [False, True])
def test_wait_until_bound(is_local: bool, make_app: MakeApp) -> None:
    """The answer is held until the flow is bound, and says that it was; not to whoever asked with
    the cookie that was renewed meanwhile, and may have planted it."""
    host = make_app(PKCE_LOCAL_SESSION=is_local)
    caller: Caller = host.program() if is_local else host.browser()
    state, url = caller.begin()
    answer = host.tenant.sign_in(url)
    other = host.browser()
    if not is_local:
        other.client.set_cookie("pkce-80", caller.cookie)

    def sign_in() -> None:
        assert host.store.somebody_waits.wait(10)
        other.arrive(answer)

    person = Thread(target=sign_in)
    person.start()
    response = wait(caller, state)
    person.join()
    assert response.headers["Preference-Applied"] == "wait=20"
    if not is_local:
        # It was asked with the cookie that is worth nothing now.
        assert "result" not in response.get_json()
        response = other.code(state=state)
    assert response.get_json()["result"]["code"] == answer.params["code"]
    assert host.store.waits == [20]


def test_wait_hears_of_a_refusal(host: Host, browser: Browser) -> None:
    """Who waits hears at once that the user cancelled."""
    state, url = browser.begin()
    other = host.browser()
    other.client.set_cookie("pkce-80", browser.cookie)

    def cancel() -> None:
        assert host.store.somebody_waits.wait(10)
        other.arrive(host.tenant.sign_in(url, cancel=True))

    person = Thread(target=cancel)
    person.start()
    response = wait(browser, state)
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
        ('wait="4"; foo', 4),
        ("wait=999999999", 25),
    ],
)
def test_how_long(prefer: str, seconds: int, host: Host, browser: Browser) -> None:
    """A caller waits as long as it wishes, and 25 seconds at most; then the answer comes."""
    host.store.patience = 0
    state, _ = browser.begin()
    response = wait(browser, state, prefer)
    assert "result" not in response.get_json()
    assert host.store.waits == [seconds]
    assert response.headers["Preference-Applied"] == f"wait={seconds}"


@pytest.mark.parametrize(
    "prefer", ["", "wait", "wait=", "wait=0", "wait=-1", "wait=x", "await=9", "wait=9999999999"]
)
def test_no_wish_to_wait(prefer: str, host: Host, browser: Browser) -> None:
    """Without a wish, or with one that is malformed, the answer comes at once."""
    state, _ = browser.begin()
    response = wait(browser, state, prefer)
    assert response.status_code == 200
    assert "Preference-Applied" not in response.headers
    assert host.store.waits == []


def test_one_thread_does_not_wait(host: Host, browser: Browser) -> None:
    """A server of one thread answers at once: nobody else could bring the answer."""
    state, _ = browser.begin()
    response = wait(browser, state, threads=False)
    assert "Preference-Applied" not in response.headers
    assert host.store.waits == []


def test_bound_does_not_wait(host: Host, browser: Browser) -> None:
    """What is there already is told at once."""
    state, url = browser.begin()
    browser.arrive(host.tenant.sign_in(url))
    response = wait(browser, state)
    assert "result" in response.get_json()
    assert host.store.waits == []


@pytest.mark.requirement("T30")
def test_one_waiter_a_session(host: Host, browser: Browser) -> None:
    """While the session waits already, its other requests are answered at once."""
    state, url = browser.begin()
    other = host.browser()
    other.client.set_cookie("pkce-80", browser.cookie)
    at_once: list[TestResponse] = []

    def second() -> None:
        assert host.store.somebody_waits.wait(10)
        at_once.append(wait(other, state))
        other.arrive(host.tenant.sign_in(url))

    person = Thread(target=second)
    person.start()
    assert wait(browser, state).headers["Preference-Applied"]
    person.join()
    assert "Preference-Applied" not in at_once[0].headers


@pytest.mark.requirement("T30")
def test_fill_of_waiters(host: Host) -> None:
    """A process has its fill of waiters: the others need threads too."""
    callers = [host.browser() for _ in range(MAX_WAITERS + 1)]
    states = [caller.begin()[0] for caller in callers]

    def waits(number: int) -> None:
        wait(callers[number], states[number])

    threads = [Thread(target=waits, args=(number,)) for number in range(MAX_WAITERS)]
    for thread in threads:
        host.store.somebody_waits.clear()
        thread.start()
        assert host.store.somebody_waits.wait(10)
    at_once = wait(callers[-1], states[-1])
    for caller in callers:
        other = host.browser()
        other.client.set_cookie("pkce-80", caller.cookie)
        other.clear()
    for thread in threads:
        thread.join()
    assert "Preference-Applied" not in at_once.headers
    assert len(host.store.waits) == MAX_WAITERS
