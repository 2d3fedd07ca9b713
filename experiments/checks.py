"""What can only be checked with the whole scenario in view, or with the registries of the other rooms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import agents
from agents.registry import MarketInfo
from experiments import chains, contract_terms
from experiments import regimes as margin_regimes
from experiments.events import (
    EVENT_KINDS,
    DepegEvent,
    EventBase,
    OracleFaultEvent,
    SeedOpenInterest,
    SeedOptions,
    SwapCollateral,
    step_of,
)
from experiments.sections import (
    ClearingSection,
    ContractSection,
    MarginSection,
    MarketSection,
    MeasureSection,
    PopulationSpec,
)
from sim.errors import ConfigError, Problem
from sim.kernels.state import SPECIAL_ACCOUNTS
from sim.liquidation import POLICIES, policy, policy_problems
from sim.marks import problems as mark_problems
from sim.problems import did_you_mean
from sim.waterfall import Waterfall, waterfall_problems
from sim.world import WORLD_KINDS, HistoricalWorld, trading_days
from sim.world import oracle as world_oracle

if TYPE_CHECKING:
    from experiments.scenario import _Reader


def world(
    reader: _Reader, market: MarketSection | None, contracts: Sequence[ContractSection]
) -> tuple[Any, list[str] | None]:
    """The world's configuration, and the date of each trading day where prices are historical."""
    given = reader.raw.get("world")
    if not isinstance(given, dict):
        if given is None:
            reader.add([Problem("", "world", None, "a table [world] with a kind: " + ", ".join(WORLD_KINDS))])
        return None, None
    kind = given.get("kind")
    if kind not in WORLD_KINDS:
        reader.choice("world.kind", kind, WORLD_KINDS)
        return None, None
    config = reader.validated(WORLD_KINDS[kind], given, "world")
    if config is None or market is None or not contracts or len(contracts) != len(reader.entries("contracts")):
        return config, None
    reader.add(world_oracle.problems(config.oracle, contracts, market.dt_seconds))
    return _dated(reader, config, contracts)


def populations(
    reader: _Reader, market: MarketSection | None, contracts: Sequence[ContractSection]
) -> list[PopulationSpec]:
    """The populations whose kind and parameters are valid."""
    reader.unique("populations")
    entries = reader.entries("populations")
    if not entries:
        reader.add([Problem("", "populations", None, "at least one [[populations]] table: a market needs traders")])
    info = market_info(market, contracts)
    found = []
    for index, entry in enumerate(entries):
        kind, name = entry.get("kind"), entry.get("name", entry.get("kind"))
        key = f"populations.{name if isinstance(name, str) else index}"
        if not isinstance(name, str) or not re.fullmatch(r"[^\s.]+", name):
            reader.add([Problem("", f"{key}.name", name, "a text without spaces and dots")])
            continue
        if kind not in agents.kinds():
            reader.choice(f"{key}.kind", kind, agents.kinds())
            continue
        params = {k: v for k, v in entry.items() if k not in ("kind", "name")}
        before = len(reader.problems)
        reader.validated(agents.parameters(kind), params, key)
        if len(reader.problems) == before and info is not None:
            reader.add(_hinted(agents.problems(kind, params, info, key=key), contracts))
        if len(reader.problems) == before:
            found.append(PopulationSpec(kind, name, params))
    return found


def events(
    reader: _Reader,
    market: MarketSection | None,
    contracts: Sequence[ContractSection],
    traders: Sequence[PopulationSpec],
    dates: Sequence[str] | None,
) -> tuple[list[EventBase], dict[str, int]]:
    """The valid events, and their steps by name."""
    reader.unique("events")
    found: list[EventBase] = []
    steps: dict[str, int] = {}
    names = [str(entry.get("name")) for entry in reader.entries("contracts")]
    known = [str(entry.get("name", entry.get("kind"))) for entry in reader.entries("populations")]
    for index, entry in enumerate(reader.entries("events")):
        key = f"events.{entry.get('name', index)}"
        if entry.get("kind") not in EVENT_KINDS:
            reader.choice(f"{key}.kind", entry.get("kind"), EVENT_KINDS)
            continue
        event = reader.validated(EVENT_KINDS[entry["kind"]], entry, key)
        if event is None:
            continue
        times = event.given_times()
        if len(times) != 1:
            reader.add([Problem("", f"{key}.at_step", times or None, "one of at_step, at_day, at_date")])
            continue
        contract, population = getattr(event, "contract", None), getattr(event, "population", None)
        if contract is not None and contract not in names:
            reader.choice(f"{key}.contract", contract, names)
        if population is not None and population not in known:
            reader.choice(f"{key}.population", population, known)
        reader.add(Problem("", f"{key}.{name}", value, allowed) for name, value, allowed in event.contradictions())
        if isinstance(event, SeedOpenInterest | SeedOptions) and contracts:
            held = {c.name: c.kind for c in contracts}.get(contract or contracts[0].name, "linear_perpetual")
            unhedged = isinstance(event, SeedOptions) and not event.hedged and event.lots is not None
            if (held == "spot" and not unhedged) or held.endswith("option"):
                reader.add([Problem("", f"{key}.contract", contract, f"a perpetual or future, not {held}")])
        if isinstance(event, SeedOptions):
            _seeded_options(reader, event, key, contracts)
        _world_event(reader, event, key, contracts)
        found.append(event)
        step = step_of(event, market.steps_per_day, dates) if market is not None else None
        if step is not None:
            steps[event.name] = step
        elif market is not None and event.at_date is not None:
            allowed = "only in a historical world" if dates is None else f"a trading day {dates[0]} to {dates[-1]}"
            reader.add([Problem("", f"{key}.at_date", event.at_date, allowed)])
    return found, steps


