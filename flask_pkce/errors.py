"""Every error of the library: what happened, what to do, and how it is answered.

This module is the catalogue.  A class carries what a caller can act on:

``title``
    What happened, in one sentence: an attribute, which ``python -OO`` does not strip.
``code``
    Ours, stable, one for each cause that a person would treat differently.
``error``
    The word of OAuth (RFC 6749 4.1.2.1 and 5.2) or of the published API.
``status``
    The HTTP status it is answered with.
``hint``
    What to do about it.
``restart``
    Whether starting the sign-in again helps, so that a page offers it.

A message never holds a code, a token, a verifier, a ticket or a cookie.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Self


class PKCEError(Exception):
    """Something went wrong in a sign-in.

    :param detail: what happened, for a person; by default the class's ``title``.
    :param field: the member, parameter or setting that is at fault, if one is.
    :param hint: what to do, in place of the class's own.
    :param retry_after: seconds after which trying again makes sense.
    :param host: for the log, the host that was called, by us or by the request.
    :param setting: for the log, the setting in which the cause may lie.
    """

    #: What happened, in one sentence.
    title: ClassVar[str] = "Something went wrong in a sign-in."
    code: str = "error"
    error: str = "server_error"
    status: int = 500
    hint: str = ""
    retry_after: int | None = None
    restart: ClassVar[bool] = False
    #: Whether only an operator can mend the cause, though the status is below 500.
    is_for_operators: ClassVar[bool] = False
    #: For the log alone: the host that was called, by us or by the request, and the setting in
    #: which the cause may lie.
    host: str | None = None
    setting: str | None = None
    #: The address under which this application can be used, where this one is another.
    open_at: str | None = None

    def __init__(
        self,
        detail: str = "",
        *,
        field: str | None = None,
        hint: str | None = None,
        retry_after: int | None = None,
        host: str | None = None,
        setting: str | None = None,
    ) -> None:
        self.detail = detail or self.title
        self.field = field
        if hint is not None:
            self.hint = hint
        if retry_after is not None:
            self.retry_after = retry_after
        if host is not None:
            self.host = host
        if setting is not None:
            self.setting = setting
        super().__init__(f"{field}: {self.detail}" if field else self.detail)

    def fresh(self) -> Self:
        """Return the same error as if it had not been raised: without traceback and cause.

        An error that was raised belongs to one request.  What several requests are told is kept
        as a fresh error, of which each request raises a fresh one.
        """
        fresh = type(self).__new__(type(self), *self.args)
        vars(fresh).update(vars(self))
        return fresh

    def forget_frames(self) -> None:
        """Drop the tracebacks of this error and of its causes; what they say stays.

        The frames hold what was sent and received.  An exception that the application's code
        raises while this one is handled would bring them into an error tracker.
        """
        _forget_frames(self)


def _forget_frames(exc: BaseException | None) -> None:
    # One without a traceback was never raised, or was here before.
    if exc is not None and exc.__traceback__ is not None:
        exc.__traceback__ = None
        _forget_frames(exc.__cause__)
        _forget_frames(exc.__context__)


# -- the operator ------------------------------------------------------------


class ConfigurationError(PKCEError):
    """A setting is missing or wrong.

    Raised at start-up with every fault at once.

    :param faults: one sentence each, beginning with the setting's name.
    :param misspelt: names that are no setting's, each with the one that may be meant, or None.
    """

    title = "A setting is missing or wrong."
    code = "configuration"
    error = "configuration_error"
    hint = "Correct the settings that are named and start again."

    def __init__(
        self,
        faults: str | Sequence[str] = "",
        *,
        misspelt: Sequence[tuple[str, str | None]] = (),
    ) -> None:
        self.faults = (faults,) if isinstance(faults, str) else tuple(faults)
        self.misspelt = tuple(misspelt)
        meant = (f"{name} is no setting: is {each} meant?" for name, each in misspelt if each)
        super().__init__("\n".join((*self.faults, *meant)))


class TenantMisconfigured(ConfigurationError):
    """The tenant's metadata does not fit the settings."""

    title = "The tenant's metadata does not fit the settings."
    code = "tenant-misconfigured"
    hint = "Compare PKCE_DOMAIN with the `issuer` of the tenant's discovery document."


