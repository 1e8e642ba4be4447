"""Authorization request and authorization response."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from flask_pkce.errors import (
    AccessDenied,
    AccountSelectionRequired,
    ConsentRequired,
    FlowError,
    InteractionRequired,
    IssuerMismatch,
    LoginRequired,
    MFARequired,
    ParameterInvalid,
    TenantRefused,
)
from flask_pkce.protocol.authorization import (
    AuthorizationRequest,
    AuthorizationResponse,
    CallbackParameters,
    build_authorization_url,
    check_issuer,
    parse_callback,
    refusal,
    validate_answer,
    validate_changed_request,
)
from tests.support import CALLBACK, CHALLENGE, CLIENT_ID, ISSUER, VSCHAR, make_tenant

REQUEST = AuthorizationRequest(
    client_id=CLIENT_ID,
    redirect_uri=CALLBACK,
    scope=("openid", "email"),
    state="the-state",
    nonce="the-nonce",
    code_challenge=CHALLENGE,
)

#: What is sent when nothing else was asked for.
PARAMETERS = {
    "response_type": "code",
    "client_id": CLIENT_ID,
    "redirect_uri": CALLBACK,
    "scope": "openid email",
    "state": "the-state",
    "nonce": "the-nonce",
    "code_challenge": CHALLENGE,
    "code_challenge_method": "S256",
    "response_mode": "form_post",
}


# -- the request -----------------------------------------------------------------


@pytest.mark.requirement("BC-8", "ID-11", "AZ-2", "T6")
def test_parameters() -> None:
    """A request is sent with these parameters, and none that is empty."""
    assert REQUEST.parameters() == PARAMETERS


@pytest.mark.requirement("AZ-2")
def test_further_parameters() -> None:
    """Whatever else was asked for is sent too."""
    more = {
        "audience": "https://api.example/",
        "organization": "org_1",
        "invitation": "ticket",
        "prompt": "login",
        "screen_hint": "signup",
    }
    request = REQUEST.replace(
        **more, acr_values=("a", "b"), additional={"login_hint": "alice", "empty": ""}
    )
    told = {**PARAMETERS, **more, "acr_values": "a b", "login_hint": "alice"}
    assert request.parameters() == told


@pytest.mark.requirement("client_id", "N07", "AZ-2", "PK-4")
def test_additional_parameters_override_nothing() -> None:
    """A parameter of the protocol wins over an additional one of its name (N07)."""
    request = REQUEST.replace(additional={"state": "evil", "code_challenge_method": "plain"})
    assert request.parameters() == PARAMETERS


@pytest.mark.requirement("PK-4", "PK-8")
@pytest.mark.parametrize("announced", [None, [], ["plain"], ["S256", "plain"]])
def test_challenge_whatever_is_announced(announced: list[str] | None) -> None:
    """Challenge, state and nonce are sent by ``S256`` alone, whatever the metadata say of PKCE:
    it is not made weaker, and nothing that it protects hangs by it alone (RFC 9700 2.1.1)."""
    tenant = make_tenant(code_challenge_methods_supported=announced)
    sent = dict(parse_qsl(urlsplit(build_authorization_url(tenant, REQUEST)).query))
    assert (sent["code_challenge"], sent["code_challenge_method"]) == (CHALLENGE, "S256")
    assert (sent["state"], sent["nonce"]) == ("the-state", "the-nonce")


@pytest.mark.requirement("correlation_id")
def test_request_hides_its_secrets() -> None:
    """A request in a log tells neither state, nonce nor challenge, nor what a host lets through:
    Auth0's ``session_transfer_token`` signs a user in."""
    additional = {"session_transfer_token": "the-transfer", "login_hint": "alice"}
    shown = repr(REQUEST.replace(invitation="the-invitation", additional=additional))
    assert not any(secret in shown for secret in ("the-state", "the-nonce", CHALLENGE))
    assert not any(secret in shown for secret in ("the-invitation", "the-transfer", "alice"))


