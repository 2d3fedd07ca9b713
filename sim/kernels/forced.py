"""Forced closing of an account's positions, as the liquidation policy has it: how much, where to, at which price."""

from __future__ import annotations

import numpy as np

from sim.kernels.adl import is_flat
from sim.kernels.auctions import auction, close_auction, is_running
from sim.kernels.bids import sell_to_bids
from sim.kernels.book import cancel_all, submit
from sim.kernels.breakers import count_forced, halted, throttled, within_band
from sim.kernels.causes import begin_cause, note_withdrawal
from sim.kernels.events import record_event
from sim.kernels.hedging import hedge
from sim.kernels.held import next_held
from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.ledger import OFFSET_FUND, credit, transfer, transfer_in
from sim.kernels.limits import bankruptcy_rating, order_limit
from sim.kernels.pace import flow_room, is_capped, is_ready, note_action, note_flow
from sim.kernels.penalty import charge_penalty, count_liquidated, own_equity
from sim.kernels.shortfall import make_good
from sim.kernels.sizes import fraction_to_close, is_below, lots_to_close
from sim.kernels.state import (
    BUY,
    CAUSE_LIQUIDATION,
    EV_LIQUIDATION,
    EXCESS,
    FORCED,
    IOC,
    ISOLATED,
    LIMIT_FILLABLE,
    LIQUIDATE,
    LIQUIDATING,
    LP_BACKSTOP_RATIO,
    LP_BONUS,
    LP_FUTURES_FIRST,
    LP_HEDGE_FIRST,
    LP_OUTLET,
    LP_SIZE,
    M_BIDS,
    M_CONTRACTS,
    M_EVENT_SEQ,
    M_FILLS,
    M_FORCED_LIMIT,
    M_LAYOUT,
    M_LIQUIDATING,
    M_LIQUIDATIONS,
    M_ROUND,
    M_STEP,
    M_SURPLUS_TO_FUND,
    M_TRADERS,
    MAINTENANCE,
    OPEN,
    OUTLET_AUCTION,
    OUTLET_BACKSTOP,
    OUTLET_BOOK,
    OUTLET_LIQUIDATORS,
    RATE_ONE,
    SELL,
    SIZE_FULL,
)
from sim.kernels.takeover import backstop, backstop_of, gross_of, take_over
from sim.kernels.values import in_account_currency, is_option, notional_of, size_at
from sim.kernels.waterfall import adl_due, bear, close_account, convert_wallets, cover, deleverage
from sim.kernels.wide import mul_div_floor, mul_shift_floor


@kernel(EXCESS)
def finish(state, account, evaluate):
    """After the forced orders: pay what a flat account owes, hand over its surplus, close it if it was bankrupt."""
    fund = state.meta[M_TRADERS] + OFFSET_FUND
    if state.meta[M_LAYOUT] == ISOLATED:
        for k in range(state.meta[M_CONTRACTS]):
            if state.positions[account, k].lots == 0 and state.positions[account, k].pocket != 0:
                left = state.positions[account, k].pocket
                if left < 0:
                    cover(state, account, k)
                else:
                    credit(state, account, k, -left)
                    credit(state, account, -1, left)
        if state.accounts[account].positions == 0 and state.wallets[account, 0] < 0:
            cover(state, account, -1)
            close_account(state, account)
        return np.int64(0)
    if state.accounts[account].positions != 0:
        return np.int64(0)
    if state.conversion.shape[0] > 1:
        convert_wallets(state, account)
    cash = state.wallets[account, 0]
    if cash < 0:
        cover(state, account, -1)
        close_account(state, account)
    elif state.meta[M_SURPLUS_TO_FUND] != 0 and cash > 0:
        transfer(state, account, fund, cash)
        state.accounts[account].fees += cash
        for currency in range(1, state.conversion.shape[0]):
            coins = state.wallets[account, currency]
            transfer_in(state, account, fund, currency, coins)
            state.accounts[account].fees += in_account_currency(state, currency, coins)
    return np.int64(0)


@kernel()
def sell_to_book(state, account, contract, k, lots, limit):
    """Send a forced immediate-or-cancel order and charge the liquidation fee. Returns lots filled.

    Circuit breakers may send fewer lots, or a better limit.
    """
    side = SELL if state.positions[account, k].lots > 0 else BUY
    lots = throttled(state, k, side, lots)
    if lots <= 0:
        return np.int64(0)
    limit = within_band(state, k, side, limit)
    first = state.meta[M_FILLS]
    wallet = state.wallets[account, 0]
    submit(
        state, k, side, limit, lots, account, IOC, FORCED, 0, 0, CAUSE_LIQUIDATION,
        np.int64(state.accounts[account].reference),
    )  # fmt: skip
    filled, value = np.int64(0), np.int64(0)
    for i in range(first, state.meta[M_FILLS]):
        filled += state.fills[i].quantity
        value += size_at(state, k, state.fills[i].quantity, np.int64(state.fills[i].price) * 16)
    if filled > 0:
        count_forced(state, k, side, filled)
        count_liquidated(state, account, k, filled)
        charge_penalty(state, account, contract, value, k, wallet)
    return filled


