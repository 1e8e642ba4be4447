"""The local tenant as a person meets it: signing in, signing up, consenting, signing out."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import urlencode

import pytest
import requests

from flask_pkce.testing import LocalTenant, SignInRefused, TenantClient, TenantUser
from flask_pkce.testing.tenant.browser import parse_forms, parse_text
from tests.testing.relying_party import CALLBACK, Clock, RelyingParty


@pytest.fixture(scope="module")
def keys_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Keys are made once, for making them is slow."""
    return tmp_path_factory.mktemp("keys")


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tenant(keys_folder: Path, clock: Clock) -> LocalTenant:
    tenant = LocalTenant(keys_folder=keys_folder, clock=clock)
    tenant.register(redirect_uris=[CALLBACK, f"{CALLBACK}?tenant=a"])
    return tenant


@pytest.fixture
def party(tenant: LocalTenant) -> RelyingParty:
    return RelyingParty(tenant, tenant.mount(requests.Session()))


def press(party: RelyingParty, url: str, **fields: str) -> requests.Response:
    """Send a form of a page,."""
    return party.session.post(url, fields, allow_redirects=False, timeout=10)


def test_sign_in_page(party: RelyingParty) -> None:
    """The page says what it is, lists the demo users, and loads nothing from elsewhere."""
    page = party.session.get(party.url(login_hint="bob@example.com"), timeout=10)
    text = parse_text(page.text)
    assert "Local tenant. Not for production." in text
    assert "alice@example.com, password alice-password" in text
    assert 'value="bob@example.com"' in page.text
    assert '<html lang="en">' in page.text
    assert 'name="viewport"' in page.text
    assert "<script" not in page.text
    policy = page.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'nonce-")
    assert "frame-ancestors 'none'" in policy
    assert page.headers["Cache-Control"] == "no-store"


def test_demo_user_at_one_press(party: RelyingParty) -> None:
    """Each demo user has a form of one button."""
    url = party.url(response_mode="query")
    forms = parse_forms(party.session.get(url, timeout=10).text)
    assert [form.hidden.get("email") for form in forms[1:]] == [
        "alice@example.com",
        "bob@example.com",
    ]
    assert press(party, url, action="login", **forms[2].hidden).status_code == 302


def test_no_demo_users(keys_folder: Path) -> None:
    """A tenant without users has nobody to list."""
    tenant = LocalTenant(keys_folder=keys_folder, users=())
    tenant.register(redirect_uris=[CALLBACK])
    party = RelyingParty(tenant, tenant.mount(requests.Session()))
    assert "Demo users" not in party.session.get(party.url(), timeout=10).text


@pytest.mark.parametrize("fields", [{}, {"email": "alice@example.com", "password": "wrong"}])
def test_wrong_password(party: RelyingParty, fields: dict[str, str]) -> None:
    """A wrong password shows the page again, with the address and a reason."""
    page = press(party, party.url(), action="login", **fields)
    assert page.status_code == 400
    assert "Wrong e-mail address or password." in parse_text(page.text)
    assert 'role="alert"' in page.text
    assert fields.get("email", "") in page.text
    with pytest.raises(SignInRefused, match="Wrong e-mail"):
        party.tenant.sign_in(party.url(), TenantUser("x", "alice@example.com", "wrong"))


@pytest.mark.parametrize(("mode", "method"), [("form_post", "POST"), ("query", "GET")])
def test_cancel(party: RelyingParty, mode: str, method: str) -> None:
    """Cancel is access_denied, in the mode asked for."""
    answer = party.tenant.sign_in(party.url(response_mode=mode), cancel=True)
    assert answer.method == method
    assert answer.params == {
        "error": "access_denied",
        "error_description": "User did not authorize the request",
        "state": "the state",
    }


