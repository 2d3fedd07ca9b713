"""The compiled publisher of all built-in regimes: rates, overlays and, for the active model, the scenario grid."""

from __future__ import annotations

import numpy as np

from margin.kernels.columns import (
    BY_SCENARIO,
    FILTER_NONE,
    ON_INITIAL,
    ON_MAINTENANCE,
    P_ALPHA,
    P_ANCHOR,
    P_BETA,
    P_DIVERGENCE,
    P_EXTREME,
    P_EXTREME_WEIGHT,
    P_FACTOR,
    P_FACTOR_OF,
    P_FACTORS,
    P_FILTER,
    P_GAMMA,
    P_INITIAL,
    P_INITIAL_FACTOR,
    P_LEADER,
    P_MAINTENANCE,
    P_MEAN,
    P_MOVE,
    P_MOVES,
    P_NETTING,
    P_OMEGA,
    P_OVERLAYS_ON,
    P_PRIOR,
    P_RATES,
    P_RATIO,
    P_SAMPLE,
    P_STILL,
    P_UPDATE,
    P_VOLATILITY_MOVE,
    P_WINDOW,
    S_ANCHOR,
    S_INITIAL,
    S_LOG_MARK,
    S_MAINTENANCE,
    S_SAMPLES,
    S_STARTED,
    S_STEP,
    S_VARIANCE,
    VOLATILITY,
)
from margin.kernels.historical import observe_window, tail_loss
from margin.kernels.overlays import overlaid, to_units
from sim.kernels.black76 import black76
from sim.kernels.jit import kernel
from sim.kernels.marks import expected_final, expired
from sim.kernels.realmath import exp, ln
from sim.kernels.state import (
    INVERSE_OPTION,
    M_CONTRACTS,
    M_RISK_SLOTS,
    M_SCENARIOS,
    M_STEP,
    PUBLISH,
    RATE_ONE,
    SCENARIO_LOTS,
    SPOT,
)
from sim.kernels.values import in_account_currency, is_inverse, size_at, underlying_price
from sim.kernels.wide import mul_div_floor, mul_shift_floor

LEAST_PRICE = 1e-6  # of the present price: below it no scenario goes


@kernel()
def sample(params, memory, window, log_mark):
    """Feed the log return of the mark since the last sample to the window, where there is one, and to the variance.

    Args:
        params: float64[K], the contract's row of ``model_params``.
        memory: float64[K], its row of ``model_state``; mutated.
        window: float64[n], its row of ``model_window``; mutated.
        log_mark: log of the mark.
    """
    change = log_mark - memory[S_LOG_MARK]
    memory[S_LOG_MARK] = log_mark
    if params[P_WINDOW] > 0.0:
        observe_window(params, memory, window, change)
    memory[S_SAMPLES] += 1.0
    alpha, beta = params[P_ALPHA], params[P_BETA]
    if params[P_MEAN] > 0.0:
        square, anchor = change * change, memory[S_ANCHOR]
        news = alpha + (params[P_GAMMA] if change < 0.0 else 0.0)
        persistence = alpha + 0.5 * params[P_GAMMA] + beta
        memory[S_VARIANCE] = (1.0 - persistence) * anchor + news * square + beta * memory[S_VARIANCE]
        memory[S_ANCHOR] = params[P_ANCHOR] * anchor + (1.0 - params[P_ANCHOR]) * square
        return
    if params[P_PRIOR] > 0.0:
        alpha = max(alpha, 1.0 / (params[P_PRIOR] + memory[S_SAMPLES]))
        beta = 1.0 - alpha
    memory[S_VARIANCE] = params[P_OMEGA] + alpha * (change * change) + beta * memory[S_VARIANCE]


@kernel()
def forecast_variance(params, memory):
    """Variance per sample that rates go by: the last one, or its mean over the horizon (:mod:`margin.forecast`)."""
    weight = params[P_MEAN]
    if weight > 0.0:
        return weight * memory[S_VARIANCE] + (1.0 - weight) * memory[S_ANCHOR]
    return memory[S_VARIANCE]


