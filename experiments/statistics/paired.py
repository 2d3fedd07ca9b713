"""Regimes on the same seeds, compared seed by seed: summaries, placebo, verdicts, who pays."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from experiments.statistics.effects import standardised, superiority
from experiments.statistics.intervals import mean_interval, t_interval
from experiments.statistics.planning import detectable_difference, required_seeds
from experiments.statistics.settings import CONFIDENCE, GENERATOR_SEED, LEVEL, POWER, RESAMPLES, rounded
from experiments.statistics.tails import tail_difference, tail_summary
from experiments.statistics.tests import holm, sign_flip_test
from experiments.vocabulary import describe

Values = Mapping[str, Mapping[str, ArrayLike]]
"""Regime -> measure -> one value per seed, seeds in the same order everywhere."""


def paired_difference(
    values: ArrayLike, baseline: ArrayLike, *, confidence: float = CONFIDENCE, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Compare one measure under a regime with the baseline, seed by seed.

    Args:
        values: One value per seed under the regime.
        baseline: The same seeds under the baseline. Pairs with a NaN or infinite value are left out.
        confidence: Level of the interval.
        resamples: Bootstrap resamples and random sign flips.

    Returns:
        ``mean, low, high, n, method`` of the difference; ``p`` of the sign-flip test; ``effect`` (mean difference over
        its standard deviation); ``variance_reduction`` by pairing, (var a + var b) / var(a - b); ``required_n`` seeds
        for 80 % power at the effect found; ``detectable``, the mean difference these seeds find with 80 % power;
        ``higher``, ``lower``, ``equal``: seeds by sign; ``dropped``: pairs left out; ``t``: Student's interval and
        p-value beside the bootstrap's; ``d_z`` (the effect without its bias) and ``superiority``, with intervals
        (:mod:`experiments.statistics.effects`).
    """
    a = np.atleast_1d(np.asarray(values, dtype=np.float64))
    b = np.atleast_1d(np.asarray(baseline, dtype=np.float64))
    if a.shape != b.shape or a.ndim != 1:
        raise ValueError(f"paired values must have one value per seed each, got shapes {a.shape} and {b.shape}")
    kept = np.isfinite(a) & np.isfinite(b)
    a, b = a[kept], b[kept]
    difference = a - b
    n = int(difference.size)
    summary = mean_interval(difference, confidence=confidence, resamples=resamples)
    spread = float(np.std(difference, ddof=1)) if n > 1 and np.any(difference != difference[0]) else 0.0
    effect = float(difference.mean()) / spread if spread > 0.0 else None
    separate = float(np.var(a, ddof=1) + np.var(b, ddof=1)) if n > 1 else 0.0
    return summary | {
        "p": sign_flip_test(difference, resamples=resamples),
        "p_holm": None,
        "effect": rounded(effect),
        "variance_reduction": rounded(separate / spread**2) if spread > 0.0 else None,
        "required_n": required_seeds(effect),
        "detectable": detectable_difference(spread, n),
        "higher": int(np.sum(difference > 0.0)),
        "lower": int(np.sum(difference < 0.0)),
        "equal": int(np.sum(difference == 0.0)),
        "dropped": int(kept.size - n),
        "t": t_interval(difference, confidence=confidence),
        "d_z": standardised(difference, confidence=confidence),
        "superiority": superiority(difference, confidence=confidence),
    }


def placebo_difference(values: ArrayLike, baseline: ArrayLike) -> float | None:
    """Largest absolute difference of a regime against itself, which must be exactly zero.

    NaN on both sides counts as equal. None means that the two could not be compared (NaN or infinite on one side, or
    a different number of seeds), which is a failed placebo.
    """
    a = np.atleast_1d(np.asarray(values, dtype=np.float64))
    b = np.atleast_1d(np.asarray(baseline, dtype=np.float64))
    if a.shape != b.shape:
        return None
    unequal = ~((a == b) | (np.isnan(a) & np.isnan(b)))
    if not unequal.any():
        return 0.0
    largest = float(np.max(np.abs(a[unequal] - b[unequal])))
    return largest if math.isfinite(largest) else None


