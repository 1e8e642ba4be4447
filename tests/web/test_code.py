"""``POST /pkce/code``: the authorization URL, with all that the caller asked for."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from werkzeug.test import TestResponse

from tests.conftest import MakeApp
from tests.web.host import Browser, Caller, Host, Program, check_problem

# RFC 7636 Appendix B
VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

ELSEWHERE = "http://127.0.0.1:8400/done"
API = "https://api.example/"


@pytest.fixture
def wide(make_app: MakeApp) -> Host:
    """A host that lets its callers ask for more."""
    return make_app(
        PKCE_SCOPE="openid profile email offline_access",
        PKCE_ALLOWED_SCOPES="read:things",
        PKCE_ALLOWED_AUDIENCES=[API],
        PKCE_REDIRECT_URIS=[ELSEWHERE],
        PKCE_ADDITIONAL_PARAMETERS="company",
    )


def parameters(response: TestResponse) -> dict[str, str]:
    """The parameters of the authorization URL, each of which stands there once."""
    assert response.status_code == 200, response.text
    url = urlsplit(response.get_json()["authorization_url"])
    assert f"{url.scheme}://{url.netloc}{url.path}" == "https://tenant.example/authorize"
    pairs = parse_qsl(url.query, keep_blank_values=True)
    assert len(pairs) == len(dict(pairs))
    return dict(pairs)


def full_seed(challenge: dict[str, str]) -> dict[str, Any]:
    """``SeededPKCE`` with every member that the published model has."""
    return {
        "response_type": "code",
        "client_id": "local-client",
        "redirect_uri": ELSEWHERE,
        "domain": "https://tenant.example/authorize",
        "audience": API,
        "scope": ["openid", "read:things", "offline_access"],
        "state": challenge["state"],
        "nonce": challenge["nonce"],
        "code_challenge": challenge["challenge"],
        "code_challenge_method": "S256",
        "response_mode": "query",
        "screen_hint": "signup",
        "prompt": "login",
        "organization": "org_1",
        "invitation": "the-invitation",
        "ADDITIONAL_PARAMETERS": {
            "access_type": "offline",
            "display": "popup",
            "connection": "google-oauth2",
            "login_hint": "alice@example.com",
            "ui_locales": "fr-CA fr en",
            "max_age": 60,
            "acr_values": "urn:example:2fa",
            "ext-one": "1",
            "company": "Example & Co",
        },
        "schema": {"migration": 0, "semantic": "MAJOR_0_MINOR_0_PATCH_1"},
    }


# -- what arrives at the tenant --------------------------------------------------------


@pytest.mark.requirement("response_type", "client_id", "response_mode", "V1-1")
def test_empty_body(host: Host, browser: Browser) -> None:
    """An empty body is a login button: everything comes from the flow and from the settings."""
    response = browser.code()
    assert "Set-Cookie" in response.headers
    sent = parameters(response)
    flow = host.flow_of(browser, sent["state"]).value
    assert sent == {
        "response_type": "code",
        "client_id": "local-client",
        "redirect_uri": "http://localhost/pkce/response/code",
        "scope": "openid profile email offline_access",
        "state": flow.state,
        "nonce": flow.nonce,
        "code_challenge": flow.code_challenge,
        "code_challenge_method": "S256",
        "response_mode": "form_post",
    }


@pytest.mark.requirement("A0-9")
def test_only_the_browser_goes_to_the_tenant(host: Host, browser: Browser) -> None:
    """Nothing of ours asks the authorization endpoint, or shows a page of the tenant's."""
    browser.code()
    browser.submit("/pkce/code")
    asked = {(request.method, request.path) for request in host.tenant.requests}
    assert asked == {("GET", "/.well-known/openid-configuration")}


@pytest.mark.requirement(
    "response_mode", "audience", "organization", "invitation", "screen_hint", "AZ-2"
)
def test_full_body(wide: Host) -> None:
    """Every parameter of ``SeededPKCE`` and ``ADDITIONAL_PARAMETERS`` arrives at the tenant."""
    browser = wide.browser()
    challenge = browser.challenge()
    seed = full_seed(challenge)
    sent = parameters(browser.code(**seed))
    extra = {name: str(value) for name, value in seed.pop("ADDITIONAL_PARAMETERS").items()}
    scope = " ".join(seed.pop("scope"))
    for name in ("domain", "schema"):
        del seed[name]
    assert sent == {**seed, **extra, "scope": scope}


