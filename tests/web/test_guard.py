"""Whether a request may be answered at all: its host, where it comes from, who calls."""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.test import TestResponse

from tests.conftest import MakeApp
from tests.web.host import (
    CALLBACK,
    FETCH,
    NAVIGATION,
    Browser,
    Host,
    arrives_with,
    check_page,
    check_problem,
)

ROUTES = [
    ("GET", "/pkce/challenge"),
    ("POST", "/pkce/code"),
    ("POST", CALLBACK),
    ("GET", CALLBACK),
    ("POST", "/pkce/token"),
    ("POST", "/pkce/clear"),
    ("GET", "/pkce/user"),
]
#: The routes that only our own pages, and programs, may call.
OURS = [route for route in ROUTES if route[1] != CALLBACK]


@pytest.fixture
def keeping(make_app: MakeApp) -> Host:
    """A host that has all the routes."""
    return make_app(PKCE_TOKEN_DELIVERY="session")


def send(host: Host, route: tuple[str, str], headers: dict[str, str], **options: Any) -> Any:
    """A request with exactly these headers."""
    caller = host.program()
    caller.headers = headers
    return caller.send(*route, **options)


# -- Host --------------------------------------------------------------------------------


@pytest.mark.requirement("HO-1", "N01", "N01b", "T14")
@pytest.mark.parametrize("route", ROUTES, ids=" ".join)
@pytest.mark.parametrize(
    "name",
    [
        "evil.example",
        "evil.localhost",
        "localhost.evil.example",
        "127.0.0.1:80@evil.example",
        "evil.example:80",
        "localhost:x",
        "localhost:",
        "localhost:123456",
        "localhost:65536",
        "localhost:0",
        "[::1%lo]",
        "::1",
        "[::1",
        "127.0.0.2",
        "localhost, evil.example",
        "local host",
        "",
    ],
)
def test_foreign_host(name: str, route: tuple[str, str], keeping: Host) -> None:
    """A request for another host is refused before anything of it is read (DNS rebinding)."""
    arrives_with(keeping, HTTP_HOST=name)
    environ = {
        "wsgi.input": UnreadableBody(),
        "CONTENT_LENGTH": "5",
        "CONTENT_TYPE": "application/json",
    }
    response = send(keeping, route, {"Accept": "*/*"}, environ_overrides=environ)
    members = check_problem(response, "host-unknown")
    assert "PKCE_PUBLIC_URL" in members["hint"]
    assert keeping.store.contents() == {}


class UnreadableBody:
    """A body that nobody may read."""

    def read(self, *_: Any) -> bytes:
        """Fail the test."""
        raise AssertionError("the body was read")

    readline = readinto = __iter__ = read


@pytest.mark.requirement("HO-1")
@pytest.mark.parametrize(
    "name", ["localhost", "localhost.", "LOCALHOST:5000", "127.0.0.1:1", "[::1]:65535"]
)
def test_loopback_hosts(name: str, host: Host) -> None:
    """Without a public URL it is any of the names of the loopback interface, with any port."""
    environ = {"HTTP_HOST": name}
    response = host.program().send("GET", "/pkce/challenge", environ_overrides=environ)
    assert response.status_code == 200


@pytest.mark.requirement("BC-15", "HO-2")
@pytest.mark.parametrize(
    "environ",
    [
        {"SCRIPT_NAME": "//evil.example"},
        {"SCRIPT_NAME": "/\\evil.example"},
        {"SCRIPT_NAME": "/app/.."},
        {"wsgi.url_scheme": "javascript"},
    ],
    ids=str,
)
def test_address_that_no_host_has(environ: dict[str, str], host: Host) -> None:
    """Without a public URL the prefix and the scheme are the server's word, and checked."""
    arrives_with(host, **environ)
    problem = check_problem(host.program().code(), "host-unknown")
    assert "evil" not in str(problem)
    page = host.browser().open("/pkce/challenge")
    assert "evil" not in check_page(page, "host-unknown")


