"""What an ID token says, signed well."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable
from typing import Any

from authlib.oidc.core.util import create_half_hash

from .catalogue import ATTACKER, Scene, fault
from .spoiling import without

Claims = dict[str, Any]
Change = Callable[[Claims, Scene], Claims]

#: A half hash of anything but what it should be one of.
OTHER_HASH = "A" * 22


def _enter(name: str, summary: str, change: Change) -> None:
    """Enter a fault that changes some claims."""

    @fault(name, "id_token_claims", summary)
    def spoil(claims: Claims, scene: Scene) -> Claims:
        return claims | change(claims, scene)


def _enter_missing(name: str, claim: str, summary: str) -> None:
    """Enter a fault that leaves a claim out."""

    @fault(name, "id_token_claims", summary)
    def spoil(claims: Claims, scene: Scene) -> Claims:
        return without(claims, claim)


def _is_refresh(scene: Scene) -> bool:
    return scene.code is None


def _half_hash(value: str) -> str:
    return (create_half_hash(value, "RS256") or b"").decode()


# -- issuer and subject ------------------------------------------------------

_enter("invalid-iss", "The ID token names another issuer.", lambda c, s: {"iss": ATTACKER})
_enter(
    "invalid-iss-substring",
    "The ID token names an issuer that begins like the right one.",
    lambda c, s: {"iss": f"{s.issuer}more"},
)
_enter(
    "invalid-iss-without-slash",
    "The ID token names the issuer without its slash at the end.",
    lambda c, s: {"iss": s.issuer.rstrip("/")},
)
_enter_missing("invalid-missing-iss", "iss", "The ID token names no issuer.")
_enter_missing("missing-sub", "sub", "The ID token has no subject.")
_enter("sub-empty", "The subject of the ID token is empty.", lambda c, s: {"sub": ""})
_enter(
    "sub-too-long",
    "The subject of the ID token has 256 characters.",
    lambda c, s: {"sub": "a" * 256},
)
_enter("sub-number", "The subject of the ID token is a number.", lambda c, s: {"sub": 5})

# -- audience ----------------------------------------------------------------

_enter(
    "invalid-aud",
    "The ID token is meant for another client.",
    lambda c, s: {"aud": "another-client"},
)
_enter_missing("missing-aud", "aud", "The ID token does not say whom it is meant for.")
_enter(
    "invalid-secondary-aud",
    "The ID token is meant for another client as well.",
    lambda c, s: {"aud": [c["aud"], "another-client"], "azp": c["aud"]},
)
_enter(
    "valid-aud-as-array",
    "The audience of the ID token is a list of one; to be accepted.",
    lambda c, s: {"aud": [c["aud"]]},
)
_enter(
    "invalid-azp",
    "The ID token was issued to another client.",
    lambda c, s: {"azp": "another-client"},
)

# -- times -------------------------------------------------------------------

_enter_missing("missing-iat", "iat", "The ID token does not tell when it was issued.")
_enter(
    "iat-in-future",
    "The ID token was issued an hour from now.",
    lambda c, s: {"iat": s.now + 3600, "exp": s.now + 7200},
)
_enter(
    "iat-is-week-in-past",
    "The ID token was issued a week ago.",
    lambda c, s: {"iat": s.now - 604800},
)
_enter(
    "expired",
    "The ID token expired an hour ago.",
    lambda c, s: {"iat": s.now - 7200, "exp": s.now - 3600},
)
_enter(
    "invalid-expired-exp",
    "The ID token, issued now, expired six minutes ago.",
    lambda c, s: {"exp": s.now - 360},
)
_enter_missing("invalid-missing-exp", "exp", "The ID token does not tell when it expires.")
_enter(
    "times-float",
    "The times in the ID token have fractions of a second; to be accepted.",
    lambda c, s: {name: c[name] + 0.25 for name in ("exp", "iat", "auth_time")},
)
_enter(
    "exp-text", "The ID token tells in text when it expires.", lambda c, s: {"exp": str(c["exp"])}
)
_enter(
    "nbf-in-future",
    "The ID token is good only an hour from now.",
    lambda c, s: {"nbf": s.now + 3600},
)
_enter_missing(
    "missing-auth-time", "auth_time", "The ID token does not tell when the user authenticated."
)
_enter(
    "stale-auth-time",
    "The user authenticated a day ago, whatever was asked for.",
    lambda c, s: {"auth_time": s.now - 86400},
)

# -- what ties it to its request and to its access token ---------------------

_enter(
    "nonce-invalid",
    "The ID token has the nonce of another request.",
    lambda c, s: {"nonce": "another-nonce"},
)
_enter_missing("missing-nonce", "nonce", "The ID token has no nonce, though one was sent.")
_enter(
    "nonce-is-state",
    "The nonce of the ID token is the state of the request.",
    lambda c, s: {"nonce": s.code.state if s.code else None},
)
_enter(
    "invalid-athash",
    "The ID token belongs to another access token.",
    lambda c, s: {"at_hash": OTHER_HASH},
)
_enter_missing("missing-athash", "at_hash", "The ID token has no at_hash; to be accepted.")
_enter(
    "invalid-chash", "The ID token belongs to another code.", lambda c, s: {"c_hash": OTHER_HASH}
)
_enter(
    "valid-chash",
    "The ID token has a ``c_hash``, which nobody asked for; to be accepted.",
    lambda c, s: {"c_hash": _half_hash(s.code.code)} if s.code else {},
)
_enter(
    "invalid-shash", "The ID token belongs to another state.", lambda c, s: {"s_hash": OTHER_HASH}
)
_enter(
    "valid-shash",
    "The ID token has an ``s_hash``, which nobody asked for; to be accepted.",
    lambda c, s: {"s_hash": _half_hash(s.code.state or "")} if s.code else {},
)


# -- organization ------------------------------------------------------------

_enter(
    "org-id-wrong",
    "The user signed in to another organization.",
    lambda c, s: {"org_id": "org_mallory"},
)
_enter_missing("org-id-missing", "org_id", "The ID token tells no organization.")
_enter(
    "org-id-list",
    "The ID token tells several organizations.",
    lambda c, s: {"org_id": [c["org_id"], "org_mallory"]},
)
_enter(
    "org-name-wrong",
    "The user signed in to an organization of another name.",
    lambda c, s: {"org_name": "mallory"},
)
_enter(
    "org-name-other-case",
    "The name of the organization is in capitals; to be accepted.",
    lambda c, s: {"org_name": c["org_name"].upper()},
)
_enter(
    "org-name-decomposed",
    "The name of the organization has its accents apart; to be accepted.",
    lambda c, s: {"org_name": unicodedata.normalize("NFD", c["org_name"])},
)

# -- claims that are kept elsewhere ------------------------------------------

_enter(
    "aggregated-claims",
    "Some claims of the ID token are in another token; to be left alone.",
    lambda c, s: {
        "_claim_names": {"address": "src"},
        "_claim_sources": {"src": {"JWT": "e30.e30."}},
    },
)
_enter(
    "distributed-claims",
    "Some claims of the ID token are said to lie at ``/elsewhere``; never to be fetched.",
    lambda c, s: {
        "_claim_names": {"address": "src"},
        "_claim_sources": {"src": {"endpoint": f"{s.issuer}elsewhere", "access_token": "a"}},
    },
)

# -- at a refresh ------------------------------------------------------------

_enter(
    "refresh-token-invalid-issuer",
    "A refreshed ID token names another issuer.",
    lambda c, s: {"iss": ATTACKER} if _is_refresh(s) else {},
)
_enter(
    "refresh-token-invalid-sub",
    "A refreshed ID token is somebody else's.",
    lambda c, s: {"sub": "auth0|mallory"} if _is_refresh(s) else {},
)
_enter(
    "refresh-token-invalid-aud",
    "A refreshed ID token is meant for another client.",
    lambda c, s: {"aud": "another-client"} if _is_refresh(s) else {},
)
_enter(
    "refresh-token-invalid-nonce",
    "A refreshed ID token has another nonce than the one of the sign-in.",
    lambda c, s: {"nonce": "another-nonce"} if _is_refresh(s) else {},
)