def test_newest_unsent_flow(host: Host, browser: Browser) -> None:
    """Without a state it is the session's newest flow that was not sent yet."""
    older, newer = browser.challenge()["state"], browser.challenge()["state"]
    assert parameters(browser.code())["state"] == newer
    assert parameters(browser.code())["state"] == older
    assert parameters(browser.code())["state"] not in {older, newer}


@pytest.mark.requirement("resource", "dpop_jkt", "request", "IN-1", "N06g", "N07b", "WC-6")
@pytest.mark.parametrize(
    "absent",
    [
        {"prompt": "UNKNOWN", "response_mode": "UNKNOWN", "screen_hint": "UNKNOWN"},
        {"response_type": "UNKNOWN", "code_challenge_method": "UNKNOWN"},
        {"state": "", "nonce": "", "domain": "", "audience": "", "organization": ""},
        {"redirect_uri": "", "client_id": "", "code_challenge": "", "invitation": ""},
        {"scope": []},
        {"scope": [""]},
        {"scope": ["UNKNOWN"]},
        {"scope": ""},
        {"ADDITIONAL_PARAMETERS": {}},
        {"ADDITIONAL_PARAMETERS": {"access_type": "UNKNOWN", "display": "UNKNOWN"}},
        {"ADDITIONAL_PARAMETERS": {"connection": "", "login_hint": None}},
        {"state": None, "nonce": None, "scope": None, "schema": None, "prompt": None},
        {"a_member": "that the API does not know", "request_uri": "https://attacker.example"},
        {"request": "e.y.J", "resource": "https://attacker.example", "dpop_jkt": "x"},
        {"correlation_id": "x", "session_transfer_token": "x", "authorization_details": "[]"},
    ],
)
def test_absent(absent: dict[str, Any], host: Host, browser: Browser) -> None:
    """``UNKNOWN``, an empty string, an empty list and null mean absent; unknown members are
    ignored and never forwarded."""
    plain = parameters(browser.code())
    sent = parameters(browser.code(**absent))
    assert set(sent) == set(plain)
    same = ("scope", "response_mode", "redirect_uri", "client_id")
    assert all(sent[name] == plain[name] for name in same)


@pytest.mark.requirement("WC-1")
@pytest.mark.parametrize(
    "domain",
    [
        "tenant.example",
        "https://tenant.example",
        "https://tenant.example/",
        "https://tenant.example/authorize",
        "TENANT.example:443",
    ],
)
def test_domain(domain: str, host: Host, browser: Browser) -> None:
    """``domain`` is a host, an origin or the authorize URL of the configured tenant."""
    assert browser.code(domain=domain).status_code == 200


@pytest.mark.requirement("IN-3")
def test_scope_leaves_space_separated(host: Host, browser: Browser) -> None:
    """A scope arrives as a list, or as text, and leaves space-separated, each once."""
    assert parameters(browser.code(scope=["openid", "email", "email"]))["scope"] == "openid email"
    assert parameters(browser.code(scope="openid  profile"))["scope"] == "openid profile"


@pytest.mark.requirement("prompt")
@pytest.mark.parametrize("prompt", ["none", "login", "consent", "select_account", "login consent"])
def test_prompt(prompt: str, host: Host, browser: Browser) -> None:
    """Every prompt of OpenID Connect passes through."""
    assert parameters(browser.code(prompt=prompt))["prompt"] == prompt


@pytest.mark.requirement("ext-*")
def test_ten_extensions(host: Host, browser: Browser) -> None:
    """Ten ``ext-`` parameters pass through."""
    extra = {f"ext-{number}": str(number) for number in range(10)}
    sent = parameters(browser.code(ADDITIONAL_PARAMETERS=extra))
    assert {name: value for name, value in sent.items() if name.startswith("ext-")} == extra


@pytest.mark.requirement("ID-11", "N06i", "WC-4")
def test_own_state_and_nonce(host: Host, browser: Browser) -> None:
    """A caller's own state and nonce are honoured; the nonce is checked in the ID token."""
    sent = parameters(browser.code(state="my-state", nonce="my-nonce"))
    assert (sent["state"], sent["nonce"]) == ("my-state", "my-nonce")
    browser.arrive(host.tenant.sign_in(_url(browser, "my-state")))
    assert browser.token().status_code == 200


@pytest.mark.requirement("N06i")
def test_own_state_without_nonce(host: Host, browser: Browser) -> None:
    """The nonce is the state, as the model says, where the caller sends none."""
    sent = parameters(browser.code(state="my-state"))
    assert sent["nonce"] == "my-state"


