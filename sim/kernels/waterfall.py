"""The default waterfall: insurance fund, then socialised loss; and the fund as taker of last resort."""

from __future__ import annotations

import numpy as np

from sim.kernels.events import record_event
from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.ledger import (
    OFFSET_FUND,
    book_trade,
    credit,
    credit_in,
    equity,
    notional_of,
    position_equity,
    unrealised,
    value_at,
    worth,
)
from sim.kernels.orders import cancel_all
from sim.kernels.state import (
    CAUSE_TAKEOVER,
    CLOSED,
    CROSS,
    EV_BANKRUPT,
    EV_CLOSED,
    EV_CONVERTED,
    EV_FUND_PAID,
    EV_SOCIALISED,
    EV_TAKEOVER,
    M_BAD_DEBT,
    M_CONTRACTS,
    M_FLOW,
    M_FUND_PAID,
    M_LAYOUT,
    M_LEDGER_FLOW,
    M_SOCIALISED,
    M_TRADERS,
    M_UNCOVERED,
)
from sim.kernels.wide import mul_div_floor


@kernel()
def _winnings(state, account):
    """Unrealised profit of an account's winning positions, minor units of the account currency."""
    total = np.int64(0)
    for contract in range(state.meta[M_CONTRACTS]):
        profit = max(unrealised(state, account, contract), np.int64(0))
        if state.contracts[contract].currency != 0:
            profit = worth(state, state.contracts[contract].currency, profit)
        total += profit
    return total


@kernel()
def _take_winnings(state, account, amount):
    """Take ``amount`` from the cash behind winning positions: pockets when isolated, else the wallet."""
    if state.meta[M_LAYOUT] == CROSS:
        credit(state, account, -1, -amount)
        return
    left = amount
    for contract in range(state.meta[M_CONTRACTS]):
        part = min(left, max(unrealised(state, account, contract), np.int64(0)))
        credit(state, account, contract, -part)
        left -= part
    credit(state, account, -1, -left)


@kernel()
def socialise(state, loss, fund):
    """Share a loss among winners in proportion to unrealised profit, then among all by equity.

    What nobody can bear stays as a debt of the fund (``M_UNCOVERED``). Shares are cumulative floors, so they sum to the
    loss exactly.

    Args:
        state: the market; mutates wallets and pockets of traders and the fund.
        loss: minor units, positive.
        fund: account of the insurance fund, which receives what is collected.
    """
    traders = state.meta[M_TRADERS]
    left = loss
    for by_equity in range(2):
        if left == 0:
            break
        total = np.int64(0)
        for account in range(traders):
            weight = equity(state, account) if by_equity else _winnings(state, account)
            total += max(weight, np.int64(0))
        if total <= 0:
            continue
        shared = min(left, total)
        seen, given = np.int64(0), np.int64(0)
        for account in range(traders):
            weight = equity(state, account) if by_equity else _winnings(state, account)
            if weight <= 0:
                continue
            seen += weight
            upto = mul_div_floor(shared, seen, total)
            if upto > given:
                if by_equity:
                    credit(state, account, -1, given - upto)
                else:
                    _take_winnings(state, account, upto - given)
                touch(state, account)
                given = upto
        credit(state, fund, -1, given)
        left -= given
    state.meta[M_SOCIALISED] += loss - left
    state.meta[M_UNCOVERED] += left
    record_event(state, EV_SOCIALISED, -1, fund, 0, loss - left, left, 0)


@kernel()
def cover(state, account, contract):
    """Pay a bankrupt account's (or isolated position's) negative cash from the fund, then socialise.

    Args:
        state: the market.
        account: the bankrupt account; flat in what is covered.
        contract: -1 for the wallet, or the contract whose pocket is negative.
    """
    deficit = -state.wallets[account, 0] if contract < 0 else -state.positions[account, contract].pocket
    if deficit <= 0:
        return
    fund = state.meta[M_TRADERS] + OFFSET_FUND
    paid = min(deficit, max(equity(state, fund), np.int64(0)))
    credit(state, fund, -1, -deficit)
    credit(state, account, contract, deficit)
    touch(state, account)
    state.meta[M_BAD_DEBT] += deficit
    state.meta[M_FUND_PAID] += paid
    record_event(state, EV_BANKRUPT, contract, account, 0, deficit, paid, 0)
    if paid > 0:
        record_event(state, EV_FUND_PAID, contract, account, 0, paid, 0, 0)
    if deficit > paid:
        socialise(state, deficit - paid, fund)


@kernel()
def close_account(state, account):
    """Close a bankrupt account for good: its orders are cancelled, and it may not trade again."""
    cancel_all(state, account, -1)
    state.accounts[account].status = CLOSED
    touch(state, account)
    record_event(state, EV_CLOSED, -1, account, 0, state.wallets[account, 0], 0, 0)


