"""What becomes of a connection."""

from __future__ import annotations

from typing import NoReturn

from .catalogue import Scene, fault


@fault("unreachable", "connect")
def _unreachable(nothing: None, scene: Scene) -> NoReturn:
    """Nobody listens: the request surely did not arrive (in process; stop one that serves)."""
    raise ConnectionRefusedError


@fault("dropped-before-request", "connect")
def _dropped_before_request(nothing: None, scene: Scene) -> NoReturn:
    """The connection drops before the tenant looked at the request, which nobody can know."""
    raise ConnectionAbortedError


@fault("dropped-after-request", "read")
def _dropped_after_request(nothing: None, scene: Scene) -> NoReturn:
    """The tenant acted on the request, and dropped the connection instead of an answer."""
    raise ConnectionResetError


@fault("silent", "read")
def _silent(nothing: None, scene: Scene) -> NoReturn:
    """The tenant acted on the request, and its answer never came."""
    raise TimeoutError
