"""The tape of what moved the marks, kept when a scenario records causes.

Between two readings of the marks every trade notes how far it moved the last price and the mid: forced orders one row
each, with the number of their liquidation; other orders with their cause. What moved the mid without a trade (orders
that came to rest, were cancelled or expired) is noted as a move of the quotes, so that the moves of a reading sum to
the change of last price and mid exactly. Moves of one cause that follow one another are one row. The index is noted
when it changes, and at the reading.

:mod:`sim.kernels.apportion` makes shares of them.
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.ladder import integers
from sim.kernels.marks import mid_of, set_marks
from sim.kernels.state import (
    CAUSE_HEDGE,
    CAUSE_INDEX,
    CAUSE_LIQUIDATION,
    CAUSE_QUOTES,
    M_CONTRACTS,
    M_MARK_RULE,
    M_MOVES,
    M_READINGS,
    M_RECORD_CAUSES,
    M_STEP,
    MARK_INDEX,
    MOVE,
    READING,
)
from sim.kernels.values import in_account_currency, is_option, maintenance_row


@kernel()
def _grow_moves(state):
    old = state.moves
    larger = np.zeros(old.shape[0] * 2, MOVE)
    for i in range(old.shape[0]):
        larger[i] = old[i]
    state.moves = larger


@kernel()
def room_for_reading(state):
    """Make room for one more reading of every contract. May replace ``readings``."""
    needed = (state.meta[M_READINGS] + 1) * state.meta[M_CONTRACTS]
    old = state.readings
    if needed <= old.shape[0]:
        return
    larger = np.zeros(max(old.shape[0] * 2, needed), READING)
    for i in range(old.shape[0]):
        larger[i] = old[i]
    state.readings = larger


@kernel(integers(7))
def _add_move(state, contract, cause, reference, account, last, mid, lots):
    """Append a row that first shows in the next reading. May replace ``moves``."""
    n = state.meta[M_MOVES]
    if n == state.moves.shape[0]:
        _grow_moves(state)
    row = state.moves[n]
    row.reading = state.meta[M_READINGS]
    row.contract = contract
    row.cause = cause
    row.reference = reference
    row.account = account
    row.last = last
    row.mid = mid
    row.lots = lots
    state.noted[contract, 3] = n
    state.meta[M_MOVES] = n + 1
    return n


@kernel(integers(5))
def note_trade(state, contract, cause, reference, account, lots):
    """Note what moved last price and mid since they were noted last as the work of one order, or of its cause.

    Args:
        state: the market; mutates ``moves`` and ``noted``.
        contract: contract index.
        cause: of the order.
        reference: of the order; of forced ones the number of the liquidation.
        account: its sender.
        lots: traded, signed as the taker's.

    Returns:
        1 when something moved.
    """
    noted = state.noted[contract]
    last, mid = state.quotes[contract].last, mid_of(state, contract)
    moved_last, moved_mid = last - noted[0], mid - noted[1]
    if moved_last == 0 and moved_mid == 0:
        return np.int64(0)
    noted[0] = last
    noted[1] = mid
    if cause == CAUSE_LIQUIDATION or cause == CAUSE_HEDGE:
        _add_move(state, contract, cause, reference, account, moved_last, moved_mid, lots)
        return np.int64(1)
    newest = noted[3]
    if newest >= 0:
        row = state.moves[newest]
        if row.reading == state.meta[M_READINGS] and row.cause == cause:
            row.last += moved_last
            row.mid += moved_mid
            row.lots += lots
            return np.int64(1)
    _add_move(state, contract, cause, -1, -1, moved_last, moved_mid, lots)
    return np.int64(1)


@kernel()
def note_quotes(state, contract):
    """Note what moved the mid since it was noted last as a change of quotes."""
    note_trade(state, contract, CAUSE_QUOTES, -1, -1, 0)


@kernel()
def note_funding(state, account, contract, amount):
    """Add a funding payment (negative: received) to what the account paid at this funding. Mutates accounts."""
    currency = state.contracts[contract].currency
    size = in_account_currency(state, currency, abs(amount))
    state.accounts[account].funding += size if amount > 0 else -size


@kernel()
def forget_funding(state):
    """Begin a new funding: what was paid at earlier ones counts only for accounts under a margin call."""
    for account in range(state.accounts.shape[0]):
        if state.accounts[account].safe_reading < 0:
            state.accounts[account].funding = 0


@kernel()
def note_indexes(state):
    """Note, when causes are recorded, how far the indexes have moved since they were noted last."""
    if state.meta[M_RECORD_CAUSES] == 0:
        return
    for contract in range(state.meta[M_CONTRACTS]):
        moved = state.quotes[contract].index - state.noted[contract, 2]
        if moved != 0:
            state.noted[contract, 2] += moved
            _add_move(state, contract, CAUSE_INDEX, -1, -1, 0, moved, 0)


@kernel()
def write_reading(state, contract):
    """Write a contract's prices into the row of the next reading, for which there must be room."""
    row = state.readings[state.meta[M_READINGS] * state.meta[M_CONTRACTS] + contract]
    quote = state.quotes[contract]
    row.step = state.meta[M_STEP]
    row.contract = contract
    row.rule = MARK_INDEX if is_option(state, contract) else state.meta[M_MARK_RULE]
    row.mark = quote.mark
    row.index = quote.index
    row.mid = quote.mid
    row.last = quote.last
    row.rate = state.rate_maintenance[maintenance_row(state), contract]


@kernel()
def open_tape(state):
    """The reading before the first step. Mutates ``readings`` and ``noted``."""
    room_for_reading(state)
    for contract in range(state.meta[M_CONTRACTS]):
        write_reading(state, contract)
        state.noted[contract, 0] = state.quotes[contract].last
        state.noted[contract, 1] = mid_of(state, contract)
        state.noted[contract, 2] = state.quotes[contract].index
        state.noted[contract, 3] = -1
    state.meta[M_READINGS] += 1


@kernel()
def _note_reading(state, round_):
    room_for_reading(state)
    note_indexes(state)
    first = state.meta[M_READINGS] * state.meta[M_CONTRACTS]
    for contract in range(state.meta[M_CONTRACTS]):
        note_quotes(state, contract)
        write_reading(state, contract)
        state.readings[first + contract].round = round_
    state.meta[M_READINGS] += 1


@kernel()
def read_marks(state, round_):
    """Re-read the marks; where causes are recorded, note the reading and what moved prices since the one before.

    Args:
        state: the market; mutates quotes, conversions, and the tapes of moves and readings.
        round_: -1 for the first reading of a step, else the liquidation rounds done.
    """
    set_marks(state)
    if state.meta[M_RECORD_CAUSES] != 0:
        _note_reading(state, round_)