@pytest.mark.requirement("HO-1", "N01b")
def test_no_host_at_all(host: Host) -> None:
    """A request without a Host is no request to us."""
    arrives_with(host, HTTP_HOST=None)
    check_problem(host.program().send("GET", "/pkce/challenge"), "host-unknown")


@pytest.mark.parametrize("public_url", [None, "https://app.example"])
def test_host_in_the_log(
    public_url: str | None, make_app: MakeApp, caplog: pytest.LogCaptureFixture
) -> None:
    """An operator reads which host came, in one line, at the level that is logged by default."""
    host = make_app(PKCE_PUBLIC_URL=public_url)
    arrives_with(host, HTTP_HOST="backend:8000\x1b[31m")
    response = host.program().send("GET", "/pkce/challenge")
    assert "backend" not in response.text
    (record,) = (each for each in caplog.records if each.name == "flask_pkce")
    assert (record.levelname, vars(record)["pkce_host"]) == ("WARNING", "backend:8000 [31m")


@pytest.mark.requirement("HO-1")
def test_public_url(make_app: MakeApp) -> None:
    """With a public URL it is that one host, and no longer localhost."""
    host = make_app(PKCE_PUBLIC_URL="https://app.example/shop")
    for name, status in (("app.example", 200), ("app.example:8443", 200), ("localhost", 400)):
        environ = {"HTTP_HOST": name}
        response = host.program().send("GET", "/pkce/challenge", environ_overrides=environ)
        assert response.status_code == status


@pytest.mark.requirement("HO-2")
def test_server_name(make_app: MakeApp) -> None:
    """Flask's SERVER_NAME stands for a public URL."""
    host = make_app(SERVER_NAME="app.example", PREFERRED_URL_SCHEME="https")
    response = host.program().code()
    assert host.address == "https://app.example"
    assert response.get_json()["seed"]["redirect_uri"] == host.callback_url


@pytest.mark.requirement("BC-15")
def test_forwarded_address_that_the_host_trusts(make_app: MakeApp) -> None:
    """With ``ProxyFix`` it is the public URL still, and a strange host is refused."""
    host = make_app(PKCE_PUBLIC_URL="https://app.example")
    fixed = ProxyFix(host.app.wsgi_app, x_host=1, x_port=1, x_prefix=1)
    host.app.wsgi_app = fixed  # type: ignore[method-assign]
    headers = {"X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/evil"}
    response = host.program().send("POST", "/pkce/code", headers=headers)
    assert response.get_json()["seed"]["redirect_uri"] == host.callback_url
    headers["X-Forwarded-Host"] = "evil.example"
    check_problem(host.program().send("POST", "/pkce/code", headers=headers), "host-unknown")


@pytest.mark.requirement("BC-15", "HO-2")
@pytest.mark.parametrize("public_url", ["https://app.example/shop", None])
@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Port": "444"},
        {"X-Forwarded-Proto": "http", "X-Forwarded-Prefix": "/evil"},
        {"Forwarded": "host=evil.example;proto=http"},
        {"X-Original-Host": "evil.example", "X-Host": "evil.example"},
    ],
    ids=lambda headers: " ".join(headers),
)
def test_forwarded_headers_move_nothing(
    headers: dict[str, str], public_url: str | None, make_app: MakeApp
) -> None:
    """Redirect URI, cookie and where a browser goes are made of the settings, or of a Host that
    is ours: no header that a stranger can send changes them."""
    host = make_app(PKCE_PUBLIC_URL=public_url, PKCE_AUTHENTICATED_URL="/in")
    base_url = "https://app.example:8443" if public_url else "http://localhost"
    browser = host.browser()
    answer = browser.post("/pkce/code", headers=headers, base_url=base_url).get_json()
    address = public_url or "http://localhost"
    assert answer["seed"]["redirect_uri"] == f"{address}{CALLBACK}"
    assert answer["auth0"]["redirects"]["authenticated"] == f"{address}/in"
    (name,) = browser.cookies
    assert name == ("__Host-pkce" if public_url else "pkce-80")
    form = {"state": "s", "code": "c"}
    sent = {**NAVIGATION, **headers}
    kept = send(host, ("POST", CALLBACK), sent, data=form, base_url=base_url)
    assert kept.headers["Location"].startswith(f"{public_url or ''}{CALLBACK}?ticket=")


