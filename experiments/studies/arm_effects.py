"""From the runs of a comparison of venues to estimates: outcomes, paired differences, effects of mark and policy."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import jobs
from experiments.contract_terms import money_of
from experiments.run import PLACEBO
from experiments.statistics import incidence_summary, mean_interval, paired_summary, t_interval
from experiments.store import plain
from experiments.studies.arms import Arm
from experiments.vocabulary import describe

if TYPE_CHECKING:
    from experiments.scenario import Scenario

OFF = "liquidations off"
"""Label of the twin."""
_PAID = ("pnl", "against_off", "liquidated")
_KEPT = ("regime", "seed", "arm", "measures", "results_hash")


def summary(
    scenario: Scenario, arms: Sequence[Arm], own: str, runs: Sequence[Mapping[str, Any]], facts: Mapping[str, Any]
) -> dict[str, Any]:
    """The result of a comparison of venues from its runs.

    Args:
        scenario: what was run.
        arms: the designs.
        own: label of the arm that is the scenario's own venue.
        runs: a record per arm and seed, placebo and twin among them.
        facts: what the result says of the study beside them.

    Returns:
        Plain data, the content of ``summary.json``.
    """
    by_label = {label: _of(runs, label) for label in [*(arm.label for arm in arms), OFF]}
    values = {label: _columns(found) for label, found in by_label.items() if label != OFF}
    placebo = _of(runs, own, PLACEBO)
    families = {name: name for name in values[own] if describe(name).family != "event"}
    paid = {label: _paid(found) for label, found in by_label.items()}
    return plain(
        {
            **facts,
            "scenario": scenario.name,
            "title": scenario.market.name,
            "dt_seconds": scenario.market.dt_seconds,
            "regimes": [arm.label for arm in arms],
            "baseline": own,
            "factors": {arm.label: dict(arm.factors) for arm in arms},
            "parameters": {arm.label: arm.stated() for arm in arms},
            **_with_t(paired_summary(values, own, _columns(placebo), families=families), values),
            "effects": effects(arms, values, own),
            "off": _means(_columns(by_label[OFF])),
            "incidence": incidence_summary(paid),
            "runs": [{key: r[key] for key in _KEPT} for r in runs],
            "results_hash": jobs.hash_of(runs),
            "placebo_identical": [r["results_hash"] for r in by_label[own]] == [r["results_hash"] for r in placebo],
            "money": money_of(scenario),
            "complete": True,
        }
    )


def effects(arms: Sequence[Arm], values: Mapping[str, Mapping[str, np.ndarray]], own: str) -> dict[str, dict[str, Any]]:
    """What each level of a factor does, averaged over the levels of the other: mark rules, and policies.

    Per seed and measure, an outcome under a level is its mean over the other factor, over those of its levels where
    both compared arms have a value; differences are then paired by seed like those of arms.

    Returns:
        Factor -> ``baseline`` (level) and ``differences`` {level: {measure: ...}}; p-values are corrected over the
        levels within a measure. Empty for arms without two factors.
    """
    crossed = {tuple(arm.factors.get(name, "") for name in ("policy", "mark")): arm.label for arm in arms}
    named = {key: label for key, label in crossed.items() if all(key)}
    found: dict[str, dict[str, Any]] = {}
    for place, factor in enumerate(("policy", "mark")):
        levels = list(dict.fromkeys(key[place] for key in named))
        if len(levels) < 2:
            continue
        at_own = [key[place] for key, label in named.items() if label == own]
        base = at_own[0] if at_own else levels[0]
        differences: dict[str, Any] = {}
        for level in levels:
            if level == base:
                continue
            pairs = [
                (values[named[key]], values[named[other]])
                for key in named
                if key[place] == level and (other := _swapped(key, place, base)) in named
            ]
            measures = [name for name in pairs[0][0] if describe(name).family != "event"] if pairs else []
            differences[level] = {name: _mean_difference([(a[name], b[name]) for a, b in pairs]) for name in measures}
        families = {name: name for by in differences.values() for name in by}
        nothing = {name: np.zeros_like(next(iter(differences.values()))[name]) for name in families}
        tested = paired_summary({base: nothing, **differences}, base, families=families)
        told = _with_t(tested, {base: nothing, **differences})["differences"]
        found[factor] = {"baseline": base, "levels": levels, "differences": told}
    return found


def _swapped(key: tuple[str, ...], place: int, level: str) -> tuple[str, ...]:
    return tuple(level if i == place else part for i, part in enumerate(key))


def _mean_difference(pairs: Sequence[tuple[np.ndarray, np.ndarray]]) -> np.ndarray:
    """Mean over pairs of arms of their differences by seed; NaN where no pair has both values."""
    differences = np.array([a - b for a, b in pairs])
    known = np.isfinite(differences)
    total = np.where(known, differences, 0.0).sum(axis=0)
    return np.where(known.any(axis=0), total / np.maximum(known.sum(axis=0), 1), np.nan)


def _with_t(statistics: dict[str, Any], values: Mapping[str, Mapping[str, np.ndarray]]) -> dict[str, Any]:
    """Add the t interval to each difference; the bootstrap's stands beside it."""
    base = next(label for label in values if label not in statistics["differences"])
    for label, by in statistics["differences"].items():
        for name, difference in by.items():
            difference["t"] = t_interval(values[label][name] - values[base][name])
    return statistics


def _means(columns: Mapping[str, np.ndarray]) -> dict[str, Any]:
    return {name: mean_interval(sample) for name, sample in columns.items()}


def _of(runs: Sequence[Mapping[str, Any]], label: str, arm: str = "") -> list[Mapping[str, Any]]:
    return [r for r in runs if r["regime"] == label and r["arm"] == arm]


def _columns(runs: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Measures as an array over seeds each; what a run could not measure is NaN."""
    names = list(dict.fromkeys(name for r in runs for name in r["measures"]))
    return {name: np.array([_number(r["measures"].get(name)) for r in runs]) for name in names}


def _number(value: float | None) -> float:
    return float("nan") if value is None else float(value)


def _paid(runs: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, np.ndarray]]:
    """Incidence as an array over seeds per population and quantity."""
    return {
        population: {name: np.array([_number(r["incidence"][population][name]) for r in runs]) for name in _PAID}
        for population in (runs[0]["incidence"] if runs else ())
    }