def test_form_post_page(party: RelyingParty) -> None:
    """The page that goes back sends itself, and has a button for a browser without scripts."""
    page = press(
        party, party.url(), action="login", email="BOB@example.com", password="bob-password"
    )
    nonce = page.headers["Content-Security-Policy"].split("'nonce-")[1].split("'")[0]
    assert f'<script nonce="{nonce}">document.forms[0].submit()</script>' in page.text
    assert "<button>Continue</button>" in page.text
    assert page.headers["Referrer-Policy"] == "strict-origin"


def test_values_are_escaped(party: RelyingParty) -> None:
    """What the request brings is text in the pages, and comes back as it was."""
    state = '"><script>alert(1)</script>'
    answer = party.tenant.sign_in(party.url(state=state, organization=state, login_hint=state))
    assert answer.params["state"] == state
    assert state not in party.session.get(party.url(login_hint=state), timeout=10).text


def test_redirect_uri_with_a_query(party: RelyingParty) -> None:
    """The redirect URI keeps its own query, and the answer comes beside it."""
    callback = f"{CALLBACK}?tenant=a"
    for mode in ("query", "form_post"):
        answer = party.tenant.sign_in(party.url(redirect_uri=callback, response_mode=mode))
        assert answer.url == callback
        assert answer.params.keys() == {"code", "state"}


@pytest.mark.parametrize(
    ("redirect_uri", "is_good"),
    [
        ("http://localhost:3000/callback", True),
        ("http://localhost:65535/callback", True),
        ("http://localhost/callback", True),
        ("http://127.0.0.1:3000/callback", False),
        ("http://localhost:3000/callback/", False),
        ("http://localhost:3000@evil.example/callback", False),
        ("http://localhost:/callback", False),
        ("https://app.example:3000/callback", False),
    ],
)
def test_native_client(keys_folder: Path, redirect_uri: str, is_good: bool) -> None:
    """A native client's loopback redirect URI is good with every port (RFC 8252 7.3)."""
    uris = ("http://localhost/callback", "https://app.example/callback")
    native = TenantClient("local-client", redirect_uris=uris, is_native=True)
    tenant = LocalTenant(keys_folder=keys_folder, clients=[native])
    assert tenant.register(client_secret="secret").is_native
    party = RelyingParty(tenant, tenant.mount(requests.Session()))
    page = party.session.get(party.url(redirect_uri=redirect_uri), timeout=10)
    assert page.status_code == (200 if is_good else 403)


@pytest.mark.parametrize(
    ("registered", "told"),
    [((), "Registered: none"), ((CALLBACK, "http://b/"), f"Registered: {CALLBACK} http://b/")],
)
def test_callback_mismatch(
    registered: tuple[str, ...], told: str, keys_folder: Path, party: RelyingParty
) -> None:
    """Who is sent back to an address that is not registered sees that, and those that are."""
    client = TenantClient("local-client", redirect_uris=registered)
    tenant = LocalTenant(keys_folder=keys_folder, clients=[client])
    tenant.mount(party.session)
    asked = "https://shop.example/<b>callback</b>"
    page = party.session.get(party.url(redirect_uri=asked), timeout=10)
    assert page.status_code == 403
    text = " ".join(parse_text(page.text).split())
    assert f"Asked for: {asked} {told}" in text
    assert asked not in page.text
    unnamed = party.session.get(party.url(redirect_uri=None), timeout=10)
    assert "Asked for: none" in " ".join(parse_text(unnamed.text).split())
    other = party.session.get(party.url(client_id="unknown"), timeout=10)
    assert "Registered" not in other.text


def test_single_sign_on(party: RelyingParty) -> None:
    """A browser that signed in is not asked again, unless prompt says so."""
    browser = party.tenant.browser()
    first = browser.sign_in(party.url(), "bob")
    posts = party.tenant.count("POST", "/authorize")
    second = browser.sign_in(party.url(prompt="none"))
    assert party.tenant.count("POST", "/authorize") == posts
    subjects = [
        party.claims(party.exchange(answer.params["code"]).json()["id_token"])["sub"]
        for answer in (first, second)
    ]
    assert subjects == ["auth0|bob", "auth0|bob"]
    for prompt in ("login", "select_account"):
        answer = browser.sign_in(party.url(prompt=prompt), "alice")
        claims = party.claims(party.exchange(answer.params["code"]).json()["id_token"])
        assert claims["sub"] == "auth0|alice"


