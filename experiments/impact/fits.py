"""Fits of impact curves: the exponent with its bootstrap interval, and models set against each other.

A curve is an array [seeds, sizes]: each seed's impact at each size, a mean over sides. Seeds are independent, sizes of
one seed are not, so seeds are what is resampled, all their sizes together (a cluster bootstrap).

Every model here is an amplitude times a function of size that has at most one shape parameter,

    I(q) = a f(q; s).

For a given shape the best amplitude is a ratio of sums, so only the shape is searched for (variable projection, Golub
and Pereyra 1973), on a grid that is refined by a parabola; thousands of resampled curves are fitted at once.

Bins that are not above zero are part of every fit in levels. A logarithm of them does not exist: the fit of logarithms
names the bins that it has to leave out.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]

GENERATOR_SEED = 20_110_406
"""Seed of the resampling generator."""
CONFIDENCE = 0.95
EXPONENTS = np.linspace(-0.5, 2.5, 601)
"""Exponents that are searched; a fit at an end is reported as such."""


@dataclass(frozen=True)
class Model:
    """A family of impact curves, amplitude times a function of size.

    Attributes:
        name: of the family.
        formula: in words a reader can compute from; q is the share of daily volume.
        source: where it is proposed.
        function: (sizes [k], shapes [g]) to values [g, k].
        shapes: of the sizes [k], the shape values to search; one value where there is none to fit.
        parameters: how many are fitted.
        shape: name of the shape parameter, or empty.
    """

    name: str
    formula: str
    source: str
    function: Callable[[Floats, Floats], Floats]
    shapes: Callable[[Floats], Floats]
    parameters: int
    shape: str = ""


def _power(q: Floats, s: Floats) -> Floats:
    return np.asarray(q[None, :] ** s[:, None])


def _logarithm(q: Floats, s: Floats) -> Floats:
    return np.log1p(q[None, :] / s[:, None])


def _crossover(q: Floats, s: Floats) -> Floats:
    ratio = q[None, :] / s[:, None]
    return np.asarray(np.where(ratio < 1.0, ratio, np.sqrt(np.maximum(ratio, 1.0))))


def _threshold(q: Floats, s: Floats) -> Floats:
    return np.maximum(q[None, :] - s[:, None], 0.0)


def _only(value: float) -> Callable[[Floats], Floats]:
    return lambda q: np.array([value])


def _scales(q: Floats) -> Floats:
    return np.geomspace(q.min() / 100.0, q.max() * 100.0, 801)


def _within(q: Floats) -> Floats:
    return np.geomspace(q.min(), q.max(), 601)


def _thresholds(q: Floats) -> Floats:
    # a threshold above the second largest size leaves one point, which any amplitude meets
    return np.linspace(0.0, np.sort(q)[-2] if len(q) > 1 else 0.0, 601)


MODELS = {
    model.name: model
    for model in (
        Model(
            "square_root", "a q^0.5", "Torre (1997); Toth et al. (2011), Phys. Rev. X 1, 021006",
            _power, _only(0.5), 1,
        ),
        Model("linear", "a q", "Kyle (1985), Econometrica 53, 1315", _power, _only(1.0), 1),
        Model("power", "a q^d", "Almgren et al. (2005), Risk 18(7), 58", _power, lambda q: EXPONENTS, 2, "exponent"),
        Model(
            "logarithmic", "a ln(1 + q / b)", "Zarinelli et al. (2015), Market Microstructure and Liquidity 1(2)",
            _logarithm, _scales, 2, "scale",
        ),
        Model(
            "crossover", "a q / q0 up to q0, a (q / q0)^0.5 beyond",
            "Bucci et al. (2019), Phys. Rev. Lett. 122, 108302", _crossover, _within, 2, "crossover",
        ),
        Model(
            "threshold", "0 up to q0, a (q - q0) beyond", "the dead band of a linear law", _threshold, _thresholds, 2,
            "threshold",
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Projection:
    """Best fits of one family to many curves.

    Attributes:
        shape: [curves], NaN where no positive amplitude fits.
        amplitude: [curves].
        at_bound: [curves], True where the shape stands at an end of what was searched.
    """

    shape: Floats
    amplitude: Floats
    at_bound: NDArray[np.bool_]


def project(model: Model, sizes: ArrayLike, curves: ArrayLike, weights: ArrayLike) -> Projection:
    """Fit a family to curves by generalised least squares, amplitudes at least zero.

    Args:
        model: the family.
        sizes: [k], above zero.
        curves: [curves, k].
        weights: [k, k], the inverse covariance, or any positive definite weighting.
    """
    q, y, w = (np.asarray(value, np.float64) for value in (sizes, curves, weights))
    shapes = model.shapes(q)
    gain, _ = _gain(model.function(q, shapes), y, w)
    best = np.argmax(gain, axis=0)
    inside = (best > 0) & (best < len(shapes) - 1)
    middle = np.clip(best, 1, max(len(shapes) - 2, 1))
    shape = shapes[best].astype(np.float64)
    if len(shapes) > 2:
        column = np.arange(y.shape[0])
        left, here, right = (gain[middle + step, column] for step in (-1, 0, 1))
        bend = left - 2.0 * here + right
        with np.errstate(all="ignore"):
            offset = np.where(inside & (bend < 0.0), 0.5 * (left - right) / bend, 0.0)
        offset = np.clip(np.nan_to_num(offset), -0.5, 0.5)
        # between unequal steps the parabola is taken in the number of the grid point
        shape = np.interp(best + offset, np.arange(len(shapes)), shapes)
    values = model.function(q, shape)
    weighted = values @ w
    amplitude = np.sum(weighted * y, axis=1) / np.sum(weighted * values, axis=1)
    none = ~(amplitude > 0.0)
    return Projection(
        np.where(none, np.nan, shape), np.where(none, 0.0, amplitude), (len(shapes) > 1) & ~inside & ~none
    )


def _gain(values: Floats, y: Floats, w: Floats) -> tuple[Floats, Floats]:
    """How much of y'Wy each function [g] explains in each curve [c], [g, c], and its own weight [g]."""
    weighted = values @ w
    norm = np.sum(weighted * values, axis=1)
    along = weighted @ y.T
    with np.errstate(all="ignore"):
        gain = np.where(along > 0.0, along**2 / norm[:, None], 0.0)
    return np.nan_to_num(gain), norm


