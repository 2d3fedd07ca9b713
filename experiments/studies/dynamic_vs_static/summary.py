"""What the runs of a part say: every rule against the fixed rate, every tool against the bare rule, who paid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from experiments import jobs, run
from experiments.contract_terms import money_of
from experiments.statistics import holm, paired_difference, paired_summary
from experiments.studies.dynamic_vs_static.arms import AT_FORK, THROUGH
from experiments.studies.dynamic_vs_static.design import Design
from experiments.studies.dynamic_vs_static.reactions import LABELS

Runs = Sequence[Mapping[str, Any]]
WHOLE = "whole runs"
"""The one reading of the part that is not forked."""
BARE = "dynamic"
"""The rule that every tool is put on."""


def readings(design: Design) -> tuple[str, ...]:
    """In which senses margin is equal."""
    return (WHOLE,) if design.fork_at is None else (AT_FORK, THROUGH)


def summary(design: Design, factors: Mapping[str, Mapping[str, float]], runs: Runs) -> dict[str, Any]:
    """The result of a part.

    Args:
        design: the part.
        factors: of equal mean margin, as :func:`experiments.studies.dynamic_vs_static.equal.factors` gives them.
        runs: records of all arms.

    Returns:
        ``readings``: by reading the paired summary against the baseline (``measures``, ``differences``, ``placebo``),
        ``tools`` (each tool against the bare rule) and ``incidence`` (profit by population against the baseline, Holm
        over rules and populations); with the factors, the placebo's verdict, R0 and a results hash.
    """
    baseline = _of(runs, design.baseline, "")
    placebo = _of(runs, design.baseline, run.PLACEBO)
    found = {}
    for reading in readings(design):
        arm = "" if reading == WHOLE else reading
        arms = {design.baseline: baseline} | {rule: _of(runs, rule, arm) for rule in design.rules}
        found[reading] = _reading(design, arms, placebo)
    r0 = [r["measures"].get("r0_event") for r in baseline]
    return {
        "study": "dynamic-vs-static",
        "part": design.part,
        "scenario": design.scenario.name,
        "seeds": design.seeds,
        "pilot": design.pilot,
        "regimes": design.regimes,
        "baseline": design.baseline,
        "factors": factors,
        "readings": found,
        "r0_median": float(np.median([np.nan if value is None else value for value in r0])),
        "placebo_identical": [r["results_hash"] for r in baseline] == [r["results_hash"] for r in placebo],
        "money": money_of(design.scenario),
        "results_hash": jobs.hash_of(runs),
    }


def _reading(design: Design, arms: Mapping[str, Runs], placebo: Runs) -> dict[str, Any]:
    names = [*design.outcomes, *LABELS]
    columns = {label: {name: _column(runs, name) for name in names} for label, runs in arms.items()}
    statistics = paired_summary(
        columns,
        design.baseline,
        {name: _column(placebo, name) for name in names},
        families=dict.fromkeys(LABELS, "procyclicality"),
    )
    tools = {
        rule: {name: paired_difference(columns[rule][name], columns[BARE][name]) for name in names}
        for rule in design.rules
        if rule != BARE
    }
    _correct(tools)
    populations = [spec.name for spec in design.scenario.populations]
    incidence = {
        rule: {
            name: paired_difference(_profit(arms[rule], name), _profit(arms[design.baseline], name))
            for name in populations
        }
        for rule in design.rules
    }
    _correct(incidence)
    return {**statistics, "tools": tools, "incidence": incidence}


def _correct(table: Mapping[str, Mapping[str, dict[str, Any]]]) -> None:
    """Holm's correction over all entries of a table of differences, in place."""
    adjusted = holm({(row, name): entry["p"] for row, by in table.items() for name, entry in by.items()})
    for (row, name), p in adjusted.items():
        table[row][name]["p_holm"] = p


def _of(runs: Runs, label: str, arm: str) -> Runs:
    return [r for r in runs if r["regime"] == label and r["arm"] == arm]


def _column(runs: Runs, name: str) -> NDArray[np.float64]:
    values = [r["measures"].get(name) for r in runs]
    return np.array([np.nan if value is None else value for value in values], float)


def _profit(runs: Runs, population: str) -> NDArray[np.float64]:
    return np.array([r["incidence"][population]["pnl"] for r in runs], float)