@pytest.mark.requirement("AZ-1")
def test_authorization_url() -> None:
    """The address is the endpoint with each parameter once, encoded."""
    url = build_authorization_url(make_tenant(), REQUEST)
    parts = urlsplit(url)
    assert f"{parts.scheme}://{parts.netloc}{parts.path}" == f"{ISSUER}authorize"
    assert parse_qsl(parts.query, strict_parsing=True) == list(PARAMETERS.items())


@pytest.mark.requirement("AZ-1")
def test_endpoint_with_a_query() -> None:
    """A query that the endpoint has already stays, and comes first (RFC 6749 3.1)."""
    tenant = make_tenant(authorization_endpoint=f"{ISSUER}authorize?p=b2c_1")
    url = build_authorization_url(tenant, REQUEST)
    assert url.startswith(f"{ISSUER}authorize?p=b2c_1&response_type=code&")
    assert parse_qsl(urlsplit(url).query) == [("p", "b2c_1"), *PARAMETERS.items()]


@pytest.mark.requirement("limits")
def test_authorization_url_of_4000_characters() -> None:
    """An address may have 4000 characters, and not one more."""
    empty = build_authorization_url(make_tenant(), REQUEST.replace(additional={"ext-a": "x"}))
    room = 4000 - len(empty) + 1
    url = build_authorization_url(make_tenant(), REQUEST.replace(additional={"ext-a": "x" * room}))
    assert len(url) == 4000
    with pytest.raises(ParameterInvalid, match="over 4000 characters"):
        build_authorization_url(
            make_tenant(), REQUEST.replace(additional={"ext-a": "x" * (room + 1)})
        )


# -- what a hook makes of it -----------------------------------------------------


def test_change_by_a_hook() -> None:
    """A hook may change what does not tie the request to its flow."""
    changed = REQUEST.replace(
        screen_hint="signup",
        response_mode="query",
        scope=("openid", "x"),
        additional={"login_hint": "alice"},
    )
    assert validate_changed_request(changed, REQUEST) is changed


def test_hook_that_leaves_additional_parameters() -> None:
    """A hook may add to the additional parameters that were asked for, or change them."""
    original = REQUEST.replace(additional={"login_hint": "alice", "ui_locales": "de"})
    changed = REQUEST.replace(additional={"login_hint": "bob", "ui_locales": "de", "x": "1"})
    assert validate_changed_request(changed, original) is changed


@pytest.mark.requirement("client_id", "T6")
@pytest.mark.parametrize("name", ["client_id", "redirect_uri", "state", "nonce", "code_challenge"])
def test_tie_that_a_hook_must_leave(name: str) -> None:
    """A hook must not cut the ties between request and flow."""
    with pytest.raises(ValueError, match=f"must not change {name}"):
        validate_changed_request(REQUEST.replace(**{name: "other"}), REQUEST)


@pytest.mark.requirement("response_mode", "N08")
@pytest.mark.parametrize("mode", ["fragment", "web_message", ""])
def test_response_mode_without_a_callback(mode: str) -> None:
    """A hook must not choose a mode whose answer never reaches the server (N08)."""
    with pytest.raises(ValueError, match="response_mode"):
        validate_changed_request(REQUEST.replace(response_mode=mode), REQUEST)


@pytest.mark.requirement("ID-1")
def test_scope_without_openid() -> None:
    """A hook must not take out what makes it a sign-in."""
    with pytest.raises(ValueError, match="openid"):
        validate_changed_request(REQUEST.replace(scope=("email",)), REQUEST)


@pytest.mark.requirement("client_id", "request", "N07", "N07b", "AZ-2")
@pytest.mark.parametrize(
    "name",
    [
        *("state", "redirect_uri", "response_type", "scope", "request", "request_uri"),
        # Those whose fields have no value, too: nothing would be checked on return.
        *("organization", "invitation", "prompt", "audience", "screen_hint"),
    ],
)
def test_additional_parameter_that_a_hook_must_not_add(name: str) -> None:
    """A hook must not override the protocol by an additional parameter (N07, N07b)."""
    changed = REQUEST.replace(additional={name: "x"})
    with pytest.raises(ValueError, match=f"must not add {name}"):
        validate_changed_request(changed, REQUEST)


