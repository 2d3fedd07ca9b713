"""What does a metaorder do to the price? One market per seed, forked with the metaorder and without.

The market of a seed runs to the start. There it is forked: a *twin* goes on as it would have, and in every *arm* an
account that is never called works one metaorder of a given size and side by market orders at an even pace. Draws are
keyed, so arm and twin share every exogenous event, and the impact

    I(t) = side x ln(mid of the arm at t / mid of the twin at t)

is free of what would have happened anyway. Sizes are shares of the daily volume of the seed's own twin, impacts are in
units of the daily volatility of all twins.

Two experiments are offered, and they are not the same. With *participation* every size is worked at one share of the
mean volume, so a larger metaorder takes longer (that is how the square-root law is stated for executed metaorders).
With a *duration* every size is worked in the same time, so a larger one is worked faster.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import build, jobs, run, scenario
from experiments.engines import engine
from experiments.events import Metaorder, Moment, SeedOpenInterest
from experiments.impact.summary import summarise
from experiments.measures import moment
from experiments.scenario import Scenario
from experiments.store import OutputFolder, code_hash, plain
from experiments.studies.cascades import at_target
from sim.config import ScriptedEvent
from sim.errors import ConfigError
from sim.problems import one_of

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from sim.market import Market

SIZES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Shares of daily volume."""
LOWEST, HIGHEST = 0.0005, 0.2
SIDES = {"both": (1, -1), "buy": (1,), "sell": (-1,)}
LIQUIDATIONS = ("own", "on", "off", "compare")
_SWITCH: dict[str, bool | None] = {"own": None, "on": True, "off": False}
DURING, AFTER = 20, 20
"""Points of the path while the metaorder is worked, and after its end."""


