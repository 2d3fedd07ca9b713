"""What dealers' hedging and liquidations do to the impact of a metaorder: each alone, both, and both less their sum.

One market per seed runs to just before the metaorder. From that one state four arms go on:

    none          dealers stop hedging, no liquidation starts
    dealers       dealers hedge as the scenario says
    liquidations  positions are called and liquidated as the scenario says
    both          the scenario as it is

Every arm has a twin with the same mechanisms and no metaorder, so what hedging and liquidations do without it is not
counted. With I the impact against the twin, in daily volatilities, the *amplification* of an arm is I(arm) / I(none),
its *extra* is I(arm) - I(none), and the *interaction* is the extra of both less the extras of each alone,

    I(both) - I(dealers) - I(liquidations) + I(none).

Cells of a grid change what is seeded (the dealers' gamma and R0) and fork from the state before the first seeding.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import build, jobs, regimes, run
from experiments.engines import engine
from experiments.events import SeedOpenInterest, SeedOptions
from experiments.impact.mechanisms_summary import summarise
from experiments.impact.study import SIDES, ImpactStudy, path_steps, path_times, tape
from experiments.measures import moment
from experiments.scenario import Scenario
from experiments.store import OutputFolder, code_hash, plain
from experiments.studies.cascades import at_target
from sim.config import ScriptedEvent
from sim.errors import ConfigError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.market import Market

NONE, DEALERS, LIQUIDATIONS, BOTH = "none", "dealers", "liquidations", "both"
ARMS = {NONE: (False, False), DEALERS: (True, False), LIQUIDATIONS: (False, True), BOTH: (True, True)}
"""Arm -> (dealers hedge, liquidations are on)."""
FALL = 0.05
"""Move over which the gain at the start is taken, share of the mark; the dealers' gamma is stated over the same."""
_PLACE = "place_of_the_metaorder"


@dataclass(frozen=True)
class Cell:
    """A point of a grid.

    Attributes:
        gamma: ``gamma_per_depth`` of the dealers, negative where they are short; None: the scenario's own.
        r0: R0 that seeded open interest is scaled to; None: the scenario's own.
    """

    gamma: float | None = None
    r0: float | None = None

    @property
    def name(self) -> str:
        """As tables and hashes spell it."""
        parts = [f"gamma {self.gamma:g}"] if self.gamma is not None else []
        parts += [f"r0 {self.r0:g}"] if self.r0 is not None else []
        return " ".join(parts) or "as seeded"


@dataclass(frozen=True)
class MechanismStudy:
    """What is measured.

    Attributes:
        impact: the metaorders, the seeds and the scenario; its liquidations are ``"own"``, the arms switch them.
        cells: the grid.
        margins: labels of margin regimes; empty: the scenario's own.
    """

    impact: ImpactStudy
    cells: tuple[Cell, ...] = (Cell(),)
    margins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what has no mechanism to switch.

        Raises:
            ConfigError: no population hedges options, two cells are the same, no such regime, a cell changes what is
                not seeded, or options are seeded after the start.
        """
        own = self.impact.scenario
        if self.impact.liquidations != "own":
            raise ConfigError.of("--liquidations", self.impact.liquidations, "own: --mechanisms switches them itself")
        if not dealers_of(own):
            allowed = "a population of option makers with hedge_fraction above 0 and a hedge other than none"
            raise ConfigError.of("populations", [one.name for one in own.populations], allowed, file=own.file)
        names = [cell.name for cell in self.cells]
        if not names or len(set(names)) < len(names):
            raise ConfigError.of("cells", names, "different cells, at least one")
        for label in self.margins:
            regimes.resolve(own, label)
        if len(set(self.margins)) < len(self.margins):
            raise ConfigError.of("--margin", ",".join(self.margins), "different regimes")
        for cell in self.cells:
            at_cell(own, cell)
        late = [e.name for e in own.events if isinstance(e, SeedOptions) and own.event_steps[e.name] > self.start]
        if late:
            allowed = f"before the metaorder, which starts at step {self.start}"
            raise ConfigError.of(f"events.{late[0]}.at_step", own.event_steps[late[0]], allowed, file=own.file)

    @property
    def start(self) -> int:
        """Completed steps before the metaorder begins."""
        return self.impact.start

    def tasks(self) -> list[jobs.Unit]:
        """One unit per regime and seed."""
        return [
            jobs.Unit(jobs.safe_key(label or "own", "seed", seed), MechanismTask(self, label, seed))
            for label in (self.margins or ("",))
            for seed in self.impact.seeds
        ]

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job."""
        found = self.impact.job()
        options = found["options"] | {"cells": [cell.name for cell in self.cells], "margins": list(self.margins)}
        return found | {"command": "impact --mechanisms", "options": options, "code": code_hash()}


@dataclass(frozen=True)
class MechanismTask:
    """One seed under one regime, picklable; an empty label is the scenario's own regime."""

    study: MechanismStudy
    label: str
    seed: int


