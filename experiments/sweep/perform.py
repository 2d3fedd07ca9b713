"""Carry out the units of a sweep: what fails is kept beside what succeeds, and never stops it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.engines import Engine
from experiments.jobs import UnitResult
from experiments.outcomes import Outcome, resident
from experiments.sweep.chunks import StoredUnit
from experiments.sweep.store import Store

_MB = 1e6


@dataclass
class Memory:
    """How much memory the workers held as the sweep went on.

    Attributes:
        samples: (worker, bytes resident) after each unit, in the order in which units ended.
    """

    samples: list[tuple[str, int]] = field(default_factory=list)

    def add(self, outcome: Outcome[Any]) -> None:
        """Take what a worker held at the end of a unit."""
        if outcome.memory:
            self.samples.append((outcome.worker, outcome.memory))

    def summary(self) -> dict[str, Any]:
        """Megabytes: the most that a worker held after a unit, and the mean over the first and the last quarter.

        ``growth`` is the last quarter over the first. Empty where nothing is known.
        """
        if not self.samples:
            return {}
        held = [memory / _MB for _, memory in self.samples]
        quarter = max(1, len(held) // 4)
        first, last = sum(held[:quarter]) / quarter, sum(held[-quarter:]) / quarter
        return {
            "workers": len({worker for worker, _ in self.samples}),
            "units": len(held),
            "peak_mb": round(max(held), 1),
            "first_quarter_mb": round(first, 1),
            "last_quarter_mb": round(last, 1),
            "growth": round(last / first, 4),
            "parent_mb": round(resident() / _MB, 1),
        }


@dataclass(frozen=True)
class Performed:
    """How a call of :func:`perform` went.

    Attributes:
        units: in all.
        finished: units with a result now, those of earlier calls included.
        failed: units without one.
        done_now: units carried out by this call.
        busy_seconds: sum of what these took in their workers.
        memory: of the workers (:meth:`Memory.summary`).
    """

    units: int
    finished: int
    failed: int
    done_now: int
    busy_seconds: float
    memory: dict[str, Any]


def perform(
    units: Sequence[StoredUnit],
    function: Callable[[Any], UnitResult],
    engine: Engine,
    store: Store,
    on_done: Callable[[int, int], None] | None = None,
) -> Performed:
    """Carry out every unit that the store does not hold, on any engine.

    An exception of a run, and a worker that dies with its run, are kept as failures of that unit; all others are
    done. Units that failed in an earlier call are left alone (:meth:`experiments.sweep.store.Store.retry_failed`).

    Args:
        units: of the study, after ``store.begin(points, units)``; they may be a part of those.
        function: module-level function from a task to its result.
        engine: where tasks are run.
        store: keeps results as they come.
        on_done: told (units done, units in all) at the start and after each.

    Returns:
        How it went; the results are in the store.

    Raises:
        KeyboardInterrupt: the user stopped it; what is finished is kept.
    """
    done = store.finished() | store.failed()
    missing = [unit for unit in units if unit.index not in done]
    counted, total = len(units) - len(missing), len(units)
    memory, busy = Memory(), 0.0
    if on_done is not None:
        on_done(counted, total)
    try:
        for position, outcome in engine.outcomes(function, Tasks(missing)):
            unit, failure = missing[position], outcome.failure
            memory.add(outcome)
            busy += outcome.seconds
            if failure is not None:
                store.fail(unit, failure.kind, failure.message, failure.detail, outcome.seconds)
            elif outcome.value is not None:
                store.add(unit, outcome.value, outcome.seconds)
            counted += 1
            if on_done is not None:
                on_done(counted, total)
    except BaseException as error:
        store.note(memory=memory.summary())
        store.stopped(error)
        raise
    found = memory.summary()
    if found:
        store.note(memory=found)
    indices = {unit.index for unit in units}
    return Performed(
        total, len(store.finished() & indices), len(store.failed() & indices), len(missing), busy, found
    )  # fmt: skip


class Tasks(Sequence[Any]):
    """The tasks of units, made when they are asked for."""

    def __init__(self, units: Sequence[StoredUnit]) -> None:
        self._units = units

    def __len__(self) -> int:
        """How many."""
        return len(self._units)

    def __getitem__(self, position: Any) -> Any:
        """The task of a unit."""
        return self._units[position].task