@pytest.mark.parametrize("state", ["!", "~" * 512])
def test_any_visible_state(state: str, host: Host, browser: Browser) -> None:
    """A state is any 1 to 512 visible ASCII characters."""
    assert parameters(browser.code(state=state))["state"] == state


@pytest.mark.requirement("N06i", "WC-4")
def test_equal_states_of_two_sessions(host: Host) -> None:
    """Equal states of two sessions never meet."""
    one, other = host.browser(), host.browser()
    for caller, user in ((one, "alice"), (other, "bob")):
        caller.begin(state="the-same")
        answer = host.tenant.sign_in(_url(caller, "the-same"), user)
        assert caller.arrive(answer).status_code == 200
    for caller, user in ((other, "bob"), (one, "alice")):
        claims = caller.token().get_json()["auth0"]["user"]
        assert claims["email"] == f"{user}@example.com"


@pytest.mark.requirement("PK-10", "WC-5")
def test_own_challenge(host: Host, browser: Browser) -> None:
    """With a caller's own challenge only that caller knows the verifier: /token needs it."""
    response = browser.code(state="mine", code_challenge=CHALLENGE, code_challenge_method="S256")
    assert parameters(response)["code_challenge"] == CHALLENGE
    browser.arrive(host.tenant.sign_in(_url(browser, "mine")))
    check_problem(browser.token(), "parameter-invalid", field="$.code_verifier")
    check_problem(browser.token(code_verifier="a" * 43), "grant-unknown")
    assert host.token_requests == 0
    answer = browser.token(code_verifier=VERIFIER)
    assert answer.get_json()["token"]["code_verifier"] == VERIFIER


def _url(caller: Caller, state: str) -> str:
    return str(caller.code(state=state).get_json()["authorization_url"])


# -- what the caller is told -----------------------------------------------------------


def test_answer(host: Host, browser: Browser) -> None:
    """The answer is the seed as it was sent, the tenant, and where to send the browser."""
    response = browser.code()
    answer = response.get_json()
    sent = parameters(response)
    assert set(answer) == {"seed", "auth0", "authorization_url"}
    assert answer["auth0"] == {
        "domain": "tenant.example",
        "client": "local-client",
        "audience": "https://tenant.example/userinfo",
        "redirects": {},
        "oAuth": {},
    }
    sent["scope"] = sent["scope"].split()  # type: ignore[assignment]
    assert answer["seed"] == {**sent, "domain": "tenant.example"}


def test_seed_decodes_in_published_clients(wide: Host) -> None:
    """The seed has only values that the published models know; the URL has all of them."""
    browser = wide.browser()
    seed = browser.code(**full_seed(browser.challenge())).get_json()["seed"]
    assert seed["scope"] == ["openid", "offline_access"]
    assert seed["screen_hint"] == "signup"
    assert seed["prompt"] == "login"
    assert seed["schema"] == {"migration": 0, "semantic": "MAJOR_0_MINOR_0_PATCH_1"}
    assert seed["audience"] == API
    additional = seed["ADDITIONAL_PARAMETERS"]
    assert (additional["access_type"], additional["display"]) == ("offline", "popup")


@pytest.mark.parametrize(
    ("asked", "absent"),
    [
        ({"screen_hint": "login"}, "screen_hint"),
        ({"prompt": "consent"}, "prompt"),
        ({"prompt": "login consent"}, "prompt"),
        ({"ADDITIONAL_PARAMETERS": {"access_type": "online"}}, "ADDITIONAL_PARAMETERS"),
        ({"ADDITIONAL_PARAMETERS": {"display": "page"}}, "ADDITIONAL_PARAMETERS"),
        ({"schema": {"migration": 1}}, "schema"),
        ({"schema": {"semantic": "MAJOR_0"}}, "schema"),
        ({"schema": {}}, "schema"),
        ({}, "audience"),
    ],
)
def test_only_published_values(
    asked: dict[str, Any], absent: str, host: Host, browser: Browser
) -> None:
    """What the published enumerations do not know is left out, and so is what is incomplete."""
    response = browser.code(**asked)
    assert response.status_code == 200
    assert absent not in response.get_json()["seed"]


