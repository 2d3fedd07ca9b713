"""Taking a failed account over at its bankruptcy price: by the insurance fund or by a backstop vault."""

from __future__ import annotations

import numpy as np

from sim.kernels.events import record_event
from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.ledger import OFFSET_FUND, book_trade, currency_equity, equity, position_equity, transfer_in
from sim.kernels.orders import cancel_all
from sim.kernels.state import (
    CAUSE_TAKEOVER,
    CLOSED,
    EV_BACKSTOP,
    EV_BANKRUPT,
    EV_CLOSED,
    EV_FUND_PAID,
    EV_TAKEOVER,
    ISOLATED,
    M_BACKSTOP_LOTS,
    M_BAD_DEBT,
    M_CONTRACTS,
    M_FLOW,
    M_FUND_PAID,
    M_LAYOUT,
    M_LEDGER_FLOW,
    M_TRADERS,
    W_PENDING,
    W_VAULT,
    W_VAULT_PAID,
)
from sim.kernels.values import notional_of, value_at, worth
from sim.kernels.wide import mul_div_floor


@kernel()
def close_account(state, account):
    """Close a bankrupt account for good: its orders are cancelled, and it may not trade again."""
    cancel_all(state, account, -1)
    state.accounts[account].status = CLOSED
    touch(state, account)
    record_event(state, EV_CLOSED, -1, account, 0, state.wallets[account, 0], 0, 0)


@kernel()
def gross_of(state, account, contract):
    """Value at mark of an account's positions, or of one isolated position, minor units of the account currency."""
    gross = np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        lots = state.positions[account, k].lots
        if lots != 0 and (contract < 0 or k == contract):
            gross += notional_of(state, k, abs(lots))
    return gross


@kernel()
def is_mixed(state, account):
    """True when an account holds other currencies than its own, or positions that settle in them."""
    for currency in range(1, state.conversion.shape[0]):
        if state.wallets[account, currency] != 0:
            return True
    for k in range(state.meta[M_CONTRACTS]):
        if state.positions[account, k].lots != 0 and state.contracts[k].currency != 0:
            return True
    return False


@kernel()
def fund_equity(state):
    """Equity of the insurance fund, losses apart that are to be shared at the end of the round, minor units."""
    return equity(state, state.meta[M_TRADERS] + OFFSET_FUND) + state.waterfall[W_PENDING]


@kernel()
def equity_with(state, taker, account):
    """Equity that a taker would have with everything that an account holds and owes, minor units."""
    total = currency_equity(state, taker, 0) + currency_equity(state, account, 0)
    if taker == state.meta[M_TRADERS] + OFFSET_FUND:
        total += state.waterfall[W_PENDING]
    for currency in range(1, state.conversion.shape[0]):
        amount = currency_equity(state, taker, currency) + currency_equity(state, account, currency)
        if amount != 0:
            total += worth(state, currency, amount)
    return total


@kernel()
def can_take(state, account, contract, taker):
    """True when a taker's equity stays non-negative after taking over the account's (or position's) book.

    A vault must have equity of its own; a closed taker takes nothing.

    Args:
        state: the market.
        account: the account under maintenance.
        contract: -1 for the whole account (cross), else the isolated position.
        taker: account of the fund or the vault.
    """
    if taker == account or state.accounts[taker].status == CLOSED:
        return False
    own = fund_equity(state) if taker == state.meta[M_TRADERS] + OFFSET_FUND else equity(state, taker)
    if own < 0 or (own == 0 and taker < state.meta[M_TRADERS]):
        return False
    if contract >= 0:
        return own + min(position_equity(state, account, contract), np.int64(0)) >= 0
    return equity(state, account) >= 0 or equity_with(state, taker, account) >= 0


@kernel()
def _count(state, account, k, lots, value, taker):
    """Put a take-over on the tape and into the counters."""
    size = abs(lots)
    state.meta[M_LEDGER_FLOW] += size
    state.meta[M_FLOW] += size
    state.quotes[k].liquidated += size
    state.positions[account, k].liquidated += size
    state.accounts[account].liquidated += size
    if taker < state.meta[M_TRADERS]:
        state.meta[M_BACKSTOP_LOTS] += size
        record_event(state, EV_BACKSTOP, k, account, taker, lots, value, state.quotes[k].mark)
    else:
        record_event(state, EV_TAKEOVER, k, account, CAUSE_TAKEOVER, lots, value, state.quotes[k].mark)


