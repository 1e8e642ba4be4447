"""Sentry at its defaults records every local variable of every frame: none of ours is a secret.

Each place at which the application's own code runs within the library raises once, on every way
that leads there, and what Sentry records is searched.
"""

from __future__ import annotations

import re
import secrets
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import requests
import sentry_sdk
from flask import Flask, Response, request
from jinja2 import DictLoader
from requests import PreparedRequest
from requests.adapters import HTTPAdapter
from sentry_sdk.envelope import Envelope
from sentry_sdk.transport import Transport
from werkzeug.test import TestResponse

from flask_pkce import PKCEBlueprint
from flask_pkce.errors import AccessTokenMissing, NotSignedIn, PKCEError
from flask_pkce.protocol.authorization import AuthorizationRequest, build_authorization_url
from flask_pkce.protocol.pkce import code_challenge
from flask_pkce.protocol.token import TokenRequest
from flask_pkce.relying_party import hooks
from flask_pkce.tenant.api import TenantAPI
from flask_pkce.testing import AuthorizationAnswer, login_as
from tests.canaries import Canaries
from tests.conftest import MakeApp
from tests.support import ELSEWHERE, ec_key
from tests.web.host import (
    CALLBACK,
    Browser,
    Clock,
    CrossSitePost,
    Host,
    ObservedStore,
    Program,
)

CLIENT_SECRET = "the-client-secret-of-the-application"
#: The verifier of a caller that makes its own.
VERIFIER = "a-verifier-that-only-the-caller-of-the-routes-knows"
ACCESS_TOKEN = "an-access-token-that-a-test-made-up"
INVITATION = "an-invitation-that-only-its-recipient-knows"

SIGNALS = (
    hooks.authorization_requested,
    hooks.authorization_answered,
    hooks.signed_in,
    hooks.token_refreshed,
    hooks.failed,
    hooks.signed_out,
    hooks.tenant_called,
)


class Mistake(Exception):
    """What the application's code raises."""


class Stop(Exception):
    """The request broke, and the sign-in with it."""


class Mistakes:
    """Raises in the application's code, once on each way that the library leads there."""

    def __init__(self) -> None:
        #: Where it raised, and by which lines of the library it came there.
        self.made: set[tuple[str, str, tuple[Any, ...]]] = set()
        self.is_armed = True

    def make(self, place: str, after: str = "") -> None:
        """Raise, unless this place raised on this way before.

        :param after: the mistake that led here.
        """
        frame: FrameType | None = sys._getframe(1)
        way = []
        while frame is not None:
            if _is_ours(frame):
                way.append((frame.f_code.co_filename, frame.f_lineno))
            frame = frame.f_back
        mistake = (place, after, tuple(way))
        # Flask calls error handlers, and the library is not on the stack any more.
        if self.is_armed and (way or after) and mistake not in self.made:
            self.made.add(mistake)
            raise Mistake(place)

    @property
    def places(self) -> set[str]:
        """Where it raised."""
        return {place for place, _, _ in self.made}


