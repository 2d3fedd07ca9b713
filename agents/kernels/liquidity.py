"""Latent liquidity providers: limit orders with exogenous arrival, side, distance, size and lifetime."""

from __future__ import annotations

import numpy as np

from agents.kernels.rows import DRAW_COUNT, DRAW_EVENT, band_limits, send, value_now
from sim.kernels.jit import kernel
from sim.kernels.keyed import exponential, lognormal_of, poisson, uniform, uniform4
from sim.kernels.realmath import normal_quantile
from sim.kernels.state import (
    BUY,
    CAUSE_NONE,
    DECIDE,
    GTC,
    M_SEED,
    M_STEP,
    NEW,
    PI_CONTRACT,
    PI_COUNT,
    PI_FIRST,
    PI_STREAM,
    POST_ONLY,
    SELL,
    SUBTICKS,
)

PARAMS = ("arrivals", "depth_ticks", "size_mu", "size_sigma", "lifetime", "value_centred", "concentration", "prefill")
ARRIVALS, DEPTH_TICKS, SIZE_MU, SIZE_SIGMA, LIFETIME, VALUE_CENTRED, CONCENTRATION, PREFILL = range(8)


@kernel(DECIDE)
def decide(state, population):
    """Send this step's limit orders. Draws: one count per step, one block of four uniforms per order.

    A prefilled book gets, at the first step, as many orders as rest in the long run; lifetimes have no memory, so those
    that remain of orders sent long ago are drawn like those of new ones.
    """
    step, seed = state.meta[M_STEP], state.meta[M_SEED]
    first = state.pop_ints[population, PI_FIRST]
    count = state.pop_ints[population, PI_COUNT]
    contract = state.pop_ints[population, PI_CONTRACT]
    stream = state.pop_ints[population, PI_STREAM]
    parameters = state.pop_params[population]
    tif = POST_ONLY
    centre = state.quotes[contract].mid
    if parameters[VALUE_CENTRED] != 0.0:
        tif = GTC
        centre = np.int64(np.floor(value_now(state, contract) * SUBTICKS + 0.5))
    below = centre >> 4
    above = (centre + SUBTICKS - 1) >> 4
    low, high = band_limits(state, contract)
    orders = poisson(uniform(seed, stream + DRAW_COUNT, step, np.int64(0)), parameters[ARRIVALS])
    if step == 1 and parameters[PREFILL] != 0.0:
        orders += np.int64(parameters[ARRIVALS] * parameters[LIFETIME])
    for order in range(orders):
        u_side, u_distance, u_size, u_life = uniform4(seed, stream + DRAW_EVENT, step, order, np.int64(0))
        side = BUY if u_side < 0.5 else SELL
        account = first + np.int64((2.0 * u_side if side == BUY else 2.0 * u_side - 1.0) * count)
        reach = u_distance
        for _ in range(np.int64(parameters[CONCENTRATION]) - 1):
            reach *= u_distance
        distance = 1 + np.int64(reach * parameters[DEPTH_TICKS])
        price = above - distance if side == BUY else below + distance
        # the band binds the aggressive side only; a passive order may stand as far away as the book reaches
        if (price > high or price < 1) if side == BUY else (price < low or price > state.contracts[contract].max_price):
            continue
        size = lognormal_of(normal_quantile(u_size), parameters[SIZE_MU], parameters[SIZE_SIGMA])
        lots = max(np.int64(size + 0.5), np.int64(1))
        expiry = step + 1 + np.int64(exponential(u_life) * parameters[LIFETIME])
        send(state, account, contract, NEW, side, tif, 0, price, lots, expiry, CAUSE_NONE)
