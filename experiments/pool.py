"""A pool of worker processes that outlives the death of any of them.

Every worker is a pool of one process of its own with one task in hand, so that a process that dies (a crash of
compiled code, the system out of memory) names its task and disturbs no other.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.synchronize import Event
from typing import Any, TypeVar

from experiments.outcomes import (
    WORKER_DIED,
    Failure,
    Outcome,
    RunFailed,
    Stopped,
    attempt,
    become_worker,
    failed,
    interrupts_ignored,
    one_thread_each,
    unwrapped,
)

Task = TypeVar("Task")
Result = TypeVar("Result")


class ProcessPool:
    """Run the tasks in fresh Python processes.

    Args:
        jobs: number of worker processes.
        plugins: users' files that every worker loads when it starts.
    """

    def __init__(self, jobs: int, plugins: Sequence[str] = ()) -> None:
        self.jobs = jobs
        self.plugins = tuple(plugins)

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Yield (position, result) as workers finish.

        On Ctrl-C, after an error, and when the caller stops iterating, tasks not yet begun are dropped and those under
        way stop at their next chunk of steps.

        Raises:
            MarginLabError: what a task raised (:class:`RunFailed` where it is none of ours, or where the worker died);
                the others are stopped.
        """
        return unwrapped(self.outcomes(function, tasks))

    def outcomes(
        self, function: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Outcome[Result]]]:
        """Yield (position, outcome) as workers finish; a worker that died is replaced.

        A task whose worker died is tried once more, alone, when all others are done: where the system ran out of
        memory it may have killed the wrong one. If its worker dies again, that is its outcome.

        Raises:
            RunFailed: worker processes cannot start.
        """
        workers = _Workers(min(self.jobs, max(1, len(tasks))), self.plugins)
        try:
            yield from _carry_out(workers, function, tasks)
        finally:
            workers.end()


class KeptPool(ProcessPool):
    """A pool whose processes outlive a call of :meth:`map`: for jobs of many short parts, each of which would wait for
    processes to start and to load the compiled code.

    After an error or an interruption the processes end, and the next call starts new ones.

    Args:
        jobs: number of worker processes.
        plugins: users' files that every worker loads when it starts.
    """  # noqa: D205

    def __init__(self, jobs: int, plugins: Sequence[str] = ()) -> None:
        super().__init__(jobs, plugins)
        self._workers: _Workers | None = None

    def outcomes(
        self, function: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Outcome[Result]]]:
        """Yield (position, outcome) as workers finish, as :meth:`ProcessPool.outcomes` does."""
        if not tasks:
            return
        if self._workers is None:
            self._workers = _Workers(self.jobs, self.plugins)
        try:
            yield from _carry_out(self._workers, function, tasks)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """End the processes; those under way stop at their next chunk of steps."""
        if self._workers is not None:
            workers, self._workers = self._workers, None
            workers.end()


class _Workers:
    """The worker processes of a pool, and what tells them to stop."""

    def __init__(self, count: int, plugins: tuple[str, ...]) -> None:
        self.context = multiprocessing.get_context("spawn")
        self.stop = self.context.Event()
        self.plugins = plugins
        self.each = [_Worker(self) for _ in range(count)]

    def end(self) -> None:
        """Stop what is under way and wait for the processes to end."""
        self.stop.set()
        for worker in self.each:
            worker.executor.shutdown(wait=False, cancel_futures=True)
        for worker in self.each:
            worker.executor.shutdown(wait=True)


class _Worker:
    """One worker process, replaced by another when it dies."""

    def __init__(self, pool: _Workers) -> None:
        self._pool = pool
        self._start()

    def _start(self) -> None:
        pool = self._pool
        initial = (pool.stop, pool.plugins)
        self.executor = ProcessPoolExecutor(1, pool.context, initializer=_begin_worker, initargs=initial)
        self._process: Any = None
        self._ready: Future[None] | None = None

    def submit(self, function: Callable[[Any], Any], task: Any) -> Future[Outcome[Any]]:
        """Give it a task; the process is started when it gets its first."""
        if self._ready is None:
            before = set(multiprocessing.active_children())
            with one_thread_each(), interrupts_ignored():
                self._ready = self.executor.submit(_ready)
            self._process = next(iter(set(multiprocessing.active_children()) - before), None)
        return self.executor.submit(attempt, function, task)

    def replace(self) -> str:
        """Put a new process in the place of one that died; how that one ended.

        Raises:
            RunFailed: it had died before it could take any task.
        """
        self.executor.shutdown(wait=True)
        ended = _ending(self._process.exitcode if self._process is not None else None)
        if self._ready is not None and self._ready.exception() is not None:
            raise RunFailed(f"a worker process could not start: it {ended}")
        self._start()
        return ended


def _carry_out(
    workers: _Workers, function: Callable[[Any], Any], tasks: Sequence[Any]
) -> Iterator[tuple[int, Outcome[Any]]]:
    waiting = deque(range(len(tasks)))
    again: deque[int] = deque()  # their worker died: once more, alone
    suspected: set[int] = set()
    running: dict[Future[Outcome[Any]], tuple[_Worker, int]] = {}
    free = deque(workers.each)

    def hand_out() -> None:
        while free and (waiting or (again and not running)):
            position = waiting.popleft() if waiting else again.popleft()
            worker = free.popleft()
            running[worker.submit(function, tasks[position])] = (worker, position)

    hand_out()
    while running:
        finished, _ = wait(running, return_when=FIRST_COMPLETED)
        found: list[tuple[int, Outcome[Any]]] = []
        for future in finished:
            worker, position = running.pop(future)
            try:
                found.append((position, future.result()))
            except BrokenProcessPool:
                ended = worker.replace()
                if position in suspected:
                    found.append((position, Outcome(None, Failure(WORKER_DIED, f"the worker process {ended}"))))
                else:
                    suspected.add(position)
                    again.append(position)
            except Stopped:
                raise
            except Exception as error:  # a task or a result that cannot be pickled
                found.append((position, failed(error)))
            free.append(worker)
        hand_out()
        yield from found


def _ending(exitcode: int | None) -> str:
    """How a process ended, in words that follow "the worker process"."""
    if exitcode is None:
        return "died"
    if exitcode >= 0:
        return f"ended with exit status {exitcode}"
    try:
        name = signal.Signals(-exitcode).name
    except ValueError:
        name = f"signal {-exitcode}"
    return f"was killed by {name}" + (" (is the machine out of memory?)" if name == "SIGKILL" else "")


def _ready() -> None:
    """The first task of a worker: it has started."""


def _begin_worker(stop: Event, plugins: Sequence[str] = ()) -> None:
    become_worker(stop)
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
