"""Indices of a sampled design, their intervals over parameters and seeds, their convergence, and the part of luck.

The quantity analysed is the mean over seeds, all points on the same seeds. Its indices are SALib's. An interval counts
both sources of chance: bootstrap samples take blocks (trajectories, base points) and seeds with replacement.

What seeds do is told apart by a two-way layout of points and seeds with one run in each cell: the part that is common
to all points (a lucky seed is lucky everywhere; common random numbers take it out of every difference), and the part
that differs from point to point, of which the mean over n seeds keeps an n-th.

References:
    Saltelli, A. et al. (2010), as in :mod:`experiments.sensitivity.design` (S1, ST).
    Sarrazin, F., Pianosi, F. and Wagener, T. (2016). Global sensitivity analysis of environmental models: convergence
        and validation. Environ. Model. Softw. 79, 135-152 (convergence by the widths of intervals).
    Searle, S. R., Casella, G. and McCulloch, C. E. (1992). Variance components. Wiley (the two-way layout).
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments.sensitivity.design import MORRIS, Design

RESAMPLES = 1_000
GENERATOR_SEED = 20_081_015
CONFIDENCE = 0.95
SETTLED = 0.05
"""Widest interval of an index at which Sarrazin, Pianosi and Wagener (2016) call indices converged."""
LEAST = 4
_TINY = 1e-12  # spread of an output relative to its size below which it is taken as constant

Array = NDArray[np.float64]


def analyse(
    design: Design, outputs: Array, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Indices of one output.

    Args:
        design: the sample.
        outputs: of the design's distinct points, shape (points, seeds); NaN where a run failed or had nothing to
            measure. Blocks with such a point are left out.
        confidence: level of intervals.
        resamples: bootstrap samples.

    Returns:
        ``indices`` {key: {name: {mean, low, high}}} with the names ``mu_star, mu, sigma`` (in the output's unit over
        the whole range of a key) or ``S1, ST``; ``pairs`` (S2) where asked; ``placebo``, the largest index of the
        parameter that nothing hears of; ``effects`` (Morris: {key: elementary effects}); ``noise`` (:func:`noise`);
        ``convergence``; ``width``, the widest interval; ``blocks`` and ``dropped``; ``constant``.
    """
    rows = design.spread(np.asarray(outputs, dtype=np.float64))
    blocks = rows.reshape(design.samples, design.block, rows.shape[1])
    complete = np.isfinite(blocks).all(axis=(1, 2))
    kept = blocks[complete]
    unit = design.unit.reshape(design.samples, design.block, -1)[complete]
    result: dict[str, Any] = {"blocks": len(kept), "dropped": int((~complete).sum()), "seeds": rows.shape[1]}
    result["noise"] = noise(outputs)
    means = kept.mean(axis=2)
    result["constant"] = bool(len(kept) and np.ptp(means) <= _TINY * max(1.0, float(np.abs(means).max())))
    empty: dict[str, Any] = {
        "indices": {},
        "pairs": {},
        "placebo": None,
        "effects": {},
        "convergence": [],
        "width": None,
    }
    if len(kept) < LEAST or result["constant"]:
        return result | empty
    estimate = _morris if design.method == MORRIS else _sobol
    found = estimate(design, unit, kept, confidence, resamples)
    steps = [n for n in _steps(len(kept)) if n < len(kept)]
    path = [estimate(design, unit[:n], kept[:n], confidence, max(resamples // 4, 100)) | {"n": n} for n in steps]
    path.append(found | {"n": len(kept)})
    names = [name for name in design.names if name in found["indices"]][:-1]
    placebo = [abs(entry["mean"]) for entry in found["indices"][design.names[-1]].values()]
    result |= {
        "indices": {name: found["indices"][name] for name in names},
        "pairs": found["pairs"],
        "placebo": max(placebo),
        "effects": {name: found["effects"][name] for name in names} if found["effects"] else {},
        "convergence": [{"n": one["n"], "indices": {name: one["indices"][name] for name in names}} for one in path],
    }
    result["width"] = _widest(result["indices"], design.method)
    return result


def _steps(n: int) -> list[int]:
    """Numbers of blocks at which convergence is shown."""
    return [step for step in (4, 6, 8, 12, 16, 24, 32, 48, 64, *(1 << i for i in range(7, 20))) if step <= n]


def _widest(indices: Mapping[str, Mapping[str, Mapping[str, float]]], method: str) -> float:
    """Widest interval: of ST itself, or of mu* over the largest mu* (as screening compares them)."""
    name = "mu_star" if method == MORRIS else "ST"
    scale = max(entry[name]["mean"] for entry in indices.values()) if method == MORRIS else 1.0
    widest = max(entry[name]["high"] - entry[name]["low"] for entry in indices.values())
    return widest / scale if scale > 0 else 0.0


# -- bootstrap -------------------------------------------------------------------------------------------------------


def _drawn(kept: Array, resamples: int) -> tuple[NDArray[np.int64], Array]:
    """Blocks of each bootstrap sample, (blocks, resamples), and outputs with its seeds, (blocks, rows, resamples)."""
    n, _, seeds = kept.shape
    rng = np.random.default_rng(GENERATOR_SEED)
    chosen = rng.integers(0, n, (n, resamples))
    weights = rng.multinomial(seeds, np.full(seeds, 1.0 / seeds), resamples).T / seeds
    return chosen, kept @ weights


def _interval(value: float, sample: Array, confidence: float) -> dict[str, float]:
    edges = np.quantile(sample, [(1.0 - confidence) / 2.0, (1.0 + confidence) / 2.0])
    return {"mean": float(value), "low": float(edges[0]), "high": float(edges[1])}


# -- Morris ----------------------------------------------------------------------------------------------------------


def elementary_effects(unit: Array, blocks: Array) -> Array:
    """Effect of each parameter in each trajectory, over its step.

    Args:
        unit: (trajectories, rows, parameters): consecutive rows differ in one parameter, each in turn.
        blocks: outputs (trajectories, rows) or (trajectories, rows, m).

    Returns:
        Change of the output over change of the parameter, (trajectories, parameters) or (..., m).
    """
    steps = np.diff(unit, axis=1)
    moved = np.abs(steps).argmax(axis=2)
    size = np.take_along_axis(steps, moved[:, :, None], axis=2)[:, :, 0]
    changes = np.diff(blocks, axis=1)
    effects = changes / size.reshape(*size.shape, *(1,) * (changes.ndim - 2))
    order = np.argsort(moved, axis=1)
    return np.take_along_axis(effects, order.reshape(*order.shape, *(1,) * (changes.ndim - 2)), axis=1)


def _morris(design: Design, unit: Array, kept: Array, confidence: float, resamples: int) -> dict[str, Any]:
    from SALib.analyze import morris

    means = kept.mean(axis=2)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = morris.analyze(
            design.problem, unit.reshape(-1, unit.shape[2]), means.reshape(-1), num_levels=4, num_resamples=2, seed=0
        )
    effects = elementary_effects(unit, means)
    chosen, outputs = _drawn(kept, resamples)
    by_sample = elementary_effects(unit, outputs)  # (blocks, parameters, resamples)
    indices: dict[str, Any] = {}
    for i, name in enumerate(design.names):
        taken = np.take_along_axis(by_sample[:, i, :], chosen, axis=0)
        indices[name] = {
            "mu_star": _interval(found["mu_star"][i], np.abs(taken).mean(axis=0), confidence),
            "mu": _interval(found["mu"][i], taken.mean(axis=0), confidence),
            "sigma": _interval(found["sigma"][i], taken.std(axis=0, ddof=1), confidence),
        }
    told = {name: effects[:, i].tolist() for i, name in enumerate(design.names)}
    return {"indices": indices, "pairs": {}, "effects": told}


# -- Sobol -----------------------------------------------------------------------------------------------------------


def _sobol(design: Design, unit: Array, kept: Array, confidence: float, resamples: int) -> dict[str, Any]:
    from SALib.analyze import sobol

    k, means = len(design.names), kept.mean(axis=2)
    # as SALib does: its estimators multiply outputs, and a common level would only add to their variance
    centre, spread = float(means.mean()), float(means.std())
    scaled = (means - centre) / spread
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        found = sobol.analyze(
            design.problem, scaled.reshape(-1), calc_second_order=design.second, num_resamples=2, seed=0
        )
        chosen, outputs = _drawn((kept - centre) / spread, resamples)
        rows = np.take_along_axis(outputs, chosen[:, None, :], axis=0)
        first, last = rows[:, 0], rows[:, -1]
        indices: dict[str, Any] = {}
        for i, name in enumerate(design.names):
            crossed = rows[:, 1 + i]
            indices[name] = {
                "S1": _interval(found["S1"][i], sobol.first_order(first, crossed, last), confidence),
                "ST": _interval(found["ST"][i], sobol.total_order(first, crossed, last), confidence),
            }
        pairs: dict[str, Any] = {}
        for i in range(k - 1) if design.second else ():
            for j in range(i + 1, k - 1):
                sample = sobol.second_order(first, rows[:, 1 + i], rows[:, 1 + j], rows[:, 1 + k + i], last)
                pairs[f"{design.names[i]} x {design.names[j]}"] = {
                    "S2": _interval(found["S2"][i, j], sample, confidence)
                }
    return {"indices": indices, "pairs": pairs, "effects": {}}


# -- luck ------------------------------------------------------------------------------------------------------------


def noise(outputs: Array) -> dict[str, Any]:
    """What seeds contribute: components of variance of a two-way layout with one run in each cell.

    Args:
        outputs: of the distinct points, (points, seeds); points or seeds that are not complete are left out, whichever
            are fewer.

    Returns:
        Variances ``parameters``, ``seed`` (common to all points) and ``interaction`` (of seed and point), none below
        zero; their ``shares`` of the sum; ``within``, the mean over points of the variance between seeds;
        ``of_means``, the share of the variance between the points' means that is luck, interaction / seeds. None where
        there is one seed: then luck and parameters can't be told apart.
    """
    y = _complete(np.asarray(outputs, dtype=np.float64))
    points, seeds = y.shape
    names = ("parameters", "seed", "interaction")
    if points < 2 or seeds < 2:
        return dict.fromkeys((*names, "within", "of_means")) | {"shares": None, "points": points, "seeds": seeds}
    grand, by_point, by_seed = y.mean(), y.mean(axis=1), y.mean(axis=0)
    rest = y - by_point[:, None] - by_seed[None, :] + grand
    error = float((rest**2).sum() / ((points - 1) * (seeds - 1)))
    between = float(by_point.var(ddof=1))
    parts = {
        "parameters": max(between - error / seeds, 0.0),
        "seed": max(float(by_seed.var(ddof=1)) - error / points, 0.0),
        "interaction": error,
    }
    total = sum(parts.values())
    return {
        **parts,
        "shares": {name: parts[name] / total for name in names} if total > 0.0 else None,
        "within": float(y.var(axis=1, ddof=1).mean()),
        "of_means": min(error / seeds / between, 1.0) if between > 0.0 else None,
        "points": points,
        "seeds": seeds,
    }


def _complete(y: Array) -> Array:
    """Without what is missing: the fewer of incomplete points and incomplete seeds are left out."""
    bad = ~np.isfinite(y)
    if not bad.any():
        return y
    by_points, by_seeds = y[~bad.any(axis=1)], y[:, ~bad.any(axis=0)]
    return by_points if by_points.size >= by_seeds.size else by_seeds


def ranking(result: Mapping[str, Any], method: str) -> Sequence[str]:
    """Keys by what decides: mu* or ST, largest first."""
    name = "mu_star" if method == MORRIS else "ST"
    return sorted(result["indices"], key=lambda key: -result["indices"][key][name]["mean"])