@kernel()
def update(params, memory, window):
    """Rates, then overlays (see :func:`sample`): quantile x sigma x sqrt(horizon), or the tail of the window."""
    if params[P_WINDOW] > 0.0:
        calculated = params[P_FACTOR] * tail_loss(params, window)
        if params[P_FILTER] != FILTER_NONE:
            calculated *= np.sqrt(memory[S_VARIANCE])
    else:
        calculated = params[P_FACTOR] * np.sqrt(forecast_variance(params, memory))
    changed = overlaid(params, memory, calculated)
    plain = max(to_units(calculated), 1.0)
    initial = plain if params[P_OVERLAYS_ON] == ON_MAINTENANCE else changed
    base = plain if params[P_OVERLAYS_ON] == ON_INITIAL else changed
    memory[S_INITIAL] = max(initial, 1.0)
    memory[S_MAINTENANCE] = min(max(np.floor(base * params[P_RATIO] + 0.5), 1.0), memory[S_INITIAL])


@kernel()
def scaled_rate(units, scale):
    """A published rate: whole units times the fork's equal-mean factor, to nearest, from one unit to 100 %."""
    return min(max(np.int64(np.floor(units * scale + 0.5)), np.int64(1)), np.int64(RATE_ONE))


@kernel()
def _value_of_grid_lots(state, contract):
    """Value at mark of 2**10 lots in the account currency; zero for spot."""
    mark = state.quotes[contract].mark
    if state.contracts[contract].kind == SPOT:
        return np.int64(0)
    if is_inverse(state, contract):
        value = size_at(state, contract, np.int64(SCENARIO_LOTS), mark)
    else:
        value = mark * state.contracts[contract].tick_value * 64  # marks are in 1/16 tick
    return in_account_currency(state, state.contracts[contract].currency, value)


@kernel()
def _moved(state, contract, full, rate, size):
    """Profits of the grid's lots when the price rises, and falls, by ``size`` of the rate, rounded towards zero.

    A coin-margined position of value V gains V x / (1 + x) coins when the price rises by x and loses V x / (1 - x) when
    it falls: the loss of a long runs away from the move.
    """
    profit = mul_shift_floor(full, size, 32)
    if not is_inverse(state, contract):
        return profit, -profit
    move = mul_shift_floor(rate, size, 32)
    rise = mul_div_floor(profit, RATE_ONE, RATE_ONE + move)
    return rise, -mul_div_floor(profit, RATE_ONE, max(RATE_ONE - move, np.int64(1 << 16)))


@kernel()
def _size_of(common, sizes, moves, factor, p):
    """Signed size of the move of a factor in scenario p of the grid, 2**-32 of its rate."""
    if p < 2 * sizes:
        move = p >> 1
        size = np.int64(common[P_MOVE + move]) if move < moves else np.int64(common[P_EXTREME])
        return size if p & 1 == 0 else -size
    pattern = p - 2 * sizes + 1
    if pattern >= (1 << np.int64(common[P_FACTORS])) - 1:
        return np.int64(0)  # prices stand still
    # the bits of the pattern are the factors that rise
    size = np.int64(common[P_DIVERGENCE])
    return size if (pattern >> factor) & 1 == 1 else -size


@kernel()
def _option_value(state, contract, price, volatility):
    """Black-76 value of an option with its underlying at a price and at a volatility, sub-ticks, not rounded."""
    terms = state.contracts[contract]
    years = max(terms.expiry - state.meta[M_STEP], 0) * terms.years_per_step
    forward = expected_final(state, contract, price) * exp(terms.interest_rate * years)
    value = black76(np.float64(terms.option), forward, np.float64(terms.strike), years, volatility)
    if terms.kind == INVERSE_OPTION:
        return value / forward * terms.premium_scale
    return value * exp(-terms.interest_rate * years) * terms.premium_scale


@kernel()
def _option_row(state, row, contract, rate, common, sizes, moves, factor, count, copies):
    """Scenario profits of 2**10 lots of an option, as :func:`margin.scenarios.option_profits` states them."""
    for s in range(count * copies):
        state.scenario_pnl[row, contract, s] = 0
    if expired(state, contract):
        return
    volatility = state.contracts[contract].volatility
    price = np.float64(underlying_price(state, contract))
    now = _option_value(state, contract, price, volatility)
    worth = np.float64(state.contracts[contract].tick_value * 64)
    currency = state.contracts[contract].currency
    for copy in range(copies):
        step = common[P_VOLATILITY_MOVE] if copy == 0 else -common[P_VOLATILITY_MOVE]
        for p in range(count):
            size = np.float64(_size_of(common, sizes, moves, factor, p)) / RATE_ONE
            move = max(1.0 + size * (np.float64(rate) / RATE_ONE), LEAST_PRICE)
            value = _option_value(state, contract, price * move, volatility * (1.0 + step))
            profit = np.int64(np.floor((value - now) * worth + 0.5))
            if profit >= 0:
                profit = in_account_currency(state, currency, profit)
            else:
                profit = -in_account_currency(state, currency, -profit)
            state.scenario_pnl[row, contract, copy * count + p] = profit


