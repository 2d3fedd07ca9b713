"""What a study found: at every point the regimes against the baseline, and over the points what the factors do.

Everything is computed from the rows that the store holds, so that a finished store can be summarised again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from experiments.contract_terms import money_of
from experiments.jobs import hash_of
from experiments.regimes import stated
from experiments.run import PLACEBO
from experiments.statistics import RESAMPLES, holm, incidence_differences, incidence_summary, paired_summary, verdict
from experiments.store import combined_hash, plain
from experiments.sweep.effects import effects
from experiments.sweep.study import Study
from experiments.sweep.units import FORKED, Point
from experiments.tabulated.tails import tails_of

if TYPE_CHECKING:
    import pandas as pd

FEWER_RESAMPLES = 1999
_MANY = 100  # paired tests; above it the fewer resamples


def summarise(
    study: Study, runs: pd.DataFrame, incidence: pd.DataFrame, failures: Sequence[Any] = ()
) -> dict[str, Any]:
    """The result of a study, as plain data.

    Args:
        study: the study.
        runs: one row per run: ``point, regime, arm, seed, results_hash`` and every measure.
        incidence: one row per run, population and quantity: ``point, regime, arm, seed, population, quantity, value``.
        failures: ``seed, kind, message, command`` of every unit that failed.

    Returns:
        ``points``: per point its values, the paired summary of the regimes, incidence and placebo; ``effects``: what
        each factor does to each outcome and to each difference; ``results_hash``, which depends on the results alone.
    """
    options = {"resamples": _resamples(study)}
    by_point = dict(tuple(runs.groupby("point", sort=True))) if len(runs) else {}
    paid = dict(tuple(incidence.groupby("point", sort=True))) if len(incidence) else {}
    outcomes = [name for name in study.outcomes if name in runs.columns]
    points = [
        point_summary(study, point, by_point.get(point.index, runs.iloc[:0]), paid.get(point.index), outcomes, options)
        for point in study.points
    ]
    correct_over_study(points)
    failed = [plain(entry) for entry in failures]
    first = study.points[0].scenario
    return {
        "study": study.name,
        "kind": "sweep",
        "title": study.title,
        "scenario": first.name,
        "reading": study.reading,
        "seeds": list(study.seeds),
        "regimes": list(study.regimes),
        "baseline": study.baseline,
        "outcomes": outcomes,
        "factors": [
            {
                "name": factor.title, "keys": list(factor.targets), "numeric": factor.is_numeric,
                "scale": factor.scale, "levels": _levels(study, factor.title),
            }
            for factor in study.factors
        ],
        "design": study.design.model_dump(exclude_none=True),
        "points": points,
        "effects": plain(effects(study, runs, outcomes, resamples=FEWER_RESAMPLES)),
        "statistics": points[0]["statistics"],
        "failures": failed,
        "complete": not failed,
        "money": money_of(first),
        "results_hash": results_hash(runs),
    }  # fmt: skip


def results_hash(runs: pd.DataFrame) -> str:
    """One hash of every run, placebos left out: independent of engine, workers, order and chunks."""
    columns = ("point", "regime", "arm", "seed", "results_hash")
    records = runs[list(columns)].to_dict("records") if len(runs) else []
    by_point: dict[int, list[dict[str, Any]]] = {}
    for record in records:
        by_point.setdefault(int(record["point"]), []).append({**record, "seed": int(record["seed"])})
    return combined_hash((str(point), hash_of(found)) for point, found in by_point.items())


def point_summary(
    study: Study, point: Point, runs: pd.DataFrame, incidence: pd.DataFrame | None, outcomes: Sequence[str],
    options: Mapping[str, Any],
) -> dict[str, Any]:  # fmt: skip
    """The paired summary of one point, its incidence and its placebo."""
    seeds = np.sort(runs["seed"].unique()) if len(runs) else np.array([], np.int64)
    main, placebo = _arm(runs, ""), _arm(runs, PLACEBO)
    values = {label: columns_of(main, label, seeds, outcomes) for label in study.regimes}
    found = paired_summary(values, study.baseline, _placebo(study, main, placebo, outcomes), **options)
    by_population = _by_population(study, incidence, seeds)
    labels = {factor.title: factor.label(point.values[factor.title]) for factor in study.factors}
    return plain(
        {
            "point": point.index,
            "values": dict(point.values),
            "labels": labels,
            "scenario": point.source,
            "event": point.event,
            "seeds": len(seeds),
            "parameters": {label: stated(point.scenario, label) for label in study.regimes},
            **found,
            "tails": tails_of(values, study.baseline, outcomes),
            "placebo_identical": _identical(study, main, placebo),
            "incidence": incidence_summary(by_population, resamples=FEWER_RESAMPLES),
            "incidence_differences": _profit_differences(study, by_population),
            "scales": _scales(main),
        }
    )  # type: ignore[no-any-return]


def columns_of(
    runs: pd.DataFrame, label: str, seeds: NDArray[np.int64], outcomes: Sequence[str]
) -> dict[str, NDArray[np.float64]]:
    """Measures of a regime as an array over seeds each, NaN where a run is missing or could not measure."""
    found = runs[runs["regime"] == label].set_index("seed").reindex(seeds)
    return {name: found[name].to_numpy(np.float64) for name in outcomes}


def correct_over_study(points: Sequence[Mapping[str, Any]]) -> None:
    """Correct p-values over points too: what is tested at every point is one family of tests."""
    groups: dict[str, dict[tuple[int, str, str], float | None]] = {}
    for place, point in enumerate(points):
        for label, by in point["differences"].items():
            for name, entry in by.items():
                groups.setdefault(entry["family"], {})[place, label, name] = entry["p"]
    for group in groups.values():
        comparisons = sum(p is not None for p in group.values())
        for (place, label, name), p_holm in holm(group).items():
            entry = points[place]["differences"][label][name]
            entry["p_holm"], entry["comparisons"] = p_holm, comparisons
            entry["verdict"] = verdict(entry, level=float(points[place]["statistics"]["level"]))


def _resamples(study: Study) -> int:
    tests = len(study.points) * len(study.outcomes) * max(1, len(study.regimes) - 1)
    return RESAMPLES if tests <= _MANY else FEWER_RESAMPLES


def _levels(study: Study, name: str) -> list[Any] | None:
    """The levels of a factor with few of them, in the order of the design."""
    found: list[Any] = []
    for point in study.points:
        if point.values[name] not in found:
            found.append(point.values[name])
    return found if len(found) <= max(12, len(study.points) // 2) else None


def _arm(runs: pd.DataFrame, arm: str) -> pd.DataFrame:
    return runs[runs["arm"].fillna("") == arm] if len(runs) else runs


def _placebo(
    study: Study, main: pd.DataFrame, placebo: pd.DataFrame, outcomes: Sequence[str]
) -> dict[str, NDArray[np.float64]] | None:
    """Measures of the placebo over the seeds of the baseline; a seed whose placebo failed stands for itself."""
    if not len(placebo):
        return None
    seeds = np.sort(main["seed"].unique())
    again = columns_of(placebo, study.baseline, seeds, outcomes)
    base = columns_of(main, study.baseline, seeds, outcomes)
    ran = np.isin(seeds, placebo["seed"]) & np.isin(seeds, main.loc[main["regime"] == study.baseline, "seed"])
    return {name: np.where(ran, again[name], base[name]) for name in outcomes}


def _identical(study: Study, main: pd.DataFrame, placebo: pd.DataFrame) -> bool | None:
    """Whether baseline and placebo agree in every byte on every seed that has both."""
    if not len(placebo):
        return None
    base = main[main["regime"] == study.baseline].set_index("seed")["results_hash"]
    again = placebo.set_index("seed")["results_hash"]
    both = base.index.intersection(again.index)
    return bool((base.loc[both] == again.loc[both]).all())


def _by_population(
    study: Study, rows: pd.DataFrame | None, seeds: NDArray[np.int64]
) -> dict[str, dict[str, dict[str, NDArray[np.float64]]]]:
    """Regime -> population -> quantity -> array over seeds, NaN where a run failed; placebos left out."""
    if rows is None or not len(rows):
        return {}
    rows = rows[rows["arm"].fillna("") == ""]
    table: dict[str, dict[str, dict[str, NDArray[np.float64]]]] = {label: {} for label in study.regimes}
    for (label, population, quantity), found in rows.groupby(["regime", "population", "quantity"], sort=False):
        by = table.setdefault(str(label), {}).setdefault(str(population), {})
        by[str(quantity)] = found.set_index("seed")["value"].reindex(seeds).to_numpy(np.float64)
    return table


def _profit_differences(
    study: Study, table: Mapping[str, Mapping[str, Mapping[str, NDArray[np.float64]]]]
) -> dict[str, Any]:
    """Who gains and who loses against the baseline: paired differences of profit, Holm over regimes and populations."""
    profit = {
        label: {population: {"pnl": found["pnl"]} for population, found in by.items() if "pnl" in found}
        for label, by in table.items()
    }
    if len(profit) < 2 or not profit.get(study.baseline):
        return {}
    return incidence_differences(profit, study.baseline, resamples=FEWER_RESAMPLES)


def _scales(runs: pd.DataFrame) -> dict[str, float]:
    """Mean factor on the rates of each arm, where arms were scaled."""
    if "scale" not in runs.columns or not runs["scale"].notna().any():
        return {}
    return {str(label): float(value) for label, value in runs.groupby("regime", sort=False)["scale"].mean().items()}


def combine(study: Study, parts: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
    """The result of a study of parts."""
    return {
        "study": study.name,
        "kind": "sweep",
        "title": study.title,
        "parts": dict(parts),
        "failures": [{"part": name, **entry} for name, part in parts.items() for entry in part["failures"]],
        "complete": all(part["complete"] for part in parts.values()),
        "results_hash": combined_hash((name, part["results_hash"]) for name, part in parts.items()),
    }


__all__ = ["FORKED", "combine", "results_hash", "summarise"]
