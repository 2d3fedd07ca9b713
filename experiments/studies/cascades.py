"""How much do liquidations deepen a fall, and when do they cascade? A grid over R0, shock and leverage.

One market per seed runs to just before open interest is seeded. There it is forked into every size of open interest
(R0: the long open interest that becomes liquidatable within 5 % over the bid lots resting within 5 %) and every range
of leverage; just before the shock into every size of the shock; and at the shock into two arms: in one liquidations go
on, in the other, the *twin*, they are off. The *drawdown multiplier* is the ratio of the arms' mean falls of the mark
from the shock to its lowest point within the window.

Another range of leverage makes another share of the same open interest liquidatable. So that R0 stays what is aimed at,
open interest is scaled seed by seed to the R0 that the scenario's own leverage gives at the seeding.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from experiments import build, jobs, run
from experiments.cascades import critical, summary
from experiments.cascades.seed import CascadeTask, SeedRuns, cascade, fall, r0
from experiments.cascades.settings import (
    Cell,
    Leverage,
    at_cell,
    at_target,
    fork_step,
    grid,
    last_seeding_step,
    place_of,
    with_causes,
)
from experiments.engines import engine
from experiments.scenario import Scenario
from experiments.store import OutputFolder, code_hash, plain
from sim.errors import ConfigError

__all__ = ["BRACKET", "TARGETS", "CascadeTask", "Cascades", "at_target", "cascade", "fall", "measure", "r0"]

TARGETS = (0.2, 1.1, 1.65)
BRACKET = (0.2, 8.0)
"""R0 between which the critical one is looked for."""
RESAMPLES = 100
"""Synthetic samples for the p of a power law of sizes."""
LARGE = critical.LARGE
_OUT = ("wall_seconds", "sizes")  # of a run's record: kept in the folder, not in the summary


@dataclass(frozen=True)
class Cascades:
    """What is measured.

    Attributes:
        scenario: a scenario that seeds open interest before a shock.
        targets: values of R0 to aim at.
        seeds: paired seeds.
        event: name of the shock; the scenario's ``measure.event`` if None.
        plugins: users' files to load.
        check: verify every invariant at every step.
        shocks: multiples of the scenario's shock.
        leverages: ranges of leverage of the seeded positions; None is the scenario's own.
        bracket: R0 between which the critical one is looked for; None: do not look.
        resamples: synthetic samples for the p of a power law of sizes; None leaves the fits out.
    """

    scenario: Scenario
    targets: tuple[float, ...]
    seeds: tuple[int, ...]
    event: str | None = None
    plugins: tuple[str, ...] = ()
    check: bool = False
    shocks: tuple[float, ...] = (1.0,)
    leverages: tuple[Leverage | None, ...] = (None,)
    bracket: tuple[float, float] | None = None
    resamples: int | None = None

    @property
    def shock(self) -> str:
        """Name of the shock.

        Raises:
            ConfigError: neither the user nor the scenario names one.
        """
        name = self.event or self.scenario.measure.event
        if name is None:
            known = ", ".join(self.scenario.event_steps) or "the scenario has none"
            raise ConfigError.of("--event", None, f"an event of the scenario: {known}", file=self.scenario.file)
        self.scenario.event_step(name, "--event")
        return name

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every point of the grid."""
        return grid(self.targets, self.shocks, self.leverages)

    def tasks(self, *, keep: bool = False) -> list[jobs.Unit]:
        """One unit per seed.

        Args:
            keep: give tables of cascades back.

        Raises:
            ConfigError: the scenario cannot be varied as asked for.
        """
        for cell in self.cells:
            at_cell(self.scenario, cell, self.shock)
        seeded, step = last_seeding_step(self.scenario), self.scenario.event_steps[self.shock]
        if step <= seeded:
            allowed = f"an event after the seeding of open interest, which is at step {seeded}"
            raise ConfigError.of("--event", self.shock, allowed, file=self.scenario.file)
        scenario = with_causes(self.scenario)
        return [
            jobs.Unit(
                jobs.safe_key("seed", seed),
                CascadeTask(
                    scenario, seed, self.cells, self.shock, self.bracket, self.plugins, self.check, keep
                ),
            )
            for seed in self.seeds
        ]  # fmt: skip

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job."""
        return {
            "command": "cascade",
            "scenario_name": self.scenario.name,
            "scenario": self.scenario.as_run(),
            "regimes": {self.scenario.margin.regime: dict(self.scenario.margin.params)},
            "seeds": list(self.seeds),
            "reading": f"liquidations off from {self.shock} on",
            "options": {
                "targets": list(self.targets), "shocks": list(self.shocks),
                "leverages": [None if lv is None else [lv.low, lv.high] for lv in self.leverages],
                "bracket": self.bracket, "resamples": self.resamples, "check": self.check,
            },
            "plugins": run.load_plugins(self.plugins),
            "code": code_hash(),
        }  # fmt: skip


def measure(
    study: Cascades,
    *,
    workers: int = 1,
    folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run the study.

    Args:
        study: what to measure.
        workers: processes.
        folder: where to keep results, or None.
        on_done: told (units done, units in all).

    Returns:
        Plain data. ``cascades``: per cell the multiplier with interval, falls, R0 measured, probability, share
        liquidated, branching ratio, shape over seeds, forced flow. ``sizes``: per cell fits of trees and bursts, where
        asked for. ``critical``: per shock and leverage the critical R0, where asked for.
    """
    units = study.tasks(keep=folder is not None)
    run.load_plugins(study.plugins)
    _reachable(study)
    runs = jobs.perform(units, cascade, engine(workers), folder, on_done)
    described = []
    for cell in study.cells:
        described.append(place_of(cell) | summary.cell_summary(summary.of_cell(runs, cell)))
    result: dict[str, Any] = {
        "study": "cascades",
        "scenario": study.scenario.name,
        "reading": f"liquidations off from {study.shock} on",
        "event_name": study.shock,
        "event_step": study.scenario.event_steps[study.shock],
        "seeds": study.seeds,
        "cascades": described,
    }
    if study.resamples is not None:
        result["sizes"] = summary.size_fits(study.cells, runs, study.resamples, workers)
    if study.bracket is not None:
        result["critical"] = {"bracket": study.bracket, **summary.critical_summary(study.targets, runs)}
    result |= {
        "runs": [{key: value for key, value in r.items() if key not in _OUT} for r in runs],
        "results_hash": jobs.hash_of(runs),
        "complete": True,
    }
    result = plain(result)
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def _reachable(study: Cascades) -> None:
    """Compile, and refuse leverage none of whose positions R0 counts, before work starts."""
    scenario, seed = study.scenario, study.seeds[0]
    market = build.market(scenario, seed)
    market.advance(1)
    if any(leverage is not None for leverage in study.leverages):
        step = fork_step(scenario)
        if step > 1:
            market.advance(step - 1)
        task = CascadeTask(scenario, seed, study.cells, study.shock)
        tried = SeedRuns(task, market, run.last_step(scenario, scenario.event_steps[study.shock]))
        for leverage in study.leverages:
            if not tried.factor(leverage) > 0:
                allowed = "a range in which a fall of 5 % makes some positions liquidatable: else R0 is 0"
                raise ConfigError.of("--leverage", str(leverage), allowed, file=scenario.file)
    market.close()
