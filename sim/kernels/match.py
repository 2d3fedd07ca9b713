"""Working through the admitted batch, message by message in arrival order."""

from __future__ import annotations

import numpy as np

from sim.kernels.admission import refuse
from sim.kernels.book import NOT_FILLABLE, WOULD_CROSS, cancel, cancel_all, find, replace, submit
from sim.kernels.jit import kernel
from sim.kernels.ledger import release, reserve
from sim.kernels.state import (
    BUY,
    CANCEL,
    CANCEL_ALL,
    M_MESSAGES,
    NEW,
    R_FOK,
    R_POST_ONLY,
    R_REDUCE_ONLY,
    R_UNKNOWN_ORDER,
    REDUCE_ONLY,
    REPLACE,
)


@kernel()
def _new(state, i):
    """Submit a new order and release the part of its reserve that did not come to rest."""
    message = state.messages[i]
    contract, side, account = np.int64(message.contract), np.int64(message.side), np.int64(message.account)
    lots, loss = message.quantity, message.loss
    if message.flags & REDUCE_ONLY and -side * state.positions[account, contract].lots <= 0:
        release(state, account, contract, side, lots, loss)
        refuse(state, i, R_REDUCE_ONLY)
        return
    order = submit(
        state, contract, side, np.int64(message.price), lots, account, np.int64(message.tif), np.int64(message.flags),
        np.int64(message.expiry), loss, np.int64(message.cause), np.int64(message.cause_ref),
    )  # fmt: skip
    resting = np.int64(0)
    if order >= 0:
        resting = state.orders[find(state, order)].quantity
    release(state, account, contract, side, lots - resting, loss)
    if order == WOULD_CROSS:
        refuse(state, i, R_POST_ONLY)
    elif order == NOT_FILLABLE:
        refuse(state, i, R_FOK)


@kernel()
def _replace(state, i):
    """Change a resting order; what was filled since admission counts against the new quantity."""
    message = state.messages[i]
    contract, side, account = np.int64(message.contract), np.int64(message.side), np.int64(message.account)
    # take back what admission reserved beyond the old order
    if side == BUY:
        state.positions[account, contract].open_buy -= message.reserved
        state.positions[account, contract].loss_buy -= message.reserved_loss
    else:
        state.positions[account, contract].open_sell -= message.reserved
        state.positions[account, contract].loss_sell -= message.reserved_loss
    slot = find(state, message.ref)
    if slot < 0:
        refuse(state, i, R_UNKNOWN_ORDER)
        return
    # what fills from here on counts against the sender's later replacements of the same order
    later = np.int64(message.own_next)
    while later >= 0:
        if state.messages[later].kind == REPLACE and state.messages[later].ref == message.ref:
            state.messages[later].open_at_admission = message.quantity
        later = np.int64(state.messages[later].own_next)
    open_now = state.orders[slot].quantity
    wanted = message.quantity - (message.open_at_admission - open_now)
    if wanted <= 0:
        cancel(state, message.ref)
        return
    release(state, account, contract, side, open_now, state.orders[slot].loss)
    replace(state, message.ref, np.int64(message.price), wanted, message.loss)
    slot = find(state, message.ref)
    if slot >= 0:
        reserve(state, account, contract, side, state.orders[slot].quantity, state.orders[slot].loss)


@kernel()
def match_batch(state):
    """Match every admitted message in arrival order; empties the message buffer.

    Mutates books, ledger, tape. Messages that the book cannot take any more (order gone, post-only would cross, not
    fillable) are refused with a reason.
    """
    for k in range(state.meta[M_MESSAGES]):
        i = state.arrival[k]
        if state.messages[i].accepted == 0:
            continue
        kind = state.messages[i].kind
        if kind == NEW:
            _new(state, i)
        elif kind == CANCEL:
            if cancel(state, state.messages[i].ref) < 0:
                refuse(state, i, R_UNKNOWN_ORDER)
        elif kind == CANCEL_ALL:
            cancel_all(state, np.int64(state.messages[i].account), np.int64(state.messages[i].contract))
        elif kind == REPLACE:
            _replace(state, i)
    state.meta[M_MESSAGES] = 0
