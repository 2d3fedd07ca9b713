"""Forced closing of an account's positions: standing bids of liquidators, then the order book, then the fund."""

from __future__ import annotations

import numpy as np

from sim.kernels.bids import sell_to_bids
from sim.kernels.book import cancel_all, submit
from sim.kernels.events import record_event
from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.ledger import (
    OFFSET_FUND,
    credit,
    in_account_currency,
    is_inverse,
    notional_of,
    size_at,
    transfer,
    transfer_in,
)
from sim.kernels.penalty import charge_penalty, count_liquidated, own_equity
from sim.kernels.state import (
    BUY,
    CAUSE_LIQUIDATION,
    EV_LIQUIDATION,
    EXCESS,
    FORCED,
    IOC,
    ISOLATED,
    LIMIT_BAND,
    LIMIT_NONE,
    LIQUIDATE,
    LIQUIDATING,
    LP_SIZE,
    LP_TARGET_RATIO,
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
    RATE_ONE,
    SELL,
    SIZE_TARGET,
)
from sim.kernels.waterfall import adl_due, bear, close_account, convert_wallets, cover, deleverage
from sim.kernels.wide import mul_div_floor, mul_rate, mul_shift_floor


@kernel()
def _gross(state, account, contract):
    """Value at mark of what is being liquidated, account currency: the whole account (-1) or one isolated position."""
    total = np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        lots = state.positions[account, k].lots
        if lots != 0 and (contract < 0 or k == contract):
            total += notional_of(state, k, abs(lots))
    return total


@kernel()
def forced_price(state, account, contract, k, side):
    """Limit of a forced order in ticks, by the scenario's ``forced_limit``.

    ``bankruptcy``: the price at which the account is left with nothing: mark x (1 -+ equity / value of its positions),
    which for one contract is (cost - cash) / (lots x tick value); inverse: mark / (1 +- equity / value). ``band``: the
    price band. ``none``: any price.

    Args:
        state: the market.
        account: the account.
        contract: -1 (cross) or the isolated contract.
        k: contract of the order.
        side: side of the forced order.
    """
    limit = state.meta[M_FORCED_LIMIT]
    top = state.contracts[k].max_price
    mark = state.quotes[k].mark
    if limit == LIMIT_NONE:
        return top if side == BUY else np.int64(1)
    if limit == LIMIT_BAND:
        step = mul_shift_floor(mark, state.contracts[k].band, 32)
        price = (mark + step) >> 4 if side == BUY else (mark - step + 15) >> 4
        return min(max(price, np.int64(1)), top)
    gross = _gross(state, account, contract)
    own = own_equity(state, account, contract)
    if is_inverse(state, k):
        left = gross - own if side == BUY else gross + own
        if left <= 0:
            return top
        price = mul_div_floor(mark, gross, left) >> 4 if side == BUY else (mul_div_floor(mark, gross, left) >> 4) + 1
        return min(max(price, np.int64(1)), top)
    room = mul_div_floor(own, mark, max(gross, np.int64(1)))  # sub-ticks, signed
    price = (mark + room) >> 4 if side == BUY else -((-(mark - room)) >> 4)
    return min(max(price, np.int64(1)), top)


@kernel(LIQUIDATE)
def lots_to_close(state, account, contract, full, evaluate):
    """Fraction of the positions to close, in 2**-32: all of it, or what restores the target ratio.

    A partial liquidation of a fraction x at mark leaves equity - fee x V against maintenance (1 - x) M; the target
    ratio t of equity to maintenance asks for x = (t M - E) / (t M - fee V).
    """
    if full or state.policy[LP_SIZE] != SIZE_TARGET:
        return np.int64(RATE_ONE)
    required = evaluate(state, account, contract, MAINTENANCE)
    own = own_equity(state, account, contract)
    target = mul_rate(required, state.policy[LP_TARGET_RATIO])
    fee = np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        lots = state.positions[account, k].lots
        if lots != 0 and (contract < 0 or k == contract):
            fee += mul_rate(notional_of(state, k, abs(lots)), state.contracts[k].fee_liquidation)
    if target <= fee or own <= fee:
        return np.int64(RATE_ONE)
    return min(max(mul_div_floor(target - own, RATE_ONE, target - fee), np.int64(1)), np.int64(RATE_ONE))


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
    """Send a forced immediate-or-cancel order and charge the liquidation fee. Returns lots filled."""
    side = SELL if state.positions[account, k].lots > 0 else BUY
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
        count_liquidated(state, account, k, filled)
        charge_penalty(state, account, contract, value, k, wallet)
    return filled


@kernel()
def begin_liquidation(state, account):
    """Put an account into liquidation: it has a number from here on, which its forced orders carry."""
    state.accounts[account].status = LIQUIDATING
    state.accounts[account].last_liquidation = state.meta[M_STEP]
    state.accounts[account].rounds = 0
    state.meta[M_LIQUIDATING] += 1  # recounted at the end of clearing
    state.meta[M_LIQUIDATIONS] += 1
    state.meta[M_EVENT_SEQ] += 1
    state.accounts[account].reference = state.meta[M_EVENT_SEQ]


@kernel(LIQUIDATE)
def liquidate(state, account, contract, last_resort, evaluate):
    """Liquidate an account (contract -1) or one isolated position as far as this round allows.

    Its orders are cancelled; then, per contract held, standing bids and the book take what the policy closes, no worse
    than the forced limit. As a last resort the fund takes the rest at the bankruptcy price while its equity lasts; what
    the fund cannot bear is sold at any price and the loss goes down the waterfall.

    Args:
        state: the market.
        account: the account.
        contract: -1 for the whole account.
        last_resort: True in the round after the last, when a forced limit is set.
        evaluate: compiled requirement.

    Returns:
        Lots that changed hands.
    """
    if state.accounts[account].status != LIQUIDATING:
        begin_liquidation(state, account)
    cancel_all(state, account, contract)
    wallet = state.wallets[account, 0]
    isolated = contract >= 0
    fraction = lots_to_close(state, account, contract, last_resort, evaluate)
    moved = np.int64(0)
    borne = np.int64(-1)
    if adl_due(state, account, contract):
        moved = deleverage(state, account, contract)
    if last_resort:
        borne = bear(state, account, contract, evaluate)
    if borne >= 0:
        moved += borne
    else:
        for k in range(state.meta[M_CONTRACTS]):
            held = state.positions[account, k].lots
            if held == 0 or (isolated and k != contract):
                continue
            side = SELL if held > 0 else BUY
            lots = min(mul_rate(abs(held), fraction), abs(held))
            if last_resort:
                limit = np.int64(1) if side == SELL else state.contracts[k].max_price
            else:
                limit = forced_price(state, account, contract, k, side)
            given = np.int64(0)
            if state.meta[M_BIDS] > 0:
                given = sell_to_bids(state, account, contract, k, lots, limit, evaluate)
            filled = np.int64(0)
            if given < lots:
                filled = sell_to_book(state, account, contract, k, lots - given, limit)
            moved += given + filled
            record_event(state, EV_LIQUIDATION, k, account, state.meta[M_ROUND], side * lots, given + filled, limit)
    if isolated and state.meta[M_SURPLUS_TO_FUND] != 0 and state.positions[account, contract].lots == 0:
        gained = state.wallets[account, 0] - wallet
        if gained > 0:
            transfer(state, account, state.meta[M_TRADERS] + OFFSET_FUND, gained)
            state.accounts[account].fees += gained
    finish(state, account, evaluate)
    if state.accounts[account].positions == 0 and state.accounts[account].status == LIQUIDATING:
        state.accounts[account].status = OPEN
    touch(state, account)
    return moved
