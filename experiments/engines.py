"""Where runs are executed: in this process, or in a pool of worker processes.

An engine maps a function over tasks and yields the results as they finish. Results are functions of the task alone, so
every engine gives the same ones; only their order differs. Parallelism is over runs, one thread per worker.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.synchronize import Event
from typing import Any, Protocol, TypeVar

from sim.errors import MarginLabError

Task = TypeVar("Task")
Result = TypeVar("Result")

# Set in workers: the parent raises it when the user presses Ctrl-C, and runs look at it between chunks of steps.
_stop: Event | None = None
# Set in the parent: hears how far the run of an in-process engine is.
_listener: Callable[[int, int], None] | None = None


class Stopped(Exception):
    """The user asked to stop while this run was under way."""


@dataclass(frozen=True)
class _Failure:
    """An unforeseen error as text: exceptions with arguments of their own do not survive the way between processes."""

    kind: str
    message: str
    detail: str


class RunFailed(MarginLabError):
    """A run in a worker ended with an unforeseen error.

    Attributes:
        detail: the traceback of the process that ran it.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        """Take the error's one line and its traceback."""
        super().__init__(message)
        self.detail = detail


def checkpoint(done: int, total: int) -> None:
    """Called by runs between chunks of steps.

    Args:
        done: steps done.
        total: steps of the run.

    Raises:
        Stopped: in a worker whose parent was interrupted.
    """
    if _stop is not None and _stop.is_set():
        raise Stopped
    if _listener is not None:
        _listener(done, total)


@contextmanager
def listening(listener: Callable[[int, int], None] | None) -> Iterator[None]:
    """Have runs in this process tell a listener (steps done, steps in all) at each checkpoint."""
    global _listener
    previous, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = previous


class Engine(Protocol):
    """Something that maps a function over tasks."""

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Yield (position of the task, result) as results come in.

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


class ProcessPool:
    """Run the tasks in fresh Python processes.

    Args:
        jobs: number of worker processes.
    """

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Yield (position, result) as workers finish.

        On Ctrl-C, and when the caller stops iterating, tasks not yet begun are dropped and those under way stop at
        their next chunk of steps.

        Raises:
            MarginLabError: what a task raised (:class:`RunFailed` where it is none of ours); the others are stopped.
        """
        executor, stop = self._start(min(self.jobs, max(1, len(tasks))))
        try:
            yield from _results(executor, function, tasks)
        finally:
            stop.set()
            executor.shutdown(wait=True, cancel_futures=True)

    def _start(self, workers: int, plugins: Sequence[str] = ()) -> tuple[ProcessPoolExecutor, Event]:
        context = multiprocessing.get_context("spawn")
        stop = context.Event()
        initial = (stop, tuple(plugins))
        return ProcessPoolExecutor(workers, mp_context=context, initializer=_begin_worker, initargs=initial), stop


class KeptPool(ProcessPool):
    """A pool whose processes outlive a call of :meth:`map`: for jobs of many short parts, each of which would wait for
    processes to start and to load the compiled code.

    After an error or an interruption the processes end, and the next call starts new ones.

    Args:
        jobs: number of worker processes.
        plugins: users' files that every worker loads when it starts.
    """  # noqa: D205

    def __init__(self, jobs: int, plugins: Sequence[str] = ()) -> None:
        super().__init__(jobs)
        self.plugins = tuple(plugins)
        self._kept: tuple[ProcessPoolExecutor, Event] | None = None

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Yield (position, result) as workers finish, as :meth:`ProcessPool.map` does."""
        if not tasks:
            return
        if self._kept is None:
            self._kept = self._start(self.jobs, self.plugins)
        try:
            yield from _results(self._kept[0], function, tasks)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the processes; those under way stop at their next chunk of steps."""
        if self._kept is not None:
            (executor, stop), self._kept = self._kept, None
            stop.set()
            executor.shutdown(wait=True, cancel_futures=True)


def _results(
    executor: ProcessPoolExecutor, function: Callable[[Task], Result], tasks: Sequence[Task]
) -> Iterator[tuple[int, Result]]:
    with _one_thread_each(), _interrupts_ignored():
        futures = {executor.submit(_guarded, function, task): i for i, task in enumerate(tasks)}
    for future in as_completed(futures):
        result = future.result()
        if isinstance(result, _Failure):
            raise RunFailed(f"{result.kind}: {result.message}", result.detail)
        yield futures[future], result


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


def _begin_worker(stop: Event, plugins: Sequence[str] = ()) -> None:
    global _stop
    _stop = stop
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if plugins:
        import margin

        for path in plugins:
            margin.load_plugin(path)


def _end_with_parent() -> None:
    """A worker whose parent was killed would wait for tasks for ever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _guarded(function: Callable[[Any], Any], task: Any) -> Any:
    try:
        return function(task)
    except MarginLabError:
        raise
    except Exception as error:
        return _Failure(type(error).__name__, str(error), traceback.format_exc())


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """Children started inside are born ignoring Ctrl-C, also while they import: the parent tells them to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Children started inside use one thread each."""
    names = ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    previous = {name: os.environ.get(name) for name in names}
    os.environ.update(dict.fromkeys(names, "1"))
    try:
        yield
    finally:
        for name, value in previous.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
