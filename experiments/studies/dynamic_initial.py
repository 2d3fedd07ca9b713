"""What margin set at order acceptance does to leverage, and to the fall that follows: a whole-run study.

Open interest is not seeded: leverage targeters choose their leverage from the margin in force, so a regime shapes the
open interest with which the market meets a forced sale. To compare regimes at equal cost, each is scaled by one factor,
solved on tuning seeds, so that the initial margin of the targeters per unit of their notional has the same mean over
time as under ``static``, through the second day, which the sale ends. Effects are then measured on fresh seeds.

    python -m experiments.studies.dynamic_initial --tune 40 --seeds 200:260 --jobs 2
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import optimize

from experiments import build, jobs, run
from experiments.engines import engine
from experiments.measures import Clock, moment, outcomes
from experiments.scenario import Scenario, builtin, parse
from experiments.seeds import parse_seeds
from experiments.statistics import mean_interval, paired_difference
from experiments.store import plain

REGIMES = ("static", "dynamic", "dynamic_initial")
MEASURES = (
    "r0", "bad_debt_bp", "open_interest_per_collateral", "drawdown", "liquidated_share", "margin_per_notional",
    "open_interest",
)  # fmt: skip
_SAMPLE_STEPS = 60
_SETTLED = 1440  # the first day fills the book
_SALE = 2880
_LOTS = 1000  # about a tenth of a day's volume
_TOLERANCE = 0.01
_ITERATIONS = 16


@dataclass(frozen=True)
class Task:
    """One run, picklable.

    Attributes:
        scenario: what to run.
        regime: label of the margin regime.
        scale: factor on its rates and add-ons.
        seed: of the run.
        to_event: stop at the sale (tuning needs no more).
    """

    scenario: Scenario
    regime: str
    scale: float
    seed: int
    to_event: bool


def scenario(targeters: int = 1200, capital_lots: float = 0.5) -> Scenario:
    """``shock`` with its seeded followers replaced by leverage targeters, in a calmer world.

    Traders come in until shortly before the sale, since those who came early have deleveraged or are gone by then, and
    leave gaps of half a position, since closer rebalancing feeds on itself. Chosen on seeds 0 to 5 under ``static`` so
    that R0 at the sale is near the crossover.

    Args:
        targeters: their number.
        capital_lots: mean deposit of each, lots at full value.
    """
    import tomllib

    raw = tomllib.loads(builtin()["shock"].read_text("utf-8"))
    raw["market"] |= {
        "name": "shock with organic leverage: targeters choose leverage from the margin in force",
        "steps": _SALE + 240,
        "burn_in": _SETTLED,
    }
    raw["world"]["volatility"] = 0.01
    raw["events"] = [event for event in raw["events"] if event["kind"] != "seed_open_interest"]
    raw["events"][0] |= {"at_step": _SALE, "lots": _LOTS}
    raw["populations"] = [p for p in raw["populations"] if p["name"] != "leveraged"]
    raw["populations"].append(
        {
            "kind": "leverage_targeters", "name": "leveraged", "count": targeters, "leverage_low": 10.0,
            "leverage_high": 25.0, "long_share": 0.8, "capital_lots": capital_lots, "enter_steps": _SALE - 80,
            "tolerance": 0.5,
        }
    )  # fmt: skip
    raw["margin"] = {
        "regime": "static",
        "params": {"initial": 0.04, "maintenance": 0.02},
        "regimes": {"dynamic": {"initial_rate": 0.04}, "dynamic_initial": {"initial_rate": 0.04}},
    }
    return parse(raw, name="shock-organic", file="experiments.studies.dynamic_initial")


def margin_per_notional(market: Any, first: int, count: int) -> float:
    """Initial margin of a population over the value of its positions, now; NaN while it holds nothing."""
    lots = market.state.positions["lots"][first : first + count]
    value = np.abs((lots * market.state.quotes["mark"] * market.state.contracts["tick_value"]) >> 4).sum(axis=1)
    held = np.flatnonzero(value)
    required = sum(market.initial_margin(first + int(account)) for account in held)
    return required / float(value.sum()) if len(held) else float("nan")


def measure(task: Task) -> jobs.UnitResult:
    """Run one seed under one regime and measure it."""
    from sim.kernels.state import PI_COUNT, PI_FIRST

    began = time.perf_counter()
    scenario = task.scenario
    event = scenario.event_step("sale")
    market = build.market(scenario, task.seed, task.regime)
    market.state.model_scale[0] = task.scale
    row = market.state.pop_ints[market.population_number("leveraged")]
    first, count = int(row[PI_FIRST]), int(row[PI_COUNT])
    samples = []
    for step in range(_SETTLED, event + 1, _SAMPLE_STEPS):
        run.advance(market, step, scenario.steps)
        samples.append(margin_per_notional(market, first, count))
    record: dict[str, Any] = {
        "regime": task.regime, "seed": task.seed, "arm": "", "scale": task.scale,
        "margin_per_notional": float(np.nanmean(samples)),
    }  # fmt: skip
    if not task.to_event:
        at_event = moment(market)
        collateral = sum(market.equity(account) for account in range(first, first + count))
        lots = np.abs(market.state.positions["lots"][first : first + count]).sum()
        value = float((lots * market.state.quotes["mark"][0] * market.state.contracts["tick_value"][0]) >> 4)
        run.advance(market, scenario.steps, scenario.steps)
        clock = Clock(scenario.market.dt_seconds, scenario.market.steps_per_day)
        found = outcomes(market.steps_table(), clock, start=event, end=scenario.steps, at_event=at_event)
        record |= {
            "r0": at_event.r0,
            "open_interest": float(at_event.open_interest.sum()),
            "open_interest_per_collateral": value / collateral if collateral > 0 else float("nan"),
            "bad_debt_bp": found["bad_debt_bp"],
            "drawdown": found["drawdown"],
            "liquidated_share": found["liquidated_leveraged_share"],
        }
        record["results_hash"] = market.results_hash()
    market.close()
    record["wall_seconds"] = time.perf_counter() - began
    return jobs.UnitResult([record])


def runs_of(tasks: Sequence[Task], workers: int) -> list[dict[str, Any]]:
    """Run tasks, in order."""
    units = [jobs.Unit(jobs.safe_key(t.regime, "seed", t.seed), t) for t in tasks]
    return jobs.perform(units, measure, engine(workers))


def mean_margin(runs: Sequence[Mapping[str, Any]]) -> float:
    """Mean over seeds of the time-mean initial margin per notional."""
    return float(np.nanmean([r["margin_per_notional"] for r in runs]))


def solve_scales(base: Scenario, seeds: Sequence[int], workers: int) -> dict[str, dict[str, float]]:
    """Factor of each regime by which its mean initial margin per notional is that of ``static``, on tuning seeds.

    Margin and leverage feed on one another, so steps in proportion need not settle: they only bracket the factor, and
    Brent's method closes in on it. The step that came nearest is taken.

    Returns:
        Regime -> ``scale``, and its ``margin`` on the tuning seeds.
    """
    static = mean_margin(runs_of([Task(base, "static", 1.0, seed, True) for seed in seeds], workers))
    found = {"static": {"scale": 1.0, "margin": static}}
    for regime in REGIMES[1:]:
        tried: dict[float, float] = {}

        def excess(log_scale: float, regime: str = regime, tried: dict[float, float] = tried) -> float:
            scale = float(f"{np.exp(log_scale):.6g}")
            if scale not in tried:
                runs = runs_of([Task(base, regime, scale, seed, True) for seed in seeds], workers)
                tried[scale] = float(np.log(mean_margin(runs) / static))
            # near enough is a root, so that the search ends there
            return 0.0 if abs(tried[scale]) <= _TOLERANCE else tried[scale]

        at, value = 0.0, excess(0.0)
        while value != 0.0 and len(tried) < _ITERATIONS:
            beyond = at - 1.25 * value
            there = excess(beyond)
            if there * value <= 0.0:
                left = _ITERATIONS - len(tried)
                optimize.brentq(excess, at, beyond, xtol=1e-4, maxiter=max(left, 1), disp=False)
                break
            at, value = beyond, there
        scale = min(tried, key=lambda one: abs(tried[one]))
        found[regime] = {"scale": scale, "margin": static * float(np.exp(tried[scale])), "tried": len(tried)}
    return found


def study(base: Scenario, tune: Sequence[int], seeds: Sequence[int], workers: int) -> dict[str, Any]:
    """Solve the scales, then compare on fresh seeds.

    Returns:
        Plain data: scales, mean of every measure by regime, paired differences to ``static`` and between the dynamic
        regimes, each with a bootstrap interval.
    """
    scales = solve_scales(base, tune, workers)
    runs = runs_of([Task(base, r, scales[r]["scale"], seed, False) for r in REGIMES for seed in seeds], workers)
    values = {
        regime: {name: np.array([r[name] for r in runs if r["regime"] == regime], float) for name in MEASURES}
        for regime in REGIMES
    }
    pairs = (("dynamic", "static"), ("dynamic_initial", "static"), ("dynamic_initial", "dynamic"))
    return plain(
        {
            "scenario": base.as_run(),
            "tuning_seeds": list(tune),
            "seeds": list(seeds),
            "scales": scales,
            "means": {r: {name: mean_interval(values[r][name]) for name in MEASURES} for r in REGIMES},
            "differences": {
                f"{a} - {b}": {name: paired_difference(values[a][name], values[b][name]) for name in MEASURES}
                for a, b in pairs
            },
            "runs": [{k: v for k, v in r.items() if k != "wall_seconds"} for r in runs],
            "results_hash": jobs.hash_of(runs),
        }
    )


def lines(result: Mapping[str, Any]) -> list[str]:
    """The result as Markdown tables."""
    scales = ", ".join(f"{regime} {found['scale']:.4g}" for regime, found in result["scales"].items())
    shown = [f"scales: {scales}", ""]
    shown += ["| measure | " + " | ".join(REGIMES) + " |", "|---|" + "---|" * len(REGIMES)]
    for name in MEASURES:
        cells = [_cell(result["means"][regime][name]) for regime in REGIMES]
        shown.append(f"| {name} | " + " | ".join(cells) + " |")
    shown += ["", "| difference | " + " | ".join(result["differences"]) + " |"]
    shown.append("|---|" + "---|" * len(result["differences"]))
    for name in MEASURES:
        cells = [_cell(by[name]) + f" p {by[name]['p']:.3g}" for by in result["differences"].values()]
        shown.append(f"| {name} | " + " | ".join(cells) + " |")
    return shown


def _cell(estimate: Mapping[str, Any]) -> str:
    if estimate["low"] is None:
        return "-" if estimate["mean"] is None else f"{estimate['mean']:.4g}"
    return f"{estimate['mean']:.4g} [{estimate['low']:.4g}, {estimate['high']:.4g}]"


def main(arguments: Sequence[str] | None = None) -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tune", default="40", help="tuning seeds (40 means 0 to 39)")
    parser.add_argument("--seeds", default="200:260", help="fresh seeds")
    parser.add_argument("--jobs", type=int, default=2, help="processes")
    parser.add_argument("--targeters", type=int, default=1200, help="leverage targeters")
    parser.add_argument("--capital-lots", type=float, default=0.5, help="mean deposit, lots at full value")
    parser.add_argument("--out", default=None, help="file for the whole result, JSON")
    given = parser.parse_args(arguments)
    base = scenario(given.targeters, given.capital_lots)
    market = build.market(base, 0)  # compiles before workers look for the cache
    market.advance(1)
    market.close()
    result = study(base, parse_seeds(given.tune), parse_seeds(given.seeds), given.jobs)
    if given.out:
        Path(given.out).write_text(json.dumps(result, indent=1) + "\n", "utf-8")
    print("\n".join(lines(result)))


if __name__ == "__main__":
    main()