# -- Sec-Fetch-Site and Origin --------------------------------------------------------------


@pytest.mark.requirement(
    "FM-1",
    "CK-3",
    "FP-8",
    "N57",
    "N59b",
    "BB-4",
    "AV-3",
    "RV-5",
    "T9",
    "T14",
    "T15",
    "T16",
    "T29",
    "WC-7",
)
@pytest.mark.parametrize("route", OURS, ids=" ".join)
@pytest.mark.parametrize("mode", ["cors", "no-cors", "navigate", "websocket"])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "nonsense", ""])
def test_other_sites(site: str, mode: str, route: tuple[str, str], keeping: Host) -> None:
    """Pages of other sites call nothing but the callback, not even pages of the same site."""
    caller = keeping.browser()
    caller.send("POST", "/pkce/code")
    before = keeping.store.contents()
    headers = [("Sec-Fetch-Site", site), ("Sec-Fetch-Mode", mode), ("Accept", "*/*")]
    response = caller.client.open(route[1], method=route[0], headers=headers)
    check = check_page if mode == "navigate" else check_problem
    check(response, "origin-refused")
    assert "Set-Cookie" not in response.headers
    assert keeping.store.contents() == before


@pytest.mark.requirement("FM-1")
@pytest.mark.parametrize("route", OURS, ids=" ".join)
def test_address_bar(route: tuple[str, str], keeping: Host) -> None:
    """What a person types is a GET; a POST that claims to come from nowhere is refused."""
    headers = {**NAVIGATION, "Sec-Fetch-Site": "none"}
    response = send(keeping, route, headers)
    if route[0] == "GET":
        assert response.status_code in {200, 401}
    else:
        check_page(response, "origin-refused")


@pytest.mark.requirement("FM-3", "N57", "N59", "N59d", "BB-4", "RV-5", "T15", "T29")
@pytest.mark.parametrize("route", OURS, ids=" ".join)
@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "null", "http://localhost:81", "https://localhost", "", "x"],
)
def test_foreign_origin_without_fetch_metadata(
    origin: str, route: tuple[str, str], keeping: Host
) -> None:
    """Where a browser sends no Fetch Metadata its Origin must be ours, or absent."""
    environ = {"HTTP_ORIGIN": origin}
    response = send(keeping, route, {"Accept": "*/*"}, environ_overrides=environ)
    check_problem(response, "origin-refused")
    assert keeping.store.contents() == {}


@pytest.mark.requirement("FM-1", "FM-3")
def test_own_origin_without_fetch_metadata(host: Host) -> None:
    """Our own origin, and none, are good."""
    for headers in ({}, {"Origin": "http://localhost"}):
        response = host.program().send("POST", "/pkce/code", headers=headers)
        assert response.status_code == 200


@pytest.mark.requirement("FM-3")
def test_fetch_metadata_decides(host: Host) -> None:
    """Where there is Sec-Fetch-Site it decides: a proxy may have changed what Origin says."""
    browser = host.browser()
    for origin in ("null", "https://app.example"):
        assert browser.send("POST", "/pkce/code", headers={"Origin": origin}).status_code == 200
    headers = {"Sec-Fetch-Site": "cross-site", "Origin": "http://localhost"}
    check_problem(browser.send("POST", "/pkce/code", headers=headers), "origin-refused")


