"""A study at equal cost: at every point the regimes are scaled until they cost what the baseline costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from experiments.equal_cost import EqualCost, solve
from experiments.regimes import scaled
from experiments.scenario import Scenario
from experiments.seeds import parse_seeds
from experiments.store import plain
from experiments.sweep.sections import EqualCostSection
from experiments.sweep.study import Study
from experiments.sweep.units import Point, assignment
from sim.errors import ConfigError

if TYPE_CHECKING:
    from experiments.engines import Engine


def settings_of(section: EqualCostSection) -> EqualCost:
    """The settings of an ``[equal_cost]`` table."""
    given = section.seeds
    seeds = parse_seeds(str(given)) if not isinstance(given, tuple) else given
    return EqualCost(section.measure, tuple(seeds), section.target, section.tolerance)


def solved(study: Study, engine: Engine, kept: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Factors of every point, as plain data: by index of the point what :func:`experiments.equal_cost.solve` gives.

    Args:
        study: with ``[equal_cost]``.
        engine: where pilots run.
        kept: what an earlier call found; those points are not solved again.

    Raises:
        ConfigError: for every point and regime that no factor brings to the baseline's cost.
    """
    assert study.equal_cost is not None
    settings = settings_of(study.equal_cost)
    found: dict[str, Any] = dict(kept or {})
    problems = []
    for point in study.points:
        if str(point.index) in found:
            continue
        try:
            solution = solve(
                point.scenario, study.regimes, study.baseline, settings, fork_at=point.event, plugins=study.plugins,
                on=engine,
            )  # fmt: skip
        except ConfigError as error:
            at = ", ".join(f"{name} = {value!r}" for name, value in point.values.items())
            where = f" (point {point.index}: {at})" if at else ""
            problems += [replace(p, allowed=p.allowed + where) for p in error.problems]
            continue
        found[str(point.index)] = plain(solution)
    if problems:
        raise ConfigError(problems)
    return found


def at_equal_cost(study: Study, solutions: Mapping[str, Any]) -> Study:
    """The study with the factors found stated at every point, in its scenario and in the commands of its units."""
    others = [label for label in study.regimes if label != study.baseline]
    points = []
    for point in study.points:
        found = solutions[str(point.index)]["factors"]
        # stated also where it is 1: a fork scales a regime to the mean before the fork unless a factor is stated
        points.append(_scaled(point, {label: float(found.get(label, 1.0)) for label in others} | found))
    return replace(study, points=tuple(points))


def _scaled(point: Point, factors: Mapping[str, float]) -> Point:
    changed = scaled(point.scenario, factors)
    texts = (*point.assignments, *_assignments(changed, list(factors)))
    return replace(point, scenario=changed, assignments=texts)


def _assignments(scenario: Scenario, labels: Sequence[str]) -> list[str]:
    """What ``--set`` must say so that a scenario gets the tables of some labels."""
    margin, found = scenario.margin, []
    for label in labels:
        if label in margin.regimes:
            found.append(assignment(f"margin.regimes.{label}", margin.regimes[label]))
        else:  # the scenario's own regime
            found.append(assignment("margin.params", margin.params))
    return found
