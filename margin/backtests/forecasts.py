"""Volatility forecasts over a series of returns, and their scores out of sample.

A forecast is a variance per return: element ``i`` forecasts ``returns[i]`` from ``returns[:i]`` alone. Parameters of a
GARCH are fitted by maximum likelihood on the returns before a window, never on the window itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from margin.volatility import WARM_UP, recursion
from sim.errors import ConfigError


@dataclass(frozen=True, slots=True)
class GarchFit:
    """A zero-mean normal GARCH(1,1), with the asymmetric term of Glosten, Jagannathan and Runkle (1993) if gamma > 0.

    ``variance = omega + (alpha + gamma [r < 0]) r^2 + beta variance``

    Attributes:
        omega: constant, squared log return.
        alpha: weight of the last squared return.
        gamma: additional weight where the last return is negative.
        beta: weight of the last variance.
    """

    omega: float
    alpha: float
    gamma: float
    beta: float

    @property
    def persistence(self) -> float:
        """Share of a deviation from the long-run variance that is left after one period."""
        return self.alpha + 0.5 * self.gamma + self.beta

    @property
    def long_run_variance(self) -> float:
        """Unconditional variance per period; infinite where the process is not stationary."""
        return self.omega / (1.0 - self.persistence) if self.persistence < 1.0 else math.inf


def as_returns(returns: npt.ArrayLike, least: int = WARM_UP) -> np.ndarray:
    """Returns as float64[n].

    Raises:
        ConfigError: there are fewer than ``least``, or one is not finite.
    """
    series = np.asarray(returns, float)
    if series.ndim != 1 or len(series) < least or not np.all(np.isfinite(series)):
        raise ConfigError.of("returns", f"{series.size} values", f"at least {least} finite returns")
    return series


def ewma_variance(returns: npt.ArrayLike, decay: float) -> np.ndarray:
    """Forecasts of an exponentially weighted average of squared returns, started by the mean of the first 250.

    Args:
        returns: float64[n], log returns, oldest first, n >= 250.
        decay: lambda per return, in (0, 1).

    Returns:
        float64[n], variances.

    Reference:
        RiskMetrics Technical Document, J.P. Morgan (1996), section 5.3.
    """
    series = as_returns(returns)
    if not 0.0 < decay < 1.0:
        raise ConfigError.of("lambda", decay, "a number above 0 and below 1")
    return recursion(series, 0.0, 1.0 - decay, decay, float(np.mean(series[:WARM_UP] ** 2)))[:-1]


def fit_garch(returns: npt.ArrayLike, asymmetric: bool = False) -> GarchFit:
    """Maximum likelihood fit of a zero-mean normal GARCH(1,1) or GJR-GARCH(1,1) (the ``arch`` package).

    Args:
        returns: float64[n], log returns, oldest first, n >= 250.
        asymmetric: True for the GJR form.

    Raises:
        ConfigError: too few returns, or no convergence.
    """
    series = np.ascontiguousarray(as_returns(returns))
    return _fitted(series.tobytes(), asymmetric)


_STARTS = ((0.05, 0.90), (0.10, 0.80), (0.03, 0.95), (0.20, 0.60), (0.01, 0.50))  # alpha, beta where a fit fails


@lru_cache(maxsize=256)
def _fitted(data: bytes, asymmetric: bool) -> GarchFit:
    from arch import arch_model

    series = np.frombuffer(data)
    if not series.any():
        raise ConfigError.of("returns", "all zero", "returns that move, to fit a GARCH to")
    model: Any = arch_model(
        100.0 * series, mean="Zero", vol="GARCH", p=1, o=int(asymmetric), q=1, dist="normal", rescale=False
    )
    variance = float(np.mean((100.0 * series) ** 2))
    fit = model.fit(disp="off", show_warning=False)
    if fit.convergence_flag != 0:
        # a flat likelihood stops the optimiser; another start may not
        extra = (0.0,) if asymmetric else ()
        starts = [np.array([variance * (1.0 - a - b), a, *extra, b]) for a, b in _STARTS]
        fits = [model.fit(disp="off", show_warning=False, starting_values=start) for start in starts]
        converged = [one for one in fits if one.convergence_flag == 0]
        if not converged:
            allowed = "a series on which a GARCH(1,1) converges, such as one with a longer time before the window"
            raise ConfigError.of("returns", f"{len(series)} returns", allowed)
        fit = max(converged, key=lambda one: float(one.loglikelihood))
    values = {name: float(fit.params[name]) for name in fit.params.index}
    return GarchFit(values["omega"] / 1e4, values["alpha[1]"], values.get("gamma[1]", 0.0), values["beta[1]"])


def garch_variance(returns: npt.ArrayLike, fit: GarchFit) -> np.ndarray:
    """Forecasts of a fitted GARCH, started by the mean of the first 250 squared returns; float64[n]."""
    series = as_returns(returns)
    start = float(np.mean(series[:WARM_UP] ** 2))
    if fit.gamma == 0.0:
        return recursion(series, fit.omega, fit.alpha, fit.beta, start)[:-1]
    variance = [start]
    for change in series[:-1].tolist():
        weight = fit.alpha + (fit.gamma if change < 0.0 else 0.0)
        variance.append(fit.omega + weight * change * change + fit.beta * variance[-1])
    return np.array(variance)


def refitted_garch_variance(
    returns: npt.ArrayLike, first: int, refit: int, asymmetric: bool = False
) -> tuple[np.ndarray, GarchFit]:
    """Forecasts of a GARCH whose parameters only ever come from returns before those that they forecast.

    Args:
        returns: float64[n], log returns.
        first: first return of the window; the parameters are fitted on ``returns[:first]``.
        refit: returns between fits on all returns so far, 0 for the one fit before the window.
        asymmetric: True for the GJR form.

    Returns:
        The variances, float64[n] (before ``first``: of the first fit), and the last fit.
    """
    series = as_returns(returns)
    fit = fit_garch(as_returns(series[:first]), asymmetric)
    variance = garch_variance(series, fit)
    if refit > 0:
        for begin in range(first + refit, len(series), refit):
            fit = fit_garch(series[:begin], asymmetric)
            variance[begin:] = garch_variance(series, fit)[begin:]
    return variance, fit


def horizon_variance(next_variance: npt.ArrayLike, periods: int, fit: GarchFit | None = None) -> np.ndarray:
    """Expected variance of the sum of the next returns.

    Args:
        next_variance: forecast for the next return.
        periods: number of returns, at least 1.
        fit: GARCH whose variance reverts to its long run; None for an EWMA, whose forecast is flat.

    Returns:
        float64, the sum of the forecasts of ``periods`` returns.
    """
    near = np.asarray(next_variance, float)
    if fit is None or fit.persistence >= 1.0:
        return near * periods
    reached = (1.0 - fit.persistence**periods) / (1.0 - fit.persistence)
    return fit.long_run_variance * periods + (near - fit.long_run_variance) * reached


def qlike_losses(forecast_variance: npt.ArrayLike, realised_variance: npt.ArrayLike) -> np.ndarray:
    """Quasi-likelihood loss of each forecast, ``ln h + r / h``: smaller is better, robust to noise in ``r``.

    Reference:
        Patton (2011), Volatility forecast comparison using imperfect volatility proxies, J. Econometrics 160.
    """
    forecast, realised = np.asarray(forecast_variance, float), np.asarray(realised_variance, float)
    if forecast.shape != realised.shape or forecast.size == 0:
        raise ConfigError.of("qlike", f"{forecast.size} and {realised.size} values", "as many forecasts as outcomes")
    if not (np.all(np.isfinite(forecast)) and np.all(forecast > 0.0)):
        raise ConfigError.of("qlike", "forecast variance", "finite variances above 0")
    if not (np.all(np.isfinite(realised)) and np.all(realised >= 0.0)):
        raise ConfigError.of("qlike", "realised variance", "finite variances, none negative")
    return np.log(forecast) + realised / forecast


def qlike(forecast_variance: npt.ArrayLike, realised_variance: npt.ArrayLike) -> float:
    """Mean quasi-likelihood loss, ``mean(ln h + r / h)``.

    Args:
        forecast_variance: float64[n], forecasts h > 0.
        realised_variance: float64[n], outcomes r >= 0, such as squared returns.

    Examples:
        >>> qlike([1.0, 1.0], [1.0, 0.0]) < qlike([2.0, 2.0], [1.0, 0.0])
        True
    """
    return float(np.mean(qlike_losses(forecast_variance, realised_variance)))


@dataclass(frozen=True, slots=True)
class LossDifference:
    """Diebold-Mariano test of equal expected loss.

    Attributes:
        mean: mean loss of the first less that of the second; negative where the first forecasts better.
        statistic: mean over its standard error; standard normal under equal expected loss.
        p_value: two-sided.
    """

    mean: float
    statistic: float
    p_value: float


def diebold_mariano(first: npt.ArrayLike, second: npt.ArrayLike, lags: int | None = None) -> LossDifference:
    """Test whether two forecasts have the same expected loss, with a Newey-West standard error.

    Args:
        first: float64[n], losses of one forecast, such as :func:`qlike_losses`.
        second: float64[n], losses of the other.
        lags: autocovariances that count; default ``floor(4 (n / 100)^(2/9))``.

    Reference:
        Diebold and Mariano (1995), Comparing predictive accuracy, J. Business and Economic Statistics 13.
    """
    from scipy.stats import norm

    gap = np.asarray(first, float) - np.asarray(second, float)
    n = len(gap)
    kept = int(4 * (n / 100.0) ** (2.0 / 9.0)) if lags is None else lags
    mean = float(gap.mean())
    centred = gap - mean
    variance = float(centred @ centred) / n
    for lag in range(1, min(kept, n - 1) + 1):
        variance += 2.0 * (1.0 - lag / (kept + 1.0)) * float(centred[lag:] @ centred[:-lag]) / n
    if variance <= 0.0:
        return LossDifference(mean, math.nan, math.nan)
    statistic = mean / math.sqrt(variance / n)
    return LossDifference(mean, statistic, float(2.0 * norm.sf(abs(statistic))))
