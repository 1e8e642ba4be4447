"""What the browser brings back."""

from __future__ import annotations

from .catalogue import ATTACKER, Scene, fault


@fault("iss-response-wrong", "authorization_response")
def _iss_response_wrong(params: dict[str, str], scene: Scene) -> dict[str, str]:
    """The authorization response names another issuer."""
    return params | {"iss": ATTACKER}