@kernel()
def _publish_grid(state, slot):
    """Scenario profits of 2**10 lots of each contract at the mark, as :func:`margin.scenarios.grid` states them.

    Mutates the newest row of ``scenario_pnl``, ``scenario_weight``, ``initial_factor`` and the number of scenarios.
    """
    row = max(state.meta[M_STEP], 0) % state.meta[M_RISK_SLOTS]
    common = state.model_params[slot, 0]
    moves = np.int64(common[P_MOVES])
    sizes = moves + 1 if common[P_EXTREME] > 0.0 else moves
    count = 2 * sizes + (1 << np.int64(common[P_FACTORS])) - 2 + np.int64(common[P_STILL])
    copies = 2 if common[P_VOLATILITY_MOVE] > 0.0 else 1
    for contract in range(state.meta[M_CONTRACTS]):
        leader = np.int64(state.model_params[slot, contract, P_LEADER])
        factor = np.int64(state.model_params[slot, contract, P_FACTOR_OF])
        rate = state.model_rates[slot, leader, 1]
        if leader != contract:
            _option_row(state, row, contract, rate, common, sizes, moves, factor, count, copies)
            continue
        full = mul_shift_floor(_value_of_grid_lots(state, contract), rate, 32)
        for p in range(count):
            size = _size_of(common, sizes, moves, factor, p)
            up, down = _moved(state, contract, full, rate, abs(size))
            for copy in range(copies):
                state.scenario_pnl[row, contract, copy * count + p] = up if size > 0 else down
    for s in range(count * copies):
        p = s % count
        extreme = 2 * moves <= p < 2 * sizes
        state.scenario_weight[s] = np.int64(common[P_EXTREME_WEIGHT]) if extreme else RATE_ONE
    state.initial_factor[0] = np.int64(common[P_INITIAL_FACTOR])
    state.meta[M_SCENARIOS] = count * copies


@kernel(PUBLISH)
def publish(state, slot):
    """Publish the risk parameters of one model for the step being computed.

    Publishing again at the same step (a fork does, to bring a grid into force) samples nothing twice.

    Args:
        state: the market; mutates ``model_state``, ``model_window`` and ``model_rates`` of the slot and, where slot 0
            nets by scenario, the newest row of the scenario grid.
        slot: publisher.
    """
    step = state.meta[M_STEP]
    scale = state.model_scale[slot]
    for contract in range(state.meta[M_CONTRACTS]):
        params = state.model_params[slot, contract]
        memory = state.model_state[slot, contract]
        window = state.model_window[slot, contract]
        first = memory[S_STARTED] == 0.0
        if first:
            memory[S_INITIAL] = params[P_INITIAL]
            memory[S_MAINTENANCE] = params[P_MAINTENANCE]
        if params[P_RATES] == VOLATILITY and (first or step != np.int64(memory[S_STEP])):
            if first or step % np.int64(params[P_SAMPLE]) == 0:
                log_mark = ln(np.float64(state.quotes[contract].mark))
                if first:
                    memory[S_LOG_MARK] = log_mark
                else:
                    sample(params, memory, window, log_mark)
            if first or step % np.int64(params[P_UPDATE]) == 0:
                update(params, memory, window)
        memory[S_STARTED] = 1.0
        memory[S_STEP] = step
        state.model_rates[slot, contract, 0] = scaled_rate(memory[S_INITIAL], scale)
        state.model_rates[slot, contract, 1] = scaled_rate(memory[S_MAINTENANCE], scale)
    if slot == 0 and state.model_params[0, 0, P_NETTING] == BY_SCENARIO:
        _publish_grid(state, slot)
