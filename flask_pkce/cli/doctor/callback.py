"""Whether the tenant knows our callback, which only an authorization request tells.

It asks for no interaction (``prompt=none``) and has no cookie, so the answer is an error, and
where the tenant sends it says enough.  It goes by no hook of the host's; nothing of it is kept.

OpenID Connect Core 3.1.2.1
"""

from __future__ import annotations

import secrets
from urllib.parse import parse_qs, urljoin, urlsplit

from ...errors import PKCEError
from ...protocol.authorization import AuthorizationRequest, build_authorization_url
from ...protocol.metadata import TenantMetadata
from ...protocol.pkce import code_challenge
from ...protocol.text import one_line
from ...tenant.registry import tenant_callback_url
from ...tenant.transport import TenantResponse
from .findings import Finding, Patient, doubtful, right, skipped, wrong

#: What a tenant says that would otherwise have asked the person something.
_EXPECTED = frozenset(
    {
        "account_selection_required",
        "consent_required",
        "interaction_required",
        "login_required",
    }
)


def callback(patient: Patient, tenant: TenantMetadata | None) -> Finding:
    """Ask the tenant, as a browser that has never been there."""
    if tenant is None:
        return skipped("callback", "There is no metadata that can be used.")
    callback_url = tenant_callback_url(
        patient.extension.site.callback_url(patient.request), tenant.name
    )
    try:
        url = build_authorization_url(tenant, _request(tenant, callback_url))
        answer = patient.relying_party.transport.visit(url)
    except PKCEError as exc:
        return skipped("callback", f"The tenant did not say: {exc}")
    if answer.status == 429 or answer.status >= 500:
        return skipped("callback", f"The tenant did not say: it answered {answer.status}.")
    location = urljoin(url, answer.headers.get("Location", ""))
    if not 300 <= answer.status < 400:
        return _of_page(patient, answer, callback_url)
    if location.partition("?")[0] == callback_url:
        return _of_answer(location, callback_url)
    return _of_another_place(patient, location, callback_url)


def _request(tenant: TenantMetadata, callback_url: str) -> AuthorizationRequest:
    return AuthorizationRequest(
        client_id=tenant.client_id,
        redirect_uri=callback_url,
        scope=tenant.registration.scope,
        audience=tenant.registration.audience,
        state=secrets.token_urlsafe(16),
        nonce=secrets.token_urlsafe(16),
        code_challenge=code_challenge(secrets.token_urlsafe(32)),
        # The answer is an address then, which tells where it would go.
        response_mode="query",
        prompt="none",
    )


def _of_answer(location: str, callback_url: str) -> Finding:
    """What came back to our callback, so it is known."""
    parameters = parse_qs(urlsplit(location).query)
    error = one_line(parameters.get("error", ["none"])[0])
    if "code" in parameters or error in _EXPECTED:
        return right("callback", f"The tenant knows the callback {callback_url}.")
    said = one_line(parameters.get("error_description", [""])[0])
    return wrong(
        "callback",
        f"The tenant knows the callback, and refuses the request: {error} {said}".rstrip(),
        "Compare what is asked for, such as scope and audience, with the registration there.",
    )


def _advice(patient: Patient, callback_url: str) -> str:
    guessed = "" if patient.public_url else ", or say with --url where users find you"
    return (
        f"Register {callback_url} at the tenant{guessed};"
        f" see that {patient.key('CLIENT_ID')} is right."
    )


def _of_page(patient: Patient, answer: TenantResponse, callback_url: str) -> Finding:
    """A page in place of a redirect: the tenant does not trust the address."""
    text = f"The tenant answers {answer.status} with a page: it sends nobody to {callback_url}."
    judge = wrong if answer.status >= 400 else doubtful
    return judge("callback", text, _advice(patient, callback_url))


def _of_another_place(patient: Patient, location: str, callback_url: str) -> Finding:
    parts = urlsplit(location)
    judge = wrong if "error" in parse_qs(parts.query) else doubtful
    text = f"The tenant sends a browser to {parts.netloc}{parts.path}, not to {callback_url}."
    return judge("callback", text, _advice(patient, callback_url))
