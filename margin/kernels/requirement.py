"""Compiled evaluators: what one account must hold, for each way of netting. Integers only, rounded up.

Each has the signature ``(state, account, contract, which) -> minor units`` and mutates nothing. ``INITIAL`` reads the
parameters published last and counts open orders; ``MAINTENANCE`` reads the parameters in force and counts positions.
Rates may be flat or follow a schedule by size (:mod:`sim.kernels.schedule`).
"""

from __future__ import annotations

import numpy as np

from sim.kernels.charges import opening_margin, position_charge
from sim.kernels.held import next_held
from sim.kernels.jit import kernel
from sim.kernels.state import BUY, INITIAL, M_SCENARIOS, MAINTENANCE, REQUIREMENT, SELL
from sim.kernels.values import in_account_currency, maintenance_row, margined_value, newest_row
from sim.kernels.wide import mul_div_floor, mul_rate


@kernel()
def _converted(state, contract, amount):
    """An amount in a contract's settlement currency in the account currency, rounded up."""
    return in_account_currency(state, state.contracts[contract].currency, amount)


@kernel()
def _maintenance_of(state, account, contract):
    """Maintenance of one position at its own rate."""
    lots = state.positions[account, contract].lots
    if lots == 0:
        return np.int64(0)
    rate = state.rate_maintenance[maintenance_row(state), contract]
    return _converted(state, contract, position_charge(state, contract, MAINTENANCE, lots, rate))


@kernel()
def _cross_initial(state, account, contract):
    """Initial margin of one contract: the worse of "all buys fill" and "all sells fill", with the orders' own loss."""
    position = state.positions[account, contract]
    rate = state.rate_initial[contract]
    if position.open_buy == 0 and position.open_sell == 0:
        if position.lots == 0:
            return np.int64(0)
        return _converted(state, contract, position_charge(state, contract, INITIAL, position.lots, rate))
    bought = position_charge(state, contract, INITIAL, position.lots + position.open_buy, rate)
    sold = position_charge(state, contract, INITIAL, position.lots - position.open_sell, rate)
    return _converted(state, contract, max(bought + position.loss_buy, sold + position.loss_sell))


@kernel(REQUIREMENT)
def cross(state, account, contract, which):
    """One pocket, each contract at its own rate: the sum over contracts (``contract`` -1), or one of its terms."""
    total = np.int64(0)
    c = contract if contract >= 0 else next_held(state, account, 0)
    while c >= 0:
        if which == INITIAL:
            total += _cross_initial(state, account, c)
        else:
            total += _maintenance_of(state, account, c)
        c = next_held(state, account, c + 1) if contract < 0 else np.int64(-1)
    return total


@kernel()
def _opening_reserve(state, contract, side, open_lots, held, loss):
    """Reserve of one side's open orders beyond what they can close; their loss counts in the same proportion.

    ``held`` are the lots of the position, negative where the orders close it.
    """
    opening = open_lots - min(open_lots, max(-held, np.int64(0)))
    if opening == 0:
        return np.int64(0)
    own = loss if opening == open_lots else -mul_div_floor(-loss, opening, open_lots)
    value = margined_value(state, contract, opening)
    return opening_margin(state, contract, side, max(held, np.int64(0)), opening, value) + own


@kernel()
def _isolated_initial(state, account, contract):
    """What the wallet must reserve for the open orders of one contract: the worse side."""
    position = state.positions[account, contract]
    if position.open_buy == 0 and position.open_sell == 0:
        return np.int64(0)
    bought = _opening_reserve(state, contract, BUY, position.open_buy, position.lots, position.loss_buy)
    sold = _opening_reserve(state, contract, SELL, position.open_sell, -position.lots, position.loss_sell)
    return _converted(state, contract, max(bought, sold))


@kernel(REQUIREMENT)
def isolated(state, account, contract, which):
    """One pocket per position: reserve of its open orders, or maintenance of the position; the sum for -1."""
    total = np.int64(0)
    c = contract if contract >= 0 else next_held(state, account, 0)
    while c >= 0:
        if which == INITIAL:
            total += _isolated_initial(state, account, c)
        else:
            total += _maintenance_of(state, account, c)
        c = next_held(state, account, c + 1) if contract < 0 else np.int64(-1)
    return total


@kernel()
def _add_losses(state, position, profits, count, ordered):
    """Add what one contract loses in each scenario, rounded up; open orders count where they would lose.

    Args:
        state: the market; mutates ``scratch_losses``.
        position: the account's row of the contract.
        profits: int64[S], of 2**10 lots.
        count: scenarios.
        ordered: whether open orders count.
    """
    losses, lots = state.scratch_losses, position.lots
    if lots != 0:
        for s in range(count):
            losses[s] -= (lots * profits[s]) >> 10
    if ordered and (position.open_buy != 0 or position.open_sell != 0):
        for s in range(count):
            profit = profits[s]
            if profit < 0:
                losses[s] += (position.open_buy * -profit + 1023) >> 10
            else:
                losses[s] += (position.open_sell * profit + 1023) >> 10


@kernel(REQUIREMENT)
def scenarios(state, account, contract, which):
    """Largest weighted loss over the scenario grid, netted across contracts (``contract`` -1) or of one alone.

    Mutates ``scratch_losses`` only.
    """
    count = state.meta[M_SCENARIOS]
    row = newest_row(state) if which == INITIAL else maintenance_row(state)
    for s in range(count):
        state.scratch_losses[s] = 0
    resting, empty = np.int64(0), True
    c = contract if contract >= 0 else next_held(state, account, 0)
    while c >= 0:
        position = state.positions[account, c]
        ordered = which == INITIAL and (position.open_buy != 0 or position.open_sell != 0)
        if ordered:
            resting += _converted(state, c, position.loss_buy + position.loss_sell)
        if position.lots != 0 or ordered:
            empty = False
            _add_losses(state, position, state.scenario_pnl[row, c], count, ordered)
        c = next_held(state, account, c + 1) if contract < 0 else np.int64(-1)
    if empty:
        return np.int64(0)
    worst = np.int64(0)
    for s in range(count):
        loss = state.scratch_losses[s] + resting
        if loss > worst:  # a weight is at most one, so a smaller loss cannot become the worst
            worst = max(worst, mul_rate(loss, state.scenario_weight[s]))
    return mul_rate(worst, state.initial_factor[0]) if which == INITIAL else worst