@pytest.mark.requirement("ID-12")
def test_contexts_of_a_hook() -> None:
    """A hook demands contexts or wishes for some, and not both."""
    wished = REQUEST.replace(additional={"acr_values": "x"})
    assert validate_changed_request(wished, REQUEST) == wished
    demanded = REQUEST.replace(acr_values=("x",))
    assert validate_changed_request(demanded, REQUEST) == demanded
    with pytest.raises(ValueError, match="must not add acr_values"):
        validate_changed_request(wished.replace(acr_values=("y",)), REQUEST)


@pytest.mark.requirement("invitation")
def test_invitation_of_a_hook() -> None:
    """An invitation goes with its organization, or not at all."""
    changed = REQUEST.replace(invitation="ticket")
    with pytest.raises(ValueError, match="without its organization"):
        validate_changed_request(changed, REQUEST)
    whole = changed.replace(organization="org_1")
    assert validate_changed_request(whole, REQUEST) == whole


@pytest.mark.parametrize("max_age", ["", "-1", "1.5", "five", "²", "9" * 10])
def test_max_age_of_a_hook(max_age: str) -> None:
    """A hook's ``max_age`` is a number of seconds, for it is checked on return."""
    changed = REQUEST.replace(additional={"max_age": max_age})
    with pytest.raises(ValueError, match="max_age"):
        validate_changed_request(changed, REQUEST)
    good = REQUEST.replace(additional={"max_age": "300"})
    assert validate_changed_request(good, REQUEST) == good


@pytest.mark.parametrize("result", ["https://evil.example/", {}, AuthorizationRequest])
def test_hook_that_returns_something_else(result: Any) -> None:
    """Anything but an authorization request is a mistake of the hook, and told."""
    with pytest.raises(TypeError, match="returns an AuthorizationRequest or None"):
        validate_changed_request(result, REQUEST)


# -- the answer ------------------------------------------------------------------


@pytest.mark.requirement("AZ-5")
def test_answer_with_a_code() -> None:
    """A code and a state are an answer; what is not known is ignored."""
    answer = parse_callback({"code": "c", "state": "s", "session_state": "x"})
    assert answer == CallbackParameters(state="s", code="c")
    assert parse_callback({"code": "c", "state": "s", "iss": ISSUER}).iss == ISSUER
    assert parse_callback({"code": "c", "state": "s", "iss": "", "error": ""}) == answer


@pytest.mark.requirement("N31", "AZ-6")
def test_answer_with_an_error() -> None:
    """An error is an answer too; its description becomes one line (N31)."""
    answer = parse_callback(
        {"error": "access_denied", "error_description": "a\r\nb" + "x" * 500, "state": "s"}
    )
    assert answer.error == "access_denied"
    assert answer.error_description == "a b" + "x" * 253
    assert parse_callback({"error": "access_denied", "state": "s"}).error_description is None
    assert parse_callback({"error": "access_denied", "state": "s", "iss": ISSUER}).iss == ISSUER
    address = {"error": "access_denied", "error_uri": "https://evil.example/", "state": "s"}
    assert parse_callback(address) == CallbackParameters(state="s", error="access_denied")


@pytest.mark.requirement("AZ-8")
def test_answer_with_tokens() -> None:
    """Tokens that nobody asked for in an answer are not read (RFC 9700 2.1.2)."""
    tokens = {"access_token": "a", "id_token": "e.y.J", "token_type": "Bearer", "expires_in": "9"}
    assert parse_callback({"code": "c", "state": "s", **tokens}) == CallbackParameters(
        state="s", code="c"
    )
    with pytest.raises(ParameterInvalid) as caught:
        parse_callback({"state": "s", **tokens})
    assert caught.value.field == "code"


