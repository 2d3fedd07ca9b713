"""Records of a market as pandas tables, in a reader's units."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from sim.kernels import ledger, values
from sim.kernels import state as s

if TYPE_CHECKING:
    from sim.market import Market

_PRICES_TICKS = ("last", "bid", "ask")
_PRICES_SUBTICKS = ("mid", "mark", "index")
_RATES = ("rate_initial", "rate_maintenance", "funding_rate")


def steps_table(market: Market) -> pd.DataFrame:
    """One row per recorded step and contract.

    Prices are in price units (float64, NaN when a side is empty), quantities in lots, money in minor units, rates as
    fractions; counts, volume and liquidated lots are cumulative.
    """
    state = market.state
    rows = int(state.meta[s.M_RECORDS])
    table = state.record_global[:rows]
    per_contract = state.record_contract[:rows]
    steps = table[:, 0]
    frames = []
    for c, contract in enumerate(market.contracts):
        columns: dict[str, np.ndarray] = {
            "step": steps,
            "time_s": steps * market.config.dt_seconds,
            "day": np.maximum(steps - 1, 0) // market.config.steps_per_day,
            "contract": np.full(rows, contract.name, object),
        }
        for k, name in enumerate(s.REC_CONTRACT):
            values = per_contract[:, c, k]
            if name in _PRICES_TICKS:
                columns[name] = np.where(values > 0, values * contract.tick_size, np.nan)
            elif name in _PRICES_SUBTICKS:
                columns[name] = values * (contract.tick_size / s.SUBTICKS)
            elif name in _RATES:
                columns[name] = values / s.RATE_ONE
            else:
                columns[name] = values.copy()
        columns["value"] = state.value[np.minimum(steps, len(state.value) - 1), c] * contract.tick_size
        for k, name in enumerate(s.REC_GLOBAL):
            if name != "step":
                columns[name] = table[:, k].copy()
        frames.append(pd.DataFrame(columns))
    whole = pd.concat(frames, ignore_index=True)
    return whole.sort_values("step", kind="stable", ignore_index=True)


def _names(values: np.ndarray, names: list[str]) -> np.ndarray:
    """Texts for codes; codes outside become the empty text."""
    table = np.array([*names, ""], object)
    return table[np.where((values >= 0) & (values < len(names)), values, len(names))]


def events_table(market: Market) -> pd.DataFrame:
    """Every event: refusals (when recorded), margin calls, liquidations with cause, waterfall, funding, settlements."""
    events = market.state.events[: int(market.state.meta[s.M_EVENTS])]
    kind = events["kind"].astype(np.int64)
    reason = events["reason"].astype(np.int64)
    refused = kind == s.EV_REFUSED
    population = np.where(events["account"] >= 0, market.state.accounts["population"][events["account"]], -1)
    return pd.DataFrame(
        {
            "step": events["step"].astype(np.int64),
            "time_s": events["step"] * market.config.dt_seconds,
            "kind": _names(kind, list(s.EVENT_NAMES)),
            "contract": _names(events["contract"].astype(np.int64), [c.name for c in market.contracts]),
            "account": events["account"].astype(np.int64),
            "population": _names(population.astype(np.int64), [p.name for p in market.populations]),
            "reason": np.where(refused, _names(reason, list(s.REASON_NAMES)), reason.astype(str)),
            "a": events["a"].copy(),
            "b": events["b"].copy(),
            "c": events["c"].copy(),
        }
    )


def trades_table(market: Market) -> pd.DataFrame:
    """Every fill (kept when ``record.trades`` is set): price in price units, lots, maker and taker, cause."""
    fills = market.state.fills[: int(market.state.meta[s.M_FILLS])]
    tick_size = np.array([contract.tick_size for contract in market.contracts])
    return pd.DataFrame(
        {
            "step": fills["step"].astype(np.int64),
            "time_s": fills["step"] * market.config.dt_seconds,
            "contract": _names(fills["contract"].astype(np.int64), [c.name for c in market.contracts]),
            "price": fills["price"] * tick_size[fills["contract"]],
            "lots": fills["quantity"].copy(),
            "side": fills["side"].astype(np.int64),
            "maker": fills["maker"].astype(np.int64),
            "taker": fills["taker"].astype(np.int64),
            "maker_order": fills["maker_order"].copy(),
            "taker_order": fills["taker_order"].copy(),
            "cause": _names(fills["cause"].astype(np.int64), list(s.CAUSE_NAMES)),
            "cause_ref": fills["cause_ref"].astype(np.int64),
        }
    )


def _deposits(state: s.State) -> np.ndarray:
    """Net deposits in the account currency, other currencies at what they count for now, int64[A]."""
    total: np.ndarray = state.deposits[:, 0].copy()
    for k in range(1, len(state.conversion)):
        total += np.array([values.worth(state, k, int(amount)) for amount in state.deposits[:, k]], np.int64)
    return total


def accounts_table(market: Market) -> pd.DataFrame:
    """Every account at the end: population, deposits, equity, wallet, positions, lots liquidated, fees, profit."""
    state = market.state
    accounts = state.accounts
    traders = int(state.meta[s.M_TRADERS])
    names = [population.name for population in market.populations]
    population = _names(accounts["population"].astype(np.int64), names)
    population[traders:] = ["fund", "fees", "residue", "script"]
    equity = np.array([ledger.equity(state, a) for a in range(len(accounts))], np.int64)
    columns: dict[str, np.ndarray] = {
        "account": np.arange(len(accounts)),
        "population": population,
        "status": _names(accounts["status"].astype(np.int64), ["open", "called", "liquidating", "closed"]),
        "deposits": state.deposits[:, 0].copy(),
        "equity": equity,
        "wallet": state.wallets[:, 0].copy(),
        "pocket": state.positions["pocket"].sum(axis=1),
        "liquidated": accounts["liquidated"].copy(),
        "fees": accounts["fees"].copy(),
        "pnl": equity - _deposits(state),
    }
    for k, currency in enumerate(market.contract_table.currencies[1:], start=1):
        columns[f"deposits_{currency}"] = state.deposits[:, k].copy()
        columns[f"wallet_{currency}"] = state.wallets[:, k].copy()
    for c, contract in enumerate(market.contracts):
        columns[f"lots_{contract.name}"] = state.positions["lots"][:, c].copy()
    return pd.DataFrame(columns)
