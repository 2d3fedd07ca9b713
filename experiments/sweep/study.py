"""Studies: a scenario, what varies, under which regimes, on which seeds, and what is measured."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from experiments import run
from experiments.jobs import UnitResult
from experiments.store import code_hash, file_hash, plain
from experiments.sweep.factors import DesignSection, FactorSection
from experiments.sweep.sections import DEFAULT_OUTCOMES, EqualCostSection, StopSection
from experiments.sweep.units import FORKED, WHOLE, Point, SweepUnit, units_of

FOLDER = Path(__file__).resolve().parents[1] / "studies"


@dataclass(frozen=True)
class Study:
    """A checked study.

    Attributes:
        name: of the file, without its ending.
        title: in a few words.
        file: how messages call it.
        folder: where paths in it start.
        source: built-in name or path of the scenario; empty for a study of parts.
        seeds: common to all points and regimes.
        reading: ``whole`` or ``forked``.
        regimes: labels of margin regimes.
        baseline: the label that others are compared with.
        outcomes: measures that are summarised.
        placebo: run the baseline twice.
        tables: ``none``, ``first`` or ``all``.
        plugins: users' files, as paths from here.
        settings: assignments at every point, of ``[set]``, ``[regimes]`` and ``--set``.
        factors: what varies.
        design: how points are chosen.
        points: every point with its checked scenario.
        stop: rule of sequential stopping, or None.
        equal_cost: how regimes are brought to equal cost, or None.
        parts: the studies that this one is made of.
    """

    name: str
    title: str
    file: str
    folder: Path
    source: str = ""
    seeds: tuple[int, ...] = ()
    reading: str = WHOLE
    regimes: tuple[str, ...] = ()
    baseline: str = ""
    outcomes: tuple[str, ...] = DEFAULT_OUTCOMES
    placebo: bool = True
    tables: str = "none"
    plugins: tuple[str, ...] = ()
    settings: tuple[str, ...] = ()
    factors: tuple[FactorSection, ...] = ()
    design: DesignSection = field(default_factory=DesignSection)
    points: tuple[Point, ...] = ()
    stop: StopSection | None = None
    equal_cost: EqualCostSection | None = None
    parts: tuple[Study, ...] = ()

    @property
    def function(self) -> Callable[[Any], UnitResult]:
        """What carries out the task of a unit."""
        return run.fork if self.reading == FORKED else run.run

    @cached_property
    def _units(self) -> list[SweepUnit]:
        return units_of(
            self.points, self.seeds, self.regimes, self.baseline, reading=self.reading,
            placebo=self.placebo, tables=self.tables, plugins=self.plugins,
        )  # fmt: skip

    def units(self) -> list[SweepUnit]:
        """Every unit in the order of its index: by point, then seed, then regime."""
        return list(self._units)

    def columns(self) -> list[dict[str, Any]]:
        """What each point sets, dotted key -> value: the factor columns of the store."""
        by_name = {factor.title: factor for factor in self.factors}
        return [
            {key: value for name, chosen in p.values.items() for key, value in by_name[name].settings(chosen).items()}
            for p in self.points
        ]

    def identity(self) -> dict[str, Any]:
        """What makes two studies the same, as plain data: whatever the numbers of a run depend on.

        Outcomes and titles are not among it: they may change over a finished store.
        """
        if self.parts:
            return {"study": self.name, "parts": {part.name: part.identity() for part in self.parts}}
        sources = {point.source: point for point in reversed(self.points)}
        names = [point.scenario.name for point in sources.values()]
        scenarios = {
            source if names.count(point.scenario.name) > 1 else point.scenario.name: _by_name(point.scenario.as_run())
            for source, point in sources.items()
        }
        found = {
            "study": self.name,
            "command": "sweep",
            "scenario": scenarios,
            "reading": self.reading,
            "seeds": list(self.seeds),
            "regimes": list(self.regimes),
            "baseline": self.baseline,
            "options": {"placebo": self.placebo or self.reading == FORKED, "tables": self.tables},
            "factors": {f.title: f.model_dump(exclude_none=True, exclude_defaults=True) for f in self.factors},
            "design": self.design.model_dump(exclude_none=True),
            "set": dict(text.partition("=")[::2] for text in self.settings),
            "points": {str(point.index): dict(point.values) for point in self.points},
            "fork_at": list(dict.fromkeys(point.event for point in self.points if point.event is not None)),
            "stop": self.stop.model_dump(exclude_none=True) if self.stop is not None else None,
            "equal_cost": self.equal_cost.model_dump() if self.equal_cost is not None else None,
            "plugins": {Path(path).name: file_hash(path) for path in self.plugins},
            "code": code_hash(),
        }
        plain_found: dict[str, Any] = plain(found)
        return plain_found


def _by_name(stated: Any) -> Any:
    """Lists of named tables as tables, so that what differs is told by names: ``events.sale.lots``."""
    if isinstance(stated, Mapping):
        return {key: _by_name(value) for key, value in stated.items()}
    if isinstance(stated, list) and stated and all(isinstance(e, Mapping) and "name" in e for e in stated):
        return {str(entry["name"]): {k: v for k, v in entry.items() if k != "name"} for entry in stated}
    return stated


def builtin() -> dict[str, Path]:
    """Built-in studies by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def load(
    source: str | Path, assignments: Iterable[str] = (), plugins: Iterable[str] = (), seeds: Sequence[int] | None = None
) -> Study:
    """Read a study and check every one of its points.

    Args:
        source: name of a built-in study, or a TOML file.
        assignments: ``dotted.key=value`` texts that change the scenario of every point.
        plugins: users' files to load beside those that the study names.
        seeds: in place of the study's own.

    Raises:
        ConfigError: with every problem of the file and of the scenarios of its points.
    """
    from experiments.sweep import reading

    return reading.load(reading.locate(str(source), None), tuple(assignments), tuple(plugins), seeds)


def parse(
    raw: Mapping[str, Any], *, name: str, file: str, folder: Path = Path(), assignments: Sequence[str] = (),
    plugins: Sequence[str] = (), seeds: Sequence[int] | None = None,
) -> Study:  # fmt: skip
    """Check a study that is already parsed TOML; arguments as in :func:`load`.

    Raises:
        ConfigError: with every problem.
    """
    from experiments.sweep.reading import Reader

    return Reader(raw, name, file, folder, tuple(assignments), tuple(plugins), seeds, ()).study()


def tables(source: str) -> dict[str, Any]:
    """The parsed tables of a study file."""
    from experiments.sweep import reading

    return reading.read(*reading.locate(source, None))
