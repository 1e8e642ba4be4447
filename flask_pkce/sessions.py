"""Load and save sessions, flows and answers: sealed, and by compare-and-set.

A *held* value is one as it was read; saving it succeeds only if nobody saved another meanwhile.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Collection, Iterator
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import msgspec

from .errors import (
    FlowError,
    FlowExpired,
    FlowGone,
    RecordUnreadable,
    SessionMismatch,
    TooManyFlows,
)
from .flow import Flow, Status, start_flow
from .protocol.authorization import Answer
from .protocol.pkce import VERIFIER_BYTES, base64url
from .sealing import Sealing
from .session import MAX_FLOWS, FlowEntry, Session
from .signing import ID_BYTES, SECRET_BYTES, STATE_BYTES, Pointer, Signing
from .stores import Store

#: Seconds that an answer waits for its browser to fetch it.
ANSWER_LIFETIME = 60
#: Bytes of a ticket.
_TICKET_BYTES = 32
#: What the values of this release begin with.
_VERSION = b"1"

T = TypeVar("T")


@dataclass(frozen=True)
class Held(Generic[T]):
    """A value as it was read from the store."""

    key: str
    value: T
    raw: bytes = field(repr=False)


class Sessions:
    """The sessions, flows and answers of one blueprint in one application.

    :param namespace: the blueprint's name; it begins every key.
    :param clock: returns Unix seconds.
    :param flow_lifetime: seconds that a flow lives.
    """

    def __init__(
        self,
        store: Store,
        sealing: Sealing,
        signing: Signing,
        *,
        namespace: str,
        clock: Callable[[], float],
        flow_lifetime: float,
    ) -> None:
        self._store = store
        self._sealing = sealing
        self._signing = signing
        self._namespace = namespace
        self._clock = clock
        self._flow_lifetime = flow_lifetime

    # -- sessions --------------------------------------------------------------

    def load(self, pointer: Pointer) -> Held[Session] | None:
        """The session that a pointer opens, if there is one."""
        held = self._get(self._session_key(pointer.session_id), Session)
        if held is None or held.value.is_local or not pointer.opens(held.value.secret_hash):
            return None
        return held

    def load_local(self) -> Held[Session] | None:
        """The session that all local callers without a cookie share, if there is one."""
        for session_id in self._local_ids():
            held = self._get(self._session_key(session_id), Session)
            if held is not None:
                return held
        return None

    def reload(self, held: Held[Session]) -> Held[Session] | None:
        """The session as it is now; None if it was cleared."""
        now_held = self._get(held.key, Session)
        if now_held is None or now_held.value.created_at != held.value.created_at:
            return None
        return now_held

    def update(
        self, held: Held[Session], change: Callable[[Session], Session]
    ) -> Held[Session] | None:
        """Change a session, again if somebody else changed it meanwhile.

        :return: the session as saved; None if it was cleared.
        """
        current: Held[Session] | None = held
        while current is not None:
            changed = change(current.value)
            saved = self._replace(current, changed, expires_at=changed.expires_at)
            if saved is not None:
                return saved
            current = self.reload(held)
        return None

    def take(self, held: Held[Session]) -> Session | None:
        """Remove a session and all its flows; returns what it was at the end."""
        raw = self._store.take(held.key)
        if raw is None:
            return None
        session = self._open(held.key, raw, Session)
        for entry in session.flows:
            self._store.delete(entry.key)
        return session

    def new_pointer(self, session: Session) -> Pointer:
        """A pointer that will open the session once its hash is saved."""
        return Pointer(session.id, os.urandom(SECRET_BYTES))

    # -- flows -----------------------------------------------------------------

    def start(
        self,
        held: Held[Session] | None,
        *,
        local: bool = False,
        state: str | None = None,
        own_nonce: bool = False,
    ) -> tuple[Held[Session], Held[Flow], Pointer | None]:
        """Start a flow, in a new session if there is none.

        :param local: whether a new session is the local one.
        :param state: the caller's own; by default one of ours.
        :param own_nonce: whether the nonce is a value of its own, and not the state.
        :return: the session, the flow, and the pointer of a new session.
        :raises TooManyFlows: if the session's flows are all bound or being redeemed.
        """
        pointer = None
        randomness = os.urandom(VERIFIER_BYTES * 2 + STATE_BYTES)
        if held is None:
            session, pointer = self._new_session(local=local)
        else:
            session = held.value
        now = self._clock()
        state = state or self._signing.sign_state(
            owner=session.owner, randomness=randomness[:STATE_BYTES], now=now
        )
        nonce = base64url(randomness[STATE_BYTES:-VERIFIER_BYTES]) if own_nonce else state
        flow = start_flow(
            state=state,
            nonce=nonce,
            randomness=randomness[-VERIFIER_BYTES:],
            now=now,
            lifetime=self._flow_lifetime,
        )
        key = self._flow_key(session, state)
        held_flow = self._add(key, flow, expires_at=flow.expires_at)
        if held_flow is None:
            # The caller's own state, twice at once.
            existing = self._flow_at(key)
            if held is None or existing is None:
                raise FlowGone()
            return held, existing, None
        entry = FlowEntry(held_flow.key, flow.expires_at)
        if held is None:
            added = self._add(
                self._session_key(session.id),
                session.with_flow(entry, now=now),
                expires_at=flow.expires_at,
            )
            if added is not None:
                return added, held_flow, pointer
            # Two first contacts of local callers at once, and the other was first.
            self._store.delete(held_flow.key)
            held = self.load_local() if local else None
            if held is None:
                raise FlowGone()
            return self.start(held, state=flow.state, own_nonce=own_nonce)
        saved = self._list_flow(held, entry)
        if saved is None:
            self._store.delete(held_flow.key)
            raise FlowGone()
        return saved, held_flow, None

    def _new_session(self, *, local: bool) -> tuple[Session, Pointer | None]:
        now = self._clock()
        if local:
            return (
                Session(
                    id=self._local_ids()[0], secret_hash="", created_at=now, signed_in_until=now
                ),
                None,
            )
        randomness = os.urandom(ID_BYTES + SECRET_BYTES)
        pointer = Pointer(base64url(randomness[:ID_BYTES]), randomness[ID_BYTES:])
        session = Session(
            id=pointer.session_id,
            secret_hash=pointer.secret_hash,
            created_at=now,
            signed_in_until=now,
        )
        return session, pointer

    def _list_flow(self, held: Held[Session], entry: FlowEntry) -> Held[Session] | None:
        """Put a flow on its session's list, where another may have to give way."""

        def change(session: Session) -> Session:
            listed = session.with_flow(entry, now=self._clock())
            if len(listed.flows) > MAX_FLOWS:
                listed = listed.without_flow(self._evict(session))
            return listed

        try:
            return self.update(held, change)
        except TooManyFlows:
            self._store.delete(entry.key)
            raise

    def _evict(self, session: Session) -> str:
        """Delete the flow that can best be spared, and tell its key.

        Finished ones go first, then unsent, then the oldest sent; never one that is bound or
        being redeemed.
        """
        order = {Status.DONE: 0, Status.FAILED: 0, Status.STARTED: 1, Status.SENT: 2}
        candidates = []
        for age, entry in enumerate(session.flows):
            held = self._flow_at(entry.key)
            if held is None:
                return entry.key
            if held.value.status in order:
                candidates.append((order[held.value.status], age, held))
        for _, _, held in sorted(candidates, key=lambda candidate: candidate[:2]):
            # Failed first, and only if it is as it was: it may be bound at this moment.
            if self.save(held, held.value.fail(FlowGone())) is not None:
                self._store.delete(held.key)
                return held.key
        raise TooManyFlows()

    def flow(self, held: Held[Session], state: str) -> Held[Flow] | None:
        """The session's flow with that state, if there is one."""
        return self._flow_at(self._flow_key(held.value, state))

    def flows(self, held: Held[Session]) -> Iterator[Held[Flow]]:
        """The session's flows, newest first."""
        for entry in reversed(held.value.flows):
            flow = self._flow_at(entry.key)
            if flow is not None:
                yield flow

    def save(self, held: Held[Flow], flow: Flow) -> Held[Flow] | None:
        """Save the next step of a flow; None if it is not as it was read, or gone."""
        return self._replace(held, flow, expires_at=flow.expires_at)

    def reload_flow(self, held: Held[Flow]) -> Held[Flow] | None:
        """The flow as it is now; None if it is gone."""
        return self._flow_at(held.key)

    def wait(self, held: Held[Flow], *, seconds: float) -> Held[Flow] | None:
        """Wait until a flow is not as it was read any more; None if it is gone."""
        raw = self._store.wait(held.key, held.raw, seconds)
        if raw is None or raw == held.raw:
            return None if raw is None else held
        return self._settle(Held(held.key, self._open(held.key, raw, Flow), raw))

    def missing(self, owners: Collection[str], state: str) -> FlowError | SessionMismatch:
        """Why no session has a flow with that state; nobody learns of another session's flows.

        :param owners: the :attr:`~flask_pkce.session.Session.owner` of each that was asked.
        :raises StateForged: if the state claims to be ours and is not.
        """
        signed = self._signing.read_state(state)
        if not owners or (signed is not None and not any(map(signed.is_of, owners))):
            return SessionMismatch()
        if signed is None:
            return FlowError()
        if signed.created_at + self._flow_lifetime <= self._clock():
            return FlowExpired()
        return FlowGone()

    def is_ours(self, state: str) -> bool:
        """Whether we signed this state, for whomever.

        :raises StateForged: if it claims to be ours and is not.
        """
        return self._signing.read_state(state) is not None

    def _flow_at(self, key: str) -> Held[Flow] | None:
        held = self._get(key, Flow)
        return None if held is None else self._settle(held)

    def _settle(self, held: Held[Flow]) -> Held[Flow] | None:
        """The flow, with its failure saved if a worker died while redeeming it."""
        settled = held.value.settled(now=self._clock())
        if settled is held.value:
            return held
        return self.save(held, settled) or self._get(held.key, Flow)

    # -- answers ---------------------------------------------------------------

    def keep(self, answer: Answer) -> str:
        """Keep an answer for the browser that brought it.

        :return: its ticket, of which only the hash is kept.
        """
        ticket = base64url(os.urandom(_TICKET_BYTES))
        self._add(self._answer_key(ticket), answer, expires_at=self._clock() + ANSWER_LIFETIME)
        return ticket

    def take_answer(self, ticket: str) -> Answer | None:
        """The answer of a ticket, to one caller only; None if it was taken or is too old."""
        key = self._answer_key(ticket)
        raw = self._store.take(key)
        return None if raw is None else self._open(key, raw, Answer)

    # -- records ---------------------------------------------------------------

    def _local_ids(self) -> tuple[str, ...]:
        return tuple(f"local-{name}" for name in self._signing.fingerprints)

    def _session_key(self, session_id: str) -> str:
        return f"{self._namespace}:s:{session_id}"

    def _flow_key(self, session: Session, state: str) -> str:
        digest = hashlib.sha256(f"{session.id} {session.created_at} {state}".encode()).digest()
        return f"{self._namespace}:f:{base64url(digest)}"

    def _answer_key(self, ticket: str) -> str:
        digest = hashlib.sha256(ticket.encode()).digest()
        return f"{self._namespace}:a:{base64url(digest)}"

    def _get(self, key: str, kind: type[T]) -> Held[T] | None:
        raw = self._store.get(key)
        return None if raw is None else Held(key, self._open(key, raw, kind), raw)

    def _add(self, key: str, value: T, *, expires_at: float) -> Held[T] | None:
        raw = self._seal(key, value)
        added = self._store.add(key, raw, max(expires_at - self._clock(), 1))
        return Held(key, value, raw) if added else None

    def _replace(self, held: Held[T], value: T, *, expires_at: float) -> Held[T] | None:
        raw = self._seal(held.key, value)
        ttl = max(expires_at - self._clock(), 1)
        replaced = self._store.replace(held.key, held.raw, raw, ttl)
        return Held(held.key, value, raw) if replaced else None

    def _seal(self, key: str, value: object) -> bytes:
        return self._sealing.seal(_VERSION + msgspec.json.encode(value), key=key)

    def _open(self, key: str, raw: bytes, kind: type[T]) -> T:
        data = self._sealing.unseal(raw, key=key)
        try:
            if data[:1] != _VERSION:
                raise RecordUnreadable("A record was written by another release.")
            return msgspec.json.decode(data[1:], type=kind)
        except msgspec.MsgspecError:
            raise RecordUnreadable("A record was written by another release.") from None
