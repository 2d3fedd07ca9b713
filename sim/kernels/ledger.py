"""The ledger: positions, cash, pockets, reserves. Integers only; every entry is booked with both signs.

A fill moves one integer value, computed once. Linear: ``v = ticks x lots x tick_value``, the buyer's cost rises by v,
the seller's falls by v. Inverse: ``v = round(lots x tick_value / ticks)`` coins, the buyer's cost *falls* by v, so that
a long gains when the price rises: throughout, the value of a fill is signed as the buyer's cost changes, and the value
at mark of a long inverse position is negative. Options: v is paid in cash and the cost stays zero. Spot: v is paid in
the quote currency for coins of the base currency; nothing is held as a position.

Closing a part releases ``floor(cost x closed / |lots|)`` and the profit so realised moves to cash; closing all releases
the rest, so no unit is ever lost to rounding. Every entry is in the settlement currency of its contract; currency 0 is
the account currency, in which equity and requirements stand.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.charges import opening_margin
from sim.kernels.held import hold, next_held
from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.state import (
    BUY,
    ISOLATED,
    M_LAYOUT,
    M_LEDGER_FLOW,
    M_READINGS,
    M_RECORD_CAUSES,
    M_TRADERS,
    SPOT,
)
from sim.kernels.values import in_account_currency, is_option, notional_of, value_at, worth
from sim.kernels.wide import mul_div_floor, mul_rate

OFFSET_FUND, OFFSET_FEES, OFFSET_RESIDUE, OFFSET_SCRIPT = 0, 1, 2, 3


@kernel()
def unrealised(state, account, contract):
    """Value at mark less cost of one position, minor units of the settlement currency."""
    position = state.positions[account, contract]
    if position.lots == 0:
        return np.int64(0)
    return value_at(state, contract, position.lots, state.quotes[contract].mark) - position.cost


@kernel()
def currency_equity(state, account, currency):
    """Wallet, pockets and unrealised profit of an account in one currency, its minor units."""
    total = state.wallets[account, currency]
    contract = next_held(state, account, 0)
    while contract >= 0:
        if state.contracts[contract].currency == currency:
            total += state.positions[account, contract].pocket + unrealised(state, account, contract)
        contract = next_held(state, account, contract + 1)
    return total


@kernel()
def _equity_of_all(state, account):
    """Equity of an account that may hold several currencies."""
    total = currency_equity(state, account, 0)
    for currency in range(1, state.conversion.shape[0]):
        amount = currency_equity(state, account, currency)
        if amount != 0:
            total += worth(state, currency, amount)
    return total


@kernel()
def equity(state, account):
    """Wallet, pockets and unrealised profit of an account, minor units of the account currency.

    Other currencies count at their conversion, less the haircut where they are positive.
    """
    if state.conversion.shape[0] > 1:
        return _equity_of_all(state, account)
    total = state.wallets[account, 0]
    contract = next_held(state, account, 0)
    while contract >= 0:
        total += state.positions[account, contract].pocket + unrealised(state, account, contract)
        contract = next_held(state, account, contract + 1)
    return total


@kernel()
def position_equity(state, account, contract):
    """Pocket plus unrealised profit of one isolated position, minor units."""
    return state.positions[account, contract].pocket + unrealised(state, account, contract)


@kernel()
def notional(state, account):
    """Sum of absolute position values at mark, minor units of the account currency."""
    total = np.int64(0)
    contract = next_held(state, account, 0)
    while contract >= 0:
        lots = state.positions[account, contract].lots
        if lots != 0:
            total += notional_of(state, contract, abs(lots))
        contract = next_held(state, account, contract + 1)
    return total


@kernel()
def note_own(state, account):
    """Note, when causes are recorded, that something other than mark, rate or funding changes an account's excess."""
    if state.meta[M_RECORD_CAUSES] != 0:
        state.accounts[account].traded = state.meta[M_READINGS]


@kernel()
def deposit_in(state, account, currency, amount):
    """Move cash from outside into a wallet (negative: withdrawal). Mutates wallets, deposits, the index."""
    state.wallets[account, currency] += amount
    state.booked[account, currency] += amount
    state.deposits[account, currency] += amount
    state.net_deposits[currency] += amount
    note_own(state, account)
    touch(state, account)


