"""What is compared: applications, and how one person signs in to each.

Every sign-in is complete: the code is exchanged at the stub, and, but for the floor and
Flask-Dance, which do not know how, the ID token is verified.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

import requests
from flask import Flask, redirect, request, session
from werkzeug.wrappers import Response

from .browser import CROSS_SITE, HOST, Browser
from .stub import CLIENT_ID, CLIENT_SECRET, EMAIL, SUBJECT, TOKEN_PATH, make_code

SECRET_KEY = "a key of the benchmarks, long enough for anybody"
SCOPE = "openid profile email"

CALLBACK = "/pkce/response/code"

#: Seconds between two sign-ins after which a new connection is made.
SILENCE = 5.0


@dataclass(frozen=True)
class Provider:
    """Where the stub is, and the trust store that its certificate is checked with."""

    issuer: str
    ca_bundle: str | None


@dataclass(frozen=True)
class Contestant:
    """An application, and a sign-in to it."""

    name: str
    make_app: Callable[[], Flask]
    sign_in: Callable[[Browser], object]


# -- applications ----------------------------------------------------------------


def floor_app(provider: Provider) -> Flask:
    """A bare view that does one keep-alive POST, and verifies nothing."""
    app = Flask("floor")
    pooled = requests.Session()
    pooled.verify = provider.ca_bundle or True
    token_endpoint = provider.issuer + TOKEN_PATH[1:]

    @app.post("/exchange")
    def exchange() -> dict[str, Any]:
        answer = pooled.post(
            token_endpoint,
            data={
                "grant_type": "authorization_code",
                "code": request.form["code"],
                "redirect_uri": f"http://{HOST}/exchange",
                "client_id": CLIENT_ID,
                "client_secret": CLIENT_SECRET,
            },
        )
        document: dict[str, Any] = answer.json()
        return document

    return app


def our_app(provider: Provider, *, store: Any, delivery: str, **settings: Any) -> Flask:
    """An application with the blueprint.

    :param store: ``PKCE_STORE_URL``.
    :param delivery: ``PKCE_TOKEN_DELIVERY``.
    :param settings: more of them.
    """
    # Others need not have it to be measured.
    from flask_pkce import PKCEBlueprint

    app = Flask("ours")
    app.config.update(
        SECRET_KEY=SECRET_KEY,
        PKCE_DOMAIN=provider.issuer,
        PKCE_CLIENT_ID=CLIENT_ID,
        PKCE_CLIENT_SECRET=CLIENT_SECRET,
        PKCE_CA_BUNDLE=provider.ca_bundle,
        PKCE_PUBLIC_URL=f"http://{HOST}",
        PKCE_STORE_URL=store,
        PKCE_TOKEN_DELIVERY=delivery,
        PKCE_LOCAL_SESSION=delivery == "caller",
        # As many as a worker has threads here at most: the stub never hangs.
        PKCE_MAX_CALLS=32,
        **settings,
    )
    PKCEBlueprint().init_app(app)
    return app


def authlib_app(provider: Provider) -> Flask:
    """Authlib's Flask client, as its documentation shows it, with PKCE."""
    from authlib.integrations.flask_client import OAuth

    app = Flask("authlib")
    app.config.update(SECRET_KEY=SECRET_KEY)
    oauth = OAuth(app)
    oauth.register(  # type: ignore[no-untyped-call]
        "stub",
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        server_metadata_url=f"{provider.issuer}.well-known/openid-configuration",
        client_kwargs={
            "scope": SCOPE,
            "code_challenge_method": "S256",
            "token_endpoint_auth_method": "client_secret_post",
            "verify": provider.ca_bundle or True,
        },
    )

    @app.get("/login")
    def login() -> Response:
        answer: Response = oauth.stub.authorize_redirect(f"http://{HOST}/authorized")
        return answer

    @app.get("/authorized")
    def authorized() -> Response:
        token = oauth.stub.authorize_access_token()
        session["user"] = token["userinfo"]["sub"]
        return redirect("/")

    return app


def flask_dance_app(provider: Provider) -> Flask:
    """A blueprint of Flask-Dance for this provider, with PKCE; it verifies no ID token."""
    from flask_dance.consumer import OAuth2ConsumerBlueprint
    from flask_dance.consumer.requests import OAuth2Session

    class Trusting(OAuth2Session):  # type: ignore[misc]
        """Its session, with our trust store."""

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.verify = provider.ca_bundle or True

    app = Flask("flask_dance")
    app.config.update(SECRET_KEY=SECRET_KEY)
    app.register_blueprint(
        OAuth2ConsumerBlueprint(
            "stub",
            __name__,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            scope=SCOPE.split(),
            authorization_url=f"{provider.issuer}authorize",
            token_url=provider.issuer + TOKEN_PATH[1:],
            token_url_params={"include_client_id": True},
            session_class=Trusting,
            use_pkce=True,
        )
    )
    return app


def served(kind: str, issuer: str, ca_bundle: str, store: str) -> Flask:
    """An application for gunicorn, which passes texts.

    :param kind: ``ours``, ``authlib`` or ``floor``.
    :param ca_bundle: empty for the usual one.
    """
    provider = Provider(issuer, ca_bundle or None)
    if kind == "ours":
        return our_app(provider, store=store, delivery="session")
    return authlib_app(provider) if kind == "authlib" else floor_app(provider)


# -- sign-ins --------------------------------------------------------------------


class SignInFailed(Exception):
    """An answer was not the one that a sign-in gets."""


def _expect(is_so: bool, answer: Any) -> None:
    if not is_so:
        raise SignInFailed(f"{answer.status} {answer.headers} {answer.body[:300]!r}")