@kernel()
def _swap(state, account, currency, coins, cash):
    """The fund takes coins of a currency from an account (gives, when negative) for cash of the account currency."""
    fund = state.meta[M_TRADERS] + OFFSET_FUND
    credit_in(state, account, currency, -coins)
    credit_in(state, fund, currency, coins)
    credit_in(state, account, 0, cash)
    credit_in(state, fund, 0, -cash)
    record_event(state, EV_CONVERTED, -1, account, currency, coins, cash, 0)
    touch(state, account)


@kernel()
def convert_wallets(state, account):
    """Settle a flat account's debts across currencies with the insurance fund, at the rates of its equity.

    Debts in other currencies are moved into the account currency; then coins pay what is owed there, less their
    haircut, as many as it takes. Mutates wallets of the account and the fund.
    """
    for currency in range(1, state.conversion.shape[0]):
        owed = state.wallets[account, currency]
        if owed < 0:
            _swap(state, account, currency, owed, worth(state, currency, owed))
    for currency in range(1, state.conversion.shape[0]):
        missing = -state.wallets[account, 0]
        coins = state.wallets[account, currency]
        if missing <= 0 or coins <= 0:
            continue
        whole = worth(state, currency, coins)
        if whole <= missing:
            _swap(state, account, currency, coins, whole)
        else:
            part = min(mul_div_floor(coins, missing, whole) + 1, coins)
            _swap(state, account, currency, part, missing)


@kernel()
def fund_can_take(state, account, contract):
    """True when the fund's equity stays non-negative after taking over the account's (or position's) book.

    Positions that settle in another currency than the account's are not taken over: they are sold at any price.
    """
    for k in range(state.meta[M_CONTRACTS]):
        if state.positions[account, k].lots != 0 and state.contracts[k].currency != 0:
            return False
    fund = state.meta[M_TRADERS] + OFFSET_FUND
    taken = equity(state, account) if contract < 0 else position_equity(state, account, contract)
    return equity(state, fund) + min(taken, np.int64(0)) >= 0


@kernel()
def take_over(state, account, contract):
    """Move every position of the account (or the one isolated position) to the fund at the bankruptcy price.

    The account ends flat with no cash, and closed if it was bankrupt: the value of the transfer is what leaves its
    equity at zero. With several
    contracts the equity is spread over them in proportion to their value at mark.

    Args:
        state: the market.
        account: the account under maintenance.
        contract: -1 for the whole account (cross), else the isolated position.

    Returns:
        Lots moved.
    """
    fund = state.meta[M_TRADERS] + OFFSET_FUND
    contracts = state.meta[M_CONTRACTS]
    gross = np.int64(0)
    for k in range(contracts):
        lots = state.positions[account, k].lots
        if lots != 0 and (contract < 0 or k == contract):
            gross += notional_of(state, k, abs(lots))
    if gross <= 0:
        return np.int64(0)
    left = equity(state, account) if contract < 0 else position_equity(state, account, contract)
    deficit = -left
    moved = np.int64(0)
    for k in range(contracts):
        lots = state.positions[account, k].lots
        if lots == 0 or (contract >= 0 and k != contract):
            continue
        mark = state.quotes[k].mark
        at_mark = value_at(state, k, lots, mark)
        here = notional_of(state, k, abs(lots))
        share = left if here == gross else mul_div_floor(left, here, gross)
        left -= share
        gross -= here
        # a long is sold for (value at mark - share), a short is bought back for (|value at mark| + share)
        side = -1 if lots > 0 else 1
        value = at_mark - share if lots > 0 else -(at_mark - share)
        book_trade(state, account, k, side, abs(lots), value)
        book_trade(state, fund, k, -side, abs(lots), value)
        state.meta[M_LEDGER_FLOW] += abs(lots)
        state.meta[M_FLOW] += abs(lots)
        state.quotes[k].liquidated += abs(lots)
        state.positions[account, k].liquidated += abs(lots)
        state.accounts[account].liquidated += abs(lots)
        moved += abs(lots)
        record_event(state, EV_TAKEOVER, k, account, CAUSE_TAKEOVER, lots, value, mark)
    if deficit > 0:
        # the price at which the fund took over is worse than the mark by what the account could not pay
        state.meta[M_BAD_DEBT] += deficit
        state.meta[M_FUND_PAID] += deficit
        record_event(state, EV_BANKRUPT, contract, account, 0, deficit, deficit, 0)
        record_event(state, EV_FUND_PAID, contract, account, 0, deficit, 0, 0)
        if contract < 0:
            close_account(state, account)
    touch(state, account)
    touch(state, fund)
    return moved