@kernel()
def deposit(state, account, amount):
    """Move cash of the account currency from outside into a wallet (see :func:`deposit_in`)."""
    deposit_in(state, account, 0, amount)


@kernel()
def transfer_in(state, payer, payee, currency, amount):
    """Move cash between two wallets. Mutates wallets and the index."""
    state.wallets[payer, currency] -= amount
    state.wallets[payee, currency] += amount
    state.booked[payer, currency] -= amount
    state.booked[payee, currency] += amount
    note_own(state, payer)
    touch(state, payer)
    touch(state, payee)


@kernel()
def transfer(state, payer, payee, amount):
    """Move cash of the account currency between two wallets. Mutates wallets and the index."""
    transfer_in(state, payer, payee, 0, amount)


@kernel()
def release(state, account, contract, side, lots, loss_per_lot):
    """Take lots of an open order out of the account's reserve. Mutates open_* and loss_* of the position row."""
    if side == BUY:
        state.positions[account, contract].open_buy -= lots
        state.positions[account, contract].loss_buy -= lots * loss_per_lot
    else:
        state.positions[account, contract].open_sell -= lots
        state.positions[account, contract].loss_sell -= lots * loss_per_lot


@kernel()
def reserve(state, account, contract, side, lots, loss_per_lot):
    """Put lots of an order into the account's reserve (see :func:`release`)."""
    hold(state, account, contract)
    release(state, account, contract, side, -lots, loss_per_lot)


@kernel()
def _open(state, account, contract, side, lots, value):
    """Enlarge a position (or open one): cost takes the value; isolated margin moves from the wallet to the pocket.

    Of an option the wallet pays or receives the value; with isolated pockets the premium that a seller receives moves
    into the pocket with the margin, and a buyer, who can lose no more, needs none.
    """
    currency = state.contracts[contract].currency
    option = is_option(state, contract)
    held = abs(state.positions[account, contract].lots)
    hold(state, account, contract)
    state.positions[account, contract].lots += side * lots
    if option:
        state.wallets[account, currency] -= side * value
    else:
        state.positions[account, contract].cost += side * value
    if state.meta[M_LAYOUT] == ISOLATED and account < state.meta[M_TRADERS]:
        if option and side == BUY:
            wanted = np.int64(0)
        else:
            wanted = opening_margin(state, contract, side, held, lots, abs(value))
            if option:
                wanted += value
        margin = min(wanted, max(state.wallets[account, currency], np.int64(0)))
        state.wallets[account, currency] -= margin
        state.positions[account, contract].pocket += margin


@kernel()
def _close(state, account, contract, side, lots, value):
    """Reduce a position by ``lots`` (at most what is held): the released profit moves to cash."""
    currency = state.contracts[contract].currency
    held = abs(state.positions[account, contract].lots)
    cost = state.positions[account, contract].cost
    pocket = state.positions[account, contract].pocket
    if lots == held:
        released = cost
        share = pocket
    else:
        released = mul_div_floor(cost, lots, held)
        share = mul_div_floor(pocket, lots, held) if pocket > 0 else np.int64(0)
    profit = -side * value - released
    state.positions[account, contract].lots += side * lots
    state.positions[account, contract].cost = cost - released
    if state.meta[M_LAYOUT] == ISOLATED and account < state.meta[M_TRADERS]:
        # the pocket answers for the loss; the wallet only ever receives
        state.positions[account, contract].pocket = pocket - share
        back = share + profit
        if back >= 0:
            state.wallets[account, currency] += back
        else:
            state.positions[account, contract].pocket += back
    else:
        state.wallets[account, currency] += profit


@kernel()
def _exchange_spot(state, account, contract, side, lots, value):
    """Pay ``value`` of the quote currency for coins of the base currency, or the other way."""
    coins = side * lots * state.contracts[contract].base_lot
    base = state.contracts[contract].base_currency
    quote = state.contracts[contract].currency
    state.wallets[account, quote] -= side * value
    state.booked[account, quote] -= side * value
    state.wallets[account, base] += coins
    state.booked[account, base] += coins


