"""Compiled add-ons: what one position costs to close, and how much its account adds to the danger of others.

The formulas stand in :mod:`margin.addons`, which these kernels equal to the unit. Square roots are taken of float64
quotients of exact integers (IEEE 754: the same bits everywhere) and rounded up to whole units of 2**-32.
"""

from __future__ import annotations

import numpy as np

from margin.kernels.addon_columns import (
    A_BAND,
    A_BEHAVIOUR,
    A_BUCKET,
    A_CAP,
    A_CROWDING,
    A_DRIFT,
    A_ENTRY,
    A_IMPACT,
    A_MAP_MARK,
    A_ON,
    A_SKEW,
    A_SKEW_LOTS,
    A_SPREAD,
    A_THRESHOLD,
    A_VOLUME,
    MAP_HALF,
    REFERENCE_LOTS,
)
from margin.kernels.requirement import cross, isolated, scenarios
from sim.kernels.charges import option_charge
from sim.kernels.held import next_held
from sim.kernels.jit import kernel
from sim.kernels.ledger import equity, position_equity
from sim.kernels.state import (
    INITIAL,
    ISOLATED,
    M_CONTRACTS,
    M_LAYOUT,
    M_TRADERS,
    MAINTENANCE,
    MAP_BUCKETS,
    RATE_ONE,
    REQUIREMENT,
)
from sim.kernels.values import is_inverse, is_option, maintenance_row, newest_row, value_at
from sim.kernels.wide import mul_rate


@kernel()
def root_rate(units, amount, reference):
    """``units x sqrt(amount / reference)`` rounded up, at most 100 %; nothing without a reference."""
    if units <= 0 or amount <= 0 or reference <= 0:
        return np.int64(0)
    rate = np.ceil(np.float64(units) * np.sqrt(np.float64(amount) / np.float64(reference)))
    return np.int64(min(rate, np.float64(RATE_ONE)))


@kernel()
def liquidity_rate(coefficient, lots):
    """Half the spread, and two thirds of the square-root impact of selling the position in a day."""
    impact = root_rate(coefficient[A_IMPACT], lots, coefficient[A_VOLUME])
    return min(coefficient[A_SPREAD] + impact, np.int64(RATE_ONE))