class ClientRefused(PKCEError):
    """The tenant refused this application's own credentials."""

    title = "The tenant refused this application's own credentials."
    code = "client-refused"
    error = "invalid_client"
    status = 502
    hint = (
        "For the operator: check PKCE_CLIENT_ID, PKCE_CLIENT_SECRET or PKCE_CLIENT_KEY, and"
        " PKCE_CLIENT_AUTH against the application at the tenant."
    )

    def __init__(self, detail: str = "", *, error: str = "invalid_client") -> None:
        super().__init__(detail)
        self.error = error


class FileDescriptorsExhausted(PKCEError):
    """The server has no file descriptors left.

    A connection to the tenant or to the store could not be opened, so nothing was sent.
    """

    title = "The server has no file descriptors left."
    code = "file-descriptors-exhausted"
    error = "temporarily_unavailable"
    status = 503
    hint = (
        "Try again in a moment. For the operator: raise the limit of open files (`ulimit -n`,"
        " `LimitNOFILE` in systemd), or let fewer threads serve."
    )
    retry_after = 5


# -- the store ---------------------------------------------------------------


class StoreError(PKCEError):
    """The store of the sign-ins cannot be reached."""

    title = "The store of the sign-ins cannot be reached."
    code = "store-unavailable"
    error = "temporarily_unavailable"
    status = 503
    hint = "Try again in a moment."
    retry_after = 5
    setting: str | None = "PKCE_STORE_URL"


class RecordUnreadable(StoreError):
    """A record of the store cannot be read."""

    title = "A record of the store cannot be read."
    code = "record-unreadable"
    hint = "Start again. For the operator: does anything else write to the store?"
    restart = True


class RecordOfOtherKey(RecordUnreadable):
    """A record of the store was sealed with another key."""

    title = "A record of the store was sealed with another key."
    code = "record-of-other-key"
    hint = "Start again. For the operator: do all workers share SECRET_KEY?"
    setting = "SECRET_KEY"


class RecordOfOtherRelease(RecordUnreadable):
    """A record of the store was written by another release."""

    title = "A record of the store was written by another release."
    code = "record-of-other-release"
    hint = "Start again. For the operator: do all workers run the same release?"


# -- the request -------------------------------------------------------------


class RequestError(PKCEError):
    """The request is malformed."""

    title = "The request is malformed."
    code = "request-malformed"
    error = "invalid_request"
    status = 400
    hint = "Correct the request and send it again."


class HostUnknown(RequestError):
    """The request names a host that is not ours."""

    title = "The request names a host that is not ours."
    code = "host-unknown"
    is_for_operators = True
    hint = (
        "For the operator: set PKCE_PUBLIC_URL to the address that users see, and let the proxy"
        " pass Host on."
    )


class HostOtherName(HostUnknown):
    """The request names this machine by another name than PKCE_PUBLIC_URL does.

    To a browser ``localhost`` and ``127.0.0.1`` are two sites, with cookies of their own.

    :param address: ours.
    """

    title = "The request names this machine by another name than PKCE_PUBLIC_URL does."
    code = "host-other-name"
    hint = "Open this application under the name that PKCE_PUBLIC_URL has."

    def __init__(self, address: str) -> None:
        super().__init__()
        self.open_at = address


class MethodNotAllowed(RequestError):
    """This path does not answer that method.

    :param allowed: the methods it does answer.
    """

    title = "This path does not answer that method."
    code = "method-not-allowed"
    status = 405
    hint = "Use a method that the Allow header names; a button that signs in is a form that posts."

    def __init__(self, allowed: Sequence[str]) -> None:
        self.allowed = tuple(allowed)
        super().__init__()


class NotAcceptable(RequestError):
    """Neither JSON nor HTML is acceptable to the caller."""

    title = "Neither JSON nor HTML is acceptable to the caller."
    code = "not-acceptable"
    status = 406
    hint = "Send `Accept: application/json`, or `text/html`."


