"""Option makers: quotes on a chain that lapse unless renewed, and the hedge of deltas in the underlying's book."""

from __future__ import annotations

import numpy as np

from agents.kernels.option_greeks import (
    FORWARD_DELTA,
    VALUE,
    VEGA,
    account_greeks,
    empty_table,
    is_live,
    lot_greeks,
    spot_of,
)
from agents.kernels.rows import DRAW_ROW, clipped, send, value_of_lot
from sim.kernels.jit import kernel
from sim.kernels.keyed import uniform
from sim.kernels.messages import wake_range
from sim.kernels.realmath import ln, power
from sim.kernels.state import (
    BUY,
    CANCEL_ALL,
    CAUSE_NONE,
    CLOSED,
    DECIDE,
    GTC,
    IOC,
    LIQUIDATING,
    M_CONTRACTS,
    M_MAKERS_WITHDRAWN_UNTIL,
    M_SEED,
    M_STEP,
    MARKET,
    NEW,
    OPEN,
    PI_CONTRACT,
    PI_FIRST,
    PI_PERIOD,
    PI_STREAM,
    POST_ONLY,
    RATE_ONE,
    REDUCE_ONLY,
    SELL,
)

PARAMS = (
    "quotes", "hedge", "hedge_period", "band_lots", "hedge_fraction", "child_lots", "risk_aversion", "cost", "on_mark",
    "half_spread_vol", "half_spread_ticks", "size_lots", "most_lots", "inventory_lots", "vega_lots", "gamma_lots",
    "skew_vega", "skew_gamma", "least_delta", "most_delta", "slices", "pull_move", "quit_ratio",
)  # fmt: skip
QUOTES, HEDGE, HEDGE_PERIOD, BAND_LOTS, HEDGE_FRACTION, CHILD_LOTS, RISK_AVERSION, COST, ON_MARK = range(9)
HALF_SPREAD_VOL, HALF_SPREAD_TICKS, SIZE_LOTS, MOST_LOTS, INVENTORY_LOTS, VEGA_LOTS, GAMMA_LOTS = range(9, 16)
SKEW_VEGA, SKEW_GAMMA, LEAST_DELTA, MOST_DELTA, SLICES, PULL_MOVE, QUIT_RATIO = range(16, 23)
FLOATS = ("delta", "gamma", "vega", "band", "quoted_at")
OWN_DELTA, OWN_GAMMA, OWN_VEGA, OWN_BAND, QUOTED_AT = range(5)
INTS = ("last_hedge",)
LAST_HEDGE = 0

# Hedging rules
HEDGE_NONE, HEDGE_TIME, HEDGE_BAND, HEDGE_WHALLEY_WILMOTT = range(4)
# Vega of a 30-day option at the money, over the value of what it is on: sqrt(30 / 365) / sqrt(2 pi)
VEGA_OF_LOT = 0.11437319703205759


@kernel()
def hedge_band(parameters, gamma, discount, lot):
    """Half-width in lots of the band within which a delta is left alone.

    Whalley and Wilmott (1997): in units of the underlying (3/2 exp(-r T) k S Gamma^2 / lambda)^(1/3), for costs of a
    fraction k of the value traded and an absolute risk aversion lambda. With the gamma G in lots for a relative change
    of the price and a lot worth L that is (3/2 exp(-r T) k G^2 / (lambda L))^(1/3) lots.

    Args:
        parameters: of the population; ``risk_aversion`` per minor unit.
        gamma: change of the hedge in lots for a relative change of the price of one.
        discount: factor to expiry.
        lot: value of a lot, minor units.
    """
    if parameters[HEDGE] == HEDGE_BAND:
        return parameters[BAND_LOTS]
    if parameters[HEDGE] != HEDGE_WHALLEY_WILMOTT:
        return 0.0
    cube = 1.5 * discount * parameters[COST] * gamma * gamma / (parameters[RISK_AVERSION] * lot)
    return power(cube, 1.0 / 3.0) if cube > 0.0 else 0.0


@kernel()
def _hedge(state, population, account, held, lot):
    """Trade towards the hedge that the rule asks for. Mutates ``last_hedge``."""
    parameters = state.pop_params[population]
    contract = state.pop_ints[population, PI_CONTRACT]
    if parameters[HEDGE] == HEDGE_NONE or parameters[HEDGE_FRACTION] == 0.0:
        return
    gap = -parameters[HEDGE_FRACTION] * state.trader_floats[account, OWN_DELTA] - held
    short = abs(gap)
    if parameters[HEDGE] == HEDGE_TIME:
        if state.meta[M_STEP] - state.trader_ints[account, LAST_HEDGE] < parameters[HEDGE_PERIOD]:
            return
        state.trader_ints[account, LAST_HEDGE] = state.meta[M_STEP]
    else:
        band = state.trader_floats[account, OWN_BAND]
        if short <= band:
            return
        if parameters[HEDGE] == HEDGE_WHALLEY_WILMOTT:
            short -= band  # with costs in proportion to size, to the edge is far enough
    lots = min(np.int64(np.floor(short + 0.5)), np.int64(parameters[CHILD_LOTS]), state.contracts[contract].max_lots)
    if lots < 1:
        return
    side = np.int64(BUY if gap > 0.0 else SELL)
    own = state.positions[account, contract].lots
    flags = np.int64(MARKET)
    if side * own < 0 and lots <= abs(own):
        flags |= REDUCE_ONLY
    send(state, account, contract, NEW, side, IOC, flags, 0, lots, 0, CAUSE_NONE)


