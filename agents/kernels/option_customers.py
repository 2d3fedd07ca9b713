"""Option customers: they take a structure of one or two options, hold it to expiry or close it, and roll it."""

from __future__ import annotations

import numpy as np

from agents.kernels.option_greeks import (
    FORWARD_DELTA,
    VEGA,
    account_greeks,
    empty_table,
    is_live,
    lot_greeks,
    spot_of,
)
from agents.kernels.rows import DRAW_ROW, limit_near_mark, log_mid_before, send, take_market, value_of_lot
from sim.kernels import values
from sim.kernels.jit import kernel
from sim.kernels.keyed import uniform4
from sim.kernels.messages import wake_range
from sim.kernels.realmath import ln
from sim.kernels.state import (
    BUY,
    CAUSE_NONE,
    CLOSED,
    DECIDE,
    GTC,
    INVERSE_OPTION,
    IOC,
    LIQUIDATING,
    M_CONTRACTS,
    M_SEED,
    M_STEP,
    MARKET,
    NEW,
    OPEN,
    PI_CONTRACT,
    PI_FIRST,
    PI_PERIOD,
    PI_STREAM,
    RATE_ONE,
    REDUCE_ONLY,
    SELL,
    SPOT,
)

PARAMS = (
    "side", "calls", "puts", "straddle", "delta", "delta_spread", "years", "least_years", "build", "pause",
    "close_years", "edge", "edge_vol", "rest", "cover", "hedge_band", "child_lots", "trend_steps", "trend_move",
)  # fmt: skip
SIDE, CALLS, PUTS, STRADDLE, DELTA, DELTA_SPREAD, YEARS, LEAST_YEARS, BUILD, PAUSE = range(10)
CLOSE_YEARS, EDGE, EDGE_VOL, REST, COVER, HEDGE_BAND, CHILD_LOTS, TREND_STEPS, TREND_MOVE = range(10, 19)
INTS = ("call", "put", "target", "began", "due", "draws")
CALL, PUT, TARGET, BEGAN, DUE, DRAWS = range(6)
FLOATS = ("size",)
SIZE = 0
NO_HEDGE = -1.0  # of hedge_band: deltas are left alone


@kernel()
def years_left(state, k):
    """Years to an option's expiry."""
    return max(state.contracts[k].expiry - state.meta[M_STEP], 0) * state.contracts[k].years_per_step


@kernel()
def lots_for(state, k, contract, size, spot):
    """Option lots on as much of the underlying as ``size`` lots of a contract, at least one.

    Args:
        state: the market.
        k: number of the option.
        contract: contract in whose lots size is counted.
        size: lots.
        spot: price of the underlying, sub-ticks.
    """
    terms = state.contracts[k]
    one = np.float64(terms.payoff) / np.float64(terms.divisor)
    one *= np.float64(state.conversion[terms.currency]) / np.float64(RATE_ONE)
    if terms.kind != INVERSE_OPTION:  # an inverse option is on coins, whose worth the conversion is
        one *= spot
    return np.int64(max(np.floor(size * value_of_lot(state, contract) / one + 0.5), 1.0))


@kernel()
def choose_expiry(state, contract, years, least):
    """Step at which the listed options expire whose time is nearest to ``years``, 0 if none has ``least`` left."""
    best, found = np.inf, np.int64(0)
    reference = state.contracts[contract].reference
    for k in range(state.meta[M_CONTRACTS]):
        if state.contracts[k].reference != reference or not is_live(state, k):
            continue
        left = years_left(state, k)
        if left >= least and abs(left - years) < best:
            best, found = abs(left - years), state.contracts[k].expiry
    return found


@kernel()
def choose_strike(state, contract, expiry, right, delta, spot, table):
    """Number of the option of an expiry whose delta is nearest in size to ``delta``, -1 if there is none.

    Args:
        state: the market.
        contract: contract on the same underlying.
        expiry: step.
        right: 1 for calls, -1 for puts.
        delta: wanted delta by the forward, without its sign.
        spot: price of the underlying, sub-ticks.
        table: table of greeks (:func:`agents.kernels.option_greeks.empty_table`).
    """
    best, found = np.inf, np.int64(-1)
    reference = state.contracts[contract].reference
    for k in range(state.meta[M_CONTRACTS]):
        terms = state.contracts[k]
        if terms.reference != reference or not is_live(state, k) or terms.expiry != expiry or terms.option != right:
            continue
        lot_greeks(state, k, spot, table)
        gap = abs(abs(table[k, FORWARD_DELTA]) - delta)
        if gap < best:
            best, found = gap, np.int64(k)
    return found


