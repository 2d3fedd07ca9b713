"""One scenario at other values of R0, of the shock and of leverage."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from experiments.events import EventBase, Metaorder, Moment, SeedOpenInterest, ValueJumpEvent, VolatilityEvent
from experiments.scenario import Scenario
from sim.errors import ConfigError

LARGEST_LEVERAGE = 1000.0


@dataclass(frozen=True)
class Leverage:
    """A range of leverage of the seeded positions, log-uniform in it."""

    low: float
    high: float

    def __str__(self) -> str:
        """As ``--leverage`` spells it."""
        return f"{self.low:g}:{self.high:g}"


@dataclass(frozen=True)
class Cell:
    """A point of the grid.

    Attributes:
        target: R0 aimed at.
        shock: multiple of the scenario's shock.
        leverage: of the seeded positions; the scenario's own if None.
    """

    target: float
    shock: float = 1.0
    leverage: Leverage | None = None

    @property
    def arm(self) -> str:
        """Its name in tables and hashes; what is the scenario's own is left out."""
        parts = [f"r0 {self.target:g}"]
        if self.shock != 1.0:
            parts.append(f"shock {self.shock:g}")
        if self.leverage is not None:
            parts.append(f"leverage {self.leverage}")
        return " ".join(parts)


def grid(targets: Sequence[float], shocks: Sequence[float], leverages: Sequence[Leverage | None]) -> tuple[Cell, ...]:
    """Every combination; R0 varies fastest."""
    return tuple(Cell(target, shock, leverage) for leverage in leverages for shock in shocks for target in targets)


def main_setting(settings: Iterable[tuple[float, str | None]]) -> tuple[float, str | None]:
    """Of (shock, leverage) pairs the one nearest to the scenario's own: the first with its shock, else the first."""
    known = list(settings)
    return next((setting for setting in known if setting[0] == 1.0), known[0])


def at_target(scenario: Scenario, target: float) -> Scenario:
    """The scenario with its seeded open interest scaled so that R0 is about a target.

    Liquidatable long lots are the same share of what is seeded, whatever its size, so open interest is proportional to
    R0; the file states the size for the R0 in its key ``r0``.

    Raises:
        ConfigError: the scenario seeds no open interest, or does not say at which R0.
    """
    if not any(isinstance(event, SeedOpenInterest) for event in scenario.events):
        raise ConfigError.of("events", None, "an event of kind seed_open_interest", file=scenario.file)
    events: list[EventBase] = []
    for event in scenario.events:
        if isinstance(event, SeedOpenInterest):
            if event.r0 is None or event.per_bid_depth is None:
                allowed = "the R0 that per_bid_depth gives in this scenario, so that it can be scaled"
                raise ConfigError.of(f"events.{event.name}.r0", event.r0, allowed, file=scenario.file)
            scaled = event.per_bid_depth * target / event.r0
            events.append(event.model_copy(update={"per_bid_depth": scaled, "r0": target}))
        else:
            events.append(event)
    return replace(scenario, events=tuple(events))


def at_leverage(scenario: Scenario, leverage: Leverage | None) -> Scenario:
    """The scenario with another range of leverage of its seeded positions, their open interest unchanged."""
    if leverage is None:
        return scenario
    changed = {"leverage_low": leverage.low, "leverage_high": leverage.high}
    return replace(
        scenario,
        events=tuple(
            event.model_copy(update=changed) if isinstance(event, SeedOpenInterest) else event
            for event in scenario.events
        ),
    )


