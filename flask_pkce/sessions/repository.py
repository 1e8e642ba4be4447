"""Load and save sessions, flows and answers, each step by compare-and-set."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field

from ..errors import (
    FlowError,
    FlowEvicted,
    FlowExpired,
    FlowGone,
    SessionMismatch,
    SessionRenewed,
    SignedOutMeanwhile,
    TooManyFlows,
)
from ..protocol.pkce import VERIFIER_BYTES, base64url
from .flow import Flow, Status, start_flow
from .records import Records, Stored
from .session import MAX_FLOWS, FlowEntry, Session
from .signing import ID_BYTES, SECRET_BYTES, STATE_BYTES, Pointer, SignedState, Signing


@dataclass(frozen=True)
class _Wish:
    """How a flow is to begin."""

    #: The caller's own; None for one of ours.
    state: str | None = field(repr=False)
    #: Whether the nonce is a value of its own, and not the state.
    own_nonce: bool
    #: The host to which a new session belongs.
    host: str | None


class Sessions:
    """The sessions and flows of one blueprint in one application.

    :param namespace: the blueprint's name; it begins every key.
    :param clock: returns Unix seconds.
    :param flow_lifetime: seconds that a flow lives.
    """

    def __init__(
        self,
        records: Records,
        signing: Signing,
        *,
        namespace: str,
        clock: Callable[[], float],
        flow_lifetime: float,
    ) -> None:
        self._records = records
        self._signing = signing
        self._namespace = namespace
        self._clock = clock
        self._flow_lifetime = flow_lifetime

    # -- sessions --------------------------------------------------------------

    def at(self, pointer: Pointer) -> Stored[Session] | None:
        """The session that a pointer is to, whether it still opens it or not."""
        return self._records.get(self._session_key(pointer.session_id), Session)

    def load(self, pointer: Pointer) -> Stored[Session] | None:
        """The session that a pointer opens, if there is one."""
        held = self.at(pointer)
        if held is None or not pointer.opens(held.value.secret_hash):
            return None
        return held

    def load_local(self) -> Stored[Session] | None:
        """The session that all local callers without a cookie share, if there is one."""
        for session_id in self._local_ids():
            held = self._records.get(self._session_key(session_id), Session)
            if held is not None:
                return held
        return None

    def reload(self, held: Stored[Session]) -> Stored[Session] | None:
        """The session as it is now; None if it was cleared."""
        now_held = self._records.get(held.key, Session)
        if now_held is None or now_held.value.created_at != held.value.created_at:
            return None
        return now_held

    def was_renewed(self, held: Stored[Session]) -> bool:
        """Whether another pointer opens the session since it was read.

        :raises SignedOutMeanwhile: if it was cleared.
        """
        now_held = self.reload(held)
        if now_held is None:
            raise SignedOutMeanwhile()
        return now_held.value.secret_hash != held.value.secret_hash

    def wait_for_change(self, held: Stored[Session], *, seconds: float) -> Stored[Session] | None:
        """The session once it is not as it was read any more, or after that time.

        :return: None if it was cleared.
        """
        waited = self._records.wait(held, seconds=seconds)
        if waited is None or waited.value.created_at != held.value.created_at:
            return None
        return waited

    def update(
        self, held: Stored[Session], change: Callable[[Session], Session]
    ) -> Stored[Session] | None:
        """Change a session, again if somebody else changed it meanwhile.

        :return: the session as saved; None if it was cleared.
        """
        current: Stored[Session] | None = held
        while current is not None:
            changed = change(current.value)
            saved = self._records.replace(current, changed, expires_at=changed.expires_at)
            if saved is not None:
                return saved
            current = self.reload(held)
        return None

    def take(self, held: Stored[Session]) -> Session | None:
        """Remove a session and all its flows; returns what it was at the end."""
        session = self._records.take(held.key, Session)
        for entry in session.flows if session is not None else ():
            self._records.delete(entry.key)
        return session

    def renew(
        self, held: Stored[Session], change: Callable[[Session], Session] = lambda session: session
    ) -> tuple[Stored[Session], Pointer | None]:
        """Change a session, and let a new pointer alone open it from now on.

        :return: the session as saved, and its pointer; the local session has none.
        :raises SessionRenewed: if somebody else renewed it meanwhile.
        :raises SignedOutMeanwhile: if it was cleared.
        """
        pointer = None
        if not held.value.is_local:
            pointer = Pointer(held.value.id, os.urandom(SECRET_BYTES))

        def renewed(session: Session) -> Session:
            if session.secret_hash != held.value.secret_hash:
                raise SessionRenewed()
            changed = change(session)
            if pointer is None:
                return changed
            return changed.renewed(secret_hash=pointer.secret_hash, now=self._clock())

        saved = self.update(held, renewed)
        if saved is None:
            raise SignedOutMeanwhile()
        return saved, pointer

    # -- flows -----------------------------------------------------------------

    def start(
        self,
        held: Stored[Session] | None,
        *,
        host: str | None = None,
        local: bool = False,
        state: str | None = None,
        own_nonce: bool = False,
        step: Callable[[Flow], Flow] = lambda flow: flow,
    ) -> tuple[Stored[Session], Stored[Flow], Pointer | None]:
        """Start a flow, in a new session if there is none.

        :param host: the host to which a new session belongs, in its canonical form.
        :param local: whether a new session is the local one, which belongs to no host.
        :param state: the caller's own; by default one of ours.
        :param own_nonce: whether the nonce is a value of its own, and not the state.
        :param step: what the flow goes through before it is saved for the first time.
        :return: the session, the flow, and the pointer of a new session.
        :raises TooManyFlows: if the session's flows are all bound or being redeemed.
        """
        wish = _Wish(state, own_nonce, host)
        # In no frame in which the application's code runs.
        del state
        return self._start(held, wish, local=local, step=step)

    def _start(
        self,
        held: Stored[Session] | None,
        wish: _Wish,
        *,
        local: bool,
        step: Callable[[Flow], Flow],
    ) -> tuple[Stored[Session], Stored[Flow], Pointer | None]:
        if held is None:
            return self._start_session(wish, local=local, step=step)
        flow = self._new_flow(held.value, wish, step=step)
        if flow is None:
            # The caller's own state, twice at once.
            flow = self.flow(held, wish.state or "")
            if flow is None:
                raise FlowGone()
            return held, flow, None
        saved = self._list_flow(held, FlowEntry(flow.key, flow.value.expires_at))
        if saved is None:
            self._records.delete(flow.key)
            raise FlowGone()
        return saved, flow, None

    def _start_session(
        self, wish: _Wish, *, local: bool, step: Callable[[Flow], Flow]
    ) -> tuple[Stored[Session], Stored[Flow], Pointer | None]:
        pointer = None if local else _random_pointer()
        now = self._clock()
        session = Session(
            id=self._local_ids()[0] if pointer is None else pointer.session_id,
            secret_hash="" if pointer is None else pointer.secret_hash,
            host=None if pointer is None else wish.host,
            created_at=now,
            signed_in_until=now,
        )
        flow = self._new_flow(session, wish, step=step)
        if flow is None:
            raise FlowGone()
        listed = session.with_flow(FlowEntry(flow.key, flow.value.expires_at), now=now)
        held = self._records.add(
            self._session_key(session.id), listed, expires_at=listed.expires_at
        )
        if held is not None:
            return held, flow, pointer
        # Two first contacts of local callers at once, and the other was first.
        self._records.delete(flow.key)
        other = self.load_local() if local else None
        if other is None:
            raise FlowGone()
        return self._start(other, wish, local=local, step=step)

    def _new_flow(
        self, session: Session, wish: _Wish, *, step: Callable[[Flow], Flow]
    ) -> Stored[Flow] | None:
        """Add a flow that is on no list yet; None if there is one with that state."""
        flow = self._make_flow(session, wish)
        key = self._flow_key(session, flow.state)
        return self._records.add(key, step(flow), expires_at=flow.expires_at)

    def _make_flow(self, session: Session, wish: _Wish) -> Flow:
        now = self._clock()
        randomness = os.urandom(VERIFIER_BYTES * 2 + STATE_BYTES)
        state = wish.state or self._signing.sign_state(
            owner=session.owner, randomness=randomness[:STATE_BYTES], now=now
        )
        own_nonce = base64url(randomness[STATE_BYTES:-VERIFIER_BYTES])
        return start_flow(
            state=state,
            nonce=own_nonce if wish.own_nonce else state,
            randomness=randomness[-VERIFIER_BYTES:],
            now=now,
            lifetime=self._flow_lifetime,
        )

    def _list_flow(self, held: Stored[Session], entry: FlowEntry) -> Stored[Session] | None:
        """Put a flow on its session's list, where another may have to give way."""

        def change(session: Session) -> Session:
            listed = session.with_flow(entry, now=self._clock())
            if len(listed.flows) > MAX_FLOWS:
                listed = listed.without_flow(self._evict(session))
            return listed

        try:
            return self.update(held, change)
        except TooManyFlows:
            self._records.delete(entry.key)
            raise

    def _evict(self, session: Session) -> str:
        """Delete the flow that can best be spared, and return its key.

        Finished flows go first, then unsent ones, then sent ones that another origin started,
        then the oldest sent one; a flow that is bound or being redeemed stays.

        :raises TooManyFlows: if all are bound or being redeemed.
        """
        candidates = []
        for age, entry in enumerate(session.flows):
            held = self._flow_at(entry.key)
            if held is None:
                return entry.key
            rank = _eviction_rank(held.value)
            if rank is not None:
                candidates.append((rank, age, held))
        for _, _, held in sorted(candidates, key=lambda candidate: candidate[:2]):
            # Failed first, and only if it is as it was: it may be bound at this moment.
            if self.save(held, held.value.fail(FlowGone())) is not None:
                self._records.delete(held.key)
                return held.key
        raise TooManyFlows()

    def flow(self, held: Stored[Session], state: str) -> Stored[Flow] | None:
        """The session's flow with that state, if there is one."""
        key = self._flow_key(held.value, state)
        # In no frame in which a store of the application's runs.
        del state
        return self._flow_at(key)

    def flows(self, held: Stored[Session]) -> Iterator[Stored[Flow]]:
        """The session's flows, newest first."""
        for entry in reversed(held.value.flows):
            flow = self._flow_at(entry.key)
            if flow is not None:
                yield flow

    def save(self, held: Stored[Flow], flow: Flow) -> Stored[Flow] | None:
        """Save the next step of a flow; None if it is not as it was read, or gone."""
        return self._records.replace(held, flow, expires_at=flow.expires_at)

    def reload_flow(self, held: Stored[Flow]) -> Stored[Flow] | None:
        """The flow as it is now; None if it is gone."""
        return self._flow_at(held.key)

    def wait(self, held: Stored[Flow], *, seconds: float) -> Stored[Flow] | None:
        """Wait until a flow is not as it was read any more; None if it is gone."""
        waited = self._records.wait(held, seconds=seconds)
        return None if waited is None else self._settle(waited)

    def missing(
        self, owners: Collection[str], state: str, *, asked: Collection[Session] = ()
    ) -> FlowError | SessionMismatch:
        """Why no session has a flow with that state; nobody learns of another session's flows.

        :param owners: the :attr:`~.session.Session.owner` of each that was asked.
        :param asked: their sessions, as far as there are any.
        :raises StateForged: if the state claims to be ours and is not.
        """
        signed = self._signing.read_state(state)
        if not owners or (signed is not None and not any(map(signed.is_of, owners))):
            return SessionMismatch()
        if signed is None:
            return FlowError()
        if self._is_expired(signed):
            return FlowExpired()
        if any(_has_evicted(session, signed) for session in asked):
            return FlowEvicted()
        return FlowGone()

    def is_ours(self, state: str) -> bool:
        """Whether we signed this state, for whomever.

        :raises StateForged: if it claims to be ours and is not.
        """
        return self._signing.read_state(state) is not None

    def check_state(self, state: str) -> bool:
        """Check that a flow with that state can still be under way.

        :return: whether the state is ours, as by :meth:`is_ours`.
        :raises StateForged: if it claims to be ours and is not.
        :raises FlowExpired: if it is ours, and older than a flow lives.
        """
        signed = self._signing.read_state(state)
        if signed is not None and self._is_expired(signed):
            raise FlowExpired()
        return signed is not None

    def _is_expired(self, signed: SignedState) -> bool:
        return signed.created_at + self._flow_lifetime <= self._clock()

    def _flow_at(self, key: str) -> Stored[Flow] | None:
        held = self._records.get(key, Flow)
        return None if held is None else self._settle(held)

    def _settle(self, held: Stored[Flow]) -> Stored[Flow] | None:
        """The flow, with its failure saved if a worker died while redeeming it.

        :return: None if it is over: a store keeps one that was saved in its last second longer.
        """
        if held.value.expires_at <= self._clock():
            return None
        settled = held.value.settled(now=self._clock())
        if settled is held.value:
            return held
        return self.save(held, settled) or self._records.get(held.key, Flow)

    # -- keys ------------------------------------------------------------------

    def _local_ids(self) -> tuple[str, ...]:
        return tuple(f"local-{name}" for name in self._signing.fingerprints)

    def _session_key(self, session_id: str) -> str:
        return f"{self._namespace}:s:{session_id}"

    def _flow_key(self, session: Session, state: str) -> str:
        digest = hashlib.sha256(f"{session.id} {session.created_at} {state}".encode()).digest()
        return f"{self._namespace}:f:{base64url(digest)}"


def _eviction_rank(flow: Flow) -> int | None:
    """How soon a flow gives way to a new one, the lowest rank first; None if it stays."""
    if flow.status is Status.SENT:
        return 2 if flow.is_foreign else 3
    return {Status.DONE: 0, Status.FAILED: 0, Status.STARTED: 1}.get(flow.status)


def _has_evicted(session: Session, state: SignedState) -> bool:
    """Whether a session was there when a state of its own was made, so that its flow gave way.

    Within one second the order is not known; it is told then by the list, which is full.
    """
    if not state.is_of(session.owner) or session.created_at >= state.created_at + 1:
        return False
    return session.created_at < state.created_at or len(session.flows) >= MAX_FLOWS


def _random_pointer() -> Pointer:
    randomness = os.urandom(ID_BYTES + SECRET_BYTES)
    return Pointer(base64url(randomness[:ID_BYTES]), randomness[ID_BYTES:])