class BodyTooLarge(RequestError):
    """The body is larger than any that this route needs."""

    title = "The body is larger than any that this route needs."
    code = "body-too-large"
    status = 413


class MediaTypeUnsupported(RequestError):
    """The body is of a type that this route does not read."""

    title = "The body is of a type that this route does not read."
    code = "media-type-unsupported"
    status = 415
    hint = "Send `application/json`; the callback takes `application/x-www-form-urlencoded`."


class PrefetchRefused(RequestError):
    """A prefetch must not start or finish a sign-in."""

    title = "A prefetch must not start or finish a sign-in."
    code = "prefetch-refused"
    hint = "Open the address yourself."


class BodyMalformed(RequestError):
    """The body is not what its type says."""

    title = "The body is not what its type says."
    code = "body-malformed"


class ParameterInvalid(RequestError):
    """A parameter has a value that it may not have."""

    title = "A parameter has a value that it may not have."
    code = "parameter-invalid"


class ParameterRepeated(ParameterInvalid):
    """A parameter is given more than once."""

    title = "A parameter is given more than once."
    code = "parameter-repeated"
    hint = "Send it once. For the operator: does a proxy or a rewrite rule add the query again?"


class AnswerMissing(RequestError):
    """There is no answer of the tenant in this address."""

    title = "There is no answer of the tenant in this address."
    code = "answer-missing"
    hint = "Start again: this address is where the tenant sends a browser, and no page to open."
    restart = True


class ParameterForeign(RequestError):
    """A parameter names something that is not configured here."""

    title = "A parameter names something that is not configured here."
    code = "parameter-foreign"
    hint = "Leave the parameter out, or have the operator allow its value in the settings."


class TenantUnknown(RequestError):
    """There is no tenant for this sign-in."""

    title = "There is no tenant for this sign-in."
    code = "tenant-unknown"
    hint = "Name a tenant that is configured; for the operator: look at the tenant_loader."


class DeliveryRefused(RequestError):
    """This application keeps codes, verifiers and tokens on the server."""

    title = "This application keeps codes, verifiers and tokens on the server."
    code = "delivery-refused"
    hint = "Leave the parameter out: with PKCE_TOKEN_DELIVERY = 'session' the server has its own."


class ReturnAddressRefused(RequestError):
    """The address to return to is not a path of this application."""

    title = "The address to return to is not a path of this application."
    code = "return-address-refused"
    hint = "Give a path such as /account, without scheme and host."


class ResponseTypeUnsupported(RequestError):
    """Only the response type `code` is supported."""

    title = "Only the response type `code` is supported."
    code = "response-type-unsupported"
    error = "unsupported_response_type"
    hint = "Send `code`, or leave response_type out."


class GrantTypeUnsupported(RequestError):
    """Only `authorization_code` and `refresh_token` are supported."""

    title = "Only `authorization_code` and `refresh_token` are supported."
    code = "grant-type-unsupported"
    error = "unsupported_grant_type"
    hint = "Send one of the two, or leave grant_type out."


class ScopeInvalid(RequestError):
    """The scope does not contain `openid`."""

    title = "The scope does not contain `openid`."
    code = "scope-invalid"
    error = "invalid_scope"
    hint = "Add `openid`: without it the tenant issues no ID token, and nobody is signed in."


# -- who is calling ----------------------------------------------------------


class OriginRefused(PKCEError):
    """Another site may not make this request."""

    title = "Another site may not make this request."
    code = "origin-refused"
    error = "csrf_rejected"
    status = 403
    hint = "Call from a page of this application, or have its origin put in PKCE_ALLOWED_ORIGINS."


class NavigationRequired(OriginRefused):
    """The answer of the tenant must arrive as a page, not by a script of another site."""

    title = "The answer of the tenant must arrive as a page, not by a script of another site."
    code = "navigation-required"
    hint = "Send the browser to the sign-in as to a page, and fetch it by no script."


class NavigationFramed(NavigationRequired):
    """The answer of the tenant must arrive as a page of its own, not in a frame."""

    title = "The answer of the tenant must arrive as a page of its own, not in a frame."
    code = "navigation-framed"
    hint = "Open the sign-in as a page of its own, outside of any frame."


