"""The result of a calibration as plain data, and what must be said about it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from experiments.calibration.inference import UNINFORMED, Inference, interval, natural_error
from experiments.calibration.parameters import Free

if TYPE_CHECKING:
    from experiments.calibration.evaluations import Evaluator
    from experiments.calibration.study import Calibration, Problem

_EDGE = 0.01  # share of the bounds' distance within which an estimate lies at a bound
_T_LIMIT = 2.58  # |t| of a moment that is told as missed (99 %)
_SPREAD = 3.0  # ratio of a moment's deviation over simulated seeds to its bootstrap error that is told


def summary(study: Calibration, problem: Problem, parts: Mapping[str, Any], evaluator: Evaluator) -> dict[str, Any]:
    """Everything that the table, the page and the JSON say.

    Args:
        study: the calibration.
        problem: its moments and method.
        parts: what :func:`experiments.calibration.study.solve` gives.
        evaluator: with every point that was run.
    """
    scenario, sampling = study.ready
    searched, weighed = parts["search"], parts["weights"]
    infeasible = [e.problem for e in evaluator.known.values() if e.moments is None]
    fitted = fit(problem, parts)
    found = {
        "command": "calibrate",
        "scenario": scenario.name,
        "file": scenario.file,
        "assignments": list(study.assignments),
        "data": study.data.described(),
        "sampling": {
            "steps": sampling.steps, "price": sampling.price, "contract": sampling.contract,
            "bars": study.simulated_bars, "runs_steps": scenario.steps, "burn_in": scenario.market.burn_in,
            "seeds": len(study.seeds), "tau": study.tau,
        },
        "seeds": list(study.seeds),
        "moments_asked": [moment.name for moment in study.moments],
        "method": dict(study.method.__dict__),
        **fitted,
        "search": {
            "points": searched.points, "phases": [list(phase) for phase in searched.phases],
            "runs": len(evaluator.known) * len(study.seeds), "evaluated": len(evaluator.known),
            "infeasible": len(infeasible), "why_infeasible": infeasible[0] if infeasible else None,
            "trace": searched.trace,
        },
        "weights": {
            "weighting": weighed.weighting, "shrinkage": weighed.shrinkage, "condition": weighed.condition,
            "block": problem.data.block, "block_chosen": problem.data.chosen,
            "replications": problem.data.replications,
        },
        "results_hash": evaluator.results_hash(),
        "complete": True,
    }  # fmt: skip
    for row, moment in zip(found["moments"], study.moments, strict=True):
        row["what"], row["unit"] = moment.what, moment.unit
    found["warnings"] = warnings(study.free, found, parts)
    return found


def fit(problem: Problem, parts: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters, moments, test, identification and slices of a solved problem."""
    inferred: Inference = parts["inference"]
    return {
        "distance": parts["search"].distance,
        "parameters": _parameters(problem.free, parts),
        "moments": _moments(problem, parts),
        "test": {"j": inferred.j, "degrees": inferred.degrees, "p_value": inferred.p_value},
        "identification": {
            "condition": inferred.condition,
            "directions": inferred.directions,
            "correlation": inferred.correlation,
            "jacobian": parts["jacobian"].matrix,
            "columns": parts["jacobian"].columns,
        },
        "slices": parts["slices"],
        "joint_coverage": _coverage(problem, parts),
    }


