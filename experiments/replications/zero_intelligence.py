"""The zero-intelligence model of Daniels, Farmer, Gillemot, Iori and Smith, measured on the book of this exchange.

Limit orders arrive at rate alpha per price, side and time anywhere up to the opposite best, market orders at rate m a
side, every order is cancelled at rate delta (Physical Review Letters 90, 108102, 2003; Smith, Farmer, Gillemot and
Krishnamurthy, Quantitative Finance 3, 481, 2003). By dimensions the characteristic price is m / alpha, the depth
alpha / delta, the time 1 / delta, and what is left is epsilon = delta / m, for orders of one lot, and the tick.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from experiments import jobs
from experiments.engines import engine
from experiments.statistics import t_interval
from experiments.store import OutputFolder, code_hash, combined_hash, plain
from experiments.terminal import columns
from sim.errors import ConfigError, KernelError

CANCEL = (0.02, 0.05, 0.1, 0.2, 0.4)
_LAGS = np.array([1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000])  # in hundredths of an order's life
_SAMPLE = 0.01  # of an order's life, between samples of the mid
_SHORT, _LONG = 1, 2_000  # of _LAGS: lags at which diffusion is compared
_MOST_ORDERS = 4_000_000
_MOST_SAMPLES = 50_000_000
_BINS = 60  # of the depth profile


@dataclass(frozen=True)
class ZeroIntelligence:
    """One study.

    Attributes:
        limit: alpha, limit orders per unit of price, side and time.
        market: m, market orders per side and time.
        cancel: delta, cancellation rates to compare.
        tick: smallest step of price.
        duration: time measured, in market orders a side: m times the time.
        burn_in: time before, in lives of an order, 1 / delta.
        window: how far behind the opposite best limit orders fall, in units of price; None chooses it.
        seeds: one history each.
    """

    limit: float = 1.0
    market: float = 1.0
    cancel: tuple[float, ...] = CANCEL
    tick: float = 0.005
    duration: float = 100_000.0
    burn_in: float = 10.0
    window: float | None = None
    seeds: tuple[int, ...] = tuple(range(8))

    def __post_init__(self) -> None:
        """Refuse rates that give no market.

        Raises:
            ConfigError: a number out of range, or more orders than memory holds.
        """
        positive = {
            "--limit": (self.limit,),
            "--market": (self.market,),
            "--cancel": self.cancel,
            "--tick": (self.tick,),
        }
        for key, values in positive.items():
            if not values or any(not 0 < value < 1e9 for value in values):
                raise ConfigError.of(key, ",".join(f"{v:g}" for v in values), "a number above 0")
        if len(set(self.cancel)) < len(self.cancel):
            raise ConfigError.of("--cancel", ",".join(f"{v:g}" for v in self.cancel), "rates that differ")
        if not 100 <= self.duration <= 1e9:
            raise ConfigError.of("--duration", self.duration, "100 to 1000000000 market orders a side")
        if not 1 <= self.burn_in <= 1e6:
            raise ConfigError.of("--burn-in", self.burn_in, "1 to 1000000 lives of an order")
        if self.window is not None and not 0 < self.window < 1e9:
            raise ConfigError.of("--window", self.window, "a price above 0")
        for cancel in self.cancel:
            ticks = self.window_ticks(cancel)
            if not 1_000 <= self.samples(cancel) <= _MOST_SAMPLES:
                low, high = (count * _SAMPLE / self.epsilon(cancel) for count in (1_000, _MOST_SAMPLES))
                raise ConfigError.of(
                    "--duration", self.duration, f"{low:.3g} to {high:.3g} at cancellation rate {cancel:g}"
                )
            if not 10 <= ticks <= 1_000_000:
                raise ConfigError.of(
                    "--tick", self.tick, f"a tick of which the window holds 10 to 1000000, not {ticks}"
                )
            if self.orders(cancel) > _MOST_ORDERS:
                allowed = f"rates at which at most {_MOST_ORDERS} orders rest; these let {self.orders(cancel):.0f}"
                raise ConfigError.of("--cancel", cancel, allowed)

    def epsilon(self, cancel: float) -> float:
        """Cancellations a market order: the model's one number without dimension, beside the tick."""
        return cancel / self.market

    def samples(self, cancel: float) -> int:
        """Samples of the mid, a hundredth of an order's life apart."""
        return round(self.duration * self.epsilon(cancel) / _SAMPLE)

    def window_ticks(self, cancel: float) -> int:
        """Ticks behind the opposite best on which limit orders fall: some spreads deep unless chosen."""
        price = self.market / self.limit
        width = self.window if self.window is not None else 5.0 * price * (1.0 + 1.2 * self.epsilon(cancel) ** 0.75)
        return max(1, round(width / self.tick))

    def orders(self, cancel: float) -> float:
        """Orders at rest on both sides if none were taken."""
        return 2.0 * self.limit * self.tick * self.window_ticks(cancel) / cancel

    def units(self) -> list[jobs.Unit]:
        """Each rate and seed."""
        return [
            jobs.Unit(jobs.safe_key("cancel", f"{cancel:g}", "seed", seed), (self, cancel, seed))
            for cancel in self.cancel
            for seed in self.seeds
        ]

    def job(self) -> dict[str, Any]:
        """What the output folder is of."""
        options = {
            "limit": self.limit, "market": self.market, "cancel": list(self.cancel), "tick": self.tick,
            "duration": self.duration, "burn_in": self.burn_in, "window": self.window,
        }  # fmt: skip
        return {
            "command": "zero-intelligence", "scenario": "zero-intelligence", "regimes": [],
            "seeds": list(self.seeds), "options": options, "code": code_hash(),
        }  # fmt: skip


