"""Pairing: what keyed draws save, and that arms share their past to the bit."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from experiments.studies import pairing as study
from experiments.validation.bands import ESTIMATE, Band, Context, Measurement, number

QUICK_SECONDS, FULL_SECONDS = 10.0, 60.0
TARGET = 0.2  # no reduction is to be expected where cascades make the arms differ for good
_SOURCE = "design study: pairing"
_NOT_STATED = "design study gives 12-13 at 60 and at 240 steps; the band is ours"

_VARIANCE = "variance reduction by pairing, log change of the mid"


def _band(id: str, question: str, statement: str, low: float, high: float, source: str = _SOURCE) -> Band:
    return Band(id, "pairing", question, statement, low, high, "", source, "pairing", 24, 100, rule=ESTIMATE)


BANDS = (
    _band("pairing-60", f"{_VARIANCE} after 60 minutes, liquidations on/off", "at least 8", 8.0, math.inf),
    _band(
        "pairing-240", f"{_VARIANCE} after 240 minutes, liquidations on/off", "at least 8", 8.0, math.inf, _NOT_STATED
    ),
    _band(
        "pairing-initial", f"{_VARIANCE} after 60 minutes, initial margin 2 against 2.5 %", "at least 8", 8.0, math.inf,
        "design study gives 19-21; the band is ours",
    ),
    _band("pairing-state", "arrays that differ before the fork, over arms and a second run", "0", 0.0, 0.0),
)  # fmt: skip

_ESTIMATES = {
    "pairing-60": "liquidations_60", "pairing-240": "liquidations_240", "pairing-initial": "initial_60",
}  # fmt: skip


def check(context: Context) -> dict[str, Measurement]:
    """Measure the bands that are asked for."""
    seeds = context.seeds()
    pairing = study.Pairing(context.scenario("shock"), (TARGET,), seeds)
    folder = context.folder("pairing", pairing.job())
    (one,) = study.measure(pairing, workers=context.workers, folder=folder, on_done=context.on_done)["pairing"]
    note = f"at a median R0 of {number(one['r0_median']):.2f}"
    found = {band: _reduction(one[name], len(seeds), note) for band, name in _ESTIMATES.items()}
    exact = "" if one["repeated"] else "; a second run ended differently"
    found["pairing-state"] = Measurement.exact(float(one["differing"]), len(seeds), f"three arms a seed{exact}")
    return {band.id: found[band.id] for band in context.bands}


def _reduction(estimate: Mapping[str, Any], seeds: int, note: str) -> Measurement:
    equal = estimate["equal"]
    said = f"{note}; {equal} of {estimate['n']} pairs do not differ at all"
    if estimate["value"] is None and equal == estimate["n"]:
        # no finite factor says it: independent runs never get there
        return Measurement.exact(1e6, seeds, f"{note}; no pair differs at all, shown as a million")
    return Measurement(number(estimate["value"]), number(estimate["low"]), number(estimate["high"]), seeds, said)
