"""The shared buffer in which traders leave their messages, and the wake table."""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.state import (
    BID,
    M_BIDS,
    M_MESSAGES,
    M_STEP,
    MESSAGE,
    PI_PERIOD,
    PI_WAKE_STARTS,
    PUSH,
)


@kernel()
def _grow_messages(state):
    """Double the buffer (rare; the old content is kept)."""
    old = state.messages
    larger = np.zeros(old.shape[0] * 2, MESSAGE)
    for i in range(old.shape[0]):  # a slice copy would compile its error texts, for seconds
        larger[i] = old[i]
    state.messages = larger
    state.arrival = np.zeros(larger.shape[0], np.int64)
    state.sort_keys = np.zeros(larger.shape[0], np.uint64)
    state.sort_ids = np.zeros(larger.shape[0], np.int64)
    state.sort_counts = np.zeros(larger.shape[0] + 1, np.int64)


@kernel()
def _grow_bids(state):
    old = state.bids
    larger = np.zeros(old.shape[0] * 2, BID)
    for i in range(old.shape[0]):  # a slice copy would compile its error texts, for seconds
        larger[i] = old[i]
    state.bids = larger


@kernel(PUSH)
def push(state, account, contract, kind, side, tif, flags, price, quantity, expiry, ref, cause, cause_ref):
    """Append one message to the buffer of this step.

    Args:
        state: the market; mutates ``messages``, ``accounts[account].messages`` and ``meta[M_MESSAGES]``.
        account: sender.
        contract: contract index (-1 in CANCEL_ALL means every contract).
        kind: NEW, CANCEL, REPLACE or CANCEL_ALL.
        side: BUY or SELL (NEW only).
        tif: GTC, IOC, FOK or POST_ONLY.
        flags: REDUCE_ONLY, MARKET, or both.
        price: limit in ticks; ignored with MARKET (the price band is used).
        quantity: lots; for REPLACE the quantity that shall be open, counted from now.
        expiry: first step at which the order is gone, 0 for never.
        ref: order id for CANCEL and REPLACE.
        cause: cause code, CAUSE_NONE for ordinary orders.
        cause_ref: number of the causing event.
    """
    n = state.meta[M_MESSAGES]
    if n == state.messages.shape[0]:
        _grow_messages(state)
    step = state.meta[M_STEP]
    if state.accounts[account].key_step != step:
        state.accounts[account].key_step = step
        state.accounts[account].messages = 0
        state.accounts[account].message_head = n
    else:
        state.messages[state.accounts[account].message_tail].own_next = n
    state.accounts[account].message_tail = n
    message = state.messages[n]
    message.key = np.uint64(0)
    message.account = account
    message.contract = contract
    message.kind = kind
    message.side = side
    message.tif = tif
    message.flags = flags
    message.cause = cause
    message.accepted = 0
    message.price = price
    message.expiry = expiry
    message.cause_ref = cause_ref
    message.seq = state.accounts[account].messages
    message.quantity = quantity
    message.ref = ref
    message.loss = 0
    message.open_at_admission = 0
    message.reserved = 0
    message.reserved_loss = 0
    message.own_next = -1
    message.fee = state.accounts[account].priority_fee
    state.accounts[account].messages += 1
    state.meta[M_MESSAGES] = n + 1


@kernel()
def push_bid(state, account, contract, side, lots, discount, fee=0, gas=0, latency=0, share=0, least=0, revert=0):
    """Append a liquidator's standing offer for this step.

    Args:
        state: the market; mutates ``bids`` and ``meta[M_BIDS]``.
        account: the liquidator.
        contract: contract index.
        side: BUY takes over long positions, SELL short ones.
        lots: most lots that are taken.
        discount: in 2**-32 of the mark; a long is taken at mark x (1 - discount), a short at mark x (1 + discount).
        fee: priority fee of a take-over, minor units; with ``share`` the most that is bid.
        gas: other cost of a take-over, minor units.
        latency: steps that an account must have been in liquidation before this offer can reach it.
        share: part of the expected profit that is bid as priority fee, 2**-32; 0 for a fee that does not depend on it.
        least: smallest profit, after all costs, for which it takes over, minor units.
        revert: what it costs to race for an account and lose, minor units.
    """
    n = state.meta[M_BIDS]
    if n == state.bids.shape[0]:
        _grow_bids(state)
    bid = state.bids[n]
    bid.account = account
    bid.contract = contract
    bid.side = side
    bid.used = 0
    bid.lots = lots
    bid.discount = discount
    bid.fee = fee
    bid.gas = gas
    bid.latency = latency
    bid.racing = 0
    bid.share = share
    bid.least = least
    bid.revert = revert
    bid.bid_fee = 0
    bid.key = np.uint64(0)
    state.meta[M_BIDS] = n + 1


@kernel()
def wake_range(state, population):
    """Half-open range of ``state.wake_rows`` (account numbers) due in this step for a population."""
    period = state.pop_ints[population, PI_PERIOD]
    if period <= 0:
        return np.int64(0), np.int64(0)
    first = state.pop_ints[population, PI_WAKE_STARTS] + state.meta[M_STEP] % period
    return np.int64(state.wake_starts[first]), np.int64(state.wake_starts[first + 1])
