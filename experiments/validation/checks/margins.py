"""Margin regimes forked at a shock: what a rate that follows volatility adds, at equal cost too, and a placebo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from experiments.scenario import Scenario
from experiments.studies import forked_margin as study
from experiments.studies.setups import seeding
from experiments.validation.bands import CONSISTENT, ESTIMATE, WITHIN, Band, Context, Measurement, number

QUICK_SECONDS, FULL_SECONDS = 35.0, 420.0
_R0 = 0.6  # aimed at by the scenario's own scale; leverage of 3 to 25 and an earlier seeding give less
_SOURCE = "design study: margin regimes, forked at the shock, 60 pairs, dynamic less static"
_OURS = "design study: the comparison at equal mean margin; the band (an effect of either sign is an answer) is ours"

_DRAWDOWN = "drawdown added after a forced sale"
_FORCED = "leveraged open interest liquidated in addition after a forced sale"


def _band(
    id: str, question: str, statement: str, low: float, high: float, unit: str, quick: int = 12, full: int = 60,
    rule: str = CONSISTENT, source: str = _SOURCE,
) -> Band:  # fmt: skip
    return Band(id, "margin regimes", question, statement, low, high, unit, source, "margins", quick, full, rule)


BANDS = (
    _band("margin-drawdown-fast", f"{_DRAWDOWN}, lambda .94 a minute", "1.1 to 2.1 pp", 1.1, 2.1, "pp"),
    _band("margin-drawdown-slow", f"{_DRAWDOWN}, lambda .99 a minute", "0.6 to 1.5 pp", 0.6, 1.5, "pp"),
    _band(
        "margin-drawdown-fast-10min", f"{_DRAWDOWN}, the same memory, ten-minute samples", "1.1 to 2.1 pp", 1.1, 2.1,
        "pp",
    ),
    _band(
        "margin-drawdown-slow-10min", f"{_DRAWDOWN}, the same memory, ten-minute samples", "0.6 to 1.5 pp", 0.6, 1.5,
        "pp",
    ),
    _band("margin-liquidated-fast", f"{_FORCED}, lambda .94", "10 to 35 points", 10.0, 35.0, "points"),
    _band("margin-liquidated-slow", f"{_FORCED}, lambda .99", "10 to 35 points", 10.0, 35.0, "points"),
    _band(
        "margin-bad-debt-sale", "bad debt added after a forced sale, lambda .94, bp of open interest",
        "nothing detectable", 0.0, 0.0, "bp",
    ),
    _band(
        "margin-bad-debt-turbulence", "bad debt added when volatility triples for 4 h, lambda .94, bp of open interest",
        "about -0.5 bp (-1 to -0.1)", -1.0, -0.1, "bp", 0, 120,
    ),
    _band(
        "margin-equal-cost", "drawdown added over a fixed rate at the same mean level from the sale on, lambda .94",
        "effect and interval", -10.0, 10.0, "pp", rule=WITHIN, source=_OURS,
    ),
    _band("margin-placebo", "static against static: largest difference of any measure", "0", 0.0, 0.0, "",
          rule=ESTIMATE),
)  # fmt: skip

_DIFFERENCES = {
    "margin-drawdown-fast": ("fast_1min", "drawdown", 100.0),
    "margin-drawdown-slow": ("slow_1min", "drawdown", 100.0),
    "margin-drawdown-fast-10min": ("fast_10min", "drawdown", 100.0),
    "margin-drawdown-slow-10min": ("slow_10min", "drawdown", 100.0),
    "margin-liquidated-fast": ("fast_1min", "liquidated_leveraged_share", 100.0),
    "margin-liquidated-slow": ("slow_1min", "liquidated_leveraged_share", 100.0),
    "margin-bad-debt-sale": ("fast_1min", "bad_debt_bp", 1.0),
}
_TURBULENCE = "margin-bad-debt-turbulence"


def check(context: Context) -> dict[str, Measurement]:
    """Measure the bands that are asked for."""
    found: dict[str, Measurement] = {}
    after_sale = (*_DIFFERENCES, "margin-equal-cost", "margin-placebo")
    if context.wants(*after_sale):
        seeds = context.seeds(*after_sale)
        one = _measured(context, study.SALE, seeds)
        for band, (arm, measure, factor) in _DIFFERENCES.items():
            note = _incidence(one, arm) if measure == "liquidated_leveraged_share" else _rates(one, arm)
            found[band] = _scaled(one["differences"][arm][measure], factor, len(seeds), note)
        note = f"of {_of(one['differences']['fast_1min']['drawdown'], 100.0)} pp in all"
        found["margin-equal-cost"] = _scaled(one["equal_cost"]["fast_1min"]["drawdown"], 100.0, len(seeds), note)
        found["margin-placebo"] = _placebo(one, len(seeds))
    if context.wants(_TURBULENCE):
        seeds = context.seeds(_TURBULENCE)
        one = _measured(context, study.TURBULENCE, seeds)
        static = number(one["measures"]["bad_debt_bp"]["static"]["mean"])
        note = f"static has {static:.2g} bp, from which something could be taken"
        found[_TURBULENCE] = _scaled(one["differences"]["fast_1min"]["bad_debt_bp"], 1.0, len(seeds), note)
    return {band.id: found[band.id] for band in context.bands}


def _measured(context: Context, event: str, seeds: tuple[int, ...]) -> Mapping[str, Any]:
    market = context.scenario("shock")
    forked = study.ForkedMargin(market, seeds, (event,), depth_multiple=_depth_multiple(market))
    folder = context.folder(event, forked.job())
    result = study.measure(forked, workers=context.workers, folder=folder, on_done=context.on_done)
    one: Mapping[str, Any] = result["events"][event]
    return one


def _depth_multiple(market: Scenario) -> float:
    """Open interest over bid depth for a market well below the onset of cascades: above it every rule ends in one."""
    seeded = seeding(market)
    return float(seeded.per_bid_depth) * _R0 / float(seeded.r0)  # type: ignore[arg-type]


def _scaled(estimate: Mapping[str, Any], factor: float, seeds: int, note: str) -> Measurement:
    value, low, high = (factor * number(estimate[key]) for key in ("mean", "low", "high"))
    return Measurement(value, low, high, seeds, note)


def _of(estimate: Mapping[str, Any], factor: float) -> str:
    return f"{factor * number(estimate['mean']):.2g}"


def _rates(one: Mapping[str, Any], arm: str) -> str:
    """Mean initial rates before and after the fork, and R0 at it."""
    after = 100 * number(one["measures"]["mean_initial_rate"][arm]["mean"])
    r0 = number(one["measures"]["r0_event"]["static"]["mean"])
    return f"initial rate {100 * one['mean_rate_before'][arm]:.2f} % before, {after:.1f} % after; mean R0 {r0:.2f}"


def _incidence(one: Mapping[str, Any], arm: str) -> str:
    """The population that bears most of the liquidations, and what it loses more than under the fixed rate."""
    by = one["incidence"][arm]
    who = max(by, key=lambda name: number(by[name]["liquidated"]["mean"]))
    forced = number(by[who]["liquidated"]["mean"])
    whole = sum(number(by[name]["liquidated"]["mean"]) for name in by)
    return f"{forced / whole:.0%} of it of the population {who}" if whole > 0 else "nobody was liquidated"


def _placebo(one: Mapping[str, Any], seeds: int) -> Measurement:
    values = list(one["placebo"].values())
    if any(value is None for value in values) or not one["placebo_identical"]:
        return Measurement.missing("arms of the same rule gave different results", seeds)
    return Measurement.exact(max(values), seeds, f"{len(values)} measures, results equal to the byte")
