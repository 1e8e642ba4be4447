"""What a caller asks for, checked against the settings, becomes an authorization request."""

from __future__ import annotations

import re
from collections.abc import Mapping
from urllib.parse import quote_plus

from ..errors import (
    DeliveryRefused,
    FlowConflict,
    ParameterForeign,
    ParameterInvalid,
    ScopeInvalid,
)
from ..protocol.authorization import AuthorizationRequest
from ..protocol.metadata import TenantMetadata
from ..sessions.flow import Flow
from ..settings.model import Settings
from ..web.models import SeededPKCE

#: The ``ADDITIONAL_PARAMETERS`` that a caller may send, with the values they may have.
ADDITIONAL: Mapping[str, re.Pattern[str]] = {
    "access_type": re.compile(r"offline|online"),
    "display": re.compile(r"page|popup|touch|wap"),
    "connection": re.compile(r".{1,128}"),
    "login_hint": re.compile(r".{1,500}"),
    "ui_locales": re.compile(r"[A-Za-z0-9\- ]{1,128}"),
    "max_age": re.compile(r"[0-9]{1,9}"),
    "acr_values": re.compile(r"[\x21-\x7e ]{1,500}"),
}
#: Any other that begins like this.
EXTENSION = re.compile(r"ext-[A-Za-z0-9_\-]{1,32}")
_MAXEXTENSIONS = 10
#: Characters that a caller's parameters may need in the authorization URL, which has 4000.
MAX_LENGTH = 2500


def build_request(
    seed: SeededPKCE, flow: Flow, *, settings: Settings, tenant: TenantMetadata, callback_url: str
) -> AuthorizationRequest:
    """Make the authorization request of a flow.

    What the seed leaves out comes from the flow, then from the settings.

    :param callback_url: our own callback, always an allowed redirect URI.
    :raises RequestError: if the seed asks for anything that is not configured; the field is
        named.
    """
    registration = tenant.registration
    return AuthorizationRequest(
        client_id=tenant.client_id,
        redirect_uri=seed.redirect_uri or callback_url,
        scope=tuple(dict.fromkeys(seed.scope or registration.scope)),
        state=flow.state,
        nonce=seed.nonce or flow.nonce,
        code_challenge=seed.code_challenge or flow.code_challenge,
        response_mode=seed.response_mode or registration.response_mode,
        audience=_audience(seed, tenant) or registration.audience,
        organization=seed.organization or registration.organization,
        invitation=seed.invitation,
        prompt=seed.prompt,
        screen_hint=seed.screen_hint,
        acr_values=_contexts(seed, tenant),
        additional=_additional(seed, settings, tenant),
    )


def check_seed(
    seed: SeededPKCE, *, settings: Settings, tenant: TenantMetadata, callback_url: str
) -> None:
    """Check what a caller asks for, before anything is changed.

    :raises RequestError: as :func:`build_request`.
    """
    _check_length(seed)
    if seed.client_id not in {None, tenant.client_id}:
        raise ParameterForeign("is not the client of this tenant", field="$.client_id")
    if seed.redirect_uri not in {None, callback_url, *tenant.registration.redirect_uris}:
        raise ParameterForeign("is not an allowed redirect URI", field="$.redirect_uri")
    if seed.scope is not None:
        if not tenant.registration.scopes_allowed.issuperset(seed.scope):
            raise ParameterForeign("asks for more than is allowed", field="$.scope")
        if "openid" not in seed.scope:
            raise ScopeInvalid(field="$.scope")
    _audience(seed, tenant)
    organizations = tenant.registration.organizations
    if organizations and seed.organization not in {None, *organizations}:
        raise ParameterForeign("is not an allowed organization", field="$.organization")
    _contexts(seed, tenant)
    _additional(seed, settings, tenant)
    if settings.delivers_to_session:
        for name in ("code_challenge", "nonce", "redirect_uri"):
            if getattr(seed, name) is not None:
                raise DeliveryRefused(field=f"$.{name}")