def _seeded_options(reader: _Reader, event: SeedOptions, key: str, contracts: Sequence[ContractSection]) -> None:
    """The chain and its expiries exist, and are about what the hedge trades."""
    chains = list(dict.fromkeys(contract.chain for contract in contracts if contract.chain))
    if event.chain is None and len(chains) != 1:
        reader.add([Problem("", f"{key}.chain", None, "the name of a chain" + _listed(chains))])
        return
    if event.chain is not None and event.chain not in chains:
        reader.choice(f"{key}.chain", event.chain, chains)
        return
    listed = [contract for contract in contracts if contract.chain == (event.chain or chains[0])]
    days = sorted({contract.expiry_days for contract in listed if contract.expiry_days is not None})
    for day in event.expiry_days:
        if day not in days:
            allowed = "an expiry of the chain: " + ", ".join(f"{one:g}" for one in days)
            reader.add([Problem("", f"{key}.expiry_days", day, allowed)])
    named = {contract.name: contract for contract in contracts}
    hedge = named.get(event.contract) if event.contract is not None else contracts[0]
    about = listed[0].underlying
    if hedge is not None and about is not None:
        mine = hedge.underlying or hedge.base_currency
        if mine is None and hedge.kind.startswith("inverse"):
            mine = hedge.currency
        if (mine or hedge.name) != about:
            reader.add([Problem("", f"{key}.contract", hedge.name, f"a perpetual or future about {about}")])


def _world_event(reader: _Reader, event: EventBase, key: str, contracts: Sequence[ContractSection]) -> None:
    """What depegs, swaps of collateral and faults name must be there: a spot contract, a currency, sources."""
    if isinstance(event, DepegEvent):
        spots = [contract.name for contract in contracts if contract.kind == "spot"]
        if contracts and event.contract in [contract.name for contract in contracts] and event.contract not in spots:
            reader.add([Problem("", f"{key}.contract", event.contract, "a spot contract" + _listed(spots))])
    elif isinstance(event, SwapCollateral) and contracts:
        account = contracts[0].currency
        names = [c.currency for c in contracts] + [c.base_currency for c in contracts if c.base_currency]
        others = [name for name in dict.fromkeys(names) if name != account]
        if event.currency not in others:
            reader.add(
                [Problem("", f"{key}.currency", event.currency, f"a currency beside {account}" + _listed(others))]
            )
    elif isinstance(event, OracleFaultEvent):
        given = reader.raw.get("world")
        oracle = given.get("oracle") if isinstance(given, dict) else None
        tables = [oracle.get(name) for name in ("sources", "perpetuals")] if isinstance(oracle, dict) else []
        entries = [entry for table in tables if isinstance(table, list) for entry in table if isinstance(entry, dict)]
        known = [str(entry.get("name")) for entry in entries]
        for name in event.sources:
            if name not in known:
                allowed = "a source of the oracle" + _listed(known) + did_you_mean(name, known)
                reader.add([Problem("", f"{key}.sources", name, allowed)])


def _listed(names: Sequence[str]) -> str:
    return ": " + ", ".join(names) if names else ", of which there is none"


def steps(reader: _Reader, market: MarketSection | None, dates: Sequence[str] | None) -> int:
    """Steps of a run: as given, or the whole of a historical series."""
    if market is None:
        return 0
    longest = len(dates) * market.steps_per_day if dates is not None else None
    if market.steps is None:
        if longest is None:
            reader.add([Problem("", "market.steps", None, "a whole number of at least 1 (only historical worlds end)")])
        return longest or 0
    if longest is not None and market.steps > longest:
        reader.add([Problem("", "market.steps", market.steps, f"at most {longest}, the length of the price series")])
    if market.burn_in >= market.steps:
        reader.add([Problem("", "market.burn_in", market.burn_in, f"fewer than the {market.steps} steps of a run")])
    return market.steps


