"""Speed and memory of a sweep: ``python -m experiments.bench.sweep [--seeds 250] [--jobs 2] [--out FILE]``.

Four margin regimes on paired seeds, 10,000 steps with 1,000 leveraged traders, into a store on disk, as a user's study
does it. Three things are measured: the time it takes; the memory that workers hold in the last quarter of the runs over
the first; and the efficiency of the workers, which is the throughput of all of them over that of one times their
number. For the last, one worker and all of them take turns with the same runs, so that whatever else the machine does
meets both; the median over the rounds counts.

On a machine that others use as well the time says little; it is given with the processor time that runs took, which
says what it would be alone.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments import build, engines, run
from experiments.jobs import UnitResult
from experiments.scenario import Scenario, load
from experiments.sweep.perform import perform
from experiments.sweep.store import SweepStore

SCENARIO = "shock"
REGIMES = ("static", "dynamic", "portfolio", "isolated")
STEPS, TRADERS = 10_000, 1_000
ROUNDS = 3
BLOCK_SEEDS = 4  # of a turn


@dataclass(frozen=True)
class BenchUnit:
    """A run of the sweep."""

    index: int
    key: str
    task: run.RunTask
    command: str
    point: int
    seed: int


def scenario_of(steps: int = STEPS, traders: int = TRADERS) -> Scenario:
    """The scenario of so many steps and leveraged traders."""
    return load(SCENARIO, [f"market.steps={steps}", f"populations.leveraged.count={traders}"])


def units_of(scenario: Scenario, seeds: Sequence[int]) -> list[BenchUnit]:
    """Every regime on every seed."""
    pairs = [(seed, regime) for seed in seeds for regime in REGIMES]
    return [
        BenchUnit(index, f"{regime}-{seed}", run.RunTask(scenario, seed, regime), "", 0, seed)
        for index, (seed, regime) in enumerate(pairs)
    ]


def timed(task: run.RunTask) -> UnitResult:
    """A run, with the processor time that it took."""
    began = time.process_time()
    result = run.run(task)
    result.runs[0]["cpu_seconds"] = time.process_time() - began
    return result


def warm(scenario: Scenario) -> None:
    """Compile, once, what the workers will load."""
    for regime in REGIMES:
        market = build.market(scenario, 0, regime)
        market.advance(1)
        market.close()


def whole_sweep(units: Sequence[BenchUnit], jobs: int) -> dict[str, Any]:
    """The sweep, into a store."""
    with tempfile.TemporaryDirectory() as folder:
        store = SweepStore(folder, {"bench": "sweep", "units": len(units)})
        began = time.perf_counter()
        store.begin([{}], units)
        done = perform(units, timed, engines.ProcessPool(jobs), store, say)
        store.finish({}, store.results_hash())
        seconds = time.perf_counter() - began
        cpu = float(store.frame("runs")["cpu_seconds"].sum())
        found = {
            "runs": done.finished,
            "failed": done.failed,
            "jobs": jobs,
            "seconds": round(seconds, 1),
            "cpu_seconds": round(cpu, 1),
            "cpu_seconds_over_jobs": round(cpu / jobs, 1),
            "memory": done.memory,
            "results_hash": store.results_hash(),
        }
        store.close()
    return found


def efficiency(units: Sequence[BenchUnit], jobs: int, rounds: int = ROUNDS) -> dict[str, Any]:
    """Throughput of all workers over that of one times their number, in turns."""
    tasks = [unit.task for unit in units]
    pools = {1: engines.KeptPool(1), jobs: engines.KeptPool(jobs)}
    seconds: dict[int, list[float]] = {1: [], jobs: []}
    cpu: dict[int, list[float]] = {1: [], jobs: []}
    try:
        for pool in pools.values():
            list(pool.map(run.run, tasks[: len(REGIMES)] * jobs))  # kernels loaded
        for turn in range(rounds):
            for count in (1, jobs) if turn % 2 == 0 else (jobs, 1):
                began = time.perf_counter()
                results = [result for _, result in pools[count].map(timed, tasks)]
                seconds[count].append(time.perf_counter() - began)
                cpu[count].append(statistics.mean(result.runs[0]["cpu_seconds"] for result in results))
    finally:
        for pool in pools.values():
            pool.close()
    each = [one / (jobs * many) for one, many in zip(seconds[1], seconds[jobs], strict=True)]
    return {
        "jobs": jobs,
        "runs_per_turn": len(tasks),
        "seconds_one": [round(value, 2) for value in seconds[1]],
        "seconds_all": [round(value, 2) for value in seconds[jobs]],
        "cpu_seconds_per_run_one": round(statistics.median(cpu[1]), 4),
        "cpu_seconds_per_run_all": round(statistics.median(cpu[jobs]), 4),
        "efficiency": round(statistics.median(each), 3),
        "efficiency_of_rounds": [round(value, 3) for value in each],
    }


def say(done: int, total: int) -> None:
    """Progress on standard error, a line for every tenth."""
    if total and done % max(1, total // 10) == 0:
        print(f"{done} of {total} runs", file=sys.stderr, flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(prog="python -m experiments.bench.sweep", description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=250)
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--traders", type=int, default=TRADERS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--out", type=Path, help="write the figures to this JSON file")
    options = parser.parse_args(arguments)
    scenario = scenario_of(options.steps, options.traders)
    warm(scenario)
    load_before = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    found = {
        "platform": f"{platform.platform()}, Python {platform.python_version()}, {os.cpu_count()} cores",
        "load_at_start": round(load_before, 2),
        "scenario": SCENARIO, "steps": options.steps, "leveraged_traders": options.traders, "seeds": options.seeds,
        "sweep": whole_sweep(units_of(scenario, range(options.seeds)), options.jobs),
        "turns": efficiency(units_of(scenario, range(BLOCK_SEEDS)), options.jobs, options.rounds),
    }  # fmt: skip
    sweep, turns = found["sweep"], found["turns"]
    print(f"{found['platform']}, load {found['load_at_start']} at the start")
    print(f"{sweep['runs']} runs of {options.steps:,} steps, {options.traders:,} traders, {options.jobs} workers")
    print(f"time        {sweep['seconds']} s ({sweep['cpu_seconds_over_jobs']} s of processor time a worker)")
    print(f"memory      last quarter over first {sweep['memory']['growth']}, peak {sweep['memory']['peak_mb']} MB")
    print(f"efficiency  {turns['efficiency']} (rounds {turns['efficiency_of_rounds']})")
    cpu = (turns["cpu_seconds_per_run_one"], turns["cpu_seconds_per_run_all"])
    print(f"processor   {cpu[0]} s a run with one worker, {cpu[1]} s with all")
    if options.out:
        options.out.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
