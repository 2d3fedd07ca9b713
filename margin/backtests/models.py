"""Rate models over a price series: what one unit must be margined with on each day, from earlier days alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from margin.backtests.forecasts import GarchFit, ewma_variance, refitted_garch_variance
from margin.backtests.overlays import Tool, parse_tools
from margin.backtests.tails import (
    Measure,
    horizon_losses,
    liquidation_weights,
    rolling_tail,
)
from margin.historical import normal_multiple, tail_probability
from margin.volatility import WARM_UP
from sim.errors import ConfigError

Side = Literal["long", "short", "both"]
Scaling = Literal["sqrt", "linear", "overlapping"]

FAMILIES = {
    "ewma": "normal quantile x EWMA volatility",
    "garch": "normal quantile x GARCH(1,1) volatility",
    "gjr": "normal quantile x GJR-GARCH(1,1) volatility, which rises more after losses",
    "hs": "quantile of the last returns",
    "fhs": "quantile of the last returns over their own EWMA volatility, x today's volatility",
    "fhs_rescaled": "quantile of the last returns, each rescaled to today's volatility (Hull and White)",
    "flat": "one rate; the normal quantile x volatility before the window unless given",
}
_DECAYING, _WINDOWED = ("ewma", "fhs", "fhs_rescaled"), ("hs", "fhs", "fhs_rescaled")
ES = "_es"


@dataclass(frozen=True, slots=True)
class RateModel:
    """A rate model and the anti-procyclicality tools put on it.

    Attributes:
        family: a key of ``FAMILIES``.
        measure: quantile (``"var"``) or expected shortfall (``"es"``).
        decay: lambda per day of the EWMA, where the family has one.
        window: returns of the sample, where the family has one.
        rate: of ``flat``; None for one computed from the returns before the window.
        tools: anti-procyclicality tools.
    """

    family: str
    measure: Measure = "var"
    decay: float | None = None
    window: int | None = None
    rate: float | None = None
    tools: tuple[Tool, ...] = ()

    @property
    def name(self) -> str:
        """As :func:`parse_model` reads it: ``fhs_es:0.97/500+floor``."""
        numbers = [f"{value:g}" for value in (self.rate, self.decay, self.window) if value is not None]
        stem = self.family + (ES if self.measure == "es" else "")
        stem += ":" + "/".join(numbers) if numbers else ""
        return "+".join([stem, *(tool.name for tool in self.tools)])


def parse_model(text: str, decay: float = 0.97, window: float = 500) -> RateModel:
    """A model from its name.

    ``FAMILY[_es][:NUMBERS][+TOOL...]``: numbers below 1 are lambda (for ``flat`` the rate), others the window,
    separated by ``/``; tools as :func:`margin.backtests.overlays.parse_tool` reads them.

    Args:
        text: such as ``ewma``, ``ewma:0.94``, ``fhs:0.97/500``, ``hs_es:250``, ``flat:0.05``, ``ewma:0.97+floor``.
        decay: lambda where the text has none.
        window: window where the text has none.

    Raises:
        ConfigError: an unknown family or tool, or a number that does not fit.

    Examples:
        >>> parse_model("fhs").name, parse_model("hs_es:250+cap=0.1").name
        ('fhs:0.97/500', 'hs_es:250+cap=0.1')
    """
    stem, *tools = text.strip().split("+")
    head, _, tail = stem.partition(":")
    measure: Measure = "es" if head.endswith(ES) else "var"
    family = head.removesuffix(ES)
    if family not in FAMILIES or (family == "flat" and measure == "es"):
        known = [*FAMILIES, *(key + ES for key in FAMILIES if key != "flat")]
        raise ConfigError.of("--model", text, "one of all, " + ", ".join(known))
    given: dict[str, float] = {}
    for part in tail.split("/") if tail else []:
        key = _number_key(text, part, family)
        if key in given:
            raise ConfigError.of("--model", text, f"one {key}")
        given[key] = float(part)
    return RateModel(
        family,
        measure,
        decay=_fraction("--lambda", given.get("lambda", decay)) if family in _DECAYING else None,
        window=_whole("--window", given.get("window", window)) if family in _WINDOWED else None,
        rate=given.get("rate"),
        tools=parse_tools(tools),
    )


def _number_key(text: str, part: str, family: str) -> str:
    try:
        value = float(part)
    except ValueError:
        value = math.nan
    kind = "rate" if family == "flat" else "lambda" if value < 1.0 else "window"
    allowed = {"lambda": family in _DECAYING, "window": family in _WINDOWED, "rate": 0.0 < value <= 1.0}
    if not (value > 0.0 and math.isfinite(value)) or not allowed[kind]:
        takes = [word for word, ok in (("lambda below 1", family in _DECAYING), ("window", family in _WINDOWED)) if ok]
        takes = ["a rate up to 1"] if family == "flat" else takes
        raise ConfigError.of("--model", text, f"{family} with {' and '.join(takes) or 'no number'}")
    return kind


def _fraction(key: str, value: float) -> float:
    if not 0.0 < value < 1.0:
        raise ConfigError.of(key, value, "a number above 0 and below 1")
    return float(value)


def _whole(key: str, value: float) -> int:
    if not value >= 2.0 or value != int(value):
        raise ConfigError.of(key, value, "a whole number of returns, at least 2")
    return int(value)


@dataclass(frozen=True, slots=True)
class Setting:
    """What all models of a backtest share.

    Attributes:
        confidence: such as 0.99.
        days: margin period of risk.
        scaling: how a day's rate becomes one over the period: root of time (all held to the end), root of the linear
            liquidation's effective time, or overlapping returns over the period for models with a window.
        side: of the position; ``"both"`` margins the worse tail and counts losses of a long or a short.
        first: first return of the window; parameters are fitted before it.
        refit: returns between fits, 0 for the one fit before the window.
        lookback: returns of the tools' ten years.
    """

    confidence: float = 0.99
    days: int = 1
    scaling: Scaling = "sqrt"
    side: Side = "long"
    first: int = 0
    refit: int = 0
    lookback: int = 2500

    @property
    def promised(self) -> float:
        """Rate of exceedances that the confidence promises, that of two tails for both sides."""
        return tail_probability(self.confidence) * (2.0 if self.side == "both" else 1.0)

    @property
    def weights(self) -> np.ndarray:
        """Part of the position held on each day of the period, float64[days]."""
        return liquidation_weights(self.days, self.scaling == "linear")

    @property
    def horizon(self) -> float:
        """What a daily volatility is multiplied by."""
        return math.sqrt(float(np.sum(self.weights**2)))


@dataclass(frozen=True, slots=True)
class Path:
    """A model along a series.

    Attributes:
        margin: float64[n], of one unit on the day of ``returns[i]``, known the day before; NaN while the model has too
            few returns.
        variance: float64[n], forecast of the model's volatility, or None for a model that has none.
        fit: last GARCH fit, where there is one.
    """

    margin: np.ndarray
    variance: np.ndarray | None = None
    fit: GarchFit | None = None


def needed_returns(model: RateModel, setting: Setting) -> int:
    """Returns before the window without which the model, tools included, cannot be computed."""
    least = 0 if model.family == "hs" or model.rate is not None else WARM_UP
    if model.window is not None:
        least = max(least, model.window + (setting.days - 1 if setting.scaling == "overlapping" else 0))
    return max([least, *(tool.needed_returns(least, setting.lookback) for tool in model.tools)])


def calculated(model: RateModel, returns: np.ndarray, setting: Setting) -> Path:
    """The rate before tools.

    Args:
        model: the model.
        returns: float64[n], daily log returns, oldest first.
        setting: confidence, horizon, side and the first return of the window.
    """
    multiple = normal_multiple(setting.confidence, model.measure) * setting.horizon
    if model.family == "hs":
        return Path(_empirical(model, returns, np.ones(len(returns)), setting))
    if model.family == "flat":
        rate = model.rate
        if rate is None:
            rate = multiple * math.sqrt(float(np.mean(returns[: setting.first] ** 2)))
        return Path(np.full(len(returns), rate))
    if model.family in ("garch", "gjr"):
        variance, fit = refitted_garch_variance(returns, setting.first, setting.refit, model.family == "gjr")
        return Path(multiple * np.sqrt(variance), variance, fit)
    assert model.decay is not None
    variance = ewma_variance(returns, model.decay)
    volatility = np.sqrt(variance)
    if model.family == "ewma":
        return Path(multiple * volatility, variance)
    return Path(_empirical(model, returns, volatility, setting), variance)


def _empirical(model: RateModel, returns: np.ndarray, volatility: np.ndarray, setting: Setting) -> np.ndarray:
    """Tail of the last ``window`` returns, standardised by ``volatility``, times the volatility of the day.

    Over overlapping periods ``fhs`` divides a period's return by the volatility at its start, ``fhs_rescaled`` each
    day's return by its own; over one day the two are the same.
    """
    assert model.window is not None
    if setting.scaling != "overlapping" or setting.days == 1:
        sample, factor, lag = returns / volatility, setting.horizon, 0
    else:
        scale = volatility if model.family == "fhs_rescaled" else None
        sums = horizon_losses(returns, setting.weights, scale)
        lag = setting.days - 1
        sample = sums if scale is not None else sums / volatility
        sample = np.concatenate([np.full(lag, np.nan), sample[: len(sample) - lag]])  # by the period's last day
        factor = 1.0
    tails = []
    if setting.side != "short":
        tails.append(rolling_tail(sample, model.window, tail_probability(setting.confidence), model.measure))
    if setting.side != "long":
        tails.append(rolling_tail(-sample, model.window, tail_probability(setting.confidence), model.measure))
    return np.maximum(np.max(tails, axis=0), 0.0) * factor * volatility
