"""Token request, token response and revocation."""

from __future__ import annotations

import math
from typing import Any

import pytest

from flask_pkce.errors import (
    AccessDenied,
    ClientRefused,
    GrantRefused,
    InteractionRequired,
    MFARequired,
    PKCEError,
    ScopeInvalid,
    TenantError,
    TenantLimit,
    TenantRefused,
)
from flask_pkce.protocol.authorization import CallbackParameters, validate_answer
from flask_pkce.protocol.client_auth import Credentials
from flask_pkce.protocol.token import (
    TokenRequest,
    TokenResponse,
    Tokens,
    build_code_request,
    build_refresh_request,
    build_revocation_form,
    build_token_form,
    parse_token_error,
    parse_token_response,
    validate_changed_token_request,
    validate_changed_token_response,
)
from tests.support import CALLBACK, ISSUER, VERIFIER, VSCHAR

RESPONSE = validate_answer(
    CallbackParameters(state="s", code="the-code"), state="s", issuer=ISSUER, owes_iss=False
)
CODE_REQUEST = build_code_request(RESPONSE, redirect_uri=CALLBACK, code_verifier=VERIFIER)
CONFIDENTIAL = Credentials({"client_id": "local-client", "client_secret": "top-secret"})
PUBLIC = Credentials({"client_id": "local-client"})
SCOPE = ("openid", "email")


# -- the request -----------------------------------------------------------------


@pytest.mark.requirement("A0-10", "AZ-11")
def test_code_request() -> None:
    """A code goes with its redirect URI and verifier, and our credentials (RFC 6749 4.1.3)."""
    assert build_token_form(CODE_REQUEST, CONFIDENTIAL) == {
        "grant_type": "authorization_code",
        "code": "the-code",
        "redirect_uri": CALLBACK,
        "code_verifier": VERIFIER,
        "client_id": "local-client",
        "client_secret": "top-secret",
    }


@pytest.mark.requirement("AZ-18")
def test_refresh_request() -> None:
    """A refresh token goes alone, or with an audience (RFC 6749 6)."""
    assert build_token_form(build_refresh_request("the-token"), PUBLIC) == {
        "grant_type": "refresh_token",
        "refresh_token": "the-token",
        "client_id": "local-client",
    }
    request = build_refresh_request("the-token", audience="https://api.example/")
    assert request.parameters()["audience"] == "https://api.example/"


def test_additional_parameters() -> None:
    """Additional parameters override neither the protocol nor our credentials."""
    request = CODE_REQUEST.replace(
        additional={"resource": "x", "code": "evil", "client_id": "evil", "empty": ""}
    )
    form = build_token_form(request, CONFIDENTIAL)
    assert form["resource"] == "x"
    assert (form["code"], form["client_id"]) == ("the-code", "local-client")
    assert "empty" not in form


@pytest.mark.requirement("RV-1", "RV-3")
def test_revocation() -> None:
    """A revocation names the refresh token and what it is (RFC 7009 2.1)."""
    assert build_revocation_form("the-token", CONFIDENTIAL) == {
        "token": "the-token",
        "token_type_hint": "refresh_token",
        "client_id": "local-client",
        "client_secret": "top-secret",
    }


def test_requests_hide_their_secrets() -> None:
    """Neither code, verifier, refresh token nor an additional parameter is shown."""
    request = build_refresh_request("the-token").replace(additional={"assertion": "the-proof"})
    shown = repr(CODE_REQUEST) + repr(request)
    for secret in ("the-code", VERIFIER, "the-token", "the-proof"):
        assert secret not in shown


def test_change_by_a_hook() -> None:
    """A hook may change the audience and add parameters."""
    changed = CODE_REQUEST.replace(audience="https://api.example/", additional={"resource": "x"})
    assert validate_changed_token_request(changed, CODE_REQUEST) is changed


@pytest.mark.parametrize(
    "name", ["grant_type", "code", "redirect_uri", "code_verifier", "refresh_token"]
)
def test_what_a_hook_must_leave(name: str) -> None:
    """A hook must not exchange another code, or in another way."""
    with pytest.raises(ValueError, match="`audience` and `additional` only"):
        validate_changed_token_request(CODE_REQUEST.replace(**{name: "other"}), CODE_REQUEST)