def dealers_of(scenario: Scenario) -> tuple[str, ...]:
    """Names of the populations that hedge options: those that have a ``hedge_fraction`` above 0 and hedge."""
    found = []
    for population in build.populations(scenario):
        params = population.params
        if getattr(params, "hedge_fraction", 0.0) > 0.0 and getattr(params, "hedge", "none") != "none":
            found.append(population.name)
    return tuple(found)


def at_cell(scenario: Scenario, cell: Cell) -> Scenario:
    """The scenario with the seeding of a cell.

    Raises:
        ConfigError: the scenario does not seed what the cell changes.
    """
    found = scenario if cell.r0 is None else at_target(scenario, cell.r0)
    if cell.gamma is None:
        return found
    seeded = [event for event in found.events if isinstance(event, SeedOptions)]
    if len(seeded) != 1 or seeded[0].gamma_per_depth is None:
        allowed = "one event of kind seed_options with gamma_per_depth, whose size a cell can change"
        raise ConfigError.of("events", [event.name for event in seeded], allowed, file=scenario.file)
    if not cell.gamma or abs(cell.gamma) > 1000:
        raise ConfigError.of("gamma", cell.gamma, "a number other than 0 from -1000 to 1000", file=scenario.file)
    changed = seeded[0].model_copy(update={"gamma_per_depth": cell.gamma})
    return replace(found, events=tuple(changed if event is seeded[0] else event for event in found.events))


def one_seed(task: MechanismTask) -> jobs.UnitResult:
    """Run one seed to the first seeding, fork it into cells, and each of those at the start into arms and twins."""
    began = time.perf_counter()
    study, own = task.study, task.study.impact
    run.load_plugins(own.plugins)
    prepared = own.prepared()
    names = dealers_of(prepared)
    contract = 0 if own.contract is None else prepared.contract_names.index(own.contract)
    base = build.market(prepared, task.seed, task.label or None)
    first = min(
        [prepared.event_steps[e.name] for e in prepared.events if isinstance(e, SeedOpenInterest | SeedOptions)]
        or [study.start]
    )
    split = min(study.start, max(first - 1, 0))
    run.advance(base, split, prepared.steps)
    done = sum(event.step <= split for event in base.events)
    records: list[dict[str, Any]] = []
    for cell in study.cells:
        events = build.scripted_events(at_cell(prepared, cell))
        coming = sorted((e for e in events if e.step > split), key=lambda event: event.step)
        if len(coming) != len(base.events) - done:
            raise ValueError(f"cell {cell.name}: {len(coming)} events to come, {len(base.events) - done} in the market")
        state = base.fork(events=coming)
        run.advance(state, study.start, prepared.steps)
        later = [event for event in coming if event.step > study.start and event.name != _PLACE]
        records += _of_cell(study, task, cell, state, later, names, contract, prepared)
        state.close()
    base.close()
    records[0]["wall_seconds"] = time.perf_counter() - began
    return jobs.UnitResult(records)


def _of_cell(
    study: MechanismStudy, task: MechanismTask, cell: Cell, state: Market, later: Sequence[ScriptedEvent],
    names: Sequence[str], contract: int, prepared: Scenario,
) -> list[dict[str, Any]]:  # fmt: skip
    own = study.impact
    shared = {
        "seed": task.seed,
        "regime": task.label or prepared.margin.regime,
        "cell": cell.name,
        "gamma": cell.gamma,
        "r0_target": cell.r0,
        **_units(state, contract, prepared, own),
        **at_start(state, contract, prepared),
    }
    until = {size: _end(own, size) for size in own.sizes}
    records: list[dict[str, Any]] = []
    for name in ARMS:
        twin = path(armed(state, name, later, names), contract, study.start, max(until.values()), prepared)
        again = path(armed(state, name, later, names), contract, study.start, max(until.values()), prepared)
        for size in own.sizes:
            steps = own.steps_of(size)
            lots = max(1, round(size * shared["daily_volume"]))
            for side in SIDES[own.sides]:
                order = ScriptedEvent("metaorder", "metaorder", study.start, contract, side, lots, steps)
                market = armed(state, name, [*later, order], names)
                before = _scripted_lots(market, contract)
                moved = path(market, contract, study.start, until[size], prepared, close=False)
                filled = side * (_scripted_lots(market, contract) - before)
                liquidated = _liquidated(market, contract) - shared["liquidated_before"]
                market.close()
                difference = side * (np.log(moved) - np.log(twin[: len(moved)]))
                records.append(
                    {
                        **shared,
                        "arm": f"{cell.name}/{name}/{size:g}/{'buy' if side > 0 else 'sell'}",
                        "mechanism": name,
                        "size": size,
                        "side": side,
                        "lots": lots,
                        "filled": int(filled),
                        "steps": steps,
                        "impact": float(difference[steps]),
                        "mean_impact": float(np.mean(difference[1 : steps + 1])),
                        "after": float(np.mean(difference[steps:])),
                        "path": [float(difference[k]) for k in path_steps(steps, own.relaxation)],
                        "liquidated": int(liquidated),
                        "placebo": float(np.abs(np.log(again) - np.log(twin)).max()),
                        "results_hash": _hash(moved, twin),
                    }
                )
    return records