@dataclass(frozen=True)
class History:
    """What one long run of the book showed.

    Attributes:
        mids: float64[n], the mid every hundredth of an order's life, ticks from where it began.
        spreads: float64[n], the spread then, ticks, NaN with an empty side.
        profile: float64[n], mean lots a tick and side by distance from the mid in ticks.
        spread: time-weighted mean spread, ticks.
        spread_sd: its standard deviation over time.
        two_sided: share of time with orders on both sides.
        events: orders, cancels and takers.
    """

    mids: np.ndarray
    spreads: np.ndarray
    profile: np.ndarray
    spread: float
    spread_sd: float
    two_sided: float
    events: int


def history(study: ZeroIntelligence, cancel: float, seed: int) -> History:
    """Run the book.

    Raises:
        KernelError: more orders than foreseen, or a side was empty throughout.
    """
    from experiments.kernels import zero_intelligence as kernel
    from sim.kernels.state import M_LEDGER, M_STP, STP_OFF, allocate

    expected = study.orders(cancel)
    slots = 1 << max(10, math.ceil(math.log2(1.5 * expected + 20.0 * math.sqrt(expected) + 64)))
    state = allocate(traders=4, contracts=1, steps=1, window=4096, pool=slots, tape=64)
    state.meta[M_LEDGER] = 0
    state.meta[M_STP] = STP_OFF
    state.contracts["max_price"] = 2**31 - 2
    life = 1.0 / cancel
    samples = study.samples(cancel)
    mids, spreads = np.zeros(samples), np.zeros(samples)
    profile, sums = np.zeros(study.window_ticks(cancel)), np.zeros(5)
    status, events = kernel.run(
        state, study.limit * study.tick, study.market, cancel, study.window_ticks(cancel), seed, study.burn_in * life,
        _SAMPLE * life, 20, 0, np.zeros(slots, np.int64), np.zeros(slots, np.int64), mids, spreads, profile, sums,
    )  # fmt: skip
    if status != kernel.DONE:
        raise KernelError(f"more than {slots} orders at rest at cancellation rate {cancel:g}")
    if sums[1] == 0:
        raise KernelError(f"at cancellation rate {cancel:g} one side of the book was empty all the time")
    mean = sums[2] / sums[1]
    deviation = math.sqrt(max(sums[3] / sums[1] - mean**2, 0.0))
    depth = profile / (2.0 * max(sums[4], 1.0))
    return History(mids, spreads, depth, mean, deviation, sums[1] / sums[0], int(events))


