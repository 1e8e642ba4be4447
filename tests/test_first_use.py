"""What many threads of a new process do at the same moment."""

from __future__ import annotations

import subprocess
import sys

import pytest

#: Sixteen threads write and read each kind of record, and each body, first and all at once.
FIRST_USE = """
import sys, threading
from flask_pkce import MemoryStore
from flask_pkce.sessions.flow import Flow, start_flow
from flask_pkce.sessions.pending_callbacks import PendingCallback
from flask_pkce.protocol.authorization import CallbackParameters
from flask_pkce.sessions.records import Records
from flask_pkce.sessions.encryption import Encryption
from flask_pkce.sessions.session import Session
from flask_pkce.relying_party.relying_party import CODECS
from flask_pkce.web.models import read_schema, read_seed, read_token_body

records = Records(MemoryStore(), Encryption([b"the key" * 5]), CODECS, clock=lambda: 0)
values = [
    Session(id="id", secret_hash="hash", created_at=0, signed_in_until=0),
    start_flow(state="state", nonce="nonce", randomness=bytes(32), now=0, lifetime=60),
    PendingCallback(answer=CallbackParameters(state="state")),
]
together = threading.Barrier(16)
read = []

def use(number):
    together.wait()
    for value in values:
        key = f"{type(value).__name__} {number}"
        records.add(key, value, expires_at=60)
        assert records.get(key, type(value)).value == value
    read_seed({"scope": ["openid"], "schema": {"migration": 1, "semantic": "1.0.0"}})
    read_token_body({"code": "code"})
    read_schema("{}")
    read.append(True)

threads = [threading.Thread(target=use, args=(number,)) for number in range(16)]
sys.setswitchinterval(1e-6)
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
sys.exit(len(read) != 16)
"""


@pytest.mark.parametrize("_", range(4))
def test_many_threads_at_first(_: int) -> None:
    """A worker whose first requests come all at once does not crash."""
    child = subprocess.run(
        [sys.executable, "-c", FIRST_USE], check=False, capture_output=True, text=True
    )
    assert child.returncode == 0, child.stderr
