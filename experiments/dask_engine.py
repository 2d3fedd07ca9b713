"""Runs on a Dask cluster: one on this machine, or one that somebody started elsewhere.

The tasks, and what they give, are those of the other engines. A cluster's workers need this version of MarginLab and
the user's plug-ins at the same paths; both are checked before anything is run.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

from experiments.outcomes import (
    WORKER_DIED,
    Failure,
    Outcome,
    RunFailed,
    attempt,
    become_worker,
    failed,
    interrupts_ignored,
    one_thread_each,
    unwrapped,
)
from experiments.store import code_hash, file_hash
from sim.errors import ConfigError, MarginLabError

Task = TypeVar("Task")
Result = TypeVar("Result")

LOCAL = "local"
ALLOWED = "local, the address of a running scheduler such as tcp://host:8786, or its scheduler file (.json)"
CONNECT_SECONDS = 5.0
WORKERS_SECONDS = 60.0
_IN_HAND = 2  # tasks at each thread: one runs, one waits beside it, so that none idles while the scheduler answers
_DEATHS = 3

_numbers = itertools.count()


class DaskEngine:
    """An engine on a Dask cluster. Close it, or use it as a context manager.

    Args:
        address: ``local`` starts a cluster of processes on this machine; otherwise that of a scheduler.
        workers: processes of a local cluster; all cores if None. Of a cluster elsewhere all workers are used.
        plugins: users' files that every worker loads; they are found by their paths.

    Raises:
        ConfigError: no scheduler answers at the address, or a plug-in is not the same file at a worker.
        RunFailed: the cluster has no workers, or workers with other code.
    """

    def __init__(self, address: str = LOCAL, workers: int | None = None, plugins: Sequence[str] = ()) -> None:
        self.address = address
        self.jobs = workers or os.cpu_count() or 1
        self._cluster: Any = None
        self._client: Any = None
        self._config: Any = None
        try:
            self._connect()
            self._prepare(tuple(plugins))
        except BaseException:
            self.close()
            raise

    # -- the cluster -------------------------------------------------------------------------------------------------

    def _connect(self) -> None:
        import dask
        from distributed import Client, LocalCluster

        if self.address == LOCAL:
            # while the cluster lasts: we count deaths, and a worker that dies is its nanny's to replace
            self._config = dask.config.set(
                {"distributed.scheduler.allowed-failures": 0, "distributed.deploy.lost-worker-timeout": "600s"}
            )
            with one_thread_each(), interrupts_ignored():
                self._cluster = LocalCluster(
                    n_workers=self.jobs, threads_per_worker=1, processes=True, dashboard_address=None,
                    memory_limit=0, silence_logs=logging.CRITICAL,
                )  # fmt: skip
            self._client = Client(self._cluster)
        else:
            address = _scheduler_of(self.address)
            try:
                _knock(address)
                with _silent("distributed"):
                    self._client = Client(address, timeout=CONNECT_SECONDS)
            except (OSError, ValueError, TypeError) as error:
                raise ConfigError.of("--dask", self.address, f"{ALLOWED}; nothing answers ({_line(error)})") from None
        try:
            self._client.wait_for_workers(self.jobs if self._cluster is not None else 1, timeout=WORKERS_SECONDS)
        except TimeoutError:
            raise RunFailed(f"the Dask cluster {self.address} has no workers after {WORKERS_SECONDS:.0f} s") from None

    def _prepare(self, plugins: tuple[str, ...]) -> None:
        """Every worker has this code and the plug-ins, those that join later too."""
        ours = code_hash()
        try:
            with _silent("distributed"):
                theirs = self._client.run(code_hash)
                others = [worker for worker, code in theirs.items() if code != ours]
                if not others:
                    # absolute: a worker has a working folder of its own
                    files = {str(Path(path).resolve()): file_hash(path) for path in plugins}
                    self._client.register_plugin(_setup_of(files))
        except MarginLabError:
            raise
        except Exception as error:
            text = f"workers of the Dask cluster {self.address} cannot load MarginLab: {_line(error)}"
            raise RunFailed(text) from None
        if others:
            raise RunFailed(
                f"{len(others)} of {len(theirs)} workers of the Dask cluster {self.address} have another version of "
                f"MarginLab's code than this process, {others[0]} among them"
            )

    @property
    def threads(self) -> int:
        """Runs that the cluster carries out at a time, at present."""
        return max(1, sum(self._client.nthreads().values()))

    def __enter__(self) -> DaskEngine:
        """The engine itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of the cluster; one on this machine ends."""
        client, cluster, self._client, self._cluster = self._client, self._cluster, None, None
        with _silent("distributed"):
            for part in (client, cluster):
                if part is not None:
                    with contextlib.suppress(Exception):
                        part.close()
        if self._config is not None:
            self._config.__exit__(None, None, None)
            self._config = None

    # -- the work ----------------------------------------------------------------------------------------------------

    def map(self, function: Callable[[Task], Result], tasks: Sequence[Task]) -> Iterator[tuple[int, Result]]:
        """Yield (position, result) as workers finish; the first failure is raised.

        Raises:
            MarginLabError: what a task raised; :class:`experiments.outcomes.RunFailed` where it is none of ours.
        """
        return unwrapped(self.outcomes(function, tasks))

    def outcomes(
        self, function: Callable[[Task], Result], tasks: Sequence[Task]
    ) -> Iterator[tuple[int, Outcome[Result]]]:
        """Yield (position, outcome) as workers finish.

        A task whose worker died is tried again, alone, when all others are done: its neighbour may have been the cause,
        or the cluster may have let go of the worker. At the third death it has failed. When the caller stops, tasks
        that have not begun are dropped; a cluster elsewhere ends those under way.

        Raises:
            RunFailed: the scheduler has gone.
        """
        from distributed import as_completed
        from distributed.scheduler import KilledWorker

        waiting, again = deque(range(len(tasks))), deque[int]()
        deaths: dict[int, int] = {}
        running: dict[Any, int] = {}
        batch = next(_numbers)
        found = as_completed()

        def hand_out() -> None:
            room = self.threads * _IN_HAND
            while (waiting and len(running) < room) or (again and not running):
                position = waiting.popleft() if waiting else again.popleft()
                key = f"marginlab-{os.getpid()}-{batch}-{position}-{deaths.get(position, 0)}"
                future = self._client.submit(attempt, function, tasks[position], key=key, pure=False)
                running[future] = position
                found.add(future)

        try:
            hand_out()
            for future in found:
                position = running.pop(future)
                error = future.exception() if future.status == "error" else None
                # its worker died while it ran, or before its result was fetched
                died = future.status == "lost" or isinstance(error, KilledWorker)
                outcome: Outcome[Any] | None = None
                if future.status == "finished":
                    outcome = future.result()
                elif died and deaths.get(position, 0) < _DEATHS - 1:
                    deaths[position] = deaths.get(position, 0) + 1
                    again.append(position)
                elif died:
                    outcome = Outcome(None, Failure(WORKER_DIED, "the worker process died"))
                elif isinstance(error, Exception):
                    outcome = failed(error)  # of the cluster: a task or result that cannot be sent
                else:
                    raise RunFailed(f"the Dask cluster {self.address} lost a run ({future.status})")
                future.release()
                hand_out()
                if outcome is not None:
                    yield position, outcome
        finally:
            if running and self._client is not None:
                with _silent("distributed"), contextlib.suppress(Exception):
                    self._client.cancel(list(running), force=True)


def _scheduler_of(address: str) -> str:
    """The address in a scheduler file, or the address itself.

    Raises:
        ConfigError: no such file, or none that a scheduler wrote.
    """
    if not address.endswith(".json"):
        return address
    try:
        return str(json.loads(Path(address).read_text(encoding="utf-8"))["address"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigError.of("--dask", address, f"{ALLOWED}; not such a file ({_line(error)})") from None


def _knock(address: str) -> None:
    """Shake hands with a scheduler before a client tries: one that cannot connect does not give up for minutes.

    Raises:
        OSError: nothing listens there, or something that does not speak as a scheduler does.
        ValueError: it is no address.
    """
    import asyncio

    from distributed.comm import connect

    async def greet() -> None:
        (await connect(address, timeout=CONNECT_SECONDS)).abort()

    with ThreadPoolExecutor(1) as apart:  # a notebook has an event loop of its own in this thread
        apart.submit(lambda: asyncio.run(asyncio.wait_for(greet(), 2 * CONNECT_SECONDS))).result()


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__


def _setup_of(files: Mapping[str, str]) -> Any:
    """What a worker does before its first task, as Dask wants it."""
    from distributed import WorkerPlugin

    class Setup(WorkerPlugin):  # type: ignore[misc]
        """Loads the user's files."""

        name = "marginlab"

        def setup(self, worker: Any) -> None:
            begin_worker(dict(files))

    return Setup()


def begin_worker(files: Mapping[str, str]) -> None:
    """In a worker: load the user's files.

    Args:
        files: SHA-256 of each, by path.

    Raises:
        ConfigError: there is no such file here, or it has another content.
    """
    become_worker()
    for path, expected in files.items():
        if not Path(path).is_file():
            raise ConfigError.of("--plugin", path, "a file that every worker of the Dask cluster can read")
        if file_hash(path) != expected:
            raise ConfigError.of("--plugin", path, "the same file at every worker of the Dask cluster")
    if files:
        import margin

        for path in files:
            margin.load_plugin(path)


@contextlib.contextmanager
def _silent(name: str) -> Iterator[None]:
    """Errors of connections are raised as one line of ours, not logged as tracebacks beside it."""
    loggers = [logging.getLogger(name), *(logging.getLogger(f"{name}.{part}") for part in _LOGGERS)]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


_LOGGERS = ("client", "core", "worker", "nanny", "scheduler", "comm", "comm.tcp")
