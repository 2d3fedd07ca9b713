"""Impact of metaorders: concave in size without liquidations, higher but of the same shape with them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from experiments.events import SeedOpenInterest
from experiments.impact.study import ImpactStudy, measure
from experiments.scenario import Scenario
from experiments.validation.bands import CONSISTENT, ESTIMATE, SHOCK, Band, Context, Measurement, number

QUICK_SECONDS, FULL_SECONDS = 20.0, 250.0

SIZES = (0.002, 0.005, 0.01, 0.02, 0.05, 0.1)
"""Shares of daily volume, worked at 20 % of mean volume."""
_EMPIRICAL = "Toth et al. (2011), Phys. Rev. X 1, 021006; Donier and Bonart (2015), Market Microstructure and Liquidity"
_TABLE = "design study of this simulator"
_LEVELS = ((1.0, 1.3), (2.5, 2.0))  # R0 and the least ratio of prefactors


def _prefactors() -> list[Band]:
    bands = []
    for r0, least in _LEVELS:
        shared: dict[str, Any] = {"unit": "", "source": _TABLE, "check": "impact", "full_seeds": 60, "market": SHOCK}
        bands.append(
            Band(
                f"impact-prefactor-r0-{r0:g}", "metaorder impact",
                f"Prefactor of impact of sales with liquidations over that without, at R0 about {r0:g}?",
                f"at least {least:g}", least, math.inf, quick_seeds=8, **shared,
            )
        )  # fmt: skip
        bands.append(
            Band(
                f"impact-exponent-change-r0-{r0:g}", "metaorder impact",
                f"Change of that exponent by liquidations, at R0 about {r0:g}?", "not significant", 0.0, 0.0,
                quick_seeds=0, rule=CONSISTENT, **shared,
            )
        )  # fmt: skip
    return bands


BANDS = (
    Band(
        "impact-exponent", "metaorder impact", "Exponent of impact in size, 0.2 to 10 % of daily volume?",
        "0.45 to 0.70", 0.45, 0.70, "", f"{_TABLE}; {_EMPIRICAL}", "impact", 12, 80,
    ),
    Band(
        "impact-standard-error", "metaorder impact", "Standard error of that exponent?", "at most 0.05", 0.0, 0.05, "",
        _TABLE, "impact", 0, 80, rule=ESTIMATE,
    ),
    *_prefactors(),
)  # fmt: skip


def check(context: Context) -> Mapping[str, Measurement]:
    """Measure impact on paired seeds, then at each R0 with liquidations and without."""
    found: dict[str, Measurement] = {}
    own = ("impact-exponent", "impact-standard-error")
    if context.wants(*own):
        fitted, error = exponent(context, "exponent", context.scenario("calm"), context.seeds(*own))
        found["impact-exponent"] = fitted
        found["impact-standard-error"] = Measurement.exact(error, fitted.seeds)
    for r0, _ in _LEVELS:
        ids = (f"impact-prefactor-r0-{r0:g}", f"impact-exponent-change-r0-{r0:g}")
        if not context.wants(*ids):
            continue
        market = context.scenario("shock")
        study = ImpactStudy(
            market, SIZES, context.seeds(*ids), liquidations="compare", r0=r0, relaxation=0.0, sides="sell",
            at_step=_seeded(market), plugins=context.plugins,
        )  # fmt: skip
        result = measured(context, f"r0-{r0:g}", study)
        effect, at = result["liquidations"]["effect"], result["at_start"]["r0"]["median"]
        note = f"R0 at the start {at:.2f} in the median"
        found[ids[0]] = _of(effect["prefactor_ratio"], study, note)
        change = effect["exponent_change"]
        found[ids[1]] = _of(change, study, _detectable(change))
    return found


def _seeded(market: Scenario) -> int | None:
    """The step after open interest is seeded: an hour later a high R0 has begun to fall without a metaorder."""
    steps = [market.event_steps[event.name] for event in market.events if isinstance(event, SeedOpenInterest)]
    return max(steps) + 1 if steps else None


def exponent(context: Context, part: str, scenario: Scenario, seeds: tuple[int, ...]) -> tuple[Measurement, float]:
    """The exponent of a market and its standard error."""
    study = ImpactStudy(scenario, SIZES, seeds, relaxation=0.0, plugins=context.plugins)
    result = measured(context, part, study)
    fitted, prefactor = result["exponent"], result["prefactor"]["value"]
    flat = [row["size"] for row in result["curve"] if row["significant"] is False]
    note = f"prefactor {number(prefactor):.2f}"
    if flat:
        note += f"; impact not above zero at sizes {', '.join(f'{size:g}' for size in flat)}"
    return _of(fitted, study, note), number(fitted["se"])


def measured(context: Context, part: str, study: ImpactStudy) -> dict[str, Any]:
    """Run an impact study in the check's own folder."""
    return measure(study, workers=context.workers, folder=context.folder(part, study.job()), on_done=context.on_done)


def _of(estimate: Mapping[str, Any], study: ImpactStudy, note: str) -> Measurement:
    value, low, high = (number(estimate[key]) for key in ("value", "low", "high"))
    n = len(study.seeds)
    return Measurement(value, low, high, n, note)


def _detectable(change: Mapping[str, Any]) -> str:
    if change["low"] is None or change["high"] is None:
        return ""
    return f"a change of {(change['high'] - change['low']) / 2:.2f} would show"