@dataclass(frozen=True)
class ImpactStudy:
    """What is measured.

    Attributes:
        scenario: the market.
        sizes: shares of daily volume, .0005 to .2.
        seeds: paired seeds.
        participation: the metaorder's pace over the mean volume of the market without it; not used with a duration.
        duration: steps over which every size is worked; None: as long as the participation asks for.
        sides: ``"both"`` (each seed's impact is the mean of a buy and a sell), ``"buy"`` or ``"sell"``.
        at_step: completed steps before the metaorder begins; None: the scenario's ``measure.event``, or the end of
            burn-in where it has none.
        liquidations: ``"own"`` (as the scenario has them), ``"on"`` or ``"off"`` from the start on in arms and twin,
            or ``"compare"``: both, from one state.
        r0: scale the scenario's seeded open interest to this R0 (:func:`experiments.studies.cascades.at_target`).
        relaxation: how long the price is watched after the metaorder's end, in durations of the metaorder.
        contract: name; None: the first.
        resamples: of the bootstrap over seeds.
        plugins: users' files to load.
    """

    scenario: Scenario
    sizes: tuple[float, ...] = SIZES
    seeds: tuple[int, ...] = tuple(range(40))
    participation: float = 0.2
    duration: int | None = None
    sides: str = "both"
    at_step: int | None = None
    liquidations: str = "own"
    r0: float | None = None
    relaxation: float = 2.0
    contract: str | None = None
    resamples: int = 1_999
    plugins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what cannot be measured.

        Raises:
            ConfigError: a number out of range, no such side, contract or event.
        """
        for size in self.sizes:
            if not LOWEST <= size <= HIGHEST:
                raise ConfigError.of("--sizes", size, f"shares of daily volume from {LOWEST:g} to {HIGHEST:g}")
        if not self.sizes or len(set(self.sizes)) < len(self.sizes):
            raise ConfigError.of("--sizes", list(self.sizes), "different shares of daily volume, at least one")
        if not self.seeds:
            raise ConfigError.of("--seeds", list(self.seeds), "at least one seed")
        if not 0.001 <= self.participation <= 2.0:
            raise ConfigError.of("--participation", self.participation, "a share of mean volume from 0.001 to 2")
        if self.duration is not None and self.duration < 1:
            raise ConfigError.of("--duration", self.duration, "a number of steps, at least 1")
        if self.sides not in SIDES:
            raise ConfigError.of("--side", self.sides, "one of " + ", ".join(SIDES))
        if self.liquidations not in LIQUIDATIONS:
            raise ConfigError.of("--liquidations", self.liquidations, "one of " + ", ".join(LIQUIDATIONS))
        if not 0.0 <= self.relaxation <= 100.0:
            raise ConfigError.of("--relaxation", self.relaxation, "durations of the metaorder, from 0 to 100")
        names = self.scenario.contract_names
        if self.contract is not None and self.contract not in names:
            raise ConfigError.of("--contract", self.contract, "one of " + one_of(self.contract, names))
        if self.resamples < 100:
            raise ConfigError.of("--resamples", self.resamples, "a whole number, at least 100")
        if self.r0 is not None:
            at_target(self.scenario, self.r0)
        self.prepared()

    @property
    def start(self) -> int:
        """Completed steps before the metaorder begins."""
        if self.at_step is not None:
            return self.at_step
        event = self.scenario.measure.event
        return self.scenario.event_steps[event] if event is not None else self.scenario.market.burn_in

    @property
    def measured_from(self) -> int:
        """First step of the window over which daily volume and volatility are measured in the twin."""
        return min(self.scenario.market.burn_in, self.start)

    def steps_of(self, size: float) -> int:
        """Steps over which a size is worked.

        At participation p a share q of the daily volume takes q / p of a day, whatever the volume is.
        """
        if self.duration is not None:
            return self.duration
        return max(1, round(size / self.participation * self.scenario.market.steps_per_day))

    @property
    def last_step(self) -> int:
        """Steps that the longest metaorder and what comes after it need."""
        longest = max(self.steps_of(size) for size in self.sizes)
        return self.start + longest + math.ceil(self.relaxation * longest)

    def prepared(self) -> Scenario:
        """The scenario as it is run: long enough, every step recorded, room for one more event, its own sale left out.

        The scenario's own metaorders from the start on are left out, because this study's takes their place.

        Raises:
            ConfigError: the start lies outside the run, or a historical world ends too early.
        """
        base = self.scenario if self.r0 is None else at_target(self.scenario, self.r0)
        day = base.market.steps_per_day
        if not 1 <= self.start < base.steps:
            raise ConfigError.of("--at-step", self.start, f"from 1 to {base.steps - 1}", file=base.file)
        if base.steps - self.measured_from < min(day, 60):
            allowed = "at least an hour after burn-in, to measure volume and volatility in"
            raise ConfigError.of("market.steps", base.steps, allowed, file=base.file)
        if self.last_step > base.steps and base.dates is not None:
            allowed = f"at least {self.last_step} for these sizes; smaller sizes, or another start"
            raise ConfigError.of("market.steps", base.steps, allowed, file=base.file)
        kept = [e for e in base.events if not (isinstance(e, Metaorder) and base.event_steps[e.name] >= self.start)]
        name = "place_of_the_metaorder"
        events = (*kept, Moment(name=name, kind="moment", at_step=self.start + 1))
        steps = {e.name: base.event_steps[e.name] for e in kept} | {name: self.start + 1}
        record = base.record.model_copy(
            update={"every": 1, "trades": False, "refusals": False, "causes": False, "totals_every": day}
        )
        return replace(base, events=events, event_steps=steps, record=record, steps=max(base.steps, self.last_step + 1))

    def tasks(self) -> list[jobs.Unit]:
        """One unit per seed."""
        return [jobs.Unit(jobs.safe_key("seed", seed), ImpactTask(self, seed)) for seed in self.seeds]

    def job(self) -> dict[str, Any]:
        """What the manifest says of the job."""
        return {
            "command": "impact",
            "scenario_name": self.scenario.name,
            "scenario": self.scenario.as_run(),
            "regimes": {self.scenario.margin.regime: dict(self.scenario.margin.params)},
            "seeds": list(self.seeds),
            "reading": self.reading,
            "options": {
                "sizes": list(self.sizes),
                "participation": None if self.duration is not None else self.participation,
                "duration": self.duration,
                "sides": self.sides,
                "start": self.start,
                "liquidations": self.liquidations,
                "r0": self.r0,
                "relaxation": self.relaxation,
                "contract": self.contract,
                "resamples": self.resamples,
            },
            "plugins": run.load_plugins(self.plugins),
            "code": code_hash(),
        }

    @property
    def reading(self) -> str:
        """Which of the two experiments this is, in words."""
        if self.duration is not None:
            return f"every size worked in {self.duration} steps (participation grows with size)"
        return f"every size worked at {self.participation:.3g} of mean volume (duration grows with size)"


@dataclass(frozen=True)
class ImpactTask:
    """One seed with its twin and its arms, picklable."""

    study: ImpactStudy
    seed: int


def one_seed(task: ImpactTask) -> jobs.UnitResult:
    """Run one seed to the start, fork it, and compare every arm with the twin."""
    began = time.perf_counter()
    study = task.study
    run.load_plugins(study.plugins)
    prepared = study.prepared()
    contract = 0 if study.contract is None else prepared.contract_names.index(study.contract)
    base = build.market(prepared, task.seed)
    run.advance(base, study.start, prepared.steps)
    later = [event for event in base.events if event.step > study.start and event.name != "place_of_the_metaorder"]
    facts = _facts(base, prepared)
    records: list[dict[str, Any]] = []
    modes = ("on", "off") if study.liquidations == "compare" else (study.liquidations,)
    twins = {}
    for mode in modes:
        switch = _SWITCH[mode]
        twin = base.fork(liquidations=switch, events=later)
        run.advance(twin, max(study.scenario.steps, study.last_step), prepared.steps)
        twins[mode] = *tape(twin, contract), _scripted_lots(twin, contract)
        twin.close()
    # one set of units for both switches, of the twin without liquidations: the same lots are sold in either. They are
    # of the scenario's own length, so that they do not depend on the sizes that are asked for.
    window = slice(study.measured_from, study.scenario.steps)
    mid, volume, _ = twins[modes[-1]]
    units = _units(mid[window], volume[window], prepared.market.steps_per_day)
    for mode in modes:
        switch = _SWITCH[mode]
        mid, _, lots_before = twins[mode]
        for size in study.sizes:
            for side in SIDES[study.sides]:
                steps = study.steps_of(size)
                lots = max(1, round(size * units["daily_volume"]))
                order = ScriptedEvent("metaorder", "metaorder", study.start, contract, side, lots, steps)
                arm = base.fork(liquidations=switch, events=[*later, order])
                end = study.start + steps + math.ceil(study.relaxation * steps)
                run.advance(arm, end, prepared.steps)
                moved, traded = tape(arm, contract)
                filled = side * (_scripted_lots(arm, contract) - lots_before)
                records.append(
                    {
                        "seed": task.seed,
                        "regime": prepared.margin.regime,
                        "arm": f"{mode} {size:g} {'buy' if side > 0 else 'sell'}",
                        "liquidations": mode,
                        "size": size,
                        "side": side,
                        "lots": lots,
                        "filled": int(filled),
                        "steps": steps,
                        "steps_per_day": prepared.market.steps_per_day,
                        **units,
                        **facts,
                        **_impact(moved, mid, study.start, steps, side, study.relaxation),
                        "results_hash": _hash(moved, traded),
                    }
                )
                arm.close()
    base.close()
    records[0]["wall_seconds"] = time.perf_counter() - began
    return jobs.UnitResult(records)


def tape(market: Market, contract: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mid and cumulative volume after each step, from the record of a market that records every step.

    Returns:
        Two arrays [steps + 1]: element t is the state after t steps; mids in sub-ticks, volume in lots. The mid before
        the first step is the one after it.
    """
    from sim.kernels.state import M_RECORDS, REC_CONTRACT

    rows = int(market.state.meta[M_RECORDS])
    table = market.state.record_contract[:rows, contract]
    mid = table[:, REC_CONTRACT.index("mid")].astype(np.float64)
    volume = table[:, REC_CONTRACT.index("volume")].astype(np.float64)
    return np.concatenate([mid[:1], mid]), np.concatenate([[0.0], volume])


