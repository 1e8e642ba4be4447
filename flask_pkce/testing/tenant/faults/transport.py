"""What becomes of a connection, in process only."""

from __future__ import annotations

from typing import NoReturn

from requests import ConnectionError as RequestsConnectionError
from requests import PreparedRequest, ReadTimeout
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import MaxRetryError, NewConnectionError, ReadTimeoutError

from .catalogue import Scene, fault


@fault("unreachable", "connect")
def _unreachable(request: PreparedRequest, scene: Scene) -> NoReturn:
    """Nobody listens: the request surely did not arrive."""
    pool = HTTPConnectionPool("tenant.example")
    reason = NewConnectionError(HTTPConnection("tenant.example"), "connection refused")
    raise RequestsConnectionError(MaxRetryError(pool, str(request.url), reason), request=request)


@fault("silent", "read")
def _silent(request: PreparedRequest, scene: Scene) -> NoReturn:
    """The tenant acted on the request, and its answer never came."""
    pool = HTTPConnectionPool("tenant.example")
    reason = ReadTimeoutError(pool, str(request.url), "Read timed out.")
    raise ReadTimeout(reason, request=request)