@kernel()
def same_strike(state, k, right):
    """The option with another right at the strike and expiry of an option, -1 if there is none."""
    terms = state.contracts[k]
    for other in range(state.meta[M_CONTRACTS]):
        if (
            values.is_option(state, other)
            and state.contracts[other].reference == terms.reference
            and state.contracts[other].expiry == terms.expiry
            and state.contracts[other].strike == terms.strike
            and state.contracts[other].option == right
            and is_live(state, other)
        ):
            return np.int64(other)
    return np.int64(-1)


@kernel()
def option_limit(state, k, side, edge, edge_vol, spot, table):
    """Worst price in ticks that a customer takes: mark x (1 + edge) and vega x edge_vol beyond it."""
    lot_greeks(state, k, spot, table)
    terms = state.contracts[k]
    tick = np.float64(terms.tick_value) * (np.float64(state.conversion[terms.currency]) / np.float64(RATE_ONE))
    more = np.int64(np.floor(edge_vol * table[k, VEGA] / tick + 0.5))
    price = limit_near_mark(state, k, side, edge) + side * more
    return min(max(price, np.int64(1)), terms.max_price)


@kernel()
def _begin(state, population, account, spot, table):
    """Choose expiry, strikes and lots of a new structure. Draws: four per structure, indexed by the row's count."""
    parameters = state.pop_params[population]
    contract, step = state.pop_ints[population, PI_CONTRACT], state.meta[M_STEP]
    if parameters[TREND_STEPS] > 0.0:
        move = log_mid_before(state, contract, np.int64(0))
        move -= log_mid_before(state, contract, np.int64(parameters[TREND_STEPS]))
        threshold = parameters[TREND_MOVE]
        if (threshold >= 0.0 and move < threshold) or (threshold < 0.0 and move > threshold):
            return
    expiry = choose_expiry(state, contract, parameters[YEARS], parameters[LEAST_YEARS])
    if expiry == 0:
        return
    state.trader_ints[account, DRAWS] += 1
    row = account - state.pop_ints[population, PI_FIRST]
    four = uniform4(
        state.meta[M_SEED],
        state.pop_ints[population, PI_STREAM] + DRAW_ROW,
        state.trader_ints[account, DRAWS],
        row,
        np.int64(0),
    )
    delta = parameters[DELTA] * (1.0 + parameters[DELTA_SPREAD] * (2.0 * four[0] - 1.0))
    call, put = np.int64(-1), np.int64(-1)
    if parameters[CALLS] != 0.0:
        call = choose_strike(state, contract, expiry, np.int64(1), delta, spot, table)
    if parameters[STRADDLE] != 0.0 and call >= 0:
        put = same_strike(state, call, np.int64(-1))
    elif parameters[PUTS] != 0.0:
        put = choose_strike(state, contract, expiry, np.int64(-1), delta, spot, table)
    if (parameters[CALLS] != 0.0 and call < 0) or (parameters[PUTS] != 0.0 and put < 0):
        return  # an expiry without one of the legs
    size = state.trader_floats[account, SIZE]
    state.trader_ints[account, CALL] = call + 1
    state.trader_ints[account, PUT] = put + 1
    state.trader_ints[account, TARGET] = lots_for(state, max(call, put), contract, size, spot)
    state.trader_ints[account, BEGAN] = step
    # drawn now and added to the step at which the structure ends
    state.trader_ints[account, DUE] = np.int64(-parameters[PAUSE] * ln(four[1]))


@kernel()
def _build(state, population, account, spot, table):
    """Trade what is missing of the structure, a part of it at a time."""
    parameters = state.pop_params[population]
    step, period = state.meta[M_STEP], np.float64(state.pop_ints[population, PI_PERIOD])
    if step - state.trader_ints[account, BEGAN] >= parameters[BUILD] or state.accounts[account].orders > 0:
        return
    target = state.trader_ints[account, TARGET]
    most = np.int64(max(np.floor(target * period / parameters[BUILD] + 0.5), 1.0))
    side = np.int64(parameters[SIDE])
    rest = np.int64(parameters[REST])
    for leg in (CALL, PUT):
        k = state.trader_ints[account, leg] - 1
        if k < 0:
            continue
        missing = target - side * state.positions[account, k].lots
        lots = min(missing, most, state.contracts[k].max_lots)
        if lots <= 0:
            continue
        price = option_limit(state, k, side, parameters[EDGE], parameters[EDGE_VOL], spot, table)
        if rest > 0:
            send(state, account, k, NEW, side, GTC, 0, price, lots, step + rest, CAUSE_NONE)
        else:
            send(state, account, k, NEW, side, IOC, 0, price, lots, 0, CAUSE_NONE)


