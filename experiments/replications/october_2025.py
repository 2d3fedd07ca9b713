"""A venue with a backstop vault and auto-deleveraging on a crash day, beside what was published of 10 October 2025.

The scenario ``october-2025`` is stylised: one perpetual stands for a venue's many, its fall is scripted, and some of
what it gives was put into it (docs/october-2025.md says what). Six measures are taken from every seed and compared with
published numbers; whether they agree is decided by their mean over the seeds.

    marginlab replicate october-2025 --seeds 30000:30030 --jobs 2 --out DIR
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import build, engines, jobs, run
from experiments.engines import engine
from experiments.replications import forced_flow as flow
from experiments.replications.published import PUBLISHED, judge, rows
from experiments.scenario import Scenario
from experiments.statistics import mean_interval
from experiments.store import OutputFolder, code_hash, plain
from experiments.terminal import columns
from sim.errors import ConfigError

if TYPE_CHECKING:
    import pandas as pd

    from sim.market import Market

NAME = "october-2025"
SEEDS = tuple(range(30_000, 30_030))
"""Seeds of the table in docs/october-2025.md; the scenario was tuned on seeds 0 to 9."""
WINDOW_MINUTES = 40
SERIES = ("mid", "mark", "value", "open_interest", "depth_bid", "liquidated", "deleveraged")
"""Minute by minute from the window's start: prices and depth at its end, values closed by force in it."""
_MORE = {
    "adl_delay_day": "s from the day's first liquidation to the first auto-deleveraging",
    "adl_leverage_accounts": "x median leverage over accounts, not fills",
    "adl_profitable": "share of deleveraged positions with a profit",
    "adl_share": "value closed by auto-deleveraging over all forced value",
    "adl_events": "counterparties called, events",
    "depth_fall": "fall of bid depth within 5 %, from the event to its lowest",
    "open_interest_fall_lots": "fall of open interest in lots",
    "open_interest_fall_end": "fall of open interest in value to the end of the run",
    "price_fall": "fall of the mid from the window's start to its lowest",
    "price_fall_end": "fall of the mid from the window's start to the end",
    "value_fall_end": "fall of the exogenous value from the window's start to the end",
    "liquidated_share": "value closed by force over open interest at the event",
    "bad_debt_bp": "gross bad debt, basis points of open interest at the event",
    "uncovered": "minor units that nobody could bear",
}


@dataclass(frozen=True)
class Task:
    """One seed, picklable.

    Attributes:
        scenario: what to run.
        seed: of the run.
        check: verify every invariant at every step.
    """

    scenario: Scenario
    seed: int
    check: bool = False


