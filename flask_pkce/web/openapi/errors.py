"""Which errors each route answers with, and how a document tells them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from ...errors import (
    AccessDenied,
    AccountSelectionRequired,
    AnswerConflict,
    AnswerMissing,
    AuthorizationPending,
    BodyMalformed,
    BodyTooLarge,
    ClientRefused,
    CodeSpent,
    ConsentRequired,
    CookieAmbiguous,
    CookieForged,
    CookieLost,
    CookieMissing,
    CookieOfOtherPort,
    CookieOutdated,
    CookieOverHTTP,
    CookiesBlocked,
    DeliveryRefused,
    FileDescriptorsExhausted,
    FlowConflict,
    FlowError,
    FlowEvicted,
    FlowExpired,
    FlowGone,
    GrantError,
    GrantRefused,
    GrantTypeUnsupported,
    HookFailed,
    HostOtherName,
    HostUnknown,
    IDTokenInvalid,
    InteractionRequired,
    IssuerMismatch,
    IssuerMissing,
    LoginRequired,
    LogoutTokenInvalid,
    MediaTypeUnsupported,
    MethodNotAllowed,
    MFARequired,
    NavigationFramed,
    NavigationRequired,
    NotAcceptable,
    NotSignedIn,
    OpenedElsewhere,
    OriginRefused,
    ParameterForeign,
    ParameterInvalid,
    ParameterRepeated,
    PKCEError,
    PrefetchRefused,
    RecordOfOtherKey,
    RecordOfOtherRelease,
    RecordUnreadable,
    RedemptionAbandoned,
    RedemptionUnderWay,
    RefreshTokenReused,
    RefreshTokenUnknown,
    RefreshUnderWay,
    ResponseTypeUnsupported,
    ReturnAddressRefused,
    ScopeInvalid,
    SessionMismatch,
    SessionOver,
    SessionRenewed,
    SignedOutMeanwhile,
    StateForged,
    StateMissing,
    StoreError,
    StoreNotShared,
    TenantBusy,
    TenantError,
    TenantLimit,
    TenantMisconfigured,
    TenantRefused,
    TenantReplaced,
    TenantSilent,
    TenantUnknown,
    TenantUnreachable,
    TicketSpent,
    TooManyFlows,
    UserChanged,
    VerifierMismatch,
)
from ..problems import problem_type

Errors = tuple[type[PKCEError], ...]

# -- what they have in common --------------------------------------------------

_EVERY_ROUTE: Errors = (
    HostUnknown,
    HostOtherName,
    PrefetchRefused,
    MethodNotAllowed,
    StoreError,
    RecordUnreadable,
    RecordOfOtherKey,
    RecordOfOtherRelease,
    FileDescriptorsExhausted,
)
_BODY: Errors = (BodyMalformed, ParameterInvalid, BodyTooLarge)
#: As a form or a query, where a parameter may be there twice.
_FORM: Errors = (*_BODY, ParameterRepeated)
#: Why there is no session, where there must be one.
_NO_SESSION: Errors = (
    SessionMismatch,
    CookieMissing,
    CookieOfOtherPort,
    CookieOverHTTP,
    CookieAmbiguous,
    CookieForged,
    CookieOutdated,
    SessionRenewed,
    SessionOver,
)
#: And why not, where a person looks at it.
_NO_COOKIE: Errors = (CookiesBlocked, CookieLost, OpenedElsewhere)
#: Why there is no flow of that state.
_NO_FLOW: Errors = (
    FlowError,
    StateForged,
    FlowExpired,
    FlowGone,
    FlowEvicted,
    SignedOutMeanwhile,
)
#: What the callback alone tells of an answer.
_ANSWER: Errors = (
    StateMissing,
    TenantReplaced,
    StoreNotShared,
    IssuerMismatch,
    IssuerMissing,
    AnswerConflict,
)
#: The tenant's metadata cannot be had.
_METADATA: Errors = (
    TenantMisconfigured,
    TenantError,
    TenantUnreachable,
    TenantBusy,
    TenantSilent,
    TenantLimit,
)
#: What the tenant says in an authorization response, or a hook.
_REFUSALS: Errors = (
    AccessDenied,
    LoginRequired,
    ConsentRequired,
    InteractionRequired,
    AccountSelectionRequired,
    MFARequired,
    TenantRefused,
)
#: An exchange that comes to nothing.
_EXCHANGE: Errors = (
    *_METADATA,
    *_REFUSALS,
    GrantRefused,
    ScopeInvalid,
    ClientRefused,
    IDTokenInvalid,
    UserChanged,
)
#: Why a flow may have failed; told with status 400 to everybody who asks later.
FAILURES: Errors = (
    *_REFUSALS,
    HookFailed,
    GrantRefused,
    ScopeInvalid,
    ClientRefused,
    TenantError,
    TenantSilent,
    IDTokenInvalid,
    UserChanged,
    RedemptionAbandoned,
)

# -- each route, by its endpoint and method ---------------------------------------

#: With delivery ``caller``.
_CALLER: dict[tuple[str, str], Errors] = {
    ("challenge", "GET"): (
        OriginRefused,
        SessionRenewed,
        NotAcceptable,
        TooManyFlows,
        FlowGone,
        *_METADATA,
    ),
    ("code", "POST"): (
        OriginRefused,
        SessionRenewed,
        NotAcceptable,
        *_FORM,
        MediaTypeUnsupported,
        ResponseTypeUnsupported,
        ScopeInvalid,
        ParameterForeign,
        ReturnAddressRefused,
        SessionMismatch,
        CookieMissing,
        *_NO_FLOW,
        TenantReplaced,
        TenantUnknown,
        FlowConflict,
        AnswerConflict,
        TooManyFlows,
        *_REFUSALS,
        *_METADATA,
        # Of a request that is pushed.
        ClientRefused,
    ),
    ("response_code", "GET"): (
        AnswerMissing,
        NavigationRequired,
        NavigationFramed,
        NotAcceptable,
        *_FORM,
        *_NO_SESSION,
        *_NO_COOKIE,
        *_NO_FLOW,
        TenantUnknown,
        TicketSpent,
        *_ANSWER,
        *_REFUSALS,
    ),
    ("response_code", "POST"): (
        OriginRefused,
        NavigationRequired,
        NavigationFramed,
        NotAcceptable,
        *_FORM,
        MediaTypeUnsupported,
        *_NO_SESSION,
        *_NO_FLOW,
        TenantUnknown,
        *_ANSWER,
        *_REFUSALS,
    ),
    ("token", "POST"): (
        OriginRefused,
        NotAcceptable,
        *_BODY,
        MediaTypeUnsupported,
        GrantTypeUnsupported,
        ParameterForeign,
        *_NO_SESSION,
        *_NO_COOKIE,
        TenantReplaced,
        TenantUnknown,
        SignedOutMeanwhile,
        GrantError,
        VerifierMismatch,
        CodeSpent,
        RefreshTokenUnknown,
        RefreshTokenReused,
        RefreshUnderWay,
        AuthorizationPending,
        RedemptionUnderWay,
        AnswerConflict,
        *_EXCHANGE,
    ),
    ("clear", "POST"): (OriginRefused,),
    ("back_channel_logout", "POST"): (
        *_FORM,
        MediaTypeUnsupported,
        LogoutTokenInvalid,
        *_METADATA,
    ),
}

#: With delivery ``session``, where it differs: the callback's GET exchanges the code.
_SESSION: dict[tuple[str, str], Errors] = {
    ("challenge", "GET"): (OriginRefused, SessionRenewed, NotAcceptable, TooManyFlows, FlowGone),
    ("code", "POST"): (*_CALLER["code", "POST"], DeliveryRefused),
    ("response_code", "GET"): (*_CALLER["response_code", "GET"], GrantError, *_EXCHANGE),
    ("response_code", "POST"): (
        OriginRefused,
        NavigationRequired,
        NavigationFramed,
        NotAcceptable,
        *_FORM,
        MediaTypeUnsupported,
        StateMissing,
        FlowError,
        StateForged,
        FlowExpired,
        TenantUnknown,
        DeliveryRefused,
    ),
    ("token", "POST"): (
        OriginRefused,
        NotAcceptable,
        *_BODY,
        MediaTypeUnsupported,
        GrantTypeUnsupported,
        ParameterForeign,
        DeliveryRefused,
        TenantUnknown,
        *_NO_SESSION,
        *_NO_COOKIE,
        CodeSpent,
        RefreshTokenUnknown,
        AuthorizationPending,
        RedemptionUnderWay,
        *_METADATA,
    ),
    ("user", "GET"): (OriginRefused, SessionRenewed, NotAcceptable, NotSignedIn),
    ("login", "GET"): (
        NavigationRequired,
        SessionRenewed,
        *_FORM,
        ParameterForeign,
        ReturnAddressRefused,
        TooManyFlows,
        FlowGone,
        *_METADATA,
    ),
    ("login", "POST"): (
        OriginRefused,
        *_FORM,
        MediaTypeUnsupported,
        ParameterForeign,
        ReturnAddressRefused,
        *_NO_SESSION,
        *_NO_COOKIE,
        TicketSpent,
        TooManyFlows,
        FlowGone,
        *_METADATA,
    ),
    ("logout", "POST"): (OriginRefused,),
}

_TELLS_FAILURES = {
    ("code", "POST"),
    ("response_code", "GET"),
    ("response_code", "POST"),
    ("token", "POST"),
}


def errors_of(endpoint: str, method: str, *, delivers_to_session: bool) -> Errors:
    """The errors that a route answers with, but those of flows that failed before."""
    routes = {**_CALLER, **(_SESSION if delivers_to_session else {})}
    return tuple(dict.fromkeys((*_EVERY_ROUTE, *routes[endpoint, method])))


def problems(endpoint: str, method: str, *, delivers_to_session: bool) -> dict[str, Any]:
    """The responses of a route that are errors, by their status."""
    route = (endpoint, method)
    by_status: dict[int, list[type[PKCEError]]] = defaultdict(list)
    for cls in errors_of(endpoint, method, delivers_to_session=delivers_to_session):
        by_status[cls.status].append(cls)
    # What comes of a cross-site POST is only kept, and a program's is refused.
    tells_failures = route in _TELLS_FAILURES and not (
        delivers_to_session and route == ("response_code", "POST")
    )
    return {
        str(status): _response(
            status, classes, FAILURES if tells_failures and status == 400 else ()
        )
        for status, classes in sorted(by_status.items())
    }


def _response(status: int, classes: list[type[PKCEError]], failures: Errors) -> dict[str, Any]:
    told = [f"- `{cls.code}`: {markdown(cls.title)}" for cls in classes]
    later = [cls for cls in failures if cls not in classes]
    if later:
        codes = ", ".join(f"`{cls.code}`" for cls in later)
        told.append(f"- The sign-in failed before, for a reason that was told then: {codes}.")
    types = sorted({problem_type(cls) for cls in (*classes, *later)})
    schema = {
        "$ref": "#/components/schemas/Problem",
        "properties": {"type": {"enum": types}, "status": {"const": status}},
    }
    content = {
        "application/problem+json": {"schema": schema},
        "text/html": {"schema": {"type": "string"}},
    }
    response: dict[str, Any] = {"description": "\n".join(told), "content": content}
    if headers := _headers(status, classes):
        response["headers"] = headers
    return response


def _headers(status: int, classes: Iterable[type[PKCEError]]) -> dict[str, Any]:
    waits = [cls.retry_after is not None for cls in classes]
    headers: dict[str, Any] = {}
    if any(waits):
        headers["Retry-After"] = {
            "description": "Seconds after which trying again makes sense.",
            "required": all(waits),
            "schema": {"type": "integer", "minimum": 1, "maximum": 300},
        }
    if status == MethodNotAllowed.status:
        headers["Allow"] = {
            "description": "The methods of this path.",
            "required": True,
            "schema": {"type": "string"},
        }
    if status == NotSignedIn.status:
        headers["WWW-Authenticate"] = {
            "description": "A scheme that opens no dialog.",
            "required": True,
            "schema": {"const": "Session"},
        }
    return headers


def markdown(text: str) -> str:
    """A docstring's text, as the descriptions of a document are written."""
    return text.replace("``", "`")