def _end(own: ImpactStudy, size: float) -> int:
    steps = own.steps_of(size)
    return own.start + steps + math.ceil(own.relaxation * steps)


def armed(state: Market, arm: str, events: Sequence[ScriptedEvent], dealers: Sequence[str]) -> Market:
    """A fork of one state with the mechanisms of an arm.

    Args:
        state: the market at the start.
        arm: key of :data:`ARMS`.
        events: that are still to come.
        dealers: populations that stop hedging where the arm has no dealers.
    """
    hedging, liquidating = ARMS[arm]
    market = state.fork(liquidations=liquidating, events=sorted(events, key=lambda event: event.step))
    if not hedging:
        for population in market.populations:
            if population.name in dealers:
                population.change(market, hedge_fraction=0.0)  # type: ignore[attr-defined]
    return market


def path(
    market: Market, contract: int, start: int, until: int, prepared: Scenario, *, close: bool = True
) -> NDArray[np.float64]:
    """Mid now and after each step up to ``until``, sub-ticks, float64[until - start + 1]."""
    run.advance(market, until, prepared.steps)
    mid, _ = tape(market, contract)
    if close:
        market.close()
    return mid[start : until + 1].copy()


def _units(state: Market, contract: int, prepared: Scenario, own: ImpactStudy) -> dict[str, float]:
    """Daily volume and mean square of daily returns from burn-in to the start: before any arm is one."""
    mid, volume = tape(state, contract)
    first = min(own.measured_from, own.start // 2)
    mid, volume = mid[first : own.start + 1], volume[first : own.start + 1]
    day = prepared.market.steps_per_day
    lag = max(min(day, (len(mid) - 1) // 2), 1)
    log = np.log(mid)
    return {
        "daily_volume": float(volume[-1] - volume[0]) / (len(volume) - 1) * day,
        "daily_variance": float(np.mean((log[lag:] - log[:-lag]) ** 2)) * day / lag,
        "steps_per_day": day,
    }


def at_start(state: Market, contract: int, prepared: Scenario) -> dict[str, Any]:
    """Gains of the map of prices at the start, of a fall and of a rise, and R0 where open interest was seeded."""
    from sim.maps import price_map

    table = price_map(state, contract)
    found: dict[str, Any] = {"liquidated_before": _liquidated(state, contract)}
    for side, fall in (("fall", FALL), ("rise", -FALL)):
        mean = table.mean_gain(fall)
        found |= {f"gain_{key}_{side}": value for key, value in mean.items()}
        within = (table.side == (-1 if fall > 0 else 1)) & (abs(table.price - table.mark) <= FALL * table.mark)
        found[f"runaway_{side}"] = bool(np.any(table.gain[within] >= 1.0))
    if any(isinstance(event, SeedOpenInterest) for event in prepared.events):
        at = moment(state)
        found |= {"r0": at.r0, "open_interest": float(at.open_interest.sum())}
    return found


def _liquidated(market: Market, contract: int) -> int:
    """Lots of forced orders since the start of the run."""
    from sim.kernels.state import M_RECORDS, REC_CONTRACT

    row = int(market.state.meta[M_RECORDS]) - 1
    return int(market.state.record_contract[row, contract, REC_CONTRACT.index("liquidated")]) if row >= 0 else 0


def _scripted_lots(market: Market, contract: int) -> int:
    from sim.kernels.ledger import OFFSET_SCRIPT
    from sim.kernels.state import M_TRADERS

    return int(market.state.positions["lots"][int(market.state.meta[M_TRADERS]) + OFFSET_SCRIPT, contract])


def _hash(*arrays: NDArray[np.float64]) -> str:
    import hashlib

    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.astype("<f8").tobytes())
    return digest.hexdigest()


def measure(
    study: MechanismStudy,
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
        Plain data: ``groups`` (one per regime and cell: amplifications, extras, interaction, curves, paths, gains),
        ``runs``, ``results_hash``; see :mod:`experiments.impact.mechanisms_summary`.
    """
    units, own = study.tasks(), study.impact
    run.load_plugins(own.plugins)
    if workers > 1:  # compiled here once, not in every worker
        market = build.market(own.prepared(), own.seeds[0])
        market.advance(1)
        market.close()
    runs = jobs.perform(units, one_seed, engine(workers), folder, on_done)
    for record in runs:
        record.pop("wall_seconds", None)
    result = plain(
        {
            "mechanisms": True,
            "scenario": own.scenario.name,
            "reading": own.reading,
            "sides": own.sides,
            "start": study.start,
            "seeds": own.seeds,
            "sizes": own.sizes,
            "regimes": list(dict.fromkeys(record["regime"] for record in runs)),
            **summarise(runs, path_times(own.relaxation), own.resamples),
            "runs": runs,
            "results_hash": jobs.hash_of(runs),
            "complete": True,
        }
    )
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result
