"""Comparisons at equal cost: for each regime the factor at which it costs what the baseline costs.

A regime that asks for more margin is safer, and dearer, whatever else it does; to see what its *timing* or its
*netting* does, everything it charges is multiplied by one constant factor (the key ``scale`` of its table), chosen so
that a measure of cost has the same mean as under the baseline. The factor is found on pilot seeds, disjoint from the
study's, with the same draws at every factor; the study's own seeds then show how equal the costs came out.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from experiments import build, run
from experiments.engines import Engine, engine
from experiments.jobs import UnitResult
from experiments.measures import Clock, moment, outcomes
from experiments.regimes import SCALE, scaled, stated_scale
from experiments.root_search import Search
from experiments.scenario import Scenario
from experiments.statistics import t_interval
from sim.errors import ConfigError, Problem
from sim.problems import one_of

MEASURES = {
    "mean_margin": "mean initial margin rate, over time and contracts (outcome mean_initial_rate)",
    "requirement": "maintenance requirements over the value of positions, netting included (outcome margin_per_value)",
    "coverage": "share of margin periods of risk that the initial rate covers (outcome coverage)",
    "open_interest": "open interest: at the event of a whole run that names one, else its mean over the window",
}
"""What can be made equal, in words."""
PILOT_SEEDS = 20
_PILOT_BASE = 900  # pilots are seeds below 1000, by default, which studies that confirm do not use
_OUTCOME = {"mean_margin": "mean_initial_rate", "requirement": "margin_per_value", "coverage": "coverage"}
_ABSOLUTE = ("coverage",)  # a share near one: differences of it count, not ratios
_UNRESPONSIVE = 0.05  # log requirement per log factor below which a regime's charges do not follow the factor


@dataclass(frozen=True)
class EqualCost:
    """What is made equal, and how closely.

    Attributes:
        measure: key of :data:`MEASURES`.
        seeds: pilot seeds; they should not be seeds of the study.
        target: value that every regime, the baseline too, is brought to; None for the baseline's own.
        tolerance: allowed residual: relative, for coverage absolute.
        low: smallest factor.
        high: largest factor.
        iterations: factors tried at most for each regime.
    """

    measure: str
    seeds: tuple[int, ...]
    target: float | None = None
    tolerance: float = 0.005
    low: float = 0.02
    high: float = 50.0
    iterations: int = 24

    def validate(self, key: str = "--equal-cost") -> None:
        """Check the settings.

        Raises:
            ConfigError: with everything that is out of range.
        """
        found = []
        if self.measure not in MEASURES:
            found.append(Problem("", key, self.measure, one_of(self.measure, MEASURES)))
        if len(self.seeds) < 2:
            found.append(Problem("", f"{key} pilot seeds", list(self.seeds), "at least two seeds"))
        top = 1.0 if self.measure == "coverage" else math.inf
        if self.target is not None and not (math.isfinite(self.target) and 0.0 < self.target < top):
            found.append(Problem("", f"{key} target", self.target, f"a number above 0 and below {top:g}"))
        if not 0.0 < self.tolerance < 0.5:
            found.append(Problem("", f"{key} tolerance", self.tolerance, "a number above 0 and below 0.5"))
        if not 0.0 < self.low < 1.0 < self.high:
            found.append(Problem("", f"{key} factors", [self.low, self.high], "a range around 1"))
        if found:
            raise ConfigError(found)

    def as_dict(self) -> dict[str, Any]:
        """The settings, as a manifest holds them."""
        return asdict(self) | {"seeds": list(self.seeds)}


def parse(text: str, study_seeds: Sequence[int], pilot: Sequence[int] | None = None) -> EqualCost:
    """The value of ``--equal-cost``: ``MEASURE`` or ``MEASURE=TARGET``, with pilot seeds that the study does not use.

    Args:
        text: such as ``mean_margin`` or ``coverage=0.99``.
        study_seeds: the study's seeds.
        pilot: pilot seeds; :data:`PILOT_SEEDS` seeds from 900 on that the study does not use if None.

    Raises:
        ConfigError: no such measure, a target out of range, or pilot seeds that are the study's.
    """
    name, sign, target = text.partition("=")
    try:
        wanted = float(target) if sign else None
    except ValueError:
        raise ConfigError.of("--equal-cost", text, "MEASURE or MEASURE=NUMBER, as coverage=0.99") from None
    taken = set(study_seeds)
    if pilot is None:
        free = (seed for seed in range(_PILOT_BASE, _PILOT_BASE + PILOT_SEEDS + len(taken)) if seed not in taken)
        pilot = [next(free) for _ in range(PILOT_SEEDS)]
    both = sorted(taken.intersection(pilot))
    if both:
        allowed = "seeds that the study does not use, or the factor is fitted to the seeds it is judged on"
        raise ConfigError.of("--pilot", both[0], allowed)
    settings = EqualCost(name.strip(), tuple(pilot), wanted)
    settings.validate()
    return settings


@dataclass(frozen=True)
class CostTask:
    """One pilot seed under one regime and factor, picklable.

    Attributes:
        scenario: with the factor in the regime's table.
        seed: of the run.
        label: of the regime.
        baseline: in force until the fork.
        fork_at: name of the event to fork at; None for a whole run.
        measure: key of :data:`MEASURES`.
        plugins: users' files to load first.
    """

    scenario: Scenario
    seed: int
    label: str
    baseline: str
    fork_at: str | None
    measure: str
    plugins: tuple[str, ...] = ()


def cost(task: CostTask) -> UnitResult:
    """Run a pilot seed and measure what the regime costs on it: ``cost`` and ``requirement``."""
    run.load_plugins(task.plugins)
    scenario = task.scenario
    event, at_event = task.fork_at or scenario.measure.event, None
    others = [task.label] if task.fork_at is not None and task.label != task.baseline else []
    market = build.market(
        scenario, task.seed, task.baseline if task.fork_at is not None else task.label, shadows=others
    )
    start, last = scenario.market.burn_in, scenario.steps
    if task.fork_at is not None:
        start = scenario.event_step(task.fork_at)
        last = run.last_step(scenario, start)
        run.advance(market, start, last)
        if others:
            base, market = market, market.fork(margin=task.label, scale_to_mean=False)
            base.close()
    elif event is not None and task.measure == "open_interest":
        run.advance(market, scenario.event_steps[event], last)
        at_event = moment(market)
    run.advance(market, last, last)
    clock = Clock(scenario.market.dt_seconds, scenario.market.steps_per_day)
    found = outcomes(market.steps_table(), clock, start=start, end=last, at_event=at_event)
    market.close()
    name = _OUTCOME.get(task.measure, "mean_open_interest" if at_event is None else "open_interest_event")
    record = {"label": task.label, "seed": task.seed, "cost": found[name], "requirement": found["margin_per_value"]}
    return UnitResult([record])


def solve(
    scenario: Scenario,
    regimes: Sequence[str],
    baseline: str,
    measure: str | EqualCost,
    seeds: Sequence[int] = (),
    workers: int = 1,
    *,
    fork_at: str | None = None,
    plugins: Sequence[str] = (),
    on_done: Callable[[int, int], None] | None = None,
    on: Engine | None = None,
) -> dict[str, Any]:
    """Find the factor of every regime at which its cost is the baseline's.

    Args:
        scenario: what is run; factors that it states are where the search starts.
        regimes: labels; the baseline among them or not.
        baseline: label of the regime whose cost is met.
        measure: key of :data:`MEASURES`, or all settings.
        seeds: pilot seeds, where ``measure`` is a name.
        workers: processes.
        fork_at: event at which regimes fork from the baseline; costs are those from there on. None for whole runs.
        plugins: users' files.
        on_done: told (pilot runs done, pilot runs that were begun).
        on: where pilots run; a pool of ``workers`` processes if None.

    Returns:
        ``settings``; ``target`` {value, low, high, n}; ``factors`` by label, ready for
        :func:`experiments.regimes.scaled`; ``regimes`` by label: ``factor``, its interval ``low, high`` (from the
        spread of the residual over pilot seeds and the slope of cost in the factor), ``cost``, ``residual``
        {mean, low, high}, ``iterations`` and ``tried``.

    Raises:
        ConfigError: naming every regime for which no factor within the range meets the baseline, and why.
    """
    settings = measure if isinstance(measure, EqualCost) else EqualCost(measure, tuple(seeds))
    settings.validate()
    labels = list(dict.fromkeys([baseline, *regimes]))
    solved = _Pilots(scenario, baseline, settings, fork_at, tuple(plugins), on or engine(workers), on_done)
    start = {label: stated_scale(scenario, label) or 1.0 for label in labels}
    first = solved.run({baseline: start[baseline]})[baseline]
    own = _mean(first, "cost")
    target = own if settings.target is None else settings.target
    problem = _unusable(settings, target, own)
    if problem:
        raise ConfigError.of("--equal-cost", settings.measure, problem, file=scenario.file)
    excess = _excess(settings, target)
    # a factor on margin moves rates and coverage up, and open interest down
    slope = -1.0 if settings.measure == "open_interest" else 1.0
    moving = [label for label in labels if label != baseline or settings.target is not None]
    searches = {
        label: Search(math.log(start[label]), math.log(settings.low), math.log(settings.high),
                      settings.tolerance, settings.iterations, slope)
        for label in moving
    }  # fmt: skip
    trials: dict[str, dict[float, list[dict[str, float]]]] = {label: {} for label in moving}
    while pending := {label: search.ask() for label, search in searches.items() if search.ask() is not None}:
        wanted = {label: _factor(float(x)) for label, x in pending.items() if x is not None}
        for label, found in solved.run(wanted).items():
            trials[label][wanted[label]] = found
            searches[label].tell(excess(_mean(found, "cost")))
    told: dict[str, Any] = {}
    problems: list[Problem] = []
    if settings.target is None:
        told[baseline] = _described(start[baseline], {start[baseline]: first}, first, settings)
    for label in moving:
        reason = _failure(searches[label], trials[label], settings)
        best = _factor(searches[label].best[0])
        if reason:
            problems.append(Problem(scenario.file, f"margin.regimes.{label}.{SCALE}", best, reason))
        told[label] = _described(best, trials[label], first, settings)
    if problems:
        raise ConfigError(problems)
    return {
        "settings": settings.as_dict(),
        "measure": MEASURES[settings.measure],
        "target": target,
        "baseline": baseline,
        "factors": {label: told[label]["factor"] for label in labels if told[label]["factor"] != 1.0},
        "regimes": told,
    }


def apply(scenario: Scenario, solution: Mapping[str, Any]) -> Scenario:
    """The scenario with the factors that :func:`solve` found."""
    return scaled(scenario, solution["factors"])


def achieved(solution: Mapping[str, Any], summary: Mapping[str, Any]) -> dict[str, Any]:
    """How equal costs came out on the study's own seeds: each regime's paired difference to the baseline.

    Args:
        solution: what :func:`solve` gave.
        summary: ``measures`` and ``differences`` of the study.
    """
    measure = solution["settings"]["measure"]
    event = measure == "open_interest" and "open_interest_event" in summary["measures"]
    name = _OUTCOME.get(measure, "open_interest_event" if event else "mean_open_interest")
    return {
        "outcome": name,
        "measures": summary["measures"].get(name, {}),
        "differences": {label: by[name] for label, by in summary["differences"].items() if name in by},
    }


class _Pilots:
    """Runs pilot seeds, and counts them."""

    def __init__(
        self, scenario: Scenario, baseline: str, settings: EqualCost, fork_at: str | None, plugins: tuple[str, ...],
        where: Engine, on_done: Callable[[int, int], None] | None,
    ) -> None:  # fmt: skip
        self.scenario, self.baseline, self.settings = scenario, baseline, settings
        self.fork_at, self.plugins, self.where, self.on_done = fork_at, plugins, where, on_done
        self.done = self.begun = 0

    def run(self, factors: Mapping[str, float]) -> dict[str, list[dict[str, float]]]:
        """Every pilot seed under every label at its factor, in the order of the seeds."""
        tasks = []
        for label, factor in factors.items():
            made = scaled(self.scenario, {label: factor}) if factor != 1.0 else self.scenario
            tasks += [
                CostTask(made, seed, label, self.baseline, self.fork_at, self.settings.measure, self.plugins)
                for seed in self.settings.seeds
            ]
        self.begun += len(tasks)
        found: dict[int, dict[str, float]] = {}
        for position, result in self.where.map(cost, tasks):
            found[position] = result.runs[0]
            self.done += 1
            if self.on_done is not None:
                self.on_done(self.done, self.begun)
        count = len(self.settings.seeds)
        return {
            label: [found[place * count + i] for i in range(count)] for place, label in enumerate(factors)
        }  # fmt: skip


def _factor(log_factor: float) -> float:
    """Seven digits are enough to be read, and to be typed after ``--set``."""
    return float(f"{math.exp(log_factor):.7g}")


def _mean(runs: Sequence[Mapping[str, float]], name: str) -> float:
    values = np.array([r[name] for r in runs], float)
    known = values[np.isfinite(values)]
    return float(known.mean()) if known.size else math.nan


def _excess(settings: EqualCost, target: float) -> Callable[[float], float]:
    if settings.measure in _ABSOLUTE:
        return lambda value: value - target
    return lambda value: math.log(value / target) if value > 0.0 else -math.inf


def _unusable(settings: EqualCost, target: float, own: float) -> str:
    """Why the baseline's cost cannot be met by anything, or nothing."""
    if not math.isfinite(own):
        return "a measure that the baseline has on the pilot seeds: the window may be too short, or there is no rate"
    if settings.measure == "coverage" and settings.target is None and target >= 1.0 - settings.tolerance:
        return (
            f"a target below what the baseline covers, as coverage=0.99: it covers {target:.2%} of the margin periods "
            "on the pilot seeds, and so does every larger factor"
        )
    return "" if target > 0.0 else "a measure that is above 0 under the baseline"


