"""From a scenario and a seed to a market that is ready to run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import agents
from agents.registry import MarketInfo
from experiments import regimes
from experiments.contract_terms import contract_of
from experiments.events import DepegEvent, EventBase, OracleFaultEvent, SeedOptions, ValueJumpEvent, VolatilityEvent
from experiments.scenario import Scenario
from experiments.sections import ClearingSection
from sim.breakers import Breakers
from sim.config import ClearingConfig, MarketConfig, RecordConfig, ScriptedEvent
from sim.contracts import Contract
from sim.errors import ConfigError, Problem
from sim.kernels.state import BUY, SELL
from sim.liquidation import policy
from sim.market import Market
from sim.marks import Marking
from sim.waterfall import Waterfall
from sim.world import Depeg, OracleFault, ValueJump, VolatilityChange, WorldEvent, WorldPaths, build_world

_SCRIPTED = (
    "lots",
    "steps",
    "population",
    "per_bid_depth",
    "long_share",
    "leverage_low",
    "leverage_high",
    "entry_spread",
    "currency",
    "share",
    "gamma_per_depth",
    "leverage",
    "hedged",
)


def contracts(scenario: Scenario) -> list[Contract]:
    """The scenario's contracts in the exchange's terms, durations in steps."""
    return [contract_of(section, scenario.market) for section in scenario.contracts]


def world_events(scenario: Scenario) -> list[WorldEvent]:
    """The scripted events that touch the exogenous world; they first show in the step after the event's."""
    found: list[WorldEvent] = []
    for event in scenario.events:
        step = scenario.event_steps[event.name] + 1
        if isinstance(event, ValueJumpEvent):
            found.append(ValueJump(step, event.log_size, event.contract, event.name))
        elif isinstance(event, VolatilityEvent):
            found.append(VolatilityChange(step, event.duration_steps, event.factor, event.name))
        elif isinstance(event, DepegEvent):
            found.append(
                Depeg(step, event.contract, event.level, event.over_steps, event.duration_steps, event.recovery_steps,
                      event.name)
            )  # fmt: skip
        elif isinstance(event, OracleFaultEvent):
            found.append(
                OracleFault(step, event.duration_steps, event.mode, event.log_size, event.contract,
                            tuple(event.sources), event.name)
            )  # fmt: skip
    return found


def world(scenario: Scenario, seed: int) -> WorldPaths:
    """The exogenous paths of one seed.

    Raises:
        ConfigError: a path leaves the prices that a contract can have.
    """
    market = scenario.market
    try:
        return build_world(
            scenario.world, contracts(scenario), scenario.steps, market.dt_seconds, market.steps_per_day, seed,
            world_events(scenario),
        )  # fmt: skip
    except ConfigError as error:
        raise ConfigError(Problem(p.file or scenario.file, p.key, p.value, p.allowed) for p in error.problems) from None


def populations(scenario: Scenario) -> list[Any]:
    """The scenario's populations."""
    market, terms = scenario.market, tuple(contracts(scenario))
    info = MarketInfo(scenario.contract_names, market.dt_seconds, market.steps_per_day, terms)
    return [agents.create(spec.kind, spec.name, spec.params, info) for spec in scenario.populations]


def scripted_events(scenario: Scenario) -> list[ScriptedEvent]:
    """All scripted events in the exchange's terms; those of the world only mark their step there."""
    return [_scripted(event, scenario) for event in scenario.events]


def _scripted(event: EventBase, scenario: Scenario) -> ScriptedEvent:
    stated = event.model_dump(exclude={"name", "kind", "at_step", "at_day", "at_date", "contract", "side"})
    known = {key: value for key, value in stated.items() if key in _SCRIPTED and value is not None}
    if stated.get("duration_steps") is not None:
        known["steps"] = stated["duration_steps"]
    contract = getattr(event, "contract", None)
    if isinstance(event, SeedOptions):
        known |= {"strikes": tuple(event.strikes), "options": _options(event, scenario)}
    return ScriptedEvent(
        name=event.name,
        kind=event.kind,
        step=scenario.event_steps[event.name],
        contract=scenario.contract_names.index(contract) if contract is not None else 0,
        side=BUY if getattr(event, "side", "sell") == "buy" else SELL,
        **known,
    )


def _options(event: SeedOptions, scenario: Scenario) -> tuple[int, ...]:
    """Numbers of the options that an event may give out."""
    chains = [section.chain for section in scenario.contracts if section.chain]
    chain = event.chain or next(iter(chains), None)
    return tuple(
        number
        for number, section in enumerate(scenario.contracts)
        if section.chain is not None
        and section.chain == chain
        and (not event.expiry_days or section.expiry_days in event.expiry_days)
        and event.option_type in ("both", section.option_type)
    )


def clearing(scenario: Scenario) -> ClearingConfig:
    """Marks, calls, liquidation and waterfall in the exchange's terms."""
    return clearing_config(scenario, scenario.clearing)


def clearing_config(scenario: Scenario, section: ClearingSection) -> ClearingConfig:
    """A ``[clearing]`` section, the scenario's own or another, in the exchange's terms.

    Raises:
        ConfigError: no such policy, or no such parameter of one.
    """
    plain = section.model_dump(exclude={"liquidation", "policy", "waterfall", "breakers", "marking"})
    waterfall = section.waterfall.model_dump()
    return ClearingConfig(
        notice_steps=scenario.margin.notice_steps,
        policy=policy(section.liquidation, section.policy.model_dump()),
        waterfall=Waterfall(**waterfall | {"layers": tuple(waterfall["layers"])}),
        breakers=Breakers(**section.breakers.model_dump()),
        marking=Marking(**section.marking.model_dump()),
        **plain,
    )


def market(
    scenario: Scenario,
    seed: int,
    regime: str | None = None,
    *,
    shadows: Sequence[str] = (),
    views: bool = False,
) -> Market:
    """A market before its first step.

    Args:
        scenario: what to build.
        seed: of the run.
        regime: label of the margin regime; the scenario's own if None.
        shadows: labels of regimes that are computed beside it, so that the market can fork into them.
        views: make a Mesa agent for every trader.

    Raises:
        ConfigError: something does not fit together.
    """
    time, record = scenario.market, scenario.record
    own = regime or scenario.margin.regime
    return Market(
        MarketConfig(**time.model_dump(exclude={"name", "steps", "burn_in", "unit_seconds"}), steps=scenario.steps),
        contracts(scenario),
        world(scenario, seed),
        regimes.make(scenario, own),
        populations(scenario),
        scripted_events(scenario),
        clearing(scenario),
        RecordConfig(**record.model_dump(exclude={"tables"})),
        seed,
        views=views,
        shadows={label: regimes.make(scenario, label) for label in shadows},
        scales={label: regimes.scale_of(scenario, label) for label in (own, *shadows)},
        surfaces={chain.name: chain.surface for chain in scenario.chains},
    )


def scale(market: Market) -> float:
    """Factor on all that the regime in force charges: stated, or found at a fork to meet the baseline's mean rate."""
    return float(market.state.model_scale[0])
