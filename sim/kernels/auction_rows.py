"""The list of live auctions: open, restart, close. At most one per account; live ones stand first in the list."""

from __future__ import annotations

import numpy as np

from sim.kernels.events import record_event
from sim.kernels.jit import kernel
from sim.kernels.state import AUCTION, EV_AUCTION, M_AUCTIONS, M_CONTRACTS, M_STEP

OPENED, RESET, BID, CLOSED = 0, 1, 2, 3  # reasons of EV_AUCTION


@kernel()
def _grow_auctions(state):
    old = state.auctions
    larger = np.zeros(old.shape[0] * 2, AUCTION)
    for i in range(old.shape[0]):  # a slice copy would compile its error texts, for seconds
        larger[i] = old[i]
    state.auctions = larger


@kernel()
def lots_on_sale(state, account, contract):
    """Absolute lots of one contract, or of all contracts of the account (-1)."""
    total = np.int64(0)
    for k in range(state.meta[M_CONTRACTS]):
        if contract < 0 or k == contract:
            total += abs(state.positions[account, k].lots)
    return total


@kernel()
def open_row(state, account, contract, price):
    """Open an auction of a contract (-1: of the whole account); returns its place. Mutates auctions, account."""
    n = state.meta[M_AUCTIONS]
    if n == state.auctions.shape[0]:
        _grow_auctions(state)
    row = state.auctions[n]
    row.account = account
    row.contract = contract
    row.start = state.meta[M_STEP]
    row.opened = state.meta[M_STEP]
    row.price = price
    row.paid = 0
    row.reference = state.accounts[account].reference
    state.accounts[account].auction = n
    state.meta[M_AUCTIONS] = n + 1
    record_event(state, EV_AUCTION, contract, account, OPENED, lots_on_sale(state, account, contract), price, 0)
    return n


@kernel()
def restart(state, i, price):
    """Start auction i anew from a price (clip) or value (share). Mutates its row."""
    state.auctions[i].start = state.meta[M_STEP]
    state.auctions[i].price = price
    account, contract = np.int64(state.auctions[i].account), np.int64(state.auctions[i].contract)
    record_event(state, EV_AUCTION, contract, account, RESET, lots_on_sale(state, account, contract), price, 0)


@kernel()
def close_auction(state, account):
    """Close the live auction of an account, if there is one. Mutates auctions and the accounts they point to."""
    i = np.int64(state.accounts[account].auction)
    if i < 0:
        return
    contract = np.int64(state.auctions[i].contract)
    last = state.meta[M_AUCTIONS] - 1
    if i != last:
        state.auctions[i] = state.auctions[last]
        state.accounts[state.auctions[i].account].auction = i
    state.meta[M_AUCTIONS] = last
    state.accounts[account].auction = -1
    record_event(state, EV_AUCTION, contract, account, CLOSED, lots_on_sale(state, account, contract), 0, 0)
