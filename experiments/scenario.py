"""Scenario files: read, changed by ``--set``, checked whole, and told what is wrong in all places at once."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError

from experiments import inheritance, overrides
from experiments.sections import (
    ChainSection,
    ClearingSection,
    ContractSection,
    MarginSection,
    MarketSection,
    MeasureSection,
    PopulationSpec,
    RecordSection,
)
from sim.errors import ConfigError, Problem
from sim.problems import from_validation, one_of, unknown

if TYPE_CHECKING:
    from experiments.events import EventBase

FOLDER = Path(__file__).resolve().parent / "scenarios"
TABLES: dict[str, type[BaseModel]] = {
    "market": MarketSection,
    "margin": MarginSection,
    "clearing": ClearingSection,
    "record": RecordSection,
    "measure": MeasureSection,
}
LISTS = ("contracts", "chains", "populations", "events")
SECTIONS = (
    "market", "contracts", "chains", "world", "margin", "clearing", "populations", "events", "record", "measure",
)  # fmt: skip


@dataclass(frozen=True)
class Scenario:
    """A checked scenario.

    Attributes:
        name: of the file, without its ending.
        file: how messages call it.
        folder: where paths in it start.
        market: time and matching.
        contracts: what is traded, the options of the chains included.
        chains: option chains.
        world: the exogenous world, as :mod:`sim.world` states it.
        margin: regimes and their parameters.
        clearing: marks, calls, liquidation, waterfall.
        populations: who trades.
        events: what is scripted.
        record: what is kept.
        measure: which event is the event.
        steps: steps of a run.
        dates: date of each trading day, for historical worlds.
        event_steps: event name -> step.
    """

    name: str
    file: str
    folder: Path
    market: MarketSection
    contracts: tuple[ContractSection, ...]
    chains: tuple[ChainSection, ...]
    world: Any
    margin: MarginSection
    clearing: ClearingSection
    populations: tuple[PopulationSpec, ...]
    events: tuple[EventBase, ...]
    record: RecordSection
    measure: MeasureSection
    steps: int
    dates: tuple[str, ...] | None
    event_steps: Mapping[str, int]

    def as_run(self) -> dict[str, Any]:
        """The scenario with every default written out, as it goes into a manifest."""
        return {
            "market": self.market.model_dump() | {"steps": self.steps},
            "contracts": [contract.model_dump(exclude_none=True) for contract in self.contracts],
            **({"chains": [chain.model_dump(exclude_none=True) for chain in self.chains]} if self.chains else {}),
            "world": self.world.model_dump(),
            "margin": self.margin.model_dump(),
            "clearing": self.clearing.model_dump(),
            "populations": [{"kind": p.kind, "name": p.name, **p.params} for p in self.populations],
            "events": [event.model_dump(exclude_none=True) for event in self.events],
            "record": self.record.model_dump(),
            "measure": self.measure.model_dump(),
        }

    @property
    def contract_names(self) -> tuple[str, ...]:
        """Contract names in order."""
        return tuple(contract.name for contract in self.contracts)

    def event_step(self, name: str, key: str = "--fork-at") -> int:
        """The step of an event.

        Raises:
            ConfigError: the scenario has no such event.
        """
        if name not in self.event_steps:
            allowed = "an event of the scenario: " + (one_of(name, self.event_steps) or "it has none")
            raise ConfigError.of(key, name, allowed, file=self.file)
        return self.event_steps[name]

    def regime(self, label: str) -> tuple[str, dict[str, Any]]:
        """The registered regime and the parameters that a label stands for in this scenario.

        A label that the file describes (``[margin.params]`` for the scenario's own regime, ``[margin.regimes.LABEL]``
        for others) gets exactly that. Any other regime gets those parameters of ``[margin.params]`` that it knows too,
        so that regimes which differ in netting or pockets alone are compared at the same rates.

        Raises:
            ConfigError: no such label and no such regime.
        """
        from experiments import regimes

        return regimes.resolve(self, label)


def builtin() -> dict[str, Path]:
    """Built-in scenarios by name."""
    return {path.stem: path for path in sorted(FOLDER.glob("*.toml"))}


def load(source: str | Path, assignments: Iterable[str] = ()) -> Scenario:
    """Read a scenario.

    Args:
        source: name of a built-in scenario, or a TOML file.
        assignments: ``dotted.key=value`` texts that change it.

    Raises:
        ConfigError: with every problem of the file.
    """
    path, label = _locate(source)
    return parse(_read(path, label), name=path.stem, file=label, folder=path.parent, assignments=assignments)


def tables(source: str | Path) -> dict[str, Any]:
    """The parsed tables of a scenario file, together with what it extends.

    Raises:
        ConfigError: no such scenario, or a file that cannot be read.
    """
    path, label = _locate(source)
    return inheritance.whole(_read(path, label), path.parent, label, _locate_base, _read)


def parse(
    raw: dict[str, Any], *, name: str, file: str, folder: Path = Path(), assignments: Iterable[str] = ()
) -> Scenario:
    """Check a scenario that is already parsed TOML.

    Args:
        raw: the tables; changed by the assignments. A key ``extends`` names a scenario that they change.
        name: what the scenario is called.
        file: what messages call it.
        folder: where paths in it start.
        assignments: ``dotted.key=value`` texts.

    Raises:
        ConfigError: with every problem.
    """
    from experiments import chains, regimes, time_units

    raw = inheritance.whole(raw, folder, file, _locate_base, _read)
    reader = _Reader(raw, file, folder)
    before = regimes.own(raw)
    reader.overridden = overrides.apply(raw, assignments, reader.problems)
    regimes.follow_switch(raw, *before, reader.overridden)
    found: list[Problem] = []
    time_units.restate(raw, found)
    reader.add(found)
    listed, found = chains.expand(raw)
    reader.add(found)
    scenario = reader.scenario(name, listed)
    if scenario is None:
        raise ConfigError(chains.without_echoes(reader.problems, raw))
    return scenario


def with_changes(scenario: Scenario, **changes: Any) -> Scenario:
    """A scenario with some sections replaced (for studies that vary one thing)."""
    return replace(scenario, **changes)


def _locate(source: str | Path) -> tuple[Path, str]:
    text = str(source)
    known = builtin()
    if text in known:
        return known[text], f"{text}.toml"
    path = Path(text)
    if path.is_file():
        return path, text
    raise ConfigError.of("SCENARIO", text, "a TOML file, or one of " + one_of(text, known))


def _locate_base(name: str, folder: Path, label: str) -> tuple[Path, str]:
    """The file that ``extends`` names: a path from the file's own folder, or a built-in scenario."""
    path = folder / name
    if path.is_file():
        return path, name
    known = builtin()
    if name in known:
        return known[name], f"{name}.toml"
    allowed = "a TOML file, or one of " + one_of(name, known)
    raise ConfigError.of(inheritance.KEY, name, allowed, file=label)


