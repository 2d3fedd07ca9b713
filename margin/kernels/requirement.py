"""Compiled evaluators: what one account must hold, for each way of netting. Integers only, rounded up.

Each has the signature ``(state, account, contract, which) -> minor units`` and mutates nothing. ``INITIAL`` reads the
parameters published last and counts open orders; ``MAINTENANCE`` reads the parameters in force and counts positions.
Rates may be flat or follow a schedule by size (:mod:`sim.kernels.schedule`).
"""

from __future__ import annotations

import numpy as np

from sim.kernels.jit import kernel
from sim.kernels.ledger import maintenance_row, newest_row, opening_margin, position_charge, value_at
from sim.kernels.state import INITIAL, M_CONTRACTS, M_SCENARIOS, MAINTENANCE, REQUIREMENT
from sim.kernels.wide import mul_div_floor, mul_rate


@kernel()
def _maintenance_of(state, account, contract):
    """Maintenance of one position at its own rate."""
    lots = abs(state.positions[account, contract].lots)
    if lots == 0:
        return np.int64(0)
    return position_charge(state, contract, MAINTENANCE, lots, state.rate_maintenance[maintenance_row(state), contract])


@kernel()
def _cross_initial(state, account, contract):
    """Initial margin of one contract: the worse of "all buys fill" and "all sells fill", with the orders' own loss."""
    position = state.positions[account, contract]
    rate = state.rate_initial[contract]
    if position.open_buy == 0 and position.open_sell == 0:
        lots = abs(position.lots)
        return position_charge(state, contract, INITIAL, lots, rate) if lots != 0 else np.int64(0)
    bought = position_charge(state, contract, INITIAL, abs(position.lots + position.open_buy), rate)
    sold = position_charge(state, contract, INITIAL, abs(position.lots - position.open_sell), rate)
    return max(bought + position.loss_buy, sold + position.loss_sell)


@kernel(REQUIREMENT)
def cross(state, account, contract, which):
    """One pocket, each contract at its own rate: the sum over contracts (``contract`` -1), or one of its terms."""
    first = max(contract, 0)
    last = state.meta[M_CONTRACTS] if contract < 0 else contract + 1
    total = np.int64(0)
    for c in range(first, last):
        if which == INITIAL:
            total += _cross_initial(state, account, c)
        else:
            total += _maintenance_of(state, account, c)
    return total


@kernel()
def _opening_reserve(state, contract, open_lots, held, loss):
    """Reserve of one side's open orders beyond what they can close; their loss counts in the same proportion.

    ``held`` are the lots of the position, negative where the orders close it.
    """
    opening = open_lots - min(open_lots, max(-held, np.int64(0)))
    if opening == 0:
        return np.int64(0)
    own = loss if opening == open_lots else -mul_div_floor(-loss, opening, open_lots)
    value = abs(value_at(state, contract, opening, state.quotes[contract].mark))
    return opening_margin(state, contract, max(held, np.int64(0)), opening, value) + own


@kernel()
def _isolated_initial(state, account, contract):
    """What the wallet must reserve for the open orders of one contract: the worse side."""
    position = state.positions[account, contract]
    if position.open_buy == 0 and position.open_sell == 0:
        return np.int64(0)
    bought = _opening_reserve(state, contract, position.open_buy, position.lots, position.loss_buy)
    sold = _opening_reserve(state, contract, position.open_sell, -position.lots, position.loss_sell)
    return max(bought, sold)


@kernel(REQUIREMENT)
def isolated(state, account, contract, which):
    """One pocket per position: reserve of its open orders, or maintenance of the position; the sum for -1."""
    first = max(contract, 0)
    last = state.meta[M_CONTRACTS] if contract < 0 else contract + 1
    total = np.int64(0)
    for c in range(first, last):
        if which == INITIAL:
            total += _isolated_initial(state, account, c)
        else:
            total += _maintenance_of(state, account, c)
    return total


@kernel()
def _scenario_loss(state, account, row, scenario, first, last, ordered):
    """Loss of the account in one scenario, rounded up per contract; open orders count where they would lose."""
    loss = np.int64(0)
    for c in range(first, last):
        position = state.positions[account, c]
        profit = state.scenario_pnl[row, c, scenario]
        if position.lots != 0:
            loss -= (position.lots * profit) >> 10
        if ordered != 0:
            if profit < 0:
                loss += (position.open_buy * -profit + 1023) >> 10
            else:
                loss += (position.open_sell * profit + 1023) >> 10
    return loss


@kernel(REQUIREMENT)
def scenarios(state, account, contract, which):
    """Largest weighted loss over the scenario grid, netted across contracts (``contract`` -1) or of one alone."""
    first = max(contract, 0)
    last = state.meta[M_CONTRACTS] if contract < 0 else contract + 1
    held = np.int64(0)
    ordered = np.int64(0)
    resting = np.int64(0)
    for c in range(first, last):
        position = state.positions[account, c]
        held += abs(position.lots)
        if which == INITIAL:
            ordered += position.open_buy + position.open_sell
            resting += position.loss_buy + position.loss_sell
    if held == 0 and ordered == 0:
        return np.int64(0)
    row = newest_row(state) if which == INITIAL else maintenance_row(state)
    worst = np.int64(0)
    for s in range(state.meta[M_SCENARIOS]):
        loss = _scenario_loss(state, account, row, s, first, last, ordered) + resting
        if loss > worst:  # a weight is at most one, so a smaller loss cannot become the worst
            worst = max(worst, mul_rate(loss, state.scenario_weight[s]))
    return mul_rate(worst, state.initial_factor[0]) if which == INITIAL else worst
