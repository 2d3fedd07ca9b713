r"""Liquidation and bankruptcy prices in closed form: linear and inverse contracts, isolated and cross, across tiers.

Every contract here is affine in one variable z, the price P of a linear contract or its reciprocal 1/P for an inverse
one. A position of signed quantity q, entered at z0, has value :math:`|q| z` and profit :math:`a (z - z_0)` with a = q
(linear) or -q (inverse). With balance B, maintenance rate r and deduction d of the tier that holds,

.. math:: B + \sum_i a_i (z - z_{0,i}) = \sum_i (r_i |q_i| z - d_i) + F

is the liquidation price, F being a closing fee at the bankruptcy price; the bankruptcy price has zero in place of the
maintenance. ``mm_basis="entry"`` takes the maintenance of the value at entry instead: a constant. Tiers with deductions
make maintenance convex in z, so equity less maintenance is concave: at most one price below and one above at which an
account is liquidated, found by solving on each interval between tier caps and keeping the root that lies in it. Nothing
is iterated, so nothing can cycle.

Sources: Bybit help centre, liquidation price of USDT and inverse contracts (isolated: maintenance at entry value);
Binance support, "Liquidation price of USDS-M futures" (cross formula, tiers); dYdX v4 documentation, liquidations;
Hyperliquid wiki, liquidations; BitMEX, inverse perpetual guide.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from sim.errors import ConfigError

Basis = Literal["entry", "mark"]
Tiers = float | Sequence[tuple[float, float]]
"""A maintenance rate, or tiers ``(cap of value, rate)`` in ascending order."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """Maintenance as a function of a position's value: ``value x rate - deduction`` of the tier that holds.

    Attributes:
        caps: upper ends of the tiers; the last may be inf and is treated so.
        rates: of each tier.
        deductions: of each tier; by the recursion ``d_k = d_(k-1) + floor_k (r_k - r_(k-1))`` maintenance is
            continuous.

    Examples:
        >>> round(Schedule.of([(20_000, 0.05), (100_000, 0.1), (math.inf, 1 / 6)]).maintenance(150_000), 2)
        17333.33
    """

    caps: tuple[float, ...]
    rates: tuple[float, ...]
    deductions: tuple[float, ...]

    @classmethod
    def of(cls, tiers: Tiers | Schedule) -> Schedule:
        """A schedule from a rate or from ``(cap, rate)`` rows.

        Raises:
            ConfigError: rates outside [0, 1], or caps that do not rise (tiers would overlap).
        """
        if isinstance(tiers, Schedule):
            return tiers
        rows = (
            [(math.inf, float(tiers))] if isinstance(tiers, int | float) else [(float(c), float(r)) for c, r in tiers]
        )
        if not rows or any(not 0.0 <= rate <= 1.0 for _, rate in rows):
            raise ConfigError.of("tiers", [rate for _, rate in rows], "maintenance rates from 0 to 1")
        caps = [cap for cap, _ in rows]
        if caps[0] <= 0 or any(not low < high for low, high in pairwise(caps)):
            raise ConfigError.of("tiers", caps, "caps above 0 in rising order, so that tiers do not overlap")
        deductions = [0.0]
        for k in range(1, len(rows)):
            deductions.append(deductions[-1] + caps[k - 1] * (rows[k][1] - rows[k - 1][1]))
        return cls((*caps[:-1], math.inf), tuple(rate for _, rate in rows), tuple(deductions))

    def tier(self, value: float) -> int:
        """Number of the tier that holds for a value."""
        return next(k for k, cap in enumerate(self.caps) if value <= cap)

    def maintenance(self, value: float) -> float:
        """Maintenance of a position of this value."""
        k = self.tier(value)
        return value * self.rates[k] - self.deductions[k]


@dataclass(frozen=True, slots=True)
class Leg:
    """A position whose price is the one solved for.

    Attributes:
        size: signed; units of a linear contract, quote units (number x multiplier) of an inverse one.
        entry: average entry price.
        tiers: maintenance rate or tiers of its value (inverse: value in coins).
    """

    size: float
    entry: float
    tiers: Tiers | Schedule = 0.0


@dataclass(frozen=True, slots=True)
class Prices:
    """Prices at which an account is liquidated or bankrupt.

    Attributes:
        below: it happens when the price falls to here; None if no fall does it.
        above: it happens when the price rises to here; None if no rise does it.
    """

    below: float | None
    above: float | None


@dataclass(frozen=True, slots=True)
class _Line:
    """Legs as ``slope x z + constant``, and what each asks for."""

    inverse: bool
    slopes: tuple[float, ...]
    sizes: tuple[float, ...]
    starts: tuple[float, ...]
    schedules: tuple[Schedule, ...] = field(default=())

    @classmethod
    def of(cls, legs: Sequence[Leg], inverse: bool) -> _Line:
        if any(leg.entry <= 0 or not math.isfinite(leg.entry) for leg in legs):
            raise ConfigError.of("entry", [leg.entry for leg in legs], "prices above 0")
        return cls(
            inverse,
            tuple(-leg.size if inverse else leg.size for leg in legs),
            tuple(abs(leg.size) for leg in legs),
            tuple(1.0 / leg.entry if inverse else leg.entry for leg in legs),
            tuple(Schedule.of(leg.tiers) for leg in legs),
        )

    def prices(self, roots: list[tuple[float, int]]) -> Prices:
        """Roots in z (with the sign of the gap's slope there) as prices."""
        below = above = None
        for z, sign in roots:
            price = 1.0 / z if self.inverse else z
            if (sign > 0) != self.inverse:
                below = price
            else:
                above = price
        return Prices(below, above)


def _at_entry(line: _Line) -> float:
    """Maintenance of the value at entry."""
    return math.fsum(
        schedule.maintenance(size * start)
        for schedule, size, start in zip(line.schedules, line.sizes, line.starts, strict=True)
    )


def _roots(line: _Line, balance: float, fee: float, at_mark: bool) -> list[tuple[float, int]]:
    """Zeros z > 0 of ``balance + profit - maintenance - fee x value``, with the sign of the slope there."""
    edges = {0.0}
    if at_mark:
        for schedule, size in zip(line.schedules, line.sizes, strict=True):
            edges |= {cap / size for cap in schedule.caps if size > 0 and math.isfinite(cap)}
    ordered = sorted(edges)
    fixed = balance - math.fsum(a * z for a, z in zip(line.slopes, line.starts, strict=True))
    found: list[tuple[float, int]] = []
    for low, high in zip(ordered, [*ordered[1:], math.inf], strict=True):
        inside = low + 1.0 if math.isinf(high) else 0.5 * (low + high)
        slope, constant = math.fsum(line.slopes) - fee * math.fsum(line.sizes), fixed
        if at_mark:
            for schedule, size in zip(line.schedules, line.sizes, strict=True):
                k = schedule.tier(size * inside)
                slope -= schedule.rates[k] * size
                constant += schedule.deductions[k]
        if slope == 0.0:
            continue
        z = -constant / slope
        if z > 0.0 and low <= z <= high and not any(math.isclose(z, other, rel_tol=1e-12) for other, _ in found):
            found.append((z, 1 if slope > 0 else -1))
    return found


def bankruptcy_prices(
    legs: Sequence[Leg], balance: float, *, other_profit: float = 0.0, fee: float = 0.0, inverse: bool = False
) -> Prices:
    """Prices at which equity just pays for closing.

    Args:
        legs: positions whose price moves.
        balance: cash of the account (cross) or of the pocket (isolated), in the settlement currency.
        other_profit: unrealised profit of positions whose prices stay.
        fee: of closing, as a fraction of value.
        inverse: coin-margined contracts.

    Examples:
        >>> found = bankruptcy_prices([Leg(10_000, 8_000)], 0.5, fee=0.00075, inverse=True)  # Bybit, inverse cross
        >>> round(found.below, 3)
        5718.571
    """
    line = _Line.of(legs, inverse)
    return line.prices(_roots(line, balance + other_profit, fee, at_mark=False))


def liquidation_prices(
    legs: Sequence[Leg],
    balance: float,
    *,
    other_maintenance: float = 0.0,
    other_profit: float = 0.0,
    mm_basis: Basis = "mark",
    fee: float = 0.0,
    inverse: bool = False,
) -> Prices:
    """Prices at which equity falls to the maintenance requirement.

    Several legs move together: both sides of a hedge-mode account, or contracts of one price.

    Args:
        legs: positions whose price moves, with their maintenance tiers.
        balance: cash of the account (cross) or of the pocket (isolated), in the settlement currency.
        other_maintenance: maintenance of positions whose prices stay, and other reserves.
        other_profit: their unrealised profit.
        mm_basis: maintenance of the value at ``"mark"`` (Binance, Hyperliquid, dYdX) or at ``"entry"`` (Bybit
            isolated).
        fee: of closing at the bankruptcy price, a fraction of value, kept back beside the maintenance (Bybit).
        inverse: coin-margined contracts.

    Examples:
        >>> leg = Leg(1, 20_000, 0.005)
        >>> liquidation_prices([leg], 400, mm_basis="entry").below  # Bybit USDT, isolated, 50x
        19700.0
        >>> round(liquidation_prices([leg], 400, mm_basis="mark").below, 2)  # Binance
        19698.49
    """
    line = _Line.of(legs, inverse)
    left = balance + other_profit - other_maintenance
    kept = {1: 0.0, -1: 0.0}
    if fee:
        for z, sign in _roots(line, balance + other_profit, fee, at_mark=False):
            kept[sign] = fee * math.fsum(line.sizes) * z
    if mm_basis == "entry":
        left -= _at_entry(line)
    found: list[tuple[float, int]] = []
    for side in (1, -1):
        roots = _roots(line, left - kept[side], 0.0, at_mark=mm_basis == "mark")
        found += [root for root in roots if root[1] == side]
    return line.prices(found)


def isolated_bankruptcy_price(entry: float, leverage: float, side: int, *, inverse: bool = False) -> float | None:
    r"""Bankruptcy price of an isolated position whose pocket is its value at entry over leverage.

    Linear: :math:`E (1 - s/L)`; inverse: :math:`E L / (L + s)`. None for an inverse short without leverage, and for a
    linear long without leverage (bankrupt at no price above zero).

    Args:
        entry: entry price.
        leverage: chosen leverage, at least 1.
        side: 1 long, -1 short.
        inverse: coin-margined.

    Examples:
        >>> round(isolated_bankruptcy_price(7_890.08, 50, 1, inverse=True), 4)
        7735.3725
    """
    if inverse:
        return entry * leverage / (leverage + side) if leverage + side > 0 else None
    price = entry * (1.0 - side / leverage)
    return price if price > 0 else None


@dataclass(frozen=True, slots=True)
class BinanceLeg:
    """One term of Binance's cross formula.

    Attributes:
        size: at least zero.
        entry: entry price.
        rate: maintenance margin rate of the tier at the liquidation price (MMR).
        deduction: maintenance amount of that tier (cum).
    """

    size: float = 0.0
    entry: float = 0.0
    rate: float = 0.0
    deduction: float = 0.0


def binance_cross_price(
    wallet: float,
    other_maintenance: float,
    other_profit: float,
    both: BinanceLeg = BinanceLeg(),
    side: int = 1,
    long: BinanceLeg = BinanceLeg(),
    short: BinanceLeg = BinanceLeg(),
) -> float:
    r"""Binance's cross formula as published: one-way position ("both"), or hedge-mode long and short.

    .. math:: \frac{WB - TMM + UPNL + cum_B + cum_L + cum_S - s Q_B E_B - Q_L E_L + Q_S E_S}
              {Q_B m_B + Q_L m_L + Q_S m_S - s Q_B - Q_L + Q_S}

    The tier of each leg must be the one at the answer; :func:`liquidation_prices` finds it.

    Args:
        wallet: wallet balance; the isolated margin when isolated, with no other positions.
        other_maintenance: maintenance of all other contracts.
        other_profit: unrealised profit of all other contracts.
        both: one-way position.
        side: 1 long, -1 short, of the one-way position.
        long: hedge-mode long.
        short: hedge-mode short.
    """
    top = wallet - other_maintenance + other_profit + both.deduction + long.deduction + short.deduction
    top += -side * both.size * both.entry - long.size * long.entry + short.size * short.entry
    bottom = both.size * both.rate + long.size * long.rate + short.size * short.rate
    bottom += -side * both.size - long.size + short.size
    return top / bottom


def dydx_price(equity: float, size: float, price: float, rate: float, other_maintenance: float = 0.0) -> float | None:
    r"""The dYdX v4 liquidation price, :math:`p' = (e - q p - M_{other}) / (|q| m - q)`.

    Args:
        equity: total equity of the account at current prices, other positions included.
        size: signed size.
        price: oracle price now.
        rate: maintenance margin fraction.
        other_maintenance: maintenance of the other positions.

    Returns:
        The price, or None if no price above zero liquidates.

    Examples:
        >>> round(dydx_price(1_000, -3, 3_000, 0.05), 2)
        3174.6
        >>> round(dydx_price(1_000, -1.5, 3_000, 0.05, other_maintenance=1_000 * 1.75 * 0.1), 2)
        3380.95
    """
    bottom = abs(size) * rate - size
    found = (equity - size * price - other_maintenance) / bottom if bottom else -1.0
    return found if found > 0 else None


def hyperliquid_price(
    price: float, side: int, size: float, margin_available: float, maintenance_leverage: float
) -> float | None:
    r"""Hyperliquid's liquidation price, :math:`P - s \cdot available / Q / (1 - l s)` l one over the leverage.

    Args:
        price: mark price now (isolated at entry: the entry price).
        side: 1 long, -1 short.
        size: at least zero.
        margin_available: account value (cross) or isolated margin, less the maintenance at ``price``.
        maintenance_leverage: twice the asset's maximum leverage.

    Returns:
        The price, or None if no price above zero liquidates.

    Examples:
        >>> round(hyperliquid_price(100_000, 1, 1, 5_000 - 1_250, 80), 2)
        96202.53
    """
    found = price - side * margin_available / size / (1.0 - side / maintenance_leverage)
    return found if found > 0 else None


def inverse_profit(size: float, entry: float, price: float) -> float:
    """Profit in coins of an inverse position: ``size (1 / entry - 1 / price)``.

    Args:
        size: signed quote units.
        entry: entry price.
        price: closing price.

    Examples:
        >>> round(inverse_profit(100_000, 10_000, 10_500), 6)  # BitMEX
        0.47619
    """
    return size * (1.0 / entry - 1.0 / price)


def open_interest_initial_rate(base: float, open_notional: float, lower: float, upper: float) -> float:
    r"""Initial margin fraction of dYdX v4, which rises from its base to 1 with open interest.

    .. math:: \min\left(b + \max\left(\frac{ON - lower}{upper - lower}, 0\right) (1 - b),\ 1\right)

    Args:
        base: initial margin fraction at low open interest.
        open_notional: open interest times the oracle price.
        lower: open notional at which it begins to rise.
        upper: open notional at which it is 1.

    Examples:
        >>> round(open_interest_initial_rate(0.05, 37.5e6, 25e6, 50e6), 12)
        0.525
    """
    return min(base + max((open_notional - lower) / (upper - lower), 0.0) * (1.0 - base), 1.0)


def to_tick(price: float, tick: float, side: int) -> float:
    """A liquidation price on the tick grid, rounded to the side that is reached first (a long's up, a short's down).

    Args:
        price: exact liquidation price.
        tick: tick size.
        side: 1 long, -1 short.

    Examples:
        >>> to_tick(5_739.0835, 0.5, 1)
        5739.5
    """
    steps = price / tick
    nearest = round(steps)
    if math.isclose(steps, nearest, rel_tol=1e-12):
        return nearest * tick
    return (math.ceil(steps) if side > 0 else math.floor(steps)) * tick
