"""The stylised facts of a scenario over seeds, or of one real series, by one set of estimators."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from experiments import build, jobs, run
from experiments.engines import engine
from experiments.facts.catalogue import measure as facts_of
from experiments.facts.curves import curves
from experiments.facts.sheet import sheet
from experiments.facts.tape import Tape
from experiments.scenario import Scenario
from experiments.store import OutputFolder, code_hash, plain
from sim.errors import ConfigError


@dataclass(frozen=True)
class FactsTask:
    """One seed, picklable.

    Attributes:
        scenario: what to run; it records trades.
        seed: of the run.
        contract: number of the contract whose tape is measured.
        plugins: files to load first.
        check: verify every invariant at every step.
    """

    scenario: Scenario
    seed: int
    contract: int
    plugins: tuple[str, ...] = ()
    check: bool = False


@dataclass(frozen=True)
class StylizedFacts:
    """Stylised facts of a scenario.

    Attributes:
        scenario: the scenario.
        seeds: of its runs.
        days: days measured after the burn-in; the scenario's own steps if None.
        contract: name of the contract; the first if None.
        plugins: users' files to load.
        check: verify every invariant at every step.
    """

    scenario: Scenario
    seeds: tuple[int, ...]
    days: float | None = None
    contract: str | None = None
    plugins: tuple[str, ...] = ()
    check: bool = False
    measured: Scenario = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Give the scenario its length and its record of trades.

        Raises:
            ConfigError: no such contract, or nothing is left after the burn-in.
        """
        if self.contract is not None and self.contract not in self.scenario.contract_names:
            raise ConfigError.of("--contract", self.contract, "one of " + ", ".join(self.scenario.contract_names))
        market = self.scenario.market
        steps = self.scenario.steps
        if self.days is not None:
            if not 0 < self.days <= 100_000:
                raise ConfigError.of("--days", self.days, "days above 0")
            steps = market.burn_in + round(self.days * market.steps_per_day)
            known = self.scenario.dates
            if known is not None and steps > len(known) * market.steps_per_day:
                allowed = f"at most the {len(known)} days of the world's series, burn-in included"
                raise ConfigError.of("--days", self.days, allowed)
            late = [name for name, step in self.scenario.event_steps.items() if step >= steps]
            if late:
                raise ConfigError.of("--days", self.days, f"enough days to reach the event {late[0]!r}")
        if steps - market.burn_in < 100:
            raise ConfigError.of("market.steps", steps, "at least 100 steps after market.burn_in")
        # every step, whatever the scenario keeps of long runs: facts of one-minute returns need one-minute prices
        record = self.scenario.record.model_copy(update={"trades": True, "every": 1})
        object.__setattr__(self, "measured", replace(self.scenario, steps=steps, record=record))

    @property
    def number(self) -> int:
        """Number of the contract."""
        return 0 if self.contract is None else self.scenario.contract_names.index(self.contract)

    def tasks(self) -> list[jobs.Unit]:
        """One unit per seed."""
        return [
            jobs.Unit(
                jobs.safe_key("seed", seed), FactsTask(self.measured, seed, self.number, self.plugins, self.check)
            )
            for seed in self.seeds
        ]

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job."""
        regime = self.measured.margin.regime
        return {
            "command": "stylized-facts",
            "scenario_name": self.measured.name,
            "scenario": self.measured.as_run(),
            "regimes": {regime: dict(self.measured.margin.params)},
            "seeds": list(self.seeds),
            "reading": "stylised facts after the burn-in",
            "options": {"days": self.days, "contract": self.contract, "check": self.check},
            "plugins": run.load_plugins(self.plugins),
            "code": code_hash(),
        }


def tape(task: FactsTask) -> tuple[Tape, str]:
    """Run one seed; its tape after the burn-in, and the results hash."""
    run.load_plugins(task.plugins)
    scenario = task.scenario
    market = build.market(scenario, task.seed)
    run.advance(market, scenario.steps, scenario.steps, check=task.check)
    found = Tape.from_market(market, scenario.market.burn_in, task.contract, f"{scenario.name}, seed {task.seed}")
    hashed = market.results_hash()
    market.close()
    return found, hashed


def one(task: FactsTask) -> jobs.UnitResult:
    """Run one seed and measure it."""
    began = time.perf_counter()
    found, hashed = tape(task)
    record = {
        "regime": task.scenario.margin.regime, "arm": "", "seed": task.seed, "days": found.days, "has": found.has,
        "facts": facts_of(found), "curves": curves(found), "results_hash": hashed,
        "wall_seconds": time.perf_counter() - began,
    }  # fmt: skip
    return jobs.UnitResult([record])


def measure(
    study: StylizedFacts,
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
        Plain data: ``name``, ``kind`` (``"simulated"``), ``seeds``, ``days``, ``events`` (those that fall into what
        is measured), ``sheet``, ``runs`` (facts and curves of each seed), ``results_hash``.
    """
    units = study.tasks()
    run.load_plugins(study.plugins)
    if workers > 1:
        build.market(study.measured, study.seeds[0]).close()  # compiled once, before the workers start
    runs = jobs.perform(units, one, engine(workers), folder, on_done)
    burn_in = study.measured.market.burn_in
    result: dict[str, Any] = plain(
        {
            "name": study.measured.name,
            "kind": "simulated",
            "seeds": study.seeds,
            "days": runs[0]["days"],
            "dt_seconds": study.measured.market.dt_seconds,
            "price": "mid",
            "has": runs[0]["has"],
            "events": [name for name, step in study.measured.event_steps.items() if step >= burn_in],
            "sheet": sheet([r["facts"] for r in runs]),
            "runs": [{key: value for key, value in r.items() if key != "wall_seconds"} for r in runs],
            "results_hash": jobs.hash_of(runs),
        }
    )
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def measure_series(found: Tape, described: Mapping[str, Any]) -> dict[str, Any]:
    """The facts of one real series, as plain data of the same form; ``source`` says what was read."""
    facts = facts_of(found)
    record = {"facts": facts, "curves": curves(found), "days": found.days}
    hashed = hashlib.sha256(json.dumps(plain(record), sort_keys=True).encode()).hexdigest()
    result: dict[str, Any] = plain(
        {
            "name": found.name,
            "kind": "series",
            "source": dict(described),
            "seeds": [],
            "days": found.days,
            "dt_seconds": found.dt_seconds,
            "price": found.price,
            "has": found.has,
            "events": [],
            "sheet": sheet([facts]),
            "runs": [record],
            "results_hash": hashed,
        }
    )
    return result
