"""The worst price at which forced orders may trade."""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.penalty import own_equity
from sim.kernels.state import (
    BUY,
    LIMIT_BAND,
    LIMIT_FILLABLE,
    LIMIT_NONE,
    LP_BANKRUPTCY_ADJUSTMENT,
    LP_SPREAD_TO_MAINTENANCE,
    M_FORCED_LIMIT,
    RATE_ONE,
)
from sim.kernels.takeover import gross_of
from sim.kernels.values import band_width, is_inverse, notional_of
from sim.kernels.wide import mul_div_floor, mul_rate, mul_shift_floor


@kernel()
def price_at_loss(state, k, side, value, loss):
    """Price in ticks at which closing lots worth ``value`` at mark costs ``loss`` (signed), in the account's favour.

    Linear: mark x (1 -+ loss / value); inverse: mark / (1 +- loss / value). Within the contract's prices.
    """
    top = state.contracts[k].max_price
    mark = state.quotes[k].mark
    if is_inverse(state, k):
        left = value - loss if side == BUY else value + loss
        if left <= 0:
            return top
        price = mul_div_floor(mark, value, left) >> 4 if side == BUY else (mul_div_floor(mark, value, left) >> 4) + 1
        return min(max(price, np.int64(1)), top)
    room = mul_div_floor(loss, mark, max(value, np.int64(1)))  # sub-ticks, signed
    price = (mark + room) >> 4 if side == BUY else -((-(mark - room)) >> 4)
    return min(max(price, np.int64(1)), top)


@kernel()
def forced_price(state, account, contract, k, side):
    """Limit of a forced order in ticks, by the scenario's ``forced_limit``.

    ``bankruptcy``: the price at which the account is left with nothing: mark x (1 -+ equity / value of its positions),
    which for one contract is (cost - cash) / (lots x tick value); inverse: mark / (1 +- equity / value). ``band``: the
    price band. ``none``: any price. ``fillable`` asks for the requirement: see :func:`fillable_limit`; here it stands
    for ``bankruptcy``.

    Args:
        state: the market.
        account: the account.
        contract: -1 (cross) or the isolated contract.
        k: contract of the order.
        side: side of the forced order.
    """
    limit = state.meta[M_FORCED_LIMIT]
    top = state.contracts[k].max_price
    if limit == LIMIT_NONE:
        return top if side == BUY else np.int64(1)
    if limit == LIMIT_BAND:
        mark = state.quotes[k].mark
        step = band_width(state, k)
        price = (mark + step) >> 4 if side == BUY else (mark - step + 15) >> 4
        return min(max(price, np.int64(1)), top)
    gross = gross_of(state, account, contract)
    return price_at_loss(state, k, side, gross, own_equity(state, account, contract))


@kernel()
def bankruptcy_rating(state, own, required):
    """Adjusted bankruptcy rating of dYdX, 2**-32: clip(BA x (1 - equity / maintenance), 0, 1)."""
    gap = mul_shift_floor(max(required - own, np.int64(0)), state.policy[LP_BANKRUPTCY_ADJUSTMENT], 32)
    if gap >= required:
        return np.int64(RATE_ONE)
    return mul_div_floor(gap, RATE_ONE, required)


@kernel()
def fillable_limit(state, account, k, side, rating, part):
    """DYdX's fillable price in ticks: (PNNV - ABR x SMMR x PMMR) / PS, below the mark for longs, above it for shorts.

    Args:
        state: the market.
        account: the account.
        k: contract of the order.
        side: side of the forced order.
        rating: ABR, see :func:`bankruptcy_rating`.
        part: PMMR, the maintenance requirement of this position, minor units.
    """
    loss = mul_rate(mul_rate(part, state.policy[LP_SPREAD_TO_MAINTENANCE]), rating)
    return price_at_loss(state, k, side, notional_of(state, k, abs(state.positions[account, k].lots)), loss)


@kernel()
def order_limit(state, account, contract, k, side, rating, part):
    """Limit of a forced order in ticks, whatever the scenario's ``forced_limit``; arguments as above."""
    if state.meta[M_FORCED_LIMIT] == LIMIT_FILLABLE:
        return fillable_limit(state, account, k, side, rating, part)
    return forced_price(state, account, contract, k, side)
