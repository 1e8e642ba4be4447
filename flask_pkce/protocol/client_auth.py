"""How we authenticate at the tenant.

:rfc:`6749#section-2.3`, :rfc:`7523`, OpenID Connect Core 9
"""

from __future__ import annotations

import json
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import quote

from .metadata import ClientAuth, TenantMetadata
from .pkce import base64url

if TYPE_CHECKING:
    from .client_key import ClientKey

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#: Seconds that an assertion is good for; Auth0 advises a minute, and takes no more than five.
ASSERTION_LIFETIME = 60
#: Bytes of randomness that tell one assertion from another.
ASSERTION_ID_BYTES = 24


@dataclass(frozen=True)
class Credentials:
    """What goes with one request to the tenant, and proves who sends it."""

    #: Fields of the form.
    fields: Mapping[str, str] = field(repr=False)
    #: Headers of the request.
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    #: What is secret in the headers.
    secrets: tuple[str, ...] = field(default=(), repr=False)


def build_credentials(tenant: TenantMetadata, *, now: float, randomness: bytes) -> Credentials:
    """Make the credentials of one request, by the one method that the tenant is used with.

    They are for a single attempt: an assertion is taken once.  Nothing of them is ever in an
    address.

    :param now: Unix seconds.
    :param randomness: 24 bytes that no other request has; only an assertion needs them.

    :rfc:`6749#section-2.3.1`, :rfc:`7523#section-2.2`
    """
    registration = tenant.registration
    client_id = registration.client_id
    match tenant.client_auth:
        case ClientAuth.PRIVATE_KEY_JWT if registration.client_key is not None:
            return Credentials(
                {
                    "client_id": client_id,
                    "client_assertion_type": ASSERTION_TYPE,
                    "client_assertion": _assertion(
                        tenant, registration.client_key, now=now, randomness=randomness
                    ),
                }
            )
        case ClientAuth.CLIENT_SECRET_BASIC if registration.client_secret is not None:
            return _basic(client_id, registration.client_secret)
        case ClientAuth.CLIENT_SECRET_POST if registration.client_secret is not None:
            return Credentials(
                {"client_id": client_id, "client_secret": registration.client_secret}
            )
    return Credentials({"client_id": client_id})


def _basic(client_id: str, client_secret: str) -> Credentials:
    """The header of ``client_secret_basic``.

    Id and secret are form-urlencoded first.  A space is ``%20``, which those understand who
    decode a form, and those who do not know that it is one.

    :rfc:`6749#section-2.3.1`
    """
    pair = f"{quote(client_id, safe='')}:{quote(client_secret, safe='')}"
    encoded = b64encode(pair.encode("ascii")).decode("ascii")
    return Credentials({}, {"Authorization": f"Basic {encoded}"}, (encoded, client_secret))


def _assertion(tenant: TenantMetadata, key: ClientKey, *, now: float, randomness: bytes) -> str:
    """A signed assertion, whose only audience is the issuer, so that no other server can use it.

    Auth0 takes at most 2048 bytes, and 64 characters of ``jti``, ``iss`` and ``sub``.

    :rfc:`7523#section-3`, draft-ietf-oauth-security-topics-update 2.1
    """
    algorithm = tenant.assertion_algorithm or key.algorithms[0]
    header = {"alg": algorithm, "typ": "JWT", **({"kid": key.kid} if key.kid else {})}
    claims = {
        "iss": tenant.client_id,
        "sub": tenant.client_id,
        "aud": tenant.issuer,
        "jti": base64url(randomness),
        "iat": int(now),
        "exp": int(now) + ASSERTION_LIFETIME,
    }
    parts = (json.dumps(part, separators=(",", ":")).encode() for part in (header, claims))
    signed = ".".join(base64url(part) for part in parts)
    return f"{signed}.{base64url(key.sign(signed.encode('ascii'), algorithm))}"