class SessionMismatch(PKCEError):
    """This sign-in was started in another browser."""

    title = "This sign-in was started in another browser."
    code = "session-mismatch"
    error = "session_mismatch"
    status = 403
    hint = (
        "Start again, and finish in the browser in which you started. If this is that browser,"
        " another tab signed out meanwhile."
    )
    restart = True


class CookieMissing(SessionMismatch):
    """The cookie of this sign-in did not come along."""

    title = "The cookie of this sign-in did not come along."
    code = "cookie-missing"
    hint = (
        "Start with POST /pkce/code, and keep the cookie that its answer sets. For programs"
        " without cookies on the same machine there is PKCE_LOCAL_SESSION."
    )


class CookiesBlocked(CookieMissing):
    """This browser sent no cookie at all."""

    title = "This browser sent no cookie at all."
    code = "cookies-blocked"
    hint = (
        "Start again, in the browser in which you started, with cookies allowed for this site. A"
        " browser that another app opened by itself has none of them."
    )


class CookieLost(CookieMissing):
    """This browser has cookies of this site, but not the one of this sign-in."""

    title = "This browser has cookies of this site, but not the one of this sign-in."
    code = "cookie-lost"
    hint = (
        "Start again: the browser was closed meanwhile, or another tab signed out. For the"
        " operator: does a proxy keep only some cookies?"
    )


class OpenedElsewhere(CookieMissing):
    """This address was opened outside of the browser that started the sign-in."""

    title = "This address was opened outside of the browser that started the sign-in."
    code = "opened-elsewhere"
    hint = "Start again here, or open the link in the browser in which you started."


class CookieOfOtherPort(CookieMissing):
    """The cookie that came along is of another port of this machine."""

    title = "The cookie that came along is of another port of this machine."
    code = "cookie-of-other-port"
    hint = (
        "Start again here. For the operator: PKCE_PUBLIC_URL, and the callback that is registered"
        " at the tenant, must have the port at which people start."
    )


class CookieOverHTTP(CookieMissing):
    """The cookie of this sign-in travels over https alone, and this request came over http.

    :param address: ours.
    """

    title = "The cookie of this sign-in travels over https alone, and this request came over http."
    code = "cookie-over-http"
    hint = (
        "Open this application over https. For the operator: PKCE_PUBLIC_URL is an https address,"
        " so http must lead there, or not be served."
    )
    restart = False

    def __init__(self, address: str) -> None:
        super().__init__()
        self.open_at = address


class CookieOutdated(SessionMismatch):
    """The cookie of this sign-in is an old one, which was replaced since."""

    title = "The cookie of this sign-in is an old one, which was replaced since."
    code = "cookie-outdated"
    hint = "Start again: the session that this cookie was of goes on under a newer one."


class CookieAmbiguous(SessionMismatch):
    """Several cookies of this sign-in came along, and they do not lead to one session."""

    title = "Several cookies of this sign-in came along, and they do not lead to one session."
    code = "cookie-ambiguous"
    hint = (
        "Remove the cookies of this site and start again. For the operator: does another"
        " application, on this host or above it, set a cookie of the same name?"
    )


class CookieForged(SessionMismatch):
    """The cookie of this sign-in was not signed with our key."""

    title = "The cookie of this sign-in was not signed with our key."
    code = "cookie-forged"
    hint = "Start again. For the operator: do all workers share SECRET_KEY?"


class NotSignedIn(PKCEError):
    """Nobody is signed in in this session."""

    title = "Nobody is signed in in this session."
    code = "not-signed-in"
    error = "login_required"
    status = 401
    hint = "Sign in first."
    restart = True


class AccessTokenMissing(NotSignedIn):
    """There is no access token, and none can be had without signing in again."""

    title = "There is no access token, and none can be had without signing in again."
    code = "access-token-missing"
    hint = "Sign in again. For the operator: with `offline_access` in PKCE_SCOPE it is renewed."