@kernel()
def sweep_pockets(state, account):
    """Move the pockets of an account to its wallet: a vault answers with all it has. Mutates wallet and pockets."""
    if state.meta[M_LAYOUT] != ISOLATED or account >= state.meta[M_TRADERS]:
        return
    for k in range(state.meta[M_CONTRACTS]):
        state.wallets[account, 0] += state.positions[account, k].pocket
        state.positions[account, k].pocket = 0
    touch(state, account)


@kernel()
def take_over(state, account, contract, taker):
    """Move every position of the account (or the one isolated position) to a taker at the bankruptcy price.

    The account ends flat with no cash, and closed if it was bankrupt: what it had, margin included, is the taker's.
    The value of the transfer is what leaves its equity at zero; with several contracts the equity is spread over them
    in proportion to their value at mark. An account with other currencies hands its positions over at mark and its
    cash with them, currency by currency, which comes to the same without a conversion.

    Args:
        state: the market.
        account: the account under maintenance.
        contract: -1 for the whole account (cross), else the isolated position.
        taker: account of the fund or the vault.

    Returns:
        Lots moved.
    """
    gross = gross_of(state, account, contract)
    if gross <= 0:
        return np.int64(0)
    mixed = contract < 0 and is_mixed(state, account)
    left = equity(state, account) if contract < 0 else position_equity(state, account, contract)
    deficit = -left
    moved = np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        lots = state.positions[account, k].lots
        if lots == 0 or (contract >= 0 and k != contract):
            continue
        share = np.int64(0)
        if not mixed:
            here = notional_of(state, k, abs(lots))
            share = left if here == gross else mul_div_floor(left, here, gross)
            left -= share
            gross -= here
        # a long is sold for (value at mark - share), a short is bought back for (|value at mark| + share)
        side = -1 if lots > 0 else 1
        value = -side * (value_at(state, k, lots, state.quotes[k].mark) - share)
        book_trade(state, account, k, side, abs(lots), value)
        book_trade(state, taker, k, -side, abs(lots), value)
        moved += abs(lots)
        _count(state, account, k, lots, value, taker)
    if mixed:
        for currency in range(state.conversion.shape[0]):
            transfer_in(state, account, taker, currency, state.wallets[account, currency])
    if deficit > 0:
        # the price of the take-over is worse than the mark by what the account could not pay
        state.meta[M_BAD_DEBT] += deficit
        if taker < state.meta[M_TRADERS]:
            state.waterfall[W_VAULT_PAID] += deficit
            record_event(state, EV_BANKRUPT, contract, account, 0, deficit, 0, 0)
        else:
            state.meta[M_FUND_PAID] += deficit
            record_event(state, EV_BANKRUPT, contract, account, 0, deficit, deficit, 0)
            record_event(state, EV_FUND_PAID, contract, account, 0, deficit, 0, 0)
        if contract < 0 and account < state.meta[M_TRADERS]:
            close_account(state, account)
    touch(state, account)
    touch(state, taker)
    sweep_pockets(state, taker)
    return moved


@kernel()
def backstop_of(state, account, contract):
    """Who takes an account or position over when the policy sends it to the backstop: vault, else fund, -1: nobody."""
    vault = state.waterfall[W_VAULT]
    if vault >= 0 and can_take(state, account, contract, vault):
        return vault
    fund = state.meta[M_TRADERS] + OFFSET_FUND
    return fund if can_take(state, account, contract, fund) else np.int64(-1)


@kernel()
def backstop(state, account, contract):
    """Hand an account (contract -1) or isolated position to the backstop at the bankruptcy price.

    Returns:
        Lots moved; 0 when neither vault nor fund can take it.
    """
    taker = backstop_of(state, account, contract)
    if taker < 0:
        return np.int64(0)
    cancel_all(state, account, contract)
    return take_over(state, account, contract, taker)
