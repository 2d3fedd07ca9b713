"""Compare margin regimes on paired seeds, in either of two readings.

*Whole-run*: every regime runs the whole scenario on the same seeds. Regimes differ from the first step, so the question
is what a regime does, its effect on leverage before the event included.

*Forked at an event*: one market per seed runs to the event under the baseline, with the other regimes in shadow, and is
forked there, so that every arm enters the event with the same book, positions and cash. The question is what a regime
does from the event on. Where rates differ, each arm is scaled to the baseline's mean initial margin before the fork.

Both carry a placebo: the baseline once more, which must give the same to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from experiments import build, jobs, run
from experiments.contract_terms import money_of
from experiments.engines import engine
from experiments.equal_cost import achieved
from experiments.regimes import resolve, stated
from experiments.scenario import Scenario
from experiments.statistics import incidence_differences, incidence_summary, paired_summary
from experiments.store import OutputFolder, code_hash, plain
from experiments.tabulated.tails import tails_of
from experiments.vocabulary import HEADLINE
from sim.errors import ConfigError
from sim.problems import one_of

DEFAULT_REGIMES = ("static", "dynamic", "portfolio", "isolated")
WHOLE_RUN = "whole-run"


@dataclass(frozen=True)
class Comparison:
    """What is compared, and how.

    Attributes:
        scenario: the scenario.
        regimes: labels of margin regimes, distinct.
        seeds: seeds, common to all regimes.
        fork_at: name of the event to fork at, or None for the whole-run reading.
        plugins: users' files to load.
        check: verify every invariant at every step.
        placebo: run the baseline twice.
        command: what the user called, for the manifest.
        base: label of the baseline; the scenario's own regime, or the first one, if empty.
        equal_cost: what :func:`experiments.equal_cost.solve` gave, where the scenario holds the factors it found.
    """

    scenario: Scenario
    regimes: tuple[str, ...]
    seeds: tuple[int, ...]
    fork_at: str | None = None
    plugins: tuple[str, ...] = ()
    check: bool = False
    placebo: bool = True
    command: str = "compare"
    base: str = ""
    equal_cost: Mapping[str, Any] | None = None

    @property
    def baseline(self) -> str:
        """The regime that was named, else the scenario's own, or the first one if that is not compared."""
        if self.base:
            return self.base
        own = self.scenario.margin.regime
        return own if own in self.regimes else self.regimes[0]

    @property
    def reading(self) -> str:
        """Which question the comparison answers."""
        return WHOLE_RUN if self.fork_at is None else f"forked at {self.fork_at}"

    @property
    def event(self) -> str | None:
        """Name of the event that outcomes refer to."""
        return self.fork_at or self.scenario.measure.event

    def validate(self) -> None:
        """Check everything that can be wrong before anything is run or written.

        Raises:
            ConfigError: an unknown regime or event, a regime named twice.
        """
        doubled = [label for label in dict.fromkeys(self.regimes) if self.regimes.count(label) > 1]
        if doubled:
            raise ConfigError.of("--margin", doubled[0], "each regime once")
        for label in self.regimes:
            resolve(self.scenario, label)
        if self.baseline not in self.regimes:
            raise ConfigError.of("--baseline", self.base, one_of(self.base, self.regimes))
        if self.fork_at is not None:
            self.scenario.event_step(self.fork_at)

    def units(self) -> list[jobs.Unit]:
        """The pieces of the job: runs, or seeds with all their arms."""
        kept = {"first": self.seeds[:1], "all": self.seeds, "none": ()}[self.scenario.record.tables]
        common: dict[str, Any] = {"scenario": self.scenario, "plugins": self.plugins, "check": self.check}
        if self.fork_at is not None:
            return [
                jobs.Unit(
                    jobs.safe_key("seed", seed),
                    run.ForkTask(
                        seed=seed, baseline=self.baseline, regimes=self.regimes, event=self.fork_at,
                        keep=seed in kept, **common,
                    ),
                )
                for seed in self.seeds
            ]  # fmt: skip
        arms = [(label, "") for label in self.regimes] + ([(self.baseline, run.PLACEBO)] if self.placebo else [])
        return [
            jobs.Unit(
                jobs.safe_key(*filter(None, (label, arm, "seed", seed))),
                run.RunTask(seed=seed, regime=label, arm=arm, keep=seed in kept and not arm, **common),
            )
            for seed in self.seeds
            for label, arm in arms
        ]

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job, and what must agree for a folder to be resumed."""
        return {
            "command": self.command,
            "scenario_name": self.scenario.name,
            "scenario": self.scenario.as_run(),
            "regimes": {label: stated(self.scenario, label) for label in self.regimes},
            "baseline": self.baseline,
            "seeds": list(self.seeds),
            "reading": self.reading,
            "options": {
                "check": self.check,
                "placebo": self.placebo,
                **({} if self.equal_cost is None else {"equal_cost": self.equal_cost["settings"]}),
            },
            "plugins": run.load_plugins(self.plugins),
            "code": code_hash(),
        }


def compare(
    comparison: Comparison,
    *,
    workers: int = 1,
    folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run a comparison and summarise it.

    Args:
        comparison: what to compare.
        workers: processes; one runs everything in this process.
        folder: where to keep results, or None.
        on_done: told (units done, units in all).

    Returns:
        The result: plain data, the content of ``summary.json``.

    Raises:
        ConfigError: the comparison cannot be run; nothing was written.
    """
    comparison.validate()
    warm(comparison)
    units = comparison.units()
    function = run.run if comparison.fork_at is None else run.fork
    runs = jobs.perform(units, function, engine(workers), folder, on_done)
    result = summary(comparison, runs)
    if comparison.command == "run" and len(comparison.seeds) == 1:
        result = single(result)
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def warm(comparison: Comparison) -> None:
    """Build and take a first step of every kind of market of the job.

    Whatever does not fit together shows here, before anything is written, and compiled code is in the cache before
    workers look for it.
    """
    run.load_plugins(comparison.plugins)
    scenario, seed = comparison.scenario, comparison.seeds[0]
    if comparison.fork_at is None:
        for label in comparison.regimes:
            market = build.market(scenario, seed, label)
            market.advance(1)
            market.close()
        return
    others = [label for label in comparison.regimes if label != comparison.baseline]
    base = build.market(scenario, seed, comparison.baseline, shadows=others)
    base.advance(1)
    for label in others:
        arm = base.fork(margin=label)
        arm.advance(1)
        arm.close()
    base.close()


