"""Carry out a part of the study: factors of equal cost on pilot seeds, then the declared seeds once."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from experiments import jobs, run
from experiments.engines import engine
from experiments.regimes import resolve
from experiments.store import OutputFolder, code_hash, plain
from experiments.studies.dynamic_vs_static import equal
from experiments.studies.dynamic_vs_static.arms import ForkedTask, WholeTask, forked, whole
from experiments.studies.dynamic_vs_static.design import Design
from experiments.studies.dynamic_vs_static.summary import summary

FACTORS = "factors.json"


def units(design: Design, factors: Mapping[str, Mapping[str, float]]) -> list[jobs.Unit]:
    """The pieces of a part: seeds with all arms of a fork, or whole runs."""
    scales = {design.baseline: 1.0} | {rule: found["factor"] for rule, found in factors.items()}
    scenario = design.scenario
    if design.fork_at is not None:
        return [
            jobs.Unit(
                jobs.safe_key("seed", seed), ForkedTask(scenario, seed, design.fork_at, design.regimes, dict(scales))
            )
            for seed in design.seeds
        ]
    arms = [*((label, "") for label in design.regimes), (design.baseline, run.PLACEBO)]
    return [
        jobs.Unit(
            jobs.safe_key(*filter(None, (label, arm, "seed", seed))),
            WholeTask(scenario, seed, label, scales[label], arm),
        )
        for seed in design.seeds
        for label, arm in arms
    ]


def job(design: Design) -> dict[str, Any]:
    """What the manifest says of a part, and what must agree for a folder to be resumed."""
    stated = {label: resolve(design.scenario, label) for label in design.regimes}
    return {
        "command": f"dynamic-vs-static {design.part}",
        "scenario_name": design.scenario.name,
        "scenario": design.scenario.as_run(),
        "regimes": {label: {"regime": name, "params": params} for label, (name, params) in stated.items()},
        "baseline": design.baseline,
        "seeds": list(design.seeds),
        "reading": "whole-run" if design.fork_at is None else f"forked at {design.fork_at}",
        "options": {"pilot": list(design.pilot), "equal": "mean_initial_rate", "tolerance": equal.TOLERANCE},
        "code": code_hash(),
    }


def measure(
    design: Design,
    *,
    workers: int = 1,
    folder: OutputFolder | None = None,
    on_done: Callable[[int, int], None] | None = None,
    said: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Run a part of the study.

    Args:
        design: the part.
        workers: processes.
        folder: where factors and runs are kept as they come, or None.
        on_done: told (units done, units in all).
        said: told what is being done.

    Returns:
        Plain data: :func:`experiments.studies.dynamic_vs_static.summary.summary`.
    """
    factors = folder.read_json(FACTORS) if folder is not None else None
    if factors is None:
        if said is not None:
            said(f"factors of equal mean margin on {len(design.pilot)} pilot seeds")
        factors = equal.factors(design, workers, said)
        if folder is not None:
            folder.begin()
            folder.write_json(FACTORS, factors)
    pieces = units(design, factors)
    runs = jobs.perform(pieces, whole if design.fork_at is None else forked, engine(workers), folder, on_done)
    result = plain(summary(design, factors, runs))
    if folder is not None:
        jobs.finish(folder, pieces, result, result["results_hash"])
    return result


def kept_runs(folder: OutputFolder, design: Design) -> Sequence[Mapping[str, Any]]:
    """The runs that a folder holds, in the order of the design."""
    factors = folder.read_json(FACTORS)
    files = [folder.read_json(f"{jobs.RUNS}/{unit.key}.json") for unit in units(design, factors or {})]
    return [found for file in files if file is not None for found in file["runs"]]
