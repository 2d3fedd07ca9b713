"""The ledger: positions, cash, pockets, reserves. Integers only; every entry is booked with both signs.

A fill moves one integer value ``v = ticks x lots x tick_value``: the buyer's cost rises by v, the seller's falls by v.
Closing a part releases ``floor(cost x closed / |lots|)`` and the profit so realised moves to cash; closing all releases
the rest, so no unit is ever lost to rounding.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.schedule import FLAT, S_KIND, scheduled
from sim.kernels.state import (
    BUY,
    INITIAL,
    ISOLATED,
    M_CONTRACTS,
    M_LAYOUT,
    M_LEDGER_FLOW,
    M_NET_DEPOSITS,
    M_PUBLISHED,
    M_RISK_SLOTS,
    M_STEP,
    M_TRADERS,
)
from sim.kernels.wide import mul_div_floor, mul_rate

OFFSET_FUND, OFFSET_FEES, OFFSET_RESIDUE, OFFSET_SCRIPT = 0, 1, 2, 3


@kernel()
def newest_row(state):
    """Row of the risk ring that was published last (binds new orders)."""
    return state.meta[M_PUBLISHED] % state.meta[M_RISK_SLOTS]


@kernel()
def maintenance_row(state):
    """Row of the risk ring that binds maintenance: published ``notice`` steps before this step, or at set-up."""
    step = state.meta[M_STEP]
    notice = state.meta[M_RISK_SLOTS] - 1
    return max(step - notice, 0) % state.meta[M_RISK_SLOTS]


@kernel()
def value_at(state, contract, lots, mark):
    """Value in minor units of signed lots at a mark in sub-ticks (floor)."""
    return (lots * mark * state.contracts[contract].tick_value) >> 4


@kernel()
def position_charge(state, contract, which, lots, rate):
    """Margin of a position of ``lots`` >= 0 at mark: the contract's schedule, or where it is flat ``rate`` times value.

    Args:
        state: the market.
        contract: contract index.
        which: INITIAL or MAINTENANCE.
        lots: size.
        rate: flat rate, 2**-32.
    """
    value = abs(value_at(state, contract, lots, state.quotes[contract].mark))
    if state.tiers[contract, 0, S_KIND] == FLAT:
        return mul_rate(value, rate)
    return scheduled(state.tiers, contract, which, lots, value)


@kernel()
def opening_margin(state, contract, held, lots, value):
    """Initial margin that ``lots`` bring in when they enlarge a position of ``held`` lots (both >= 0).

    Args:
        state: the market.
        contract: contract index.
        held: lots before, of the same side.
        lots: lots opened.
        value: what they were traded for, minor units.
    """
    if state.tiers[contract, 0, S_KIND] == FLAT:
        return mul_rate(value, state.rate_initial[contract])
    before = abs(value_at(state, contract, held, state.quotes[contract].mark))
    after = scheduled(state.tiers, contract, INITIAL, held + lots, before + value)
    return max(after - scheduled(state.tiers, contract, INITIAL, held, before), np.int64(0))


@kernel()
def unrealised(state, account, contract):
    """Value at mark less cost of one position, minor units."""
    position = state.positions[account, contract]
    if position.lots == 0:
        return np.int64(0)
    mark = state.quotes[contract].mark
    return ((position.lots * mark * state.contracts[contract].tick_value) >> 4) - position.cost


@kernel()
def equity(state, account):
    """Wallet, pockets and unrealised profit of an account, minor units."""
    total = state.wallets[account, 0]
    for contract in range(state.meta[M_CONTRACTS]):
        total += state.positions[account, contract].pocket + unrealised(state, account, contract)
    return total


@kernel()
def position_equity(state, account, contract):
    """Pocket plus unrealised profit of one isolated position, minor units."""
    return state.positions[account, contract].pocket + unrealised(state, account, contract)


@kernel()
def notional(state, account):
    """Sum of absolute position values at mark, minor units."""
    total = np.int64(0)
    for contract in range(state.meta[M_CONTRACTS]):
        lots = state.positions[account, contract].lots
        if lots != 0:
            total += value_at(state, contract, abs(lots), state.quotes[contract].mark)
    return total


@kernel()
def deposit(state, account, amount):
    """Move cash from outside into a wallet (negative: withdrawal). Mutates wallets, deposits, the index."""
    state.wallets[account, 0] += amount
    state.accounts[account].booked += amount
    state.accounts[account].deposits += amount
    state.meta[M_NET_DEPOSITS] += amount
    touch(state, account)


@kernel()
def transfer(state, payer, payee, amount):
    """Move cash between two wallets. Mutates wallets and the index."""
    state.wallets[payer, 0] -= amount
    state.wallets[payee, 0] += amount
    state.accounts[payer].booked -= amount
    state.accounts[payee].booked += amount
    touch(state, payer)
    touch(state, payee)


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
    release(state, account, contract, side, -lots, loss_per_lot)


@kernel()
def _open(state, account, contract, side, lots, value):
    """Enlarge a position (or open one): cost takes the value; isolated margin moves from the wallet to the pocket."""
    held = abs(state.positions[account, contract].lots)
    state.positions[account, contract].lots += side * lots
    state.positions[account, contract].cost += side * value
    if state.meta[M_LAYOUT] == ISOLATED and account < state.meta[M_TRADERS]:
        margin = opening_margin(state, contract, held, lots, value)
        margin = min(margin, max(state.wallets[account, 0], np.int64(0)))
        state.wallets[account, 0] -= margin
        state.positions[account, contract].pocket += margin


@kernel()
def _close(state, account, contract, side, lots, value):
    """Reduce a position by ``lots`` (at most what is held): the released profit moves to cash."""
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
            state.wallets[account, 0] += back
        else:
            state.positions[account, contract].pocket += back
    else:
        state.wallets[account, 0] += profit


@kernel()
def book_trade(state, account, contract, side, lots, value):
    """Book one side of a trade: ``lots`` bought or sold for ``value`` minor units in total.

    A trade through zero splits the value: ``floor(value x closed / lots)`` closes, the rest opens.
    Mutates position, wallet, open interest and the bankruptcy-price index.
    """
    before = state.positions[account, contract].lots
    state.accounts[account].booked -= side * value
    state.accounts[account].booked_lots += side * lots
    if before * side >= 0:
        _open(state, account, contract, side, lots, value)
    else:
        held = abs(before)
        if lots <= held:
            _close(state, account, contract, side, lots, value)
        else:
            part = mul_div_floor(value, held, lots)
            _close(state, account, contract, side, held, part)
            _open(state, account, contract, side, lots - held, value - part)
    after = state.positions[account, contract].lots
    state.quotes[contract].open_interest += max(after, 0) - max(before, 0)
    if before == 0 and after != 0:
        state.accounts[account].positions += 1
    elif before != 0 and after == 0:
        state.accounts[account].positions -= 1


@kernel()
def credit(state, account, contract, amount):
    """Book cash from another account or from time itself to a position's cash, or to the wallet (contract -1).

    The pocket is meant when the layout is isolated and the account is a trader's, else the wallet. The caller books the
    other side and touches the index. Mutates wallet or pocket, and the audit sum.
    """
    if contract >= 0 and state.meta[M_LAYOUT] == ISOLATED and account < state.meta[M_TRADERS]:
        state.positions[account, contract].pocket += amount
    else:
        state.wallets[account, 0] += amount
    state.accounts[account].booked += amount


@kernel()
def charge(state, account, payee, amount):
    """Take a fee from an account's wallet. Mutates wallets and ``fees``; the caller touches the index."""
    state.wallets[account, 0] -= amount
    state.wallets[payee, 0] += amount
    state.accounts[account].booked -= amount
    state.accounts[payee].booked += amount
    state.accounts[account].fees += amount


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
    value = price * quantity * state.contracts[contract].tick_value
    book_trade(state, taker, contract, taker_side, quantity, value)
    book_trade(state, maker, contract, -taker_side, quantity, value)
    fees_account = state.meta[M_TRADERS] + OFFSET_FEES
    taker_rate = state.contracts[contract].fee_taker
    maker_rate = state.contracts[contract].fee_maker
    if taker_rate != 0 and taker < state.meta[M_TRADERS]:
        charge(state, taker, fees_account, mul_rate(value, taker_rate))
    if maker_rate != 0 and maker < state.meta[M_TRADERS]:
        charge(state, maker, fees_account, mul_rate(value, maker_rate))
    state.meta[M_LEDGER_FLOW] += quantity
    touch(state, taker)
    touch(state, maker)