@kernel()
def concentration_rate(coefficient, rate, lots, gathered):
    """Drift's size premium, Synthetix' skew slope and SIMM's concentration ratio, beyond the rate itself."""
    found = np.int64(0)
    if coefficient[A_DRIFT] > 0:
        found += max(root_rate(coefficient[A_DRIFT], lots, np.int64(REFERENCE_LOTS)) - rate // 5, np.int64(0))
    if coefficient[A_SKEW] > 0:
        slope = np.ceil(np.float64(coefficient[A_SKEW]) * (np.float64(lots) / np.float64(coefficient[A_SKEW_LOTS])))
        found += np.int64(min(slope, np.float64(RATE_ONE)))
    threshold = coefficient[A_THRESHOLD]
    if threshold > 0 and gathered > threshold:
        ratio = np.sqrt(np.float64(gathered) / np.float64(threshold))
        found += np.int64(min(np.ceil(np.float64(rate) * (ratio - 1.0)), np.float64(RATE_ONE)))
    return min(found, np.int64(RATE_ONE))


@kernel()
def liquidation_bucket(lots, size, own, others, rate, mark, drawn, inverse):
    """Bucket of the liquidation map in which a position's liquidation price lies, -1 beyond the map.

    Args:
        lots: signed lots.
        size: absolute value of the position at mark, minor units.
        own: equity that stands behind it, minor units.
        others: maintenance of what else that equity carries, minor units.
        rate: maintenance rate, units.
        mark: sub-ticks.
        drawn: mark at which the map was drawn, sub-ticks.
        inverse: whether the value goes with one over the price.
    """
    if lots == 0 or size <= 0 or drawn <= 0:
        return np.int64(-1)
    value = np.float64(size)
    share = np.float64(rate) / np.float64(RATE_ONE)
    # the value loses for a linear long as it falls, and for an inverse long as it rises with one over the price
    if (lots > 0) != inverse:
        if share >= 1.0:
            return np.int64(-1)
        ratio = (np.float64(size - own + others) / value) / (1.0 - share)
    else:
        ratio = (np.float64(size + own - others) / value) / (1.0 + share)
    if inverse:
        if ratio <= 0.0:
            return np.int64(-1)
        ratio = 1.0 / ratio
    row = np.floor(ratio * (np.float64(mark) / np.float64(drawn)) * np.float64(MAP_HALF))
    if row < 0.0 or row >= np.float64(MAP_BUCKETS):
        return np.int64(-1)
    return np.int64(row)


@kernel()
def crowd(totals, bucket, band, own_bucket, own_lots):
    """Lots whose liquidation price lies within ``band`` buckets of a bucket, without the account's own.

    Args:
        totals: int64[MAP_BUCKETS + 1], lots below each bucket.
        bucket: bucket asked for, -1: none.
        band: half width, buckets.
        own_bucket: bucket that the account's own lots stand in, -1: none.
        own_lots: those lots.
    """
    if bucket < 0:
        return np.int64(0)
    low, high = max(bucket - band, np.int64(0)), min(bucket + band + 1, np.int64(MAP_BUCKETS))
    found = totals[high] - totals[low]
    if low <= own_bucket < high:
        found -= own_lots
    return max(found, np.int64(0))


@kernel()
def addon_amount(coefficient, rate, value, lots, gathered, crowd_lots, behaviour):
    """All add-ons on one position, minor units: each rounded up, their sum cut where the total rate meets its cap.

    Args:
        coefficient: int64[ADDON_COEFFICIENTS].
        rate: rate that the regime itself asks, units.
        value: absolute value of the position, minor units.
        lots: its size.
        gathered: net absolute value of the contract's bucket, minor units.
        crowd_lots: lots of others that would be liquidated with it.
        behaviour: the account's rate, units.
    """
    total = mul_rate(value, liquidity_rate(coefficient, lots))
    total += mul_rate(value, concentration_rate(coefficient, rate, lots, gathered))
    total += mul_rate(value, root_rate(coefficient[A_CROWDING], crowd_lots, coefficient[A_VOLUME]))
    if coefficient[A_BEHAVIOUR] > 0:
        total += mul_rate(value, min(mul_rate(behaviour, coefficient[A_BEHAVIOUR]), np.int64(RATE_ONE)))
    room = mul_rate(value, coefficient[A_CAP]) - mul_rate(value, rate)
    return min(total, max(room, np.int64(0)))


@kernel()
def _filled(state, account, contract, side):
    """Lots of a contract if all open orders of one side fill (0: neither)."""
    position = state.positions[account, contract]
    if side > 0:
        return position.lots + position.open_buy
    if side < 0:
        return position.lots - position.open_sell
    return position.lots


@kernel()
def _gathered(state, account, coefficients, bucket, side):
    """Net absolute value of the contracts of one bucket, minor units."""
    total = np.int64(0)
    for c in range(state.meta[M_CONTRACTS]):
        if coefficients[c, A_BUCKET] == bucket:
            total += value_at(state, c, _filled(state, account, c, side), state.quotes[c].mark)
    return abs(total)


@kernel()
def _crowd_of(state, account, contract, coefficient, lots, rate, row):
    """Lots of others around the liquidation price that a position of so many lots would have."""
    mark = state.quotes[contract].mark
    value = value_at(state, contract, lots, mark)
    others = np.int64(0)
    if state.meta[M_LAYOUT] == ISOLATED:
        own = position_equity(state, account, contract)
        held = abs(value_at(state, contract, state.positions[account, contract].lots, mark))
        own += mul_rate(max(abs(value) - held, np.int64(0)), rate)
    else:
        own = equity(state, account)
        for c in range(state.meta[M_CONTRACTS]):
            held = state.positions[account, c].lots
            if c != contract and held != 0 and not is_option(state, c):
                others += mul_rate(abs(value_at(state, c, held, state.quotes[c].mark)), state.rate_maintenance[row, c])
    maintenance = state.rate_maintenance[row, contract]
    drawn = coefficient[A_MAP_MARK]
    bucket = liquidation_bucket(lots, abs(value), own, others, maintenance, mark, drawn, is_inverse(state, contract))
    own_bucket, own_lots = state.map_own[account, contract, 0] - 1, state.map_own[account, contract, 1]
    side = 0 if lots > 0 else 1
    if own_lots * lots < 0:
        own_bucket = np.int64(-1)
    return crowd(state.liquidation_map[contract, side], bucket, coefficient[A_BAND], own_bucket, abs(own_lots))


@kernel()
def _addons_if(state, account, contract, which, side):
    """Add-ons of one contract if all open orders of one side fill, minor units."""
    row = newest_row(state) if which == INITIAL else maintenance_row(state)
    coefficients = state.addon_coefficients[row, :, which]
    coefficient = coefficients[contract]
    lots = _filled(state, account, contract, side)
    if lots == 0:
        return np.int64(0)
    rate = state.rate_initial[contract] if which == INITIAL else state.rate_maintenance[row, contract]
    value = abs(value_at(state, contract, lots, state.quotes[contract].mark))
    gathered = np.int64(0)
    if coefficient[A_THRESHOLD] > 0:
        gathered = _gathered(state, account, coefficients, coefficient[A_BUCKET], side)
    around = np.int64(0)
    if coefficient[A_CROWDING] > 0 and not is_option(state, contract):
        around = _crowd_of(state, account, contract, coefficient, lots, rate, row)
    return addon_amount(coefficient, rate, value, abs(lots), gathered, around, state.behaviour_rate[0, account])


@kernel()
def addons_of(state, account, contract, which):
    """Add-ons of one contract, minor units; of initial margin the worse of "all buys fill" and "all sells fill"."""
    row = newest_row(state) if which == INITIAL else maintenance_row(state)
    if state.addon_coefficients[row, contract, which, A_ON] == 0 or account >= state.meta[M_TRADERS]:
        return np.int64(0)
    position = state.positions[account, contract]
    if which == MAINTENANCE:
        return _addons_if(state, account, contract, which, np.int64(0))
    if state.meta[M_LAYOUT] == ISOLATED:
        # a fill moves margin into the pocket; what must be free in the wallet is asked for orders that open
        found = np.int64(0)
        if position.open_buy > max(-position.lots, np.int64(0)):
            found = _addons_if(state, account, contract, which, np.int64(1))
        if position.open_sell > max(position.lots, np.int64(0)):
            found = max(found, _addons_if(state, account, contract, which, np.int64(-1)))
        return found
    if state.addon_coefficients[row, contract, which, A_THRESHOLD] == 0 and position.open_buy + position.open_sell == 0:
        return _addons_if(state, account, contract, which, np.int64(0))
    bought = _addons_if(state, account, contract, which, np.int64(1))
    return max(bought, _addons_if(state, account, contract, which, np.int64(-1)))


@kernel()
def _sum_of_addons(state, account, contract, which):
    total = np.int64(0)
    c = contract if contract >= 0 else next_held(state, account, 0)
    while c >= 0:
        total += addons_of(state, account, c, which)
        c = next_held(state, account, c + 1) if contract < 0 else np.int64(-1)
    return total


@kernel()
def _entry_maintenance(state, account, contract):
    """Maintenance of positions at the rates at which they were accepted; see :func:`margin.addons.entry_rates`."""
    row = maintenance_row(state)
    total = np.int64(0)
    c = contract if contract >= 0 else next_held(state, account, 0)
    while c >= 0:
        lots = state.positions[account, c].lots
        if is_option(state, c):
            total += option_charge(state, c, MAINTENANCE, lots)
        elif lots != 0:
            rate = state.entry_rate[0, account, c] if account < state.meta[M_TRADERS] else np.int64(0)
            if rate > 0:
                rate = max(mul_rate(rate, state.addon_coefficients[row, c, MAINTENANCE, A_ENTRY]), np.int64(1))
            else:
                rate = state.rate_maintenance[row, c]
            total += mul_rate(abs(value_at(state, c, lots, state.quotes[c].mark)), rate)
        c = next_held(state, account, c + 1) if contract < 0 else np.int64(-1)
    return total


@kernel(REQUIREMENT)
def cross_with_addons(state, account, contract, which):
    """Cross requirement (:func:`margin.kernels.requirement.cross`) and add-ons."""
    addons = _sum_of_addons(state, account, contract, which)
    if which == MAINTENANCE and state.addon_coefficients[maintenance_row(state), 0, MAINTENANCE, A_ENTRY] > 0:
        return _entry_maintenance(state, account, contract) + addons
    return cross(state, account, contract, which) + addons


@kernel(REQUIREMENT)
def isolated_with_addons(state, account, contract, which):
    """Isolated requirement (:func:`margin.kernels.requirement.isolated`) and add-ons."""
    addons = _sum_of_addons(state, account, contract, which)
    if which == MAINTENANCE and state.addon_coefficients[maintenance_row(state), 0, MAINTENANCE, A_ENTRY] > 0:
        return _entry_maintenance(state, account, contract) + addons
    return isolated(state, account, contract, which) + addons


@kernel(REQUIREMENT)
def scenarios_with_addons(state, account, contract, which):
    """Requirement on the scenario grid (:func:`margin.kernels.requirement.scenarios`) and add-ons."""
    return scenarios(state, account, contract, which) + _sum_of_addons(state, account, contract, which)
