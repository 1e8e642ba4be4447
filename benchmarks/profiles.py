"""Where the time of a sign-in goes, by the code that takes it, as Python's profiler sees it.

The profiler makes many small functions look dearer than they are; what it tells is the order.
"""

from __future__ import annotations

import cProfile
import pstats
import sysconfig
import time
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from .browser import Browser, in_process
from .contestants import Contestant
from .processes import ROOT

OTHER = "Python and its library"

_LIBRARIES = {
    "flask": "Flask and Werkzeug",
    "werkzeug": "Flask and Werkzeug",
    "blinker": "Flask and Werkzeug",
    "requests": "requests and urllib3",
    "urllib3": "requests and urllib3",
    "redis": "redis-py",
}
#: What is written in C has no file; some of it tells by its name what it is.
_IN_C = {"_ssl": "TLS", "cryptography": "cryptography", "sqlite3": "SQLite"}
_SITE = Path(sysconfig.get_path("purelib"))
_OURS = ROOT / "flask_pkce"

_Function = tuple[str, int, str]


def profile(contestant: Contestant, times: int) -> Counter[str]:
    """CPU seconds of one sign-in, by what the code belongs to."""
    app = contestant.make_app()
    profiler = cProfile.Profile(time.process_time)

    def profiled(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        return profiler.runcall(app, environ, start_response)

    contestant.sign_in(Browser(in_process(app, [])))
    for _ in range(times):
        contestant.sign_in(Browser(in_process(profiled, [])))
    taken: Counter[str] = Counter()
    statistics: Any = pstats.Stats(profiler)
    for function, (_, _, own, _, callers) in statistics.stats.items():
        group = _group(function)
        if group is not None or not callers:
            taken[group or OTHER] += own / times
            continue
        for caller, (_, _, own_there, _) in callers.items():
            taken[_group(caller) or OTHER] += own_there / times
    return taken


def _group(function: _Function) -> str | None:
    """What a function belongs to; None for one in C, which belongs to who calls it."""
    file, _, name = function
    if file == "~":
        return next((group for word, group in _IN_C.items() if word in name), None)
    path = Path(file)
    if path.is_relative_to(_OURS):
        first = path.relative_to(_OURS).parts[0]
        return f"flask_pkce: {first.removesuffix('.py')}"
    if path.is_relative_to(_SITE):
        first = path.relative_to(_SITE).parts[0]
        return _LIBRARIES.get(first, first.removesuffix(".py"))
    return OTHER