class AuthenticationTooWeak(PKCEError):
    """The user did not authenticate as this page demands."""

    title = "The user did not authenticate as this page demands."
    code = "authentication-too-weak"
    error = "insufficient_user_authentication"
    status = 403
    hint = "Sign in again in the way that is asked for: just now, or with a second factor."


class LogoutTokenInvalid(RequestError):
    """The logout token is not one of the tenant, or it came before."""

    title = "The logout token is not one of the tenant, or it came before."
    code = "logout-token-invalid"
    hint = "For the operator: the tenant posts a `logout_token` of its own to this address."


class SessionRenewed(SessionMismatch):
    """Another request of this browser renewed its cookie at this moment."""

    title = "Another request of this browser renewed its cookie at this moment."
    code = "cookie-renewed"
    error = "session_renewed"
    status = 409
    hint = "Send the request again, with the new cookie; if that was lost, in ten seconds."
    retry_after = 1


# -- the flow ----------------------------------------------------------------


class FlowError(PKCEError):
    """The request fits no sign-in that is under way."""

    title = "The request fits no sign-in that is under way."
    code = "state-unknown"
    error = "invalid_state"
    status = 400
    hint = "Start again."
    restart = True


class StateMissing(FlowError):
    """The answer of the tenant has no state."""

    title = "The answer of the tenant has no state."
    code = "state-missing"
    hint = "Start again here: a sign-in cannot be started at the tenant."


class SessionOver(FlowError):
    """The session of this sign-in is over, or was cleared."""

    title = "The session of this sign-in is over, or was cleared."
    code = "session-over"


class StateForged(FlowError):
    """The state was not signed with our key."""

    title = "The state was not signed with our key."
    code = "state-forged"
    is_for_operators = True
    hint = "Start again. For the operator: do all workers share SECRET_KEY?"


class FlowExpired(FlowError):
    """The sign-in is older than PKCE_FLOW_LIFETIME seconds: it expired, start again."""

    title = "The sign-in is older than PKCE_FLOW_LIFETIME seconds: it expired, start again."
    code = "state-expired"
    hint = "Start again: the sign-in was left open too long."


class FlowGone(FlowError):
    """The sign-in was cleared, or the store lost it."""

    title = "The sign-in was cleared, or the store lost it."
    code = "state-cleared"
    hint = (
        "Start again: somebody signed out meanwhile. For the operator: do all workers use one"
        " store, and was it emptied or restarted?"
    )


class FlowEvicted(FlowGone):
    """The sign-in gave way to newer ones of the same browser."""

    title = "The sign-in gave way to newer ones of the same browser."
    code = "state-evicted"
    hint = (
        "Start again: more than 20 were started since. For the operator: does a page start them?"
    )


class TenantReplaced(FlowGone):
    """The sign-in was sent to another tenant, which is not configured now."""

    title = "The sign-in was sent to another tenant, which is not configured now."
    code = "state-of-other-tenant"
    hint = "Start again: the tenants that are configured were changed meanwhile."


class StoreNotShared(FlowGone):
    """This process does not know the sign-in, and its store is its own memory."""

    title = "This process does not know the sign-in, and its store is its own memory."
    code = "store-not-shared"
    is_for_operators = True
    hint = (
        "Start again. For the operator: memory:// serves one process, and here are several; set"
        " PKCE_STORE_URL to sqlite:/// or redis://."
    )


class TicketSpent(FlowError):
    """This answer of the tenant was used already, or waited too long."""

    title = "This answer of the tenant was used already, or waited too long."
    code = "ticket-spent"
    hint = "If you are not signed in, start again."


class IssuerMismatch(FlowError):
    """The answer comes from another issuer than the sign-in was sent to."""

    title = "The answer comes from another issuer than the sign-in was sent to."
    code = "answer-issuer-mismatch"
    hint = "Start again; do not go on from a link that somebody sent you."


class IssuerMissing(IssuerMismatch):
    """The answer does not say which issuer it comes from."""

    title = "The answer does not say which issuer it comes from."
    code = "answer-issuer-missing"
    hint = (
        "Start again. For the operator: this tenant announces `iss` in every answer; does a proxy"
        " take it out?"
    )