def _failure(search: Search, trials: Mapping[float, Sequence[Mapping[str, float]]], settings: EqualCost) -> str:
    """Why a regime could not be brought to the target, or nothing."""
    if len(trials) > 1:
        low, high = min(trials), max(trials)
        before, after = _mean(trials[low], "requirement"), _mean(trials[high], "requirement")
        if before > 0.0 and after > 0.0:
            response = math.log(after / before) / math.log(high / low)
            if abs(response) < _UNRESPONSIVE:
                return (
                    "a regime whose requirements follow the factor: what this one charges does not come from its rates"
                )
    if search.reached:
        return ""
    unit = "" if settings.measure in _ABSOLUTE else " relative"
    away = f"nearest with{unit} residual {search.best[1]:+.3g}, allowed {settings.tolerance:g}"
    if search.flat:
        return f"a measure that answers to the factor: {settings.measure} stays where it is ({away})"
    if search.bracketed:
        return f"a continuous measure: {settings.measure} jumps past the target there ({away}); more pilot seeds help"
    return f"a target within reach of factors from {settings.low:g} to {settings.high:g} ({away})"


def _described(
    factor: float, trials: Mapping[float, Sequence[Mapping[str, float]]], base: Sequence[Mapping[str, float]],
    settings: EqualCost,
) -> dict[str, Any]:  # fmt: skip
    """A regime's factor with its uncertainty."""
    values = np.array([r["cost"] for r in trials[factor]], float)
    against = np.array([r["cost"] for r in base], float)
    if settings.target is not None:
        against = np.full_like(values, settings.target)
    relative = settings.measure not in _ABSOLUTE
    level = float(np.nanmean(against)) if relative else 1.0
    residual = t_interval((values - against) / level)
    told: dict[str, Any] = {
        "factor": factor, "low": None, "high": None, "cost": float(np.nanmean(values)),
        "residual": {key: residual[key] for key in ("mean", "low", "high")},
        "iterations": len(trials),
        "tried": {f"{x:.7g}": _mean(found, "cost") for x, found in sorted(trials.items())},
    }  # fmt: skip
    others = sorted((x for x in trials if x != factor), key=lambda x: abs(math.log(x / factor)))
    if others and residual["low"] is not None:
        near = others[0]
        slope = (_mean(trials[near], "cost") / level - told["cost"] / level) / math.log(near / factor)
        half = (residual["high"] - residual["low"]) / 2.0
        if slope != 0.0 and math.isfinite(slope) and half / abs(slope) < 5.0:
            error = half / abs(slope)
            told |= {"low": factor * math.exp(-error), "high": factor * math.exp(error)}
    return told
