"""How long a validation still takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping


class Pace:
    """Time left, from what each check is expected to cost and what those done did cost.

    Args:
        costs: expected seconds by check, in the order in which checks are run.
        clock: seconds, rising.
    """

    def __init__(self, costs: Mapping[str, float], clock: Callable[[], float] = time.monotonic) -> None:
        self.costs = dict(costs)
        self._clock = clock
        self._open = dict(costs)  # not begun
        self._expected = self._spent = 0.0  # of what is done
        self._began = 0.0
        self._part = 0.0
        self._units = (0, 0)
        self.current: str | None = None

    def begin(self, check: str) -> None:
        """A check begins."""
        self.current, self._began, self._units = check, self._clock(), (0, 0)
        self._open.pop(check, None)

    def units(self, done: int, total: int) -> None:
        """The check under way has done some units of the part of it that is under way."""
        if not done or total != self._units[1]:
            self._part = self._clock()
        self._units = (done, total)

    def end(self, *, kept: bool = False) -> None:
        """The check under way has ended.

        Args:
            kept: it was read, not run, and says nothing about the speed of this machine.
        """
        if self.current is not None and not kept:
            self._expected += self.costs[self.current]
            self._spent += self._clock() - self._began
        self.current = None

    @property
    def scale(self) -> float:
        """Seconds here for an expected second."""
        return self._spent / self._expected if self._expected > 0.0 and self._spent > 0.0 else 1.0

    def left(self) -> float:
        """Seconds left: of the check under way, the larger of what was expected and what its units say."""
        seconds = self.scale * sum(self._open.values())
        if self.current is not None:
            now = self._clock()
            done, total = self._units
            by_units = (now - self._part) * (total - done) / done if done else 0.0
            seconds += max(self.scale * self.costs[self.current] - (now - self._began), by_units)
        return seconds

    def share(self) -> float:
        """Share of the work that is done, between 0 and 1."""
        total = self.scale * sum(self.costs.values())
        return min(max(1.0 - self.left() / total, 0.0), 1.0) if total > 0.0 else 1.0


def in_words(seconds: float) -> str:
    """A duration as a person says it: ``40 s``, ``3 min``, ``1 h 10 min``."""
    if seconds < 90:
        return f"{max(seconds, 0.0):.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"
