"""Where a browser is sent to sign in, and the push that may come before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ..protocol.authorization import AuthorizationRequest, build_authorization_url
from ..protocol.metadata import TenantMetadata
from ..protocol.par import build_pushed_url
from ..protocol.urls import parse_address
from ..tenant.api import TenantAPI
from .hooks import HookRunner


@dataclass(frozen=True)
class AuthorizationURL:
    """An address for one browser."""

    #: Empty where there is none any more.
    url: str = field(repr=False)
    #: Unix seconds until which the tenant knows the request; None where the address has it all.
    expires_at: float | None = None

    def seconds_left(self, *, now: float) -> int | None:
        """Whole seconds for which it is good still; None as long as its flow.

        :param now: Unix seconds.
        """
        return None if self.expires_at is None else max(int(self.expires_at - now), 0)


class AuthorizationURLs:
    """Makes the addresses, by the host's own function where there is one.

    :param clock: returns Unix seconds.
    """

    def __init__(self, api: TenantAPI, hooks: HookRunner, *, clock: Callable[[], float]) -> None:
        self._api = api
        self._hooks = hooks
        self._clock = clock

    def make(
        self, tenant: TenantMetadata, request: AuthorizationRequest, *, is_answered: bool = False
    ) -> AuthorizationURL:
        """The address for a request, which is pushed anew each time where it is pushed at all.

        :param is_answered: whether its answer came already: then nothing is pushed.
        :raises ParameterInvalid: if the request is too large.
        :raises PKCEError: what the tenant says to a request that is pushed.
        :raises ValueError: if the host's function returned something else.

        :rfc:`9126#section-4`
        """
        url = self._hooks.replaced_authorize(request)
        if url is not None:
            try:
                parse_address(url)
            except ValueError as exc:
                # The state is in it, and error trackers show the variables of this frame.
                del url
                raise ValueError(
                    f"the authorize function returned an address that {exc}"
                ) from None
            return AuthorizationURL(url)
        if tenant.par_endpoint is None:
            return AuthorizationURL(build_authorization_url(tenant, request))
        if is_answered:
            return AuthorizationURL("")
        begun = self._clock()
        pushed = self._api.push(tenant, tenant.par_endpoint, request)
        return AuthorizationURL(build_pushed_url(tenant, pushed), begun + pushed.expires_in)
