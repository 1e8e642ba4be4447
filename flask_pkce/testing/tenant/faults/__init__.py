"""What a tenant can do wrong, each under the name of its conformance test.

A fault is a small function at a named stage of the tenant's work: it gets what is about to be
used there, and returns it spoilt.  The names are those of the OpenID Foundation's suite where it
has one.  Another fault is another function in the module of its stage.
"""

# The order of the imports is that of the catalogue.
from . import (  # isort: skip
    claims,
    id_token,
    token_endpoint,
    userinfo,
    metadata,
    keys,
    authorization,
    transport,
)
from .catalogue import FAULTS, Fault, FaultSet, Scene, Stage

__all__ = [
    "FAULTS",
    "Fault",
    "FaultSet",
    "Scene",
    "Stage",
    "authorization",
    "claims",
    "id_token",
    "keys",
    "metadata",
    "token_endpoint",
    "transport",
    "userinfo",
]