@dataclass(frozen=True)
class Replication:
    """A scenario, and the seeds on which it is measured.

    Attributes:
        scenario: a scenario like ``october-2025``: one contract, an event, steps that divide a minute.
        seeds: seeds.
        check: verify every invariant at every step.
    """

    scenario: Scenario
    seeds: tuple[int, ...] = SEEDS
    check: bool = False

    def validate(self) -> None:
        """Check that the scenario can be measured.

        Raises:
            ConfigError: a minute is no whole number of steps, a step is left out of the record, or there is no event.
        """
        market, record = self.scenario.market, self.scenario.record
        per_minute = 60.0 / market.dt_seconds
        if per_minute < 1 or per_minute != int(per_minute):
            raise ConfigError.of("market.dt_seconds", market.dt_seconds, "60 seconds or a whole part of them")
        if record.every != 1:
            raise ConfigError.of("record.every", record.every, "1: every step is measured")
        if len(self.scenario.contracts) != 1:
            raise ConfigError.of("contracts", len(self.scenario.contracts), "one contract")
        if self.scenario.measure.event is None:
            raise ConfigError.of("measure.event", None, "the event at which the delay's clock starts")
        event = self.scenario.event_steps[self.scenario.measure.event]
        if not market.burn_in <= event < self.scenario.steps:
            raise ConfigError.of("measure.event", self.scenario.measure.event, "an event after burn_in")

    def units(self) -> list[jobs.Unit]:
        """One unit per seed."""
        self.validate()
        return [jobs.Unit(jobs.safe_key("seed", n), Task(self.scenario, n, self.check)) for n in self.seeds]

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job, and what must agree for a folder to be resumed."""
        self.validate()
        return {
            "command": f"replicate {NAME}",
            "scenario_name": self.scenario.name,
            "scenario": self.scenario.as_run(),
            "regimes": {},
            "baseline": "",
            "seeds": list(self.seeds),
            "reading": "whole run",
            "options": {"check": self.check},
            "plugins": {},
            "code": code_hash(),
        }


def observe(task: Task) -> jobs.UnitResult:
    """Run one seed and take its measures."""
    began = time.perf_counter()
    scenario = task.scenario
    market = build.market(scenario, task.seed)
    event = scenario.event_step(str(scenario.measure.event))
    run.advance(market, event, scenario.steps, check=task.check)
    watch = flow.LeverageWatch(market)
    while market.tick < scenario.steps:
        if market.tick % 64 == 0:
            engines.checkpoint(market.tick, scenario.steps)
        watch.step()
        if task.check:
            market.check()
    vault = scenario.clearing.waterfall.vault
    measures, series = measure(
        market.steps_table(), market.events_table(), watch.deleveraged(), since=scenario.market.burn_in, event=event,
        dt_seconds=scenario.market.dt_seconds, vault=vault, lot_value=_lot_value(market),
    )  # fmt: skip
    record = {
        "regime": scenario.margin.regime,
        "seed": task.seed,
        "arm": "",
        "measures": measures,
        "series": series,
        "results_hash": market.results_hash(),
        "wall_seconds": time.perf_counter() - began,
    }
    market.close()
    return jobs.UnitResult([record])


def _lot_value(market: Market) -> float:
    """Minor units per lot and price unit."""
    contract = market.contracts[0]
    return contract.tick_value / contract.tick_size


def measure(
    steps: pd.DataFrame,
    events: pd.DataFrame,
    gave: flow.Deleveraged,
    *,
    since: int,
    event: int,
    dt_seconds: float,
    vault: str,
    lot_value: float,
) -> tuple[dict[str, float], dict[str, list[float]]]:
    """The six measures and what explains them, and the day minute by minute.

    Args:
        steps: step table of one contract, every step.
        events: events of the run.
        gave: who was deleveraged.
        since: completed steps at which the published window begins.
        event: completed steps at the crash.
        dt_seconds: seconds per step.
        vault: population of the backstop vault, empty for none.
        lot_value: minor units per lot and price unit.

    Returns:
        Measures by name, NaN where a run has none; series by name (:data:`SERIES`).
    """
    table = flow.closings(events, steps, backstop=vault)
    table = table[table["step"] > since]
    adl = events[events["kind"] == flow.ADL]
    until = int(steps["step"].iloc[-1])
    step, value = table["step"].to_numpy(), table["value"].to_numpy()
    minutes = flow.by_minute(step, value, since=since, until=until, dt_seconds=dt_seconds)
    of_steps = {name: steps[name].to_numpy(np.float64) for name in ("mid", "mark", "value", "open_interest")}
    depth = steps["depth_bid"].to_numpy(np.float64)
    at, start = int(np.searchsorted(steps["step"], event)), int(np.searchsorted(steps["step"], since))
    worth = of_steps["open_interest"] * of_steps["mark"]
    given = adl.merge(steps[["step", "mark"]], on="step", how="left")
    given_value = (given["a"].abs() * given["mark"]).to_numpy(np.float64)
    last = steps.iloc[-1]
    found = {
        "worst_40_minutes": flow.largest_share(minutes, WINDOW_MINUTES),
        "peak_minute": flow.largest_share(minutes, 1),
        "long_share": flow.long_share(table),
        "open_interest_fall": flow.largest_fall(worth[at:]),
        "adl_delay": flow.delay(table, adl, since=event, dt_seconds=dt_seconds),
        "adl_leverage": gave.median(),
        "adl_delay_day": flow.delay(table, adl, since=since, dt_seconds=dt_seconds),
        "adl_leverage_accounts": gave.median_of_accounts(),
        "adl_profitable": float(gave.profitable.mean()) if len(gave.profitable) else float("nan"),
        "adl_share": float(given_value.sum() / value.sum()) if value.sum() > 0 else float("nan"),
        "adl_events": float(len(adl)),
        "depth_fall": flow.largest_fall(depth[at:]),
        "open_interest_fall_lots": flow.largest_fall(of_steps["open_interest"][at:]),
        "open_interest_fall_end": 1.0 - float(worth[-1] / worth[at]),
        "price_fall": flow.largest_fall(of_steps["mid"][start:]),
        "price_fall_end": 1.0 - float(of_steps["mid"][-1] / of_steps["mid"][start]),
        "value_fall_end": 1.0 - float(of_steps["value"][-1] / of_steps["value"][start]),
        "liquidated_share": float(value.sum() / worth[at]),
        "bad_debt_bp": 1e4 * float(last["bad_debt"]) / (lot_value * float(worth[at])),
        "uncovered": float(last["uncovered"]),
    }
    every = round(60.0 / dt_seconds)
    ends = slice(start + every, None, every)
    series = {name: column[ends].tolist() for name, column in of_steps.items()}
    series["depth_bid"] = depth[ends].tolist()
    series["liquidated"] = minutes.tolist()
    series["deleveraged"] = flow.by_minute(
        given["step"].to_numpy(np.int64), given_value, since=since, until=until, dt_seconds=dt_seconds
    ).tolist()
    return found, {name: series[name] for name in SERIES}


def replicate(
    study: Replication,
    *,
    workers: int = 1,
    folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:
    """Run every seed and set the measures beside what was published.

    Args:
        study: what to run.
        workers: processes; one runs everything in this process.
        folder: where to keep results, or None.
        on_done: told (seeds done, seeds in all).

    Returns:
        Plain data, the content of ``summary.json``.
    """
    units = study.units()
    runs = jobs.perform(units, observe, engine(workers), folder, on_done)
    result = summary(study, runs)
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def summary(study: Replication, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What the replication found, as plain data."""
    by_name = {name: [run["measures"][name] for run in runs] for name in runs[0]["measures"]}
    judged = {fact.key: judge(fact, by_name[fact.key]) for fact in PUBLISHED}
    return plain(
        {
            "study": f"replicate {NAME}",
            "scenario": study.scenario.name,
            "seeds": list(study.seeds),
            "published": {
                f.key: {"label": f.label, "unit": f.unit, "derived": f.derived, "source": f.source} for f in PUBLISHED
            },
            "measures": judged,
            "agree": sum(row["agrees"] for row in judged.values()),
            "more": {
                name: {"meaning": meaning, **mean_interval([v for v in by_name[name] if v is not None])}
                for name, meaning in _MORE.items()
            },
            "runs": [{"seed": run["seed"], **run["measures"]} for run in runs],
            "series": _over_seeds(runs),
            "results_hash": jobs.hash_of(runs),
        }
    )


def _over_seeds(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Every series as the first seed has it, and its 10, 50 and 90 % quantiles over seeds, by minute."""
    found = {}
    for name in SERIES:
        table = np.array([run["series"][name] for run in runs], np.float64)
        low, middle, high = np.quantile(table, (0.1, 0.5, 0.9), axis=0)
        found[name] = {"first": table[0], "low": low, "median": middle, "high": high}
    return found


def lines(result: Mapping[str, Any]) -> list[str]:
    """The result as lines of text for a terminal."""
    first, last, n = result["seeds"][0], result["seeds"][-1], len(result["seeds"])
    head = f"{result['scenario']} beside 10 October 2025, {n} seeds ({first} to {last})"
    more = [
        [by["meaning"], "-" if by["mean"] is None else f"{by['mean']:.4g}", f"({by['n']} seeds)"]
        for by in result["more"].values()
    ]
    agree = f"{result['agree']} of {len(result['measures'])} means lie within a factor of two of what was published."
    return [head, "", *columns(rows(result["measures"])), "", agree, "", *columns(more)]
