"""A study without a market: units whose results are computed from point and seed alone."""

from __future__ import annotations

import hashlib
import os
import signal
import time
from dataclasses import dataclass

from experiments.jobs import UnitResult

POINTS = [{"margin.rate": 0.1, "scenario": "calm"}, {"margin.rate": 1, "scenario": "shock"}]
IDENTITY = {"study": {"name": "made", "seeds": [0, 1, 2]}, "factors": [{"key": "margin.rate", "values": [0.1, 1]}]}


@dataclass(frozen=True)
class MadeTask:
    """What one made run does: ``ends`` says how."""

    point: int
    seed: int
    regime: str
    arm: str = ""
    ends: str = ""
    seconds: float = 0.0
    keep: bool = False
    marker: str = ""


@dataclass(frozen=True)
class MadeUnit:
    index: int
    key: str
    task: MadeTask
    command: str
    point: int
    seed: int


def units(
    seeds: int = 6, ends: dict[int, str] | None = None, *, seconds: float = 0.0, keep: bool = False, marker: str = ""
) -> list[MadeUnit]:
    """Two points, two regimes and a placebo, on some seeds; ``ends``: how some of the units end."""
    found: list[MadeUnit] = []
    for point in range(len(POINTS)):
        for seed in range(seeds):
            for regime, arm in (("static", ""), ("dynamic", ""), ("static", "placebo")):
                index = len(found)
                how = (ends or {}).get(index, "")
                task = MadeTask(point, seed, regime, arm, how, seconds, keep and arm == "" and seed == 0, marker)
                key = f"{point}-{regime}{arm}-{seed}"
                found.append(MadeUnit(index, key, task, f"marginlab run --seed {seed}", point, seed))
    return found


def make(task: MadeTask) -> UnitResult:
    """One run of a made study."""
    if task.marker:
        with open(task.marker, "a") as file:
            file.write(f"{task.point}-{task.regime}{task.arm}-{task.seed}\n")
    if task.seconds:
        time.sleep(task.seconds)
    if task.ends == "raise":
        raise ZeroDivisionError("divided by nothing")
    if task.ends in ("SIGSEGV", "SIGKILL"):
        os.kill(os.getpid(), getattr(signal, task.ends))
    if task.ends == "exit":
        os._exit(3)
    value = task.point + 0.1 * task.seed + (0.01 if task.regime == "dynamic" else 0.0)
    measures = {"drawdown": value, "liquidations": 3.0, "r0_event": None if task.seed == 1 else value / 3}
    if task.point == 1:
        measures["own_measure"] = 2.0 * value
    run = {
        "regime": task.regime, "arm": task.arm, "seed": task.seed, "steps": 10, "measures": measures,
        "incidence": {"makers": {"pnl": value}, "leveraged": {"pnl": -value}},
        "results_hash": hashlib.sha256(repr((task.regime, task.seed, task.point)).encode()).hexdigest(),
        "wall_seconds": time.perf_counter(),
    }  # fmt: skip
    tables = {}
    if task.keep:
        import pandas as pd

        columns = {"regime": task.regime, "seed": task.seed, "step": range(5), "mark": [value + i for i in range(5)]}
        tables["steps"] = pd.DataFrame(columns)
    return UnitResult([run], tables)
