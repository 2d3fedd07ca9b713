"""The step record: one row of integers per recorded step."""

from __future__ import annotations

import numpy as np

from sim.kernels.depth import depth_within
from sim.kernels.held import next_held
from sim.kernels.jit import kernel
from sim.kernels.ledger import OFFSET_FUND, equity, notional
from sim.kernels.state import (
    CB_STRESS_SLOPE,
    CROSS,
    INITIAL,
    M_ADL_LOTS,
    M_AUCTIONS,
    M_BACKSTOP_LOTS,
    M_BAD_DEBT,
    M_CALL_AMOUNT,
    M_CALLED_NOW,
    M_CALLS,
    M_CALLS_MET,
    M_CONTRACTS,
    M_DEPTH_EVERY,
    M_FUND_PAID,
    M_HALTED,
    M_LAYOUT,
    M_LIQUIDATIONS,
    M_LIVE,
    M_RECORDS,
    M_REFUSALS,
    M_ROUNDS,
    M_SOCIALISED,
    M_STEP,
    M_TOPUPS,
    M_TOTALS_EVERY,
    M_TRADERS,
    M_UNCOVERED,
    MAINTENANCE,
    WITH_EVALUATOR,
)
from sim.kernels.values import newest_row

RC_DEPTH_BID, RC_DEPTH_ASK = 8, 9
RG_INITIAL, RG_MAINTENANCE, RG_EQUITY, RG_NOTIONAL = 11, 12, 13, 14


@kernel()
def depth_near(state, contract, side):
    """Lots resting within 5 % of the mid on one side: bids for side 1, asks for -1."""
    mid = state.quotes[contract].mid
    if side == 1:
        bid = state.quotes[contract].bid
        return depth_within(state, contract, max((mid * 95 // 100 + 15) >> 4, np.int64(1)), bid) if bid > 0 else 0
    ask = state.quotes[contract].ask
    return depth_within(state, contract, ask, (mid * 105 // 100) >> 4) if ask > 0 else 0


@kernel(WITH_EVALUATOR)
def totals(state, evaluate):
    """Sums over traders into the newest row: initial and maintenance requirement, equity, notional (minor units)."""
    initial, maintenance, own, gross = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    cross = state.meta[M_LAYOUT] == CROSS
    for account in range(state.meta[M_TRADERS]):
        if state.accounts[account].positions == 0:
            continue
        own += equity(state, account)
        gross += notional(state, account)
        if cross:
            initial += evaluate(state, account, -1, INITIAL)
            maintenance += evaluate(state, account, -1, MAINTENANCE)
        else:
            initial += evaluate(state, account, -1, INITIAL)
            contract = next_held(state, account, 0)
            while contract >= 0:
                if state.positions[account, contract].lots != 0:
                    initial += state.positions[account, contract].pocket
                    maintenance += evaluate(state, account, contract, MAINTENANCE)
                contract = next_held(state, account, contract + 1)
    row = state.meta[M_RECORDS]
    state.record_global[row, RG_INITIAL] = initial
    state.record_global[row, RG_MAINTENANCE] = maintenance
    state.record_global[row, RG_EQUITY] = own
    state.record_global[row, RG_NOTIONAL] = gross


@kernel(WITH_EVALUATOR)
def record_step(state, evaluate):
    """Write the row of this step. Depth and sums over accounts are read at their own intervals and carried between.

    Mutates ``record_contract``, ``record_global`` and ``meta[M_RECORDS]``.
    """
    meta = state.meta
    row = meta[M_RECORDS]
    if row >= state.record_global.shape[0]:
        return
    step = meta[M_STEP]
    for contract in range(meta[M_CONTRACTS]):
        quote = state.quotes[contract]
        out = state.record_contract[row, contract]
        out[0] = quote.last
        out[1] = quote.mid
        out[2] = quote.bid
        out[3] = quote.ask
        out[4] = quote.mark
        out[5] = quote.index
        out[6] = quote.volume
        out[7] = quote.open_interest
        if row == 0 or step % meta[M_DEPTH_EVERY] == 0:
            out[RC_DEPTH_BID] = depth_near(state, contract, 1)
            out[RC_DEPTH_ASK] = depth_near(state, contract, -1)
        else:
            out[RC_DEPTH_BID] = state.record_contract[row - 1, contract, RC_DEPTH_BID]
            out[RC_DEPTH_ASK] = state.record_contract[row - 1, contract, RC_DEPTH_ASK]
        out[10] = quote.liquidated
        out[11] = state.rate_initial[contract]
        out[12] = state.model_rates[0, contract, 1]
        if state.breakers[CB_STRESS_SLOPE] != 0:
            out[12] = state.rate_maintenance[newest_row(state), contract]
        out[13] = quote.funding_rate
    out = state.record_global[row]
    out[0] = step
    out[1] = meta[M_CALLS]
    out[2] = meta[M_CALLS_MET]
    out[3] = meta[M_CALL_AMOUNT]
    out[4] = meta[M_LIQUIDATIONS]
    out[5] = meta[M_BAD_DEBT]
    out[6] = equity(state, meta[M_TRADERS] + OFFSET_FUND)
    out[7] = meta[M_FUND_PAID]
    out[8] = meta[M_SOCIALISED]
    out[9] = meta[M_REFUSALS]
    out[10] = meta[M_LIVE]
    if row == 0 or step % meta[M_TOTALS_EVERY] == 0:
        totals(state, evaluate)
    else:
        for k in range(RG_INITIAL, RG_NOTIONAL + 1):
            out[k] = state.record_global[row - 1, k]
    out[15] = meta[M_CALLED_NOW]
    out[16] = meta[M_TOPUPS]
    out[17] = meta[M_ROUNDS]
    out[18] = meta[M_UNCOVERED]
    out[19] = meta[M_ADL_LOTS]
    out[20] = meta[M_BACKSTOP_LOTS]
    out[21] = meta[M_AUCTIONS]
    out[22] = meta[M_HALTED]
    meta[M_RECORDS] = row + 1
