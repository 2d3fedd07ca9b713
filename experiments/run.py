"""Run a scenario: one seed under one margin regime, or one seed forked into several."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import margin
from experiments import build, engines
from experiments.cascade_tree import cascade_measures, cascade_summary, within
from experiments.jobs import UnitResult
from experiments.measures import Clock, Moment, incidence, moment, outcomes, owed
from experiments.regimes import stated_scale
from experiments.scenario import Scenario
from sim.causes import cascades_table

if TYPE_CHECKING:
    import pandas as pd

    from sim.market import Market

PLACEBO = "placebo"
_CHUNK_SECONDS = 0.25


@dataclass(frozen=True)
class RunTask:
    """One run, picklable.

    Attributes:
        scenario: what to run.
        seed: of the run.
        regime: label of the margin regime.
        arm: ``""``, or ``"placebo"`` for a repetition that must give the same.
        plugins: files to load first.
        check: verify every invariant at every step.
        keep: give the tables back.
    """

    scenario: Scenario
    seed: int
    regime: str
    arm: str = ""
    plugins: tuple[str, ...] = ()
    check: bool = False
    keep: bool = False


@dataclass(frozen=True)
class ForkTask:
    """One seed, run to an event under the baseline and forked there into every regime, picklable.

    Attributes:
        scenario: what to run.
        seed: of the run.
        baseline: label of the regime until the fork.
        regimes: labels of the arms, the baseline among them.
        event: name of the event.
        plugins: files to load first.
        check: verify every invariant at every step.
        keep: give the tables back.
    """

    scenario: Scenario
    seed: int
    baseline: str
    regimes: tuple[str, ...]
    event: str
    plugins: tuple[str, ...] = ()
    check: bool = False
    keep: bool = False


def run(task: RunTask) -> UnitResult:
    """Run one seed under one regime, start to end."""
    began = time.perf_counter()
    load_plugins(task.plugins)
    scenario = task.scenario
    market = build.market(scenario, task.seed, task.regime)
    at_event = None
    if scenario.measure.event is not None:
        advance(market, scenario.event_steps[scenario.measure.event], scenario.steps, check=task.check)
        at_event = moment(market)
    advance(market, scenario.steps, scenario.steps, check=task.check)
    record = _record(scenario, market, task.seed, task.regime, task.arm, at_event, start=scenario.market.burn_in)
    record["wall_seconds"] = time.perf_counter() - began
    tables = labelled(market, task.regime, task.seed) if task.keep else {}
    market.close()
    return UnitResult([record], tables)


def fork(task: ForkTask) -> UnitResult:
    """Run one seed to the event, fork it into every regime and a placebo, and run every arm to the end."""
    began = time.perf_counter()
    load_plugins(task.plugins)
    scenario = task.scenario
    others = [label for label in task.regimes if label != task.baseline]
    event = scenario.event_step(task.event)
    last = last_step(scenario, event)
    base = build.market(scenario, task.seed, task.baseline, shadows=others)
    advance(base, min(scenario.market.burn_in, event), last, check=task.check)
    base.reset_means()
    advance(base, event, last, check=task.check)
    at_event = moment(base)
    records: list[dict[str, Any]] = []
    tables: dict[str, pd.DataFrame] = {}
    for label, arm in [*((label, "") for label in task.regimes), (task.baseline, PLACEBO)]:
        regime = None if label == task.baseline else label
        to_mean = regime is not None and stated_scale(scenario, label) is None  # a stated factor is the user's
        market = base.fork(margin=regime, scale_to_mean=to_mean)
        advance(market, last, last, check=task.check)
        record = _record(
            scenario, market, task.seed, label, arm, at_event, start=event, end=last, before=at_event.accounts
        )
        record["scale"] = build.scale(market)
        records.append(record)
        if task.keep and not arm:
            _extend(tables, labelled(market, label, task.seed))
        market.close()
    base.close()
    records[0]["wall_seconds"] = time.perf_counter() - began
    return UnitResult(records, tables)


def load_plugins(paths: Iterable[str]) -> dict[str, str]:
    """Load users' files, once per process; their hashes by path."""
    return {path: margin.load_plugin(path).sha256 for path in paths}


def last_step(scenario: Scenario, event: int) -> int:
    """The step at which arms that fork at an event end."""
    window = scenario.measure.window_steps
    return scenario.steps if window is None else min(scenario.steps, event + window)


def advance(market: Market, until: int, total: int, *, check: bool = False) -> None:
    """Run a market until a number of steps is completed, in chunks short enough to be interrupted.

    Args:
        market: the market, mutated.
        until: completed steps to reach.
        total: steps of the run, for whoever listens to progress.
        check: verify every invariant after every step.

    Raises:
        InvariantError: an invariant does not hold.
    """
    chunk = 16
    while market.tick < until:
        engines.checkpoint(market.tick, total)
        began = time.perf_counter()
        steps = min(chunk, until - market.tick)
        if check:
            for _ in range(steps):
                market.step()
                market.check()
        else:
            market.advance(steps)
        spent = time.perf_counter() - began
        if spent < _CHUNK_SECONDS / 2:
            chunk *= 2
        elif spent > _CHUNK_SECONDS * 2:
            chunk = max(1, chunk // 2)
    engines.checkpoint(market.tick, total)


def labelled(market: Market, regime: str, seed: int) -> dict[str, pd.DataFrame]:
    """The tables of a run, with the columns ``regime`` and ``seed`` in front."""
    tables = {
        "steps": market.steps_table(),
        "events": market.events_table(),
        "accounts": market.accounts_table(),
    }
    if market.record.trades:
        tables["trades"] = market.trades_table()
    if market.record.causes:
        tables["causes"] = market.causes_table()
        tables["cascades"] = cascades_table(tables["causes"])
    if any(contract.chain for contract in market.contracts):
        tables["surface"] = market.surface_table()
    for table in tables.values():
        table.insert(0, "seed", seed)
        table.insert(0, "regime", regime)
    return tables


def _extend(tables: dict[str, pd.DataFrame], more: dict[str, pd.DataFrame]) -> None:
    import pandas as pd

    for name, table in more.items():
        tables[name] = pd.concat([tables[name], table], ignore_index=True) if name in tables else table


def _record(
    scenario: Scenario,
    market: Market,
    seed: int,
    regime: str,
    arm: str,
    at_event: Moment | None,
    *,
    start: int,
    end: int | None = None,
    before: pd.DataFrame | None = None,
) -> dict[str, Any]:
    """What is kept of every run, tables or not."""
    clock = Clock(scenario.market.dt_seconds, scenario.market.steps_per_day)
    last = scenario.steps if end is None else end
    found = outcomes(market.steps_table(), clock, start=start, end=last, at_event=at_event)
    cascade: dict[str, Any] = {}
    if market.record.causes:
        causes = market.causes_table()
        found |= cascade_measures(within(causes, start, last))
        cascade = {"cascade": cascade_summary(causes, start, last)}
    names: Sequence[str] = [spec.name for spec in scenario.populations]
    reference = found.get("open_interest_event", found["peak_open_interest"])
    unpaid = owed(market)
    return {
        "regime": regime,
        "seed": seed,
        "arm": arm,
        "steps": int(market.tick),
        "measures": found,
        "incidence": incidence(market.accounts_table(), before, names, reference),
        "results_hash": market.results_hash(),
        **cascade,
        **({} if unpaid is None else {"owed": unpaid}),
    }
