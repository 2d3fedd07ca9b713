"""Copies of a market: forks that go on under another rule, snapshots on disk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import mesa
import numpy as np

from sim import frozen as standstill
from sim import regime, snapshot, venue
from sim.config import LAYOUTS, ClearingConfig, ScriptedEvent
from sim.errors import ConfigError, ForkError, SnapshotError
from sim.interfaces import ModelState
from sim.kernels import breakers, setup, step
from sim.kernels import state as s

if TYPE_CHECKING:
    from sim.market import Market
    from sim.world import WorldPaths


def check_copyable(market: Market) -> None:
    """Raise ForkError, naming the class, if an agent keeps state that cannot be copied."""
    known = {id(view) for p in market.populations for view in getattr(p, "traders", lambda _: [])(market)}
    for agent in market.agents:
        if hasattr(agent, "population"):
            continue
        if id(agent) not in known and not hasattr(agent, "state_dict"):
            raise ForkError(f"{type(agent).__name__} has no state_dict(): a market with it can not be forked or stored")
    for population in market.populations:
        if population.decide is None and not hasattr(population, "state_dict"):
            raise ForkError(f"{type(population).__name__} has no state_dict(): the market can not be forked")


def _python_states(market: Market) -> dict[str, Any]:
    return {
        population.name: population.state_dict(market)  # type: ignore[attr-defined]
        for population in market.populations
        if population.decide is None
    }


def _clone(market: Market, state: s.State, python: Mapping[str, Any], margin_state: ModelState) -> Market:
    """A market around a copied state, with the same parts."""
    twin = object.__new__(type(market))
    mesa.Model.__init__(twin, rng=market.run_seed)
    for name in (
        "config", "contracts", "populations", "events", "clearing", "record", "world", "margin", "shadows",
        "scales", "run_seed", "contract_table", "has_views", "mean_since", "frozen", "published",
        "silenced",
    ):  # fmt: skip
        setattr(twin, name, getattr(market, name))
    twin.changed_params = dict(market.changed_params)
    twin.state = state
    twin.margin_state = {name: np.array(array, copy=True) for name, array in margin_state.items()}
    twin._connect()
    twin._make_views()
    for population in market.populations:
        if population.decide is None:
            population.load_state_dict(twin, python[population.name])  # type: ignore[attr-defined]
    return twin


def fork(
    market: Market,
    margin: str | None,
    scale_to_mean: bool,
    liquidations: bool | None,
    events: Sequence[ScriptedEvent] | None,
    world: WorldPaths | None,
    clearing: ClearingConfig | None = None,
    frozen: bool = False,
) -> Market:
    """See :meth:`sim.market.Market.fork`."""
    check_copyable(market)
    twin = _clone(market, s.copy_of(market.state), _python_states(market), market.margin_state)
    if events is not None:
        done = int(market.state.meta[s.M_SCRIPTED])
        twin.events = market.events[:done] + tuple(sorted(events, key=lambda event: event.step))
        if len(twin.events) > len(twin.state.flows):
            raise ForkError("a fork may script no more events than its market was made for")
    if world is not None:
        _replace_world(twin, world)
    if clearing is not None:
        _switch_venue(twin, clearing)
    if liquidations is not None:
        twin.state.meta[s.M_LIQUIDATE] = liquidations
    if margin is not None and margin != market.margin.name:
        _switch_margin(twin, margin, scale_to_mean)
    if frozen:
        standstill.freeze(twin)
    return twin


def _replace_world(market: Market, world: WorldPaths) -> None:
    rows = slice(0, market.tick + 1)
    if world.value.shape != market.state.value.shape or not np.array_equal(world.value[rows], market.state.value[rows]):
        raise ForkError(f"the exogenous paths of the fork differ before step {market.tick}")
    if world.oracle_path is None:
        same = market.world.oracle_path is None
    else:
        same = world.oracle_path.shape == market.state.oracle_path.shape
    if not same:
        raise ForkError("the oracle of the fork's exogenous paths has other sources")
    market.world = world
    market.state.value[:] = world.value
    market.state.index_path[:] = world.index
    market.state.activity[:] = world.activity
    if world.oracle_path is not None:
        market.state.oracle_path[:] = world.oracle_path


def _switch_venue(market: Market, clearing: ClearingConfig) -> None:
    """Put another design of the venue in force; what was agreed before the run began stays."""
    before = market.clearing
    for key in ("notice_steps", "fund_initial"):
        if getattr(clearing, key) != getattr(before, key):
            raise ForkError(f"clearing.{key} = {getattr(clearing, key)!r}: a fork keeps {getattr(before, key)!r}")
    market.clearing = clearing
    venue.put(market, clearing)
    regime.put_haircuts(market, market.margin.init(market.contract_table))


def _switch_margin(market: Market, name: str, scale_to_mean: bool) -> None:
    """Put a shadow regime in force; the others stay as they are."""
    if name not in market.shadows:
        raise ConfigError.of("margin", name, "one of " + ", ".join([market.margin.name, *market.shadows]))
    state = market.state
    slot = 1 + list(market.shadows).index(name)
    model = market.shadows[name]
    base, own = state.model_rate_sum[0].sum(), state.model_rate_sum[slot].sum()
    factor = float(base / own) if scale_to_mean and own > 0 and base != own else 1.0
    scale = factor * float(state.model_scale[slot])  # what the shadow had of its own is in its rates already
    stressed = bool(state.breakers[s.CB_STRESS_SLOPE])
    if stressed:
        venue.check_stress(model)
    layout = LAYOUTS[model.layout]
    setup.change_layout(state, layout)
    had_scenarios = int(state.meta[s.M_SCENARIOS]) > 0
    had_schedule = bool(state.tiers.any())
    state.meta[s.M_SCENARIOS] = 0
    state.model_params[0] = state.model_params[slot]
    state.model_state[0] = state.model_state[slot]
    state.model_window[0] = state.model_window[slot]
    state.model_rates[0] = np.floor(state.model_rates[slot] * factor + 0.5).astype(np.int64)
    state.model_scale[0] = scale
    state.meta[s.M_INDEX_VALID] = bool(model.index_valid)
    market.margin = model
    market._connect()
    step.announce_initial(state)
    if stressed:
        breakers.multiply_initial(state)
    memory = model.init(market.contract_table)
    has_schedule = regime.put_schedule(market, memory, scale)
    regime.put_haircuts(market, memory)
    described = getattr(model, "features", False)
    if described:
        model.take_over(state, slot)  # type: ignore[attr-defined]
    has_grid = model.scenarios or had_scenarios  # type: ignore[attr-defined]
    if has_grid or has_schedule or had_schedule or described:
        # what is not a rate cannot wait for its notice: there is no earlier one to go by
        model.publish_kernel(state, 0)
        if stressed:
            breakers.multiply_grid(state, market.tick % int(state.meta[s.M_RISK_SLOTS]))
        regime.fill_ring(market)
    setup.rebuild_index(state)


def save(market: Market, path: Path) -> None:
    """See :meth:`sim.market.Market.save`."""
    check_copyable(market)
    if market.frozen is not None:
        raise ForkError("a market with frozen margins can not be stored: store it before, and fork again")
    extra = {
        "seed": market.run_seed,
        "margin": market.margin.name,
        "mean_since": market.mean_since,
        "python": _python_states(market),
        "margin_state": {name: np.asarray(a).tolist() for name, a in market.margin_state.items()},
    }
    snapshot.save(path, market.state, extra)


def load(market: Market, path: Path) -> Market:
    """See :meth:`sim.market.Market.load`."""
    state, extra = snapshot.load(path)
    mine = {name: array.shape[:1] for name, array in s.arrays_of(market.state).items() if name not in s.GROWING}
    theirs = {name: array.shape[:1] for name, array in s.arrays_of(state).items() if name not in s.GROWING}
    if mine != theirs or extra["margin"] != market.margin.name or extra["seed"] != market.run_seed:
        raise SnapshotError(f"{path}: the snapshot belongs to another scenario, regime or seed")
    margin_state = {
        name: np.asarray(values, market.margin_state[name].dtype) for name, values in extra["margin_state"].items()
    }
    twin = _clone(market, state, extra["python"], margin_state)
    twin.mean_since = int(extra["mean_since"])
    twin.published = None
    return twin