@pytest.mark.parametrize("scope", ["openid", "profile"])
def test_prompt_none_without_a_session(party: RelyingParty, scope: str) -> None:
    """prompt=none without a session is login_required, and shows no page."""
    answer = party.tenant.sign_in(party.url(prompt="none", scope=scope))
    assert answer.params["error"] == "login_required"
    assert answer.params["state"] == "the state"
    assert answer.method == "POST"


def test_max_age(party: RelyingParty, clock: Clock) -> None:
    """max_age asks for the password again once the sign-in is that old."""
    browser = party.tenant.browser()
    browser.sign_in(party.url())
    clock.now += 30
    young = browser.sign_in(party.url(max_age="60", prompt="none"))
    assert "code" in young.params
    clock.now += 30
    old = browser.sign_in(party.url(max_age="60", prompt="none"))
    assert old.params["error"] == "login_required"
    again = browser.sign_in(party.url(max_age="60"))
    claims = party.claims(party.exchange(again.params["code"]).json()["id_token"])
    assert claims["auth_time"] == int(clock.now)
    assert "code" in browser.sign_in(party.url(max_age="0", prompt="consent")).params


def test_consent(party: RelyingParty) -> None:
    """prompt=consent asks, after the sign-in and in a session alike."""
    browser = party.tenant.browser()
    url = party.url(prompt="consent", audience="https://api.example/")
    assert "code" in browser.sign_in(url).params
    page = browser.get(url)
    assert "asks for access to https://api.example/" in parse_text(page.text)
    assert parse_forms(page.text)[0].actions == ["allow", "cancel"]
    assert "code" in browser.sign_in(url).params
    assert browser.sign_in(url, cancel=True).params["error"] == "access_denied"


def test_consent_is_asked_of_this_browser(party: RelyingParty) -> None:
    """Allowing what was never asked, or asked of another browser, shows the question."""
    url = party.url(prompt="consent")
    other = party.tenant.browser()
    other.sign_in(party.url())
    question = parse_forms(other.get(url).text)[0].hidden["question"]
    press(party, url, action="login", email="bob@example.com", password="bob-password")
    for answer in ({}, {"question": question}):
        page = press(party, url, action="allow", **answer)
        assert "Allow access?" in parse_text(page.text)


def test_sign_up(party: RelyingParty) -> None:
    """screen_hint=signup makes a user, who can sign in afterwards."""
    carol = TenantUser("unknown yet", "carol@example.com", "carol-password", "Carol Example")
    answer = party.tenant.sign_in(party.url(screen_hint="signup"), carol)
    claims = party.claims(party.exchange(answer.params["code"]).json()["id_token"])
    assert claims["name"] == "Carol Example"
    assert claims["email_verified"] is False
    again = party.tenant.sign_in(party.url(), claims["sub"])
    assert "code" in again.params
    with pytest.raises(SignInRefused, match="an account with this address already"):
        party.tenant.sign_in(party.url(screen_hint="signup"), carol)


@pytest.mark.parametrize(
    ("email", "password"), [("carol", "carol-password"), ("carol@example.com", "short")]
)
def test_sign_up_refused(party: RelyingParty, email: str, password: str) -> None:
    """An account wants an address and a password of some length."""
    url = party.url(screen_hint="signup")
    page = press(party, url, action="signup", email=email, password=password, name="Carol")
    assert page.status_code == 400
    assert "8 characters or more" in parse_text(page.text)
    assert 'value="Carol"' in page.text


def test_sign_in_and_sign_up_lead_to_each_other(party: RelyingParty) -> None:
    """Each of the two pages links to the other, with the request."""
    assert "screen_hint=signup" in party.session.get(party.url(), timeout=10).text
    page = party.session.get(party.url(screen_hint="signup"), timeout=10)
    assert "screen_hint=login" in page.text
    assert "state=the+state" in page.text


