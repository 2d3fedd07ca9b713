"""What failed accounts owe in cash: who pays it, and how debts in other currencies are settled first."""

from __future__ import annotations

import numpy as np

from sim.kernels.events import record_event
from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.ledger import OFFSET_FUND, credit, credit_in, equity, transfer_in, unrealised
from sim.kernels.state import (
    CROSS,
    EV_BANKRUPT,
    EV_CONVERTED,
    EV_FUND_PAID,
    EV_SOCIALISED,
    LAYER_FUND,
    LAYER_SOCIALISE,
    M_BAD_DEBT,
    M_CONTRACTS,
    M_FUND_PAID,
    M_LAYOUT,
    M_SOCIALISED,
    M_TRADERS,
    M_UNCOVERED,
    W_FUND_DEBT,
    W_LAYER,
    W_LAYER_4,
    W_PENDING,
)
from sim.kernels.takeover import close_account, fund_equity, sweep_pockets
from sim.kernels.values import is_option, worth
from sim.kernels.wide import mul_div_floor


@kernel()
def _winnings(state, account):
    """Unrealised profit of an account's winning positions, minor units of the account currency.

    Options have none: what they are worth was paid for, and is no variation margin.
    """
    total = np.int64(0)
    for contract in range(state.meta[M_CONTRACTS]):
        if is_option(state, contract):
            continue
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
        if is_option(state, contract):
            continue
        part = min(left, max(unrealised(state, account, contract), np.int64(0)))
        credit(state, account, contract, -part)
        left -= part
    credit(state, account, -1, -left)


@kernel()
def has_layer(state, layer):
    """True when the design has a layer."""
    for cell in range(W_LAYER, W_LAYER_4 + 1):
        if state.waterfall[cell] == layer:
            return True
    return False


@kernel()
def socialise(state, loss):
    """Share a loss among winners in proportion to unrealised profit, then among all by equity.

    Winners keep the part h = 1 - loss / sum of profits of theirs, not less than none of it (variation margin gains
    haircut); a loss beyond all profits is shared by equity. Shares are cumulative floors, so they sum exactly.

    Args:
        state: the market; mutates wallets and pockets of traders and the fund, which receives what is collected.
        loss: minor units, positive.

    Returns:
        What nobody could bear, minor units.
    """
    traders = state.meta[M_TRADERS]
    fund = traders + OFFSET_FUND
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
    return left


@kernel()
def make_good(state, account, contract, deficit):
    """Pay what is missing from an account's (or position's) cash: the fund at once, all others at the end of the round.

    The fund's account is the venue's only purse, so it carries what is to be shared until :func:`settle_losses`.

    Args:
        state: the market.
        account: who owes; the fund itself when its own positions have lost more than it had.
        contract: -1 for the wallet, or the contract whose pocket is meant.
        deficit: minor units, positive.
    """
    fund = state.meta[M_TRADERS] + OFFSET_FUND
    purse = np.int64(0)
    if account != fund:
        purse = min(deficit, max(fund_equity(state), np.int64(0)))
        credit(state, fund, -1, -deficit)
        credit(state, account, contract, deficit)
        touch(state, account)
    paid = purse if has_layer(state, LAYER_FUND) else np.int64(0)
    state.meta[M_BAD_DEBT] += deficit
    state.meta[M_FUND_PAID] += paid
    record_event(state, EV_BANKRUPT, contract, account, 0, deficit, paid, 0)
    if paid > 0:
        record_event(state, EV_FUND_PAID, contract, account, 0, paid, 0, 0)
    state.waterfall[W_PENDING] += deficit - paid


@kernel()
def settle_losses(state):
    """Share the losses of a round among all who bear them, once, and let the fund pay the rest as far as it can.

    Where the design gives the fund no layer, it pays after all others. What nobody can pay is its debt from here on.
    """
    loss = state.waterfall[W_PENDING]
    if loss == 0:
        return
    fund = state.meta[M_TRADERS] + OFFSET_FUND
    purse = max(fund_equity(state), np.int64(0))
    state.waterfall[W_PENDING] = 0
    shared = np.int64(0)
    if has_layer(state, LAYER_SOCIALISE):
        shared = loss - socialise(state, loss)
    left = loss - shared
    purse = min(left, purse)
    if purse > 0:
        left -= purse
        state.meta[M_FUND_PAID] += purse
        record_event(state, EV_FUND_PAID, -1, fund, 0, purse, 0, 0)
    state.meta[M_SOCIALISED] += shared
    state.meta[M_UNCOVERED] += left
    state.waterfall[W_FUND_DEBT] += left
    record_event(state, EV_SOCIALISED, -1, fund, 0, shared, left, 0)


@kernel()
def cover(state, account, contract):
    """Pay a bankrupt account's (or isolated position's) negative cash (see :func:`make_good`).

    Args:
        state: the market.
        account: the bankrupt account; flat in what is covered.
        contract: -1 for the wallet, or the contract whose pocket is negative.
    """
    deficit = -state.wallets[account, 0] if contract < 0 else -state.positions[account, contract].pocket
    if deficit > 0:
        make_good(state, account, contract, deficit)


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
def settle_closed(state, account, contract):
    """After a bankrupt account was closed out: pay what it still owes, and close it unless something is left to it.

    Of an isolated position only its pocket is looked at; the fund stays open.
    """
    if account >= state.meta[M_TRADERS]:
        return
    if contract >= 0:
        cover(state, account, contract)
        return
    sweep_pockets(state, account)
    if state.conversion.shape[0] > 1:
        convert_wallets(state, account)
    cover(state, account, -1)
    if equity(state, account) <= 0:
        for currency in range(1, state.conversion.shape[0]):  # coins too few to be worth a minor unit
            transfer_in(state, account, state.meta[M_TRADERS] + OFFSET_FUND, currency, state.wallets[account, currency])
        close_account(state, account)
