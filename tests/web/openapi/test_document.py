"""``GET /pkce/openapi.json``: what it tells, and that it answers like every other route."""

from __future__ import annotations

import json
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError
from openapi_spec_validator import OpenAPIV31SpecValidator

from flask_pkce.errors import catalogue
from flask_pkce.settings.values import TokenDelivery
from flask_pkce.web.openapi.errors import FAILURES
from flask_pkce.web.views import ROUTES, optional_routes
from tests.conftest import MakeApp
from tests.web.documented import Documented
from tests.web.host import CALLBACK, Browser, Host, check_page, check_problem

PATH = "/pkce/openapi.json"
DELIVERIES = [delivery.value for delivery in TokenDelivery]


def document_of(host: Host) -> dict[str, Any]:
    """The document that a host serves."""
    response = host.program().send("GET", PATH)
    assert (response.status_code, response.content_type) == (200, "application/json")
    assert "Set-Cookie" not in response.headers
    document: dict[str, Any] = response.get_json()
    return document


@pytest.fixture(params=DELIVERIES)
def describing(request: pytest.FixtureRequest, make_app: MakeApp) -> Host:
    """A host that serves the document, with each delivery."""
    return make_app(PKCE_OPENAPI=True, PKCE_TOKEN_DELIVERY=request.param)


# -- the document --------------------------------------------------------------


