"""Whatever the document of the routes allows, and much that it does not: no answer is a fault of
ours, and each is one that the document tells of."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    ignored_auth,
    negative_data_rejection,
    positive_data_acceptance,
)

from flask_pkce.settings.loading import read_settings
from flask_pkce.settings.values import TokenDelivery
from flask_pkce.web.openapi.document import build_document
from tests.conftest import MakeApp
from tests.web.host import Browser, Caller, Host

#: More is accepted than the document tells: what clients leave out they may send as an empty text
#: or list; and much that has the right form is refused for what it says.
NOT_CLAIMED: list[CheckFunction] = [negative_data_rejection, positive_data_acceptance]

MALFORMED = {"body-malformed", "parameter-invalid"}
#: What is wrong with several members together no schema tells.
NOT_TOLD = (
    "$: ",
    "$.ADDITIONAL_PARAMETERS: ",
    "$.invitation: needs",
    "$.prompt: ",
    "code: must be given",
)


def _routes() -> list[tuple[str, str, str]]:
    """Every operation of the documents, with the delivery that has it."""
    config = {"PKCE_DOMAIN": "tenant.example", "PKCE_CLIENT_ID": "client"}
    routes = []
    for delivery in TokenDelivery:
        settings = read_settings({**config, "PKCE_TOKEN_DELIVERY": delivery.value})
        paths = build_document(settings, address="", cookie_name="")["paths"]
        routes += [(delivery.value, name, path) for path, item in paths.items() for name in item]
    return routes


def _known(host: Host, caller: Caller, *, is_bound: bool) -> dict[str, str]:
    """Put a sign-in under way: values that mean something, by the members that carry them."""
    answer = host.tenant.sign_in(caller.code().get_json()["authorization_url"]).params
    kept = host.browser().deliver(answer)
    if is_bound:
        browser = caller if isinstance(caller, Browser) else host.browser()
        browser.follow(kept)
    return {
        **answer,
        "ticket": kept.headers["Location"].partition("ticket=")[2],
        "client_id": host.tenant.client.client_id,
        "redirect_uri": host.callback_url,
        "domain": host.tenant.issuer,
        "return_to": "/account",
    }


def _bring(case: Case[Any], known: Mapping[str, str], data: st.DataObject) -> None:
    """Put some of these values into a request, besides its own or alone."""
    carrier = case.body if isinstance(case.body, dict) else case.query
    if data.draw(st.booleans(), label="alone"):
        carrier.clear()
    names = data.draw(st.sets(st.sampled_from(sorted(known))), label="names")
    carrier.update({name: known[name] for name in names})


def _is_malformed(response: Response) -> bool:
    """Whether an answer says that the request has another form than schemas tell."""
    if response.headers.get("content-type") != ["application/problem+json"]:
        return False
    problem = response.json()
    code = problem["type"].rpartition("#")[2]
    return code in MALFORMED and not problem["detail"].startswith(NOT_TOLD)


#: What a browser, a program, a proxy or somebody else's page might say of itself.
HEADERS: st.SearchStrategy[dict[str, str]] = st.just({}) | st.fixed_dictionaries(
    {},
    optional={
        "Accept": st.sampled_from(["application/json", "text/html", "*/*", "image/png"]),
        "Sec-Fetch-Site": st.sampled_from(["same-origin", "none", "cross-site"]),
        "Sec-Fetch-Mode": st.sampled_from(["navigate", "cors"]),
        "Sec-Fetch-Dest": st.sampled_from(["document", "iframe"]),
        "Origin": st.sampled_from(["http://localhost", "null", "https://evil.example"]),
        "Sec-Purpose": st.just("prefetch"),
        "Cookie": st.sampled_from(["pkce-80=", "pkce-80=forged", "pkce-80=a; pkce-80=b"]),
    },
)


@pytest.mark.parametrize(("delivery", "method", "path"), _routes())
def test_answers(delivery: str, method: str, path: str, make_app: MakeApp) -> None:
    """Status, type, headers and body of every answer are told in the document, and nothing that
    it allows is called malformed."""
    cookies, local = (
        make_app(
            PKCE_OPENAPI=True,
            PKCE_TOKEN_DELIVERY=delivery,
            PKCE_LOCAL_SESSION=is_local,
            PKCE_SCOPE="openid profile email offline_access",
        )
        for is_local in (False, True)
    )
    schema = schemathesis.openapi.from_wsgi(
        "/pkce/openapi.json", cookies.app, config=SchemathesisConfig()
    )
    operation = schema[path][method]
    has_input = bool(operation.body or operation.query)
    cases = operation.as_strategy()
    if has_input:
        cases |= operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

    @given(cases, HEADERS, st.booleans(), st.data())
    def search(
        case: Case[Any], headers: Mapping[str, str], is_local: bool, data: st.DataObject
    ) -> None:
        caller: Caller = local.program() if is_local else cookies.browser()
        # All callers of the local session are one.
        assert caller.clear().status_code == 204
        assert case.meta is not None
        excluded = NOT_CLAIMED
        is_allowed = case.meta.generation.mode.is_positive
        if data.draw(st.booleans(), label="a sign-in is under way"):
            known = _known(caller.host, caller, is_bound=data.draw(st.booleans(), label="bound"))
            # The caller's own cookie in place of one that is made up, and must be refused.
            case.cookies.clear()
            excluded = [*NOT_CLAIMED, ignored_auth]
            if has_input:
                _bring(case, known, data)
                is_allowed = False
        # Schemathesis makes a client of its own where it is given none.
        client: Any = None if is_local else caller.client
        response = case.call(app=caller.host.app, session=client, headers=dict(headers))
        case.validate_response(response, excluded_checks=excluded)
        if is_allowed:
            assert not _is_malformed(response), response.json()

    search()