def test_invitation(party: RelyingParty) -> None:
    """An invitation names its organization, and is nothing without one."""
    url = party.url(organization="org_1", invitation="i", screen_hint="signup")
    for hint in (url, url.replace("screen_hint=signup", "ui_locales=de")):
        text = parse_text(party.session.get(hint, timeout=10).text)
        assert "by an invitation to the organization org_1" in text
    answer = party.tenant.sign_in(party.url(invitation="i"))
    assert answer.params["error"] == "invalid_request"


@pytest.mark.parametrize(
    "changes",
    [
        {"code_challenge": None, "code_challenge_method": None},
        {"code_challenge_method": None},
        {"code_challenge_method": "plain"},
        {"code_challenge": "short"},
        {"max_age": "soon"},
        {"prompt": "none login"},
    ],
)
def test_request_refused(party: RelyingParty, changes: dict[str, str | None]) -> None:
    """A faulty request is answered at the redirect URI, and plain is a fault."""
    answer = party.tenant.sign_in(party.url(**changes))
    assert answer.method == "POST"
    assert answer.params["error"] == "invalid_request"
    assert answer.params["state"] == "the state"
    assert "code" not in answer.params


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_mode": "fragment"}, "invalid_request"),
        ({"response_mode": None, "response_type": "id_token"}, "unsupported_response_type"),
        (
            {"response_mode": None, "response_type": None, "state": None},
            "unsupported_response_type",
        ),
    ],
)
def test_request_refused_by_query(
    party: RelyingParty, changes: dict[str, str | None], error: str
) -> None:
    """With a mode that is unknown or not given, the answer is in the query."""
    answer = party.tenant.sign_in(party.url(**changes))
    assert answer.method == "GET"
    assert answer.params["error"] == error
    assert ("state" in answer.params) is ("state" not in changes)


@pytest.mark.parametrize(
    ("changes", "status", "title"),
    [
        ({"client_id": "unknown"}, 400, "Unknown client"),
        ({"client_id": None}, 400, "Unknown client"),
        ({"redirect_uri": f"{CALLBACK}/"}, 403, "Callback URL mismatch"),
        ({"redirect_uri": CALLBACK.upper()}, 403, "Callback URL mismatch"),
        ({"redirect_uri": None}, 403, "Callback URL mismatch"),
    ],
)
def test_never_redirected(
    party: RelyingParty, changes: dict[str, str | None], status: int, title: str
) -> None:
    """An unknown client or redirect URI is told to the person, and to nobody else."""
    with pytest.raises(SignInRefused, match=f"{status}: .*{title}"):
        party.tenant.sign_in(party.url(**changes))


@pytest.mark.parametrize("name", ["client_id", "redirect_uri"])
def test_repeated_parameter(party: RelyingParty, name: str) -> None:
    """A repeated client or redirect URI is a page; another repeated parameter is an answer."""
    with pytest.raises(SignInRefused, match=f"The parameter {name} is repeated"):
        party.tenant.sign_in(f"{party.url()}&{urlencode({name: 'x'})}")
    answer = party.tenant.sign_in(f"{party.url()}&state=x")
    assert answer.params["error"] == "invalid_request"


def test_form_of_another_site(party: RelyingParty) -> None:
    """Another site cannot sign a browser in as somebody else."""
    fields = {"action": "login", "email": "bob@example.com", "password": "bob-password"}
    headers = {"Origin": "https://attacker.example"}
    page = party.session.post(party.url(), fields, headers=headers, timeout=10)
    assert page.status_code == 403
    assert "Set-Cookie" not in page.headers


def test_sign_in_helper_refuses_what_it_cannot_do(party: RelyingParty) -> None:
    """The browser opens the tenant alone, as somebody it knows, and says what it met."""
    with pytest.raises(ValueError, match="no address of the tenant"):
        party.tenant.sign_in("https://attacker.example/authorize")
    with pytest.raises(LookupError, match="no user 'mallory'"):
        party.tenant.sign_in(party.url(), "mallory")
    with pytest.raises(SignInRefused, match=r"200: .*You are signed out"):
        party.tenant.sign_in(f"{party.tenant.issuer}v2/logout")


