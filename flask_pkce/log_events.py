"""What is logged: each line is one of these events, with fields under stable names.

The text of a line is ``code: what happened``.  The fields are attributes of its record whose names
begin with ``pkce_``, so that they do not clash with attributes of `logging` or of other libraries.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from .protocol.text import one_line

#: What the name of every field begins with.
PREFIX = "pkce_"

#: Seconds that lie between two lines of one kind, where an event limits them.
LIMIT_PERIOD = 60.0


class Limit:
    """Lets one line of a kind through in a period, and counts the lines it leaves out.

    Threads share it; each process has its own.  It keeps two numbers for each kind.

    :param period: seconds.
    :param clock: returns monotonic seconds.
    """

    def __init__(
        self, period: float = LIMIT_PERIOD, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._period = period
        self._clock = clock
        self._lock = threading.Lock()
        #: When each kind was logged last, and how many lines were left out since.
        self._kinds: dict[str, tuple[float, int]] = {}

    def admit(self, kind: str) -> int | None:
        """Decide whether a line is logged.

        :param kind: one of a bounded number, and never a caller's own text.
        :return: how many lines were left out since the last one; None to leave this one out.
        """
        with self._lock:
            now = self._clock()
            logged_at, suppressed = self._kinds.get(kind, (now - self._period, 0))
            if now - logged_at < self._period:
                self._kinds[kind] = (logged_at, suppressed + 1)
                return None
            self._kinds[kind] = (now, 0)
            return suppressed

    def clear(self) -> None:
        """Log the next line of every kind."""
        with self._lock:
            self._kinds.clear()


@dataclass(frozen=True)
class LogEvent:
    """One kind of line.

    :param name: stable; it is in the field ``pkce_event``.
    :param logger: ``flask_pkce``, or one below it.
    :param level: by default; an error that is answered with 5xx is logged as one.
    :param fields: the names of its further fields, without the prefix.
    :param limit: limits its lines of level WARNING, of which anonymous requests cause any number;
        the kinds are the codes.
    """

    name: str
    logger: logging.Logger
    level: int
    fields: tuple[str, ...]
    limit: Limit | None = None

    def log(
        self,
        text: str,
        *,
        code: str | None = None,
        level: int | None = None,
        exc_info: bool = False,
        **fields: str | int | None,
    ) -> None:
        """Log a line, if its logger is enabled for its level and its limit lets it through.

        :param text: what happened; of a stranger's text one line remains.
        :param code: what the line begins with, by default the name.
        :param fields: those of this event; None leaves one out.
        """
        level = self.level if level is None else level
        if not self.logger.isEnabledFor(level):
            return
        code = code or self.name
        text = one_line(text)
        if self.limit is not None and level == logging.WARNING:
            suppressed = self.limit.admit(code)
            if suppressed is None:
                return
            if suppressed:
                text = f"{text} ({suppressed} more since the last such line)"
                fields["suppressed"] = suppressed
        given = {PREFIX + name: value for name, value in fields.items() if value is not None}
        self.logger.log(
            level,
            "%s: %s",
            code,
            text,
            exc_info=exc_info,
            # The line names the place that called.
            stacklevel=2,
            extra={f"{PREFIX}event": self.name, **given},
        )


def catalogue() -> tuple[LogEvent, ...]:
    """Every event."""
    return tuple(value for value in globals().values() if isinstance(value, LogEvent))


#: A route answered with an error, see :doc:`errors`; the line begins with its code.
#: It is of level ERROR where the status is 5xx, and of level WARNING where an operator must mend
#: the cause of another: ``host-unknown``, ``host-other-name``, ``state-forged``,
#: ``store-not-shared`` and ``tenant-limit``.
#: Of each code there is one WARNING in a minute and process; the next one counts those that were
#: left out.
REQUEST_FAILED = LogEvent(
    "request-failed",
    logging.getLogger("flask_pkce"),
    logging.INFO,
    ("route", "status", "error", "cause", "host", "setting", "suppressed"),
    limit=Limit(),
)
#: A browser sent a cookie of ours that is of no use: its signature is not by our key
#: (``cookie-forged``), or what it leads to cannot be read (``record-of-other-key``,
#: ``record-of-other-release``, ``record-unreadable``).
#: The line begins with that code, and of each code there is one in a minute and process, too.
COOKIE_UNUSABLE = LogEvent(
    "cookie-unusable",
    logging.getLogger("flask_pkce.callers"),
    logging.WARNING,
    ("error", "suppressed"),
    limit=Limit(),
)
#: The metadata or keys of the tenant could not be fetched anew; those from before serve until
#: they are a day old.
TENANT_REFRESH_FAILED = LogEvent(
    "tenant-refresh-failed",
    logging.getLogger("flask_pkce.tenants"),
    logging.WARNING,
    ("error", "host", "setting"),
)
#: A refresh token could not be taken back at the tenant, and stays valid until it expires there.
#: There is an error where the tenant could not be asked.
REVOCATION_FAILED = LogEvent(
    "revocation-failed",
    logging.getLogger("flask_pkce.exchange"),
    logging.WARNING,
    ("tenant", "error"),
)
#: A receiver of a signal raised; the traceback follows, and nothing else came of it.
SIGNAL_RECEIVER_FAILED = LogEvent(
    "signal-receiver-failed", logging.getLogger("flask_pkce.hooks"), logging.ERROR, ("signal",)
)
#: An extension of the application protects its forms, and our routes, which protect themselves,
#: were taken out of it; told at the start, or at the first request where it came after us.
CSRF_EXEMPTED = LogEvent(
    "csrf-exempted", logging.getLogger("flask_pkce"), logging.INFO, ("blueprint",)
)
#: A setting is good enough for tests alone, or weaker than it should be; told at the start.
SETTING_WEAK = LogEvent(
    "setting-weak", logging.getLogger("flask_pkce"), logging.WARNING, ("setting",)
)
