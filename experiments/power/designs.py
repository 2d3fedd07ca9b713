"""Designs whose power is measured: a study from a file, a scenario with regimes, or the built-in forked comparison."""

from __future__ import annotations

import shlex
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from experiments.collected import check_outcomes
from experiments.jobs import UnitResult
from sim.errors import ConfigError

if TYPE_CHECKING:
    from experiments.studies.forked_margin import ForkedTask
    from experiments.sweep.chunks import StoredUnit
    from experiments.sweep.study import Study

FORKED_MARGIN = "forked-margin"
"""Name of the built-in design: volatility-based against fixed margin, forked at a forced sale."""
SCENARIO = "perpetual-shock"
RULES = 2
"""Rules of the built-in design, the first of :data:`experiments.studies.forked_margin.RULES`: one-minute returns."""
OUTCOMES = ("drawdown", "liquidated_leveraged_share", "bad_debt_bp")


@dataclass(frozen=True)
class Design:
    """What is repeated over seeds.

    Attributes:
        name: what the user called.
        title: in a few words.
        regimes: labels of arms, the baseline among them.
        baseline: label that the others are compared with.
        outcomes: measures that are tested.
        seeds: all of them, in the order in which batches take them.
        units: pieces of work.
        columns: what each point sets.
        labels: name of each point; one empty name where nothing varies.
        function: what carries out a task.
        identity: what makes two designs the same.
        plugins: users' files.
    """

    name: str
    title: str
    regimes: tuple[str, ...]
    baseline: str
    outcomes: tuple[str, ...]
    seeds: tuple[int, ...]
    units: Sequence[StoredUnit]
    columns: Sequence[Mapping[str, Any]]
    labels: tuple[str, ...]
    function: Callable[[Any], UnitResult]
    identity: Mapping[str, Any]
    plugins: tuple[str, ...] = ()


@dataclass(frozen=True)
class ForkedUnit:
    """One seed of the built-in design (:class:`experiments.sweep.chunks.StoredUnit`)."""

    index: int
    key: str
    task: ForkedTask = field(repr=False)
    command: str
    seed: int
    point: int = 0
    regime: str = ""
    arm: str = ""


def load(
    source: str, seeds: Sequence[int], *, regimes: Sequence[str] = (), fork_at: str | None = None,
    outcomes: Sequence[str] = (), assignments: Sequence[str] = (), plugins: Sequence[str] = (),
) -> Design:  # fmt: skip
    """The design that a name or file means.

    Args:
        source: ``forked-margin`` (or ``forked-margin:SCENARIO``), a study, or a scenario.
        seeds: of all batches.
        regimes: of a scenario: labels, the baseline first; the other designs have their own.
        fork_at: event of a scenario to fork at; whole runs are compared if left out.
        outcomes: measures to test; the design's own if empty.
        assignments: ``dotted.key=value`` texts.
        plugins: users' files, loaded already.

    Raises:
        ConfigError: no such design, or it cannot be run.
    """
    from experiments.sweep import study

    built_in, _, market = source.partition(":")
    if built_in == FORKED_MARGIN:
        _refuse(regimes, fork_at, f"the design {FORKED_MARGIN}")
        return forked_margin(market or SCENARIO, seeds, outcomes, assignments, source)
    if source in study.builtin() or _is_study(source):
        _refuse(regimes, fork_at, "a study")
        found = study.load(source, assignments, plugins, seeds)
        return of_study(found, source, outcomes)
    if len(regimes) < 2:
        allowed = "two regimes or more by commas, the baseline first, for example static,dynamic"
        raise ConfigError.of("--regimes", ",".join(regimes) or None, allowed)
    section: dict[str, Any] = {"scenario": source, "regimes": list(regimes), "baseline": regimes[0]}
    if fork_at is not None:
        section |= {"reading": "forked", "fork_at": fork_at}
    outcomes = outcomes or ("drawdown", "liquidated_share", "bad_debt_bp")
    found = study.parse(
        {"study": section}, name="power", file="power", assignments=assignments, plugins=plugins, seeds=seeds
    )
    return of_study(found, source, outcomes)


def of_study(study: Study, name: str, outcomes: Sequence[str] = ()) -> Design:
    """The design of a study.

    Raises:
        ConfigError: a study of parts, of one regime alone, or one that chooses its seeds while it runs.
    """
    if study.parts:
        raise ConfigError.of("STUDY", name, f"one of its parts: {', '.join(part.file for part in study.parts)}")
    if len(study.regimes) < 2:
        raise ConfigError.of("study.regimes", ",".join(study.regimes), "two regimes or more", file=study.file)
    if study.stop is not None or study.equal_cost is not None:
        key = "stop" if study.stop is not None else "equal_cost"
        raise ConfigError.of(key, "a table", "a study without it: batches have all seeds alike", file=study.file)
    check_outcomes(outcomes)
    labels = tuple(", ".join(f"{key} = {value}" for key, value in point.values.items()) for point in study.points)
    identity = study.identity() | {"command": "power"}
    return Design(
        name, study.title, study.regimes, study.baseline, tuple(outcomes or study.outcomes), study.seeds,
        study.units(), study.columns(), labels, study.function, identity, study.plugins,
    )  # fmt: skip


def forked_margin(
    market: str, seeds: Sequence[int], outcomes: Sequence[str] = (), assignments: Sequence[str] = (),
    source: str = FORKED_MARGIN,
) -> Design:  # fmt: skip
    """The built-in design: :mod:`experiments.studies.forked_margin` at the sale, with one-minute rules.

    Raises:
        ConfigError: the scenario has no seeded open interest or no sale, or an outcome is unknown.
    """
    from experiments import scenario
    from experiments.studies import forked_margin as study

    loaded = scenario.load(market, assignments)
    check_outcomes(outcomes)
    rules = study.RULES[:RULES]
    design = study.ForkedMargin(loaded, tuple(seeds), (study.SALE,), rules)
    words = ["marginlab", "power", source, *(word for text in assignments for word in ("--set", text))]
    units = []
    for index, unit in enumerate(design.units()):
        line = shlex.join([*words, "--seeds", f"{unit.task.seed}:{unit.task.seed + 1}", "--pairs", "1"])
        units.append(ForkedUnit(index, unit.key, unit.task, line, unit.task.seed))
    regimes = (study.STATIC, *(rule.label for rule in rules), *(study.LEVEL + rule.label for rule in rules))
    identity = design.job() | {"command": "power", "study": FORKED_MARGIN}
    return Design(
        source, "volatility-based against fixed margin, forked at a forced sale", regimes, study.STATIC,
        tuple(outcomes or OUTCOMES), tuple(seeds), units, [{}], ("",), study.forked, identity,
    )  # fmt: skip


def _refuse(regimes: Sequence[str], fork_at: str | None, what: str) -> None:
    for key, value in (("--regimes", ",".join(regimes)), ("--fork-at", fork_at)):
        if value:
            raise ConfigError.of(key, value, f"nothing: {what} has its own")


def _is_study(source: str) -> bool:
    """Whether a file has a ``[study]`` table; what cannot be read is told by whoever loads it."""
    path = Path(source)
    if not path.is_file():
        return False
    try:
        return "study" in tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        return False