def test_valid(describing: Host) -> None:
    """It is OpenAPI 3.1."""
    document = document_of(describing)
    assert document["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


def test_routes(describing: Host) -> None:
    """It has each route with each of its methods, those too that settings switch on."""
    routes = [*ROUTES, *optional_routes(describing.relying_party.settings)]
    paths = document_of(describing)["paths"]
    assert {path: set(item) for path, item in paths.items()} == {
        route.path: {method.lower() for method in route.methods} for route in routes
    }
    for item in paths.values():
        for operation in item.values():
            assert operation["summary"]
            assert "``" not in json.dumps(operation)


def test_published_operations(make_app: MakeApp) -> None:
    """Who generates a client gets the methods of the published one, and one for the query."""
    paths = document_of(make_app(PKCE_OPENAPI=True))["paths"]
    named = {
        operation["operationId"]: (method, path)
        for path, item in paths.items()
        for method, operation in item.items()
    }
    assert named == {
        "get_challenge": ("get", "/pkce/challenge"),
        "generate_code": ("post", "/pkce/code"),
        "respond_with_code": ("post", CALLBACK),
        "receive_code": ("get", CALLBACK),
        "generate_token": ("post", "/pkce/token"),
        "clear_pkce": ("post", "/pkce/clear"),
    }


def test_same_every_time(describing: Host) -> None:
    """It is the same to the byte, whoever asks and however often."""
    first = describing.program().send("GET", PATH).data
    assert describing.browser().send("GET", PATH).data == first
    assert describing.browser().open(PATH).data == first


@pytest.mark.parametrize(
    ("settings", "address", "cookie"),
    [
        ({}, "http://localhost/auth", "pkce-80"),
        ({"PKCE_PUBLIC_URL": "https://app.example/base"}, "https://app.example/base/auth",
         "__Host-pkce"),
    ],
)  # fmt: skip
def test_address(settings: dict[str, str], address: str, cookie: str, make_app: MakeApp) -> None:
    """The server is where users see us, the blueprint's prefix included; the cookie has the name
    that it has there."""
    host = make_app(PKCE_OPENAPI=True, url_prefix="/auth", **settings)
    headers = {"Host": "app.example"} if settings else {}
    response = host.app.test_client().get(f"/auth{PATH}", headers=headers)
    document = response.get_json()
    assert document["servers"] == [{"url": address}]
    assert document["components"]["securitySchemes"]["session"]["name"] == cookie


def test_port(make_app: MakeApp) -> None:
    """On loopback the port is that of the request."""
    host = make_app(PKCE_OPENAPI=True)
    document = host.app.test_client().get(PATH, base_url="http://127.0.0.1:3000").get_json()
    assert document["servers"] == [{"url": "http://127.0.0.1:3000"}]
    assert document["components"]["securitySchemes"]["session"]["name"] == "pkce-3000"


def test_cookie(make_app: MakeApp) -> None:
    """Where there must be a session the cookie must come; not to the local session."""
    token = ("paths", "/pkce/token", "post", "security")
    cases: list[tuple[bool, list[dict[str, list[str]]]]] = [
        (False, [{"session": []}]),
        (True, [{}, {"session": []}]),
    ]
    for is_local, expected in cases:
        value: Any = document_of(make_app(PKCE_OPENAPI=True, PKCE_LOCAL_SESSION=is_local))
        for name in token:
            value = value[name]
        assert value == expected


def test_secrets_stay(make_app: MakeApp) -> None:
    """With delivery ``session`` nothing is described that stays on the server."""
    document = document_of(make_app(PKCE_OPENAPI=True, PKCE_TOKEN_DELIVERY="session"))
    schemas = document["components"]["schemas"]
    members = {name for schema in schemas.values() for name in schema["properties"]}
    kept = {"challenge", "verifier", "code_verifier", "code_challenge", "nonce", "access_token"}
    assert not members & (kept | {"refresh_token", "id_token", "result", "token"})
    assert set(schemas) == {
        "Auth0", "Auth0Redirects", "Auth0User", "Claims", "EmbeddedModelSchema", "OAuthGroup",
        "PKCE", "Problem", "RespondedPKCE", "SeededPKCE", "TokenizedPKCE",
    }  # fmt: skip


def test_published_models(make_app: MakeApp) -> None:
    """The schemas have the names of the published models."""
    schemas = document_of(make_app(PKCE_OPENAPI=True))["components"]["schemas"]
    assert set(schemas) == {
        "Auth0", "Auth0Redirects", "Auth0User", "ChallengedPKCE", "EmbeddedModelSchema",
        "OAuthGroup", "OAuthToken", "PKCE", "Problem", "RespondedPKCE", "ResultedPKCE",
        "SeededPKCE", "SentSeededPKCE", "SentTokenizedPKCE", "TokenizedPKCE",
    }  # fmt: skip
    assert all(schema["title"] == name for name, schema in schemas.items())


def test_additional_parameters(make_app: MakeApp) -> None:
    """What the host adds may be sent, and what nobody named may not."""
    host = make_app(PKCE_OPENAPI=True, PKCE_ADDITIONAL_PARAMETERS="tenant_hint")
    schemas = document_of(host)["components"]["schemas"]
    validator = Draft202012Validator(schemas["SeededPKCE"]["properties"]["ADDITIONAL_PARAMETERS"])
    for sent in ({"tenant_hint": "x"}, {"max_age": "0"}, {"ext-a": "x"}):
        assert validator.is_valid(sent)
        assert host.browser().code(ADDITIONAL_PARAMETERS=sent).status_code == 200
    for sent in ({"other": "x"}, {"max_age": "-1"}, {"ext-": "x"}):
        assert not validator.is_valid(sent)
        assert host.browser().code(ADDITIONAL_PARAMETERS=sent).status_code == 400


def test_every_error_is_told_somewhere(make_app: MakeApp) -> None:
    """The catalogue is what routes answer with, less bases and those of start-up and views."""
    told = set()
    for delivery in DELIVERIES:
        document = document_of(
            make_app(PKCE_OPENAPI=True, PKCE_TOKEN_DELIVERY=delivery, PKCE_BACKCHANNEL_LOGOUT=True)
        )
        for item in document["paths"].values():
            for operation in item.values():
                for response in operation["responses"].values():
                    problem = response.get("content", {}).get("application/problem+json", {})
                    types = problem.get("schema", {}).get("properties", {}).get("type", {})
                    told |= {each.rpartition("#")[2] for each in types.get("enum", ())}
    of_views = {"access-token-missing", "authentication-too-weak"}
    bases = {"error", "request-malformed"}
    assert {cls.code for cls in catalogue()} - told == {"configuration", *bases, *of_views}
    assert {cls.code for cls in FAILURES} <= told


def test_an_answer_that_is_not_told(host: Host) -> None:
    """The check of every answer in these tests can fail."""
    browser = host.browser()
    response = browser.send("GET", "/pkce/challenge")
    wrong: dict[str, Any] = {"challenge": {"state": "without the rest"}}
    for change in ({"status": "418 I'm a teapot"}, {"mimetype": "text/plain"}):
        options: dict[str, Any] = {"mimetype": response.mimetype, **change}
        changed = host.app.response_class(response.data, **options)
        with pytest.raises(AssertionError):
            Documented(host).check(_answered(changed, response))
    changed = host.app.response_class(json.dumps(wrong), mimetype="application/json")
    with pytest.raises(ValidationError):
        Documented(host).check(_answered(changed, response))


def _answered(changed: Any, response: Any) -> Any:
    changed.request = response.request
    return changed


# -- the route -----------------------------------------------------------------


def test_off_by_default(host: Host) -> None:
    """Without the setting the path is the host's."""
    response = host.app.test_client().get(PATH)
    assert (response.status_code, response.mimetype) == (404, "text/html")


def test_methods(make_app: MakeApp) -> None:
    """It answers another method with 405, and OPTIONS with nothing."""
    host = make_app(PKCE_OPENAPI=True)
    for method in ("HEAD", "POST", "DELETE"):
        response = host.browser().send(method, PATH)
        assert (response.status_code, response.headers["Allow"]) == (405, "GET")
    assert host.browser().send("OPTIONS", PATH).status_code == 204


def test_guard(make_app: MakeApp) -> None:
    """It is refused to other sites, to prefetches, under another host, and as an image."""
    browser = make_app(PKCE_OPENAPI=True).browser()
    check_problem(
        browser.send("GET", PATH, headers={"Sec-Fetch-Site": "cross-site"}), "origin-refused"
    )
    check_page(browser.open(PATH, headers={"Sec-Purpose": "prefetch"}), "prefetch-refused")
    check_problem(browser.send("GET", PATH, base_url="http://evil.example"), "host-unknown")
    check_problem(browser.send("GET", PATH, headers={"Accept": "image/png"}), "not-acceptable")


def test_page_that_is_not_acceptable(host: Host, browser: Browser) -> None:
    """Whoever navigates gets a page, whatever it accepts; the document tells that."""
    response = browser.open("/pkce/challenge", headers={"Accept": "image/png"})
    check_page(response, "not-acceptable")
    Documented(host).check(response)


def test_changes_nothing(make_app: MakeApp) -> None:
    """No session begins, no cookie is set, and the tenant is not asked."""
    host = make_app(PKCE_OPENAPI=True)
    browser = host.browser()
    browser.send("GET", PATH)
    assert host.store.contents() == {}
    assert host.tenant.requests == ()
    assert not browser.has_cookie
