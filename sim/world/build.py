"""Make the exogenous paths of one run from its seed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from sim.contracts import DAYS_PER_YEAR, Contract, references
from sim.errors import ConfigError, Problem
from sim.kernels import paths
from sim.kernels.realmath import exp, ln
from sim.keyed import stream
from sim.options import black76_price, inverse_price
from sim.world import oracle
from sim.world.config import (
    Activity,
    ConstantWorld,
    GarchWorld,
    GbmWorld,
    HistoricalWorld,
    JumpDiffusionWorld,
)
from sim.world.events import Depeg, ValueJump, WorldEvent, check_events, volatility_factors
from sim.world.history import SeriesSource, load_series

_HALF_WINDOW_DAYS = 10  # of the mean of squared returns around a day

AnyWorld = ConstantWorld | GbmWorld | JumpDiffusionWorld | GarchWorld | HistoricalWorld


class Asset(Protocol):
    """What the world needs to know of a contract."""

    @property
    def name(self) -> str:
        """Unique name: it keys the contract's random streams."""

    @property
    def initial_price(self) -> int:
        """Price at step 0, ticks."""

    @property
    def tick_size(self) -> float:
        """Price units per tick."""

    @property
    def max_price(self) -> int:
        """Largest price, ticks."""


@dataclass(frozen=True)
class WorldPaths:
    """The exogenous paths of a run; row t is the state after t steps.

    Attributes:
        value: float64[steps + 1, C], value in ticks.
        index: int64[steps + 1, C], index as published by the oracle, sub-ticks.
        activity: float64[steps + 1], activity factor of mean one.
        day: int32[steps + 1], trading day that the step belongs to; the day's last step is its close.
        dates: ISO date of each day of a historical world, else ``None``.
        sources: origin of each contract's series in a historical world.
        oracle: float64[C, ORACLE_CELLS], the oracles' parameters, where they have a part in the step.
        oracle_path: float64[steps + 1, C, columns], what they need there (:mod:`sim.kernels.oracle`).
    """

    value: np.ndarray
    index: np.ndarray
    activity: np.ndarray
    day: np.ndarray
    dates: tuple[str, ...] | None = None
    sources: tuple[SeriesSource, ...] = ()
    oracle: np.ndarray | None = None
    oracle_path: np.ndarray | None = None

    def closes(self, steps_per_day: int) -> np.ndarray:
        """Value at the start and at the close of each whole day, float64[days + 1, C]."""
        return self.value[::steps_per_day]


