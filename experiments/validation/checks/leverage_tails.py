"""Leverage and tails: liquidations fatten the tails of ten-minute returns near criticality, not below it.

Ten-minute returns of the day after open interest was given, nothing else happening, against the twin without
liquidations; pooled over seeds (:mod:`experiments.studies.tails`).
"""

from __future__ import annotations

import math
from typing import Any

from experiments.studies import tails as study
from experiments.validation.bands import CONSISTENT, ESTIMATE, Band, Context, Measurement, number

QUICK_SECONDS, FULL_SECONDS = 15.0, 90.0
_SOURCE = "design study: leverage and tails"
TARGETS = {"tails-below": 0.2, "tails-near": 1.65}

BANDS = (
    Band(
        "tails-below", "leverage and tails", "change of the 10-minute Hill exponent by liquidations at R0 0.2",
        "no detectable change", 0.0, 0.0, "", _SOURCE, "leverage_tails", 24, 100, rule=CONSISTENT,
    ),
    Band(
        "tails-near", "leverage and tails", "the same near criticality, at R0 1.65", "falls by at least 1",
        -math.inf, -1.0, "", _SOURCE, "leverage_tails", 24, 100, rule=ESTIMATE,
    ),
)  # fmt: skip


def check(context: Context) -> dict[str, Measurement]:
    """Measure the bands that are asked for."""
    targets = tuple(target for band, target in TARGETS.items() if context.wants(band))
    seeds = context.seeds()
    tails = study.Tails(context.scenario("shock"), targets, seeds)
    folder = context.folder("tails", tails.job())
    result = study.measure(tails, workers=context.workers, folder=folder, on_done=context.on_done)
    by = {one["target"]: one for one in result["tails"]}
    return {
        band: Measurement.of(by[target]["difference"], len(seeds), _note(by[target]), by[target]["returns"])
        for band, target in TARGETS.items()
        if target in by
    }


def _note(one: dict[str, Any]) -> str:
    on, off, r0 = number(one["on"]["value"]), number(one["off"]["value"]), number(one["r0_median"])
    return f"with {on:.2f}, without {off:.2f}; median R0 {r0:.2f}"