def _units(mid: NDArray[np.float64], volume: NDArray[np.float64], day: int) -> dict[str, Any]:
    """Daily volume in lots, and the mean square of daily returns over all overlapping days of the window."""
    lag = min(day, (len(mid) - 1) // 2)
    log = np.log(mid)
    square = float(np.mean((log[lag:] - log[:-lag]) ** 2)) * day / lag
    traded = float(volume[-1] - volume[0]) / (len(volume) - 1)
    return {"daily_volume": traded * day, "daily_variance": square, "volatility_lag": lag}


def _impact(
    arm: NDArray[np.float64], twin: NDArray[np.float64], start: int, steps: int, side: int, relaxation: float
) -> dict[str, Any]:
    """Impact at the metaorder's end, its mean while worked, its path, and what pairing has taken out."""
    last = start + steps + math.ceil(relaxation * steps)
    difference = side * (np.log(arm[start : last + 1]) - np.log(twin[start : last + 1]))
    at = path_steps(steps, relaxation)
    return {
        "impact": float(difference[steps]),
        "mean_impact": float(np.mean(difference[1 : steps + 1])),
        "path": [float(difference[k]) for k in at],
        "arm_move": side * float(np.log(arm[start + steps] / arm[start])),
        "twin_move": side * float(np.log(twin[start + steps] / twin[start])),
    }


def path_times(relaxation: float) -> NDArray[np.float64]:
    """Times at which paths are kept, in durations of the metaorder: 0 to 1 while it is worked, then the relaxation."""
    during = np.linspace(0.0, 1.0, DURING + 1)
    if relaxation == 0.0:
        return during
    return np.concatenate([during, 1.0 + relaxation * np.linspace(0.0, 1.0, AFTER + 1)[1:]])


def path_steps(steps: int, relaxation: float) -> list[int]:
    """The same times in whole steps after the start."""
    return [math.floor(moment * steps + 0.5) for moment in path_times(relaxation)]


def _facts(market: Market, prepared: Scenario) -> dict[str, Any]:
    """R0 and open interest at the start, where open interest was seeded."""
    if not any(isinstance(event, SeedOpenInterest) for event in prepared.events):
        return {}
    at = moment(market)
    return {"r0": at.r0, "open_interest": float(at.open_interest.sum()), "leveraged": at.leveraged}


def _scripted_lots(market: Market, contract: int) -> int:
    from sim.kernels.ledger import OFFSET_SCRIPT
    from sim.kernels.state import M_TRADERS

    return int(market.state.positions["lots"][int(market.state.meta[M_TRADERS]) + OFFSET_SCRIPT, contract])


def _hash(*arrays: NDArray[np.float64]) -> str:
    digest = hashlib.sha256()
    for array in arrays:
        digest.update(array.astype("<f8").tobytes())
    return digest.hexdigest()


def measure(
    study: ImpactStudy,
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
        Plain data: ``curve`` (a row per size), ``exponent``, ``prefactor``, ``models``, ``path``,
        ``variance_reduction``, ``runs``, ``results_hash``, and with ``liquidations="compare"`` also ``liquidations``
        (see :mod:`experiments.impact.summary`).
    """
    units = study.tasks()
    run.load_plugins(study.plugins)
    if workers > 1:  # compiled here once, not in every worker
        market = build.market(study.prepared(), study.seeds[0])
        market.advance(1)
        market.close()
    runs = jobs.perform(units, one_seed, engine(workers), folder, on_done)
    for record in runs:
        record.pop("wall_seconds", None)
    result = plain(
        {
            "scenario": study.scenario.name,
            "reading": study.reading,
            "participation": None if study.duration is not None else study.participation,
            "duration": study.duration,
            "sides": study.sides,
            "start": study.start,
            "seeds": study.seeds,
            "r0_target": study.r0,
            **summarise(runs, path_times(study.relaxation), study.resamples),
            "runs": runs,
            "results_hash": jobs.hash_of(runs),
            "complete": True,
        }
    )
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def exponent(
    market: Scenario | str, seeds: Sequence[int] = tuple(range(16)), sizes: Sequence[float] = SIZES, **options: Any
) -> dict[str, Any]:
    """The pooled exponent alone, for tuning a market against it.

    Args:
        market: a scenario, or what :func:`experiments.scenario.load` takes.
        seeds: paired seeds.
        sizes: shares of daily volume.
        options: other fields of :class:`ImpactStudy`.

    Returns:
        ``value, se, low, high`` of the exponent, ``prefactor``, ``curve`` (impacts in daily volatilities by size),
        ``daily_volume``, ``daily_volatility``.
    """
    loaded = scenario.load(market) if isinstance(market, str) else market
    chosen: dict[str, Any] = {"relaxation": 0.0, "resamples": 499} | options
    result = measure(ImpactStudy(loaded, tuple(sizes), tuple(seeds), **chosen))
    keys = ("value", "se", "low", "high")
    return {key: result["exponent"][key] for key in keys} | {
        "prefactor": result["prefactor"]["value"],
        "curve": {row["size"]: row["impact"] for row in result["curve"]},
        "daily_volume": result["units"]["daily_volume"],
        "daily_volatility": result["units"]["daily_volatility"],
    }