def level_weights(impacts: ArrayLike) -> Floats:
    """Diagonal weights [k, k]: the inverse square of each size's standard error over seeds; equal with one seed.

    Args:
        impacts: [seeds, sizes].
    """
    y = np.asarray(impacts, np.float64)
    if len(y) < 2:
        return np.eye(y.shape[1])
    variance = np.var(y, axis=0, ddof=1) / len(y)
    floor = np.max(variance) * 1e-12
    return np.diag(1.0 / np.maximum(variance, floor)) if floor > 0.0 else np.eye(y.shape[1])


def resampled_means(impacts: ArrayLike, resamples: int) -> Floats:
    """Means over seeds drawn with replacement, [resamples, sizes]; a seed is drawn with all its sizes."""
    y = np.asarray(impacts, np.float64)
    draws = np.random.default_rng(GENERATOR_SEED).integers(0, len(y), (resamples, len(y)))
    counts = np.apply_along_axis(np.bincount, 1, draws, minlength=len(y))
    return np.asarray(counts @ y / len(y))


def estimate(value: float, resampled: ArrayLike) -> dict[str, Any]:
    """A number with the standard error and the percentile interval of its resampled values.

    Returns:
        ``value, se, low, high``; None for what is undefined; ``undefined``: share of resamples without a value.
    """
    sample = np.asarray(resampled, np.float64)
    known = sample[np.isfinite(sample)]
    low = high = se = None
    if len(known) > 1:
        tail = 50.0 * (1.0 - CONFIDENCE)
        low, high = (float(v) for v in np.percentile(known, [tail, 100.0 - tail]))
        se = float(np.std(known, ddof=1))
    return {
        "value": float(value) if np.isfinite(value) else None,
        "se": se,
        "low": low,
        "high": high,
        "undefined": float(1.0 - len(known) / len(sample)) if len(sample) else 0.0,
    }


