"""Index of positions by bankruptcy price, so that the liquidation scan looks only at accounts near the mark.

With one maintenance rate m for all accounts of a contract, a long is under maintenance iff its bankruptcy price
``(cost - cash) / (lots x tick_value)`` exceeds ``mark x (1 - m)``: the order of bankruptcy prices survives every change
of m and of the mark, so buckets need maintenance only when an account's own cash or position changes. The index does
not serve accounts that hold several contracts in one pocket, nor those that owe (both stand in ``multi_accounts``),
nor rules whose rate differs between accounts (``M_INDEX_VALID`` = 0: every account is scanned).
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.state import CLOSED, ISOLATED, M_CONTRACTS, M_LAYOUT


@kernel()
def _unlink(state, account, contract):
    contracts = state.meta[M_CONTRACTS]
    position = state.positions[account, contract]
    bucket = position.bucket
    if bucket < 0:
        return
    short = bucket >= state.bucket_heads.shape[2]
    after, before = position.bucket_next, position.bucket_prev
    if before >= 0:
        state.positions[before // contracts, before % contracts].bucket_next = after
    else:
        row = bucket - state.bucket_heads.shape[2] if short else bucket
        state.bucket_heads[contract, 1 if short else 0, row] = after
    if after >= 0:
        state.positions[after // contracts, after % contracts].bucket_prev = before
    state.positions[account, contract].bucket = -1


@kernel()
def bucket_of(state, contract, price_ticks):
    """Bucket of a price, clamped to the ends."""
    return min(max(price_ticks >> state.bucket_scale[contract], 0), state.bucket_heads.shape[2] - 1)


@kernel()
def _place(state, account, contract, cash):
    """Put the position into the bucket of its bankruptcy price, if it is not there already."""
    position = state.positions[account, contract]
    lots = position.lots
    # bankruptcy price in ticks, rounded down; the exact test follows the scan
    price = (position.cost - cash) // (lots * state.contracts[contract].tick_value)
    row = bucket_of(state, contract, price)
    size = state.bucket_heads.shape[2]
    side = 0 if lots > 0 else 1
    bucket = row + side * size
    if position.bucket == bucket:
        return
    _unlink(state, account, contract)
    node = account * state.meta[M_CONTRACTS] + contract
    head = state.bucket_heads[contract, side, row]
    state.positions[account, contract].bucket = bucket
    state.positions[account, contract].bucket_next = head
    state.positions[account, contract].bucket_prev = -1
    if head >= 0:
        contracts = state.meta[M_CONTRACTS]
        state.positions[head // contracts, head % contracts].bucket_prev = node
    state.bucket_heads[contract, side, row] = node
    if side == 0:
        if row > state.quotes[contract].index_top:
            state.quotes[contract].index_top = row
    elif row < state.quotes[contract].index_low:
        state.quotes[contract].index_low = row


@kernel()
def _set_multi(state, account, member):
    """Add the account to, or take it from, the list of accounts that the index does not serve."""
    count = state.multi_where.shape[0] - 1  # the last cell counts; it is a special account's, and those never enter
    if account == count:
        return
    where = state.multi_where[account]
    size = state.multi_where[count]
    if member and where < 0:
        state.multi_accounts[size] = account
        state.multi_where[account] = size
        state.multi_where[count] = size + 1
    elif not member and where >= 0:
        last = state.multi_accounts[size - 1]
        state.multi_accounts[where] = last
        state.multi_where[last] = where
        state.multi_where[account] = -1
        state.multi_where[count] = size - 1


@kernel()
def multi_count(state):
    """Number of accounts in ``multi_accounts``."""
    return np.int64(state.multi_where[state.multi_where.shape[0] - 1])


@kernel()
def owes(state, account):
    """True when an account has a debt and nothing to sell for it.

    That is negative cash in the pocket of a flat position, or in the wallet of a flat account.
    """
    if state.meta[M_LAYOUT] == ISOLATED:
        for contract in range(state.meta[M_CONTRACTS]):
            if state.positions[account, contract].lots == 0 and state.positions[account, contract].pocket < 0:
                return True
    return state.accounts[account].positions == 0 and state.wallets[account, 0] < 0


@kernel()
def touch(state, account):
    """Bring the index up to date after the cash or a position of an account changed.

    Exempt and closed accounts leave it; accounts that owe are listed beside it, for the end of clearing.
    Mutates bucket links, heads, ``multi_accounts``.
    """
    record = state.accounts[account]
    contracts = state.meta[M_CONTRACTS]
    listed = record.exempt == 0 and record.status != CLOSED
    isolated = state.meta[M_LAYOUT] == ISOLATED
    if contracts == 1:
        if state.positions[account, 0].lots == 0 or not listed:
            _unlink(state, account, 0)
            _set_multi(state, account, listed and owes(state, account))
        else:
            _place(state, account, 0, state.positions[account, 0].pocket if isolated else state.wallets[account, 0])
            _set_multi(state, account, False)
        return
    several = not isolated and record.positions > 1
    for contract in range(contracts):
        if state.positions[account, contract].lots == 0 or not listed or several:
            _unlink(state, account, contract)
        else:
            cash = state.positions[account, contract].pocket if isolated else state.wallets[account, 0]
            _place(state, account, contract, cash)
    _set_multi(state, account, listed and (several or owes(state, account)))
