"""What is logged: each event with its name, its fields and its text."""

from __future__ import annotations

import logging
import pkgutil
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from unittest import mock

import pytest
from flask import Flask
from flask_wtf import CSRFProtect
from redis import ConnectionError as RedisConnectionError

from flask_pkce import PKCEBlueprint, failed
from flask_pkce.errors import StoreError
from flask_pkce.log_events import LIMIT_PERIOD, Limit, LogEvent, catalogue
from flask_pkce.tenant.cache import FRESH
from tests.canaries import fields_of
from tests.conftest import MakeApp
from tests.web.host import Clock, Host
from tests.web.prepared import Prepared

Provoke = Callable[[MakeApp], None]


@contextmanager
def limited(event: str, code: str, clock: Clock) -> Iterator[None]:
    """Let the next line of an event be the first one after three that were left out."""
    limit = Limit(clock=clock)
    assert [limit.admit(code) for _ in range(4)] == [0, None, None, None]
    clock.advance(LIMIT_PERIOD)
    with mock.patch(event, replace(pkgutil.resolve_name(event), limit=limit)):
        yield


def _method_is_wrong(make_app: MakeApp) -> None:
    make_app(url_prefix="/auth").browser().send("PUT", "/pkce/token")


def _store_breaks(make_app: MakeApp) -> None:
    host = make_app()

    def fall_over(*_: object) -> bool:
        raise StoreError() from RedisConnectionError("redis.example refused")

    with mock.patch.object(host.store, "add", fall_over):
        host.browser().send("GET", "/pkce/challenge")


def _cookie_is_forged(make_app: MakeApp) -> None:
    host = make_app()
    browser = host.browser()
    browser.client.set_cookie("pkce-80", f"{'A' * 32}.{'A' * 43}")
    browser.challenge()


def _tenant_asks_to_slow_down(make_app: MakeApp) -> None:
    host = make_app()
    host.tenant.faults.add("metadata-429")
    host.browser().code()


def _hosts_are_foreign(make_app: MakeApp) -> None:
    host = make_app(PKCE_PUBLIC_URL="https://app.example")
    with limited("flask_pkce.web.problems.REQUEST_FAILED", "host-unknown", host.clock):
        host.browser().send("GET", "/pkce/challenge", headers={"Host": "evil.example"})


def _cookies_are_forged(make_app: MakeApp) -> None:
    clock = Clock()
    with limited("flask_pkce.web.callers.COOKIE_UNUSABLE", "cookie-forged", clock):
        _cookie_is_forged(make_app)


def _keys_cannot_be_fetched_anew(make_app: MakeApp) -> None:
    host = make_app()
    host.relying_party.tenants.default.get()
    host.clock.now += FRESH
    host.tenant.faults.add("unreachable")
    host.relying_party.tenants.default.get()


def _token_is_not_revoked(make_app: MakeApp) -> None:
    host = make_app(PKCE_SCOPE="openid offline_access")
    browser = host.browser()
    Prepared(host, browser, own_state=False).put("done")
    host.tenant.faults.add("unreachable")
    browser.clear()


def _receiver_raises(make_app: MakeApp) -> None:
    host = make_app()

    def fall_over(sender: object, **values: object) -> None:
        raise RuntimeError("a mistake of the host")

    with failed.connected_to(fall_over, host.app):
        host.browser().send("POST", "/pkce/challenge")


def _tenant_is_unreachable(make_app: MakeApp) -> None:
    host = make_app()
    host.tenant.faults.add("unreachable")
    host.browser().code()


def _client_secret_is_missing(make_app: MakeApp) -> None:
    blueprint = PKCEBlueprint("staff", config_prefix="STAFF_")
    make_app(
        blueprint=blueprint,
        STAFF_TOKEN_DELIVERY="session",
        STAFF_PUBLIC_URL="https://app.example",
    )


def _forms_are_protected(make_app: MakeApp) -> None:
    app = Flask("host")
    CSRFProtect(app)
    make_app(app=app)


