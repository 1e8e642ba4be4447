"""Whether the process has file descriptors left.

Drivers report that they are exhausted in their own ways, or hide it: SQLite says that it cannot
open a file, and a resolver that a name is unknown.
"""

from __future__ import annotations

import errno
import os

_EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE})


def are_exhausted(error: BaseException) -> bool:
    """Return whether something failed because no file descriptor could be opened.

    Either the error, or one that led to it, says so; or no descriptor can be opened now.  Where
    another thread closed one in between, the second does not show.

    :param error: as it was caught, with what it came from.
    """
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _EXHAUSTED:
            return True
        cause = cause.__cause__ or cause.__context__
    try:
        os.close(os.open(os.devnull, os.O_RDONLY))
    except OSError as exc:
        return exc.errno in _EXHAUSTED
    return False
