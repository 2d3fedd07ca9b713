"""Noise takers who split parent orders (Lillo, Mike & Farmer 2005, Physical Review E 71:066122).

Their rate may answer to the price's distance from each trader's own moving average: with horizons from minutes to days
volatility feeds on itself, on all of these scales.
"""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import DRAW_COUNT, DRAW_EVENT, DRAW_ROW, log_mid_before, take_limit, take_market
from sim.kernels.jit import kernel
from sim.kernels.keyed import lognormal_of, pareto, poisson, uniform, uniform4
from sim.kernels.realmath import normal_quantile
from sim.kernels.state import (
    DECIDE,
    M_SEED,
    M_STEP,
    NO_PRICE,
    PI_CONTRACT,
    PI_COUNT,
    PI_FIRST,
    PI_STREAM,
)

PARAMS = (
    "arrivals", "size_mu", "size_sigma", "parent_exponent", "parent_longest", "walk_ticks", "feedback",
    "feedback_variance", "feedback_most",
)  # fmt: skip
ARRIVALS, SIZE_MU, SIZE_SIGMA, PARENT_EXPONENT, PARENT_LONGEST, WALK_TICKS = range(6)
FEEDBACK, FEEDBACK_VARIANCE, FEEDBACK_MOST = range(6, 9)
FLOATS = ("average", "weight")
AVERAGE, WEIGHT = range(2)
INTS = ("remaining", "sign", "parents")
REMAINING, SIGN, PARENTS = range(3)


@kernel()
def parent_of(u_length, u_sign, exponent, longest):
    """Length and sign of a new parent order."""
    length = np.int64(min(pareto(u_length, exponent), longest))
    return length, np.int64(1 if u_sign < 0.5 else -1)


@kernel()
def first_parents(state, first, uniforms, exponent, longest):
    """Give every row its first parent. Mutates ``trader_ints``."""
    for row in range(uniforms.shape[0]):
        length, sign = parent_of(uniforms[row, 0], uniforms[row, 1], exponent, longest)
        state.trader_ints[first + row, REMAINING] = length
        state.trader_ints[first + row, SIGN] = sign
        state.trader_ints[first + row, PARENTS] = 1


@kernel()
def excitement(state, population):
    """Factor on the rate of children, one on average in a random walk of variance ``feedback_variance`` per step.

    The squared distance of the price from its exponential average of weight a has the mean (1 - a)**2 / (a (2 - a))
    step variances there; every trader's squared distance is taken in units of that. Mutates ``trader_floats``.
    """
    parameters = state.pop_params[population]
    first = state.pop_ints[population, PI_FIRST]
    count = state.pop_ints[population, PI_COUNT]
    now = log_mid_before(state, state.pop_ints[population, PI_CONTRACT], np.int64(0))
    total = 0.0
    for account in range(first, first + count):
        weight = state.trader_floats[account, WEIGHT]
        average = state.trader_floats[account, AVERAGE]
        average += weight * (now - average)
        state.trader_floats[account, AVERAGE] = average
        total += (now - average) * (now - average) * weight * (2.0 - weight) / ((1.0 - weight) * (1.0 - weight))
    mean = total / (count * parameters[FEEDBACK_VARIANCE])
    return 1.0 - parameters[FEEDBACK] + parameters[FEEDBACK] * min(mean, parameters[FEEDBACK_MOST])


@kernel(DECIDE)
def decide(state, population):
    """Send this step's child orders. Draws: one count per step, one block per order, one block per row and parent.

    Mutates ``trader_ints`` of the rows whose parents are worked on, and all averages of the price with feedback.
    """
    step, seed = state.meta[M_STEP], state.meta[M_SEED]
    first = state.pop_ints[population, PI_FIRST]
    count = state.pop_ints[population, PI_COUNT]
    contract = state.pop_ints[population, PI_CONTRACT]
    stream = state.pop_ints[population, PI_STREAM]
    parameters = state.pop_params[population]
    bid, ask = state.quotes[contract].bid, state.quotes[contract].ask
    ring = state.levels.shape[1] - 1
    at_bid = state.levels[contract, bid & ring].depth if bid != NO_PRICE else np.int64(0)
    at_ask = state.levels[contract, ask & ring].depth if ask != NO_PRICE else np.int64(0)
    mean = parameters[ARRIVALS] * state.activity[min(step, state.activity.shape[0] - 1)]
    if parameters[FEEDBACK] > 0.0:
        mean *= excitement(state, population)
    walk = np.int64(parameters[WALK_TICKS])
    orders = poisson(uniform(seed, stream + DRAW_COUNT, step, np.int64(0)), mean)
    for order in range(orders):
        u_row, u_size, _, _ = uniform4(seed, stream + DRAW_EVENT, step, order, np.int64(0))
        row = np.int64(u_row * count)
        account = first + row
        sign = state.trader_ints[account, SIGN]
        state.trader_ints[account, REMAINING] -= 1
        if state.trader_ints[account, REMAINING] <= 0:
            born = state.trader_ints[account, PARENTS]
            u_length, u_sign, _, _ = uniform4(seed, stream + DRAW_ROW, born, row, np.int64(0))
            length, next_sign = parent_of(u_length, u_sign, parameters[PARENT_EXPONENT], parameters[PARENT_LONGEST])
            state.trader_ints[account, REMAINING] = length
            state.trader_ints[account, SIGN] = next_sign
            state.trader_ints[account, PARENTS] = born + 1
        at_best = at_ask if sign > 0 else at_bid
        size = lognormal_of(normal_quantile(u_size), parameters[SIZE_MU], parameters[SIZE_SIGMA])
        lots = min(max(np.int64(size + 0.5), np.int64(1)), at_best)
        if lots <= 0:
            continue
        if walk < 0:
            take_market(state, account, contract, sign * lots)
        else:
            price = min(ask + walk, state.contracts[contract].max_price) if sign > 0 else max(bid - walk, 1)
            take_limit(state, account, contract, sign * lots, price, 0, 0)
