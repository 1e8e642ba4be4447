"""What the discovery document says."""

from __future__ import annotations

from flask import Response

from .catalogue import ATTACKER, Scene, fault
from .spoiling import edited


@fault("metadata-issuer-mismatch", "metadata")
def _metadata_issuer_mismatch(response: Response, scene: Scene) -> Response:
    """The metadata names another issuer."""
    return edited(response, lambda members: members | {"issuer": ATTACKER})


@fault("metadata-foreign-token-endpoint", "metadata")
def _metadata_foreign_token_endpoint(response: Response, scene: Scene) -> Response:
    """The token endpoint lies on another host."""
    endpoint = f"{ATTACKER}oauth/token"
    return edited(response, lambda members: members | {"token_endpoint": endpoint})
