"""Authorization request and authorization response.

:rfc:`6749#section-4.1`, OpenID Connect Core 3.1.2, :rfc:`9207`
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from ..errors import (
    AccessDenied,
    AccountSelectionRequired,
    ConsentRequired,
    FlowError,
    InteractionRequired,
    IssuerMismatch,
    IssuerMissing,
    LoginRequired,
    MFARequired,
    ParameterInvalid,
    StateMissing,
    TenantRefused,
)
from .metadata import TenantMetadata
from .pkce import CODE_CHALLENGE_METHOD
from .text import form_encode, is_error_code, is_printable_ascii, is_visible_ascii, one_line

#: Characters of an authorization URL, above which servers and proxies answer 414.
MAX_URL_LENGTH = 4000
#: Characters of an authorization code; RFC 6749 gives no limit.
MAX_CODE_LENGTH = 4096
#: Characters of a ``state``.
MAX_STATE_LENGTH = 512

#: What a hook may not change: these tie the request to its flow.
_FIXED = ("client_id", "redirect_uri", "state", "nonce", "code_challenge")


#: What is no additional parameter: it has a field of its own, or would carry a whole request.
_RESERVED = frozenset(
    {
        *_FIXED,
        "audience",
        "code_challenge_method",
        "invitation",
        "organization",
        "prompt",
        "request",
        "request_uri",
        "response_mode",
        "response_type",
        "scope",
        "screen_hint",
    }
)


@dataclass(frozen=True, kw_only=True)
class AuthorizationRequest:
    """What the browser takes to the authorization endpoint.

    :rfc:`6749#section-4.1.1`, :rfc:`7636#section-4.3`, OpenID Connect Core 3.1.2.1
    """

    client_id: str
    redirect_uri: str
    scope: tuple[str, ...]
    state: str = field(repr=False)
    nonce: str = field(repr=False)
    code_challenge: str = field(repr=False)
    response_mode: str = "form_post"
    audience: str | None = None
    organization: str | None = None
    invitation: str | None = field(default=None, repr=False)
    prompt: str | None = None
    screen_hint: str | None = None
    #: Authentication contexts of which the ID token must have one.  Those in ``additional`` are
    #: a wish.
    acr_values: tuple[str, ...] = ()
    #: Further parameters by name, from ``ADDITIONAL_PARAMETERS`` or a hook.
    additional: Mapping[str, str] = field(default_factory=dict, repr=False)

    def replace(self, **changes: Any) -> Self:
        """A changed copy, for ``before_authorize`` hooks."""
        return dataclasses.replace(self, **changes)

    def parameters(self) -> dict[str, str]:
        """The parameters by name, without those that have no value."""
        named = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect_uri,
            "scope": " ".join(self.scope),
            "state": self.state,
            "nonce": self.nonce,
            "code_challenge": self.code_challenge,
            "code_challenge_method": CODE_CHALLENGE_METHOD,
            "response_mode": self.response_mode,
            "audience": self.audience,
            "organization": self.organization,
            "invitation": self.invitation,
            "prompt": self.prompt,
            "screen_hint": self.screen_hint,
            "acr_values": " ".join(self.acr_values) or self.additional.get("acr_values"),
        }
        return {name: value for name, value in {**self.additional, **named}.items() if value}


def validate_changed_request(
    changed: AuthorizationRequest | None, original: AuthorizationRequest
) -> AuthorizationRequest:
    """Check what a hook made of an authorization request.

    :param changed: what the hook returned; None leaves it as it is.
    :raises TypeError: if it is something else.
    :raises ValueError: if it lost a tie to its flow, or overrides a parameter of the protocol.
    """
    if changed is None:
        return original
    if not isinstance(changed, AuthorizationRequest):
        # It may hold tokens, and error trackers show the variables of this frame.
        del changed
        raise TypeError("a before_authorize hook returns an AuthorizationRequest or None")
    for name in _FIXED:
        if getattr(changed, name) != getattr(original, name):
            raise ValueError(f"a before_authorize hook must not change {name}")
    if changed.response_mode not in {"form_post", "query"}:
        raise ValueError("a before_authorize hook set a response_mode that has no callback")
    if "openid" not in changed.scope:
        raise ValueError("a before_authorize hook took `openid` out of the scope")
    if changed.invitation and not changed.organization:
        raise ValueError("a before_authorize hook set an invitation without its organization")
    max_age = changed.additional.get("max_age", "0")
    if not (max_age.isascii() and max_age.isdigit() and len(max_age) < 10):
        raise ValueError("a before_authorize hook set a max_age that is no number of seconds")
    for name in changed.additional:
        if name in _RESERVED or (name == "acr_values" and changed.acr_values):
            raise ValueError(f"a before_authorize hook must not add {name}")
    return changed


def build_authorization_url(tenant: TenantMetadata, request: AuthorizationRequest) -> str:
    """The address the browser is sent to.

    :raises ParameterInvalid: if it would be longer than 4000 characters.

    :rfc:`6749#section-3.1`
    """
    endpoint = tenant.authorization_endpoint
    separator = "&" if "?" in endpoint else "?"
    url = f"{endpoint}{separator}{form_encode(request.parameters())}"
    if len(url) > MAX_URL_LENGTH:
        raise ParameterInvalid(
            f"the parameters make an address of over {MAX_URL_LENGTH} characters"
        )
    return url


@dataclass(frozen=True, kw_only=True)
class CallbackParameters:
    """A well-formed authorization response that has not been validated."""

    state: str = field(repr=False)
    code: str | None = field(default=None, repr=False)
    error: str | None = None
    error_description: str | None = None
    iss: str | None = None
    #: The callback that it reached, as an exact address; empty where it reached none.
    callback_url: str = ""


@dataclass(frozen=True, kw_only=True)
class AuthorizationResponse:
    """A successful authorization response to a request of ours, from its issuer.

    Only :func:`validate_answer` makes one, and only one of these can be exchanged.
    """

    code: str = field(repr=False)
    state: str = field(repr=False)
    issuer: str


def parse_callback(parameters: Mapping[str, str]) -> CallbackParameters:
    """Read the parameters of an authorization response.

    An answer with both a code and an error is an error.  Parameters that are not known are
    ignored (:rfc:`6749#section-4.1.2`).

    :raises StateMissing: if there is no ``state``.
    :raises ParameterInvalid: if a parameter is missing or malformed.
    """
    if "response" in parameters:
        raise ParameterInvalid("is a response mode that was not asked for", field="response")
    state = parameters.get("state")
    if not state:
        raise StateMissing(field="state")
    if not is_visible_ascii(state, MAX_STATE_LENGTH):
        raise ParameterInvalid("is not 1 to 512 visible ASCII characters", field="state")
    iss = parameters.get("iss") or None
    if iss is not None and not is_visible_ascii(iss, 2048):
        raise ParameterInvalid("is no issuer", field="iss")
    error = parameters.get("error") or None
    if error is not None:
        if not is_error_code(error):
            raise ParameterInvalid("is no error code", field="error")
        description = one_line(parameters.get("error_description", "")) or None
        return CallbackParameters(state=state, error=error, error_description=description, iss=iss)
    code = parameters.get("code", "")
    if not is_printable_ascii(code, MAX_CODE_LENGTH):
        raise ParameterInvalid(
            "must be given once, as 1 to 4096 printable ASCII characters", field="code"
        )
    return CallbackParameters(state=state, code=code, iss=iss)


def check_issuer(answer: CallbackParameters, *, issuer: str, owes_iss: bool) -> None:
    """Check that an answer comes from the tenant that was asked, before anything of it is read.

    :param owes_iss: whether the tenant announced ``iss`` when it was asked.
    :raises IssuerMismatch: if ``iss`` is another issuer's, or missing where it is owed.

    :rfc:`9207#section-2.4`
    """
    if answer.iss is None:
        if owes_iss:
            raise IssuerMissing()
    elif answer.iss != issuer:
        raise IssuerMismatch()


def validate_answer(
    answer: CallbackParameters, *, state: str, issuer: str, owes_iss: bool
) -> AuthorizationResponse:
    """Make an authorization response of an answer to the request with this state.

    :param issuer: the issuer that was asked.
    :param owes_iss: as for :func:`check_issuer`.
    :raises FlowError: if the state is another one.
    :raises IssuerMismatch: see :func:`check_issuer`.
    :raises TenantRefused: if the answer is an error, by its class where there is one.

    :rfc:`6749#section-4.1.2`
    """
    if answer.state != state:
        raise FlowError()
    check_issuer(answer, issuer=issuer, owes_iss=owes_iss)
    if answer.error is not None or answer.code is None:
        raise refusal(answer.error or "server_error", answer.error_description)
    return AuthorizationResponse(code=answer.code, state=state, issuer=issuer)


_REFUSALS: Mapping[str, type[TenantRefused]] = {
    cls.error: cls
    for cls in (
        AccessDenied,
        LoginRequired,
        ConsentRequired,
        InteractionRequired,
        AccountSelectionRequired,
        MFARequired,
    )
}


def refusal(error: str, description: str | None = None) -> TenantRefused:
    """The error class of a tenant's ``error``, told in our words and, shortened, in its own.

    :rfc:`6749#section-4.1.2.1`, OpenID Connect Core 3.1.2.6
    """
    cls = _REFUSALS.get(error, TenantRefused)
    detail = f"{cls.title} (The tenant says: {description})" if description else ""
    return cls(detail, error=error)