def at_shock(scenario: Scenario, name: str, multiple: float) -> Scenario:
    """The scenario with its shock so many times as large.

    Lots of a metaorder, the log of a jump of the value, and what a volatility event adds to a factor of one are
    multiplied. A multiple of 0 leaves the step of the shock and takes the shock away.

    Args:
        scenario: what to change.
        name: event that is the shock.
        multiple: of its size, zero or more.

    Raises:
        ConfigError: the event has no size.
    """
    if multiple == 1.0:
        return scenario
    events: list[EventBase] = []
    for event in scenario.events:
        if event.name != name:
            events.append(event)
        elif isinstance(event, Metaorder):
            lots = round(event.lots * multiple)
            nothing = Moment(kind="moment", name=name, **{key: getattr(event, key) for key in event.given_times()})
            events.append(event.model_copy(update={"lots": lots}) if lots > 0 else nothing)
        elif isinstance(event, ValueJumpEvent):
            events.append(event.model_copy(update={"log_size": event.log_size * multiple}))
        elif isinstance(event, VolatilityEvent):
            events.append(event.model_copy(update={"factor": max(0.0, 1.0 + (event.factor - 1.0) * multiple)}))
        else:
            allowed = f"1 alone: {name} is of kind {event.kind}, which has no size"
            raise ConfigError.of("--shock", multiple, allowed, file=scenario.file)
    return replace(scenario, events=tuple(events))


def in_the_world(scenario: Scenario, name: str) -> bool:
    """Whether a shock belongs to the exogenous paths, so that another size needs other paths."""
    return any(event.name == name and isinstance(event, ValueJumpEvent | VolatilityEvent) for event in scenario.events)


def seeding_step(scenario: Scenario) -> int:
    """The first step at which open interest is seeded."""
    return min(scenario.event_steps[e.name] for e in scenario.events if isinstance(e, SeedOpenInterest))


def last_seeding_step(scenario: Scenario) -> int:
    """The step from which on all open interest is seeded."""
    return max(scenario.event_steps[e.name] for e in scenario.events if isinstance(e, SeedOpenInterest))


def place_of(cell: Cell) -> dict[str, Any]:
    """Where a cell stands in the grid, as plain data."""
    return {"target": cell.target, "shock": cell.shock, "leverage": leverage_key(cell.leverage)}


def leverage_key(leverage: Leverage | None) -> str | None:
    """A range of leverage as plain data."""
    return None if leverage is None else str(leverage)


def at_cell(scenario: Scenario, cell: Cell, event: str) -> Scenario:
    """The scenario at a point of the grid; open interest is not yet adapted to leverage."""
    return at_shock(at_leverage(at_target(scenario, cell.target), cell.leverage), event, cell.shock)


def fork_step(scenario: Scenario) -> int:
    """The step at which seeds are forked: the one before open interest is seeded."""
    return max(seeding_step(scenario) - 1, 0)


def with_causes(scenario: Scenario) -> Scenario:
    """With the record of causes, which changes nothing in a run but lets trees be told."""
    return replace(scenario, record=scenario.record.model_copy(update={"causes": True}))


def parse_multiples(text: str) -> tuple[float, ...]:
    """The value of ``--shock``: different numbers from 0 to 100.

    Raises:
        ConfigError: the text is something else.
    """
    try:
        found = tuple(float(part) for part in text.split(","))
    except ValueError:
        found = ()
    if not found or any(not 0 <= value <= 100 for value in found) or len(set(found)) < len(found):
        allowed = "different multiples of the scenario's shock, 0 to 100, by commas: 0.5,1,2"
        raise ConfigError.of("--shock", text, allowed)
    return found


def parse_range(key: str, text: str, least: float, most: float, example: str) -> tuple[float, float]:
    """LOW:HIGH with least <= LOW <= HIGH <= most.

    Raises:
        ConfigError: the text is something else.
    """
    low, colon, high = text.partition(":")
    try:
        found = (float(low), float(high))
    except ValueError:
        found = (1.0, 0.0)
    if not colon or not least <= found[0] <= found[1] <= most:
        raise ConfigError.of(key, text, f"LOW:HIGH from {least:g} to {most:g}, for example {example}")
    return found


def parse_leverages(text: str | None) -> tuple[Leverage | None, ...]:
    """The value of ``--leverage``: ranges LOW:HIGH by commas; the scenario's own if None.

    Raises:
        ConfigError: the text is something else.
    """
    if text is None:
        return (None,)
    found = tuple(Leverage(*parse_range("--leverage", p, 1.0, LARGEST_LEVERAGE, "5:15,10:30")) for p in text.split(","))
    if len(set(found)) < len(found):
        raise ConfigError.of("--leverage", text, "different ranges")
    return found
