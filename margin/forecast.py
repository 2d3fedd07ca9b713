"""Forward-looking volatility: what the mark is expected to move over the margin period, not what it moved of late.

An asymmetric GARCH (Glosten, Jagannathan & Runkle 1993, Journal of Finance 48:1779-1801) whose long-run level is not a
constant but a slow exponential average ``s`` of squared returns, so that it needs no quiet decade to be right:

    v' = (1 - p) s + (alpha + gamma [r < 0]) r^2 + beta v,   p = alpha + gamma / 2 + beta,
    s' = d s + (1 - d) r^2.

Over the n samples of the horizon the expected variance falls from v back to s at the rate p, so its mean is

    w v + (1 - w) s,   w = (1 - p^n) / (n (1 - p)).

A plain EWMA has p = 1: it forecasts today's level for ever.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from pydantic import Field, model_validator

from margin.durations import Duration, in_steps, in_whole_steps
from margin.kernels.columns import (
    P_ALPHA,
    P_ANCHOR,
    P_BETA,
    P_FACTOR,
    P_GAMMA,
    P_MEAN,
    P_RATES,
    P_RATIO,
    P_SAMPLE,
    P_UPDATE,
    P_VARIANCE,
    S_ANCHOR,
    S_LOG_MARK,
    S_SAMPLES,
    S_STARTED,
    S_VARIANCE,
    VOLATILITY,
)
from margin.parameters import Positive, PositivePerContract, RatePerContract, per_contract
from margin.procyclicality import OverlayParameters, write_overlays
from sim.contracts import ContractTable
from sim.errors import ConfigError
from sim.interfaces import MarketView
from sim.kernels.realmath import normal_quantile, power


class ForecastParameters(OverlayParameters):
    """Rates that follow the volatility forecast over the horizon.

    The initial rate is ``quantile x sqrt(n x mean expected variance per sample)``, with n samples in the horizon.
    """

    alpha: float = Field(0.0, ge=0.0, lt=1.0, description="weight of the last squared return")
    gamma: float = Field(0.0, ge=0.0, lt=2.0, description="added weight of a squared fall")
    beta: float = Field(0.9, ge=0.0, lt=1.0, description="weight of the last variance")
    anchor_half_life: Duration = Field("69d", description="of the slow average that variance returns to")
    sample_interval: Duration = Field("10min", description="time between samples of the mark")
    update_interval: Duration | None = Field(None, description="time between updates of rates; default: each sample")
    horizon: Duration = Field("1d", description="margin period of risk")
    confidence: float | None = Field(None, gt=0.5, lt=1.0, description="normal confidence level")
    quantile: Positive | None = Field(None, description="multiple of sigma, instead of confidence")
    initial_rate: RatePerContract | None = Field(None, description="initial rate at the start, which implies sigma")
    initial_volatility: PositivePerContract | None = Field(
        None, description="volatility at the start, per square root of a trading day"
    )
    maintenance_ratio: float = Field(0.5, gt=0.0, le=1.0, description="maintenance over initial")

    @model_validator(mode="after")
    def _complete(self) -> ForecastParameters:
        for group in (("confidence", "quantile"), ("initial_rate", "initial_volatility")):
            if len([name for name in group if getattr(self, name) is not None]) != 1:
                raise ValueError("exactly one of " + ", ".join(group))
        if self.alpha + 0.5 * self.gamma + self.beta >= 1.0:
            raise ValueError("alpha + gamma / 2 + beta below 1")
        return self


def mean_weight(persistence: float, samples: float) -> float:
    """Weight of today's variance in its expected mean over the horizon, ``(1 - p^n) / (n (1 - p))``.

    Args:
        persistence: p, from 0 to below 1.
        samples: n, samples in the horizon; one or fewer forecast the next sample only.

    Examples:
        >>> [round(mean_weight(0.96, n), 3) for n in (1, 2, 10)]
        [1.0, 0.98, 0.838]
    """
    if samples <= 1.0:
        return 1.0
    return (1.0 - float(power(persistence, samples))) / (samples * (1.0 - persistence))


def write_forecast(table: np.ndarray, params: ForecastParameters, contracts: ContractTable) -> None:
    """Write the rate and overlay columns of ``model_params`` (see :func:`margin.rates.write_rates`)."""
    day, names = float(contracts.steps_per_day), contracts.names
    nominal, sample = in_steps(params.sample_interval, contracts), in_whole_steps(params.sample_interval, contracts)
    alpha, gamma, beta = params.alpha, params.gamma, params.beta
    persistence = alpha + 0.5 * gamma + beta
    weight = mean_weight(persistence, in_steps(params.horizon, contracts) / nominal)
    if nominal < 1.0:
        # a step of several samples: they are taken as alike, so m recursions are one
        together = float(power(beta, 1.0 / nominal)) if beta > 0.0 else 0.0
        times = (1.0 - together) / (1.0 - beta)
        alpha, gamma, beta = alpha * times, gamma * times, together
    elif abs(nominal - sample) > 1e-9 * sample:
        allowed = "a whole number of steps for a GARCH, whose parameters are per sample"
        raise ConfigError.of("margin.params.sample_interval", params.sample_interval, allowed)
    update = sample if params.update_interval is None else in_whole_steps(params.update_interval, contracts)
    horizon = in_steps(params.horizon, contracts)
    quantile = params.quantile if params.quantile is not None else float(normal_quantile(params.confidence))
    table[:, P_RATES] = VOLATILITY
    table[:, P_RATIO] = params.maintenance_ratio
    table[:, P_SAMPLE], table[:, P_UPDATE] = sample, update
    table[:, P_FACTOR] = quantile * np.sqrt(horizon / sample)
    table[:, P_ALPHA], table[:, P_GAMMA], table[:, P_BETA] = alpha, gamma, beta
    table[:, P_ANCHOR] = power(0.5, sample / in_steps(params.anchor_half_life, contracts))
    table[:, P_MEAN] = weight
    if params.initial_volatility is not None:
        start = per_contract("initial_volatility", params.initial_volatility, names) * np.sqrt(sample / day)
    else:
        assert params.initial_rate is not None
        start = per_contract("initial_rate", params.initial_rate, names) / table[:, P_FACTOR]
    table[:, P_VARIANCE] = start * start
    write_overlays(table, params, contracts, np.full(len(names), quantile * np.sqrt(horizon / day)), update)


def start_from_forecast(params: np.ndarray, memory: np.ndarray, market: MarketView) -> None:
    """Before the first publication, put a forecast that the market states in the place of the start; mutates memory."""
    stated = getattr(market, "daily_volatility", None)
    if stated is None or memory[0, S_STARTED] != 0.0:
        return
    per_day = market.contracts.steps_per_day / params[:, P_SAMPLE]  # type: ignore[attr-defined]
    variance = np.where(np.isfinite(stated), stated * stated / per_day, memory[:, S_VARIANCE])
    memory[:, S_VARIANCE] = memory[:, S_ANCHOR] = variance


def follow(params: np.ndarray, memory: np.ndarray, log_mark: np.ndarray) -> None:
    """Feed a sample of the log mark to both variances: the readable form of the compiled sampler.

    Args:
        params: float64[C, K], columns of :mod:`margin.kernels.columns`.
        memory: float64[C, K], mutated.
        log_mark: float64[C].
    """
    change = log_mark - memory[:, S_LOG_MARK]
    memory[:, S_LOG_MARK] = log_mark
    memory[:, S_SAMPLES] += 1.0
    square, anchor = change * change, memory[:, S_ANCHOR].copy()
    alpha, beta, gamma = params[:, P_ALPHA], params[:, P_BETA], params[:, P_GAMMA]
    news = alpha + np.where(change < 0.0, gamma, 0.0)
    persistence = alpha + 0.5 * gamma + beta
    memory[:, S_VARIANCE] = (1.0 - persistence) * anchor + news * square + beta * memory[:, S_VARIANCE]
    memory[:, S_ANCHOR] = params[:, P_ANCHOR] * anchor + (1.0 - params[:, P_ANCHOR]) * square


def expected_variance(params: np.ndarray, memory: np.ndarray) -> np.ndarray:
    """Variance per sample that rates go by: the last one, or its expected mean over the horizon; float64[C]."""
    weight, variance = params[:, P_MEAN], memory[:, S_VARIANCE]
    return np.where(weight > 0.0, weight * variance + (1.0 - weight) * memory[:, S_ANCHOR], variance)


def recursion(
    returns: npt.ArrayLike, alpha: float, gamma: float, beta: float, anchor_decay: float, start: float
) -> tuple[np.ndarray, np.ndarray]:
    """Both variances over a series of returns.

    Args:
        returns: float64[n], log returns, oldest first.
        alpha: weight of the last squared return.
        gamma: added weight of a squared fall.
        beta: weight of the last variance.
        anchor_decay: decay of the slow average per return.
        start: both variances before the first return.

    Returns:
        Fast and slow variance, float64[n + 1] each: element i uses returns[:i], so it forecasts returns[i].
    """
    fast, slow = [float(start)], [float(start)]
    rest = 1.0 - (alpha + 0.5 * gamma + beta)
    for change in np.asarray(returns, float).tolist():
        square = change * change
        news = alpha + (gamma if change < 0.0 else 0.0)
        fast.append(rest * slow[-1] + news * square + beta * fast[-1])
        slow.append(anchor_decay * slow[-1] + (1.0 - anchor_decay) * square)
    return np.array(fast), np.array(slow)
