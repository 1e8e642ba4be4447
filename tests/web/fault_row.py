"""A row of the table of faults: where a sign-in stops, what its caller hears, what is left."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

#: Where a sign-in stops, if it does.
Step = Literal["code", "callback", "token", "refresh", "nowhere"]


@dataclass(frozen=True)
class Row:
    """A fault, and what comes of it.

    :param code: our stable code of the error.
    :param detail: what its detail says, so that it is told for this reason and no other.
    :param error: where it is not the one of the error's class.
    :param flow: how far the flow is then.
    :param asked: how many token requests reach the tenant.
    :param revoked: how many refresh tokens are revoked.
    :param retry_after: seconds.
    :param delivery: the only delivery of which this is true.
    :param later: whether the fault begins when metadata and keys are known.
    :param seconds: how long a call may take, where the fault is that it takes longer.
    :param seed: what is asked for in the authorization request.
    :param settings: further settings of the application.
    """

    fault: str
    step: Step
    code: str = ""
    detail: str = ""
    error: str | None = None
    flow: str = "failed"
    asked: int = 1
    revoked: int = 0
    retry_after: int | None = None
    delivery: str | None = None
    later: bool = False
    seconds: float | None = None
    seed: Mapping[str, Any] = field(default_factory=dict)
    settings: Mapping[str, Any] = field(default_factory=dict)