def _check_length(seed: SeededPKCE) -> None:
    """Leave room in the address for what is ours, before a flow is started for nothing."""
    named = [getattr(seed, name) for name in ("state", "nonce", "redirect_uri", "audience")]
    texts = [*named, seed.prompt, seed.organization, seed.invitation, *(seed.scope or ())]
    texts += [text for pair in seed.additional.items() for text in pair]
    if sum(len(quote_plus(str(text))) for text in texts if text is not None) > MAX_LENGTH:
        raise ParameterInvalid(
            f"has parameters that need more than {MAX_LENGTH} characters", field="$"
        )


def _audience(seed: SeededPKCE, tenant: TenantMetadata) -> str | None:
    # With no audience, answers tell the userinfo endpoint; clients send it back.
    if seed.audience is None or seed.audience == tenant.userinfo_endpoint:
        return None
    if seed.audience not in tenant.registration.audiences_allowed:
        raise ParameterForeign("is not an allowed audience", field="$.audience")
    return seed.audience


def _contexts(seed: SeededPKCE, tenant: TenantMetadata) -> tuple[str, ...]:
    """The authentication contexts that are demanded; a caller may ask for some of them."""
    demanded = tenant.registration.acr_values
    asked = tuple(str(seed.additional.get("acr_values", "")).split())
    if not demanded or not asked:
        return demanded
    if not set(asked) <= set(demanded):
        raise ParameterForeign(
            "asks for other contexts than are demanded",
            field="$.ADDITIONAL_PARAMETERS.acr_values",
        )
    return asked


def _additional(seed: SeededPKCE, settings: Settings, tenant: TenantMetadata) -> dict[str, str]:
    parameters: dict[str, str] = {}
    for name, given in seed.additional.items():
        field = f"$.ADDITIONAL_PARAMETERS.{name}"
        value = str(given)
        if name in ADDITIONAL:
            if ADDITIONAL[name].fullmatch(value) is None:
                raise ParameterInvalid("has a value that it may not have", field=field)
        elif EXTENSION.fullmatch(name) is None and name not in settings.additional_parameters:
            raise ParameterForeign("is no parameter that can be passed on", field=field)
        if name != "acr_values" or not tenant.registration.acr_values:
            parameters[name] = value
    if sum(name.startswith("ext-") for name in parameters) > _MAXEXTENSIONS:
        raise ParameterInvalid(
            f"has more than {_MAXEXTENSIONS} ext- parameters", field="$.ADDITIONAL_PARAMETERS"
        )
    return parameters


def check_same(seed: SeededPKCE, flow: Flow, *, tenant: TenantMetadata) -> None:
    """Check that a caller who sends a state again asks for nothing else.

    :raises FlowConflict: with the field that differs.
    """
    if flow.request is None:
        return
    sent = {**flow.request.parameters(), **flow.requested}
    asked = {
        "client_id": seed.client_id,
        "redirect_uri": seed.redirect_uri,
        "scope": " ".join(dict.fromkeys(seed.scope)) if seed.scope else None,
        "nonce": seed.nonce,
        "code_challenge": seed.code_challenge,
        "response_mode": seed.response_mode,
        "audience": None if seed.audience == tenant.userinfo_endpoint else seed.audience,
        "organization": seed.organization,
        "invitation": seed.invitation,
        "prompt": seed.prompt,
        "screen_hint": seed.screen_hint,
        **{name: str(value) for name, value in seed.additional.items()},
    }
    for name, value in asked.items():
        if value is not None and sent.get(name) != value:
            where = f"ADDITIONAL_PARAMETERS.{name}" if name in seed.additional else name
            raise FlowConflict(field=f"$.{where}")


def changed_by_hooks(
    original: AuthorizationRequest, changed: AuthorizationRequest
) -> dict[str, str]:
    """The parameters that hooks changed, as the caller had asked for them."""
    if changed is original:
        return {}
    after = changed.parameters()
    return {
        name: value for name, value in original.parameters().items() if after.get(name) != value
    }