@kernel()
def begin_liquidation(state, account):
    """Put an account into liquidation: it has a number from here on, which its forced orders carry."""
    state.accounts[account].status = LIQUIDATING
    state.accounts[account].last_liquidation = state.meta[M_STEP]
    state.accounts[account].rounds = 0
    state.accounts[account].wait_until = 0
    state.meta[M_LIQUIDATING] += 1  # recounted at the end of clearing
    state.meta[M_LIQUIDATIONS] += 1
    state.meta[M_EVENT_SEQ] += 1
    state.accounts[account].reference = state.meta[M_EVENT_SEQ]


@kernel()
def end_liquidation(state, account):
    """An account has left liquidation: it may trade again, and its next one has another number."""
    state.accounts[account].status = OPEN
    state.accounts[account].rounds = 0
    state.accounts[account].wait_until = 0
    state.accounts[account].reference = -1
    for k in range(state.meta[M_CONTRACTS]):
        state.positions[account, k].wait_until = 0


@kernel()
def _must_wait(state, account, contract):
    """True when an account that was not closed in this step waits for the next one, not for the last resort.

    The policy made it wait (cooldown, flow cap), or nobody has to buy at its price (fillable price, liquidators'
    bonus). Without equity nothing is gained by waiting: the loss goes down the waterfall.
    """
    if is_running(state, account, contract):
        return True
    if own_equity(state, account, contract) <= 0:
        return False
    if state.meta[M_FORCED_LIMIT] == LIMIT_FILLABLE or state.policy[LP_OUTLET] == OUTLET_LIQUIDATORS:
        return True
    return not is_ready(state, account, contract) or is_capped(state, account, contract)


@kernel()
def is_stuck(state, account, contract):
    """True when what is being liquidated has an option whose book is empty on the side that its order needs.

    A thin chain may have no quotes at a strike for as long as the option lives.
    """
    k = contract if contract >= 0 else next_held(state, account, 0)
    while k >= 0:
        lots = state.positions[account, k].lots
        if lots != 0 and is_option(state, k):
            if (state.quotes[k].bid if lots > 0 else state.quotes[k].ask) <= 0:
                return True
        k = next_held(state, account, k + 1) if contract < 0 else np.int64(-1)
    return False


@kernel()
def _carry(state, account, contract):
    """The venue takes on its own account what no layer can bear and nobody is there to trade with; lots moved.

    What the account lacks is bad debt: the fund pays as far as it can, the rest is shared or stated as uncovered.
    """
    missing = -own_equity(state, account, contract)
    if missing > 0:
        make_good(state, account, contract, missing)
    moved = take_over(state, account, contract, state.meta[M_TRADERS] + OFFSET_FUND)
    if missing > 0 and contract < 0:
        close_account(state, account)
    return moved


@kernel()
def _hand_over(state, account, contract):
    """The backstop takes everything; with a ``bonus`` it pays mark less that discount, and the account keeps the rest.

    Returns:
        Lots moved; 0 when the backstop cannot take it.
    """
    taker = backstop_of(state, account, contract)
    own = own_equity(state, account, contract)
    kept = own - mul_shift_floor(gross_of(state, account, contract), state.policy[LP_BONUS], 32)
    moved = backstop(state, account, contract)
    if moved > 0 and kept > 0 and state.policy[LP_BONUS] > 0 and state.meta[M_SURPLUS_TO_FUND] == 0:
        transfer(state, taker, account, kept)
    return moved


@kernel()
def _has_linear_legs(state, account):
    """True when an account holds perpetuals or futures."""
    for k in range(state.meta[M_CONTRACTS]):
        if state.positions[account, k].lots != 0 and not is_option(state, k):
            return True
    return False