@pytest.mark.requirement("FM-3")
@pytest.mark.parametrize("route", OURS, ids=" ".join)
def test_allowed_origins(route: tuple[str, str], make_app: MakeApp) -> None:
    """The host can allow further origins by name; CORS headers are not ours to send."""
    spa = "https://spa.example"
    host = make_app(PKCE_TOKEN_DELIVERY="session", PKCE_ALLOWED_ORIGINS=[f"{spa}/"])
    headers = {**FETCH, "Sec-Fetch-Site": "cross-site", "Origin": spa}
    assert "origin-refused" not in send(host, route, headers).text
    del headers["Sec-Fetch-Site"]
    assert "origin-refused" not in send(host, route, headers).text
    for origin in ("https://spa.example.evil", "http://spa.example", "https://spa.example:444"):
        refused = send(host, route, {**headers, "Sec-Fetch-Site": "cross-site", "Origin": origin})
        check_problem(refused, "origin-refused")


# -- the callback --------------------------------------------------------------------------------


@pytest.mark.requirement("FM-2", "N59d")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "same-origin", "none"])
def test_callback_is_a_navigation(site: str, method: str, host: Host) -> None:
    """The callback is for pages, from whatever site the browser comes."""
    headers = {**NAVIGATION, "Sec-Fetch-Site": site, "Origin": "null"}
    if method == "POST":
        response = send(host, ("POST", CALLBACK), headers, data={"state": "s", "code": "c"})
        assert response.status_code == 303
    else:
        check_page(send(host, ("GET", f"{CALLBACK}?ticket=x"), headers), "ticket-spent")


@pytest.mark.requirement("FP-2")
@pytest.mark.parametrize("user", [None, "?1", "?0"])
def test_callback_without_user_activation(user: str | None, host: Host) -> None:
    """Whether a person or a script submitted the tenant's form does not matter."""
    headers = {**NAVIGATION, "Sec-Fetch-Site": "cross-site", "Sec-Fetch-User": user or ""}
    browser = host.browser()
    _, url = browser.begin()
    data = host.tenant.sign_in(url).params
    kept = send(host, ("POST", CALLBACK), headers, data=data)
    where = kept.headers["Location"]
    assert "Signed in" in browser.send("GET", where, headers=headers).text


@pytest.mark.requirement("BC-17", "FM-2", "N59c", "T21")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("dest", ["iframe", "frame", "embed", "object", "fencedframe", ""])
def test_callback_in_a_frame(dest: str, method: str, host: Host) -> None:
    """In a frame the callback keeps and binds nothing."""
    state, _ = (browser := host.browser()).begin()
    before = host.store.contents()
    answer = {"state": state, "code": "c"}
    where = f"{CALLBACK}?{urlencode(answer)}" if method == "GET" else CALLBACK
    headers = [(name, value) for name, value in NAVIGATION.items() if name != "Sec-Fetch-Dest"]
    headers += [("Sec-Fetch-Site", "cross-site"), ("Sec-Fetch-Dest", dest)]
    data = answer if method == "POST" else None
    response = browser.client.open(where, method=method, headers=headers, data=data)
    check_page(response, "navigation-framed")
    assert host.store.contents() == before


@pytest.mark.requirement("FM-2", "CK-3", "N59c")
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("mode", ["cors", "no-cors", None])
@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_callback_by_a_foreign_script(
    site: str, mode: str | None, method: str, host: Host, browser: Browser
) -> None:
    """A script of another site brings no answer, with whatever cookies."""
    state, _ = browser.begin()
    before = host.store.contents()
    answer = {"state": state, "code": "c"}
    where = f"{CALLBACK}?{urlencode(answer)}" if method == "GET" else CALLBACK
    headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode or "", "Sec-Fetch-Dest": "empty"}
    data = answer if method == "POST" else None
    check_problem(browser.send(method, where, headers=headers, data=data), "navigation-required")
    assert host.store.contents() == before


@pytest.mark.requirement("FM-3")
def test_callback_by_a_foreign_script_of_an_old_browser(host: Host) -> None:
    """Without Fetch Metadata a JSON caller's Origin must be ours."""
    curl = host.browser()
    curl.headers = {"Accept": "application/json"}
    state, _ = curl.begin()
    before = host.store.contents()
    answer = {"state": state, "code": "c"}
    response = curl.send("POST", CALLBACK, data=answer, headers={"Origin": "https://evil.example"})
    check_problem(response, "origin-refused")
    assert host.store.contents() == before
    response = curl.send("POST", CALLBACK, data=answer, headers={"Origin": "http://localhost"})
    assert response.status_code == 200