def paired_summary(
    values: Values,
    baseline: str,
    placebo: Mapping[str, ArrayLike] | None = None,
    *,
    families: Mapping[str, str] | None = None,
    confidence: float = CONFIDENCE,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Summarise regimes run on the same seeds, and compare each with the baseline.

    Args:
        values: Regime -> measure -> array over seeds, in the same order of seeds everywhere.
        baseline: Regime the others are compared with.
        placebo: Measure -> array over seeds of the baseline run again (or forked against itself).
        families: Measure -> family; p-values are corrected over regimes x measures within a family. Measures not
            named take the family of :mod:`experiments.vocabulary`. The family ``event`` describes the state before
            regimes differ: it is compared but neither tested nor corrected for.
        confidence: Level of the intervals.
        level: Level of the tests after correction.
        resamples: Bootstrap resamples and random sign flips.

    Returns:
        ``measures`` {measure: {regime: {mean, low, high, n, method}}}, ``differences`` {regime: {measure: ...}} as
        :func:`paired_difference` with ``p_holm``, ``comparisons`` (tests in its family), ``family`` and ``verdict``
        (see :func:`verdict`), ``placebo`` {measure: largest absolute difference} or None, and ``statistics``, the
        settings.

    Raises:
        KeyError: If the baseline is not among the regimes.
        ValueError: If a measure has another number of seeds than under the baseline.
    """
    if baseline not in values:
        raise KeyError(f"baseline {baseline!r} is not among the regimes: {', '.join(values)}")
    families = families or {}
    options: dict[str, Any] = {"confidence": confidence, "resamples": resamples}
    names = list(dict.fromkeys(name for by_measure in values.values() for name in by_measure))
    measures = {
        name: {regime: mean_interval(by[name], **options) for regime, by in values.items() if name in by}
        for name in names
    }
    base = values[baseline]
    differences: dict[str, dict[str, dict[str, Any]]] = {}
    groups: dict[str, dict[tuple[str, str], float | None]] = {}
    for regime, by_measure in values.items():
        if regime == baseline:
            continue
        differences[regime] = {}
        for name in (n for n in names if n in by_measure and n in base):
            try:
                entry = paired_difference(by_measure[name], base[name], **options)
            except ValueError as error:
                raise ValueError(f"measure {name!r} of regime {regime!r}: {error}") from None
            entry["family"] = families.get(name, describe(name).family)
            if entry["family"] == "event":
                entry["p"] = None
            differences[regime][name] = entry
            groups.setdefault(entry["family"], {})[regime, name] = entry["p"]
    for group in groups.values():
        comparisons = sum(p is not None for p in group.values())
        for (regime, name), p_holm in holm(group).items():
            entry = differences[regime][name]
            entry["p_holm"], entry["comparisons"] = p_holm, comparisons
            entry["verdict"] = verdict(entry, level=level)
    checked = None
    if placebo is not None:
        checked = {name: placebo_difference(placebo[name], base[name]) for name in names if name in placebo}
    return {
        "measures": measures,
        "differences": differences,
        "placebo": checked,
        "statistics": {"confidence": confidence, "level": level, "power": POWER, "resamples": resamples,
                       "generator_seed": GENERATOR_SEED},
    }  # fmt: skip


def verdict(difference: Mapping[str, Any], *, level: float = LEVEL) -> str:
    """Classify a difference.

    Returns:
        ``untested`` (no interval or no test), ``identical`` (every pair is equal), ``different`` (corrected p at most
        the level and zero outside the interval), ``suggestive`` (one of the two, or p before correction), ``none``.
    """
    low, high, p, p_holm = (difference.get(key) for key in ("low", "high", "p", "p_holm"))
    if difference.get("n") and difference.get("mean") == low == high == 0.0:
        return "identical"
    if low is None or high is None or p is None:
        return "untested"
    outside = low > 0.0 or high < 0.0
    if outside and p_holm is not None and p_holm <= level:
        return "different"
    return "suggestive" if outside or p <= level else "none"


def incidence_summary(
    values: Mapping[str, Mapping[str, Mapping[str, ArrayLike]]],
    *,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Who pays: means with intervals for each population.

    Args:
        values: Regime -> population -> quantity (``pnl``, ``liquidated``, ...) -> array over seeds.
        confidence: Level of the intervals.
        resamples: Bootstrap resamples.
    """
    return {
        regime: {
            population: {
                quantity: mean_interval(sample, confidence=confidence, resamples=resamples)
                for quantity, sample in by_quantity.items()
            }
            for population, by_quantity in by_population.items()
        }
        for regime, by_population in values.items()
    }


Incidence = Mapping[str, Mapping[str, Mapping[str, ArrayLike]]]
"""Regime -> population -> quantity (``pnl``, ``liquidated``, ...) -> one value per seed."""


def incidence_differences(
    values: Incidence,
    baseline: str,
    *,
    confidence: float = CONFIDENCE,
    level: float = LEVEL,
    resamples: int = RESAMPLES,
) -> dict[str, dict[str, dict[str, dict[str, Any]]]]:
    """Who pays more under a regime than under the baseline: paired differences for each population.

    Args:
        values: outcomes by regime, population and quantity.
        baseline: regime the others are compared with.
        confidence: of the intervals.
        level: of the tests after correction.
        resamples: of bootstraps and sign flips.

    Returns:
        Regime -> population -> quantity -> as :func:`paired_difference`, with ``p_holm`` corrected over regimes and
        populations within a quantity, ``comparisons`` and ``verdict``.

    Raises:
        KeyError: If the baseline is not among the regimes.
    """
    if baseline not in values:
        raise KeyError(f"baseline {baseline!r} is not among the regimes: {', '.join(values)}")
    base = values[baseline]
    found: dict[str, dict[str, dict[str, dict[str, Any]]]] = {}
    groups: dict[str, dict[tuple[str, str], float | None]] = {}
    for regime, by_population in values.items():
        if regime == baseline:
            continue
        found[regime] = {}
        for population, by_quantity in by_population.items():
            of = base.get(population, {})
            found[regime][population] = {
                quantity: paired_difference(sample, of[quantity], confidence=confidence, resamples=resamples)
                for quantity, sample in by_quantity.items()
                if quantity in of
            }
            for quantity, entry in found[regime][population].items():
                groups.setdefault(quantity, {})[regime, population] = entry["p"]
    for quantity, group in groups.items():
        comparisons = sum(p is not None for p in group.values())
        for (regime, population), p_holm in holm(group).items():
            entry = found[regime][population][quantity]
            entry["p_holm"], entry["comparisons"] = p_holm, comparisons
            entry["verdict"] = verdict(entry, level=level)
    return found


def tail_differences(
    values: Values,
    baseline: str,
    measures: Sequence[str],
    *,
    probabilities: Sequence[float] = (0.9, 0.95),
    thresholds: Mapping[str, Sequence[float]] | None = None,
    sides: Mapping[str, str] | None = None,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """Tails of some measures under every regime, and their paired differences to the baseline.

    Args:
        values: outcomes by regime and measure.
        baseline: regime the others are compared with.
        measures: names; those that a regime lacks are left out.
        probabilities: of quantiles and shortfalls.
        thresholds: of exceedance probabilities, by measure.
        sides: ``lower`` for measures whose small values are the bad ones.
        confidence: of the intervals.
        resamples: of bootstraps and exchanges.

    Returns:
        ``measures`` {measure: {regime: tail_summary}} and ``differences`` {regime: {measure: tail_difference}}, with
        ``p_holm`` over regimes, quantities and measures together.
    """
    options: dict[str, Any] = {"probabilities": probabilities, "confidence": confidence, "resamples": resamples}
    levels: dict[str, dict[str, Any]] = {name: {} for name in measures}
    differences: dict[str, dict[str, Any]] = {regime: {} for regime in values if regime != baseline}
    tested: dict[tuple[str, ...], float | None] = {}
    for regime, by_measure in values.items():
        for name in (n for n in measures if n in by_measure and n in values[baseline]):
            of = {"side": (sides or {}).get(name, "upper"), "thresholds": (thresholds or {}).get(name, ()), **options}
            levels[name][regime] = tail_summary(by_measure[name], **of)
            if regime != baseline:
                entry = differences[regime][name] = tail_difference(by_measure[name], values[baseline][name], **of)
                for kind in ("quantiles", "shortfalls", "exceedances"):
                    tested |= {(regime, name, kind, at): told["p"] for at, told in entry[kind].items()}
    for (regime, name, kind, at), p_holm in holm(tested).items():
        differences[regime][name][kind][at]["p_holm"] = p_holm
    return {"measures": levels, "differences": differences}
