"""Set-up of rows and the few steps that the decisions of several kinds share."""

from __future__ import annotations

from typing import Any

import numpy as np

from sim.kernels import ledger, values
from sim.kernels.jit import JIT_DISABLED, kernel
from sim.kernels.keyed import uniform4
from sim.kernels.messages import push
from sim.kernels.realmath import exp, ln, normal_quantile
from sim.kernels.state import (
    BUY,
    CAUSE_NONE,
    IOC,
    M_HISTORY,
    M_STEP,
    MARKET,
    NEW,
    RATE_ONE,
    SELL,
    STATE_TYPE,
    SUBTICKS,
)

# Purposes of a population's random stream (stream + purpose). Set-up draws are indexed by row; the others are
# described where they are used.
DRAW_COUNT, DRAW_EVENT, DRAW_ROW, DRAW_SETUP, DRAW_SETUP_CAPITAL = range(5)

_SEND: Any = None
_TAKE_LIMIT: Any = None
if not JIT_DISABLED:
    from numba import types

    _SEND = types.void(STATE_TYPE, *[types.int64] * 10)
    _TAKE_LIMIT = types.void(STATE_TYPE, *[types.int64] * 6)


@kernel()
def deposit_each(state, first, currency, amounts):
    """Deposit ``amounts[i]`` minor units of a currency into account ``first + i``. Mutates wallets and deposits."""
    for row in range(amounts.shape[0]):
        ledger.deposit_in(state, first + row, currency, amounts[row])


@kernel()
def uniforms_of_rows(seed, stream, count):
    """Four uniforms per row, float64[count, 4]."""
    out = np.empty((count, 4), np.float64)
    for row in range(count):
        out[row, 0], out[row, 1], out[row, 2], out[row, 3] = uniform4(seed, stream, np.int64(0), row, np.int64(0))
    return out


@kernel()
def normals_of(uniforms):
    """Standard normal quantiles of a float64[n, 4] of uniforms."""
    out = np.empty_like(uniforms)
    for row in range(uniforms.shape[0]):
        for k in range(uniforms.shape[1]):
            out[row, k] = normal_quantile(uniforms[row, k])
    return out


@kernel()
def exponentials_of(x):
    """``exp`` of each of a float64[n, 4]."""
    out = np.empty_like(x)
    for row in range(x.shape[0]):
        for k in range(x.shape[1]):
            out[row, k] = exp(x[row, k])
    return out


@kernel()
def log_uniform(u, low, high):
    """A number between ``low`` and ``high`` whose logarithm is uniform, from a uniform."""
    return low * exp(u * ln(high / low))


@kernel()
def band_limits(state, contract):
    """Lowest and highest price in ticks that the venue's price band admits now."""
    mark = state.quotes[contract].mark
    gap = values.band_width(state, contract)
    low = (mark - gap + SUBTICKS - 1) // SUBTICKS
    high = (mark + gap) // SUBTICKS
    return max(low, np.int64(1)), min(high, state.contracts[contract].max_price)


@kernel()
def value_now(state, contract):
    """Exogenous value in ticks at this step, for those who may see it."""
    return state.value[min(state.meta[M_STEP], state.value.shape[0] - 1), contract]


@kernel()
def log_mid_before(state, contract, steps):
    """Logarithm of the mid some steps before the last completed one (0: the last completed one)."""
    return state.history[(state.meta[M_STEP] - 1 - steps) & (state.meta[M_HISTORY] - 1), contract]


@kernel()
def limit_near_mark(state, contract, side, slippage):
    """Price in ticks that lies a fraction ``slippage`` behind the mark, as a taker of ``side`` accepts it."""
    mark = state.quotes[contract].mark / np.float64(SUBTICKS)
    if side == BUY:
        price = np.int64(np.floor(mark * (1.0 + slippage)))
    else:
        price = -np.int64(np.floor(-mark * (1.0 - slippage)))
    return min(max(price, np.int64(1)), state.contracts[contract].max_price)


@kernel(_SEND)
def send(state, account, contract, kind, side, tif, flags, price, lots, expiry, cause):
    """Leave a message: :func:`sim.kernels.messages.push` compiled once for plain integers.

    Constants in a call would make the compiler specialise on them, at half a second for each combination.
    """
    zero = np.int64(0)
    push(state, account, contract, kind, side, tif, flags, price, lots, expiry, zero, cause, zero)


@kernel()
def take_market(state, account, contract, lots):
    """Send a market order for signed lots; what the band does not let it fill is cancelled."""
    side = BUY if lots > 0 else SELL
    send(state, account, contract, NEW, side, IOC, MARKET, 0, abs(lots), 0, CAUSE_NONE)


@kernel(_TAKE_LIMIT)
def take_limit(state, account, contract, lots, price, flags, cause):
    """Send an immediate-or-cancel order for signed lots with a limit in ticks."""
    side = BUY if lots > 0 else SELL
    send(state, account, contract, NEW, side, IOC, flags, price, abs(lots), 0, cause)


@kernel()
def clipped(x, bound):
    """``x`` moved into [-bound, bound]."""
    return min(max(x, -bound), bound)


@kernel()
def value_of_lot(state, contract):
    """Value of one lot at mark, minor units of the account currency as a float."""
    if values.is_inverse(state, contract):
        value = np.float64(state.contracts[contract].tick_value) * SUBTICKS / state.quotes[contract].mark
    else:
        value = state.quotes[contract].mark * np.float64(state.contracts[contract].tick_value) / SUBTICKS
    currency = state.contracts[contract].currency
    return value if currency == 0 else value * (state.conversion[currency] / np.float64(RATE_ONE))
