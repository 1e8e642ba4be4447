"""What the browser brings back."""

from __future__ import annotations

from flask import Response

from .catalogue import ATTACKER, Scene, fault
from .spoiling import all_vschar, edited, without

Params = dict[str, str]


@fault("iss-response-wrong", "authorization_response")
def _iss_response_wrong(params: Params, scene: Scene) -> Params:
    """The authorization response names another issuer."""
    return params | {"iss": ATTACKER}


@fault("remove-authorization-response-iss", "authorization_response")
def _remove_authorization_response_iss(params: Params, scene: Scene) -> Params:
    """The authorization response names no issuer, though the metadata says that it does."""
    return without(params, "iss")


@fault("remove-authorization-response-iss", "metadata")
def _announce_iss(response: Response, scene: Scene) -> Response:
    name = "authorization_response_iss_parameter_supported"
    return edited(response, lambda members: members | {name: True})


@fault("ensure-authorization-response-with-invalid-state-fails", "authorization_response")
def _invalid_state(params: Params, scene: Scene) -> Params:
    """The authorization response has another state."""
    return params | {"state": "another-state"}


@fault("ensure-authorization-response-with-invalid-missing-state-fails", "authorization_response")
def _missing_state(params: Params, scene: Scene) -> Params:
    """The authorization response has no state."""
    return without(params, "state")


@fault("code-vschar", "code")
def _code_vschar(code: str, scene: Scene) -> str:
    """Codes have blanks and other characters that forms encode; to be accepted."""
    return all_vschar(code)


@fault("form-post-error", "authorization_response")
def _form_post_error(params: Params, scene: Scene) -> Params:
    """The authorization response is an error: nobody is signed in."""
    return without(params, "code") | {"error": "login_required"}
