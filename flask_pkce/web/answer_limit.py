"""How many answers may wait to be fetched: whoever posts to the callback fills the store."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable

from ..errors import TooManyAnswers
from ..tickets import ANSWER_LIFETIME

#: Answers that one process keeps within a minute.
MAX_ANSWERS = 20_000


class AnswerLimit:
    """Counts the answers that one process kept within their lifetime.

    :param limit: how many that may be.
    :param clock: monotonic seconds.
    """

    def __init__(
        self, limit: int = MAX_ANSWERS, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._limit = limit
        self._lock = threading.Lock()
        self._kept: deque[float] = deque()

    def count(self) -> None:
        """Count one more.

        :raises TooManyAnswers: if that would be more than the limit.
        """
        now = self._clock()
        with self._lock:
            while self._kept and self._kept[0] <= now - ANSWER_LIFETIME:
                self._kept.popleft()
            if len(self._kept) >= self._limit:
                raise TooManyAnswers()
            self._kept.append(now)
