"""Dealers short of gamma, long of it, and dealers who do not hedge: arms of one market per seed.

A dealer who has sold options hedges by buying when the price rises and selling when it falls; one who owns them does
the opposite (Frey and Stremme 1997). In an arm the scenario's ``seed_options`` events give dealers the same options,
owned or sold; their size and everything else is the scenario's. In the arm ``off``, the baseline, dealers have sold
them and do not hedge. Dealers who own options and do not hedge must leave the same path of prices as those: that is the
placebo, exactly zero.
"""

from __future__ import annotations

import shlex
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import build, run
from experiments.gamma.path import outcomes
from experiments.jobs import UnitResult, safe_key
from experiments.scenario import Scenario
from experiments.store import code_hash
from sim.errors import ConfigError
from sim.kernels import funding

if TYPE_CHECKING:
    from sim.config import ScriptedEvent
    from sim.market import Market

SEEDING = "seed_options"
DEALERS = "option_makers"
OFF, SHORT, LONG = "off", "short", "long"
ARMS = (OFF, SHORT, LONG)
SAMPLES = 120
"""Points of the mean path that are kept."""
OUTCOMES = ("realised_volatility", "drawdown_mid", "run_up", "momentum", "move", "strike_distance")


@dataclass(frozen=True)
class GammaTask:
    """One seed, picklable.

    Attributes:
        scenario: with options seeded for hedging dealers.
        seed: of the run.
        last: step at which measuring ends.
        plugins: files to load first.
        check: verify every invariant at every step.
    """

    scenario: Scenario
    seed: int
    last: int
    plugins: tuple[str, ...] = ()
    check: bool = False


@dataclass(frozen=True)
class GammaUnit:
    """One seed with all its arms (:class:`experiments.sweep.chunks.StoredUnit`)."""

    index: int
    key: str
    task: GammaTask = field(repr=False)
    command: str
    seed: int
    point: int = 0
    regime: str = ""
    arm: str = ""


@dataclass(frozen=True)
class GammaStudy:
    """What is measured.

    Attributes:
        scenario: a scenario with ``seed_options`` events for populations of option makers who hedge.
        seeds: paired seeds.
        plugins: users' files.
        check: verify every invariant at every step.
    """

    scenario: Scenario
    seeds: tuple[int, ...]
    plugins: tuple[str, ...] = ()
    check: bool = False

    def __post_init__(self) -> None:
        """Refuse a scenario in which nothing can be flipped.

        Raises:
            ConfigError: no options are seeded, they go to traders who never hedge, or at the start of the run.
        """
        own, file = self.scenario, self.scenario.file
        seeded = [event for event in own.events if event.kind == SEEDING]
        if not seeded:
            allowed = f"a scenario with an event of kind {SEEDING}: it gives dealers the options whose sign is changed"
            raise ConfigError.of("events", [event.kind for event in own.events], allowed, file=file)
        kinds = {spec.name: spec.kind for spec in own.populations}
        for event in seeded:
            population = str(getattr(event, "population", ""))
            if kinds.get(population) != DEALERS:
                allowed = f"a population of kind {DEALERS}, which hedges"
                raise ConfigError.of(f"events.{event.name}.population", population, allowed, file=file)
            if own.event_steps[event.name] < 1:
                raise ConfigError.of(f"events.{event.name}.at_step", 0, "a step after the first: arms fork before it")

    @property
    def dealers(self) -> tuple[str, ...]:
        """Populations that get options."""
        names = [str(getattr(event, "population", "")) for event in self.scenario.events if event.kind == SEEDING]
        return tuple(dict.fromkeys(names))

    @property
    def first(self) -> int:
        """Step of the first seeding: arms are forked one step before it."""
        return min(self.scenario.event_steps[e.name] for e in self.scenario.events if e.kind == SEEDING)

    @property
    def last(self) -> int:
        """Step at which measuring ends."""
        return run.last_step(self.scenario, self.first)

    def units(self, line: str = "") -> list[GammaUnit]:
        """One unit per seed."""
        found = []
        for index, seed in enumerate(self.seeds):
            task = GammaTask(self.scenario, seed, self.last, self.plugins, self.check)
            command = f"{line} --seeds {seed}:{seed + 1}".strip()
            found.append(GammaUnit(index, safe_key("seed", seed), task, command, seed))
        return found

    def identity(self) -> dict[str, Any]:
        """What makes two studies the same."""
        return {
            "command": "gamma", "scenario_name": self.scenario.name, "scenario": self.scenario.as_run(),
            "seeds": list(self.seeds), "options": {"check": self.check}, "plugins": run.load_plugins(self.plugins),
            "code": code_hash(),
        }  # fmt: skip