@pytest.mark.requirement("AZ-12")
@pytest.mark.parametrize("name", ["code", "grant_type", "client_id", "client_assertion"])
def test_what_a_hook_must_not_add(name: str) -> None:
    """A hook must not send a second code or other credentials."""
    changed = CODE_REQUEST.replace(additional={name: "x"})
    with pytest.raises(ValueError, match=f"must not add {name}"):
        validate_changed_token_request(changed, CODE_REQUEST)


def test_hook_that_returns_something_else() -> None:
    """Anything but a token request is a mistake of the hook, and told."""
    wrong: Any = {"code": "x"}
    with pytest.raises(TypeError, match="returns a TokenRequest or None"):
        validate_changed_token_request(wrong, CODE_REQUEST)


# -- the response ----------------------------------------------------------------


def document(**changes: Any) -> dict[str, Any]:
    """A token response that is in order; ``None`` leaves a member out."""
    members = {
        "access_token": "the-access-token",
        "token_type": "Bearer",
        "expires_in": 86400,
        "scope": "openid email",
        "refresh_token": "the-refresh-token",
        "id_token": "e.y.J",
        **changes,
    }
    return {name: value for name, value in members.items() if value is not None}


def parse(**changes: Any) -> Tokens:
    """The tokens of a response with those changes."""
    return parse_token_response(document(**changes), requested_scope=SCOPE)


@pytest.mark.requirement("A0-11", "AZ-14")
def test_token_response() -> None:
    """A response is read whole; nothing of it is shown."""
    tokens = parse(mfa_token="ignored")
    assert tokens == Tokens(
        access_token="the-access-token",
        expires_in=86400,
        scope=SCOPE,
        refresh_token="the-refresh-token",
        id_token="e.y.J",
    )
    assert "token'" not in repr(tokens)
    assert "e.y.J" not in repr(tokens)


