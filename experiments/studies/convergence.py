"""Do results depend on how time is cut? The limit on liquidation rounds within a step, and the length of a step.

*Rounds*: one market per seed runs to the shock and is forked there into every limit, and into a twin without
liquidations, so that differences between limits are paired. *Step*: the same file at steps of other lengths
(``market.unit_seconds``); draws are of other steps then, so seeds pair nothing, and ratios are of independent samples.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from experiments import build, jobs, run
from experiments.engines import engine
from experiments.measures import Clock, leveraged_lots, outcomes
from experiments.scenario import Scenario
from experiments.statistics import CONFIDENCE, GENERATOR_SEED, mean_interval, paired_difference, ratio_of_means
from experiments.store import OutputFolder, code_hash, plain
from experiments.studies.cascades import at_target, fall
from experiments.studies.setups import minutes, sale, with_clearing

ROUNDS = (5, 10, 20, 50, 100, 200)
_RESAMPLES = 1999

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class RoundsTask:
    """One seed, picklable.

    Attributes:
        scenario: at a target.
        seed: of the run.
        limits: values of ``clearing.max_rounds``.
    """

    scenario: Scenario
    seed: int
    limits: tuple[int, ...]


@dataclass(frozen=True)
class Rounds:
    """What is measured.

    Attributes:
        scenario: a scenario that seeds open interest before a sale.
        seeds: paired seeds.
        target: R0 to aim at.
        limits: values of ``clearing.max_rounds``; the largest is what the others are compared with.
    """

    scenario: Scenario
    seeds: tuple[int, ...]
    target: float = 1.65
    limits: tuple[int, ...] = ROUNDS

    def units(self) -> list[jobs.Unit]:
        """One unit per seed."""
        scenario = at_target(self.scenario, self.target)
        scenario.event_step(sale(scenario).name)
        return [jobs.Unit(jobs.safe_key("seed", seed), RoundsTask(scenario, seed, self.limits)) for seed in self.seeds]

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job."""
        return {
            "command": "rounds",
            "scenario_name": self.scenario.name,
            "scenario": self.scenario.as_run(),
            "seeds": list(self.seeds),
            "options": {"target": self.target, "limits": list(self.limits)},
            "code": code_hash(),
        }


def limited(task: RoundsTask) -> jobs.UnitResult:
    """One seed: the fall, what is liquidated, spread and volatility, under every limit."""
    began = time.perf_counter()
    scenario = task.scenario
    shock = scenario.event_step(sale(scenario).name)
    last = run.last_step(scenario, shock)
    base = build.market(scenario, task.seed)
    run.advance(base, shock, last)
    leveraged = leveraged_lots(base)
    clock = Clock(scenario.market.dt_seconds, scenario.market.steps_per_day)
    arms = {str(limit): base.fork(clearing=build.clearing(with_clearing(scenario, max_rounds=limit)))
            for limit in task.limits}  # fmt: skip
    arms["off"] = base.fork(liquidations=False)
    before = int(base.state.quotes["liquidated"].sum())
    record: dict[str, Any] = {"seed": task.seed, "regime": scenario.margin.regime, "arm": "rounds"}
    hashes = []
    for name, arm in arms.items():
        run.advance(arm, last, last)
        found = outcomes(arm.steps_table(), clock, start=shock, end=last)
        lots = int(arm.state.quotes["liquidated"].sum()) - before
        record[name] = {
            "fall": fall(arm, shock),
            "liquidated": lots / leveraged if leveraged else 0.0,
            "spread": found["spread_bp"],
            "volatility": found["volatility"],
        }
        hashes.append((name, arm.results_hash()))
        arm.close()
    base.close()
    record |= {"results_hash": jobs.combined_hash(hashes), "wall_seconds": time.perf_counter() - began}
    return jobs.UnitResult([record])


