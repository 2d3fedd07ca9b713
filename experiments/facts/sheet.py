"""The sheet: each fact over seeds beside its empirical range, with a verdict."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.facts.catalogue import FACTS, Fact
from experiments.statistics import CONFIDENCE, GENERATOR_SEED, RESAMPLES

PASS, MISS, NOT_MEASURABLE, REPORTED = "pass", "miss", "not measurable", "reported"
LEAST_SHARE = 0.5
"""Share of the seeds that must give a number before their median stands for all."""


def sheet(measurements: Sequence[Mapping[str, float | None]]) -> dict[str, Any]:
    """Facts over seeds.

    The verdict is of the median: ``pass`` where it lies in the range, ``miss`` where it does not, ``not measurable``
    where fewer than half of the seeds give a number, ``reported`` for facts without a range. The interval shows how
    far the median itself is known, the share in range how much one seed differs from another.

    Args:
        measurements: what :func:`experiments.facts.catalogue.measure` gives, one per seed; one for a real series.

    Returns:
        Plain data: ``series`` (how many), ``facts`` (a row each, in the order of the catalogue), ``verdicts`` (how
        many of each).

    Raises:
        ValueError: no measurements.
    """
    if not measurements:
        raise ValueError("no measurements")
    rows = [_row(fact, [one.get(fact.name) for one in measurements]) for fact in FACTS]
    counts = {
        verdict: sum(row["verdict"] == verdict for row in rows) for verdict in (PASS, MISS, NOT_MEASURABLE, REPORTED)
    }
    return {"series": len(measurements), "facts": rows, "verdicts": counts}


def _row(fact: Fact, values: Sequence[float | None]) -> dict[str, Any]:
    known = np.array([v for v in values if v is not None and math.isfinite(v)], np.float64)
    row: dict[str, Any] = {
        "name": fact.name, "what": fact.what, "group": fact.group, "unit": fact.unit, "low": _bound(fact.low),
        "high": _bound(fact.high), "source": fact.source, "note": fact.note, "horizon_seconds": fact.horizon,
        "n": len(known), "median": None, "median_low": None, "median_high": None, "least": None, "most": None,
        "share_in_range": None,
    }  # fmt: skip
    if not len(known) or len(known) < LEAST_SHARE * len(values):
        return row | {"verdict": NOT_MEASURABLE}
    median = float(np.median(known))
    low, high = median_interval(known)
    row |= {
        "median": median,
        "median_low": low,
        "median_high": high,
        "least": float(known.min()),
        "most": float(known.max()),
    }
    if not fact.judged:
        return row | {"verdict": REPORTED}
    row["share_in_range"] = float(np.mean([fact.holds(v) for v in known]))
    return row | {"verdict": PASS if fact.holds(median) else MISS}


def median_interval(values: np.ndarray) -> tuple[float | None, float | None]:
    """Percentile bootstrap interval of a median over seeds; None for one seed."""
    if len(values) < 2:
        return None, None
    if np.all(values == values[0]):
        return float(values[0]), float(values[0])
    draws = np.random.default_rng(GENERATOR_SEED).integers(0, len(values), (RESAMPLES, len(values)))
    medians = np.median(values[draws], axis=1)
    low, high = np.quantile(medians, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def _bound(value: float) -> float | None:
    return value if math.isfinite(value) else None


def range_text(row: Mapping[str, Any]) -> str:
    """The empirical range of a row in words.

    Examples:
        >>> range_text({"low": None, "high": 20.0}), range_text({"low": 3.0, "high": 5.0})
        ('<= 20', '3 to 5')
    """
    low, high = row["low"], row["high"]
    if low is None and high is None:
        return ""
    if low is None:
        return f"<= {high:g}"
    if high is None:
        return f">= {low:g}"
    return f"{low:g} to {high:g}"


def value_text(value: float | None, unit: str = "") -> str:
    """A number of the sheet: three figures, more before the point.

    Examples:
        >>> value_text(0.01234), value_text(17.37), value_text(5915.4), value_text(None)
        ('0.012', '17.4', '5915', '')
    """
    if value is None:
        return ""
    size = abs(value)
    text = (
        f"{value:.0f}"
        if size >= 100
        else f"{value:.1f}"
        if size >= 10
        else f"{value:.2f}"
        if size >= 1
        else f"{value:.3f}"
    )
    return "0" if float(text) == 0 else text
