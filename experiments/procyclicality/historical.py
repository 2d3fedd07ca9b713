"""Procyclicality on historical prices: the backtester's models along a series, and their response to a drawn step."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.procyclicality.frontier import RESAMPLES, frontier, stationary_blocks
from experiments.procyclicality.measures import Floats, band, lead_lag, peak_lag, reaction
from experiments.store import plain
from margin.backtest import Backtest, backtest
from margin.backtests.forecasts import GarchFit, garch_variance
from margin.backtests.models import RateModel, Setting, calculated, needed_returns
from margin.backtests.overlays import apply_tools
from margin.backtests.series import Series
from margin.backtests.tails import horizon_losses
from margin.historical import normal_multiple
from sim.errors import ConfigError

MODELS = "flat,ewma:0.94,ewma:0.97,ewma:0.99,garch,hs:500,fhs:0.97/500,ewma:0.97+floor,ewma:0.97+buffer,ewma:0.97+speed"
OBJECTIVES = ("mean_margin", "exceedance_rate", "peak_to_trough", "uncovered_loss")
DAYS = (1, 5, 30)
BLOCK = 50.0
"""Mean days of a block of the bootstrap."""
SETTLE = 250
"""Days at one volatility that a model sees before the step, beyond those it needs."""
LONGEST_LAG = 60
SHOWN = (1, 5, 20, 60, 120, 250)


@dataclass(frozen=True)
class Prices:
    """What is measured on a price series.

    Attributes:
        series: the prices.
        models: of the backtester; the first is the baseline of an equal cost.
        setting: confidence and margin period of risk.
        days: spans of increases.
        window: days of realised volatility.
        factor: of volatility in the drawn step.
        step_days: days after the step.
        seeds: one drawn path each.
        equal_cost: scale every model to the mean margin of the first.
        start: first day judged.
        end: last day judged.
    """

    series: Series
    models: tuple[RateModel, ...]
    setting: Setting
    days: tuple[int, ...] = DAYS
    window: int = 20
    factor: float = 2.0
    step_days: int = 250
    seeds: tuple[int, ...] = tuple(range(40))
    equal_cost: bool = False
    start: str | None = None
    end: str | None = None


def measure(asked: Prices, on_done: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Measure every model.

    Args:
        asked: what to measure.
        on_done: told (paths done, paths in all).

    Returns:
        Plain data: by model the reaction, coverage, leads and lags; the response; the frontier.

    Raises:
        ConfigError: the series does not fit a model or the window.
    """
    test = backtest(asked.series, asked.models, asked.setting, asked.start, asked.end)
    names = [one.model.name for one in test.models]
    margins = {one.model.name: one.margin for one in test.models}
    base = float(margins[names[0]].mean())
    scales = {name: base / float(margins[name].mean()) if asked.equal_cost else 1.0 for name in names}
    margins = {name: margins[name] * scales[name] for name in names}
    losses = _losses(test, asked)
    # what is known before the first return of the window is worth the price then
    log_price = np.concatenate([[0.0], np.cumsum(test.returns)])[:-1]
    models, moved = {}, {}
    for name, margin in margins.items():
        models[name] = _figures(margin, losses, asked) | {"scale": scales[name]}
        moved[name] = lead_lag(margin, log_price, asked.window, min(LONGEST_LAG, len(margin) // 4))
        lags = moved[name]["lags"]
        middle = len(lags) // 2
        for other in ("volatility", "price"):
            models[name][f"correlation_{other}"] = float(moved[name][other][middle])
            models[name][f"lag_{other}_days"] = peak_lag(lags, moved[name][other])
    result: dict[str, Any] = {
        "command": "procyclicality", "mode": "historical", "source": asked.series.source,
        "column": asked.series.column, "sha256": asked.series.sha256,
        "window": {"first": test.dates[0], "last": test.dates[-1], "returns": len(test.dates)},
        "settings": {
            "confidence": asked.setting.confidence, "period_days": asked.setting.days, "window_days": asked.window,
            "factor": asked.factor, "step_days": asked.step_days, "block": BLOCK,
        },
        "seeds": asked.seeds, "spans": [f"{day}d" for day in asked.days], "equal_cost": asked.equal_cost,
        "models": models, "lead_lag": {name: _plain_lags(found) for name, found in moved.items()},
        "response": response(asked, test, on_done), "frontier": _frontier(margins, losses, asked),
        "complete": True,
    }  # fmt: skip
    digest = hashlib.sha256()
    for name in names:
        digest.update(name.encode() + np.ascontiguousarray(margins[name]).tobytes())
    return plain(result | {"results_hash": digest.hexdigest()})  # type: ignore[no-any-return]


def _losses(test: Backtest, asked: Prices) -> Floats:
    """Loss of one long unit over the period that begins each day, float64[n]; NaN where it is not over yet."""
    return -horizon_losses(test.returns, asked.setting.weights)


def _figures(margin: Floats, losses: Floats, asked: Prices) -> dict[str, Any]:
    beyond = losses - margin
    apart = beyond[:: asked.setting.days]
    apart = apart[np.isfinite(apart)]
    return reaction(margin, {f"{day}d": day for day in asked.days}) | {
        "observations": len(apart),
        "exceedances": int((apart > 0.0).sum()),
        "exceedance_rate": float((apart > 0.0).mean()),
        "uncovered_loss": float(np.maximum(apart, 0.0).mean()),
    }


def _plain_lags(found: dict[str, Floats]) -> dict[str, Any]:
    empty = [None] * len(found["lags"])
    return {"lags_days": found["lags"].tolist()} | {
        name: {"mean": [None if math.isnan(v) else v for v in found[name].tolist()], "low": empty, "high": empty}
        for name in ("volatility", "price")
    }


def _frontier(margins: dict[str, Floats], losses: Floats, asked: Prices) -> dict[str, Any]:
    """Of mean margin, exceedances, peak to trough and mean loss above margin; days are resampled in blocks.

    At equal cost every resample is brought to the first model's mean margin again.
    """
    known = np.isfinite(losses)
    table, loss = np.array([margin[known] for margin in margins.values()]), losses[known]

    def measured(chosen: NDArray[np.int64]) -> Floats:
        held = table[:, chosen]
        cost = held.mean(axis=1)
        if asked.equal_cost:
            held = held * (cost[0] / cost)[:, None]
            cost = np.full(len(cost), cost[0])
        over = loss[chosen] - held
        return np.column_stack(
            [cost, (over > 0.0).mean(axis=1), held.max(axis=1) / held.min(axis=1), np.maximum(over, 0.0).mean(axis=1)]
        )

    draws = stationary_blocks(table.shape[1], BLOCK, RESAMPLES)
    return frontier(list(margins), OBJECTIVES, measured, table.shape[1], draws)


def response(asked: Prices, test: Backtest, on_done: Callable[[int, int], None] | None = None) -> dict[str, Any]:
    """Every model on drawn normal returns, with and without a step of volatility; twins share their draws.

    Before the step a model sees as many days as it needs, and ``SETTLE`` more. Parameters of a GARCH are those that it
    was fitted to on the series.

    Args:
        asked: factor, days and seeds.
        test: for the volatility of the series and the fits.
        on_done: told (paths done, paths in all).
    """
    sigma = float(np.sqrt(np.mean(test.returns**2)))
    fits = {one.model.name: _fit_of(one.figures) for one in test.models}
    logs: dict[str, list[Floats]] = {one.model.name: [] for one in test.models}
    for done, seed in enumerate(asked.seeds):
        for one in test.models:
            name, before = one.model.name, _before(one.model, asked.setting)
            draws = np.random.default_rng([seed, 1]).standard_normal(asked.step_days + 2 + 12_000)
            calm = sigma * draws[: before + asked.step_days + 1]
            stirred = calm.copy()
            stirred[before:] *= asked.factor
            # the first entry is still known before the step
            first = slice(before, None)
            ratio = [_margin(one.model, path, asked.setting, fits[name], before)[first] for path in (stirred, calm)]
            logs[name].append(np.log(ratio[0]) - np.log(ratio[1]))
        if on_done is not None:
            on_done(done + 1, len(asked.seeds))
    shown = [day for day in SHOWN if day <= asked.step_days]
    found = {}
    for name, rows in logs.items():
        table = np.array(rows)
        mean = table.mean(axis=0)
        goal = 0.5 * math.log(asked.factor)
        half = np.flatnonzero(mean >= goal) if asked.factor > 1.0 else np.flatnonzero(mean <= goal)
        points = band(table)
        found[name] = {
            "x": list(range(table.shape[1])),
            "log_ratio": points,
            "shown": [_exp(points, day) for day in shown],
            "peak": _exp(points, int(np.argmax(np.abs(mean)))),
            "days_to_half": int(half[0]) if len(half) else None,
        }
    return {
        "factor": asked.factor, "unit": "d", "paths": len(asked.seeds), "days_shown": shown, "models": found,
        "regimes": {name: {key: one[key] for key in ("x", "log_ratio")} for name, one in found.items()},
    }  # fmt: skip


def _exp(points: dict[str, list[float | None]], at: int) -> dict[str, float | None]:
    """A mean of logs as a ratio."""
    return {key: None if (value := row[at]) is None else math.exp(value) for key, row in points.items()}


def _before(model: RateModel, setting: Setting) -> int:
    """Days of one volatility that a model sees before the step."""
    days = needed_returns(model, setting) + SETTLE
    return min(max(days, setting.lookback if model.tools else 0), 12_000)


def _fit_of(figures: dict[str, Any]) -> GarchFit | None:
    fit = figures["garch"]
    return None if fit is None else GarchFit(*(float(fit[key]) for key in ("omega", "alpha", "gamma", "beta")))


def _margin(model: RateModel, returns: Floats, setting: Setting, fit: GarchFit | None, first: int) -> Floats:
    """What the model asks on each day of drawn returns, float64[n]."""
    setting = replace(setting, first=first)
    multiple = normal_multiple(setting.confidence, model.measure) * setting.horizon
    plain_margin = calculated(model, returns, setting).margin if fit is None else (
        multiple * np.sqrt(garch_variance(returns, fit))
    )  # fmt: skip
    return apply_tools(plain_margin, model.tools, returns, multiple, setting.lookback)


def check_days(key: str, text: str, most: int = 1000) -> int:
    """Whole days from a text, ``5`` or ``5d``.

    Raises:
        ConfigError: it is none.
    """
    stem = text.strip().removesuffix("d")
    if not stem.isdecimal() or not 1 <= int(stem) <= most:
        raise ConfigError.of(key, text, f"whole days up to {most}, such as 1d or 5d")
    return int(stem)


def spans(key: str, text: str) -> Sequence[int]:
    """Whole days by commas."""
    return tuple(check_days(key, part) for part in text.split(","))