def test_schema_is_kept_with_the_flow(host: Host, browser: Browser) -> None:
    """A schema is echoed to the flow that sent it, also once the answer is there."""
    schema = {"migration": 3, "semantic": "MAJOR_0_MINOR_0_PATCH_1"}
    state, url = browser.begin(schema=schema)
    browser.arrive(host.tenant.sign_in(url))
    answer = browser.code(state=state).get_json()
    assert answer["seed"]["schema"] == answer["result"]["schema"] == schema


@pytest.mark.requirement("audience")
def test_configured_audience_and_redirects(make_app: MakeApp) -> None:
    """The tenant's description has the configured audience, and addresses for redirects."""
    host = make_app(
        PKCE_AUDIENCE=API,
        PKCE_AUTHENTICATED_URL="/in",
        PKCE_UNAUTHENTICATED_URL="https://o.example/",
    )
    response = host.browser().code()
    auth0 = response.get_json()["auth0"]
    assert auth0["audience"] == API
    assert auth0["redirects"] == {
        "authenticated": "http://localhost/in",
        "unauthenticated": "https://o.example/",
    }
    assert parameters(response)["audience"] == API


def test_userinfo_endpoint_means_no_audience(host: Host, browser: Browser) -> None:
    """The audience that answers tell where none is configured can be sent back."""
    sent = parameters(browser.code(audience="https://tenant.example/userinfo"))
    assert "audience" not in sent


def test_result_once_bound(host: Host, browser: Browser) -> None:
    """``result`` is there once the answer is bound, never before."""
    state, url = browser.begin()
    answer = host.tenant.sign_in(url)
    kept = browser.deliver(answer)
    assert "result" not in browser.code(state=state).get_json()
    browser.follow(kept)
    result = browser.code(state=state).get_json()["result"]
    assert result == {"code": answer.params["code"], "state": state}


# -- the same state again ---------------------------------------------------------------


def test_same_again(wide: Host) -> None:
    """The same state with the same parameters, or with fewer, starts nothing new."""
    browser = wide.browser()
    seed = full_seed(browser.challenge())
    first = browser.code(**seed)
    for again in (seed, {"state": seed["state"]}):
        assert browser.code(**again).get_json() == first.get_json()
    assert len(wide.session_of(browser).value.flows) == 1


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"redirect_uri": ELSEWHERE}, "$.redirect_uri"),
        ({"scope": ["openid"]}, "$.scope"),
        ({"nonce": "another"}, "$.nonce"),
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, "$.code_challenge"),
        ({"response_mode": "query"}, "$.response_mode"),
        ({"audience": API}, "$.audience"),
        ({"organization": "org_1"}, "$.organization"),
        ({"organization": "org_1", "invitation": "i"}, "$.organization"),
        ({"prompt": "login"}, "$.prompt"),
        ({"screen_hint": "signup"}, "$.screen_hint"),
        (
            {"ADDITIONAL_PARAMETERS": {"connection": "x"}},
            "$.ADDITIONAL_PARAMETERS.connection",
        ),
    ],
)
def test_other_parameters(changed: dict[str, Any], field: str, wide: Host) -> None:
    """The same state with other parameters is a conflict, which names the field."""
    browser = wide.browser()
    state, _ = browser.begin()
    before = wide.store.contents()
    response = browser.code(state=state, **changed)
    check_problem(response, "flow-parameters-differ", field=field)
    assert wide.store.contents() == before


# -- browsers -----------------------------------------------------------------------------


@pytest.mark.requirement("BC-14")
def test_login_button(host: Host, browser: Browser) -> None:
    """A form with a button is a login: 303 to the authorization URL, and a session."""
    response = browser.submit("/pkce/code")
    assert response.status_code == 303
    assert response.headers["Location"].startswith("https://tenant.example/authorize?")
    assert browser.has_cookie
    answer = host.tenant.sign_in(response.headers["Location"])
    assert "Signed in" in browser.arrive(answer).text


@pytest.mark.requirement("NA-1")
def test_page_of_the_tenant_is_for_browsers(host: Host, browser: Browser) -> None:
    """The page on which a person signs in is never fetched by us, nor passed on."""
    browser.code()
    assert browser.submit("/pkce/code").status_code == 303
    asked = [(each.method, each.path) for each in host.tenant.requests]
    assert asked == [("GET", "/.well-known/openid-configuration")]