def summary(comparison: Comparison, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The result of a comparison from its runs."""
    scenario, baseline = comparison.scenario, comparison.baseline
    arms = {label: _of(runs, label) for label in comparison.regimes}
    placebo = _of(runs, baseline, run.PLACEBO)
    values = {label: _columns([r["measures"] for r in found]) for label, found in arms.items()}
    statistics = paired_summary(
        values,
        baseline,
        _columns([r["measures"] for r in placebo]) if placebo else None,
    )
    populations = {
        label: {
            name: _columns([r["incidence"][name] for r in found]) for name in (found[0]["incidence"] if found else ())
        }
        for label, found in arms.items()
    }
    event = comparison.event
    return plain(
        {
            "scenario": scenario.name,
            "title": scenario.market.name,
            "reading": comparison.reading,
            "event_name": event,
            "event_step": scenario.event_steps[event] if event is not None else None,
            "seeds": comparison.seeds,
            "regimes": comparison.regimes,
            "baseline": baseline,
            "parameters": {label: stated(scenario, label) for label in comparison.regimes},
            **statistics,
            "tails": tails_of(values, baseline, HEADLINE),
            "incidence": incidence_summary(populations),
            "incidence_differences": incidence_differences(populations, baseline) if len(arms) > 1 else {},
            **({} if comparison.equal_cost is None else {"equal_cost": _equal_cost(comparison.equal_cost, statistics)}),
            "scales": {
                label: float(np.mean([r["scale"] for r in found])) for label, found in arms.items() if _scaled(found)
            },
            "runs": [{key: r[key] for key in _KEPT if key in r} for r in runs],
            "results_hash": jobs.hash_of(runs),
            "placebo_identical": _identical(arms[baseline], placebo) if placebo else None,
            "shown_seed": comparison.seeds[0],
            "dates": scenario.dates,
            "money": money_of(scenario),
            "complete": True,
        }
    )


def single(result: Mapping[str, Any]) -> dict[str, Any]:
    """The result of one run alone: its numbers as they are, without intervals.

    Args:
        result: a summary of one regime and one seed.
    """
    (only,) = result["runs"]
    common = ("scenario", "title", "event_name", "event_step", "dates", "money", "results_hash", "complete")
    regime = only["regime"]
    incidence = {
        population: {quantity: estimate["mean"] for quantity, estimate in by.items()}
        for population, by in result["incidence"][regime].items()
    }
    return {
        "regime": regime,
        "seed": only["seed"],
        "parameters": result["parameters"][regime],
        "measures": only["measures"],
        "incidence": incidence,
        **({"cascade": only["cascade"]} if "cascade" in only else {}),
        **({"owed": only["owed"]} if "owed" in only else {}),
        **{key: result[key] for key in common},
    }


_KEPT = ("regime", "seed", "arm", "measures", "cascade", "scale", "results_hash", "owed")


def _equal_cost(solution: Mapping[str, Any], statistics: Mapping[str, Any]) -> dict[str, Any]:
    """Factors from the pilot, and how equal costs came out on the study's own seeds."""
    return {**solution, "achieved": achieved(solution, statistics)}


def _of(runs: Sequence[Mapping[str, Any]], label: str, arm: str = "") -> list[Mapping[str, Any]]:
    return [r for r in runs if r["regime"] == label and r["arm"] == arm]


def _columns(rows: Iterable[Mapping[str, float | None]]) -> dict[str, np.ndarray]:
    """Rows of measures, one per seed, as an array per measure; what a run could not measure is NaN."""
    rows = list(rows)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: np.array([_number(row.get(name)) for row in rows]) for name in names}


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _scaled(runs: Sequence[Mapping[str, Any]]) -> bool:
    return bool(runs) and all("scale" in r for r in runs)


def _identical(runs: Sequence[Mapping[str, Any]], placebo: Sequence[Mapping[str, Any]]) -> bool:
    """Whether baseline and placebo agree in every byte of their results."""
    return [r["results_hash"] for r in runs] == [r["results_hash"] for r in placebo]