@kernel()
def book_trade(state, account, contract, side, lots, value):
    """Book one side of a trade: ``lots`` bought or sold for ``value`` minor units in total, signed as a buyer's cost.

    A trade through zero splits the value: ``floor(|value| x closed / lots)`` closes, the rest opens.
    Mutates position, wallet, open interest and the audit sums; the caller touches the bankruptcy-price index.
    """
    note_own(state, account)
    if state.contracts[contract].kind == SPOT:
        _exchange_spot(state, account, contract, side, lots, value)
        return
    before = state.positions[account, contract].lots
    state.booked[account, state.contracts[contract].currency] -= side * value
    state.accounts[account].booked_lots += side * lots
    if before * side >= 0:
        _open(state, account, contract, side, lots, value)
    else:
        held = abs(before)
        if lots <= held:
            _close(state, account, contract, side, lots, value)
        else:
            part = mul_div_floor(abs(value), held, lots)
            if value < 0:
                part = -part
            _close(state, account, contract, side, held, part)
            _open(state, account, contract, side, lots - held, value - part)
    after = state.positions[account, contract].lots
    state.quotes[contract].open_interest += max(after, 0) - max(before, 0)
    if before == 0 and after != 0:
        state.accounts[account].positions += 1
    elif before != 0 and after == 0:
        state.accounts[account].positions -= 1


@kernel()
def credit_in(state, account, currency, amount):
    """Book cash of a currency to a wallet. The caller books the other side and touches the index."""
    state.wallets[account, currency] += amount
    state.booked[account, currency] += amount


@kernel()
def credit(state, account, contract, amount):
    """Book cash from another account or from time itself to a position's cash, or to the wallet (contract -1).

    The pocket is meant when the layout is isolated and the account is a trader's, else the wallet, in the settlement
    currency (contract -1: the account currency). The caller books the other side and touches the index. Mutates wallet
    or pocket, and the audit sum.
    """
    if contract < 0:
        note_own(state, account)
        credit_in(state, account, 0, amount)
        return
    currency = state.contracts[contract].currency
    if state.meta[M_LAYOUT] == ISOLATED and account < state.meta[M_TRADERS]:
        hold(state, account, contract)
        state.positions[account, contract].pocket += amount
        state.booked[account, currency] += amount
    else:
        credit_in(state, account, currency, amount)


@kernel()
def charge(state, account, payee, currency, amount):
    """Take a fee from an account's wallet. Mutates wallets and ``fees``; the caller touches the index."""
    credit_in(state, account, currency, -amount)
    credit_in(state, payee, currency, amount)
    fee = (
        in_account_currency(state, currency, amount) if amount >= 0 else -in_account_currency(state, currency, -amount)
    )
    state.accounts[account].fees += fee


@kernel()
def apply_fill(state, contract, maker, taker, taker_side, quantity, price):
    """Book a fill of the order book: both positions, both fees. Zero-sum to the unit.

    Args:
        state: the market.
        contract: contract index.
        maker: account of the resting order.
        taker: account of the incoming order.
        taker_side: BUY or SELL.
        quantity: lots.
        price: ticks.
    """
    value = value_at(state, contract, quantity, price * 16)
    book_trade(state, taker, contract, taker_side, quantity, value)
    book_trade(state, maker, contract, -taker_side, quantity, value)
    fees_account = state.meta[M_TRADERS] + OFFSET_FEES
    currency = state.contracts[contract].currency
    taker_rate = state.contracts[contract].fee_taker
    maker_rate = state.contracts[contract].fee_maker
    if taker_rate != 0 and taker < state.meta[M_TRADERS]:
        charge(state, taker, fees_account, currency, mul_rate(abs(value), taker_rate))
    if maker_rate != 0 and maker < state.meta[M_TRADERS]:
        charge(state, maker, fees_account, currency, mul_rate(abs(value), maker_rate))
    state.meta[M_LEDGER_FLOW] += quantity
    touch(state, taker)
    touch(state, maker)