def test_button_pressed_twice(host: Host, browser: Browser) -> None:
    """Pressed twice it sends two flows, either of which can be finished."""
    browser.submit("/pkce/code")
    urls = [browser.submit("/pkce/code").headers["Location"] for _ in range(2)]
    states = [dict(parse_qsl(urlsplit(url).query))["state"] for url in urls]
    assert states[0] != states[1]
    assert browser.arrive(host.tenant.sign_in(urls[0])).status_code == 200
    assert host.status_of(browser, states[0]) == "bound"
    assert host.status_of(browser, states[1]) == "sent"


def test_form_fields_are_ignored(host: Host, browser: Browser) -> None:
    """Of the form's fields only ``return_to`` is looked at."""
    fields = {"state": "chosen", "prompt": "none", "scope": "admin", "csrf_token": "x"}
    url = browser.submit("/pkce/code", fields).headers["Location"]
    sent = dict(parse_qsl(urlsplit(url).query))
    assert sent["state"] != "chosen"
    assert sent["scope"] == "openid profile email offline_access"
    assert "prompt" not in sent


def test_html_caller_with_json(host: Host, browser: Browser) -> None:
    """A page that sends JSON and prefers HTML is sent on as well."""
    headers = {"Accept": "text/html", "Sec-Fetch-Mode": "cors"}
    response = browser.send("POST", "/pkce/code", json={"prompt": "login"}, headers=headers)
    assert response.status_code == 303
    assert "prompt=login" in response.headers["Location"]


@pytest.mark.requirement("FP-6")
@pytest.mark.parametrize(
    ("accept", "is_html"),
    [
        ("text/html", True),
        ("text/html, application/json;q=0.9", True),
        ("text/html;q=0.9, */*;q=0.1", True),
        ("*/*", False),
        ("", False),
        ("text/html, application/json", False),
        ("application/json, text/html", False),
        ("text/*", False),
        ("application/json", False),
    ],
)
def test_who_gets_html(accept: str, is_html: bool, host: Host, browser: Browser) -> None:
    """Only who ranks HTML strictly above JSON gets it: not ``*/*``, not a tie."""
    response = browser.send("POST", "/pkce/code", headers={"Accept": accept})
    assert (response.status_code == 303) is is_html


def test_return_to(make_app: MakeApp) -> None:
    """With delivery ``session`` the browser ends where the form said."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    url = browser.submit("/pkce/code", {"return_to": "/account?tab=1"}).headers["Location"]
    response = browser.arrive(host.tenant.sign_in(url))
    assert (response.status_code, response.headers["Location"]) == (303, "/account?tab=1")


@pytest.mark.requirement("N07c", "T11")
def test_return_to_is_no_parameter(host: Host, browser: Browser) -> None:
    """What stands in ``return_to`` is not taken for parameters of the authorization URL."""
    fields = {"return_to": "/x?audience=evil&scope=admin"}
    url = browser.submit("/pkce/code", fields).headers["Location"]
    sent = dict(parse_qsl(urlsplit(url).query))
    assert "audience" not in sent
    assert "admin" not in sent["scope"]


# -- delivery session -------------------------------------------------------------------


@pytest.mark.requirement("ID-11", "N06i", "T34")
def test_delivery_session(make_app: MakeApp) -> None:
    """With delivery ``session`` the answer has neither seed nor result, and a nonce of its own
    goes to the tenant."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    browser = host.browser()
    response = browser.code()
    assert set(response.get_json()) == {"auth0", "authorization_url"}
    sent = parameters(response)
    assert sent["nonce"] != sent["state"]


@pytest.mark.requirement("N06i", "WC-4")
@pytest.mark.parametrize(
    ("secret", "field"),
    [
        ({"code_challenge": CHALLENGE, "code_challenge_method": "S256"}, "$.code_challenge"),
        ({"nonce": "mine"}, "$.nonce"),
        ({"state": "mine"}, "$.state"),
    ],
)
def test_delivery_session_refuses_secrets(
    secret: dict[str, str], field: str, make_app: MakeApp
) -> None:
    """A caller's own challenge, nonce or state is refused: the server has its own."""
    host = make_app(PKCE_TOKEN_DELIVERY="session")
    check_problem(host.browser().code(**secret), "delivery-refused", field=field)
    assert host.store.contents() == {}


@pytest.mark.requirement("BC-20", "N52", "N54", "T2")
def test_program_without_cookies(host: Host) -> None:
    """Without cookies and local session a flow can be started, and not gone on with; the hint
    names the setting."""
    program: Program = host.program()
    state = program.challenge()["state"]
    members = check_problem(program.code(state=state), "cookie-missing")
    assert "PKCE_LOCAL_SESSION" in members["hint"]
