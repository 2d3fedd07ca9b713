"""Cascades: how much liquidations deepen a fall, at three values of R0, and with a mark that is slower than the mid."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from experiments.studies import cascades as study
from experiments.studies.setups import with_clearing
from experiments.validation.bands import CONSISTENT, ESTIMATE, Band, Context, Measurement

QUICK_SECONDS, FULL_SECONDS = 25.0, 180.0
_SOURCE = "design study: cascades, 80-100 pairs, liquidations off only from the shock onward"
_EMA_HALF_LIFE = 60.0 * math.log(0.5) / math.log(0.9)  # weight .1 per minute
_LOW, _NEAR, _HIGH = 0.2, 1.1, 1.65


def _band(id: str, question: str, statement: str, low: float, high: float, unit: str = "", **more: Any) -> Band:
    given: dict[str, Any] = {"source": _SOURCE, "quick_seeds": 24, "full_seeds": 100} | more
    return Band(id, "cascades", question, statement, low, high, unit, check="cascades", **given)


BANDS = (
    _band("cascade-low", "drawdown multiplier at R0 0.2", "at most 1.15", 0.0, 1.15, rule=ESTIMATE),
    _band("cascade-near", "drawdown multiplier at R0 1.1", "interval above 1.3", 1.3, math.inf),
    _band("cascade-high", "drawdown multiplier at R0 1.65", "at least 2", 2.0, math.inf, rule=ESTIMATE),
    _band(
        "cascade-probability", "P(more than 30 % of leveraged open interest liquidated) at R0 1.65", "at least 0.3",
        0.3, 1.0, rule=ESTIMATE,
    ),
    _band(
        "cascade-ema", "drawdown multiplier at R0 1.1 with an EMA mark (weight .1 a minute)", "about 1.15", 1.0, 1.3,
        source="design study: the multiplier falls from 1.5-1.6 to 1.15; the range around it is ours", rule=CONSISTENT,
    ),
)  # fmt: skip


def check(context: Context) -> dict[str, Measurement]:
    """Measure the bands that are asked for."""
    found: dict[str, Measurement] = {}
    scenario = context.scenario("shock")
    plain = ("cascade-low", "cascade-near", "cascade-high", "cascade-probability")
    if context.wants(*plain):
        wanted = {"cascade-low": _LOW, "cascade-near": _NEAR, "cascade-high": _HIGH, "cascade-probability": _HIGH}
        targets = tuple(sorted({r0 for band, r0 in wanted.items() if context.wants(band)}))
        by = _measured(context, "mid", study.Cascades(scenario, targets, context.seeds(*plain)))
        for band, target in wanted.items():
            if target in by and context.wants(band):
                one = by[target]
                estimate = one["cascade_probability" if band == "cascade-probability" else "multiplier"]
                found[band] = Measurement.of(estimate, len(context.seeds(*plain)), _note(one))
    if context.wants("cascade-ema"):
        seeds = context.seeds("cascade-ema")
        slower = with_clearing(scenario, mark="ema", mark_ema_half_life_seconds=_EMA_HALF_LIFE)
        one = _measured(context, "ema", study.Cascades(slower, (_NEAR,), seeds))[_NEAR]
        note = f"of the mid; of the mark itself {_number(one['multiplier']['ratio'])}; {_note(one)}"
        found["cascade-ema"] = Measurement.of(one["multiplier_mid"], len(seeds), note)
    return found


def _measured(context: Context, part: str, cascades: study.Cascades) -> dict[float, Mapping[str, Any]]:
    folder = context.folder(part, cascades.job())
    result = study.measure(cascades, workers=context.workers, folder=folder, on_done=context.on_done)
    return {one["target"]: one for one in result["cascades"]}


def _note(one: Mapping[str, Any]) -> str:
    """R0 and open interest at the shock, which belong beside every cascade result."""
    share, lots = one["liquidated_share"]["mean"], one["open_interest"]["mean"]
    return f"median R0 {_number(one['r0_median'])}, {lots:,.0f} lots open, {_number(share)} of them liquidated"


def _number(value: float | None) -> str:
    return "?" if value is None else f"{value:.2f}"
