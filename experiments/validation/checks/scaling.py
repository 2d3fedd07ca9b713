"""Finite-size scaling: where cascades set in, and whether the onset sharpens in larger markets."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from experiments.studies import crossover as study
from experiments.studies.crossover_fits import UNIFORM
from experiments.studies.sizes import FINER, WAYS
from experiments.validation.bands import CONSISTENT, ESTIMATE, WITHIN, Band, Context, Measurement, number

QUICK_SECONDS, FULL_SECONDS = 40.0, 900.0
_SOURCE = "design study: a sharp crossover lies near 1.1-1.7, with a bimodal share of open interest liquidated"
_OPEN = "design study: finite-size scaling is an open problem, so the answer is reported without a band"
_QUICK = {"factors": (1, 4), "targets": (0.7, 1.3, 2.0, 2.5)}
_WHOLE_SEEDS = 0.3  # of the seeds are run at the largest size of the whole market, which takes longest

_EXPONENT = "exponent b of width ~ size^-b (0: a crossover keeps its width)"

BANDS = (
    Band(
        "crossover-position", "finite-size scaling", "R0 at which half of the runs lose over 30 % of leveraged lots",
        "1.1 to 1.7", 1.1, 1.7, "", _SOURCE, "scaling", 12, 60, rule=CONSISTENT,
    ),
    Band(
        "crossover-bimodality", "finite-size scaling", "Sarle's coefficient of the share where it varies most",
        "above 5/9, a uniform distribution's", UNIFORM, 1.0, "", _SOURCE, "scaling", 12, 60, rule=ESTIMATE,
    ),
    Band(
        "crossover-width-finer", "finite-size scaling", f"{_EXPONENT}, leveraged traders x4 and x16 in one market",
        "reported", -math.inf, math.inf, "", _OPEN, "scaling", 12, 60, rule=WITHIN,
    ),
    Band(
        "crossover-width-whole", "finite-size scaling", f"{_EXPONENT}, the whole market x4 and x16",
        "reported", -math.inf, math.inf, "", _OPEN, "scaling", 12, 60, rule=WITHIN,
    ),
)  # fmt: skip


def check(context: Context) -> dict[str, Measurement]:
    """Measure the bands that are asked for."""
    seeds = context.seeds()
    sizes: dict[str, Any] = dict(_QUICK) if context.quick else {"most": max(1, round(_WHOLE_SEEDS * len(seeds)))}
    ways = tuple(way for way in WAYS if context.wants(f"crossover-width-{way}"))
    if not ways:
        ways, sizes = (FINER,), sizes | {"factors": (1,)}
    crossover = study.Crossover(context.scenario("shock"), seeds, ways=ways, **sizes)
    folder = context.folder("sizes", crossover.job())
    result = study.measure(crossover, workers=context.workers, folder=folder, on_done=context.on_done)
    base = next(size for size in result["sizes"] if size["factor"] == 1)
    found = {
        "crossover-position": Measurement.of(base["position"], len(seeds), f"10 to 90 % over {_ratio(base)} in R0"),
        "crossover-bimodality": Measurement.of(base["bimodality"], len(seeds), "at the R0 where shares vary most"),
    }
    for way in ways:
        if way in result["ways"]:
            found[f"crossover-width-{way}"] = _trend(result, way, len(seeds))
    return {band.id: found[band.id] for band in context.bands}


def _ratio(size: Mapping[str, Any]) -> str:
    """How many times larger R0 is at 90 % than at 10 %."""
    width = number(size["width"]["value"])
    return f"a factor of {math.exp(width):.2g}" if math.isfinite(width) and width < 20 else "more than was measured"


def _trend(result: Mapping[str, Any], way: str, seeds: int) -> Measurement:
    trend = result["ways"][way]
    width = trend["width"]
    chosen = [size for size in result["sizes"] if size["way"] == way or size["factor"] == 1]
    widths = ", ".join(f"x{size['factor']} {number(size['width']['value']):.2f}" for size in chosen)
    low, high = number(width["low"]), number(width["high"])
    said = "narrows" if low > 0 else "widens" if high < 0 else "no change of width detectable"
    return Measurement.of(width, seeds, f"{said}; width in ln R0: {widths}")