def _read(path: Path, label: str) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError.of("byte", error.start, "text in UTF-8", file=label) from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError.of("syntax", str(error), "TOML (https://toml.io)", file=label) from None


class _Reader:
    """Checks the tables of one file and gathers what is wrong."""

    def __init__(self, raw: dict[str, Any], file: str, folder: Path) -> None:
        self.raw = raw
        self.file = file
        self.folder = folder
        self.overridden: set[str] = set()
        self.problems: list[Problem] = []

    def scenario(self, name: str, chains: Sequence[ChainSection]) -> Scenario | None:
        """The scenario, or None when there are problems."""
        from experiments import checks

        for key, value in self.raw.items():
            if key not in SECTIONS:
                self.add([Problem("", key, "a table", f"no such table; tables are {one_of(key, SECTIONS)}")])
            elif (key in LISTS) != isinstance(value, list) or not isinstance(value, list | dict):
                wanted = f"[[{key}]] tables" if key in LISTS else f"a table [{key}]"
                self.add([Problem("", key, value if not isinstance(value, dict | list) else "another shape", wanted)])
        tables = {key: self.table(key, model) for key, model in TABLES.items()}
        contracts = self.contracts()
        market, margin = tables["market"], tables["margin"]
        world, dates = checks.world(self, market, contracts)
        populations = checks.populations(self, market, contracts)
        events, event_steps = checks.events(self, market, contracts, populations, dates)
        steps = checks.steps(self, market, dates)
        checks.regimes(self, margin, market, contracts)
        checks.clearing(self, tables["clearing"], market)
        checks.event_times(self, event_steps, steps, tables["measure"])
        checks.marks(self, market, tables["clearing"])
        if checks.terms(self, market, contracts):
            checks.overflow(self, market, contracts, populations)
        if self.problems:
            return None
        return Scenario(
            name=name, file=self.file, folder=self.folder, contracts=tuple(contracts), chains=tuple(chains),
            world=world, populations=tuple(populations), events=tuple(events), steps=steps,
            dates=tuple(dates) if dates is not None else None, event_steps=event_steps, **tables,
        )  # fmt: skip

    def add(self, problems: Iterable[Problem]) -> None:
        """Keep problems, under the name of the file or of ``--set``, whichever gave the value."""
        for problem in problems:
            file = problem.file or overrides.source_of(problem.key, self.file, self.overridden)
            self.problems.append(Problem(file, problem.key, problem.value, problem.allowed))

    def table(self, key: str, model: type[BaseModel]) -> Any:
        """A validated table, or None."""
        given = self.raw.get(key, {})
        return self.validated(model, given, key) if isinstance(given, dict) else None

    def entries(self, key: str) -> list[dict[str, Any]]:
        """The tables of a list of tables."""
        given = self.raw.get(key, [])
        return [entry for entry in given if isinstance(entry, dict)] if isinstance(given, list) else []

    def validated(self, model: type[BaseModel], given: Mapping[str, Any], key: str) -> Any:
        """A validated model, or None after keeping the problems."""
        try:
            return model.model_validate(given)
        except ValidationError as error:
            self.add(from_validation(error, model, given, file="", prefix=key))
            return None

    def unique(self, key: str) -> None:
        """Names in a list of tables must differ."""
        seen: set[str] = set()
        for entry in self.entries(key):
            name = entry.get("name")
            if isinstance(name, str) and name in seen:
                self.add([Problem("", f"{key}.{name}.name", name, "a name that no other entry has")])
            seen.add(str(name))

    def choice(self, key: str, word: Any, choices: Iterable[str]) -> None:
        """Keep the problem of an unknown name."""
        found = unknown("", key, word, choices)
        self.add([found])

    def contracts(self) -> list[ContractSection]:
        """The valid contracts."""
        self.unique("contracts")
        entries = self.entries("contracts")
        if not entries and not isinstance(self.raw.get("contracts"), dict):
            self.add([Problem("", "contracts", None, "at least one [[contracts]] table")])
        found = [
            self.validated(ContractSection, entry, f"contracts.{entry.get('name', index)}")
            for index, entry in enumerate(entries)
        ]
        return [contract for contract in found if contract is not None]