@pytest.mark.requirement("FP-6")
def test_navigation_of_an_old_browser(host: Host) -> None:
    """Without Fetch Metadata it is a page where the browser ranks HTML first."""
    headers = {"Accept": "text/html, */*;q=0.5", "Origin": "https://tenant.example"}
    response = send(host, ("POST", CALLBACK), headers, data={"state": "s", "code": "c"})
    assert response.status_code == 303


# -- the local session, one condition at a time --------------------------------------------------


@pytest.fixture
def local(make_app: MakeApp) -> Host:
    """A host with the local session on, in which a sign-in is under way."""
    host = make_app(PKCE_LOCAL_SESSION=True)
    host.program().begin()
    return host


def is_local(response: TestResponse) -> bool:
    """Whether the caller is of the local session: only such a one gets no cookie."""
    assert response.status_code == 200, response.text
    return "Set-Cookie" not in response.headers


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.8.9.10", "::1", "::ffff:127.0.0.1"])
@pytest.mark.parametrize("name", ["localhost", "localhost:3000", "127.0.0.1:3000", "[::1]:3000"])
def test_local_program(peer: str, name: str, local: Host) -> None:
    """A program whose peer address is loopback and whose Host is literally so."""
    environ = {"REMOTE_ADDR": peer, "HTTP_HOST": name}
    response = local.program().send("GET", "/pkce/challenge", environ_overrides=environ)
    assert is_local(response)


@pytest.mark.parametrize(
    "header",
    [
        "Forwarded",
        "X-Forwarded-For",
        "X-Forwarded-Host",
        "X-Forwarded-Proto",
        "X-Forwarded-Port",
        "X-Forwarded-Prefix",
        "X-Forwarded-Anything",
        "X-Real-IP",
        "X-Client-IP",
        "CF-Connecting-IP",
        "True-Client-IP",
        "Via",
    ],
)
def test_forwarded(header: str, local: Host) -> None:
    """What came through a proxy came from elsewhere, whatever the header says."""
    for value in ("127.0.0.1", "for=127.0.0.1", "1.1 localhost"):
        response = local.program().send("GET", "/pkce/challenge", headers={header: value})
        assert not is_local(response)


def test_old_protocol(local: Host) -> None:
    """nginx speaks HTTP/1.0 where nothing is set, and then no header tells that it is there."""
    environ = {"SERVER_PROTOCOL": "HTTP/1.0"}
    response = local.program().send("GET", "/pkce/challenge", environ_overrides=environ)
    assert not is_local(response)


@pytest.mark.parametrize(
    "peer", ["192.168.1.2", "10.0.0.1", "128.0.0.1", "fe80::1", "::ffff:10.0.0.1", "", "localhost"]
)
def test_other_peers(peer: str, local: Host) -> None:
    """The peer address must be loopback itself, as the socket says."""
    environ = {"REMOTE_ADDR": peer}
    response = local.program().send("GET", "/pkce/challenge", environ_overrides=environ)
    assert not is_local(response)


def test_unknown_peer(local: Host) -> None:
    """A server that does not tell the peer, such as on a Unix socket, has no local session."""
    arrives_with(local, REMOTE_ADDR=None)
    assert not is_local(local.program().send("GET", "/pkce/challenge"))


def test_proxy_fix_does_not_help(local: Host) -> None:
    """What ProxyFix makes of forwarded headers is not the socket's word: a client that sends
    ``X-Forwarded-For: 127.0.0.1`` is not local."""
    local.app.wsgi_app = ProxyFix(local.app.wsgi_app)  # type: ignore[method-assign]
    environ = {"REMOTE_ADDR": "203.0.113.9"}
    headers = {"X-Forwarded-For": "127.0.0.1"}
    response = local.program().send(
        "GET", "/pkce/challenge", headers=headers, environ_overrides=environ
    )
    assert not is_local(response)


