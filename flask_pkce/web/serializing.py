"""What the routes answer, made of flows and tokens."""

from __future__ import annotations

from flask import Request
from msgspec import UNSET, UnsetType

from ..protocol.authorization import AuthorizationRequest
from ..protocol.metadata import TenantMetadata
from ..protocol.pkce import CODE_CHALLENGE_METHOD
from ..protocol.token import AUTHORIZATION_CODE, TokenResponse
from ..relying_party.authorize import Sent
from ..relying_party.redeem import Redeemed
from ..sessions.flow import Flow, Status
from ..settings.model import Settings
from .models import (
    PKCE,
    PUBLISHED_SCOPES,
    Auth0,
    Challenge,
    OAuth,
    OAuthToken,
    Redirects,
    Result,
    Schema,
    Seed,
    TokenAsked,
    TokenizedPKCE,
    optional,
    published,
    schema_of,
    user_of,
)
from .urls import PublicURLs


class Answers:
    """Makes the answers of one blueprint, for one request.

    With delivery ``session`` what must stay on the server is left out here, in one place.
    """

    def __init__(self, settings: Settings, site: PublicURLs, request: Request) -> None:
        self._settings = settings
        self._site = site
        self._request = request

    def challenge(self, flow: Flow) -> PKCE:
        """The answer of ``GET /pkce/challenge``."""
        if self._settings.delivers_to_session or flow.code_verifier is None:
            return PKCE()
        return PKCE(
            challenge=Challenge(
                state=flow.state,
                nonce=flow.nonce,
                challenge=flow.code_challenge,
                verifier=flow.code_verifier,
                method=CODE_CHALLENGE_METHOD,
            )
        )

    def code(self, sent: Sent, flow: Flow, *, now: float, tells_result: bool) -> PKCE:
        """The answer of ``POST /pkce/code``.

        :param flow: as it is now: the caller may have waited.
        :param now: Unix seconds; what the tenant does not know any more is left out.
        :param tells_result: whether the caller may know the code of a flow that is bound.
        """
        request = flow.request
        left = sent.address.seconds_left(now=now)
        return PKCE(
            seed=UNSET if request is None else self._seed(flow, request, sent.tenant),
            auth0=self._auth0(sent.tenant, request),
            result=self._result(flow) if tells_result else UNSET,
            authorization_url=UNSET if left == 0 else optional(sent.authorization_url),
            request_uri_expires_in=left or UNSET,
        )

    def result(self, flow: Flow, schema: Schema | UnsetType) -> PKCE:
        """The answer of ``POST /pkce/response/code`` to a caller that wants JSON."""
        return PKCE(result=self._result(flow, schema))

    def redeemed(self, redeemed: Redeemed, asked: TokenizedPKCE) -> PKCE:
        """The answer of ``POST /pkce/token`` to a code."""
        request = redeemed.flow.request
        return PKCE(
            token=TokenAsked(
                grant_type=AUTHORIZATION_CODE,
                client_id=redeemed.tenant.client_id,
                code=redeemed.code,
                code_verifier=redeemed.code_verifier,
                redirect_uri=redeemed.redirect_uri,
                audience=optional(asked.audience),
                schema=asked.schema.complete() if asked.schema is not None else UNSET,
            ),
            auth0=self._auth0(redeemed.tenant, request, redeemed.response),
        )

    def tokens(self, tenant: TenantMetadata, response: TokenResponse) -> PKCE:
        """The answer of ``POST /pkce/token`` to a refresh token."""
        return PKCE(auth0=self._auth0(tenant, None, response))

    def user(self, tenant: TenantMetadata, claims: dict[str, object]) -> PKCE:
        """The answer of ``POST /pkce/token`` with delivery ``session``: who signed in."""
        auth0 = self._auth0(tenant, None)
        return PKCE(
            auth0=Auth0(
                domain=auth0.domain,
                client=auth0.client,
                audience=auth0.audience,
                redirects=auth0.redirects,
                oauth=auth0.oauth,
                user=user_of(claims),
            )
        )

    def _seed(
        self, flow: Flow, request: AuthorizationRequest, tenant: TenantMetadata
    ) -> Seed | UnsetType:
        if self._settings.delivers_to_session:
            return UNSET
        additional = {
            name: value
            for name, value in request.additional.items()
            if (name, value) in {("access_type", "offline"), ("display", "popup")}
            or name not in {"access_type", "display"}
        }
        return Seed(
            response_type="code",
            client_id=request.client_id,
            state=request.state,
            nonce=request.nonce,
            code_challenge=request.code_challenge,
            code_challenge_method=CODE_CHALLENGE_METHOD,
            scope=[scope for scope in request.scope if scope in PUBLISHED_SCOPES],
            redirect_uri=request.redirect_uri,
            response_mode=request.response_mode,
            domain=tenant.registration.domain,
            audience=optional(request.audience),
            screen_hint=published(request.screen_hint, "signup"),
            prompt=published(request.prompt, "login", "none"),
            organization=optional(request.organization),
            invitation=optional(request.invitation),
            additional=additional or UNSET,
            schema=schema_of(flow.schema),
        )

    def _result(self, flow: Flow, schema: Schema | UnsetType = UNSET) -> Result | UnsetType:
        if self._settings.delivers_to_session or flow.status is not Status.BOUND:
            return UNSET
        return Result(
            code=flow.response.code, state=flow.state, schema=schema or schema_of(flow.schema)
        )

    def _auth0(
        self,
        tenant: TenantMetadata,
        request: AuthorizationRequest | None,
        response: TokenResponse | None = None,
    ) -> Auth0:
        settings = self._settings
        audience = request.audience if request is not None else tenant.registration.audience
        return Auth0(
            domain=tenant.registration.domain,
            client=tenant.client_id,
            audience=audience or tenant.userinfo_endpoint or tenant.issuer,
            redirects=Redirects(
                authenticated=self._address(settings.authenticated_url),
                unauthenticated=self._address(settings.unauthenticated_url),
            ),
            oauth=OAuth(token=UNSET if response is None else _token(response)),
            user=UNSET if response is None else user_of(response.claims),
        )

    def _address(self, destination: str | None) -> str | UnsetType:
        if destination is None:
            return UNSET
        return self._site.address(destination, self._request)


def _token(response: TokenResponse) -> OAuthToken:
    return OAuthToken(
        access_token=response.access_token,
        expires_in=response.expires_in or 0,
        token_type="Bearer",
        scope=optional(" ".join(response.scope)),
        refresh_token=optional(response.refresh_token),
        id_token=optional(response.id_token),
    )
