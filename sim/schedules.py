"""Tables of charges by size (:mod:`sim.kernels.schedule`) as Python makes and scales them."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from sim.kernels import schedule as k

_CHARGES = (0, k.PER_CHARGE)


def rebased(table: np.ndarray) -> np.ndarray:
    """A tier table with the base of every continuous tier worked out from the tiers below it.

    The base of a tier is what the tiers below charge up to its floor at their rates as rounded, so that the charge is
    continuous to the unit and never falls. A tier whose anchor is 0 charges its rate on the whole position: no base.

    Args:
        table: int64[rows, SCHEDULE_COLUMNS] of one contract, of kind ``TIERS``.

    Returns:
        A copy.
    """
    made = table.copy()
    for shift in _CHARGES:
        below, floor, rate = 0, 0, 0  # what the tiers below charge, 2**-62 minor units
        for row in range(1, int(made[0, k.S_TIERS]) + 1):
            anchor = int(made[row, k.T_ANCHOR + shift])
            below += (anchor - floor) * rate
            floor, rate = anchor, int(made[row, k.T_RATE + shift])
            made[row, k.T_BASE + shift] = -(-below >> k.RATE_BITS)
    return made


def scaled_schedule(tables: np.ndarray, scale: float) -> np.ndarray:
    """The same charges times a factor, rates at most 100 %: a fork at equal mean margin.

    Args:
        tables: int64[C, rows, SCHEDULE_COLUMNS].
        scale: the factor.
    """
    if scale == 1.0:
        return tables.copy()
    factor = Fraction(scale)
    made = tables.copy()
    for table in made:
        kind = int(table[0, k.S_KIND])
        for shift in _CHARGES:
            if kind == k.TIERS:
                for row in range(1, int(table[0, k.S_TIERS]) + 1):
                    rate = round(int(table[row, k.T_RATE + shift]) * factor)
                    table[row, k.T_RATE + shift] = min(max(rate, 1), 1 << k.RATE_BITS)
            elif kind != k.FLAT:
                grown = (Fraction(int(table[1, column + shift])) * factor for column in (k.G_BASE, k.G_SLOPE))
                table[1, k.G_BASE + shift : k.G_FULL + shift + 1] = growing(*grown)
        if kind == k.TIERS:
            table[:] = rebased(table)
    return made


def growing(base: Fraction, slope: Fraction) -> tuple[int, int, int]:
    """Base and slope of a rate in 2**-62, and the count from which the rate is 100 %.

    Both are rounded down, so that a charge that is a whole number is not lifted by a hair and then rounded up.

    Args:
        base: rate at count 0, 2**-62.
        slope: growth per count, 2**-62.
    """
    one = 1 << k.RATE_BITS
    fixed, rising = min(int(base), one), int(slope)
    if rising == 0:
        return fixed, 0, 0 if fixed >= one else one
    return fixed, min(rising, one), max(-((fixed - one) // rising), 0)
