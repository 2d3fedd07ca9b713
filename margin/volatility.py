"""Volatility estimators: recursions, memory, and their calibration on a price series.

Both estimators are one recursion per sample of the mark, ``variance = omega + alpha r^2 + beta variance``:

* EWMA (RiskMetrics Technical Document, 1996): ``omega = 0``, ``alpha = 1 - lambda``, ``beta = lambda``. The half-life
  in samples is ``ln(1/2) / ln(lambda)``: 11.2, 22.8 and 69.0 samples for lambda = 0.94, 0.97 and 0.99.
* GARCH(1,1) (Bollerslev 1986): ``alpha + beta < 1``, long-run variance ``omega / (1 - alpha - beta)``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from margin.kernels.columns import P_ALPHA, P_BETA, P_OMEGA, P_PRIOR, S_LOG_MARK, S_SAMPLES, S_VARIANCE
from sim.errors import ConfigError
from sim.kernels.realmath import ln, power

WARM_UP = 250  # first squared returns, whose mean starts a recursion over a series
_DIGITS = 6  # of stored calibrated parameters: optimisers differ beyond


def decay_of_half_life(half_life: float) -> float:
    """The EWMA's lambda per sample for a half-life in samples, ``2**(-1 / half_life)``.

    Examples:
        >>> round(decay_of_half_life(22.76), 3)
        0.97
    """
    return float(power(0.5, 1.0 / half_life))


def half_life_of_decay(decay: float) -> float:
    """The half-life in samples of an EWMA's lambda.

    Examples:
        >>> [round(half_life_of_decay(decay), 1) for decay in (0.94, 0.97, 0.99)]
        [11.2, 22.8, 69.0]
    """
    return float(ln(0.5) / ln(decay))


def observe(params: np.ndarray, memory: np.ndarray, log_mark: np.ndarray) -> None:
    """Feed a sample of the log mark to the variance of all contracts: the readable form of the compiled sampler.

    An EWMA that starts from a guess may count the guess as ``initial_samples`` samples: its n-th sample then weighs
    ``max(1 - lambda, 1 / (initial_samples + n))``, as in an average, until the exponential weights are reached.

    Args:
        params: float64[C, K], columns of :mod:`margin.kernels.columns`.
        memory: float64[C, K], mutated.
        log_mark: float64[C].
    """
    change = log_mark - memory[:, S_LOG_MARK]
    memory[:, S_LOG_MARK] = log_mark
    memory[:, S_SAMPLES] += 1.0
    averaging = params[:, P_PRIOR] > 0.0
    least = 1.0 / np.where(averaging, params[:, P_PRIOR] + memory[:, S_SAMPLES], 1.0)
    alpha = np.where(averaging, np.maximum(params[:, P_ALPHA], least), params[:, P_ALPHA])
    beta = np.where(averaging, 1.0 - alpha, params[:, P_BETA])
    memory[:, S_VARIANCE] = params[:, P_OMEGA] + alpha * (change * change) + beta * memory[:, S_VARIANCE]


def recursion(returns: npt.ArrayLike, omega: float, alpha: float, beta: float, start: float) -> np.ndarray:
    """Variance forecasts of a recursion over returns.

    Args:
        returns: float64[n], log returns.
        omega: constant.
        alpha: weight of the last squared return.
        beta: weight of the last variance.
        start: variance before the first return.

    Returns:
        float64[n + 1]: element i uses returns[:i], so it forecasts returns[i].
    """
    variance = [float(start)]
    for change in np.asarray(returns, float).tolist():
        variance.append(omega + alpha * change * change + beta * variance[-1])
    return np.array(variance)


@dataclass(frozen=True, slots=True)
class Calibration:
    """Parameters found on a series, rounded to six significant digits so that they can be stored and repeated.

    Attributes:
        volatility: forecast after the last return, per square root of a sample.
        omega: of a GARCH(1,1) in squared log returns, 0 for an EWMA.
        alpha: of a GARCH(1,1), ``1 - lambda`` for an EWMA.
        beta: of a GARCH(1,1), lambda for an EWMA.
    """

    volatility: float
    omega: float
    alpha: float
    beta: float


def calibrate_ewma(returns: npt.ArrayLike, decay: float) -> Calibration:
    """Run an EWMA over a series; the mean of the first 250 squared returns starts it.

    Args:
        returns: float64[n], log returns, oldest first.
        decay: lambda per return.

    Raises:
        ConfigError: there are fewer than 250 returns.
    """
    series = _long_enough(returns)
    variance = recursion(series[WARM_UP:], 0.0, 1.0 - decay, decay, float(np.mean(series[:WARM_UP] ** 2)))[-1]
    return Calibration(_rounded(float(np.sqrt(variance))), 0.0, _rounded(1.0 - decay), _rounded(decay))


def calibrate_window(returns: npt.ArrayLike, size: int) -> Calibration:
    """Root mean square of the last returns of a series, the start of a historical window.

    Args:
        returns: float64[n], log returns, oldest first.
        size: returns that count.

    Raises:
        ConfigError: there are fewer than 250 returns, or fewer than ``size``.
    """
    series = _long_enough(returns)
    if len(series) < size:
        raise ConfigError.of("margin.params.calibrate", f"{len(series)} returns", f"at least {size}, a window")
    return Calibration(_rounded(float(np.sqrt(np.mean(series[-size:] ** 2)))), 0.0, 0.0, 0.0)


def calibrate_garch(returns: npt.ArrayLike) -> Calibration:
    """Fit a zero-mean normal GARCH(1,1) to log returns by maximum likelihood (the ``arch`` package).

    Args:
        returns: float64[n], log returns, oldest first.

    Raises:
        ConfigError: there are fewer than 250 returns, the fit does not converge, or it is not stationary.
    """
    series = _long_enough(returns)
    from arch import arch_model

    model = arch_model(100.0 * series, mean="Zero", vol="GARCH", p=1, q=1, dist="normal", rescale=False)
    fit = model.fit(disp="off", show_warning=False)
    omega, alpha, beta = (float(fit.params[name]) for name in ("omega", "alpha[1]", "beta[1]"))
    if fit.convergence_flag != 0 or not alpha + beta < 1.0:
        found = f"alpha + beta = {alpha + beta:.4f}"
        raise ConfigError.of("margin.params.calibrate", found, "a series on which a stationary GARCH(1,1) converges")
    forecast = float(fit.conditional_volatility[-1]) ** 2
    variance = (omega + alpha * (100.0 * float(series[-1])) ** 2 + beta * forecast) / 1e4
    return Calibration(_rounded(float(np.sqrt(variance))), _rounded(omega / 1e4), _rounded(alpha), _rounded(beta))


def _long_enough(returns: npt.ArrayLike) -> np.ndarray:
    series = np.asarray(returns, float)
    if series.ndim != 1 or len(series) < WARM_UP or not np.all(np.isfinite(series)):
        raise ConfigError.of("margin.params.calibrate", f"{series.size} returns", f"at least {WARM_UP} finite returns")
    return series


def _rounded(value: float) -> float:
    return float(f"{value:.{_DIGITS}g}")