@pytest.mark.requirement("AZ-15")
@pytest.mark.parametrize("token_type", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_case_of_the_token_type(token_type: str) -> None:
    """``token_type`` is compared without case (RFC 6749 5.1)."""
    assert parse(token_type=token_type).access_token == "the-access-token"


@pytest.mark.requirement("A0-11", "N66", "N66b", "AZ-15")
@pytest.mark.parametrize("token_type", [None, "mac", "DPoP", "Bearer ", "", 5, ["Bearer"]])
def test_other_token_type(token_type: Any) -> None:
    """A token of a type that we do not understand is not used (N66, N66b)."""
    with pytest.raises(TenantError, match="token_type"):
        parse(token_type=token_type)


@pytest.mark.requirement("UP-11", "N66c", "AZ-14")
@pytest.mark.parametrize(
    ("expires_in", "seconds"),
    [
        (None, None),
        (0, 0),
        (3600, 3600),
        (3600.0, 3600),
        ("3600", 3600),
        (315360000, 315360000),
    ],
)
def test_expires_in(expires_in: Any, seconds: int | None) -> None:
    """Whole seconds up to ten years, as a number of either kind or in digits; or nothing."""
    assert parse(expires_in=expires_in).expires_in == seconds


@pytest.mark.requirement("UP-11", "N66c", "AZ-14")
@pytest.mark.parametrize(
    "expires_in",
    [
        *(-1, -1.0, True, 3600.5, 1e30, math.inf, math.nan, 315360001),
        *("abc", "", "-1", "1" * 12, "3600.0", "٣٦", "²", [3600]),
    ],
)
def test_bad_expires_in(expires_in: Any) -> None:
    """Any other kind or range is nonsense (N66c)."""
    with pytest.raises(TenantError, match="expires_in"):
        parse(expires_in=expires_in)


@pytest.mark.requirement("UP-12", "N66d", "AZ-14")
@pytest.mark.parametrize("name", ["access_token", "refresh_token", "id_token"])
@pytest.mark.parametrize(
    "value", ["", "a\x7f", "a\n", "é", 5, True, ["x"], "x" * (128 * 1024 + 1)], ids=repr
)
def test_bad_token(name: str, value: Any) -> None:
    """A token is printable ASCII of a bounded length (N66d)."""
    with pytest.raises(TenantError, match=f"unusable {name}"):
        parse(**{name: value})


@pytest.mark.requirement("UP-12", "N66d")
def test_every_character_of_a_token() -> None:
    """Access and refresh tokens may have every VSCHAR (RFC 6749 appendix A), a JWT may not."""
    tokens = parse(access_token=VSCHAR, refresh_token=VSCHAR)
    assert (tokens.access_token, tokens.refresh_token) == (VSCHAR, VSCHAR)
    with pytest.raises(TenantError, match="unusable id_token"):
        parse(id_token="a b")


@pytest.mark.requirement("UP-12")
def test_longest_tokens() -> None:
    """64 KiB of access token and 128 KiB of ID token are taken."""
    tokens = parse(access_token="x" * 65536, id_token="x" * 131072)
    assert len(tokens.access_token) == 65536
    with pytest.raises(TenantError, match="access_token"):
        parse(access_token="x" * 65537)


@pytest.mark.requirement("A0-11", "UP-12", "N66d", "AZ-14")
def test_no_access_token() -> None:
    """A response without access token is none."""
    with pytest.raises(TenantError, match="has no access_token"):
        parse(access_token=None)


@pytest.mark.requirement("A0-11")
def test_tokens_that_need_not_be() -> None:
    """Refresh and ID token may be missing."""
    tokens = parse(refresh_token=None, id_token=None)
    assert (tokens.refresh_token, tokens.id_token) == (None, None)


@pytest.mark.requirement("AZ-14")
@pytest.mark.parametrize(
    ("scope", "granted"),
    [(None, SCOPE), ("openid", ("openid",)), ("a  b", ("a", "b")), ("", ())],
)
def test_scope(scope: Any, granted: tuple[str, ...]) -> None:
    """A scope that is left out is the requested one (RFC 6749 5.1)."""
    assert parse(scope=scope).scope == granted


@pytest.mark.parametrize("scope", [["openid"], 5, 'openid "x"', "é", "x " * 5000], ids=repr)
def test_bad_scope(scope: Any) -> None:
    """A scope of another kind or alphabet is nonsense."""
    with pytest.raises(TenantError, match="scope"):
        parse(scope=scope)


# -- what a hook makes of it -----------------------------------------------------

TOKEN_RESPONSE = TokenResponse(
    access_token="a",
    expires_in=1,
    scope=SCOPE,
    refresh_token="the-refresh-token",
    id_token="e.y.J",
    claims={"iss": "i", "sub": "alice", "email": "alice@example.com"},
)


def test_change_of_the_response_by_a_hook() -> None:
    """A hook may add to the claims and change tokens; none of them is shown."""
    claims = {**TOKEN_RESPONSE.claims, "role": "admin"}
    changed = TOKEN_RESPONSE.replace(claims=claims)
    assert validate_changed_token_response(changed, TOKEN_RESPONSE) is changed
    for secret in ("the-refresh-token", "e.y.J", "alice"):
        assert secret not in repr(changed)


@pytest.mark.parametrize("name", ["iss", "sub"])
@pytest.mark.parametrize("value", ["bob", None])
def test_hook_that_signs_somebody_else_in(name: str, value: str | None) -> None:
    """A hook must not say that somebody else signed in."""
    changed = TOKEN_RESPONSE.replace(claims={**TOKEN_RESPONSE.claims, name: value})
    with pytest.raises(ValueError, match=f"claim {name}"):
        validate_changed_token_response(changed, TOKEN_RESPONSE)


def test_hook_that_returns_no_response() -> None:
    """Anything but a token response is a mistake of the hook, and told."""
    wrong: Any = {"access_token": "x"}
    with pytest.raises(TypeError, match="returns a TokenResponse or None"):
        validate_changed_token_response(wrong, TOKEN_RESPONSE)


def test_request_of_another_kind_is_not_taken() -> None:
    """A token request is a value of its own: equal ones are equal."""
    assert TokenRequest(grant_type="x") == TokenRequest(grant_type="x")


# -- errors ----------------------------------------------------------------------


@pytest.mark.requirement("A0-12", "A0-27", "AZ-16")
@pytest.mark.parametrize("status", [400, 401, 403, 429, 500])
@pytest.mark.parametrize(
    ("error", "cls", "word", "answered"),
    [
        ("invalid_grant", GrantRefused, "invalid_grant", 400),
        ("invalid_client", ClientRefused, "invalid_client", 502),
        ("unauthorized_client", ClientRefused, "unauthorized_client", 502),
        ("invalid_scope", ScopeInvalid, "invalid_scope", 400),
        ("too_many_requests", TenantLimit, "slow_down", 429),
        ("server_error", TenantError, "server_error", 502),
    ],
)
def test_error_whatever_the_status(
    error: str, cls: type[PKCEError], word: str, answered: int, status: int
) -> None:
    """Errors are told by ``error``: Auth0's statuses differ (N61)."""
    exc = parse_token_error({"error": error, "error_description": "x"}, status=status, sent={})
    assert type(exc) is cls
    assert (exc.error, exc.status) == (word, answered)


def test_scope_that_the_tenant_does_not_grant() -> None:
    """It is the tenant that refused the scope, and not a check of ours."""
    exc = parse_token_error({"error": "invalid_scope"}, status=400, sent={})
    assert "tenant" in exc.detail


@pytest.mark.requirement("A0-12", "A0-13", "N64b", "AZ-16")
@pytest.mark.parametrize(
    ("error", "cls"),
    [
        ("access_denied", AccessDenied),
        ("mfa_required", MFARequired),
        ("interaction_required", InteractionRequired),
        ("unsupported_grant_type", TenantRefused),
        ("weird_vendor_code", TenantRefused),
    ],
)
def test_refusals(error: str, cls: type[TenantRefused]) -> None:
    """What the tenant refuses keeps its code; an ``mfa_token`` is dropped (N64b)."""
    exc = parse_token_error(
        {"error": error, "error_description": "because", "mfa_token": "secret"},
        status=403,
        sent={},
    )
    assert type(exc) is cls
    assert (exc.error, exc.status) == (error, 400)
    assert "because" in exc.detail
    assert "secret" not in repr(vars(exc))


def test_unknown_error_with_a_status_of_the_server() -> None:
    """An unknown error with a status of 500 is nonsense, not a refusal."""
    exc = parse_token_error({"error": "weird"}, status=500, sent={})
    assert type(exc) is TenantError
    assert "500" in exc.detail


@pytest.mark.requirement("AZ-16")
@pytest.mark.parametrize("error", [None, 5, "", 'a"b', "e" * 65, ["invalid_grant"]])
def test_error_without_a_code(error: Any) -> None:
    """Without an error code of RFC 6749 the answer is nonsense; nothing of it is quoted."""
    exc = parse_token_error({"error": error, "error_description": "hidden"}, status=418, sent={})
    assert type(exc) is TenantError
    assert exc.detail == "The tenant answered 418 without an error code."


@pytest.mark.parametrize("description", [None, 5, ["x"]])
def test_description_of_another_kind(description: Any) -> None:
    """A description that is no text is left out."""
    exc = parse_token_error(
        {"error": "access_denied", "error_description": description}, status=400, sent={}
    )
    assert exc.detail == AccessDenied.title


@pytest.mark.requirement("LG-1")
@pytest.mark.parametrize(
    "name",
    [
        *("code", "code_verifier", "client_secret", "client_assertion", "refresh_token"),
        *("state", "nonce", "invitation", "a header"),
    ],
)
@pytest.mark.parametrize("spelled", ["s3cret/of=ours", "s3cret%2Fof%3Dours"])
def test_description_that_repeats_a_secret(name: str, spelled: str) -> None:
    """What a tenant says is not passed on where it repeats a secret that was sent."""
    document = {"error": "invalid_request", "error_description": f"what is {spelled}?"}
    sent = {"grant_type": "authorization_code", name: "s3cret/of=ours"}
    in_header = [sent.pop(name)] if name == "a header" else []
    exc = parse_token_error(document, status=400, sent=sent, secrets=in_header)
    assert "s3cret" not in str(exc)
    other = parse_token_error(document, status=400, sent={"grant_type": "authorization_code"})
    assert spelled in str(other)