def build_world(
    config: AnyWorld,
    contracts: Sequence[Asset],
    steps: int,
    dt_seconds: float,
    steps_per_day: int,
    seed: int,
    events: Iterable[WorldEvent] = (),
) -> WorldPaths:
    """Make all exogenous paths of a run.

    A contract's draws are keyed by its name, so they stay the same when contracts are added after it. Contract c is
    correlated with those before it in the list by a Cholesky factor.

    Args:
        config: the ``[world]`` table.
        contracts: the contracts, in the order of the market.
        steps: steps of the run.
        dt_seconds: simulated seconds per step.
        steps_per_day: steps in a trading day.
        seed: seed of the run.
        events: scripted events; a path differs from the unscripted one only from an event's step onwards.

    Raises:
        ConfigError: the configuration does not fit the contracts or the run, a price file is bad, or a path leaves
            the prices that a contract can have.
    """
    names = [contract.name for contract in contracts]
    events = tuple(events)
    check_events(events, steps, names)
    activity = _activity(config.activity, steps, dt_seconds, steps_per_day, seed)
    factor = volatility_factors(events, steps) * _volatility_of(config.activity, activity, steps_per_day)
    value = np.empty((steps + 1, len(contracts)))
    dates: tuple[str, ...] | None = None
    sources: tuple[SeriesSource, ...] = ()
    if isinstance(config, HistoricalWorld):
        dates, sources = _replay(config, contracts, steps_per_day, seed, factor, value)
    elif isinstance(config, ConstantWorld):
        value[:] = _initial_prices(contracts)
    else:
        _simulate(config, contracts, steps_per_day, seed, factor, value)
    for event in events:
        if isinstance(event, ValueJump):
            for c, name in enumerate(names):
                if event.contract in (None, name):
                    paths.scale_from(value, c, event.step, float(event.log_size))
        elif isinstance(event, Depeg):
            _depeg(value[:, names.index(event.contract)], event)
    _follow_underlyings(contracts, steps_per_day, value)
    _check_range(value, contracts)
    index, cells, path = oracle.build(config.oracle, contracts, value, dt_seconds, seed, events)
    return WorldPaths(
        value=value,
        index=index,
        activity=activity,
        day=(np.maximum(np.arange(steps + 1) - 1, 0) // steps_per_day).astype(np.int32),
        dates=dates,
        sources=sources,
        oracle=cells,
        oracle_path=path,
    )


def _depeg(value: np.ndarray, event: Depeg) -> None:
    """Multiply one contract's path, float64[T + 1], by the level of a depeg, and by what leads there and back."""
    depth = ln(float(event.level))
    for t in range(event.step, len(value)):
        done = t - event.step + 1
        part = min(done / event.over, 1.0)
        if event.duration is not None:
            back = done - event.over - event.duration
            part = part if back <= 0 else max(1.0 - back / event.recovery, 0.0)
        value[t] *= exp(part * depth)


def _follow_underlyings(contracts: Sequence[Any], steps_per_day: int, value: np.ndarray) -> None:
    """Contracts about one underlying have one value: that of the contract that prices it, an option its model value."""
    if not all(isinstance(contract, Contract) for contract in contracts):
        return
    for c, reference in enumerate(references(contracts)):
        contract, leader = contracts[c], contracts[reference]
        if reference == c:
            continue
        if not contract.is_option:
            value[:, c] = value[:, reference] * (leader.tick_size / contract.tick_size)
            continue
        years = np.maximum(contract.expiry_step - np.arange(len(value)), 0) / (DAYS_PER_YEAR * steps_per_day)
        price = value[:, reference] * leader.tick_size
        model = inverse_price if contract.kind == "inverse_option" else black76_price
        worth = model(contract.option_type, price, contract.strike, years, contract.volatility) / contract.tick_size
        value[:, c] = np.clip(worth, 1.0, contract.max_price)


def _streams(contracts: Sequence[Asset]) -> np.ndarray:
    return np.array([stream(f"world.value.{contract.name}") for contract in contracts], np.int64)


def _initial_prices(contracts: Sequence[Asset]) -> np.ndarray:
    return np.array([contract.initial_price for contract in contracts], np.float64)


def _per_contract(key: str, value: Any, count: int) -> np.ndarray:
    """One number for all contracts or a list with one each, as float64[C]."""
    if isinstance(value, list):
        if len(value) != count:
            raise ConfigError.of(f"world.{key}", value, f"one number, or a list of {count} (one for each contract)")
        return np.array(value, np.float64)
    return np.full(count, float(value))


def _correlation_factor(correlation: Any, count: int) -> np.ndarray:
    """Lower Cholesky factor of a correlation given as one number or as a matrix."""
    allowed = f"one number, or a symmetric positive definite {count} x {count} matrix with ones on its diagonal"
    if isinstance(correlation, list):
        if [len(row) for row in correlation] != [count] * count:
            raise ConfigError.of("world.correlation", correlation, allowed)
        matrix = np.array(correlation, np.float64)
        if not (np.array_equal(matrix, matrix.T) and np.all(np.diag(matrix) == 1.0)):
            raise ConfigError.of("world.correlation", correlation, allowed)
    else:
        matrix = np.full((count, count), float(correlation))
        np.fill_diagonal(matrix, 1.0)
    lower = np.empty((count, count))
    if not paths.cholesky(matrix, lower):
        if not isinstance(correlation, list) and count > 1:
            allowed = f"a number between {-1 / (count - 1):g} and 1, both excluded"
        raise ConfigError.of("world.correlation", correlation, allowed)
    return lower


def _simulate(
    config: GbmWorld | JumpDiffusionWorld | GarchWorld,
    contracts: Sequence[Asset],
    steps_per_day: int,
    seed: int,
    factor: np.ndarray,
    value: np.ndarray,
) -> None:
    count = len(contracts)
    streams = _streams(contracts)
    lower = _correlation_factor(config.correlation, count)
    volatility = _per_contract("volatility", config.volatility, count)
    drift = _per_contract("drift", config.drift, count) / steps_per_day
    alpha, beta, period = 0.0, 0.0, 1
    if isinstance(config, GarchWorld):
        alpha, beta = float(config.alpha), float(config.beta)
        period = steps_per_day if config.frequency == "day" else 1
    variance = volatility * volatility * period / steps_per_day
    weights = np.full(count, alpha), np.full(count, beta)
    increments = np.zeros_like(value)
    paths.diffusion(seed, streams, lower, variance, *weights, period, drift, factor, increments)
    if isinstance(config, JumpDiffusionWorld):
        intensity = _per_contract("jumps_per_day", config.jumps_per_day, count) / steps_per_day
        mean = _per_contract("jump_mean", config.jump_mean, count)
        deviation = _per_contract("jump_volatility", config.jump_volatility, count)
        shared = stream("world.jumps") if config.common_jumps else -1
        paths.jumps(seed, streams, shared, lower, intensity, mean, deviation, increments)
    paths.accumulate(_initial_prices(contracts), increments, value)


def _replay(
    config: HistoricalWorld,
    contracts: Sequence[Asset],
    steps_per_day: int,
    seed: int,
    factor: np.ndarray,
    value: np.ndarray,
) -> tuple[tuple[str, ...], tuple[SeriesSource, ...]]:
    """Fill ``value`` with the replayed series; returns the dates of its days and the origin of the series."""
    count, steps = len(contracts), len(value) - 1
    series, sources = load_series(config, [contract.name for contract in contracts])
    days = len(series[0].dates) - 1
    if steps > days * steps_per_day:
        allowed = f"at most {days * steps_per_day}: {days} trading days of {steps_per_day} steps"
        raise ConfigError.of("market.steps", steps, allowed, file=series[0].source)
    closes = np.empty((days + 1, count))
    span = np.empty((days, count))
    for c, (contract, prices) in enumerate(zip(contracts, series, strict=True)):
        closes[:, c] = _in_ticks(config, contract, prices.close)
        span[:, c] = prices.span[1:]
    variance = np.empty((days, count))
    if config.intraday_volatility is None:
        paths.daily_variance(closes, span, _HALF_WINDOW_DAYS, variance)
    else:
        variance[:] = _per_contract("intraday_volatility", config.intraday_volatility, count) ** 2
    variance *= float(config.intraday_scale) ** 2
    known = config.correlation is not None
    lower = _correlation_factor(config.correlation, count) if known else _estimated_factor(closes)
    paths.bridge(seed, _streams(contracts), lower, closes, variance, steps_per_day, factor, value)
    used = -(-steps // steps_per_day)
    return series[0].dates[1 : used + 1], tuple(sources)


def _in_ticks(config: HistoricalWorld, contract: Asset, close: np.ndarray) -> np.ndarray:
    if config.scaling == "initial_price":
        scaled: np.ndarray = close / close[0] * contract.initial_price
        return scaled
    ticks: np.ndarray = close / contract.tick_size
    if abs(ticks[0] - contract.initial_price) > 0.5:
        allowed = f"{round(float(ticks[0]))}, the first close in ticks (world.scaling is tick_size)"
        raise ConfigError.of(f"contracts.{contract.name}.initial_price", contract.initial_price, allowed)
    return ticks


def _estimated_factor(closes: np.ndarray) -> np.ndarray:
    """Cholesky factor of the correlation of daily returns, drawn in slightly where two series are the same."""
    count = closes.shape[1]
    matrix = np.empty((count, count))
    paths.return_correlation(closes, matrix)
    lower = np.empty((count, count))
    if not paths.cholesky(matrix, lower):
        matrix = (1.0 - 1e-6) * matrix + 1e-6 * np.eye(count)
        paths.cholesky(matrix, lower)
    return lower


def _check_range(value: np.ndarray, contracts: Sequence[Asset]) -> None:
    problems = []
    for c, contract in enumerate(contracts):
        low, high = float(value[:, c].min()), float(value[:, c].max())
        if not low >= 1.0:
            allowed = f"a higher price in ticks: the value falls to {low:.3g} ticks"
            problems.append(Problem("", f"contracts.{contract.name}.initial_price", contract.initial_price, allowed))
        if not high <= contract.max_price:
            allowed = f"more than {high:.6g}, the highest value in ticks"
            problems.append(Problem("", f"contracts.{contract.name}.max_price", contract.max_price, allowed))
    if problems:
        raise ConfigError(problems)


def _activity(config: Activity, steps: int, dt_seconds: float, steps_per_day: int, seed: int) -> np.ndarray:
    """Activity of every step, float64[steps + 1], of mean one."""
    activity = np.ones(steps + 1)
    if config.deviation > 0:
        decay = np.array([exp(-dt_seconds / constant) for constant in config.time_constants_seconds])
        paths.log_activity(seed, stream("world.activity"), decay, float(config.deviation), activity)
    if config.profile:
        activity *= _of_the_day(config.profile, steps, steps_per_day)
    return activity


def _of_the_day(profile: Sequence[float], steps: int, steps_per_day: int) -> np.ndarray:
    """A daily profile at every step, float64[steps + 1], of mean one over a day; step 0 is the day's first."""
    corners = np.array(profile, np.float64)
    place = (np.arange(steps_per_day) + 0.5) / steps_per_day * (len(corners) - 1)
    left = np.minimum(place.astype(np.int64), max(len(corners) - 2, 0))
    right = np.minimum(left + 1, len(corners) - 1)
    day = corners[left] + (place - left) * (corners[right] - corners[left])
    total = 0.0
    for level in day:  # in a fixed order: a pairwise sum may differ between versions
        total += float(level)
    day *= steps_per_day / total
    shown: np.ndarray = day[np.maximum(np.arange(steps + 1) - 1, 0) % steps_per_day]
    return shown


def _volatility_of(config: Activity, activity: np.ndarray, steps_per_day: int) -> np.ndarray:
    """What activity multiplies the value's noise by, float64[steps + 1]; the mean of its square is one."""
    power = float(config.volatility_exponent)
    if power == 0.0:
        return np.ones(len(activity))
    factor = np.array([exp(power * ln(level)) for level in activity])
    # E[A^2c] of a lognormal of mean one with log variance v is exp((2c - 1) c v)
    spread = len(config.time_constants_seconds) * float(config.deviation) ** 2
    square = exp((2.0 * power - 1.0) * power * spread)
    if config.profile:
        total = 0.0
        for level in _of_the_day(config.profile, steps_per_day, steps_per_day)[1:]:
            total += exp(2.0 * power * ln(float(level)))
        square *= total / steps_per_day
    factor /= np.sqrt(square)
    return factor