def measure(
    study: Rounds,
    *,
    workers: int = 1,
    folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run the study of the round limit.

    Returns:
        Plain data: by limit the multiplier, the share liquidated, spread, volatility, and each one's paired difference
        to the largest limit.
    """
    units = study.units()
    runs = jobs.perform(units, limited, engine(workers), folder, on_done)
    result = plain(
        {
            "scenario": study.scenario.name,
            "seeds": study.seeds,
            "target": study.target,
            "limits": rounds_summary(runs, study.limits),
            "results_hash": jobs.hash_of(runs),
        }
    )
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def rounds_summary(runs: Sequence[Mapping[str, Any]], limits: Sequence[int]) -> list[dict[str, Any]]:
    """Every limit beside the largest one."""

    def column(arm: str, name: str) -> Floats:
        return np.array([np.nan if r[arm][name] is None else r[arm][name] for r in runs], np.float64)

    reference = str(max(limits))
    off = column("off", "fall")
    found = []
    for limit in limits:
        arm = str(limit)
        found.append(
            {
                "limit": limit,
                "multiplier": ratio_of_means(column(arm, "fall"), off),
                "multiplier_change": multiplier_change(column(arm, "fall"), column(reference, "fall"), off),
                **{name: mean_interval(column(arm, name)) for name in ("liquidated", "spread", "volatility")},
                **{
                    f"{name}_change": paired_difference(column(arm, name), column(reference, name))
                    for name in ("fall", "liquidated", "spread", "volatility")
                },
            }
        )
    return found


def multiplier_change(arm: Floats, reference: Floats, off: Floats, *, resamples: int = _RESAMPLES) -> dict[str, Any]:
    """Difference of two multipliers that share their denominator, with a percentile interval over seeds."""
    rng = np.random.default_rng(GENERATOR_SEED)
    rows = rng.integers(0, len(off), (resamples, len(off)))
    drawn = (arm[rows].mean(axis=1) - reference[rows].mean(axis=1)) / off[rows].mean(axis=1)
    low, high = np.nanquantile(drawn, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    value = (arm.mean() - reference.mean()) / off.mean()
    return {"value": float(value), "low": float(low), "high": float(high), "n": len(off)}


@dataclass(frozen=True)
class QuotesTask:
    """One seed of one step length, picklable."""

    scenario: Scenario
    seed: int
    label: str


def quotes_units(scenario: Scenario, seeds: Sequence[int], label: str) -> list[jobs.Unit]:
    """Units of :func:`quotes`, one per seed; the label names the step length."""
    return [jobs.Unit(jobs.safe_key(label, "seed", seed), QuotesTask(scenario, seed, label)) for seed in seeds]


def quotes(task: QuotesTask) -> jobs.UnitResult:
    """Spread, volatility and depth of one run after burn-in, at times that do not depend on the step."""
    began = time.perf_counter()
    scenario = task.scenario
    market = build.market(scenario, task.seed)
    run.advance(market, scenario.steps, scenario.steps)
    table = market.steps_table()
    table = table[(table["contract"] == table["contract"].iloc[0]) & (table["step"] >= scenario.market.burn_in)]
    record: dict[str, Any] = {"seed": task.seed, "regime": scenario.margin.regime, "arm": task.label}
    record |= quote_measures(
        table["step"].to_numpy(), table["mid"].to_numpy(np.float64), table["bid"].to_numpy(np.float64),
        table["ask"].to_numpy(np.float64), [minutes(scenario, number) for number in (1, 10, 60)],
    )  # fmt: skip
    record["volume"] = float(table["volume"].iloc[-1] - table["volume"].iloc[0])
    depth = table["depth_bid"].to_numpy(np.float64)
    record["depth"] = float(np.median(depth[depth > 0])) if (depth > 0).any() else float("nan")
    record |= {"results_hash": market.results_hash(), "wall_seconds": time.perf_counter() - began}
    market.close()
    return jobs.UnitResult([record])


def quote_measures(
    step: NDArray[np.int64], mid: Floats, bid: Floats, ask: Floats, samples: Sequence[int]
) -> dict[str, float]:
    """Mean spread and volatility of returns over 1, 10 and 60 minutes, basis points; AC1 of one-minute returns.

    Args:
        step: int64[rows], increasing.
        mid: float64[rows].
        bid: float64[rows]; 0 or less where nothing is quoted.
        ask: float64[rows].
        samples: steps in 1, 10 and 60 minutes.
    """
    quoted = (bid > 0) & (ask > 0)
    found = {"spread": float(np.mean(1e4 * (ask[quoted] - bid[quoted]) / mid[quoted]))}
    for number, sample in zip((1, 10, 60), samples, strict=True):
        wanted = np.arange(int(step[0]), int(step[-1]) + 1, sample)
        rows = np.searchsorted(step, wanted, side="right") - 1
        returns = np.diff(np.log(mid[rows]))
        found[f"volatility_{number}"] = 1e4 * float(np.std(returns))
        if number == 1:
            found["ac1"] = float(np.corrcoef(returns[1:], returns[:-1])[0, 1]) if np.std(returns) > 0 else float("nan")
    return found


def ratio_of_samples(a: ArrayLike, b: ArrayLike, *, resamples: int = _RESAMPLES) -> dict[str, Any]:
    """Ratio of the means of two independent samples, with a percentile bootstrap interval.

    Examples:
        >>> ratio_of_samples([2.0, 2.0, 2.0], [1.0, 1.0, 1.0])["value"]
        2.0
    """
    x, y = (np.asarray(values, np.float64) for values in (a, b))
    x, y = x[np.isfinite(x)], y[np.isfinite(y)]
    if len(x) < 2 or len(y) < 2 or y.mean() == 0:
        return {"value": float("nan"), "low": float("nan"), "high": float("nan"), "n": min(len(x), len(y))}
    rng = np.random.default_rng(GENERATOR_SEED)
    top = x[rng.integers(0, len(x), (resamples, len(x)))].mean(axis=1)
    bottom = y[rng.integers(0, len(y), (resamples, len(y)))].mean(axis=1)
    low, high = np.quantile(top / bottom, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return {"value": float(x.mean() / y.mean()), "low": float(low), "high": float(high), "n": min(len(x), len(y))}
