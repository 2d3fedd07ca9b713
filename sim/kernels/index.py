"""Index of positions by bankruptcy price, so that the liquidation scan looks only at accounts near the mark.

With one maintenance rate m for all accounts of a contract, a long is under maintenance iff its bankruptcy price
``(cost - cash) / (lots x tick_value)`` exceeds ``mark x (1 - m)``: the order of bankruptcy prices survives every change
of m and of the mark, so buckets need maintenance only when an account's own cash or position changes. An inverse
position is bankrupt at ``lots x tick_value / (cash - cost)``; a long is under maintenance iff that exceeds
``mark / (1 + m)``. The index does not serve accounts that hold several contracts or other currencies in one pocket, nor
options, which are charged by their underlying and not by their own mark, nor accounts that owe (all stand in
``multi_accounts``), nor rules whose rate differs between accounts (``M_INDEX_VALID`` = 0:
every account is scanned).
"""

from __future__ import annotations

import numpy as np

from sim.kernels.held import drop, next_held
from sim.kernels.jit import kernel
from sim.kernels.state import (
    CLOSED,
    INVERSE_FUTURE,
    INVERSE_PERPETUAL,
    ISOLATED,
    M_CONTRACTS,
    M_LAYOUT,
)
from sim.kernels.values import is_option


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
def bankruptcy_price(state, contract, lots, cost, cash):
    """Price in ticks, rounded down, at which a position and its cash are worth nothing.

    An inverse long that has lost more than its value at any price, and an inverse short that no price can ruin, stand
    at the largest price there is.
    """
    kind = state.contracts[contract].kind
    size = lots * state.contracts[contract].tick_value
    if kind != INVERSE_PERPETUAL and kind != INVERSE_FUTURE:
        return (cost - cash) // size
    left = cash - cost
    if (left <= 0 and lots > 0) or (left >= 0 and lots < 0):
        return np.int64(1) << 60
    return size // left


@kernel()
def _place(state, account, contract, cash):
    """Put the position into the bucket of its bankruptcy price, if it is not there already."""
    position = state.positions[account, contract]
    lots = position.lots
    # in ticks, rounded down; the exact test follows the scan
    row = bucket_of(state, contract, bankruptcy_price(state, contract, lots, position.cost, cash))
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

    That is negative cash in the pocket of a flat position, or in a wallet of a flat account.
    """
    if state.meta[M_LAYOUT] == ISOLATED:
        contract = next_held(state, account, 0)
        while contract >= 0:
            if state.positions[account, contract].lots == 0 and state.positions[account, contract].pocket < 0:
                return True
            contract = next_held(state, account, contract + 1)
    if state.accounts[account].positions != 0:
        return False
    for currency in range(state.wallets.shape[1]):
        if state.wallets[account, currency] < 0:
            return True
    return False


@kernel()
def _beside(state, account):
    """True when more than one position and the account currency make a cross account's equity."""
    held = state.accounts[account].positions
    if held > 1:
        return True
    if state.wallets.shape[1] == 1 or held == 0:
        return False
    for currency in range(1, state.wallets.shape[1]):
        if state.wallets[account, currency] != 0:
            return True
    contract = next_held(state, account, 0)
    while contract >= 0:
        if state.positions[account, contract].lots != 0 and state.contracts[contract].currency != 0:
            return True
        contract = next_held(state, account, contract + 1)
    return False


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
    if contracts == 1 and not is_option(state, 0):
        if state.positions[account, 0].lots == 0 or not listed:
            _unlink(state, account, 0)
            _set_multi(state, account, listed and owes(state, account))
        else:
            _place(state, account, 0, state.positions[account, 0].pocket if isolated else state.wallets[account, 0])
            _set_multi(state, account, False)
        return
    several = not isolated and _beside(state, account)
    optional = False
    contract = next_held(state, account, 0)
    while contract >= 0:
        if state.positions[account, contract].lots == 0 or not listed or several:
            _unlink(state, account, contract)
        elif is_option(state, contract):
            _unlink(state, account, contract)
            optional = True
        else:
            cash = state.positions[account, contract].pocket if isolated else state.wallets[account, 0]
            _place(state, account, contract, cash)
        drop(state, account, contract)
        contract = next_held(state, account, contract + 1)
    _set_multi(state, account, listed and (several or optional or owes(state, account)))
