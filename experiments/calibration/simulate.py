"""Bars of a simulated market: run one seed at one point of the parameter space and sample it as the data are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from experiments import build, run
from experiments import scenario as scenarios
from experiments.calibration.bars import DAY, Bars
from experiments.calibration.moments import measure, parse
from experiments.calibration.parameters import Free
from experiments.scenario import Scenario
from sim.errors import ConfigError

if TYPE_CHECKING:
    from sim.market import Market

PRICES = ("last", "mid", "mark")
_RARE = 1_000_000  # steps between readings that no moment needs


@dataclass(frozen=True)
class Sampling:
    """How a market becomes a series.

    Attributes:
        steps: steps of a bar.
        price: ``"last"``, ``"mid"`` or ``"mark"``, at the close of each bar.
        contract: name of the contract.
        moments: names of the moments, by commas.
    """

    steps: int
    price: str
    contract: str
    moments: str


@dataclass(frozen=True)
class Task:
    """One run, picklable.

    Attributes:
        scenario: at one point of the parameter space.
        seed: of the run.
        sampling: how it is measured.
        plugins: files to load first.
    """

    scenario: Scenario
    seed: int
    sampling: Sampling
    plugins: tuple[str, ...] = ()


@dataclass(frozen=True)
class MarketModel:
    """A scenario as a function of its free parameters.

    Attributes:
        source: built-in name or file.
        assignments: ``--set`` texts.
        free: parameters.
        sampling: how a run is measured.
        plugins: files to load first.
    """

    source: str
    assignments: tuple[str, ...]
    free: tuple[Free, ...]
    sampling: Sampling
    plugins: tuple[str, ...] = ()

    def scenario(self, values: Mapping[str, float]) -> Scenario:
        """The scenario at a point.

        Raises:
            ConfigError: the scenario refuses the combination.
        """
        texts = [text for parameter in self.free for text in parameter.assignments(values[parameter.name])]
        return light(scenarios.load(self.source, [*self.assignments, *texts]), self.sampling)

    def task(self, values: Mapping[str, float], seed: int) -> Task:
        """The run of one seed at a point."""
        return Task(self.scenario(values), seed, self.sampling, self.plugins)


def light(scenario: Scenario, sampling: Sampling) -> Scenario:
    """The scenario with nothing recorded that no moment needs; what happens in it is the same."""
    needs = {moment.needs for moment in parse(sampling.moments)}
    every = 1 if "spread" in needs else sampling.steps
    update = {"every": every, "trades": False, "causes": False, "refusals": False, "depth_every": _RARE,
              "totals_every": _RARE}  # fmt: skip
    record = scenario.record.model_copy(update=update)
    return replace(scenario, record=record)


def simulate(task: Task) -> list[float] | str:
    """Run one seed and measure its moments; a text that says why where the point cannot be run or measured."""
    run.load_plugins(task.plugins)
    try:
        bars = bars_of(task.scenario, task.seed, task.sampling)
    except ConfigError as error:
        return str(error.problems[0])
    chosen = parse(task.sampling.moments)
    found = measure(bars, chosen)
    if not np.isfinite(found).all():
        return f"{chosen[int(np.argmax(~np.isfinite(found)))].name} cannot be measured in seed {task.seed}"
    return [float(value) for value in found]


def bars_of(scenario: Scenario, seed: int, sampling: Sampling) -> Bars:
    """Run one seed to the end and sample it after the burn-in.

    Raises:
        ConfigError: the exogenous path leaves the prices that a contract can have.
    """
    market = build.market(scenario, seed)
    try:
        run.advance(market, scenario.steps, scenario.steps)
        return sample(market, sampling, scenario.market.burn_in)
    finally:
        market.close()


def sample(market: Market, sampling: Sampling, burn_in: int = 0) -> Bars:
    """Bars of a market that was run: closes, quoted spread averaged over the bar, traded lots.

    Before the first trade, and where a side of the book was empty, the last known price stands.

    Args:
        market: after its last step.
        sampling: bar length, price, contract.
        burn_in: steps left out.
    """
    import pandas as pd

    table = market.steps_table()
    table = table[(table["contract"] == sampling.contract) & (table["step"] >= burn_in)]
    steps = table["step"].to_numpy()
    price = pd.Series(table[sampling.price].to_numpy()).where(lambda x: x > 0.0)
    price = price.fillna(pd.Series(table["mid"].to_numpy())).ffill().bfill().to_numpy(np.float64)
    origin = burn_in + (-burn_in) % market.record.every
    closes = np.flatnonzero((steps - origin) % sampling.steps == 0)
    volume = np.diff(table["volume"].to_numpy(np.float64)[closes])
    spread = None
    if market.record.every == 1:
        relative = ((table["ask"] - table["bid"]) / table["mid"]).to_numpy(np.float64)
        spread = _bar_means(relative, closes)
    day = sampling.steps == market.config.steps_per_day
    seconds = None if day else sampling.steps * market.config.dt_seconds
    return Bars(sampling.contract, seconds, price[closes], spread, volume)


def _bar_means(values: np.ndarray, closes: np.ndarray) -> np.ndarray:
    """Mean of a step's values over the steps of each bar, NaN left out; NaN where all are."""
    known = np.isfinite(values)
    total = np.concatenate([[0.0], np.cumsum(np.where(known, values, 0.0))])
    number = np.concatenate([[0], np.cumsum(known)])
    first, last = closes[:-1] + 1, closes[1:] + 1
    counts = number[last] - number[first]
    return np.where(counts > 0, (total[last] - total[first]) / np.maximum(counts, 1), np.nan)


def steps_per_bar(scenario: Scenario, bars: Bars) -> int:
    """Steps of a bar of the data in a scenario: a trading day's for daily data.

    Raises:
        ConfigError: the bar is no whole number of steps.
    """
    if bars.seconds is None:
        return scenario.market.steps_per_day
    steps = bars.seconds / scenario.market.dt_seconds
    if bars.seconds >= DAY or steps < 1 or abs(steps - round(steps)) > 1e-9:
        raise ConfigError.of(
            "--bar", bars.seconds, f"a multiple of the scenario's step of {scenario.market.dt_seconds:g} s"
        )
    return round(steps)