def power_law(sizes: ArrayLike, impacts: ArrayLike, resamples: int = 1_999) -> dict[str, Any]:
    """Exponent and prefactor of I = Y q^d by weighted least squares in levels.

    Weights are the inverse squares of the sizes' standard errors, held fixed while seeds are resampled.

    Args:
        sizes: [k] shares of daily volume.
        impacts: [seeds, k] in daily volatilities.
        resamples: of the bootstrap over seeds.

    Returns:
        ``exponent`` and ``prefactor`` as :func:`estimate`, ``at_bound``, ``method``. With fewer than two sizes the
        exponent is undefined, with one seed its interval.
    """
    q, y = np.asarray(sizes, np.float64), np.asarray(impacts, np.float64)
    method = "weighted least squares in levels, bootstrap over seeds"
    if len(q) < 2:
        return {
            "exponent": estimate(np.nan, []),
            "prefactor": estimate(np.nan, []),
            "at_bound": False,
            "method": method,
        }
    weights = level_weights(y)
    found = project(MODELS["power"], q, y.mean(axis=0, keepdims=True), weights)
    again = project(MODELS["power"], q, resampled_means(y, resamples), weights) if len(y) > 1 else None
    missing: Floats = np.empty(0)
    return {
        "exponent": estimate(found.shape[0], missing if again is None else again.shape),
        "prefactor": estimate(
            found.amplitude[0] if np.isfinite(found.shape[0]) else np.nan,
            missing if again is None else np.where(np.isfinite(again.shape), again.amplitude, np.nan),
        ),
        "at_bound": bool(found.at_bound[0]),
        "method": method,
    }


def log_log(sizes: ArrayLike, impacts: ArrayLike, resamples: int = 1_999) -> dict[str, Any]:
    """Exponent and prefactor by a weighted straight line through the logarithms of the means.

    Weights are (mean / standard error)^2, the inverse variance of a logarithm. Bins whose mean is not above zero are
    named in ``left_out``; in a resample, bins that fall to zero or below drop out of that resample alone.

    Returns:
        ``exponent``, ``prefactor`` as :func:`estimate`, ``left_out`` (sizes), ``method``.
    """
    q, y = np.asarray(sizes, np.float64), np.asarray(impacts, np.float64)
    mean = y.mean(axis=0)
    error = np.std(y, axis=0, ddof=1) / np.sqrt(len(y)) if len(y) > 1 else np.ones(len(q))
    error = np.where(error > 0.0, error, max(float(error.max()) * 1e-6, 1e-300))
    weights = np.where(mean > 0.0, (mean / error) ** 2, 0.0)
    slope, level = _line(np.log(q), mean[None, :], weights)
    if len(y) > 1:
        slopes, levels = _line(np.log(q), resampled_means(y, resamples), weights)
    else:
        slopes = levels = np.empty(0)
    return {
        "exponent": estimate(slope[0], slopes),
        "prefactor": estimate(float(np.exp(level[0])), np.exp(levels)),
        "left_out": [float(size) for size in q[~(mean > 0.0)]],
        "method": "weighted least squares of logarithms, bootstrap over seeds",
    }


