"""Read a study file: check it whole, make every point's scenario, and tell what is wrong in all places at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from experiments import overrides, regimes, run, scenario
from experiments.scenario import Scenario
from experiments.seeds import parse_seeds
from experiments.sweep import factors as varying
from experiments.sweep.factors import SCENARIO, FactorSection, Table
from experiments.sweep.sections import MODELS, SECTIONS, EqualCostSection, StopSection, StudySection
from experiments.sweep.study import Study, builtin
from experiments.sweep.units import WHOLE, Point, assignment
from experiments.vocabulary import MEASURES
from sim.errors import ConfigError, Problem
from sim.problems import from_validation, one_of, unknown

_LABEL = re.compile(r"[A-Za-z0-9_-]+")


def load(
    where: tuple[Path, str], assignments: tuple[str, ...], plugins: tuple[str, ...], seeds: Sequence[int] | None,
    above: tuple[Path, ...] = (),
) -> Study:  # fmt: skip
    """The study of a file that :func:`locate` found; ``above`` are the studies that it is a part of."""
    path, label = where
    reader = Reader(
        read(path, label), path.stem, label, path.parent, assignments, plugins, seeds, (*above, path.resolve())
    )
    return reader.study()


def locate(text: str, folder: Path | None, key: str = "STUDY", file: str = "") -> tuple[Path, str]:
    """The file that a name or path means, from a folder, and how messages call it."""
    known = builtin()
    path = Path(text) if folder is None else folder / text
    if text in known:
        return known[text], f"{text}.toml"
    if path.is_file():
        return path, str(path)
    raise ConfigError.of(key, text, "a TOML file, or one of " + one_of(text, known), file=file)


def read(path: Path, label: str) -> dict[str, Any]:
    """The tables of a TOML file."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError.of("byte", error.start, "text in UTF-8", file=label) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError.of("syntax", str(error), "TOML (https://toml.io)", file=label) from None


class Reader:
    """Checks the tables of one file and gathers what is wrong."""

    def __init__(
        self, raw: Mapping[str, Any], name: str, file: str, folder: Path, assignments: tuple[str, ...],
        plugins: tuple[str, ...], seeds: Sequence[int] | None, above: tuple[Path, ...],
    ) -> None:  # fmt: skip
        self.raw = raw
        self.name, self.file, self.folder = name, file, folder
        self.assignments, self.plugins, self.seeds, self.above = assignments, plugins, seeds, above
        self.problems: list[Problem] = []

    def study(self) -> Study:
        """The study.

        Raises:
            ConfigError: with every problem.
        """
        for key in self.raw:
            if key not in SECTIONS:
                self.say(key, "a table", f"no such table; tables are {one_of(key, SECTIONS)}")
        section: StudySection | None = self.table("study")
        design = self.table("design")
        stop, equal = (self.table(key) if key in self.raw else None for key in ("stop", "equal_cost"))
        factors = self.factors()
        settings = self.settings()
        listed = [flat(entry) for entry in self.entries("points")]
        if section is not None and (section.parts or section.scenario is None):
            return self.of_parts(section)
        self.checked()  # what follows needs tables that are well formed
        assert section is not None
        assert section.scenario is not None
        if not factors and listed:
            factors = varying.implied(listed)
        values, problems = varying.expand(factors, design, listed, self.file)
        self.problems += problems
        seeds = self.seed_list("study.seeds", section.seeds) if self.seeds is None else tuple(self.seeds)
        plugins = self.plugin_files(section.plugins)
        self.outcomes(section.outcomes)
        for word in dict.fromkeys(section.regimes):
            if section.regimes.count(word) > 1:
                self.say("study.regimes", word, "each regime once")
        self.overlap(factors)
        if problems:
            raise ConfigError(self.problems)
        points = self.points(section, factors, values, settings)
        if not points:
            raise ConfigError(self.problems)
        labels = section.regimes or (points[0].scenario.margin.regime,)
        baseline = self.baseline(section, labels, points[0].scenario)
        self.labels(labels, points, factors)
        self.stopping(stop, labels, baseline, len(seeds))
        if equal is not None:
            self.pilot(equal, seeds)
        self.checked()
        return Study(
            name=self.name, title=section.name or self.name, file=self.file, folder=self.folder,
            source=self.scenario_source(section.scenario), seeds=seeds, reading=section.reading, regimes=labels,
            baseline=baseline, outcomes=section.outcomes, placebo=section.placebo, tables=section.tables,
            plugins=plugins, settings=(*settings, *self.assignments), factors=tuple(factors), design=design,
            points=tuple(points), stop=stop, equal_cost=equal,
        )  # fmt: skip

    def say(self, key: str, value: Any, allowed: str) -> None:
        """Keep a problem of this file."""
        self.problems.append(Problem(self.file, key, value, allowed))

    def checked(self) -> None:
        """Stop here if anything is wrong so far."""
        if self.problems:
            raise ConfigError(self.problems)

    def table(self, key: str) -> Any:
        """A validated table, or None."""
        given = self.raw.get(key, {})
        if not isinstance(given, Mapping):
            self.say(key, "another shape", f"a table [{key}]")
            return None
        return self.validated(MODELS[key], given, key)

    def entries(self, key: str) -> list[Mapping[str, Any]]:
        """The tables of a list of tables."""
        given = self.raw.get(key, [])
        if not isinstance(given, list) or not all(isinstance(entry, Mapping) for entry in given):
            self.say(key, "another shape", f"[[{key}]] tables")
            return []
        return list(given)

    def validated(self, model: type[Table], given: Mapping[str, Any], key: str) -> Any:
        """A validated model, or None after keeping the problems."""
        try:
            return model.model_validate(given)
        except ValidationError as error:
            self.problems += from_validation(error, model, given, file=self.file, prefix=key)
            return None

    def factors(self) -> list[FactorSection]:
        """The valid factors."""
        found = [
            self.validated(FactorSection, entry, f"factors.{entry.get('name', entry.get('key', index))}")
            for index, entry in enumerate(self.entries("factors"))
        ]
        return [factor for factor in found if factor is not None]

    def settings(self) -> tuple[str, ...]:
        """Assignments of ``[set]`` and ``[regimes]``."""
        found = []
        for key in ("set", "regimes"):
            if not isinstance(self.raw.get(key, {}), Mapping):
                self.say(key, "another shape", f"a table [{key}]")
                return ()
        for key, value in flat(self.raw.get("set", {})).items():
            found.append(assignment(key, value))
        for label, table in self.raw.get("regimes", {}).items():
            if not isinstance(table, Mapping):
                self.say(f"regimes.{label}", table, f"a table [regimes.{label}]")
            elif not _LABEL.fullmatch(label):
                self.say(f"regimes.{label}", label, "a label of letters, digits, - and _")
            else:
                found.append(assignment(f"margin.regimes.{label}", table))
        return tuple(found)

    def of_parts(self, section: StudySection) -> Study:
        """A study made of other studies."""
        if not section.parts:
            self.say("study.scenario", None, "a built-in scenario or a TOML file; or parts, other studies")
        for key in self.raw:
            if section.parts and key != "study" and key in SECTIONS:
                self.say(key, "a table", "nothing: a study of parts has only [study] with name and parts")
        for key in section.model_fields_set - {"name", "parts"}:
            if section.parts:
                self.say(f"study.{key}", getattr(section, key), "nothing: each part has its own")
        parts: list[Study] = []
        for text in section.parts:
            try:
                where = locate(text, self.folder, "study.parts", self.file)
                if where[0].resolve() in self.above:
                    raise ConfigError.of("study.parts", text, "a study that is not part of itself", file=self.file)
                parts.append(load(where, self.assignments, self.plugins, self.seeds, self.above))
            except ConfigError as error:
                self.problems += error.problems
        names = [part.name for part in parts]
        for name in dict.fromkeys(names):
            if names.count(name) > 1:
                self.say("study.parts", name, "files with distinct names")
        self.checked()
        title = section.name or self.name
        return Study(name=self.name, title=title, file=self.file, folder=self.folder, parts=tuple(parts))

    def seed_list(self, key: str, given: int | str | tuple[int, ...]) -> tuple[int, ...]:
        """Seeds as a file writes them."""
        text = ",".join(map(str, given)) if isinstance(given, tuple) else str(given)
        if isinstance(given, tuple) and len(given) == 1:
            text += f":{given[0] + 1}"  # a list of one names a seed, not a number of seeds
        try:
            return parse_seeds(text)
        except ConfigError as error:
            self.problems += [replace(p, file=self.file, key=key, value=given) for p in error.problems]
            return ()

    def plugin_files(self, given: Sequence[str]) -> tuple[str, ...]:
        """Paths of users' files; they are loaded here, since scenarios may use what they register."""
        given = [*(str(self.folder / path) for path in given), *self.plugins]
        # absolute: the workers of a cluster have a working folder of their own
        found = list(dict.fromkeys(str(Path(path).resolve()) for path in given))
        self.checked()
        run.load_plugins(found)
        return tuple(found)

    def outcomes(self, names: Sequence[str]) -> None:
        """Outcomes are measures of the vocabulary."""
        for name in names:
            if name not in MEASURES:
                self.problems.append(unknown(self.file, "study.outcomes", name, MEASURES))

    def overlap(self, factors: Sequence[FactorSection]) -> None:
        """``--set`` of a key that the study varies would have no effect."""
        keys = [target for factor in factors for target in factor.targets]
        for text in self.assignments:
            key = text.partition("=")[0].strip()
            if key in keys:
                self.problems.append(Problem("--set", key, text, f"a key that is no factor of {self.file}"))

    def scenario_source(self, text: str) -> str:
        """A scenario as the command line takes it: a built-in name or a path from here."""
        path, known = self.folder / text, scenario.builtin()
        if path.is_file():
            return str(path)
        if text in known:
            return text
        allowed = "a built-in scenario or a TOML file relative to the study: " + one_of(text, known)
        raise ConfigError.of("study.scenario", text, allowed, file=self.file)

    def points(
        self, section: StudySection, factors: Sequence[FactorSection], values: Sequence[Mapping[str, Any]],
        settings: Sequence[str],
    ) -> list[Point]:  # fmt: skip
        """Every point with its checked scenario."""
        found = []
        wrong = _Gathered()
        for index, chosen in enumerate(values):
            changed: dict[str, Any] = {}
            for factor in factors:
                changed |= factor.settings(chosen[factor.title])
            source = changed.pop(SCENARIO, section.scenario)
            if not isinstance(source, str):
                self.say(f"factors.{SCENARIO}", source, "names of scenarios")
                return []
            texts = (*settings, *self.assignments, *(assignment(key, value) for key, value in changed.items()))
            try:
                source = self.scenario_source(source)
                loaded = scenario.load(source, texts)
                event = self.event(section, loaded)
                found.append(Point(index, dict(chosen), source, texts, loaded, event))
            except ConfigError as error:
                wrong.add(map(self.placed, error.problems), index, chosen)
        self.problems += wrong.problems(len(values))
        return found

    def placed(self, problem: Problem) -> Problem:
        """A problem of an assignment that the study makes stands in the study, not in ``--set``."""
        keys = [text.partition("=")[0].strip() for text in self.assignments]
        if problem.file == overrides.SOURCE and overrides.source_of(problem.key, self.file, keys) == self.file:
            return replace(problem, file=self.file)
        return problem

    def event(self, section: StudySection, loaded: Scenario) -> str | None:
        """The event that arms fork at."""
        if section.reading == WHOLE:
            if section.fork_at is not None:
                raise ConfigError.of(
                    "study.fork_at", section.fork_at, 'nothing, unless reading = "forked"', file=self.file
                )
            return None
        name = section.fork_at or loaded.measure.event
        if name is None:
            allowed = "an event of the scenario: " + (", ".join(loaded.event_steps) or "it has none")
            raise ConfigError.of("study.fork_at", None, allowed, file=self.file)
        try:
            loaded.event_step(name)
        except ConfigError as error:
            raise ConfigError(replace(p, file=self.file, key="study.fork_at") for p in error.problems) from None
        return name

    def baseline(self, section: StudySection, labels: Sequence[str], first: Scenario) -> str:
        """The regime that others are compared with: the scenario's own, or the first."""
        if section.baseline is None:
            return first.margin.regime if first.margin.regime in labels else labels[0]
        if section.baseline not in labels:
            self.problems.append(unknown(self.file, "study.baseline", section.baseline, labels))
        return section.baseline

    def labels(self, labels: Sequence[str], points: Sequence[Point], factors: Sequence[FactorSection]) -> None:
        """Every regime must exist and take its parameters at every point."""
        wrong = _Gathered()
        for point in points:
            for label in labels:
                try:
                    regimes.make(point.scenario, label)
                except ConfigError as error:
                    moved = (replace(p, key="study.regimes") if p.key == "margin.regime" else p for p in error.problems)
                    wrong.add((replace(p, file=self.file) for p in moved), point.index, point.values)
        self.problems += wrong.problems(len(points))

    def stopping(self, stop: StopSection | None, labels: Sequence[str], baseline: str, seeds: int) -> None:
        """The rule of stopping looks at an outcome and a regime of the study."""
        if stop is None:
            return
        for name in stop.outcomes:
            if name not in MEASURES:
                self.problems.append(unknown(self.file, "stop.outcomes", name, MEASURES))
        others = [label for label in labels if label != baseline]
        for label in stop.regimes:
            if label not in others:
                allowed = f"a regime of the study other than the baseline: {one_of(label, others)}"
                self.say("stop.regimes", label, allowed)
        from experiments.sweep.stopping import rule_of

        try:
            rule_of(stop, seeds).validate("stop")
        except ConfigError as error:
            for problem in error.problems:
                if problem.key == "stop.maximum":
                    problem = replace(problem, key="study.seeds", allowed="as many seeds as stop.minimum, or more")
                self.problems.append(replace(problem, file=self.file))

    def pilot(self, equal: EqualCostSection, seeds: Sequence[int]) -> None:
        """The search for equal cost must not see the seeds of the study."""
        pilot = self.seed_list("equal_cost.seeds", equal.seeds)
        if len(pilot) == 1:
            self.say("equal_cost.seeds", equal.seeds, "at least two seeds")
        both = set(pilot) & set(seeds)
        if both:
            allowed = f"seeds that the study does not use (it uses {min(both)})"
            self.say("equal_cost.seeds", equal.seeds, allowed)


class _Gathered:
    """Problems of many points, each told once: with the first point that has it, unless all have it."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, str, str], tuple[Problem, int, Mapping[str, Any], set[int]]] = {}

    def add(self, problems: Iterable[Problem], index: int, values: Mapping[str, Any]) -> None:
        """Take the problems of a point."""
        for problem in problems:
            key = (problem.file, problem.key, problem.allowed)
            self.found.setdefault(key, (problem, index, values, set()))[3].add(index)

    def problems(self, points: int) -> list[Problem]:
        """What was gathered, out of a number of points."""
        told = []
        for problem, index, values, where in self.found.values():
            if len(where) < points:
                at = ", ".join(f"{name} = {value!r}" for name, value in values.items())
                problem = replace(problem, allowed=f"{problem.allowed} (point {index}: {at})")
            told.append(problem)
        return told


def flat(table: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested tables as dotted keys, so that ``market.steps = 10`` may be written with quotes or without."""
    found: dict[str, Any] = {}
    for key, value in table.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping) and value:
            found |= flat(value, f"{name}.")
        else:
            found[name] = value
    return found