class UserChanged(PKCEError):
    """Another user authenticated than the one who is signed in."""

    title = "Another user authenticated than the one who is signed in."
    code = "user-changed"
    error = "user_changed"
    status = 400
    hint = (
        "You are still signed in as before. Go back and authenticate with that account; to use"
        " another account, sign out first."
    )


class SignedOutMeanwhile(FlowError):
    """The session was cleared while its code was being exchanged."""

    title = "The session was cleared while its code was being exchanged."
    code = "signed-out-meanwhile"


class AuthorizationPending(PKCEError):
    """There is no answer of the tenant yet."""

    title = "There is no answer of the tenant yet."
    code = "authorization-pending"
    error = "authorization_pending"
    status = 409
    hint = (
        "Send the browser to the authorization URL that POST /pkce/code tells, wait until it came"
        " back, then ask again."
    )


class FlowConflict(PKCEError):
    """The sign-in with this state was sent with other parameters."""

    title = "The sign-in with this state was sent with other parameters."
    code = "flow-parameters-differ"
    error = "flow_conflict"
    status = 409
    hint = "Start another sign-in for other parameters."


class AnswerConflict(FlowConflict):
    """This sign-in has another answer already."""

    title = "This sign-in has another answer already."
    code = "flow-code-differs"
    hint = "The first answer counts. If you are not signed in, start again."
    restart = True


class RedemptionUnderWay(FlowConflict):
    """The code is being exchanged at this moment."""

    title = "The code is being exchanged at this moment."
    code = "flow-redeeming"
    hint = "Wait for the answer to the first request."
    retry_after = 1


class RefreshUnderWay(FlowConflict):
    """The tokens are being refreshed at this moment."""

    title = "The tokens are being refreshed at this moment."
    code = "refresh-under-way"
    hint = "Ask again: another request of this session refreshed them at the same moment, in vain."
    retry_after = 1


class GrantError(PKCEError):
    """The code, verifier or refresh token does not fit."""

    title = "The code, verifier or refresh token does not fit."
    code = "grant-unknown"
    error = "invalid_grant"
    status = 400
    hint = "Send the code and verifier of a sign-in of this session, or leave both out."


class VerifierMismatch(GrantError):
    """The code verifier does not hash to the code challenge."""

    title = "The code verifier does not hash to the code challenge."
    code = "verifier-mismatch"
    hint = "Send the verifier that belongs to the challenge; the code is still good."


class CodeSpent(GrantError):
    """The code was exchanged already."""

    title = "The code was exchanged already."
    code = "code-spent"
    hint = "Use the tokens of the first answer, or start again."
    restart = True


class RefreshTokenUnknown(GrantError):
    """No such refresh token was issued to this session."""

    title = "No such refresh token was issued to this session."
    code = "refresh-token-unknown"
    hint = "Ask for the scope `offline_access`, and refresh in the session that signed in."


class RedemptionAbandoned(GrantError):
    """The exchange of the code was interrupted."""

    title = "The exchange of the code was interrupted."
    code = "redemption-abandoned"
    hint = "Start again: the server stopped while it exchanged the code."
    restart = True


class TooManyFlows(PKCEError):
    """This session has too many sign-ins under way."""

    title = "This session has too many sign-ins under way."
    code = "too-many-flows"
    error = "too_many_flows"
    status = 429
    hint = "Finish or clear one of them first."
    retry_after = 5


# -- the tenant --------------------------------------------------------------


class TenantRefused(PKCEError):
    """The tenant refused.

    :param error: the tenant's own code, already checked against RFC 6749's alphabet.
    """

    title = "The tenant refused."
    code = "tenant-refused"
    status = 400
    hint = "Start again; if it happens again, ask the operator."
    restart = True

    def __init__(self, detail: str = "", *, error: str | None = None) -> None:
        super().__init__(detail)
        if error is not None:
            self.error = error


class AccessDenied(TenantRefused):
    """The sign-in was refused.

    The tenant says so when the user cancels; a hook raises it to refuse a user.
    """

    title = "The sign-in was refused."
    code = "access-denied"
    error = "access_denied"
    hint = "Start again to try once more, or with another account."