def event_times(reader: _Reader, event_steps: Mapping[str, int], last: int, measure: MeasureSection | None) -> None:
    """Events happen within the run, and the event that is measured exists."""
    for name, step in event_steps.items():
        if last and step >= last:
            allowed = f"a time within the run, steps 0 to {last - 1}"
            reader.add([Problem("", f"events.{name}", step, allowed)])
    named = [str(entry.get("name")) for entry in reader.entries("events")]
    if measure is not None and measure.event is not None and measure.event not in named:
        reader.choice("measure.event", measure.event, named)


def regimes(
    reader: _Reader,
    margin: MarginSection | None,
    market: MarketSection | None,
    contracts: Sequence[ContractSection],
) -> None:
    """The scenario's regime, and every other that it describes, exist and take their parameters."""
    if margin is None:
        return
    names = [contract.name for contract in contracts]
    reader.add(margin_regimes.check(margin.regime, margin.params, "margin.regime", "margin.params", names))
    for label, params in margin.regimes.items():
        rest = {key: value for key, value in params.items() if key != "regime"}
        where = f"margin.regimes.{label}"
        key = f"{where}.regime" if "regime" in params else where
        reader.add(margin_regimes.check(params.get("regime", label), rest, key, where, names))


def clearing(reader: _Reader, section: ClearingSection | None, market: MarketSection | None) -> None:
    """The liquidation policy exists and makes sense beside the rest of the venue's design; so does the waterfall."""
    if section is None:
        return
    waterfall = section.waterfall
    found = waterfall_problems(Waterfall(**waterfall.model_dump()))
    names = [str(entry.get("name", entry.get("kind"))) for entry in reader.entries("populations")]
    if waterfall.vault and waterfall.vault not in names:
        reader.choice("clearing.waterfall.vault", waterfall.vault, names)
    if section.liquidation not in POLICIES:
        reader.choice("clearing.liquidation", section.liquidation, POLICIES)
    elif not found:
        rule = policy(section.liquidation, section.policy.model_dump())
        dt = market.dt_seconds if market is not None else 1.0
        found += policy_problems(rule, dt, section.forced_limit, waterfall.layers)
    reader.add(found)


def marks(reader: _Reader, market: MarketSection | None, clearing: ClearingSection | None) -> None:
    """Windows of averages fit into the past that is kept."""
    if market is not None and clearing is not None:
        reader.add(mark_problems(clearing, market.dt_seconds))


def terms(reader: _Reader, market: MarketSection | None, contracts: Sequence[ContractSection]) -> bool:
    """Contracts have what their kind needs, and fit together; returns whether they do."""
    if market is None or len(contracts) != len(reader.entries("contracts")):
        return False
    found = contract_terms.problems(contracts, market)
    reader.add(chains.fold(found, contracts))
    return not found


def overflow(
    reader: _Reader,
    market: MarketSection,
    contracts: Sequence[ContractSection],
    traders: Sequence[PopulationSpec],
) -> None:
    """Prove that no sum of money can leave a 64-bit integer."""
    counts = [agents.parameters(spec.kind).model_validate(spec.params).count for spec in traders]
    accounts = sum(counts) + SPECIAL_ACCOUNTS
    terms = [contract_terms.contract_of(contract, market) for contract in contracts]
    if terms and len(terms) == len(reader.entries("contracts")):
        minor = contract_terms.minor_of(market.minor_units, terms[0].currency)
        reader.add(chains.fold(contract_terms.overflow(terms, accounts, minor), contracts))


def market_info(market: MarketSection | None, contracts: Sequence[ContractSection]) -> Any:
    """What populations must know of the market, or None while it is not valid."""
    if market is None or not contracts:
        return None
    terms = tuple(contract_terms.contract_of(contract, market) for contract in contracts)
    return MarketInfo(tuple(c.name for c in contracts), market.dt_seconds, market.steps_per_day, terms)


def _hinted(problems: Sequence[Problem], contracts: Sequence[ContractSection]) -> list[Problem]:
    """Append what was probably meant to problems of contract names."""
    names = [contract.name for contract in contracts]
    return [
        Problem(p.file, p.key, p.value, p.allowed + did_you_mean(str(p.value), names))
        if p.key.endswith("contract")
        else p
        for p in problems
    ]


def _dated(reader: _Reader, config: Any, contracts: Sequence[ContractSection]) -> tuple[Any, list[str] | None]:
    """Read the price files of a historical world, so that whatever is wrong with them is said before anything runs."""
    if not isinstance(config, HistoricalWorld):
        return config, None
    config = _absolute_paths(config, reader)
    try:
        return config, list(trading_days(config, [contract.name for contract in contracts]))
    except ConfigError as error:
        reader.add(error.problems)
        return config, None


def _absolute_paths(config: Any, reader: _Reader) -> Any:
    """Paths in a file start at its folder, paths given by ``--set`` where the user stands."""
    if config.path is None or any(key.startswith("world.path") for key in reader.overridden):
        return config
    given = [config.path] if isinstance(config.path, str) else config.path
    paths = [str(reader.folder / path) for path in given]
    return config.model_copy(update={"path": paths[0] if isinstance(config.path, str) else paths})
