"""Margin calls and liquidations in rounds: the feedback loop between maintenance margin and the order book.

Within a step risk parameters are frozen. Each round re-reads the marks from the current book, collects every breach,
then executes them in the order of a key u(seed, "liquidation", step, round, account). Rounds end when nothing is in
breach, nothing could be sold, or the limit is reached; what is left carries over.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.auctions import close_ended
from sim.kernels.breakers import all_halted, check_halts, held_back, measure_room
from sim.kernels.calls import call_or_wait, drop_met_calls, end_call
from sim.kernels.forced import end_liquidation, finish, is_stuck, liquidate
from sim.kernels.held import next_held
from sim.kernels.index import bucket_of, multi_count, owes
from sim.kernels.jit import kernel
from sim.kernels.keyed import philox
from sim.kernels.ledger import equity, position_equity
from sim.kernels.moves import read_marks
from sim.kernels.oracle import liquidation_is_paused
from sim.kernels.peaks import watch_fund
from sim.kernels.sorting import sort_uniform
from sim.kernels.state import (
    CALLED,
    CLEAR_ROUND,
    CLEAR_ROUND_OF,
    CLOSED,
    COLLECT,
    CROSS,
    IN_BREACH,
    LIMIT_NONE,
    LIQUIDATE,
    LIQUIDATING,
    LP_OUTLET,
    M_CALLED_NOW,
    M_CONTRACTS,
    M_FORCED_LIMIT,
    M_INDEX_VALID,
    M_LAYOUT,
    M_LIQUIDATE,
    M_LIQUIDATING,
    M_ROUND,
    M_ROUNDS_MAX,
    M_SEED,
    M_STEP,
    M_TRADERS,
    MAINTENANCE,
    OPEN,
    OUTLET_BIDS_THEN_BOOK,
    OUTLET_BOOK,
    RATE_ONE,
    RUN_CLEARING,
    WITH_EVALUATOR,
)
from sim.kernels.values import is_inverse, is_option, maintenance_row
from sim.kernels.waterfall import settle_backstops, settle_losses
from sim.kernels.wide import mul_div_floor, mul_shift_floor


@kernel(IN_BREACH)
def in_breach(state, account, contract, evaluate):
    """True when equity is below the maintenance requirement of an account (contract -1) or isolated position."""
    if contract < 0:
        required = evaluate(state, account, -1, MAINTENANCE)
        return required > 0 and equity(state, account) < required
    if state.positions[account, contract].lots == 0:
        return False
    return position_equity(state, account, contract) < evaluate(state, account, contract, MAINTENANCE)


@kernel(COLLECT)
def _add_if_breach(state, account, contract, n, evaluate):
    """Append to the scratch list when in breach; returns the new length."""
    record = state.accounts[account]
    if record.exempt != 0 or record.status == CLOSED:
        return n
    if not in_breach(state, account, contract, evaluate) or liquidation_is_paused(state, account, contract):
        return n
    state.scratch_accounts[n] = account
    state.scratch_contracts[n] = contract
    return n + 1


@kernel(COLLECT)
def _scan_all(state, unused, unused_too, n, evaluate):
    """Look at every account (rules without one common rate)."""
    cross = state.meta[M_LAYOUT] == CROSS
    for account in range(state.meta[M_TRADERS]):
        if state.accounts[account].positions == 0:
            continue
        if cross:
            n = _add_if_breach(state, account, -1, n, evaluate)
        else:
            contract = next_held(state, account, 0)
            while contract >= 0:
                if state.positions[account, contract].lots != 0:
                    n = _add_if_breach(state, account, contract, n, evaluate)
                contract = next_held(state, account, contract + 1)
    return n


@kernel(COLLECT)
def _scan_index(state, contract, side, n, evaluate):
    """Look at the buckets whose bankruptcy prices lie beyond the mark less (plus) maintenance.

    Linear: mark x (1 -+ rate). Inverse: mark / (1 +- rate), for longs somewhat above mark x (1 - rate).
    """
    contracts = state.meta[M_CONTRACTS]
    cross = state.meta[M_LAYOUT] == CROSS
    rate = state.rate_maintenance[maintenance_row(state), contract]
    mark = state.quotes[contract].mark
    if side == 0:
        # two ticks of slack for rounding: the exact test decides
        first = bucket_of(state, contract, (mul_shift_floor(mark, RATE_ONE - rate, 32) >> 4) - 2)
        row = state.quotes[contract].index_top
        trimming = True
        while row >= first:
            node = state.bucket_heads[contract, 0, row]
            if node >= 0:
                trimming = False
            elif trimming:
                state.quotes[contract].index_top = row - 1
            while node >= 0:
                n = _add_if_breach(state, node // contracts, -1 if cross else contract, n, evaluate)
                node = state.positions[node // contracts, node % contracts].bucket_next
            row -= 1
    else:
        reach = mul_shift_floor(mark, RATE_ONE + rate, 32)
        if is_inverse(state, contract):
            reach = mul_div_floor(mark, RATE_ONE, max(RATE_ONE - rate, np.int64(1)))
        last = bucket_of(state, contract, (reach >> 4) + 2)
        row = state.quotes[contract].index_low
        trimming = True
        while row <= last:
            node = state.bucket_heads[contract, 1, row]
            if node >= 0:
                trimming = False
            elif trimming:
                state.quotes[contract].index_low = row + 1
            while node >= 0:
                n = _add_if_breach(state, node // contracts, -1 if cross else contract, n, evaluate)
                node = state.positions[node // contracts, node % contracts].bucket_next
            row += 1
    return n


@kernel(CLEAR_ROUND)
def collect(state, evaluate):
    """Write accounts (and contracts, when isolated) in breach into the scratch arrays.

    Returns:
        Their number.
    """
    n = np.int64(0)
    if state.meta[M_INDEX_VALID] == 0:
        return _scan_all(state, 0, 0, n, evaluate)
    for contract in range(state.meta[M_CONTRACTS]):
        if not is_option(state, contract):
            n = _scan_index(state, contract, 0, n, evaluate)
            n = _scan_index(state, contract, 1, n, evaluate)
    cross = state.meta[M_LAYOUT] == CROSS
    for i in range(multi_count(state)):
        account = np.int64(state.multi_accounts[i])
        if cross:
            n = _add_if_breach(state, account, -1, n, evaluate)
            continue
        contract = next_held(state, account, 0)
        while contract >= 0:
            if is_option(state, contract) and state.positions[account, contract].lots != 0:
                n = _add_if_breach(state, account, contract, n, evaluate)
            contract = next_held(state, account, contract + 1)
    return n


@kernel()
def _order(state, n, stream):
    """Sort the n collected breaches by their keys into ``scratch_order``."""
    seed, step, round_ = state.meta[M_SEED], state.meta[M_STEP], state.meta[M_ROUND]
    contracts = state.meta[M_CONTRACTS]
    for i in range(n):
        node = np.int64(state.scratch_accounts[i]) * (contracts + 1) + np.int64(state.scratch_contracts[i]) + 1
        state.scratch_ids[i] = node
        state.scratch_keys[i] = philox(seed, stream, step, node, round_)[0]
    sort_uniform(state.scratch_keys, state.scratch_ids, state.scratch_order, state.scratch_counts, n)


@kernel(RUN_CLEARING)
def open_round(state, evaluate, stream):
    """Collect the breaches of a round and put them in order; returns their number."""
    check_halts(state)
    n = collect(state, evaluate)
    if n > 0:
        _order(state, n, stream)
    return n


@kernel()
def _sells_at_any_price(state):
    """True where forced orders go to the book at any price, which leaves nothing unsold while anybody quotes."""
    outlet = state.policy[LP_OUTLET]
    return state.meta[M_FORCED_LIMIT] == LIMIT_NONE and (outlet == OUTLET_BIDS_THEN_BOOK or outlet == OUTLET_BOOK)


@kernel()
def _waits_for_quotes(state, account, contract):
    """True where orders go out at any price and find somebody to trade with: what is left is for the next step."""
    return _sells_at_any_price(state) and not is_stuck(state, account, contract)


@kernel(LIQUIDATE)
def resolve(state, account, contract, last_resort, evaluate):
    """Call or liquidate one collected breach, unless what went before it in the round has cured it.

    Only an account whose forced orders have met the book comes to the last resort; a breach that is new by then waits
    for the next step.

    Returns:
        Lots that changed hands.
    """
    if not in_breach(state, account, contract, evaluate):
        return np.int64(0)
    if all_halted(state, account, contract):
        # a call goes out and its grace runs; what falls due is done when trading resumes
        if not last_resort and state.accounts[account].status == OPEN and equity(state, account) > 0:
            call_or_wait(state, account, evaluate)
        return np.int64(0)
    if state.accounts[account].status != LIQUIDATING and (last_resort or call_or_wait(state, account, evaluate) != 0):
        return np.int64(0)
    if last_resort and (held_back(state, account, contract) or _waits_for_quotes(state, account, contract)):
        return np.int64(0)
    return liquidate(state, account, contract, last_resort, evaluate)


@kernel(CLEAR_ROUND_OF)
def clear_round(state, evaluate, stream, last_resort):
    """One round: collect breaches, call or liquidate each in key order.

    Args:
        state: the market.
        evaluate: compiled requirement.
        stream: number of the liquidation stream.
        last_resort: True when what cannot be sold shall go down the waterfall (the round after the last).

    Returns:
        Lots that changed hands (0 ends the rounds).
    """
    moved = np.int64(0)
    for k in range(open_round(state, evaluate, stream)):
        i = state.scratch_order[k]
        account, contract = np.int64(state.scratch_accounts[i]), np.int64(state.scratch_contracts[i])
        moved += resolve(state, account, contract, last_resort, evaluate)
    settle_losses(state)
    return moved


@kernel(WITH_EVALUATOR)
def begin_clearing(state, evaluate):
    """Close the calls that are met before the rounds begin; measure what the throttle lets through, read the fund."""
    measure_room(state)
    watch_fund(state)
    if state.meta[M_CALLED_NOW] > 0:
        drop_met_calls(state, evaluate)


@kernel(WITH_EVALUATOR)
def _settle_debts(state, evaluate):
    """Pay what accounts owe that have nothing left to sell: they closed their positions below bankruptcy themselves."""
    i = np.int64(0)
    while i < multi_count(state):
        account = np.int64(state.multi_accounts[i])
        if owes(state, account):
            if state.accounts[account].status == CALLED:
                state.accounts[account].status = OPEN
                end_call(state, account)
            finish(state, account, evaluate)
            if i < multi_count(state) and state.multi_accounts[i] != account:
                continue  # the account has left the list, another stands in its place
        i += 1


@kernel(WITH_EVALUATOR)
def _reopen(state, evaluate):
    """Reopen accounts that are above maintenance again, count those whose liquidation carries over."""
    if state.meta[M_LIQUIDATING] == 0:
        return
    state.meta[M_LIQUIDATING] = 0
    for account in range(state.meta[M_TRADERS]):
        if state.accounts[account].status != LIQUIDATING:
            continue
        short = False
        if state.meta[M_LAYOUT] == CROSS:
            short = in_breach(state, account, -1, evaluate)
        else:
            for contract in range(state.meta[M_CONTRACTS]):
                if in_breach(state, account, contract, evaluate):
                    short = True
                else:
                    state.positions[account, contract].wait_until = 0
        if short:
            state.meta[M_LIQUIDATING] += 1
        else:
            end_liquidation(state, account)


@kernel(WITH_EVALUATOR)
def end_clearing(state, evaluate):
    """Settle debts, and reopen the accounts whose liquidation, or the market, brought them above maintenance."""
    check_halts(state)
    _settle_debts(state, evaluate)
    settle_losses(state)
    _reopen(state, evaluate)
    close_ended(state)


@kernel()
def has_last_resort(state):
    """True when a round after the last sends what could not be sold down the waterfall.

    There is one where the policy or a forced limit may leave something unsold, and where options are listed, whose
    books may be empty (see :func:`sim.kernels.forced.is_stuck`).
    """
    if not _sells_at_any_price(state):
        return True
    for contract in range(state.meta[M_CONTRACTS]):
        if is_option(state, contract):
            return True
    return False


@kernel(RUN_CLEARING)
def clear(state, evaluate, stream):
    """All rounds of a step; where they may leave something unsold, the waterfall for that follows them.

    Args:
        state: the market.
        evaluate: compiled requirement.
        stream: number of the liquidation stream.

    Returns:
        Number of rounds that moved lots.
    """
    if state.meta[M_LIQUIDATE] == 0:
        return np.int64(0)
    begin_clearing(state, evaluate)
    rounds = np.int64(0)
    while rounds < state.meta[M_ROUNDS_MAX]:
        state.meta[M_ROUND] = rounds
        moved = clear_round(state, evaluate, stream, False)
        if moved == 0:
            break
        rounds += 1
        read_marks(state, rounds)
    if has_last_resort(state):
        state.meta[M_ROUND] = state.meta[M_ROUNDS_MAX]
        if clear_round(state, evaluate, stream, True) > 0:
            read_marks(state, state.meta[M_ROUNDS_MAX] + 1)
    settle_backstops(state)
    end_clearing(state, evaluate)
    return rounds
