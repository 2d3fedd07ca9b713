"""Option chains as they stand: one row per listed option with prices, implied volatilities and greeks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from sim.kernels import marks, values
from sim.kernels import state as s
from sim.options import (
    black76_greeks,
    black76_second,
    implied_volatility,
    inverse_greeks,
    inverse_second,
)

if TYPE_CHECKING:
    import pandas as pd

    from sim.market import Market

_NUMBERS = (
    "bid", "ask", "mark", "volatility", "bid_volatility", "ask_volatility", "delta", "gamma", "vega", "theta", "vanna",
    "volga", "charm",
)  # fmt: skip


def chain_table(market: Market) -> pd.DataFrame:
    """Every option that is listed and has not expired, in the order of the contracts.

    Columns: ``contract``, ``chain``, ``option_type``, ``strike`` (price units of the underlying), ``expiry_step``,
    ``years`` to expiry, ``forward`` (within the settlement window the expected average); ``volume`` and
    ``open_interest`` (lots); ``bid``, ``ask``, ``mark`` (price units; inverse: coins; NaN for an empty side);
    ``volatility`` (at which it is marked), ``bid_volatility``, ``ask_volatility`` (NaN where none gives the price);
    ``delta``, ``gamma``, ``vega``, ``theta``, ``vanna``, ``volga``, ``charm`` per unit of the underlying at the mark's
    volatility, by ``forward``, times in years (:class:`sim.options.Greeks`, :class:`sim.options.SecondGreeks`; of
    inverse options in coin).
    """
    import pandas as pd

    state, step = market.state, market.tick
    terms = state.contracts
    alive = (terms["option"] != 0) & (terms["listing"] <= step) & (terms["expiry"] > step)
    numbers = np.flatnonzero(alive)
    contracts = [market.contracts[i] for i in numbers]
    own, reference = terms[numbers], terms["reference"][numbers].astype(np.int64)
    years = (own["expiry"] - step) * own["years_per_step"]
    tick = np.array([market.contracts[i].tick_size for i in reference]) / s.SUBTICKS
    at_expiry = [marks.expected_final(state, i, float(values.underlying_price(state, i))) for i in numbers.tolist()]
    forward = np.array(at_expiry) * tick * np.exp(own["interest_rate"] * years)
    inverse = own["kind"] == s.INVERSE_OPTION
    quotes = state.quotes[numbers]
    own_tick = np.array([contract.tick_size for contract in contracts])
    columns: dict[str, np.ndarray] = {
        "contract": np.array([contract.name for contract in contracts], object),
        "chain": np.array([contract.chain for contract in contracts], object),
        "option_type": np.array([contract.option_type for contract in contracts], object),
        "strike": np.array([contract.strike for contract in contracts], np.float64),
        "expiry_step": own["expiry"].astype(np.int64),
        "years": years,
        "forward": forward,
        "volume": quotes["volume"].copy(),
        "open_interest": quotes["open_interest"].copy(),
        "bid": np.where(quotes["bid"] > 0, quotes["bid"] * own_tick, np.nan),
        "ask": np.where(quotes["ask"] > 0, quotes["ask"] * own_tick, np.nan),
        "mark": quotes["mark"] * (own_tick / s.SUBTICKS),
        "volatility": own["volatility"].copy(),
    }
    columns |= {name: np.full(len(numbers), np.nan) for name in _NUMBERS if name not in columns}
    for coin in (False, True):
        rows = np.flatnonzero(inverse == coin)
        if not len(rows):
            continue
        at = (columns["option_type"][rows], forward[rows], columns["strike"][rows], years[rows])
        marked, rate = own["volatility"][rows], own["interest_rate"][rows]
        first = inverse_greeks(*at, marked) if coin else black76_greeks(*at, marked, rate)
        second = inverse_second(*at, marked) if coin else black76_second(*at, marked, rate)
        for name in ("delta", "gamma", "vega", "theta"):
            columns[name][rows] = getattr(first, name)
        for name in ("vanna", "volga", "charm"):
            columns[name][rows] = getattr(second, name)
        for side in ("bid", "ask"):
            known = np.flatnonzero(np.isfinite(columns[side][rows]))
            price = columns[side][rows][known] * (forward[rows][known] if coin else 1.0)
            kind, ahead, strike, left = (one[known] for one in at)
            found = implied_volatility(kind, price, ahead, strike, left, 0.0 if coin else rate[known])
            columns[f"{side}_volatility"][rows[known]] = found
    return pd.DataFrame(columns)
