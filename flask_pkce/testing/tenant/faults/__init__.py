"""What a tenant can do wrong, each under the name of its conformance test.

A fault is a small function at a named stage of the tenant's work: it gets what is about to be
used there, and returns it spoilt.  The names are those of the OpenID Foundation's suite where it
has one.  Another fault is another function in the module of its stage.
"""

# The order of the imports is that of the catalogue.
from . import (
    answers,
    authorization,
    claims,
    id_token,
    keys,
    metadata,
    other_endpoints,
    rotation,
    token_endpoint,
    transport,
)
from .catalogue import FAULTS, Fault, FaultSet, Scene, Stage

__all__ = [
    "FAULTS",
    "Fault",
    "FaultSet",
    "Scene",
    "Stage",
    "answers",
    "authorization",
    "claims",
    "id_token",
    "keys",
    "metadata",
    "other_endpoints",
    "rotation",
    "token_endpoint",
    "transport",
]
