"""What factors do over the points of a study.

Points share their seeds, so every contrast between points is formed within a seed first and its interval is over seeds:
what seeds have in common cancels, and no residual of a fitted surface has to stand for noise.

For a factor with levels: the mean over the points of each level (for a grid, the main effect of Fisher 1935), and its
difference from the first level. For numeric factors: the linear effect from the lowest to the highest value, from a
least squares fit on all numeric factors together, per seed, and how much of the variance between points it explains.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.statistics import LEVEL, holm, mean_interval, sign_flip_test, verdict
from experiments.sweep.factors import SAMPLED, FactorSection
from experiments.sweep.study import Study
from experiments.vocabulary import describe

if TYPE_CHECKING:
    import pandas as pd

MAX_LEVELS = 12
BINS = 4  # of a sampled factor, with equally many points each


def effects(study: Study, runs: pd.DataFrame, outcomes: Sequence[str], *, resamples: int) -> dict[str, Any]:
    """Main effects of every factor.

    Returns:
        By factor: ``labels`` of its levels and ``centres`` (numbers, or None); ``response`` {what: {outcome: [estimate
        per level]}} with ``what`` a regime or ``REGIME - BASELINE``; ``contrasts`` {what: {outcome: [estimate per level
        but the first]}}, ``slope`` {what: {outcome: estimate}} and ``explained`` (share of the variance between points)
        for the baseline and the differences. Contrasts and slopes have ``p`` of the sign-flip test and ``p_holm`` over
        factors, levels, regimes and outcomes of a family.
    """
    if not study.factors or len(study.points) < 2 or not len(runs):
        return {}
    main = runs[runs["arm"].fillna("") == ""]
    cubes = {name: _cube(study, main, name) for name in outcomes}
    fitted = _fit_matrix(study)
    found = {f.title: _factor(study, f, cubes, fitted, resamples) for f in study.factors}
    _correct(found)
    return found


def _cube(study: Study, runs: pd.DataFrame, name: str) -> dict[str, NDArray[np.float64]]:
    """Regime, or difference from the baseline -> values, shape (points, seeds): seeds complete at every point."""
    rows = [point.index for point in study.points]
    table = runs.pivot_table(name, ["regime", "point"], "seed", dropna=False, aggfunc="first")
    found: dict[str, NDArray[np.float64]] = {}
    for label in study.regimes:
        if label in table.index.get_level_values(0):
            found[label] = table.loc[label].reindex(rows).to_numpy(np.float64)
    base = found.get(study.baseline)
    if base is not None:
        for label in [label for label in study.regimes if label in found and label != study.baseline]:
            found[contrast(label, study.baseline)] = found[label] - base
    return {what: values[:, np.isfinite(values).all(axis=0)] for what, values in found.items()}


def contrast(label: str, baseline: str) -> str:
    """What tables call a difference of two regimes."""
    return f"{label} - {baseline}"


def _factor(
    study: Study, factor: FactorSection, cubes: Mapping[str, Mapping[str, NDArray[np.float64]]],
    fitted: tuple[NDArray[np.float64], list[str]] | None, resamples: int,
) -> dict[str, Any]:  # fmt: skip
    groups, labels, centres = _groups(study, factor)
    response: dict[str, dict[str, list[Any]]] = {}
    contrasts: dict[str, dict[str, list[Any]]] = {}
    slope: dict[str, dict[str, Any]] = {}
    explained: dict[str, dict[str, float | None]] = {}
    for name, by in cubes.items():
        for what, values in by.items():
            means = [values[group].mean(axis=0) for group in groups]
            response.setdefault(what, {})[name] = [mean_interval(m, resamples=resamples) for m in means]
            if what in study.regimes and what != study.baseline:
                continue  # what it does there is what it does under the baseline and to the difference
            contrasts.setdefault(what, {})[name] = [_tested(m - means[0], name, resamples) for m in means[1:]]
            if fitted is not None and factor.title in fitted[1]:
                coefficients, share = _fit(fitted[0], values)
                column = 1 + fitted[1].index(factor.title)
                slope.setdefault(what, {})[name] = _tested(2.0 * coefficients[column], name, resamples)
                explained.setdefault(what, {})[name] = share
    return {
        "labels": labels, "centres": centres, "response": response, "contrasts": contrasts, "slope": slope,
        "explained": explained,
    }  # fmt: skip


def _groups(study: Study, factor: FactorSection) -> tuple[list[list[int]], list[str], list[float] | None]:
    """Points by level of a factor, or by quarter of its values where it has many; names and centres of the groups."""
    given = [point.values[factor.title] for point in study.points]
    distinct: list[Any] = []
    for value in given:
        if value not in distinct:
            distinct.append(value)
    sampled = study.design.kind in SAMPLED and not factor.values and len(distinct) > BINS
    if not factor.is_numeric or (len(distinct) <= MAX_LEVELS and not sampled):
        groups = [[i for i, value in enumerate(given) if value == level] for level in distinct]
        centres = [float(level) for level in distinct] if factor.is_numeric else None
        return groups, [factor.label(level) for level in distinct], centres
    order = np.argsort(np.array(given, np.float64), kind="stable")
    parts = [sorted(part.tolist()) for part in np.array_split(order, BINS)]
    ends = [(min(given[i] for i in part), max(given[i] for i in part)) for part in parts]
    centres = [float(np.median([given[i] for i in part])) for part in parts]
    return parts, [f"{low:.4g} to {high:.4g}" for low, high in ends], centres


def _fit_matrix(study: Study) -> tuple[NDArray[np.float64], list[str]] | None:
    """Columns 1 and each numeric factor from -1 to 1 (its logarithm where it is spread so); None if not identified."""
    columns, names = [np.ones(len(study.points))], []
    for factor in (f for f in study.factors if f.is_numeric):
        values = np.array([point.values[factor.title] for point in study.points], np.float64)
        if factor.scale == "log":
            values = np.log(values)
        low, high = float(values.min()), float(values.max())
        if high > low:
            columns.append(2.0 * (values - low) / (high - low) - 1.0)
            names.append(factor.title)
    matrix = np.stack(columns, axis=1)
    identified = names and np.linalg.matrix_rank(matrix) == matrix.shape[1]
    return (matrix, names) if identified else None


def _fit(matrix: NDArray[np.float64], values: NDArray[np.float64]) -> tuple[NDArray[np.float64], float | None]:
    """Coefficients per seed, shape (columns, seeds), and the share of variance between points explained."""
    if not values.shape[1]:
        return np.empty((matrix.shape[1], 0)), None
    coefficients = np.asarray(np.linalg.lstsq(matrix, values, rcond=None)[0], np.float64)
    mean = values.mean(axis=1)
    spread = float(np.var(mean))
    if spread == 0.0 or matrix.shape[0] <= matrix.shape[1]:
        return coefficients, None
    return coefficients, float(1.0 - np.var(mean - matrix @ coefficients.mean(axis=1)) / spread)


def _tested(sample: NDArray[np.float64], name: str, resamples: int) -> dict[str, Any]:
    found = mean_interval(sample, resamples=resamples)
    return found | {"p": sign_flip_test(sample, resamples=resamples), "p_holm": None, "family": describe(name).family}


def _correct(found: Mapping[str, Mapping[str, Any]]) -> None:
    """Holm over factors, levels, regimes and outcomes, within a family of measures and a kind of effect."""
    groups: dict[tuple[str, str], dict[int, dict[str, Any]]] = {}
    for factor in found.values():
        for by in factor["contrasts"].values():
            for estimates in by.values():
                for entry in estimates:
                    groups.setdefault(("contrast", entry["family"]), {})[id(entry)] = entry
        for by in factor["slope"].values():
            for entry in by.values():
                groups.setdefault(("slope", entry["family"]), {})[id(entry)] = entry
    for group in groups.values():
        for key, p_holm in holm({key: entry["p"] for key, entry in group.items()}).items():
            group[key]["p_holm"] = p_holm
            group[key]["comparisons"] = len(group)
            group[key]["verdict"] = verdict(group[key], level=LEVEL)
