"""CPU of sign-ins in this process, interleaved, as ratios within each round."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from .browser import Browser, Cost, in_process
from .contestants import Contestant


@dataclass(frozen=True)
class Spread:
    """The middle of some values, and where half of them lie."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Median and quartiles; one value is its own."""
        if len(values) == 1:
            return cls(values[0], values[0], values[0])
        low, _, high = statistics.quantiles(values, n=4, method="inclusive")
        return cls(statistics.median(values), low, high)


@dataclass
class Measured:
    """What the rounds said of one contestant."""

    name: str
    sign_ins: int = 0
    #: CPU seconds of one sign-in, by round.
    cpu: list[float] = field(default_factory=list)
    wall: list[float] = field(default_factory=list)
    #: Every request.
    costs: list[Cost] = field(default_factory=list)
    longest_cookie: int = 0

    def ratio_to(self, base: Measured) -> Spread:
        """How many times the CPU of another it needs, within each round."""
        return Spread.of([ours / theirs for ours, theirs in zip(self.cpu, base.cpu, strict=True)])

    def routes(self) -> dict[str, tuple[Spread, Spread]]:
        """CPU and time of each route, in seconds, in order of first use."""
        names = dict.fromkeys(cost.route for cost in self.costs)
        return {
            name: (
                Spread.of([cost.cpu for cost in self.costs if cost.route == name]),
                Spread.of([cost.wall for cost in self.costs if cost.route == name]),
            )
            for name in names
        }


class _Seat:
    """A contestant with its application, ready for the next round."""

    def __init__(self, contestant: Contestant) -> None:
        self._contestant = contestant
        self._app = contestant.make_app()
        self.measured = Measured(contestant.name)

    def run(self, times: int) -> None:
        # Connections, caches, and a connection that was idle for too long.
        self._sign_in([], 2)
        costs: list[Cost] = []
        gc.collect()
        self._sign_in(costs, times)
        measured = self.measured
        measured.cpu.append(sum(cost.cpu for cost in costs) / times)
        measured.wall.append(sum(cost.wall for cost in costs) / times)
        measured.costs.extend(costs)

    def _sign_in(self, costs: list[Cost], times: int) -> None:
        for _ in range(times):
            browser = Browser(in_process(self._app, costs))
            self._contestant.sign_in(browser)
            self.measured.sign_ins += 1
            self.measured.longest_cookie = max(
                self.measured.longest_cookie, browser.longest_cookie
            )


def interleave(
    contestants: Iterable[Contestant],
    *,
    rounds: int,
    batch: int,
    after_each: Callable[[str], None] = lambda name: None,
) -> dict[str, Measured]:
    """Let each contestant sign people in, round by round, every other one backwards.

    :param batch: sign-ins of each in a round.
    :param after_each: called with its name when a contestant had its turn.
    """
    seats = [_Seat(contestant) for contestant in contestants]
    for _ in range(rounds):
        for seat in seats:
            seat.run(batch)
            after_each(seat.measured.name)
        seats.reverse()
    if rounds % 2:
        seats.reverse()
    return {seat.measured.name: seat.measured for seat in seats}
