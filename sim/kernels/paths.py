"""Exogenous price paths: every number a function of the seed, the step and the contract's own streams.

Paths are made once, before the run. Shapes: C contracts, T steps, D days; row t of a path is the state after t steps,
and the increment into row t is drawn with the key (seed, stream of the contract, t, 0). ``lower`` is the lower
triangular Cholesky factor of the contracts' correlation, so contract c depends only on contracts 0..c.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.keyed import normal, poisson, uniform
from sim.kernels.realmath import exp, ln

PURPOSE_DIFFUSION, PURPOSE_JUMP_SIZE, PURPOSE_JUMP_COUNT, PURPOSE_BRIDGE = 0, 1, 2, 3


@kernel()
def cholesky(matrix, lower):
    """Write the Cholesky factor of ``matrix`` into ``lower``; False if the matrix is not positive definite.

    Written out in a fixed order, because library factorisations differ in the last bits.
    """
    size = len(matrix)
    lower[:, :] = 0.0
    for i in range(size):
        for j in range(i + 1):
            rest = matrix[i, j]
            for k in range(j):
                rest -= lower[i, k] * lower[j, k]
            if i == j:
                if not rest > 1e-12:
                    return False
                lower[i, i] = np.sqrt(rest)
            else:
                lower[i, j] = rest / lower[j, j]
    return True


@kernel()
def _correlated(seed, streams, purpose, step, lower, free, out):
    """Standard normals of one step with the given correlation, into ``out``; ``free`` is work space."""
    for c in range(len(streams)):
        free[c] = normal(seed, streams[c] + purpose, step, 0)
        total = 0.0
        for k in range(c + 1):
            total += lower[c, k] * free[k]
        out[c] = total


@kernel()
def diffusion(seed, streams, lower, variance, alpha, beta, period, drift, factor, increments):
    """Log increments of correlated GARCH(1,1) diffusions; geometric Brownian motion is the case alpha = beta = 0.

    Over one period of ``period`` steps the variance h is constant and each step's return is
    sqrt(h / period) z; then h' = variance (1 - alpha - beta) + alpha R**2 + beta h with R the period's return
    (Bollerslev 1986, eq. 5). Each increment carries the compensator -h/2, so that prices grow by ``drift``.

    Args:
        seed: seed of the run.
        streams: int64[C], stream of each contract.
        lower: float64[C, C].
        variance: float64[C], mean variance per period.
        alpha: float64[C].
        beta: float64[C].
        period: steps per period.
        drift: float64[C], expected growth per step.
        factor: float64[T + 1], volatility multiplier of the increment into each step (scripted). It scales the
            increment and not R, so that after the script the path moves as it would have without it.
        increments: float64[T + 1, C], added to.
    """
    contracts = len(streams)
    free = np.empty(contracts)
    z = np.empty(contracts)
    h = variance.copy()
    total = np.zeros(contracts)
    for t in range(1, len(increments)):
        _correlated(seed, streams, PURPOSE_DIFFUSION, t, lower, free, z)
        for c in range(contracts):
            step_variance = h[c] / period
            shock = np.sqrt(step_variance) * z[c]
            total[c] += shock
            scaled = factor[t] * factor[t] * step_variance
            increments[t, c] += drift[c] - 0.5 * scaled + factor[t] * shock
        if t % period == 0:
            for c in range(contracts):
                h[c] = variance[c] * (1.0 - alpha[c] - beta[c]) + alpha[c] * total[c] * total[c] + beta[c] * h[c]
                total[c] = 0.0


@kernel()
def jumps(seed, streams, shared_stream, lower, intensity, mean, deviation, increments):
    """Add compound Poisson jumps with normal log sizes and their compensator (Merton 1976).

    Args:
        seed: seed of the run.
        streams: int64[C].
        shared_stream: stream of the counts that all contracts share, or -1 for counts of their own.
        lower: float64[C, C], correlation of the sizes.
        intensity: float64[C], expected jumps per step.
        mean: float64[C], mean log size.
        deviation: float64[C], standard deviation of the log size.
        increments: float64[T + 1, C], added to.
    """
    contracts = len(streams)
    free = np.empty(contracts)
    z = np.empty(contracts)
    compensator = np.empty(contracts)
    for c in range(contracts):
        compensator[c] = intensity[c] * (exp(mean[c] + 0.5 * deviation[c] * deviation[c]) - 1.0)
    for t in range(1, len(increments)):
        drawn = False
        for c in range(contracts):
            stream = shared_stream if shared_stream >= 0 else streams[c] + PURPOSE_JUMP_COUNT
            count = poisson(uniform(seed, stream, t, 0), intensity[c])
            increments[t, c] -= compensator[c]
            if count > 0:
                if not drawn:
                    _correlated(seed, streams, PURPOSE_JUMP_SIZE, t, lower, free, z)
                    drawn = True
                increments[t, c] += count * mean[c] + np.sqrt(float(count)) * deviation[c] * z[c]


@kernel()
def accumulate(initial, increments, value):
    """``value[t] = initial * exp(sum of increments[1..t])``; float64[T + 1, C]."""
    for c in range(value.shape[1]):
        level = 0.0
        value[0, c] = initial[c]
        for t in range(1, len(value)):
            level += increments[t, c]
            value[t, c] = initial[c] * exp(level)


@kernel()
def bridge(seed, streams, lower, closes, variance, steps_per_day, factor, value):
    """Correlated Brownian bridges in logs between closes.

    Within day d the log price is the straight line between two closes plus a bridge pinned to zero at both, of
    variance ``variance[d]`` per day. The bridge is drawn forwards, each step given the last: with m steps left,
    B' = B (m - 1) / m + sqrt((m - 1) / m) sqrt(variance / n) z. So a scripted factor on the noise changes nothing
    before it, and the closes never.

    Args:
        seed: seed of the run.
        streams: int64[C].
        lower: float64[C, C].
        closes: float64[D + 1, C], in ticks; hit exactly.
        variance: float64[D, C], per day.
        steps_per_day: steps per day, n.
        factor: float64[T + 1], volatility multiplier of the noise of each step.
        value: float64[T + 1, C], written.
    """
    contracts = len(streams)
    free = np.empty(contracts)
    z = np.empty(contracts)
    level = np.zeros(contracts)
    slope = np.zeros(contracts)
    for c in range(contracts):
        value[0, c] = closes[0, c]
    for t in range(1, len(value)):
        day = (t - 1) // steps_per_day
        done = t - day * steps_per_day
        if done == 1:
            for c in range(contracts):
                level[c] = 0.0
                slope[c] = ln(closes[day + 1, c] / closes[day, c]) / steps_per_day
        if done == steps_per_day:
            for c in range(contracts):
                value[t, c] = closes[day + 1, c]
            continue
        _correlated(seed, streams, PURPOSE_BRIDGE, t, lower, free, z)
        left = float(steps_per_day - done + 1)
        keep = (left - 1.0) / left
        for c in range(contracts):
            level[c] = level[c] * keep + factor[t] * np.sqrt(keep * variance[day, c] / steps_per_day) * z[c]
            value[t, c] = closes[day, c] * exp(slope[c] * done + level[c])


@kernel()
def daily_variance(closes, span, half_window, variance):
    """Variance of each day from the series' own scale, the mean over days equal to that of squared close returns.

    Half of it is the day's own: the squared log range over 4 ln 2 (Parkinson 1980), scaled so that its mean over days
    is that of squared returns, or the squared return itself where no range is known. The other half is the mean of
    squared returns over the ``half_window`` days on each side, so that a day that happened to close unchanged still
    moves.

    Args:
        closes: float64[D + 1, C].
        span: float64[D, C], high over low of the day, 0 in a column without ranges.
        half_window: days on each side.
        variance: float64[D, C], written.
    """
    days, contracts = variance.shape
    squares = np.empty(days)
    for c in range(contracts):
        total_square = 0.0
        total_own = 0.0
        for d in range(days):
            r = ln(closes[d + 1, c] / closes[d, c])
            squares[d] = r * r
            own = r * r
            if span[d, c] > 0.0:
                log_range = ln(span[d, c])
                own = log_range * log_range / 2.772588722239781  # 4 ln 2
            variance[d, c] = own
            total_square += squares[d]
            total_own += own
        scale = total_square / total_own if total_own > 0.0 else 0.0
        for d in range(days):
            total = 0.0
            first, last = max(0, d - half_window), min(days - 1, d + half_window)
            for k in range(first, last + 1):
                total += squares[k]
            variance[d, c] = 0.5 * scale * variance[d, c] + 0.5 * total / (last - first + 1)


@kernel()
def return_correlation(closes, matrix):
    """Correlation of daily log returns about zero into float64[C, C]; 0 where a series never moves."""
    days, contracts = len(closes) - 1, closes.shape[1]
    r = np.empty((days, contracts))
    for d in range(days):
        for c in range(contracts):
            r[d, c] = ln(closes[d + 1, c] / closes[d, c])
    for i in range(contracts):
        for j in range(contracts):
            cross, left, right = 0.0, 0.0, 0.0
            for d in range(days):
                cross += r[d, i] * r[d, j]
                left += r[d, i] * r[d, i]
                right += r[d, j] * r[d, j]
            norm = np.sqrt(left) * np.sqrt(right)
            matrix[i, j] = 1.0 if i == j else (cross / norm if norm > 0.0 else 0.0)


@kernel()
def scale_from(value, contract, step, log_size):
    """Multiply one contract's path from a step onwards by ``exp(log_size)``."""
    ratio = exp(log_size)
    for t in range(step, len(value)):
        value[t, contract] *= ratio


@kernel()
def log_activity(seed, stream, decay, deviation, activity):
    """Activity of mean one: the exponential of a sum of stationary Ornstein-Uhlenbeck processes, float64[T + 1].

    Args:
        seed: seed of the run.
        stream: stream; component k is index k.
        decay: float64[K], what is left of each component after one step, exp(-1 / time constant in steps).
        deviation: stationary standard deviation of each component.
        activity: written.
    """
    components = len(decay)
    level = np.empty(components)
    noise = np.empty(components)
    for k in range(components):
        level[k] = deviation * normal(seed, stream, 0, k)
        noise[k] = deviation * np.sqrt(1.0 - decay[k] * decay[k])
    shift = 0.5 * components * deviation * deviation
    for t in range(len(activity)):
        total = -shift
        for k in range(components):
            if t > 0:
                level[k] = level[k] * decay[k] + noise[k] * normal(seed, stream, t, k)
            total += level[k]
        activity[t] = exp(total)
