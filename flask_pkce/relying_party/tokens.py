"""One token request: hooks, the call, the ID token, hooks; and how it is undone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ..errors import (
    FileDescriptorsExhausted,
    IDTokenInvalid,
    PKCEError,
    TenantError,
    TenantLimit,
    TenantUnreachable,
)
from ..log_events import REVOCATION_FAILED
from ..protocol.id_token import Expectation
from ..protocol.metadata import TenantMetadata
from ..protocol.token import (
    TokenRequest,
    TokenResponse,
    Tokens,
    parse_token_response,
    read_refresh_token,
)
from ..sessions.session import AccessToken, Grant
from ..tenant.api import TenantAPI
from ..tenant.cache import Tenant
from ..tenant.registry import Tenants
from .hooks import HookRunner

#: Seconds that a worker may need besides the call to the tenant, before it counts as dead.
_MARGIN = 10


def with_tokens(
    grant: Grant, response: TokenResponse, *, audience: str | None, now: float
) -> Grant:
    """A sign-in that keeps what it was given, for the host's views.

    :param audience: the API that was asked for in place of that of the sign-in.
    :param now: Unix seconds.
    """
    kept = AccessToken(
        token=response.access_token,
        audience=audience,
        scope=response.scope,
        expires_at=None if response.expires_in is None else now + response.expires_in,
    )
    with_id_token = dataclasses.replace(grant, id_token=response.id_token or grant.id_token)
    return with_id_token.with_access_token(kept)


@dataclass(frozen=True)
class _Answer:
    """A successful answer of the token endpoint, in which nothing was checked yet.

    The frame that keeps it stays in tracebacks, and error trackers record variables by their repr.
    """

    document: Mapping[str, Any] = field(repr=False)


class Exchange:
    """Obtains tokens from the tenant, and takes them back.

    :param clock: returns Unix seconds.
    """

    def __init__(
        self,
        api: TenantAPI,
        tenants: Tenants,
        hooks: HookRunner,
        *,
        clock: Callable[[], float],
    ) -> None:
        self._api = api
        self._tenants = tenants
        self._hooks = hooks
        self._clock = clock

    def deadline(self) -> float:
        """Unix seconds by which an exchange that begins now has ended, or its worker died."""
        return self._clock() + self._api.timeout + _MARGIN

    def prepare(self, known: Tenant) -> TenantMetadata:
        """Make sure of a tenant's metadata and keys before anything is used up.

        :raises TenantError: if they cannot be had.
        """
        tenant = known.get()
        known.keys()
        return tenant

    def obtain(
        self,
        known: Tenant,
        request: TokenRequest,
        expected: Expectation,
        *,
        scope: tuple[str, ...],
        grant: Grant | None = None,
    ) -> TokenResponse:
        """Ask for tokens once, and verify the ID token before any hook sees them.

        :param scope: what was asked for.
        :param grant: at a refresh, the sign-in whose claims a response without ID token repeats.
        :raises PKCEError: what the tenant, the verification or a hook says; a refresh token that
            was issued nevertheless is revoked.  A tenant that does not rotate may repeat that of
            the sign-in; it stays good if the response was only unusable or not to be checked.
        """
        tenant = known.get()
        request = self._hooks.before_token(request)
        answer = self._request_tokens(tenant, request)
        try:
            tokens = parse_token_response(answer.document, requested_scope=scope)
            return self._hooks.after_token(self._verify(known, tokens, expected, grant))
        except BaseException as exc:
            if isinstance(exc, PKCEError):
                exc.forget_frames()
            if not (_repeats_refresh_token(answer, grant) and _leaves_sign_in(exc)):
                self.revoke(tenant, read_refresh_token(answer.document))
            if isinstance(exc, TenantUnreachable | TenantLimit | FileDescriptorsExhausted):
                # Of the keys, perhaps.  As it is, it would say that the code is still good.
                raise TenantError("The tokens were issued and could not be checked.") from exc
            raise

    def _request_tokens(self, tenant: TenantMetadata, request: TokenRequest) -> _Answer:
        """Ask for tokens, by the application's own function where there is one."""
        ask = self._hooks.token_function or partial(self._api.request_token, tenant)
        try:
            return _Answer(ask(request))
        except PKCEError as exc:
            exc.forget_frames()
            raise

    def _verify(
        self,
        known: Tenant,
        tokens: Tokens,
        expected: Expectation,
        grant: Grant | None,
    ) -> TokenResponse:
        claims: Mapping[str, Any] | None = None if grant is None else grant.claims
        if tokens.id_token is not None:
            claims = known.verify(
                tokens.id_token, expected, access_token=tokens.access_token, now=self._clock()
            )
        if claims is None:
            raise IDTokenInvalid("The token response has no ID token.")
        return TokenResponse(
            access_token=tokens.access_token,
            expires_in=tokens.expires_in,
            scope=tokens.scope,
            refresh_token=tokens.refresh_token,
            id_token=tokens.id_token,
            claims=claims,
        )

    def revoke_all(self, grants: Iterable[Grant]) -> bool:
        """Take back the refresh tokens of sign-ins that are over, as far as that goes.

        Nothing more is tried after the first failure, or once ``PKCE_TIMEOUT`` seconds have
        passed.

        :return: whether the tenants said that all of it is done.
        """
        until = self._clock() + self._api.timeout
        return all(
            self._clock() < until and self._revoke_grant(grant)
            for grant in grants
            if grant.refresh_token
        )

    def _revoke_grant(self, grant: Grant) -> bool:
        tenant = self._tenants.usable_metadata(grant)
        return tenant is not None and self.revoke(tenant, grant.refresh_token)

    def revoke(self, tenant: TenantMetadata, refresh_token: str | None) -> bool:
        """Take a refresh token back at the tenant, as far as that goes.

        :return: whether the tenant said that it is done.
        """
        if refresh_token is None:
            return True
        try:
            revoked = self._api.revoke(tenant, refresh_token)
        except (TenantError, FileDescriptorsExhausted) as exc:
            REVOCATION_FAILED.log(exc.code, tenant=tenant.issuer, error=exc.code)
            return False
        if not revoked:
            REVOCATION_FAILED.log(
                "the tenant did not revoke a refresh token", tenant=tenant.issuer
            )
        return revoked


def _repeats_refresh_token(answer: _Answer, grant: Grant | None) -> bool:
    """Return whether a response has the refresh token that the sign-in has already."""
    refresh_token = read_refresh_token(answer.document)
    if grant is None or refresh_token is None:
        return False
    return grant.has_refresh_token(refresh_token)


def _leaves_sign_in(exc: BaseException) -> bool:
    """Return whether a response was only unusable, or could not be checked."""
    is_of_tenant = isinstance(exc, TenantError | TenantLimit | FileDescriptorsExhausted)
    return is_of_tenant and not isinstance(exc, IDTokenInvalid)
