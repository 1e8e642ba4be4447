"""What a host registered, in which order; and the signals that tell observers.

A hook gets a value and returns a changed copy, or None to leave it be, or raises to refuse.
Signals only tell: what a receiver returns is ignored.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from blinker import Namespace

from ..errors import PKCEError
from ..log_events import SIGNAL_RECEIVER_FAILED
from ..protocol.authorization import (
    AuthorizationRequest,
    AuthorizationResponse,
    validate_changed_request,
)
from ..protocol.token import (
    TokenRequest,
    TokenResponse,
    validate_changed_token_request,
    validate_changed_token_response,
)

_signals = Namespace()

#: Sent when a browser is sent to the tenant, with ``request``.
authorization_requested = _signals.signal("authorization-requested")
#: Sent when an answer was bound to its flow, with ``response``.
authorization_answered = _signals.signal("authorization-answered")
#: Sent when somebody signed in, with ``response``.
signed_in = _signals.signal("signed-in")
#: Sent when tokens were refreshed, with ``response``.
token_refreshed = _signals.signal("token-refreshed")
#: Sent when a route answers with an error, with ``error``.
failed = _signals.signal("failed")
#: Sent when a session was cleared, with ``revoked``: whether the tenant took back its tokens.
signed_out = _signals.signal("signed-out")
#: Sent when a call to the tenant ended, well or not, with ``call``.
tenant_called = _signals.signal("tenant-called")

T = TypeVar("T")
Hook = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class TenantCall:
    """A call of this server to the tenant, as observers are told of it.

    There is no secret in it, and no address but the issuer's.
    """

    #: ``token``, ``par`` (a pushed request), ``revocation``, ``discovery`` (the metadata) or
    #: ``keys``.
    endpoint: str
    #: The issuer; for ``discovery`` as :confval:`PKCE_DOMAIN` has it.
    issuer: str
    #: Seconds from the beginning until the answer was read.
    seconds: float
    #: The HTTP status; None if no answer came, or one that is not read, such as a redirect.
    status: int | None
    #: The code of the error that the call ended with, see :doc:`errors`; None if it ended well.
    error: str | None


@dataclass
class Hooks:
    """The hooks of one blueprint; each list in order of registration."""

    before_authorize: list[Hook] = field(default_factory=list)
    after_authorize: list[Hook] = field(default_factory=list)
    before_token: list[Hook] = field(default_factory=list)
    after_token: list[Hook] = field(default_factory=list)
    on_error: list[Hook] = field(default_factory=list)
    #: Replaces how the authorization URL is made.
    authorize: Hook | None = None
    #: Replaces the call to the token endpoint.
    token: Hook | None = None
    #: Tells which tenant is used, and makes tenants of the host's own.
    tenant_loader: Hook | None = None


class HookRunner:
    """Runs the hooks of a blueprint in one application.

    :param ensure_sync: makes an ``async`` hook callable, as Flask's views are.
    :param sender: what the signals come from: the application.
    """

    def __init__(
        self, hooks: Hooks, *, ensure_sync: Callable[[Hook], Hook], sender: object
    ) -> None:
        self._hooks = hooks
        self._ensure_sync = ensure_sync
        self._sender = sender

    def _change(self, hooks: list[Hook], value: T, validate: Callable[[T | None, T], T]) -> T:
        """Let hooks change a value, one after the other."""
        for hook in hooks:
            # What the hook returned is in no variable: it may hold tokens.
            value = validate(self._ensure_sync(hook)(value), value)
        return value

    def _tell(self, hooks: list[Hook], value: object) -> None:
        """Tell hooks of a value, whatever they return."""
        for hook in hooks:
            self._ensure_sync(hook)(value)

    def before_authorize(self, request: AuthorizationRequest) -> AuthorizationRequest:
        """Let hooks change an authorization request."""
        return self._change(self._hooks.before_authorize, request, validate_changed_request)

    def after_authorize(self, response: AuthorizationResponse) -> None:
        """Tell hooks of an answer that was bound."""
        self._tell(self._hooks.after_authorize, response)

    def before_token(self, request: TokenRequest) -> TokenRequest:
        """Let hooks change a token request."""
        return self._change(self._hooks.before_token, request, validate_changed_token_request)

    def after_token(self, response: TokenResponse) -> TokenResponse:
        """Let hooks use, change or refuse a token response whose ID token was verified."""
        return self._change(self._hooks.after_token, response, validate_changed_token_response)

    def on_error(self, error: PKCEError) -> None:
        """Tell hooks of an error that a route answers with."""
        self._tell(self._hooks.on_error, error)

    def replaced_authorize(self, request: AuthorizationRequest) -> str | None:
        """The authorization URL that the host's own function makes; None if there is none."""
        if self._hooks.authorize is None:
            return None
        return str(self._ensure_sync(self._hooks.authorize)(request))

    @property
    def token_function(self) -> Callable[[TokenRequest], Mapping[str, Any]] | None:
        """The application's own function that requests tokens, if it has one.

        It raises :exc:`TypeError` if it returns something other than a mapping.
        """
        function = self._hooks.token
        return None if function is None else partial(self._request_token, function)

    def _request_token(self, function: Hook, request: TokenRequest) -> Mapping[str, Any]:
        document = self._ensure_sync(function)(request)
        if not isinstance(document, Mapping):
            # It may hold tokens, and error trackers show the variables of this frame.
            del document
            raise TypeError("a token function returns the JSON object that the tenant answered")
        return document

    @property
    def tenant_loader(self) -> Callable[[str | None], object] | None:
        """The host's `tenant_loader`, if it has one; it takes None for a sign-in that starts."""
        loader = self._hooks.tenant_loader
        return None if loader is None else self._ensure_sync(loader)

    def tell_of_call(
        self, endpoint: str, issuer: str, seconds: float, status: int | None, error: str | None
    ) -> None:
        """Send `tenant_called`, if anybody listens."""
        if tenant_called.receivers:
            call = TenantCall(
                endpoint=endpoint, issuer=issuer, seconds=seconds, status=status, error=error
            )
            self.tell(tenant_called, call=call)

    def tell(self, signal: Any, **values: object) -> None:
        """Send a signal; a receiver that raises is logged, and changes nothing."""
        for receiver in signal.receivers_for(self._sender):
            try:
                receiver(self._sender, **values)
            except Exception:
                SIGNAL_RECEIVER_FAILED.log(signal.name, signal=signal.name, exc_info=True)