@pytest.mark.requirement("N30", "AZ-7")
def test_answer_with_both() -> None:
    """An answer with a code and an error is an error (N30)."""
    answer = parse_callback({"error": "access_denied", "code": "c", "state": "s"})
    assert answer == CallbackParameters(state="s", error="access_denied")


def test_answer_hides_its_secrets() -> None:
    """Neither code nor state is shown."""
    answer = CallbackParameters(state="the-state", code="the-code")
    response = AuthorizationResponse(state="the-state", code="the-code", issuer=ISSUER)
    for shown in (repr(answer), repr(response)):
        assert "the-state" not in shown
        assert "the-code" not in shown


@pytest.mark.requirement("N20", "AZ-4")
@pytest.mark.parametrize("parameters", [{"code": "c"}, {"code": "c", "state": ""}])
def test_answer_without_a_state(parameters: dict[str, str]) -> None:
    """Without a state it is nobody's answer (N20)."""
    with pytest.raises(FlowError, match="no state") as caught:
        parse_callback(parameters)
    assert (caught.value.error, caught.value.field) == ("invalid_state", "state")


@pytest.mark.requirement("N21", "N22", "N23", "AZ-4", "AZ-6", "AZ-10")
@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        pytest.param({"state": "s"}, "code", id="N21 nothing"),
        pytest.param({"state": "s", "code": ""}, "code", id="N21 empty code"),
        pytest.param({"state": "s", "code": "c" * 4097}, "code", id="N22 code too long"),
        pytest.param({"state": "s", "code": "a\x7f"}, "code", id="N23 delete"),
        pytest.param({"state": "s", "code": "é"}, "code", id="N23 beyond ASCII"),
        pytest.param({"state": "s", "code": "a\x00"}, "code", id="N23 control"),
        pytest.param({"state": "a b", "code": "c"}, "state", id="space in the state"),
        pytest.param({"state": "s" * 513, "code": "c"}, "state", id="state too long"),
        pytest.param({"state": "s", "code": "c", "iss": "a b"}, "iss", id="odd issuer"),
        pytest.param({"state": "s", "code": "c", "iss": "x" * 2049}, "iss", id="long issuer"),
        pytest.param({"state": "s", "error": '"><script>'}, "error", id="N28 odd error"),
        pytest.param({"state": "s", "error": "e" * 65}, "error", id="long error"),
        pytest.param({"response": "eyJ"}, "response", id="JARM"),
    ],
)
def test_malformed_answer(parameters: dict[str, str], field: str) -> None:
    """A malformed parameter is named, with its fault, and its value never told."""
    with pytest.raises(ParameterInvalid) as caught:
        parse_callback(parameters)
    assert caught.value.field == field
    assert caught.value.detail != ParameterInvalid.title


@pytest.mark.requirement("AZ-10", "N23")
@pytest.mark.parametrize("code", [VSCHAR, " "], ids=["all", "a blank alone"])
def test_every_character_of_a_code(code: str) -> None:
    """A code may have every VSCHAR, blanks too (RFC 6749 appendix A)."""
    assert parse_callback({"state": "s", "code": code}).code == code


@pytest.mark.requirement("AZ-10")
def test_longest_values() -> None:
    """A code of 4096 characters, a state of 512 and an issuer of 2048 are taken."""
    answer = parse_callback({"state": "s" * 512, "code": "c" * 4096, "iss": "i" * 2048})
    assert (len(answer.state), len(answer.code or "")) == (512, 4096)
    assert answer.iss == "i" * 2048


# -- whose answer it is ----------------------------------------------------------


@pytest.mark.requirement("IS-1", "N48")
@pytest.mark.parametrize(
    "iss",
    [
        pytest.param("https://evil.example/", id="N48 another"),
        pytest.param("https://tenant.example", id="N48 without its slash"),
        pytest.param("https://TENANT.example/", id="other case"),
    ],
)
@pytest.mark.parametrize("announced", [True, False])
def test_answer_of_another_issuer(iss: str, announced: bool) -> None:
    """An ``iss`` is compared to the byte, announced or not (RFC 9207 2.4)."""
    answer = CallbackParameters(state="s", code="c", iss=iss)
    with pytest.raises(IssuerMismatch):
        check_issuer(answer, issuer=ISSUER, owes_iss=announced)