def test_proxy_fix_that_takes_the_headers_away(local: Host) -> None:
    """Also where something removed the header after ProxyFix read it."""
    arrives_with(local, HTTP_X_FORWARDED_FOR=None)
    local.app.wsgi_app = ProxyFix(local.app.wsgi_app)  # type: ignore[method-assign]
    response = local.program().send(
        "GET",
        "/pkce/challenge",
        headers={"X-Forwarded-For": "127.0.0.1"},
        environ_overrides={"REMOTE_ADDR": "203.0.113.9"},
    )
    assert not is_local(response)


def test_program_behind_proxy_fix(local: Host) -> None:
    """A program that comes straight to the server is local, whether or not ProxyFix is there."""
    local.app.wsgi_app = ProxyFix(local.app.wsgi_app)  # type: ignore[method-assign]
    assert is_local(local.program().send("GET", "/pkce/challenge"))


def test_public_loopback_name(make_app: MakeApp) -> None:
    """``Host`` must be literally one of three, also where the public URL is another loopback."""
    host = make_app(PKCE_LOCAL_SESSION=True, PKCE_PUBLIC_URL="http://127.0.0.2:3000")
    response = host.program().send("GET", "/pkce/challenge")
    assert not is_local(response)


@pytest.mark.parametrize("site", ["same-origin", "none"])
def test_browser_is_not_local(site: str, local: Host) -> None:
    """A browser says where it comes from, and has a session of its own."""
    headers = {"Sec-Fetch-Site": site}
    response = local.program().send("GET", "/pkce/challenge", headers=headers)
    assert not is_local(response)


def test_cookie_is_not_local(local: Host) -> None:
    """Who has a cookie of ours, good or not, is not of the local session."""
    headers = {"Cookie": "pkce-80=nonsense"}
    assert not is_local(local.program().send("GET", "/pkce/challenge", headers=headers))
    flood = {"Cookie": "; ".join(["pkce-80=nonsense"] * 9)}
    assert not is_local(local.program().send("GET", "/pkce/challenge", headers=flood))
    other = {"Cookie": "session=of-the-host"}
    assert is_local(local.program().send("GET", "/pkce/challenge", headers=other))


def test_switched_off(host: Host) -> None:
    """Without the setting there is no local session."""
    assert not is_local(host.program().send("GET", "/pkce/challenge"))


@pytest.mark.requirement("T14")
def test_foreign_page_reaches_no_local_session(local: Host) -> None:
    """A page of another site, in a browser without Fetch Metadata, is told by its Origin."""
    headers = {"Origin": "https://evil.example"}
    check_problem(local.program().send("POST", "/pkce/clear", headers=headers), "origin-refused")


@pytest.mark.requirement("BC-20", "N52", "T2")
@pytest.mark.parametrize(
    "elsewhere",
    [
        {"headers": {"X-Forwarded-For": "127.0.0.1"}},
        {"environ_overrides": {"REMOTE_ADDR": "203.0.113.9"}},
        {"environ_overrides": {"SERVER_PROTOCOL": "HTTP/1.0"}},
    ],
    ids=["forwarded", "peer", "protocol"],
)
def test_browser_elsewhere_finishes_no_local_flow(elsewhere: Any, local: Host) -> None:
    """Only a browser on loopback may finish a flow of the local session."""
    program = local.program()
    state, url = program.begin()
    browser = local.browser()
    kept = browser.deliver(local.tenant.sign_in(url))
    response = browser.open(kept.headers["Location"], site="cross-site", **elsewhere)
    check_page(response, "cookies-blocked")
    assert local.status_of(program, state) == "sent"


@pytest.mark.parametrize(("length", "is_page"), [(1024, True), (1025, False)])
def test_accept_that_is_too_long(length: int, is_page: bool, host: Host) -> None:
    """An ``Accept`` longer than any of a browser counts as none: reading it may take seconds."""
    accept = "text/html".ljust(length - 1) + ","
    response = host.program().send("GET", "/pkce/challenge", headers={"Accept": accept})
    assert response.status_code == 200
    assert response.is_json is not is_page
