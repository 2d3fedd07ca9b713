"""The margin regime in force: what it publishes, put where kernels and NumPy rules read it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim import numpy_rules
from sim.contracts import currencies_of, rate_to_units
from sim.errors import ConfigError
from sim.interfaces import ModelState, RiskParameters
from sim.kernels import marks, step, values
from sim.kernels import state as s
from sim.schedules import scaled_schedule

if TYPE_CHECKING:
    from sim.market import Market


def publish_first(market: Market) -> None:
    """Publish at step 0 and put the rates in force in every row of the ring."""
    state = market.state
    marks.set_marks(state)
    for slot, model in enumerate((market.margin, *market.shadows.values())):
        memory = model.init(market.contract_table)
        if getattr(model, "features", False):
            model.install(state, slot, memory)  # type: ignore[attr-defined]
        if model.publish_kernel is not None:
            state.model_params[slot] = memory["params"]
            state.model_state[slot] = memory["state"]
            if slot == 0:
                put_schedule(market, memory, float(state.model_scale[0]))
                put_haircuts(market, memory)
            if "window" in memory:
                state.model_window[slot, :, : memory["window"].shape[1]] = memory["window"]
            model.publish_kernel(state, slot)
        else:
            market.margin_state = memory
            publish_python(market)
    step.announce(state)
    fill_ring(market)
    state.model_rate_sum[:] = 0.0


def publish_python(market: Market) -> None:
    """Let a NumPy model publish, and write its parameters where kernels read them."""
    state, before = market.state, market.margin_state
    if market.frozen is not None:
        risk, memory = market.frozen.publish(market, before)
    else:
        risk, memory = market.margin.publish(market.view, before)
    market.published = risk
    scale = float(state.model_scale[0])
    for column, rates in enumerate((risk.rate_initial, risk.rate_maintenance)):
        state.model_rates[0, :, column] = np.floor(np.asarray(rates) * scale + 0.5).astype(np.int64)
    row = int(state.meta[s.M_STEP]) % int(state.meta[s.M_RISK_SLOTS])
    if len(risk.haircut) == len(state.haircut) > 1:
        state.haircut[:] = risk.haircut
    scenarios = risk.scenario_pnl.shape[1]
    if scenarios > s.SCENARIOS_MAX:
        raise ConfigError.of("margin.scenarios", scenarios, f"at most {s.SCENARIOS_MAX}")
    if scenarios:
        state.scenario_pnl[row, :, :scenarios] = np.trunc(risk.scenario_pnl * scale).astype(np.int64)
        state.scenario_weight[:scenarios] = risk.scenario_weight
        state.initial_factor[0] = risk.initial_factor
        state.meta[s.M_SCENARIOS] = scenarios
    market.margin_state = numpy_rules.with_arrays(before, memory, risk.arrays, row)


def put_schedule(market: Market, memory: ModelState, scale: float = 1.0) -> bool:
    """Put a rule's charges by size in force, flat ones where it has none; says whether it has any."""
    table = market.state.tiers
    table[:] = 0
    if "tiers" not in memory:
        return False
    given = scaled_schedule(memory["tiers"], scale)
    table[:, : given.shape[1]] = given
    return True


def put_haircuts(market: Market, memory: ModelState) -> None:
    """Put haircuts of collateral in force: those of clearing, and where they are larger those of the regime.

    Raises:
        ConfigError: clearing names a currency that the market does not have, or its own.
    """
    names, haircut = currencies_of(market.contracts), market.state.haircut
    haircut[:] = 0
    for name, part in market.clearing.haircuts.items():
        if name not in names[1:]:
            raise ConfigError.of("clearing.haircuts", name, "one of " + (", ".join(names[1:]) or "no currency"))
        haircut[names.index(name)] = rate_to_units(part)
    haircut[:] = np.maximum(haircut, memory.get("haircut", haircut)[: len(haircut)])


def fill_ring(market: Market) -> None:
    """Make what was just published bind maintenance at once (set-up and forks)."""
    state = market.state
    row = int(state.meta[s.M_STEP]) % int(state.meta[s.M_RISK_SLOTS])
    state.rate_maintenance[:] = state.rate_maintenance[row]
    state.scenario_pnl[:] = state.scenario_pnl[row]
    state.addon_coefficients[:] = state.addon_coefficients[row]
    numpy_rules.fill_arrays(market.margin_state, row, int(state.meta[s.M_RISK_SLOTS]))


def risk_parameters(market: Market, *, initial: bool) -> RiskParameters:
    """Risk parameters that bind new orders (initial) or maintenance."""
    state = market.state
    row = int(values.newest_row(state) if initial else values.maintenance_row(state))
    scenarios = int(state.meta[s.M_SCENARIOS])
    arrays = {"tiers": state.tiers.copy()} if state.tiers.any() else {}
    if getattr(market.margin, "features", False):
        arrays |= market.margin.risk_arrays(state, row)  # type: ignore[attr-defined]
    return RiskParameters(
        rate_initial=state.rate_initial.copy(),
        rate_maintenance=state.rate_maintenance[row].copy(),
        scenario_pnl=state.scenario_pnl[row, :, :scenarios].copy(),
        scenario_weight=state.scenario_weight[:scenarios].copy(),
        initial_factor=int(state.initial_factor[0]),
        haircut=state.haircut.copy(),
        arrays=arrays | numpy_rules.kept_arrays(market.margin_state, row),
    )
