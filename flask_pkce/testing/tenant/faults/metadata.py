"""What the discovery document says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from flask import Response

from .catalogue import ATTACKER, Scene, fault
from .spoiling import edited, without

Members = dict[str, Any]


def _enter(name: str, summary: str, change: Callable[[Members], Members]) -> None:
    """Enter a fault that changes some members."""

    @fault(name, "metadata", summary)
    def spoil(response: Response, scene: Scene) -> Response:
        return edited(response, lambda members: members | change(members))


def _enter_missing(name: str, member: str, summary: str) -> None:
    """Enter a fault that leaves a member out."""

    @fault(name, "metadata", summary)
    def spoil(response: Response, scene: Scene) -> Response:
        return edited(response, lambda members: without(members, member))


# -- the issuer --------------------------------------------------------------

_enter(
    "metadata-issuer-mismatch",
    "The metadata names another issuer.",
    lambda members: {"issuer": ATTACKER},
)
_enter(
    "metadata-issuer-http",
    "The metadata names the issuer with ``http``.",
    lambda members: {"issuer": members["issuer"].replace("https:", "http:")},
)
_enter(
    "metadata-issuer-without-slash",
    "The metadata names the issuer without its slash at the end.",
    lambda members: {"issuer": members["issuer"].rstrip("/")},
)
_enter(
    "metadata-issuer-list",
    "The metadata names the issuer in a list.",
    lambda members: {"issuer": [members["issuer"]]},
)
_enter_missing("metadata-missing-issuer", "issuer", "The metadata names no issuer.")

# -- the endpoints -----------------------------------------------------------

#: The metadata's endpoints, by the names they have in the names of faults.
ENDPOINTS = {
    "authorization-endpoint": "authorization_endpoint",
    "token-endpoint": "token_endpoint",
    "jwks-uri": "jwks_uri",
    "userinfo-endpoint": "userinfo_endpoint",
    "revocation-endpoint": "revocation_endpoint",
    "end-session-endpoint": "end_session_endpoint",
}
#: Those that no sign-in can do without.
NEEDED = ("authorization-endpoint", "token-endpoint", "jwks-uri")


def _enter_endpoint(name: str, member: str) -> None:
    """Enter what can be wrong with one endpoint."""
    _enter(
        f"metadata-foreign-{name}",
        f"The {member} lies on another host.",
        lambda members: {member: members[member].replace(members["issuer"], ATTACKER)},
    )
    _enter(
        f"metadata-http-{name}",
        f"The {member} is one without TLS.",
        lambda members: {member: members[member].replace("https:", "http:")},
    )
    _enter(
        f"metadata-wrong-type-{name}",
        f"The {member} is a list.",
        lambda members: {member: [members[member]]},
    )
    _enter_missing(f"metadata-missing-{name}", member, f"The metadata has no {member}.")


for _name, _member in ENDPOINTS.items():
    _enter_endpoint(_name, _member)

_enter(
    "metadata-endpoint-with-user",
    "The token endpoint has the tenant's host for a user name, and another host.",
    lambda members: {
        "token_endpoint": members["issuer"].rstrip("/") + "@attacker.example/oauth/token"
    },
)

# -- what it may say ---------------------------------------------------------

_enter(
    "metadata-other-types",
    "Members that are not needed are of another type; to be taken for absent.",
    lambda members: {
        "authorization_response_iss_parameter_supported": "yes",
        "id_token_signing_alg_values_supported": "RS256",
        "scopes_supported": 5,
        "response_types_supported": None,
    },
)
_enter(
    "metadata-other-algorithms",
    "The tenant signs with other algorithms than the application allows.",
    lambda members: {"id_token_signing_alg_values_supported": ["HS256", "none", "ES512"]},
)
_enter(
    "metadata-huge-member",
    "A member of the metadata has a mebibyte.",
    lambda members: {"op_policy_uri": "a" * 1024 * 1024},
)
