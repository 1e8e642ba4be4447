"""No code, token, verifier, ticket, cookie, nonce or secret in a log, an error or a repr."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from requests import PreparedRequest

from flask_pkce import PKCEBlueprint, authorization_answered, authorization_requested, signed_in
from flask_pkce.protocol.authorization import parse_callback
from flask_pkce.sessions.session import RENEWAL_SHARED
from tests.conftest import SECRET_KEY, MakeApp
from tests.web.host import CALLBACK, PAGE, Browser, Caller, Host
from tests.web.prepared import Prepared

CLIENT_SECRET = "the-client-secret-of-the-application"


class Watch(logging.Handler):
    """Keeps every record of every logger, as text and in all its parts."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a record."""
        if not record.name.startswith("authlib"):
            formatted = logging.Formatter("%(name)s %(message)s").format(record)
            self.lines.append(f"{formatted} {record.__dict__!r}")


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Watch all loggers at DEBUG."""
    handler, root = Watch(), logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.setLevel(level)
    root.removeHandler(handler)


@pytest.fixture
def seen() -> list[Any]:
    """What hooks and observers were given."""
    return []


@pytest.fixture
def secretive(make_app: MakeApp, seen: list[Any]) -> Host:
    """A host with a client secret, whose hooks look at everything."""
    pkce = PKCEBlueprint()
    for register in (
        pkce.before_authorize,
        pkce.after_authorize,
        pkce.before_token,
        pkce.after_token,
        pkce.on_error,
    ):
        register(seen.append)
    host = make_app(
        blueprint=pkce,
        PKCE_CLIENT_SECRET=CLIENT_SECRET,
        PKCE_SCOPE="openid profile email offline_access",
        PKCE_LOCAL_SESSION=True,
    )
    host.tenant.register(client_secret=CLIENT_SECRET)
    return host


def sign_in(host: Host, caller: Caller) -> dict[str, str]:
    """A whole sign-in, with a refresh and its failures on the way; its secrets by name."""
    challenge = caller.challenge()
    url = caller.code(state=challenge["state"]).get_json()["authorization_url"]
    answer = host.tenant.sign_in(url)
    secrets = {
        "secret key": SECRET_KEY,
        "client secret": CLIENT_SECRET,
        "state": challenge["state"],
        "nonce": challenge["nonce"],
        "verifier": challenge["verifier"],
        "code": answer.params["code"],
    }
    if isinstance(caller, Browser):
        secrets["cookie before"] = caller.cookie
        kept = caller.deliver(answer)
        secrets["ticket"] = dict(parse_qsl(urlsplit(kept.headers["Location"]).query))["ticket"]
        caller.follow(kept)
        secrets["cookie once bound"] = caller.cookie
    else:
        caller.respond(**answer.params)
    tokens = caller.token().get_json()["auth0"]["oAuth"]["token"]
    for name in ("access_token", "refresh_token", "id_token"):
        secrets[name] = tokens[name]
    if isinstance(caller, Browser):
        secrets["cookie"] = caller.cookie
    refreshed = caller.token(grant_type="refresh_token").get_json()["auth0"]["oAuth"]["token"]
    for name in ("access_token", "refresh_token", "id_token"):
        secrets[f"new {name}"] = refreshed[name]
    return secrets


def errors(host: Host, caller: Caller, secrets: dict[str, str]) -> Iterator[str]:
    """What callers are told who send good secrets in the wrong place, or twice."""
    # Until then a spent refresh token brings what came of it.
    host.clock.advance(RENEWAL_SHARED)
    thief = host.browser()
    thief.begin()
    state, code, verifier = secrets["state"], secrets["code"], secrets["verifier"]
    for who in (caller, thief):
        for body in (
            {"code": code, "code_verifier": verifier},
            {"code": code, "code_verifier": "A" * 43},
            {"code": "another", "code_verifier": verifier},
            {"grant_type": "refresh_token", "refresh_token": secrets["refresh_token"]},
            {"client_id": CLIENT_SECRET},
        ):
            yield who.token(**body).text
        yield who.code(state=state, nonce=secrets["nonce"], scope=["openid"]).text
        yield who.respond(state=state, code="another").text
        yield who.respond(state=state, code=f"{code} ").text
        if "ticket" in secrets:
            headers = {"Accept": "text/html"}
            ticket = secrets["ticket"]
            yield who.send("GET", f"{CALLBACK}?ticket={ticket}", headers=headers).text
            tampered = {"Cookie": f"pkce-80={secrets['cookie']}x"}
            yield host.program().send("POST", "/pkce/token", headers=tampered).text


@pytest.mark.requirement("LG-1", "N98", "PK-6", "T19")
@pytest.mark.parametrize("is_local", [False, True])
def test_whole_sign_in(is_local: bool, secretive: Host, watch: Watch, seen: list[Any]) -> None:
    """A whole sign-in, with every logger at DEBUG, tells no secret: not in a log line, not in an
    error, not in the repr of anything that a hook is given."""
    caller: Caller = secretive.program() if is_local else secretive.browser()
    secrets = sign_in(secretive, caller)
    told = list(errors(secretive, caller, secrets))
    caller.clear()
    assert len(watch.lines) > 5
    assert len(told) >= 16
    assert len(seen) > 5
    for name, secret in secrets.items():
        assert not [line for line in watch.lines if secret in line], name
        assert not [text for text in told if secret in text], name
        assert not [value for value in seen if secret in repr(value)], name
        assert not [value for value in seen if secret in str(value)], name


@pytest.mark.requirement("FP-7", "PK-6")
@pytest.mark.parametrize("delivery", ["caller", "session"])
def test_what_a_browser_sees(delivery: str, make_app: MakeApp, seen: list[Any]) -> None:
    """No page and no address on the way has the verifier, the code or a token; the tenant gets
    the verifier at its token endpoint alone."""
    pkce = PKCEBlueprint()
    pkce.after_token(seen.append)
    host = make_app(
        blueprint=pkce, PKCE_TOKEN_DELIVERY=delivery, PKCE_SCOPE="openid offline_access"
    )
    browser = host.browser()
    sent = browser.submit("/pkce/code")
    answer = host.tenant.sign_in(sent.headers["Location"])
    verifier = host.flow_of(browser, answer.params["state"]).value.code_verifier
    kept = browser.deliver(answer)
    pages = [sent, kept, browser.follow(kept)]
    if delivery == "caller":
        pages.append(browser.post("/pkce/token", headers=PAGE))
    pages += [browser.follow(kept), browser.deliver({"state": "s"}), browser.submit("/pkce/clear")]
    (tokens,) = seen
    secrets = [verifier, answer.params["code"], tokens.access_token, tokens.refresh_token]
    for page in pages:
        shown = f"{page.headers}{page.text}"
        assert not [secret for secret in [*secrets, tokens.id_token] if secret in shown]
    asked = [each for each in host.tenant.requests if "code_verifier" in each.fields + each.query]
    assert [(each.method, each.path) for each in asked] == [("POST", "/oauth/token")]
    assert "code_verifier" in asked[0].fields


@pytest.mark.requirement("AZ-13")
def test_addresses_that_are_called(secretive: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """What we send to the tenant stands in forms, and no address has a parameter."""
    session = secretive.relying_party.transport.session
    send, called = session.send, []

    def remember_jti(prepared: PreparedRequest, **options: Any) -> Any:
        called.append(prepared.url or "")
        return send(prepared, **options)

    monkeypatch.setattr(session, "send", remember_jti)
    browser = secretive.browser()
    sign_in(secretive, browser)
    assert browser.clear().status_code == 204
    assert [url.rpartition("/")[2] for url in called] == [
        "openid-configuration",
        "jwks.json",
        "token",
        "token",
        "revoke",
    ]


@pytest.mark.requirement("LG-1", "N98", "T19")
@pytest.mark.parametrize("fault", ["silent", "unreachable", "token-html", "invalid-sig-rs256"])
def test_faults(fault: str, secretive: Host, watch: Watch) -> None:
    """Neither do the faults of the tenant, down to the causes of their exceptions."""
    browser = secretive.browser()
    known = Prepared(secretive, browser, own_state=False).put("bound")
    secretive.relying_party.tenants.default.keys()
    secretive.tenant.faults.add(fault)
    text = browser.token().text
    for secret in (known.state, known.verifier, known.code, CLIENT_SECRET, browser.cookie):
        assert not [line for line in watch.lines if secret in line]
        assert secret not in text


@pytest.mark.requirement("LG-1", "N98", "T19")
def test_hook_that_fails(secretive: Host, make_app: MakeApp, watch: Watch) -> None:
    """Nor what goes wrong in the host's own code, which Flask logs with its traceback."""
    pkce = PKCEBlueprint()

    @pkce.before_token
    def fail(token_request: Any) -> None:
        raise RuntimeError(f"this is {token_request}")

    host = make_app(blueprint=pkce, PKCE_CLIENT_SECRET=CLIENT_SECRET)
    browser = host.browser()
    known = Prepared(host, browser, own_state=False).put("bound")
    browser.headers = {**browser.headers}
    assert browser.client.post("/pkce/token").status_code == 500
    assert [line for line in watch.lines if "this is TokenRequest" in line]
    for secret in (known.state, known.verifier, known.code, CLIENT_SECRET):
        assert not [line for line in watch.lines if secret in line]


