"""What the model of the flows is made of: who calls, what is kept for them, what is answered."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf

FLOW_LIFETIME = 600
SESSION_LIFETIME = 86400
ANSWER_LIFETIME = 60
RENEWAL_PERIOD = 10
#: Seconds by which a tenant's clock may be ahead.
LEEWAY = 60
MAX_FLOWS = 20

#: The caller without a browser, and what stands for its session in states.
PROGRAM = "program"
LOCAL = "local"

STATUSES = {
    "access-denied": 400,
    "authorization-pending": 409,
    "code-spent": 400,
    "cookie-missing": 403,
    "cookie-outdated": 403,
    "cookie-renewed": 409,
    "cookies-blocked": 403,
    "delivery-refused": 400,
    "flow-code-differs": 409,
    "flow-redeeming": 409,
    "grant-refused": 400,
    "grant-unknown": 400,
    "id-token-invalid": 502,
    "refresh-token-reused": 400,
    "refresh-token-unknown": 400,
    "redemption-abandoned": 400,
    "session-mismatch": 403,
    "session-over": 400,
    "signed-out-meanwhile": 400,
    "state-cleared": 400,
    "state-evicted": 400,
    "state-expired": 400,
    "state-unknown": 400,
    "tenant-limit": 429,
    "tenant-nonsense": 502,
    "tenant-refused": 400,
    "tenant-silent": 504,
    "tenant-unreachable": 502,
    "ticket-spent": 400,
    "too-many-flows": 429,
}

#: What a fault of the token endpoint leads to.
FAULTS = {
    "unreachable": "tenant-unreachable",
    "silent": "tenant-silent",
    "token-500": "tenant-nonsense",
    "token-429": "tenant-limit",
    "token-invalid-grant": "grant-refused",
    "token-html": "tenant-nonsense",
    "invalid-sig-rs256": "id-token-invalid",
    "nonce-invalid": "id-token-invalid",
    "no-id-token": "id-token-invalid",
}
#: Those that hit before the tenant looks at anything.
EARLY = frozenset({"unreachable", "token-500", "token-429", "token-invalid-grant"})
#: Those after which the code is still good.
PUT_BACK = frozenset({"tenant-unreachable", "tenant-limit"})
#: Those that end a sign-in, at a refresh.
GRANT_ENDS = frozenset({"grant-refused", "id-token-invalid", "refresh-token-reused"})


@dataclass(frozen=True)
class Expected:
    """What must be answered: an error by its code, or one of the words of the machine."""

    what: str
    status: int
    sets_cookie: bool = False
    #: What the page behind a ticket tells, with the status of the error itself.
    failure: Refused | None = None


class Refused(Exception):
    """The request is refused, with the code of an error."""

    def __init__(self, code: str, status: int | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.status = status or STATUSES[code]


class RefusedAfterRenewal(Refused):
    """Refused, after the browser got a new cookie."""

    def __init__(self, refused: Refused, is_renewed: bool) -> None:
        super().__init__(refused.code, refused.status)
        self.is_renewed = is_renewed


@dataclass(eq=False)
class Code:
    """An authorization code that the tenant issued, or one that somebody made up."""

    value: str
    #: The flow whose authorization URL was opened.
    flow: Flow | None
    #: Who signed in.
    user: str
    #: When the user signed in at the tenant.
    authenticated_at: int = 0
    is_spent: bool = False
    #: The tenant took back what it was exchanged for.
    is_revoked: bool = False
    #: The last answer to its refresh token was lost.
    is_uncertain: bool = False


@dataclass(eq=False)
class Answer:
    """An answer of the tenant: a code, an error, or neither."""

    state: str
    code: Code | None = None
    is_error: bool = False


@dataclass(eq=False)
class Ticket:
    """An answer that waits for its browser."""

    address: str
    answer: Answer
    kept_at: int
    #: What its page tells, if the answer came to nothing.
    failure: Refused | None = None
    is_spent: bool = False
    #: Its time was over once: a clock that is set back does not bring it back.
    is_expired: bool = False


@dataclass(eq=False)
class Flow:
    """A flow; times are the model's own seconds."""

    state: str
    verifier: str
    created_at: int
    status: str = "started"
    url: str = ""
    code: Code | None = None
    failure: str = ""
    bound_at: float = -inf
    redeeming_until: int = 0

    @property
    def expires_at(self) -> int:
        """Whatever happens to it, here it ends."""
        return self.created_at + FLOW_LIFETIME

    def check_not_failed(self) -> None:
        """Refuse with the error of a flow that failed."""
        if self.status == "failed":
            raise Refused(self.failure, 400)

    def check_redeemable(self) -> None:
        """Refuse unless there is a code to be exchanged."""
        self.check_not_failed()
        if self.status in {"started", "sent"}:
            raise Refused("authorization-pending")
        if self.status == "redeeming":
            raise Refused("flow-redeeming")
        if self.status == "done":
            raise Refused("code-spent")

    def fail(self, code: str) -> None:
        """Fail, for everybody who asks later."""
        self.status, self.failure = "failed", code


@dataclass(eq=False)
class Session:
    """What is kept for one caller."""

    name: str
    created_at: int = 0
    #: Counts the pointers that were issued; only the last one opens it.
    pointer: int = 0
    renewed_at: float = -inf
    flows: list[Flow] = field(default_factory=list)
    #: The codes whose tokens it has, and whether their refresh tokens are still good.
    grants: list[Code] = field(default_factory=list)
    signed_in_until: int = 0
    expires_at: int = 0
    is_gone: bool = False

    @property
    def is_local(self) -> bool:
        """Whether all programs share it, which have no cookie."""
        return self.name == LOCAL

    def flow(self, state: str) -> Flow | None:
        """Its flow of that state."""
        return next((flow for flow in self.flows if flow.state == state), None)

    def saved(self, now: int) -> None:
        """It lives as long as the longest of what is in it."""
        ends = [self.signed_in_until, *(flow.expires_at for flow in self.flows)]
        self.expires_at = max(*ends, now + 1)


@dataclass(frozen=True)
class Cookie:
    """A pointer to a session; it opens it as long as it is the last that was issued."""

    session: Session
    pointer: int


@dataclass(frozen=True)
class Looked:
    """Who calls: a session, or why there is none."""

    session: Session | None
    fault: str = ""
    #: Whose states are those of this caller.
    names: tuple[str, ...] = ()
