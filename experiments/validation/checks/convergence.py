"""Convergence: in the limit on liquidation rounds within a step, and in the length of a step."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.studies import cascades
from experiments.studies import convergence as study
from experiments.validation.bands import CONSISTENT, WITHIN, Band, Context, Measurement, number

QUICK_SECONDS, FULL_SECONDS = 60.0, 900.0
_SOURCE = "design study: report convergence in the step size (60/10/1 s) and in the round limit; the tolerance is ours"
_GROUP = "convergence"
_TARGET = 1.1
_SIZES = (0.005, 0.02, 0.1)
_DEFAULT_ROUNDS = 50
_IMPACT_SEEDS = 0.5  # of the seeds: an arm for each size and side is run


def _step(measure: str, seconds: int, base: int, quick: int, full: int) -> Band:
    what = {
        "spread": "mean spread", "volatility": "volatility of ten-minute returns",
        "multiplier": "drawdown multiplier at R0 1.1", "impact": "exponent of metaorder impact",
    }[measure]  # fmt: skip
    if measure == "impact":
        question, statement, low, high = "difference of the", "within 0.1", -0.1, 0.1
    else:
        question, statement, low, high = "ratio of the", "0.8 to 1.25", 0.8, 1.25
    return Band(
        f"step-{measure}-{base}-{seconds}", _GROUP, f"{question} {what} in steps of {seconds} s to {base} s", statement,
        low, high, "", _SOURCE, "convergence", quick, full, rule=CONSISTENT,
    )  # fmt: skip


_PAIRS = ((10, 60), (1, 10))
BANDS = (
    Band(
        "rounds-multiplier", _GROUP, "multiplier at R0 1.65 with at most 50 rounds a step less that with 200",
        "within 0.05", -0.05, 0.05, "", _SOURCE, "convergence", 16, 60, rule=WITHIN,
    ),
    Band(
        "rounds-multiplier-5", _GROUP, "the same with at most 5 rounds", "within 0.05", -0.05, 0.05, "", _SOURCE,
        "convergence", 16, 60, rule=CONSISTENT,
    ),
    Band(
        "rounds-liquidated", _GROUP, "share of leveraged lots liquidated at R0 1.65, 50 rounds less 200",
        "within 2 points", -2.0, 2.0, "points", _SOURCE, "convergence", 16, 60, rule=WITHIN,
    ),
    _step("spread", 10, 60, 8, 24), _step("spread", 1, 10, 0, 24),
    _step("volatility", 10, 60, 8, 24), _step("volatility", 1, 10, 0, 24),
    _step("multiplier", 10, 60, 8, 60), _step("multiplier", 1, 10, 0, 16),
    _step("impact", 10, 60, 0, 24), _step("impact", 1, 10, 0, 24),
)  # fmt: skip


def check(context: Context) -> dict[str, Measurement]:
    """Measure the bands that are asked for."""
    found: dict[str, Measurement] = {}
    if any(band.id.startswith("rounds-") for band in context.bands):
        found |= _rounds(context)
    lengths = {
        measure: sorted({s for pair in _PAIRS for s in pair if context.wants(f"step-{measure}-{pair[1]}-{pair[0]}")})
        for measure in ("spread", "volatility", "multiplier", "impact")
    }
    quotes = sorted({*lengths["spread"], *lengths["volatility"]})
    if quotes:
        found |= _quotes(context, quotes)
    if lengths["multiplier"]:
        found |= _multiplier(context, lengths["multiplier"])
    if lengths["impact"]:
        found |= _impact(context, lengths["impact"])
    return {band.id: found[band.id] for band in context.bands}


def _rounds(context: Context) -> dict[str, Measurement]:
    seeds = context.seeds("rounds-multiplier", "rounds-multiplier-5", "rounds-liquidated")
    rounds = study.Rounds(context.scenario("shock"), seeds)
    folder = context.folder("rounds", rounds.job())
    result = study.measure(rounds, workers=context.workers, folder=folder, on_done=context.on_done)
    by = {one["limit"]: one for one in result["limits"]}
    said = ", ".join(f"{limit}: {number(one['multiplier']['ratio']):.3f}" for limit, one in by.items())
    change = by[_DEFAULT_ROUNDS]["liquidated_change"]
    points, low, high = (100 * number(change[key]) for key in ("mean", "low", "high"))
    return {
        "rounds-multiplier": Measurement.of(by[_DEFAULT_ROUNDS]["multiplier_change"], len(seeds), said),
        "rounds-multiplier-5": Measurement.of(by[min(by)]["multiplier_change"], len(seeds), said),
        "rounds-liquidated": Measurement(points, low, high, len(seeds)),
    }


def _bands(measure: str) -> list[str]:
    return [f"step-{measure}-{base}-{seconds}" for seconds, base in _PAIRS]


def _at(seconds: int) -> str:
    return f"market.dt_seconds={seconds}"


def _missing(context: Context, measures: Sequence[str], why: str) -> dict[str, Measurement]:
    wanted = [band for measure in measures for band in _bands(measure)]
    return {band: Measurement.missing(why) for band in wanted if context.wants(band)}


def _quotes(context: Context, lengths: Sequence[int]) -> dict[str, Measurement]:
    seeds = context.seeds(*_bands("spread"), *_bands("volatility"))
    runs = {
        seconds: context.perform(
            f"quotes-{seconds}",
            study.quotes_units(context.scenario("calm", _at(seconds)), seeds, f"{seconds}s"),
            study.quotes,
        )
        for seconds in lengths
    }
    found = {}
    for measure, column in (("spread", "spread"), ("volatility", "volatility_10")):
        values = {seconds: np.array([number(r[column]) for r in rows], np.float64) for seconds, rows in runs.items()}
        said = ", ".join(f"{seconds} s {np.nanmean(values[seconds]):.1f} bp" for seconds in reversed(lengths))
        for seconds, base in _PAIRS:
            if seconds in values and base in values:
                ratio = study.ratio_of_samples(values[seconds], values[base])
                found[f"step-{measure}-{base}-{seconds}"] = Measurement.of(ratio, len(seeds), said)
    return found


def _multiplier(context: Context, lengths: Sequence[int]) -> dict[str, Measurement]:
    """Ratio of multipliers; the same seed is another market at another step, so their errors add."""
    measured: dict[int, Mapping[str, Any]] = {}
    seeds: dict[int, int] = {}
    for seconds in lengths:
        shock = context.scenario("shock", _at(seconds))
        needing = [band for band, pair in zip(_bands("multiplier"), _PAIRS, strict=True) if seconds in pair]
        found = context.seeds(*needing)
        cascade = cascades.Cascades(shock, (_TARGET,), found)
        folder = context.folder(f"cascades-{seconds}", cascade.job())
        result = cascades.measure(cascade, workers=context.workers, folder=folder, on_done=context.on_done)
        (measured[seconds],) = result["cascades"]
        seeds[seconds] = len(found)
    said = ", ".join(
        f"{seconds} s {number(measured[seconds]['multiplier']['ratio']):.2f}" for seconds in reversed(lengths)
    )
    return {
        f"step-multiplier-{base}-{seconds}": _ratio(
            measured[seconds]["multiplier"], measured[base]["multiplier"], min(seeds[seconds], seeds[base]), said
        )
        for seconds, base in _PAIRS
        if seconds in measured and base in measured
    }


def _ratio(top: Mapping[str, Any], bottom: Mapping[str, Any], seeds: int, note: str) -> Measurement:
    """Ratio of two independent estimates; relative half-widths of their intervals add in squares."""
    values = [number(one[key]) for one in (top, bottom) for key in ("ratio", "low", "high")]
    if not all(math.isfinite(value) and value > 0 for value in values):
        return Measurement.missing(f"a multiplier has no interval; {note}", seeds)
    value = values[0] / values[3]
    down = math.hypot(math.log(values[0] / values[1]), math.log(values[5] / values[3]))
    up = math.hypot(math.log(values[2] / values[0]), math.log(values[3] / values[4]))
    return Measurement(value, value * math.exp(-down), value * math.exp(up), seeds, note)


def _impact(context: Context, lengths: Sequence[int]) -> dict[str, Measurement]:
    from experiments.impact import study as impact

    every = context.seeds(*_bands("impact"))
    seeds = every[: max(4, round(_IMPACT_SEEDS * len(every)))]
    measured = {}
    for seconds in lengths:
        metaorders = impact.ImpactStudy(context.scenario("calm", _at(seconds)), _SIZES, seeds, relaxation=0.0)
        folder = context.folder(f"impact-{seconds}", metaorders.job())
        result = impact.measure(metaorders, workers=context.workers, folder=folder, on_done=context.on_done)
        measured[seconds] = result["exponent"]
    said = ", ".join(f"{seconds} s {_exponent(measured[seconds])[0]:.2f}" for seconds in reversed(lengths))
    found = {}
    for seconds, base in _PAIRS:
        if seconds in measured and base in measured:
            (a, low_a, high_a), (b, low_b, high_b) = _exponent(measured[seconds]), _exponent(measured[base])
            down, up = math.hypot(a - low_a, high_b - b), math.hypot(high_a - a, b - low_b)
            found[f"step-impact-{base}-{seconds}"] = Measurement(a - b, a - b - down, a - b + up, len(seeds), said)
    return found


def _exponent(estimate: Mapping[str, Any]) -> tuple[float, float, float]:
    value = next(number(estimate[key]) for key in ("value", "estimate", "exponent", "mean") if key in estimate)
    return value, number(estimate["low"]), number(estimate["high"])