def run(task: tuple[ZeroIntelligence, float, int]) -> jobs.UnitResult:
    """One history and its measures, in units of price and time."""
    study, cancel, seed = task
    found = history(study, cancel, seed)
    price = found.mids * study.tick
    lags = [int(lag) for lag in _LAGS if lag < len(price) // 4]
    variance = [float(np.mean((price[lag:] - price[:-lag]) ** 2)) for lag in lags]
    edges = np.unique(np.linspace(0, len(found.profile), _BINS + 1).astype(int))
    depth = [float(found.profile[a:b].mean() / study.tick) for a, b in pairwise(edges)]
    record = {
        "cancel": cancel, "seed": seed, "spread": found.spread * study.tick, "spread_sd": found.spread_sd * study.tick,
        "two_sided": found.two_sided, "events": found.events, "lags": [lag * _SAMPLE for lag in lags],
        "variance": variance, "distance": [float(x) for x in (edges[:-1] + edges[1:]) / 2 * study.tick],
        "depth": depth,
    }  # fmt: skip
    text = [("spread", found.spread.hex()), ("last", float(found.mids[-1]).hex()), ("events", str(found.events))]
    return jobs.UnitResult([{**record, "results_hash": combined_hash(text)}])


def measure(
    study: ZeroIntelligence, workers: int = 1, folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
) -> dict[str, Any]:  # fmt: skip
    """Run every rate and seed and fit how spread and diffusion scale.

    Returns:
        Plain data: ``rows`` (one a rate: spread with interval over seeds, diffusion by lag, depth by distance),
        ``spread_fit`` and ``diffusion`` (None with too few rates), ``results_hash``.
    """
    units = study.units()
    runs = jobs.perform(units, run, engine(workers), folder, on_done)
    rows = [_row(study, cancel, [r for r in runs if r["cancel"] == cancel]) for cancel in study.cancel]
    named = ((f"{r['cancel']}/{r['seed']}", r["results_hash"]) for r in runs)
    result: dict[str, Any] = plain(
        {
            "kind": "zero-intelligence", **study.job(), "rows": rows, "spread_fit": spread_fit(rows),
            "diffusion": {
                "short": exponent(rows, _SHORT * _SAMPLE), "long": exponent(rows, _LONG * _SAMPLE),
                "short_lag": _SHORT * _SAMPLE, "long_lag": _LONG * _SAMPLE,
            },
            "results_hash": combined_hash(named),
        }
    )  # fmt: skip
    if folder is not None:
        jobs.finish(folder, units, result, result["results_hash"])
    return result


def _row(study: ZeroIntelligence, cancel: float, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    lags = runs[0]["lags"]
    rates = np.array([[v / (lag / cancel) for v, lag in zip(r["variance"], lags, strict=True)] for r in runs])
    return {
        "cancel": cancel, "epsilon": study.epsilon(cancel), "window": study.window_ticks(cancel) * study.tick,
        "spread": t_interval([r["spread"] for r in runs]), "spread_by_seed": [r["spread"] for r in runs],
        "spread_sd": float(np.mean([r["spread_sd"] for r in runs])),
        "two_sided": float(np.mean([r["two_sided"] for r in runs])), "events": int(sum(r["events"] for r in runs)),
        "lags": lags, "diffusion": rates.mean(0).tolist(), "diffusion_by_seed": rates.tolist(),
        "distance": runs[0]["distance"], "depth": np.mean([r["depth"] for r in runs], axis=0).tolist(),
        "asymptotic_depth": study.limit / cancel,
    }  # fmt: skip


def spread_fit(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """Fit spread = a + b delta**c by least squares, weighted by the standard errors over seeds.

    Errors of the parameters follow from those; with one seed each rate has the same relative weight and they are NaN.
    None with fewer than three rates, or where no such curve is found.
    """
    from scipy.optimize import curve_fit

    if len(rows) < 3:
        return None
    delta = np.array([row["cancel"] for row in rows])
    by_seed = np.array([row["spread_by_seed"] for row in rows])
    spread, seeds = by_seed.mean(1), by_seed.shape[1]
    sigma = by_seed.std(1, ddof=1) / math.sqrt(seeds) if seeds > 1 else spread
    start = (0.8 * spread.min(), (spread.max() - 0.8 * spread.min()) / delta.max() ** 0.75, 0.75)
    try:
        found, covariance = curve_fit(
            lambda x, a, b, c: a + b * x**c, delta, spread, p0=start, sigma=sigma, absolute_sigma=True, maxfev=20_000
        )
    except RuntimeError:  # the rates lie too close together
        return None
    errors = np.sqrt(np.diag(covariance)) if seeds > 1 else np.full(3, np.nan)
    names = ("a", "b", "c")
    return {
        **{name: float(value) for name, value in zip(names, found, strict=True)},
        "standard_error": {name: float(value) for name, value in zip(names, errors, strict=True)},
    }


def exponent(rows: Sequence[Mapping[str, Any]], lag: float) -> dict[str, Any] | None:
    """Exponent of diffusion in delta at a lag of so many lives of an order: the slope of its logarithm.

    The standard error is over seeds, each giving a slope of its own. None with fewer than two rates or a lag that was
    not measured.
    """
    if len(rows) < 2 or any(lag not in row["lags"] for row in rows):
        return None
    delta = np.log([row["cancel"] for row in rows])
    values = np.array([[seed[row["lags"].index(lag)] for seed in row["diffusion_by_seed"]] for row in rows])
    slopes = np.polyfit(delta, np.log(values), 1)[0]
    pooled = float(np.polyfit(delta, np.log(values.mean(1)), 1)[0])
    error = float(np.std(slopes, ddof=1) / math.sqrt(len(slopes))) if len(slopes) > 1 else math.nan
    return {"exponent": pooled, "standard_error": error}


def lines(result: Mapping[str, Any]) -> list[str]:
    """The result for a terminal."""
    o = result["options"]
    rates = f"limit {o['limit']:g} per price, side and time, market {o['market']:g} a side"
    told = [f"Zero intelligence: {rates}, tick {o['tick']:g}", ""]
    cells = [["cancel", "spread", "95 % interval", "sd over time", "two sides", "diffusion, short", "long", "events"]]
    for row in result["rows"]:
        low, high = row["spread"]["low"], row["spread"]["high"]
        interval = "-" if low is None else f"{low:.4f} .. {high:.4f}"
        ends = [_at(row, result["diffusion"][f"{name}_lag"]) for name in ("short", "long")]
        cells.append(
            [f"{row['cancel']:g}", f"{row['spread']['mean']:.4f}", interval, f"{row['spread_sd']:.4f}",
             f"{100 * row['two_sided']:.1f} %", *ends, f"{row['events']:,}"]
        )  # fmt: skip
    told += [*columns(cells), ""]
    fit = result["spread_fit"]
    if fit is not None:
        error = fit["standard_error"]["c"]
        told.append(
            f"spread = {fit['a']:.3f} + {fit['b']:.3f} x cancel^{fit['c']:.3f}"
            + ("" if error is None else f" (standard error of the exponent {error:.3f})")
        )
    for name, lag in (("short", "short_lag"), ("long", "long_lag")):
        slope = result["diffusion"][name]
        if slope is not None:
            error = slope["standard_error"]
            told.append(
                f"diffusion at {result['diffusion'][lag]:g} lives of an order grows as cancel^{slope['exponent']:.2f}"
                + ("" if error is None else f" (standard error {error:.2f})")
            )
    return [*told, "", f"Results hash: {result['results_hash']}"]


def _at(row: Mapping[str, Any], lag: float) -> str:
    return f"{row['diffusion'][row['lags'].index(lag)]:.3g}" if lag in row["lags"] else "-"
