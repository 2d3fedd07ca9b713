"""Rare work between steps: seeding positions, changing the pocket layout, rebuilding the index."""

from __future__ import annotations

import numpy as np

from sim.kernels.charges import position_charge
from sim.kernels.index import touch
from sim.kernels.jit import kernel
from sim.kernels.keyed import normal4, uniform4
from sim.kernels.ledger import OFFSET_SCRIPT, book_trade, deposit_in
from sim.kernels.realmath import exp, ln
from sim.kernels.state import (
    CROSS,
    INITIAL,
    ISOLATED,
    M_ACCOUNTS,
    M_CONTRACTS,
    M_FLOW,
    M_LAYOUT,
    M_LEDGER_FLOW,
    M_SEED,
    M_STEP,
    M_TRADERS,
    MAINTENANCE,
)
from sim.kernels.values import is_option, maintenance_row, size_at, value_at
from sim.kernels.wide import mul_div_floor


@kernel()
def rebuild_index(state):
    """Touch every account, after the layout or exemptions changed."""
    for account in range(state.meta[M_ACCOUNTS]):
        touch(state, account)


@kernel()
def scale_bucket(state, contract, top):
    """Choose the width of the index buckets so that prices up to ``top`` ticks have buckets of their own."""
    scale = np.int64(0)
    while (state.bucket_heads.shape[2] << scale) < top:
        scale += 1
    state.bucket_scale[contract] = scale


@kernel()
def seed_positions(state, first, count, contract, lots_long, lots_short, low, high, spread, stream):
    """Give the traders of a population positions around the mark, against the scripted account.

    Row i is long with a keyed draw until the long lots are given out, else short; sizes are equal shares of the side's
    lots; leverage at entry is log-uniform in [low, high]; the entry price is mark x exp(spread x z). A trader's cash is
    set to its entry value over its leverage, by a deposit or a withdrawal. Positions whose equity at the mark would be
    below 1.2 x maintenance are not given.

    Args:
        state: the market; mutates positions, wallets, deposits, the index.
        first: first account of the population.
        count: number of accounts.
        contract: contract index.
        lots_long: lots to give to longs.
        lots_short: lots to give to shorts.
        low: smallest leverage.
        high: largest leverage.
        spread: standard deviation of log entry prices.
        stream: number of the random stream.
    """
    seed, step = state.meta[M_SEED], state.meta[M_STEP]
    script = state.meta[M_TRADERS] + OFFSET_SCRIPT
    currency = state.contracts[contract].currency
    mark = state.quotes[contract].mark
    rate = state.rate_maintenance[maintenance_row(state), contract]
    total = lots_long + lots_short
    given_long, given_short = np.int64(0), np.int64(0)
    for i in range(count):
        account = first + i
        if state.positions[account, contract].lots != 0:
            continue
        u = uniform4(seed, stream, step, account, 0)
        z = normal4(seed, stream, step, account, 1)
        share = (total * (i + 1)) // count - (total * i) // count
        side = 1 if u[0] * total < lots_long else -1
        lots = share
        if side == 1:
            lots = min(lots, lots_long - given_long)
            if lots <= 0:
                side, lots = -1, min(share, lots_short - given_short)
        elif given_short + lots > lots_short:
            lots = lots_short - given_short
            if lots <= 0:
                side, lots = 1, min(share, lots_long - given_long)
        if lots <= 0:
            continue
        leverage = exp(ln(low) + u[1] * (ln(high) - ln(low)))
        entry = max(np.int64(np.floor(mark / 16.0 * exp(spread * z[0]) + 0.5)), np.int64(1))
        value = value_at(state, contract, lots, entry * 16)  # signed as a buyer's cost
        at_mark = value_at(state, contract, side * lots, mark)
        collateral = np.int64(np.floor(abs(value) / leverage))
        # who entered so badly that the position would be gone at once has no position to give
        required = position_charge(state, contract, MAINTENANCE, side * lots, rate)
        if collateral + at_mark - side * value < required * 6 // 5:
            continue
        own = state.wallets[account, currency]
        book_trade(state, account, contract, side, lots, value)
        book_trade(state, script, contract, -side, lots, value)
        state.meta[M_FLOW] += lots
        state.meta[M_LEDGER_FLOW] += lots
        wanted = collateral
        if state.meta[M_LAYOUT] == ISOLATED:
            own = state.wallets[account, currency] + state.positions[account, contract].pocket
        deposit_in(state, account, currency, wanted - own)
        if state.meta[M_LAYOUT] == ISOLATED:
            # the position's collateral is what was just brought in
            moved = state.wallets[account, currency]
            state.wallets[account, currency] -= moved
            state.positions[account, contract].pocket += moved
        touch(state, account)
        if side == 1:
            given_long += lots
        else:
            given_short += lots
    touch(state, script)


@kernel()
def settle_all(state):
    """Settle every position to the mark rounded to a whole tick: cost becomes value, profit becomes cash.

    Options have no cost and stay as they are.
    """
    isolated = state.meta[M_LAYOUT] == ISOLATED
    for contract in range(state.meta[M_CONTRACTS]):
        if is_option(state, contract):
            continue
        price = max((state.quotes[contract].mark + 8) >> 4, np.int64(1)) * 16
        currency = state.contracts[contract].currency
        for account in range(state.meta[M_ACCOUNTS]):
            lots = state.positions[account, contract].lots
            if lots == 0:
                continue
            profit = value_at(state, contract, lots, price) - state.positions[account, contract].cost
            state.positions[account, contract].cost += profit
            if isolated and account < state.meta[M_TRADERS]:
                state.positions[account, contract].pocket += profit
            else:
                state.wallets[account, currency] += profit


@kernel()
def _margin_to_pocket(state, account, contract):
    """What a position takes of the cash when pockets are split: initial margin, and a short option's value."""
    lots = state.positions[account, contract].lots
    if lots == 0:
        return np.int64(0)
    margin = position_charge(state, contract, INITIAL, lots, state.rate_initial[contract])
    if is_option(state, contract):
        margin = margin + size_at(state, contract, -lots, state.quotes[contract].mark) if lots < 0 else np.int64(0)
    return margin


@kernel()
def change_layout(state, layout):
    """Change from one pocket layout to another at a fork.

    Positions are settled to mark first. Cross to isolated: an account's cash is split over its positions in proportion
    to their initial margin at the rates in force. Isolated to cross: pockets flow into the wallet.

    Args:
        state: the market; mutates costs, wallets, pockets, the index.
        layout: CROSS or ISOLATED.
    """
    if state.meta[M_LAYOUT] == layout:
        return
    settle_all(state)
    contracts = state.meta[M_CONTRACTS]
    for account in range(state.meta[M_TRADERS]):
        if layout == CROSS:
            for contract in range(contracts):
                state.wallets[account, 0] += state.positions[account, contract].pocket
                state.positions[account, contract].pocket = 0
            continue
        total = np.int64(0)
        for contract in range(contracts):
            total += _margin_to_pocket(state, account, contract)
        if total <= 0:
            continue
        cash, left = state.wallets[account, 0], total
        for contract in range(contracts):
            if state.positions[account, contract].lots == 0:
                continue
            margin = _margin_to_pocket(state, account, contract)
            if left <= 0:
                break
            part = cash if margin == left else mul_div_floor(cash, margin, left)
            state.positions[account, contract].pocket += part
            state.wallets[account, 0] -= part
            cash -= part
            left -= margin
    state.meta[M_LAYOUT] = layout
    rebuild_index(state)
