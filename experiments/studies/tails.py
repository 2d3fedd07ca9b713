"""Do liquidations make tails of returns fatter? The day after open interest was given, with and without them.

One market per seed runs to the step at which open interest is seeded, at a size that gives a certain R0. Nothing else
happens: no sale, no jump. There it is forked, and one arm goes on without liquidations. The tail exponent is Hill's, of
ten-minute log returns of the mid in the day that follows, pooled over seeds: one day alone has too few large returns.
Its interval resamples seeds, both arms together.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments import build, jobs, run
from experiments.engines import engine
from experiments.facts.estimators import hill
from experiments.measures import moment
from experiments.scenario import Scenario
from experiments.statistics import CONFIDENCE, GENERATOR_SEED, mean_interval
from experiments.store import OutputFolder, code_hash, plain
from experiments.studies.cascades import at_target
from experiments.studies.setups import minutes, seeding, with_events

SHARE = 0.05  # of returns that count as tail
_MINUTES = 10.0
_RESAMPLES = 999

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class TailTask:
    """One seed at one target, picklable.

    Attributes:
        scenario: open interest is its only event.
        seed: of the run.
        target: R0 aimed at.
        sample: steps between sampled mids.
    """

    scenario: Scenario
    seed: int
    target: float
    sample: int


@dataclass(frozen=True)
class Tails:
    """What is measured.

    Attributes:
        scenario: a scenario that seeds open interest.
        targets: values of R0 to aim at.
        seeds: paired seeds.
        days: trading days after the seeding.
    """

    scenario: Scenario
    targets: tuple[float, ...]
    seeds: tuple[int, ...]
    days: int = 1

    def quiet(self, target: float) -> Scenario:
        """The scenario with the seeding at a target as its only event, and ``days`` after it."""
        event = seeding(at_target(self.scenario, target))
        at = self.scenario.event_steps[event.name]
        steps = at + self.days * self.scenario.market.steps_per_day
        return with_events(self.scenario, [(event, at)], event=None, steps=steps)

    def units(self) -> list[jobs.Unit]:
        """One unit per target and seed."""
        sample = minutes(self.scenario, _MINUTES)
        return [
            jobs.Unit(jobs.safe_key("r0", target, "seed", seed), TailTask(scenario, seed, target, sample))
            for target in self.targets
            for scenario in [self.quiet(target)]
            for seed in self.seeds
        ]

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job."""
        return {
            "command": "tails",
            "scenario_name": self.scenario.name,
            "scenario": self.scenario.as_run(),
            "seeds": list(self.seeds),
            "options": {"targets": list(self.targets), "days": self.days},
            "code": code_hash(),
        }


def twins(task: TailTask) -> jobs.UnitResult:
    """One seed: the returns of both arms after the seeding."""
    began = time.perf_counter()
    scenario = task.scenario
    start = next(iter(scenario.event_steps.values()))
    base = build.market(scenario, task.seed)
    run.advance(base, start, scenario.steps)
    record: dict[str, Any] = {"target": task.target, "seed": task.seed, "r0": moment(base).r0}
    hashes = []
    for name, liquidations in (("on", True), ("off", False)):
        arm = base.fork(liquidations=liquidations)
        before = int(arm.state.quotes["liquidated"].sum())
        run.advance(arm, scenario.steps, scenario.steps)
        record[f"returns_{name}"] = _returns(arm.steps_table(), start, task.sample)
        record[f"liquidated_{name}"] = int(arm.state.quotes["liquidated"].sum()) - before
        hashes.append((name, arm.results_hash()))
        arm.close()
    base.close()
    record |= {"regime": scenario.margin.regime, "arm": f"r0 {task.target:g}"}
    record |= {"results_hash": jobs.combined_hash(hashes), "wall_seconds": time.perf_counter() - began}
    return jobs.UnitResult([record])


def _returns(table: Any, start: int, sample: int) -> list[float]:
    """Log returns of the first contract's mid over ``sample`` steps, from a step on."""
    first = table[table["contract"] == table["contract"].iloc[0]]
    step, mid = first["step"].to_numpy(), first["mid"].to_numpy(np.float64)
    wanted = np.arange(start, int(step[-1]) + 1, sample)
    rows = np.maximum(np.searchsorted(step, wanted, side="right") - 1, 0)
    found: list[float] = np.diff(np.log(mid[rows])).tolist()
    return found


def measure(
    study: Tails,
    *,
    workers: int = 1,
    folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run the study.

    Returns:
        Plain data: per target the pooled exponent of both arms and its difference with interval, excess kurtosis, R0.
    """
    units = study.units()
    runs = jobs.perform(units, twins, engine(workers), folder, on_done)
    result = plain(
        {
            "scenario": study.scenario.name,
            "seeds": study.seeds,
            "tails": [summary(target, [r for r in runs if r["target"] == target]) for target in study.targets],
            "results_hash": jobs.hash_of(runs),
        }
    )
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def summary(target: float, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Exponents of one target from its runs."""
    on, off = (np.array([r[f"returns_{name}"] for r in runs], np.float64) for name in ("on", "off"))
    # seeds differ in volatility, and a mixture of volatilities has a fat tail of its own: both arms of a seed are
    # measured in its twin's standard deviations
    unit = np.nanstd(off, axis=1, keepdims=True)
    on, off = (np.divide(arm, unit, where=unit > 0, out=np.full_like(arm, np.nan)) for arm in (on, off))
    return {
        "target": target,
        "r0_median": float(np.nanmedian([np.nan if r["r0"] is None else r["r0"] for r in runs])),
        "liquidated": mean_interval([r["liquidated_on"] for r in runs]),
        **tail_difference(on, off),
    }


def tail_difference(on: Floats, off: Floats, *, resamples: int = _RESAMPLES) -> dict[str, Any]:
    """Pooled Hill exponents of two arms and their difference, with percentile intervals over seeds.

    Args:
        on: float64[seeds, returns] of the one arm.
        off: the same of its twin.
        resamples: bootstrap resamples of seeds, both arms together.

    Returns:
        ``on``, ``off`` and ``difference``, each ``{value, low, high, n}``; ``kurtosis_on``, ``kurtosis_off`` (excess,
        pooled); ``returns``, how many each exponent rests on.
    """
    rng = np.random.default_rng(GENERATOR_SEED)
    found = np.array([hill(on.ravel(), SHARE)[0], hill(off.ravel(), SHARE)[0]])
    drawn = np.empty((resamples, 2))
    for i in range(resamples):
        rows = rng.integers(0, len(on), len(on))
        drawn[i] = hill(on[rows].ravel(), SHARE)[0], hill(off[rows].ravel(), SHARE)[0]
    tail = [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2]

    def estimate(value: float, sample: Floats) -> dict[str, Any]:
        known = sample[np.isfinite(sample)]
        low, high = np.quantile(known, tail) if len(on) > 1 and len(known) else (np.nan, np.nan)
        return {"value": float(value), "low": float(low), "high": float(high), "n": len(on)}

    return {
        "on": estimate(found[0], drawn[:, 0]),
        "off": estimate(found[1], drawn[:, 1]),
        "difference": estimate(found[0] - found[1], drawn[:, 0] - drawn[:, 1]),
        "kurtosis_on": _kurtosis(on.ravel()),
        "kurtosis_off": _kurtosis(off.ravel()),
        "returns": int(on.size),
    }


def _kurtosis(returns: Floats) -> float:
    from scipy import stats

    return float(stats.kurtosis(returns, nan_policy="omit"))