def _line(x: Floats, y: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """Slope and intercept of ln y over x for many curves; NaN with fewer than two usable points."""
    usable = (y > 0.0) & (weights > 0.0)
    w = np.where(usable, weights, 0.0)
    z = np.log(np.where(usable, y, 1.0))
    with np.errstate(all="ignore"):
        total = w.sum(axis=1)
        xm, zm = (w * x).sum(axis=1) / total, (w * z).sum(axis=1) / total
        spread = (w * (x - xm[:, None]) ** 2).sum(axis=1)
        slope = (w * (x - xm[:, None]) * (z - zm[:, None])).sum(axis=1) / spread
    slope = np.where(usable.sum(axis=1) >= 2, slope, np.nan)
    return slope, zm - slope * xm


def compare_models(sizes: ArrayLike, impacts: ArrayLike) -> dict[str, Any]:
    """Set families of curves against each other by information criteria.

    A seed is one draw of a vector of impacts, normal around the model with a covariance that no model restricts.
    Maximised over that covariance, -2 ln L is n ln(1 + d^2) up to a constant, with d the Mahalanobis distance between
    the seeds' means and the model in the seeds' own covariance (divisor n). AIC adds 2 k, BIC k ln n, for k parameters
    of the curve and n seeds. That needs clearly more seeds than sizes: with fewer than two per size (plus two) the
    covariance is taken as diagonal and known, and -2 ln L is the sum of squared standardised distances.

    Args:
        sizes: [k].
        impacts: [seeds, k].

    Returns:
        ``table``: a row per family, best AIC first, with parameters, ``minus_2_log_likelihood``, ``aic``, ``bic``,
        their differences from the best, Akaike and BIC weights, and ``p_fit``: how often data that follow the model
        would lie further from it (Hotelling's test; None where sizes leave no freedom or the covariance is diagonal);
        ``covariance``: ``"full"`` or ``"diagonal"``; ``best_aic``, ``best_bic``.
    """
    from scipy import stats

    q, y = np.asarray(sizes, np.float64), np.asarray(impacts, np.float64)
    n, k = y.shape
    if n < 3 or k < 2:
        return {"table": [], "covariance": "none", "best_aic": None, "best_bic": None}
    mean = y.mean(axis=0)
    full = n >= 2 * k + 2 and np.linalg.matrix_rank(np.cov(y.T, ddof=0)) == k
    weights = np.linalg.inv(np.cov(y.T, ddof=0)) if full else level_weights(y)
    rows: list[dict[str, Any]] = []
    for model in MODELS.values():
        if model.parameters > k:
            continue
        found = project(model, q, mean[None, :], weights)
        shape = found.shape if np.isfinite(found.shape[0]) else model.shapes(q)[:1]
        gap = mean - found.amplitude[0] * model.function(q, shape)[0]
        distance = float(gap @ weights @ gap)
        score = n * float(np.log1p(distance)) if full else distance
        free = k - model.parameters
        fit = None
        if full and free > 0:
            fit = float(stats.f.sf(distance * (n - free) / free, free, n - free))
        elif free > 0:
            fit = float(stats.chi2.sf(distance, free))
        rows.append(
            {
                "model": model.name,
                "formula": model.formula,
                "parameters": model.parameters,
                "amplitude": float(found.amplitude[0]),
                "shape_name": model.shape,
                "shape": float(found.shape[0]) if model.shape else None,
                "at_bound": bool(found.at_bound[0]),
                "minus_2_log_likelihood": score,
                "aic": score + 2.0 * model.parameters,
                "bic": score + model.parameters * float(np.log(n)),
                "p_fit": fit,
            }
        )
    for name in ("aic", "bic"):
        lowest = min(row[name] for row in rows)
        total = sum(np.exp(-0.5 * (row[name] - lowest)) for row in rows)
        for row in rows:
            row[f"{name}_difference"] = row[name] - lowest
            row[f"{name}_weight"] = float(np.exp(-0.5 * (row[name] - lowest)) / total)
    rows.sort(key=lambda row: row["aic"])
    return {
        "table": rows,
        "covariance": "full" if full else "diagonal",
        "best_aic": rows[0]["model"],
        "best_bic": min(rows, key=lambda row: row["bic"])["model"],
    }


def compare_curves(sizes: ArrayLike, impacts: ArrayLike, base: ArrayLike, resamples: int = 1_999) -> dict[str, Any]:
    """Ratio of two curves' prefactors, and the difference of their exponents, on paired seeds.

    The ratio is taken at a common exponent (the base's), so that it says how much higher the curve lies rather than
    where an extrapolation to the whole daily volume ends.

    Args:
        sizes: [k].
        impacts: [seeds, k] of the curve.
        base: [seeds, k] of the curve it is compared with, the same seeds.
        resamples: of the bootstrap over seeds, both curves drawn together.

    Returns:
        ``prefactor_ratio``, ``exponent_change``, each as :func:`estimate`; ``exponent_significant``: whether the
        interval of the change leaves out zero; ``common_exponent``.
    """
    q = np.asarray(sizes, np.float64)
    a, b = np.asarray(impacts, np.float64), np.asarray(base, np.float64)
    if a.shape != b.shape:
        raise ValueError(f"paired curves must have the same seeds and sizes, got {a.shape} and {b.shape}")
    both = np.concatenate([a, b], axis=1)
    means = np.concatenate([both.mean(axis=0, keepdims=True), resampled_means(both, resamples)])
    high, low = means[:, : len(q)], means[:, len(q) :]
    # each exponent under its own curve's weights; the ratio under one weighting, for two would mix sizes differently
    weights = level_weights(b)
    first, second = project(MODELS["power"], q, high, level_weights(a)), project(MODELS["power"], q, low, weights)
    change = first.shape - second.shape
    common = float(second.shape[0])
    basis = _power(q, np.array([common if np.isfinite(common) else 0.5]))[0]
    share = basis @ weights
    with np.errstate(all="ignore"):
        ratio = np.where(low @ share > 0.0, (high @ share) / (low @ share), np.nan)
    few = len(a) < 2
    changed = estimate(change[0], [] if few else change[1:])
    return {
        "prefactor_ratio": estimate(float(ratio[0]), [] if few else ratio[1:]),
        "exponent_change": changed,
        "exponent_significant": None
        if changed["low"] is None or changed["high"] is None
        else not changed["low"] <= 0.0 <= changed["high"],
        "common_exponent": common if np.isfinite(common) else None,
    }