@pytest.mark.requirement("LG-1", "N98", "T19")
def test_reprs(secretive: Host) -> None:
    """What is kept of a sign-in has no secret in its repr."""
    browser = secretive.browser()
    known = Prepared(secretive, browser, own_state=False).put("bound")
    held = secretive.flow_of(browser, known.state)
    assert held.value.request is not None
    values: list[Any] = [held, held.value, held.value.request, held.value.response]
    browser.token()
    refresh_token = secretive.session_of(browser).value.grants[0].refresh_token or ""
    assert refresh_token
    session = secretive.session_of(browser)
    pointer = secretive.relying_party.signing.read_pointer(browser.cookie)
    values += [session, session.value, session.value.grants[0], pointer]
    values += [parse_callback({"state": known.state, "code": known.code})]
    values += [
        secretive.relying_party.settings,
        secretive.relying_party,
        secretive.relying_party.tenants.default.get(),
    ]
    secrets = [known.state, known.verifier, known.code, refresh_token, CLIENT_SECRET, SECRET_KEY]
    for value in values:
        for secret in [*secrets, repr(pointer.secret)]:
            assert secret not in repr(value), type(value)


@pytest.mark.requirement("N98")
def test_signals(secretive: Host) -> None:
    """What observers are given has no secret in its repr either."""
    seen: list[Any] = []

    def observe(_: Any, **values: Any) -> None:
        seen.extend(values.values())

    signals = (authorization_requested, authorization_answered, signed_in)
    for signal in signals:
        signal.connect(observe)
    secrets = sign_in(secretive, secretive.browser())
    for signal in signals:
        signal.disconnect(observe)
    assert len(seen) == 3
    assert not [name for name, secret in secrets.items() if secret in repr(seen)]


@pytest.mark.requirement("ST-3", "BB-3", "T28")
def test_store_is_sealed(secretive: Host) -> None:
    """What the store keeps can be read by nobody who has only the store."""
    secrets = sign_in(secretive, secretive.browser())
    kept = b"".join(key.encode() + value for key, value in secretive.store.contents().items())
    assert kept
    assert not [name for name, secret in secrets.items() if secret.encode() in kept]
    assert b"alice" not in kept