@kernel()
def _close(state, population, account, spot, table):
    """Trade out of both legs."""
    parameters = state.pop_params[population]
    for leg in (CALL, PUT):
        k = state.trader_ints[account, leg] - 1
        if k < 0 or state.positions[account, k].lots == 0:
            continue
        lots = state.positions[account, k].lots
        side = np.int64(SELL if lots > 0 else BUY)
        price = option_limit(state, k, side, abs(parameters[EDGE]), parameters[EDGE_VOL], spot, table)
        size = min(abs(lots), state.contracts[k].max_lots)
        send(state, account, k, NEW, side, IOC, REDUCE_ONLY, price, size, 0, CAUSE_NONE)


@kernel()
def _cover(state, population, account):
    """Buy what is missing of the underlying that is owned. Coins are brought along, so spot is not bought."""
    parameters = state.pop_params[population]
    contract = state.pop_ints[population, PI_CONTRACT]
    if parameters[COVER] == 0.0 or state.contracts[contract].kind == SPOT:
        return
    wanted = np.int64(np.floor(parameters[COVER] * state.trader_floats[account, SIZE] + 0.5))
    missing = wanted - state.positions[account, contract].lots
    lots = min(missing, np.int64(parameters[CHILD_LOTS]), state.contracts[contract].max_lots)
    if lots > 0:
        take_market(state, account, contract, lots)


@kernel()
def _hedge(state, population, account, spot, table):
    """Trade the delta of the options away in the underlying's book, beyond a band."""
    parameters = state.pop_params[population]
    contract = state.pop_ints[population, PI_CONTRACT]
    delta, _, _, held, _ = account_greeks(state, account, contract, spot, table)
    gap = -delta - held
    if abs(gap) <= parameters[HEDGE_BAND]:
        return
    most = min(np.int64(parameters[CHILD_LOTS]), state.contracts[contract].max_lots)
    lots = min(np.int64(np.floor(abs(gap) + 0.5)), most)
    if lots < 1:
        return
    side = np.int64(BUY if gap > 0.0 else SELL)
    own = state.positions[account, contract].lots
    flags = np.int64(MARKET)
    if side * own < 0 and lots <= abs(own):
        flags |= REDUCE_ONLY
    send(state, account, contract, NEW, side, IOC, flags, 0, lots, 0, CAUSE_NONE)


@kernel()
def _holds(state, account):
    """True while a leg is held."""
    for leg in (CALL, PUT):
        k = state.trader_ints[account, leg] - 1
        if k >= 0 and state.positions[account, k].lots != 0:
            return True
    return False


@kernel()
def _is_over(state, account, parameters, close):
    """True when nothing is held of a structure and nothing more will be: expired, closed, or not to be had."""
    if _holds(state, account):
        return False
    k = max(state.trader_ints[account, CALL], state.trader_ints[account, PUT]) - 1
    built = state.meta[M_STEP] - state.trader_ints[account, BEGAN] >= parameters[BUILD]
    return close or not is_live(state, k) or (built and state.accounts[account].orders == 0)


@kernel()
def _closes(state, account, parameters):
    """True from the time on at which a structure is closed before it expires."""
    k = max(state.trader_ints[account, CALL], state.trader_ints[account, PUT]) - 1
    return parameters[CLOSE_YEARS] > 0.0 and years_left(state, k) <= parameters[CLOSE_YEARS]


@kernel(DECIDE)
def decide(state, population):
    """Begin, build, hedge, close and end structures of waking rows. Mutates ``trader_ints``."""
    low, high = wake_range(state, population)
    if low == high:
        return
    step = state.meta[M_STEP]
    parameters = state.pop_params[population]
    spot = spot_of(state, state.pop_ints[population, PI_CONTRACT], True)
    if spot <= 0.0:
        return
    table = empty_table(state)
    for j in range(low, high):
        account = np.int64(state.wake_rows[j])
        status = state.accounts[account].status
        if status == CLOSED or status == LIQUIDATING:
            continue
        if state.trader_ints[account, TARGET] > 0 and _is_over(
            state, account, parameters, _closes(state, account, parameters)
        ):
            state.trader_ints[account, TARGET] = 0
            state.trader_ints[account, DUE] += step
        if status == OPEN:
            _cover(state, population, account)
            if state.trader_ints[account, TARGET] == 0 and step >= state.trader_ints[account, DUE]:
                _begin(state, population, account, spot, table)
        if state.trader_ints[account, TARGET] > 0:
            k = max(state.trader_ints[account, CALL], state.trader_ints[account, PUT]) - 1
            if _closes(state, account, parameters):
                _close(state, population, account, spot, table)
            elif status == OPEN and is_live(state, k):
                _build(state, population, account, spot, table)
        if parameters[HEDGE_BAND] >= 0.0:
            _hedge(state, population, account, spot, table)
