"""Stylised facts of the market without leverage: spread, memory of returns, volatility and order signs, tails."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments import build, run
from experiments.facts import estimators
from experiments.facts.tape import Tape
from experiments.jobs import Unit, UnitResult
from experiments.scenario import Scenario
from experiments.statistics import mean_interval, ratio_of_means
from experiments.validation.bands import ESTIMATE, Band, Context, Measurement, number

QUICK_SECONDS, FULL_SECONDS = 10.0, 30.0

_QUICK, _FULL = 16, 64
_TABLE = "design study of this simulator, 16 seeds of 6 days"
_CONT = "Cont (2001), Quantitative Finance 1, 223-236"
_SIGNS = "Lillo and Farmer (2004), Studies in Nonlinear Dynamics and Econometrics 8(3); Bouchaud et al. (2004)"
LONG_LAGS = range(500, 2001)
"""Lags, in orders, at which the signs of market orders are said to have long memory."""
_MINUTE, _TEN, _HOUR = 60.0, 600.0, 3600.0


def _band(id: str, question: str, statement: str, low: float, high: float, source: str, **more: Any) -> Band:
    given: dict[str, Any] = {"unit": "", "quick_seeds": _QUICK, "full_seeds": _FULL} | more
    return Band(id, "stylised facts", question, statement, low, high, source=source, check="facts", **given)


BANDS = (
    _band("facts-spread", "Mean quoted spread?", "at most 20 bp", -math.inf, 20.0, _TABLE, unit="bp"),
    _band(
        "facts-ac1", "First autocorrelation of 1-minute returns?", "-0.35 to 0.1 (bounce, no trend)", -0.35, 0.1,
        f"{_TABLE}; {_CONT}",
    ),
    _band(
        "facts-ac2", "Second autocorrelation of 1-minute returns?", "between -0.1 and 0.1", -0.1, 0.1,
        f"{_TABLE}; {_CONT}",
    ),
    _band(
        "facts-volatility-memory", "Share of seeds whose absolute 1-minute returns have an autocorrelation above 0.05 "
        "after an hour?", "at least 0.8", 0.8, 1.0, f"{_TABLE}; {_CONT}", rule=ESTIMATE,
    ),
    _band("facts-hill", "Hill exponent of 10-minute returns (top 5 %)?", "3 to 5", 3.0, 5.0, f"{_TABLE}; {_CONT}"),
    _band(
        "facts-kurtosis", "Excess kurtosis of hourly over that of 1-minute returns?", "below 1: falls with horizon",
        -math.inf, 1.0, f"{_TABLE}; {_CONT}",
    ),
    _band(
        "facts-sign-memory", "Autocorrelation of order signs, mean over lags of 500 to 2,000 orders?",
        "above 0: long memory", 0.0, math.inf, _SIGNS,
    ),
)  # fmt: skip


@dataclass(frozen=True)
class FactsTask:
    """One seed of one market, picklable."""

    scenario: Scenario
    seed: int


def one_seed(task: FactsTask) -> UnitResult:
    """Run one seed and measure its tape after burn-in."""
    scenario = task.scenario
    market = build.market(scenario, task.seed)
    run.advance(market, scenario.steps, scenario.steps)
    found = measures(Tape.from_market(market, scenario.market.burn_in))
    found |= {"seed": task.seed, "results_hash": market.results_hash()}
    market.close()
    return UnitResult([found])


def measures(tape: Tape) -> dict[str, Any]:
    """What the bands are about, of one tape; NaN where it has not got what is needed."""
    found = {"spread": math.nan, "signs": math.nan}
    if tape.bid is not None and tape.ask is not None:
        found["spread"] = 1e4 * float(np.nanmean((tape.ask - tape.bid) / tape.mid))
    minute, ten, hour = (tape.steps_of(seconds) for seconds in (_MINUTE, _TEN, _HOUR))
    found |= dict.fromkeys(
        ("ac1", "ac2", "memory", "hill", "kurtosis_minute", "kurtosis_ten", "kurtosis_hour"), math.nan
    )
    if minute is not None and hour is not None:
        returns = estimators.returns(tape.mid, minute)
        found["ac1"], found["ac2"] = (float(value) for value in estimators.autocorrelation(returns, 2))
        found["memory"] = float(estimators.autocorrelation(np.abs(returns), [60])[0])
    if ten is not None:
        found["hill"] = float(estimators.hill(estimators.returns(tape.mid, ten)).alpha)
    for name, steps in (("minute", minute), ("ten", ten), ("hour", hour)):
        if steps is not None:
            found[f"kurtosis_{name}"] = float(estimators.kurtosis_by_horizon(tape.mid, [steps])[0])
    if tape.order_signs is not None and len(tape.order_signs) > 2 * max(LONG_LAGS):
        found["signs"] = float(np.nanmean(estimators.autocorrelation(tape.order_signs, LONG_LAGS)))
    return found


def tapes(context: Context, part: str, scenario: Scenario, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Measures of every seed of a market."""
    units = [Unit(f"seed-{seed}", FactsTask(scenario, seed)) for seed in seeds]
    return context.perform(part, units, one_seed)


def check(context: Context) -> Mapping[str, Measurement]:
    """Measure the facts on the market of ordinary trading."""
    seeds = context.seeds()
    runs = tapes(context, "tapes", context.scenario("calm", "record.trades=true"), seeds)
    found = {
        "facts-spread": mean(runs, "spread"),
        "facts-ac1": mean(runs, "ac1"),
        "facts-ac2": mean(runs, "ac2"),
        "facts-hill": mean(runs, "hill"),
        "facts-sign-memory": mean(runs, "signs"),
    }
    memory = column(runs, "memory")
    known = memory[np.isfinite(memory)]
    if len(known):
        note = f"median autocorrelation {np.median(known):.3f}"
        found["facts-volatility-memory"] = share(int((known > 0.05).sum()), len(known), note)
    kurtosis = {name: column(runs, f"kurtosis_{name}") for name in ("minute", "ten", "hour")}
    known = np.isfinite(list(kurtosis.values())).all(axis=0)
    if known.any():
        means = [f"{np.mean(values[known]):.1f}" for values in kurtosis.values()]
        note = f"means {', '.join(means[:2])} and {means[2]} at 1, 10 and 60 minutes"
        ratio = ratio_of_means(kurtosis["hour"][known], kurtosis["minute"][known])
        found["facts-kurtosis"] = Measurement.of(ratio, int(known.sum()), note)
    else:
        found["facts-kurtosis"] = Measurement.missing("too few hours, or steps that are no part of a minute")
    found.setdefault("facts-volatility-memory", Measurement.missing("no seed has it"))
    return found


def column(runs: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    """One measure over the seeds, NaN where it is missing."""
    return np.array([number(run[name]) for run in runs], np.float64)


def share(count: int, n: int, note: str = "") -> Measurement:
    """A share of seeds with its Wilson interval."""
    from scipy.stats import binomtest

    found = binomtest(count, n).proportion_ci(method="wilson")
    return Measurement(count / n, float(found.low), float(found.high), n, note)


def mean(runs: Sequence[Mapping[str, Any]], name: str, note: str = "") -> Measurement:
    """Mean of a measure over seeds with its bootstrap interval."""
    values = column(runs, name)
    known = int(np.isfinite(values).sum())
    return Measurement.of(mean_interval(values), known, note) if known else Measurement.missing("no seed has it")
