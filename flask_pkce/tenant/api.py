"""The calls to the tenant: token, pushed request, revocation, discovery and keys."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from ..errors import BodyTooLarge, PKCEError, TenantError, TenantLimit
from ..protocol.authorization import AuthorizationRequest
from ..protocol.client_auth import ASSERTION_ID_BYTES, Credentials, build_credentials
from ..protocol.id_token import VerificationKey, parse_key_set
from ..protocol.metadata import ClientAuth, ClientRegistration, TenantMetadata, parse_metadata
from ..protocol.par import PushedRequest, build_pushed_form, parse_pushed_response
from ..protocol.token import (
    TokenRequest,
    build_revocation_form,
    build_token_form,
    parse_token_error,
)
from .places import Places, Use
from .transport import TenantResponse, Transport

#: Seconds to which the time that a tenant asks us to wait is clamped.
MIN_RETRY_AFTER, MAX_RETRY_AFTER = 1, 300

T = TypeVar("T")


@dataclass(frozen=True)
class _Post:
    """A form for an endpoint of the tenant, with our credentials in it."""

    url: str
    form: Mapping[str, str] = field(repr=False)
    credentials: Credentials


class TenantAPI:
    """Calls the tenants, each no more often at once than its ``max_calls`` says.

    Every method that calls a tenant raises :class:`~flask_pkce.errors.TenantBusy`, and calls
    nothing, where too many calls are under way.

    :param clock: returns Unix seconds.
    :param monotonic: returns seconds that never go back.
    :param randomness: returns as many random bytes as it is asked for.
    :param observe: is told of every call: which endpoint of which issuer, the seconds it took, the
        status that was answered and the code of the error that it ended with, or None for either.
    """

    def __init__(
        self,
        transport: Transport,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        randomness: Callable[[int], bytes] = secrets.token_bytes,
        observe: Callable[[str, str, float, int | None, str | None], None] | None = None,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._monotonic = monotonic
        self._randomness = randomness
        self._observe = observe
        self._places = Places()

    @property
    def timeout(self) -> float:
        """Seconds that one call may take."""
        return self._transport.timeout

    def waiting(self, registration: ClientRegistration) -> AbstractContextManager[None]:
        """Hold a place of a tenant while the block waits for a call that another thread makes.

        :raises TenantBusy: at once, if there are no more.
        """
        return self._places.take(registration, Use.WAIT)

    def discover(self, registration: ClientRegistration) -> TenantMetadata:
        """Fetch and check the tenant's metadata.

        :raises TenantMisconfigured: if it does not fit the settings.
        :raises TenantError: if it cannot be had.

        OpenID Connect Discovery 4
        """
        return self._call(
            "discovery",
            registration,
            registration.issuer,
            lambda: self._transport.get(registration.discovery_url),
            lambda answer: parse_metadata(self._document(answer), registration),
        )

    def fetch_keys(self, tenant: TenantMetadata) -> tuple[VerificationKey, ...]:
        """Fetch the keys that ID tokens are signed with.

        :raises TenantError: if they cannot be had.

        :rfc:`7517#section-5`
        """
        return self._call(
            "keys",
            tenant.registration,
            tenant.issuer,
            lambda: self._transport.get(tenant.jwks_uri),
            self._read_keys,
        )

    def _read_keys(self, answer: TenantResponse) -> tuple[VerificationKey, ...]:
        try:
            return parse_key_set(self._document(answer))
        except ValueError as exc:
            raise TenantError(f"The tenant's keys are unusable: {exc}.") from None

    def _document(self, answer: TenantResponse) -> dict[str, Any]:
        self._check_limit(answer)
        if answer.status != 200:
            raise TenantError(f"The tenant answered {answer.status} where a document should be.")
        return answer.json()

    def request_token(self, tenant: TenantMetadata, request: TokenRequest) -> Mapping[str, Any]:
        """Ask for tokens, once.

        :return: the answer, of which nothing is checked but that it is one.
        :raises TenantUnreachable: if the request surely never arrived.
        :raises TenantSilent: if it may have.
        :raises TenantLimit: if there were too many.
        :raises PKCEError: by the tenant's ``error``, see
            :func:`~flask_pkce.protocol.token.parse_token_error`.

        :rfc:`6749#section-5`
        """
        credentials = self._credentials(tenant)
        post = _Post(tenant.token_endpoint, build_token_form(request, credentials), credentials)
        return self._call(
            "token",
            tenant.registration,
            tenant.issuer,
            lambda: self._send(post),
            lambda answer: self._read_success(answer, post),
        )

    def _send(self, post: _Post) -> TenantResponse:
        return self._transport.post(post.url, post.form, post.credentials.headers)

    def _read_success(
        self,
        answer: TenantResponse,
        post: _Post,
        *,
        good: tuple[int, ...] = (200,),
    ) -> Mapping[str, Any]:
        self._check_limit(answer)
        document = answer.json()
        if answer.status not in good:
            raise parse_token_error(
                document,
                status=answer.status,
                sent=post.form,
                secrets=post.credentials.secrets,
            )
        return document

    def push(
        self, tenant: TenantMetadata, url: str, request: AuthorizationRequest
    ) -> PushedRequest:
        """Leave an authorization request with the tenant, for a browser to take up.

        :param url: the tenant's endpoint for that.
        :raises ParameterInvalid: if it is more than the tenant takes.
        :raises BodyTooLarge: if the tenant says so.
        :raises PKCEError: as :meth:`request_token`; nothing is used up by any of it.

        :rfc:`9126#section-2`
        """
        credentials = self._credentials(tenant)
        post = _Post(url, build_pushed_form(request, credentials), credentials)
        return self._call(
            "par",
            tenant.registration,
            tenant.issuer,
            lambda: self._send(post),
            lambda answer: self._read_pushed(answer, post),
        )

    def _read_pushed(self, answer: TenantResponse, post: _Post) -> PushedRequest:
        if answer.status == 413:
            raise BodyTooLarge("The authorization request is larger than the tenant takes.")
        # Some answer 200, as to a token request.
        return parse_pushed_response(self._read_success(answer, post, good=(201, 200)))

    def revoke(self, tenant: TenantMetadata, refresh_token: str) -> bool:
        """Revoke a refresh token; revocations have half of the tenant's places.

        :return: whether the tenant said so; a token that it does not know counts.
        :raises TenantError: if it cannot be reached.

        :rfc:`7009#section-2`
        """
        url = tenant.revocation_endpoint
        if url is None:
            return False
        credentials = self._credentials(tenant)
        post = _Post(url, build_revocation_form(refresh_token, credentials), credentials)
        return self._call(
            "revocation",
            tenant.registration,
            tenant.issuer,
            lambda: self._send(post),
            lambda answer: answer.status == 200,
            use=Use.REVOCATION,
        )

    def _credentials(self, tenant: TenantMetadata) -> Credentials:
        """New ones for each request: an assertion that comes twice is refused."""
        is_signed = tenant.client_auth is ClientAuth.PRIVATE_KEY_JWT
        return build_credentials(
            tenant,
            now=self._clock(),
            randomness=self._randomness(ASSERTION_ID_BYTES) if is_signed else b"",
        )

    def _call(
        self,
        endpoint: str,
        registration: ClientRegistration,
        issuer: str,
        send: Callable[[], TenantResponse],
        read: Callable[[TenantResponse], T],
        *,
        use: Use = Use.CALL,
    ) -> T:
        """Send a request and read its answer, and tell the observer how it went.

        :param use: what kind of place it takes.
        :raises TenantBusy: if there is none; nothing is sent.
        """
        begun = self._monotonic()
        status = error = None
        try:
            with self._places.take(registration, use):
                answer = send()
            status = answer.status
            return read(answer)
        except PKCEError as exc:
            # The observer may raise, and is told while the error is handled.
            exc.forget_frames()
            error = exc.code
            raise
        finally:
            if self._observe is not None:
                self._observe(endpoint, issuer, self._monotonic() - begun, status, error)

    def _check_limit(self, answer: TenantResponse) -> None:
        if answer.status == 429:
            raise TenantLimit(retry_after=self._retry_after(answer.headers))

    def _retry_after(self, headers: Mapping[str, str]) -> int:
        """Seconds to wait: ``Retry-After`` if it is a number, else until ``x-ratelimit-reset``."""
        wait = headers.get("Retry-After", "")
        if wait.isascii() and wait.isdigit():
            return _clamp(int(wait[:9]))
        reset = headers.get("x-ratelimit-reset", "")
        if reset.isascii() and reset.isdigit():
            return _clamp(int(reset[:15]) - int(self._clock()))
        return TenantLimit.retry_after or MAX_RETRY_AFTER


def _clamp(seconds: int) -> int:
    return min(max(seconds, MIN_RETRY_AFTER), MAX_RETRY_AFTER)
