"""From runs to the result of the study: estimates with intervals, paired differences, the frontier."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments import jobs
from experiments.contract_terms import money_of
from experiments.procyclicality.frontier import over_seeds
from experiments.procyclicality.measures import band
from experiments.procyclicality.names import measure_of
from experiments.procyclicality.tasks import AGAIN, FORK, FROZEN, PLACEBO, STEP, WHOLE
from experiments.statistics import holm, mean_interval, paired_difference, paired_summary, ratio_of_means, verdict
from experiments.store import plain

if TYPE_CHECKING:
    from experiments.procyclicality.study import Procyclicality

OBJECTIVES = ("mean_margin", "exceedance_rate", "peak_to_trough", "bad_debt")
"""Cost, coverage, procyclicality and default loss; smaller is better."""
DECIMALS = {"mean_margin": 5, "peak_to_trough": 2}
"""Objectives that differ by less are alike: requirements are rounded to minor units."""
OUTCOMES = ("drawdown", "volatility", "liquidated_share", "margin_calls", "bad_debt", "mean_initial_rate")
ENDOGENOUS = (
    "drawdown", "fall_at_end", "volatility", "liquidated_share", "liquidations", "margin_calls", "bad_debt",
    "mean_margin", "peak_margin", "margin_rise",
)  # fmt: skip
OWN_MARGIN = ("mean_margin", "peak_margin", "margin_rise")
"""What differs between a live and a frozen rule by construction: reported, not counted among the tests."""


def summary(study: Procyclicality, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The result: plain data, the content of ``summary.json``.

    Args:
        study: what was measured.
        runs: of all its units.

    Returns:
        ``measures``, ``differences``, ``placebo`` of whole runs (:func:`experiments.statistics.paired_summary`);
        ``lead_lag``, ``response`` and ``endogenous`` by regime; ``frontier``.
    """
    whole = [r for r in runs if r["kind"] == WHOLE]
    arms = {label: [r for r in whole if r["regime"] == label and not r["arm"]] for label in study.regimes}
    placebo = [r for r in whole if r["arm"] == PLACEBO]
    columns = {label: _columns(found) for label, found in arms.items()}
    names = _shown(study, columns[study.baseline])
    kept = {label: {name: by[name] for name in names if name in by} for label, by in columns.items()}
    families = {name: measure_of(name).family for name in names}
    base = _columns(placebo)
    statistics = paired_summary(
        kept, study.baseline, {name: base[name] for name in names if name in base}, families=families
    )
    event = study.fork_at
    step_at, step_steps = study.step_window()
    minute = study.scenario.market.dt_seconds / 60.0
    return plain(
        {
            "command": "procyclicality",
            "mode": "simulated",
            "scenario": study.scenario.name,
            "title": study.scenario.market.name,
            "regimes": study.regimes,
            "baseline": study.baseline,
            "seeds": study.seeds,
            "event_name": event,
            "settings": study.job()["options"],
            "units": {name: {"label": measure_of(name).label, "kind": measure_of(name).kind} for name in names},
            **statistics,
            "placebo_identical": _same(arms[study.baseline], placebo),
            "lead_lag": {label: _lead_lag(found) for label, found in arms.items()},
            "response": {
                "factor": study.factor, "from_step": step_at, "minutes": step_steps * minute, "unit": "min",
                "regimes": _responses(study, [r for r in runs if r["kind"] == STEP]),
            },
            "endogenous": _endogenous(study, [r for r in runs if r["kind"] == FORK]),
            "frontier": over_seeds(columns, OBJECTIVES, decimals=DECIMALS),
            "equal_cost": None if study.equal_cost is None else study.equal_cost["regimes"],
            "money": money_of(study.scenario),
            "runs": [{k: r[k] for k in ("kind", "regime", "seed", "arm", "measures", "results_hash") if k in r}
                     for r in runs],
            "results_hash": jobs.hash_of({**r, "arm": f"{r['kind']} {r['arm']}".strip()} for r in runs
                                         if r["arm"] not in (PLACEBO, AGAIN)),
            "complete": True,
        }
    )  # fmt: skip


def _shown(study: Procyclicality, known: Mapping[str, Any]) -> list[str]:
    spans = [name for name, _ in study.horizon_samples()]
    wanted = [
        "mean_margin", "exceedance_rate", "uncovered_loss", "peak_to_trough", "margin_volatility",
        *(f"{kind}_{span}" for kind in ("rise", "unit_call", "call_share", "called_share") for span in spans),
        "correlation_volatility", "lag_volatility_minutes", "correlation_price", "lag_price_minutes", *OUTCOMES,
    ]  # fmt: skip
    return [name for name in wanted if name in known]


