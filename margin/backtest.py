"""Backtests of margin models on a price series: coverage, cost, procyclicality, and the frontier between them.

Each model margins one unit of the series, every day, from returns before that day. A loss above the margin is an
exceedance. Over a margin period of risk of several days the losses tested are those of consecutive periods that do not
overlap, so that the tests of independence stay valid; cost and procyclicality are those of the margin on every day.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from typing import Any

import numpy as np

from margin.backtests.coverage import (
    BASEL_WINDOW,
    LikelihoodRatio,
    accepted_exceedances,
    conditional_coverage,
    independence,
    kupiec,
    traffic_light,
    worst_window,
)
from margin.backtests.forecasts import GarchFit, diebold_mariano, qlike_losses
from margin.backtests.frontier import dominating
from margin.backtests.models import (
    FAMILIES,
    Path,
    RateModel,
    Setting,
    calculated,
    needed_returns,
    parse_model,
)
from margin.backtests.overlays import TOOLS, apply_tools, parse_tools
from margin.backtests.procyclicality import (
    largest_call,
    largest_increase,
    peak_to_trough,
    tail_index,
    volatility_of_margin,
)
from margin.backtests.series import Series, load_prices
from margin.backtests.tails import horizon_losses
from margin.historical import normal_multiple
from sim.errors import ConfigError

__all__ = ["Backtest", "Measured", "Series", "backtest", "expand", "forecast_scores", "load_prices"]

DAYS = (1, 5, 30)
OBJECTIVES = ("mean_margin", "peak_to_trough", "exceedance_rate")


@dataclass(frozen=True)
class Measured:
    """One model along the window.

    Attributes:
        model: the model.
        margin: float64[n], fraction of value on each day of the window.
        hits: bool[m], exceedances by period.
        figures: everything measured, as plain numbers; None where a figure does not exist.
        losses: float64[n], QLIKE loss of each forecast, or None for a model without a volatility.
    """

    model: RateModel
    margin: np.ndarray
    hits: np.ndarray
    figures: dict[str, Any]
    losses: np.ndarray | None = None


@dataclass(frozen=True)
class Backtest:
    """A finished backtest.

    Attributes:
        series: the prices.
        setting: what the models share.
        dates: ISO dates of the window.
        returns: float64[n], log returns of the window.
        models: one entry per model, in the order given.
        dominated_by: name of a model that is no worse in cost, procyclicality and coverage and better in one, by the
            name of the model that it dominates; models that are missing are on the frontier.
    """

    series: Series
    setting: Setting
    dates: tuple[str, ...]
    returns: np.ndarray
    models: tuple[Measured, ...]
    dominated_by: dict[str, str]

    @property
    def frontier(self) -> list[str]:
        """Names of the models that no other dominates."""
        return [one.model.name for one in self.models if one.model.name not in self.dominated_by]

    def as_dict(self) -> dict[str, Any]:
        """Every figure, ready for JSON."""
        setting = {key: value for key, value in asdict(self.setting).items() if key != "first"}
        setting["promised_rate"] = self.setting.promised
        n, p = len(self.models[0].hits), self.setting.promised
        low, high = accepted_exceedances(n, p)
        return {
            "prices": {
                "source": self.series.source,
                "column": self.series.column,
                "sha256": self.series.sha256,
                "first": self.series.dates[0],
                "last": self.series.dates[-1],
                "returns": len(self.series.dates) - 1,
            },
            "window": {"first": self.dates[0], "last": self.dates[-1], "returns": len(self.dates)},
            "setting": setting,
            "fitted": _fitted_on(self),
            "accepted_exceedances": {"low": low, "high": high, "of": n},
            "models": [one.figures for one in self.models],
            "frontier": {
                "objectives": list(OBJECTIVES),
                "non_dominated": self.frontier,
                "dominated_by": dict(self.dominated_by),
            },
            "forecasts": forecast_scores(self),
        }


def _fitted_on(test: Backtest) -> str:
    first = test.series.dates[test.setting.first]
    if test.setting.refit:
        return f"returns to {first}, and again every {test.setting.refit} returns on all returns so far"
    return f"returns to {first}, once"


def expand(
    models: Iterable[str], overlays: Iterable[str] = (), decay: float = 0.97, window: float = 500
) -> tuple[RateModel, ...]:
    """Models by their names, each also under each set of tools.

    Args:
        models: names as :func:`margin.backtests.models.parse_model` reads them, or comma lists of them; ``all`` for
            every family, as quantile and as expected shortfall.
        overlays: sets of tools joined by ``+``, or comma lists of them; ``all`` for each tool that needs no number on
            its own. Every model then stands in the result without tools and with each set.
        decay: lambda where a name has none.
        window: window where a name has none.

    Raises:
        ConfigError: an unknown model or tool, or a value that does not fit.
    """
    parse_model("fhs", decay, window)  # both defaults must do, used or not
    names = [part for text in models for part in text.split(",")]
    every = [*FAMILIES, *(f"{family}_es" for family in FAMILIES if family != "flat")]
    names = [name for text in names for name in (every if text.strip() == "all" else [text])]
    sets = [part.strip() for text in overlays for part in text.split(",")]
    each = [tool for tool in TOOLS if tool != "cap"]
    sets = [name for text in sets for name in (each if text == "all" else [text])]
    tools = [parse_tools(text.split("+")) for text in sets if text != "none"]
    plain = [parse_model(name, decay, window) for name in names]
    found = [
        one for model in plain for one in (model, *(replace(model, tools=stack) for stack in tools if not model.tools))
    ]
    return tuple(dict.fromkeys(found))


def backtest(
    series: Series,
    models: Sequence[RateModel],
    setting: Setting = Setting(),  # noqa: B008  (frozen)
    start: str | None = None,
    end: str | None = None,
) -> Backtest:
    """Backtest models on a series.

    Args:
        series: the prices.
        models: from :func:`expand`.
        setting: confidence, horizon, side and so on; its ``first`` is set by the dates.
        start: first date of the window; default the first on which every model can be computed.
        end: last date of the window; default the last of the series.

    Raises:
        ConfigError: the window does not fit the series or a model.
    """
    returns = series.returns
    _check(setting, models)
    if not returns.any():
        raise ConfigError.of(
            f"--column {series.column}", float(series.prices[0]), "prices that move", file=series.source
        )
    first, last = _window(series, models, setting, start, end)
    setting = replace(setting, first=first)
    measured = tuple(_measure(model, series, returns, setting, last) for model in models)
    table = [[_worst_if_none(one.figures[key]) for key in OBJECTIVES] for one in measured]
    dominated = {
        one.model.name: measured[by].model.name for one, by in zip(measured, dominating(table), strict=True) if by >= 0
    }
    return Backtest(series, setting, series.dates[first + 1 : last + 1], returns[first:last], measured, dominated)


def _worst_if_none(value: float | None) -> float:
    return math.inf if value is None else value


def _check(setting: Setting, models: Sequence[RateModel]) -> None:
    if not 0.5 < setting.confidence < 1.0:
        raise ConfigError.of("--confidence", setting.confidence, "a number above 0.5 and below 1")
    if not models:
        raise ConfigError.of("--model", "", "at least one model")
    for key, value, least in (("--horizon", setting.days, 1), ("--refit", setting.refit, 0)):
        if value < least:
            raise ConfigError.of(key, value, f"a whole number, at least {least}")
    if setting.lookback < 2:
        raise ConfigError.of("--lookback", setting.lookback, "a whole number of returns, at least 2")


def _a_date(key: str, text: str) -> str:
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        raise ConfigError.of(key, text, "a date, YYYY-MM-DD") from None


def _window(
    series: Series, models: Sequence[RateModel], setting: Setting, start: str | None, end: str | None
) -> tuple[int, int]:
    """First return of the window, and the first one after it."""
    total = len(series.dates) - 1
    days = series.dates[1:]
    needed = {model: needed_returns(model, setting) for model in models}
    hungriest = max(needed, key=lambda model: needed[model])
    most = needed[hungriest]
    last = total
    if end is not None:
        last = sum(day <= _a_date("--end", end) for day in days)
    if start is None:
        first = most
        if first >= total:
            allowed = f"a series of more than {most} returns, which {hungriest.name} needs before its first margin"
            raise ConfigError.of(_key_of(hungriest), f"{total} returns", allowed, file=series.source)
    else:
        chosen = _a_date("--start", start)
        if end is not None and chosen > _a_date("--end", end):
            raise ConfigError.of("--start", start, f"a date that is not after --end ({end})")
        first = sum(day < chosen for day in days)
        if first >= total:
            raise ConfigError.of("--start", start, f"a date that the series covers, to {days[-1]}", file=series.source)
        if first < most:
            after = f"a date from {days[most]}" if most < total else f"a series of more than {most} returns"
            allowed = f"{after}: {hungriest.name} needs {most} returns before the window, there are {first}"
            raise ConfigError.of("--start", start, allowed, file=series.source)
    if last - first < setting.days:
        begin = days[first]
        raise ConfigError.of(
            "--end", end or days[-1], f"a date that leaves at least one period from {begin}", file=series.source
        )
    return first, last


def _key_of(model: RateModel) -> str:
    return "--window" if model.window is not None else "PRICES"


def _measure(model: RateModel, series: Series, returns: np.ndarray, setting: Setting, last: int) -> Measured:
    first, p = setting.first, setting.promised
    path = calculated(model, returns, setting)
    multiple = normal_multiple(setting.confidence, model.measure) * setting.horizon
    margin = apply_tools(path.margin, model.tools, returns, multiple, setting.lookback)[first:last]
    loss = _losses(returns[:last], setting)
    starts = np.arange(first, last - setting.days + 1, setting.days)
    losses, held = loss[starts], margin[starts - first]
    hits = losses > held
    days = series.dates[1:]
    scored = path.variance is not None and bool(np.all(path.variance[first:last] > 0.0))
    scores = qlike_losses(path.variance[first:last], returns[first:last] ** 2) if scored else None  # type: ignore[index]
    figures = _figures(model, margin, losses - held, hits, [days[i] for i in starts.tolist()], p)
    figures["qlike"] = None if scores is None else float(scores.mean())
    figures["garch"] = _garch(path)
    return Measured(model, margin, hits, _plain(figures), scores)


def _losses(returns: np.ndarray, setting: Setting) -> np.ndarray:
    """Loss of one unit over the period that begins with each return."""
    sums = horizon_losses(returns, setting.weights)
    return {"long": -sums, "short": sums, "both": np.abs(sums)}[setting.side]


def _figures(
    model: RateModel, margin: np.ndarray, excess: np.ndarray, hits: np.ndarray, days: Sequence[str], p: float
) -> dict[str, Any]:
    x, n = int(hits.sum()), len(hits)
    width = min(BASEL_WINDOW, n)
    most, at = worst_window(hits, width)
    worst = int(np.argmax(excess))
    return {
        "name": model.name,
        "family": model.family,
        "measure": model.measure,
        "overlays": [tool.name for tool in model.tools],
        "mean_margin": float(margin.mean()),
        "observations": n,
        "exceedances": x,
        "exceedance_rate": x / n,
        "kupiec": _test(kupiec(x, n, p)),
        "independence": _test(independence(hits)),
        "conditional_coverage": _test(conditional_coverage(hits, p)),
        "traffic_light": {
            "last": asdict(traffic_light(int(hits[n - width :].sum()), width, p)),
            "worst": asdict(traffic_light(most, width, p)) | {"last_date": days[at]},
        },
        "worst_shortfall": max(float(excess[worst]), 0.0),
        "worst_shortfall_date": days[worst] if excess[worst] > 0.0 else None,
        "mean_shortfall": float(excess[hits].mean()) if x else 0.0,
        "smallest_margin": float(margin.min()),
        "largest_margin": float(margin.max()),
        "peak_to_trough": peak_to_trough(margin),
        "increases": {str(k): largest_increase(margin, k) for k in DAYS},
        "calls": {str(k): largest_call(margin, k) for k in DAYS},
        "volatility_of_margin": volatility_of_margin(margin),
    }


def _test(test: LikelihoodRatio) -> dict[str, Any]:
    return asdict(test) | {"accepted": test.accepted}


def _garch(path: Path) -> dict[str, Any] | None:
    if path.fit is None:
        return None
    fit = asdict(path.fit) | {"persistence": path.fit.persistence}
    return fit | {"tail_index": _tail_index(path.fit)}


def _tail_index(fit: GarchFit) -> float | None:
    """Of a symmetric fit that reacts to returns; None where there is none."""
    if fit.gamma != 0.0 or fit.alpha <= 1e-9 or fit.persistence > 1.0:
        return None
    return tail_index(fit.alpha, fit.beta)


def _plain(value: Any) -> Any:
    """Numbers that are not finite become None, as JSON has none."""
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def forecast_scores(test: Backtest) -> list[dict[str, Any]]:
    """The volatility forecasts among the models, best first, each tested against the best (Diebold and Mariano).

    Models that share a forecast (an EWMA and its filtered historical simulation) appear once.
    """
    scored: dict[str, np.ndarray] = {}
    for one in test.models:
        if one.losses is not None:
            family = one.model.family if one.model.family in ("garch", "gjr") else "ewma"
            name = family if one.model.decay is None else f"{family}:{one.model.decay:g}"
            scored.setdefault(name, one.losses)
    ranked = sorted(scored, key=lambda name: float(scored[name].mean()))
    best = scored[ranked[0]] if ranked else np.zeros(0)
    found = []
    for name in ranked:
        test_of = None if name == ranked[0] else _plain(asdict(diebold_mariano(scored[name], best)))
        found.append({"name": name, "qlike": float(scored[name].mean()), "against_best": test_of})
    return found
