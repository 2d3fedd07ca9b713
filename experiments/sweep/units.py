"""The pieces of a study: points, and the runs at each point, with the shell command that repeats each alone."""

from __future__ import annotations

import datetime
import math
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from experiments.overrides import parse_value
from experiments.run import PLACEBO, ForkTask, RunTask
from experiments.scenario import Scenario

WHOLE, FORKED = "whole", "forked"


@dataclass(frozen=True)
class Point:
    """One combination of the factors.

    Attributes:
        index: position in the design.
        values: factor's name -> value.
        source: built-in name or path of the scenario.
        assignments: ``dotted.key=value`` texts that make the scenario of the point, in order.
        scenario: the checked scenario, shared by all units of the point.
        event: name of the event that arms fork at, None for whole runs.
    """

    index: int
    values: Mapping[str, Any]
    source: str
    assignments: tuple[str, ...]
    scenario: Scenario
    event: str | None = None


@dataclass(frozen=True)
class SweepUnit:
    """The smallest piece of a sweep that is kept or done again: a run, or a seed forked into all arms.

    Attributes:
        index: position in the study, from 0; the same whatever the engine and the order of work.
        key: ``p00002-static-seed-17``, ``p00002-static-placebo-seed-17`` or ``p00002-seed-17``: distinct in a study.
        task: what the function of the study gets (:func:`function`), picklable.
        command: the shell line that repeats this unit alone.
        point: index of the point.
        seed: of the run.
        regime: label of the margin regime, empty where a unit holds all arms.
        arm: empty, or ``placebo``.
    """

    index: int
    key: str
    task: RunTask | ForkTask
    command: str = field(repr=False)
    point: int
    seed: int
    regime: str = ""
    arm: str = ""


def units_of(
    points: Sequence[Point], seeds: Sequence[int], regimes: Sequence[str], baseline: str, *, reading: str,
    placebo: bool, tables: str, plugins: Sequence[str],
) -> list[SweepUnit]:  # fmt: skip
    """Every unit of a study: by point, then seed, then regime.

    Args:
        points: with their scenarios.
        seeds: common to all points and regimes.
        regimes: labels.
        baseline: the label that others are compared with.
        reading: ``whole`` or ``forked``.
        placebo: run the baseline twice (a fork always does).
        tables: ``none``, ``first`` seed or ``all``.
        plugins: users' files.
    """
    kept = set({"none": (), "first": seeds[:1], "all": seeds}[tables])
    arms = [(label, "") for label in regimes] + ([(baseline, PLACEBO)] if placebo else [])
    common: dict[str, Any] = {"plugins": tuple(plugins)}
    units: list[SweepUnit] = []
    for point in points:
        place = f"p{point.index:05d}"
        for seed in seeds:
            keep = seed in kept
            if reading == FORKED:
                assert point.event is not None
                fork = ForkTask(
                    point.scenario, seed, baseline, tuple(regimes), point.event, keep=keep, **common
                )  # fmt: skip
                line = fork_command(point, seed, regimes, baseline, plugins)
                units.append(SweepUnit(len(units), f"{place}-seed-{seed}", fork, line, point.index, seed))
                continue
            for label, arm in arms:
                run = RunTask(point.scenario, seed, label, arm, keep=keep and not arm, **common)
                line = run_command(point, seed, label, plugins)
                key = "-".join(part for part in (place, label, arm, f"seed-{seed}") if part)
                units.append(SweepUnit(len(units), key, run, line, point.index, seed, label, arm))
    return units


def run_command(point: Point, seed: int, regime: str, plugins: Sequence[str] = ()) -> str:
    """The line that repeats one run."""
    return shlex.join(
        ["marginlab", "run", point.source, "--margin", regime, "--seed", str(seed), *_changes(point, plugins)]
    )


def fork_command(point: Point, seed: int, regimes: Sequence[str], baseline: str, plugins: Sequence[str] = ()) -> str:
    """The line that repeats one seed with all its arms."""
    words = ["marginlab", "compare", point.source, "--margin", ",".join(regimes), "--baseline", baseline]
    words += ["--fork-at", str(point.event), "--seeds", f"{seed}:{seed + 1}"]
    return shlex.join([*words, *_changes(point, plugins)])


def _changes(point: Point, plugins: Sequence[str]) -> list[str]:
    return [
        *(word for text in point.assignments for word in ("--set", text)),
        *(word for path in plugins for word in ("--plugin", path)),
    ]


def assignment(key: str, value: Any) -> str:
    """A key and a value as ``--set`` takes them; :func:`experiments.overrides.parse_value` gives the value back.

    Examples:
        >>> assignment("margin.params.initial", 0.05)
        'margin.params.initial=0.05'
        >>> assignment("clearing.mark", "mid")
        'clearing.mark=mid'
        >>> assignment("margin.regimes.gentle", {"regime": "dynamic", "floor": 0.02})
        'margin.regimes.gentle={regime = "dynamic", floor = 0.02}'
    """
    if isinstance(value, str) and value == value.strip() and value and parse_value(value) == value:
        return f"{key}={value}"
    return f"{key}={toml_value(value)}"


def toml_value(value: Any) -> str:
    """A value as TOML spells it on one line."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return repr(value) if math.isfinite(value) else str(value)
    if isinstance(value, str):
        return _quoted(value)
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, Mapping):
        inside = ", ".join(f"{_key(str(key))} = {toml_value(item)}" for key, item in value.items())
        return f"{{{inside}}}"
    return f"[{', '.join(toml_value(item) for item in value)}]"


def _key(text: str) -> str:
    bare = text and all(c.isascii() and (c.isalnum() or c in "_-") for c in text)
    return text if bare else _quoted(text)


def _quoted(text: str) -> str:
    special = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}
    return '"' + "".join(special.get(c) or (c if c.isprintable() else f"\\u{ord(c):04x}") for c in text) + '"'