#: What each of them logs: its level, its text and its fields, without their prefix.
LOGGED: dict[Provoke, tuple[int, str, dict[str, object]]] = {
    _method_is_wrong: (
        logging.INFO,
        "method-not-allowed: This path does not answer that method.",
        {
            "event": "request-failed",
            "route": "pkce.token",
            "status": 405,
            "error": "method-not-allowed",
        },
    ),
    _store_breaks: (
        logging.ERROR,
        "store-unavailable: The store of the sign-ins cannot be reached."
        " (ConnectionError; PKCE_STORE_URL)",
        {
            "event": "request-failed",
            "route": "pkce.challenge",
            "status": 503,
            "error": "store-unavailable",
            "cause": "ConnectionError",
            "setting": "PKCE_STORE_URL",
        },
    ),
    _tenant_is_unreachable: (
        logging.ERROR,
        "tenant-unreachable: The tenant cannot be reached; the request was surely not received."
        " (ConnectionError; tenant.example; PKCE_DOMAIN)",
        {
            "event": "request-failed",
            "route": "pkce.code",
            "status": 502,
            "error": "tenant-unreachable",
            "cause": "ConnectionError",
            "host": "tenant.example",
            "setting": "PKCE_DOMAIN",
        },
    ),
    _cookie_is_forged: (
        logging.WARNING,
        "cookie-forged: Start again. For the operator: do all workers share SECRET_KEY?",
        {"event": "cookie-unusable", "error": "cookie-forged"},
    ),
    _tenant_asks_to_slow_down: (
        logging.WARNING,
        "tenant-limit: The tenant asks us to slow down.",
        {
            "event": "request-failed",
            "route": "pkce.code",
            "status": 429,
            "error": "tenant-limit",
        },
    ),
    _hosts_are_foreign: (
        logging.WARNING,
        "host-unknown: The request names a host that is not ours. (evil.example)"
        " (3 more since the last such line)",
        {
            "event": "request-failed",
            "route": "pkce.challenge",
            "status": 400,
            "error": "host-unknown",
            "host": "evil.example",
            "suppressed": 3,
        },
    ),
    _cookies_are_forged: (
        logging.WARNING,
        "cookie-forged: Start again. For the operator: do all workers share SECRET_KEY?"
        " (3 more since the last such line)",
        {"event": "cookie-unusable", "error": "cookie-forged", "suppressed": 3},
    ),
    _keys_cannot_be_fetched_anew: (
        logging.WARNING,
        "tenant-refresh-failed: tenant-unreachable, going on with what there is",
        {
            "event": "tenant-refresh-failed",
            "error": "tenant-unreachable",
            "host": "tenant.example",
            "setting": "PKCE_DOMAIN",
        },
    ),
    _token_is_not_revoked: (
        logging.WARNING,
        "revocation-failed: tenant-unreachable",
        {
            "event": "revocation-failed",
            "tenant": "https://tenant.example/",
            "error": "tenant-unreachable",
        },
    ),
    _receiver_raises: (
        logging.ERROR,
        "signal-receiver-failed: failed",
        {"event": "signal-receiver-failed", "signal": "failed"},
    ),
    _forms_are_protected: (
        logging.INFO,
        "csrf-exempted: CSRFProtect leaves the routes of pkce to their own protection",
        {"event": "csrf-exempted", "blueprint": "pkce"},
    ),
    _client_secret_is_missing: (
        logging.WARNING,
        "setting-weak: STAFF_CLIENT_SECRET is missing: a server that keeps the tokens is a"
        " confidential client (RFC 10017 6.1.3.1)",
        {"event": "setting-weak", "setting": "STAFF_CLIENT_SECRET"},
    ),
}


@pytest.mark.parametrize("provoke", LOGGED, ids=lambda provoke: provoke.__name__.strip("_"))
def test_events(provoke: Provoke, make_app: MakeApp, caplog: pytest.LogCaptureFixture) -> None:
    """Each event has its level, a text that begins with a code, and its fields."""
    provoke(make_app)
    level, text, fields = LOGGED[provoke]
    (record,) = [
        record
        for record in caplog.records
        if getattr(record, "pkce_event", None) == fields["event"]
    ]
    assert (record.levelno, record.getMessage()) == (level, text)
    assert fields_of(record) == {f"pkce_{name}": value for name, value in fields.items()}
    # Who looks for the place finds the one that knew of it.
    assert not record.pathname.endswith("events.py")
    assert bool(record.exc_info) is (provoke is _receiver_raises)


