"""A small OpenID Provider in process or on loopback, for tests and the demo."""

from .browser import Browser, SignInRefused
from .faults import FAULTS
from .local import LocalTenant
from .models import AuthorizationAnswer, RecordedRequest, TenantClient, TenantUser

__all__ = [
    "FAULTS",
    "AuthorizationAnswer",
    "Browser",
    "LocalTenant",
    "RecordedRequest",
    "SignInRefused",
    "TenantClient",
    "TenantUser",
]
