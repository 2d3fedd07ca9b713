"""Market states for margin tests: random portfolios in the arrays that kernels read, and the same as a view."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from sim.contracts import Contract, ContractTable
from sim.interfaces import PortfolioView, RiskParameters
from sim.kernels import state as layout

TICK_VALUES = (100, 25, 7)
TIER_ROWS = 12


@dataclass
class Clock:
    """As much of a market view as the built-in publishers read."""

    step: int
    mark: np.ndarray


def table(contracts: int, dt_seconds: float = 60.0, steps_per_day: int = 1440) -> ContractTable:
    made = [Contract(name="abc"[c], tick_value=TICK_VALUES[c], initial_price=5000 + 700 * c) for c in range(contracts)]
    return ContractTable.of(made, dt_seconds, steps_per_day)


def market(contracts: ContractTable, *, traders: int = 1, publishers: int = 1, notice: int = 1) -> Any:
    state = layout.allocate(
        traders=traders, contracts=len(contracts.names), steps=1, publishers=publishers, notice=notice, tiers=TIER_ROWS
    )
    state.contracts["tick_value"] = contracts.tick_value
    state.quotes["mark"] = contracts.initial_mark
    return state


def install(state: Any, slot: int, model: Any, contracts: ContractTable) -> dict[str, np.ndarray]:
    """Put a model's arrays where its compiled publisher looks; returns them."""
    arrays = model.init(contracts)
    state.model_params[slot] = arrays["params"]
    state.model_state[slot] = arrays["state"]
    if slot == 0 and "tiers" in arrays:
        state.tiers[:, : arrays["tiers"].shape[1]] = arrays["tiers"]
    return arrays


def publish(state: Any, model: Any, step: int) -> None:
    """Publish for a step and copy the rates of slot 0 to where they bind, as the market does."""
    state.meta[layout.M_STEP] = state.meta[layout.M_PUBLISHED] = step
    model.publish_kernel(state, 0)
    state.rate_initial[:] = state.model_rates[0, :, 0]
    state.rate_maintenance[step % state.meta[layout.M_RISK_SLOTS]] = state.model_rates[0, :, 1]


def give(state: Any, columns: dict[str, np.ndarray]) -> None:
    """Write positions, int64[A, C] each."""
    for name, values in columns.items():
        state.positions[name][: len(values)] = values


def view(state: Any, contracts: ContractTable) -> PortfolioView:
    traders = int(state.meta[layout.M_TRADERS])
    rows = state.positions[:traders]
    cash = np.column_stack([state.wallets[:traders, 0], rows["pocket"]])
    columns = {name: rows[name].copy() for name in ("open_buy", "open_sell", "loss_buy", "loss_sell")}
    return PortfolioView(
        contracts, state.quotes["mark"].copy(), rows["lots"].copy(), rows["cost"].copy(), cash, **columns
    )


def risk(state: Any, *, scenarios: bool = False) -> RiskParameters:
    """What was published last (with the test's single publication it is also what is in force)."""
    row = int(state.meta[layout.M_STEP]) % int(state.meta[layout.M_RISK_SLOTS])
    found = RiskParameters(state.rate_initial.copy(), state.rate_maintenance[row].copy())
    if state.tiers.any():
        found.arrays["tiers"] = state.tiers.copy()
    if scenarios:
        count = int(state.meta[layout.M_SCENARIOS])
        found.scenario_pnl = state.scenario_pnl[row][:, :count].copy()
        found.scenario_weight = state.scenario_weight[:count].copy()
        found.initial_factor = int(state.initial_factor[0])
    return found
