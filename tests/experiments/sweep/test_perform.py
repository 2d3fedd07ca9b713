"""Failures are isolated, kills lose only what was under way, and every engine gives the same bytes."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from experiments import dask_engine, engines
from experiments.dask_engine import DaskEngine
from experiments.engines import InProcess, ProcessPool, RunFailed
from experiments.sweep.perform import Memory, perform
from experiments.sweep.store import MemoryStore, SweepStore
from sim.errors import ConfigError
from tests.experiments.sweep import killed, made
from tests.experiments.sweep.test_store import files

ROOT = Path(__file__).resolve().parents[3]
DIES = {2: "raise", 5: "SIGSEGV", 11: "exit", 20: "SIGKILL"}


@pytest.fixture(scope="module")
def expected() -> MemoryStore:
    """The same study where the runs that kill their process raise."""
    store, units = MemoryStore(), made.units(ends=dict.fromkeys(DIES, "raise"))
    store.begin(made.POINTS, units)
    perform(units, made.make, InProcess(), store)
    return store


def test_a_worker_that_dies_takes_only_its_own_run_with_it(expected: MemoryStore) -> None:
    store, units = MemoryStore(), made.units(ends=DIES)
    store.begin(made.POINTS, units)
    counts: list[tuple[int, int]] = []
    done = perform(units, made.make, ProcessPool(2), store, lambda *now: counts.append(now))
    assert (done.units, done.finished, done.failed, done.done_now) == (36, 32, 4, 36)
    assert counts == [(n, 36) for n in range(37)]
    assert {f.index: (f.kind, f.message) for f in store.failures()} == {
        2: ("ZeroDivisionError", "divided by nothing"),
        5: ("WorkerDied", "the worker process was killed by SIGSEGV"),
        11: ("WorkerDied", "the worker process ended with exit status 3"),
        20: ("WorkerDied", "the worker process was killed by SIGKILL (is the machine out of memory?)"),
    }
    assert store.results_hash() == expected.results_hash()


def test_failures_of_a_map_are_raised() -> None:
    pool = engines.KeptPool(1)
    found = dict(pool.outcomes(unsendable, [0, 1]))
    assert found[0].failure is not None and "local object" in found[0].failure.message
    assert found[1].value == 1
    with pytest.raises(RunFailed, match="local object"):
        list(pool.map(unsendable, [0]))


def unsendable(number: int) -> object:
    return number if number else (lambda: 0)


def test_workers_that_cannot_start_end_the_sweep(tmp_path: Path) -> None:
    pool = ProcessPool(1, plugins=[str(tmp_path / "nowhere.py")])
    with pytest.raises(RunFailed, match="could not start"):
        list(pool.outcomes(made.make, [made.MadeTask(0, 0, "static")]))


def test_tasks_are_handed_out_as_they_are_needed() -> None:
    class Counted(list[made.MadeTask]):
        asked = 0

        def __getitem__(self, position: object) -> made.MadeTask:  # type: ignore[override]
            Counted.asked += 1
            return super().__getitem__(position)  # type: ignore[index, no-any-return]

    tasks = Counted([made.MadeTask(0, seed, "static") for seed in range(500)])
    found = ProcessPool(1).outcomes(made.make, tasks)
    next(found)
    assert Counted.asked <= 3
    found.close()  # type: ignore[attr-defined]


def test_what_is_finished_is_kept_when_the_user_stops(tmp_path: Path) -> None:
    units = made.units()
    store = SweepStore(tmp_path / "out", made.IDENTITY)
    store.begin(made.POINTS, units)

    def stop(done: int, total: int) -> None:
        if done == 7:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        perform(units, made.make, InProcess(), store, stop)
    assert store.finished() == set(range(7))
    assert store.folder.read_json("manifest.json")["status"] == "interrupted"
    store.close()


def test_memory_is_compared_between_quarters() -> None:
    memory = Memory([("a", int(100e6))] * 4 + [("b", int(200e6))] * 8 + [("b", int(150e6))] * 4)
    found = memory.summary()
    assert (found["peak_mb"], found["first_quarter_mb"], found["last_quarter_mb"]) == (200.0, 100.0, 150.0)
    assert found["growth"] == 1.5 and found["workers"] == 2
    assert Memory().summary() == {}


# -- kills -------------------------------------------------------------------------------------------------------------


def kill_and_resume(folder: Path, marker: Path, jobs: int, kills: int) -> None:
    """Kill a sweep with its workers at random moments, then let it end."""
    command = [sys.executable, "-m", "tests.experiments.sweep.killed", str(folder), str(jobs), str(marker)]
    chance = random.Random(kills)
    for last in [False] * kills + [True]:
        child = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True)
        assert child.stdout is not None
        if last:
            assert child.communicate(timeout=120)[0].endswith("finished\n")
            return
        for _ in range(chance.randint(1, max(2, 150 // (kills + 2)))):
            child.stdout.readline()
        time.sleep(chance.uniform(0.0, 0.01))
        os.killpg(child.pid, signal.SIGKILL)
        child.wait()
        child.stdout.close()


def check_kills(tmp_path: Path, jobs: int, kills: int) -> None:
    marker = tmp_path / "begun"
    kill_and_resume(tmp_path / "killed", marker, jobs, kills)
    killed.main(str(tmp_path / "whole"), 1, "")
    assert files(tmp_path / "killed") == files(tmp_path / "whole")
    hashes = [
        SweepStore(tmp_path / name, made.IDENTITY).folder.read_json("manifest.json") for name in ("killed", "whole")
    ]
    assert hashes[0]["results_hash"] == hashes[1]["results_hash"]
    # what was done twice was under way when the process was killed: at most one run a worker and kill
    begun = Counter(marker.read_text().split())
    assert len(begun) == 6 * killed.SEEDS
    assert begun.total() <= 6 * killed.SEEDS + kills * jobs


def test_three_kills_lose_at_most_the_run_under_way(tmp_path: Path) -> None:
    check_kills(tmp_path, jobs=1, kills=3)


@pytest.mark.study
def test_ten_kills_lose_at_most_the_runs_under_way(tmp_path: Path) -> None:
    check_kills(tmp_path, jobs=2, kills=10)


# -- Dask --------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cluster() -> Iterator[DaskEngine]:
    with DaskEngine("local", 2) as engine:
        yield engine


def test_a_dask_cluster_gives_the_same_and_isolates_the_same(cluster: DaskEngine, expected: MemoryStore) -> None:
    store, units = MemoryStore(), made.units(ends=dict.fromkeys(DIES, "raise") | {11: "SIGSEGV"})
    store.begin(made.POINTS, units)
    perform(units, made.make, cluster, store)
    assert store.results_hash() == expected.results_hash()
    kinds = {f.index: f.kind for f in store.failures()}
    assert kinds == dict.fromkeys(DIES, "ZeroDivisionError") | {11: "WorkerDied"}


def test_a_dask_cluster_is_reached_by_its_address(cluster: DaskEngine, tmp_path: Path) -> None:
    address = cluster._cluster.scheduler_address
    scheduler = tmp_path / "scheduler.json"
    scheduler.write_text(f'{{"address": "{address}"}}')
    plugin = tmp_path / "plugin.py"
    plugin.write_text("LOADED = True\n")
    tasks = [made.MadeTask(0, seed, "static") for seed in range(4)]
    with DaskEngine(str(scheduler), plugins=[str(plugin)]) as engine:
        found = dict(engine.map(made.make, tasks))
    assert [found[i].runs[0]["results_hash"] for i in range(4)] == [
        made.make(task).runs[0]["results_hash"] for task in tasks
    ]
    assert dict(cluster.map(made.make, tasks[:1]))  # a cluster that is not ours is left as it was


def test_workers_with_other_code_are_refused(cluster: DaskEngine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "code_hash", other_code)
    with pytest.raises(RunFailed, match="another version of MarginLab's code"):
        DaskEngine(cluster._cluster.scheduler_address)


def other_code(calls: list[int] = []) -> str:  # noqa: B006  (each process counts its own calls)
    calls.append(1)
    return f"{os.getpid()}"


@pytest.mark.parametrize("address", ["127.0.0.1:1", "nonsense", "strange://host:1", "nowhere.json"])
def test_addresses_without_a_scheduler_are_refused(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask_engine, "CONNECT_SECONDS", 0.3)
    with pytest.raises(ConfigError, match=r"--dask = .*; allowed: local, the address of a running scheduler"):
        DaskEngine(address)


def test_engines_are_one_protocol() -> None:
    each: list[engines.Engine] = [InProcess(), ProcessPool(1), engines.KeptPool(1)]
    assert all(hasattr(engine, "outcomes") and hasattr(engine, "map") for engine in [*each, DaskEngine])