@kernel(LIQUIDATE)
def sell_legs(state, account, contract, any_price, evaluate):
    """Send forced orders for what the policy closes now, contract by contract.

    Args:
        state: the market.
        account: the account.
        contract: -1 for the whole account.
        any_price: True for all of it at any price (nothing else is left).
        evaluate: compiled requirement.

    Returns:
        Lots that changed hands.
    """
    outlet = state.policy[LP_OUTLET]
    required = np.int64(0)
    fillable = state.meta[M_FORCED_LIMIT] == LIMIT_FILLABLE and not any_price
    if fillable or state.policy[LP_SIZE] != SIZE_FULL:
        required = evaluate(state, account, contract, MAINTENANCE)
    fraction = np.int64(RATE_ONE)
    if not any_price:
        fraction = fraction_to_close(state, account, contract, required)
    rating, gross = np.int64(0), np.int64(1)
    if fillable:
        rating = bankruptcy_rating(state, own_equity(state, account, contract), required)
        gross = max(gross_of(state, account, contract), np.int64(1))
    futures_only = state.policy[LP_FUTURES_FIRST] != 0 and contract < 0 and _has_linear_legs(state, account)
    moved = np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        held = state.positions[account, k].lots
        if held == 0 or (contract >= 0 and k != contract) or halted(state, k):
            continue
        if futures_only and not any_price and is_option(state, k):
            continue
        side = SELL if held > 0 else BUY
        if any_price:
            lots = abs(held)
            limit = np.int64(1) if side == SELL else state.contracts[k].max_price
        else:
            lots = min(lots_to_close(state, account, contract, k, fraction), flow_room(state, k))
            if lots <= 0:
                continue
            part = required
            if fillable and contract < 0:
                part = evaluate(state, account, k, MAINTENANCE)
                if part <= 0:  # a rule that gives no requirement by contract: by value
                    part = mul_div_floor(required, notional_of(state, k, abs(held)), gross)
            limit = order_limit(state, account, contract, k, side, rating, part)
        given = np.int64(0)
        if state.meta[M_BIDS] > 0 and outlet != OUTLET_BOOK:
            given = sell_to_bids(state, account, contract, k, lots, limit, evaluate)
        filled = np.int64(0)
        if given < lots and (outlet != OUTLET_LIQUIDATORS or any_price):
            filled = sell_to_book(state, account, contract, k, lots - given, limit)
        moved += given + filled
        note_flow(state, k, given + filled)
        record_event(state, EV_LIQUIDATION, k, account, state.meta[M_ROUND], side * lots, given + filled, limit)
    return moved


@kernel(LIQUIDATE)
def act(state, account, contract, last_resort, evaluate):
    """One action on an account in liquidation: the last resort, the backstop, a hedge, or forced orders.

    Returns:
        Lots that changed hands; 0 also when the policy makes the account wait.
    """
    if last_resort:
        if _must_wait(state, account, contract):
            return np.int64(0)
        close_auction(state, account)
        moved = bear(state, account, contract, evaluate)
        if moved >= 0:
            return moved
        moved = sell_legs(state, account, contract, True, evaluate)
        return moved + _carry(state, account, contract) if is_stuck(state, account, contract) else moved
    ratio = state.policy[LP_BACKSTOP_RATIO]
    if ratio > 0 and is_below(
        own_equity(state, account, contract), evaluate(state, account, contract, MAINTENANCE), ratio
    ):
        moved = backstop(state, account, contract)
        if moved > 0:
            return moved
    if not is_ready(state, account, contract):
        return np.int64(0)
    moved = np.int64(0)
    if state.policy[LP_HEDGE_FIRST] != 0 and contract < 0:
        moved = hedge(state, account, evaluate)
    if moved == 0:
        if state.policy[LP_OUTLET] == OUTLET_BACKSTOP:
            moved = _hand_over(state, account, contract)
        elif state.policy[LP_OUTLET] == OUTLET_AUCTION:
            moved = auction(state, account, contract, False, evaluate)
        else:
            moved = sell_legs(state, account, contract, False, evaluate)
    if moved > 0:
        note_action(state, account, contract)
    return moved


@kernel(LIQUIDATE)
def liquidate(state, account, contract, last_resort, evaluate):
    """Liquidate an account (contract -1) or one isolated position as far as this round allows.

    Its orders are cancelled; then the policy decides (see :func:`act`). Whoever falls below ``backstop_ratio`` of its
    maintenance goes to the backstop whole, at once; who waits for its cooldown is left alone; else contract by contract
    what the policy closes now goes to its outlet, no worse than the forced limit. As a last resort the layers of the
    waterfall take the rest; what none of them can bear is sold at any price and the loss is shared. Where the design
    lets auto-deleveraging come first, it does.

    Args:
        state: the market.
        account: the account.
        contract: -1 for the whole account.
        last_resort: True in the round after the last (see :func:`sim.kernels.clearing.has_last_resort`).
        evaluate: compiled requirement.

    Returns:
        Lots that changed hands.
    """
    if state.accounts[account].status != LIQUIDATING:
        begin_liquidation(state, account)
        begin_cause(state, account, contract, evaluate)
    cancel_all(state, account, contract)
    note_withdrawal(state, account)
    wallet = state.wallets[account, 0]
    moved = np.int64(0)
    if adl_due(state, account, contract):
        moved = deleverage(state, account, contract)
    if moved == 0 or (last_resort and not is_flat(state, account, contract)):
        moved += act(state, account, contract, last_resort, evaluate)
    if contract >= 0 and state.positions[account, contract].lots == 0:
        state.positions[account, contract].wait_until = 0
        if state.meta[M_SURPLUS_TO_FUND] != 0:
            gained = state.wallets[account, 0] - wallet
            if gained > 0:
                transfer(state, account, state.meta[M_TRADERS] + OFFSET_FUND, gained)
                state.accounts[account].fees += gained
    finish(state, account, evaluate)
    if state.accounts[account].positions == 0 and state.accounts[account].status == LIQUIDATING:
        end_liquidation(state, account)
    touch(state, account)
    return moved