@kernel()
def _quote(state, population, account, k, expiry, first, shift, half, one, table):
    """Send both quotes of one option.

    Args:
        state: the market.
        population: number of the population.
        account: the maker.
        k: number of the option.
        expiry: step at which the quotes lapse.
        first: side that is sent first.
        shift: of the volatility that is quoted around.
        half: half-spread in volatility.
        one: vega that ``size_lots`` of one are measured by, minor units.
        table: greeks.
    """
    parameters = state.pop_params[population]
    terms = state.contracts[k]
    vega = table[k, VEGA]
    tick = np.float64(terms.tick_value) * (np.float64(state.conversion[terms.currency]) / np.float64(RATE_ONE))
    centre = (table[k, VALUE] + shift * vega) / tick
    wide = max(half * vega / tick, parameters[HALF_SPREAD_TICKS])
    size = parameters[MOST_LOTS]
    if vega > 0.0:
        size = min(size, max(np.floor(parameters[SIZE_LOTS] * one / vega), 1.0))
    total = state.trader_floats[account, OWN_VEGA] / one
    bend = state.trader_floats[account, OWN_GAMMA] / 100.0
    for side in (first, -first):
        if side * total >= parameters[VEGA_LOTS] or side * bend >= parameters[GAMMA_LOTS]:
            continue
        room = np.int64(parameters[INVENTORY_LOTS]) - side * state.positions[account, k].lots
        lots = min(np.int64(size), room, terms.max_lots)
        price = np.int64(np.floor(centre - wide)) if side == BUY else -np.int64(np.floor(-centre - wide))
        if lots > 0 and 1 <= price <= terms.max_price:
            send(state, account, k, NEW, side, POST_ONLY, 0, price, lots, expiry, CAUSE_NONE)


@kernel()
def _renew(state, population, account, spot, one, table):
    """Renew the part of the chain whose turn it is; all of it after a large move. One draw: the side sent first."""
    parameters = state.pop_params[population]
    contract = state.pop_ints[population, PI_CONTRACT]
    step, period = state.meta[M_STEP], state.pop_ints[population, PI_PERIOD]
    row = account - state.pop_ints[population, PI_FIRST]
    all_of_it = state.trader_floats[account, QUOTED_AT] == 0.0
    if all_of_it:
        state.trader_floats[account, QUOTED_AT] = spot
    fast, slow = state.quotes[contract].variance_fast, state.quotes[contract].variance_slow
    half = parameters[HALF_SPREAD_VOL]
    if fast > slow > 0.0:
        half *= np.sqrt(fast / slow)
    lean = parameters[SKEW_VEGA] * clipped(
        state.trader_floats[account, OWN_VEGA] / one / parameters[VEGA_LOTS], 1.0
    ) + parameters[SKEW_GAMMA] * clipped(state.trader_floats[account, OWN_GAMMA] / 100.0 / parameters[GAMMA_LOTS], 1.0)
    first = np.int64(BUY)
    if uniform(state.meta[M_SEED], state.pop_ints[population, PI_STREAM] + DRAW_ROW, step, row) < 0.5:
        first = np.int64(SELL)
    slices = np.int64(parameters[SLICES])
    reference = state.contracts[contract].reference
    turn = step // period + row
    for k in range(state.meta[M_CONTRACTS]):
        part = (k // 2 + turn) % slices  # a call and the put behind it have their turn together
        if (part != 0 and not all_of_it) or state.contracts[k].reference != reference or not is_live(state, k):
            continue
        lot_greeks(state, k, spot, table)
        if parameters[LEAST_DELTA] <= abs(table[k, FORWARD_DELTA]) <= parameters[MOST_DELTA]:
            expiry = step + (slices - part) * period
            _quote(state, population, account, k, expiry, first, -half * lean, half, one, table)


@kernel(DECIDE)
def decide(state, population):
    """Read own greeks, hedge, and renew quotes, for waking rows. Mutates ``trader_floats``, ``trader_ints``."""
    low, high = wake_range(state, population)
    if low == high:
        return
    step = state.meta[M_STEP]
    contract = state.pop_ints[population, PI_CONTRACT]
    parameters = state.pop_params[population]
    lot = value_of_lot(state, contract)
    spot = spot_of(state, contract, parameters[ON_MARK] != 0.0)
    if lot <= 0.0 or spot <= 0.0:
        return
    fast, slow = state.quotes[contract].variance_fast, state.quotes[contract].variance_slow
    quit_ratio = parameters[QUIT_RATIO]
    absent = state.meta[M_MAKERS_WITHDRAWN_UNTIL] > step or fast > quit_ratio * quit_ratio * slow
    table = empty_table(state)
    for j in range(low, high):
        account = np.int64(state.wake_rows[j])
        status = state.accounts[account].status
        delta, gamma, vega, held, discount = account_greeks(state, account, contract, spot, table)
        state.trader_floats[account, OWN_DELTA] = delta
        state.trader_floats[account, OWN_GAMMA] = gamma
        state.trader_floats[account, OWN_VEGA] = vega
        state.trader_floats[account, OWN_BAND] = hedge_band(parameters, gamma, discount, lot)
        quoting = parameters[QUOTES] != 0.0 and status == OPEN and not absent
        before = state.trader_floats[account, QUOTED_AT]
        if before != 0.0 and (not quoting or abs(ln(spot / before)) > parameters[PULL_MOVE]):
            state.trader_floats[account, QUOTED_AT] = 0.0
            if state.accounts[account].orders > 0:
                send(state, account, -1, CANCEL_ALL, 0, GTC, 0, 0, 0, 0, CAUSE_NONE)
        if status != CLOSED and status != LIQUIDATING:
            _hedge(state, population, account, held, lot)
        if quoting:
            _renew(state, population, account, spot, lot * VEGA_OF_LOT, table)