def command_line(source: str, assignments: Sequence[str], plugins: Sequence[str]) -> str:
    """The shell line that does a study again, seeds apart."""
    words = ["marginlab", "gamma", source]
    words += [word for text in assignments for word in ("--set", text)]
    words += [word for path in plugins for word in ("--plugin", path)]
    return shlex.join(words)


def measured(task: GammaTask) -> UnitResult:
    """Run one seed to the seeding, fork it into the arms and the placebo, and measure each path."""
    import pandas as pd

    began = time.perf_counter()
    run.load_plugins(task.plugins)
    study = GammaStudy(task.scenario, (task.seed,), task.plugins, task.check)
    base = build.market(task.scenario, task.seed)
    run.advance(base, study.first - 1, task.last, check=task.check)
    records: list[dict[str, Any]] = []
    paths: list[pd.DataFrame] = []
    for label, sign, hedged, arm in (
        (OFF, -1, False, ""), (SHORT, -1, True, ""), (LONG, 1, True, ""), (OFF, 1, False, run.PLACEBO),
    ):  # fmt: skip
        market = flipped(base, study.dealers, sign, hedged=hedged)
        mids = _path(market, task)
        found = outcomes(mids, task.scenario.market.dt_seconds) | _strike_distance(market, mids[0])
        records.append(
            {
                "regime": label, "arm": arm, "seed": task.seed, "measures": found, "incidence": {},
                "results_hash": market.results_hash(),
            }
        )  # fmt: skip
        if not arm:
            chosen = np.unique(np.linspace(0, len(mids) - 1, SAMPLES).round().astype(int))
            paths.append(
                pd.DataFrame(
                    {"regime": label, "seed": task.seed, "step": chosen, "log_mid": np.log(mids[chosen] / mids[0])}
                )
            )
        market.close()
    base.close()
    records[0]["wall_seconds"] = time.perf_counter() - began
    return UnitResult(records, {"paths": pd.concat(paths, ignore_index=True)})


def flipped(base: Market, dealers: Sequence[str], sign: int, *, hedged: bool) -> Market:
    """A fork in which dealers get their options with a sign, and hedge them or not.

    Args:
        base: the market before its options are seeded.
        dealers: populations that get them.
        sign: 1: they own the options, -1: they have sold them.
        hedged: whether they hedge, as the scenario says, or not at all.
    """
    from sim.kernels import state as s

    done = int(base.state.meta[s.M_SCRIPTED])
    market = base.fork(events=[_signed(event, sign) for event in base.events[done:]])
    if not hedged:
        for population in market.populations:
            if population.name in dealers:
                population.change(market, hedge_fraction=0.0)  # type: ignore[attr-defined]
    return market


def _signed(event: ScriptedEvent, sign: int) -> ScriptedEvent:
    if event.kind != SEEDING:
        return event
    return replace(event, gamma_per_depth=sign * abs(event.gamma_per_depth))


def _path(market: Market, task: GammaTask) -> np.ndarray:
    """Mid of the first contract now and after each step, sub-ticks, float64[n + 1]."""
    found = [float(market.state.quotes["mid"][0])]
    while market.tick < task.last:
        run.advance(market, market.tick + 1, task.last, check=task.check)
        found.append(float(market.state.quotes["mid"][0]))
    return np.array(found)


def _strike_distance(market: Market, start: float) -> dict[str, float]:
    """How far the first settlement price lies from the strike that was nearest at the start, a share of that strike."""
    step, table = market.tick, market.state.contracts
    settled = [
        k for k, terms in enumerate(market.contracts)
        if terms.is_option and int(table["reference"][k]) == 0 and 0 < terms.expiry_step <= step
    ]  # fmt: skip
    if not settled:
        return {}
    first = min(market.contracts[k].expiry_step for k in settled)
    chosen = [k for k in settled if market.contracts[k].expiry_step == first]
    strikes = np.array([int(table["strike"][k]) for k in chosen], np.float64)
    strike = float(strikes[np.argmin(np.abs(strikes - start))])
    return {"strike_distance": abs(float(funding.final_price(market.state, chosen[0])) / strike - 1.0)}