def test_every_event_is_met() -> None:
    """No event of the catalogue is left out above, and names are used once."""
    names = [event.name for event in catalogue()]
    assert len(set(names)) == len(names)
    assert {fields["event"] for _, _, fields in LOGGED.values()} == set(names)
    for event in catalogue():
        met = [fields for _, _, fields in LOGGED.values() if fields["event"] == event.name]
        assert {*event.fields, "event"} == {name for fields in met for name in fields}


def test_nothing_is_made_of_what_nobody_hears(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below the level of its logger an event costs no more than the question."""
    logger = logging.getLogger("flask_pkce.of_this_test")
    monkeypatch.setattr(logger, "makeRecord", None)
    logger.setLevel(logging.ERROR)
    LogEvent("unheard", logger, logging.WARNING, ()).log("Nobody hears of it")


def test_a_strangers_text_is_one_line(caplog: pytest.LogCaptureFixture) -> None:
    """What a stranger says makes no line of its own."""
    (event,) = [event for event in catalogue() if event.name == "request-failed"]
    event.log("It said\nERROR: you are hacked", code="access-denied")
    assert caplog.messages == ["access-denied: It said ERROR: you are hacked"]


# -- floods ------------------------------------------------------------------------


def _forge_hosts(host: Host) -> None:
    host.browser().client.get("/pkce/challenge", base_url="http://evil.example")


def _forge_cookies(host: Host) -> None:
    browser = host.browser()
    browser.client.set_cookie("pkce-80", f"{'A' * 32}.{'A' * 43}")
    browser.challenge()


def _forge_states(host: Host) -> None:
    browser = host.browser()
    _, url = browser.begin()
    answer = dict(host.tenant.sign_in(url).params)
    answer["state"] = answer["state"][:-20] + "A" * 20
    browser.arrive(answer)


@pytest.mark.parametrize("forge", [_forge_hosts, _forge_cookies, _forge_states])
def test_strangers_do_not_flood_the_log(
    forge: Callable[[Host], None], host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    """Requests of nobody we know make one warning of a kind, however many they are."""
    caplog.set_level(logging.WARNING)
    for _ in range(20):
        forge(host)
    (record,) = caplog.records
    assert record.levelno == logging.WARNING


def test_limit() -> None:
    """The first line of a kind is logged at once, the next after a minute counts those between."""
    clock = Clock()
    limit = Limit(clock=clock)
    assert [limit.admit("one") for _ in range(3)] == [0, None, None]
    assert limit.admit("another") == 0
    clock.advance(LIMIT_PERIOD - 1)
    assert limit.admit("one") is None
    clock.advance(1)
    assert [limit.admit("one"), limit.admit("one"), limit.admit("another")] == [3, None, 0]


def test_limit_among_threads() -> None:
    """No line is lost or counted twice where many threads log at once."""
    clock = Clock()
    limit = Limit(clock=clock)
    barrier = threading.Barrier(8)

    def log(_: int) -> list[int | None]:
        barrier.wait()
        return [limit.admit("one") for _ in range(2000)]

    with ThreadPoolExecutor(8) as threads:
        answers = Counter(each for answer in threads.map(log, range(8)) for each in answer)
    assert answers == {0: 1, None: 15_999}
    clock.advance(LIMIT_PERIOD)
    assert limit.admit("one") == 15_999


def test_other_levels_are_not_limited(caplog: pytest.LogCaptureFixture) -> None:
    """An error and what is only information are logged each time; so is what nobody limits."""
    caplog.set_level(logging.INFO)
    limited = LogEvent("limited", logging.getLogger("of_this_test"), logging.WARNING, (), Limit())
    for level in (logging.INFO, logging.WARNING, logging.ERROR) * 2:
        limited.log("Again", level=level)
    replace(limited, limit=None).log("Again")
    levels = [record.levelname for record in caplog.records]
    assert levels == ["INFO", "WARNING", "ERROR", "INFO", "ERROR", "WARNING"]