@pytest.mark.requirement("IS-2", "N49")
def test_issuer_that_was_announced() -> None:
    """Where the tenant announces ``iss``, an answer without it is refused (N49)."""
    with pytest.raises(IssuerMismatch, match="does not say"):
        check_issuer(CallbackParameters(state="s", code="c"), issuer=ISSUER, owes_iss=True)
    check_issuer(CallbackParameters(state="s", code="c", iss=ISSUER), issuer=ISSUER, owes_iss=True)


@pytest.mark.requirement("IS-3")
def test_issuer_that_was_not_announced() -> None:
    """Auth0 sends no ``iss``, and need not."""
    check_issuer(CallbackParameters(state="s", code="c"), issuer=ISSUER, owes_iss=False)
    check_issuer(
        CallbackParameters(state="s", code="c", iss=ISSUER), issuer=ISSUER, owes_iss=False
    )


def test_valid_answer() -> None:
    """Validation makes an authorization response, with the issuer that was asked."""
    response = validate_answer(
        CallbackParameters(state="s", code="c"), state="s", issuer=ISSUER, owes_iss=False
    )
    assert response == AuthorizationResponse(code="c", state="s", issuer=ISSUER)


@pytest.mark.requirement("AZ-6")
def test_answer_to_another_request() -> None:
    """The state of another request is refused, before anything else is read."""
    answer = CallbackParameters(state="other", error="access_denied", iss="https://evil.example/")
    with pytest.raises(FlowError) as caught:
        validate_answer(answer, state="s", issuer=ISSUER, owes_iss=False)
    assert type(caught.value) is FlowError


@pytest.mark.requirement("IS-4", "N51")
def test_error_of_another_issuer() -> None:
    """The error of another issuer is not interpreted (N51)."""
    answer = CallbackParameters(state="s", error="access_denied", iss="https://evil.example/")
    with pytest.raises(IssuerMismatch):
        validate_answer(answer, state="s", issuer=ISSUER, owes_iss=False)


def test_answer_with_neither_code_nor_error() -> None:
    """What has neither is an error of the tenant's server."""
    with pytest.raises(TenantRefused) as caught:
        validate_answer(CallbackParameters(state="s"), state="s", issuer=ISSUER, owes_iss=False)
    assert caught.value.error == "server_error"


@pytest.mark.requirement(
    "login_required", "account_selection_required", "mfa_required", "A0-27", "NA-7", "N33", "AZ-6"
)
@pytest.mark.parametrize(
    ("error", "cls"),
    [
        ("access_denied", AccessDenied),
        ("login_required", LoginRequired),
        ("consent_required", ConsentRequired),
        ("interaction_required", InteractionRequired),
        ("account_selection_required", AccountSelectionRequired),
        ("mfa_required", MFARequired),
        ("weird_vendor_code", TenantRefused),
    ],
)
def test_error_of_the_tenant(error: str, cls: type[TenantRefused]) -> None:
    """An error has its class where there is one, and keeps its code where not (N29, N33)."""
    with pytest.raises(TenantRefused) as caught:
        validate_answer(
            CallbackParameters(state="s", error=error, error_description="because"),
            state="s",
            issuer=ISSUER,
            owes_iss=False,
        )
    assert type(caught.value) is cls
    assert (caught.value.error, caught.value.status) == (error, 400)
    assert caught.value.detail == f"{cls.title} (The tenant says: because)"


def test_refusal_without_a_description() -> None:
    """Where the tenant says nothing, nothing is made up."""
    assert refusal("access_denied").detail == AccessDenied.title
    assert refusal("access_denied", "").detail == AccessDenied.title
