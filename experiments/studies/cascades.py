"""How much do liquidations deepen a fall? Liquidations are switched off in a twin, only from the shock onward.

One market per seed runs to the shock, with the seeded open interest scaled so that R0, the long open interest that
becomes liquidatable within 5 % over the bid lots resting within 5 %, is about a target. There it is forked: in one arm
liquidations go on, in the other they are off. The *drawdown multiplier* is the ratio of the arms' mean falls of the
mark from the shock to its lowest point within the window.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import build, jobs, run
from experiments.engines import engine
from experiments.events import EventBase, SeedOpenInterest
from experiments.measures import moment
from experiments.scenario import Scenario
from experiments.statistics import mean_interval, ratio_of_means
from experiments.store import OutputFolder, code_hash, plain
from sim.errors import ConfigError

if TYPE_CHECKING:
    from sim.market import Market

TARGETS = (0.2, 1.1, 1.65)
_LARGE = 0.30  # share of leveraged open interest whose liquidation counts as a cascade


@dataclass(frozen=True)
class CascadeTask:
    """One seed at one target, picklable.

    Attributes:
        scenario: with its open interest scaled to the target.
        seed: of the run.
        target: R0 aimed at.
        event: name of the shock.
        plugins: files to load first.
        check: verify every invariant at every step.
    """

    scenario: Scenario
    seed: int
    target: float
    event: str
    plugins: tuple[str, ...] = ()
    check: bool = False


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
    """

    scenario: Scenario
    targets: tuple[float, ...]
    seeds: tuple[int, ...]
    event: str | None = None
    plugins: tuple[str, ...] = ()
    check: bool = False

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

    def tasks(self) -> list[jobs.Unit]:
        """One unit per target and seed."""
        units = []
        for target in self.targets:
            scenario = at_target(self.scenario, target)
            for seed in self.seeds:
                task = CascadeTask(scenario, seed, target, self.shock, self.plugins, self.check)
                units.append(jobs.Unit(jobs.safe_key("r0", target, "seed", seed), task))
        return units

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job."""
        return {
            "command": "cascade",
            "scenario_name": self.scenario.name,
            "scenario": self.scenario.as_run(),
            "regimes": {self.scenario.margin.regime: dict(self.scenario.margin.params)},
            "seeds": list(self.seeds),
            "reading": f"liquidations off from {self.shock} on",
            "options": {"targets": list(self.targets), "check": self.check},
            "plugins": run.load_plugins(self.plugins),
            "code": code_hash(),
        }


def at_target(scenario: Scenario, target: float) -> Scenario:
    """The scenario with its seeded open interest scaled so that R0 is about a target.

    Liquidatable long lots are the same share of what is seeded, whatever its size, so open interest is proportional to
    R0; the file states the size for the R0 in its key ``r0``.

    Raises:
        ConfigError: the scenario seeds no open interest, or does not say at which R0.
    """
    seeding = [event for event in scenario.events if isinstance(event, SeedOpenInterest)]
    if not seeding:
        raise ConfigError.of("events", None, "an event of kind seed_open_interest", file=scenario.file)
    events: list[EventBase] = []
    for event in scenario.events:
        if isinstance(event, SeedOpenInterest):
            if event.r0 is None or event.per_bid_depth is None:
                allowed = "the R0 that per_bid_depth gives in this scenario, so that it can be scaled"
                raise ConfigError.of(f"events.{event.name}.r0", event.r0, allowed, file=scenario.file)
            scaled = event.per_bid_depth * target / event.r0
            events.append(event.model_copy(update={"per_bid_depth": scaled, "r0": target}))
        else:
            events.append(event)
    return replace(scenario, events=tuple(events))


def cascade(task: CascadeTask) -> jobs.UnitResult:
    """Run one seed to the shock and on, with liquidations and without."""
    began = time.perf_counter()
    run.load_plugins(task.plugins)
    scenario = task.scenario
    step = scenario.event_step(task.event)
    last = run.last_step(scenario, step)
    base = build.market(scenario, task.seed)
    run.advance(base, step, last, check=task.check)
    at_shock = moment(base)
    record: dict[str, Any] = {"target": task.target, "seed": task.seed, "r0": at_shock.r0}
    record["open_interest"] = float(at_shock.open_interest.sum())
    record["leveraged"] = at_shock.leveraged
    record["depth_bid"] = float(at_shock.depth_bid.sum())
    hashes = []
    for name, liquidations in (("on", True), ("off", False)):
        arm = base.fork(liquidations=liquidations)
        before = arm.state.quotes["liquidated"].sum()
        run.advance(arm, last, last, check=task.check)
        record[f"fall_{name}"] = fall(arm, step)
        record[f"fall_mid_{name}"] = fall(arm, step, "mid")
        if liquidations:
            lots = float(arm.state.quotes["liquidated"].sum() - before)
            record["liquidated_share"] = lots / at_shock.leveraged if at_shock.leveraged else 0.0
        hashes.append((name, arm.results_hash()))
        arm.close()
    base.close()
    regime = scenario.margin.regime
    record |= {"regime": regime, "arm": f"r0 {task.target:g}", "results_hash": jobs.combined_hash(hashes)}
    record["wall_seconds"] = time.perf_counter() - began
    return jobs.UnitResult([record])


def fall(market: Market, step: int, price: str = "mark") -> float:
    """Largest fall of a mark after a step, as a share of the mark at that step; the deepest over contracts.

    Args:
        market: at the end of the window.
        step: from which on.
        price: ``"mark"`` or ``"mid"``, which differ under a mark that is slower than the mid.
    """
    table = market.steps_table()
    falls = []
    for _, rows in table.groupby("contract", sort=False):
        steps, mark = rows["step"].to_numpy(), rows[price].to_numpy()
        first = max(0, int(np.searchsorted(steps, step, side="right")) - 1)
        falls.append(1.0 - float(mark[first:].min()) / float(mark[first]))
    return max(falls)


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
        Plain data: per target the multiplier with interval, falls, measured R0, share liquidated.
    """
    units = study.tasks()
    run.load_plugins(study.plugins)
    market = build.market(study.scenario, study.seeds[0])
    market.advance(1)
    market.close()
    runs = jobs.perform(units, cascade, engine(workers), folder, on_done)
    result = plain(
        {
            "scenario": study.scenario.name,
            "reading": f"liquidations off from {study.shock} on",
            "event_name": study.shock,
            "event_step": study.scenario.event_steps[study.shock],
            "seeds": study.seeds,
            "cascades": [_summary(target, [r for r in runs if r["target"] == target]) for target in study.targets],
            "runs": [{key: value for key, value in r.items() if key != "wall_seconds"} for r in runs],
            "results_hash": jobs.hash_of(runs),
            "complete": True,
        }
    )
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def _summary(target: float, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    on, off = _values(runs, "fall_on"), _values(runs, "fall_off")
    share, r0 = _values(runs, "liquidated_share"), _values(runs, "r0")
    difference = on - off
    spread = float(np.var(difference, ddof=1)) if len(runs) > 1 else 0.0
    return {
        "target": target,
        "r0": mean_interval(r0),
        "r0_median": float(np.nanmedian(r0)),
        "open_interest": mean_interval(_values(runs, "open_interest")),
        "leveraged": mean_interval(_values(runs, "leveraged")),
        "fall_on": mean_interval(on),
        "fall_off": mean_interval(off),
        "multiplier": ratio_of_means(on, off),
        "multiplier_mid": ratio_of_means(_values(runs, "fall_mid_on"), _values(runs, "fall_mid_off")),
        "liquidated_share": mean_interval(share),
        "cascade_probability": mean_interval((share > _LARGE).astype(float)),
        "variance_reduction": float(np.var(on, ddof=1) + np.var(off, ddof=1)) / spread if spread > 0 else None,
    }


def _values(runs: Sequence[Mapping[str, Any]], name: str) -> np.ndarray:
    return np.array([np.nan if r[name] is None else r[name] for r in runs], np.float64)
