"""What does pairing buy? Variance of a difference between arms on one seed against that between independent runs.

Three questions. *Liquidations on against off*, forked at the shock: variance reduction of the log change of the mid 60
and 240 minutes later. *Initial margin 2 against 2.5 %*, the same. *The state before the fork*: both arms' states, and
that of a market built and run anew on the same seed, equal to the bit.

Variance reduction is (var a + var b) / var(a - b): so many times more independent runs would be needed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments import build, jobs, run
from experiments.engines import engine
from experiments.measures import moment
from experiments.scenario import Scenario
from experiments.statistics import CONFIDENCE, GENERATOR_SEED
from experiments.store import OutputFolder, code_hash, plain
from experiments.studies.cascades import at_target
from experiments.studies.setups import minutes, sale, with_margin

if TYPE_CHECKING:
    from sim.market import Market

HORIZONS = (60, 240)  # minutes after the fork
OTHER = "other_initial"
_RESAMPLES = 1999


@dataclass(frozen=True)
class PairingTask:
    """One seed at one target, picklable.

    Attributes:
        scenario: with open interest at the target, and the other initial margin as the regime ``other_initial``.
        seed: of the run.
        target: R0 aimed at.
        event: name of the event at which arms fork.
    """

    scenario: Scenario
    seed: int
    target: float
    event: str


@dataclass(frozen=True)
class Pairing:
    """What is measured.

    Attributes:
        scenario: a scenario that seeds open interest before a sale, under a regime with a fixed initial rate.
        targets: values of R0 to aim at.
        seeds: paired seeds.
        initial: initial rates of the two arms that differ in nothing else.
    """

    scenario: Scenario
    targets: tuple[float, ...]
    seeds: tuple[int, ...]
    initial: tuple[float, float] = (0.02, 0.025)

    def at(self, target: float) -> Scenario:
        """The scenario at a target, with both initial rates."""
        maintenance = min(float(self.scenario.margin.params.get("maintenance", self.initial[0] / 2)), *self.initial)
        params = [{"initial": rate, "maintenance": maintenance} for rate in self.initial]
        return with_margin(
            at_target(self.scenario, target), "static", params[0], {OTHER: {"regime": "static", **params[1]}}
        )

    def units(self) -> list[jobs.Unit]:
        """One unit per target and seed."""
        event = sale(self.scenario).name
        return [
            jobs.Unit(jobs.safe_key("r0", target, "seed", seed), PairingTask(scenario, seed, target, event))
            for target in self.targets
            for scenario in [self.at(target)]
            for seed in self.seeds
        ]

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job."""
        return {
            "command": "pairing",
            "scenario_name": self.scenario.name,
            "scenario": self.scenario.as_run(),
            "seeds": list(self.seeds),
            "options": {"targets": list(self.targets), "initial": list(self.initial)},
            "code": code_hash(),
        }


def pair(task: PairingTask) -> jobs.UnitResult:
    """One seed: the log change of the mid in every arm, and what of the states before the fork differs."""
    began = time.perf_counter()
    scenario = task.scenario
    fork, last = scenario.event_step(task.event), scenario.steps
    ends = [min(fork + minutes(scenario, horizon), last) for horizon in HORIZONS]
    base = build.market(scenario, task.seed, shadows=[OTHER])
    run.advance(base, fork, last)
    again = build.market(scenario, task.seed, shadows=[OTHER])
    run.advance(again, fork, last)
    arms = {"on": base.fork(), "off": base.fork(liquidations=False), "again": again}
    record: dict[str, Any] = {"target": task.target, "seed": task.seed, "r0": moment(base).r0}
    record["differing"] = sum(differing_arrays(base, arm) for arm in arms.values())
    arms["initial"] = base.fork(margin=OTHER, scale_to_mean=False)
    start = float(base.state.quotes["mid"][0])
    hashes = []
    for name, arm in arms.items():
        for horizon, end in zip(HORIZONS, ends, strict=True):
            run.advance(arm, end, last)
            record[f"{name}_{horizon}"] = float(np.log(float(arm.state.quotes["mid"][0]) / start))
        hashes.append((name, arm.results_hash()))
        arm.close()
    base.close()
    record["repeated"] = dict(hashes)["again"] == dict(hashes)["on"]
    record |= {"regime": scenario.margin.regime, "arm": f"r0 {task.target:g}"}
    record |= {"results_hash": jobs.combined_hash(hashes), "wall_seconds": time.perf_counter() - began}
    return jobs.UnitResult([record])


def differing_arrays(one: Market, other: Market) -> int:
    """How many arrays of two markets' states differ in any byte; whether liquidations are on is not looked at."""
    from sim.kernels import state as s

    mine, theirs = s.arrays_of(one.state), s.arrays_of(other.state)
    found = 0
    for name, array in mine.items():
        a, b = array, theirs[name]
        if name == "meta":
            a, b = a.copy(), b.copy()
            a[s.M_LIQUIDATE] = b[s.M_LIQUIDATE] = 0
        found += a.shape != b.shape or a.tobytes() != b.tobytes()
    return found


def measure(
    study: Pairing,
    *,
    workers: int = 1,
    folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run the study.

    Returns:
        Plain data: per target the variance reductions with intervals, and how many arrays differed before the fork.
    """
    units = study.units()
    runs = jobs.perform(units, pair, engine(workers), folder, on_done)
    result = plain(
        {
            "scenario": study.scenario.name,
            "seeds": study.seeds,
            "pairing": [_summary(target, [r for r in runs if r["target"] == target]) for target in study.targets],
            "results_hash": jobs.hash_of(runs),
        }
    )
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def _summary(target: float, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    def values(name: str) -> NDArray[np.float64]:
        return np.array([r[name] for r in runs], np.float64)

    return {
        "target": target,
        "r0_median": float(np.nanmedian([np.nan if r["r0"] is None else r["r0"] for r in runs])),
        "differing": int(values("differing").sum()),
        "repeated": all(r["repeated"] for r in runs),
        **{
            f"{what}_{horizon}": variance_reduction(values(f"on_{horizon}"), values(f"{arm}_{horizon}"))
            for what, arm in (("liquidations", "off"), ("initial", "initial"))
            for horizon in HORIZONS
        },
    }


def variance_reduction(
    a: NDArray[np.float64], b: NDArray[np.float64], *, resamples: int = _RESAMPLES
) -> dict[str, Any]:
    """(var a + var b) / var(a - b) of paired values, with a percentile interval over pairs.

    Returns:
        ``value, low, high, n``, and ``equal``, the number of pairs without any difference. The value is infinite where
        every pair is equal, NaN with fewer than three pairs.

    Examples:
        >>> variance_reduction(np.arange(4.0), np.arange(4.0))["value"]
        inf
    """
    n = len(a)
    equal = int(np.sum(a == b))
    if n < 3:
        return {"value": np.nan, "low": np.nan, "high": np.nan, "n": n, "equal": equal}
    rng = np.random.default_rng(GENERATOR_SEED)
    rows = rng.integers(0, n, (resamples, n))
    drawn = _reduction(a[rows], b[rows])
    low, high = np.quantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2], method="nearest")
    value = float(_reduction(a[None, :], b[None, :])[0])
    return {"value": value, "low": float(low), "high": float(high), "n": n, "equal": equal}


def _reduction(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    apart = np.var(a - b, axis=1, ddof=1)
    whole = np.var(a, axis=1, ddof=1) + np.var(b, axis=1, ddof=1)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(apart > 0, whole / apart, np.inf))
