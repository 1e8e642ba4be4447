"""Behind nginx: a sign-in, and the local session, where callers are not what they seem.

Whoever talks to nginx may be far away, and nginx is on this machine.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import requests

from tests.not_run import not_run

from .processes import PATIENCE, ROOT, clean_environment, free_port, stop
from .scripted import ScriptedBrowser

if TYPE_CHECKING:
    from .conftest import Serve
    from .processes import Server

CONFIGURATION = """
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
    {log}
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {location}
    }}
}}
"""

# With HTTP/1.1, for nothing else is to give these away.
COMMON = ("proxy_http_version 1.1;", "proxy_set_header Host $host;")
FORWARDING = {
    "X-Forwarded-For": "$proxy_add_x_forwarded_for",
    "X-Forwarded-Proto": "$scheme",
    "X-Forwarded-Host": "$host",
    "X-Real-IP": "$remote_addr",
    "Forwarded": "for=$remote_addr",
    "Via": "1.1 nginx",
}

Proxy = Callable[..., str]
RunNginx = Callable[..., str]


@pytest.fixture(scope="module")
def app(serve: Serve) -> Server:
    """A single-user server, as the published clients expect."""
    return serve(PKCE_LOCAL_SESSION="true", PKCE_PUBLIC_URL="")


@pytest.fixture
def proxy(app: Server, run_nginx: RunNginx) -> Proxy:
    """Start nginx before the application, with further lines in its ``location``."""

    def start(*further: str) -> str:
        passed = f"proxy_pass http://127.0.0.1:{app.port};"
        location = "\n".join(["location / {", passed, *further, "}"])
        return run_nginx(free_port(), log="access_log off;", location=location)

    return start


@pytest.fixture
def run_nginx(tmp_path: Path) -> Iterator[RunNginx]:
    """Start nginx on a port, with these parts of its configuration."""
    program = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        not_run("No nginx here; `apt-get install nginx-light` brings one.")
    running: list[subprocess.Popen[bytes]] = []

    def start(port: int, *, log: str, location: str) -> str:
        file = tmp_path / "nginx.conf"
        file.write_text(
            CONFIGURATION.format(folder=tmp_path, port=port, log=log, location=location)
        )
        command = [program, "-c", str(file), "-e", str(tmp_path / "error.log")]
        running.append(subprocess.Popen(command, env=clean_environment()))
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + PATIENCE
        while not answers(url):
            assert time.monotonic() < deadline, (tmp_path / "error.log").read_text()
            time.sleep(0.05)
        return url

    yield start
    for process in running:
        stop(process)


def answers(url: str) -> bool:
    """Whether somebody listens there."""
    try:
        ask(url, "/")
    except requests.ConnectionError:
        return False
    return True


def ask(url: str, path: str, method: str = "GET") -> requests.Response:
    """Call as a program does that keeps no cookies."""
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, url + path, timeout=PATIENCE)


def is_local(url: str) -> bool:
    """Whether such a program is the local session, which needs no cookie and gets none."""
    started = ask(url, "/pkce/challenge")
    assert started.status_code == 200, started.text
    pending = ask(url, "/pkce/token", "POST")
    assert (pending.status_code == 409) == ("Set-Cookie" not in started.headers), pending.text
    return pending.status_code == 409


def test_a_program_on_this_machine_is_local(app: Server) -> None:
    """Without nginx the application takes it for what it is."""
    assert is_local(app.url)
    assert is_local(f"http://127.0.0.1:{app.port}")


def test_nobody_is_local_behind_nginx_as_it_comes(proxy: Proxy) -> None:
    """``proxy_pass`` alone names the application as host, and adds nothing: it speaks HTTP/1.0."""
    assert not is_local(proxy("proxy_http_version 1.0;"))


@pytest.mark.parametrize("name", FORWARDING)
def test_nobody_is_local_behind_a_proxy_that_says_so(proxy: Proxy, name: str) -> None:
    """One header of those that proxies add is enough."""
    assert not is_local(proxy(*COMMON, f"proxy_set_header {name} '{FORWARDING[name]}';"))


def test_nobody_is_local_by_the_name_of_a_public_host(proxy: Proxy) -> None:
    """A proxy that passes a public name on gets no further than that."""
    url = proxy(*COMMON[:1], "proxy_set_header Host app.example.org;")
    assert ask(url, "/pkce/challenge").status_code == 400


def documented(beginning: str, *, page_name: str = "deployment") -> str:
    """The example of a page, by default the one on deployment, that begins so."""
    page = (ROOT / "docs" / f"{page_name}.rst").read_text(encoding="utf-8")
    blocks = re.findall(r"^\.\. code-block:: nginx\n\n((?:   .*\n|\n)+)", page, re.MULTILINE)
    (found,) = (text for text in map(textwrap.dedent, blocks) if text.startswith(beginning))
    return str(found)


def test_sign_in_as_documented(serve: Serve, run_nginx: RunNginx, tmp_path: Path) -> None:
    """With what the page on deployment shows people sign in, and no secret is in the log."""
    port, log = free_port(), tmp_path / "access.log"
    url = f"http://localhost:{port}/shop"
    server = serve(PKCE_PUBLIC_URL=url, PKCE_TOKEN_DELIVERY="session")
    run_nginx(
        port,
        log=f"{documented('log_format path')} access_log {log} path;",
        location=documented("location /shop/").replace(":8000", f":{server.port}"),
    )

    browser = ScriptedBrowser()
    browser.open(f"{url}/")
    page = browser.open(f"{url}/pkce/code", {"return_to": "/account"})
    arrived = browser.sign_in(page, "ada")
    assert (arrived.status_code, arrived.url) == (200, f"{url}/account")
    assert browser.fetch(f"{url}/pkce/user").json()["email"] == "ada@example.org"

    lines = log.read_text()
    for method in ("POST", "GET"):
        assert f'"{method} /shop/pkce/response/code" 303' in lines
    assert "?" not in lines


def test_sign_in_with_proxy_fix(serve: Serve, run_nginx: RunNginx) -> None:
    """With ``ProxyFix``, as the page on hosts shows, ``url_for`` of the application has the path,
    and the way back that it makes leads there."""
    port = free_port()
    url = f"http://localhost:{port}/shop"
    server = serve("host:create_proxied_app()", PKCE_PUBLIC_URL=url, PKCE_TOKEN_DELIVERY="session")
    location = documented("location /shop/", page_name="hosts")
    location = location.replace(":8000", f":{server.port}")
    run_nginx(port, log="access_log off;", location=location)

    browser = ScriptedBrowser()
    assert browser.open(f"{url}/where").text == f"{url}/account"
    page = browser.open(f"{url}/pkce/code", {"return_to": "/shop/account"})
    arrived = browser.sign_in(page, "ada")
    assert (arrived.status_code, arrived.url) == (200, f"{url}/account")
    assert browser.fetch(f"{url}/pkce/user").json()["email"] == "ada@example.org"