def _is_ours(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    return module.startswith("flask_pkce.") and ".testing.tenant" not in module


class Recorded(Transport):
    """Keeps what Sentry would send."""

    def __init__(self) -> None:
        super().__init__()
        self.events: list[str] = []
        #: Our frames, with all their variables: Sentry shows ten of each.
        self.frames: list[str] = []

    def capture_envelope(self, envelope: Envelope) -> None:
        """Keep an envelope."""
        for item in envelope.items:
            self.events.append(item.get_bytes().decode())

    def look(self, event: Any, hint: Mapping[str, Any]) -> Any:
        """Keep our frames of an error and of those that it was raised from, or after."""
        pending = [hint["exc_info"][1]] if hint.get("exc_info") else []
        seen: set[int] = set()
        while pending:
            exc = pending.pop()
            if exc is None or id(exc) in seen:
                continue
            seen.add(id(exc))
            follow = exc.__cause__ if exc.__suppress_context__ else exc.__context__
            pending.append(follow)
            traceback = exc.__traceback__
            while traceback is not None:
                frame = traceback.tb_frame
                name = frame.f_globals.get("__name__", "")
                if _is_ours(frame) or name.partition(".")[0] in {"requests", "urllib3"}:
                    where = f"{name}.{frame.f_code.co_name}"
                    for key, value in frame.f_locals.items():
                        self.frames.append(f"{where}: {key}={_shown(value)}")
                traceback = traceback.tb_next
        return event


def _shown(value: object) -> str:
    """A value as Sentry shows it, which looks into mappings."""
    if isinstance(value, Mapping):
        return str({key: _shown(each) for key, each in value.items()})
    return repr(value)


@pytest.fixture
def recorded() -> Iterator[Recorded]:
    """Sentry at its defaults, which sends nothing."""
    transport = Recorded()
    sentry_sdk.init(
        "https://key@sentry.example/1", transport=transport, before_send=transport.look
    )
    yield transport
    sentry_sdk.get_client().close(timeout=0)
    sentry_sdk.get_global_scope().set_client(None)


class MistakenStore(ObservedStore):
    """A store of the application's own."""

    def __init__(self, mistakes: Mistakes, *, clock: Clock) -> None:
        super().__init__(clock=clock)
        self.mistakes = mistakes

    def get(self, key: str) -> bytes | None:
        self.mistakes.make("store")
        return super().get(key)

    def add(self, key: str, value: bytes, ttl: float) -> bool:
        self.mistakes.make("store")
        return super().add(key, value, ttl)

    def replace(self, key: str, old: bytes, new: bytes, ttl: float) -> bool:
        self.mistakes.make("store")
        return super().replace(key, old, new, ttl)

    def take(self, key: str) -> bytes | None:
        self.mistakes.make("store")
        return super().take(key)


class RefusingAPI(HTTPAdapter):
    """An API that accepts no token."""

    def __init__(self, mistakes: Mistakes) -> None:
        super().__init__()
        self.mistakes = mistakes

    def send(self, request: PreparedRequest, *args: Any, **options: Any) -> requests.Response:
        self.mistakes.make("adapter")
        response = requests.Response()
        response.status_code, response.request, response.raw = 401, request, BytesIO()
        response.url = request.url or ""
        return response


class Application:
    """An application whose code raises, wherever it has any."""

    def __init__(self, make_app: MakeApp, clock: Clock, canaries: Canaries) -> None:
        self._make_app, self._clock, self.canaries = make_app, clock, canaries
        self.mistakes = Mistakes()
        #: The queries of the requests: Sentry records them, and Werkzeug's requests show them.
        self.queries: set[str] = set()
        self.pkce = PKCEBlueprint()
        for what, *values in (
            ("client secret", CLIENT_SECRET),
            ("verifier", VERIFIER),
            ("invitation", INVITATION),
            ("access token", ACCESS_TOKEN),
        ):
            canaries.note(what, *values)

    def serve(
        self, *, replaces: bool = False, has_templates: bool = False, **settings: Any
    ) -> Host:
        """Make the application, with every kind of code that it can have.

        :param replaces: whether it makes the addresses and the token requests itself.
        :param has_templates: whether the pages are its own.
        """
        mistakes, pkce, app = self.mistakes, self.pkce, Flask("host")
        for name in ("before_authorize", "after_authorize", "before_token", "after_token"):
            getattr(pkce, name)(lambda value, name=name: mistakes.make(name))
        pkce.on_error(self.on_error)
        pkce.tenant_loader(lambda name: mistakes.make("tenant_loader"))
        if replaces:
            pkce.authorize(self.authorize)
            pkce.token(self.token)
        if has_templates:
            page = "{{ mistake() }}{% block content %}{% endblock %}"
            app.jinja_loader = DictLoader({"pkce/base.html": page})  # pyright: ignore[reportAttributeAccessIssue]
            app.jinja_env.globals["mistake"] = lambda: mistakes.make("template")
        app.before_request(self.note_query)
        for error in (Mistake, NotSignedIn, AccessTokenMissing):
            app.register_error_handler(error, self.handle)
        app.add_url_rule("/guarded", view_func=pkce.login_required(self.guarded))
        app.add_url_rule("/leave", view_func=lambda: pkce.logout(), methods=["POST"])
        self.host: Host = self._make_app(
            app=app,
            blueprint=pkce,
            **{
                "PKCE_STORE_URL": MistakenStore(mistakes, clock=self._clock),
                "PKCE_SCOPE": "openid profile email offline_access",
                "PKCE_CLIENT_SECRET": CLIENT_SECRET,
                **settings,
            },
        )
        for signal in SIGNALS:
            signal.connect(self.hear, sender=app)
        if settings.get("PKCE_CLIENT_KEY") is None:
            self.host.tenant.register(client_secret=CLIENT_SECRET)
        tenant = self.host.tenant.app
        tenant.after_request_funcs[None].append(self.note_tokens)
        answer = tenant.wsgi_app

        def apart(*args: Any) -> Any:
            # As in another process: Sentry would take its requests for the application's.
            with sentry_sdk.isolation_scope():
                return answer(*args)

        tenant.wsgi_app = apart  # type: ignore[method-assign,assignment]
        return self.host

    # -- its code --------------------------------------------------------------

    def on_error(self, error: PKCEError) -> None:
        sentry_sdk.capture_exception(error)
        self.mistakes.make("on_error")

    def hear(self, sender: object, **_: object) -> None:
        self.mistakes.make("signal")

    def handle(self, error: Exception) -> Any:
        self.mistakes.make("error handler", after=str(error))
        raise error

    def authorize(self, asked: AuthorizationRequest) -> str:
        self.mistakes.make("authorize")
        return build_authorization_url(self.host.relying_party.tenants.default.get(), asked)

    def token(self, asked: TokenRequest) -> Mapping[str, Any]:
        self.mistakes.make("token")
        relying_party = self.host.relying_party
        return TenantAPI(relying_party.transport).request_token(
            relying_party.tenants.default.get(), asked
        )

    def guarded(self) -> str:
        self.mistakes.make("view")
        try:
            self.pkce.access_token(scope="unheard-of")
        except PKCEError:
            self.mistakes.make("view")
        with self.pkce.api("https://api.example/") as api:
            api.mount("https://api.example/", RefusingAPI(self.mistakes))
            return str(api.get("orders").status_code)

    # -- what is noted -----------------------------------------------------------

    def note_query(self) -> None:
        self.queries.add(request.query_string.decode())

    def note_tokens(self, response: Response) -> Response:
        """Note what the tenant issues, before the library has it."""
        if request.path == "/oauth/token":
            issued = response.get_json(silent=True) or {}
            for name in ("access_token", "refresh_token", "id_token"):
                self.canaries.note(name, issued.get(name))
            self.canaries.note("client assertion", request.form.get("client_assertion"))
        return response

    def found(self, texts: Iterable[str]) -> set[str]:
        """What secrets there are, and in which variables, where not in a query."""
        queries = sorted(filter(None, self.queries), key=len, reverse=True)
        pattern = re.compile("|".join(map(re.escape, queries)) or "(?!)")
        return {
            f"{what} in {text.partition('=')[0] if text[0] != '{' else 'an event'}"
            for text in (pattern.sub("the-query", text) for text in texts)
            for secret, what in self.canaries.secrets.items()
            if secret in text
        }

    def go(self, journey: Callable[[Host], None]) -> None:
        """Go on a journey until every place on the way raised."""
        for _ in range(400):
            count = len(self.mistakes.made)
            with suppress(Stop, Mistake):
                journey(self.host)
            if len(self.mistakes.made) == count:
                return
        raise AssertionError("the journey has no end")


@pytest.fixture
def application(make_app: MakeApp, clock: Clock, canaries: Canaries) -> Application:
    """An application whose code raises."""
    return Application(make_app, clock, canaries)


# -- who calls it ------------------------------------------------------------------


class Client(Browser):
    """A browser whose requests may break."""

    def send(
        self, method: str, path: str, *, headers: Mapping[str, str] | None = None, **options: Any
    ) -> TestResponse:
        sent = {**self.headers, **(headers or {})}
        response = self.client.open(
            path,
            method=method,
            base_url=self.host.address,
            headers={name: value for name, value in sent.items() if value},
            **options,
        )
        if response.status_code >= 400:
            raise Stop
        return response

    def arrive(self, answer: Any) -> TestResponse:
        """Bring the tenant's answer, and go on as headers say, to a page of ours."""
        if answer.method == "GET":
            response = self.deliver(answer)
        else:
            response = Stranger(self.host).send("POST", CALLBACK, data=answer.params)
        while True:
            refresh = response.headers.get("Refresh", "").partition("url=")[2]
            location = response.headers.get("Location", refresh)
            if "ticket=" not in location:
                return response
            response = self.open(location, site="same-origin")


class Stranger(Client):
    """A page of the tenant, whose form is sent without cookies."""

    headers = CrossSitePost.headers
    keeps_cookies = False


class LocalProgram(Client):
    """A program on this machine."""

    headers = Program.headers
    keeps_cookies = False


def answer_to(host: Host, url: str) -> AuthorizationAnswer:
    """What the tenant answers, whose code is noted before the library has it."""
    answer = host.tenant.sign_in(url)
    host.canaries.note("code", answer.params["code"])
    return answer


def by_script(host: Host) -> None:
    """A page's script calls the five routes, with a verifier of its own."""
    browser = Client(host)
    state = browser.send("GET", "/pkce/challenge").get_json()["challenge"]["state"]
    challenge = {"code_challenge": code_challenge(VERIFIER), "code_challenge_method": "S256"}
    url = browser.code(state=state, **challenge).get_json()["authorization_url"]
    browser.arrive(answer_to(host, url))
    code = browser.code(state=state).get_json()["result"]["code"]
    response = browser.token(code=code, code_verifier=VERIFIER)
    browser.token(grant_type="refresh_token", refresh_token=_refresh_token(response))
    browser.clear()


def by_program(host: Host) -> None:
    """A program without cookies brings the answer itself, to the flow of its own state."""
    program = LocalProgram(host)
    url = program.code(state=secrets.token_urlsafe(24)).get_json()["authorization_url"]
    program.respond(**answer_to(host, url).params)
    response = program.token()
    program.token(grant_type="refresh_token", refresh_token=_refresh_token(response))
    program.clear()


def by_listener(host: Host) -> None:
    """A program that listens at a redirect URI of its own brings the code alone."""
    program = LocalProgram(host)
    url = program.code(redirect_uri=ELSEWHERE).get_json()["authorization_url"]
    program.token(code=answer_to(host, url).params["code"], redirect_uri=ELSEWHERE)


def _refresh_token(response: TestResponse) -> str:
    return str(response.get_json()["auth0"]["oAuth"]["token"]["refresh_token"])


def by_page(host: Host) -> None:
    """A button, a guarded view that calls an API, once more with a new token, and the way out."""
    browser = Client(host)
    browser.open("/guarded")
    url = browser.submit("/pkce/code", {"return_to": "/guarded"}).headers["Location"]
    browser.arrive(answer_to(host, url))
    browser.open("/guarded")
    host.clock.advance(90_000)
    browser.open("/guarded")
    browser.submit("/leave")


def by_link(host: Host) -> None:
    """A link with an invitation."""
    link = f"/pkce/login?return_to=/guarded&organization=org_1&invitation={INVITATION}"
    Client(host).open(link)


def by_foreign_link(host: Host) -> None:
    """Another site links here with an invitation, and the user who is signed in confirms it."""
    browser = Client(host)
    url = browser.submit("/pkce/code").headers["Location"]
    browser.arrive(answer_to(host, url))
    link = f"/pkce/login?organization=org_1&invitation={INVITATION}"
    assert "Continue only if" in browser.open(link, site="cross-site").text
    browser.submit("/pkce/login", {"organization": "org_1", "invitation": INVITATION})


def by_test(host: Host) -> None:
    """A line of a test."""
    login_as(host.app.test_client(), access_token=ACCESS_TOKEN)


def in_vain(host: Host) -> None:
    """The tenant fails, and so does the caller, in every way that a sign-in can fail."""
    browser = Client(host)
    answer: dict[str, str] = {}
    # Its metadata and keys are there before it is silent.
    for fault in (
        *("nonce-invalid", "token-expires-in-negative", "token-500", "token-html"),
        *("silent", "unreachable"),
    ):
        url = browser.code().get_json()["authorization_url"]
        answer = answer_to(host, url).params
        browser.respond(**answer)
        host.tenant.faults.add(fault)
        with suppress(Stop):
            browser.token()
        host.tenant.faults.clear()
        for fields in ({"iss": "https://x"}, {"state": f"{answer['state']}x"}, {"code": "other"}):
            with suppress(Stop):
                browser.respond(**{**answer, **fields})
    for body in (
        {"grant_type": answer["code"]},
        {"code": answer["code"], "code_verifier": f"{VERIFIER} "},
        {"code": answer["code"], "code_verifier": VERIFIER},
        {"grant_type": "refresh_token", "refresh_token": VERIFIER},
    ):
        with suppress(Stop):
            browser.token(**body)
    with suppress(Stop):
        browser.send("POST", "/pkce/token", headers={"Cookie": f"pkce-80={browser.cookie}x"})


SESSION = {"PKCE_TOKEN_DELIVERY": "session"}
#: The answer is in the address, and a page leads on.
OWN_PAGES: dict[str, Any] = {
    **SESSION,
    "PKCE_RESPONSE_MODE": "query",
    "SESSION_COOKIE_SAMESITE": "Strict",
    "has_templates": True,
}
ON_EVERY_WAY = {"store", "tenant_loader", "before_authorize", "signal", "error handler"}
TO_TOKENS = {*ON_EVERY_WAY, "after_authorize", "before_token", "after_token"}


@pytest.mark.requirement("LG-1")
@pytest.mark.parametrize(
    ("journey", "settings", "places"),
    [
        pytest.param(by_script, {}, TO_TOKENS, id="script"),
        pytest.param(by_program, {"PKCE_LOCAL_SESSION": True}, TO_TOKENS, id="program"),
        pytest.param(
            by_listener,
            {"PKCE_LOCAL_SESSION": True, "PKCE_REDIRECT_URIS": ELSEWHERE},
            TO_TOKENS,
            id="listener",
        ),
        pytest.param(
            by_page,
            {**SESSION, "PKCE_PAR": "always"},
            {*TO_TOKENS, "view", "adapter"},
            id="page",
        ),
        pytest.param(
            by_page,
            {**SESSION, "PKCE_RESPONSE_MODE": "query", "replaces": True},
            {*TO_TOKENS, "authorize", "token"},
            id="replaced",
        ),
        pytest.param(by_link, SESSION, ON_EVERY_WAY, id="link"),
        pytest.param(by_foreign_link, SESSION, TO_TOKENS, id="foreign link"),
        pytest.param(by_test, SESSION, {"after_token", "store"}, id="test"),
        pytest.param(in_vain, {}, {*TO_TOKENS, "on_error"}, id="in vain"),
    ],
)
def test_no_variable_is_a_secret(
    journey: Callable[[Host], None],
    settings: dict[str, Any],
    places: set[str],
    application: Application,
    recorded: Recorded,
) -> None:
    """Wherever the application raises, Sentry records no secret but in the request's query."""
    application.serve(**settings)
    application.go(journey)
    assert application.mistakes.places >= places
    assert recorded.events
    assert recorded.frames
    assert application.found([*recorded.events, *recorded.frames]) == set()


def test_signed_assertions(application: Application, recorded: Recorded) -> None:
    """Neither is a signed assertion recorded."""
    key = {**ec_key().as_dict(private=True), "kid": "ours"}
    host = application.serve(PKCE_CLIENT_KEY=key, PKCE_CLIENT_SECRET=None)
    public_key = {**ec_key().as_dict(private=False), "kid": "ours"}
    host.tenant.register(jwks=[public_key], auth_method="private_key_jwt")
    application.canaries.note("client key", str(key["d"]))
    application.mistakes.is_armed = False
    by_script(host)
    application.mistakes.is_armed = True
    application.go(by_script)
    assert "client assertion" in application.canaries.secrets.values()
    assert application.found([*recorded.events, *recorded.frames]) == set()


@pytest.mark.parametrize("kind", ["after_token", "before_token", "token", "authorize"])
def test_wrong_results(kind: str, application: Application, recorded: Recorded) -> None:
    """A hook that returns tokens as something else is told so, and they are not recorded."""
    application.mistakes.is_armed = False
    wrong: dict[str, Callable[[Any], Any]] = {
        "after_token": lambda response: dict(vars(response)),
        "before_token": lambda asked: asked.parameters(),
        "token": lambda asked: [*application.token(asked).items()],
        "authorize": lambda asked: f"no address {asked.state}",
    }
    getattr(application.pkce, kind)(wrong[kind])
    host = application.serve()
    with pytest.raises(Stop):
        by_script(host)
    assert any("Error" in event for event in recorded.events)
    assert application.found([*recorded.events, *recorded.frames]) == set()


# -- templates, and what Flask and Werkzeug show -------------------------------------


def test_templates(application: Application, recorded: Recorded) -> None:
    """A template that raises shows Flask's configuration, as any template does, and no more."""
    application.serve(**OWN_PAGES)
    application.go(by_page)
    assert "template" in application.mistakes.places
    assert application.found(recorded.frames) == set()
    assert application.found(recorded.events) <= {"secret key in an event"}


def test_documented_options(application: Application, recorded: Recorded) -> None:
    """With the options of docs/deployment.rst no event has a secret, wherever it would be."""
    text = (Path(__file__).parents[2] / "docs/deployment.rst").read_text("utf-8")
    block = re.search(r"testcode:: sentry\n\n((?:   .*\n|\n)+)", text)
    assert block is not None
    code = textwrap.dedent(block[1])
    transport = Recorded()
    options: dict[str, Any] = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sentry_sdk, "init", lambda *args, **given: options.update(given))
        exec(code, {})
    sentry_sdk.init("https://key@sentry.example/1", transport=transport, **options)
    application.serve(**OWN_PAGES)
    application.go(by_page)
    application.queries.clear()
    assert transport.events
    assert application.found(transport.events) == set()
