"""Add-ons: what a position's size, the crowd around it and its owner's behaviour add to a composed regime.

For one position of Q lots, worth V at mark, after all buys fill or after all sells fill (the worse counts), each rate
is rounded up to 2**-32 and each amount up to the minor unit:

* liquidity (own design): ``V (spread / 2 + (2/3) Y sigma_D sqrt(Q / V_D))``, half the spread and the mean cost of a
  square-root impact, which is two thirds of its peak;
* concentration, as published: Drift ``max(m, 0.8 m + imf sqrt(size))`` for the rate m; Synthetix
  ``|size| / skew_scale x slope``; SIMM ``m (max(1, sqrt(|sum of s| / T)) - 1)``, net per underlying;
* crowding (own design): ``V Y sigma_D sqrt(Q_liq / V_D)``, with Q_liq the lots of other accounts on the same side whose
  liquidation price lies within a band around this account's own;
* behaviour (own design): ``V min(cap, sum of w_k clip((f_k - none_k) / (full_k - none_k), 0, 1))``.

The total rate of a position is cut at ``cap``. The compiled forms are :mod:`margin.kernels.addons` (requirements) and
:mod:`margin.kernels.features` (features, liquidation map, published integers).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from margin.kernels.addon_columns import (
    A_BAND,
    A_BEHAVIOUR,
    A_BUCKET,
    A_CAP,
    A_CROWDING,
    A_DRIFT,
    A_IMPACT,
    A_MAP_MARK,
    A_SKEW,
    A_SKEW_LOTS,
    A_SPREAD,
    A_THRESHOLD,
    A_VOLUME,
    MAP_HALF,
    REFERENCE_LOTS,
)
from margin.netting import charge
from sim.interfaces import PortfolioView, RiskParameters
from sim.kernels.state import INITIAL, MAP_BUCKETS, RATE_ONE

Ints = NDArray[np.int64]
PARTS = ("liquidity", "concentration", "crowding", "behaviour")


def root_rate(units: Any, amount: Any, reference: Any) -> Ints:
    """``units x sqrt(amount / reference)`` rounded up, at most 100 %; nothing without a reference.

    Args:
        units: rate at the reference amount, 2**-32.
        amount: lots, at least zero.
        reference: lots.

    Examples:
        >>> root_rate(1 << 30, 25, 100)
        array(536870912)
    """
    units, amount, reference = (np.asarray(x, np.int64) for x in (units, amount, reference))
    quotient = amount.astype(float) / np.maximum(reference, 1).astype(float)
    rate = np.minimum(np.ceil(units.astype(float) * np.sqrt(quotient)), float(RATE_ONE))
    return np.asarray(np.where((units > 0) & (amount > 0) & (reference > 0), rate, 0.0).astype(np.int64))


def value_of(portfolio: PortfolioView, lots: Ints) -> Ints:
    """Signed value at mark in the account currency, minor units, int64[A, C]."""
    value = portfolio.value(lots)
    units = portfolio.conversion[portfolio.contracts.currency]
    if np.all(units == RATE_ONE):
        return value
    whole, part = units >> 32, units & (RATE_ONE - 1)
    size = np.abs(value)
    return np.sign(value) * (size * whole + charge(size, np.broadcast_to(part, size.shape)))


def liquidation_buckets(
    lots: Ints, size: Ints, own: Ints, others: Ints, rate: Ints, mark: Ints, drawn: Ints, inverse: NDArray[np.bool_]
) -> Ints:
    """Bucket of the liquidation map in which each position's liquidation price lies, -1 beyond the map.

    A linear long of value V with equity E behind it, at the maintenance rate m and with other maintenance M, is
    liquidated where ``E - V (1 - p) = M + m V p``, at the fraction ``p = (V - E + M) / (V (1 - m))`` of the mark; a
    short at ``(V + E - M) / (V (1 + m))``. The value of an inverse contract goes with ``1 / p``: a long is liquidated
    where that reaches ``(V + E - M) / (V (1 + m))``, a short where it falls to ``(V - E + M) / (V (1 - m))``.

    Args:
        lots: signed, int64[A, C].
        size: absolute value of the positions at mark, int64[A, C] minor units.
        own: equity that stands behind each, minor units.
        others: maintenance of what else that equity carries, minor units.
        rate: maintenance rate, int64[C], 2**-32.
        mark: int64[C], sub-ticks.
        drawn: mark at which the map was drawn, int64[C], sub-ticks.
        inverse: bool[C].
    """
    value = np.maximum(size, 1).astype(float)
    share = rate.astype(float) / float(RATE_ONE)
    down = ((size - own + others).astype(float) / value) / np.where(share < 1.0, 1.0 - share, 1.0)
    up = ((size + own - others).astype(float) / value) / (1.0 + share)
    falls = (lots > 0) != inverse
    ratio = np.where(falls, down, up)
    turned = np.where(inverse & (ratio > 0.0), 1.0 / np.where(ratio > 0.0, ratio, 1.0), np.where(inverse, -1.0, ratio))
    row = np.floor(turned * (mark.astype(float) / np.maximum(drawn, 1).astype(float)) * float(MAP_HALF))
    known = (lots != 0) & (size > 0) & (drawn > 0) & (row >= 0.0) & (row < float(MAP_BUCKETS))
    return np.where(known & (~falls | (share < 1.0)), row, -1.0).astype(np.int64)


def crowd_lots(
    portfolio: PortfolioView, risk: RiskParameters, coefficient: Ints, lots: Ints, rate: Ints, isolated: bool
) -> Ints:
    """Lots of other accounts around the liquidation price that each position would have, int64[A, C]."""
    around = portfolio.features.get("crowd_size")
    if around is not None:
        return np.rint(np.asarray(around, float)[:, None] / portfolio.contracts.lot_size).astype(np.int64)
    mark, value, held = portfolio.mark, value_of(portfolio, lots), value_of(portfolio, portfolio.lots)
    unrealised = np.where(portfolio.lots != 0, held - portfolio.cost, 0)
    if isolated:
        own = portfolio.cash[:, 1:] + unrealised
        own = own + charge(np.maximum(np.abs(value) - np.abs(held), 0), rate)
        others = np.zeros_like(value)
    else:
        own = np.broadcast_to((portfolio.cash.sum(axis=1) + unrealised.sum(axis=1))[:, None], lots.shape)
        required = np.where(portfolio.contracts.is_option, 0, charge(np.abs(held), risk.rate_maintenance))
        others = required.sum(axis=1)[:, None] - required
    bucket = liquidation_buckets(
        lots, np.abs(value), own, others, risk.rate_maintenance, mark, coefficient[:, A_MAP_MARK],
        portfolio.contracts.inverse,
    )  # fmt: skip
    totals = risk.arrays["liquidation_map"]
    band = coefficient[:, A_BAND]
    low, high = np.maximum(bucket - band, 0), np.minimum(bucket + band + 1, MAP_BUCKETS)
    side = np.where(lots > 0, 0, 1)
    contract = np.broadcast_to(np.arange(lots.shape[1]), lots.shape)
    found = totals[contract, side, high] - totals[contract, side, low]
    mine = risk.arrays.get("map_own")
    if mine is not None:
        own_bucket, own_lots = mine[: len(lots), :, 0] - 1, mine[: len(lots), :, 1]
        inside = (low <= own_bucket) & (own_bucket < high) & (own_lots * lots >= 0)
        found = found - np.where(inside, np.abs(own_lots), 0)
    return np.where(bucket >= 0, np.maximum(found, 0), 0)


def concentration_rate(coefficient: Ints, rate: Ints, lots: Ints, gathered: Ints) -> Ints:
    """Drift's size premium, Synthetix' skew slope and SIMM's concentration ratio, beyond the rate itself."""
    one = float(RATE_ONE)
    premium = root_rate(coefficient[:, A_DRIFT], lots, np.full(len(coefficient), REFERENCE_LOTS))
    found = np.where(coefficient[:, A_DRIFT] > 0, np.maximum(premium - rate // 5, 0), 0)
    skew = np.ceil(
        coefficient[:, A_SKEW].astype(float)
        * (lots.astype(float) / np.maximum(coefficient[:, A_SKEW_LOTS], 1).astype(float))
    )
    found = found + np.minimum(skew, one).astype(np.int64)
    threshold = coefficient[:, A_THRESHOLD]
    ratio = np.sqrt(gathered.astype(float) / np.maximum(threshold, 1).astype(float))
    surplus = np.minimum(np.ceil(rate.astype(float) * (ratio - 1.0)), one)
    found = found + np.where((threshold > 0) & (gathered > threshold), surplus, 0.0).astype(np.int64)
    return np.minimum(found, RATE_ONE)


def _gathered(coefficient: Ints, value: Ints) -> Ints:
    """Net absolute value of the contracts that share a bucket, for each contract, int64[A, C]."""
    same = coefficient[:, A_BUCKET][:, None] == coefficient[:, A_BUCKET][None, :]
    return np.abs(value @ same.astype(np.int64))


def addons_at(
    portfolio: PortfolioView, risk: RiskParameters, which: int, lots: Ints, behaviour: Ints, isolated: bool
) -> dict[str, Ints]:
    """Add-ons on positions of so many lots, int64[A, C] minor units by name; ``cap`` is what was cut (not positive).

    Args:
        portfolio: every account's portfolio.
        risk: published parameters, with ``arrays["addons"]`` int64[C, 2, ADDON_COEFFICIENTS].
        which: INITIAL or MAINTENANCE.
        lots: signed lots, int64[A, C].
        behaviour: rate of each account, int64[A], 2**-32.
        isolated: pockets per position.
    """
    coefficient = risk.arrays["addons"][:, which]
    rate = risk.rate_initial if which == INITIAL else risk.rate_maintenance
    value, size = value_of(portfolio, lots), np.abs(lots)
    worth = np.abs(value)
    impact = root_rate(coefficient[:, A_IMPACT], size, coefficient[:, A_VOLUME])
    parts = {"liquidity": charge(worth, np.minimum(coefficient[:, A_SPREAD] + impact, RATE_ONE))}
    parts["concentration"] = charge(worth, concentration_rate(coefficient, rate, size, _gathered(coefficient, value)))
    around = np.zeros_like(lots)
    if np.any(coefficient[:, A_CROWDING] > 0):
        around = crowd_lots(portfolio, risk, coefficient, lots, rate, isolated)
        around = np.where(portfolio.contracts.is_option, 0, around)
    parts["crowding"] = charge(worth, root_rate(coefficient[:, A_CROWDING], around, coefficient[:, A_VOLUME]))
    of_account = np.minimum(_times(behaviour[:, None], coefficient[:, A_BEHAVIOUR]), RATE_ONE)
    parts["behaviour"] = charge(worth, of_account)
    parts = {name: np.where(lots == 0, 0, amount) for name, amount in parts.items()}
    total = sum(parts.values())
    room = np.maximum(charge(worth, coefficient[:, A_CAP]) - charge(worth, rate), 0)
    return parts | {"cap": np.minimum(room - total, 0)}


def _times(rate: Ints, factor: Ints) -> Ints:
    """A rate times a factor in 2**-32 that may exceed one, rounded up."""
    whole, part = factor >> 32, factor & (RATE_ONE - 1)
    rates = np.broadcast_to(rate, np.broadcast_shapes(rate.shape, factor.shape))
    return rates * whole + charge(rates, np.broadcast_to(part, rates.shape))


def initial_addons(portfolio: PortfolioView, risk: RiskParameters, behaviour: Ints, isolated: bool) -> dict[str, Ints]:
    """Add-ons on initial margin: per contract the worse of "all buys fill" and "all sells fill", int64[A, C]."""
    sides = [portfolio.lots + portfolio.open_buy, portfolio.lots - portfolio.open_sell]
    found = [addons_at(portfolio, risk, INITIAL, lots, behaviour, isolated) for lots in sides]
    if isolated:
        opens = (
            portfolio.open_buy > np.maximum(-portfolio.lots, 0),
            portfolio.open_sell > np.maximum(portfolio.lots, 0),
        )
        found = [
            {name: np.where(opening, part, 0) for name, part in side.items()}
            for side, opening in zip(found, opens, strict=True)
        ]
    bought, sold = (sum(side.values()) for side in found)
    buys = bought >= sold
    return {name: np.where(buys, found[0][name], found[1][name]) for name in found[0]}