def _parameters(free: Sequence[Free], parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    errors = np.sqrt(np.diag(parts["inference"].covariance))
    rows = []
    for number, parameter in enumerate(free):
        value = parts["best"][parameter.name]
        error = float(errors[number])
        span = interval(parameter, value, error)
        cut = parts["slices"][number] if parts["slices"] else None
        unit = parameter.unit(value)
        rows.append(
            {
                "name": parameter.name, "estimate": value, "error": natural_error(parameter, value, error),
                "low": None if span is None else span[0], "high": None if span is None else span[1],
                "profile": None if cut is None or cut["low"] is None
                else {"low": cut["low"], "high": cut["high"], "closed": cut["closed"]},
                "bounds": [parameter.low, parameter.high], "log": parameter.log, "whole": parameter.whole,
                "at_bound": bool(unit < _EDGE or unit > 1.0 - _EDGE),
                "relative_error": error / parameter.width if math.isfinite(error) else None,
            }
        )  # fmt: skip
    return rows


def _moments(problem: Problem, parts: Mapping[str, Any]) -> list[dict[str, Any]]:
    data, evaluation = problem.data, parts["evaluation"]
    deviation = np.sqrt(np.diag(parts["omega"]))
    simulated, per_seed = evaluation.mean, evaluation.moments
    spread = per_seed.std(axis=0, ddof=1) if len(per_seed) > 1 else np.full(len(simulated), np.nan)
    inside = ((per_seed >= data.low) & (per_seed <= data.high)).mean(axis=0)
    return [
        {
            "name": name, "data": data.values[i], "error": data.deviation[i], "low": data.low[i], "high": data.high[i],
            "simulated": simulated[i], "spread": spread[i],
            "t": (simulated[i] - data.values[i]) / deviation[i], "inside": inside[i],
            "seeds": per_seed[:, i],
        }
        for i, name in enumerate(problem.moments)
    ]  # fmt: skip


def _coverage(problem: Problem, parts: Mapping[str, Any]) -> float:
    """Share of seeds with all moments in the data's intervals (Franke and Westerhoff's moment coverage ratio)."""
    rows = parts["evaluation"].moments
    return float(((rows >= problem.data.low) & (rows <= problem.data.high)).all(axis=1).mean())


def warnings(free: Sequence[Free], found: Mapping[str, Any], parts: Mapping[str, Any]) -> list[str]:
    """What a reader must know before using the numbers, a sentence each."""
    told: list[str] = []
    for parameter, row in zip(free, found["parameters"], strict=True):
        name = row["name"]
        if row["at_bound"]:
            told.append(f"{name}: the estimate lies at a bound; errors and test do not hold there, widen the bounds")
        if parameter.whole:
            told.append(f"{name}: takes whole numbers; its error comes from differences of at least one and is a guide")
    for column in found["identification"]["columns"]:
        name = column["parameter"]
        if column["change"] is None:
            told.append(f"{name}: no derivative: the points around the estimate cannot be run")
            continue
        if not column["clear"]:
            told.append(f"{name}: the moments hardly answer to it beyond the noise of the seeds; its error is a guess")
        elif not column["steady"]:
            told.append(
                f"{name}: the derivative changes by {100 * column['change']:.0f} % when its step is halved; "
                "try another --step or more seeds"
            )
    for direction in found["identification"]["directions"]:
        if direction["weak"]:
            parts_ = " ".join(f"{x:+.2f} {name}" for name, x in direction["combination"].items())
            size = direction["error"]
            said = "not at all" if not math.isfinite(size) else f"to {100 * size:.0f} % of the bounds' distance"
            told.append(f"weakly identified: {parts_} is known {said} (knowing nothing: {100 * UNINFORMED:.0f} %)")
    if not found["identification"]["directions"]:
        told.append("no standard errors: a derivative is missing")
    if parts["lowest"] < found["distance"]:
        told.append(
            f"the search is not at an end: a point near the estimate has distance {parts['lowest']:.4g}, the estimate "
            f"{found['distance']:.4g}; the distance is rough there, more seeds smooth it"
        )
    p_value = found["test"]["p_value"]
    if p_value is not None and p_value < 0.05:
        told.append(f"the J test rejects the model (p = {p_value:.2g}): read errors as those of a misspecified fit")
    missed = [row["name"] for row in found["moments"] if abs(row["t"]) > _T_LIMIT]
    if missed:
        told.append("moments that are missed at 99 %: " + ", ".join(missed))
    odd = [row["name"] for row in found["moments"]
           if row["error"] > 0.0 and not 1.0 / _SPREAD <= row["spread"] / row["error"] * _of_length(found) <= _SPREAD
           and math.isfinite(row["spread"])]  # fmt: skip
    if odd:
        told.append(
            f"simulated moments vary over seeds {_SPREAD:g} times more, or less, than the bootstrap of the data says: "
            + ", ".join(odd)
        )
    if found["weights"]["shrinkage"] > 0.0 and found["weights"]["weighting"] == "full":
        told.append(f"the covariance of the moments was shrunk by {found['weights']['shrinkage']:.2g} before inversion")
    if found["search"]["infeasible"]:
        count, points = found["search"]["infeasible"], found["search"]["evaluated"]
        told.append(f"{count} of {points} points could not be run, first: {found['search']['why_infeasible']}")
    return told


def _of_length(found: Mapping[str, Any]) -> float:
    """Factor that brings a deviation over runs of the simulated length to the length of the data."""
    return math.sqrt(float(found["sampling"]["bars"]) / float(found["data"]["bars"]))