def authorize(authorization_url: str, subject: str = SUBJECT) -> dict[str, str]:
    """The answer that the tenant gives the browser of a person: code and state."""
    asked = {
        name: values[0] for name, values in parse_qs(urlsplit(authorization_url).query).items()
    }
    code = make_code(asked.get("nonce", ""), asked.get("code_challenge", ""), subject)
    return {"code": code, "state": asked["state"]}


def exchange_only(browser: Browser) -> None:
    """The floor: one request, one POST."""
    answer = browser.post("/exchange", {"code": make_code("", "")})
    _expect(answer.status == 200 and "id_token" in answer.json(), answer)


def short_way(browser: Browser) -> None:
    """Login button, the tenant's form_post, the GET with the ticket, signed in."""
    sent = browser.post("/pkce/code")
    _expect(sent.status == 303, sent)
    kept = browser.post(CALLBACK, authorize(sent.location), site=CROSS_SITE)
    _expect(kept.status == 303, kept)
    done = browser.get(kept.location, site=CROSS_SITE)
    _expect(done.status == 303 and done.location in {"/", f"http://{HOST}/"}, done)


def short_way_by_query(browser: Browser) -> None:
    """Login button, the tenant's redirect with a query, signed in; as the others do it."""
    sent = browser.post("/pkce/code")
    _expect(sent.status == 303, sent)
    answer = urlencode(authorize(sent.location))
    done = browser.get(f"{CALLBACK}?{answer}", site=CROSS_SITE)
    _expect(done.status == 303 and done.location in {"/", f"http://{HOST}/"}, done)


def five_routes(browser: Browser) -> None:
    """What a published client does: challenge, code, response, token, clear."""
    _expect((started := browser.call("GET", "/pkce/challenge")).status == 200, started)
    sent = browser.call("POST", "/pkce/code", {})
    _expect(sent.status == 200, sent)
    answer = authorize(sent.json()["authorization_url"])
    _expect((bound := browser.send_form(CALLBACK, answer)).status == 200, bound)
    redeemed = browser.call("POST", "/pkce/token", {})
    _expect(redeemed.status == 200, redeemed)
    _expect(redeemed.json()["auth0"]["user"]["email"] == EMAIL, redeemed)
    _expect((cleared := browser.call("POST", "/pkce/clear", {})).status == 204, cleared)


def five_routes_in_browser(browser: Browser) -> None:
    """The same by a page's script; the answer comes as a form_post, which is one request more."""
    _expect((started := browser.fetch("GET", "/pkce/challenge")).status == 200, started)
    sent = browser.fetch("POST", "/pkce/code", {})
    _expect(sent.status == 200, sent)
    answer = authorize(sent.json()["authorization_url"])
    kept = browser.post(CALLBACK, answer, site=CROSS_SITE)
    _expect(kept.status == 303, kept)
    _expect((bound := browser.get(kept.location, site=CROSS_SITE)).status == 200, bound)
    redeemed = browser.fetch("POST", "/pkce/token", {})
    _expect(redeemed.status == 200, redeemed)
    _expect((cleared := browser.fetch("POST", "/pkce/clear", {})).status == 204, cleared)


def by_authlib(browser: Browser) -> None:
    """Login link, the tenant's redirect with a query, signed in."""
    _follow(browser, "/login", "/authorized")


def by_flask_dance(browser: Browser) -> None:
    """The same with Flask-Dance."""
    _follow(browser, "/stub", "/stub/authorized")


def _follow(browser: Browser, login: str, callback: str) -> None:
    sent = browser.get(login)
    _expect(sent.status == 302, sent)
    answer = authorize(sent.location)
    done = browser.get(f"{callback}?{urlencode(answer)}", site=CROSS_SITE)
    _expect(done.status == 302 and done.location == "/", done)


def with_pauses(provider: Provider, store: str) -> tuple[Contestant, Contestant]:
    """Sign-ins one after the other, and the same after five seconds of silence each.

    The silence is that of the clock by which connections to the tenant grow old; everything else,
    the new connection above all, is as it is.
    """
    from flask_pkce.tenant.adapter import Adapter

    now = 0.0

    def make_app() -> Flask:
        app = our_app(provider, store=store, delivery="session")
        transport = app.extensions["pkce"]["pkce"].relying_party.transport
        transport.session.mount("https://", Adapter(provider.ca_bundle, lambda: now))
        return app

    def sign_in(browser: Browser) -> None:
        nonlocal now
        now += SILENCE
        short_way(browser)

    return Contestant("busy", make_app, short_way), Contestant("silence", make_app, sign_in)


# -- who is compared -------------------------------------------------------------


def field_of(provider: Provider, stores: Mapping[str, str]) -> list[Contestant]:
    """Who is compared, the floor first."""

    def ours(delivery: str, store: str, **settings: str) -> Callable[[], Flask]:
        return partial(our_app, provider, store=store, delivery=delivery, **settings)

    floor = partial(floor_app, provider)
    authlib = partial(authlib_app, provider)
    dance = partial(flask_dance_app, provider)
    return [
        Contestant("floor", floor, exchange_only),
        *(
            Contestant(f"flask_pkce, {name}", ours("session", url), short_way)
            for name, url in stores.items()
        ),
        Contestant("flask_pkce, five routes", ours("caller", "memory://"), five_routes),
        Contestant(
            "flask_pkce, five routes in a browser",
            ours("caller", "memory://"),
            five_routes_in_browser,
        ),
        *(
            Contestant(
                f"flask_pkce, {name}, query",
                ours("session", url, PKCE_RESPONSE_MODE="query"),
                short_way_by_query,
            )
            for name, url in stores.items()
        ),
        Contestant("Authlib", authlib, by_authlib),
        Contestant("Flask-Dance", dance, by_flask_dance),
    ]
