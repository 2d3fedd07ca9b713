"""What becomes of a task: its result or why there is none; and how a run under way hears that it should stop."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from multiprocessing.synchronize import Event
from typing import Any, Generic, TypeVar

from sim.errors import MarginLabError

Result = TypeVar("Result")

WORKER_DIED = "WorkerDied"
_LONG_COLLECTION_SECONDS = 0.01

# Set in workers: the parent raises it when the user presses Ctrl-C, and runs look at it between chunks of steps.
_stop: Event | None = None
# Whether this process exists to run tasks of another.
_worker = False
# Set in the parent: hears how far the run of an in-process engine is.
_listener: Callable[[int, int], None] | None = None


class Stopped(Exception):
    """The user asked to stop while this run was under way."""


class RunFailed(MarginLabError):
    """A run in a worker ended with an unforeseen error.

    Attributes:
        detail: the traceback of the process that ran it.
    """

    def __init__(self, message: str, detail: str = "") -> None:
        """Take the error's one line and its traceback."""
        super().__init__(message)
        self.detail = detail


@dataclass(frozen=True)
class Failure:
    """Why a task has no result, as text: errors with arguments of their own do not survive the way between processes.

    Attributes:
        kind: name of the exception; :data:`WORKER_DIED` where the process ended.
        message: its one line.
        detail: the traceback, or how the process ended.
        error: the exception itself where it is one of ours.
    """

    kind: str
    message: str
    detail: str = ""
    error: MarginLabError | None = None

    def raised(self) -> MarginLabError:
        """The exception to raise for it."""
        return self.error or RunFailed(f"{self.kind}: {self.message}", self.detail)


@dataclass(frozen=True)
class Outcome(Generic[Result]):
    """What became of one task.

    Attributes:
        value: the result; None where it failed.
        failure: why there is none; None where it went well.
        seconds: it took.
        worker: process that ran it, as text.
        memory: resident memory of that process when the task had ended, bytes; 0 where it is not known.
    """

    value: Result | None
    failure: Failure | None = None
    seconds: float = 0.0
    worker: str = ""
    memory: int = 0


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


def become_worker(stop: Event | None = None) -> None:
    """This process runs tasks of another.

    Args:
        stop: has :func:`checkpoint` stop runs once it is set.
    """
    global _stop, _worker
    _stop, _worker = stop, True


@contextmanager
def listening(listener: Callable[[int, int], None] | None) -> Iterator[None]:
    """Have runs in this process tell a listener (steps done, steps in all) at each checkpoint."""
    global _listener
    previous, _listener = _listener, listener
    try:
        yield
    finally:
        _listener = previous


def attempt(function: Callable[[Any], Any], task: Any) -> Outcome[Any]:
    """Run one task; an error becomes part of the outcome.

    Raises:
        Stopped: the user asked to stop: that is no failure of the run.
    """
    began = time.perf_counter()
    try:
        found: Outcome[Any] = Outcome(function(task))
    except Stopped:
        raise
    except Exception as error:
        found = failed(error)
    seconds = time.perf_counter() - began
    release()
    return replace(found, seconds=seconds, worker=str(os.getpid()), memory=resident())


def failed(error: Exception) -> Outcome[Any]:
    """The outcome of a task that raised."""
    message = " ".join(str(error).split())
    ours = _portable(error) if isinstance(error, MarginLabError) else None
    return Outcome(None, Failure(type(error).__name__, message, "".join(traceback.format_exception(error)), ours))


def unwrapped(outcomes: Iterator[tuple[int, Outcome[Result]]]) -> Iterator[tuple[int, Result]]:
    """Results alone; the first failure is raised, and the outcomes are closed.

    Raises:
        MarginLabError: what a task raised; :class:`RunFailed` where it is none of ours.
    """
    with closing(outcomes):  # type: ignore[type-var]
        for position, outcome in outcomes:
            if outcome.failure is not None:
                raise outcome.failure.raised()
            yield position, outcome.value  # type: ignore[misc]


def _portable(error: MarginLabError) -> MarginLabError | None:
    """The error, if it survives the way between processes; a user's own class may not."""
    import pickle

    try:
        again = pickle.loads(pickle.dumps(error))
    except Exception:
        return None
    return error if isinstance(again, MarginLabError) else None


def release() -> None:
    """Free what a task has left behind in cycles, as a market does whose run failed before it was closed.

    In workers only: what they hold by then of modules and compiled code is put out of the collector's sight when
    looking at it costs more than a moment; in a user's own process that would be an intrusion.
    """
    if not _worker:
        return
    began = time.perf_counter()
    gc.collect()
    if time.perf_counter() - began > _LONG_COLLECTION_SECONDS:
        gc.freeze()


def resident() -> int:
    """Resident memory of this process, bytes."""
    import psutil

    return int(psutil.Process().memory_info().rss)


@contextmanager
def one_thread_each() -> Iterator[None]:
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


@contextmanager
def interrupts_ignored() -> Iterator[None]:
    """Children started inside are born ignoring Ctrl-C, also while they import: the parent tells them to stop."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
