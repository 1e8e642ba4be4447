"""Instructions of a sign-in, as valgrind's callgrind counts them: whatever else the machine does.

A child signs people in under callgrind, a few times and many times; the difference is what the
sign-ins need by themselves.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping

from .browser import Browser, in_process
from .contestants import Provider, field_of
from .processes import ROOT

#: Sign-ins of the two runs.
FEW, MANY = 5, 25

_COLLECTED = re.compile(r"Collected : (\d+)")


def instructions(name: str, provider: Provider, stores: Mapping[str, str]) -> float | None:
    """Instructions of one sign-in of a contestant; None without valgrind."""
    valgrind = shutil.which("valgrind")
    if valgrind is None:
        return None
    few, many = (_count(valgrind, name, provider, stores, times) for times in (FEW, MANY))
    return (many - few) / (MANY - FEW)


def _count(
    valgrind: str, name: str, provider: Provider, stores: Mapping[str, str], times: int
) -> int:
    task = json.dumps([name, provider.issuer, provider.ca_bundle, dict(stores), times])
    child = subprocess.run(
        [
            *(valgrind, "--tool=callgrind", "--callgrind-out-file=/dev/null"),
            *(sys.executable, "-m", "benchmarks.callgrind", task),
        ],
        cwd=ROOT,
        # The order of sets is that of all runs.
        env={**os.environ, "PYTHONHASHSEED": "0"},
        check=True,
        capture_output=True,
        text=True,
    )
    collected = _COLLECTED.search(child.stderr)
    assert collected is not None, child.stderr
    return int(collected[1])


def main() -> None:
    """Sign people in, as the task says."""
    name, issuer, ca_bundle, stores, times = json.loads(sys.argv[1])
    (contestant,) = (
        each for each in field_of(Provider(issuer, ca_bundle), stores) if each.name == name
    )
    wire = in_process(contestant.make_app(), [])
    for _ in range(times):
        contestant.sign_in(Browser(wire))


if __name__ == "__main__":
    main()
