"""Where runs are executed: in this process, or in a pool of worker processes.

An engine maps a function over tasks and yields the results as they finish. Results are functions of the task alone, so
every engine gives the same ones; only their order differs. Parallelism is over runs, one thread per worker. Tasks are
handed out one by one as workers become free, so that ten thousand of them wait nowhere but in the caller's list.

An engine answers in two ways. :meth:`Engine.map` ends with the first failure. :meth:`Engine.outcomes` gives failures
back as values, a worker that died with its run among them, and carries on with the others.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol, TypeVar

from experiments.outcomes import Failure, Outcome, RunFailed, Stopped, attempt, checkpoint, listening
from experiments.pool import KeptPool, ProcessPool

__all__ = [
    "Engine", "Failure", "InProcess", "KeptPool", "Outcome", "ProcessPool", "RunFailed", "Stopped", "checkpoint",
    "engine", "keeping", "kept", "listening",
]  # fmt: skip

Task = TypeVar("Task")
Result = TypeVar("Result")


class Engine(Protocol):
    """Something that maps a function over tasks."""

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Yield (position of the task, result) as results come in; the first failure is raised.

        Args:
            function: a module-level function, pure in its task.
            tasks: picklable tasks.
        """
        ...

    def outcomes(
        self, function: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Outcome[Result]]]:
        """Yield (position of the task, what became of it) for every task, failed ones included.

        Args:
            function: a module-level function, pure in its task.
            tasks: picklable tasks.
        """
        ...


class InProcess:
    """Run the tasks one after the other in this process."""

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Yield (position, result) in the order of the tasks; errors of a task are raised as they are."""
        for position, task in enumerate(tasks):
            yield position, function(task)

    def outcomes(
        self, function: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Outcome[Result]]]:
        """Yield (position, outcome) in the order of the tasks."""
        for position, task in enumerate(tasks):
            yield position, attempt(function, task)


@contextmanager
def keeping(jobs: int, plugins: Sequence[str] = ()) -> Iterator[None]:
    """Have :func:`engine` give one and the same pool for a number of jobs, as long as the block lasts."""
    global _pool
    if jobs <= 1:
        yield
        return
    previous, _pool = _pool, KeptPool(jobs, plugins)
    try:
        yield
    finally:
        _pool.close()
        _pool = previous


@contextmanager
def kept(jobs: int) -> Iterator[Engine]:
    """An engine for many batches: in this process for one job, a pool that lasts as long as the block for more."""
    if jobs <= 1:
        yield InProcess()
        return
    pool = KeptPool(jobs)
    try:
        yield pool
    finally:
        pool.close()


def engine(jobs: int) -> Engine:
    """The engine for a number of jobs: in this process for one, a pool of processes for more."""
    if _pool is not None and _pool.jobs == jobs:
        return _pool
    return InProcess() if jobs <= 1 else ProcessPool(jobs)


# Set inside :func:`keeping`: the pool that lasts.
_pool: KeptPool | None = None
