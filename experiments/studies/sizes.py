"""The same market with more participants: finer positions in the same book, or everything multiplied.

*Finer*: the leveraged traders are so many times more, and share the same open interest. *Whole*: orders, traders and
the forced sale are so many times more, sizes of single orders stay, so book, volume and open interest grow together and
every average relative to another stays as it is, while fluctuations of sums of independent orders shrink.
"""

from __future__ import annotations

from dataclasses import replace

from experiments.events import EventBase, Metaorder, SeedOpenInterest
from experiments.scenario import Scenario
from experiments.sections import PopulationSpec
from experiments.studies.setups import seeding
from sim.errors import ConfigError

FINER, WHOLE = "finer", "whole"
WAYS = (FINER, WHOLE)
_FLOWS = ("arrivals",)  # parameters beside ``count`` that grow with the number of participants


def enlarged(scenario: Scenario, factor: int, way: str) -> Scenario:
    """A scenario with more participants.

    Args:
        scenario: one that seeds open interest.
        factor: how many times more.
        way: ``finer`` or ``whole``.

    Raises:
        ConfigError: the factor is below one, the way unknown, or a population cannot be so large.
    """
    import agents
    from agents.registry import MarketInfo, parameters

    if factor < 1:
        raise ConfigError.of("factor", factor, "a whole number from 1 on")
    if way not in WAYS:
        raise ConfigError.of("way", way, "one of " + ", ".join(WAYS))
    if factor == 1:
        return scenario
    leveraged = seeding(scenario).population
    info = MarketInfo(scenario.contract_names, scenario.market.dt_seconds, scenario.market.steps_per_day)
    specs = []
    for spec in scenario.populations:
        if way == FINER and spec.name != leveraged:
            specs.append(spec)
            continue
        stated = parameters(spec.kind)
        grown = dict(spec.params)
        for name in ("count", *_FLOWS):
            if name in stated.model_fields:
                grown[name] = factor * grown.get(name, stated.model_fields[name].default)
        if way == FINER and "capital_lots" in stated.model_fields:
            # the same capital in more hands
            grown["capital_lots"] = grown.get("capital_lots", stated.model_fields["capital_lots"].default) / factor
        agents.create(spec.kind, spec.name, grown, info)  # refuses what it cannot be
        specs.append(PopulationSpec(spec.kind, spec.name, grown))
    events: list[EventBase] = []
    for event in scenario.events:
        more: dict[str, object] = {}
        if way == WHOLE and isinstance(event, Metaorder | SeedOpenInterest) and event.lots is not None:
            more = {"lots": event.lots * factor}
        events.append(event.model_copy(update=more))
    return replace(scenario, populations=tuple(specs), events=tuple(events))