# -- signing out -------------------------------------------------------------

BYE = "http://localhost:3000/bye"


@pytest.mark.parametrize("path", ["oidc/logout", "v2/logout"])
def test_sign_out_without_an_address(party: RelyingParty, path: str) -> None:
    """Signing out ends the session of the tenant."""
    browser = party.tenant.browser()
    browser.sign_in(party.url())
    page = browser.get(party.tenant.issuer + path)
    assert "You are signed out" in parse_text(page.text)
    assert browser.sign_in(party.url(prompt="none")).params["error"] == "login_required"


def test_sign_out_with_an_address(party: RelyingParty) -> None:
    """Signing out goes on to a registered address, with the state."""
    tenant = party.tenant
    tenant.register(post_logout_redirect_uris=[BYE, f"{BYE}?x=1"])
    id_token = party.tokens()["id_token"]

    def leave(path: str, **params: str) -> requests.Response:
        return party.get(f"{path}?{urlencode(params)}")

    hinted = leave("oidc/logout", id_token_hint=id_token, post_logout_redirect_uri=BYE, state="s")
    assert hinted.headers["Location"] == f"{BYE}?state=s"
    target = f"{BYE}?x=1"
    named = leave(
        "oidc/logout", client_id="local-client", post_logout_redirect_uri=target, state="s"
    )
    assert named.headers["Location"] == f"{target}&state=s"
    assert leave("v2/logout", returnTo=BYE).headers["Location"] == BYE
    posted = party.post("oidc/logout", {"post_logout_redirect_uri": BYE})
    assert posted.headers["Location"] == BYE


@pytest.mark.parametrize(
    ("is_native", "target", "status"),
    [
        pytest.param(True, "http://localhost:49152/", 302, id="any port"),
        pytest.param(True, "http://localhost:49152/other", 400, id="another path"),
        pytest.param(True, "http://127.0.0.1:49152/", 400, id="another host"),
        pytest.param(False, "http://localhost:49152/", 400, id="not native"),
    ],
)
def test_sign_out_to_loopback(
    tenant_keys: Path, is_native: bool, target: str, status: int
) -> None:
    """A native client may be anywhere on loopback; who may not is told what is registered."""
    client = TenantClient(
        "program", is_native=is_native, post_logout_redirect_uris=("http://localhost/",)
    )
    tenant = LocalTenant(clients=[client], keys_folder=tenant_keys)
    query = urlencode({"client_id": "program", "post_logout_redirect_uri": target})
    answer = tenant.browser().get(f"{tenant.issuer}oidc/logout?{query}")
    assert answer.status_code == status
    if status == 400:
        shown = parse_text(answer.text)
        assert target in shown
        assert "http://localhost/" in shown


def test_sign_out_refused(party: RelyingParty) -> None:
    """An address that is not registered, or a foreign ID token, ends nothing."""
    tenant = party.tenant
    tenant.register(post_logout_redirect_uris=[BYE])
    tenant.register("other")
    tokens = party.tokens(audience="https://api.example/")
    browser = tenant.browser()
    browser.sign_in(party.url())
    for query in (
        {"post_logout_redirect_uri": f"{BYE}/"},
        {"post_logout_redirect_uri": BYE, "client_id": "other"},
        {"id_token_hint": tokens["id_token"], "client_id": "other"},
        {"id_token_hint": tokens["access_token"]},
        {"id_token_hint": "nonsense"},
        {"id_token_hint": tokens["id_token"][:-4] + "AAAA"},
    ):
        page = browser.get(f"{tenant.issuer}oidc/logout?{urlencode(query)}")
        assert page.status_code == 400
    assert "code" in browser.sign_in(party.url(prompt="none")).params