class HookFailed(TenantRefused):
    """The application could not finish the sign-in."""

    title = "The application could not finish the sign-in."
    code = "hook-failed"
    error = "server_error"
    hint = "Start again. For the operator: a hook raised an exception, see the log."


class LoginRequired(TenantRefused):
    """Nobody is signed in at the tenant."""

    title = "Nobody is signed in at the tenant."
    code = "login-required"
    error = "login_required"
    hint = "Start again without prompt=none."


class ConsentRequired(LoginRequired):
    """The user has to consent first."""

    title = "The user has to consent first."
    code = "consent-required"
    error = "consent_required"


class InteractionRequired(LoginRequired):
    """The tenant has to ask the user something first."""

    title = "The tenant has to ask the user something first."
    code = "interaction-required"
    error = "interaction_required"


class AccountSelectionRequired(LoginRequired):
    """The user has to choose an account first."""

    title = "The user has to choose an account first."
    code = "account-selection-required"
    error = "account_selection_required"


class MFARequired(TenantRefused):
    """The tenant wants a second factor."""

    title = "The tenant wants a second factor."
    code = "mfa-required"
    error = "mfa_required"
    hint = "Start again, and give the second factor at the tenant."


class GrantRefused(TenantRefused):
    """The tenant does not take the code or refresh token."""

    title = "The tenant does not take the code or refresh token."
    code = "grant-refused"
    error = "invalid_grant"
    hint = "Start again: the code or refresh token was used, withdrawn or too old."


class RefreshTokenReused(GrantRefused):
    """The tenant took the refresh token for one that was used before, and ended the sign-in.

    An earlier refresh was cut off, and the tenant's answer to it, with the new token, was lost.
    """

    title = (
        "The tenant took the refresh token for one that was used before, and ended the sign-in."
    )
    code = "refresh-token-reused"
    hint = "Sign in again. A rotation overlap at the tenant avoids it: see the page on Auth0."


class TenantLimit(PKCEError):
    """The tenant asks us to slow down."""

    title = "The tenant asks us to slow down."
    code = "tenant-limit"
    error = "slow_down"
    status = 429
    is_for_operators = True
    hint = (
        "Wait a minute and reload the page; a program waits as long as Retry-After says. For the"
        " operator: ask the tenant for a higher rate limit."
    )
    retry_after = 30


class TenantError(PKCEError):
    """The tenant answered with something that cannot be used."""

    title = "The tenant answered with something that cannot be used."
    code = "tenant-nonsense"
    error = "server_error"
    status = 502
    hint = "Start again; if it happens again, ask the operator."
    restart = True
    setting: str | None = "PKCE_DOMAIN"


class IDTokenInvalid(TenantError):
    """The ID token of the tenant does not verify."""

    title = "The ID token of the tenant does not verify."
    code = "id-token-invalid"
    setting = None


class TenantUnreachable(TenantError):
    """The tenant cannot be reached; the request was surely not received."""

    title = "The tenant cannot be reached; the request was surely not received."
    code = "tenant-unreachable"
    error = "temporarily_unavailable"
    hint = (
        "Try again in a moment. For the operator: the log names the host. Is it right, and may"
        " this machine open connections to it?"
    )
    restart = False


class TenantBusy(TenantUnreachable):
    """Too many requests call the tenant or wait for it; this one did not reach it."""

    title = "Too many requests call the tenant or wait for it; this one did not reach it."
    code = "tenant-busy"
    status = 503
    hint = (
        "Try again in a moment. For the operator: if the tenant answers quickly, raise"
        " PKCE_MAX_CALLS."
    )
    setting = "PKCE_MAX_CALLS"
    retry_after = 1


class TenantSilent(TenantError):
    """The tenant did not answer in time; it may have received the request."""

    title = "The tenant did not answer in time; it may have received the request."
    code = "tenant-silent"
    error = "temporarily_unavailable"
    status = 504
    hint = "Start again."


def catalogue() -> Iterator[type[PKCEError]]:
    """Every error class, in the order of this module."""
    yield from (
        value
        for value in globals().values()
        if isinstance(value, type) and issubclass(value, PKCEError)
    )