def _columns(runs: Iterable[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    rows = [r["measures"] for r in runs]
    names = list(dict.fromkeys(name for row in rows for name in row))
    return {name: np.array([np.nan if row.get(name) is None else row[name] for row in rows], float) for name in names}


def _same(runs: Sequence[Mapping[str, Any]], others: Sequence[Mapping[str, Any]]) -> bool:
    return [r["results_hash"] for r in runs] == [r["results_hash"] for r in others]


def _table(rows: Iterable[Sequence[float | None]]) -> np.ndarray:
    return np.array([[np.nan if x is None else x for x in row] for row in rows], float)


def _lead_lag(runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    found: dict[str, Any] = {"lags_minutes": runs[0]["lags_minutes"]}
    for name in ("volatility", "price"):
        found[name] = band(_table(r["lead_lag"][name] for r in runs))
    return found


def _responses(study: Procyclicality, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Per regime the log of margin with the step over margin without it, by time since the step."""
    every = study.steps("sample") * study.scenario.market.dt_seconds / 60.0
    found = {}
    for label in study.regimes:
        own = [r for r in runs if r["regime"] == label]
        if not own:
            continue
        table = _table(r["response"] for r in own)
        ratios = np.array([np.nan if r["volatility_ratio"] is None else r["volatility_ratio"] for r in own], float)
        peaks, ends = table.max(axis=1), table[:, -max(table.shape[1] // 4, 1) :].mean(axis=1)
        mean = table.mean(axis=0)
        top = int(np.argmax(mean))
        half: list[int] = np.flatnonzero(mean >= 0.5 * mean[top]).tolist() if mean[top] > 0.0 else []
        found[label] = {
            "x": [k * every for k in range(table.shape[1])],
            "log_ratio": band(table),
            "peak_ratio": mean_interval(np.exp(peaks)),
            "end_ratio": mean_interval(np.exp(ends)),
            "overshoot": float(np.exp(mean[top] - ends.mean())),
            "minutes_to_half": half[0] * every if half else None,
            "volatility_ratio": mean_interval(ratios),
        }
    return found


def _endogenous(study: Procyclicality, runs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Live less frozen, per regime: what the rule itself brought about."""
    found: dict[str, Any] = {}
    for label in study.regimes:
        own = [r for r in runs if r["regime"] == label]
        if not own:
            continue
        live, frozen, again = ([r for r in own if r["arm"] == arm] for arm in ("", FROZEN, AGAIN))
        a, b = _columns(live), _columns(frozen)
        entry: dict[str, Any] = {
            "history": own[0]["history"],
            "live": {name: mean_interval(a[name]) for name in ENDOGENOUS},
            "frozen": {name: mean_interval(b[name]) for name in ENDOGENOUS},
            "differences": {name: paired_difference(a[name], b[name]) for name in ENDOGENOUS},
            "identical": _same(live, frozen),
            "placebo_identical": _same(frozen, again) if again else None,
            "path": _paths(live, frozen),
        }
        entry["feedback"] = _feedback(live, frozen)
        found[label] = entry
    tests = {
        (label, name): difference["p"]
        for label, entry in found.items() if not entry["identical"]
        for name, difference in entry["differences"].items() if name not in OWN_MARGIN
    }  # fmt: skip
    for (label, name), p in holm(tests).items():
        found[label]["differences"][name] |= {"p_holm": p, "comparisons": len(tests)}
    for entry in found.values():
        for name, difference in entry["differences"].items():
            tested = name not in OWN_MARGIN or entry["identical"]
            difference["verdict"] = verdict(difference) if tested else "untested"
    return found


def _paths(live: Sequence[Mapping[str, Any]], frozen: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Along the window: how far the live price is from the frozen one, and both margins."""
    prices = [_table(r["path"]["log_price"] for r in arm) for arm in (live, frozen)]
    margins = [_table(r["path"]["margin"] for r in arm) for arm in (live, frozen)]
    return {
        "minutes": live[0]["path"]["minutes"],
        "price_gap": band(np.expm1(prices[0] - prices[1])),
        "margin_live": band(margins[0]),
        "margin_frozen": band(margins[1]),
    }


def _feedback(live: Sequence[Mapping[str, Any]], frozen: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The rise of the published rate in two: what the market did by itself, and what the rule did to the market.

    The live rule's largest rate over that at the event, and the same of the rule in shadow on the path that margins
    did not move. None for a rule that cannot be in shadow.
    """
    if any(r["path"]["would"] is None for r in [*live, *frozen]):
        return None
    rises = []
    for arm in (live, frozen):
        table = _table(r["path"]["would"] for r in arm)
        rises.append(table.max(axis=1) / table[:, 0] - 1.0)
    return {
        "rise_live": mean_interval(rises[0]),
        "rise_exogenous": mean_interval(rises[1]),
        "rise_endogenous": paired_difference(rises[0], rises[1]),
        "gain": ratio_of_means(rises[0], rises[1]),
    }
