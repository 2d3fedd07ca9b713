"""Set-ups of studies: a scenario with other events, other sizes, another venue, checked where it can be wrong."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from experiments.events import EventBase, Metaorder, SeedOpenInterest
from experiments.scenario import Scenario
from sim.errors import ConfigError


def seeding(scenario: Scenario) -> SeedOpenInterest:
    """The event that gives open interest to leveraged traders, its size stated by the depth of the book.

    Raises:
        ConfigError: the scenario has none, or states its size in lots, or does not say which R0 it gives.
    """
    found = next((event for event in scenario.events if isinstance(event, SeedOpenInterest)), None)
    if found is None:
        raise ConfigError.of("events", None, "an event of kind seed_open_interest", file=scenario.file)
    if found.per_bid_depth is None or found.r0 is None:
        allowed = "the R0 that per_bid_depth gives in this scenario"
        raise ConfigError.of(f"events.{found.name}.r0", found.r0, allowed, file=scenario.file)
    return found


def sale(scenario: Scenario) -> Metaorder:
    """The forced sale: the metaorder that is the scenario's event, or its first one.

    Raises:
        ConfigError: the scenario scripts no metaorder.
    """
    orders = [event for event in scenario.events if isinstance(event, Metaorder)]
    if not orders:
        raise ConfigError.of("events", None, "an event of kind metaorder", file=scenario.file)
    return next((event for event in orders if event.name == scenario.measure.event), orders[0])


def minutes(scenario: Scenario, number: float) -> int:
    """Steps in a number of minutes, at least one."""
    return max(1, round(number * 60.0 / scenario.market.dt_seconds))


def with_events(
    scenario: Scenario, events: Iterable[tuple[EventBase, int]], *, event: str | None, steps: int
) -> Scenario:
    """The scenario with other events in place of its own.

    Args:
        scenario: what to change.
        events: events with the step of each.
        event: name of the event that outcomes refer to, or None.
        steps: length of a run.
    """
    timed = sorted(events, key=lambda pair: pair[1])
    placed = [found.model_copy(update={"at_step": step, "at_day": None, "at_date": None}) for found, step in timed]
    return replace(
        scenario,
        events=tuple(placed),
        event_steps={found.name: step for found, step in timed},
        market=scenario.market.model_copy(update={"steps": steps}),
        measure=scenario.measure.model_copy(update={"event": event}),
        steps=steps,
    )


def with_clearing(scenario: Scenario, **changes: Any) -> Scenario:
    """The scenario with some keys of ``[clearing]`` changed."""
    return replace(scenario, clearing=scenario.clearing.model_copy(update=changes))


def with_margin(
    scenario: Scenario, regime: str, params: Mapping[str, Any], regimes: Mapping[str, Mapping[str, Any]]
) -> Scenario:
    """The scenario under another margin regime, with other regimes to compare it with."""
    margin = scenario.margin.model_copy(
        update={"regime": regime, "params": dict(params), "regimes": {k: dict(v) for k, v in regimes.items()}}
    )
    return replace(scenario, margin=margin)
