"""Behind a proxy that mounts the application under a path, and under a ``SERVER_NAME``."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
from flask import Flask, url_for
from werkzeug.middleware.proxy_fix import ProxyFix

from tests.conftest import MakeApp
from tests.web.host import CALLBACK, Browser, Host

ADDRESS = "https://app.example/shop"


class Proxy:
    """What nginx does with ``location /shop/`` and the usual headers."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        prefix = environ["SCRIPT_NAME"]
        assert (environ["wsgi.url_scheme"], prefix) == ("https", "/shop")
        arrived = {
            **environ,
            "wsgi.url_scheme": "http",
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "8000",
            "HTTP_HOST": "127.0.0.1:8000",
            "HTTP_X_FORWARDED_HOST": environ["HTTP_HOST"],
            "HTTP_X_FORWARDED_PROTO": "https",
            "HTTP_X_FORWARDED_PREFIX": prefix,
            "SCRIPT_NAME": "",
        }
        answer: Iterable[bytes] = self._app(arrived, start_response)
        return answer


def mount(make_app: MakeApp) -> Host:
    """An application behind that proxy, which believes it by ``ProxyFix``."""
    app = Flask("host")

    @app.get("/where")
    def account() -> str:
        return url_for("account")

    host = make_app(
        app=app, url_prefix="/auth", PKCE_PUBLIC_URL=ADDRESS, PKCE_TOKEN_DELIVERY="session"
    )
    fixed = ProxyFix(app.wsgi_app, x_proto=1, x_host=1, x_prefix=1)
    app.wsgi_app = Proxy(fixed)  # type: ignore[method-assign]
    return host


def sign_in(browser: Browser, return_to: str) -> str:
    """Sign in as a browser does; where it arrives."""
    url = browser.submit("/pkce/code", {"return_to": return_to}).headers["Location"]
    answer = browser.host.tenant.sign_in(url)
    assert answer.url == browser.host.callback_url
    location: str = browser.arrive(answer).headers["Location"]
    return location


@pytest.mark.requirement("BC-15")
@pytest.mark.parametrize("return_to", ["/shop/where", "/where"])
def test_under_a_path(return_to: str, make_app: MakeApp) -> None:
    """The redirect URI, the pages' links and the way back lie under the path, and once: whether
    the way back is what ``url_for`` says here, or a path of the application."""
    host = mount(make_app)
    browser = host.browser()
    own = browser.client.get("/where", base_url=ADDRESS)
    assert own.text == "/shop/where"
    assert f'action="{ADDRESS}/auth/pkce/code"' in browser.open("/pkce/challenge").text
    assert host.callback_url == f"{ADDRESS}/auth{CALLBACK}"
    assert sign_in(browser, return_to) == "/shop/where"
    assert browser.send("GET", "/pkce/user").get_json()["sub"] == "auth0|alice"


def test_under_a_server_name(make_app: MakeApp) -> None:
    """``SERVER_NAME`` alone is enough for a sign-in, and makes the host's addresses as before."""
    app = Flask("host")
    app.add_url_rule("/account", "account", lambda: "account")
    host = make_app(
        app=app,
        url_prefix="/auth",
        SERVER_NAME="app.example",
        PREFERRED_URL_SCHEME="https",
        PKCE_TOKEN_DELIVERY="session",
    )
    with app.app_context():
        assert url_for("account") == "https://app.example/account"
        assert url_for("pkce.response_code") == host.callback_url
    browser = host.browser()
    assert sign_in(browser, "/account") == "/account"
    assert browser.client.get("/account", base_url=host.address).text == "account"
